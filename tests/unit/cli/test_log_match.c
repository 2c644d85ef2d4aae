#include "cli/log_match.h"

#include <stdlib.h>
#include <string.h>
#include "test_main.h"

static bool in_line(const char *pattern, const char *line, bool regex, bool fold)
{
    struct log_match m;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(log_match_init(&m, pattern, regex, fold, &err), 0);
    bool found = log_match_line(&m, (const uint8_t *)line, strlen(line));
    m.invert = true;
    CU_ASSERT_EQUAL(log_match_line(&m, (const uint8_t *)line, strlen(line)), !found);
    log_match_release(&m);
    return found;
}

static void test_lines(void)
{
    CU_ASSERT(in_line("ell", "hello", false, false));
    CU_ASSERT(in_line("hello", "hello", false, false));
    CU_ASSERT(in_line("o", "hello", false, false));
    CU_ASSERT(in_line("", "hello", false, false));
    CU_ASSERT(in_line("", "", false, false));
    CU_ASSERT(!in_line("hello!", "hello", false, false));
    CU_ASSERT(!in_line("ELL", "hello", false, false));
    CU_ASSERT(in_line("ELL", "hello", false, true));
    CU_ASSERT(in_line("ell", "HELLO", false, true));
    CU_ASSERT(!in_line("h.l", "hello", false, false));
    CU_ASSERT(in_line("h.l", "hello", true, false));
    CU_ASSERT(in_line("^H(e|a)l+o$", "hello", true, true));
    CU_ASSERT(!in_line("^ello", "hello", true, false));
}

/* Long lines over a small alphabet, against memmem. */
static void test_long_lines(void)
{
    unsigned seed = 1;
    uint8_t line[200];
    char text[20];
    for (unsigned round = 0; round < 20000; round++) {
        struct log_match m;
        size_t n = round % sizeof line, len = 1 + round % (sizeof text - 1);
        for (size_t i = 0; i < n; i++)
            line[i] =
                (uint8_t) "aaabZ "[(seed = seed * 1103515245u + 12345u) >> 16 & 3];
        for (size_t i = 0; i < len; i++)
            text[i] = "aaabZ "[(seed = seed * 1103515245u + 12345u) >> 16 & 3];
        text[len] = 0;
        if (round % 3 == 0 && n > len)
            memcpy(line + seed % (n - len), text, len);
        bool want = memmem(line, n, text, len) != NULL;
        CU_ASSERT_EQUAL_FATAL(log_match_init(&m, text, false, false, NULL), 0);
        if (log_match_line(&m, line, n) != want)
            CU_FAIL("differs from memmem");
        log_match_release(&m);
    }
}

/* Whether the text lies in the two blocks, or may go on behind the second one. */
static bool in_blocks(const char *text, bool fold_case, const char *block, size_t n,
                      const char *behind, size_t n_behind)
{
    struct buf fold = BUF_INIT(1000);
    struct log_match m;
    uint64_t ends;
    CU_ASSERT_EQUAL_FATAL(log_match_init(&m, text, false, fold_case, NULL), 0);
    bool found = log_match_in(&m, (const uint8_t *)block, n, &fold, &ends) ||
                 log_match_goes_on(&m, ends, (const uint8_t *)behind, n_behind);
    log_match_release(&m);
    buf_release(&fold);
    return found;
}

static void test_blocks(void)
{
    static const struct {
        const char *text, *block, *behind;
        bool fold, found;
    } cases[] = {
        {"abc", "xxabcxx", "", false, true}, {"abc", "xxabxx", "c", false, false},
        {"abc", "xxab", "cx", false, true},  {"abc", "xxab", "x", false, false},
        {"abc", "xxa", "bc", false, true},   {"abc", "xxa", "b", false, true},
        {"abc", "xxa", "bx", false, false},  {"abc", "", "abc", false, false},
        {"abc", "a", "", false, true},       {"ABC", "xabc", "", true, true},
        {"ABC", "xAb", "Cx", true, true},    {"ABC", "xAc", "c", true, false},
        {"aab", "xaa", "ab", false, true},   {"", "anything", "", false, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        CU_ASSERT_EQUAL(in_blocks(cases[i].text, cases[i].fold, cases[i].block,
                                  strlen(cases[i].block), cases[i].behind,
                                  strlen(cases[i].behind)),
                        cases[i].found);
}

/* Cut anywhere, what is found in the whole is found in the halves, and no more. */
static void test_cut_anywhere(void)
{
    static const char *const texts[] = {"ab", "aab", "abab", "bbbb"};
    for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
        for (unsigned l = 0; l < 1024; l++) {
            char line[11] = {0};
            for (unsigned i = 0; i < 10; i++)
                line[i] = "ab"[l >> i & 1];
            /* What is behind is at least as long as any text. */
            for (size_t cut = 0; cut <= 6; cut++) {
                bool behind = strstr(line + cut, texts[t]) != NULL;
                bool whole = strstr(line, texts[t]) != NULL;
                bool found =
                    in_blocks(texts[t], false, line, cut, line + cut, 10 - cut);
                if (found ? !whole : whole && !behind)
                    CU_FAIL("differs from strstr");
            }
        }
}

/* Longer beginnings than there are bits. */
static void test_long_text(void)
{
    char text[101] = {0};
    for (size_t i = 0; i < 100; i++)
        text[i] = (char)('a' + i % 26);
    for (size_t cut = 1; cut < 100; cut++) {
        CU_ASSERT(in_blocks(text, false, text, cut, text + cut, 100 - cut));
        CU_ASSERT(cut >= 64 || !in_blocks(text, false, text, cut, "?", 1));
    }
}

/* Every text against every line over a small alphabet, both short. */
static void test_all_short(void)
{
    for (unsigned t = 0; t < 256; t++)
        for (unsigned l = 0; l < 4096; l++) {
            char text[5] = {0}, line[7] = {0};
            for (unsigned i = 0; i < 1 + t % 4; i++)
                text[i] = "aZ"[t >> (2 + i) & 1];
            for (unsigned i = 0; i < l % 7; i++)
                line[i] = "aZ"[l >> (3 + i) & 1];
            struct log_match m;
            CU_ASSERT_EQUAL_FATAL(log_match_init(&m, text, false, false, NULL), 0);
            bool want = strstr(line, text) != NULL;
            if (log_match_line(&m, (const uint8_t *)line, strlen(line)) != want)
                CU_FAIL("differs from strstr");
            log_match_release(&m);
        }
}

/* Edges of a piece are no edges of its line. */
static void test_pieces(void)
{
    static const struct {
        const char *pattern, *piece;
        bool is_regex, first, last, found;
    } cases[] = {
        {"^ab", "abc", true, true, false, true},
        {"^bc", "abc", true, false, true, false},
        {"^ab", "abc", true, false, true, false},
        {"bc$", "abc", true, false, true, true},
        {"bc$", "abc", true, true, false, false},
        {"\\<b", "abc", true, false, true, false},
        {"\\<b", " bc", true, false, true, true},
        {"ab", "abc", true, true, true, true},
        {"", "", true, false, true, true},
        {"ab", "abc", false, false, false, true},
        {"AB", "abc", false, true, true, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct log_match m;
        CU_ASSERT_EQUAL_FATAL(
            log_match_init(&m, cases[i].pattern, cases[i].is_regex, false, NULL), 0);
        for (int invert = 0; invert < 2; invert++) {
            m.invert = invert;
            CU_ASSERT_EQUAL(log_match_piece(&m, (const uint8_t *)cases[i].piece,
                                            strlen(cases[i].piece), cases[i].first,
                                            cases[i].last),
                            cases[i].found);
        }
        CU_ASSERT(cases[i].is_regex ||
                  log_match_overlap(&m) == strlen(cases[i].pattern) - 1);
        log_match_release(&m);
    }
    CU_ASSERT_EQUAL(log_match_overlap(NULL), 0);
}

static void test_refused(void)
{
    struct log_match m;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(log_match_init(&m, "(", true, false, &err), ERR_INVALID);
    CU_ASSERT(strstr(err.text, "bad regular expression '('") != NULL);
    log_match_release(&m);
    CU_ASSERT_EQUAL(log_match_init(&m, "a\nb", false, false, &err), ERR_INVALID);
    log_match_release(&m);
}

TEST_MAIN("log_match", TEST(test_lines), TEST(test_long_lines), TEST(test_blocks),
          TEST(test_cut_anywhere), TEST(test_long_text), TEST(test_all_short),
          TEST(test_pieces), TEST(test_refused))
