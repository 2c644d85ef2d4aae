/* Why a task waits: what the decisions of the last step say about one worker. */
#include "sched/internal.h"

struct told {
    sched_hold_fn *fn;
    void *arg;
};

static void tell(const struct told *t, struct sched_hold hold)
{
    t->fn(t->arg, &hold);
}

static void tell_class(const struct told *t, enum sched_hold_kind kind,
                       const struct task_class *c, uint64_t left_us)
{
    struct queue *q = class_top(c);
    if (!q)
        return;
    struct ready_run first = ready_set_first(&q->ready);
    tell(t, (struct sched_hold){.kind = kind,
                                .variant = SCHED_ALL_VARIANTS,
                                .left_us = left_us,
                                .job = first.job,
                                .slot = first.slot,
                                .priority = q->priority});
}

/* The most important class above the priority that could run on the worker. */
static const struct task_class *worker_rival(const struct sched *s,
                                             const struct worker *w, int32_t priority)
{
    const struct task_class *best = NULL;
    for (size_t i = 0; i < s->classes.len; i++) {
        const struct task_class *c = s->classes.data[i];
        if (!c->waiting || c->gang || class_priority(c) <= priority ||
            !class_capable(s, w, c))
            continue;
        if (!best || class_priority(c) > class_priority(best))
            best = c;
    }
    return best;
}

static void tell_worker(const struct sched *s, const struct told *t,
                        const struct worker *w, const struct task_class *c,
                        int32_t priority)
{
    if (w->draining)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_DRAINING,
                                    .variant = SCHED_ALL_VARIANTS});
    if (w->gang)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_GANG,
                                    .variant = SCHED_ALL_VARIANTS,
                                    .job = w->gang->job,
                                    .slot = w->gang->slot,
                                    .priority = w->gang->priority});
    if (w->reserved && w->reserved != c && priority <= w->reserved_priority &&
        !place_allowed_now(s, w, c, priority))
        tell_class(t, SCHED_HOLD_RESERVED, w->reserved,
                   w->reserved_until_us > s->now_us ? w->reserved_until_us - s->now_us
                                                    : 0);
}

/* Returns whether anything is short. */
static bool tell_resources(const struct told *t, const struct worker *w,
                           const struct way *way, uint8_t variant)
{
    bool any = false;
    for (uint32_t i = 0; i < way->n_needs; i++) {
        const struct need *n = &way->needs[i];
        uint32_t resource = worker_resource(w, n);
        bool there = resource < w->n_resources;
        int64_t amount = worker_need(w, n);
        int64_t have = there ? MAX(w->free[resource], 0) : 0;
        if (have >= amount)
            continue;
        any = true;
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_RESOURCE,
                                    .variant = variant,
                                    .entry = i,
                                    .need = (uint64_t)amount,
                                    .have = (uint64_t)have,
                                    .total = there ? (uint64_t)w->total[resource] : 0});
    }
    return any;
}

static void tell_utilization(const struct sched *s, const struct told *t,
                             const struct worker *w, const struct way *way,
                             uint8_t variant)
{
    if (w->min_utilization <= 0 || !way->uses_cpus || s->cpus >= w->n_resources)
        return;
    double least = w->min_utilization * (double)w->total[s->cpus];
    int64_t used = w->total[s->cpus] - w->free[s->cpus];
    if ((double)used + 0.5 < least)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_UTILIZATION,
                                    .variant = variant,
                                    .need = (uint64_t)least,
                                    .have = (uint64_t)used,
                                    .total = (uint64_t)w->total[s->cpus]});
}

static void tell_variant(const struct sched *s, const struct told *t,
                         const struct worker *w, const struct task_class *c,
                         uint8_t variant)
{
    const struct way *way = &c->ways[variant];
    const struct lane *l = lane_find(w, c->id, variant);
    if (!worker_in_time(s, w, way))
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_TIME, .variant = variant});
    if (l && l->dead)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_REJECTED, .variant = variant});
    if (tell_resources(t, w, way, variant))
        return;
    if (l && l->blocked)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_REFUSED, .variant = variant});
    tell_utilization(s, t, w, way, variant);
}

/* Whole workers count: this one, and how many of its group are free together. */
static void tell_gang(const struct sched *s, const struct told *t,
                      const struct worker *w, const struct task_class *c,
                      int32_t priority)
{
    uint32_t idle = 0;
    const struct lane *l = lane_find(w, c->id, 0);
    if (!worker_in_time(s, w, &c->ways[0]))
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_TIME});
    if (l && l->dead)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_REJECTED});
    if (w->n_tasks)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_BUSY,
                                    .variant = SCHED_ALL_VARIANTS,
                                    .have = w->n_tasks});
    for (size_t i = 0; i < s->workers.len; i++) {
        const struct worker *other = s->workers.data[i];
        idle += other && other->group == w->group && worker_is_idle(other) &&
                gang_usable(s, other, c, priority);
    }
    if (idle < c->ways[0].n_nodes)
        tell(t, (struct sched_hold){.kind = SCHED_HOLD_NODES,
                                    .need = c->ways[0].n_nodes,
                                    .have = idle});
}

void sched_explain(const struct sched *s, uint32_t class_id, int32_t priority,
                   uint32_t worker, sched_hold_fn *fn, void *arg)
{
    const struct worker *w = worker_find(s, worker);
    if (!w || class_id >= s->classes.len)
        return;
    const struct task_class *c = s->classes.data[class_id];
    const struct told t = {fn, arg};
    tell_worker(s, &t, w, c, priority);
    const struct task_class *rival = worker_rival(s, w, priority);
    if (rival)
        tell_class(&t, SCHED_HOLD_PRIORITY, rival, 0);
    for (uint32_t v = 0; v < c->n_ways && !c->gang; v++)
        tell_variant(s, &t, w, c, (uint8_t)v);
    if (c->gang)
        tell_gang(s, &t, w, c, priority);
}

static bool run_list_has(const struct run_list *l, uint32_t job, uint32_t slot)
{
    for (uint32_t i = l->head; i < l->end; i++)
        if (l->runs[i].job == job && slot >= l->runs[i].slot &&
            slot - l->runs[i].slot < l->runs[i].count)
            return true;
    return false;
}

bool sched_find(const struct sched *s, uint32_t class_id, int32_t priority,
                uint32_t job, uint32_t slot, struct sched_position *out)
{
    *out = (struct sched_position){0, false, 0, 0};
    if (class_id >= s->classes.len)
        return false;
    const struct task_class *c = s->classes.data[class_id];
    for (size_t i = 0; i < c->lanes.len; i++) {
        const struct lane *l = c->lanes.data[i];
        bool started = run_list_has(&l->lists[LANE_STARTED], job, slot);
        if (started || run_list_has(&l->lists[LANE_UNSTARTED], job, slot)) {
            out->worker = l->worker->id;
            out->started = started;
            return true;
        }
    }
    for (size_t i = 0; i < s->classes.len; i++)
        QUEUES_FOR_EACH(&s->classes.data[i]->queues, q)
    out->n_above += q->priority > priority ? q->ready.n_tasks : 0;
    const struct queue *q = queues_find(&c->queues, priority);
    return q && ready_set_rank(&q->ready, job, slot, &out->n_before);
}
