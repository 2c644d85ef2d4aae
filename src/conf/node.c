#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/text.h"

const struct conf_pair *conf_get_pair(const struct conf_node *map, const char *key)
{
    size_t n = strlen(key);
    if (map->kind != CONF_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->n; i++) {
        const struct conf_node *k = map->pairs[i].key;
        if (k->n == n && memcmp(k->text, key, n) == 0)
            return &map->pairs[i];
    }
    return NULL;
}

const struct conf_node *conf_get(const struct conf_node *map, const char *key)
{
    const struct conf_pair *pair = conf_get_pair(map, key);
    return pair ? pair->value : NULL;
}

/* ---- the core schema of YAML 1.2 ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(const char *s, size_t n, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == n && memcmp(s, *words, n) == 0)
            return true;
    return false;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && is_digit(*p))
        p++;
    return p;
}

static bool is_prefixed_int(const char *p, const char *end)
{
    if (end - p < 3 || p[0] != '0' || (p[1] != 'x' && p[1] != 'o'))
        return false;
    bool hex = p[1] == 'x';
    for (p += 2; p < end; p++) {
        bool letter = hex && ((*p >= 'a' && *p <= 'f') || (*p >= 'A' && *p <= 'F'));
        if (!letter && (*p < '0' || *p > (hex ? '9' : '7')))
            return false;
    }
    return true;
}

static enum conf_kind resolve_number(const char *p, const char *end)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const no_number[] = {".nan", ".NaN", ".NAN", NULL};
    size_t n = (size_t)(end - p);
    if (is_prefixed_int(p, end))
        return CONF_INT;
    if (is_one_of(p, n, no_number))
        return CONF_FLOAT;
    if (*p == '+' || *p == '-')
        p++;
    if (is_one_of(p, (size_t)(end - p), infinite))
        return CONF_FLOAT;
    const char *digits = p;
    p = skip_digits(p, end);
    size_t n_digits = (size_t)(p - digits);
    if (p == end)
        return n_digits ? CONF_INT : CONF_STRING;
    if (*p == '.') {
        const char *fraction = ++p;
        p = skip_digits(p, end);
        n_digits += (size_t)(p - fraction);
    }
    if (n_digits == 0)
        return CONF_STRING;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (p == end)
            return CONF_STRING;
        p = skip_digits(p, end);
    }
    return p == end ? CONF_FLOAT : CONF_STRING;
}

enum conf_kind conf_resolve(const char *text, size_t n)
{
    static const char *const nulls[] = {"~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true",  "True",  "TRUE", "false",
                                        "False", "FALSE", NULL};
    if (n == 0)
        return CONF_NULL;
    switch (text[0]) {
    case '~':
    case 'n':
    case 'N':
        return is_one_of(text, n, nulls) ? CONF_NULL : CONF_STRING;
    case 't':
    case 'T':
    case 'f':
    case 'F':
        return is_one_of(text, n, bools) ? CONF_BOOL : CONF_STRING;
    case '+':
    case '-':
    case '.':
        return resolve_number(text, text + n);
    default:
        return is_digit(text[0]) ? resolve_number(text, text + n) : CONF_STRING;
    }
}

/* ---- values ---- */

/* The kind for somebody who wants a value: parameters in quotes count by their text. */
static enum conf_kind value_kind(const struct conf_node *node)
{
    if (node->kind == CONF_STRING && node->param)
        return conf_resolve(node->text, node->n);
    return conf_kind(node);
}

bool conf_bool(const struct conf_node *node, bool *out)
{
    if (value_kind(node) != CONF_BOOL)
        return false;
    *out = node->text[0] == 't' || node->text[0] == 'T';
    return true;
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* The amount of an integer of any of the formats; false if it needs more than 64 bits.
 */
static bool read_amount(const struct conf_node *node, bool *negative, uint64_t *out)
{
    const char *p = node->text;
    const char *end = p + node->n;
    uint64_t base = 10, v = 0;
    *negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    if (end - p > 2 && *p == '0' && !is_digit(p[1])) {
        base = p[1] == 'x' ? 16 : p[1] == 'o' ? 8 : 2;
        p += 2;
    }
    for (; p < end; p++) {
        if (*p == '_')
            continue;
        if (MUL_OVERFLOWS(v, base, &v) ||
            ADD_OVERFLOWS(v, (uint64_t)digit_value(*p), &v))
            return false;
    }
    *out = v;
    return true;
}

bool conf_int(const struct conf_node *node, int64_t *out)
{
    bool negative;
    uint64_t v;
    if (value_kind(node) != CONF_INT || !read_amount(node, &negative, &v) ||
        v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool conf_uint(const struct conf_node *node, uint64_t *out)
{
    bool negative;
    uint64_t v;
    if (value_kind(node) != CONF_INT || !read_amount(node, &negative, &v) ||
        (negative && v != 0))
        return false;
    *out = v;
    return true;
}

#define FLOAT_TEXT_MAX 512

/* strtod knows neither '_' nor the point in front of "inf" and "nan". */
static bool read_float(const struct conf_node *node, double *out)
{
    char plain[FLOAT_TEXT_MAX];
    size_t n = 0;
    if (!strpbrk(node->text, "_iInN")) {
        *out = strtod(node->text, NULL);
        return true;
    }
    if (node->n >= sizeof plain)
        return false;
    for (const char *p = node->text; *p; p++)
        if (*p != '_' && !(*p == '.' && strchr("iInN", p[1])))
            plain[n++] = *p;
    plain[n] = 0;
    *out = strtod(plain, NULL);
    return true;
}

bool conf_float(const struct conf_node *node, double *out)
{
    enum conf_kind kind = value_kind(node);
    bool negative;
    uint64_t v;
    if (kind == CONF_INT && read_amount(node, &negative, &v)) {
        *out = negative ? -(double)v : (double)v;
        return true;
    }
    return (kind == CONF_FLOAT || kind == CONF_INT) && read_float(node, out);
}

bool conf_string(const struct conf_node *node, const char **out)
{
    if (node->kind != CONF_STRING && !(node->param && conf_is_scalar(node)))
        return false;
    *out = node->text;
    return true;
}

#define SHOWN_MAX 40

const char *conf_describe(const struct conf_node *node, char *out, size_t size)
{
    size_t cut = node->kind < CONF_SEQ ? text_cut(node->text, SHOWN_MAX) : 0;
    for (size_t i = 0; i < cut; i++)
        if ((unsigned char)node->text[i] < ' ')
            cut = i;
    const char *more = node->kind < CONF_SEQ && cut < node->n ? "..." : "";
    int n = (int)cut;
    switch (conf_kind(node)) {
    case CONF_NULL:
        (void)snprintf(out, size, "nothing");
        break;
    case CONF_BOOL:
    case CONF_INT:
    case CONF_FLOAT:
        (void)snprintf(out, size, "%s%.*s%s",
                       node->kind == CONF_BOOL ? "" : "the number ", n, node->text,
                       more);
        break;
    case CONF_STRING:
        (void)snprintf(out, size, "the text '%.*s%s'", n, node->text, more);
        break;
    case CONF_DATE:
        (void)snprintf(out, size, "the date %.*s", n, node->text);
        break;
    case CONF_SEQ:
        (void)snprintf(out, size, "a list");
        break;
    case CONF_MAP:
        (void)snprintf(out, size, "a map");
        break;
    }
    return out;
}
