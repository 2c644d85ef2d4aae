/* Multi-node tasks. */
#include "fixture.h"

#define CPUS "cpus=range(0-1)"

static void test_groups(void)
{
    begin(); /* the numbers of two groups alternate; none is mixed */
    for (uint32_t id = 1; id <= 4; id++)
        worker_in(id, CPUS, id % 2 ? "a" : "b", 0, 0);
    uint32_t pair = class_of("nodes=2");
    sched_ready(sched, pair, 0, 1, 0, 2);
    CHECK_STEP("gang 1:0 w1,3 | gang 1:1 w2,4");
    struct sched_worker_load load;
    sched_worker_load(sched, 1, &load);
    CU_ASSERT(load.gang && load.gang_root && load.assigned == 1);
    sched_worker_load(sched, 3, &load);
    CU_ASSERT(load.gang && !load.gang_root && load.assigned == 0);
    CU_ASSERT_EQUAL(sched_worker_idle_since(sched, 3), 0);
    end();

    begin(); /* too few in every group */
    worker_in(1, CPUS, "a", 0, 0);
    worker_in(2, CPUS, "b", 0, 0);
    pair = class_of("nodes=2");
    sched_ready(sched, pair, 0, 1, 0, 1);
    sched_ready(sched, class_of("cpus=2"), 0, 2, 0, 1);
    CHECK_STEP("w1 c1.0 +1 2:0-0"); /* nothing is kept for it */
    worker_in(3, CPUS, "b", 0, 0);
    CHECK_STEP("gang 1:0 w2,3");
    end();
}

/* Nothing else runs on the nodes; they are free again at its end. */
static void test_exclusive(void)
{
    begin();
    worker(1, CPUS);
    worker(2, CPUS);
    sched_ready(sched, class_of("nodes=2"), 0, 1, 0, 1);
    CHECK_STEP("gang 1:0 w1,2");
    sched_ready(sched, class_of("cpus=1"), 9, 2, 0, 1);
    CHECK_STEP("");
    started(1, 1, 0, 1);
    done(1, 1, 0, 0, 100);
    CHECK_STEP("w1 c1.0 +1 2:0-0");
    end();
}

/* At equal priority the workers are drained for it; a higher one goes first. */
static void test_reservation(void)
{
    struct sched_worker_load load;
    begin();
    worker(1, CPUS);
    worker(2, CPUS);
    uint32_t one = class_of("cpus=1"), pair = class_of("nodes=2");
    sched_ready(sched, one, 0, 1, 0, 100);
    CHECK_STEP("w1 c0.0 +2 1:0-1 | w2 c0.0 +2 1:2-3 | w1 c0.0 +0 1:4-5 | "
               "w2 c0.0 +0 1:6-7");
    for (uint32_t slot = 0; slot < 4; slot++)
        started(1 + slot / 2, 1, slot, 1);
    sched_ready(sched, pair, 0, 2, 0, 1);
    CHECK_STEP("retract w1 c0.0 2 | retract w2 c0.0 2");
    sched_worker_load(sched, 1, &load);
    CU_ASSERT(load.reserved && !load.gang);
    sched_retracted(sched, 1, one, 0, &(struct task_run){1, 4, 2, 0}, 1);
    sched_retracted(sched, 2, one, 0, &(struct task_run){1, 6, 2, 0}, 1);
    CHECK_STEP("");
    done(1, 1, 0, 1, 1000);
    CHECK_STEP("");
    sched_ready(sched, class_of("cpus=1 min=1"), 1, 3, 0, 1); /* more important */
    CHECK_STEP("w1 c2.0 +1 3:0-0");
    done(1, 1, 1, 1, 1000);
    done(2, 1, 2, 1, 1000);
    done(2, 1, 3, 1, 1000);
    CHECK_STEP("");
    done(1, 3, 0, 1, 1000);
    CHECK_STEP("gang 2:0 w1,2");
    done(1, 2, 0, 0, 1000);
    CHECK_STEP("w1 c0.0 +2 1:4-5 | w2 c0.0 +2 1:6-7 | w1 c0.0 +0 1:8-21 | "
               "w2 c0.0 +0 1:22-35");
    end();
}

/* Gangs and small tasks of one priority take turns, so that neither starves. */
static void test_turns(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    worker(2, "cpus=range(0-0)");
    uint32_t pair = class_of("nodes=2"), one = class_of("cpus=1");
    sched_ready(sched, pair, 0, 1, 0, 2);
    sched_ready(sched, one, 0, 2, 0, 2);
    CHECK_STEP("gang 1:0 w1,2");
    done(1, 1, 0, 0, 100);
    CHECK_STEP("w1 c1.0 +1 2:0-0 | w2 c1.0 +1 2:1-1");
    sched_ready(sched, one, 0, 3, 0, 2);
    done(1, 2, 0, 1, 100);
    CHECK_STEP("");
    done(2, 2, 1, 1, 100);
    CHECK_STEP("gang 1:1 w1,2");
    done(1, 1, 1, 0, 100);
    CHECK_STEP("w1 c1.0 +1 3:0-0 | w2 c1.0 +1 3:1-1");
    end();
}

static void test_losses(void)
{
    const struct sched_lost_task *lost;
    size_t n;
    begin();
    worker(1, CPUS);
    worker(2, CPUS);
    worker(3, CPUS);
    uint32_t c = class_of("nodes=3");
    sched_ready(sched, c, 0, 1, 0, 1);
    CHECK_STEP("gang 1:0 w1,2,3");
    started(1, 1, 0, 1);
    sched_worker_remove(sched, 2, &lost, &n); /* goes on without it */
    CU_ASSERT_EQUAL(n, 0);
    sched_worker_remove(sched, 1, &lost, &n);
    CU_ASSERT_FATAL(n == 1);
    CU_ASSERT(lost[0].job == 1 && lost[0].slot == 0 && lost[0].running);
    CU_ASSERT_NOT_EQUAL(sched_worker_idle_since(sched, 3), 0);
    sched_ready(sched, c, 0, 1, 0, 1);
    CHECK_STEP("");
    worker(4, CPUS);
    worker(5, CPUS);
    CHECK_STEP("gang 1:0 w3,4,5");
    end();
}

/* Only workers with enough time; one that rejects is not asked again. */
static void test_time(void)
{
    begin();
    worker_in(1, CPUS, "default", 3600, 0);
    worker(2, CPUS);
    worker(3, CPUS);
    worker(4, CPUS);
    uint32_t c = class_of("nodes=2 min=7200");
    sched_ready(sched, c, 0, 1, 0, 1);
    CHECK_STEP("gang 1:0 w2,3");
    sched_rejected(sched, 2, c, 0, &(struct task_run){1, 0, 1, 0}, 1);
    CHECK_STEP("gang 1:0 w3,4");
    end();
}

/* Only what ends, by its limit, before the gang can start, by the limits of what runs.
 */
static void test_backfill(void)
{
    begin();
    worker(1, CPUS);
    worker(2, CPUS);
    uint32_t slow = class_of("cpus=1 limit=100000000");
    sched_ready(sched, slow, 0, 1, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    sched_ready(sched, class_of("nodes=2"), 1, 2, 0, 1);
    CHECK_STEP("");
    sched_ready(sched, class_of("cpus=1"), 0, 3, 0, 1); /* no limit */
    sched_ready(sched, class_of("cpus=1 limit=150000000"), 0, 4, 0, 1);
    CHECK_STEP("");
    sched_ready(sched, class_of("cpus=1 limit=10000000"), 0, 5, 0, 5);
    CHECK_STEP("w1 c4.0 +1 5:0-0 | w2 c4.0 +2 5:1-2");
    done(2, 5, 1, 1, 1000);
    CHECK_STEP("w2 c4.0 +1 5:3-3");
    now_us += 95000000; /* too late for another one */
    done(2, 5, 2, 1, 1000);
    CHECK_STEP("");
    done(1, 5, 0, 1, 1000);
    done(2, 5, 3, 1, 1000);
    CHECK_STEP("");
    done(1, 1, 0, 1, 1000);
    CHECK_STEP("gang 2:0 w1,2");
    end();
}

/* The time that workers idle for a gang is counted. */
static void test_waste(void)
{
    begin();
    worker(1, CPUS);
    worker(2, CPUS);
    sched_ready(sched, class_of("cpus=1"), 0, 1, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    uint64_t from_us = now_us;
    sched_ready(sched, class_of("nodes=2"), 1, 2, 0, 1);
    CHECK_STEP("");
    now_us += 5000;
    CU_ASSERT_EQUAL(sched_wasted_us(sched, now_us), 5000);
    done(1, 1, 0, 1, 1000);
    CHECK_STEP("gang 2:0 w1,2");
    CU_ASSERT_EQUAL(sched_wasted_us(sched, now_us), now_us - from_us);
    now_us += 5000;
    CU_ASSERT_EQUAL(sched_wasted_us(sched, now_us), now_us - 5000 - from_us);
    end();
}

/* A root that came back has its gang; the other nodes come to it one by one. */
static void test_adoption(void)
{
    struct sched_gang gang;
    begin();
    uint32_t c = class_of("nodes=3");
    sched_ready(sched, c, 5, 1, 0, 2);
    sched_ready(sched, class_of("cpus=1"), 9, 2, 0, 1);
    worker(2, CPUS);
    worker(3, CPUS);
    CU_ASSERT(!sched_gang_at(sched, 0, &gang));
    CU_ASSERT(!sched_gang_join(sched, 2, 1, 0, 3)); /* nobody is its root */
    CU_ASSERT(sched_adopt(sched, 2, c, 0, 5, 1, 0));
    CU_ASSERT(!sched_adopt(sched, 3, c, 0, 5, 1, 0)); /* it runs */
    CU_ASSERT(!sched_adopt(sched, 2, c, 0, 5, 1, 1)); /* it has one */
    CU_ASSERT(!sched_gang_join(sched, 2, 1, 0, 2));
    CU_ASSERT(sched_gang_join(sched, 2, 1, 0, 3));
    CU_ASSERT(sched_gang_at(sched, 0, &gang) && !sched_gang_at(sched, 1, &gang));
    CU_ASSERT(gang.job == 1 && gang.slot == 0 && gang.n_workers == 2);
    CU_ASSERT(gang.workers[0] == 2 && gang.workers[1] == 3);
    CHECK_STEP("");
    worker(4, CPUS);
    CHECK_STEP("w4 c1.0 +1 2:0-0");
    CU_ASSERT(!sched_gang_join(sched, 2, 1, 0, 4)); /* it has something else */
    done(4, 2, 0, 1, 1000);
    CU_ASSERT(sched_gang_join(sched, 2, 1, 0, 4));
    CHECK_STEP("");
    done(2, 1, 0, 1, 1000);
    CHECK_STEP("gang 1:1 w2,3,4");
    end();
}

/* Thousands of gangs start over several steps, each bounded. */
static void test_many(void)
{
    enum { WORKERS = 6000 };
    uint32_t n_gangs = 0, n_steps = 0;
    begin();
    for (uint32_t id = 1; id <= WORKERS; id++)
        worker(id, CPUS);
    sched_ready(sched, class_of("nodes=3"), 0, 1, 0, WORKERS / 3);
    do {
        sched_step(sched, now_us, &out);
        n_gangs += (uint32_t)out.n_gangs;
        n_steps++;
    } while (out.more && n_steps < WORKERS);
    CU_ASSERT_EQUAL(n_gangs, WORKERS / 3);
    CU_ASSERT(n_steps < 10);
    end();
}

TEST_MAIN("gang", TEST(test_groups), TEST(test_exclusive), TEST(test_reservation),
          TEST(test_turns), TEST(test_losses), TEST(test_time), TEST(test_backfill),
          TEST(test_waste), TEST(test_adoption), TEST(test_many))
