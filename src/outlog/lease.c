#include "outlog/lease.h"

#include <stdlib.h>

/* Leases of one worker that are not ended. */
struct lease_worker {
    uint32_t worker;
    uint32_t n_given; /* sets the size of the next one */
    uint64_t *open;
    size_t n_open, cap_open;
};

static uint8_t align_log2_of(uint64_t block_bytes)
{
    uint8_t log2 = OUTLOG_ALIGN_LOG2_MIN;
    while (log2 < OUTLOG_ALIGN_LOG2_MAX && (UINT64_C(1) << log2) < block_bytes)
        log2++;
    return log2;
}

static uint64_t align_up(const struct lease_book *b, uint64_t offset)
{
    uint64_t mask = (UINT64_C(1) << b->ident.align_log2) - 1;
    return (offset + mask) & ~mask;
}

void lease_book_init(struct lease_book *b, struct outlog_uid uid,
                     const char *server_uid, uint64_t created_us, uint64_t block_bytes)
{
    *b = (struct lease_book){.next = OUTLOG_DATA_START, .next_lease = 1};
    b->ident.uid = uid;
    b->ident.created_us = created_us;
    b->ident.align_log2 = align_log2_of(block_bytes);
    memcpy(b->ident.server_uid, server_uid, strnlen(server_uid, OUTLOG_SERVER_UID_MAX));
}

void lease_book_restore(struct lease_book *b, const struct outlog_ident *ident,
                        uint64_t mark)
{
    *b = (struct lease_book){.ident = *ident, .journaled = mark, .next_lease = 1};
    b->next = MAX(align_up(b, mark), align_up(b, 1));
    /* Lease ids need only be unique among the leases that are open. */
    b->next_lease = b->next;
    b->in_use = true;
}

void lease_book_create(struct lease_book *b, const struct outlog_probe *found,
                       struct outlog_uid uid, const char *server_uid,
                       uint64_t created_us)
{
    lease_book_init(b, uid, server_uid, created_us, found->block_bytes);
    if (found->has_ident && strcmp(found->ident.server_uid, b->ident.server_uid) == 0) {
        lease_book_restore(b, &found->ident, found->file_bytes);
        b->journaled = 0; /* no journal knows it yet */
    }
}

void lease_book_release(struct lease_book *b)
{
    for (size_t i = 0; i < b->n_workers; i++)
        free(b->workers[i].open);
    free(b->workers);
    b->workers = NULL;
    b->n_workers = b->cap_workers = 0;
}

bool lease_book_open(struct lease_book *b, uint32_t worker,
                     const struct outlog_probe *found, bool replace_wanted)
{
    bool ours = found->has_ident &&
                memcmp(found->ident.uid.b, b->ident.uid.b, sizeof b->ident.uid.b) == 0;
    if (ours) {
        b->in_use = true;
        if (found->file_bytes > b->next)
            b->next = align_up(b, found->file_bytes);
        return false;
    }
    if (!replace_wanted || b->in_use || found->file_bytes == 0)
        return false;
    if (b->replacer == 0)
        b->replacer = worker;
    return b->replacer == worker;
}

/* The mark to journal so that space below `end` may be given out. */
static bool mark_needed(struct lease_book *b, uint64_t end, uint64_t *mark)
{
    if (end <= b->journaled)
        return false;
    uint64_t stride = MIN(MAX(align_up(b, end), align_up(b, 1)), LEASE_MARK_STRIDE_MAX);
    b->journaled = align_up(b, end + stride);
    *mark = b->journaled;
    return true;
}

static struct lease_worker *worker_get(struct lease_book *b, uint32_t worker)
{
    for (size_t i = 0; i < b->n_workers; i++)
        if (b->workers[i].worker == worker)
            return &b->workers[i];
    if (b->n_workers == b->cap_workers) {
        size_t cap = b->cap_workers ? b->cap_workers * 2 : 4;
        struct lease_worker *grown = realloc(b->workers, cap * sizeof *grown);
        if (!grown)
            return NULL;
        b->workers = grown;
        b->cap_workers = cap;
    }
    struct lease_worker *w = &b->workers[b->n_workers++];
    *w = (struct lease_worker){.worker = worker};
    return w;
}

static bool worker_reserve(struct lease_worker *w)
{
    if (w->n_open < w->cap_open)
        return true;
    size_t cap = w->cap_open ? w->cap_open * 2 : 4;
    uint64_t *grown = realloc(w->open, cap * sizeof *grown);
    if (!grown)
        return false;
    w->open = grown;
    w->cap_open = cap;
    return true;
}

int lease_book_grant(struct lease_book *b, uint32_t worker, struct outlog_lease *lease,
                     bool *journal_first, uint64_t *mark)
{
    *lease = (struct outlog_lease){0};
    *journal_first = false;
    struct lease_worker *w = worker_get(b, worker);
    if (!w || !worker_reserve(w))
        return ERR_NOMEM;
    uint64_t offset = b->next, length = LEASE_FIRST_BYTES;
    if (offset != OUTLOG_DATA_START) {
        uint64_t align = UINT64_C(1) << b->ident.align_log2;
        offset = align_up(b, offset);
        length = MAX(align, MIN(align << MIN(w->n_given, 16u), LEASE_MAX_BYTES));
        w->n_given++;
    }
    w->open[w->n_open++] = b->next_lease;
    b->n_open++;
    if (b->replacer == worker)
        b->in_use = true;
    *lease = (struct outlog_lease){b->next_lease++, offset, length};
    b->next = offset + length;
    *journal_first = mark_needed(b, b->next, mark);
    return 0;
}

void lease_book_end(struct lease_book *b, uint32_t worker, uint64_t lease)
{
    for (size_t i = 0; i < b->n_workers; i++) {
        struct lease_worker *w = &b->workers[i];
        if (w->worker != worker)
            continue;
        for (size_t k = 0; k < w->n_open; k++)
            if (w->open[k] == lease) {
                w->open[k] = w->open[--w->n_open];
                b->n_open--;
                return;
            }
    }
}

void lease_book_worker_lost(struct lease_book *b, uint32_t worker)
{
    if (b->replacer == worker && !b->in_use)
        b->replacer = 0;
    for (size_t i = 0; i < b->n_workers; i++) {
        if (b->workers[i].worker != worker)
            continue;
        b->n_open -= b->workers[i].n_open;
        free(b->workers[i].open);
        b->workers[i] = b->workers[--b->n_workers];
        return;
    }
}

bool lease_book_reserve(struct lease_book *b, uint64_t end, uint64_t *mark)
{
    b->next = MAX(b->next, align_up(b, end));
    return mark_needed(b, b->next, mark);
}

void lease_ident_encode(const struct outlog_ident *id, struct buf *out)
{
    buf_append(out, id->uid.b, sizeof id->uid.b);
    buf_u64(out, id->created_us);
    buf_u8(out, id->align_log2);
    buf_str(out, id->server_uid);
}

bool lease_ident_decode(struct outlog_ident *id, struct cursor *c)
{
    memset(id, 0, sizeof *id);
    struct span uid = cursor_take(c, sizeof id->uid.b);
    if (uid.n)
        memcpy(id->uid.b, uid.p, sizeof id->uid.b);
    id->created_us = cursor_u64(c);
    id->align_log2 = cursor_u8(c);
    struct span name = cursor_bytes(c);
    if (c->failed || name.n > OUTLOG_SERVER_UID_MAX ||
        id->align_log2 < OUTLOG_ALIGN_LOG2_MIN ||
        id->align_log2 > OUTLOG_ALIGN_LOG2_MAX)
        return false;
    if (name.n)
        memcpy(id->server_uid, name.p, name.n);
    return true;
}

void lease_probe_encode(const struct outlog_probe *p, struct buf *out)
{
    buf_varint(out, p->file_bytes);
    buf_varint(out, p->block_bytes);
    buf_u8(out, p->has_ident);
    if (p->has_ident)
        lease_ident_encode(&p->ident, out);
}

bool lease_probe_decode(struct outlog_probe *p, struct cursor *c)
{
    memset(p, 0, sizeof *p);
    p->file_bytes = cursor_varint(c);
    p->block_bytes = cursor_varint(c);
    p->has_ident = cursor_u8(c) != 0;
    return !c->failed && (!p->has_ident || lease_ident_decode(&p->ident, c));
}
