/*
 * Tasks that print much. What the loop thread reads is written by another thread, on
 * another core, whose cache has none of it; the more a task prints the more that costs.
 * So a channel that is always found full is lent to a thread that reads and writes it
 * alone. It comes back soon, so that limits, kills and news of the task are never far
 * away, or when the task prints less.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "outlog/writer_impl.h"

/* What a task prints in such a time to be one that prints much, and half of that to
 * stay one. */
#define PACE_US 10000u
#define PACE_BYTES (1u << 20)
#define PULL_US 30000u
/* Nothing printed for so long: it may have stopped. */
#define QUIET_MS 5
/* Blocks are to have this size, if that takes no longer than … */
#define GATHER_BYTES (64u << 10)
#define GATHER_NS 50000
#define GATHERS_MAX 20u
/* A block that ended there would be too short. */
#define BOUNDARY_NEAR (16u << 10)
/* Close to a limit the loop thread counts. */
#define KEEP_GROUPS 4u

/* ---- loop thread ------------------------------------------------------------------
 */

void pace_count(struct pace *p, size_t bytes, uint64_t now_us)
{
    if (now_us - p->since_us > PACE_US)
        *p = (struct pace){.since_us = now_us};
    p->bytes += bytes;
}

/* The least busy one; another is started while all have something to do. */
static struct io_thread *puller(struct outlog_writer *w)
{
    struct io_thread *best = NULL;
    struct error err = ERROR_INIT;
    for (uint32_t i = 1; i <= w->c.n_pullers; i++) {
        struct io_thread *io = &w->io[i];
        if (!io->runs && (!best || best->n_pulls > 0) &&
            io_thread_create(io, w, &err) == 0)
            return io;
        if (io->runs && (!best || io->n_pulls < best->n_pulls))
            best = io;
    }
    return best;
}

static struct pull *pull_create(struct outlog_task *t, enum outlog_channel channel,
                                int fd)
{
    struct pull *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->msg.kind = IO_PULL;
    p->task = t;
    p->channel = channel;
    p->seq = t->seq;
    p->keep = cap_room(&t->cap, outlog_task_bytes(t));
    p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (p->fd >= 0)
        return p;
    free(p);
    return NULL;
}

void pull_destroy(struct pull *p)
{
    if (p && p->fd >= 0)
        (void)close(p->fd);
    free(p);
}

static bool may_pull(struct outlog_task *t, enum outlog_channel channel)
{
    const struct outlog_writer *w = t->log->w;
    const struct outlog_io_ops *ops = w->c.io;
    return t->pace[channel].bytes >= PACE_BYTES && ops->any_thread &&
           ops->any_thread(w->c.io_ctx) && !t->text && !t->want_begin &&
           cap_room(&t->cap, outlog_task_bytes(t)) >=
               (uint64_t)w->c.group_bytes * KEEP_GROUPS;
}

void pull_send(struct outlog_task *t)
{
    struct outlog_writer *w = t->log->w;
    t->pull->serial = ++w->next_serial;
    writer_send(w, &t->pull->msg);
}

bool pull_start(struct outlog_task *t, enum outlog_channel channel, int fd)
{
    struct outlog_writer *w = t->log->w;
    struct io_thread *io = may_pull(t, channel) ? puller(w) : NULL;
    struct wlog *lane = io ? wlog_lane(t->log, io) : NULL;
    struct pull *p = lane ? pull_create(t, channel, fd) : NULL;
    if (!p)
        return false;
    p->msg.log = lane;
    t->pull = p;
    io->n_pulls++;
    lane->n_tasks++;
    wlog_check_idle(lane, w->now_us);
    if (t->n_groups)
        group_hurry(t);
    else
        pull_send(t);
    return true;
}

static void count(struct outlog_task *t, const struct pull *p)
{
    struct outlog_writer *w = t->log->w;
    t->seq += p->blocks;
    t->bytes[p->channel] += p->bytes;
    w->stats.blocks += p->blocks;
    w->stats.groups += p->blocks;
    w->stats.bytes_written += p->bytes;
    w->stats.write_errors += p->msg.rc < 0;
    t->pace[p->channel] = (struct pace){w->now_us, p->slow ? 0 : PACE_BYTES};
    if (p->bytes && t->first_serial == 0)
        t->first_serial = p->serial;
}

void pull_on_reply(struct pull *p)
{
    struct outlog_task *t = p->task;
    struct wlog *lane = p->msg.log, *home = lane->home;
    struct outlog_writer *w = home->w;
    lane->io->n_pulls--;
    t->pull = NULL;
    count(t, p);
    if (p->anew)
        tasks_break_lost(home, p->serial);
    if (p->msg.rc < 0) {
        task_break(t, &p->err);
        task_tell_broken(t);
    }
    w->c.events->on_returned(w->c.arg, t->user, p->channel, p->bytes);
    pull_destroy(p);
    wlog_task_left(lane, w->now_us);
}

/* ---- I/O thread -------------------------------------------------------------------
 */

static struct pull *first_pull(struct io_thread *io)
{
    struct list_node *node = list_first(&io->pulls);
    return node ? CONTAINER_OF(node, struct pull, msg.node) : NULL;
}

bool pull_ready(struct io_thread *io)
{
    const struct pull *p = first_pull(io);
    return p && !p->waits;
}

void pull_begin(struct pull *p)
{
    p->begin_us = clock_mono_us();
    list_push_back(&p->msg.log->io->pulls, &p->msg.node);
}

static void give_back(struct pull *p, int rc)
{
    struct wlog *log = p->msg.log;
    uint64_t took_us = clock_mono_us() - p->begin_us;
    p->slow = p->over || p->bytes / (PACE_BYTES / 2) < took_us / PACE_US;
    list_remove(&p->msg.node);
    p->msg.rc = rc;
    writer_reply(log->w, &p->msg);
}

/* Whether the pipe gets something soon, when there is nothing else to do. */
static bool wait_for_more(struct io_thread *io, const struct pull *p)
{
    struct pollfd there = {.fd = p->fd, .events = POLLIN};
    uint64_t begin_us = clock_mono_us();
    bool more = poll(&there, 1, QUIET_MS) != 0;
    if (io->packer)
        packer_waited(io->packer, clock_mono_us() - begin_us);
    return more;
}

/* Bytes for the next block: up to a boundary in the file if one is near, since a page
 * cache takes large pieces only where they are aligned. */
static size_t block_room(const struct io_thread *io, const struct wlog *lane)
{
    size_t most = io->w->c.group_bytes, to_boundary = most - lane->x.pos % most;
    size_t span = to_boundary < BOUNDARY_NEAR ? most : to_boundary;
    return (span - OUTLOG_BLOCK_HEADER_BYTES) & ~(size_t)(OUTLOG_BLOCK_ALIGN - 1);
}

static bool is_alone(const struct pull *p)
{
    return p->msg.node.next == p->msg.node.prev;
}

/* What is there, up to `room` bytes. The end of the pipe, or an error, is left for the
 * loop thread to meet. */
static size_t read_some(struct pull *p, uint8_t *to, size_t room)
{
    size_t n = 0;
    ssize_t r = 1;
    while (n < room && (r = read(p->fd, to + n, room - n)) > 0)
        n += (size_t)r;
    p->over = r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR);
    return n;
}

static void read_block(struct io_thread *io, struct pull *p)
{
    struct group *g = &io->own;
    uint8_t *payload = g->data + OUTLOG_BLOCK_HEADER_BYTES;
    size_t room = block_room(io, p->msg.log), n = read_some(p, payload, room);
    for (unsigned i = 0; i < GATHERS_MAX && n > 0 && n < MIN(room, GATHER_BYTES) &&
                         !p->over && is_alone(p);
         i++) {
        (void)nanosleep(&(struct timespec){0, GATHER_NS}, NULL);
        n += read_some(p, payload + n, room - n);
    }
    if (n == 0)
        return;
    g->len = block_begin(g->data, p->task, block_type(p->channel), 0, (uint32_t)n,
                         p->seq + p->blocks);
    g->done = 0;
    g->anew = false;
    p->unwritten = (uint32_t)n;
}

/* What io->own holds. */
static int write_block(struct io_thread *io, struct pull *p)
{
    struct group *g = &io->own;
    int rc = io_write_group(p->msg.log, g);
    if (rc == IO_WAITS)
        return rc;
    g->len = 0;
    p->anew |= g->anew;
    if (rc == 0 && g->anew && p->bytes)
        rc = error_set(&g->err, ERR_SYSTEM, "'%s': " LOG_REMOVED, p->msg.log->path);
    if (rc < 0) {
        p->err = g->err;
        return rc;
    }
    p->bytes += p->unwritten;
    p->blocks++;
    return 0;
}

static bool goes_on(struct io_thread *io, const struct pull *p)
{
    return !p->over && clock_mono_us() < p->begin_us + PULL_US &&
           p->bytes + io->w->c.group_bytes <= p->keep;
}

void pull_step(struct io_thread *io)
{
    struct pull *p = first_pull(io);
    if (io->own.len == 0)
        read_block(io, p);
    if (io->own.len > 0) {
        int rc = write_block(io, p);
        p->waits = rc == IO_WAITS;
        if (rc < 0)
            give_back(p, rc);
        if (rc != 0)
            return;
    } else if (!p->over && is_alone(p)) {
        p->over = !wait_for_more(io, p);
    }
    list_remove(&p->msg.node);
    list_push_back(&io->pulls, &p->msg.node);
    if (!goes_on(io, p))
        give_back(p, 0);
}

static struct pull *waiting_pull(struct wlog *log)
{
    struct pull *p = first_pull(log->io);
    return p && p->waits && p->msg.log == log ? p : NULL;
}

void pull_resume(struct wlog *log)
{
    struct pull *p = waiting_pull(log);
    if (p)
        p->waits = false;
}

void pull_refused(struct wlog *log, const char *text)
{
    struct pull *p = waiting_pull(log);
    if (!p)
        return;
    log->io->own.len = 0;
    give_back(p, error_set(&p->err, ERR_SYSTEM, "%s", text));
}
