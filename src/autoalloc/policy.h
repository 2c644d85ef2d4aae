/*
 * When queues submit, and how much. Pure: time is an argument, in microseconds of any
 * clock that does not jump.
 */
#ifndef HQ_AUTOALLOC_POLICY_H
#define HQ_AUTOALLOC_POLICY_H

#include "autoalloc/book.h"

#define ALLOC_SUBMIT_FAILS_MAX 10u /* in a row, then the queue is paused */
#define ALLOC_FAILS_MAX_DEFAULT 3u
#define ALLOC_CRASH_US (60 * 1000000ULL) /* a worker that was lost so early crashed */
#define ALLOC_ERRORS_QUEUED 10u /* more failed looks, and an allocation is given up */
#define ALLOC_ERRORS_RUNNING 20u
/* So many allocations in a row without a worker, and each further one is a failure:
 * the worker does not start, and what comes behind it ends well. */
#define ALLOC_BARREN_MAX 10u
/* Workers of an allocation that runs for so long are not on their way any more. */
#define ALLOC_COMING_US (300 * 1000000ULL)

/* What the scheduler could use; gangs borrowed. */
struct alloc_demand {
    uint32_t n_workers; /* that would get tasks of one node */
    const struct gang_demand *gangs;
    size_t n_gangs;
};

/* What comes to the queue, and what it could submit now. */
struct alloc_supply {
    uint32_t *coming; /* workers on their way, by allocation; ascending, owned */
    size_t n_coming;
    uint32_t more; /* allocations that it may submit, */
    uint64_t room; /* and workers of all of them */
};
void alloc_supply(const struct alloc_queue *q, uint64_t now_us,
                  struct alloc_supply *out);
void alloc_supply_release(struct alloc_supply *s);

/*
 * Sizes of the allocations to submit to the queue now, at most `max`: none while it is
 * paused or waits after failures. First those for tasks of several nodes.
 */
size_t alloc_plan(const struct alloc_queue *q, const struct alloc_demand *d,
                  uint64_t now_us, uint32_t *sizes, size_t max);
/* How long the queue waits after failures before it submits again; 0: no longer. */
uint64_t alloc_delay_us(const struct alloc_queue *q, uint64_t now_us);

/* A round of submissions begins; how one of it ended. */
void alloc_round_began(struct alloc_queue *q, uint64_t now_us);
void alloc_submit_ended(struct alloc_queue *q, bool ok);
/* An allocation ended. */
void alloc_outcome(struct alloc_queue *q, const struct allocation *a);
/* QUEUE_ACTIVE, or the state in which it has to be paused. */
enum alloc_queue_state alloc_verdict(const struct alloc_queue *q, uint32_t fails_max);
/* A client resumed the queue: it begins anew. */
void alloc_forgive(struct alloc_queue *q);

/* What follows from a report about an allocation: the state it goes to, or its own. */
enum alloc_state alloc_after_worker_lost(const struct allocation *a);
enum alloc_state alloc_after_status(struct allocation *a, enum batch_state seen);

#endif
