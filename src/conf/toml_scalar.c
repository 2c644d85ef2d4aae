#include "conf/toml.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool starts_with(const struct toml *t, size_t pos, const char *what)
{
    size_t len = strlen(what);
    return t->n - pos >= len && memcmp(t->text + pos, what, len) == 0;
}

/* ---- strings ---- */

/* A string of one line: offset of its closing quote. */
static int find_quote(struct toml *t, size_t pos, char quote, size_t *end)
{
    size_t start = pos - 1;
    for (; pos < t->n && t->text[pos] != '\n'; pos++) {
        if (t->text[pos] == quote) {
            *end = pos;
            return 0;
        }
        if (quote == '"' && t->text[pos] == '\\' && pos + 1 < t->n &&
            t->text[pos + 1] != '\n')
            pos++;
    }
    return doc_fail(t->doc, start, pos, t->err, "this string has no closing quote");
}

/* A string of several lines: offset of the three quotes that close it. */
static int find_three_quotes(struct toml *t, size_t pos, char quote, size_t *end)
{
    const char three[] = {quote, quote, quote, 0};
    size_t start = pos - 3;
    for (; pos < t->n; pos++) {
        if (starts_with(t, pos, three)) {
            /* One or two quotes more belong to the string. */
            for (int i = 0; i < 2 && t->text[pos + 3] == quote; i++)
                pos++;
            *end = pos;
            return 0;
        }
        if (quote == '"' && t->text[pos] == '\\')
            pos++;
    }
    return doc_fail(t->doc, start, start + 3, t->err,
                    "this string has no closing quotes");
}

static int read_unicode(struct toml *t, size_t pos, size_t digits, uint32_t *c)
{
    *c = 0;
    for (size_t i = pos + 2; i < pos + 2 + digits; i++) {
        if (!is_hex(t->text[i]))
            return doc_fail(t->doc, pos, i, t->err,
                            "`\\%c` needs %zu hexadecimal digits", t->text[pos + 1],
                            digits);
        char d = t->text[i];
        *c = *c << 4 | (uint32_t)(is_digit(d) ? d - '0' : (d | 0x20) - 'a' + 10);
    }
    if (*c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
        return doc_fail(t->doc, pos, pos + 2 + digits, t->err,
                        "there is no such character");
    return 0;
}

/* A backslash at the end of a line swallows the blanks and line ends that follow. */
static bool skip_continuation(const struct toml *t, size_t *pos, size_t end)
{
    size_t i = *pos + 1;
    while (i < end && (t->text[i] == ' ' || t->text[i] == '\t' || t->text[i] == '\r'))
        i++;
    if (i == end || t->text[i] != '\n')
        return false;
    while (i < end && t->text[i] && strchr(" \t\r\n", t->text[i]))
        i++;
    *pos = i;
    return true;
}

/* One escape at *pos; *to moves behind what it stands for. */
static int read_escape(struct toml *t, size_t *pos, size_t end, bool multiline,
                       char **to)
{
    static const char names[] = "btnfr\"\\";
    static const char values[] = "\b\t\n\f\r\"\\";
    char c = t->text[*pos + 1];
    const char *known = c ? strchr(names, c) : NULL;
    if (known) {
        *(*to)++ = values[known - names];
        *pos += 2;
        return 0;
    }
    if (c == 'u' || c == 'U') {
        size_t digits = c == 'u' ? 4 : 8;
        uint32_t value;
        int rc = read_unicode(t, *pos, digits, &value);
        if (rc)
            return rc;
        *to += utf8_put(*to, value);
        *pos += 2 + digits;
        return 0;
    }
    if (multiline && skip_continuation(t, pos, end))
        return 0;
    return doc_fail(
        t->doc, *pos, *pos + 2, t->err,
        "unknown escape; a literal backslash is `\\\\`, or use single quotes");
}

/* The text between the quotes, [pos, end), as a node. */
static int decode_string(struct toml *t, size_t pos, size_t end, char quote,
                         bool multiline, struct conf_node *node)
{
    size_t room = end - pos + 1;
    char *text = arena_alloc(&t->doc->arena, room), *to = text;
    if (!text)
        return error_nomem(t->err);
    while (pos < end) {
        char c = t->text[pos];
        if (multiline && c == '\r' && t->text[pos + 1] == '\n') {
            pos++;
            continue;
        }
        if (is_control(c) && !(multiline && c == '\n'))
            return doc_fail(t->doc, pos, pos + 1, t->err,
                            "control characters are not allowed in a string");
        if (c == '\\' && quote == '"') {
            int rc = read_escape(t, &pos, end, multiline, &to);
            if (rc)
                return rc;
        } else {
            *to++ = c;
            pos++;
        }
    }
    *to = 0;
    node->text = text;
    node->n = (uint32_t)(to - text);
    arena_trim(&t->doc->arena, text, room, node->n + (size_t)1);
    return 0;
}

int toml_string(struct toml *t, bool multiline_too, struct conf_node **out)
{
    char quote = t->text[t->pos];
    size_t at = t->pos, end = 0;
    bool multiline =
        multiline_too && t->text[at + 1] == quote && t->text[at + 2] == quote;
    size_t start = at + (multiline ? 3 : 1);
    int rc = multiline ? find_three_quotes(t, start, quote, &end)
                       : find_quote(t, start, quote, &end);
    if (rc)
        return rc;
    t->pos = end + (multiline ? 3 : 1);
    if (multiline && t->text[start] == '\r' && t->text[start + 1] == '\n')
        start++;
    if (multiline && t->text[start] == '\n')
        start++;
    struct conf_node *node = doc_node(t->doc, CONF_STRING, at, t->pos);
    if (!node)
        return error_nomem(t->err);
    node->quoted = true;
    *out = node;
    return decode_string(t, start, end, quote, multiline, node);
}

/* ---- numbers ---- */

/* Digits with single '_' between them; returns what follows, NULL if there are none. */
static const char *digits_of(const char *p, const char *end, int base)
{
    const char *start = p;
    for (; p < end; p++) {
        bool digit = base == 16 ? is_hex(*p) : *p >= '0' && *p < '0' + base;
        bool joint = *p == '_' && p > start && p[-1] != '_';
        if (!digit && !joint)
            break;
    }
    return p == start || p[-1] == '_' ? NULL : p;
}

static bool is_integer(const char *p, const char *end)
{
    if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'o' || p[1] == 'b'))
        return digits_of(p + 2, end, p[1] == 'x' ? 16 : p[1] == 'o' ? 8 : 2) == end;
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    if (end - p > 1 && *p == '0')
        return false;
    return digits_of(p, end, 10) == end;
}

static bool is_float(const char *p, const char *end)
{
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    if (end - p == 3 && (memcmp(p, "inf", 3) == 0 || memcmp(p, "nan", 3) == 0))
        return true;
    const char *whole = p;
    p = digits_of(p, end, 10);
    if (!p || p == end || (*whole == '0' && p > whole + 1))
        return false;
    if (*p == '.') {
        p = digits_of(p + 1, end, 10);
        if (!p)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = digits_of(p, end, 10);
    }
    return p == end;
}

static enum conf_kind bare_kind(const char *s, size_t n)
{
    if ((n == 4 && memcmp(s, "true", 4) == 0) || (n == 5 && memcmp(s, "false", 5) == 0))
        return CONF_BOOL;
    if (is_integer(s, s + n))
        return CONF_INT;
    return is_float(s, s + n) ? CONF_FLOAT : toml_date_kind(s, n);
}

static bool is_bare(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("_+-.:", c));
}

int toml_bare_value(struct toml *t, struct conf_node **out)
{
    const char *s = t->text + t->pos;
    size_t n = 0;
    while (is_bare(s[n]))
        n++;
    /* A blank may stand between date and time. */
    if (n == 10 && s[4] == '-' && s[10] == ' ' && is_digit(s[11]) && is_digit(s[12]) &&
        s[13] == ':')
        for (n = 11; is_bare(s[n]);)
            n++;
    enum conf_kind kind = n ? bare_kind(s, n) : CONF_NULL;
    if (n == 0)
        return doc_fail(t->doc, t->pos, t->pos + 1, t->err, "a value is missing here");
    if (kind == CONF_NULL)
        return doc_fail(t->doc, t->pos, t->pos + n, t->err,
                        "this is no value; a text needs quotes");
    struct conf_node *node = doc_scalar(t->doc, kind, t->pos, t->pos + n, s, n);
    if (!node)
        return error_nomem(t->err);
    int64_t fits;
    if (kind == CONF_INT && !conf_int(node, &fits))
        return conf_fail(t->doc, node, t->err, "this number needs more than 64 bits");
    t->pos += n;
    *out = node;
    return 0;
}
