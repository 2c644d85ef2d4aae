#include "base/json.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/error.h"
#include "test_main.h"

static void write_sample(struct json *j)
{
    json_begin_object(j);
    json_key(j, "a");
    json_begin_array(j);
    json_end_array(j);
    json_key(j, "b");
    json_begin_object(j);
    json_end_object(j);
    json_key(j, "c");
    json_begin_array(j);
    json_int(j, -1);
    json_begin_object(j);
    json_kstr(j, "k", "v");
    json_kbool(j, "t", true);
    json_end_object(j);
    json_null(j);
    json_end_array(j);
    json_knull(j, "d");
    json_kuint(j, "e", UINT64_MAX);
    json_kint(j, "f", INT64_MIN);
    json_kdouble(j, "g", 8);
    json_kstr(j, "h", NULL);
    json_key(j, "i");
    json_raw(j, "[1]", 3);
    json_end_object(j);
}

static void test_layout(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct json j;
    json_init(&j, &b, true, -1);
    write_sample(&j);
    CU_ASSERT_EQUAL(json_flush(&j), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "{\n"
                                         "  \"a\": [],\n"
                                         "  \"b\": {},\n"
                                         "  \"c\": [\n"
                                         "    -1,\n"
                                         "    {\n"
                                         "      \"k\": \"v\",\n"
                                         "      \"t\": true\n"
                                         "    },\n"
                                         "    null\n"
                                         "  ],\n"
                                         "  \"d\": null,\n"
                                         "  \"e\": 18446744073709551615,\n"
                                         "  \"f\": -9223372036854775808,\n"
                                         "  \"g\": 8.0,\n"
                                         "  \"h\": null,\n"
                                         "  \"i\": [1]\n"
                                         "}");
    buf_clear(&b);
    json_init(&j, &b, false, -1);
    write_sample(&j);
    CU_ASSERT_STRING_EQUAL(
        buf_cstr(&b),
        "{\"a\":[],\"b\":{},\"c\":[-1,{\"k\":\"v\",\"t\":true},null],\"d\":null,"
        "\"e\":18446744073709551615,\"f\":-9223372036854775808,\"g\":8.0,\"h\":null,"
        "\"i\":[1]}");
    buf_clear(&b);
    json_init(&j, &b, true, -1);
    json_str(&j, "alone");
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "\"alone\"");
    buf_release(&b);
}

static void test_strings(void)
{
    static const struct {
        const char *text;
        size_t n;
        const char *want;
    } cases[] = {
        {"", 0, "\"\""},
        {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
        {"\n\r\t\b\f", 5, "\"\\n\\r\\t\\b\\f\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9,
         "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"x\xff"
         "y\xc3",
         4,
         "\"x\xef\xbf\xbd"
         "y\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x82\n", 3, "\"\xef\xbf\xbd\\n\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(1000);
        struct json j;
        json_init(&j, &b, true, -1);
        json_strn(&j, cases[i].text, cases[i].n);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), cases[i].want);
        buf_release(&b);
    }
}

static void test_doubles(void)
{
    static const struct {
        double v;
        const char *want;
    } cases[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {8, "8.0"},
        {100, "100.0"},
        {0.10000000149011612, "0.10000000149011612"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e308"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e16"},
        {123456789012345680.0, "1.2345678901234568e17"},
        {9007199254740993.0, "9007199254740992.0"},
        {0.00001, "0.00001"},
        {0.00001234, "0.00001234"},
        {0.000001, "1e-6"},
        {1.5e-7, "1.5e-7"},
        {1785751200.123456, "1785751200.123456"},
        {99999999.999999, "99999999.999999"},
        {100000000.000001, "100000000.000001"},
        {0.000123, "0.000123"},
        {0.001, "0.001"},
        {1.000001, "1.000001"},
        {1.0000001, "1.0000001"},
        {3600, "3600.0"},
        {0.0000015, "1.5e-6"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(1000);
        struct json j;
        json_init(&j, &b, true, -1);
        json_double(&j, cases[i].v);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), cases[i].want);
        if (strcmp(buf_cstr(&b), cases[i].want) != 0)
            printf("\n%s, not %s\n", buf_cstr(&b), cases[i].want);
        buf_release(&b);
    }
}

static void test_doubles_read_back(void)
{
    uint64_t seed = 88172645463325252ULL;
    struct buf b = BUF_INIT(1000);
    for (int i = 0; i < 20000; i++) {
        double v, back;
        struct json j;
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        memcpy(&v, &seed, sizeof v);
        if (!isfinite(v))
            continue;
        buf_clear(&b);
        json_init(&j, &b, false, -1);
        json_double(&j, v);
        back = strtod(buf_cstr(&b), NULL);
        if (memcmp(&back, &v, sizeof v) != 0)
            CU_FAIL("a double does not read back");
    }
    buf_release(&b);
}

/* Times in microseconds: exactly the decimal number. */
static void test_microseconds(void)
{
    struct buf b = BUF_INIT(1000), want = BUF_INIT(1000);
    uint64_t n = 1;
    for (int i = 0; i < 20000; i++) {
        struct json j;
        n = n * 6364136223846793005ULL + 1442695040888963407ULL;
        unsigned us = 100 + (unsigned)(n >> 33) % 4000000000U;
        buf_clear(&b);
        buf_clear(&want);
        json_init(&j, &b, false, -1);
        json_double(&j, us / 1e6);
        buf_printf(&want, "%u.%06u", us / 1000000, us % 1000000);
        while (want.data[want.len - 1] == '0' && want.data[want.len - 2] != '.')
            want.data[--want.len] = 0;
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), buf_cstr(&want));
    }
    buf_release(&b);
    buf_release(&want);
}

static void test_streaming(void)
{
    char name[] = "/tmp/hq-test-json-XXXXXX";
    int fd = mkstemp(name);
    CU_ASSERT_FATAL(fd >= 0);
    (void)unlink(name);
    struct buf b = BUF_INIT(1 << 20), all = BUF_INIT(BUF_MAX_DEFAULT);
    struct json j, whole;
    json_init(&j, &b, false, fd);
    json_init(&whole, &all, false, -1);
    json_begin_array(&j);
    json_begin_array(&whole);
    for (uint64_t i = 0; i < 300000; i++) {
        json_uint(&j, i);
        json_uint(&whole, i);
    }
    json_end_array(&j);
    json_end_array(&whole);
    CU_ASSERT_EQUAL(json_flush(&j), 0);
    CU_ASSERT(b.cap < 200000); /* bounded, however much goes through */
    buf_clear(&b);
    b.max = BUF_MAX_DEFAULT;
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    CU_ASSERT_EQUAL(buf_read_fd(&b, fd), 0);
    CU_ASSERT_EQUAL(b.len, all.len);
    CU_ASSERT_EQUAL(memcmp(b.data, all.data, all.len), 0);
    buf_release(&all);
    buf_release(&b);
    (void)close(fd);
}

static void test_failures(void)
{
    struct buf b = BUF_INIT(1000000);
    struct json j;
    json_init(&j, &b, false, 987654); /* not open */
    json_begin_array(&j);
    for (uint64_t i = 0; i < 100000; i++)
        json_uint(&j, i);
    CU_ASSERT(j.failed && j.sys == EBADF);
    CU_ASSERT(b.len < 100000);
    json_end_array(&j);
    CU_ASSERT_EQUAL(json_flush(&j), ERR_SYSTEM);
    buf_release(&b);

    struct buf small = BUF_INIT(8);
    json_init(&j, &small, false, -1);
    json_str(&j, "much too long");
    CU_ASSERT_EQUAL(json_flush(&j), ERR_NOMEM);
    buf_release(&small);
}

TEST_MAIN("json", TEST(test_layout), TEST(test_strings), TEST(test_doubles),
          TEST(test_doubles_read_back), TEST(test_microseconds), TEST(test_streaming),
          TEST(test_failures))
