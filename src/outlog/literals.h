/*
 * What a packed group cannot hold, told without unpacking it: all bytes of a zstd frame
 * without a dictionary come from its literals, and those are stored as they are or with
 * a code whose table names the bytes that have one.
 */
#ifndef HQ_OUTLOG_LITERALS_H
#define HQ_OUTLOG_LITERALS_H

#include <stddef.h>
#include <stdint.h>
#include "base/util.h"

/* False: the content of the frame holds neither byte. True also when it is not known.
 */
bool literals_may_hold(const uint8_t *frame, size_t n, uint8_t a, uint8_t b);

#endif
