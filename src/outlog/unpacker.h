/* The content of group blocks. */
#ifndef HQ_OUTLOG_UNPACKER_H
#define HQ_OUTLOG_UNPACKER_H

#include "base/buf.h"
#include "base/error.h"

struct unpacker; /* opaque, one thread */

struct unpacker *unpacker_create(void); /* NULL: out of memory */
void unpacker_destroy(struct unpacker *u);
/*
 * The content of a group whose payload has passed its checksum, appended to out.
 * ERR_CORRUPT or ERR_NOMEM.
 */
int unpacker_unpack(struct unpacker *u, const uint8_t *payload, size_t n,
                    struct buf *out) MUST_CHECK;

#endif
