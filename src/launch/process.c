#include "launch/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

#define SOCK_FD 3
#define PIPES_FD (SOCK_FD + 1)
#define RECV_BYTES ((size_t)64 << 10)
#define KEEP_BYTES ((size_t)1 << 20)
#define EVENTS_MAX 64
#define KICK_AGAIN_MS 2
#define SWEEP_MAX_S 8
#define FILES_MAX ((rlim_t)1 << 20)

/* ---- requests ---------------------------------------------------------------- */

static bool make_room(void **array, size_t *n, size_t index, size_t size)
{
    if (index < *n)
        return true;
    size_t larger = MAX(*n * 2, index + 64);
    char *grown = realloc(*array, larger * size);
    if (!grown)
        return false;
    memset(grown + *n * size, 0, (larger - *n) * size);
    *array = grown;
    *n = larger;
    return true;
}

static struct slot *slot_at(struct process *p, uint32_t number)
{
    HQ_ASSERT(number < LAUNCH_SLOTS_MAX);
    HQ_ASSERT(
        make_room((void **)&p->slots, &p->n_slots, number, sizeof(struct slot *)));
    if (!p->slots[number])
        p->slots[number] = slot_create(p, number);
    return p->slots[number];
}

static void set_template(struct process *p, uint32_t id, struct template *t)
{
    HQ_ASSERT(make_room((void **)&p->templates, &p->n_templates, id,
                        sizeof(struct template *)));
    template_drop(p->templates[id]);
    p->templates[id] = t;
}

static void on_bind(struct process *p, struct cursor *c)
{
    struct slot *slot = slot_at(p, cursor_u32(c));
    struct launch_binding from;
    uint64_t nodes[LAUNCH_NODES_MAX_WORDS];
    binding_decode(c, &from, nodes);
    HQ_ASSERT(!c->failed);
    struct binding *b = binding_create(&from, p->rank, slot->number);
    HQ_ASSERT(b);
    binding_drop(slot->binding);
    slot->binding = b;
}

static void refuse_task(struct process *p, uint64_t handle, uint32_t slot)
{
    uint64_t now_us = clock_real_us();
    struct reply reply = {.event = {.kind = LAUNCH_FAILED,
                                    .handle = handle,
                                    .slot = slot,
                                    .start_us = now_us,
                                    .end_us = now_us,
                                    .step = LAUNCH_STEP_MEMORY,
                                    .sys = ENOMEM}};
    replies_put(&p->replies, &reply, 0);
}

static void on_task(struct process *p, struct cursor *c)
{
    uint64_t handle = cursor_u64(c);
    uint32_t number = cursor_u32(c);
    uint32_t id = cursor_u32(c);
    bool urgent = cursor_u8(c) != 0;
    size_t size = cursor_left(c);
    struct task *task = calloc(1, sizeof *task + size);
    if (!task) {
        refuse_task(p, handle, number);
        return;
    }
    task->handle = handle;
    task->slot = slot_at(p, number);
    task->urgent = urgent;
    task->pidfd = -1;
    task->binding = binding_hold(task->slot->binding);
    if (id < p->n_templates && p->templates[id])
        task->template = template_hold(p->templates[id]);
    task->size = size;
    memcpy(task->bytes, c->p, size);
    slot_push(p, task->slot, task);
}

static void on_retract(struct process *p, struct cursor *c)
{
    struct reply reply = {0};
    reply.event.handle = cursor_u64(c);
    reply.event.slot = cursor_u32(c);
    struct slot *slot = slot_at(p, reply.event.slot);
    (void)pthread_mutex_lock(&slot->lock);
    struct task *task = slot_retract(slot, reply.event.handle);
    uint64_t within_us = slot_gather_us(slot);
    (void)pthread_mutex_unlock(&slot->lock);
    reply.event.kind = task ? LAUNCH_RETURNED : LAUNCH_KEPT;
    if (task)
        task_destroy(task);
    replies_put(&p->replies, &reply, within_us);
}

static void on_request(struct process *p, uint8_t kind, struct span body)
{
    struct cursor c = cursor_make(body.p, body.n);
    uint64_t handle;
    uint32_t id;
    switch ((enum request_kind)kind) {
    case REQUEST_TEMPLATE:
        id = cursor_u32(&c);
        set_template(p, id,
                     template_create(p->base_env, (struct span){c.p, cursor_left(&c)}));
        break;
    case REQUEST_DROP:
        set_template(p, cursor_u32(&c), NULL);
        break;
    case REQUEST_BIND:
        on_bind(p, &c);
        break;
    case REQUEST_TASK:
        on_task(p, &c);
        break;
    case REQUEST_RETRACT:
        on_retract(p, &c);
        break;
    case REQUEST_KILL:
        handle = cursor_u64(&c);
        id = cursor_u32(&c);
        stop_task(p, slot_at(p, id), handle, cursor_u8(&c));
        break;
    case REQUEST_LEFTOVER:
        leftover_add(p, &c);
        break;
    case REQUEST_GOODBYE:
        p->goodbye = true;
        break;
    }
    HQ_ASSERT(!c.failed);
}

static void on_bytes(struct process *p)
{
    size_t at = 0;
    while (p->in.len - at >= RECORD_HEAD_BYTES) {
        size_t n = get_u32(p->in.data + at);
        if (p->in.len - at - 4 < n)
            break;
        const uint8_t *record = p->in.data + at + 4;
        on_request(p, record[0], (struct span){record + 1, n - 1});
        at += 4 + n;
    }
    buf_consume(&p->in, at);
    if (p->in.len == 0 && p->in.cap > KEEP_BYTES)
        buf_release(&p->in); /* a large request must not make us large for good */
}

/* The worker is gone: whatever still runs is ended, nothing is started. */
static void on_worker_gone(struct process *p)
{
    (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, p->sock, NULL);
    /* Whoever waits for the end of the worker's standard error must not wait for us. */
    (void)dup2(p->spawn.null_fd, STDERR_FILENO);
    atomic_store(&p->closing, true);
    stop_all(p);
}

static void on_socket(struct process *p)
{
    for (;;) {
        HQ_ASSERT(buf_reserve(&p->in, RECV_BYTES));
        size_t room = p->in.cap - p->in.len - 1;
        ssize_t n = recv(p->sock, p->in.data + p->in.len, room, MSG_DONTWAIT);
        if (n > 0) {
            p->in.len += (size_t)n;
            on_bytes(p);
            if ((size_t)n < room)
                return;
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            on_worker_gone(p);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* ---- orphans ----------------------------------------------------------------- */

static void arm_sweep(struct process *p, uint64_t after_s)
{
    struct itimerspec when = {.it_value = {(time_t)after_s, 0}};
    (void)timerfd_settime(p->sweep_timer, 0, &when, NULL);
}

void process_expect_orphans(struct process *p)
{
    if (!atomic_load_explicit(&p->sweeping, memory_order_relaxed) &&
        !atomic_exchange(&p->sweeping, true))
        arm_sweep(p, 1);
}

/* Reaps dead orphans; comes again while living ones are there. */
static void sweep(struct process *p)
{
    siginfo_t info;
    atomic_store(&p->sweeping, false);
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WNOTHREAD) != 0) {
            p->sweep_s = 1;
            return;
        }
        if (info.si_pid == 0)
            break;
    }
    p->sweep_s = MIN(p->sweep_s * 2, SWEEP_MAX_S);
    if (!atomic_exchange(&p->sweeping, true))
        arm_sweep(p, p->sweep_s);
}

/* ---- the loop ---------------------------------------------------------------- */

static void on_parked_end(struct process *p, struct task *task)
{
    struct slot *slot = task->slot;
    struct reply reply = {0};
    siginfo_t info;
    struct rusage usage;
    (void)pthread_mutex_lock(&slot->lock);
    if (!task_wait(task, false, &info, &usage)) {
        (void)pthread_mutex_unlock(&slot->lock);
        return;
    }
    /* A child that is just being started may hold a copy, and epoll with it. */
    (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, task->pidfd, NULL);
    (void)close(task->pidfd);
    task->pidfd = -1;
    slot_finish(p, slot, &info, &usage, &reply);
    uint64_t within_us =
        slot_end_within_us(slot, task, reply.event.end_us - task->start_us);
    task_leave(task);
    slot->state = slot->n > 0 ? SLOT_READY : SLOT_IDLE;
    if (slot->state == SLOT_READY)
        pool_ready(p, slot);
    (void)pthread_mutex_unlock(&slot->lock);
    replies_put(&p->replies, &reply, within_us);
}

static void clear_timer(int fd)
{
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
}

static void on_event(struct process *p, void *what)
{
    if (what == &p->sock) {
        on_socket(p);
    } else if (what == &p->replies.timer) {
        clear_timer(p->replies.timer);
        replies_flush_due(&p->replies);
    } else if (what == &p->sweep_timer) {
        clear_timer(p->sweep_timer);
        sweep(p);
    } else {
        on_parked_end(p, what);
    }
}

static int timeout_ms(struct process *p)
{
    uint64_t now_us = clock_mono_us();
    uint64_t next_us = stop_step(p, now_us);
    int ms = -1;
    if (next_us != STOP_NEVER)
        ms = next_us > now_us ? (int)((next_us - now_us) / 1000) + 1 : 0;
    if (atomic_load(&p->pool.n_ready) > 0 && (ms < 0 || ms > KICK_AGAIN_MS))
        ms = KICK_AGAIN_MS;
    return ms;
}

static _Noreturn void loop(struct process *p)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int ms = timeout_ms(p);
        if (atomic_load(&p->closing) && list_empty(&p->stopping)) {
            leftovers_remove(p);
            _exit(0);
        }
        int n = epoll_wait(p->epoll, events, EVENTS_MAX, ms);
        for (int i = 0; i < n; i++)
            on_event(p, events[i].data.ptr);
        if (n == 0 && atomic_load(&p->pool.n_ready) > 0)
            pool_kick_again(p);
    }
}

/* ---- start ------------------------------------------------------------------- */

/*
 * Default dispositions, whatever the worker inherited, and nothing can interrupt us:
 * the launcher ends when the worker does. Tasks get an empty mask.
 */
static void reset_signals(void)
{
    sigset_t blocked;
    for (int signum = 1; signum <= SIGRTMAX; signum++)
        (void)signal(signum, SIG_DFL);
    (void)sigfillset(&blocked);
    /* Ignored by default when it is not blocked, and not even queued then. */
    (void)sigdelset(&blocked, SIGCHLD);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
}

/* Leaves the sockets at SOCK_FD and PIPES_FD, /dev/null at 0 and 1, the worker's
 * standard error. */
static int arrange_files(struct process *p, int sock, int pipes, struct error *err)
{
    int apart = fcntl(pipes, F_DUPFD_CLOEXEC, PIPES_FD + 1);
    if (apart < 0 || (sock != SOCK_FD && dup3(sock, SOCK_FD, O_CLOEXEC) < 0) ||
        dup3(apart, PIPES_FD, O_CLOEXEC) < 0)
        return error_sys(err, "cannot move the sockets");
    p->sock = SOCK_FD;
    pipe_maker_init(&p->pipes, PIPES_FD);
    closefrom(PIPES_FD + 1);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    p->spawn.null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (in < 0 || p->spawn.null_fd < 0 || dup2(in, STDIN_FILENO) < 0 ||
        dup2(p->spawn.null_fd, STDOUT_FILENO) < 0)
        return error_sys(err, "cannot open '/dev/null'");
    (void)close(in);
    if (fcntl(STDERR_FILENO, F_GETFD) < 0)
        (void)dup2(p->spawn.null_fd, STDERR_FILENO);
    return 0;
}

/* Pipes and pidfds of many tasks; the tasks themselves get the old limit. */
static void raise_file_limit(struct spawn_context *spawn)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    spawn->files = limit;
    limit.rlim_cur = MIN(limit.rlim_max, FILES_MAX);
    spawn->limit_changed =
        limit.rlim_cur > spawn->files.rlim_cur && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static int watch(struct process *p, int fd, void *what, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_sys(err, "cannot watch a descriptor");
    return 0;
}

static int set_up(struct process *p, const struct launcher_config *config, int sock,
                  int pipes, struct error *err)
{
    struct launch_binding rank = {.cpus = config->cpus, .cpus_size = config->cpus_size};
    (void)setsid(); /* signals to the worker's group are not for us */
    (void)prctl(PR_SET_NAME, "hq-launcher");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    reset_signals();
    int rc = arrange_files(p, sock, pipes, err);
    if (rc)
        return rc;
    raise_file_limit(&p->spawn);
    p->worker_pidfd = (int)syscall(SYS_pidfd_open, getppid(), 0);
    p->spawn.launcher = getpid();
    p->base_env = config->env;
    p->sweep_s = 1;
    list_init(&p->stopping);
    buf_init(&p->in, LAUNCH_REQUEST_MAX + RECV_BYTES);
    p->rank = binding_create(&rank, NULL, 0);
    if (!p->rank)
        return error_nomem(err);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->sweep_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->epoll < 0 || p->sweep_timer < 0)
        return error_sys(err, "cannot create an event queue");
    rc = replies_init(&p->replies, p->sock, err);
    rc = rc ? rc : pool_init(p, err);
    rc = rc ? rc : watch(p, p->sock, &p->sock, err);
    rc = rc ? rc : watch(p, p->replies.timer, &p->replies.timer, err);
    return rc ? rc : watch(p, p->sweep_timer, &p->sweep_timer, err);
}

_Noreturn void process_run(const struct launcher_config *config, int sock, int pipes)
{
    static struct process process;
    struct error err = ERROR_INIT;
    if (set_up(&process, config, sock, pipes, &err)) {
        log_error("launcher: %s", err.text);
        _exit(1);
    }
    loop(&process);
}
