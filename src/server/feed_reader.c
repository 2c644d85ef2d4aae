#include "server/feed_reader.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/xmem.h"

struct feed_reader {
    void (*notify)(void *arg);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wake;
    struct list wanted, done;
    bool stopping;
};

static void read_piece(struct feed_read *r)
{
    r->data = malloc(r->n);
    if (!r->data) {
        r->sys = ENOMEM;
        return;
    }
    while (r->got < r->n) {
        ssize_t n =
            pread(r->fd, r->data + r->got, r->n - r->got, (off_t)(r->offset + r->got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r->sys = errno;
        if (n <= 0)
            break;
        r->got += (size_t)n;
    }
}

static void *thread_main(void *arg)
{
    struct feed_reader *f = arg;
    (void)pthread_mutex_lock(&f->lock);
    while (!f->stopping) {
        if (list_empty(&f->wanted)) {
            (void)pthread_cond_wait(&f->wake, &f->lock);
            continue;
        }
        struct list_node *node = list_first(&f->wanted);
        list_remove(node);
        (void)pthread_mutex_unlock(&f->lock);
        read_piece(CONTAINER_OF(node, struct feed_read, node));
        (void)pthread_mutex_lock(&f->lock);
        list_push_back(&f->done, node);
        (void)pthread_mutex_unlock(&f->lock);
        f->notify(f->arg);
        (void)pthread_mutex_lock(&f->lock);
    }
    (void)pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Signals belong to the loop thread. */
static int start_thread(struct feed_reader *f)
{
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int sys = pthread_create(&f->thread, NULL, thread_main, f);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return sys;
}

int feed_reader_create(struct feed_reader **out, void notify(void *arg), void *arg,
                       struct error *err)
{
    struct feed_reader *f = xcalloc(1, sizeof *f);
    f->notify = notify;
    f->arg = arg;
    list_init(&f->wanted);
    list_init(&f->done);
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->wake, NULL);
    int sys = start_thread(f);
    if (sys == 0) {
        *out = f;
        return 0;
    }
    (void)pthread_cond_destroy(&f->wake);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
    return error_errno(err, sys, "cannot start a thread to read the journal");
}

static void drop_all(struct list *l)
{
    LIST_FOR_EACH_SAFE(l, node, next)
    {
        list_remove(node);
        feed_read_destroy(CONTAINER_OF(node, struct feed_read, node));
    }
}

void feed_reader_destroy(struct feed_reader *f)
{
    if (!f)
        return;
    (void)pthread_mutex_lock(&f->lock);
    f->stopping = true;
    (void)pthread_cond_signal(&f->wake);
    (void)pthread_mutex_unlock(&f->lock);
    (void)pthread_join(f->thread, NULL);
    drop_all(&f->wanted);
    drop_all(&f->done);
    (void)pthread_cond_destroy(&f->wake);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

void feed_reader_add(struct feed_reader *f, struct feed_read *read)
{
    (void)pthread_mutex_lock(&f->lock);
    list_push_back(&f->wanted, &read->node);
    (void)pthread_cond_signal(&f->wake);
    (void)pthread_mutex_unlock(&f->lock);
}

struct feed_read *feed_reader_next(struct feed_reader *f)
{
    struct list_node *node = NULL;
    (void)pthread_mutex_lock(&f->lock);
    if (!list_empty(&f->done)) {
        node = list_first(&f->done);
        list_remove(node);
    }
    (void)pthread_mutex_unlock(&f->lock);
    return node ? CONTAINER_OF(node, struct feed_read, node) : NULL;
}

void feed_read_destroy(struct feed_read *read)
{
    if (read->close_fd)
        (void)close(read->fd);
    free(read->data);
    free(read);
}
