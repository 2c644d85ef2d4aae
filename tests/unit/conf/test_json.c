#include "conf_check.h"

static void test_values(void)
{
    static const struct conf_case cases[] = {
        {"[ 1, -2.50, 1e3, \"text \\u00e9 \\\"q\\\" \\n\", null, true, {\"b\": [1, 2 "
         "], "
         "\"a\": {\"z\":1, \"y\": 2}},\n [], {} , 12345678901234567890, "
         "10000000000000000000000 ]",
         "[1,-2.5,1000.0,\"text é \\\"q\\\" "
         "\\n\",null,true,{\"a\":{\"y\":2,\"z\":1},\"b\":[1,"
         "2]},[],{},12345678901234567890,1e+22]",
         NULL},
        {" \"\\ud83d\\ude00\\/\\b\\f\\t\" ", "\"😀/\\b\\f\\t\"", NULL},
        {"-0", "-0.0", NULL},
        {"[0.1, 1e-7, 1.5E+30, 9007199254740993, -9223372036854775808]",
         "[0.1,1e-7,1.5e+30,9007199254740993,-9223372036854775808]", NULL},
        {"\"a\\u0000b\"", "\"a\\u0000b\"", NULL},
        {"false", "false", NULL},
        {"{\"a\": 1,\n \"a\": 2}", NULL, "f:2:2: duplicate key \"a\"\n \"a\": 2}\n ^"},
        {"[1, 2\n", NULL, "f:1:6: EOF while parsing a list\n[1, 2\n     ^"},
        {"[\"é\", x]", NULL, "f:1:7: expected value\n[\"é\", x]\n      ^"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_case(CONF_JSON, &cases[i]);
}

/* Without a name a message is one line. */
static void test_short_messages(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "EOF while parsing a value at line 1 column 0"},
        {"[1, 2\n", "EOF while parsing a list at line 2 column 0"},
        {"[", "EOF while parsing a list at line 1 column 1"},
        {"[1,", "EOF while parsing a value at line 1 column 3"},
        {"{", "EOF while parsing an object at line 1 column 1"},
        {"{\"a\"", "EOF while parsing an object at line 1 column 4"},
        {"\"abc", "EOF while parsing a string at line 1 column 4"},
        {"nul", "EOF while parsing a value at line 1 column 3"},
        {"nil", "expected ident at line 1 column 2"},
        {"[1 2]", "expected `,` or `]` at line 1 column 4"},
        {"[1,]", "trailing comma at line 1 column 4"},
        {"{\"a\":1,}", "trailing comma at line 1 column 8"},
        {"{\"a\" 1}", "expected `:` at line 1 column 6"},
        {"{\"a\":1 \"b\"}", "expected `,` or `}` at line 1 column 8"},
        {"{a:1}", "key must be a string at line 1 column 2"},
        {"1 2", "trailing characters at line 1 column 3"},
        {"01", "invalid number at line 1 column 2"},
        {"1.x", "invalid number at line 1 column 3"},
        {"-", "EOF while parsing a value at line 1 column 1"},
        {"1e400", "number out of range at line 1 column 1"},
        {"+1", "expected value at line 1 column 1"},
        {"NaN", "expected value at line 1 column 1"},
        {"\"a\nb\"",
         "control character (\\u0000-\\u001F) found while parsing a string at line 1 "
         "column 3"},
        {"\"\\x\"", "invalid escape at line 1 column 2"},
        {"\"\\u12g4\"", "invalid escape at line 1 column 2"},
        {"\"\\ud800x\"", "lone leading surrogate in hex escape at line 1 column 2"},
        {"\"\\ude00\"", "lone trailing surrogate in hex escape at line 1 column 2"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct conf_doc *doc = NULL;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(
            conf_parse_json(NULL, cases[i].text, strlen(cases[i].text), &doc, &err),
            ERR_PARSE);
        check_text(cases[i].text, cases[i].message, err.text);
        conf_destroy(doc);
    }
}

static void test_bytes_that_do_not_fit(void)
{
    struct conf_doc *doc = NULL;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(conf_parse_json("f", "1\0", 2, &doc, &err), ERR_PARSE);
    CU_ASSERT_EQUAL(conf_parse_json("f", "[\0]", 3, &doc, &err), ERR_PARSE);
    CU_ASSERT_EQUAL(conf_parse_json("f", "\"\xed\xa0\x80\"", 5, &doc, &err), ERR_PARSE);
    CU_ASSERT_EQUAL(conf_parse_json("f", "", CONF_INPUT_MAX + 1, &doc, &err),
                    ERR_TOO_BIG);
    char deep[1000];
    memset(deep, '[', sizeof deep);
    CU_ASSERT_EQUAL(conf_parse_json("f", deep, sizeof deep, &doc, &err), ERR_PARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "f:1:129: recursion limit exceeded"));
    memset(deep, '[', 128);
    memset(deep + 128, ']', 128);
    CU_ASSERT_EQUAL(conf_parse_json("f", deep, 256, &doc, &err), 0);
    conf_destroy(doc);
}

static void test_digits_are_kept(void)
{
    struct conf_doc *doc =
        parse_fine(CONF_JSON, "{\"a\": 1.50, \"b\": 100000000000000000001}");
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    CU_ASSERT_STRING_EQUAL(conf_get(conf_root(doc), "a")->text, "1.50");
    const struct conf_node *b = conf_get(conf_root(doc), "b");
    CU_ASSERT_STRING_EQUAL(b->text, "100000000000000000001");
    int64_t i;
    uint64_t u;
    double d = 0;
    CU_ASSERT_FALSE(conf_int(b, &i));
    CU_ASSERT_FALSE(conf_uint(b, &u));
    CU_ASSERT_TRUE(conf_float(b, &d) && d > 1e20 - 1e6 && d < 1e20 + 1e6);
    /* The bytes of a value in the file. */
    CU_ASSERT_EQUAL(b->at, 17);
    CU_ASSERT_EQUAL(b->end, 38);
    conf_destroy(doc);
}

TEST_MAIN("conf json", TEST(test_values), TEST(test_short_messages),
          TEST(test_bytes_that_do_not_fit), TEST(test_digits_are_kept))
