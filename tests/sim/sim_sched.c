/*
 * Random histories of the scheduler against a simulated cluster: workers join, leave
 * and come back, jobs of all kinds arrive and are cancelled, grants are refused, tasks
 * are rejected, while messages are under way. After every step the scheduler checks its
 * whole state; in the end every task was done exactly once, or cancelled. Nothing is
 * sent to a worker with too little time left. No task starts where a more important one
 * could run that has waited for long, in the queues or ahead on another worker. Some
 * tasks run until nothing else happens: at that time nobody waits who could start
 * somewhere.
 *
 *     sim_sched [first seed [number of seeds [events of a seed]]]
 *
 * HQ_TEST_LONG in the environment: one more history, of a million events.
 */
#include <inttypes.h>
#include <signal.h>
#include "sched_cluster.h"

#define JOB_TASKS_MAX 60
#define BACKLOG_MAX 1000 /* tasks that wait: then nothing is submitted */
#define LONG_EVENTS 1000000
#define WAKES_MAX 1000

enum task_state { TASK_WAITING, TASK_ASSIGNED, TASK_DONE };

struct task {
    enum task_state state;
    uint32_t worker; /* id */
    bool started;
    uint64_t since_us; /* it was sent there, or waits */
};

struct job {
    uint32_t class_index;
    int32_t priority;
    uint32_t n_tasks, n_done;
    uint32_t mean_us;
    bool cancelled;
    bool endless; /* every third task runs until nothing else happens */
    struct task *tasks;
};

struct history {
    uint64_t seed;
    struct sched *sched;
    struct cluster cluster;
    struct job *jobs;
    uint32_t first_open; /* jobs before it are done or cancelled */
    uint32_t n_jobs, cap_jobs, next_worker, n_groups;
    uint64_t n_done, n_tasks, n_cancelled, n_events, steps;
    bool closing; /* no more trouble: all has to end */
    bool one_priority;
    uint32_t endless_percent; /* of the jobs have endless tasks */
    uint64_t wake_us;         /* of the last step */
    uint64_t next_wake_us;    /* the first event for a step; 0: none */
    uint64_t patience_us; /* so long may a task wait while less important ones start */
};

static struct history *current;

_Noreturn void sim_failed(const char *cond, int line)
{
    (void)fprintf(stderr, "line %d: %s\n", line, cond);
    abort();
}

/* A broken invariant of the scheduler aborts. */
static void on_abort(int signal)
{
    (void)signal;
    (void)fprintf(stderr, "seed %" PRIu64 ", event %" PRIu64 "\n", current->seed,
                  current->n_events);
}

static uint64_t task_duration(struct cluster *c, uint32_t job, uint32_t slot)
{
    const struct job *j = &((struct history *)c->arg)->jobs[job];
    if (j->endless && slot % 3 == 0)
        return SIM_ENDLESS;
    return 1 + sim_below(c, 2 * j->mean_us);
}

static void make_pools(const uint64_t total[SIM_RESOURCES], struct pool_set *set)
{
    static const char *const names[] = {"cpus", "gpus", "mem"};
    struct error err;
    *set = (struct pool_set)POOL_SET_INIT;
    for (int r = 0; r < SIM_RESOURCES; r++) {
        struct pool p = POOL_INIT;
        char text[64];
        (void)snprintf(text, sizeof text,
                       r == 2 ? "%s=sum(%" PRIu64 ")" : "%s=range(1-%" PRIu64 ")",
                       names[r], total[r]);
        if (total[r] == 0)
            continue;
        SIM_ASSERT(!pool_parse(text, &p, &err) && !pool_set_add(set, &p, &err));
    }
    SIM_ASSERT(!pool_set_finish(set, &err));
}

static void make_class(struct history *h, struct sim_class *sc)
{
    static const char *const names[] = {"cpus", "gpus", "mem"};
    struct request request = REQUEST_INIT;
    struct error err;
    for (uint32_t v = 0; v < sc->n_variants; v++) {
        struct request_variant variant = REQUEST_VARIANT_INIT;
        variant.n_nodes = sc->n_nodes;
        variant.min_time_ns = sc->min_time_us[v] * 1000;
        for (int r = 0; r < SIM_RESOURCES; r++)
            if (sc->amounts[v][r])
                SIM_ASSERT(!request_variant_add(&variant, names[r], POLICY_COMPACT,
                                                sc->amounts[v][r] * AMOUNT_ONE, &err));
        SIM_ASSERT(!request_add(&request, &variant, &err));
    }
    sc->id = sched_class(h->sched, &request, 0);
    SIM_ASSERT(sc->id != SCHED_NO_CLASS);
    request_release(&request);
}

static void add_class(struct history *h)
{
    struct cluster *c = &h->cluster;
    struct sim_class *sc = &c->classes[c->n_classes];
    if (c->n_classes == SIM_CLASSES)
        return;
    *sc = (struct sim_class){.n_variants = 1 + sim_percent(c, 30)};
    if (sim_percent(c, 20)) {
        sc->n_nodes = 1 + sim_below(c, 3);
        sc->n_variants = 1;
    }
    for (uint32_t v = 0; v < sc->n_variants && !sc->n_nodes; v++) {
        sc->amounts[v][0] = 1 + sim_below(c, 4);
        sc->amounts[v][1] = sim_percent(c, 30) ? 1 + v : 0;
        sc->amounts[v][2] = sim_percent(c, 30) ? 1 + sim_below(c, 50) : 0;
    }
    for (uint32_t v = 0; v < sc->n_variants; v++)
        sc->min_time_us[v] = sim_percent(c, 40) ? 1 + sim_below(c, 3000000) : 0;
    make_class(h, sc);
    bool known = false; /* two draws may be equal */
    for (uint32_t k = 0; k < c->n_classes; k++)
        known |= c->classes[k].id == sc->id;
    c->n_classes += !known;
}

static struct sim_worker *worker_of_id(struct history *h, uint32_t id)
{
    for (size_t i = 0; i < h->cluster.workers.len; i++)
        if (h->cluster.workers.data[i]->link && h->cluster.workers.data[i]->id == id)
            return h->cluster.workers.data[i];
    return NULL;
}

static void sched_add_worker(struct history *h, struct sim_worker *w, bool plain)
{
    struct cluster *c = &h->cluster;
    struct pool_set pools;
    char group[16];
    w->thrifty = !plain && sim_percent(c, 10);
    if (!plain && !w->end_us && sim_percent(c, 40))
        w->end_us = c->now_us + 1 + sim_below(c, 6000000);
    make_pools(w->total, &pools);
    (void)snprintf(group, sizeof group, "g%u", plain ? 0 : sim_below(c, h->n_groups));
    sched_worker_add(
        h->sched,
        &(struct sched_worker){w->id, &pools, group, w->end_us, w->thrifty ? 0.5 : 0},
        c->now_us);
    pool_set_release(&pools);
}

static void join(struct history *h, bool plain)
{
    struct cluster *c = &h->cluster;
    uint64_t total[SIM_RESOURCES] = {1 + sim_below(c, 8), sim_below(c, 3),
                                     sim_percent(c, 50) ? 100 : 0};
    if (plain) {
        total[0] = 8;
        total[1] = 4;
        total[2] = 200;
    }
    sched_add_worker(h, cluster_join(c, ++h->next_worker, total), plain);
}

/* The server forgets the worker; what it held is queued again. */
static void lose(struct history *h, struct sim_worker *w)
{
    const struct sched_lost_task *lost;
    size_t n, expected = 0;
    uint32_t id = w->id;
    while (h->first_open < h->n_jobs &&
           (h->jobs[h->first_open].cancelled ||
            h->jobs[h->first_open].n_done == h->jobs[h->first_open].n_tasks))
        h->first_open++;
    for (uint32_t j = h->first_open; j < h->n_jobs; j++)
        for (uint32_t k = 0; k < h->jobs[j].n_tasks; k++)
            expected += !h->jobs[j].cancelled && h->jobs[j].tasks[k].worker == id &&
                        h->jobs[j].tasks[k].state == TASK_ASSIGNED;
    sched_worker_remove(h->sched, id, &lost, &n);
    struct sched_lost_task *copy = malloc((n + 1) * sizeof *copy);
    SIM_ASSERT(copy != NULL);
    if (n)
        memcpy(copy, lost, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        struct job *job = &h->jobs[copy[i].job];
        struct task *t = &job->tasks[copy[i].slot];
        SIM_ASSERT(t->state == TASK_ASSIGNED && t->worker == id);
        SIM_ASSERT(t->started == copy[i].running);
        *t = (struct task){TASK_WAITING, 0, false, h->cluster.now_us};
        if (job->cancelled)
            continue;
        expected--;
        sched_ready(h->sched, h->cluster.classes[job->class_index].id, job->priority,
                    copy[i].job, copy[i].slot, 1);
    }
    SIM_ASSERT(expected == 0);
    free(copy);
}

static void task_done(struct history *h, uint32_t job, uint32_t slot)
{
    struct task *t = &h->jobs[job].tasks[slot];
    SIM_ASSERT(t->state != TASK_DONE);
    t->state = TASK_DONE;
    h->jobs[job].n_done++;
    h->n_done++;
}

/* A worker that was lost registers again, with the tasks it runs and ran. */
static void come_back(struct history *h, struct sim_worker *w)
{
    struct cluster *c = &h->cluster;
    w->id = ++h->next_worker;
    w->link = ++c->n_links;
    for (uint32_t i = 0; i < c->n_classes; i++)
        for (int v = 0; v < SIM_VARIANTS; v++)
            w->lanes[i][v].dead = false;
    sched_add_worker(h, w, false);
    for (size_t i = 0; i < w->unsent.len; i++) {
        const struct sim_running *r = &w->unsent.data[i];
        const struct job *job = &h->jobs[r->job];
        if (!job->cancelled && sched_take(h->sched, c->classes[r->class_index].id,
                                          job->priority, r->job, r->slot))
            task_done(h, r->job, r->slot);
    }
    vec_clear(&w->unsent);
    for (size_t i = w->running.len; i-- > 0;) {
        struct sim_running *r = &w->running.data[i];
        struct job *job = &h->jobs[r->job];
        bool claims = r->phase != SIM_AHEAD && !r->discard && !r->cancelled;
        if (claims && !job->cancelled &&
            sched_adopt(h->sched, w->id, c->classes[r->class_index].id, r->variant,
                        job->priority, r->job, r->slot)) {
            job->tasks[r->slot] = (struct task){TASK_ASSIGNED, w->id, true, c->now_us};
            r->reported = true;
            continue;
        }
        r->discard = true;
        if (r->phase != SIM_OVER)
            sim_kill(c, w, i);
    }
    /* As if it had been a node of a gang that goes on. */
    struct sched_gang g;
    if (sched_gang_at(h->sched, sim_below(c, 3), &g) && sim_percent(c, 50))
        (void)sched_gang_join(h->sched, g.workers[0], g.job, g.slot, w->id);
}

/* Workers leave at their end; all that have one when nothing happens any more. */
static void end_lives(struct history *h)
{
    struct cluster *c = &h->cluster;
    for (size_t i = c->workers.len; i-- > 0;) {
        struct sim_worker *w = c->workers.data[i];
        if (!w->end_us || (c->now_us < w->end_us && !h->closing))
            continue;
        if (w->link)
            lose(h, w);
        cluster_drop(c, w);
    }
}

static void submit(struct history *h)
{
    struct cluster *c = &h->cluster;
    if (sched_waiting(h->sched) > BACKLOG_MAX)
        return;
    if (h->n_jobs == h->cap_jobs) {
        h->cap_jobs = h->cap_jobs ? h->cap_jobs * 2 : 64;
        h->jobs = realloc(h->jobs, h->cap_jobs * sizeof *h->jobs);
        SIM_ASSERT(h->jobs != NULL);
    }
    if (sim_percent(c, 5))
        add_class(h);
    struct job *job = &h->jobs[h->n_jobs];
    static const uint32_t means_us[] = {1, 50, 1000, 40000, 500000, 4000000};
    *job = (struct job){
        .class_index = sim_below(c, c->n_classes),
        .priority =
            h->one_priority || sim_percent(c, 60) ? 0 : (int32_t)sim_below(c, 5) - 2,
        .n_tasks = 1 + sim_below(c, sim_percent(c, 50) ? 5 : JOB_TASKS_MAX),
        .mean_us = means_us[sim_below(c, 6)],
        .endless = sim_percent(c, h->endless_percent)};
    if (c->classes[job->class_index].n_nodes)
        job->n_tasks = 1 + sim_below(c, 3);
    job->tasks = calloc(job->n_tasks, sizeof *job->tasks);
    SIM_ASSERT(job->tasks != NULL);
    for (uint32_t i = 0; i < job->n_tasks; i++)
        job->tasks[i].since_us = c->now_us;
    uint32_t id = c->classes[job->class_index].id;
    if (sim_percent(c, 70)) {
        sched_ready(h->sched, id, job->priority, h->n_jobs, 0, job->n_tasks);
    } else {
        for (uint32_t i = 0; i < job->n_tasks; i++) { /* in any order */
            uint32_t slot = (i * 7 + 3) % job->n_tasks;
            if (job->n_tasks % 7)
                sched_ready(h->sched, id, job->priority, h->n_jobs, slot, 1);
            else
                sched_ready(h->sched, id, job->priority, h->n_jobs, i, 1);
        }
    }
    h->n_tasks += job->n_tasks;
    h->n_jobs++;
}

static void cancel(struct history *h, uint32_t job)
{
    struct cluster *c = &h->cluster;
    if (h->jobs[job].cancelled)
        return;
    h->jobs[job].cancelled = true;
    for (uint32_t i = 0; i < h->jobs[job].n_tasks; i++)
        h->n_cancelled += h->jobs[job].tasks[i].state != TASK_DONE;
    sched_cancel_job(h->sched, job);
    for (size_t i = 0; i < c->workers.len; i++)
        if (c->workers.data[i]->link)
            sim_to_worker(c, c->workers.data[i],
                          (struct sim_message){.kind = SIM_CANCEL, .job = job});
}

static void kill_lane(struct history *h, struct sim_worker *w)
{
    struct cluster *c = &h->cluster;
    uint32_t index = sim_below(c, c->n_classes);
    uint8_t variant = (uint8_t)sim_below(c, c->classes[index].n_variants);
    if (c->classes[index].n_nodes || w->lanes[index][variant].dead)
        return;
    w->lanes[index][variant].dead = true;
    sim_give_back(c, w, SIM_REJECTED, index, variant, UINT32_MAX);
}

/* The server is killed and started again; all workers come back before it decides. */
static void restart(struct history *h)
{
    struct cluster *c = &h->cluster;
    for (size_t i = 0; i < c->workers.len; i++)
        if (c->workers.data[i]->link) {
            lose(h, c->workers.data[i]);
            cluster_cut(c, c->workers.data[i]);
        }
    for (size_t i = 0; i < c->workers.len; i++)
        come_back(h, c->workers.data[i]);
}

/* Something from outside happens. */
static void disturb(struct history *h)
{
    struct cluster *c = &h->cluster;
    end_lives(h);
    uint32_t what = sim_below(c, 100);
    struct sim_worker *w =
        c->workers.len ? c->workers.data[sim_below(c, (uint32_t)c->workers.len)] : NULL;
    if (what < 45) {
        submit(h);
    } else if (what < 60) {
        if (c->workers.len < 12)
            join(h, false);
    } else if (what < 68 && w && w->link) {
        lose(h, w);
        cluster_drop(c, w);
    } else if (what < 74 && w && w->link) {
        lose(h, w);
        cluster_cut(c, w);
    } else if (what < 84 && w && !w->link) {
        come_back(h, w);
    } else if (what < 94 && h->n_jobs) {
        cancel(h, sim_below(c, h->n_jobs));
    } else if (what < 96 && w && w->link) {
        kill_lane(h, w);
    } else if (what < 98 && w && w->link) {
        sched_worker_drain(h->sched, w->id);
    } else if (what == 99) {
        restart(h);
    }
}

static void report(struct history *h, const struct sim_message *m)
{
    struct cluster *c = &h->cluster;
    struct sim_worker *w = sim_by_link(c, m->link);
    uint32_t id = w->id;
    if (m->kind == SIM_STARTED) {
        struct task *t = &h->jobs[m->job].tasks[m->slot];
        if (t->state == TASK_ASSIGNED && t->worker == id)
            t->started = true;
        sched_started(h->sched, id, m->job, m->slot, m->count);
    } else if (m->kind == SIM_DONE) {
        for (uint32_t i = 0; i < m->count; i++) {
            struct task *t = &h->jobs[m->job].tasks[m->slot + i];
            if (h->jobs[m->job].cancelled)
                continue;
            SIM_ASSERT(t->state == TASK_ASSIGNED && t->worker == id);
            task_done(h, m->job, m->slot + i);
        }
        sched_done(h->sched, id, m->job, m->slot, m->count, m->n, m->duration_us,
                   c->now_us);
    } else if (m->kind == SIM_REFUSED) {
        sched_grant_refused(h->sched, id, m->class_id, m->variant, m->n);
    } else if (m->kind == SIM_FREED) {
        sched_freed(h->sched, id);
    } else if (m->kind == SIM_RETRACTED || m->kind == SIM_REJECTED) {
        for (size_t i = 0; i < m->n_runs; i++) {
            struct task *t = &h->jobs[m->runs[i].job].tasks[m->runs[i].slot];
            if (!h->jobs[m->runs[i].job].cancelled)
                SIM_ASSERT(t->state == TASK_ASSIGNED && t->worker == id && !t->started);
            *t = (struct task){TASK_WAITING, 0, false, c->now_us};
        }
        if (m->kind == SIM_RETRACTED)
            sched_retracted(h->sched, id, m->class_id, m->variant, m->runs, m->n_runs);
        else
            sched_rejected(h->sched, id, m->class_id, m->variant, m->runs, m->n_runs);
    }
}

static void check_time(const struct history *h, const struct sim_worker *w,
                       uint32_t class_id, uint8_t variant)
{
    const struct cluster *c = &h->cluster;
    const struct sim_class *sc = &c->classes[sim_class_index(c, class_id)];
    SIM_ASSERT(!w->end_us || c->now_us + sc->min_time_us[variant] <= w->end_us);
}

static void apply_assign(struct history *h, const struct sched_assign *a)
{
    struct sim_worker *w = worker_of_id(h, a->worker);
    SIM_ASSERT(w != NULL);
    check_time(h, w, a->class_id, a->variant);
    for (size_t i = 0; i < a->n_runs; i++)
        for (uint32_t k = 0; k < a->runs[i].count; k++) {
            struct job *job = &h->jobs[a->runs[i].job];
            struct task *t = &job->tasks[a->runs[i].slot + k];
            SIM_ASSERT(t->state == TASK_WAITING && !job->cancelled);
            SIM_ASSERT(job->priority == a->runs[i].priority);
            SIM_ASSERT(h->cluster.classes[job->class_index].id == a->class_id);
            *t = (struct task){TASK_ASSIGNED, a->worker, false, h->cluster.now_us};
        }
    cluster_send(&h->cluster, w, a);
}

static void apply_gang(struct history *h, const struct sched_gang *g)
{
    struct job *job = &h->jobs[g->job];
    struct task *t = &job->tasks[g->slot];
    SIM_ASSERT(t->state == TASK_WAITING && !job->cancelled);
    SIM_ASSERT(g->n_workers == h->cluster.classes[job->class_index].n_nodes);
    for (size_t i = 0; i < g->n_workers; i++)
        check_time(h, worker_of_id(h, g->workers[i]), g->class_id, 0);
    for (size_t i = 1; i < g->n_workers; i++)
        SIM_ASSERT(g->workers[i - 1] < g->workers[i] && worker_of_id(h, g->workers[i]));
    *t = (struct task){TASK_ASSIGNED, g->workers[0], false, h->cluster.now_us};
    sim_to_worker(
        &h->cluster, worker_of_id(h, g->workers[0]),
        (struct sim_message){
            .kind = SIM_GANG, .class_id = g->class_id, .job = g->job, .slot = g->slot});
}

/* A step will follow then. */
static void wake_at(struct history *h, uint64_t us)
{
    if (h->next_wake_us && h->next_wake_us <= us)
        return;
    h->next_wake_us = us;
    sim_post(&h->cluster, us, (struct sim_message){.kind = SIM_TIMER, .slot = 1});
}

/* Whether anything was decided. */
static bool step(struct history *h)
{
    bool any = false;
    struct sched_out out;
    do {
        sched_step(h->sched, h->cluster.now_us, &out);
        sched_sanity_check(h->sched);
        h->steps++;
        for (size_t i = 0; i < out.n_assigns; i++)
            apply_assign(h, &out.assigns[i]);
        for (size_t i = 0; i < out.n_gangs; i++)
            apply_gang(h, &out.gangs[i]);
        for (size_t i = 0; i < out.n_retracts; i++)
            sim_to_worker(&h->cluster, worker_of_id(h, out.retracts[i].worker),
                          (struct sim_message){.kind = SIM_RETRACT,
                                               .class_id = out.retracts[i].class_id,
                                               .variant = out.retracts[i].variant,
                                               .n = out.retracts[i].max_count});
        any |= out.n_assigns || out.n_gangs || out.n_retracts;
    } while (out.more);
    h->wake_us = out.wake_us;
    /* Only while something else goes on: see go_on(). */
    if (h->wake_us && h->cluster.events.len)
        wake_at(h, MAX(h->wake_us, h->cluster.now_us));
    return any;
}

/* ---- inversions of priority ------------------------------------------------------ */

/* What the scheduler knows of variants that cannot start on a worker, room aside. */
static void on_other_hold(void *arg, const struct sched_hold *hold)
{
    uint32_t *held = arg;
    if (hold->kind != SCHED_HOLD_RESOURCE)
        *held |= hold->variant == SCHED_ALL_VARIANTS ? UINT32_MAX : 1u << hold->variant;
}

/* In the room that `instead` takes there; room beside it may be kept for the task. */
static bool could_run(const struct history *h, const struct sim_worker *w,
                      const struct sim_running *instead, const struct job *job)
{
    const struct sim_class *sc = &h->cluster.classes[job->class_index];
    const uint64_t *freed =
        h->cluster.classes[instead->class_index].amounts[instead->variant];
    uint32_t held = 0;
    bool any = false;
    sched_explain(h->sched, sc->id, job->priority, w->id, on_other_hold, &held);
    for (uint32_t v = 0; v < sc->n_variants; v++) {
        bool fit = !(held >> v & 1) && !w->lanes[job->class_index][v].dead;
        bool beside = true;
        for (int r = 0; r < SIM_RESOURCES; r++) {
            beside &= w->free[r] >= sc->amounts[v][r];
            fit &= w->free[r] + freed[r] >= sc->amounts[v][r];
        }
        if (beside)
            return false;
        any |= fit;
    }
    return any;
}

/* Task (job, slot) waits since then while a less important one starts on the worker. */
static void check_inversion(const struct history *h, uint32_t job_id, uint32_t slot,
                            uint64_t since_us, const struct sim_worker *w,
                            const struct sim_running *r)
{
    const struct job *job = &h->jobs[job_id];
    const struct task *t = &job->tasks[slot];
    uint64_t waits_us = h->cluster.now_us - MAX(since_us, t->since_us);
    if (job->priority <= r->priority || job->cancelled || waits_us <= h->patience_us ||
        !could_run(h, w, r, job))
        return;
    (void)fprintf(stderr,
                  "task %u of job %u (class %u, priority %d) waits on worker %u (0: "
                  "none) for %" PRIu64 " us, but task %u of job %u (class %u, priority "
                  "%d) starts on worker %u\n",
                  slot, job_id, job->class_index, job->priority,
                  t->state == TASK_WAITING ? 0 : t->worker, waits_us, r->slot, r->job,
                  r->class_index, r->priority, w->id);
    SIM_ASSERT(false);
}

/* In the queues, while nothing is under way to or from the worker. */
static void check_waiting(const struct history *h, const struct sim_worker *w,
                          const struct sim_running *r)
{
    for (uint32_t j = h->first_open; j < h->n_jobs; j++) {
        const struct job *job = &h->jobs[j];
        uint32_t k = 0;
        if (job->priority <= r->priority ||
            h->cluster.classes[job->class_index].n_nodes)
            continue;
        while (k < job->n_tasks && job->tasks[k].state != TASK_WAITING)
            k++;
        if (k < job->n_tasks)
            check_inversion(h, j, k, 0, w, r);
    }
}

/* Ahead on another worker: the first of each queue is the most important one. */
static void check_ahead(const struct history *h, const struct sim_worker *at,
                        const struct sim_worker *w, const struct sim_running *r)
{
    for (uint32_t n = 0; n < h->cluster.n_classes; n++)
        for (int v = 0; v < SIM_VARIANTS; v++) {
            const struct sim_lane *l = &at->lanes[n][v];
            if (l->queue.len)
                check_inversion(h, l->queue.data[0].job, l->queue.data[0].slot,
                                l->moved_us, w, r);
        }
    for (size_t k = 0; k < at->running.len; k++) {
        const struct sim_running *a = &at->running.data[k];
        if (a->phase == SIM_AHEAD && !a->cancelled && !a->orphan)
            check_inversion(h, a->job, a->slot,
                            at->lanes[a->class_index][a->variant].moved_us, w, r);
    }
}

/* What an earlier connection left there is in the way of grants: they are refused. */
static bool has_leftovers(const struct sim_worker *w)
{
    for (size_t i = 0; i < w->running.len; i++)
        if (w->running.data[i].discard)
            return true;
    return false;
}

/* Refused grants keep a class from a worker in ways that are not seen here. */
static void on_begin(struct cluster *c, struct sim_worker *w,
                     const struct sim_running *r)
{
    const struct history *h = c->arg;
    if (r->gang || r->orphan || r->cancelled || !w->link || c->refuse_percent)
        return;
    if (w->last_to_worker_us < c->now_us && w->last_to_server_us < c->now_us &&
        !w->done.count)
        check_waiting(h, w, r);
    for (size_t i = 0; i < c->workers.len; i++)
        if (c->workers.data[i] != w && c->workers.data[i]->link &&
            !has_leftovers(c->workers.data[i]))
            check_ahead(h, c->workers.data[i], w, r);
}

struct standing {
    const struct sim_class *class;
    const struct sim_worker *worker;
    bool held;
};

static void on_hold(void *arg, const struct sched_hold *hold)
{
    struct standing *s = arg;
    /* There is room, and a refusal ends with the last allocation. */
    bool wrong = s->class->n_variants == 1 && hold->kind == SCHED_HOLD_RESOURCE;
    wrong |= hold->kind == SCHED_HOLD_REFUSED && s->worker->n_seats == 0;
    s->held |= !wrong;
}

static bool fits(const struct sim_worker *w, const struct sim_class *sc)
{
    for (uint32_t v = 0; v < sc->n_variants; v++) {
        bool fit = true;
        for (int r = 0; r < SIM_RESOURCES; r++)
            fit &= w->free[r] >= sc->amounts[v][r];
        if (fit)
            return true;
    }
    return false;
}

static void tell_standing(struct history *h, const struct task_run *t,
                          const struct sim_worker *w)
{
    const struct job *job = &h->jobs[t->job];
    const struct sim_class *sc = &h->cluster.classes[job->class_index];
    struct sched_position at = {0};
    (void)sched_find(h->sched, sc->id, job->priority, t->job, t->slot, &at);
    (void)fprintf(
        stderr,
        "task %u of job %u, class %u, on worker %u (0: none), %s there, could "
        "start on worker %u\n",
        t->slot, t->job, sc->id, at.worker, at.started ? "started" : "waits", w->id);
}

/* Nothing goes on but endless tasks: whoever could start somewhere would have. */
static void check_standing(struct history *h, const struct task_run *t)
{
    const struct job *job = &h->jobs[t->job];
    const struct sim_class *sc = &h->cluster.classes[job->class_index];
    struct sched_position at = {0};
    if (sc->n_nodes || job->cancelled)
        return;
    /* Among several priorities, what was sent ahead is moved as the least of them may
     * be. */
    (void)sched_find(h->sched, sc->id, job->priority, t->job, t->slot, &at);
    if (at.worker && !h->one_priority)
        return;
    for (size_t i = 0; i < h->cluster.workers.len; i++) {
        const struct sim_worker *w = h->cluster.workers.data[i];
        struct standing standing = {sc, w, false};
        if (!w->link || !fits(w, sc))
            continue;
        sched_explain(h->sched, sc->id, job->priority, w->id, on_hold, &standing);
        if (!standing.held)
            tell_standing(h, t, w);
        SIM_ASSERT(standing.held);
    }
}

static void check_quiet(struct history *h)
{
    for (uint32_t j = h->first_open; j < h->n_jobs; j++)
        for (uint32_t k = 0; k < h->jobs[j].n_tasks; k++)
            if (h->jobs[j].tasks[k].state == TASK_WAITING)
                check_standing(h, &(struct task_run){j, k, 1, 0});
    for (size_t i = 0; i < h->cluster.workers.len; i++) {
        const struct sim_worker *w = h->cluster.workers.data[i];
        for (uint32_t n = 0; n < h->cluster.n_classes; n++)
            for (int v = 0; v < SIM_VARIANTS; v++)
                for (size_t k = 0; w->link && k < w->lanes[n][v].queue.len; k++)
                    check_standing(h, &w->lanes[n][v].queue.data[k]);
    }
}

/* No event is left. The scheduler may want to be called later; when that changes
 * nothing, the endless tasks end. Returns whether anything goes on. */
static bool go_on(struct history *h)
{
    struct cluster *c = &h->cluster;
    if (step(h)) /* there may have been none after the last report */
        return true;
    for (int i = 0; h->wake_us && i < WAKES_MAX; i++) {
        c->now_us = c->now_us > h->wake_us ? c->now_us : h->wake_us;
        if (step(h))
            return true;
    }
    check_quiet(h);
    return cluster_end_endless(c);
}

static void check_end(struct history *h)
{
    SIM_ASSERT(sched_waiting(h->sched) == 0);
    for (uint32_t j = 0; j < h->n_jobs; j++)
        for (uint32_t k = 0; k < h->jobs[j].n_tasks && !h->jobs[j].cancelled; k++)
            SIM_ASSERT(h->jobs[j].tasks[k].state == TASK_DONE);
    for (size_t i = 0; i < h->cluster.workers.len; i++) {
        const struct sim_worker *w = h->cluster.workers.data[i];
        struct sched_worker_load load;
        if (!w->link)
            continue;
        sched_worker_load(h->sched, w->id, &load);
        SIM_ASSERT(!load.assigned && !load.running && !load.gang && !load.reserved);
        SIM_ASSERT(sched_worker_idle_since(h->sched, w->id) != 0);
        SIM_ASSERT(w->running.len == 0 && w->n_seats == 0);
        SIM_ASSERT(memcmp(w->free, w->total, sizeof w->free) == 0);
    }
}

/* From now on everything has to come to its end. */
static void close_down(struct history *h)
{
    struct cluster *c = &h->cluster;
    h->closing = true;
    end_lives(h);
    c->refuse_percent = c->refuse_percent == 100 ? 0 : c->refuse_percent / 2;
    for (int i = 0; i < 4; i++)
        join(h, true);
}

static void run_events(struct history *h, uint64_t limit)
{
    struct cluster *c = &h->cluster;
    struct sim_message *m;
    sim_post(c, 1, (struct sim_message){.kind = SIM_TIMER});
    while ((m = cluster_next(c)) || go_on(h)) {
        if (!m)
            continue;
        h->n_events++;
        SIM_ASSERT(h->n_events < limit * 1000);
        bool wake = m->kind == SIM_TIMER && m->slot;
        if (wake) {
            h->next_wake_us = 0;
        } else if (m->kind != SIM_TIMER) {
            report(h, m);
        } else if (!h->closing) {
            disturb(h);
            if (h->n_events >= limit)
                close_down(h);
            uint32_t pause_us =
                sim_percent(c, 30) ? 1 + sim_below(c, 200000) : 1 + sim_below(c, 2000);
            sim_post(c, c->now_us + pause_us, (struct sim_message){.kind = SIM_TIMER});
        }
        cluster_free(m);
        /* Several reports may come before a step. */
        if (h->closing || wake || sim_percent(c, 70))
            step(h);
        else
            wake_at(h, c->now_us + 1 + sim_below(c, 2000));
    }
}

static void run_seed(uint64_t seed, uint64_t limit)
{
    static struct history history;
    struct history *h = &history;
    *h = (struct history){.seed = seed};
    current = h;
    struct cluster *c = &h->cluster;
    c->random = seed * 7919 + 1;
    c->arg = h;
    c->duration = task_duration;
    c->latency_us = sim_percent(c, 50) ? 100 : sim_below(c, 20000);
    c->start_percent = sim_below(c, 3) * 50;
    c->refuse_percent = sim_percent(c, 50) ? 0 : sim_below(c, 60);
    c->gather_us = sim_percent(c, 50) ? 0 : 1000;
    c->ahead = sim_percent(c, 50) ? 0 : 1 + sim_below(c, 8);
    c->kill_us = sim_percent(c, 30) ? 0 : 1 + sim_below(c, 1000000);
    c->output_us = sim_percent(c, 50) ? 0 : 1 + sim_below(c, 50000);
    c->refuse_void = sim_percent(c, 50);
    h->one_priority = sim_percent(c, 50);
    c->begun = on_begin;
    /* Twice until a lane counts as stalled, and as many messages one after the other.
     */
    h->patience_us = 110000 + 12 * (uint64_t)c->latency_us + 2 * c->gather_us;
    h->endless_percent = sim_percent(c, 50) ? 0 : 20;
    h->n_groups = 1 + sim_below(c, 3);
    h->sched = sched_create();
    SIM_ASSERT(h->sched != NULL);
    add_class(h);
    run_events(h, limit);
    check_end(h);
    sched_destroy(h->sched);
    for (uint32_t j = 0; j < h->n_jobs; j++)
        free(h->jobs[j].tasks);
    free(h->jobs);
    cluster_release(c);
}

struct sums {
    uint64_t histories, events, steps, tasks;
};

static void run_seeds(struct sums *sums, uint64_t first, uint64_t n, uint64_t limit)
{
    for (uint64_t seed = first; seed < first + n; seed++) {
        run_seed(seed, limit);
        sums->histories++;
        sums->events += current->n_events;
        sums->steps += current->steps;
        sums->tasks += current->n_tasks;
    }
}

int main(int argc, char **argv)
{
    struct sums sums = {0, 0, 0, 0};
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 400;
    uint64_t limit = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000;
    (void)signal(SIGABRT, on_abort);
    run_seeds(&sums, first, n, limit);
    if (getenv("HQ_TEST_LONG"))
        run_seeds(&sums, first, 1, LONG_EVENTS);
    (void)printf("%" PRIu64 " histories, %" PRIu64 " events, %" PRIu64
                 " steps, %" PRIu64 " tasks\n",
                 sums.histories, sums.events, sums.steps, sums.tasks);
    return 0;
}
