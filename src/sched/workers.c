/* Workers, their amounts, and the index of workers that may have room. */
#include <stdlib.h>
#include "base/xmem.h"
#include "sched/internal.h"
#include "sched/room.h"

struct worker *worker_find(const struct sched *s, uint32_t id)
{
    uint64_t p;
    return u64map_get(&s->worker_of, id, &p) ? (struct worker *)(uintptr_t)p : NULL;
}

uint32_t worker_resource(const struct worker *w, const struct need *n)
{
    return n->any_gpus && w->gpus != NO_INDEX ? w->gpus : n->resource;
}

int64_t worker_need(const struct worker *w, const struct need *n)
{
    uint32_t resource = worker_resource(w, n);
    if (resource >= w->n_resources)
        return n->all ? 1 : n->amount;
    return n->all ? MAX(w->total[resource], 1) : n->amount;
}

static int64_t worker_total(const struct worker *w, uint32_t resource)
{
    return resource < w->n_resources ? w->total[resource] : 0;
}

bool worker_capable(const struct worker *w, const struct way *way)
{
    for (uint32_t i = 0; i < way->n_needs; i++)
        if (worker_total(w, worker_resource(w, &way->needs[i])) <
            worker_need(w, &way->needs[i]))
            return false;
    return true;
}

bool worker_in_time(const struct sched *s, const struct worker *w,
                    const struct way *way)
{
    return !w->end_us ||
           (w->end_us >= s->now_us && w->end_us - s->now_us >= way->min_time_us);
}

uint32_t worker_fit(const struct worker *w, const struct way *way, const int64_t *free,
                    uint32_t max)
{
    uint32_t fit = max;
    for (uint32_t i = 0; i < way->n_needs && fit; i++) {
        const struct need *n = &way->needs[i];
        int64_t amount = worker_need(w, n);
        uint32_t resource = worker_resource(w, n);
        int64_t left = resource < w->n_resources ? free[resource] : 0;
        if (left < amount)
            return 0;
        if (amount > 0 && left / amount < (int64_t)fit)
            fit = (uint32_t)(left / amount);
    }
    return fit;
}

void worker_take(struct worker *w, const struct way *way, uint32_t n)
{
    for (uint32_t i = 0; i < way->n_needs; i++) {
        uint32_t resource = worker_resource(w, &way->needs[i]);
        if (resource < w->n_resources)
            w->free[resource] -= worker_need(w, &way->needs[i]) * n;
    }
    w->changes++;
}

void worker_give(struct worker *w, const struct way *way, uint32_t n)
{
    for (uint32_t i = 0; i < way->n_needs; i++) {
        uint32_t resource = worker_resource(w, &way->needs[i]);
        if (resource < w->n_resources)
            w->free[resource] += worker_need(w, &way->needs[i]) * n;
    }
    w->changes++;
}

bool worker_below_minimum(const struct sched *s, const struct worker *w, int64_t more)
{
    if (w->min_utilization <= 0 || s->cpus >= w->n_resources)
        return false;
    double used = (double)(w->total[s->cpus] - w->free[s->cpus] + more);
    return used + 0.5 < w->min_utilization * (double)w->total[s->cpus];
}

void worker_unblock(struct sched *s, struct worker *w)
{
    if (!w->n_blocked)
        return;
    for (size_t i = 0; i < w->lanes.len; i++)
        w->lanes.data[i]->blocked = false;
    w->n_blocked = 0;
    worker_mark_dirty(s, w);
}

bool worker_is_idle(const struct worker *w)
{
    return w->active.len == 0 && !w->gang;
}

void worker_update_idle(struct sched *s, struct worker *w)
{
    bool idle = worker_is_idle(w), wasted = idle && w->reserved;
    struct group *g = &s->groups.data[w->group];
    if (idle && !w->was_idle) {
        s->gangs_dirty = true;
        g->n_idle++;
        g->idle_from = MIN(g->idle_from, w->group_pos);
    }
    if (!idle && w->was_idle)
        g->n_idle--;
    w->was_idle = idle;
    if (wasted && !w->wasted_from_us)
        w->wasted_from_us = MAX(s->now_us, 1u);
    if (!wasted && w->wasted_from_us) {
        s->wasted_us += s->now_us - w->wasted_from_us;
        w->wasted_from_us = 0;
    }
    if (!idle || w->reserved)
        w->idle_since_us = 0;
    else if (!w->idle_since_us)
        w->idle_since_us = MAX(s->now_us, 1u);
}

void worker_mark_dirty(struct sched *s, struct worker *w)
{
    room_open(s, w);
    if (w->dirty)
        return;
    w->dirty = true;
    must_push(&s->dirty, w);
}

/* The index of room: one bit a worker and class, words of a worker side by side. */
static void room_grow(struct sched *s, uint32_t words, uint32_t classes)
{
    s->room_words =
        words <= s->room_words ? s->room_words : MAX(words, s->room_words * 2);
    s->room_stride =
        classes <= s->room_stride ? s->room_stride : MAX(classes, s->room_stride * 2);
    size_t sums = (s->room_words + 63) / 64;
    free(s->room);
    free(s->room_sum);
    s->room = xcalloc((size_t)s->room_words * s->room_stride + 1, sizeof *s->room);
    s->room_sum = xcalloc(sums * s->room_stride + 1, sizeof *s->room_sum);
}

void room_resize(struct sched *s)
{
    uint32_t words = (uint32_t)(s->workers.len + 63) / 64;
    uint32_t classes = (uint32_t)s->classes.len;
    if (words <= s->room_words && classes <= s->room_stride)
        return;
    room_grow(s, words, classes);
    for (size_t i = 0; i < s->workers.len; i++)
        if (s->workers.data[i])
            room_open(s, s->workers.data[i]);
}

/* Renumbers the workers when most indices belong to gone ones. */
static void workers_compact(struct sched *s)
{
    if (s->workers.len < 64 || s->n_workers > s->workers.len / 2)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < s->workers.len; i++) {
        struct worker *w = s->workers.data[i];
        if (!w)
            continue;
        w->index = (uint32_t)kept;
        s->workers.data[kept++] = w;
    }
    s->workers.len = kept;
    memset(s->room, 0, (size_t)s->room_words * s->room_stride * sizeof *s->room);
    memset(s->room_sum, 0,
           (size_t)((s->room_words + 63) / 64) * s->room_stride * sizeof *s->room_sum);
    for (size_t i = 0; i < kept; i++)
        room_open(s, s->workers.data[i]);
}

static uint32_t group_intern(struct sched *s, const char *name)
{
    uintptr_t known = (uintptr_t)strmap_get(s->group_ids, name, strlen(name));
    if (known)
        return (uint32_t)(known - 1);
    uint32_t id = (uint32_t)s->groups.len;
    must_push(&s->groups, ((struct group){{NULL, 0, 0}, 0, 0}));
    HQ_ASSERT(
        !strmap_add(s->group_ids, name, strlen(name), (void *)((uintptr_t)id + 1)));
    return id;
}

static void group_number(struct group *g, size_t from)
{
    for (size_t i = from; i < g->members.len; i++)
        g->members.data[i]->group_pos = (uint32_t)i;
    g->idle_from = (uint32_t)MIN(g->idle_from, from);
}

static void group_join(struct sched *s, struct worker *w)
{
    struct group *g = &s->groups.data[w->group];
    size_t at = g->members.len;
    must_push(&g->members, w);
    for (; at > 0 && g->members.data[at - 1]->id > w->id; at--)
        g->members.data[at] = g->members.data[at - 1];
    g->members.data[at] = w;
    g->n_idle++;
    group_number(g, at);
}

static void group_leave(struct sched *s, struct worker *w)
{
    struct group *g = &s->groups.data[w->group];
    memmove(&g->members.data[w->group_pos], &g->members.data[w->group_pos + 1],
            (g->members.len - 1 - w->group_pos) * sizeof *g->members.data);
    g->members.len--;
    g->n_idle -= w->was_idle;
    group_number(g, w->group_pos);
}

static void worker_set_totals(struct sched *s, struct worker *w,
                              const struct pool_set *pools)
{
    for (size_t i = 0; i < pools->n_pools; i++)
        (void)resource_intern(s, pools->pools[i].name);
    w->n_resources = s->n_resources;
    w->total = xcalloc(w->n_resources + 1, sizeof *w->total);
    w->free = xcalloc(w->n_resources + 1, sizeof *w->free);
    w->gap_left = xcalloc(w->n_resources + 1, sizeof *w->gap_left);
    for (size_t i = 0; i < pools->n_pools; i++) {
        uint32_t id = resource_intern(s, pools->pools[i].name);
        uint64_t size = pool_size(&pools->pools[i]);
        w->total[id] = w->free[id] = (int64_t)MIN(size, (uint64_t)INT64_MAX / 4);
        s->cluster.data[id] += w->total[id];
    }
    const struct pool *gpus = pool_set_serving(pools, GPUS_ANY);
    w->gpus = gpus ? resource_intern(s, gpus->name) : NO_INDEX;
    s->cluster_version++;
}

void sched_worker_add(struct sched *s, const struct sched_worker *given,
                      uint64_t now_us)
{
    s->now_us = MAX(s->now_us, now_us);
    if (worker_find(s, given->id))
        return;
    struct worker *w = xcalloc(1, sizeof *w);
    w->id = given->id;
    w->index = (uint32_t)s->workers.len;
    w->group = group_intern(s, given->group ? given->group : "");
    w->end_us = given->end_us;
    w->min_utilization = given->min_utilization;
    worker_set_totals(s, w, given->pools);
    for (size_t i = 0; i < s->classes.len; i++)
        class_meet_worker(s->classes.data[i], w);
    /* Lower ids come first everywhere, also when one joins late. */
    must_push(&s->workers, w);
    HQ_ASSERT(!u64map_set(&s->worker_of, w->id, (uint64_t)(uintptr_t)w));
    s->n_workers++;
    while (w->index > 0 && (!s->workers.data[w->index - 1] ||
                            s->workers.data[w->index - 1]->id > w->id)) {
        struct worker *other = s->workers.data[w->index - 1];
        s->workers.data[w->index] = other;
        if (other)
            other->index = w->index;
        w->index--;
        s->workers.data[w->index] = w;
    }
    room_resize(s);
    for (size_t i = w->index; i < s->workers.len; i++)
        if (s->workers.data[i])
            room_open(s, s->workers.data[i]);
    if (w->min_utilization > 0)
        must_push(&s->thrifty, w);
    w->was_idle = true;
    group_join(s, w);
    s->gangs_dirty = true;
    s->retract_lower = true;
    worker_update_idle(s, w);
}

void worker_destroy(struct worker *w)
{
    for (size_t i = 0; i < w->lanes.len; i++) {
        for (int list = 0; list < LANE_LISTS; list++)
            run_list_release(&w->lanes.data[i]->lists[list]);
        free(w->lanes.data[i]);
    }
    vec_release(&w->lanes);
    vec_release(&w->active);
    u64map_release(&w->lane_of);
    free(w->total);
    free(w->free);
    free(w->gap_left);
    free(w);
}

static void lost_list(struct sched *s, const struct run_list *l, bool running)
{
    for (uint32_t i = l->head; i < l->end; i++) {
        HQ_ASSERT(vec_reserve(&s->lost, l->runs[i].count));
        for (uint32_t k = 0; k < l->runs[i].count; k++)
            s->lost.data[s->lost.len++] =
                (struct sched_lost_task){l->runs[i].job, l->runs[i].slot + k, running};
    }
}

#define VEC_DROP(v, item)                             \
    for (size_t drop_ = 0; drop_ < (v)->len; drop_++) \
        if ((v)->data[drop_] == (item)) {             \
            vec_swap_remove(v, drop_);                \
            break;                                    \
        }

void sched_worker_remove(struct sched *s, uint32_t id,
                         const struct sched_lost_task **tasks, size_t *n_tasks)
{
    struct worker *w = worker_find(s, id);
    vec_clear(&s->lost);
    *tasks = s->lost.data;
    *n_tasks = 0;
    if (!w)
        return;
    gang_lose_worker(s, w);
    for (size_t i = 0; i < w->lanes.len; i++) {
        struct lane *l = w->lanes.data[i];
        lost_list(s, &l->lists[LANE_STARTED], true);
        lost_list(s, &l->lists[LANE_UNSTARTED], false);
        lane_reset(s, l);
    }
    for (uint32_t i = 0; i < w->n_resources; i++)
        s->cluster.data[i] -= w->total[i];
    s->cluster_version++;
    for (size_t i = 0; i < s->classes.len; i++)
        room_close(s, w, s->classes.data[i], INT32_MAX);
    VEC_DROP(&s->dirty, w);
    VEC_DROP(&s->thrifty, w);
    group_leave(s, w);
    (void)u64map_remove(&s->worker_of, id);
    s->workers.data[w->index] = NULL;
    s->n_workers--;
    s->gangs_dirty = true;
    worker_destroy(w);
    workers_compact(s);
    *tasks = s->lost.data;
    *n_tasks = s->lost.len;
}

void sched_worker_tasks(struct sched *s, uint32_t id,
                        const struct sched_lost_task **tasks, size_t *n_tasks)
{
    const struct worker *w = worker_find(s, id);
    vec_clear(&s->lost);
    for (size_t i = 0; w && i < w->lanes.len; i++) {
        lost_list(s, &w->lanes.data[i]->lists[LANE_STARTED], true);
        lost_list(s, &w->lanes.data[i]->lists[LANE_UNSTARTED], false);
    }
    *tasks = s->lost.data;
    *n_tasks = s->lost.len;
}

void sched_worker_drain(struct sched *s, uint32_t id)
{
    struct worker *w = worker_find(s, id);
    if (!w || w->draining)
        return;
    w->draining = true;
    s->gangs_dirty = true;
}

uint64_t sched_worker_idle_since(const struct sched *s, uint32_t id)
{
    const struct worker *w = worker_find(s, id);
    return w ? w->idle_since_us : 0;
}

uint64_t sched_wasted_us(const struct sched *s, uint64_t now_us)
{
    uint64_t sum = s->wasted_us;
    for (size_t i = 0; i < s->reserved.len; i++) {
        uint64_t from = s->reserved.data[i]->wasted_from_us;
        sum += from && now_us > from ? now_us - from : 0;
    }
    return sum;
}

void sched_worker_load(const struct sched *s, uint32_t id,
                       struct sched_worker_load *out)
{
    const struct worker *w = worker_find(s, id);
    *out = (struct sched_worker_load){0};
    if (!w)
        return;
    out->assigned = w->n_tasks;
    out->running = w->n_running;
    out->gang = w->gang != NULL;
    out->gang_root = w->gang && w->gang->root == w->id;
    out->reserved = w->reserved && w->reserved->gang;
    if (out->gang) {
        out->gang_job = w->gang->job;
        out->gang_slot = w->gang->slot;
    }
    if (out->gang_root) {
        out->assigned++;
        out->running += w->gang->started;
    }
}
