/* HyperQueue's stream files among the files of a reader: each is one open extent, its
 * records are the blocks. */
#include "outlog/hqs.h"
#include "outlog/reader_impl.h"

#include <stdlib.h>

bool hqs_open(struct logfile *f, const uint8_t *p, size_t n)
{
    struct hqs_header h;
    struct cursor c = cursor_make(p, MIN(n, (size_t)HQS_HEADER_MAX));
    if (hqs_header_decode(&c, &h) != HQS_GOOD)
        return false;
    f->hqs = true;
    memcpy(f->ident.server_uid, h.server_uid, sizeof h.server_uid);
    f->ident.align_log2 = OUTLOG_ALIGN_LOG2_MIN;
    struct extent_info *x = calloc(1, sizeof *x);
    if (!x)
        return false;
    x->x.kind = OUTLOG_EXTENT_DATA;
    x->x.offset = (uint64_t)(c.p - p);
    x->x.length = f->size - x->x.offset;
    x->x.origin = (struct outlog_origin){.worker = h.worker, .rank = -1};
    f->all = (struct extent_list){.known = true, .items = x, .n = 1, .cap = 1};
    return true;
}

enum scan_result hqs_scan_next(struct scan *s)
{
    if (s->missing) {
        s->damage_at = s->end;
        s->damage_bytes = s->missing;
        s->damage_what = "unfinished write";
        s->missing = 0;
        return SCAN_TORN;
    }
    uint64_t left = s->end - s->pos;
    if (left == 0)
        return SCAN_END;
    size_t n = (size_t)MIN(left, (uint64_t)HQS_RECORD_MAX);
    const uint8_t *p = window_at(&s->w, s->pos, n);
    struct cursor c = cursor_make(p, p ? n : 0);
    struct hqs_record r;
    enum hqs_result got = hqs_record_decode(&c, &r);
    if (got != HQS_GOOD) {
        s->damage_at = s->pos;
        s->damage_bytes = left;
        s->damage_what = "unreadable record";
        s->pos = s->end;
        return got == HQS_SHORT ? SCAN_TORN : SCAN_DAMAGE;
    }
    uint64_t data = s->pos + (uint64_t)(c.p - p);
    uint32_t size = (uint32_t)MIN((uint64_t)r.size, s->end - data);
    s->missing = r.size - size;
    s->pos = data + size;
    s->e = (struct outlog_entry){
        .key = {r.job, r.task, r.instance, s->n_records++},
        .output = size,
        .offset = data,
        .time_us = r.time_us,
        .type = r.channel == OUTLOG_STDERR ? OUTLOG_BLOCK_STDERR : OUTLOG_BLOCK_STDOUT,
    };
    if (r.size == 0) { /* `inner` tells hqs_finish_entries of which channel */
        s->e.type = OUTLOG_BLOCK_EVENT;
        s->e.inner = 1u << r.channel;
    }
    return SCAN_BLOCK;
}

/* Numbers the records of one run. It is finished when each channel that shows up in it
 * has its end. */
static void finish_run(struct outlog_entry *e, size_t n)
{
    unsigned seen = 0, ended = 0;
    struct outlog_entry *last = NULL;
    for (size_t i = 0; i < n; i++) {
        e[i].key.seq = (uint32_t)i;
        if (e[i].type == OUTLOG_BLOCK_EVENT) {
            ended |= e[i].inner;
            e[i].inner = 0;
            last = &e[i];
        } else {
            seen |= e[i].type == OUTLOG_BLOCK_STDERR ? 2u : 1u;
        }
    }
    if (last && (seen & ~ended) == 0)
        last->flags = OUTLOG_FLAG_END;
}

void hqs_finish_entries(struct extent_info *x)
{
    for (size_t i = 0, n; i < x->n_entries; i += n) {
        const struct outlog_key *k = &x->entries[i].key;
        for (n = 1; i + n < x->n_entries; n++) {
            const struct outlog_key *next = &x->entries[i + n].key;
            if (next->job != k->job || next->task != k->task ||
                next->instance != k->instance)
                break;
        }
        finish_run(x->entries + i, n);
    }
}
