/*
 * Placement: grants go to tasks by priority, and to workers by their number. The walk
 * visits only workers whose bit says that they may have room for the class; the bit
 * goes when they have not, and comes back with the next release there.
 */
#include "sched/internal.h"
#include "sched/room.h"

/* Of messages, of starting and of ending a task at its limit. */
#define BACKFILL_MARGIN_US 2000000u
#define FEW_TASKS 4.0 /* a lane that waits for longer than they last may be stuck */

bool place_allowed(const struct worker *w, int32_t priority)
{
    return !w->draining && !w->gang &&
           !(w->reserved && priority <= w->reserved_priority);
}

/* Its limit ends before the gang that waits for the worker can start. */
static bool class_ends_in_time(const struct sched *s, const struct worker *w,
                               const struct task_class *c)
{
    return c->limit_us && !c->gang &&
           s->now_us + c->limit_us + BACKFILL_MARGIN_US <= w->reserved_until_us;
}

bool place_allowed_now(const struct sched *s, const struct worker *w,
                       const struct task_class *c, int32_t priority)
{
    return place_allowed(w, priority) ||
           (!w->draining && !w->gang &&
            (w->reserved == c || class_ends_in_time(s, w, c)));
}

/* Further grants of the way that the worker can hold now. */
static uint32_t place_count(struct sched *s, struct worker *w, struct task_class *c,
                            uint8_t variant, int32_t priority, const int64_t *free,
                            uint32_t max)
{
    const struct way *way = &c->ways[variant];
    uint32_t n = worker_fit(w, way, free, max);
    if (!n || !worker_in_time(s, w, way))
        return 0;
    n = gap_limit(s, w, way, priority, n);
    const struct lane *l = n ? lane_find(w, c->id, variant) : NULL;
    if (l && (l->dead || l->blocked || l->n_tasks >= SCHED_WINDOW_MAX))
        return 0;
    return MIN(n, SCHED_WINDOW_MAX - (l ? l->n_tasks : 0));
}

void place_on(struct sched *s, struct worker *w, struct task_class *c, struct queue *q)
{
    if (!place_allowed_now(s, w, c, q->priority))
        return;
    for (uint32_t i = 0; i < c->n_ways && q->ready.n_tasks; i++) {
        uint8_t v = c->preferred[i];
        if (c->ways[v].uses_cpus && !w->utilization_open &&
            worker_below_minimum(s, w, 0))
            continue;
        uint32_t max = (uint32_t)MIN(q->ready.n_tasks, SCHED_WINDOW_MAX);
        uint32_t n = place_count(s, w, c, v, q->priority, w->free, max);
        if (n)
            out_assign(s, lane_get(s, w, c, v), n, n, q);
    }
}

static int64_t worker_free_cpus(const struct sched *s, const struct worker *w)
{
    return s->cpus < w->n_resources ? w->free[s->cpus] : 0;
}

static void place_class(struct sched *s, struct task_class *c, struct queue *q)
{
    for (uint32_t i = room_next(s, c, 0); i != NO_INDEX; i = room_next(s, c, i + 1)) {
        if (s->budget == 0) {
            s->out_of_budget = true;
            return;
        }
        s->budget--;
        struct worker *w = s->workers.data[i];
        if (worker_free_cpus(s, w) >= c->least_cpus)
            place_on(s, w, c, q);
        if (!q->ready.n_tasks)
            return;
        room_close(s, w, c, q->priority);
    }
}

/* What of it starts may keep its room for long, as far as is known; variants that
 * hardly ever ran do not count when another one is known. */
static bool class_is_long(const struct task_class *c)
{
    bool known = false;
    for (uint32_t v = 0; v < c->n_ways; v++) {
        if (c->ways[v].duration_us >= LONG_US)
            return true;
        known |= way_is_known(&c->ways[v]);
    }
    return c->gang || !known;
}

/* Whether a lane with tasks ahead has not got on for as long as tells of long tasks;
 * or, strictly, for as long as a few of its tasks take, if that much is known of them.
 */
static bool class_stalls(const struct sched *s, struct task_class *c, bool strictly)
{
    struct list_node *n = list_first(&c->settled);
    n = n ? n : list_first(&c->ahead);
    if (!n)
        return false;
    const struct lane *l = CONTAINER_OF(n, struct lane, ahead);
    const struct way *way = lane_way(l);
    uint64_t patience_us = STALLED_US;
    if (strictly)
        patience_us = way_is_long(way) || !way_is_known(way)
                          ? 0
                          : (uint64_t)(FEW_TASKS * way->duration_us);
    return s->now_us >= l->ahead_us + MIN(patience_us, STALLED_US);
}

/* Before tasks of this priority get room: more important ones that wait ahead elsewhere
 * are asked back for it, and it is left to those that are on the way. */
static void place_recalled(struct sched *s, size_t first, int32_t priority)
{
    bool any_long = false;
    for (size_t i = first; i < s->order.len && !any_long; i++) {
        const struct task_class *c = s->order.data[i];
        if (!c->waiting || class_priority(c) != priority)
            break;
        any_long = class_is_long(c);
    }
    for (size_t i = 0; i < s->classes.len; i++) {
        struct task_class *c = s->classes.data[i];
        /* While tasks of it wait for their turn above, there is no room for it. */
        if (c->unstarted && c->highest_sent > priority &&
            class_priority(c) <= priority && class_stalls(s, c, any_long))
            steal_above(s, c, priority);
        if (c->retracts && c->retracts_top > priority)
            blockers_add_recalled(s, c, priority + 1);
    }
}

void place_walk(struct sched *s)
{
    classes_sort(s);
    blockers_begin(s);
    if (s->gangs_dirty)
        gangs_release_reservations(s);
    for (size_t i = 0; i < s->order.len; i++)
        gaps_reopen_raised(s, s->order.data[i]);
    int32_t level = 0;
    for (size_t i = 0; i < s->order.len && !s->out_of_budget; i++) {
        struct task_class *c = s->order.data[i];
        struct queue *q = class_top(c);
        if (!q)
            continue;
        int32_t priority = q->priority;
        if (priority != c->key.priority) {
            /* The search has placed what was more important of it. */
            classes_resort_from(s, i--);
            continue;
        }
        if (i == 0 || level != priority) {
            place_recalled(s, i, priority);
            exact_place(s, i, priority);
        }
        level = priority;
        if (!c->waiting || s->out_of_budget)
            continue;
        if (c->gang)
            gang_place(s, c, priority);
        else
            place_class(s, c, q);
        if (!c->waiting)
            continue;
        if (class_priority(c) == priority) {
            blockers_add(s, c, priority);
            starve_check(s, c, priority);
        } else {
            /* Its next tasks are less important: their turn comes later. */
            classes_resort_from(s, i);
            i--;
        }
    }
}

/* Whether all that waits could bring the worker to its minimum. */
static bool thrifty_reaches(struct sched *s, struct worker *w)
{
    int64_t more = 0;
    vec_clear(&s->scratch);
    HQ_ASSERT(vec_reserve(&s->scratch, w->n_resources + 1));
    int64_t *free = s->scratch.data;
    memcpy(free, w->free, w->n_resources * sizeof *free);
    for (size_t i = 0; i < s->order.len; i++) {
        struct task_class *c = s->order.data[i];
        uint64_t left = c->waiting;
        int32_t priority = left ? class_priority(c) : 0;
        if (c->gang || !left || !place_allowed(w, priority))
            continue;
        for (uint32_t v = 0; v < c->n_ways && left; v++) {
            uint32_t max = (uint32_t)MIN(left, SCHED_WINDOW_MAX);
            uint32_t n = place_count(s, w, c, (uint8_t)v, priority, free, max);
            const struct way *way = &c->ways[v];
            for (uint32_t k = 0; n && k < way->n_needs; k++) {
                int64_t amount = worker_need(w, &way->needs[k]) * n;
                free[worker_resource(w, &way->needs[k])] -= amount;
                if (way->needs[k].resource == s->cpus)
                    more += amount;
            }
            left -= n;
        }
    }
    return more > 0 && !worker_below_minimum(s, w, more);
}

/* Workers with a minimal utilisation, as one decision each. Goes on where the budget of
 * the step before ended. */
void place_thrifty(struct sched *s)
{
    for (; s->thrifty_at < s->thrifty.len && s->waiting; s->thrifty_at++) {
        if (s->budget == 0) {
            s->out_of_budget = true;
            return;
        }
        s->budget -= MIN(s->budget, s->order.len);
        struct worker *w = s->thrifty.data[s->thrifty_at];
        if (w->draining || w->gang || !worker_below_minimum(s, w, 0) ||
            !thrifty_reaches(s, w))
            continue;
        w->utilization_open = true;
        for (size_t i = 0; i < s->order.len; i++) {
            struct task_class *c = s->order.data[i];
            for (struct queue *q = c->gang ? NULL : class_top(c); q; q = class_top(c)) {
                place_on(s, w, c, q);
                if (q->ready.n_tasks)
                    break;
            }
        }
        w->utilization_open = false;
    }
    s->thrifty_at = 0;
}

/* Priority of the most important waiting tasks. */
static int32_t waiting_top(const struct sched *s)
{
    int32_t top = INT32_MIN;
    for (size_t i = 0; i < s->order.len; i++)
        if (s->order.data[i]->waiting)
            top = MAX(top, class_priority(s->order.data[i]));
    return top;
}

static uint32_t spare_grants(struct sched *s, struct lane *l, uint32_t spare,
                             bool before_walk, int32_t top)
{
    struct worker *w = l->worker;
    if (l->blocked || l->dead || w->gang || !worker_in_time(s, w, lane_way(l)))
        return 0;
    int32_t priority = run_list_first(&l->lists[LANE_UNSTARTED])->priority;
    if (w->reserved && priority <= w->reserved_priority)
        return 0;
    uint32_t n = worker_fit(w, lane_way(l), w->free, spare);
    if (before_walk)
        return priority >= top ? n : 0;
    return n ? gap_limit(s, w, lane_way(l), priority, n) : 0;
}

/*
 * A worker may have run dry while more tasks were on the way: tasks without any grant.
 * Only then is it certain that further grants meet tasks there.
 */
void place_spares(struct sched *s, bool before_walk)
{
    int32_t top = s->dirty.len && before_walk ? waiting_top(s) : 0;
    for (size_t i = 0; i < s->dirty.len; i++) {
        struct worker *w = s->dirty.data[i];
        for (size_t k = 0; k < w->active.len; k++) {
            struct lane *l = w->active.data[k];
            if (l->grants || l->retracting)
                continue;
            uint32_t spare = lane_spare(l);
            if (!spare || !l->lists[LANE_UNSTARTED].n_tasks)
                continue;
            uint32_t n = spare_grants(s, l, spare, before_walk, top);
            if (n)
                out_assign(s, l, n, 0, NULL);
            else if (!before_walk)
                out_retract(s, l, spare);
        }
        if (!before_walk)
            w->dirty = false;
    }
    if (!before_walk)
        vec_clear(&s->dirty);
}
