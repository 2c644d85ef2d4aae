/* Event lines, byte for byte. */
#include "story.h"

#include "base/duration.h"

static void test_server(void)
{
    struct story s;
    story_begin(&s);
    struct buf b = story_head(EVENT_SERVER_START);
    buf_str(&b, "aB3");
    buf_str(&b, "1.0");
    story_event(&s, &b);
    b = story_head(EVENT_SERVER_STOP);
    story_event(&s, &b);
    story_expect(
        &s, "{\"event\":{\"server_uid\":\"aB3\",\"type\":\"server-start\"}," STORY_AT
            "{\"event\":{\"type\":\"server-stop\"}," STORY_AT);
    story_end(&s);
}

static void test_times(void)
{
    static const struct {
        uint64_t us;
        const char *text;
    } table[] = {
        {STORY_US, "2026-02-02T02:40:00Z"},
        {STORY_US + 999, "2026-02-02T02:40:00Z"},
        {STORY_US + 1000, "2026-02-02T02:40:00.001Z"},
        {STORY_US + 120999, "2026-02-02T02:40:00.120Z"},
        {STORY_US + 59999999, "2026-02-02T02:40:59.999Z"},
        {0, "1970-01-01T00:00:00Z"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct story s;
        char want[128];
        struct told t = {.type = TOLD_SERVER_STOP, .time_us = table[i].us};
        story_begin(&s);
        event_json_print(&s.json, &t);
        (void)snprintf(want, sizeof want,
                       "{\"event\":{\"type\":\"server-stop\"},\"time\":\"%s\"}\n",
                       table[i].text);
        story_expect(&s, want);
        story_end(&s);
    }
}

static void test_job(void)
{
    struct story s;
    story_begin(&s);
    story_submit(&s, 3, "name", 1, 4);
    story_expect(
        &s,
        "{\"event\":{\"closed_job\":true,\"job\":3,\"job_desc\":{\"max_fails\":null,"
        "\"name\":\"name\"},\"submit_desc\":{\"stream_path\":null,\"submit_dir\":\"/"
        "d\","
        "\"task_desc\":{\"crash_limit\":{\"MaxCrashes\":5},\"ids\":{\"ranges\":[{"
        "\"count\":4,\"start\":1,\"step\":1}]},\"priority\":0,\"resources\":{"
        "\"variants\":[{\"min_time\":{\"nanos\":0,\"secs\":0},\"n_nodes\":0,"
        "\"resources\":[{\"policy\":{\"Compact\":10000},\"resource\":\"cpus\"}],"
        "\"weight\":10000}]},\"time_limit\":null}},\"type\":\"job-created\"}"
        "," STORY_AT);
    story_open(&s, 4, "coll");
    story_expect(&s, "{\"event\":{\"job_id\":4,\"max_fails\":3,\"name\":\"coll\","
                     "\"type\":\"job-open\"}," STORY_AT);
    story_submit(&s, 4, NULL, 0, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&s.lines),
                                  "{\"closed_job\":false,\"job\":4,\"job_desc\":{"
                                  "\"max_fails\":null,\"name\":\"prog\"}"));
    story_end(&s);
}

static void test_gang(void)
{
    struct story s;
    story_begin(&s);
    story_submit(&s, 1, "a", 0, 1);
    buf_clear(&s.lines);
    uint32_t nodes[] = {2, 1};
    struct task_start start = {
        .job = 1, .variant = 2, .start_us = STORY_US, .n_nodes = 2, .nodes = nodes};
    story_start(&s, 2, &start);
    story_expect(&s, "{\"event\":{\"instance\":0,\"job\":1,\"task\":0,\"type\":"
                     "\"task-started\",\"variant\":2,\"workers\":[2,1]}," STORY_AT);
    story_end(&s);
}

static void test_failures(void)
{
    static const struct {
        uint8_t failure;
        uint16_t exit;
        const char *text;
    } table[] = {
        {FAILURE_EXIT, 7, "Program terminated with exit code 7."},
        {FAILURE_SIGNAL, 9,
         "Program terminated with exit code -1. Received signal 9 (SIGKILL)."},
        {FAILURE_TIME_LIMIT, 0, "Time limit reached"},
        {FAILURE_MESSAGE, 0, "no\\nway"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct story s;
        char want[256];
        story_begin(&s);
        story_submit(&s, 1, "a", 0, 2);
        buf_clear(&s.lines);
        struct task_end end = {.job = 1,
                               .slot = 1,
                               .state = TASK_FAILED,
                               .failure = table[i].failure,
                               .exit = table[i].exit,
                               .end_us = STORY_US};
        if (end.failure == FAILURE_MESSAGE)
            end.message = span_str("no\nway");
        story_ends(&s, 1, &end, NULL, 1); /* it never started */
        (void)snprintf(want, sizeof want,
                       "{\"event\":{\"error\":\"%s\",\"job\":1,\"task\":1,\"type\":"
                       "\"task-failed\"}," STORY_AT,
                       table[i].text);
        story_expect(&s, want);
        story_end(&s);
    }
}

static void test_largest_numbers(void)
{
    struct story s;
    story_begin(&s);
    struct told t = {.type = TOLD_TASK_STARTED,
                     .time_us = STORY_US + 999000,
                     .job = UINT32_MAX,
                     .task = UINT32_MAX,
                     .worker = UINT32_MAX,
                     .instance = UINT32_MAX,
                     .variant = 255};
    event_json_print(&s.json, &t);
    story_expect(&s, "{\"event\":{\"instance\":4294967295,\"job\":4294967295,\"task\":"
                     "4294967295,\"type\":\"task-started\",\"variant\":255,\"worker\":"
                     "4294967295},\"time\":\"2026-02-02T02:40:00.999Z\"}\n");
    story_end(&s);
}

static void test_notify(void)
{
    struct story s;
    story_begin(&s);
    track_notify(s.track, 1, 5, 2, span_str("h\xff"), STORY_US);
    story_expect(
        &s, "{\"event\":{\"message\":[104,255],\"task_id\":{\"job_id\":1,"
            "\"job_task_id\":5},\"type\":\"task-notify\",\"worker_id\":2}," STORY_AT);
    story_end(&s);
}

static char *copy_of(const char *text)
{
    char *p = strdup(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

static void test_worker(void)
{
    struct story s;
    struct worker_config c;
    struct pool cpus = POOL_INIT, mem = POOL_INIT, gpus = POOL_INIT;
    story_begin(&s);
    worker_config_init(&c);
    c.hostname = copy_of("node1");
    c.group = copy_of("default");
    c.work_dir = copy_of("/w");
    c.listen_address = copy_of("node1:0");
    c.manager = MANAGER_SLURM;
    c.manager_job = copy_of("77");
    c.on_server_lost = LOST_FINISH_RUNNING;
    c.heartbeat_ns = 8 * NS_PER_S;
    c.idle_timeout_ns = DURATION_ZERO_NS;
    c.time_limit_ns = 90 * NS_PER_S;
    c.overview_interval_ns = 200 * NS_PER_MS;
    c.min_utilization = 0.5;
    c.pid = 42;
    CU_ASSERT_EQUAL(pool_parse_cpus("2x2", &cpus, &s.err), 0);
    CU_ASSERT_EQUAL(pool_parse("mem=sum(1.5)", &mem, &s.err), 0);
    CU_ASSERT_EQUAL(pool_parse("gpus/amd=range(1-2)", &gpus, &s.err), 0);
    CU_ASSERT_EQUAL(pool_set_add(&c.pools, &cpus, &s.err), 0);
    CU_ASSERT_EQUAL(pool_set_add(&c.pools, &mem, &s.err), 0);
    CU_ASSERT_EQUAL(pool_set_add(&c.pools, &gpus, &s.err), 0);
    CU_ASSERT_EQUAL(pool_set_finish(&c.pools, &s.err), 0);
    struct buf b = story_head(EVENT_WORKER_CONNECTED);
    buf_u32(&b, 6);
    worker_config_encode(&c, &b);
    worker_config_release(&c);
    struct buf with_interval = BUF_INIT(BUF_MAX_DEFAULT);
    buf_append(&with_interval, b.data, b.len);
    buf_varint(&with_interval, 30 * NS_PER_S);
    story_event(&s, &with_interval);
    static const char line[] =
        "{\"event\":{\"configuration\":{\"extra\":{\"JobManager\":\"{\\\"allocation_"
        "id\\\":"
        "\\\"77\\\",\\\"manager\\\":\\\"Slurm\\\",\\\"max_memory_mb\\\":null,"
        "\\\"time_limit\\\":{\\\"nanos\\\":0,\\\"secs\\\":90}}\",\"ProcessPid\":\"42\"}"
        ","
        "\"group\":\"default\",\"heartbeat_interval\":{\"nanos\":0,\"secs\":8},"
        "\"hostname\":\"node1\",\"idle_timeout\":{\"nanos\":0,\"secs\":0},"
        "\"listen_address\":\"node1:0\",\"min_utilization\":0.5,\"on_server_lost\":"
        "\"FinishRunning\",\"overview_configuration\":{\"gpu_families\":[\"Amd\"],"
        "\"send_interval\":{\"nanos\":200000000,\"secs\":0}},\"resources\":{"
        "\"coupling\":"
        "{\"weights\":[]},\"resources\":[{\"kind\":{\"Groups\":{\"groups\":[[\"0\","
        "\"1\"],"
        "[\"2\",\"3\"]]}},\"name\":\"cpus\"},{\"kind\":{\"Range\":{\"end\":2,\"start\":"
        "1}},"
        "\"name\":\"gpus/"
        "amd\"},{\"kind\":{\"Sum\":{\"size\":15000}},\"name\":\"mem\"}]},"
        "%s\"time_limit\":{\"nanos\":0,\"secs\":90},\"work_dir\":\"/w\"},\"id\":6,"
        "\"type\":\"worker-connected\"}," STORY_AT;
    char want[2048];
    (void)snprintf(want, sizeof want, line,
                   "\"retract_check_interval\":{\"nanos\":0,\"secs\":30},");
    story_expect(&s, want);
    story_event(&s, &b); /* as early journals have it */
    (void)snprintf(want, sizeof want, line, "");
    story_expect(&s, want);

    static const char *const reasons[] = {"Stopped", "IdleTimeout", "TimeLimitReached",
                                          "ConnectionLost", "HeartbeatLost"};
    for (uint8_t reason = 1; reason < WORKER_END_COUNT; reason++) {
        b = story_head(EVENT_WORKER_LOST);
        buf_u32(&b, 6);
        buf_u8(&b, reason);
        story_event(&s, &b);
        (void)snprintf(want, sizeof want,
                       "{\"event\":{\"id\":6,\"reason\":\"%s\",\"type\":"
                       "\"worker-lost\"}," STORY_AT,
                       reasons[reason - 1]);
        story_expect(&s, want);
    }
    story_end(&s);
}

static void test_queues(void)
{
    struct story s;
    struct alloc_params p;
    struct pool cpus = POOL_INIT;
    story_begin(&s);
    alloc_params_init(&p);
    p.manager = MANAGER_PBS;
    p.time_limit_ns = 3600 * NS_PER_S;
    p.backlog = 2;
    p.max_workers_per_alloc = 3;
    p.max_worker_count = 9;
    p.worker_start_cmd = copy_of("echo 1");
    p.has_pools = true;
    CU_ASSERT_EQUAL(alloc_words_add(&p.additional_args, "-qx"), 0);
    CU_ASSERT_EQUAL(alloc_words_add(&p.worker_args, "--cpus"), 0);
    CU_ASSERT_EQUAL(alloc_words_add(&p.worker_args, "\"4\""), 0);
    CU_ASSERT_EQUAL(pool_parse_cpus("4", &cpus, &s.err), 0);
    CU_ASSERT_EQUAL(pool_set_add(&p.pools, &cpus, &s.err), 0);
    struct buf b = story_head(EVENT_ALLOC_QUEUE_CREATED);
    buf_u32(&b, 2);
    alloc_params_encode(&p, &b);
    alloc_params_release(&p);
    story_event(&s, &b);
    story_expect(
        &s,
        "{\"event\":{\"params\":{\"additional_args\":[\"-qx\"],\"backlog\":2,"
        "\"cli_resource_descriptor\":{\"coupling\":{\"weights\":[]},\"resources\":[{"
        "\"kind\":{\"Range\":{\"end\":3,\"start\":0}},\"name\":\"cpus\"}]},"
        "\"idle_timeout\":null,\"manager\":\"Pbs\",\"max_worker_count\":9,"
        "\"max_workers_per_alloc\":3,\"min_utilization\":0.0,\"name\":null,"
        "\"timelimit\":{\"nanos\":0,\"secs\":3600},\"worker_args\":[\"--cpus\","
        "\"\\\"4\\\"\"],\"worker_start_cmd\":\"echo 1\",\"worker_stop_cmd\":null,"
        "\"worker_wrap_cmd\":null},\"queue-id\":2,\"type\":"
        "\"autoalloc-queue-created\"}," STORY_AT);

    struct alloc_event e = {.id = span_str("77.x"),
                            .workers = 3,
                            .dir = span_str("/d"),
                            .started_us = STORY_US,
                            .ended_us = STORY_US,
                            .state = ALLOC_FINISHED};
    static void (*const encoders[])(const struct alloc_event *, struct buf *) = {
        alloc_queued_encode, alloc_started_encode, alloc_ended_encode};
    static const enum event_type events[] = {EVENT_ALLOC_QUEUED, EVENT_ALLOC_STARTED,
                                             EVENT_ALLOC_ENDED};
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        b = story_head(events[i]);
        buf_u32(&b, 2);
        encoders[i](&e, &b);
        story_event(&s, &b);
    }
    b = story_head(EVENT_ALLOC_QUEUE_REMOVED);
    buf_u32(&b, 2);
    story_event(&s, &b);
    story_expect(&s, "{\"event\":{\"allocation-id\":\"77.x\",\"queue-id\":2,\"type\":"
                     "\"autoalloc-allocation-queued\",\"worker-count\":3}," STORY_AT
                     "{\"event\":{\"allocation-id\":\"77.x\",\"queue-id\":2,\"type\":"
                     "\"autoalloc-allocation-started\"}," STORY_AT
                     "{\"event\":{\"allocation-id\":\"77.x\",\"queue-id\":2,\"type\":"
                     "\"autoalloc-allocation-finished\"}," STORY_AT
                     "{\"event\":{\"queue-id\":2,\"type\":"
                     "\"autoalloc-queue-removed\"}," STORY_AT);
    story_end(&s);
}

TEST_MAIN("event_json", TEST(test_server), TEST(test_times), TEST(test_job),
          TEST(test_gang), TEST(test_failures), TEST(test_largest_numbers),
          TEST(test_notify), TEST(test_worker), TEST(test_queues))
