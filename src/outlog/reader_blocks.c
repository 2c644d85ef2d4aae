/*
 * Blocks in the order of time: one scan per extent, merged. An extent is opened only
 * when its first block is due, so that as many are open as overlap in time.
 */
#include "outlog/reader_impl.h"

#include <stdlib.h>
#include <string.h>
#include "base/heap.h"

#define WINDOW_BYTES (256u << 10)

struct stream {
    struct logfile *f;
    struct extent_info *x;
    uint64_t start_us; /* no block is earlier (0: unknown) */
    struct scan scan;
    uint64_t due_us; /* of the current block; never decreases, whatever clocks do */
};

struct outlog_blocks {
    struct outlog_block_filter filter;
    struct outlog_reader *r;
    struct stream *streams; /* by start_us */
    size_t n_streams, cap_streams, n_opened;
    size_t n_extents; /* those of other parts too */
    size_t n_seen;    /* of them */
    struct heap heap; /* open streams, by their current block */
    bool given;       /* the block of the first one was given out: go on from it */
    struct outlog_key last; /* given out */
    bool any;               /* `last` is valid */
};

static struct stream *stream_of(const struct heap_item *item)
{
    return (struct stream *)(uintptr_t)item->payload;
}

/* Blocks of one task at the same time. */
static bool tie(const struct heap_item *a, const struct heap_item *b)
{
    const struct stream *x = stream_of(a), *y = stream_of(b);
    int c = outlog_key_cmp(&x->scan.e.key, &y->scan.e.key);
    return c < 0 || (c == 0 && x < y);
}

static struct heap_item item_of(struct stream *s)
{
    const struct outlog_key *k = &s->scan.e.key;
    return (struct heap_item){.high = s->due_us,
                              .low = (uint64_t)k->job << 32 | k->task,
                              .payload = (uintptr_t)s};
}

/* The stream with the earliest block; NULL: there is none. */
static struct stream *first(const struct outlog_blocks *it)
{
    const struct heap_item *top = heap_peek(&it->heap);
    return top ? stream_of(top) : NULL;
}

static bool wanted(const struct outlog_blocks *it, const struct outlog_entry *e)
{
    if (!it->filter.any_job && e->key.job != it->filter.job)
        return false;
    if (it->filter.channel == OUTLOG_STDOUT)
        return e->type == OUTLOG_BLOCK_STDOUT;
    if (it->filter.channel == OUTLOG_STDERR)
        return e->type == OUTLOG_BLOCK_STDERR;
    return true;
}

/* The next block of an extent; false (and closed) at its end. */
static bool stream_next(struct outlog_blocks *it, struct stream *s)
{
    for (;;) {
        switch (scan_next(&s->scan)) {
        case SCAN_BLOCK:
            if (!wanted(it, &s->scan.e))
                continue;
            s->due_us = MAX(s->due_us, s->scan.e.time_us);
            return true;
        case SCAN_DAMAGE:
            logfile_damage(s->f, s->scan.damage_at, s->scan.damage_bytes,
                           s->scan.damage_what);
            continue;
        case SCAN_TORN:
            logfile_damage(s->f, s->scan.damage_at, s->scan.damage_bytes,
                           "unfinished write");
            continue;
        case SCAN_END:
            scan_release(&s->scan);
            return false;
        }
    }
}

/* Opens all extents that may hold the next block. */
static int open_due(struct outlog_blocks *it, struct error *err)
{
    while (it->n_opened < it->n_streams) {
        struct stream *s = &it->streams[it->n_opened];
        const struct stream *due = first(it);
        if (due && (it->filter.in_place || s->start_us > due->due_us))
            return 0;
        it->n_opened++;
        if (!scan_init(&s->scan, s->f, s->x, it->filter.verify, WINDOW_BYTES))
            return error_nomem(err);
        s->scan.may_skip = it->filter.may_skip;
        memcpy(s->scan.unless, it->filter.unless, sizeof s->scan.unless);
        if (stream_next(it, s) && heap_push(&it->heap, item_of(s)) < 0)
            return error_nomem(err);
    }
    return 0;
}

static int stream_cmp(const void *pa, const void *pb)
{
    const struct stream *a = pa, *b = pb;
    if (a->start_us != b->start_us)
        return a->start_us < b->start_us ? -1 : 1;
    if (a->f != b->f)
        return a->f->number < b->f->number ? -1 : 1;
    return a->x->x.offset < b->x->x.offset ? -1 : a->x->x.offset > b->x->x.offset;
}

/* Parts lie one behind the other, so that few runs go over their borders. */
static uint32_t part_of(const struct outlog_blocks *it, size_t extent)
{
    return (uint32_t)(extent * it->filter.n_parts / it->n_extents);
}

static int count_extents(struct outlog_blocks *it, struct error *err)
{
    for (size_t i = 0; i < it->r->n_files; i++) {
        struct extent_list *l = logfile_extents(it->r->files[i], false, err);
        if (!l)
            return ERR_NOMEM;
        it->n_extents += l->n;
    }
    return 0;
}

static int add_file(struct outlog_blocks *it, struct logfile *f, struct error *err)
{
    struct extent_list *l = logfile_extents(f, false, err);
    if (!l)
        return ERR_NOMEM;
    for (size_t i = 0; i < l->n; i++) {
        if (it->n_streams == it->cap_streams) {
            size_t cap = it->cap_streams ? it->cap_streams * 2 : 16;
            struct stream *grown = realloc(it->streams, cap * sizeof *grown);
            if (!grown)
                return error_nomem(err);
            it->streams = grown;
            it->cap_streams = cap;
        }
        struct extent_info *x = &l->items[i];
        if (it->filter.n_parts > 1 && part_of(it, it->n_seen++) != it->filter.part)
            continue;
        it->streams[it->n_streams++] = (struct stream){
            .f = f,
            .x = x,
            .start_us = x->closed ? x->close.first_us : 0,
        };
    }
    return 0;
}

int outlog_blocks_create(struct outlog_blocks **out, struct outlog_reader *r,
                         const struct outlog_block_filter *filter, struct error *err)
{
    struct outlog_blocks *it = calloc(1, sizeof *it);
    if (!it)
        return error_nomem(err);
    it->r = r;
    it->filter = *filter;
    it->heap.tie = tie;
    int rc = count_extents(it, err);
    for (size_t i = 0; i < r->n_files && rc == 0; i++)
        rc = add_file(it, r->files[i], err);
    if (rc < 0) {
        outlog_blocks_destroy(it);
        return rc;
    }
    if (it->n_streams && !filter->in_place)
        qsort(it->streams, it->n_streams, sizeof *it->streams, stream_cmp);
    *out = it;
    return 0;
}

void outlog_blocks_destroy(struct outlog_blocks *it)
{
    if (!it)
        return;
    for (size_t i = 0; i < it->n_opened; i++)
        scan_release(&it->streams[i].scan);
    free(it->streams);
    heap_release(&it->heap);
    free(it);
}

static void pass_given(struct outlog_blocks *it)
{
    struct heap_item item;
    struct stream *s = first(it);
    if (stream_next(it, s))
        heap_replace_top(&it->heap, item_of(s));
    else
        (void)heap_pop(&it->heap, &item);
    it->given = false;
}

int outlog_blocks_next(struct outlog_blocks *it, struct outlog_ref *ref,
                       struct error *err)
{
    for (;;) {
        if (it->given)
            pass_given(it);
        int rc = open_due(it, err);
        if (rc < 0)
            return rc;
        const struct stream *s = first(it);
        if (!s)
            return 0;
        it->given = true;
        ref->e = s->scan.e;
        ref->file = s->f->number;
        /* The same block again: copies of one file are read together. */
        if (it->any && outlog_key_cmp(&ref->e.key, &it->last) == 0)
            continue;
        it->any = true;
        it->last = ref->e.key;
        return 1;
    }
}

const uint8_t *outlog_blocks_data(struct outlog_blocks *it)
{
    return it->given ? scan_data(&first(it)->scan) : NULL;
}
