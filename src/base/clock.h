/* Clocks and the printing of times. Points in time: microseconds since 1970 UTC. */
#ifndef HQ_BASE_CLOCK_H
#define HQ_BASE_CLOCK_H

#include "base/buf.h"
#include "base/error.h"

uint64_t clock_real_us(void);
uint64_t clock_mono_us(void);
uint64_t clock_mono_ns(void);
/*
 * A point in time as people write it: RFC 3339, "2026-08-03 10:00[:00]", "2026-08-03",
 * "10:00[:00]" (today), each in local time without a zone; "@SECONDS" since 1970; or a
 * duration: so long before now.
 */
int time_parse(const char *text, uint64_t now_us, uint64_t *us,
               struct error *err) MUST_CHECK;
/* "2026-08-03T10:00:00Z", with 0, 3 or 6 fractional digits as needed. */
void time_print_rfc3339(uint64_t us, struct buf *out);
/* "2026-08-03T10:00:00Z" / "2026-08-03T10:00:00.123Z" for log lines. */
void time_print_log(uint64_t us, bool with_ms, struct buf *out);
/* "2026-08-03 10:00:00 UTC", rounded to the second. */
void time_print_utc(uint64_t us, struct buf *out);
/* "03.08.2026 10:00:00" in local time. */
void time_print_local(uint64_t us, struct buf *out);

#endif
