/*
 * How durations are spread, in bounded memory: a histogram whose bins are 2 percent
 * wide, so that quantiles are right within 1 percent; smallest and largest are exact.
 */
#ifndef HQ_HISTORY_SPREAD_H
#define HQ_HISTORY_SPREAD_H

#include <stdint.h>

#define SPREAD_BINS 2240u /* up to 2^64 us */

struct spread {
    uint64_t n, min_us, max_us;
    double sum_us;
    uint64_t bins[SPREAD_BINS];
};

void spread_add(struct spread *s, uint64_t us);
/* q in 0 to 1; 0 when there is nothing. */
double spread_quantile(const struct spread *s, double q);

#endif
