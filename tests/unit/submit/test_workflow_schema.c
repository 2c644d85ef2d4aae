/*
 * docs/workflow.schema.json against everything that is known to be a workflow: the
 * cases of the other tests, the examples, and the manual.
 */
#include "test_main.h"
#include "base/path.h"
#include "submit/json_schema.h"
#include "submit/workflow.h"
#include "submit/workflow_bad.h"
#include "submit/workflow_good.h"

#define ROOT "../../"

static struct conf_doc *schema_doc;

static void read_file(const char *path, struct buf *text)
{
    struct error err = ERROR_INIT;
    int rc = path_read_file(path, text, &err);
    if (rc)
        printf("\n%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void load_schema(void)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    read_file(ROOT "docs/workflow.schema.json", &text);
    CU_ASSERT_EQUAL_FATAL(
        conf_parse_json("schema", text.data, text.len, &schema_doc, &err), 0);
    buf_release(&text);
}

/* -1: no YAML at all. */
static int check(const char *text, size_t n)
{
    struct conf_doc *doc = NULL;
    struct error err = ERROR_INIT;
    if (conf_parse_yaml("flow.yml", text, n, &doc, &err))
        return -1;
    struct json_schema schema = {.root = conf_root(schema_doc)};
    bool valid = schema_valid(&schema, schema.root, conf_root(doc));
    if (schema.unknown)
        printf("\nthe schema has the keyword %s\n", schema.unknown);
    CU_ASSERT_PTR_NULL(schema.unknown);
    conf_destroy(doc);
    return valid;
}

/* Job files in YAML are read, but they are no workflows. */
static bool is_job_file(const char *text)
{
    return strstr(text, "task:\n-") || strncmp(text, "array:", 6) == 0 ||
           strncmp(text, "task: [", 7) == 0;
}

static void test_good(void)
{
    load_schema();
    for (size_t i = 0; i < ARRAY_SIZE(good_cases); i++) {
        int valid = check(good_cases[i].text, strlen(good_cases[i].text));
        bool wanted = !is_job_file(good_cases[i].text);
        if (valid != wanted)
            printf("\n%s--- is refused by the schema\n", good_cases[i].text);
        CU_ASSERT_EQUAL(valid, wanted);
    }
}

static void check_bad(const struct bad_workflow *bad, size_t n, int wanted)
{
    for (size_t i = 0; i < n; i++) {
        int valid = check(bad[i].text, strlen(bad[i].text));
        if (valid >= 0 && valid != wanted)
            printf("\n%s\n--- is %s by the schema\n", bad[i].text,
                   valid ? "accepted" : "refused");
        CU_ASSERT_TRUE(valid < 0 || valid == wanted);
    }
}

static void test_bad(void)
{
    check_bad(bad_shapes, ARRAY_SIZE(bad_shapes), false);
    check_bad(bad_meanings, ARRAY_SIZE(bad_meanings), true);
}

static void test_examples(void)
{
    static const char *const files[] = {ROOT "examples/ising/flow.yml"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        read_file(files[i], &text);
        CU_ASSERT_EQUAL(check(buf_cstr(&text), text.len), true);
        buf_release(&text);
    }
}

/* Blocks of the manual that are whole workflows; files they name need not exist. */
static void test_manual(void)
{
    static const char open[] = "```yaml\n", close[] = "\n```";
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    size_t n = 0;
    read_file(ROOT "docs/workflow.md", &text);
    for (const char *p = buf_cstr(&text); (p = strstr(p, open)) != NULL;) {
        p += strlen(open);
        const char *end = strstr(p, close);
        CU_ASSERT_PTR_NOT_NULL_FATAL(end);
        size_t len = (size_t)(end - p) + 1;
        struct submit s;
        struct error err = ERROR_INIT;
        const struct workflow_options options = {.submit_dir = "/nowhere"};
        n++;
        int rc = workflow_parse("manual", p, len, &options, &s, &err);
        if (rc == 0)
            submit_release(&s);
        bool fits = rc == 0 || strstr(err.text, "No such file");
        int valid = check(p, len);
        if (!fits || valid != 1)
            printf("\n%.*s--- %s\n", (int)len, p,
                   fits ? "breaks the schema" : err.text);
        CU_ASSERT_TRUE(fits);
        CU_ASSERT_EQUAL(valid, 1);
        p = end;
    }
    CU_ASSERT_TRUE(n >= 5);
    buf_release(&text);
    conf_destroy(schema_doc);
}

TEST_MAIN("workflow schema", TEST(test_good), TEST(test_bad), TEST(test_examples),
          TEST(test_manual))
