/* Tells a model what happened, in short words. Times are seconds since PAST_S. */
#ifndef HQ_TEST_PAST_H
#define HQ_TEST_PAST_H

#include "test_main.h"
#include "tui/dash_query.h"

#define PAST_S 1770000000ull
#define AT(s) ((uint64_t)((double)PAST_S * 1e6 + (s)*1e6))

/* An array of n tasks from id `first` on. */
static inline void past_submit(struct dash *d, double s, uint32_t job, const char *name,
                               uint32_t first, uint32_t n)
{
    struct submit spec;
    struct task_body body;
    static const char *const words[] = {"./solve", "in put"};
    submit_init(&spec);
    task_body_init(&body);
    CU_ASSERT_EQUAL_FATAL(request_default(&body.request), 0);
    spec.submit_dir = strdup("/data");
    struct task_group g = {.first_id = first,
                           .count = n,
                           .body = submit_add_body(&spec, &body),
                           .argv = submit_add_argv(&spec, words, 2)};
    CU_ASSERT_NOT_EQUAL_FATAL(submit_add_group(&spec, &g), UINT32_MAX);
    struct told t = {.type = TOLD_JOB_CREATED,
                     .time_us = AT(s),
                     .job = job,
                     .submit = &spec,
                     .closed_job = true,
                     .text = span_str(name)};
    dash_told(d, &t);
    submit_release(&spec);
    task_body_release(&body);
}

static inline void past_start(struct dash *d, double s, uint32_t job, uint32_t slot,
                              uint32_t worker)
{
    struct told t = {.type = TOLD_TASK_STARTED,
                     .time_us = AT(s),
                     .job = job,
                     .slot = slot,
                     .worker = worker};
    dash_told(d, &t);
}

static inline void past_end(struct dash *d, double s, uint32_t job, uint32_t slot,
                            enum told_type type)
{
    struct told t = {.type = type, .time_us = AT(s), .job = job, .slot = slot};
    dash_told(d, &t);
}

static inline void past_ends(struct dash *d, double s, uint32_t job, uint32_t slot,
                             uint32_t n, enum told_type type)
{
    struct told_run run = {slot, n};
    struct told t = {
        .type = type, .time_us = AT(s), .job = job, .runs = &run, .n_runs = 1};
    dash_told(d, &t);
}

static inline void past_job(struct dash *d, double s, uint32_t job, enum told_type type)
{
    struct told t = {.type = type, .time_us = AT(s), .job = job};
    dash_told(d, &t);
}

/* A worker with so many CPUs, named 0 to n - 1. */
static inline void past_worker(struct dash *d, double s, uint32_t id, const char *host,
                               uint32_t cpus)
{
    struct worker_config c;
    struct error err = ERROR_INIT;
    struct pool pool = POOL_INIT;
    worker_config_init(&c);
    c.hostname = strdup(host);
    c.group = strdup("default");
    c.work_dir = strdup("/scratch");
    c.listen_address = strdup("host:0");
    c.version = strdup("1");
    c.heartbeat_ns = 8000000000;
    pool.name = strdup("cpus");
    pool.kind = POOL_RANGE;
    pool.range_last = cpus - 1;
    CU_ASSERT_EQUAL_FATAL(pool_set_add(&c.pools, &pool, &err), 0);
    struct told t = {
        .type = TOLD_WORKER_CONNECTED, .time_us = AT(s), .worker = id, .config = &c};
    dash_told(d, &t);
    worker_config_release(&c);
}

static inline void past_lost(struct dash *d, double s, uint32_t id, enum worker_end end)
{
    struct told t = {
        .type = TOLD_WORKER_LOST, .time_us = AT(s), .worker = id, .end = end};
    dash_told(d, &t);
}

/* All CPUs with that load in percent, of the memory a quarter free. */
static inline void past_load(struct dash *d, double s, uint32_t id, uint32_t n_cpus,
                             uint32_t percent)
{
    uint32_t loads[64];
    for (uint32_t i = 0; i < n_cpus; i++)
        loads[i] = percent * 100;
    struct hw_state load = {.time_us = AT(s),
                            .cpu_load = loads,
                            .n_cpus = n_cpus,
                            .memory_total = 1 << 30,
                            .memory_free = 1 << 28};
    struct told t = {
        .type = TOLD_WORKER_OVERVIEW, .time_us = AT(s), .worker = id, .load = &load};
    dash_told(d, &t);
}

static inline void past_alloc(struct dash *d, double s, const char *id,
                              enum told_type type)
{
    struct alloc_event e = {.id = span_str(id), .workers = 2, .state = ALLOC_FINISHED};
    struct told t = {.type = type, .time_us = AT(s), .queue = 1, .alloc = &e};
    dash_told(d, &t);
}

static inline void past_queue(struct dash *d, double s, const char *name)
{
    struct alloc_params p;
    alloc_params_init(&p);
    p.manager = MANAGER_SLURM;
    p.name = strdup(name);
    p.time_limit_ns = 3600000000000;
    p.backlog = 3;
    p.max_workers_per_alloc = 2;
    struct told t = {
        .type = TOLD_QUEUE_CREATED, .time_us = AT(s), .queue = 1, .params = &p};
    dash_told(d, &t);
    alloc_params_release(&p);
}

#endif
