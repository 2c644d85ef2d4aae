#include "conf_check.h"

static const char *lookup(void *arg, const char *name)
{
    static const struct {
        const char *name, *value;
    } known[] = {{"n", "5"},    {"title", "a b"},       {"flag", "true"},
                 {"empty", ""}, {"tricky", "${{ n }}"}, {"year", "2024"},
                 {"max-n", "9"}};
    ++*(int *)arg;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].value;
    return NULL;
}

static const char *const names[] = {"n",      "title", "flag",  "empty",
                                    "tricky", "year",  "max-n", NULL};

static void check(enum conf_format format, const struct conf_case *c)
{
    int calls = 0;
    struct conf_params params = {.lookup = lookup, .arg = &calls, .names = names};
    struct conf_doc *doc = parse_fine(format, c->text);
    struct error err = ERROR_INIT;
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    int rc = conf_substitute(doc, conf_get(conf_root(doc), "params"), &params, &err);
    if (rc) {
        CU_ASSERT_EQUAL(rc, ERR_PARSE);
        check_text(c->text, c->error ? c->error : c->json, err.text);
    } else {
        struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
        conf_print_json(&out, conf_root(doc));
        check_text(c->text, c->json ? c->json : c->error, buf_cstr(&out));
        buf_release(&out);
    }
    conf_destroy(doc);
}

static void test_replaced(void)
{
    static const struct conf_case cases[] = {
        {"a: ${{ n }}", "{\"a\":5}", NULL},
        {"a: ${{n}}\nb: ${{\tn\t}}", "{\"a\":5,\"b\":5}", NULL},
        {"a: '${{ n }}'", "{\"a\":\"5\"}", NULL},
        {"a: ${{ n }}0", "{\"a\":\"50\"}", NULL},
        {"a: ${{ n }}${{ n }}", "{\"a\":\"55\"}", NULL},
        {"a: 1-${{ n }}\nb: ${{ n }}m", "{\"a\":\"1-5\",\"b\":\"5m\"}", NULL},
        {"a: ${{ flag }}\nb: ${{ empty }}\nc: ${{ title }}",
         "{\"a\":true,\"b\":null,\"c\":\"a b\"}", NULL},
        {"a: ${{ tricky }}", "{\"a\":\"${{ n }}\"}", NULL},
        {"a: ${{ max-n }}", "{\"a\":9}", NULL},
        {"a: |\n  x ${{ n }}\n  y $n ${n} $${n}} {{ n }}\n",
         "{\"a\":\"x 5\\ny $n ${n} $${n}} {{ n }}\\n\"}", NULL},
        {"a: &x [\"${{ tricky }}\", {b: \"${{ n }}!\"}]\nc: *x",
         "{\"a\":[\"${{ n }}\",{\"b\":\"5!\"}],\"c\":[\"${{ n }}\",{\"b\":\"5!\"}]}",
         NULL},
        {"params: {a: \"${{ zzz }}\"}\nb: ${{ n }}",
         "{\"b\":5,\"params\":{\"a\":\"${{ zzz }}\"}}", NULL},
        {"${{ n }}", "5", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(CONF_YAML, &cases[i]);
    static const struct conf_case toml = {"a = \"${{ n }}\"", "{\"a\":\"5\"}", NULL};
    check(CONF_TOML, &toml);
}

static void test_refused(void)
{
    static const struct conf_case cases[] = {
        {"a: 1\nb: x ${{ titel }}", NULL,
         "f:2:6: parameter 'titel' is not declared, did you mean 'title'?\n"
         "b: x ${{ titel }}\n     ^"},
        {"a: ${{ qqq }}", NULL,
         "f:1:4: parameter 'qqq' is not declared\na: ${{ qqq }}\n   ^"},
        {"run: |\n  echo ${{ n }}\n  echo ${{ qqq }}\n", NULL,
         "f:3:8: parameter 'qqq' is not declared\n  echo ${{ qqq }}\n       ^"},
        {"a: ${{ n", NULL, "f:1:4: this '${{' has no '}}'\na: ${{ n\n   ^"},
        {"a: ${{ }}", NULL,
         "f:1:4: '' is not the name of a parameter\na: ${{ }}\n   ^"},
        {"a: ${{ n m }}", NULL,
         "f:1:4: 'n m' is not the name of a parameter\na: ${{ n m }}\n   ^"},
        {"a: ${{ 1n }}", NULL,
         "f:1:4: '1n' is not the name of a parameter\na: ${{ 1n }}\n   ^"},
        {"a: {\"x${{ n }}\": 1}", NULL,
         "f:1:5: a key cannot hold a parameter\na: {\"x${{ n }}\": 1}\n    ^"},
        /* an escape in the source: the place is the scalar */
        {"a: \"\\x24{{ qqq }}\"", NULL,
         "f:1:4: parameter 'qqq' is not declared\na: \"\\x24{{ qqq }}\"\n   ^"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(CONF_YAML, &cases[i]);
}

struct values {
    int32_t number;
    bool flag;
    double weight;
    const char *name;
};

/* A scalar that was one parameter decodes as what the key wants, quoted or not. */
static void test_decoded(void)
{
    static const struct conf_field fields[] = {
        {.key = "number",
         .type = CONF_AS_I32,
         .offset = offsetof(struct values, number)},
        {.key = "flag", .type = CONF_AS_BOOL, .offset = offsetof(struct values, flag)},
        {.key = "weight",
         .type = CONF_AS_DOUBLE,
         .offset = offsetof(struct values, weight)},
        {.key = "name",
         .type = CONF_AS_STRING,
         .offset = offsetof(struct values, name)},
    };
    static const struct conf_schema schema = CONF_SCHEMA("a map", fields, 0);
    static const char *const texts[] = {
        "number: ${{ n }}\nflag: ${{ flag }}\nweight: ${{ n }}\nname: ${{ year }}\n",
        "{number: '${{ n }}', flag: '${{ flag }}', weight: '${{ n }}', name: '${{ year "
        "}}'}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int calls = 0;
        struct conf_params params = {.lookup = lookup, .arg = &calls};
        struct values v = {0};
        struct error err = ERROR_INIT;
        struct conf_doc *doc = parse_fine(CONF_YAML, texts[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
        CU_ASSERT_EQUAL(conf_substitute(doc, NULL, &params, &err), 0);
        CU_ASSERT_EQUAL(calls, 4);
        CU_ASSERT_EQUAL(conf_decode(doc, conf_root(doc), &schema, &v, NULL, NULL, &err),
                        0);
        CU_ASSERT_STRING_EQUAL(err.text, "");
        CU_ASSERT_EQUAL(v.number, 5);
        CU_ASSERT_TRUE(v.flag);
        CU_ASSERT_EQUAL(v.weight, 5.0);
        CU_ASSERT_STRING_EQUAL(v.name, "2024");
        conf_destroy(doc);
    }
}

TEST_MAIN("conf substitute", TEST(test_replaced), TEST(test_refused),
          TEST(test_decoded))
