/* Workflows that are refused, and the whole message that tells why. */
#include "test_main.h"
#include "submit/workflow.h"
#include "submit/workflow_bad.h"

static void check(const struct bad_workflow *bad)
{
    const struct workflow_options options = {.submit_dir = "/nowhere"};
    struct submit s;
    struct error err = ERROR_INIT;
    int rc =
        workflow_parse("flow.yml", bad->text, strlen(bad->text), &options, &s, &err);
    CU_ASSERT_NOT_EQUAL(rc, 0);
    if (rc == 0) {
        printf("\n%s\nis accepted\n", bad->text);
        submit_release(&s);
        return;
    }
    CU_ASSERT_EQUAL(rc, err.code);
    if (strcmp(err.text, bad->message) != 0)
        printf("\n%s\n--- gives\n%s\n--- instead of\n%s\n", bad->text, err.text,
               bad->message);
    CU_ASSERT_STRING_EQUAL(err.text, bad->message);
    CU_ASSERT_EQUAL(s.n_groups, 0); /* nothing is left of it */
    CU_ASSERT_PTR_NULL(s.bodies);
}

static void test_shapes(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad_shapes); i++)
        check(&bad_shapes[i]);
}

static void test_meanings(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad_meanings); i++)
        check(&bad_meanings[i]);
}

/* A cycle of many tasks is told in short, and found without recursion. */
static void test_long_cycle(void)
{
    enum { N = 20000 };
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    const struct workflow_options options = {.submit_dir = "/nowhere"};
    struct submit s;
    struct error err = ERROR_INIT;
    buf_puts(&text, "tasks:\n  before: {run: x, needs: t0}\n");
    for (int i = 0; i < N; i++)
        buf_printf(&text, "  t%d: {run: x, needs: t%d}\n", i, (i + 1) % N);
    CU_ASSERT_EQUAL(workflow_parse("flow.yml", text.data, text.len, &options, &s, &err),
                    ERR_PARSE);
    CU_ASSERT_STRING_EQUAL(
        err.text,
        "flow.yml:3:3: the needs of these tasks form a cycle: 't0' needs 't1' "
        "needs 't2' needs 't3' needs 't4' needs 't5' needs 't6' needs "
        "'t7' needs ... (19992 more) needs 't0'\n"
        "  t0: {run: x, needs: t1}\n"
        "  ^");
    buf_release(&text);
}

TEST_MAIN("workflow errors", TEST(test_shapes), TEST(test_meanings),
          TEST(test_long_cycle))
