#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "test_main.h"

static int saved_stderr = -1;
static int capture_fd = -1;

static void capture(void)
{
    char name[] = "/tmp/hq-test-log-XXXXXX";
    capture_fd = mkstemp(name);
    CU_ASSERT_FATAL(capture_fd >= 0);
    (void)unlink(name);
    saved_stderr = dup(STDERR_FILENO);
    (void)dup2(capture_fd, STDERR_FILENO);
}

static void captured(struct buf *out)
{
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)lseek(capture_fd, 0, SEEK_SET);
    CU_ASSERT_EQUAL(buf_read_fd(out, capture_fd), 0);
    (void)close(capture_fd);
}

/* Compares with a pattern where '0' stands for any digit. */
static bool looks_like(const char *text, const char *pattern)
{
    for (; *text && *pattern; text++, pattern++) {
        bool digit = *text >= '0' && *text <= '9';
        if (*pattern == '0' ? !digit : *pattern != *text)
            return false;
    }
    return *text == *pattern;
}

static void test_formats(void)
{
    struct buf b = BUF_INIT(100000);
    capture();
    errno = ENOENT;
    log_info("job %d", 7);
    CU_ASSERT_EQUAL(errno, ENOENT);
    log_debug("not shown");
    log_write(LOG_TRACE, "x", "not shown");
    log_warn("w");
    log_error("e");
    log_set_level(LOG_ERROR);
    CU_ASSERT_EQUAL(log_get_level(), LOG_ERROR);
    log_warn("not shown");
    log_set_level(LOG_DEBUG);
    log_set_long_format(true);
    log_write(LOG_DEBUG, "/a/src/server/loop.c", "m");
    log_write(LOG_INFO, "base/log.c", "m");
    log_write(LOG_INFO, "log.c", "m");
    log_set_long_format(false);
    log_set_level(LOG_INFO);
    captured(&b);
    CU_ASSERT(looks_like(buf_cstr(&b), "0000-00-00T00:00:00Z INFO job 0\n"
                                       "0000-00-00T00:00:00Z WARN w\n"
                                       "0000-00-00T00:00:00Z ERROR e\n"
                                       "[0000-00-00T00:00:00.000Z DEBUG server] m\n"
                                       "[0000-00-00T00:00:00.000Z INFO base] m\n"
                                       "[0000-00-00T00:00:00.000Z INFO log.c] m\n"));
    buf_release(&b);
}

static void *write_lines(void *arg)
{
    (void)arg;
    static const char filler[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    for (int i = 0; i < 500; i++)
        log_info("t%s<%s", filler, filler);
    return NULL;
}

/* Lines of different threads never mix. */
static void test_threads(void)
{
    pthread_t threads[4];
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    capture();
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
    captured(&b);
    size_t lines = 0, first = strcspn(buf_cstr(&b), "\n");
    for (const char *p = buf_cstr(&b); *p; p += first + 1, lines++)
        if (strcspn(p, "\n") != first || strncmp(p + 20, " INFO tabc", 10) != 0)
            CU_FAIL_FATAL("a line is torn");
    CU_ASSERT_EQUAL(lines, 2000);
    buf_release(&b);
}

static void test_long_line(void)
{
    static char big[200001];
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    memset(big, 'x', sizeof big - 1);
    capture();
    log_info("%s", big);
    captured(&b);
    CU_ASSERT_EQUAL(b.len, 20 + 6 + sizeof big - 1 + 1);
    buf_release(&b);
}

TEST_MAIN("log", TEST(test_formats), TEST(test_threads), TEST(test_long_line))
