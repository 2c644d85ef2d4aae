#include "autoalloc/policy.h"

#include <stdlib.h>
#include "base/xmem.h"

#define MINUTE_US (60 * 1000000ULL)

/* Between rounds of submissions, by level. */
static const uint64_t delays_us[] = {0, MINUTE_US, 15 * MINUTE_US, 30 * MINUTE_US,
                                     60 * MINUTE_US};

/* ---- the limiter ----------------------------------------------------------------- */

uint64_t alloc_delay_us(const struct alloc_queue *q, uint64_t now_us)
{
    uint64_t until = q->any_round ? q->round_us + delays_us[q->level] : 0;
    return until > now_us ? until - now_us : 0;
}

static void level_up(struct alloc_queue *q)
{
    q->level = MIN(q->level + 1, (uint32_t)ARRAY_SIZE(delays_us) - 1);
}

void alloc_round_began(struct alloc_queue *q, uint64_t now_us)
{
    q->any_round = true;
    q->round_us = now_us;
}

void alloc_submit_ended(struct alloc_queue *q, bool ok)
{
    if (!ok) {
        q->submit_fails++;
        level_up(q);
        return;
    }
    q->submit_fails = 0;
    if (q->alloc_fails == 0)
        q->level = 0;
}

void alloc_outcome(struct alloc_queue *q, const struct allocation *a)
{
    bool barren = a->state == ALLOC_FINISHED && !a->had_worker;
    q->barren = barren ? q->barren + 1 : 0;
    if (a->state == ALLOC_FAILED || q->barren > ALLOC_BARREN_MAX) {
        q->alloc_fails++;
        level_up(q);
        return;
    }
    q->alloc_fails = 0;
    q->level = 0;
}

enum alloc_queue_state alloc_verdict(const struct alloc_queue *q, uint32_t fails_max)
{
    if (q->submit_fails >= ALLOC_SUBMIT_FAILS_MAX)
        return QUEUE_PAUSED_SUBMISSIONS;
    return q->alloc_fails >= fails_max ? QUEUE_PAUSED_ALLOCATIONS : QUEUE_ACTIVE;
}

void alloc_forgive(struct alloc_queue *q)
{
    q->level = q->submit_fails = q->alloc_fails = q->barren = 0;
    q->any_round = false;
}

/* ---- how much -------------------------------------------------------------------- */

/* Demand that is left when what is on its way has come. */
struct left {
    uint64_t workers;
    struct gang_demand *gangs;
    size_t n_gangs;
};

/* So many workers come together: they satisfy one task of several nodes, the largest
 * that fits, and what is left of them serves tasks of one node. */
static void subtract(struct left *l, uint64_t workers)
{
    struct gang_demand *best = NULL;
    for (size_t i = 0; i < l->n_gangs; i++) {
        struct gang_demand *g = &l->gangs[i];
        if (g->n_tasks && g->n_nodes <= workers &&
            (!best || g->n_nodes > best->n_nodes))
            best = g;
    }
    if (best) {
        best->n_tasks--;
        workers -= best->n_nodes;
    }
    l->workers -= MIN(l->workers, workers);
}

/* Workers that will come from the allocation. */
static uint32_t coming(const struct allocation *a, uint64_t now_us)
{
    if (a->state == ALLOC_QUEUED)
        return a->workers;
    bool young = a->running_us && now_us < a->running_us + ALLOC_COMING_US;
    return a->state == ALLOC_RUNNING && young && a->n_joined < a->workers
               ? a->workers - a->n_joined
               : 0;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Whether the queue may submit anything, as far as limits do not tell. */
static bool ready(const struct alloc_queue *q, uint64_t now_us)
{
    return q->state == QUEUE_ACTIVE && !q->n_asked && alloc_delay_us(q, now_us) == 0;
}

void alloc_supply(const struct alloc_queue *q, uint64_t now_us,
                  struct alloc_supply *out)
{
    const struct alloc_params *p = &q->params;
    uint64_t active = alloc_queue_workers(q);
    uint32_t waiting = alloc_queue_waiting(q);
    *out = (struct alloc_supply){.room = UINT64_MAX};
    out->coming = xcalloc(q->allocs.len + q->n_asked + 1, sizeof *out->coming);
    for (size_t i = 0; i < q->allocs.len; i++) {
        uint32_t n = coming(q->allocs.data[i], now_us);
        if (n)
            out->coming[out->n_coming++] = n;
    }
    for (size_t i = 0; i < q->n_asked; i++)
        out->coming[out->n_coming++] = q->asked[i];
    qsort(out->coming, out->n_coming, sizeof *out->coming, by_size);
    if (p->max_worker_count)
        out->room = p->max_worker_count > active ? p->max_worker_count - active : 0;
    if (ready(q, now_us) && waiting < p->backlog && out->room)
        out->more = p->backlog - waiting;
}

void alloc_supply_release(struct alloc_supply *s)
{
    free(s->coming);
    *s = (struct alloc_supply){0};
}

struct plan {
    uint32_t *sizes;
    size_t n, max;
    uint64_t room;
};

static bool plan_add(struct plan *p, uint64_t size)
{
    if (p->n == p->max || size == 0 || size > p->room)
        return false;
    p->sizes[p->n++] = (uint32_t)size;
    p->room -= size;
    return true;
}

size_t alloc_plan(const struct alloc_queue *q, const struct alloc_demand *d,
                  uint64_t now_us, uint32_t *sizes, size_t max)
{
    uint64_t most = q->params.max_workers_per_alloc;
    struct alloc_supply supply;
    alloc_supply(q, now_us, &supply);
    struct plan plan = {
        .sizes = sizes, .max = MIN(max, supply.more), .room = supply.room};
    struct left left = {d->n_workers, NULL, d->n_gangs};
    left.gangs = xcalloc(d->n_gangs + 1, sizeof *left.gangs);
    if (d->n_gangs)
        memcpy(left.gangs, d->gangs, d->n_gangs * sizeof *left.gangs);
    for (size_t i = 0; i < supply.n_coming; i++)
        subtract(&left, supply.coming[i]);
    alloc_supply_release(&supply);
    /* A smaller allocation than a gang's would be of no use to it. */
    for (size_t i = 0; i < left.n_gangs; i++)
        for (; left.gangs[i].n_tasks && left.gangs[i].n_nodes <= most;)
            if (!plan_add(&plan, left.gangs[i].n_nodes))
                break;
            else
                left.gangs[i].n_tasks--;
    while (left.workers && plan.room) {
        uint64_t size = MIN(MIN(left.workers, most), plan.room);
        if (!plan_add(&plan, size))
            break;
        left.workers -= size;
    }
    free(left.gangs);
    return plan.n;
}

/* ---- what reports mean ------------------------------------------------------------
 */

enum alloc_state alloc_after_worker_lost(const struct allocation *a)
{
    if (a->state != ALLOC_RUNNING || a->n_left < a->workers)
        return a->state;
    return a->n_crashed >= a->n_left ? ALLOC_FAILED : ALLOC_FINISHED;
}

enum alloc_state alloc_after_status(struct allocation *a, enum batch_state seen)
{
    bool running = a->state == ALLOC_RUNNING;
    if (!allocation_active(a))
        return a->state;
    if (seen != BATCH_ERROR)
        a->n_errors = 0;
    switch (seen) {
    case BATCH_QUEUED:
        return a->state;
    case BATCH_RUNNING:
        return ALLOC_RUNNING;
    case BATCH_FINISHED:
        return ALLOC_FINISHED;
    case BATCH_FAILED:
        return ALLOC_FAILED;
    case BATCH_GONE:
        /* One that ran may have ended long ago. */
        return running ? ALLOC_FINISHED : ALLOC_FAILED;
    case BATCH_ERROR:
        break;
    }
    a->n_errors++;
    if (running)
        return a->n_errors > ALLOC_ERRORS_RUNNING ? ALLOC_FINISHED : a->state;
    return a->n_errors > ALLOC_ERRORS_QUEUED ? ALLOC_FAILED : a->state;
}
