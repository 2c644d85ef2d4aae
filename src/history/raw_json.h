/*
 * The "raw" encodings of event lines: durations as {"nanos", "secs"}, resources and
 * requests as tagged objects. They differ from those of `worker info` and `job info`,
 * but for the coupling and the policy of an entry.
 */
#ifndef HQ_HISTORY_RAW_JSON_H
#define HQ_HISTORY_RAW_JSON_H

#include "base/json.h"
#include "model/alloc.h"
#include "model/resource.h"
#include "model/spec.h"
#include "model/worker.h"

void raw_duration(struct json *j, uint64_t ns);
/* null when 0; DURATION_ZERO_NS is a duration of 0. */
void raw_duration_or_null(struct json *j, uint64_t ns);
/* {"coupling": {"weights": […]}, "resources": […]} */
void raw_pools(struct json *j, const struct pool_set *pools);
/* Its first member. */
void raw_coupling(struct json *j, const struct pool_set *pools);
/* "All" or {"<policy>": amount} */
void raw_policy(struct json *j, const struct request_entry *e);
void raw_request(struct json *j, const struct request *r);
/* retract_check_ns 0: not known, left out. */
void raw_worker_config(struct json *j, const struct worker_config *c,
                       uint64_t retract_check_ns);
void raw_alloc_params(struct json *j, const struct alloc_params *p);
void raw_submit(struct json *j, const struct submit *s);

#endif
