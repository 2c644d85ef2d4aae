/* States of tasks and jobs, records, texts of failures. */
#include "model/job.h"

#include <ctype.h>
#include <signal.h>
#include "test_main.h"

static void test_transitions(void)
{
    /* Row: from; column: to, in the order of the enum. */
    static const char *const table[TASK_STATE_COUNT] = {
        /*             WRFXCA */
        [TASK_WAITING] = "-+++++",  /* start and end may be reported together */
        [TASK_RUNNING] = "+-++++",  /* back to waiting when the worker is lost */
        [TASK_FINISHED] = "------", /* the end of a task is for good */
        [TASK_FAILED] = "------",   [TASK_CANCELED] = "------",
        [TASK_ABORTED] = "------",
    };
    for (unsigned from = 0; from < TASK_STATE_COUNT; from++) {
        for (unsigned to = 0; to < TASK_STATE_COUNT; to++)
            CU_ASSERT_EQUAL(
                task_transition_legal((enum task_state)from, (enum task_state)to),
                table[from][to] == '+');
        CU_ASSERT(!task_transition_legal((enum task_state)from, TASK_STATE_COUNT));
        CU_ASSERT(!task_transition_legal(TASK_STATE_COUNT, (enum task_state)from));
        CU_ASSERT_EQUAL(task_state_terminal((enum task_state)from),
                        from >= TASK_FINISHED);
    }
}

/* All combinations of which states occur, against the rules written out. */
static void test_job_states(void)
{
    for (unsigned present = 0; present < 1u << TASK_STATE_COUNT; present++)
        for (int open = 0; open < 2; open++) {
            struct task_counts counts = {{0}};
            for (unsigned s = 0; s < TASK_STATE_COUNT; s++)
                counts.n[s] = present >> s & 1 ? 1 + s * 1000 : 0;
            enum job_state want = open ? JOB_OPENED : JOB_FINISHED;
            if (counts.n[TASK_CANCELED])
                want = JOB_CANCELED;
            if (counts.n[TASK_ABORTED])
                want = JOB_ABORTED;
            if (counts.n[TASK_FAILED])
                want = JOB_FAILED;
            if (counts.n[TASK_WAITING])
                want = JOB_WAITING;
            if (counts.n[TASK_RUNNING])
                want = JOB_RUNNING;
            CU_ASSERT_EQUAL(job_state_of(&counts, open), want);
        }
}

static void check_words(const char *const *words, const char *const *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL_FATAL(strlen(words[i]), strlen(labels[i]));
        for (size_t k = 0; words[i][k]; k++)
            CU_ASSERT_EQUAL(toupper((unsigned char)words[i][k]), labels[i][k]);
    }
}

static void test_words(void)
{
    check_words(task_state_words, task_state_labels, TASK_STATE_COUNT);
    check_words(job_state_words, job_state_labels, JOB_STATE_COUNT);
    CU_ASSERT_STRING_EQUAL(task_state_words[TASK_CANCELED], "canceled");
    CU_ASSERT_STRING_EQUAL(job_state_labels[JOB_OPENED], "OPENED");
    /* Both enums begin alike. */
    for (size_t i = 0; i < TASK_STATE_COUNT; i++)
        CU_ASSERT_STRING_EQUAL(task_state_words[i], job_state_words[i]);
}

static void test_record(void)
{
    struct task_record r = {.state = TASK_FAILED,
                            .variant = TASK_VARIANT_NONE,
                            .failure = FAILURE_SIGNAL,
                            .flags = RECORD_GANG | RECORD_MESSAGE,
                            .exit = 65535,
                            .crashes = 65534,
                            .worker = UINT32_MAX,
                            .instance = 0x01020304,
                            .user_ms = 5,
                            .system_ms = 6,
                            .max_rss_kib = 7},
                       got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    record_time_set(r.start, 1770000000000000);
    record_time_set(r.end, 1770000000123456);
    memset(&got, 0xaa, sizeof got);
    task_record_encode(&r, &b);
    CU_ASSERT_EQUAL(b.len, 40);
    struct cursor c = cursor_make(b.data, b.len);
    task_record_decode(&got, &c);
    CU_ASSERT(!c.failed && memcmp(&r, &got, sizeof r) == 0);
    for (size_t n = 0; n < b.len; n++) {
        c = cursor_make(b.data, n);
        task_record_decode(&got, &c);
        CU_ASSERT(c.failed);
    }
    b.data[0] = TASK_STATE_COUNT;
    c = cursor_make(b.data, b.len);
    task_record_decode(&got, &c);
    CU_ASSERT(c.failed);
    b.data[0] = TASK_FAILED;
    b.data[2] = FAILURE_MESSAGE + 1;
    c = cursor_make(b.data, b.len);
    task_record_decode(&got, &c);
    CU_ASSERT(c.failed);
    buf_release(&b);
}

/* A record must hold times of today and of the next decades, to 64 us at least. */
static void test_record_times(void)
{
    static const uint64_t times[] = {0, 1770000000123456, 1785772800999999,
                                     4102444800000000 /* 2100 */};
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        uint8_t t[6];
        record_time_set(t, times[i]);
        uint64_t got = record_time_get(t);
        CU_ASSERT(got <= times[i] && times[i] - got < 64);
        record_time_set(t, got); /* what is stored is stable */
        CU_ASSERT_EQUAL(record_time_get(t), got);
    }
}

static void test_failures(void)
{
    static const struct {
        enum task_failure failure;
        uint16_t exit;
        const char *text;
    } cases[] = {
        {FAILURE_NONE, 1, ""},
        {FAILURE_MESSAGE, 1, ""},
        {FAILURE_EXIT, 1, "Program terminated with exit code 1."},
        {FAILURE_EXIT, 255, "Program terminated with exit code 255."},
        {FAILURE_SIGNAL, SIGKILL,
         "Program terminated with exit code -1. Received signal 9 (SIGKILL)."},
        {FAILURE_SIGNAL, SIGSEGV,
         "Program terminated with exit code -1. Received signal 11 (SIGSEGV)."},
        {FAILURE_SIGNAL, 64,
         "Program terminated with exit code -1. Received signal 64 (unknown)."},
        {FAILURE_TIME_LIMIT, 0, "Time limit reached"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task_record r = {.failure = (uint8_t)cases[i].failure,
                                .exit = cases[i].exit};
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        task_failure_print(&r, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), cases[i].text);
        buf_release(&b);
    }
    CU_ASSERT_STRING_EQUAL(signal_name(SIGTERM), "SIGTERM");
    CU_ASSERT_STRING_EQUAL(signal_name(0), "unknown");
    CU_ASSERT_STRING_EQUAL(signal_name(-1), "unknown");
}

TEST_MAIN("job", TEST(test_transitions), TEST(test_job_states), TEST(test_words),
          TEST(test_record), TEST(test_record_times), TEST(test_failures))
