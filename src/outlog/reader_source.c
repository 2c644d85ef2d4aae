#include "outlog/reader_impl.h"

#include <stdlib.h>

#define SOURCE_WINDOW (16u << 10)

/* Marks what turned out to be damaged; the reader then takes another way. */
static bool source_fail(struct source *s)
{
    s->bad = true;
    if (s->kind == SOURCE_TREE) {
        s->f->seal_bad = true;
        logfile_damage(s->f, s->next, 0, "damaged index");
    } else {
        s->x->index_bad = true;
        logfile_damage(s->f, s->next, 0, "damaged index of an extent");
    }
    return false;
}

/* The page at s->next; its length is taken from the page itself. */
static bool open_page(struct source *s)
{
    size_t n = (size_t)MIN(s->end - s->next, (uint64_t)OUTLOG_PAGE_BYTES);
    const uint8_t *p = window_at(&s->w, s->next, n);
    if (!p || !page_open(&s->page, p, n, s->f->seed, s->next) ||
        s->page.kind != OUTLOG_PAGE_LEAF)
        return source_fail(s);
    s->next += s->page.length;
    s->page_open = true;
    return true;
}

static bool array_next(struct source *s)
{
    if (s->at >= s->x->n_entries)
        return false;
    s->e = s->x->entries[s->at++];
    return true;
}

bool source_next(struct source *s)
{
    if (s->bad)
        return false;
    if (s->kind == SOURCE_ARRAY)
        return array_next(s);
    for (;;) {
        if (!s->page_open) {
            if (s->next >= s->end)
                return false;
            if (!open_page(s))
                return false;
        }
        if (page_next(&s->page, &s->e))
            return true;
        if (s->page.c.failed)
            return source_fail(s);
        s->page_open = false;
    }
}

/* Walks from the root to the leaf where keys >= *from begin. */
static bool tree_descend(struct source *s, const struct outlog_key *from)
{
    const struct outlog_slot *slot = &s->f->slot;
    uint64_t at = slot->root;
    uint32_t length = slot->root_bytes;
    for (uint32_t level = slot->levels; level > 1; level--) {
        uint8_t page[OUTLOG_PAGE_BYTES];
        struct page_cursor pc;
        s->next = at;
        if (logfile_read(s->f, at, page, length) != length ||
            !page_open(&pc, page, length, s->f->seed, at) || pc.kind != level - 1)
            return source_fail(s);
        struct outlog_key first;
        uint64_t child = 0;
        uint32_t child_length = 0;
        bool any = false;
        for (;;) {
            uint64_t offset;
            uint32_t bytes;
            if (!page_next_inner(&pc, &first, &offset, &bytes))
                break;
            /* Equal keys may begin in the page before. */
            if (any && outlog_key_cmp(&first, from) >= 0)
                break;
            child = offset;
            child_length = bytes;
            any = true;
        }
        if (!any)
            return source_fail(s);
        at = child;
        length = child_length;
    }
    s->next = at;
    return true;
}

/* ---- leaves of an extent, which have no tree above them: from page to page, as far as
 * their first keys tell enough --------------------------------------------------------
 */

/* Opens the next page that has entries; its first one is in s->e, its place in *at. */
static bool next_first(struct source *s, uint64_t *at)
{
    while (!s->bad && s->next < s->end && open_page(s)) {
        *at = s->next - s->page.length;
        if (page_next(&s->page, &s->e))
            return true;
        if (s->page.c.failed)
            return source_fail(s);
    }
    return false;
}

static void skip_leaves(struct source *s, const struct outlog_key *from)
{
    uint64_t start = s->next, at;
    /* Equal keys may begin in the page before. */
    while (next_first(s, &at) && outlog_key_cmp(&s->e.key, from) < 0)
        start = at;
    s->next = start;
    s->page_open = false;
}

static void take_ids(struct outlog_ids *ids, const struct outlog_key *k)
{
    ids->job = MAX(ids->job, k->job);
    ids->task = MAX(ids->task, k->task);
}

static void take_page(struct source *s, uint64_t at, struct outlog_ids *ids)
{
    uint64_t next = s->next;
    s->next = at;
    if (!open_page(s))
        return;
    while (page_next(&s->page, &s->e))
        take_ids(ids, &s->e.key);
    if (s->page.c.failed)
        (void)source_fail(s);
    s->next = next;
}

bool source_largest_ids(struct source *s, struct outlog_ids *ids)
{
    uint64_t before = 0, at;
    uint32_t job = 0;
    while (next_first(s, &at)) {
        uint32_t here = s->e.key.job;
        take_ids(ids, &s->e.key);
        /* In a page in front of one that begins with the same job all tasks are
         * smaller. */
        if (before && here != job)
            take_page(s, before, ids);
        before = at;
        job = here;
    }
    if (before && !s->bad)
        take_page(s, before, ids);
    return !s->bad;
}

static size_t array_lower_bound(const struct extent_info *x, const struct outlog_key *k)
{
    size_t lo = 0, hi = x->n_entries;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (outlog_key_cmp(&x->entries[mid].key, k) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool source_init(struct source *s, enum source_kind kind, struct logfile *f,
                 struct extent_info *x, const struct outlog_key *from)
{
    *s = (struct source){.kind = kind, .f = f, .x = x};
    switch (kind) {
    case SOURCE_ARRAY:
        s->at = array_lower_bound(x, from);
        return true;
    case SOURCE_INDEX:
        s->next = x->close.data_end;
        s->end = x->close.data_end + x->close.index_bytes;
        if (!window_init(&s->w, f,
                         (size_t)MIN(MAX(x->close.index_bytes, (uint64_t)1),
                                     (uint64_t)SOURCE_WINDOW)))
            return false;
        skip_leaves(s, from);
        return true;
    case SOURCE_TREE:
        s->end = f->slot.leaves + f->slot.leaves_bytes;
        if (!window_init(&s->w, f, SOURCE_WINDOW))
            return false;
        if (f->slot.root && !tree_descend(s, from))
            return true; /* bad */
        if (!f->slot.root)
            s->next = s->end;
        return true;
    }
    return false;
}

void source_release(struct source *s)
{
    window_release(&s->w);
}
