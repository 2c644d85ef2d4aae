/*
 * Queues under seeded histories: a batch system that lets allocations wait, start, fail
 * or vanish, workers that come and go, clients that pause and resume, submissions that
 * fail. After every step:
 *
 *   - no more allocations wait than the backlog allows, no queue has more workers than
 *     its limit, and no allocation more than it may have;
 *   - nothing is submitted while a queue is paused, sooner after a failure than the
 * delay of its level says, or beyond what could be used;
 *   - a book that is made from the encoded events is the same.
 *
 *     sim_autoalloc [first seed [number of seeds]]
 *
 * The batch system speaks through a table of operations as Slurm and PBS do.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "autoalloc/policy.h"
#include "base/xmem.h"
#include "model/event.h"

#define SEEDS 300
#define STEPS 600
#define QUEUES 3
#define STEP_US 7000000ULL
#define FAILS_MAX 3

static uint64_t seed, random_state;

#define CHECK(cond)                                                                  \
    do {                                                                             \
        if (!(cond)) {                                                               \
            (void)fprintf(stderr, "seed %" PRIu64 ", line %d: %s\n", seed, __LINE__, \
                          #cond);                                                    \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

static uint64_t random_u64(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(random_u64() % n);
}

static bool chance(uint32_t percent)
{
    return below(100) < percent;
}

/* ---- the batch system -------------------------------------------------------------
 */

enum sim_job_state { SIM_WAITS, SIM_RUNS, SIM_DONE, SIM_BAD, SIM_UNKNOWN };
static const char sim_letters[] = "WRDBU";

struct sim_job {
    enum sim_job_state state;
    uint32_t nodes;
};

static VEC(struct sim_job) jobs;

static void sim_script(const struct batch_script *s, struct buf *out)
{
    buf_printf(out, "%u", s->workers);
}

static int sim_read_id(struct span out, char **id, struct error *err)
{
    if (out.n < 2 || out.p[0] != '#')
        return error_set(err, ERR_PARSE, "no id");
    *id = xstrndup((const char *)out.p + 1, out.n - 1);
    return 0;
}

static int sim_read_status(const struct batch_answer *a, const char *const *ids,
                           size_t n, struct batch_status *out, struct error *err)
{
    static const enum batch_state states[] = {BATCH_QUEUED, BATCH_RUNNING,
                                              BATCH_FINISHED, BATCH_FAILED, BATCH_GONE};
    (void)ids;
    CHECK(n == 1);
    const char *at = a->ok && a->out.n == 1 ? strchr(sim_letters, a->out.p[0]) : NULL;
    if (!at)
        return error_set(err, ERR_PARSE, "no state");
    *out = (struct batch_status){.state = states[at - sim_letters]};
    return 0;
}

static const struct batch_ops sim_batch = {.word = "sim",
                                           .ids_max = 1,
                                           .script = sim_script,
                                           .read_id = sim_read_id,
                                           .read_status = sim_read_status};

/* The answer to a submission of the script; empty: refused. */
static void sim_submit(const char *script, struct buf *out)
{
    CHECK(vec_push(&jobs, ((struct sim_job){SIM_WAITS, (uint32_t)atoi(script)})));
    buf_printf(out, "#%zu", jobs.len);
}

static struct sim_job *sim_job(const char *id)
{
    return &jobs.data[atoi(id) - 1];
}

/* ---- the history -------------------------------------------------------------------
 */

static struct alloc_book book, replayed;
static uint64_t now_us;

/* What this file knows of a queue by itself. */
struct shadow {
    uint64_t round_us; /* the last one that submitted something */
    uint32_t level, submit_fails, alloc_fails, barren;
    bool any;
};
static struct shadow shadows[QUEUES + 1];

static const uint64_t minutes[] = {0, 1, 15, 30, 60};

static void level_up(struct shadow *s)
{
    s->level = MIN(s->level + 1, (uint32_t)ARRAY_SIZE(minutes) - 1);
}

/* Applies an event to both books, to one through its bytes. */
static struct allocation *tell(enum event_type type, uint32_t queue,
                               const struct alloc_event *e)
{
    struct buf b = BUF_INIT(4096);
    struct alloc_event got;
    struct allocation *a = NULL;
    if (type == EVENT_ALLOC_QUEUED)
        alloc_queued_encode(e, &b);
    else if (type == EVENT_ALLOC_STARTED)
        alloc_started_encode(e, &b);
    else
        alloc_ended_encode(e, &b);
    struct cursor c = cursor_make(b.data, b.len);
    if (type == EVENT_ALLOC_QUEUED) {
        CHECK(alloc_queued_decode(&got, &c));
        a = alloc_apply_queued(&book, queue, e, now_us);
        (void)alloc_apply_queued(&replayed, queue, &got, now_us);
    } else if (type == EVENT_ALLOC_STARTED) {
        CHECK(alloc_started_decode(&got, &c));
        a = alloc_apply_started(&book, queue, e);
        (void)alloc_apply_started(&replayed, queue, &got);
    } else {
        CHECK(alloc_ended_decode(&got, &c));
        a = alloc_apply_ended(&book, queue, e);
        (void)alloc_apply_ended(&replayed, queue, &got);
    }
    CHECK(a && c.p == c.end);
    buf_release(&b);
    return a;
}

static void set_state(struct alloc_queue *q, enum alloc_queue_state state)
{
    alloc_apply_state(&book, q->id, state);
    alloc_apply_state(&replayed, q->id, state);
}

static void judge(struct alloc_queue *q)
{
    struct shadow *s = &shadows[q->id];
    enum alloc_queue_state verdict = alloc_verdict(q, FAILS_MAX);
    CHECK((verdict == QUEUE_ACTIVE) ==
          (s->submit_fails < ALLOC_SUBMIT_FAILS_MAX && s->alloc_fails < FAILS_MAX));
    if (verdict != QUEUE_ACTIVE && q->state == QUEUE_ACTIVE)
        set_state(q, verdict);
}

static struct alloc_event event_of(const struct allocation *a)
{
    return (struct alloc_event){.id = {(const uint8_t *)a->id, strlen(a->id)},
                                .started_us = a->started_us ? a->started_us : now_us,
                                .ended_us = now_us};
}

static void go_to(struct alloc_queue *q, struct allocation *a, enum alloc_state state)
{
    struct shadow *s = &shadows[q->id];
    struct alloc_event e = event_of(a);
    if (state == a->state)
        return;
    if (state == ALLOC_RUNNING) {
        (void)tell(EVENT_ALLOC_STARTED, q->id, &e);
        a->running_us = now_us;
        return;
    }
    e.state = (uint8_t)state;
    (void)tell(EVENT_ALLOC_ENDED, q->id, &e);
    alloc_outcome(q, a);
    s->barren = state == ALLOC_FINISHED && !a->had_worker ? s->barren + 1 : 0;
    if (state == ALLOC_FINISHED && s->barren <= 10)
        s->alloc_fails = s->level = 0;
    else {
        s->alloc_fails++;
        level_up(s);
    }
    judge(q);
}

/* ---- steps -------------------------------------------------------------------------
 */

static bool submit(struct alloc_queue *q, uint32_t size)
{
    struct shadow *s = &shadows[q->id];
    struct buf script = BUF_INIT(4096), answer = BUF_INIT(4096);
    const struct batch_script bs = {.params = &q->params, .workers = size};
    struct error err = ERROR_INIT;
    char *id = NULL;
    sim_batch.script(&bs, &script);
    if (!chance(15))
        sim_submit(buf_cstr(&script), &answer);
    bool ok = sim_batch.read_id((struct span){answer.data, answer.len}, &id, &err) == 0;
    if (ok) {
        struct alloc_event e = {.id = {(const uint8_t *)id, strlen(id)},
                                .workers = size,
                                .dir = {(const uint8_t *)"/d", 2}};
        (void)tell(EVENT_ALLOC_QUEUED, q->id, &e);
        s->submit_fails = 0;
        s->level = s->alloc_fails ? s->level : 0;
    } else {
        s->submit_fails++;
        level_up(s);
    }
    alloc_submit_ended(q, ok);
    judge(q);
    free(id);
    buf_release(&script);
    buf_release(&answer);
    return ok;
}

/* Workers on their way when the round began, by the rules alone. */
static uint64_t on_the_way(const struct alloc_queue *q)
{
    uint64_t n = 0;
    for (size_t i = 0; i < q->allocs.len; i++)
        if (q->allocs.data[i]->state == ALLOC_QUEUED)
            n += q->allocs.data[i]->workers;
    return n;
}

static void demand_step(struct alloc_queue *q)
{
    struct shadow *s = &shadows[q->id];
    struct gang_demand gangs[2] = {{2, below(3)}, {4, below(2)}};
    const struct alloc_demand d = {chance(30) ? 0 : below(12), gangs, below(3)};
    uint32_t sizes[16];
    uint64_t coming = on_the_way(q), gang_workers = 0, sum = 0;
    bool active = q->state == QUEUE_ACTIVE;
    size_t n = alloc_plan(q, &d, now_us, sizes, ARRAY_SIZE(sizes));
    for (size_t i = 0; i < d.n_gangs; i++)
        gang_workers += gangs[i].n_nodes * gangs[i].n_tasks;
    if (!n)
        return;
    CHECK(active);
    CHECK(!s->any || now_us >= s->round_us + minutes[s->level] * 60000000);
    s->any = true;
    s->round_us = now_us;
    alloc_round_began(q, now_us);
    for (size_t i = 0; i < n; i++) {
        CHECK(sizes[i] >= 1 && sizes[i] <= q->params.max_workers_per_alloc);
        sum += sizes[i];
    }
    CHECK(sum <= d.n_workers + gang_workers);
    /* Without gangs it is exact, unless a limit is in the way. */
    if (!gang_workers)
        CHECK(sum + coming <= MAX(d.n_workers, coming));
    for (size_t i = 0; i < n && q->state == QUEUE_ACTIVE; i++)
        if (!submit(q, sizes[i]))
            break;
}

static void batch_step(struct sim_job *j)
{
    if (j->state == SIM_WAITS && chance(10))
        j->state = chance(85) ? SIM_RUNS : SIM_BAD;
    else if (j->state == SIM_RUNS && chance(5))
        j->state = chance(70) ? SIM_DONE : chance(50) ? SIM_BAD : SIM_UNKNOWN;
}

static void look_step(struct alloc_queue *q, struct allocation *a)
{
    char letter = sim_letters[sim_job(a->id)->state];
    const struct batch_answer answer = {.ok = chance(80),
                                        .out = {(const uint8_t *)&letter, 1}};
    const char *id = a->id;
    struct error err = ERROR_INIT;
    struct batch_status st = {.state = BATCH_ERROR};
    if (sim_batch.read_status(&answer, &id, 1, &st, &err) != 0)
        st = (struct batch_status){.state = BATCH_ERROR};
    go_to(q, a, alloc_after_status(a, st.state));
}

static void worker_step(struct alloc_queue *q, struct allocation *a)
{
    struct sim_job *j = sim_job(a->id);
    if (!allocation_active(a))
        return;
    if (j->state == SIM_RUNS && a->n_joined < a->workers && chance(50)) {
        a->n_joined++;
        a->had_worker = true;
        go_to(q, a, ALLOC_RUNNING);
    } else if (a->n_left < a->n_joined && (j->state != SIM_RUNS || chance(5))) {
        a->n_left++;
        a->n_crashed += chance(30);
        go_to(q, a, alloc_after_worker_lost(a));
    }
}

static void client_step(struct alloc_queue *q)
{
    if (chance(97))
        return;
    if (chance(30)) {
        set_state(q, QUEUE_PAUSED);
        return;
    }
    set_state(q, QUEUE_ACTIVE);
    alloc_forgive(q);
    shadows[q->id] = (struct shadow){0};
}

static void compare(const struct alloc_queue *a, const struct alloc_queue *b)
{
    CHECK(a->state == b->state && a->allocs.len == b->allocs.len &&
          a->n_ended == b->n_ended);
    for (size_t i = 0; i < a->allocs.len; i++) {
        const struct allocation *x = a->allocs.data[i], *y = b->allocs.data[i];
        CHECK(strcmp(x->id, y->id) == 0 && x->state == y->state &&
              x->workers == y->workers && x->queued_us == y->queued_us &&
              x->started_us == y->started_us && x->ended_us == y->ended_us);
    }
}

static void sanity_check(void)
{
    for (size_t i = 0; i < book.queues.len; i++) {
        const struct alloc_queue *q = book.queues.data[i];
        size_t ended = 0;
        CHECK(alloc_queue_waiting(q) <= q->params.backlog);
        CHECK(!q->params.max_worker_count ||
              alloc_queue_workers(q) <= q->params.max_worker_count);
        for (size_t k = 0; k < q->allocs.len; k++) {
            const struct allocation *a = q->allocs.data[k];
            ended += !allocation_active(a);
            CHECK(a->n_left <= a->n_joined && a->n_crashed <= a->n_left);
            CHECK(a->workers <= q->params.max_workers_per_alloc);
        }
        CHECK(ended == q->n_ended && ended <= ALLOC_ENDED_KEPT);
        compare(q, replayed.queues.data[i]);
    }
}

static void add_queue(uint32_t id)
{
    struct alloc_params p;
    alloc_params_init(&p);
    p.manager = MANAGER_SLURM;
    p.time_limit_ns = 1;
    p.backlog = 1 + below(4);
    p.max_workers_per_alloc = 1 + below(4);
    p.max_worker_count = chance(50) ? 0 : 1 + below(8);
    struct alloc_params copy = p; /* nothing in it is owned */
    alloc_apply_queue(&book, id, &p);
    alloc_apply_queue(&replayed, id, &copy);
}

static void step_queue(struct alloc_queue *q)
{
    bool look = chance(20);
    for (size_t i = 0; i < q->allocs.len; i++) {
        worker_step(q, q->allocs.data[i]);
        if (look && allocation_active(q->allocs.data[i]))
            look_step(q, q->allocs.data[i]);
    }
    demand_step(q);
    client_step(q);
}

/* Returns how many allocations there were. */
static size_t run(void)
{
    random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    now_us = 1000;
    memset(shadows, 0, sizeof shadows);
    for (uint32_t id = 1; id <= QUEUES; id++)
        add_queue(id);
    for (int i = 0; i < STEPS; i++) {
        now_us += 1 + random_u64() % STEP_US;
        if (chance(1)) /* a quiet hour, so that delays end */
            now_us += 3600000000ULL;
        for (size_t k = 0; k < jobs.len; k++)
            batch_step(&jobs.data[k]);
        for (size_t k = 0; k < book.queues.len; k++)
            step_queue(book.queues.data[k]);
        sanity_check();
    }
    size_t n = jobs.len;
    alloc_book_release(&book);
    alloc_book_release(&replayed);
    book = replayed = (struct alloc_book){0};
    vec_release(&jobs);
    return n;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : SEEDS;
    size_t allocations = 0;
    for (seed = first; seed < first + n; seed++)
        allocations += run();
    /* A history without any would check nothing. */
    CHECK(allocations >= 5 * n);
    printf("%" PRIu64 " histories, %zu allocations\n", n, allocations);
    return 0;
}
