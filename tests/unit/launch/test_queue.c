#include "rig.h"

#include "launch/record.h"

static void put_script(struct rig *r, uint64_t handle, uint32_t slot,
                       const char *script)
{
    uint32_t id = rig_template(r, &(struct launch_spec){ARGV("/bin/sh", "-c")});
    rig_put(r, &(struct launch_task){.handle = handle,
                                     .slot = slot,
                                     .template = id,
                                     .own = {ARGV(script), .cwd = r->dir}});
    launcher_template_drop(r->l, id);
}

/* Tasks of a slot run one after the other, in order, without help from here. */
static void test_order(void)
{
    struct rig r;
    rig_open(&r);
    for (unsigned i = 0; i < 50; i++) {
        char script[64];
        (void)snprintf(script, sizeof script, "echo %u >> log", i);
        put_script(&r, i, 7, script);
    }
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_ENDED) == 50);
    char expect[256] = "";
    for (unsigned i = 0; i < 50; i++)
        (void)snprintf(expect + strlen(expect), sizeof expect - strlen(expect), "%u\n",
                       i);
    CU_ASSERT_STRING_EQUAL(rig_read(rig_path(&r, "log")), expect);
    uint64_t end_us = 0;
    for (uint64_t i = 0; i < 50; i++) {
        CU_ASSERT(rig_find(&r, i, LAUNCH_STARTED)->start_us >= end_us);
        end_us = rig_find(&r, i, LAUNCH_ENDED)->end_us;
    }
    rig_close(&r);
}

static void test_many_tiny(void)
{
    enum { TASKS = 2000, SLOTS = 5 };
    struct rig r;
    rig_open(&r);
    uint32_t id = rig_template(&r, &(struct launch_spec){ARGV("true")});
    for (unsigned i = 0; i < TASKS; i++)
        rig_put(&r,
                &(struct launch_task){.handle = i, .slot = i % SLOTS, .template = id});
    launcher_template_drop(r.l, id); /* those queued still use it */
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_ENDED) == TASKS);
    CU_ASSERT_EQUAL(rig_count(&r, LAUNCH_STARTED), TASKS);
    CU_ASSERT_EQUAL(r.n, 2 * TASKS);
    bool *seen = xcalloc(TASKS, sizeof *seen);
    for (size_t i = 0; i < r.n; i++) {
        if (r.events[i].kind != LAUNCH_ENDED)
            continue;
        CU_ASSERT_EQUAL(r.events[i].exit_code, 0);
        CU_ASSERT_FALSE(seen[r.events[i].handle]);
        seen[r.events[i].handle] = true;
    }
    free(seen);
    rig_close(&r);
}

/* Far more at the same time than there are threads: every one has to be running. */
static void test_many_at_once(void)
{
    enum { TASKS = 200 };
    struct rig r;
    rig_open(&r);
    for (unsigned i = 0; i < TASKS; i++)
        put_script(&r, i, i, "exec cat gate");
    HQ_ASSERT(mkfifo(rig_path(&r, "gate"), 0600) == 0);
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_STARTED) == TASKS);
    /* Opened for reading and writing, so that this does not wait. */
    int gate = open(rig_path(&r, "gate"), O_RDWR | O_CLOEXEC);
    HQ_ASSERT(gate >= 0);
    for (uint64_t i = 0; i < TASKS; i += 2) {
        struct error err;
        CU_ASSERT_EQUAL(launcher_kill(r.l, (uint32_t)i, i, LAUNCH_KILL_NOW, &err), 0);
    }
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_ENDED) == TASKS / 2);
    /* Parked slots take new tasks. */
    for (unsigned i = 0; i < TASKS; i += 2)
        put_script(&r, 1000 + i, i, "exit 3");
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_ENDED) == TASKS);
    for (uint64_t i = 0; i < TASKS; i += 2) {
        CU_ASSERT_EQUAL(rig_find(&r, i, LAUNCH_ENDED)->term_signal, SIGKILL);
        CU_ASSERT_EQUAL(rig_find(&r, 1000 + i, LAUNCH_ENDED)->exit_code, 3);
    }
    (void)close(gate);
    rig_close(&r);
}

static void test_retract(void)
{
    struct rig r;
    struct error err;
    rig_open(&r);
    put_script(&r, 1, 2, "echo > up; exec sleep 1000");
    put_script(&r, 2, 2, "echo second >> ran");
    put_script(&r, 3, 2, "echo third >> ran");
    put_script(&r, 4, 2, "echo fourth >> ran");
    (void)rig_await(&r, 1, LAUNCH_STARTED);
    CU_ASSERT_EQUAL(launcher_retract(r.l, 2, 4, &err), 0);
    CU_ASSERT_EQUAL(launcher_retract(r.l, 2, 2, &err), 0);
    CU_ASSERT_EQUAL(launcher_retract(r.l, 2, 1, &err), 0);  /* runs */
    CU_ASSERT_EQUAL(launcher_retract(r.l, 2, 99, &err), 0); /* never heard of */
    CU_ASSERT_EQUAL(launcher_retract(r.l, 9, 1, &err), 0);  /* another slot */
    CU_ASSERT_EQUAL(launcher_retract(r.l, 999999, 1, &err), 0);
    CU_ASSERT_EQUAL(rig_await(&r, 4, LAUNCH_RETURNED).slot, 2);
    (void)rig_await(&r, 2, LAUNCH_RETURNED);
    (void)rig_await(&r, 99, LAUNCH_KEPT);
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_KEPT) == 4);
    /* What was taken away is free to be queued again. */
    put_script(&r, 4, 2, "echo fourth again >> ran");
    CU_ASSERT_EQUAL(launcher_kill(r.l, 2, 1, LAUNCH_KILL_NOW, &err), 0);
    CU_ASSERT_EQUAL(rig_await(&r, 4, LAUNCH_ENDED).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(rig_path(&r, "ran")), "third\nfourth again\n");
    CU_ASSERT_EQUAL(launcher_retract(r.l, 2, 4, &err), 0); /* over */
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_KEPT) == 5);
    rig_close(&r);
}

/* The same task retracted while the slot races through its queue: told exactly once. */
static void test_retract_race(void)
{
    enum { TASKS = 300 };
    struct rig r;
    struct error err;
    rig_open(&r);
    uint32_t id = rig_template(&r, &(struct launch_spec){ARGV("true")});
    for (unsigned i = 0; i < TASKS; i++)
        rig_put(&r, &(struct launch_task){.handle = i, .template = id});
    for (uint64_t i = TASKS; i-- > 0;)
        if (i % 3)
            CU_ASSERT_EQUAL(launcher_retract(r.l, 0, i, &err), 0);
    RIG_AWAIT(&r,
              rig_count(&r, LAUNCH_ENDED) + rig_count(&r, LAUNCH_RETURNED) == TASKS);
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_RETURNED) + rig_count(&r, LAUNCH_KEPT) ==
                      TASKS / 3 * 2);
    for (uint64_t i = 0; i < TASKS; i++)
        CU_ASSERT_EQUAL(rig_find(&r, i, LAUNCH_RETURNED) != NULL,
                        rig_find(&r, i, LAUNCH_ENDED) == NULL);
    rig_close(&r);
}

/* Requests larger than any socket buffer, and one that is too large for exec. */
static void test_large_requests(void)
{
    struct rig r;
    rig_open(&r);
    size_t size = (size_t)100 << 10;
    char *word = xmalloc(size + 1);
    memset(word, 'w', size);
    word[size] = '\0';
    const char *out = rig_path(&r, "out");
    struct launch_spec spec = {ARGV("sh", "-c", "echo $#", "sh", word, word, word),
                               .out = {LAUNCH_OUTPUT_FILE, out}};
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(out), "3\n");
    const char *words[100];
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = word;
    words[0] = "true";
    spec.argv = words;
    spec.n_argv = ARRAY_SIZE(words);
    struct launch_event e = rig_run(&r, &spec);
    CU_ASSERT_EQUAL(e.kind, LAUNCH_FAILED);
    CU_ASSERT_EQUAL(e.step, LAUNCH_STEP_EXEC);
    CU_ASSERT_EQUAL(e.sys, E2BIG);
    free(word);
    rig_close(&r);
}

static void test_urgent(void)
{
    struct rig r;
    rig_open(&r);
    uint32_t id = rig_template(&r, &(struct launch_spec){ARGV("true")});
    /* A chain: each is queued when the one before it has been told. */
    for (uint64_t i = 0; i < 200; i++) {
        rig_put(&r, &(struct launch_task){.handle = i, .template = id, .urgent = true});
        CU_ASSERT_EQUAL(rig_await_final(&r, i).exit_code, 0);
    }
    struct error err;
    CU_ASSERT_EQUAL(
        launcher_task(r.l, &(struct launch_task){.slot = LAUNCH_SLOTS_MAX}, &err),
        ERR_INVALID);
    CU_ASSERT_EQUAL(launcher_retract(r.l, LAUNCH_SLOTS_MAX, 1, &err), ERR_INVALID);
    CU_ASSERT_EQUAL(launcher_kill(r.l, LAUNCH_SLOTS_MAX, 1, LAUNCH_KILL_NOW, &err),
                    ERR_INVALID);
    rig_close(&r);
}

static void test_template_numbers(void)
{
    struct rig r;
    rig_open(&r);
    uint32_t a = rig_template(&r, &(struct launch_spec){ARGV("sh", "-c", "exit 1")});
    uint32_t b = rig_template(&r, &(struct launch_spec){ARGV("sh", "-c", "exit 2")});
    CU_ASSERT_NOT_EQUAL(a, b);
    launcher_template_drop(r.l, a);
    uint32_t c = rig_template(&r, &(struct launch_spec){ARGV("sh", "-c", "exit 3")});
    CU_ASSERT_EQUAL(c, a);
    rig_put(&r, &(struct launch_task){.handle = 1, .template = b});
    rig_put(&r, &(struct launch_task){.handle = 2, .template = c});
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).exit_code, 2);
    CU_ASSERT_EQUAL(rig_await_final(&r, 2).exit_code, 3);
    rig_close(&r);
}

TEST_MAIN("launch queue", TEST(test_order), TEST(test_many_tiny),
          TEST(test_many_at_once), TEST(test_retract), TEST(test_retract_race),
          TEST(test_large_requests), TEST(test_urgent), TEST(test_template_numbers))
