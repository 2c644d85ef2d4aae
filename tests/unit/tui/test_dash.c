/* The model of the dashboard: what was so at a point in time. */
#include "past.h"

#include <stdlib.h>
#include "base/clock.h"

static void expect_counts(struct dash *d, uint32_t job, double s, const char *expected)
{
    static const char letters[TASK_STATE_COUNT] = "wrfxca";
    uint32_t counts[TASK_STATE_COUNT];
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    dash_counts(d, dash_job(d, job), AT(s), counts);
    for (size_t i = 0; i < TASK_STATE_COUNT; i++)
        if (counts[i])
            buf_printf(&b, "%u%c ", counts[i], letters[i]);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), expected);
    if (strcmp(buf_cstr(&b), expected) != 0)
        (void)printf("\n    at %g: %s not %s\n", s, buf_cstr(&b), expected);
    buf_release(&b);
}

static void test_counts_at_times(void)
{
    struct dash d;
    dash_init(&d);
    past_worker(&d, 0, 1, "n1", 4);
    past_submit(&d, 1, 7, "a", 10, 5);
    past_start(&d, 2, 7, 0, 1);
    past_start(&d, 3, 7, 1, 1);
    past_end(&d, 4, 7, 0, TOLD_TASK_FINISHED);
    past_end(&d, 5, 7, 1, TOLD_TASK_FAILED);
    past_ends(&d, 6, 7, 2, 2, TOLD_TASKS_CANCELED);
    past_ends(&d, 7, 7, 4, 1, TOLD_TASKS_ABORTED);
    past_job(&d, 7, 7, TOLD_JOB_COMPLETED);
    expect_counts(&d, 7, 0.5, "");
    expect_counts(&d, 7, 1, "5w ");
    expect_counts(&d, 7, 3.5, "3w 2r ");
    expect_counts(&d, 7, 4, "3w 1r 1f ");
    expect_counts(&d, 7, 6.5, "1w 1f 1x 2c ");
    expect_counts(&d, 7, 100, "1f 1x 2c 1a ");
    const struct dash_job *job = dash_job(&d, 7);
    CU_ASSERT_EQUAL(job->completed_us, AT(7));
    CU_ASSERT_STRING_EQUAL(job->command, "./solve 'in put'");
    CU_ASSERT_STRING_EQUAL(job->directory, "/data");
    CU_ASSERT_STRING_EQUAL(job->resources, "cpus: 1 compact");
    CU_ASSERT_EQUAL(dash_jobs_at(&d, AT(0.5)), 0);
    CU_ASSERT_EQUAL(dash_jobs_at(&d, AT(1)), 1);
    CU_ASSERT_EQUAL(d.n_events, 9);
    CU_ASSERT_PTR_NULL(dash_job(&d, 8));
    past_start(&d, 8, 8, 0, 1); /* of a job that nobody knows, of a task beyond */
    past_start(&d, 8, 7, 5, 1);
    expect_counts(&d, 7, 100, "1f 1x 2c 1a ");
    dash_release(&d);
}

static void test_lost_worker(void)
{
    struct dash d;
    uint32_t counts[2];
    dash_init(&d);
    past_worker(&d, 0, 1, "n1", 4);
    past_submit(&d, 1, 1, "a", 0, 2);
    past_start(&d, 2, 1, 0, 1);
    past_start(&d, 2, 1, 1, 1);
    past_lost(&d, 4, 1, WORKER_HEARTBEAT_LOST);
    past_worker(&d, 5, 2, "n2", 4);
    past_start(&d, 6, 1, 0, 2);
    expect_counts(&d, 1, 3, "2r ");
    expect_counts(&d, 1, 5, "2w ");
    expect_counts(&d, 1, 7, "1w 1r ");
    dash_running(&d, AT(3), counts);
    CU_ASSERT(counts[0] == 2 && counts[1] == 0);
    dash_running(&d, AT(7), counts);
    CU_ASSERT(counts[0] == 0 && counts[1] == 1);
    past_end(&d, 8, 1, 0, TOLD_TASK_FINISHED);
    past_lost(&d, 9, 2, WORKER_STOPPED);
    expect_counts(&d, 1, 3, "2r "); /* the past stays */
    struct dash_axis axis = {AT(0), AT(10), 11};
    uint32_t out[TASK_STATE_COUNT][11], workers[11];
    uint32_t *rows[TASK_STATE_COUNT];
    for (size_t i = 0; i < TASK_STATE_COUNT; i++)
        rows[i] = out[i];
    dash_task_series(&d, dash_job(&d, 1), axis, rows);
    static const uint32_t running[11] = {0, 0, 2, 2, 0, 0, 1, 1, 0, 0, 0},
                          online[11] = {1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0};
    CU_ASSERT_EQUAL(memcmp(out[TASK_RUNNING], running, sizeof running), 0);
    CU_ASSERT(out[TASK_FINISHED][7] == 0 && out[TASK_FINISHED][8] == 1);
    dash_worker_series(&d, axis, workers);
    CU_ASSERT_EQUAL(memcmp(workers, online, sizeof online), 0);
    dash_release(&d);
}

/* A server that was killed has lost its workers. */
static void test_server_starts_again(void)
{
    struct dash d;
    struct told t = {.type = TOLD_SERVER_START, .time_us = AT(5)};
    dash_init(&d);
    past_worker(&d, 0, 1, "n1", 4);
    dash_told(&d, &t);
    CU_ASSERT(dash_connected(dash_worker(&d, 1), AT(4)));
    CU_ASSERT_FALSE(dash_connected(dash_worker(&d, 1), AT(6)));
    dash_release(&d);
}

static void expect_rows(struct dash *d, const struct dash_filter *f, uint64_t offset,
                        size_t n, const char *expected)
{
    struct dash_rows rows = {0};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    dash_rows_find(&rows, d, f, offset, n);
    for (size_t i = 0; i < rows.rows.len; i++) {
        const struct dash_row *r = &rows.rows.data[i];
        uint64_t rank;
        buf_printf(&b, "%u@%u ", r->task, r->job->id);
        CU_ASSERT(dash_rows_rank(d, f, r->job->id, r->slot, &rank));
        CU_ASSERT_EQUAL(rank, offset + i);
    }
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), expected);
    buf_release(&b);
    dash_rows_release(&rows);
}

static void test_rows(void)
{
    struct dash d;
    dash_init(&d);
    past_worker(&d, 0, 1, "n1", 4);
    past_worker(&d, 0, 65, "n65", 4); /* the same bit in the chunks */
    past_submit(&d, 1, 1, "a", 10, 8);
    past_submit(&d, 1, 2, "b", 0, 1);
    for (uint32_t i = 0; i < 6; i++)
        past_start(&d, 2 + i, 1, 5 - i, i % 2 ? 65 : 1);
    past_start(&d, 2.5, 2, 0, 65);
    past_end(&d, 20, 1, 5, TOLD_TASK_FINISHED);
    past_end(&d, 21, 1, 4, TOLD_TASK_FINISHED);
    past_end(&d, 22, 1, 3, TOLD_TASK_FAILED);
    struct dash_filter f = {dash_job(&d, 1), 0, AT(30)};
    expect_rows(&d, &f, 0, 100, "12@1 11@1 10@1 13@1 14@1 15@1 16@1 17@1 ");
    expect_rows(&d, &f, 2, 3, "10@1 13@1 14@1 ");
    expect_rows(&d, &f, 7, 3, "17@1 ");
    expect_rows(&d, &f, 8, 3, "");
    f.at_us = AT(3.5);
    expect_rows(&d, &f, 0, 3, "15@1 14@1 10@1 ");
    f = (struct dash_filter){NULL, 65, AT(30)};
    expect_rows(&d, &f, 0, 10, "0@2 12@1 10@1 14@1 ");
    uint64_t rank;
    CU_ASSERT_FALSE(dash_rows_rank(&d, &f, 1, 5, &rank)); /* of worker 1 */
    CU_ASSERT_FALSE(dash_rows_rank(&d, &f, 9, 0, &rank));
    dash_release(&d);
}

static void test_gang(void)
{
    struct dash d;
    uint32_t counts[3];
    const uint32_t nodes[] = {2, 3};
    struct told t = {.type = TOLD_TASK_STARTED,
                     .time_us = AT(2),
                     .job = 1,
                     .worker = 2,
                     .nodes = nodes,
                     .n_nodes = 2};
    dash_init(&d);
    for (uint32_t i = 1; i <= 3; i++)
        past_worker(&d, 0, i, "n", 4);
    past_submit(&d, 1, 1, "a", 0, 1);
    dash_told(&d, &t);
    dash_running(&d, AT(3), counts);
    CU_ASSERT(counts[0] == 0 && counts[1] == 1 && counts[2] == 1);
    struct dash_filter f = {NULL, 3, AT(3)};
    expect_rows(&d, &f, 0, 10, "0@1 ");
    dash_release(&d);
}

/* What was not started takes no memory of its own, and what was little. */
static void test_million(void)
{
    struct dash d;
    const uint32_t n = 1000000;
    dash_init(&d);
    past_worker(&d, 0, 1, "n1", 4);
    past_submit(&d, 1, 1, "a", 0, n);
    const struct dash_job *job = dash_job(&d, 1);
    for (uint32_t i = 0; i < n / 2; i++) {
        past_start(&d, 2 + i * 0.001, 1, i, 1);
        past_end(&d, 2.5 + i * 0.001, 1, i, TOLD_TASK_FINISHED);
    }
    size_t written = 0;
    for (size_t i = 0; i < job->chunks.len; i++)
        written += job->chunks.data[i].notes != NULL;
    CU_ASSERT_EQUAL(written, (n / 2 + DASH_CHUNK - 1) / DASH_CHUNK);
    past_ends(&d, 900, 1, 0, n, TOLD_TASKS_CANCELED);
    CU_ASSERT(job->chunks.data[job->chunks.len - 1].notes == NULL);
    CU_ASSERT_EQUAL(sizeof(struct dash_note), 24);
    expect_counts(&d, 1, 1000, "500000f 500000c ");
    expect_counts(&d, 1, 102, "899999w 500r 99501f ");
    struct dash_filter f = {job, 0, AT(1000)};
    expect_rows(&d, &f, 499999, 2, "999999@1 499999@1 ");
    expect_rows(&d, &f, 999998, 9, "1@1 0@1 ");
    dash_release(&d);
}

static void test_load_gets_coarser(void)
{
    struct dash d;
    dash_init(&d);
    past_worker(&d, 0, 1, "n1", 4);
    for (uint32_t i = 0; i < 100000; i++)
        past_load(&d, 10 + i * 2, 1, 4, i < 50000 ? 20 : 60);
    const struct dash_worker *w = dash_worker(&d, 1);
    const uint8_t *cpus = NULL;
    CU_ASSERT(w->n_samples <= 2048 && w->n_samples > 500);
    CU_ASSERT_PTR_NULL(dash_sample(w, AT(5), NULL));
    CU_ASSERT_EQUAL(dash_sample(w, AT(1e6), &cpus)->cpu, 6000);
    CU_ASSERT(cpus && cpus[0] == 60 && cpus[3] == 60);
    for (double s = 10; s < 99000; s += 1000) /* and about what is old as well */
        CU_ASSERT_EQUAL_FATAL(dash_sample(w, AT(s), NULL)->cpu, 2000);
    uint64_t reports = 0, apart = 0;
    for (size_t i = 0; i < w->n_samples; i++) {
        reports += w->samples[i].merged;
        if (i)
            apart = MAX(apart, w->samples[i].time_us - w->samples[i - 1].time_us);
    }
    CU_ASSERT_EQUAL(reports, 100000);
    CU_ASSERT(apart < 1200000000); /* of 56 hours */
    CU_ASSERT_EQUAL(dash_sample(w, AT(1e6), NULL)->gpu, DASH_NO_GPU);
    /* What is recent is there in full. */
    CU_ASSERT_EQUAL(w->samples[w->n_samples - 1].time_us -
                        w->samples[w->n_samples - 2].time_us,
                    2000000);
    past_load(&d, 300000, 1, 8, 10); /* another number of CPUs */
    CU_ASSERT_EQUAL(dash_sample(w, AT(1e6), &cpus)->cpu, 1000);
    CU_ASSERT_EQUAL(w->n_cpus, 8);
    dash_release(&d);
}

static void test_allocations(void)
{
    struct dash d;
    struct dash_axis axis = {AT(0), AT(10), 11};
    uint32_t out[ALLOC_STATE_COUNT][11], *rows[ALLOC_STATE_COUNT];
    for (size_t i = 0; i < ALLOC_STATE_COUNT; i++)
        rows[i] = out[i];
    dash_init(&d);
    past_alloc(&d, 0, "100", TOLD_ALLOC_QUEUED); /* of an unknown queue */
    past_queue(&d, 1, "q");
    past_alloc(&d, 2, "101", TOLD_ALLOC_QUEUED);
    past_alloc(&d, 3, "102", TOLD_ALLOC_QUEUED);
    past_alloc(&d, 4, "101", TOLD_ALLOC_STARTED);
    past_alloc(&d, 6, "101", TOLD_ALLOC_ENDED);
    past_alloc(&d, 7, "102", TOLD_ALLOC_ENDED); /* never ran */
    const struct dash_queue *q = dash_queue(&d, 1);
    CU_ASSERT_EQUAL_FATAL(q->allocs.len, 2);
    CU_ASSERT_EQUAL(dash_alloc_state(&q->allocs.data[0], AT(1)), ALLOC_STATE_COUNT);
    CU_ASSERT_EQUAL(dash_alloc_state(&q->allocs.data[0], AT(3)), ALLOC_QUEUED);
    CU_ASSERT_EQUAL(dash_alloc_state(&q->allocs.data[0], AT(5)), ALLOC_RUNNING);
    CU_ASSERT_EQUAL(dash_alloc_state(&q->allocs.data[0], AT(6)), ALLOC_FINISHED);
    dash_alloc_series(&d, NULL, axis, rows);
    static const uint32_t queued[11] = {0, 0, 1, 2, 1, 1, 1, 0, 0, 0, 0},
                          ran[11] = {0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0},
                          over[11] = {0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2};
    CU_ASSERT_EQUAL(memcmp(out[ALLOC_QUEUED], queued, sizeof queued), 0);
    CU_ASSERT_EQUAL(memcmp(out[ALLOC_RUNNING], ran, sizeof ran), 0);
    CU_ASSERT_EQUAL(memcmp(out[ALLOC_FINISHED], over, sizeof over), 0);
    dash_release(&d);
}

TEST_MAIN("dash", TEST(test_counts_at_times), TEST(test_lost_worker),
          TEST(test_server_starts_again), TEST(test_rows), TEST(test_gang),
          TEST(test_million), TEST(test_load_gets_coarser), TEST(test_allocations))
