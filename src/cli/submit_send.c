#include "cli/submit_send.h"

#include "cli/waiting.h"

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

/* The encoded submit is gone from memory before the answer is waited for. */
static int put_submit(struct client *c, const struct submit *s, struct error *err)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    submit_encode(s, &text);
    bool failed = text.failed;
    struct msg_REQ_SUBMIT req = {.submit = span_buf(&text)};
    if (!failed)
        msg_put_REQ_SUBMIT(client_batch(c), &req);
    buf_release(&text);
    return failed ? error_set(err, ERR_TOO_BIG, "the submit is larger than 1 GiB") : 0;
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
    struct msg_RSP_SUBMITTED reply;
    struct span body;
    /* To the server 0 means a new job. */
    if (args_given(r->args, "job") && s->job == 0)
        return error_set(err, ERR_NOT_FOUND, "Job 0 not found.");
    int rc = put_submit(c, s, err);
    /* In one batch, so that nothing happens to the job before it is watched. */
    if (rc == 0 && waits)
        waiting_put(c, &w);
    if (rc == 0)
        rc = client_call(c, MSG_RSP_SUBMITTED, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_SUBMITTED(body, &reply, err);
    if (rc)
        return rc;
    submit_print_id(r, reply.job, notices);
    if (!waits)
        return 0;
    output_flush(r->out);
    rc = waiting_follow(c, r->out, &w, err);
    r->status = w.failed ? 1 : 0;
    return rc;
}
