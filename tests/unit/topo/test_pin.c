/* Masks and memory policies of allocations. */
#include "fixture.h"

#include <linux/mempolicy.h>
#include "topo/pin.h"

struct bench {
    struct topo *topo;
    struct pool_set pools;
    struct alloc_state *state;
    struct pinner *pinner;
};

static void bench_open(struct bench *b, const char *machine, const char *mask,
                       const char *cpus)
{
    struct error err = ERROR_INIT;
    struct topo_source source = {.synthetic = machine};
    struct pool p = POOL_INIT;
    log_set_level(LOG_ERROR);
    memset(b, 0, sizeof *b);
    b->topo = fixture_discover(source, mask);
    if (cpus) {
        CU_ASSERT_EQUAL_FATAL(pool_parse(cpus, &p, &err), 0);
        CU_ASSERT_EQUAL_FATAL(pool_set_add(&b->pools, &p, &err), 0);
    } else {
        CU_ASSERT_EQUAL_FATAL(
            topo_resources(b->topo, DETECT_CPUS, false, &b->pools, &err), 0);
    }
    CU_ASSERT_EQUAL_FATAL(pool_parse("x=[1,2]", &p, &err), 0);
    CU_ASSERT_EQUAL_FATAL(pool_set_add(&b->pools, &p, &err), 0);
    CU_ASSERT_EQUAL_FATAL(pool_set_finish(&b->pools, &err), 0);
    CU_ASSERT_EQUAL_FATAL(alloc_create(&b->state, &b->pools, &err), 0);
    CU_ASSERT_EQUAL_FATAL(pinner_create(&b->pinner, b->topo, &b->pools, &err), 0);
}

static void bench_close(struct bench *b)
{
    pinner_destroy(b->pinner);
    alloc_destroy(b->state);
    pool_set_release(&b->pools);
    topo_destroy(b->topo);
}

/* "0-3 policy 1 nodes 0" for a request on a free worker, or the error. */
static const char *plan_of(struct bench *b, const char *name, const char *request,
                           enum pin_scope scope, enum membind_mode memory)
{
    static struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    struct request_variant v = REQUEST_VARIANT_INIT;
    struct error err = ERROR_INIT;
    enum request_policy policy;
    uint64_t amount;
    struct allocation a;
    struct pin_plan plan;
    CU_ASSERT_EQUAL_FATAL(request_value_parse(request, &policy, &amount, &err), 0);
    CU_ASSERT_EQUAL_FATAL(request_variant_add(&v, name, policy, amount, &err), 0);
    CU_ASSERT_EQUAL_FATAL(alloc_try(b->state, &v, &a), ALLOC_OK);
    buf_clear(&out);
    if (pinner_plan(b->pinner, &a, scope, memory, &plan, &err) == 0) {
        cpu_set_print(&plan.cpus, &out);
        buf_printf(&out, " policy %d nodes ", plan.mempolicy);
        cpu_set_print(&plan.nodes, &out);
    } else {
        CU_ASSERT_EQUAL(err.code, ERR_INVALID);
        buf_puts(&out, err.text);
    }
    alloc_free(b->state, &a);
    request_variant_release(&v);
    return buf_cstr(&out);
}

#define PLAN(request, scope, memory) plan_of(&b, "cpus", request, scope, memory)

static void test_numa(void)
{
    struct bench b;
    bench_open(&b, "node:2 core:4 pu:1", NULL, NULL);
    CU_ASSERT_STRING_EQUAL(PLAN("2", PIN_EXACT, MEMBIND_PREFERRED),
                           "2-3 policy 1 nodes 0");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "0-3 policy 1 nodes 0");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_DOMAINS, MEMBIND_OFF), "0-3 policy 0 nodes 0");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_DOMAINS, MEMBIND_STRICT),
                           "0-3 policy 2 nodes 0");
    CU_ASSERT_STRING_EQUAL(PLAN("0.5", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "0-3 policy 1 nodes 0");
    CU_ASSERT_STRING_EQUAL(PLAN("6", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "0-7 policy 0 nodes 0-1");
    CU_ASSERT_STRING_EQUAL(PLAN("6", PIN_DOMAINS, MEMBIND_STRICT),
                           "0-7 policy 2 nodes 0-1");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_RANK, MEMBIND_PREFERRED),
                           "0-7 policy 0 nodes ");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_RANK, MEMBIND_STRICT), "0-7 policy 2 nodes 0");
    CU_ASSERT_STRING_EQUAL(plan_of(&b, "x", "1", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "0-7 policy 0 nodes ");
    CU_ASSERT_STRING_EQUAL(plan_of(&b, "x", "1", PIN_EXACT, MEMBIND_PREFERRED),
                           "Pinning failed, no CPU ids allocated for task");
    bench_close(&b);

    /* only within the own mask */
    bench_open(&b, "node:2 core:4 pu:1", "2,5-7", NULL);
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "2 policy 1 nodes 0");
    CU_ASSERT_STRING_EQUAL(PLAN("3", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "5-7 policy 1 nodes 1");
    bench_close(&b);
}

static void test_one_domain(void)
{
    struct bench b;
    bench_open(&b, "node:1 core:4 pu:1", NULL, NULL);
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_DOMAINS, MEMBIND_STRICT),
                           "0-3 policy 2 nodes 0");
    CU_ASSERT_STRING_EQUAL(PLAN("2", PIN_EXACT, MEMBIND_PREFERRED),
                           "2-3 policy 0 nodes 0");
    bench_close(&b);
}

static void test_strange_labels(void)
{
    struct bench b;
    bench_open(&b, "node:2 core:1 pu:1", NULL, "cpus=range(0-3)");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "0-1 policy 0 nodes ");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_EXACT, MEMBIND_PREFERRED),
                           "Pinning failed, '3' is no CPU that this worker may use");
    bench_close(&b);
    bench_open(&b, "node:1 core:2 pu:1", NULL, "cpus=[a,-1,1x]");
    CU_ASSERT_STRING_EQUAL(PLAN("all", PIN_DOMAINS, MEMBIND_PREFERRED),
                           "0-1 policy 0 nodes ");
    CU_ASSERT_STRING_EQUAL(PLAN("1", PIN_EXACT, MEMBIND_PREFERRED),
                           "Pinning failed, '1x' is no CPU that this worker may use");
    bench_close(&b);
}

TEST_MAIN("pin", TEST(test_numa), TEST(test_one_domain), TEST(test_strange_labels))
