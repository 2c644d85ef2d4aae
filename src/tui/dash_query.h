/*
 * Questions to the model: counts over time for charts, and the rows of task lists.
 * Everything is as of a point in time; chunks of tasks that cannot matter are passed
 * over.
 */
#ifndef HQ_TUI_DASH_QUERY_H
#define HQ_TUI_DASH_QUERY_H

#include "tui/dash.h"

/* How a task stood. start_us, end_us: 0 when that was not yet. */
struct dash_seen {
    enum task_state state;
    uint64_t start_us, end_us;
    uint32_t worker, placement; /* 0: none, unknown */
};

/* `note` is that of `slot`, a task that was there at that time. */
struct dash_seen dash_seen(const struct dash *d, const struct dash_job *job,
                           uint32_t slot, const struct dash_note *note, uint64_t at_us);

/* Tasks of the job by state. */
void dash_counts(const struct dash *d, const struct dash_job *job, uint64_t at_us,
                 uint32_t counts[TASK_STATE_COUNT]);

/* Points in time from..to, both ends included. */
struct dash_axis {
    uint64_t from_us, to_us;
    size_t n; /* at least 2 */
};
/* Tasks by state at each point; out[state] has axis.n numbers. WAITING stays 0. */
void dash_task_series(const struct dash *d, const struct dash_job *job,
                      struct dash_axis axis, uint32_t *out[TASK_STATE_COUNT]);
void dash_worker_series(const struct dash *d, struct dash_axis axis, uint32_t *out);
/* Allocations of a queue, or of all of them (NULL); out[state]. */
void dash_alloc_series(const struct dash *d, const struct dash_queue *q,
                       struct dash_axis axis, uint32_t *out[ALLOC_STATE_COUNT]);

/* Running tasks of each worker; `counts` has a number for each of dash.workers. */
void dash_running(const struct dash *d, uint64_t at_us, uint32_t *counts);
/* Called for every task that ran on the worker then. */
void dash_running_on(const struct dash *d, uint32_t worker, uint64_t at_us,
                     void (*fn)(void *arg, const struct dash_seen *seen), void *arg);

/* ---- rows: running tasks first, the longest on top; then failed, aborted, canceled,
 * finished ones, each the latest first; then what waits --------------------------- */

struct dash_filter {
    const struct dash_job *job; /* NULL: of all jobs */
    uint32_t worker;            /* only those that it runs or ran; 0: all */
    uint64_t at_us;
};

struct dash_row {
    const struct dash_job *job;
    uint32_t slot, task;
    struct dash_seen seen;
};

struct dash_key {
    uint64_t key;
    uint32_t job, slot;
};

struct dash_rows {
    VEC(struct dash_key) keys; /* scratch */
    VEC(struct dash_row) rows; /* from the wanted offset on */
    uint64_t total;
    uint64_t counts[TASK_STATE_COUNT];
};

void dash_rows_release(struct dash_rows *r);
/* Finds up to n rows behind the first `offset`. */
void dash_rows_find(struct dash_rows *r, const struct dash *d,
                    const struct dash_filter *f, uint64_t offset, size_t n);
/* The place of a task in that order; false: it is not among them. */
bool dash_rows_rank(const struct dash *d, const struct dash_filter *f, uint32_t job,
                    uint32_t slot, uint64_t *rank);

#endif
