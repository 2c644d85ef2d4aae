/* The list of workers. */
#include <hq/worker.h>
#include <stdlib.h>
#include "api/internal.h"
#include "client/requests.h"

_Static_assert(HQ_AMOUNT_ONE == AMOUNT_ONE, "amounts are those of the public header");

struct visit {
    hq_worker_fn fn;
    void *arg;
    int result; /* of fn */
};

static int show_worker(const struct worker_info *info, struct visit *visit,
                       struct error *err)
{
    const struct worker_config *config = &info->config;
    size_t n = config->pools.n_pools;
    struct hq_resource *resources = calloc(n + 1, sizeof *resources);
    if (!resources)
        return error_nomem(err);
    for (size_t i = 0; i < n; i++) {
        resources[i].name = config->pools.pools[i].name;
        resources[i].amount = pool_size(&config->pools.pools[i]);
    }
    bool connected = info->end == WORKER_RUNNING;
    const struct hq_worker worker = {.id = info->id,
                                     .is_connected = connected,
                                     .start_us = info->started_us,
                                     .end_us = connected ? 0 : info->ended_us,
                                     .hostname = config->hostname,
                                     .group = config->group,
                                     .allocation = config->manager_job,
                                     .n_running = info->running,
                                     .n_resources = n,
                                     .resources = resources};
    visit->result = visit->fn(visit->arg, &worker);
    free(resources);
    return 0;
}

/* What comes after the caller wanted no more is read all the same. */
static int visit_worker(void *arg, uint32_t id, struct worker_info *info,
                        struct error *err)
{
    struct visit *visit = arg;
    (void)id;
    int rc = visit->result == 0 ? show_worker(info, visit, err) : 0;
    worker_info_release(info);
    return rc;
}

int hq_worker_list(struct hq_client *client, hq_worker_fn fn, void *arg,
                   struct hq_error *err)
{
    const struct selector all = {.kind = SELECT_ALL};
    struct error e = ERROR_INIT;
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    struct client *conn = NULL;
    struct visit visit = {.fn = fn, .arg = arg};
    int rc = api_connection(client, &conn, &e);
    if (rc)
        return api_fail(err, &e);
    selector_put(&selector, &all);
    client->busy = true;
    rc = client_visit_workers(conn, &selector, visit_worker, &visit, &e);
    client->busy = false;
    buf_release(&selector);
    if (api_requested(client, rc))
        return api_fail(err, &e);
    return visit.result;
}
