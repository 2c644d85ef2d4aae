/*
 * The book of queues and allocations. alloc_apply_* are the meanings of events: the
 * running server and a replayed journal call the same ones. What else is counted here
 * (failures, workers) lives with the server and begins anew with it.
 */
#ifndef HQ_AUTOALLOC_BOOK_H
#define HQ_AUTOALLOC_BOOK_H

#include "autoalloc/batch.h"
#include "base/vec.h"

/* Ended allocations that a queue goes on to tell about; the oldest are forgotten. */
#define ALLOC_ENDED_KEPT 1000u

struct allocation {
    char *id;         /* of the batch system; owned */
    char *dir;        /* owned */
    uint32_t workers; /* asked for */
    enum alloc_state state;
    uint64_t queued_us, started_us, ended_us; /* wall clock; 0: not yet, or never */
    uint32_t n_joined;                        /* workers that came, */
    uint32_t n_left;                          /* those that went, */
    uint32_t n_crashed;  /* and those that were lost right after they came */
    uint32_t n_errors;   /* looks at it in a row that failed */
    uint64_t running_us; /* of the clock of the policy; 0: it does not run */
    uint64_t look_us;    /* look at its state then; 0: with the others */
    bool had_worker;     /* one came from it, ever */
    bool dir_noted;      /* its directory is among the inactive ones */
};

struct alloc_queue {
    uint32_t id;
    enum alloc_queue_state state;
    struct alloc_params params;
    bool has_known; /* of the last worker that came from here: */
    struct pool_set known;
    VEC(struct allocation *) allocs; /* in the order of submission */
    size_t n_ended;
    /* The limiter. */
    uint32_t level;        /* of the delay between rounds */
    uint32_t submit_fails; /* in a row */
    uint32_t alloc_fails;  /* in a row */
    uint32_t barren; /* allocations in a row that ended well, and without a worker */
    bool any_round;
    uint64_t round_us; /* the last one began */
    /* Of the running server. */
    /* Sizes of a round of submissions that are not made yet; borrowed from it. */
    const uint32_t *asked;
    size_t n_asked;   /* 0: no round is under way */
    bool removing;    /* its allocations are being cancelled */
    uint32_t n_dirs;  /* numbers given to directories */
    char *last_error; /* of the last submission, when it failed; owned */
    uint32_t looks;   /* questions to the batch system that are not answered */
};

struct alloc_book {
    VEC(struct alloc_queue *) queues; /* ascending by id */
    uint32_t last_queue;              /* highest id ever given */
};

void alloc_book_release(struct alloc_book *b);
struct alloc_queue *alloc_book_queue(const struct alloc_book *b, uint32_t id);
/* The latest allocation of that batch system with this id; *queue as well. */
struct allocation *alloc_book_find(const struct alloc_book *b, uint8_t manager,
                                   const char *id, struct alloc_queue **queue);
struct allocation *alloc_queue_find(const struct alloc_queue *q, const char *id);
static inline bool allocation_active(const struct allocation *a)
{
    return !alloc_state_ended(a->state);
}
/* Allocations that wait in the batch system; requested workers of all active ones. */
uint32_t alloc_queue_waiting(const struct alloc_queue *q);
uint64_t alloc_queue_workers(const struct alloc_queue *q);

/* ---- events ---------------------------------------------------------------------- */

/* Takes the contents of *params; nothing happens when the id is known. */
void alloc_apply_queue(struct alloc_book *b, uint32_t id, struct alloc_params *params);
void alloc_apply_removed(struct alloc_book *b, uint32_t id);
void alloc_apply_state(struct alloc_book *b, uint32_t id, enum alloc_queue_state state);
/* These three return what they changed; NULL: unknown queue or allocation. */
struct allocation *alloc_apply_queued(struct alloc_book *b, uint32_t queue,
                                      const struct alloc_event *e, uint64_t time_us);
struct allocation *alloc_apply_started(struct alloc_book *b, uint32_t queue,
                                       const struct alloc_event *e);
struct allocation *alloc_apply_ended(struct alloc_book *b, uint32_t queue,
                                     const struct alloc_event *e);
/* A worker with this id of an allocation offers these resources. */
void alloc_apply_worker(struct alloc_book *b, uint8_t manager, const char *id,
                        const struct pool_set *pools);

#endif
