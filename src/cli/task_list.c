/* hq task list */
#include "cli/cmds.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "cli/job_json.h"
#include "cli/job_text.h"
#include "cli/task_select.h"

#define ERROR_BYTES_SHOWN 16

static void cell_makespan(struct table *t, const struct task_ref *task,
                          struct buf *text)
{
    uint64_t start = task_start_us(task), end = task_end_us(task);
    if (task->state == TASK_RUNNING)
        end = clock_real_us();
    if (start)
        duration_print_makespan((end > start ? end - start : 0) * NS_PER_US, text);
    table_cell(t, buf_cstr(text));
    buf_clear(text);
}

/* Whether the error had to be cut. */
static bool put_row(const struct run *r, struct table *t, const struct job_view *v,
                    const struct task_ref *task, bool with_job)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT), error = BUF_INIT(BUF_MAX_DEFAULT);
    bool cut = false;
    if (with_job)
        table_cellf(t, "%u", v->detail.info.id);
    table_cellf(t, "%u", task->id);
    table_cell_coloured(t, task_state_colour(task->state),
                        task_state_labels[task->state]);
    task_print_workers(v, task, &text);
    table_cell(t, buf_cstr(&text));
    buf_clear(&text);
    cell_makespan(t, task, &text);
    task_print_error(task, &error);
    if (args_flag(r->args, "verbose"))
        buf_puts(&text, buf_cstr(&error));
    else
        cut = print_cut(buf_cstr(&error), ERROR_BYTES_SHOWN, &text);
    table_cell_coloured(t, TABLE_RED, buf_cstr(&text));
    buf_release(&text);
    buf_release(&error);
    return cut;
}

static int print_table(struct run *r, const struct job_views *v,
                       const struct task_filter *f, struct error *err)
{
    bool with_job = v->n != 1, cut = false;
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, with_job ? 6 : 5, r->out->colour);
    table_right(&t, 0);
    if (with_job) {
        table_right(&t, 1);
        table_head(&t, "Job ID");
    }
    table_head(&t, "Task ID");
    table_head(&t, "State");
    table_head(&t, "Worker");
    table_head(&t, "Makespan");
    table_head(&t, "Error");
    for (size_t i = 0; i < v->n; i++) {
        for (uint32_t k = 0; k < v->items[i].n_slots; k++) {
            struct task_ref task = job_view_task(&v->items[i], k);
            if (task_filter_takes(f, &task))
                cut |= put_row(r, &t, &v->items[i], &task, with_job);
        }
    }
    int rc = output_table(r->out, &t, err);
    if (cut)
        log_info("An error message was truncated. Use -v to display the full error.");
    return rc;
}

static int print_json(struct run *r, const struct job_views *v,
                      const struct task_filter *f, const char *uid, struct error *err)
{
    struct json *j = output_json(r->out);
    int rc = 0;
    json_begin_object(j);
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", v->items[i].detail.info.id);
        json_key(j, key);
        json_begin_array(j);
        for (uint32_t k = 0; rc == 0 && k < v->items[i].n_slots; k++) {
            struct task_ref task = job_view_task(&v->items[i], k);
            if (task_filter_takes(f, &task))
                rc = json_task_with_paths(j, &v->items[i], &task, uid, err);
        }
        json_end_array(j);
    }
    json_end_object(j);
    output_end_json(r->out);
    return rc;
}

int task_list_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct job_views v;
    struct task_filter f;
    char *uid = NULL;
    int rc = task_filter_init(&f, r, err);
    if (rc)
        return rc;
    rc = task_views_fetch(r, &c, &v, err);
    if (rc == 0 && r->out->mode == OUTPUT_JSON)
        rc = session_server_uid(c, &uid, err);
    client_close(c);
    for (size_t i = 0; rc == 0 && i < v.n_missing; i++)
        log_warn("Job %u not found", v.missing[i]);
    job_views_sort(&v, r->out->mode);
    if (rc == 0 && r->out->mode == OUTPUT_JSON)
        rc = print_json(r, &v, &f, uid, err);
    else if (rc == 0 && r->out->mode == OUTPUT_CLI)
        rc = print_table(r, &v, &f, err);
    free(uid);
    job_views_release(&v);
    task_filter_release(&f);
    return rc;
}
