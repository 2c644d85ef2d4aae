#include "outlog/literals.h"
#include "outlog/reader_impl.h"

#include <stdlib.h>

bool scan_init(struct scan *s, const struct logfile *f, const struct extent_info *x,
               bool verify, size_t window)
{
    *s = (struct scan){.x = x, .verify = verify};
    uint64_t end = x->closed ? x->close.data_end : x->x.offset + x->x.length;
    s->pos = x->x.offset + (x->headerless || f->hqs ? 0 : OUTLOG_EXTENT_HEADER_BYTES);
    s->end = MIN(end, f->size);
    buf_init(&s->group, 2 * OUTLOG_GROUP_RAW_MAX);
    /* Small extents need no large window. */
    uint64_t left = s->end > s->pos ? s->end - s->pos : 1;
    return window_init(&s->w, f, (size_t)MIN(left, (uint64_t)window));
}

void scan_release(struct scan *s)
{
    window_release(&s->w);
    buf_release(&s->group);
}

static void fill_entry(struct scan *s, const struct outlog_block *b,
                       const uint8_t *payload, uint64_t offset)
{
    s->block = *b;
    s->e = (struct outlog_entry){
        .key = {b->job, b->task, b->instance, b->seq},
        .output = outlog_block_output(b),
        .offset = offset,
        .time_us = b->time_us,
        .type = b->type,
        .flags = b->flags & (OUTLOG_FLAG_END | OUTLOG_FLAG_CUT),
    };
    struct outlog_end end;
    if (payload && b->flags & OUTLOG_FLAG_END &&
        outlog_end_decode(payload + s->e.output, OUTLOG_END_BYTES, &end))
        s->e.state = (uint8_t)end.state;
}

/* The next block inside the current group; false: its end, or nonsense in it. */
static bool next_inner(struct scan *s)
{
    struct outlog_block b;
    size_t left = s->group.len - s->inner;
    const uint8_t *p = s->group.data + s->inner;
    if (left == 0 || !outlog_block_decode_inner(p, left, &b) ||
        b.type == OUTLOG_BLOCK_GROUP || outlog_block_span(b.stored) > left)
        return false;
    fill_entry(s, &b, p + OUTLOG_BLOCK_HEADER_BYTES, s->group_offset);
    s->e.grouped = true;
    s->e.inner = (uint32_t)s->inner;
    s->inner += (size_t)outlog_block_span(b.stored);
    return true;
}

enum block_try { TRY_NONE, TRY_GOOD, TRY_BAD_PAYLOAD };

/* Is there a block at pos? A good one is in s->block and s->e. */
static enum block_try try_block(struct scan *s, uint64_t pos)
{
    const struct logfile *f = s->w.file;
    const uint8_t *p = window_at(&s->w, pos, OUTLOG_BLOCK_HEADER_BYTES);
    struct outlog_block b;
    if (!p || !outlog_block_decode(p, OUTLOG_BLOCK_HEADER_BYTES, f->seed, pos, &b))
        return TRY_NONE;
    s->block = b;
    if (pos + OUTLOG_BLOCK_HEADER_BYTES + b.stored > s->end)
        return TRY_BAD_PAYLOAD;
    bool need = s->verify || b.type == OUTLOG_BLOCK_GROUP || b.flags & OUTLOG_FLAG_END;
    const uint8_t *payload = NULL;
    if (need) {
        p = window_at(&s->w, pos, OUTLOG_BLOCK_HEADER_BYTES + (size_t)b.stored);
        if (!p)
            return TRY_BAD_PAYLOAD;
        payload = p + OUTLOG_BLOCK_HEADER_BYTES;
        if (!outlog_payload_ok(&b, payload, f->seed, pos))
            return TRY_BAD_PAYLOAD;
    }
    if (b.type == OUTLOG_BLOCK_GROUP) {
        buf_clear(&s->group);
        s->inner = 0;
        s->group_offset = pos;
        if (s->may_skip &&
            !literals_may_hold(payload, b.stored, s->unless[0], s->unless[1]))
            return TRY_GOOD;
        return reader_unpack(f->r, payload, b.stored, &s->group) == 0 ? TRY_GOOD
                                                                      : TRY_BAD_PAYLOAD;
    }
    fill_entry(s, &b, payload, pos);
    return TRY_GOOD;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    static const uint8_t zeros[4096];
    while (n > 0) {
        size_t part = MIN(n, sizeof zeros);
        if (memcmp(p, zeros, part) != 0)
            return false;
        p += part;
        n -= part;
    }
    return true;
}

/*
 * From `from` on, the next offset where a block begins; s->end when there is none.
 * *dirty: a byte other than zero was passed.
 */
static uint64_t resync(struct scan *s, uint64_t from, bool *dirty)
{
    const struct logfile *f = s->w.file;
    uint64_t pos = from & ~(uint64_t)(OUTLOG_BLOCK_ALIGN - 1);
    pos = MAX(pos, from);
    while (pos < s->end) {
        uint64_t data = logfile_next_data(f, pos);
        if (data > pos)
            pos = MIN(data & ~(uint64_t)(OUTLOG_BLOCK_ALIGN - 1), s->end);
        uint64_t stop = MIN(s->end, pos + SCAN_WINDOW / 2);
        for (; pos < stop; pos += OUTLOG_BLOCK_ALIGN) {
            size_t n = (size_t)MIN(s->end - pos, (uint64_t)4096);
            const uint8_t *p = window_at(&s->w, pos, n);
            if (!p)
                return s->end;
            if (n == 4096 && all_zero(p, n)) {
                pos += n - OUTLOG_BLOCK_ALIGN;
                continue;
            }
            if (n >= OUTLOG_BLOCK_HEADER_BYTES) {
                struct outlog_block b;
                if (outlog_block_decode(p, n, f->seed, pos, &b))
                    return pos;
            }
            if (!all_zero(p, MIN(n, OUTLOG_BLOCK_ALIGN)))
                *dirty = true;
        }
    }
    return s->end;
}

/* Nothing at s->pos: what lies between here and the next block? */
static enum scan_result skip(struct scan *s, uint64_t from, const char *what)
{
    bool dirty = from != s->pos;
    uint64_t next = resync(s, from, &dirty);
    s->damage_at = s->pos;
    s->damage_bytes = next - s->pos;
    s->damage_what = what;
    bool last = next >= s->end;
    s->pos = next;
    if (!last)
        return SCAN_DAMAGE;
    if (s->x->closed)
        return SCAN_DAMAGE; /* blocks should be up to the recorded end */
    return dirty ? SCAN_TORN : SCAN_END;
}

const uint8_t *scan_data(struct scan *s)
{
    if (s->e.grouped)
        return s->group.data + s->e.inner + OUTLOG_BLOCK_HEADER_BYTES;
    if (s->w.file->hqs)
        return window_at(&s->w, s->e.offset, s->e.output);
    const uint8_t *p =
        window_at(&s->w, s->e.offset, OUTLOG_BLOCK_HEADER_BYTES + (size_t)s->e.output);
    return p ? p + OUTLOG_BLOCK_HEADER_BYTES : NULL;
}

enum scan_result scan_next(struct scan *s)
{
    if (s->w.file->hqs)
        return hqs_scan_next(s);
    for (;;) {
        if (s->inner < s->group.len) {
            if (next_inner(s))
                return SCAN_BLOCK;
            s->damage_at = s->group_offset;
            s->damage_bytes = s->group.len - s->inner;
            s->damage_what = "malformed block in a group";
            s->inner = s->group.len;
            return SCAN_DAMAGE;
        }
        if (s->pos >= s->end)
            return SCAN_END;
        switch (try_block(s, s->pos)) {
        case TRY_GOOD:
            s->pos += outlog_block_span(s->block.stored);
            if (s->block.type == OUTLOG_BLOCK_GROUP)
                continue;
            return SCAN_BLOCK;
        case TRY_BAD_PAYLOAD:
            /* The header is good, so the next block lies behind this one. */
            return skip(s, MIN(s->pos + outlog_block_span(s->block.stored), s->end),
                        "damaged block");
        case TRY_NONE:
            return skip(s, s->pos,
                        s->x->headerless ? "damaged extent" : "unreadable bytes");
        }
    }
}

static bool push_entry(struct extent_info *x, size_t *cap, const struct outlog_entry *e)
{
    if (x->n_entries == *cap) {
        size_t grow = *cap ? *cap * 2 : 256;
        struct outlog_entry *grown = realloc(x->entries, grow * sizeof *grown);
        if (!grown)
            return false;
        x->entries = grown;
        *cap = grow;
    }
    x->entries[x->n_entries++] = *e;
    return true;
}

int extent_scan(struct logfile *f, struct extent_info *x, struct error *err)
{
    if (x->scanned)
        return 0;
    struct scan s;
    size_t cap = 0;
    if (!scan_init(&s, f, x, true, SCAN_WINDOW)) {
        scan_release(&s);
        return error_nomem(err);
    }
    int rc = 0;
    bool torn = false;
    while (rc == 0) {
        if (!torn && s.inner >= s.group.len)
            x->scanned_end = s.pos;
        enum scan_result r = scan_next(&s);
        if (r == SCAN_END)
            break;
        torn = torn || r == SCAN_TORN;
        if (r == SCAN_BLOCK) {
            if (!push_entry(x, &cap, &s.e))
                rc = error_nomem(err);
        } else if (r == SCAN_DAMAGE || x->closed) {
            logfile_damage(f, s.damage_at, s.damage_bytes, s.damage_what);
        } else {
            logfile_damage(f, s.damage_at, s.damage_bytes, "unfinished write");
        }
    }
    scan_release(&s);
    if (rc < 0)
        return rc;
    outlog_entries_sort(x->entries, x->n_entries);
    if (f->hqs)
        hqs_finish_entries(x);
    x->scanned = true;
    return 0;
}
