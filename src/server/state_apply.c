/* What each event does to the state. */
#include "server/state.h"

#include <stdlib.h>
#include "base/xmem.h"

#define TOGETHER_US 10000

void task_set_state(struct job *job, struct task_record *r, enum task_state to,
                    uint64_t time_us)
{
    enum task_state from = (enum task_state)r->state;
    HQ_ASSERT(task_transition_legal(from, to));
    r->state = (uint8_t)to;
    job->counts.n[from]--;
    job->counts.n[to]++;
    job->finished_us = job_active(job) ? 0 : time_us;
}

uint32_t tasks_set_state(struct job *job, uint32_t slot, uint32_t count,
                         enum task_state to, uint64_t time_us)
{
    uint32_t changed = 0;
    job_make_chunks(job);
    for (uint32_t end = slot + count; slot < end;) {
        struct record_chunk *chunk = &job->chunks[slot / CHUNK_SLOTS];
        uint32_t offset = slot % CHUNK_SLOTS;
        /* A whole chunk of tasks that never started needs no records. */
        if (!chunk->records && offset == 0 && end - slot >= CHUNK_SLOTS) {
            if (!task_state_terminal((enum task_state)chunk->state)) {
                job->counts.n[chunk->state] -= CHUNK_SLOTS;
                job->counts.n[to] += CHUNK_SLOTS;
                chunk->state = (uint8_t)to;
                changed += CHUNK_SLOTS;
            }
            slot += CHUNK_SLOTS;
            continue;
        }
        if (!task_state_terminal(job_task_state(job, slot))) {
            struct task_record *r = job_record_make(job, slot);
            if (r->state == TASK_RUNNING)
                record_time_set(r->end, time_us);
            task_set_state(job, r, to, time_us);
            changed++;
        }
        slot++;
    }
    if (!job_active(job) && changed)
        job->finished_us = time_us;
    return changed;
}

uint32_t state_abort(struct state *s, struct job *job, uint32_t slot, uint32_t count,
                     uint64_t time_us)
{
    uint32_t changed = tasks_set_state(job, slot, count, TASK_ABORTED, time_us);
    if (changed)
        s->hooks.aborted(s->hooks.arg, job, slot, count, time_us);
    return changed;
}

static void message_set(struct job *job, uint32_t slot, struct task_record *r,
                        struct span text)
{
    uint64_t old;
    if (u64map_get(&job->messages, slot, &old))
        free((void *)(uintptr_t)old);
    char *copy = xstrndup((const char *)text.p, text.n);
    if (u64map_set(&job->messages, slot, (uint64_t)(uintptr_t)copy) != 0)
        abort();
    r->flags |= RECORD_MESSAGE;
}

static void gang_set(struct job *job, uint32_t slot, struct task_record *r,
                     const struct task_start *st)
{
    uint64_t old;
    if (u64map_get(&job->gangs, slot, &old))
        free((void *)(uintptr_t)old);
    struct gang_nodes *nodes =
        xmalloc(sizeof *nodes + st->n_nodes * sizeof *nodes->ids);
    nodes->n = st->n_nodes;
    memcpy(nodes->ids, st->nodes, st->n_nodes * sizeof *nodes->ids);
    for (uint32_t i = 0; i < nodes->n; i++)
        if (u64map_set(&job->workers, nodes->ids[i], 0) != 0)
            abort();
    if (u64map_set(&job->gangs, slot, (uint64_t)(uintptr_t)nodes) != 0)
        abort();
    r->flags |= RECORD_GANG;
}

/* ---- jobs ------------------------------------------------------------------------ */

static struct job *job_create(struct state *s, uint32_t id, const char *name,
                              int64_t max_fails, const char *submit_dir,
                              uint64_t time_us)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->id = id;
    job->name = xstrdup(name);
    job->submit_dir = xstrdup(submit_dir);
    job->max_fails = max_fails;
    job->submitted_us = job->finished_us = time_us;
    if (u64map_set(&s->jobs, id, (uint64_t)(uintptr_t)job) != 0)
        abort();
    s->last_job = MAX(s->last_job, id);
    return job;
}

#define GROW(array, n, cap, more)                                 \
    do {                                                          \
        if ((n) + (more) > (cap)) {                               \
            (cap) = MAX((n) + (more), (cap)*2);                   \
            (array) = xrealloc((array), (cap) * sizeof *(array)); \
        }                                                         \
    } while (0)

static int by_first_id(const void *a, const void *b)
{
    const struct id_range *x = a, *y = b;
    return (x->first_id > y->first_id) - (x->first_id < y->first_id);
}

/* Ids of one group; ranges that continue the last one extend it. Returns whether the
 * table has to be sorted. */
static bool add_ids(struct job *job, const struct idset *ids, uint32_t slot)
{
    bool unsorted = false;
    for (size_t i = 0; i < ids->n_ranges; i++) {
        const struct idrange *r = &ids->ranges[i];
        struct id_range *last = job->n_ids ? &job->ids[job->n_ids - 1] : NULL;
        if (last && last->step == 1 && r->step == 1 &&
            r->first == last->first_id + last->count &&
            slot == last->first_slot + last->count) {
            last->count += r->count;
        } else {
            if (last && r->first < last->first_id)
                unsorted = true;
            GROW(job->ids, job->n_ids, job->cap_ids, 1);
            job->ids[job->n_ids++] =
                (struct id_range){r->first, r->count, r->step, slot};
        }
        slot += r->count;
    }
    return unsorted;
}

static void add_groups(struct state *s, struct job *job, struct job_submit *sub)
{
    size_t n = sub->spec.n_groups;
    bool unsorted = false;
    GROW(job->groups, job->n_groups, job->cap_groups, n);
    /* Groups mostly share bodies, and a body decides the class. */
    uint32_t *classes = xmalloc((sub->spec.n_bodies + 1) * sizeof *classes);
    for (size_t b = 0; b < sub->spec.n_bodies; b++)
        classes[b] = sched_class(s->sched, &sub->spec.bodies[b].request,
                                 sub->spec.bodies[b].time_limit_ns / 1000);
    for (size_t i = 0; i < n; i++) {
        const struct task_group *g = &sub->spec.groups[i];
        struct idset ids = IDSET_INIT;
        if (group_ids(&sub->spec, g, &ids) != 0)
            abort();
        unsorted |= add_ids(job, &ids, job->n_slots);
        idset_release(&ids);
        job->groups[job->n_groups++] = (struct job_group){
            .first_slot = job->n_slots,
            .count = g->count,
            .submit = (uint32_t)(sub - job->submits),
            .class_id = classes[g->body],
            .unfinished = g->count,
            .edges = NO_EDGE,
        };
        job->n_slots += g->count;
        job->counts.n[TASK_WAITING] += g->count;
    }
    free(classes);
    if (unsorted)
        qsort(job->ids, job->n_ids, sizeof *job->ids, by_first_id);
}

struct job *state_apply_submit(struct state *s, uint32_t id, struct submit *spec,
                               uint64_t time_us)
{
    struct job *job = state_job(s, id);
    if (!job)
        job = job_create(s, id, spec->name ? spec->name : "", spec->max_fails,
                         spec->submit_dir, time_us);
    GROW(job->submits, job->n_submits, job->cap_submits, 1);
    struct job_submit *sub = &job->submits[job->n_submits++];
    *sub = (struct job_submit){.spec = *spec,
                               .first_group = (uint32_t)job->n_groups,
                               .first_slot = job->n_slots,
                               .time_us = time_us};
    submit_init(spec);
    add_groups(s, job, sub);
    if (job_active(job))
        job->finished_us = 0;
    graph_add_submit(s, job, sub);
    if (!job_active(job))
        s->hooks.idle(s->hooks.arg, job);
    return job;
}

struct job *state_apply_open(struct state *s, uint32_t id, const char *name,
                             int64_t max_fails, const char *submit_dir,
                             uint64_t time_us)
{
    struct job *job = job_create(s, id, name, max_fails, submit_dir, time_us);
    job->open = true;
    return job;
}

void state_apply_close(struct state *s, uint32_t id, uint64_t time_us)
{
    struct job *job = state_job(s, id);
    if (!job || !job->open)
        return;
    job->open = false;
    if (!job_active(job)) {
        job->finished_us = time_us;
        s->hooks.idle(s->hooks.arg, job);
    }
}

void state_apply_cancel(struct state *s, uint32_t id, const char *reason,
                        uint64_t time_us, uint32_t *cancelled, uint32_t *ended_before)
{
    struct job *job = state_job(s, id);
    *cancelled = *ended_before = 0;
    if (!job)
        return;
    *cancelled = tasks_set_state(job, 0, job->n_slots, TASK_CANCELED, time_us);
    *ended_before = job->n_slots - *cancelled;
    if (*cancelled == 0)
        return;
    free(job->cancel_reason);
    job->cancel_reason = reason ? xstrdup(reason) : NULL;
    s->hooks.stopped(s->hooks.arg, job);
    s->hooks.idle(s->hooks.arg, job);
}

/* ---- workers --------------------------------------------------------------------- */

void state_apply_worker(struct state *s, uint32_t id, struct worker_config *config,
                        uint64_t time_us)
{
    if (id > s->n_workers) {
        s->workers = xrealloc(s->workers, id * sizeof *s->workers);
        memset(s->workers + s->n_workers, 0, (id - s->n_workers) * sizeof *s->workers);
        s->n_workers = id;
    }
    struct worker *w = s->workers[id - 1];
    if (w)
        worker_config_release(&w->config);
    else
        w = s->workers[id - 1] = xcalloc(1, sizeof *w);
    w->id = id;
    w->started_us = time_us;
    w->end = WORKER_RUNNING;
    w->config = *config;
    worker_config_init(config);
}

void state_apply_worker_lost(struct state *s, uint32_t id, enum worker_end reason,
                             uint64_t time_us)
{
    struct worker *w = state_worker(s, id);
    if (!w || w->end != WORKER_RUNNING)
        return;
    w->end = (uint8_t)reason;
    w->ended_us = time_us;
}

/* Starts of one round happen and arrive in the order in which the spawners get to them;
 * of those at about the same time the one that stood last in the queue counts. */
static void worker_note_start(struct worker *w, struct job *job, uint32_t slot,
                              uint64_t start_us)
{
    if (!w || start_us + TOGETHER_US < w->last_us)
        return;
    uint32_t task = job_task_id(job, slot);
    bool together = w->any_started && start_us < w->last_us + TOGETHER_US;
    if (together &&
        (job->id < w->last_job || (job->id == w->last_job && task < w->last_task)))
        return;
    w->any_started = true;
    w->last_job = job->id;
    w->last_task = task;
    w->last_us = start_us;
}

/* ---- tasks ----------------------------------------------------------------------- */

/*
 * Whether a report of this instance still counts. A task that waits again after its
 * worker was lost may be reported by that worker when it comes back; the caller makes
 * sure that it was not started anew meanwhile.
 */
static bool instance_counts(const struct task_record *r, uint32_t instance)
{
    return r->state == TASK_RUNNING
               ? instance == r->instance
               : r->state == TASK_WAITING && instance <= r->instance;
}

bool state_apply_start(struct state *s, uint32_t worker, const struct task_start *st)
{
    struct job *job = state_job(s, st->job);
    if (!job || st->slot >= job->n_slots ||
        job_task_state(job, st->slot) != TASK_WAITING)
        return false;
    struct task_record *r = job_record_make(job, st->slot);
    if (!instance_counts(r, st->instance))
        return false;
    r->worker = worker;
    r->instance = st->instance;
    r->variant = st->variant;
    record_time_set(r->start, st->start_us);
    job_set_placement(job, st->slot, st->placement);
    if (st->n_nodes)
        gang_set(job, st->slot, r, st);
    if (u64map_set(&job->workers, worker, 0) != 0)
        abort();
    task_set_state(job, r, TASK_RUNNING, st->start_us);
    worker_note_start(state_worker(s, worker), job, st->slot, st->start_us);
    for (uint32_t i = 0; i < st->n_nodes; i++)
        worker_note_start(state_worker(s, st->nodes[i]), job, st->slot, st->start_us);
    return true;
}

static void fill_record(struct job *job, uint32_t slot, struct task_record *r,
                        uint32_t worker, const struct task_end *e)
{
    r->instance = e->instance;
    r->variant = e->variant;
    r->failure = e->failure;
    r->exit = e->exit;
    if (e->started) {
        if (r->state == TASK_WAITING)
            r->worker = worker;
        record_time_set(r->start, e->start_us);
        job_set_placement(job, slot, e->placement);
    } else {
        r->worker = 0;
        job_set_placement(job, slot, 0);
        memset(r->start, 0, sizeof r->start);
    }
    record_time_set(r->end, e->end_us);
    r->user_ms = e->user_ms;
    r->system_ms = e->system_ms;
    r->max_rss_kib = e->max_rss_kib;
    if (e->failure == FAILURE_MESSAGE)
        message_set(job, slot, r, e->message);
}

static void enforce_max_fails(struct state *s, struct job *job, uint64_t time_us)
{
    if (job->max_fails < 0 || job->counts.n[TASK_FAILED] <= job->max_fails)
        return;
    if (state_abort(s, job, 0, job->n_slots, time_us))
        s->hooks.stopped(s->hooks.arg, job);
}

/* Ends of [slot, slot + count), all in one group. */
static uint32_t end_in_group(struct state *s, struct job *job, uint32_t worker,
                             const struct task_end *e, uint32_t slot, uint32_t count)
{
    uint32_t applied = 0, run_start = slot, run = 0;
    bool finished = e->state == TASK_FINISHED;
    for (uint32_t i = slot; i < slot + count; i++) {
        struct task_record *r = task_state_terminal(job_task_state(job, i))
                                    ? NULL
                                    : job_record_make(job, i);
        if (!r || !instance_counts(r, e->instance)) {
            if (run)
                graph_task_finished(s, job, run_start, run);
            run = 0;
            continue;
        }
        fill_record(job, i, r, worker, e);
        task_set_state(job, r, (enum task_state)e->state, e->end_us);
        applied++;
        if (finished) {
            run_start = run ? run_start : i;
            run++;
        } else {
            graph_task_failed(s, job, i, e->end_us);
            if (e->state == TASK_FAILED)
                enforce_max_fails(s, job, e->end_us);
        }
    }
    if (run)
        graph_task_finished(s, job, run_start, run);
    return applied;
}

uint32_t state_apply_end(struct state *s, uint32_t worker, const struct task_end *e,
                         uint32_t count)
{
    struct job *job = state_job(s, e->job);
    if (!job || e->slot >= job->n_slots || count > job->n_slots - e->slot)
        return 0;
    uint32_t applied = 0;
    for (uint32_t slot = e->slot, left = count; left;) {
        const struct job_group *g = job_group_of(job, slot);
        uint32_t part = MIN(left, g->first_slot + g->count - slot);
        applied += end_in_group(s, job, worker, e, slot, part);
        slot += part;
        left -= part;
    }
    if (applied == 0)
        return 0;
    if (e->started && worker) {
        if (u64map_set(&job->workers, worker, 0) != 0)
            abort();
        worker_note_start(state_worker(s, worker), job, e->slot + count - 1,
                          e->start_us);
    }
    if (!job_active(job))
        s->hooks.idle(s->hooks.arg, job);
    return applied;
}

void state_apply_sent(struct state *s, const struct task_sent *sent)
{
    struct job *job = state_job(s, sent->job);
    if (!job || sent->slot >= job->n_slots || sent->count > job->n_slots - sent->slot ||
        sent->instance == UINT32_MAX)
        return;
    for (uint32_t slot = sent->slot; slot < sent->slot + sent->count; slot++) {
        if (job_task_state(job, slot) != TASK_WAITING)
            continue;
        struct task_record *r = job_record_make(job, slot);
        r->instance = MAX(r->instance, sent->instance + 1);
    }
}

bool state_apply_restart(struct state *s, const struct task_restart *t)
{
    struct job *job = state_job(s, t->job);
    if (!job || t->slot >= job->n_slots ||
        task_state_terminal(job_task_state(job, t->slot)))
        return false;
    struct task_record *r = job_record_make(job, t->slot);
    if (r->state == TASK_RUNNING)
        task_set_state(job, r, TASK_WAITING, 0);
    r->instance = t->instance;
    r->crashes = t->crashes;
    r->worker = 0;
    r->variant = TASK_VARIANT_NONE;
    job_set_placement(job, t->slot, 0);
    memset(r->start, 0, sizeof r->start);
    return true;
}
