/* Classes, their queues of waiting tasks, and the order in which they are served. */
#include <stdlib.h>
#include "base/buf.h"
#include "base/checksum.h"
#include "base/xmem.h"
#include "sched/internal.h"
#include "sched/room.h"

uint32_t resource_intern(struct sched *s, const char *name)
{
    uintptr_t known = (uintptr_t)strmap_get(s->resource_ids, name, strlen(name));
    if (known)
        return (uint32_t)(known - 1);
    uint32_t id = s->n_resources++;
    HQ_ASSERT(
        !strmap_add(s->resource_ids, name, strlen(name), (void *)((uintptr_t)id + 1)));
    must_push(&s->cluster, 0);
    return id;
}

static void way_init(struct sched *s, struct way *way, const struct request_variant *v)
{
    way->n_needs = (uint32_t)v->n_entries;
    way->needs = xcalloc(v->n_entries + 1, sizeof *way->needs);
    way->n_nodes = v->n_nodes;
    way->min_time_us = v->min_time_ns / 1000 + (v->min_time_ns % 1000 != 0);
    way->weight = (double)v->weight / AMOUNT_ONE;
    way->duration_us = -1;
    for (size_t i = 0; i < v->n_entries; i++) {
        const struct request_entry *e = &v->entries[i];
        way->needs[i].resource = resource_intern(s, e->name);
        way->needs[i].any_gpus =
            strcmp(e->name, GPUS_ANY) == 0 && request_variant_any_gpus(v);
        way->needs[i].all = e->policy == POLICY_ALL;
        way->needs[i].amount = (int64_t)MIN(e->amount, (uint64_t)INT64_MAX / 2);
        way->uses_cpus |= way->needs[i].resource == s->cpus;
    }
}

static int64_t way_cpus(const struct sched *s, const struct way *way)
{
    for (uint32_t i = 0; i < way->n_needs; i++)
        if (way->needs[i].resource == s->cpus)
            return way->needs[i].amount;
    return 0;
}

static struct task_class *class_create(struct sched *s, const struct request *r,
                                       uint64_t limit_us)
{
    struct task_class *c = xcalloc(1, sizeof *c);
    if (request_copy(&c->request, r)) {
        free(c);
        return NULL;
    }
    c->id = (uint32_t)s->classes.len;
    c->limit_us = limit_us;
    c->n_ways = (uint32_t)r->n_variants;
    c->ways = xcalloc(r->n_variants + 1, sizeof *c->ways);
    c->preferred = xcalloc(r->n_variants + 1, sizeof *c->preferred);
    c->order_pos = NO_INDEX;
    c->lowest_sent = INT32_MAX;
    c->highest_sent = c->settled_top = c->retracts_top = INT32_MIN;
    c->closed_priority = INT32_MAX;
    c->least_cpus = INT64_MAX;
    list_init(&c->hungry);
    list_init(&c->ahead);
    list_init(&c->settled);
    for (size_t i = 0; i < r->n_variants; i++) {
        way_init(s, &c->ways[i], &r->variants[i]);
        c->least_cpus = MIN(c->least_cpus, way_cpus(s, &c->ways[i]));
        c->gang |= r->variants[i].n_nodes > 0;
        c->weight = MAX(c->weight, (double)r->variants[i].weight / AMOUNT_ONE);
    }
    return c;
}

void class_release(struct task_class *c)
{
    for (uint32_t i = 0; i < c->n_ways; i++)
        free(c->ways[i].needs);
    free(c->ways);
    free(c->preferred);
    queues_release(&c->queues);
    vec_release(&c->lanes);
    request_release(&c->request);
    free(c);
}

/* The largest share of the cluster that a task takes of any resource. */
static double way_share(const struct sched *s, const struct way *way)
{
    double share = 0;
    for (uint32_t i = 0; i < way->n_needs; i++) {
        const struct need *n = &way->needs[i];
        int64_t total = s->cluster.data[n->resource];
        if (total > 0)
            share = MAX(share, n->all ? 1 : (double)n->amount / (double)total);
    }
    return share;
}

/* What a variant costs for its weight; of equals the one given first comes first. */
static double way_cost(const struct sched *s, const struct way *way)
{
    return way_share(s, way) / MAX(way->weight, 1e-4);
}

/* The order of the variants, and the share of the cheapest. */
static double class_share(const struct sched *s, struct task_class *c)
{
    double best = 0;
    for (uint32_t v = 0; v < c->n_ways; v++) {
        double share = way_share(s, &c->ways[v]), cost = way_cost(s, &c->ways[v]);
        best = v == 0 ? share : MIN(best, share);
        uint32_t at = v;
        for (; at > 0 && cost + 1e-12 < way_cost(s, &c->ways[c->preferred[at - 1]]);
             at--)
            c->preferred[at] = c->preferred[at - 1];
        c->preferred[at] = (uint8_t)v;
    }
    return best;
}

void class_meet_worker(struct task_class *c, const struct worker *w)
{
    uint64_t fit = 0;
    for (uint32_t v = 0; v < c->n_ways; v++)
        fit += worker_fit(w, &c->ways[v], w->total, SCHED_WINDOW_MAX);
    c->most_fit = MAX(c->most_fit, fit);
}

/* Rounded up by an eighth at most: many different limits make few classes. */
static uint64_t limit_round(uint64_t limit_us)
{
    unsigned shift = limit_us >> 4 ? 60 - (unsigned)__builtin_clzll(limit_us) : 0;
    uint64_t unit = 1ULL << shift;
    return limit_us > UINT64_MAX / 4 ? UINT64_MAX / 4
                                     : (limit_us + unit - 1) / unit * unit;
}

/* Classes whose encodings share a checksum take the next key. */
uint32_t sched_class(struct sched *s, const struct request *r, uint64_t limit_us)
{
    struct buf encoded;
    uint64_t id, key;
    limit_us = limit_round(limit_us);
    buf_init(&encoded, BUF_MAX_DEFAULT);
    request_encode(r, &encoded);
    key = checksum64(encoded.data, encoded.len, limit_us) >> 1;
    bool failed = encoded.failed;
    buf_release(&encoded);
    if (failed)
        return SCHED_NO_CLASS;
    while (u64map_get(&s->class_of, key, &id)) {
        const struct task_class *known = s->classes.data[id];
        if (known->limit_us == limit_us && request_equal(&known->request, r))
            return (uint32_t)id;
        key++;
    }
    struct task_class *c = class_create(s, r, limit_us);
    if (!c || u64map_set(&s->class_of, key, c->id) || !vec_push(&s->classes, c)) {
        if (c)
            class_release(c);
        return SCHED_NO_CLASS;
    }
    c->key.share = class_share(s, c);
    room_resize(s);
    /* The index may have had a spare column, so nobody is known to have room yet. */
    for (size_t i = 0; i < s->workers.len; i++)
        if (s->workers.data[i]) {
            class_meet_worker(c, s->workers.data[i]);
            room_open_class(s, s->workers.data[i], c->id);
        }
    return c->id;
}

const struct request *sched_class_request(const struct sched *s, uint32_t class_id)
{
    return class_id < s->classes.len ? &s->classes.data[class_id]->request : NULL;
}

/* Its place in the order may have changed. */
void class_touch(struct sched *s, struct task_class *c)
{
    if (c->touched)
        return;
    c->touched = true;
    must_push(&s->touched, c);
}

void class_enqueue(struct sched *s, struct task_class *c, int32_t priority,
                   uint32_t job, uint32_t slot, uint32_t count)
{
    ready_set_add(&queues_get(&c->queues, priority)->ready, job, slot, count);
    c->waiting += count;
    s->waiting += count;
    class_touch(s, c);
    s->gangs_dirty |= c->gang;
}

void class_dequeued(struct sched *s, struct task_class *c, uint64_t n)
{
    HQ_ASSERT(c->waiting >= n && s->waiting >= n);
    c->waiting -= n;
    s->waiting -= n;
    if (n) {
        queues_taken(&c->queues);
        class_touch(s, c);
    }
    if (!c->waiting)
        starve_end(s, c);
}

/* `share` changes with the workers only, so it is kept otherwise. */
static struct order_key order_key(const struct task_class *c, double share)
{
    const struct queue *q = class_top(c);
    struct ready_run run = ready_set_first(&q->ready);
    return (struct order_key){q->priority, c->gang ? (c->gang_yields ? 2 : 0) : 1,
                              c->weight, share, (uint64_t)run.job << 32 | run.slot};
}

static bool order_before(const struct order_key *a, const struct order_key *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->gang_rank != b->gang_rank)
        return a->gang_rank < b->gang_rank;
    if (a->weight > b->weight || a->weight < b->weight)
        return a->weight > b->weight;
    if (a->share > b->share || a->share < b->share)
        return a->share > b->share;
    return a->first < b->first;
}

static void order_set(struct sched *s, size_t at, struct task_class *c)
{
    s->order.data[at] = c;
    c->order_pos = (uint32_t)at;
}

static void order_remove(struct sched *s, struct task_class *c)
{
    for (size_t at = c->order_pos; at + 1 < s->order.len; at++)
        order_set(s, at, s->order.data[at + 1]);
    s->order.len--;
    c->order_pos = NO_INDEX;
}

/* Moves the class to where its key belongs. */
static void order_move(struct sched *s, struct task_class *c)
{
    size_t at = c->order_pos;
    for (; at > 0 && order_before(&c->key, &s->order.data[at - 1]->key); at--)
        order_set(s, at, s->order.data[at - 1]);
    for (; at + 1 < s->order.len && order_before(&s->order.data[at + 1]->key, &c->key);
         at++)
        order_set(s, at, s->order.data[at + 1]);
    order_set(s, at, c);
}

/* Few classes change between two steps; only these move. */
void classes_sort(struct sched *s)
{
    if (s->order_version != s->cluster_version) {
        for (size_t i = 0; i < s->classes.len; i++) {
            struct task_class *c = s->classes.data[i];
            c->key.share = class_share(s, c);
            class_touch(s, c);
        }
        s->order_version = s->cluster_version;
    }
    for (size_t i = 0; i < s->touched.len; i++) {
        struct task_class *c = s->touched.data[i];
        c->touched = false;
        if (!c->waiting) {
            if (c->order_pos != NO_INDEX)
                order_remove(s, c);
            continue;
        }
        c->key = order_key(c, c->key.share);
        if (c->order_pos == NO_INDEX) {
            must_push(&s->order, c);
            c->order_pos = (uint32_t)(s->order.len - 1);
        }
        order_move(s, c);
    }
    vec_clear(&s->touched);
}

/* The class at `at` became less important: others get in front of it. */
void classes_resort_from(struct sched *s, size_t at)
{
    struct task_class *c = s->order.data[at];
    c->key = order_key(c, c->key.share);
    for (; at + 1 < s->order.len && order_before(&s->order.data[at + 1]->key, &c->key);
         at++)
        order_set(s, at, s->order.data[at + 1]);
    order_set(s, at, c);
}

uint64_t sched_waiting(const struct sched *s)
{
    return s->waiting;
}
