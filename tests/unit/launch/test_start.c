#include "rig.h"

#include <sched.h>

static void test_exit_codes(void)
{
    static const struct {
        const char *script;
        int code, signal;
    } rows[] = {{"exit 0", 0, 0},
                {"exit 1", 1, 0},
                {"exit 255", 255, 0},
                {"kill -9 $$", -1, SIGKILL},
                {"kill -SEGV $$", -1, SIGSEGV},
                {"kill -INT $$", -1, SIGINT}};
    struct rig r;
    rig_open(&r);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct launch_event e = rig_sh(&r, rows[i].script);
        CU_ASSERT_EQUAL(e.kind, LAUNCH_ENDED);
        CU_ASSERT_EQUAL(e.exit_code, rows[i].code);
        CU_ASSERT_EQUAL(e.term_signal, rows[i].signal);
    }
    rig_close(&r);
}

static void test_times_and_usage(void)
{
    struct rig r;
    rig_open(&r);
    uint64_t before_us = clock_real_us();
    struct launch_event e =
        rig_sh(&r, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.05");
    struct launch_event *started = rig_find(&r, e.handle, LAUNCH_STARTED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(started);
    CU_ASSERT_EQUAL(started->pid, e.pid);
    CU_ASSERT_EQUAL(started->start_us, e.start_us);
    CU_ASSERT(e.start_us >= before_us);
    CU_ASSERT(e.end_us >= e.start_us + 50000);
    CU_ASSERT(e.end_us <= clock_real_us());
    CU_ASSERT(e.utime_us + e.stime_us > 0);
    CU_ASSERT(e.maxrss_kib > 100);
    rig_close(&r);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    struct error err = ERROR_INIT;
    rig_check(path_write_new(path, text, strlen(text), mode, &err), &err);
    HQ_ASSERT(chmod(path, mode) == 0);
}

static void test_exec_errors(void)
{
    struct rig r;
    rig_open(&r);
    write_file(rig_path(&r, "plain"), "no program", 0644);
    write_file(rig_path(&r, "lost"), "#!/nowhere/interpreter\n", 0755);
    const struct {
        const char *word;
        int sys;
    } rows[] = {{"/nowhere/program", ENOENT},
                {"no-such-program-here", ENOENT},
                {"", ENOENT},
                {"./plain", EACCES},
                {"./lost", ENOENT},
                {"./plain/sub", ENOTDIR},
                {r.dir, EACCES}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct launch_event e =
            rig_run(&r, &(struct launch_spec){ARGV(rows[i].word), .cwd = r.dir});
        CU_ASSERT_EQUAL(e.kind, LAUNCH_FAILED);
        CU_ASSERT_EQUAL(e.step, LAUNCH_STEP_EXEC);
        CU_ASSERT_EQUAL(e.sys, rows[i].sys);
        CU_ASSERT(e.start_us > 0 && e.end_us >= e.start_us);
    }
    CU_ASSERT_EQUAL(rig_count(&r, LAUNCH_STARTED), 0);
    struct launch_event e = rig_run(&r, &(struct launch_spec){0});
    CU_ASSERT_EQUAL(e.step, LAUNCH_STEP_ARGV);
    /* It goes on after all these. */
    CU_ASSERT_EQUAL(rig_sh(&r, "exit 7").exit_code, 7);
    rig_close(&r);
}

static void test_path_search(void)
{
    struct rig r;
    char path[256], denied[256];
    rig_open(&r);
    HQ_ASSERT(mkdir(rig_path(&r, "a"), 0755) == 0 &&
              mkdir(rig_path(&r, "b"), 0755) == 0);
    write_file(rig_path(&r, "a/tool"), "#!/bin/sh\nexit 5\n",
               0644); /* not executable */
    write_file(rig_path(&r, "b/tool"), "#!/bin/sh\nexit 6\n", 0755);
    write_file(rig_path(&r, "b/script"), "exit $(($1 + 1))\n", 0755); /* no "#!" */
    write_file(rig_path(&r, "here"), "#!/bin/sh\nexit 8\n", 0755);
    (void)snprintf(path, sizeof path, "PATH=/nowhere:%s/a:%s/b", r.dir, r.dir);
    (void)snprintf(denied, sizeof denied, "PATH=%s/a:/nowhere", r.dir);

    struct launch_event e = rig_run(&r, &(struct launch_spec){ARGV("tool"), ENV(path)});
    CU_ASSERT_EQUAL(e.exit_code, 6);
    e = rig_run(&r, &(struct launch_spec){ARGV("script", "30"), ENV(path)});
    CU_ASSERT_EQUAL(e.exit_code, 31);
    e = rig_run(&r, &(struct launch_spec){ARGV("tool"), ENV(denied)});
    CU_ASSERT_EQUAL(e.kind, LAUNCH_FAILED);
    CU_ASSERT_EQUAL(e.sys, EACCES);
    /* An empty element is the working directory. */
    e = rig_run(
        &r, &(struct launch_spec){ARGV("here"), ENV("PATH=/nowhere:"), .cwd = r.dir});
    CU_ASSERT_EQUAL(e.exit_code, 8);
    e = rig_run(&r, &(struct launch_spec){ARGV("sh", "-c", "exit 9"), UNSET("PATH")});
    CU_ASSERT_EQUAL(e.exit_code, 9);
    rig_close(&r);
}

static struct launch_output to_file(const char *path)
{
    return (struct launch_output){LAUNCH_OUTPUT_FILE, path};
}

static void test_output_files(void)
{
    struct rig r;
    rig_open(&r);
    const char *out = rig_path(&r, "job-1/deep/0.stdout");
    const char *err = rig_path(&r, "job-1/0.stderr");
    struct launch_spec spec = {ARGV("sh", "-c", "echo longer out; echo err >&2"),
                               .out = to_file(out), .err = to_file(err)};
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(out), "longer out\n");
    CU_ASSERT_STRING_EQUAL(rig_read(err), "err\n");

    spec.argv = WORDS("sh", "-c", "echo x");
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(out), "x\n"); /* truncated */
    CU_ASSERT_STRING_EQUAL(rig_read(err), "");

    spec.out.kind = LAUNCH_OUTPUT_APPEND;
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(out), "x\nx\n");

    /* One open file for both: nothing overwrites the other's bytes. */
    spec.argv = WORDS("sh", "-c", "echo 1; echo 2 >&2; echo 3; echo 4 >&2");
    spec.out = spec.err = to_file(rig_path(&r, "both/file"));
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(spec.out.path), "1\n2\n3\n4\n");
    rig_close(&r);
}

static void test_failed_steps(void)
{
    struct rig r;
    rig_open(&r);
    write_file(rig_path(&r, "file"), "", 0644);
    HQ_ASSERT(mkdir(rig_path(&r, "dir"), 0755) == 0);
    const char *below = rig_path(&r, "file/x/y"), *dir = rig_path(&r, "dir");
    const char *fine = rig_path(&r, "fine"), *file = rig_path(&r, "file");
    const struct {
        const char *out, *err, *cwd;
        enum launch_step step;
        int sys;
    } rows[] = {
        {below, below, below, LAUNCH_STEP_STDOUT_DIR, ENOTDIR},
        {fine, below, below, LAUNCH_STEP_STDERR_DIR, ENOTDIR},
        {fine, fine, below, LAUNCH_STEP_CWD, ENOTDIR},
        {fine, fine, file, LAUNCH_STEP_CWD, EEXIST},
        {dir, fine, NULL, LAUNCH_STEP_STDOUT, EISDIR},
        {fine, dir, NULL, LAUNCH_STEP_STDERR, EISDIR},
        {dir, dir, file, LAUNCH_STEP_CWD, EEXIST}, /* the earlier step wins */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct launch_spec spec = {ARGV("true"), .cwd = rows[i].cwd,
                                   .out = to_file(rows[i].out),
                                   .err = to_file(rows[i].err)};
        struct launch_event e = rig_run(&r, &spec);
        CU_ASSERT_EQUAL(e.kind, LAUNCH_FAILED);
        CU_ASSERT_EQUAL(e.step, rows[i].step);
        CU_ASSERT_EQUAL(e.sys, rows[i].sys);
    }
    rig_close(&r);
}

static void test_cwd(void)
{
    struct rig r;
    rig_open(&r);
    const char *cwd = rig_path(&r, "new/sub/dir");
    const char *out = rig_path(&r, "out");
    struct launch_spec spec = {ARGV("pwd"), .cwd = cwd, .out = to_file(out)};
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_EQUAL(strncmp(rig_read(out), cwd, strlen(cwd)), 0);
    rig_close(&r);
}

static void test_environment(void)
{
    struct rig r;
    char *base[] = {(char *)(uintptr_t) "KEEP=base",  (char *)(uintptr_t) "SHARED=base",
                    (char *)(uintptr_t) "OWN=base",   (char *)(uintptr_t) "GONE=base",
                    (char *)(uintptr_t) "LEAVE=base", NULL};
    rig_open_with(&r, &(struct launcher_config){.env = base});
    const char *out = rig_path(&r, "out");
    uint32_t id = rig_template(
        &r,
        &(struct launch_spec){ARGV("/usr/bin/env"),
                              ENV("SHARED=template", "NEW=template", "OWN=template"),
                              UNSET("GONE"), .out = to_file(out)});
    for (unsigned i = 0; i < 3; i++) {
        char own[32], expect[256];
        (void)snprintf(own, sizeof own, "OWN=%u", i);
        rig_put(&r, &(struct launch_task){.handle = i,
                                          .template = id,
                                          .own = {ENV("FIRST=a", own, "FIRST=b"),
                                                  UNSET("LEAVE", "NONE")}});
        CU_ASSERT_EQUAL(rig_await_final(&r, i).exit_code, 0);
        (void)snprintf(expect, sizeof expect,
                       "KEEP=base\nSHARED=template\nOWN=%u\nNEW=template\nFIRST=b\n",
                       i);
        CU_ASSERT_STRING_EQUAL(rig_read(out), expect);
    }
    /* What one task added is not there for the next. */
    rig_put(&r, &(struct launch_task){.handle = 9, .template = id});
    CU_ASSERT_EQUAL(rig_await_final(&r, 9).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(
        rig_read(out),
        "KEEP=base\nSHARED=template\nOWN=template\nLEAVE=base\nNEW=template\n");
    rig_close(&r);
}

static void test_arguments(void)
{
    struct rig r;
    rig_open(&r);
    const char *out = rig_path(&r, "out");
    uint32_t id = rig_template(
        &r, &(struct launch_spec){ARGV("printf", "[%s]"), .out = to_file(out)});
    rig_put(&r, &(struct launch_task){
                    .handle = 1, .template = id, .own = {ARGV("a b", "", "\xc3\xa4")}});
    CU_ASSERT_EQUAL(rig_await_final(&r, 1).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(out), "[a b][][\xc3\xa4]");
    rig_close(&r);
}

static void test_input(void)
{
    struct rig r;
    rig_open(&r);
    size_t size = 300000;
    char *large = xmalloc(size);
    memset(large, 'x', size);
    const char *out = rig_path(&r, "out");
    struct launch_spec spec = {ARGV("wc", "-c"), .out = to_file(out)};
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_EQUAL(atoi(rig_read(out)), 0); /* /dev/null */
    spec.input = large;
    spec.input_size = size;
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_EQUAL(atoi(rig_read(out)), (int)size);
    spec.input_size = 0;
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_EQUAL(atoi(rig_read(out)), 0);
    /* Tasks of a template read it each from the start, and may ignore it. */
    spec.input_size = size;
    uint32_t id = rig_template(&r, &spec);
    for (uint64_t i = 0; i < 3; i++) {
        rig_put(&r, &(struct launch_task){.handle = i, .template = id});
        CU_ASSERT_EQUAL(rig_await_final(&r, i).exit_code, 0);
        CU_ASSERT_EQUAL(atoi(rig_read(out)), (int)size);
    }
    spec.argv = WORDS("true");
    spec.n_argv = 1;
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    free(large);
    rig_close(&r);
}

/* Everything up to the end of file, blocking. */
static size_t drain(int fd, char *to, size_t size)
{
    size_t n = 0;
    HQ_ASSERT(fd >= 0);
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        (void)poll(&ready, 1, 60000);
        ssize_t got = read(fd, to + n, size - n - 1);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    to[n] = '\0';
    (void)close(fd);
    return n;
}

static void test_pipes(void)
{
    struct rig r;
    char text[128];
    rig_open(&r);
    uint32_t id = rig_template(
        &r, &(struct launch_spec){ARGV("sh", "-c", "echo out $0; echo err $0 >&2"),
                                  .out = {LAUNCH_OUTPUT_PIPE, NULL},
                                  .err = {LAUNCH_OUTPUT_PIPE, NULL}});
    /* More than are made at a time, in two slots. */
    for (unsigned i = 0; i < 40; i++) {
        char word[16];
        (void)snprintf(word, sizeof word, "%u", i);
        rig_put(&r,
                &(struct launch_task){
                    .handle = i, .slot = i % 2, .template = id, .own = {ARGV(word)}});
    }
    RIG_AWAIT(&r, rig_count(&r, LAUNCH_ENDED) == 40);
    for (unsigned i = 0; i < 40; i++) {
        char expect[32];
        struct launch_event *e = rig_find(&r, i, LAUNCH_STARTED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        (void)drain(e->out_fd, text, sizeof text);
        (void)snprintf(expect, sizeof expect, "out %u\n", i);
        CU_ASSERT_STRING_EQUAL(text, expect);
        (void)drain(e->err_fd, text, sizeof text);
        (void)snprintf(expect, sizeof expect, "err %u\n", i);
        CU_ASSERT_STRING_EQUAL(text, expect);
    }
    /* A start that fails gives its pipes back. */
    struct launch_spec spec = {ARGV("/nowhere"), .out = {LAUNCH_OUTPUT_PIPE, NULL}};
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(rig_run(&r, &spec).kind, LAUNCH_FAILED);
    rig_close(&r);
    int fd = dup(STDERR_FILENO);
    CU_ASSERT(fd < 32); /* nothing leaked here */
    (void)close(fd);
}

static void test_clean_process(void)
{
    struct rig r;
    /* The tasks must not inherit any of this. */
    int fds[2];
    HQ_ASSERT(pipe(fds) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    sigset_t blocked, old;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &blocked, &old);
    rig_open(&r);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);

    const char *out = rig_path(&r, "out");
    struct launch_spec spec = {
        ARGV("/bin/sh", "-c",
             "for fd in $(seq 0 99); do"
             " [ -h /proc/$$/fd/$fd ] && printf '%s ' $fd; done; :"),
        .out = to_file(out)};
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(out), "0 1 2 ");
    /* Not grep: it catches SIGSEGV. */
    spec.argv = WORDS("sed", "-n", "/^Sig[BIC][lg]/p", "/proc/self/status");
    spec.n_argv = 4;
    CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
    CU_ASSERT_STRING_EQUAL(rig_read(out), "SigBlk:\t0000000000000000\n"
                                          "SigIgn:\t0000000000000000\n"
                                          "SigCgt:\t0000000000000000\n");
    /* Its own process group, its own session if asked, the limits of the worker. */
    struct rlimit files;
    char expect[64];
    HQ_ASSERT(getrlimit(RLIMIT_NOFILE, &files) == 0);
    for (int session = 0; session < 2; session++) {
        (void)snprintf(expect, sizeof expect, "group %s %lu\n",
                       session ? "session" : "no", (unsigned long)files.rlim_cur);
        spec.session = session;
        spec.argv = WORDS("/bin/sh", "-c",
                          "set -- $$ $(cut -d' ' -f5,6 /proc/$$/stat); s=no;"
                          "[ $1 = $2 ] && g=group; [ $1 = $3 ] && s=session;"
                          "echo $g $s $(ulimit -n)");
        spec.n_argv = 3;
        CU_ASSERT_EQUAL(rig_run(&r, &spec).exit_code, 0);
        CU_ASSERT_STRING_EQUAL(rig_read(out), expect);
    }
    (void)close(fds[0]);
    (void)close(fds[1]);
    rig_close(&r);
}

/* "Cpus_allowed_list" of a task with that binding; "failed" when it was refused. */
static const char *cpus_seen(struct rig *r, const struct launch_binding *b,
                             struct launch_event *event)
{
    static uint64_t handle = 500;
    const char *out = rig_path(r, "cpus");
    uint32_t id = rig_template(r, &(struct launch_spec){0});
    rig_put(r, &(struct launch_task){
                   .handle = ++handle,
                   .slot = 3,
                   .template = id,
                   .binding = b,
                   .own = {ARGV("sh", "-c",
                                "set -- $(grep Cpus_allowed_list /proc/self/status);"
                                "echo $2"),
                           .out = to_file(out)}});
    *event = rig_await_final(r, handle);
    return event->kind == LAUNCH_ENDED ? rig_read(out) : "failed";
}

/* The memory policy of a task with that binding. */
static const char *policy_seen(struct rig *r, const struct launch_binding *b)
{
    static uint64_t handle = 700;
    const char *out = rig_path(r, "policy");
    uint32_t id = rig_template(r, &(struct launch_spec){0});
    rig_put(r, &(struct launch_task){
                   .handle = ++handle,
                   .slot = 3,
                   .template = id,
                   .binding = b,
                   .own = {ARGV("sh", "-c",
                                "read address policy rest < /proc/self/numa_maps;"
                                "printf %s \"$policy\""),
                           .out = {LAUNCH_OUTPUT_FILE, out}}});
    CU_ASSERT_EQUAL(rig_await_final(r, handle).exit_code, 0);
    return rig_read(out);
}

static void test_binding(void)
{
    struct rig r;
    struct launch_event e;
    cpu_set_t all;
    char one[16], full[256];
    int first = 0;
    HQ_ASSERT(sched_getaffinity(0, sizeof all, &all) == 0);
    while (!CPU_ISSET((size_t)first, &all))
        first++;
    uint8_t mask[128] = {0}, impossible[128] = {0};
    uint64_t node = 1;
    mask[first / 8] = (uint8_t)(1 << first % 8);
    impossible[127] = 0x80;
    (void)snprintf(one, sizeof one, "%d\n", first);
    rig_open(&r);
    (void)snprintf(full, sizeof full, "%s", cpus_seen(&r, NULL, &e));

    struct launch_binding b = {.cpus = mask, .cpus_size = sizeof mask, .must = true};
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), one);
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, NULL, &e), one); /* the slot keeps it */
    struct launch_binding rank = {0};
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &rank, &e), full);
    b.cpus = impossible;
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), "failed");
    CU_ASSERT_EQUAL(e.step, LAUNCH_STEP_AFFINITY);
    CU_ASSERT_EQUAL(e.sys, EINVAL);
    b.must = false;
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), full);

    b = (struct launch_binding){
        .nodes = &node, .n_nodes = 1, .memory = LAUNCH_MEMORY_PREFERRED};
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), full);
    CU_ASSERT_STRING_EQUAL(policy_seen(&r, &b), "prefer:0");
    b.memory = LAUNCH_MEMORY_STRICT;
    CU_ASSERT_STRING_EQUAL(policy_seen(&r, &b), "bind:0");
    b.memory = LAUNCH_MEMORY_OFF;
    CU_ASSERT_STRING_EQUAL(policy_seen(&r, &b), "default");
    /* Started on a CPU of its own, free to use all. */
    b = (struct launch_binding){.has_home = true, .home = (uint32_t)first};
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), full);
    b.home = 8191; /* not there: a wish, too */
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), full);
    uint64_t nowhere[LAUNCH_NODES_MAX_WORDS] = {[LAUNCH_NODES_MAX_WORDS - 1] = 1};
    b = (struct launch_binding){.nodes = nowhere,
                                .n_nodes = LAUNCH_NODES_MAX_WORDS,
                                .memory = LAUNCH_MEMORY_PREFERRED};
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), full); /* a wish */
    b.memory = LAUNCH_MEMORY_STRICT;
    CU_ASSERT_STRING_EQUAL(cpus_seen(&r, &b, &e), "failed");
    CU_ASSERT_EQUAL(e.step, LAUNCH_STEP_POLICY);
    b.n_nodes = LAUNCH_NODES_MAX_WORDS + 1;
    struct error err;
    CU_ASSERT_EQUAL(launcher_task(r.l, &(struct launch_task){.binding = &b}, &err),
                    ERR_INVALID);
    rig_close(&r);
}

TEST_MAIN("launch start", TEST(test_exit_codes), TEST(test_times_and_usage),
          TEST(test_exec_errors), TEST(test_path_search), TEST(test_output_files),
          TEST(test_failed_steps), TEST(test_cwd), TEST(test_environment),
          TEST(test_arguments), TEST(test_input), TEST(test_pipes),
          TEST(test_clean_process), TEST(test_binding))
