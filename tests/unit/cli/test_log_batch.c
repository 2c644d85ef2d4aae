/* Batches over a log whose tasks lie mixed up: content, order and damage are the same
 * whatever the number of threads and the memory. */
#include "cli/log_batch.h"

#include <sys/resource.h>
#include "../outlog/logs.h"

/* Address space is what sanitizers have no limit to. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HQ_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HQ_SANITIZED 1
#endif
#endif
#ifndef HQ_SANITIZED
#define HQ_SANITIZED 0
#endif

#define N_TASKS 48u
#define N_PARTS 10u
#define PART_BYTES 9000u

/* What a batch gave out, as one checksum over content and order. */
struct seen {
    struct buf bytes, damage;
    uint64_t n_ends, n_marks;
    uint64_t memory, room; /* allowed, and taken for content */
    uint64_t unpacked;
};

/* How it was read. */
struct way {
    uint32_t n_threads;
    uint64_t piece, memory; /* memory 0: as much as the machine allows */
    size_t items_max;       /* 0: the usual */
};

static void see_mark(void *arg, uint64_t a, uint64_t b)
{
    struct seen *s = arg;
    buf_printf(&s->bytes, "<%llu.%llu>", (unsigned long long)a, (unsigned long long)b);
    s->n_marks++;
}

static void see_data(void *arg, const struct outlog_entry *e, const uint8_t *p,
                     size_t n)
{
    struct seen *s = arg;
    buf_printf(&s->bytes, "[%u.%u]", e->key.task, e->key.seq);
    buf_append(&s->bytes, p, n);
}

static void see_end(void *arg, const struct outlog_end *end)
{
    struct seen *s = arg;
    s->n_ends += end && end->bytes[OUTLOG_STDOUT] == N_PARTS * PART_BYTES ? 1 : 0;
}

static void see_damage(void *arg, const struct outlog_damage *d)
{
    struct seen *s = arg;
    buf_printf(&s->damage, "%s at %llu: %llu\n", d->what, (unsigned long long)d->offset,
               (unsigned long long)d->bytes);
}

static const struct log_batch_events events = {
    .on_mark = see_mark, .on_data = see_data, .on_end = see_end};

/* Parts of all tasks in turn or, unmixed, task by task; then their ends. */
static void make_log(const char *path, bool compress, bool mixed)
{
    static char text[PART_BYTES];
    struct lease_book book;
    struct maker m;
    book_init(&book);
    maker_open(&m, &book, 1, path, compress);
    for (uint32_t i = 0; i < N_PARTS * N_TASKS; i++) {
        uint32_t task = mixed ? i % N_TASKS : i / N_PARTS;
        uint32_t seq = mixed ? i / N_TASKS : i % N_PARTS;
        for (size_t at = 0; at < sizeof text;)
            at += (size_t)snprintf(text + at, sizeof text - at, "%u %u %zu\n", task,
                                   seq, at * 7919 % 104729);
        struct outlog_block b = {.type = OUTLOG_BLOCK_STDOUT,
                                 .stored = PART_BYTES,
                                 .job = 1,
                                 .task = task,
                                 .seq = seq};
        maker_block(&m, b, text);
    }
    for (uint32_t task = 0; task < N_TASKS; task++) {
        struct outlog_end end = {.state = OUTLOG_FINISHED,
                                 .channels = 1,
                                 .bytes = {N_PARTS * PART_BYTES, 0}};
        uint8_t raw[OUTLOG_END_BYTES];
        outlog_end_encode(&end, raw);
        struct outlog_block b = {.type = OUTLOG_BLOCK_EVENT,
                                 .flags = OUTLOG_FLAG_END,
                                 .stored = OUTLOG_END_BYTES,
                                 .job = 1,
                                 .task = task,
                                 .seq = N_PARTS};
        maker_block(&m, b, raw);
    }
    maker_close(&m, true);
    lease_book_release(&book);
}

static void flip_bytes(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0);
    /* The second extent, behind a hole. */
    for (off_t at = (1 << 20) + 20000; at < (1 << 20) + 300000; at += 70000) {
        uint8_t c;
        CU_ASSERT_EQUAL(pread(fd, &c, 1, at), 1);
        c ^= 0x55;
        CU_ASSERT_EQUAL(pwrite(fd, &c, 1, at), 1);
    }
    (void)close(fd);
}

static int add_run(struct log_batch *b, const struct outlog_run *run)
{
    struct error err = ERROR_INIT;
    int rc = log_batch_mark(b, run->job, run->task, &err);
    for (size_t i = 0; i < run->n_refs && rc == 0; i++)
        rc = run->refs[i].e.flags & OUTLOG_FLAG_END
                 ? log_batch_add_end(b, &run->refs[i], &err)
                 : log_batch_add(b, &run->refs[i], &err);
    return rc;
}

static struct seen see(const char *path, struct way way)
{
    struct seen s = {.bytes = BUF_INIT(BUF_MAX_DEFAULT),
                     .damage = BUF_INIT(BUF_MAX_DEFAULT)};
    struct outlog_reader *r;
    struct outlog_runs *it;
    struct outlog_run run;
    struct log_batch b;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_reader_open(&r, path, NULL, &err), 0);
    outlog_reader_on_damage(r, see_damage, &s);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, r, &err), 0);
    log_batch_init(&b, r, &events, &s);
    b.n_threads = way.n_threads;
    b.piece = way.piece;
    b.memory = way.memory;
    b.items_max = way.items_max ? way.items_max : b.items_max;
    while (outlog_runs_next(it, &run, &err) == 1)
        CU_ASSERT_EQUAL(add_run(&b, &run), 0);
    CU_ASSERT_EQUAL(log_batch_flush(&b, &err), 0);
    s.memory = b.memory;
    s.room = b.data.cap;
    log_batch_release(&b);
    outlog_runs_destroy(it);
    struct outlog_reader_stats stats;
    outlog_reader_get_stats(r, &stats);
    s.unpacked = stats.bytes_unpacked;
    outlog_reader_destroy(r);
    CU_ASSERT(!s.bytes.failed && !s.damage.failed);
    return s;
}

static void release(struct seen *s)
{
    buf_release(&s->bytes);
    buf_release(&s->damage);
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

#define ALL_BYTES ((uint64_t)N_TASKS * N_PARTS * PART_BYTES)
static const struct way at_once = {.n_threads = 1, .piece = UINT64_MAX};

static void check_ways(const char *path, bool damaged)
{
    static const struct way ways[] = {
        {2, UINT64_MAX, 0, 0},
        {5, UINT64_MAX, 0, 0},
        {PARALLEL_MAX, UINT64_MAX, 0, 0},
        {2, 3 * PART_BYTES, 0, 0}, /* more is read at once, since it is mixed */
        {2, 3 * PART_BYTES, 1, 0},
        {2, 3 * PART_BYTES, ALL_BYTES / 3, 0},
        {2, UINT64_MAX, 0, 7},
        {2, 3 * PART_BYTES, ALL_BYTES / 3, 7},
    };
    struct seen one = see(path, at_once);
    CU_ASSERT_EQUAL(one.n_marks, N_TASKS);
    CU_ASSERT_EQUAL(one.n_ends, N_TASKS);
    CU_ASSERT_EQUAL(one.damage.len > 0, damaged);
    CU_ASSERT_EQUAL(one.bytes.len > ALL_BYTES, !damaged);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct seen other = see(path, ways[i]);
        CU_ASSERT(same(&one.bytes, &other.bytes));
        CU_ASSERT_EQUAL(other.n_ends, one.n_ends);
        /* Reading again tells the damage again, which its listener knows. */
        if (ways[i].piece == UINT64_MAX && !ways[i].items_max)
            CU_ASSERT_STRING_EQUAL(buf_cstr(&one.damage), buf_cstr(&other.damage));
        release(&other);
    }
    release(&one);
}

static void test_ways(void)
{
    for (int compress = 0; compress < 2; compress++) {
        struct rig r;
        rig_init(&r, "AbC123");
        make_log(r.path, compress, true);
        check_ways(r.path, false);
        flip_bytes(r.path);
        check_ways(r.path, true);
        rig_release(&r);
    }
}

/* More is read at once where groups would else be unpacked often, and only there, as
 * far as there is memory. */
static void test_pieces(void)
{
    static const struct way little = {2, 400000, 1, 0}, enough = {2, 400000, 0, 0},
                            few = {2, 400000, 0, N_TASKS};
    for (int mixed = 0; mixed < 2; mixed++) {
        struct rig r;
        rig_init(&r, "AbC123");
        make_log(r.path, true, mixed);
        struct seen one = see(r.path, at_once), all = see(r.path, enough),
                    less = see(r.path, little), counted = see(r.path, few);
        CU_ASSERT(all.unpacked <= one.unpacked + one.unpacked / 4);
        CU_ASSERT(counted.unpacked <= one.unpacked + one.unpacked / 2);
        if (mixed) {
            CU_ASSERT(all.room >= ALL_BYTES / 2);
            CU_ASSERT(less.unpacked > 5 * one.unpacked);
        } else {
            CU_ASSERT(all.room < ALL_BYTES / 2);
        }
        CU_ASSERT(less.room < ALL_BYTES / 4);
        release(&one);
        release(&all);
        release(&less);
        release(&counted);
        rig_release(&r);
    }
}

static void test_memory(void)
{
    struct rig r;
    struct rlimit limit, little;
    struct way way = {2, 1500000, 0, 0};
    if (HQ_SANITIZED)
        return;
    rig_init(&r, "AbC123");
    make_log(r.path, true, true);
    struct seen much = see(r.path, way);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_AS, &limit), 0);
    little = limit;
    little.rlim_cur = 80u << 20;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_AS, &little), 0);
    struct seen less = see(r.path, way);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);
    CU_ASSERT(same(&much.bytes, &less.bytes));
    CU_ASSERT(much.memory > less.memory);
    CU_ASSERT_EQUAL(less.memory, 5u << 20);
    release(&much);
    release(&less);
    rig_release(&r);
}

/* An index may claim any size. */
static void test_lying_size(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    make_log(r.path, false, true);
    struct seen s = {.bytes = BUF_INIT(BUF_MAX_DEFAULT),
                     .damage = BUF_INIT(BUF_MAX_DEFAULT)};
    struct outlog_reader *reader;
    struct outlog_runs *it;
    struct outlog_run run;
    struct log_batch b;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_reader_open(&reader, r.path, NULL, &err), 0);
    outlog_reader_on_damage(reader, see_damage, &s);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_next(it, &run, &err), 1);
    struct outlog_ref ref = run.refs[0];
    log_batch_init(&b, reader, &events, &s);
    static const uint32_t sizes[] = {UINT32_MAX, OUTLOG_PAYLOAD_MAX, PART_BYTES + 1, 0};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        ref.e.output = sizes[i];
        CU_ASSERT_EQUAL(log_batch_add(&b, &ref, &err), 0);
    }
    CU_ASSERT_EQUAL(log_batch_flush(&b, &err), 0);
    CU_ASSERT_EQUAL(s.bytes.len, 0);
    CU_ASSERT(s.damage.len > 0);
    log_batch_release(&b);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    release(&s);
    rig_release(&r);
}

TEST_MAIN("log_batch", TEST(test_ways), TEST(test_pieces), TEST(test_memory),
          TEST(test_lying_size))
