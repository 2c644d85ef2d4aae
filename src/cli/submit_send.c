#include "cli/submit_send.h"

#include "cli/waiting.h"
#include "client/requests.h"

void submit_print_id(struct run *r, uint32_t job, const struct notices *notices)
{
    switch (r->out->mode) {
    case OUTPUT_CLI:
        output_puts(r->out, "Job submitted ");
        output_coloured(r->out, COLOUR_GREEN, "successfully");
        output_printf(r->out, ", job ID: %u\n", job);
        break;
    case OUTPUT_JSON: {
        struct json *j = output_json(r->out);
        json_begin_object(j);
        json_kuint(j, "id", job);
        notices_json(notices, j);
        json_end_object(j);
        output_end_json(r->out);
        break;
    }
    case OUTPUT_QUIET:
        output_printf(r->out, "%u\n", job);
        break;
    }
}

/* Whether the command, which may be one that cannot wait, was told to. */
static bool wants_waiting(const struct run *r, struct waiting *w)
{
    if (!args_declared(r->args, "wait"))
        return false;
    w->progress = args_flag(r->args, "progress");
    w->on_notify = args_str(r->args, "on-notify");
    w->fail_on_error = waiting_fails_on_error(r);
    return w->progress || args_flag(r->args, "wait");
}

int submit_send(struct run *r, struct client *c, struct submit *s,
                struct notices *notices, struct error *err)
{
    uint64_t n_tasks = submit_task_count(s);
    struct waiting w = {.submitted = &n_tasks, .notices = notices};
    bool waits = wants_waiting(r, &w);
    uint32_t job = 0;
    /* To the server 0 means a new job. */
    if (args_given(r->args, "job") && s->job == 0)
        return error_set(err, ERR_NOT_FOUND, "Job 0 not found.");
    int rc = client_put_submit(c, s, err);
    /* In one batch, so that nothing happens to the job before it is watched. */
    if (rc == 0 && waits)
        waiting_put(c, &w);
    if (rc == 0)
        rc = client_submitted(c, &job, err);
    if (rc)
        return rc;
    submit_print_id(r, job, notices);
    if (!waits)
        return 0;
    output_flush(r->out);
    rc = waiting_follow(c, r->out, &w, err);
    r->status = w.failed ? 1 : 0;
    return rc;
}
