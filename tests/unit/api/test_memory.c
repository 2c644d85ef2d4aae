/* Descriptions as they are sent, and what happens when there is no memory for them. */
#include "base/alloc_torture.h"
#include <hq/hq.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "api/internal.h"
#include "submit/submit_dump.h"
#include "test_main.h"

/* Uses everything; the first failure ends it. */
static int fill_task(struct hq_task *task, struct hq_error *err)
{
    int rc = hq_task_setenv(task, "A", "1", err);
    if (rc == 0)
        rc = hq_task_set_cwd(task, "below", err);
    if (rc == 0)
        rc = hq_task_set_stdout(task, "out-%{TASK_ID}", err);
    if (rc == 0)
        rc = hq_task_set_stderr(task, NULL, err);
    if (rc == 0)
        rc = hq_task_set_stdin(task, "in\n", 3, err);
    if (rc == 0)
        rc = hq_task_set_stream(task, "logs", err);
    if (rc == 0)
        rc = hq_task_require(task, "cpus", "2", err);
    if (rc == 0)
        rc = hq_task_add_variant(task, err);
    if (rc == 0)
        rc = hq_task_require(task, "gpus", "0.5", err);
    hq_task_set_priority(task, -3);
    hq_task_set_task_dir(task, 1);
    hq_task_set_time_limit(task, 1500);
    hq_task_set_time_request(task, 2000);
    return rc;
}

static int fill_spec(struct hq_spec *spec, struct hq_task *task, struct hq_error *err)
{
    static const char *const plain_words[] = {"plain", NULL};
    static const uint32_t needs[] = {5, 7};
    static const struct hq_bytes entries[] = {{"x", 1}, {NULL, 0}};
    struct hq_task *plain = NULL;
    int rc = hq_spec_set_name(spec, "n", err);
    if (rc == 0)
        rc = hq_spec_set_dir(spec, "/d", err);
    if (rc == 0)
        rc = hq_spec_add_array(spec, 5, 3, task, NULL, 0, err);
    if (rc == 0)
        rc = hq_spec_add(spec, 8, task, needs, 2, err);
    if (rc == 0)
        rc = hq_task_create(plain_words, &plain, err);
    if (rc == 0)
        rc = hq_spec_add_entries(spec, 20, entries, 2, plain, NULL, 0, err);
    hq_task_destroy(plain);
    return rc;
}

static struct buf dump = BUF_INIT(BUF_MAX_DEFAULT);

static int make(bool show)
{
    static const char *const words[] = {"a", "b c", NULL};
    struct hq_error err;
    struct hq_task *task = NULL;
    struct hq_spec *spec = NULL;
    int rc = hq_task_create(words, &task, &err);
    if (rc == 0)
        rc = fill_task(task, &err);
    if (rc == 0)
        rc = hq_spec_create(&spec, &err);
    if (rc == 0)
        rc = fill_spec(spec, task, &err);
    if (rc == 0 && show)
        submit_dump(&spec->submit, &dump);
    hq_spec_destroy(spec);
    hq_task_destroy(task);
    CU_ASSERT_EQUAL(rc, rc ? err.code : 0);
    return rc;
}

static void test_what_is_sent(void)
{
    CU_ASSERT_EQUAL(make(true), 0);
    CU_ASSERT_STRING_EQUAL(
        buf_cstr(&dump),
        "0: ids=5-7 [a|b c] body=0\n"
        "1: ids=8 [a|b c] body=0 needs=task:5,task:7\n"
        "2: ids=20-21 [plain] body=1 entries=x|\n"
        "body 0: A=1 cwd=below stdout=file:out-%{TASK_ID} stderr=none stdin=in\n"
        " stream=logs task-dir priority=-3 time-limit=1s 500ms {cpus: 2 compact} or "
        "{gpus: 0.5 compact time=2s}\n"
        "body 1: {cpus: 1 compact}\n");
    buf_release(&dump);
}

static void test_no_memory(void)
{
    int rc;
    if (!alloc_torture_works())
        return;
    TORTURE(rc, make(false), (void)0);
    CU_ASSERT_EQUAL(rc, 0);
}

/* A failed addition leaves the job as it was: it can be repeated. */
static void test_failed_additions(void)
{
    static const char *const words[] = {"a", NULL};
    static const uint32_t needs[] = {1};
    static const struct hq_bytes entry = {"e", 1};
    struct hq_task *task = NULL;
    struct hq_spec *spec = NULL;
    int rc;
    if (!alloc_torture_works())
        return;
    CU_ASSERT_EQUAL_FATAL(hq_task_create(words, &task, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(hq_spec_create(&spec, NULL), 0);
    for (long n = 1;; n++) {
        alloc_fail_at(n);
        rc = hq_spec_add_entries(spec, 1, &entry, 1, task, needs, 1, NULL);
        if (!alloc_failed())
            break;
        CU_ASSERT_EQUAL(rc, HQ_ERR_NOMEM);
        CU_ASSERT_EQUAL(spec->submit.n_groups + spec->submit.n_bodies +
                            spec->submit.n_extras + spec->submit.n_needs,
                        0);
    }
    CU_ASSERT_EQUAL(rc, 0);
    CU_ASSERT_EQUAL(spec->submit.n_groups, 1);
    CU_ASSERT_EQUAL(spec->n_tasks, 1);
    hq_spec_destroy(spec);
    hq_task_destroy(task);
}

/* Half a selector would ask for something else. */
static void test_no_memory_for_a_selector(void)
{
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    if (!alloc_torture_works())
        return;
    alloc_fail_at(1);
    CU_ASSERT_EQUAL(api_select(7, &out, &err), ERR_NOMEM);
    CU_ASSERT(alloc_failed());
    buf_clear(&out);
    CU_ASSERT_EQUAL(api_select(7, &out, &err), 0);
    buf_release(&out);
}

static void write_record(const char *dir, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/access.json", dir);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void test_records_that_cannot_be_used(void)
{
    static const char *const records[] = {
        "",
        "{",
        "[]",
        "{\"version\": 3}",
        "{\"version\": \"0.0.1\"}",
        "{\"version\": \"" HQ_VERSION "\"}",
        "{\"version\": \"" HQ_VERSION "\", \"client\": {\"host\": \"h\"}}",
        "{\"version\": \"" HQ_VERSION
        "\", \"server_uid\": \"u\", \"client\": {\"host\": "
        "\"h\", \"port\": 1, \"secret_key\": \"ab\"}}"};
    char dir[] = "/tmp/hq-api-XXXXXX", path[128];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        write_record(dir, records[i]);
        bool failed = alloc_torture_works();
        for (long n = 1; failed; n++) {
            struct hq_client *client = NULL;
            struct hq_error err = {0, 0, {0}};
            long live = alloc_live;
            alloc_fail_at(n);
            int rc = hq_connect(dir, &client, &err);
            failed = alloc_failed();
            CU_ASSERT(rc < 0 && rc == err.code && err.text[0]);
            CU_ASSERT_PTR_NULL(client);
            CU_ASSERT_EQUAL(alloc_live, live);
        }
    }
    (void)snprintf(path, sizeof path, "%s/access.json", dir);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(rmdir(dir), 0);
}

TEST_MAIN("api memory", TEST(test_what_is_sent), TEST(test_no_memory),
          TEST(test_failed_additions), TEST(test_no_memory_for_a_selector),
          TEST(test_records_that_cannot_be_used))
