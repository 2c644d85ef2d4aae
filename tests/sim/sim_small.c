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

/* Weight times the shares of the cluster that the task asks for, in its smallest
 * variant: a task is worth the same in all of them. */
static double task_value(const struct small *s, const struct small_class *c, uint32_t v)
{
    double least = 1e9;
    for (uint32_t k = 0; k < c->n_variants; k++) {
        double share = 0;
        for (int r = 0; r < SIM_RESOURCES; r++)
            if (s->cluster[r])
                share += (double)c->amounts[k][r] / (double)s->cluster[r];
        least = MIN(least, share);
    }
    return least * (double)c->weight[v];
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

/* ---- makespans ------------------------------------------------------------------- */

#define LIST_TASKS_MAX 6
#define SLOTS_MAX 4

/* Tasks of one to all cpus of one worker, or of one cpu on several workers. */
struct list_case {
    struct cluster cluster;
    struct sched *sched;
    uint32_t n_workers, slots, n_tasks, left;
    uint32_t width[LIST_TASKS_MAX];
    uint64_t duration_us[LIST_TASKS_MAX];
    uint64_t end_us;
};

static uint64_t list_duration(struct cluster *c, uint32_t job, uint32_t slot)
{
    (void)slot;
    return ((const struct list_case *)c->arg)->duration_us[job];
}

static void list_join(struct list_case *x, uint32_t id, uint32_t cpus)
{
    const uint64_t total[SIM_RESOURCES] = {cpus};
    struct pool_set set = POOL_SET_INIT;
    struct pool p = POOL_INIT;
    struct error err;
    char word[64];
    (void)snprintf(word, sizeof word, "cpus=range(1-%u)", cpus);
    SIM_ASSERT(!pool_parse(word, &p, &err) && !pool_set_add(&set, &p, &err));
    SIM_ASSERT(!pool_set_finish(&set, &err));
    (void)cluster_join(&x->cluster, id, total);
    sched_worker_add(x->sched, &(struct sched_worker){id, &set, "g", 0, 0}, 1);
    pool_set_release(&set);
}

/* The test's classes are by width; tasks of one width may be of several jobs. */
static uint32_t list_class(struct list_case *x, uint32_t width)
{
    struct request request = REQUEST_INIT;
    struct request_variant variant = REQUEST_VARIANT_INIT;
    struct error err;
    SIM_ASSERT(!request_variant_add(&variant, "cpus", POLICY_COMPACT,
                                    width * AMOUNT_ONE, &err) &&
               !request_add(&request, &variant, &err));
    uint32_t id = sched_class(x->sched, &request, 0);
    request_release(&request);
    for (uint32_t i = 0; i < x->cluster.n_classes; i++)
        if (x->cluster.classes[i].id == id)
            return id;
    x->cluster.classes[x->cluster.n_classes++] =
        (struct sim_class){.id = id, .n_variants = 1, .amounts = {{width}}};
    return id;
}

static void list_step(struct list_case *x)
{
    struct cluster *c = &x->cluster;
    struct sched_out out;
    sched_step(x->sched, c->now_us, &out);
    sched_sanity_check(x->sched);
    for (size_t i = 0; i < out.n_assigns; i++)
        cluster_send(c, sim_by_link(c, out.assigns[i].worker), &out.assigns[i]);
    for (size_t i = 0; i < out.n_retracts; i++)
        sim_to_worker(c, sim_by_link(c, out.retracts[i].worker),
                      (struct sim_message){.kind = SIM_RETRACT,
                                           .class_id = out.retracts[i].class_id,
                                           .variant = out.retracts[i].variant,
                                           .n = out.retracts[i].max_count});
    if (out.wake_us || out.more)
        sim_post(c, out.more ? c->now_us : out.wake_us,
                 (struct sim_message){.kind = SIM_TIMER});
}

static void list_report(struct list_case *x, const struct sim_message *m)
{
    uint64_t now = x->cluster.now_us;
    if (m->kind == SIM_STARTED)
        sched_started(x->sched, m->link, m->job, m->slot, m->count);
    if (m->kind == SIM_RETRACTED)
        sched_retracted(x->sched, m->link, m->class_id, m->variant, m->runs, m->n_runs);
    if (m->kind != SIM_DONE)
        return;
    x->left -= m->count;
    x->end_us = now;
    sched_done(x->sched, m->link, m->job, m->slot, m->count, m->n, m->duration_us, now);
}

/* Each task as early as those before it in the order allow. */
static uint64_t ordered_end(const struct list_case *x, const uint32_t *order)
{
    uint64_t start[LIST_TASKS_MAX], end = 0;
    for (uint32_t i = 0; i < x->n_tasks; i++) {
        uint32_t t = order[i];
        uint64_t best = UINT64_MAX;
        for (uint32_t k = 0; k <= i; k++) { /* at 0 or at an end of another */
            uint64_t at =
                k == 0 ? 0 : start[order[k - 1]] + x->duration_us[order[k - 1]];
            bool good = at < best;
            for (uint32_t e = 0; good && e <= i; e++) { /* where the use may rise */
                uint64_t when = e == i ? at : start[order[e]];
                if (when < at || when >= at + x->duration_us[t])
                    continue;
                uint32_t used = x->width[t];
                for (uint32_t o = 0; o < i; o++)
                    if (start[order[o]] <= when &&
                        when < start[order[o]] + x->duration_us[order[o]])
                        used += x->width[order[o]];
                good = used <= x->slots;
            }
            best = good ? at : best;
        }
        start[t] = best;
        end = MAX(end, best + x->duration_us[t]);
    }
    return end;
}

static uint64_t list_optimum(const struct list_case *x, uint32_t *order, uint32_t at)
{
    if (at == x->n_tasks)
        return ordered_end(x, order);
    uint64_t best = UINT64_MAX;
    for (uint32_t i = at; i < x->n_tasks; i++) {
        uint32_t t = order[i];
        order[i] = order[at];
        order[at] = t;
        best = MIN(best, list_optimum(x, order, at + 1));
        order[at] = order[i];
        order[i] = t;
    }
    return best;
}

static void list_make(struct list_case *x, uint64_t seed)
{
    struct cluster *c = &x->cluster;
    *x = (struct list_case){.cluster = {.random = seed * 104729 + 5}};
    c->arg = x;
    c->duration = list_duration;
    c->start_percent = 100;
    x->sched = sched_create();
    SIM_ASSERT(x->sched != NULL);
    bool rigid = sim_percent(c, 50);
    x->n_workers = rigid ? 1 : 1 + sim_below(c, 3);
    for (uint32_t id = 1; id <= x->n_workers; id++) {
        uint32_t cpus = rigid ? 2 + sim_below(c, SLOTS_MAX - 1)
                              : 1 + sim_below(c, SLOTS_MAX - x->n_workers + 1);
        cpus = MIN(cpus, SLOTS_MAX - x->slots - (x->n_workers - id));
        list_join(x, id, cpus);
        x->slots += cpus;
    }
    x->n_tasks = x->left = 1 + sim_below(c, LIST_TASKS_MAX);
    for (uint32_t j = 0; j < x->n_tasks; j++) {
        x->width[j] = rigid ? 1 + sim_below(c, x->slots) : 1;
        x->duration_us[j] = 1000 * (uint64_t)(1 + sim_below(c, 100));
        sched_ready(x->sched, list_class(x, x->width[j]), 0, j, 0, 1);
    }
}

/* Messages take a microsecond; what that adds is not counted. */
static double check_makespan(uint64_t seed)
{
    static struct list_case list;
    struct list_case *x = &list;
    uint32_t order[LIST_TASKS_MAX] = {0, 1, 2, 3, 4, 5};
    struct sim_message *m;
    list_make(x, seed);
    list_step(x);
    while ((m = cluster_next(&x->cluster))) {
        list_report(x, m);
        cluster_free(m);
        list_step(x);
    }
    SIM_ASSERT(x->left == 0);
    double ratio =
        (double)(x->end_us / 1000 * 1000) / (double)list_optimum(x, order, 0);
    SIM_ASSERT(ratio <= 2 - 1.0 / x->slots + 1e-9);
    sched_destroy(x->sched);
    cluster_release(&x->cluster);
    return ratio;
}

static void check_makespans(uint64_t first, uint64_t n)
{
    double sum = 0, worst = 0;
    uint64_t optimal = 0;
    for (current_seed = first; current_seed < first + n; current_seed++) {
        double ratio = check_makespan(current_seed);
        sum += ratio;
        worst = MAX(worst, ratio);
        optimal += ratio < 1 + 1e-9;
    }
    (void)printf("makespans: %" PRIu64 " seeds, %.1f %% optimal, mean %.4f of the "
                 "optimum, worst %.3f\n",
                 n, 100.0 * (double)optimal / (double)n, sum / (double)n, worst);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 3000;
    struct tally t = {.worst = 1};
    (void)signal(SIGABRT, on_abort);
    for (current_seed = first; current_seed < first + n; current_seed++)
        check_placement(current_seed, &t);
    double percent = 100.0 * (double)t.optimal / (double)t.seeds;
    (void)printf("placements: %" PRIu64 " seeds, %.2f %% optimal, mean %.5f of the "
                 "optimum, worst %.3f\n",
                 t.seeds, percent, t.sum / (double)t.seeds, t.worst);
    check_makespans(first, n);
    return percent >= 99 ? 0 : 1;
}
