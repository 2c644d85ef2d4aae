#include "io/internal.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/xmem.h"

static void on_idle(uv_idle_t *h)
{
    (void)h;
}

static void on_prepare(uv_prepare_t *h)
{
    struct io_loop *l = h->data;
    l->again = false;
    if (l->round_fn)
        l->round_fn(l->round_arg);
    while (!list_empty(&l->dirty))
        io_conn_flush(io_conn_of_dirty(list_first(&l->dirty)));
    /* An active idle handle makes the poll return at once. */
    if (l->again)
        uv_idle_start(&l->idle, on_idle);
    else
        uv_idle_stop(&l->idle);
}

struct io_loop *io_loop_create(void)
{
    struct io_loop *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    if (uv_loop_init(&l->uv) != 0) {
        free(l);
        return NULL;
    }
    list_init(&l->dirty);
    uv_prepare_init(&l->uv, &l->prepare);
    l->prepare.data = l;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_idle_init(&l->uv, &l->idle);
    return l;
}

void io_loop_destroy(struct io_loop *l)
{
    if (!l)
        return;
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    /* Close callbacks of everything that was destroyed still have to run. */
    while (uv_loop_close(&l->uv) == UV_EBUSY)
        uv_run(&l->uv, UV_RUN_ONCE);
    free(l);
}

void io_loop_run(struct io_loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void io_loop_stop(struct io_loop *l)
{
    uv_stop(&l->uv);
}

void io_loop_on_round(struct io_loop *l, io_fn *fn, void *arg)
{
    l->round_fn = fn;
    l->round_arg = arg;
}

void io_loop_again(struct io_loop *l)
{
    l->again = true;
}

uint64_t io_loop_now_us(struct io_loop *l)
{
    (void)l;
    return clock_mono_us();
}

static void free_data(uv_handle_t *h)
{
    free(h->data);
}

/* ---- timers ---------------------------------------------------------------------- */

struct io_timer {
    uv_timer_t uv;
    io_fn *fn;
    void *arg;
};

struct io_timer *io_timer_create(struct io_loop *l, io_fn *fn, void *arg)
{
    struct io_timer *t = xcalloc(1, sizeof *t);
    uv_timer_init(&l->uv, &t->uv);
    t->uv.data = t;
    t->fn = fn;
    t->arg = arg;
    return t;
}

void io_timer_destroy(struct io_timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->uv, free_data);
}

static void on_timer(uv_timer_t *h)
{
    struct io_timer *t = h->data;
    t->fn(t->arg);
}

void io_timer_start(struct io_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
    /* The loop's time may be old when much was done in this round. */
    uv_update_time(t->uv.loop);
    uv_timer_start(&t->uv, on_timer, after_ms, repeat_ms);
}

void io_timer_stop(struct io_timer *t)
{
    uv_timer_stop(&t->uv);
}

bool io_timer_active(const struct io_timer *t)
{
    return uv_is_active((const uv_handle_t *)&t->uv);
}

/* ---- descriptors ----------------------------------------------------------------- */

struct io_poll {
    uv_poll_t uv;
    io_poll_fn *fn;
    void *arg;
};

struct io_poll *io_poll_create(struct io_loop *l, int fd, io_poll_fn *fn, void *arg)
{
    struct io_poll *p = xcalloc(1, sizeof *p);
    if (uv_poll_init(&l->uv, &p->uv, fd) != 0) {
        free(p);
        return NULL;
    }
    p->uv.data = p;
    p->fn = fn;
    p->arg = arg;
    return p;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct io_poll *p = h->data;
    p->fn(p->arg, status < 0 ? status
                             : (events & UV_READABLE ? IO_READ : 0) |
                                   (events & UV_WRITABLE ? IO_WRITE : 0));
}

void io_poll_set(struct io_poll *p, int events)
{
    if (events == 0)
        uv_poll_stop(&p->uv);
    else
        uv_poll_start(&p->uv,
                      (events & IO_READ ? UV_READABLE : 0) |
                          (events & IO_WRITE ? UV_WRITABLE : 0),
                      on_poll);
}

void io_poll_destroy(struct io_poll *p)
{
    if (!p)
        return;
    uv_poll_stop(&p->uv);
    uv_close((uv_handle_t *)&p->uv, free_data);
}

/* ---- signals --------------------------------------------------------------------- */

struct io_signal {
    uv_signal_t uv;
    io_signal_fn *fn;
    void *arg;
};

static void on_signal(uv_signal_t *h, int signum)
{
    struct io_signal *s = h->data;
    s->fn(s->arg, signum);
}

struct io_signal *io_signal_create(struct io_loop *l, int signum, io_signal_fn *fn,
                                   void *arg)
{
    struct io_signal *s = xcalloc(1, sizeof *s);
    uv_signal_init(&l->uv, &s->uv);
    s->uv.data = s;
    s->fn = fn;
    s->arg = arg;
    uv_signal_start(&s->uv, on_signal, signum);
    uv_unref((uv_handle_t *)&s->uv);
    return s;
}

void io_signal_destroy(struct io_signal *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->uv, free_data);
}

/* ---- wake-ups -------------------------------------------------------------------- */

struct io_wakeup {
    uv_async_t uv;
    io_fn *fn;
    void *arg;
};

static void on_wakeup(uv_async_t *h)
{
    struct io_wakeup *w = h->data;
    w->fn(w->arg);
}

struct io_wakeup *io_wakeup_create(struct io_loop *l, io_fn *fn, void *arg)
{
    struct io_wakeup *w = xcalloc(1, sizeof *w);
    uv_async_init(&l->uv, &w->uv, on_wakeup);
    w->uv.data = w;
    w->fn = fn;
    w->arg = arg;
    uv_unref((uv_handle_t *)&w->uv);
    return w;
}

void io_wakeup_send(struct io_wakeup *w)
{
    uv_async_send(&w->uv);
}

void io_wakeup_destroy(struct io_wakeup *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->uv, free_data);
}
