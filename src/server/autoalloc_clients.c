/* Requests of clients about queues. */
#include "server/autoalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/xmem.h"
#include "wire/alloc_views.h"

static void reply_error(struct client_link *c, int code, const char *fmt, ...)
    PRINTF(3, 4);
static void reply_error(struct client_link *c, int code, const char *fmt, ...)
{
    struct error err = ERROR_INIT;
    va_list args;
    va_start(args, fmt);
    (void)error_vset(&err, code, fmt, args);
    va_end(args);
    client_reply_error(c, &err);
}

static bool take_params(struct client_link *c, struct span span, struct alloc_params *p)
{
    struct cursor cur = cursor_make(span.p, span.n);
    struct error err = ERROR_INIT;
    if (alloc_params_decode(p, &cur) != 0) {
        reply_error(c, ERR_CORRUPT, "malformed parameters of a queue");
        return false;
    }
    if (autoalloc_check_worker(c->server, p, &err) == 0)
        return true;
    client_reply_error(c, &err);
    alloc_params_release(p);
    return false;
}

/* ---- trial, add -------------------------------------------------------------------
 */

struct trial_request {
    uint64_t client_id;
};

static void trial_done(struct server *s, const struct error *err, void *arg)
{
    struct trial_request *r = arg;
    struct client_link *c = client_find(s, r->client_id);
    free(r);
    if (!c)
        return;
    if (err)
        client_reply_error(c, err);
    else
        client_reply_ok(c);
    client_settled(c);
}

void autoalloc_on_trial(struct client_link *c, const struct msg_REQ_ALLOC_TRIAL *req)
{
    struct alloc_params params;
    if (!take_params(c, req->params, &params))
        return;
    struct trial_request *r = xcalloc(1, sizeof *r);
    r->client_id = c->id;
    c->busy = true;
    autoalloc_trial(c->server, &params, trial_done, r);
}

struct add_request {
    uint32_t queue;
    struct alloc_params params;
};

static void add_apply(struct server *s, struct client_link *c, bool ok,
                      const struct error *err, void *arg)
{
    struct add_request *r = arg;
    if (ok)
        alloc_apply_queue(&s->alloc->book, r->queue, &r->params);
    autoalloc_note(s);
    if (c && ok) {
        struct msg_RSP_ALLOC_ADDED m = {.queue = r->queue};
        msg_put_RSP_ALLOC_ADDED(io_conn_batch(c->conn), &m);
    } else if (c) {
        client_reply_error(c, err);
    }
    alloc_params_release(&r->params);
    free(r);
}

void autoalloc_on_add(struct client_link *c, const struct msg_REQ_ALLOC_ADD *req)
{
    struct server *s = c->server;
    struct alloc_params params;
    if (!take_params(c, req->params, &params))
        return;
    struct add_request *r = xcalloc(1, sizeof *r);
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    r->queue = ++s->alloc->book.last_queue;
    r->params = params;
    event_begin(&event, EVENT_ALLOC_QUEUE_CREATED, s->now_us);
    buf_u32(&event, r->queue);
    alloc_params_encode(&params, &event);
    commit_request(s, c, &event, 0, add_apply, r);
}

/* ---- list, info, log ---------------------------------------------------------------
 */

void autoalloc_on_list(struct client_link *c)
{
    const struct alloc_book *book = &c->server->alloc->book;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < book->queues.len; i++) {
        const struct alloc_queue *q = book->queues.data[i];
        const struct queue_view v = {.id = q->id,
                                     .state = (uint8_t)q->state,
                                     .params = q->params,
                                     .has_known = q->has_known,
                                     .known = q->known,
                                     .submit_fails = q->submit_fails,
                                     .alloc_fails = q->alloc_fails,
                                     .delay_us = alloc_delay_us(q, clock_mono_us()),
                                     .last_error = q->last_error};
        queue_view_put(&b, &v);
    }
    struct msg_RSP_ALLOC_LIST m = {.queues = span_buf(&b)};
    msg_put_RSP_ALLOC_LIST(io_conn_batch(c->conn), &m);
    buf_release(&b);
}

void autoalloc_on_info(struct client_link *c, const struct msg_REQ_ALLOC_INFO *req)
{
    const struct alloc_queue *q = alloc_book_queue(&c->server->alloc->book, req->queue);
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    if (!q) {
        reply_error(c, ERR_NOT_FOUND, "Error: Queue %u not found", req->queue);
        return;
    }
    for (size_t i = 0; i < q->allocs.len; i++) {
        const struct allocation *a = q->allocs.data[i];
        const struct allocation_view v = {.id = a->id,
                                          .dir = a->dir,
                                          .state = (uint8_t)a->state,
                                          .workers = a->workers,
                                          .queued_us = a->queued_us,
                                          .started_us = a->started_us,
                                          .ended_us = a->ended_us};
        allocation_view_put(&b, &v);
    }
    struct msg_RSP_ALLOC_INFO m = {.allocations = span_buf(&b)};
    msg_put_RSP_ALLOC_INFO(io_conn_batch(c->conn), &m);
    buf_release(&b);
}

void autoalloc_on_log(struct client_link *c, const struct msg_REQ_ALLOC_LOG *req)
{
    const struct alloc_book *book = &c->server->alloc->book;
    const struct allocation *a = NULL;
    char *id = span_dup(req->id);
    if (!id)
        abort();
    for (size_t i = 0; i < book->queues.len && !a; i++)
        a = alloc_queue_find(book->queues.data[i], id);
    if (a) {
        struct msg_RSP_ALLOC_LOG m = {.dir = span_str(a->dir)};
        msg_put_RSP_ALLOC_LOG(io_conn_batch(c->conn), &m);
    } else {
        reply_error(c, ERR_NOT_FOUND, "Error: Allocation %s not found", id);
    }
    free(id);
}

/* ---- pause, resume ------------------------------------------------------------------
 */

struct state_request {
    uint32_t queue;
    bool pause;
};

static void reply_no_queue(struct client_link *c, const struct state_request *r)
{
    reply_error(c, ERR_NOT_FOUND,
                "Error: Queue %u that should have been %s was not found", r->queue,
                r->pause ? "paused" : "resumed");
}

static void state_apply(struct server *s, struct client_link *c, bool ok,
                        const struct error *err, void *arg)
{
    struct state_request *r = arg;
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, r->queue);
    if (ok) {
        alloc_apply_state(&s->alloc->book, r->queue,
                          r->pause ? QUEUE_PAUSED : QUEUE_ACTIVE);
        if (q && !r->pause)
            alloc_forgive(q);
        autoalloc_note(s);
    }
    if (c && ok && q)
        client_reply_ok(c);
    else if (c && ok)
        reply_no_queue(c, r);
    else if (c)
        client_reply_error(c, err);
    free(r);
}

void autoalloc_on_state(struct client_link *c, const struct msg_REQ_ALLOC_STATE *req)
{
    struct server *s = c->server;
    const struct state_request wanted = {req->queue, req->pause};
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    if (!alloc_book_queue(&s->alloc->book, req->queue)) {
        reply_no_queue(c, &wanted);
        return;
    }
    event_begin(&event, EVENT_ALLOC_QUEUE_STATE, s->now_us);
    buf_u32(&event, req->queue);
    buf_u8(&event, req->pause ? QUEUE_PAUSED : QUEUE_ACTIVE);
    commit_request(s, c, &event, 0, state_apply, xmemdup(&wanted, sizeof wanted));
}

/* ---- remove -------------------------------------------------------------------------
 */

struct remove_request {
    struct list_node node; /* engine.removals */
    uint64_t client_id;
    uint32_t queue;
    uint32_t n_left;   /* allocations that are being cancelled */
    uint32_t n_failed; /* that could not be, */
    struct buf failed; /* the first of them: ids, and why */
    struct error why;
    bool begun;
};

#define FAILED_TOLD 10u

static void remove_request_free(struct remove_request *r)
{
    buf_release(&r->failed);
    free(r);
}

/* The queue is gone; what it leaves in the batch system is worth an error. */
static void reply_removed(struct client_link *c, const struct remove_request *r)
{
    if (!r->n_failed) {
        client_reply_ok(c);
        return;
    }
    reply_error(c, ERR_SYSTEM,
                "Error: Queue %u was removed, but not all of its allocations could be "
                "canceled: %s%s\n%s",
                r->queue, buf_cstr(&r->failed), r->n_failed > FAILED_TOLD ? ", …" : "",
                r->why.text);
}

static void remove_apply(struct server *s, struct client_link *c, bool ok,
                         const struct error *err, void *arg)
{
    struct remove_request *r = arg;
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, r->queue);
    if (ok)
        alloc_apply_removed(&s->alloc->book, r->queue);
    else if (q)
        q->removing = false;
    if (c && ok)
        reply_removed(c, r);
    else if (c)
        client_reply_error(c, err);
    remove_request_free(r);
}

static void remove_commit(struct server *s, struct remove_request *r)
{
    struct client_link *c = client_find(s, r->client_id);
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    list_remove(&r->node);
    if (s->stopping) {
        remove_request_free(r);
        return;
    }
    event_begin(&event, EVENT_ALLOC_QUEUE_REMOVED, s->now_us);
    buf_u32(&event, r->queue);
    commit_request(s, c, &event, 0, remove_apply, r);
}

static void remove_continue(struct server *s, struct remove_request *r)
{
    if (--r->n_left == 0)
        remove_commit(s, r);
}

static void on_one_cancelled(struct server *s, void *arg, const char *id,
                             const struct error *err)
{
    struct remove_request *r = arg;
    if (err && !r->n_failed)
        r->why = *err;
    if (err && r->n_failed++ < FAILED_TOLD)
        buf_printf(&r->failed, "%s%s", r->failed.len ? ", " : "", id);
    remove_continue(s, r);
}

static void remove_begin(struct server *s, struct remove_request *r)
{
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, r->queue);
    r->begun = true;
    r->n_left = 1; /* until all are on their way */
    for (size_t i = 0; i < q->allocs.len; i++) {
        struct allocation *a = q->allocs.data[i];
        if (!allocation_active(a))
            continue;
        r->n_left++;
        if (!a->dir_noted)
            autoalloc_note_inactive(s, a->dir);
        a->dir_noted = true;
        autoalloc_cancel(s, q->params.manager, a->id, a->dir, on_one_cancelled, r);
    }
    remove_continue(s, r);
}

void autoalloc_removal_continue(struct server *s, uint32_t queue)
{
    LIST_FOR_EACH_SAFE(&s->alloc->removals, node, next)
    {
        struct remove_request *r = CONTAINER_OF(node, struct remove_request, node);
        if (r->queue == queue && !r->begun)
            remove_begin(s, r);
    }
}

static bool any_runs(const struct alloc_queue *q)
{
    for (size_t i = 0; i < q->allocs.len; i++)
        if (q->allocs.data[i]->state == ALLOC_RUNNING)
            return true;
    return false;
}

void autoalloc_on_remove(struct client_link *c, const struct msg_REQ_ALLOC_REMOVE *req)
{
    struct server *s = c->server;
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, req->queue);
    if (!q || q->removing) {
        reply_error(c, ERR_NOT_FOUND, "Error: Allocation queue not found");
        return;
    }
    if (!req->force && any_runs(q)) {
        reply_error(c, ERR_BUSY,
                    "Error: Allocation queue has running jobs, so it will not be "
                    "removed. Use `--force` if you want to remove the queue anyway");
        return;
    }
    struct remove_request *r = xcalloc(1, sizeof *r);
    r->client_id = c->id;
    r->queue = q->id;
    buf_init(&r->failed, BUF_MAX_DEFAULT);
    c->busy = true;
    q->removing = true;
    list_push_back(&s->alloc->removals, &r->node);
    if (!q->n_asked)
        remove_begin(s, r);
}
