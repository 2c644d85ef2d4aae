/* Batches over a log whose tasks lie mixed up: content, order and damage are the same
 * whatever the number of threads. */
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
    uint64_t window; /* at the end */
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

/* Parts of all tasks in turn, then their ends. */
static void make_log(const char *path, bool compress)
{
    static char text[PART_BYTES];
    struct lease_book book;
    struct maker m;
    book_init(&book);
    maker_open(&m, &book, 1, path, compress);
    for (uint32_t i = 0; i < N_PARTS * N_TASKS; i++) {
        uint32_t task = i % N_TASKS, seq = i / N_TASKS;
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

static struct seen see(const char *path, uint32_t n_threads, uint64_t window)
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
    b.n_threads = n_threads;
    b.window = window;
    while (outlog_runs_next(it, &run, &err) == 1)
        CU_ASSERT_EQUAL(add_run(&b, &run), 0);
    CU_ASSERT_EQUAL(log_batch_flush(&b, &err), 0);
    s.window = b.window;
    log_batch_release(&b);
    outlog_runs_destroy(it);
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

static void check_threads(const char *path, bool damaged)
{
    struct seen one = see(path, 1, UINT64_MAX);
    CU_ASSERT_EQUAL(one.n_marks, N_TASKS);
    CU_ASSERT_EQUAL(one.n_ends, N_TASKS);
    CU_ASSERT_EQUAL(one.damage.len > 0, damaged);
    CU_ASSERT_EQUAL(one.bytes.len > N_TASKS * N_PARTS * PART_BYTES, !damaged);
    for (uint32_t n = 2; n <= PARALLEL_MAX; n += 3) {
        struct seen many = see(path, n, UINT64_MAX);
        CU_ASSERT(same(&one.bytes, &many.bytes));
        CU_ASSERT_STRING_EQUAL(buf_cstr(&one.damage), buf_cstr(&many.damage));
        CU_ASSERT_EQUAL(many.n_ends, one.n_ends);
        release(&many);
    }
    struct seen small = see(path, 2, 3 * PART_BYTES);
    CU_ASSERT(same(&one.bytes, &small.bytes));
    release(&small);
    release(&one);
}

static void test_threads(void)
{
    for (int compress = 0; compress < 2; compress++) {
        struct rig r;
        rig_init(&r, "AbC123");
        make_log(r.path, compress);
        check_threads(r.path, false);
        flip_bytes(r.path);
        check_threads(r.path, true);
        rig_release(&r);
    }
}

/* Batches grow where groups would be unpacked often, but leave memory to others. */
static void test_little_memory(void)
{
    struct rig r;
    struct rlimit limit, little;
    if (HQ_SANITIZED)
        return;
    rig_init(&r, "AbC123");
    make_log(r.path, true);
    struct seen much = see(r.path, 2, 1500000);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_AS, &limit), 0);
    little = limit;
    little.rlim_cur = 80u << 20;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_AS, &little), 0);
    struct seen less = see(r.path, 2, 1500000);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);
    CU_ASSERT(same(&much.bytes, &less.bytes));
    CU_ASSERT_EQUAL(much.window, 6000000);
    CU_ASSERT_EQUAL(less.window, 5u << 20);
    release(&much);
    release(&less);
    rig_release(&r);
}

/* An index may claim any size. */
static void test_lying_size(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    make_log(r.path, false);
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

TEST_MAIN("log_batch", TEST(test_threads), TEST(test_little_memory),
          TEST(test_lying_size))
