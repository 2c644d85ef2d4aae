/* ${{ name }}: parameters of a file, replaced in the tree before it is decoded. */
#include "base/text.h"
#include "conf/doc.h"

#define OPEN "${{"
#define CLOSE "}}"
#define NAME_BYTES_MAX 128

struct pass {
    struct conf_doc *doc;
    const struct conf_node *skip;
    const struct conf_params *params;
    struct error *err;
    struct buf text; /* of the scalar at hand */
};

/* One `${{ name }}` in a scalar. */
struct use {
    const char *open;  /* its first byte */
    const char *close; /* behind its last byte */
    char name[NAME_BYTES_MAX + 1];
};

static const char *find_open(const char *s, size_t n)
{
    const char *dollar = memchr(s, '$', n);
    return dollar ? memmem(dollar, n - (size_t)(dollar - s), OPEN, strlen(OPEN)) : NULL;
}

/* Where the source has the opening at `open` of the node's text: the same one counted
 * from the node's place, if the source has it as it stands there. */
static size_t source_place(const struct conf_doc *doc, const struct conf_node *node,
                           const char *open)
{
    const char *end = doc->text + doc->n;
    const char *there = doc->text + node->at;
    const char *here = node->text;
    for (;;) {
        here = find_open(here, node->n - (size_t)(here - node->text));
        there = find_open(there, (size_t)(end - there));
        if (!here || !there)
            return node->at;
        if (here == open)
            return (size_t)(there - doc->text);
        here += strlen(OPEN);
        there += strlen(OPEN);
    }
}

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-')))
            return false;
    }
    return n > 0 && n <= NAME_BYTES_MAX;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Reads the use that starts at use->open. */
static int read_use(struct pass *p, const struct conf_node *node, struct use *use)
{
    const char *end = node->text + node->n;
    const char *name = use->open + strlen(OPEN);
    const char *close = memmem(name, (size_t)(end - name), CLOSE, strlen(CLOSE));
    size_t at = source_place(p->doc, node, use->open);
    if (!close)
        return doc_fail(p->doc, at, at + strlen(OPEN), p->err,
                        "this '" OPEN "' has no '" CLOSE "'");
    use->close = close + strlen(CLOSE);
    while (name < close && is_blank(*name))
        name++;
    while (close > name && is_blank(close[-1]))
        close--;
    size_t n = (size_t)(close - name);
    if (!is_name(name, n))
        return doc_fail(p->doc, at, at + strlen(OPEN), p->err,
                        "'%.*s' is not the name of a parameter", (int)MIN(n, 80), name);
    memcpy(use->name, name, n);
    use->name[n] = 0;
    return 0;
}

static int put_value(struct pass *p, const struct conf_node *node,
                     const struct use *use)
{
    const char *value = p->params->lookup(p->params->arg, use->name);
    if (value) {
        buf_puts(&p->text, value);
        return 0;
    }
    const char *meant =
        p->params->names ? text_suggest(use->name, p->params->names) : NULL;
    size_t at = source_place(p->doc, node, use->open);
    return doc_fail(p->doc, at, at + (size_t)(use->close - use->open), p->err,
                    "parameter '%s' is not declared%s%s%s", use->name,
                    meant ? ", did you mean '" : "", meant ? meant : "",
                    meant ? "'?" : "");
}

/* Puts the text gathered in p->text into the node. */
static int replace(struct pass *p, struct conf_node *node, bool whole)
{
    const char *text = arena_strndup(&p->doc->arena, buf_cstr(&p->text), p->text.len);
    if (!text || p->text.failed)
        return error_nomem(p->err);
    node->text = text;
    node->n = (uint32_t)p->text.len;
    node->param = whole;
    if (whole && !node->quoted)
        node->kind = (uint8_t)conf_resolve(text, node->n);
    return 0;
}

static int substitute_text(struct pass *p, struct conf_node *node, const char *open)
{
    const char *end = node->text + node->n;
    const char *done = node->text;
    struct use use = {.open = open};
    bool whole = false;
    buf_clear(&p->text);
    do {
        int rc = read_use(p, node, &use);
        if (rc)
            return rc;
        buf_append(&p->text, done, (size_t)(use.open - done));
        rc = put_value(p, node, &use);
        if (rc)
            return rc;
        whole = use.open == node->text && use.close == end;
        done = use.close;
        use.open = find_open(done, (size_t)(end - done));
    } while (use.open);
    buf_append(&p->text, done, (size_t)(end - done));
    return replace(p, node, whole);
}

static int substitute(struct pass *p, struct conf_node *node)
{
    int rc = 0;
    /* Nodes behind aliases come by more than once. */
    if (node->visited || node == p->skip)
        return 0;
    node->visited = true;
    if (node->kind == CONF_STRING) {
        const char *open = find_open(node->text, node->n);
        return open ? substitute_text(p, node, open) : 0;
    }
    if (node->kind == CONF_SEQ)
        for (uint32_t i = 0; i < node->n && rc == 0; i++)
            rc = substitute(p, node->items[i]);
    if (node->kind != CONF_MAP)
        return rc;
    for (uint32_t i = 0; i < node->n && rc == 0; i++) {
        const struct conf_node *key = node->pairs[i].key;
        if (find_open(key->text, key->n))
            return conf_fail(p->doc, key, p->err, "a key cannot hold a parameter");
        rc = substitute(p, node->pairs[i].value);
    }
    return rc;
}

int conf_substitute(struct conf_doc *doc, const struct conf_node *skip,
                    const struct conf_params *params, struct error *err)
{
    struct pass p = {.doc = doc,
                     .skip = skip,
                     .params = params,
                     .err = err,
                     .text = BUF_INIT(CONF_INPUT_MAX)};
    int rc = substitute(&p, doc->root);
    buf_release(&p.text);
    return rc;
}
