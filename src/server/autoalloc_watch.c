/* What becomes of allocations: the batch system's word, their workers, cancelling. */
#include "server/autoalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/xmem.h"

#define INACTIVE_KEPT 20u /* directories of ended allocations */
#define SUSPECT_US 10000000ULL

/* ---- changes --------------------------------------------------------------------- */

void autoalloc_started(struct server *s, struct alloc_queue *q, struct allocation *a,
                       uint64_t started_us)
{
    struct alloc_event e = {.id = span_str(a->id), .started_us = started_us};
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_ALLOC_STARTED, s->now_us);
    buf_u32(&event, q->id);
    alloc_started_encode(&e, &event);
    (void)alloc_apply_started(&s->alloc->book, q->id, &e);
    commit_event(s, &event);
    buf_release(&event);
    a->running_us = clock_mono_us();
    autoalloc_note(s);
}

void autoalloc_judge(struct server *s, struct alloc_queue *q)
{
    enum alloc_queue_state verdict = alloc_verdict(q, s->alloc->fails_max);
    if (verdict == QUEUE_ACTIVE || q->state != QUEUE_ACTIVE)
        return;
    log_error("The queue %u had too many failed %s, it will be paused.", q->id,
              verdict == QUEUE_PAUSED_SUBMISSIONS ? "submissions" : "allocations");
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_ALLOC_QUEUE_STATE, s->now_us);
    buf_u32(&event, q->id);
    buf_u8(&event, (uint8_t)verdict);
    alloc_apply_state(&s->alloc->book, q->id, verdict);
    commit_event(s, &event);
    buf_release(&event);
}

static void tell_end(const struct alloc_queue *q, const struct allocation *a)
{
    if (a->state == ALLOC_FAILED)
        log_warn("Allocation %s of queue %u failed, see \"%s/stderr\"", a->id, q->id,
                 a->dir);
    else if (q->barren)
        log_warn("Allocation %s of queue %u ended, and no worker came from it, see "
                 "\"%s/stderr\"",
                 a->id, q->id, a->dir);
}

void autoalloc_ended(struct server *s, struct alloc_queue *q, struct allocation *a,
                     enum alloc_state state, uint64_t started_us, uint64_t ended_us)
{
    struct alloc_event e = {.id = span_str(a->id),
                            .started_us = started_us,
                            .ended_us = MAX(ended_us, started_us),
                            .state = (uint8_t)state};
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_ALLOC_ENDED, s->now_us);
    buf_u32(&event, q->id);
    alloc_ended_encode(&e, &event);
    if (!a->dir_noted)
        autoalloc_note_inactive(s, a->dir);
    a->dir_noted = true;
    (void)alloc_apply_ended(&s->alloc->book, q->id, &e);
    commit_event(s, &event);
    buf_release(&event);
    if (s->stopping)
        return;
    alloc_outcome(q, a);
    tell_end(q, a);
    autoalloc_judge(s, q);
    autoalloc_note(s);
}

/* ---- workers --------------------------------------------------------------------- */

void autoalloc_worker_joined(struct server *s, const struct worker *w)
{
    struct alloc_queue *q;
    struct alloc_book *b = &s->alloc->book;
    autoalloc_note(s);
    if (!w->config.manager_job || b->queues.len == 0)
        return;
    struct allocation *a =
        alloc_book_find(b, w->config.manager, w->config.manager_job, &q);
    if (!a) {
        log_warn("Worker %u comes from allocation %s, which is not known", w->id,
                 w->config.manager_job);
        return;
    }
    alloc_apply_worker(b, w->config.manager, w->config.manager_job, &w->config.pools);
    if (!allocation_active(a)) /* it was lost, and comes back */
        a->n_joined = a->n_left = a->n_crashed = 0;
    if (a->n_joined - a->n_left >= a->workers)
        log_warn("Worker %u is one more than allocation %s asked for", w->id, a->id);
    a->n_joined++;
    a->look_us = 0;
    if (a->state != ALLOC_RUNNING)
        autoalloc_started(s, q, a, s->now_us);
}

void autoalloc_worker_left(struct server *s, const struct worker *w,
                           enum worker_end reason)
{
    struct alloc_queue *q;
    autoalloc_note(s);
    if (!w->config.manager_job)
        return;
    struct allocation *a =
        alloc_book_find(&s->alloc->book, w->config.manager, w->config.manager_job, &q);
    if (!a || !allocation_active(a) || a->n_left >= a->n_joined)
        return;
    bool lost = reason == WORKER_CONNECTION_LOST || reason == WORKER_HEARTBEAT_LOST;
    a->n_left++;
    a->n_crashed += lost && s->now_us < w->started_us + ALLOC_CRASH_US;
    if (a->n_left == a->n_joined)
        a->look_us = clock_mono_us() + SUSPECT_US;
    enum alloc_state state = alloc_after_worker_lost(a);
    if (alloc_state_ended(state))
        autoalloc_ended(s, q, a, state, a->started_us, s->now_us);
}

void autoalloc_find_workers(struct server *s, struct alloc_queue *q,
                            struct allocation *a)
{
    for (uint32_t id = s->n_link_by_id; id >= 1; id--) {
        const struct worker *w =
            worker_link_of(s, id) ? state_worker(&s->state, id) : NULL;
        if (w && w->config.manager == q->params.manager && w->config.manager_job &&
            strcmp(w->config.manager_job, a->id) == 0)
            autoalloc_worker_joined(s, w);
    }
}

/* ---- the batch system --------------------------------------------------------------
 */

/* One question about some allocations of a queue. */
struct look {
    uint32_t queue;
    const struct batch_ops *ops;
    size_t n;
    char *ids[];
};

/* Zero when the batch system did not say, or says what cannot be a time. */
static uint64_t time_us(const struct batch_time *t)
{
    struct tm tm = {.tm_year = t->year - 1900,
                    .tm_mon = t->month - 1,
                    .tm_mday = t->day,
                    .tm_hour = t->hour,
                    .tm_min = t->minute,
                    .tm_sec = t->second,
                    .tm_isdst = -1};
    time_t at = t->known ? mktime(&tm) : 0;
    return at > 0 ? (uint64_t)at * 1000000 : 0;
}

static void take_status(struct server *s, struct alloc_queue *q, struct allocation *a,
                        const struct batch_status *st)
{
    enum alloc_state was = a->state, is = alloc_after_status(a, st->state);
    uint64_t started = time_us(&st->started), ended = time_us(&st->ended);
    if (st->state == BATCH_ERROR)
        log_warn("State of allocation %s is not known: %s", a->id, st->why);
    if (is == was)
        return;
    if (is == ALLOC_RUNNING) {
        autoalloc_started(s, q, a, started ? started : s->now_us);
        a->look_us = clock_mono_us() + s->alloc->look_ms * 1000;
        return;
    }
    if (a->started_us)
        started = a->started_us;
    autoalloc_ended(s, q, a, is, started, ended ? ended : s->now_us);
}

static void on_look(struct server *s, void *arg, struct io_command_result *r)
{
    struct look *l = arg;
    struct error err = ERROR_INIT;
    struct batch_status *st = xcalloc(l->n, sizeof *st);
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, l->queue);
    bool ok = helper_ok(l->ops->status_program, r, &err);
    const struct batch_answer answer = {.ok = ok,
                                        .out = {r->out.data, r->out.len},
                                        .err = {r->err_out.data, r->err_out.len}};
    struct error why = ERROR_INIT;
    bool read =
        r->started && r->rc == 0 &&
        l->ops->read_status(&answer, (const char *const *)l->ids, l->n, st, &why) == 0;
    for (size_t i = 0; i < l->n; i++) {
        struct allocation *a =
            q && !q->removing ? alloc_queue_find(q, l->ids[i]) : NULL;
        if (!read) {
            st[i].state = BATCH_ERROR;
            (void)snprintf(st[i].why, sizeof st[i].why, "%.150s",
                           ok ? why.text : err.text);
        }
        if (a && allocation_active(a) && !s->stopping)
            take_status(s, q, a, &st[i]);
        free(l->ids[i]);
    }
    if (q)
        q->looks--;
    free(st);
    free(l);
}

static void look_at(struct server *s, struct alloc_queue *q,
                    struct allocation *const *allocs, size_t n)
{
    struct batch_command command = {VEC_INIT};
    struct look *l = xcalloc(1, sizeof *l + n * sizeof *l->ids);
    l->queue = q->id;
    l->ops = batch_ops_of(q->params.manager);
    l->n = n;
    for (size_t i = 0; i < n; i++)
        l->ids[i] = xstrdup(allocs[i]->id);
    l->ops->status_command((const char *const *)l->ids, n, &command);
    const struct helper_spec spec = {
        .command = &command, .dir = allocs[0]->dir, .look = true};
    q->looks++;
    helper_run(s, &spec, on_look, l);
}

/* Whose answers are not there yet is not asked again. */
void autoalloc_look(struct server *s, struct alloc_queue *q)
{
    size_t most = batch_ops_of(q->params.manager)->ids_max, n = 0;
    if (q->looks || q->removing)
        return;
    struct allocation **batch = xcalloc(most, sizeof *batch);
    for (size_t i = 0; i < q->allocs.len; i++) {
        if (!allocation_active(q->allocs.data[i]))
            continue;
        batch[n++] = q->allocs.data[i];
        if (n == most) {
            look_at(s, q, batch, n);
            n = 0;
        }
    }
    if (n)
        look_at(s, q, batch, n);
    free(batch);
}

void autoalloc_look_suspects(struct server *s, uint64_t now_us)
{
    const struct alloc_book *b = &s->alloc->book;
    for (size_t i = 0; i < b->queues.len; i++) {
        struct alloc_queue *q = b->queues.data[i];
        for (size_t k = 0; k < q->allocs.len && !q->removing; k++) {
            struct allocation *a = q->allocs.data[k];
            if (!allocation_active(a) || !a->look_us || now_us < a->look_us)
                continue;
            /* One that waits may do so for days. */
            a->look_us =
                a->state == ALLOC_RUNNING ? now_us + s->alloc->look_ms * 1000 : 0;
            look_at(s, q, &a, 1);
        }
    }
}

/* ---- cancelling -------------------------------------------------------------------
 */

struct cancelling {
    char *id;
    const struct batch_ops *ops;
    cancelled_fn *fn;
    void *arg;
};

static void on_cancelled(struct server *s, void *arg, struct io_command_result *r)
{
    struct cancelling *c = arg;
    struct error err = ERROR_INIT;
    bool ok = helper_cancelled(c->ops, r, &err);
    if (ok)
        log_info("Allocation %s was removed", c->id);
    else
        log_error("Failed to remove allocation %s: %s", c->id, err.text);
    if (c->fn)
        c->fn(s, c->arg, c->id, ok ? NULL : &err);
    free(c->id);
    free(c);
}

void autoalloc_cancel(struct server *s, uint8_t manager, const char *id,
                      const char *dir, cancelled_fn *fn, void *arg)
{
    struct batch_command command = {VEC_INIT};
    struct cancelling *c = xcalloc(1, sizeof *c);
    c->id = xstrdup(id);
    c->ops = batch_ops_of(manager);
    c->fn = fn;
    c->arg = arg;
    batch_cancel_command(c->ops, id, &command);
    const struct helper_spec spec = {.command = &command, .dir = dir, .urgent = true};
    helper_run(s, &spec, on_cancelled, c);
}

/* It ended because we wanted it, which is no failure. */
static void on_known_cancelled(struct server *s, void *arg, const char *id,
                               const struct error *err)
{
    uint32_t *queue = arg;
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, *queue);
    struct allocation *a = q && !err ? alloc_queue_find(q, id) : NULL;
    if (a && allocation_active(a))
        autoalloc_ended(s, q, a, ALLOC_FINISHED, a->started_us, s->now_us);
    free(queue);
}

void autoalloc_cancel_known(struct server *s, const struct alloc_queue *q,
                            const struct allocation *a)
{
    autoalloc_cancel(s, q->params.manager, a->id, a->dir, on_known_cancelled,
                     xmemdup(&q->id, sizeof q->id));
}

/* ---- directories -------------------------------------------------------------------
 */

void autoalloc_note_inactive(struct server *s, const char *dir)
{
    HQ_ASSERT(vec_push(&s->alloc->inactive, xstrdup(dir)));
}

struct removal {
    size_t n;
    char *dirs[];
};

static int remove_dirs(void *arg, struct error *err)
{
    struct removal *r = arg;
    int rc = 0;
    for (size_t i = 0; i < r->n; i++)
        if (path_remove_tree(r->dirs[i], err) != 0)
            rc = err->code;
    return rc;
}

static void on_dirs_removed(struct server *s, void *arg, struct io_command_result *res)
{
    struct removal *r = arg;
    (void)s;
    if (res->rc != 0)
        log_warn("%s", res->err.text);
    for (size_t i = 0; i < r->n; i++)
        free(r->dirs[i]);
    free(r);
}

void autoalloc_trim_directories(struct server *s)
{
    struct alloc_engine *e = s->alloc;
    if (e->inactive.len <= INACTIVE_KEPT)
        return;
    size_t n = e->inactive.len - INACTIVE_KEPT;
    struct removal *r = xcalloc(1, sizeof *r + n * sizeof *r->dirs);
    r->n = n;
    memcpy(r->dirs, e->inactive.data, n * sizeof *r->dirs);
    memmove(e->inactive.data, e->inactive.data + n, INACTIVE_KEPT * sizeof *r->dirs);
    e->inactive.len = INACTIVE_KEPT;
    const struct helper_spec spec = {.before = remove_dirs};
    helper_run(s, &spec, on_dirs_removed, r);
}
