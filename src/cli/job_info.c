/* hq job info, hq job task-ids */
#include "cli/cmds.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "cli/job_json.h"
#include "cli/job_text.h"
#include "cli/task_select.h"

#define FAILED_SHOWN 5
#define WORKERS_SHOWN 2

static uint32_t count_active(const struct job_info *info)
{
    return info->counts.n[TASK_WAITING] + info->counts.n[TASK_RUNNING];
}

/* When the job ended; an idle open job has "ended" just now. 0: it is active. */
static uint64_t end_us(const struct job_detail *d)
{
    if (count_active(&d->info))
        return 0;
    return d->info.open || !d->finished_us ? clock_real_us() : d->finished_us;
}

/* --- table -------------------------------------------------------------- */

/* A vertical table under construction, with a text that rows are written into. */
struct rows {
    struct table t;
    struct buf text;
    const struct output *out;
};

static void put(struct rows *rows, const char *label)
{
    table_pair(&rows->t, label, buf_cstr(&rows->text));
    buf_clear(&rows->text);
}

static void put_state(struct rows *rows, const struct job_info *info)
{
    static const enum task_state order[] = {TASK_RUNNING,  TASK_FAILED,  TASK_FINISHED,
                                            TASK_CANCELED, TASK_WAITING, TASK_ABORTED};
    static const enum colour colours[TASK_STATE_COUNT] = {
        [TASK_WAITING] = COLOUR_CYAN,     [TASK_RUNNING] = COLOUR_YELLOW,
        [TASK_FINISHED] = COLOUR_GREEN,   [TASK_FAILED] = COLOUR_RED,
        [TASK_CANCELED] = COLOUR_MAGENTA, [TASK_ABORTED] = COLOUR_BLUE};
    bool one = info->n_tasks == 1;
    if (!one)
        print_progress_bar(&info->counts, rows->out, &rows->text);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        enum task_state s = order[i];
        if (!info->counts.n[s])
            continue;
        buf_printf(&rows->text, "%s%s%s%s", one ? "" : "\n",
                   output_colour_on(rows->out, colours[s]), task_state_labels[s],
                   output_colour_off(rows->out));
        if (!one)
            buf_printf(&rows->text, " (%u)", info->counts.n[s]);
    }
    put(rows, "State");
}

static int put_tasks(struct rows *rows, const struct job_view *v, struct error *err)
{
    int rc = 0;
    buf_printf(&rows->text, "%u", v->detail.info.n_tasks);
    if (v->detail.n_submits) {
        buf_puts(&rows->text, "; Ids: ");
        rc = print_task_ids(v, &rows->text, err);
    }
    put(rows, "Tasks");
    return rc;
}

static void put_workers(struct rows *rows, const struct job_detail *d)
{
    for (size_t i = 0; i < d->n_workers && i < WORKERS_SHOWN; i++)
        buf_printf(&rows->text, "%s%s", i ? "," : "", d->workers[i].hostname);
    if (d->n_workers > WORKERS_SHOWN)
        buf_printf(&rows->text, ", … (%zu total)", d->n_workers);
    put(rows, "Workers");
}

static void put_stdio(struct rows *rows, const char *label,
                      const struct task_body *body, const struct stdio_spec *spec)
{
    struct buf path = BUF_INIT(BUF_MAX_DEFAULT);
    if (spec->path)
        stdio_show_path(spec->path, body->cwd, &path);
    print_stdio(body, spec, buf_cstr(&path), &rows->text);
    put(rows, label);
    buf_release(&path);
}

/* Rows of a job that one `hq submit` or [array] made. */
static void put_description(struct rows *rows, const struct submit *s)
{
    const struct task_body *body = &s->bodies[0];
    print_request(&body->request, &rows->text);
    put(rows, "Resources");
    table_pair(&rows->t, "Pin", pin_word(body->pin));
    table_pairf(&rows->t, "Priority", "%d", body->priority);
    print_command(s, submit_array_argv(s), &rows->text);
    put(rows, "Command");
    put_stdio(rows, "Stdout", body, &body->out);
    put_stdio(rows, "Stderr", body, &body->err);
    print_environment(body, &rows->text);
    put(rows, "Environment");
    table_pair(&rows->t, "Working directory", body->cwd ? body->cwd : s->submit_dir);
    print_time_limit(body->time_limit_ns, &rows->text);
    put(rows, "Task time limit");
    print_crash_limit(body->crash_limit, &rows->text);
    put(rows, "Crash limit");
}

static void put_times(struct rows *rows, const struct job_detail *d)
{
    uint64_t end = end_us(d), now = clock_real_us();
    time_print_utc(d->submitted_us, &rows->text);
    put(rows, "Submission date");
    if (d->n_submits == 1)
        table_pair(&rows->t, "Submission directory", d->submits[0].submit_dir);
    end = end ? end : now;
    duration_print_makespan(
        (end > d->submitted_us ? end - d->submitted_us : 0) * NS_PER_US, &rows->text);
    put(rows, "Makespan");
}

static int print_failed(struct run *r, const struct job_view *v, struct error *err)
{
    uint32_t n = v->detail.info.counts.n[TASK_FAILED], shown = 0;
    struct table t;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    if (n == 0)
        return 0;
    table_init(&t, TABLE_HORIZONTAL, 3, r->out->colour);
    table_head(&t, "Task ID");
    table_head(&t, "Worker");
    table_head(&t, "Error");
    for (uint32_t i = 0; i < v->n_slots && shown < FAILED_SHOWN; i++) {
        struct task_ref task = job_view_task(v, i);
        if (task.state != TASK_FAILED)
            continue;
        table_cellf(&t, "%u", task.id);
        task_print_workers(v, &task, &text);
        table_cell(&t, buf_cstr(&text));
        buf_clear(&text);
        task_print_error(&task, &text);
        table_cell_coloured(&t, TABLE_RED, buf_cstr(&text));
        buf_clear(&text);
        shown++;
    }
    buf_release(&text);
    int rc = output_table(r->out, &t, err);
    output_printf(r->out, "%u tasks failed.", n);
    if (shown < n)
        output_printf(r->out, " (%u shown)", shown);
    output_puts(r->out, "\n");
    return rc;
}

static int print_job(struct run *r, const struct job_view *v, struct error *err)
{
    const struct job_detail *d = &v->detail;
    struct rows rows = {.text = BUF_INIT(BUF_MAX_DEFAULT), .out = r->out};
    table_init(&rows.t, TABLE_VERTICAL, 2, r->out->colour);
    table_pairf(&rows.t, "ID", "%u", d->info.id);
    table_pair(&rows.t, "Name", d->info.name);
    put_state(&rows, &d->info);
    table_pair(&rows.t, "Cancel Reason", d->info.cancel_reason);
    table_pair(&rows.t, "Session", d->info.open ? "open" : "closed");
    int rc = put_tasks(&rows, v, err);
    put_workers(&rows, d);
    if (d->n_submits == 1 && !d->submits[0].graph && d->submits[0].n_bodies)
        put_description(&rows, &d->submits[0]);
    put_times(&rows, d);
    buf_release(&rows.text);
    if (rc) {
        table_release(&rows.t);
        return rc;
    }
    rc = output_table(r->out, &rows.t, err);
    return rc ? rc : print_failed(r, v, err);
}

/* --- JSON --------------------------------------------------------------- */

static void json_submit(struct json *j, const struct submit *s)
{
    const struct task_group none = {.argv = submit_array_argv(s)};
    json_begin_object(j);
    if (!s->graph) {
        json_key(j, "array");
        if (s->n_bodies)
            json_task_body(j, s, s->n_groups ? &s->groups[0] : &none, false);
        else
            json_null(j);
    } else {
        json_key(j, "graph");
        json_begin_array(j);
        for (size_t i = 0; i < s->n_groups; i++)
            json_task_body(j, s, &s->groups[i], true);
        json_end_array(j);
    }
    json_end_object(j);
}

static int json_tasks(struct json *j, const struct job_view *v, const char *uid,
                      struct error *err)
{
    int rc = 0;
    json_key(j, "tasks");
    json_begin_array(j);
    for (uint32_t i = 0; rc == 0 && i < v->n_slots; i++) {
        struct task_ref task = job_view_task(v, i);
        rc = json_task_with_paths(j, v, &task, uid, err);
    }
    json_end_array(j);
    return rc;
}

/* `uid`: the server's, NULL to leave the tasks out. */
static int json_job(struct json *j, const struct job_view *v, const char *uid,
                    struct error *err)
{
    const struct job_detail *d = &v->detail;
    uint64_t end = end_us(d);
    json_begin_object(j);
    if (end)
        json_time(j, "finished_at", end);
    else
        json_knull(j, "finished_at");
    json_key(j, "info");
    json_job_info(j, &d->info);
    if (d->max_fails >= 0)
        json_kint(j, "max_fails", d->max_fails);
    else
        json_knull(j, "max_fails");
    json_time(j, "started_at", d->submitted_us);
    json_key(j, "submits");
    json_begin_array(j);
    for (size_t i = 0; i < d->n_submits; i++)
        json_submit(j, &d->submits[i]);
    json_end_array(j);
    int rc = uid ? json_tasks(j, v, uid, err) : 0;
    json_end_object(j);
    return rc;
}

/* --- commands ----------------------------------------------------------- */

static int fetch(struct run *r, struct client **c, struct job_views *v,
                 struct error *err)
{
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    *v = (struct job_views){0};
    int rc = session_open(r, c, err);
    if (rc == 0)
        rc = session_selector(r, "SELECTOR", &selector, err);
    if (rc == 0)
        rc = job_views_fetch(*c, &selector, v, err);
    buf_release(&selector);
    return rc;
}

static bool needs_tasks(const struct run *r, const struct job_view *v)
{
    return r->out->mode == OUTPUT_JSON ? !args_flag(r->args, "no-tasks")
                                       : v->detail.info.counts.n[TASK_FAILED] > 0;
}

int job_info_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct job_views v;
    int rc = fetch(r, &c, &v, err);
    char *uid = NULL;
    for (size_t i = 0; rc == 0 && i < v.n_missing; i++)
        log_error("Job %u not found", v.missing[i]);
    for (size_t i = 0; rc == 0 && r->out->mode != OUTPUT_QUIET && i < v.n; i++)
        if (needs_tasks(r, &v.items[i]))
            rc = job_view_load_tasks(c, &v.items[i], err);
    if (rc == 0 && r->out->mode == OUTPUT_JSON && !args_flag(r->args, "no-tasks"))
        rc = session_server_uid(c, &uid, err);
    client_close(c);
    if (rc == 0 && r->out->mode == OUTPUT_JSON) {
        struct json *j = output_json(r->out);
        json_begin_array(j);
        for (size_t i = 0; rc == 0 && i < v.n; i++)
            rc = json_job(j, &v.items[i], uid, err);
        json_end_array(j);
        output_end_json(r->out);
    }
    for (size_t i = 0; rc == 0 && r->out->mode == OUTPUT_CLI && i < v.n; i++)
        rc = print_job(r, &v.items[i], err);
    free(uid);
    job_views_release(&v);
    return rc;
}

/* --- task-ids ----------------------------------------------------------- */

static int ids_in_states(const struct job_view *v, uint32_t states, struct idset *ids,
                         struct error *err)
{
    for (uint32_t i = 0; i < v->n_slots; i++) {
        struct task_ref t = job_view_task(v, i);
        if ((states & (1u << t.state)) && idset_add(ids, t.id, 1, 1))
            return error_nomem(err);
    }
    return 0;
}

static void print_ids(struct run *r, const struct job_view *v, bool several,
                      const struct idset *ids)
{
    if (r->out->mode == OUTPUT_JSON) {
        struct idset_iter it = IDSET_ITER(ids);
        char key[16];
        snprintf(key, sizeof key, "%u", v->detail.info.id);
        json_key(&r->out->json, key);
        json_begin_array(&r->out->json);
        for (uint32_t id; idset_next(&it, &id);)
            json_uint(&r->out->json, id);
        json_end_array(&r->out->json);
    } else if (r->out->mode == OUTPUT_CLI) {
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        idset_print(ids, &text);
        if (several)
            output_printf(r->out, "%u: %s\n", v->detail.info.id, buf_cstr(&text));
        else
            output_printf(r->out, "%s\n", buf_cstr(&text));
        buf_release(&text);
    }
}

static int print_all_ids(struct run *r, struct job_views *v, struct error *err)
{
    uint32_t states = session_states(r, "filter");
    int rc = 0;
    job_views_sort(v, r->out->mode);
    if (r->out->mode == OUTPUT_JSON)
        json_begin_object(output_json(r->out));
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        struct idset ids = IDSET_INIT;
        rc = ids_in_states(&v->items[i], states, &ids, err);
        if (rc == 0)
            print_ids(r, &v->items[i], v->n > 1, &ids);
        idset_release(&ids);
    }
    if (r->out->mode == OUTPUT_JSON) {
        json_end_object(&r->out->json);
        output_end_json(r->out);
    }
    return rc;
}

int job_task_ids_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct job_views v;
    int rc = fetch(r, &c, &v, err);
    if (rc == 0 && v.n_missing)
        rc = error_set(err, ERR_NOT_FOUND, "Error: Job Id not found");
    for (size_t i = 0; rc == 0 && args_given(r->args, "filter") && i < v.n; i++)
        rc = job_view_load_tasks(c, &v.items[i], err);
    client_close(c);
    if (rc == 0)
        rc = print_all_ids(r, &v, err);
    job_views_release(&v);
    return rc;
}
