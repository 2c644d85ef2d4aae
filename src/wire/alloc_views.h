/* What the server shows of queues and allocations; as in wire/views.h. */
#ifndef HQ_WIRE_ALLOC_VIEWS_H
#define HQ_WIRE_ALLOC_VIEWS_H

#include "model/alloc.h"

struct queue_view {
    uint32_t id;
    uint8_t state; /* enum alloc_queue_state */
    struct alloc_params params;
    bool has_known; /* resources of the last worker: */
    struct pool_set known;
    uint32_t submit_fails, alloc_fails; /* in a row */
    uint64_t delay_us;                  /* before it submits again, after failures */
    char *last_error;                   /* of its last submission; NULL: none */
};
void queue_view_put(struct buf *out, const struct queue_view *v);
/* Reads one of a list; false at its end, or when it is malformed (c->failed). */
bool queue_view_get(struct cursor *c, struct queue_view *v);
void queue_view_release(struct queue_view *v);

struct allocation_view {
    char *id, *dir;
    uint8_t state; /* enum alloc_state */
    uint32_t workers;
    uint64_t queued_us, started_us, ended_us; /* 0: not (yet) */
};
void allocation_view_put(struct buf *out, const struct allocation_view *v);
bool allocation_view_get(struct cursor *c, struct allocation_view *v);
void allocation_view_release(struct allocation_view *v);

#endif
