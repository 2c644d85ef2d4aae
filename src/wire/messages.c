#include "wire/messages.h"

#include <stdlib.h>

static void put_u8(struct buf *b, uint8_t v)
{
    buf_varint(b, v);
}
static void put_flag(struct buf *b, bool v)
{
    buf_u8(b, v);
}
static void put_span(struct buf *b, struct span s)
{
    buf_bytes(b, s.p, s.n);
}
#define PUT_u8 put_u8
#define PUT_u32 buf_varint
#define PUT_u64 buf_varint
#define PUT_i64 buf_zigzag
#define PUT_flag put_flag
#define PUT_text put_span
#define PUT_blob put_span

/* Messages are mostly small: one length byte is reserved, and the body is moved when it
 * turns out to need more. */
static size_t message_begin(struct buf *batch, uint8_t type)
{
    buf_u8(batch, type);
    buf_u8(batch, 0);
    return batch->len;
}

static void message_end(struct buf *batch, size_t start)
{
    if (batch->failed)
        return;
    size_t n = batch->len - start;
    uint8_t head[10];
    size_t k = 0;
    uint64_t v = n;
    do {
        head[k++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    if (k > 1) {
        if (!buf_extend(batch, k - 1))
            return;
        memmove(batch->data + start + k - 1, batch->data + start, n);
    }
    memcpy(batch->data + start - 1, head, k);
}

#define FIELD(type, name) PUT_##type(batch, m->name);
#define MESSAGE(name, number, fields)                                  \
    void msg_put_##name(struct buf *batch, const struct msg_##name *m) \
    {                                                                  \
        (void)m;                                                       \
        size_t start = message_begin(batch, number);                   \
        fields message_end(batch, start);                              \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef FIELD

/* A field that is not there any more was not known to the sender: it reads as zero. */
static uint64_t get_u64v(struct cursor *c)
{
    return c->p == c->end ? 0 : cursor_varint(c);
}
static uint32_t get_u32v(struct cursor *c)
{
    return c->p == c->end ? 0 : cursor_varint32(c);
}
static uint8_t get_u8v(struct cursor *c)
{
    uint32_t v = get_u32v(c);
    if (v > UINT8_MAX)
        c->failed = true;
    return (uint8_t)v;
}
static int64_t get_i64v(struct cursor *c)
{
    return c->p == c->end ? 0 : cursor_zigzag(c);
}
static bool get_flag(struct cursor *c)
{
    uint8_t v = c->p == c->end ? 0 : cursor_u8(c);
    if (v > 1)
        c->failed = true;
    return v == 1;
}
static struct span get_blob(struct cursor *c)
{
    return c->p == c->end ? (struct span){NULL, 0} : cursor_bytes(c);
}
static struct span get_text(struct cursor *c)
{
    struct span s = get_blob(c);
    if (s.n && memchr(s.p, 0, s.n))
        c->failed = true;
    return s;
}
#define GET_u8 get_u8v
#define GET_u32 get_u32v
#define GET_u64 get_u64v
#define GET_i64 get_i64v
#define GET_flag get_flag
#define GET_text get_text
#define GET_blob get_blob

#define FIELD(type, name) m->name = GET_##type(&c);
#define MESSAGE(name, number, fields)                                             \
    int msg_get_##name(struct span body, struct msg_##name *m, struct error *err) \
    {                                                                             \
        struct cursor c = cursor_make(body.p, body.n);                            \
        (void)m;                                                                  \
        fields if (c.failed) return error_set(err, ERR_CORRUPT,                   \
                                              "malformed message " #name);        \
        return 0;                                                                 \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef FIELD

int msg_next(struct cursor *batch, uint8_t *type, struct span *body)
{
    if (batch->p == batch->end)
        return ERR_CLOSED;
    *type = cursor_u8(batch);
    *body = cursor_bytes(batch);
    return batch->failed ? ERR_CORRUPT : 0;
}

const char *msg_name(uint8_t type)
{
    switch (type) {
#define MESSAGE(name, number, fields) \
    case number:                      \
        return #name;
#include "wire/messages.def"
#undef MESSAGE
    default:
        return "unknown";
    }
}

static void print_text(struct buf *out, const char *name, struct span s)
{
    buf_printf(out, " %s=\"%.*s\"", name, (int)MIN(s.n, 200u), (const char *)s.p);
}
static void print_blob(struct buf *out, const char *name, struct span s)
{
    buf_printf(out, " %s=<%zu bytes>", name, s.n);
}
static void print_number(struct buf *out, const char *name, uint64_t v)
{
    buf_printf(out, " %s=%llu", name, (unsigned long long)v);
}
static void print_signed(struct buf *out, const char *name, int64_t v)
{
    buf_printf(out, " %s=%lld", name, (long long)v);
}
#define PRINT_u8 print_number
#define PRINT_u32 print_number
#define PRINT_u64 print_number
#define PRINT_i64 print_signed
#define PRINT_flag print_number
#define PRINT_text print_text
#define PRINT_blob print_blob

#define FIELD(type, name) PRINT_##type(out, #name, m.name);
#define MESSAGE(name, number, fields)                               \
    static void msg_print_##name(struct span body, struct buf *out) \
    {                                                               \
        struct msg_##name m;                                        \
        if (msg_get_##name(body, &m, NULL) != 0) {                  \
            buf_puts(out, " (malformed)");                          \
            return;                                                 \
        }                                                           \
        fields(void) m;                                             \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef FIELD

void msg_print(uint8_t type, struct span body, struct buf *out)
{
    buf_puts(out, msg_name(type));
    switch (type) {
#define MESSAGE(name, number, fields) \
    case number:                      \
        msg_print_##name(body, out);  \
        break;
#include "wire/messages.def"
#undef MESSAGE
    default:
        buf_printf(out, " type=%u <%zu bytes>", type, body.n);
    }
}

char *span_dup(struct span s)
{
    char *p = malloc(s.n + 1);
    if (p) {
        if (s.n)
            memcpy(p, s.p, s.n);
        p[s.n] = '\0';
    }
    return p;
}

bool span_equal(struct span s, const char *text)
{
    size_t n = strlen(text);
    return s.n == n && (n == 0 || memcmp(s.p, text, n) == 0);
}
