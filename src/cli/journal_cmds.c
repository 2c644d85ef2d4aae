/* hq journal flush */
#include "cli/cmds.h"

#include <string.h>
#include "cli/session.h"

int journal_flush_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_JOURNAL_FLUSH req;
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    memset(&req, 0, sizeof req);
    msg_put_REQ_JOURNAL_FLUSH(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_OK, &body, err);
    client_close(c);
    return rc;
}
