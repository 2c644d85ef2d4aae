/* Workflows and what becomes of them. */
#include "test_main.h"
#include "submit/submit_dump.h"
#include "submit/workflow.h"
#include "submit/workflow_good.h"

static void test_groups(void)
{
    for (size_t i = 0; i < sizeof good_cases / sizeof good_cases[0]; i++) {
        const struct workflow_options options = {.submit_dir = "/dir"};
        struct submit s;
        struct error err = ERROR_INIT;
        struct buf dump = BUF_INIT(BUF_MAX_DEFAULT);
        int rc = workflow_parse("flow.yml", good_cases[i].text,
                                strlen(good_cases[i].text), &options, &s, &err);
        CU_ASSERT_EQUAL(rc == 0, good_cases[i].dump != NULL);
        if (rc == 0 && good_cases[i].dump) {
            submit_dump(&s, &dump);
            if (strcmp(buf_cstr(&dump), good_cases[i].dump) != 0)
                printf("\n%s--- gives\n%s--- instead of\n%s", good_cases[i].text,
                       buf_cstr(&dump), good_cases[i].dump);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&dump), good_cases[i].dump);
            CU_ASSERT_STRING_EQUAL(s.submit_dir, "/dir");
            CU_ASSERT_TRUE(submit_survives(&s));
        } else if (rc && good_cases[i].dump) {
            printf("\n%s--- fails with\n%s\n", good_cases[i].text, err.text);
        }
        if (rc == 0)
            submit_release(&s);
        buf_release(&dump);
    }
}

/* One group that stays small, however many tasks it stands for. */
static void test_large_array(void)
{
    static const char text[] = "tasks:\n  a: {run: [a], array: 1-4000000000}\n";
    const struct workflow_options options = {.submit_dir = "/dir"};
    struct error err = ERROR_INIT;
    struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT);
    struct submit s;
    char number[AXIS_NUMBER_SIZE];
    CU_ASSERT_EQUAL_FATAL(
        workflow_parse("flow.yml", text, strlen(text), &options, &s, &err), 0);
    CU_ASSERT_EQUAL(submit_task_count(&s), 4000000000);
    CU_ASSERT_STRING_EQUAL(axis_value(&s.extras[0].axes[0], 3999999999, number),
                           "4000000000");
    submit_encode(&s, &bytes);
    CU_ASSERT_TRUE(bytes.len < 200);
    buf_release(&bytes);
    submit_release(&s);
}

/* Tasks that are alike share one body, whatever way they became so. */
static void test_many_tasks(void)
{
    enum { N = 3000 };
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    const struct workflow_options options = {.submit_dir = "/dir"};
    struct error err = ERROR_INIT;
    struct submit s;
    buf_puts(&text, "defaults: {env: {A: 0}}\ntasks:\n");
    for (int i = 0; i < N; i++)
        buf_printf(&text, "  t%d: {run: x %d, env: {A: %d}, needs: [%s%d]}\n", i, i,
                   i % 3, i + 1 < N ? "t" : "last", i + 1 < N ? i + 1 : 0);
    buf_puts(&text, "  last0: {run: y}\n");
    CU_ASSERT_EQUAL_FATAL(
        workflow_parse("flow.yml", text.data, text.len, &options, &s, &err), 0);
    CU_ASSERT_EQUAL(s.n_bodies, 3);
    CU_ASSERT_EQUAL(s.n_groups, N + 1);
    CU_ASSERT_EQUAL(s.groups[N].first_id, N);
    CU_ASSERT_EQUAL(s.groups[N].body, 0);
    CU_ASSERT_TRUE(submit_survives(&s));
    submit_release(&s);
    buf_release(&text);
}

TEST_MAIN("workflow groups", TEST(test_groups), TEST(test_large_array),
          TEST(test_many_tasks))
