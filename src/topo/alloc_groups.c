#include "topo/alloc_groups.h"

#include <stdlib.h>
#include <string.h>

/* Up to this many combinations all are tried; above, a start is improved by exchanges.
 */
#define COMBINATIONS_MAX 16384
/* Either way this bounds the work, in steps of some nanoseconds: a worker with dozens
 * of coupled groups must not stand still over one task. */
#define STEPS_MAX 2000000
#define GROUP_WORDS (POOL_GROUPS_MAX / 64)
/* Scores count in 1/320000, so that free/32 and 16 * fraction/10000 are whole numbers.
 */
#define WEIGHT_SCALE 320000
#define WHOLE_SCALE 10000
#define FRACTION_SCALE 512

/* Whether this many whole indices and the fraction are there. */
static bool enough(uint64_t whole, bool fits, const struct group_demand *d)
{
    if (!d->fraction)
        return whole >= d->units;
    return whole > d->units || (fits && whole >= d->units);
}

static bool gives_fraction(const struct group_view *v, const struct group_demand *d)
{
    return d->fraction && v->fraction >= d->fraction;
}

static int by_whole_descending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* Fewest groups for whole indices alone; 0: too few. */
static uint32_t count_for_whole(const uint32_t *sorted, uint32_t n, uint64_t need)
{
    uint64_t sum = 0;
    for (uint32_t k = 0; k < n; k++) {
        sum += sorted[k];
        if (sum >= need)
            return k + 1;
    }
    return 0;
}

/* Fewest groups when group g, which has a fitting fraction, is one of them. */
static uint32_t count_with_group(const uint32_t *sorted, const struct group_demand *d,
                                 uint32_t whole)
{
    uint64_t sum = whole;
    bool skipped = false;
    uint32_t count = 1;
    for (uint32_t k = 0; k < d->n_views && sum < d->units; k++) {
        if (!skipped && sorted[k] == whole) {
            skipped = true;
            continue;
        }
        sum += sorted[k];
        count++;
    }
    return sum >= d->units ? count : 0;
}

uint32_t group_count_min(const struct group_demand *d)
{
    uint32_t sorted[POOL_GROUPS_MAX];
    for (uint32_t i = 0; i < d->n_views; i++)
        if (enough(d->views[i].whole, gives_fraction(&d->views[i], d), d))
            return 1;
    for (uint32_t i = 0; i < d->n_views; i++)
        sorted[i] = d->views[i].whole;
    qsort(sorted, d->n_views, sizeof *sorted, by_whole_descending);
    uint32_t best =
        count_for_whole(sorted, d->n_views, (uint64_t)d->units + (d->fraction ? 1 : 0));
    for (uint32_t i = 0; i < d->n_views; i++) {
        if (!gives_fraction(&d->views[i], d))
            continue;
        uint32_t count = count_with_group(sorted, d, d->views[i].whole);
        if (count && (!best || count < best))
            best = count;
    }
    return best;
}

static bool choice_serves(const struct group_choice *c, const struct group_demand *d)
{
    uint64_t whole = 0;
    bool fits = false;
    for (uint32_t i = 0; i < c->n; i++) {
        whole += d->views[c->groups[i]].whole;
        fits |= gives_fraction(&d->views[c->groups[i]], d);
    }
    return enough(whole, fits, d);
}

/* Whole requests go to the fuller group; fractions to the largest one that fits. */
static int64_t fit_of(const struct group_view *v, const struct group_demand *d)
{
    if (!d->fraction)
        return -(int64_t)v->whole * WHOLE_SCALE;
    return gives_fraction(v, d) ? (int64_t)v->fraction * FRACTION_SCALE : 0;
}

static bool choice_has(const struct group_choice *c, uint8_t group)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->groups[i] == group)
            return true;
    return false;
}

struct score {
    int64_t strict; /* coupling weight between strict demands */
    int64_t near;   /* groups beside each other, devices beside groups */
    int64_t total;  /* coupling weight and fit */
};

struct search {
    const struct group_demand *demands;
    size_t n;
    const struct coupling
        *couplings;     /* those between these demands, pools replaced by */
    size_t n_couplings; /* the positions of the demands */
    struct group_choice *now;
    struct group_choice *best;
    struct score best_score;
    int64_t steps; /* left */
    bool near;
    bool found;
};

/* Pairs of chosen groups on one NUMA node, and free devices beside the chosen ones. */
static int64_t near_of(const struct search *s)
{
    int64_t near = 0;
    for (size_t i = 0; i < s->n; i++)
        for (uint32_t j = 0; j < s->now[i].n; j++) {
            const struct group_view *v = &s->demands[i].views[s->now[i].groups[j]];
            near += v->near;
            for (size_t other = i + 1; other < s->n && v->node != NODE_NONE; other++)
                for (uint32_t k = 0; k < s->now[other].n; k++)
                    near += s->demands[other].views[s->now[other].groups[k]].node ==
                            v->node;
        }
    return near;
}

static bool set_has(const uint64_t *set, uint8_t group)
{
    return set[group / 64] >> group % 64 & 1;
}

static struct score score_of(const struct search *s)
{
    struct score score = {0, 0, 0};
    uint64_t chosen[REQUEST_ENTRIES_MAX][GROUP_WORDS];
    memset(chosen, 0, s->n * sizeof chosen[0]);
    for (size_t i = 0; i < s->n; i++)
        for (uint32_t j = 0; j < s->now[i].n; j++) {
            uint8_t group = s->now[i].groups[j];
            chosen[i][group / 64] |= 1ull << group % 64;
            score.total += fit_of(&s->demands[i].views[group], &s->demands[i]);
        }
    for (size_t i = 0; i < s->n_couplings; i++) {
        const struct coupling *c = &s->couplings[i];
        if (!set_has(chosen[c->resource1], c->group1) ||
            !set_has(chosen[c->resource2], c->group2))
            continue;
        int64_t weight = MIN(c->weight, ALLOC_WEIGHT_MAX);
        score.total += weight * WEIGHT_SCALE;
        if (s->demands[c->resource1].strict && s->demands[c->resource2].strict)
            score.strict += weight;
    }
    if (s->near)
        score.near = near_of(s);
    return score;
}

static int compare_scores(const struct score *a, const struct score *b)
{
    if (a->strict != b->strict)
        return a->strict > b->strict ? 1 : -1;
    if (a->near != b->near)
        return a->near > b->near ? 1 : -1;
    return (a->total > b->total) - (a->total < b->total);
}

/* What it takes to look at one choice. */
static int64_t steps_of(const struct search *s)
{
    size_t steps = 8 + s->n_couplings;
    for (size_t i = 0; i < s->n; i++)
        steps += s->now[i].n;
    for (size_t i = 1; i < s->n && s->near; i++)
        steps += (size_t)s->now[i - 1].n * s->now[i].n;
    return (int64_t)steps;
}

/* Equal scores: the lowest first group, and with coupling the highest others. */
static bool preferred(const struct search *s)
{
    const struct group_choice *a = &s->now[0], *b = &s->best[0];
    if (!s->n_couplings)
        return false;
    if (a->groups[0] != b->groups[0])
        return a->groups[0] < b->groups[0];
    for (uint32_t i = a->n - 1; i > 0; i--)
        if (a->groups[i] != b->groups[i])
            return a->groups[i] > b->groups[i];
    return false;
}

/* Keeps the present choice if it is the best so far. */
static bool consider(struct search *s)
{
    struct score score = score_of(s);
    s->steps -= steps_of(s);
    if (s->found) {
        int diff = compare_scores(&score, &s->best_score);
        if (diff < 0 || (diff == 0 && !preferred(s)))
            return false;
    }
    s->found = true;
    s->best_score = score;
    for (size_t i = 0; i < s->n; i++) {
        s->best[i].n = s->now[i].n;
        memcpy(s->best[i].groups, s->now[i].groups, s->now[i].n);
    }
    return true;
}

/* Next combination in lexicographic order. */
static bool next_combination(struct group_choice *c, uint32_t n_views)
{
    uint32_t i = c->n;
    while (i > 0 && c->groups[i - 1] == n_views - c->n + i - 1)
        i--;
    if (i == 0)
        return false;
    c->groups[i - 1]++;
    for (; i < c->n; i++)
        c->groups[i] = (uint8_t)(c->groups[i - 1] + 1);
    return true;
}

static void try_all(struct search *s, size_t demand)
{
    struct group_choice *c = &s->now[demand];
    if (demand == s->n) {
        (void)consider(s);
        return;
    }
    for (uint32_t i = 0; i < c->n; i++)
        c->groups[i] = (uint8_t)i;
    do {
        if (choice_serves(c, &s->demands[demand]))
            try_all(s, demand + 1);
    } while (next_combination(c, s->demands[demand].n_views));
}

/* Number of combinations of all demands together, or a number above the maximum. */
static uint64_t count_combinations(const struct search *s)
{
    uint64_t product = 1;
    for (size_t i = 0; i < s->n; i++) {
        uint64_t n = s->demands[i].n_views, k = MIN(s->now[i].n, n - s->now[i].n),
                 c = 1;
        for (uint64_t j = 1; j <= k && c <= COMBINATIONS_MAX; j++)
            c = c * (n - k + j) / j;
        product *= c;
        if (product > COMBINATIONS_MAX)
            break;
    }
    return product;
}

static void sort_groups(struct group_choice *c)
{
    for (uint32_t i = 1; i < c->n; i++)
        for (uint32_t j = i; j > 0 && c->groups[j - 1] > c->groups[j]; j--) {
            uint8_t t = c->groups[j];
            c->groups[j] = c->groups[j - 1];
            c->groups[j - 1] = t;
        }
}

/* A choice that serves: a group with the fraction if one helps, then the emptiest. */
static void choose_large(struct group_choice *c, const struct group_demand *d)
{
    for (uint32_t anchor = 0; anchor <= d->n_views; anchor++) {
        uint32_t want = c->n, n = 0;
        if (anchor < d->n_views) {
            if (!gives_fraction(&d->views[anchor], d))
                continue;
            c->groups[n++] = (uint8_t)anchor;
        }
        for (; n < want; n++) {
            uint32_t best = d->n_views;
            struct group_choice taken = {.n = n};
            memcpy(taken.groups, c->groups, n);
            for (uint32_t g = 0; g < d->n_views; g++)
                if (!choice_has(&taken, (uint8_t)g) &&
                    (best == d->n_views || d->views[g].whole > d->views[best].whole))
                    best = g;
            c->groups[n] = (uint8_t)best;
        }
        if (choice_serves(c, d))
            break;
    }
    sort_groups(c);
}

/* Puts other groups in the place of chosen ones wherever that is better; with `depth`
 * also together with one of a later demand. */
static bool exchange(struct search *s, size_t demand, size_t depth)
{
    const struct group_demand *d = &s->demands[demand];
    struct group_choice *c = &s->now[demand], kept = *c;
    bool improved = false;
    for (uint32_t i = 0; i < c->n; i++) {
        for (uint32_t g = 0; g < d->n_views && s->steps > 0; g++) {
            if (choice_has(&kept, (uint8_t)g))
                continue;
            *c = kept;
            c->groups[i] = (uint8_t)g;
            sort_groups(c);
            s->steps -= c->n;
            if (!choice_serves(c, d))
                continue;
            bool better = consider(s);
            for (size_t other = demand + 1; depth && !better && other < s->n; other++)
                better = exchange(s, other, depth - 1);
            improved |= better;
            if (better)
                kept = *c;
        }
    }
    *c = kept;
    return improved;
}

/* Improves a first choice by exchanging one group, and where that leads no further one
 * in each of two demands. */
static void climb(struct search *s)
{
    bool together = s->n_couplings || s->near;
    bool improved = true;
    for (size_t i = 0; i < s->n; i++)
        choose_large(&s->now[i], &s->demands[i]);
    (void)consider(s);
    while (improved && s->steps > 0) {
        improved = false;
        for (size_t i = 0; i < s->n; i++)
            improved |= exchange(s, i, 0);
        for (size_t i = 0; i < s->n && together && !improved; i++)
            improved = exchange(s, i, 1);
    }
}

/* The usual case: one demand that one group can serve. */
static void choose_single(const struct group_demand *d, struct group_choice *choice)
{
    int64_t best_fit = 0;
    bool found = false;
    for (uint32_t i = 0; i < d->n_views; i++) {
        const struct group_view *v = &d->views[i];
        if (!enough(v->whole, gives_fraction(v, d), d))
            continue;
        int64_t fit = fit_of(v, d);
        const struct group_view *best = found ? &d->views[choice->groups[0]] : NULL;
        /* Of equally good groups for a fraction the fuller one. */
        if (best &&
            (v->near < best->near ||
             (v->near == best->near &&
              (fit < best_fit || (fit == best_fit && v->whole >= best->whole)))))
            continue;
        found = true;
        best_fit = fit;
        choice->groups[0] = (uint8_t)i;
    }
    HQ_ASSERT(found);
}

/* All demands at once; returns the coupling weight between strict ones. */
static int64_t choose_together(const struct group_demand *demands, size_t n,
                               const struct coupling *couplings, size_t n_couplings,
                               bool near, struct group_choice *choices)
{
    struct group_choice now[REQUEST_ENTRIES_MAX];
    struct search s = {.demands = demands,
                       .n = n,
                       .couplings = couplings,
                       .n_couplings = n_couplings,
                       .now = now,
                       .best = choices,
                       .steps = STEPS_MAX,
                       .near = near};
    for (size_t i = 0; i < n; i++)
        now[i].n = choices[i].n;
    uint64_t combinations = count_combinations(&s);
    if (combinations <= COMBINATIONS_MAX &&
        (int64_t)combinations * steps_of(&s) <= STEPS_MAX)
        try_all(&s, 0);
    else
        climb(&s);
    HQ_ASSERT(s.found);
    return s.best_score.strict;
}

/* Position of the demand for a pool, or n. */
static size_t demand_of(const struct group_demand *demands, size_t n, uint8_t pool)
{
    size_t i = 0;
    while (i < n && demands[i].pool != pool)
        i++;
    return i;
}

/* The couplings between these demands, with demands for pools. */
static size_t couplings_between(const struct group_demand *demands, size_t n,
                                const struct coupling *couplings, size_t n_couplings,
                                struct coupling *used)
{
    size_t n_used = 0;
    for (size_t i = 0; i < n_couplings; i++) {
        size_t a = demand_of(demands, n, couplings[i].resource1);
        size_t b = demand_of(demands, n, couplings[i].resource2);
        if (a == n || b == n)
            continue;
        used[n_used] = couplings[i];
        used[n_used].resource1 = (uint8_t)a;
        used[n_used++].resource2 = (uint8_t)b;
    }
    return n_used;
}

static bool is_coupled(const struct group_demand *d, const struct coupling *couplings,
                       size_t n_couplings, const struct group_demand *demands, size_t n)
{
    for (size_t i = 0; i < n_couplings; i++) {
        const struct coupling *c = &couplings[i];
        if ((c->resource1 == d->pool && demand_of(demands, n, c->resource2) < n) ||
            (c->resource2 == d->pool && demand_of(demands, n, c->resource1) < n))
            return true;
    }
    return false;
}

int64_t groups_choose(const struct group_demand *demands, size_t n,
                      const struct coupling *couplings, size_t n_couplings, bool near,
                      struct group_choice *choices)
{
    struct group_demand joint[REQUEST_ENTRIES_MAX];
    struct group_choice joint_choices[REQUEST_ENTRIES_MAX];
    size_t where[REQUEST_ENTRIES_MAX], n_joint = 0;
    int64_t weight = 0;
    for (size_t i = 0; i < n; i++) {
        choices[i].n = group_count_min(&demands[i]);
        if ((near && n > 1) ||
            is_coupled(&demands[i], couplings, n_couplings, demands, n)) {
            where[n_joint] = i;
            joint_choices[n_joint].n = choices[i].n;
            joint[n_joint++] = demands[i];
        } else if (choices[i].n == 1) {
            choose_single(&demands[i], &choices[i]);
        } else {
            (void)choose_together(&demands[i], 1, NULL, 0, near, &choices[i]);
        }
    }
    if (n_joint) {
        struct coupling used[COUPLINGS_MAX];
        size_t n_used = couplings_between(joint, n_joint, couplings, n_couplings, used);
        weight = choose_together(joint, n_joint, used, n_used, near, joint_choices);
    }
    for (size_t i = 0; i < n_joint; i++)
        choices[where[i]] = joint_choices[i];
    return weight;
}
