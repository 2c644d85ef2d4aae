/*
 * Quality of the schedules on a simulated cluster, for scenarios of many tasks:
 *
 *   ratio     makespan to a lower bound (what the scarcest resource needs; with
 *             variants, for the best mix of them)
 *   used      share of the scarcest resource that is in use until the makespan
 *   wait      longest time that a job waited without one of its tasks ending, as a
 *             share of the makespan
 *   fair      between jobs of equal requests, in the order of their ids: latest end of
 *             one to the end it has when they are served one after the other
 *   idle      share of the workers' time kept free for multi-node tasks
 *   messages, moved tasks
 *
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
        uint32_t n_nodes; /* multi-node: whole workers */
        int32_t priority;
        uint64_t limit_us;
        uint64_t start_us; /* submitted then */
    } jobs[JOBS];          /* one job of every class */
    double allowed;
};

static const struct scenario scenarios[] = {
    {"uniform, 1 ms", 8, {4}, 1, {{1, {{1}}, 20000, 1000, 0, 0, 0, 0, 0, 0}}, 1.02},
    {"uniform, 100 us", 8, {4}, 1, {{1, {{1}}, 100000, 100, 0, 0, 0, 0, 0, 0}}, 1.02},
    {"uniform, 50 ms", 16, {8}, 1, {{1, {{1}}, 7680, 50000, 0, 0, 0, 0, 0, 0}}, 1.02},
    {"uniform, 10 s", 16, {8}, 1, {{1, {{1}}, 7680, 10000000, 0, 0, 0, 0, 0, 0}}, 1.02},
    {"75 % 5 ms, 25 % 30 ms",
     16,
     {8},
     1,
     {{1, {{1}}, 7680, 5000, 30000, 25, 0, 0, 0, 0}},
     1.05},
    {"75 % 50 ms, 25 % 300 ms",
     16,
     {8},
     1,
     {{1, {{1}}, 7680, 50000, 300000, 25, 0, 0, 0, 0}},
     1.05},
    {"75 % 5 s, 25 % 30 s",
     16,
     {8},
     1,
     {{1, {{1}}, 7680, 5000000, 30000000, 25, 0, 0, 0, 0}},
     1.05},
    {"short first, then long",
     4,
     {4},
     2,
     {{1, {{1}}, 20000, 200, 0, 0, 0, 0, 0, 0},
      {1, {{1}, {0}}, 1000, 100000, 0, 0, 0, 0, 0, 0}},
     1.05},
    {"cpu or gpu",
     4,
     {16, 4, 0},
     1,
     {{2, {{1, 1, 0}, {4, 0, 0}}, 3000, 100000, 0, 0, 0, 0, 0, 0}},
     1.10},
    {"cpu, gpu, memory",
     8,
     {16, 4, 64},
     3,
     {{1, {{1, 0, 1}}, 8000, 60000, 0, 0, 0, 0, 0, 0},
      {1, {{2, 1, 4}}, 2000, 90000, 0, 0, 0, 0, 0, 0},
      {1, {{4, 0, 20}}, 900, 120000, 0, 0, 0, 0, 0, 0}},
     1.10},
    {"one and four cpus",
     8,
     {8},
     2,
     {{1, {{1}}, 6000, 40000, 0, 0, 0, 0, 0, 0},
      {1, {{4}}, 1500, 40000, 0, 0, 0, 0, 0, 0}},
     1.10},
    {"four equal jobs",
     8,
     {8},
     4,
     {{1, {{1}}, 2000, 20000, 0, 0, 0, 0, 0, 0},
      {1, {{1}}, 2000, 20000, 0, 0, 0, 0, 0, 0},
      {1, {{1}}, 2000, 20000, 0, 0, 0, 0, 0, 0},
      {1, {{1}}, 2000, 20000, 0, 0, 0, 0, 0, 0}},
     1.02},
    {"three priorities",
     8,
     {8},
     3,
     {{1, {{1}}, 3000, 40000, 0, 0, 0, 0, 0, 0},
      {1, {{3}}, 1000, 40000, 0, 0, 0, 1, 0, 0},
      {1, {{2}}, 1500, 40000, 0, 0, 0, 2, 0, 0}},
     1.10},
    {"variants by weight and scarcity",
     8,
     {16, 4, 64},
     2,
     {{2, {{2, 1, 2}, {6, 0, 2}}, 3000, 80000, 0, 0, 0, 0, 0, 0},
      {2, {{1, 0, 8}, {2, 0, 1}}, 6000, 50000, 0, 0, 0, 0, 0, 0}},
     1.10},
    {"large tasks come late",
     8,
     {8},
     2,
     {{1, {{1}}, 12000, 50000, 0, 0, 0, 0, 0, 0},
      {1, {{8}}, 20, 50000, 0, 0, 0, 0, 0, 500000}},
     1.05},
    {"pairs and small tasks",
     8,
     {8},
     2,
     {{1, {{1}}, 12000, 50000, 0, 0, 0, 0, 0, 0},
      {1, {{0}}, 40, 400000, 0, 0, 2, 0, 0, 0}},
     1.05},
    {"pairs above small tasks",
     8,
     {8},
     2,
     {{1, {{1}}, 12000, 50000, 0, 0, 0, 0, 0, 0},
      {1, {{0}}, 40, 400000, 0, 0, 2, 1, 0, 0}},
     1.05},
    {"pairs, small tasks with limits",
     8,
     {8},
     3,
     {{1, {{1}}, 300, 20000000, 0, 0, 0, 0, 25000000, 0},
      {1, {{1}}, 12000, 500000, 0, 0, 0, 0, 600000, 0},
      {1, {{0}}, 10, 4000000, 0, 0, 2, 1, 0, 0}},
     1.05},
};

struct run {
    const struct scenario *scenario;
    struct sched *sched;
    struct cluster cluster;
    uint64_t left, messages, moved;
    uint32_t left_of[JOBS];
    uint64_t ended_us[JOBS];  /* the last end of a task of the job */
    uint64_t waited_us[JOBS]; /* the longest time without one */
    uint64_t end_us;
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

/* What tasks of the job take of a resource, all in all, and the `share` of them that
 * take the first variant. */
static double job_need(const struct scenario *sc, uint32_t j, int r, double share)
{
    double first = sc->jobs[j].n_variants == 1 ? 1 : share;
    double amount = first * (double)sc->jobs[j].amounts[0][r] +
                    (1 - first) * (double)sc->jobs[j].amounts[1][r];
    if (sc->jobs[j].n_nodes)
        amount = (double)(sc->jobs[j].n_nodes * sc->total[r]);
    return amount * (double)job_work_us(sc, j);
}

/* What the scarcest resource needs when the first job takes its first variant in
 * `share` of its tasks and the second job in `other`. */
static double mix_us(const struct scenario *sc, double share, double other)
{
    double worst = 0;
    for (int r = 0; r < SIM_RESOURCES; r++) {
        double need = 0;
        for (uint32_t j = 0; j < sc->n_classes; j++)
            need += job_need(sc, j, r, j == 1 ? other : share);
        if (sc->total[r]) {
            double us = need / ((double)sc->total[r] * sc->n_workers);
            worst = us > worst ? us : worst;
        }
    }
    return worst;
}

/* Every resource needs its time; with variants, the best mix of them. */
static double bound_us(const struct scenario *sc)
{
    double best = 1e30;
    int first = sc->jobs[0].n_variants > 1 ? 200 : 0;
    int second = sc->jobs[1].n_variants > 1 ? 200 : 0;
    for (int i = 0; i <= first; i++)
        for (int k = 0; k <= second; k++) {
            double us = mix_us(sc, i / 200.0, k / 200.0);
            best = us < best ? us : best;
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
        k->n_nodes = sc->jobs[j].n_nodes;
        for (uint32_t v = 0; v < k->n_variants; v++) {
            struct request_variant variant = REQUEST_VARIANT_INIT;
            variant.n_nodes = k->n_nodes;
            for (int n = 0; n < SIM_RESOURCES; n++)
                if (k->amounts[v][n])
                    SIM_ASSERT(!request_variant_add(&variant, names[n], POLICY_COMPACT,
                                                    k->amounts[v][n] * AMOUNT_ONE,
                                                    &err));
            SIM_ASSERT(!request_add(&request, &variant, &err));
        }
        k->id = sched_class(r->sched, &request, sc->jobs[j].limit_us);
        request_release(&request);
        sim_post(c, sc->jobs[j].start_us,
                 (struct sim_message){.kind = SIM_TIMER, .job = j, .count = 1});
        r->left += sc->jobs[j].n_tasks;
        r->left_of[j] = sc->jobs[j].n_tasks;
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
    r->messages += out.n_assigns + out.n_retracts + out.n_gangs;
    for (size_t i = 0; i < out.n_gangs; i++)
        sim_to_worker(&r->cluster, worker_of_id(r, out.gangs[i].workers[0]),
                      (struct sim_message){.kind = SIM_GANG,
                                           .class_id = out.gangs[i].class_id,
                                           .job = out.gangs[i].job,
                                           .slot = out.gangs[i].slot});
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
    if (m->kind == SIM_TIMER && m->count) {
        const struct scenario *sc = r->scenario;
        sched_ready(r->sched, r->cluster.classes[m->job].id, sc->jobs[m->job].priority,
                    m->job, 0, sc->jobs[m->job].n_tasks);
        r->ended_us[m->job] = r->cluster.now_us;
    }
    uint32_t id = m->kind == SIM_TIMER ? 0 : sim_by_link(&r->cluster, m->link)->id;
    if (m->kind == SIM_STARTED)
        sched_started(r->sched, id, m->job, m->slot, m->count);
    if (m->kind == SIM_DONE) {
        uint64_t waited = r->cluster.now_us - r->ended_us[m->job];
        r->waited_us[m->job] = MAX(r->waited_us[m->job], waited);
        r->ended_us[m->job] = r->cluster.now_us;
        r->end_us = r->cluster.now_us;
        r->left -= m->count;
        r->left_of[m->job] -= m->count;
        sched_done(r->sched, id, m->job, m->slot, m->count, m->n, m->duration_us,
                   r->cluster.now_us);
    }
    if (m->kind == SIM_RETRACTED) {
        r->moved += m->n_runs;
        sched_retracted(r->sched, id, m->class_id, m->variant, m->runs, m->n_runs);
    }
}

/* Served one after the other, job j ends when the work of all up to it is done. */
static double fairness(const struct run *r)
{
    const struct scenario *sc = r->scenario;
    double work = 0, worst = 0;
    for (uint32_t j = 0; j < sc->n_classes; j++) {
        if (memcmp(sc->jobs[j].amounts, sc->jobs[0].amounts,
                   sizeof sc->jobs[j].amounts))
            return 0;
        work += job_need(sc, j, 0, 1) / ((double)sc->total[0] * sc->n_workers);
        worst = MAX(worst, (double)r->ended_us[j] / work);
    }
    return sc->n_classes > 1 ? worst : 0;
}

static void print_run(const struct run *r, double bound, double ratio, bool good)
{
    const struct scenario *sc = r->scenario;
    uint64_t waited = 0;
    for (uint32_t j = 0; j < sc->n_classes; j++)
        waited = MAX(waited, r->waited_us[j]);
    double end = (double)r->end_us, fair = fairness(r);
    char fair_text[16] = "-";
    if (fair > 0)
        (void)snprintf(fair_text, sizeof fair_text, "%.3f", fair);
    (void)printf("%-31s %9.3f %9.3f %7.4f <= %.2f %6.1f %% %5.1f %% %6s %5.1f %% "
                 "%8" PRIu64 " %6" PRIu64 "%s\n",
                 sc->name, bound / 1e6, end / 1e6, ratio, sc->allowed, 100 / ratio,
                 100 * (double)waited / end, fair_text,
                 100 * (double)sched_wasted_us(r->sched, r->end_us) /
                     (end * sc->n_workers),
                 r->messages, r->moved, good ? "" : "  TOO LONG");
}

static bool run_scenario(const struct scenario *sc)
{
    static struct run run;
    struct sim_message *m;
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
        report(&run, m);
        cluster_free(m);
        step(&run);
    }
    SIM_ASSERT(run.left == 0 && sched_waiting(run.sched) == 0);
    double bound = bound_us(sc), ratio = (double)run.end_us / bound;
    bool good = ratio <= sc->allowed;
    print_run(&run, bound, ratio, good);
    sched_destroy(run.sched);
    cluster_release(&run.cluster);
    return good;
}

int main(void)
{
    bool good = true;
    (void)printf("%-31s %9s %9s %15s %8s %7s %6s %7s %8s %6s\n", "scenario", "bound s",
                 "took s", "ratio   ", "used", "wait", "fair", "idle", "messages",
                 "moved");
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        good &= run_scenario(&scenarios[i]);
    return good ? 0 : 1;
}
