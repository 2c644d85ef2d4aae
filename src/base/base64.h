/* Base64 (RFC 4648, section 4): bytes inside of text files. */
#ifndef HQ_BASE_BASE64_H
#define HQ_BASE_BASE64_H

#include "base/util.h"

/* Room that the bytes of n characters need at most. */
#define BASE64_BYTES_MAX(n) ((n) / 4 * 3)

/*
 * Decodes all n characters into `out`, which has room for BASE64_BYTES_MAX(n) bytes;
 * *n_out tells how many there are. False unless it is one canonical encoding: padded,
 * without blanks, unused bits zero.
 */
bool base64_decode(const char *text, size_t n, uint8_t *out, size_t *n_out);

#endif
