/* hq task list */
#include "cli/cmds.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "cli/job_json.h"
#include "cli/job_text.h"
#include "cli/task_select.h"

#define ERROR_BYTES_SHOWN 16

/* Jobs of more tasks are printed page by page, in two turns: widths first. */
#define TASKS_AT_ONCE 32768u

struct lister {
    struct run *r;
    struct client *c;
    const struct task_filter *filter;
    struct table table;
    bool with_job;
    bool cut; /* an error had to be cut */
    uint64_t now_us;
    const char *uid; /* of the server */
};

static void cell_makespan(const struct lister *l, struct table *t,
                          const struct task_ref *task, struct buf *text)
{
    uint64_t start = task_start_us(task), end = task_end_us(task);
    if (task->state == TASK_RUNNING)
        end = l->now_us;
    if (start)
        duration_print_makespan((end > start ? end - start : 0) * NS_PER_US, text);
    table_cell(t, buf_cstr(text));
    buf_clear(text);
}

static int put_row(void *arg, const struct job_view *v, const struct task_ref *task,
                   struct error *err UNUSED)
{
    struct lister *l = arg;
    struct table *t = &l->table;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT), error = BUF_INIT(BUF_MAX_DEFAULT);
    if (!task_filter_takes(l->filter, task))
        return 0;
    if (l->with_job)
        table_cellf(t, "%u", v->detail.info.id);
    table_cellf(t, "%u", task->id);
    table_cell_coloured(t, task_state_colour(task->state),
                        task_state_labels[task->state]);
    task_print_workers(v, task, &text);
    table_cell(t, buf_cstr(&text));
    buf_clear(&text);
    cell_makespan(l, t, task, &text);
    task_print_error(task, &error);
    if (args_flag(l->r->args, "verbose"))
        buf_puts(&text, buf_cstr(&error));
    else
        l->cut |= print_cut(buf_cstr(&error), ERROR_BYTES_SHOWN, &text);
    table_cell_coloured(t, TABLE_RED, buf_cstr(&text));
    buf_release(&text);
    buf_release(&error);
    return 0;
}

static void begin_table(struct lister *l)
{
    struct table *t = &l->table;
    table_init(t, TABLE_HORIZONTAL, l->with_job ? 6 : 5, l->r->out->colour);
    table_right(t, 0);
    if (l->with_job) {
        table_right(t, 1);
        table_head(t, "Job ID");
    }
    table_head(t, "Task ID");
    table_head(t, "State");
    table_head(t, "Worker");
    table_head(t, "Makespan");
    table_head(t, "Error");
}

static int put_rows(struct lister *l, struct job_views *v, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < v->n && rc == 0; i++)
        rc = job_view_visit(l->c, &v->items[i], put_row, l, err);
    return rc;
}

static bool all_loaded(const struct job_views *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (!v->items[i].loaded)
            return false;
    return true;
}

/* In little memory: what is printed is not kept. */
static int print_twice(struct lister *l, struct job_views *v, struct error *err)
{
    struct output *out = l->r->out;
    table_measure(&l->table);
    int rc = put_rows(l, v, err);
    if (rc)
        return rc;
    output_flush(out);
    table_begin_print(&l->table, STDOUT_FILENO);
    rc = put_rows(l, v, err);
    int end = table_finish(&l->table, STDOUT_FILENO);
    if (end == ERR_SYSTEM && !out->sys)
        out->sys = l->table.sys;
    return rc || end != ERR_NOMEM ? rc : error_nomem(err);
}

static int print_table(struct lister *l, struct job_views *v, struct error *err)
{
    bool loaded = all_loaded(v);
    l->with_job = v->n != 1;
    begin_table(l);
    int rc = loaded ? put_rows(l, v, err) : print_twice(l, v, err);
    if (loaded && rc == 0)
        rc = output_table(l->r->out, &l->table, err);
    else
        table_release(&l->table);
    if (l->cut)
        log_info("An error message was truncated. Use -v to display the full error.");
    return rc;
}

static int put_json(void *arg, const struct job_view *v, const struct task_ref *task,
                    struct error *err)
{
    struct lister *l = arg;
    if (!task_filter_takes(l->filter, task))
        return 0;
    return json_task_with_paths(&l->r->out->json, v, task, l->uid, err);
}

static int print_json(struct lister *l, struct job_views *v, struct error *err)
{
    struct json *j = output_json(l->r->out);
    int rc = 0;
    json_begin_object(j);
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", v->items[i].detail.info.id);
        json_key(j, key);
        json_begin_array(j);
        rc = job_view_visit(l->c, &v->items[i], put_json, l, err);
        json_end_array(j);
    }
    json_end_object(j);
    output_end_json(l->r->out);
    return rc;
}

int task_list_run(struct run *r, struct error *err)
{
    struct job_views v;
    struct task_filter f;
    struct lister l = {.r = r, .filter = &f, .now_us = clock_real_us()};
    char *uid = NULL;
    int rc = task_filter_init(&f, r, err);
    if (rc)
        return rc;
    rc = task_views_fetch(r, TASKS_AT_ONCE, &l.c, &v, err);
    if (rc == 0 && r->out->mode == OUTPUT_JSON)
        rc = session_server_uid(l.c, &uid, err);
    l.uid = uid;
    for (size_t i = 0; rc == 0 && i < v.n_missing; i++)
        log_warn("Job %u not found", v.missing[i]);
    job_views_sort(&v, r->out->mode);
    if (rc == 0 && r->out->mode == OUTPUT_JSON)
        rc = print_json(&l, &v, err);
    else if (rc == 0 && r->out->mode == OUTPUT_CLI)
        rc = print_table(&l, &v, err);
    client_close(l.c);
    free(uid);
    job_views_release(&v);
    task_filter_release(&f);
    return rc;
}
