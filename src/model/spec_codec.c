/* Encoding and checked decoding of submits. */
#include "model/spec.h"

#include <stdlib.h>

#define WORD_MAX (1u << 28) /* bytes of one argument, path or value */

static void encode_optional(struct buf *out, const char *s)
{
    buf_u8(out, s != NULL);
    if (s)
        buf_str(out, s);
}

static char *decode_optional(struct cursor *c)
{
    return cursor_u8(c) ? cursor_strdup(c, WORD_MAX) : NULL;
}

static void encode_stdio(struct buf *out, const struct stdio_spec *s)
{
    buf_u8(out, s->kind);
    buf_u8(out, (uint8_t)(s->rm_if_finished | s->append << 1));
    encode_optional(out, s->path);
}

static void decode_stdio(struct stdio_spec *s, struct cursor *c)
{
    s->kind = cursor_u8(c);
    uint8_t flags = cursor_u8(c);
    s->rm_if_finished = flags & 1;
    s->append = (flags & 2) != 0;
    s->path = decode_optional(c);
    if (s->kind > STDIO_STREAM || (s->kind == STDIO_FILE && !s->path))
        c->failed = true;
}

enum {
    BODY_INPUT = 1,
    BODY_TASK_DIR = 2,
    BODY_LOG_REPLACE = 4,
    BODY_EXPAND = 8,
    BODY_SHELL = 16,
    BODY_KEEP_TAIL = 32
};

void task_body_encode(const struct task_body *b, struct buf *out)
{
    buf_varint(out, b->n_env);
    for (size_t i = 0; i < b->n_env; i++) {
        buf_str(out, b->env[i].key);
        buf_str(out, b->env[i].value);
    }
    encode_optional(out, b->cwd);
    encode_stdio(out, &b->out);
    encode_stdio(out, &b->err);
    buf_u8(out,
           (uint8_t)((b->has_input ? BODY_INPUT : 0) |
                     (b->task_dir ? BODY_TASK_DIR : 0) |
                     (b->log_replace ? BODY_LOG_REPLACE : 0) |
                     (b->expand_args ? BODY_EXPAND : 0) | (b->shell ? BODY_SHELL : 0) |
                     (b->keep_tail ? BODY_KEEP_TAIL : 0)));
    if (b->has_input)
        buf_bytes(out, b->input, b->n_input);
    buf_u8(out, b->pin);
    buf_u8(out, b->membind);
    buf_u8(out, b->stream_kind);
    encode_optional(out, b->stream);
    encode_optional(out, b->text_view);
    buf_zigzag(out, b->priority);
    buf_varint(out, b->crash_limit);
    buf_varint(out, b->time_limit_ns);
    buf_varint(out, b->max_output);
    buf_varint(out, b->max_job_output);
    request_encode(&b->request, out);
}

static void decode_env(struct task_body *b, struct cursor *c)
{
    size_t n = cursor_count(c, 2);
    b->env = n ? calloc(n, sizeof *b->env) : NULL;
    if (n && !b->env) {
        c->failed = true;
        return;
    }
    for (; b->n_env < n && !c->failed; b->n_env++) {
        struct env_var *v = &b->env[b->n_env];
        v->key = cursor_strdup(c, WORD_MAX);
        v->value = cursor_strdup(c, WORD_MAX);
        if (!c->failed && b->n_env && strcmp(v[-1].key, v->key) >= 0)
            c->failed = true;
    }
}

static void decode_input(struct task_body *b, struct cursor *c)
{
    struct span in = cursor_bytes(c);
    b->has_input = true;
    b->n_input = in.n;
    b->input = malloc(in.n + 1);
    if (!b->input)
        c->failed = true;
    else if (in.n)
        memcpy(b->input, in.p, in.n);
}

int task_body_decode(struct task_body *b, struct cursor *c)
{
    task_body_init(b);
    decode_env(b, c);
    b->cwd = decode_optional(c);
    decode_stdio(&b->out, c);
    decode_stdio(&b->err, c);
    uint8_t flags = cursor_u8(c);
    b->task_dir = (flags & BODY_TASK_DIR) != 0;
    b->log_replace = (flags & BODY_LOG_REPLACE) != 0;
    b->expand_args = (flags & BODY_EXPAND) != 0;
    b->shell = (flags & BODY_SHELL) != 0;
    b->keep_tail = (flags & BODY_KEEP_TAIL) != 0;
    if (flags & BODY_INPUT)
        decode_input(b, c);
    b->pin = cursor_u8(c);
    b->membind = cursor_u8(c);
    b->stream_kind = cursor_u8(c);
    b->stream = decode_optional(c);
    b->text_view = decode_optional(c);
    int64_t priority = cursor_zigzag(c);
    b->priority = (int32_t)priority;
    b->crash_limit = cursor_varint32(c);
    b->time_limit_ns = cursor_varint(c);
    b->max_output = cursor_varint(c);
    b->max_job_output = cursor_varint(c);
    if (priority < INT32_MIN || priority > INT32_MAX || b->pin > PIN_OFF ||
        b->membind > MEMBIND_STRICT || b->stream_kind > STREAM_FILE ||
        (b->stream_kind != STREAM_NONE && !b->stream) ||
        (b->stream_kind != STREAM_FILE && b->text_view))
        c->failed = true;
    if (c->failed || request_decode(&b->request, c) != 0) {
        c->failed = true;
        task_body_release(b);
        return ERR_CORRUPT;
    }
    return 0;
}

void group_extra_encode(const struct group_extra *e, struct buf *out)
{
    idset_encode(&e->ids, out);
    buf_u8(out, e->has_entries);
    if (e->has_entries) {
        buf_varint(out, e->n_entries);
        for (size_t i = 0; i < e->n_entries; i++) {
            struct span entry = group_entry(e, (uint32_t)i);
            buf_bytes(out, entry.p, entry.n);
        }
    }
    buf_varint(out, e->n_axes);
    for (size_t a = 0; a < e->n_axes; a++) {
        buf_str(out, e->axes[a].name);
        /* No texts: numbers follow. */
        size_t n = e->axes[a].values ? e->axes[a].n_values : 0;
        buf_varint(out, n);
        for (size_t v = 0; v < n; v++)
            buf_str(out, e->axes[a].values[v]);
        if (n == 0)
            idset_encode(&e->axes[a].numbers, out);
    }
}

static void decode_entries(struct group_extra *e, struct cursor *c)
{
    size_t n = cursor_count(c, 1);
    e->has_entries = true;
    for (size_t i = 0; i < n && !c->failed; i++) {
        struct span entry = cursor_bytes(c);
        if (group_extra_add_entry(e, entry.p, entry.n) != 0)
            c->failed = true;
    }
}

static void decode_numbers(struct axis *axis, struct cursor *c)
{
    if (idset_decode(&axis->numbers, c) != 0)
        c->failed = true;
    uint64_t n = idset_count(&axis->numbers);
    if (n == 0 || n > SUBMIT_TASKS_MAX) /* without values the matrix would be empty */
        c->failed = true;
    axis->n_values = n;
}

static void decode_axis(struct axis *axis, struct cursor *c)
{
    axis->name = cursor_strdup(c, WORD_MAX);
    size_t n = cursor_count(c, 1);
    if (n == 0) {
        decode_numbers(axis, c);
        return;
    }
    axis->values = calloc(n, sizeof *axis->values);
    if (!axis->values)
        c->failed = true;
    for (; axis->n_values < n && !c->failed; axis->n_values++)
        axis->values[axis->n_values] = cursor_strdup(c, WORD_MAX);
}

static void decode_axes(struct group_extra *e, uint32_t count, struct cursor *c)
{
    size_t n = cursor_count(c, 2);
    if (n > AXES_MAX) {
        c->failed = true;
        return;
    }
    e->axes = n ? calloc(n, sizeof *e->axes) : NULL;
    if (n && !e->axes)
        c->failed = true;
    uint64_t product = 1;
    for (; e->n_axes < n && !c->failed; e->n_axes++) {
        decode_axis(&e->axes[e->n_axes], c);
        if (MUL_OVERFLOWS(product, (uint64_t)e->axes[e->n_axes].n_values, &product))
            c->failed = true;
    }
    if (n && product != count)
        c->failed = true;
}

int group_extra_decode(struct group_extra *e, uint32_t count, struct cursor *c)
{
    group_extra_init(e);
    if (idset_decode(&e->ids, c) != 0)
        c->failed = true;
    if (cursor_u8(c))
        decode_entries(e, c);
    decode_axes(e, count, c);
    if ((e->ids.n_ranges && idset_count(&e->ids) != count) ||
        (e->has_entries && e->n_entries != count))
        c->failed = true;
    if (c->failed) {
        group_extra_release(e);
        return ERR_CORRUPT;
    }
    return 0;
}

enum { SUBMIT_GRAPH = 1, SUBMIT_AUTO_IDS = 2 };

void submit_encode(const struct submit *s, struct buf *out)
{
    buf_varint(out, s->job);
    encode_optional(out, s->name);
    buf_zigzag(out, s->max_fails);
    encode_optional(out, s->submit_dir);
    buf_u8(out, (uint8_t)((s->graph ? SUBMIT_GRAPH : 0) |
                          (s->auto_ids ? SUBMIT_AUTO_IDS : 0)));
    buf_bytes(out, s->text.data, s->text.len);
    buf_varint(out, s->n_bodies);
    for (size_t i = 0; i < s->n_bodies; i++)
        task_body_encode(&s->bodies[i], out);
    buf_varint(out, s->n_needs);
    for (size_t i = 0; i < s->n_needs; i++) {
        buf_u8(out, (uint8_t)s->needs[i].kind);
        buf_varint(out, s->needs[i].value);
    }
    /* Extras stand behind their group, whose count bounds them. */
    buf_varint(out, s->n_groups);
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct task_group *g = &s->groups[i];
        buf_varint(out, g->first_id);
        buf_varint(out, g->count);
        buf_varint(out, g->body);
        buf_varint(out, g->argv);
        buf_varint(out, g->name);
        buf_varint(out, g->n_needs);
        buf_u8(out, g->extra != 0);
        if (g->extra)
            group_extra_encode(&s->extras[g->extra - 1], out);
    }
}

/* Whether a whole argument vector lies inside the text arena. A job file may leave it
 * empty: the worker fails such a task. */
static bool argv_valid(const struct buf *text, uint32_t argv)
{
    if (argv == 0 || argv >= text->len)
        return false;
    struct cursor c = cursor_make(text->data + argv, text->len - argv);
    size_t n = cursor_count(&c, 1);
    for (size_t i = 0; i < n && !c.failed; i++) {
        const uint8_t *end = memchr(c.p, 0, cursor_left(&c));
        if (!end)
            return false;
        c.p = end + 1;
    }
    return !c.failed;
}

static bool name_valid(const struct buf *text, uint32_t name)
{
    return name == 0 ||
           (name < text->len && memchr(text->data + name, 0, text->len - name));
}

static int decode_group(struct submit *s, struct cursor *c, uint64_t *tasks,
                        uint64_t *needs)
{
    struct task_group g = {.first_id = cursor_varint32(c)};
    g.count = cursor_varint32(c);
    g.body = cursor_varint32(c);
    g.argv = cursor_varint32(c);
    g.name = cursor_varint32(c);
    uint32_t n_needs = cursor_varint32(c);
    bool extra = cursor_u8(c) != 0;
    *tasks += g.count;
    if (c->failed || *tasks > SUBMIT_TASKS_MAX || g.body >= s->n_bodies ||
        !argv_valid(&s->text, g.argv) || !name_valid(&s->text, g.name) ||
        *needs + n_needs > s->n_needs ||
        (g.count && g.first_id > IDSET_ID_MAX - (g.count - 1)))
        return ERR_CORRUPT;
    if (extra) {
        struct group_extra e;
        if (group_extra_decode(&e, g.count, c) != 0)
            return ERR_CORRUPT;
        g.extra = submit_add_extra(s, &e) + 1;
        if (g.extra == 0) {
            group_extra_release(&e);
            return ERR_NOMEM;
        }
    }
    if (submit_add_group(s, &g) == UINT32_MAX)
        return ERR_NOMEM;
    s->groups[s->n_groups - 1].needs = (uint32_t)*needs;
    s->groups[s->n_groups - 1].n_needs = n_needs;
    *needs += n_needs;
    return 0;
}

static int decode_needs(struct submit *s, struct cursor *c)
{
    size_t n = cursor_count(c, 2);
    if (c->failed)
        return ERR_CORRUPT;
    s->needs = n ? malloc(n * sizeof *s->needs) : NULL;
    if (n && !s->needs)
        return ERR_NOMEM;
    s->cap_needs = n;
    for (; s->n_needs < n; s->n_needs++) {
        s->needs[s->n_needs].kind = cursor_u8(c);
        s->needs[s->n_needs].value = cursor_varint32(c);
        if (c->failed || s->needs[s->n_needs].kind > NEED_TASK)
            return ERR_CORRUPT;
    }
    return 0;
}

/* Needs between groups point to other groups of this submit; EACH to one of its size.
 */
static bool needs_valid(const struct submit *s)
{
    for (size_t i = 0; i < s->n_groups; i++)
        for (uint32_t k = 0; k < s->groups[i].n_needs; k++) {
            const struct need *need = &s->needs[s->groups[i].needs + k];
            if (need->kind == NEED_TASK)
                continue;
            if (need->value >= s->n_groups || need->value == i)
                return false;
            if (need->kind == NEED_EACH &&
                s->groups[need->value].count != s->groups[i].count)
                return false;
        }
    return true;
}

static int decode_parts(struct submit *s, struct cursor *c)
{
    s->job = cursor_varint32(c);
    s->name = decode_optional(c);
    s->max_fails = cursor_zigzag(c);
    s->submit_dir = decode_optional(c);
    uint8_t flags = cursor_u8(c);
    s->graph = flags & SUBMIT_GRAPH;
    s->auto_ids = (flags & SUBMIT_AUTO_IDS) != 0;
    struct span text = cursor_bytes(c);
    if (c->failed || !s->submit_dir || s->max_fails < -1 || s->max_fails > UINT32_MAX ||
        text.n == 0 || text.p[0] != 0)
        return ERR_CORRUPT;
    buf_clear(&s->text);
    buf_append(&s->text, text.p, text.n);
    if (s->text.failed)
        return ERR_NOMEM;
    size_t n_bodies = cursor_count(c, 16);
    for (size_t i = 0; i < n_bodies && !c->failed; i++) {
        struct task_body b;
        if (task_body_decode(&b, c) != 0)
            return ERR_CORRUPT;
        if (submit_add_body(s, &b) == UINT32_MAX) {
            task_body_release(&b);
            return ERR_NOMEM;
        }
    }
    int rc = decode_needs(s, c);
    size_t n_groups = cursor_count(c, 7);
    uint64_t tasks = 0, needs = 0;
    for (size_t i = 0; i < n_groups && rc == 0; i++)
        rc = decode_group(s, c, &tasks, &needs);
    if (rc == 0 && (c->failed || needs != s->n_needs || !needs_valid(s)))
        rc = ERR_CORRUPT;
    return rc;
}

int submit_decode(struct submit *s, struct cursor *c, struct error *err)
{
    submit_init(s);
    int rc = decode_parts(s, c);
    if (rc == 0)
        return 0;
    submit_release(s);
    c->failed = true;
    return rc == ERR_NOMEM ? error_nomem(err)
                           : error_set(err, rc, "malformed description of a submit");
}
