/*
 * struct run_list: tasks of a lane as sorted runs, priority descending, then (job,
 * slot). Neighbours merge. Taking from the head moves an offset; memory is kept for
 * reuse.
 */
#ifndef HQ_SCHED_RUNS_H
#define HQ_SCHED_RUNS_H

#include "sched/sched.h"

struct run_list {
    struct task_run *runs; /* valid ones: [head, end) */
    uint32_t head, end, cap;
    uint32_t n_tasks;
};

static inline bool run_list_empty(const struct run_list *l)
{
    return l->head == l->end;
}
static inline const struct task_run *run_list_first(const struct run_list *l)
{
    return &l->runs[l->head];
}
static inline const struct task_run *run_list_last(const struct run_list *l)
{
    return &l->runs[l->end - 1];
}
void run_list_release(struct run_list *l);
void run_list_clear(struct run_list *l);
void run_list_add(struct run_list *l, struct task_run run);
/*
 * Takes out the tasks that are there of (job, slot, count) from the first on: returns
 * how many (0: the first slot is not in the list), with *priority theirs. Stops at the
 * first slot that is missing or has another priority.
 */
uint32_t run_list_take(struct run_list *l, uint32_t job, uint32_t slot, uint32_t count,
                       int32_t *priority);
/* Moves all tasks of the job to *to. Returns how many. */
uint32_t run_list_move_job(struct run_list *l, uint32_t job, struct run_list *to);
/* Tasks with a priority below this one. */
uint32_t run_list_count_below(const struct run_list *l, int32_t priority);
/* The run with the nth task counted from the end; the first when there are fewer. Not
 * when empty. */
const struct task_run *run_list_from_end(const struct run_list *l, uint32_t n);
/* Sorted, merged, counted. */
bool run_list_valid(const struct run_list *l);

#endif
