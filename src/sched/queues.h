/*
 * struct queues: the waiting tasks of a class by priority, the highest first, in pages
 * of bounded size: one more among a hundred thousand priorities moves few bytes. Queues
 * that ran empty stay until queues_get(), so that pointers to them are valid during a
 * step; pages of nothing else at both ends are skipped, and dropped then.
 */
#ifndef HQ_SCHED_QUEUES_H
#define HQ_SCHED_QUEUES_H

#include "base/vec.h"
#include "sched/ready.h"

#define QUEUES_OF_PAGE 32u

/* Waiting tasks of one class and priority. */
struct queue {
    int32_t priority;
    struct ready_set ready;
};

struct queue_page {
    uint32_t n;    /* > 0 */
    uint32_t from; /* queues before it hold no tasks */
    struct queue queues[QUEUES_OF_PAGE];
};

struct queues {
    VEC(struct queue_page *) pages;
    size_t first, last; /* pages before and behind these hold no tasks */
};

void queues_release(struct queues *l);
/* Created when missing; ends what pointers there are. */
struct queue *queues_get(struct queues *l, int32_t priority);
struct queue *queues_find(const struct queues *l, int32_t priority);
/* The first and the last queue with tasks; NULL. */
struct queue *queues_top(const struct queues *l);
struct queue *queues_lowest(const struct queues *l);
/* Call when tasks were taken out of queues. */
void queues_taken(struct queues *l);
bool queues_valid(const struct queues *l);

#define QUEUES_FOR_EACH(l, q)                                    \
    for (size_t page_ = 0; page_ < (l)->pages.len; page_++)      \
        for (struct queue *q = (l)->pages.data[page_]->queues,   \
                          *end_ = q + (l)->pages.data[page_]->n; \
             q < end_; q++)

#endif
