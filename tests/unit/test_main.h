/*
 * Frame of a unit test program:
 *     static void test_parse(void) { CU_ASSERT_EQUAL(...); }
 *     TEST_MAIN("idset", TEST(test_parse), TEST(test_print))
 * Exit status 1 when anything failed. CUnit's closing table goes to stdout.
 */
#ifndef HQ_TEST_MAIN_H
#define HQ_TEST_MAIN_H

#include <stdio.h>
#include <stdbool.h>
#include <string.h>
#include <CUnit/Basic.h>

struct test_entry {
    const char *name;
    CU_TestFunc run;
};

#define TEST(fn) \
    {            \
#fn, fn  \
    }

#define TEST_MAIN(suite_name, ...)                                               \
    int main(void)                                                               \
    {                                                                            \
        static const struct test_entry entries[] = {__VA_ARGS__};                \
        if (CU_initialize_registry() != CUE_SUCCESS)                             \
            return 2;                                                            \
        CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);                  \
        for (size_t i = 0; suite && i < sizeof entries / sizeof entries[0]; i++) \
            if (!CU_add_test(suite, entries[i].name, entries[i].run))            \
                return 2;                                                        \
        CU_basic_set_mode(CU_BRM_NORMAL);                                        \
        CU_basic_run_tests();                                                    \
        unsigned failed =                                                        \
            CU_get_number_of_failures() + CU_get_number_of_suites_failed();      \
        bool none = CU_get_number_of_tests_run() == 0;                           \
        CU_cleanup_registry();                                                   \
        return failed || none || !suite ? 1 : 0;                                 \
    }

#endif
