#include "test_main.h"
#include "submit/decimal.h"

static const struct {
    const char *text;
    bool valid;
    int64_t mantissa;
    unsigned digits;
    const char *printed;
} cases[] = {
    {"0", true, 0, 0, "0"},
    {"-0.0", true, 0, 1, "0.0"},
    {"1.50", true, 150, 2, "1.50"},
    {"+1.", true, 1, 0, "1"},
    {".5", true, 5, 1, "0.5"},
    {"-.05", true, -5, 2, "-0.05"},
    {"2e3", true, 2000, 0, "2000"},
    {"2.5E+1", true, 25, 0, "25"},
    {"2e-3", true, 2, 3, "0.002"},
    {"1.25e1", true, 125, 1, "12.5"},
    {"9223372036854775807", true, INT64_MAX, 0, "9223372036854775807"},
    {"-9223372036854775807", true, -INT64_MAX, 0, "-9223372036854775807"},
    {"9223372036854775808", false, 0, 0, NULL},
    {"99999999999999999999", false, 0, 0, NULL},
    {"0.000000000000000001", true, 1, 18, "0.000000000000000001"},
    {"0.0000000000000000001", false, 0, 0, NULL},
    {"1e18", true, 1000000000000000000, 0, "1000000000000000000"},
    {"1e19", false, 0, 0, NULL},
    {"1e99999999999", false, 0, 0, NULL},
    {"", false, 0, 0, NULL},
    {".", false, 0, 0, NULL},
    {"-", false, 0, 0, NULL},
    {"1e", false, 0, 0, NULL},
    {"1e+", false, 0, 0, NULL},
    {"1x", false, 0, 0, NULL},
    {"0x10", false, 0, 0, NULL},
    {".inf", false, 0, 0, NULL},
    {"nan", false, 0, 0, NULL},
    {" 1", false, 0, 0, NULL},
};

static void test_parse(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal d = {0, 0};
        struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
        CU_ASSERT_EQUAL(decimal_parse(cases[i].text, &d), cases[i].valid);
        CU_ASSERT_EQUAL(d.mantissa, cases[i].mantissa);
        CU_ASSERT_EQUAL(d.digits, cases[i].digits);
        if (cases[i].valid) {
            decimal_print(d, &out);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&out), cases[i].printed);
        }
        buf_release(&out);
    }
}

static void test_widen(void)
{
    struct decimal d = {15, 1};
    CU_ASSERT_TRUE(decimal_widen(&d, 3));
    CU_ASSERT_EQUAL(d.mantissa, 1500);
    CU_ASSERT_EQUAL(d.digits, 3);
    d = (struct decimal){INT64_MAX / 5, 0};
    CU_ASSERT_FALSE(decimal_widen(&d, 1));
    d = (struct decimal){INT64_MIN / 5, 0};
    CU_ASSERT_FALSE(decimal_widen(&d, 1));
}

TEST_MAIN("decimal", TEST(test_parse), TEST(test_widen))
