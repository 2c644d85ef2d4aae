/*
 * Damage: files cut at any byte, flipped bytes, zeroed spans. Whatever lies outside the
 * damage is read; nothing that was not written is ever shown. HQ_TEST_LONG: ten
 * thousand logs with random damage.
 */
#include "logs.h"
#include "outlog/repair.h"

#define N_TASKS 40u

struct image {
    uint8_t *data;
    size_t len;
};

/* Two writers, one of them killed; tasks with output of all sizes. */
static void make_image(struct rig *r, struct image *im, bool compress, bool sealed)
{
    struct lease_book book;
    book_init(&book);
    struct maker a, b;
    maker_open(&a, &book, 1, r->path, compress);
    maker_open(&b, &book, 2, r->path, compress);
    for (uint32_t i = 0; i < N_TASKS; i++)
        maker_task(i % 2 ? &a : &b, 1, i, 0, i * 37, 1 + i % 3);
    maker_close(&a, true);
    maker_close(&b, false);
    if (sealed)
        CU_ASSERT(seal_log(r->path).done);
    lease_book_release(&book);
    struct buf file = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(path_read_file(r->path, &file, &err), 0);
    im->len = file.len;
    im->data = malloc(file.len);
    memcpy(im->data, file.data, file.len);
    buf_release(&file);
}

/* Only what differs from zero, so that holes stay holes. */
static void put_image(const char *path, const uint8_t *data, size_t len)
{
    static const uint8_t zeros[4096];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    for (size_t at = 0; at < len; at += 4096) {
        size_t n = MIN(len - at, (size_t)4096);
        if (memcmp(data + at, zeros, n) != 0)
            CU_ASSERT_EQUAL(pwrite(fd, data + at, n, (off_t)at), (ssize_t)n);
    }
    CU_ASSERT_EQUAL(ftruncate(fd, (off_t)len), 0);
    (void)close(fd);
}

/* Places worth a look: all bytes that are not zero, thinned out. */
static size_t next_place(const struct image *im, size_t at, size_t step)
{
    at += step;
    while (at < im->len && im->data[at] == 0)
        at++;
    return at;
}

static void check_right(const struct tally *t, uint64_t least)
{
    /* `whole` counts only runs whose bytes are right: a run that reads as finished and
     * gapless but differs would be missing from it. */
    CU_ASSERT(t->rc <= 0);
    CU_ASSERT(t->runs <= N_TASKS);
    CU_ASSERT(t->whole >= least);
}

static void test_truncated(void)
{
    for (int k = 0; k < 4; k++) {
        struct rig r;
        struct image im;
        rig_init(&r, "AbC123");
        make_image(&r, &im, k & 1, k & 2);
        uint64_t whole = N_TASKS;
        for (size_t cut = im.len; cut > 100; cut -= cut > 1100000 ? 4099 : 97) {
            if (cut < 1048576 && cut > 80000)
                cut = 80000; /* a hole */
            put_image(r.path, im.data, cut);
            struct tally t = tally_log(r.path);
            CU_ASSERT(t.rc == 0 || cut < 4096);
            CU_ASSERT(t.whole <= whole); /* what is gone stays gone */
            whole = t.rc == 0 ? t.whole : whole;
            check_right(&t, 0);
        }
        CU_ASSERT_EQUAL(whole, 0);
        free(im.data);
        rig_release(&r);
    }
}

static void test_flipped(void)
{
    for (int k = 0; k < 4; k++) {
        struct rig r;
        struct image im;
        rig_init(&r, "AbC123");
        make_image(&r, &im, k & 1, k & 2);
        put_image(r.path, im.data, im.len);
        CU_ASSERT_EQUAL(tally_log(r.path).whole, N_TASKS);
        int fd = open(r.path, O_RDWR | O_CLOEXEC);
        for (size_t at = 0; at < im.len; at = next_place(&im, at, 61)) {
            uint8_t bad = im.data[at] ^ (uint8_t)(1u << at % 8);
            CU_ASSERT_EQUAL(pwrite(fd, &bad, 1, (off_t)at), 1);
            struct tally t = tally_log(r.path);
            if (t.rc < 0) {
                CU_ASSERT_EQUAL(t.rc, ERR_VERSION); /* refused, by name */
                CU_ASSERT(at < 48);
            } else {
                /* One bit costs at most one block; packed, the blocks of its group. */
                check_right(&t, k & 1 ? 0 : N_TASKS - 1);
                struct outlog_check_report report = check_log(r.path);
                CU_ASSERT(!outlog_check_clean(&report) || report.n_torn > 0);
            }
            CU_ASSERT_EQUAL(pwrite(fd, &im.data[at], 1, (off_t)at), 1);
        }
        (void)close(fd);
        CU_ASSERT_EQUAL(tally_log(r.path).whole, N_TASKS);
        free(im.data);
        rig_release(&r);
    }
}

static void test_zeroed(void)
{
    struct rig r;
    struct image im;
    rig_init(&r, "AbC123");
    make_image(&r, &im, false, false);
    uint8_t *copy = malloc(im.len);
    uint64_t worst = N_TASKS;
    for (size_t at = 0; at < im.len; at += 4096) {
        memcpy(copy, im.data, im.len);
        size_t n = MIN((size_t)4096, im.len - at);
        bool empty = true;
        for (size_t i = 0; i < n; i++)
            empty = empty && copy[at + i] == 0;
        if (empty)
            continue;
        memset(copy + at, 0, n);
        put_image(r.path, copy, im.len);
        struct tally t = tally_log(r.path);
        check_right(&t, 0);
        CU_ASSERT(at == 0 ? t.whole == N_TASKS : t.whole < N_TASKS);
        worst = MIN(worst, t.whole);
        struct outlog_check_report report = check_log(r.path);
        /* The unclosed extent may have lost its last page without a trace. */
        CU_ASSERT(!outlog_check_clean(&report) || t.whole + 10 > N_TASKS);
    }
    CU_ASSERT(worst > N_TASKS / 2); /* small tasks: a page holds many */
    free(copy);
    free(im.data);
    rig_release(&r);
}

/* A task prints a whole log: its bytes are output, and no ghost blocks appear, even
 * when the blocks around them are damaged. */
static void test_ghosts(void)
{
    struct rig r;
    struct image im;
    rig_init(&r, "AbC123");
    make_image(&r, &im, false, false);
    CU_ASSERT_EQUAL(unlink(r.path), 0);
    struct lease_book book;
    book_init(&book); /* the same log identity: the hardest case */
    struct maker m;
    maker_open(&m, &book, 1, r.path, false);
    struct outlog_block b = {.type = OUTLOG_BLOCK_STDOUT, .job = 9, .task = 9};
    size_t printed = 0;
    for (size_t at = 12288; at < im.len; at += b.stored) {
        b.stored = (uint32_t)MIN(im.len - at, (size_t)4096);
        bool empty = true;
        for (size_t i = 0; i < b.stored; i++)
            empty = empty && im.data[at + i] == 0;
        if (empty)
            continue;
        maker_block(&m, b, im.data + at);
        b.seq++;
        printed += b.stored;
    }
    maker_close(&m, false);
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(r.path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT_EQUAL(run.job, 9);
    CU_ASSERT_EQUAL(run.bytes[0], printed);
    CU_ASSERT_EQUAL(outlog_runs_next(it, &run, &err), 0);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    /* Headers of all real blocks gone: the reader searches through their payloads. */
    int fd = open(r.path, O_RDWR | O_CLOEXEC);
    struct stat st;
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    for (off_t at = 12288; at < st.st_size; at += 8) {
        uint8_t word[8];
        if (pread(fd, word, 8, at) == 8 && memcmp(word + 4, "HQLB", 4) == 0)
            CU_ASSERT_EQUAL(pwrite(fd, "damaged!", 4, at), 4);
    }
    (void)close(fd);
    struct tally t = tally_log(r.path);
    CU_ASSERT_EQUAL(t.runs, 0);
    CU_ASSERT(t.damage.bytes > 0);
    free(im.data);
    lease_book_release(&book);
    rig_release(&r);
}

/* ---- random damage --------------------------------------------------------------- */

#define HITS_MAX 5

/* Where the blocks of each task lie; of a group, all of it. */
struct place {
    uint32_t task;
    uint64_t from, to;
};
struct places {
    struct place items[8 * N_TASKS];
    size_t n;
};

static void find_places(const char *path, const struct image *im, struct places *p)
{
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    p->n = 0;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    while (outlog_runs_next(it, &run, &err) == 1)
        for (size_t i = 0; i < run.n_refs; i++) {
            uint64_t at = run.refs[i].e.offset;
            uint32_t stored = get_u32(im->data + at + 12);
            CU_ASSERT_FATAL(p->n < ARRAY_SIZE(p->items));
            p->items[p->n++] =
                (struct place){run.task, at, at + OUTLOG_BLOCK_HEADER_BYTES + stored};
        }
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 20;
}

/* Damages a span: other bytes, zeros, one bit, or what lies elsewhere in the file. */
static struct place hit(uint8_t *copy, const struct image *im, uint64_t *random)
{
    size_t at = next_place(im, (size_t)next_random(random) % im->len, 1);
    size_t n = 1 + (size_t)next_random(random) % (next_random(random) % 4 ? 64 : 6000);
    size_t from = next_place(im, (size_t)next_random(random) % im->len, 1);
    uint64_t kind = next_random(random) % 4;
    at = MIN(at, im->len - 1);
    n = kind == 2 ? 1 : MIN(n, im->len - MAX(at, MIN(from, im->len - 1)));
    for (size_t i = 0; i < n; i++) {
        uint8_t other[] = {(uint8_t)next_random(random), 0,
                           copy[at + i] ^ (uint8_t)(1u << i % 8), 0};
        copy[at + i] = kind == 3 ? im->data[from + i] : other[kind];
    }
    return (struct place){0, at, at + n};
}

/* Tasks, as bits, none of whose blocks was hit. */
static uint64_t spared(const struct places *p, const struct place *hits, size_t n_hits)
{
    uint64_t tasks = (UINT64_C(1) << N_TASKS) - 1;
    for (size_t i = 0; i < p->n; i++)
        for (size_t h = 0; h < n_hits; h++)
            if (hits[h].from < p->items[i].to && p->items[i].from < hits[h].to)
                tasks &= ~(UINT64_C(1) << p->items[i].task);
    return tasks;
}

static void damage_once(const char *path, const struct image *im,
                        const struct places *places, uint8_t *copy, uint64_t *random)
{
    struct place hits[HITS_MAX + 1];
    size_t n_hits = 1 + (size_t)next_random(random) % HITS_MAX, len = im->len;
    bool head = false;
    memcpy(copy, im->data, im->len);
    for (size_t i = 0; i < n_hits; i++) {
        hits[i] = hit(copy, im, random);
        head = head || hits[i].from < OUTLOG_SUPERBLOCK_BYTES;
    }
    if (next_random(random) % 8 == 0) { /* cut, too */
        len = next_place(im, 4096 + (size_t)next_random(random) % (im->len - 4096), 1);
        len = MIN(len, im->len);
        hits[n_hits++] = (struct place){0, len, im->len};
    }
    put_image(path, copy, len);
    struct tally t = tally_log(path);
    if (t.rc < 0) { /* not to be recognised any more, or of another version */
        CU_ASSERT(head);
        return;
    }
    uint64_t want = spared(places, hits, n_hits);
    CU_ASSERT_EQUAL(t.whole_tasks & want, want);
    check_right(&t, 0);
    (void)check_log(path);
}

/* Random damage all over: no crash, nothing wrong shown, all tasks beside it whole. */
static void test_random(void)
{
    const char *seed = getenv("HQ_TEST_SEED");
    uint64_t random = seed ? strtoul(seed, NULL, 10) : (uint64_t)getpid();
    int rounds = getenv("HQ_TEST_LONG") ? 2500 : 100;
    struct rig r;
    struct image im;
    static struct places places;
    printf("HQ_TEST_SEED=%lu ", (unsigned long)random);
    (void)fflush(stdout);
    rig_init(&r, "AbC123");
    for (int k = 0; k < 4; k++) {
        make_image(&r, &im, k & 1, k & 2);
        find_places(r.path, &im, &places);
        uint8_t *copy = malloc(im.len);
        for (int round = 0; round < rounds; round++)
            damage_once(r.path, &im, &places, copy, &random);
        free(copy);
        free(im.data);
        CU_ASSERT_EQUAL(unlink(r.path), 0);
    }
    rig_release(&r);
}

/* A damaged log is copied into a good one that holds the same whole runs. */
static void test_repair(void)
{
    for (int k = 0; k < 4; k++) {
        struct rig r;
        struct image im;
        rig_init(&r, "AbC123");
        make_image(&r, &im, k & 1, false);
        /* Packed, one place is enough to lose what one worker wrote. */
        for (size_t at = 13000; at < im.len;
             at = k & 1 ? im.len : next_place(&im, at, 9000))
            memset(im.data + at, 0x55, MIN((size_t)40, im.len - at));
        put_image(r.path, im.data, im.len);
        struct tally before = tally_log(r.path);
        struct buf to = BUF_INIT(200);
        buf_printf(&to, "%s/new.hqlog", r.dir);
        struct outlog_repair_options o = {.now_us = 7, .compress = k & 2};
        struct outlog_repair_result result;
        struct rig_damage damage;
        struct error err = ERROR_INIT;
        memset(o.uid.b, 'z', sizeof o.uid.b);
        struct outlog_reader *reader = rig_open(r.path, &damage);
        CU_ASSERT_EQUAL(outlog_repair(reader, buf_cstr(&to), &o, &result, &err), 0);
        CU_ASSERT_EQUAL(outlog_repair(reader, buf_cstr(&to), &o, &result, &err),
                        ERR_EXISTS);
        outlog_reader_destroy(reader);
        struct tally after = tally_log(buf_cstr(&to));
        CU_ASSERT(before.whole > 0 && before.whole < N_TASKS);
        CU_ASSERT_EQUAL(after.whole, before.whole);
        CU_ASSERT_EQUAL(after.damage.n, 0);
        struct outlog_check_report report = check_log(buf_cstr(&to));
        CU_ASSERT_EQUAL(report.n_damages, 0);
        CU_ASSERT_EQUAL(report.n_index_damages, 0);
        buf_release(&to);
        free(im.data);
        rig_release(&r);
    }
}

static void test_no_log(void)
{
    static const struct {
        const char *name;
        size_t len;
        uint8_t fill;
        const char *want;
    } cases[] = {
        {"empty", 0, 0, "Not a directory (os error 20)"},
        {"short", 100, 'x', "Not a directory (os error 20)"},
        {"zeros", 20000, 0, "not an output log"},
        {"text", 20000, 'x', "not an output log"},
    };
    struct rig r;
    rig_init(&r, "AbC123");
    uint8_t *data = malloc(20000);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        memset(data, cases[i].fill, 20000);
        put_image(r.path, data, cases[i].len);
        struct outlog_reader *reader;
        struct error err = ERROR_INIT;
        CU_ASSERT(outlog_reader_open(&reader, r.path, NULL, &err) < 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].want));
    }
    struct lease_book book;
    book_init(&book);
    outlog_superblock_encode(&book.ident, data);
    put_u16(data + 8, 7);
    put_image(r.path, data, 20000);
    struct outlog_reader *reader;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(outlog_reader_open(&reader, r.path, NULL, &err), ERR_VERSION);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "version 7"));
    CU_ASSERT_EQUAL(outlog_reader_open(&reader, r.dir, NULL, &err), ERR_VERSION);
    free(data);
    rig_release(&r);
}

TEST_MAIN("outlog damage", TEST(test_truncated), TEST(test_flipped), TEST(test_zeroed),
          TEST(test_ghosts), TEST(test_random), TEST(test_repair), TEST(test_no_log))
