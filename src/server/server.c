#include "server/internal.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/xmem.h"
#include "server/feed.h"

#define TICK_MS 500
#define UID_CHARS 6
#define RECONNECT_GRACE_MS 3000ULL /* ranks try twice a second */

/* ---- hooks of the state -----------------------------------------------------------
 */

static void on_ready(void *arg, struct job *job, const struct job_group *g,
                     uint32_t slot, uint32_t count)
{
    struct server *s = arg;
    if (s->restoring)
        return;
    sched_ready(s->sched, g->class_id, job_body_of(job, g)->priority, job->id, slot,
                count);
    s->sched_dirty = true;
    autoalloc_note(s);
}

static void on_stopped(void *arg, struct job *job)
{
    struct server *s = arg;
    if (!s->restoring)
        workers_stop_tasks(s, job);
}

static void on_aborted(void *arg, struct job *job, uint32_t slot, uint32_t count,
                       uint64_t time_us)
{
    struct server *s = arg;
    if (!s->restoring)
        commit_aborted(s, job->id, slot, count, time_us);
}

static void on_idle(void *arg, struct job *job)
{
    struct server *s = arg;
    if (s->restoring)
        return;
    wait_job_changed(s, job);
    if (job_completed(job))
        workers_drop_job(s, job->id);
}

/* ---- the loop -------------------------------------------------------------------- */

static void on_round(void *arg)
{
    struct server *s = arg;
    (void)server_now_us(s);
    /* What is sent is on its way to the disk when the sockets take it. */
    assign_round(s);
    bool waits = s->sched_dirty;
    commit_round(s);
    if (s->sched_dirty && !waits)
        io_loop_again(s->loop);
    feeds_round(s);
}

static void on_tick(void *arg)
{
    struct server *s = arg;
    (void)server_now_us(s);
    workers_tick(s);
}

static void on_wake(void *arg)
{
    struct server *s = arg;
    s->sched_dirty = true;
}

static void on_signal(void *arg, int signum)
{
    struct server *s = arg;
    log_info("Received %s, attempting to stop", signum == SIGINT    ? "SIGINT"
                                                : signum == SIGTERM ? "SIGTERM"
                                                                    : "SIGHUP");
    server_stop(s);
}

/* By the journal's thread. */
static void on_journal_news(void *arg)
{
    struct server *s = arg;
    struct journal_progress p;
    journal_progress(s->journal, &p);
    if (p.failed || atomic_load(&s->journal_awaited))
        io_wakeup_send(s->journal_news);
}

static void stop_watching(struct server *s)
{
    io_timer_destroy(s->tick);
    io_timer_destroy(s->wake);
    io_timer_destroy(s->progress);
    io_timer_destroy(s->ack_timer);
    io_timer_destroy(s->retry_timer);
    s->tick = s->wake = s->progress = s->ack_timer = s->retry_timer = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++) {
        io_signal_destroy(s->signals[i]);
        s->signals[i] = NULL;
    }
}

void server_stop(struct server *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    log_info("Stopping server");
    io_listener_destroy(s->client_listener);
    io_listener_destroy(s->worker_listener);
    /* Batched answers still go out; workers act by their policy for a lost server.
     * Those that would wait for its return are told that it went for good. */
    LIST_FOR_EACH(&s->links, node)
    worker_dismiss(CONTAINER_OF(node, struct worker_link, node));
    LIST_FOR_EACH_SAFE(&s->clients, node, next)
    client_dismiss(CONTAINER_OF(node, struct client_link, node));
    LIST_FOR_EACH(&s->links, node)
    io_conn_finish(CONTAINER_OF(node, struct worker_link, node)->conn);
    stop_watching(s);
    autoalloc_stop(s);
}

/* ---- start ----------------------------------------------------------------------- */

static void make_uid(struct server *s)
{
    static const char chars[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (s->config->uid && *s->config->uid) {
        snprintf(s->uid, sizeof s->uid, "%s", s->config->uid);
        return;
    }
    uint8_t random[UID_CHARS];
    channel_random(random, sizeof random);
    for (size_t i = 0; i < UID_CHARS; i++)
        s->uid[i] = chars[random[i] % (sizeof chars - 1)];
}

static int listen_on(struct server *s, enum channel_role role,
                     const struct server_role_config *config,
                     const struct io_conn_ops *ops, struct io_listener **out,
                     struct error *err)
{
    struct io_listen_config lc = {.role = role,
                                  .key = config->has_key ? config->key : NULL,
                                  .port = config->port,
                                  .ops = ops,
                                  .arg = s};
    return io_listen(s->loop, &lc, out, err);
}

static int open_ports(struct server *s, struct error *err)
{
    int rc = listen_on(s, ROLE_CLIENT, &s->config->client, &client_conn_ops,
                       &s->client_listener, err);
    if (rc != 0)
        return error_cause(err, "Cannot create HQ server socket");
    return listen_on(s, ROLE_WORKER, &s->config->worker, &worker_conn_ops,
                     &s->worker_listener, err);
}

/* The lock comes first: a server that is just dying may still write. */
static int open_journal(struct server *s, struct error *err)
{
    uint64_t torn = 0;
    if (!s->config->journal_path)
        return 0;
    s->journal_news = io_wakeup_create(s->loop, commit_news, s);
    struct journal_config jc = {.path = s->config->journal_path,
                                .server_uid = s->uid,
                                .now_us = s->now_us,
                                .flush_period_ns = s->config->journal_flush_period_ns,
                                .torn = &torn,
                                .notify = on_journal_news,
                                .arg = s};
    log_info("Loading journal ...");
    int rc = journal_open(&jc, &s->journal, err);
    if (rc == ERR_CORRUPT || rc == ERR_VERSION)
        return error_prefix(err, "Error: ");
    if (rc != 0)
        return rc;
    s->restoring = true;
    rc = restore_journal(s, torn, err);
    s->restoring = false;
    if (rc != 0)
        return rc;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_SERVER_START, s->now_us);
    buf_str(&event, s->uid);
    buf_str(&event, HQ_VERSION);
    commit_event(s, &event);
    buf_release(&event);
    return 0;
}

static void watch(struct server *s)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        struct sigaction old;
        /* nohup: an ignored SIGHUP stays ignored */
        if (signals[i] == SIGHUP && sigaction(SIGHUP, NULL, &old) == 0 &&
            old.sa_handler == SIG_IGN)
            continue;
        s->signals[i] = io_signal_create(s->loop, signals[i], on_signal, s);
    }
    s->tick = io_timer_create(s->loop, on_tick, s);
    s->wake = io_timer_create(s->loop, on_wake, s);
    s->progress = io_timer_create(s->loop, waits_tick, s);
    s->ack_timer = io_timer_create(s->loop, commit_acks_due, s);
    s->retry_timer = io_timer_create(s->loop, commit_retry_due, s);
    io_timer_start(s->tick, TICK_MS, TICK_MS);
    io_loop_on_round(s->loop, on_round, s);
}

/* Tasks that a restored journal left waiting. */
static void announce_restored(struct server *s)
{
    for (uint32_t id = 1; id <= s->state.last_job; id++) {
        struct job *job = state_job(&s->state, id);
        if (job && job_active(job))
            graph_announce_all(&s->state, job);
    }
    if (s->expected.n) {
        s->hold_until_us = clock_mono_us() + RECONNECT_GRACE_MS * 1000;
        io_timer_start(s->wake, RECONNECT_GRACE_MS, 0);
    }
}

static int start(struct server *s, struct error *err)
{
    int rc = open_journal(s, err);
    if (rc == 0)
        rc = open_ports(s, err);
    if (rc == 0)
        rc = run_dir_create(s, io_listener_port(s->client_listener),
                            io_listener_port(s->worker_listener), err);
    if (rc != 0)
        return rc;
    watch(s);
    announce_restored(s);
    autoalloc_start(s);
    if (s->config->on_started) {
        struct server_info info;
        show_server_info(s, &info);
        s->config->on_started(s->config->arg, &info, s->config->server_dir);
    }
    return 0;
}

static int finish_journal(struct server *s, bool started, struct error *err)
{
    if (!s->journal)
        return 0;
    if (started) {
        struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
        event_begin(&event, EVENT_SERVER_STOP, server_now_us(s));
        commit_event(s, &event);
        buf_release(&event);
    }
    commit_finish(s);
    int rc = journal_close(s->journal, err);
    s->journal = NULL;
    return rc;
}

/* Fixed, since the threshold that glibc adapts keeps up to 64 MiB of buffers that large
 * requests have needed once. */
#define MAPPED_BYTES (1 << 20)

int server_run(const struct server_config *config, struct error *err)
{
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    struct server s = {.config = config, .next_job = 1, .next_worker = 1};
    list_init(&s.links);
    list_init(&s.clients);
    list_init(&s.staged);
    list_init(&s.held);
    list_init(&s.unacked);
    list_init(&s.logs);
    buf_init(&s.round_events, JOURNAL_RECORD_MAX);
    buf_init(&s.aborted.events, JOURNAL_RECORD_MAX);
    buf_init(&s.aborted.ranges, JOURNAL_RECORD_MAX);
    backlog_init(&s.backlog);
    buf_init(&s.sent, BUF_MAX_DEFAULT);
    feeds_init(&s);
    s.started_us = s.state_us = server_now_us(&s);
    s.loop = io_loop_create();
    s.sched = sched_create();
    s.logs_by_path = strmap_create();
    s.logs_by_uid = strmap_create();
    if (!s.loop || !s.sched || !s.logs_by_path || !s.logs_by_uid)
        return error_nomem(err);
    const struct state_hooks hooks = {&s, on_ready, on_stopped, on_aborted, on_idle};
    state_init(&s.state, s.sched, &hooks);
    make_uid(&s);
    autoalloc_create(&s);
    int rc = start(&s, err);
    bool started = rc == 0;
    if (started) {
        io_loop_run(s.loop);
    } else {
        io_listener_destroy(s.client_listener);
        io_listener_destroy(s.worker_listener);
    }
    struct error stop_err = ERROR_INIT;
    int stop_rc = finish_journal(&s, started, &stop_err);
    s.stopping = true;
    commit_drop(&s, &stop_err);
    if (rc == 0 && stop_rc != 0) {
        rc = stop_rc;
        *err = stop_err;
    }
    run_dir_leave(&s);
    feeds_release(&s);
    io_wakeup_destroy(s.journal_news);
    io_loop_destroy(s.loop);
    logs_release(&s);
    u64map_release(&s.outputs);
    autoalloc_release(&s);
    state_release(&s.state);
    sched_destroy(s.sched);
    buf_release(&s.round_events);
    buf_release(&s.aborted.events);
    buf_release(&s.aborted.ranges);
    backlog_release(&s.backlog);
    buf_release(&s.sent);
    u64map_release(&s.expected);
    free(s.link_by_id);
    free(s.run_dir);
    return rc;
}
