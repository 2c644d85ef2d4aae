#include "tui/dash.h"

#include <stdlib.h>
#include "base/xmem.h"

#define PLACEMENTS_KEPT_MAX (1u << 20)

void dash_init(struct dash *d)
{
    *d = (struct dash){0};
}

static void worker_release(struct dash_worker *w)
{
    worker_config_release(&w->config);
    free(w->samples);
    free(w->loads);
    free(w);
}

static void queue_release(struct dash_queue *q)
{
    alloc_params_release(&q->params);
    for (size_t i = 0; i < q->allocs.len; i++)
        free(q->allocs.data[i].id);
    vec_release(&q->allocs);
    free(q);
}

void dash_release(struct dash *d)
{
    for (size_t i = 0; i < d->jobs.len; i++)
        dash_job_release(d->jobs.data[i]);
    for (size_t i = 0; i < d->workers.len; i++)
        worker_release(d->workers.data[i]);
    for (size_t i = 0; i < d->queues.len; i++)
        queue_release(d->queues.data[i]);
    for (size_t i = 0; i < d->placements.len; i++)
        free(d->placements.data[i]);
    vec_release(&d->jobs);
    vec_release(&d->workers);
    vec_release(&d->queues);
    vec_release(&d->placements);
    u64map_release(&d->job_of);
    u64map_release(&d->worker_of);
    u64map_release(&d->queue_of);
}

/* ---- workers --------------------------------------------------------------------- */

static struct dash_worker *find_worker(const struct dash *d, uint32_t id)
{
    uint64_t index;
    return u64map_get(&d->worker_of, id, &index) ? d->workers.data[index] : NULL;
}

static void on_connected(struct dash *d, const struct told *t)
{
    struct dash_worker *w = find_worker(d, t->worker);
    if (w) { /* it came back */
        w->lost_us = 0;
        return;
    }
    w = xcalloc(1, sizeof *w);
    w->id = t->worker;
    w->index = (uint32_t)d->workers.len;
    w->connected_us = t->time_us;
    if (worker_config_copy(&w->config, t->config) != 0 || !vec_push(&d->workers, w) ||
        u64map_set(&d->worker_of, w->id, w->index) != 0)
        abort();
}

static void lose(struct dash_worker *w, enum worker_end end, uint64_t time_us)
{
    if (!w || w->lost_us)
        return;
    w->lost_us = MAX(time_us, w->connected_us + 1);
    w->end = end;
}

/* What was connected to a server that was killed is not connected to the next one. */
static void on_server_start(struct dash *d, uint64_t time_us)
{
    for (size_t i = 0; i < d->workers.len; i++)
        lose(d->workers.data[i], WORKER_CONNECTION_LOST, time_us);
}

/* ---- allocations ----------------------------------------------------------------- */

static struct dash_queue *find_queue(const struct dash *d, uint32_t id)
{
    uint64_t index;
    return u64map_get(&d->queue_of, id, &index) ? d->queues.data[index] : NULL;
}

static void on_queue_created(struct dash *d, const struct told *t)
{
    if (find_queue(d, t->queue))
        return;
    struct dash_queue *q = xcalloc(1, sizeof *q);
    struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT);
    q->id = t->queue;
    q->created_us = t->time_us;
    alloc_params_encode(t->params, &bytes);
    struct cursor c = cursor_make(bytes.data, bytes.len);
    if (bytes.failed || alloc_params_decode(&q->params, &c) != 0 ||
        u64map_set(&d->queue_of, q->id, d->queues.len) != 0 || !vec_push(&d->queues, q))
        abort();
    buf_release(&bytes);
}

static struct dash_alloc *find_alloc(struct dash_queue *q, struct span id)
{
    for (size_t i = q->allocs.len; i-- > 0;) {
        struct dash_alloc *a = &q->allocs.data[i];
        if (strlen(a->id) == id.n && memcmp(a->id, id.p, id.n) == 0)
            return a;
    }
    return NULL;
}

static void on_allocation(struct dash *d, const struct told *t)
{
    struct dash_queue *q = find_queue(d, t->queue);
    struct dash_alloc *a = q ? find_alloc(q, t->alloc->id) : NULL;
    if (!q)
        return;
    if (!a) {
        struct dash_alloc made = {
            .id = xstrndup((const char *)t->alloc->id.p, t->alloc->id.n),
            .workers = t->alloc->workers,
            .queued_us = t->time_us};
        if (!vec_push(&q->allocs, made))
            abort();
        a = &vec_last(&q->allocs);
    }
    if (t->type == TOLD_ALLOC_STARTED && !a->started_us) {
        a->started_us = t->alloc->started_us ? t->alloc->started_us : t->time_us;
        a->state = ALLOC_RUNNING;
    } else if (t->type == TOLD_ALLOC_ENDED && !a->ended_us) {
        if (!a->started_us)
            a->started_us = t->alloc->started_us;
        a->ended_us = t->alloc->ended_us ? t->alloc->ended_us : t->time_us;
        a->state = (enum alloc_state)t->alloc->state;
    }
}

enum alloc_state dash_alloc_state(const struct dash_alloc *a, uint64_t at_us)
{
    if (a->queued_us > at_us)
        return ALLOC_STATE_COUNT;
    if (a->ended_us && a->ended_us <= at_us)
        return a->state;
    return a->started_us && a->started_us <= at_us ? ALLOC_RUNNING : ALLOC_QUEUED;
}

/* ---- events ---------------------------------------------------------------------- */

static void on_placement(struct dash *d, const struct told *t)
{
    if (t->placement == 0 || t->placement > PLACEMENTS_KEPT_MAX)
        return;
    while (d->placements.len < t->placement)
        if (!vec_push(&d->placements, NULL))
            abort();
    char **cpus = &d->placements.data[t->placement - 1];
    for (size_t i = 0; i < t->placed->n_entries && !*cpus; i++)
        if (strcmp(t->placed->entries[i].name, "cpus") == 0)
            *cpus = xstrdup(t->placed->entries[i].labels);
}

static void on_job(struct dash *d, const struct told *t)
{
    struct dash_job *job = dash_find_job(d, t->job);
    if (!job)
        return;
    if (t->type == TOLD_JOB_CLOSED)
        job->open = false;
    else if (t->type == TOLD_JOB_COMPLETED && !job->completed_us)
        job->completed_us = t->time_us;
}

int dash_told(void *dash, const struct told *t)
{
    struct dash *d = dash;
    if (t->type != TOLD_PLACEMENT)
        d->n_events++;
    if (t->time_us) {
        d->first_us = d->first_us ? MIN(d->first_us, t->time_us) : t->time_us;
        d->last_us = MAX(d->last_us, t->time_us);
    }
    switch (t->type) {
    case TOLD_SERVER_START:
        on_server_start(d, t->time_us);
        break;
    case TOLD_WORKER_CONNECTED:
        on_connected(d, t);
        break;
    case TOLD_WORKER_LOST:
        lose(find_worker(d, t->worker), t->end, t->time_us);
        break;
    case TOLD_WORKER_OVERVIEW: {
        struct dash_worker *w = find_worker(d, t->worker);
        if (w)
            dash_worker_load(w, t->load, t->time_us);
        break;
    }
    case TOLD_JOB_OPENED:
        dash_job_opened(d, t);
        break;
    case TOLD_JOB_CREATED:
        dash_job_created(d, t);
        break;
    case TOLD_JOB_CLOSED:
    case TOLD_JOB_COMPLETED:
        on_job(d, t);
        break;
    case TOLD_TASK_STARTED:
        dash_task_started(d, t);
        break;
    case TOLD_TASK_FINISHED:
        dash_task_ended(d, t, TASK_FINISHED);
        break;
    case TOLD_TASK_FAILED:
        dash_task_ended(d, t, TASK_FAILED);
        break;
    case TOLD_TASKS_CANCELED:
        dash_tasks_ended(d, t, TASK_CANCELED);
        break;
    case TOLD_TASKS_ABORTED:
        dash_tasks_ended(d, t, TASK_ABORTED);
        break;
    case TOLD_PLACEMENT:
        on_placement(d, t);
        break;
    case TOLD_QUEUE_CREATED:
        on_queue_created(d, t);
        break;
    case TOLD_QUEUE_REMOVED: {
        struct dash_queue *q = find_queue(d, t->queue);
        if (q && !q->removed_us)
            q->removed_us = t->time_us;
        break;
    }
    case TOLD_ALLOC_QUEUED:
    case TOLD_ALLOC_STARTED:
    case TOLD_ALLOC_ENDED:
        on_allocation(d, t);
        break;
    case TOLD_SERVER_STOP:
    case TOLD_JOB_CANCELED:
    case TOLD_JOB_IDLE:
    case TOLD_TASK_NOTIFY:
    case TOLD_TYPE_COUNT:
        break;
    }
    return 0;
}

/* ---- looking up ------------------------------------------------------------------ */

struct dash_job *dash_find_job(struct dash *d, uint32_t id)
{
    uint64_t index;
    return u64map_get(&d->job_of, id, &index) ? d->jobs.data[index] : NULL;
}

const struct dash_job *dash_job(const struct dash *d, uint32_t id)
{
    uint64_t index;
    return u64map_get(&d->job_of, id, &index) ? d->jobs.data[index] : NULL;
}

const struct dash_worker *dash_worker(const struct dash *d, uint32_t id)
{
    return find_worker(d, id);
}

const struct dash_queue *dash_queue(const struct dash *d, uint32_t id)
{
    return find_queue(d, id);
}

const char *dash_cpus(const struct dash *d, uint32_t placement)
{
    return placement && placement <= d->placements.len
               ? d->placements.data[placement - 1]
               : NULL;
}

size_t dash_jobs_at(const struct dash *d, uint64_t at_us)
{
    size_t n = d->jobs.len;
    while (n && d->jobs.data[n - 1]->created_us > at_us)
        n--;
    return n;
}

uint32_t dash_slots_at(const struct dash_job *job, uint64_t at_us)
{
    size_t i = job->grown.len;
    while (i && job->grown.data[i - 1].time_us > at_us)
        i--;
    return i ? job->grown.data[i - 1].n_slots : 0;
}

bool dash_connected(const struct dash_worker *w, uint64_t at_us)
{
    return w->connected_us <= at_us && (!w->lost_us || w->lost_us > at_us);
}
