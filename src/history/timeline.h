/*
 * Values over time in bounded memory: counts that go up and down at known instants, as
 * averages over equal bins. Changes may come in any order of time. When an instant lies
 * beyond the last bin, bins are joined two by two, in all series alike.
 */
#ifndef HQ_HISTORY_TIMELINE_H
#define HQ_HISTORY_TIMELINE_H

#include "base/util.h"
#include "base/vec.h"

#define TIMELINE_BINS 2048u

struct series {
    double change[TIMELINE_BINS]; /* net, within each bin */
    double area[TIMELINE_BINS];   /* what these add to it up to its end: value x us */
};

struct timeline {
    uint64_t width_us;        /* of a bin */
    uint64_t end_us;          /* the latest instant seen */
    VEC(struct series *) all; /* owned */
};

void timeline_init(struct timeline *t);
void timeline_release(struct timeline *t);
/* A series that is 0 so far; index into `all`, SIZE_MAX: out of memory. */
size_t timeline_add(struct timeline *t);
/* From `at_us` (since the beginning) on the value is larger by `by`. */
void timeline_change(struct timeline *t, size_t series, uint64_t at_us, double by);
/* Averages over `n` (at most TIMELINE_BINS) equal parts of [0, end_us]. */
void timeline_values(const struct timeline *t, size_t series, double *values, size_t n);

#endif
