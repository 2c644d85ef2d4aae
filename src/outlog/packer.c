#include "outlog/packer.h"

#define ZSTD_STATIC_LINKING_ONLY /* for literalCompressionMode */
#include <stdlib.h>
#include <zstd.h>
#include "base/clock.h"

/* Level 1, and … */
#define MIN_MATCH 7        /* bytes */
#define TARGET_LENGTH 2    /* looks at two of three places */
#define PACK_MIN 2048u     /* shorter runs are not worth it */
#define SAMPLE_BYTES 8192u /* looked at before all is packed */
#define SKIP_MAX 15u
#define MEASURE_MIN (64u << 10) /* less is no measure of speed */
#define MEASURE_EVERY 512u      /* where packing is slower, it is tried so often */
#define LOOK_BACK (2u << 20)    /* bytes over which work and waiting are compared … */
#define LOOK_BACK_MAX (64u << 20) /* … at first, and where packing made it late */
#define SHARE 4 /* of the last measurement in the average: 1 / SHARE */

struct packer {
    ZSTD_CCtx *ctx;
    bool paid;           /* the last one: the next one will, too */
    uint32_t skip, wait; /* so many are not looked at; how many after the next miss */
    /* Averages, 0: unknown. */
    uint64_t pack_ps, store_ps; /* picoseconds a byte: packed; stored */
    uint64_t left_ppm;          /* what packing leaves */
    uint32_t slower;            /* groups stored as they are since one was packed */
    bool late;                  /* output comes faster than it is packed … */
    uint64_t waited_us, passed; /* … and since then: time without work, bytes */
    uint64_t look_back;         /* bytes over which these are compared */
    uint64_t in_time;           /* bytes since it was not late any more */
    uint8_t sample[ZSTD_COMPRESSBOUND(SAMPLE_BYTES)];
};

/*
 * Fewer and longer matches than those of the level. Groups of 256 KiB of text are
 * packed up to 20 % faster and unpacked up to 8 % faster, into up to 5 % more bytes;
 * tables of numbers into less. In larger groups, where the level wants matches of 7
 * bytes by itself, packing gains 8 % and unpacking loses 3 %. Negative levels are as
 * fast, but leave their literals as they are: a third more bytes.
 */
static bool set_up(ZSTD_CCtx *ctx)
{
    return ctx &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, 1)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_literalCompressionMode,
                                                ZSTD_ps_enable)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_minMatch, MIN_MATCH)) &&
           !ZSTD_isError(
               ZSTD_CCtx_setParameter(ctx, ZSTD_c_targetLength, TARGET_LENGTH));
}

struct packer *packer_create(void)
{
    struct packer *p = malloc(sizeof *p);
    if (!p)
        return NULL;
    *p = (struct packer){.ctx = ZSTD_createCCtx(), .look_back = LOOK_BACK};
    if (set_up(p->ctx))
        return p;
    packer_destroy(p);
    return NULL;
}

void packer_destroy(struct packer *p)
{
    if (!p)
        return;
    (void)ZSTD_freeCCtx(p->ctx);
    free(p);
}

/* A quarter saved is worth the reader's time. */
static bool pays(size_t packed, size_t raw)
{
    return packed < raw - raw / 4;
}

static bool sample_pays(struct packer *p, const uint8_t *data, size_t len)
{
    size_t n = MIN(len, SAMPLE_BYTES);
    const uint8_t *from = data + (len - n) / 2;
    size_t r = ZSTD_compress2(p->ctx, p->sample, sizeof p->sample, from, n);
    return !ZSTD_isError(r) && pays(r, n);
}

/* Length of the zstd frame at out, or 0. */
static size_t compress(struct packer *p, const uint8_t *data, size_t len, uint8_t *out,
                       size_t room)
{
    if (!p->paid && !sample_pays(p, data, len))
        return 0;
    size_t r = ZSTD_compress2(p->ctx, out, room, data, len);
    return !ZSTD_isError(r) && pays(r, len) ? r : 0;
}

/* What does not pay is tried again ever more rarely. */
static void learn(struct packer *p, bool paid)
{
    p->paid = paid;
    p->wait = paid ? 0 : MIN(p->wait * 2 + 1, SKIP_MAX);
    p->skip = p->wait;
}

bool packer_is_hopeful(struct packer *p)
{
    if (p->skip == 0)
        return true;
    p->skip--;
    return false;
}

static void measure(uint64_t *average, uint64_t value)
{
    *average = *average ? (*average * (SHARE - 1) + value) / SHARE : value;
}

static uint64_t speed_ps(size_t bytes, uint64_t us)
{
    return us * 1000000 / bytes;
}

void packer_stored(struct packer *p, size_t bytes, uint64_t us)
{
    if (bytes >= MEASURE_MIN)
        measure(&p->store_ps, speed_ps(bytes, us));
}

void packer_waited(struct packer *p, uint64_t us)
{
    p->waited_us += us;
}

/* Whether packing and storing the less takes no longer than storing all of it. */
static bool is_faster(struct packer *p)
{
    if (p->pack_ps + p->store_ps * p->left_ppm / 1000000 <= p->store_ps ||
        ++p->slower >= MEASURE_EVERY) {
        p->slower = 0;
        return true;
    }
    return false;
}

/* Where it comes soon after packing was tried, the time without work was none that
 * packing could use: others needed the core. */
static void become_late(struct packer *p)
{
    if (!p->late)
        p->look_back = p->in_time < p->look_back ? MIN(p->look_back * 2, LOOK_BACK_MAX)
                                                 : LOOK_BACK;
    p->late = true;
    p->waited_us = p->passed = 0;
}

bool packer_keeps_up(struct packer *p, size_t len, bool crowded)
{
    p->in_time += p->late ? 0 : len;
    if (crowded) {
        become_late(p);
    } else if (p->late && p->waited_us >= p->pack_ps * p->look_back / 1000000) {
        p->late = false;
        p->in_time = 0;
    } else if (p->late && (p->passed += len) >= p->look_back) {
        p->waited_us = p->passed = 0;
    }
    return !p->late || is_faster(p);
}

size_t packer_pack(struct packer *p, const uint8_t *data, size_t len, uint8_t *out,
                   size_t room)
{
    if (len < PACK_MIN || len > OUTLOG_GROUP_RAW_MAX ||
        room < OUTLOG_BLOCK_HEADER_BYTES + OUTLOG_BLOCK_ALIGN)
        return 0;
    uint64_t begin_us = clock_mono_us();
    size_t r = compress(p, data, len, out + OUTLOG_BLOCK_HEADER_BYTES,
                        room - OUTLOG_BLOCK_HEADER_BYTES - OUTLOG_BLOCK_ALIGN);
    learn(p, r > 0);
    if (r == 0)
        return 0;
    if (len >= MEASURE_MIN) {
        measure(&p->pack_ps, speed_ps(len, clock_mono_us() - begin_us));
        measure(&p->left_ppm, r * UINT64_C(1000000) / len);
    }
    struct outlog_block group = {.type = OUTLOG_BLOCK_GROUP, .stored = (uint32_t)r};
    struct outlog_block inner;
    for (size_t at = 0; at < len; at += (size_t)outlog_block_span(inner.stored)) {
        HQ_ASSERT(outlog_block_decode_inner(data + at, len - at, &inner));
        if (group.seq++ == 0)
            group.time_us = inner.time_us;
    }
    outlog_block_encode(&group, out);
    size_t span = (size_t)outlog_block_span(group.stored);
    memset(out + OUTLOG_BLOCK_HEADER_BYTES + r, 0,
           span - OUTLOG_BLOCK_HEADER_BYTES - r);
    return span;
}
