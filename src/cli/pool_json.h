/* Resources of a worker as JSON: `worker info`, `worker hwdetect`. */
#ifndef HQ_CLI_POOL_JSON_H
#define HQ_CLI_POOL_JSON_H

#include "base/json.h"
#include "model/resource.h"

/*
 * {"coupling": {"weights": […]}, "locality": […], "resources": […]}. "locality" tells
 * which indices lie on which NUMA node; it is left out where nothing is to be told.
 */
void pool_json(struct json *j, const struct pool_set *pools);
void pool_json_members(struct json *j, const struct pool_set *pools);

#endif
