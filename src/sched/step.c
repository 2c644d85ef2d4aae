/* One step: the order of the decisions, and their collection. */
#include <stdlib.h>
#include "base/xmem.h"
#include "sched/internal.h"

/* Visits of workers and lanes, and runs handed out, in one step: a few milliseconds. */
#define STEP_BUDGET 10000u
#define WALKS_MAX 4

struct sched *sched_create(void)
{
    struct sched *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->resource_ids = strmap_create();
    s->group_ids = strmap_create();
    if (!s->resource_ids || !s->group_ids) {
        strmap_destroy(s->resource_ids);
        strmap_destroy(s->group_ids);
        free(s);
        return NULL;
    }
    s->cluster_version = 1;
    list_init(&s->fences);
    s->cpus = resource_intern(s, "cpus");
    return s;
}

void sched_destroy(struct sched *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->workers.len; i++)
        if (s->workers.data[i])
            worker_destroy(s->workers.data[i]);
    for (size_t i = 0; i < s->classes.len; i++)
        class_release(s->classes.data[i]);
    for (size_t i = 0; i < s->gangs.len; i++) {
        vec_release(&s->gangs.data[i]->workers);
        free(s->gangs.data[i]);
    }
    strmap_destroy(s->resource_ids);
    strmap_destroy(s->group_ids);
    u64map_release(&s->class_of);
    u64map_release(&s->worker_of);
    vec_release(&s->cluster);
    vec_release(&s->classes);
    vec_release(&s->order);
    vec_release(&s->touched);
    vec_release(&s->workers);
    vec_release(&s->thrifty);
    vec_release(&s->dirty);
    vec_release(&s->gangs);
    vec_release(&s->reserved);
    vec_release(&s->pending);
    vec_release(&s->out_runs);
    vec_release(&s->out_assigns);
    vec_release(&s->out_retracts);
    vec_release(&s->out_gangs);
    vec_release(&s->lost);
    vec_release(&s->scratch);
    vec_release(&s->scratch2);
    vec_release(&s->picked);
    for (size_t i = 0; i < s->groups.len; i++)
        vec_release(&s->groups.data[i].members);
    vec_release(&s->groups);
    free(s->room);
    free(s->room_sum);
    free(s);
}

static void sent_priority(struct task_class *c, int32_t priority)
{
    c->lowest_sent = c->unstarted ? MIN(c->lowest_sent, priority) : priority;
    c->highest_sent = c->unstarted ? MAX(c->highest_sent, priority) : priority;
}

static void step_priorities(struct sched *s)
{
    int32_t floor = INT32_MAX, ceiling = INT32_MIN;
    for (size_t i = 0; i < s->classes.len; i++) {
        const struct task_class *c = s->classes.data[i];
        if (c->unstarted)
            floor = MIN(floor, c->lowest_sent);
        if (c->unstarted && !(list_empty(&c->ahead) && list_empty(&c->settled)))
            ceiling = MAX(ceiling, c->highest_sent);
        const struct queue *lowest = queues_lowest(&c->queues);
        if (lowest)
            floor = MIN(floor, lowest->priority);
    }
    s->floor = floor;
    s->ceiling = ceiling;
}

static struct pending_assign *pending_of(struct sched *s, struct lane *l)
{
    if (s->pending.len && vec_last(&s->pending).lane == l)
        return &vec_last(&s->pending);
    must_push(&s->pending, ((struct pending_assign){l, 0, s->out_runs.len, 0}));
    return &vec_last(&s->pending);
}

void out_assign(struct sched *s, struct lane *l, uint32_t grants, uint32_t max_tasks,
                struct queue *q)
{
    struct pending_assign *p = pending_of(s, l);
    uint32_t sent = 0;
    p->grants += grants;
    if (max_tasks)
        sent_priority(l->class, q->priority);
    while (sent < max_tasks && q->ready.n_tasks) {
        struct ready_run ready = ready_set_pop(&q->ready, max_tasks - sent);
        struct task_run run = {ready.job, ready.slot, ready.count, q->priority};
        lane_add(s, l, LANE_UNSTARTED, run);
        sent += run.count;
        struct task_run *last = p->n_runs ? &vec_last(&s->out_runs) : NULL;
        if (last && last->job == run.job && last->priority == run.priority &&
            last->slot + last->count == run.slot) {
            last->count += run.count;
        } else {
            must_push(&s->out_runs, run);
            p->n_runs++;
        }
        s->budget -= MIN(s->budget, 1u);
    }
    class_dequeued(s, l->class, sent);
    l->class->nothing_to_steal = false;
    if (sent && s->now_us >= l->ahead_us + STALLED_US)
        lane_unsettle(l, q->priority);
    if (grants) {
        lane_grant(s, l, grants);
        starve_end(s, l->class);
        l->granted_step = s->step_no;
        lane_got_on(s, l);
        lane_check_hungry(l);
    }
}

void out_retract(struct sched *s, struct lane *l, uint32_t max_count)
{
    struct task_class *c = l->class;
    const struct run_list *unstarted = &l->lists[LANE_UNSTARTED];
    if (max_count && unstarted->n_tasks) {
        int32_t top = run_list_from_end(unstarted, max_count)->priority;
        c->retracts_top = c->retracts ? MAX(c->retracts_top, top) : top;
    }
    l->retracting = true;
    l->retract_count = max_count;
    c->retracts += max_count;
    lane_fence_sent(s, l);
    must_push(&s->out_retracts, ((struct sched_retract){l->worker->id, l->class->id,
                                                        l->variant, max_count}));
}

static void out_finish(struct sched *s, struct sched_out *out)
{
    for (size_t i = 0; i < s->pending.len; i++) {
        const struct pending_assign *p = &s->pending.data[i];
        must_push(&s->out_assigns,
                  ((struct sched_assign){p->lane->worker->id, p->lane->class->id,
                                         p->lane->variant, p->grants,
                                         s->out_runs.data + p->first_run, p->n_runs}));
    }
    *out = (struct sched_out){s->out_assigns.data,  s->out_assigns.len,
                              s->out_retracts.data, s->out_retracts.len,
                              s->out_gangs.data,    s->out_gangs.len,
                              s->out_of_budget,     s->wake_us};
}

void sched_step(struct sched *s, uint64_t now_us, struct sched_out *out)
{
    s->now_us = MAX(s->now_us, now_us);
    s->step_no++;
    s->budget = STEP_BUDGET;
    s->out_of_budget = false;
    s->wake_us = 0;
    step_priorities(s);
    s->gang_visits = s->gang_reserves = 0;
    s->gangs_more = false;
    vec_clear(&s->pending);
    vec_clear(&s->out_runs);
    vec_clear(&s->out_assigns);
    vec_clear(&s->out_retracts);
    vec_clear(&s->out_gangs);
    fences_send(s);
    place_spares(s, true);
    bool wider = true;
    for (int i = 0; wider && i < WALKS_MAX; i++) {
        place_walk(s);
        wider = blockers_end(s);
    }
    place_thrifty(s);
    place_spares(s, false);
    windows_fill(s);
    reserved_retract(s);
    steal_lower(s);
    steal_stalled(s);
    steal_for_free(s);
    s->out_of_budget |= s->gangs_more;
    if (!s->out_of_budget)
        s->gangs_dirty = false;
    s->out_of_budget |= wider;
    out_finish(s, out);
}
