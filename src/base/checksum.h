/* XXH3-64 with a seed: the checksum of journal and output log. */
#ifndef HQ_BASE_CHECKSUM_H
#define HQ_BASE_CHECKSUM_H

#include "base/util.h"

uint64_t checksum64(const void *p, size_t n, uint64_t seed);
/* The seed of a structure at `offset` of the file with this identity. */
uint64_t checksum_seed(uint64_t file_uid, uint64_t offset);

#ifdef HQ_CHECKSUM_WIDE
/* The same value twice as fast, for processors with AVX2. checksum64 knows. */
uint64_t checksum64_wide(const void *p, size_t n, uint64_t seed);
#endif

#endif
