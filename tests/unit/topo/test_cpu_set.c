/* Sets of CPU numbers. */
#include <unistd.h>
#include "topo/cpu_set.h"
#include "test_main.h"

static void test_parse_print(void)
{
    static const struct {
        const char *text, *shown; /* NULL: malformed */
        uint32_t count;
    } cases[] = {
        {"0-3,8\n", "0-3,8", 5}, {"", "", 0},
        {"\n", "", 0},           {"63-65", "63-65", 3},
        {"8191", "8191", 1},     {"5,4,3", "3-5", 3},
        {"8192", NULL, 0},       {"3-1", NULL, 0},
        {"a", NULL, 0},          {"1,,2", NULL, 0},
        {"1;2", NULL, 0},        {"-1", NULL, 0},
        {"1-", NULL, 0},         {"99999999999999999999", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cpu_set s;
        struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
        bool ok = cpu_set_parse(&s, cases[i].text);
        CU_ASSERT_EQUAL(ok, cases[i].shown != NULL);
        if (ok) {
            cpu_set_print(&s, &out);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&out), cases[i].shown);
            CU_ASSERT_EQUAL(cpu_set_count(&s), cases[i].count);
        }
        buf_release(&out);
    }
}

static void test_operations(void)
{
    struct cpu_set a, b;
    CU_ASSERT(cpu_set_parse(&a, "1,130") && cpu_set_parse(&b, "1-2"));
    cpu_set_unite(&b, &a);
    CU_ASSERT(cpu_set_has(&b, 130) && cpu_set_has(&b, 2) && !cpu_set_has(&b, 3));
    CU_ASSERT_FALSE(cpu_set_has(&b, 100000));
    cpu_set_intersect(&b, &a);
    CU_ASSERT_TRUE(cpu_set_equal(&a, &b));
    cpu_set_remove(&b, 130);
    CU_ASSERT_FALSE(cpu_set_equal(&a, &b));
    CU_ASSERT(cpu_set_parse(&a, "1"));
    CU_ASSERT_TRUE(cpu_set_equal(&a, &b));
    CU_ASSERT_EQUAL(cpu_set_next(&a, 0), 1);
    CU_ASSERT_EQUAL(cpu_set_next(&a, 2), CPU_SET_MAX);
    cpu_set_add(&a, CPU_SET_MAX);
    CU_ASSERT_EQUAL(cpu_set_count(&a), 1);
}

static void test_of_process(void)
{
    struct cpu_set mine, same;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cpu_set_of_self(&mine, &err), 0);
    CU_ASSERT(cpu_set_count(&mine) > 0);
    CU_ASSERT_EQUAL_FATAL(cpu_set_of_pid(&same, getpid(), &err), 0);
    CU_ASSERT_TRUE(cpu_set_equal(&mine, &same));
    CU_ASSERT_EQUAL(cpu_set_apply(&mine, 0), 0);
    CU_ASSERT(cpu_set_of_pid(&same, -5, &err) < 0);
    CU_ASSERT_TRUE(cpu_set_equal(&mine, &same));
}

TEST_MAIN("cpu_set", TEST(test_parse_print), TEST(test_operations),
          TEST(test_of_process))
