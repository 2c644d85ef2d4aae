#include "launch/replies.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"

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
    r->first_pipe = 1;
    buf_init(&r->out, OUT_MAX);
    buf_init(&r->leaving, OUT_MAX);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->sent, NULL);
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
    (void)pthread_cond_broadcast(&r->sent);
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

/* Sends one message with n descriptors; they are attached to its first byte. */
static int send_fds(struct replies *r, const struct buf *b, const int *fds, size_t n)
{
    union {
        char space[CMSG_SPACE(sizeof(int) * PIPE_BATCH)];
        struct cmsghdr align;
    } control;
    struct iovec io = {b->data, b->len};
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * n);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * n);
    for (;;) {
        /* Far smaller than the socket's buffer: all of it or nothing. */
        if (sendmsg(r->sock, &msg, MSG_NOSIGNAL) == (ssize_t)b->len)
            return 0;
        if (errno != EINTR)
            return errno;
    }
}

/* Makes pipes and hands their read ends over, behind the replies gathered so far, with
 * the lock held. One is enough for success. */
static int stock_pipes(struct replies *r)
{
    int reads[PIPE_BATCH];
    uint32_t n = 0;
    int sys = 0;
    if (r->first_pipe > UINT32_MAX - PIPE_BATCH)
        r->first_pipe = 1; /* 0 means none */
    while (n < PIPE_BATCH) {
        int ends[2];
        if (FAULT("launch.pipe") || pipe2(ends, O_CLOEXEC) != 0) {
            sys = errno;
            break;
        }
        /* The ends are separate open files: tasks keep writing blockingly. */
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        reads[n] = ends[0];
        r->pipes[n++] = ends[1];
    }
    if (n == 0)
        return sys;
    send_bytes(r, &r->out);
    struct buf b = BUF_INIT(64);
    size_t start = record_begin(&b, REPLY_PIPES);
    buf_u32(&b, r->first_pipe);
    buf_u32(&b, n);
    record_end(&b, start);
    sys = b.failed ? ENOMEM : send_fds(r, &b, reads, n);
    buf_release(&b);
    for (uint32_t i = 0; i < n; i++) {
        (void)close(reads[i]);
        if (sys)
            (void)close(r->pipes[i]);
    }
    if (!sys)
        r->n_pipes = n;
    return sys;
}

int replies_take_pipe(struct replies *r, int *fd, uint32_t *number)
{
    (void)pthread_mutex_lock(&r->lock);
    while (r->n_pipes == 0 && r->sending)
        (void)pthread_cond_wait(&r->sent, &r->lock);
    int sys = r->n_pipes == 0 ? stock_pipes(r) : 0;
    if (!sys) {
        /* From the front, so that numbers rise and the worker finds them in order. */
        *fd = r->pipes[0];
        *number = r->first_pipe++;
        memmove(r->pipes, r->pipes + 1, --r->n_pipes * sizeof *r->pipes);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return sys;
}
