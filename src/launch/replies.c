#include "launch/replies.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/clock.h"

/* Whoever adds a reply sends what is due; the timer, which costs a thread's wake-up, is
 * only for when nobody comes in time. */
#define TIMER_LATE_US 200
/* After a pause a reply goes at once: a task's start is known before the task can ask.
 */
#define PAUSE_US 5000
#define OUT_MAX ((size_t)1 << 30)
#define FLUSH_BYTES ((size_t)32 << 10)

int replies_init(struct replies *r, int sock, struct error *err)
{
    memset(r, 0, sizeof *r);
    r->sock = sock;
    buf_init(&r->out, OUT_MAX);
    buf_init(&r->leaving, OUT_MAX);
    (void)pthread_mutex_init(&r->lock, NULL);
    r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (r->timer < 0)
        return error_sys(err, "cannot create a timer");
    return 0;
}

static void arm(struct replies *r, uint64_t after_us)
{
    struct itimerspec when = {.it_value = {0, (long)after_us * 1000}};
    (void)timerfd_settime(r->timer, 0, &when, NULL);
}

static void send_bytes(struct replies *r, struct buf *b)
{
    size_t sent = 0;
    while (sent < b->len && !r->broken) {
        ssize_t n = send(r->sock, b->data + sent, b->len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            r->broken = true;
    }
    buf_clear(b);
}

/*
 * With the lock held, but not while sending: waking the worker takes as long as a
 * hundred appends. One thread sends; what becomes due meanwhile it sends, too.
 */
static void flush(struct replies *r)
{
    r->again = true;
    if (r->sending)
        return;
    r->sending = true;
    while (r->again && r->out.len > 0) {
        struct buf full = r->out;
        r->out = r->leaving;
        r->leaving = full;
        r->again = false;
        (void)pthread_mutex_unlock(&r->lock);
        send_bytes(r, &r->leaving);
        (void)pthread_mutex_lock(&r->lock);
    }
    r->sending = false;
}

void replies_put(struct replies *r, const struct reply *reply, uint64_t within_us)
{
    uint8_t bytes[REPLY_BYTES_MAX];
    size_t n = reply_encode(reply, bytes);
    uint64_t now_us = clock_mono_us();
    (void)pthread_mutex_lock(&r->lock);
    bool sooner = r->out.len == 0 || now_us + within_us < r->due_us;
    if (sooner)
        r->due_us = now_us + within_us;
    buf_append(&r->out, bytes, n);
    HQ_ASSERT(!r->out.failed);
    bool paused = now_us - r->put_us >= PAUSE_US;
    r->put_us = now_us;
    if (paused || now_us >= r->due_us || r->out.len >= FLUSH_BYTES)
        flush(r);
    else if (sooner)
        arm(r, within_us + TIMER_LATE_US);
    (void)pthread_mutex_unlock(&r->lock);
}

void replies_flush_due(struct replies *r)
{
    (void)pthread_mutex_lock(&r->lock);
    uint64_t now_us = clock_mono_us();
    if (r->out.len > 0 && now_us >= r->due_us)
        flush(r);
    else if (r->out.len > 0)
        arm(r, r->due_us - now_us + TIMER_LATE_US);
    (void)pthread_mutex_unlock(&r->lock);
}
