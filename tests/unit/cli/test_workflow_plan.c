/* What hq submit --dry-run prints. */
#include <string.h>
#include "cli/workflow_plan.h"
#include "test_main.h"

static void test_plan(void)
{
    static const char text[] = "name: n\ntasks:\n  a: {run: [x]}\n"
                               "  b: {run: [y], array: 7-8, needs: a, cpus: 2}\n"
                               "  c: {run: [z], array: 1-2, needs: [{b: each}, a]}\n";
    const struct workflow_options options = {.submit_dir = "/dir"};
    struct submit s;
    struct output out;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(
        workflow_parse("flow.yml", text, strlen(text), &options, &s, &err), 0);
    output_init(&out, "quiet", "never");
    CU_ASSERT_EQUAL(workflow_print_plan(&s, &out, &err), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out.text), "5\n");
    output_release(&out);
    output_init(&out, "cli", "never");
    CU_ASSERT_EQUAL(workflow_print_plan(&s, &out, &err), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out.text),
                           "+------+-------+-----+-------------+-----------------+\n"
                           "| Task | Count | Ids | Needs       | Resources       |\n"
                           "+------+-------+-----+-------------+-----------------+\n"
                           "| a    |     1 | 0   |             | cpus: 1 compact |\n"
                           "| b    |     2 | 1-2 | a           | cpus: 2 compact |\n"
                           "| c    |     2 | 3-4 | b (each), a | cpus: 1 compact |\n"
                           "+------+-------+-----+-------------+-----------------+\n"
                           "5 tasks would be submitted as job 'n'\n");
    output_release(&out);
    output_init(&out, "json", "never");
    CU_ASSERT_EQUAL(workflow_print_plan(&s, &out, &err), 0);
    const char *json = buf_cstr(&out.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"task_count\": 5,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"ids\": \"3-4\",\n      \"name\": \"c\","));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(json, "\"kind\": \"each\",\n          \"task\": \"b\""));
    output_release(&out);
    submit_release(&s);
}

TEST_MAIN("workflow plan", TEST(test_plan))
