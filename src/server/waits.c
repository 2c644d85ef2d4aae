/* Clients that wait: for jobs (with progress and notifications), for workers. */
#include "server/internal.h"

#include <stdlib.h>
#include "base/xmem.h"
#include "server/feed.h"

#define PROGRESS_PERIOD_MS 100

struct job_wait {
    uint32_t *jobs;
    size_t n;
    bool without_close, progress, notify;
};

static bool job_done(const struct server *s, const struct job_wait *w, uint32_t id)
{
    const struct job *job = state_job(&s->state, id);
    return !job || (w->without_close ? !job_active(job) : job_completed(job));
}

static void send_snapshot(struct client_link *c, bool done)
{
    const struct server *s = c->server;
    const struct job_wait *w = c->wait;
    struct msg_RSP_PROGRESS m = {.done = done};
    struct task_counts sum = {{0}};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < w->n; i++) {
        const struct job *job = state_job(&s->state, w->jobs[i]);
        if (!job)
            continue;
        m.jobs++;
        m.jobs_done += job_done(s, w, w->jobs[i]);
        for (size_t k = 0; k < TASK_STATE_COUNT; k++)
            sum.n[k] += job->counts.n[k];
    }
    for (size_t k = 0; k < TASK_STATE_COUNT; k++)
        buf_varint(&b, sum.n[k]);
    m.counts = span_buf(&b);
    msg_put_RSP_PROGRESS(io_conn_batch(c->conn), &m);
    buf_release(&b);
}

void wait_end(struct client_link *c)
{
    c->worker_wait = 0;
    if (!c->wait)
        return;
    free(c->wait->jobs);
    free(c->wait);
    c->wait = NULL;
}

static bool all_done(const struct client_link *c)
{
    for (size_t i = 0; i < c->wait->n; i++)
        if (!job_done(c->server, c->wait, c->wait->jobs[i]))
            return false;
    return true;
}

static void finish_if_done(struct client_link *c)
{
    if (!c->wait || !all_done(c))
        return;
    send_snapshot(c, true);
    wait_end(c);
}

static void add_job(struct job_wait *w, uint32_t id)
{
    w->jobs = xrealloc(w->jobs, (w->n + 1) * sizeof *w->jobs);
    w->jobs[w->n++] = id;
}

void wait_begin(struct client_link *c, const struct selector *jobs, bool without_close,
                bool progress, bool notify)
{
    struct server *s = c->server;
    wait_end(c);
    struct job_wait *w = c->wait = xcalloc(1, sizeof *w);
    w->without_close = without_close;
    w->progress = progress;
    w->notify = notify;
    struct idset_iter it = IDSET_ITER(&jobs->ids);
    uint32_t id;
    size_t pos = 0;
    uint64_t key, value;
    switch (jobs->kind) {
    case SELECT_IDS:
        while (idset_next(&it, &id))
            if (state_job(&s->state, id))
                add_job(w, id);
        break;
    case SELECT_LAST:
        if (state_job(&s->state, s->state.last_job))
            add_job(w, s->state.last_job);
        break;
    case SELECT_ALL:
        while (u64map_next(&s->state.jobs, &pos, &key, &value))
            add_job(w, (uint32_t)key);
        break;
    }
    if (progress && !all_done(c)) {
        send_snapshot(c, false);
        if (!io_timer_active(s->progress))
            io_timer_start(s->progress, PROGRESS_PERIOD_MS, PROGRESS_PERIOD_MS);
    }
    finish_if_done(c);
}

void wait_job_changed(struct server *s, struct job *job)
{
    LIST_FOR_EACH_SAFE(&s->clients, node, next)
    {
        struct client_link *c = CONTAINER_OF(node, struct client_link, node);
        for (size_t i = 0; c->wait && i < c->wait->n; i++)
            if (c->wait->jobs[i] == job->id) {
                finish_if_done(c);
                break;
            }
    }
}

void waits_tick(void *arg)
{
    struct server *s = arg;
    bool any = false;
    LIST_FOR_EACH(&s->clients, node)
    {
        struct client_link *c = CONTAINER_OF(node, struct client_link, node);
        if (!c->wait || !c->wait->progress)
            continue;
        any = true;
        if (io_conn_backlog(c->conn) < 65536) /* a slow reader gets fewer */
            send_snapshot(c, false);
    }
    if (!any)
        io_timer_stop(s->progress);
}

void wait_notify(struct server *s, struct job *job, uint32_t slot, uint32_t worker,
                 struct span message)
{
    struct msg_RSP_NOTIFY m = {.job = job->id,
                               .task = job_task_id(job, slot),
                               .worker = worker,
                               .message = message,
                               .time_us = s->now_us};
    feeds_notify(s, &m);
    LIST_FOR_EACH(&s->clients, node)
    {
        struct client_link *c = CONTAINER_OF(node, struct client_link, node);
        for (size_t i = 0; c->wait && c->wait->notify && i < c->wait->n; i++)
            if (c->wait->jobs[i] == job->id) {
                msg_put_RSP_NOTIFY(io_conn_batch(c->conn), &m);
                break;
            }
    }
}

void wait_workers_changed(struct server *s)
{
    uint32_t running = 0;
    LIST_FOR_EACH(&s->links, node)
    running += CONTAINER_OF(node, struct worker_link, node)->id != 0;
    LIST_FOR_EACH(&s->clients, node)
    {
        struct client_link *c = CONTAINER_OF(node, struct client_link, node);
        if (c->worker_wait == 0 || running < c->worker_wait)
            continue;
        c->worker_wait = 0;
        struct msg_RSP_OK m;
        memset(&m, 0, sizeof m);
        msg_put_RSP_OK(io_conn_batch(c->conn), &m);
    }
}
