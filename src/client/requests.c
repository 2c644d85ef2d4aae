#include "client/requests.h"

#include <stdlib.h>
#include "base/vec.h"

/* --- submitting --------------------------------------------------------- */

int client_put_submit(struct client *c, const struct submit *s, struct error *err)
{
    /* The encoded submit is gone from memory before the answer is waited for. */
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    submit_encode(s, &text);
    bool failed = text.failed;
    struct msg_REQ_SUBMIT req = {.submit = span_buf(&text)};
    if (!failed)
        msg_put_REQ_SUBMIT(client_batch(c), &req);
    buf_release(&text);
    return failed ? error_set(err, ERR_TOO_BIG, "the submit is larger than 1 GiB") : 0;
}

int client_submitted(struct client *c, uint32_t *job, struct error *err)
{
    struct msg_RSP_SUBMITTED reply;
    struct span body;
    int rc = client_call(c, MSG_RSP_SUBMITTED, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_SUBMITTED(body, &reply, err);
    if (rc == 0)
        *job = reply.job;
    return rc;
}

/* --- listing ------------------------------------------------------------ */

void job_list_release(struct job_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        job_info_release(&list->items[i]);
    free(list->items);
    *list = (struct job_list){0};
}

static int take_jobs(struct span body, struct job_list *list, struct error *err)
{
    struct msg_RSP_JOB_LIST m;
    int rc = msg_get_RSP_JOB_LIST(body, &m, err);
    if (rc)
        return rc;
    struct cursor c = cursor_make(m.jobs.p, m.jobs.n);
    struct job_info info;
    list->total = m.total;
    while (job_info_get(&c, &info)) {
        if (list->n == list->cap &&
            !vec_grow(&list->items, &list->cap, list->n, 1, sizeof *list->items)) {
            job_info_release(&info);
            return error_nomem(err);
        }
        list->items[list->n++] = info;
    }
    return c.failed ? error_set(err, ERR_CORRUPT, "malformed list of jobs") : 0;
}

int client_list_jobs(struct client *c, const struct selector *which,
                     struct job_list *out, struct error *err)
{
    const struct selector all = {.kind = SELECT_ALL};
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    struct span body;
    *out = (struct job_list){0};
    selector_put(&selector, which ? which : &all);
    struct msg_REQ_JOB_LIST req = {.jobs = span_buf(&selector)};
    msg_put_REQ_JOB_LIST(client_batch(c), &req);
    int rc = selector.failed ? error_nomem(err)
                             : client_call(c, MSG_RSP_JOB_LIST, &body, err);
    if (rc == 0)
        rc = take_jobs(body, out, err);
    if (rc)
        job_list_release(out);
    buf_release(&selector);
    return rc;
}

static int visit_worker(struct span body, worker_visit_fn *fn, void *arg,
                        struct error *err)
{
    struct msg_RSP_WORKER m;
    struct worker_info info;
    int rc = msg_get_RSP_WORKER(body, &m, err);
    if (rc || !m.found)
        return rc ? rc : fn(arg, m.worker, NULL, err);
    if (worker_info_get(m.worker_info, &info))
        return error_set(err, ERR_CORRUPT, "malformed description of a worker");
    return fn(arg, m.worker, &info, err);
}

int client_visit_workers(struct client *c, const struct buf *selector,
                         worker_visit_fn *fn, void *arg, struct error *err)
{
    struct msg_REQ_WORKER_LIST req = {.workers = span_buf(selector)};
    if (selector->failed)
        return error_nomem(err);
    msg_put_REQ_WORKER_LIST(client_batch(c), &req);
    int rc = client_send(c, err);
    while (rc == 0) {
        struct span body;
        rc = client_next(c, MSG_RSP_WORKER, &body, err);
        if (rc == 0)
            rc = visit_worker(body, fn, arg, err);
    }
    return rc == 1 ? 0 : rc;
}

int client_server_info(struct client *c, struct server_info *out, struct error *err)
{
    struct msg_REQ_SERVER_INFO req;
    struct msg_RSP_SERVER_INFO m;
    struct span body;
    memset(&req, 0, sizeof req);
    msg_put_REQ_SERVER_INFO(client_batch(c), &req);
    int rc = client_call(c, MSG_RSP_SERVER_INFO, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_SERVER_INFO(body, &m, err);
    if (rc == 0 && server_info_get(m.info, out))
        rc = error_set(err, ERR_CORRUPT, "malformed description of the server");
    return rc;
}

/* --- changing ----------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const struct op_result *)a)->id,
             y = ((const struct op_result *)b)->id;
    return (x > y) - (x < y);
}

static int take_results(struct span body, struct op_results *out, struct error *err)
{
    struct msg_RSP_RESULTS m;
    int rc = msg_get_RSP_RESULTS(body, &m, err);
    if (rc)
        return rc;
    buf_append(&out->text, m.results.p, m.results.n);
    if (out->text.failed)
        return error_nomem(err);
    struct cursor c = cursor_make(out->text.data, out->text.len);
    struct op_result one;
    while (op_result_get(&c, &one)) {
        if (out->n == out->cap &&
            !vec_grow(&out->items, &out->cap, out->n, 1, sizeof *out->items))
            return error_nomem(err);
        out->items[out->n++] = one;
    }
    if (out->n)
        qsort(out->items, out->n, sizeof *out->items, by_id);
    return c.failed ? error_set(err, ERR_CORRUPT, "malformed list of results") : 0;
}

int client_results(struct client *c, struct op_results *out, struct error *err)
{
    struct span body;
    *out = (struct op_results){.text = BUF_INIT(BUF_MAX_DEFAULT)};
    int rc = client_call(c, MSG_RSP_RESULTS, &body, err);
    return rc ? rc : take_results(body, out, err);
}

void op_results_release(struct op_results *r)
{
    free(r->items);
    buf_release(&r->text);
    *r = (struct op_results){0};
}

/* --- waiting ------------------------------------------------------------ */

void client_put_wait(struct client *c, const struct wait_options *options)
{
    struct buf none = BUF_INIT(BUF_MAX_DEFAULT);
    const struct selector nothing = {.kind = SELECT_IDS};
    selector_put(&none, &nothing);
    struct msg_REQ_JOB_WAIT req = {.jobs =
                                       span_buf(options->jobs ? options->jobs : &none),
                                   .without_close = options->without_close,
                                   .progress = options->progress,
                                   .notify = options->notify};
    msg_put_REQ_JOB_WAIT(client_batch(c), &req);
    buf_release(&none);
}

int wait_snapshot_get(struct span body, struct wait_snapshot *s, struct error *err)
{
    struct msg_RSP_PROGRESS m;
    int rc = msg_get_RSP_PROGRESS(body, &m, err);
    if (rc)
        return rc;
    struct cursor c = cursor_make(m.counts.p, m.counts.n);
    *s = (struct wait_snapshot){m.done, m.jobs, m.jobs_done, {{0}}};
    for (size_t i = 0; i < TASK_STATE_COUNT; i++)
        s->counts.n[i] = cursor_varint32(&c);
    return c.failed ? error_set(err, ERR_CORRUPT, "malformed progress") : 0;
}
