/* What the server defined: classes of requests, bodies and groups of tasks. */
#include "worker/internal.h"

#include <stdlib.h>
#include "base/log.h"
#include "base/xmem.h"

static uint64_t key_of(uint32_t job, uint32_t id)
{
    return (uint64_t)job << 32 | id;
}

static void *get(const struct u64map *m, uint64_t key)
{
    uint64_t value;
    return u64map_get(m, key, &value) ? (void *)(uintptr_t)value : NULL;
}

static void put(struct u64map *m, uint64_t key, void *value)
{
    if (u64map_set(m, key, (uint64_t)(uintptr_t)value) != 0)
        abort();
}

void defs_class(struct worker *w, uint32_t id, struct span span)
{
    struct task_class *c = xcalloc(1, sizeof *c);
    struct cursor cur = cursor_make(span.p, span.n);
    c->refs = 1;
    c->id = id;
    if (get(&w->classes, id) || request_decode(&c->request, &cur) != 0) {
        log_warn("The server sent a malformed class %u", id);
        free(c);
        return;
    }
    put(&w->classes, id, c);
}

void class_unref(struct task_class *c)
{
    if (--c->refs)
        return;
    request_release(&c->request);
    free(c);
}

static void body_unref(struct body_def *b)
{
    if (--b->refs)
        return;
    task_body_release(&b->body);
    free(b->submit_dir);
    free(b);
}

void defs_body(struct worker *w, const struct msg_BODY_DEFINE *m)
{
    struct body_def *b = xcalloc(1, sizeof *b);
    struct cursor cur = cursor_make(m->task_body.p, m->task_body.n);
    if (get(&w->bodies, key_of(m->job, m->body)) ||
        task_body_decode(&b->body, &cur) != 0) {
        log_warn("The server sent a malformed body of job %u", m->job);
        free(b);
        return;
    }
    b->refs = 1;
    b->submit_dir = span_dup(m->submit_dir);
    if (!b->submit_dir)
        abort();
    put(&w->bodies, key_of(m->job, m->body), b);
}

/* Whether the text differs from task to task. */
static bool differs(const struct group_def *g, const char *text)
{
    if (!text)
        return false;
    if (placeholders_contain(text, "TASK_ID") ||
        placeholders_contain(text, "INSTANCE_ID"))
        return true;
    const struct group_extra *e = g->ids.n_extras ? &g->ids.extras[0] : NULL;
    for (size_t a = 0; e && a < e->n_axes; a++)
        if (placeholders_contain(text, e->axes[a].name))
            return true;
    return false;
}

static bool decode_argv(struct group_def *g, struct span span)
{
    struct cursor c = cursor_make(span.p, span.n);
    g->n_argv = cursor_count(&c, 1);
    size_t n = cursor_left(&c);
    if (c.failed)
        return false;
    g->argv_data = xmalloc(n + 1);
    if (n)
        memcpy(g->argv_data, c.p, n);
    g->argv_data[n] = '\0';
    g->argv = xcalloc(g->n_argv + 1, sizeof *g->argv);
    char *p = g->argv_data, *end = g->argv_data + n;
    for (size_t i = 0; i < g->n_argv; i++) {
        if (p >= end)
            return false;
        g->argv[i] = p;
        p += strlen(p) + 1;
    }
    return true;
}

/* Ids and axes as a submit of one group, so that the model's functions apply. */
static bool decode_ids(struct group_def *g, const struct msg_GROUP_DEFINE *m)
{
    submit_init(&g->ids);
    struct task_group tg = {.first_id = m->first_id, .count = m->count};
    if (m->extra.n) {
        struct cursor c = cursor_make(m->extra.p, m->extra.n);
        struct group_extra e;
        if (group_extra_decode(&e, m->count, &c) != 0)
            return false;
        tg.extra = submit_add_extra(&g->ids, &e) + 1;
    }
    return submit_add_group(&g->ids, &tg) == 0;
}

static void find_differences(struct group_def *g)
{
    const struct task_body *b = &g->body->body;
    const char *out = b->out.path ? b->out.path : STDOUT_DEFAULT_PATH;
    const char *err = b->err.path ? b->err.path : STDERR_DEFAULT_PATH;
    g->dynamic_cwd = differs(g, b->cwd);
    g->dynamic_out = stdio_effective(b, &b->out) == STDIO_FILE &&
                     (g->dynamic_cwd || differs(g, out));
    g->dynamic_err = stdio_effective(b, &b->err) == STDIO_FILE &&
                     (g->dynamic_cwd || differs(g, err));
    g->dynamic_args = b->expand_args && g->ids.n_extras && g->ids.extras[0].n_axes;
    for (size_t i = 0; b->expand_args && i < g->n_argv; i++)
        g->dynamic_args |= differs(g, g->argv[i]);
}

static void group_free(struct group_def *g)
{
    submit_release(&g->ids);
    if (g->body)
        body_unref(g->body);
    free(g->argv_data);
    free(g->argv);
    free(g->name);
    free(g);
}

void defs_group(struct worker *w, const struct msg_GROUP_DEFINE *m)
{
    struct group_def *g = xcalloc(1, sizeof *g);
    g->refs = 1;
    g->job = m->job;
    g->index = m->group;
    g->first_slot = m->first_slot;
    g->count = m->count;
    g->template_id = NO_TEMPLATE;
    g->dependants = m->dependants;
    g->body = get(&w->bodies, key_of(m->job, m->body));
    if (g->body)
        g->body->refs++;
    g->name = m->name.n ? span_dup(m->name) : NULL;
    if (get(&w->groups, key_of(m->job, m->group)) || !g->body ||
        !decode_argv(g, m->argv) || !decode_ids(g, m)) {
        log_warn("The server sent a malformed group of job %u", m->job);
        group_free(g);
        return;
    }
    find_differences(g);
    put(&w->groups, key_of(m->job, m->group), g);
}

void group_unref(struct worker *w, struct group_def *g)
{
    if (--g->refs)
        return;
    if (g->template_id != NO_TEMPLATE && w->launcher)
        launcher_template_drop(w->launcher, g->template_id);
    group_free(g);
}

struct group_def *defs_find_group(const struct worker *w, uint32_t job, uint32_t group)
{
    return get(&w->groups, key_of(job, group));
}

void defs_job(struct worker *w, uint32_t id, struct span name)
{
    struct job_def *j = xcalloc(1, sizeof *j);
    j->id = id;
    j->name = span_dup(name);
    struct job_def *old = get(&w->jobs, id);
    if (old) {
        free(old->name);
        free(old);
    }
    put(&w->jobs, id, j);
}

const char *defs_job_name(const struct worker *w, uint32_t job)
{
    const struct job_def *j = get(&w->jobs, job);
    return j && j->name ? j->name : "";
}

/* Removes the entries whose upper half is the job (all: UINT64_MAX). */
static void drop(struct worker *w, struct u64map *m, uint64_t job, bool bodies)
{
    uint64_t key, value;
    size_t pos = 0, n = 0;
    struct u64map_slot *found = xmalloc((m->n + 1) * sizeof *found);
    while (u64map_next(m, &pos, &key, &value))
        if (job == UINT64_MAX || key >> 32 == job)
            found[n++] = (struct u64map_slot){key, value};
    for (size_t i = 0; i < n; i++) {
        (void)u64map_remove(m, found[i].key);
        if (bodies)
            body_unref((struct body_def *)(uintptr_t)found[i].value);
        else
            group_unref(w, (struct group_def *)(uintptr_t)found[i].value);
    }
    free(found);
}

void defs_drop_job(struct worker *w, uint32_t id)
{
    drop(w, &w->groups, id, false);
    drop(w, &w->bodies, id, true);
    struct job_def *j = get(&w->jobs, id);
    if (j) {
        (void)u64map_remove(&w->jobs, id);
        free(j->name);
        free(j);
    }
}

void defs_reset(struct worker *w)
{
    uint64_t key, value;
    size_t pos = 0;
    drop(w, &w->groups, UINT64_MAX, false);
    drop(w, &w->bodies, UINT64_MAX, true);
    while (u64map_next(&w->jobs, &pos, &key, &value)) {
        struct job_def *j = (struct job_def *)(uintptr_t)value;
        free(j->name);
        free(j);
    }
    u64map_release(&w->jobs);
    pos = 0;
    while (u64map_next(&w->classes, &pos, &key, &value))
        class_unref((struct task_class *)(uintptr_t)value);
    u64map_release(&w->classes);
}
