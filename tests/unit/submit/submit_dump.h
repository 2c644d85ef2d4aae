/*
 * A submit as text, one line a group and one a body, what is default left out:
 *     0: build ids=0 [sh|-c|make] body=0
 *     1: sweep ids=1-4 [./run|%{T}] body=1 needs=0 axes=T(1.5,2.0),seed(1,2)
 *     body 1: expand cpus: 2 compact
 */
#ifndef HQ_TEST_SUBMIT_DUMP_H
#define HQ_TEST_SUBMIT_DUMP_H

#include <stdio.h>
#include <stdlib.h>
#include "base/duration.h"
#include "model/spec.h"

static inline void dump_extra(const struct group_extra *e, struct buf *out)
{
    char number[AXIS_NUMBER_SIZE];
    for (size_t a = 0; a < e->n_axes; a++) {
        buf_printf(out, "%s%s(", a ? "," : " axes=", e->axes[a].name);
        for (size_t i = 0; i < e->axes[a].n_values; i++)
            buf_printf(out, "%s%s", i ? "," : "", axis_value(&e->axes[a], i, number));
        buf_puts(out, ")");
    }
    for (uint32_t i = 0; i < e->n_entries; i++) {
        struct span entry = group_entry(e, i);
        buf_printf(out, "%s%.*s", i ? "|" : " entries=", (int)entry.n,
                   (const char *)entry.p);
    }
}

static inline void dump_group(const struct submit *s, size_t i, struct buf *out)
{
    static const char *const kinds[] = {
        [NEED_GROUP] = "", [NEED_EACH] = "each:", [NEED_TASK] = "task:"};
    const struct task_group *g = &s->groups[i];
    struct idset ids = IDSET_INIT;
    size_t n;
    char **argv = submit_argv(s, g->argv, &n);
    buf_printf(out, "%zu:", i);
    if (g->name)
        buf_printf(out, " %s", submit_text(s, g->name));
    if (group_ids(s, g, &ids) == 0) {
        buf_puts(out, " ids=");
        idset_print(&ids, out);
    }
    buf_puts(out, " [");
    for (size_t k = 0; argv && k < n; k++)
        buf_printf(out, "%s%s", k ? "|" : "", argv[k]);
    buf_printf(out, "] body=%u", g->body);
    for (uint32_t k = 0; k < g->n_needs; k++) {
        const struct need *need = &s->needs[g->needs + k];
        buf_printf(out, "%s%s%u", k ? "," : " needs=", kinds[need->kind], need->value);
    }
    if (g->extra)
        dump_extra(&s->extras[g->extra - 1], out);
    buf_puts(out, "\n");
    free(argv);
    idset_release(&ids);
}

static inline void dump_stdio(const char *name, const struct stdio_spec *f,
                              struct buf *out)
{
    static const char *const kinds[] = {"default", "none", "file", "stream"};
    if (f->kind == STDIO_DEFAULT && !f->rm_if_finished)
        return;
    buf_printf(out, " %s=%s%s%s%s", name, kinds[f->kind], f->path ? ":" : "",
               f->path ? f->path : "", f->rm_if_finished ? "(rm)" : "");
}

static inline void dump_request(const struct request *r, struct buf *out)
{
    for (size_t i = 0; i < r->n_variants; i++) {
        const struct request_variant *v = &r->variants[i];
        buf_puts(out, i ? " or {" : " {");
        for (size_t k = 0; k < v->n_entries; k++) {
            buf_printf(out, "%s%s: ", k ? ", " : "", v->entries[k].name);
            request_value_print(v->entries[k].policy, v->entries[k].amount, out);
        }
        if (v->n_nodes)
            buf_printf(out, " nodes=%u", v->n_nodes);
        if (v->weight != AMOUNT_ONE)
            buf_printf(out, " weight=%llu", (unsigned long long)v->weight);
        if (v->min_time_ns) {
            buf_puts(out, " time=");
            duration_print(v->min_time_ns, out);
        }
        buf_puts(out, "}");
    }
}

static inline void dump_body(const struct submit *s, size_t i, struct buf *out)
{
    static const char *const pins[] = {"", " taskset", " omp", " unpinned"};
    static const char *const binds[] = {"", " membind=off", " membind=strict"};
    static const char *const streams[] = {"", " stream=", " log="};
    const struct task_body *b = &s->bodies[i];
    buf_printf(out, "body %zu:%s%s", i, b->shell ? " shell" : "",
               b->expand_args ? " expand" : "");
    for (size_t k = 0; k < b->n_env; k++)
        buf_printf(out, " %s=%s", b->env[k].key, b->env[k].value);
    if (b->cwd)
        buf_printf(out, " cwd=%s", b->cwd);
    dump_stdio("stdout", &b->out, out);
    dump_stdio("stderr", &b->err, out);
    if (b->has_input)
        buf_printf(out, " stdin=%.*s", (int)b->n_input, (const char *)b->input);
    buf_printf(out, "%s%s%s%s", streams[b->stream_kind], b->stream ? b->stream : "",
               b->log_replace ? " log-replace" : "", b->task_dir ? " task-dir" : "");
    if (b->max_output)
        buf_printf(out, " max-output=%llu%s", (unsigned long long)b->max_output,
                   b->keep_tail ? ":tail" : "");
    if (b->max_job_output)
        buf_printf(out, " max-job-output=%llu", (unsigned long long)b->max_job_output);
    buf_printf(out, "%s%s", pins[b->pin], binds[b->membind]);
    if (b->priority)
        buf_printf(out, " priority=%d", b->priority);
    if (b->crash_limit != CRASH_LIMIT_DEFAULT)
        buf_printf(out, " crash-limit=%u", b->crash_limit);
    if (b->time_limit_ns) {
        buf_puts(out, " time-limit=");
        duration_print(b->time_limit_ns, out);
    }
    dump_request(&b->request, out);
    buf_puts(out, "\n");
}

static inline void submit_dump(const struct submit *s, struct buf *out)
{
    for (size_t i = 0; i < s->n_groups; i++)
        dump_group(s, i, out);
    for (size_t i = 0; i < s->n_bodies; i++)
        dump_body(s, i, out);
}

/* Whether the submit survives encoding and decoding without a change. */
static inline bool submit_survives(const struct submit *s)
{
    struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT), a = BUF_INIT(BUF_MAX_DEFAULT),
               b = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    struct submit copy;
    submit_encode(s, &bytes);
    struct cursor c = cursor_make(bytes.data, bytes.len);
    bool same = submit_decode(&copy, &c, &err) == 0 && cursor_left(&c) == 0;
    if (!same)
        printf("\nafter encoding %zu groups: %s\n", s->n_groups, err.text);
    if (same) {
        submit_dump(s, &a);
        submit_dump(&copy, &b);
        same = strcmp(buf_cstr(&a), buf_cstr(&b)) == 0;
        if (!same)
            printf("\n%s--- is after encoding\n%s", buf_cstr(&a), buf_cstr(&b));
        submit_release(&copy);
    }
    buf_release(&bytes);
    buf_release(&a);
    buf_release(&b);
    return same;
}

#endif
