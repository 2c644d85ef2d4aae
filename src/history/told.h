/*
 * What an event tells, task by task and in the terms of a user: ids of tasks instead of
 * slots, and what follows from other events by the rules of jobs (track.h). What this
 * struct borrows is valid during the call it is given to.
 */
#ifndef HQ_HISTORY_TOLD_H
#define HQ_HISTORY_TOLD_H

#include "model/alloc.h"
#include "model/event.h"
#include "model/hw_state.h"
#include "model/placement.h"
#include "model/spec.h"
#include "model/worker.h"

enum told_type {
    TOLD_SERVER_START,
    TOLD_SERVER_STOP,
    TOLD_WORKER_CONNECTED,
    TOLD_WORKER_LOST,
    TOLD_WORKER_OVERVIEW,
    TOLD_JOB_OPENED,
    TOLD_JOB_CREATED, /* one for each submit */
    TOLD_JOB_CLOSED,
    TOLD_JOB_CANCELED, /* it had unfinished tasks; TOLD_TASKS_CANCELED follows */
    TOLD_JOB_COMPLETED,
    TOLD_JOB_IDLE, /* an open job without unfinished tasks */
    TOLD_TASK_STARTED,
    TOLD_TASK_FINISHED,
    TOLD_TASK_FAILED,
    TOLD_TASKS_CANCELED,
    TOLD_TASKS_ABORTED,
    TOLD_TASK_NOTIFY,
    TOLD_QUEUE_CREATED,
    TOLD_QUEUE_REMOVED,
    TOLD_ALLOC_QUEUED,
    TOLD_ALLOC_STARTED,
    TOLD_ALLOC_ENDED,
    TOLD_PLACEMENT, /* no event of its own: what `placement` of later ones means */
    TOLD_TYPE_COUNT
};

struct tracked_job; /* track.h */

/* Consecutive slots of a job. */
struct told_run {
    uint32_t slot, count;
};

struct told {
    enum told_type type;
    uint64_t time_us; /* when it happened */
    uint32_t job;     /* 0: none */

    /* one task */
    uint32_t task, slot;
    uint32_t worker; /* where it runs; of the worker events: its id */
    uint32_t instance;
    uint8_t variant;
    uint32_t n_nodes; /* of a gang, else 0 */
    const uint32_t *nodes;
    uint32_t placement;             /* number; 0: unknown */
    const struct placement *placed; /* PLACEMENT */
    bool started;                   /* FINISHED, FAILED: start_us is known */
    uint64_t start_us;              /* FINISHED, FAILED */

    /* several tasks */
    const struct tracked_job *tracked;
    const struct told_run *runs;
    size_t n_runs;

    struct span text;            /* error, reason, name of a job, server uid, message */
    int64_t max_fails;           /* JOB_OPENED; -1: none */
    const struct submit *submit; /* JOB_CREATED */
    bool closed_job;             /* JOB_CREATED: not into an open job */
    uint32_t first_slot;         /* JOB_CREATED: of its first task */
    const struct worker_config *config; /* WORKER_CONNECTED */
    uint64_t retract_check_ns;          /* WORKER_CONNECTED; 0: unknown */
    const struct hw_state *load;        /* WORKER_OVERVIEW */
    uint32_t queue;                     /* QUEUE_…, ALLOC_… */
    const struct alloc_params *params;  /* QUEUE_CREATED */
    const struct alloc_event *alloc;    /* ALLOC_… */
    enum worker_end end;                /* WORKER_LOST */
};

/* A code other than 0 ends the telling. */
typedef int told_fn(void *arg, const struct told *t);

#endif
