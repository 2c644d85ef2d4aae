/* Resources of a worker as JSON: `worker info`, `worker hwdetect`. */
#ifndef HQ_CLI_POOL_JSON_H
#define HQ_CLI_POOL_JSON_H

#include "base/json.h"
#include "model/resource.h"

/* {"coupling": {"weights": […]}, "resources": […]} */
void pool_json(struct json *j, const struct pool_set *pools);

#endif
