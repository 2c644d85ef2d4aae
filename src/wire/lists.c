#include "wire/lists.h"

/* Whether the list goes on. */
static bool more(const struct cursor *c)
{
    return !c->failed && c->p != c->end;
}

/* count >= 1 and no slot beyond 32 bits */
static void check_range(struct cursor *c, uint32_t slot, uint32_t count)
{
    if (count == 0 || count - 1 > UINT32_MAX - slot)
        c->failed = true;
}

void assigned_run_put(struct buf *out, const struct assigned_run *r)
{
    buf_varint(out, r->job);
    buf_varint(out, r->group);
    buf_varint(out, r->slot);
    buf_varint(out, r->count);
    buf_zigzag(out, r->priority);
    buf_varint(out, r->instance);
    buf_u8(out, r->entries);
}

bool assigned_run_get(struct cursor *c, struct assigned_run *r)
{
    if (!more(c))
        return false;
    r->job = cursor_varint32(c);
    r->group = cursor_varint32(c);
    r->slot = cursor_varint32(c);
    r->count = cursor_varint32(c);
    int64_t priority = cursor_zigzag(c);
    r->priority = (int32_t)priority;
    r->instance = cursor_varint32(c);
    r->entries = cursor_u8(c) != 0;
    check_range(c, r->slot, r->count);
    if (priority < INT32_MIN || priority > INT32_MAX)
        c->failed = true;
    return !c->failed;
}

void slot_run_put(struct buf *out, const struct slot_run *r)
{
    buf_varint(out, r->job);
    buf_varint(out, r->slot);
    buf_varint(out, r->count);
}

bool slot_run_get(struct cursor *c, struct slot_run *r)
{
    if (!more(c))
        return false;
    r->job = cursor_varint32(c);
    r->slot = cursor_varint32(c);
    r->count = cursor_varint32(c);
    check_range(c, r->slot, r->count);
    return !c->failed;
}

void slot_range_put(struct buf *out, const struct slot_range *r)
{
    buf_varint(out, r->slot);
    buf_varint(out, r->count);
}

bool slot_range_get(struct cursor *c, struct slot_range *r)
{
    if (!more(c))
        return false;
    r->slot = cursor_varint32(c);
    r->count = cursor_varint32(c);
    check_range(c, r->slot, r->count);
    return !c->failed;
}

void held_task_put(struct buf *out, const struct held_task *t)
{
    buf_varint(out, t->job);
    buf_varint(out, t->slot);
    buf_varint(out, t->instance);
    buf_u8(out, t->variant);
    buf_u8(out, t->running);
    buf_varint(out, t->placement);
    buf_varint(out, t->start_us);
}

bool held_task_get(struct cursor *c, struct held_task *t)
{
    if (!more(c))
        return false;
    t->job = cursor_varint32(c);
    t->slot = cursor_varint32(c);
    t->instance = cursor_varint32(c);
    t->variant = cursor_u8(c);
    t->running = cursor_u8(c) != 0;
    t->placement = cursor_varint32(c);
    t->start_us = cursor_varint(c);
    return !c->failed;
}

void selector_put(struct buf *out, const struct selector *s)
{
    buf_u8(out, (uint8_t)s->kind);
    if (s->kind == SELECT_IDS)
        idset_encode(&s->ids, out);
}

int selector_get(struct span span, struct selector *s)
{
    struct cursor c = cursor_make(span.p, span.n);
    uint8_t kind = cursor_u8(&c);
    *s = (struct selector){.kind = (enum selector_kind)kind, .ids = IDSET_INIT};
    if (c.failed || kind > SELECT_LAST)
        return ERR_CORRUPT;
    return kind == SELECT_IDS ? idset_decode(&s->ids, &c) : 0;
}

void selector_release(struct selector *s)
{
    idset_release(&s->ids);
}

void op_result_put(struct buf *out, const struct op_result *r)
{
    buf_varint(out, r->id);
    buf_u8(out, r->outcome);
    buf_varint(out, r->a);
    buf_varint(out, r->b);
    buf_bytes(out, r->message.p, r->message.n);
}

bool op_result_get(struct cursor *c, struct op_result *r)
{
    if (!more(c))
        return false;
    r->id = cursor_varint32(c);
    r->outcome = cursor_u8(c);
    r->a = cursor_varint32(c);
    r->b = cursor_varint32(c);
    r->message = cursor_bytes(c);
    if (r->outcome > OP_FAILED)
        c->failed = true;
    return !c->failed;
}
