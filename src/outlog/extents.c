#include "outlog/extents.h"

#include <stdlib.h>

void extents_init(struct extents *x, const struct outlog_io_ops *io, void *file,
                  const struct outlog_ident *ident, const struct outlog_origin *origin)
{
    *x = (struct extents){.io = io, .file = file, .ident = *ident};
    x->seed = outlog_seed(&ident->uid);
    x->origin = *origin;
}

void extents_release(struct extents *x)
{
    free(x->entries);
    x->entries = NULL;
    x->n_entries = x->cap_entries = 0;
}

bool extents_want_lease(const struct extents *x)
{
    if (x->next.length)
        return false;
    return x->now.length == 0 || x->pos - x->now.offset >= x->now.length / 4 * 3;
}

bool extents_add_lease(struct extents *x, const struct outlog_lease *lease)
{
    if (x->now.length == 0) {
        x->now = *lease;
        x->pos = lease->offset + OUTLOG_EXTENT_HEADER_BYTES;
        x->header_written = false;
        x->n_entries = 0;
        x->first_us = UINT64_MAX;
        x->last_us = 0;
        memset(x->bytes, 0, sizeof x->bytes);
        return true;
    }
    if (x->next.length)
        return false;
    x->next = *lease;
    return true;
}

static bool reserve_entries(struct extents *x, size_t n)
{
    if (x->n_entries + n <= x->cap_entries)
        return true;
    size_t cap = MAX(x->cap_entries * 2, x->n_entries + n + 256);
    struct outlog_entry *grown = realloc(x->entries, cap * sizeof *grown);
    if (!grown)
        return false;
    x->entries = grown;
    x->cap_entries = cap;
    return true;
}

static struct outlog_entry entry_of(const struct outlog_block *b, const uint8_t *block,
                                    uint64_t offset)
{
    struct outlog_entry e = {
        .key = {b->job, b->task, b->instance, b->seq},
        .output = outlog_block_output(b),
        .offset = offset,
        .time_us = b->time_us,
        .type = b->type,
        .flags = b->flags & (OUTLOG_FLAG_END | OUTLOG_FLAG_CUT),
    };
    struct outlog_end end;
    if (b->flags & OUTLOG_FLAG_END &&
        outlog_end_decode(block + OUTLOG_BLOCK_HEADER_BYTES + e.output,
                          OUTLOG_END_BYTES, &end))
        e.state = (uint8_t)end.state;
    return e;
}

/* Entries of the blocks inside a group, from index `at` on. */
static void add_group_entries(struct extents *x, size_t at, size_t n, uint64_t offset)
{
    struct outlog_block b;
    size_t pos = 0;
    for (size_t i = 0; i < n; i++, pos += (size_t)outlog_block_span(b.stored)) {
        HQ_ASSERT(x->raw && pos < x->raw_len &&
                  outlog_block_decode_inner(x->raw + pos, x->raw_len - pos, &b));
        struct outlog_entry e = entry_of(&b, x->raw + pos, offset);
        e.grouped = true;
        e.inner = (uint32_t)pos;
        x->entries[at + i] = e;
    }
}

static void count_entries(struct extents *x, size_t n)
{
    for (size_t i = x->n_entries; i < x->n_entries + n; i++) {
        const struct outlog_entry *e = &x->entries[i];
        x->first_us = MIN(x->first_us, e->time_us);
        x->last_us = MAX(x->last_us, e->time_us);
        if (e->type == OUTLOG_BLOCK_STDOUT)
            x->bytes[OUTLOG_STDOUT] += e->output;
        if (e->type == OUTLOG_BLOCK_STDERR)
            x->bytes[OUTLOG_STDERR] += e->output;
    }
    x->n_entries += n;
    x->blocks_written += n;
}

/* Bytes that blocks may take up to, leaving room for their index. */
static bool fits(const struct extents *x, uint64_t pos, uint64_t span, size_t n_entries)
{
    uint64_t pages = (n_entries * (uint64_t)OUTLOG_ENTRY_GUESS) / 4000 + 1;
    uint64_t index = n_entries * (uint64_t)OUTLOG_ENTRY_GUESS +
                     pages * (OUTLOG_PAGE_HEADER_BYTES + OUTLOG_ENTRY_MAX);
    return pos + span + index <= x->now.offset + x->now.length;
}

static void write_header_in_front(struct extents *x, uint8_t *front, uint64_t now_us)
{
    struct outlog_extent e = {
        .offset = x->now.offset,
        .length = x->now.length,
        .lease = x->now.id,
        .kind = OUTLOG_EXTENT_DATA,
        .opened_us = now_us,
        .origin = x->origin,
    };
    outlog_extent_encode(&e, x->seed, front);
    memset(front + OUTLOG_CLOSE_AT, 0, OUTLOG_PART_BYTES);
    outlog_identity_encode(&x->ident, front + OUTLOG_IDENTITY_AT);
}

/* Finishes as many blocks as fit behind pos and collects their entries. */
static int take_blocks(struct extents *x, uint8_t *data, size_t len, size_t at,
                       size_t *n_out, size_t *bytes_out, struct error *err)
{
    size_t n = 0, bytes = 0;
    while (at + bytes < len) {
        uint8_t *p = data + at + bytes;
        struct outlog_block b;
        HQ_ASSERT(outlog_block_decode_inner(p, len - at - bytes, &b));
        size_t span = (size_t)outlog_block_span(b.stored);
        size_t n_inner = b.type == OUTLOG_BLOCK_GROUP ? b.seq : 1;
        if (!fits(x, x->pos + bytes, span, x->n_entries + n + n_inner))
            break;
        if (!reserve_entries(x, n + n_inner))
            return error_nomem(err);
        uint64_t offset = x->pos + bytes;
        if (b.type == OUTLOG_BLOCK_GROUP)
            add_group_entries(x, x->n_entries + n, n_inner, offset);
        else
            x->entries[x->n_entries + n] = entry_of(&b, p, offset);
        outlog_block_finish(p, x->seed, offset);
        n += n_inner;
        bytes += span;
    }
    *n_out = n;
    *bytes_out = bytes;
    return 0;
}

static void roll(struct extents *x, uint64_t now_us, struct extents_ended *ended)
{
    struct error ignored = ERROR_INIT;
    (void)extents_close(x, now_us, ended, &ignored);
}

/* Writes [data + at, + bytes) at pos, with the extent header in front the first time.
 */
static int write_out(struct extents *x, uint8_t *data, size_t at, size_t bytes,
                     uint64_t now_us, struct error *err)
{
    uint8_t *from = data + at;
    uint64_t offset = x->pos;
    size_t n = bytes;
    if (!x->header_written) {
        from -= OUTLOG_EXTENT_HEADER_BYTES;
        offset -= OUTLOG_EXTENT_HEADER_BYTES;
        n += OUTLOG_EXTENT_HEADER_BYTES;
        write_header_in_front(x, from, now_us);
    }
    int rc = x->io->write_at(x->file, offset, from, n, err);
    if (rc < 0)
        return rc;
    x->header_written = true;
    x->pos += bytes;
    x->bytes_written += n;
    return 0;
}

int extents_put(struct extents *x, uint8_t *data, size_t len, size_t *done,
                uint64_t now_us, struct extents_ended *ended, struct error *err)
{
    while (*done < len) {
        if (x->now.length == 0)
            return EXTENTS_NEED_LEASE;
        size_t n = 0, bytes = 0;
        int rc = take_blocks(x, data, len, *done, &n, &bytes, err);
        if (rc < 0)
            return rc;
        if (bytes == 0) {
            if (x->next.length == 0 && x->header_written)
                return EXTENTS_NEED_LEASE;
            roll(x, now_us, ended);
            return EXTENTS_ROLLED;
        }
        rc = write_out(x, data, *done, bytes, now_us, err);
        if (rc < 0)
            return rc;
        count_entries(x, n);
        *done += bytes;
    }
    return EXTENTS_DONE;
}

static int write_index(struct extents *x, uint64_t now_us, uint64_t *free_from,
                       struct error *err)
{
    outlog_entries_sort(x->entries, x->n_entries);
    struct buf index = BUF_INIT(BUF_MAX_DEFAULT);
    outlog_index_encode(x->entries, x->n_entries, x->seed, x->pos, &index);
    bool drop = index.failed || x->pos + index.len > x->now.offset + x->now.length;
    int rc = 0;
    if (!drop)
        rc = x->io->write_at(x->file, x->pos, index.data, index.len, err);
    struct outlog_close c = {
        .data_end = x->pos,
        .index_bytes = drop || rc < 0 ? 0 : index.len,
        .n_blocks = x->n_entries,
        .first_us = x->n_entries ? x->first_us : 0,
        .last_us = x->last_us,
        .closed_us = now_us,
        .bytes = {x->bytes[0], x->bytes[1]},
    };
    buf_release(&index);
    x->bytes_written += c.index_bytes;
    *free_from = x->pos + c.index_bytes;
    uint8_t record[OUTLOG_PART_BYTES];
    outlog_close_encode(&c, x->seed, x->now.offset, record);
    int rc2 = x->io->write_at(x->file, x->now.offset + OUTLOG_CLOSE_AT, record,
                              sizeof record, rc < 0 ? NULL : err);
    return rc < 0 ? rc : rc2;
}

bool extents_close(struct extents *x, uint64_t now_us, struct extents_ended *ended,
                   struct error *err)
{
    if (x->now.length == 0)
        return false;
    *ended = (struct extents_ended){.lease = x->now.id, .free_from = x->now.offset};
    if (x->header_written) {
        ended->data_end = x->pos;
        ended->n_blocks = x->n_entries;
        (void)write_index(x, now_us, &ended->free_from, err);
    }
    struct outlog_lease next = x->next;
    x->now.length = x->next.length = 0;
    x->n_entries = 0;
    if (next.length)
        (void)extents_add_lease(x, &next);
    return true;
}

bool extents_drop_next(struct extents *x, struct extents_ended *ended)
{
    if (x->next.length == 0)
        return false;
    *ended = (struct extents_ended){.lease = x->next.id};
    x->next.length = 0;
    return true;
}
