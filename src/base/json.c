#include "base/json.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/error.h"
#include "base/path.h"
#include "base/text.h"

#define WRITE_AT 65536

void json_init(struct json *j, struct buf *out, bool pretty, int out_fd)
{
    *j = (struct json){.out = out, .pretty = pretty, .out_fd = out_fd};
}

static void write_out(struct json *j)
{
    if (!j->failed && write_all(j->out_fd, j->out->data, j->out->len) != 0) {
        j->failed = true;
        j->sys = errno;
    }
    /* After a failure everything is thrown away, so that memory stays bounded. */
    bool refused = j->out->failed;
    buf_clear(j->out);
    j->out->failed = refused;
}

static void indent(struct json *j)
{
    static const char blanks[] = "                                "
                                 "                                ";
    if (!j->pretty)
        return;
    buf_putc(j->out, '\n');
    for (int left = j->depth * 2; left > 0; left -= (int)sizeof blanks - 1)
        buf_append(j->out, blanks, MIN((size_t)left, sizeof blanks - 1));
}

/* What has to stand in front of a value or key: comma, line break, or nothing. */
static void before_item(struct json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->depth == 0)
        return;
    if (j->nonempty[j->depth - 1])
        buf_putc(j->out, ',');
    j->nonempty[j->depth - 1] = true;
    indent(j);
    if (j->out_fd >= 0 && j->out->len >= WRITE_AT)
        write_out(j);
}

static void begin(struct json *j, char bracket)
{
    before_item(j);
    HQ_ASSERT(j->depth < JSON_DEPTH_MAX);
    j->nonempty[j->depth++] = false;
    buf_putc(j->out, bracket);
}

static void end(struct json *j, char bracket)
{
    HQ_ASSERT(j->depth > 0 && !j->after_key);
    j->depth--;
    if (j->nonempty[j->depth])
        indent(j);
    buf_putc(j->out, bracket);
}

void json_begin_object(struct json *j)
{
    begin(j, '{');
}

void json_end_object(struct json *j)
{
    end(j, '}');
}

void json_begin_array(struct json *j)
{
    begin(j, '[');
}

void json_end_array(struct json *j)
{
    end(j, ']');
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void put_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        buf_puts(out, "\\\"");
        break;
    case '\\':
        buf_puts(out, "\\\\");
        break;
    case '\n':
        buf_puts(out, "\\n");
        break;
    case '\r':
        buf_puts(out, "\\r");
        break;
    case '\t':
        buf_puts(out, "\\t");
        break;
    case '\b':
        buf_puts(out, "\\b");
        break;
    case '\f':
        buf_puts(out, "\\f");
        break;
    default:
        buf_printf(out, "\\u%04x", c);
    }
}

static void put_string(struct buf *out, const char *s, size_t n)
{
    buf_putc(out, '"');
    size_t i = 0;
    while (i < n) {
        size_t run = i;
        while (run < n && is_plain((unsigned char)s[run]))
            run++;
        buf_append(out, s + i, run - i);
        i = run;
        /* A stretch beyond ASCII goes through the UTF-8 check as one. */
        while (run < n && (unsigned char)s[run] >= 0x80)
            run++;
        if (run > i)
            text_lossy(out, s + i, run - i);
        else if (i < n)
            put_escaped(out, (unsigned char)s[run++]);
        i = run;
    }
    buf_putc(out, '"');
}

void json_key(struct json *j, const char *key)
{
    before_item(j);
    put_string(j->out, key, strlen(key));
    buf_puts(j->out, j->pretty ? ": " : ":");
    j->after_key = true;
}

void json_strn(struct json *j, const char *s, size_t n)
{
    before_item(j);
    put_string(j->out, s, n);
}

void json_str(struct json *j, const char *s)
{
    if (s)
        json_strn(j, s, strlen(s));
    else
        json_null(j);
}

/* Decimal digits of v at the end of a buffer of 20; returns the first. */
static char *print_digits(char *end, uint64_t v)
{
    do {
        *--end = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return end;
}

void json_uint(struct json *j, uint64_t v)
{
    char digits[20];
    char *first = print_digits(digits + sizeof digits, v);
    json_raw(j, first, (size_t)(digits + sizeof digits - first));
}

void json_int(struct json *j, int64_t v)
{
    char digits[21];
    char *end = digits + sizeof digits;
    char *first = print_digits(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0)
        *--first = '-';
    json_raw(j, first, (size_t)(end - first));
}

/*
 * The shortest digits that read back as v (> 0, finite), without leading zeros:
 * v = 0.d1d2d3… * 10^point. Independent of the locale's decimal point.
 */
static size_t shortest_digits(double v, char digits[20], int *point)
{
    char text[40];
    /* Fifteen digits are always exact enough to print, except near the smallest. */
    for (int precision = v < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision, v);
        if (precision == 16 || strtod(text, NULL) == v)
            break;
    }
    size_t n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    *point = (int)strtol(p + 1, NULL, 10) + 1;
    return n;
}

/*
 * The same for whole microseconds below 1e15, which times are, without the C library:
 * if n / 1e6 is v, then n's digits read back as v, and no other 15 digits do. 0: is
 * none.
 */
static size_t micro_digits(double v, char digits[20], int *point)
{
    if (v < 1e-6 || v >= 1e8)
        return 0;
    uint64_t micros = (uint64_t)(v * 1e6 + 0.5);
    if ((double)micros / 1e6 != v)
        return 0;
    char *first = print_digits(digits + 20, micros);
    size_t n = (size_t)(digits + 20 - first);
    memmove(digits, first, n);
    *point = (int)n - 6;
    return n;
}

static void put_double(struct buf *out, double v)
{
    char digits[20];
    int point;
    if (signbit(v))
        buf_putc(out, '-');
    v = fabs(v);
    if (v <= 0) {
        buf_puts(out, "0.0");
        return;
    }
    size_t n = micro_digits(v, digits, &point);
    if (n == 0)
        n = shortest_digits(v, digits, &point);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (point > 16 || point <= -5) {
        buf_putc(out, digits[0]);
        if (n > 1)
            buf_putc(out, '.');
        buf_append(out, digits + 1, n - 1);
        buf_printf(out, "e%d", point - 1);
    } else if (point <= 0) {
        buf_puts(out, "0.");
        buf_append(out, "0000", (size_t)-point);
        buf_append(out, digits, n);
    } else if ((size_t)point < n) {
        buf_append(out, digits, (size_t)point);
        buf_putc(out, '.');
        buf_append(out, digits + point, n - (size_t)point);
    } else {
        buf_append(out, digits, n);
        buf_append(out, "0000000000000000", (size_t)point - n);
        buf_puts(out, ".0");
    }
}

void json_double(struct json *j, double v)
{
    if (!isfinite(v)) {
        json_null(j);
        return;
    }
    before_item(j);
    put_double(j->out, v);
}

void json_bool(struct json *j, bool v)
{
    json_raw(j, v ? "true" : "false", v ? 4 : 5);
}

void json_null(struct json *j)
{
    json_raw(j, "null", 4);
}

void json_raw(struct json *j, const char *s, size_t n)
{
    before_item(j);
    buf_append(j->out, s, n);
}

int json_flush(struct json *j)
{
    if (j->out_fd >= 0)
        write_out(j);
    if (j->failed)
        return ERR_SYSTEM;
    return j->out->failed ? ERR_NOMEM : 0;
}

void json_kstr(struct json *j, const char *key, const char *s)
{
    json_key(j, key);
    json_str(j, s);
}

void json_kint(struct json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_int(j, v);
}

void json_kuint(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_uint(j, v);
}

void json_kdouble(struct json *j, const char *key, double v)
{
    json_key(j, key);
    json_double(j, v);
}

void json_kbool(struct json *j, const char *key, bool v)
{
    json_key(j, key);
    json_bool(j, v);
}

void json_knull(struct json *j, const char *key)
{
    json_key(j, key);
    json_null(j);
}
