#include "base/duration.h"

#include <string.h>

#define SECS_PER_MIN 60ULL
#define SECS_PER_HOUR 3600ULL
#define SECS_PER_DAY 86400ULL
#define SECS_PER_MONTH 2630016ULL /* 30.44 days */
#define SECS_PER_YEAR 31557600ULL /* 365.25 days */

/* Fractions of units from an hour on must be whole seconds. */
static const struct unit {
    const char *names; /* separated and surrounded by blanks */
    uint64_t ns;
    uint64_t grain_ns; /* a value must be a multiple of it */
} units[] = {
    {" ns nsec nanos ", 1, 1},
    {" us usec \xc2\xb5s ", NS_PER_US, 1},
    {" ms msec millis ", NS_PER_MS, 1},
    {" s sec secs second seconds ", NS_PER_S, 1},
    {" m min mins minute minutes ", SECS_PER_MIN *NS_PER_S, 1},
    {" h hr hrs hour hours ", SECS_PER_HOUR *NS_PER_S, NS_PER_S},
    {" d day days ", SECS_PER_DAY *NS_PER_S, NS_PER_S},
    {" w wk wks week weeks ", 7 * SECS_PER_DAY *NS_PER_S, NS_PER_S},
    {" M month months ", SECS_PER_MONTH *NS_PER_S, NS_PER_S},
    {" y yr yrs year years ", SECS_PER_YEAR *NS_PER_S, NS_PER_S},
};

enum failure_kind {
    BAD_EMPTY,
    BAD_NO_NUMBER,
    BAD_CHARACTER,
    BAD_UNIT,
    BAD_LARGE,
    BAD_FINE
};

/* Why the unit form was refused. Two wordings are in use: see print_failure. */
struct failure {
    enum failure_kind what;
    size_t start, end; /* byte offsets */
    uint64_t value;    /* BAD_UNIT: the number in front */
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ASCII letters, and everything beyond ASCII for the micro sign. */
static bool is_unit_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static const struct unit *find_unit(const char *name, size_t n)
{
    char needle[16];
    if (n == 0 || n > sizeof needle - 3)
        return NULL;
    needle[0] = ' ';
    memcpy(needle + 1, name, n);
    needle[n + 1] = ' ';
    needle[n + 2] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (strstr(units[i].names, needle))
            return &units[i];
    return NULL;
}

static bool fail(struct failure *f, enum failure_kind what, size_t start, size_t end,
                 uint64_t value)
{
    f->what = what;
    f->start = start;
    f->end = end;
    f->value = value;
    return false;
}

/* A number with an optional decimal fraction: whole + numerator / scale. */
struct number {
    uint64_t whole, numerator, scale;
};

static bool read_number(const char *s, size_t *at, struct number *n, struct failure *f)
{
    size_t i = *at, start = *at;
    *n = (struct number){0, 0, 1};
    if (!is_digit(s[i]))
        return fail(f, BAD_NO_NUMBER, i, i, 0);
    for (; is_digit(s[i]); i++)
        if (MUL_OVERFLOWS(n->whole, 10, &n->whole) ||
            ADD_OVERFLOWS(n->whole, (uint64_t)(s[i] - '0'), &n->whole))
            return fail(f, BAD_LARGE, start, i, 0);
    if (s[i] == '.') {
        i++;
        if (!is_digit(s[i]))
            return fail(f, BAD_NO_NUMBER, i, i, 0);
        size_t end = i;
        while (is_digit(s[end]))
            end++;
        size_t kept = end;
        while (kept > i && s[kept - 1] == '0')
            kept--;
        for (; i < kept; i++) {
            if (n->scale > 1000000000000000ULL)
                return fail(f, BAD_FINE, start, end, 0);
            n->numerator = n->numerator * 10 + (uint64_t)(s[i] - '0');
            n->scale *= 10;
        }
        i = end;
    }
    *at = i;
    return true;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Adds number * unit to *ns. */
static bool add_part(const struct number *n, const struct unit *u, uint64_t *ns,
                     struct failure *f)
{
    /* numerator * unit / scale, reduced first so that nothing overflows */
    uint64_t common = gcd(n->scale, u->ns);
    uint64_t divisor = n->scale / common;
    uint64_t fraction = n->numerator / divisor * (u->ns / common);
    if (n->numerator % divisor || fraction % u->grain_ns)
        return fail(f, BAD_FINE, 0, 0, 0);
    uint64_t whole;
    if (MUL_OVERFLOWS(n->whole, u->ns, &whole) || ADD_OVERFLOWS(*ns, whole, ns) ||
        ADD_OVERFLOWS(*ns, fraction, ns))
        return fail(f, BAD_LARGE, 0, 0, 0);
    return true;
}

static bool read_units(const char *s, uint64_t *ns, struct failure *f)
{
    size_t i = 0;
    bool any = false;
    *ns = 0;
    if (strcmp(s, "0") == 0)
        return true;
    for (;;) {
        struct number n;
        while (is_blank(s[i]))
            i++;
        if (!s[i])
            return any ? true : fail(f, BAD_EMPTY, i, i, 0);
        if (!read_number(s, &i, &n, f))
            return false;
        while (is_blank(s[i]))
            i++;
        size_t start = i;
        while (is_unit_char(s[i]))
            i++;
        if (s[i] && !is_digit(s[i]) && !is_blank(s[i]))
            return fail(f, BAD_CHARACTER, i, i, 0);
        const struct unit *u = find_unit(s + start, i - start);
        if (!u)
            return fail(f, BAD_UNIT, start, i, n.whole);
        if (!add_part(&n, u, ns, f))
            return false;
        any = true;
    }
}

/* The short form that scripts of users look for behind "Could not parse …". */
static int fail_walltime(struct error *err, const char *s, const struct failure *f)
{
    struct buf why = BUF_INIT(ERROR_TEXT_MAX);
    int start = (int)f->start, end = (int)f->end;
    switch (f->what) {
    case BAD_EMPTY:
        buf_puts(&why, "Empty");
        break;
    case BAD_NO_NUMBER:
        buf_printf(&why, "NumberExpected(%d)", start);
        break;
    case BAD_CHARACTER:
        buf_printf(&why, "InvalidCharacter(%d)", start);
        break;
    case BAD_UNIT:
        buf_printf(&why,
                   "UnknownUnit { start: %d, end: %d, unit: \"%.*s\", value: %llu }",
                   start, end, (int)MIN(f->end - f->start, (size_t)256), s + f->start,
                   (unsigned long long)f->value);
        break;
    case BAD_LARGE:
        buf_puts(&why, "NumberOverflow");
        break;
    case BAD_FINE:
        buf_puts(&why, "the fraction is too fine");
        break;
    }
    error_set(err, ERR_PARSE,
              "Could not parse PBS walltime. Use either `HH:MM:SS` or humantime format "
              "(2hours): %s",
              buf_cstr(&why));
    buf_release(&why);
    return ERR_PARSE;
}

static int fail_units(struct error *err, const char *s, const struct failure *f)
{
    switch (f->what) {
    case BAD_EMPTY:
        return error_set(err, ERR_PARSE, "value was empty");
    case BAD_NO_NUMBER:
        return error_set(err, ERR_PARSE, "expected number at %zu", f->start);
    case BAD_CHARACTER:
        return error_set(err, ERR_PARSE, "invalid character at %zu", f->start);
    case BAD_UNIT:
        if (f->start == f->end)
            return error_set(
                err, ERR_PARSE, "time unit needed, for example %llusec or %llums",
                (unsigned long long)f->value, (unsigned long long)f->value);
        return error_set(
            err, ERR_PARSE,
            "unknown time unit \"%.*s\", supported units: ns, us, ms, sec, "
            "min, hours, days, weeks, months, years (and few variations)",
            (int)MIN(f->end - f->start, (size_t)256), s + f->start);
    case BAD_LARGE:
        return error_set(err, ERR_PARSE, "number is too large");
    case BAD_FINE:
        break;
    }
    return error_set(err, ERR_PARSE, "the fraction is too fine");
}

int duration_parse_units(const char *text, uint64_t *ns, struct error *err)
{
    struct failure f;
    uint64_t value;
    if (!read_units(text, &value, &f))
        return fail_units(err, text, &f);
    *ns = value;
    return 0;
}

/* [[HH:]MM:]SS. *shaped tells whether the text has this shape at all. */
static bool read_clock(const char *s, uint64_t *ns, bool *shaped)
{
    uint64_t seconds = 0;
    bool large = false;
    *shaped = false;
    for (int part = 0; part < 3; part++) {
        uint64_t n = 0;
        if (!is_digit(*s))
            return false;
        for (; is_digit(*s) || *s == '_'; s++)
            if (*s != '_')
                large |= MUL_OVERFLOWS(n, 10, &n) ||
                         ADD_OVERFLOWS(n, (uint64_t)(*s - '0'), &n);
        large |=
            MUL_OVERFLOWS(seconds, 60, &seconds) || ADD_OVERFLOWS(seconds, n, &seconds);
        if (*s != ':')
            break;
        if (part == 2)
            return false;
        s++;
    }
    *shaped = *s == '\0';
    return *shaped && !large && !MUL_OVERFLOWS(seconds, NS_PER_S, ns);
}

int duration_parse(const char *text, uint64_t *ns, struct error *err)
{
    struct failure f;
    uint64_t value;
    bool shaped;
    if (read_clock(text, &value, &shaped)) {
        *ns = value;
        return 0;
    }
    if (shaped)
        fail(&f, BAD_LARGE, 0, 0, 0);
    if (shaped || !read_units(text, &value, &f))
        return fail_walltime(err, text, &f);
    *ns = value;
    return 0;
}

static void put_part(struct buf *out, size_t start, uint64_t n, const char *unit,
                     bool plural)
{
    if (n == 0)
        return;
    buf_printf(out, "%s%llu%s%s", out->len > start ? " " : "", (unsigned long long)n,
               unit, plural && n > 1 ? "s" : "");
}

enum finest { FINEST_MINUTE, FINEST_SECOND, FINEST_MS, FINEST_NS };

/* Parts smaller than `finest` are left out. */
static void print_parts(uint64_t ns, enum finest finest, struct buf *out)
{
    size_t start = out->len;
    uint64_t secs = ns / NS_PER_S, rest = ns % NS_PER_S;
    uint64_t of_year = secs % SECS_PER_YEAR;
    uint64_t of_month = of_year % SECS_PER_MONTH;
    uint64_t of_day = of_month % SECS_PER_DAY;
    put_part(out, start, secs / SECS_PER_YEAR, "year", true);
    put_part(out, start, of_year / SECS_PER_MONTH, "month", true);
    put_part(out, start, of_month / SECS_PER_DAY, "day", true);
    put_part(out, start, of_day / SECS_PER_HOUR, "h", false);
    put_part(out, start, of_day % SECS_PER_HOUR / SECS_PER_MIN, "m", false);
    if (finest >= FINEST_SECOND)
        put_part(out, start, of_day % SECS_PER_MIN, "s", false);
    if (finest >= FINEST_MS)
        put_part(out, start, rest / NS_PER_MS, "ms", false);
    if (finest >= FINEST_NS) {
        put_part(out, start, rest % NS_PER_MS / NS_PER_US, "us", false);
        put_part(out, start, rest % NS_PER_US, "ns", false);
    }
    if (out->len == start)
        buf_puts(out, "0s");
}

void duration_print(uint64_t ns, struct buf *out)
{
    print_parts(ns, FINEST_NS, out);
}

void duration_print_makespan(uint64_t ns, struct buf *out)
{
    enum finest finest = FINEST_MS;
    if (ns >= SECS_PER_HOUR * NS_PER_S)
        finest = FINEST_MINUTE;
    else if (ns >= SECS_PER_MIN * NS_PER_S)
        finest = FINEST_SECOND;
    print_parts(ns, finest, out);
}
