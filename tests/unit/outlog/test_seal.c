/* Sealing: the tree holds exactly the blocks, is small, and is found in a few reads. */
#include "logs.h"

static void make_log(struct rig *r, struct lease_book *book, uint32_t n_tasks,
                     bool compress, bool close_extents)
{
    struct maker a, b;
    book_init(book);
    maker_open(&a, book, 1, r->path, compress);
    maker_open(&b, book, 2, r->path, compress);
    for (uint32_t i = 0; i < n_tasks; i++) /* 7919 is prime: all ids, mixed up */
        maker_task(i % 2 ? &a : &b, 1 + i % 3, (uint32_t)((uint64_t)i * 7919 % n_tasks),
                   0, 120, 1);
    maker_close(&a, close_extents);
    maker_close(&b, close_extents);
}

static void lookup(const char *path, uint32_t job, uint32_t task, uint64_t max_reads,
                   uint64_t max_bytes)
{
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    struct outlog_reader_stats stats;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_seek(it, job, task, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT_EQUAL(run.job, job);
    CU_ASSERT_EQUAL(run.task, task);
    CU_ASSERT(run.finished && run_is_right(reader, &run));
    outlog_reader_get_stats(reader, &stats);
    CU_ASSERT(stats.reads <= max_reads);
    CU_ASSERT(stats.bytes_read <= max_bytes);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
}

/* The largest ids are what a walk over all runs finds. */
static void check_largest(const char *path)
{
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct outlog_ids ids, want = {0};
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(outlog_reader_largest_ids(reader, &ids, &err), 0);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    while (outlog_runs_next(it, &run, &err) == 1) {
        want.job = MAX(want.job, run.job);
        want.task = MAX(want.task, run.task);
    }
    CU_ASSERT_EQUAL(ids.job, want.job);
    CU_ASSERT_EQUAL(ids.task, want.task);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
}

static void test_tree(void)
{
    static const struct {
        uint32_t n_tasks;
        bool compress, close_extents;
    } cases[] = {{1, false, true},      {10, false, true},   {3000, false, true},
                 {100000, false, true}, {20000, true, true}, {3000, false, false},
                 {3000, true, false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig r;
        struct lease_book book;
        rig_init(&r, "AbC123");
        make_log(&r, &book, cases[i].n_tasks, cases[i].compress,
                 cases[i].close_extents);
        struct tally before = tally_log(r.path);
        uint32_t last = cases[i].n_tasks - 1; /* written i-th: job 1 + i % 3 */
        uint32_t last_task = (uint32_t)((uint64_t)last * 7919 % cases[i].n_tasks);
        check_largest(r.path);
        lookup(r.path, 1 + last % 3, last_task, UINT64_MAX, UINT64_MAX);
        lookup(r.path, 1, 0, UINT64_MAX, UINT64_MAX);
        struct outlog_seal_result result = seal_log(r.path);
        CU_ASSERT(result.done);
        check_largest(r.path);
        CU_ASSERT_EQUAL(result.n_blocks, 2 * cases[i].n_tasks);
        if (cases[i].n_tasks > 1000) {
            CU_ASSERT(result.index_bytes <= 24 * result.n_blocks);
            printf("(%.1f B a block) ",
                   (double)result.index_bytes / (double)result.n_blocks);
        }
        struct tally after = tally_log(r.path);
        CU_ASSERT_EQUAL(before.whole, cases[i].n_tasks);
        CU_ASSERT_EQUAL(after.whole, cases[i].n_tasks);
        CU_ASSERT_EQUAL(after.damage.n, 0);
        CU_ASSERT(
            outlog_check_clean(&(struct outlog_check_report[]){check_log(r.path)}[0]));
        struct rig_damage damage;
        struct outlog_reader *reader = rig_open(r.path, &damage);
        struct outlog_counts counts;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(outlog_reader_counts(reader, &counts, &err), 0);
        CU_ASSERT_EQUAL(counts.n_tasks, cases[i].n_tasks);
        CU_ASSERT_EQUAL(counts.bytes[0], 120ull * cases[i].n_tasks);
        CU_ASSERT_EQUAL(counts.n_unfinished, 0);
        outlog_reader_destroy(reader);
        uint64_t bytes = cases[i].compress ? 256 << 10 : 64 << 10;
        lookup(r.path, 1 + last % 3, last_task, 14, bytes);
        lookup(r.path, 1, 0, 14, bytes);
        lease_book_release(&book);
        rig_release(&r);
    }
}

/* Extents behind the seal are read besides it; a second seal takes them in. */
static void test_seal_again(void)
{
    struct rig r;
    struct lease_book book;
    rig_init(&r, "AbC123");
    make_log(&r, &book, 3000, false, true);
    struct outlog_seal_result result = seal_log(r.path);
    uint64_t mark;
    (void)lease_book_reserve(&book, result.file_end, &mark);
    for (uint32_t round = 1; round <= 3; round++) {
        struct maker m;
        maker_open(&m, &book, 3, r.path, false);
        for (uint32_t i = 0; i < 500; i++)
            maker_task(&m, 1 + i % 3, i, round, 50, 2);
        maker_close(&m, round != 2);
        struct tally t = tally_log(r.path);
        CU_ASSERT_EQUAL(t.runs, 3000 + 500 * round);
        CU_ASSERT_EQUAL(t.whole, t.runs);
        if (round == 1)
            continue; /* two tails in one seal */
        result = seal_log(r.path);
        CU_ASSERT_EQUAL(result.n_blocks, 6000 + 1500 * round);
        (void)lease_book_reserve(&book, result.file_end, &mark);
        t = tally_log(r.path);
        CU_ASSERT_EQUAL(t.whole, 3000 + 500 * round);
        CU_ASSERT_EQUAL(t.damage.n, 0);
    }
    struct outlog_check_report report = check_log(r.path);
    CU_ASSERT(outlog_check_clean(&report));
    CU_ASSERT_EQUAL(report.n_blocks, 6000 + 4500);
    lease_book_release(&book);
    rig_release(&r);
}

static void test_busy(void)
{
    struct rig r;
    struct lease_book book;
    rig_init(&r, "AbC123");
    book_init(&book);
    struct maker m;
    maker_open(&m, &book, 1, r.path, false);
    maker_task(&m, 1, 1, 0, 10, 1);
    struct outlog_seal_options o = {.now_us = 1};
    struct outlog_seal_result result;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(outlog_seal(r.path, &o, &result, &err), ERR_BUSY);
    maker_close(&m, true);
    o.only_if_useful = true;
    CU_ASSERT_EQUAL(outlog_seal(r.path, &o, &result, &err), 0);
    CU_ASSERT_FALSE(result.done);
    struct stat st;
    CU_ASSERT_EQUAL(stat(r.path, &st), 0);
    CU_ASSERT(st.st_size <= 16384);
    lease_book_release(&book);
    rig_release(&r);
}

/* One bit in each page of a stretch of the index: all tasks are found without it, and
 * the damage is told. */
static void damage_index(const char *path, uint32_t n_tasks, uint64_t from, uint64_t to,
                         uint64_t step)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (uint64_t at = from; at < to; at += step) {
        uint8_t byte;
        CU_ASSERT_EQUAL(pread(fd, &byte, 1, (off_t)at), 1);
        byte ^= 0x10;
        CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, (off_t)at), 1);
        struct tally t = tally_log(path);
        CU_ASSERT_EQUAL(t.whole, n_tasks);
        struct outlog_check_report report = check_log(path);
        CU_ASSERT_EQUAL(report.n_index_damages, 1);
        byte ^= 0x10;
        CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    (void)close(fd);
}

/* The tree is damaged: the extents' own indexes and blocks still tell everything. */
static void test_damaged_tree(void)
{
    struct rig r;
    struct lease_book book;
    uint32_t n_tasks = 50000; /* three levels */
    rig_init(&r, "AbC123");
    make_log(&r, &book, n_tasks, false, true);
    struct outlog_seal_result result = seal_log(r.path);
    uint64_t start = result.file_end - result.index_bytes;
    damage_index(r.path, n_tasks, start + 400, result.file_end, 400 * 1000);
    /* Inner pages and the job table. */
    damage_index(r.path, n_tasks, result.file_end - 10000, result.file_end, 2100);
    CU_ASSERT_EQUAL(tally_log(r.path).damage.n, 0);
    lease_book_release(&book);
    rig_release(&r);
}

TEST_MAIN("outlog seal", TEST(test_tree), TEST(test_seal_again), TEST(test_busy),
          TEST(test_damaged_tree))
