/* The worker's side. */
#include "launch/launch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "launch/process.h"

#define RECV_BYTES ((size_t)64 << 10)
#define OUT_MAX ((size_t)2 << 30)
#define KEEP_BYTES ((size_t)1 << 20)
#define GOODBYE_MS 5000
#define BINDING_BYTES_MAX (LAUNCH_CPUS_MAX_BYTES + LAUNCH_NODES_MAX_WORDS * 8 + 32)

/* What the worker's side remembers of a slot. */
struct seat {
    struct buf bound; /* encoded binding sent last */
    pid_t pid;        /* of the task that runs, 0: none */
};

struct launcher {
    pid_t pid;
    int sock;
    int epoll;
    bool closed;
    bool wants_write;
    struct buf out;
    size_t sent; /* of out */
    struct buf in;
    struct seat *seats;
    size_t n_seats;
    struct pipe_taker pipes;
    uint32_t *free_templates;
    size_t n_free, n_templates;
};

/* ---- life -------------------------------------------------------------------- */

static int set_interest(struct launcher *l, bool write)
{
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0U)};
    return epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->sock, &event);
}

static void launcher_free(struct launcher *l)
{
    if (l->sock >= 0)
        (void)close(l->sock);
    if (l->epoll >= 0)
        (void)close(l->epoll);
    pipe_taker_release(&l->pipes);
    for (size_t i = 0; i < l->n_seats; i++)
        buf_release(&l->seats[i].bound);
    buf_release(&l->in);
    buf_release(&l->out);
    free(l->seats);
    free(l->free_templates);
    free(l);
}

int launcher_start(const struct launcher_config *config, struct launcher **out,
                   struct error *err)
{
    int ends[2] = {-1, -1}, pipes[2] = {-1, -1};
    int rc = 0;
    struct launcher *l = calloc(1, sizeof *l);
    if (!l)
        return error_nomem(err);
    buf_init(&l->out, OUT_MAX);
    buf_init(&l->in, OUT_MAX);
    l->sock = l->pipes.sock = -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pipes) != 0)
        rc = error_sys(err, "cannot create the launcher's sockets");
    l->sock = ends[0];
    l->pipes.sock = pipes[0];
    if (rc)
        goto out;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->sock, &event) != 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        rc = error_sys(err, "cannot prepare the launcher");
        goto out;
    }
    l->pid = fork();
    if (l->pid < 0)
        rc = error_sys(err, "cannot fork the launcher");
    else if (l->pid == 0)
        process_run(config, ends[1], pipes[1]);
out:
    if (ends[1] >= 0)
        (void)close(ends[1]);
    if (pipes[1] >= 0)
        (void)close(pipes[1]);
    if (rc)
        launcher_free(l);
    else
        *out = l;
    return rc;
}

/* Waits for the process; one that does not leave is killed, and its tasks with it. */
static void await_exit(struct launcher *l)
{
    if (l->pid == 0)
        return;
    int pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
    struct pollfd ready = {.fd = pidfd, .events = POLLIN};
    if (pidfd >= 0 && poll(&ready, 1, GOODBYE_MS) == 0)
        (void)kill(l->pid, SIGKILL);
    while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (pidfd >= 0)
        (void)close(pidfd);
    l->pid = 0;
}

pid_t launcher_pid(const struct launcher *l)
{
    return l->pid;
}

int launcher_fd(const struct launcher *l)
{
    return l->epoll;
}

/* ---- requests ---------------------------------------------------------------- */

static int closed(struct launcher *l, struct error *err)
{
    l->closed = true;
    return error_set(err, ERR_CLOSED, "the launcher process has ended");
}

int launcher_flush(struct launcher *l, struct error *err)
{
    if (l->closed)
        return closed(l, err);
    while (l->sent < l->out.len) {
        ssize_t n = send(l->sock, l->out.data + l->sent, l->out.len - l->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            l->sent += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return closed(l, err);
    }
    bool left = l->sent < l->out.len;
    if (!left) {
        buf_clear(&l->out);
        if (l->out.cap > KEEP_BYTES)
            buf_release(&l->out);
        l->sent = 0;
    }
    if (left != l->wants_write && set_interest(l, left) == 0)
        l->wants_write = left;
    return 0;
}

/* Bytes already sent are dropped only when they are many: they have to be moved. */
static void compact(struct launcher *l)
{
    if (l->sent > l->out.len / 2) {
        buf_consume(&l->out, l->sent);
        l->sent = 0;
    }
}

/* Ends a record, or takes all of it back when it did not fit. */
static int finish_record(struct launcher *l, size_t start, struct error *err)
{
    bool failed = l->out.failed;
    size_t size = l->out.len - start;
    if (!failed && size <= LAUNCH_REQUEST_MAX) {
        record_end(&l->out, start);
        return 0;
    }
    l->out.len = start;
    l->out.failed = false;
    if (failed && size < LAUNCH_REQUEST_MAX / 2)
        return error_nomem(err);
    return error_set(err, ERR_TOO_BIG, "request to the launcher of %zu bytes or more",
                     size);
}

static void say_goodbye(struct launcher *l)
{
    struct error err;
    size_t start = record_begin(&l->out, REQUEST_GOODBYE);
    /* Without it the launcher waits a little for our end, and sees that we live. */
    if (finish_record(l, start, &err) == 0)
        (void)!launcher_flush(l, &err);
}

void launcher_destroy(struct launcher *l)
{
    if (!l)
        return;
    say_goodbye(l);
    (void)close(l->sock);
    l->sock = -1;
    await_exit(l);
    launcher_free(l);
}

int launcher_template(struct launcher *l, const struct launch_spec *spec, uint32_t *id,
                      struct error *err)
{
    uint32_t chosen = (uint32_t)l->n_templates;
    if (l->n_free > 0) {
        chosen = l->free_templates[l->n_free - 1];
    } else {
        /* One place for every template ever in use, so that dropping cannot fail. */
        uint32_t *larger = realloc(l->free_templates, (chosen + 1) * sizeof *larger);
        if (!larger)
            return error_nomem(err);
        l->free_templates = larger;
    }
    compact(l);
    size_t start = record_begin(&l->out, REQUEST_TEMPLATE);
    buf_u32(&l->out, chosen);
    spec_encode(&l->out, spec);
    int rc = finish_record(l, start, err);
    if (rc)
        return rc;
    if (l->n_free > 0)
        l->n_free--;
    else
        l->n_templates++;
    *id = chosen;
    return 0;
}

int launcher_leftover(struct launcher *l, const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return error_sys(err, "cannot look at '%s'", path);
    size_t start = record_begin(&l->out, REQUEST_LEFTOVER);
    buf_u64(&l->out, st.st_dev);
    buf_u64(&l->out, st.st_ino);
    buf_str(&l->out, path);
    return finish_record(l, start, err);
}

void launcher_template_drop(struct launcher *l, uint32_t id)
{
    struct error err;
    size_t start = record_begin(&l->out, REQUEST_DROP);
    buf_u32(&l->out, id);
    /* Without memory it stays with the launcher, until the number is used again. */
    (void)!finish_record(l, start, &err);
    l->free_templates[l->n_free++] = id;
}

static struct seat *seat_at(struct launcher *l, uint32_t slot)
{
    if (slot < l->n_seats)
        return &l->seats[slot];
    size_t n = MAX(l->n_seats * 2, (size_t)slot + 16);
    struct seat *larger = realloc(l->seats, n * sizeof *larger);
    if (!larger)
        return NULL;
    for (size_t i = l->n_seats; i < n; i++) {
        buf_init(&larger[i].bound, BINDING_BYTES_MAX);
        larger[i].pid = 0;
    }
    l->seats = larger;
    l->n_seats = n;
    return &l->seats[slot];
}

/* Tells the slot's binding unless it is the one it has. */
static int put_binding(struct launcher *l, uint32_t slot, struct seat *seat,
                       const struct launch_binding *b, struct error *err)
{
    if (b->cpus_size > LAUNCH_CPUS_MAX_BYTES || b->n_nodes > LAUNCH_NODES_MAX_WORDS)
        return error_set(err, ERR_INVALID, "CPU mask of %zu bytes is too long",
                         b->cpus_size);
    size_t start = record_begin(&l->out, REQUEST_BIND);
    buf_u32(&l->out, slot);
    size_t from = l->out.len;
    binding_encode(&l->out, b);
    size_t size = l->out.len - from;
    if (!l->out.failed && size == seat->bound.len &&
        memcmp(l->out.data + from, seat->bound.data, size) == 0) {
        l->out.len = start;
        return 0;
    }
    if (!l->out.failed) {
        buf_clear(&seat->bound);
        buf_append(&seat->bound, l->out.data + from, size);
        l->out.failed = seat->bound.failed;
    }
    return finish_record(l, start, err);
}

static int check_slot(uint32_t slot, struct error *err)
{
    if (slot >= LAUNCH_SLOTS_MAX)
        return error_set(err, ERR_INVALID, "slot %u is too large", slot);
    return 0;
}

int launcher_task(struct launcher *l, const struct launch_task *task, struct error *err)
{
    int rc = check_slot(task->slot, err);
    if (rc)
        return rc;
    struct seat *seat = seat_at(l, task->slot);
    if (!seat)
        return error_nomem(err);
    compact(l);
    if (task->binding) {
        rc = put_binding(l, task->slot, seat, task->binding, err);
        if (rc)
            return rc;
    }
    size_t start = record_begin(&l->out, REQUEST_TASK);
    buf_u64(&l->out, task->handle);
    buf_u32(&l->out, task->slot);
    buf_u32(&l->out, task->template);
    buf_u8(&l->out, task->urgent);
    spec_encode(&l->out, &task->own);
    return finish_record(l, start, err);
}

/* A request about a task: handle and slot. The record is not ended yet. */
static int begin_about(struct launcher *l, enum request_kind kind, uint32_t slot,
                       uint64_t handle, size_t *start, struct error *err)
{
    int rc = check_slot(slot, err);
    if (rc)
        return rc;
    compact(l);
    *start = record_begin(&l->out, (uint8_t)kind);
    buf_u64(&l->out, handle);
    buf_u32(&l->out, slot);
    return 0;
}

int launcher_retract(struct launcher *l, uint32_t slot, uint64_t handle,
                     struct error *err)
{
    size_t start;
    int rc = begin_about(l, REQUEST_RETRACT, slot, handle, &start, err);
    return rc ? rc : finish_record(l, start, err);
}

int launcher_kill(struct launcher *l, uint32_t slot, uint64_t handle,
                  enum launch_kill how, struct error *err)
{
    size_t start;
    int rc = begin_about(l, REQUEST_KILL, slot, handle, &start, err);
    if (rc)
        return rc;
    buf_u8(&l->out, (uint8_t)how);
    return finish_record(l, start, err);
}

/* ---- events ------------------------------------------------------------------ */

static void set_pid(struct launcher *l, uint32_t slot, pid_t pid)
{
    HQ_ASSERT(slot < l->n_seats); /* it has had tasks */
    l->seats[slot].pid = pid;
}

static void on_reply(struct launcher *l, struct reply *r, launch_event_fn *fn,
                     void *arg)
{
    struct launch_event *e = &r->event;
    int out_fd = pipe_taker_take(&l->pipes, r->out_pipe);
    int err_fd = pipe_taker_take(&l->pipes, r->err_pipe);
    if (e->kind == LAUNCH_STARTED) {
        e->out_fd = out_fd;
        e->err_fd = err_fd;
        set_pid(l, e->slot, e->pid);
    } else if (e->kind == LAUNCH_FAILED) {
        if (out_fd >= 0)
            (void)close(out_fd);
        if (err_fd >= 0)
            (void)close(err_fd);
    } else if (e->kind == LAUNCH_ENDED) {
        set_pid(l, e->slot, 0);
    }
    fn(arg, e);
}

static void on_records(struct launcher *l, launch_event_fn *fn, void *arg)
{
    size_t at = 0;
    while (l->in.len - at >= RECORD_HEAD_BYTES) {
        size_t n = get_u32(l->in.data + at);
        if (l->in.len - at - 4 < n)
            break;
        const uint8_t *record = l->in.data + at + 4;
        struct cursor c = cursor_make(record + 1, n - 1);
        struct reply r;
        at += 4 + n;
        reply_decode(&c, record[0], &r);
        HQ_ASSERT(!c.failed);
        on_reply(l, &r, fn, arg);
    }
    buf_consume(&l->in, at);
}

/* Bytes received, 0 at the end of file, -1: nothing there or an error. */
static ssize_t receive(struct launcher *l)
{
    if (!buf_reserve(&l->in, RECV_BYTES)) {
        errno = ENOMEM;
        return -1;
    }
    l->in.failed = false;
    ssize_t n =
        recv(l->sock, l->in.data + l->in.len, l->in.cap - l->in.len - 1, MSG_DONTWAIT);
    if (n > 0)
        l->in.len += (size_t)n;
    return n;
}

int launcher_poll(struct launcher *l, launch_event_fn *fn, void *arg, struct error *err)
{
    if (l->closed)
        return closed(l, err);
    for (;;) {
        ssize_t n = receive(l);
        if (n > 0) {
            on_records(l, fn, arg);
            continue;
        }
        if (n == 0 || (errno != EINTR && errno != EAGAIN))
            return closed(l, err);
        if (errno == EAGAIN)
            break;
    }
    return l->wants_write ? launcher_flush(l, err) : 0;
}

void launcher_kill_left(struct launcher *l)
{
    await_exit(l); /* its tasks become our children with its last thread */
    for (size_t i = 0; i < l->n_seats; i++) {
        siginfo_t info;
        pid_t pid = l->seats[i].pid;
        l->seats[i].pid = 0;
        /* Only what is our child by now: its number cannot mean anybody else. */
        if (pid == 0 ||
            waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
            continue;
        (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, WNOHANG);
    }
}
