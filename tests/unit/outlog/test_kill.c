/*
 * Writers killed at random points: whatever was acknowledged is in the log, whole, and
 * the next writer goes on in the same file. HQ_TEST_LONG kills a thousand of them.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include "rig.h"

#define KILLS_A_LOG 40u
#define LOGS 2u
#define LOGS_LONG 25u
#define TASKS_MAX 60000u
#define AT_ONCE 4u
/* A writer lives shorter than that, or than as many times that as one needs here. */
#define LIFE_US 15000u
#define LIFE_MAX_US 8000000u

/* What outlives a writer: the server's journal and what the server was told. */
struct survivors {
    struct rig_server server;
    uint32_t begun;
    bool done[TASKS_MAX];
};

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static size_t size_of_task(uint32_t task)
{
    static const size_t sizes[] = {0, 3, 100, 5000, 70000, 200000};
    return sizes[(task * 2654435761u >> 8) % ARRAY_SIZE(sizes)];
}

static void fill(char *text, uint32_t task, size_t n)
{
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('!' + (task + i / 7 + i) % 90);
}

/* Writes tasks until it is killed. */
static _Noreturn void write_for_ever(struct rig *r, struct survivors *s,
                                     uint32_t worker)
{
    static char text[200000];
    if (s->server.known) {
        struct outlog_ident ident = s->server.book.ident;
        lease_book_restore(&s->server.book, &ident, s->server.last_mark);
    }
    r->worker = worker;
    r->server = &s->server;
    rig_start(r, (struct outlog_writer_config){.compress = worker % 2});
    for (;;) {
        struct rig_task t[AT_ONCE];
        uint32_t first = s->begun;
        if (first + AT_ONCE > TASKS_MAX)
            (void)pause();
        s->begun += AT_ONCE;
        for (uint32_t i = 0; i < AT_ONCE; i++)
            rig_begin(r, &t[i], 1, first + i, 0);
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            size_t n = size_of_task(first + i);
            fill(text, first + i, n);
            rig_print(r, &t[i], OUTLOG_STDOUT, text, n / 2);
            rig_print(r, &t[i], OUTLOG_STDOUT, text + n / 2, n - n / 2);
            rig_finish(r, &t[i], 0);
        }
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            (void)rig_until(r, &t[i].done);
            s->done[first + i] = t[i].done && t[i].err.code == 0;
        }
    }
}

static void kill_one(struct rig *r, struct survivors *s, uint32_t worker,
                     uint64_t life_us)
{
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0)
        write_for_ever(r, s, worker);
    struct timespec life = {(time_t)(life_us / 1000000),
                            (long)(life_us % 1000000) * 1000};
    (void)nanosleep(&life, NULL);
    CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT(WIFSIGNALED(status));
}

/* Every acknowledged task is there in full; what else is there is right as far as it
 * goes. Returns the number of acknowledged tasks. */
static uint32_t check_log(const char *path, const struct survivors *s)
{
    static char want[200000];
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    struct buf got = BUF_INIT(1 << 20);
    uint32_t n_done = 0, n_found = 0;
    for (uint32_t i = 0; i < s->begun; i++)
        n_done += s->done[i];
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    while (outlog_runs_next(it, &run, &err) == 1) {
        size_t n = size_of_task(run.task);
        CU_ASSERT_FATAL(run.task < s->begun);
        fill(want, run.task, n);
        buf_clear(&got);
        rig_output(reader, &run, OUTLOG_STDOUT, &got);
        CU_ASSERT(got.len <= n &&
                  (got.len == 0 || memcmp(got.data, want, got.len) == 0));
        if (run.finished)
            CU_ASSERT_EQUAL(got.len, n);
        if (s->done[run.task]) {
            CU_ASSERT(run.finished && !run.gaps);
            n_found++;
        }
    }
    CU_ASSERT_EQUAL(n_found, n_done);
    CU_ASSERT_EQUAL(damage.n, damage.unfinished);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    buf_release(&got);
    return n_done;
}

static void test_killed_writers(void)
{
    const char *seed = getenv("HQ_TEST_SEED");
    uint64_t random = seed ? strtoul(seed, NULL, 10) : (uint64_t)getpid();
    uint32_t n_logs = getenv("HQ_TEST_LONG") ? LOGS_LONG : LOGS;
    printf("\n    HQ_TEST_SEED=%lu ", (unsigned long)random);
    (void)fflush(stdout);
    struct survivors *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(s != MAP_FAILED);
    for (uint32_t log = 0; log < n_logs; log++) {
        struct rig r;
        uint32_t n_done = 0, life_max_us = LIFE_US;
        memset(s, 0, sizeof *s);
        rig_init(&r, "AbC123");
        s->server.uid = "AbC123";
        for (uint32_t i = 0; i < KILLS_A_LOG || n_done == 0; i++) {
            kill_one(&r, s, i + 1, 200 + next_random(&random) % life_max_us);
            if (i % 8 != 7)
                continue;
            n_done = check_log(r.path, s);
            if (n_done == 0) /* on a busy machine they did not come so far */
                life_max_us *= 2;
            CU_ASSERT_FATAL(life_max_us < LIFE_MAX_US);
        }
        rig_release(&r);
    }
    (void)munmap(s, sizeof *s);
}

TEST_MAIN("outlog kills", TEST(test_killed_writers))
