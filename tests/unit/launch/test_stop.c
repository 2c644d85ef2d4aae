#include "rig.h"

#include <dirent.h>
#include "base/fault.h"

#define SECOND_US 1000000ULL

static void put_on(struct rig *r, uint32_t slot, uint64_t handle, const char *script)
{
    uint32_t id = rig_template(r, &(struct launch_spec){ARGV("/bin/sh", "-c")});
    rig_put(r, &(struct launch_task){.handle = handle,
                                     .slot = slot,
                                     .template = id,
                                     .own = {ARGV(script), .cwd = r->dir}});
    launcher_template_drop(r->l, id);
    HQ_ASSERT(rig_round(r, 0) == 0);
}

static void put_script(struct rig *r, uint64_t handle, const char *script)
{
    put_on(r, (uint32_t)handle, handle, script);
}

static void stop(struct rig *r, uint64_t handle, enum launch_kill how)
{
    struct error err = ERROR_INIT;
    rig_check(launcher_kill(r->l, (uint32_t)handle, handle, how, &err), &err);
    HQ_ASSERT(rig_round(r, 0) == 0);
}

/* Pid that a script wrote, once it is there. */
static pid_t pid_in(struct rig *r, const char *name)
{
    rig_await_file(rig_path(r, name));
    return (pid_t)atoi(rig_read(rig_path(r, name)));
}

static void test_graceful(void)
{
    struct rig r;
    rig_open(&r);
    put_script(&r, 1, "echo $$ > a; exec sleep 1000");
    put_script(&r, 2, "trap 'exit 5' INT; echo $$ > b; while :; do sleep 0.01; done");
    put_script(&r, 3, "trap '' INT; echo $$ > c; sleep 1000");
    (void)pid_in(&r, "a");
    (void)pid_in(&r, "b");
    (void)pid_in(&r, "c");
    uint64_t start_us = clock_mono_us();
    for (uint64_t i = 1; i <= 3; i++)
        stop(&r, i, LAUNCH_KILL_GRACEFUL);
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).term_signal, SIGINT);
    CU_ASSERT_EQUAL(rig_await_final(&r, 2).exit_code, 5);
    CU_ASSERT_EQUAL(rig_await_final(&r, 3).term_signal, SIGKILL);
    CU_ASSERT(clock_mono_us() - start_us >= SECOND_US);
    stop(&r, 1, LAUNCH_KILL_GRACEFUL); /* over already */
    stop(&r, 77, LAUNCH_KILL_NOW);     /* never heard of */
    put_script(&r, 4, "exit 4");
    CU_ASSERT_EQUAL(rig_await_final(&r, 4).exit_code, 4);
    CU_ASSERT_EQUAL(r.n, 8);
    rig_close(&r);
}

static void test_now(void)
{
    struct rig r;
    rig_open(&r);
    put_script(&r, 1, "trap '' INT TERM; echo $$ > a; sleep 1000 & wait");
    (void)pid_in(&r, "a");
    stop(&r, 1, LAUNCH_KILL_NOW);
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).term_signal, SIGKILL);
    rig_close(&r);
}

/* The leader obeys in time; what it left behind ignores SIGINT and is killed anyway. */
static void test_rest_of_group(void)
{
    struct rig r;
    rig_open(&r);
    put_script(&r, 1,
               "(trap '' INT; echo > up; exec sleep 1000) & trap 'exit 6' INT;"
               "echo $! > bg; while :; do sleep 0.01; done");
    rig_await_file(rig_path(&r, "up"));
    pid_t background = pid_in(&r, "bg");
    uint64_t start_us = clock_mono_us();
    stop(&r, 1, LAUNCH_KILL_GRACEFUL);
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).exit_code, 6);
    rig_await_gone(background);
    CU_ASSERT(clock_mono_us() - start_us >= SECOND_US);
    rig_close(&r);
}

/* Whether a group without further members is let go before the second is over, which
 * that of slot 2 needs. */
static bool gone_before_the_other(struct rig *r, uint64_t handle)
{
    put_on(r, 1, handle, "echo $$ > a; sleep 1000; echo");
    put_on(r, 2, handle + 1, "trap '' INT; echo $$ > b; sleep 1000");
    pid_t a = pid_in(r, "a"), b = pid_in(r, "b");
    HQ_ASSERT(unlink(rig_path(r, "a")) == 0 && unlink(rig_path(r, "b")) == 0);
    for (uint32_t slot = 2; slot > 0; slot--) {
        struct error err = ERROR_INIT;
        rig_check(
            launcher_kill(r->l, slot, handle + slot - 1, LAUNCH_KILL_GRACEFUL, &err),
            &err);
        HQ_ASSERT(rig_round(r, 0) == 0);
        (void)usleep(20000); /* were it not let go it would go when the other is dead */
    }
    while (kill(a, 0) == 0) /* it counts until it is reaped */
        HQ_ASSERT(usleep(1000) == 0);
    bool before = rig_alive(b);
    (void)kill(-b, SIGKILL);
    (void)rig_await_final(r, handle);
    (void)rig_await_final(r, handle + 1);
    return before;
}

static void test_group_that_obeys(void)
{
    struct rig r;
    bool before = false;
    rig_open(&r);
    for (uint64_t i = 1; i < 10 && !before; i += 2) /* a busy machine may be late */
        before = gone_before_the_other(&r, i);
    CU_ASSERT(before);
    rig_close(&r);
}

/* After an end of its own nothing of the group is touched. */
static void test_background_survives(void)
{
    struct rig r;
    rig_open(&r);
    put_script(&r, 1, "sleep 1000 > /dev/null 2>&1 & echo $! > bg");
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).exit_code, 0);
    pid_t background = pid_in(&r, "bg");
    stop(&r, 1, LAUNCH_KILL_GRACEFUL);
    put_script(&r, 2, "exit 0");
    CU_ASSERT_EQUAL(rig_await_final(&r, 2).exit_code, 0);
    CU_ASSERT(rig_alive(background));
    (void)kill(background, SIGKILL);
    rig_await_gone(background);
    rig_close(&r);
}

static void test_queued(void)
{
    struct rig r;
    rig_open(&r);
    uint32_t id = rig_template(&r, &(struct launch_spec){ARGV("sleep")});
    rig_put(&r, &(struct launch_task){
                    .handle = 1, .slot = 1, .template = id, .own = {ARGV("1000")}});
    rig_put(&r, &(struct launch_task){
                    .handle = 2, .slot = 1, .template = id, .own = {ARGV("0")}});
    (void)rig_await(&r, 1, LAUNCH_STARTED);
    struct error err = ERROR_INIT;
    rig_check(launcher_kill(r.l, 1, 2, LAUNCH_KILL_GRACEFUL, &err), &err);
    (void)rig_await(&r, 2, LAUNCH_RETURNED);
    stop(&r, 1, LAUNCH_KILL_GRACEFUL);
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).term_signal, SIGINT);
    rig_close(&r);
}

/* Children of the process; zombies only, or the others only. */
static int count_children(pid_t parent, bool zombies)
{
    DIR *dir = opendir("/proc");
    int n = 0;
    HQ_ASSERT(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[300], state;
        int ppid;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = atoi(entry->d_name) > 0 ? fopen(path, "r") : NULL;
        if (!file)
            continue;
        if (fscanf(file, "%*d (%*[^)]) %c %d", &state, &ppid) == 2 && ppid == parent)
            n += (state == 'Z') == zombies;
        (void)fclose(file);
    }
    (void)closedir(dir);
    return n;
}

/* A start that hangs, here in opening a FIFO, can be stopped, too. */
static void test_hanging_start(void)
{
    struct rig r;
    rig_open(&r);
    const char *fifo = rig_path(&r, "fifo");
    HQ_ASSERT(mkfifo(fifo, 0600) == 0);
    uint32_t id = rig_template(
        &r, &(struct launch_spec){ARGV("true"), .out = {LAUNCH_OUTPUT_FILE, fifo}});
    rig_put(&r, &(struct launch_task){.handle = 1, .slot = 1, .template = id});
    rig_put(&r, &(struct launch_task){.handle = 2, .slot = 2, .template = id});
    put_script(&r, 3, "exit 3");
    CU_ASSERT_EQUAL(rig_await_final(&r, 3).exit_code, 3); /* the others go on */
    RIG_AWAIT(&r, count_children(launcher_pid(r.l), false) == 2);
    stop(&r, 1, LAUNCH_KILL_GRACEFUL);
    stop(&r, 2, LAUNCH_KILL_NOW);
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).term_signal, SIGKILL);
    CU_ASSERT_EQUAL(rig_await_final(&r, 2).term_signal, SIGKILL);
    rig_close(&r);
}

/* Kills at any instant of short lives: exactly one end each, and nobody else is hit. */
static void test_kill_race(void)
{
    enum { TASKS = 300 };
    struct rig r;
    rig_open(&r);
    uint32_t id = rig_template(&r, &(struct launch_spec){ARGV("true")});
    for (uint64_t i = 0; i < TASKS; i++) {
        rig_put(&r, &(struct launch_task){
                        .handle = i, .slot = (uint32_t)i % 3, .template = id});
        struct error err = ERROR_INIT;
        rig_check(launcher_kill(r.l, (uint32_t)(i + TASKS - 4) % 3, i - 4,
                                i % 2 ? LAUNCH_KILL_NOW : LAUNCH_KILL_GRACEFUL, &err),
                  &err);
        if (i % 8 == 0)
            HQ_ASSERT(rig_round(&r, 0) == 0);
    }
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_ENDED) + rig_count(&r, LAUNCH_RETURNED) +
                          rig_count(&r, LAUNCH_FAILED) ==
                      TASKS);
    CU_ASSERT_EQUAL(rig_count(&r, LAUNCH_FAILED), 0);
    for (uint64_t i = 0; i < TASKS; i++)
        CU_ASSERT_PTR_NOT_NULL(rig_final(&r, i));
    rig_close(&r);
}

static void test_orphans(void)
{
    struct rig r;
    char text[32];
    rig_open(&r);
    put_script(&r, 1,
               "(sh -c 'echo $$ > o; while [ ! -e go ]; do sleep 0.01; done;"
               "cut -d\" \" -f4 /proc/$$/stat > parent' &)");
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).exit_code, 0);
    pid_t orphan = pid_in(&r, "o");
    HQ_ASSERT(close(creat(rig_path(&r, "go"), 0600)) == 0);
    rig_await_file(rig_path(&r, "parent"));
    (void)snprintf(text, sizeof text, "%d\n", (int)launcher_pid(r.l));
    CU_ASSERT_STRING_EQUAL(rig_read(rig_path(&r, "parent")), text);
    rig_await_gone(orphan);
    /* Reaped, within seconds. */
    uint64_t until_us = clock_mono_us() + RIG_WAIT_US;
    while (count_children(launcher_pid(r.l), true) > 0) {
        HQ_ASSERT(clock_mono_us() < until_us);
        (void)usleep(20000);
    }
    rig_close(&r);
}

/* launcher_destroy and a worker that dies look the same from there. */
static void test_worker_leaves(void)
{
    struct rig r;
    rig_open(&r);
    put_script(&r, 1,
               "trap 'echo term > told; exit' TERM; echo $$ > a;"
               "while :; do sleep 0.01; done");
    put_script(&r, 2, "trap '' TERM; echo $$ > b; sleep 1000 & echo $! > c; wait");
    pid_t a = pid_in(&r, "a"), b = pid_in(&r, "b"), c = pid_in(&r, "c");
    put_on(&r, 2, 3, "echo > never");
    pid_t launcher = launcher_pid(r.l);
    launcher_destroy(r.l);
    r.l = NULL;
    CU_ASSERT_FALSE(rig_alive(launcher));
    rig_await_gone(a);
    rig_await_gone(b);
    rig_await_gone(c);
    CU_ASSERT_STRING_EQUAL(rig_read(rig_path(&r, "told")), "term\n");
    CU_ASSERT_STRING_EQUAL(rig_read(rig_path(&r, "never")), "(none)");
    rig_close(&r);
}

static void test_worker_killed(void)
{
    struct rig r = {.dir = "/tmp/hq-launch-XXXXXX"};
    HQ_ASSERT(mkdtemp(r.dir));
    pid_t worker = fork();
    HQ_ASSERT(worker >= 0);
    if (worker == 0) {
        struct error err = ERROR_INIT;
        struct launcher_config config = {.env = environ};
        rig_check(launcher_start(&config, &r.l, &err), &err);
        put_script(&r, 1, "trap '' INT TERM; echo $$ > a; sleep 1000");
        for (;;)
            (void)pause();
    }
    pid_t leader = pid_in(&r, "a");
    (void)kill(worker, SIGKILL);
    (void)waitpid(worker, NULL, 0);
    rig_await_gone(leader);
    struct error err = ERROR_INIT;
    rig_check(path_remove_tree(r.dir, &err), &err);
}

static void test_launcher_killed(void)
{
    struct rig r;
    struct error err = ERROR_INIT;
    rig_open(&r);
    put_script(&r, 1, "echo $$ > a; exec sleep 1000");
    put_script(&r, 2,
               "trap '' TERM; echo $$ > b; sleep 1000 & echo $! > c; wait; wait");
    (void)rig_await(&r, 1, LAUNCH_STARTED);
    (void)rig_await(&r, 2, LAUNCH_STARTED);
    pid_t a = pid_in(&r, "a"), b = pid_in(&r, "b"), c = pid_in(&r, "c");
    (void)kill(launcher_pid(r.l), SIGKILL);
    int rc;
    while ((rc = rig_round(&r, 100)) == 0)
        ;
    CU_ASSERT_EQUAL(rc, ERR_CLOSED);
    CU_ASSERT_EQUAL(launcher_poll(r.l, rig_keep, &r, &err), ERR_CLOSED);
    CU_ASSERT_EQUAL(launcher_flush(r.l, &err), ERR_CLOSED);
    rig_await_gone(a); /* by the signal of its parent's death */
    CU_ASSERT(rig_alive(b));
    launcher_kill_left(r.l);
    rig_await_gone(b);
    rig_await_gone(c);
    rig_close(&r);
}

/* Every fault is armed in the launcher, which is forked with it. */
static void test_faults(void)
{
#ifdef HQ_FAULTS
    struct rig r;
    HQ_ASSERT(fault_arm("launch.spawn:2=EAGAIN"));
    rig_open(&r);
    put_script(&r, 1, "exit 1");
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).exit_code, 1);
    put_script(&r, 2, "exit 2");
    struct launch_event e = rig_await_final(&r, 2);
    CU_ASSERT_EQUAL(e.kind, LAUNCH_FAILED);
    CU_ASSERT_EQUAL(e.step, LAUNCH_STEP_MEMORY);
    CU_ASSERT_EQUAL(e.sys, EAGAIN);
    put_script(&r, 3, "exit 3");
    CU_ASSERT_EQUAL(rig_await_final(&r, 3).exit_code, 3);
    rig_close(&r);

    HQ_ASSERT(fault_arm("launch.pipe:1=EMFILE"));
    rig_open(&r);
    struct launch_spec spec = {ARGV("true"), .out = {LAUNCH_OUTPUT_PIPE, NULL}};
    e = rig_run(&r, &spec);
    CU_ASSERT_EQUAL(e.step, LAUNCH_STEP_STDOUT);
    CU_ASSERT_EQUAL(e.sys, EMFILE);
    e = rig_run(&r, &spec);
    CU_ASSERT_EQUAL(e.exit_code, 0);
    CU_ASSERT_EQUAL(close(rig_find(&r, e.handle, LAUNCH_STARTED)->out_fd), 0);
    rig_close(&r);

    HQ_ASSERT(fault_arm("launch.spawn:1=kill"));
    rig_open(&r);
    HQ_ASSERT(fault_arm("")); /* not here */
    uint32_t id = rig_template(&r, &spec);
    rig_put(&r, &(struct launch_task){.handle = 1, .template = id});
    int rc;
    while ((rc = rig_round(&r, 100)) == 0)
        ;
    CU_ASSERT_EQUAL(rc, ERR_CLOSED);
    CU_ASSERT_EQUAL(r.n, 0);
    rig_close(&r);
#endif
}

TEST_MAIN("launch stop", TEST(test_graceful), TEST(test_now), TEST(test_rest_of_group),
          TEST(test_group_that_obeys), TEST(test_background_survives),
          TEST(test_queued), TEST(test_hanging_start), TEST(test_kill_race),
          TEST(test_orphans), TEST(test_worker_leaves), TEST(test_worker_killed),
          TEST(test_launcher_killed), TEST(test_faults))
