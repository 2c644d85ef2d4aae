#include "base/strmap.h"

#include "alloc_torture.h"
#include "base/error.h"
#include "test_main.h"

static void join_keys(const char *key, void *value, void *arg)
{
    char *to = arg;
    (void)value;
    memcpy(to + strlen(to), key, strlen(key) + 1);
}

static void test_basics(void)
{
    struct strmap *m = strmap_create();
    int a = 1, b = 2;
    CU_ASSERT_EQUAL(strmap_count(m), 0);
    CU_ASSERT_PTR_NULL(strmap_get(m, "a", 1));
    char key[] = "alpha";
    CU_ASSERT_EQUAL(strmap_add(m, key, 5, &a), 0);
    memset(key, '-', 5); /* keys are copies */
    CU_ASSERT_EQUAL(strmap_add(m, "alpha", 5, &b), ERR_EXISTS);
    CU_ASSERT_PTR_EQUAL(strmap_get(m, "alphabet", 5), &a);
    CU_ASSERT_PTR_NULL(strmap_get(m, "alphabet", 8));
    CU_ASSERT_EQUAL(strmap_add(m, "", 0, &b), 0);
    CU_ASSERT_PTR_EQUAL(strmap_get(m, "", 0), &b);
    CU_ASSERT_EQUAL(strmap_add(m, "x\0y", 3, &b), 0);
    CU_ASSERT_PTR_NULL(strmap_get(m, "x\0z", 3));
    CU_ASSERT_EQUAL(strmap_count(m), 3);
    CU_ASSERT_PTR_NULL(strmap_remove(m, "nobody", 6));
    CU_ASSERT_PTR_EQUAL(strmap_remove(m, "x\0y", 3), &b);
    CU_ASSERT_EQUAL(strmap_add(m, "omega", 5, NULL), 0);
    char all[100] = "";
    strmap_each(m, join_keys, all);
    CU_ASSERT_STRING_EQUAL(all, "alphaomega");
    CU_ASSERT_EQUAL(strmap_count(m), 3);
    strmap_destroy(m);
    strmap_destroy(NULL);
}

static void test_many(void)
{
    struct strmap *m = strmap_create();
    static int values[20000];
    char key[32];
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        int n = snprintf(key, sizeof key, "key-%zu", i);
        CU_ASSERT_EQUAL(strmap_add(m, key, (size_t)n, &values[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(values); i += 2) {
        int n = snprintf(key, sizeof key, "key-%zu", i);
        CU_ASSERT_PTR_EQUAL(strmap_remove(m, key, (size_t)n), &values[i]);
    }
    CU_ASSERT_EQUAL(strmap_count(m), ARRAY_SIZE(values) / 2);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        int n = snprintf(key, sizeof key, "key-%zu", i);
        CU_ASSERT_PTR_EQUAL(strmap_get(m, key, (size_t)n), i % 2 ? &values[i] : NULL);
    }
    strmap_destroy(m);
}

static void test_out_of_memory(void)
{
    if (!alloc_torture_works())
        return;
    alloc_fail_at(1);
    CU_ASSERT_PTR_NULL(strmap_create());
    CU_ASSERT(alloc_failed());
    struct strmap *m = strmap_create();
    int value, rc;
    char key[32];
    for (int i = 0; i < 2000; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        size_t before = strmap_count(m);
        TORTURE(rc, strmap_add(m, key, (size_t)n, &value), {
            CU_ASSERT_EQUAL(strmap_count(m), before);
            CU_ASSERT_PTR_NULL(strmap_get(m, key, (size_t)n));
        });
        CU_ASSERT_EQUAL(rc, 0);
    }
    CU_ASSERT_EQUAL(strmap_count(m), 2000);
    for (int i = 0; i < 2000; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        CU_ASSERT_PTR_EQUAL(strmap_get(m, key, (size_t)n), &value);
    }
    strmap_destroy(m);
}

TEST_MAIN("strmap", TEST(test_basics), TEST(test_many), TEST(test_out_of_memory))
