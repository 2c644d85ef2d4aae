#include "server/backlog.h"

#include <string.h>

#define HEAD_BYTES ((size_t)12)
#define KEEP_BYTES ((size_t)1 << 20) /* a larger buffer is given back when empty */
#define RECORDS_MAX ((size_t)4 << 30)

void backlog_init(struct backlog *b)
{
    buf_init(&b->records, RECORDS_MAX);
    b->first = 0;
}

void backlog_release(struct backlog *b)
{
    buf_release(&b->records);
    b->first = 0;
}

size_t backlog_bytes(const struct backlog *b)
{
    return b->records.len - b->first;
}

void backlog_add(struct backlog *b, uint64_t seq, const void *record, size_t n)
{
    buf_u64(&b->records, seq);
    buf_u32(&b->records, (uint32_t)n);
    buf_append(&b->records, record, n);
    HQ_ASSERT(!b->records.failed); /* far above where assigning ends */
}

static size_t record_size(const struct backlog *b, size_t at)
{
    return HEAD_BYTES + get_u32(b->records.data + at + 8);
}

/* Moves what is left to the front once that costs no more than was dropped. */
static void compact(struct backlog *b)
{
    size_t left = backlog_bytes(b);
    if (left == 0 && b->records.cap > KEEP_BYTES) {
        backlog_release(b);
    } else if (left <= b->first) {
        memmove(b->records.data, b->records.data + b->first, left);
        b->records.len = left;
        b->first = 0;
    }
}

void backlog_drop(struct backlog *b, uint64_t seq)
{
    size_t before = b->first;
    while (b->first < b->records.len) { /* in order */
        uint64_t number = get_u64(b->records.data + b->first);
        if (number == 0 || number > seq)
            break;
        b->first += record_size(b, b->first);
    }
    if (b->first != before)
        compact(b);
}

void backlog_append(struct backlog *b, struct journal *j)
{
    for (size_t at = b->first; at < b->records.len; at += record_size(b, at)) {
        uint8_t *head = b->records.data + at;
        put_u64(head, journal_append(j, head + HEAD_BYTES, get_u32(head + 8)));
    }
}
