/*
 * Blocks of the output log, headers and payloads, as the scan of an extent meets them.
 * Bits of byte 0: 1: checksums are made right, so that the decoders behind them are
 * reached; 2: the extent is closed; 4: the rest is the content of a group, else the
 * rest are the bytes of the extent. Each byte is a block's, padding, or reported as
 * damaged; a block that is accepted encodes to the same bytes.
 */
#include "fuzz_outlog.h"

#define INPUT_MAX 65536
#define LOG_START UINT64_C(12288) /* where the bytes lie */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From the back on: a block's payload may hold others. */
static void repair(uint8_t *p, size_t n)
{
    for (size_t at = n & ~(size_t)7; at > 0;) {
        at -= 8;
        size_t left = n - at;
        if (left >= OUTLOG_BLOCK_HEADER_BYTES && memcmp(p + at + 4, "HQLB", 4) == 0 &&
            get_u32(p + at + 12) <= left - OUTLOG_BLOCK_HEADER_BYTES)
            outlog_block_finish(p + at, LOG_SEED, LOG_START + at);
    }
}

/* A group that holds the bytes, in a zstd frame of one block that is not packed. */
static uint8_t *make_group(const uint8_t *data, size_t size, size_t *n)
{
    enum { FRAME = 4 + 1 + 4 + 3 };
    struct outlog_block b = {.type = OUTLOG_BLOCK_GROUP,
                             .stored = (uint32_t)(FRAME + size)};
    *n = (size_t)outlog_block_span(b.stored);
    uint8_t *block = calloc(1, *n), *p = block + OUTLOG_BLOCK_HEADER_BYTES;
    HQ_ASSERT(block);
    outlog_block_encode(&b, block);
    put_u32(p, 0xfd2fb528u);
    p[4] = 0xa0; /* one segment, its size in 4 bytes */
    put_u32(p + 5, (uint32_t)size);
    uint32_t head = (uint32_t)size << 3 | 1; /* the last block, stored */
    p[9] = (uint8_t)head;
    p[10] = (uint8_t)(head >> 8);
    p[11] = (uint8_t)(head >> 16);
    if (size)
        memcpy(p + FRAME, data, size);
    outlog_block_finish(block, LOG_SEED, LOG_START);
    return block;
}

static void check_header(const struct outlog_block *b, const uint8_t *at)
{
    uint8_t again[OUTLOG_BLOCK_HEADER_BYTES];
    outlog_block_encode(b, again);
    HQ_ASSERT(memcmp(again + 4, at + 4, 12) == 0);
    HQ_ASSERT(memcmp(again + 24, at + 24, sizeof again - 24) == 0);
}

static void check_end(const uint8_t *at)
{
    struct outlog_end end;
    uint8_t again[OUTLOG_END_BYTES];
    if (!outlog_end_decode(at, OUTLOG_END_BYTES, &end))
        return;
    HQ_ASSERT(end.state > OUTLOG_UNFINISHED && end.state < OUTLOG_STATE_COUNT);
    outlog_end_encode(&end, again);
    again[2] |= at[2] & 0xfe; /* bits without a meaning are not kept */
    HQ_ASSERT(memcmp(again, at, sizeof again) == 0);
}

static void check_block(struct scan *s)
{
    const struct outlog_entry *e = &s->e;
    const uint8_t *output = scan_data(s);
    HQ_ASSERT(output && s->block.type != OUTLOG_BLOCK_GROUP);
    HQ_ASSERT(e->output == outlog_block_output(&s->block));
    HQ_ASSERT(e->state < OUTLOG_STATE_COUNT);
    fuzz_touch(output, s->block.stored);
    check_header(&s->block, output - OUTLOG_BLOCK_HEADER_BYTES);
    if (e->flags & OUTLOG_FLAG_END)
        check_end(output + e->output);
}

static void scan_all(struct scan *s)
{
    uint64_t pos = s->pos;
    enum scan_result r;
    while ((r = scan_next(s)) != SCAN_END) {
        /* Either way it goes on, in the extent or in a group. */
        HQ_ASSERT(s->pos >= pos && s->pos <= s->end + 7);
        if (r == SCAN_BLOCK) {
            check_block(s);
        } else {
            HQ_ASSERT(s->damage_what[0] && s->damage_bytes > 0);
            HQ_ASSERT(s->damage_at >= LOG_START);
        }
        pos = s->pos;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_log log;
    struct scan s;
    if (size == 0 || size > INPUT_MAX)
        return 0;
    uint8_t how = data[0];
    size_t n = size - 1;
    uint8_t *p;
    if (how & 4) {
        p = make_group(data + 1, size - 1, &n);
    } else {
        p = malloc(n + !n);
        HQ_ASSERT(p);
        memcpy(p, data + 1, n);
        if (how & 1)
            repair(p, n);
    }
    struct extent_info x = {.x = {.offset = LOG_START, .length = n}, .closed = how & 2};
    fuzz_log_init(&log);
    fuzz_log_scan(&log, &s, &x, LOG_START, p, n);
    scan_all(&s);
    scan_release(&s);
    fuzz_log_release(&log);
    return 0;
}
