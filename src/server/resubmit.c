/* A new job with the tasks of one that is kept, or with those in some states. */
#include "server/internal.h"

#include <stdlib.h>
#include "base/xmem.h"
#include "model/paths.h"

/* The default path of a channel holds the number of the old job: let it be made anew.
 */
static void reset_default(struct stdio_spec *s, const char *default_path)
{
    if (s->kind != STDIO_FILE || !s->path || strcmp(s->path, default_path) != 0)
        return;
    free(s->path);
    s->path = NULL;
    s->kind = STDIO_DEFAULT;
}

static void copy_body(struct task_body *to, const struct task_body *from,
                      const struct submit *spec, uint32_t job)
{
    struct path_context ctx = {.job = job, .submit_dir = spec->submit_dir};
    struct task_body defaults = {.cwd = from->cwd};
    struct task_paths paths;
    if (task_body_copy(to, from) != 0 ||
        task_paths_resolve(&defaults, &ctx, &paths) != 0)
        abort();
    reset_default(&to->out, paths.out);
    reset_default(&to->err, paths.err);
    task_paths_release(&paths);
}

/* Ids and entries of the group's tasks in these states; how many there are. */
static uint32_t pick_tasks(struct job *job, const struct job_group *g,
                           const struct submit *spec, const struct task_group *tasks,
                           uint32_t states, struct group_extra *picked)
{
    const struct group_extra *from =
        tasks->extra ? &spec->extras[tasks->extra - 1] : NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        if (!(states >> job_task_state(job, g->first_slot + i) & 1))
            continue;
        if (idset_add(&picked->ids, group_id_at(spec, tasks, i), 1, 1) != 0)
            abort();
        if (from && from->has_entries) {
            struct span entry = group_entry(from, i);
            if (group_extra_add_entry(picked, entry.p, entry.n) != 0)
                abort();
        }
        n++;
    }
    picked->has_entries = from && from->has_entries;
    return n;
}

static void copy_group(struct job *job, const struct job_group *g,
                       const struct submit *spec, const struct task_group *tasks,
                       uint32_t states, struct submit *out)
{
    struct group_extra picked;
    group_extra_init(&picked);
    uint32_t n = pick_tasks(job, g, spec, tasks, states, &picked);
    if (n == 0) {
        group_extra_release(&picked);
        return;
    }
    struct task_body body;
    struct task_group made = {.count = n, .first_id = picked.ids.ranges[0].first};
    size_t n_words;
    char **words = submit_argv(spec, tasks->argv, &n_words);
    const char *name = submit_text(spec, tasks->name);
    if (!words)
        abort();
    copy_body(&body, &spec->bodies[tasks->body], spec, job->id);
    made.body = submit_add_body(out, &body);
    made.argv = submit_add_argv(out, (const char *const *)words, n_words);
    made.name = name ? submit_add_text(out, name) : 0;
    made.extra = submit_add_extra(out, &picked) + 1;
    if (made.body == UINT32_MAX || made.argv == UINT32_MAX || made.name == UINT32_MAX ||
        made.extra == 0 || submit_add_group(out, &made) == UINT32_MAX)
        abort();
    free(words);
}

int resubmit_make(struct job *job, uint32_t states, struct submit *out,
                  struct error *err)
{
    for (size_t i = 0; i < job->n_submits; i++)
        if (job->submits[i].spec.graph || job->submits[i].spec.n_needs)
            return error_set(err, ERR_INVALID,
                             "job %u comes from a file, whose tasks may need each "
                             "other: submit the file again",
                             job->id);
    submit_init(out);
    out->name = xstrdup(job->name);
    out->max_fails = job->max_fails;
    out->submit_dir = xstrdup(job->submit_dir);
    for (size_t i = 0; i < job->n_submits; i++) {
        const struct job_submit *sub = &job->submits[i];
        for (size_t k = 0; k < sub->spec.n_groups; k++)
            copy_group(job, &job->groups[sub->first_group + k], &sub->spec,
                       &sub->spec.groups[k], states, out);
    }
    if (out->n_groups > 0)
        return 0;
    submit_release(out);
    return error_set(err, ERR_NOT_FOUND, "job %u has no tasks in these states",
                     job->id);
}
