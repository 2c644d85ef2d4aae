/* Which tasks --tasks and --task-status choose. */
#ifndef HQ_CLI_TASK_SELECT_H
#define HQ_CLI_TASK_SELECT_H

#include "client/job_view.h"
#include "cli/session.h"

struct task_filter {
    bool has_ids;
    struct idset ids;
    uint32_t states; /* bits of enum task_state */
};

int task_filter_init(struct task_filter *f, const struct run *r,
                     struct error *err) MUST_CHECK;
void task_filter_release(struct task_filter *f);
/* For commands that say something about each id: how many they take. */
#define TASK_IDS_MAX 10000000
int task_ids_check(const struct idset *ids, struct error *err) MUST_CHECK;
bool task_filter_takes(const struct task_filter *f, const struct task_ref *t);
/* The jobs of JOB_SELECTOR; those of at most `max_tasks` tasks with their tasks, the
 * others are for job_view_visit. The caller closes *c. */
int task_views_fetch(struct run *r, uint32_t max_tasks, struct client **c,
                     struct job_views *v, struct error *err) MUST_CHECK;
/* Sorts by the jobs' ids; as keys of a JSON object these stand in the order of their
 * bytes: 1, 10, 2. */
void job_views_sort(struct job_views *v, enum output_mode mode);

#endif
