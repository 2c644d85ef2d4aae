/* hq job resubmit */
#include "cli/cmds.h"

#include "cli/session.h"
#include "cli/submit_send.h"

static int resubmit(struct run *r, struct client *c, uint32_t *job, struct error *err)
{
    struct job_ref ref = session_job_ref(r, "JOB");
    struct msg_REQ_JOB_RESUBMIT req = {
        .job = ref.id, .last = ref.last, .states = session_states(r, "filter")};
    struct msg_RSP_SUBMITTED reply;
    struct span body;
    msg_put_REQ_JOB_RESUBMIT(client_batch(c), &req);
    int rc = client_call(c, MSG_RSP_SUBMITTED, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_SUBMITTED(body, &reply, err);
    if (rc == 0)
        *job = reply.job;
    return rc;
}

int job_resubmit_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct notices none;
    uint32_t job = 0;
    int rc = session_open(r, &c, err);
    if (rc == 0)
        rc = resubmit(r, c, &job, err);
    client_close(c);
    if (rc)
        return rc;
    notices_init(&none, r->out);
    submit_print_id(r, job, &none);
    notices_release(&none);
    return 0;
}
