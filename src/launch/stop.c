#include "launch/process.h"

#include <errno.h>
#include "base/clock.h"

#define GRACE_US 1000000ULL
#define RETRY_US 10000ULL /* for a child that has not executed its program yet */
#define LOOK_US 10000ULL  /* how often ends are looked for that spawners saw */

static void add_deadline(struct process *p, struct task *task, uint64_t after_us)
{
    if (task->stopping)
        return;
    task->stopping = true;
    task->kill_at_us = clock_mono_us() + after_us;
    list_push_back(&p->stopping, &task->stop_node);
}

/* Signals a task that has started, or notes the signal for when it has. */
static void signal_current(struct task *task, int signum, bool to_group)
{
    task->pending = signum;
    task->to_group = to_group;
    if (task->state == TASK_RUNNING)
        task_send_pending(task);
}

void stop_task(struct process *p, struct slot *slot, uint64_t handle,
               enum launch_kill how)
{
    struct reply reply = {.event = {.kind = LAUNCH_RETURNED, .handle = handle}};
    (void)pthread_mutex_lock(&slot->lock);
    struct task *queued = slot_retract(slot, handle);
    struct task *task = slot->current;
    if (!queued && task && task->handle == handle) {
        bool now = how == LAUNCH_KILL_NOW;
        if (!now && !task->stopping)
            signal_current(task, SIGINT, true);
        if (now)
            signal_current(task, SIGKILL, true);
        task->killed |= now;
        if (!now || task->state == TASK_STARTING)
            add_deadline(p, task, now ? RETRY_US : GRACE_US);
    }
    (void)pthread_mutex_unlock(&slot->lock);
    if (!queued)
        return;
    reply.event.slot = slot->number;
    task_destroy(queued);
    replies_put(&p->replies, &reply, 0);
}

void stop_all(struct process *p)
{
    for (size_t i = 0; i < p->n_slots; i++) {
        struct slot *slot = p->slots[i];
        if (!slot)
            continue;
        (void)pthread_mutex_lock(&slot->lock);
        struct task *task = slot->current;
        if (task && !task->stopping && !task->killed) {
            signal_current(task, SIGTERM, false);
            add_deadline(p, task, GRACE_US);
        }
        (void)pthread_mutex_unlock(&slot->lock);
    }
}

/*
 * Whether nobody but the dead leader is left in the group: what the leader had started
 * came to this thread when it died, and so on down the group.
 */
static bool group_is_over(pid_t group)
{
    siginfo_t info;
    int rc;
    do {
        info.si_pid = 0;
        rc = waitid(P_PGID, (id_t)group, &info, WEXITED | WNOHANG | __WNOTHREAD);
    } while (rc == 0 && info.si_pid != 0);
    return rc != 0;
}

/* A task that needs no more grace. */
static bool is_over(struct task *task)
{
    (void)pthread_mutex_lock(&task->slot->lock);
    bool over = task->state == TASK_OVER && (!task->zombie || group_is_over(task->pid));
    (void)pthread_mutex_unlock(&task->slot->lock);
    return over;
}

/* Kills what is left. True: the task leaves the list. */
static bool enforce(struct task *task, uint64_t now_us)
{
    struct slot *slot = task->slot;
    bool done = true, over = false;
    (void)pthread_mutex_lock(&slot->lock);
    if (task->state == TASK_STARTING) {
        /* Hangs before exec, in opening a file maybe: it has no group yet. */
        int pid = atomic_load(&task->result->pid);
        if (pid > 0)
            (void)kill(pid, SIGKILL);
        task->pending = SIGKILL;
        task->to_group = true;
        task->kill_at_us = now_us + RETRY_US;
        done = false;
    } else if (task->state == TASK_RUNNING || task->zombie) {
        (void)kill(-task->pid, SIGKILL);
    }
    if (done) {
        over = task->state == TASK_OVER;
        task->stopping = false;
        list_remove(&task->stop_node);
        while (task->zombie && waitpid(task->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    (void)pthread_mutex_unlock(&slot->lock);
    if (over)
        task_destroy(task);
    return done;
}

uint64_t stop_step(struct process *p, uint64_t now_us)
{
    uint64_t next_us = STOP_NEVER;
    LIST_FOR_EACH_SAFE(&p->stopping, node, tmp)
    {
        struct task *task = CONTAINER_OF(node, struct task, stop_node);
        if ((task->kill_at_us <= now_us || is_over(task)) && enforce(task, now_us))
            continue;
        next_us = MIN(next_us, MIN(task->kill_at_us, now_us + LOOK_US));
    }
    return next_us;
}
