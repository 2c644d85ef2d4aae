/* Descriptions of tasks and jobs: what is refused, and that nothing changes then. */
#include <hq/hq.h>
#include <string.h>
#include "test_main.h"

static const char *const words[] = {"true", NULL};
static struct hq_error err;

static struct hq_task *make_task(void)
{
    struct hq_task *task = NULL;
    CU_ASSERT_EQUAL_FATAL(hq_task_create(words, &task, &err), 0);
    return task;
}

static void check(int rc, int code, const char *text)
{
    CU_ASSERT_EQUAL(rc, code);
    CU_ASSERT_EQUAL(err.code, code);
    if (!strstr(err.text, text))
        printf("\n%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
}

/* Additions take the same time, however many there have been. */
static void test_large_graph(void)
{
    struct hq_task *task = make_task();
    struct hq_spec *spec = NULL;
    int rc = 0;
    CU_ASSERT_EQUAL_FATAL(hq_spec_create(&spec, &err), 0);
    for (uint32_t i = 0; i < 300000 && rc == 0; i++)
        rc = hq_spec_add(spec, i, task, &(uint32_t){i - 1}, i > 0, &err);
    CU_ASSERT_EQUAL(rc, 0);
    check(hq_spec_add_array(spec, 1, 0xfffffff0u - 299999, task, NULL, 0, &err),
          HQ_ERR_TOO_BIG, "more than 4294967280 tasks");
    rc = hq_spec_add_array(spec, 1, 0xfffffff0u - 300000, task, NULL, 0, &err);
    CU_ASSERT_EQUAL(rc, 0);
    check(hq_spec_add(spec, 1, task, NULL, 0, &err), HQ_ERR_TOO_BIG, "more than");
    hq_spec_destroy(spec);
    hq_task_destroy(task);
}

static void test_tasks(void)
{
    static const char *const none[] = {NULL};
    struct hq_task *task = NULL;
    check(hq_task_create(none, &task, &err), HQ_ERR_INVALID, "needs a word");
    check(hq_task_create(NULL, &task, &err), HQ_ERR_INVALID, "needs a word");
    CU_ASSERT_PTR_NULL(task);
    task = make_task();
    check(hq_task_setenv(task, "", "x", &err), HQ_ERR_INVALID, "''");
    check(hq_task_setenv(task, "a=b", "x", &err), HQ_ERR_INVALID, "'a=b'");
    check(hq_task_set_cwd(task, "", &err), HQ_ERR_INVALID, "cannot be empty");
    check(hq_task_set_stdout(task, "", &err), HQ_ERR_INVALID, "cannot be empty");
    check(hq_task_set_log(task, NULL, &err), HQ_ERR_INVALID, "needs a path");
    check(hq_task_set_crash_limit(task, 65536, &err), HQ_ERR_INVALID, "1 to 65535");
    check(hq_task_set_pin(task, (enum hq_pin)7, &err), HQ_ERR_INVALID, "number 7");
    check(hq_task_set_stdin(task, "", (size_t)1 << 40, &err), HQ_ERR_TOO_BIG,
          "240 MiB");
    CU_ASSERT_EQUAL(hq_task_set_stdin(task, NULL, 0, &err), 0);
    CU_ASSERT_EQUAL(hq_task_set_cwd(task, NULL, NULL), 0);
    CU_ASSERT_EQUAL(hq_task_set_crash_limit(task, HQ_CRASH_UNLIMITED, NULL), 0);
    hq_task_destroy(task);
    hq_task_destroy(NULL);
}

static void test_resources(void)
{
    struct hq_task *task = make_task();
    check(hq_task_require(task, "a b", "1", &err), HQ_ERR_INVALID, "'a b'");
    check(hq_task_require(task, "cpus", "many", &err), HQ_ERR_PARSE, "many");
    CU_ASSERT(hq_task_require(task, "cpus", "0", NULL) < 0);
    CU_ASSERT_EQUAL(hq_task_require(task, "cpus", "2 compact!", &err), 0);
    check(hq_task_require(task, "cpus", "1", &err), HQ_ERR_EXISTS, "more than once");
    check(hq_task_set_nodes(task, 2, &err), HQ_ERR_INVALID, "beside resources");
    CU_ASSERT_EQUAL(hq_task_add_variant(task, &err), 0);
    CU_ASSERT_EQUAL(hq_task_require(task, "cpus", "1", &err), 0);
    hq_task_destroy(task);
    task = make_task();
    CU_ASSERT_EQUAL(hq_task_set_nodes(task, 2, &err), 0);
    check(hq_task_require(task, "cpus", "1", &err), HQ_ERR_INVALID, "whole nodes");
    check(hq_task_add_variant(task, &err), HQ_ERR_INVALID, "several variants");
    hq_task_destroy(task);
    task = make_task();
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++)
        rc = hq_task_add_variant(task, &err);
    check(rc, HQ_ERR_TOO_BIG, "variants at most");
    hq_task_destroy(task);
}

static void test_specs(void)
{
    struct hq_spec *spec = NULL;
    struct hq_task *task = make_task();
    static const struct hq_bytes entries[] = {{"a", 1}, {"b\0c", 3}};
    CU_ASSERT_EQUAL_FATAL(hq_spec_create(&spec, &err), 0);
    check(hq_spec_set_name(spec, "a\nb", &err), HQ_ERR_INVALID, "newline");
    check(hq_spec_set_dir(spec, "relative", &err), HQ_ERR_INVALID, "not absolute");
    check(hq_spec_set_job(spec, 0, &err), HQ_ERR_NOT_FOUND, "Job 0 not found");
    check(hq_spec_add_array(spec, 0, 0, task, NULL, 0, &err), HQ_ERR_INVALID, "a task");
    check(hq_spec_add(spec, UINT32_MAX, task, NULL, 0, &err), HQ_ERR_TOO_BIG, "end");
    check(hq_spec_add_array(spec, 2, UINT32_MAX - 1, task, NULL, 0, &err),
          HQ_ERR_TOO_BIG, "end before");
    check(hq_spec_add_entries(spec, 0, entries, 2, task, NULL, 0, &err), HQ_ERR_INVALID,
          "entry 1 has a NUL byte");
    CU_ASSERT_EQUAL(hq_spec_add_entries(spec, 0, entries, 1, task, NULL, 0, &err), 0);
    check(hq_spec_add_array(spec, 1, UINT32_MAX - 2, task, NULL, 0, &err),
          HQ_ERR_TOO_BIG, "more than");
    hq_spec_destroy(spec);
    hq_spec_destroy(NULL);
    hq_task_destroy(task);
}

static void test_without_server(void)
{
    struct hq_client *client = NULL;
    struct hq_log *log = NULL;
    check(hq_connect("/no/such/directory", &client, &err), HQ_ERR_NOT_FOUND,
          "\"/no/such/directory\" is not a directory");
    CU_ASSERT(hq_connect("/", &client, &err) < 0);
    CU_ASSERT_EQUAL(hq_connect("/", &client, NULL), err.code);
    CU_ASSERT_PTR_NULL(client);
    hq_disconnect(client);
    CU_ASSERT(hq_log_open("/no/such/log", &log, &err) < 0);
    CU_ASSERT(hq_log_open("/dev/null", &log, &err) < 0);
    CU_ASSERT_PTR_NULL(log);
    hq_log_close(log);
    hq_jobs_free(NULL);
    hq_server_free(NULL);
}

static void test_names(void)
{
    CU_ASSERT_STRING_EQUAL(hq_version(), HQ_VERSION);
    CU_ASSERT_STRING_EQUAL(hq_task_state_name(HQ_TASK_ABORTED), "aborted");
    CU_ASSERT_STRING_EQUAL(hq_task_state_name((enum hq_task_state)99), "unknown");
    CU_ASSERT_STRING_EQUAL(hq_job_state_name(HQ_JOB_OPENED), "opened");
    CU_ASSERT_STRING_EQUAL(hq_job_state_name((enum hq_job_state) - 1), "unknown");
}

TEST_MAIN("api submit", TEST(test_tasks), TEST(test_resources), TEST(test_specs),
          TEST(test_large_graph), TEST(test_without_server), TEST(test_names))
