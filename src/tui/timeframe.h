/* struct timeframe: the stretch of time that the screens show. Its end is the moment as
 * of which lists are. */
#ifndef HQ_TUI_TIMEFRAME_H
#define HQ_TUI_TIMEFRAME_H

#include "base/buf.h"

#define TIMEFRAME_LIVE_US (600ull * 1000000)
#define TIMEFRAME_REPLAY_US (300ull * 1000000)
#define TIMEFRAME_MIN_US (60ull * 1000000)
#define TIMEFRAME_MAX_US (7ull * 24 * 3600 * 1000000)

struct timeframe {
    bool stream; /* else a replay */
    bool live;   /* the end moves on with time */
    uint64_t end_us, span_us;
};

void timeframe_init(struct timeframe *w, bool stream, uint64_t last_us);
/* The last moment there is: `now` in a stream, the last event of a replay. Moves the
 * end of a live window there. */
void timeframe_follow(struct timeframe *w, uint64_t latest_us);

/* o p k l r. Forward stops at the latest moment. false: it changes nothing. */
bool timeframe_key(struct timeframe *w, char key, uint64_t latest_us);

static inline uint64_t timeframe_from(const struct timeframe *w)
{
    return w->end_us > w->span_us ? w->end_us - w->span_us : 0;
}
/* "2026-08-03 10:00:00 - 10:10:00 (10m)", local time. */
void timeframe_print(const struct timeframe *w, struct buf *out);

#endif
