/*
 * What is told of a zstd frame without unpacking it. Bytes 0 and 1 are looked for, the
 * rest is the frame. Where zstd unpacks it, a byte of its content is never denied.
 */
#include "outlog/literals.h"

#include <string.h>
#include <zstd.h>

#define CONTENT_MAX (1u << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t content[CONTENT_MAX];
    if (size < 2)
        return 0;
    bool may = literals_may_hold(data + 2, size - 2, data[0], data[1]);
    size_t n = ZSTD_decompress(content, sizeof content, data + 2, size - 2);
    if (!ZSTD_isError(n))
        HQ_ASSERT(may ||
                  (!memchr(content, data[0], n) && !memchr(content, data[1], n)));
    return 0;
}
