/* I/O threads: what is done to one log, message by message. */
#include "outlog/writer_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "outlog/log_file.h"

#define RETRY_FOR_US 10000000u
/* After a failed write no new extent is begun for this long: groups fail at once. A
 * full disk would else cost one lease per group. */
#define FAIL_FOR_US 500000u
#define SPACE_EVERY_US 100000u

static void reply(struct io_msg *msg, int rc)
{
    msg->rc = rc;
    writer_reply(msg->log->w, msg);
}

/* Keeps an error for the loop thread. */
static void log_set_error(struct wlog *log, const struct error *err)
{
    if (!log->err)
        log->err = malloc(sizeof *log->err);
    if (log->err)
        *log->err = *err;
}

/* ---- leases ---------------------------------------------------------------------- */

static void give_back_space(struct wlog *log, const struct lease_msg *l,
                            const struct extents_ended *ended)
{
    uint64_t end = l->lease.offset + l->lease.length;
    if (l->lease.id != log->reserved)
        return;
    log_file_give_back(log->lock_fd, ended->free_from, end - ended->free_from);
    log->reserved = 0;
}

static void lease_ended(struct wlog *log, const struct extents_ended *ended)
{
    LIST_FOR_EACH_SAFE(&log->io_leases, node, next)
    {
        struct lease_msg *l = CONTAINER_OF(node, struct lease_msg, held);
        if (l->lease.id != ended->lease)
            continue;
        list_remove(node);
        give_back_space(log, l, ended);
        l->ended = *ended;
        reply(&l->msg, 0);
        return;
    }
}

static void lease_unused(struct lease_msg *l)
{
    l->ended = (struct extents_ended){.lease = l->lease.id};
    reply(&l->msg, 0);
}

static void want_lease(struct wlog *log)
{
    if (log->want_posted)
        return;
    log->want_posted = true;
    reply(&log->want, 0);
}

static void take_lease(struct wlog *log, struct lease_msg *l)
{
    if (!log->is_open || !extents_add_lease(&log->x, &l->lease)) {
        lease_unused(l);
        return;
    }
    list_push_back(&log->io_leases, &l->held);
}

static void close_extent(struct wlog *log)
{
    struct extents_ended ended;
    struct error err = ERROR_INIT;
    if (!extents_close(&log->x, clock_real_us(), &ended, &err))
        return;
    if (err.code)
        log_warn("%s: extent without an index: %s", log->path, err.text);
    lease_ended(log, &ended);
}

/* ---- groups ---------------------------------------------------------------------- */

static int group_refuse(struct group *g, const char *text, int sys)
{
    error_set(&g->err, ERR_SYSTEM, "%s", text);
    g->err.sys = sys;
    return ERR_SYSTEM;
}

static void group_back(struct group *g, int rc)
{
    list_remove(&g->msg.node);
    reply(&g->msg, rc);
}

static int group_written(struct wlog *log, struct group *g)
{
    struct packer *packer = log->io->packer;
    int rc = log->sync_each ? log->x.io->sync(log->file, &g->err) : 0;
    if (packer && rc == 0)
        packer_stored(packer, g->stored, clock_mono_us() - g->store_begin_us);
    if (log->x.now.length && extents_want_lease(&log->x))
        want_lease(log);
    return rc;
}

/* The extent is given up: complete blocks that were never acknowledged may lie behind
 * its good end, so nothing is ever appended there. */
static void group_write_failed(struct wlog *log, struct group *g)
{
    error_prefix(&g->err, "'%s': ", log->path);
    log_warn("%s", g->err.text);
    close_extent(log);
    free(log->fail_text);
    log->fail_text = strdup(g->err.text);
    log->fail_sys = g->err.sys;
    /* What is wrong with the handle alone needs no time to get better. */
    bool stale = g->err.sys == ESTALE || g->err.sys == ENOENT;
    log->fail_until_us = stale ? 1 : clock_mono_us() + FAIL_FOR_US;
}

/* Notes which file the log is. */
static bool is_other_file(struct wlog *log)
{
    struct stat st;
    if (fstat(log->lock_fd, &st) != 0)
        return false;
    bool other = st.st_dev != log->device || st.st_ino != log->inode;
    log->device = st.st_dev;
    log->inode = st.st_ino;
    return other;
}

/* False: it took too long already. */
static bool try_later(struct wlog *log)
{
    uint64_t now_us = clock_mono_us();
    if (log->retry_until_us == 0)
        log->retry_until_us = now_us + RETRY_FOR_US;
    if (now_us >= log->retry_until_us)
        return false;
    log->retry_at_us = now_us + RETRY_EVERY_US;
    if (!list_linked(&log->retry))
        list_push_back(&log->io->retries, &log->retry);
    return true;
}

/* By the path again: the old handle may be of a file that is not there any more. The
 * old one is kept until then, so that nobody seals the log. */
static int reopen_file(struct wlog *log, bool *anew, struct error *err)
{
    struct outlog_writer *w = log->w;
    void *file;
    int fd = -1;
    int rc = path_mkparents(log->path, 0777, err);
    if (rc == 0)
        rc = log_file_open(log->path, &log->ident, false, false, &fd, err);
    if (rc == ERR_BUSY && try_later(log))
        return IO_WAITS; /* another writer is making it anew */
    log->retry_until_us = 0;
    if (rc < 0)
        return rc;
    rc = w->c.io->open(w->c.io_ctx, log->path, &file, err);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    (void)w->c.io->close(log->file, NULL);
    (void)close(log->lock_fd);
    log->file = log->x.file = file;
    log->lock_fd = fd;
    log->fail_until_us = 0;
    *anew = is_other_file(log);
    return 0;
}

/*
 * What is written to a removed file is lost. A group that is not in it yet begins a new
 * one, and only tasks with earlier blocks are told that these are gone.
 */
static int check_file(struct wlog *log, struct group *g)
{
    if (!log_file_removed(log->lock_fd, log->path))
        return 0;
    if (g->done == 0) {
        close_extent(log);
        return reopen_file(log, &g->anew, &g->err);
    }
    error_set(&g->err, ERR_SYSTEM, LOG_REMOVED);
    g->err.sys = ENOENT;
    return ERR_SYSTEM;
}

/*
 * Output that comes faster than it is packed and written fills the buffers. Then it is
 * stored in the way that is faster: as it is into a page cache, packed onto a slow
 * disk.
 */
static bool may_pack(struct io_thread *io, const struct group *g)
{
    bool crowded = g->len >= io->w->c.group_bytes / 2;
    if (g != &io->own) {
        pthread_mutex_lock(&io->w->lock);
        /* The one at hand included. */
        crowded = io->n_writing >= io->w->c.n_groups / 2;
        pthread_mutex_unlock(&io->w->lock);
    }
    return packer_keeps_up(io->packer, g->len, crowded) &&
           packer_is_hopeful(io->packer);
}

static int put_packed(struct wlog *log, struct group *g, size_t span,
                      struct extents_ended *ended, uint64_t now_us)
{
    size_t done = 0;
    log->x.raw = g->data;
    log->x.raw_len = g->len;
    int rc = extents_put(&log->x, log->io->packed + EXTENTS_HEADROOM, span, &done,
                         now_us, ended, &g->err);
    log->x.raw = NULL;
    return rc;
}

/* The blocks as they are, or packed into one. */
static int put_group(struct wlog *log, struct group *g, struct extents_ended *ended)
{
    struct io_thread *io = log->io;
    uint64_t now_us = clock_real_us();
    size_t span = 0;
    if (io->packer && g->done == 0 && may_pack(io, g))
        span = packer_pack(io->packer, g->data, g->len, io->packed + EXTENTS_HEADROOM,
                           io->packed_room);
    g->store_begin_us = clock_mono_us();
    g->stored = span ? span : g->len - g->done;
    if (span)
        return put_packed(log, g, span, ended, now_us);
    return extents_put(&log->x, g->data, g->len, &g->done, now_us, ended, &g->err);
}

/* A full file system hurts everybody who uses it, so we stop in front of that. */
static int check_space(struct wlog *log, struct error *err)
{
    uint64_t now_us = clock_mono_us(), min_free = log->w->c.min_free, left = 0;
    if (min_free == 0 || now_us - log->space_seen_us < SPACE_EVERY_US)
        return 0;
    if (!log_file_space(log->lock_fd, &left) || left >= min_free) {
        log->space_seen_us = now_us;
        return 0;
    }
    struct buf text = BUF_INIT(256);
    text_print_size(&text, left);
    buf_puts(&text, " are free, ");
    text_print_size(&text, min_free);
    error_set(err, ERR_SYSTEM,
              "the file system of the log is nearly full: %s are to be "
              "left (--stream-min-free)",
              buf_cstr(&text));
    err->sys = ENOSPC;
    buf_release(&text);
    return ERR_SYSTEM;
}

/* A lane fills its extents at once. */
static void reserve_space(struct wlog *log)
{
    const struct outlog_lease *now = &log->x.now;
    if (!log->home || now->length == 0 || now->id == log->reserved)
        return;
    log_file_reserve(log->lock_fd, now->offset, now->length);
    log->reserved = now->id;
}

/* As far as it goes; IO_WAITS, or EXTENTS_* as extents_put. */
static int put_part(struct wlog *log, struct group *g, struct extents_ended *ended)
{
    int rc = log->fail_until_us ? reopen_file(log, &g->anew, &g->err) : 0;
    if (rc == 0)
        rc = check_file(log, g);
    if (rc == IO_WAITS)
        return rc;
    if (rc == 0)
        rc = check_space(log, &g->err);
    if (rc == 0) {
        reserve_space(log);
        rc = put_group(log, g, ended);
    }
    if (rc == EXTENTS_NEED_LEASE)
        want_lease(log);
    return rc;
}

int io_write_group(struct wlog *log, struct group *g)
{
    struct extents_ended ended;
    int rc;
    if (!log->is_open)
        return group_refuse(g, "the log is closed", 0);
    if (log->fail_until_us && clock_mono_us() < log->fail_until_us)
        return group_refuse(g, log->fail_text ? log->fail_text : "write failed",
                            log->fail_sys);
    while ((rc = put_part(log, g, &ended)) == EXTENTS_ROLLED)
        lease_ended(log, &ended);
    if (rc == EXTENTS_DONE)
        return group_written(log, g);
    if (rc < 0)
        group_write_failed(log, g);
    return rc;
}

static void pump(struct wlog *log)
{
    while (!list_empty(&log->io_groups)) {
        struct group *g =
            CONTAINER_OF(list_first(&log->io_groups), struct group, msg.node);
        int rc = io_write_group(log, g);
        if (rc == IO_WAITS)
            return;
        group_back(g, rc);
    }
    pull_resume(log);
}

static void take_group(struct wlog *log, struct group *g)
{
    list_push_back(&log->io_groups, &g->msg.node);
    pump(log);
}

static void refuse(struct wlog *log)
{
    const char *text = log->refusal ? log->refusal : "no space in the log";
    log->want_posted = false;
    while (!list_empty(&log->io_groups)) {
        struct group *g =
            CONTAINER_OF(list_first(&log->io_groups), struct group, msg.node);
        group_back(g, group_refuse(g, text, 0));
    }
    pull_refused(log, text);
}

/* ---- opening and closing ----------------------------------------------------------
 */

static int open_file(struct wlog *log, struct error *err)
{
    struct outlog_writer *w = log->w;
    if (w->start_rc < 0) {
        *err = w->start_err;
        return w->start_rc;
    }
    int rc = log_file_open(log->path, &log->ident, log->may_replace, log->replace,
                           &log->lock_fd, err);
    if (rc < 0)
        return rc;
    rc = w->c.io->open(w->c.io_ctx, log->path, &log->file, err);
    if (rc < 0) {
        (void)close(log->lock_fd);
        log->lock_fd = -1;
        return rc;
    }
    log->sync_each =
        w->c.sync == OUTLOG_SYNC_GROUP ||
        (w->c.sync == OUTLOG_SYNC_AUTO && log_file_needs_sync(log->lock_fd));
    extents_init(&log->x, w->c.io, log->file, &log->ident, &w->origin);
    (void)is_other_file(log);
    log->is_open = true;
    log->want_posted = false;
    log->fail_until_us = 0;
    return 0;
}

static void try_open(struct wlog *log)
{
    struct error err = ERROR_INIT;
    int rc = open_file(log, &err);
    if (rc == ERR_BUSY && try_later(log))
        return;
    log->retry_until_us = 0;
    if (rc < 0)
        log_set_error(log, &err);
    if (log->first)
        take_lease(log, log->first);
    log->first = NULL;
    reply(&log->step, rc);
}

void io_retry(struct wlog *log)
{
    if (log->is_open)
        pump(log);
    else
        try_open(log);
}

static void close_log(struct wlog *log)
{
    struct error err = ERROR_INIT;
    int rc = 0;
    if (log->is_open) {
        close_extent(log);
        struct extents_ended ended;
        while (extents_close(&log->x, clock_real_us(), &ended, NULL))
            lease_ended(log, &ended);
        if (log->sync_each)
            rc = log->x.io->sync(log->file, &err);
        int rc2 = log->x.io->close(log->file, rc < 0 ? NULL : &err);
        rc = rc < 0 ? rc : rc2;
        (void)close(log->lock_fd);
        extents_release(&log->x);
        log->is_open = false;
        log->lock_fd = -1;
    }
    if (rc < 0) {
        log_warn("%s: %s", log->path, err.text);
        log_set_error(log, &err);
    }
    reply(&log->step, rc);
}

static void probe(struct wlog *log)
{
    struct error err = ERROR_INIT;
    int rc = log_file_probe(log->path, &log->probe, &err);
    if (rc < 0)
        log_set_error(log, &err);
    reply(&log->step, rc);
}

/* ---- messages -------------------------------------------------------------------- */

void io_handle(struct io_msg *msg)
{
    switch (msg->kind) {
    case IO_PROBE:
        probe(msg->log);
        break;
    case IO_OPEN:
        try_open(msg->log);
        break;
    case IO_LEASE:
        msg->log->want_posted = false;
        take_lease(msg->log, CONTAINER_OF(msg, struct lease_msg, msg));
        pump(msg->log);
        break;
    case IO_REFUSE:
        refuse(msg->log);
        reply(msg, 0);
        break;
    case IO_GROUP:
        take_group(msg->log, CONTAINER_OF(msg, struct group, msg));
        break;
    case IO_PULL:
        pull_begin(CONTAINER_OF(msg, struct pull, msg));
        break;
    case IO_TEXT:
        text_write(CONTAINER_OF(msg, struct task_text, msg));
        reply(msg, 0);
        break;
    case IO_ROLL:
        if (msg->log->is_open)
            close_extent(msg->log);
        reply(msg, 0);
        break;
    case IO_CLOSE:
        close_log(msg->log);
        break;
    case IO_WANT:
    case IO_BOUNCE:
        break; /* not for us */
    }
}

void io_abandon(struct wlog *log)
{
    if (!log->is_open)
        return;
    (void)log->x.io->close(log->file, NULL);
    (void)close(log->lock_fd);
    extents_release(&log->x);
}
