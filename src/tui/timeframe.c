#include "tui/timeframe.h"

#include <time.h>
#include "base/duration.h"
#include "tui/chart.h"

void timeframe_init(struct timeframe *w, bool stream, uint64_t last_us)
{
    *w =
        (struct timeframe){.stream = stream,
                           .live = stream,
                           .end_us = last_us,
                           .span_us = stream ? TIMEFRAME_LIVE_US : TIMEFRAME_REPLAY_US};
}

void timeframe_follow(struct timeframe *w, uint64_t latest_us)
{
    if (w->live)
        w->end_us = latest_us;
}

static bool set_span(struct timeframe *w, uint64_t span_us)
{
    span_us = MIN(MAX(span_us, TIMEFRAME_MIN_US), TIMEFRAME_MAX_US);
    if (span_us == w->span_us)
        return false;
    w->span_us = span_us;
    return true;
}

bool timeframe_key(struct timeframe *w, char key, uint64_t latest_us)
{
    uint64_t step = w->span_us / 4;
    switch (key) {
    case 'o':
        w->live = false;
        w->end_us -= MIN(step, w->end_us);
        return true;
    case 'p':
        if (w->live || w->end_us >= latest_us)
            return false;
        w->end_us = MIN(w->end_us + step, latest_us);
        return true;
    case 'k':
        return set_span(w, w->span_us / 2);
    case 'l':
        return set_span(w, w->span_us * 2);
    case 'r':
        if (!w->stream || w->live)
            return false;
        w->live = true;
        w->end_us = latest_us;
        return true;
    default:
        return false;
    }
}

/* "2026-08-03", empty for a moment that the system cannot tell. */
static void print_day(uint64_t us, char out[16])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    out[0] = 0;
    if (localtime_r(&seconds, &parts))
        (void)strftime(out, 16, "%Y-%m-%d", &parts);
}

void timeframe_print(const struct timeframe *w, struct buf *out)
{
    char first[16], last[16], time[CHART_TIME_BYTES];
    print_day(timeframe_from(w), first);
    print_day(w->end_us, last);
    buf_printf(out, "%s %s - ", first, chart_time(timeframe_from(w), false, time));
    if (strcmp(first, last) != 0)
        buf_printf(out, "%s ", last);
    buf_printf(out, "%s (", chart_time(w->end_us, false, time));
    duration_print(w->span_us * NS_PER_US, out);
    buf_putc(out, ')');
}
