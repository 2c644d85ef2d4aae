/* hq task info */
#include "cli/cmds.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/xmem.h"
#include "cli/job_json.h"
#include "cli/job_text.h"
#include "cli/placements.h"
#include "cli/task_select.h"

#define ERROR_BYTES_SHOWN 237

struct rows {
    struct table t;
    struct buf text;
};

static void put(struct rows *rows, const char *label)
{
    table_pair(&rows->t, label, buf_cstr(&rows->text));
    buf_clear(&rows->text);
}

static void put_time(struct rows *rows, const char *label, uint64_t us)
{
    if (us)
        time_print_local(us, &rows->text);
    put(rows, label);
}

static void put_run(struct rows *rows, const struct job_view *v,
                    const struct task_ref *t)
{
    uint64_t start = task_start_us(t), end = task_end_us(t);
    task_print_workers(v, t, &rows->text);
    put(rows, "Worker");
    put_time(rows, "Start", start);
    put_time(rows, "End", start ? end : 0);
    if (t->state == TASK_RUNNING)
        end = clock_real_us();
    if (start)
        duration_print_makespan((end > start ? end - start : 0) * NS_PER_US,
                                &rows->text);
    put(rows, "Makespan");
}

static int put_paths(struct rows *rows, const struct job_view *v,
                     const struct task_ref *t, const char *uid, struct error *err)
{
    struct task_paths paths = {0};
    bool started = task_was_started(t);
    int rc = started ? task_paths(v, t, uid, &paths, err) : 0;
    if (rc)
        return rc;
    table_pair(&rows->t, "Workdir", paths.cwd);
    if (started)
        print_stdio(t->body, &t->body->out, paths.out, &rows->text);
    put(rows, "Stdout");
    if (started)
        print_stdio(t->body, &t->body->err, paths.err, &rows->text);
    put(rows, "Stderr");
    task_paths_release(&paths);
    return 0;
}

/* Ids of the tasks this one waits for, as written. */
static void put_needs(struct rows *rows, const struct task_ref *t)
{
    const struct submit *s = t->group->submit;
    const struct task_group *g = t->group->group;
    bool any = false;
    for (uint32_t i = 0; i < g->n_needs; i++) {
        const struct need *n = &s->needs[g->needs + i];
        const struct task_group *other =
            n->kind == NEED_TASK ? NULL : &s->groups[n->value];
        if (any)
            buf_putc(&rows->text, ',');
        any = true;
        if (n->kind == NEED_TASK) {
            buf_printf(&rows->text, "%u", n->value);
        } else if (n->kind == NEED_EACH) {
            buf_printf(&rows->text, "%u", group_id_at(s, other, t->index));
        } else {
            struct idset ids = IDSET_INIT;
            if (group_ids(s, other, &ids) == 0)
                idset_print(&ids, &rows->text);
            idset_release(&ids);
        }
    }
    put(rows, "Dependencies");
}

/* Whether the error had to be cut. */
static bool put_error(struct rows *rows, const struct task_ref *t, bool whole)
{
    struct buf error = BUF_INIT(BUF_MAX_DEFAULT);
    bool cut = false;
    task_print_error(t, &error);
    if (whole)
        buf_puts(&rows->text, buf_cstr(&error));
    else
        cut = print_cut(buf_cstr(&error), ERROR_BYTES_SHOWN, &rows->text);
    put(rows, "Error");
    buf_release(&error);
    return cut;
}

static int print_task(struct run *r, const struct job_view *v, const struct task_ref *t,
                      const char *uid, bool *cut, struct error *err)
{
    const struct task_body *body = t->body;
    struct rows rows = {.text = BUF_INIT(BUF_MAX_DEFAULT)};
    table_init(&rows.t, TABLE_VERTICAL, 2, r->out->colour);
    table_pairf(&rows.t, "Task ID", "%u", t->id);
    table_cell(&rows.t, "State");
    table_cell_coloured(&rows.t, task_state_colour(t->state),
                        task_state_labels[t->state]);
    print_command(t->group->submit, t->group->group->argv, &rows.text);
    put(&rows, "Command");
    print_environment(body, &rows.text);
    put(&rows, "Environment");
    put_run(&rows, v, t);
    int rc = put_paths(&rows, v, t, uid, err);
    print_time_limit(body->time_limit_ns, &rows.text);
    put(&rows, "Time limit");
    print_request(&body->request, &rows.text);
    put(&rows, "Resources");
    table_pairf(&rows.t, "Priority", "%d", body->priority);
    table_pair(&rows.t, "Pin", pin_word(body->pin));
    table_pair(&rows.t, "Task dir", body->task_dir ? "yes" : "no");
    print_crash_limit(body->crash_limit, &rows.text);
    put(&rows, "Crash limit");
    put_needs(&rows, t);
    *cut |= put_error(&rows, t, args_flag(r->args, "verbose"));
    if (t->group->group->name)
        table_pair(&rows.t, "Name",
                   submit_text(t->group->submit, t->group->group->name));
    /* The contract's table on a machine where nothing was to be chosen. */
    if (t->placement &&
        (args_flag(r->args, "verbose") || placement_notable(t->placement))) {
        placement_print(t->placement, &rows.text);
        put(&rows, "Placement");
    }
    buf_release(&rows.text);
    if (rc == 0)
        return output_table(r->out, &rows.t, err);
    table_release(&rows.t);
    return rc;
}

static int print_tasks(struct run *r, const struct job_view *v, struct task_ref *tasks,
                       size_t n, const char *uid, struct error *err)
{
    bool json = r->out->mode == OUTPUT_JSON, cut = false;
    struct json *j = json ? output_json(r->out) : NULL;
    int rc = 0;
    if (json)
        json_begin_array(j);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (json)
            rc = json_task_with_paths(j, v, &tasks[i], uid, err);
        else if (r->out->mode == OUTPUT_CLI)
            rc = print_task(r, v, &tasks[i], uid, &cut, err);
    }
    if (json) {
        json_end_array(j);
        output_end_json(r->out);
    }
    if (cut)
        log_info(
            "An error message(s) was truncated. Use -v to display the full error(s).");
    return rc;
}

/* Those of the ids that are tasks of the job. */
static struct task_ref *find_tasks(const struct job_view *v, const struct idset *ids,
                                   size_t *n)
{
    struct task_ref *tasks = xcalloc(v->n_slots + 1, sizeof *tasks);
    struct idset_iter it = IDSET_ITER(ids);
    *n = 0;
    for (uint32_t id; idset_next(&it, &id);) {
        if (job_view_find_task(v, id, &tasks[*n]))
            ++*n;
        else
            log_warn("Task %u not found", id);
    }
    return tasks;
}

static int show_tasks(struct run *r, struct client *c, const struct job_view *v,
                      const struct idset *ids, const char *uid, struct error *err)
{
    struct placement *placements = NULL;
    size_t n;
    struct task_ref *tasks = find_tasks(v, ids, &n);
    uint32_t *slots = xcalloc(n + 1, sizeof *slots);
    for (size_t i = 0; i < n; i++)
        slots[i] = tasks[i].slot;
    int rc = r->out->mode == OUTPUT_QUIET
                 ? 0
                 : placements_fetch(c, v, slots, n, &placements, err);
    for (size_t i = 0; placements && i < n; i++)
        tasks[i].placement =
            task_was_started(&tasks[i]) && placement_known(&placements[i])
                ? &placements[i]
                : NULL;
    if (rc == 0)
        rc = print_tasks(r, v, tasks, n, uid, err);
    placements_free(placements, n);
    free(slots);
    free(tasks);
    return rc;
}

int task_info_run(struct run *r, struct error *err)
{
    struct idset given = IDSET_INIT, ids = IDSET_INIT;
    struct client *c = NULL;
    struct job_views v;
    char *uid = NULL;
    int rc = task_views_fetch(r, UINT32_MAX, &c, &v, err);
    if (rc == 0)
        rc = session_server_uid(c, &uid, err);
    if (rc == 0)
        rc = idset_parse(&given, args_str(r->args, "TASK_SELECTOR"), err);
    if (rc == 0)
        rc = task_ids_check(&given, err);
    if (rc == 0 && idset_sorted(&ids, &given))
        rc = error_nomem(err);
    if (rc == 0 && v.n_missing)
        log_error("Cannot find job %u", v.missing[0]);
    else if (rc == 0 && v.n == 0)
        log_error("Cannot find the last job: no job was submitted yet");
    else if (rc == 0)
        rc = show_tasks(r, c, &v.items[0], &ids, uid, err);
    client_close(c);
    idset_release(&given);
    idset_release(&ids);
    free(uid);
    job_views_release(&v);
    return rc;
}
