/* Where tasks ran, as the server recorded it; for `hq task info`. */
#ifndef HQ_CLI_PLACEMENTS_H
#define HQ_CLI_PLACEMENTS_H

#include "base/json.h"
#include "client/job_view.h"
#include "model/placement.h"

/* Of n tasks of the job: decoded placements, zeroed where nothing is known. */
int placements_fetch(struct client *c, const struct job_view *v, const uint32_t *slots,
                     size_t n, struct placement **out, struct error *err) MUST_CHECK;
void placements_free(struct placement *p, size_t n);
static inline bool placement_known(const struct placement *p)
{
    return p->cpus != NULL;
}
/* Whether it tells more than that the task ran on a machine of one NUMA node. */
bool placement_notable(const struct placement *p);
/* "cpus: 3,2\nbound to CPUs 0-3\n…" */
void placement_print(const struct placement *p, struct buf *out);
/* The key "placement". */
void placement_json(struct json *j, const struct placement *p);

#endif
