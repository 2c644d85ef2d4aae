#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "alloc_torture.h"
#include "base/error.h"
#include "test_main.h"

static void test_append(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "");
    buf_puts(&b, "ab");
    buf_putc(&b, 'c');
    buf_append(&b, "\0d", 2);
    buf_append(&b, NULL, 0);
    CU_ASSERT_EQUAL(b.len, 5);
    CU_ASSERT_EQUAL(memcmp(b.data, "abc\0d", 6), 0);
    buf_clear(&b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "");
    for (int i = 0; i < 10000; i++) {
        buf_putc(&b, (char)('a' + i % 26));
        if (b.data[b.len] != 0)
            CU_FAIL("no NUL behind the data");
    }
    CU_ASSERT_EQUAL(b.len, 10000);
    CU_ASSERT_EQUAL(b.data[9999], 'a' + 9999 % 26);
    buf_release(&b);
    CU_ASSERT_PTR_NULL(b.data);
    CU_ASSERT_EQUAL(b.max, BUF_MAX_DEFAULT);
}

static void test_ceiling(void)
{
    struct buf b = BUF_INIT(8);
    buf_puts(&b, "12345");
    buf_puts(&b, "6789"); /* does not fit: nothing of it goes in */
    CU_ASSERT(b.failed);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "12345");
    buf_puts(&b, "6"); /* would fit, but the text has a hole already */
    buf_u8(&b, 6);
    buf_varint(&b, 6);
    buf_printf(&b, "6");
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "12345");
    buf_patch_u32(&b, 4, 1); /* harmless after a failure */
    buf_clear(&b);
    CU_ASSERT(!b.failed);
    buf_printf(&b, "%s", "12345678");
    CU_ASSERT(!b.failed && b.len == 8);
    buf_varint(&b, 1);
    CU_ASSERT(b.failed && b.len == 8);
    CU_ASSERT_PTR_NULL(buf_steal(&b));
    CU_ASSERT_EQUAL(b.len, 0);
    CU_ASSERT(!b.failed);
    buf_printf(&b, "%s", "123456789");
    CU_ASSERT(b.failed && b.len == 0);
    buf_release(&b);

    struct buf none = BUF_INIT(0);
    buf_append(&none, "", 0);
    CU_ASSERT(!none.failed);
    buf_putc(&none, 'x');
    CU_ASSERT(none.failed && none.len == 0);
    buf_release(&none);

    struct buf all = BUF_INIT(SIZE_MAX);
    buf_puts(&all, "x");
    CU_ASSERT(!buf_reserve(&all, SIZE_MAX - 1));
    CU_ASSERT(all.failed);
    buf_release(&all);
}

static void test_printf(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    buf_printf(&b, "%d", 1);
    buf_printf(&b, "%s", "");
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "-%d", i);
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&b), "1-0-1-2", 7), 0);
    CU_ASSERT_EQUAL(strlen(buf_cstr(&b)), b.len);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b) + b.len - 8, "-198-199");
    buf_release(&b);
}

static void test_consume_and_steal(void)
{
    struct buf b = BUF_INIT(100);
    buf_puts(&b, "hello");
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "llo");
    buf_consume(&b, 3);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "");
    buf_puts(&b, "x");
    char *text = buf_steal(&b);
    CU_ASSERT_STRING_EQUAL(text, "x");
    free(text);
    text = buf_steal(&b); /* never used: an empty text */
    CU_ASSERT_STRING_EQUAL(text, "");
    free(text);
}

static void test_writers(void)
{
    struct buf b = BUF_INIT(100);
    buf_u8(&b, 0xab);
    buf_u16(&b, 0x1234);
    buf_u32(&b, 0x89abcdef);
    buf_u64(&b, 0x0102030405060708);
    static const uint8_t want[] = {0xab, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x89, 8,
                                   7,    6,    5,    4,    3,    2,    1};
    CU_ASSERT_EQUAL(b.len, sizeof want);
    CU_ASSERT_EQUAL(memcmp(b.data, want, sizeof want), 0);
    buf_patch_u32(&b, 3, 0x11223344);
    CU_ASSERT_EQUAL(get_u32(b.data + 3), 0x11223344);
    CU_ASSERT_EQUAL(get_u16(b.data + 1), 0x1234);
    CU_ASSERT_EQUAL(get_u64(b.data + 7), 0x0102030405060708);
    buf_clear(&b);
    buf_bytes(&b, "abc", 3);
    buf_str(&b, NULL);
    buf_str(&b, "z");
    CU_ASSERT_EQUAL(memcmp(b.data,
                           "\x03"
                           "abc\0\x01z",
                           7),
                    0);
    buf_release(&b);
}

static void test_varints(void)
{
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t n;
    } cases[] = {{0, "\0", 1},
                 {127, "\x7f", 1},
                 {128, "\x80\x01", 2},
                 {300, "\xac\x02", 2},
                 {UINT32_MAX, "\xff\xff\xff\xff\x0f", 5},
                 {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(100);
        buf_varint(&b, cases[i].value); /* without memory yet */
        buf_varint(&b, cases[i].value); /* the fast way */
        CU_ASSERT_EQUAL(b.len, 2 * cases[i].n);
        CU_ASSERT_EQUAL(memcmp(b.data, cases[i].bytes, cases[i].n), 0);
        CU_ASSERT_EQUAL(memcmp(b.data + cases[i].n, cases[i].bytes, cases[i].n), 0);
        CU_ASSERT_EQUAL(b.data[b.len], 0);
        buf_release(&b);
    }
    struct buf b = BUF_INIT(100);
    buf_zigzag(&b, 0);
    buf_zigzag(&b, -1);
    buf_zigzag(&b, 1);
    buf_zigzag(&b, -64);
    CU_ASSERT_EQUAL(memcmp(b.data, "\0\x01\x02\x7f", 4), 0);
    buf_clear(&b);
    buf_zigzag(&b, INT64_MIN);
    CU_ASSERT_EQUAL(memcmp(b.data, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10), 0);
    buf_release(&b);
}

static int temp_file(const void *data, size_t n)
{
    char name[] = "/tmp/hq-test-buf-XXXXXX";
    int fd = mkstemp(name);
    CU_ASSERT_FATAL(fd >= 0);
    (void)unlink(name);
    CU_ASSERT_EQUAL(write(fd, data, n), (ssize_t)n);
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void test_read_fd(void)
{
    static char data[200000];
    memset(data, 'd', sizeof data);
    int fd = temp_file(data, sizeof data);
    struct buf b = BUF_INIT(sizeof data + 2);
    buf_puts(&b, "ab");
    CU_ASSERT_EQUAL(buf_read_fd(&b, fd), 0); /* just fits */
    CU_ASSERT_EQUAL(b.len, sizeof data + 2);
    CU_ASSERT_EQUAL(memcmp(b.data + 2, data, sizeof data), 0);
    CU_ASSERT(!b.failed);
    CU_ASSERT_EQUAL(buf_read_fd(&b, fd), 0); /* at the end, and full */
    (void)lseek(fd, 0, SEEK_SET);
    buf_clear(&b);
    buf_puts(&b, "abc");
    CU_ASSERT_EQUAL(buf_read_fd(&b, fd), ERR_TOO_BIG);
    CU_ASSERT(b.failed);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "abc");
    (void)close(fd);
    buf_clear(&b);
    errno = 0;
    CU_ASSERT_EQUAL(buf_read_fd(&b, -1), ERR_SYSTEM);
    CU_ASSERT_EQUAL(errno, EBADF);
    CU_ASSERT(!b.failed);
    buf_release(&b);
}

/* Whatever fails: contents stay, failed is set, nothing leaks or crashes. */
static void test_out_of_memory(void)
{
    if (!alloc_torture_works())
        return;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    static char big[4096];
    buf_puts(&b, "kept");
    alloc_fail_at(1);
    buf_append(&b, big, sizeof big);
    CU_ASSERT(alloc_failed() && b.failed);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "kept");
    buf_clear(&b);
    alloc_fail_at(1);
    buf_printf(&b, "%4096d", 1);
    CU_ASSERT(alloc_failed() && b.failed && b.len == 0);
    buf_clear(&b);
    int fd = temp_file(big, sizeof big);
    alloc_fail_at(1);
    int rc = buf_read_fd(&b, fd);
    CU_ASSERT(alloc_failed());
    CU_ASSERT_EQUAL(rc, ERR_NOMEM);
    (void)close(fd);
    buf_release(&b);
    alloc_fail_at(1);
    CU_ASSERT_PTR_NULL(buf_steal(&b));
    CU_ASSERT(alloc_failed());
    buf_release(&b);
}

TEST_MAIN("buf", TEST(test_append), TEST(test_ceiling), TEST(test_printf),
          TEST(test_consume_and_steal), TEST(test_writers), TEST(test_varints),
          TEST(test_read_fd), TEST(test_out_of_memory))
