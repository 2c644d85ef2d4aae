/* Every allocation of every reader fails once: ERR_NOMEM each time, nothing is lost. */
#include "base/alloc_torture.h"

#include "conf_check.h"

static const char *lookup(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "n") == 0 ? "7" : NULL;
}

static int decode(struct conf_doc *doc, struct error *err)
{
    static const struct conf_field fields[] = {{.key = "words", .type = CONF_AS_TEXTS}};
    static const struct conf_schema schema =
        CONF_SCHEMA("a map", fields, CONF_IGNORE_UNKNOWN);
    struct conf_words words;
    return conf_root(doc)->kind == CONF_MAP
               ? conf_decode(doc, conf_root(doc), &schema, &words, NULL, NULL, err)
               : 0;
}

static int read_all(enum conf_format format, const struct buf *text, struct error *err)
{
    struct conf_params params = {.lookup = lookup};
    struct conf_doc *doc = NULL;
    int rc = conf_parse(format, "f", buf_cstr(text), text->len, &doc, err);
    if (rc == 0)
        rc = conf_substitute(doc, NULL, &params, err);
    if (rc == 0)
        rc = decode(doc, err);
    conf_destroy(doc);
    return rc;
}

static void torture(enum conf_format format, const struct buf *text, int want)
{
    static struct error err;
    int rc;
    if (!alloc_torture_works())
        return;
    TORTURE(rc, read_all(format, text, &err), CU_ASSERT_EQUAL(err.code, ERR_NOMEM));
    CU_ASSERT_EQUAL(rc, want);
}

static void test_yaml(void)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&text, "a: &a {p: '${{ n }}', q: [1, 2]}\nb: {<<: *a}\nwords: [x]\nc:\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "  key%d: [x, y%d]\n", i, i);
    torture(CONF_YAML, &text, 0);
    buf_puts(&text, "d: ${{ m }}\n");
    torture(CONF_YAML, &text, ERR_PARSE);
    buf_puts(&text, "e: *nowhere\n");
    torture(CONF_YAML, &text, ERR_PARSE);
    buf_release(&text);
}

static void test_toml(void)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&text, "words = ['x']\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "key%d = ['${{ n }}', { a.b = %d }]\n", i, i);
    for (int i = 0; i < 200; i++)
        buf_puts(&text, "[[t]]\nx = \"\\n\"\n[t.a]\n");
    torture(CONF_TOML, &text, 0);
    buf_puts(&text, "[key3]\n");
    torture(CONF_TOML, &text, ERR_PARSE);
    buf_release(&text);
}

static void test_json(void)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&text, "[");
    for (int i = 0; i < 500; i++)
        buf_printf(&text, "{\"a\": [%d, \"\\n${{ n }}\"]},", i);
    buf_puts(&text, "{}]");
    torture(CONF_JSON, &text, 0);
    buf_puts(&text, "]");
    torture(CONF_JSON, &text, ERR_PARSE);
    buf_release(&text);
}

TEST_MAIN("conf memory", TEST(test_yaml), TEST(test_toml), TEST(test_json))
