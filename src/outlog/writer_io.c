/* The I/O thread: takes messages one by one, does the file operations, sends them back.
 */
#include "outlog/writer_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "outlog/log_file.h"

#define RETRY_EVERY_US 20000u
#define RETRY_FOR_US 10000000u
/* After a failed write no new extent is begun for this long: groups fail at once. A
 * full disk would else cost one lease per group. */
#define FAIL_FOR_US 500000u
#define SPACE_EVERY_US 100000u

void writer_send(struct outlog_writer *w, struct io_msg *msg)
{
    if (msg->log)
        msg->log->n_msgs++;
    pthread_mutex_lock(&w->lock);
    bool wake = list_empty(&w->in);
    list_push_back(&w->in, &msg->node);
    if (msg->kind == IO_GROUP)
        w->n_writing++;
    pthread_mutex_unlock(&w->lock);
    if (wake)
        pthread_cond_signal(&w->work);
}

void writer_reply(struct outlog_writer *w, struct io_msg *msg)
{
    pthread_mutex_lock(&w->lock);
    bool wake = list_empty(&w->out);
    list_push_back(&w->out, &msg->node);
    if (msg->kind == IO_GROUP)
        w->n_writing--;
    pthread_mutex_unlock(&w->lock);
    if (wake)
        (void)eventfd_write(w->event_fd, 1);
}

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

static void lease_ended(struct wlog *log, const struct extents_ended *ended)
{
    LIST_FOR_EACH_SAFE(&log->io_leases, node, next)
    {
        struct lease_msg *l = CONTAINER_OF(node, struct lease_msg, held);
        if (l->lease.id != ended->lease)
            continue;
        list_remove(node);
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

static void group_done(struct wlog *log, struct group *g, int rc)
{
    list_remove(&g->msg.node);
    if (log->sync_each && rc == 0)
        rc = log->x.io->sync(log->file, &g->err);
    if (log->w->packer && rc == 0)
        packer_stored(log->w->packer, g->stored, clock_mono_us() - g->store_begin_us);
    reply(&g->msg, rc);
}

static void group_fail(struct wlog *log, struct group *g, const char *text, int sys)
{
    error_set(&g->err, ERR_SYSTEM, "%s", text);
    g->err.sys = sys;
    list_remove(&g->msg.node);
    reply(&g->msg, ERR_SYSTEM);
    (void)log;
}

/* The extent is given up: complete blocks that were never acknowledged may lie behind
 * its good end, so nothing is ever appended there. */
static void group_write_failed(struct wlog *log, struct group *g, int rc)
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
    group_done(log, g, rc);
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

#define REOPEN_TRIES 50u

/* By the path again: the old handle may be of a file that is not there any more. The
 * old one is kept until then, so that nobody seals the log. */
static int reopen_file(struct wlog *log, bool *anew, struct error *err)
{
    struct outlog_writer *w = log->w;
    void *file;
    int fd = -1;
    int rc = path_mkparents(log->path, 0777, err);
    for (unsigned i = 0; rc == 0; i++) {
        rc = log_file_open(log->path, &log->ident, false, false, &fd, err);
        if (rc != ERR_BUSY || i == REOPEN_TRIES)
            break;
        (void)usleep(RETRY_EVERY_US); /* another writer is making it anew */
        rc = 0;
    }
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
static bool may_pack(struct outlog_writer *w, size_t len)
{
    pthread_mutex_lock(&w->lock);
    bool crowded = w->n_writing >= w->c.n_groups / 2; /* the one at hand included */
    pthread_mutex_unlock(&w->lock);
    return packer_keeps_up(w->packer, len, crowded) && packer_is_hopeful(w->packer);
}

static int put_packed(struct wlog *log, struct group *g, size_t span,
                      struct extents_ended *ended, uint64_t now_us)
{
    size_t done = 0;
    log->x.raw = g->data;
    log->x.raw_len = g->len;
    int rc = extents_put(&log->x, log->w->packed + EXTENTS_HEADROOM, span, &done,
                         now_us, ended, &g->err);
    log->x.raw = NULL;
    return rc;
}

/* The blocks as they are, or packed into one. */
static int put_group(struct wlog *log, struct group *g, struct extents_ended *ended)
{
    struct outlog_writer *w = log->w;
    uint64_t now_us = clock_real_us();
    size_t span = 0;
    if (w->packer && g->done == 0 && may_pack(w, g->len))
        span = packer_pack(w->packer, g->data, g->len, w->packed + EXTENTS_HEADROOM,
                           w->packed_room);
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

static void pump(struct wlog *log)
{
    while (!list_empty(&log->io_groups)) {
        struct group *g =
            CONTAINER_OF(list_first(&log->io_groups), struct group, msg.node);
        if (log->fail_until_us && clock_mono_us() < log->fail_until_us) {
            group_fail(log, g, log->fail_text ? log->fail_text : "write failed",
                       log->fail_sys);
            continue;
        }
        struct extents_ended ended;
        int rc = log->fail_until_us ? reopen_file(log, &g->anew, &g->err) : 0;
        if (rc == 0)
            rc = check_file(log, g);
        if (rc == 0)
            rc = check_space(log, &g->err);
        if (rc == 0)
            rc = put_group(log, g, &ended);
        if (rc == EXTENTS_ROLLED) {
            lease_ended(log, &ended);
        } else if (rc == EXTENTS_NEED_LEASE) {
            want_lease(log);
            return;
        } else if (rc == EXTENTS_DONE) {
            group_done(log, g, 0);
        } else {
            group_write_failed(log, g, rc);
        }
    }
    if (log->x.now.length && extents_want_lease(&log->x))
        want_lease(log);
}

static void take_group(struct wlog *log, struct group *g)
{
    list_push_back(&log->io_groups, &g->msg.node);
    if (log->is_open) {
        pump(log);
        return;
    }
    group_fail(log, g, "the log is closed", 0);
}

static void refuse(struct wlog *log)
{
    log->want_posted = false;
    while (!list_empty(&log->io_groups))
        group_fail(log,
                   CONTAINER_OF(list_first(&log->io_groups), struct group, msg.node),
                   log->refusal ? log->refusal : "no space in the log", 0);
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

/* Tries to open; true when the message was sent back. */
static bool try_open(struct wlog *log)
{
    struct error err = ERROR_INIT;
    int rc = open_file(log, &err);
    if (rc == ERR_BUSY && clock_mono_us() < log->retry_until_us)
        return false;
    if (rc < 0)
        log_set_error(log, &err);
    if (log->first)
        take_lease(log, log->first);
    log->first = NULL;
    reply(&log->step, rc);
    return true;
}

static void begin_open(struct wlog *log)
{
    log->retry_until_us = clock_mono_us() + RETRY_FOR_US;
    if (!try_open(log)) {
        log->retry_at_us = clock_mono_us() + RETRY_EVERY_US;
        list_push_back(&log->w->retries, &log->step.node);
    }
}

static void retry_opens(struct outlog_writer *w)
{
    uint64_t now_us = clock_mono_us();
    LIST_FOR_EACH_SAFE(&w->retries, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, step.node);
        if (log->retry_at_us > now_us)
            continue;
        list_remove(node);
        if (!try_open(log)) {
            log->retry_at_us = now_us + RETRY_EVERY_US;
            list_push_back(&w->retries, node);
        }
    }
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

/* ---- the thread ------------------------------------------------------------------ */

static void handle(struct io_msg *msg)
{
    switch (msg->kind) {
    case IO_PROBE:
        probe(msg->log);
        break;
    case IO_OPEN:
        begin_open(msg->log);
        break;
    case IO_LEASE:
        msg->log->want_posted = false;
        take_lease(msg->log, CONTAINER_OF(msg, struct lease_msg, msg));
        if (msg->log->is_open)
            pump(msg->log);
        break;
    case IO_REFUSE:
        refuse(msg->log);
        reply(msg, 0);
        break;
    case IO_GROUP:
        take_group(msg->log, CONTAINER_OF(msg, struct group, msg));
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
        break;
    case IO_BOUNCE:
        break; /* has no log; see take_next */
    }
}

/* Waits for a message. NULL: look at the retries, or stop. */
static struct io_msg *take_next(struct outlog_writer *w, bool *stop)
{
    pthread_mutex_lock(&w->lock);
    if (list_empty(&w->in) && !w->stop) {
        uint64_t begin_us = clock_mono_us();
        if (list_empty(&w->retries)) {
            pthread_cond_wait(&w->work, &w->lock);
        } else {
            struct timespec until;
            (void)clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += (long)RETRY_EVERY_US * 1000;
            if (until.tv_nsec >= 1000000000) {
                until.tv_nsec -= 1000000000;
                until.tv_sec++;
            }
            (void)pthread_cond_timedwait(&w->work, &w->lock, &until);
        }
        if (w->packer)
            packer_waited(w->packer, clock_mono_us() - begin_us);
    }
    *stop = w->stop;
    /* What is left is freed where it lies. */
    struct list_node *node = *stop ? NULL : list_first(&w->in);
    if (node)
        list_remove(node);
    pthread_mutex_unlock(&w->lock);
    return node ? CONTAINER_OF(node, struct io_msg, node) : NULL;
}

static void start(struct outlog_writer *w)
{
    struct error err = ERROR_INIT;
    int rc = w->c.io->thread_start ? w->c.io->thread_start(w->c.io_ctx, &err) : 0;
    pthread_mutex_lock(&w->lock);
    w->start_rc = rc;
    w->start_err = err;
    w->started = true;
    pthread_cond_broadcast(&w->started_cond);
    pthread_mutex_unlock(&w->lock);
}

void *writer_io_main(void *arg)
{
    struct outlog_writer *w = arg;
    start(w);
    for (;;) {
        bool stop;
        struct io_msg *msg = take_next(w, &stop);
        if (stop)
            break;
        if (msg && msg->kind == IO_BOUNCE)
            writer_reply(w, msg);
        else if (msg)
            handle(msg);
        if (!list_empty(&w->retries))
            retry_opens(w);
    }
    /* The loop thread waits for us: its lists are ours now. */
    LIST_FOR_EACH(&w->logs, node)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, node);
        if (!log->is_open)
            continue;
        (void)log->x.io->close(log->file, NULL);
        (void)close(log->lock_fd);
        extents_release(&log->x);
    }
    if (w->start_rc == 0 && w->c.io->thread_stop)
        w->c.io->thread_stop(w->c.io_ctx);
    return NULL;
}
