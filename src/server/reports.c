/* What workers report about tasks: starts, ends, retractions, losses. */
#include "server/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/xmem.h"
#include "model/placement.h"

static uint32_t placement_number(const struct worker_link *link, uint32_t number)
{
    return number >= 1 && number <= link->n_placements ? link->placements[number - 1]
                                                       : 0;
}

/* Workers that are alike share descriptions; a new one goes to the journal. */
static uint32_t keep_placement(struct server *s, struct span bytes)
{
    uint32_t number = state_find_placement(&s->state, bytes);
    if (number)
        return number;
    number = state_next_placement(&s->state);
    if (!state_apply_placement(&s->state, number, bytes))
        return 0;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_PLACEMENT, s->now_us);
    buf_u32(&event, number);
    buf_append(&event, bytes.p, bytes.n);
    commit_event(s, &event);
    buf_release(&event);
    return number;
}

void report_placements(struct worker_link *link, struct span list)
{
    struct cursor c = cursor_make(list.p, list.n);
    while (cursor_left(&c) && link->n_placements < PLACEMENTS_OF_WORKER_MAX) {
        struct span bytes = cursor_bytes(&c);
        struct placement checked;
        uint32_t number = 0;
        if (c.failed)
            break;
        if (placement_decode(&checked, bytes) == 0) {
            placement_release(&checked);
            number = keep_placement(link->server, bytes);
        }
        if ((link->n_placements & (link->n_placements - 1)) == 0)
            link->placements =
                xrealloc(link->placements,
                         MAX(link->n_placements * 2, 8u) * sizeof *link->placements);
        link->placements[link->n_placements++] = number;
    }
    if (c.failed)
        log_warn("Worker %u sent a malformed list of placements", link->id);
}

void report_started(struct worker_link *link, struct span starts)
{
    struct server *s = link->server;
    struct cursor c = cursor_make(starts.p, starts.n);
    struct buf scratch = BUF_INIT(BUF_MAX_DEFAULT), event = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_start st;
    event_begin(&event, EVENT_TASKS_STARTED, s->now_us);
    buf_u32(&event, link->id);
    size_t head = event.len;
    while (task_start_decode(&st, &c, &scratch)) {
        sched_started(s->sched, link->id, st.job, st.slot, 1);
        st.placement = placement_number(link, st.placement);
        if (state_apply_start(&s->state, link->id, &st))
            task_start_encode(&st, &event);
    }
    if (event.len > head)
        commit_event(s, &event);
    buf_release(&event);
    buf_release(&scratch);
}

/* Takes a task with a result out of the queues, if it is there. */
static void unqueue(struct server *s, struct job *job, uint32_t slot)
{
    const struct job_group *g = job_group_of(job, slot);
    (void)sched_take(s->sched, g->class_id, job_body_of(job, g)->priority, job->id,
                     slot);
}

/*
 * Ends from before a reconnect: the tasks wait in the queues (again), since the server
 * or the connection was lost before it heard of them. The result counts; what has been
 * given to somebody else meanwhile runs twice, and the first result counts.
 */
static void claim_late(struct server *s, const struct task_end *e, uint32_t count)
{
    struct job *job = state_job(&s->state, e->job);
    for (uint32_t i = 0; job && i < count; i++) {
        uint32_t slot = e->slot + i;
        if (slot < job->n_slots && job_task_state(job, slot) == TASK_WAITING)
            unqueue(s, job, slot);
    }
}

/* The scheduler's books know lanes, and slots that follow each other may be of several.
 */
static void book_done(struct server *s, const struct worker_link *link,
                      const struct task_end *e, uint32_t count, uint64_t now)
{
    struct job *job = state_job(&s->state, e->job);
    bool known = job && e->slot < job->n_slots && count <= job->n_slots - e->slot;
    for (uint32_t slot = e->slot, left = count; left;) {
        uint32_t part = left;
        if (known) {
            const struct job_group *g = job_group_of(job, slot);
            part = MIN(left, g->first_slot + g->count - slot);
        }
        sched_done(s->sched, link->id, e->job, slot, part, e->released ? part : 0,
                   (e->end_us - e->start_us) * part, now);
        slot += part;
        left -= part;
    }
}

void report_ended(struct worker_link *link, uint64_t seq, struct span ends)
{
    struct server *s = link->server;
    if (seq <= link->end_seq) {
        commit_ack(s, link); /* sent again after a reconnect */
        return;
    }
    link->end_seq = seq;
    struct cursor c = cursor_make(ends.p, ends.n);
    struct task_end_reader reader;
    struct task_end_writer writer;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_end e;
    uint32_t count, applied = 0;
    uint64_t now = clock_mono_us();
    event_begin(&event, EVENT_TASKS_ENDED, s->now_us);
    buf_u32(&event, link->id);
    task_end_writer_init(&writer, &event);
    task_end_reader_init(&reader, &c);
    while (task_end_read(&reader, &e, &count)) {
        book_done(s, link, &e, count, now);
        e.placement = placement_number(link, e.placement);
        if (seq < link->late_seq)
            claim_late(s, &e, count);
        uint32_t n = state_apply_end(&s->state, link->id, &e, count);
        applied += n;
        if (n)
            task_end_write_run(&writer, &e, count);
    }
    task_end_writer_finish(&writer);
    if (c.failed)
        log_warn("Worker %u sent a malformed list of ended tasks", link->id);
    if (applied)
        commit_event(s, &event);
    buf_release(&event);
    commit_ack(s, link);
}

/* What has a late result by now (claim_late), or is forgotten, must not run again. */
static void drop_ended(struct server *s, const struct task_run *runs, size_t n_runs)
{
    for (size_t i = 0; i < n_runs; i++) {
        const struct task_run *r = &runs[i];
        struct job *job = state_job(&s->state, r->job);
        if (!job) {
            sched_cancel_job(s->sched, r->job);
            continue;
        }
        for (uint32_t k = 0; k < r->count && r->slot + k < job->n_slots; k++)
            if (task_state_terminal(job_task_state(job, r->slot + k)))
                unqueue(s, job, r->slot + k);
    }
}

void report_retracted(struct worker_link *link, uint32_t class_id, uint8_t variant,
                      struct span span, bool rejected)
{
    struct server *s = link->server;
    struct cursor c = cursor_make(span.p, span.n);
    struct slot_run r;
    struct task_run *runs = NULL;
    size_t n = 0, cap = 0;
    while (slot_run_get(&c, &r)) {
        if (n == cap) {
            cap = cap ? cap * 2 : 16;
            runs = xrealloc(runs, cap * sizeof *runs);
        }
        struct job *job = state_job(&s->state, r.job);
        int32_t priority = job && r.slot < job->n_slots
                               ? job_body_of(job, job_group_of(job, r.slot))->priority
                               : 0;
        runs[n++] = (struct task_run){r.job, r.slot, r.count, priority};
    }
    if (rejected)
        sched_rejected(s->sched, link->id, class_id, variant, runs, n);
    else
        sched_retracted(s->sched, link->id, class_id, variant, runs, n);
    drop_ended(s, runs, n);
    free(runs);
}

/* Whether the worker with these settings once had that number. */
static bool was_worker(const struct server *s, uint32_t id,
                       const struct worker_config *c)
{
    const struct worker *w = state_worker(&s->state, id);
    return w && memcmp(w->config.token, c->token, sizeof c->token) == 0;
}

static uint32_t number_now(const struct server *s, uint32_t id)
{
    LIST_FOR_EACH(&s->links, node)
    {
        const struct worker_link *l = CONTAINER_OF(node, struct worker_link, node);
        if (l->id && was_worker(s, id, &state_worker(&s->state, l->id)->config))
            return l->id;
    }
    return 0;
}

/*
 * Of a gang whose root came back: its nodes, under the numbers of those that are here
 * again. The others keep their old ones, by which they are known when they come.
 */
static uint32_t *gather_gang(struct server *s, const struct worker_link *root,
                             const struct held_task *t, const struct gang_nodes *gang)
{
    uint32_t *ids = xmalloc(gang->n * sizeof *ids);
    ids[0] = root->id;
    for (uint32_t i = 1; i < gang->n; i++) {
        uint32_t now = number_now(s, gang->ids[i]);
        ids[i] = now ? now : gang->ids[i];
        if (now)
            (void)sched_gang_join(s->sched, root->id, t->job, t->slot, now);
    }
    return ids;
}

void report_gangs_joined(struct worker_link *link)
{
    struct server *s = link->server;
    const struct worker_config *c = &state_worker(&s->state, link->id)->config;
    struct sched_gang g;
    for (size_t i = 0; sched_gang_at(s->sched, i, &g); i++) {
        const struct job *job = state_job(&s->state, g.job);
        const struct gang_nodes *gang = job ? job_gang(job, g.slot) : NULL;
        for (uint32_t k = 0; gang && k < gang->n; k++)
            if (was_worker(s, gang->ids[k], c) &&
                sched_gang_join(s->sched, g.workers[0], g.job, g.slot, link->id))
                return;
    }
}

/* Books the task on the worker that runs it already, a gang on all its nodes. */
static bool adopt(struct worker_link *link, const struct held_task *t,
                  struct buf *event)
{
    struct server *s = link->server;
    struct job *job = state_job(&s->state, t->job);
    if (!t->running || !job || t->slot >= job->n_slots ||
        job_task_state(job, t->slot) != TASK_WAITING)
        return false;
    /* Later runs were under way: the number of the next one must not be theirs. */
    const struct task_record *r = job_record(job, t->slot);
    if (r && r->instance > (uint64_t)t->instance + 1)
        return false;
    const struct job_group *g = job_group_of(job, t->slot);
    const struct gang_nodes *gang = NULL;
    if (sched_class_request(s->sched, g->class_id)->variants[0].n_nodes) {
        gang = job_gang(job, t->slot);
        if (!gang ||
            !was_worker(s, gang->ids[0], &state_worker(&s->state, link->id)->config))
            return false;
    }
    if (!sched_adopt(s->sched, link->id, g->class_id, t->variant,
                     job_body_of(job, g)->priority, t->job, t->slot))
        return false;
    uint32_t *nodes = gang ? gather_gang(s, link, t, gang) : NULL;
    struct task_start st = {.job = t->job,
                            .slot = t->slot,
                            .instance = t->instance,
                            .variant = t->variant,
                            .placement = placement_number(link, t->placement),
                            .start_us = t->start_us,
                            .nodes = nodes,
                            .n_nodes = gang ? gang->n : 0};
    bool applied = state_apply_start(&s->state, link->id, &st);
    if (applied)
        task_start_encode(&st, event);
    free(nodes);
    return applied;
}

/*
 * The tasks that a worker kept while the server was away: those that were not started
 * anew meanwhile stay with it, the others it must end.
 */
void report_resumed(struct worker_link *link, struct span held, struct buf *keep)
{
    struct server *s = link->server;
    struct cursor c = cursor_make(held.p, held.n);
    struct held_task t;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_TASKS_STARTED, s->now_us);
    buf_u32(&event, link->id);
    size_t head = event.len;
    while (held_task_get(&c, &t))
        if (adopt(link, &t, &event))
            held_task_put(keep, &t);
    if (event.len > head)
        commit_event(s, &event);
    buf_release(&event);
}

/* ---- lost workers ---------------------------------------------------------------- */

/* Writes the failure of a task whose worker was lost once too often. */
static void fail_lost(struct server *s, struct job *job, uint32_t slot,
                      const char *text)
{
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_end_writer w;
    const struct task_record *r = job_record(job, slot);
    struct task_end e = {.job = job->id,
                         .slot = slot,
                         .instance = r ? r->instance : 0,
                         .state = TASK_FAILED,
                         .variant = TASK_VARIANT_NONE,
                         .failure = FAILURE_MESSAGE,
                         .end_us = s->now_us,
                         .message = span_str(text)};
    event_begin(&event, EVENT_TASKS_ENDED, s->now_us);
    buf_u32(&event, 0);
    task_end_writer_init(&w, &event);
    task_end_write(&w, &e);
    task_end_writer_finish(&w);
    (void)state_apply_end(&s->state, 0, &e, 1);
    commit_event(s, &event);
    buf_release(&event);
}

static bool lost_too_often(struct server *s, struct job *job, uint32_t slot,
                           uint16_t crashes)
{
    uint32_t limit = job_body_of(job, job_group_of(job, slot))->crash_limit;
    if (limit == CRASH_LIMIT_NEVER_RESTART) {
        fail_lost(
            s, job, slot,
            "Task was running on a lost worker while never restart flag was set.");
        return true;
    }
    if (limit == CRASH_LIMIT_UNLIMITED || crashes < limit)
        return false;
    char text[200];
    snprintf(
        text, sizeof text,
        "Task was running on a worker that was lost; the task has occurred %u times "
        "in this situation and limit was reached.",
        crashes);
    fail_lost(s, job, slot, text);
    return true;
}

/* Back to waiting under the next instance; false when the task ended already. */
static bool restart_lost(struct server *s, const struct sched_lost_task *t,
                         bool failure, bool *was_running, struct buf *event)
{
    struct job *job = state_job(&s->state, t->job);
    if (!job || task_state_terminal(job_task_state(job, t->slot)))
        return false;
    const struct task_record *r = job_record(job, t->slot);
    *was_running = job_task_state(job, t->slot) == TASK_RUNNING;
    uint32_t crashes = (r ? r->crashes : 0u) + (*was_running && failure ? 1 : 0);
    struct task_restart restart = {
        .job = t->job,
        .slot = t->slot,
        .instance = (r ? r->instance : 0) + 1,
        .crashes = (uint16_t)MIN(crashes, UINT16_MAX),
    };
    if (!state_apply_restart(&s->state, &restart))
        return false;
    task_restart_encode(&restart, event);
    return true;
}

/* Fails it at its crash limit, else queues it again. */
static void requeue_lost(struct server *s, const struct sched_lost_task *t)
{
    struct job *job = state_job(&s->state, t->job);
    if (!job || job_task_state(job, t->slot) != TASK_WAITING)
        return; /* aborted by a failure just before it in the list */
    if (t->running &&
        lost_too_often(s, job, t->slot, job_record(job, t->slot)->crashes))
        return;
    const struct job_group *g = job_group_of(job, t->slot);
    sched_ready(s->sched, g->class_id, job_body_of(job, g)->priority, job->id, t->slot,
                1);
}

void report_lost_tasks(struct server *s, uint32_t worker, enum worker_end reason)
{
    const struct sched_lost_task *tasks;
    size_t n, kept = 0;
    sched_worker_remove(s->sched, worker, &tasks, &n);
    if (n == 0)
        return;
    /* The list belongs to the scheduler, which is called again below. */
    struct sched_lost_task *copy = xmemdup(tasks, n * sizeof *tasks);
    bool failure = reason == WORKER_CONNECTION_LOST || reason == WORKER_HEARTBEAT_LOST;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_TASKS_RESTARTED, s->now_us);
    for (size_t i = 0; i < n; i++)
        if (restart_lost(s, &copy[i], failure, &copy[i].running, &event))
            copy[kept++] = copy[i];
    /* Journaled before the failures that may follow from it. */
    if (kept)
        commit_event(s, &event);
    buf_release(&event);
    for (size_t i = 0; i < kept; i++)
        requeue_lost(s, &copy[i]);
    free(copy);
}
