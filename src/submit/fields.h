/* Single values of a task description, as options and files write them. */
#ifndef HQ_SUBMIT_FIELDS_H
#define HQ_SUBMIT_FIELDS_H

#include "model/spec.h"

/* "none", "PATH", "PATH:rm-if-finished", ":rm-if-finished". Fills *spec, whose path is
 * malloc'ed. */
int stdio_parse(const char *text, struct stdio_spec *spec,
                struct error *err) MUST_CHECK;
/* "100MiB" or "100MiB:tail". */
int output_limit_parse(const char *text, uint64_t *bytes, bool *keep_tail,
                       struct error *err) MUST_CHECK;
int crash_limit_parse(const char *text, uint32_t *limit, struct error *err) MUST_CHECK;
/* Units of 1/10000. */
int weight_parse(const char *text, uint64_t *weight, struct error *err) MUST_CHECK;
#endif
