/*
 * struct dash: what the dashboard knows, built from told events (history/told.h). It
 * reads no clock: everything is asked for as of a point in time, so that the past of a
 * journal and the present of a server are looked at in the same way.
 *
 * Memory: a task that was never started takes nothing, one that was takes 24 bytes (in
 * chunks, together with what charts and lists need to pass over a chunk unread). Loads
 * of workers get coarser with age. Points in time are microseconds since 1970.
 */
#ifndef HQ_TUI_DASH_H
#define HQ_TUI_DASH_H

#include "base/u64map.h"
#include "base/vec.h"
#include "history/slot_ids.h"
#include "history/told.h"
#include "model/job.h"

#define DASH_CHUNK 4096u

/* The last run of a task. */
struct dash_note {
    uint64_t start_us : 52; /* 0: not started */
    uint64_t state : 4;     /* enum task_state that it came to; WAITING: not started */
    uint64_t again : 1;     /* it ran before: dash_job.earlier */
    uint64_t gang : 1;      /* on more nodes than `worker`: dash_job.gangs */
    uint64_t end_us : 52;   /* 0: it did not end */
    uint32_t worker;        /* 0: none */
    uint32_t placement;     /* 0: unknown */
};

/* Consecutive slots. */
struct dash_chunk {
    struct dash_note *notes; /* NULL: all are as `all` */
    struct dash_note all;
    uint32_t n;
    uint32_t n_state[TASK_STATE_COUNT]; /* at the end of what is known */
    uint64_t min_start_us;              /* UINT64_MAX: none was started */
    uint64_t max_end_us;
    uint64_t workers; /* bit id % 64 of those that its tasks ran on */
};

/* A run that did not end by itself, since its worker was lost. */
struct dash_run {
    uint64_t start_us, end_us;
    uint32_t slot, worker;
    uint32_t before; /* index + 1 of an earlier one of the same task; 0: none */
};

/* So many tasks (from slot 0 on) from then on. */
struct dash_grown {
    uint64_t time_us;
    uint32_t n_slots;
};

struct dash_job {
    uint32_t id;
    uint32_t index; /* in dash.jobs */
    bool open;      /* takes further submits */
    char *name;
    uint64_t created_us, completed_us; /* 0: not completed */
    int64_t max_fails;                 /* -1: none */
    struct slot_ids ids;
    VEC(struct dash_grown) grown;
    VEC(struct dash_chunk) chunks;
    VEC(struct dash_run) earlier;
    struct u64map earlier_of; /* slot -> index + 1 of its latest in `earlier` */
    struct u64map gangs;      /* slot -> offset of its nodes in gang_nodes */
    VEC(uint32_t) gang_nodes; /* count, then ids */
    uint64_t min_start_us;    /* as in a chunk, for all of them */
    uint64_t max_end_us;
    uint32_t n_running;
    /* What its first submit says; NULL: not known. */
    char *command, *directory, *resources;
    const char *kind; /* "array", "graph", "open" */
    const char *pin;
};

struct dash_sample {
    uint64_t time_us;
    uint64_t memory_total, memory_free;
    uint16_t cpu, gpu; /* averages in 1/100 percent; gpu: DASH_NO_GPU */
    uint32_t merged;   /* so many reports */
};
#define DASH_NO_GPU UINT16_MAX

struct dash_worker {
    uint32_t id;
    uint32_t index;                 /* in dash.workers */
    uint64_t connected_us, lost_us; /* 0: not lost */
    enum worker_end end;
    struct worker_config config;
    struct dash_sample *samples; /* ascending by time */
    uint8_t *loads;              /* n_cpus percentages for each */
    size_t n_samples, max_samples, n_cpus;
    size_t n_coarse; /* so many of them, the oldest, stand for `width` reports each */
    uint32_t width;
};

struct dash_alloc {
    char *id;
    uint32_t workers;
    uint64_t queued_us, started_us, ended_us; /* 0: not yet */
    enum alloc_state state;                   /* at the end of what is known */
};

struct dash_queue {
    uint32_t id;
    uint64_t created_us, removed_us; /* 0: not removed */
    struct alloc_params params;
    VEC(struct dash_alloc) allocs;
};

struct dash {
    VEC(struct dash_job *) jobs; /* in the order of their creation */
    VEC(struct dash_worker *) workers;
    VEC(struct dash_queue *) queues;
    struct u64map job_of, worker_of, queue_of; /* id -> index */
    VEC(char *) placements;                    /* labels of CPUs; by number - 1; NULL */
    uint64_t n_events;
    uint64_t first_us, last_us; /* of all events; 0: there are none */
};

void dash_init(struct dash *d);
void dash_release(struct dash *d);
/* A told_fn; `dash` is a struct dash. */
int dash_told(void *dash, const struct told *t);

/* NULL: not known. */
const struct dash_job *dash_job(const struct dash *d, uint32_t id);
const struct dash_worker *dash_worker(const struct dash *d, uint32_t id);
const struct dash_queue *dash_queue(const struct dash *d, uint32_t id);
/* CPUs of a placement, "0,1,2"; NULL: unknown. */
const char *dash_cpus(const struct dash *d, uint32_t placement);

/* How many jobs (from the first one on) there were. */
size_t dash_jobs_at(const struct dash *d, uint64_t at_us);
/* How many tasks (from slot 0 on) the job had. */
uint32_t dash_slots_at(const struct dash_job *job, uint64_t at_us);
bool dash_connected(const struct dash_worker *w, uint64_t at_us);
/* The state of an allocation; ALLOC_STATE_COUNT: it was not there yet. */
enum alloc_state dash_alloc_state(const struct dash_alloc *a, uint64_t at_us);
/* The latest load up to then; its percentages of CPUs go to *cpus when that is not
 * NULL. NULL: none was reported. */
const struct dash_sample *dash_sample(const struct dash_worker *w, uint64_t at_us,
                                      const uint8_t **cpus);

/* ---- for the files of the model ---- */

struct dash_job *dash_find_job(struct dash *d, uint32_t id);
void dash_job_created(struct dash *d, const struct told *t);
void dash_job_opened(struct dash *d, const struct told *t);
void dash_job_release(struct dash_job *job);
void dash_task_started(struct dash *d, const struct told *t);
void dash_task_ended(struct dash *d, const struct told *t, enum task_state state);
void dash_tasks_ended(struct dash *d, const struct told *t, enum task_state state);
void dash_worker_load(struct dash_worker *w, const struct hw_state *load,
                      uint64_t time_us);
static inline struct dash_note dash_note(const struct dash_chunk *c, uint32_t i)
{
    return c->notes ? c->notes[i] : c->all;
}

#endif
