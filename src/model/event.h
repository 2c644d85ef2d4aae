/*
 * Events: the only way the server's state changes. The encoded form is what the journal
 * keeps and what event streams send. Encoding: u8 type, then the fields in the order of
 * the struct; times are microseconds since 1970 UTC.
 *
 * The task events carry many tasks each, packed (task_end_list): at most 16 bytes for
 * an ordinary end.
 */
#ifndef HQ_MODEL_EVENT_H
#define HQ_MODEL_EVENT_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "model/job.h"

enum event_type {
    EVENT_SERVER_START = 1, /* uid str, version str */
    EVENT_SERVER_STOP,      /* - */
    EVENT_WORKER_CONNECTED, /* u32 worker, worker_config, varint retract check ns */
    EVENT_WORKER_LOST,      /* u32 worker, u8 enum worker_end */
    EVENT_JOB_SUBMITTED,    /* u32 job, submit (resolved) */
    EVENT_JOB_OPENED,       /* u32 job, str name, i64 max_fails, str submit_dir */
    EVENT_JOB_CLOSED,       /* u32 job */
    EVENT_JOB_CANCELED,     /* u32 job, str reason if one was given */
    EVENT_JOB_FORGOTTEN,    /* u32 job */
    EVENT_TASKS_STARTED,    /* u32 worker, list of struct task_start */
    EVENT_TASKS_ENDED,      /* u32 worker, list of struct task_end */
    EVENT_TASKS_RESTARTED,  /* list of struct task_restart: back to waiting */
    EVENT_TASKS_CANCELED,   /* u32 job, list of slot ranges */
    EVENT_TASKS_ABORTED,    /* u32 job, list of slot ranges */
    EVENT_LOG_MARK,         /* str path, bytes ident, u64 high-water mark */
    EVENT_PLACEMENT,        /* u32 number, then a struct placement to the end */
    EVENT_WORKER_OVERVIEW,  /* u32 worker, hw_state */
    EVENT_TASKS_SENT,       /* list of struct task_sent */
    /* Automatic allocation, model/alloc.h. */
    EVENT_ALLOC_QUEUE_CREATED, /* u32 queue, alloc_params */
    EVENT_ALLOC_QUEUE_REMOVED, /* u32 queue */
    EVENT_ALLOC_QUEUE_STATE,   /* u32 queue, u8 enum alloc_queue_state */
    EVENT_ALLOC_QUEUED,        /* u32 queue, str id, varint workers, str directory */
    EVENT_ALLOC_STARTED,       /* u32 queue, str id, u64 started_us */
    EVENT_ALLOC_ENDED,         /* u32 queue, str id, u64 started_us, u64 ended_us,
                                  u8 enum alloc_state */
    EVENT_ALLOC_TRIAL,         /* str id, u8 enum batch_manager, u8 over: a trial
                                  submission was made; over: cancelled or given up */
    EVENT_TYPE_COUNT
};

/* Every event starts with this. */
struct event_head {
    uint8_t type;
    uint64_t time_us;
};
void event_begin(struct buf *out, enum event_type type, uint64_t time_us);
int event_read_head(struct cursor *c, struct event_head *h) MUST_CHECK;

struct task_start {
    uint32_t job, slot;
    uint32_t instance;
    uint8_t variant;
    uint64_t start_us;
    uint32_t placement;    /* number of it; 0: unknown */
    uint32_t n_nodes;      /* gang: number of workers, else 0 */
    const uint32_t *nodes; /* gang: worker ids, root first */
};

/* One ended task; its start may never have been reported separately. */
struct task_end {
    uint32_t job, slot;
    uint32_t instance;
    uint8_t state; /* TASK_FINISHED, TASK_FAILED; TASK_CANCELED when it was stopped */
    uint8_t variant;
    uint8_t failure; /* enum task_failure */
    bool started;    /* false: it could not be prepared (no start time, no worker) */
    bool released;   /* its allocation was freed (wire only; journal keeps it as is) */
    uint16_t exit;
    uint64_t start_us, end_us;
    uint32_t user_ms, system_ms, max_rss_kib;
    uint32_t placement;  /* as of its start; 0: unknown */
    struct span message; /* FAILURE_MESSAGE */
};

struct task_restart {
    uint32_t job, slot;
    uint32_t instance; /* of the next run */
    uint16_t crashes;
};

/* Tasks on their way to a worker. Whether they started is not known before it tells,
 * and if the server ends first it never may be: their next run needs another instance.
 */
struct task_sent {
    uint32_t job, slot, count;
    uint32_t instance;
};

/*
 * Packed lists. A writer keeps the previous element to store differences; begin with a
 * zeroed struct. Elements of the same job with ascending slots and times are smallest.
 * Several elements that differ only by consecutive slots (no-execution runs) fold into
 * one entry with a repeat count.
 */
struct task_end_writer {
    struct buf *out;
    struct task_end base; /* what the differences of `last` refer to */
    struct task_end last; /* held back: its repeat count is not known yet */
    uint32_t repeat;      /* further equal elements not yet written */
    bool any;
};
void task_end_writer_init(struct task_end_writer *w, struct buf *out);
void task_end_write(struct task_end_writer *w, const struct task_end *e);
/* `count` tasks at consecutive slots from e->slot on; no message then. */
void task_end_write_run(struct task_end_writer *w, const struct task_end *e,
                        uint32_t count);
void task_end_writer_finish(struct task_end_writer *w); /* must be called */

struct task_end_reader {
    struct cursor *c;
    struct task_end last;
};
void task_end_reader_init(struct task_end_reader *r, struct cursor *c);
/*
 * Next entry: *count (>= 1) tasks at consecutive slots from e->slot on, equal
 * otherwise. false at the end or on malformed input (c->failed). The list ends where
 * the cursor ends; give it a cursor over exactly the list.
 */
bool task_end_read(struct task_end_reader *r, struct task_end *e, uint32_t *count);

void task_start_encode(const struct task_start *s, struct buf *out);
/* nodes borrows from `scratch`, which the caller provides for gangs (may grow). */
bool task_start_decode(struct task_start *s, struct cursor *c, struct buf *scratch);
void task_restart_encode(const struct task_restart *r, struct buf *out);
bool task_restart_decode(struct task_restart *r, struct cursor *c);
void task_sent_encode(const struct task_sent *s, struct buf *out);
bool task_sent_decode(struct task_sent *s, struct cursor *c);

#endif
