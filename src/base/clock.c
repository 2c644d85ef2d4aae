#include "base/clock.h"

#include <time.h>

#define US_PER_S 1000000ULL

static uint64_t now_ns(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts); /* cannot fail for the clocks used here */
    return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

uint64_t clock_real_us(void)
{
    return now_ns(CLOCK_REALTIME) / 1000;
}

uint64_t clock_mono_us(void)
{
    return now_ns(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

static struct tm utc(uint64_t us)
{
    time_t s = (time_t)(us / US_PER_S);
    struct tm tm = {0};
    (void)gmtime_r(&s, &tm);
    return tm;
}

static void print_iso(const struct tm *tm, char between, struct buf *out)
{
    buf_printf(out, "%04d-%02d-%02d%c%02d:%02d:%02d", tm->tm_year + 1900,
               tm->tm_mon + 1, tm->tm_mday, between, tm->tm_hour, tm->tm_min,
               tm->tm_sec);
}

void time_print_rfc3339(uint64_t us, struct buf *out)
{
    struct tm tm = utc(us);
    unsigned fraction = (unsigned)(us % US_PER_S);
    print_iso(&tm, 'T', out);
    if (fraction % 1000)
        buf_printf(out, ".%06u", fraction);
    else if (fraction)
        buf_printf(out, ".%03u", fraction / 1000);
    buf_putc(out, 'Z');
}

void time_print_log(uint64_t us, bool with_ms, struct buf *out)
{
    struct tm tm = utc(us);
    print_iso(&tm, 'T', out);
    if (with_ms)
        buf_printf(out, ".%03u", (unsigned)(us % US_PER_S) / 1000);
    buf_putc(out, 'Z');
}

void time_print_utc(uint64_t us, struct buf *out)
{
    struct tm tm =
        utc(us / US_PER_S * US_PER_S + (us % US_PER_S >= US_PER_S / 2) * US_PER_S);
    print_iso(&tm, ' ', out);
    buf_puts(out, " UTC");
}

void time_print_local(uint64_t us, struct buf *out)
{
    time_t s = (time_t)(us / US_PER_S);
    struct tm tm = {0};
    (void)localtime_r(&s, &tm);
    buf_printf(out, "%02d.%02d.%04d %02d:%02d:%02d", tm.tm_mday, tm.tm_mon + 1,
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
