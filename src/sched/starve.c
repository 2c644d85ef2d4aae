/*
 * Among classes of one priority a large task may never find room while small ones take
 * what becomes free. When no task of a class has run for a while, one worker is kept
 * free for it, as for a gang, until one of its tasks starts there.
 */
#include "sched/internal.h"
#include "sched/room.h"

#define STARVED_US 1000000u

/* The capable one on which least has to end, roughly. One with a minimal utilization
 * waits for more tasks, not for room. */
static struct worker *starve_pick(const struct sched *s, const struct task_class *c,
                                  int32_t priority)
{
    struct worker *best = NULL;
    for (size_t i = 0; i < s->workers.len; i++) {
        struct worker *w = s->workers.data[i];
        if (w && !w->draining && !w->gang && !w->reserved && w->min_utilization <= 0 &&
            class_capable(s, w, c) && !worker_wanted_by_higher(s, w, priority) &&
            (!best || w->n_running < best->n_running))
            best = w;
    }
    return best;
}

void starve_check(struct sched *s, struct task_class *c, int32_t priority)
{
    if (c->gang || c->grants || c->reserved_id) {
        c->starved_since_us = c->grants ? 0 : c->starved_since_us;
        return;
    }
    if (!c->starved_since_us || s->now_us < c->starved_since_us + STARVED_US) {
        c->starved_since_us = c->starved_since_us ? c->starved_since_us : s->now_us;
        return;
    }
    struct worker *w = starve_pick(s, c, priority);
    c->starved_since_us = s->now_us; /* if there is none, the next try is later */
    s->budget -= MIN(s->budget, s->workers.len);
    if (!w)
        return;
    c->reserved_id = w->id;
    worker_reserve(s, w, c, priority, 0);
    room_open(s, w);
}

void starve_end(struct sched *s, struct task_class *c)
{
    struct worker *w = c->reserved_id ? worker_find(s, c->reserved_id) : NULL;
    c->starved_since_us = 0;
    c->reserved_id = 0;
    if (!w || w->reserved != c)
        return;
    reserved_drop(s, w);
    room_open(s, w);
}
