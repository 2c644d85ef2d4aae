/* Tasks that print much: I/O threads read and write them, on lanes of the log. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include "outlog/check.h"
#include "rig.h"

#define BYTES_MUCH ((size_t)24 << 20)

/* A program that prints as fast as its pipe takes it. */
struct printer {
    struct rig_task t;
    pthread_t thread;
    size_t bytes; /* to print */
    uint32_t seed;
    bool at_end; /* the pipe was read to its end */
};

/* What is printed repeats itself; no piece of it is like another. */
#define PATTERN_BYTES 1000003u
#define SEED_STEP 7919u /* between two tasks */
static uint8_t pattern[PATTERN_BYTES];

static void make_pattern(void)
{
    if (pattern[0])
        return;
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern[i] = (uint8_t)x;
    }
}

/* The printed bytes from `at` on: at most n, as many as lie together. */
static const uint8_t *printed(uint32_t seed, size_t at, size_t *n)
{
    size_t from = (seed + at) % PATTERN_BYTES;
    *n = MIN(*n, PATTERN_BYTES - from);
    return pattern + from;
}

static bool is_printed(uint32_t seed, const uint8_t *p, size_t n)
{
    bool same = true;
    for (size_t at = 0, part; at < n && same; at += part) {
        part = n - at;
        const uint8_t *want = printed(seed, at, &part);
        same = memcmp(p + at, want, part) == 0;
    }
    return same;
}

static void *print_all(void *arg)
{
    struct printer *p = arg;
    for (size_t at = 0; at < p->bytes;) {
        size_t n = MIN((size_t)40000, p->bytes - at);
        const uint8_t *from = printed(p->seed, at, &n);
        ssize_t r = write(p->t.pipes[OUTLOG_STDOUT], from, n);
        if (r <= 0)
            return NULL; /* nobody reads any more */
        at += (size_t)r;
    }
    (void)close(p->t.pipes[OUTLOG_STDOUT]);
    p->t.pipes[OUTLOG_STDOUT] = -1;
    return NULL;
}

static void printer_start(struct rig *r, struct printer *p, uint32_t task, size_t bytes)
{
    make_pattern();
    (void)signal(SIGPIPE, SIG_IGN);
    *p = (struct printer){.bytes = bytes, .seed = task * SEED_STEP};
    rig_begin(r, &p->t, 1, task, 0);
    int fd = p->t.pipes[OUTLOG_STDOUT];
    CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, 0), 0); /* programs block */
    CU_ASSERT_EQUAL_FATAL(pthread_create(&p->thread, NULL, print_all, p), 0);
}

/* What the worker does when the pipe is readable. */
static void printer_read(struct rig *r, struct printer *p)
{
    struct error err = ERROR_INIT;
    uint64_t retry_us;
    int rc = OUTLOG_READY;
    for (int i = 0; i < 4 && rc == OUTLOG_READY && !p->at_end && !p->t.lent; i++) {
        rc = outlog_task_read(p->t.handle, OUTLOG_STDOUT, p->t.ends[OUTLOG_STDOUT],
                              true, r->now_us, &retry_us, &err);
        p->t.lent = rc == OUTLOG_LENT;
        p->at_end = rc <= OUTLOG_EOF;
    }
}

static bool all_at_end(const struct printer *p, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < n; i++)
        all &= p[i].at_end;
    return all;
}

static void printers_run(struct rig *r, struct printer *p, size_t n)
{
    uint64_t end_us = clock_mono_us() + 60000000;
    while (!all_at_end(p, n) && clock_mono_us() < end_us) {
        for (size_t i = 0; i < n; i++)
            printer_read(r, &p[i]);
        rig_wait(r, 1);
    }
    CU_ASSERT_FATAL(all_at_end(p, n));
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(pthread_join(p[i].thread, NULL), 0);
        rig_finish(r, &p[i].t, 0);
    }
    for (size_t i = 0; i < n; i++)
        CU_ASSERT(rig_until(r, &p[i].t.done));
}

/* The task's whole output is in the log, in order. */
static void check_output(struct rig *r, const struct printer *p, size_t n, size_t bytes)
{
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(r->path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    struct buf got = BUF_INIT(BYTES_MUCH * 2);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL_FATAL(outlog_runs_next(it, &run, &err), 1);
        CU_ASSERT(run.finished && !run.gaps);
        buf_clear(&got);
        rig_output(reader, &run, OUTLOG_STDOUT, &got);
        CU_ASSERT(got.len >= bytes && is_printed(p[i].seed, got.data, bytes));
        CU_ASSERT(bytes < p[i].bytes || got.len == bytes);
    }
    outlog_runs_destroy(it);
    struct outlog_check_report report;
    CU_ASSERT_EQUAL(outlog_check(reader, NULL, NULL, &report, &err), 0);
    CU_ASSERT_EQUAL(report.n_damages, 0);
    CU_ASSERT_EQUAL(damage.n, damage.unfinished); /* lanes may be closing */
    outlog_reader_destroy(reader);
    buf_release(&got);
}

/* More of them than threads, beside one that prints little. */
static void test_whole(void)
{
    struct rig r;
    struct printer p[4];
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){.n_pullers = 2, .compress = true});
    for (uint32_t i = 0; i < ARRAY_SIZE(p); i++)
        printer_start(&r, &p[i], i, i == 3 ? 1000 : BYTES_MUCH);
    printers_run(&r, p, ARRAY_SIZE(p));
    for (size_t i = 0; i < ARRAY_SIZE(p); i++)
        CU_ASSERT_EQUAL(p[i].t.err.code, 0);
    CU_ASSERT(r.pulled > BYTES_MUCH); /* a third at least */
    check_output(&r, p, 3, BYTES_MUCH);
    struct outlog_writer_stats stats;
    outlog_writer_get_stats(r.w, &stats);
    CU_ASSERT_EQUAL(stats.logs, 1);
    CU_ASSERT_EQUAL(stats.tasks, 0);
    rig_stop(&r);
    CU_ASSERT_EQUAL(r.closed, 1);
    CU_ASSERT_EQUAL(r.own_server.book.n_open, 0);
    check_output(&r, p, 3, BYTES_MUCH);
    rig_release(&r);
}

/* Space that was reserved for what might be printed is given back. */
static void check_space_used(const char *path)
{
    struct stat st;
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    CU_ASSERT((uint64_t)st.st_blocks * 512 < BYTES_MUCH + (4u << 20));
}

/* A log without tasks is closed with its lanes, and used again. */
static void test_lanes_close(void)
{
    struct rig r;
    struct printer p;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    printer_start(&r, &p, 0, BYTES_MUCH);
    printers_run(&r, &p, 1);
    CU_ASSERT(r.pulled > 0);
    for (int i = 0; i < 100 && r.closed == 0; i++) {
        r.now_us += 100000;
        rig_round(&r, 10);
    }
    CU_ASSERT_EQUAL(r.closed, 1);
    CU_ASSERT_EQUAL(r.own_server.book.n_open, 0);
    check_space_used(r.path);
    printer_start(&r, &p, 1, BYTES_MUCH); /* opens all of it again */
    printers_run(&r, &p, 1);
    rig_stop(&r);
    rig_release(&r);
}

/* What was counted is there after a crash. */
static void test_crash(void)
{
    struct rig r;
    struct printer p;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    printer_start(&r, &p, 0, BYTES_MUCH * 100);
    while (r.pulled < BYTES_MUCH) {
        printer_read(&r, &p);
        rig_wait(&r, 1);
    }
    outlog_writer_destroy(r.w); /* with the channel lent, most of the time */
    r.w = NULL;
    (void)close(p.t.ends[OUTLOG_STDOUT]);
    CU_ASSERT_EQUAL(pthread_join(p.thread, NULL), 0);
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(r.path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT(run.bytes[OUTLOG_STDOUT] >= BYTES_MUCH);
    CU_ASSERT_EQUAL(damage.n, damage.unfinished);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    rig_release(&r);
}

static _Noreturn void print_for_ever(struct rig *r)
{
    struct printer p[2];
    rig_start(r, (struct outlog_writer_config){.compress = true});
    for (uint32_t i = 0; i < ARRAY_SIZE(p); i++)
        printer_start(r, &p[i], i, SIZE_MAX);
    for (;;) {
        for (size_t i = 0; i < ARRAY_SIZE(p); i++)
            printer_read(r, &p[i]);
        rig_wait(r, 1);
    }
}

/* What is there of each run is a beginning of what it printed. Returns its bytes. */
static uint64_t check_beginnings(const char *path)
{
    struct rig_damage damage;
    struct outlog_reader *reader = NULL;
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    uint64_t bytes = 0;
    struct buf got = BUF_INIT(SIZE_MAX / 2);
    struct stat st;
    if (stat(path, &st) != 0 || st.st_size < (off_t)OUTLOG_SUPERBLOCK_BYTES)
        return 0; /* killed before there was a log */
    reader = rig_open(path, &damage);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    while (outlog_runs_next(it, &run, &err) == 1) {
        buf_clear(&got);
        rig_output(reader, &run, OUTLOG_STDOUT, &got);
        CU_ASSERT(!run.gaps && is_printed(run.task * SEED_STEP, got.data, got.len));
        bytes += got.len;
    }
    CU_ASSERT_EQUAL(damage.n, damage.unfinished);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    buf_release(&got);
    return bytes;
}

/* Killed at any time, with several lanes being written. */
static void test_killed(void)
{
    uint64_t bytes = 0, random = (uint64_t)getpid();
    make_pattern();
    for (int i = 0; i < (getenv("HQ_TEST_LONG") ? 300 : 15); i++) {
        struct rig r;
        rig_init(&r, "AbC123");
        pid_t pid = fork();
        CU_ASSERT_FATAL(pid >= 0);
        if (pid == 0)
            print_for_ever(&r);
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        (void)nanosleep(&(struct timespec){0, (long)(random >> 33) % 80000000}, NULL);
        CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
        CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
        bytes += check_beginnings(r.path);
        rig_release(&r);
    }
    CU_ASSERT(bytes > 0);
}

/* Not a byte above the limit, whoever reads. */
static void test_limit(void)
{
    struct rig r;
    struct printer p;
    rig_init(&r, "AbC123");
    r.max_output = 10000001;
    rig_start(&r, (struct outlog_writer_config){0});
    printer_start(&r, &p, 0, BYTES_MUCH);
    printers_run(&r, &p, 1);
    CU_ASSERT(r.pulled > 0);
    CU_ASSERT_EQUAL(p.t.err.code, 0);
    check_output(&r, &p, 1, (size_t)r.max_output);
    rig_stop(&r);
    rig_release(&r);
}

/* The file is taken away: what was in it is lost, and so is the task. */
static void test_removed(void)
{
    struct rig r;
    struct printer p, later;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    printer_start(&r, &p, 0, BYTES_MUCH * 2);
    bool removed = false;
    while (!p.at_end) {
        printer_read(&r, &p);
        rig_wait(&r, 1);
        if (!removed && r.pulled > 0)
            removed = unlink(r.path) == 0;
    }
    CU_ASSERT(removed);
    printers_run(&r, &p, 1);
    CU_ASSERT(p.t.broken);
    CU_ASSERT_PTR_NOT_NULL(strstr(p.t.err.text, "removed while it was written"));
    printer_start(&r, &later, 0, BYTES_MUCH);
    printers_run(&r, &later, 1);
    CU_ASSERT_EQUAL(later.t.err.code, 0);
    rig_stop(&r);
    rig_release(&r);
}

/* The server gives no more space. */
static void test_refused(void)
{
    struct rig r;
    struct printer p;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    printer_start(&r, &p, 0, BYTES_MUCH * 4);
    while (!p.at_end) {
        printer_read(&r, &p);
        rig_wait(&r, 1);
        r.own_server.refuse = r.asked_lease >= 3;
    }
    r.own_server.refuse = false;
    printers_run(&r, &p, 1);
    CU_ASSERT(p.t.broken);
    CU_ASSERT_STRING_EQUAL(p.t.err.text, "Streaming: no space given");
    rig_stop(&r);
    rig_release(&r);
}

static int on_followed(void *arg, const struct outlog_ref *ref, const uint8_t *data,
                       struct error *err UNUSED)
{
    buf_append(arg, data, ref->e.output);
    return 0;
}

/* Who follows gets it in order, though it lies in several extents. */
static void test_follow(void)
{
    struct rig r;
    struct printer p;
    struct rig_damage damage;
    struct error err = ERROR_INIT;
    struct buf got = BUF_INIT(BYTES_MUCH * 4);
    struct outlog_follow *t;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    struct rig_task first; /* makes the log */
    rig_begin(&r, &first, 1, 0, 0);
    CU_ASSERT(rig_until(&r, &first.ready));
    struct outlog_reader *reader = rig_open(r.path, &damage);
    CU_ASSERT_EQUAL_FATAL(outlog_follow_create(&t, reader, &err), 0);
    printer_start(&r, &p, 1, BYTES_MUCH * 3);
    while (!p.at_end) {
        printer_read(&r, &p);
        rig_wait(&r, 1);
        CU_ASSERT(outlog_follow_poll(t, r.now_us, on_followed, &got, &err) >= 0);
    }
    printers_run(&r, &p, 1);
    for (int i = 0; i < 100 && got.len < p.bytes; i++) {
        rig_round(&r, 1);
        CU_ASSERT(outlog_follow_poll(t, r.now_us, on_followed, &got, &err) >= 0);
    }
    CU_ASSERT(r.pulled > 0);
    CU_ASSERT_EQUAL(got.len, p.bytes);
    CU_ASSERT(is_printed(p.seed, got.data, got.len));
    outlog_follow_destroy(t);
    outlog_reader_destroy(reader);
    rig_finish(&r, &first, 0);
    rig_stop(&r);
    rig_release(&r);
    buf_release(&got);
}

TEST_MAIN("outlog pull", TEST(test_whole), TEST(test_lanes_close), TEST(test_crash),
          TEST(test_killed), TEST(test_limit), TEST(test_removed), TEST(test_refused),
          TEST(test_follow))
