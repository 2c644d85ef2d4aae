#include "worker/internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/xmem.h"

#define CONNECT_TRIES 20
#define CONNECT_PAUSE_MS 2000
#define RECONNECT_PAUSE_MS 500
#define LEAVE_MS 5000    /* tasks get that long in all */
#define FAST_KILL_MS 400 /* under mpirun: SIGKILL comes after a second */
#define FAST_LEAVE_MS 700
#define STUCK_CHECK_MS 10

uint64_t worker_now_us(void)
{
    return clock_real_us();
}

bool worker_serving(const struct worker *w)
{
    return w->mode == MODE_SERVING;
}

bool task_may_start(const struct worker *w)
{
    return worker_serving(w) ||
           (w->mode == MODE_LOST && w->setup->config.on_server_lost == LOST_RECONNECT);
}

static void try_connect(void *arg);

/* ---- the way out ------------------------------------------------------------------
 */

static void remove_work_dir(struct worker *w)
{
    struct error err = ERROR_INIT;
    if (w->own_work_dir) {
        char *slash = strrchr(w->work_dir, '/');
        *slash = '\0';
        if (path_remove_tree(w->work_dir, &err) != 0)
            log_warn("%s", err.text);
    }
    w->own_work_dir = false;
}

static void drop_launcher(struct worker *w)
{
    io_poll_destroy(w->launcher_poll);
    w->launcher_poll = NULL;
    launcher_destroy(w->launcher);
    w->launcher = NULL;
}

/* Everything that takes time comes before the connection ends: who sees the worker go
 * may count on it being gone. */
static void finish(struct worker *w)
{
    w->mode = MODE_GONE;
    report_flush(w);
    drop_launcher(w);
    remove_work_dir(w);
    if (w->conn)
        io_conn_finish(w->conn); /* on_close stops the loop */
    else
        io_loop_stop(w->loop);
}

void worker_check_leave(struct worker *w)
{
    if (w->mode == MODE_LOST &&
        w->setup->config.on_server_lost == LOST_FINISH_RUNNING && w->tasks.n == 0) {
        log_info("All running tasks were finished");
        w->mode = MODE_LEAVING;
    }
    if (w->mode == MODE_LEAVING && w->tasks.n == 0) {
        w->mode = MODE_DRAINING;
        outlog_writer_drain(w->writer, clock_mono_us());
    } else if (w->mode == MODE_GONE) {
        finish(w);
    }
}

static void on_leave_deadline(void *arg)
{
    struct worker *w = arg;
    static const uint64_t rest_ms = FAST_LEAVE_MS - FAST_KILL_MS;
    if (w->mode == MODE_LEAVING && !w->killed_now) {
        w->killed_now = true;
        kill_all(w, LAUNCH_KILL_NOW);
        io_timer_start(w->leave, w->setup->fast_exit ? rest_ms : 1000, 0);
        return;
    }
    if (w->mode == MODE_LEAVING || w->mode == MODE_DRAINING)
        log_warn("Leaving although %zu tasks or their output are not at their end",
                 w->tasks.n);
    finish(w);
}

void worker_leave(struct worker *w, enum worker_end reason)
{
    if (w->mode == MODE_LEAVING || w->mode == MODE_DRAINING || w->mode == MODE_GONE)
        return;
    bool connected = w->registered;
    w->mode = MODE_LEAVING;
    w->leave_reason = reason;
    if (w->exit_rc == 0)
        log_info("Worker stopping");
    report_flush(w);
    lanes_clear(w);
    overview_stop(w);
    if (connected) {
        struct msg_WORKER_GOODBYE m = {.reason = (uint8_t)reason};
        msg_put_WORKER_GOODBYE(io_conn_batch(w->conn), &m);
    }
    kill_all(w, LAUNCH_KILL_GRACEFUL);
    launcher_flush_now(w);
    io_timer_start(w->leave, w->setup->fast_exit ? FAST_KILL_MS : LEAVE_MS - 1000, 0);
    worker_check_leave(w);
}

void worker_fail(struct worker *w, const struct error *err)
{
    if (w->exit_rc == 0) {
        w->exit_rc = err->code;
        w->exit_err = *err;
    }
    worker_leave(w, WORKER_STOPPED);
}

/* ---- the server is gone ------------------------------------------------------------
 */

static void server_closed(struct worker *w)
{
    (void)error_set(&w->exit_err, ERR_CLOSED, "Server connection closed");
    w->exit_rc = ERR_CLOSED;
}

static void on_lost(struct worker *w)
{
    enum worker_mode before = w->mode;
    w->conn = NULL;
    w->registered = false;
    if (before == MODE_GONE) {
        io_loop_stop(w->loop);
        return;
    }
    if (before != MODE_SERVING)
        return; /* leaving anyway, or still connecting */
    w->lost_since_us = clock_mono_us();
    switch ((enum server_lost_policy)w->setup->config.on_server_lost) {
    case LOST_STOP:
        server_closed(w);
        worker_leave(w, WORKER_STOPPED);
        break;
    case LOST_FINISH_RUNNING:
        server_closed(w);
        w->mode = MODE_LOST;
        lanes_lost(w);
        overview_stop(w);
        log_info("Waiting for finishing running tasks");
        worker_check_leave(w);
        break;
    case LOST_RECONNECT:
        w->mode = MODE_LOST;
        log_warn("Server connection closed, trying to reconnect");
        lanes_lost(w);
        defs_reset(w);
        io_timer_start(w->retry, RECONNECT_PAUSE_MS, 0);
        break;
    }
}

/* ---- connecting --------------------------------------------------------------------
 */

/* One that waits behind another was asked back when the server was lost. While the
 * launcher has not answered that, nobody knows: it is left to the server, which else
 * would keep room for it although it uses none before the other one ends. */
static bool seems_to_run(const struct task *t)
{
    return t->phase > PHASE_LAUNCHED ||
           (t->phase == PHASE_LAUNCHED && !t->retract_sent);
}

static void put_held(struct worker *w, struct buf *out)
{
    size_t pos = 0;
    uint64_t handle, value;
    while (u64map_next(&w->tasks, &pos, &handle, &value)) {
        const struct task *t = (const struct task *)(uintptr_t)value;
        if (t->discard || t->canceled)
            continue;
        struct held_task h = {.job = t->job,
                              .slot = t->slot,
                              .instance = t->instance,
                              .variant = t->end.variant,
                              .placement = t->end.placement,
                              .running = seems_to_run(t),
                              .start_us =
                                  t->end.start_us ? t->end.start_us : worker_now_us()};
        held_task_put(out, &h);
    }
}

static void on_open(struct io_conn *c, void *arg)
{
    struct worker *w = arg;
    struct buf config = BUF_INIT(BUF_MAX_DEFAULT), held = BUF_INIT(BUF_MAX_DEFAULT);
    struct buf placements = BUF_INIT(BUF_MAX_DEFAULT);
    report_flush(w); /* ends gathered without a server make a batch of their own */
    worker_config_encode(&w->setup->config, &config);
    put_held(w, &held);
    w->n_placements_sent = 0;
    placements_put(w, &placements);
    uint64_t first = w->next_seq;
    if (!list_empty(&w->sent))
        first = CONTAINER_OF(list_first(&w->sent), struct sent_batch, node)->seq;
    struct msg_WORKER_REGISTER m = {.config = span_buf(&config),
                                    .first_seq = first,
                                    .resume = span_buf(&held),
                                    .next_seq = w->next_seq,
                                    .placements = span_buf(&placements),
                                    .state_us = w->state_us,
                                    .age_us = clock_mono_us() - w->started_us,
                                    .retract_check_ns = w->setup->retract_check_ns};
    msg_put_WORKER_REGISTER(io_conn_batch(c), &m);
    /* Results the server may not have come right behind, before it assigns anything. */
    report_resend(w, io_conn_batch(c));
    buf_release(&config);
    buf_release(&held);
    buf_release(&placements);
}

/* Tasks that the server did not leave with us were started elsewhere or are over; to
 * another server than before they mean nothing, nor do their results. */
static void drop_unkept(struct worker *w, struct span keep, bool other)
{
    struct u64map kept = U64MAP_INIT;
    struct cursor c = cursor_make(keep.p, keep.n);
    struct held_task h;
    while (held_task_get(&c, &h))
        if (u64map_set(&kept, (uint64_t)h.job << 32 | h.slot, 1) != 0)
            abort();
    size_t n;
    struct task **all = tasks_now(w, &n);
    for (size_t i = 0; i < n; i++) {
        struct task *t = all[i];
        if (u64map_get(&kept, (uint64_t)t->job << 32 | t->slot, NULL))
            continue;
        t->discard = other || !t->exited;
        if (list_linked(&t->started))
            list_remove(&t->started);
        task_kill(w, t, LAUNCH_KILL_GRACEFUL);
    }
    free(all);
    u64map_release(&kept);
}

static void on_registered(struct worker *w, const struct msg_WORKER_REGISTERED *m)
{
    bool first = w->id == 0;
    w->id = m->worker;
    w->registered = true;
    w->mode = MODE_SERVING;
    snprintf(w->server_uid, sizeof w->server_uid, "%.*s", (int)m->server_uid.n,
             (const char *)m->server_uid.p);
    struct outlog_origin origin = {
        .worker = w->id,
        .rank = w->setup->config.mpi ? (int32_t)w->setup->config.rank : -1,
        .clock_offset_us = (int64_t)(worker_now_us() - m->server_us),
    };
    snprintf(origin.host, sizeof origin.host, "%s", w->setup->config.hostname);
    outlog_writer_set_origin(w->writer, &origin);
    if (first) {
        w->setup->config.idle_timeout_ns = m->idle_timeout_ns;
        if (w->setup->on_registered)
            w->setup->on_registered(w->setup->arg, w->id, &w->setup->config,
                                    worker_now_us() -
                                        (clock_mono_us() - w->started_us));
        uint64_t period = MAX(w->setup->config.heartbeat_ns / 1000000, 1u);
        io_timer_start(w->heartbeat, period, period);
    } else {
        log_info("Reconnected to the server as worker %u", w->id);
        drop_unkept(w, m->keep, m->state_us != w->state_us);
        if (m->state_us != w->state_us)
            output_limits_forget(w);
        outlog_writer_reconnected(w->writer);
    }
    w->state_us = m->state_us;
    overview_set(w, 0); /* this server has not asked for more yet */
    report_ack(w, m->ack_seq);
}

static void dispatch(struct worker *w, uint8_t type, struct span body)
{
    struct error err = ERROR_INIT;
    int rc = 0;
    switch (type) {
        MESSAGE_ON(WORKER_REGISTERED, on_registered(w, &m))
        MESSAGE_ON(CLASS_DEFINE, defs_class(w, m.class_id, m.request))
        MESSAGE_ON(JOB_DEFINE, defs_job(w, m.job, m.name))
        MESSAGE_ON(BODY_DEFINE, defs_body(w, &m))
        MESSAGE_ON(GROUP_DEFINE, defs_group(w, &m))
        MESSAGE_ON(JOB_DROP, defs_drop_job(w, m.job); output_limits_drop_job(w, m.job))
        MESSAGE_ON(JOB_OUTPUT_FULL, output_limits_full(w, m.job, m.bytes))
        MESSAGE_ON(TASKS_ASSIGN, if (worker_serving(w)) lanes_assign(w, &m))
        MESSAGE_ON(TASKS_RETRACT, if (worker_serving(w)) lanes_retract(w, &m))
        MESSAGE_ON(GANG_START, if (worker_serving(w)) lanes_gang(w, &m))
        MESSAGE_ON(TASKS_CANCEL, lanes_cancel(w, m.job, m.ranges))
        MESSAGE_ON(TASKS_ACK, report_ack(w, m.seq))
        MESSAGE_ON(OVERVIEW_PERIOD, overview_set(w, m.period_ns))
        MESSAGE_ON(WORKER_STOP, log_info("Received stop command"); worker_leave(
                       w, m.reason < WORKER_END_COUNT ? (enum worker_end)m.reason
                                                      : WORKER_STOPPED))
        MESSAGE_ON(RSP_ERROR,
                   (void)error_set(&err, ERR_INVALID, "%.*s", (int)m.message.n,
                                   (const char *)m.message.p);
                   worker_fail(w, &err))
    default:
        streams_message(w, type, body);
    }
    if (rc != 0)
        worker_fail(w, &err);
}

static void on_message(struct io_conn *c, uint8_t type, struct span body)
{
    dispatch(io_conn_arg(c), type, body);
}

static bool may_retry(struct worker *w, const struct error *err)
{
    if (err->code == ERR_AUTH || err->code == ERR_VERSION)
        return false;
    if (w->mode == MODE_LOST)
        return clock_mono_us() - w->lost_since_us < w->setup->reconnect_us;
    if (err->code == ERR_NOT_FOUND) /* no such host */
        return false;
    uint32_t tries = w->setup->connect_tries ? w->setup->connect_tries : CONNECT_TRIES;
    return w->mode == MODE_CONNECTING && w->tries < tries;
}

static void connect_failed(struct worker *w, const struct error *err)
{
    w->conn = NULL;
    w->registered = false;
    if (may_retry(w, err)) {
        /* Once: there may be half a minute of attempts, and that is no silence. */
        if (w->mode == MODE_CONNECTING && w->tries == 1)
            log_warn("%s; trying again", err->text);
        io_timer_start(w->retry,
                       w->mode == MODE_LOST ? RECONNECT_PAUSE_MS : CONNECT_PAUSE_MS, 0);
        return;
    }
    if (w->mode == MODE_LOST) {
        server_closed(w);
        worker_leave(w, WORKER_STOPPED);
        return;
    }
    w->exit_rc = err->code;
    w->exit_err = *err;
    if (err->code != ERR_AUTH && err->code != ERR_VERSION && err->code != ERR_NOT_FOUND)
        (void)error_cause(&w->exit_err, "Server could not be connected");
    worker_leave(w, WORKER_STOPPED);
}

static void on_close(struct io_conn *c, const struct error *err)
{
    struct worker *w = io_conn_arg(c);
    if (w->registered || w->mode == MODE_GONE || w->mode == MODE_LEAVING ||
        w->mode == MODE_DRAINING)
        on_lost(w);
    else
        connect_failed(w, err);
}

static const struct io_conn_ops conn_ops = {on_open, on_message, on_close, NULL};

static void try_connect(void *arg)
{
    struct worker *w = arg;
    struct access_part access;
    struct error err = ERROR_INIT;
    w->tries++;
    int rc = w->setup->access(w->setup->arg, &access, &err);
    if (rc == 0) {
        if (w->mode == MODE_CONNECTING && w->tries == 1)
            log_info("Connecting to: %s:%u", access.host, access.port);
        rc = io_connect(w->loop, access.host, access.port, ROLE_WORKER,
                        access.has_key ? access.key : NULL, &conn_ops, w, &w->conn,
                        &err);
    } else if (w->mode == MODE_CONNECTING) {
        w->exit_rc = rc; /* no file to read: that is final */
        w->exit_err = err;
        worker_leave(w, WORKER_STOPPED);
        return;
    }
    if (rc != 0)
        connect_failed(w, &err);
}

/* ---- timers, signals, the round -----------------------------------------------------
 */

static void on_gather(void *arg)
{
    report_flush(arg);
}

static void on_heartbeat(void *arg)
{
    struct worker *w = arg;
    struct msg_WORKER_HEARTBEAT m = {.sent_us = worker_now_us()};
    if (w->registered)
        msg_put_WORKER_HEARTBEAT(io_conn_batch(w->conn), &m);
}

static void on_life_end(void *arg)
{
    struct worker *w = arg;
    log_info("Time limit reached");
    worker_leave(w, WORKER_TIME_LIMIT);
}

static void on_retract_check(void *arg)
{
    struct worker *w = arg;
    if (worker_serving(w))
        lanes_check_life(w);
}

static void on_stuck(void *arg)
{
    struct worker *w = arg;
    if (w->n_on_seat == 0)
        io_timer_stop(w->stuck);
    seats_check_stuck(w);
}

static void on_signal(void *arg, int signum)
{
    struct worker *w = arg;
    (void)signum;
    log_info("Worker received an external stop notification");
    worker_leave(w, WORKER_STOPPED);
}

/* The launcher died: nothing can be started any more. */
static void launcher_lost(struct worker *w, const struct error *cause)
{
    struct error err = *cause;
    if (!w->launcher_poll)
        return;
    io_poll_destroy(w->launcher_poll);
    w->launcher_poll = NULL;
    (void)error_cause(&err, "the launcher process is gone");
    size_t n;
    struct task **all = tasks_now(w, &n);
    w->mode = MODE_LEAVING;
    for (size_t i = 0; i < n; i++) {
        if (all[i]->exited)
            continue;
        streams_close(all[i]);
        task_fail_before_start(w, all[i], all[i]->end.started,
                               xstrdup("The launcher process of the worker died"));
    }
    free(all);
    launcher_kill_left(w->launcher);
    report_flush(w);
    w->mode = MODE_SERVING;
    worker_fail(w, &err);
}

static void on_launcher(void *arg, int events)
{
    struct worker *w = arg;
    struct error err = ERROR_INIT;
    (void)events;
    if (launcher_poll(w->launcher, on_launch_event, w, &err) != 0)
        launcher_lost(w, &err);
}

void launcher_flush_now(struct worker *w)
{
    struct error err = ERROR_INIT;
    if (!w->launcher_dirty || !w->launcher_poll)
        return;
    w->launcher_dirty = false;
    if (launcher_flush(w->launcher, &err) != 0)
        launcher_lost(w, &err);
}

static void on_round(void *arg)
{
    struct worker *w = arg;
    launcher_flush_now(w);
    streams_flush(w);
    if (w->flush_now)
        report_flush(w);
    if (w->n_on_seat && !io_timer_active(w->stuck))
        io_timer_start(w->stuck, STUCK_CHECK_MS, STUCK_CHECK_MS);
}

/* ---- start -------------------------------------------------------------------------
 */

static int make_work_dir(struct worker *w, struct error *err)
{
    const char *given = w->setup->config.work_dir;
    if (given && *given) {
        char *cwd = path_cwd(); /* shown as it was given, used from anywhere */
        w->work_dir = path_join(cwd ? cwd : "/", given);
        free(cwd);
        return path_mkdirs(w->work_dir, 0777, err);
    }
    char *base = xasprintf("%s/hq-workerXXXXXX", path_temporary_dir());
    if (!mkdtemp(base)) {
        int rc = error_sys(err, "cannot create a work directory \"%s\"", base);
        free(base);
        return rc;
    }
    w->own_work_dir = true;
    w->work_dir = xasprintf("%s/work", base);
    free(base);
    free(w->setup->config.work_dir);
    w->setup->config.work_dir = xstrdup(w->work_dir);
    return path_mkdirs(w->work_dir, 0700, err);
}

/* What is to disappear with this worker even if it is killed. */
static int name_leftovers(struct worker *w, struct error *err)
{
    int rc = launcher_leftover(w->launcher, w->socket_path, err);
    if (rc == 0 && w->setup->leftover)
        rc = launcher_leftover(w->launcher, w->setup->leftover, err);
    if (rc != 0 || !w->own_work_dir)
        return rc;
    char *base =
        xstrndup(w->work_dir, (size_t)(strrchr(w->work_dir, '/') - w->work_dir));
    rc = launcher_leftover(w->launcher, base, err);
    free(base);
    return rc;
}

static int set_up(struct worker *w, struct error *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGTSTP};
    int rc = make_work_dir(w, err);
    if (rc == 0)
        rc = alloc_create(&w->alloc, &w->setup->config.pools, err);
    if (rc == 0)
        rc = pinner_create(&w->pinner, w->setup->topo, &w->setup->config.pools, err);
    if (rc == 0)
        rc = notify_create(w, err);
    if (rc == 0)
        rc = name_leftovers(w, err);
    if (rc == 0)
        rc = streams_create(w, err);
    if (rc != 0)
        return rc;
    w->gather = io_timer_create(w->loop, on_gather, w);
    w->heartbeat = io_timer_create(w->loop, on_heartbeat, w);
    w->life = io_timer_create(w->loop, on_life_end, w);
    w->retry = io_timer_create(w->loop, try_connect, w);
    w->leave = io_timer_create(w->loop, on_leave_deadline, w);
    w->stuck = io_timer_create(w->loop, on_stuck, w);
    w->retract = io_timer_create(w->loop, on_retract_check, w);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        w->signals[i] = io_signal_create(w->loop, signals[i], on_signal, w);
    w->launcher_poll =
        io_poll_create(w->loop, launcher_fd(w->launcher), on_launcher, w);
    if (!w->launcher_poll)
        return error_set(err, ERR_SYSTEM, "cannot watch the launcher");
    io_poll_set(w->launcher_poll, IO_READ);
    if (w->setup->config.time_limit_ns) {
        uint64_t period_ms = MAX(w->setup->retract_check_ns / 1000000, 1u);
        io_timer_start(w->life, w->setup->config.time_limit_ns / 1000000, 0);
        io_timer_start(w->retract, period_ms, period_ms);
    }
    overview_set(w, 0);
    w->launcher_dirty = true; /* leftovers are named, templates made */
    io_loop_on_round(w->loop, on_round, w);
    /* Entry points block them until there are handlers. */
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return 0;
}

static void tear_down(struct worker *w)
{
    struct io_timer *timers[] = {w->gather, w->heartbeat, w->life,   w->retry,
                                 w->leave,  w->stuck,     w->retract};
    lanes_clear(w);
    output_limits_release(w);
    streams_destroy(w);
    size_t pos = 0;
    uint64_t handle, value;
    while (u64map_next(&w->tasks, &pos, &handle, &value)) {
        struct task *t = (struct task *)(uintptr_t)value;
        t->stream = NULL;
        t->exited = false;
        streams_close(t);
        taskdir_remove(t);
    }
    for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
        io_timer_destroy(timers[i]);
    overview_stop(w);
    for (size_t i = 0; i < ARRAY_SIZE(w->signals); i++)
        io_signal_destroy(w->signals[i]);
    drop_launcher(w);
    notify_destroy(w);
    io_conn_destroy(w->conn);
    io_loop_destroy(w->loop);
    report_ack(w, UINT64_MAX);
    remove_work_dir(w);
    free(w->work_dir);
    pinner_destroy(w->pinner);
    alloc_destroy(w->alloc);
    u64map_release(&w->groups);
    u64map_release(&w->bodies);
    u64map_release(&w->tasks);
    u64map_release(&w->by_slot);
    placements_release(w);
    u64map_release(&w->free_slots);
    buf_release(&w->ends);
}

int worker_run(struct worker_setup *setup, struct error *err)
{
    struct worker w = {.setup = setup, .launcher = setup->launcher, .socket_fd = -1};
    list_init(&w.lanes);
    list_init(&w.seats);
    list_init(&w.fresh);
    list_init(&w.unwatched);
    list_init(&w.sent);
    list_init(&w.notify_conns);
    buf_init(&w.ends, BUF_MAX_DEFAULT);
    w.next_seq = 1;
    w.started_us = clock_mono_us();
    w.loop = io_loop_create();
    if (!w.loop)
        return error_nomem(err);
    int rc = set_up(&w, err);
    if (rc == 0) {
        try_connect(&w);
        io_loop_run(w.loop);
        rc = w.exit_rc;
        if (rc != 0)
            *err = w.exit_err;
    }
    defs_reset(&w);
    tear_down(&w);
    return rc;
}
