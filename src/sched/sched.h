/*
 * The scheduler: pure decisions. Events and `now_us` go in, assignments, retractions
 * and gang starts come out. No clock, no random source, no I/O; one thread.
 *
 * Terms
 *   class      a distinct request (all its variants), interned
 *   lane       (class, variant) on a worker
 *   slot       position of a task in its job; (job, slot) names a task here
 *   grant      the right to hold one allocation of a lane on a worker. The server
 *              subtracts its amounts from the worker's free totals.
 *   window     tasks of a lane that a worker holds, running ones included
 *
 * Contract with the worker (see docs/protocol.md)
 *   ASSIGN puts tasks into the worker's queue of a lane, ordered by (priority
 *   descending, job, slot), and hands out `grants` more allocations. For each grant the
 *   worker allocates indices and starts the head of the queue. When a task ends, the
 *   worker starts the next of the same lane with the same allocation ("continued");
 *   with an empty queue it frees the allocation ("released"). Both sides thus agree
 *   without further messages. A grant that cannot be honoured (fragmentation) is
 *   refused: the tasks stay in the queue. RETRACT asks for unstarted tasks from the
 *   tail of a lane's queue, perhaps for none; it is always answered, behind the reports
 *   of all starts before. CANCEL of a job reaches the worker before anything that a
 *   later step decides. A worker that rejects tasks for good voids the grants that
 *   thereby have no task.
 *
 * Rules: strict priorities with backfilling that never delays a waiting gang or a
 * higher priority; lower worker numbers first when few tasks are there; equal requests
 * run in (job, slot) order.
 */
#ifndef HQ_SCHED_SCHED_H
#define HQ_SCHED_SCHED_H

#include "model/alloc.h"
#include "model/resource.h"

#define SCHED_WINDOW_MAX 1024u
#define SCHED_NO_CLASS UINT32_MAX

struct sched; /* opaque */

/* Consecutive slots of one job. */
struct task_run {
    uint32_t job;
    uint32_t slot;
    uint32_t count;
    int32_t priority;
};

struct sched_assign {
    uint32_t worker;
    uint32_t class_id;
    uint8_t variant;
    uint32_t grants;             /* additional allocations, may be 0 */
    const struct task_run *runs; /* in queue order; may be none with grants > 0 */
    size_t n_runs;
};

struct sched_retract {
    uint32_t worker;
    uint32_t class_id;
    uint8_t variant;
    uint32_t max_count; /* at most that many from the tail */
};

struct sched_gang {
    uint32_t job, slot;
    uint32_t class_id;
    uint8_t variant;
    const uint32_t *workers; /* root first: the lowest id */
    size_t n_workers;
};

/* Decisions of one step. Arrays belong to the scheduler, valid until the next call. */
struct sched_out {
    const struct sched_assign *assigns;
    size_t n_assigns;
    const struct sched_retract *retracts;
    size_t n_retracts;
    const struct sched_gang *gangs;
    size_t n_gangs;
    bool more;        /* the step reached its bound; call sched_step again soon */
    uint64_t wake_us; /* call again at this time at the latest (0: no need) */
};

struct sched_worker {
    uint32_t id;                  /* ascending over the life of a server */
    const struct pool_set *pools; /* borrowed during the call; totals are copied */
    const char *group;
    uint64_t end_us;        /* end of the worker's life, 0 when unknown */
    double min_utilization; /* 0 to 1, share of CPUs */
};

/* A task that was on a worker when it went away. */
struct sched_lost_task {
    uint32_t job, slot;
    bool running; /* was reported as started (sched_started) */
};

struct sched *sched_create(void); /* NULL: out of memory */
void sched_destroy(struct sched *s);

/* Interns the request of tasks that run limit_us at most (0: no limit); the same gives
 * the same id. SCHED_NO_CLASS: no memory. */
uint32_t sched_class(struct sched *s, const struct request *r, uint64_t limit_us);
const struct request *sched_class_request(const struct sched *s, uint32_t class_id);

void sched_worker_add(struct sched *s, const struct sched_worker *w, uint64_t now_us);
/*
 * Forgets the worker. *tasks lists what it held, for the caller to requeue
 * (sched_ready) or to fail; valid until the next call. A gang whose root is lost is
 * listed; one that lost another node goes on.
 */
void sched_worker_remove(struct sched *s, uint32_t worker,
                         const struct sched_lost_task **tasks, size_t *n_tasks);
/* No new tasks from now on (it is stopping); what it holds stays. */
void sched_worker_drain(struct sched *s, uint32_t worker);
/* Since when the worker has nothing assigned and no gang reserved; 0 while it has. */
uint64_t sched_worker_idle_since(const struct sched *s, uint32_t worker);
struct sched_worker_load {
    uint32_t assigned; /* tasks in all windows */
    uint32_t running;  /* of these, reported as started */
    bool gang;         /* runs a gang task */
    bool gang_root;
    uint32_t gang_job, gang_slot; /* of the gang task, when there is one */
    bool reserved;                /* held free for a gang */
};
void sched_worker_load(const struct sched *s, uint32_t worker,
                       struct sched_worker_load *out);

/* Tasks that the worker holds, gangs aside; valid until the next call. */
void sched_worker_tasks(struct sched *s, uint32_t worker,
                        const struct sched_lost_task **tasks, size_t *n_tasks);

/* Time that workers were idle because they are kept free for gangs, summed up. */
uint64_t sched_wasted_us(const struct sched *s, uint64_t now_us);

/* These tasks became ready (dependencies finished), or return after a lost worker. */
void sched_ready(struct sched *s, uint32_t class_id, int32_t priority, uint32_t job,
                 uint32_t slot, uint32_t count);
/*
 * Forgets all waiting tasks of a job, and those in windows that were not started. The
 * caller tells the workers before the next step; tasks that run, also those whose start
 * was not reported yet, are reported by sched_done as always. Tasks of this job that
 * are made ready later are new ones.
 */
void sched_cancel_job(struct sched *s, uint32_t job);

/* Reports of a worker, in the order it sent them. Unknown tasks are ignored (they were
 * cancelled meanwhile). */
void sched_started(struct sched *s, uint32_t worker, uint32_t job, uint32_t slot,
                   uint32_t count);
/* `released` allocations out of the `count` ended tasks were freed; the others went on
 * with their successor. The tasks are of one lane. duration_us: sum over the tasks.
 * Works for gangs too. */
void sched_done(struct sched *s, uint32_t worker, uint32_t job, uint32_t slot,
                uint32_t count, uint32_t released, uint64_t duration_us,
                uint64_t now_us);
/* The worker could not honour n grants of the lane; they are void. The lane is not
 * granted again there before something is released on that worker. */
void sched_grant_refused(struct sched *s, uint32_t worker, uint32_t class_id,
                         uint8_t variant, uint32_t n);
/* An allocation was freed on the worker that no end of a task tells of. */
void sched_freed(struct sched *s, uint32_t worker);
/* Answer to RETRACT: what was given back (possibly nothing). Goes back to the
 * queues. */
void sched_retracted(struct sched *s, uint32_t worker, uint32_t class_id,
                     uint8_t variant, const struct task_run *runs, size_t n_runs);
/* The worker refuses the tasks for good (too little time left): back to the queues, and
 * the lane is never offered to this worker again. */
void sched_rejected(struct sched *s, uint32_t worker, uint32_t class_id,
                    uint8_t variant, const struct task_run *runs, size_t n_runs);

/*
 * A worker that came back runs this task already, under the variant: takes it out of
 * the waiting queue and books it (one grant, started) on that worker. false, and
 * nothing changed, when the task is not waiting in the queues (it was assigned again).
 * A gang has the worker for its root then, and no other before sched_gang_join.
 */
bool sched_adopt(struct sched *s, uint32_t worker, uint32_t class_id, uint8_t variant,
                 int32_t priority, uint32_t job, uint32_t slot);
/* Gives a worker back to a gang that goes on; false when it has something else, or is
 * not of the group. */
bool sched_gang_join(struct sched *s, uint32_t root, uint32_t job, uint32_t slot,
                     uint32_t worker);
/* Running gangs, i from 0 on, root first; the list of workers is valid until the next
 * call. */
bool sched_gang_at(const struct sched *s, size_t i, struct sched_gang *out);
/* Takes a waiting task out of the queues (its late result arrived); false when it is
 * not there. */
bool sched_take(struct sched *s, uint32_t class_id, int32_t priority, uint32_t job,
                uint32_t slot);

/* Decides. Bounded work per call; see sched_out.more. */
void sched_step(struct sched *s, uint64_t now_us, struct sched_out *out);

/* Waiting tasks in all queues (not in windows). */
uint64_t sched_waiting(const struct sched *s);

/* One thing that keeps a waiting task of a class from starting on a worker. */
enum sched_hold_kind {
    SCHED_HOLD_DRAINING,    /* the worker is stopping */
    SCHED_HOLD_GANG,        /* it belongs to the gang task (job, slot) */
    SCHED_HOLD_RESERVED,    /* it is kept free for the gang task (job, slot) */
    SCHED_HOLD_PRIORITY,    /* (job, slot) and others of `priority` go first there */
    SCHED_HOLD_TIME,        /* it has too little time left */
    SCHED_HOLD_REJECTED,    /* it rejected the variant for good */
    SCHED_HOLD_RESOURCE,    /* `have` of `total` is free of the entry, `need` asked */
    SCHED_HOLD_REFUSED,     /* the free indices do not fit together */
    SCHED_HOLD_UTILIZATION, /* less than `need` of its cpus would be used: `have` */
    SCHED_HOLD_BUSY,        /* a gang wants it empty; it holds `have` tasks */
    SCHED_HOLD_NODES,       /* a gang wants `need` workers; `have` are idle together */
    SCHED_HOLD_COUNT
};
#define SCHED_ALL_VARIANTS UINT8_MAX
struct sched_hold {
    enum sched_hold_kind kind;
    uint8_t variant;
    uint32_t entry; /* of the variant */
    uint64_t need, have, total;
    uint64_t left_us; /* RESERVED: until the gang starts at the latest; 0: unknown */
    uint32_t job, slot;
    int32_t priority;
};
typedef void sched_hold_fn(void *arg, const struct sched_hold *hold);
/* Calls fn for everything that holds tasks of this class and priority back there. */
void sched_explain(const struct sched *s, uint32_t class_id, int32_t priority,
                   uint32_t worker, sched_hold_fn *fn, void *arg);

/* Where a task is that was made ready. */
struct sched_position {
    uint32_t worker;   /* it was sent there; 0: it waits in a queue */
    bool started;      /* there, as far as is known */
    uint64_t n_before; /* waiting tasks of its class that come first */
    uint64_t n_above;  /* waiting tasks of higher priority, of all classes */
};
/* false: unknown, or part of a gang. */
bool sched_find(const struct sched *s, uint32_t class_id, int32_t priority,
                uint32_t job, uint32_t slot, struct sched_position *out);

/* A kind of worker that could be had. */
struct sched_kind {
    const struct pool_set *pools; /* borrowed */
    bool partial; /* none has come: resources that are not named count as unlimited */
    uint64_t life_us; /* from its start; it is too late for as much, if !partial */
    double min_utilization;
    const uint32_t *coming; /* groups on their way, by size, ascending; borrowed */
    size_t n_coming;
    uint32_t max_more;  /* further groups that could be had, */
    uint32_t max_nodes; /* of so many workers each, */
    uint64_t max_room;  /* and so many in all */
};
struct sched_use {
    uint32_t n_workers;        /* that would get tasks of one node, coming ones, too */
    struct gang_demand *gangs; /* tasks of several nodes; ascending by nodes, owned */
    size_t n_gangs;
};
/*
 * How many workers of each kind the tasks that wait now could use, as if there were no
 * others: out[i] for kinds[i]. Earlier kinds get the tasks first; a gang takes a group
 * that comes, or a further one. Tasks sent ahead count where they may wait for long.
 * Changes nothing; bounded work, beyond which tasks are left out.
 */
void sched_query(const struct sched *s, const struct sched_kind *kinds, size_t n,
                 struct sched_use *out);
void sched_use_release(struct sched_use *u);

/* Verifies the whole state; aborts with a message on a violated invariant. O(state). */
void sched_sanity_check(const struct sched *s);

#endif
