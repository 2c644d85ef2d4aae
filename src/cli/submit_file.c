/* `hq submit -f FILE` and `hq job submit-file FILE`: jobs that a file describes. */
#include <stdlib.h>
#include "cli/cmds.h"
#include "cli/submit_send.h"
#include "cli/workflow_plan.h"

/* Sends what was read, or tells the remarks when something went wrong before. */
static int send_loaded(struct run *r, struct client *c, struct submit *s, int rc,
                       struct notices *notices, struct error *err)
{
    if (rc == 0) {
        rc = submit_send(r, c, s, notices, err);
        submit_release(s);
    }
    if (rc)
        notices_log(notices);
    notices_release(notices);
    return rc;
}

static int load_workflow(struct run *r, struct notices *notices, struct submit *s,
                         struct error *err)
{
    const struct args *a = r->args;
    struct args_list sets = args_list(a, "set");
    struct workflow_options options = {
        .job = args_u32(a, "job", 0),
        .sets = sets.items,
        .n_sets = sets.n,
        .name = args_given(a, "name") ? args_str(a, "name") : NULL,
        .max_fails = args_given(a, "max-fails") ? args_str(a, "max-fails") : NULL,
        .stream = args_given(a, "stream") ? args_str(a, "stream") : NULL,
        .log = args_given(a, "log") ? args_str(a, "log") : NULL,
        .log_replace = args_flag(a, "log-replace"),
        .notices = notices,
    };
    return workflow_load(args_str(a, "file"), &options, s, err);
}

static int print_plan(struct run *r, struct error *err)
{
    struct notices notices;
    struct submit s;
    notices_init(&notices, r->out);
    int rc = load_workflow(r, &notices, &s, err);
    if (rc == 0) {
        rc = workflow_print_plan(&s, r->out, err);
        submit_release(&s);
    }
    notices_log(&notices);
    notices_release(&notices);
    return rc;
}

int submit_workflow(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct notices notices;
    struct submit s;
    if (args_flag(r->args, "dry-run"))
        return print_plan(r, err); /* needs no server */
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    notices_init(&notices, r->out);
    rc = load_workflow(r, &notices, &s, err);
    rc = send_loaded(r, c, &s, rc, &notices, err);
    client_close(c);
    return rc;
}

int submit_file_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct notices notices;
    struct submit s;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    notices_init(&notices, r->out);
    rc = jobfile_load(args_str(r->args, "PATH"), NULL, args_u32(r->args, "job", 0), &s,
                      err);
    rc = send_loaded(r, c, &s, rc, &notices, err);
    client_close(c);
    return rc;
}
