#include "outlog/unpacker.h"

#include <stdlib.h>
#include <zstd.h>
#include "outlog/packer.h"

/* One context for all groups: a fresh one each time costs as much as the content of a
 * small group. */
struct unpacker {
    ZSTD_DCtx *ctx;
};

struct unpacker *unpacker_create(void)
{
    struct unpacker *u = malloc(sizeof *u);
    if (!u)
        return NULL;
    u->ctx = ZSTD_createDCtx();
    if (u->ctx)
        return u;
    free(u);
    return NULL;
}

void unpacker_destroy(struct unpacker *u)
{
    if (!u)
        return;
    (void)ZSTD_freeDCtx(u->ctx);
    free(u);
}

int unpacker_unpack(struct unpacker *u, const uint8_t *payload, size_t n,
                    struct buf *out)
{
    unsigned long long raw = ZSTD_getFrameContentSize(payload, n);
    if (raw == ZSTD_CONTENTSIZE_UNKNOWN || raw == ZSTD_CONTENTSIZE_ERROR ||
        raw > OUTLOG_GROUP_RAW_MAX || ZSTD_findFrameCompressedSize(payload, n) != n)
        return ERR_CORRUPT;
    size_t start = out->len;
    uint8_t *to = buf_extend(out, (size_t)raw);
    if (!to)
        return ERR_NOMEM;
    size_t r = ZSTD_decompressDCtx(u->ctx, to, (size_t)raw, payload, n);
    if (r != raw) {
        out->len = start;
        return ERR_CORRUPT;
    }
    return 0;
}
