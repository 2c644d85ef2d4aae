#include "conf_check.h"

#define AT(line, column, gutter, source, carets, cause)                        \
    "TOML parse error at line " line ", column " column "\n" gutter "|\n" line \
    " | " source "\n" gutter "| " carets "\n" cause "\n"

static void check_all(const struct conf_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_case(CONF_TOML, &cases[i]);
}

static void test_values(void)
{
    static const struct conf_case cases[] = {
        {"", "{}", NULL},
        {"# only\r\n\n  # this", "{}", NULL},
        {"a = 1 # x\nb=-2\nc = +3\nd = 0\ne = 1_000\nf = 0xFf\ng = 0o17\nh = 0b1_0",
         "{\"a\":1,\"b\":-2,\"c\":3,\"d\":0,\"e\":1000,\"f\":255,\"g\":15,\"h\":2}",
         NULL},
        {"a = 1.5\nb = -0.25\nc = 1e3\nd = 6.5E-2\ne = 1_0.0_1\nf = inf\ng = -nan",
         "{\"a\":1.5,\"b\":-0.25,\"c\":1000.0,\"d\":0.065,\"e\":10.01,\"f\":null,\"g\":"
         "null}",
         NULL},
        {"a = true\nb = false", "{\"a\":true,\"b\":false}", NULL},
        {"a = 1979-05-27T07:32:00Z\nb = 1979-05-27 00:32:00.9-07:00\nc = 1979-05-27\n"
         "d = 07:32:00.5\ne = 2000-02-29\nf = 1979-05-27 # x",
         "{\"a\":\"1979-05-27T07:32:00Z\",\"b\":\"1979-05-27 00:32:00.9-07:00\","
         "\"c\":\"1979-05-27\",\"d\":\"07:32:00.5\",\"e\":\"2000-02-29\","
         "\"f\":\"1979-05-27\"}",
         NULL},
        {"a = \"\\b\\t\\n\\f\\r\\\"\\\\\\u00e9\\U0001F600\"\nb = 'C:\\x'",
         "{\"a\":\"\\b\\t\\n\\f\\r\\\"\\\\é😀\",\"b\":\"C:\\\\x\"}", NULL},
        {"a = \"\"\"\nx\r\ny \\\n   \r\n z\"\"\"\"\"\nb = '''\n''a''''\nc = \"\"\nd = "
         "''''''",
         "{\"a\":\"x\\ny z\\\"\\\"\",\"b\":\"''a'\",\"c\":\"\",\"d\":\"\"}", NULL},
        {"a = []\nb = [ 1, # x\n\n 2 ,\n]\nc = [[1], ['x', {y = 1}]]",
         "{\"a\":[],\"b\":[1,2],\"c\":[[1],[\"x\",{\"y\":1}]]}", NULL},
        {"a = {}\nb = { x = 1, y.z = \"q\", 'k w' = [\n1] }",
         "{\"a\":{},\"b\":{\"k w\":[1],\"x\":1,\"y\":{\"z\":\"q\"}}}", NULL},
        {"\xef\xbb\xbf"
         "a = 1",
         "{\"a\":1}", NULL},
    };
    check_all(cases, ARRAY_SIZE(cases));
}

static void test_tables(void)
{
    static const struct conf_case cases[] = {
        {"[a]\nx = 1\n[a.b]\ny = 2\n[c]", "{\"a\":{\"b\":{\"y\":2},\"x\":1},\"c\":{}}",
         NULL},
        {"[a.b]\nx = 1\n[a]\ny = 2", "{\"a\":{\"b\":{\"x\":1},\"y\":2}}", NULL},
        {"a.b = 1\na . \"c d\" = 2\n3.4 = 5",
         "{\"3\":{\"4\":5},\"a\":{\"b\":1,\"c d\":2}}", NULL},
        {"[[t]]\nx = 1\n[[t]]\n[t.sub]\ny = 2\n[[t.list]]\nz = 3\n[[t.list]]",
         "{\"t\":[{\"x\":1},{\"list\":[{\"z\":3},{}],\"sub\":{\"y\":2}}]}", NULL},
        {"[a]\nb.c = 1\n[a.b.d]\nx = 1", "{\"a\":{\"b\":{\"c\":1,\"d\":{\"x\":1}}}}",
         NULL},
        {"[a.b.c]\nz = 1\n[a]\nb.d = 2", "{\"a\":{\"b\":{\"c\":{\"z\":1},\"d\":2}}}",
         NULL},
        {"[ a . b ]\n[ 'x.y' ]", "{\"a\":{\"b\":{}},\"x.y\":{}}", NULL},
    };
    check_all(cases, ARRAY_SIZE(cases));
}

static void test_messages(void)
{
    static const struct conf_case cases[] = {
        {"name = \n", NULL,
         AT("1", "8", "  ", "name = ", "       ^", "a value is missing here")},
        {"a = 1\na = 2", NULL, AT("2", "1", "  ", "a = 2", "^", "duplicate key `a`")},
        {"[a]\n[a]", NULL, AT("2", "2", "  ", "[a]", " ^", "duplicate key `a`")},
        {"a = abc", NULL,
         AT("1", "5", "  ", "a = abc", "    ^^^",
            "this is no value; a text needs quotes")},
        {"é = 1", NULL,
         AT("1", "1", "  ", "é = 1", "^", "a key with such characters needs quotes")},
        {"a = \"éé\" x", NULL,
         AT("1", "10", "  ", "a = \"éé\" x", "         ^",
            "expected the end of the line")},
        {"a = 9223372036854775808", NULL,
         AT("1", "5", "  ", "a = 9223372036854775808", "    ^^^^^^^^^^^^^^^^^^^",
            "this number needs more than 64 bits")},
        {"\n\n\n\n\n\n\n\n\na = {x = 1\n}", NULL,
         AT("10", "11", "   ", "a = {x = 1", "          ^",
            "an inline table must be on one line")},
    };
    check_all(cases, ARRAY_SIZE(cases));
}

static void test_refused(void)
{
    static const char *const texts[] = {
        "a",
        "a =",
        "= 1",
        "a = 1 b = 2",
        "[a",
        "[a]]",
        "[[a]",
        "[a] x = 1",
        "[]",
        "[a.]",
        "a..b = 1",
        ".a = 1",
        "a b = 1",
        "\"\"\"a\"\"\" = 1",
        "a = 01",
        "a = -0x1",
        "a = 0x",
        "a = 0xg",
        "a = 1__0",
        "a = 1_",
        "a = _1",
        "a = 1.",
        "a = .5",
        "a = 1.e5",
        "a = 1e",
        "a = 1._5",
        "a = 00.5",
        "a = +-1",
        "a = nan1",
        "a = True",
        "a = \"x",
        "a = 'x",
        "a = \"\"\"x",
        "a = '''x''",
        "a = \"\\q\"",
        "a = \"\\u12\"",
        "a = \"\\ud800\"",
        "a = \"\\U00110000\"",
        "a = \"x\ny\"",
        "a = \"x\x01\"",
        "a = '\x7f'",
        "# \x01",
        "a = 1\r",
        "a = [1 2]",
        "a = [1",
        "a = [,]",
        "a = {x = 1,}",
        "a = {,}",
        "a = {x = 1",
        "a = {x = 1 y = 2}",
        "a = {x = 1, x = 2}",
        "a = {x = 1, x.y = 2}",
        "a = 1979-13-01",
        "a = 1979-02-29",
        "a = 24:00:00",
        "a = 1979-05-27T",
        "a = 07:32",
        "a = 1979-05-27T07:32:00+25:00",
        /* tables that may not be opened or extended */
        "a = 1\n[a]",
        "[a]\n[b]\n[a]",
        "[a]\n[[a]]",
        "[[a]]\n[a]",
        "a = []\n[[a]]",
        "a = {}\n[a.b]",
        "a = {}\na.b = 1",
        "a = [{}]\n[a.b]",
        "a.b = 1\n[a]",
        "[a.b]\nx = 1\n[a]\nb.y = 2",
        "[a]\nb.c = 1\n[a.b]",
        "[[a.b]]\n[a]\nb.c = 1",
        "[a.b.c]\nz = 1\n[a]\nb.d = 2\n[a.b]",
        "a = 1\na.b = 2",
        "a.b = 1\na.b.c = 2",
        "a = {b = {}, b.c = 1}",
        "[[a]]\n[[a.b]]\n[a.b]",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct conf_doc *doc = NULL;
        struct error err = ERROR_INIT;
        int rc = conf_parse_toml("f", texts[i], strlen(texts[i]), &doc, &err);
        if (rc != ERR_PARSE || strncmp(err.text, "TOML parse error at line ", 25) != 0)
            printf("\n--- not refused as it should be\n%s\n%s\n", texts[i], err.text);
        CU_ASSERT_EQUAL(rc, ERR_PARSE);
        CU_ASSERT_EQUAL(strncmp(err.text, "TOML parse error at line ", 25), 0);
        conf_destroy(doc);
    }
}

/* Tables point at their header, as messages about what is missing in them do. */
static void test_marks(void)
{
    struct conf_doc *doc = parse_fine(
        CONF_TOML, "x = 1\n[[task]]\ny = { z = 2 }\n  [[task]]\n[a.b]\n[a]\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    const struct conf_node *tasks = conf_get(conf_root(doc), "task");
    struct error err = ERROR_INIT;
    (void)conf_fail(doc, tasks->items[0], &err, "missing field `%s`", "command");
    CU_ASSERT_STRING_EQUAL(err.text, AT("2", "1", "  ", "[[task]]", "^^^^^^^^",
                                        "missing field `command`"));
    (void)conf_fail(doc, tasks->items[1], &err, "x");
    CU_ASSERT_STRING_EQUAL(err.text,
                           AT("4", "3", "  ", "  [[task]]", "  ^^^^^^^^", "x"));
    const struct conf_node *y = conf_get(tasks->items[0], "y");
    (void)conf_fail(doc, y, &err, "x");
    CU_ASSERT_STRING_EQUAL(err.text,
                           AT("3", "5", "  ", "y = { z = 2 }", "    ^^^^^^^^^", "x"));
    conf_blame(doc, tasks->items[0]);
    (void)conf_fail(doc, y, &err, "x");
    CU_ASSERT_STRING_EQUAL(err.text, AT("2", "1", "  ", "[[task]]", "^^^^^^^^", "x"));
    conf_blame(doc, NULL);
    CU_ASSERT_EQUAL(conf_mark(doc, conf_get(conf_root(doc), "a")).line, 6);
    CU_ASSERT_EQUAL(conf_get(conf_root(doc), "x")->kind, CONF_INT);
    conf_destroy(doc);
}

static void test_deep(void)
{
    static const struct {
        const char *before, *step;
    } cases[] = {{"a = ", "["}, {"a = ", "{a="}, {"[a", ".a"}, {"a", ".a"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        buf_puts(&text, cases[i].before);
        for (int k = 0; k < 50000; k++)
            buf_puts(&text, cases[i].step);
        buf_puts(&text, i == 2 ? "]" : " = 1");
        struct conf_doc *doc = NULL;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(conf_parse_toml("f", text.data, text.len, &doc, &err),
                        ERR_PARSE);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "nesting is deeper than 128 levels"));
        buf_release(&text);
    }
}

static void test_many(void)
{
    enum { N = 20000 };
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    for (int i = 0; i < N; i++)
        buf_printf(&text, "key%d = %d\n", i, i);
    for (int i = 0; i < N; i++)
        buf_printf(&text, "[[task]]\nid = %d\n", i);
    struct conf_doc *doc = NULL;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(conf_parse_toml("f", text.data, text.len, &doc, &err), 0);
    int64_t v = 0;
    const struct conf_node *tasks = conf_get(conf_root(doc), "task");
    CU_ASSERT_EQUAL(tasks->n, N);
    CU_ASSERT_TRUE(conf_int(conf_get(tasks->items[N - 1], "id"), &v) && v == N - 1);
    CU_ASSERT_TRUE(conf_int(conf_get(conf_root(doc), "key19999"), &v) && v == N - 1);
    conf_destroy(doc);
    doc = NULL;
    buf_puts(&text, "[key5]\n");
    CU_ASSERT_EQUAL(conf_parse_toml("f", text.data, text.len, &doc, &err), ERR_PARSE);
    buf_release(&text);
}

TEST_MAIN("conf toml", TEST(test_values), TEST(test_tables), TEST(test_messages),
          TEST(test_refused), TEST(test_marks), TEST(test_deep), TEST(test_many))
