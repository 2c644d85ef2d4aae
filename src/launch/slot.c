#include "launch/process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"

#define US_PER_S 1000000ULL
#define DRY_US 3000 /* work left in a slot that is worth a message */
#define GATHER_US 800
#define GATHER_BRIEF_US 10000
#define BRIEF_US 2000 /* in less no task can ask about itself */

struct slot *slot_create(struct process *p, uint32_t number)
{
    struct slot *slot = calloc(1, sizeof *slot);
    HQ_ASSERT(slot);
    (void)pthread_mutex_init(&slot->lock, NULL);
    slot->number = number;
    slot->binding = binding_create(&(struct launch_binding){0}, p->rank, number);
    HQ_ASSERT(slot->binding);
    return slot;
}

void slot_push(struct process *p, struct slot *slot, struct task *task)
{
    (void)pthread_mutex_lock(&slot->lock);
    if (slot->tail)
        slot->tail->next = task;
    else
        slot->head = task;
    slot->tail = task;
    slot->n++;
    slot->told_dry = false;
    if (slot->state == SLOT_IDLE) {
        slot->state = SLOT_READY;
        pool_ready(p, slot);
    }
    (void)pthread_mutex_unlock(&slot->lock);
}

struct task *slot_take(struct process *p, struct slot *slot)
{
    struct task *task = slot->head;
    if (!task || atomic_load(&p->closing))
        return NULL;
    slot->head = task->next;
    if (!slot->head)
        slot->tail = NULL;
    slot->n--;
    task->next = NULL;
    task->state = TASK_STARTING;
    slot->current = task;
    return task;
}

struct task *slot_retract(struct slot *slot, uint64_t handle)
{
    struct task *before = NULL, *task = slot->head;
    while (task && task->handle != handle) {
        before = task;
        task = task->next;
    }
    if (!task)
        return NULL;
    if (before)
        before->next = task->next;
    else
        slot->head = task->next;
    if (slot->tail == task)
        slot->tail = before;
    slot->n--;
    return task;
}

/*
 * Each message wakes the worker, and it the server, on CPUs that start tasks: sent
 * every millisecond they take a fifth of what the smallest tasks cost.
 */
uint64_t slot_gather_us(const struct slot *slot)
{
    return slot->brief ? GATHER_BRIEF_US : GATHER_US;
}

uint64_t slot_end_within_us(struct slot *slot, const struct task *task,
                            uint64_t took_us)
{
    slot->brief = took_us < BRIEF_US;
    if (slot->n == 0 || task->urgent)
        return 0;
    /* What is left must last until the gathered replies are sent. Told once: telling it
     * again brings no new task any sooner. */
    bool dry = !slot->told_dry && (slot->n - 1) * took_us < DRY_US;
    slot->told_dry |= dry;
    return dry ? 0 : slot_gather_us(slot);
}

bool task_wait(struct task *task, bool block, siginfo_t *info, struct rusage *usage)
{
    /* Children of this thread only: cheaper, and all that it can mean. */
    int flags = WEXITED | WNOWAIT | (block ? __WNOTHREAD : WNOHANG);
    info->si_pid = 0;
    /* The system call, unlike the function, also tells what was used. */
    return syscall(SYS_waitid, P_PID, task->pid, info, flags, usage) == 0 &&
           info->si_pid != 0;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static uint64_t to_us(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * US_PER_S + (uint64_t)tv.tv_usec;
}

void slot_finish(struct process *p, struct slot *slot, const siginfo_t *info,
                 const struct rusage *usage, struct reply *reply)
{
    struct task *task = slot->current;
    bool exited = info->si_code == CLD_EXITED;
    reply->event = (struct launch_event){
        .kind = LAUNCH_ENDED,
        .handle = task->handle,
        .slot = slot->number,
        .pid = task->pid,
        .start_us = task->start_us,
        .end_us = clock_real_us(),
        .exit_code = exited ? info->si_status : -1,
        .term_signal = exited ? 0 : info->si_status,
        .utime_us = to_us(usage->ru_utime),
        .stime_us = to_us(usage->ru_stime),
        .maxrss_kib = (uint64_t)usage->ru_maxrss,
    };
    task->state = TASK_OVER;
    task->zombie = task->stopping;
    if (!task->zombie)
        reap(task->pid);
    slot->current = NULL;
    process_expect_orphans(p);
}

void task_send_pending(struct task *task)
{
    if (task->pending)
        (void)kill(task->to_group ? -task->pid : task->pid, task->pending);
    task->pending = 0;
}

void task_leave(struct task *task)
{
    task->state = TASK_OVER;
    if (!task->stopping)
        task_destroy(task);
}

void task_destroy(struct task *task)
{
    if (task->pidfd >= 0)
        (void)close(task->pidfd);
    template_drop(task->template);
    binding_drop(task->binding);
    free(task);
}
