/* Views of the state for clients. */
#include "server/internal.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/xmem.h"

void show_server_info(struct server *s, struct server_info *info)
{
    *info = (struct server_info){
        .uid = s->uid,
        .client_host = (char *)s->config->client.host,
        .worker_host = (char *)s->config->worker.host,
        .version = (char *)HQ_VERSION,
        .journal_path = (char *)s->config->journal_path,
        .client_port = io_listener_port(s->client_listener),
        .worker_port = io_listener_port(s->worker_listener),
        .pid = (uint32_t)getpid(),
        .started_us = s->started_us,
    };
}

static struct job_info info_of(const struct job *job)
{
    return (struct job_info){.id = job->id,
                             .n_tasks = job->n_slots,
                             .open = job->open,
                             .name = job->name,
                             .cancel_reason = job->cancel_reason,
                             .counts = job->counts};
}

void show_job(const struct job *job, struct buf *out)
{
    struct job_info info = info_of(job);
    job_info_put(out, &info);
}

static int by_id(const void *a, const void *b)
{
    const struct worker_name *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Entries and standard input stay here: they are not shown. */
static void encode_submit(const struct submit *spec, struct buf *out)
{
    struct submit shown = *spec;
    shown.extras = xmemdup(spec->extras, spec->n_extras * sizeof *spec->extras);
    shown.bodies = xmemdup(spec->bodies, spec->n_bodies * sizeof *spec->bodies);
    for (size_t i = 0; i < shown.n_extras; i++)
        shown.extras[i].has_entries = false;
    for (size_t i = 0; i < shown.n_bodies; i++) {
        shown.bodies[i].has_input = false;
        shown.bodies[i].n_input = 0;
    }
    submit_encode(&shown, out);
    free(shown.extras);
    free(shown.bodies);
}

void show_job_detail(struct server *s, struct job *job, bool submits, struct buf *out)
{
    struct job_detail d = {.info = info_of(job),
                           .max_fails = job->max_fails,
                           .submitted_us = job->submitted_us,
                           .finished_us = job->finished_us};
    d.workers = xcalloc(job->workers.n + 1, sizeof *d.workers);
    size_t pos = 0;
    uint64_t id, value;
    while (u64map_next(&job->workers, &pos, &id, &value)) {
        const struct worker *w = state_worker(&s->state, (uint32_t)id);
        d.workers[d.n_workers++] =
            (struct worker_name){(uint32_t)id, w ? w->config.hostname : (char *)"N/A"};
    }
    qsort(d.workers, d.n_workers, sizeof *d.workers, by_id);
    struct buf *encoded = xcalloc(job->n_submits + 1, sizeof *encoded);
    struct span *spans = xcalloc(job->n_submits + 1, sizeof *spans);
    d.n_submits = submits ? job->n_submits : 0;
    for (size_t i = 0; i < d.n_submits; i++) {
        buf_init(&encoded[i], BUF_MAX_DEFAULT);
        encode_submit(&job->submits[i].spec, &encoded[i]);
        spans[i] = span_buf(&encoded[i]);
    }
    job_detail_put(out, &d, spans);
    for (size_t i = 0; i < d.n_submits; i++)
        buf_release(&encoded[i]);
    free(encoded);
    free(spans);
    free(d.workers);
}

static void show_task(struct job *job, uint32_t slot, const struct task_record *r,
                      struct buf *out)
{
    struct task_view v = {.slot = slot, .record = *r};
    struct buf nodes = BUF_INIT(BUF_MAX_DEFAULT);
    if (r->flags & RECORD_MESSAGE)
        v.message = span_str(job_message(job, slot));
    if (r->flags & RECORD_GANG) {
        const struct gang_nodes *gang = job_gang(job, slot);
        for (uint32_t i = 0; gang && i < gang->n; i++)
            buf_u32(&nodes, gang->ids[i]);
        v.n_nodes = gang ? gang->n : 0;
        v.nodes = nodes.data;
    }
    task_view_put(out, &v);
    buf_release(&nodes);
}

uint32_t show_task_page(struct job *job, uint32_t slot, struct buf *out)
{
    /* A chunk without records that has another state than waiting is shown task by task
     * with empty records. */
    static const struct task_record never = {.variant = TASK_VARIANT_NONE};
    uint32_t end = MIN(job->n_slots, (slot / CHUNK_SLOTS + 1) * CHUNK_SLOTS);
    for (; slot < end; slot++) {
        const struct task_record *r = job_record(job, slot);
        if (r) {
            show_task(job, slot, r, out);
        } else if (job_task_state(job, slot) != TASK_WAITING) {
            struct task_record empty = never;
            empty.state = (uint8_t)job_task_state(job, slot);
            show_task(job, slot, &empty, out);
        }
    }
    return end;
}

void show_worker(struct server *s, const struct worker *w, struct buf *out)
{
    struct worker_info i = {.id = w->id,
                            .end = w->end,
                            .started_us = w->started_us,
                            .ended_us = w->ended_us,
                            .config = w->config,
                            .any_started = w->any_started,
                            .last_job = w->last_job,
                            .last_task = w->last_task,
                            .last_us = w->last_us};
    if (w->end == WORKER_RUNNING) {
        struct sched_worker_load load = {0};
        sched_worker_load(s->sched, w->id, &load);
        i.assigned = load.assigned;
        i.running = load.running;
        i.reserved = load.reserved;
        i.gang = load.gang;
        i.gang_root = load.gang_root;
        const struct worker_link *link = worker_link_of(s, w->id);
        if (link)
            i.load = link->load;
    }
    worker_info_put(out, &i);
}
