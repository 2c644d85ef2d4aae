/* What workers of some kind could be used by the tasks that wait. */
#include "sched/fixture.h"

static struct sched_kind kinds[8];
static struct pool_set pools[8];
static size_t n_kinds;

static struct sched_kind *kind(const char *resources, bool partial,
                               uint32_t max_workers)
{
    struct sched_kind *k = &kinds[n_kinds];
    struct error err;
    char copy[256], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", resources);
    pools[n_kinds] = (struct pool_set)POOL_SET_INIT;
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        struct pool p = POOL_INIT;
        CU_ASSERT_FATAL(!pool_parse(word, &p, &err) &&
                        !pool_set_add(&pools[n_kinds], &p, &err));
    }
    *k = (struct sched_kind){.pools = &pools[n_kinds],
                             .partial = partial,
                             .life_us = 1000,
                             .max_more = max_workers,
                             .max_nodes = 4,
                             .max_room = max_workers};
    n_kinds++;
    return k;
}

/* "3 | 1 2x5": workers of each kind, then gangs as nodes x tasks. Forgets the kinds. */
static const char *ask(void)
{
    struct sched_use use[8];
    size_t at = 0;
    text[0] = '\0';
    sched_query(sched, kinds, n_kinds, use);
    for (size_t i = 0; i < n_kinds; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", i ? " | " : "",
                               use[i].n_workers);
        for (size_t g = 0; g < use[i].n_gangs; g++)
            at += (size_t)snprintf(text + at, sizeof text - at, " %ux%llu",
                                   use[i].gangs[g].n_nodes,
                                   (unsigned long long)use[i].gangs[g].n_tasks);
        sched_use_release(&use[i]);
        pool_set_release(&pools[i]);
    }
    n_kinds = 0;
    return text;
}

static void test_one_class(void)
{
    begin();
    kind("cpus=range(0-3)", false, 10);
    CHECK_TEXT(ask(), "0");
    sched_ready(sched, class_of("cpus=1"), 0, 1, 0, 9);
    kind("cpus=range(0-3)", false, 10);
    CHECK_TEXT(ask(), "3"); /* 4 + 4 + 1 */
    kind("cpus=range(0-3)", false, 2);
    CHECK_TEXT(ask(), "2");
    kind("cpus=range(0-3)", false, 2);
    kind("cpus=range(0-0)", false, 10);
    CHECK_TEXT(ask(), "2 | 1"); /* what is left */
    end();
}

static void test_needs(void)
{
    begin();
    sched_ready(sched, class_of("cpus=8"), 0, 1, 0, 5);
    kind("cpus=range(0-3)", true, 10);
    kind("cpus=range(0-7)", true, 10);
    CHECK_TEXT(ask(), "0 | 5");
    sched_ready(sched, class_of("cpus=1 gpus=1"), 0, 2, 0, 3);
    kind("cpus=range(0-7)", false, 10); /* exact: no gpus there */
    kind("cpus=range(0-7)", true, 10);  /* perhaps some */
    CHECK_TEXT(ask(), "5 | 1");
    kind("cpus=range(0-7) gpus/nvidia=range(0-0)", false, 10);
    CHECK_TEXT(ask(), "8"); /* any kind of gpu serves, one at a time */
    end();
}

static void test_nothing_known(void)
{
    begin();
    sched_ready(sched, class_of("cpus=3 gpus=1"), 0, 1, 0, 10);
    sched_ready(sched, class_of("cpus=all"), 0, 2, 0, 4);
    kind("", true, 10);
    CHECK_TEXT(ask(), "1");
    kind("", false, 10);
    CHECK_TEXT(ask(), "0");
    end();
}

static void test_whole_pools(void)
{
    begin();
    sched_ready(sched, class_of("cpus=all"), 0, 2, 0, 4);
    kind("cpus=range(0-3)", true, 10);
    CHECK_TEXT(ask(), "4");
    end();
}

static void test_time(void)
{
    begin();
    sched_ready(sched, class_of("cpus=1 min=999"), 0, 1, 0, 1);
    sched_ready(sched, class_of("cpus=1 min=1000"), 0, 2, 0, 1); /* never starts */
    sched_ready(sched, class_of("cpus=1 min=1001"), 0, 3, 0, 1);
    kind("cpus=range(0-0)", false, 10);
    CHECK_TEXT(ask(), "1");
    kind("cpus=range(0-0)", true, 10); /* nobody knows yet that the second does not */
    CHECK_TEXT(ask(), "2");
    end();
}

static void test_several_classes_share(void)
{
    begin();
    sched_ready(sched, class_of("cpus=3"), 5, 1, 0, 2);
    sched_ready(sched, class_of("cpus=1"), 0, 2, 0, 3);
    kind("cpus=range(0-3)", false, 10);
    CHECK_TEXT(ask(), "3"); /* 3+1, 3+1, 1 */
    kind("cpus=range(0-3)", false, 2);
    kind("cpus=range(0-0)", false, 10);
    CHECK_TEXT(ask(), "2 | 1");
    end();
}

static void test_variants(void)
{
    begin();
    (void)class_of("cpus=1");
    sched_ready(sched, class_of("cpus=1 gpus=1|cpus=4"), 0, 1, 0, 7);
    kind("cpus=range(0-15) gpus=range(0-3)", false, 10);
    CHECK_TEXT(ask(), "1"); /* 4 of the first, 3 of the second */
    sched_ready(sched, class_of("cpus=1 gpus=1|cpus=4"), 0, 1, 7, 1);
    kind("cpus=range(0-15) gpus=range(0-3)", false, 10);
    CHECK_TEXT(ask(), "2");
    end();
}

static void test_minimal_utilization(void)
{
    begin();
    sched_ready(sched, class_of("cpus=1"), 0, 1, 0, 3);
    kind("cpus=range(0-7)", false, 10)->min_utilization = 0.5;
    CHECK_TEXT(ask(), "0");
    sched_ready(sched, class_of("cpus=1"), 0, 1, 3, 1);
    kind("cpus=range(0-7)", false, 10)->min_utilization = 0.5;
    CHECK_TEXT(ask(), "1");
    sched_ready(sched, class_of("cpus=1"), 0, 1, 4, 6);
    kind("cpus=range(0-7)", false, 10)->min_utilization = 0.5;
    kind("cpus=range(0-0)", false, 10);
    CHECK_TEXT(ask(), "1 | 2"); /* what would be too little goes on */
    sched_ready(sched, class_of("gpus=1"), 0, 2, 0, 1);
    kind("cpus=range(0-31) gpus=range(0-1)", false, 10)->min_utilization = 0.5;
    CHECK_TEXT(ask(), "0");
    end();
}

static void test_gangs(void)
{
    begin();
    sched_ready(sched, class_of("nodes=3"), 0, 1, 0, 2);
    sched_ready(sched, class_of("nodes=2"), 7, 2, 0, 5);
    sched_ready(sched, class_of("nodes=2 min=2000"), 7, 3, 0, 1);
    sched_ready(sched, class_of("nodes=9"), 7, 4, 0, 1);
    kind("cpus=range(0-3)", false, 10)->max_nodes = 2;
    kind("cpus=range(0-3)", false, 10);
    kind("cpus=range(0-3)", false, 10)->life_us = 3000;
    CHECK_TEXT(ask(), "0 2x5 | 0 3x2 | 0 2x1");
    end();
}

/* A group on its way serves one gang; the next kind gets what is left. */
static void test_coming(void)
{
    static const uint32_t coming[] = {2, 3};
    begin();
    sched_ready(sched, class_of("nodes=3"), 7, 1, 0, 2);
    sched_ready(sched, class_of("nodes=2"), 0, 2, 0, 3);
    sched_ready(sched, class_of("cpus=4"), 0, 3, 0, 9);
    struct sched_kind *k = kind("cpus=range(0-3)", false, 0);
    k->coming = coming;
    k->n_coming = 2;
    kind("cpus=range(0-3)", false, 5)->max_more = 2;
    kind("cpus=range(0-3)", false, 5)->max_more = 1;
    CHECK_TEXT(ask(), "0 2x1 3x1 | 0 2x1 3x1 | 0 2x1");
    k = kind("cpus=range(0-3)", false, 5);
    k->max_nodes = 1; /* no gangs, but what comes */
    k->coming = coming;
    k->n_coming = 2;
    kind("cpus=range(0-3)", false, 3); /* room for one gang */
    CHECK_TEXT(ask(), "5 2x1 3x1 | 0 3x1");
    end();
}

static void test_only_what_waits(void)
{
    begin();
    worker(1, "cpus=range(0-3)");
    sched_ready(sched, class_of("cpus=1"), 0, 1, 0, 4);
    (void)step();
    kind("cpus=range(0-3)", false, 10);
    CHECK_TEXT(ask(), "0"); /* they have their room */
    sched_ready(sched, class_of("cpus=1"), 0, 1, 4, 8);
    (void)step(); /* nobody knows how long they take: four were sent ahead */
    kind("cpus=range(0-3)", false, 10);
    CHECK_TEXT(ask(), "2");
    end();
}

/* A million tasks of a thousand classes, kinds with ten thousand workers. */
static void test_bounds(void)
{
    begin();
    for (uint32_t i = 0; i < 1000; i++) {
        char request[32];
        (void)snprintf(request, sizeof request, "cpus=%u", i % 500 + 1);
        sched_ready(sched, class_of(request), (int32_t)(i % 7), i + 1, 0, 1000);
    }
    for (int i = 0; i < 8; i++)
        kind("cpus=range(0-511)", false, 10000);
    const char *got = ask();
    CU_ASSERT(strncmp(got, "10000 | 10000", 13) == 0);
    end();
}

TEST_MAIN("query", TEST(test_one_class), TEST(test_needs), TEST(test_nothing_known),
          TEST(test_whole_pools), TEST(test_time), TEST(test_several_classes_share),
          TEST(test_variants), TEST(test_minimal_utilization), TEST(test_gangs),
          TEST(test_coming), TEST(test_only_what_waits), TEST(test_bounds))
