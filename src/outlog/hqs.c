#include "outlog/hqs.h"

#include <string.h>

static const char magic[] = "hqsf0000";

/* Times above this (year 9999) are no times. */
#define TIME_MS_MAX UINT64_C(253402300799999)

static bool take_varint(struct cursor *c, uint64_t most, uint64_t *v)
{
    uint8_t first = cursor_u8(c);
    switch (first) {
    case 251:
        *v = cursor_u16(c);
        break;
    case 252:
        *v = cursor_u32(c);
        break;
    case 253:
        *v = cursor_u64(c);
        break;
    default:
        *v = first;
    }
    return !c->failed && first < 254 && *v <= most;
}

static bool take_u32(struct cursor *c, uint32_t *v)
{
    uint64_t wide;
    bool good = take_varint(c, UINT32_MAX, &wide);
    *v = good ? (uint32_t)wide : 0;
    return good;
}

static enum hqs_result failure(const struct cursor *c)
{
    return c->failed ? HQS_SHORT : HQS_BAD;
}

enum hqs_result hqs_header_decode(struct cursor *c, struct hqs_header *h)
{
    uint64_t n;
    *h = (struct hqs_header){0};
    struct span start = cursor_take(c, sizeof magic - 1);
    if (c->failed || memcmp(start.p, magic, start.n) != 0)
        return failure(c);
    if (!take_varint(c, OUTLOG_SERVER_UID_MAX, &n))
        return failure(c);
    struct span uid = cursor_take(c, (size_t)n);
    if (c->failed || !take_u32(c, &h->worker))
        return failure(c);
    if (uid.n)
        memcpy(h->server_uid, uid.p, uid.n);
    return HQS_GOOD;
}

enum hqs_result hqs_record_decode(struct cursor *c, struct hqs_record *r)
{
    uint64_t time, channel, size;
    *r = (struct hqs_record){0};
    if (!take_varint(c, 2 * TIME_MS_MAX, &time) || !take_u32(c, &r->job) ||
        !take_u32(c, &r->task) || !take_u32(c, &r->instance) ||
        !take_varint(c, OUTLOG_STDERR, &channel) ||
        !take_varint(c, OUTLOG_PAYLOAD_MAX, &size))
        return failure(c);
    /* Zigzag: odd is negative, before 1970, which counts as the beginning. */
    r->time_us = time & 1 ? 0 : time / 2 * 1000;
    r->channel = (enum outlog_channel)channel;
    r->size = (uint32_t)size;
    return HQS_GOOD;
}
