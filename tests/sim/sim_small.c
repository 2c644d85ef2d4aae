/*
 * Small cases against the optimum found by trying everything.
 *
 * placements: what one step places of each priority, measured as weight times the
 * shares of the cluster's resources, is the most that is possible under the rules for
 * priorities, in at least 99 of 100 seeds.
 * makespans: with durations that the scheduler does not know, at most 2 - 1/m times the
 * best schedule on m slots, in every seed.
 *
 *     sim_small [first seed [number of seeds]]
 */
#include <inttypes.h>
#include <signal.h>
#include "sched_cluster.h"

#define WORKERS_MAX 3
#define SMALL_CLASSES 3
#define LEVELS_MAX 2
#define ITEMS_MAX (WORKERS_MAX * SMALL_CLASSES * SIM_VARIANTS)

static uint64_t current_seed;

_Noreturn void sim_failed(const char *cond, int line)
{
    (void)fprintf(stderr, "seed %" PRIu64 ", line %d: %s\n", current_seed, line, cond);
    exit(1);
}

static void on_abort(int signal)
{
    (void)signal;
    (void)fprintf(stderr, "seed %" PRIu64 "\n", current_seed);
}

struct small_class {
    uint32_t id, n_variants, n_tasks, placed;
    int32_t priority;
    uint64_t weight[SIM_VARIANTS]; /* in units */
    uint64_t amounts[SIM_VARIANTS][SIM_RESOURCES];
};

struct small {
    struct cluster random; /* the generator only */
    struct sched *sched;
    uint32_t n_workers, n_classes, n_levels;
    int64_t total[WORKERS_MAX][SIM_RESOURCES], free[WORKERS_MAX][SIM_RESOURCES];
    int64_t cluster[SIM_RESOURCES];
    struct small_class classes[SMALL_CLASSES];
    /* grants of the step */
    uint32_t placed[WORKERS_MAX][SMALL_CLASSES][SIM_VARIANTS];
    /* running before the step */
    uint32_t running[WORKERS_MAX][SMALL_CLASSES][SIM_VARIANTS];
};

static const char *const resource_names[SIM_RESOURCES] = {"cpus", "gpus", "mem"};

static void add_worker(struct small *s, uint32_t index)
{
    struct pool_set set = POOL_SET_INIT;
    struct error err;
    for (int r = 0; r < SIM_RESOURCES; r++) {
        struct pool p = POOL_INIT;
        char word[64];
        (void)snprintf(word, sizeof word,
                       r == 2 ? "%s=sum(%" PRId64 ")" : "%s=range(1-%" PRId64 ")",
                       resource_names[r], s->total[index][r]);
        if (s->total[index][r])
            SIM_ASSERT(!pool_parse(word, &p, &err) && !pool_set_add(&set, &p, &err));
    }
    SIM_ASSERT(!pool_set_finish(&set, &err));
    sched_worker_add(s->sched, &(struct sched_worker){index + 1, &set, "g", 0, 0}, 1);
    pool_set_release(&set);
}

static void add_class(struct small *s, struct small_class *c)
{
    struct request request = REQUEST_INIT;
    struct error err;
    for (uint32_t v = 0; v < c->n_variants; v++) {
        struct request_variant variant = REQUEST_VARIANT_INIT;
        variant.weight = c->weight[v] * AMOUNT_ONE;
        for (int r = 0; r < SIM_RESOURCES; r++)
            if (c->amounts[v][r])
                SIM_ASSERT(!request_variant_add(&variant, resource_names[r],
                                                POLICY_COMPACT,
                                                c->amounts[v][r] * AMOUNT_ONE, &err));
        SIM_ASSERT(!request_add(&request, &variant, &err));
    }
    c->id = sched_class(s->sched, &request, 0);
    SIM_ASSERT(c->id != SCHED_NO_CLASS);
    request_release(&request);
}

static bool fits(const int64_t *free, const struct small_class *c, uint32_t v)
{
    for (int r = 0; r < SIM_RESOURCES; r++)
        if (c->amounts[v][r] && free[r] < (int64_t)c->amounts[v][r])
            return false;
    return true;
}

static void take(int64_t *free, const struct small_class *c, uint32_t v, int64_t n)
{
    for (int r = 0; r < SIM_RESOURCES; r++)
        free[r] -= (int64_t)c->amounts[v][r] * n;
}

static void make(struct small *s, uint64_t seed)
{
    struct cluster *g = &s->random;
    *s = (struct small){.random = {.random = seed * 7919 + 3}};
    s->sched = sched_create();
    SIM_ASSERT(s->sched != NULL);
    s->n_workers = 1 + sim_below(g, WORKERS_MAX);
    s->n_classes = 1 + sim_below(g, SMALL_CLASSES);
    s->n_levels = 1 + sim_below(g, LEVELS_MAX);
    bool one_resource = sim_percent(g, 40);
    for (uint32_t w = 0; w < s->n_workers; w++) {
        s->total[w][0] = 1 + sim_below(g, 8);
        s->total[w][1] = one_resource ? 0 : sim_below(g, 4);
        s->total[w][2] = one_resource ? 0 : sim_below(g, 10);
        for (int r = 0; r < SIM_RESOURCES; r++) {
            s->free[w][r] = s->total[w][r];
            s->cluster[r] += s->total[w][r];
        }
        add_worker(s, w);
    }
    for (uint32_t i = 0; i < s->n_classes; i++) {
        struct small_class *c = &s->classes[i];
        c->n_variants = 1 + sim_percent(g, 35);
        c->n_tasks = 1 + sim_below(g, 5);
        c->priority = (int32_t)sim_below(g, s->n_levels);
        for (uint32_t v = 0; v < c->n_variants; v++) {
            c->weight[v] = sim_percent(g, 80) ? 1 : 1 + sim_below(g, 3);
            c->amounts[v][0] = 1 + sim_below(g, 4);
            c->amounts[v][1] = !one_resource && sim_percent(g, 30) ? 1 : 0;
            c->amounts[v][2] =
                !one_resource && sim_percent(g, 30) ? 1 + sim_below(g, 5) : 0;
        }
        add_class(s, c);
        if (c->id != i) { /* two draws were equal */
            s->n_classes = i;
            break;
        }
    }
}

/* Some tasks run already. */
static void occupy(struct small *s)
{
    struct cluster *g = &s->random;
    for (uint32_t k = sim_below(g, 4); k > 0; k--) {
        uint32_t i = sim_below(g, s->n_classes), w = sim_below(g, s->n_workers);
        struct small_class *c = &s->classes[i];
        uint8_t v = (uint8_t)sim_below(g, c->n_variants);
        if (!fits(s->free[w], c, v))
            continue;
        uint32_t job = 100 + k;
        sched_ready(s->sched, c->id, 0, job, 0, 1);
        SIM_ASSERT(sched_adopt(s->sched, w + 1, c->id, v, 0, job, 0));
        take(s->free[w], c, v, 1);
        s->running[w][i][v]++;
    }
}

static void place(struct small *s)
{
    struct sched_out out;
    for (uint32_t i = 0; i < s->n_classes; i++)
        sched_ready(s->sched, s->classes[i].id, s->classes[i].priority, i, 0,
                    s->classes[i].n_tasks);
    do {
        sched_step(s->sched, 10, &out);
        sched_sanity_check(s->sched);
        for (size_t k = 0; k < out.n_assigns; k++) {
            const struct sched_assign *a = &out.assigns[k];
            uint32_t left = a->grants; /* the head of the runs has them */
            for (size_t r = 0; r < a->n_runs && left; r++) {
                uint32_t n = MIN(left, a->runs[r].count);
                s->placed[a->worker - 1][a->runs[r].job][a->variant] += n;
                s->classes[a->runs[r].job].placed += n;
                left -= n;
            }
        }
    } while (out.more);
}

/* One way to place a task. */
struct item {
    uint32_t worker, class_index, variant;
    double value;
};

struct search {
    struct small *small;
    struct item items[ITEMS_MAX];
    uint32_t n_items;
    int64_t left[WORKERS_MAX][SIM_RESOURCES];
    uint32_t tasks[SMALL_CLASSES];
    double best_value[SMALL_CLASSES]; /* of a task of the class */
    double best;
};

static double task_value(const struct small *s, const struct small_class *c, uint32_t v)
{
    double share = 0;
    for (int r = 0; r < SIM_RESOURCES; r++)
        if (s->cluster[r])
            share += (double)c->amounts[v][r] / (double)s->cluster[r];
    return share * (double)c->weight[v];
}

static void search(struct search *x, uint32_t at, double value)
{
    double possible = value;
    for (uint32_t i = 0; i < x->small->n_classes; i++)
        possible += x->tasks[i] * x->best_value[i];
    if (value > x->best)
        x->best = value;
    if (at == x->n_items || possible <= x->best + 1e-9)
        return;
    const struct item *item = &x->items[at];
    const struct small_class *c = &x->small->classes[item->class_index];
    if (x->tasks[item->class_index] && fits(x->left[item->worker], c, item->variant)) {
        take(x->left[item->worker], c, item->variant, 1);
        x->tasks[item->class_index]--;
        search(x, at, value + item->value);
        x->tasks[item->class_index]++;
        take(x->left[item->worker], c, item->variant, -1);
    }
    search(x, at + 1, value);
}

/* What a higher class that still waits leaves to others: the total without as many of
 * its tasks as fit (and exist), without what others use. */
static void apply_gap(const struct small *s, uint32_t high, uint32_t w, int64_t *left)
{
    const struct small_class *h = &s->classes[high];
    int64_t gap[SIM_RESOURCES];
    uint64_t count = h->n_tasks - h->placed;
    bool any = false;
    memcpy(gap, s->total[w], sizeof gap);
    for (uint32_t v = 0; v < h->n_variants; v++)
        count += s->placed[w][high][v] + s->running[w][high][v];
    for (uint32_t v = 0; v < h->n_variants; v++)
        for (; count && fits(gap, h, v); count--) {
            take(gap, h, v, 1);
            any = true;
        }
    if (!any)
        return;
    for (uint32_t i = 0; i < s->n_classes; i++)
        for (uint32_t v = 0; i != high && v < s->classes[i].n_variants; v++) {
            bool counts = s->classes[i].priority >= 0;
            int64_t n = s->running[w][i][v];
            if (s->classes[i].priority > s->classes[high].priority ||
                (s->classes[i].priority == s->classes[high].priority))
                n += s->placed[w][i][v];
            take(gap, &s->classes[i], v, counts ? n : 0);
        }
    for (int r = 0; r < SIM_RESOURCES; r++)
        left[r] = MIN(left[r], gap[r]);
}

/* The most that tasks of this priority could get, behind those above. */
static double level_optimum(struct small *s, int32_t priority, double *got)
{
    struct search x = {.small = s};
    memcpy(x.left, s->free, sizeof x.left);
    *got = 0;
    for (uint32_t i = 0; i < s->n_classes; i++) {
        const struct small_class *c = &s->classes[i];
        for (uint32_t w = 0; w < s->n_workers; w++)
            for (uint32_t v = 0; v < c->n_variants; v++)
                if (c->priority > priority)
                    take(x.left[w], c, v, s->placed[w][i][v]);
    }
    for (uint32_t i = 0; i < s->n_classes; i++)
        for (uint32_t w = 0; w < s->n_workers; w++)
            if (s->classes[i].priority > priority &&
                s->classes[i].placed < s->classes[i].n_tasks)
                apply_gap(s, i, w, x.left[w]);
    for (uint32_t i = 0; i < s->n_classes; i++) {
        const struct small_class *c = &s->classes[i];
        if (c->priority != priority)
            continue;
        x.tasks[i] = c->n_tasks;
        for (uint32_t v = 0; v < c->n_variants; v++) {
            double value = task_value(s, c, v);
            x.best_value[i] = MAX(x.best_value[i], value);
            for (uint32_t w = 0; w < s->n_workers; w++) {
                x.items[x.n_items++] = (struct item){w, i, v, value};
                *got += s->placed[w][i][v] * value;
            }
        }
    }
    search(&x, 0, 0);
    return x.best;
}

struct tally {
    uint64_t seeds, optimal;
    double worst, sum; /* of ratios */
};

static void print_amounts(const int64_t *a)
{
    (void)printf(" %" PRId64 "/%" PRId64 "/%" PRId64, a[0], a[1], a[2]);
}

/* The whole case, when somebody looks into it. */
static void describe(const struct small *s, int32_t level, double got, double best)
{
    if (!getenv("SIM_SMALL_VERBOSE"))
        return;
    (void)printf("seed %" PRIu64 " level %d: %.4f of %.4f\n", current_seed, level, got,
                 best);
    for (uint32_t w = 0; w < s->n_workers; w++) {
        (void)printf("  worker %u, total and free:", w + 1);
        print_amounts(s->total[w]);
        print_amounts(s->free[w]);
        (void)printf("\n");
    }
    for (uint32_t i = 0; i < s->n_classes; i++) {
        const struct small_class *c = &s->classes[i];
        (void)printf("  class %u priority %d tasks %u placed %u\n", i, c->priority,
                     c->n_tasks, c->placed);
        for (uint32_t v = 0; v < c->n_variants; v++) {
            (void)printf("    variant weight %" PRIu64 ":", c->weight[v]);
            print_amounts((const int64_t *)c->amounts[v]);
            (void)printf(", value %.4f; running, placed:", task_value(s, c, v));
            for (uint32_t w = 0; w < s->n_workers; w++)
                (void)printf(" %u %u", s->running[w][i][v], s->placed[w][i][v]);
            (void)printf("\n");
        }
    }
}

static void check_placement(uint64_t seed, struct tally *tally)
{
    static struct small small;
    struct small *s = &small;
    bool optimal = true;
    make(s, seed);
    occupy(s);
    place(s);
    for (int32_t level = (int32_t)s->n_levels - 1; level >= 0; level--) {
        double got, best = level_optimum(s, level, &got);
        double ratio = best > 0 ? got / best : 1;
        optimal &= ratio > 1 - 1e-6;
        if (ratio < 1 - 1e-6 || ratio > 1 + 1e-6)
            describe(s, level, got, best);
        tally->worst = MIN(tally->worst, ratio);
        tally->sum += ratio / s->n_levels;
        SIM_ASSERT(ratio < 1 + 1e-6); /* above the optimum: a rule was broken */
    }
    tally->seeds++;
    tally->optimal += optimal;
    sched_destroy(s->sched);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 3000;
    struct tally t = {.worst = 1};
    (void)signal(SIGABRT, on_abort);
    for (current_seed = first; current_seed < first + n; current_seed++)
        check_placement(current_seed, &t);
    (void)printf("placements: %" PRIu64 " seeds, %.2f %% optimal, mean %.5f of the "
                 "optimum, worst %.3f\n",
                 t.seeds, 100.0 * (double)t.optimal / (double)t.seeds,
                 t.sum / (double)t.seeds, t.worst);
    return 0;
}
