/*
 * The best use of a few workers by the tasks of one priority, where taking one class
 * after the other may waste room: several classes or variants compete. What counts is
 * weight times the shares of the cluster's resources that the tasks ask for. A search
 * with bounds, depth first and in the order of greed, so that it is greed when it is
 * cut short; it is left out where there are too many choices for it.
 */
#include "sched/internal.h"
#include "sched/room.h"

#define SEARCH_MAX 400u
#define SEARCH_PER_VISIT 16u /* of the step's budget */

/* Tasks of a waiting class. */
struct pool_of_tasks {
    struct queue *queue;
    struct task_class *class;
    uint32_t left;
    double best_value; /* of one of them */
};

/* A variant on a worker. */
struct choice {
    uint32_t worker; /* in workers */
    uint32_t tasks;  /* in tasks */
    uint8_t variant;
    double value;   /* of one task */
    double density; /* value for the shares it takes */
    uint32_t count, best_count;
};

struct exact {
    struct sched *sched;
    struct pool_of_tasks tasks[EXACT_CLASSES_MAX];
    uint32_t n_tasks;
    struct worker *workers[EXACT_WORKERS_MAX];
    int64_t *left[EXACT_WORKERS_MAX]; /* of each resource */
    uint32_t n_workers;
    struct choice choices[EXACT_CHOICES_MAX];
    double dense[EXACT_CHOICES_MAX]; /* the highest density from there on */
    uint32_t n_choices;
    double best;
    uint32_t nodes;
};

/* Sum of the shares that a task takes of each resource of the cluster. */
static double way_shares(const struct sched *s, const struct worker *w,
                         const struct way *way)
{
    double share = 0;
    for (uint32_t i = 0; i < way->n_needs; i++) {
        int64_t total = s->cluster.data[worker_resource(w, &way->needs[i])];
        if (total > 0)
            share += (double)worker_need(w, &way->needs[i]) / (double)total;
    }
    return share;
}

/* A task is worth the same in each variant, so that those are chosen of which most can
 * run, or which weigh more. Whatever its weight, one that runs is better than none. */
static double choice_value(const struct sched *s, const struct worker *w,
                           const struct task_class *c, uint8_t variant)
{
    double share = way_shares(s, w, &c->ways[0]);
    for (uint32_t v = 1; v < c->n_ways; v++)
        share = MIN(share, way_shares(s, w, &c->ways[v]));
    return MAX(c->ways[variant].weight, 1e-4) * MAX(share, 1e-9);
}

static void left_take(const struct worker *w, const struct way *way, int64_t *left,
                      int64_t n)
{
    for (uint32_t i = 0; i < way->n_needs; i++) {
        uint32_t resource = worker_resource(w, &way->needs[i]);
        if (resource < w->n_resources)
            left[resource] -= worker_need(w, &way->needs[i]) * n;
    }
}

/* What is left of the worker, as a sum of shares of the cluster. */
static double left_shares(const struct exact *x, uint32_t worker)
{
    double share = 0;
    for (uint32_t r = 0; r < x->workers[worker]->n_resources; r++)
        if (x->left[worker][r] > 0)
            share += (double)x->left[worker][r] / (double)x->sched->cluster.data[r];
    return share;
}

/* No solution is better than all tasks of what may be still chosen, each at its best;
 * nor than all that is left, used by the densest choice. */
static double possible_value(const struct exact *x, uint32_t at)
{
    double by_tasks = 0, by_room = 0;
    bool counted[EXACT_CLASSES_MAX] = {false};
    for (uint32_t i = at; i < x->n_choices; i++) {
        uint32_t t = x->choices[i].tasks;
        if (!counted[t])
            by_tasks += x->tasks[t].left * x->tasks[t].best_value;
        counted[t] = true;
    }
    for (uint32_t w = x->choices[at].worker; w < x->n_workers; w++)
        by_room += left_shares(x, w);
    return MIN(by_tasks, by_room * x->dense[at]);
}

static void search(struct exact *x, uint32_t at, double value)
{
    if (value > x->best + 1e-12) {
        x->best = value;
        for (uint32_t i = 0; i < x->n_choices; i++)
            x->choices[i].best_count = i < at ? x->choices[i].count : 0;
    }
    if (at == x->n_choices || ++x->nodes > SEARCH_MAX ||
        value + possible_value(x, at) <= x->best + 1e-12)
        return;
    struct choice *c = &x->choices[at];
    const struct worker *w = x->workers[c->worker];
    const struct way *way = &x->tasks[c->tasks].class->ways[c->variant];
    int64_t *left = x->left[c->worker];
    uint32_t most = worker_fit(w, way, left, x->tasks[c->tasks].left);
    for (uint32_t n = most + 1; n-- > 0;) {
        c->count = n;
        left_take(w, way, left, n);
        x->tasks[c->tasks].left -= n;
        search(x, at + 1, value + n * c->value);
        x->tasks[c->tasks].left += n;
        left_take(w, way, left, -(int64_t)n);
    }
    c->count = 0;
}

/* Next worker from index `from` on that may have room for any of the classes. */
static uint32_t next_worker(const struct exact *x, uint32_t from)
{
    uint32_t next = NO_INDEX;
    for (uint32_t t = 0; t < x->n_tasks; t++)
        next = MIN(next, room_next(x->sched, x->tasks[t].class, from));
    return next;
}

/* A minimal utilisation is one decision of its own. */
static bool worker_counts(const struct worker *w)
{
    return !w->draining && !w->gang && w->min_utilization <= 0;
}

/* False when there are too many to look at them together. */
static bool find_workers(struct exact *x)
{
    for (uint32_t i = next_worker(x, 0); i != NO_INDEX; i = next_worker(x, i + 1)) {
        struct worker *w = x->sched->workers.data[i];
        if (!worker_counts(w))
            continue;
        if (x->n_workers == EXACT_WORKERS_MAX)
            return false;
        x->workers[x->n_workers++] = w;
    }
    return true;
}

/* What the tasks of this priority may take on each worker. */
static void find_room(struct exact *x, int32_t priority)
{
    struct sched *s = x->sched;
    size_t n = 0;
    for (uint32_t i = 0; i < x->n_workers; i++)
        n += x->workers[i]->n_resources;
    HQ_ASSERT(vec_reserve(&s->scratch, n + 1));
    int64_t *at = s->scratch.data;
    for (uint32_t i = 0; i < x->n_workers; i++) {
        struct worker *w = x->workers[i];
        const int64_t *gap = gap_amounts(s, w, priority);
        x->left[i] = at;
        for (uint32_t r = 0; r < w->n_resources; r++)
            at[r] = gap ? MIN(w->free[r], gap[r]) : w->free[r];
        at += w->n_resources;
    }
}

static bool add_choice(struct exact *x, uint32_t worker, uint32_t tasks,
                       uint8_t variant)
{
    struct pool_of_tasks *t = &x->tasks[tasks];
    const struct worker *w = x->workers[worker];
    const struct way *way = &t->class->ways[variant];
    const struct lane *l = lane_find(w, t->class->id, variant);
    bool closed =
        l && (l->dead || l->blocked || l->n_tasks + t->left > SCHED_WINDOW_MAX);
    if (closed || !worker_in_time(x->sched, w, way) ||
        !place_allowed_now(x->sched, w, t->class, t->queue->priority) ||
        !worker_fit(w, way, x->left[worker], 1))
        return true;
    if (x->n_choices == EXACT_CHOICES_MAX)
        return false;
    double value = choice_value(x->sched, w, t->class, variant);
    double share = MAX(way_shares(x->sched, w, way), 1e-9);
    struct choice *c = &x->choices[x->n_choices++];
    *c = (struct choice){worker, tasks, variant, value, value / share, 0, 0};
    t->best_value = MAX(t->best_value, c->value);
    return true;
}

/* On each worker the most valuable first; in the order of classes between equals. */
static bool find_choices(struct exact *x)
{
    for (uint32_t w = 0; w < x->n_workers; w++) {
        uint32_t first = x->n_choices;
        for (uint32_t t = 0; t < x->n_tasks; t++)
            for (uint32_t v = 0; v < x->tasks[t].class->n_ways; v++)
                if (!add_choice(x, w, t, (uint8_t)v))
                    return false;
        for (uint32_t i = first + 1; i < x->n_choices; i++)
            for (uint32_t k = i;
                 k > first && x->choices[k - 1].value + 1e-12 < x->choices[k].value;
                 k--) {
                struct choice c = x->choices[k];
                x->choices[k] = x->choices[k - 1];
                x->choices[k - 1] = c;
            }
    }
    double dense = 0;
    for (uint32_t i = x->n_choices; i-- > 0;) {
        dense = MAX(dense, x->choices[i].density);
        x->dense[i] = dense;
    }
    return x->n_choices > 1;
}

static void solve(struct exact *x, int32_t priority)
{
    struct sched *s = x->sched;
    for (uint32_t i = 0; i < x->n_tasks; i++) {
        x->tasks[i].best_value = 0;
        x->tasks[i].left =
            (uint32_t)MIN(x->tasks[i].queue->ready.n_tasks, SCHED_WINDOW_MAX / 2);
    }
    x->n_choices = x->nodes = 0;
    x->best = 0;
    find_room(x, priority);
    if (!find_choices(x))
        return;
    search(x, 0, 0);
    s->budget -= MIN(s->budget, x->nodes / SEARCH_PER_VISIT);
    for (uint32_t i = 0; i < x->n_choices; i++) {
        const struct choice *c = &x->choices[i];
        const struct pool_of_tasks *t = &x->tasks[c->tasks];
        if (c->best_count)
            out_assign(s, lane_get(s, x->workers[c->worker], t->class, c->variant),
                       c->best_count, c->best_count, t->queue);
    }
}

/* One worker after the other. */
static void solve_each(struct exact *x, int32_t priority)
{
    struct sched *s = x->sched;
    for (uint32_t i = next_worker(x, 0); i != NO_INDEX; i = next_worker(x, i + 1)) {
        struct worker *w = s->workers.data[i];
        if (s->budget == 0) {
            s->out_of_budget = true;
            return;
        }
        s->budget--;
        if (!worker_counts(w))
            continue;
        x->n_workers = 1;
        x->workers[0] = w;
        solve(x, priority);
        uint64_t waiting = 0;
        for (uint32_t t = 0; t < x->n_tasks; t++) {
            struct queue *q = x->tasks[t].queue;
            if (q->ready.n_tasks)
                place_on(s, w, x->tasks[t].class, q);
            if (q->ready.n_tasks)
                room_close(s, w, x->tasks[t].class, priority);
            waiting += q->ready.n_tasks;
        }
        if (!waiting)
            return;
    }
}

void exact_place(struct sched *s, size_t first, int32_t priority)
{
    struct exact x = {.sched = s};
    uint32_t n_ways = 0;
    for (size_t i = first; i < s->order.len; i++) {
        struct task_class *c = s->order.data[i];
        if (!c->waiting || class_priority(c) != priority)
            break;
        if (c->gang || room_next(s, c, 0) == NO_INDEX)
            continue;
        if (x.n_tasks == EXACT_CLASSES_MAX)
            return;
        x.tasks[x.n_tasks++] = (struct pool_of_tasks){class_top(c), c, 0, 0};
        n_ways += c->n_ways;
    }
    if (n_ways < 2)
        return;
    if (!find_workers(&x))
        solve_each(&x, priority);
    else if (x.n_workers)
        solve(&x, priority);
}
