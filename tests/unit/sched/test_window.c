/* Tasks sent ahead and asked back: sizes, stealing, priorities, refusals, cancels. */
#include "fixture.h"

static void give_back(uint32_t w, uint32_t c, uint32_t job, uint32_t slot,
                      uint32_t count)
{
    now_us += 10;
    sched_retracted(sched, w, c, 0, &(struct task_run){job, slot, count, 0},
                    count ? 1 : 0);
}

/* The window follows the duration, growing by four each time. */
static void test_sizes(void)
{
    static const struct {
        uint64_t duration_us;
        uint32_t first, second; /* tasks at the worker after one and two fills */
    } cases[] = {
        {3000000, 1, 1}, {100000, 2, 2}, {10000, 3, 3}, {1000, 8, 30}, {1, 8, 32}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sched_worker_load load;
        begin();
        worker(1, "cpus=range(0-0)");
        sched_ready(sched, class_of("cpus=1"), 0, 1, 0, 1000000);
        CHECK_STEP("w1 c0.0 +1 1:0-1"); /* unknown: one ahead */
        uint32_t slot = 0;
        for (int k = 0; k < 2; k++) {
            sched_worker_load(sched, 1, &load);
            for (uint32_t n = load.assigned; n > load.assigned / 2; n--)
                done(1, 1, slot++, 0, cases[i].duration_us);
            (void)step();
            sched_worker_load(sched, 1, &load);
            CU_ASSERT_EQUAL(load.assigned, k ? cases[i].second : cases[i].first);
        }
        end();
    }
}

/* No more than an even share is sent ahead. */
static void test_even_share(void)
{
    begin();
    worker(1, "cpus=range(0-1)");
    worker(2, "cpus=range(0-1)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 6);
    CHECK_STEP(
        "w1 c0.0 +2 1:0-1 | w2 c0.0 +2 1:2-3 | w1 c0.0 +0 1:4-4 | w2 c0.0 +0 1:5-5");
    end();
}

/* A free worker gets unstarted tasks of others. */
static void test_steal(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 2);
    CHECK_STEP("w1 c0.0 +1 1:0-1");
    started(1, 1, 0, 1);
    CHECK_STEP("");
    worker(2, "cpus=range(0-0)");
    CHECK_STEP("retract w1 c0.0 1");
    CHECK_STEP(""); /* one at a time */
    give_back(1, c, 1, 1, 1);
    CHECK_STEP("w2 c0.0 +1 1:1-1");
    end();
}

/* What was started before the RETRACT came stays where it is. */
static void test_steal_comes_late(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 2);
    (void)step();
    worker(2, "cpus=range(0-0)");
    CHECK_STEP("retract w1 c0.0 1");
    done(1, 1, 0, 0, 100);
    started(1, 1, 1, 1);
    give_back(1, c, 1, 1, 0);
    CHECK_STEP("");
    done(1, 1, 1, 1, 100);
    CHECK_STEP("");
    CU_ASSERT_NOT_EQUAL(sched_worker_idle_since(sched, 1), 0);
    end();
}

/* The worker ran dry while tasks were on the way: they get a grant of their own. */
static void test_ran_dry(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 2);
    CHECK_STEP("w1 c0.0 +1 1:0-1");
    done(1, 1, 0, 1, 100); /* it had not seen the second */
    CHECK_STEP("w1 c0.0 +1");
    done(1, 1, 1, 1, 100);
    end();
}

/* A higher priority recalls what was sent ahead below it. */
static void test_priority_recalls(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1"), other = class_of("cpus=1 min=1");
    sched_ready(sched, c, 0, 1, 0, 5);
    CHECK_STEP("w1 c0.0 +1 1:0-1");
    started(1, 1, 0, 1);
    sched_ready(sched, other, 3, 2, 0, 1);
    CHECK_STEP("retract w1 c0.0 1");
    give_back(1, c, 1, 1, 1);
    CHECK_STEP("");
    done(1, 1, 0, 1, 3000000);
    CHECK_STEP("w1 c1.0 +1 2:0-0");
    end();
}

/* Tasks that no worker can run keep nobody from being sent ahead; others do. */
static void test_priority_ahead(void)
{
    begin();
    worker(1, "cpus=range(0-1)");
    uint32_t low = class_of("cpus=1"), never = class_of("gpus=1"),
             high = class_of("cpus=2");
    sched_ready(sched, never, 5, 1, 0, 1);
    sched_ready(sched, low, 0, 2, 0, 5);
    CHECK_STEP("w1 c0.0 +2 2:0-3");
    started(1, 2, 0, 2);
    sched_ready(sched, high, 1, 3, 0, 1);
    CHECK_STEP("retract w1 c0.0 2");
    give_back(1, low, 2, 2, 2);
    done(1, 2, 0, 1, 100);
    CHECK_STEP("");
    done(1, 2, 1, 1, 100);
    CHECK_STEP("w1 c2.0 +1 3:0-0");
    end();
}

/* Long tasks are not sent ahead while less important ones could overtake them. */
static void test_none_ahead_of_lower(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 1, 1, 0, 40);
    sched_ready(sched, c, 0, 2, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    done(1, 1, 0, 1, 100000);
    CHECK_STEP("w1 c0.0 +1 1:1-1");
    struct sched_worker_load load = {.assigned = 1};
    for (uint32_t slot = 1; slot < 20 && load.assigned == 1; slot++) {
        done(1, 1, slot, 1, 10000);
        (void)step();
        sched_worker_load(sched, 1, &load);
    }
    CU_ASSERT_EQUAL(load.assigned, 2); /* the mean fell below the limit */
    end();
}

/* Two workers have a task each, and one ahead. */
static uint32_t two_ahead(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    worker(2, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 10, 1, 0, 4);
    CHECK_STEP(
        "w1 c0.0 +1 1:0-0 | w2 c0.0 +1 1:1-1 | w1 c0.0 +0 1:2-2 | w2 c0.0 +0 1:3-3");
    started(1, 1, 0, 1);
    started(2, 1, 1, 1);
    return c;
}

/* Behind a long task nothing waits that others could start instead of lower ones. */
static void test_stalled(void)
{
    uint32_t c = two_ahead();
    uint64_t begin_us = now_us;
    CHECK_STEP("");
    CU_ASSERT_EQUAL(out.wake_us, 0); /* there is nothing lower */
    sched_ready(sched, c, 5, 2, 0, 9);
    CHECK_STEP("");
    CU_ASSERT_EQUAL(out.wake_us, begin_us + 50000);
    done(2, 1, 1, 0, 200000);
    started(2, 1, 3, 1);
    CHECK_STEP(""); /* no lower one is sent ahead */
    now_us = out.wake_us;
    CHECK_STEP("retract w1 c0.0 1");
    give_back(1, c, 1, 2, 1);
    CHECK_STEP(""); /* and not sent there again */
    done(2, 1, 3, 1, 200000);
    CHECK_STEP("w2 c0.0 +1 1:2-2 2:0-0");
    done(1, 1, 0, 1, 200000);
    CHECK_STEP("w1 c0.0 +1 2:1-1");
    end();
}

/* A lane that stalls is looked at once, and again when something lower comes. */
static void test_stalled_settles(void)
{
    uint32_t c = two_ahead();
    sched_ready(sched, c, 10, 2, 0, 1);
    sched_ready(sched, c, 5, 3, 0, 1);
    now_us += 50000;
    CHECK_STEP("retract w1 c0.0 1 | retract w2 c0.0 1");
    give_back(1, c, 1, 2, 0); /* the launcher has them */
    give_back(2, c, 1, 3, 0);
    CHECK_STEP("");
    CU_ASSERT_EQUAL(out.wake_us, now_us - 20 + 50000);
    sched_cancel_job(sched, 3);
    now_us += 50000;
    CHECK_STEP("");
    CU_ASSERT_EQUAL(out.wake_us, 0);
    sched_ready(sched, c, 4, 4, 0, 1);
    CHECK_STEP("retract w1 c0.0 1 | retract w2 c0.0 1");
    end();
}

/* 1:7 runs and 1:8 waits behind it, with room for more as others were short. */
static uint32_t one_ahead_with_room(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 10, 1, 0, 9);
    CHECK_STEP("w1 c0.0 +1 1:0-1");
    done(1, 1, 0, 0, 1000);
    CHECK_STEP("w1 c0.0 +0 1:2-8");
    for (uint32_t slot = 1; slot < 7; slot++)
        done(1, 1, slot, 0, 1000);
    CHECK_STEP("");
    return c;
}

/* More tasks do not make a lane get on. */
static void test_stalled_gets_more(void)
{
    uint32_t c = one_ahead_with_room();
    now_us += 50000;
    sched_ready(sched, c, 10, 2, 0, 1);
    CHECK_STEP("w1 c0.0 +0 2:0-0");
    started(1, 1, 7, 1);
    sched_ready(sched, c, 5, 3, 0, 1);
    CHECK_STEP("retract w1 c0.0 2");
    end();
}

/* Nor do cancelled ones that never ran; what is asked about them is answered first. */
static void test_stalled_with_cancelled(void)
{
    uint32_t c = one_ahead_with_room();
    sched_ready(sched, c, 10, 2, 0, 1);
    CHECK_STEP("w1 c0.0 +0 2:0-0");
    started(1, 1, 7, 1);
    now_us += 50000;
    sched_cancel_job(sched, 2);
    sched_ready(sched, c, 5, 3, 0, 1);
    CHECK_STEP("retract w1 c0.0 0");
    CHECK_STEP("");
    done(1, 2, 0, 0, 0);
    give_back(1, c, 2, 0, 0);
    CHECK_STEP("retract w1 c0.0 1");
    end();
}

/* A worker that becomes free is left to what waits ahead elsewhere before anything long
 * of less importance starts there; unless that started meanwhile. */
static void test_free_for_what_is_ahead(void)
{
    for (uint32_t came_back = 0; came_back < 2; came_back++) {
        uint32_t c = two_ahead();
        sched_ready(sched, class_of("cpus=1 min=1"), 5, 2, 0, 1);
        done(2, 1, 1, 0, 1000);
        started(2, 1, 3, 1);
        done(2, 1, 3, 1, 1000);
        CHECK_STEP("retract w1 c0.0 1");
        CHECK_STEP("");
        give_back(1, c, 1, 2, came_back);
        CHECK_STEP(came_back ? "w2 c0.0 +1 1:2-2" : "w2 c1.0 +1 2:0-0");
        end();

        c = two_ahead(); /* of one class: two ends do not tell of all its tasks */
        sched_ready(sched, c, 5, 2, 0, 1);
        done(2, 1, 1, 0, 1000);
        started(2, 1, 3, 1);
        done(2, 1, 3, 1, 1000);
        CHECK_STEP("retract w1 c0.0 1");
        give_back(1, c, 1, 2, came_back);
        CHECK_STEP(came_back ? "w2 c0.0 +1 1:2-2" : "w2 c0.0 +1 2:0-0");
        end();
    }
}

/* Nor does a multi-node task take it. */
static void test_free_beside_a_gang(void)
{
    for (uint32_t came_back = 0; came_back < 2; came_back++) {
        uint32_t c = two_ahead();
        sched_ready(sched, class_of("nodes=1"), 5, 2, 0, 1);
        done(2, 1, 1, 0, 1000);
        done(2, 1, 3, 1, 1000);
        CHECK_STEP("retract w1 c0.0 1");
        give_back(1, c, 1, 2, came_back);
        CHECK_STEP(came_back ? "w2 c0.0 +1 1:2-2" : "gang 2:0 w2");
        end();
    }
}

/* A refused grant blocks the lane until something is released. */
static void test_refused(void)
{
    begin();
    worker(1, "cpus=range(0-3)");
    uint32_t one = class_of("cpus=1"), two = class_of("cpus=2");
    sched_ready(sched, one, 0, 1, 0, 2);
    CHECK_STEP("w1 c0.0 +2 1:0-1");
    sched_ready(sched, two, 0, 2, 0, 1);
    CHECK_STEP("w1 c1.0 +1 2:0-0");
    sched_grant_refused(sched, 1, two, 0, 1);
    CHECK_STEP("retract w1 c1.0 1");
    give_back(1, two, 2, 0, 1);
    CHECK_STEP("");
    done(1, 1, 0, 1, 100);
    CHECK_STEP("w1 c1.0 +1 2:0-0");
    end();
}

/* Also by a task that is forgotten here. */
static void test_refused_for_a_cancelled_task(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    sched_cancel_job(sched, 1);
    sched_ready(sched, c, 0, 2, 0, 1);
    CHECK_STEP("retract w1 c0.0 0");
    give_back(1, c, 1, 0, 0);
    CHECK_STEP("w1 c0.0 +1 2:0-0");
    sched_grant_refused(sched, 1, c, 0, 1);
    CHECK_STEP("retract w1 c0.0 1");
    give_back(1, c, 2, 0, 1);
    CHECK_STEP("");
    done(1, 1, 0, 1, 100);
    CHECK_STEP("w1 c0.0 +1 2:0-0");
    end();
}

/* And by what the scheduler never knew. */
static void test_refused_for_a_stranger(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    sched_grant_refused(sched, 1, c, 0, 1);
    CHECK_STEP("retract w1 c0.0 1");
    give_back(1, c, 1, 0, 1);
    CHECK_STEP("");
    sched_freed(sched, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    end();
}

static void test_rejected(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    sched_rejected(sched, 1, c, 0, &(struct task_run){1, 0, 1, 0}, 1);
    sched_grant_refused(sched, 1, c, 0, 1); /* said twice, counted once */
    CHECK_STEP("");
    CU_ASSERT_EQUAL(sched_waiting(sched), 1);
    CU_ASSERT_NOT_EQUAL(sched_worker_idle_since(sched, 1), 0);
    worker(2, "cpus=range(0-0)");
    CHECK_STEP("w2 c0.0 +1 1:0-0");
    end();
}

/* A cancelled task may run already: its grant counts until that is certain. */
static void test_cancel(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 5);
    sched_ready(sched, c, 0, 2, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-1");
    sched_cancel_job(sched, 1);
    CU_ASSERT_EQUAL(sched_waiting(sched), 1);
    CHECK_STEP("retract w1 c0.0 0");
    done(1, 1, 0, 1, 100); /* killed by the cancel */
    give_back(1, c, 1, 1, 0);
    CHECK_STEP("w1 c0.0 +1 2:0-0");
    end();

    begin(); /* a started one is reported as always */
    worker(1, "cpus=range(0-0)");
    c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 1);
    (void)step();
    started(1, 1, 0, 1);
    sched_cancel_job(sched, 1);
    CHECK_STEP("");
    done(1, 1, 0, 1, 100);
    done(1, 1, 0, 1, 100); /* unknown: ignored */
    CU_ASSERT_NOT_EQUAL(sched_worker_idle_since(sched, 1), 0);
    end();
}

/* Behind a cancelled task that does not end at once others wait, as behind any. */
static void test_steal_from_behind_cancelled(void)
{
    begin();
    worker(1, "cpus=range(0-0)");
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 0, 1, 0, 1);
    CHECK_STEP("w1 c0.0 +1 1:0-0");
    sched_cancel_job(sched, 1);
    CHECK_STEP("retract w1 c0.0 0");
    started(1, 1, 0, 1);
    give_back(1, c, 1, 0, 0);
    sched_ready(sched, c, 0, 2, 0, 1);
    CHECK_STEP("w1 c0.0 +0 2:0-0");
    worker(2, "cpus=range(0-0)");
    CHECK_STEP("retract w1 c0.0 1");
    give_back(1, c, 2, 0, 1);
    CHECK_STEP("w2 c0.0 +1 2:0-0");
    done(1, 1, 0, 1, 100);
    end();
}

static void test_adopt_and_take(void)
{
    struct sched_worker_load load;
    begin();
    uint32_t c = class_of("cpus=1");
    sched_ready(sched, c, 2, 1, 0, 4);
    worker(5, "cpus=range(0-0)");
    CU_ASSERT(sched_adopt(sched, 5, c, 0, 2, 1, 1));
    CU_ASSERT(!sched_adopt(sched, 5, c, 0, 2, 1, 1));
    CU_ASSERT(!sched_adopt(sched, 5, c, 0, 0, 1, 2)); /* another priority */
    CU_ASSERT(sched_take(sched, c, 2, 1, 2));
    CU_ASSERT(!sched_take(sched, c, 2, 1, 2));
    CU_ASSERT_EQUAL(sched_waiting(sched), 2);
    sched_worker_load(sched, 5, &load);
    CU_ASSERT(load.assigned == 1 && load.running == 1);
    done(5, 1, 1, 1, 100);
    CHECK_STEP("w5 c0.0 +1 1:0-0 1:3-3");
    end();
}

TEST_MAIN("window", TEST(test_sizes), TEST(test_even_share), TEST(test_steal),
          TEST(test_steal_comes_late), TEST(test_ran_dry), TEST(test_priority_recalls),
          TEST(test_priority_ahead), TEST(test_none_ahead_of_lower), TEST(test_stalled),
          TEST(test_stalled_settles), TEST(test_stalled_gets_more),
          TEST(test_stalled_with_cancelled), TEST(test_free_for_what_is_ahead),
          TEST(test_free_beside_a_gang), TEST(test_refused),
          TEST(test_refused_for_a_cancelled_task), TEST(test_refused_for_a_stranger),
          TEST(test_rejected), TEST(test_cancel),
          TEST(test_steal_from_behind_cancelled), TEST(test_adopt_and_take))
