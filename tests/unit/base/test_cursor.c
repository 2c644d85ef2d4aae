#include "base/cursor.h"

#include <stdlib.h>
#include "alloc_torture.h"
#include "test_main.h"

static void test_fixed(void)
{
    static const uint8_t bytes[] = {1, 0x34, 0x12, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1};
    struct cursor c = cursor_make(bytes, sizeof bytes);
    CU_ASSERT_EQUAL(cursor_u8(&c), 1);
    CU_ASSERT_EQUAL(cursor_u16(&c), 0x1234);
    CU_ASSERT_EQUAL(cursor_u32(&c), 0x01020304);
    CU_ASSERT_EQUAL(cursor_u64(&c), 0x0102030405060708);
    CU_ASSERT(!c.failed);
    CU_ASSERT_EQUAL(cursor_left(&c), 0);
    CU_ASSERT_EQUAL(cursor_u8(&c), 0);
    CU_ASSERT(c.failed);
}

/* A read that is one byte short gives 0, fails and leaves nothing. */
static void test_short(void)
{
    static const uint8_t bytes[7] = {1, 1, 1, 1, 1, 1, 1};
    struct cursor c = cursor_make(bytes, 1);
    CU_ASSERT_EQUAL(cursor_u16(&c), 0);
    CU_ASSERT(c.failed && cursor_left(&c) == 0);
    c = cursor_make(bytes, 3);
    CU_ASSERT_EQUAL(cursor_u32(&c), 0);
    CU_ASSERT(c.failed && cursor_left(&c) == 0);
    c = cursor_make(bytes, 7);
    CU_ASSERT_EQUAL(cursor_u64(&c), 0);
    CU_ASSERT(c.failed && cursor_left(&c) == 0);
    c = cursor_make(NULL, 0);
    CU_ASSERT_EQUAL(cursor_varint(&c), 0);
    CU_ASSERT(c.failed);
    c = cursor_make(bytes, 4);
    CU_ASSERT_EQUAL(cursor_take(&c, 5).n, 0);
    CU_ASSERT(c.failed && cursor_left(&c) == 0);
    c = cursor_make(NULL, 0);
    CU_ASSERT_EQUAL(cursor_take(&c, 0).n, 0);
    CU_ASSERT(!c.failed);
}

static void test_varint_round_trip(void)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t v = (uint64_t)1 << shift;
            v = delta < 0 ? v - 1 : v + (uint64_t)delta;
            struct buf b = BUF_INIT(100);
            buf_varint(&b, v);
            buf_zigzag(&b, (int64_t)v);
            buf_zigzag(&b, (int64_t)(0 - v));
            struct cursor c = cursor_make(b.data, b.len);
            CU_ASSERT_EQUAL(cursor_varint(&c), v);
            CU_ASSERT_EQUAL(cursor_zigzag(&c), (int64_t)v);
            CU_ASSERT_EQUAL(cursor_zigzag(&c), (int64_t)(0 - v));
            CU_ASSERT(!c.failed && cursor_left(&c) == 0);
            for (size_t n = 0; n < b.len; n++) { /* every truncation fails */
                c = cursor_make(b.data, n);
                (void)cursor_varint(&c);
                (void)cursor_zigzag(&c);
                (void)cursor_zigzag(&c);
                CU_ASSERT(c.failed);
            }
            buf_release(&b);
        }
    }
}

static void test_varint_limits(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool ok64, ok32;
    } cases[] = {
        {"\xff\xff\xff\xff\x0f", 5, true, true},
        {"\x80\x80\x80\x80\x10", 5, true, false},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, true, false},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, false},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11, false, false},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, false, false},
        {"\x80", 1, false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cursor c = cursor_make(cases[i].bytes, cases[i].n);
        (void)cursor_varint(&c);
        CU_ASSERT_EQUAL(!c.failed, cases[i].ok64);
        c = cursor_make(cases[i].bytes, cases[i].n);
        (void)cursor_varint32(&c);
        CU_ASSERT_EQUAL(!c.failed, cases[i].ok32);
        if (c.failed)
            CU_ASSERT_EQUAL(cursor_left(&c), 0);
    }
}

static void test_bytes(void)
{
    struct cursor c = cursor_make("\x03xyz\x00\x04"
                                  "ab",
                                  8);
    struct span s = cursor_bytes(&c);
    CU_ASSERT(s.n == 3 && memcmp(s.p, "xyz", 3) == 0);
    s = cursor_bytes(&c);
    CU_ASSERT(s.n == 0 && !c.failed);
    s = cursor_bytes(&c);
    CU_ASSERT(s.n == 0 && c.failed);
    c = cursor_make("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01z", 11);
    CU_ASSERT(cursor_bytes(&c).n == 0 && c.failed);
}

static void test_strdup(void)
{
    struct cursor c = cursor_make("\x03xyz\x00", 5);
    char *s = cursor_strdup(&c, 3);
    CU_ASSERT_STRING_EQUAL(s, "xyz");
    free(s);
    s = cursor_strdup(&c, 3);
    CU_ASSERT_STRING_EQUAL(s, "");
    free(s);
    c = cursor_make("\x03xyz", 4);
    CU_ASSERT(cursor_strdup(&c, 2) == NULL && c.failed);
    c = cursor_make("\x03x\0z", 4);
    CU_ASSERT(cursor_strdup(&c, 10) == NULL && c.failed);
}

static void test_out_of_memory(void)
{
    if (!alloc_torture_works())
        return;
    struct cursor c = cursor_make("\x03xyz", 4);
    alloc_fail_at(1);
    char *s = cursor_strdup(&c, 3);
    CU_ASSERT(alloc_failed() && s == NULL && c.failed);
}

static void test_count(void)
{
    struct cursor c = cursor_make("\x02----", 5);
    CU_ASSERT_EQUAL(cursor_count(&c, 2), 2);
    CU_ASSERT(!c.failed);
    c = cursor_make("\x02---", 4);
    CU_ASSERT_EQUAL(cursor_count(&c, 2), 0);
    CU_ASSERT(c.failed);
    c = cursor_make("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01-", 11);
    CU_ASSERT_EQUAL(cursor_count(&c, 0), 0);
    CU_ASSERT(c.failed);
}

TEST_MAIN("cursor", TEST(test_fixed), TEST(test_short), TEST(test_varint_round_trip),
          TEST(test_varint_limits), TEST(test_bytes), TEST(test_strdup),
          TEST(test_count), TEST(test_out_of_memory))
