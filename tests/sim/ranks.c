/*
 * Simulated ranks: many connections of one process to a real server, each of which
 * registers, takes tasks, waits their time without running anything, and reports them
 * as a worker does.
 *
 *     ranks SERVER_DIR COUNT [--cpus N] [--task-us N] [--long-percent N] [--leave-ms N]
 *
 * --task-us       a task takes that long (0: it ends at once)
 * --long-percent  so many of them take six times as long
 * --leave-ms      so often a rank cuts its connection, and a new one joins
 *
 * Ends when the server dismisses the ranks or at SIGTERM, with one JSON line: tasks
 * that ended, ranks that left, and how long ranks without work waited for the next.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/vec.h"
#include "client/access.h"
#include "io/io.h"
#include "model/event.h"
#include "model/worker.h"
#include "wire/lists.h"

#define MUST(cond) ((cond) ? (void)0 : failed(#cond, __LINE__))
#define REJOIN_MS 50
#define CONNECTING_MAX 128 /* handshakes under way; the server bounds them too */

struct queued {
    uint32_t job, slot, count, instance;
};

struct lane {
    uint32_t class_id, grants;
    uint8_t variant;
    VEC(struct queued) queue; /* from `first` on */
    size_t first;
};

struct rank {
    struct io_conn *conn; /* NULL: not connected */
    uint32_t number, life;
    bool registered, dirty;
    VEC(struct lane) lanes;
    uint64_t seq;
    struct buf ends;
    struct task_end_writer writer;
    uint32_t n_ends;
    uint64_t dry_us; /* since then it has nothing to do and has said so */
};

static struct options {
    const char *server_dir;
    uint32_t count, cpus;
    uint64_t task_us, long_percent, leave_ms;
} options = {.cpus = 4};

static struct state {
    struct io_loop *loop;
    struct io_timer *ends, *rejoin, *leave;
    struct access_part access;
    struct rank *ranks;
    struct heap running; /* by end; payload: index in tasks */
    struct running {
        uint32_t rank, life, lane;
        struct queued task;
    } * tasks;
    VEC(uint32_t) unused;
    uint32_t n_tasks, n_connecting, next_start;
    VEC(struct rank *) dirty;
    VEC(uint64_t) waits_us;
    uint64_t done, left, random;
    bool stopping;
    uint32_t n_connected;
} state;

static _Noreturn void failed(const char *cond, int line)
{
    (void)fprintf(stderr, "ranks.c:%d: %s\n", line, cond);
    exit(1);
}

static uint64_t next_random(void)
{
    uint64_t z = (state.random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    return z ^ z >> 27;
}

static void mark_dirty(struct rank *r)
{
    if (r->dirty)
        return;
    r->dirty = true;
    MUST(vec_push(&state.dirty, r));
}

/* ---- tasks ----------------------------------------------------------------------- */

static struct lane *lane_of(struct rank *r, uint32_t class_id, uint8_t variant)
{
    for (size_t i = 0; i < r->lanes.len; i++)
        if (r->lanes.data[i].class_id == class_id &&
            r->lanes.data[i].variant == variant)
            return &r->lanes.data[i];
    struct lane l = {.class_id = class_id, .variant = variant};
    MUST(vec_push(&r->lanes, l));
    return &vec_last(&r->lanes);
}

static bool lane_pop(struct lane *l, uint32_t max, struct queued *out)
{
    if (l->first == l->queue.len)
        return false;
    struct queued *head = &l->queue.data[l->first];
    *out = *head;
    out->count = MIN(head->count, max);
    head->slot += out->count;
    head->count -= out->count;
    if (head->count == 0 && ++l->first == l->queue.len) {
        l->first = 0;
        vec_clear(&l->queue);
    }
    return true;
}

static void add_end(struct rank *r, const struct lane *l, const struct queued *q,
                    bool released)
{
    uint64_t now = clock_real_us();
    struct task_end e = {.job = q->job,
                         .slot = q->slot,
                         .instance = q->instance,
                         .state = TASK_FINISHED,
                         .variant = l->variant,
                         .started = true,
                         .released = released,
                         .start_us = now - options.task_us,
                         .end_us = now};
    if (r->n_ends == 0)
        task_end_writer_init(&r->writer, &r->ends);
    task_end_write_run(&r->writer, &e, q->count);
    r->n_ends += q->count;
    state.done += q->count;
    mark_dirty(r);
}

static void run_task(struct rank *r, size_t lane, struct queued task)
{
    if (state.unused.len == 0) {
        uint32_t old = state.n_tasks;
        state.n_tasks = old ? old * 2 : 1024;
        state.tasks = realloc(state.tasks, state.n_tasks * sizeof *state.tasks);
        MUST(state.tasks != NULL);
        for (uint32_t i = old; i < state.n_tasks; i++)
            MUST(vec_push(&state.unused, i));
    }
    uint32_t index = vec_last(&state.unused);
    state.unused.len--;
    state.tasks[index] = (struct running){r->number, r->life, (uint32_t)lane, task};
    bool takes_long = next_random() % 100 < options.long_percent;
    uint64_t end = clock_mono_us() + options.task_us * (takes_long ? 6 : 1);
    MUST(!heap_push(&state.running, (struct heap_item){end, index, index}));
}

static void arm_ends(void)
{
    const struct heap_item *first = heap_peek(&state.running);
    uint64_t now = clock_mono_us();
    if (first)
        io_timer_start(state.ends,
                       first->high > now ? (first->high - now + 999) / 1000 : 0, 0);
}

static void on_ends(void *arg)
{
    struct heap_item item;
    (void)arg;
    while (heap_peek(&state.running) &&
           heap_peek(&state.running)->high <= clock_mono_us()) {
        (void)heap_pop(&state.running, &item);
        struct running done = state.tasks[item.payload], next = done;
        struct rank *r = &state.ranks[done.rank];
        MUST(vec_push(&state.unused, (uint32_t)item.payload));
        if (!r->registered || r->life != done.life)
            continue; /* it left meanwhile */
        struct lane *l = &r->lanes.data[done.lane];
        bool more = lane_pop(l, 1, &next.task);
        add_end(r, l, &done.task, !more);
        if (more)
            run_task(r, done.lane, next.task);
        else if (--l->grants == 0)
            r->dry_us = clock_mono_us();
    }
    arm_ends();
}

/* Without a duration all tasks end at once; the last ones free their allocations. */
static uint32_t end_all(struct rank *r, struct lane *l, uint32_t grants)
{
    struct queued q;
    uint64_t waiting = 0;
    for (size_t i = l->first; i < l->queue.len; i++)
        waiting += l->queue.data[i].count;
    while (lane_pop(l, UINT32_MAX, &q)) {
        uint64_t behind = waiting - q.count;
        uint32_t last = behind < grants ? (uint32_t)MIN(q.count, grants - behind) : 0;
        waiting = behind;
        grants -= last;
        struct queued head = q;
        head.count -= last;
        if (head.count)
            add_end(r, l, &head, false);
        q.slot += head.count;
        q.count = last;
        if (last)
            add_end(r, l, &q, true);
    }
    return grants;
}

static uint32_t start_granted(struct rank *r, struct lane *l, uint32_t grants)
{
    struct queued q;
    while (grants && lane_pop(l, 1, &q)) {
        run_task(r, (size_t)(l - r->lanes.data), q);
        l->grants++;
        grants--;
    }
    arm_ends();
    return grants;
}

/* ---- messages -------------------------------------------------------------------- */

static void on_assign(struct rank *r, const struct msg_TASKS_ASSIGN *m)
{
    struct lane *l = lane_of(r, m->class_id, m->variant);
    struct cursor c = cursor_make(m->runs.p, m->runs.n);
    struct assigned_run run;
    while (assigned_run_get(&c, &run)) {
        MUST(!run.entries);
        struct queued q = {run.job, run.slot, run.count, run.instance};
        MUST(vec_push(&l->queue, q));
    }
    MUST(!c.failed);
    if (m->grants && r->dry_us) {
        MUST(vec_push(&state.waits_us, clock_mono_us() - r->dry_us));
        r->dry_us = 0;
    }
    uint32_t left =
        options.task_us ? start_granted(r, l, m->grants) : end_all(r, l, m->grants);
    struct msg_GRANTS_REFUSED refused = {
        .class_id = m->class_id, .variant = m->variant, .count = left};
    if (left)
        msg_put_GRANTS_REFUSED(io_conn_batch(r->conn), &refused);
}

static void flush(struct rank *r)
{
    r->dirty = false;
    if (!r->registered || r->n_ends == 0)
        return;
    task_end_writer_finish(&r->writer);
    struct msg_TASKS_ENDED m = {.seq = r->seq++, .ends = span_buf(&r->ends)};
    msg_put_TASKS_ENDED(io_conn_batch(r->conn), &m);
    buf_clear(&r->ends);
    r->n_ends = 0;
}

static void on_retract(struct rank *r, const struct msg_TASKS_RETRACT *m)
{
    struct lane *l = lane_of(r, m->class_id, m->variant);
    struct buf runs = BUF_INIT(BUF_MAX_DEFAULT);
    flush(r); /* ends come before the answer */
    for (uint32_t left = m->max_count; left && l->first < l->queue.len;) {
        struct queued *tail = &vec_last(&l->queue);
        uint32_t n = MIN(left, tail->count);
        tail->count -= n;
        left -= n;
        struct slot_run back = {tail->job, tail->slot + tail->count, n};
        slot_run_put(&runs, &back);
        if (tail->count == 0)
            l->queue.len--;
    }
    if (l->first >= l->queue.len) {
        l->first = 0;
        vec_clear(&l->queue);
    }
    struct msg_TASKS_RETRACTED answer = {
        .class_id = m->class_id, .variant = m->variant, .runs = span_buf(&runs)};
    msg_put_TASKS_RETRACTED(io_conn_batch(r->conn), &answer);
    buf_release(&runs);
}

static void forget_work(struct rank *r)
{
    for (size_t i = 0; i < r->lanes.len; i++)
        vec_release(&r->lanes.data[i].queue);
    vec_clear(&r->lanes);
    buf_clear(&r->ends);
    r->n_ends = 0;
    r->seq = 1;
    r->dry_us = 0;
    r->life++;
    r->registered = false;
    r->conn = NULL;
}

static void gone(struct rank *r)
{
    state.n_connecting -= !r->registered;
    state.n_connected -= r->registered;
    forget_work(r);
    if (state.stopping && state.n_connected == 0)
        io_loop_stop(state.loop);
}

static void on_message(struct io_conn *c, uint8_t type, struct span body)
{
    struct rank *r = io_conn_arg(c);
    struct error err = ERROR_INIT;
    struct msg_TASKS_ASSIGN assign;
    struct msg_TASKS_RETRACT retract;
    if (type == MSG_WORKER_REGISTERED) {
        r->registered = true;
        state.n_connecting--;
        state.n_connected++;
    } else if (type == MSG_TASKS_ASSIGN) {
        MUST(!msg_get_TASKS_ASSIGN(body, &assign, &err));
        on_assign(r, &assign);
    } else if (type == MSG_TASKS_RETRACT) {
        MUST(!msg_get_TASKS_RETRACT(body, &retract, &err));
        on_retract(r, &retract);
    } else if (type == MSG_WORKER_STOP) {
        state.stopping = true;
        io_conn_finish(c);
    } else if (type == MSG_RSP_ERROR) {
        failed("the server refuses the rank", __LINE__);
    }
}

static void on_open(struct io_conn *c, void *arg)
{
    struct rank *r = arg;
    struct worker_config config;
    struct buf encoded = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    struct pool pool = POOL_INIT;
    char text[64], host[32];
    worker_config_init(&config);
    (void)snprintf(text, sizeof text, "cpus=range(0-%u)", options.cpus - 1);
    (void)snprintf(host, sizeof host, "rank%u", r->number);
    config.hostname = strdup(host);
    config.group = strdup("default");
    config.work_dir = strdup("/");
    config.listen_address = strdup("rank:0");
    config.version = strdup("0");
    config.heartbeat_ns = 3600000000000u;
    channel_random(config.token, sizeof config.token);
    MUST(!pool_parse(text, &pool, &err) && !pool_set_add(&config.pools, &pool, &err) &&
         !pool_set_finish(&config.pools, &err));
    worker_config_encode(&config, &encoded);
    struct msg_WORKER_REGISTER m = {
        .config = span_buf(&encoded), .first_seq = 1, .next_seq = 1};
    msg_put_WORKER_REGISTER(io_conn_batch(c), &m);
    buf_release(&encoded);
    worker_config_release(&config);
}

static void on_close(struct io_conn *c, const struct error *err)
{
    (void)err;
    gone(io_conn_arg(c));
}

static const struct io_conn_ops ops = {on_open, on_message, on_close, NULL};

/* ---- joining and leaving --------------------------------------------------------- */

static void on_rejoin(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < options.count && !state.stopping; i++) {
        struct rank *r = &state.ranks[state.next_start++ % options.count];
        struct error err = ERROR_INIT;
        if (state.n_connecting >= CONNECTING_MAX)
            break;
        if (r->conn)
            continue;
        MUST(!io_connect(state.loop, state.access.host, state.access.port, ROLE_WORKER,
                         state.access.has_key ? state.access.key : NULL, &ops, r,
                         &r->conn, &err));
        state.n_connecting++;
    }
}

static void on_leave(void *arg)
{
    (void)arg;
    struct rank *r = &state.ranks[next_random() % options.count];
    if (!r->registered || state.stopping)
        return;
    io_conn_destroy(r->conn);
    gone(r);
    state.left++;
}

static void on_round(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < state.dirty.len; i++)
        flush(state.dirty.data[i]);
    vec_clear(&state.dirty);
}

static void on_signal(void *arg, int signum)
{
    (void)arg;
    (void)signum;
    io_loop_stop(state.loop);
}

/* ---- start and end --------------------------------------------------------------- */

static void read_options(int argc, char **argv)
{
    MUST(argc >= 3);
    options.server_dir = argv[1];
    options.count = (uint32_t)strtoul(argv[2], NULL, 10);
    for (int i = 3; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--cpus"))
            options.cpus = (uint32_t)value;
        else if (!strcmp(argv[i], "--task-us"))
            options.task_us = value;
        else if (!strcmp(argv[i], "--long-percent"))
            options.long_percent = value;
        else if (!strcmp(argv[i], "--leave-ms"))
            options.leave_ms = value;
        else
            failed("known option", __LINE__);
    }
    MUST(options.count > 0 && options.cpus > 0);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_result(void)
{
    size_t n = state.waits_us.len;
    uint64_t *waits = state.waits_us.data;
    if (n)
        qsort(waits, n, sizeof *waits, by_value);
    (void)printf("{\"done\": %" PRIu64 ", \"left\": %" PRIu64
                 ", \"waits\": %zu, \"wait_p50_us\": %" PRIu64
                 ", \"wait_p99_us\": %" PRIu64 ", \"wait_max_us\": %" PRIu64 "}\n",
                 state.done, state.left, n, n ? waits[n / 2] : 0,
                 n ? waits[n - 1 - n / 100] : 0, n ? waits[n - 1] : 0);
}

static void release(struct io_signal *term)
{
    for (uint32_t i = 0; i < options.count; i++) {
        if (state.ranks[i].conn)
            io_conn_destroy(state.ranks[i].conn);
        forget_work(&state.ranks[i]);
        vec_release(&state.ranks[i].lanes);
        buf_release(&state.ranks[i].ends);
    }
    io_signal_destroy(term);
    io_timer_destroy(state.ends);
    io_timer_destroy(state.rejoin);
    io_timer_destroy(state.leave);
    io_loop_destroy(state.loop);
    heap_release(&state.running);
    vec_release(&state.unused);
    vec_release(&state.dirty);
    vec_release(&state.waits_us);
    free(state.tasks);
    free(state.ranks);
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    read_options(argc, argv);
    if (access_worker(options.server_dir, &state.access, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    state.loop = io_loop_create();
    state.ranks = calloc(options.count, sizeof *state.ranks);
    MUST(state.loop && state.ranks);
    for (uint32_t i = 0; i < options.count; i++) {
        state.ranks[i].number = i;
        state.ranks[i].seq = 1;
        buf_init(&state.ranks[i].ends, BUF_MAX_DEFAULT);
    }
    channel_random(&state.random, sizeof state.random);
    struct io_signal *term = io_signal_create(state.loop, SIGTERM, on_signal, NULL);
    state.ends = io_timer_create(state.loop, on_ends, NULL);
    state.rejoin = io_timer_create(state.loop, on_rejoin, NULL);
    state.leave = io_timer_create(state.loop, on_leave, NULL);
    io_loop_on_round(state.loop, on_round, NULL);
    io_timer_start(state.rejoin, 0, REJOIN_MS);
    if (options.leave_ms)
        io_timer_start(state.leave, options.leave_ms, options.leave_ms);
    io_loop_run(state.loop);
    print_result();
    release(term);
    return 0;
}
