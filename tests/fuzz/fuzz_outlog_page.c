/*
 * Index pages of the output log. Byte 0: kind, bytes 1-2: number of entries, the rest:
 * the entries, behind a header with a right checksum, so that the decoder is reached.
 * What it accepts must be in order and encode to pages that decode to the same.
 */
#include "outlog/index.h"

#define SEED UINT64_C(99)
#define PLACE UINT64_C(4096)
/* An entry has a control byte, place, output and time. */
#define ENTRIES_MAX ((OUTLOG_PAGE_BYTES - OUTLOG_PAGE_HEADER_BYTES) / 4)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t make_page(uint8_t *page, const uint8_t *data, size_t size)
{
    size_t n = MIN(size - 3, (size_t)OUTLOG_PAGE_BYTES - OUTLOG_PAGE_HEADER_BYTES);
    size_t len = OUTLOG_PAGE_HEADER_BYTES + n;
    memset(page, 0, OUTLOG_PAGE_HEADER_BYTES);
    memcpy(page + 8, "HQLN", 4);
    page[12] = data[0];
    memcpy(page + 14, data + 1, 2);
    put_u16(page + 16, (uint16_t)len);
    memcpy(page + OUTLOG_PAGE_HEADER_BYTES, data + 3, n);
    outlog_seal_bytes(page, len, SEED, PLACE);
    return len;
}

static bool same(const struct outlog_entry *a, const struct outlog_entry *b)
{
    return outlog_key_cmp(&a->key, &b->key) == 0 && a->offset == b->offset &&
           a->inner == b->inner && a->output == b->output && a->time_us == b->time_us &&
           a->type == b->type && a->flags == b->flags && a->state == b->state &&
           a->grouped == b->grouped;
}

/* Cut has no meaning without an end record and is not kept. */
static void canonical(struct outlog_entry *e)
{
    if (!(e->flags & OUTLOG_FLAG_END))
        e->flags = 0;
}

static void round_trip(struct outlog_entry *e, size_t n)
{
    struct buf out = BUF_INIT(1 << 18);
    for (size_t i = 0; i < n; i++)
        canonical(&e[i]);
    outlog_index_encode(e, n, SEED, PLACE, &out);
    HQ_ASSERT(!out.failed);
    size_t got = 0;
    for (size_t at = 0; at < out.len;) {
        struct page_cursor pc;
        struct outlog_entry x;
        HQ_ASSERT(page_open(&pc, out.data + at, out.len - at, SEED, PLACE + at));
        while (page_next(&pc, &x)) {
            HQ_ASSERT(got < n && same(&x, &e[got]));
            got++;
        }
        HQ_ASSERT(!pc.c.failed);
        at += pc.length;
    }
    HQ_ASSERT(got == n);
    buf_release(&out);
}

static void read_leaf(struct page_cursor *pc)
{
    static struct outlog_entry e[ENTRIES_MAX + 1];
    size_t n = 0;
    while (page_next(pc, &e[n])) {
        HQ_ASSERT(n < ENTRIES_MAX);
        HQ_ASSERT(e[n].type >= OUTLOG_BLOCK_STDOUT && e[n].type <= OUTLOG_BLOCK_EVENT);
        HQ_ASSERT(e[n].state < OUTLOG_STATE_COUNT && e[n].output <= OUTLOG_PAYLOAD_MAX);
        HQ_ASSERT(n == 0 || outlog_key_cmp(&e[n - 1].key, &e[n].key) <= 0);
        n++;
    }
    round_trip(e, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t page[OUTLOG_PAGE_BYTES];
    struct page_cursor pc;
    if (size < 3)
        return 0;
    (void)page_open(&pc, data, size, SEED, PLACE);
    size_t len = make_page(page, data, size);
    HQ_ASSERT(page_open(&pc, page, len, SEED, PLACE));
    struct outlog_key key;
    uint64_t offset;
    uint32_t length;
    if (pc.kind == OUTLOG_PAGE_LEAF)
        read_leaf(&pc);
    else
        while (page_next_inner(&pc, &key, &offset, &length))
            HQ_ASSERT(length <= OUTLOG_PAGE_BYTES);
    return 0;
}
