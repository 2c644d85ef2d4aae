/*
 * What workers could be used that are not there. Tasks are packed by priority on
 * imaginary workers of one kind after the other. Those of a kind that hold the same are
 * one stack with a count, so that the work depends on classes, not on workers.
 */
#include <stdlib.h>
#include "base/xmem.h"
#include "sched/internal.h"

#define QUERY_BUDGET 200000u /* visits of a stack by tasks of a class */
#define QUEUES_APART 64u     /* priorities of a class that are told apart */
#define UNLIMITED (INT64_MAX / 4)

/* Tasks of one class and priority that wait. */
struct item {
    const struct task_class *class;
    int32_t priority;
    uint64_t before; /* not placed on earlier kinds, */
    uint64_t count;  /* nor on this one */
};

/* Imaginary workers with the same left, that hold something. */
struct stack {
    uint32_t count;
    int64_t *free; /* by resource */
};

struct packing {
    const struct sched *s;
    const struct sched_kind *kind;
    VEC(struct item) items;
    VEC(struct stack) stacks;
    struct worker proto; /* one that holds nothing; as a look-up of resources */
    uint32_t fresh;      /* workers not begun yet */
    uint32_t *coming;    /* of the kind, without those that gangs took; 0: taken */
    uint32_t more;       /* further groups, */
    uint64_t room;       /* and their workers, that gangs left */
    uint32_t budget;
};

/* ---- what waits ------------------------------------------------------------------ */

/* Most important first; of equals by the order in which classes are served. */
static int by_order(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    const struct order_key *kx = &x->class->key, *ky = &y->class->key;
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    if (kx->weight > ky->weight || kx->weight < ky->weight)
        return kx->weight > ky->weight ? -1 : 1;
    if (kx->share > ky->share || kx->share < ky->share)
        return kx->share > ky->share ? -1 : 1;
    return (x->class->id > y->class->id) - (x->class->id < y->class->id);
}

/* Tasks sent ahead of others that keep their room for long, or nobody knows. */
static uint64_t sent_ahead(const struct task_class *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->lanes.len; i++)
        if (way_is_long(lane_way(c->lanes.data[i])))
            n += lane_spare(c->lanes.data[i]);
    return n;
}

static void gather_class(struct packing *p, const struct task_class *c)
{
    uint64_t ahead = c->gang ? 0 : sent_ahead(c);
    uint32_t n = 0;
    if (!c->waiting && !ahead)
        return;
    QUEUES_FOR_EACH(&c->queues, q)
    {
        if (!q->ready.n_tasks)
            continue;
        if (n++ < QUEUES_APART)
            must_push(&p->items, ((struct item){c, q->priority, q->ready.n_tasks, 0}));
        else
            vec_last(&p->items).before += q->ready.n_tasks;
    }
    if (ahead)
        must_push(&p->items, ((struct item){c, c->lowest_sent, ahead, 0}));
}

static void gather(struct packing *p)
{
    for (size_t i = 0; i < p->s->classes.len; i++)
        gather_class(p, p->s->classes.data[i]);
    if (p->items.len)
        qsort(p->items.data, p->items.len, sizeof *p->items.data, by_order);
}

/* ---- one kind of worker -----------------------------------------------------------
 */

/* The number of the resource, for those that a request or a worker has named. */
static uint32_t known_resource(const struct sched *s, const char *name)
{
    uintptr_t id = (uintptr_t)strmap_get(s->resource_ids, name, strlen(name));
    return id ? (uint32_t)(id - 1) : NO_INDEX;
}

static void proto_set(struct packing *p, uint32_t resource, const struct pool *pool)
{
    if (resource != NO_INDEX)
        p->proto.total[resource] = (int64_t)MIN(pool_size(pool), (uint64_t)UNLIMITED);
}

/* A worker of the kind that stands in no list: total amounts by resource. */
static void proto_make(struct packing *p)
{
    const struct sched *s = p->s;
    const struct sched_kind *k = p->kind;
    struct worker *w = &p->proto;
    *w = (struct worker){.n_resources = s->n_resources, .gpus = NO_INDEX};
    w->total = xcalloc(s->n_resources + 1, sizeof *w->total);
    for (uint32_t r = 0; k->partial && r < s->n_resources; r++)
        w->total[r] = UNLIMITED;
    for (size_t i = 0; i < k->pools->n_pools; i++)
        proto_set(p, known_resource(s, k->pools->pools[i].name), &k->pools->pools[i]);
    const struct pool *gpus = pool_set_serving(k->pools, GPUS_ANY);
    w->gpus = gpus ? known_resource(s, gpus->name) : NO_INDEX;
    /* Nobody asks for that kind by its name: only for GPUs of whatever kind. */
    if (gpus && w->gpus == NO_INDEX)
        proto_set(p, known_resource(s, GPUS_ANY), gpus);
}

/* All of a resource whose amount nobody knows is taken for little of it. */
static int64_t proto_need(const struct worker *w, const struct need *n)
{
    uint32_t r = worker_resource(w, n);
    if (n->all && r < w->n_resources && w->total[r] == UNLIMITED)
        return 1;
    return worker_need(w, n);
}

/* A worker has lived for a moment when it comes, so what asks for its whole life starts
 * nowhere; but how long one lives is only known when one has come. */
static bool proto_lives(const struct sched_kind *k, const struct way *way)
{
    return !way->min_time_us || way->min_time_us < k->life_us ||
           (k->partial && way->min_time_us == k->life_us);
}

static uint64_t proto_fit(const struct packing *p, const struct way *way,
                          const int64_t *free, uint64_t max)
{
    uint64_t fit = max;
    if (!proto_lives(p->kind, way))
        return 0;
    for (uint32_t i = 0; i < way->n_needs && fit; i++) {
        int64_t amount = proto_need(&p->proto, &way->needs[i]);
        uint32_t r = worker_resource(&p->proto, &way->needs[i]);
        int64_t left = r < p->proto.n_resources ? free[r] : 0;
        if (left < amount)
            return 0;
        if (amount > 0 && (uint64_t)(left / amount) < fit)
            fit = (uint64_t)(left / amount);
    }
    return fit;
}

static void proto_take(const struct packing *p, const struct way *way, int64_t *free,
                       uint64_t n)
{
    for (uint32_t i = 0; i < way->n_needs; i++) {
        uint32_t r = worker_resource(&p->proto, &way->needs[i]);
        if (r < p->proto.n_resources && p->proto.total[r] != UNLIMITED)
            free[r] -= proto_need(&p->proto, &way->needs[i]) * (int64_t)n;
    }
}

/* Up to `max` tasks of the class onto amounts like these; how many fit. */
static uint64_t fill(const struct packing *p, const struct task_class *c, int64_t *free,
                     uint64_t max)
{
    uint64_t placed = 0;
    for (uint32_t i = 0; i < c->n_ways && placed < max; i++) {
        const struct way *way = &c->ways[c->preferred[i]];
        uint64_t n = proto_fit(p, way, free, max - placed);
        if (n)
            proto_take(p, way, free, n);
        placed += n;
    }
    return placed;
}

/* Tasks of the item onto some of `count` workers with these amounts left: full ones
 * become one stack, one that is not full another. Returns how many got something. */
static uint32_t put_on(struct packing *p, struct item *it, const int64_t *free_amounts,
                       uint32_t count)
{
    size_t bytes = (p->proto.n_resources + 1) * sizeof *free_amounts;
    int64_t *full = xmemdup(free_amounts, bytes);
    uint64_t each = fill(p, it->class, full, it->count);
    p->budget -= MIN(p->budget, 1u);
    if (!each) {
        free(full);
        return 0;
    }
    uint32_t n = (uint32_t)MIN(it->count / each, count);
    must_push(&p->stacks, ((struct stack){n, full}));
    it->count -= n * each;
    if (n == count || !it->count)
        return n;
    int64_t *part = xmemdup(free_amounts, bytes);
    it->count -= fill(p, it->class, part, it->count);
    must_push(&p->stacks, ((struct stack){1, part}));
    return n + 1;
}

static void put(struct packing *p, struct item *it)
{
    size_t n = p->stacks.len; /* those that this item makes have no room for it */
    for (size_t i = 0; i < n && it->count && p->budget; i++)
        if (p->stacks.data[i].count) {
            /* Pushing moves the stacks. */
            uint32_t moved =
                put_on(p, it, p->stacks.data[i].free, p->stacks.data[i].count);
            p->stacks.data[i].count -= moved;
        }
    if (it->count && p->fresh && p->budget)
        p->fresh -= put_on(p, it, p->proto.total, p->fresh);
}

static void stacks_clear(struct packing *p)
{
    for (size_t i = 0; i < p->stacks.len; i++)
        free(p->stacks.data[i].free);
    vec_clear(&p->stacks);
}

static void pack(struct packing *p, uint32_t workers)
{
    stacks_clear(p);
    p->fresh = workers;
    for (size_t i = 0; i < p->items.len; i++) {
        struct item *it = &p->items.data[i];
        it->count = it->before;
        if (!it->class->gang && it->count)
            put(p, it);
    }
}

/* It would use too little of its CPUs, so it would run none of this. */
static bool below_minimum(const struct packing *p, const struct stack *st)
{
    uint32_t cpus = p->s->cpus;
    int64_t total = p->proto.total[cpus];
    if (p->kind->min_utilization <= 0 || total == UNLIMITED)
        return false;
    int64_t used = total - st->free[cpus];
    return used > 0 && (double)used + 0.5 < p->kind->min_utilization * (double)total;
}

static uint32_t count_workers(const struct packing *p, bool thrifty)
{
    uint32_t n = 0;
    for (size_t i = 0; i < p->stacks.len; i++)
        if (!thrifty || !below_minimum(p, &p->stacks.data[i]))
            n += p->stacks.data[i].count;
    return n;
}

static void add_gang(struct sched_use *out, uint32_t n_nodes, uint64_t n_tasks)
{
    size_t at = 0;
    while (at < out->n_gangs && out->gangs[at].n_nodes < n_nodes)
        at++;
    if (at < out->n_gangs && out->gangs[at].n_nodes == n_nodes) {
        out->gangs[at].n_tasks += n_tasks;
        return;
    }
    out->gangs = xrealloc(out->gangs, (out->n_gangs + 1) * sizeof *out->gangs);
    memmove(&out->gangs[at + 1], &out->gangs[at],
            (out->n_gangs - at) * sizeof *out->gangs);
    out->gangs[at] = (struct gang_demand){n_nodes, n_tasks};
    out->n_gangs++;
}

/* Gangs that groups on their way can serve, one each; the rest of a group is for tasks
 * of one node. */
static uint64_t take_coming(struct packing *p, uint32_t n_nodes, uint64_t max,
                            uint64_t *rest)
{
    uint64_t n = 0;
    for (size_t i = 0; i < p->kind->n_coming && n < max; i++) {
        if (p->coming[i] < n_nodes)
            continue;
        *rest += p->coming[i] - n_nodes;
        p->coming[i] = 0;
        n++;
    }
    return n;
}

static uint64_t take_more(struct packing *p, uint32_t n_nodes, uint64_t max)
{
    if (n_nodes > p->kind->max_nodes)
        return 0;
    uint64_t n = MIN(MIN(max, p->more), p->room / n_nodes);
    p->more -= (uint32_t)n;
    p->room -= n * n_nodes;
    return n;
}

/* Returns the workers that are left for tasks of one node. */
static uint32_t take_gangs(struct packing *p, struct sched_use *out)
{
    const struct sched_kind *k = p->kind;
    uint64_t rest = 0;
    p->coming = xcalloc(k->n_coming + 1, sizeof *p->coming);
    if (k->n_coming)
        memcpy(p->coming, k->coming, k->n_coming * sizeof *p->coming);
    p->more = k->max_more;
    p->room = k->max_room;
    for (size_t i = 0; i < p->items.len; i++) {
        struct item *it = &p->items.data[i];
        const struct way *way = &it->class->ways[0];
        if (!it->class->gang || !it->before || !proto_fit(p, way, p->proto.total, 1))
            continue;
        uint64_t n = take_coming(p, way->n_nodes, it->before, &rest);
        n += take_more(p, way->n_nodes, it->before - n);
        if (n)
            add_gang(out, way->n_nodes, n);
        it->before -= n;
    }
    for (size_t i = 0; i < k->n_coming; i++)
        rest += p->coming[i];
    free(p->coming);
    rest += MIN((uint64_t)p->more * k->max_nodes, p->room);
    return (uint32_t)MIN(rest, UINT32_MAX);
}

static void ask_kind(struct packing *p, struct sched_use *out)
{
    *out = (struct sched_use){0};
    proto_make(p);
    pack(p, take_gangs(p, out));
    uint32_t all = count_workers(p, false);
    out->n_workers = count_workers(p, true);
    if (out->n_workers < all)
        pack(p, out->n_workers); /* the others' tasks are left to later kinds */
    for (size_t i = 0; i < p->items.len; i++)
        if (!p->items.data[i].class->gang)
            p->items.data[i].before = p->items.data[i].count;
    free(p->proto.total);
}

void sched_query(const struct sched *s, const struct sched_kind *kinds, size_t n,
                 struct sched_use *out)
{
    struct packing p = {.s = s, .budget = QUERY_BUDGET};
    gather(&p);
    for (size_t i = 0; i < n; i++) {
        p.kind = &kinds[i];
        ask_kind(&p, &out[i]);
    }
    stacks_clear(&p);
    vec_release(&p.stacks);
    vec_release(&p.items);
}

void sched_use_release(struct sched_use *u)
{
    free(u->gangs);
    *u = (struct sched_use){0};
}
