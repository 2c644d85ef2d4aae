/* Look-ups and life of jobs and workers; changes are in state_apply.c and graph.c. */
#include "server/state.h"

#include <stdlib.h>
#include "base/xmem.h"

void state_init(struct state *s, struct sched *sched, const struct state_hooks *hooks)
{
    *s = (struct state){.sched = sched, .hooks = *hooks};
}

static void job_destroy(struct job *job)
{
    for (size_t i = 0; i < job->n_submits; i++)
        submit_release(&job->submits[i].spec);
    for (size_t i = 0; i < job->n_chunks; i++) {
        free(job->chunks[i].records);
        free(job->chunks[i].placements);
    }
    size_t pos = 0;
    uint64_t key, value;
    while (u64map_next(&job->messages, &pos, &key, &value))
        free((void *)(uintptr_t)value);
    pos = 0;
    while (u64map_next(&job->gangs, &pos, &key, &value))
        free((void *)(uintptr_t)value);
    u64map_release(&job->messages);
    u64map_release(&job->gangs);
    u64map_release(&job->workers);
    free(job->name);
    free(job->submit_dir);
    free(job->cancel_reason);
    free(job->submits);
    free(job->groups);
    free(job->edges);
    free(job->ids);
    free(job->chunks);
    free(job);
}

void state_release(struct state *s)
{
    state_release_placements(s);
    size_t pos = 0;
    uint64_t key, value;
    while (u64map_next(&s->jobs, &pos, &key, &value))
        job_destroy((struct job *)(uintptr_t)value);
    u64map_release(&s->jobs);
    for (uint32_t i = 0; i < s->n_workers; i++) {
        if (!s->workers[i])
            continue;
        worker_config_release(&s->workers[i]->config);
        free(s->workers[i]);
    }
    free(s->workers);
    *s = (struct state){0};
}

struct job *state_job(const struct state *s, uint32_t id)
{
    uint64_t value;
    return u64map_get(&s->jobs, id, &value) ? (struct job *)(uintptr_t)value : NULL;
}

uint64_t worker_token_key(const struct worker_config *c)
{
    return get_u64(c->token) & ~1ULL;
}

struct worker *state_worker(const struct state *s, uint32_t id)
{
    return id >= 1 && id <= s->n_workers ? s->workers[id - 1] : NULL;
}

void state_apply_forget(struct state *s, uint32_t id)
{
    struct job *job = state_job(s, id);
    if (!job)
        return;
    (void)u64map_remove(&s->jobs, id);
    job_destroy(job);
}

bool job_active(const struct job *job)
{
    return job->counts.n[TASK_WAITING] || job->counts.n[TASK_RUNNING];
}

bool job_completed(const struct job *job)
{
    return !job->open && !job_active(job);
}

enum job_state job_state(const struct job *job)
{
    return job_state_of(&job->counts, job->open);
}

struct job_group *job_group_of(struct job *job, uint32_t slot)
{
    size_t g = job->last_group;
    if (g < job->n_groups && slot >= job->groups[g].first_slot &&
        slot - job->groups[g].first_slot < job->groups[g].count)
        return &job->groups[g];
    size_t lo = 0, hi = job->n_groups;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (job->groups[mid].first_slot <= slot)
            lo = mid;
        else
            hi = mid;
    }
    /* Groups without tasks share their first slot with the next one; the last of them
     * is found, which has tasks. */
    job->last_group = lo;
    return &job->groups[lo];
}

const struct job_submit *job_submit_of(const struct job *job, const struct job_group *g)
{
    return &job->submits[g->submit];
}

const struct task_group *job_group_spec(const struct job *job,
                                        const struct job_group *g)
{
    const struct job_submit *sub = &job->submits[g->submit];
    return &sub->spec.groups[(size_t)(g - job->groups) - sub->first_group];
}

const struct task_body *job_body_of(const struct job *job, const struct job_group *g)
{
    return &job->submits[g->submit].spec.bodies[job_group_spec(job, g)->body];
}

uint32_t job_task_id(struct job *job, uint32_t slot)
{
    struct job_group *g = job_group_of(job, slot);
    return group_id_at(&job->submits[g->submit].spec, job_group_spec(job, g),
                       slot - g->first_slot);
}

bool job_slot_of(const struct job *job, uint32_t id, uint32_t *slot)
{
    size_t lo = 0, hi = job->n_ids;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (job->ids[mid].first_id <= id)
            lo = mid + 1;
        else
            hi = mid;
    }
    /* Ranges with steps may interleave: walk back until one holds the id. */
    while (lo-- > 0) {
        const struct id_range *r = &job->ids[lo];
        uint32_t d = id - r->first_id;
        if (d % r->step == 0 && d / r->step < r->count) {
            *slot = r->first_slot + d / r->step;
            return true;
        }
        if (r->step == 1 && lo > 0 && job->ids[lo - 1].step == 1)
            break;
    }
    return false;
}

uint32_t job_next_id(const struct job *job)
{
    uint32_t next = 0;
    for (size_t i = 0; i < job->n_ids; i++) {
        const struct id_range *r = &job->ids[i];
        next = MAX(next, r->first_id + (r->count - 1) * r->step + 1);
    }
    return next;
}

struct task_record *job_record(const struct job *job, uint32_t slot)
{
    size_t c = slot / CHUNK_SLOTS;
    if (c >= job->n_chunks || slot % CHUNK_SLOTS >= job->chunks[c].cap)
        return NULL;
    return &job->chunks[c].records[slot % CHUNK_SLOTS];
}

void job_make_chunks(struct job *job)
{
    /* The largest jobs end near the last number there is. */
    size_t n = ((size_t)job->n_slots + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
    if (n <= job->n_chunks)
        return;
    job->chunks = xrealloc(job->chunks, n * sizeof *job->chunks);
    memset(job->chunks + job->n_chunks, 0, (n - job->n_chunks) * sizeof *job->chunks);
    job->n_chunks = n;
}

struct task_record *job_record_make(struct job *job, uint32_t slot)
{
    struct task_record *r = job_record(job, slot);
    if (r)
        return r;
    size_t c = slot / CHUNK_SLOTS;
    job_make_chunks(job);
    /* The last chunk holds just the tasks there are; an open job may enlarge it. */
    struct record_chunk *chunk = &job->chunks[c];
    uint32_t cap = MIN(CHUNK_SLOTS, job->n_slots - (uint32_t)c * CHUNK_SLOTS);
    chunk->records = xrealloc(chunk->records, cap * sizeof *chunk->records);
    memset(chunk->records + chunk->cap, 0, (cap - chunk->cap) * sizeof *chunk->records);
    if (chunk->placements) {
        chunk->placements =
            xrealloc(chunk->placements, cap * sizeof *chunk->placements);
        memset(chunk->placements + chunk->cap, 0,
               (cap - chunk->cap) * sizeof *chunk->placements);
    }
    for (uint32_t i = chunk->cap; i < cap; i++) {
        chunk->records[i].variant = TASK_VARIANT_NONE;
        chunk->records[i].state = chunk->state;
    }
    chunk->cap = cap;
    return &chunk->records[slot % CHUNK_SLOTS];
}

enum task_state job_task_state(const struct job *job, uint32_t slot)
{
    size_t c = slot / CHUNK_SLOTS;
    if (c >= job->n_chunks)
        return TASK_WAITING;
    const struct task_record *r = job_record(job, slot);
    return (enum task_state)(r ? r->state : job->chunks[c].state);
}

uint32_t job_next_recorded(const struct job *job, uint32_t slot)
{
    while (slot < job->n_slots) {
        size_t c = slot / CHUNK_SLOTS;
        if (c >= job->n_chunks)
            return job->n_slots;
        if (slot % CHUNK_SLOTS < job->chunks[c].cap)
            return slot;
        slot = (uint32_t)MIN((c + 1) * CHUNK_SLOTS, (size_t)job->n_slots);
    }
    return job->n_slots;
}

const char *job_message(const struct job *job, uint32_t slot)
{
    uint64_t value;
    return u64map_get(&job->messages, slot, &value) ? (const char *)(uintptr_t)value
                                                    : NULL;
}

const struct gang_nodes *job_gang(const struct job *job, uint32_t slot)
{
    uint64_t value;
    return u64map_get(&job->gangs, slot, &value)
               ? (const struct gang_nodes *)(uintptr_t)value
               : NULL;
}
