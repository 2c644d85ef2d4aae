/*
 * Decimal numbers as people write them, added without rounding: 1.5 + 0.1 is 1.6. The
 * value is mantissa / 10^digits.
 */
#ifndef HQ_SUBMIT_DECIMAL_H
#define HQ_SUBMIT_DECIMAL_H

#include "base/buf.h"

#define DECIMAL_DIGITS_MAX 18

struct decimal {
    int64_t mantissa;
    unsigned digits; /* behind the point */
};

/* "-1.50", "2e-3"; whole text. False too when it needs more than 18 digits. */
bool decimal_parse(const char *text, struct decimal *d);
/* The same value with so many digits, not fewer than it has; false: too large. */
bool decimal_widen(struct decimal *d, unsigned digits);
/* All its digits, "1.50". */
void decimal_print(struct decimal d, struct buf *out);

#endif
