/*
 * A log without a file: the reader's own structures, made by hand around bytes in
 * memory, so that a decoder is reached without a system call.
 */
#ifndef HQ_FUZZ_OUTLOG_H
#define HQ_FUZZ_OUTLOG_H

#include <stdlib.h>
#include "outlog/reader_impl.h"

#define LOG_SEED UINT64_C(99)

struct fuzz_log {
    struct outlog_reader *reader; /* without files */
    struct logfile file;
};

static inline void fuzz_log_on_damage(void *arg UNUSED, const struct outlog_damage *d)
{
    HQ_ASSERT(d->path[0] && d->what[0] && d->offset + d->bytes >= d->offset);
}

static struct unpacker *fuzz_log_unpacker; /* one for all inputs: it is large */

static inline void fuzz_log_init(struct fuzz_log *log)
{
    struct outlog_reader *r = calloc(1, sizeof *r);
    HQ_ASSERT(r);
    buf_init(&r->block, 2 * OUTLOG_PAYLOAD_MAX);
    for (r->n_groups = 0; r->n_groups < 2; r->n_groups++)
        buf_init(&r->groups[r->n_groups].content, 2 * OUTLOG_GROUP_RAW_MAX);
    r->on_damage = fuzz_log_on_damage;
    r->unpacker = fuzz_log_unpacker;
    *log = (struct fuzz_log){
        .reader = r,
        .file = {.r = r, .path = (char *)"log", .fd = -1, .seed = LOG_SEED},
    };
    log->file.ident.align_log2 = OUTLOG_ALIGN_LOG2_MIN;
}

static inline void fuzz_log_release(struct fuzz_log *log)
{
    fuzz_log_unpacker = log->reader->unpacker;
    log->reader->unpacker = NULL;
    outlog_reader_destroy(log->reader);
}

/*
 * A scan of an extent that begins in the bytes, which lie at `start`: the window holds
 * them all, so nothing is read. Takes p, from malloc.
 */
static inline void fuzz_log_scan(struct fuzz_log *log, struct scan *s,
                                 const struct extent_info *x, uint64_t start,
                                 uint8_t *p, size_t n)
{
    log->file.size = start + n;
    *s = (struct scan){
        .w = {.file = &log->file, .buf = p, .cap = n, .offset = start, .len = n},
        .x = x,
        .pos = x->x.offset,
        .end = start + n,
        .verify = true,
    };
    buf_init(&s->group, 2 * OUTLOG_GROUP_RAW_MAX);
}

/* Reads each of the bytes, for what watches over memory. */
static inline void fuzz_touch(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i];
    HQ_ASSERT(sum <= 255 * (uint64_t)n);
}

#endif
