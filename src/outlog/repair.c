#include "outlog/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/path.h"
#include "base/u64map.h"
#include "outlog/extents.h"
#include "outlog/lease.h"
#include "outlog/reader_impl.h"
#include "outlog/seal.h"

#define GROUP_BYTES (512u << 10)

struct repair {
    struct outlog_reader *r;
    const struct outlog_repair_options *o;
    struct outlog_repair_result *result;
    struct lease_book book;
    void *file;
    struct extents x;
    struct packer *packer;
    uint8_t *mem;    /* headroom and a group */
    uint8_t *packed; /* likewise */
    size_t cap, len;
    struct u64map newest; /* (job, task) to instance, where several are there */
};

static uint64_t task_key(uint32_t job, uint32_t task)
{
    return (uint64_t)job << 32 | task;
}

/* ---- writing ----------------------------------------------------------------------
 */

static int add_lease(struct repair *p, struct error *err)
{
    struct outlog_lease lease;
    bool journal_first;
    uint64_t mark;
    if (lease_book_grant(&p->book, 1, &lease, &journal_first, &mark) < 0)
        return error_nomem(err);
    (void)extents_add_lease(&p->x, &lease);
    return 0;
}

static int flush_group(struct repair *p, struct error *err)
{
    uint8_t *data = p->mem + EXTENTS_HEADROOM;
    size_t len = p->len, done = 0;
    p->x.raw = NULL;
    if (p->packer && len) {
        uint8_t *to = p->packed + EXTENTS_HEADROOM;
        size_t span = packer_pack(p->packer, data, len, to, p->cap);
        if (span) {
            p->x.raw = data;
            p->x.raw_len = len;
            data = to;
            len = span;
        }
    }
    struct extents_ended ended;
    int rc;
    while ((rc = extents_put(&p->x, data, len, &done, p->o->now_us, &ended, err)) !=
           EXTENTS_DONE) {
        if (rc < 0)
            return rc;
        if (rc == EXTENTS_NEED_LEASE && (rc = add_lease(p, err)) < 0)
            return rc;
    }
    p->len = 0;
    return 0;
}

/* Extents of the new log never mix writers. */
static int next_writer(struct repair *p, const struct extent_info *x, struct error *err)
{
    int rc = flush_group(p, err);
    struct extents_ended ended;
    if (rc == 0)
        while (extents_close(&p->x, p->o->now_us, &ended, err))
            ;
    p->x.origin = (struct outlog_origin){.rank = -1};
    if (!x->headerless)
        p->x.origin = x->x.origin;
    return rc;
}

static bool group_fits(const struct repair *p, size_t payload)
{
    return p->len + (size_t)outlog_block_span((uint32_t)payload) <= p->cap;
}

/* Blocks are at most 64 KiB by our writers, but may be larger by others. */
static int grow_group(struct repair *p, size_t payload, struct error *err)
{
    size_t cap = (size_t)outlog_block_span((uint32_t)payload) + 64;
    if (cap <= p->cap)
        return 0;
    uint8_t *mem = realloc(p->mem, EXTENTS_HEADROOM + cap);
    if (mem)
        p->mem = mem;
    uint8_t *packed = mem ? realloc(p->packed, EXTENTS_HEADROOM + cap) : NULL;
    if (packed)
        p->packed = packed;
    if (!mem || !packed)
        return error_nomem(err);
    p->cap = cap;
    return 0;
}

static int copy_block(struct repair *p, const struct outlog_ref *ref, struct error *err)
{
    const uint8_t *data;
    size_t n;
    int rc = outlog_read_payload(p->r, ref, &data, &n);
    if (rc == ERR_CORRUPT)
        return 0; /* told */
    if (rc < 0)
        return error_nomem(err);
    if (!group_fits(p, n))
        rc = flush_group(p, err);
    if (rc == 0)
        rc = grow_group(p, n, err);
    if (rc < 0)
        return rc;
    const struct outlog_entry *e = &ref->e;
    struct outlog_block b = {
        .type = e->type,
        .flags = e->flags,
        .stored = (uint32_t)n,
        .job = e->key.job,
        .task = e->key.task,
        .instance = e->key.instance,
        .seq = e->key.seq,
        .time_us = e->time_us,
    };
    size_t span = (size_t)outlog_block_span(b.stored);
    uint8_t *to = p->mem + EXTENTS_HEADROOM + p->len;
    memset(to + span - OUTLOG_BLOCK_ALIGN, 0, OUTLOG_BLOCK_ALIGN);
    outlog_block_encode(&b, to);
    if (n)
        memcpy(to + OUTLOG_BLOCK_HEADER_BYTES, data, n);
    p->len += span;
    p->result->n_blocks++;
    return 0;
}

/* ---- reading ----------------------------------------------------------------------
 */

static bool is_wanted(const struct repair *p, const struct outlog_key *k)
{
    uint64_t newest;
    return !u64map_get(&p->newest, task_key(k->job, k->task), &newest) ||
           newest == k->instance;
}

static int copy_extent(struct repair *p, struct logfile *f, struct extent_info *x,
                       struct error *err)
{
    struct scan s;
    int rc = next_writer(p, x, err);
    if (rc == 0 && !scan_init(&s, f, x, true, SCAN_WINDOW))
        rc = error_nomem(err);
    if (rc < 0)
        return rc;
    enum scan_result r;
    while (rc == 0 && (r = scan_next(&s)) != SCAN_END) {
        struct outlog_ref ref = {.e = s.e, .file = f->number};
        if (r != SCAN_BLOCK)
            logfile_damage(f, s.damage_at, s.damage_bytes,
                           r == SCAN_TORN ? "unfinished write" : s.damage_what);
        else if (is_wanted(p, &s.e.key))
            rc = copy_block(p, &ref, err);
        else
            p->result->n_dropped++;
    }
    scan_release(&s);
    return rc;
}

static int find_newest(struct repair *p, struct error *err)
{
    struct outlog_runs *it;
    struct outlog_run run;
    int rc = outlog_runs_create(&it, p->r, err);
    if (rc < 0)
        return rc;
    while ((rc = outlog_runs_next(it, &run, err)) == 1)
        if (run.newest && run.instance > 0 &&
            u64map_set(&p->newest, task_key(run.job, run.task), run.instance) < 0) {
            rc = error_nomem(err);
            break;
        }
    outlog_runs_destroy(it);
    return rc;
}

static int copy_all(struct repair *p, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < p->r->n_files && rc == 0; i++) {
        struct extent_list *l = logfile_extents(p->r->files[i], false, err);
        if (!l)
            return ERR_NOMEM;
        for (size_t k = 0; k < l->n && rc == 0; k++)
            rc = copy_extent(p, p->r->files[i], &l->items[k], err);
    }
    if (rc == 0)
        rc = flush_group(p, err);
    struct extents_ended ended;
    while (rc == 0 && extents_close(&p->x, p->o->now_us, &ended, err))
        ;
    return rc;
}

/* ---- the new log -------------------------------------------------------------------
 */

static int create_file(struct repair *p, const char *to, struct error *err)
{
    uint8_t block[OUTLOG_SUPERBLOCK_BYTES];
    const struct outlog_ident *old = &p->r->files[0]->ident;
    lease_book_init(&p->book, p->o->uid, old->server_uid, old->created_us,
                    UINT64_C(1) << old->align_log2);
    outlog_superblock_encode(&p->book.ident, block);
    int rc = path_write_new(to, block, sizeof block, 0666, err);
    if (rc < 0)
        return rc;
    if (p->o->on_created)
        p->o->on_created(to);
    rc = outlog_posix_ops.open(NULL, to, &p->file, err);
    if (rc < 0)
        return rc;
    struct outlog_origin nobody = {.rank = -1};
    extents_init(&p->x, &outlog_posix_ops, p->file, &p->book.ident, &nobody);
    return 0;
}

static int seal_new(struct repair *p, const char *to, struct error *err)
{
    struct outlog_seal_options o = {.now_us = p->o->now_us, .only_if_useful = true};
    struct outlog_seal_result result;
    return outlog_seal(to, &o, &result, err);
}

int outlog_repair(struct outlog_reader *from, const char *to,
                  const struct outlog_repair_options *options,
                  struct outlog_repair_result *result, struct error *err)
{
    struct repair p = {.r = from, .o = options, .result = result, .cap = GROUP_BYTES};
    *result = (struct outlog_repair_result){0};
    if (from->n_files == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no log to repair");
    for (size_t i = 0; i < from->n_files; i++)
        if (from->files[i]->hqs)
            return error_set(err, ERR_INVALID,
                             "'%s' is a stream file of HyperQueue, "
                             "which can only be read",
                             from->files[i]->path);
    p.mem = malloc(EXTENTS_HEADROOM + p.cap);
    p.packed = malloc(EXTENTS_HEADROOM + p.cap);
    p.packer = options->compress ? packer_create() : NULL;
    int rc =
        p.mem && p.packed && (p.packer || !options->compress) ? 0 : error_nomem(err);
    if (rc == 0 && options->drop_superseded)
        rc = find_newest(&p, err);
    if (rc == 0)
        rc = create_file(&p, to, err);
    if (rc == 0)
        rc = copy_all(&p, err);
    if (p.file) {
        int rc2 = outlog_posix_ops.close(p.file, rc < 0 ? NULL : err);
        rc = rc < 0 ? rc : rc2;
        if (rc == 0)
            rc = seal_new(&p, to, err);
        if (rc < 0)
            (void)unlink(to); /* ours, and of no use */
    }
    extents_release(&p.x);
    lease_book_release(&p.book);
    u64map_release(&p.newest);
    packer_destroy(p.packer);
    free(p.mem);
    free(p.packed);
    return rc;
}
