#include "launch/record.h"

#define SPEC_HAS_CWD 1
#define SPEC_HAS_INPUT 2
#define SPEC_SESSION 4

size_t record_begin(struct buf *b, uint8_t kind)
{
    size_t start = b->len;
    buf_u32(b, 0);
    buf_u8(b, kind);
    return start;
}

void record_end(struct buf *b, size_t start)
{
    if (!b->failed)
        buf_patch_u32(b, start, (uint32_t)(b->len - start - 4));
}

static void put_strings(struct buf *b, const char *const *strings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_append(b, strings[i], strlen(strings[i]) + 1);
}

static bool has_path(uint8_t kind)
{
    return kind == LAUNCH_OUTPUT_FILE || kind == LAUNCH_OUTPUT_APPEND;
}

static void put_path(struct buf *b, const struct launch_output *o)
{
    if (has_path((uint8_t)o->kind))
        put_strings(b, &o->path, 1);
}

void spec_encode(struct buf *b, const struct launch_spec *spec)
{
    uint8_t flags = 0;
    if (spec->cwd)
        flags |= SPEC_HAS_CWD;
    if (spec->input)
        flags |= SPEC_HAS_INPUT;
    if (spec->session)
        flags |= SPEC_SESSION;
    buf_u8(b, flags);
    buf_u8(b, (uint8_t)spec->out.kind);
    buf_u8(b, (uint8_t)spec->err.kind);
    buf_varint(b, spec->n_argv);
    buf_varint(b, spec->n_env);
    buf_varint(b, spec->n_unset);
    put_strings(b, spec->argv, spec->n_argv);
    put_strings(b, spec->env, spec->n_env);
    put_strings(b, spec->unset, spec->n_unset);
    if (spec->cwd)
        put_strings(b, &spec->cwd, 1);
    put_path(b, &spec->out);
    put_path(b, &spec->err);
    if (spec->input)
        buf_bytes(b, spec->input, spec->input_size);
}

/* The first of n strings; moves behind the last. */
static const char *take_strings(struct cursor *c, size_t n)
{
    const char *first = (const char *)c->p;
    for (size_t i = 0; i < n && !c->failed; i++) {
        const uint8_t *end = memchr(c->p, 0, cursor_left(c));
        if (end)
            c->p = end + 1;
        else
            cursor_fail(c);
    }
    return first;
}

void spec_decode(struct cursor *c, struct spec_view *view)
{
    uint8_t flags = cursor_u8(c);
    memset(view, 0, sizeof *view);
    view->out_kind = cursor_u8(c);
    view->err_kind = cursor_u8(c);
    view->n_argv = cursor_count(c, 1);
    view->n_env = cursor_count(c, 1);
    view->n_unset = cursor_count(c, 1);
    view->argv = take_strings(c, view->n_argv);
    view->env = take_strings(c, view->n_env);
    view->unset = take_strings(c, view->n_unset);
    if (flags & SPEC_HAS_CWD)
        view->cwd = take_strings(c, 1);
    if (has_path(view->out_kind))
        view->out_path = take_strings(c, 1);
    if (has_path(view->err_kind))
        view->err_path = take_strings(c, 1);
    view->session = flags & SPEC_SESSION;
    view->has_input = flags & SPEC_HAS_INPUT;
    if (view->has_input)
        view->input = cursor_bytes(c);
}

void binding_encode(struct buf *b, const struct launch_binding *binding)
{
    buf_u8(b, (uint8_t)binding->memory);
    buf_u8(b, binding->must);
    buf_u8(b, binding->has_home);
    buf_u32(b, binding->home);
    buf_bytes(b, binding->cpus, binding->cpus_size);
    buf_varint(b, binding->n_nodes);
    for (size_t i = 0; i < binding->n_nodes; i++)
        buf_u64(b, binding->nodes[i]);
}

void binding_decode(struct cursor *c, struct launch_binding *binding, uint64_t *nodes)
{
    memset(binding, 0, sizeof *binding);
    binding->memory = cursor_u8(c);
    binding->must = cursor_u8(c) != 0;
    binding->has_home = cursor_u8(c) != 0;
    binding->home = cursor_u32(c);
    struct span cpus = cursor_bytes(c);
    binding->cpus = cpus.p;
    binding->cpus_size = cpus.n;
    binding->n_nodes = cursor_count(c, 8);
    binding->nodes = nodes;
    if (binding->n_nodes > LAUNCH_NODES_MAX_WORDS || cpus.n > LAUNCH_CPUS_MAX_BYTES) {
        cursor_fail(c);
        return;
    }
    for (size_t i = 0; i < binding->n_nodes; i++)
        nodes[i] = cursor_u64(c);
}

static uint8_t *add_u8(uint8_t *p, uint8_t v)
{
    *p = v;
    return p + 1;
}

static uint8_t *add_u32(uint8_t *p, uint32_t v)
{
    put_u32(p, v);
    return p + 4;
}

static uint8_t *add_u64(uint8_t *p, uint64_t v)
{
    put_u64(p, v);
    return p + 8;
}

size_t reply_encode(const struct reply *r, uint8_t to[REPLY_BYTES_MAX])
{
    const struct launch_event *e = &r->event;
    uint8_t *p = add_u8(to + 4, (uint8_t)e->kind);
    p = add_u64(p, e->handle);
    p = add_u32(p, e->slot);
    switch (e->kind) {
    case LAUNCH_STARTED:
        p = add_u32(p, (uint32_t)e->pid);
        p = add_u64(p, e->start_us);
        p = add_u32(p, r->out_pipe);
        p = add_u32(p, r->err_pipe);
        break;
    case LAUNCH_ENDED:
        p = add_u32(p, (uint32_t)e->pid);
        p = add_u64(p, e->start_us);
        p = add_u64(p, e->end_us);
        p = add_u32(p, (uint32_t)e->exit_code);
        p = add_u32(p, (uint32_t)e->term_signal);
        p = add_u64(p, e->utime_us);
        p = add_u64(p, e->stime_us);
        p = add_u64(p, e->maxrss_kib);
        break;
    case LAUNCH_FAILED:
        p = add_u64(p, e->start_us);
        p = add_u64(p, e->end_us);
        p = add_u8(p, (uint8_t)e->step);
        p = add_u32(p, (uint32_t)e->sys);
        p = add_u32(p, r->out_pipe);
        p = add_u32(p, r->err_pipe);
        break;
    case LAUNCH_RETURNED:
    case LAUNCH_KEPT:
        break;
    }
    size_t size = (size_t)(p - to);
    put_u32(to, (uint32_t)(size - 4));
    return size;
}

void reply_decode(struct cursor *c, uint8_t kind, struct reply *r)
{
    struct launch_event *e = &r->event;
    memset(r, 0, sizeof *r);
    e->kind = kind;
    e->handle = cursor_u64(c);
    e->slot = cursor_u32(c);
    e->out_fd = e->err_fd = -1;
    switch (e->kind) {
    case LAUNCH_STARTED:
        e->pid = (pid_t)cursor_u32(c);
        e->start_us = cursor_u64(c);
        r->out_pipe = cursor_u32(c);
        r->err_pipe = cursor_u32(c);
        break;
    case LAUNCH_ENDED:
        e->pid = (pid_t)cursor_u32(c);
        e->start_us = cursor_u64(c);
        e->end_us = cursor_u64(c);
        e->exit_code = (int)cursor_u32(c);
        e->term_signal = (int)cursor_u32(c);
        e->utime_us = cursor_u64(c);
        e->stime_us = cursor_u64(c);
        e->maxrss_kib = cursor_u64(c);
        break;
    case LAUNCH_FAILED:
        e->start_us = cursor_u64(c);
        e->end_us = cursor_u64(c);
        e->step = cursor_u8(c);
        e->sys = (int)cursor_u32(c);
        r->out_pipe = cursor_u32(c);
        r->err_pipe = cursor_u32(c);
        break;
    case LAUNCH_RETURNED:
    case LAUNCH_KEPT:
        break;
    }
}
