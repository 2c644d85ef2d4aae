#include "wire/alloc_views.h"

#include <stdlib.h>

void queue_view_put(struct buf *out, const struct queue_view *v)
{
    buf_varint(out, v->id);
    buf_u8(out, v->state);
    alloc_params_encode(&v->params, out);
    buf_u8(out, v->has_known);
    if (v->has_known)
        pool_set_encode(&v->known, out);
    buf_varint(out, v->submit_fails);
    buf_varint(out, v->alloc_fails);
    buf_varint(out, v->delay_us);
    buf_u8(out, v->last_error != NULL);
    if (v->last_error)
        buf_str(out, v->last_error);
}

bool queue_view_get(struct cursor *c, struct queue_view *v)
{
    *v = (struct queue_view){.known = POOL_SET_INIT};
    if (c->failed || c->p == c->end)
        return false;
    v->id = cursor_varint32(c);
    v->state = cursor_u8(c);
    if (alloc_params_decode(&v->params, c) != 0)
        return false;
    v->has_known = cursor_u8(c) != 0;
    if (v->has_known && pool_set_decode(&v->known, c) != 0)
        c->failed = true;
    v->submit_fails = cursor_varint32(c);
    v->alloc_fails = cursor_varint32(c);
    v->delay_us = cursor_varint(c);
    v->last_error = cursor_u8(c) ? cursor_strdup(c, ALLOC_TEXT_MAX) : NULL;
    if (c->failed || v->state >= QUEUE_STATE_COUNT) {
        c->failed = true;
        queue_view_release(v);
        return false;
    }
    return true;
}

void queue_view_release(struct queue_view *v)
{
    alloc_params_release(&v->params);
    pool_set_release(&v->known);
    free(v->last_error);
    v->last_error = NULL;
}

void allocation_view_put(struct buf *out, const struct allocation_view *v)
{
    buf_str(out, v->id);
    buf_str(out, v->dir);
    buf_u8(out, v->state);
    buf_varint(out, v->workers);
    buf_varint(out, v->queued_us);
    buf_varint(out, v->started_us);
    buf_varint(out, v->ended_us);
}

bool allocation_view_get(struct cursor *c, struct allocation_view *v)
{
    *v = (struct allocation_view){0};
    if (c->failed || c->p == c->end)
        return false;
    v->id = cursor_strdup(c, ALLOC_ID_MAX);
    v->dir = cursor_strdup(c, ALLOC_TEXT_MAX);
    v->state = cursor_u8(c);
    v->workers = cursor_varint32(c);
    v->queued_us = cursor_varint(c);
    v->started_us = cursor_varint(c);
    v->ended_us = cursor_varint(c);
    if (!c->failed && v->state < ALLOC_STATE_COUNT)
        return true;
    c->failed = true;
    allocation_view_release(v);
    return false;
}

void allocation_view_release(struct allocation_view *v)
{
    free(v->id);
    free(v->dir);
    *v = (struct allocation_view){0};
}
