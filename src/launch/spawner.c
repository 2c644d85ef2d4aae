#include "launch/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"

#define SPAWNERS_MIN 4
#define SPAWNERS_MAX 2048
#define THREAD_STACK_BYTES ((size_t)256 << 10)
#define PIDFD_MIN 1024 /* out of the way of what children copy (spawn.c) */
#define KICK_SIGNAL SIGRTMIN

/* ---- starting one task ------------------------------------------------------- */

struct pipes {
    int out_fd, err_fd; /* write ends, -1: none */
    uint32_t out, err;  /* numbers, 0: none */
};

static enum launch_step bind_thread(struct spawner *s, struct binding *wanted, int *sys)
{
    if (s->bound && binding_equal(s->bound, wanted))
        return LAUNCH_STEP_NONE;
    binding_drop(s->bound);
    s->bound = NULL;
    enum launch_step step = binding_apply(wanted, s->process->rank, &s->mask, sys);
    if (step == LAUNCH_STEP_NONE)
        s->bound = binding_hold(wanted);
    return step;
}

static enum launch_step take_pipes(struct pipe_maker *m, struct spawn_order *order,
                                   struct pipes *pipes, int *sys)
{
    if (order->out.kind == LAUNCH_OUTPUT_PIPE) {
        *sys = pipe_maker_take(m, &pipes->out_fd, &pipes->out);
        order->out.fd = pipes->out_fd;
    }
    if (*sys)
        return LAUNCH_STEP_STDOUT;
    if (order->err.kind == LAUNCH_OUTPUT_PIPE) {
        *sys = pipe_maker_take(m, &pipes->err_fd, &pipes->err);
        order->err.fd = pipes->err_fd;
    }
    return *sys ? LAUNCH_STEP_STDERR : LAUNCH_STEP_NONE;
}

static enum launch_step prepare(struct spawner *s, struct task *task,
                                struct spawn_order *order, struct pipes *pipes,
                                int *sys)
{
    if (!task->template) {
        *sys = ENOMEM;
        return LAUNCH_STEP_MEMORY;
    }
    struct spec_view own;
    struct cursor c = cursor_make(task->bytes, task->size);
    spec_decode(&c, &own);
    HQ_ASSERT(!c.failed);
    enum launch_step step = order_build(task->template, &own, &s->scratch, order, sys);
    if (step == LAUNCH_STEP_NONE)
        step = bind_thread(s, task->binding, sys);
    order->mask = s->mask;
    if (step == LAUNCH_STEP_NONE)
        step = take_pipes(&s->process->pipes, order, pipes, sys);
    return step;
}

static bool is_path_step(enum launch_step step)
{
    return step == LAUNCH_STEP_STDOUT || step == LAUNCH_STEP_STDERR ||
           step == LAUNCH_STEP_CHDIR;
}

/*
 * Directories nearly always exist: they are made, in the order that decides which error
 * is told, only after a start without them failed.
 */
static enum launch_step spawn_task(struct spawner *s, struct task *task,
                                   const struct spawn_order *order, int *sys)
{
    struct slot *slot = task->slot;
    for (bool retried = false;; retried = true) {
        enum launch_step step;
        pid_t pid = spawn_process(&s->process->spawn, &s->area, order, &step, sys);
        (void)pthread_mutex_lock(&slot->lock);
        if (step == LAUNCH_STEP_NONE) {
            task->pid = pid;
            task->state = TASK_RUNNING;
            task_send_pending(task);
        } else {
            while (pid > 0 && waitpid(pid, NULL, __WNOTHREAD) < 0 && errno == EINTR)
                ;
            atomic_store(&s->area.result->pid, 0);
        }
        (void)pthread_mutex_unlock(&slot->lock);
        if (!is_path_step(step) || retried)
            return step;
        step = order_make_dirs(order, sys);
        if (step != LAUNCH_STEP_NONE)
            return step;
    }
}

static void close_pipe(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* Makes the reply LAUNCH_STARTED or LAUNCH_FAILED; true: it runs. */
static bool start_task(struct spawner *s, struct task *task, struct reply *reply)
{
    struct pipes pipes = {-1, -1, 0, 0};
    struct spawn_order order;
    int sys = 0;
    task->start_us = clock_real_us();
    enum launch_step step = prepare(s, task, &order, &pipes, &sys);
    if (step == LAUNCH_STEP_NONE)
        step = spawn_task(s, task, &order, &sys);
    scratch_reset(&s->scratch);
    close_pipe(pipes.out_fd);
    close_pipe(pipes.err_fd);
    *reply = (struct reply){
        .event = {.kind = step ? LAUNCH_FAILED : LAUNCH_STARTED,
                  .handle = task->handle,
                  .slot = task->slot->number,
                  .pid = task->pid,
                  .start_us = task->start_us,
                  .step = step,
                  .sys = step ? sys : 0},
        .out_pipe = pipes.out,
        .err_pipe = pipes.err,
    };
    if (step)
        reply->event.end_us = clock_real_us();
    return step == LAUNCH_STEP_NONE;
}

/* ---- which slot next --------------------------------------------------------- */

static struct slot *pop_ready(struct pool *pool)
{
    struct slot *slot = pool->ready;
    if (!slot)
        return NULL;
    pool->ready = slot->next_ready;
    if (!pool->ready)
        pool->ready_end = &pool->ready;
    slot->next_ready = NULL;
    atomic_fetch_sub(&pool->n_ready, 1);
    return slot;
}

static void push_ready(struct pool *pool, struct slot *slot)
{
    slot->next_ready = NULL;
    *pool->ready_end = slot;
    pool->ready_end = &slot->next_ready;
    atomic_fetch_add(&pool->n_ready, 1);
}

/* A ready slot, or NULL: the spawner counts as idle and waits for its semaphore. */
static struct slot *pool_next(struct spawner *s)
{
    struct pool *pool = &s->process->pool;
    (void)pthread_mutex_lock(&pool->lock);
    struct slot *slot = pop_ready(pool);
    if (!slot) {
        s->idle = true;
        pool->n_idle++;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return slot;
}

/* The slot's task is over: goes on with it, or with another one in fair turns. Locked.
 */
static struct slot *slot_yield(struct spawner *s, struct slot *slot)
{
    struct pool *pool = &s->process->pool;
    if (slot->n == 0 || atomic_load(&s->process->closing)) {
        slot->state = SLOT_IDLE;
        return pool_next(s);
    }
    if (atomic_load(&pool->n_ready) == 0)
        return slot;
    (void)pthread_mutex_lock(&pool->lock);
    slot->state = SLOT_READY;
    push_ready(pool, slot);
    slot = pop_ready(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    return slot;
}

/* Hands the running task over to control; false: not possible now. */
static bool park(struct spawner *s, struct task *task)
{
    struct slot *slot = task->slot;
    int pidfd = (int)syscall(SYS_pidfd_open, task->pid, 0);
    if (pidfd < 0)
        return false;
    int high = fcntl(pidfd, F_DUPFD_CLOEXEC, PIDFD_MIN);
    if (high >= 0) {
        (void)close(pidfd);
        pidfd = high;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = task};
    (void)pthread_mutex_lock(&slot->lock);
    /* Control cannot get hold of it before the lock is free. */
    bool done = epoll_ctl(s->process->epoll, EPOLL_CTL_ADD, pidfd, &event) == 0;
    if (done) {
        slot->state = SLOT_PARKED;
        task->pidfd = pidfd;
    } else {
        (void)close(pidfd);
    }
    (void)pthread_mutex_unlock(&slot->lock);
    return done;
}

/* True: the task is over; false: it was parked and is no longer ours. */
static bool await_task(struct spawner *s, struct task *task, siginfo_t *info,
                       struct rusage *usage)
{
    struct pool *pool = &s->process->pool;
    for (;;) {
        if (atomic_load(&pool->n_ready) > 0 && park(s, task))
            return false;
        atomic_store(&s->waiting_since, clock_mono_us());
        bool over = task_wait(task, true, info, usage);
        atomic_store(&s->waiting_since, 0);
        if (over)
            return true;
    }
}

/* Runs one task of the slot. Returns the slot to go on with, or NULL (idle). */
static struct slot *run_one(struct spawner *s, struct slot *slot)
{
    struct process *p = s->process;
    struct slot *next;
    struct reply reply;
    siginfo_t info;
    struct rusage usage;

    (void)pthread_mutex_lock(&slot->lock);
    struct task *task = slot_take(p, slot);
    if (!task) {
        next = slot_yield(s, slot);
        (void)pthread_mutex_unlock(&slot->lock);
        return next;
    }
    slot->state = SLOT_RUNNING;
    slot->home = s;
    atomic_store(&s->area.result->pid, 0);
    task->result = s->area.result;
    uint64_t within_us = task->urgent ? 0 : slot_gather_us(slot);
    (void)pthread_mutex_unlock(&slot->lock);

    bool running = start_task(s, task, &reply);
    if (running) {
        replies_put(&p->replies, &reply, within_us);
        if (!await_task(s, task, &info, &usage))
            return pool_next(s);
    }
    (void)pthread_mutex_lock(&slot->lock);
    if (running)
        slot_finish(p, slot, &info, &usage, &reply);
    slot->current = NULL;
    within_us = slot_end_within_us(slot, task, reply.event.end_us - task->start_us);
    task_leave(task);
    next = slot_yield(s, slot);
    (void)pthread_mutex_unlock(&slot->lock);
    replies_put(&p->replies, &reply, within_us);
    return next;
}

/* ---- threads ----------------------------------------------------------------- */

static void *spawner_main(void *arg)
{
    struct spawner *s = arg;
    sigset_t kick;
    (void)prctl(PR_SET_NAME, "hq-spawner");
    (void)sigemptyset(&kick);
    (void)sigaddset(&kick, KICK_SIGNAL);
    (void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    for (struct slot *slot = NULL;;) {
        while (!slot) {
            while (sem_wait(&s->wake) != 0)
                ; /* a late kick */
            slot = s->assigned;
        }
        slot = run_one(s, slot);
    }
    return NULL;
}

/* Starts a thread that has a slot to begin with. NULL: not possible. */
static struct spawner *spawner_create(struct process *p, struct slot *slot)
{
    struct spawner *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->process = p;
    s->assigned = slot;
    scratch_init(&s->scratch);
    (void)sem_init(&s->wake, 0, 1);
    if (!spawn_area_init(&s->area)) {
        free(s);
        return NULL;
    }
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    int rc = pthread_create(&s->thread, &attr, spawner_main, s);
    (void)pthread_attr_destroy(&attr);
    if (rc == 0)
        return s;
    spawn_area_release(&s->area);
    (void)sem_destroy(&s->wake);
    free(s);
    return NULL;
}

static void on_kick(int signum)
{
    (void)signum; /* only to interrupt waitid */
}

int pool_init(struct process *p, struct error *err)
{
    struct pool *pool = &p->pool;
    struct sigaction action = {.sa_handler = on_kick};
    (void)pthread_mutex_init(&pool->lock, NULL);
    pool->ready_end = &pool->ready;
    pool->max = MAX(binding_cpu_count(p->rank) * 2, SPAWNERS_MIN);
    pool->max = MIN(pool->max, SPAWNERS_MAX);
    pool->spawners = calloc(pool->max, sizeof(struct spawner *));
    if (!pool->spawners)
        return error_nomem(err);
    if (sigaction(KICK_SIGNAL, &action, NULL) != 0)
        return error_sys(err, "cannot handle signal %d", KICK_SIGNAL);
    return 0;
}

/* An idle spawner: the one that ran the slot last, else one bound alike, else (with
 * `any`) whichever there is. */
static struct spawner *choose_idle(const struct pool *pool, const struct slot *slot,
                                   bool any)
{
    struct spawner *other = NULL;
    if (slot->home && slot->home->idle)
        return slot->home;
    if (pool->n_idle == 0)
        return NULL;
    for (size_t i = pool->n; i-- > 0;) {
        struct spawner *s = pool->spawners[i];
        if (!s->idle)
            continue;
        if (s->bound && slot->head && binding_equal(s->bound, slot->head->binding))
            return s;
        other = s;
    }
    return any ? other : NULL;
}

/* Interrupts the thread that has waited longest. */
static void kick_one(struct pool *pool)
{
    struct spawner *oldest = NULL;
    uint64_t oldest_us = UINT64_MAX;
    for (size_t i = 0; i < pool->n; i++) {
        struct spawner *s = pool->spawners[i];
        uint64_t since_us = atomic_load(&s->waiting_since);
        if (since_us != 0 && !s->kicked && since_us < oldest_us) {
            oldest = s;
            oldest_us = since_us;
        }
    }
    if (oldest) {
        oldest->kicked = true;
        (void)pthread_kill(oldest->thread, KICK_SIGNAL);
    }
}

void pool_ready(struct process *p, struct slot *slot)
{
    struct pool *pool = &p->pool;
    (void)pthread_mutex_lock(&pool->lock);
    struct spawner *s = choose_idle(pool, slot, pool->n == pool->max);
    struct spawner *made = NULL;
    if (!s && pool->n < pool->max) {
        made = spawner_create(p, slot);
        s = made ? NULL : choose_idle(pool, slot, true);
    }
    if (made) {
        pool->spawners[pool->n++] = made;
    } else if (s) {
        s->idle = false;
        pool->n_idle--;
        s->assigned = slot;
        (void)sem_post(&s->wake);
    } else {
        push_ready(pool, slot);
        kick_one(pool);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

void pool_kick_again(struct process *p)
{
    struct pool *pool = &p->pool;
    (void)pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->n; i++)
        pool->spawners[i]->kicked = false;
    for (size_t i = atomic_load(&pool->n_ready); i > 0; i--) {
        /* A thread that could not be made before may be possible now. */
        struct spawner *made =
            pool->n < pool->max ? spawner_create(p, pool->ready) : NULL;
        if (made) {
            (void)pop_ready(pool);
            pool->spawners[pool->n++] = made;
        } else {
            kick_one(pool);
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
}
