/*
 * struct cursor: bounds-checked little-endian reading of bytes that may be hostile.
 * A read beyond the end returns 0 (or an empty span), sets `failed` and moves to the
 * end; check `failed` once after a group of reads. Spans borrow from the input.
 */
#ifndef HQ_BASE_CURSOR_H
#define HQ_BASE_CURSOR_H

#include "base/buf.h"

struct span {
    const uint8_t *p;
    size_t n;
};

static inline struct span span_str(const char *s)
{
    return (struct span){(const uint8_t *)s, s ? strlen(s) : 0};
}
static inline struct span span_buf(const struct buf *b)
{
    return (struct span){b->data, b->len};
}

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
/* Marks a failed read: everything that follows reads as empty. */
static inline void cursor_fail(struct cursor *c)
{
    c->failed = true;
    c->p = c->end;
}
static inline uint8_t cursor_u8(struct cursor *c)
{
    if (c->p == c->end) {
        c->failed = true;
        return 0;
    }
    return *c->p++;
}
static inline uint16_t cursor_u16(struct cursor *c)
{
    if (cursor_left(c) < 2) {
        cursor_fail(c);
        return 0;
    }
    c->p += 2;
    return get_u16(c->p - 2);
}
static inline uint32_t cursor_u32(struct cursor *c)
{
    if (cursor_left(c) < 4) {
        cursor_fail(c);
        return 0;
    }
    c->p += 4;
    return get_u32(c->p - 4);
}
static inline uint64_t cursor_u64(struct cursor *c)
{
    if (cursor_left(c) < 8) {
        cursor_fail(c);
        return 0;
    }
    c->p += 8;
    return get_u64(c->p - 8);
}
/* As cursor_varint, for numbers of any length. */
uint64_t cursor_varint_long(struct cursor *c);
/* LEB128; fails on more than 64 bits. */
static inline uint64_t cursor_varint(struct cursor *c)
{
    if (c->p != c->end && *c->p < 0x80)
        return *c->p++;
    return cursor_varint_long(c);
}
/* Fails above UINT32_MAX. */
static inline uint32_t cursor_varint32(struct cursor *c)
{
    uint64_t v = cursor_varint(c);
    if (v > UINT32_MAX) {
        cursor_fail(c);
        return 0;
    }
    return (uint32_t)v;
}
static inline int64_t cursor_zigzag(struct cursor *c)
{
    uint64_t v = cursor_varint(c);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}
static inline struct span cursor_take(struct cursor *c, size_t n)
{
    if (n > cursor_left(c)) {
        cursor_fail(c);
        return (struct span){c->end, 0};
    }
    struct span taken = {c->p, n};
    if (n) /* an empty cursor may have no place at all */
        c->p += n;
    return taken;
}
/* A varint length, then that many bytes. */
static inline struct span cursor_bytes(struct cursor *c)
{
    uint64_t n = cursor_varint(c);
    if (n > cursor_left(c)) {
        cursor_fail(c);
        return (struct span){c->end, 0};
    }
    return cursor_take(c, (size_t)n);
}
/*
 * A varint length, then that many bytes, copied with a NUL behind. Fails on an inner
 * NUL or more than max bytes. NULL on failure; free() it.
 */
char *cursor_strdup(struct cursor *c, size_t max);
/* A count that is followed by at least min_size bytes each; fails if impossible. */
size_t cursor_count(struct cursor *c, size_t min_size);

#endif
