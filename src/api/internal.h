/* What the files of libhq share. */
#ifndef HQ_API_INTERNAL_H
#define HQ_API_INTERNAL_H

#include <hq/hq.h>
#include "client/client.h"
#include "model/spec.h"

struct hq_client {
    char *server_dir;
    struct client *conn; /* NULL: lost, or not made yet */
    uint32_t timeout_ms;
    bool busy; /* a callback of the caller's is running */
};

/* The task's body as it is sent; the request in there may have one cpu less. */
struct hq_task {
    char **argv; /* NULL-ended */
    size_t n_argv;
    struct task_body body; /* its request has a variant at least */
};

struct hq_spec {
    struct submit submit;
    uint64_t n_tasks;     /* of all groups: not counted anew for each addition */
    struct buf last_body; /* the body added last, encoded */
};

/* ---- errors ---- */

/* Hands the error over to the caller; returns its code. */
int api_fail(struct hq_error *to, const struct error *from);
/* 0, or api_fail. */
int api_result(int rc, struct hq_error *to, const struct error *from);

/* ---- clients ---- */

/* The connection, which is made again if it was lost. */
int api_connection(struct hq_client *client, struct client **conn,
                   struct error *err) MUST_CHECK;
/* A new connection to the same server, for one request. */
int api_connect_again(const struct hq_client *client, struct client **conn,
                      struct error *err) MUST_CHECK;
/* After a request: drops the connection where `rc` leaves answers unread. Returns rc.
 */
int api_requested(struct hq_client *client, int rc);

/* "Job 7 not found" */
int api_no_job(uint32_t job, struct error *err);
/* The selector of one job, appended. */
int api_select(uint32_t job, struct buf *out, struct error *err) MUST_CHECK;

/* ---- tasks ---- */

/* A copy of the body with what is asked for by default. Release it. */
int api_task_body(const struct hq_task *task, struct task_body *out,
                  struct error *err) MUST_CHECK;

#endif
