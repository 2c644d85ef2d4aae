#include "history/track.h"

#include <stdlib.h>
#include "base/u64map.h"
#include "base/vec.h"
#include "history/slot_ids.h"

#define TEXT_MAX 65536

/* Two bits a task, in chunks. */
enum slot_state { SLOT_WAITING, SLOT_RUNNING, SLOT_ENDED };
#define CHUNK_SLOTS 65536u
#define CHUNK_BYTES (CHUNK_SLOTS / 4)
static uint8_t all_ended[1]; /* stands for a chunk that is */

struct tracked_job {
    uint32_t id;
    bool open;
    bool idle_told;
    uint64_t last_us; /* the latest time told of it */
    uint32_t unfinished;
    VEC(uint8_t *) chunks;   /* of their states; NULL: all wait */
    struct u64map instances; /* of running tasks, where it is not 0: slot -> instance */
    struct slot_ids ids;
    char *name;
};

struct track {
    told_fn *fn;
    void *arg;
    struct u64map jobs;        /* id -> struct tracked_job * */
    VEC(uint64_t) completed;   /* one bit a job */
    VEC(struct told_run) runs; /* of the event at hand */
    struct buf scratch;
    bool past, from_memory;
    int stop; /* what ended the telling; 0: nothing */
    uint64_t unknown;
};

/* ---- jobs ------------------------------------------------------------------------ */

static void job_destroy(struct tracked_job *job)
{
    for (size_t i = 0; i < job->chunks.len; i++)
        if (job->chunks.data[i] != all_ended)
            free(job->chunks.data[i]);
    vec_release(&job->chunks);
    u64map_release(&job->instances);
    slot_ids_release(&job->ids);
    free(job->name);
    free(job);
}

static bool is_completed(const struct track *t, uint32_t id)
{
    return id / 64 < t->completed.len && (t->completed.data[id / 64] >> id % 64 & 1);
}

static void note_completed(struct track *t, uint32_t id)
{
    while (t->completed.len <= id / 64)
        if (!vec_push(&t->completed, 0)) {
            t->stop = ERR_NOMEM;
            return;
        }
    t->completed.data[id / 64] |= (uint64_t)1 << id % 64;
}

/* NULL: completed, or never heard of, which is counted. */
static struct tracked_job *find_job(struct track *t, uint32_t id)
{
    uint64_t value;
    if (u64map_get(&t->jobs, id, &value))
        return (struct tracked_job *)(uintptr_t)value;
    if (!is_completed(t, id))
        t->unknown++;
    return NULL;
}

static struct tracked_job *make_job(struct track *t, uint32_t id, struct span name,
                                    bool open)
{
    struct tracked_job *job = calloc(1, sizeof *job);
    char *copy = job ? strndup(name.p ? (const char *)name.p : "", name.n) : NULL;
    if (!copy || u64map_set(&t->jobs, id, (uint64_t)(uintptr_t)job) != 0) {
        free(copy);
        free(job);
        t->stop = ERR_NOMEM;
        return NULL;
    }
    job->id = id;
    job->open = open;
    job->name = copy;
    return job;
}

static enum slot_state slot_state(const struct tracked_job *job, uint32_t slot)
{
    const uint8_t *chunk = job->chunks.data[slot / CHUNK_SLOTS];
    if (!chunk || chunk == all_ended)
        return chunk ? SLOT_ENDED : SLOT_WAITING;
    return (enum slot_state)(chunk[slot % CHUNK_SLOTS / 4] >> slot % 4 * 2 & 3);
}

/* Not of a slot that has ended. */
static void set_slot(struct track *t, struct tracked_job *job, uint32_t slot,
                     enum slot_state to)
{
    uint8_t **chunk = &job->chunks.data[slot / CHUNK_SLOTS];
    if (!*chunk)
        *chunk = calloc(1, CHUNK_BYTES);
    if (!*chunk) {
        t->stop = ERR_NOMEM;
        return;
    }
    uint8_t *p = &(*chunk)[slot % CHUNK_SLOTS / 4];
    unsigned shift = slot % 4 * 2;
    *p = (uint8_t)((*p & ~(3u << shift)) | (unsigned)to << shift);
    if (job->instances.n && to != SLOT_RUNNING)
        (void)u64map_remove(&job->instances, slot);
    if (to == SLOT_ENDED)
        job->unfinished--;
}

static uint32_t slot_instance(const struct tracked_job *job, uint32_t slot)
{
    uint64_t instance = 0;
    if (job->instances.n)
        (void)u64map_get(&job->instances, slot, &instance);
    return (uint32_t)instance;
}

/* Ids and states of the tasks of a submit. */
static int add_tasks(struct tracked_job *job, const struct submit *s)
{
    uint32_t before = job->ids.n;
    int rc = slot_ids_add(&job->ids, s);
    if (rc != 0)
        return rc;
    while (job->chunks.len < ((size_t)job->ids.n + CHUNK_SLOTS - 1) / CHUNK_SLOTS)
        if (!vec_push(&job->chunks, NULL))
            return ERR_NOMEM;
    job->unfinished += job->ids.n - before;
    return 0;
}

uint32_t tracked_task_id(const struct tracked_job *job, uint32_t slot)
{
    return slot_ids_at((struct slot_ids *)(uintptr_t)&job->ids, slot);
}

/* ---- telling --------------------------------------------------------------------- */

static void tell(struct track *t, const struct told *what)
{
    if (!t->stop)
        t->stop = t->fn(t->arg, what);
}

/* After tasks of the job ended, or it was closed. What comes from memory is complete
 * only at its end. */
static void job_settled(struct track *t, struct tracked_job *job, uint64_t time_us)
{
    job->last_us = MAX(job->last_us, time_us);
    if (job->unfinished || (t->past && t->from_memory))
        return;
    struct told told = {.time_us = job->last_us, .job = job->id};
    if (job->open) {
        told.type = TOLD_JOB_IDLE;
        if (!t->past && !job->idle_told)
            tell(t, &told);
        job->idle_told = true;
        return;
    }
    told.type = TOLD_JOB_COMPLETED;
    tell(t, &told);
    note_completed(t, job->id);
    (void)u64map_remove(&t->jobs, job->id);
    job_destroy(job);
}

static void add_run(struct track *t, uint32_t slot, uint32_t count)
{
    struct told_run *last = t->runs.len ? &vec_last(&t->runs) : NULL;
    struct told_run run = {slot, count};
    if (last && last->slot + last->count == slot)
        last->count += count;
    else if (!vec_push(&t->runs, run))
        t->stop = ERR_NOMEM;
}

/* Ends those of the slots that have not ended yet, and gathers them. */
static void end_slots(struct track *t, struct tracked_job *job, uint32_t slot,
                      uint32_t count)
{
    for (uint32_t left = count; left && !t->stop;) {
        uint8_t **chunk = &job->chunks.data[slot / CHUNK_SLOTS];
        uint32_t part = MIN(left, CHUNK_SLOTS - slot % CHUNK_SLOTS);
        bool whole = part == CHUNK_SLOTS && !*chunk;
        if (whole) {
            *chunk = all_ended;
            job->unfinished -= part;
            add_run(t, slot, part);
        }
        for (uint32_t i = slot; !whole && i - slot < part; i++) {
            if (slot_state(job, i) == SLOT_ENDED)
                continue;
            set_slot(t, job, i, SLOT_ENDED);
            add_run(t, i, 1);
        }
        slot += part;
        left -= part;
    }
}

static void tell_runs(struct track *t, enum told_type type, struct tracked_job *job,
                      uint64_t time_us)
{
    struct told told = {.type = type,
                        .time_us = time_us,
                        .job = job->id,
                        .tracked = job,
                        .runs = t->runs.data,
                        .n_runs = t->runs.len};
    if (t->runs.len)
        tell(t, &told);
    vec_clear(&t->runs);
}

/* ---- events of jobs -------------------------------------------------------------- */

static void on_opened(struct track *t, struct cursor *c, uint64_t time_us)
{
    uint32_t id = cursor_u32(c);
    struct span name = cursor_bytes(c);
    int64_t max_fails = cursor_zigzag(c);
    uint64_t unused;
    if (c->failed || is_completed(t, id) || u64map_get(&t->jobs, id, &unused))
        return;
    struct told told = {.type = TOLD_JOB_OPENED,
                        .time_us = time_us,
                        .job = id,
                        .text = name,
                        .max_fails = max_fails};
    if (make_job(t, id, name, true))
        tell(t, &told);
}

static void on_closed(struct track *t, struct cursor *c, uint64_t time_us)
{
    uint32_t id = cursor_u32(c);
    struct tracked_job *job = c->failed ? NULL : find_job(t, id);
    if (!job || !job->open)
        return;
    job->open = false;
    if (t->past && t->from_memory)
        return; /* every job is told to have been opened */
    struct told told = {.type = TOLD_JOB_CLOSED, .time_us = time_us, .job = id};
    tell(t, &told);
    job_settled(t, job, time_us);
}

static int on_submitted(struct track *t, struct cursor *c, uint64_t time_us,
                        struct error *err)
{
    struct submit s;
    uint64_t found;
    uint32_t id = cursor_u32(c);
    int rc = submit_decode(&s, c, err);
    if (rc != 0)
        return rc;
    bool known = u64map_get(&t->jobs, id, &found);
    struct tracked_job *job = NULL;
    if (known)
        job = (struct tracked_job *)(uintptr_t)found;
    else if (!is_completed(t, id))
        job = make_job(t, id, span_str(s.name ? s.name : ""), false);
    struct told told = {.type = TOLD_JOB_CREATED,
                        .time_us = time_us,
                        .job = id,
                        .tracked = job,
                        .submit = &s,
                        .text = span_str(job ? job->name : ""),
                        .closed_job = job && !job->open,
                        .first_slot = job ? job->ids.n : 0};
    rc = job ? add_tasks(job, &s) : 0;
    if (job && rc == 0) {
        tell(t, &told);
        job->idle_told = false;
        job_settled(t, job, time_us);
    } else if (rc == ERR_CORRUPT) {
        rc = error_set(err, rc, "malformed submit of job %u", id);
    }
    submit_release(&s);
    return rc == ERR_NOMEM ? error_nomem(err) : rc;
}

static void on_canceled(struct track *t, struct cursor *c, uint64_t time_us)
{
    uint32_t id = cursor_u32(c);
    struct span reason = {NULL, 0};
    if (c->p != c->end)
        reason = cursor_bytes(c);
    struct tracked_job *job = c->failed ? NULL : find_job(t, id);
    if (!job || job->unfinished == 0)
        return;
    struct told told = {
        .type = TOLD_JOB_CANCELED, .time_us = time_us, .job = id, .text = reason};
    tell(t, &told);
    end_slots(t, job, 0, job->ids.n);
    tell_runs(t, TOLD_TASKS_CANCELED, job, time_us);
    job_settled(t, job, time_us);
}

static void on_ended_by_server(struct track *t, struct cursor *c, uint64_t time_us,
                               enum told_type type)
{
    uint32_t id = cursor_u32(c);
    struct tracked_job *job = c->failed ? NULL : find_job(t, id);
    while (job && !c->failed && c->p != c->end) {
        uint32_t slot = cursor_varint32(c), count = cursor_varint32(c);
        if (slot > job->ids.n || count > job->ids.n - slot)
            c->failed = true;
        else
            end_slots(t, job, slot, count);
    }
    if (!job)
        return;
    tell_runs(t, type, job, time_us);
    job_settled(t, job, time_us);
}

/* ---- events of tasks ------------------------------------------------------------- */

static void tell_start(struct track *t, struct tracked_job *job, uint32_t slot,
                       struct told *told)
{
    set_slot(t, job, slot, SLOT_RUNNING);
    if (told->instance && u64map_set(&job->instances, slot, told->instance) != 0)
        t->stop = ERR_NOMEM;
    told->type = TOLD_TASK_STARTED;
    told->task = tracked_task_id(job, slot);
    told->slot = slot;
    told->tracked = job;
    tell(t, told);
}

static void on_started(struct track *t, struct cursor *c)
{
    uint32_t worker = cursor_u32(c);
    struct task_start s;
    while (task_start_decode(&s, c, &t->scratch)) {
        struct tracked_job *job = find_job(t, s.job);
        if (!job || s.slot >= job->ids.n || slot_state(job, s.slot) != SLOT_WAITING)
            continue;
        struct told told = {.time_us = s.start_us,
                            .job = s.job,
                            .worker = worker,
                            .instance = s.instance,
                            .variant = s.variant,
                            .placement = s.placement,
                            .n_nodes = s.n_nodes,
                            .nodes = s.nodes};
        tell_start(t, job, s.slot, &told);
    }
}

static void tell_failed(struct track *t, const struct task_end *e, struct told *told)
{
    struct task_record record = {.failure = e->failure, .exit = e->exit};
    if (e->failure == FAILURE_MESSAGE) {
        told->text = e->message;
    } else {
        buf_clear(&t->scratch);
        task_failure_print(&record, &t->scratch);
        told->text = (struct span){t->scratch.data, t->scratch.len};
    }
    told->type = TOLD_TASK_FAILED;
    tell(t, told);
}

/* One task of an entry. What does not apply to it any more is passed over, as in the
 * server. */
static void end_one(struct track *t, struct tracked_job *job, uint32_t worker,
                    uint32_t slot, const struct task_end *e)
{
    enum slot_state state = slot_state(job, slot);
    if (state == SLOT_ENDED ||
        (state == SLOT_RUNNING && slot_instance(job, slot) != e->instance))
        return;
    struct told told = {.time_us = e->start_us,
                        .job = job->id,
                        .worker = worker,
                        .instance = e->instance,
                        .variant = e->variant,
                        .placement = e->placement};
    if (e->started && state == SLOT_WAITING)
        tell_start(t, job, slot, &told);
    told.time_us = e->end_us;
    told.task = tracked_task_id(job, slot);
    told.slot = slot;
    told.tracked = job;
    told.started = e->started;
    told.start_us = e->start_us;
    set_slot(t, job, slot, SLOT_ENDED);
    if (e->state == TASK_FINISHED) {
        told.type = TOLD_TASK_FINISHED;
        tell(t, &told);
    } else if (e->state == TASK_FAILED) {
        tell_failed(t, e, &told);
    } else {
        add_run(t, slot, 1);
        tell_runs(t,
                  e->state == TASK_CANCELED ? TOLD_TASKS_CANCELED : TOLD_TASKS_ABORTED,
                  job, e->end_us);
    }
}

static void on_ended(struct track *t, struct cursor *c)
{
    uint32_t worker = cursor_u32(c), count;
    struct task_end_reader r;
    struct task_end e;
    task_end_reader_init(&r, c);
    while (task_end_read(&r, &e, &count)) {
        struct tracked_job *job = find_job(t, e.job);
        if (!job || e.slot >= job->ids.n || count > job->ids.n - e.slot)
            continue;
        for (uint32_t i = 0; i < count && !t->stop; i++)
            end_one(t, job, worker, e.slot + i, &e);
        job_settled(t, job, e.end_us);
    }
}

static void on_restarted(struct track *t, struct cursor *c)
{
    struct task_restart r;
    while (task_restart_decode(&r, c)) {
        struct tracked_job *job = find_job(t, r.job);
        /* The instance: what a server told from memory may be newer than this. */
        if (job && r.slot < job->ids.n && slot_state(job, r.slot) == SLOT_RUNNING &&
            slot_instance(job, r.slot) < r.instance)
            set_slot(t, job, r.slot, SLOT_WAITING);
    }
}

/* ---- events of servers and workers ----------------------------------------------- */

static void on_server_start(struct track *t, struct cursor *c, uint64_t time_us)
{
    struct told told = {
        .type = TOLD_SERVER_START, .time_us = time_us, .text = cursor_bytes(c)};
    if (!c->failed)
        tell(t, &told);
}

static int on_connected(struct track *t, struct cursor *c, uint64_t time_us,
                        struct error *err)
{
    struct worker_config config;
    struct told told = {.type = TOLD_WORKER_CONNECTED,
                        .time_us = time_us,
                        .worker = cursor_u32(c),
                        .config = &config};
    if (worker_config_decode(&config, c) != 0)
        return error_set(err, ERR_CORRUPT, "malformed description of worker %u",
                         told.worker);
    if (c->p != c->end)
        told.retract_check_ns = cursor_varint(c);
    if (!c->failed)
        tell(t, &told);
    worker_config_release(&config);
    return 0;
}

static void on_lost(struct track *t, struct cursor *c, uint64_t time_us)
{
    struct told told = {
        .type = TOLD_WORKER_LOST, .time_us = time_us, .worker = cursor_u32(c)};
    uint8_t reason = cursor_u8(c);
    if (reason == WORKER_RUNNING || reason >= WORKER_END_COUNT)
        c->failed = true;
    told.end = (enum worker_end)reason;
    if (!c->failed)
        tell(t, &told);
}

static int on_overview(struct track *t, struct cursor *c, uint64_t time_us,
                       struct error *err)
{
    struct hw_state load;
    struct told told = {.type = TOLD_WORKER_OVERVIEW,
                        .time_us = time_us,
                        .worker = cursor_u32(c),
                        .load = &load};
    if (hw_state_decode(&load, c) != 0)
        return error_set(err, ERR_CORRUPT, "malformed overview of worker %u",
                         told.worker);
    tell(t, &told);
    hw_state_release(&load);
    return 0;
}

static int on_placement(struct track *t, struct cursor *c, uint64_t time_us,
                        struct error *err)
{
    struct placement placed;
    struct told told = {.type = TOLD_PLACEMENT,
                        .time_us = time_us,
                        .placement = cursor_u32(c),
                        .placed = &placed};
    if (placement_decode(&placed, cursor_take(c, cursor_left(c))) != 0)
        return error_set(err, ERR_CORRUPT, "malformed placement %u", told.placement);
    tell(t, &told);
    placement_release(&placed);
    return 0;
}

/* ---- events of allocation queues ------------------------------------------------- */

static int on_queue_created(struct track *t, struct cursor *c, uint64_t time_us,
                            struct error *err)
{
    struct alloc_params params;
    struct told told = {.type = TOLD_QUEUE_CREATED,
                        .time_us = time_us,
                        .queue = cursor_u32(c),
                        .params = &params};
    if (alloc_params_decode(&params, c) != 0)
        return error_set(err, ERR_CORRUPT, "malformed parameters of queue %u",
                         told.queue);
    tell(t, &told);
    alloc_params_release(&params);
    return 0;
}

static void on_queue_removed(struct track *t, struct cursor *c, uint64_t time_us)
{
    struct told told = {
        .type = TOLD_QUEUE_REMOVED, .time_us = time_us, .queue = cursor_u32(c)};
    if (!c->failed)
        tell(t, &told);
}

static void on_allocation(struct track *t, struct cursor *c, uint64_t time_us,
                          enum told_type type,
                          bool decode(struct alloc_event *e, struct cursor *c))
{
    struct alloc_event alloc;
    struct told told = {
        .type = type, .time_us = time_us, .queue = cursor_u32(c), .alloc = &alloc};
    if (decode(&alloc, c))
        tell(t, &told);
    else
        c->failed = true;
}

int track_event(struct track *t, struct span event, struct error *err)
{
    struct cursor c = cursor_make(event.p, event.n);
    struct event_head h;
    struct told stop = {.type = TOLD_SERVER_STOP};
    int rc = event_read_head(&c, &h);
    if (rc != 0)
        return error_set(err, rc,
                         event.n ? "event of the unknown type %u" : "empty event",
                         event.n ? event.p[0] : 0u);
    vec_clear(&t->runs);
    switch ((enum event_type)h.type) {
    case EVENT_SERVER_START:
        on_server_start(t, &c, h.time_us);
        break;
    case EVENT_SERVER_STOP:
        stop.time_us = h.time_us;
        tell(t, &stop);
        break;
    case EVENT_WORKER_CONNECTED:
        rc = on_connected(t, &c, h.time_us, err);
        break;
    case EVENT_WORKER_LOST:
        on_lost(t, &c, h.time_us);
        break;
    case EVENT_JOB_SUBMITTED:
        rc = on_submitted(t, &c, h.time_us, err);
        break;
    case EVENT_JOB_OPENED:
        on_opened(t, &c, h.time_us);
        break;
    case EVENT_JOB_CLOSED:
        on_closed(t, &c, h.time_us);
        break;
    case EVENT_JOB_CANCELED:
        on_canceled(t, &c, h.time_us);
        break;
    case EVENT_TASKS_STARTED:
        on_started(t, &c);
        break;
    case EVENT_TASKS_ENDED:
        on_ended(t, &c);
        break;
    case EVENT_TASKS_RESTARTED:
        on_restarted(t, &c);
        break;
    case EVENT_TASKS_CANCELED:
        on_ended_by_server(t, &c, h.time_us, TOLD_TASKS_CANCELED);
        break;
    case EVENT_TASKS_ABORTED:
        on_ended_by_server(t, &c, h.time_us, TOLD_TASKS_ABORTED);
        break;
    case EVENT_WORKER_OVERVIEW:
        rc = on_overview(t, &c, h.time_us, err);
        break;
    case EVENT_PLACEMENT:
        rc = on_placement(t, &c, h.time_us, err);
        break;
    case EVENT_ALLOC_QUEUE_CREATED:
        rc = on_queue_created(t, &c, h.time_us, err);
        break;
    case EVENT_ALLOC_QUEUE_REMOVED:
        on_queue_removed(t, &c, h.time_us);
        break;
    case EVENT_ALLOC_QUEUED:
        on_allocation(t, &c, h.time_us, TOLD_ALLOC_QUEUED, alloc_queued_decode);
        break;
    case EVENT_ALLOC_STARTED:
        on_allocation(t, &c, h.time_us, TOLD_ALLOC_STARTED, alloc_started_decode);
        break;
    case EVENT_ALLOC_ENDED:
        on_allocation(t, &c, h.time_us, TOLD_ALLOC_ENDED, alloc_ended_decode);
        break;
    case EVENT_ALLOC_QUEUE_STATE:
    case EVENT_ALLOC_TRIAL:
    case EVENT_JOB_FORGOTTEN: /* it was completed before */
    case EVENT_LOG_MARK:
    case EVENT_TASKS_SENT:
    case EVENT_TYPE_COUNT:
        break;
    }
    if (t->stop)
        return t->stop == ERR_NOMEM ? error_nomem(err) : t->stop;
    if (rc == 0 && c.failed)
        rc = error_set(err, ERR_CORRUPT, "malformed event of type %u", h.type);
    return rc;
}

/* ---- the tracker ----------------------------------------------------------------- */

struct track *track_create(told_fn *fn, void *arg)
{
    struct track *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->fn = fn;
    t->arg = arg;
    t->past = true;
    buf_init(&t->scratch, BUF_MAX_DEFAULT);
    return t;
}

void track_destroy(struct track *t)
{
    size_t pos = 0;
    uint64_t id, value;
    if (!t)
        return;
    while (u64map_next(&t->jobs, &pos, &id, &value))
        job_destroy((struct tracked_job *)(uintptr_t)value);
    u64map_release(&t->jobs);
    vec_release(&t->completed);
    vec_release(&t->runs);
    buf_release(&t->scratch);
    free(t);
}

/* Completes what was complete in memory. */
static void settle_all(struct track *t)
{
    VEC(struct tracked_job *) jobs = VEC_INIT;
    size_t pos = 0;
    uint64_t id, value;
    while (u64map_next(&t->jobs, &pos, &id, &value))
        if (!vec_push(&jobs, (struct tracked_job *)(uintptr_t)value))
            t->stop = ERR_NOMEM;
    for (size_t i = 0; i < jobs.len; i++)
        if (!jobs.data[i]->open)
            job_settled(t, jobs.data[i], 0);
    vec_release(&jobs);
}

void track_from_memory(struct track *t)
{
    t->from_memory = true;
}

int track_live(struct track *t, struct error *err)
{
    t->past = false;
    if (t->from_memory)
        settle_all(t);
    return t->stop == ERR_NOMEM ? error_nomem(err) : t->stop;
}

void track_notify(struct track *t, uint32_t job, uint32_t task, uint32_t worker,
                  struct span message, uint64_t time_us)
{
    struct told told = {.type = TOLD_TASK_NOTIFY,
                        .time_us = time_us,
                        .job = job,
                        .task = task,
                        .worker = worker,
                        .text = message};
    tell(t, &told);
}

uint64_t track_unknown(const struct track *t)
{
    return t->unknown;
}
