/* Dates and times of TOML: RFC 3339, each part optional as the language allows. */
#include "conf/toml.h"

struct scan {
    const char *p, *end;
};

static bool take_char(struct scan *s, const char *any)
{
    if (s->p == s->end || !strchr(any, *s->p))
        return false;
    s->p++;
    return true;
}

/* Exactly n digits within [low, high]. */
static bool take_number(struct scan *s, int n, int low, int high, int *out)
{
    int v = 0;
    if (s->end - s->p < n)
        return false;
    for (int i = 0; i < n; i++, s->p++) {
        if (*s->p < '0' || *s->p > '9')
            return false;
        v = v * 10 + (*s->p - '0');
    }
    *out = v;
    return v >= low && v <= high;
}

static bool take_date(struct scan *s)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_number(s, 4, 0, 9999, &year) || !take_char(s, "-") ||
        !take_number(s, 2, 1, 12, &month) || !take_char(s, "-") ||
        !take_number(s, 2, 1, days[month - 1], &day))
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month != 2 || day <= 28 || leap;
}

static bool take_time(struct scan *s)
{
    int unused;
    if (!take_number(s, 2, 0, 23, &unused) || !take_char(s, ":") ||
        !take_number(s, 2, 0, 59, &unused) || !take_char(s, ":") ||
        !take_number(s, 2, 0, 60, &unused))
        return false;
    if (!take_char(s, "."))
        return true;
    bool some = false;
    while (take_number(s, 1, 0, 9, &unused))
        some = true;
    return some;
}

static bool take_zone(struct scan *s)
{
    int unused;
    if (s->p == s->end || take_char(s, "Zz"))
        return true;
    return take_char(s, "+-") && take_number(s, 2, 0, 23, &unused) &&
           take_char(s, ":") && take_number(s, 2, 0, 59, &unused);
}

enum conf_kind toml_date_kind(const char *s, size_t n)
{
    struct scan scan = {s, s + n};
    bool ok;
    if (n > 2 && s[2] == ':') {
        ok = take_time(&scan);
    } else {
        ok = take_date(&scan);
        if (ok && take_char(&scan, "Tt "))
            ok = take_time(&scan) && take_zone(&scan);
    }
    return ok && scan.p == scan.end ? CONF_DATE : CONF_NULL;
}
