/*
 * Numbers in options and files. The error texts are those that users of the command
 * line know; some programs look for them.
 */
#ifndef HQ_BASE_NUMBER_H
#define HQ_BASE_NUMBER_H

#include "base/error.h"
#include "base/util.h"

/* Decimal digits with an optional sign, minus only where `min` is below 0. */
int number_parse_i64(const char *text, int64_t min, int64_t max, int64_t *out,
                     struct error *err) MUST_CHECK;
/* "1.5", "2e-3"; neither infinite nor hexadecimal. */
int number_parse_double(const char *text, double *out, struct error *err) MUST_CHECK;

#endif
