/*
 * What the fuzz targets of conf do with every document that was read: replace
 * parameters, decode, print it as JSON, read that back and print it again.
 */
#ifndef HQ_FUZZ_CONF_H
#define HQ_FUZZ_CONF_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct fuzz_map {
    const char *name;
    int32_t number;
    bool flag;
    struct conf_words words;
    const struct conf_node *rest;
};

static const char *fuzz_lookup(void *arg, const char *name)
{
    (void)arg;
    return name[0] == 'u' ? NULL : name[0] == 'n' ? "12" : "${{ x }}";
}

static int fuzz_decode(struct conf_doc *doc, struct error *err)
{
    static const struct conf_field fields[] = {
        {.key = "name",
         .type = CONF_AS_STRING,
         .flags = CONF_REQUIRED,
         .offset = offsetof(struct fuzz_map, name)},
        {.key = "number",
         .aliases = "a n-r",
         .type = CONF_AS_I32,
         .min = -5,
         .max = 500,
         .offset = offsetof(struct fuzz_map, number)},
        {.key = "flag",
         .type = CONF_AS_BOOL,
         .offset = offsetof(struct fuzz_map, flag)},
        {.key = "words",
         .aliases = "b",
         .type = CONF_AS_TEXTS,
         .flags = CONF_OR_ONE,
         .offset = offsetof(struct fuzz_map, words)},
        {.key = "re-st",
         .aliases = "x",
         .type = CONF_AS_NODE,
         .offset = offsetof(struct fuzz_map, rest)},
    };
    static const struct conf_schema schema = CONF_SCHEMA("a map", fields, CONF_DASHES);
    struct fuzz_map out = {0};
    uint64_t seen;
    return conf_decode(doc, conf_root(doc), &schema, &out, NULL, &seen, err);
}

/* A walk over all nodes that gives up after a number of them. */
static void fuzz_walk(const struct conf_doc *doc, const struct conf_node *node,
                      unsigned *left)
{
    char text[128];
    if (*left == 0)
        return;
    --*left;
    (void)conf_describe(node, text, sizeof text);
    if (conf_is_scalar(node) && node->text[node->n] != 0)
        abort();
    if (*left % 64 == 0)
        (void)conf_mark(doc, node);
    for (uint32_t i = 0; node->kind == CONF_SEQ && i < node->n; i++)
        fuzz_walk(doc, node->items[i], left);
    for (uint32_t i = 0; node->kind == CONF_MAP && i < node->n; i++) {
        fuzz_walk(doc, node->pairs[i].key, left);
        fuzz_walk(doc, node->pairs[i].value, left);
    }
}

static void fuzz_print_twice(const struct conf_doc *doc)
{
    struct buf one = BUF_INIT((size_t)1 << 20), two = BUF_INIT((size_t)1 << 21);
    struct conf_doc *again = NULL;
    struct error err = ERROR_INIT;
    conf_print_json(&one, conf_root(doc));
    if (!one.failed) {
        if (conf_parse_json("again", one.data, one.len, &again, &err) != 0)
            abort();
        conf_print_json(&two, conf_root(again));
        if (one.len != two.len || memcmp(one.data, two.data, one.len) != 0)
            abort();
        conf_destroy(again);
    }
    buf_release(&one);
    buf_release(&two);
}

static void fuzz_document(enum conf_format format, const char *name,
                          const uint8_t *data, size_t n)
{
    struct conf_params params = {.lookup = fuzz_lookup};
    struct conf_doc *doc = NULL;
    struct error err = ERROR_INIT;
    unsigned left = 20000;
    if (conf_parse(format, name, data, n, &doc, &err) != 0) {
        if (doc || err.text[0] == 0)
            abort();
        return;
    }
    fuzz_walk(doc, conf_root(doc), &left);
    if (left)
        fuzz_print_twice(doc);
    if (conf_substitute(doc, NULL, &params, &err) == 0)
        (void)fuzz_decode(doc, &err);
    conf_destroy(doc);
}

#endif
