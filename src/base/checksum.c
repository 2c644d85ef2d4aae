#include "base/checksum.h"

#include <xxhash.h>
#include "base/buf.h"

#define WIDE_MIN 1024u /* shorter ones are not worth the question */

uint64_t checksum64(const void *p, size_t n, uint64_t seed)
{
#ifdef HQ_CHECKSUM_WIDE
    if (n >= WIDE_MIN && __builtin_cpu_supports("avx2"))
        return checksum64_wide(p, n, seed);
#endif
    return XXH3_64bits_withSeed(p, n, seed);
}

uint64_t checksum_seed(uint64_t file_uid, uint64_t offset)
{
    uint8_t bytes[16];
    put_u64(bytes, file_uid);
    put_u64(bytes + 8, offset);
    return XXH3_64bits(bytes, sizeof bytes);
}
