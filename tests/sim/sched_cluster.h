/*
 * A simulated cluster for tests of the scheduler: workers that obey the worker side of
 * the contract in sched/sched.h, links with latency that keep their order, virtual
 * time. The test plays the server: it calls cluster_next() and acts on what arrives.
 */
#ifndef HQ_TEST_SCHED_CLUSTER_H
#define HQ_TEST_SCHED_CLUSTER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/heap.h"
#include "base/vec.h"
#include "sched/sched.h"

#define SIM_RESOURCES 3
#define SIM_CLASSES 48
#define SIM_VARIANTS 2
#define SIM_ENDLESS UINT64_MAX /* a duration */
#define SIM_STUCK_US 20000     /* tasks behind a longer one go back to the queue */

#define SIM_ASSERT(cond) ((cond) ? (void)0 : sim_failed(#cond, __LINE__))
_Noreturn void sim_failed(const char *cond, int line); /* of the test */

enum sim_kind {
    SIM_ASSIGN, /* to the worker */
    SIM_RETRACT,
    SIM_CANCEL,
    SIM_GANG,
    SIM_STARTED, /* to the server */
    SIM_DONE,
    SIM_REFUSED,
    SIM_RETRACTED,
    SIM_FREED,
    SIM_REJECTED,
    SIM_TASK_END, /* inside of the worker */
    SIM_TOLD,
    SIM_STUCK,
    SIM_FLUSH,
    SIM_TIMER /* of the test; `slot` is free for it */
};

struct sim_message {
    enum sim_kind kind;
    uint32_t link; /* number of the link to a worker; a lost one never comes back */
    uint32_t class_id;
    uint8_t variant;
    uint32_t n; /* grants, at most, released */
    uint32_t job, slot, count;
    uint64_t duration_us;
    uint64_t serial; /* of the execution that ends */
    struct task_run *runs;
    size_t n_runs;
};

/* The test's description of a class: amounts by resource, in units. */
struct sim_class {
    uint32_t id;
    uint32_t n_variants;
    uint32_t n_nodes;
    uint64_t min_time_us[SIM_VARIANTS];
    uint64_t amounts[SIM_VARIANTS][SIM_RESOURCES];
};

enum sim_phase {
    SIM_AHEAD, /* in the launcher, behind another one of its seat */
    SIM_RUNS,
    SIM_OVER /* its end is not told yet: its output is being written */
};

/* A task on a worker. A seat is an allocation; its tasks run one after the other. */
struct sim_running {
    uint64_t serial, seat, since_us;
    uint32_t job, slot, class_index;
    uint8_t variant;
    int32_t priority;
    enum sim_phase phase;
    bool reported, gang;
    bool cancelled;
    bool released; /* its end freed the allocation */
    bool orphan;   /* of an earlier connection: nothing follows on its seat */
    bool discard;  /* … and nobody wants to hear of it */
    bool endless;  /* until cluster_end_endless */
};

struct sim_lane {
    VEC(struct task_run) queue; /* runs of one task, sorted */
    uint64_t moved_us;          /* last start of a task */
    bool dead;
};

struct sim_worker {
    uint32_t link; /* 0: not connected */
    uint32_t id;   /* in the scheduler */
    uint64_t total[SIM_RESOURCES], free[SIM_RESOURCES];
    struct sim_lane lanes[SIM_CLASSES][SIM_VARIANTS];
    VEC(struct sim_running) running;
    uint32_t n_seats; /* allocations */
    bool thrifty;     /* for the test: it wants a share of its cpus used or none */
    uint64_t end_us;  /* for the test: of its life; 0: it has no end */
    struct sim_message done;        /* gathered; count 0: nothing */
    VEC(struct sim_running) unsent; /* ended while not connected */
    uint64_t last_to_worker_us, last_to_server_us;
};

struct cluster {
    uint64_t now_us, random, serial, sequence;
    struct heap events;
    struct sim_class classes[SIM_CLASSES];
    uint32_t n_classes;
    VEC(struct sim_worker *) workers;
    uint32_t n_links;
    uint32_t latency_us;     /* mean */
    uint32_t start_percent;  /* of starts are reported when they happen */
    uint32_t refuse_percent; /* of grants are refused */
    uint32_t gather_us;      /* ends are gathered so long */
    uint32_t ahead;          /* tasks in the launcher behind a running one, at most */
    uint32_t kill_us;        /* so long may it take to end a task */
    uint32_t output_us;      /* … and so long to write its output */
    bool refuse_void;        /* grants voided by a rejection are refused as well */
    uint64_t (*duration)(struct cluster *c, uint32_t job, uint32_t slot);
    /* A task starts on the worker; may be NULL. */
    void (*begun)(struct cluster *c, struct sim_worker *w, const struct sim_running *r);
    void *arg;
};

static inline uint64_t sim_random(struct cluster *c)
{
    uint64_t z = (c->random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}
static inline uint32_t sim_below(struct cluster *c, uint32_t n)
{
    return (uint32_t)(sim_random(c) % n);
}
static inline bool sim_percent(struct cluster *c, uint32_t percent)
{
    return sim_below(c, 100) < percent;
}

static inline void sim_post(struct cluster *c, uint64_t at_us, struct sim_message m)
{
    struct sim_message *copy = malloc(sizeof *copy);
    SIM_ASSERT(copy != NULL);
    *copy = m;
    SIM_ASSERT(!heap_push(&c->events, (struct heap_item){at_us, c->sequence++,
                                                         (uint64_t)(uintptr_t)copy}));
}

static inline struct sim_worker *sim_by_link(struct cluster *c, uint32_t link)
{
    for (size_t i = 0; i < c->workers.len; i++)
        if (c->workers.data[i]->link == link)
            return c->workers.data[i];
    return NULL;
}

static inline uint64_t sim_arrival(struct cluster *c, uint64_t *last_us)
{
    uint64_t at = c->now_us + 1 + (c->latency_us ? sim_below(c, c->latency_us * 2) : 0);
    *last_us = at > *last_us ? at : *last_us;
    return *last_us;
}

static inline void sim_to_server(struct cluster *c, struct sim_worker *w,
                                 struct sim_message m)
{
    m.link = w->link;
    sim_post(c, sim_arrival(c, &w->last_to_server_us), m);
}

static inline void sim_to_worker(struct cluster *c, struct sim_worker *w,
                                 struct sim_message m)
{
    m.link = w->link;
    sim_post(c, sim_arrival(c, &w->last_to_worker_us), m);
}

static inline uint32_t sim_class_index(const struct cluster *c, uint32_t class_id)
{
    for (uint32_t i = 0; i < c->n_classes; i++)
        if (c->classes[i].id == class_id)
            return i;
    SIM_ASSERT(false); /* every class in a message was opened before */
}

static inline void sim_flush(struct cluster *c, struct sim_worker *w)
{
    if (w->done.count && w->link)
        sim_to_server(c, w, w->done);
    w->done.count = 0;
}

/* Starts may be told before ends that are being gathered. */
static inline void sim_report_start(struct cluster *c, struct sim_worker *w,
                                    struct sim_running *r)
{
    if (r->reported || r->discard || !w->link)
        return;
    r->reported = true;
    sim_to_server(c, w,
                  (struct sim_message){
                      .kind = SIM_STARTED, .job = r->job, .slot = r->slot, .count = 1});
}

static inline uint64_t sim_up_to(struct cluster *c, uint32_t us)
{
    return us ? 1 + sim_below(c, us) : 0;
}

static inline void sim_begin(struct cluster *c, struct sim_worker *w,
                             struct sim_running *r)
{
    uint64_t duration = c->duration(c, r->job, r->slot);
    r->phase = SIM_RUNS;
    r->since_us = c->now_us;
    w->lanes[r->class_index][r->variant].moved_us = c->now_us;
    if (c->begun)
        c->begun(c, w, r);
    r->endless = duration == SIM_ENDLESS;
    if (!r->endless)
        sim_post(c, c->now_us + duration,
                 (struct sim_message){.kind = SIM_TASK_END, .serial = r->serial});
    if (sim_percent(c, c->start_percent))
        sim_report_start(c, w, r);
}

/* Tasks that still need the seat. */
static inline uint32_t sim_pending(const struct sim_worker *w, uint64_t seat)
{
    uint32_t n = 0;
    for (size_t i = 0; i < w->running.len; i++)
        n += w->running.data[i].seat == seat && w->running.data[i].phase != SIM_OVER;
    return n;
}

static inline void sim_run(struct cluster *c, struct sim_worker *w, uint32_t index,
                           uint8_t variant, struct task_run task, uint64_t seat)
{
    struct sim_running r = {.serial = ++c->serial,
                            .seat = seat ? seat : c->serial,
                            .job = task.job,
                            .slot = task.slot,
                            .class_index = index,
                            .variant = variant,
                            .priority = task.priority,
                            .phase = SIM_AHEAD,
                            .gang = c->classes[index].n_nodes > 0};
    bool alone = !seat || sim_pending(w, seat) == 0;
    SIM_ASSERT(vec_push(&w->running, r));
    if (alone)
        sim_begin(c, w, &vec_last(&w->running));
    else
        sim_post(c, c->now_us + SIM_STUCK_US,
                 (struct sim_message){.kind = SIM_STUCK, .serial = r.serial});
}

/* `seat`: 0 makes a new one. */
static inline bool sim_run_head(struct cluster *c, struct sim_worker *w, uint32_t index,
                                uint8_t variant, uint64_t seat)
{
    struct sim_lane *l = &w->lanes[index][variant];
    if (!l->queue.len)
        return false;
    struct task_run head = l->queue.data[0];
    l->queue.len--;
    memmove(l->queue.data, l->queue.data + 1, l->queue.len * sizeof head);
    sim_run(c, w, index, variant, head, seat);
    return true;
}

/* As the worker does: near the end of the queue no more than half of an even share. */
static inline void sim_seat_fill(struct cluster *c, struct sim_worker *w,
                                 uint32_t index, uint8_t variant, uint64_t seat)
{
    struct sim_lane *l = &w->lanes[index][variant];
    uint32_t n_seats = 1, pending = sim_pending(w, seat);
    for (size_t i = 0; i < w->running.len; i++)
        n_seats += w->running.data[i].class_index == index &&
                   w->running.data[i].phase == SIM_RUNS;
    uint64_t share = l->queue.len / (2 * (size_t)n_seats);
    uint32_t depth = 1 + (uint32_t)(share < c->ahead ? share : c->ahead);
    if (pending && pending > depth / 2)
        return;
    for (; pending < depth && l->queue.len; pending++)
        (void)sim_run_head(c, w, index, variant, seat);
}

static inline void sim_free_amounts(struct cluster *c, struct sim_worker *w,
                                    uint32_t index, uint8_t variant)
{
    for (int r = 0; r < SIM_RESOURCES; r++)
        w->free[r] += c->classes[index].amounts[variant][r];
}

static inline void sim_queue_insert(struct sim_lane *l, struct task_run t)
{
    size_t at = l->queue.len;
    SIM_ASSERT(vec_push(&l->queue, t));
    while (at > 0) {
        const struct task_run *p = &l->queue.data[at - 1];
        bool after = p->priority != t.priority ? p->priority < t.priority
                     : p->job != t.job         ? p->job > t.job
                                               : p->slot > t.slot;
        if (!after)
            break;
        l->queue.data[at] = *p;
        at--;
    }
    l->queue.data[at] = t;
}

/* Gives tasks from the tail back, as messages own their runs. */
static inline void sim_give_back(struct cluster *c, struct sim_worker *w,
                                 enum sim_kind kind, uint32_t index, uint8_t variant,
                                 uint32_t max)
{
    struct sim_lane *l = &w->lanes[index][variant];
    size_t n = max < l->queue.len ? max : l->queue.len;
    struct task_run *runs = malloc((n + 1) * sizeof *runs);
    SIM_ASSERT(runs != NULL);
    if (n)
        memcpy(runs, l->queue.data + l->queue.len - n, n * sizeof *runs);
    l->queue.len -= n;
    sim_to_server(c, w,
                  (struct sim_message){.kind = kind,
                                       .class_id = c->classes[index].id,
                                       .variant = variant,
                                       .runs = runs,
                                       .n_runs = n});
}

/* What started may not be known yet, but of cancelled tasks this answer tells all. */
static inline void sim_worker_retract(struct cluster *c, struct sim_worker *w,
                                      const struct sim_message *m)
{
    uint32_t index = sim_class_index(c, m->class_id);
    for (size_t i = 0; i < w->running.len; i++) {
        struct sim_running *r = &w->running.data[i];
        if (r->gang || r->discard)
            continue;
        bool mine = r->class_index == index && r->variant == m->variant;
        if ((mine && r->cancelled) || (r->phase == SIM_RUNS && sim_percent(c, 50)))
            sim_report_start(c, w, r);
    }
    sim_flush(c, w);
    sim_give_back(c, w, SIM_RETRACTED, index, m->variant, m->n);
}

static inline void sim_worker_refuse(struct cluster *c, struct sim_worker *w,
                                     const struct sim_message *m, uint32_t n)
{
    if (n)
        sim_to_server(c, w,
                      (struct sim_message){.kind = SIM_REFUSED,
                                           .class_id = m->class_id,
                                           .variant = m->variant,
                                           .n = n});
}

/* Only what an earlier connection left may be in the way of a grant. */
static inline bool sim_take_amounts(struct cluster *c, struct sim_worker *w,
                                    uint32_t index, uint8_t variant)
{
    bool fits = true, left = false;
    for (int r = 0; r < SIM_RESOURCES; r++)
        fits &= w->free[r] >= c->classes[index].amounts[variant][r];
    for (size_t i = 0; i < w->running.len; i++)
        left |= w->running.data[i].discard;
    SIM_ASSERT(fits || left);
    for (int r = 0; fits && r < SIM_RESOURCES; r++)
        w->free[r] -= c->classes[index].amounts[variant][r];
    return fits;
}

static inline void sim_refill_seats(struct cluster *c, struct sim_worker *w,
                                    uint32_t index, uint8_t variant)
{
    size_t n = c->ahead ? w->running.len : 0;
    for (size_t i = 0; i < n; i++) {
        struct sim_running r = w->running.data[i];
        if (r.class_index == index && r.variant == variant && r.phase == SIM_RUNS &&
            !r.gang && !r.orphan)
            sim_seat_fill(c, w, index, variant, r.seat);
    }
}

static inline void sim_worker_assign(struct cluster *c, struct sim_worker *w,
                                     const struct sim_message *m)
{
    uint32_t index = sim_class_index(c, m->class_id), refused = 0;
    struct sim_lane *l = &w->lanes[index][m->variant];
    for (size_t i = 0; i < m->n_runs; i++)
        for (uint32_t k = 0; k < m->runs[i].count; k++)
            sim_queue_insert(l, (struct task_run){m->runs[i].job, m->runs[i].slot + k,
                                                  1, m->runs[i].priority});
    if (l->dead) {
        sim_give_back(c, w, SIM_REJECTED, index, m->variant, UINT32_MAX);
        sim_worker_refuse(c, w, m, c->refuse_void ? m->n : 0);
        return;
    }
    for (uint32_t g = 0; g < m->n; g++) {
        SIM_ASSERT(l->queue.len > 0); /* every grant meets a task */
        if ((w->n_seats > 0 && sim_percent(c, c->refuse_percent)) ||
            !sim_take_amounts(c, w, index, m->variant)) {
            refused++;
            continue;
        }
        w->n_seats++;
        (void)sim_run_head(c, w, index, m->variant, 0);
    }
    sim_worker_refuse(c, w, m, refused);
    sim_refill_seats(c, w, index, m->variant);
}

static inline void sim_add_done(struct cluster *c, struct sim_worker *w,
                                const struct sim_running *r, bool released)
{
    uint32_t class_id = c->classes[r->class_index].id;
    struct sim_message *d = &w->done;
    uint64_t took = c->now_us - r->since_us;
    if (d->count && d->job == r->job && d->slot + d->count == r->slot &&
        d->class_id == class_id && d->variant == r->variant) {
        d->count++;
        d->n += released;
        d->duration_us += took;
    } else {
        sim_flush(c, w);
        *d = (struct sim_message){.kind = SIM_DONE,
                                  .class_id = class_id,
                                  .variant = r->variant,
                                  .n = released,
                                  .job = r->job,
                                  .slot = r->slot,
                                  .count = 1,
                                  .duration_us = took};
        if (c->gather_us && w->link)
            sim_post(c, c->now_us + c->gather_us,
                     (struct sim_message){.kind = SIM_FLUSH, .link = w->link});
    }
    if (!c->gather_us)
        sim_flush(c, w);
}

/* Tells the server of the end, and forgets the task. */
static inline void sim_tell_end(struct cluster *c, struct sim_worker *w, size_t at)
{
    struct sim_running r = w->running.data[at];
    vec_swap_remove(&w->running, at);
    if (r.discard)
        return;
    if (w->link)
        sim_add_done(c, w, &r, r.released || r.orphan); /* each had its own grant */
    else
        SIM_ASSERT(vec_push(&w->unsent, r));
}

static inline void sim_free_seat(struct cluster *c, struct sim_worker *w,
                                 struct sim_running *r)
{
    r->released = true;
    sim_free_amounts(c, w, r->class_index, r->variant);
    w->n_seats--;
    if (r->discard && w->link)
        sim_to_server(c, w, (struct sim_message){.kind = SIM_FREED});
}

/* The first one behind it starts without a word of the worker. */
static inline void sim_begin_next(struct cluster *c, struct sim_worker *w,
                                  uint64_t seat)
{
    struct sim_running *next = NULL;
    for (size_t i = 0; i < w->running.len; i++) {
        struct sim_running *r = &w->running.data[i];
        if (r->seat == seat && r->phase == SIM_AHEAD &&
            (!next || r->serial < next->serial))
            next = r;
    }
    if (next)
        sim_begin(c, w, next);
}

static inline void sim_worker_end(struct cluster *c, struct sim_worker *w, size_t at)
{
    struct sim_running *r = &w->running.data[at];
    bool ran = r->phase == SIM_RUNS;
    uint64_t serial = r->serial;
    r->phase = SIM_OVER;
    if (!r->gang) {
        uint64_t seat = r->seat;
        uint32_t index = r->class_index;
        uint8_t variant = r->variant;
        bool orphan = r->orphan;
        if (ran)
            sim_begin_next(c, w, seat);
        if (!orphan)
            sim_seat_fill(c, w, index, variant, seat);
        if (sim_pending(w, seat) == 0)
            sim_free_seat(c, w, &w->running.data[at]);
    }
    if (c->output_us && sim_percent(c, 50)) {
        if (!w->running.data[at].discard)
            sim_report_start(c, w, &w->running.data[at]);
        sim_post(
            c, c->now_us + sim_up_to(c, c->output_us),
            (struct sim_message){.kind = SIM_TOLD, .link = w->link, .serial = serial});
    } else {
        sim_tell_end(c, w, at);
    }
}

static inline void sim_kill(struct cluster *c, struct sim_worker *w, size_t at)
{
    if (c->kill_us)
        sim_post(c, c->now_us + sim_up_to(c, c->kill_us),
                 (struct sim_message){.kind = SIM_TASK_END,
                                      .serial = w->running.data[at].serial});
    else
        sim_worker_end(c, w, at);
}

/* Queued tasks are told as ended, without having been started. */
static inline void sim_cancel_queued(struct cluster *c, struct sim_worker *w,
                                     uint32_t index, uint8_t variant, uint32_t job)
{
    struct sim_lane *l = &w->lanes[index][variant];
    size_t kept = 0;
    for (size_t k = 0; k < l->queue.len; k++) {
        struct task_run t = l->queue.data[k];
        if (t.job != job) {
            l->queue.data[kept++] = t;
            continue;
        }
        struct sim_running r = {.job = job,
                                .slot = t.slot,
                                .class_index = index,
                                .variant = variant,
                                .since_us = c->now_us};
        sim_add_done(c, w, &r, false);
    }
    l->queue.len = kept;
}

static inline void sim_worker_cancel(struct cluster *c, struct sim_worker *w,
                                     uint32_t job)
{
    for (uint32_t i = 0; i < c->n_classes; i++)
        for (int v = 0; v < SIM_VARIANTS; v++)
            sim_cancel_queued(c, w, i, (uint8_t)v, job);
    for (size_t i = w->running.len; i-- > 0;) {
        if (i >= w->running.len || w->running.data[i].job != job ||
            w->running.data[i].cancelled)
            continue;
        w->running.data[i].cancelled = true;
        if (w->running.data[i].phase != SIM_OVER)
            sim_kill(c, w, i);
    }
}

/* It waits behind one that turned out to be long, or its server is gone: back to the
 * queue with it. */
static inline void sim_worker_stuck(struct cluster *c, struct sim_worker *w, size_t at)
{
    struct sim_running r = w->running.data[at];
    if (r.phase != SIM_AHEAD || r.cancelled || r.discard)
        return;
    vec_swap_remove(&w->running, at);
    if (!w->link)
        return;
    sim_queue_insert(&w->lanes[r.class_index][r.variant],
                     (struct task_run){r.job, r.slot, 1, r.priority});
    if (w->lanes[r.class_index][r.variant].dead)
        sim_give_back(c, w, SIM_REJECTED, r.class_index, r.variant, UINT32_MAX);
}

static inline void sim_worker_task_event(struct cluster *c, struct sim_worker *w,
                                         size_t at, enum sim_kind kind)
{
    enum sim_phase phase = w->running.data[at].phase;
    if (kind == SIM_TASK_END && phase != SIM_OVER)
        sim_worker_end(c, w, at);
    else if (kind == SIM_STUCK)
        sim_worker_stuck(c, w, at);
    else if (kind == SIM_TOLD)
        sim_tell_end(c, w, at);
}

static inline void sim_task_event(struct cluster *c, const struct sim_message *m)
{
    for (size_t i = 0; i < c->workers.len; i++)
        for (size_t k = 0; k < c->workers.data[i]->running.len; k++)
            if (c->workers.data[i]->running.data[k].serial == m->serial) {
                sim_worker_task_event(c, c->workers.data[i], k, m->kind);
                return;
            }
}

static inline void sim_worker_gang(struct cluster *c, struct sim_worker *w,
                                   const struct sim_message *m)
{
    for (size_t i = 0; i < w->running.len; i++)
        SIM_ASSERT(w->running.data[i].discard);
    sim_run(c, w, sim_class_index(c, m->class_id), 0,
            (struct task_run){m->job, m->slot, 1, 0}, 0);
}

/* A message for a worker, or an event inside one. */
static inline void sim_worker_handle(struct cluster *c, struct sim_worker *w,
                                     const struct sim_message *m)
{
    if (m->kind == SIM_ASSIGN)
        sim_worker_assign(c, w, m);
    else if (m->kind == SIM_RETRACT)
        sim_worker_retract(c, w, m);
    else if (m->kind == SIM_CANCEL)
        sim_worker_cancel(c, w, m->job);
    else if (m->kind == SIM_FLUSH)
        sim_flush(c, w);
    else if (m->kind == SIM_GANG)
        sim_worker_gang(c, w, m);
}

/* Something for the server, to be freed by cluster_free; NULL: nothing happens any
 * more. */
static inline struct sim_message *cluster_next(struct cluster *c)
{
    struct heap_item item;
    while (heap_pop(&c->events, &item)) {
        struct sim_message *m = (struct sim_message *)(uintptr_t)item.payload;
        c->now_us = item.high;
        if (m->kind == SIM_TIMER)
            return m;
        if (m->serial) {
            sim_task_event(c, m);
        } else {
            struct sim_worker *w = m->link ? sim_by_link(c, m->link) : NULL;
            if (w && m->kind >= SIM_STARTED && m->kind <= SIM_REJECTED)
                return m;
            if (w)
                sim_worker_handle(c, w, m);
        }
        free(m->runs);
        free(m);
    }
    return NULL;
}

static inline void cluster_free(struct sim_message *m)
{
    free(m->runs);
    free(m);
}

static inline struct sim_worker *cluster_join(struct cluster *c, uint32_t id,
                                              const uint64_t total[SIM_RESOURCES])
{
    struct sim_worker *w = calloc(1, sizeof *w);
    SIM_ASSERT(w && vec_push(&c->workers, w));
    w->id = id;
    w->link = ++c->n_links;
    memcpy(w->total, total, sizeof w->total);
    memcpy(w->free, total, sizeof w->free);
    return w;
}

/* Cuts the link: queues are dropped, running tasks go on. */
static inline void cluster_cut(struct cluster *c, struct sim_worker *w)
{
    w->link = 0;
    w->done.count = 0;
    for (size_t i = 0; i < w->running.len; i++) {
        w->running.data[i].orphan = true;
        if (w->running.data[i].phase == SIM_AHEAD)
            sim_post(c, c->now_us + 1 + sim_below(c, SIM_STUCK_US),
                     (struct sim_message){.kind = SIM_STUCK,
                                          .serial = w->running.data[i].serial});
    }
    for (uint32_t i = 0; i < c->n_classes; i++)
        for (int v = 0; v < SIM_VARIANTS; v++)
            vec_clear(&w->lanes[i][v].queue);
}

static inline void cluster_drop(struct cluster *c, struct sim_worker *w)
{
    for (int i = 0; i < SIM_CLASSES; i++)
        for (int v = 0; v < SIM_VARIANTS; v++)
            vec_release(&w->lanes[i][v].queue);
    vec_release(&w->running);
    vec_release(&w->unsent);
    for (size_t i = 0; i < c->workers.len; i++)
        if (c->workers.data[i] == w) {
            vec_swap_remove(&c->workers, i);
            break;
        }
    free(w);
}

static inline void cluster_release(struct cluster *c)
{
    struct heap_item item;
    while (c->workers.len)
        cluster_drop(c, c->workers.data[0]);
    vec_release(&c->workers);
    while (heap_pop(&c->events, &item))
        cluster_free((struct sim_message *)(uintptr_t)item.payload);
    heap_release(&c->events);
}

/* Endless tasks end; false when there are none. */
static inline bool cluster_end_endless(struct cluster *c)
{
    bool any = false;
    for (size_t i = 0; i < c->workers.len; i++)
        for (size_t k = 0; k < c->workers.data[i]->running.len; k++) {
            struct sim_running *r = &c->workers.data[i]->running.data[k];
            if (!r->endless || r->phase != SIM_RUNS)
                continue;
            any = true;
            sim_post(c, c->now_us + 1,
                     (struct sim_message){.kind = SIM_TASK_END, .serial = r->serial});
        }
    return any;
}

/* Sends the decisions of a step to the workers. */
static inline void cluster_send(struct cluster *c, struct sim_worker *w,
                                const struct sched_assign *a)
{
    struct task_run *runs = malloc((a->n_runs + 1) * sizeof *runs);
    SIM_ASSERT(runs != NULL);
    if (a->n_runs)
        memcpy(runs, a->runs, a->n_runs * sizeof *runs);
    sim_to_worker(c, w,
                  (struct sim_message){.kind = SIM_ASSIGN,
                                       .class_id = a->class_id,
                                       .variant = a->variant,
                                       .n = a->grants,
                                       .runs = runs,
                                       .n_runs = a->n_runs});
}

#endif
