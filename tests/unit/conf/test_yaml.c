#include "conf_check.h"

#include <stdlib.h>

static void check_all(const struct conf_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_case(CONF_YAML, &cases[i]);
}

static void test_scalars(void)
{
    static const struct conf_case cases[] = {
        {"", "null", NULL},
        {"# nothing\n", "null", NULL},
        {"[true, True, TRUE, false, False, FALSE]",
         "[true,true,true,false,false,false]", NULL},
        {"[null, Null, NULL, ~, '']", "[null,null,null,null,\"\"]", NULL},
        {"a:\nb: ''", "{\"a\":null,\"b\":\"\"}", NULL},
        {"[yes, no, on, off, y, n, Yes, NO]",
         "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"Yes\",\"NO\"]", NULL},
        {"[10:00, 1:2:3, 2024-01-01, 1_000, 0b11, 1 GiB, 10m]",
         "[\"10:00\",\"1:2:3\",\"2024-01-01\",\"1_000\",\"0b11\",\"1 GiB\",\"10m\"]",
         NULL},
        {"[0, -1, +12, 007, 0x1F, 0o17, 0x, 0o8, -0x1]",
         "[0,-1,12,7,31,15,\"0x\",\"0o8\",\"-0x1\"]", NULL},
        {"[9223372036854775807, -9223372036854775808, 18446744073709551615]",
         "[9223372036854775807,-9223372036854775808,18446744073709551615]", NULL},
        {"[1.5, .5, 5., -1e3, 1E-2, +.5e+1]", "[1.5,0.5,5.0,-1000.0,0.01,5.0]", NULL},
        {"[., +, -, 1e, e1, .e1, 1e+, --1, 1.2.3]",
         "[\".\",\"+\",\"-\",\"1e\",\"e1\",\".e1\",\"1e+\",\"--1\",\"1.2.3\"]", NULL},
        {"[.inf, -.INF, +.Inf, .nan, -.nan, inf, nan]",
         "[null,null,null,null,\"-.nan\",\"inf\",\"nan\"]", NULL},
        {"['12', \"true\", |-\n 12\n]", NULL,
         "f:1:16: found character that cannot start any token while scanning for the "
         "next token; a text that starts like this needs quotes\n"
         "['12', \"true\", |-\n               ^"},
        {"a: '12'\nb: \"true\"\nc: |\n  12\n  x\nd: >-\n  12\n",
         "{\"a\":\"12\",\"b\":\"true\",\"c\":\"12\\nx\\n\",\"d\":\"12\"}", NULL},
        {"a: \"x\\u00e9\\t\\x41\"", "{\"a\":\"xé\\tA\"}", NULL},
        {"[!!str 12, !!int '12', !!float 1, !!bool \"true\", !!null '', ! 7]",
         "[\"12\",12,1,true,null,\"7\"]", NULL},
        {"!!map {a: !!seq [1]}", "{\"a\":[1]}", NULL},
        {"%YAML 1.1\n---\na: yes\n...\n", "{\"a\":\"yes\"}", NULL},
        {"\xef\xbb\xbf"
         "a: 1",
         "{\"a\":1}", NULL},
    };
    check_all(cases, ARRAY_SIZE(cases));
}

static void test_aliases(void)
{
    static const struct conf_case cases[] = {
        {"a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]",
         "{\"a\":[1,{\"b\":2}],\"c\":[1,{\"b\":2}],\"d\":[[1,{\"b\":2}],[1,{\"b\":2}]]"
         "}",
         NULL},
        {"a: &x 1\nb: &x 2\nc: *x", "{\"a\":1,\"b\":2,\"c\":2}", NULL},
        {"&k key: 1\nb: *k", "{\"b\":\"key\",\"key\":1}", NULL},
        {"x: &a {p: 1, q: 2}\ny: {z: 0, <<: *a, q: 3, w: 1}",
         "{\"x\":{\"p\":1,\"q\":2},\"y\":{\"p\":1,\"q\":3,\"w\":1,\"z\":0}}", NULL},
        {"x: &a {p: 1}\ny: &b {p: 2, q: 2}\nz: {<<: [*a, *b, {r: 3}]}",
         "{\"x\":{\"p\":1},\"y\":{\"p\":2,\"q\":2},\"z\":{\"p\":1,\"q\":2,\"r\":3}}",
         NULL},
        {"x: &a {p: 1}\ny: &b {<<: *a, q: 2}\nz: {<<: *b}",
         "{\"x\":{\"p\":1},\"y\":{\"p\":1,\"q\":2},\"z\":{\"p\":1,\"q\":2}}", NULL},
        {"a: {<<: {b: 1}}\nc: {<<: []}", "{\"a\":{\"b\":1},\"c\":{}}", NULL},
        {"{'<<': 1}", "{\"<<\":1}", NULL},
        {"a: <<", "{\"a\":\"<<\"}", NULL},
        {"a: *b", NULL, "f:1:4: there is no anchor '&b' before this\na: *b\n   ^"},
        {"a: &b [1, *b]", NULL,
         "f:1:11: anchor '&b' is used inside itself\na: &b [1, *b]\n          ^"},
        {"a: &b {<<: *b}", NULL,
         "f:1:12: anchor '&b' is used inside itself\na: &b {<<: *b}\n           ^"},
        {"<<: 5", NULL,
         "f:1:5: '<<' expects a map or a list of maps, found the number 5\n<<: 5\n    "
         "^"},
        {"<<: [{a: 1}, [1]]", NULL,
         "f:1:14: '<<' expects a map or a list of maps, found a list\n"
         "<<: [{a: 1}, [1]]\n             ^"},
        {"<<: {a: 1}\n<<: {b: 1}", NULL,
         "f:2:1: duplicate key '<<', first given in line 1\n<<: {b: 1}\n^"},
    };
    check_all(cases, ARRAY_SIZE(cases));
}

/* What is merged stands where the merge key stood, in its own order. */
static void test_merge_order(void)
{
    struct conf_doc *doc =
        parse_fine(CONF_YAML, "x: &a {p: 1, q: 2}\ny: {z: 0, <<: *a, w: 1, p: 9}");
    static const char *const want[] = {"z", "q", "w", "p"};
    const struct conf_node *y = doc ? conf_get(conf_root(doc), "y") : NULL;
    CU_ASSERT_FATAL(y && y->n == ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        CU_ASSERT_STRING_EQUAL(y->pairs[i].key->text, want[i]);
    conf_destroy(doc);
}

static void test_refused(void)
{
    static const struct conf_case cases[] = {
        {"a: 1\nb: 2\n'a': 3\n", NULL,
         "f:3:1: duplicate key 'a', first given in line 1\n'a': 3\n^"},
        {"a: 1\n---\nb: 2\n", NULL,
         "f:2:1: a second document starts here, a file holds one\n---\n^"},
        {"a: !foo 1", NULL, "f:1:4: tag '!foo' is not supported\na: !foo 1\n   ^"},
        {"a: !!binary xx", NULL,
         "f:1:4: tag '!!binary' is not supported\na: !!binary xx\n   ^"},
        {"a: !!set {x}", NULL,
         "f:1:4: tag '!!set' is not supported for a map\na: !!set {x}\n   ^"},
        {"a: !!int x", NULL,
         "f:1:4: tag '!!int' does not fit this text\na: !!int x\n   ^"},
        {"[a, b]: 1", NULL, "f:1:1: a list cannot be a key\n[a, b]: 1\n^"},
        {"? {a: 1}\n: 1", NULL, "f:1:3: a map cannot be a key\n? {a: 1}\n  ^"},
        {"a: &x [1]\n*x : 2", NULL, "f:1:4: a list cannot be a key\na: &x [1]\n   ^"},
        {"a: 1\n\tb: 2", NULL,
         "f:2:1: found a tab character that violates indentation while scanning a "
         "plain "
         "scalar from line 1 on\n\tb: 2\n^"},
        {"é: 日本\nö: {ä: %x}", NULL,
         "f:2:8: found character that cannot start any token while scanning for the "
         "next "
         "token; a text that starts like this needs quotes\nö: {ä: %x}\n       ^"},
        {"日本: *x", NULL,
         "f:1:5: there is no anchor '&x' before this\n日本: *x\n      ^"},
        {"a: {b: ${{ c }}}", NULL,
         "f:1:9: did not find expected ',' or '}' while parsing a flow mapping; inside "
         "of "
         "[ ] and { } a '${{ parameter }}' needs quotes\na: {b: ${{ c }}}\n        ^"},
        {"a: \"x\nb: 1\n", NULL,
         "f:1:4: found unexpected end of stream while scanning a quoted scalar\n"
         "a: \"x\n   ^"},
        {"a: \xff", NULL,
         "f:1:4: this byte (0xff) is not valid UTF-8\na: \xef\xbf\xbd\n   ^"},
        {"a: \x01", NULL, "f:1:4: control characters are not allowed\na: ?\n   ^"},
        {"\xef\xbb\xbf"
         "a: *b",
         NULL, "f:1:4: there is no anchor '&b' before this\na: *b\n   ^"},
        {"a: 1\r\nb: *x\r\n", NULL,
         "f:2:4: there is no anchor '&x' before this\nb: *x\n   ^"},
    };
    check_all(cases, ARRAY_SIZE(cases));
}

static char *refusal_of(struct buf *text)
{
    static struct error err;
    struct conf_doc *doc = NULL;
    err = (struct error)ERROR_INIT;
    int rc = conf_parse_yaml("f", text->data, text->len, &doc, &err);
    CU_ASSERT_EQUAL(rc, ERR_PARSE);
    conf_destroy(doc);
    buf_release(text);
    return err.text;
}

static void test_bounds(void)
{
    /* Ten times as much with every line. */
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 40; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k ? ", " : "", i - 1);
        buf_puts(&text, "]\n");
    }
    CU_ASSERT_PTR_NOT_NULL(
        strstr(refusal_of(&text), "the aliases of this file stand for more than"));

    /* A large map merged into many. */
    buf_puts(&text, "a: &a {");
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "k%d: 1, ", i);
    buf_puts(&text, "}\nb:\n");
    for (int i = 0; i < 10000; i++)
        buf_puts(&text, "- <<: *a\n");
    CU_ASSERT_PTR_NOT_NULL(
        strstr(refusal_of(&text), "the aliases of this file stand for more than"));

    /* Deeper by one with every line. */
    buf_puts(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 500; i++)
        buf_printf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal_of(&text), "nesting is deeper than 128"));

    for (int i = 0; i < 100000; i++)
        buf_putc(&text, '[');
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal_of(&text), "nesting is deeper than 128"));
}

/* Aliases within the bounds cost no memory per use. */
static void test_shared(void)
{
    struct conf_doc *doc = parse_fine(CONF_YAML, "a: &x {b: [1]}\nc: *x\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    CU_ASSERT_PTR_EQUAL(conf_get(conf_root(doc), "a"), conf_get(conf_root(doc), "c"));
    conf_destroy(doc);
}

static void test_many_keys(void)
{
    enum { N = 20000 };
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    for (int i = 0; i < N; i++)
        buf_printf(&text, "key%d: %d\n", i, i);
    struct conf_doc *doc = NULL;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(conf_parse_yaml("f", text.data, text.len, &doc, &err), 0);
    if (doc) {
        CU_ASSERT_EQUAL(conf_root(doc)->n, N);
        CU_ASSERT_STRING_EQUAL(conf_root(doc)->pairs[N - 1].key->text, "key19999");
        CU_ASSERT_EQUAL(conf_mark(doc, conf_root(doc)->pairs[N - 1].key).line, N);
    }
    conf_destroy(doc);
    doc = NULL;
    buf_puts(&text, "key77: again\n");
    CU_ASSERT_EQUAL(conf_parse_yaml("f", text.data, text.len, &doc, &err), ERR_PARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "f:20001:1: duplicate key 'key77', first "
                                            "given in line 78"));
    buf_release(&text);
}

static void test_marks(void)
{
    struct conf_doc *doc = parse_fine(CONF_YAML, "é: [ä, 'ö', x]\nb:\n  - {c: &d d}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    const struct conf_node *list = conf_get(conf_root(doc), "é");
    struct conf_mark mark = conf_mark(doc, list->items[2]);
    CU_ASSERT_EQUAL(mark.line, 1);
    CU_ASSERT_EQUAL(mark.column, 13);
    CU_ASSERT_TRUE(list->items[1]->quoted && !list->items[2]->quoted);
    const struct conf_node *c = conf_get(conf_get(conf_root(doc), "b")->items[0], "c");
    mark = conf_mark(doc, c);
    CU_ASSERT_EQUAL(mark.line, 3);
    CU_ASSERT_EQUAL(mark.column, 9);
    conf_destroy(doc);
}

static void test_long_line(void)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&text, "[");
    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "é, ");
    buf_puts(&text, "*x, ");
    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "é, ");
    buf_puts(&text, "]");
    const char *message = refusal_of(&text);
    CU_ASSERT_PTR_NOT_NULL(strstr(message, "f:1:3002: there is no anchor"));
    CU_ASSERT(strlen(message) < 600);
    /* The caret stands under the alias. */
    const char *line = strchr(message, '\n') + 1;
    const char *caret = strchr(line, '\n') + 1;
    size_t characters = 0;
    for (const char *p = line; *p != '*'; p++)
        characters += ((unsigned char)*p & 0xc0) != 0x80;
    CU_ASSERT_EQUAL(strspn(caret, " "), characters);
    CU_ASSERT_EQUAL(strncmp(line, "...", 3), 0);
}

TEST_MAIN("conf yaml", TEST(test_scalars), TEST(test_aliases), TEST(test_merge_order),
          TEST(test_refused), TEST(test_bounds), TEST(test_shared),
          TEST(test_many_keys), TEST(test_marks), TEST(test_long_line))
