/* Automatic allocation as data: parameters of queues and events, checked encodings. */
#include "model/alloc.h"

#include <math.h>
#include <stdlib.h>
#include "test_main.h"

static struct span span_of(const char *s)
{
    return (struct span){(const uint8_t *)s, strlen(s)};
}

static void add_pool(struct alloc_params *p, const char *text)
{
    struct pool pool = POOL_INIT;
    CU_ASSERT_EQUAL_FATAL(pool_parse(text, &pool, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pool_set_add(&p->pools, &pool, NULL), 0);
    p->has_pools = true;
}

static void fill(struct alloc_params *p)
{
    alloc_params_init(p);
    p->manager = MANAGER_SLURM;
    p->name = strdup("abc");
    p->time_limit_ns = 3600000000000;
    p->worker_limit_ns = 1800000000000;
    p->backlog = 3;
    p->max_workers_per_alloc = 4;
    p->max_worker_count = 7;
    CU_ASSERT_EQUAL(alloc_words_add(&p->additional_args, "-p"), 0);
    CU_ASSERT_EQUAL(alloc_words_add(&p->additional_args, "a b"), 0);
    CU_ASSERT_EQUAL(alloc_words_add(&p->worker_args, "--cpus"), 0);
    p->worker_stop_cmd = strdup("echo 'x'");
    p->idle_timeout_ns = 5;
    p->min_utilization = 0.5;
    p->mpi_worker = true;
    add_pool(p, "mem=sum(5)");
    add_pool(p, "cpus=range(0-3)");
}

static void test_params(void)
{
    struct alloc_params p, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    fill(&p);
    alloc_params_encode(&p, &b);
    struct cursor c = cursor_make(b.data, b.len);
    CU_ASSERT_EQUAL_FATAL(alloc_params_decode(&got, &c), 0);
    CU_ASSERT(c.p == c.end);
    CU_ASSERT_EQUAL(got.manager, MANAGER_SLURM);
    CU_ASSERT_STRING_EQUAL(got.name, "abc");
    CU_ASSERT(got.time_limit_ns == 3600000000000 &&
              got.worker_limit_ns == 1800000000000 && got.backlog == 3 &&
              got.max_workers_per_alloc == 4 && got.max_worker_count == 7);
    CU_ASSERT_EQUAL_FATAL(got.additional_args.n, 2);
    CU_ASSERT_STRING_EQUAL(got.additional_args.v[1], "a b");
    CU_ASSERT_EQUAL_FATAL(got.worker_args.n, 1);
    CU_ASSERT_PTR_NULL(got.worker_start_cmd);
    CU_ASSERT_STRING_EQUAL(got.worker_stop_cmd, "echo 'x'");
    CU_ASSERT(got.idle_timeout_ns == 5 && got.min_utilization == 0.5 && got.has_pools &&
              got.mpi_worker);
    CU_ASSERT_EQUAL_FATAL(got.pools.n_pools, 2);
    CU_ASSERT_STRING_EQUAL(got.pools.pools[0].name, "mem"); /* not sorted */
    alloc_params_release(&got);
    for (size_t n = 0; n < b.len; n++) {
        c = cursor_make(b.data, n);
        CU_ASSERT_EQUAL(alloc_params_decode(&got, &c), ERR_CORRUPT);
        CU_ASSERT_PTR_NULL(got.name);
    }
    alloc_params_release(&p);
    buf_release(&b);
}

static int decode_changed(void (*change)(struct alloc_params *p))
{
    struct alloc_params p, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    fill(&p);
    change(&p);
    alloc_params_encode(&p, &b);
    struct cursor c = cursor_make(b.data, b.len);
    int rc = alloc_params_decode(&got, &c);
    if (rc == 0)
        alloc_params_release(&got);
    alloc_params_release(&p);
    buf_release(&b);
    return rc;
}

static void no_change(struct alloc_params *p)
{
    (void)p;
}
static void no_manager(struct alloc_params *p)
{
    p->manager = MANAGER_NONE;
}
static void no_backlog(struct alloc_params *p)
{
    p->backlog = 0;
}
static void huge_backlog(struct alloc_params *p)
{
    p->backlog = ALLOC_BACKLOG_MAX + 1;
}
static void no_workers(struct alloc_params *p)
{
    p->max_workers_per_alloc = 0;
}
static void no_time(struct alloc_params *p)
{
    p->time_limit_ns = 0;
}
static void no_number(struct alloc_params *p)
{
    p->min_utilization = NAN;
}

static void test_bounds(void)
{
    CU_ASSERT_EQUAL(decode_changed(no_change), 0);
    CU_ASSERT_EQUAL(decode_changed(no_manager), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_changed(no_backlog), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_changed(huge_backlog), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_changed(no_workers), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_changed(no_time), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_changed(no_number), ERR_CORRUPT);
}

static void test_events(void)
{
    struct alloc_event e = {.id = span_of("12.srv"),
                            .workers = 300,
                            .dir = span_of("/d/1/001"),
                            .started_us = 5,
                            .ended_us = UINT64_MAX,
                            .state = ALLOC_FAILED};
    struct alloc_event got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    alloc_queued_encode(&e, &b);
    for (size_t n = 0; n <= b.len; n++) {
        struct cursor c = cursor_make(b.data, n);
        CU_ASSERT_EQUAL(alloc_queued_decode(&got, &c), n == b.len);
    }
    CU_ASSERT(got.workers == 300 && got.dir.n == 8 && got.id.n == 6);
    buf_clear(&b);
    alloc_started_encode(&e, &b);
    for (size_t n = 0; n <= b.len; n++) {
        struct cursor c = cursor_make(b.data, n);
        CU_ASSERT_EQUAL(alloc_started_decode(&got, &c), n == b.len);
    }
    CU_ASSERT_EQUAL(got.started_us, 5);
    buf_clear(&b);
    alloc_ended_encode(&e, &b);
    for (size_t n = 0; n <= b.len; n++) {
        struct cursor c = cursor_make(b.data, n);
        CU_ASSERT_EQUAL(alloc_ended_decode(&got, &c), n == b.len);
    }
    CU_ASSERT(got.state == ALLOC_FAILED && got.ended_us == UINT64_MAX);
    b.data[b.len - 1] = ALLOC_RUNNING; /* no end */
    struct cursor c = cursor_make(b.data, b.len);
    CU_ASSERT(!alloc_ended_decode(&got, &c));
    buf_clear(&b);
    e.id.n = 0;
    alloc_started_encode(&e, &b);
    c = cursor_make(b.data, b.len);
    CU_ASSERT(!alloc_started_decode(&got, &c));
    buf_release(&b);
}

TEST_MAIN("alloc", TEST(test_params), TEST(test_bounds), TEST(test_events))
