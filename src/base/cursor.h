/*
 * struct cursor: bounds-checked little-endian reading of bytes that may be hostile.
 * A read beyond the end returns 0 (or an empty span), sets `failed` and moves to the
 * end; check `failed` once after a group of reads. Spans borrow from the input.
 */
#ifndef HQ_BASE_CURSOR_H
#define HQ_BASE_CURSOR_H

#include "base/util.h"

struct span {
    const uint8_t *p;
    size_t n;
};

struct cursor {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

static inline struct cursor cursor_make(const void *p, size_t n)
{
    return (struct cursor){p, n ? (const uint8_t *)p + n : p, false};
}
static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
uint64_t cursor_varint(struct cursor *c); /* fails on more than 64 bits */
uint32_t cursor_varint32(struct cursor *c); /* fails above UINT32_MAX */
int64_t cursor_zigzag(struct cursor *c);
struct span cursor_take(struct cursor *c, size_t n);
struct span cursor_bytes(struct cursor *c); /* varint length, then bytes */
/*
 * A varint length, then that many bytes, copied with a NUL behind. Fails on an inner
 * NUL or more than max bytes. NULL on failure; free() it.
 */
char *cursor_strdup(struct cursor *c, size_t max);
/* A count that is followed by at least min_size bytes each; fails if impossible. */
size_t cursor_count(struct cursor *c, size_t min_size);

#endif
