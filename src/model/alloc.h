/*
 * Automatic allocation as data: what a queue was told to submit, the states of queues
 * and allocations, and the events about them. The policy is in `autoalloc`.
 */
#ifndef HQ_MODEL_ALLOC_H
#define HQ_MODEL_ALLOC_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "model/resource.h"
#include "model/worker.h"

#define ALLOC_WORDS_MAX 4096u /* arguments of one queue */
#define ALLOC_TEXT_MAX 65536u /* bytes of a name, a command, an argument */
#define ALLOC_ID_MAX 255u     /* bytes of an id that a batch system gives */
#define ALLOC_BACKLOG_MAX 10000u
#define ALLOC_WORKERS_MAX 1000000u /* of one allocation */

struct alloc_words {
    char **v; /* owned */
    size_t n;
};

struct alloc_params {
    uint8_t manager; /* MANAGER_PBS or MANAGER_SLURM */
    char *name;      /* NULL: none */
    uint64_t time_limit_ns;
    uint64_t worker_limit_ns;       /* of the workers; 0: that of the allocation */
    uint32_t backlog;               /* allocations that wait at a time, at least 1 */
    uint32_t max_workers_per_alloc; /* nodes of one, at least 1 */
    uint32_t max_worker_count;      /* of the queue; 0: no limit */
    struct alloc_words additional_args; /* for the directive of the script */
    struct alloc_words worker_args;     /* words of the worker's command line, quoted */
    char *worker_start_cmd, *worker_stop_cmd, *worker_wrap_cmd; /* NULL: none */
    uint64_t idle_timeout_ns; /* 0: not given; DURATION_ZERO_NS: 0 */
    double min_utilization;
    bool mpi_worker;       /* workers are ranks of hq-mpi-worker */
    bool has_pools;        /* resources were given on the command line: */
    struct pool_set pools; /* in the order given, without couplings */
};

void alloc_params_init(struct alloc_params *p);
void alloc_params_release(struct alloc_params *p);
int alloc_words_add(struct alloc_words *w, const char *word) MUST_CHECK;
void alloc_params_encode(const struct alloc_params *p, struct buf *out);
/* Also checks the bounds above; leaves *p empty on failure. */
int alloc_params_decode(struct alloc_params *p, struct cursor *c) MUST_CHECK;

enum alloc_queue_state {
    QUEUE_ACTIVE,
    QUEUE_PAUSED,             /* by a client */
    QUEUE_PAUSED_SUBMISSIONS, /* too many submissions failed */
    QUEUE_PAUSED_ALLOCATIONS, /* too many allocations failed */
    QUEUE_STATE_COUNT
};

enum alloc_state {
    ALLOC_QUEUED,
    ALLOC_RUNNING,
    ALLOC_FINISHED,
    ALLOC_FAILED,
    ALLOC_STATE_COUNT
};
extern const char *const alloc_state_labels[ALLOC_STATE_COUNT]; /* "QUEUED", … */
extern const char *const alloc_state_words[ALLOC_STATE_COUNT];  /* "queued", … */

static inline bool alloc_state_ended(enum alloc_state s)
{
    return s == ALLOC_FINISHED || s == ALLOC_FAILED;
}

/* Tasks that wait for so many nodes each. */
struct gang_demand {
    uint32_t n_nodes;
    uint64_t n_tasks;
};

/*
 * What an event about one allocation says, behind the number of its queue (u32). The
 * strings borrow. Encoding: str id, then what the type has (event.h), in this order.
 */
struct alloc_event {
    struct span id;
    uint32_t workers;    /* EVENT_ALLOC_QUEUED: asked for */
    struct span dir;     /* EVENT_ALLOC_QUEUED: its directory */
    uint64_t started_us; /* STARTED; ENDED: 0 when it never ran */
    uint64_t ended_us;   /* ENDED */
    uint8_t state;       /* ENDED: ALLOC_FINISHED or ALLOC_FAILED */
};
void alloc_queued_encode(const struct alloc_event *e, struct buf *out);
void alloc_started_encode(const struct alloc_event *e, struct buf *out);
void alloc_ended_encode(const struct alloc_event *e, struct buf *out);
/* false on malformed input. */
bool alloc_queued_decode(struct alloc_event *e, struct cursor *c);
bool alloc_started_decode(struct alloc_event *e, struct cursor *c);
bool alloc_ended_decode(struct alloc_event *e, struct cursor *c);

#endif
