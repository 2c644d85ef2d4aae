/*
 * struct buf: a growable run of bytes, born with a ceiling, and little-endian writers
 * on it. Appending never fails halfway: a failed call leaves the contents and sets
 * `failed`, which stays set until buf_clear, so that a long encode is checked once at
 * its end. Data is always followed by a NUL that is not counted.
 */
#ifndef HQ_BASE_BUF_H
#define HQ_BASE_BUF_H

#include <stdarg.h>
#include <string.h>
#include "base/util.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max;  /* ceiling in bytes */
    bool failed; /* an append was refused: out of memory or above max */
};

#define BUF_INIT(max_bytes)            \
    {                                  \
        NULL, 0, 0, (max_bytes), false \
    }
#define BUF_MAX_DEFAULT ((size_t)1 << 30)

void buf_init(struct buf *b, size_t max_bytes);
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
/* Makes room for n more bytes; false (and failed) when that is not possible. */
bool buf_reserve(struct buf *b, size_t n);
/* Room for n bytes at the end, already counted in len; NULL on failure. */
static inline void *buf_extend(struct buf *b, size_t n)
{
    /* cap - len is the room with the NUL; it is 0 in a buffer without memory. */
    if ((n >= b->cap - b->len || b->failed) && !buf_reserve(b, n))
        return NULL;
    uint8_t *p = b->data + b->len;
    b->len += n;
    b->data[b->len] = 0;
    return p;
}
static inline void buf_append(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    void *to = buf_extend(b, n);
    if (to)
        memcpy(to, p, n);
}
static inline void buf_puts(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}
static inline void buf_putc(struct buf *b, char c)
{
    char *to = buf_extend(b, 1);
    if (to)
        *to = c;
}
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* The text; never NULL. Valid until the next change. */
const char *buf_cstr(const struct buf *b);
/* Hands the memory over (free() it) and leaves the buffer empty; NULL if failed. */
char *buf_steal(struct buf *b);
/* Appends the rest of a blocking file descriptor. 0, ERR_SYSTEM (errno kept), ERR_NOMEM
 * or ERR_TOO_BIG; on failure what was read is dropped. */
int buf_read_fd(struct buf *b, int fd) MUST_CHECK;

static inline void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)v);
    put_u16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32(p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}
static inline uint32_t get_u32(const uint8_t *p)
{
    return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}
static inline uint64_t get_u64(const uint8_t *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* Little-endian writers. */
static inline void buf_u8(struct buf *b, uint8_t v)
{
    uint8_t *p = buf_extend(b, 1);
    if (p)
        *p = v;
}
static inline void buf_u16(struct buf *b, uint16_t v)
{
    uint8_t *p = buf_extend(b, 2);
    if (p)
        put_u16(p, v);
}
static inline void buf_u32(struct buf *b, uint32_t v)
{
    uint8_t *p = buf_extend(b, 4);
    if (p)
        put_u32(p, v);
}
static inline void buf_u64(struct buf *b, uint64_t v)
{
    uint8_t *p = buf_extend(b, 8);
    if (p)
        put_u64(p, v);
}
#define VARINT_SIZE_MAX 10
/* Writes v as LEB128 (1 to 10 bytes) and returns the end. */
static inline uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}
void buf_varint_grow(struct buf *b, uint64_t v);
static inline void buf_varint(struct buf *b, uint64_t v)
{
    if (b->cap - b->len > VARINT_SIZE_MAX && !b->failed) {
        uint8_t *end = put_varint(b->data + b->len, v);
        *end = 0;
        b->len = (size_t)(end - b->data);
    } else {
        buf_varint_grow(b, v);
    }
}
/* zig-zag, then LEB128 */
static inline void buf_zigzag(struct buf *b, int64_t v)
{
    buf_varint(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}
/* Both: varint length, then the bytes, all or nothing; a NULL string has length 0. */
void buf_bytes(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
/* Overwrites four bytes written earlier at offset `at`. */
static inline void buf_patch_u32(struct buf *b, size_t at, uint32_t v)
{
    /* After a failure the place may never have been written. */
    if (b->failed)
        return;
    HQ_ASSERT(at <= b->len && b->len - at >= 4);
    put_u32(b->data + at, v);
}

#endif
