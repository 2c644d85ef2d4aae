/*
 * JSON into nodes (RFC 8259). Our own reader, since a general library's tree knows no
 * places, keeps no digits and takes about ten times the memory of these nodes. Items
 * are gathered on one stack and copied to their parent when it ends. The wording of
 * syntax errors is the one that people know from other programs (see conf_parse_json).
 */
#include <math.h>
#include <stdlib.h>
#include "conf/keys.h"

#define SHORT_DIGITS 300 /* a number of so few digits is finite */

struct reader {
    struct conf_doc *doc;
    struct error *err;
    const char *text; /* a NUL follows */
    size_t pos, n;
    unsigned depth;
    struct conf_node **stack;
    size_t n_stack, cap_stack;
    struct keys keys;
};

static int fail_at(struct reader *r, size_t at, const char *what)
{
    return doc_fail(r->doc, at, at + 1, r->err, "%s", what);
}

/* The end of the text came too early, or another byte than expected. */
static int fail_here(struct reader *r, const char *at_end, const char *otherwise)
{
    return fail_at(r, r->pos, r->pos >= r->n ? at_end : otherwise);
}

static void skip_blanks(struct reader *r)
{
    const char *p = r->text + r->pos;
    while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')
        p++;
    r->pos = (size_t)(p - r->text);
}

static int push(struct reader *r, struct conf_node *node)
{
    if (r->n_stack == r->cap_stack) {
        size_t cap = r->cap_stack ? r->cap_stack * 2 : 256;
        struct conf_node **more = realloc(r->stack, cap * sizeof *more);
        if (!more)
            return error_nomem(r->err);
        r->stack = more;
        r->cap_stack = cap;
    }
    r->stack[r->n_stack++] = node;
    return 0;
}

/* ---- scalars ---- */

static bool read_hex(const char *p, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

/* \uXXXX at pos, possibly a surrogate pair. */
static int read_unicode(struct reader *r, size_t *pos, char **to)
{
    uint32_t c, low;
    if (!read_hex(r->text + *pos + 2, &c))
        return fail_at(r, *pos, "invalid escape");
    size_t len = 6;
    if (c >= 0xdc00 && c <= 0xdfff)
        return fail_at(r, *pos, "lone trailing surrogate in hex escape");
    if (c >= 0xd800 && c <= 0xdbff) {
        const char *next = r->text + *pos + 6;
        if (next[0] != '\\' || next[1] != 'u' || !read_hex(next + 2, &low) ||
            low < 0xdc00 || low > 0xdfff)
            return fail_at(r, *pos, "lone leading surrogate in hex escape");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        len = 12;
    }
    *to += utf8_put(*to, c);
    *pos += len;
    return 0;
}

static int read_escape(struct reader *r, size_t *pos, char **to)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    char c = r->text[*pos + 1];
    if (c == 'u')
        return read_unicode(r, pos, to);
    const char *known = c ? strchr(names, c) : NULL;
    if (!known)
        return fail_at(r, *pos, "invalid escape");
    *(*to)++ = values[known - names];
    *pos += 2;
    return 0;
}

/* The closing quote of the string that starts at pos. */
static int find_quote(struct reader *r, size_t pos, size_t *end, bool *escaped)
{
    *escaped = false;
    for (; pos < r->n && r->text[pos] != '"'; pos++) {
        if ((unsigned char)r->text[pos] < 0x20)
            return fail_at(r, pos,
                           "control character (\\u0000-\\u001F) found while parsing a "
                           "string");
        if (r->text[pos] == '\\') {
            *escaped = true;
            pos++;
        }
    }
    if (pos >= r->n)
        return fail_at(r, r->n, "EOF while parsing a string");
    *end = pos;
    return 0;
}

static int read_string(struct reader *r, struct conf_node **out)
{
    size_t at = r->pos, end = 0;
    bool escaped;
    int rc = find_quote(r, at + 1, &end, &escaped);
    if (rc)
        return rc;
    r->pos = end + 1;
    const char *raw = r->text + at + 1;
    size_t room = end - at;
    struct conf_node *node =
        doc_scalar(r->doc, CONF_STRING, at, end + 1, raw, escaped ? 0 : room - 1);
    char *text = escaped && node ? arena_alloc(&r->doc->arena, room) : NULL;
    if (!node || (escaped && !text))
        return error_nomem(r->err);
    node->quoted = true;
    *out = node;
    if (!escaped)
        return 0;
    char *to = text;
    for (size_t pos = at + 1; pos < end;) {
        if (r->text[pos] != '\\') {
            *to++ = r->text[pos++];
            continue;
        }
        rc = read_escape(r, &pos, &to);
        if (rc)
            return rc;
    }
    *to = 0;
    node->text = text;
    node->n = (uint32_t)(to - text);
    arena_trim(&r->doc->arena, text, room, node->n + (size_t)1);
    return 0;
}

static size_t digits_at(const struct reader *r, size_t pos)
{
    size_t n = 0;
    while (r->text[pos + n] >= '0' && r->text[pos + n] <= '9')
        n++;
    return n;
}

static int fail_number(struct reader *r, size_t at)
{
    r->pos = at;
    return fail_here(r, "EOF while parsing a value", "invalid number");
}

static int read_number(struct reader *r, struct conf_node **out)
{
    size_t at = r->pos, p = at + (r->text[at] == '-');
    enum conf_kind kind = CONF_INT;
    size_t whole = digits_at(r, p);
    if (whole == 0 || (whole > 1 && r->text[p] == '0'))
        return fail_number(r, whole ? p + 1 : p);
    p += whole;
    if (r->text[p] == '.') {
        size_t n = digits_at(r, ++p);
        if (n == 0)
            return fail_number(r, p);
        p += n;
        kind = CONF_FLOAT;
    }
    if (r->text[p] == 'e' || r->text[p] == 'E') {
        p++;
        if (r->text[p] == '+' || r->text[p] == '-')
            p++;
        size_t n = digits_at(r, p);
        if (n == 0)
            return fail_number(r, p);
        p += n;
        kind = CONF_FLOAT;
    }
    *out = doc_scalar(r->doc, kind, at, p, r->text + at, p - at);
    r->pos = p;
    if (!*out)
        return error_nomem(r->err);
    double value;
    if ((kind == CONF_FLOAT || whole > SHORT_DIGITS) && conf_float(*out, &value) &&
        isinf(value))
        return fail_at(r, at, "number out of range");
    return 0;
}

static int read_word(struct reader *r, const char *word, enum conf_kind kind,
                     struct conf_node **out)
{
    size_t at = r->pos;
    for (const char *w = word; *w; w++, r->pos++)
        if (r->text[r->pos] != *w)
            return fail_here(r, "EOF while parsing a value", "expected ident");
    *out = doc_scalar(r->doc, kind, at, r->pos, word, strlen(word));
    return *out ? 0 : error_nomem(r->err);
}

/* ---- lists and objects ---- */

static int read_value(struct reader *r, struct conf_node **out);

static int read_items(struct reader *r)
{
    for (bool first = true;; first = false) {
        struct conf_node *item;
        skip_blanks(r);
        if (first && r->text[r->pos] == ']')
            return 0;
        if (r->pos >= r->n)
            return fail_at(r, r->n,
                           first ? "EOF while parsing a list"
                                 : "EOF while parsing a value");
        int rc = read_value(r, &item);
        if (rc == 0)
            rc = push(r, item);
        if (rc)
            return rc;
        skip_blanks(r);
        if (r->text[r->pos] == ']')
            return 0;
        if (r->text[r->pos] != ',')
            return fail_here(r, "EOF while parsing a list", "expected `,` or `]`");
        r->pos++;
        skip_blanks(r);
        if (r->text[r->pos] == ']')
            return fail_at(r, r->pos, "trailing comma");
    }
}

static int read_pairs(struct reader *r)
{
    for (bool first = true;; first = false) {
        struct conf_node *key, *value;
        skip_blanks(r);
        if (first && r->text[r->pos] == '}')
            return 0;
        if (r->text[r->pos] != '"')
            return fail_here(r, "EOF while parsing an object", "key must be a string");
        int rc = read_string(r, &key);
        if (rc == 0)
            rc = push(r, key);
        if (rc)
            return rc;
        skip_blanks(r);
        if (r->text[r->pos] != ':')
            return fail_here(r, "EOF while parsing an object", "expected `:`");
        r->pos++;
        rc = read_value(r, &value);
        if (rc == 0)
            rc = push(r, value);
        if (rc)
            return rc;
        skip_blanks(r);
        if (r->text[r->pos] == '}')
            return 0;
        if (r->text[r->pos] != ',')
            return fail_here(r, "EOF while parsing an object", "expected `,` or `}`");
        r->pos++;
        skip_blanks(r);
        if (r->text[r->pos] == '}')
            return fail_at(r, r->pos, "trailing comma");
    }
}

static int end_list(struct reader *r, struct conf_node *node, size_t first)
{
    size_t n = r->n_stack - first;
    node->items = arena_array(&r->doc->arena, n, sizeof(struct conf_node *));
    if (!node->items)
        return error_nomem(r->err);
    if (n)
        memcpy(node->items, r->stack + first, n * sizeof(struct conf_node *));
    node->n = (uint32_t)n;
    return 0;
}

static int end_object(struct reader *r, struct conf_node *node, size_t first)
{
    size_t n = (r->n_stack - first) / 2;
    struct conf_pair *pairs = arena_array(&r->doc->arena, n, sizeof *pairs);
    if (!pairs)
        return error_nomem(r->err);
    node->pairs = pairs;
    keys_clear(&r->keys);
    uint32_t kept = 0;
    for (size_t i = first; i < first + 2 * n; i += 2) {
        const struct conf_node *key = r->stack[i];
        struct conf_pair pair = {r->stack[i], r->stack[i + 1]};
        uint32_t other = keys_find(&r->keys, pairs, kept, key->text, key->n);
        if (other != UINT32_MAX && r->doc->name)
            return conf_fail(r->doc, key, r->err, "duplicate key \"%s\"", key->text);
        if (other != UINT32_MAX) {
            pairs[other] = pair;
            continue;
        }
        pairs[kept++] = pair;
        if (!keys_add(&r->keys, &r->doc->arena, pairs, kept))
            return error_nomem(r->err);
    }
    node->n = kept;
    return 0;
}

static int read_nested(struct reader *r, enum conf_kind kind, struct conf_node **out)
{
    size_t first = r->n_stack;
    if (r->depth == CONF_DEPTH_MAX)
        return fail_at(r, r->pos, "recursion limit exceeded");
    struct conf_node *node = doc_node(r->doc, kind, r->pos, r->pos);
    if (!node)
        return error_nomem(r->err);
    r->depth++;
    r->pos++;
    int rc = kind == CONF_SEQ ? read_items(r) : read_pairs(r);
    if (rc)
        return rc;
    r->depth--;
    node->end = (uint32_t)++r->pos;
    rc = kind == CONF_SEQ ? end_list(r, node, first) : end_object(r, node, first);
    r->n_stack = first;
    *out = node;
    return rc;
}

static int read_value(struct reader *r, struct conf_node **out)
{
    skip_blanks(r);
    char c = r->text[r->pos];
    switch (c) {
    case '"':
        return read_string(r, out);
    case '[':
        return read_nested(r, CONF_SEQ, out);
    case '{':
        return read_nested(r, CONF_MAP, out);
    case 't':
        return read_word(r, "true", CONF_BOOL, out);
    case 'f':
        return read_word(r, "false", CONF_BOOL, out);
    case 'n':
        return read_word(r, "null", CONF_NULL, out);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return read_number(r, out);
        return fail_here(r, "EOF while parsing a value", "expected value");
    }
}

static int read_document(struct reader *r)
{
    int rc = read_value(r, &r->doc->root);
    if (rc)
        return rc;
    skip_blanks(r);
    return r->pos < r->n ? fail_at(r, r->pos, "trailing characters") : 0;
}

int conf_parse_json(const char *name, const void *data, size_t n, struct conf_doc **out,
                    struct error *err)
{
    struct conf_doc *doc = NULL;
    int rc = doc_create(CONF_JSON, name, data, n, &doc, err);
    if (rc)
        return rc;
    struct reader r = {.doc = doc, .err = err, .text = doc->text, .n = n};
    rc = read_document(&r);
    free(r.stack);
    if (rc) {
        conf_destroy(doc);
        return rc;
    }
    *out = doc;
    return 0;
}
