/*
 * What the server shows of its state: the blobs inside answers to clients. Decoded
 * structs own their text (release them); encoders borrow.
 */
#ifndef HQ_WIRE_VIEWS_H
#define HQ_WIRE_VIEWS_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "model/hw_state.h"
#include "model/job.h"
#include "model/spec.h"
#include "model/worker.h"

#define TASK_PAGE_SLOTS 4096u

struct server_info {
    char *uid, *client_host, *worker_host, *version,
        *journal_path; /* journal: or NULL */
    uint32_t client_port, worker_port, pid;
    uint64_t started_us;
};
void server_info_put(struct buf *out, const struct server_info *i);
int server_info_get(struct span span, struct server_info *i) MUST_CHECK;
void server_info_release(struct server_info *i);

/* One row of `job list`. */
struct job_info {
    uint32_t id;
    uint32_t n_tasks;
    bool open;
    char *name;
    char *cancel_reason; /* or NULL */
    struct task_counts counts;
};
void job_info_put(struct buf *out, const struct job_info *i);
/* Reads one of a list; false at its end. */
bool job_info_get(struct cursor *c, struct job_info *i);
void job_info_release(struct job_info *i);

/* A worker that ran tasks of the job. */
struct worker_name {
    uint32_t id;
    char *hostname;
};

struct job_detail {
    struct job_info info;
    int64_t max_fails;
    uint64_t submitted_us;
    uint64_t finished_us;        /* 0 while a task is waiting or running */
    struct worker_name *workers; /* ascending by id */
    size_t n_workers;
    /* One per submit, in order, resolved by the server (paths, request); without
     * entries and standard input. Slots run through their groups in this order. */
    struct submit *submits;
    size_t n_submits;
    /* Ids of tasks at submits with auto_ids are filled in. */
};
/* The encoder takes submits as already encoded spans, so that a job of a million tasks
 * is answered from what the server keeps. */
void job_detail_put(struct buf *out, const struct job_detail *d,
                    const struct span *submits);
int job_detail_get(struct span span, struct job_detail *d,
                   struct error *err) MUST_CHECK;
void job_detail_release(struct job_detail *d);

/* A page of task records: those that exist among TASK_PAGE_SLOTS slots. */
struct task_view {
    uint32_t slot;
    struct task_record record;
    struct span message;  /* error text, when RECORD_MESSAGE */
    uint32_t n_nodes;     /* gang */
    const uint8_t *nodes; /* n_nodes little-endian u32 */
};
void task_view_put(struct buf *out, const struct task_view *v);
bool task_view_get(struct cursor *c, struct task_view *v); /* borrows */

struct worker_info {
    uint32_t id;
    uint8_t end; /* enum worker_end */
    uint64_t started_us, ended_us;
    struct worker_config config;
    uint32_t assigned, running;
    bool reserved, gang, gang_root;
    bool any_started; /* the next three are valid */
    uint32_t last_job, last_task;
    uint64_t last_us;
    struct hw_state load; /* the last report of it; time_us is 0 without one */
};
void worker_info_put(struct buf *out, const struct worker_info *i);
int worker_info_get(struct span span, struct worker_info *i) MUST_CHECK;
void worker_info_release(struct worker_info *i);

#endif
