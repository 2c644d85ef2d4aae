/* hq journal prune, hq journal flush: requests without a result */
#include "cli/cmds.h"

#include <string.h>
#include "cli/session.h"

/* Sends the batch that `put` fills and waits until it is done. */
static int ask(struct run *r, void put(struct buf *batch), struct error *err)
{
    struct client *c = NULL;
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    put(client_batch(c));
    rc = client_call(c, MSG_RSP_OK, &body, err);
    client_close(c);
    return rc;
}

static void put_flush(struct buf *batch)
{
    struct msg_REQ_JOURNAL_FLUSH m;
    memset(&m, 0, sizeof m);
    msg_put_REQ_JOURNAL_FLUSH(batch, &m);
}

int journal_flush_run(struct run *r, struct error *err)
{
    return ask(r, put_flush, err);
}

static void put_prune(struct buf *batch)
{
    struct msg_REQ_JOURNAL_PRUNE m;
    memset(&m, 0, sizeof m);
    msg_put_REQ_JOURNAL_PRUNE(batch, &m);
}

int journal_prune_run(struct run *r, struct error *err)
{
    return ask(r, put_prune, err);
}
