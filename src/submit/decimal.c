#include "submit/decimal.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *parse_digits(const char *p, uint64_t *mantissa, unsigned *n)
{
    for (*n = 0; is_digit(*p); p++, ++*n)
        if (MUL_OVERFLOWS(*mantissa, 10, mantissa) ||
            ADD_OVERFLOWS(*mantissa, (uint64_t)(*p - '0'), mantissa))
            return NULL;
    return p;
}

/* What follows 'e'; false when it is no number or beyond all use. */
static bool parse_exponent(const char *p, int *exponent)
{
    bool negative = *p == '-';
    int v = 0;
    p += *p == '-' || *p == '+';
    if (!*p)
        return false;
    for (; is_digit(*p); p++)
        if ((v = v * 10 + (*p - '0')) > 2 * DECIMAL_DIGITS_MAX)
            return false;
    *exponent = negative ? -v : v;
    return *p == '\0';
}

bool decimal_parse(const char *text, struct decimal *d)
{
    const char *p = text + (*text == '-' || *text == '+');
    uint64_t mantissa = 0;
    unsigned n_whole = 0, n_fraction = 0;
    int exponent = 0;
    p = parse_digits(p, &mantissa, &n_whole);
    if (p && *p == '.')
        p = parse_digits(p + 1, &mantissa, &n_fraction);
    if (!p || n_whole + n_fraction == 0)
        return false;
    if ((*p == 'e' || *p == 'E') ? !parse_exponent(p + 1, &exponent) : *p != '\0')
        return false;
    int digits = (int)n_fraction - exponent;
    for (; digits < 0; digits++)
        if (MUL_OVERFLOWS(mantissa, 10, &mantissa))
            return false;
    if (digits > DECIMAL_DIGITS_MAX || mantissa > INT64_MAX)
        return false;
    *d = (struct decimal){*text == '-' ? -(int64_t)mantissa : (int64_t)mantissa,
                          (unsigned)digits};
    return true;
}

bool decimal_widen(struct decimal *d, unsigned digits)
{
    for (; d->digits < digits; d->digits++)
        if (MUL_OVERFLOWS(d->mantissa, 10, &d->mantissa))
            return false;
    return true;
}

void decimal_print(struct decimal d, struct buf *out)
{
    bool negative = d.mantissa < 0;
    uint64_t v = negative ? 0 - (uint64_t)d.mantissa : (uint64_t)d.mantissa;
    uint64_t unit = 1;
    for (unsigned i = 0; i < d.digits; i++)
        unit *= 10;
    buf_printf(out, "%s%llu", negative ? "-" : "", (unsigned long long)(v / unit));
    if (d.digits)
        buf_printf(out, ".%0*llu", (int)d.digits, (unsigned long long)(v % unit));
}
