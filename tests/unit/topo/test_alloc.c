/* The worker's allocator: the worked examples of the contract, then random histories.
 */
#include <stdio.h>
#include <stdlib.h>
#include "topo/alloc.h"
#include "test_main.h"

#define TASKS_MAX 64

struct bench {
    struct pool_set pools;
    struct alloc_state *state;
    struct allocation held[TASKS_MAX];
    size_t n_held;
};

/* "cpus=2x4;mem=sum(5)", and couplings or NULL. */
static void bench_open(struct bench *b, const char *pools, const char *couplings)
{
    struct error err = ERROR_INIT;
    char text[256];
    char *rest = text;
    memset(b, 0, sizeof *b);
    (void)snprintf(text, sizeof text, "%s", pools);
    for (char *word; (word = strsep(&rest, ";"));) {
        struct pool p = POOL_INIT;
        CU_ASSERT_EQUAL_FATAL(pool_parse(word, &p, &err), 0);
        CU_ASSERT_EQUAL_FATAL(pool_set_add(&b->pools, &p, &err), 0);
    }
    CU_ASSERT_EQUAL_FATAL(pool_set_finish(&b->pools, &err), 0);
    if (couplings)
        CU_ASSERT_EQUAL_FATAL(coupling_parse(couplings, &b->pools, &err), 0);
    CU_ASSERT_EQUAL_FATAL(alloc_create(&b->state, &b->pools, &err), 0);
}

static void bench_close(struct bench *b)
{
    for (size_t i = 0; i < b->n_held; i++)
        alloc_free(b->state, &b->held[i]);
    CU_ASSERT_TRUE(alloc_sane(b->state));
    for (size_t i = 0; i < b->pools.n_pools; i++)
        CU_ASSERT_EQUAL(alloc_free_amount(b->state, i), pool_size(&b->pools.pools[i]));
    alloc_destroy(b->state);
    pool_set_release(&b->pools);
}

/* "cpus=2 compact;gpus=1" */
static void variant_parse(struct request_variant *v, const char *text)
{
    struct error err = ERROR_INIT;
    char copy[256];
    char *rest = copy;
    *v = (struct request_variant)REQUEST_VARIANT_INIT;
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *word; (word = strsep(&rest, ";"));) {
        char *name;
        enum request_policy policy;
        uint64_t amount;
        CU_ASSERT_EQUAL_FATAL(request_entry_parse(word, &name, &policy, &amount, &err),
                              0);
        CU_ASSERT_EQUAL_FATAL(request_variant_add(v, name, policy, amount, &err), 0);
        free(name);
    }
}

/* Runs a request; its indices as "3,2 / a" or "busy", "never". The task stays. */
static const char *run(struct bench *b, const char *request)
{
    static struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    struct request_variant v;
    variant_parse(&v, request);
    buf_clear(&out);
    struct alloc_plan plan;
    alloc_plan_make(b->state, &v, &plan);
    bool fits = alloc_fits(b->state, &plan);
    int rc = alloc_try(b->state, &v, &b->held[b->n_held]);
    CU_ASSERT_EQUAL(fits, rc == ALLOC_OK);
    CU_ASSERT_TRUE(alloc_sane(b->state));
    if (rc == ALLOC_OK) {
        const struct allocation *a = &b->held[b->n_held++];
        const struct alloc_entry *e = allocation_entries(a);
        CU_ASSERT_EQUAL(a->n_entries, v.n_entries);
        for (uint32_t i = 0; i < a->n_entries; i++) {
            buf_puts(&out, i ? " / " : "");
            alloc_print_labels(&b->pools, a, &e[i], &out);
            CU_ASSERT_PTR_EQUAL(allocation_find(a, e[i].pool), &e[i]);
        }
    } else {
        buf_puts(&out, rc == ALLOC_BUSY    ? "busy"
                       : rc == ALLOC_NEVER ? "never"
                                           : "error");
    }
    request_variant_release(&v);
    return buf_cstr(&out);
}

static void end(struct bench *b, size_t task)
{
    alloc_free(b->state, &b->held[task]);
    CU_ASSERT_TRUE(alloc_sane(b->state));
}

struct step {
    const char *request; /* NULL: end of the sequence */
    const char *expected;
};

struct example {
    const char *pools, *couplings;
    struct step steps[8];
};

static void check_example(const struct example *x)
{
    struct bench b;
    bench_open(&b, x->pools, x->couplings);
    for (size_t i = 0; i < ARRAY_SIZE(x->steps) && x->steps[i].request; i++) {
        const char *got = run(&b, x->steps[i].request);
        CU_ASSERT_STRING_EQUAL(got, x->steps[i].expected);
        if (strcmp(got, x->steps[i].expected) != 0)
            printf("\n%s, %s: got %s instead of %s\n", x->pools, x->steps[i].request,
                   got, x->steps[i].expected);
    }
    bench_close(&b);
}

static void test_examples(void)
{
    static const struct example examples[] = {
        {"cpus=3x4", NULL, {{"cpus=6", "1,2,3,5,6,7"}}},
        {"cpus=3x4", NULL, {{"cpus=6 tight", "7,6,5,4,3,2"}}},
        {"cpus=3x4", NULL, {{"cpus=6 scatter", "2,3,6,7,10,11"}}},
        {"cpus=3x4", NULL, {{"cpus=4", "0,1,2,3"}}},
        {"cpus=3x4", NULL, {{"cpus=all", "0,1,2,3,4,5,6,7,8,9,10,11"}}},
        {"cpus=3x4", NULL, {{"cpus=1", "3"}}},
        {"cpus=3x4", NULL, {{"cpus=9 tight!", "11,10,9,8,7,6,5,4,3"}}},
        {"cpus=3x4",
         NULL,
         {{"cpus=7 tight", "7,6,5,4,3,2,1"}, {"cpus=5", "0,8,9,10,11"}}},
        {"cpus=3x4", NULL, {{"cpus=3", "1,2,3"}, {"cpus=4 scatter", "0,6,7,11"}}},
        {"cpus=2x4", NULL, {{"cpus=2.5", "2,3,1"}}},
        {"cpus=2x4", NULL, {{"cpus=2.5 tight", "3,2,1"}}},
        {"cpus=2x4", NULL, {{"cpus=2.5 scatter", "3,7,2"}}},
        {"cpus=2x4", NULL, {{"cpus=4.5", "2,3,6,7,1"}}},
        {"cpus=2x4", NULL, {{"cpus=4.5 tight", "7,6,5,4,3"}}},
        {"cpus=2x4",
         NULL,
         {{"cpus=2", "2,3"},
          {"cpus=2 compact", "0,1"},
          {"cpus=3 tight", "7,6,5"},
          {"cpus=1", "4"}}},
        {"cpus=range(0-3)",
         NULL,
         {{"cpus=2", "3,2"}, {"cpus=1", "1"}, {"cpus=1", "0"}}},
        {"cpus=range(0-3)", NULL, {{"cpus=all", "3,2,1,0"}, {"cpus=1", "busy"}}},
        {"cpus=range(0-3)", NULL, {{"cpus=1", "3"}, {"cpus=all", "busy"}}},
        {"cpus=range(0-3)", NULL, {{"cpus=5", "never"}, {"x=1", "never"}}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check_example(&examples[i]);
}

static void test_best_fit(void)
{
    static const struct example examples[] = {
        {"cpus=[[0,1,2,3],[4,5]]", NULL, {{"cpus=2", "4,5"}}},
        {"cpus=[[0,1,2,3],[4,5,6]]", NULL, {{"cpus=3", "4,5,6"}}},
        /* groups 0 and 2 */
        {"cpus=[[0,1,2,3],[4,5,6],[7]]", NULL, {{"cpus=5", "0,1,2,3,7"}}},
        /* the group with 0.75 left, then the index with 0.5 left */
        {"cpus=3x4",
         NULL,
         {{"cpus=0.25", "3"},
          {"cpus=4 compact", "4,5,6,7"},
          {"cpus=0.25", "3"},
          {"cpus=0.5", "3"}}},
        {"g=[a,b,c]",
         NULL,
         {{"g=0.5", "c"},
          {"g=0.75", "b"},
          {"g=0.25", "b"},
          {"g=1", "a"},
          {"g=0.5", "c"}}},
        {"g=[a,b]",
         NULL,
         {{"g=0.75", "b"}, {"g=0.75", "a"}, {"g=0.5", "busy"}, {"g=0.25", "b"}}},
        {"g=[7,9]", NULL, {{"g=0.5", "9"}, {"g=0.5", "9"}, {"g=0.5", "7"}}},
        {"g=[a,b,c]", NULL, {{"g=2.5", "c,b,a"}, {"g=0.5", "a"}, {"g=0.1", "busy"}}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check_example(&examples[i]);
}

static void test_sum(void)
{
    struct bench b;
    bench_open(&b, "cpus=range(0-3);mem=sum(100)", NULL);
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=1;mem=60"), "3 / ");
    CU_ASSERT_EQUAL(alloc_free_amount(b.state, 1), 400000);
    CU_ASSERT_STRING_EQUAL(run(&b, "mem=60"), "busy");
    CU_ASSERT_STRING_EQUAL(run(&b, "mem=all"), "busy");
    CU_ASSERT_STRING_EQUAL(run(&b, "mem=39.9999"), "");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=1;mem=1"), "busy");
    CU_ASSERT_EQUAL(alloc_free_amount(b.state, 0), 30000);
    bench_close(&b);
}

static void test_freed_in_reverse(void)
{
    struct bench b;
    bench_open(&b, "cpus=range(0-3)", NULL);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_STRING_EQUAL(run(&b, "cpus=3"), "3,2,1");
        end(&b, i);
    }
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=2"), "3,2");
    /* A fraction that gets whole again comes back as an index. */
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=0.5"), "1");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=0.5"), "1");
    end(&b, 5);
    end(&b, 4);
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=2"), "1,0");
    bench_close(&b);
}

static void test_strict(void)
{
    struct bench b;
    bench_open(&b, "cpus=2x4", NULL);
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=3"), "1,2,3");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=3"), "5,6,7");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=2 compact!"), "busy");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=2 tight!"), "busy");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=2 compact"), "0,4");
    bench_close(&b);

    /* Unequal groups: any single group will do. */
    bench_open(&b, "cpus=[[0,1,2,3,4,5,6,7],[8,9,10,11]]", NULL);
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4"), "8,9,10,11");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4 compact!"), "4,5,6,7");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=1"), "3");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4 compact!"), "busy");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=3 compact!"), "0,1,2");
    bench_close(&b);

    /* A strict entry does not make its companion strict. */
    bench_open(&b, "cpus=2x4;gpus=2x2", NULL);
    CU_ASSERT_STRING_EQUAL(run(&b, "gpus=1"), "1");
    CU_ASSERT_STRING_EQUAL(run(&b, "gpus=1 scatter"), "0");
    end(&b, 0);
    CU_ASSERT_STRING_EQUAL(run(&b, "gpus=1 tight"), "1");
    CU_ASSERT_STRING_EQUAL(run(&b, "gpus=1"), "3");
    end(&b, 2);
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=2 compact!;gpus=2"), "2,3 / 1,2");
    bench_close(&b);
}

#define DIAGONAL "cpus[0]:gpus[0],cpus[1]:gpus[1],cpus[2]:gpus[2]"
#define COUPLED "cpus=3x4;gpus=[[a0,a1],[b0,b1],[c0,c1]]"

static void test_coupling(void)
{
    static const struct example examples[] = {
        /* recorded: groups 0 and 2 of both */
        {COUPLED, DIAGONAL, {{"cpus=8;gpus=4", "0,1,2,3,8,9,10,11 / a0,a1,c0,c1"}}},
        {COUPLED, DIAGONAL, {{"cpus=6;gpus=3", "1,2,3,9,10,11 / a0,a1,c1"}}},
        {COUPLED,
         DIAGONAL,
         {{"cpus=4;gpus=2", "0,1,2,3 / a0,a1"},
          {"cpus=4;gpus=2", "4,5,6,7 / b0,b1"},
          {"cpus=4;gpus=2", "8,9,10,11 / c0,c1"}}},
        /* free [4,4,0] and [0,2,2]: one pair is reached, strict requests wait */
        {COUPLED,
         DIAGONAL,
         {{"gpus=2", "a0,a1"},
          {"cpus=4;gpus=2", "4,5,6,7 / b0,b1"},
          {"cpus=4 compact!;gpus=2 compact!", "8,9,10,11 / c0,c1"}}},
        {"cpus=2x2;gpus=[[a0,a1],[b0,b1]]",
         NULL,
         {{"gpus=2", "a0,a1"}, {"cpus=2 compact!;gpus=2 compact!", "0,1 / b0,b1"}}},
        {"cpus=2x8;gpus=[[a0,a1],[b0,b1]]",
         "cpus[0]:gpus[0],cpus[1]:gpus[1]",
         {{"gpus=2", "a0,a1"},
          {"cpus=2", "6,7"},
          {"cpus=4;gpus=1", "12,13,14,15 / b1"}}},
        {"cpus=2x8;gpus=[[a0,a1],[b0,b1]]",
         "cpus[0]:gpus[0],cpus[1]:gpus[1]",
         {{"gpus=2", "a0,a1"},
          {"cpus=6 tight", "7,6,5,4,3,2"},
          {"cpus=8 tight", "15,14,13,12,11,10,9,8"}}},
        {"cpus=4x4",
         "cpus[0]:cpus[1],cpus[2]:cpus[3]",
         {{"cpus=6", "1,2,3,5,6,7"}, {"cpus=8", "8,9,10,11,12,13,14,15"}}},
        /* an overlarge weight never adds a group */
        {"cpus=2x4", "cpus[0]:cpus[1]=2000", {{"cpus=2", "2,3"}}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check_example(&examples[i]);
}

static void test_coupling_strict(void)
{
    struct bench b;
    /* free cpus [4,4,0], free gpus [0,2,2] */
    bench_open(&b, COUPLED, DIAGONAL);
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4;gpus=2"), "0,1,2,3 / a0,a1");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4"), "4,5,6,7");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4"), "8,9,10,11");
    CU_ASSERT_STRING_EQUAL(run(&b, "gpus=2"), "b0,b1");
    end(&b, 1);
    /* free cpus [0,4,0], gpus [0,0,2] */
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4 compact!;gpus=2 compact!"), "busy");
    CU_ASSERT_STRING_EQUAL(run(&b, "cpus=4 compact;gpus=2 compact!"),
                           "4,5,6,7 / c0,c1");
    bench_close(&b);
}

/* What keeps a request waiting, in words. */
static void test_lack(void)
{
    static const struct {
        const char *pools, *couplings;
        const char *held[4];
        const char *request, *text;
    } cases[] = {
        {"cpus=1x4;mem=sum(5.5)", NULL, {"cpus=1;mem=5"}, "cpus=2;mem=0.5", ""},
        {"cpus=1x4;mem=sum(5.5)",
         NULL,
         {"cpus=3;mem=5"},
         "cpus=2;mem=1",
         "cpus: 2 asked, whole ones free: 1; mem: 1 asked, 0.5 free"},
        {"cpus=[a,b]",
         NULL,
         {"cpus=0.7", "cpus=0.6"},
         "cpus=0.5",
         "cpus: 0.5 asked, whole ones free: 0 and 0.4 of a"},
        {"cpus=2x2",
         NULL,
         {"cpus=1.5", "cpus=2"},
         "cpus=0.6",
         "cpus: 0.6 asked, whole ones free per group: 0 and 0.5 of 0, 0"},
        {"cpus=2x2", NULL, {NULL}, "cpus=5", "this worker can never provide it"},
        {"cpus=2x2", NULL, {NULL}, "gpus=1", "this worker can never provide it"},
        {"cpus=2x4",
         NULL,
         {"cpus=4 scatter"},
         "cpus=3 compact!",
         "cpus: 3 must come from 1 group, free per group: 2, 2; without '!' it could "
         "start"},
        /* free cpus [0,4,0], gpus [0,0,2] */
        {COUPLED,
         DIAGONAL,
         {"cpus=4;gpus=2", "gpus=2", "cpus=4;gpus=1", NULL},
         "cpus=4 tight!;gpus=1 tight!",
         "cpus, gpus: groups that are coupled are not free together; without '!' it "
         "could start"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
        struct request_variant v;
        struct alloc_plan plan;
        struct bench b;
        char pools[256];
        (void)snprintf(pools, sizeof pools, "%s", cases[i].pools);
        bench_open(&b, pools, cases[i].couplings);
        for (size_t k = 0; k < ARRAY_SIZE(cases[i].held) && cases[i].held[k]; k++)
            CU_ASSERT_STRING_NOT_EQUAL(run(&b, cases[i].held[k]), "busy");
        variant_parse(&v, cases[i].request);
        alloc_plan_make(b.state, &v, &plan);
        buf_puts(&out, "");
        alloc_print_lack(b.state, &b.pools, &plan, &out);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&out), cases[i].text);
        if (strcmp(buf_cstr(&out), cases[i].text) != 0)
            printf("\n%s: %s\n", cases[i].request, buf_cstr(&out));
        request_variant_release(&v);
        buf_release(&out);
        bench_close(&b);
    }
}

static void test_gang_and_nothing(void)
{
    struct bench b;
    struct request_variant v = REQUEST_VARIANT_INIT;
    struct allocation a;
    bench_open(&b, "cpus=range(0-1)", NULL);
    CU_ASSERT_EQUAL(alloc_try(b.state, &v, &a), ALLOC_OK);
    CU_ASSERT_EQUAL(a.n_entries, 0);
    alloc_free(b.state, &a);
    variant_parse(&v, "cpus=9");
    v.n_nodes = 2;
    CU_ASSERT_EQUAL(alloc_try(b.state, &v, &a), ALLOC_OK);
    CU_ASSERT_EQUAL(a.n_entries, 0);
    alloc_free(b.state, &a);
    request_variant_release(&v);
    bench_close(&b);
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33);
}

/* No index is given twice and no more of it than there is. */
static void check_shares(const struct bench *b, const bool *live)
{
    uint32_t used[2][64] = {{0}};
    for (size_t i = 0; i < TASKS_MAX; i++) {
        if (!live[i])
            continue;
        const struct alloc_entry *e = allocation_entries(&b->held[i]);
        const struct alloc_item *items = allocation_items(&b->held[i]);
        for (uint32_t k = 0; k < b->held[i].n_entries; k++) {
            uint64_t sum = 0;
            for (uint32_t j = e[k].first; j < e[k].first + e[k].n; j++) {
                uint32_t part = items[j].fraction ? items[j].fraction : AMOUNT_ONE;
                used[e[k].pool][items[j].index] += part;
                sum += part;
                CU_ASSERT(used[e[k].pool][items[j].index] <= AMOUNT_ONE);
                CU_ASSERT(!items[j].fraction || j + 1 == e[k].first + e[k].n);
            }
            CU_ASSERT_EQUAL(sum, e[k].amount);
        }
    }
}

static void random_history(uint64_t seed, const char *pools, const char *couplings)
{
    static const char *const policies[] = {"compact", "compact!", "tight", "tight!",
                                           "scatter"};
    struct bench b;
    bool live[TASKS_MAX] = {false};
    bench_open(&b, pools, couplings);
    for (int i = 0; i < 400; i++) {
        size_t slot = next_random(&seed) % TASKS_MAX;
        if (live[slot]) {
            alloc_free(b.state, &b.held[slot]);
            live[slot] = false;
        } else {
            struct request_variant v;
            char text[96];
            unsigned units = next_random(&seed) % 5, part = next_random(&seed) % 3;
            if (units + part == 0)
                continue;
            (void)snprintf(text, sizeof text, "cpus=%u.%u %s;gpus=%u.%u %s", units,
                           part * 25, policies[next_random(&seed) % 5],
                           next_random(&seed) % 2, 25 + next_random(&seed) % 2 * 25,
                           policies[next_random(&seed) % 5]);
            variant_parse(&v, text);
            int rc = alloc_try(b.state, &v, &b.held[slot]);
            CU_ASSERT(rc == ALLOC_OK || rc == ALLOC_BUSY);
            live[slot] = rc == ALLOC_OK;
            request_variant_release(&v);
        }
        if (!alloc_sane(b.state)) {
            CU_FAIL("books are wrong");
            printf("seed %llu step %d\n", (unsigned long long)seed, i);
            break;
        }
        check_shares(&b, live);
    }
    for (size_t i = 0; i < TASKS_MAX; i++)
        if (live[i])
            alloc_free(b.state, &b.held[i]);
    bench_close(&b);
}

static void test_random(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_history(seed, "cpus=range(0-15);gpus=range(0-3)", NULL);
        random_history(seed, "cpus=[[0,1,2,3],[4,5],[6,7,8,9,10,11],[12]];gpus=2x2",
                       NULL);
        random_history(
            seed, "cpus=4x4;gpus=4x1",
            "cpus[0]:gpus[0],cpus[1]:gpus[1],cpus[2]:gpus[2]=300,cpus[0]:cpus[1]");
    }
}

TEST_MAIN("alloc", TEST(test_examples), TEST(test_best_fit), TEST(test_sum),
          TEST(test_freed_in_reverse), TEST(test_strict), TEST(test_coupling),
          TEST(test_coupling_strict), TEST(test_lack), TEST(test_gang_and_nothing),
          TEST(test_random))
