/*
 * Index pages: sorted entries, one per block, delta-coded. The same leaves serve as the
 * index of a closed extent and as leaves of the sealed tree. Key order is (job, task,
 * instance, seq).
 *
 * Page: u64 check, u32 magic HQLN, u8 kind (0 leaf, 1.. inner level), u8 0, u16 count,
 * u16 length of the page in bytes, 6 bytes 0; then the entries.
 */
#ifndef HQ_OUTLOG_INDEX_H
#define HQ_OUTLOG_INDEX_H

#include "outlog/format.h"

struct outlog_key {
    uint32_t job, task, instance, seq;
};

/* Where a block is and what it holds. */
struct outlog_entry {
    struct outlog_key key;
    uint32_t output; /* bytes of output */
    uint32_t inner;  /* position inside the group's content, when grouped */
    uint64_t offset; /* of the block, or of the group that holds it */
    uint64_t time_us;
    uint8_t type;  /* enum outlog_block_type */
    uint8_t flags; /* OUTLOG_FLAG_* */
    uint8_t state; /* enum outlog_state, with OUTLOG_FLAG_END */
    bool grouped;
};

int outlog_key_cmp(const struct outlog_key *a, const struct outlog_key *b);
void outlog_entries_sort(struct outlog_entry *e, size_t n);

#define OUTLOG_PAGE_LEAF 0u
#define OUTLOG_PAGE_LEVEL_MAX 15u
#define OUTLOG_PAGE_JOBS 0x41u
#define OUTLOG_INNER_BYTES 32u
#define OUTLOG_ENTRY_MAX 64u   /* no encoded entry is longer */
#define OUTLOG_ENTRY_GUESS 24u /* room to keep per block for the index of an extent */

struct page_builder {
    uint8_t page[OUTLOG_PAGE_BYTES];
    size_t len;
    uint16_t count;
    uint8_t kind;
    struct outlog_key first; /* key of the first entry */
    struct outlog_entry last;
};
void page_begin(struct page_builder *b, uint8_t kind);
/* False: the page is full (finish it, begin a new one, add again). */
bool page_add(struct page_builder *b, const struct outlog_entry *e);
bool page_add_inner(struct page_builder *b, const struct outlog_key *first,
                    uint64_t offset, uint32_t length);
/* A record of any other table. */
bool page_add_raw(struct page_builder *b, const void *p, size_t n);
/* Completes the page for that place; returns its length. */
size_t page_finish(struct page_builder *b, uint64_t seed, uint64_t offset);

struct page_cursor {
    struct cursor c;
    uint8_t kind;
    uint32_t left;
    uint32_t length; /* of the whole page */
    bool any;
    struct outlog_entry last;
};
/* False: no valid page there. `n` may be more than the page. */
bool page_open(struct page_cursor *pc, const uint8_t *p, size_t n, uint64_t seed,
               uint64_t offset);
/* Next entry of a leaf; false at the end, or when it is malformed (c.failed). */
bool page_next(struct page_cursor *pc, struct outlog_entry *e);
bool page_next_inner(struct page_cursor *pc, struct outlog_key *first, uint64_t *offset,
                     uint32_t *length);

/* Sorted entries as leaf pages for that place, appended to out. */
void outlog_index_encode(const struct outlog_entry *e, size_t n, uint64_t seed,
                         uint64_t offset, struct buf *out);

#endif
