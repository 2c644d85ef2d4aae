/* hq task explain: what each worker offers, and what holds the task back. */
#include "server/internal.h"

#include "base/clock.h"

#define NEEDS_SHOWN 16

/* Total amount of a resource that the worker offers to the request. */
static uint64_t offered(const struct worker *w, const struct request_variant *v,
                        const char *name)
{
    const struct pool *p = request_variant_any_gpus(v)
                               ? pool_set_serving(&w->config.pools, name)
                               : pool_set_find(&w->config.pools, name);
    return p ? pool_size(p) : 0;
}

static uint32_t group_size(const struct server *s, const char *group)
{
    uint32_t n = 0;
    for (uint32_t id = 1; id <= s->state.n_workers; id++) {
        const struct worker *w = state_worker(&s->state, id);
        n += w && w->end == WORKER_RUNNING && strcmp(w->config.group, group) == 0;
    }
    return n;
}

static void explain_variant(struct server *s, const struct worker *w,
                            const struct request_variant *v, struct buf *out)
{
    size_t n = (v->min_time_ns ? 1 : 0) + (v->n_nodes ? 1 : v->n_entries);
    buf_varint(out, n);
    if (v->min_time_ns) {
        const struct worker_link *link = worker_link_of(s, w->id);
        uint64_t end_us = link ? link->end_us : 0, now_us = clock_mono_us();
        buf_u8(out, 0);
        buf_varint(out, v->min_time_ns);
        buf_u8(out, end_us != 0);
        buf_varint(out, end_us > now_us ? (end_us - now_us) * 1000 : 0);
    }
    if (v->n_nodes) {
        buf_u8(out, 1);
        buf_varint(out, v->n_nodes);
        buf_varint(out, group_size(s, w->config.group));
        return;
    }
    for (size_t e = 0; e < v->n_entries; e++) {
        buf_u8(out, 2);
        buf_str(out, v->entries[e].name);
        buf_varint(out, v->entries[e].amount);
        buf_varint(out, offered(w, v, v->entries[e].name));
    }
}

struct holds {
    struct server *server;
    const struct request *request;
    uint32_t worker, class_id;
    struct buf out;
    size_t n;
};

/* Resource, or what the worker said when it refused. */
static const char *hold_text(const struct holds *h, const struct sched_hold *hold)
{
    if (hold->kind == SCHED_HOLD_RESOURCE)
        return h->request->variants[hold->variant].entries[hold->entry].name;
    const struct worker_link *link = worker_link_of(h->server, h->worker);
    size_t n = link && hold->kind == SCHED_HOLD_REFUSED ? link->refusals.len : 0;
    for (size_t i = 0; i < n; i++) {
        const struct refusal *r = &link->refusals.data[i];
        if (r->class_id == h->class_id && r->variant == hold->variant)
            return r->why;
    }
    return "";
}

static void put_hold(void *arg, const struct sched_hold *hold)
{
    struct holds *h = arg;
    struct job *job = state_job(&h->server->state, hold->job);
    h->n++;
    buf_u8(&h->out, (uint8_t)hold->kind);
    buf_u8(&h->out, hold->variant);
    buf_str(&h->out, hold_text(h, hold));
    buf_varint(&h->out, hold->need);
    buf_varint(&h->out, hold->have);
    buf_varint(&h->out, hold->total);
    buf_varint(&h->out, hold->left_us);
    buf_varint(&h->out, job ? job->id : 0);
    buf_varint(&h->out, job ? job_task_id(job, hold->slot) : 0);
    buf_zigzag(&h->out, hold->priority);
}

struct needs {
    uint32_t n;
    struct buf ids;
};

static void add_needs(void *arg, struct job *job, uint32_t slot, uint32_t count)
{
    struct needs *needs = arg;
    for (uint32_t end = slot + count; slot < end && needs->n < NEEDS_SHOWN; slot++)
        if (job_task_state(job, slot) != TASK_FINISHED) {
            buf_varint(&needs->ids, job_task_id(job, slot));
            needs->n++;
        }
}

static void put_needs(struct job *job, uint32_t slot, struct buf *out)
{
    struct needs needs = {0, BUF_INIT(BUF_MAX_DEFAULT)};
    graph_visit_needs(job, slot, add_needs, &needs);
    buf_varint(out, needs.n);
    buf_append(out, needs.ids.data, needs.ids.len);
    buf_release(&needs.ids);
}

/* Where the task is: 0 not queued, 1 in a queue, 2 sent to a worker, 3 it runs. */
static void put_position(struct server *s, struct job *job, uint32_t slot,
                         struct buf *out)
{
    const struct job_group *g = job_group_of(job, slot);
    int32_t priority = job_body_of(job, g)->priority;
    struct sched_position at;
    bool found = sched_find(s->sched, g->class_id, priority, job->id, slot, &at);
    bool runs = job_task_state(job, slot) == TASK_RUNNING;
    buf_u8(out, runs ? 3 : !found ? 0 : at.worker ? 2 : 1);
    buf_varint(out, at.worker);
    buf_varint(out, at.n_before);
    buf_varint(out, at.n_above);
    buf_zigzag(out, priority);
}

static void put_holds(struct server *s, struct job *job, uint32_t slot, uint32_t worker,
                      struct buf *out)
{
    const struct job_group *g = job_group_of(job, slot);
    struct holds h = {.server = s,
                      .request = sched_class_request(s->sched, g->class_id),
                      .worker = worker,
                      .class_id = g->class_id,
                      .out = BUF_INIT(BUF_MAX_DEFAULT)};
    sched_explain(s->sched, g->class_id, job_body_of(job, g)->priority, worker,
                  put_hold, &h);
    buf_varint(out, h.n);
    buf_append(out, h.out.data, h.out.len);
    buf_release(&h.out);
}

/*
 * varint job, task; needs total, unfinished; workers: id, variants: items of
 * {0 time: min, known, remaining | 1 nodes: wanted, group size | 2 resource: name,
 * requested, offered}; unfinished needs; position; for each worker again: holds of
 * {enum sched_hold_kind, variant, text, need, have, total, job, task, priority}.
 */
void show_explanation(struct server *s, struct job *job, uint32_t slot, struct buf *out)
{
    const struct job_group *g = job_group_of(job, slot);
    const struct request *r = sched_class_request(s->sched, g->class_id);
    uint32_t total, unfinished, n = 0;
    graph_count_needs(job, slot, &total, &unfinished);
    buf_varint(out, job->id);
    buf_varint(out, job_task_id(job, slot));
    buf_varint(out, total);
    buf_varint(out, unfinished);
    for (uint32_t id = 1; id <= s->state.n_workers; id++)
        n += worker_link_of(s, id) != NULL;
    buf_varint(out, n);
    for (uint32_t id = 1; id <= s->state.n_workers; id++) {
        const struct worker *w = state_worker(&s->state, id);
        if (!w || !worker_link_of(s, id))
            continue;
        buf_varint(out, id);
        buf_varint(out, r->n_variants);
        for (size_t v = 0; v < r->n_variants; v++)
            explain_variant(s, w, &r->variants[v], out);
    }
    put_needs(job, slot, out);
    put_position(s, job, slot, out);
    for (uint32_t id = 1; id <= s->state.n_workers; id++)
        if (state_worker(&s->state, id) && worker_link_of(s, id))
            put_holds(s, job, slot, id, out);
}
