/* What events tell, and what follows from them by the rules of jobs. */
#include "story.h"

static void test_starts_come_with_ends(void)
{
    struct story s;
    story_begin(&s);
    story_submit(&s, 1, "a", 7, 3);
    story_expect_types(&s, "job-created ");
    struct task_start start = {.job = 1, .slot = 1, .start_us = STORY_US};
    story_start(&s, 5, &start);
    story_expect(&s, "{\"event\":{\"instance\":0,\"job\":1,\"task\":8,\"type\":"
                     "\"task-started\",\"worker\":5}," STORY_AT);
    struct task_end ends[] = {story_finished(1, 0)};
    uint32_t three = 3;
    story_ends(&s, 5, ends, &three, 1);
    story_expect_types(&s, "task-started task-finished task-finished task-started "
                           "task-finished job-completed ");
    story_ends(&s, 5, ends, &three, 1); /* of a job that is over */
    story_expect(&s, "");
    CU_ASSERT_EQUAL(track_unknown(s.track), 0);
    story_end(&s);
}

static void test_restart(void)
{
    struct story s;
    story_begin(&s);
    story_submit(&s, 1, "a", 0, 1);
    struct task_start start = {.job = 1, .start_us = STORY_US};
    struct task_restart restart = {.job = 1, .instance = 1, .crashes = 1};
    story_start(&s, 1, &start);
    struct buf b = story_head(EVENT_TASKS_RESTARTED);
    task_restart_encode(&restart, &b);
    story_event(&s, &b);
    story_expect_types(&s, "job-created task-started ");
    start.instance = 1;
    story_start(&s, 2, &start);
    story_start(&s, 2, &start); /* once is enough */
    story_expect(&s, "{\"event\":{\"instance\":1,\"job\":1,\"task\":0,\"type\":"
                     "\"task-started\",\"worker\":2}," STORY_AT);
    struct task_end old = story_finished(1, 0), end = old;
    story_ends(&s, 1, &old, NULL, 1); /* of the first run */
    story_expect(&s, "");
    end.instance = 1;
    story_ends(&s, 2, &end, NULL, 1);
    story_expect_types(&s, "task-finished job-completed ");
    story_end(&s);
}

static void test_cancel(void)
{
    struct story s;
    story_begin(&s);
    story_submit(&s, 1, "a", 1, 4);
    struct task_end end = story_finished(1, 1);
    story_ends(&s, 1, &end, NULL, 1);
    story_expect_types(&s, "job-created task-started task-finished ");
    struct buf b = story_head(EVENT_JOB_CANCELED);
    buf_u32(&b, 1);
    buf_str(&b, "why \"not\"");
    story_event(&s, &b);
    story_expect(&s, "{\"event\":{\"job_id\":1,\"reason\":\"why \\\"not\\\"\",\"type\":"
                     "\"job-cancel\"}," STORY_AT
                     "{\"event\":{\"tasks\":[{\"job_id\":1,\"job_task_id\":1},"
                     "{\"job_id\":1,\"job_task_id\":3},{\"job_id\":1,\"job_task_id\":"
                     "4}],\"type\":\"task-canceled\"}," STORY_AT
                     "{\"event\":{\"job\":1,\"type\":\"job-completed\"}," STORY_AT);
    story_job(&s, EVENT_JOB_CANCELED, 1);
    story_expect(&s, "");
    story_end(&s);
}

/* An array larger than a chunk of states, some of it ended before. */
static void test_cancel_of_many(void)
{
    struct story s;
    uint32_t n = 300000, some = 100000;
    story_begin(&s);
    story_submit(&s, 1, "a", 0, n);
    struct task_end end = story_finished(1, 1000);
    story_ends(&s, 1, &end, &some, 1);
    buf_clear(&s.lines);
    story_job(&s, EVENT_JOB_CANCELED, 1);
    size_t count = 0;
    /* Each call of strstr has its whole argument checked by address sanitizer. */
    for (const char *p = buf_cstr(&s.lines); *p; p++)
        count += *p == '_' && strncmp(p, "_task_id", 8) == 0;
    CU_ASSERT_EQUAL(count, n - some);
    story_expect_types(&s, "job-cancel task-canceled job-completed ");
    story_end(&s);
}

static void put_aborted(struct story *s, uint32_t job, uint32_t slot, uint32_t count)
{
    struct buf b = story_head(EVENT_TASKS_ABORTED);
    buf_u32(&b, job);
    buf_varint(&b, slot);
    buf_varint(&b, count);
    story_event(s, &b);
}

static void test_abort(void)
{
    struct story s;
    story_begin(&s);
    story_submit(&s, 1, "a", 0, 3);
    struct task_end end = story_finished(1, 1);
    end.state = TASK_FAILED;
    end.failure = FAILURE_EXIT;
    end.exit = 3;
    story_ends(&s, 1, &end, NULL, 1);
    buf_clear(&s.lines);
    put_aborted(&s, 1, 0, 3);
    story_expect(
        &s, "{\"event\":{\"tasks\":[{\"job_id\":1,\"job_task_id\":0},"
            "{\"job_id\":1,\"job_task_id\":2}],\"type\":\"task-aborted\"}," STORY_AT
            "{\"event\":{\"job\":1,\"type\":\"job-completed\"}," STORY_AT);
    story_submit(&s, 2, "b", 0, 3);
    put_aborted(&s, 2, 2, 2); /* more than there are */
    CU_ASSERT_EQUAL(s.rc, ERR_CORRUPT);
    story_end(&s);
}

static void test_open_job(void)
{
    struct story s;
    story_begin(&s);
    story_open(&s, 4, "coll");
    story_submit(&s, 4, NULL, 0, 1);
    struct task_end end = story_finished(4, 0);
    story_ends(&s, 1, &end, NULL, 1); /* nobody is told of idle jobs afterwards */
    story_expect_types(&s, "job-open job-created task-started task-finished ");
    CU_ASSERT_EQUAL(track_live(s.track, &s.err), 0);
    story_submit(&s, 4, NULL, 5, 2);
    end = story_finished(4, 1);
    story_ends(&s, 1, &end, NULL, 1);
    story_expect_types(&s, "job-created task-started task-finished ");
    end = story_finished(4, 2);
    story_ends(&s, 1, &end, NULL, 1);
    story_expect_types(&s, "task-started task-finished job-idle ");
    story_job(&s, EVENT_JOB_CLOSED, 4);
    story_expect_types(&s, "job-close job-completed ");
    story_end(&s);
}

/* A job of no tasks is over at once; one that is open when it is closed. */
static void test_no_tasks(void)
{
    struct story s;
    story_begin(&s);
    story_submit(&s, 1, "a", 0, 0);
    story_expect_types(&s, "job-created job-completed ");
    story_open(&s, 2, "b");
    story_job(&s, EVENT_JOB_CLOSED, 2);
    story_expect_types(&s, "job-open job-close job-completed ");
    story_end(&s);
}

static void test_unknown_jobs(void)
{
    struct story s;
    story_begin(&s);
    struct task_end end = story_finished(9, 0);
    story_ends(&s, 1, &end, NULL, 1);
    story_job(&s, EVENT_JOB_CLOSED, 9);
    story_expect(&s, "");
    CU_ASSERT_EQUAL(track_unknown(s.track), 2);
    story_submit(&s, 1, "a", 0, 1);
    buf_clear(&s.lines);
    end = story_finished(1, 1); /* no such task */
    story_ends(&s, 1, &end, NULL, 1);
    story_expect(&s, "");
    story_end(&s);
}

/* A server without a journal: every job was opened, ends come in any order and again.
 */
static void test_from_memory(void)
{
    struct story s;
    story_begin(&s);
    track_from_memory(s.track);
    story_open(&s, 1, "a");
    story_job(&s, EVENT_JOB_CLOSED, 1);
    story_submit(&s, 1, "a", 0, 2);
    struct task_end late = story_finished(1, 1), early = story_finished(1, 0);
    late.end_us += 5000;
    story_ends(&s, 1, &late, NULL, 1);
    story_ends(&s, 1, &early, NULL, 1);
    story_expect_types(&s, "job-open job-created task-started task-finished "
                           "task-started task-finished ");
    CU_ASSERT_EQUAL(track_live(s.track, &s.err), 0);
    story_expect(&s, "{\"event\":{\"job\":1,\"type\":\"job-completed\"},\"time\":"
                     "\"2026-02-02T02:40:00.005Z\"}\n");
    story_ends(&s, 1, &late, NULL, 1);
    story_expect(&s, "");
    story_end(&s);
}

static void test_malformed(void)
{
    struct story s;
    static const uint8_t types[] = {0, 200, EVENT_TYPE_COUNT};
    story_begin(&s);
    for (size_t i = 0; i < sizeof types; i++) {
        struct buf b = story_head((enum event_type)types[i]);
        story_event(&s, &b);
        CU_ASSERT_EQUAL(s.rc, ERR_CORRUPT);
    }
    for (unsigned type = 1; type < EVENT_TYPE_COUNT; type++) {
        struct buf b = story_head((enum event_type)type);
        b.len = 8; /* not even a head */
        story_event(&s, &b);
        CU_ASSERT_EQUAL(s.rc, ERR_CORRUPT);
    }
    story_expect(&s, "");
    story_end(&s);
}

static int stop_at_once(void *arg, const struct told *t)
{
    ++*(int *)arg;
    return t->type == TOLD_TASK_STARTED ? ERR_CLOSED : 0;
}

static void test_listener_ends_it(void)
{
    struct story s;
    int calls = 0;
    uint32_t many = 1000;
    story_begin(&s);
    track_destroy(s.track);
    s.track = track_create(stop_at_once, &calls);
    story_submit(&s, 1, "a", 0, many);
    struct task_end end = story_finished(1, 0);
    struct buf b = story_head(EVENT_TASKS_ENDED);
    struct task_end_writer w;
    buf_u32(&b, 1);
    task_end_writer_init(&w, &b);
    task_end_write_run(&w, &end, many);
    task_end_writer_finish(&w);
    story_event(&s, &b);
    CU_ASSERT_EQUAL(s.rc, ERR_CLOSED);
    CU_ASSERT_EQUAL(calls, 2);
    story_end(&s);
}

TEST_MAIN("track", TEST(test_starts_come_with_ends), TEST(test_restart),
          TEST(test_cancel), TEST(test_cancel_of_many), TEST(test_abort),
          TEST(test_open_job), TEST(test_no_tasks), TEST(test_unknown_jobs),
          TEST(test_from_memory), TEST(test_malformed), TEST(test_listener_ends_it))
