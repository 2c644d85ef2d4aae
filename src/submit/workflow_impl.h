/* Private to the workflow_*.c files: what is known while a workflow is being read. */
#ifndef HQ_SUBMIT_WORKFLOW_IMPL_H
#define HQ_SUBMIT_WORKFLOW_IMPL_H

#include "base/vec.h"
#include "submit/task_keys.h"
#include "submit/workflow.h"

/* A NEED_EACH whose sizes are compared when all groups are known. */
struct each_need {
    uint32_t group, other;
    const struct conf_node *at;
};

struct workflow {
    struct conf_doc *doc;
    const struct workflow_options *options;
    struct notices *notices; /* never NULL */
    struct submit *s;
    struct error *err;
    const struct conf_node *tasks; /* map: name -> task; task i is group i */
    struct strmap *names;          /* name -> index + 1 */
    const char **name_list;        /* NULL-ended; made for suggestions only */
    struct body_set bodies;
    struct task_keys defaults;
    uint32_t
        default_bodies[4]; /* by shell and placeholders; UINT32_MAX: not made yet */
    uint64_t n_tasks;
    VEC(struct each_need) each;
};

/* ---- workflow_tasks.c ---- */

/* Decodes the map of `defaults`; w->defaults holds the keys of the top by then. */
int workflow_read_defaults(struct workflow *w,
                           const struct conf_node *defaults) MUST_CHECK;
/* Makes the groups of all tasks, needs included. */
int workflow_read_tasks(struct workflow *w) MUST_CHECK;
/* The file at a path that was written relative to the submit directory; malloc'ed. */
char *workflow_file(const struct workflow *w, const char *path);

/* ---- workflow_axes.c ---- */

/*
 * How many tasks the keys stand for: fills count and extra of the group by matrix,
 * array, each-line, each-json or entries. *extra is initialised and released by the
 * caller; *used tells whether it holds something.
 */
int workflow_read_extent(struct workflow *w, const struct conf_node *task,
                         const struct task_keys *k, uint32_t *count,
                         struct group_extra *extra, bool *used) MUST_CHECK;
/* The values of an axis: a list of scalars or {range: …}. */
int workflow_read_axis(struct conf_doc *doc, const struct conf_node *value,
                       struct axis *axis, struct error *err) MUST_CHECK;

/* ---- workflow_needs.c ---- */

/* Adds the needs of the group added last, the task with that index. */
int workflow_read_needs(struct workflow *w, uint32_t task,
                        const struct conf_node *needs) MUST_CHECK;
/* Element-wise needs have equal sizes, and nothing waits for itself. */
int workflow_check_needs(struct workflow *w) MUST_CHECK;

/* ---- workflow_load.c ---- */

/* All of a file, "-" for standard input. ERR_SYSTEM: the error says the cause only. */
int workflow_read_file(const char *path, struct buf *text,
                       struct error *err) MUST_CHECK;

/* ---- jobfile.c ---- */

/* The tasks of a job file, of any format; *out is initialised. */
int jobfile_decode(struct conf_doc *doc, const char *submit_dir, uint32_t job,
                   struct submit *out, struct error *err) MUST_CHECK;

#endif
