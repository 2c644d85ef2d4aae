#include "history/event_json.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/path.h"
#include "history/raw_json.h"
#include "history/track.h"

#define US_PER_S 1000000u
#define TAIL_BYTES 64
#define LINE_BYTES 192 /* enough for the lines that begin and end one task */

void event_json_init(struct event_json *e, struct buf *out, int out_fd)
{
    *e = (struct event_json){.out = out, .out_fd = out_fd, .second = UINT64_MAX};
}

/* ---- the two lines that make up most of a journal -------------------------------- */

static char *put_text(char *p, const char *s)
{
    size_t n = strlen(s);
    memcpy(p, s, n);
    return p + n;
}

static char *put_number(char *p, uint32_t v)
{
    char digits[10], *end = digits + sizeof digits, *first = end;
    do {
        *--first = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    memcpy(p, first, (size_t)(end - first));
    return p + (end - first);
}

/* `,"time":"2026-08-03T10:00:00.123Z"}` and the end of the line. */
static char *put_tail(struct event_json *e, char *p, uint64_t us)
{
    uint64_t second = us / US_PER_S;
    unsigned ms = (unsigned)(us % US_PER_S) / 1000;
    if (second != e->second) {
        struct buf text = BUF_INIT(TAIL_BYTES);
        time_print_log(second * US_PER_S, false, &text);
        size_t n = MIN(text.len ? text.len - 1 : 0, sizeof e->text - 1);
        memcpy(e->text, buf_cstr(&text), n);
        e->text[n] = '\0';
        e->second = second;
        buf_release(&text);
    }
    p = put_text(p, ",\"time\":\"");
    p = put_text(p, e->text);
    if (ms) {
        *p++ = '.';
        *p++ = (char)('0' + ms / 100);
        *p++ = (char)('0' + ms / 10 % 10);
        *p++ = (char)('0' + ms % 10);
    }
    return put_text(p, "Z\"}\n");
}

static void print_started(struct event_json *e, const struct told *t)
{
    char line[LINE_BYTES], *p = line;
    p = put_number(put_text(p, "{\"event\":{\"instance\":"), t->instance);
    p = put_number(put_text(p, ",\"job\":"), t->job);
    p = put_number(put_text(p, ",\"task\":"), t->task);
    p = put_text(p, ",\"type\":\"task-started\"");
    if (t->variant)
        p = put_number(put_text(p, ",\"variant\":"), t->variant);
    p = put_number(put_text(p, ",\"worker\":"), t->worker);
    *p++ = '}';
    p = put_tail(e, p, t->time_us);
    buf_append(e->out, line, (size_t)(p - line));
}

static void print_finished(struct event_json *e, const struct told *t)
{
    char line[LINE_BYTES], *p = line;
    p = put_number(put_text(p, "{\"event\":{\"job\":"), t->job);
    p = put_number(put_text(p, ",\"task\":"), t->task);
    p = put_text(p, ",\"type\":\"task-finished\"}");
    p = put_tail(e, p, t->time_us);
    buf_append(e->out, line, (size_t)(p - line));
}

/* ---- all others: keys in ascending order ----------------------------------------- */

static void key_span(struct json *j, const char *key, struct span s)
{
    json_key(j, key);
    json_strn(j, s.n ? (const char *)s.p : "", s.n);
}

static void key_limit(struct json *j, const char *key, int64_t limit)
{
    if (limit < 0)
        json_knull(j, key);
    else
        json_kint(j, key, limit);
}

static void json_task_key(struct json *j, uint32_t job, uint32_t task)
{
    json_begin_object(j);
    json_kuint(j, "job_id", job);
    json_kuint(j, "job_task_id", task);
    json_end_object(j);
}

/* A submit into an open job has a name of its own: that of its program, if it is an
 * array. */
static void json_job_desc(struct json *j, const struct told *t)
{
    const struct submit *s = t->submit;
    struct span name = s->name ? span_str(s->name) : t->text;
    char **argv = NULL;
    size_t n = 0;
    if (!s->name && !s->graph && s->n_bodies)
        argv = submit_argv(s, submit_array_argv(s), &n);
    if (argv && n)
        name = span_str(path_base(argv[0]));
    json_begin_object(j);
    key_limit(j, "max_fails", s->max_fails);
    key_span(j, "name", name);
    json_end_object(j);
    free(argv);
}

static void json_job_created(struct json *j, const struct told *t)
{
    json_kbool(j, "closed_job", t->closed_job);
    json_kuint(j, "job", t->job);
    json_key(j, "job_desc");
    json_job_desc(j, t);
    json_key(j, "submit_desc");
    raw_submit(j, t->submit);
    json_kstr(j, "type", "job-created");
}

static void json_gang_started(struct json *j, const struct told *t)
{
    json_kuint(j, "instance", t->instance);
    json_kuint(j, "job", t->job);
    json_kuint(j, "task", t->task);
    json_kstr(j, "type", "task-started");
    if (t->variant)
        json_kuint(j, "variant", t->variant);
    json_key(j, "workers");
    json_begin_array(j);
    for (uint32_t i = 0; i < t->n_nodes; i++)
        json_uint(j, t->nodes[i]);
    json_end_array(j);
}

static void json_tasks(struct json *j, const struct told *t, const char *type)
{
    json_key(j, "tasks");
    json_begin_array(j);
    for (size_t r = 0; r < t->n_runs; r++)
        for (uint32_t i = 0; i < t->runs[r].count; i++)
            json_task_key(j, t->job, tracked_task_id(t->tracked, t->runs[r].slot + i));
    json_end_array(j);
    json_kstr(j, "type", type);
}

static void json_notify(struct json *j, const struct told *t)
{
    json_key(j, "message");
    json_begin_array(j);
    for (size_t i = 0; i < t->text.n; i++)
        json_uint(j, t->text.p[i]);
    json_end_array(j);
    json_key(j, "task_id");
    json_task_key(j, t->job, t->task);
    json_kstr(j, "type", "task-notify");
    json_kuint(j, "worker_id", t->worker);
}

static void json_worker_lost(struct json *j, const struct told *t)
{
    static const char *const reasons[WORKER_END_COUNT] = {
        [WORKER_STOPPED] = "Stopped",
        [WORKER_IDLE_TIMEOUT] = "IdleTimeout",
        [WORKER_TIME_LIMIT] = "TimeLimitReached",
        [WORKER_CONNECTION_LOST] = "ConnectionLost",
        [WORKER_HEARTBEAT_LOST] = "HeartbeatLost"};
    json_kuint(j, "id", t->worker);
    json_kstr(j, "reason", reasons[t->end]);
    json_kstr(j, "type", "worker-lost");
}

static void json_allocation(struct json *j, const struct told *t, const char *type)
{
    key_span(j, "allocation-id", t->alloc->id);
    json_kuint(j, "queue-id", t->queue);
    json_kstr(j, "type", type);
    if (t->type == TOLD_ALLOC_QUEUED)
        json_kuint(j, "worker-count", t->alloc->workers);
}

static void json_members(struct json *j, const struct told *t)
{
    switch (t->type) {
    case TOLD_SERVER_START:
        key_span(j, "server_uid", t->text);
        json_kstr(j, "type", "server-start");
        break;
    case TOLD_SERVER_STOP:
        json_kstr(j, "type", "server-stop");
        break;
    case TOLD_WORKER_CONNECTED:
        json_key(j, "configuration");
        raw_worker_config(j, t->config, t->retract_check_ns);
        json_kuint(j, "id", t->worker);
        json_kstr(j, "type", "worker-connected");
        break;
    case TOLD_WORKER_LOST:
        json_worker_lost(j, t);
        break;
    case TOLD_WORKER_OVERVIEW:
        json_key(j, "hw-state");
        hw_state_json(t->load, j);
        json_kuint(j, "id", t->worker);
        json_kstr(j, "type", "worker-overview");
        break;
    case TOLD_JOB_OPENED:
        json_kuint(j, "job_id", t->job);
        key_limit(j, "max_fails", t->max_fails);
        key_span(j, "name", t->text);
        json_kstr(j, "type", "job-open");
        break;
    case TOLD_JOB_CREATED:
        json_job_created(j, t);
        break;
    case TOLD_JOB_CLOSED:
        json_kuint(j, "job_id", t->job);
        json_kstr(j, "type", "job-close");
        break;
    case TOLD_JOB_CANCELED:
        json_kuint(j, "job_id", t->job);
        key_span(j, "reason", t->text);
        json_kstr(j, "type", "job-cancel");
        break;
    case TOLD_JOB_COMPLETED:
        json_kuint(j, "job", t->job);
        json_kstr(j, "type", "job-completed");
        break;
    case TOLD_JOB_IDLE:
        json_kuint(j, "job_id", t->job);
        json_kstr(j, "type", "job-idle");
        break;
    case TOLD_TASK_STARTED:
        json_gang_started(j, t);
        break;
    case TOLD_TASK_FAILED:
        key_span(j, "error", t->text);
        json_kuint(j, "job", t->job);
        json_kuint(j, "task", t->task);
        json_kstr(j, "type", "task-failed");
        break;
    case TOLD_TASKS_CANCELED:
        json_tasks(j, t, "task-canceled");
        break;
    case TOLD_TASKS_ABORTED:
        json_tasks(j, t, "task-aborted");
        break;
    case TOLD_TASK_NOTIFY:
        json_notify(j, t);
        break;
    case TOLD_QUEUE_CREATED:
        json_key(j, "params");
        raw_alloc_params(j, t->params);
        json_kuint(j, "queue-id", t->queue);
        json_kstr(j, "type", "autoalloc-queue-created");
        break;
    case TOLD_QUEUE_REMOVED:
        json_kuint(j, "queue-id", t->queue);
        json_kstr(j, "type", "autoalloc-queue-removed");
        break;
    case TOLD_ALLOC_QUEUED:
        json_allocation(j, t, "autoalloc-allocation-queued");
        break;
    case TOLD_ALLOC_STARTED:
        json_allocation(j, t, "autoalloc-allocation-started");
        break;
    case TOLD_ALLOC_ENDED:
        json_allocation(j, t, "autoalloc-allocation-finished");
        break;
    case TOLD_TASK_FINISHED:
    case TOLD_PLACEMENT:
    case TOLD_TYPE_COUNT:
        break;
    }
}

static void print_other(struct event_json *e, const struct told *t)
{
    char tail[TAIL_BYTES];
    struct json j;
    json_init(&j, e->out, false, e->out_fd);
    json_begin_object(&j);
    json_key(&j, "event");
    json_begin_object(&j);
    json_members(&j, t);
    json_end_object(&j);
    if (j.failed && !e->failed) {
        e->failed = true;
        e->sys = j.sys;
    }
    buf_append(e->out, tail, (size_t)(put_tail(e, tail, t->time_us) - tail));
}

void event_json_print(struct event_json *e, const struct told *t)
{
    if (t->type == TOLD_PLACEMENT)
        return;
    e->lines++;
    if (t->type == TOLD_TASK_STARTED && t->n_nodes <= 1)
        print_started(e, t);
    else if (t->type == TOLD_TASK_FINISHED)
        print_finished(e, t);
    else
        print_other(e, t);
}
