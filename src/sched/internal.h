/*
 * Inside of the scheduler. One state, one thread; files:
 *   classes.c  requests as needs of numbered resources, order of classes; queues.c
 *   workers.c  workers, their free amounts, the index of workers with room
 *   lanes.c    the books of one lane: tasks, grants, cancelled tasks
 *   reports.c  what workers say
 *   place.c    grants; gap.c: what higher priorities keep free
 *   exact.c    the best mix, where several classes compete for a few workers
 *   window.c   tasks sent ahead; steal.c: tasks asked back
 *   gang.c     multi-node tasks; starve.c: room for large tasks among small ones
 *   step.c     the order of all this; check.c: the invariants
 *   explain.c  why a task waits; query.c: what further workers could do
 *
 * Books of a lane. A worker starts tasks on its own, so the server's knowledge lags: of
 * `unstarted` some already run. grants <= tasks of the lane, always: a grant has a task
 * that runs or is on the way.
 *
 * Cancelled tasks ("ghosts") may have been started before the worker hears of the
 * cancel; they stay in the books without being tasks any more, until the worker reports
 * their end or answers a RETRACT that was sent behind the cancel without having
 * reported a start.
 */
#ifndef HQ_SCHED_INTERNAL_H
#define HQ_SCHED_INTERNAL_H

#include "base/list.h"
#include "base/strmap.h"
#include "base/u64map.h"
#include "base/vec.h"
#include "sched/queues.h"
#include "sched/runs.h"
#include "sched/sched.h"

#define NO_INDEX UINT32_MAX
#define STEAL_WORTH_US 2000.0 /* work that is done sooner is not worth moving */
#define LONG_US 50000.0       /* tasks that last longer keep their room for long */
#define STALLED_US 50000u     /* a lane that does not get on for so long */
#define BLOCKERS_MAX 16u

/* Amount of a numbered resource. */
struct need {
    uint32_t resource; /* on a worker: worker_resource */
    bool any_gpus;     /* GPUs of whatever kind */
    bool all;          /* the whole pool of the worker, whatever its size */
    int64_t amount;
};

/* One variant of a class. */
struct way {
    struct need *needs;
    uint32_t n_needs;
    uint32_t n_nodes;
    uint64_t min_time_us;
    bool uses_cpus;
    double weight;
    double duration_us; /* moving mean of ended tasks; < 0: none seen */
    uint64_t n_ended;
};

/* What decides between classes; see classes.c. */
struct order_key {
    int32_t priority;
    int gang_rank;
    double weight, share;
    uint64_t first; /* job and slot of the first task */
};

struct task_class {
    uint32_t id;
    struct request request;
    struct way *ways;
    uint8_t *preferred; /* variants, the first to try first */
    uint32_t n_ways;
    bool gang;
    uint64_t limit_us; /* a task runs no longer; 0: no limit */
    uint64_t most_fit; /* tasks that an empty worker can hold; at most */
    bool gang_yields;  /* one was started: others of this priority are first now */
    uint64_t starved_since_us; /* no task of it runs, others take the room; 0: not so */
    uint32_t reserved_id;      /* worker that is kept free for a starved class, or 0 */
    double weight;             /* the largest of the variants */
    struct queues queues;
    uint64_t waiting;
    uint32_t order_pos;       /* in sched.order, NO_INDEX: nothing waits */
    bool touched;             /* in sched.touched */
    int32_t closed_priority;  /* the least for which a bit of its room went */
    struct order_key key;     /* its place in the order, when not touched */
    VEC(struct lane *) lanes; /* those that hold tasks */
    uint64_t grants;          /* sum over lanes */
    uint64_t unstarted;       /* sum over lanes, retractable at most */
    uint64_t started;         /* sum over lanes; cancelled ones hold grants as well */
    int32_t lowest_sent;      /* no unstarted task has less, */
    int32_t highest_sent;     /* and none that waits ahead has more */
    int64_t least_cpus;       /* of all variants */
    size_t steal_cursor;      /* in lanes */
    struct list hungry;       /* lanes whose window should be filled */
    struct list ahead;        /* lanes with more tasks than grants, those first that
                                 wait longest to get on */
    struct list settled;    /* the same, of no use for more important tasks elsewhere */
    int32_t settled_top;    /* no task ahead in these has more */
    uint64_t retracts;      /* sum of retract_count over lanes */
    int32_t retracts_top;   /* no task asked back has more */
    uint64_t recalled_walk; /* they are among the blockers of that walk */
    bool nothing_to_steal;
    uint64_t steal_at_us;
};

enum lane_list {
    LANE_UNSTARTED,
    LANE_STARTED,
    LANE_GHOST_NEW,    /* cancelled; no RETRACT sent since */
    LANE_GHOST_FENCED, /* cancelled; a RETRACT is under way */
    LANE_GHOST_STARTED,
    LANE_LISTS
};

struct lane {
    struct worker *worker;
    struct task_class *class;
    uint8_t variant;
    bool blocked;    /* refused; until something is released on the worker */
    bool dead;       /* rejected for good */
    bool retracting; /* a RETRACT is not answered yet */
    uint32_t retract_count;
    uint32_t grants;
    uint32_t voided;  /* grants void by a rejection, which may be refused as well */
    uint32_t window;  /* the last target, to grow step by step */
    uint32_t n_tasks; /* in all lists */
    struct run_list lists[LANE_LISTS];
    uint32_t worker_pos, class_pos; /* in worker.active, class.lanes */
    uint64_t progress_us;           /* the last grant, or end with a successor */
    uint64_t ahead_us;              /* its place in class.ahead */
    uint64_t granted_step;          /* the last step that granted something */
    struct list_node hungry;
    struct list_node ahead;  /* in class.ahead or class.settled */
    struct list_node ghosts; /* in sched.fences */
};

struct gang {
    struct task_class *class;
    uint64_t start_us;
    int32_t priority;
    uint32_t job, slot;
    bool started;
    VEC(uint32_t) workers; /* ids, root first */
    uint32_t root;         /* id */
};

/* Workers that a gang may use together. */
struct group {
    VEC(struct worker *) members; /* ascending */
    uint32_t n_idle;
    uint32_t idle_from; /* members before it are not idle */
};

struct worker {
    uint32_t id;
    uint32_t index; /* in sched.workers, ascending with the id */
    uint32_t group, group_pos;
    uint64_t end_us;
    double min_utilization;
    bool draining;
    bool utilization_open; /* this step brings it above its minimum */
    bool gap_denied;       /* room that a higher priority keeps */
    bool dirty;            /* something was released since the last step */
    struct gang *gang;
    struct task_class *reserved; /* kept free for a gang of this class */
    int32_t reserved_priority;
    uint64_t reserved_until_us; /* the gang's start by the limits of what runs; 0: not
                                   known */
    uint64_t wasted_from_us;    /* reserved and idle since then; 0: it is not */
    struct task_class *reserved_before; /* keeps a choice from moving about */
    uint64_t idle_since_us;
    uint32_t n_resources;
    uint32_t gpus;         /* serves GPUs of whatever kind; NO_INDEX: none does */
    int64_t *total, *free; /* by resource */
    uint32_t changes;      /* of free */
    /* What the first gap_blockers blockers of walk gap_walk leave, while free is what
     * it was at gap_changes. */
    int64_t *gap_left;
    uint64_t gap_walk;
    uint32_t gap_blockers, gap_changes;
    uint32_t n_tasks, n_running; /* without cancelled ones and gangs */
    uint32_t n_blocked;          /* lanes */
    bool was_idle;
    struct u64map lane_of; /* class << 8 | variant -> pointer */
    VEC(struct lane *) lanes;
    VEC(struct lane *) active; /* with tasks */
};

struct blocker {
    struct task_class *class;
    int32_t priority;
    uint64_t waiting;
    bool recalled; /* they do not wait yet: they are asked back from workers */
};

/* An assign of the step being made; the runs are at [first, first + n). */
struct pending_assign {
    struct lane *lane;
    uint32_t grants;
    size_t first_run, n_runs;
};

struct sched {
    uint64_t now_us;
    struct strmap *resource_ids; /* name -> id + 1 */
    uint32_t n_resources;
    uint32_t cpus;        /* id of that resource */
    VEC(int64_t) cluster; /* total of all workers by resource */
    uint32_t cluster_version;
    struct strmap *group_ids; /* name -> id + 1 */
    VEC(struct group) groups;
    uint64_t wasted_us; /* time that workers were idle for waiting gangs */

    struct u64map class_of; /* hash of the encoded request -> class id (first try) */
    VEC(struct task_class *) classes;
    VEC(struct task_class *) order;   /* with waiting tasks, most important first */
    VEC(struct task_class *) touched; /* whose place in the order may be another */
    uint32_t order_version;
    uint64_t waiting;

    struct u64map worker_of;      /* id -> pointer */
    VEC(struct worker *) workers; /* by index, NULL where one left */
    uint32_t n_workers;
    VEC(struct worker *) thrifty; /* with a minimal utilisation, */
    size_t thrifty_at;            /* and the next to look at */
    VEC(struct worker *) dirty;
    /* Bit (worker, class): the worker may hold a further grant. room[word * stride +
     * class]; room_sum has a bit for every word of room. */
    uint64_t *room, *room_sum;
    uint32_t room_words, room_stride;

    VEC(struct gang *) gangs;
    bool gangs_dirty;
    VEC(struct worker *) reserved; /* for gangs that wait */

    struct list fences; /* lanes with new ghosts */
    bool retract_lower; /* tasks below a blocker may be on workers: look again, */
    size_t lower_class, lower_lane; /* from the first lane on, or from here */
    uint32_t n_gap_denied;          /* workers */

    int32_t floor;    /* no task that waits, or was sent, has less, */
    int32_t ceiling;  /* and none that waits ahead has more */
    bool gangs_yield; /* to tasks that are asked back */
    uint64_t budget;  /* of this step */
    bool out_of_budget;
    uint64_t step_no, walk_no;
    uint64_t wake_us;
    /* Classes that could not place all tasks of their priority, in order; and those of
     * the walk before. */
    struct blocker blockers[BLOCKERS_MAX], blockers_before[BLOCKERS_MAX];
    uint32_t n_blockers, n_blockers_before;

    VEC(struct pending_assign) pending;
    VEC(struct task_run) out_runs;
    VEC(struct sched_assign) out_assigns;
    VEC(struct sched_retract) out_retracts;
    VEC(struct sched_gang) out_gangs;
    VEC(struct sched_lost_task) lost;
    VEC(int64_t) scratch, scratch2;
    VEC(struct worker *) picked;
    uint32_t gang_visits, gang_reserves; /* of this step */
    bool gangs_more;                     /* it had to leave gangs to the next one */
};

/* Appends or dies; the interface cannot fail. */
#define must_push(v, value) HQ_ASSERT(vec_push(v, value))

/* classes.c */
uint32_t resource_intern(struct sched *s, const char *name);
void class_release(struct task_class *c);
/* The first queue with tasks; NULL. */
static inline struct queue *class_top(const struct task_class *c)
{
    return queues_top(&c->queues);
}
/* Priority of its first waiting task. */
static inline int32_t class_priority(const struct task_class *c)
{
    const struct queue *q = class_top(c);
    return q ? q->priority : INT32_MIN;
}
void class_touch(struct sched *s, struct task_class *c);
/* A worker is new, or the class is. */
void class_meet_worker(struct task_class *c, const struct worker *w);
void class_enqueue(struct sched *s, struct task_class *c, int32_t priority,
                   uint32_t job, uint32_t slot, uint32_t count);
/* Books n tasks as taken out of the queue (already removed from its set). */
void class_dequeued(struct sched *s, struct task_class *c, uint64_t n);
void classes_sort(struct sched *s);
/* Moves the class at `at` behind those that are more important now. */
void classes_resort_from(struct sched *s, size_t at);

/* workers.c */
struct worker *worker_find(const struct sched *s, uint32_t id);
/* The resource that serves the need there; at or above n_resources: none does. */
uint32_t worker_resource(const struct worker *w, const struct need *n);
/* Amounts of the way on that worker; INT64_MAX-free arithmetic, may be 0. */
int64_t worker_need(const struct worker *w, const struct need *n);
bool worker_capable(const struct worker *w, const struct way *way); /* by its totals */
bool worker_in_time(const struct sched *s, const struct worker *w,
                    const struct way *way);
uint32_t worker_fit(const struct worker *w, const struct way *way, const int64_t *free,
                    uint32_t max);
void worker_take(struct worker *w, const struct way *way, uint32_t n);
void worker_give(struct worker *w, const struct way *way, uint32_t n);
/* It wants a share of its cpus used or none, and is below with so many more used. */
bool worker_below_minimum(const struct sched *s, const struct worker *w, int64_t more);
void worker_unblock(struct sched *s, struct worker *w);
bool worker_is_idle(const struct worker *w);
/* Keeps idle_since_us right; call after any change of tasks, gang, reservation. */
void worker_update_idle(struct sched *s, struct worker *w);
void worker_mark_dirty(struct sched *s, struct worker *w);
void room_resize(struct sched *s);
void worker_destroy(struct worker *w);

/* lanes.c */
struct lane *lane_find(const struct worker *w, uint32_t class_id, uint8_t variant);
struct lane *lane_get(struct sched *s, struct worker *w, struct task_class *c,
                      uint8_t variant);
static inline struct way *lane_way(const struct lane *l)
{
    return &l->class->ways[l->variant];
}
/* Unstarted tasks that hold no grant, and that no RETRACT may take. */
uint32_t lane_spare(const struct lane *l);
void lane_add(struct sched *s, struct lane *l, enum lane_list list,
              struct task_run run);
/* As run_list_take; keeps the sums. */
uint32_t lane_take(struct sched *s, struct lane *l, enum lane_list list, uint32_t job,
                   uint32_t slot, uint32_t count, int32_t *priority);
/* Takes from whatever list has the first slot. */
uint32_t lane_take_any(struct sched *s, struct lane *l, uint32_t job, uint32_t slot,
                       uint32_t count, int32_t *priority, enum lane_list *list);
uint32_t lane_start(struct sched *s, struct lane *l, uint32_t job, uint32_t slot,
                    uint32_t count);
void lane_grant(struct sched *s, struct lane *l, uint32_t n);
void lane_void_grants(struct sched *s, struct lane *l, uint32_t n);
void lane_clamp_grants(struct sched *s, struct lane *l);
uint32_t lane_cancel_job(struct sched *s, struct lane *l, uint32_t job);
void lane_fence_sent(struct sched *s, struct lane *l);
void lane_fence_answered(struct sched *s, struct lane *l);
/* All the lane's books are empty again; the lane itself stays. */
void lane_reset(struct sched *s, struct lane *l);
void lane_check_hungry(struct lane *l);
/* Something was granted, or ended and went on with another task. */
void lane_got_on(struct sched *s, struct lane *l);
/* Should it be among the settled ones: these have such tasks ahead now. */
void lane_unsettle(struct lane *l, int32_t priority);
/* What it holds ahead is looked at again later, as if it had got on now. */
void lane_ahead_again(struct sched *s, struct lane *l);
static inline bool lane_stalled(const struct sched *s, const struct lane *l)
{
    return s->now_us >= l->progress_us + STALLED_US;
}
/* Enough have ended to tell of others. */
static inline bool way_is_known(const struct way *way)
{
    return way->n_ended >= 16;
}
/* What starts keeps its room for long, or nobody knows. */
static inline bool way_is_long(const struct way *way)
{
    return way->duration_us < 0 || way->duration_us >= LONG_US;
}

/* place.c */
/* Whether anything of this priority may be sent to the worker; and whether tasks of
 * this class may start there at once, which those can that end in time for a gang. */
bool place_allowed(const struct worker *w, int32_t priority);
bool place_allowed_now(const struct sched *s, const struct worker *w,
                       const struct task_class *c, int32_t priority);
/* Fills the worker with tasks of the queue, preferred variants first. */
void place_on(struct sched *s, struct worker *w, struct task_class *c, struct queue *q);
/* Grants for tasks that are on workers without any; before the walk only when nothing
 * that waits is more important, behind it as far as the gaps allow, else asks them
 * back. */
void place_spares(struct sched *s, bool before_walk);
void place_walk(struct sched *s);
void place_thrifty(struct sched *s);

/* exact.c */
#define EXACT_CLASSES_MAX 8u
#define EXACT_WORKERS_MAX 3u /* together; else one by one */
#define EXACT_CHOICES_MAX 32u
/* Places tasks of the classes in the order from `first` on that have this priority. */
void exact_place(struct sched *s, size_t first, int32_t priority);

/* step.c */
/* Sends up to max_tasks of the queue to the lane, and hands out grants. */
void out_assign(struct sched *s, struct lane *l, uint32_t grants, uint32_t max_tasks,
                struct queue *q);
void out_retract(struct sched *s, struct lane *l, uint32_t max_count);

/* gap.c */
void blockers_begin(struct sched *s);
void blockers_add(struct sched *s, struct task_class *c, int32_t priority);
/* As many tasks as are asked back, as if they waited with this priority; once a walk,
 * and never so many that there is no place for those that do wait. */
void blockers_add_recalled(struct sched *s, struct task_class *c, int32_t priority);
/* The worker is left to such a task of higher priority. */
bool worker_left_to_recalled(const struct sched *s, const struct worker *w,
                             int32_t priority);
/* True when a gap became wider: the workers concerned are open again. */
bool blockers_end(struct sched *s);
/* Opens what is closed only to tasks less important than those that wait now. */
void gaps_reopen_raised(struct sched *s, struct task_class *c);
/* What the blockers above the priority leave of each resource, may be negative; NULL:
 * nothing blocks. */
const int64_t *gap_amounts(struct sched *s, struct worker *w, int32_t priority);
/* How many of n more tasks of the way the blockers above the priority allow there. */
uint32_t gap_limit(struct sched *s, struct worker *w, const struct way *way,
                   int32_t priority, uint32_t n);
/* Whether a task of the class could run there when the worker is empty. */
bool class_capable(const struct sched *s, const struct worker *w,
                   const struct task_class *c);

/* window.c */
void windows_fill(struct sched *s);

/* steal.c */
void fences_send(struct sched *s);
void steal_lower(struct sched *s);
void steal_for_free(struct sched *s);
/* As much as there is room for now of what is ahead with a priority above this one. */
void steal_above(struct sched *s, struct task_class *c, int32_t priority);
void steal_stalled(struct sched *s);

/* starve.c */
void starve_check(struct sched *s, struct task_class *c, int32_t priority);
void starve_end(struct sched *s, struct task_class *c);

/* gang.c */
void worker_reserve(struct sched *s, struct worker *w, struct task_class *c,
                    int32_t priority, uint64_t until_us);
void reserved_drop(struct sched *s, struct worker *w);
/* Whether a task of higher priority that waits could run there. */
bool worker_wanted_by_higher(const struct sched *s, const struct worker *w,
                             int32_t priority);
/* Whether a gang of the class may take the worker, once it is idle. */
bool gang_usable(const struct sched *s, const struct worker *w,
                 const struct task_class *c, int32_t priority);
void gang_place(struct sched *s, struct task_class *c, int32_t priority);
void gangs_release_reservations(struct sched *s);
void reserved_retract(struct sched *s);
struct gang *gang_of_task(const struct worker *w, uint32_t job, uint32_t slot);
void gang_end(struct sched *s, struct gang *g, bool requeue);
bool gang_adopt(struct sched *s, struct worker *root, struct task_class *c,
                int32_t priority, uint32_t job, uint32_t slot);
void gang_lose_worker(struct sched *s, struct worker *w);

#endif
