#include "cli/task_select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int task_filter_init(struct task_filter *f, const struct run *r, struct error *err)
{
    const char *ids = args_str(r->args, "tasks");
    *f = (struct task_filter){.has_ids = ids != NULL,
                              .states = session_states(r, "task-status")};
    return ids ? idset_parse(&f->ids, ids, err) : 0;
}

int task_ids_check(const struct idset *ids, struct error *err)
{
    uint64_t n = idset_count(ids);
    if (n <= TASK_IDS_MAX)
        return 0;
    return error_set(err, ERR_TOO_BIG,
                     "the selector names %llu ids, at most %d are taken at once",
                     (unsigned long long)n, TASK_IDS_MAX);
}

void task_filter_release(struct task_filter *f)
{
    idset_release(&f->ids);
}

bool task_filter_takes(const struct task_filter *f, const struct task_ref *t)
{
    return (f->states & (1u << t->state)) &&
           (!f->has_ids || idset_contains(&f->ids, t->id));
}

int task_views_fetch(struct run *r, uint32_t max_tasks, struct client **c,
                     struct job_views *v, struct error *err)
{
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    *v = (struct job_views){0};
    int rc = session_open(r, c, err);
    if (rc == 0)
        rc = session_selector(r, "JOB_SELECTOR", &selector, err);
    if (rc == 0)
        rc = job_views_fetch(*c, &selector, v, err);
    for (size_t i = 0; rc == 0 && i < v->n; i++)
        if (v->items[i].n_slots <= max_tasks)
            rc = job_view_load_tasks(*c, &v->items[i], err);
    buf_release(&selector);
    return rc;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = ((const struct job_view *)a)->detail.info.id;
    uint32_t y = ((const struct job_view *)b)->detail.info.id;
    return (x > y) - (x < y);
}

static int compare_keys(const void *a, const void *b)
{
    char x[16], y[16];
    snprintf(x, sizeof x, "%u", ((const struct job_view *)a)->detail.info.id);
    snprintf(y, sizeof y, "%u", ((const struct job_view *)b)->detail.info.id);
    return strcmp(x, y);
}

void job_views_sort(struct job_views *v, enum output_mode mode)
{
    if (v->n)
        qsort(v->items, v->n, sizeof *v->items,
              mode == OUTPUT_JSON ? compare_keys : compare_ids);
}
