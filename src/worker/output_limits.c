/* The limit of a job's output: what this worker writes of it is told to the server ten
 * times a second, and the server tells when all workers together are at the limit. */
#include "worker/internal.h"

#include <stdlib.h>
#include "base/xmem.h"

#define TELL_MS 100

struct job_output {
    uint64_t untold; /* bytes since the last message */
    uint64_t limit;  /* of the task that wrote last */
    uint64_t total;  /* of all workers, when the server told; else 0 */
};

static struct job_output *output_of(struct worker *w, uint32_t job, bool make)
{
    uint64_t value;
    if (u64map_get(&w->job_outputs, job, &value))
        return (struct job_output *)(uintptr_t)value;
    if (!make)
        return NULL;
    struct job_output *o = xcalloc(1, sizeof *o);
    if (u64map_set(&w->job_outputs, job, (uint64_t)(uintptr_t)o) != 0)
        abort();
    return o;
}

static void tell(void *arg)
{
    struct worker *w = arg;
    size_t pos = 0;
    uint64_t job, value;
    if (!w->registered)
        return;
    while (u64map_next(&w->job_outputs, &pos, &job, &value)) {
        struct job_output *o = (struct job_output *)(uintptr_t)value;
        if (o->untold == 0)
            continue;
        struct msg_JOB_OUTPUT m = {
            .job = (uint32_t)job, .bytes = o->untold, .limit = o->limit};
        msg_put_JOB_OUTPUT(io_conn_batch(w->conn), &m);
        o->untold = 0;
    }
}

static uint64_t limit_of(const struct task *t)
{
    return t->group->body->body.max_job_output;
}

static void stop_if_full(const struct job_output *o, struct task *t)
{
    if (limit_of(t) && t->stream && o->total >= limit_of(t))
        outlog_task_job_full(t->stream, limit_of(t));
}

void output_limits_begin(struct worker *w, struct task *t)
{
    const struct job_output *o = limit_of(t) ? output_of(w, t->job, false) : NULL;
    if (o)
        stop_if_full(o, t);
}

void output_limits_count(struct worker *w, const struct task *t, uint64_t bytes)
{
    if (!limit_of(t) || bytes == 0)
        return;
    struct job_output *o = output_of(w, t->job, true);
    o->untold += bytes;
    o->limit = limit_of(t);
    if (!w->tell_output)
        w->tell_output = io_timer_create(w->loop, tell, w);
    if (!io_timer_active(w->tell_output))
        io_timer_start(w->tell_output, TELL_MS, 0);
}

void output_limits_full(struct worker *w, uint32_t job, uint64_t bytes)
{
    struct job_output *o = output_of(w, job, true);
    size_t pos = 0;
    uint64_t handle, value;
    o->total = bytes;
    while (u64map_next(&w->tasks, &pos, &handle, &value)) {
        struct task *t = (struct task *)(uintptr_t)value;
        if (t->job == job)
            stop_if_full(o, t);
    }
}

void output_limits_drop_job(struct worker *w, uint32_t job)
{
    free(output_of(w, job, false));
    (void)u64map_remove(&w->job_outputs, job);
}

void output_limits_forget(struct worker *w)
{
    size_t pos = 0;
    uint64_t job, value;
    while (u64map_next(&w->job_outputs, &pos, &job, &value))
        free((struct job_output *)(uintptr_t)value);
    u64map_release(&w->job_outputs);
}

void output_limits_release(struct worker *w)
{
    output_limits_forget(w);
    io_timer_destroy(w->tell_output);
}
