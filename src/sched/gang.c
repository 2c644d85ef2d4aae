/*
 * Multi-node tasks: whole idle workers of one group, lowest numbers first. One that
 * cannot start reserves the workers of the group that will be free earliest; of its
 * priority and below only that starts there which ends, by its time limit, before the
 * gang can start, by the limits of what runs. Without limits nothing is known, and the
 * workers idle. A class that started a gang lets others of its priority go first once.
 */
#include <stdlib.h>
#include "base/xmem.h"
#include "sched/internal.h"
#include "sched/room.h"

#define FREE_NEVER 1e18
#define VISITS_MAX 10000u /* of workers, in one step, before the last gang of it */
#define RESERVES_MAX 4u   /* gangs that may keep workers free */

struct gang *gang_of_task(const struct worker *w, uint32_t job, uint32_t slot)
{
    struct gang *g = w->gang;
    return g && g->root == w->id && g->job == job && g->slot == slot ? g : NULL;
}

bool gang_usable(const struct sched *s, const struct worker *w,
                 const struct task_class *c, int32_t priority)
{
    const struct lane *l = lane_find(w, c->id, 0);
    return !w->draining && worker_in_time(s, w, &c->ways[0]) && !(l && l->dead) &&
           (!w->reserved || w->reserved == c || w->reserved_priority < priority);
}

void reserved_drop(struct sched *s, struct worker *w)
{
    if (w->reserved && w->reserved->reserved_id == w->id)
        w->reserved->reserved_id = 0;
    for (size_t i = 0; w->reserved && i < s->reserved.len; i++)
        if (s->reserved.data[i] == w) {
            vec_swap_remove(&s->reserved, i);
            break;
        }
    w->reserved = NULL;
    worker_update_idle(s, w);
}

void gangs_release_reservations(struct sched *s)
{
    for (size_t i = 0; i < s->reserved.len; i++) {
        struct worker *w = s->reserved.data[i];
        w->reserved_before = w->reserved;
        w->reserved->reserved_id = 0;
        w->reserved = NULL;
        room_open(s, w);
        worker_update_idle(s, w);
    }
    vec_clear(&s->reserved);
}

/* The lowest idle workers of the group, into s->picked. */
static bool group_pick(struct sched *s, struct group *g, const struct task_class *c,
                       int32_t priority)
{
    uint32_t need = c->ways[0].n_nodes, idle = 0;
    vec_clear(&s->picked);
    for (uint32_t i = g->idle_from; i < g->members.len && s->picked.len < need; i++) {
        struct worker *w = g->members.data[i];
        s->gang_visits++;
        if (!worker_is_idle(w))
            continue;
        if (idle++ == 0)
            g->idle_from = i;
        if (!gang_usable(s, w, c, priority))
            continue;
        if (worker_left_to_recalled(s, w, priority))
            s->gangs_yield = true;
        else
            must_push(&s->picked, w);
    }
    return s->picked.len == need;
}

static bool gang_pick_idle(struct sched *s, const struct task_class *c,
                           int32_t priority)
{
    for (size_t i = 0; i < s->groups.len; i++)
        if (s->groups.data[i].n_idle >= c->ways[0].n_nodes &&
            group_pick(s, &s->groups.data[i], c, priority))
            return true;
    return false;
}

static struct gang *gang_create(struct sched *s, struct task_class *c, int32_t priority,
                                uint32_t job, uint32_t slot)
{
    struct gang *g = xcalloc(1, sizeof *g);
    g->class = c;
    g->start_us = s->now_us;
    g->priority = priority;
    g->job = job;
    g->slot = slot;
    must_push(&s->gangs, g);
    return g;
}

/* The first one is the root. */
static void gang_add(struct sched *s, struct gang *g, struct worker *w)
{
    if (g->workers.len == 0)
        g->root = w->id;
    reserved_drop(s, w);
    w->reserved_before = NULL;
    w->gang = g;
    worker_update_idle(s, w);
    must_push(&g->workers, w->id);
}

static void gang_start(struct sched *s, struct task_class *c, struct queue *q)
{
    struct ready_run run = ready_set_pop(&q->ready, 1);
    class_dequeued(s, c, 1);
    struct gang *g = gang_create(s, c, q->priority, run.job, run.slot);
    for (size_t i = 0; i < s->picked.len; i++)
        gang_add(s, g, s->picked.data[i]);
    must_push(&s->out_gangs, ((struct sched_gang){g->job, g->slot, c->id, 0,
                                                  g->workers.data, g->workers.len}));
    c->gang_yields = true;
    class_touch(s, c);
}

/* When the worker is idle by the limits of what runs there; 0: not known. */
static uint64_t worker_idle_at(const struct worker *w)
{
    uint64_t at = 1;
    if (w->gang)
        return w->gang->class->limit_us ? w->gang->start_us + w->gang->class->limit_us
                                        : 0;
    for (size_t i = 0; i < w->active.len; i++) {
        const struct lane *l = w->active.data[i];
        if (!l->class->limit_us)
            return 0;
        /* Its last task started then at the latest. */
        at = MAX(at, l->progress_us + l->class->limit_us);
    }
    return at;
}

/* About when the worker will be idle. */
static double worker_free_in(const struct worker *w, const struct task_class *c)
{
    double us = 0;
    if (w->gang)
        us = 1e15;
    for (size_t i = 0; i < w->active.len; i++) {
        double d = lane_way(w->active.data[i])->duration_us;
        us = MAX(us, d < 0 ? 1e12 : d);
    }
    /* A choice made before stays, unless another is much better. */
    return w->reserved_before == c ? us / 4 : us;
}

bool worker_wanted_by_higher(const struct sched *s, const struct worker *w,
                             int32_t priority)
{
    for (uint32_t i = 0; i < s->n_blockers; i++)
        if (s->blockers[i].priority > priority && !s->blockers[i].class->gang &&
            class_capable(s, w, s->blockers[i].class))
            return true;
    return false;
}

struct candidate {
    struct worker *worker;
    double free_in;
};

static int candidate_compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->worker->group != b->worker->group)
        return a->worker->group < b->worker->group ? -1 : 1;
    if (a->free_in < b->free_in || a->free_in > b->free_in)
        return a->free_in < b->free_in ? -1 : 1;
    return a->worker->index < b->worker->index ? -1 : 1;
}

/* Start of the best stretch of `need` candidates of one group; n when there is none. */
static size_t candidates_choose(const struct candidate *list, size_t n, uint32_t need)
{
    size_t best = n;
    double best_us = FREE_NEVER;
    for (size_t i = 0; i + need <= n; i++) {
        bool group_begins =
            i == 0 || list[i - 1].worker->group != list[i].worker->group;
        if (!group_begins || list[i + need - 1].worker->group != list[i].worker->group)
            continue;
        if (list[i + need - 1].free_in < best_us) {
            best_us = list[i + need - 1].free_in;
            best = i;
        }
    }
    return best;
}

void worker_reserve(struct sched *s, struct worker *w, struct task_class *c,
                    int32_t priority, uint64_t until_us)
{
    if (!w->reserved)
        must_push(&s->reserved, w);
    w->reserved = c;
    w->reserved_priority = priority;
    w->reserved_until_us = until_us;
    worker_update_idle(s, w);
}

static void gang_reserve(struct sched *s, struct task_class *c, int32_t priority)
{
    uint32_t need = c->ways[0].n_nodes;
    uint64_t until_us = 1;
    if (s->gang_reserves++ >= RESERVES_MAX)
        return;
    struct candidate *list = xcalloc(s->workers.len + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < s->workers.len; i++) {
        struct worker *w = s->workers.data[i];
        if (w && s->groups.data[w->group].members.len >= need &&
            gang_usable(s, w, c, priority) && !worker_wanted_by_higher(s, w, priority))
            list[n++] = (struct candidate){w, worker_free_in(w, c)};
    }
    qsort(list, n, sizeof *list, candidate_compare);
    size_t at = need <= n ? candidates_choose(list, n, need) : n;
    for (size_t i = at; at < n && i < at + need; i++) {
        uint64_t idle_at = worker_idle_at(list[i].worker);
        until_us = until_us && idle_at ? MAX(until_us, idle_at) : 0;
    }
    for (size_t i = at; at < n && i < at + need; i++)
        worker_reserve(s, list[i].worker, c, priority, until_us);
    if (at < n)
        c->gang_yields = false;
    class_touch(s, c);
    free(list);
}

void gang_place(struct sched *s, struct task_class *c, int32_t priority)
{
    if (!s->gangs_dirty)
        return;
    struct queue *q = queues_find(&c->queues, priority);
    bool any = false;
    while (q->ready.n_tasks && gang_pick_idle(s, c, priority)) {
        gang_start(s, c, q);
        any = true;
        if (s->gang_visits >= VISITS_MAX) {
            s->gangs_more |= q->ready.n_tasks > 0;
            return;
        }
    }
    if (q->ready.n_tasks && !any)
        gang_reserve(s, c, priority);
}

/* Reserved workers get rid of what they have not started. */
void reserved_retract(struct sched *s)
{
    for (size_t i = 0; i < s->reserved.len; i++) {
        struct worker *w = s->reserved.data[i];
        for (size_t k = 0; w->reserved && k < w->active.len; k++) {
            struct lane *l = w->active.data[k];
            uint32_t lower =
                run_list_count_below(&l->lists[LANE_UNSTARTED], w->reserved_priority);
            uint32_t spare = l->retracting ? 0 : lane_spare(l);
            if (w->reserved_priority == INT32_MAX || lower < spare)
                lower = run_list_count_below(&l->lists[LANE_UNSTARTED],
                                             w->reserved_priority == INT32_MAX
                                                 ? INT32_MAX
                                                 : w->reserved_priority + 1);
            if (MIN(lower, spare))
                out_retract(s, l, MIN(lower, spare));
        }
    }
}

static void gang_free(struct sched *s, struct gang *g)
{
    for (size_t i = 0; i < g->workers.len; i++) {
        struct worker *w = worker_find(s, g->workers.data[i]);
        if (!w || w->gang != g)
            continue;
        w->gang = NULL;
        worker_update_idle(s, w);
        worker_mark_dirty(s, w);
    }
    for (size_t i = 0; i < s->gangs.len; i++)
        if (s->gangs.data[i] == g) {
            vec_swap_remove(&s->gangs, i);
            break;
        }
    s->gangs_dirty = true;
    vec_release(&g->workers);
    free(g);
}

void gang_end(struct sched *s, struct gang *g, bool requeue)
{
    if (requeue)
        class_enqueue(s, g->class, g->priority, g->job, g->slot, 1);
    gang_free(s, g);
}

bool gang_adopt(struct sched *s, struct worker *root, struct task_class *c,
                int32_t priority, uint32_t job, uint32_t slot)
{
    if (!worker_is_idle(root) || !sched_take(s, c->id, priority, job, slot))
        return false;
    struct gang *g = gang_create(s, c, priority, job, slot);
    g->started = true;
    gang_add(s, g, root);
    return true;
}

bool sched_gang_join(struct sched *s, uint32_t root, uint32_t job, uint32_t slot,
                     uint32_t worker)
{
    struct worker *first = worker_find(s, root), *w = worker_find(s, worker);
    struct gang *g = first ? gang_of_task(first, job, slot) : NULL;
    if (!g || !w || w->group != first->group || !worker_is_idle(w))
        return false;
    gang_add(s, g, w);
    return true;
}

bool sched_gang_at(const struct sched *s, size_t i, struct sched_gang *out)
{
    if (i >= s->gangs.len)
        return false;
    const struct gang *g = s->gangs.data[i];
    *out = (struct sched_gang){g->job, g->slot,         g->class->id,
                               0,      g->workers.data, g->workers.len};
    return true;
}

void gang_lose_worker(struct sched *s, struct worker *w)
{
    struct gang *g = w->gang;
    reserved_drop(s, w);
    if (!g)
        return;
    if (g->root == w->id) {
        must_push(&s->lost, ((struct sched_lost_task){g->job, g->slot, g->started}));
        gang_free(s, g);
        return;
    }
    w->gang = NULL;
    for (size_t i = 0; i < g->workers.len; i++)
        if (g->workers.data[i] == w->id) {
            /* Keeps the order: the root stays first. */
            memmove(&g->workers.data[i], &g->workers.data[i + 1],
                    (g->workers.len - i - 1) * sizeof *g->workers.data);
            g->workers.len--;
            break;
        }
}
