/* The threads that do the file operations, and the messages to and from them. */
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include "base/clock.h"
#include "outlog/writer_impl.h"

/* ---- messages -------------------------------------------------------------------- */

static struct io_thread *thread_of(struct outlog_writer *w, const struct io_msg *msg)
{
    return msg->log ? msg->log->io : &w->io[0];
}

void writer_send(struct outlog_writer *w, struct io_msg *msg)
{
    struct io_thread *io = thread_of(w, msg);
    if (msg->log)
        msg->log->n_msgs++;
    pthread_mutex_lock(&w->lock);
    bool wake = list_empty(&io->in);
    list_push_back(&io->in, &msg->node);
    if (msg->kind == IO_GROUP)
        io->n_writing++;
    pthread_mutex_unlock(&w->lock);
    if (wake)
        pthread_cond_signal(&io->work);
}

void writer_reply(struct outlog_writer *w, struct io_msg *msg)
{
    pthread_mutex_lock(&w->lock);
    bool wake = list_empty(&w->out);
    list_push_back(&w->out, &msg->node);
    if (msg->kind == IO_GROUP)
        thread_of(w, msg)->n_writing--;
    pthread_mutex_unlock(&w->lock);
    if (wake)
        (void)eventfd_write(w->event_fd, 1);
}

/* ---- the thread ------------------------------------------------------------------ */

static bool is_first(const struct io_thread *io)
{
    return io == &io->w->io[0];
}

static void wait_for_message(struct io_thread *io)
{
    uint64_t begin_us = clock_mono_us();
    if (list_empty(&io->retries)) {
        pthread_cond_wait(&io->work, &io->w->lock);
    } else {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)RETRY_EVERY_US * 1000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&io->work, &io->w->lock, &until);
    }
    if (io->packer)
        packer_waited(io->packer, clock_mono_us() - begin_us);
}

/* NULL: look at the retries and the pulls, or stop. */
static struct io_msg *take_next(struct io_thread *io, bool *stop)
{
    pthread_mutex_lock(&io->w->lock);
    if (list_empty(&io->in) && !io->stop && !pull_ready(io))
        wait_for_message(io);
    *stop = io->stop;
    /* What is left is freed where it lies. */
    struct list_node *node = *stop ? NULL : list_first(&io->in);
    if (node)
        list_remove(node);
    pthread_mutex_unlock(&io->w->lock);
    return node ? CONTAINER_OF(node, struct io_msg, node) : NULL;
}

static void retry_logs(struct io_thread *io)
{
    uint64_t now_us = clock_mono_us();
    LIST_FOR_EACH_SAFE(&io->retries, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, retry);
        if (log->retry_at_us > now_us)
            continue;
        list_remove(node);
        io_retry(log);
    }
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

static void work(struct io_thread *io)
{
    for (;;) {
        bool stop;
        struct io_msg *msg = take_next(io, &stop);
        if (stop)
            return;
        if (msg && msg->kind == IO_BOUNCE)
            writer_reply(io->w, msg);
        else if (msg)
            io_handle(msg);
        else if (pull_ready(io))
            pull_step(io);
        if (!list_empty(&io->retries))
            retry_logs(io);
    }
}

static void *thread_main(void *arg)
{
    struct io_thread *io = arg;
    struct outlog_writer *w = io->w;
    if (is_first(io))
        start(w);
    work(io);
    /* The loop thread waits for us: its lists are ours now. */
    LIST_FOR_EACH(&w->logs, node)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, node);
        if (log->io == io)
            io_abandon(log);
    }
    if (is_first(io) && w->start_rc == 0 && w->c.io->thread_stop)
        w->c.io->thread_stop(w->c.io_ctx);
    return NULL;
}

static bool make_room(struct io_thread *io)
{
    const struct outlog_writer_config *c = &io->w->c;
    if (!is_first(io)) {
        io->own.mem = malloc(EXTENTS_HEADROOM + c->group_bytes);
        if (!io->own.mem)
            return false;
        io->own.data = io->own.mem + EXTENTS_HEADROOM;
    }
    if (c->compress) {
        io->packer = packer_create();
        io->packed_room = c->group_bytes;
        io->packed = malloc(EXTENTS_HEADROOM + io->packed_room);
    }
    return !c->compress || (io->packer && io->packed);
}

int io_thread_create(struct io_thread *io, struct outlog_writer *w, struct error *err)
{
    io->w = w;
    list_init(&io->in);
    list_init(&io->retries);
    list_init(&io->pulls);
    pthread_cond_init(&io->work, NULL);
    if (!make_room(io)) {
        io_thread_release(io);
        return error_nomem(err);
    }
    /* All signals stay with the other threads, also in what the io ops start. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int sys = pthread_create(&io->thread, NULL, thread_main, io);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (sys) {
        io_thread_release(io);
        return error_errno(err, sys, "cannot start a log thread");
    }
    io->runs = true;
    return 0;
}

void io_thread_stop(struct io_thread *io)
{
    if (!io->runs)
        return;
    pthread_mutex_lock(&io->w->lock);
    io->stop = true;
    pthread_mutex_unlock(&io->w->lock);
    pthread_cond_signal(&io->work);
    (void)pthread_join(io->thread, NULL);
}

void io_thread_release(struct io_thread *io)
{
    if (!io->w)
        return;
    free(io->own.mem);
    free(io->packed);
    packer_destroy(io->packer);
    pthread_cond_destroy(&io->work);
    *io = (struct io_thread){0};
}
