/* Helpers of the tests of conf: documents compared through their JSON form. */
#ifndef HQ_TEST_CONF_CHECK_H
#define HQ_TEST_CONF_CHECK_H

#include "conf/conf.h"
#include "test_main.h"

struct conf_case {
    const char *text;
    const char *json;  /* the tree, or NULL: refused */
    const char *error; /* the whole message, when refused */
};

static inline void check_text(const char *input, const char *want, const char *got)
{
    bool same = strcmp(want, got) == 0;
    if (!same)
        printf("\n--- input\n%s\n--- wanted\n%s\n--- got\n%s\n", input, want, got);
    CU_ASSERT_TRUE(same);
}

static inline void check_case(enum conf_format format, const struct conf_case *c)
{
    struct conf_doc *doc = NULL;
    struct error err = ERROR_INIT;
    int rc = conf_parse(format, "f", c->text, strlen(c->text), &doc, &err);
    if (rc) {
        CU_ASSERT_EQUAL(rc, ERR_PARSE);
        CU_ASSERT_PTR_NULL(doc);
        check_text(c->text, c->error ? c->error : c->json, err.text);
        return;
    }
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    conf_print_json(&out, conf_root(doc));
    check_text(c->text, c->json ? c->json : c->error, buf_cstr(&out));
    buf_release(&out);
    conf_destroy(doc);
}

/* The document of a text that is fine; NULL (and a failed test) otherwise. */
static inline struct conf_doc *parse_fine(enum conf_format format, const char *text)
{
    struct conf_doc *doc = NULL;
    struct error err = ERROR_INIT;
    if (conf_parse(format, "f", text, strlen(text), &doc, &err) != 0) {
        printf("\n--- input\n%s\n--- refused\n%s\n", text, err.text);
        CU_FAIL("a correct text was refused");
    }
    return doc;
}

#endif
