/* Connections of clients: one request after the other, each with one answer. */
#include "server/internal.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/xmem.h"
#include "server/feed.h"
#include "server/history.h"

#define BACKLOG_MAX ((size_t)256 << 20) /* a client that does not read is dropped */
#define QUEUED_MAX ((size_t)1 << 30)    /* requests that wait behind a staged one */

#define SELECTOR_IDS_MAX 10000000

void client_reply_error(struct client_link *c, const struct error *err)
{
    struct msg_RSP_ERROR m = {.code = err->code, .message = span_str(err->text)};
    msg_put_RSP_ERROR(io_conn_batch(c->conn), &m);
}

void client_reply_ok(struct client_link *c)
{
    struct msg_RSP_OK m;
    memset(&m, 0, sizeof m);
    msg_put_RSP_OK(io_conn_batch(c->conn), &m);
}

/* ---- selectors ------------------------------------------------------------------- */

typedef bool job_filter(const struct job *job);

static bool any_job(const struct job *job)
{
    (void)job;
    return true;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Ids that the selector names, in its order; `all` ascending, of those that pass the
 * filter. The caller frees them. */
static uint32_t *select_jobs(struct server *s, const struct selector *sel,
                             job_filter *all_filter, size_t *n)
{
    uint32_t *ids = NULL;
    *n = 0;
    switch (sel->kind) {
    case SELECT_LAST:
        ids = xmalloc(sizeof *ids);
        if (s->state.last_job)
            ids[(*n)++] = s->state.last_job;
        break;
    case SELECT_IDS: {
        uint64_t count = idset_count(&sel->ids);
        ids = xmalloc((size_t)(count + 1) * sizeof *ids);
        struct idset_iter it = IDSET_ITER(&sel->ids);
        while (idset_next(&it, &ids[*n]))
            ++*n;
        break;
    }
    case SELECT_ALL: {
        size_t pos = 0;
        uint64_t id, value;
        ids = xmalloc((s->state.jobs.n + 1) * sizeof *ids);
        while (u64map_next(&s->state.jobs, &pos, &id, &value))
            if (all_filter((const struct job *)(uintptr_t)value))
                ids[(*n)++] = (uint32_t)id;
        qsort(ids, *n, sizeof *ids, by_value);
        break;
    }
    }
    return ids;
}

/* A selector of a request; refuses one whose ids would keep the server busy. */
static bool take_selector(struct client_link *c, struct span span, struct selector *sel)
{
    struct error err = ERROR_INIT;
    if (selector_get(span, sel) != 0) {
        (void)error_set(&err, ERR_CORRUPT, "malformed selector");
        client_reply_error(c, &err);
        return false;
    }
    uint64_t n = idset_count(&sel->ids);
    if (n > SELECTOR_IDS_MAX) {
        selector_release(sel);
        (void)error_set(&err, ERR_TOO_BIG,
                        "the selector names %llu ids, at most %d are taken at once",
                        (unsigned long long)n, SELECTOR_IDS_MAX);
        client_reply_error(c, &err);
        return false;
    }
    return true;
}

/* ---- requests that only look ------------------------------------------------------
 */

static void on_server_info(struct client_link *c)
{
    struct server_info info;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    show_server_info(c->server, &info);
    server_info_put(&b, &info);
    struct msg_RSP_SERVER_INFO m = {.info = span_buf(&b)};
    msg_put_RSP_SERVER_INFO(io_conn_batch(c->conn), &m);
    buf_release(&b);
}

static void on_job_list(struct client_link *c, const struct msg_REQ_JOB_LIST *req)
{
    struct server *s = c->server;
    struct selector sel;
    if (!take_selector(c, req->jobs, &sel))
        return;
    size_t n;
    uint32_t *ids = select_jobs(s, &sel, any_job, &n);
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < n; i++) {
        const struct job *job = state_job(&s->state, ids[i]);
        if (job)
            show_job(job, &b);
    }
    struct msg_RSP_JOB_LIST m = {.total = s->state.jobs.n, .jobs = span_buf(&b)};
    msg_put_RSP_JOB_LIST(io_conn_batch(c->conn), &m);
    buf_release(&b);
    free(ids);
    selector_release(&sel);
}

static void on_job_detail(struct client_link *c, const struct msg_REQ_JOB_DETAIL *req)
{
    struct server *s = c->server;
    struct selector sel;
    if (!take_selector(c, req->jobs, &sel))
        return;
    size_t n;
    uint32_t *ids = select_jobs(s, &sel, any_job, &n);
    for (size_t i = 0; i < n; i++) {
        struct job *job = state_job(&s->state, ids[i]);
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        if (job)
            show_job_detail(s, job, req->submits, &b);
        struct msg_RSP_JOB_DETAIL m = {
            .found = job != NULL, .job = ids[i], .detail = span_buf(&b)};
        msg_put_RSP_JOB_DETAIL(io_conn_batch(c->conn), &m);
        buf_release(&b);
    }
    client_reply_ok(c);
    free(ids);
    selector_release(&sel);
}

static void on_task_page(struct client_link *c, const struct msg_REQ_TASK_PAGE *req)
{
    struct job *job = state_job(&c->server->state, req->job);
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    uint32_t next =
        job && req->slot < job->n_slots ? show_task_page(job, req->slot, &b) : 0;
    struct msg_RSP_TASK_PAGE m = {.next_slot = next,
                                  .end = !job || next == 0 || next >= job->n_slots,
                                  .page = span_buf(&b)};
    msg_put_RSP_TASK_PAGE(io_conn_batch(c->conn), &m);
    buf_release(&b);
}

static void on_placements(struct client_link *c, const struct msg_REQ_PLACEMENTS *req)
{
    const struct job *job = state_job(&c->server->state, req->job);
    struct cursor slots = cursor_make(req->slots.p, req->slots.n);
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    while (cursor_left(&slots) && !slots.failed) {
        uint32_t slot = cursor_varint32(&slots);
        uint32_t number = job && !slots.failed ? job_placement(job, slot) : 0;
        struct span bytes = state_placement(&c->server->state, number);
        buf_bytes(&b, bytes.p, bytes.n);
    }
    struct msg_RSP_PLACEMENTS m = {.list = span_buf(&b)};
    msg_put_RSP_PLACEMENTS(io_conn_batch(c->conn), &m);
    buf_release(&b);
}

static void on_job_wait(struct client_link *c, const struct msg_REQ_JOB_WAIT *req)
{
    struct selector sel;
    if (!take_selector(c, req->jobs, &sel))
        return;
    if (sel.kind == SELECT_IDS && sel.ids.n_ranges == 0 && c->submitted &&
        idset_add(&sel.ids, c->submitted, 1, 1) != 0)
        abort();
    wait_begin(c, &sel, req->without_close, req->progress, req->notify);
    selector_release(&sel);
}

static void on_worker_list(struct client_link *c, const struct msg_REQ_WORKER_LIST *req)
{
    struct server *s = c->server;
    struct selector sel;
    if (!take_selector(c, req->workers, &sel))
        return;
    for (uint32_t id = 1; id <= s->state.n_workers; id++) {
        const struct worker *w = state_worker(&s->state, id);
        bool wanted = sel.kind == SELECT_ALL ||
                      (sel.kind == SELECT_LAST && id == s->next_worker - 1) ||
                      (sel.kind == SELECT_IDS && idset_contains(&sel.ids, id));
        if (!w || !wanted)
            continue;
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        show_worker(s, w, &b);
        struct msg_RSP_WORKER m = {
            .found = true, .worker = id, .worker_info = span_buf(&b)};
        msg_put_RSP_WORKER(io_conn_batch(c->conn), &m);
        buf_release(&b);
    }
    struct idset_iter it = IDSET_ITER(&sel.ids);
    uint32_t id;
    while (sel.kind == SELECT_IDS && idset_next(&it, &id)) {
        if (state_worker(&s->state, id))
            continue;
        struct msg_RSP_WORKER m = {.found = false, .worker = id};
        msg_put_RSP_WORKER(io_conn_batch(c->conn), &m);
    }
    client_reply_ok(c);
    selector_release(&sel);
}

static void on_explain(struct client_link *c, const struct msg_REQ_TASK_EXPLAIN *req)
{
    struct server *s = c->server;
    struct error err = ERROR_INIT;
    struct job *job = state_job(&s->state, req->last ? s->state.last_job : req->job);
    uint32_t slot;
    if (!job)
        (void)error_set(&err, ERR_NOT_FOUND, "Error: Job not found");
    else if (!job_slot_of(job, req->task, &slot))
        (void)error_set(&err, ERR_NOT_FOUND, "Error: Task not found");
    else if (task_state_terminal(job_task_state(job, slot)))
        (void)error_set(&err, ERR_INVALID,
                        "Error: Explain command works only for tasks in WAITING or "
                        "RUNNING state");
    else {
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        show_explanation(s, job, slot, &b);
        struct msg_RSP_EXPLAIN m = {.explanation = span_buf(&b)};
        msg_put_RSP_EXPLAIN(io_conn_batch(c->conn), &m);
        buf_release(&b);
        return;
    }
    client_reply_error(c, &err);
}

static void on_log_find(struct client_link *c, const struct msg_REQ_LOG_FIND *req)
{
    struct server *s = c->server;
    struct job *job = state_job(&s->state, req->last ? s->state.last_job : req->job);
    struct msg_RSP_LOG_FIND m = {.job = job ? job->id : 0};
    for (size_t i = 0; job && i < job->n_submits && !m.kind; i++)
        for (size_t k = 0; k < job->submits[i].spec.n_bodies && !m.kind; k++) {
            const struct task_body *b = &job->submits[i].spec.bodies[k];
            m.kind = b->stream_kind;
            m.path = span_str(b->stream);
        }
    msg_put_RSP_LOG_FIND(io_conn_batch(c->conn), &m);
}

static void on_debug_dump(struct client_link *c, const struct msg_REQ_DEBUG_DUMP *req)
{
    struct error err = ERROR_INIT;
    char *path = span_dup(req->path);
    int rc = path ? dump_write(c->server, path, &err) : error_nomem(&err);
    free(path);
    if (rc != 0)
        client_reply_error(c, &err);
    else
        client_reply_ok(c);
}

/* One that was asked to stop counts as stopped: asking again changes nothing. */
static bool may_stop(const struct server *s, uint32_t id)
{
    const struct worker_link *link = worker_link_of(s, id);
    return link && !link->stop_deadline_us;
}

static void on_worker_stop(struct client_link *c, const struct msg_REQ_WORKER_STOP *req)
{
    struct server *s = c->server;
    struct selector sel;
    if (!take_selector(c, req->workers, &sel))
        return;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct idset ids = IDSET_INIT;
    int rc = 0;
    if (sel.kind == SELECT_IDS) {
        rc = idset_sorted(&ids, &sel.ids);
    } else if (sel.kind == SELECT_LAST) {
        if (s->next_worker > 1)
            rc = idset_add(&ids, s->next_worker - 1, 1, 1);
    } else {
        for (uint32_t id = 1; id <= s->state.n_workers && rc == 0; id++)
            if (may_stop(s, id))
                rc = idset_add(&ids, id, 1, 1);
    }
    if (rc != 0)
        abort();
    struct idset_iter it = IDSET_ITER(&ids);
    uint32_t id;
    while (idset_next(&it, &id)) {
        struct op_result r = {.id = id,
                              .outcome = may_stop(s, id)               ? OP_DONE
                                         : state_worker(&s->state, id) ? OP_NOTHING
                                                                       : OP_NOT_FOUND};
        if (r.outcome == OP_DONE)
            worker_ask_to_stop(worker_link_of(s, id), WORKER_STOPPED);
        op_result_put(&b, &r);
    }
    struct msg_RSP_RESULTS m = {.results = span_buf(&b)};
    msg_put_RSP_RESULTS(io_conn_batch(c->conn), &m);
    buf_release(&b);
    idset_release(&ids);
    selector_release(&sel);
}

/* ---- requests that change something -----------------------------------------------
 */

/* A submit that waits for its commit. */
struct submit_request {
    uint32_t job;
    uint64_t time_us;
    struct submit spec;
};

static void submit_apply(struct server *s, struct client_link *c, bool ok,
                         const struct error *err, void *arg)
{
    struct submit_request *r = arg;
    if (ok)
        (void)state_apply_submit(&s->state, r->job, &r->spec, r->time_us);
    if (c)
        c->submitted = ok ? r->job : 0;
    if (c && ok) {
        struct msg_RSP_SUBMITTED m = {.job = r->job};
        msg_put_RSP_SUBMITTED(io_conn_batch(c->conn), &m);
    } else if (c) {
        client_reply_error(c, err);
    }
    submit_release(&r->spec);
    free(r);
}

/* What came from making the spec goes on to the checks, the journal and the answer. */
static void submit_begin(struct client_link *c, struct submit_request *r, int rc,
                         struct error *err)
{
    struct server *s = c->server;
    c->submitted = 0;
    if (rc == 0) {
        r->job = r->spec.job ? r->spec.job : s->next_job;
        rc = submit_resolve(s, &r->spec, r->job, err);
        if (rc != 0)
            submit_release(&r->spec);
    }
    if (rc != 0) {
        client_reply_error(c, err);
        free(r);
        return;
    }
    if (r->job == s->next_job)
        s->next_job++;
    r->time_us = s->now_us;
    struct buf event = BUF_INIT(JOURNAL_RECORD_MAX);
    if (s->journal || feeds_wanted(s)) {
        event_begin(&event, EVENT_JOB_SUBMITTED, r->time_us);
        buf_u32(&event, r->job);
        if (s->journal)
            submit_encode(&r->spec, &event);
        else
            history_put_submit(&r->spec, &event);
    }
    feeds_before_submit(s, r->job);
    commit_request(s, c, &event, r->job, submit_apply, r);
}

static void on_submit(struct client_link *c, const struct msg_REQ_SUBMIT *req)
{
    struct error err = ERROR_INIT;
    struct cursor cur = cursor_make(req->submit.p, req->submit.n);
    struct submit_request *r = xcalloc(1, sizeof *r);
    int rc = submit_decode(&r->spec, &cur, &err);
    submit_begin(c, r, rc, &err);
}

static void on_resubmit(struct client_link *c, const struct msg_REQ_JOB_RESUBMIT *req)
{
    struct server *s = c->server;
    struct error err = ERROR_INIT;
    struct job *job = state_job(&s->state, req->last ? s->state.last_job : req->job);
    struct submit_request *r = xcalloc(1, sizeof *r);
    int rc = job         ? resubmit_make(job, req->states, &r->spec, &err)
             : req->last ? error_set(&err, ERR_NOT_FOUND, "There are no jobs")
                         : error_set(&err, ERR_NOT_FOUND, "Job %u not found", req->job);
    submit_begin(c, r, rc, &err);
}

static void flush_apply(struct server *s, struct client_link *c, bool ok,
                        const struct error *err, void *arg)
{
    (void)s;
    (void)arg;
    if (c && ok)
        client_reply_ok(c);
    else if (c)
        client_reply_error(c, err);
}

struct open_request {
    uint32_t job;
    int64_t max_fails;
    uint64_t time_us;
    char *name, *submit_dir;
};

static void open_apply(struct server *s, struct client_link *c, bool ok,
                       const struct error *err, void *arg)
{
    struct open_request *r = arg;
    if (ok)
        (void)state_apply_open(&s->state, r->job, r->name, r->max_fails, r->submit_dir,
                               r->time_us);
    if (c && ok) {
        struct msg_RSP_SUBMITTED m = {.job = r->job};
        msg_put_RSP_SUBMITTED(io_conn_batch(c->conn), &m);
    } else if (c) {
        client_reply_error(c, err);
    }
    free(r->name);
    free(r->submit_dir);
    free(r);
}

static void on_job_open(struct client_link *c, const struct msg_REQ_JOB_OPEN *req)
{
    struct server *s = c->server;
    struct open_request *r = xcalloc(1, sizeof *r);
    r->job = s->next_job++;
    r->max_fails = req->max_fails;
    r->time_us = s->now_us;
    r->name = span_dup(req->name);
    r->submit_dir = span_dup(req->submit_dir);
    if (!r->name || !r->submit_dir)
        abort();
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_JOB_OPENED, r->time_us);
    buf_u32(&event, r->job);
    buf_str(&event, r->name);
    buf_zigzag(&event, r->max_fails);
    buf_str(&event, r->submit_dir);
    commit_request(s, c, &event, 0, open_apply, r);
}

/* Close, cancel and forget: several jobs, one answer each, in one commit. */
enum jobs_op { JOBS_CLOSE, JOBS_CANCEL, JOBS_FORGET };
struct jobs_request {
    enum jobs_op op;
    uint32_t *ids;
    size_t n;
    uint32_t states; /* forget: bit set of enum job_state */
    uint64_t time_us;
    char *reason;
};

static bool is_open(const struct job *job)
{
    return job->open;
}

/* What `all` means, and whether an event is needed for this job. */
static bool op_applies(enum jobs_op op, const struct job *job, uint32_t states)
{
    switch (op) {
    case JOBS_CLOSE:
        return job->open;
    case JOBS_CANCEL:
        return job_active(job);
    case JOBS_FORGET:
        return job_completed(job) && (states >> job_state(job) & 1);
    }
    return false;
}

static struct op_result apply_one(struct server *s, const struct jobs_request *r,
                                  uint32_t id)
{
    struct op_result result = {.id = id, .outcome = OP_NOT_FOUND};
    struct job *job = state_job(&s->state, id);
    if (!job)
        return result;
    result.outcome = r->op == JOBS_FORGET ? OP_IGNORED : OP_NOTHING;
    if (!op_applies(r->op, job, r->states))
        return result;
    result.outcome = OP_DONE;
    switch (r->op) {
    case JOBS_CLOSE:
        state_apply_close(&s->state, id, r->time_us);
        break;
    case JOBS_CANCEL:
        state_apply_cancel(&s->state, id, r->reason, r->time_us, &result.a, &result.b);
        break;
    case JOBS_FORGET:
        state_apply_forget(&s->state, id);
        break;
    }
    return result;
}

static void jobs_apply(struct server *s, struct client_link *c, bool ok,
                       const struct error *err, void *arg)
{
    struct jobs_request *r = arg;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; ok && i < r->n; i++) {
        struct op_result result = apply_one(s, r, r->ids[i]);
        op_result_put(&b, &result);
    }
    if (c && ok) {
        struct msg_RSP_RESULTS m = {.results = span_buf(&b)};
        msg_put_RSP_RESULTS(io_conn_batch(c->conn), &m);
    } else if (c) {
        client_reply_error(c, err);
    }
    buf_release(&b);
    free(r->ids);
    free(r->reason);
    free(r);
}

static void put_event(struct buf *out, const struct jobs_request *r, uint32_t id)
{
    static const enum event_type types[] = {EVENT_JOB_CLOSED, EVENT_JOB_CANCELED,
                                            EVENT_JOB_FORGOTTEN};
    event_begin(out, types[r->op], r->time_us);
    buf_u32(out, id);
    if (r->op == JOBS_CANCEL && r->reason)
        buf_str(out, r->reason);
}

static void jobs_request(struct client_link *c, enum jobs_op op, struct span selector,
                         uint32_t states, struct span reason)
{
    struct server *s = c->server;
    struct selector sel;
    if (!take_selector(c, selector, &sel))
        return;
    struct jobs_request *r = xcalloc(1, sizeof *r);
    r->op = op;
    r->states = states;
    r->time_us = s->now_us;
    r->reason = reason.p ? span_dup(reason) : NULL;
    job_filter *filter = op == JOBS_CLOSE    ? is_open
                         : op == JOBS_CANCEL ? job_active
                                             : any_job;
    r->ids = select_jobs(s, &sel, filter, &r->n);
    if (op != JOBS_FORGET)
        qsort(r->ids, r->n, sizeof *r->ids, by_value);
    selector_release(&sel);
    /* The events of all but the last go ahead in the same round; the answer waits for
     * the last one, and the journal keeps their order. */
    struct buf last = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < r->n; i++) {
        const struct job *job = state_job(&s->state, r->ids[i]);
        if (!job || !op_applies(op, job, states))
            continue;
        if (last.len)
            commit_event(s, &last);
        buf_clear(&last);
        put_event(&last, r, r->ids[i]);
    }
    if (last.len == 0) { /* nothing changes: no commit */
        jobs_apply(s, c, true, NULL, r);
        buf_release(&last);
        return;
    }
    commit_request(s, c, &last, r->n == 1 ? r->ids[0] : 0, jobs_apply, r);
}

/* ---- the connection ---------------------------------------------------------------
 */

/* Whether the request must wait for staged ones: it touches a job that one changes. */
static bool must_wait(struct server *s, uint8_t type, struct span body)
{
    if (!commit_pending(s))
        return false;
    struct msg_REQ_SUBMIT m;
    struct cursor c;
    struct job *job;
    switch (type) {
    case MSG_REQ_SUBMIT:
        if (msg_get_REQ_SUBMIT(body, &m, NULL) != 0)
            return false;
        c = cursor_make(m.submit.p, m.submit.n);
        job = state_job(&s->state, cursor_varint32(&c));
        return job && job->staged;
    case MSG_REQ_JOB_CLOSE:
    case MSG_REQ_JOB_CANCEL:
    case MSG_REQ_JOB_FORGET:
    case MSG_REQ_JOB_RESUBMIT:
        return true;
    default:
        return false;
    }
}

static void dispatch(struct client_link *c, uint8_t type, struct span body)
{
    struct server *s = c->server;
    struct error err = ERROR_INIT;
    int rc = 0;
    switch (type) {
        MESSAGE_ON(REQ_SERVER_INFO, on_server_info(c))
        MESSAGE_ON(REQ_SERVER_STOP, log_info("Received Stop command from client");
                   client_reply_ok(c); server_stop(s))
        MESSAGE_ON(REQ_SUBMIT, on_submit(c, &m))
        MESSAGE_ON(REQ_JOB_RESUBMIT, on_resubmit(c, &m))
        MESSAGE_ON(REQ_JOB_OPEN, on_job_open(c, &m))
        MESSAGE_ON(REQ_JOB_CLOSE,
                   jobs_request(c, JOBS_CLOSE, m.jobs, 0, (struct span){NULL, 0}))
        MESSAGE_ON(REQ_JOB_CANCEL,
                   jobs_request(c, JOBS_CANCEL, m.jobs, 0,
                                m.has_reason ? m.reason : (struct span){NULL, 0}))
        MESSAGE_ON(REQ_JOB_FORGET, jobs_request(c, JOBS_FORGET, m.jobs, m.states,
                                                (struct span){NULL, 0}))
        MESSAGE_ON(REQ_JOB_LIST, on_job_list(c, &m))
        MESSAGE_ON(REQ_JOB_DETAIL, on_job_detail(c, &m))
        MESSAGE_ON(REQ_TASK_PAGE, on_task_page(c, &m))
        MESSAGE_ON(REQ_PLACEMENTS, on_placements(c, &m))
        MESSAGE_ON(REQ_JOB_WAIT, on_job_wait(c, &m))
        MESSAGE_ON(REQ_WORKER_LIST, on_worker_list(c, &m))
        MESSAGE_ON(REQ_WORKER_STOP, on_worker_stop(c, &m))
        MESSAGE_ON(REQ_DEBUG_DUMP, on_debug_dump(c, &m))
        MESSAGE_ON(REQ_TASK_EXPLAIN, on_explain(c, &m))
        MESSAGE_ON(REQ_WORKER_WAIT, c->worker_wait = MAX(m.count, 1u);
                   wait_workers_changed(s))
        MESSAGE_ON(REQ_LOG_FIND, on_log_find(c, &m))
        MESSAGE_ON(REQ_ALLOC_TRIAL, autoalloc_on_trial(c, &m))
        MESSAGE_ON(REQ_ALLOC_ADD, autoalloc_on_add(c, &m))
        MESSAGE_ON(REQ_ALLOC_LIST, autoalloc_on_list(c))
        MESSAGE_ON(REQ_ALLOC_INFO, autoalloc_on_info(c, &m))
        MESSAGE_ON(REQ_ALLOC_STATE, autoalloc_on_state(c, &m))
        MESSAGE_ON(REQ_ALLOC_REMOVE, autoalloc_on_remove(c, &m))
        MESSAGE_ON(REQ_ALLOC_LOG, autoalloc_on_log(c, &m))
        MESSAGE_ON(REQ_JOURNAL_READ, feed_request(c, m.live, m.overviews))
        MESSAGE_ON(REQ_JOURNAL_PRUNE, prune_request(c))
        MESSAGE_ON(REQ_JOURNAL_FLUSH, commit_request(s, c, NULL, 0, flush_apply, NULL))
    default:
        rc = error_set(&err, ERR_UNSUPPORTED, "the server does not know the request %s",
                       msg_name(type));
    }
    if (rc != 0)
        client_reply_error(c, &err);
}

static void on_open(struct io_conn *conn, void *arg)
{
    struct server *s = arg;
    struct client_link *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->conn = conn;
    c->id = ++s->next_client_id;
    buf_init(&c->queued, QUEUED_MAX);
    list_push_back(&s->clients, &c->node);
    io_conn_set_arg(conn, c);
    if (s->stopping) /* its handshake went on while the others were told */
        io_conn_finish(conn);
}

static void client_destroy(struct client_link *c)
{
    wait_end(c);
    feed_end(c);
    list_remove(&c->node);
    buf_release(&c->queued);
    free(c);
}

/* A new message while the client waits for jobs, or reads events, ends that without an
 * answer. */
static void on_message(struct io_conn *conn, uint8_t type, struct span body)
{
    struct client_link *c = io_conn_arg(conn);
    struct server *s = c->server;
    if (io_conn_backlog(conn) > BACKLOG_MAX) {
        client_destroy(c);
        io_conn_destroy(conn);
        return;
    }
    if (c->busy || c->queued.len || must_wait(s, type, body)) {
        buf_u8(&c->queued, type);
        buf_bytes(&c->queued, body.p, body.n);
        return;
    }
    wait_end(c);
    feed_end(c);
    dispatch(c, type, body);
}

struct client_link *client_find(struct server *s, uint64_t id)
{
    LIST_FOR_EACH(&s->clients, node)
    {
        struct client_link *c = CONTAINER_OF(node, struct client_link, node);
        if (c->id == id)
            return c;
    }
    return NULL;
}

void client_settled(struct client_link *c)
{
    c->busy = false;
    client_resume(c);
}

void client_resume(struct client_link *c)
{
    while (!c->busy && c->queued.len) {
        struct cursor cur = cursor_make(c->queued.data, c->queued.len);
        uint8_t type = cursor_u8(&cur);
        struct span body = cursor_bytes(&cur);
        if (must_wait(c->server, type, body))
            return; /* taken up again when that request is settled */
        /* Handlers may queue more, so the message leaves the queue first. */
        uint8_t *copy = xmemdup(body.p, body.n);
        buf_consume(&c->queued, (size_t)(cur.p - c->queued.data));
        dispatch(c, type, (struct span){copy, body.n});
        free(copy);
    }
}

static void on_close(struct io_conn *conn, const struct error *err)
{
    (void)err;
    client_destroy(io_conn_arg(conn));
}

static void on_drained(struct io_conn *conn)
{
    feed_drained(io_conn_arg(conn));
}

/* A reader of events that is slow would hold the end of the server up. */
void client_dismiss(struct client_link *c)
{
    struct io_conn *conn = c->conn;
    if (!c->feed || io_conn_backlog(conn) == 0) {
        io_conn_finish(conn);
        return;
    }
    client_destroy(c);
    io_conn_destroy(conn);
}

const struct io_conn_ops client_conn_ops = {on_open, on_message, on_close, on_drained};
