#include "server/history.h"

#include <stdlib.h>
#include "base/text.h"
#include "base/xmem.h"

#define STEP_BYTES ((size_t)64 << 10)
#define COMMAND_BYTES ((size_t)2048) /* of the words of a command */
#define STEP_JOBS                                                      \
    4096u /* ids looked at in one step, most of which may be forgotten \
           */

void history_begin(struct history *h, struct server *s)
{
    *h = (struct history){.begun_us = server_now_us(s),
                          .n_workers = s->state.n_workers,
                          .last_job = s->state.last_job,
                          .placement = 1,
                          .n_placements = state_next_placement(&s->state) - 1,
                          .worker = 1,
                          .lost = 1,
                          .job = 1};
}

void history_release(struct history *h)
{
    u64map_release(&h->submits);
}

void history_before_submit(struct history *h, const struct job *job)
{
    uint64_t known;
    bool told = job->id < h->job || (job->id == h->job && h->job_told);
    if (job->id > h->last_job || told || u64map_get(&h->submits, job->id, &known))
        return;
    if (u64map_set(&h->submits, job->id, job->n_submits) != 0)
        abort();
}

static void put(struct buf *events, struct buf *event)
{
    buf_bytes(events, event->data, event->len);
    buf_release(event);
}

static struct buf begin(enum event_type type, uint64_t time_us)
{
    struct buf b = BUF_INIT(JOURNAL_RECORD_MAX);
    event_begin(&b, type, time_us);
    return b;
}

/* ---- submits --------------------------------------------------------------------- */

/* A group keeps its ids; its arguments are those of the first one. */
static void add_group(struct submit *to, const struct submit *from,
                      const struct task_group *g, uint32_t argv)
{
    struct task_group copy = {
        .first_id = g->first_id, .count = g->count, .body = g->body, .argv = argv};
    if (g->extra && from->extras[g->extra - 1].ids.n_ranges) {
        struct group_extra ids;
        group_extra_init(&ids);
        if (idset_copy(&ids.ids, &from->extras[g->extra - 1].ids) != 0)
            abort();
        copy.extra = submit_add_extra(to, &ids) + 1;
    }
    if (submit_add_group(to, &copy) == UINT32_MAX)
        abort();
}

static void add_body(struct submit *to, const struct task_body *from)
{
    struct task_body body;
    task_body_init(&body);
    if (to->n_bodies == 0 && from->cwd) /* that of a job is the one of its first body */
        body.cwd = xstrdup(from->cwd);
    body.pin = from->pin;
    body.priority = from->priority;
    body.crash_limit = from->crash_limit;
    body.time_limit_ns = from->time_limit_ns;
    body.stream_kind = from->stream_kind;
    body.stream = from->stream ? xstrdup(from->stream) : NULL;
    if (request_copy(&body.request, &from->request) != 0 ||
        submit_add_body(to, &body) == UINT32_MAX)
        abort();
}

/* The command of the first group, cut to what is shown of one. */
static uint32_t add_command(struct submit *to, const struct submit *from)
{
    size_t n = 0, kept = 0, left = COMMAND_BYTES;
    char **words = from->n_groups ? submit_argv(from, from->groups[0].argv, &n) : NULL;
    char *last = NULL;
    const char **short_words = xcalloc(n + 1, sizeof *short_words);
    short_words[0] = "";
    for (; kept < n && left; kept++) {
        size_t length = strlen(words[kept]);
        short_words[kept] = words[kept];
        if (length > left) {
            last = xstrndup(words[kept], text_cut(words[kept], left));
            short_words[kept] = last;
            length = left;
        }
        left -= length;
    }
    uint32_t argv = submit_add_argv(to, short_words, MAX(kept, 1u));
    free(short_words);
    free(last);
    free(words);
    return argv;
}

void history_put_submit(const struct submit *s, struct buf *out)
{
    struct submit slim;
    submit_init(&slim);
    slim.job = s->job;
    slim.name = s->name ? xstrdup(s->name) : NULL;
    slim.max_fails = s->max_fails;
    slim.submit_dir = xstrdup(s->submit_dir);
    slim.graph = s->graph;
    for (size_t i = 0; i < s->n_bodies; i++)
        add_body(&slim, &s->bodies[i]);
    uint32_t argv = add_command(&slim, s);
    for (size_t i = 0; i < s->n_groups; i++)
        add_group(&slim, s, &s->groups[i], argv);
    submit_encode(&slim, out);
    submit_release(&slim);
}

/* ---- tasks ----------------------------------------------------------------------- */

/* Events of tasks, gathered while neighbours have the same head. */
struct gathering {
    struct buf *events;
    struct buf event; /* the one in the making */
    enum event_type type;
    uint32_t worker;
    uint64_t time_us;
    struct task_end_writer ends;
};

static void gather_finish(struct gathering *g)
{
    if (g->event.len == 0)
        return;
    if (g->type == EVENT_TASKS_ENDED)
        task_end_writer_finish(&g->ends);
    put(g->events, &g->event);
    buf_init(&g->event, JOURNAL_RECORD_MAX);
}

/* `key`: a worker, or the job of tasks that were ended by the server. */
static void gather(struct gathering *g, enum event_type type, uint32_t key,
                   uint64_t time_us)
{
    if (g->event.len && g->type == type && g->worker == key && g->time_us == time_us)
        return;
    gather_finish(g);
    g->type = type;
    g->worker = key;
    g->time_us = time_us;
    event_begin(&g->event, type, time_us);
    buf_u32(&g->event, key);
    if (type == EVENT_TASKS_ENDED)
        task_end_writer_init(&g->ends, &g->event);
}

static void gather_start(struct gathering *g, const struct job *job, uint32_t slot,
                         const struct task_record *r)
{
    const struct gang_nodes *nodes = job_gang(job, slot);
    struct task_start st = {.job = job->id,
                            .slot = slot,
                            .instance = r->instance,
                            .variant = r->variant,
                            .start_us = record_time_get(r->start),
                            .placement = job_placement(job, slot),
                            .n_nodes = nodes ? nodes->n : 0,
                            .nodes = nodes ? nodes->ids : NULL};
    gather(g, EVENT_TASKS_STARTED, r->worker, 0);
    task_start_encode(&st, &g->event);
}

static void gather_end(struct gathering *g, const struct job *job, uint32_t slot,
                       const struct task_record *r)
{
    const char *message = job_message(job, slot);
    bool started = record_time_get(r->start) != 0;
    struct task_end e = {.job = job->id,
                         .slot = slot,
                         .instance = r->instance,
                         .state = r->state,
                         .variant = r->variant,
                         .failure = r->failure,
                         .started = started,
                         .exit = r->exit,
                         .start_us = started ? record_time_get(r->start) : 0,
                         .end_us = record_time_get(r->end)};
    if (r->failure == FAILURE_MESSAGE && message)
        e.message = span_str(message);
    gather(g, EVENT_TASKS_ENDED, r->worker, 0);
    task_end_write(&g->ends, &e);
}

static void gather_stopped(struct gathering *g, const struct job *job, uint32_t slot,
                           uint32_t count, enum task_state state, uint64_t time_us)
{
    gather(g, state == TASK_CANCELED ? EVENT_TASKS_CANCELED : EVENT_TASKS_ABORTED,
           job->id, time_us);
    buf_varint(&g->event, slot);
    buf_varint(&g->event, count);
}

static void gather_task(struct gathering *g, const struct job *job, uint32_t slot,
                        uint64_t stopped_us)
{
    const struct task_record *r = job_record(job, slot);
    uint64_t end_us = record_time_get(r->end);
    bool started = record_time_get(r->start) != 0;
    switch ((enum task_state)r->state) {
    case TASK_RUNNING:
        gather_start(g, job, slot, r);
        break;
    case TASK_FINISHED:
    case TASK_FAILED:
        if (job_gang(job, slot))
            gather_start(g, job, slot, r);
        gather_end(g, job, slot, r);
        break;
    case TASK_CANCELED:
    case TASK_ABORTED:
        if (started)
            gather_start(g, job, slot, r);
        gather_stopped(g, job, slot, 1, (enum task_state)r->state,
                       end_us ? end_us : stopped_us);
        break;
    case TASK_WAITING:
    case TASK_STATE_COUNT:
        break;
    }
}

/* Tasks from `slot` on, up to the end of their chunk; where to go on. */
static uint32_t gather_chunk(struct gathering *g, const struct job *job, uint32_t slot,
                             uint32_t end)
{
    size_t at = slot / CHUNK_SLOTS;
    const struct record_chunk *chunk = at < job->n_chunks ? &job->chunks[at] : NULL;
    uint32_t stop = MIN(end, (slot / CHUNK_SLOTS + 1) * CHUNK_SLOTS);
    /* When tasks that never ran were stopped is not kept one by one. */
    uint64_t stopped_us = job->finished_us ? job->finished_us : job->submitted_us;
    if (!chunk)
        return end;
    if (!chunk->records) {
        if (task_state_terminal((enum task_state)chunk->state))
            gather_stopped(g, job, slot, stop - slot, (enum task_state)chunk->state,
                           stopped_us);
        return stop;
    }
    for (; slot < stop && g->events->len + g->event.len < STEP_BYTES; slot++)
        if (job_record(job, slot))
            gather_task(g, job, slot, stopped_us);
    return slot;
}

/* ---- jobs ------------------------------------------------------------------------ */

static size_t submits_of(const struct history *h, const struct job *job)
{
    uint64_t n;
    return u64map_get(&h->submits, job->id, &n) ? (size_t)n : job->n_submits;
}

static void put_job(const struct job *job, struct buf *events)
{
    struct buf b = begin(EVENT_JOB_OPENED, job->submitted_us);
    buf_u32(&b, job->id);
    buf_str(&b, job->name);
    buf_zigzag(&b, job->max_fails);
    buf_str(&b, job->submit_dir);
    put(events, &b);
    if (job->open)
        return;
    b = begin(EVENT_JOB_CLOSED, job->submitted_us);
    buf_u32(&b, job->id);
    put(events, &b);
}

static void put_submit(const struct job *job, const struct job_submit *sub,
                       struct buf *events)
{
    struct buf b = begin(EVENT_JOB_SUBMITTED, sub->time_us);
    buf_u32(&b, job->id);
    history_put_submit(&sub->spec, &b);
    put(events, &b);
}

/* Some of the job at hand; false: it is told. All submits come in one step with its
 * head, so that those that arrive later are known to be live. */
static bool job_step(struct history *h, struct job *job, struct buf *events)
{
    size_t n_submits = submits_of(h, job);
    if (!h->job_told) {
        put_job(job, events);
        for (size_t i = 0; i < n_submits; i++)
            put_submit(job, &job->submits[i], events);
        h->submit = n_submits;
        h->job_told = true;
        h->slot = 0;
    }
    uint32_t end =
        h->submit < job->n_submits ? job->submits[h->submit].first_slot : job->n_slots;
    struct gathering g = {.events = events};
    buf_init(&g.event, JOURNAL_RECORD_MAX);
    while (h->slot < end && events->len + g.event.len < STEP_BYTES)
        h->slot = gather_chunk(&g, job, h->slot, end);
    gather_finish(&g);
    return h->slot < end;
}

static bool jobs_step(struct history *h, struct server *s, struct buf *events)
{
    for (uint32_t looked = 0; looked < STEP_JOBS && events->len < STEP_BYTES;
         looked++) {
        if (h->job > h->last_job)
            return false;
        struct job *job = state_job(&s->state, h->job);
        if (job && job_step(h, job, events))
            continue;
        h->job++;
        h->job_told = false;
    }
    return true;
}

/* ---- workers --------------------------------------------------------------------- */

static bool workers_step(struct history *h, struct server *s, struct buf *events)
{
    for (; h->worker <= h->n_workers; h->worker++) {
        const struct worker *w = state_worker(&s->state, h->worker);
        if (events->len >= STEP_BYTES)
            return true;
        if (!w)
            continue;
        struct buf b = begin(EVENT_WORKER_CONNECTED, w->started_us);
        buf_u32(&b, w->id);
        worker_config_encode(&w->config, &b);
        buf_varint(&b, w->retract_check_ns);
        put(events, &b);
    }
    return false;
}

/* Those that went before it all began. */
static bool lost_step(struct history *h, struct server *s, struct buf *events)
{
    for (; h->lost <= h->n_workers; h->lost++) {
        const struct worker *w = state_worker(&s->state, h->lost);
        if (events->len >= STEP_BYTES)
            return true;
        if (!w || w->end == WORKER_RUNNING || w->ended_us > h->begun_us)
            continue;
        struct buf b = begin(EVENT_WORKER_LOST, w->ended_us);
        buf_u32(&b, w->id);
        buf_u8(&b, w->end);
        put(events, &b);
    }
    return false;
}

/* Where tasks ran: before the jobs, whose tasks refer to them. */
static bool placements_step(struct history *h, struct server *s, struct buf *events)
{
    for (; h->placement <= h->n_placements; h->placement++) {
        struct span bytes = state_placement(&s->state, h->placement);
        if (events->len >= STEP_BYTES)
            return true;
        struct buf b = begin(EVENT_PLACEMENT, h->begun_us);
        buf_u32(&b, h->placement);
        buf_append(&b, bytes.p, bytes.n);
        put(events, &b);
    }
    return false;
}

bool history_step(struct history *h, struct server *s, struct buf *events)
{
    if (!h->server_told) {
        struct buf b = begin(EVENT_SERVER_START, s->started_us);
        buf_str(&b, s->uid);
        buf_str(&b, HQ_VERSION);
        put(events, &b);
        h->server_told = true;
    }
    return workers_step(h, s, events) || lost_step(h, s, events) ||
           placements_step(h, s, events) || jobs_step(h, s, events);
}
