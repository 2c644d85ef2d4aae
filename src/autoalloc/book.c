#include "autoalloc/book.h"

#include <stdlib.h>
#include "base/xmem.h"

static void allocation_destroy(struct allocation *a)
{
    free(a->id);
    free(a->dir);
    free(a);
}

static void queue_destroy(struct alloc_queue *q)
{
    for (size_t i = 0; i < q->allocs.len; i++)
        allocation_destroy(q->allocs.data[i]);
    vec_release(&q->allocs);
    alloc_params_release(&q->params);
    pool_set_release(&q->known);
    free(q->last_error);
    free(q);
}

void alloc_book_release(struct alloc_book *b)
{
    for (size_t i = 0; i < b->queues.len; i++)
        queue_destroy(b->queues.data[i]);
    vec_release(&b->queues);
}

/* Where the id is, or belongs. */
static size_t queue_place(const struct alloc_book *b, uint32_t id)
{
    size_t lo = 0, hi = b->queues.len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (b->queues.data[mid]->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct alloc_queue *alloc_book_queue(const struct alloc_book *b, uint32_t id)
{
    size_t at = queue_place(b, id);
    return at < b->queues.len && b->queues.data[at]->id == id ? b->queues.data[at]
                                                              : NULL;
}

struct allocation *alloc_queue_find(const struct alloc_queue *q, const char *id)
{
    for (size_t i = q->allocs.len; i-- > 0;)
        if (strcmp(q->allocs.data[i]->id, id) == 0)
            return q->allocs.data[i];
    return NULL;
}

struct allocation *alloc_book_find(const struct alloc_book *b, uint8_t manager,
                                   const char *id, struct alloc_queue **queue)
{
    struct allocation *found = NULL;
    for (size_t i = 0; i < b->queues.len; i++) {
        struct alloc_queue *q = b->queues.data[i];
        struct allocation *a =
            q->params.manager == manager ? alloc_queue_find(q, id) : NULL;
        if (!a || (found && found->queued_us > a->queued_us))
            continue;
        found = a;
        *queue = q;
    }
    return found;
}

uint32_t alloc_queue_waiting(const struct alloc_queue *q)
{
    uint32_t n = 0;
    for (size_t i = 0; i < q->allocs.len; i++)
        n += q->allocs.data[i]->state == ALLOC_QUEUED;
    return n;
}

uint64_t alloc_queue_workers(const struct alloc_queue *q)
{
    uint64_t n = 0;
    for (size_t i = 0; i < q->allocs.len; i++)
        if (allocation_active(q->allocs.data[i]))
            n += q->allocs.data[i]->workers;
    return n;
}

void alloc_apply_queue(struct alloc_book *b, uint32_t id, struct alloc_params *params)
{
    size_t at = queue_place(b, id);
    if (alloc_book_queue(b, id))
        return;
    struct alloc_queue *q = xcalloc(1, sizeof *q);
    q->id = id;
    q->params = *params;
    alloc_params_init(params);
    HQ_ASSERT(vec_push(&b->queues, q));
    memmove(&b->queues.data[at + 1], &b->queues.data[at],
            (b->queues.len - 1 - at) * sizeof *b->queues.data);
    b->queues.data[at] = q;
    b->last_queue = MAX(b->last_queue, id);
}

void alloc_apply_removed(struct alloc_book *b, uint32_t id)
{
    size_t at = queue_place(b, id);
    struct alloc_queue *q = alloc_book_queue(b, id);
    if (!q)
        return;
    b->queues.len--;
    memmove(&b->queues.data[at], &b->queues.data[at + 1],
            (b->queues.len - at) * sizeof *b->queues.data);
    queue_destroy(q);
}

void alloc_apply_state(struct alloc_book *b, uint32_t id, enum alloc_queue_state state)
{
    struct alloc_queue *q = alloc_book_queue(b, id);
    if (q)
        q->state = state;
}

static char *dup_span(struct span s)
{
    return xstrndup(s.n ? (const char *)s.p : "", s.n);
}

struct allocation *alloc_apply_queued(struct alloc_book *b, uint32_t queue,
                                      const struct alloc_event *e, uint64_t time_us)
{
    struct alloc_queue *q = alloc_book_queue(b, queue);
    if (!q)
        return NULL;
    struct allocation *a = xcalloc(1, sizeof *a);
    a->id = dup_span(e->id);
    a->dir = dup_span(e->dir);
    a->workers = e->workers;
    a->queued_us = time_us;
    HQ_ASSERT(vec_push(&q->allocs, a));
    return a;
}

static struct allocation *find(struct alloc_book *b, uint32_t queue, struct span id,
                               struct alloc_queue **q)
{
    *q = alloc_book_queue(b, queue);
    char *text = dup_span(id);
    struct allocation *a = *q ? alloc_queue_find(*q, text) : NULL;
    free(text);
    return a;
}

/* One that ended may run again: a worker of it came back. */
struct allocation *alloc_apply_started(struct alloc_book *b, uint32_t queue,
                                       const struct alloc_event *e)
{
    struct alloc_queue *q;
    struct allocation *a = find(b, queue, e->id, &q);
    if (!a || a->state == ALLOC_RUNNING)
        return NULL;
    q->n_ended -= alloc_state_ended(a->state);
    a->state = ALLOC_RUNNING;
    a->started_us = a->started_us ? a->started_us : e->started_us;
    a->ended_us = 0;
    return a;
}

static void forget_oldest(struct alloc_queue *q, const struct allocation *keep)
{
    for (size_t i = 0; i < q->allocs.len; i++) {
        struct allocation *a = q->allocs.data[i];
        if (a == keep || allocation_active(a))
            continue;
        q->allocs.len--;
        memmove(&q->allocs.data[i], &q->allocs.data[i + 1],
                (q->allocs.len - i) * sizeof *q->allocs.data);
        q->n_ended--;
        allocation_destroy(a);
        return;
    }
}

struct allocation *alloc_apply_ended(struct alloc_book *b, uint32_t queue,
                                     const struct alloc_event *e)
{
    struct alloc_queue *q;
    struct allocation *a = find(b, queue, e->id, &q);
    if (!a || !allocation_active(a))
        return NULL;
    a->state = (enum alloc_state)e->state;
    a->started_us = e->started_us;
    a->ended_us = e->ended_us;
    a->running_us = 0;
    if (++q->n_ended > ALLOC_ENDED_KEPT)
        forget_oldest(q, a);
    return a;
}

void alloc_apply_worker(struct alloc_book *b, uint8_t manager, const char *id,
                        const struct pool_set *pools)
{
    struct alloc_queue *q;
    struct pool_set copy;
    struct allocation *a = alloc_book_find(b, manager, id, &q);
    if (!a)
        return;
    a->had_worker = true;
    if (pool_set_copy(&copy, pools) != 0)
        return;
    pool_set_release(&q->known);
    q->known = copy;
    q->has_known = true;
}
