#include "base/clock.h"

#include <string.h>
#include <time.h>
#include "base/duration.h"
#include "base/text.h"

/* A point in time in parts; what is not given is -1. */
struct parts {
    int year, month, day, hour, minute, second;
    unsigned micros;
    bool has_zone;
    long zone_s; /* east of Greenwich */
};

/* Exactly n digits; the number, or -1. */
static int take_digits(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        char c = (*p)[i];
        if (c < '0' || c > '9')
            return -1;
        v = v * 10 + (c - '0');
    }
    *p += n;
    return v;
}

static bool take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

/* YYYY-MM-DD */
static bool take_date(const char **p, struct parts *t)
{
    return (t->year = take_digits(p, 4)) >= 1970 && take_char(p, '-') &&
           (t->month = take_digits(p, 2)) >= 1 && t->month <= 12 && take_char(p, '-') &&
           (t->day = take_digits(p, 2)) >= 1 && t->day <= 31;
}

static bool take_fraction(const char **p, unsigned *micros)
{
    unsigned scale = 100000, digits = 0;
    for (*micros = 0; **p >= '0' && **p <= '9'; (*p)++, digits++) {
        *micros += (unsigned)(**p - '0') * scale;
        scale /= 10;
    }
    return digits > 0 && digits <= 9;
}

/* HH:MM[:SS[.fraction]] */
static bool take_time(const char **p, struct parts *t)
{
    t->second = 0;
    if ((t->hour = take_digits(p, 2)) < 0 || t->hour > 23 || !take_char(p, ':') ||
        (t->minute = take_digits(p, 2)) < 0 || t->minute > 59)
        return false;
    if (!take_char(p, ':'))
        return true;
    if ((t->second = take_digits(p, 2)) < 0 || t->second > 60)
        return false;
    return !take_char(p, '.') || take_fraction(p, &t->micros);
}

/* Z, UTC, +HH:MM or +HHMM, with a blank in front or not; nothing: local time. */
static bool take_zone(const char **p, struct parts *t)
{
    *p += strspn(*p, " ");
    t->has_zone = **p != '\0';
    if (take_char(p, 'Z') || take_char(p, 'z'))
        return true;
    if (strncmp(*p, "UTC", 3) == 0) {
        *p += 3;
        return true;
    }
    if (**p != '+' && **p != '-')
        return true;
    int sign = **p == '-' ? -1 : 1, hours, minutes;
    (*p)++;
    if ((hours = take_digits(p, 2)) < 0)
        return false;
    (void)take_char(p, ':');
    if ((minutes = take_digits(p, 2)) < 0)
        return false;
    t->zone_s = sign * (hours * 3600L + minutes * 60L);
    return true;
}

static bool parse_parts(const char *text, struct parts *t)
{
    const char *p = text;
    if (strlen(text) >= 5 && text[4] == '-') {
        if (!take_date(&p, t))
            return false;
        if (!*p) {
            t->hour = t->minute = t->second = 0;
            return true;
        }
        if (!take_char(&p, 'T') && !take_char(&p, 't') && !take_char(&p, ' '))
            return false;
    }
    return take_time(&p, t) && take_zone(&p, t) && *p == '\0';
}

static bool to_us(const struct parts *t, uint64_t now_us, uint64_t *us)
{
    time_t now = (time_t)(now_us / 1000000);
    struct tm tm;
    if (t->has_zone)
        gmtime_r(&now, &tm);
    else
        localtime_r(&now, &tm);
    if (t->year >= 0) {
        tm.tm_year = t->year - 1900;
        tm.tm_mon = t->month - 1;
        tm.tm_mday = t->day;
    }
    tm.tm_hour = t->hour;
    tm.tm_min = t->minute;
    tm.tm_sec = t->second;
    tm.tm_isdst = -1;
    int day = tm.tm_mday;
    time_t s = t->has_zone ? timegm(&tm) : mktime(&tm);
    if (tm.tm_mday != day && t->second < 60 && t->year >= 0)
        return false; /* the 31st of a month that has none */
    s -= t->zone_s;
    if (s < 0)
        return false;
    *us = (uint64_t)s * 1000000 + t->micros;
    return true;
}

int time_parse(const char *text, uint64_t now_us, uint64_t *us, struct error *err)
{
    struct parts t = {.year = -1};
    uint64_t ns, seconds;
    if (*text == '@' && text_to_u64(text + 1, &seconds) &&
        seconds < UINT64_MAX / 1000000) {
        *us = seconds * 1000000;
        return 0;
    }
    if (parse_parts(text, &t) && to_us(&t, now_us, us))
        return 0;
    if (!strchr(text, ':') && !strchr(text, '-') &&
        duration_parse_units(text, &ns, NULL) == 0) {
        uint64_t ago = ns / NS_PER_US;
        *us = ago < now_us ? now_us - ago : 0;
        return 0;
    }
    return error_set(
        err, ERR_PARSE,
        "expected a time ('2026-08-03 10:00', '10:00', RFC 3339, '@SECONDS') "
        "or how long ago ('10m')");
}
