/*
 * Quality of the schedules on a simulated cluster: makespan against a lower bound, for
 * scenarios of many tasks, and the number of messages and of tasks that were moved.
 * Fails when a ratio is above what the scenario allows.
 */
#include <inttypes.h>
#include "sched_cluster.h"

#define JOBS 4

struct scenario {
    const char *name;
    uint32_t n_workers;
    uint64_t total[SIM_RESOURCES]; /* cpus, gpus, mem of one worker */
    uint32_t n_classes;
    struct {
        uint32_t n_variants;
        uint64_t amounts[SIM_VARIANTS][SIM_RESOURCES];
        uint32_t n_tasks;
        uint32_t short_us, long_us, long_percent;
    } jobs[JOBS]; /* one job of every class */
    double allowed;
};

static const struct scenario scenarios[] = {
    {"uniform, 1 ms", 8, {4}, 1, {{1, {{1}}, 20000, 1000, 0, 0}}, 1.02},
    {"uniform, 100 us", 8, {4}, 1, {{1, {{1}}, 100000, 100, 0, 0}}, 1.10},
    {"uniform, 50 ms", 16, {8}, 1, {{1, {{1}}, 7680, 50000, 0, 0}}, 1.02},
    {"uniform, 10 s", 16, {8}, 1, {{1, {{1}}, 7680, 10000000, 0, 0}}, 1.02},
    {"75 % 5 ms, 25 % 30 ms", 16, {8}, 1, {{1, {{1}}, 7680, 5000, 30000, 25}}, 1.05},
    {"75 % 50 ms, 25 % 300 ms",
     16,
     {8},
     1,
     {{1, {{1}}, 7680, 50000, 300000, 25}},
     1.05},
    {"75 % 5 s, 25 % 30 s",
     16,
     {8},
     1,
     {{1, {{1}}, 7680, 5000000, 30000000, 25}},
     1.05},
    {"short first, then long",
     4,
     {4},
     2,
     {{1, {{1}}, 20000, 200, 0, 0}, {1, {{1}, {0}}, 1000, 100000, 0, 0}},
     1.05},
    {"cpu or gpu",
     4,
     {16, 4, 0},
     1,
     {{2, {{1, 1, 0}, {4, 0, 0}}, 3000, 100000, 0, 0}},
     1.10},
    {"cpu, gpu, memory",
     8,
     {16, 4, 64},
     3,
     {{1, {{1, 0, 1}}, 8000, 60000, 0, 0},
      {1, {{2, 1, 4}}, 2000, 90000, 0, 0},
      {1, {{4, 0, 20}}, 900, 120000, 0, 0}},
     1.10},
    {"one and four cpus",
     8,
     {8},
     2,
     {{1, {{1}}, 6000, 40000, 0, 0}, {1, {{4}}, 1500, 40000, 0, 0}},
     1.10},
};

struct run {
    const struct scenario *scenario;
    struct sched *sched;
    struct cluster cluster;
    uint64_t left, messages, moved;
};

static const struct run *current;

_Noreturn void sim_failed(const char *cond, int line)
{
    (void)fprintf(stderr, "%s, line %d: %s\n", current->scenario->name, line, cond);
    abort();
}

static uint64_t duration_of(const struct scenario *sc, uint32_t job, uint32_t slot)
{
    uint64_t hash = (slot + 1) * 0x9e3779b97f4a7c15ULL;
    bool is_long = (hash >> 33) % 100 < sc->jobs[job].long_percent;
    return is_long ? sc->jobs[job].long_us : sc->jobs[job].short_us;
}

static uint64_t task_duration(struct cluster *c, uint32_t job, uint32_t slot)
{
    return duration_of(((const struct run *)c->arg)->scenario, job, slot);
}

static uint64_t job_work_us(const struct scenario *sc, uint32_t job)
{
    uint64_t work = 0;
    for (uint32_t slot = 0; slot < sc->jobs[job].n_tasks; slot++)
        work += duration_of(sc, job, slot);
    return work;
}

/* Every resource needs its time; with variants, the best mix of them. */
static double bound_us(const struct scenario *sc)
{
    double best = 1e30;
    for (int share = 0; share <= 1000; share++) { /* of the first variant */
        double worst = 0;
        for (int r = 0; r < SIM_RESOURCES; r++) {
            double need = 0;
            for (uint32_t j = 0; j < sc->n_classes; j++) {
                double first = sc->jobs[j].n_variants == 1 ? 1 : share / 1000.0;
                double amount = first * (double)sc->jobs[j].amounts[0][r] +
                                (1 - first) * (double)sc->jobs[j].amounts[1][r];
                need += amount * (double)job_work_us(sc, j);
            }
            if (sc->total[r]) {
                double us = need / ((double)sc->total[r] * sc->n_workers);
                worst = us > worst ? us : worst;
            }
        }
        best = worst < best ? worst : best;
        if (sc->jobs[0].n_variants == 1)
            break;
    }
    return best;
}

static void setup(struct run *r)
{
    static const char *const names[] = {"cpus", "gpus", "mem"};
    const struct scenario *sc = r->scenario;
    struct cluster *c = &r->cluster;
    struct pool_set pools = POOL_SET_INIT;
    struct error err;
    for (int k = 0; k < SIM_RESOURCES; k++) {
        struct pool p = POOL_INIT;
        char word[64];
        (void)snprintf(word, sizeof word, "%s=range(1-%" PRIu64 ")", names[k],
                       sc->total[k]);
        if (sc->total[k])
            SIM_ASSERT(!pool_parse(word, &p, &err) && !pool_set_add(&pools, &p, &err));
    }
    SIM_ASSERT(!pool_set_finish(&pools, &err));
    for (uint32_t id = 1; id <= sc->n_workers; id++) {
        (void)cluster_join(c, id, sc->total);
        sched_worker_add(r->sched, &(struct sched_worker){id, &pools, "default", 0, 0},
                         0);
    }
    pool_set_release(&pools);
    for (uint32_t j = 0; j < sc->n_classes; j++) {
        struct request request = REQUEST_INIT;
        struct sim_class *k = &c->classes[c->n_classes++];
        k->n_variants = sc->jobs[j].n_variants;
        memcpy(k->amounts, sc->jobs[j].amounts, sizeof k->amounts);
        for (uint32_t v = 0; v < k->n_variants; v++) {
            struct request_variant variant = REQUEST_VARIANT_INIT;
            for (int n = 0; n < SIM_RESOURCES; n++)
                if (k->amounts[v][n])
                    SIM_ASSERT(!request_variant_add(&variant, names[n], POLICY_COMPACT,
                                                    k->amounts[v][n] * AMOUNT_ONE,
                                                    &err));
            SIM_ASSERT(!request_add(&request, &variant, &err));
        }
        k->id = sched_class(r->sched, &request, 0);
        request_release(&request);
        sched_ready(r->sched, k->id, 0, j, 0, sc->jobs[j].n_tasks);
        r->left += sc->jobs[j].n_tasks;
    }
}

static struct sim_worker *worker_of_id(struct run *r, uint32_t id)
{
    for (size_t i = 0; i < r->cluster.workers.len; i++)
        if (r->cluster.workers.data[i]->id == id)
            return r->cluster.workers.data[i];
    return NULL;
}

static void step(struct run *r)
{
    struct sched_out out;
    sched_step(r->sched, r->cluster.now_us, &out);
    r->messages += out.n_assigns + out.n_retracts;
    for (size_t i = 0; i < out.n_assigns; i++)
        cluster_send(&r->cluster, worker_of_id(r, out.assigns[i].worker),
                     &out.assigns[i]);
    for (size_t i = 0; i < out.n_retracts; i++)
        sim_to_worker(&r->cluster, worker_of_id(r, out.retracts[i].worker),
                      (struct sim_message){.kind = SIM_RETRACT,
                                           .class_id = out.retracts[i].class_id,
                                           .variant = out.retracts[i].variant,
                                           .n = out.retracts[i].max_count});
    if (out.wake_us)
        sim_post(&r->cluster, out.wake_us, (struct sim_message){.kind = SIM_TIMER});
    if (out.more)
        sim_post(&r->cluster, r->cluster.now_us,
                 (struct sim_message){.kind = SIM_TIMER});
}

static void report(struct run *r, const struct sim_message *m)
{
    uint32_t id = m->kind == SIM_TIMER ? 0 : sim_by_link(&r->cluster, m->link)->id;
    if (m->kind == SIM_STARTED)
        sched_started(r->sched, id, m->job, m->slot, m->count);
    if (m->kind == SIM_DONE) {
        r->left -= m->count;
        sched_done(r->sched, id, m->job, m->slot, m->count, m->n, m->duration_us,
                   r->cluster.now_us);
    }
    if (m->kind == SIM_RETRACTED) {
        r->moved += m->n_runs;
        sched_retracted(r->sched, id, m->class_id, m->variant, m->runs, m->n_runs);
    }
}

static bool run_scenario(const struct scenario *sc)
{
    static struct run run;
    struct sim_message *m;
    uint64_t end_us = 0;
    run = (struct run){.scenario = sc};
    current = &run;
    run.cluster.random = 1;
    run.cluster.arg = &run;
    run.cluster.duration = task_duration;
    run.cluster.latency_us = 100;
    run.cluster.start_percent = 100;
    run.cluster.gather_us = 200;
    run.sched = sched_create();
    SIM_ASSERT(run.sched != NULL);
    setup(&run);
    step(&run);
    while ((m = cluster_next(&run.cluster))) {
        if (m->kind == SIM_DONE)
            end_us = run.cluster.now_us;
        report(&run, m);
        cluster_free(m);
        step(&run);
    }
    SIM_ASSERT(run.left == 0 && sched_waiting(run.sched) == 0);
    double bound = bound_us(sc), ratio = (double)end_us / bound;
    (void)printf("%-28s %10.3f s %10.3f s  %6.4f <= %.2f  %8" PRIu64 " %8" PRIu64
                 "%s\n",
                 sc->name, bound / 1e6, (double)end_us / 1e6, ratio, sc->allowed,
                 run.messages, run.moved, ratio <= sc->allowed ? "" : "  TOO LONG");
    sched_destroy(run.sched);
    cluster_release(&run.cluster);
    return ratio <= sc->allowed;
}

int main(void)
{
    bool good = true;
    (void)printf("%-28s %12s %12s  %-14s  %8s %8s\n", "scenario", "bound", "makespan",
                 "ratio", "messages", "moved");
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        good &= run_scenario(&scenarios[i]);
    return good ? 0 : 1;
}
