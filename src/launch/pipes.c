#include "launch/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"

/* Pipes in stock count against what the user may have. One task needs no more than two;
 * only where many are started one after another a batch is worth it. */
#define BATCH_ALONE 2u
#define ALONE_US 100000u
#define MESSAGE_BYTES 8 /* u32 first number, u32 count */
/* The kernel bounds the descriptors on their way: the worker takes some soon. */
#define WAIT_NS 1000000
#define WAITS_MAX 10000

union control {
    char space[CMSG_SPACE(sizeof(int) * PIPE_BATCH)];
    struct cmsghdr align;
};

/* ---- the launcher's side ----------------------------------------------------------
 */

void pipe_maker_init(struct pipe_maker *m, int sock)
{
    *m = (struct pipe_maker){.sock = sock, .next = 1, .batch = BATCH_ALONE};
    (void)pthread_mutex_init(&m->lock, NULL);
}

static int send_fds(const struct pipe_maker *m, const int *fds, uint32_t n)
{
    uint8_t bytes[MESSAGE_BYTES];
    put_u32(bytes, m->next);
    put_u32(bytes + 4, n);
    union control control;
    struct iovec io = {bytes, sizeof bytes};
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * n);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * n);
    for (int waits = 0;;) {
        if (sendmsg(m->sock, &msg, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno == ETOOMANYREFS && waits++ < WAITS_MAX)
            (void)nanosleep(&(struct timespec){0, WAIT_NS}, NULL);
        else if (errno != EINTR)
            return errno;
    }
}

/* One pipe is enough for success. Locked, and sending may have to wait for the worker;
 * it takes what is there when it hears of the tasks that have those pipes. */
static int make_batch(struct pipe_maker *m)
{
    int reads[PIPE_BATCH];
    uint64_t now_us = clock_mono_us();
    int sys = 0;
    m->batch =
        now_us - m->made_us > ALONE_US ? BATCH_ALONE : MIN(m->batch * 2, PIPE_BATCH);
    m->made_us = now_us;
    if (m->next > UINT32_MAX - PIPE_BATCH)
        m->next = 1; /* 0 means none */
    m->at = m->n = 0;
    while (m->n < m->batch) {
        int ends[2];
        if (FAULT("launch.pipe") || pipe2(ends, O_CLOEXEC) != 0) {
            sys = errno;
            break;
        }
        /* The ends are separate open files: tasks keep writing blockingly. */
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        reads[m->n] = ends[0];
        m->fds[m->n++] = ends[1];
    }
    if (m->n == 0)
        return sys;
    sys = send_fds(m, reads, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        (void)close(reads[i]);
        if (sys)
            (void)close(m->fds[i]);
    }
    if (sys)
        m->n = 0;
    return sys;
}

int pipe_maker_take(struct pipe_maker *m, int *fd, uint32_t *number)
{
    (void)pthread_mutex_lock(&m->lock);
    int sys = m->at == m->n ? make_batch(m) : 0;
    if (!sys) {
        *fd = m->fds[m->at++];
        *number = m->next++;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return sys;
}

/* ---- the worker's side ------------------------------------------------------------
 */

void pipe_taker_release(struct pipe_taker *t)
{
    size_t pos = 0;
    uint64_t number, fd;
    while (u64map_next(&t->fds, &pos, &number, &fd))
        (void)close((int)fd);
    u64map_release(&t->fds);
    if (t->sock >= 0)
        (void)close(t->sock);
}

/* One message; false: there is none. Those of its pipes that find no room here are lost
 * for good. */
static bool receive(struct pipe_taker *t)
{
    uint8_t bytes[MESSAGE_BYTES];
    union control control;
    struct iovec io = {bytes, sizeof bytes};
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    ssize_t n;
    do
        n = recvmsg(t->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != MESSAGE_BYTES)
        return false;
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return true;
    int fds[PIPE_BATCH];
    size_t n_fds = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(head), n_fds * sizeof(int));
    for (uint32_t i = 0; i < n_fds; i++)
        if (u64map_set(&t->fds, get_u32(bytes) + i, (uint64_t)fds[i]) != 0)
            (void)close(fds[i]);
    return true;
}

int pipe_taker_take(struct pipe_taker *t, uint32_t number)
{
    uint64_t fd;
    if (number == 0)
        return -1;
    while (!u64map_get(&t->fds, number, &fd))
        if (!receive(t))
            return -1;
    (void)u64map_remove(&t->fds, number);
    return (int)fd;
}
