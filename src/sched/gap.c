/*
 * What waiting tasks of higher priority keep free. On a worker that could run such a
 * task, others may use only what is left when as many of these as fit (and exist) are
 * packed into its total.
 */
#include "sched/internal.h"
#include "sched/room.h"

void blockers_begin(struct sched *s)
{
    s->n_blockers = 0;
    s->walk_no++;
}

void blockers_add(struct sched *s, struct task_class *c, int32_t priority)
{
    if (s->n_blockers == BLOCKERS_MAX)
        return;
    s->blockers[s->n_blockers++] = (struct blocker){c, priority, c->waiting, false};
}

void blockers_add_recalled(struct sched *s, struct task_class *c, int32_t priority)
{
    if (c->recalled_walk == s->walk_no || s->n_blockers >= BLOCKERS_MAX / 2)
        return;
    c->recalled_walk = s->walk_no;
    s->blockers[s->n_blockers++] = (struct blocker){c, priority, c->retracts, true};
}

bool worker_left_to_recalled(const struct sched *s, const struct worker *w,
                             int32_t priority)
{
    for (uint32_t i = 0; i < s->n_blockers; i++)
        if (s->blockers[i].recalled && s->blockers[i].priority > priority &&
            class_capable(s, w, s->blockers[i].class))
            return true;
    return false;
}

/* The order seldom changes between two steps, so `at` is looked at first. */
static const struct blocker *blocker_find(const struct blocker *list, uint32_t n,
                                          const struct blocker *b, uint32_t at)
{
    if (at < n && list[at].class == b->class && list[at].recalled == b->recalled)
        return &list[at];
    for (uint32_t i = 0; i < n; i++)
        if (list[i].class == b->class && list[i].recalled == b->recalled)
            return &list[i];
    return NULL;
}

static void gaps_reopen(struct sched *s)
{
    for (size_t i = 0; i < s->workers.len; i++) {
        struct worker *w = s->workers.data[i];
        if (!w || !w->gap_denied)
            continue;
        w->gap_denied = false;
        room_open(s, w);
    }
    s->n_gap_denied = 0;
}

void gaps_reopen_raised(struct sched *s, struct task_class *c)
{
    if (class_priority(c) <= c->closed_priority)
        return;
    c->closed_priority = INT32_MAX;
    if (!s->n_gap_denied && !s->reserved.len)
        return;
    for (size_t i = 0; i < s->workers.len; i++) {
        const struct worker *w = s->workers.data[i];
        if (w && (w->gap_denied || w->reserved))
            room_open_class(s, w, c->id);
    }
}

bool blockers_end(struct sched *s)
{
    bool wider = false;
    if (s->out_of_budget)
        return false;
    for (uint32_t i = 0; s->n_gap_denied && i < s->n_blockers_before && !wider; i++) {
        const struct blocker *was = &s->blockers_before[i], *is;
        is = blocker_find(s->blockers, s->n_blockers, was, i);
        wider = !is || is->priority < was->priority ||
                (is->waiting < was->waiting && is->waiting < is->class->most_fit);
    }
    for (uint32_t i = 0; i < s->n_blockers && !s->retract_lower; i++) {
        const struct blocker *is = &s->blockers[i], *was;
        was = blocker_find(s->blockers_before, s->n_blockers_before, is, i);
        s->retract_lower = !is->recalled && (!was || was->priority < is->priority);
    }
    memcpy(s->blockers_before, s->blockers, s->n_blockers * sizeof *s->blockers);
    s->n_blockers_before = s->n_blockers;
    if (!wider)
        return false;
    gaps_reopen(s);
    return true;
}

static bool way_dead(const struct worker *w, const struct task_class *c,
                     uint32_t variant)
{
    const struct lane *l = lane_find(w, c->id, (uint8_t)variant);
    return l && l->dead;
}

bool class_capable(const struct sched *s, const struct worker *w,
                   const struct task_class *c)
{
    for (uint32_t v = 0; v < c->n_ways; v++)
        if (worker_capable(w, &c->ways[v]) && worker_in_time(s, w, &c->ways[v]) &&
            !way_dead(w, c, v))
            return true;
    return false;
}

/* Fills *left with what `count` tasks of the class leave to others. False when the
 * class cannot run there at all. */
static bool gap_left(const struct sched *s, const struct worker *w,
                     const struct task_class *h, uint64_t count, int64_t *left)
{
    bool any = false;
    memcpy(left, w->total, w->n_resources * sizeof *left);
    for (uint32_t v = 0; v < h->n_ways; v++) {
        const struct lane *l = lane_find(w, h->id, (uint8_t)v);
        count += l ? l->grants : 0;
    }
    for (uint32_t v = 0; v < h->n_ways; v++) {
        const struct way *way = &h->ways[v];
        if (!worker_in_time(s, w, way) || way_dead(w, h, v))
            continue;
        uint32_t n = worker_fit(w, way, left, (uint32_t)MIN(count, UINT32_MAX));
        any |= n > 0;
        count -= n;
        for (uint32_t i = 0; n && i < way->n_needs; i++)
            left[worker_resource(w, &way->needs[i])] -=
                worker_need(w, &way->needs[i]) * n;
    }
    if (!any)
        return false;
    for (uint32_t r = 0; r < w->n_resources; r++)
        left[r] -= w->total[r] - w->free[r];
    for (uint32_t v = 0; v < h->n_ways; v++) {
        const struct lane *l = lane_find(w, h->id, (uint8_t)v);
        for (uint32_t i = 0; l && l->grants && i < h->ways[v].n_needs; i++) {
            const struct need *n = &h->ways[v].needs[i];
            uint32_t resource = worker_resource(w, n);
            if (resource < w->n_resources)
                left[resource] += worker_need(w, n) * l->grants;
        }
    }
    return true;
}

/* Makes w->gap_left what the first n blockers leave; all classes of one priority, and
 * those below, go on from there. */
static void gap_update(struct sched *s, struct worker *w, uint32_t n)
{
    if (w->gap_walk != s->walk_no || w->gap_changes != w->changes ||
        w->gap_blockers > n) {
        for (uint32_t r = 0; r < w->n_resources; r++)
            w->gap_left[r] = INT64_MAX;
        w->gap_walk = s->walk_no;
        w->gap_changes = w->changes;
        w->gap_blockers = 0;
    }
    HQ_ASSERT(vec_reserve(&s->scratch2, w->n_resources + 1));
    for (; w->gap_blockers < n; w->gap_blockers++) {
        const struct blocker *b = &s->blockers[w->gap_blockers];
        const struct task_class *h = b->class;
        uint64_t count = b->recalled ? h->retracts : h->waiting;
        if (h->gang || !count || !gap_left(s, w, h, count, s->scratch2.data))
            continue;
        for (uint32_t r = 0; r < w->n_resources; r++)
            w->gap_left[r] = MIN(w->gap_left[r], s->scratch2.data[r]);
    }
}

const int64_t *gap_amounts(struct sched *s, struct worker *w, int32_t priority)
{
    uint32_t above = s->n_blockers;
    while (above > 0 && s->blockers[above - 1].priority <= priority)
        above--;
    if (!above)
        return NULL;
    gap_update(s, w, above);
    return w->gap_left;
}

uint32_t gap_limit(struct sched *s, struct worker *w, const struct way *way,
                   int32_t priority, uint32_t n)
{
    const int64_t *gap = gap_amounts(s, w, priority);
    if (!gap)
        return n;
    uint32_t allowed = worker_fit(w, way, gap, n);
    if (allowed < n && !w->gap_denied) {
        w->gap_denied = true;
        s->n_gap_denied++;
    }
    return allowed;
}
