/* Decisions of the scheduler become messages to workers. */
#include "server/internal.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/xmem.h"

#define STEPS_PER_ROUND 4 /* then the sockets get their turn */

static void must(int rc)
{
    if (rc != 0)
        abort(); /* out of memory in the server: the journal makes a restart safe */
}

static void define_class(struct server *s, struct worker_link *link, uint32_t class_id)
{
    if (u64map_get(&link->known_classes, class_id, NULL))
        return;
    must(u64map_set(&link->known_classes, class_id, 1));
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    request_encode(sched_class_request(s->sched, class_id), &b);
    struct msg_CLASS_DEFINE m = {.class_id = class_id, .request = span_buf(&b)};
    msg_put_CLASS_DEFINE(io_conn_batch(link->conn), &m);
    buf_release(&b);
}

static uint64_t body_key(const struct job *job, const struct job_group *g)
{
    const struct job_submit *sub = job_submit_of(job, g);
    /* Bodies are counted per submit; groups are unique in the job. */
    return (uint64_t)job->id << 32 | (sub->first_group + job_group_spec(job, g)->body);
}

static void define_body(struct worker_link *link, const struct job *job,
                        const struct job_group *g)
{
    uint64_t key = body_key(job, g);
    if (u64map_get(&link->known_bodies, key, NULL))
        return;
    must(u64map_set(&link->known_bodies, key, 1));
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    task_body_encode(job_body_of(job, g), &b);
    struct msg_BODY_DEFINE m = {
        .job = job->id,
        .body = (uint32_t)key,
        .submit_dir = span_str(job_submit_of(job, g)->spec.submit_dir),
        .task_body = span_buf(&b),
    };
    msg_put_BODY_DEFINE(io_conn_batch(link->conn), &m);
    buf_release(&b);
}

/* What the worker needs of the extra: ids and axes; entries travel with their tasks. */
static void encode_extra(const struct group_extra *e, struct buf *out)
{
    struct group_extra without = *e;
    without.has_entries = false;
    group_extra_encode(&without, out);
}

static void define_group(struct worker_link *link, const struct job *job,
                         const struct job_group *g)
{
    uint32_t index = (uint32_t)(g - job->groups);
    uint64_t key = (uint64_t)job->id << 32 | index;
    if (u64map_get(&link->known_groups, key, NULL))
        return;
    if (!u64map_get(&link->known_jobs, job->id, NULL)) {
        must(u64map_set(&link->known_jobs, job->id, 1));
        struct msg_JOB_DEFINE jm = {.job = job->id, .name = span_str(job->name)};
        msg_put_JOB_DEFINE(io_conn_batch(link->conn), &jm);
        output_define_job(link, job->id);
    }
    define_body(link, job, g);
    must(u64map_set(&link->known_groups, key, 1));
    const struct submit *spec = &job_submit_of(job, g)->spec;
    const struct task_group *tg = job_group_spec(job, g);
    struct buf argv = BUF_INIT(BUF_MAX_DEFAULT), extra = BUF_INIT(BUF_MAX_DEFAULT);
    size_t n;
    char **words = submit_argv(spec, tg->argv, &n);
    buf_varint(&argv, n);
    for (size_t i = 0; words && i < n; i++)
        buf_append(&argv, words[i], strlen(words[i]) + 1);
    free(words);
    if (tg->extra)
        encode_extra(&spec->extras[tg->extra - 1], &extra);
    struct msg_GROUP_DEFINE m = {
        .job = job->id,
        .group = index,
        .first_slot = g->first_slot,
        .first_id = tg->first_id,
        .count = g->count,
        .body = (uint32_t)body_key(job, g),
        .dependants = g->edges != NO_EDGE,
        .name = span_str(submit_text(spec, tg->name)),
        .argv = span_buf(&argv),
        .extra = span_buf(&extra),
    };
    msg_put_GROUP_DEFINE(io_conn_batch(link->conn), &m);
    buf_release(&argv);
    buf_release(&extra);
}

static uint32_t instance_of(const struct job *job, uint32_t slot)
{
    const struct task_record *r = job_record(job, slot);
    return r ? r->instance : 0;
}

/* How many tasks from `slot` on share its instance, at most `max`. */
static uint32_t same_instance(const struct job *job, uint32_t slot, uint32_t max)
{
    uint32_t instance = instance_of(job, slot), n = 1;
    while (n < max) {
        /* Chunks without records are all instance 0. */
        if (instance == 0 && !job_record(job, slot + n)) {
            uint32_t next = job_next_recorded(job, slot + n);
            n = MIN(max, next - slot);
            continue;
        }
        if (instance_of(job, slot + n) != instance)
            break;
        n++;
    }
    return n;
}

/* Encodes a run of slots, split where group or instance change. */
static void put_run(struct worker_link *link, struct job *job,
                    const struct task_run *run, struct buf *out)
{
    for (uint32_t slot = run->slot, left = run->count; left;) {
        const struct job_group *g = job_group_of(job, slot);
        uint32_t n = MIN(left, g->first_slot + g->count - slot);
        define_group(link, job, g);
        const struct task_group *tg = job_group_spec(job, g);
        const struct group_extra *extra =
            tg->extra ? &job_submit_of(job, g)->spec.extras[tg->extra - 1] : NULL;
        bool entries = extra && extra->has_entries;
        n = same_instance(job, slot, n);
        struct assigned_run r = {
            .job = job->id,
            .group = (uint32_t)(g - job->groups),
            .slot = slot,
            .count = n,
            .priority = run->priority,
            .instance = instance_of(job, slot),
            .entries = entries,
        };
        assigned_run_put(out, &r);
        if (link->server->journal)
            task_sent_encode(&(struct task_sent){job->id, slot, n, r.instance},
                             &link->server->sent);
        for (uint32_t i = 0; entries && i < n; i++) {
            struct span e = group_entry(extra, slot - g->first_slot + i);
            buf_bytes(out, e.p, e.n);
        }
        slot += n;
        left -= n;
    }
}

static void send_assign(struct server *s, const struct sched_assign *a)
{
    struct worker_link *link = worker_link_of(s, a->worker);
    if (!link)
        return; /* it went in this very round; its tasks come back as lost */
    define_class(s, link, a->class_id);
    struct buf runs = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < a->n_runs; i++) {
        struct job *job = state_job(&s->state, a->runs[i].job);
        if (job)
            put_run(link, job, &a->runs[i], &runs);
    }
    struct msg_TASKS_ASSIGN m = {.class_id = a->class_id,
                                 .variant = a->variant,
                                 .grants = a->grants,
                                 .runs = span_buf(&runs)};
    msg_put_TASKS_ASSIGN(io_conn_batch(link->conn), &m);
    buf_release(&runs);
}

static void send_gang(struct server *s, const struct sched_gang *g)
{
    struct worker_link *root = worker_link_of(s, g->workers[0]);
    struct job *job = state_job(&s->state, g->job);
    if (!root || !job)
        return;
    define_class(s, root, g->class_id);
    struct buf runs = BUF_INIT(BUF_MAX_DEFAULT), nodes = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_run run = {.job = g->job, .slot = g->slot, .count = 1};
    put_run(root, job, &run, &runs);
    for (size_t i = 0; i < g->n_workers; i++) {
        const struct worker *w = state_worker(&s->state, g->workers[i]);
        buf_varint(&nodes, g->workers[i]);
        buf_str(&nodes, w ? w->config.hostname : "");
    }
    struct msg_GANG_START m = {.class_id = g->class_id,
                               .variant = g->variant,
                               .runs = span_buf(&runs),
                               .nodes = span_buf(&nodes)};
    msg_put_GANG_START(io_conn_batch(root->conn), &m);
    buf_release(&runs);
    buf_release(&nodes);
}

static void send_retract(struct server *s, const struct sched_retract *r)
{
    struct worker_link *link = worker_link_of(s, r->worker);
    if (!link)
        return;
    struct msg_TASKS_RETRACT m = {
        .class_id = r->class_id, .variant = r->variant, .max_count = r->max_count};
    msg_put_TASKS_RETRACT(io_conn_batch(link->conn), &m);
}

static void journal_sent(struct server *s)
{
    if (s->sent.len == 0)
        return;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_TASKS_SENT, s->now_us);
    buf_append(&event, s->sent.data, s->sent.len);
    commit_event(s, &event);
    buf_release(&event);
    buf_clear(&s->sent);
}

void assign_round(struct server *s)
{
    if (!s->sched_dirty || s->stopping || commit_overdue(s))
        return;
    if (s->hold_until_us && clock_mono_us() < s->hold_until_us)
        return;
    s->hold_until_us = 0;
    s->sched_dirty = false;
    struct sched_out out = {0};
    for (int i = 0; i < STEPS_PER_ROUND; i++) {
        sched_step(s->sched, clock_mono_us(), &out);
        for (size_t k = 0; k < out.n_assigns; k++)
            send_assign(s, &out.assigns[k]);
        for (size_t k = 0; k < out.n_gangs; k++)
            send_gang(s, &out.gangs[k]);
        for (size_t k = 0; k < out.n_retracts; k++)
            send_retract(s, &out.retracts[k]);
        if (!out.more)
            break;
    }
    journal_sent(s);
    if (out.more) {
        s->sched_dirty = true;
        io_loop_again(s->loop);
    }
    if (out.wake_us) {
        uint64_t now = clock_mono_us();
        uint64_t ms = out.wake_us > now ? (out.wake_us - now + 999) / 1000 : 1;
        io_timer_start(s->wake, ms, 0);
    }
}
