/* Index pages and the other structures: what is encoded reads back, flipped bits do
 * not. */
#include <stdlib.h>
#include "outlog/index.h"
#include "outlog/slot.h"
#include "test_main.h"

#define SEED UINT64_C(0x1234567890abcdef)

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 16;
}

static struct outlog_entry random_entry(uint64_t *state)
{
    static const uint32_t big[] = {0, 1, 127, 128, 100000, UINT32_MAX - 1};
    struct outlog_entry e = {
        .key =
            {
                big[next_random(state) % 3],
                (uint32_t)(next_random(state) % 5000),
                next_random(state) % 10 ? 0 : big[next_random(state) % 6],
                (uint32_t)(next_random(state) % 4),
            },
        .output = (uint32_t)(next_random(state) % OUTLOG_PAYLOAD_MAX),
        .offset = next_random(state) % (UINT64_C(1) << 44) & ~UINT64_C(7),
        .time_us = next_random(state),
        .type = (uint8_t)(1 + next_random(state) % 3),
    };
    if (next_random(state) % 3 == 0) {
        e.flags = OUTLOG_FLAG_END | (next_random(state) % 2 ? OUTLOG_FLAG_CUT : 0);
        e.state = (uint8_t)(1 + next_random(state) % 5);
    }
    if (next_random(state) % 4 == 0) {
        e.grouped = true;
        e.inner = (uint32_t)(next_random(state) % (1u << 20)) & ~7u;
    }
    return e;
}

static bool same(const struct outlog_entry *a, const struct outlog_entry *b)
{
    return outlog_key_cmp(&a->key, &b->key) == 0 && a->output == b->output &&
           a->inner == b->inner && a->offset == b->offset && a->time_us == b->time_us &&
           a->type == b->type && a->flags == b->flags && a->state == b->state &&
           a->grouped == b->grouped;
}

static void test_leaves(void)
{
    static const size_t counts[] = {0, 1, 2, 100, 5000};
    uint64_t state = 3;
    for (size_t k = 0; k < ARRAY_SIZE(counts); k++) {
        size_t n = counts[k], got = 0;
        struct outlog_entry *e = calloc(n + 1, sizeof *e);
        for (size_t i = 0; i < n; i++)
            e[i] = random_entry(&state);
        outlog_entries_sort(e, n);
        struct buf out = BUF_INIT(1 << 24);
        outlog_index_encode(e, n, SEED, 4096, &out);
        CU_ASSERT_FALSE(out.failed);
        for (size_t at = 0; at < out.len;) {
            struct page_cursor pc;
            struct outlog_entry x;
            CU_ASSERT_FATAL(
                page_open(&pc, out.data + at, out.len - at, SEED, 4096 + at));
            CU_ASSERT(pc.length <= OUTLOG_PAGE_BYTES);
            while (page_next(&pc, &x)) {
                CU_ASSERT(got < n && same(&x, &e[got]));
                got++;
            }
            CU_ASSERT_FALSE(pc.c.failed);
            /* Elsewhere in the file, or in another log, it is nothing. */
            CU_ASSERT_FALSE(page_open(&pc, out.data + at, out.len - at, SEED, at));
            CU_ASSERT_FALSE(
                page_open(&pc, out.data + at, out.len - at, SEED + 1, 4096 + at));
            CU_ASSERT_TRUE(
                page_open(&pc, out.data + at, out.len - at, SEED, 4096 + at));
            at += pc.length;
        }
        CU_ASSERT_EQUAL(got, n);
        buf_release(&out);
        free(e);
    }
}

static void test_flips(void)
{
    uint64_t state = 5;
    struct outlog_entry e[20];
    for (size_t i = 0; i < ARRAY_SIZE(e); i++)
        e[i] = random_entry(&state);
    outlog_entries_sort(e, ARRAY_SIZE(e));
    struct buf out = BUF_INIT(1 << 24);
    outlog_index_encode(e, ARRAY_SIZE(e), SEED, 0, &out);
    struct page_cursor pc;
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CU_ASSERT_FALSE(page_open(&pc, out.data, out.len, SEED, 0));
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < out.len; n++)
        CU_ASSERT_FALSE(page_open(&pc, out.data, n, SEED, 0));
    CU_ASSERT_TRUE(page_open(&pc, out.data, out.len, SEED, 0));
    buf_release(&out);
}

static void test_inner(void)
{
    struct page_builder b;
    size_t n = 0;
    page_begin(&b, 2);
    struct outlog_key key = {1, 2, 3, 4};
    while (page_add_inner(&b, &key, 4096 * (uint64_t)n, 4000)) {
        key.task++;
        n++;
    }
    CU_ASSERT(n >= 120);
    size_t len = page_finish(&b, SEED, 8);
    struct page_cursor pc;
    CU_ASSERT_TRUE_FATAL(page_open(&pc, b.page, len, SEED, 8));
    CU_ASSERT_EQUAL(pc.kind, 2);
    uint64_t offset;
    uint32_t length, i = 0;
    while (page_next_inner(&pc, &key, &offset, &length)) {
        CU_ASSERT(key.task == 2 + i && offset == 4096 * (uint64_t)i && length == 4000);
        i++;
    }
    CU_ASSERT_EQUAL(i, n);
}

/* Structures with a checksum: any flipped bit makes them invalid. */
static void test_structures(void)
{
    struct outlog_extent x = {
        .offset = 1 << 20,
        .length = 1 << 20,
        .lease = 77,
        .kind = OUTLOG_EXTENT_DATA,
        .origin = {.worker = 5, .rank = -1, .clock_offset_us = -9}};
    (void)snprintf(x.origin.host, sizeof x.origin.host, "node17");
    struct outlog_close c = {.data_end = (1 << 20) + 4096, .index_bytes = 100};
    struct outlog_slot s = {.generation = 3, .root = 12, .root_bytes = 40, .levels = 2};
    uint8_t ext[OUTLOG_CLOSE_AT], clo[128], slot[OUTLOG_SLOT_BYTES];
    outlog_extent_encode(&x, SEED, ext);
    outlog_close_encode(&c, SEED, x.offset, clo);
    outlog_slot_encode(&s, SEED, OUTLOG_SLOT_B, slot);
    struct outlog_extent x2;
    struct outlog_close c2;
    struct outlog_slot s2;
    CU_ASSERT_TRUE(outlog_extent_decode(ext, sizeof ext, SEED, x.offset, &x2));
    CU_ASSERT(x2.length == x.length && x2.lease == 77 && x2.origin.worker == 5);
    CU_ASSERT(x2.origin.rank == -1 && x2.origin.clock_offset_us == -9);
    CU_ASSERT_STRING_EQUAL(x2.origin.host, "node17");
    CU_ASSERT_TRUE(outlog_close_decode(clo, sizeof clo, SEED, &x, &c2));
    CU_ASSERT(c2.data_end == c.data_end && c2.index_bytes == 100);
    CU_ASSERT_TRUE(outlog_slot_decode(slot, sizeof slot, SEED, OUTLOG_SLOT_B, &s2));
    CU_ASSERT(s2.generation == 3 && s2.levels == 2 && s2.root == 12);
    CU_ASSERT_FALSE(outlog_extent_decode(ext, sizeof ext, SEED, 2 << 20, &x2));
    CU_ASSERT_FALSE(outlog_slot_decode(slot, sizeof slot, SEED, OUTLOG_SLOT_A, &s2));
    for (size_t bit = 0; bit < 128 * 8; bit++) {
        uint8_t m = (uint8_t)(1u << bit % 8);
        ext[bit / 8] ^= m;
        clo[bit / 8] ^= m;
        slot[bit / 8] ^= m;
        CU_ASSERT_FALSE(outlog_extent_decode(ext, sizeof ext, SEED, x.offset, &x2));
        CU_ASSERT_FALSE(outlog_close_decode(clo, sizeof clo, SEED, &x, &c2));
        CU_ASSERT_FALSE(
            outlog_slot_decode(slot, sizeof slot, SEED, OUTLOG_SLOT_B, &s2));
        ext[bit / 8] ^= m;
        clo[bit / 8] ^= m;
        slot[bit / 8] ^= m;
    }
}

static void test_block(void)
{
    struct outlog_block b = {.type = OUTLOG_BLOCK_STDERR,
                             .flags = OUTLOG_FLAG_END,
                             .stored = OUTLOG_END_BYTES + 5,
                             .job = 1,
                             .task = 2,
                             .instance = 3,
                             .seq = 4,
                             .time_us = 5};
    uint8_t raw[256] = {0};
    struct outlog_end end = {.state = OUTLOG_TIME_LIMIT,
                             .signal = 9,
                             .cut = true,
                             .channels = 2,
                             .exit_code = -3,
                             .start_us = 6,
                             .end_us = 7,
                             .bytes = {8, 9}};
    outlog_block_encode(&b, raw);
    memcpy(raw + OUTLOG_BLOCK_HEADER_BYTES, "hello", 5);
    outlog_end_encode(&end, raw + OUTLOG_BLOCK_HEADER_BYTES + 5);
    outlog_block_finish(raw, SEED, 800);
    struct outlog_block b2;
    struct outlog_end end2;
    CU_ASSERT_TRUE(outlog_block_decode(raw, sizeof raw, SEED, 800, &b2));
    CU_ASSERT(b2.stored == b.stored && b2.job == 1 && b2.seq == 4 && b2.time_us == 5);
    CU_ASSERT_EQUAL(outlog_block_output(&b2), 5);
    CU_ASSERT_EQUAL(outlog_block_span(b2.stored), 96);
    CU_ASSERT_TRUE(outlog_payload_ok(&b2, raw + OUTLOG_BLOCK_HEADER_BYTES, SEED, 800));
    CU_ASSERT_FALSE(outlog_payload_ok(&b2, raw + OUTLOG_BLOCK_HEADER_BYTES, SEED, 808));
    CU_ASSERT_TRUE(outlog_end_decode(raw + OUTLOG_BLOCK_HEADER_BYTES + 5,
                                     OUTLOG_END_BYTES, &end2));
    CU_ASSERT(end2.state == OUTLOG_TIME_LIMIT && end2.signal == 9 && end2.cut);
    CU_ASSERT(end2.exit_code == -3 && end2.bytes[1] == 9 && end2.channels == 2);
    for (size_t bit = 0; bit < (OUTLOG_BLOCK_HEADER_BYTES + b.stored) * 8; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool good = outlog_block_decode(raw, sizeof raw, SEED, 800, &b2) &&
                    outlog_payload_ok(&b2, raw + OUTLOG_BLOCK_HEADER_BYTES, SEED, 800);
        CU_ASSERT_FALSE(good);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST_MAIN("outlog structures", TEST(test_leaves), TEST(test_flips), TEST(test_inner),
          TEST(test_structures), TEST(test_block))
