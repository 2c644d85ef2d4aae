/* Waiting for jobs, and changing them. */
#include <hq/job.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "api/internal.h"
#include "base/clock.h"
#include "client/requests.h"

#define LOOK_MS 15000u

int api_no_job(uint32_t job, struct error *err)
{
    return error_set(err, ERR_NOT_FOUND, "Job %u not found", job);
}

static int check_id(uint32_t job, struct error *err)
{
    return job && job <= IDSET_ID_MAX ? 0 : api_no_job(job, err);
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The ids ascending and each once, as servers take and list them. */
static int sort_ids(const uint32_t *jobs, size_t *n, uint32_t **out, struct error *err)
{
    uint32_t *ids = calloc(*n, sizeof *ids);
    if (!ids)
        return error_nomem(err);
    memcpy(ids, jobs, *n * sizeof *ids);
    qsort(ids, *n, sizeof *ids, compare_ids);
    size_t kept = 1;
    for (size_t i = 1; i < *n; i++)
        if (ids[i] != ids[kept - 1])
            ids[kept++] = ids[i];
    *n = kept;
    *out = ids;
    return 0;
}

/* Release the selector in any case. */
static int select_jobs(const uint32_t *ids, size_t n, struct selector *out,
                       struct error *err)
{
    *out = (struct selector){.kind = SELECT_IDS, .ids = IDSET_INIT};
    for (size_t i = 0; i < n; i++) {
        int rc = check_id(ids[i], err);
        if (rc)
            return rc;
        if (idset_add(&out->ids, ids[i], 1, 1))
            return error_nomem(err);
    }
    return 0;
}

int api_select(uint32_t job, struct buf *out, struct error *err)
{
    struct idrange range = {.first = job, .count = 1, .step = 1};
    const struct selector one = {.kind = SELECT_IDS,
                                 .ids = {.ranges = &range, .n_ranges = 1, .cap = 1}};
    int rc = check_id(job, err);
    if (rc == 0)
        selector_put(out, &one);
    return rc == 0 && out->failed ? error_nomem(err) : rc;
}

/* --- waiting ------------------------------------------------------------ */

/* A job that is unknown would be passed over. */
static int check_jobs(struct client *conn, const struct selector *which,
                      const uint32_t *ids, size_t n, struct error *err)
{
    struct job_list list;
    int rc = client_list_jobs(conn, which, &list, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (i == list.n || list.items[i].id != ids[i])
            rc = api_no_job(ids[i], err);
    job_list_release(&list);
    return rc;
}

/* Milliseconds that are left; 1 at least, since 0 is for ever to a connection. */
static uint32_t left_ms(uint64_t deadline_us)
{
    uint64_t now_us = clock_mono_us();
    uint64_t ms = deadline_us > now_us ? (deadline_us - now_us) / 1000 : 0;
    return (uint32_t)MIN(MAX(ms, UINT64_C(1)), (uint64_t)INT_MAX);
}

/* How long the server may be silent until it has told how far the jobs are: what the
 * caller has set, but not for ever in a wait that is to end. */
static uint32_t look_ms(const struct hq_client *client, uint64_t deadline_us)
{
    if (client->timeout_ms || deadline_us == UINT64_MAX)
        return client->timeout_ms;
    return MAX(left_ms(deadline_us), LOOK_MS);
}

static uint64_t deadline_of(uint64_t timeout_ms)
{
    uint64_t now_us = clock_mono_us();
    if (timeout_ms == HQ_WAIT_FOREVER || timeout_ms > (UINT64_MAX - now_us) / 1000)
        return UINT64_MAX;
    return now_us + timeout_ms * 1000;
}

static int take_snapshot(struct client *conn, struct wait_snapshot *s,
                         struct error *err)
{
    uint8_t type;
    struct span body;
    int rc = client_receive(conn, &type, &body, err);
    if (rc)
        return rc;
    return type == MSG_RSP_PROGRESS ? wait_snapshot_get(body, s, err)
                                    : client_unwanted(type, body, err);
}

/* The first snapshot comes at once; it is looked at even when there is no time. */
static int follow(struct client *conn, uint64_t deadline_us, struct wait_snapshot *s,
                  struct error *err)
{
    bool forever = deadline_us == UINT64_MAX;
    int rc = client_send(conn, err);
    if (forever)
        client_set_timeout(conn, 0);
    if (rc == 0)
        rc = take_snapshot(conn, s, err);
    while (rc == 0 && !s->done) {
        if (clock_mono_us() >= deadline_us)
            return error_set(err, ERR_TIMEOUT, "the jobs have not ended in time");
        if (!forever)
            client_set_timeout(conn, left_ms(deadline_us));
        rc = take_snapshot(conn, s, err);
        if (rc == ERR_TIMEOUT)
            rc = 0; /* the clock decides */
    }
    return rc;
}

static int wait_for(struct client *conn, const uint32_t *jobs, size_t n,
                    uint64_t deadline_us, struct wait_snapshot *s, struct error *err)
{
    struct buf encoded = BUF_INIT(BUF_MAX_DEFAULT);
    struct selector which;
    uint32_t *ids = NULL;
    int rc = sort_ids(jobs, &n, &ids, err);
    if (rc)
        return rc;
    rc = select_jobs(ids, n, &which, err);
    if (rc == 0)
        rc = check_jobs(conn, &which, ids, n, err);
    if (rc == 0)
        selector_put(&encoded, &which);
    if (rc == 0 && encoded.failed)
        rc = error_nomem(err);
    if (rc == 0) {
        const struct wait_options options = {.jobs = &encoded,
                                             .progress = deadline_us != UINT64_MAX};
        client_put_wait(conn, &options);
        rc = follow(conn, deadline_us, s, err);
    }
    selector_release(&which);
    buf_release(&encoded);
    free(ids);
    return rc;
}

int hq_job_wait(struct hq_client *client, const uint32_t *jobs, size_t n_jobs,
                uint64_t timeout_ms, struct hq_counts *counts, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct client *conn = NULL;
    struct wait_snapshot s = {.done = false};
    uint64_t deadline_us = deadline_of(timeout_ms);
    int rc = n_jobs ? api_connect_again(client, &conn, &e) : 0;
    if (rc == 0 && n_jobs) {
        client_set_timeout(conn, look_ms(client, deadline_us));
        rc = wait_for(conn, jobs, n_jobs, deadline_us, &s, &e);
    }
    client_close(conn);
    if (counts && (rc == 0 || rc == ERR_TIMEOUT))
        memcpy(counts->n, s.counts.n, sizeof counts->n);
    return api_result(rc, err, &e);
}

/* --- changing ----------------------------------------------------------- */

enum change { CHANGE_CANCEL, CHANGE_FORGET, CHANGE_CLOSE };

static void put_change(struct buf *batch, enum change what, struct span jobs,
                       const char *reason)
{
    switch (what) {
    case CHANGE_CANCEL: {
        struct msg_REQ_JOB_CANCEL m = {
            .jobs = jobs, .reason = span_str(reason), .has_reason = reason != NULL};
        msg_put_REQ_JOB_CANCEL(batch, &m);
        break;
    }
    case CHANGE_FORGET: {
        struct msg_REQ_JOB_FORGET m = {.jobs = jobs, .states = UINT32_MAX};
        msg_put_REQ_JOB_FORGET(batch, &m);
        break;
    }
    case CHANGE_CLOSE: {
        struct msg_REQ_JOB_CLOSE m = {.jobs = jobs};
        msg_put_REQ_JOB_CLOSE(batch, &m);
        break;
    }
    }
}

/* What came of it for the one job; *n is how many tasks a cancel ended. */
static int take_outcome(const struct op_results *results, uint32_t job, bool *done,
                        uint32_t *n, struct error *err)
{
    const struct op_result *one = results->n ? &results->items[0] : NULL;
    if (!one || one->outcome == OP_NOT_FOUND)
        return api_no_job(job, err);
    if (one->outcome == OP_FAILED)
        return error_set(err, ERR_INVALID, "%.*s", (int)one->message.n,
                         (const char *)one->message.p);
    *done = one->outcome == OP_DONE;
    *n = *done ? one->a : 0;
    return 0;
}

/* *done: the server had something to do. `reason` is for a cancel. */
static int change(struct hq_client *client, enum change what, uint32_t job,
                  const char *reason, bool *done, uint32_t *n, struct error *err)
{
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    struct op_results results;
    struct client *conn = NULL;
    int rc = api_connection(client, &conn, err);
    if (rc == 0)
        rc = api_select(job, &selector, err);
    if (rc == 0)
        put_change(client_batch(conn), what, span_buf(&selector), reason);
    buf_release(&selector);
    if (rc)
        return rc;
    rc = api_requested(client, client_results(conn, &results, err));
    if (rc == 0)
        rc = take_outcome(&results, job, done, n, err);
    op_results_release(&results);
    return rc;
}

int hq_job_cancel(struct hq_client *client, uint32_t job, const char *reason,
                  uint32_t *n_canceled, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    bool done = false;
    uint32_t n = 0;
    int rc = reason && strlen(reason) > CANCEL_REASON_MAX
                 ? error_set(&e, ERR_INVALID, "a reason has %d bytes at most",
                             CANCEL_REASON_MAX)
                 : change(client, CHANGE_CANCEL, job, reason, &done, &n, &e);
    if (rc == 0 && n_canceled)
        *n_canceled = n;
    return api_result(rc, err, &e);
}

int hq_job_forget(struct hq_client *client, uint32_t job, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    bool done = false;
    uint32_t n = 0;
    int rc = change(client, CHANGE_FORGET, job, NULL, &done, &n, &e);
    if (rc == 0 && !done)
        rc = error_set(&e, ERR_INVALID, "Job %u has not been completed yet", job);
    return api_result(rc, err, &e);
}

int hq_job_close(struct hq_client *client, uint32_t job, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    bool done = false;
    uint32_t n = 0;
    int rc = change(client, CHANGE_CLOSE, job, NULL, &done, &n, &e);
    return api_result(rc, err, &e);
}
