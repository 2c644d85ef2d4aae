/* Queues by priority, against a plain array of counts. */
#include <stdlib.h>
#include "sched/queues.h"
#include "test_main.h"

#define PRIORITIES 4000u
#define MIDDLE ((int32_t)PRIORITIES / 2)

static uint64_t state = 4711;
static uint32_t counts[PRIORITIES]; /* by priority plus MIDDLE */

static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33) % n;
}

/* Slots are of the task's own, so that they never meet. */
static void add(struct queues *l, uint32_t p, uint32_t slot)
{
    struct queue *q = queues_get(l, (int32_t)p - MIDDLE);
    CU_ASSERT_EQUAL(q->priority, (int32_t)p - MIDDLE);
    ready_set_add(&q->ready, 1, slot, 1);
    counts[p]++;
}

static void take(struct queues *l, struct queue *q)
{
    (void)ready_set_pop(&q->ready, 1);
    counts[q->priority + MIDDLE]--;
    queues_taken(l);
}

static void check(const struct queues *l)
{
    uint32_t high = PRIORITIES, low = 0;
    while (high > 0 && !counts[high - 1])
        high--;
    while (low < PRIORITIES && !counts[low])
        low++;
    const struct queue *top = queues_top(l), *lowest = queues_lowest(l);
    CU_ASSERT_EQUAL_FATAL(top != NULL, high > 0);
    CU_ASSERT_EQUAL_FATAL(lowest != NULL, high > 0);
    if (top)
        CU_ASSERT(top->priority == (int32_t)(high - 1) - MIDDLE &&
                  lowest->priority == (int32_t)low - MIDDLE);
}

static void test_order(void)
{
    for (int how = 0; how < 3; how++) { /* upwards, downwards, mixed */
        struct queues l = {{NULL, 0, 0}, 0, 0};
        memset(counts, 0, sizeof counts);
        CU_ASSERT(queues_top(&l) == NULL && queues_lowest(&l) == NULL);
        for (uint32_t i = 0; i < PRIORITIES; i++)
            add(&l,
                how == 0   ? i
                : how == 1 ? PRIORITIES - 1 - i
                           : i * 1237 % PRIORITIES,
                i);
        CU_ASSERT(queues_valid(&l));
        check(&l);
        for (int32_t p = MIDDLE - 1; p >= -MIDDLE; p--) {
            struct queue *q = queues_top(&l);
            CU_ASSERT_FATAL(q && q->priority == p && q == queues_find(&l, p));
            take(&l, q);
        }
        CU_ASSERT(queues_top(&l) == NULL && queues_lowest(&l) == NULL);
        (void)queues_get(&l, 0); /* drops the others */
        CU_ASSERT(l.pages.len == 1 && queues_valid(&l));
        queues_release(&l);
    }
}

static void test_random(void)
{
    struct queues l = {{NULL, 0, 0}, 0, 0};
    memset(counts, 0, sizeof counts);
    for (uint32_t round = 0; round < 200000; round++) {
        uint32_t what = below(100), p = below(PRIORITIES);
        struct queue *q = what < 70 ? queues_top(&l) : queues_lowest(&l);
        if (what < (round / 20000 % 2 ? 20u : 60u)) {
            add(&l, round % 3 ? p : p % 7, round);
        } else if (what < 90) {
            if (q)
                take(&l, q);
        } else {
            q = queues_find(&l, (int32_t)p - MIDDLE);
            CU_ASSERT(!counts[p] || (q && q->ready.n_tasks == counts[p]));
            if (q && q->ready.n_tasks)
                take(&l, q);
        }
        if (round % 97 == 0) {
            CU_ASSERT_FATAL(queues_valid(&l));
            check(&l);
        }
    }
    CU_ASSERT(l.pages.len <= PRIORITIES / 8);
    queues_release(&l);
}

TEST_MAIN("queues", TEST(test_order), TEST(test_random))
