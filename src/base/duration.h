/* Durations as people write and read them. Unit: nanoseconds in uint64_t (584 years).
 */
#ifndef HQ_BASE_DURATION_H
#define HQ_BASE_DURATION_H

#include "base/buf.h"
#include "base/error.h"

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL
/* Where 0 stands for no limit, a limit of 0 that was given is this, and shown as 0. */
#define DURATION_ZERO_NS 1ULL

/* [[HH:]MM:]SS, or the unit form ("1h 30m", "1.5h", "250ms"). */
int duration_parse(const char *text, uint64_t *ns, struct error *err) MUST_CHECK;
/* The unit form only; "0" is zero, another bare number fails with "time unit needed".
 */
int duration_parse_units(const char *text, uint64_t *ns, struct error *err) MUST_CHECK;
/* "1year 2months 3days 4h 5m 6s 7ms 8us 9ns", zero parts left out; "0s". */
void duration_print(uint64_t ns, struct buf *out);
/* As above, cut to minutes from 1 h, to seconds from 1 min, else to milliseconds. */
void duration_print_makespan(uint64_t ns, struct buf *out);

#endif
