#include "wire/views.h"

#include <stdlib.h>

#define TEXT_MAX (1u << 24)

static void put_optional(struct buf *out, const char *s)
{
    buf_u8(out, s != NULL);
    if (s)
        buf_str(out, s);
}

static char *get_optional(struct cursor *c)
{
    return cursor_u8(c) ? cursor_strdup(c, TEXT_MAX) : NULL;
}

void server_info_put(struct buf *out, const struct server_info *i)
{
    buf_str(out, i->uid);
    buf_str(out, i->client_host);
    buf_str(out, i->worker_host);
    buf_str(out, i->version);
    put_optional(out, i->journal_path);
    buf_varint(out, i->client_port);
    buf_varint(out, i->worker_port);
    buf_varint(out, i->pid);
    buf_varint(out, i->started_us);
}

int server_info_get(struct span span, struct server_info *i)
{
    struct cursor c = cursor_make(span.p, span.n);
    *i = (struct server_info){.uid = cursor_strdup(&c, TEXT_MAX)};
    i->client_host = cursor_strdup(&c, TEXT_MAX);
    i->worker_host = cursor_strdup(&c, TEXT_MAX);
    i->version = cursor_strdup(&c, TEXT_MAX);
    i->journal_path = get_optional(&c);
    i->client_port = cursor_varint32(&c);
    i->worker_port = cursor_varint32(&c);
    i->pid = cursor_varint32(&c);
    i->started_us = cursor_varint(&c);
    if (!c.failed)
        return 0;
    server_info_release(i);
    return ERR_CORRUPT;
}

void server_info_release(struct server_info *i)
{
    free(i->uid);
    free(i->client_host);
    free(i->worker_host);
    free(i->version);
    free(i->journal_path);
    *i = (struct server_info){0};
}

void job_info_put(struct buf *out, const struct job_info *i)
{
    buf_varint(out, i->id);
    buf_varint(out, i->n_tasks);
    buf_u8(out, i->open);
    buf_str(out, i->name);
    put_optional(out, i->cancel_reason);
    for (size_t s = 0; s < TASK_STATE_COUNT; s++)
        buf_varint(out, i->counts.n[s]);
}

bool job_info_get(struct cursor *c, struct job_info *i)
{
    *i = (struct job_info){0};
    if (c->failed || c->p == c->end)
        return false;
    i->id = cursor_varint32(c);
    i->n_tasks = cursor_varint32(c);
    i->open = cursor_u8(c) != 0;
    i->name = cursor_strdup(c, TEXT_MAX);
    i->cancel_reason = get_optional(c);
    for (size_t s = 0; s < TASK_STATE_COUNT; s++)
        i->counts.n[s] = cursor_varint32(c);
    if (!c->failed)
        return true;
    job_info_release(i);
    return false;
}

void job_info_release(struct job_info *i)
{
    free(i->name);
    free(i->cancel_reason);
    *i = (struct job_info){0};
}

void job_detail_put(struct buf *out, const struct job_detail *d,
                    const struct span *submits)
{
    job_info_put(out, &d->info);
    buf_zigzag(out, d->max_fails);
    buf_varint(out, d->submitted_us);
    buf_varint(out, d->finished_us);
    buf_varint(out, d->n_workers);
    for (size_t i = 0; i < d->n_workers; i++) {
        buf_varint(out, d->workers[i].id);
        buf_str(out, d->workers[i].hostname);
    }
    buf_varint(out, d->n_submits);
    for (size_t i = 0; i < d->n_submits; i++)
        buf_bytes(out, submits[i].p, submits[i].n);
}

static void get_workers(struct job_detail *d, struct cursor *c)
{
    size_t n = cursor_count(c, 2);
    d->workers = n ? calloc(n, sizeof *d->workers) : NULL;
    if (n && !d->workers)
        c->failed = true;
    for (; d->n_workers < n && !c->failed; d->n_workers++) {
        d->workers[d->n_workers].id = cursor_varint32(c);
        d->workers[d->n_workers].hostname = cursor_strdup(c, TEXT_MAX);
    }
}

int job_detail_get(struct span span, struct job_detail *d, struct error *err)
{
    struct cursor c = cursor_make(span.p, span.n);
    *d = (struct job_detail){0};
    int rc = 0;
    if (!job_info_get(&c, &d->info))
        c.failed = true;
    d->max_fails = cursor_zigzag(&c);
    d->submitted_us = cursor_varint(&c);
    d->finished_us = cursor_varint(&c);
    get_workers(d, &c);
    size_t n = cursor_count(&c, 1);
    d->submits = n ? calloc(n, sizeof *d->submits) : NULL;
    if (n && !d->submits)
        c.failed = true;
    for (; d->n_submits < n && !c.failed && rc == 0; d->n_submits++) {
        struct span one = cursor_bytes(&c);
        struct cursor oc = cursor_make(one.p, one.n);
        rc = submit_decode(&d->submits[d->n_submits], &oc, err);
    }
    if (!c.failed && rc == 0)
        return 0;
    job_detail_release(d);
    return rc ? rc : error_set(err, ERR_CORRUPT, "malformed description of a job");
}

void job_detail_release(struct job_detail *d)
{
    job_info_release(&d->info);
    for (size_t i = 0; i < d->n_workers; i++)
        free(d->workers[i].hostname);
    free(d->workers);
    for (size_t i = 0; i < d->n_submits; i++)
        submit_release(&d->submits[i]);
    free(d->submits);
    *d = (struct job_detail){0};
}

void task_view_put(struct buf *out, const struct task_view *v)
{
    buf_varint(out, v->slot);
    task_record_encode(&v->record, out);
    if (v->record.flags & RECORD_MESSAGE)
        buf_bytes(out, v->message.p, v->message.n);
    if (v->record.flags & RECORD_GANG) {
        buf_varint(out, v->n_nodes);
        buf_append(out, v->nodes, (size_t)v->n_nodes * 4);
    }
}

bool task_view_get(struct cursor *c, struct task_view *v)
{
    *v = (struct task_view){0};
    if (c->failed || c->p == c->end)
        return false;
    v->slot = cursor_varint32(c);
    task_record_decode(&v->record, c);
    if (v->record.flags & RECORD_MESSAGE)
        v->message = cursor_bytes(c);
    if (v->record.flags & RECORD_GANG) {
        v->n_nodes = (uint32_t)cursor_count(c, 4);
        v->nodes = cursor_take(c, (size_t)v->n_nodes * 4).p;
    }
    return !c->failed;
}

void worker_info_put(struct buf *out, const struct worker_info *i)
{
    buf_varint(out, i->id);
    buf_u8(out, i->end);
    buf_varint(out, i->started_us);
    buf_varint(out, i->ended_us);
    buf_varint(out, i->assigned);
    buf_varint(out, i->running);
    buf_u8(out, (uint8_t)(i->reserved | i->gang << 1 | i->gang_root << 2 |
                          i->any_started << 3));
    buf_varint(out, i->last_job);
    buf_varint(out, i->last_task);
    buf_varint(out, i->last_us);
    worker_config_encode(&i->config, out);
    hw_state_encode(&i->load, out);
}

int worker_info_get(struct span span, struct worker_info *i)
{
    struct cursor c = cursor_make(span.p, span.n);
    *i = (struct worker_info){.id = cursor_varint32(&c)};
    i->end = cursor_u8(&c);
    i->started_us = cursor_varint(&c);
    i->ended_us = cursor_varint(&c);
    i->assigned = cursor_varint32(&c);
    i->running = cursor_varint32(&c);
    uint8_t flags = cursor_u8(&c);
    i->reserved = flags & 1;
    i->gang = (flags & 2) != 0;
    i->gang_root = (flags & 4) != 0;
    i->any_started = (flags & 8) != 0;
    i->last_job = cursor_varint32(&c);
    i->last_task = cursor_varint32(&c);
    i->last_us = cursor_varint(&c);
    if (c.failed || i->end >= WORKER_END_COUNT)
        return ERR_CORRUPT;
    int rc = worker_config_decode(&i->config, &c);
    if (rc != 0)
        return rc;
    rc = hw_state_decode(&i->load, &c);
    if (rc != 0)
        worker_config_release(&i->config);
    return rc;
}

void worker_info_release(struct worker_info *i)
{
    worker_config_release(&i->config);
    hw_state_release(&i->load);
}
