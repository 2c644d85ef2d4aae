/* Events: heads, and the packed lists of starts, ends and restarts. */
#include "model/event.h"

#include <stdlib.h>
#include "test_main.h"

#define NOW_US 1770000000123456u

static void test_heads(void)
{
    for (unsigned type = 0; type < 256; type++) {
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        struct event_head h;
        event_begin(&b, (enum event_type)type, NOW_US);
        CU_ASSERT_EQUAL(b.len, 9);
        struct cursor c = cursor_make(b.data, b.len);
        bool known = type > 0 && type < EVENT_TYPE_COUNT;
        CU_ASSERT_EQUAL(event_read_head(&c, &h), known ? 0 : ERR_CORRUPT);
        if (known)
            CU_ASSERT(h.type == type && h.time_us == NOW_US);
        for (size_t n = 0; n < b.len; n++) {
            c = cursor_make(b.data, n);
            CU_ASSERT_EQUAL(event_read_head(&c, &h), ERR_CORRUPT);
        }
        buf_release(&b);
    }
}

/* Numbers are in files and must never change. */
static void test_numbers(void)
{
    CU_ASSERT_EQUAL(EVENT_SERVER_START, 1);
    CU_ASSERT_EQUAL(EVENT_JOB_SUBMITTED, 5);
    CU_ASSERT_EQUAL(EVENT_TASKS_STARTED, 10);
    CU_ASSERT_EQUAL(EVENT_TASKS_ENDED, 11);
    CU_ASSERT_EQUAL(EVENT_TASKS_RESTARTED, 12);
    CU_ASSERT_EQUAL(EVENT_LOG_MARK, 15);
    CU_ASSERT_EQUAL(EVENT_PLACEMENT, 16);
    CU_ASSERT_EQUAL(EVENT_WORKER_OVERVIEW, 17);
    CU_ASSERT_EQUAL(EVENT_TASKS_SENT, 18);
    CU_ASSERT_EQUAL(EVENT_ALLOC_QUEUE_CREATED, 19);
    CU_ASSERT_EQUAL(EVENT_ALLOC_QUEUED, 22);
    CU_ASSERT_EQUAL(EVENT_ALLOC_TRIAL, 25);
    CU_ASSERT_EQUAL(EVENT_TYPE_COUNT, 26);
}

/* ---- ends ------------------------------------------------------------------------ */

static struct task_end plain_end(uint32_t job, uint32_t slot, uint64_t start_us)
{
    return (struct task_end){.job = job,
                             .slot = slot,
                             .state = TASK_FINISHED,
                             .started = true,
                             .start_us = start_us,
                             .end_us = start_us + 1234};
}

static bool same_end(const struct task_end *a, const struct task_end *b)
{
    return a->job == b->job && a->slot == b->slot && a->instance == b->instance &&
           a->state == b->state && a->variant == b->variant &&
           a->failure == b->failure && a->started == b->started &&
           a->released == b->released && a->exit == b->exit &&
           a->start_us == b->start_us && a->end_us == b->end_us &&
           a->user_ms == b->user_ms && a->system_ms == b->system_ms &&
           a->max_rss_kib == b->max_rss_kib && a->placement == b->placement &&
           a->message.n == b->message.n &&
           (a->message.n == 0 || !memcmp(a->message.p, b->message.p, a->message.n));
}

/* Writes the list and reads it back, task by task; its size. */
static size_t round_trip(const struct task_end *ends, size_t n)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_end_writer w;
    task_end_writer_init(&w, &b);
    for (size_t i = 0; i < n; i++)
        task_end_write(&w, &ends[i]);
    task_end_writer_finish(&w);
    struct cursor c = cursor_make(b.data, b.len);
    struct task_end_reader r;
    struct task_end e;
    uint32_t count;
    size_t i = 0, differ = 0;
    task_end_reader_init(&r, &c);
    while (task_end_read(&r, &e, &count)) {
        for (; count > 0; count--, i++) {
            if (i >= n || !same_end(&ends[i], &e))
                differ++;
            e.slot++;
        }
    }
    CU_ASSERT(!c.failed);
    CU_ASSERT_EQUAL(i, n);
    CU_ASSERT_EQUAL(differ, 0);
    size_t size = b.len;
    buf_release(&b);
    return size;
}

static void test_no_ends(void)
{
    CU_ASSERT_EQUAL(round_trip(NULL, 0), 0);
}

static void test_ends_of_all_kinds(void)
{
    const struct span text = {(const uint8_t *)"no such file", 12};
    const struct task_end ends[] = {
        plain_end(1, 0, NOW_US),
        plain_end(1, 1, NOW_US), /* folds with the one before */
        plain_end(1, 2, NOW_US),
        plain_end(1, 4, NOW_US - 5), /* slots and times may go back */
        plain_end(1, 3, 0),
        plain_end(UINT32_MAX, UINT32_MAX - 1, UINT64_MAX >> 16),
        plain_end(0, 0, 1),
        {.job = 2,
         .slot = 7,
         .state = TASK_FAILED,
         .failure = FAILURE_EXIT,
         .exit = 3,
         .started = true,
         .instance = 4,
         .start_us = 5,
         .end_us = 6,
         .user_ms = 7,
         .system_ms = 8,
         .max_rss_kib = UINT32_MAX,
         .variant = 2,
         .placement = UINT32_MAX,
         .released = true},
        {.job = 2,
         .slot = 8,
         .state = TASK_FAILED,
         .failure = FAILURE_MESSAGE,
         .message = text,
         .started = false,
         .variant = TASK_VARIANT_NONE},
        {.job = 2,
         .slot = 9,
         .state = TASK_FAILED,
         .failure = FAILURE_MESSAGE,
         .message = text,
         .started = false,
         .variant = TASK_VARIANT_NONE},
        {.job = 2,
         .slot = 10,
         .state = TASK_CANCELED,
         .started = true,
         .released = true,
         .exit = UINT16_MAX,
         .max_rss_kib = 1,
         .instance = UINT32_MAX},
        {.job = 2, .slot = 11, .state = TASK_ABORTED, .started = true},
        {.job = 2,
         .slot = 12,
         .state = TASK_FAILED,
         .failure = FAILURE_SIGNAL,
         .exit = 9,
         .started = true,
         .start_us = 100,
         .end_us = 50 /* a clock that was set back */},
    };
    (void)round_trip(ends, ARRAY_SIZE(ends));
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        (void)round_trip(&ends[i], 1);
}

/* Two tasks that differ in one field only must not fold. */
static void test_what_folds(void)
{
    struct task_end pair[2] = {plain_end(1, 5, NOW_US), plain_end(1, 6, NOW_US)};
    size_t folded = round_trip(pair, 2);
    CU_ASSERT_EQUAL(folded, round_trip(pair, 1) + 1); /* the repeat count */
    for (int field = 0; field < 14; field++) {
        struct task_end e = pair[1];
        switch (field) {
        case 0:
            e.job = 2;
            break;
        case 1:
            e.slot = 7;
            break;
        case 2:
            e.instance = 1;
            break;
        case 3:
            e.state = TASK_CANCELED;
            break;
        case 4:
            e.variant = 1;
            break;
        case 5:
            e.failure = FAILURE_TIME_LIMIT;
            break;
        case 6:
            e.started = false;
            break;
        case 7:
            e.released = true;
            break;
        case 8:
            e.exit = 1;
            break;
        case 9:
            e.start_us++;
            break;
        case 10:
            e.end_us++;
            break;
        case 11:
            e.system_ms = 1;
            break;
        case 12:
            e.placement = 7;
            break;
        default:
            e.message = (struct span){(const uint8_t *)"x", 1};
            break;
        }
        struct task_end both[2] = {pair[0], e};
        CU_ASSERT(round_trip(both, 2) > folded);
    }
}

static uint32_t lcg(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Ends as a worker reports them, and runs of them; the journal's budget is 16 bytes. */
static void test_size_of_ordinary_ends(void)
{
    enum { N = 20000 };
    struct task_end *ends = calloc(N, sizeof *ends);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ends);
    uint32_t random = 1;
    for (uint32_t i = 0; i < N; i++) {
        ends[i] = plain_end(7, 500000 + i * 16 % N + i / 1250, NOW_US + i * 700);
        ends[i].end_us = ends[i].start_us + 20000 + lcg(&random) % 10000;
        ends[i].user_ms = 1 + lcg(&random) % 20;
        ends[i].system_ms = lcg(&random) % 5;
        ends[i].max_rss_kib = 3000 + lcg(&random) % 500;
        ends[i].placement = 1 + lcg(&random) % 128;
    }
    size_t size = round_trip(ends, N);
    CU_ASSERT(size <= 16 * (size_t)N);
    free(ends);
}

static void test_random_lists(void)
{
    enum { N = 200 };
    for (uint32_t seed = 0; seed < 200; seed++) {
        struct task_end ends[N];
        uint32_t random = seed;
        struct task_end e = plain_end(1, 0, NOW_US);
        for (size_t i = 0; i < N; i++) {
            uint32_t what = lcg(&random) % 16;
            e.slot += what == 0 ? lcg(&random) : 1;
            e.job = what == 1 ? lcg(&random) : e.job;
            e.instance = what == 2 ? lcg(&random) % 3 : e.instance;
            e.released = what == 3 ? !e.released : e.released;
            e.start_us += what == 4 ? lcg(&random) : 0;
            e.end_us = e.start_us + (what == 5 ? lcg(&random) : 10);
            e.max_rss_kib = what == 6 ? lcg(&random) : what == 7 ? 0 : e.max_rss_kib;
            e.placement = what == 10 ? lcg(&random) : e.placement;
            e.state = what == 8 ? TASK_FAILED : TASK_FINISHED;
            e.failure = what == 8 ? FAILURE_EXIT : FAILURE_NONE;
            e.message.n = 0;
            if (what == 9)
                e.message = (struct span){(const uint8_t *)"abc", 1 + lcg(&random) % 3};
            ends[i] = e;
        }
        (void)round_trip(ends, N);
    }
}

static void test_runs(void)
{
    static const uint32_t counts[] = {1, 2, 1000000, UINT32_MAX - 20};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_end_writer w;
    struct task_end e = plain_end(1, 10, 50);
    task_end_writer_init(&w, &b);
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        e.job = (uint32_t)i;
        task_end_write_run(&w, &e, counts[i]);
    }
    e.slot = 10 + counts[3]; /* continues the last run */
    task_end_write_run(&w, &e, 5);
    task_end_writer_finish(&w);
    struct cursor c = cursor_make(b.data, b.len);
    struct task_end_reader r;
    uint32_t count;
    task_end_reader_init(&r, &c);
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        CU_ASSERT(task_end_read(&r, &e, &count));
        CU_ASSERT(e.job == i && e.slot == 10);
        CU_ASSERT_EQUAL(count, counts[i] + (i == 3 ? 5 : 0));
    }
    CU_ASSERT(!task_end_read(&r, &e, &count) && !c.failed);
    buf_release(&b);
}

/* Bytes that no writer makes: refused, with nothing undefined on the way. */
static void test_malformed_ends(void)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t n;
    } cases[] = {
        {"no times", "\0", 1},
        {"job below 0", "\1\1\0\0", 4},
        {"job above 32 bits", "\1\x80\x80\x80\x80\x20\0\0", 8},
        {"slot below 0", "\2\3\0\0", 4},
        {"slot above 32 bits", "\2\xfe\xff\xff\xff\x1f\0\0", 8},
        {"smallest difference of slots", "\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0",
         13},
        {"largest difference of slots", "\2\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0",
         13},
        {"largest difference of jobs", "\1\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0",
         13},
        {"state that is no end", "\x08\1\0\x80\0\0\0\0", 8},
        {"unknown state", "\x08\6\0\x80\0\0\0\0", 8},
        {"unknown failure", "\x08\3\0\x85\0\0\0\0", 8},
        {"exit above 16 bits", "\x08\3\0\x81\x80\x80\4\0\0\0", 10},
        {"message beyond the end", "\x08\3\0\x84\0\5ab", 8},
        {"repeat beyond 32 bits", "\x10\xff\xff\xff\xff\x0f\0\0", 8},
        {"placement below 0", "\x80\0\0\1", 4},
        {"no placement", "\x80\0\0", 3},
        {"repeat of a message", "\x18\3\0\x84\0\1a\1\0\0", 10},
        {"memory below 0", "\x40\0\0\0\0\1", 6},
        {"largest difference of memory",
         "\x40\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1", 15},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cursor c = cursor_make(cases[i].bytes, cases[i].n);
        struct task_end_reader r;
        struct task_end e;
        uint32_t count;
        task_end_reader_init(&r, &c);
        bool got = task_end_read(&r, &e, &count);
        CU_ASSERT(!got && c.failed);
        if (got)
            (void)printf("\n    taken: %s\n", cases[i].what);
        CU_ASSERT(!task_end_read(&r, &e, &count));
    }
}

static void test_cut_ends(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_end_writer w;
    struct task_end e = plain_end(300, 70000, NOW_US);
    e.instance = 1;
    e.state = TASK_FAILED;
    e.failure = FAILURE_MESSAGE;
    e.message = (struct span){(const uint8_t *)"text", 4};
    e.user_ms = 1000;
    task_end_writer_init(&w, &b);
    task_end_write(&w, &e);
    task_end_writer_finish(&w);
    for (size_t n = 1; n < b.len; n++) {
        struct cursor c = cursor_make(b.data, n);
        struct task_end_reader r;
        uint32_t count;
        task_end_reader_init(&r, &c);
        CU_ASSERT(!task_end_read(&r, &e, &count) && c.failed);
    }
    buf_release(&b);
}

/* ---- starts and restarts --------------------------------------------------------- */

static void test_starts(void)
{
    static const uint32_t nodes[] = {3, 300, UINT32_MAX};
    const struct task_start starts[] = {
        {.job = 1, .slot = 2, .instance = 3, .variant = 4, .start_us = NOW_US},
        {.job = UINT32_MAX,
         .slot = UINT32_MAX,
         .instance = UINT32_MAX,
         .variant = 255,
         .start_us = UINT64_MAX,
         .placement = UINT32_MAX,
         .n_nodes = 3,
         .nodes = nodes},
        {.job = 0},
        {.job = 9, .n_nodes = 1, .nodes = nodes},
    };
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT), scratch = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_start s;
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
        task_start_encode(&starts[i], &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        CU_ASSERT(task_start_decode(&s, &c, &scratch));
        CU_ASSERT(s.job == starts[i].job && s.slot == starts[i].slot &&
                  s.instance == starts[i].instance && s.variant == starts[i].variant &&
                  s.start_us == starts[i].start_us &&
                  s.placement == starts[i].placement && s.n_nodes == starts[i].n_nodes);
        for (uint32_t k = 0; k < s.n_nodes; k++)
            CU_ASSERT_EQUAL(s.nodes[k], nodes[k]);
    }
    CU_ASSERT(!task_start_decode(&s, &c, &scratch) && !c.failed);
    size_t whole = 0;
    for (size_t n = 0; n < b.len; n++) {
        c = cursor_make(b.data, n);
        size_t got = 0;
        while (task_start_decode(&s, &c, &scratch))
            got++;
        CU_ASSERT(got >= whole && got < ARRAY_SIZE(starts));
        whole = got;
    }
    /* More nodes than there are bytes. */
    static const uint8_t lie[] = {1, 2, 3, 4, 5, 0xff, 0xff, 0xff, 0xff, 0xf, 1};
    c = cursor_make(lie, sizeof lie);
    CU_ASSERT(!task_start_decode(&s, &c, &scratch) && c.failed);
    buf_release(&b);
    buf_release(&scratch);
}

static void test_restarts(void)
{
    const struct task_restart restarts[] = {
        {1, 2, 3, 4}, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT16_MAX}, {0, 0, 0, 0}};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_restart r;
    for (size_t i = 0; i < ARRAY_SIZE(restarts); i++)
        task_restart_encode(&restarts[i], &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (size_t i = 0; i < ARRAY_SIZE(restarts); i++) {
        CU_ASSERT(task_restart_decode(&r, &c));
        CU_ASSERT(r.job == restarts[i].job && r.slot == restarts[i].slot &&
                  r.instance == restarts[i].instance &&
                  r.crashes == restarts[i].crashes);
    }
    CU_ASSERT(!task_restart_decode(&r, &c) && !c.failed);
    static const uint8_t many[] = {1, 2, 3, 0x80, 0x80, 4};
    c = cursor_make(many, sizeof many);
    CU_ASSERT(!task_restart_decode(&r, &c) && c.failed);
    c = cursor_make(b.data, 3);
    CU_ASSERT(!task_restart_decode(&r, &c) && c.failed);
    buf_release(&b);
}

static void test_sent(void)
{
    const struct task_sent lists[] = {
        {1, 2, 3, 4}, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}, {0, 0, 1, 0}};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_sent s;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        task_sent_encode(&lists[i], &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        CU_ASSERT(task_sent_decode(&s, &c));
        CU_ASSERT(s.job == lists[i].job && s.slot == lists[i].slot &&
                  s.count == lists[i].count && s.instance == lists[i].instance);
    }
    CU_ASSERT(!task_sent_decode(&s, &c) && !c.failed);
    static const uint8_t none[] = {1, 2, 0, 3};
    c = cursor_make(none, sizeof none);
    CU_ASSERT(!task_sent_decode(&s, &c) && c.failed);
    c = cursor_make(b.data, 3);
    CU_ASSERT(!task_sent_decode(&s, &c) && c.failed);
    buf_release(&b);
}

TEST_MAIN("event", TEST(test_heads), TEST(test_numbers), TEST(test_no_ends),
          TEST(test_ends_of_all_kinds), TEST(test_what_folds),
          TEST(test_size_of_ordinary_ends), TEST(test_random_lists), TEST(test_runs),
          TEST(test_malformed_ends), TEST(test_cut_ends), TEST(test_starts),
          TEST(test_restarts), TEST(test_sent))
