/*
 * The workers that run tasks. Since 0.30.
 */
#ifndef HQ_WORKER_H
#define HQ_WORKER_H

#include <hq/client.h>
#include <stddef.h>
#include <stdint.h>

HQ_BEGIN_DECLS

/* What hq_resource.amount counts a whole one as: four CPUs are 40000. */
#define HQ_AMOUNT_ONE 10000

struct hq_resource {
    const char *name; /* "cpus", "gpus/nvidia", "mem", … */
    uint64_t amount;
};

/* Made by the library; later versions may add members at the end. */
struct hq_worker {
    uint32_t id; /* from 1 on, in the order in which they came */
    int is_connected;
    uint64_t start_us; /* microseconds since 1970 UTC */
    uint64_t end_us;   /* 0: is connected */
    const char *hostname;
    const char *group;
    const char *allocation; /* id of the batch job that it is in, or NULL */
    uint32_t n_running;     /* tasks that run there, those on several workers too */
    size_t n_resources;
    const struct hq_resource *resources; /* all that it has, used or not; by name */
};

/* `worker` and what it points to are valid during the call. Not 0: no further calls. */
typedef int (*hq_worker_fn)(void *arg, const struct hq_worker *worker);
/*
 * Calls fn for each worker that the server knows, those that are gone included,
 * ascending by id. Returns 0 at the end, or what fn returned when that is not 0. fn
 * must not use the client: HQ_ERR_BUSY.
 */
HQ_API int hq_worker_list(struct hq_client *client, hq_worker_fn fn, void *arg,
                          struct hq_error *err) HQ_CHECK;

HQ_END_DECLS

#endif
