/* Single values of a task description. */
#include <stdlib.h>
#include "submit/fields.h"
#include "test_main.h"

static void test_stdio(void)
{
    static const struct {
        const char *text;
        enum stdio_kind kind;
        const char *path;
        bool rm;
    } stdios[] = {
        {"none", STDIO_NONE, NULL, false},
        {"NONE", STDIO_FILE, "NONE", false},
        {"none:rm-if-finished", STDIO_FILE, "none", true},
        {" sp ", STDIO_FILE, "sp ", false},
        {" x:rm-if-finished", STDIO_FILE, "x", true},
        {":rm-if-finished", STDIO_DEFAULT, NULL, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(stdios); i++) {
        struct stdio_spec spec;
        CU_ASSERT_EQUAL_FATAL(stdio_parse(stdios[i].text, &spec, NULL), 0);
        CU_ASSERT_EQUAL(spec.kind, stdios[i].kind);
        CU_ASSERT_EQUAL(spec.rm_if_finished, stdios[i].rm);
        CU_ASSERT_EQUAL(!spec.path, !stdios[i].path);
        if (spec.path && stdios[i].path)
            CU_ASSERT_STRING_EQUAL(spec.path, stdios[i].path);
        free(spec.path);
    }
}

static void test_numbers(void)
{
    uint32_t limit;
    uint64_t weight;
    CU_ASSERT_EQUAL(crash_limit_parse("never-restart", &limit, NULL), 0);
    CU_ASSERT_EQUAL(limit, CRASH_LIMIT_NEVER_RESTART);
    CU_ASSERT_EQUAL(crash_limit_parse("7", &limit, NULL), 0);
    CU_ASSERT_EQUAL(limit, 7);
    CU_ASSERT_EQUAL(weight_parse("2.5", &weight, NULL), 0);
    CU_ASSERT_EQUAL(weight, 25000);
}

TEST_MAIN("fields", TEST(test_stdio), TEST(test_numbers))
