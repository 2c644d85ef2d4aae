/* What batch systems print, in all the ways they do. */
#include "autoalloc/batch.h"

#include <stdlib.h>
#include "test_main.h"

static struct span span_of(const char *s)
{
    return (struct span){(const uint8_t *)s, strlen(s)};
}

static void check_id(const struct batch_ops *ops, const char *out, const char *want)
{
    struct error err = ERROR_INIT;
    char *id = NULL;
    int rc = ops->read_id(span_of(out), &id, &err);
    if (want) {
        CU_ASSERT_EQUAL(rc, 0);
        CU_ASSERT_FATAL(id != NULL);
        CU_ASSERT_STRING_EQUAL(id, want);
    } else {
        CU_ASSERT_EQUAL(rc, ERR_PARSE);
        CU_ASSERT(strstr(err.text, "Missing job id in ") == err.text);
        CU_ASSERT_PTR_NULL(id);
    }
    free(id);
}

static void test_ids(void)
{
    check_id(&batch_slurm, "Submitted batch job 101\n", "101");
    check_id(&batch_slurm, "note\n  SUBMITTED BATCH JOB 7 on cluster c1\n", "7");
    check_id(&batch_slurm, "hello\n", NULL);
    check_id(&batch_slurm, "", NULL);
    check_id(&batch_slurm, "Submitted batch job\n", NULL);
    check_id(&batch_pbs, "\n 102.srv \n", "102.srv");
    check_id(&batch_pbs, "", NULL);
    check_id(&batch_pbs, "two words", NULL);
    check_id(&batch_pbs, "Project X has 5 hours left.\r\n\n1234[].srv\r\n",
             "1234[].srv");
    check_id(&batch_pbs, "1234.srv\nsee you soon", NULL);
}

static struct batch_status slurm_status(const char *out, const char *err_text, bool ok,
                                        int want)
{
    const char *id = "5";
    struct batch_answer a = {ok, span_of(out), span_of(err_text)};
    struct batch_status st = {0};
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(batch_slurm.read_status(&a, &id, 1, &st, &err), want);
    return st;
}

static void test_slurm_states(void)
{
    static const struct {
        const char *word;
        enum batch_state state;
    } cases[] = {
        {"PENDING", BATCH_QUEUED},
        {"CONFIGURING", BATCH_QUEUED},
        {"REQUEUED", BATCH_QUEUED},
        {"RUNNING", BATCH_RUNNING},
        {"COMPLETING", BATCH_RUNNING},
        {"SUSPENDED", BATCH_RUNNING},
        {"STOPPED", BATCH_RUNNING},
        {"COMPLETED", BATCH_FINISHED},
        {"TIMEOUT", BATCH_FINISHED},
        {"CANCELLED", BATCH_FAILED},
        {"FAILED", BATCH_FAILED},
        {"NODE_FAIL", BATCH_FAILED},
        {"OUT_OF_MEMORY", BATCH_FAILED},
        {"PREEMPTED", BATCH_FAILED},
        {"DEADLINE", BATCH_FAILED},
        {"BOOT_FAIL", BATCH_FAILED},
        {"REVOKED", BATCH_FAILED},
        {"SLEEPING", BATCH_ERROR},
        {"RUN", BATCH_ERROR},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[128];
        (void)snprintf(out, sizeof out, "JobId=5 JobName=x\n   JobState=%s Reason=None",
                       cases[i].word);
        CU_ASSERT_EQUAL(slurm_status(out, "", true, 0).state, cases[i].state);
    }
}

static void test_slurm_answers(void)
{
    struct batch_status st =
        slurm_status("JobId=5 Comment=JobState=x\n  JobState=RUNNING\n"
                     "   StartTime=2030-01-02T03:04:05 EndTime=Unknown Deadline=N/A\n",
                     "", true, 0);
    CU_ASSERT_EQUAL(st.state, BATCH_RUNNING);
    CU_ASSERT(st.started.known && st.started.year == 2030 && st.started.month == 1 &&
              st.started.day == 2 && st.started.hour == 3 && st.started.minute == 4 &&
              st.started.second == 5);
    CU_ASSERT(!st.ended.known);
    st = slurm_status("JobState=PENDING StartTime=2030-01-02 03:04:05", "", true, 0);
    CU_ASSERT(!st.started.known);
    st = slurm_status("JobState=PENDING StartTime=2030-00-02T03:04:05", "", true, 0);
    CU_ASSERT(!st.started.known);
    (void)slurm_status("", "", true, ERR_PARSE);
    (void)slurm_status("garbage", "", true, ERR_PARSE);
    (void)slurm_status("JobState=", "", true, ERR_PARSE);
    (void)slurm_status("JobState=RUNNING", "timed out", false, ERR_PARSE);
    st =
        slurm_status("", "slurm_load_jobs error: Invalid job id specified\n", false, 0);
    CU_ASSERT_EQUAL(st.state, BATCH_GONE);
}

static struct batch_status pbs_one(const char *fields)
{
    char out[512];
    const char *id = "5.srv";
    struct batch_status st;
    struct error err = ERROR_INIT;
    (void)snprintf(out, sizeof out, "{\"Jobs\": {\"5.srv\": {%s}}}", fields);
    struct batch_answer a = {true, span_of(out), span_of("")};
    CU_ASSERT_EQUAL_FATAL(batch_pbs.read_status(&a, &id, 1, &st, &err), 0);
    return st;
}

static void test_pbs_states(void)
{
    static const struct {
        const char *fields;
        enum batch_state state;
    } cases[] = {
        {"\"job_state\": \"Q\"", BATCH_QUEUED},
        {"\"job_state\": \"H\"", BATCH_QUEUED},
        {"\"job_state\": \"W\"", BATCH_QUEUED},
        {"\"job_state\": \"T\"", BATCH_QUEUED},
        {"\"job_state\": \"S\"", BATCH_QUEUED},
        {"\"job_state\": \"R\"", BATCH_RUNNING},
        {"\"job_state\": \"E\"", BATCH_RUNNING},
        {"\"job_state\": \"X\"", BATCH_FINISHED},
        {"\"job_state\": \"F\", \"Exit_status\": 0", BATCH_FINISHED},
        {"\"job_state\": \"F\", \"Exit_status\": 271", BATCH_FAILED},
        {"\"job_state\": \"F\"", BATCH_FAILED},
        {"\"job_state\": \"Z\"", BATCH_ERROR},
        {"\"job_state\": \"\"", BATCH_ERROR},
        {"\"job_state\": 7", BATCH_ERROR},
        {"", BATCH_ERROR},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        CU_ASSERT_EQUAL(pbs_one(cases[i].fields).state, cases[i].state);
    struct batch_status st = pbs_one(
        "\"job_state\": \"F\", \"Exit_status\": 0, \"stime\": \"Wed Aug  5 10:00:00 "
        "2026\", \"mtime\": \"Thu Dec 31 23:59:59 2026\"");
    CU_ASSERT(st.started.known && st.started.month == 8 && st.started.day == 5 &&
              st.started.hour == 10 && st.started.year == 2026);
    CU_ASSERT(st.ended.known && st.ended.month == 12 && st.ended.second == 59);
    st = pbs_one(
        "\"job_state\": \"R\", \"stime\": \"soon\", \"mtime\": \"Wed Foo 1 1:1:1 1\"");
    CU_ASSERT(!st.started.known && !st.ended.known);
}

static int pbs_two(const char *out, const char *err_text, bool ok,
                   struct batch_status st[2])
{
    const char *ids[] = {"1", "2"};
    struct error err = ERROR_INIT;
    struct batch_answer a = {ok, span_of(out), span_of(err_text)};
    return batch_pbs.read_status(&a, ids, 2, st, &err);
}

static void test_pbs_answers(void)
{
    struct batch_status st[2];
    const char *one = "{\"Jobs\": {\"2\": {\"job_state\": \"R\"}}}";
    CU_ASSERT_EQUAL(pbs_two(one, "", true, st), 0);
    CU_ASSERT(st[0].state == BATCH_FAILED && st[1].state == BATCH_RUNNING);
    /* It does not know one of them, and says so. */
    CU_ASSERT_EQUAL(pbs_two(one, "qstat: Unknown Job Id 1", false, st), 0);
    CU_ASSERT(st[0].state == BATCH_FAILED && st[1].state == BATCH_RUNNING);
    CU_ASSERT_EQUAL(pbs_two("", "qstat: Unknown Job Id 1", false, st), ERR_PARSE);
    CU_ASSERT_EQUAL(pbs_two(one, "cannot connect to server", false, st), ERR_PARSE);
    CU_ASSERT_EQUAL(pbs_two("{", "", true, st), ERR_PARSE);
    CU_ASSERT_EQUAL(pbs_two("", "", true, st), ERR_PARSE);
    CU_ASSERT_EQUAL(pbs_two("{\"Jobs\": 3}", "", true, st), 0);
    CU_ASSERT(st[0].state == BATCH_FAILED && st[1].state == BATCH_FAILED);
}

static bool cancelled(const struct batch_ops *ops, const char *err_text, bool ok)
{
    struct batch_answer a = {ok, span_of(""), span_of(err_text)};
    return batch_cancelled(ops, &a);
}

static void test_cancels(void)
{
    CU_ASSERT(cancelled(&batch_slurm, "scancel: slow", true));
    CU_ASSERT(cancelled(&batch_slurm,
                        "scancel: error: Kill job error on job id 5: Job/step already "
                        "completing or completed",
                        false));
    CU_ASSERT(!cancelled(&batch_slurm, "scancel: error: Access denied", false));
    CU_ASSERT(cancelled(&batch_pbs, "qdel: Unknown Job Id 5.srv", false));
    CU_ASSERT(!cancelled(&batch_pbs, "", false));
}

static void test_descriptions(void)
{
    struct buf b = BUF_INIT(4096);
    batch_describe("Exit code: 3", span_of("no such\n"), span_of(" to stdout "), &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b),
                           "Exit code: 3\nStderr: no such\nStdout: to stdout");
    buf_clear(&b);
    static char huge[100000];
    memset(huge, 'x', sizeof huge - 1);
    batch_describe("Exit code: 1", span_of(huge), span_of(huge), &b);
    CU_ASSERT(b.len < 1400 && !b.failed);
    buf_clear(&b);
    memcpy(huge, "welcome\n\033[2J\b", 13); /* no command for the terminal */
    memcpy(huge + sizeof huge - 5, "why\n", 4);
    batch_describe("Exit code: 1", span_of(huge), span_of(""), &b);
    CU_ASSERT(strstr(buf_cstr(&b), "Stderr: welcome\n [2J xxx") != NULL);
    CU_ASSERT(strstr(buf_cstr(&b), "xxx … xxx") != NULL);
    CU_ASSERT(strstr(buf_cstr(&b), "xxxwhy\nStdout: ") != NULL);
    buf_release(&b);
}

TEST_MAIN("replies", TEST(test_ids), TEST(test_slurm_states), TEST(test_slurm_answers),
          TEST(test_pbs_states), TEST(test_pbs_answers), TEST(test_cancels),
          TEST(test_descriptions))
