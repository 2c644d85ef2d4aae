/*
 * Group blocks: a run of blocks as one zstd frame. Whether it pays is decided by a
 * sample; random bytes are left alone.
 */
#ifndef HQ_OUTLOG_PACKER_H
#define HQ_OUTLOG_PACKER_H

#include "outlog/format.h"

/* Longest content of a group; longer ones are refused by readers. */
#define OUTLOG_GROUP_RAW_MAX (4u << 20)

struct packer; /* opaque, one thread */

struct packer *packer_create(void); /* NULL: out of memory */
void packer_destroy(struct packer *p);
/*
 * The blocks in data[0, len) as one encoded, unfinished group block at out (room
 * bytes). Returns its span, or 0 when it does not pay or does not fit.
 */
size_t packer_pack(struct packer *p, const uint8_t *data, size_t len, uint8_t *out,
                   size_t room);

#endif
