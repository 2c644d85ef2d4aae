/* What happens to tasks: made ready, reported by workers, cancelled, adopted. */
#include <stdlib.h>
#include "sched/internal.h"

static struct task_class *class_get(const struct sched *s, uint32_t id)
{
    HQ_ASSERT(id < s->classes.len);
    return s->classes.data[id];
}

void sched_ready(struct sched *s, uint32_t class_id, int32_t priority, uint32_t job,
                 uint32_t slot, uint32_t count)
{
    if (count)
        class_enqueue(s, class_get(s, class_id), priority, job, slot, count);
}

void sched_cancel_job(struct sched *s, uint32_t job)
{
    for (size_t i = 0; i < s->classes.len; i++) {
        struct task_class *c = s->classes.data[i];
        uint64_t n = 0;
        QUEUES_FOR_EACH(&c->queues, q)
        n += ready_set_drop_job(&q->ready, job);
        class_dequeued(s, c, n);
        s->gangs_dirty |= n && c->gang;
        for (size_t k = 0; k < c->lanes.len; k++)
            (void)lane_cancel_job(s, c->lanes.data[k], job);
    }
}

/* Finds a piece of the tasks in the worker's lanes and takes it out. The lane that had
 * the last one comes first: reports of one lane arrive together. */
static struct lane *worker_take_tasks(struct sched *s, struct worker *w, uint32_t job,
                                      uint32_t slot, uint32_t count, uint32_t *n,
                                      int32_t *priority, enum lane_list *list)
{
    for (size_t i = 0; i < w->active.len; i++) {
        struct lane *l = w->active.data[i];
        *n = lane_take_any(s, l, job, slot, count, priority, list);
        if (*n)
            return l;
    }
    return NULL;
}

void sched_started(struct sched *s, uint32_t worker, uint32_t job, uint32_t slot,
                   uint32_t count)
{
    struct worker *w = worker_find(s, worker);
    if (!w)
        return;
    struct gang *g = gang_of_task(w, job, slot);
    if (g) {
        g->started = true;
        return;
    }
    while (count) {
        uint32_t n = 0;
        for (size_t i = 0; i < w->active.len && !n; i++)
            n = lane_start(s, w->active.data[i], job, slot, count);
        n = MAX(n, 1u);
        slot += n;
        count -= n;
    }
}

static void way_ended(struct way *way, uint32_t n, double mean_us)
{
    double weight = MIN(0.75, 0.125 * n);
    way->n_ended += n;
    way->duration_us = way->duration_us < 0
                           ? mean_us
                           : way->duration_us + (mean_us - way->duration_us) * weight;
}

void sched_done(struct sched *s, uint32_t worker, uint32_t job, uint32_t slot,
                uint32_t count, uint32_t released, uint64_t duration_us,
                uint64_t now_us)
{
    s->now_us = MAX(s->now_us, now_us);
    struct worker *w = worker_find(s, worker);
    if (!w || !count)
        return;
    /* Whoever had it, what was refused before may be possible now. */
    if (released)
        worker_unblock(s, w);
    double mean_us = (double)duration_us / count;
    struct gang *g = gang_of_task(w, job, slot);
    if (g) {
        gang_end(s, g, false);
        return;
    }
    while (count) {
        int32_t priority;
        enum lane_list from;
        uint32_t n = 0;
        struct lane *l =
            worker_take_tasks(s, w, job, slot, count, &n, &priority, &from);
        if (l) {
            uint32_t freed = MIN(released, MIN(l->grants, n));
            released -= freed;
            /* Cancelled ones may have ended without having been started. */
            bool ran = from != LANE_GHOST_NEW && from != LANE_GHOST_FENCED;
            if (ran && n > freed)
                lane_got_on(s, l);
            if (ran)
                way_ended(lane_way(l), n, mean_us);
            lane_void_grants(s, l, freed);
            lane_clamp_grants(s, l);
            lane_check_hungry(l);
        }
        n = MAX(n, 1u);
        slot += n;
        count -= n;
    }
}

void sched_grant_refused(struct sched *s, uint32_t worker, uint32_t class_id,
                         uint8_t variant, uint32_t n)
{
    struct worker *w = worker_find(s, worker);
    struct lane *l = w ? lane_find(w, class_id, variant) : NULL;
    if (!l)
        return;
    uint32_t void_already = MIN(n, l->voided);
    l->voided -= void_already;
    n = MIN(n - void_already, l->grants);
    lane_void_grants(s, l, n);
    l->class->nothing_to_steal = false; /* a task may have lost its grant */
    if (!l->blocked && n) {
        l->blocked = true;
        w->n_blocked++;
    }
}

void sched_freed(struct sched *s, uint32_t worker)
{
    struct worker *w = worker_find(s, worker);
    if (w)
        worker_unblock(s, w);
}

/* Takes the unstarted tasks out of the lane and puts them back into the queues. Those
 * cancelled meanwhile vanish. */
static void lane_return(struct sched *s, struct lane *l, const struct task_run *runs,
                        size_t n_runs)
{
    for (size_t i = 0; i < n_runs; i++) {
        uint32_t slot = runs[i].slot, left = runs[i].count;
        while (left) {
            int32_t priority = 0;
            enum lane_list from = LANE_UNSTARTED;
            uint32_t n = lane_take_any(s, l, runs[i].job, slot, left, &priority, &from);
            if (n && (from == LANE_UNSTARTED || from == LANE_STARTED))
                class_enqueue(s, l->class, priority, runs[i].job, slot, n);
            n = MAX(n, 1u);
            slot += n;
            left -= n;
        }
    }
}

void sched_retracted(struct sched *s, uint32_t worker, uint32_t class_id,
                     uint8_t variant, const struct task_run *runs, size_t n_runs)
{
    struct worker *w = worker_find(s, worker);
    struct lane *l = w ? lane_find(w, class_id, variant) : NULL;
    if (!l)
        return;
    lane_return(s, l, runs, n_runs);
    /* The launcher has what did not come: it starts soon, or is asked for again. */
    if (l->retract_count && !n_runs)
        l->class->steal_at_us = s->now_us + (uint64_t)STEAL_WORTH_US;
    lane_fence_answered(s, l);
    lane_check_hungry(l);
    s->retract_lower = true;
    s->gangs_dirty |= s->gangs_yield;
    s->gangs_yield = false;
    worker_mark_dirty(s, w);
}

void sched_rejected(struct sched *s, uint32_t worker, uint32_t class_id,
                    uint8_t variant, const struct task_run *runs, size_t n_runs)
{
    struct worker *w = worker_find(s, worker);
    if (!w || class_id >= s->classes.len ||
        variant >= s->classes.data[class_id]->n_ways)
        return;
    struct lane *l = lane_get(s, w, s->classes.data[class_id], variant);
    l->dead = true;
    if (w->gang && w->gang->class == l->class && w->gang->root == w->id) {
        gang_end(s, w->gang, true);
        return;
    }
    lane_return(s, l, runs, n_runs);
    if (l->grants > l->n_tasks)
        l->voided += l->grants - l->n_tasks;
    lane_clamp_grants(s, l);
    worker_mark_dirty(s, w);
}

bool sched_take(struct sched *s, uint32_t class_id, int32_t priority, uint32_t job,
                uint32_t slot)
{
    struct task_class *c = class_get(s, class_id);
    struct queue *q = queues_find(&c->queues, priority);
    if (!q || !ready_set_remove(&q->ready, job, slot))
        return false;
    class_dequeued(s, c, 1);
    s->gangs_dirty |= c->gang;
    return true;
}

bool sched_adopt(struct sched *s, uint32_t worker, uint32_t class_id, uint8_t variant,
                 int32_t priority, uint32_t job, uint32_t slot)
{
    struct worker *w = worker_find(s, worker);
    struct task_class *c = class_get(s, class_id);
    if (!w || w->gang || variant >= c->n_ways)
        return false;
    if (c->gang)
        return gang_adopt(s, w, c, priority, job, slot);
    if (!sched_take(s, class_id, priority, job, slot))
        return false;
    struct lane *l = lane_get(s, w, c, variant);
    lane_add(s, l, LANE_STARTED, (struct task_run){job, slot, 1, priority});
    lane_grant(s, l, 1);
    return true;
}
