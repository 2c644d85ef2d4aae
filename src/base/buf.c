#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/error.h"

#define BUF_FIRST 64
#define READ_STEP 65536

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf)BUF_INIT(max_bytes);
}

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT(b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = 0;
}

bool buf_reserve(struct buf *b, size_t n)
{
    size_t need; /* with the NUL */
    if (b->failed)
        return false;
    if (b->max < b->len || n > b->max - b->len || ADD_OVERFLOWS(b->len + n, 1, &need)) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap)
        return true;
    size_t cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : MAX(b->cap * 2, (size_t)BUF_FIRST);
    cap = MAX(cap, need);
    if (b->max < SIZE_MAX)
        cap = MIN(cap, b->max + 1);
    uint8_t *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    if (!b->data)
        data[0] = 0;
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = b->failed ? 0 : b->cap - b->len;
    int n = vsnprintf(room ? (char *)b->data + b->len : NULL, room, fmt, args);
    if (n >= 0 && (size_t)n < room) {
        b->len += (size_t)n;
    } else {
        if (room)
            b->data[b->len] = 0;
        if (n < 0)
            b->failed = true;
        else if (buf_reserve(b, (size_t)n)) {
            (void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
            b->len += (size_t)n;
        }
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

void buf_consume(struct buf *b, size_t n)
{
    HQ_ASSERT(n <= b->len);
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len + 1);
}

const char *buf_cstr(const struct buf *b)
{
    return b->data ? (const char *)b->data : "";
}

char *buf_steal(struct buf *b)
{
    char *text = NULL;
    if (!b->failed && buf_reserve(b, 0)) {
        text = (char *)b->data;
        b->data = NULL;
    }
    buf_release(b);
    return text;
}

int buf_read_fd(struct buf *b, int fd)
{
    size_t before = b->len;
    int code = b->failed ? ERR_NOMEM : 0;
    int sys = errno;
    while (!code) {
        size_t room = b->max - b->len;
        char probe;
        if (room && !buf_reserve(b, MIN(room, (size_t)READ_STEP))) {
            code = ERR_NOMEM;
            break;
        }
        /* At the ceiling one more byte tells whether the file ends there. */
        size_t want = room ? b->cap - 1 - b->len : 1;
        ssize_t n = read(fd, room ? (void *)(b->data + b->len) : &probe, want);
        if (n == 0)
            break;
        if (n > 0 && room) {
            b->len += (size_t)n;
        } else if (n > 0) {
            b->failed = true;
            code = ERR_TOO_BIG;
        } else if (errno != EINTR) {
            code = ERR_SYSTEM;
            sys = errno;
        }
    }
    if (code)
        b->len = before;
    if (b->data)
        b->data[b->len] = 0;
    errno = sys;
    return code;
}

void buf_varint_grow(struct buf *b, uint64_t v)
{
    uint8_t bytes[VARINT_SIZE_MAX];
    buf_append(b, bytes, (size_t)(put_varint(bytes, v) - bytes));
}

void buf_bytes(struct buf *b, const void *p, size_t n)
{
    uint8_t head[VARINT_SIZE_MAX];
    size_t head_len = (size_t)(put_varint(head, n) - head);
    size_t all;
    if (ADD_OVERFLOWS(n, head_len, &all)) {
        b->failed = true;
        return;
    }
    uint8_t *to = buf_extend(b, all);
    if (!to)
        return;
    memcpy(to, head, head_len);
    if (n)
        memcpy(to + head_len, p, n);
}

void buf_str(struct buf *b, const char *s)
{
    buf_bytes(b, s, s ? strlen(s) : 0);
}
