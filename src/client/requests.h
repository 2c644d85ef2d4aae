/*
 * Requests of clients and their answers, decoded. Names with `put` add a request to the
 * batch; the others send the batch, receive one answer and decode it. Memory that is
 * not there is ERR_NOMEM, an answer that cannot be read ERR_CORRUPT.
 */
#ifndef HQ_CLIENT_REQUESTS_H
#define HQ_CLIENT_REQUESTS_H

#include "client/client.h"

/* ---- submitting ---- */

/* ERR_TOO_BIG above 1 GiB. */
int client_put_submit(struct client *c, const struct submit *s,
                      struct error *err) MUST_CHECK;
/* The answer to a submit, and to a job that is opened. */
int client_submitted(struct client *c, uint32_t *job, struct error *err) MUST_CHECK;

/* ---- listing ---- */

struct job_list {
    struct job_info *items; /* in the order of the selector; all: ascending by id */
    size_t n, cap;
    uint64_t total; /* jobs that the server has */
};
/* The selected jobs that there are; NULL: all. *out is initialised here and empty on
 * failure. */
int client_list_jobs(struct client *c, const struct selector *which,
                     struct job_list *out, struct error *err) MUST_CHECK;
void job_list_release(struct job_list *list);

/* `info` belongs to the function; NULL: there is no such worker. Not 0 ends the visit,
 * with answers left unread. */
typedef int worker_visit_fn(void *arg, uint32_t id, struct worker_info *info,
                            struct error *err);
/* Calls fn for each worker of the encoded selector: those that there are ascending by
 * id, then the others. */
int client_visit_workers(struct client *c, const struct buf *selector,
                         worker_visit_fn *fn, void *arg, struct error *err) MUST_CHECK;

/* Release with server_info_release. */
int client_server_info(struct client *c, struct server_info *out,
                       struct error *err) MUST_CHECK;

/* ---- changing ---- */

#define CANCEL_REASON_MAX 200 /* bytes */

struct op_results {
    struct op_result *items; /* ascending by id */
    size_t n, cap;
    struct buf text; /* what messages point to */
};
/* The answer to what was put before: to cancel, close, forget. *out is initialised here
 * and to be released in any case. */
int client_results(struct client *c, struct op_results *out,
                   struct error *err) MUST_CHECK;
void op_results_release(struct op_results *r);

/* ---- waiting ---- */

struct wait_options {
    const struct buf
        *jobs;          /* encoded selector; NULL: what is submitted in this batch */
    bool without_close; /* not for open jobs to be closed */
    bool progress;      /* snapshots on the way */
    bool notify;        /* messages of tasks, too */
};
void client_put_wait(struct client *c, const struct wait_options *options);

struct wait_snapshot {
    bool done;
    uint32_t jobs, jobs_done;
    struct task_counts counts; /* of all jobs together */
};
/* The body of a RSP_PROGRESS. */
int wait_snapshot_get(struct span body, struct wait_snapshot *s,
                      struct error *err) MUST_CHECK;

#endif
