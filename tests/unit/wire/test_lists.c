/* Packed lists inside messages: round trips, every cut, values out of range. */
#include "wire/lists.h"

#include "test_main.h"

#define VALUES 5
static const uint32_t values[VALUES] = {0, 1, 127, 128, UINT32_MAX};

/* A list of every kind of element; cut anywhere it must end or fail, never crash, and
 * never give more than was whole. */
#define CHECK_CUTS(type, get, bytes)                           \
    do {                                                       \
        size_t whole = 0;                                      \
        for (size_t n = 0; n <= (bytes)->len; n++) {           \
            struct cursor cut = cursor_make((bytes)->data, n); \
            struct type element;                               \
            size_t got = 0;                                    \
            while (get(&cut, &element))                        \
                got++;                                         \
            CU_ASSERT(got == whole || got == whole + 1);       \
            CU_ASSERT(cut.failed != (got > whole || n == 0));  \
            whole = got;                                       \
        }                                                      \
    } while (0)

static void test_assigned_runs(void)
{
    static const int32_t priorities[VALUES] = {0, -1, INT32_MIN, INT32_MAX, 64};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct assigned_run r;
    for (size_t i = 0; i < VALUES; i++) {
        r = (struct assigned_run){.job = values[i],
                                  .group = values[(i + 1) % VALUES],
                                  .slot = values[VALUES - 1 - i],
                                  .count = 1,
                                  .priority = priorities[i],
                                  .instance = values[i],
                                  .entries = i % 2};
        assigned_run_put(&b, &r);
    }
    CHECK_CUTS(assigned_run, assigned_run_get, &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (size_t i = 0; i < VALUES; i++) {
        CU_ASSERT(assigned_run_get(&c, &r));
        CU_ASSERT(r.job == values[i] && r.group == values[(i + 1) % VALUES] &&
                  r.slot == values[VALUES - 1 - i] && r.count == 1 &&
                  r.priority == priorities[i] && r.instance == values[i] &&
                  r.entries == (i % 2 == 1));
    }
    CU_ASSERT(!assigned_run_get(&c, &r) && !c.failed);
    buf_release(&b);
    /* Entries stand behind their run. */
    r = (struct assigned_run){.job = 1, .count = 2, .entries = true};
    assigned_run_put(&b, &r);
    buf_str(&b, "first");
    buf_str(&b, "");
    r = (struct assigned_run){.job = 2, .count = 1};
    assigned_run_put(&b, &r);
    c = cursor_make(b.data, b.len);
    CU_ASSERT(assigned_run_get(&c, &r) && r.entries && r.count == 2);
    CU_ASSERT_EQUAL(cursor_bytes(&c).n, 5);
    CU_ASSERT_EQUAL(cursor_bytes(&c).n, 0);
    CU_ASSERT(assigned_run_get(&c, &r) && r.job == 2);
    CU_ASSERT(!assigned_run_get(&c, &r) && !c.failed);
    buf_release(&b);
}

static void test_slot_runs(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct slot_run r;
    for (size_t i = 0; i < VALUES; i++)
        slot_run_put(&b, &(struct slot_run){values[i], values[i], 1});
    slot_run_put(&b, &(struct slot_run){1, 0, UINT32_MAX});
    CHECK_CUTS(slot_run, slot_run_get, &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (size_t i = 0; i < VALUES; i++)
        CU_ASSERT(slot_run_get(&c, &r) && r.job == values[i] && r.slot == values[i] &&
                  r.count == 1);
    CU_ASSERT(slot_run_get(&c, &r) && r.slot == 0 && r.count == UINT32_MAX);
    CU_ASSERT(!slot_run_get(&c, &r) && !c.failed);
    buf_release(&b);
}

static void test_slot_ranges(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct slot_range r;
    for (size_t i = 0; i < VALUES; i++)
        slot_range_put(&b, &(struct slot_range){values[i], 1});
    CHECK_CUTS(slot_range, slot_range_get, &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (size_t i = 0; i < VALUES; i++)
        CU_ASSERT(slot_range_get(&c, &r) && r.slot == values[i] && r.count == 1);
    CU_ASSERT(!slot_range_get(&c, &r) && !c.failed);
    buf_release(&b);
}

/* No range is empty or goes beyond the largest slot. */
static void test_ranges_that_do_not_fit(void)
{
    static const struct {
        uint32_t slot, count;
        bool fine;
    } cases[] = {{0, 0, false},          {5, 0, false},         {UINT32_MAX, 1, true},
                 {UINT32_MAX, 2, false}, {1, UINT32_MAX, true}, {2, UINT32_MAX, false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        struct slot_range range;
        struct slot_run run;
        struct assigned_run assigned;
        slot_range_put(&b, &(struct slot_range){cases[i].slot, cases[i].count});
        struct cursor c = cursor_make(b.data, b.len);
        CU_ASSERT_EQUAL(slot_range_get(&c, &range), cases[i].fine);
        CU_ASSERT_EQUAL(c.failed, !cases[i].fine);
        buf_clear(&b);
        slot_run_put(&b, &(struct slot_run){1, cases[i].slot, cases[i].count});
        c = cursor_make(b.data, b.len);
        CU_ASSERT_EQUAL(slot_run_get(&c, &run), cases[i].fine);
        buf_clear(&b);
        assigned_run_put(
            &b, &(struct assigned_run){.slot = cases[i].slot, .count = cases[i].count});
        c = cursor_make(b.data, b.len);
        CU_ASSERT_EQUAL(assigned_run_get(&c, &assigned), cases[i].fine);
        buf_release(&b);
    }
    /* A priority beyond 32 bits. */
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct assigned_run assigned;
    buf_append(&b, "\1\1\1\1", 4);
    buf_zigzag(&b, (int64_t)INT32_MIN - 1);
    buf_append(&b, "\0\0", 2);
    struct cursor c = cursor_make(b.data, b.len);
    CU_ASSERT(!assigned_run_get(&c, &assigned) && c.failed);
    buf_release(&b);
}

static void test_held_tasks(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct held_task t;
    for (size_t i = 0; i < VALUES; i++) {
        t = (struct held_task){.job = values[i],
                               .slot = values[VALUES - 1 - i],
                               .instance = values[i],
                               .variant = (uint8_t)values[i],
                               .running = i % 2,
                               .start_us = (uint64_t)values[i] << 20};
        held_task_put(&b, &t);
    }
    CHECK_CUTS(held_task, held_task_get, &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (size_t i = 0; i < VALUES; i++) {
        CU_ASSERT(held_task_get(&c, &t));
        CU_ASSERT(t.job == values[i] && t.slot == values[VALUES - 1 - i] &&
                  t.instance == values[i] && t.variant == (uint8_t)values[i] &&
                  t.running == (i % 2 == 1) && t.start_us == (uint64_t)values[i] << 20);
    }
    CU_ASSERT(!held_task_get(&c, &t) && !c.failed);
    buf_release(&b);
}

static void test_selectors(void)
{
    static const enum selector_kind kinds[] = {SELECT_IDS, SELECT_ALL, SELECT_LAST};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct selector s = {.kind = kinds[i], .ids = IDSET_INIT}, got;
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        if (kinds[i] == SELECT_IDS) {
            CU_ASSERT_EQUAL(idset_add(&s.ids, 3, 5, 2), 0);
            CU_ASSERT_EQUAL(idset_add(&s.ids, 1, 1, 1), 0); /* the order is kept */
        }
        selector_put(&b, &s);
        CU_ASSERT_EQUAL(selector_get((struct span){b.data, b.len}, &got), 0);
        CU_ASSERT_EQUAL(got.kind, kinds[i]);
        CU_ASSERT_EQUAL(idset_count(&got.ids), idset_count(&s.ids));
        if (kinds[i] == SELECT_IDS)
            CU_ASSERT(idset_at(&got.ids, 0) == 3 && idset_at(&got.ids, 5) == 1);
        selector_release(&got);
        for (size_t n = 0; n < b.len; n++) {
            CU_ASSERT_NOT_EQUAL(selector_get((struct span){b.data, n}, &got), 0);
            CU_ASSERT_EQUAL(got.ids.n_ranges, 0);
        }
        selector_release(&s);
        buf_release(&b);
    }
    struct selector got;
    CU_ASSERT_EQUAL(selector_get((struct span){(const uint8_t *)"\3", 1}, &got),
                    ERR_CORRUPT);
    CU_ASSERT_EQUAL(selector_get((struct span){NULL, 0}, &got), ERR_CORRUPT);
}

static void test_results(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct op_result r;
    for (uint8_t o = OP_DONE; o <= OP_FAILED; o++) {
        r = (struct op_result){.id = values[o],
                               .outcome = o,
                               .a = values[o],
                               .b = values[VALUES - 1 - o],
                               .message = {(const uint8_t *)"why", o % 4}};
        op_result_put(&b, &r);
    }
    CHECK_CUTS(op_result, op_result_get, &b);
    struct cursor c = cursor_make(b.data, b.len);
    for (uint8_t o = OP_DONE; o <= OP_FAILED; o++)
        CU_ASSERT(op_result_get(&c, &r) && r.id == values[o] && r.outcome == o &&
                  r.a == values[o] && r.b == values[VALUES - 1 - o] &&
                  r.message.n == o % 4);
    CU_ASSERT(!op_result_get(&c, &r) && !c.failed);
    buf_clear(&b);
    op_result_put(&b, &(struct op_result){.outcome = OP_FAILED + 1});
    c = cursor_make(b.data, b.len);
    CU_ASSERT(!op_result_get(&c, &r) && c.failed);
    buf_release(&b);
}

TEST_MAIN("lists", TEST(test_assigned_runs), TEST(test_slot_runs),
          TEST(test_slot_ranges), TEST(test_ranges_that_do_not_fit),
          TEST(test_held_tasks), TEST(test_selectors), TEST(test_results))
