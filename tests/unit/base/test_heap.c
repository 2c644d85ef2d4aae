#include "base/heap.h"

#include <stdlib.h>
#include "alloc_torture.h"
#include "base/error.h"
#include "test_main.h"

static uint64_t random_state = 1;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int compare(const void *a, const void *b)
{
    const struct heap_item *x = a, *y = b;
    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    return (x->low > y->low) - (x->low < y->low);
}

static void test_order(void)
{
    static struct heap_item items[5000];
    for (size_t n = 0; n < ARRAY_SIZE(items); n = n * 2 + 1) {
        struct heap h = HEAP_INIT;
        struct heap_item got;
        for (size_t i = 0; i < n; i++) {
            items[i] = (struct heap_item){draw() % 7, draw(), i};
            CU_ASSERT_EQUAL(heap_push(&h, items[i]), 0);
        }
        qsort(items, n, sizeof items[0], compare);
        for (size_t i = 0; i < n; i++) {
            CU_ASSERT_EQUAL(heap_peek(&h)->payload, items[i].payload);
            CU_ASSERT(heap_pop(&h, &got));
            CU_ASSERT_EQUAL(got.payload, items[i].payload);
        }
        CU_ASSERT(!heap_pop(&h, &got));
        CU_ASSERT_PTR_NULL(heap_peek(&h));
        heap_release(&h);
    }
}

static bool by_payload(const struct heap_item *a, const struct heap_item *b)
{
    return a->payload < b->payload;
}

static void test_tie(void)
{
    struct heap h = {.tie = by_payload};
    struct heap_item got;
    uint64_t step = 389, n = 1000; /* n and step have no common factor */
    for (uint64_t i = 0; i < n; i++)
        CU_ASSERT_EQUAL(heap_push(&h, (struct heap_item){0, 0, i * step % n}), 0);
    CU_ASSERT(heap_push(&h, (struct heap_item){0, 1, 0}) == 0);
    for (uint64_t i = 0; i < n; i++)
        CU_ASSERT(heap_pop(&h, &got) && got.payload == i && got.low == 0);
    CU_ASSERT(heap_pop(&h, &got) && got.low == 1);
    heap_release(&h);
}

static void test_replace_top(void)
{
    struct heap h = HEAP_INIT;
    struct heap_item got;
    for (uint64_t i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(heap_push(&h, (struct heap_item){i, 0, i}), 0);
    heap_replace_top(&h, (struct heap_item){50, 1, 1000});
    for (uint64_t i = 1; i <= 50; i++)
        CU_ASSERT(heap_pop(&h, &got) && got.payload == i);
    CU_ASSERT(heap_pop(&h, &got) && got.payload == 1000);
    CU_ASSERT(heap_pop(&h, &got) && got.payload == 51);
    heap_release(&h);
}

static bool is_multiple(const struct heap_item *item, void *arg)
{
    const uint64_t *n = arg;
    return item->payload % *n == 0;
}

static void test_filter(void)
{
    for (uint64_t n = 1; n < 40; n++) {
        struct heap h = HEAP_INIT;
        struct heap_item got;
        for (uint64_t i = 0; i < 100; i++)
            CU_ASSERT_EQUAL(heap_push(&h, (struct heap_item){99 - i, 0, 99 - i}), 0);
        heap_filter(&h, is_multiple, &n);
        for (uint64_t i = 0; i < 100; i += n)
            CU_ASSERT(heap_pop(&h, &got) && got.payload == i);
        CU_ASSERT(!heap_pop(&h, &got));
        heap_release(&h);
    }
}

static void test_out_of_memory(void)
{
    struct heap h = HEAP_INIT;
    int rc;
    for (uint64_t i = 0; i < 100; i++) {
        TORTURE(rc, heap_push(&h, (struct heap_item){i, 0, i}),
                CU_ASSERT_EQUAL(h.len, i));
        CU_ASSERT_EQUAL(rc, 0);
    }
    CU_ASSERT_EQUAL(heap_reserve(&h, SIZE_MAX), ERR_NOMEM);
    TORTURE(rc, heap_reserve(&h, 1000), CU_ASSERT_EQUAL(h.len, 100));
    CU_ASSERT_EQUAL(rc, 0);
    CU_ASSERT(h.cap >= 1000);
    heap_release(&h);
}

TEST_MAIN("heap", TEST(test_order), TEST(test_tie), TEST(test_replace_top),
          TEST(test_filter), TEST(test_out_of_memory))
