/*
 * What a decision costs: the scheduler alone, with thousands of workers that answer at
 * once, on one million tasks. Prints CPU time per assigned task, all calls included,
 * and the longest step; fails only when a task is lost or done twice.
 *
 *     sim_scale [tasks of a case]     few by default; 1000000 to measure
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/vec.h"
#include "sched/sched.h"

#define CLASSES_MAX 64
#define LANES_MAX (CLASSES_MAX * 2)
#define ROUND_US 10000
#define BATCH 50 /* workers that report before a step, */
#define FEW 16   /* or single tasks */

#define CHECK(cond) ((cond) ? (void)0 : failed(#cond, __LINE__))

struct scale {
    const char *name;
    uint32_t n_workers, n_classes, n_variants;
    uint32_t n_priorities; /* of the classes; 0: each task has its own */
    bool singly;           /* each end is a report, a step follows every few */
};

static const struct scale cases[] = {
    {"16 workers, 1 class", 16, 1, 1, 1, false},
    {"16 workers, 1 class, one by one", 16, 1, 1, 1, true},
    {"10 workers, one by one", 10, 1, 1, 1, true},
    {"100 workers, one by one", 100, 1, 1, 1, true},
    {"1000 workers, one by one", 1000, 1, 1, 1, true},
    {"10000 workers, one by one", 10000, 1, 1, 1, true},
    {"1000 workers, 64 classes of 2 variants", 1000, 64, 2, 1, false},
    {"the same, one by one", 1000, 64, 2, 1, true},
    {"1000 workers, 64 classes, 8 priorities", 1000, 64, 2, 8, false},
    {"the same, one by one", 1000, 64, 2, 8, true},
    {"1 worker, no two priorities alike", 1, 1, 1, 0, true},
    {"1000 workers, no two priorities alike", 1000, 1, 1, 0, true},
    {"1000 workers, 64 classes, the same", 1000, 64, 2, 0, true},
};

struct lane {
    uint32_t class_id;
    uint8_t variant;
    VEC(struct task_run) queue; /* unstarted, from `first` on */
    size_t first;
    VEC(struct task_run) running; /* one task a run */
};

struct worker {
    VEC(struct lane) lanes;
};

/* Tasks of one lane that ended. */
struct report {
    uint32_t worker, job, slot, count, released;
};

struct bench {
    const struct scale *scale;
    struct sched *sched;
    struct worker *workers;
    uint8_t *done[CLASSES_MAX]; /* by task */
    VEC(struct report) reports;
    uint64_t n_done, n_tasks, granted, moved, now_us;
    uint64_t spent_ns, step_ns, worst_ns; /* CPU time of all calls, of steps */
    VEC(uint64_t) wall_ns;                /* of every step */
};

static const struct bench *current;

static _Noreturn void failed(const char *cond, int line)
{
    (void)fprintf(stderr, "%s, line %d: %s\n", current ? current->scale->name : "",
                  line, cond);
    exit(1);
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_worker(struct bench *b, uint32_t id)
{
    static const char *const words[] = {"cpus=range(0-15)", "gpus=range(0-3)",
                                        "mem=sum(64)"};
    struct pool_set set = POOL_SET_INIT;
    struct error err;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        struct pool p = POOL_INIT;
        CHECK(!pool_parse(words[i], &p, &err) && !pool_set_add(&set, &p, &err));
    }
    CHECK(!pool_set_finish(&set, &err));
    sched_worker_add(b->sched, &(struct sched_worker){id, &set, "default", 0, 0}, 0);
    pool_set_release(&set);
}

/* Variant 0 wants memory or a GPU too, variant 1 cpus alone. */
static uint32_t add_class(struct bench *b, uint32_t i)
{
    struct request r = REQUEST_INIT;
    struct error err;
    for (uint32_t v = 0; v < b->scale->n_variants; v++) {
        struct request_variant variant = REQUEST_VARIANT_INIT;
        uint64_t cpus = 1 + (i + v) % 4;
        CHECK(!request_variant_add(&variant, "cpus", POLICY_COMPACT, cpus * AMOUNT_ONE,
                                   &err));
        if (v == 0 && i % 4 == 3)
            CHECK(!request_variant_add(&variant, "gpus", POLICY_COMPACT, AMOUNT_ONE,
                                       &err));
        if (v == 0 && i > 0)
            CHECK(!request_variant_add(&variant, "mem", POLICY_COMPACT,
                                       (1 + i) * AMOUNT_ONE / 8, &err));
        CHECK(!request_add(&r, &variant, &err));
    }
    uint32_t id = sched_class(b->sched, &r, 0);
    CHECK(id == i);
    request_release(&r);
    return id;
}

static struct lane *lane_of(struct worker *w, uint32_t class_id, uint8_t variant)
{
    for (size_t i = 0; i < w->lanes.len; i++)
        if (w->lanes.data[i].class_id == class_id &&
            w->lanes.data[i].variant == variant)
            return &w->lanes.data[i];
    struct lane l = {.class_id = class_id, .variant = variant};
    CHECK(vec_push(&w->lanes, l));
    return &vec_last(&w->lanes);
}

static bool lane_pop(struct lane *l, struct task_run *task)
{
    if (l->first == l->queue.len)
        return false;
    struct task_run *head = &l->queue.data[l->first];
    *task = *head;
    task->count = 1;
    head->slot++;
    if (--head->count == 0 && ++l->first == l->queue.len) {
        l->first = 0;
        vec_clear(&l->queue);
    }
    return true;
}

static void put_report(struct bench *b, struct report r)
{
    CHECK(vec_push(&b->reports, r));
}

static void apply_assign(struct bench *b, const struct sched_assign *a)
{
    struct lane *l = lane_of(&b->workers[a->worker], a->class_id, a->variant);
    struct task_run task;
    for (size_t k = 0; k < a->n_runs; k++)
        CHECK(vec_push(&l->queue, a->runs[k]));
    for (uint32_t g = 0; g < a->grants; g++) {
        CHECK(lane_pop(l, &task));
        CHECK(vec_push(&l->running, task));
    }
    b->granted += a->grants;
}

static void apply_retract(struct bench *b, const struct sched_retract *r)
{
    struct lane *l = lane_of(&b->workers[r->worker], r->class_id, r->variant);
    struct task_run back[SCHED_WINDOW_MAX];
    size_t n = 0;
    for (uint32_t left = r->max_count; left && l->first < l->queue.len;) {
        struct task_run *tail = &vec_last(&l->queue);
        uint32_t take = MIN(left, tail->count);
        tail->count -= take;
        left -= take;
        back[n++] = (struct task_run){tail->job, tail->slot + tail->count, take,
                                      tail->priority};
        if (tail->count == 0)
            l->queue.len--;
    }
    if (l->first == l->queue.len) {
        l->first = 0;
        vec_clear(&l->queue);
    }
    sched_retracted(b->sched, r->worker, r->class_id, r->variant, back, n);
    b->moved += r->max_count;
}

static void step(struct bench *b)
{
    struct sched_out out;
    do {
        uint64_t wall = clock_ns(CLOCK_MONOTONIC);
        uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        sched_step(b->sched, b->now_us, &out);
        uint64_t took = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
        wall = clock_ns(CLOCK_MONOTONIC) - wall;
        CHECK(vec_push(&b->wall_ns, wall));
        b->spent_ns += took;
        b->step_ns += took;
        b->worst_ns = MAX(b->worst_ns, took);
        /* The arrays are valid until the next call: answers to retracts come last. */
        struct sched_retract *retracts =
            malloc((out.n_retracts + 1) * sizeof *retracts);
        CHECK(retracts != NULL);
        if (out.n_retracts)
            memcpy(retracts, out.retracts, out.n_retracts * sizeof *retracts);
        for (size_t i = 0; i < out.n_assigns; i++)
            apply_assign(b, &out.assigns[i]);
        for (size_t i = 0; i < out.n_retracts; i++)
            apply_retract(b, &retracts[i]);
        free(retracts);
    } while (out.more);
}

/* All running tasks of the lane end, and the next ones start; the last ones free their
 * allocations. */
static void end_lane(struct bench *b, uint32_t worker, struct lane *l)
{
    size_t n = l->running.len, waiting = 0;
    for (size_t i = l->first; i < l->queue.len; i++)
        waiting += l->queue.data[i].count;
    size_t go_on = MIN(n, waiting);
    struct report r = {.worker = worker};
    for (size_t i = 0; i < n; i++) {
        struct task_run *t = &l->running.data[i], next;
        CHECK(!b->done[t->job][t->slot]);
        b->done[t->job][t->slot] = 1;
        b->n_done++;
        if (r.count &&
            (b->scale->singly || r.job != t->job || r.slot + r.count != t->slot)) {
            put_report(b, r);
            r.count = 0;
        }
        if (!r.count)
            r = (struct report){worker, t->job, t->slot, 0, 0};
        r.count++;
        r.released += i >= go_on;
        if (i < go_on) {
            CHECK(lane_pop(l, &next));
            *t = next;
        }
    }
    if (r.count)
        put_report(b, r);
    l->running.len = go_on;
    b->granted -= n - go_on;
}

static void send_some(struct bench *b, size_t from, size_t to)
{
    uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = from; i < to; i++) {
        const struct report *r = &b->reports.data[i];
        sched_done(b->sched, r->worker, r->job, r->slot, r->count, r->released,
                   (uint64_t)r->count * ROUND_US, b->now_us);
    }
    b->spent_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    step(b);
}

/* What a step sends to a worker meets the state behind all of its reports. */
static void send_reports(struct bench *b)
{
    size_t few = b->scale->singly ? FEW : b->reports.len + 1;
    for (size_t i = 0; i < b->reports.len; i += few)
        send_some(b, i, MIN(i + few, b->reports.len));
    vec_clear(&b->reports);
}

static void run(struct bench *b)
{
    step(b);
    while (b->n_done < b->n_tasks) {
        uint64_t before = b->n_done;
        b->now_us += ROUND_US;
        for (uint32_t id = 1; id <= b->scale->n_workers; id++) {
            struct worker *w = &b->workers[id];
            for (size_t i = 0; i < w->lanes.len; i++)
                end_lane(b, id, &w->lanes.data[i]);
            if (id % BATCH == 0 || id == b->scale->n_workers) {
                send_reports(b);
            }
        }
        CHECK(b->n_done > before);
    }
    CHECK(b->granted == 0 && sched_waiting(b->sched) == 0);
    sched_sanity_check(b->sched);
}

static int by_value(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

static void release(struct bench *b)
{
    for (uint32_t id = 1; id <= b->scale->n_workers; id++) {
        for (size_t i = 0; i < b->workers[id].lanes.len; i++) {
            vec_release(&b->workers[id].lanes.data[i].queue);
            vec_release(&b->workers[id].lanes.data[i].running);
        }
        vec_release(&b->workers[id].lanes);
    }
    for (uint32_t i = 0; i < b->scale->n_classes; i++)
        free(b->done[i]);
    free(b->workers);
    vec_release(&b->reports);
    vec_release(&b->wall_ns);
    sched_destroy(b->sched);
}

/* The last task comes first in the class, where each has a priority of its own. */
static void make_ready(struct bench *b, uint32_t i, uint32_t n_tasks)
{
    uint32_t class_id = add_class(b, i), n_priorities = b->scale->n_priorities;
    uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t slot = 0; slot < n_tasks && !n_priorities; slot++)
        sched_ready(b->sched, class_id, (int32_t)slot, i, slot, 1);
    if (n_priorities)
        sched_ready(b->sched, class_id, (int32_t)(i % n_priorities), i, 0, n_tasks);
    b->spent_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static double run_case(const struct scale *scale, uint32_t n_tasks)
{
    static struct bench bench;
    struct bench *b = &bench;
    *b = (struct bench){.scale = scale, .sched = sched_create(), .now_us = 1};
    current = b;
    CHECK(b->sched != NULL);
    b->workers = calloc(scale->n_workers + 1, sizeof *b->workers);
    CHECK(b->workers != NULL);
    for (uint32_t id = 1; id <= scale->n_workers; id++)
        add_worker(b, id);
    uint32_t each = MAX(n_tasks / scale->n_classes, 1u);
    b->n_tasks = (uint64_t)each * scale->n_classes;
    for (uint32_t i = 0; i < scale->n_classes; i++) {
        b->done[i] = calloc(each, 1);
        CHECK(b->done[i] != NULL);
        make_ready(b, i, each);
    }
    run(b);
    qsort(b->wall_ns.data, b->wall_ns.len, sizeof *b->wall_ns.data, by_value);
    double task_us = (double)b->spent_ns / 1e3 / (double)b->n_tasks;
    (void)printf(
        "%-40s %8" PRIu64 " %7zu %8.3f %8.3f %9.3f %9.3f %8" PRIu64 "\n", scale->name,
        b->n_tasks, b->wall_ns.len, task_us,
        (double)b->step_ns / 1e3 / (double)b->n_tasks, (double)b->worst_ns / 1e6,
        (double)b->wall_ns.data[(b->wall_ns.len - 1) * 9999 / 10000] / 1e6, b->moved);
    release(b);
    return task_us;
}

int main(int argc, char **argv)
{
    uint32_t n_tasks = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 20000;
    double least = 1e9, most = 0;
    (void)printf("%-40s %8s %7s %8s %8s %9s %9s %8s\n", "case", "tasks", "steps",
                 "us/task", "of steps", "worst ms", "p99.99 ms", "moved");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        double us = run_case(&cases[i], n_tasks);
        if (cases[i].n_classes == 1 && cases[i].n_priorities == 1 && i > 1) {
            least = MIN(least, us);
            most = MAX(most, us);
        }
    }
    (void)printf("from 10 to 10000 workers: x %.2f\n", most / least);
    return 0;
}
