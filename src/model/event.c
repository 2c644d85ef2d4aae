#include "model/event.h"

void event_begin(struct buf *out, enum event_type type, uint64_t time_us)
{
    buf_u8(out, (uint8_t)type);
    buf_u64(out, time_us);
}

int event_read_head(struct cursor *c, struct event_head *h)
{
    h->type = cursor_u8(c);
    h->time_us = cursor_u64(c);
    if (c->failed || h->type == 0 || h->type >= EVENT_TYPE_COUNT)
        return ERR_CORRUPT;
    return 0;
}

/*
 * An entry of the end list: a flag byte, then the fields it announces. Numbers are
 * differences to the previous entry where that makes them small.
 */
enum {
    END_JOB = 1,        /* zigzag: job - previous job */
    END_SLOT = 2,       /* zigzag: slot - (previous slot + 1) */
    END_INSTANCE = 4,   /* varint: instance, else 0 */
    END_DETAIL = 8,     /* state, variant, failure, exit, started, message */
    END_REPEAT = 16,    /* varint: that many more tasks at the following slots */
    END_RELEASED = 32,  /* the allocation was freed */
    END_USAGE = 64,     /* CPU times and memory; else all zero */
    END_PLACEMENT = 128 /* zigzag: placement - previous placement; else 0 */
};

static bool end_is_plain(const struct task_end *e)
{
    return e->state == TASK_FINISHED && e->variant == 0 && e->failure == FAILURE_NONE &&
           e->exit == 0 && e->started && e->message.n == 0;
}

static bool end_continues(const struct task_end *last, uint32_t repeat,
                          const struct task_end *e)
{
    return e->job == last->job && e->slot == last->slot + repeat + 1 &&
           e->instance == last->instance && e->state == last->state &&
           e->variant == last->variant && e->failure == last->failure &&
           e->exit == last->exit && e->started == last->started &&
           e->released == last->released && e->start_us == last->start_us &&
           e->end_us == last->end_us && e->user_ms == last->user_ms &&
           e->system_ms == last->system_ms && e->max_rss_kib == last->max_rss_kib &&
           e->placement == last->placement && e->message.n == 0 && last->message.n == 0;
}

void task_end_writer_init(struct task_end_writer *w, struct buf *out)
{
    *w = (struct task_end_writer){.out = out};
}

/*
 * The repeat count of an entry is known only when the next one differs, so one entry is
 * held back; `base` is what its differences refer to.
 */
static void end_emit(struct buf *out, const struct task_end *base,
                     const struct task_end *e, uint32_t repeat)
{
    bool usage = e->user_ms || e->system_ms || e->max_rss_kib;
    uint8_t flags =
        (uint8_t)((e->job != base->job ? END_JOB : 0) |
                  (e->slot != base->slot + 1 ? END_SLOT : 0) |
                  (e->instance ? END_INSTANCE : 0) |
                  (end_is_plain(e) ? 0 : END_DETAIL) | (repeat ? END_REPEAT : 0) |
                  (e->released ? END_RELEASED : 0) | (usage ? END_USAGE : 0) |
                  (e->placement ? END_PLACEMENT : 0));
    buf_u8(out, flags);
    if (flags & END_JOB)
        buf_zigzag(out, (int64_t)e->job - base->job);
    if (flags & END_SLOT)
        buf_zigzag(out, (int64_t)e->slot - ((int64_t)base->slot + 1));
    if (flags & END_INSTANCE)
        buf_varint(out, e->instance);
    if (flags & END_DETAIL) {
        buf_u8(out, e->state);
        buf_u8(out, e->variant);
        buf_u8(out, (uint8_t)(e->failure | (e->started ? 0x80 : 0)));
        buf_varint(out, e->exit);
        buf_bytes(out, e->message.p, e->message.n);
    }
    if (flags & END_REPEAT)
        buf_varint(out, repeat);
    buf_zigzag(out, (int64_t)(e->start_us - base->start_us));
    buf_zigzag(out, (int64_t)(e->end_us - e->start_us));
    if (flags & END_USAGE) {
        buf_varint(out, e->user_ms);
        buf_varint(out, e->system_ms);
        buf_zigzag(out, (int64_t)e->max_rss_kib - base->max_rss_kib);
    }
    if (flags & END_PLACEMENT)
        buf_zigzag(out, (int64_t)e->placement - base->placement);
}

void task_end_write(struct task_end_writer *w, const struct task_end *e)
{
    if (w->any && end_continues(&w->last, w->repeat, e)) {
        w->repeat++;
        return;
    }
    task_end_writer_finish(w);
    struct task_end base = w->last;
    w->last = *e;
    w->any = true;
    w->repeat = 0;
    w->base = base;
}

void task_end_write_run(struct task_end_writer *w, const struct task_end *e,
                        uint32_t count)
{
    task_end_write(w, e);
    w->repeat += count - 1;
}

void task_end_writer_finish(struct task_end_writer *w)
{
    if (!w->any)
        return;
    end_emit(w->out, &w->base, &w->last, w->repeat);
    w->last.slot += w->repeat;
    w->last.message = (struct span){NULL, 0};
    w->any = false;
    w->repeat = 0;
}

void task_end_reader_init(struct task_end_reader *r, struct cursor *c)
{
    *r = (struct task_end_reader){.c = c};
}

static bool end_read_detail(struct cursor *c, struct task_end *e)
{
    e->state = cursor_u8(c);
    e->variant = cursor_u8(c);
    uint8_t failure = cursor_u8(c);
    e->failure = failure & 0x7f;
    e->started = (failure & 0x80) != 0;
    uint64_t exit_status = cursor_varint(c);
    e->exit = (uint16_t)exit_status;
    e->message = cursor_bytes(c);
    return e->failure <= FAILURE_MESSAGE && exit_status <= UINT16_MAX &&
           task_state_terminal((enum task_state)e->state) &&
           e->state < TASK_STATE_COUNT;
}

/* base plus the next zigzag number; fails outside of 32 bits. */
static uint32_t read_delta(struct cursor *c, uint64_t base)
{
    uint64_t v = base + (uint64_t)cursor_zigzag(c);
    if (v > UINT32_MAX) /* also below 0: base and a wrapped sum are far apart */
        c->failed = true;
    return (uint32_t)v;
}

bool task_end_read(struct task_end_reader *r, struct task_end *e, uint32_t *count)
{
    struct cursor *c = r->c;
    if (c->failed || c->p == c->end)
        return false;
    const struct task_end *base = &r->last;
    uint8_t flags = cursor_u8(c);
    *e = (struct task_end){.job = base->job,
                           .slot = base->slot + 1,
                           .state = TASK_FINISHED,
                           .started = true,
                           .released = (flags & END_RELEASED) != 0};
    if (flags & END_JOB)
        e->job = read_delta(c, base->job);
    if (flags & END_SLOT)
        e->slot = read_delta(c, (uint64_t)base->slot + 1);
    if (flags & END_INSTANCE)
        e->instance = cursor_varint32(c);
    if ((flags & END_DETAIL) && !end_read_detail(c, e))
        c->failed = true;
    uint32_t repeat = flags & END_REPEAT ? cursor_varint32(c) : 0;
    e->start_us = base->start_us + (uint64_t)cursor_zigzag(c);
    e->end_us = e->start_us + (uint64_t)cursor_zigzag(c);
    if (flags & END_USAGE) {
        e->user_ms = cursor_varint32(c);
        e->system_ms = cursor_varint32(c);
        e->max_rss_kib = read_delta(c, base->max_rss_kib);
    }
    if (flags & END_PLACEMENT)
        e->placement = read_delta(c, base->placement);
    if ((repeat && (e->message.n || repeat >= UINT32_MAX - e->slot)))
        c->failed = true;
    if (c->failed)
        return false;
    *count = repeat + 1;
    r->last = *e;
    r->last.slot += repeat;
    return true;
}

void task_start_encode(const struct task_start *s, struct buf *out)
{
    buf_varint(out, s->job);
    buf_varint(out, s->slot);
    buf_varint(out, s->instance);
    buf_u8(out, s->variant);
    buf_varint(out, s->start_us);
    buf_varint(out, s->placement);
    buf_varint(out, s->n_nodes);
    for (uint32_t i = 0; i < s->n_nodes; i++)
        buf_varint(out, s->nodes[i]);
}

bool task_start_decode(struct task_start *s, struct cursor *c, struct buf *scratch)
{
    if (c->failed || c->p == c->end)
        return false;
    s->job = cursor_varint32(c);
    s->slot = cursor_varint32(c);
    s->instance = cursor_varint32(c);
    s->variant = cursor_u8(c);
    s->start_us = cursor_varint(c);
    s->placement = cursor_varint32(c);
    s->n_nodes = (uint32_t)cursor_count(c, 1);
    s->nodes = NULL;
    if (s->n_nodes && !c->failed) {
        buf_clear(scratch);
        uint32_t *nodes = buf_extend(scratch, s->n_nodes * sizeof *nodes);
        if (!nodes) {
            c->failed = true;
            return false;
        }
        for (uint32_t i = 0; i < s->n_nodes; i++)
            nodes[i] = cursor_varint32(c);
        s->nodes = nodes;
    }
    return !c->failed;
}

void task_restart_encode(const struct task_restart *r, struct buf *out)
{
    buf_varint(out, r->job);
    buf_varint(out, r->slot);
    buf_varint(out, r->instance);
    buf_varint(out, r->crashes);
}

bool task_restart_decode(struct task_restart *r, struct cursor *c)
{
    if (c->failed || c->p == c->end)
        return false;
    r->job = cursor_varint32(c);
    r->slot = cursor_varint32(c);
    r->instance = cursor_varint32(c);
    uint32_t crashes = cursor_varint32(c);
    if (crashes > UINT16_MAX)
        c->failed = true;
    r->crashes = (uint16_t)crashes;
    return !c->failed;
}

void task_sent_encode(const struct task_sent *s, struct buf *out)
{
    buf_varint(out, s->job);
    buf_varint(out, s->slot);
    buf_varint(out, s->count);
    buf_varint(out, s->instance);
}

bool task_sent_decode(struct task_sent *s, struct cursor *c)
{
    if (c->failed || c->p == c->end)
        return false;
    s->job = cursor_varint32(c);
    s->slot = cursor_varint32(c);
    s->count = cursor_varint32(c);
    s->instance = cursor_varint32(c);
    if (s->count == 0)
        c->failed = true;
    return !c->failed;
}
