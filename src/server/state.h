/*
 * The server's state: jobs with their tasks, and workers. It changes only through the
 * state_apply_* functions, each of which is the meaning of one event; the same
 * functions run when a journal is replayed. Nothing here knows of sockets, files or
 * clocks.
 *
 * A job is a list of submits; their groups, one after the other, number its tasks with
 * slots (0, 1, …). Records of tasks exist from the first start on, in chunks; a waiting
 * array costs one struct job_group.
 */
#ifndef HQ_SERVER_STATE_H
#define HQ_SERVER_STATE_H

#include "base/u64map.h"
#include "model/event.h"
#include "model/spec.h"
#include "model/worker.h"
#include "sched/sched.h"

#define CHUNK_SLOTS 4096u
#define NO_GROUP UINT32_MAX
#define NO_EDGE UINT32_MAX

/* The part of a group that changes; what it says is in its submit. 32 bytes. */
struct job_group {
    uint32_t first_slot;
    uint32_t count;
    uint32_t
        submit; /* index into submits; group index there is g - submit.first_group */
    uint32_t class_id;
    uint32_t waits;      /* whole groups and single tasks it still waits for */
    uint32_t unfinished; /* tasks of it that have not FINISHED */
    uint32_t edges;      /* first edge to what waits for it, NO_EDGE: none */
    uint8_t each_needs;  /* number of NEED_EACH, saturating */
    uint8_t dependants;  /* something waits for single tasks of it */
};

/* "group `to` waits for me": for all tasks, element by element, or for one slot. */
enum edge_kind { EDGE_GROUP, EDGE_EACH, EDGE_SLOT };
struct job_edge {
    uint32_t to;
    uint32_t next;
    uint32_t slot; /* EDGE_SLOT */
    uint8_t kind;
};

/* Ids that map to slots by addition; sorted by first_id. */
struct id_range {
    uint32_t first_id, count, step, first_slot;
};

struct job_submit {
    struct submit spec;
    uint32_t first_group;
    uint32_t first_slot;
    uint64_t time_us;
};

/* Without records all its tasks are in `state`, never started: a cancelled array of a
 * million tasks stays small. */
struct record_chunk {
    struct task_record *records;
    uint32_t *placements; /* numbers, 0: unknown; NULL: all are. Beside the records */
    uint32_t cap;
    uint8_t state; /* enum task_state */
};

struct gang_nodes {
    uint32_t n;
    uint32_t ids[];
};

struct job {
    uint32_t id;
    bool open;
    bool idle_reported;
    int64_t max_fails;
    char *name;
    char *submit_dir;
    char *cancel_reason;
    uint64_t submitted_us;
    uint64_t finished_us; /* when the last task ended; 0 while one is active */
    struct task_counts counts;
    uint32_t n_slots;
    struct job_submit *submits;
    size_t n_submits, cap_submits;
    struct job_group *groups;
    size_t n_groups, cap_groups;
    struct job_edge *edges;
    size_t n_edges, cap_edges;
    struct id_range *ids;
    size_t n_ids, cap_ids;
    struct record_chunk *chunks;
    size_t n_chunks;
    struct u64map messages; /* slot -> char *, owned */
    struct u64map gangs;    /* slot -> struct gang_nodes *, owned */
    struct u64map workers;  /* ids of workers that ran tasks */
    uint32_t staged;        /* requests on it that wait for the journal */
    size_t last_group;      /* of the last look-up by slot */
};

struct worker {
    uint32_t id;
    uint8_t end; /* enum worker_end */
    struct worker_config config;
    uint64_t started_us, ended_us;
    uint64_t retract_check_ns; /* 0: unknown */
    bool any_started;
    uint32_t last_job, last_task;
    uint64_t last_us;
};

/*
 * What follows from a change and is not state itself: work for the scheduler. The live
 * server forwards it; during a replay it is ignored and rebuilt at the end.
 */
struct state_hooks {
    void *arg;
    void (*ready)(void *arg, struct job *job, const struct job_group *g, uint32_t slot,
                  uint32_t count);
    /* All waiting and running tasks of the job were ended by a decision of ours. */
    void (*stopped)(void *arg, struct job *job);
    /* Those of these tasks that had not ended are aborted now. */
    void (*aborted)(void *arg, struct job *job, uint32_t slot, uint32_t count,
                    uint64_t time_us);
    /* The last active task ended, or the job was closed: see job_completed. */
    void (*idle)(void *arg, struct job *job);
};

struct state {
    struct u64map jobs;      /* id -> struct job * */
    uint32_t last_job;       /* highest id ever given */
    struct worker **workers; /* index id - 1 */
    uint32_t n_workers;
    char server_uid[16];
    struct placements *placements;
    struct state_hooks hooks;
    struct sched *sched; /* interns the classes of groups */
};

void state_init(struct state *s, struct sched *sched, const struct state_hooks *hooks);
void state_release(struct state *s);

/* Names a worker across its connections; never U64MAP_NO_KEY. */
uint64_t worker_token_key(const struct worker_config *c);
struct job *state_job(const struct state *s, uint32_t id); /* NULL: unknown */
struct worker *state_worker(const struct state *s, uint32_t id);

/* Closed and nothing active. */
bool job_completed(const struct job *job);
bool job_active(const struct job *job); /* a task is waiting or running */
enum job_state job_state(const struct job *job);
/* O(log groups), O(1) for the same group as before. */
struct job_group *job_group_of(struct job *job, uint32_t slot);
const struct task_group *job_group_spec(const struct job *job,
                                        const struct job_group *g);
const struct job_submit *job_submit_of(const struct job *job,
                                       const struct job_group *g);
const struct task_body *job_body_of(const struct job *job, const struct job_group *g);
uint32_t job_task_id(struct job *job, uint32_t slot);
bool job_slot_of(const struct job *job, uint32_t task_id, uint32_t *slot);
uint32_t job_next_id(const struct job *job); /* largest id + 1, 0 when empty */
/* NULL when the task was never started. */
struct task_record *job_record(const struct job *job, uint32_t slot);
struct task_record *job_record_make(struct job *job, uint32_t slot);
void job_make_chunks(struct job *job); /* one for every slot; still without records */
enum task_state job_task_state(const struct job *job, uint32_t slot);
/* First slot >= `slot` whose chunk of records exists; n_slots when none. */
uint32_t job_next_recorded(const struct job *job, uint32_t slot);
const char *job_message(const struct job *job, uint32_t slot); /* or NULL */
uint32_t job_placement(const struct job *job, uint32_t slot);  /* 0: unknown */
const struct gang_nodes *job_gang(const struct job *job, uint32_t slot);

/* ---- events (state_apply.c, graph.c) ----------------------------------------------
 */

/* A submit that submit_resolve (resolve.h) accepted; takes its contents. Creates the
 * job when it is new, else appends to it. */
struct job *state_apply_submit(struct state *s, uint32_t job, struct submit *spec,
                               uint64_t time_us);
struct job *state_apply_open(struct state *s, uint32_t job, const char *name,
                             int64_t max_fails, const char *submit_dir,
                             uint64_t time_us);
void state_apply_close(struct state *s, uint32_t job, uint64_t time_us);
void state_apply_forget(struct state *s, uint32_t job);
/* Everything active becomes CANCELED; counts what it met. */
void state_apply_cancel(struct state *s, uint32_t job, const char *reason,
                        uint64_t time_us, uint32_t *cancelled, uint32_t *ended_before);
void state_apply_worker(struct state *s, uint32_t id, struct worker_config *config,
                        uint64_t time_us);
void state_apply_worker_lost(struct state *s, uint32_t id, enum worker_end reason,
                             uint64_t time_us);
/* false when it does not apply any more (unknown, another instance, already ended). */
bool state_apply_start(struct state *s, uint32_t worker, const struct task_start *st);
/* Ends `count` tasks from e->slot on; returns how many it applied to. Dependants become
 * ready or are aborted, max_fails is enforced. */
uint32_t state_apply_end(struct state *s, uint32_t worker, const struct task_end *e,
                         uint32_t count);
bool state_apply_restart(struct state *s, const struct task_restart *r);
/* Only after a replay this tells anything: those of the tasks that wait then may have
 * been started under that instance. */
void state_apply_sent(struct state *s, const struct task_sent *sent);

/* placements.c: the description with this number, or an empty span. */
struct span state_placement(const struct state *s, uint32_t number);
/* The number of a description that is known, else 0. */
uint32_t state_find_placement(const struct state *s, struct span bytes);
/* Gives it the next number, which must be `number`; false when it cannot be kept. */
bool state_apply_placement(struct state *s, uint32_t number, struct span bytes);
uint32_t state_next_placement(const struct state *s);
void state_release_placements(struct state *s);
void job_set_placement(struct job *job, uint32_t slot, uint32_t number);

/* Replay of one encoded event of a journal. */
int state_replay(struct state *s, struct span event, struct error *err) MUST_CHECK;
/* After a replay: running tasks become waiting with a new instance, lost workers are
 * marked, and everything ready is announced through the hooks. */
void state_restored(struct state *s, uint64_t now_us);

/* graph.c: wires the needs of the groups of one submit; announces what is ready. */
void graph_add_submit(struct state *s, struct job *job, const struct job_submit *sub);
void graph_task_finished(struct state *s, struct job *job, uint32_t slot,
                         uint32_t count);
/* Aborts everything that depends on the task, directly or not. */
void graph_task_failed(struct state *s, struct job *job, uint32_t slot,
                       uint64_t time_us);
/* Announces every task that is waiting and whose needs are met. */
void graph_announce_all(struct state *s, struct job *job);
/* Needs of the task that are not finished, and all of them. */
void graph_count_needs(struct job *job, uint32_t slot, uint32_t *total,
                       uint32_t *unfinished);

/* Calls `fn` for runs of tasks that the task needs, or that need it. */
typedef void graph_visit_fn(void *arg, struct job *job, uint32_t slot, uint32_t count);
void graph_visit_needs(struct job *job, uint32_t slot, graph_visit_fn *fn, void *arg);
void graph_visit_dependants(struct job *job, uint32_t slot, graph_visit_fn *fn,
                            void *arg);

/* Aborts what still waits or runs of [slot, slot + count); how many that were. */
uint32_t state_abort(struct state *s, struct job *job, uint32_t slot, uint32_t count,
                     uint64_t time_us);

/* These two write states of tasks and the job's counts; nothing else does. */
void task_set_state(struct job *job, struct task_record *r, enum task_state to,
                    uint64_t time_us);
/* Gives every waiting and running task of [slot, slot + count) the terminal state `to`;
 * returns how many there were. */
uint32_t tasks_set_state(struct job *job, uint32_t slot, uint32_t count,
                         enum task_state to, uint64_t time_us);

#endif
