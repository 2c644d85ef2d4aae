#include "outlog/format.h"

#include "base/checksum.h"

static const uint8_t magic_file[8] = {0x89, 'H', 'Q', 'L', 0x0d, 0x0a, 0x1a, 0x0a};
#define MAGIC_EXTENT 0x584c5148u   /* HQLX */
#define MAGIC_CLOSE 0x434c5148u    /* HQLC */
#define MAGIC_IDENTITY 0x494c5148u /* HQLI */
#define MAGIC_BLOCK 0x424c5148u    /* HQLB */
#define BYTE_ORDER_MARK 0x01020304u
#define FEATURE_GROUPS 1u /* reader must know: zstd groups */
#define SUPERBLOCK_CHECK_AT (OUTLOG_SUPERBLOCK_BYTES - 8)

const char *const outlog_state_words[OUTLOG_STATE_COUNT] = {
    [OUTLOG_UNFINISHED] = "unfinished", [OUTLOG_FINISHED] = "finished",
    [OUTLOG_FAILED] = "failed",         [OUTLOG_CANCELED] = "canceled",
    [OUTLOG_ABORTED] = "aborted",       [OUTLOG_TIME_LIMIT] = "timeout"};

uint64_t outlog_seed(const struct outlog_uid *uid)
{
    return checksum64(uid->b, sizeof uid->b, 0);
}

static uint64_t check_at(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset)
{
    return checksum64(p, n, checksum_seed(seed, offset));
}

void outlog_seal_bytes(uint8_t *p, size_t n, uint64_t seed, uint64_t offset)
{
    put_u64(p, check_at(p + 8, n - 8, seed, offset));
}

bool outlog_bytes_ok(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset)
{
    return get_u64(p) == check_at(p + 8, n - 8, seed, offset);
}

/* ---- superblock ------------------------------------------------------------------ */

void outlog_superblock_encode(const struct outlog_ident *id,
                              uint8_t out[OUTLOG_SUPERBLOCK_BYTES])
{
    memset(out, 0, OUTLOG_SUPERBLOCK_BYTES);
    memcpy(out, magic_file, 8);
    put_u16(out + 8, OUTLOG_VERSION);
    put_u32(out + 12, BYTE_ORDER_MARK);
    put_u32(out + 16, OUTLOG_SUPERBLOCK_BYTES);
    put_u64(out + 40, FEATURE_GROUPS);
    memcpy(out + 48, id->uid.b, 16);
    put_u64(out + 64, id->created_us);
    put_u64(out + 72, OUTLOG_DATA_START);
    out[80] = id->align_log2;
    out[81] = 3; /* blocks at multiples of 8 */
    put_u32(out + 84, OUTLOG_PAYLOAD_MAX);
    memcpy(out + 96, id->server_uid, strnlen(id->server_uid, OUTLOG_SERVER_UID_MAX));
    put_u64(out + SUPERBLOCK_CHECK_AT, checksum64(out, SUPERBLOCK_CHECK_AT, 0));
}

int outlog_superblock_decode(const uint8_t *p, size_t n, struct outlog_ident *id,
                             struct error *err)
{
    if (n < OUTLOG_SUPERBLOCK_BYTES || memcmp(p, magic_file, 8) != 0)
        return error_set(err, ERR_CORRUPT, "not an output log");
    if (get_u32(p + 12) != BYTE_ORDER_MARK)
        return error_set(err, ERR_CORRUPT, "damaged superblock");
    if (get_u16(p + 8) != OUTLOG_VERSION)
        return error_set(
            err, ERR_VERSION,
            "output log of format version %u, this program reads version %d",
            get_u16(p + 8), OUTLOG_VERSION);
    if (get_u64(p + SUPERBLOCK_CHECK_AT) != checksum64(p, SUPERBLOCK_CHECK_AT, 0))
        return error_set(err, ERR_CORRUPT, "damaged superblock");
    uint64_t unknown = get_u64(p + 40) & ~(uint64_t)FEATURE_GROUPS;
    if (unknown)
        return error_set(
            err, ERR_VERSION,
            "output log uses features 0x%llx that this program does not know",
            (unsigned long long)unknown);
    if (get_u64(p + 72) != OUTLOG_DATA_START || p[80] < OUTLOG_ALIGN_LOG2_MIN ||
        p[80] > OUTLOG_ALIGN_LOG2_MAX || p[81] != 3)
        return error_set(err, ERR_CORRUPT, "superblock with impossible sizes");
    memset(id, 0, sizeof *id);
    memcpy(id->uid.b, p + 48, 16);
    id->created_us = get_u64(p + 64);
    id->align_log2 = p[80];
    memcpy(id->server_uid, p + 96, OUTLOG_SERVER_UID_MAX);
    return 0;
}

/* ---- extents --------------------------------------------------------------------- */

void outlog_extent_encode(const struct outlog_extent *x, uint64_t seed,
                          uint8_t out[OUTLOG_PART_BYTES])
{
    memset(out, 0, OUTLOG_PART_BYTES);
    put_u32(out + 8, MAGIC_EXTENT);
    out[12] = (uint8_t)x->kind;
    put_u64(out + 16, x->offset);
    put_u64(out + 24, x->length);
    put_u64(out + 32, x->lease);
    put_u32(out + 40, x->origin.worker);
    put_u32(out + 44, (uint32_t)x->origin.rank);
    put_u64(out + 48, x->opened_us);
    put_u64(out + 56, (uint64_t)x->origin.clock_offset_us);
    memcpy(out + 64, x->origin.host, strnlen(x->origin.host, OUTLOG_HOST_MAX));
    outlog_seal_bytes(out, OUTLOG_PART_BYTES, seed, x->offset);
}

bool outlog_extent_decode(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset,
                          struct outlog_extent *x)
{
    if (n < OUTLOG_PART_BYTES || get_u32(p + 8) != MAGIC_EXTENT ||
        !outlog_bytes_ok(p, OUTLOG_PART_BYTES, seed, offset))
        return false;
    uint64_t length = get_u64(p + 24), end;
    if (get_u64(p + 16) != offset || length < OUTLOG_EXTENT_HEADER_BYTES ||
        ADD_OVERFLOWS(offset, length, &end) || end > INT64_MAX)
        return false;
    if (p[12] != OUTLOG_EXTENT_DATA && p[12] != OUTLOG_EXTENT_INDEX)
        return false;
    memset(x, 0, sizeof *x);
    x->offset = offset;
    x->length = length;
    x->lease = get_u64(p + 32);
    x->kind = (enum outlog_extent_kind)p[12];
    x->opened_us = get_u64(p + 48);
    x->origin.worker = get_u32(p + 40);
    x->origin.rank = (int32_t)get_u32(p + 44);
    x->origin.clock_offset_us = (int64_t)get_u64(p + 56);
    memcpy(x->origin.host, p + 64, OUTLOG_HOST_MAX);
    return true;
}

void outlog_close_encode(const struct outlog_close *c, uint64_t seed,
                         uint64_t extent_offset, uint8_t out[OUTLOG_PART_BYTES])
{
    memset(out, 0, OUTLOG_PART_BYTES);
    put_u32(out + 8, MAGIC_CLOSE);
    put_u64(out + 16, c->data_end);
    put_u64(out + 24, c->index_bytes);
    put_u64(out + 32, c->n_blocks);
    put_u64(out + 40, c->first_us);
    put_u64(out + 48, c->last_us);
    put_u64(out + 56, c->closed_us);
    put_u64(out + 64, c->bytes[OUTLOG_STDOUT]);
    put_u64(out + 72, c->bytes[OUTLOG_STDERR]);
    outlog_seal_bytes(out, OUTLOG_PART_BYTES, seed, extent_offset + OUTLOG_CLOSE_AT);
}

bool outlog_close_decode(const uint8_t *p, size_t n, uint64_t seed,
                         const struct outlog_extent *x, struct outlog_close *c)
{
    if (n < OUTLOG_PART_BYTES || get_u32(p + 8) != MAGIC_CLOSE ||
        !outlog_bytes_ok(p, OUTLOG_PART_BYTES, seed, x->offset + OUTLOG_CLOSE_AT))
        return false;
    uint64_t data_end = get_u64(p + 16), index_bytes = get_u64(p + 24), end;
    if (data_end < x->offset + OUTLOG_EXTENT_HEADER_BYTES ||
        ADD_OVERFLOWS(data_end, index_bytes, &end) || end > x->offset + x->length)
        return false;
    *c = (struct outlog_close){
        .data_end = data_end,
        .index_bytes = index_bytes,
        .n_blocks = get_u64(p + 32),
        .first_us = get_u64(p + 40),
        .last_us = get_u64(p + 48),
        .closed_us = get_u64(p + 56),
        .bytes = {get_u64(p + 64), get_u64(p + 72)},
    };
    return true;
}

void outlog_identity_encode(const struct outlog_ident *id,
                            uint8_t out[OUTLOG_PART_BYTES])
{
    memset(out, 0, OUTLOG_PART_BYTES);
    put_u32(out + 8, MAGIC_IDENTITY);
    put_u16(out + 12, OUTLOG_VERSION);
    out[14] = id->align_log2;
    memcpy(out + 16, id->uid.b, 16);
    put_u64(out + 32, id->created_us);
    put_u64(out + 40, FEATURE_GROUPS);
    memcpy(out + 48, id->server_uid, strnlen(id->server_uid, OUTLOG_SERVER_UID_MAX));
    put_u64(out, checksum64(out + 8, OUTLOG_PART_BYTES - 8, 0));
}

bool outlog_identity_decode(const uint8_t *p, size_t n, struct outlog_ident *id)
{
    if (n < OUTLOG_PART_BYTES || get_u32(p + 8) != MAGIC_IDENTITY ||
        get_u64(p) != checksum64(p + 8, OUTLOG_PART_BYTES - 8, 0) ||
        get_u16(p + 12) != OUTLOG_VERSION ||
        get_u64(p + 40) & ~(uint64_t)FEATURE_GROUPS || p[14] < OUTLOG_ALIGN_LOG2_MIN ||
        p[14] > OUTLOG_ALIGN_LOG2_MAX)
        return false;
    memset(id, 0, sizeof *id);
    memcpy(id->uid.b, p + 16, 16);
    id->align_log2 = p[14];
    id->created_us = get_u64(p + 32);
    memcpy(id->server_uid, p + 48, OUTLOG_SERVER_UID_MAX);
    return true;
}

/* ---- blocks ---------------------------------------------------------------------- */

void outlog_block_encode(const struct outlog_block *b,
                         uint8_t out[OUTLOG_BLOCK_HEADER_BYTES])
{
    memset(out, 0, OUTLOG_BLOCK_HEADER_BYTES);
    put_u32(out + 4, MAGIC_BLOCK);
    out[8] = b->type;
    out[9] = b->flags;
    put_u16(out + 10, OUTLOG_BLOCK_HEADER_BYTES);
    put_u32(out + 12, b->stored);
    put_u32(out + 24, b->job);
    put_u32(out + 28, b->task);
    put_u32(out + 32, b->instance);
    put_u32(out + 36, b->seq);
    put_u64(out + 40, b->time_us);
}

static uint32_t header_check(const uint8_t *p, uint64_t block_seed)
{
    return (uint32_t)checksum64(p + 4, OUTLOG_BLOCK_HEADER_BYTES - 4, block_seed);
}

void outlog_block_finish(uint8_t *block, uint64_t seed, uint64_t offset)
{
    uint64_t s = checksum_seed(seed, offset);
    put_u64(block + 16,
            checksum64(block + OUTLOG_BLOCK_HEADER_BYTES, get_u32(block + 12), s));
    put_u32(block, header_check(block, s));
}

bool outlog_block_decode_inner(const uint8_t *p, size_t n, struct outlog_block *b)
{
    if (n < OUTLOG_BLOCK_HEADER_BYTES || get_u32(p + 4) != MAGIC_BLOCK)
        return false;
    *b = (struct outlog_block){
        .type = p[8],
        .flags = p[9],
        .stored = get_u32(p + 12),
        .payload_check = get_u64(p + 16),
        .job = get_u32(p + 24),
        .task = get_u32(p + 28),
        .instance = get_u32(p + 32),
        .seq = get_u32(p + 36),
        .time_us = get_u64(p + 40),
    };
    if (get_u16(p + 10) != OUTLOG_BLOCK_HEADER_BYTES || b->stored > OUTLOG_PAYLOAD_MAX)
        return false;
    if (b->type != OUTLOG_BLOCK_STDOUT && b->type != OUTLOG_BLOCK_STDERR &&
        b->type != OUTLOG_BLOCK_EVENT && b->type != OUTLOG_BLOCK_GROUP)
        return false;
    return !(b->flags & OUTLOG_FLAG_END) || b->stored >= OUTLOG_END_BYTES;
}

bool outlog_block_decode(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset,
                         struct outlog_block *b)
{
    if (n < OUTLOG_BLOCK_HEADER_BYTES || get_u32(p + 4) != MAGIC_BLOCK)
        return false;
    return get_u32(p) == header_check(p, checksum_seed(seed, offset)) &&
           outlog_block_decode_inner(p, n, b);
}

bool outlog_payload_ok(const struct outlog_block *b, const uint8_t *payload,
                       uint64_t seed, uint64_t offset)
{
    return b->payload_check == check_at(payload, b->stored, seed, offset);
}

void outlog_end_encode(const struct outlog_end *e, uint8_t out[OUTLOG_END_BYTES])
{
    out[0] = (uint8_t)e->state;
    out[1] = e->signal;
    out[2] = e->cut ? 1 : 0;
    out[3] = e->channels;
    put_u32(out + 4, (uint32_t)e->exit_code);
    put_u64(out + 8, e->start_us);
    put_u64(out + 16, e->end_us);
    put_u64(out + 24, e->bytes[OUTLOG_STDOUT]);
    put_u64(out + 32, e->bytes[OUTLOG_STDERR]);
}

bool outlog_end_decode(const uint8_t *p, size_t n, struct outlog_end *e)
{
    if (n < OUTLOG_END_BYTES || p[0] == OUTLOG_UNFINISHED || p[0] >= OUTLOG_STATE_COUNT)
        return false;
    *e = (struct outlog_end){
        .state = (enum outlog_state)p[0],
        .signal = p[1],
        .cut = p[2] & 1,
        .channels = p[3],
        .exit_code = (int32_t)get_u32(p + 4),
        .start_us = get_u64(p + 8),
        .end_us = get_u64(p + 16),
        .bytes = {get_u64(p + 24), get_u64(p + 32)},
    };
    return true;
}
