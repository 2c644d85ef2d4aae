/* Who gets what: order, packing, variants, priorities and what they keep free. */
#include "fixture.h"

#define CPUS4 "cpus=range(0-3)"

/* Few tasks stay on few workers. */
static void test_low_workers_first(void)
{
    begin();
    worker(1, CPUS4);
    worker(2, CPUS4);
    worker(3, CPUS4);
    sched_ready(sched, class_of("cpus=1"), 0, 1, 0, 4);
    CHECK_STEP("w1 c0.0 +4 1:0-3");
    struct sched_worker_load load;
    sched_worker_load(sched, 1, &load);
    CU_ASSERT(load.assigned == 4 && load.running == 0 && !load.gang && !load.reserved);
    CU_ASSERT_EQUAL(sched_worker_idle_since(sched, 1), 0);
    CU_ASSERT_NOT_EQUAL(sched_worker_idle_since(sched, 2), 0);
    sched_ready(sched, 0, 0, 1, 4, 1);
    CHECK_STEP("w2 c0.0 +1 1:4-4");
    end();
}

/* Equal requests run by job and slot, whenever they became ready. */
static void test_order(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 3, 0, 2);
    sched_ready(sched, c, 0, 2, 7, 1);
    sched_ready(sched, c, 0, 2, 5, 1);
    sched_ready(sched, c, 0, 2, 6, 1);
    sched_ready(sched, c, 5, 9, 0, 1);
    now_us += 10;
    CHECK_STEP("w1 c0.0 +1 9:0-0 2:5-5");
    done(1, 9, 0, 0, 60000);
    CHECK_STEP("w1 c0.0 +0 2:6-6");
    end();
}

/* Table of what higher priorities keep free on a worker of four cpus. */
static void test_gaps(void)
{
    begin(); /* room for one high task; the low ones get what it leaves */
    worker(1, CPUS4);
    uint32_t low = class_of("cpus=1"), high = class_of("cpus=3");
    sched_ready(sched, low, 0, 2, 0, 10);
    sched_ready(sched, high, 1, 1, 0, 5);
    CHECK_STEP("w1 c1.0 +1 1:0-0 | w1 c0.0 +1 2:0-0");
    end();

    begin(); /* two low ones run: two cpus are kept until there are three */
    worker(1, CPUS4);
    low = class_of("cpus=1");
    high = class_of("cpus=3");
    sched_ready(sched, low, 0, 1, 0, 2);
    CHECK_STEP("w1 c0.0 +2 1:0-1");
    sched_ready(sched, high, 1, 2, 0, 2);
    sched_ready(sched, low, 0, 3, 0, 4);
    CHECK_STEP("");
    done(1, 1, 0, 1, 1000000);
    CHECK_STEP("w1 c1.0 +1 2:0-0");
    end();

    begin(); /* also from a class of which higher tasks found room in the same step */
    worker(1, "cpus=range(0-7) gpus=range(0-0)");
    uint32_t busy = class_of("cpus=1 gpus=1"), gpu = class_of("cpus=4 gpus=1"),
             one = class_of("cpus=1 weight=9"), three = class_of("cpus=3 weight=5");
    sched_ready(sched, busy, 0, 1, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    sched_ready(sched, gpu, 1, 2, 0, 1);
    sched_ready(sched, one, 1, 3, 0, 1);
    sched_ready(sched, three, 1, 4, 0, 1);
    sched_ready(sched, three, 0, 5, 0, 1);
    CHECK_STEP("w1 c3.0 +1 4:0-0 | w1 c2.0 +1 3:0-0");
    end();

    begin(); /* what is kept from tasks of a class is not kept from its higher ones */
    worker(1, CPUS4);
    low = class_of("cpus=1");
    high = class_of("cpus=3");
    sched_ready(sched, low, 0, 1, 0, 2);
    CHECK_STEP("w1 c0.0 +2 1:0-1");
    sched_ready(sched, high, 1, 2, 0, 2);
    sched_ready(sched, low, 0, 3, 0, 4);
    CHECK_STEP("");
    sched_ready(sched, low, 2, 4, 0, 2);
    CHECK_STEP("w1 c0.0 +2 4:0-1");
    end();

    begin(); /* every high one has a place: nothing is kept */
    worker(1, CPUS4);
    low = class_of("cpus=1");
    high = class_of("cpus=2");
    sched_ready(sched, high, 1, 1, 0, 1);
    sched_ready(sched, low, 0, 2, 0, 2);
    CHECK_STEP("w1 c1.0 +1 1:0-0 | w1 c0.0 +2 2:0-1");
    end();

    begin(); /* this worker can never run the high one */
    worker(1, CPUS4);
    low = class_of("cpus=1");
    high = class_of("gpus=1");
    sched_ready(sched, high, 1, 1, 0, 1);
    sched_ready(sched, low, 0, 2, 0, 4);
    CHECK_STEP("w1 c0.0 +4 2:0-3");
    end();

    begin(); /* kept until the high ones are gone */
    worker(1, CPUS4);
    low = class_of("cpus=1");
    high = class_of("cpus=4");
    sched_ready(sched, low, 0, 1, 0, 1);
    (void)step();
    sched_ready(sched, high, 1, 2, 0, 1);
    sched_ready(sched, low, 0, 3, 0, 3);
    CHECK_STEP("");
    sched_cancel_job(sched, 2);
    CHECK_STEP("w1 c0.0 +3 3:0-2");
    end();
}

/* One cpu and one gpu, or four cpus: four of the first kind, three of the second. */
static void test_variants(void)
{
    begin();
    worker(1, "cpus=range(0-15) gpus=range(0-3)");
    sched_ready(sched, class_of("cpus=1 gpus=1|cpus=4"), 0, 1, 0, 7);
    CHECK_STEP("w1 c0.0 +4 1:0-3 | w1 c0.1 +3 1:4-6");
    end();
}

static void test_weights_and_sizes(void)
{
    begin(); /* a heavier class first; of equal weight the larger request */
    worker(1, "cpus=range(0-5)");
    uint32_t six = class_of("cpus=6"), two = class_of("cpus=2 weight=4");
    sched_ready(sched, six, 0, 1, 0, 1);
    sched_ready(sched, two, 0, 2, 0, 3);
    CHECK_STEP("w1 c1.0 +3 2:0-2");
    end();

    begin();
    worker(1, CPUS4);
    uint32_t one = class_of("cpus=1"), three = class_of("cpus=3");
    sched_ready(sched, one, 0, 1, 0, 2);
    sched_ready(sched, three, 0, 2, 0, 1);
    CHECK_STEP("w1 c1.0 +1 2:0-0 | w1 c0.0 +1 1:0-1");
    end();
}

static void test_all(void)
{
    begin(); /* the whole pool or nothing */
    worker(1, CPUS4);
    uint32_t one = class_of("cpus=1"), all = class_of("cpus=all");
    sched_ready(sched, all, 0, 1, 0, 2);
    CHECK_STEP("w1 c1.0 +1 1:0-1");
    sched_ready(sched, one, 0, 2, 0, 1);
    CHECK_STEP("");
    end();
}

static void test_min_utilization(void)
{
    begin(); /* half of eight cpus, or none */
    worker_in(1, "cpus=range(0-7)", "default", 0, 0.5);
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 3);
    CHECK_STEP("");
    sched_ready(sched, c, 0, 2, 0, 1);
    CHECK_STEP("w1 c0.0 +4 1:0-2 2:0-0");
    sched_ready(sched, c, 0, 3, 0, 1);
    CHECK_STEP("w1 c0.0 +1 3:0-0");
    end();
}

/* What opens such a worker for others, whoever reaches the minimum. */
static void test_min_utilization_reached(void)
{
    begin(); /* by a task that came with the worker */
    worker_in(1, "cpus=range(0-7)", "default", 0, 0.5);
    uint32_t one = class_of("cpus=1"), four = class_of("cpus=4");
    sched_ready(sched, one, 0, 1, 0, 3);
    CHECK_STEP("");
    sched_ready(sched, four, 0, 2, 0, 1);
    CU_ASSERT(sched_adopt(sched, 1, four, 0, 0, 2, 0));
    CHECK_STEP("w1 c0.0 +3 1:0-2");
    end();

    begin(); /* then it also gets what waits behind others, and is not closed for it */
    worker(1, "cpus=range(0-0)");
    one = class_of("cpus=1");
    four = class_of("cpus=4");
    sched_ready(sched, one, 0, 1, 0, 2);
    CHECK_STEP("w1 c0.0 +1 1:0-1");
    worker_in(2, "cpus=range(0-7)", "default", 0, 0.5);
    CHECK_STEP("");
    sched_ready(sched, four, 0, 2, 0, 1);
    CHECK_STEP("w2 c1.0 +1 2:0-0 | retract w1 c0.0 1");
    sched_retracted(sched, 1, one, 0, &(struct task_run){1, 1, 1, 0}, 1);
    CHECK_STEP("w2 c0.0 +1 1:1-1");
    end();
}

static void test_time(void)
{
    begin(); /* remaining life against the time that is asked for */
    worker_in(1, CPUS4, "default", 5000000, 0);
    worker_in(2, CPUS4, "default", 0, 0);
    uint32_t longer = class_of("cpus=4 min=6000000"),
             fits = class_of("cpus=4 min=4000000");
    sched_ready(sched, longer, 0, 1, 0, 1);
    CHECK_STEP("w2 c0.0 +1 1:0-0");
    sched_ready(sched, fits, 0, 2, 0, 2);
    CHECK_STEP("w1 c1.0 +1 2:0-1"); /* one ahead */
    now_us += 2000000;
    done(1, 2, 0, 1, 100);
    CHECK_STEP("retract w1 c1.0 1");
    sched_retracted(sched, 1, fits, 0, &(struct task_run){2, 1, 1, 0}, 1);
    CHECK_STEP("");
    end();
}

static void test_drain_and_leave(void)
{
    const struct sched_lost_task *lost;
    size_t n;
    begin();
    worker(1, CPUS4);
    worker(2, CPUS4);
    uint32_t c = class_of("cpus=2");
    sched_worker_drain(sched, 1);
    sched_ready(sched, c, 0, 1, 0, 2);
    CHECK_STEP("w2 c0.0 +2 1:0-1");
    started(2, 1, 0, 1);
    sched_worker_remove(sched, 2, &lost, &n);
    CU_ASSERT_EQUAL(n, 2);
    for (size_t i = 0; i < n; i++)
        CU_ASSERT(lost[i].job == 1 && lost[i].running == (lost[i].slot == 0));
    sched_ready(sched, c, 0, 1, 0, 3);
    CU_ASSERT_EQUAL(sched_waiting(sched), 3);
    CHECK_STEP("");
    worker(3, "cpus=range(0-7)");
    CHECK_STEP("w3 c0.0 +3 1:0-2");
    sched_worker_remove(sched, 77, &lost, &n);
    CU_ASSERT_EQUAL(n, 0);
    end();
}

/* Classes that come after the workers are offered to all of them. */
static void test_late_classes(void)
{
    char request[32], expected[32];
    begin();
    for (uint32_t id = 1; id <= 70; id++)
        worker(id, CPUS4);
    for (uint32_t i = 0; i < 9; i++) {
        (void)snprintf(request, sizeof request, "cpus=4 min=%u", i + 1);
        sched_ready(sched, class_of(request), 0, 1 + i, 0, 1);
        (void)snprintf(expected, sizeof expected, "w%u c%u.0 +1 %u:0-0", i + 1, i,
                       i + 1);
        CHECK_STEP(expected);
    }
    end();
}

/* Small tasks take whatever becomes free; after a while a large one gets a worker. */
static void test_large_among_small(void)
{
    struct sched_worker_load load;
    begin();
    worker(1, "cpus=range(0-1)");
    uint32_t small = class_of("cpus=1"), large = class_of("cpus=2");
    sched_ready(sched, small, 0, 1, 0, 3);
    CHECK_STEP("w1 c0.0 +2 1:0-2");
    sched_ready(sched, large, 0, 2, 0, 1);
    sched_ready(sched, small, 0, 3, 0, 3);
    CHECK_STEP("");
    done(1, 1, 0, 0, 1000); /* 1:2 took its place */
    done(1, 1, 1, 1, 1000);
    CHECK_STEP("w1 c0.0 +1 3:0-2");
    now_us += 2000000;
    done(1, 1, 2, 1, 1000);
    CHECK_STEP("retract w1 c0.0 2"); /* it is kept free now */
    sched_retracted(sched, 1, small, 0, &(struct task_run){3, 1, 2, 0}, 1);
    CHECK_STEP("");
    sched_worker_load(sched, 1, &load);
    CU_ASSERT(!load.reserved); /* that is what is told of gangs */
    done(1, 3, 0, 1, 1000);
    CHECK_STEP("w1 c1.0 +1 2:0-0");
    done(1, 2, 0, 1, 1000);
    CHECK_STEP("w1 c0.0 +2 3:1-2");
    end();

    begin(); /* one that wants more tasks is not kept free from them */
    worker_in(1, "cpus=range(0-7)", "default", 0, 0.5);
    small = class_of("cpus=1");
    sched_ready(sched, small, 0, 1, 0, 3);
    CHECK_STEP("");
    now_us += 2000000;
    CHECK_STEP("");
    sched_ready(sched, small, 0, 2, 0, 1);
    CHECK_STEP("w1 c0.0 +4 1:0-2 2:0-0");
    end();

    begin(); /* cancelled meanwhile: nothing is kept any more */
    worker(1, "cpus=range(0-1)");
    small = class_of("cpus=1");
    sched_ready(sched, small, 0, 1, 0, 2);
    CHECK_STEP("w1 c0.0 +2 1:0-1");
    sched_ready(sched, class_of("cpus=2"), 0, 2, 0, 1);
    CHECK_STEP("");
    now_us += 2000000;
    sched_ready(sched, small, 0, 3, 0, 1);
    done(1, 1, 0, 1, 1000);
    CHECK_STEP("");
    sched_cancel_job(sched, 2);
    CHECK_STEP("w1 c0.0 +1 3:0-0");
    end();
}

TEST_MAIN("place", TEST(test_large_among_small), TEST(test_low_workers_first),
          TEST(test_order), TEST(test_gaps), TEST(test_variants),
          TEST(test_weights_and_sizes), TEST(test_all), TEST(test_min_utilization),
          TEST(test_min_utilization_reached), TEST(test_time),
          TEST(test_drain_and_leave), TEST(test_late_classes))
