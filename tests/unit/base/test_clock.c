#include "base/clock.h"

#include <stdlib.h>
#include <time.h>
#include "test_main.h"

#define S 1000000ULL

static bool prints(void (*print)(uint64_t us, struct buf *out), uint64_t us,
                   const char *want)
{
    struct buf b = BUF_INIT(100);
    print(us, &b);
    bool same = strcmp(buf_cstr(&b), want) == 0;
    if (!same)
        printf("\nprinted '%s', not '%s'\n", buf_cstr(&b), want);
    buf_release(&b);
    return same;
}

static void log_short(uint64_t us, struct buf *out)
{
    time_print_log(us, false, out);
}

static void log_long(uint64_t us, struct buf *out)
{
    time_print_log(us, true, out);
}

static void test_print(void)
{
    uint64_t t = 1785751200 * S; /* 2026-08-03 10:00:00 UTC */
    CU_ASSERT(prints(time_print_rfc3339, 0, "1970-01-01T00:00:00Z"));
    CU_ASSERT(prints(time_print_rfc3339, t, "2026-08-03T10:00:00Z"));
    CU_ASSERT(prints(time_print_rfc3339, t + 120000, "2026-08-03T10:00:00.120Z"));
    CU_ASSERT(prints(time_print_rfc3339, t + 7, "2026-08-03T10:00:00.000007Z"));
    CU_ASSERT(prints(time_print_rfc3339, t + 999999, "2026-08-03T10:00:00.999999Z"));
    CU_ASSERT(prints(time_print_rfc3339, 1709164799 * S, "2024-02-28T23:59:59Z"));
    CU_ASSERT(prints(time_print_rfc3339, 1709164800 * S, "2024-02-29T00:00:00Z"));
    CU_ASSERT(prints(log_short, t + 999999, "2026-08-03T10:00:00Z"));
    CU_ASSERT(prints(log_long, t + 999999, "2026-08-03T10:00:00.999Z"));
    CU_ASSERT(prints(log_long, t, "2026-08-03T10:00:00.000Z"));
    CU_ASSERT(prints(time_print_utc, t + 499999, "2026-08-03 10:00:00 UTC"));
    CU_ASSERT(prints(time_print_utc, t + 500000, "2026-08-03 10:00:01 UTC"));
}

/* A hostile or broken time must not crash anything. */
static void test_far_future(void)
{
    struct buf b = BUF_INIT(200);
    time_print_rfc3339(UINT64_MAX, &b);
    time_print_utc(UINT64_MAX, &b);
    time_print_local(UINT64_MAX, &b);
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&b), "586524-", 7), 0);
    buf_release(&b);
}

static void test_local(void)
{
    uint64_t t = 1785751200 * S;
    CU_ASSERT_EQUAL(setenv("TZ", "XYZ-2", 1), 0);
    tzset();
    CU_ASSERT(prints(time_print_local, t + 999999, "03.08.2026 12:00:00"));
    CU_ASSERT(prints(time_print_rfc3339, t, "2026-08-03T10:00:00Z"));
    CU_ASSERT_EQUAL(setenv("TZ", "UTC", 1), 0);
    tzset();
    CU_ASSERT(prints(time_print_local, t, "03.08.2026 10:00:00"));
}

static void test_clocks(void)
{
    uint64_t us = clock_mono_us(), ns = clock_mono_ns();
    CU_ASSERT(ns / 1000 >= us);
    CU_ASSERT(clock_mono_us() >= ns / 1000);
    uint64_t now = (uint64_t)time(NULL);
    CU_ASSERT(clock_real_us() / S - now <= 1);
}

TEST_MAIN("clock", TEST(test_print), TEST(test_far_future), TEST(test_local),
          TEST(test_clocks))
