#include "base/arena.h"

#include <string.h>
#include "test_main.h"

static void test_pieces(void)
{
    static const size_t sizes[] = {0,    1,    7,     8,      9, 100,
                                   4095, 4096, 70000, 300000, 3, 2000000};
    struct arena a = ARENA_INIT;
    unsigned char *pieces[600];
    for (size_t i = 0; i < 600; i++) {
        size_t n = sizes[i % 12 == 11 && i > 30 ? 3 : i % 12];
        pieces[i] = arena_alloc(&a, n);
        CU_ASSERT_PTR_NOT_NULL_FATAL(pieces[i]);
        CU_ASSERT_EQUAL((uintptr_t)pieces[i] % ARENA_ALIGN, 0);
        memset(pieces[i], (int)(i & 0xff), n);
    }
    /* No piece overlaps another. */
    for (size_t i = 0; i < 600; i++) {
        size_t n = sizes[i % 12 == 11 && i > 30 ? 3 : i % 12], wrong = 0;
        for (size_t k = 0; k < n; k++)
            wrong += pieces[i][k] != (i & 0xff);
        CU_ASSERT_EQUAL(wrong, 0);
    }
    arena_release(&a);
    CU_ASSERT_EQUAL(a.total_bytes, 0);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 5));
    arena_release(&a);
}

static void test_small_pieces_share(void)
{
    struct arena a;
    arena_init(&a);
    for (int i = 0; i < 100000; i++)
        CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 24));
    CU_ASSERT(a.total_bytes < 2 * 24 * 100000);
    arena_release(&a);
}

static void test_impossible(void)
{
    struct arena a = ARENA_INIT;
    CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX));
    CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX - 20));
    CU_ASSERT_PTR_NULL(arena_array(&a, SIZE_MAX / 4, 8));
    CU_ASSERT_PTR_NULL(arena_strndup(&a, "", SIZE_MAX));
    arena_release(&a);
}

static void test_trim(void)
{
    struct arena a = ARENA_INIT;
    char *p = arena_alloc(&a, 1000);
    arena_trim(&a, p, 1000, 10);
    char *q = arena_alloc(&a, 8);
    CU_ASSERT_PTR_EQUAL(q, p + 16);
    /* Not the last piece: nothing happens. */
    arena_trim(&a, p, 10, 0);
    CU_ASSERT_PTR_EQUAL(arena_alloc(&a, 8), q + 8);
    char *s = arena_strndup(&a, "abcdef", 3);
    CU_ASSERT_STRING_EQUAL(s, "abc");
    arena_release(&a);
}

TEST_MAIN("arena", TEST(test_pieces), TEST(test_small_pieces_share),
          TEST(test_impossible), TEST(test_trim))
