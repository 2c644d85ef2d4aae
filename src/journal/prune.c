#include "journal/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/log.h"
#include "base/strmap.h"
#include "journal/scan.h"
#include "model/event.h"

#define WRITE_AT ((size_t)1 << 20)

struct prune {
    struct journal_keep keep;
    const struct journal_file *from;
    char *path; /* of the journal, links resolved */
    char *tmp;  /* NULL once it has taken its place, or before it is made */
    struct journal_file to;
    struct journal_scan scan;
    struct buf out;       /* records that are not written yet */
    struct strmap *marks; /* path of a log -> struct mark *, the last one */
    bool marks_written;   /* from then on they are copied as they come */
};

/* The last mark of a log stands for all before it. */
struct mark {
    size_t n;
    uint8_t bytes[];
};

static void free_mark(const char *key UNUSED, void *value, void *arg UNUSED)
{
    free(value);
}

void prune_destroy(struct prune *p)
{
    if (!p)
        return;
    if (p->tmp)
        (void)unlink(p->tmp);
    if (p->to.fd >= 0)
        (void)close(p->to.fd);
    journal_scan_release(&p->scan);
    buf_release(&p->out);
    if (p->marks)
        strmap_each(p->marks, free_mark, NULL);
    strmap_destroy(p->marks);
    journal_keep_release(&p->keep);
    free(p->path);
    free(p->tmp);
    free(p);
}

/* ---- writing --------------------------------------------------------------------- */

static int write_out(struct prune *p, struct error *err)
{
    if (p->out.failed)
        return error_nomem(err);
    size_t n = p->out.len;
    if (n && (FAULT("journal.prune.write") ||
              journal_file_write(&p->to, p->out.data, n) != n))
        return error_sys(err, "cannot write the pruned journal \"%s\"", p->tmp);
    p->to.end += n;
    buf_clear(&p->out);
    return 0;
}

/* Closes the record whose frame was left out at `at` of the output; an empty one is
 * dropped. */
static int finish_record(struct prune *p, size_t at, struct error *err)
{
    if (p->out.failed)
        return error_nomem(err);
    size_t n = p->out.len - at - JOURNAL_FRAME_SIZE;
    if (n == 0)
        p->out.len = at;
    else
        frame_encode(p->to.file_uid, p->to.end + at, p->out.data + at, (uint32_t)n);
    return p->out.len >= WRITE_AT ? write_out(p, err) : 0;
}

/* ---- marks of logs --------------------------------------------------------------- */

static int gather_mark(struct prune *p, struct span event, struct error *err)
{
    struct cursor c = cursor_make(event.p, event.n);
    struct event_head h;
    if (event_read_head(&c, &h) != 0)
        return error_set(err, ERR_CORRUPT, "malformed event in the journal");
    struct span path = cursor_bytes(&c);
    struct mark *m = malloc(sizeof *m + event.n);
    if (!m)
        return error_nomem(err);
    m->n = event.n;
    memcpy(m->bytes, event.p, event.n);
    free(strmap_remove(p->marks, (const char *)path.p, path.n));
    if (strmap_add(p->marks, (const char *)path.p, path.n, m) == 0)
        return 0;
    free(m);
    return error_nomem(err);
}

static void put_mark(const char *key UNUSED, void *value, void *arg)
{
    const struct mark *m = value;
    buf_bytes(arg, m->bytes, m->n);
}

static int write_marks(struct prune *p, struct error *err)
{
    size_t at = p->out.len;
    if (p->marks_written)
        return 0;
    p->marks_written = true;
    (void)buf_extend(&p->out, JOURNAL_FRAME_SIZE);
    strmap_each(p->marks, put_mark, &p->out);
    return finish_record(p, at, err);
}

/* ---- copying --------------------------------------------------------------------- */

static int copy_record(struct prune *p, struct span payload, struct error *err)
{
    struct cursor c = cursor_make(payload.p, payload.n);
    size_t at = p->out.len;
    (void)buf_extend(&p->out, JOURNAL_FRAME_SIZE);
    while (cursor_left(&c)) {
        struct span event = cursor_bytes(&c);
        if (c.failed || event.n == 0)
            return error_set(err, ERR_CORRUPT, "malformed record in the journal");
        int rc = event.p[0] == EVENT_LOG_MARK && !p->marks_written
                     ? gather_mark(p, event, err)
                     : prune_event(&p->keep, event, &p->out, err);
        if (rc != 0)
            return rc;
    }
    return finish_record(p, at, err);
}

int prune_copy(struct prune *p, uint64_t stop, uint64_t end, struct error *err)
{
    struct span payload;
    int rc = 0;
    p->scan.size = end;
    while (rc == 0 && p->scan.next < stop) {
        rc = journal_scan_next(&p->scan, &payload, err);
        if (rc == 0)
            rc = error_set(err, ERR_CORRUPT,
                           "It appears that the journal file is corrupted: the record "
                           "at offset %llu of \"%s\" is damaged",
                           (unsigned long long)p->scan.next, p->path);
        else if (rc == 1)
            rc = copy_record(p, payload, err);
    }
    return rc;
}

uint64_t prune_copied(const struct prune *p)
{
    return p->scan.next;
}

int prune_sync(struct prune *p, struct error *err)
{
    int rc = write_marks(p, err);
    if (rc == 0)
        rc = write_out(p, err);
    if (rc != 0)
        return rc;
    int sys = FAULT("journal.prune.fsync") ? errno : journal_file_sync(&p->to);
    return sys ? error_errno(err, sys, "cannot write the pruned journal \"%s\"", p->tmp)
               : 0;
}

/* ---- the file -------------------------------------------------------------------- */

/* Same identity as the old one; tells which ids were given, as no event may any more.
 */
static int begin_file(struct prune *p, struct error *err)
{
    struct file_header h = p->scan.header;
    uint8_t bytes[JOURNAL_HEADER_SIZE];
    h.size = JOURNAL_HEADER_SIZE;
    h.pub.last_job = MAX(h.pub.last_job, p->keep.last_job);
    h.pub.last_worker = MAX(h.pub.last_worker, p->keep.last_worker);
    header_encode(&h, bytes);
    buf_append(&p->out, bytes, sizeof bytes);
    p->to.file_uid = h.file_uid;
    return write_out(p, err);
}

static int open_files(struct prune *p, const char *path, struct error *err)
{
    p->path = realpath(path, NULL);
    if (!p->path)
        return error_sys(err, "cannot find journal \"%s\"", path);
    if (asprintf(&p->tmp, "%s" JOURNAL_TMP, p->path) < 0) {
        p->tmp = NULL;
        return error_nomem(err);
    }
    if (FAULT("journal.prune.open"))
        p->to.fd = -1;
    else
        p->to.fd = journal_file_make(p->tmp, p->from->fd);
    return p->to.fd < 0 ? error_sys(err, "cannot create \"%s\"", p->tmp) : 0;
}

int prune_create(const char *path, const struct journal_file *from,
                 struct journal_keep *keep, struct prune **out, struct error *err)
{
    struct prune *p = calloc(1, sizeof *p);
    if (!p)
        return error_nomem(err);
    p->from = from;
    p->to.fd = -1;
    buf_init(&p->out, JOURNAL_RECORD_MAX + 2 * WRITE_AT);
    p->marks = strmap_create();
    int rc = p->marks ? open_files(p, path, err) : error_nomem(err);
    if (rc == 0)
        rc = journal_file_lock(p->to.fd, p->tmp, err);
    if (rc == 0)
        rc = journal_scan_open(&p->scan, p->path, from->fd, err);
    if (rc == 0) {
        p->keep = *keep;
        *keep = (struct journal_keep){0};
        rc = begin_file(p, err);
    }
    if (rc == 0)
        *out = p;
    else
        prune_destroy(p);
    return rc;
}

int prune_replace(struct prune *p, struct journal_file *file, struct error *err)
{
    /* Somebody may have moved the journal away, or put another one there. */
    if (!journal_file_is_at(p->from->fd, p->path))
        return error_set(err, ERR_BUSY,
                         "\"%s\" is not the journal in use any more: it was moved, "
                         "removed or replaced",
                         p->path);
    if (FAULT("journal.prune.rename") || rename(p->tmp, p->path) != 0)
        return error_sys(err, "cannot replace journal \"%s\"", p->path);
    free(p->tmp);
    p->tmp = NULL;
    if (FAULT("journal.prune.directory") || journal_file_sync_directory(p->path) != 0)
        log_warn("The directory of journal \"%s\" could not be synced: a crash of this "
                 "machine may bring the journal of before its pruning back",
                 p->path);
    *file = p->to;
    p->to.fd = -1;
    return 0;
}
