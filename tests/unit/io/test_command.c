/* Helper commands: whatever they do, the loop hears of their end once. */
#include "io/io.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "test_main.h"

static struct io_loop *loop;
static int n_open;

struct seen {
    int calls, rc, code, status;
    bool started;
    char out[256], err_out[256], text[256];
    size_t out_len;
};

static void copy(char *to, size_t size, const struct buf *from)
{
    (void)snprintf(to, size, "%.*s", (int)MIN(from->len, size - 1), buf_cstr(from));
}

static void on_end(void *arg, struct io_command_result *r)
{
    struct seen *s = arg;
    s->calls++;
    s->rc = r->rc;
    s->code = r->err.code;
    s->status = r->status;
    s->started = r->started;
    s->out_len = r->out.len;
    copy(s->out, sizeof s->out, &r->out);
    copy(s->err_out, sizeof s->err_out, &r->err_out);
    (void)snprintf(s->text, sizeof s->text, "%.255s", r->err.text);
    n_open--;
}

static struct io_command *start_with(struct seen *s, const char *script,
                                     struct io_command_spec spec)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    memset(s, 0, sizeof *s);
    spec.argv = script ? argv : spec.argv;
    spec.timeout_ms = spec.timeout_ms ? spec.timeout_ms : 60000;
    spec.output_max = spec.output_max ? spec.output_max : 65536;
    n_open++;
    return io_command_start(loop, &spec, on_end, s);
}

/* Until all have ended. */
static void run_all(void)
{
    io_loop_run(loop);
    CU_ASSERT_EQUAL(n_open, 0);
}

static void begin(void)
{
    loop = io_loop_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
    n_open = 0;
}

static struct seen run_one(const char *script, struct io_command_spec spec)
{
    struct seen s;
    begin();
    (void)start_with(&s, script, spec);
    run_all();
    io_loop_destroy(loop);
    CU_ASSERT_EQUAL(s.calls, 1);
    return s;
}

#define SPEC(...) ((struct io_command_spec){__VA_ARGS__})

static void test_ends(void)
{
    struct seen s = run_one("echo out; echo err >&2; exit 3", SPEC(.dir = "/"));
    CU_ASSERT(s.rc == 0 && s.started && WIFEXITED(s.status));
    CU_ASSERT_EQUAL(WEXITSTATUS(s.status), 3);
    CU_ASSERT_STRING_EQUAL(s.out, "out\n");
    CU_ASSERT_STRING_EQUAL(s.err_out, "err\n");
    s = run_one("kill -9 $$", SPEC(.dir = "/"));
    CU_ASSERT(s.rc == 0 && WIFSIGNALED(s.status) && WTERMSIG(s.status) == 9);
}

static void test_directory(void)
{
    struct seen s = run_one("pwd", SPEC(.dir = "/usr"));
    CU_ASSERT_STRING_EQUAL(s.out, "/usr\n");
    s = run_one("pwd", SPEC(.dir = "/no/such/directory"));
    CU_ASSERT_STRING_EQUAL(s.out, "/\n");
    s = run_one("cat; echo end", SPEC(0)); /* standard input is empty */
    CU_ASSERT_STRING_EQUAL(s.out, "end\n");
}

static void test_no_program(void)
{
    const char *argv[] = {"no-such-program-anywhere", NULL};
    struct seen s = run_one(NULL, SPEC(.argv = argv));
    CU_ASSERT(s.rc == ERR_SYSTEM && !s.started);
    CU_ASSERT_STRING_EQUAL(s.text, "No such file or directory (os error 2)");
}

/* Its whole process group is told, gently first. */
static void test_over_its_time(void)
{
    struct seen s = run_one("sleep 1000", SPEC(.timeout_ms = 100));
    CU_ASSERT(s.rc == ERR_TIMEOUT && s.started);
    /* A busy machine may need longer to come to the trap. */
    for (uint64_t ms = 100; ms < 60000 && !s.out[0]; ms *= 4) {
        s = run_one("trap 'echo told; exit 0' TERM; sleep 1000 & wait",
                    SPEC(.timeout_ms = ms));
        CU_ASSERT_EQUAL(s.rc, ERR_TIMEOUT);
    }
    CU_ASSERT_STRING_EQUAL(s.out, "told\n");
    s = run_one("trap '' TERM; while :; do sleep 0.1; done", SPEC(.timeout_ms = 100));
    CU_ASSERT(s.rc == ERR_TIMEOUT && WIFSIGNALED(s.status));
    CU_ASSERT_EQUAL(WTERMSIG(s.status), 9);
}

static void test_stop(void)
{
    struct seen s;
    begin();
    io_command_stop(start_with(&s, "sleep 1000", SPEC(0)));
    run_all();
    io_loop_destroy(loop);
    CU_ASSERT_EQUAL(s.rc, ERR_TIMEOUT);
}

static void test_output(void)
{
    struct seen s = run_one("head -c 60000 /dev/zero", SPEC(0));
    CU_ASSERT(s.rc == 0 && s.out_len == 60000);
    s = run_one("cat /dev/zero", SPEC(.output_max = 1000));
    CU_ASSERT_EQUAL(s.rc, ERR_TOO_BIG);
    /* Whoever holds the pipe behind it is not waited for. */
    s = run_one("sleep 1000 & echo $!", SPEC(0));
    CU_ASSERT_EQUAL_FATAL(s.rc, 0);
    CU_ASSERT_EQUAL(kill(atoi(s.out), SIGKILL), 0);
}

static int fail_before(void *arg, struct error *err)
{
    return error_set(err, ERR_BUSY, "%s", (const char *)arg);
}

static int write_before(void *arg, struct error *err)
{
    (void)err;
    return mkdir(arg, 0700);
}

static void change_behind(void *arg, struct io_command_result *r)
{
    (void)rmdir(arg);
    buf_puts(&r->out, "behind");
}

static void test_work_around_it(void)
{
    char words[] = "not yet", dir[] = "/tmp/hq-command-XXXXXX";
    struct seen s = run_one("echo never", SPEC(.before = fail_before, .arg = words));
    CU_ASSERT(s.rc == ERR_BUSY && !s.started && s.out_len == 0);
    CU_ASSERT_STRING_EQUAL(s.text, "not yet");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    CU_ASSERT_EQUAL(rmdir(dir), 0);
    s = run_one("pwd", SPEC(.dir = dir, .before = write_before, .behind = change_behind,
                            .arg = dir));
    CU_ASSERT(s.rc == 0 && access(dir, F_OK) != 0);
    CU_ASSERT(strncmp(s.out, dir, strlen(dir)) == 0 && strstr(s.out, "\nbehind"));
    /* Work alone, without a program. */
    s = run_one(NULL, SPEC(.before = fail_before, .arg = words));
    CU_ASSERT(s.rc == ERR_BUSY && s.calls == 1);
}

static void test_many(void)
{
    enum { N = 40 };
    static struct seen s[N];
    begin();
    for (size_t i = 0; i < N; i++)
        (void)start_with(&s[i], i % 2 ? "echo a" : "exit 1", SPEC(0));
    run_all();
    io_loop_destroy(loop);
    for (size_t i = 0; i < N; i++)
        CU_ASSERT(s[i].calls == 1 && s[i].rc == 0 &&
                  WEXITSTATUS(s[i].status) == (i % 2 ? 0 : 1));
}

static atomic_int n_over;

static void count_over(void *arg UNUSED, struct io_command_result *r UNUSED)
{
    (void)atomic_fetch_add(&n_over, 1);
}

/* The loop does not wait for these, and nothing is called. */
static void test_abandon(void)
{
    static struct seen s[10];
    begin();
    for (size_t i = 0; i < 10; i++)
        io_command_abandon(start_with(&s[i], i % 2 ? "true" : "sleep 1000",
                                      SPEC(.behind = count_over)));
    io_loop_run(loop);
    io_loop_destroy(loop);
    for (size_t i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(s[i].calls, 0);
    /* Their threads end them; this program must not leave any of them behind. */
    uint64_t deadline = clock_mono_us() + 20000000;
    while (atomic_load(&n_over) < 10 && clock_mono_us() < deadline)
        (void)usleep(1000);
    CU_ASSERT_EQUAL(atomic_load(&n_over), 10);
}

TEST_MAIN("command", TEST(test_ends), TEST(test_directory), TEST(test_no_program),
          TEST(test_over_its_time), TEST(test_stop), TEST(test_output),
          TEST(test_work_around_it), TEST(test_many), TEST(test_abandon))
