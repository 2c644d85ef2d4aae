/* When queues submit, and how much. */
#include "autoalloc/policy.h"

#include <stdlib.h>
#include "test_main.h"

#define MINUTE 60000000ULL

static struct alloc_book book;
static struct alloc_queue *q;

static struct alloc_queue *add_queue(uint32_t id, uint32_t backlog, uint32_t per_alloc,
                                     uint32_t max_workers)
{
    struct alloc_params p;
    alloc_params_init(&p);
    p.manager = MANAGER_SLURM;
    p.time_limit_ns = 1;
    p.backlog = backlog;
    p.max_workers_per_alloc = per_alloc;
    p.max_worker_count = max_workers;
    alloc_apply_queue(&book, id, &p);
    return alloc_book_queue(&book, id);
}

static void begin(uint32_t backlog, uint32_t per_alloc, uint32_t max_workers)
{
    book = (struct alloc_book){0};
    q = add_queue(1, backlog, per_alloc, max_workers);
}

static struct alloc_event event_of(const char *id, uint32_t workers)
{
    return (struct alloc_event){.id = {(const uint8_t *)id, strlen(id)},
                                .workers = workers,
                                .started_us = 5,
                                .ended_us = 6,
                                .state = ALLOC_FINISHED};
}

static struct allocation *queued(const char *id, uint32_t workers)
{
    struct alloc_event e = event_of(id, workers);
    struct allocation *a = alloc_apply_queued(&book, 1, &e, 1);
    CU_ASSERT_FATAL(a != NULL);
    return a;
}

static struct allocation *started(const char *id)
{
    struct alloc_event e = event_of(id, 0);
    return alloc_apply_started(&book, 1, &e);
}

/* Sizes as "2 2 1", for so many single workers and gangs of nodes x tasks. */
static const char *plan_at(uint64_t now_us, uint32_t workers,
                           const struct gang_demand *gangs, size_t n_gangs)
{
    static char text[256];
    uint32_t sizes[32];
    struct alloc_demand d = {workers, gangs, n_gangs};
    size_t n = alloc_plan(q, &d, now_us, sizes, ARRAY_SIZE(sizes)), at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", i ? " " : "",
                               sizes[i]);
    return text;
}
#define PLAN(workers) plan_at(0, workers, NULL, 0)

static void test_single(void)
{
    begin(3, 2, 0);
    CU_ASSERT_STRING_EQUAL(PLAN(0), "");
    CU_ASSERT_STRING_EQUAL(PLAN(1), "1");
    CU_ASSERT_STRING_EQUAL(PLAN(3), "2 1");
    CU_ASSERT_STRING_EQUAL(PLAN(100), "2 2 2");
    (void)queued("1", 2);
    CU_ASSERT_STRING_EQUAL(PLAN(2), ""); /* two are on their way */
    CU_ASSERT_STRING_EQUAL(PLAN(3), "1");
    CU_ASSERT_STRING_EQUAL(PLAN(100), "2 2"); /* backlog */
    (void)queued("2", 2);
    (void)queued("3", 2);
    CU_ASSERT_STRING_EQUAL(PLAN(100), "");
    alloc_book_release(&book);
}

static void test_worker_count(void)
{
    begin(10, 4, 7);
    CU_ASSERT_STRING_EQUAL(PLAN(100), "4 3");
    (void)queued("1", 4);
    (void)started("1");
    CU_ASSERT_STRING_EQUAL(PLAN(100), "3");
    (void)queued("2", 3);
    CU_ASSERT_STRING_EQUAL(PLAN(100), "");
    struct alloc_event e = event_of("1", 0);
    CU_ASSERT(alloc_apply_ended(&book, 1, &e) != NULL);
    CU_ASSERT_STRING_EQUAL(PLAN(100), "4");
    alloc_book_release(&book);
}

static void test_gangs(void)
{
    const struct gang_demand gangs[] = {{2, 1}, {3, 2}, {9, 5}};
    begin(4, 4, 0);
    CU_ASSERT_STRING_EQUAL(plan_at(0, 3, gangs, 3), "2 3 3 3");
    (void)queued("1", 3); /* serves one of the larger ones */
    CU_ASSERT_STRING_EQUAL(plan_at(0, 0, gangs, 3), "2 3");
    (void)queued("2", 4); /* and this the other: a worker is left */
    CU_ASSERT_STRING_EQUAL(plan_at(0, 2, gangs, 3), "2 1");
    alloc_book_release(&book);
    begin(4, 4, 2);
    CU_ASSERT_STRING_EQUAL(plan_at(0, 0, gangs + 1, 1), ""); /* a part is of no use */
    alloc_book_release(&book);
}

/* Workers of an allocation that just began to run come soon. */
static void test_coming(void)
{
    begin(4, 4, 0);
    struct allocation *a = queued("1", 4);
    (void)started("1");
    a->running_us = MINUTE;
    a->n_joined = 1;
    CU_ASSERT_STRING_EQUAL(plan_at(MINUTE, 3, NULL, 0), "");
    CU_ASSERT_STRING_EQUAL(plan_at(MINUTE, 4, NULL, 0), "1");
    CU_ASSERT_STRING_EQUAL(plan_at(7 * MINUTE, 4, NULL, 0), "4"); /* they never came */
    alloc_book_release(&book);
}

static bool may_submit(uint64_t now_us)
{
    struct alloc_supply s;
    alloc_supply(q, now_us, &s);
    bool may = s.more > 0;
    alloc_supply_release(&s);
    return may;
}

/* "1 4 / 2 7": what comes, how many more, and their workers. */
static const char *supply_at(uint64_t now_us)
{
    static char text[256];
    struct alloc_supply s;
    size_t at = 0;
    alloc_supply(q, now_us, &s);
    for (size_t i = 0; i < s.n_coming; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%u ", s.coming[i]);
    (void)snprintf(text + at, sizeof text - at, "/ %u %llu", s.more,
                   (unsigned long long)s.room);
    alloc_supply_release(&s);
    return text;
}

static void test_supply(void)
{
    static const uint32_t asked[] = {3, 2};
    begin(3, 4, 9);
    CU_ASSERT_STRING_EQUAL(supply_at(0), "/ 3 9");
    (void)queued("1", 4);
    (void)queued("2", 1);
    CU_ASSERT_STRING_EQUAL(supply_at(0), "1 4 / 1 4");
    alloc_apply_state(&book, 1, QUEUE_PAUSED); /* what waits comes all the same */
    CU_ASSERT_STRING_EQUAL(supply_at(0), "1 4 / 0 4");
    alloc_apply_state(&book, 1, QUEUE_ACTIVE);
    q->asked = asked; /* a round is under way */
    q->n_asked = 2;
    CU_ASSERT_STRING_EQUAL(supply_at(0), "1 2 3 4 / 0 4");
    CU_ASSERT_STRING_EQUAL(PLAN(100), "");
    q->n_asked = 0;
    (void)queued("3", 4);
    CU_ASSERT_STRING_EQUAL(supply_at(0), "1 4 4 / 0 0");
    alloc_book_release(&book);
}

static void test_delays(void)
{
    static const uint64_t minutes[] = {1, 15, 30, 60, 60, 60};
    begin(1, 1, 0);
    uint64_t now = 1000;
    for (size_t i = 0; i < ARRAY_SIZE(minutes); i++) {
        CU_ASSERT(may_submit(now));
        alloc_round_began(q, now);
        alloc_submit_ended(q, false);
        CU_ASSERT(!may_submit(now + minutes[i] * MINUTE - 1));
        now += minutes[i] * MINUTE;
    }
    CU_ASSERT_EQUAL(alloc_verdict(q, 3), QUEUE_ACTIVE);
    alloc_round_began(q, now);
    alloc_submit_ended(q, true);
    CU_ASSERT(may_submit(now));
    alloc_book_release(&book);
}

static void outcome(enum alloc_state state, bool had_worker)
{
    const struct allocation a = {.state = state, .had_worker = had_worker};
    alloc_outcome(q, &a);
}

/* The worker does not start, but the stop command ends well. */
static void test_barren(void)
{
    begin(1, 1, 0);
    for (uint32_t i = 0; i < ALLOC_BARREN_MAX; i++)
        outcome(ALLOC_FINISHED, false);
    CU_ASSERT(q->alloc_fails == 0 && q->level == 0);
    for (int i = 0; i < 3; i++)
        outcome(ALLOC_FINISHED, false);
    CU_ASSERT_EQUAL(alloc_verdict(q, 3), QUEUE_PAUSED_ALLOCATIONS);
    alloc_forgive(q);
    outcome(ALLOC_FINISHED, false);
    CU_ASSERT(q->alloc_fails == 0 && q->barren == 1);
    outcome(ALLOC_FINISHED, true);
    CU_ASSERT_EQUAL(q->barren, 0);
    alloc_book_release(&book);
}

static void test_pauses(void)
{
    begin(1, 1, 0);
    for (int i = 0; i < 9; i++)
        alloc_submit_ended(q, false);
    CU_ASSERT_EQUAL(alloc_verdict(q, 3), QUEUE_ACTIVE);
    alloc_submit_ended(q, false);
    CU_ASSERT_EQUAL(alloc_verdict(q, 3), QUEUE_PAUSED_SUBMISSIONS);
    alloc_forgive(q);
    CU_ASSERT_EQUAL(alloc_verdict(q, 3), QUEUE_ACTIVE);
    outcome(ALLOC_FAILED, false);
    outcome(ALLOC_FAILED, true);
    CU_ASSERT_EQUAL(alloc_verdict(q, 3), QUEUE_ACTIVE);
    /* A submission that works forgives no failed allocations. */
    alloc_round_began(q, 0);
    alloc_submit_ended(q, true);
    CU_ASSERT(!may_submit(15 * MINUTE - 1));
    outcome(ALLOC_FAILED, true);
    CU_ASSERT_EQUAL(alloc_verdict(q, 3), QUEUE_PAUSED_ALLOCATIONS);
    CU_ASSERT_EQUAL(alloc_verdict(q, 4), QUEUE_ACTIVE);
    outcome(ALLOC_FINISHED, true);
    CU_ASSERT_EQUAL(alloc_verdict(q, 1), QUEUE_ACTIVE);
    CU_ASSERT(may_submit(1));
    alloc_apply_state(&book, 1, QUEUE_PAUSED);
    CU_ASSERT(!may_submit(1));
    alloc_book_release(&book);
}

static void test_worker_losses(void)
{
    begin(1, 1, 0);
    struct allocation *a = queued("1", 2);
    a->n_joined = a->n_left = 2;
    CU_ASSERT_EQUAL(alloc_after_worker_lost(a), ALLOC_QUEUED);
    (void)started("1");
    CU_ASSERT_EQUAL(alloc_after_worker_lost(a), ALLOC_FINISHED);
    a->n_crashed = 1;
    CU_ASSERT_EQUAL(alloc_after_worker_lost(a), ALLOC_FINISHED);
    a->n_crashed = 2;
    CU_ASSERT_EQUAL(alloc_after_worker_lost(a), ALLOC_FAILED);
    a->n_left = 1;
    CU_ASSERT_EQUAL(alloc_after_worker_lost(a), ALLOC_RUNNING);
    alloc_book_release(&book);
}

static void test_status(void)
{
    static const struct {
        enum batch_state seen;
        enum alloc_state queued, running;
    } cases[] = {
        {BATCH_QUEUED, ALLOC_QUEUED, ALLOC_RUNNING},
        {BATCH_RUNNING, ALLOC_RUNNING, ALLOC_RUNNING},
        {BATCH_FINISHED, ALLOC_FINISHED, ALLOC_FINISHED},
        {BATCH_FAILED, ALLOC_FAILED, ALLOC_FAILED},
        {BATCH_GONE, ALLOC_FAILED, ALLOC_FINISHED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct allocation a = {.state = ALLOC_QUEUED, .n_errors = 3};
        CU_ASSERT_EQUAL(alloc_after_status(&a, cases[i].seen), cases[i].queued);
        CU_ASSERT_EQUAL(a.n_errors, 0);
        a.state = ALLOC_RUNNING;
        CU_ASSERT_EQUAL(alloc_after_status(&a, cases[i].seen), cases[i].running);
        a.state = ALLOC_FAILED;
        CU_ASSERT_EQUAL(alloc_after_status(&a, cases[i].seen), ALLOC_FAILED);
    }
    struct allocation a = {.state = ALLOC_QUEUED}, b = {.state = ALLOC_RUNNING};
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(alloc_after_status(&a, BATCH_ERROR), ALLOC_QUEUED);
    CU_ASSERT_EQUAL(alloc_after_status(&a, BATCH_ERROR), ALLOC_FAILED);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(alloc_after_status(&b, BATCH_ERROR), ALLOC_RUNNING);
    CU_ASSERT_EQUAL(alloc_after_status(&b, BATCH_ERROR), ALLOC_FINISHED);
}

static void test_book(void)
{
    begin(1, 1, 0);
    (void)add_queue(5, 1, 1, 0);
    (void)add_queue(3, 1, 1, 0);
    CU_ASSERT(book.queues.len == 3 && book.queues.data[1]->id == 3 &&
              book.last_queue == 5);
    alloc_apply_removed(&book, 3);
    alloc_apply_removed(&book, 4);
    CU_ASSERT(book.queues.len == 2 && !alloc_book_queue(&book, 3) &&
              alloc_book_queue(&book, 5) == book.queues.data[1]);
    struct alloc_event e = event_of("x", 1);
    CU_ASSERT_PTR_NULL(alloc_apply_queued(&book, 3, &e, 1));
    CU_ASSERT_PTR_NULL(alloc_apply_started(&book, 1, &e));
    struct allocation *a = queued("x", 1);
    struct alloc_queue *of = NULL;
    CU_ASSERT_PTR_EQUAL(alloc_book_find(&book, MANAGER_SLURM, "x", &of), a);
    CU_ASSERT_PTR_EQUAL(of, book.queues.data[0]);
    CU_ASSERT_PTR_NULL(alloc_book_find(&book, MANAGER_PBS, "x", &of));
    CU_ASSERT_PTR_EQUAL(alloc_apply_ended(&book, 1, &e), a);
    CU_ASSERT_PTR_NULL(alloc_apply_ended(&book, 1, &e));
    CU_ASSERT_PTR_EQUAL(alloc_apply_started(&book, 1, &e), a); /* it came back */
    CU_ASSERT(a->started_us == 5 && a->ended_us == 0);
    alloc_book_release(&book);
}

/* The oldest ended ones are forgotten, never one that is active. */
static void test_history(void)
{
    char id[16];
    begin(1, 1, 0);
    struct allocation *first = queued("first", 1);
    for (uint32_t i = 0; i < ALLOC_ENDED_KEPT + 5; i++) {
        (void)snprintf(id, sizeof id, "%u", i);
        (void)queued(id, 1);
        struct alloc_event e = event_of(id, 0);
        (void)alloc_apply_ended(&book, 1, &e);
    }
    CU_ASSERT_EQUAL(q->allocs.len, ALLOC_ENDED_KEPT + 1);
    CU_ASSERT_PTR_EQUAL(q->allocs.data[0], first);
    CU_ASSERT_PTR_NULL(alloc_queue_find(q, "4"));
    CU_ASSERT(alloc_queue_find(q, "5") != NULL);
    alloc_book_release(&book);
}

TEST_MAIN("policy", TEST(test_single), TEST(test_worker_count), TEST(test_gangs),
          TEST(test_coming), TEST(test_supply), TEST(test_delays), TEST(test_barren),
          TEST(test_pauses), TEST(test_worker_losses), TEST(test_status),
          TEST(test_book), TEST(test_history))
