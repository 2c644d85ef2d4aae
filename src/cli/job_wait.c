/* hq job wait, hq job progress */
#include "cli/cmds.h"
#include "cli/waiting.h"

static int wait_for(struct run *r, struct waiting *w, struct error *err)
{
    struct client *c = NULL;
    struct buf jobs = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = session_open(r, &c, err);
    if (rc == 0)
        rc = session_selector(r, "SELECTOR", &jobs, err);
    w->jobs = &jobs;
    if (rc == 0)
        rc = waiting_run(c, r->out, w, err);
    r->status = w->failed ? 1 : 0;
    buf_release(&jobs);
    client_close(c);
    return rc;
}

int job_wait_run(struct run *r, struct error *err)
{
    struct waiting w = {.without_close = args_flag(r->args, "without-close"),
                        .fail_on_error = waiting_fails_on_error(r)};
    return wait_for(r, &w, err);
}

int job_progress_run(struct run *r, struct error *err)
{
    struct waiting w = {.progress = true};
    return wait_for(r, &w, err);
}
