/*
 * TOML 1.0 into nodes, line by line. Positions are bytes of the text, which ends with a
 * NUL, so that looking one or two bytes ahead of a byte that is no NUL needs no check.
 */
#include "conf/toml.h"

static void skip_blanks(struct toml *t)
{
    while (t->text[t->pos] == ' ' || t->text[t->pos] == '\t')
        t->pos++;
}

static bool at_line_end(const struct toml *t)
{
    const char *p = t->text + t->pos;
    return *p == '\n' || (*p == '\r' && p[1] == '\n');
}

static void skip_line_end(struct toml *t)
{
    t->pos += t->text[t->pos] == '\r' ? 2 : 1;
}

static bool take(struct toml *t, char c)
{
    if (t->pos == t->n || t->text[t->pos] != c)
        return false;
    t->pos++;
    return true;
}

static int fail_here(struct toml *t, const char *what)
{
    return doc_fail(t->doc, t->pos, t->pos + 1, t->err, "%s", what);
}

/* The comment that starts here, if one does. */
static int skip_comment(struct toml *t)
{
    if (!take(t, '#'))
        return 0;
    for (; t->pos < t->n && !at_line_end(t); t->pos++) {
        char c = t->text[t->pos];
        if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
            return fail_here(t, "control characters are not allowed in a comment");
    }
    return 0;
}

/* Blanks, comments and line ends, as they may stand inside of arrays. */
static int skip_all(struct toml *t)
{
    for (;;) {
        skip_blanks(t);
        int rc = skip_comment(t);
        if (rc)
            return rc;
        if (t->pos == t->n || !at_line_end(t))
            return 0;
        skip_line_end(t);
    }
}

/* Nothing but a comment may follow in this line. */
static int end_line(struct toml *t)
{
    skip_blanks(t);
    int rc = skip_comment(t);
    if (rc)
        return rc;
    if (t->pos < t->n && !at_line_end(t))
        return fail_here(t, "expected the end of the line");
    if (t->pos < t->n)
        skip_line_end(t);
    return 0;
}

/* ---- keys ---- */

static bool is_bare_key(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '_' || c == '-';
}

static int read_simple_key(struct toml *t, struct conf_node **out)
{
    const char *s = t->text + t->pos;
    size_t n = 0;
    if (*s == '"' || *s == '\'')
        return toml_string(t, false, out);
    while (is_bare_key(s[n]))
        n++;
    if (n == 0)
        return fail_here(t, (unsigned char)*s >= 0x80
                                ? "a key with such characters needs quotes"
                                : "a key is missing here");
    *out = doc_scalar(t->doc, CONF_STRING, t->pos, t->pos + n, s, n);
    if (!*out)
        return error_nomem(t->err);
    t->pos += n;
    return 0;
}

/* a.b."c d", with blanks around the dots. */
static int read_key(struct toml *t, struct toml_key **out, unsigned *parts)
{
    *out = NULL;
    *parts = 0;
    do {
        skip_blanks(t);
        struct toml_key *key = arena_alloc(&t->doc->arena, sizeof *key);
        if (!key)
            return error_nomem(t->err);
        key->next = NULL;
        int rc = read_simple_key(t, &key->node);
        if (rc)
            return rc;
        *out = key;
        out = &key->next;
        ++*parts;
        skip_blanks(t);
    } while (take(t, '.'));
    return 0;
}

/* ---- values ---- */

static int read_value(struct toml *t, struct conf_node **out);

static int read_array(struct toml *t, struct conf_node **out)
{
    size_t at = t->pos++;
    struct toml_array *array = toml_array(t, false, at, at + 1);
    if (!array)
        return error_nomem(t->err);
    for (;;) {
        struct conf_node *item;
        int rc = skip_all(t);
        if (rc)
            return rc;
        if (take(t, ']'))
            break;
        if (t->pos == t->n)
            return doc_fail(t->doc, at, at + 1, t->err,
                            "this array has no closing `]`");
        rc = read_value(t, &item);
        if (rc == 0)
            rc = toml_append(t, array, item);
        if (rc == 0)
            rc = skip_all(t);
        if (rc)
            return rc;
        if (!take(t, ',') && t->pos < t->n && t->text[t->pos] != ']')
            return fail_here(t, "expected `,` or `]`");
    }
    array->node.end = (uint32_t)t->pos;
    *out = &array->node;
    return 0;
}

static int read_assignment(struct toml *t, struct toml_table *table)
{
    struct toml_key *key;
    struct conf_node *value;
    unsigned parts, depth = t->depth;
    int rc = read_key(t, &key, &parts);
    if (rc)
        return rc;
    if (!take(t, '='))
        return fail_here(t, "expected `=` or `.` behind the key");
    skip_blanks(t);
    t->depth = table->depth + parts - 1;
    rc = read_value(t, &value);
    t->depth = depth;
    return rc ? rc : toml_store(t, table, key, value);
}

static int read_inline_table(struct toml *t, struct conf_node **out)
{
    size_t at = t->pos++;
    struct toml_table *table = toml_table(t, TOML_INLINE, t->depth, at, at + 1);
    if (!table)
        return error_nomem(t->err);
    skip_blanks(t);
    for (bool first = true; !(first && take(t, '}')); first = false) {
        int rc = read_assignment(t, table);
        if (rc)
            return rc;
        skip_blanks(t);
        if (take(t, '}'))
            break;
        if (!take(t, ','))
            return fail_here(t, at_line_end(t) ? "an inline table must be on one line"
                                               : "expected `,` or `}`");
    }
    table->node.end = (uint32_t)t->pos;
    *out = &table->node;
    return 0;
}

static int read_value(struct toml *t, struct conf_node **out)
{
    char c = t->text[t->pos];
    if (c == '"' || c == '\'')
        return toml_string(t, true, out);
    if (c != '[' && c != '{')
        return toml_bare_value(t, out);
    if (t->depth >= CONF_DEPTH_MAX)
        return doc_fail(t->doc, t->pos, t->pos + 1, t->err,
                        "nesting is deeper than %d levels here", CONF_DEPTH_MAX);
    t->depth++;
    int rc = c == '[' ? read_array(t, out) : read_inline_table(t, out);
    t->depth--;
    return rc;
}

/* ---- lines ---- */

static int read_header(struct toml *t, struct toml_table *root,
                       struct toml_table **table)
{
    struct toml_key *key;
    unsigned parts;
    size_t at = t->pos++;
    bool element = take(t, '[');
    int rc = read_key(t, &key, &parts);
    if (rc)
        return rc;
    if (!take(t, ']') || (element && !take(t, ']')))
        return fail_here(t, element ? "expected `]]` behind the name of the table"
                                    : "expected `]` behind the name of the table");
    return toml_open(t, root, key, element, at, t->pos, table);
}

static int read_line(struct toml *t, struct toml_table *root, struct toml_table **table)
{
    skip_blanks(t);
    char c = t->text[t->pos];
    int rc = 0;
    if (t->pos < t->n && c == '[')
        rc = read_header(t, root, table);
    else if (t->pos < t->n && c != '#' && !at_line_end(t))
        rc = read_assignment(t, *table);
    return rc ? rc : end_line(t);
}

static int read_document(struct toml *t)
{
    struct toml_table *root = toml_table(t, TOML_HEADER, 1, 0, 0);
    struct toml_table *table = root;
    if (!root)
        return error_nomem(t->err);
    t->doc->root = &root->node;
    while (t->pos < t->n) {
        int rc = read_line(t, root, &table);
        if (rc)
            return rc;
    }
    return 0;
}

int conf_parse_toml(const char *name, const void *data, size_t n, struct conf_doc **out,
                    struct error *err)
{
    struct conf_doc *doc = NULL;
    int rc = doc_create(CONF_TOML, name ? name : "", data, n, &doc, err);
    if (rc)
        return rc;
    struct toml t = {.doc = doc, .err = err, .text = doc->text, .n = n};
    if (n >= 3 && memcmp(doc->text, "\xef\xbb\xbf", 3) == 0)
        t.pos = 3;
    rc = read_document(&t);
    if (rc) {
        conf_destroy(doc);
        return rc;
    }
    *out = doc;
    return 0;
}
