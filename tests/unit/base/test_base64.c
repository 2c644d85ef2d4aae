#include "base/base64.h"

#include <string.h>
#include "test_main.h"

static void test_valid(void)
{
    static const struct {
        const char *text, *bytes;
        size_t n;
    } cases[] = {
        {"", "", 0},
        {"Zg==", "f", 1},
        {"aXM=", "is", 2},
        {"Zm9v", "foo", 3},
        {"Zm9vYg==", "foob", 4},
        {"AAAA", "\0\0\0", 3},
        {"+/+/", "\xfb\xff\xbf", 3},
        {"/w==", "\xff", 1},
        {"//8=", "\xff\xff", 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t out[16];
        size_t n = 99, len = strlen(cases[i].text);
        CU_ASSERT_TRUE_FATAL(BASE64_BYTES_MAX(len) <= sizeof out);
        CU_ASSERT_TRUE(base64_decode(cases[i].text, len, out, &n));
        CU_ASSERT_EQUAL_FATAL(n, cases[i].n);
        CU_ASSERT_EQUAL(memcmp(out, cases[i].bytes, n), 0);
    }
}

static void test_refused(void)
{
    static const char *const cases[] = {
        "Z",    "Zg",       "Zg=",  "Zg=a",  "====",     "Z===", "Zh==",      "Zm9=",
        "Zm 8", "Zg==Zg==", "-_-_", "Zm9\n", "aXM=aXM=", "=m8=", "\xc3\xa4v="};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t out[16];
        size_t n;
        bool taken = base64_decode(cases[i], strlen(cases[i]), out, &n);
        if (taken)
            printf("%s is taken\n", cases[i]);
        CU_ASSERT_FALSE(taken);
    }
}

TEST_MAIN("base64", TEST(test_valid), TEST(test_refused))
