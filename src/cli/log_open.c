#include "cli/log_open.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/text.h"
#include "cli/job_view.h"
#include "cli/session.h"

#define DAMAGES_TOLD 10u

static void on_damage(void *arg, const struct outlog_damage *d)
{
    struct log_source *s = arg;
    s->damaged_bytes += d->bytes;
    if (s->n_damages++ < DAMAGES_TOLD)
        log_warn("%s: %s at offset %llu (%llu bytes)", d->path, d->what,
                 (unsigned long long)d->offset, (unsigned long long)d->bytes);
}

/* ---- the log of a job -------------------------------------------------------------
 */

/* The one stream of the job's tasks. */
static int stream_of_job(const struct job_view *v, char **path, struct error *err)
{
    const char *found = NULL;
    for (size_t i = 0; i < v->n_groups; i++) {
        const struct submit *sub = v->groups[i].submit;
        const char *stream = sub->bodies[v->groups[i].group->body].stream;
        if (!stream || (found && strcmp(found, stream) == 0))
            continue;
        if (found)
            return error_set(err, ERR_INVALID,
                             "Job %u writes into several logs: '%s', '%s'; name one",
                             v->detail.info.id, found, stream);
        found = stream;
    }
    if (!found)
        return error_set(err, ERR_NOT_FOUND, "Job %u writes into no log",
                         v->detail.info.id);
    *path = strdup(found);
    return *path ? 0 : error_nomem(err);
}

static int ask_server(const struct run *r, uint32_t *job, char **path,
                      struct error *err)
{
    struct client *c = NULL;
    struct job_views views = {0};
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = session_selector(r, "LOG", &selector, err);
    if (rc == 0)
        rc = session_open(r, &c, err);
    if (rc == 0)
        rc = job_views_fetch(c, &selector, &views, err);
    if (rc == 0 && views.n == 0)
        rc =
            error_set(err, ERR_NOT_FOUND, "Job %s not found", args_str(r->args, "LOG"));
    if (rc == 0) {
        *job = views.items[0].detail.info.id;
        rc = stream_of_job(&views.items[0], path, err);
    }
    job_views_release(&views);
    client_close(c);
    buf_release(&selector);
    return rc;
}

/* A path that exists wins over the number of a job. */
static bool names_job(const struct run *r, const char *word)
{
    struct stat st;
    uint32_t id;
    if (strncmp(args_path(r->args), "hq log", 6) != 0 || stat(word, &st) == 0)
        return false;
    return strcmp(word, "last") == 0 || text_to_u32(word, &id);
}

int log_source_open(struct log_source *s, const struct run *r, struct error *err)
{
    *s = (struct log_source){.shown = args_str(r->args, "LOG")};
    char *path = NULL;
    int rc = 0;
    if (names_job(r, s->shown)) {
        s->has_job = true;
        rc = ask_server(r, &s->job, &path, err);
    }
    if (rc == 0)
        rc = outlog_reader_open(&s->reader, path ? path : s->shown,
                                args_str(r->args, "server-uid"), err);
    free(path);
    if (rc == 0)
        outlog_reader_on_damage(s->reader, on_damage, s);
    return rc;
}

void log_source_release(struct log_source *s)
{
    if (s->n_damages > DAMAGES_TOLD)
        log_warn("%s: %llu damaged places in all, %llu bytes", s->shown,
                 (unsigned long long)s->n_damages,
                 (unsigned long long)s->damaged_bytes);
    outlog_reader_destroy(s->reader);
    s->reader = NULL;
}

/* ---- choosing runs ----------------------------------------------------------------
 */

int log_choice_read(struct log_choice *c, const struct log_source *s,
                    const struct run *r, struct error *err)
{
    const struct args *a = r->args;
    *c = (struct log_choice){.any_job = true};
    const char *name = args_declared(a, "JOB")   ? "JOB"
                       : args_declared(a, "job") ? "job"
                                                 : NULL;
    if (name && args_given(a, name)) {
        c->any_job = false;
        c->job = args_u32(a, name, 0);
    } else if (s->has_job) {
        c->any_job = false;
        c->job = s->job;
    }
    c->all_instances =
        args_declared(a, "all-instances") && args_flag(a, "all-instances");
    if (args_declared(a, "task") && args_given(a, "task")) {
        c->has_tasks = true;
        return idset_parse(&c->tasks, args_str(a, "task"), err);
    }
    return 0;
}

void log_choice_release(struct log_choice *c)
{
    idset_release(&c->tasks);
}

/* The walk over one reader: the run that was read but does not belong to the part of
 * the choice just done is kept for the next part. */
struct walk {
    const struct log_source *s;
    const struct log_choice *c;
    struct outlog_runs *it;
    log_run_fn fn;
    void *arg;
    struct outlog_run run;
    bool have; /* run is valid and not used yet */
    bool end;
};

/* Ids that are nearer than this are reached by reading on. */
#define SEEK_DISTANCE 256u

static int walk_read(struct walk *w, struct error *err)
{
    int rc = outlog_runs_next(w->it, &w->run, err);
    w->have = rc == 1;
    w->end = rc == 0;
    return rc < 0 ? rc : 0;
}

static bool is_before(const struct outlog_run *run, uint32_t job, uint32_t task)
{
    return run->job < job || (run->job == job && run->task < task);
}

/* Makes w->run the first run at or behind (job, task), or sets w->end. */
static int walk_to(struct walk *w, uint32_t job, uint32_t task, struct error *err)
{
    bool near = w->have && w->run.job == job && w->run.task <= task &&
                task - w->run.task < SEEK_DISTANCE;
    if (!near) {
        int rc = outlog_runs_seek(w->it, job, task, err);
        if (rc == 0)
            rc = walk_read(w, err);
        if (rc < 0)
            return rc;
    }
    while (w->have && is_before(&w->run, job, task)) {
        int rc = walk_read(w, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Gives all runs of the present task to fn; afterwards w->run is the next task. */
static int walk_task(struct walk *w, struct error *err)
{
    uint32_t job = w->run.job, task = w->run.task;
    while (w->have && w->run.job == job && w->run.task == task) {
        int rc = 0;
        if (w->run.newest || w->c->all_instances)
            rc = w->fn(w->arg, &w->run, err);
        if (rc == 0)
            rc = walk_read(w, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int walk_range(struct walk *w, uint32_t job, const struct idrange *range,
                      struct error *err)
{
    uint64_t id = range->first;
    uint64_t last = id + (uint64_t)(range->count - 1) * range->step;
    while (id <= last) {
        int rc = walk_to(w, job, (uint32_t)id, err);
        if (rc < 0)
            return rc;
        if (w->have && w->run.job == job && w->run.task == id) {
            rc = walk_task(w, err);
            id += range->step;
        } else if (w->c->must_exist) {
            rc = error_set(err, ERR_NOT_FOUND, "Task %llu not found",
                           (unsigned long long)id);
        } else if (w->have && w->run.job == job) {
            /* On to the first id of the range that may exist. */
            uint64_t ahead = (w->run.task - id + range->step - 1) / range->step;
            id += ahead * range->step;
        } else {
            return 0;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The chosen tasks of one job; w->run is its first run. */
static int walk_job(struct walk *w, uint32_t job, struct error *err)
{
    int rc = 0;
    if (!w->c->has_tasks) {
        while (rc == 0 && w->have && w->run.job == job)
            rc = walk_task(w, err);
        return rc;
    }
    for (size_t i = 0; i < w->c->tasks.n_ranges && rc == 0; i++)
        rc = walk_range(w, job, &w->c->tasks.ranges[i], err);
    return rc;
}

static int walk_jobs(struct walk *w, struct error *err)
{
    uint64_t job = w->c->any_job ? 0 : w->c->job;
    int rc = walk_to(w, (uint32_t)job, 0, err);
    if (rc < 0)
        return rc;
    if (!w->c->any_job) {
        if (!w->have || w->run.job != job)
            return w->c->must_exist
                       ? error_set(err, ERR_NOT_FOUND, "Job %llu not found",
                                   (unsigned long long)job)
                       : 0;
        return walk_job(w, (uint32_t)job, err);
    }
    while (w->have) {
        job = w->run.job;
        rc = walk_job(w, (uint32_t)job, err);
        if (rc < 0 || job == UINT32_MAX)
            return rc;
        if (!w->have || w->run.job <= job)
            rc = walk_to(w, (uint32_t)job + 1, 0, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int log_walk(const struct log_source *s, const struct log_choice *c, log_run_fn fn,
             void *arg, struct error *err)
{
    struct walk w = {.s = s, .c = c, .fn = fn, .arg = arg};
    int rc = outlog_runs_create(&w.it, s->reader, err);
    if (rc < 0)
        return rc;
    rc = walk_jobs(&w, err);
    outlog_runs_destroy(w.it);
    return rc;
}
