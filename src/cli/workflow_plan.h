/* What a workflow would submit. */
#ifndef HQ_CLI_WORKFLOW_PLAN_H
#define HQ_CLI_WORKFLOW_PLAN_H

#include "submit/workflow.h"

/*
 * Prints what would be submitted (--dry-run): a table, one JSON value, or the number of
 * tasks in quiet mode.
 */
int workflow_print_plan(const struct submit *s, struct output *out,
                        struct error *err) MUST_CHECK;

#endif
