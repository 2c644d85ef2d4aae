/*
 * The reader on whole files. Byte 0 of the input:
 *   0      the rest is the file as it is
 *   else   the rest are patches to a good log (bit 1: with packed groups, bit 2:
 * sealed, bit 3: checksums are made right again, so that the decoders behind them are
 *          reached): u24 place, u8 length, bytes; place counts the bytes of the log
 * that are not in holes Nothing may crash; runs come in order; each block is read, and
 * the log is checked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "outlog/check.h"
#include "outlog/extents.h"
#include "outlog/packer.h"
#include "outlog/seal.h"

#define INPUT_MAX 65536
#define GROUP_BYTES (96u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fd = -1;
static char path[64];
static uint64_t seed;
/* The good logs, by (flags & 6) / 2. */
static struct image {
    uint8_t *data;
    size_t len;
    uint32_t *places; /* of the bytes that are not in holes */
    size_t n_places;
} images[4];

/* ---- making the logs ---------------------------------------------------------------
 */

static int put_bytes(void *file UNUSED, uint64_t offset, const void *p, size_t n,
                     struct error *err UNUSED)
{
    HQ_ASSERT(pwrite(fd, p, n, (off_t)offset) == (ssize_t)n);
    return 0;
}

static const struct outlog_io_ops memory_ops = {.name = "memory",
                                                .write_at = put_bytes};

static size_t put_block(uint8_t *p, uint32_t task, uint32_t seq, bool end)
{
    struct outlog_block b = {
        .type = end ? OUTLOG_BLOCK_EVENT : OUTLOG_BLOCK_STDOUT,
        .flags = end ? OUTLOG_FLAG_END : 0,
        .stored = end ? OUTLOG_END_BYTES : 20 + task % 50,
        .job = 1 + task % 2,
        .task = task,
        .instance = task % 7 == 0,
        .seq = seq,
        .time_us = 1000 + task,
    };
    size_t span = (size_t)outlog_block_span(b.stored);
    memset(p, 0, span);
    outlog_block_encode(&b, p);
    memset(p + OUTLOG_BLOCK_HEADER_BYTES, 'a' + (int)(task % 26), b.stored);
    if (end) {
        struct outlog_end e = {.state = OUTLOG_FINISHED, .channels = 3};
        outlog_end_encode(&e, p + OUTLOG_BLOCK_HEADER_BYTES);
    }
    return span;
}

static void put_tasks(struct extents *x, struct lease_book *book, struct packer *packer,
                      uint32_t first)
{
    static uint8_t raw[EXTENTS_HEADROOM + GROUP_BYTES];
    static uint8_t packed[EXTENTS_HEADROOM + GROUP_BYTES];
    uint8_t *data = raw + EXTENTS_HEADROOM;
    struct error err = ERROR_INIT;
    struct extents_ended ended;
    size_t len = 0, done = 0;
    for (uint32_t i = first; i < first + 60; i++) {
        len += put_block(data + len, i * 17 % 60, 0, false);
        len += put_block(data + len, i * 17 % 60, 1, true);
    }
    if (packer) {
        x->raw = data;
        x->raw_len = len;
        len = packer_pack(packer, data, len, packed + EXTENTS_HEADROOM, GROUP_BYTES);
        HQ_ASSERT(len > 0);
        data = packed + EXTENTS_HEADROOM;
    }
    int rc;
    while ((rc = extents_put(x, data, len, &done, 5, &ended, &err)) != EXTENTS_DONE) {
        struct outlog_lease lease;
        bool first_mark;
        uint64_t mark;
        HQ_ASSERT(rc >= 0);
        if (rc != EXTENTS_NEED_LEASE)
            continue;
        HQ_ASSERT(lease_book_grant(book, 1, &lease, &first_mark, &mark) == 0);
        HQ_ASSERT(extents_add_lease(x, &lease));
    }
    x->raw = NULL;
}

static void keep_image(struct image *im)
{
    im->len = (size_t)lseek(fd, 0, SEEK_END);
    im->data = calloc(1, im->len);
    im->places = malloc(im->len * sizeof *im->places);
    HQ_ASSERT(im->data && im->places);
    HQ_ASSERT(pread(fd, im->data, im->len, 0) == (ssize_t)im->len);
    for (size_t at = 0; at < im->len; at++) {
        size_t page = at & ~(size_t)511;
        bool hole = true;
        for (size_t i = page; hole && i < page + 512 && i < im->len; i++)
            hole = im->data[i] == 0;
        if (hole)
            at = page + 511;
        else
            im->places[im->n_places++] = (uint32_t)at;
    }
}

static void make_image(struct image *im, bool pack, bool sealed)
{
    struct lease_book book;
    struct outlog_uid uid = {{1, 2, 3}};
    struct outlog_origin origin = {.worker = 1, .rank = -1, .host = "host"};
    struct packer *packer = pack ? packer_create() : NULL;
    uint8_t super[OUTLOG_SUPERBLOCK_BYTES];
    struct extents x;
    HQ_ASSERT(ftruncate(fd, 0) == 0);
    lease_book_init(&book, uid, "AbC123", 1, 0);
    outlog_superblock_encode(&book.ident, super);
    (void)put_bytes(NULL, 0, super, sizeof super, NULL);
    seed = outlog_seed(&uid);
    extents_init(&x, &memory_ops, NULL, &book.ident, &origin);
    put_tasks(&x, &book, packer, 0);
    struct extents_ended ended;
    struct error err = ERROR_INIT;
    HQ_ASSERT(extents_close(&x, 9, &ended, &err));
    if (sealed) {
        struct outlog_seal_options o = {.now_us = 3};
        struct outlog_seal_result result;
        HQ_ASSERT(outlog_seal(path, &o, &result, &err) == 0);
    }
    keep_image(im);
    extents_release(&x);
    lease_book_release(&book);
    packer_destroy(packer);
}

static void prepare(void)
{
    if (fd >= 0)
        return;
    fd = memfd_create("log", MFD_CLOEXEC);
    HQ_ASSERT(fd >= 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int i = 0; i < 4; i++)
        make_image(&images[i], i & 1, i & 2);
}

/* ---- patches -----------------------------------------------------------------------
 */

/* Makes the checksums right of whatever structure begins at these places. */
static void repair_at(uint8_t *d, size_t len, size_t at)
{
    size_t left = len - at;
    if (left >= OUTLOG_BLOCK_HEADER_BYTES && memcmp(d + at + 4, "HQLB", 4) == 0 &&
        get_u32(d + at + 12) <= left - OUTLOG_BLOCK_HEADER_BYTES)
        outlog_block_finish(d + at, seed, at);
    if (left < 24)
        return;
    if ((memcmp(d + at + 8, "HQLX", 4) == 0 || memcmp(d + at + 8, "HQLC", 4) == 0) &&
        left >= 128)
        outlog_seal_bytes(d + at, 128, seed, at);
    if (memcmp(d + at + 8, "HQLS", 4) == 0 && left >= OUTLOG_SLOT_BYTES)
        outlog_seal_bytes(d + at, OUTLOG_SLOT_BYTES, seed, at);
    if (memcmp(d + at + 8, "HQLN", 4) == 0) {
        size_t n = get_u16(d + at + 16);
        if (n >= OUTLOG_PAGE_HEADER_BYTES && n <= left)
            outlog_seal_bytes(d + at, n, seed, at);
    }
}

static void put_file(const uint8_t *d, size_t len)
{
    static const uint8_t zeros[4096];
    HQ_ASSERT(ftruncate(fd, 0) == 0);
    for (size_t at = 0; at < len; at += 4096) {
        size_t n = MIN(len - at, (size_t)4096);
        if (memcmp(d + at, zeros, n) != 0)
            HQ_ASSERT(pwrite(fd, d + at, n, (off_t)at) == (ssize_t)n);
    }
    HQ_ASSERT(ftruncate(fd, (off_t)len) == 0);
}

static void put_patched(const struct image *im, bool repair, struct cursor *c)
{
    uint8_t *d = malloc(im->len);
    HQ_ASSERT(d);
    memcpy(d, im->data, im->len);
    while (cursor_left(c) >= 5) {
        size_t place = cursor_u16(c) | (size_t)cursor_u8(c) << 16;
        struct span bytes = cursor_take(c, MIN((size_t)cursor_u8(c), cursor_left(c)));
        for (size_t i = 0; i < bytes.n; i++)
            d[im->places[(place + i) % im->n_places]] = bytes.p[i];
    }
    for (size_t i = 0; repair && i < im->n_places; i++)
        if (im->places[i] % 4 == 0)
            repair_at(d, im->len, im->places[i]);
    put_file(d, im->len);
    free(d);
}

/* ---- reading ------------------------------------------------------------------------
 */

static void read_runs(struct outlog_reader *r)
{
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    HQ_ASSERT(outlog_runs_create(&it, r, &err) == 0);
    uint64_t last = 0;
    while (outlog_runs_next(it, &run, &err) == 1) {
        uint64_t now = (uint64_t)run.job << 32 | run.task;
        HQ_ASSERT(now >= last && run.n_refs > 0);
        last = now;
        for (size_t i = 0; i < run.n_refs; i++) {
            const uint8_t *data;
            size_t n;
            struct outlog_end end;
            struct outlog_origin origin;
            if (outlog_read_block(r, &run.refs[i], &data, &n) == 0)
                HQ_ASSERT(n == run.refs[i].e.output && (n == 0 || data[n - 1] <= 255));
            (void)!outlog_read_end(r, &run.refs[i], &end);
            (void)outlog_read_origin(r, &run.refs[i], &origin);
        }
    }
    (void)!outlog_runs_seek(it, 1, 20, &err);
    if (outlog_runs_next(it, &run, &err) == 1)
        HQ_ASSERT(run.job > 1 || (run.job == 1 && run.task >= 20));
    outlog_runs_destroy(it);
}

static void read_blocks(struct outlog_reader *r)
{
    struct outlog_block_filter all = {.any_job = true, .channel = -1};
    struct outlog_blocks *it;
    struct outlog_ref ref;
    struct error err = ERROR_INIT;
    HQ_ASSERT(outlog_blocks_create(&it, r, &all, &err) == 0);
    while (outlog_blocks_next(it, &ref, &err) == 1)
        ;
    outlog_blocks_destroy(it);
}

static void read_all(void)
{
    struct outlog_reader *r;
    struct error err = ERROR_INIT;
    struct outlog_counts counts;
    struct outlog_check_report report;
    if (outlog_reader_open(&r, path, NULL, &err) < 0) {
        HQ_ASSERT(err.text[0]);
        return;
    }
    read_runs(r);
    read_blocks(r);
    (void)!outlog_reader_counts(r, &counts, &err);
    HQ_ASSERT(outlog_check(r, NULL, NULL, &report, &err) == 0);
    outlog_reader_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_make(data, size);
    if (size == 0 || size > INPUT_MAX)
        return 0;
    prepare();
    uint8_t how = cursor_u8(&c);
    if (how == 0)
        put_file(c.p, cursor_left(&c));
    else
        put_patched(&images[how >> 1 & 3], how & 8, &c);
    read_all();
    return 0;
}
