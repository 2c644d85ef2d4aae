/*
 * Tasks sent ahead. A lane with grants holds about WINDOW_US of work, so that the
 * worker goes on without asking; near the end of the work no more than an even share.
 */
#include "sched/internal.h"

#define WINDOW_US 30000.0
#define SLICE_US 5000.0   /* while others of the same priority wait for the room */
#define NONE_AHEAD_US 2e6 /* a round trip is nothing against these */

/* Of long tasks one for every allocation; none among several priorities, where it would
 * wait while a less important one starts elsewhere, or start while a more important one
 * waits. */
static uint32_t window_target(const struct lane *l, double work_us, bool mixed)
{
    double duration = lane_way(l)->duration_us, target = 2.0 * l->grants;
    bool is_long = way_is_long(lane_way(l));
    if (duration >= NONE_AHEAD_US || (mixed && (is_long || !way_is_known(lane_way(l)))))
        return l->grants;
    if (!is_long) {
        double by_time = work_us * l->grants / MAX(duration, 1e-3);
        double growth = 4.0 * l->window;
        target = MAX(target, MIN(by_time, growth));
    }
    return (uint32_t)MIN(target, (double)SCHED_WINDOW_MAX);
}

/* The part of all work left that the lane's allocations should do. */
static uint32_t window_share(const struct lane *l, const struct queue *q)
{
    const struct task_class *c = l->class;
    uint64_t ahead = c->unstarted > c->grants ? c->unstarted - c->grants : 0;
    uint64_t share = l->grants * (q->ready.n_tasks + ahead) / MAX(c->grants, 1u);
    return (uint32_t)MIN(l->grants + share, SCHED_WINDOW_MAX);
}

enum window_rival {
    RIVAL_NONE,
    RIVAL_EQUAL, /* a class to be served before this one waits for the worker */
    RIVAL_HIGHER /* and has a higher priority */
};

static enum window_rival window_rival(const struct sched *s, const struct lane *l,
                                      int32_t priority)
{
    /* A variant that costs more than another one makes room for everybody. */
    bool costly = l->variant != l->class->preferred[0];
    for (uint32_t i = 0; i < s->n_blockers; i++) {
        const struct blocker *b = &s->blockers[i];
        bool own = b->class == l->class && b->priority == priority;
        if (b->priority < priority || (own && !costly))
            return RIVAL_NONE;
        if (!own && !b->class->gang && class_capable(s, l->worker, b->class))
            return b->priority > priority ? RIVAL_HIGHER : RIVAL_EQUAL;
    }
    /* There may be more than the list can hold. */
    return s->n_blockers == BLOCKERS_MAX &&
                   s->blockers[BLOCKERS_MAX - 1].priority > priority
               ? RIVAL_HIGHER
               : RIVAL_NONE;
}

static void window_fill(struct sched *s, struct lane *l, struct queue *q)
{
    if (!place_allowed(l->worker, q->priority) || l->dead || l->retracting ||
        !l->grants || !worker_in_time(s, l->worker, lane_way(l)))
        return;
    enum window_rival rival = window_rival(s, l, q->priority);
    if (rival == RIVAL_HIGHER ||
        (rival == RIVAL_EQUAL && l->granted_step != s->step_no))
        return;
    bool lower = s->floor < q->priority;
    if (lower && lane_stalled(s, l))
        return;
    double work_us = rival == RIVAL_EQUAL ? SLICE_US : WINDOW_US;
    uint32_t target = window_target(l, work_us, lower || s->ceiling > q->priority);
    target = MIN(target, window_share(l, q));
    l->window = MAX(target, l->grants * 2);
    if (target > l->n_tasks)
        out_assign(s, l, 0, target - l->n_tasks, q);
}

void windows_fill(struct sched *s)
{
    for (size_t i = 0; i < s->order.len && !s->out_of_budget; i++) {
        struct task_class *c = s->order.data[i];
        struct queue *q = list_empty(&c->hungry) || c->gang ? NULL : class_top(c);
        if (!q)
            continue;
        while (q->ready.n_tasks && !list_empty(&c->hungry)) {
            if (s->budget == 0) {
                s->out_of_budget = true;
                return;
            }
            s->budget--;
            struct lane *l = CONTAINER_OF(list_first(&c->hungry), struct lane, hungry);
            list_remove(&l->hungry);
            window_fill(s, l, q);
        }
    }
}
