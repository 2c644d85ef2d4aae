/* How a worker is described: `worker start`, `worker info`, `worker list`. */
#ifndef HQ_CLI_WORKER_TEXT_H
#define HQ_CLI_WORKER_TEXT_H

#include "args/output.h"
#include "wire/views.h"

/* What `worker start` prints once: a table, or an array of one element. */
int worker_text_started(struct output *o, const struct worker_info *info,
                        struct error *err) MUST_CHECK;
/* The table of `worker info`; `load`: with what the worker does now. */
int worker_text_table(struct output *o, const struct worker_info *info, bool load,
                      struct error *err) MUST_CHECK;
/* The JSON object; `load`: with runtime_info. */
void worker_text_json(struct json *j, const struct worker_info *info, bool load);
/* "cpus 4; mem 2.00 GiB"; separators differ between list and details. */
void worker_text_resources(const struct pool_set *pools, const char *name_end,
                           const char *between, struct buf *out);

/* "PBS", "SLURM" or "None" */
const char *worker_text_manager(const struct worker_config *c);

#endif
