/*
 * The bytes of a shared output log, version 1: docs/format-outlog.md is the
 * specification, this header its constants and codecs. Pure: no I/O, no clock.
 *
 *   0       superblock (4096)      identical whoever writes it
 *   4096    state slot A (512)     written by the sealer, in turn with
 *   8192    state slot B (512)
 *   12288   first extent, then extents at multiples of the alignment, holes between
 *
 * An extent is written by one worker from its start on: extent header, close record
 * (zeros while open), copy of the identity, blocks, index pages. Every structure
 * carries an XXH3-64 checksum seeded with the log's identity and the structure's own
 * offset, so that a block that was copied elsewhere, or a log that a task prints, is
 * never taken for a block.
 */
#ifndef HQ_OUTLOG_FORMAT_H
#define HQ_OUTLOG_FORMAT_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"

#define OUTLOG_VERSION 1
#define OUTLOG_SUPERBLOCK_BYTES 4096u
#define OUTLOG_SLOT_A 4096u
#define OUTLOG_SLOT_B 8192u
#define OUTLOG_SLOT_BYTES 512u
#define OUTLOG_DATA_START 12288u
#define OUTLOG_EXTENT_HEADER_BYTES 384u /* header, close record, identity: 128 each */
#define OUTLOG_CLOSE_AT 128u            /* offset of the close record in the extent */
#define OUTLOG_IDENTITY_AT 256u         /* of the copy of the log's identity */
#define OUTLOG_PART_BYTES 128u          /* length of each of these parts */
#define OUTLOG_BLOCK_HEADER_BYTES 48u
#define OUTLOG_END_BYTES 40u
#define OUTLOG_PAGE_BYTES 4096u /* largest index page */
#define OUTLOG_PAGE_HEADER_BYTES 24u
#define OUTLOG_BLOCK_ALIGN 8u
#define OUTLOG_PAYLOAD_MAX ((1u << 24) - 1)
#define OUTLOG_ALIGN_LOG2_MIN 20u /* 1 MiB */
#define OUTLOG_ALIGN_LOG2_MAX 30u
#define OUTLOG_SERVER_UID_MAX 31u
#define OUTLOG_HOST_MAX 63u
#define OUTLOG_SUFFIX ".hqlog"

struct outlog_uid {
    uint8_t b[16];
};

/* What the superblock says. Made by the server, the same at every writer. */
struct outlog_ident {
    struct outlog_uid uid; /* random */
    uint64_t created_us;
    uint8_t align_log2; /* alignment of extents behind the first */
    char server_uid[OUTLOG_SERVER_UID_MAX + 1];
};

/* Who writes an extent. */
struct outlog_origin {
    uint32_t worker;
    int32_t rank;            /* MPI or launcher rank, -1: none */
    int64_t clock_offset_us; /* this node's clock minus the server's */
    char host[OUTLOG_HOST_MAX + 1];
};

enum outlog_channel { OUTLOG_STDOUT = 0, OUTLOG_STDERR = 1 };
#define OUTLOG_N_CHANNELS 2

/* How a run ended. Numbers are on disk. */
enum outlog_state {
    OUTLOG_UNFINISHED = 0, /* no end record */
    OUTLOG_FINISHED = 1,
    OUTLOG_FAILED = 2,
    OUTLOG_CANCELED = 3,
    OUTLOG_ABORTED = 4,
    OUTLOG_TIME_LIMIT = 5,
    OUTLOG_STATE_COUNT
};
extern const char *const outlog_state_words[OUTLOG_STATE_COUNT];

/* The end record of one run (instance) of a task. */
struct outlog_end {
    enum outlog_state state;
    uint8_t signal;   /* 0: ended by itself */
    bool cut;         /* output was dropped: killed, or above a limit */
    uint8_t channels; /* bit 0 stdout, bit 1 stderr were streamed */
    int32_t exit_code;
    uint64_t start_us, end_us; /* 0: never started */
    uint64_t bytes[OUTLOG_N_CHANNELS];
};

/* Seed of all checksums of one log. */
uint64_t outlog_seed(const struct outlog_uid *uid);

/*
 * Structures other than superblock and block begin with their 8 byte checksum, which
 * covers the bytes behind it. Puts it there; tells whether it is right.
 */
void outlog_seal_bytes(uint8_t *p, size_t n, uint64_t seed, uint64_t offset);
bool outlog_bytes_ok(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset);

/* ---- superblock ---- */
void outlog_superblock_encode(const struct outlog_ident *id,
                              uint8_t out[OUTLOG_SUPERBLOCK_BYTES]);
/* ERR_CORRUPT, ERR_VERSION; the texts do not name the file. */
int outlog_superblock_decode(const uint8_t *p, size_t n, struct outlog_ident *id,
                             struct error *err) MUST_CHECK;

/* ---- extents ---- */
enum outlog_extent_kind { OUTLOG_EXTENT_DATA = 1, OUTLOG_EXTENT_INDEX = 2 };

struct outlog_extent {
    uint64_t offset, length;
    uint64_t lease;
    enum outlog_extent_kind kind;
    uint64_t opened_us;
    struct outlog_origin origin;
};
void outlog_extent_encode(const struct outlog_extent *x, uint64_t seed,
                          uint8_t out[OUTLOG_PART_BYTES]);
/* False: no valid header of this log at that offset. */
bool outlog_extent_decode(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset,
                          struct outlog_extent *x);

/* Written into the extent header when the extent is closed. */
struct outlog_close {
    uint64_t data_end;    /* blocks end here (absolute) */
    uint64_t index_bytes; /* index pages lie right behind data_end */
    uint64_t n_blocks;
    uint64_t first_us, last_us; /* smallest and largest block time */
    uint64_t closed_us;
    uint64_t bytes[OUTLOG_N_CHANNELS];
};
void outlog_close_encode(const struct outlog_close *c, uint64_t seed,
                         uint64_t extent_offset, uint8_t out[OUTLOG_PART_BYTES]);
bool outlog_close_decode(const uint8_t *p, size_t n, uint64_t seed,
                         const struct outlog_extent *x, struct outlog_close *c);

/*
 * What the superblock says, once more in each extent header: a log whose superblock is
 * damaged is still read. Its checksum is not seeded, since nothing is known then.
 */
void outlog_identity_encode(const struct outlog_ident *id,
                            uint8_t out[OUTLOG_PART_BYTES]);
bool outlog_identity_decode(const uint8_t *p, size_t n, struct outlog_ident *id);

/* ---- blocks ---- */
enum outlog_block_type {
    OUTLOG_BLOCK_STDOUT = 1,
    OUTLOG_BLOCK_STDERR = 2,
    OUTLOG_BLOCK_EVENT = 3, /* no output: start of a run, or its end record alone */
    OUTLOG_BLOCK_GROUP = 8  /* a zstd frame that holds a run of blocks */
};
#define OUTLOG_FLAG_END 1 /* the payload ends with an end record */
#define OUTLOG_FLAG_CUT 2 /* with END: output was dropped */

struct outlog_block {
    uint8_t type;    /* enum outlog_block_type */
    uint8_t flags;   /* OUTLOG_FLAG_* */
    uint32_t stored; /* payload bytes, end record included */
    uint64_t payload_check;
    uint32_t job, task, instance;
    uint32_t seq; /* counts the blocks of this instance */
    uint64_t time_us;
};
/* Header and payload with the padding to a multiple of 8. */
static inline uint64_t outlog_block_span(uint32_t stored)
{
    return (OUTLOG_BLOCK_HEADER_BYTES + (uint64_t)stored + OUTLOG_BLOCK_ALIGN - 1) &
           ~(uint64_t)(OUTLOG_BLOCK_ALIGN - 1);
}
/* Bytes of output in the payload. */
static inline uint32_t outlog_block_output(const struct outlog_block *b)
{
    return b->flags & OUTLOG_FLAG_END ? b->stored - OUTLOG_END_BYTES : b->stored;
}
/* Writes the fields; the two checksums are left zero (outlog_block_finish). */
void outlog_block_encode(const struct outlog_block *b,
                         uint8_t out[OUTLOG_BLOCK_HEADER_BYTES]);
/* Puts both checksums into an encoded header that is followed by its payload. */
void outlog_block_finish(uint8_t *block, uint64_t seed, uint64_t offset);
/* Header only. False unless a block of this log begins at that offset. */
bool outlog_block_decode(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset,
                         struct outlog_block *b);
/* The fields alone, without checksums: for blocks inside a group. */
bool outlog_block_decode_inner(const uint8_t *p, size_t n, struct outlog_block *b);
bool outlog_payload_ok(const struct outlog_block *b, const uint8_t *payload,
                       uint64_t seed, uint64_t offset);

void outlog_end_encode(const struct outlog_end *e, uint8_t out[OUTLOG_END_BYTES]);
bool outlog_end_decode(const uint8_t *p, size_t n, struct outlog_end *e);

#endif
