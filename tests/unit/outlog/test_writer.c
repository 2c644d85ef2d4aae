/* The writer end to end: what tasks print is in the log, exactly once and in order. */
#include "rig.h"

/* Text that a task prints, different for each task. */
static void make_text(struct buf *b, uint32_t task, size_t n)
{
    while (b->len < n)
        buf_printf(b, "task %u line %zu\n", task, b->len);
    b->len = n;
}

static void check_run(struct outlog_reader *reader, const struct outlog_run *run,
                      size_t out_bytes, size_t err_bytes)
{
    struct buf want = BUF_INIT(1 << 26), got = BUF_INIT(1 << 26);
    make_text(&want, run->task, out_bytes);
    rig_output(reader, run, OUTLOG_STDOUT, &got);
    CU_ASSERT_EQUAL(got.len, want.len);
    CU_ASSERT(got.len == want.len &&
              (got.len == 0 || memcmp(got.data, want.data, got.len) == 0));
    buf_clear(&got);
    rig_output(reader, run, OUTLOG_STDERR, &got);
    CU_ASSERT_EQUAL(got.len, err_bytes);
    buf_release(&want);
    buf_release(&got);
}

static size_t size_of_task(uint32_t task)
{
    static const size_t sizes[] = {0, 1, 7, 8, 100, 4096, 65536, 300000};
    return sizes[task % ARRAY_SIZE(sizes)];
}

static void write_tasks(struct rig *r, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        struct rig_task t;
        rig_begin(r, &t, 1, i, 0);
        struct buf text = BUF_INIT(1 << 26);
        make_text(&text, i, size_of_task(i));
        rig_print(r, &t, OUTLOG_STDOUT, text.data, text.len);
        if (i % 3 == 0)
            rig_print(r, &t, OUTLOG_STDERR, "oops", 4);
        buf_release(&text);
        rig_finish(r, &t, i % 5 == 0 ? 3 : 0);
        CU_ASSERT_FATAL(rig_until(r, &t.done));
        CU_ASSERT_EQUAL(t.err.code, 0);
    }
}

static void check_tasks(const char *path, uint32_t n)
{
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    uint32_t seen = 0;
    while (outlog_runs_next(it, &run, &err) == 1) {
        CU_ASSERT_EQUAL(run.task, seen);
        CU_ASSERT(run.finished && run.newest && !run.gaps);
        CU_ASSERT_EQUAL(run.state, run.task % 5 == 0 ? OUTLOG_FAILED : OUTLOG_FINISHED);
        check_run(reader, &run, size_of_task(run.task), run.task % 3 == 0 ? 4 : 0);
        struct outlog_end end;
        CU_ASSERT_EQUAL(outlog_read_end(reader, &run.refs[run.n_refs - 1], &end), 0);
        CU_ASSERT_EQUAL(end.exit_code, run.task % 5 == 0 ? 3 : 0);
        CU_ASSERT_EQUAL(end.bytes[OUTLOG_STDOUT], size_of_task(run.task));
        CU_ASSERT_EQUAL(end.channels, 3);
        struct outlog_origin origin;
        CU_ASSERT(outlog_read_origin(reader, &run.refs[0], &origin));
        CU_ASSERT_STRING_EQUAL(origin.host, "node1");
        seen++;
    }
    CU_ASSERT_EQUAL(seen, n);
    CU_ASSERT_EQUAL(damage.n, 0);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
}

static void test_round_trip(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    write_tasks(&r, 0, 60);
    check_tasks(r.path, 60); /* still being written */
    check_tasks(r.dir, 60);
    rig_stop(&r);
    check_tasks(r.path, 60); /* closed */
    CU_ASSERT_EQUAL(r.own_server.book.n_open, 0);
    CU_ASSERT_EQUAL(r.closed, 1);
    rig_release(&r);
}

static void test_crash(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    write_tasks(&r, 0, 40);
    rig_crash(&r);
    check_tasks(r.path, 40);
    r.worker = 2;
    rig_release(&r);
}

static void test_compressed(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){.compress = true});
    write_tasks(&r, 0, 60);
    check_tasks(r.path, 60);
    rig_stop(&r);
    check_tasks(r.path, 60);
    struct stat st;
    CU_ASSERT_EQUAL(stat(r.path, &st), 0);
    CU_ASSERT(st.st_blocks * 512 < 2000000); /* 2.7 MB of text went in */
    rig_release(&r);
}

static void test_resumed_log(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    write_tasks(&r, 0, 20);
    rig_crash(&r);
    /* The server comes back from its journal, so does a worker. */
    struct outlog_ident ident = r.own_server.book.ident;
    lease_book_release(&r.own_server.book);
    lease_book_restore(&r.own_server.book, &ident, r.own_server.last_mark);
    r.worker = 2;
    rig_start(&r, (struct outlog_writer_config){0});
    struct rig_task t;
    rig_begin(&r, &t, 2, 7, 0);
    rig_print(&r, &t, OUTLOG_STDOUT, "again", 5);
    rig_finish(&r, &t, 0);
    CU_ASSERT(rig_until(&r, &t.done));
    rig_stop(&r);
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(r.path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_seek(it, 2, 0, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT_EQUAL(run.job, 2);
    CU_ASSERT_EQUAL(run.task, 7);
    CU_ASSERT_EQUAL(run.bytes[0], 5);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_seek(it, 1, 19, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT_EQUAL(run.task, 19);
    CU_ASSERT_EQUAL(damage.n, 0);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    rig_release(&r);
}

static void test_superseded(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    struct rig_task t0, t1;
    rig_begin(&r, &t0, 1, 0, 0);
    rig_print(&r, &t0, OUTLOG_STDOUT, "old", 3);
    rig_begin(&r, &t1, 1, 0, 2);
    rig_print(&r, &t1, OUTLOG_STDOUT, "newer", 5);
    rig_finish(&r, &t1, 0);
    CU_ASSERT(rig_until(&r, &t1.done));
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(r.path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT(run.instance == 0 && !run.newest && !run.finished && run.bytes[0] == 3);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT(run.instance == 2 && run.newest && run.finished && run.bytes[0] == 5);
    CU_ASSERT_EQUAL(run.refs[0].e.type, OUTLOG_BLOCK_EVENT); /* marks the new run */
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 0);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    rig_finish(&r, &t0, 1);
    rig_stop(&r);
    rig_release(&r);
}

static void test_by_time(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    struct rig_task a, b;
    rig_begin(&r, &a, 1, 1, 0);
    rig_begin(&r, &b, 2, 5, 0);
    static char big[60000];
    for (int i = 0; i < 100; i++) {
        rig_print(&r, i % 2 ? &a : &b, i % 3 ? OUTLOG_STDOUT : OUTLOG_STDERR, big,
                  sizeof big);
        rig_round(&r, 0);
    }
    rig_finish(&r, &a, 0);
    rig_finish(&r, &b, 0);
    rig_stop(&r);
    static const struct {
        struct outlog_block_filter filter;
        unsigned n; /* prints of 60 000 bytes */
    } cases[] = {
        {{.any_job = true, .channel = -1}, 100},
        {{.any_job = true, .channel = -1, .in_place = true}, 100},
        {{.job = 1, .channel = -1}, 50},
        {{.any_job = true, .channel = OUTLOG_STDERR}, 34},
        {{.job = 2, .channel = OUTLOG_STDOUT}, 33},
        {{.job = 3, .channel = -1}, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig_damage damage;
        struct outlog_reader *reader = rig_open(r.path, &damage);
        struct outlog_blocks *it;
        struct outlog_ref ref;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL_FATAL(outlog_blocks_create(&it, reader, &cases[i].filter, &err),
                              0);
        uint64_t bytes = 0, last_us = 0;
        while (outlog_blocks_next(it, &ref, &err) == 1) {
            CU_ASSERT(ref.e.time_us >= last_us);
            last_us = ref.e.time_us;
            bytes += ref.e.output;
            CU_ASSERT(ref.e.output == 0 || outlog_blocks_data(it) != NULL);
        }
        CU_ASSERT_EQUAL(bytes, cases[i].n * (uint64_t)sizeof big);
        CU_ASSERT_EQUAL(damage.n, 0);
        outlog_blocks_destroy(it);
        outlog_reader_destroy(reader);
    }
    rig_release(&r);
}

/* No lease comes: buffers fill, the writer pauses, and goes on when space is there. */
static void test_back_pressure(void)
{
    struct rig r;
    struct outlog_io_ops one_thread = outlog_posix_ops;
    one_thread.any_thread = NULL;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){.io = &one_thread});
    struct rig_task t;
    rig_begin(&r, &t, 1, 0, 0);
    r.own_server.silent = true;
    static char big[65536];
    struct error err = ERROR_INIT;
    uint64_t retry_us;
    uint64_t taken = 0;
    int rc = OUTLOG_READY;
    while (rc != OUTLOG_PAUSED && taken < (64u << 20)) {
        CU_ASSERT_FATAL(write(t.pipes[0], big, sizeof big) == sizeof big);
        do {
            rc = outlog_task_read(t.handle, OUTLOG_STDOUT, t.ends[0], true, r.now_us,
                                  &retry_us, &err);
            taken += rc == OUTLOG_READY ? sizeof big : 0;
        } while (rc == OUTLOG_READY);
    }
    CU_ASSERT_EQUAL(rc, OUTLOG_PAUSED);
    CU_ASSERT(taken < (4u << 20));
    CU_ASSERT_FALSE(r.resumed);
    /* What the task ends with waits too. */
    r.own_server.silent = false;
    outlog_writer_reconnected(r.w);
    CU_ASSERT(rig_until(&r, &r.resumed));
    while ((rc = outlog_task_read(t.handle, OUTLOG_STDOUT, t.ends[0], true, r.now_us,
                                  &retry_us, &err)) != OUTLOG_AGAIN)
        if (rc == OUTLOG_PAUSED)
            rig_round(&r, 10);
    rig_finish(&r, &t, 0);
    CU_ASSERT(rig_until(&r, &t.done));
    CU_ASSERT_EQUAL(t.err.code, 0);
    rig_stop(&r);
    rig_release(&r);
}

static void test_refused(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    r.own_server.refuse = true;
    struct rig_task t = {0};
    struct outlog_task_params p = {.path = r.path, .job = 1, .channels = 1, .user = &t};
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(outlog_task_begin(r.w, &p, r.now_us, &t.handle, &err),
                    OUTLOG_PENDING);
    CU_ASSERT(rig_until(&r, &t.ready));
    CU_ASSERT_STRING_EQUAL(t.err.text, "Streaming: no such stream");
    /* A later task asks again. */
    r.own_server.refuse = false;
    rig_begin(&r, &t, 1, 1, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t.handle);
    rig_finish(&r, &t, 0);
    CU_ASSERT(rig_until(&r, &t.done));
    rig_stop(&r);
    rig_release(&r);
}

static void test_bad_directory(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    struct buf path = BUF_INIT(256);
    buf_printf(&path, "%s/file", r.dir);
    int fd = open(buf_cstr(&path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT(fd >= 0);
    (void)close(fd);
    buf_puts(&path, "/dir/x.hqlog");
    struct rig_task t = {0};
    struct outlog_task_params p = {
        .path = buf_cstr(&path), .job = 1, .channels = 1, .user = &t};
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(outlog_task_begin(r.w, &p, r.now_us, &t.handle, &err),
                    OUTLOG_PENDING);
    CU_ASSERT(rig_until(&r, &t.ready));
    struct buf want = BUF_INIT(256);
    buf_printf(&want, "Error: Cannot create stream directory %s/file/dir: ", r.dir);
    CU_ASSERT(strncmp(t.err.text, buf_cstr(&want), want.len) == 0);
    buf_release(&want);
    buf_release(&path);
    rig_stop(&r);
    rig_release(&r);
}

/* Of another server: refused by name; with replace it is moved aside. */
static void test_foreign_file(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    write_tasks(&r, 0, 3);
    rig_stop(&r);
    struct rig_server other = {.uid = "xYz789"};
    r.server = &other;
    rig_start(&r, (struct outlog_writer_config){0});
    struct rig_task t = {0};
    struct outlog_task_params p = {.path = r.path, .job = 1, .channels = 1, .user = &t};
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(outlog_task_begin(r.w, &p, r.now_us, &t.handle, &err),
                    OUTLOG_PENDING);
    CU_ASSERT(rig_until(&r, &t.ready));
    CU_ASSERT_PTR_NULL(t.handle);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.err.text, "AbC123"));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.err.text, "--log-replace"));
    check_tasks(r.path, 3);
    t = (struct rig_task){0};
    p.replace = true;
    CU_ASSERT_EQUAL(outlog_task_begin(r.w, &p, r.now_us, &t.handle, &err),
                    OUTLOG_PENDING);
    CU_ASSERT(rig_until(&r, &t.ready));
    CU_ASSERT_PTR_NOT_NULL_FATAL(t.handle);
    struct outlog_end end = {.state = OUTLOG_FINISHED};
    outlog_task_end(t.handle, &end, 0, r.now_us);
    CU_ASSERT(rig_until(&r, &t.done));
    rig_stop(&r);
    struct buf old = BUF_INIT(256);
    buf_printf(&old, "%s.AbC123.old", r.path);
    check_tasks(buf_cstr(&old), 3);
    buf_release(&old);
    lease_book_release(&other.book);
    rig_release(&r);
}

static void test_idle_close(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    write_tasks(&r, 0, 2);
    r.now_us += 3000000;
    for (int i = 0; i < 100 && r.closed == 0; i++)
        rig_round(&r, 10);
    CU_ASSERT_EQUAL(r.closed, 1);
    struct outlog_writer_stats stats;
    outlog_writer_get_stats(r.w, &stats);
    CU_ASSERT_EQUAL(stats.logs, 0);
    /* One small task costs little disk. */
    struct stat st;
    CU_ASSERT_EQUAL(stat(r.path, &st), 0);
    CU_ASSERT(st.st_blocks * 512 <= 16384);
    write_tasks(&r, 2, 2); /* opens it again */
    rig_stop(&r);
    check_tasks(r.path, 4);
    rig_release(&r);
}

TEST_MAIN("outlog writer", TEST(test_round_trip), TEST(test_crash),
          TEST(test_compressed), TEST(test_resumed_log), TEST(test_superseded),
          TEST(test_by_time), TEST(test_back_pressure), TEST(test_refused),
          TEST(test_bad_directory), TEST(test_foreign_file), TEST(test_idle_close))
