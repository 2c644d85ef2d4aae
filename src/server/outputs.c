/* How much output jobs with a limit have written (max_job_output). Counted anew after a
 * restart of the server: the count is not worth a place in the journal. */
#include "server/internal.h"

#include <stdlib.h>
#include "base/log.h"

#define FULL (UINT64_C(1) << 63)

static void tell_full(struct worker_link *link, uint32_t job, uint64_t total)
{
    struct msg_JOB_OUTPUT_FULL m = {.job = job, .bytes = total & ~FULL};
    msg_put_JOB_OUTPUT_FULL(io_conn_batch(link->conn), &m);
}

void output_report(struct worker_link *link, const struct msg_JOB_OUTPUT *m)
{
    struct server *s = link->server;
    uint64_t total = 0;
    if (!state_job(&s->state, m->job))
        return; /* forgotten meanwhile */
    (void)u64map_get(&s->outputs, m->job, &total);
    bool was_full = total & FULL;
    total = (total & ~FULL) + MIN(m->bytes, FULL / 2);
    bool full = was_full || total >= m->limit;
    if (u64map_set(&s->outputs, m->job, MIN(total, FULL - 1) | (full ? FULL : 0)) != 0)
        abort();
    if (!full || was_full)
        return;
    log_info("Output of job %u reached its limit", m->job);
    LIST_FOR_EACH(&s->links, node)
    {
        struct worker_link *other = CONTAINER_OF(node, struct worker_link, node);
        if (other->id)
            tell_full(other, m->job, total);
    }
}

void output_define_job(struct worker_link *link, uint32_t job)
{
    uint64_t total;
    if (u64map_get(&link->server->outputs, job, &total) && total & FULL)
        tell_full(link, job, total);
}
