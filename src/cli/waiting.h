/* Waiting for jobs, with a progress bar and notifications of their tasks. */
#ifndef HQ_CLI_WAITING_H
#define HQ_CLI_WAITING_H

#include "args/notices.h"
#include "cli/session.h"

struct waiting {
    const struct buf
        *jobs; /* encoded selector; NULL: what is submitted in this batch */
    bool without_close;
    bool progress;
    const char *on_notify;     /* command, or NULL */
    const uint64_t *submitted; /* tasks just submitted; NULL: not known */
    struct notices *notices;   /* NULL: remarks are logged at once */
    bool fail_on_error;
    /* Results. */
    struct task_counts counts; /* at the end */
    bool failed;               /* not all tasks finished, and that matters */
};

/* --fail-on-error or HQ_WAIT_FAIL_ON_ERROR. */
bool waiting_fails_on_error(const struct run *r);
/* Adds the request to the client's batch. */
void waiting_put(struct client *c, const struct waiting *w);
/* Behind a request that was sent: returns when all jobs are completed. */
int waiting_follow(struct client *c, struct output *o, struct waiting *w,
                   struct error *err) MUST_CHECK;
/* Both in one. */
int waiting_run(struct client *c, struct output *o, struct waiting *w,
                struct error *err) MUST_CHECK;

#endif
