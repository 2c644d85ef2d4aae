#include "cli/submit_send.h"

#include "cli/waiting.h"

static void print_id(struct run *r, uint32_t job, const struct notices *notices)
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

static int send_submit(struct client *c, const struct submit *s, uint32_t *job,
                       struct error *err)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct msg_RSP_SUBMITTED reply;
    struct span body;
    submit_encode(s, &text);
    if (text.failed) {
        buf_release(&text);
        return error_set(err, ERR_TOO_BIG, "the submit is larger than 1 GiB");
    }
    struct msg_REQ_SUBMIT req = {.submit = span_buf(&text)};
    msg_put_REQ_SUBMIT(client_batch(c), &req);
    buf_release(&text);
    int rc = client_call(c, MSG_RSP_SUBMITTED, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_SUBMITTED(body, &reply, err);
    if (rc == 0)
        *job = reply.job;
    return rc;
}

static int wait_for(struct run *r, struct client *c, uint32_t job, uint64_t n_tasks,
                    struct notices *notices, struct error *err)
{
    struct selector s = {.kind = SELECT_IDS};
    struct buf jobs = BUF_INIT(BUF_MAX_DEFAULT);
    if (idset_add(&s.ids, job, 1, 1))
        return error_nomem(err);
    selector_put(&jobs, &s);
    selector_release(&s);
    struct waiting w = {.jobs = &jobs,
                        .progress = args_flag(r->args, "progress"),
                        .on_notify = args_str(r->args, "on-notify"),
                        .submitted = &n_tasks,
                        .notices = notices,
                        .fail_on_error = waiting_fails_on_error(r)};
    output_flush(r->out);
    int rc = waiting_run(c, r->out, &w, err);
    r->status = w.failed ? 1 : 0;
    buf_release(&jobs);
    return rc;
}

int submit_send(struct run *r, struct client *c, struct submit *s,
                struct notices *notices, struct error *err)
{
    uint32_t job = 0;
    bool waits = args_declared(r->args, "wait") &&
                 (args_flag(r->args, "wait") || args_flag(r->args, "progress"));
    int rc = send_submit(c, s, &job, err);
    if (rc)
        return rc;
    print_id(r, job, notices);
    return waits ? wait_for(r, c, job, submit_task_count(s), notices, err) : 0;
}
