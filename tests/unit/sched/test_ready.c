/* Sorted runs: both structures against a plain array of flags. */
#include <stdlib.h>
#include "sched/ready.h"
#include "sched/runs.h"
#include "test_main.h"

#define JOBS 4u
#define SLOTS 3000u

static uint64_t state = 12345;

static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33) % n;
}

static void test_ready_small(void)
{
    struct ready_set s = {NULL, 0, 0, 0, 0};
    ready_set_add(&s, 2, 10, 5);
    ready_set_add(&s, 1, 100, 1);
    ready_set_add(&s, 2, 15, 5); /* joins behind */
    ready_set_add(&s, 2, 8, 2);  /* and in front */
    CU_ASSERT(ready_set_valid(&s) && s.n_tasks == 13);
    CU_ASSERT(ready_set_remove(&s, 2, 12) && !ready_set_remove(&s, 2, 12));
    struct ready_run r = ready_set_pop(&s, 100);
    CU_ASSERT(r.job == 1 && r.slot == 100 && r.count == 1);
    r = ready_set_pop(&s, 3);
    CU_ASSERT(r.job == 2 && r.slot == 8 && r.count == 3);
    r = ready_set_first(&s);
    CU_ASSERT(r.slot == 11 && r.count == 1);
    CU_ASSERT_EQUAL(ready_set_drop_job(&s, 2), 8);
    CU_ASSERT(s.n_tasks == 0 && ready_set_valid(&s));
    CU_ASSERT_EQUAL(ready_set_drop_job(&s, 2), 0);
    ready_set_add(&s, UINT32_MAX, UINT32_MAX - 1, 2);
    CU_ASSERT(ready_set_remove(&s, UINT32_MAX, UINT32_MAX) && ready_set_valid(&s));
    ready_set_release(&s);
}

static void test_ready_random(void)
{
    static bool there[JOBS][SLOTS];
    struct ready_set s = {NULL, 0, 0, 0, 0};
    uint64_t n = 0;
    memset(there, 0, sizeof there);
    for (uint32_t round = 0; round < 200000; round++) {
        uint32_t job = below(JOBS), slot = below(SLOTS), what = below(1000);
        if (what < 550 && round % 50000 < 35000) {
            uint32_t count = 0;
            while (count < 1 + below(4) && slot + count < SLOTS &&
                   !there[job][slot + count])
                there[job][slot + count++] = true;
            if (count)
                ready_set_add(&s, job, slot, count);
            n += count;
        } else if (what < 950) {
            CU_ASSERT_EQUAL(ready_set_remove(&s, job, slot), there[job][slot]);
            n -= there[job][slot];
            there[job][slot] = false;
        } else if (what < 999 && n) {
            struct ready_run r = ready_set_pop(&s, 1 + below(3));
            for (uint32_t k = 0; k < r.count; k++) {
                CU_ASSERT(there[r.job][r.slot + k]);
                there[r.job][r.slot + k] = false;
            }
            n -= r.count;
            for (uint32_t k = 0; k < r.slot; k++)
                CU_ASSERT(!there[r.job][k]);
        } else if (below(20) == 0) {
            uint64_t dropped = ready_set_drop_job(&s, job);
            for (uint32_t k = 0; k < SLOTS; k++) {
                dropped -= there[job][k];
                n -= there[job][k];
                there[job][k] = false;
            }
            CU_ASSERT_EQUAL(dropped, 0);
        }
        CU_ASSERT_EQUAL(s.n_tasks, n);
        if (round % 64 == 0)
            CU_ASSERT(ready_set_valid(&s));
    }
    ready_set_release(&s);
}

/* Many single tasks that come in no order, and leave in order. */
static void test_ready_many(void)
{
    struct ready_set s = {NULL, 0, 0, 0, 0};
    uint32_t n = 200000;
    for (uint32_t i = 0; i < n; i++)
        ready_set_add(&s, 1, (uint32_t)((uint64_t)i * 7919 % n) * 2, 1);
    CU_ASSERT(ready_set_valid(&s) && s.n_tasks == n);
    for (uint32_t i = 0; i < n; i++)
        CU_ASSERT(ready_set_pop(&s, 9).slot == i * 2);
    for (uint32_t i = 0; i < n; i++)
        ready_set_add(&s, 1, (uint32_t)((uint64_t)i * 7919 % n), 1);
    CU_ASSERT(ready_set_first(&s).count == n);
    ready_set_release(&s);
}

static void test_run_list(void)
{
    struct run_list l = {NULL, 0, 0, 0, 0}, other = l;
    int32_t priority = 0;
    run_list_add(&l, (struct task_run){1, 10, 5, 0});
    run_list_add(&l, (struct task_run){2, 0, 5, 7});
    run_list_add(&l, (struct task_run){1, 5, 5, 0});
    run_list_add(&l, (struct task_run){1, 0, 2, -1});
    CU_ASSERT(run_list_valid(&l) && l.n_tasks == 17 && l.end - l.head == 3);
    CU_ASSERT_EQUAL(run_list_first(&l)->priority, 7);
    CU_ASSERT_EQUAL(run_list_count_below(&l, 7), 12);
    CU_ASSERT_EQUAL(run_list_count_below(&l, 0), 2);
    CU_ASSERT_EQUAL(run_list_take(&l, 1, 7, 100, &priority), 8);
    CU_ASSERT_EQUAL(priority, 0);
    CU_ASSERT_EQUAL(run_list_take(&l, 1, 7, 1, &priority), 0);
    CU_ASSERT_EQUAL(run_list_take(&l, 2, 2, 1, &priority), 1);
    CU_ASSERT(run_list_valid(&l) && priority == 7 && l.end - l.head == 4);
    CU_ASSERT_EQUAL(run_list_move_job(&l, 1, &other), 4);
    CU_ASSERT(run_list_valid(&l) && run_list_valid(&other));
    CU_ASSERT(l.n_tasks == 4 && other.n_tasks == 4);
    run_list_release(&l);
    run_list_release(&other);
}

static void test_run_list_random(void)
{
    static bool there[SLOTS];
    struct run_list l = {NULL, 0, 0, 0, 0};
    memset(there, 0, sizeof there);
    for (uint32_t round = 0; round < 50000; round++) {
        uint32_t slot = below(SLOTS), count = 0;
        int32_t priority;
        if (below(2)) {
            while (count < 1 + below(9) && slot + count < SLOTS && !there[slot + count])
                there[slot + count++] = true;
            if (count) /* the priority follows from the slot */
                run_list_add(&l, (struct task_run){3, slot, count, 5});
        } else {
            uint32_t n = run_list_take(&l, 3, slot, 1 + below(9), &priority);
            CU_ASSERT_EQUAL(n > 0, there[slot]);
            for (uint32_t k = 0; k < n; k++) {
                CU_ASSERT(there[slot + k]);
                there[slot + k] = false;
            }
        }
        CU_ASSERT(run_list_valid(&l));
    }
    run_list_release(&l);
}

TEST_MAIN("ready", TEST(test_ready_small), TEST(test_ready_random),
          TEST(test_ready_many), TEST(test_run_list), TEST(test_run_list_random))
