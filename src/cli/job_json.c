#include "cli/job_json.h"

#include <stdlib.h>
#include "cli/job_text.h"
#include "cli/placements.h"
#include "history/raw_json.h"

#define PIPE_WORD "<pipe>"

void json_job_info(struct json *j, const struct job_info *info)
{
    const uint32_t *n = info->counts.n;
    json_begin_object(j);
    json_kstr(j, "cancel_reason", info->cancel_reason);
    json_kuint(j, "id", info->id);
    json_kbool(j, "is_open", info->open);
    json_kstr(j, "name", info->name);
    json_kuint(j, "task_count", info->n_tasks);
    json_key(j, "task_stats");
    json_begin_object(j);
    json_kuint(j, "aborted", n[TASK_ABORTED]);
    json_kuint(j, "canceled", n[TASK_CANCELED]);
    json_kuint(j, "failed", n[TASK_FAILED]);
    json_kuint(j, "finished", n[TASK_FINISHED]);
    json_kuint(j, "running", n[TASK_RUNNING]);
    json_kuint(j, "waiting", n[TASK_WAITING]);
    json_end_object(j);
    json_end_object(j);
}

/* --- descriptions ------------------------------------------------------- */

static void json_entry(struct json *j, const struct request_entry *e)
{
    json_begin_object(j);
    json_key(j, "request");
    raw_policy(j, e);
    json_kstr(j, "resource", e->name);
    json_end_object(j);
}

void json_request(struct json *j, const struct request *r)
{
    json_begin_array(j);
    for (size_t i = 0; i < r->n_variants; i++) {
        const struct request_variant *v = &r->variants[i];
        json_begin_object(j);
        json_seconds(j, "min_time", v->min_time_ns);
        json_kuint(j, "n_nodes", v->n_nodes);
        json_key(j, "resources");
        json_begin_array(j);
        for (size_t k = 0; k < v->n_entries; k++)
            json_entry(j, &v->entries[k]);
        json_end_array(j);
        json_kuint(j, "weight", v->weight);
        json_end_object(j);
    }
    json_end_array(j);
}

void json_crash_limit(struct json *j, uint32_t limit)
{
    if (limit == CRASH_LIMIT_NEVER_RESTART)
        json_str(j, "never-restart");
    else if (limit == CRASH_LIMIT_UNLIMITED)
        json_str(j, "unlimited");
    else
        json_uint(j, limit);
}

static void json_stdio(struct json *j, const char *key, const struct task_body *body,
                       const struct stdio_spec *spec, const char *path)
{
    switch (stdio_effective(body, spec)) {
    case STDIO_NONE:
        json_knull(j, key);
        break;
    case STDIO_STREAM:
        json_kstr(j, key, PIPE_WORD);
        break;
    case STDIO_DEFAULT:
    case STDIO_FILE:
        json_kstr(j, key, path);
        break;
    }
}

/* Paths of graphs are shown as they were written. */
static void json_channel(struct json *j, const char *key, const struct submit *s,
                         const struct task_body *body, const struct stdio_spec *spec)
{
    struct buf path = BUF_INIT(BUF_MAX_DEFAULT);
    if (spec->path)
        stdio_show_path(spec->path, s->graph ? NULL : body->cwd, &path);
    json_stdio(j, key, body, spec, buf_cstr(&path));
    buf_release(&path);
}

static void json_program(struct json *j, const struct submit *s,
                         const struct task_group *g, const struct task_body *body)
{
    size_t n;
    char **argv = submit_argv(s, g->argv, &n);
    json_begin_object(j);
    json_key(j, "args");
    json_begin_array(j);
    for (size_t i = 0; argv && i < n; i++)
        json_str(j, argv[i]);
    json_end_array(j);
    free(argv);
    json_kstr(j, "cwd", body->cwd ? body->cwd : s->submit_dir);
    json_key(j, "env");
    json_begin_object(j);
    for (size_t i = 0; i < body->n_env; i++)
        json_kstr(j, body->env[i].key, body->env[i].value);
    json_end_object(j);
    json_channel(j, "stderr", s, body, &body->err);
    json_channel(j, "stdout", s, body, &body->out);
    json_end_object(j);
}

/* "id" of a single task, "ids" of a group as --array takes them. */
static void json_group_ids(struct json *j, const struct submit *s,
                           const struct task_group *g)
{
    struct idset ids = IDSET_INIT;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    if (g->count == 1) {
        json_kuint(j, "id", group_id_at(s, g, 0));
    } else if (group_ids(s, g, &ids) == 0) {
        idset_print(&ids, &text);
        json_kstr(j, "ids", buf_cstr(&text));
    }
    buf_release(&text);
    idset_release(&ids);
}

void json_task_body(struct json *j, const struct submit *s, const struct task_group *g,
                    bool graph)
{
    static const char *const pins[] = {
        [PIN_TASKSET] = "taskset", [PIN_OMP] = "openmp", [PIN_OFF] = NULL};
    const struct task_body *body = &s->bodies[g->body];
    json_begin_object(j);
    json_key(j, "crash_limit");
    json_crash_limit(j, body->crash_limit);
    if (graph && g->name) { /* of a workflow */
        json_group_ids(j, s, g);
        json_kstr(j, "name", submit_text(s, g->name));
    }
    json_kstr(j, "pin_mode", pins[body->pin]);
    json_kint(j, "priority", body->priority);
    json_key(j, "program");
    json_program(j, s, g, body);
    json_key(j, "resources");
    json_request(j, &body->request);
    json_kbool(j, "task_dir", body->task_dir);
    json_seconds_or_null(j, "time_limit", body->time_limit_ns);
    json_end_object(j);
}

/* --- tasks -------------------------------------------------------------- */

static void json_worker(struct json *j, const struct task_view *r)
{
    if (r->n_nodes <= 1) {
        uint32_t id = r->n_nodes ? get_u32(r->nodes) : r->record.worker;
        if (id)
            json_kuint(j, "worker", id);
        return;
    }
    json_key(j, "workers");
    json_begin_array(j);
    for (uint32_t i = 0; i < r->n_nodes; i++)
        json_uint(j, get_u32(r->nodes + (size_t)4 * i));
    json_end_array(j);
}

void json_task(struct json *j, const struct task_ref *t, const struct task_paths *paths)
{
    bool started = task_was_started(t);
    bool timed = started && t->state != TASK_CANCELED;
    json_begin_object(j);
    if (paths)
        json_kstr(j, "cwd", paths->cwd);
    if (t->state == TASK_FAILED) {
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        task_print_error(t, &text);
        json_kstr(j, "error", buf_cstr(&text));
        buf_release(&text);
    }
    if (t->state == TASK_FINISHED || t->state == TASK_FAILED)
        json_time(j, "finished_at", task_end_us(t));
    json_kuint(j, "id", t->id);
    if (t->placement)
        placement_json(j, t->placement);
    if (timed)
        json_time(j, "started_at", task_start_us(t));
    json_kstr(j, "state", task_state_words[t->state]);
    if (paths) {
        json_stdio(j, "stderr", t->body, &t->body->err, paths->err);
        json_stdio(j, "stdout", t->body, &t->body->out, paths->out);
    }
    if (timed)
        json_worker(j, t->record);
    json_end_object(j);
}

int json_task_with_paths(struct json *j, const struct job_view *v,
                         const struct task_ref *t, const char *server_uid,
                         struct error *err)
{
    struct task_paths paths;
    if (!task_was_started(t)) {
        json_task(j, t, NULL);
        return 0;
    }
    int rc = task_paths(v, t, server_uid, &paths, err);
    if (rc)
        return rc;
    json_task(j, t, &paths);
    task_paths_release(&paths);
    return 0;
}
