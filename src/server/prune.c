/*
 * `journal prune`: the journal forgets jobs that are over and workers that are gone;
 * the server remembers them until it ends.
 */
#include "server/feed.h"

#include <stdlib.h>
#include "base/log.h"

static void keep_id(struct u64map *ids, uint32_t id)
{
    if (u64map_set(ids, id, 1) != 0)
        abort();
}

static bool may_return(const struct server *s, const struct worker *w)
{
    uint64_t unused;
    return u64map_get(&s->expected, worker_token_key(&w->config), &unused);
}

static void choose(const struct server *s, struct journal_keep *keep)
{
    size_t pos = 0;
    uint64_t id, value;
    keep->last_job = s->state.last_job;
    keep->last_worker = s->next_worker - 1;
    while (u64map_next(&s->state.jobs, &pos, &id, &value))
        if (!job_completed((const struct job *)(uintptr_t)value))
            keep_id(&keep->jobs, (uint32_t)id);
    for (uint32_t w = 1; w <= s->state.n_workers; w++) {
        const struct worker *worker = state_worker(&s->state, w);
        /* Of one that may come back the next server has to know as well. */
        if (worker && (worker->end == WORKER_RUNNING || may_return(s, worker)))
            keep_id(&keep->workers, w);
    }
}

void prune_request(struct client_link *c)
{
    struct server *s = c->server;
    struct journal_keep keep = {0};
    struct error err = ERROR_INIT;
    if (!s->journal) {
        client_reply_ok(c);
        return;
    }
    choose(s, &keep);
    int rc = journal_prune(s->journal, &keep, &err);
    journal_keep_release(&keep);
    if (rc != 0) {
        client_reply_error(c, &err);
        return;
    }
    s->prune_client = c->id;
    c->busy = true; /* until it is over */
    atomic_store(&s->journal_awaited, true);
}

void prune_over(struct server *s)
{
    struct journal_pruned p;
    journal_prune_take(s->journal, &p);
    if (p.error.code == 0) {
        log_info("Journal pruned: %llu bytes of %llu are left",
                 (unsigned long long)p.new_end, (unsigned long long)p.old_end);
        feeds_pruned(s, &p);
    } else {
        log_error("The journal is not pruned: %s", p.error.text);
    }
    struct client_link *c = client_find(s, s->prune_client);
    s->prune_client = 0;
    if (!c)
        return;
    if (p.error.code == 0)
        client_reply_ok(c);
    else
        client_reply_error(c, &p.error);
    client_settled(c);
}
