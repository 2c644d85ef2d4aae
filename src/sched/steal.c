/* Tasks asked back: for the sake of higher priorities, of free workers, of cancels. */
#include "sched/internal.h"
#include "sched/room.h"

#define STEAL_SLOTS_MAX 256u
#define ABOVE_NONE ((int64_t)INT32_MIN - 1)

/* Makes certain what became of cancelled tasks; see internal.h. */
void fences_send(struct sched *s)
{
    LIST_FOR_EACH_SAFE(&s->fences, node, next)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, ghosts);
        if (!l->retracting)
            out_retract(s, l, 0);
    }
}

/* The least important tasks of the lane that a waiting class above would hold up. What
 * was sent ahead since the walk waits no longer. */
static uint32_t lane_count_lower(const struct sched *s, const struct lane *l)
{
    uint32_t lower = 0;
    for (uint32_t i = 0; i < s->n_blockers && !lower; i++) {
        const struct blocker *b = &s->blockers[i];
        if (!b->class->gang && !b->recalled &&
            class_priority(b->class) >= b->priority &&
            class_capable(s, l->worker, b->class))
            lower = run_list_count_below(&l->lists[LANE_UNSTARTED], b->priority);
    }
    return MIN(lower, lane_spare(l));
}

/* Goes on where the budget of the step before ended. */
static void class_retract_lower(struct sched *s, struct task_class *c)
{
    for (; s->lower_lane < c->lanes.len; s->lower_lane++) {
        if (s->budget == 0) {
            s->out_of_budget = true;
            return;
        }
        s->budget--;
        struct lane *l = c->lanes.data[s->lower_lane];
        uint32_t n = l->retracting ? 0 : lane_count_lower(s, l);
        if (n)
            out_retract(s, l, n);
    }
    s->lower_lane = 0;
    s->lower_class++;
}

/* One pass over all lanes, whenever something lower may be there. */
void steal_lower(struct sched *s)
{
    if (s->out_of_budget || (!s->retract_lower && !s->lower_class && !s->lower_lane))
        return;
    if (s->retract_lower && !s->lower_class && !s->lower_lane)
        s->retract_lower = false;
    while (s->lower_class < s->classes.len && s->n_blockers && !s->out_of_budget) {
        struct task_class *c = s->classes.data[s->lower_class];
        if (c->unstarted && c->lowest_sent < s->blockers[0].priority) {
            class_retract_lower(s, c);
        } else {
            s->lower_lane = 0;
            s->lower_class++;
        }
    }
    if (s->out_of_budget)
        return;
    s->lower_class = 0;
    s->lower_lane = 0;
    s->out_of_budget |= s->retract_lower;
}

/* Also when it does not get on: what is expected of durations may be wrong. */
static bool lane_worth_stealing(const struct sched *s, const struct lane *l,
                                uint32_t spare)
{
    const struct way *way = lane_way(l);
    return !way_is_known(way) || !l->grants ||
           way->duration_us * spare >= STEAL_WORTH_US * l->grants ||
           s->now_us >= l->progress_us + (uint64_t)STEAL_WORTH_US;
}

/* Tasks of the class on workers that hold no grant, roughly; on the way back included.
 */
static uint64_t class_ahead(const struct task_class *c)
{
    uint64_t running = c->grants > c->started ? c->grants - c->started : 0;
    return c->unstarted > running ? c->unstarted - running : 0;
}

static uint32_t worker_free_slots(struct sched *s, struct worker *w,
                                  struct task_class *c, int32_t priority, uint32_t max)
{
    uint32_t slots = 0;
    if (!place_allowed(w, priority))
        return 0;
    for (uint32_t v = 0; v < c->n_ways && !slots; v++) {
        const struct lane *l = lane_find(w, c->id, (uint8_t)v);
        const struct way *way = &c->ways[v];
        if ((l && (l->dead || l->blocked)) || !worker_in_time(s, w, way) ||
            (way->uses_cpus && worker_below_minimum(s, w, 0)))
            continue;
        uint32_t n = worker_fit(w, way, w->free, max);
        if (n)
            slots = gap_limit(s, w, way, priority, n);
    }
    return slots;
}

static uint32_t class_free_slots(struct sched *s, struct task_class *c,
                                 int32_t priority, uint32_t max)
{
    uint32_t slots = 0;
    for (uint32_t i = room_next(s, c, 0); i != NO_INDEX && slots < max && s->budget;
         i = room_next(s, c, i + 1)) {
        struct worker *w = s->workers.data[i];
        uint32_t n = worker_free_slots(s, w, c, priority, max - slots);
        s->budget--;
        slots += n;
        if (!n)
            room_close(s, w, c, priority);
    }
    return slots;
}

static void wake_at(struct sched *s, uint64_t us)
{
    s->wake_us = s->wake_us ? MIN(s->wake_us, us) : us;
}

/* Asks for `want` tasks with a priority above this one, from lanes that have more than
 * `fair` a grant; the search goes on where the last one ended. Returns whether any lane
 * has such tasks to spare. */
static bool class_retract(struct sched *s, struct task_class *c, uint64_t want,
                          double fair, int64_t above)
{
    bool any = false;
    size_t n_lanes = c->lanes.len;
    for (size_t i = 0; i < n_lanes && want; i++) {
        if (s->budget == 0)
            return true;
        s->budget--;
        if (c->steal_cursor >= n_lanes)
            c->steal_cursor = 0;
        struct lane *l = c->lanes.data[c->steal_cursor++];
        uint32_t lower = 0, spare = l->retracting ? 0 : lane_spare(l);
        if (spare && above >= INT32_MIN)
            lower =
                run_list_count_below(&l->lists[LANE_UNSTARTED], (int32_t)(above + 1));
        if (!spare || !l->lists[LANE_UNSTARTED].n_tasks)
            continue;
        /* Of those with a higher priority not all may run, as long as no start is told.
         */
        any |= run_list_first(&l->lists[LANE_UNSTARTED])->priority > above;
        if (spare <= lower)
            continue;
        spare -= lower;
        uint32_t keep = (uint32_t)MIN(fair * l->grants, (double)SCHED_WINDOW_MAX);
        if (spare <= keep || !lane_worth_stealing(s, l, spare))
            continue;
        uint32_t n = (uint32_t)MIN(spare - keep, want);
        want -= n;
        out_retract(s, l, lower + n);
    }
    return any;
}

/* Free workers get an even share of the tasks above that others have not started. */
static void class_steal(struct sched *s, struct task_class *c, int64_t above)
{
    uint64_t ahead = class_ahead(c);
    if (ahead <= c->retracts)
        return;
    int32_t priority = above == ABOVE_NONE ? c->lowest_sent : c->highest_sent;
    uint32_t slots =
        class_free_slots(s, c, priority, (uint32_t)MIN(ahead, STEAL_SLOTS_MAX));
    uint64_t want = MAX(slots * ahead / MAX(c->grants + slots, 1u), slots);
    if (want <= c->retracts)
        return;
    double fair = (double)ahead / (double)(c->grants + slots);
    uint64_t before = c->retracts;
    bool any = class_retract(s, c, want - c->retracts, fair, above);
    if (c->retracts > before)
        return;
    /* Nothing, until tasks are sent or a RETRACT is answered; or not yet. */
    if (!any && above != ABOVE_NONE)
        c->highest_sent = (int32_t)above;
    else
        c->nothing_to_steal = !any;
    if (any) {
        c->steal_at_us = s->now_us + (uint64_t)STEAL_WORTH_US;
        wake_at(s, c->steal_at_us);
    }
}

static void steal_when_due(struct sched *s, struct task_class *c, int64_t above)
{
    if (c->nothing_to_steal || room_next(s, c, 0) == NO_INDEX)
        return;
    if (s->now_us < c->steal_at_us)
        wake_at(s, c->steal_at_us);
    else
        class_steal(s, c, above);
}

void steal_for_free(struct sched *s)
{
    for (size_t i = 0; i < s->classes.len; i++) {
        struct task_class *c = s->classes.data[i];
        if (!c->waiting && c->unstarted && !c->gang)
            steal_when_due(s, c, ABOVE_NONE);
    }
}

void steal_above(struct sched *s, struct task_class *c, int32_t priority)
{
    steal_when_due(s, c, priority);
}

/* What the lane has ahead above the least priority that there is anywhere could start
 * somewhere instead of that. Starts would have been reported by now. */
static void lane_recall(struct sched *s, struct lane *l)
{
    struct task_class *c = l->class;
    const struct run_list *unstarted = &l->lists[LANE_UNSTARTED];
    int32_t top = unstarted->n_tasks ? run_list_first(unstarted)->priority : INT32_MIN;
    if (!l->retracting && top > s->floor && lane_spare(l)) {
        lane_ahead_again(s, l);
        out_retract(s, l, lane_spare(l));
        return;
    }
    list_remove(&l->ahead);
    list_push_back(&c->settled, &l->ahead);
    /* The answer to what it was asked already brings it back. */
    if (!l->retracting)
        c->settled_top = MAX(c->settled_top, top);
}

/* Lanes that do not get on give back what is more important than something else. */
void steal_stalled(struct sched *s)
{
    for (size_t i = 0; i < s->classes.len; i++) {
        struct task_class *c = s->classes.data[i];
        if (!c->unstarted || c->highest_sent <= s->floor)
            continue;
        if (c->settled_top > s->floor) {
            list_prepend(&c->ahead, &c->settled);
            c->settled_top = INT32_MIN;
        }
        while (!list_empty(&c->ahead)) {
            struct lane *l = CONTAINER_OF(list_first(&c->ahead), struct lane, ahead);
            uint64_t due_us = l->ahead_us + STALLED_US;
            if (s->now_us < due_us) {
                wake_at(s, due_us);
                break;
            }
            if (s->budget == 0) {
                s->out_of_budget = true;
                return;
            }
            s->budget--;
            lane_recall(s, l);
        }
    }
}
