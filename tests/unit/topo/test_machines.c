/*
 * The machines of tests/fixtures/topologies: what is detected on each, where requests
 * are placed on the empty machine, what is bound there, and how it is drawn.
 */
#include "fixture.h"

#include <linux/mempolicy.h>
#include "topo/pin.h"

#define FOLDER "../fixtures/topologies/"

struct machine {
    struct topo *topo;
    struct pool_set pools;
    struct alloc_state *state;
    struct pinner *pinner;
};

static void machine_open(struct machine *m, const char *name, const char *mask,
                         bool no_ht, const char *more)
{
    struct error err = ERROR_INIT;
    char path[256];
    (void)snprintf(path, sizeof path, FOLDER "%s.xml", name);
    struct topo_source source = {.xml = path, .detect = DETECT_ALL};
    memset(m, 0, sizeof *m);
    log_set_level(LOG_ERROR);
    m->topo = fixture_discover(source, mask);
    if (more) {
        struct pool p = POOL_INIT;
        CU_ASSERT_EQUAL_FATAL(pool_parse(more, &p, &err), 0);
        CU_ASSERT_EQUAL_FATAL(pool_set_add(&m->pools, &p, &err), 0);
    }
    CU_ASSERT_EQUAL_FATAL(topo_resources(m->topo, DETECT_ALL, no_ht, &m->pools, &err),
                          0);
    CU_ASSERT_EQUAL_FATAL(pool_set_finish(&m->pools, &err), 0);
    CU_ASSERT_EQUAL_FATAL(topo_locate(m->topo, &m->pools, &err), 0);
    CU_ASSERT_EQUAL_FATAL(alloc_create(&m->state, &m->pools, &err), 0);
    CU_ASSERT_EQUAL_FATAL(pinner_create(&m->pinner, m->topo, &m->pools, &err), 0);
}

static void machine_close(struct machine *m)
{
    pinner_destroy(m->pinner);
    alloc_destroy(m->state);
    pool_set_release(&m->pools);
    topo_destroy(m->topo);
}

/* "cpus: [0,1]; gpus/nvidia: range(0-1) on 0 1"; mem is left out where it is whole. */
static const char *pools_of(const struct machine *m)
{
    static struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    buf_clear(&out);
    for (size_t i = 0; i < m->pools.n_pools; i++) {
        const struct pool *p = &m->pools.pools[i];
        buf_printf(&out, "%s%s: ", i ? "; " : "", p->name);
        pool_print_full(p, &out);
        if (!p->nodes || strcmp(p->name, "cpus") == 0)
            continue;
        buf_puts(&out, " on");
        for (size_t k = 0; k < pool_index_count(p); k++)
            if (p->nodes[k] == NODE_NONE)
                buf_puts(&out, " ?");
            else
                buf_printf(&out, " %u", p->nodes[k]);
    }
    return buf_cstr(&out);
}

static const char *policy_word(int policy)
{
    return policy == MPOL_BIND        ? "bind"
           : policy == MPOL_PREFERRED ? "prefer"
           : policy == MPOL_DEFAULT   ? "default"
                                      : "?";
}

/* "3,2 / 1 | mask 0-3 prefer 0" of a request like "cpus=2;gpus/nvidia=1". The task
 * stays. */
static const char *place(struct machine *m, const char *request, enum pin_scope scope,
                         enum membind_mode memory, struct allocation *a)
{
    static struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    struct request_variant v = REQUEST_VARIANT_INIT;
    struct error err = ERROR_INIT;
    struct pin_plan plan;
    char copy[256];
    char *rest = copy;
    buf_clear(&out);
    (void)snprintf(copy, sizeof copy, "%s", request);
    for (char *word; (word = strsep(&rest, ";"));) {
        char *name;
        enum request_policy policy;
        uint64_t amount;
        CU_ASSERT_EQUAL_FATAL(request_entry_parse(word, &name, &policy, &amount, &err),
                              0);
        CU_ASSERT_EQUAL_FATAL(request_variant_add(&v, name, policy, amount, &err), 0);
        free(name);
    }
    CU_ASSERT_EQUAL_FATAL(alloc_try(m->state, &v, a), ALLOC_OK);
    CU_ASSERT_TRUE(alloc_sane(m->state));
    for (uint32_t i = 0; i < a->n_entries; i++) {
        buf_puts(&out, i ? " / " : "");
        alloc_print_labels(&m->pools, a, &allocation_entries(a)[i], &out);
    }
    CU_ASSERT_EQUAL_FATAL(pinner_plan(m->pinner, a, scope, memory, &plan, &err), 0);
    buf_puts(&out, " | mask ");
    cpu_set_print(&plan.cpus, &out);
    buf_printf(&out, " %s ", policy_word(plan.mempolicy));
    cpu_set_print(&plan.nodes, &out);
    request_variant_release(&v);
    return buf_cstr(&out);
}

static void check_text(const char *what, const char *got, const char *expected)
{
    CU_ASSERT_STRING_EQUAL(got, expected);
    if (strcmp(got, expected) != 0)
        printf("\n%s: got\n  %s\nnot\n  %s\n", what, got, expected);
}

static void test_detection(void)
{
    static const struct {
        const char *name, *mask;
        bool no_ht;
        const char *expected;
    } cases[] = {
        {"two-sockets", NULL, false,
         "cpus: [[0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23],"
         "[8,9,10,11,12,13,14,15,24,25,26,27,28,29,30,31]]; "
         "gpus/nvidia: range(0-3) on 0 0 1 1; mem: sum(131072)"},
        {"two-sockets", NULL, true,
         "cpus: [[0,1,2,3,4,5,6,7],[8,9,10,11,12,13,14,15]]; "
         "gpus/nvidia: range(0-3) on 0 0 1 1; mem: sum(131072)"},
        /* taskset -c 8-11,24-27: the GPUs of the other socket remain far ones */
        {"two-sockets", "8-11,24-27", true,
         "cpus: [8,9,10,11]; gpus/nvidia: range(0-3) on 0 0 1 1; mem: sum(131072)"},
        {"two-sockets-no-smt", NULL, true,
         "cpus: [[0,1,2,3,4,5,6,7],[8,9,10,11,12,13,14,15]]; mem: sum(131072)"},
        {"epyc-numa-per-l3", NULL, true,
         "cpus: [[0,1,2,3],[4,5,6,7],[8,9,10,11],[12,13,14,15],[16,17,18,19],"
         "[20,21,22,23],[24,25,26,27],[28,29,30,31]]; "
         "gpus/amd: range(0-3) on 7 5 3 1; mem: sum(131072)"},
        {"hybrid", NULL, false,
         "cpus: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]; mem: sum(32768)"},
        {"hybrid", NULL, true,
         "cpus: [0,2,4,6,8,9,10,11,12,13,14,15]; mem: sum(32768)"},
        {"memory-only-nodes", NULL, false,
         "cpus: [[0,1,2,3],[4,5,6,7]]; gpus/nvidia: [0] on 1; mem: sum(655360)"},
        {"offline-cpus", NULL, false, "cpus: [[0,1,4,5],[6,8,9,11]]; mem: sum(65536)"},
        {"limited-slice", NULL, false,
         "cpus: [[4,5,20,21],[8,9,10,24,25,26]]; "
         "gpus/nvidia: range(0-1) on 0 1; mem: sum(65536)"},
        {"limited-slice", NULL, true,
         "cpus: [[4,5],[8,9,10]]; gpus/nvidia: range(0-1) on 0 1; mem: sum(65536)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct machine m;
        machine_open(&m, cases[i].name, cases[i].mask, cases[i].no_ht, NULL);
        check_text(cases[i].name, pools_of(&m), cases[i].expected);
        machine_close(&m);
    }
}

static void test_placement(void)
{
    static const struct {
        const char *name;
        bool no_ht;
        const char *request;
        enum pin_scope scope;
        enum membind_mode memory;
        const char *expected;
    } cases[] = {
        {"two-sockets", true, "cpus=2", PIN_DOMAINS, MEMBIND_PREFERRED,
         "6,7 | mask 0-7,16-23 prefer 0"},
        {"two-sockets", true, "cpus=2", PIN_EXACT, MEMBIND_STRICT,
         "6,7 | mask 6-7 bind 0"},
        {"two-sockets", true, "cpus=2", PIN_DOMAINS, MEMBIND_OFF,
         "6,7 | mask 0-7,16-23 default 0"},
        {"two-sockets", true, "cpus=2 scatter", PIN_EXACT, MEMBIND_PREFERRED,
         "7,15 | mask 7,15 default 0-1"},
        {"two-sockets", true, "cpus=2 scatter", PIN_EXACT, MEMBIND_STRICT,
         "7,15 | mask 7,15 bind 0-1"},
        {"two-sockets", false, "cpus=all", PIN_DOMAINS, MEMBIND_PREFERRED,
         "0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,8,9,10,11,12,13,14,15,24,25,26,27,28,"
         "29,30,31 | mask 0-31 default 0-1"},
        {"epyc-numa-per-l3", true, "cpus=6 tight", PIN_DOMAINS, MEMBIND_PREFERRED,
         "7,6,5,4,3,2 | mask 0-7,32-39 default 0-1"},
        {"epyc-numa-per-l3", true, "cpus=4 compact!", PIN_EXACT, MEMBIND_PREFERRED,
         "0,1,2,3 | mask 0-3 prefer 0"},
        {"hybrid", false, "cpus=2", PIN_EXACT, MEMBIND_PREFERRED,
         "15,14 | mask 14-15 default 0"},
        {"memory-only-nodes", false, "cpus=2", PIN_DOMAINS, MEMBIND_STRICT,
         "2,3 | mask 0-3 bind 0"},
        {"offline-cpus", false, "cpus=4", PIN_DOMAINS, MEMBIND_PREFERRED,
         "0,1,4,5 | mask 0-1,4-5 prefer 0"},
        {"limited-slice", false, "cpus=1.5", PIN_DOMAINS, MEMBIND_PREFERRED,
         "21,20 | mask 4-5,20-21 prefer 0"},
        /* CPUs of a node whose memory the cpuset keeps: no wish, but an order */
        {"limited-slice", false, "cpus=6", PIN_DOMAINS, MEMBIND_PREFERRED,
         "8,9,10,24,25,26 | mask 8-10,24-26 default 1"},
        {"limited-slice", false, "cpus=6", PIN_DOMAINS, MEMBIND_STRICT,
         "8,9,10,24,25,26 | mask 8-10,24-26 bind 1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct machine m;
        struct allocation a;
        machine_open(&m, cases[i].name, NULL, cases[i].no_ht, NULL);
        const char *got =
            place(&m, cases[i].request, cases[i].scope, cases[i].memory, &a);
        check_text(cases[i].request, got, cases[i].expected);
        alloc_free(m.state, &a);
        machine_close(&m);
    }
}

/* Tasks one after the other; all stay. */
static void test_near(void)
{
    static const struct {
        const char *name, *more;
        const char *requests[5], *expected[5];
    } cases[] = {
        /* the GPU of the socket whose cores were chosen; then, although the other
         * socket is the emptier one, cores where a GPU is free */
        {"two-sockets",
         NULL,
         {"cpus=4;gpus/nvidia=1", "cpus=4;gpus/nvidia=1", "cpus=2;gpus/nvidia=1",
          "cpus=2;gpus/nvidia=1"},
         {"4,5,6,7 / 1", "0,1,2,3 / 0", "14,15 / 3", "12,13 / 2"}},
        {"epyc-numa-per-l3",
         NULL,
         {"gpus/amd=1;cpus=2", "cpus=2;gpus/amd=0.5", "cpus=2;gpus/amd=0.5",
          "cpus=1;gpus/amd=1", "cpus=4;gpus/amd=1"},
         {"3 / 6,7", "14,15 / 2", "12,13 / 2", "23 / 1", "28,29,30,31 / 0"}},
        /* any pool of devices that the machine knows by name */
        {"two-sockets",
         "nics=[mlx5_1,mlx5_0]",
         {"cpus=2;nics=1", "nics=1;cpus=2;gpus/nvidia=1"},
         {"6,7 / mlx5_0", "mlx5_1 / 14,15 / 3"}},
        /* grouped devices without coupling go with the cores of their socket */
        {"two-sockets",
         "nics=[[mlx5_1],[mlx5_0]]",
         {"cpus=2;nics=1", "cpus=2;nics=1"},
         {"6,7 / mlx5_0", "14,15 / mlx5_1"}},
        /* only CPUs: the fuller socket, as ever */
        {"two-sockets", NULL, {"cpus=2", "cpus=2"}, {"6,7", "4,5"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct machine m;
        struct allocation held[5];
        size_t n = 0;
        machine_open(&m, cases[i].name, NULL, true, cases[i].more);
        for (; n < ARRAY_SIZE(held) && cases[i].requests[n]; n++) {
            const char *got =
                place(&m, cases[i].requests[n], PIN_EXACT, MEMBIND_PREFERRED, &held[n]);
            char placed[256];
            (void)snprintf(placed, sizeof placed, "%.*s",
                           (int)(strstr(got, " | ") - got), got);
            check_text(cases[i].requests[n], placed, cases[i].expected[n]);
        }
        while (n > 0)
            alloc_free(m.state, &held[--n]);
        CU_ASSERT_TRUE(alloc_sane(m.state));
        machine_close(&m);
    }
}

/* With couplings the layout plays no part. */
static void test_coupling_overrides(void)
{
    struct machine m;
    struct allocation a;
    struct error err = ERROR_INIT;
    machine_open(&m, "two-sockets", NULL, true, "nics=[[mlx5_1],[mlx5_0]]");
    CU_ASSERT_EQUAL_FATAL(
        coupling_parse("cpus[0]:nics[0],cpus[1]:nics[1]", &m.pools, &err), 0);
    alloc_destroy(m.state);
    CU_ASSERT_EQUAL_FATAL(alloc_create(&m.state, &m.pools, &err), 0);
    check_text("coupled", place(&m, "cpus=2;nics=1", PIN_EXACT, MEMBIND_PREFERRED, &a),
               "6,7 / mlx5_1 | mask 6-7 prefer 0");
    alloc_free(m.state, &a);
    machine_close(&m);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Tasks come and go; what is near changes nothing in how much is given. */
static void test_random_histories(void)
{
    static const char *const names[] = {"two-sockets", "epyc-numa-per-l3"};
    static const char *const gpus[] = {"gpus/nvidia", "gpus/amd"};
    enum { HELD = 24, STEPS = 2000 };
    for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
        struct machine m;
        struct allocation held[HELD];
        bool used[HELD] = {false};
        uint32_t seed = 5;
        machine_open(&m, names[n], NULL, true, "nics=[[mlx5_0],[mlx5_1]]");
        for (int step = 0; step < STEPS; step++) {
            size_t at = next_random(&seed) % HELD;
            struct request_variant v = REQUEST_VARIANT_INIT;
            struct error err = ERROR_INIT;
            if (used[at]) {
                alloc_free(m.state, &held[at]);
                used[at] = false;
                continue;
            }
            uint64_t cpus = (1 + next_random(&seed) % 20) * AMOUNT_ONE / 2;
            uint64_t part = (1 + next_random(&seed) % 8) * AMOUNT_ONE / 4;
            CU_ASSERT_EQUAL_FATAL(
                request_variant_add(&v, "cpus",
                                    (enum request_policy)(next_random(&seed) % 5), cpus,
                                    &err),
                0);
            CU_ASSERT_EQUAL_FATAL(
                request_variant_add(&v, gpus[n], POLICY_COMPACT, part, &err), 0);
            if (next_random(&seed) % 3 == 0)
                CU_ASSERT_EQUAL_FATAL(request_variant_add(&v, "nics", POLICY_COMPACT,
                                                          AMOUNT_ONE / 2, &err),
                                      0);
            used[at] = alloc_try(m.state, &v, &held[at]) == ALLOC_OK;
            CU_ASSERT_TRUE_FATAL(alloc_sane(m.state));
            if (used[at])
                CU_ASSERT(allocation_entries(&held[at])[0].amount == cpus &&
                          allocation_entries(&held[at])[1].amount == part);
            request_variant_release(&v);
        }
        for (size_t i = 0; i < HELD; i++)
            if (used[i])
                alloc_free(m.state, &held[i]);
        for (size_t i = 0; i < m.pools.n_pools; i++)
            CU_ASSERT_EQUAL(alloc_free_amount(m.state, i),
                            pool_size(&m.pools.pools[i]));
        machine_close(&m);
    }
}

static void test_drawing(void)
{
    static const struct {
        const char *name, *mask, *expected;
    } cases[] = {
        {"memory-only-nodes", NULL,
         "+- socket 0: 4 cores, 4 threads ---+\n"
         "| NUMA node 0  64.00 GiB           |\n"
         "|     [0] [1] [2] [3]              |\n"
         "+----------------------------------+\n"
         "+- socket 1: 4 cores, 4 threads ---+\n"
         "| NUMA node 1  64.00 GiB           |\n"
         "|     [4] [5] [6] [7]              |\n"
         "|     gpu nvidia 0  0000:86:00.0   |\n"
         "+----------------------------------+\n"
         "NUMA node 2  256.00 GiB  without CPUs\n"
         "NUMA node 3  256.00 GiB  without CPUs\n"},
        {"hybrid", NULL,
         "+- socket 0: 12 cores, 16 threads ------------+\n"
         "| NUMA node 0  32.00 GiB                      |\n"
         "|     P [0 1] [2 3] [4 5] [6 7]               |\n"
         "|     E [8] [9] [10] [11] [12] [13] [14] [15] |\n"
         "|     network enp87s0  0000:57:00.0           |\n"
         "+---------------------------------------------+\n"},
        {"limited-slice", NULL,
         "+- socket 0: 2 cores, 4 threads ---+\n"
         "| NUMA node 0  64.00 GiB           |\n"
         "|     [4 20] [5 21]                |\n"
         "|     gpu nvidia 0  0000:17:00.0   |\n"
         "+----------------------------------+\n"
         "+- socket 1: 3 cores, 6 threads ------+\n"
         "| NUMA node 1  64.00 GiB, not allowed |\n"
         "|     [8 24] [9 25] [10 26]           |\n"
         "|     gpu nvidia 1  0000:86:00.0      |\n"
         "+-------------------------------------+\n"},
        {"limited-slice", "4",
         "+- socket 0: 1 core, 1 thread ---+\n"
         "| NUMA node 0  64.00 GiB         |\n"
         "|     [4]                        |\n"
         "|     gpu nvidia 0  0000:17:00.0 |\n"
         "+--------------------------------+\n"
         "NUMA node 1  64.00 GiB, not allowed  without CPUs\n"
         "    gpu nvidia 1  0000:86:00.0\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct machine m;
        struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
        machine_open(&m, cases[i].name, cases[i].mask, false, NULL);
        topo_draw(m.topo, &out);
        check_text(cases[i].name, buf_cstr(&out), cases[i].expected);
        buf_release(&out);
        machine_close(&m);
    }
}

TEST_MAIN("machines", TEST(test_detection), TEST(test_placement), TEST(test_near),
          TEST(test_coupling_overrides), TEST(test_random_histories),
          TEST(test_drawing))
