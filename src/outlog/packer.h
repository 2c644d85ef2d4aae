/*
 * Group blocks: a run of blocks as one zstd frame. Whether it pays is decided by a
 * sample; random bytes are left alone. A packer knows how fast it is, so that output
 * that comes faster than that can be stored as it is.
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
/* False for some groups behind one that was not worth it, more each time. */
bool packer_is_hopeful(struct packer *p);
/* Storing took so long: the bytes of data, or of what packer_pack made of them. */
void packer_stored(struct packer *p, size_t bytes, uint64_t us);
/* The thread that packs had nothing to do for so long. */
void packer_waited(struct packer *p, uint64_t us);
/*
 * Whether to pack the group of len bytes at hand, by what was measured. `crowded`:
 * groups wait for it. From then on output comes faster than it is packed, until the
 * thread has had the time to pack what came; so long it is stored in the way that takes
 * less time. Now and then true only to measure again.
 */
bool packer_keeps_up(struct packer *p, size_t len, bool crowded);

#endif
