#include "outlog/index.h"

#include <stdlib.h>

#define MAGIC_PAGE 0x4e4c5148u /* HQLN */

/* Control byte of a leaf entry. */
#define FORM_NEXT 0u     /* same run, seq + 1 */
#define FORM_TASK 1u     /* same job; task difference - 1; instance 0, seq 0 */
#define FORM_FULL 2u     /* job, task, instance, seq */
#define FORM_INSTANCE 3u /* same task; instance, seq */
#define FORM_MASK 3u
#define TYPE_SHIFT 2u
#define CTRL_END 16u
#define CTRL_CUT 32u
#define CTRL_GROUPED 64u

int outlog_key_cmp(const struct outlog_key *a, const struct outlog_key *b)
{
    if (a->job != b->job)
        return a->job < b->job ? -1 : 1;
    if (a->task != b->task)
        return a->task < b->task ? -1 : 1;
    if (a->instance != b->instance)
        return a->instance < b->instance ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return 0;
}

static int entry_cmp(const void *pa, const void *pb)
{
    const struct outlog_entry *a = pa, *b = pb;
    int c = outlog_key_cmp(&a->key, &b->key);
    if (c)
        return c;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return a->inner < b->inner ? -1 : a->inner > b->inner;
}

void outlog_entries_sort(struct outlog_entry *e, size_t n)
{
    bool sorted = true;
    for (size_t i = 1; sorted && i < n; i++)
        sorted = entry_cmp(&e[i - 1], &e[i]) <= 0;
    if (!sorted)
        qsort(e, n, sizeof *e, entry_cmp);
}

/* ---- writing --------------------------------------------------------------------- */

void page_begin(struct page_builder *b, uint8_t kind)
{
    b->len = OUTLOG_PAGE_HEADER_BYTES;
    b->count = 0;
    b->kind = kind;
}

static uint64_t zigzag(uint64_t difference)
{
    return difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0);
}

static uint8_t *put_key(uint8_t *p, const struct outlog_key *k, uint8_t form,
                        const struct outlog_key *last)
{
    switch (form) {
    case FORM_TASK:
        return put_varint(p, k->task - last->task - 1);
    case FORM_INSTANCE:
        return put_varint(put_varint(p, k->instance), k->seq);
    case FORM_FULL:
        p = put_varint(put_varint(p, k->job), k->task);
        return put_varint(put_varint(p, k->instance), k->seq);
    default:
        return p;
    }
}

static uint8_t key_form(const struct outlog_key *k, const struct outlog_key *last)
{
    if (k->job != last->job)
        return FORM_FULL;
    if (k->task != last->task)
        return k->task > last->task && k->instance == 0 && k->seq == 0 ? FORM_TASK
                                                                       : FORM_FULL;
    return k->instance == last->instance && k->seq == last->seq + 1 ? FORM_NEXT
                                                                    : FORM_INSTANCE;
}

bool page_add(struct page_builder *b, const struct outlog_entry *e)
{
    if (b->len + OUTLOG_ENTRY_MAX > OUTLOG_PAGE_BYTES)
        return false;
    uint8_t form = FORM_FULL;
    uint64_t offset = 0, time_us = 0;
    if (b->count) {
        form = key_form(&e->key, &b->last.key);
        offset = b->last.offset / OUTLOG_BLOCK_ALIGN;
        time_us = b->last.time_us;
    } else {
        b->first = e->key;
    }
    uint8_t *p = b->page + b->len;
    *p++ = (uint8_t)(form | (unsigned)e->type << TYPE_SHIFT |
                     (e->flags & OUTLOG_FLAG_END ? CTRL_END : 0) |
                     (e->flags & OUTLOG_FLAG_CUT ? CTRL_CUT : 0) |
                     (e->grouped ? CTRL_GROUPED : 0));
    p = put_key(p, &e->key, form, &b->last.key);
    p = put_varint(p, zigzag(e->offset / OUTLOG_BLOCK_ALIGN - offset));
    if (e->grouped)
        p = put_varint(p, e->inner / OUTLOG_BLOCK_ALIGN);
    p = put_varint(p, e->output);
    p = put_varint(p, zigzag(e->time_us - time_us));
    if (e->flags & OUTLOG_FLAG_END)
        *p++ = e->state;
    b->len = (size_t)(p - b->page);
    b->count++;
    b->last = *e;
    return true;
}

bool page_add_raw(struct page_builder *b, const void *p, size_t n)
{
    if (b->len + n > OUTLOG_PAGE_BYTES)
        return false;
    memcpy(b->page + b->len, p, n);
    b->len += n;
    b->count++;
    return true;
}

bool page_add_inner(struct page_builder *b, const struct outlog_key *first,
                    uint64_t offset, uint32_t length)
{
    uint8_t raw[OUTLOG_INNER_BYTES] = {0};
    put_u32(raw, first->job);
    put_u32(raw + 4, first->task);
    put_u32(raw + 8, first->instance);
    put_u32(raw + 12, first->seq);
    put_u64(raw + 16, offset);
    put_u32(raw + 24, length);
    uint16_t before = b->count;
    if (!page_add_raw(b, raw, sizeof raw))
        return false;
    if (before == 0)
        b->first = *first;
    return true;
}

size_t page_finish(struct page_builder *b, uint64_t seed, uint64_t offset)
{
    memset(b->page, 0, OUTLOG_PAGE_HEADER_BYTES);
    put_u32(b->page + 8, MAGIC_PAGE);
    b->page[12] = b->kind;
    put_u16(b->page + 14, b->count);
    put_u16(b->page + 16, (uint16_t)b->len);
    outlog_seal_bytes(b->page, b->len, seed, offset);
    return b->len;
}

void outlog_index_encode(const struct outlog_entry *e, size_t n, uint64_t seed,
                         uint64_t offset, struct buf *out)
{
    struct page_builder b;
    size_t start = out->len;
    page_begin(&b, OUTLOG_PAGE_LEAF);
    for (size_t i = 0; i < n; i++) {
        if (page_add(&b, &e[i]))
            continue;
        size_t len = page_finish(&b, seed, offset + (out->len - start));
        buf_append(out, b.page, len);
        page_begin(&b, OUTLOG_PAGE_LEAF);
        HQ_ASSERT(page_add(&b, &e[i]));
    }
    if (b.count) {
        size_t len = page_finish(&b, seed, offset + (out->len - start));
        buf_append(out, b.page, len);
    }
}

/* ---- reading --------------------------------------------------------------------- */

bool page_open(struct page_cursor *pc, const uint8_t *p, size_t n, uint64_t seed,
               uint64_t offset)
{
    if (n < OUTLOG_PAGE_HEADER_BYTES || get_u32(p + 8) != MAGIC_PAGE)
        return false;
    uint16_t length = get_u16(p + 16);
    if (length < OUTLOG_PAGE_HEADER_BYTES || length > OUTLOG_PAGE_BYTES || length > n ||
        !outlog_bytes_ok(p, length, seed, offset))
        return false;
    *pc = (struct page_cursor){
        .c = cursor_make(p + OUTLOG_PAGE_HEADER_BYTES,
                         (size_t)length - OUTLOG_PAGE_HEADER_BYTES),
        .kind = p[12],
        .left = get_u16(p + 14),
        .length = length,
    };
    return true;
}

static uint64_t unzigzag(uint64_t v)
{
    return v >> 1 ^ (v & 1 ? UINT64_MAX : 0);
}

static void read_key(struct cursor *c, struct outlog_key *k, uint8_t form)
{
    switch (form) {
    case FORM_NEXT:
        c->failed = c->failed || k->seq == UINT32_MAX;
        k->seq++;
        break;
    case FORM_TASK: {
        uint32_t d = cursor_varint32(c), task;
        if (ADD_OVERFLOWS(k->task, d, &task) || task == UINT32_MAX)
            c->failed = true;
        *k = (struct outlog_key){k->job, task + 1, 0, 0};
        break;
    }
    case FORM_INSTANCE:
        k->instance = cursor_varint32(c);
        k->seq = cursor_varint32(c);
        break;
    default:
        k->job = cursor_varint32(c);
        k->task = cursor_varint32(c);
        k->instance = cursor_varint32(c);
        k->seq = cursor_varint32(c);
    }
}

bool page_next(struct page_cursor *pc, struct outlog_entry *e)
{
    if (pc->left == 0 || pc->kind != OUTLOG_PAGE_LEAF || pc->c.failed)
        return false;
    struct cursor *c = &pc->c;
    struct outlog_entry *l = &pc->last;
    struct outlog_key before = l->key;
    uint8_t ctrl = cursor_u8(c);
    if (!pc->any && (ctrl & FORM_MASK) != FORM_FULL)
        c->failed = true;
    read_key(c, &l->key, ctrl & FORM_MASK);
    uint64_t offset = l->offset / OUTLOG_BLOCK_ALIGN + unzigzag(cursor_varint(c));
    if (offset > INT64_MAX / OUTLOG_BLOCK_ALIGN)
        c->failed = true;
    l->offset = offset * OUTLOG_BLOCK_ALIGN;
    l->grouped = ctrl & CTRL_GROUPED;
    l->inner = 0;
    if (l->grouped) {
        uint32_t inner = cursor_varint32(c);
        c->failed = c->failed || inner > OUTLOG_PAYLOAD_MAX / OUTLOG_BLOCK_ALIGN;
        l->inner = inner * OUTLOG_BLOCK_ALIGN;
    }
    l->output = cursor_varint32(c);
    l->time_us += unzigzag(cursor_varint(c));
    l->type = ctrl >> TYPE_SHIFT & 3;
    l->flags = (uint8_t)((ctrl & CTRL_END ? OUTLOG_FLAG_END : 0) |
                         (ctrl & CTRL_CUT ? OUTLOG_FLAG_CUT : 0));
    l->state = ctrl & CTRL_END ? cursor_u8(c) : OUTLOG_UNFINISHED;
    if (l->type == 0 || l->state >= OUTLOG_STATE_COUNT ||
        l->output > OUTLOG_PAYLOAD_MAX ||
        (pc->any && outlog_key_cmp(&before, &l->key) > 0))
        c->failed = true;
    if (c->failed)
        return false;
    pc->any = true;
    pc->left--;
    *e = *l;
    return true;
}

bool page_next_inner(struct page_cursor *pc, struct outlog_key *first, uint64_t *offset,
                     uint32_t *length)
{
    if (pc->left == 0 || pc->kind == OUTLOG_PAGE_LEAF ||
        pc->kind > OUTLOG_PAGE_LEVEL_MAX || pc->c.failed)
        return false;
    struct span raw = cursor_take(&pc->c, OUTLOG_INNER_BYTES);
    if (pc->c.failed)
        return false;
    *first = (struct outlog_key){get_u32(raw.p), get_u32(raw.p + 4), get_u32(raw.p + 8),
                                 get_u32(raw.p + 12)};
    *offset = get_u64(raw.p + 16);
    *length = get_u32(raw.p + 24);
    pc->left--;
    return *length >= OUTLOG_PAGE_HEADER_BYTES && *length <= OUTLOG_PAGE_BYTES &&
           *offset < INT64_MAX;
}
