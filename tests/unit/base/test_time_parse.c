#include "base/clock.h"

#include <stdlib.h>
#include <time.h>
#include "base/util.h"
#include "test_main.h"

#define NOW_US UINT64_C(1785751200000000) /* 2026-08-03T10:00:00Z */
#define S UINT64_C(1000000)

static void set_zone(const char *zone)
{
    CU_ASSERT_EQUAL(setenv("TZ", zone, 1), 0);
    tzset();
}

static void test_times(void)
{
    static const struct {
        const char *text;
        uint64_t us;
    } cases[] = {
        {"2026-08-03T10:00:00Z", NOW_US},
        {"2026-08-03t10:00:00z", NOW_US},
        {"2026-08-03T10:00:00.25Z", NOW_US + S / 4},
        {"2026-08-03T12:00:00+02:00", NOW_US},
        {"2026-08-03 12:30 +0230", NOW_US},
        {"2026-08-03T05:00:00-05:00", NOW_US},
        {"2026-08-03 10:00:00 UTC", NOW_US},
        {"2026-08-03 10:00", NOW_US},
        {"2026-08-03", NOW_US - 36000 * S},
        {"09:30", NOW_US - 1800 * S},
        {"09:30:15", NOW_US - 1785 * S},
        {"23:00", NOW_US + 46800 * S},
        {"1970-01-01T00:00:00Z", 0},
        {"2024-02-29T00:00:00Z", UINT64_C(1709164800) * S},
        {"@0", 0},
        {"@1785751200", NOW_US},
        {"10m", NOW_US - 600 * S},
        {"1h 30m", NOW_US - 5400 * S},
        {"90s", NOW_US - 90 * S},
        {"500years", 0},
    };
    set_zone("UTC");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t us = 1;
        struct error err = ERROR_INIT;
        int rc = time_parse(cases[i].text, NOW_US, &us, &err);
        CU_ASSERT_EQUAL(rc, 0);
        if (us != cases[i].us)
            printf("%s: %llu\n", cases[i].text, (unsigned long long)us);
        CU_ASSERT_EQUAL(us, cases[i].us);
    }
}

static void test_refused(void)
{
    static const char *const cases[] = {"",
                                        "now",
                                        "12",
                                        "2026-8-3",
                                        "2026-13-01",
                                        "2026-02-31",
                                        "2026-08-03T",
                                        "24:00",
                                        "10:60",
                                        "10:00:61",
                                        "10:00:00.",
                                        "10:0",
                                        "10:00 +2",
                                        "10:00Zx",
                                        "@",
                                        "@-1",
                                        "@1.5",
                                        "1969-12-31",
                                        "2026-08-03X10:00",
                                        "-10m",
                                        "2026-00-10",
                                        "2026-01-00",
                                        "10:00 CET",
                                        "@99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t us;
        struct error err = ERROR_INIT;
        int rc = time_parse(cases[i], NOW_US, &us, &err);
        if (rc == 0)
            printf("accepted: %s\n", cases[i]);
        CU_ASSERT_EQUAL(rc, ERR_PARSE);
        CU_ASSERT(strstr(err.text, "expected a time") != NULL);
    }
}

static void test_local_time(void)
{
    uint64_t us;
    struct error err = ERROR_INIT;
    set_zone("XYZ-3");
    CU_ASSERT_EQUAL(time_parse("2026-08-03 13:00", NOW_US, &us, &err), 0);
    CU_ASSERT_EQUAL(us, NOW_US);
    CU_ASSERT_EQUAL(time_parse("13:00", NOW_US, &us, &err), 0);
    CU_ASSERT_EQUAL(us, NOW_US);
    CU_ASSERT_EQUAL(time_parse("2026-08-03 10:00Z", NOW_US, &us, &err), 0);
    CU_ASSERT_EQUAL(us, NOW_US);
}

TEST_MAIN("time_parse", TEST(test_times), TEST(test_refused), TEST(test_local_time))
