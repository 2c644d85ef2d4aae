/*
 * Good logs in memory files, made by the writer's own code, that are patched in place:
 * an input costs what it changes. Patches are u24 place, u8 length, bytes; place counts
 * the bytes of the log that are not in holes.
 */
#ifndef HQ_FUZZ_OUTLOG_IMAGE_H
#define HQ_FUZZ_OUTLOG_IMAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "outlog/extents.h"
#include "outlog/packer.h"

#define IMAGE_GROUP_BYTES (96u << 10)
#define IMAGE_PAGE 4096u

/* What makes the input is none of the code that inputs should find ways through. */
#if defined(__clang__)
#define NO_COVERAGE __attribute__((noinline, no_sanitize("coverage")))
#else
#define NO_COVERAGE
#endif

/* Where a structure with a checksum lies. */
struct image_part {
    uint32_t at, len;
};

struct image {
    int fd;
    char path[64];
    uint64_t seed;
    uint8_t *map;  /* the file */
    uint8_t *good; /* what it holds without patches */
    size_t len;
    uint32_t *places; /* of the bytes that are not in holes */
    size_t n_places;
    struct image_part *parts;
    size_t n_parts;
    bool *dirty; /* by page */
    uint32_t *dirty_pages;
    size_t n_dirty;
};

/* ---- making ------------------------------------------------------------------------
 */

static int image_put_bytes(void *file, uint64_t offset, const void *p, size_t n,
                           struct error *err UNUSED)
{
    const int *fd = file;
    HQ_ASSERT(pwrite(*fd, p, n, (off_t)offset) == (ssize_t)n);
    return 0;
}

static const struct outlog_io_ops image_ops = {.name = "memory",
                                               .write_at = image_put_bytes};

static size_t image_put_block(uint8_t *p, uint32_t task, uint32_t seq, bool end)
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

static void image_put_tasks(struct extents *x, struct lease_book *book,
                            struct packer *packer, uint32_t n)
{
    static uint8_t raw[EXTENTS_HEADROOM + IMAGE_GROUP_BYTES];
    static uint8_t packed[EXTENTS_HEADROOM + IMAGE_GROUP_BYTES];
    uint8_t *data = raw + EXTENTS_HEADROOM;
    struct error err = ERROR_INIT;
    struct extents_ended ended;
    size_t len = 0, done = 0;
    for (uint32_t i = 0; i < n; i++) {
        len += image_put_block(data + len, i * 17 % n, 0, false);
        len += image_put_block(data + len, i * 17 % n, 1, true);
    }
    if (packer) {
        x->raw = data;
        x->raw_len = len;
        len = packer_pack(packer, data, len, packed + EXTENTS_HEADROOM,
                          IMAGE_GROUP_BYTES);
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

static NO_COVERAGE bool image_is_block(const uint8_t *p, size_t left)
{
    return left >= OUTLOG_BLOCK_HEADER_BYTES && get_u32(p + 4) == 0x424c5148;
}

/* Length of the structure that begins there and carries a checksum; 0: none. */
static NO_COVERAGE size_t image_part_at(const uint8_t *p, size_t left)
{
    if (image_is_block(p, left)) {
        size_t n = get_u32(p + 12) + (size_t)OUTLOG_BLOCK_HEADER_BYTES;
        return n <= left ? n : 0;
    }
    if (left < OUTLOG_PAGE_HEADER_BYTES)
        return 0;
    size_t n = 0;
    switch (get_u32(p + 8)) { /* HQL? */
    case 0x584c5148:
    case 0x434c5148:
        n = OUTLOG_PART_BYTES;
        break;
    case 0x534c5148:
        n = OUTLOG_SLOT_BYTES;
        break;
    case 0x4e4c5148:
        n = get_u16(p + 16);
        break;
    default:
        break;
    }
    return n >= OUTLOG_PAGE_HEADER_BYTES && n <= left ? n : 0;
}

static void image_list(struct image *im)
{
    im->places = malloc(im->len * sizeof *im->places);
    im->parts = malloc(im->len / 8 * sizeof *im->parts);
    im->dirty = calloc(im->len / IMAGE_PAGE + 2, sizeof *im->dirty);
    im->dirty_pages = calloc(im->len / IMAGE_PAGE + 2, sizeof *im->dirty_pages);
    HQ_ASSERT(im->places && im->parts && im->dirty && im->dirty_pages);
    for (size_t at = 0; at < im->len; at++) {
        size_t page = at & ~(size_t)511;
        bool hole = true;
        for (size_t i = page; hole && i < page + 512 && i < im->len; i++)
            hole = im->good[i] == 0;
        if (hole) {
            at = page + 511;
            continue;
        }
        im->places[im->n_places++] = (uint32_t)at;
        size_t n = image_part_at(im->good + at, im->len - at);
        if (n)
            im->parts[im->n_parts++] = (struct image_part){(uint32_t)at, (uint32_t)n};
    }
}

static void image_make(struct image *im, bool pack, uint32_t n_tasks)
{
    struct lease_book book;
    struct outlog_uid uid = {{1, 2, 3}};
    struct outlog_origin origin = {.worker = 1, .rank = -1, .host = "host"};
    struct packer *packer = pack ? packer_create() : NULL;
    uint8_t super[OUTLOG_SUPERBLOCK_BYTES];
    struct extents x;
    struct extents_ended ended;
    struct error err = ERROR_INIT;
    *im = (struct image){.fd = memfd_create("log", MFD_CLOEXEC),
                         .seed = outlog_seed(&uid)};
    HQ_ASSERT(im->fd >= 0);
    (void)snprintf(im->path, sizeof im->path, "/proc/self/fd/%d", im->fd);
    lease_book_init(&book, uid, "AbC123", 1, 0);
    outlog_superblock_encode(&book.ident, super);
    (void)image_put_bytes(&im->fd, 0, super, sizeof super, NULL);
    extents_init(&x, &image_ops, &im->fd, &book.ident, &origin);
    image_put_tasks(&x, &book, packer, n_tasks);
    HQ_ASSERT(extents_close(&x, 9, &ended, &err));
    extents_release(&x);
    lease_book_release(&book);
    packer_destroy(packer);
}

/* When all is in the file. */
static void image_map(struct image *im)
{
    im->len = (size_t)lseek(im->fd, 0, SEEK_END);
    im->map = mmap(NULL, im->len, PROT_READ | PROT_WRITE, MAP_SHARED, im->fd, 0);
    im->good = malloc(im->len);
    HQ_ASSERT(im->map != MAP_FAILED && im->good);
    HQ_ASSERT(pread(im->fd, im->good, im->len, 0) == (ssize_t)im->len);
    image_list(im);
}

/* ---- patching ----------------------------------------------------------------------
 */

static NO_COVERAGE void image_mark(struct image *im, size_t at, size_t n)
{
    for (size_t page = at / IMAGE_PAGE; page <= (at + n - 1) / IMAGE_PAGE; page++) {
        if (!im->dirty[page])
            im->dirty_pages[im->n_dirty++] = (uint32_t)page;
        im->dirty[page] = true;
    }
}

static NO_COVERAGE void image_seal_part(struct image *im, size_t at)
{
    size_t n = image_part_at(im->map + at, im->len - at);
    if (n == 0)
        return;
    image_mark(im, at, OUTLOG_PAGE_HEADER_BYTES); /* both checks of a block, too */
    if (image_is_block(im->map + at, im->len - at))
        outlog_block_finish(im->map + at, im->seed, at);
    else
        outlog_seal_bytes(im->map + at, n, im->seed, at);
}

/* Makes the checksums right of what the changed bytes belong to, or now look like. */
static NO_COVERAGE void image_repair(struct image *im, size_t at, size_t n)
{
    for (size_t i = 0; i < im->n_parts; i++) {
        const struct image_part *p = &im->parts[i];
        if (p->at < at + n && at < (size_t)p->at + p->len)
            image_seal_part(im, p->at);
    }
    for (size_t i = at < 16 ? 0 : at - 16; i < at + n; i++)
        image_seal_part(im, i);
}

static NO_COVERAGE void image_patch(struct image *im, bool repair, struct cursor *c)
{
    while (cursor_left(c) >= 5) {
        size_t place = cursor_u16(c) | (size_t)cursor_u8(c) << 16;
        struct span bytes = cursor_take(c, MIN((size_t)cursor_u8(c), cursor_left(c)));
        for (size_t i = 0; i < bytes.n; i++) {
            size_t at = im->places[(place + i) % im->n_places];
            im->map[at] = bytes.p[i];
            image_mark(im, at, 1);
        }
        size_t first = im->places[place % im->n_places];
        if (repair)
            image_repair(im, first, bytes.n + 1);
    }
}

static NO_COVERAGE void image_restore(struct image *im)
{
    for (size_t i = 0; i < im->n_dirty; i++) {
        size_t at = (size_t)im->dirty_pages[i] * IMAGE_PAGE;
        im->dirty[im->dirty_pages[i]] = false;
        memcpy(im->map + at, im->good + at, MIN(im->len - at, (size_t)IMAGE_PAGE));
    }
    im->n_dirty = 0;
}

#endif
