#include "base/text.h"

#include "alloc_torture.h"
#include "test_main.h"

static void test_width(void)
{
    static const struct {
        const char *text;
        size_t width;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"\xc3\xa4\xc3\xb6", 2},         /* ä ö */
        {"a\xcc\x88", 1},                /* a + combining diaeresis */
        {"\xe6\x97\xa5\xe6\x9c\xac", 4}, /* two ideographs */
        {"\xf0\x9f\x98\x80", 2},         /* a smiley */
        {"\xef\xbc\xa1", 2},             /* fullwidth A */
        {"\xea\xb0\x80", 2},             /* Hangul syllable */
        {"\xe2\x80\x8b", 0},             /* zero width space */
        {"\xe2\x82\xac", 1},             /* euro */
        {"\xc2\xad", 1},                 /* soft hyphen */
        {"\x1b[1;31mred\x1b[0m", 3},
        {"\x1b[38;2;1;2;3mx\x1b[m", 1},
        {"\x1b", 0},
        {"\x1b[", 0},
        {"\x1b[1", 0},
        {"a\tb\n", 2},
        {"\xff\xfe", 2},
        {"\xe2\x82", 2},
        {"\xf0\x9f", 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t n = strlen(cases[i].text);
        CU_ASSERT_EQUAL(text_width(cases[i].text, n), cases[i].width);
        if (text_width(cases[i].text, n) != cases[i].width)
            printf("\ncase %zu: %zu\n", i, text_width(cases[i].text, n));
    }
}

static void test_cut(void)
{
    const char *s = "a\xe2\x82\xac\xf0\x9f\x98\x80z"; /* 1 + 3 + 4 + 1 bytes */
    static const size_t want[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9};
    for (size_t n = 0; n < ARRAY_SIZE(want); n++)
        CU_ASSERT_EQUAL(text_cut(s, n), want[n]);
    CU_ASSERT_EQUAL(text_cut(s, SIZE_MAX), 9);
    CU_ASSERT_EQUAL(text_cut("\x80\x80\x80\x80\x80\x80", 5), 5);
    CU_ASSERT_EQUAL(text_cut("", 3), 0);
}

static void test_lossy(void)
{
#define R "\xef\xbf\xbd"
#define TEN "0123456789"
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"\xc3\xa4", "\xc3\xa4"},
        {"\xff", R},
        {"a\xffz", "a" R "z"},
        {"\xc0\x80", R R},       /* overlong */
        {"\xe0\x80\x80", R R R}, /* overlong */
        {"\xe2\x82", R},         /* one cut character, one mark */
        {"\xe2\x82z", R "z"},
        {"\xf0\x9f\x98z", R "z"},
        {"\xf4\x90\x80\x80", R R R R}, /* above U+10FFFF */
        {"\xed\xa0\x80", R R R},       /* surrogate */
        {"\xf5", R},
        {"\x80\xc3\xa4", R "\xc3\xa4"},
        {TEN TEN TEN "12\xff" TEN TEN TEN "1\xff",
         TEN TEN TEN "12" R TEN TEN TEN "1" R},
        {TEN TEN TEN TEN "\xc3\xa4" TEN TEN TEN TEN,
         TEN TEN TEN TEN "\xc3\xa4" TEN TEN TEN TEN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(1000);
        text_lossy(&b, cases[i].in, strlen(cases[i].in));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), cases[i].out);
        buf_release(&b);
    }
#undef TEN
#undef R
}

static void test_quote(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", "''"},
        {"abc", "abc"},
        {"a-b_c/d.e:f=g,h+i@j%k", "a-b_c/d.e:f=g,h+i@j%k"},
        {"a b", "'a b'"},
        {"it's", "'it'\\''s'"},
        {"'", "''\\'''"},
        {"$HOME", "'$HOME'"},
        {"a\nb", "'a\nb'"},
        {"\xc3\xa4", "'\xc3\xa4'"},
        {"~", "'~'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(1000);
        char **words;
        size_t n;
        text_shell_quote(&b, cases[i].in, strlen(cases[i].in));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), cases[i].out);
        CU_ASSERT_EQUAL_FATAL(text_shell_split(buf_cstr(&b), &words, &n, NULL), 0);
        CU_ASSERT_EQUAL(n, 1);
        CU_ASSERT_STRING_EQUAL(words[0], cases[i].in);
        text_free_words(words);
        buf_release(&b);
    }
}

static void test_split(void)
{
    static const struct {
        const char *in;
        const char *words[6];
    } cases[] = {
        {"", {NULL}},
        {" \t\n", {NULL}},
        {"a", {"a"}},
        {" a  bc\td\n", {"a", "bc", "d"}},
        {"a'b c'd", {"ab cd"}},
        {"--cpus=\"2 compact\"", {"--cpus=2 compact"}},
        {"'' \"\"", {"", ""}},
        {"'a\\b' \"a\\b\\\"\\\\\\$\"", {"a\\b", "a\\b\"\\$"}},
        {"a\\ b \\'", {"a b", "'"}},
        {"a\\\nb c", {"ab", "c"}},
        {"a \\\n b", {"a", "b"}},
        {"\"a\\\nb\"", {"ab"}},
        {"a\\", {"a\\"}},
        {"$x `y` #z", {"$x", "`y`", "#z"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char **words;
        size_t n, want = 0;
        CU_ASSERT_EQUAL_FATAL(text_shell_split(cases[i].in, &words, &n, NULL), 0);
        while (cases[i].words[want])
            want++;
        CU_ASSERT_EQUAL_FATAL(n, want);
        for (size_t k = 0; k < n; k++)
            CU_ASSERT_STRING_EQUAL(words[k], cases[i].words[k]);
        CU_ASSERT_PTR_NULL(words[n]);
        text_free_words(words);
    }
    static const char *const open[] = {"'", "a \"b", "\"\\\"", "a 'b\" c"};
    for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
        char **words = NULL;
        size_t n;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(text_shell_split(open[i], &words, &n, &err), ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(err.text, "a quote is never closed");
        CU_ASSERT_PTR_NULL(words);
    }
    text_free_words(NULL);
}

static void test_split_out_of_memory(void)
{
    char **words = NULL;
    size_t n;
    int rc;
    struct error err = ERROR_INIT;
    TORTURE(rc, text_shell_split("a b c d e f g h i 'j k' l m n", &words, &n, &err),
            CU_ASSERT_PTR_NULL(words));
    CU_ASSERT_EQUAL_FATAL(rc, 0);
    CU_ASSERT_EQUAL(n, 13);
    CU_ASSERT_STRING_EQUAL(words[9], "j k");
    text_free_words(words);
}

static void test_suggest(void)
{
    static const char *const names[] = {"submit", "job",      "task",  "server",
                                        "worker", "work-dir", "array", NULL};
    static const struct {
        const char *word, *want;
    } cases[] = {
        {"sumbit", "submit"}, {"submt", "submit"},  {"jobs", "job"},
        {"serve", "server"},  {"wroker", "worker"}, {"arrray", "array"},
        {"xyz", NULL},        {"", NULL},           {"partition", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *got = text_suggest(cases[i].word, names);
        if (cases[i].want && got)
            CU_ASSERT_STRING_EQUAL(got, cases[i].want)
        else
            CU_ASSERT_PTR_EQUAL(got, cases[i].want);
    }
    static const char *const options[] = {"work-dir", "cpus", NULL};
    const char *got = text_suggest("workers", options);
    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    CU_ASSERT_STRING_EQUAL(got, "work-dir");
    char longer[1000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    CU_ASSERT_PTR_NULL(text_suggest(longer, names));
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        bool ok32, ok64;
        uint64_t value;
    } cases[] = {
        {"0", true, true, 0},
        {"1_000", true, true, 1000},
        {"4294967295", true, true, UINT32_MAX},
        {"4294967296", false, true, 4294967296},
        {"18446744073709551615", false, true, UINT64_MAX},
        {"18446744073709551616", false, false, 0},
        {"99999999999999999999999", false, false, 0},
        {"", false, false, 0},
        {"_1", false, false, 0},
        {"-1", false, false, 0},
        {"+1", false, false, 0},
        {" 1", false, false, 0},
        {"1 ", false, false, 0},
        {"0x1", false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t small = 77;
        uint64_t big = 77;
        CU_ASSERT_EQUAL(text_to_u32(cases[i].text, &small), cases[i].ok32);
        CU_ASSERT_EQUAL(text_to_u64(cases[i].text, &big), cases[i].ok64);
        CU_ASSERT_EQUAL(small, cases[i].ok32 ? cases[i].value : 77);
        CU_ASSERT_EQUAL(big, cases[i].ok64 ? cases[i].value : 77);
    }
}

static void test_sizes(void)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } printed[] = {
        {0, "0 B"},
        {2047, "2047 B"},
        {2048, "2.00 KiB"},
        {10000, "9.77 KiB"},
        {2 * 1048576 - 1, "2048.00 KiB"},
        {2 * 1048576, "2.00 MiB"},
        {3000000, "2.86 MiB"},
        {2ULL << 30, "2.00 GiB"},
        {5000ULL << 30, "5000.00 GiB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(printed); i++) {
        struct buf b = BUF_INIT(100);
        text_print_size(&b, printed[i].bytes);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), printed[i].text);
        buf_release(&b);
    }
    static const struct {
        const char *text;
        uint64_t bytes;
    } parsed[] = {
        {"0", 0},
        {"100", 100},
        {"100 B", 100},
        {"10kB", 10000},
        {"10KB", 10000},
        {"1 GiB", 1ULL << 30},
        {"64M", 64000000},
        {"64Mi", 64ULL << 20},
        {"64mib", 64ULL << 20},
        {"1.5KiB", 1536},
        {"0.5", 0},
        {"1_000", 1000},
        {"2T", 2000000000000},
        {"1TiB", 1ULL << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(parsed); i++) {
        uint64_t bytes = 7;
        CU_ASSERT_EQUAL(text_parse_size(parsed[i].text, &bytes, NULL), 0);
        CU_ASSERT_EQUAL(bytes, parsed[i].bytes);
    }
    static const char *const bad[] = {"",
                                      "x",
                                      "-1",
                                      "1.",
                                      ".5",
                                      "1 XB",
                                      "1 2",
                                      "1kBs",
                                      "18446744073709551616",
                                      "99999999999TiB"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t bytes = 7;
        CU_ASSERT_EQUAL(text_parse_size(bad[i], &bytes, NULL), ERR_PARSE);
        CU_ASSERT_EQUAL(bytes, 7);
    }
}

TEST_MAIN("text", TEST(test_width), TEST(test_cut), TEST(test_lossy), TEST(test_quote),
          TEST(test_split), TEST(test_split_out_of_memory), TEST(test_suggest),
          TEST(test_numbers), TEST(test_sizes))
