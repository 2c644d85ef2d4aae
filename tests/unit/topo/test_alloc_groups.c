/* The choice of groups against trying every subset. */
#include <stdio.h>
#include <stdlib.h>
#include "topo/alloc_groups.h"
#include "test_main.h"

#define VIEWS_MAX 6

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33);
}

static unsigned count_bits(unsigned mask)
{
    return (unsigned)__builtin_popcount(mask);
}

/* The contract's wording of what can serve a demand. */
static bool serves(const struct group_demand *d, unsigned mask)
{
    uint64_t whole = 0, with_part = 0;
    bool some = false;
    for (unsigned g = 0; g < d->n_views; g++) {
        if (!(mask >> g & 1))
            continue;
        bool part = d->fraction && d->views[g].fraction >= d->fraction;
        whole += d->views[g].whole;
        with_part += d->views[g].whole + part;
        some |= part;
    }
    if (!d->fraction)
        return whole >= d->units;
    return with_part >= d->units + 1ull && !(d->units && some && whole < d->units);
}

static double fit(const struct group_demand *d, unsigned mask)
{
    double sum = 0;
    for (unsigned g = 0; g < d->n_views; g++) {
        if (!(mask >> g & 1))
            continue;
        if (!d->fraction)
            sum -= d->views[g].whole / 32.0;
        else if (d->views[g].fraction >= d->fraction)
            sum += 16.0 * d->views[g].fraction / 10000;
    }
    return sum;
}

static double coupled(const struct coupling *c, size_t n, const unsigned masks[2])
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if ((masks[c[i].resource1] >> c[i].group1 & 1) &&
            (masks[c[i].resource2] >> c[i].group2 & 1))
            sum += c[i].weight;
    return sum;
}

static unsigned min_count(const struct group_demand *d)
{
    unsigned best = 0;
    for (unsigned mask = 1; mask < 1u << d->n_views; mask++)
        if (serves(d, mask) && (!best || count_bits(mask) < best))
            best = count_bits(mask);
    return best;
}

static double best_score(const struct group_demand d[2], const struct coupling *c,
                         size_t n)
{
    double best = -1e9;
    unsigned k0 = min_count(&d[0]), k1 = min_count(&d[1]);
    for (unsigned a = 1; a < 1u << d[0].n_views; a++) {
        for (unsigned b = 1; b < 1u << d[1].n_views; b++) {
            if (count_bits(a) != k0 || count_bits(b) != k1 || !serves(&d[0], a) ||
                !serves(&d[1], b))
                continue;
            double score =
                fit(&d[0], a) + fit(&d[1], b) + coupled(c, n, (unsigned[]){a, b});
            if (score > best)
                best = score;
        }
    }
    return best;
}

static void random_demand(uint64_t *seed, struct group_demand *d,
                          struct group_view *views)
{
    static const uint16_t parts[] = {0, 2500, 5000, 7500};
    d->views = views;
    d->n_views = 2 + next_random(seed) % (VIEWS_MAX - 1);
    d->units = next_random(seed) % 7;
    d->fraction = parts[next_random(seed) % 4];
    if (d->units == 0 && d->fraction == 0)
        d->units = 1;
    d->strict = false;
    for (unsigned g = 0; g < d->n_views; g++) {
        uint32_t whole = next_random(seed) % 5;
        views[g] =
            (struct group_view){whole, parts[next_random(seed) % 4], 0, NODE_NONE};
    }
}

static void check_choice(const struct group_demand d[2], const struct coupling *c,
                         size_t n)
{
    struct group_choice choices[2];
    unsigned masks[2] = {0, 0};
    (void)groups_choose(d, 2, c, n, false, choices);
    for (int i = 0; i < 2; i++) {
        for (unsigned k = 0; k < choices[i].n; k++) {
            CU_ASSERT(k == 0 || choices[i].groups[k - 1] < choices[i].groups[k]);
            masks[i] |= 1u << choices[i].groups[k];
        }
        CU_ASSERT_EQUAL(choices[i].n, min_count(&d[i]));
        CU_ASSERT_TRUE(serves(&d[i], masks[i]));
    }
    double score = fit(&d[0], masks[0]) + fit(&d[1], masks[1]) + coupled(c, n, masks);
    CU_ASSERT_DOUBLE_EQUAL(score, best_score(d, c, n), 1e-6);
}

static void test_against_all_subsets(void)
{
    uint64_t seed = 7;
    int checked = 0;
    while (checked < 1500) {
        struct group_view views[2][VIEWS_MAX];
        struct group_demand d[2] = {{.pool = 0}, {.pool = 1}};
        struct coupling c[4];
        size_t n = next_random(&seed) % 5;
        random_demand(&seed, &d[0], views[0]);
        random_demand(&seed, &d[1], views[1]);
        for (int i = 0; i < 2; i++)
            CU_ASSERT_EQUAL(group_count_min(&d[i]), min_count(&d[i]));
        if (!min_count(&d[0]) || !min_count(&d[1]))
            continue;
        for (size_t i = 0; i < n; i++)
            c[i] = (struct coupling){
                0, (uint8_t)(next_random(&seed) % d[0].n_views), i == 3 ? 0 : 1,
                (uint8_t)(next_random(&seed) % d[i == 3 ? 0 : 1].n_views),
                (uint16_t)(next_random(&seed) % 512)};
        check_choice(d, c, n);
        checked++;
    }
}

/* Too many combinations to try all: still few groups, and coupled ones. */
static void test_many_groups(void)
{
    struct group_view views[2][64];
    struct coupling c[64];
    struct group_demand d[2] = {{views[0], 64, 24, 0, 0, true},
                                {views[1], 64, 6, 0, 1, true}};
    struct group_choice choices[2];
    for (unsigned g = 0; g < 64; g++) {
        views[0][g] = (struct group_view){4, 0, 0, NODE_NONE};
        views[1][g] = (struct group_view){1, 0, 0, NODE_NONE};
        c[g] = (struct coupling){0, (uint8_t)g, 1, (uint8_t)(63 - g), 256};
    }
    int64_t weight = groups_choose(d, 2, c, 64, false, choices);
    CU_ASSERT_EQUAL(choices[0].n, 6);
    CU_ASSERT_EQUAL(choices[1].n, 6);
    CU_ASSERT_EQUAL(weight, 6 * 256);
}

static void random_permutation(uint64_t *seed, uint32_t n, uint8_t *to)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] = (uint8_t)i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t k = next_random(seed) % (i + 1);
        uint8_t t = to[i];
        to[i] = to[k];
        to[k] = t;
    }
}

/* Half of very many groups, each coupled with one of the other resource: the search is
 * bounded, or this test would not end, and still finds all pairs. */
static void test_bounded_work(void)
{
    static const struct {
        uint32_t groups, first, second;
    } cases[] = {{64, 32, 32}, {64, 12, 6}, {32, 16, 16}, {256, 4, 4}, {256, 128, 3}};
    static struct group_view views[2][POOL_GROUPS_MAX];
    static struct coupling c[POOL_GROUPS_MAX];
    uint64_t seed = 11;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t n = cases[i].groups, pairs = MIN(cases[i].first, cases[i].second);
        struct group_demand d[2] = {{views[0], n, cases[i].first * 2, 0, 0, true},
                                    {views[1], n, cases[i].second, 0, 1, true}};
        struct group_choice choices[2];
        uint8_t partner[POOL_GROUPS_MAX];
        random_permutation(&seed, n, partner);
        for (uint32_t g = 0; g < n; g++) {
            views[0][g] = (struct group_view){2, 0, 0, NODE_NONE};
            views[1][g] = (struct group_view){1, 0, 0, NODE_NONE};
            c[g] = (struct coupling){0, (uint8_t)g, 1, partner[g], 256};
        }
        int64_t weight = groups_choose(d, 2, c, n, false, choices);
        CU_ASSERT_EQUAL(choices[0].n, cases[i].first);
        CU_ASSERT_EQUAL(choices[1].n, cases[i].second);
        CU_ASSERT_EQUAL(weight, pairs * 256);
        if (weight != pairs * 256)
            printf("\n%u groups: %lld\n", n, (long long)weight);
    }
}

TEST_MAIN("alloc_groups", TEST(test_against_all_subsets), TEST(test_many_groups),
          TEST(test_bounded_work))
