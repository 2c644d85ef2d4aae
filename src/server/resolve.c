/*
 * Checks of a submit before it becomes an event, and what the server fills in: the
 * job's name, automatic task ids, placeholders that are known now.
 */
#include "server/internal.h"

#include <stdlib.h>
#include "base/xmem.h"
#include "model/paths.h"

static int check_job(struct server *s, const struct submit *spec, uint32_t id,
                     struct error *err)
{
    if (spec->job == 0)
        return 0;
    const struct job *job = state_job(&s->state, id);
    if (!job)
        return error_set(err, ERR_NOT_FOUND, "Job %u not found.", id);
    return 0;
}

static int check_open(struct server *s, const struct submit *spec, uint32_t id,
                      struct error *err)
{
    if (spec->job && !state_job(&s->state, id)->open)
        return error_set(err, ERR_INVALID, "Job %u is not opened.", id);
    return 0;
}

/* Automatic ids follow the largest one of the job. */
static int assign_ids(struct submit *spec, const struct job *job, struct error *err)
{
    if (!spec->auto_ids)
        return 0;
    uint64_t next = job ? job_next_id(job) : 0;
    for (size_t i = 0; i < spec->n_groups; i++) {
        spec->groups[i].first_id = (uint32_t)next;
        next += spec->groups[i].count;
        if (next > IDSET_ID_MAX)
            return error_set(err, ERR_TOO_BIG, "the job has no task ids left");
    }
    spec->auto_ids = false;
    return 0;
}

/* Whether two of the ranges of ids share an id; names it. */
static int by_first(const void *a, const void *b)
{
    const struct idrange *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static int check_ids(const struct submit *spec, const struct job *job,
                     struct error *err)
{
    struct idset all = IDSET_INIT;
    int rc = 0;
    for (size_t i = 0; i < spec->n_groups && rc == 0; i++)
        if (group_ids(spec, &spec->groups[i], &all) != 0)
            rc = error_nomem(err);
    if (rc == 0 && all.n_ranges)
        qsort(all.ranges, all.n_ranges, sizeof *all.ranges, by_first);
    uint32_t id;
    bool plain = true;
    for (size_t i = 0; i < all.n_ranges && rc == 0; i++) {
        const struct idrange *r = &all.ranges[i];
        plain &= r->step == 1;
        if (i > 0 && plain && r->first < r[-1].first + r[-1].count)
            rc = error_set(err, ERR_EXISTS, "Task %u is defined more than once.",
                           r->first);
    }
    if (rc == 0 && !plain && idset_overlaps(&all))
        rc = error_set(err, ERR_EXISTS, "A task is defined more than once.");
    struct idset_iter it = IDSET_ITER(&all);
    uint32_t slot;
    while (rc == 0 && job && job->n_ids && idset_next(&it, &id))
        if (job_slot_of(job, id, &slot))
            rc = error_set(err, ERR_EXISTS, "Task %u already exists in job %u.", id,
                           job->id);
    idset_release(&all);
    return rc;
}

/* NEED_TASK: a task of the job, or of an earlier group of the submit. */
static int check_needs(const struct submit *spec, const struct job *job,
                       struct error *err)
{
    struct u64map seen = U64MAP_INIT;
    int rc = 0;
    for (size_t i = 0; i < spec->n_groups && rc == 0; i++) {
        const struct task_group *g = &spec->groups[i];
        for (uint32_t k = 0; k < g->n_needs && rc == 0; k++) {
            const struct need *need = &spec->needs[g->needs + k];
            uint32_t slot;
            if (need->kind == NEED_TASK && !u64map_get(&seen, need->value, NULL) &&
                !(job && job_slot_of(job, need->value, &slot)))
                rc = error_set(err, ERR_INVALID, "Invalid dependency on %u",
                               need->value);
        }
        /* Only graphs have needs on ids, and their groups are single tasks mostly. */
        for (uint32_t t = 0; spec->n_needs && t < g->count && rc == 0; t++)
            if (u64map_set(&seen, group_id_at(spec, g, t), 1) != 0)
                rc = error_nomem(err);
    }
    u64map_release(&seen);
    return rc;
}

/* A cycle between groups: repeatedly takes away groups that need nothing. */
static int check_cycles(const struct submit *spec, struct error *err)
{
    size_t n = spec->n_groups;
    if (spec->n_needs == 0)
        return 0;
    uint32_t *waits = xcalloc(n + 1, sizeof *waits),
             *heads = xcalloc(n + 1, sizeof *heads);
    uint32_t *targets = xcalloc(spec->n_needs + 1, sizeof *targets);
    uint32_t *stack = xmalloc((n + 1) * sizeof *stack);
    for (size_t i = 0; i < spec->n_needs; i++)
        if (spec->needs[i].kind != NEED_TASK)
            heads[spec->needs[i].value + 1]++;
    for (size_t i = 0; i < n; i++)
        heads[i + 1] += heads[i];
    uint32_t *fill = xmemdup(heads, (n + 1) * sizeof *heads);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < spec->groups[i].n_needs; k++) {
            const struct need *need = &spec->needs[spec->groups[i].needs + k];
            if (need->kind == NEED_TASK)
                continue;
            targets[fill[need->value]++] = i;
            waits[i]++;
        }
    size_t depth = 0, done = 0;
    for (uint32_t i = 0; i < n; i++)
        if (waits[i] == 0)
            stack[depth++] = i;
    while (depth) {
        uint32_t i = stack[--depth];
        done++;
        for (uint32_t e = heads[i]; e < heads[i + 1]; e++)
            if (--waits[targets[e]] == 0)
                stack[depth++] = targets[e];
    }
    int rc = 0;
    for (uint32_t i = 0; i < n && done < n && rc == 0; i++)
        if (waits[i])
            rc = error_set(
                err, ERR_INVALID,
                "Error: Task %u is part of dependency cycle or has an invalid "
                "dependencies",
                spec->groups[i].first_id);
    free(waits);
    free(heads);
    free(targets);
    free(stack);
    free(fill);
    return rc;
}

static void set_path(char **path, char *resolved)
{
    if (!resolved)
        abort();
    free(*path);
    *path = resolved;
}

/* What is the same for all tasks of the job is filled in now. Bodies of graphs keep
 * their placeholders: they are shown as written. */
static void resolve_body(struct server *s, struct task_body *b,
                         const struct submit *spec, uint32_t job)
{
    struct path_context ctx = {
        .job = job, .submit_dir = spec->submit_dir, .server_uid = s->uid};
    if (b->stream_kind != STREAM_NONE)
        set_path(&b->stream, stream_path_resolve(b->stream, &ctx));
    if (b->text_view)
        set_path(&b->text_view, stream_path_resolve(b->text_view, &ctx));
    enum stdio_kind out = stdio_effective(b, &b->out),
                    err = stdio_effective(b, &b->err);
    if (!spec->graph) {
        struct task_paths paths;
        if (task_paths_resolve(b, &ctx, &paths) != 0)
            abort();
        set_path(&b->cwd, paths.cwd);
        if (paths.out)
            set_path(&b->out.path, paths.out);
        if (paths.err)
            set_path(&b->err.path, paths.err);
    } else {
        if (out == STDIO_FILE && !b->out.path)
            b->out.path = xstrdup(STDOUT_DEFAULT_PATH);
        if (err == STDIO_FILE && !b->err.path)
            b->err.path = xstrdup(STDERR_DEFAULT_PATH);
    }
    b->out.kind = (uint8_t)out;
    b->err.kind = (uint8_t)err;
}

int submit_resolve(struct server *s, struct submit *spec, uint32_t id,
                   struct error *err)
{
    int rc = check_job(s, spec, id, err);
    if (rc != 0)
        return rc;
    const struct job *job = spec->job ? state_job(&s->state, id) : NULL;
    if (spec->n_bodies > MAX(spec->n_groups, (size_t)1))
        return error_set(err, ERR_INVALID, "more bodies than groups of tasks");
    if ((job ? job->n_slots : 0) + submit_task_count(spec) > SUBMIT_TASKS_MAX)
        return error_set(err, ERR_TOO_BIG, "a job cannot have more than %u tasks",
                         SUBMIT_TASKS_MAX);
    if ((rc = assign_ids(spec, job, err)) != 0 ||
        (rc = check_ids(spec, job, err)) != 0 ||
        (rc = check_needs(spec, job, err)) != 0 ||
        (rc = check_cycles(spec, err)) != 0 || (rc = check_open(s, spec, id, err)) != 0)
        return rc;
    for (size_t i = 0; i < spec->n_bodies; i++)
        resolve_body(s, &spec->bodies[i], spec, id);
    return 0;
}
