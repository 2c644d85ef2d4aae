/* Connections of workers: registration, liveness, their end. */
#include "server/internal.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/xmem.h"
#include "server/feed.h"

#define STOP_DEADLINE_US (60 * 1000000ULL) /* a stop request that is not obeyed */
#define OVERVIEW_BYTES_MAX ((size_t)1 << 20)
#define HEARTBEAT_FLOOR_NS (150 * 1000000ULL)
#define REFUSALS_MAX 64
#define WHY_BYTES_MAX ((size_t)16 << 10)

struct worker_link *worker_link_of(const struct server *s, uint32_t worker)
{
    return worker >= 1 && worker <= s->n_link_by_id ? s->link_by_id[worker - 1] : NULL;
}

static void link_destroy(struct worker_link *link)
{
    list_remove(&link->node);
    if (list_linked(&link->ack_node))
        list_remove(&link->ack_node);
    hw_state_release(&link->load);
    u64map_release(&link->known_classes);
    u64map_release(&link->known_groups);
    u64map_release(&link->known_bodies);
    u64map_release(&link->known_jobs);
    free(link->placements);
    for (size_t i = 0; i < link->refusals.len; i++)
        free(link->refusals.data[i].why);
    vec_release(&link->refusals);
    free(link);
}

static void on_open(struct io_conn *c, void *arg)
{
    struct server *s = arg;
    struct worker_link *link = xcalloc(1, sizeof *link);
    link->server = s;
    link->conn = c;
    link->last_heard_us = clock_mono_us();
    link->end = WORKER_CONNECTION_LOST;
    list_push_back(&s->links, &link->node);
    io_conn_set_arg(c, link);
    if (s->stopping) /* its handshake went on while the others were told */
        io_conn_finish(c);
}

static void index_link(struct server *s, struct worker_link *link)
{
    if (link->id > s->n_link_by_id) {
        s->link_by_id = xrealloc(s->link_by_id, link->id * sizeof *s->link_by_id);
        memset(s->link_by_id + s->n_link_by_id, 0,
               (link->id - s->n_link_by_id) * sizeof *s->link_by_id);
        s->n_link_by_id = link->id;
    }
    s->link_by_id[link->id - 1] = link;
}

static void refuse(struct worker_link *link, const char *why)
{
    struct server *s = link->server;
    log_warn("Worker from %s refused: %s", io_conn_peer(link->conn), why);
    struct msg_RSP_ERROR m = {.code = ERR_INVALID, .message = span_str(why)};
    msg_put_RSP_ERROR(io_conn_batch(link->conn), &m);
    io_conn_finish(link->conn);
    (void)s;
}

/* Also when it comes back it has lived since its start. */
static void schedule_worker(struct worker_link *link, const struct worker *w,
                            uint64_t age_us)
{
    struct server *s = link->server;
    uint64_t limit_us = w->config.time_limit_ns / 1000;
    if (w->config.time_limit_ns)
        link->end_us = clock_mono_us() + (limit_us > age_us ? limit_us - age_us : 0);
    struct sched_worker sw = {.id = w->id,
                              .pools = &w->config.pools,
                              .group = w->config.group,
                              .end_us = link->end_us,
                              .min_utilization = w->config.min_utilization};
    sched_worker_add(s->sched, &sw, clock_mono_us());
    s->sched_dirty = true;
}

#define OVERVIEW_PERIOD_NS (2 * NS_PER_S)

static bool own_overviews(const struct worker_link *link)
{
    return state_worker(&link->server->state, link->id)->config.overview_interval_ns !=
           0;
}

static void ask_overviews(struct worker_link *link)
{
    struct msg_OVERVIEW_PERIOD m = {0};
    if (link->id == 0 || own_overviews(link))
        return;
    if (feeds_want_overviews(link->server))
        m.period_ns = OVERVIEW_PERIOD_NS;
    msg_put_OVERVIEW_PERIOD(io_conn_batch(link->conn), &m);
}

void workers_ask_overviews(struct server *s)
{
    LIST_FOR_EACH(&s->links, node)
    ask_overviews(CONTAINER_OF(node, struct worker_link, node));
}

static void registered(struct worker_link *link, struct worker_config *config,
                       const struct msg_WORKER_REGISTER *m)
{
    struct server *s = link->server;
    link->id = s->next_worker++;
    /* Of another server: its tasks are not ours, nor are its results. */
    bool foreign = m->state_us && m->state_us != s->state_us;
    uint64_t first_seq = foreign ? m->next_seq : m->first_seq;
    link->end_seq = first_seq ? first_seq - 1 : 0;
    link->ack_seq = link->end_seq;
    link->late_seq = m->next_seq;
    if (config->idle_timeout_ns == 0)
        config->idle_timeout_ns = s->config->idle_timeout_ns;
    uint64_t idle_ns = config->idle_timeout_ns;
    index_link(s, link);
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_WORKER_CONNECTED, s->now_us);
    buf_u32(&event, link->id);
    worker_config_encode(config, &event);
    buf_varint(&event, m->retract_check_ns);
    state_apply_worker(&s->state, link->id, config, s->now_us);
    state_worker(&s->state, link->id)->retract_check_ns = m->retract_check_ns;
    commit_event(s, &event);
    buf_release(&event);
    schedule_worker(link, state_worker(&s->state, link->id), m->age_us);
    (void)u64map_remove(&s->expected,
                        worker_token_key(&state_worker(&s->state, link->id)->config));
    if (s->expected.n == 0)
        s->hold_until_us = 0;
    struct buf keep = BUF_INIT(BUF_MAX_DEFAULT);
    report_placements(link, m->placements);
    if (!foreign) {
        report_resumed(link, m->resume, &keep);
        report_gangs_joined(link);
    }
    struct msg_WORKER_REGISTERED answer = {
        .worker = link->id,
        .server_uid = span_str(s->uid),
        .server_us = s->now_us,
        .idle_timeout_ns = idle_ns,
        .ack_seq = link->ack_seq,
        .keep = span_buf(&keep),
        .state_us = s->state_us,
    };
    msg_put_WORKER_REGISTERED(io_conn_batch(link->conn), &answer);
    buf_release(&keep);
    if (feeds_want_overviews(s))
        ask_overviews(link);
    log_info("Worker %u registered from %s", link->id, io_conn_peer(link->conn));
    autoalloc_worker_joined(s, state_worker(&s->state, link->id));
    wait_workers_changed(s);
}

static void on_register(struct worker_link *link, const struct msg_WORKER_REGISTER *m)
{
    struct worker_config config;
    struct cursor c = cursor_make(m->config.p, m->config.n);
    if (link->id != 0 || worker_config_decode(&config, &c) != 0) {
        refuse(link, "malformed registration");
        return;
    }
    if (config.heartbeat_ns <= HEARTBEAT_FLOOR_NS) {
        refuse(link, "the heartbeat period must be above 150ms");
        worker_config_release(&config);
        return;
    }
    registered(link, &config, m);
}

static void on_freed(struct worker_link *link, const struct msg_ALLOCATION_FREED *m)
{
    (void)m;
    sched_freed(link->server->sched, link->id);
}

/* Kept for `task explain`. */
static void keep_refusal(struct worker_link *link, const struct msg_GRANTS_REFUSED *m)
{
    size_t at = 0;
    if (m->why.n == 0)
        return;
    struct refusal made = {
        m->class_id, m->variant,
        xstrndup((const char *)m->why.p, MIN(m->why.n, WHY_BYTES_MAX))};
    while (at < link->refusals.len &&
           (link->refusals.data[at].class_id != m->class_id ||
            link->refusals.data[at].variant != m->variant))
        at++;
    if (at == link->refusals.len && at == REFUSALS_MAX)
        at = 0; /* the oldest, as each goes to the end */
    if (at < link->refusals.len) {
        free(link->refusals.data[at].why);
        link->refusals.len--;
        memmove(&link->refusals.data[at], &link->refusals.data[at + 1],
                (link->refusals.len - at) * sizeof made);
    }
    if (!vec_push(&link->refusals, made))
        free(made.why);
}

static void on_refused(struct worker_link *link, const struct msg_GRANTS_REFUSED *m)
{
    sched_grant_refused(link->server->sched, link->id, m->class_id, m->variant,
                        m->count);
    keep_refusal(link, m);
}

/* Shown by `worker info`; the journal keeps what a worker reports by itself. */
static int take_overview(struct worker_link *link, struct span overview,
                         struct error *err)
{
    struct cursor c = cursor_make(overview.p, overview.n);
    struct hw_state state;
    if (overview.n > OVERVIEW_BYTES_MAX || hw_state_decode(&state, &c) != 0)
        return error_set(err, ERR_CORRUPT, "malformed overview");
    hw_state_release(&link->load);
    link->load = state;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_WORKER_OVERVIEW, link->server->now_us);
    buf_u32(&event, link->id);
    buf_append(&event, overview.p, overview.n);
    if (own_overviews(link) || !link->server->journal)
        commit_event(link->server, &event);
    else
        feeds_passing(link->server, span_buf(&event));
    buf_release(&event);
    return 0;
}

/* What the worker gives as the reason of its end; the server's own reason goes before.
 */
static void on_goodbye(struct worker_link *link, uint8_t reason)
{
    if (reason > WORKER_RUNNING && reason < WORKER_END_COUNT && !link->stop_deadline_us)
        link->end = (enum worker_end)reason;
}

static void on_notify(struct worker_link *link, const struct msg_TASK_NOTIFY *m)
{
    struct job *job = state_job(&link->server->state, m->job);
    if (job && m->slot < job->n_slots)
        wait_notify(link->server, job, m->slot, link->id, m->message);
}

/* Whatever a worker sends before it is registered, except the registration, is refused.
 */
static void dispatch(struct worker_link *link, uint8_t type, struct span body)
{
    struct error err = ERROR_INIT;
    int rc = 0;
    switch (type) {
        MESSAGE_ON(WORKER_REGISTER, on_register(link, &m))
        MESSAGE_ON(WORKER_HEARTBEAT, (void)m)
        MESSAGE_ON(TASKS_STARTED, report_started(link, m.starts))
        MESSAGE_ON(TASKS_ENDED, report_ended(link, m.seq, m.ends))
        MESSAGE_ON(GRANTS_REFUSED, on_refused(link, &m))
        MESSAGE_ON(ALLOCATION_FREED, on_freed(link, &m))
        MESSAGE_ON(TASKS_RETRACTED,
                   report_retracted(link, m.class_id, m.variant, m.runs, false))
        MESSAGE_ON(TASKS_REJECTED,
                   report_retracted(link, m.class_id, m.variant, m.runs, true))
        MESSAGE_ON(WORKER_GOODBYE, on_goodbye(link, m.reason))
        MESSAGE_ON(TASK_NOTIFY, on_notify(link, &m))
        MESSAGE_ON(LOG_OPEN, log_open(link, &m))
        MESSAGE_ON(LOG_LEASE, log_lease(link, m.log, m.uid))
        MESSAGE_ON(LOG_LEASE_END, log_lease_end(link, m.uid, m.lease))
        MESSAGE_ON(LOG_CLOSED, (void)m)
        MESSAGE_ON(JOB_OUTPUT, output_report(link, &m))
        MESSAGE_ON(PLACEMENTS, report_placements(link, m.list))
        MESSAGE_ON(WORKER_OVERVIEW, rc = take_overview(link, m.overview, &err))
    default:
        rc = error_set(&err, ERR_CORRUPT, "unexpected message %s", msg_name(type));
    }
    if (rc != 0) {
        log_warn("Worker %u (%s): %s; connection dropped", link->id,
                 io_conn_peer(link->conn), err.text);
        struct io_conn *conn = link->conn;
        worker_link_lost(link, WORKER_CONNECTION_LOST);
        io_conn_destroy(conn);
    }
}

static void on_message(struct io_conn *c, uint8_t type, struct span body)
{
    struct worker_link *link = io_conn_arg(c);
    struct server *s = link->server;
    link->last_heard_us = clock_mono_us();
    s->sched_dirty = true;
    if (link->id == 0 && type != MSG_WORKER_REGISTER) {
        refuse(link, "it did not register first");
        return;
    }
    dispatch(link, type, body);
}

static void on_close(struct io_conn *c, const struct error *err)
{
    struct worker_link *link = io_conn_arg(c);
    (void)err;
    worker_link_lost(link, link->end);
}

const struct io_conn_ops worker_conn_ops = {on_open, on_message, on_close, NULL};

void worker_link_lost(struct worker_link *link, enum worker_end reason)
{
    struct server *s = link->server;
    uint32_t id = link->id;
    if (id) {
        s->link_by_id[id - 1] = NULL;
        if (!s->stopping) {
            log_info("Worker %u (%s) connection closed: %s", id,
                     io_conn_peer(link->conn), worker_end_words[reason]);
            struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
            event_begin(&event, EVENT_WORKER_LOST, server_now_us(s));
            buf_u32(&event, id);
            buf_u8(&event, (uint8_t)reason);
            state_apply_worker_lost(&s->state, id, reason, s->now_us);
            commit_event(s, &event);
            buf_release(&event);
            report_lost_tasks(s, id, reason);
            log_worker_lost(s, id);
            autoalloc_worker_left(s, state_worker(&s->state, id), reason);
            wait_workers_changed(s);
        }
    }
    link_destroy(link);
    s->sched_dirty = true;
}

void worker_ask_to_stop(struct worker_link *link, enum worker_end reason)
{
    struct server *s = link->server;
    if (link->stop_deadline_us)
        return;
    link->end = reason;
    link->stop_deadline_us = clock_mono_us() + STOP_DEADLINE_US;
    sched_worker_drain(s->sched, link->id);
    struct msg_WORKER_STOP m = {.reason = (uint8_t)reason};
    msg_put_WORKER_STOP(io_conn_batch(link->conn), &m);
}

void worker_dismiss(struct worker_link *link)
{
    const struct worker *w = state_worker(&link->server->state, link->id);
    if (!w || w->config.on_server_lost != LOST_RECONNECT)
        return;
    struct msg_WORKER_STOP m = {.reason = WORKER_STOPPED};
    msg_put_WORKER_STOP(io_conn_batch(link->conn), &m);
}

static void check_link(struct worker_link *link, uint64_t now)
{
    struct server *s = link->server;
    const struct worker *w = state_worker(&s->state, link->id);
    if (!w)
        return;
    struct io_conn *conn = link->conn;
    uint64_t silent_us = now - link->last_heard_us;
    if (silent_us > 2 * w->config.heartbeat_ns / 1000) {
        enum worker_end reason =
            link->stop_deadline_us ? link->end : WORKER_HEARTBEAT_LOST;
        worker_link_lost(link, reason);
        io_conn_destroy(conn);
        return;
    }
    if (link->stop_deadline_us) {
        if (now > link->stop_deadline_us) {
            worker_link_lost(link, link->end);
            io_conn_destroy(conn);
        }
        return;
    }
    uint64_t idle_since = sched_worker_idle_since(s->sched, link->id);
    if (w->config.idle_timeout_ns && idle_since && now > idle_since &&
        (now - idle_since) * 1000 >= w->config.idle_timeout_ns)
        worker_ask_to_stop(link, WORKER_IDLE_TIMEOUT);
}

void workers_tick(struct server *s)
{
    uint64_t now = clock_mono_us();
    LIST_FOR_EACH_SAFE(&s->links, node, next)
    check_link(CONTAINER_OF(node, struct worker_link, node), now);
}

static void forget_job(struct u64map *m, uint32_t job)
{
    /* Keys of one job are few compared with the map only for huge maps; then a pass
     * over it is still cheaper than the tasks that filled it. */
    struct u64map kept = U64MAP_INIT;
    size_t pos = 0;
    uint64_t key, value;
    bool any = false;
    while (u64map_next(m, &pos, &key, &value))
        any |= key >> 32 == job;
    if (!any)
        return;
    pos = 0;
    while (u64map_next(m, &pos, &key, &value))
        if (key >> 32 != job && u64map_set(&kept, key, value) != 0)
            abort();
    u64map_release(m);
    *m = kept;
}

void workers_drop_job(struct server *s, uint32_t job)
{
    (void)u64map_remove(&s->outputs, job);
    LIST_FOR_EACH(&s->links, node)
    {
        struct worker_link *link = CONTAINER_OF(node, struct worker_link, node);
        if (!u64map_remove(&link->known_jobs, job))
            continue;
        forget_job(&link->known_groups, job);
        forget_job(&link->known_bodies, job);
        struct msg_JOB_DROP m = {.job = job};
        msg_put_JOB_DROP(io_conn_batch(link->conn), &m);
    }
}

void workers_stop_tasks(struct server *s, struct job *job)
{
    sched_cancel_job(s->sched, job->id);
    s->sched_dirty = true;
    struct buf ranges = BUF_INIT(BUF_MAX_DEFAULT);
    struct slot_range all = {0, job->n_slots};
    if (job->n_slots)
        slot_range_put(&ranges, &all);
    LIST_FOR_EACH(&s->links, node)
    {
        struct worker_link *link = CONTAINER_OF(node, struct worker_link, node);
        if (!u64map_get(&link->known_jobs, job->id, NULL))
            continue;
        struct msg_TASKS_CANCEL m = {.job = job->id, .ranges = span_buf(&ranges)};
        msg_put_TASKS_CANCEL(io_conn_batch(link->conn), &m);
    }
    buf_release(&ranges);
}
