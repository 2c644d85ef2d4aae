/*
 * struct ready_set: the waiting tasks of one (class, priority), as sorted, merged runs
 * of (job, slot) in leaves of bounded size under one directory. Adding and removing
 * anywhere is O(log n) plus one short move; taking from the front is O(1).
 */
#ifndef HQ_SCHED_READY_H
#define HQ_SCHED_READY_H

#include "base/util.h"

struct ready_run {
    uint32_t job, slot, count;
};

struct ready_leaf;

struct ready_entry {
    uint64_t first; /* (job, slot) of the leaf's first run */
    struct ready_leaf *leaf;
};

struct ready_set {
    struct ready_entry *leaves; /* [head, end); no leaf is empty */
    uint32_t head, end, cap;
    uint64_t n_tasks;
};

void ready_set_release(struct ready_set *s);
/* The tasks must not be there yet. count > 0. */
void ready_set_add(struct ready_set *s, uint32_t job, uint32_t slot, uint32_t count);
/* The first run; not when empty. */
struct ready_run ready_set_first(const struct ready_set *s);
/* Takes up to `max` tasks of the first run; not when empty, max > 0. */
struct ready_run ready_set_pop(struct ready_set *s, uint32_t max);
/* Takes one task out; false when it is not there. */
bool ready_set_remove(struct ready_set *s, uint32_t job, uint32_t slot);
/* How many tasks come before it; false when it is not there. O(runs before it). */
bool ready_set_rank(const struct ready_set *s, uint32_t job, uint32_t slot,
                    uint64_t *rank);
/* Drops all tasks of the job; returns how many. */
uint64_t ready_set_drop_job(struct ready_set *s, uint32_t job);
bool ready_set_valid(const struct ready_set *s);

#endif
