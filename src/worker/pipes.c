/* The pipes of streamed tasks: read into the shared log when they hold something. */
#include "worker/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

/*
 * To watch a pipe and to be woken by it takes the loop longer than to read it. Tasks
 * that will be over soon, and whose output the pipe holds until then, are left alone
 * for this time; most are read once, at their end.
 */
#define UNWATCHED_US 10000u
/* What any pipe holds: a user with very many gets smaller ones. */
#define SMALL_BYTES 2048u
/* Reads of one task before others have their turn, and behind its end. */
#define READS_AT_ONCE 4
#define READS_AT_END 64
/*
 * A pipe that is found full so often in a row gets this size. What exceeds the usual
 * size is kept small beside what the kernel lets a user have (that is read from the
 * file), since a user at that limit gets tiny pipes.
 */
#define FULL_TIMES 4
#define FULL_BYTES (60u << 10)
#define LARGE_BYTES (256u << 10)
#define LARGE_SHARE 16
#define SOFT_LIMIT_FILE "/proc/sys/fs/pipe-user-pages-soft"
#define SOFT_LIMIT_PAGES 16384u

static void channel_close(struct task *t, struct task_channel *c)
{
    if (c->fd < 0)
        return;
    io_poll_destroy(c->poll);
    close(c->fd);
    if (c->large)
        t->worker->n_large_pipes--;
    *c = (struct task_channel){.fd = -1};
    if (list_linked(&t->unwatched) && !streams_open(t))
        list_remove(&t->unwatched);
}

bool streams_open(const struct task *t)
{
    return t->channels[0].fd >= 0 || t->channels[1].fd >= 0;
}

static void ended_if_closed(struct task *t)
{
    if (t->exited && !streams_open(t) && t->on_seat)
        task_output_ended(t->worker, t);
}

static void set_poll(const struct task_channel *c, int events)
{
    if (c->poll)
        io_poll_set(c->poll, events);
}

static void on_retry(void *arg)
{
    struct task *t = arg;
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++)
        if (t->channels[i].fd >= 0 && !t->channels[i].paused)
            set_poll(&t->channels[i], IO_READ);
}

/* Reads until the pipe is empty, at its end, or there is no room. */
static void read_pieces(struct task *t, size_t i)
{
    struct task_channel *c = &t->channels[i];
    struct worker *w = t->worker;
    struct error err = ERROR_INIT;
    uint64_t retry_us = 0, now = clock_mono_us();
    int rounds = t->exited ? READS_AT_END : READS_AT_ONCE;
    while (c->fd >= 0 && rounds-- > 0) {
        int rc = outlog_task_read(t->stream, (enum outlog_channel)i, c->fd, t->exited,
                                  now, &retry_us, &err);
        if (rc <= OUTLOG_EOF) {
            channel_close(t, c);
        } else if (rc == OUTLOG_PAUSED || rc == OUTLOG_LENT) {
            c->paused = true;
            set_poll(c, 0);
            return;
        } else if (rc == OUTLOG_LATER) {
            set_poll(c, 0);
            if (!t->retry)
                t->retry = io_timer_create(w->loop, on_retry, t);
            if (!io_timer_active(t->retry))
                io_timer_start(t->retry, (retry_us + 999) / 1000, 0);
            return;
        } else if (rc == OUTLOG_AGAIN) {
            return;
        }
    }
}

/* ---- pipes of tasks that print much -----------------------------------------------
 */

/* How many pipes may be large. */
static uint32_t large_pipes_max(void)
{
    unsigned long pages = SOFT_LIMIT_PAGES;
    FILE *f = fopen(SOFT_LIMIT_FILE, "re");
    if (f && fscanf(f, "%lu", &pages) != 1)
        pages = SOFT_LIMIT_PAGES;
    if (f)
        (void)fclose(f);
    unsigned long each = LARGE_BYTES / (unsigned long)sysconf(_SC_PAGESIZE);
    /* 0 stands for no limit. */
    return (uint32_t)MIN((pages ? pages : UINT32_MAX) / LARGE_SHARE / MAX(each, 1),
                         UINT32_MAX);
}

/* The task and the loop take turns less often. */
static void enlarge(struct worker *w, struct task_channel *c)
{
    if (w->large_pipes_max == 0)
        w->large_pipes_max = 1 + large_pipes_max();
    if (w->n_large_pipes + 1 >= w->large_pipes_max ||
        fcntl(c->fd, F_SETPIPE_SZ, (int)LARGE_BYTES) < 0)
        return;
    c->large = true;
    w->n_large_pipes++;
}

static void count_full(struct task *t, struct task_channel *c, uint64_t bytes)
{
    if (bytes < FULL_BYTES)
        c->n_full = 0;
    else if (c->n_full < FULL_TIMES && ++c->n_full == FULL_TIMES && c->fd >= 0)
        enlarge(t->worker, c);
}

static void read_channel(struct task *t, size_t i)
{
    uint64_t kept = outlog_task_bytes(t->stream);
    uint64_t printed = outlog_task_printed(t->stream);
    read_pieces(t, i);
    output_limits_count(t->worker, t, outlog_task_bytes(t->stream) - kept);
    count_full(t, &t->channels[i], outlog_task_printed(t->stream) - printed);
}

static void on_readable0(void *arg, int events)
{
    (void)events;
    read_channel(arg, 0);
    ended_if_closed(arg);
}

static void on_readable1(void *arg, int events)
{
    (void)events;
    read_channel(arg, 1);
    ended_if_closed(arg);
}

/* ---- which pipes are watched ------------------------------------------------------
 */

static void watch(struct task *t)
{
    static io_poll_fn *const readers[] = {on_readable0, on_readable1};
    if (list_linked(&t->unwatched))
        list_remove(&t->unwatched);
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++) {
        struct task_channel *c = &t->channels[i];
        if (c->fd < 0 || c->poll)
            continue;
        c->poll = io_poll_create(t->worker->loop, c->fd, readers[i], t);
        if (!c->poll) {
            log_warn("Cannot watch the output of task %u@%u", t->job, t->task_id);
            channel_close(t, c);
        } else if (!c->paused) {
            io_poll_set(c->poll, IO_READ);
        }
    }
}

/* Its group tells that the task will be over soon and prints no more than this. */
static bool can_wait(const struct task *t)
{
    const struct group_def *g = t->group;
    if (g->mean_us == 0 || g->mean_us >= UNWATCHED_US)
        return false;
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++) {
        if (t->channels[i].fd < 0 || g->mean_printed <= SMALL_BYTES)
            continue;
        int room = fcntl(t->channels[i].fd, F_GETPIPE_SZ);
        if (room < 0 || g->mean_printed * 2 > (uint64_t)room)
            return false;
    }
    return true;
}

void streams_started(struct worker *w, struct task *t, int out_fd, int err_fd)
{
    t->channels[0].fd = out_fd;
    t->channels[1].fd = err_fd;
    if (!streams_open(t))
        return;
    /* The others wait for the end of this round: the news that it has ended may come
     * with that of its start. The list is sorted by time. */
    if (can_wait(t)) {
        t->watch_us = clock_mono_us() + UNWATCHED_US;
        list_push_back(&w->unwatched, &t->unwatched);
    } else {
        t->watch_us = 0;
        list_push_front(&w->unwatched, &t->unwatched);
    }
}

uint64_t pipes_watch_due(struct worker *w, uint64_t now_us)
{
    struct list_node *node;
    while ((node = list_first(&w->unwatched)) != NULL) {
        struct task *t = CONTAINER_OF(node, struct task, unwatched);
        if (t->watch_us > now_us)
            return t->watch_us;
        watch(t);
    }
    return UINT64_MAX;
}

static void resume(struct task *t)
{
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++)
        if (t->channels[i].fd >= 0 && t->channels[i].paused) {
            t->channels[i].paused = false;
            set_poll(&t->channels[i], IO_READ);
        }
}

void pipes_resume(struct worker *w)
{
    size_t pos = 0;
    uint64_t handle, value;
    while (u64map_next(&w->tasks, &pos, &handle, &value))
        resume((struct task *)(uintptr_t)value);
}

void pipes_returned(struct worker *w, struct task *t, enum outlog_channel channel,
                    uint64_t bytes)
{
    size_t other = !channel;
    output_limits_count(w, t, bytes);
    resume(t);
    /* It had to wait. It comes first, since the one may be lent at once again. */
    if (t->channels[other].fd < 0)
        return;
    read_channel(t, other);
    ended_if_closed(t);
}

/* ---- ends -------------------------------------------------------------------------
 */

void streams_exited(struct task *t)
{
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++) {
        struct task_channel *c = &t->channels[i];
        if (c->fd < 0 || c->paused)
            continue;
        set_poll(c, IO_READ);
        read_channel(t, i);
    }
    if (streams_open(t))
        watch(t); /* a child of the program, or the rest of much output */
    ended_if_closed(t);
}

void streams_close(struct task *t)
{
    bool was_open = streams_open(t);
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++)
        channel_close(t, &t->channels[i]);
    if (was_open)
        ended_if_closed(t);
}
