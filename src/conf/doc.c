#include "conf/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/text.h"

#define EXCERPT_MAX 160 /* bytes of a source line that a message shows */
#define CAUSE_MAX 1200
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

size_t utf8_put(char *to, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    to[0] = (char)(lead[n] | c);
    return n;
}

/* Length of the UTF-8 character at s, 0 if it is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len == 1)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

size_t utf8_valid(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0;
    while (i < n) {
        uint64_t word;
        if (n - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                i += sizeof word;
                continue;
            }
        }
        size_t len = utf8_length(p + i, n - i);
        if (len == 0)
            break;
        i += len;
    }
    return i;
}

int doc_create(enum conf_format format, const char *name, const void *data, size_t n,
               struct conf_doc **out, struct error *err)
{
    if (n > CONF_INPUT_MAX)
        return error_set(err, ERR_TOO_BIG, "%s: the file is larger than %zu MiB",
                         name ? name : "input", CONF_INPUT_MAX >> 20);
    struct conf_doc *doc = calloc(1, sizeof *doc);
    if (!doc)
        return error_nomem(err);
    arena_init(&doc->arena);
    doc->format = format;
    doc->n = (uint32_t)n;
    doc->text = malloc(n + 1);
    if (doc->text && name)
        doc->name = arena_strndup(&doc->arena, name, strlen(name));
    if (!doc->text || (name && !doc->name)) {
        conf_destroy(doc);
        return error_nomem(err);
    }
    if (n)
        memcpy(doc->text, data, n);
    doc->text[n] = 0;
    size_t valid = utf8_valid(doc->text, n);
    if (valid < n) {
        int rc = doc_fail(doc, valid, valid + 1, err,
                          "this byte (0x%02x) is not valid UTF-8",
                          (unsigned char)doc->text[valid]);
        conf_destroy(doc);
        return rc;
    }
    *out = doc;
    return 0;
}

void conf_destroy(struct conf_doc *doc)
{
    if (!doc)
        return;
    arena_release(&doc->arena);
    free(doc->text);
    free(doc);
}

int conf_parse(enum conf_format format, const char *name, const void *data, size_t n,
               struct conf_doc **out, struct error *err)
{
    switch (format) {
    case CONF_YAML:
        return conf_parse_yaml(name, data, n, out, err);
    case CONF_TOML:
        return conf_parse_toml(name, data, n, out, err);
    case CONF_JSON:
        return conf_parse_json(name, data, n, out, err);
    }
    HQ_ASSERT(false);
    return ERR_INVALID;
}

const struct conf_node *conf_root(const struct conf_doc *doc)
{
    return doc->root;
}

const char *conf_name(const struct conf_doc *doc)
{
    return doc->name ? doc->name : "";
}

enum conf_format conf_format(const struct conf_doc *doc)
{
    return doc->format;
}

void *conf_alloc(struct conf_doc *doc, size_t n)
{
    return arena_alloc(&doc->arena, n);
}

struct conf_node *doc_node(struct conf_doc *doc, enum conf_kind kind, size_t at,
                           size_t end)
{
    struct conf_node *node = arena_alloc(&doc->arena, sizeof *node);
    if (node)
        *node = (struct conf_node){
            .kind = (uint8_t)kind, .at = (uint32_t)at, .end = (uint32_t)end};
    return node;
}

struct conf_node *doc_scalar(struct conf_doc *doc, enum conf_kind kind, size_t at,
                             size_t end, const char *text, size_t n)
{
    struct conf_node *node = doc_node(doc, kind, at, end);
    if (!node)
        return NULL;
    node->text = arena_strndup(&doc->arena, text, n);
    node->n = (uint32_t)n;
    return node->text ? node : NULL;
}

/* ---- places ---- */

/* The source line around a place. */
struct place {
    size_t line;       /* from 1 */
    size_t begin, end; /* of the line, without its end */
    size_t at;         /* the place, begin to end */
    size_t column;     /* from 1, in characters */
};

static size_t count_characters(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static struct place find_place(const struct conf_doc *doc, size_t at)
{
    const char *text = doc->text;
    bool marked = doc->n >= 3 && at >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0;
    struct place p = {.line = 1, .begin = marked ? 3 : 0, .at = at};
    const char *nl;
    while ((nl = memchr(text + p.begin, '\n', at - p.begin))) {
        p.begin = (size_t)(nl - text) + 1;
        p.line++;
    }
    nl = memchr(text + at, '\n', doc->n - at);
    p.end = nl ? (size_t)(nl - text) : doc->n;
    if (p.end > p.begin && text[p.end - 1] == '\r')
        p.end--;
    p.at = MIN(p.at, p.end);
    p.column = count_characters(text + p.begin, at - p.begin) + 1;
    return p;
}

struct conf_mark conf_mark(const struct conf_doc *doc, const struct conf_node *node)
{
    struct place p = find_place(doc, node->at);
    return (struct conf_mark){(uint32_t)p.line, (uint32_t)p.column};
}

/* ---- messages ---- */

/* The part [*from, *to) of a long line that is worth showing. */
static void cut_line(const struct conf_doc *doc, const struct place *p, size_t *from,
                     size_t *to)
{
    *from = p->begin;
    *to = p->end;
    if (*to - *from <= EXCERPT_MAX)
        return;
    if (p->at - p->begin > EXCERPT_MAX / 2)
        *from = p->at - EXCERPT_MAX / 2;
    while (*from > p->begin && ((unsigned char)doc->text[*from] & 0xc0) == 0x80)
        --*from;
    if (*to - *from > EXCERPT_MAX)
        *to = *from + EXCERPT_MAX;
    while (*to < p->end && ((unsigned char)doc->text[*to] & 0xc0) == 0x80)
        ++*to;
}

/* The line as it may go to a terminal. */
static void put_line(struct buf *out, const char *s, size_t n)
{
    struct buf shown = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        buf_putc(&shown, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c);
    }
    text_lossy(out, buf_cstr(&shown), shown.len);
    out->failed |= shown.failed;
    buf_release(&shown);
}

/* Blanks as wide as the text on a terminal. */
static void put_blanks(struct buf *out, const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t run = i;
        while (run < n && s[run] != '\t')
            run++;
        struct buf shown = BUF_INIT(BUF_MAX_DEFAULT);
        put_line(&shown, s + i, run - i);
        for (size_t w = text_width(buf_cstr(&shown), shown.len); w > 0; w--)
            buf_putc(out, ' ');
        out->failed |= shown.failed;
        buf_release(&shown);
        if (run < n)
            buf_putc(out, '\t');
        i = run + 1;
    }
}

/* The line with `before` in front, and `width` carets under the place. */
static void put_excerpt(struct buf *out, const struct conf_doc *doc,
                        const struct place *p, const char *before,
                        const char *before_caret, size_t width)
{
    size_t from, to;
    cut_line(doc, p, &from, &to);
    const char *head = from > p->begin ? "..." : "";
    buf_printf(out, "%s%s", before, head);
    put_line(out, doc->text + from, to - from);
    buf_printf(out, "%s\n%s%*s", to < p->end ? "..." : "", before_caret,
               (int)strlen(head), "");
    put_blanks(out, doc->text + from, p->at - from);
    width = MIN(width, count_characters(doc->text + p->at, to - p->at));
    do
        buf_putc(out, '^');
    while (width-- > 1);
}

static void put_message(struct buf *out, const struct conf_doc *doc, size_t at,
                        const char *cause)
{
    struct place p = find_place(doc, at);
    buf_printf(out, "%.*s:%zu:%zu: %s\n", CAUSE_MAX / 4, doc->name, p.line, p.column,
               cause);
    put_excerpt(out, doc, &p, "", "", 1);
}

static void put_toml_message(struct buf *out, const struct conf_doc *doc, size_t at,
                             size_t end, const char *cause)
{
    struct place p = find_place(doc, at);
    char number[32], gutter[40];
    int digits = snprintf(number, sizeof number, "%zu | ", p.line);
    (void)snprintf(gutter, sizeof gutter, "%*s| ", digits - 2, "");
    buf_printf(out, "TOML parse error at line %zu, column %zu\n%*s|\n", p.line,
               p.column, digits - 2, "");
    put_excerpt(out, doc, &p, number, gutter,
                count_characters(doc->text + p.at, end > p.at ? end - p.at : 0));
    buf_printf(out, "\n%s\n", cause);
}

/* The one-line form counts columns up to and with the offending character; the end of
 * the text is no character. */
static void put_short_message(struct buf *out, const struct conf_doc *doc, size_t at,
                              const char *cause)
{
    struct place p = find_place(doc, at);
    buf_printf(out, "%s at line %zu column %zu", cause, p.line,
               at >= doc->n ? p.column - 1 : p.column);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A text that ends too early is best shown where it ends, not on the line after. */
static size_t back_from_end(const struct conf_doc *doc, size_t at)
{
    if (at < doc->n)
        return at;
    at = doc->n;
    while (at > 0 && is_blank(doc->text[at - 1]))
        at--;
    return at;
}

static int fail(const struct conf_doc *doc, size_t at, size_t end, int code,
                struct error *err, const char *cause)
{
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    if (doc->blame) {
        at = doc->blame->at;
        end = doc->blame->end;
    }
    at = MIN(at, doc->n);
    end = MIN(end, doc->n);
    if (doc->format == CONF_TOML)
        put_toml_message(&out, doc, at, end, cause);
    else if (!doc->name)
        put_short_message(&out, doc, at, cause);
    else
        put_message(&out, doc, back_from_end(doc, at), cause);
    int rc = out.failed ? error_nomem(err) : error_set(err, code, "%s", buf_cstr(&out));
    buf_release(&out);
    return rc;
}

int doc_vfail(const struct conf_doc *doc, size_t at, size_t end, struct error *err,
              const char *fmt, va_list args)
{
    char cause[CAUSE_MAX];
    (void)vsnprintf(cause, sizeof cause, fmt, args);
    cause[text_cut(cause, sizeof cause - 2)] = 0;
    return fail(doc, at, end, ERR_PARSE, err, cause);
}

int doc_fail(const struct conf_doc *doc, size_t at, size_t end, struct error *err,
             const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = doc_vfail(doc, at, end, err, fmt, args);
    va_end(args);
    return rc;
}

int conf_fail(const struct conf_doc *doc, const struct conf_node *node,
              struct error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = doc_vfail(doc, node->at, node->end, err, fmt, args);
    va_end(args);
    return rc;
}

int conf_locate(const struct conf_doc *doc, const struct conf_node *node,
                struct error *err)
{
    char cause[CAUSE_MAX];
    int code = err->code;
    if (code == ERR_NOMEM)
        return code;
    size_t n = text_cut(err->text, sizeof cause - 1);
    memcpy(cause, err->text, n);
    cause[n] = 0;
    return fail(doc, node->at, node->end, code, err, cause);
}

void conf_blame(struct conf_doc *doc, const struct conf_node *node)
{
    doc->blame = node;
}
