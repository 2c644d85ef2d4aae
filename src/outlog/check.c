#include "outlog/check.h"

#include <stdlib.h>
#include "outlog/reader_impl.h"

/* What an end record says about its run. */
struct end_sum {
    struct outlog_key key; /* seq: number of blocks before it */
    uint64_t bytes[OUTLOG_N_CHANNELS];
};

struct checker {
    struct outlog_reader *r;
    struct outlog_check_report *report;
    outlog_damage_fn fn;
    void *arg;
    struct end_sum *ends; /* by key, once all are there */
    size_t n_ends, cap_ends;
};

static void finding(struct checker *c, const struct logfile *f, uint64_t offset,
                    uint64_t bytes, const char *what)
{
    struct outlog_damage d = {f->path, offset, bytes, what};
    if (c->fn)
        c->fn(c->arg, &d);
}

/* ---- extents ----------------------------------------------------------------------
 */

static int push(struct extent_info *x, size_t *cap, const struct outlog_entry *e)
{
    if (x->n_entries == *cap) {
        size_t grow = *cap ? *cap * 2 : 1024;
        struct outlog_entry *grown = realloc(x->entries, grow * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        x->entries = grown;
        *cap = grow;
    }
    x->entries[x->n_entries++] = *e;
    return 0;
}

static int keep_end(struct checker *c, struct scan *s)
{
    struct outlog_end end;
    const uint8_t *data = scan_data(s);
    if (!data || !outlog_end_decode(data + s->e.output, OUTLOG_END_BYTES, &end))
        return 0;
    if (c->n_ends == c->cap_ends) {
        size_t cap = c->cap_ends ? c->cap_ends * 2 : 1024;
        struct end_sum *grown = realloc(c->ends, cap * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        c->ends = grown;
        c->cap_ends = cap;
    }
    c->ends[c->n_ends++] = (struct end_sum){s->e.key, {end.bytes[0], end.bytes[1]}};
    return 0;
}

/* All blocks of the extent; what is no block is counted. */
static int scan_extent(struct checker *c, struct logfile *f,
                       const struct extent_info *x, struct extent_info *found)
{
    struct scan s;
    size_t cap = 0;
    int rc = scan_init(&s, f, x, true, SCAN_WINDOW) ? 0 : ERR_NOMEM;
    enum scan_result r = SCAN_END;
    while (rc == 0 && (r = scan_next(&s)) != SCAN_END) {
        switch (r) {
        case SCAN_BLOCK:
            rc = push(found, &cap, &s.e);
            if (rc == 0 && s.e.flags & OUTLOG_FLAG_END)
                rc = keep_end(c, &s);
            c->report->n_blocks++;
            break;
        case SCAN_DAMAGE:
            c->report->n_damages++;
            c->report->damaged_bytes += s.damage_bytes;
            finding(c, f, s.damage_at, s.damage_bytes, s.damage_what);
            break;
        case SCAN_TORN:
            c->report->n_torn++;
            finding(c, f, s.damage_at, s.damage_bytes, "unfinished write");
            break;
        case SCAN_END:
            break;
        }
    }
    scan_release(&s);
    return rc;
}

static bool same_entry(const struct outlog_entry *a, const struct outlog_entry *b)
{
    return outlog_key_cmp(&a->key, &b->key) == 0 && a->offset == b->offset &&
           a->inner == b->inner && a->output == b->output && a->type == b->type &&
           a->flags == b->flags && a->state == b->state && a->time_us == b->time_us &&
           a->grouped == b->grouped;
}

/* Whether an index says exactly what the scan found. */
static void compare_index(struct checker *c, struct logfile *f, struct extent_info *x,
                          const struct extent_info *found)
{
    struct source s;
    struct outlog_key first = {0};
    if (x->close.index_bytes == 0)
        return;
    if (!source_init(&s, SOURCE_INDEX, f, x, &first)) {
        source_release(&s);
        return;
    }
    size_t i = 0;
    bool same = true;
    while (same && source_next(&s)) {
        /* Entries of damaged blocks are right to be there. */
        while (i < found->n_entries &&
               outlog_key_cmp(&found->entries[i].key, &s.e.key) < 0) {
            same = false; /* a block that the index does not know */
            i++;
        }
        if (i < found->n_entries && same_entry(&found->entries[i], &s.e))
            i++;
    }
    same = same && i == found->n_entries;
    if (s.bad || !same) {
        c->report->n_index_damages++;
        if (!s.bad)
            finding(c, f, x->close.data_end, x->close.index_bytes,
                    "index differs from the blocks");
    }
    source_release(&s);
}

static int check_extent(struct checker *c, struct logfile *f, struct extent_info *x,
                        struct error *err)
{
    struct extent_info found = {0};
    uint64_t blocks = c->report->n_blocks;
    int rc = scan_extent(c, f, x, &found);
    if (rc == 0 && !x->headerless) {
        c->report->n_extents++;
        c->report->n_open_extents += x->closed ? 0 : 1;
        if (x->closed) {
            outlog_entries_sort(found.entries, found.n_entries);
            compare_index(c, f, x, &found);
        }
    } else if (rc == 0 && c->report->n_blocks > blocks) {
        /* Blocks without an extent header in front of them. */
        c->report->n_damages++;
        c->report->damaged_bytes += OUTLOG_EXTENT_HEADER_BYTES;
        finding(c, f, x->x.offset, OUTLOG_EXTENT_HEADER_BYTES, "damaged extent header");
    }
    free(found.entries);
    return rc < 0 ? error_nomem(err) : 0;
}

/* ---- the tree ---------------------------------------------------------------------
 */

static void check_tree(struct checker *c, struct logfile *f)
{
    if (!f->sealed)
        return;
    struct source s;
    struct outlog_key first = {0};
    uint64_t n = 0;
    bool ok = source_init(&s, SOURCE_TREE, f, NULL, &first);
    while (ok && source_next(&s))
        n++;
    if (ok && !s.bad && n != f->slot.counts.n_blocks)
        finding(c, f, f->slot.leaves, f->slot.leaves_bytes,
                "index does not hold all blocks");
    if (s.bad || n != f->slot.counts.n_blocks)
        c->report->n_index_damages++;
    source_release(&s);
}

/* ---- runs -------------------------------------------------------------------------
 */

static int end_cmp(const void *pa, const void *pb)
{
    const struct end_sum *a = pa, *b = pb;
    return outlog_key_cmp(&a->key, &b->key);
}

static const struct end_sum *find_end(const struct checker *c,
                                      const struct outlog_key *key)
{
    struct end_sum want = {.key = *key};
    return c->n_ends ? bsearch(&want, c->ends, c->n_ends, sizeof want, end_cmp) : NULL;
}

/* A finished run holds all blocks and bytes that its end record counts. */
static void check_run(struct checker *c, const struct outlog_run *run)
{
    c->report->n_runs++;
    if (!run->finished) {
        c->report->n_unfinished += run->newest ? 1 : 0;
        return;
    }
    const struct outlog_ref *last = &run->refs[run->n_refs - 1];
    if (c->r->files[last->file]->hqs)
        return; /* tells no sums */
    const struct end_sum *end = find_end(c, &last->e.key);
    if (!run->gaps && end && end->bytes[0] == run->bytes[0] &&
        end->bytes[1] == run->bytes[1])
        return;
    c->report->n_incomplete++;
    struct buf what = BUF_INIT(256);
    buf_printf(&what, "output of job %u task %u instance %u is not complete", run->job,
               run->task, run->instance);
    finding(c, c->r->files[last->file], last->e.offset, 0, buf_cstr(&what));
    buf_release(&what);
}

/* The same, seen through a reader that trusts nothing but the blocks. */
static int check_runs(struct checker *c, struct error *err)
{
    struct outlog_runs *it;
    int rc = outlog_runs_create(&it, c->r, err);
    if (rc < 0)
        return rc;
    struct outlog_run run;
    while ((rc = outlog_runs_next(it, &run, err)) == 1)
        check_run(c, &run);
    outlog_runs_destroy(it);
    return rc;
}

static void on_damage(void *arg, const struct outlog_damage *d)
{
    struct checker *c = arg;
    /* Lost blocks are counted by the scan; indexes only come up here. */
    if (d->bytes == 0 && c->fn)
        c->fn(c->arg, d);
}

int outlog_check(struct outlog_reader *r, outlog_damage_fn fn, void *arg,
                 struct outlog_check_report *report, struct error *err)
{
    *report = (struct outlog_check_report){.n_files = (uint32_t)r->n_files};
    struct checker c = {.r = r, .report = report, .fn = fn, .arg = arg};
    outlog_damage_fn old_fn = r->on_damage;
    void *old_arg = r->damage_arg;
    r->on_damage = on_damage;
    r->damage_arg = &c;
    int rc = 0;
    for (size_t i = 0; i < r->n_files && rc == 0; i++) {
        struct logfile *f = r->files[i];
        struct extent_list *l = logfile_extents(f, false, err);
        if (!l)
            rc = ERR_NOMEM;
        if (f->superblock_bad)
            report->n_damages++;
        for (size_t k = 0; rc == 0 && k < l->n; k++)
            rc = check_extent(&c, f, &l->items[k], err);
        if (rc == 0)
            check_tree(&c, f);
    }
    if (rc == 0) {
        r->on_damage = NULL;
        if (c.n_ends)
            qsort(c.ends, c.n_ends, sizeof *c.ends, end_cmp);
        rc = check_runs(&c, err);
    }
    free(c.ends);
    r->on_damage = old_fn;
    r->damage_arg = old_arg;
    return rc;
}

bool outlog_check_clean(const struct outlog_check_report *report)
{
    return report->n_damages == 0 && report->n_index_damages == 0 &&
           report->n_incomplete == 0;
}
