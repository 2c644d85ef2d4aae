/* The books of one lane: its tasks by what is known of them, and its grants. */
#include <stdlib.h>
#include "base/xmem.h"
#include "sched/internal.h"
#include "sched/room.h"

struct lane *lane_find(const struct worker *w, uint32_t class_id, uint8_t variant)
{
    uint64_t p;
    return u64map_get(&w->lane_of, (uint64_t)class_id << 8 | variant, &p)
               ? (struct lane *)(uintptr_t)p
               : NULL;
}

struct lane *lane_get(struct sched *s, struct worker *w, struct task_class *c,
                      uint8_t variant)
{
    (void)s;
    struct lane *l = lane_find(w, c->id, variant);
    if (l)
        return l;
    l = xcalloc(1, sizeof *l);
    l->worker = w;
    l->class = c;
    l->variant = variant;
    l->worker_pos = l->class_pos = NO_INDEX;
    must_push(&w->lanes, l);
    HQ_ASSERT(!u64map_set(&w->lane_of, (uint64_t)c->id << 8 | variant,
                          (uint64_t)(uintptr_t)l));
    return l;
}

uint32_t lane_spare(const struct lane *l)
{
    uint64_t there = (uint64_t)l->lists[LANE_UNSTARTED].n_tasks +
                     l->lists[LANE_STARTED].n_tasks +
                     l->lists[LANE_GHOST_STARTED].n_tasks;
    uint64_t held = (uint64_t)l->retract_count +
                    MAX(l->grants, l->lists[LANE_STARTED].n_tasks +
                                       l->lists[LANE_GHOST_STARTED].n_tasks);
    return there > held ? (uint32_t)(there - held) : 0;
}

static void lane_activate(struct sched *s, struct lane *l)
{
    l->worker_pos = (uint32_t)l->worker->active.len;
    must_push(&l->worker->active, l);
    l->class_pos = (uint32_t)l->class->lanes.len;
    must_push(&l->class->lanes, l);
    worker_update_idle(s, l->worker);
}

static void lane_deactivate(struct sched *s, struct lane *l)
{
    struct worker *w = l->worker;
    struct task_class *c = l->class;
    vec_swap_remove(&w->active, l->worker_pos);
    if (l->worker_pos < w->active.len)
        w->active.data[l->worker_pos]->worker_pos = l->worker_pos;
    vec_swap_remove(&c->lanes, l->class_pos);
    if (l->class_pos < c->lanes.len)
        c->lanes.data[l->class_pos]->class_pos = l->class_pos;
    l->worker_pos = l->class_pos = NO_INDEX;
    if (list_linked(&l->hungry))
        list_remove(&l->hungry);
    if (list_linked(&l->ghosts))
        list_remove(&l->ghosts);
    worker_update_idle(s, w);
}

static void lane_check_ahead(struct sched *s, struct lane *l)
{
    bool is = l->n_tasks > l->grants;
    if (is == list_linked(&l->ahead))
        return;
    if (!is) {
        list_remove(&l->ahead);
        return;
    }
    list_push_back(&l->class->ahead, &l->ahead);
    l->ahead_us = s->now_us;
}

void lane_ahead_again(struct sched *s, struct lane *l)
{
    if (!list_linked(&l->ahead))
        return;
    list_remove(&l->ahead);
    lane_check_ahead(s, l);
}

void lane_unsettle(struct lane *l, int32_t priority)
{
    if (list_linked(&l->ahead))
        l->class->settled_top = MAX(l->class->settled_top, priority);
}

void lane_got_on(struct sched *s, struct lane *l)
{
    l->progress_us = s->now_us;
    lane_ahead_again(s, l);
}

/* Other tasks may be the ones that wait ahead. */
static void lane_check_highest(struct lane *l)
{
    struct task_class *c = l->class;
    if (l->lists[LANE_UNSTARTED].n_tasks)
        c->highest_sent =
            MAX(c->highest_sent, run_list_first(&l->lists[LANE_UNSTARTED])->priority);
}

/* Books a change of the number of tasks in a list. */
static void lane_count(struct sched *s, struct lane *l, enum lane_list list,
                       uint32_t added, uint32_t removed)
{
    bool was_active = l->n_tasks > 0;
    l->n_tasks += added - removed;
    if (list == LANE_UNSTARTED)
        l->class->unstarted += (uint64_t)added - removed;
    if (list == LANE_STARTED)
        l->worker->n_running += added - removed;
    if (list == LANE_STARTED || list == LANE_GHOST_STARTED)
        l->class->started += (uint64_t)added - removed;
    if (list == LANE_UNSTARTED || list == LANE_STARTED)
        l->worker->n_tasks += added - removed;
    if (removed)
        lane_check_highest(l);
    if (!was_active && l->n_tasks > 0)
        lane_activate(s, l);
    else if (was_active && l->n_tasks == 0)
        lane_deactivate(s, l);
    lane_check_ahead(s, l);
}

void lane_add(struct sched *s, struct lane *l, enum lane_list list, struct task_run run)
{
    run_list_add(&l->lists[list], run);
    lane_count(s, l, list, run.count, 0);
}

uint32_t lane_take(struct sched *s, struct lane *l, enum lane_list list, uint32_t job,
                   uint32_t slot, uint32_t count, int32_t *priority)
{
    uint32_t n = run_list_take(&l->lists[list], job, slot, count, priority);
    if (n)
        lane_count(s, l, list, 0, n);
    return n;
}

uint32_t lane_take_any(struct sched *s, struct lane *l, uint32_t job, uint32_t slot,
                       uint32_t count, int32_t *priority, enum lane_list *list)
{
    static const enum lane_list order[] = {LANE_STARTED, LANE_UNSTARTED,
                                           LANE_GHOST_STARTED, LANE_GHOST_FENCED,
                                           LANE_GHOST_NEW};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (!l->lists[order[i]].n_tasks)
            continue;
        uint32_t n = lane_take(s, l, order[i], job, slot, count, priority);
        if (n) {
            *list = order[i];
            return n;
        }
    }
    return 0;
}

/* Marks tasks of one list as started. */
uint32_t lane_start(struct sched *s, struct lane *l, uint32_t job, uint32_t slot,
                    uint32_t count)
{
    static const struct {
        enum lane_list from, to;
    } moves[] = {{LANE_UNSTARTED, LANE_STARTED},
                 {LANE_GHOST_NEW, LANE_GHOST_STARTED},
                 {LANE_GHOST_FENCED, LANE_GHOST_STARTED}};
    (void)s;
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        struct run_list *from = &l->lists[moves[i].from];
        int32_t priority;
        uint32_t n =
            from->n_tasks ? run_list_take(from, job, slot, count, &priority) : 0;
        if (!n)
            continue;
        run_list_add(&l->lists[moves[i].to], (struct task_run){job, slot, n, priority});
        l->class->started += n;
        if (moves[i].from == LANE_UNSTARTED) {
            l->class->unstarted -= n;
            l->worker->n_running += n;
            lane_check_highest(l);
        }
        return n;
    }
    return 0;
}

void lane_grant(struct sched *s, struct lane *l, uint32_t n)
{
    struct worker *w = l->worker;
    bool below = worker_below_minimum(s, w, 0);
    l->grants += n;
    l->class->grants += n;
    worker_take(w, lane_way(l), n);
    lane_check_ahead(s, l);
    if (below && !worker_below_minimum(s, w, 0))
        room_open(s, w); /* it was closed whatever its room */
}

/* The grants are over: their allocations were freed, or never made. */
void lane_void_grants(struct sched *s, struct lane *l, uint32_t n)
{
    n = MIN(n, l->grants);
    if (!n)
        return;
    l->grants -= n;
    l->class->grants -= n;
    worker_give(l->worker, lane_way(l), n);
    lane_check_ahead(s, l);
    lane_check_highest(l);
    worker_mark_dirty(s, l->worker);
}

/* A grant needs a task. Only a worker that breaks the contract makes this work. */
void lane_clamp_grants(struct sched *s, struct lane *l)
{
    if (l->grants > l->n_tasks)
        lane_void_grants(s, l, l->grants - l->n_tasks);
}

uint32_t lane_cancel_job(struct sched *s, struct lane *l, uint32_t job)
{
    struct run_list *from = &l->lists[LANE_UNSTARTED], *to = &l->lists[LANE_GHOST_NEW];
    uint32_t n = run_list_move_job(from, job, to);
    if (!n)
        return 0;
    l->class->unstarted -= n;
    l->worker->n_tasks -= n;
    if (!list_linked(&l->ghosts))
        list_push_back(&s->fences, &l->ghosts);
    return n;
}

/* What is cancelled up to now is settled by the answer of this RETRACT. */
void lane_fence_sent(struct sched *s, struct lane *l)
{
    (void)s;
    struct run_list *from = &l->lists[LANE_GHOST_NEW];
    for (uint32_t i = from->head; i < from->end; i++)
        run_list_add(&l->lists[LANE_GHOST_FENCED], from->runs[i]);
    run_list_clear(from);
    if (list_linked(&l->ghosts))
        list_remove(&l->ghosts);
}

void lane_fence_answered(struct sched *s, struct lane *l)
{
    uint32_t n = l->lists[LANE_GHOST_FENCED].n_tasks;
    run_list_clear(&l->lists[LANE_GHOST_FENCED]);
    if (n)
        lane_count(s, l, LANE_GHOST_FENCED, 0, n);
    l->retracting = false;
    l->class->nothing_to_steal = false;
    l->class->retracts -= l->retract_count;
    l->retract_count = 0;
    lane_check_highest(l);
    lane_clamp_grants(s, l);
    if (l->lists[LANE_UNSTARTED].n_tasks)
        lane_unsettle(l, run_list_first(&l->lists[LANE_UNSTARTED])->priority);
}

void lane_reset(struct sched *s, struct lane *l)
{
    for (int list = 0; list < LANE_LISTS; list++) {
        uint32_t n = l->lists[list].n_tasks;
        run_list_clear(&l->lists[list]);
        if (n)
            lane_count(s, l, (enum lane_list)list, 0, n);
    }
    lane_void_grants(s, l, l->grants);
    l->retracting = false;
    l->class->nothing_to_steal = false;
    l->class->retracts -= l->retract_count;
    l->retract_count = 0;
}

/* Below half of the target: the window wants more. */
void lane_check_hungry(struct lane *l)
{
    if (l->grants == 0 || l->dead || list_linked(&l->hungry))
        return;
    if (l->n_tasks * 2 <= MAX(l->window, l->grants * 2))
        list_push_back(&l->class->hungry, &l->hungry);
}
