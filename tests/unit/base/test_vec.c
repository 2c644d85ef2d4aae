#include "base/vec.h"

#include "alloc_torture.h"
#include "test_main.h"

struct point {
    int x, y;
    char name[24];
};

static void test_push(void)
{
    VEC(uint32_t) ids = VEC_INIT;
    for (uint32_t i = 0; i < 1000; i++)
        CU_ASSERT(vec_push(&ids, i));
    CU_ASSERT_EQUAL(ids.len, 1000);
    CU_ASSERT_EQUAL(ids.data[500], 500);
    CU_ASSERT_EQUAL(vec_last(&ids), 999);
    CU_ASSERT_EQUAL(vec_pop(&ids), 999);
    vec_swap_remove(&ids, 0);
    CU_ASSERT_EQUAL(ids.data[0], 998);
    CU_ASSERT_EQUAL(ids.len, 998);
    vec_swap_remove(&ids, 997);
    CU_ASSERT_EQUAL(vec_last(&ids), 996);
    vec_clear(&ids);
    CU_ASSERT_EQUAL(ids.len, 0);
    vec_release(&ids);
    CU_ASSERT_PTR_NULL(ids.data);
    VEC(struct point) points = VEC_INIT;
    struct point p = {1, 2, "p"};
    CU_ASSERT(vec_push(&points, p));
    CU_ASSERT_EQUAL(points.data[0].y, 2);
    vec_release(&points);
}

static void test_failures(void)
{
    VEC(uint64_t) v = VEC_INIT;
    CU_ASSERT(!vec_reserve(&v, SIZE_MAX));
    CU_ASSERT(!vec_reserve(&v, SIZE_MAX / 8 + 1));
    CU_ASSERT(vec_push(&v, 7));
    CU_ASSERT(!vec_reserve(&v, SIZE_MAX));
    CU_ASSERT_EQUAL(v.data[0], 7);
    vec_release(&v);
}

static void test_out_of_memory(void)
{
    VEC(uint64_t) v = VEC_INIT;
    bool fine = true;
    if (!alloc_torture_works())
        return;
    CU_ASSERT(vec_push(&v, 7));
    alloc_fail_at(1);
    while (fine)
        fine = vec_push(&v, 8);
    CU_ASSERT(alloc_failed());
    CU_ASSERT_EQUAL(v.len, v.cap);
    CU_ASSERT_EQUAL(v.data[0], 7);
    vec_release(&v);
}

TEST_MAIN("vec", TEST(test_push), TEST(test_failures), TEST(test_out_of_memory))
