/*
 * Jobs and their tasks as the server shows them, gathered for printing. A view holds
 * the job's description and, when asked for, the records of its tasks; tasks without a
 * record are waiting. Tasks are visited in ascending order of their ids.
 */
#ifndef HQ_CLIENT_JOB_VIEW_H
#define HQ_CLIENT_JOB_VIEW_H

#include "base/arena.h"
#include "client/client.h"
#include "model/paths.h"

/* A group of tasks of one submit of the job. */
struct view_group {
    const struct submit *submit;
    const struct task_group *group;
    uint32_t first_slot;
};

struct job_view {
    struct job_detail detail;
    struct view_group *groups; /* ascending by first_slot */
    size_t n_groups;
    uint32_t n_slots;
    bool loaded;               /* the records of all tasks are here */
    struct task_view *records; /* ascending by slot; while visiting: those of a page */
    size_t n_records, cap_records;
    struct arena arena; /* what records point to */
    uint32_t *by_id;    /* slots ascending by task id; NULL: they are so already */
};

struct job_views {
    struct job_view *items; /* those that were found, in the order of the selector */
    size_t n, cap;
    uint32_t *missing; /* ids without a job */
    size_t n_missing, cap_missing;
};

/* Descriptions of the selected jobs (an encoded selector). */
int job_views_fetch(struct client *c, const struct buf *selector, struct job_views *v,
                    struct error *err) MUST_CHECK;
void job_views_release(struct job_views *v);
/* Records of all tasks of the job. */
int job_view_load_tasks(struct client *c, struct job_view *v,
                        struct error *err) MUST_CHECK;

/* One task of a view. */
struct task_ref {
    uint32_t id;
    uint32_t slot;
    uint32_t index; /* in its group */
    const struct view_group *group;
    const struct task_body *body;
    const struct task_view *record; /* NULL: never started, waiting */
    enum task_state state;
    const struct placement *placement; /* NULL: not asked for or unknown */
};
typedef int task_visit_fn(void *arg, const struct job_view *v,
                          const struct task_ref *task, struct error *err);
/*
 * Visits all tasks in ascending order of ids. When they are not loaded, their records
 * come page by page and are dropped again (where ids do not follow the order of the
 * submits, all of them are loaded). Each page is as it is when it comes.
 */
int job_view_visit(struct client *c, struct job_view *v, task_visit_fn *fn, void *arg,
                   struct error *err) MUST_CHECK;
/* The i-th task by id, i < n_slots; loaded. */
struct task_ref job_view_task(const struct job_view *v, uint32_t i);
/* False when the job has no task of that id. */
bool job_view_find_task(const struct job_view *v, uint32_t id, struct task_ref *t);
bool task_was_started(const struct task_ref *t);
uint64_t task_start_us(const struct task_ref *t); /* 0: none */
uint64_t task_end_us(const struct task_ref *t);
/* The error text of a failed task; empty for others. Appends. */
void task_print_error(const struct task_ref *t, struct buf *out);
/* Host names of the task's workers, one per line. Appends. */
void task_print_workers(const struct job_view *v, const struct task_ref *t,
                        struct buf *out);
/* The one log that the job's tasks write to, a file or directory; *path is malloc'ed.
 * ERR_NOT_FOUND: none, ERR_INVALID: several. */
int job_view_stream(const struct job_view *v, char **path,
                    struct error *err) MUST_CHECK;
/* Resolved paths of the task's latest run. */
int task_paths(const struct job_view *v, const struct task_ref *t,
               const char *server_uid, struct task_paths *paths,
               struct error *err) MUST_CHECK;

#endif
