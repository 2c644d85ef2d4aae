/* hq job open, close, cancel, forget */
#include "cli/cmds.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/path.h"
#include "cli/session.h"
#include "client/requests.h"
#include "submit/build.h"

/* One request about the selected jobs; `put` adds it to the batch. */
static int change_jobs(struct run *r, struct op_results *out,
                       void (*put)(struct run *r, struct buf *batch, struct span jobs),
                       struct error *err)
{
    struct client *c = NULL;
    *out = (struct op_results){0};
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    rc = session_selector(r, "SELECTOR", &selector, err);
    if (rc == 0) {
        put(r, client_batch(c), span_buf(&selector));
        rc = client_results(c, out, err);
    }
    buf_release(&selector);
    client_close(c);
    return rc;
}

/* --- cancel ------------------------------------------------------------- */

static void put_cancel(struct run *r, struct buf *batch, struct span jobs)
{
    const char *reason = args_str(r->args, "reason");
    struct msg_REQ_JOB_CANCEL m = {
        .jobs = jobs, .reason = span_str(reason), .has_reason = reason != NULL};
    msg_put_REQ_JOB_CANCEL(batch, &m);
}

static void report_cancel(const struct op_result *one)
{
    switch ((enum op_outcome)one->outcome) {
    case OP_DONE:
        log_info("Job %u canceled (%u tasks canceled, %u tasks already finished)",
                 one->id, one->a, one->b);
        break;
    case OP_NOT_FOUND:
        log_error("Canceling job %u failed; job not found", one->id);
        break;
    case OP_NOTHING:
    case OP_IGNORED:
        log_error("Canceling job %u failed; all tasks are already finished", one->id);
        break;
    case OP_FAILED:
        log_error("Canceling job %u failed; %.*s", one->id, (int)one->message.n,
                  (const char *)one->message.p);
        break;
    }
}

int job_cancel_run(struct run *r, struct error *err)
{
    struct op_results out;
    int rc = change_jobs(r, &out, put_cancel, err);
    for (size_t i = 0; rc == 0 && i < out.n; i++)
        report_cancel(&out.items[i]);
    if (rc == 0 && out.n == 0)
        log_info("There is nothing to cancel");
    op_results_release(&out);
    return rc;
}

/* --- close -------------------------------------------------------------- */

static void put_close(struct run *r, struct buf *batch, struct span jobs)
{
    (void)r;
    struct msg_REQ_JOB_CLOSE m = {.jobs = jobs};
    msg_put_REQ_JOB_CLOSE(batch, &m);
}

static void report_close(const struct op_result *one)
{
    switch ((enum op_outcome)one->outcome) {
    case OP_DONE:
        log_info("Job %u closed", one->id);
        break;
    case OP_NOT_FOUND:
        log_error("Closing job %u failed; job not found", one->id);
        break;
    case OP_NOTHING:
    case OP_IGNORED:
        log_error("Closing job %u failed; job is already closed", one->id);
        break;
    case OP_FAILED:
        log_error("Closing job %u failed; %.*s", one->id, (int)one->message.n,
                  (const char *)one->message.p);
        break;
    }
}

int job_close_run(struct run *r, struct error *err)
{
    struct op_results out;
    int rc = change_jobs(r, &out, put_close, err);
    for (size_t i = 0; rc == 0 && i < out.n; i++)
        report_close(&out.items[i]);
    if (rc == 0 && out.n == 0)
        log_info("There is nothing to close");
    op_results_release(&out);
    return rc;
}

/* --- forget ------------------------------------------------------------- */

static void put_forget(struct run *r, struct buf *batch, struct span jobs)
{
    struct msg_REQ_JOB_FORGET m = {.jobs = jobs, .states = session_states(r, "filter")};
    msg_put_REQ_JOB_FORGET(batch, &m);
}

int job_forget_run(struct run *r, struct error *err)
{
    struct op_results out;
    int rc = change_jobs(r, &out, put_forget, err);
    size_t n = 0;
    for (size_t i = 0; rc == 0 && i < out.n; i++)
        n += out.items[i].outcome == OP_DONE;
    if (rc == 0) {
        char ignored[80] = "";
        if (out.n > n)
            snprintf(ignored, sizeof ignored,
                     ", %zu were ignored due to wrong state or invalid ID", out.n - n);
        log_info("%zu job%s were forgotten%s", n, n == 1 ? "" : "s", ignored);
    }
    op_results_release(&out);
    return rc;
}

/* --- open --------------------------------------------------------------- */

int job_open_run(struct run *r, struct error *err)
{
    const char *name = args_str(r->args, "name");
    const char *max_fails = args_str(r->args, "max-fails");
    struct client *c = NULL;
    uint32_t job = 0;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    char *dir = path_cwd();
    struct msg_REQ_JOB_OPEN m = {
        .name = span_str(name),
        .max_fails = max_fails ? (int64_t)strtoul(max_fails, NULL, 10) : -1,
        .submit_dir = span_str(dir)};
    rc = dir ? job_name_check(name, err)
             : error_sys(err, "cannot find the current directory");
    if (rc == 0) {
        msg_put_REQ_JOB_OPEN(client_batch(c), &m);
        rc = client_submitted(c, &job, err);
    }
    client_close(c);
    free(dir);
    if (rc)
        return rc;
    if (r->out->mode == OUTPUT_JSON) {
        struct json *j = output_json(r->out);
        json_begin_object(j);
        json_kuint(j, "id", job);
        json_end_object(j);
        output_end_json(r->out);
    } else {
        output_printf(r->out, r->out->mode == OUTPUT_CLI ? "Job %u is open.\n" : "%u\n",
                      job);
    }
    return 0;
}
