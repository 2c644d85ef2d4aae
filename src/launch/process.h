/*
 * Inside the launcher process. The main thread ("control") reads requests, watches
 * parked tasks, keeps the deadlines of stopped ones and reaps orphans; spawner threads
 * start tasks and wait for short ones.
 *
 * A slot with tasks waits in the pool until a spawner takes it; the spawner runs its
 * tasks one by one, blocked in waitid. When more slots are ready than there are
 * spawners, tasks already running are parked: control watches them by pidfd and the
 * spawner is free. So short tasks never pay for a pidfd, and any number of long ones
 * need no thread.
 *
 * A task's process is reaped under its slot's lock only; whoever holds that lock and
 * sees the task as current may signal its pid. Locks are taken in the order slot, pool,
 * replies; that of the pipes with no other.
 *
 * Spawner threads never end: the parent-death signal of a task follows the thread that
 * started it. Orphans go to the main thread, which has no other children, so waiting
 * with __WNOTHREAD tells the two apart. Private to this folder.
 */
#ifndef HQ_LAUNCH_PROCESS_H
#define HQ_LAUNCH_PROCESS_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include "base/list.h"
#include "launch/binding.h"
#include "launch/pipes.h"
#include "launch/replies.h"
#include "launch/spawn.h"
#include "launch/template.h"

enum task_state { TASK_QUEUED, TASK_STARTING, TASK_RUNNING, TASK_OVER };

struct task {
    struct task *next; /* in the queue of its slot */
    uint64_t handle;
    struct slot *slot;
    struct template *template; /* NULL: unknown to the launcher */
    struct binding *binding;
    bool urgent;
    /* Below: under the slot's lock. */
    enum task_state state;
    bool zombie;   /* OVER, not reaped yet: its pid still names its group */
    bool killed;   /* SIGKILL is for its group, which needs no other signal */
    bool stopping; /* in the list of control, which then frees it */
    int pending;   /* signal to send once it has started; 0: none */
    bool to_group; /* the pending signal goes to the group */
    pid_t pid;     /* RUNNING and zombies */
    int pidfd;     /* parked, else -1 */
    uint64_t start_us;
    struct spawn_result *result; /* STARTING: knows the pid */
    struct list_node stop_node;  /* control only */
    uint64_t kill_at_us;         /* control only, monotonic */
    size_t size;
    uint8_t bytes[]; /* encoded spec */
};

enum slot_state {
    SLOT_IDLE,
    SLOT_READY,   /* has tasks, waits for a spawner or has just got one */
    SLOT_RUNNING, /* a spawner is busy with it */
    SLOT_PARKED   /* its current task is watched by control */
};

struct slot {
    pthread_mutex_t lock;
    uint32_t number;
    enum slot_state state;
    struct task *head, *tail; /* queued */
    size_t n;                 /* queued */
    bool told_dry;            /* the worker knows since then that few are left */
    bool brief;               /* its last task was over before anybody could look */
    struct task *current;
    struct spawner *home;    /* ran it last */
    struct slot *next_ready; /* under the pool's lock */
    struct binding *binding; /* of tasks that come; control only */
};

struct spawner {
    struct process *process;
    pthread_t thread;
    sem_t wake;
    struct slot *assigned;       /* set before wake is posted */
    bool idle;                   /* under the pool's lock */
    atomic_ullong waiting_since; /* monotonic us while in waitid; 0: not */
    bool kicked;                 /* under the pool's lock */
    struct binding *bound;       /* of the thread; NULL: unknown */
    const struct binding *mask;  /* for its children; NULL: its own */
    struct spawn_area area;
    struct scratch scratch;
};

struct pool {
    pthread_mutex_t lock;
    struct spawner **spawners;
    size_t n, max;
    size_t n_idle;
    struct slot *ready, **ready_end;
    atomic_size_t n_ready;
};

struct leftover;

struct process {
    int sock;
    int worker_pidfd; /* -1: unknown */
    bool goodbye;     /* the worker leaves in order and removes what is its own */
    int epoll;
    int sweep_timer;
    atomic_bool sweeping; /* the timer for orphans is armed */
    atomic_bool closing;  /* the worker is gone: nothing is started any more */
    char *const *base_env;
    struct binding *rank;
    struct spawn_context spawn;
    struct replies replies;
    struct pipe_maker pipes;
    struct pool pool;
    /* Control only. */
    struct buf in;
    struct slot **slots;
    size_t n_slots;
    struct template **templates;
    size_t n_templates;
    struct list stopping; /* tasks with a deadline */
    struct leftover *leftovers;
    uint64_t sweep_s;
};

/* The whole life of the launcher. Takes both sockets: of records, of read ends. */
_Noreturn void process_run(const struct launcher_config *config, int sock, int pipes);

/* spawner.c */
int pool_init(struct process *p, struct error *err) MUST_CHECK;
/* The slot has become READY; its lock is held. */
void pool_ready(struct process *p, struct slot *slot);
/* Asks threads that wait for their tasks to park them, for ready slots without one. */
void pool_kick_again(struct process *p);

/* slot.c */
struct slot *slot_create(struct process *p, uint32_t number);
void slot_push(struct process *p, struct slot *slot, struct task *task);
/* Takes the next task to be started; NULL: none, the slot stays as it is. Locked. */
struct task *slot_take(struct process *p, struct slot *slot);
/* Removes a task that is still queued. NULL: it is not. */
struct task *slot_retract(struct slot *slot, uint64_t handle);
/* Whether the current task is over; then *info and *usage are filled. */
bool task_wait(struct task *task, bool block, siginfo_t *info, struct rusage *usage);
/*
 * After task_wait: reaps it (or leaves it to control) and makes the reply. The slot has
 * no current task then. Locked.
 */
void slot_finish(struct process *p, struct slot *slot, const siginfo_t *info,
                 const struct rusage *usage, struct reply *reply);
/* What has to be sent once the task has started. Locked. */
void task_send_pending(struct task *task);
/* Releases a task unless control still has it in its list. Locked. */
void task_leave(struct task *task);
void task_destroy(struct task *task);
/* How long the slot's replies may be gathered. Locked. */
uint64_t slot_gather_us(const struct slot *slot);
/* The same for the end of a task that took so long; 0: the worker should hear at once.
 * Locked. */
uint64_t slot_end_within_us(struct slot *slot, const struct task *task,
                            uint64_t took_us);
/* Orphans may have been left: sweeps in a second. */
void process_expect_orphans(struct process *p);

/* leftovers.c; control only */
void leftover_add(struct process *p, struct cursor *c); /* REQUEST_LEFTOVER */
/* Last of all: removes them if the worker died. */
void leftovers_remove(const struct process *p);

/* stop.c; control only */
#define STOP_NEVER UINT64_MAX
void stop_task(struct process *p, struct slot *slot, uint64_t handle,
               enum launch_kill how);
/* SIGTERM to the leaders of all running tasks; drops what is queued. */
void stop_all(struct process *p);
/* Kills what is overdue, lets go what is over; when to call it again (monotonic us), or
 * STOP_NEVER. */
uint64_t stop_step(struct process *p, uint64_t now_us);

#endif
