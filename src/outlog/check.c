#include "outlog/check.h"

#include <stdlib.h>
#include "base/parallel.h"
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
    struct outlog_reader *readers[PARALLEL_MAX]; /* one a thread */
    size_t n_readers;
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

struct finding {
    bool torn;
    uint64_t offset, bytes;
    const char *what;
};

/* What one thread sees in an extent. */
struct look {
    struct outlog_reader *reader;
    uint32_t file;
    struct extent_info *x;
    struct extent_info found;
    size_t cap_entries;
    struct end_sum *ends;
    size_t n_ends, cap_ends;
    struct finding *findings;
    size_t n_findings, cap_findings;
    int rc;
};

static void look_release(struct look *l)
{
    free(l->found.entries);
    free(l->ends);
    free(l->findings);
}

/* Room for one more element; NULL: out of memory. */
static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    size_t more = *cap ? *cap * 2 : 256;
    void *grown = realloc(items, more * size);
    if (grown)
        *cap = more;
    return grown;
}

static int keep_block(struct look *l, struct scan *s)
{
    struct outlog_entry *entries =
        grow(l->found.entries, l->found.n_entries, &l->cap_entries, sizeof *entries);
    if (!entries)
        return ERR_NOMEM;
    l->found.entries = entries;
    entries[l->found.n_entries++] = s->e;
    struct outlog_end end;
    const uint8_t *data = s->e.flags & OUTLOG_FLAG_END ? scan_data(s) : NULL;
    if (!data || !outlog_end_decode(data + s->e.output, OUTLOG_END_BYTES, &end))
        return 0;
    struct end_sum *ends = grow(l->ends, l->n_ends, &l->cap_ends, sizeof *ends);
    if (!ends)
        return ERR_NOMEM;
    l->ends = ends;
    ends[l->n_ends++] = (struct end_sum){s->e.key, {end.bytes[0], end.bytes[1]}};
    return 0;
}

static int keep_finding(struct look *l, const struct scan *s, bool torn)
{
    struct finding *findings =
        grow(l->findings, l->n_findings, &l->cap_findings, sizeof *findings);
    if (!findings)
        return ERR_NOMEM;
    l->findings = findings;
    findings[l->n_findings++] =
        (struct finding){torn, s->damage_at, s->damage_bytes,
                         torn ? "unfinished write" : s->damage_what};
    return 0;
}

/* All blocks of the extent, and what is no block. */
static void scan_extent(void *arg)
{
    struct look *l = arg;
    struct scan s;
    const struct logfile *f = l->reader->files[l->file];
    l->rc = scan_init(&s, f, l->x, true, SCAN_WINDOW) ? 0 : ERR_NOMEM;
    enum scan_result r;
    while (l->rc == 0 && (r = scan_next(&s)) != SCAN_END)
        l->rc =
            r == SCAN_BLOCK ? keep_block(l, &s) : keep_finding(l, &s, r == SCAN_TORN);
    scan_release(&s);
    if (l->rc == 0 && l->x->closed && !l->x->headerless)
        outlog_entries_sort(l->found.entries, l->found.n_entries);
}

static int take_ends(struct checker *c, const struct look *l)
{
    while (c->cap_ends < c->n_ends + l->n_ends) {
        struct end_sum *ends = grow(c->ends, c->cap_ends, &c->cap_ends, sizeof *ends);
        if (!ends)
            return ERR_NOMEM;
        c->ends = ends;
    }
    if (l->n_ends)
        memcpy(c->ends + c->n_ends, l->ends, l->n_ends * sizeof *l->ends);
    c->n_ends += l->n_ends;
    return 0;
}

static void take_findings(struct checker *c, const struct logfile *f,
                          const struct look *l)
{
    for (size_t i = 0; i < l->n_findings; i++) {
        const struct finding *d = &l->findings[i];
        c->report->n_torn += d->torn ? 1 : 0;
        c->report->n_damages += d->torn ? 0 : 1;
        c->report->damaged_bytes += d->torn ? 0 : d->bytes;
        finding(c, f, d->offset, d->bytes, d->what);
    }
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

/* What a reader only needs when something else is damaged. */
static void check_identity(struct checker *c, const struct logfile *f, uint64_t extent)
{
    uint8_t raw[OUTLOG_PART_BYTES];
    struct outlog_ident ident;
    size_t n = logfile_read(f, extent + OUTLOG_IDENTITY_AT, raw, sizeof raw);
    if (outlog_identity_decode(raw, n, &ident))
        return;
    c->report->n_index_damages++;
    finding(c, f, extent + OUTLOG_IDENTITY_AT, sizeof raw,
            "damaged copy of the log's identity");
}

static int take_look(struct checker *c, struct logfile *f, struct look *l)
{
    struct extent_info *x = l->x;
    int rc = l->rc == 0 ? take_ends(c, l) : l->rc;
    if (rc < 0)
        return rc;
    take_findings(c, f, l);
    c->report->n_blocks += l->found.n_entries;
    if (!x->headerless) {
        c->report->n_extents++;
        c->report->n_open_extents += x->closed ? 0 : 1;
        if (!f->hqs)
            check_identity(c, f, x->x.offset);
        if (x->closed)
            compare_index(c, f, x, &l->found);
    } else if (l->found.n_entries) {
        /* Blocks without an extent header in front of them. */
        c->report->n_damages++;
        c->report->damaged_bytes += OUTLOG_EXTENT_HEADER_BYTES;
        finding(c, f, x->x.offset, OUTLOG_EXTENT_HEADER_BYTES, "damaged extent header");
    }
    return 0;
}

/* A few extents at once, then what was seen in them in their order. */
static int check_extents(struct checker *c, struct logfile *f, struct extent_list *l,
                         struct error *err)
{
    int rc = 0;
    for (size_t i = 0, n; i < l->n && rc == 0; i += n) {
        struct look looks[PARALLEL_MAX];
        n = MIN(l->n - i, c->n_readers);
        for (size_t k = 0; k < n; k++)
            looks[k] = (struct look){
                .reader = c->readers[k], .file = f->number, .x = &l->items[i + k]};
        parallel_run(scan_extent, looks, sizeof *looks, n);
        for (size_t k = 0; k < n; k++) {
            if (rc == 0)
                rc = take_look(c, f, &looks[k]);
            look_release(&looks[k]);
        }
    }
    return rc < 0 ? error_nomem(err) : 0;
}

/* ---- the tree ---------------------------------------------------------------------
 */

/* The first place where an inner page should be and is not; 0: none. */
static uint64_t bad_inner_page(const struct logfile *f)
{
    uint64_t at = f->slot.leaves + f->slot.leaves_bytes;
    while (at < f->slot.jobs) {
        uint8_t page[OUTLOG_PAGE_BYTES];
        struct page_cursor pc;
        size_t n =
            logfile_read(f, at, page, (size_t)MIN(f->slot.jobs - at, sizeof page));
        if (!page_open(&pc, page, n, f->seed, at) || pc.kind == OUTLOG_PAGE_LEAF ||
            pc.kind > OUTLOG_PAGE_LEVEL_MAX)
            return at;
        at += pc.length;
    }
    return 0;
}

static void check_tree(struct checker *c, struct logfile *f)
{
    struct source s;
    struct outlog_key first = {0};
    uint64_t n = 0, bad = bad_inner_page(f);
    if (bad) {
        c->report->n_index_damages++;
        finding(c, f, bad, 0, "damaged index");
        return;
    }
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

/* The rows add up to what the slot says. */
static bool jobs_right(const struct logfile *f)
{
    const struct outlog_slot *slot = &f->slot;
    uint64_t at = slot->jobs, end = slot->jobs + slot->jobs_bytes;
    struct outlog_counts sum = {0};
    uint8_t page[OUTLOG_PAGE_BYTES];
    while (at < end) {
        struct page_cursor pc;
        struct outlog_job_row row;
        size_t n = logfile_read(f, at, page, (size_t)MIN(end - at, sizeof page));
        if (!page_open(&pc, page, n, f->seed, at))
            return false;
        while (page_next_job(&pc, &row)) {
            if (sum.n_jobs++ && row.job <= sum.max_job)
                return false;
            sum.max_job = row.job;
            sum.n_instances += row.n_instances;
            sum.n_blocks += row.n_blocks;
            sum.bytes[0] += row.bytes[0];
            sum.bytes[1] += row.bytes[1];
        }
        if (pc.left)
            return false;
        at += pc.length;
    }
    return sum.n_jobs == slot->counts.n_jobs && sum.max_job == slot->counts.max_job &&
           sum.n_instances == slot->counts.n_instances &&
           sum.n_blocks == slot->counts.n_blocks &&
           sum.bytes[0] == slot->counts.bytes[0] &&
           sum.bytes[1] == slot->counts.bytes[1];
}

static void check_index_extent(struct checker *c, struct logfile *f)
{
    struct extent_info x;
    if (!logfile_extent_at(f, f->slot.index_extent, &x) || !x.closed) {
        c->report->n_index_damages++;
        finding(c, f, f->slot.index_extent, OUTLOG_IDENTITY_AT,
                "damaged header of the index");
    }
    check_identity(c, f, f->slot.index_extent);
    if (jobs_right(f))
        return;
    c->report->n_index_damages++;
    finding(c, f, f->slot.jobs, f->slot.jobs_bytes, "damaged job table");
}

/* A slot is empty or valid: one that was written half is as good as none, though. */
static void check_slots(struct checker *c, const struct logfile *f)
{
    static const uint32_t places[] = {OUTLOG_SLOT_A, OUTLOG_SLOT_B};
    static const uint8_t empty[OUTLOG_SLOT_BYTES];
    for (size_t i = 0; i < ARRAY_SIZE(places) && !f->hqs; i++) {
        uint8_t raw[OUTLOG_SLOT_BYTES];
        struct outlog_slot slot;
        size_t n = logfile_read(f, places[i], raw, sizeof raw);
        if (memcmp(raw, empty, n) == 0 ||
            outlog_slot_decode(raw, n, f->seed, places[i], &slot))
            continue;
        c->report->n_index_damages++;
        finding(c, f, places[i], sizeof raw, "damaged state slot");
    }
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

static int make_readers(struct checker *c, struct error *err)
{
    int rc = 0;
    for (size_t n = parallel_width(); c->n_readers < n && rc == 0;)
        if ((rc = outlog_reader_share(&c->readers[c->n_readers], c->r, err)) == 0)
            c->n_readers++;
    return rc;
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
    int rc = make_readers(&c, err);
    for (size_t i = 0; i < r->n_left_out; i++) {
        const struct left_out *l = &r->left_out[i];
        struct outlog_damage d = {l->path, 0, l->bytes, l->what};
        report->n_damages++;
        report->damaged_bytes += l->bytes;
        if (fn)
            fn(arg, &d);
    }
    for (size_t i = 0; i < r->n_files && rc == 0; i++) {
        struct logfile *f = r->files[i];
        struct extent_list *l = logfile_extents(f, false, err);
        if (!l)
            rc = ERR_NOMEM;
        if (f->superblock_bad)
            report->n_damages++;
        if (rc == 0)
            rc = check_extents(&c, f, l, err);
        if (rc == 0) {
            check_slots(&c, f);
            if (f->sealed) {
                check_index_extent(&c, f);
                check_tree(&c, f);
            }
        }
    }
    if (rc == 0) {
        r->on_damage = NULL;
        if (c.n_ends)
            qsort(c.ends, c.n_ends, sizeof *c.ends, end_cmp);
        rc = check_runs(&c, err);
    }
    for (size_t i = 0; i < c.n_readers; i++)
        outlog_reader_destroy(c.readers[i]);
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
