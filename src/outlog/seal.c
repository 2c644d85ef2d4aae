#include "outlog/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fault.h"
#include "outlog/log_file.h"
#include "outlog/reader_impl.h"

#define WRITE_BYTES (1u << 20)

/* A finished page, for the level above. */
struct page_ref {
    struct outlog_key first;
    uint64_t offset;
    uint32_t length;
};

struct page_refs {
    struct page_ref *items;
    size_t n, cap;
};

struct sealer {
    int fd;
    struct outlog_reader *reader;
    struct logfile *f;
    uint64_t extent; /* where the index extent begins */
    uint64_t pos;    /* where out goes */
    struct buf out;  /* not written yet */
    struct page_builder page;
    struct page_refs level; /* pages of the level being written */
    struct outlog_job_row *jobs;
    size_t n_jobs, cap_jobs;
    struct outlog_slot slot;
};

static int write_at(struct sealer *s, uint64_t offset, const void *p, size_t n,
                    struct error *err)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = FAULT("outlog.seal") ? -1
                                         : pwrite(s->fd, (const char *)p + done,
                                                  n - done, (off_t)(offset + done));
        if (r > 0)
            done += (size_t)r;
        else if (r == 0 || errno != EINTR)
            return error_errno(err, r == 0 ? ENOSPC : errno, "cannot write the index");
    }
    return 0;
}

static int flush_out(struct sealer *s, struct error *err)
{
    int rc = write_at(s, s->pos, s->out.data, s->out.len, err);
    s->pos += s->out.len;
    buf_clear(&s->out);
    return rc;
}

/* Completes the current page and begins another of the same kind. */
static int next_page(struct sealer *s, struct error *err)
{
    if (s->page.count == 0)
        return 0;
    if (s->level.n == s->level.cap) {
        size_t cap = s->level.cap ? s->level.cap * 2 : 64;
        struct page_ref *grown = realloc(s->level.items, cap * sizeof *grown);
        if (!grown)
            return error_nomem(err);
        s->level.items = grown;
        s->level.cap = cap;
    }
    uint64_t offset = s->pos + s->out.len;
    size_t len = page_finish(&s->page, s->f->seed, offset);
    s->level.items[s->level.n++] =
        (struct page_ref){s->page.first, offset, (uint32_t)len};
    buf_append(&s->out, s->page.page, len);
    if (s->out.failed)
        return error_nomem(err);
    page_begin(&s->page, s->page.kind);
    return s->out.len >= WRITE_BYTES ? flush_out(s, err) : 0;
}

/* ---- counting ---------------------------------------------------------------------
 */

static struct outlog_job_row *job_row(struct sealer *s, uint32_t job)
{
    if (s->n_jobs && s->jobs[s->n_jobs - 1].job == job)
        return &s->jobs[s->n_jobs - 1];
    if (s->n_jobs == s->cap_jobs) {
        size_t cap = s->cap_jobs ? s->cap_jobs * 2 : 16;
        struct outlog_job_row *grown = realloc(s->jobs, cap * sizeof *grown);
        if (!grown)
            return NULL;
        s->jobs = grown;
        s->cap_jobs = cap;
    }
    s->jobs[s->n_jobs] = (struct outlog_job_row){.job = job};
    return &s->jobs[s->n_jobs++];
}

static int count_run(struct sealer *s, const struct outlog_run *run, struct error *err)
{
    struct outlog_job_row *j = job_row(s, run->job);
    if (!j)
        return error_nomem(err);
    outlog_count_run(&s->slot.counts, run);
    s->slot.counts.n_jobs = s->n_jobs;
    j->n_instances++;
    j->n_blocks += run->n_refs;
    if (run->newest) {
        j->n_states[run->state]++;
        j->bytes[0] += run->bytes[0];
        j->bytes[1] += run->bytes[1];
    }
    return 0;
}

/* ---- the tree ---------------------------------------------------------------------
 */

static int write_leaves(struct sealer *s, struct error *err)
{
    struct outlog_runs *it;
    int rc = outlog_runs_create(&it, s->reader, err);
    if (rc < 0)
        return rc;
    s->slot.leaves = s->pos;
    page_begin(&s->page, OUTLOG_PAGE_LEAF);
    struct outlog_run run;
    while ((rc = outlog_runs_next(it, &run, err)) == 1) {
        rc = count_run(s, &run, err);
        for (size_t i = 0; rc == 0 && i < run.n_refs; i++) {
            if (page_add(&s->page, &run.refs[i].e))
                continue;
            rc = next_page(s, err);
            HQ_ASSERT(rc < 0 || page_add(&s->page, &run.refs[i].e));
        }
        if (rc < 0)
            break;
    }
    outlog_runs_destroy(it);
    if (rc == 0)
        rc = next_page(s, err);
    s->slot.leaves_bytes = s->pos + s->out.len - s->slot.leaves;
    s->slot.levels = 1;
    return rc;
}

/* One level above the pages in s->level. */
static int write_inner(struct sealer *s, struct error *err)
{
    struct page_refs below = s->level;
    s->level = (struct page_refs){0};
    page_begin(&s->page, (uint8_t)s->slot.levels);
    int rc = 0;
    for (size_t i = 0; i < below.n && rc == 0; i++) {
        const struct page_ref *p = &below.items[i];
        if (page_add_inner(&s->page, &p->first, p->offset, p->length))
            continue;
        rc = next_page(s, err);
        HQ_ASSERT(rc < 0 || page_add_inner(&s->page, &p->first, p->offset, p->length));
    }
    free(below.items);
    s->slot.levels++;
    return rc < 0 ? rc : next_page(s, err);
}

static int write_jobs(struct sealer *s, struct error *err)
{
    s->slot.jobs = s->pos + s->out.len;
    page_begin(&s->page, OUTLOG_PAGE_JOBS);
    int rc = 0;
    for (size_t i = 0; i < s->n_jobs && rc == 0; i++) {
        uint8_t row[OUTLOG_JOB_ROW_BYTES];
        outlog_job_row_encode(&s->jobs[i], row);
        if (page_add_raw(&s->page, row, sizeof row))
            continue;
        rc = next_page(s, err);
        HQ_ASSERT(rc < 0 || page_add_raw(&s->page, row, sizeof row));
    }
    if (rc == 0)
        rc = next_page(s, err);
    s->slot.jobs_bytes = s->pos + s->out.len - s->slot.jobs;
    return rc;
}

static int write_tree(struct sealer *s, struct error *err)
{
    int rc = write_leaves(s, err);
    while (rc == 0 && s->level.n > 1 && s->slot.levels < OUTLOG_PAGE_LEVEL_MAX)
        rc = write_inner(s, err);
    if (rc == 0 && s->level.n == 1) {
        s->slot.root = s->level.items[0].offset;
        s->slot.root_bytes = s->level.items[0].length;
    }
    if (rc == 0)
        rc = write_jobs(s, err);
    return rc < 0 ? rc : flush_out(s, err);
}

/* ---- placing and publishing --------------------------------------------------------
 */

static uint64_t align_up(const struct logfile *f, uint64_t offset)
{
    uint64_t mask = (UINT64_C(1) << f->ident.align_log2) - 1;
    return (offset + mask) & ~mask;
}

/* Behind the file and behind every extent that was given to somebody: readers step over
 * what a closed one did not use. */
static int place(struct sealer *s, uint64_t min_offset, struct error *err)
{
    struct extent_list *l = logfile_extents(s->f, false, err);
    if (!l)
        return ERR_NOMEM;
    uint64_t end = MAX(s->f->size, min_offset);
    for (size_t i = 0; i < l->n; i++)
        if (!l->items[i].headerless)
            end = MAX(end, l->items[i].x.offset + l->items[i].x.length);
    s->extent = align_up(s->f, MAX(end, (uint64_t)OUTLOG_DATA_START + 1));
    s->pos = s->extent + OUTLOG_EXTENT_HEADER_BYTES;
    return 0;
}

static bool useful(struct logfile *f)
{
    struct extent_list *l = logfile_extents(f, true, NULL);
    if (f->sealed)
        return !l || l->n > 0;
    return !l || l->n > 1 || (l->n == 1 && !l->items[0].closed);
}

static int write_extent_header(struct sealer *s, uint64_t now_us, struct error *err)
{
    struct outlog_extent x = {
        .offset = s->extent,
        .length = align_up(s->f, s->pos) - s->extent,
        .kind = OUTLOG_EXTENT_INDEX,
        .opened_us = now_us,
        .origin = {.rank = -1},
    };
    uint8_t raw[OUTLOG_EXTENT_HEADER_BYTES] = {0};
    outlog_extent_encode(&x, s->f->seed, raw);
    struct outlog_close c = {.data_end = s->pos, .closed_us = now_us};
    outlog_close_encode(&c, s->f->seed, s->extent, raw + OUTLOG_CLOSE_AT);
    outlog_identity_encode(&s->f->ident, raw + OUTLOG_IDENTITY_AT);
    return write_at(s, s->extent, raw, sizeof raw, err);
}

/* The new state goes into the slot that does not hold the present one. */
static int publish(struct sealer *s, uint64_t now_us, struct error *err)
{
    if (fdatasync(s->fd) != 0)
        return error_sys(err, "cannot sync the log");
    s->slot.generation = s->f->sealed ? s->f->slot.generation + 1 : 1;
    s->slot.sealed_us = now_us;
    s->slot.covered_end = s->extent;
    s->slot.index_extent = s->extent;
    uint32_t at = s->slot.generation % 2 ? OUTLOG_SLOT_A : OUTLOG_SLOT_B;
    uint8_t raw[OUTLOG_SLOT_BYTES];
    outlog_slot_encode(&s->slot, s->f->seed, at, raw);
    int rc = write_at(s, at, raw, sizeof raw, err);
    if (rc < 0)
        return rc;
    return fdatasync(s->fd) == 0 ? 0 : error_sys(err, "cannot sync the log");
}

static int seal_open(struct sealer *s, const char *path,
                     const struct outlog_seal_options *o, struct error *err)
{
    s->fd = open(path, O_RDWR | O_CLOEXEC);
    if (s->fd < 0)
        return error_sys(err, "cannot open '%s'", path);
    int rc = log_file_lock(s->fd, true, err);
    if (rc < 0)
        return rc;
    rc = outlog_reader_open(&s->reader, path, NULL, err);
    if (rc < 0)
        return rc;
    if (s->reader->n_files != 1)
        return error_set(err, ERR_INVALID, "'%s' is not an output log", path);
    s->f = s->reader->files[0];
    if (s->f->hqs)
        return error_set(err, ERR_INVALID,
                         "'%s' is a stream file of HyperQueue, which has no index",
                         path);
    outlog_reader_on_damage(s->reader, o->on_damage, o->arg);
    return 0;
}

int outlog_seal(const char *path, const struct outlog_seal_options *o,
                struct outlog_seal_result *result, struct error *err)
{
    *result = (struct outlog_seal_result){0};
    struct sealer *s = calloc(1, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->fd = -1;
    buf_init(&s->out, 4 * WRITE_BYTES);
    int rc = seal_open(s, path, o, err);
    bool go = rc == 0 && (!o->only_if_useful || useful(s->f));
    if (go)
        rc = place(s, o->min_offset, err);
    if (go && rc == 0)
        rc = write_tree(s, err);
    if (go && rc == 0)
        rc = write_extent_header(s, o->now_us, err);
    if (go && rc == 0) {
        s->slot.damaged_bytes = s->reader->stats.damaged_bytes;
        rc = publish(s, o->now_us, err);
    }
    if (rc == 0)
        *result = (struct outlog_seal_result){
            .done = go,
            .n_blocks = s->slot.counts.n_blocks,
            .n_tasks = s->slot.counts.n_tasks,
            .index_bytes = go ? s->pos - s->extent : 0,
            .file_end = go ? s->pos : s->f->size,
        };
    outlog_reader_destroy(s->reader);
    buf_release(&s->out);
    free(s->level.items);
    free(s->jobs);
    if (s->fd >= 0)
        (void)close(s->fd);
    free(s);
    return rc;
}
