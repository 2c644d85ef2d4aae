#include "base/duration.h"

#include "test_main.h"

#define MIN_NS (60 * NS_PER_S)
#define HOUR_NS (3600 * NS_PER_S)
#define DAY_NS (24 * HOUR_NS)

static void test_parse(void)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"0", 0},
        {"90", 90 * NS_PER_S},
        {"80:02", 4802 * NS_PER_S},
        {"36:00:00", 36 * HOUR_NS},
        {"00:00:01", NS_PER_S},
        {"1:99:99", HOUR_NS + 99 * MIN_NS + 99 * NS_PER_S},
        {"1_000", 1000 * NS_PER_S},
        {"1_0:0_1", 601 * NS_PER_S},
        {"0s", 0},
        {"1000ms", NS_PER_S},
        {"0h 0m 1s", NS_PER_S},
        {"1sec", NS_PER_S},
        {"1h 30m", 90 * MIN_NS},
        {"2h5m10s", 7510 * NS_PER_S},
        {"2 hours 5 minutes", 125 * MIN_NS},
        {"  1 s  ", NS_PER_S},
        {"1.5h", 90 * MIN_NS},
        {"1.25s", 1250 * NS_PER_MS},
        {"2.5days", 60 * HOUR_NS},
        {"0.5us", 500},
        {"0.000000001s", 1},
        {"1.50000000000000000000000000h", 90 * MIN_NS},
        {"7ns", 7},
        {"7nsec 7nanos", 14},
        {"1us 1usec 1\xc2\xb5s", 3000},
        {"1msec 1millis", 2 * NS_PER_MS},
        {"1s 1secs 1second 1seconds", 4 * NS_PER_S},
        {"1m 1min 1mins 1minute 1minutes", 5 * MIN_NS},
        {"1h 1hr 1hrs 1hour 1hours", 5 * HOUR_NS},
        {"1d 1day 1days", 3 * DAY_NS},
        {"1w 1wk 1wks 1week 1weeks", 35 * DAY_NS},
        {"1M 1month 1months", 3 * 2630016 * NS_PER_S},
        {"1y 1yr 1yrs 1year 1years", 5 * 31557600 * NS_PER_S},
        {"18446744073", 18446744073 * NS_PER_S},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t ns = 1;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(duration_parse(cases[i].text, &ns, &err), 0);
        CU_ASSERT_EQUAL(ns, cases[i].ns);
        if (ns != cases[i].ns)
            printf("\n%s: %s\n", cases[i].text, err.text);
    }
}

#define HEAD                                                                   \
    "Could not parse PBS walltime. Use either `HH:MM:SS` or humantime format " \
    "(2hours): "

static void test_messages(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", HEAD "Empty"},
        {"   ", HEAD "Empty"},
        {"-1", HEAD "NumberExpected(0)"},
        {"soon", HEAD "NumberExpected(0)"},
        {":1", HEAD "NumberExpected(0)"},
        {"ms", HEAD "NumberExpected(0)"},
        {"5 s s", HEAD "NumberExpected(4)"},
        {"1:2:3:4", HEAD "InvalidCharacter(1)"},
        {"1:", HEAD "InvalidCharacter(1)"},
        {"1:xx", HEAD "InvalidCharacter(1)"},
        {"1x", HEAD "UnknownUnit { start: 1, end: 2, unit: \"x\", value: 1 }"},
        {"5x", HEAD "UnknownUnit { start: 1, end: 2, unit: \"x\", value: 5 }"},
        {"1.5", HEAD "UnknownUnit { start: 3, end: 3, unit: \"\", value: 1 }"},
        {"1h30", HEAD "UnknownUnit { start: 4, end: 4, unit: \"\", value: 30 }"},
        {"99999999999999999999", HEAD "NumberOverflow"},
        {"18446744074", HEAD "NumberOverflow"},
        {"600y", HEAD "NumberOverflow"},
        {"300y 300y", HEAD "NumberOverflow"},
        {"99999999999999999999s", HEAD "NumberOverflow"},
        {"0.5ns", HEAD "the fraction is too fine"},
        {"1.00001h", HEAD "the fraction is too fine"},
        {"0.1234567890123456789s", HEAD "the fraction is too fine"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t ns = 77;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(duration_parse(cases[i].text, &ns, &err), ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(err.text, cases[i].message);
        CU_ASSERT_EQUAL(ns, 77);
    }
}

static void test_units_only(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"10", "time unit needed, for example 10sec or 10ms"},
        {"00:00:10", "invalid character at 2"},
        {"", "value was empty"},
        {"x", "expected number at 0"},
        {"1x", "unknown time unit \"x\", supported units: ns, us, ms, sec, min, hours, "
               "days, weeks, months, years (and few variations)"},
        {"600y", "number is too large"},
        {"0.1ns", "the fraction is too fine"},
    };
    uint64_t ns = 1;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(duration_parse_units(cases[i].text, &ns, &err), ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(err.text, cases[i].message);
    }
    CU_ASSERT_EQUAL(duration_parse_units("0", &ns, NULL), 0);
    CU_ASSERT_EQUAL(ns, 0);
    CU_ASSERT_EQUAL(duration_parse_units("10 s", &ns, NULL), 0);
    CU_ASSERT_EQUAL(ns, 10 * NS_PER_S);
}

static void test_print(void)
{
    static const struct {
        uint64_t ns;
        const char *exact, *makespan;
    } cases[] = {
        {0, "0s", "0s"},
        {1, "1ns", "0s"},
        {90 * NS_PER_S, "1m 30s", "1m 30s"},
        {4802 * NS_PER_S, "1h 20m 2s", "1h 20m"},
        {36 * HOUR_NS, "1day 12h", "1day 12h"},
        {400 * DAY_NS, "1year 1month 4days 7h 26m 24s", "1year 1month 4days 7h 26m"},
        {2630016 * NS_PER_S, "1month", "1month"},
        {100 * NS_PER_MS, "100ms", "100ms"},
        {90 * NS_PER_US, "90us", "0s"},
        {DAY_NS + NS_PER_S, "1day 1s", "1day"},
        {7 * DAY_NS + 8 * HOUR_NS + 9 * MIN_NS + 10, "7days 8h 9m 10ns", "7days 8h 9m"},
        {100 * NS_PER_S + 5, "1m 40s 5ns", "1m 40s"},
        {1500 * NS_PER_MS + 999, "1s 500ms 999ns", "1s 500ms"},
        {2 * 31557600 * NS_PER_S + 1002003, "2years 1ms 2us 3ns", "2years"},
        {UINT64_MAX, "584years 6months 15days 8h 12m 57s 709ms 551us 615ns", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(1000);
        buf_puts(&b, "in "); /* printing appends */
        duration_print(cases[i].ns, &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b) + 3, cases[i].exact);
        uint64_t back = 0;
        CU_ASSERT_EQUAL(duration_parse(buf_cstr(&b) + 3, &back, NULL), 0);
        CU_ASSERT_EQUAL(back, cases[i].ns);
        buf_clear(&b);
        duration_print_makespan(cases[i].ns, &b);
        if (cases[i].makespan)
            CU_ASSERT_STRING_EQUAL(buf_cstr(&b), cases[i].makespan);
        buf_release(&b);
    }
}

TEST_MAIN("duration", TEST(test_parse), TEST(test_messages), TEST(test_units_only),
          TEST(test_print))
