/* The library is built for the first processors of this kind; its header has all of it,
 * compiled here for those with vectors of 32 bytes (base/CMakeLists.txt). */
#include "base/checksum.h"

#ifdef HQ_CHECKSUM_WIDE

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t checksum64_wide(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

#endif
