/* What the launcher removes for a worker that was killed, and what it leaves alone. */
#include "rig.h"

#include <sys/socket.h>
#include <sys/un.h>

static bool exists(const struct rig *r, const char *name)
{
    struct stat st;
    return lstat(rig_path(r, name), &st) == 0;
}

static void put_file(const struct rig *r, const char *name)
{
    struct error err = ERROR_INIT;
    rig_check(path_write_new(rig_path(r, name), "x", 1, 0644, &err), &err);
}

static void make_socket(const struct rig *r, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", rig_path(r, name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HQ_ASSERT(fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof addr) == 0);
    (void)close(fd);
}

/* A directory with a link out of it, a socket, and what is nobody's business. */
static void furnish(struct rig *r)
{
    *r = (struct rig){.dir = "/tmp/hq-launch-XXXXXX"};
    HQ_ASSERT(mkdtemp(r->dir));
    HQ_ASSERT(mkdir(rig_path(r, "own"), 0700) == 0);
    HQ_ASSERT(mkdir(rig_path(r, "own/work"), 0700) == 0);
    HQ_ASSERT(mkdir(rig_path(r, "other"), 0700) == 0);
    put_file(r, "own/work/file");
    put_file(r, "other/file");
    HQ_ASSERT(symlink("../other", rig_path(r, "own/link")) == 0);
    make_socket(r, "socket");
    put_file(r, "replaced");
    HQ_ASSERT(mkdir(rig_path(r, "moved"), 0700) == 0);
}

static void name_all(struct rig *r)
{
    static const char *const names[] = {"own", "socket", "replaced", "moved"};
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        rig_check(launcher_leftover(r->l, rig_path(r, names[i]), &err), &err);
    HQ_ASSERT(rig_round(r, 0) == 0);
}

/* Other files take the places of two that were named. */
static void replace_some(const struct rig *r)
{
    put_file(r, "new");
    HQ_ASSERT(rename(rig_path(r, "new"), rig_path(r, "replaced")) == 0);
    HQ_ASSERT(rename(rig_path(r, "moved"), rig_path(r, "elsewhere")) == 0);
    HQ_ASSERT(symlink("other", rig_path(r, "moved")) == 0);
}

/* Starts a worker in a process of its own; its launcher's pid comes by a file. */
static pid_t start_worker(struct rig *r, bool hang_up)
{
    pid_t worker = fork();
    HQ_ASSERT(worker >= 0);
    if (worker > 0)
        return worker;
    struct error err = ERROR_INIT;
    struct launcher_config config = {.env = environ};
    rig_check(launcher_start(&config, &r->l, &err), &err);
    name_all(r);
    (void)rig_sh(r, "echo $PPID > pid.new; mv pid.new pid");
    for (int fd = 3; hang_up && fd < 64; fd++) {
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
            (void)close(fd);
    }
    for (;;)
        (void)pause();
}

static pid_t launcher_of(struct rig *r)
{
    rig_await_file(rig_path(r, "pid"));
    return (pid_t)atoi(rig_read(rig_path(r, "pid")));
}

static void end_worker(pid_t worker)
{
    (void)kill(worker, SIGKILL);
    (void)waitpid(worker, NULL, 0);
}

static void leave(struct rig *r)
{
    struct error err = ERROR_INIT;
    rig_check(path_remove_tree(r->dir, &err), &err);
}

static void test_killed(void)
{
    struct rig r;
    furnish(&r);
    pid_t worker = start_worker(&r, false);
    pid_t launcher = launcher_of(&r);
    replace_some(&r);
    CU_ASSERT(exists(&r, "own") && exists(&r, "socket"));
    end_worker(worker);
    rig_await_gone(launcher);
    CU_ASSERT_FALSE(exists(&r, "own"));
    CU_ASSERT_FALSE(exists(&r, "socket"));
    CU_ASSERT(exists(&r, "other/file"));
    CU_ASSERT(exists(&r, "replaced"));
    CU_ASSERT(exists(&r, "elsewhere") && exists(&r, "moved"));
    leave(&r);
}

/* The launcher loses its worker, which lives on. */
static void test_living_worker(void)
{
    struct rig r;
    furnish(&r);
    pid_t worker = start_worker(&r, true);
    rig_await_gone(launcher_of(&r));
    CU_ASSERT(exists(&r, "own/work/file") && exists(&r, "socket"));
    end_worker(worker);
    leave(&r);
}

static void test_orderly_end(void)
{
    struct rig r;
    struct error err = ERROR_INIT;
    struct launcher_config config = {.env = environ};
    furnish(&r);
    rig_check(launcher_start(&config, &r.l, &err), &err);
    name_all(&r);
    launcher_destroy(r.l);
    CU_ASSERT(exists(&r, "own/work/file") && exists(&r, "socket"));
    leave(&r);
}

static void test_nothing_there(void)
{
    struct rig r;
    struct error err = ERROR_INIT;
    rig_open(&r);
    CU_ASSERT_EQUAL(launcher_leftover(r.l, rig_path(&r, "none"), &err), ERR_SYSTEM);
    rig_close(&r);
}

TEST_MAIN("launch leftovers", TEST(test_killed), TEST(test_living_worker),
          TEST(test_orderly_end), TEST(test_nothing_there))
