#include "base/idset.h"

#include <stdlib.h>
#include "alloc_torture.h"
#include "test_main.h"

static struct idset parsed(const char *text)
{
    struct idset s = IDSET_INIT;
    struct error err = ERROR_INIT;
    if (idset_parse(&s, text, &err) != 0) {
        printf("\n%s: %s\n", text, err.text);
        CU_FAIL("a good range was refused");
    }
    return s;
}

static bool prints_as(const struct idset *s, const char *want)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    idset_print(s, &b);
    bool same = strcmp(buf_cstr(&b), want) == 0;
    if (!same)
        printf("\nprinted '%s', not '%s'\n", buf_cstr(&b), want);
    buf_release(&b);
    return same;
}

static void test_parse_and_print(void)
{
    static const struct {
        const char *text, *printed, *sorted;
        uint64_t count;
    } cases[] = {
        {"1", "1", "1", 1},
        {"0-3", "0-3", "0-3", 4},
        {"5,1,9", "5,1,9", "1,5,9", 3},
        {"0-10:2", "0-10:2", "0,2,4,6,8,10", 6},
        {" 1 , 3-4 ", "1,3-4", "1,3-4", 3},
        {"1_0-1_2", "10-12", "10-12", 3},
        {"3-3", "3", "3", 1},
        {"7-9,1-2", "7-9,1-2", "1-2,7-9", 5},
        {"0-10:10", "0-10:10", "0,10", 2},
        {"0-11:5,20", "0-11:5,20", "0,5,10,20", 4},
        {"4294967290-4294967294", "4294967290-4294967294", "4294967290-4294967294", 5},
        {"1,2,3", "1,2,3", "1-3", 3},
        {"1-4:1", "1-4", "1-4", 4},
        {"0-4294967294", "0-4294967294", "0-4294967294", 4294967295},
        {"0-8:2,1-9:2", "0-8:2,1-9:2", "0-9", 10},
        {"\t7\n", "7", "7", 1},
        {"1_", "1", "1", 1},
        {"007", "7", "7", 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct idset s = parsed(cases[i].text), sorted = IDSET_INIT;
        CU_ASSERT(prints_as(&s, cases[i].printed));
        CU_ASSERT_EQUAL(idset_count(&s), cases[i].count);
        CU_ASSERT_EQUAL(idset_sorted(&sorted, &s), 0);
        CU_ASSERT(prints_as(&sorted, cases[i].sorted));
        CU_ASSERT_EQUAL(idset_count(&sorted), cases[i].count);
        idset_release(&sorted);
        idset_release(&s);
    }
}

#define NUMBER " while attempting to parse number"
#define RANGE " while attempting to parse Integer range"
#define TOKEN "Unexpected token found"
#define END "Unexpected end of input found"
#define ELSE ", expected something else:\n"
#define FOLLOW ", expected , or - or : or <end of input> or _:\n"
#define INVALID "\n  |\n  --- Invalid range\n"

static void test_messages(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", END NUMBER ELSE "(the input was empty)"},
        {"x", TOKEN NUMBER ELSE "  x\n  |\n  --- Unexpected token `x`\n"},
        {"1-", END NUMBER ELSE "  1-\n    |\n    --- Unexpected end of input\n"},
        {"-1", TOKEN NUMBER ELSE "  -1\n  |\n  --- Unexpected token `-`\n"},
        {"1,x", TOKEN NUMBER ELSE "  1,x\n    |\n    --- Unexpected token `x`\n"},
        {"1,,2", TOKEN NUMBER ELSE "  1,,2\n    |\n    --- Unexpected token `,`\n"},
        {"1,", END NUMBER ELSE "  1,\n    |\n    --- Unexpected end of input\n"},
        {"1.5", TOKEN RANGE FOLLOW "  1.5\n   |\n   --- Unexpected token `.`\n"},
        {"1,\xc3\xa4", TOKEN NUMBER ELSE
         "  1,\xc3\xa4\n    |\n    --- Unexpected token `\xc3\xa4`\n"},
        {"\xc3\xa4", TOKEN NUMBER ELSE "  \xc3\xa4\n  |\n  --- Unexpected token "
                                       "`\xc3\xa4`\n"},
        {"3-1", END RANGE ELSE "  3-1" INVALID},
        {"5:2", END RANGE ELSE "  5:2" INVALID},
        {"5-5:1", END RANGE ELSE "  5-5:1" INVALID},
        {"0-3:0", END RANGE ELSE "  0-3:0" INVALID},
        {"0-3:4", END RANGE ELSE "  0-3:4" INVALID},
        {"1-5,2-3", END ELSE "  1-5,2-3\n  |\n  --- Ranges overlap\n"},
        {"1,1", END ELSE "  1,1\n  |\n  --- Ranges overlap\n"},
        {"4294967296", END RANGE ELSE "  4294967296\n  |\n  --- Cannot parse as 4-byte "
                                      "unsigned integer\n"},
        {"1,4294967295", END RANGE ELSE
         "  1,4294967295\n    |\n    --- The largest id is 4294967294\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct idset s = parsed("42");
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(idset_parse(&s, cases[i].text, &err), ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(err.text, cases[i].message);
        if (strcmp(err.text, cases[i].message) != 0)
            printf("\n%s: %s\n", cases[i].text, err.text);
        CU_ASSERT(prints_as(&s, "42")); /* untouched */
        idset_release(&s);
    }
}

static void test_refused(void)
{
    static const char *const texts[] = {"1;2",
                                        "all",
                                        "last",
                                        "3 - 4",
                                        "1 -2",
                                        "1- 2",
                                        "1 2",
                                        "_1",
                                        "1-_2",
                                        "+1",
                                        "0x1",
                                        "1e3",
                                        "1-2-3",
                                        "1:2:3",
                                        ",1",
                                        " ",
                                        "\xff",
                                        "1-3,3",
                                        "1-9:2,3",
                                        "10,0-100:7,98",
                                        "99999999999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct idset s = IDSET_INIT;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(idset_parse(&s, texts[i], &err), ERR_PARSE);
        CU_ASSERT(strncmp(err.text, "Unexpected ", 11) == 0);
        CU_ASSERT_EQUAL(s.n_ranges, 0);
        CU_ASSERT_PTR_NULL(s.ranges);
    }
}

/* The picture of a long input keeps its lower lines. */
static void test_long_input(void)
{
    char text[5001];
    struct idset s = IDSET_INIT;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "1,", 3);
    text[3000] = 'x';
    CU_ASSERT_EQUAL(idset_parse(&s, text, &err), ERR_PARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "\n  ...1,1,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--- Unexpected token `x`\n"));
    const char *x = strchr(strstr(err.text, "..."), 'x');
    const char *line = strstr(err.text, "\n  ...") + 1;
    const char *mark = strchr(x, '|');
    CU_ASSERT_EQUAL(x - line, mark - (strchr(x, '\n') + 1));
}

static void test_access(void)
{
    struct idset s = parsed("7-9,1,20-30:5");
    static const uint32_t ids[] = {7, 8, 9, 1, 20, 25, 30};
    struct idset_iter it = IDSET_ITER(&s);
    uint32_t id;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        CU_ASSERT_EQUAL(idset_at(&s, i), ids[i]);
        CU_ASSERT(idset_contains(&s, ids[i]));
        CU_ASSERT(idset_next(&it, &id));
        CU_ASSERT_EQUAL(id, ids[i]);
    }
    CU_ASSERT(!idset_next(&it, &id));
    CU_ASSERT_EQUAL(idset_max(&s), 30);
    static const uint32_t others[] = {0, 2, 6, 10, 19, 21, 29, 31, 35, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        CU_ASSERT(!idset_contains(&s, others[i]));
    idset_release(&s);
    CU_ASSERT_EQUAL(idset_max(&s), 0);
    CU_ASSERT_EQUAL(idset_count(&s), 0);
    CU_ASSERT(prints_as(&s, ""));
}

static void test_add(void)
{
    struct idset s = IDSET_INIT;
    CU_ASSERT_EQUAL(idset_add(&s, 1, 1, 1), 0);
    CU_ASSERT_EQUAL(idset_add(&s, 2, 1, 9), 0); /* the step of one id means nothing */
    CU_ASSERT_EQUAL(idset_add(&s, 3, 5, 1), 0);
    CU_ASSERT_EQUAL(s.n_ranges, 1);
    CU_ASSERT_EQUAL(idset_add(&s, 9, 1, 1), 0);
    CU_ASSERT_EQUAL(idset_add(&s, 10, 3, 2), 0);
    CU_ASSERT_EQUAL(idset_add(&s, 15, 1, 1), 0);
    CU_ASSERT(prints_as(&s, "1-7,9,10-14:2,15"));
    CU_ASSERT_EQUAL(idset_add(&s, IDSET_ID_MAX, 1, 1), 0);
    CU_ASSERT_EQUAL(idset_add(&s, UINT32_MAX, 1, 1), ERR_INVALID);
    CU_ASSERT_EQUAL(idset_add(&s, 0, 0, 1), ERR_INVALID);
    CU_ASSERT_EQUAL(idset_add(&s, 0, 2, 0), ERR_INVALID);
    CU_ASSERT_EQUAL(idset_add(&s, 0, UINT32_MAX, 2), ERR_INVALID);
    struct idset copy = IDSET_INIT;
    CU_ASSERT_EQUAL(idset_copy(&copy, &s), 0);
    CU_ASSERT_EQUAL(idset_copy(&copy, &s), 0); /* again, over the old */
    CU_ASSERT(prints_as(&copy, "1-7,9,10-14:2,15,4294967294"));
    idset_release(&copy);
    idset_release(&s);
}

static void test_sorted_unites(void)
{
    struct idset s = IDSET_INIT;
    CU_ASSERT_EQUAL(idset_add(&s, 10, 5, 1), 0);
    CU_ASSERT_EQUAL(idset_add(&s, 12, 1, 1), 0);
    CU_ASSERT_EQUAL(idset_add(&s, 0, 3, 4), 0);
    CU_ASSERT_EQUAL(idset_add(&s, 0, 2, 1), 0);
    CU_ASSERT(idset_overlaps(&s));
    CU_ASSERT_EQUAL(idset_sorted(&s, &s), 0); /* in place */
    CU_ASSERT(prints_as(&s, "0-1,4,8,10-14"));
    idset_release(&s);
    CU_ASSERT_EQUAL(idset_add(&s, 0, 1U << 31, 1), 0);
    CU_ASSERT_EQUAL(idset_add(&s, 0, 1U << 30, 3), 0);
    CU_ASSERT_EQUAL(idset_sorted(&s, &s), ERR_TOO_BIG);
    idset_release(&s);
}

/* Against a bitmap, with small random progressions. */
static void test_overlaps(void)
{
    uint32_t seed = 20240229;
    int both[2] = {0, 0};
    for (int round = 0; round < 20000; round++) {
        struct idset s = IDSET_INIT;
        uint8_t seen[2000] = {0};
        bool twice = false;
        uint32_t n = 2 + (uint32_t)round % 4;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t draw[3];
            for (size_t k = 0; k < 3; k++) {
                seed = seed * 1664525 + 1013904223;
                draw[k] = seed >> 16;
            }
            uint32_t first = draw[0] % 100, count = 1 + draw[1] % 12;
            uint32_t step = 1 + draw[2] % 30;
            CU_ASSERT_EQUAL(idset_add(&s, first, count, step), 0);
            for (uint32_t k = 0; k < count; k++)
                twice |= seen[first + k * step]++ > 0;
        }
        if (idset_overlaps(&s) != twice) {
            struct buf b = BUF_INIT(1000);
            idset_print(&s, &b);
            printf("\nround %d: %s\n", round, buf_cstr(&b));
            buf_release(&b);
            CU_FAIL("overlap was judged wrongly");
        }
        both[twice]++;
        idset_release(&s);
    }
    CU_ASSERT(both[0] > 1000 && both[1] > 1000);
}

static void test_overlaps_of_large_steps(void)
{
    static const struct {
        struct idrange a, b;
        bool meet;
    } cases[] = {
        {{0, 2, 4294967294, 0}, {4294967294, 1, 1, 0}, true},
        {{0, 65537, 65521, 0}, {1, 65521, 65519, 0}, true},
        {{0, 3, 2147483647, 0}, {1, 3, 2147483646, 0}, true}, /* at 2147483647 */
        {{0, 2, 2147483646, 0}, {1, 2, 2147483646, 0}, false},
        {{3, 1000000, 4000, 0}, {5, 1000000, 4002, 0}, true},
        {{0, 1000000, 4000, 0}, {2, 1000000, 4000, 0}, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (int turn = 0; turn < 2; turn++) {
            struct idset s = IDSET_INIT;
            struct idrange a = turn ? cases[i].b : cases[i].a;
            struct idrange b = turn ? cases[i].a : cases[i].b;
            CU_ASSERT_EQUAL(idset_append(&s, a), 0);
            CU_ASSERT_EQUAL(idset_append(&s, b), 0);
            CU_ASSERT_EQUAL(idset_overlaps(&s), cases[i].meet);
            alloc_fail_at(1); /* and without memory */
            CU_ASSERT_EQUAL(idset_overlaps(&s), cases[i].meet);
            (void)alloc_failed();
            idset_release(&s);
        }
    }
}

static void test_encoding(void)
{
    static const char *const texts[] = {"1",         "0-4294967294",   "5,1,9",
                                        "0-11:5,20", "4294967294,0-1", "1-2,5-500:7,3"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct idset s = parsed(texts[i]), back = parsed("99");
        struct buf b = BUF_INIT(1000);
        idset_encode(&s, &b);
        struct cursor c = cursor_make(b.data, b.len);
        CU_ASSERT_EQUAL(idset_decode(&back, &c), 0);
        CU_ASSERT_EQUAL(cursor_left(&c), 0);
        CU_ASSERT(prints_as(&back, texts[i]));
        idset_release(&back);
        for (size_t n = 0; n < b.len; n++) {
            c = cursor_make(b.data, n);
            CU_ASSERT_EQUAL(idset_decode(&back, &c), ERR_CORRUPT);
            CU_ASSERT(c.failed && back.n_ranges == 0);
        }
        buf_release(&b);
        idset_release(&s);
    }
    struct idset none = IDSET_INIT, back = IDSET_INIT;
    struct buf b = BUF_INIT(10);
    idset_encode(&none, &b);
    struct cursor c = cursor_make(b.data, b.len);
    CU_ASSERT_EQUAL(idset_decode(&back, &c), 0);
    CU_ASSERT_EQUAL(back.n_ranges, 0);
    buf_release(&b);
}

static void encode_raw(struct buf *b, uint64_t n, int64_t first, uint64_t head,
                       uint64_t step)
{
    buf_clear(b);
    buf_varint(b, n);
    buf_zigzag(b, first);
    buf_varint(b, head);
    if (head & 1)
        buf_varint(b, step);
}

static void test_hostile_bytes(void)
{
    static const struct {
        uint64_t n;
        int64_t first;
        uint64_t head, step;
    } cases[] = {
        {1, -1, 1 << 2, 0},                   /* below 0 */
        {1, UINT32_MAX, 1 << 2, 0},           /* the id that does not exist */
        {1, INT64_MAX, 1 << 2, 0},            /* */
        {1, INT64_MIN, 1 << 2, 0},            /* */
        {1, 0, 0, 0},                         /* no id */
        {1, 1, (uint64_t)UINT32_MAX << 2, 0}, /* one too many */
        {1, 0, UINT64_MAX & ~3ULL, 0},        /* */
        {1, 0, 2 << 2 | 1, 0},                /* step 0 */
        {1, 0, 2 << 2 | 1, UINT32_MAX},       /* last id too large */
        {1, 0, 2 << 2 | 1, 1ULL << 32},       /* step beyond 32 bits */
        {1, 0, 1 << 2 | 1, 7},                /* one id with a step */
        {1ULL << 40, 0, 1 << 2, 0},           /* more ranges than bytes */
        {UINT64_MAX, 0, 1 << 2, 0},
    };
    struct buf b = BUF_INIT(1000);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct idset s = IDSET_INIT;
        encode_raw(&b, cases[i].n, cases[i].first, cases[i].head, cases[i].step);
        buf_u8(&b, 0);
        struct cursor c = cursor_make(b.data, b.len);
        CU_ASSERT_EQUAL(idset_decode(&s, &c), ERR_CORRUPT);
        CU_ASSERT(c.failed && s.ranges == NULL);
    }
    struct idset s = IDSET_INIT;
    static const uint64_t slacks[] = {5, 6, 7, UINT32_MAX, 1ULL << 32};
    for (size_t i = 0; i < ARRAY_SIZE(slacks); i++) {
        encode_raw(&b, 1, 0, 2 << 2 | 3, 5); /* 0-5:5, and a bound beyond the step */
        buf_varint(&b, slacks[i]);
        struct cursor c = cursor_make(b.data, b.len);
        CU_ASSERT_EQUAL(idset_decode(&s, &c), ERR_CORRUPT);
    }
    CU_ASSERT_EQUAL(idset_append(&s, (struct idrange){0, 2, 5, 5}), ERR_INVALID);
    CU_ASSERT_EQUAL(idset_append(&s, (struct idrange){0, 2, 5, 4}), 0);
    CU_ASSERT(prints_as(&s, "0-9:5"));
    idset_release(&s);
    buf_release(&b);
}

static void test_out_of_memory(void)
{
    struct idset s = IDSET_INIT, to = IDSET_INIT;
    struct error err = ERROR_INIT;
    int rc;
    TORTURE(rc, idset_parse(&s, "1,3,5,7,9,11,13,15,17-17", &err),
            CU_ASSERT(s.n_ranges == 0 && strcmp(err.text, "out of memory") == 0));
    CU_ASSERT_EQUAL(rc, 0);
    TORTURE(rc, idset_copy(&to, &s), CU_ASSERT_EQUAL(to.n_ranges, 0));
    CU_ASSERT_EQUAL(rc, 0);
    idset_release(&to);
    TORTURE(rc, idset_sorted(&to, &s), CU_ASSERT_EQUAL(to.n_ranges, 0));
    CU_ASSERT_EQUAL(rc, 0);
    CU_ASSERT(prints_as(&to, "1,3,5,7,9,11,13,15,17"));
    struct buf b = BUF_INIT(1000);
    struct cursor c;
    idset_encode(&s, &b);
    TORTURE(rc, (c = cursor_make(b.data, b.len), idset_decode(&to, &c)),
            CU_ASSERT(c.failed && to.n_ranges == 9));
    CU_ASSERT_EQUAL(rc, 0);
    buf_release(&b);
    idset_release(&to);
    idset_release(&s);
}

TEST_MAIN("idset", TEST(test_parse_and_print), TEST(test_messages), TEST(test_refused),
          TEST(test_long_input), TEST(test_access), TEST(test_add),
          TEST(test_sorted_unites), TEST(test_overlaps),
          TEST(test_overlaps_of_large_steps), TEST(test_encoding),
          TEST(test_hostile_bytes), TEST(test_out_of_memory))
