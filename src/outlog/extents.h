/*
 * struct extents: places groups of blocks into leased extents of one log file, keeps
 * the index of the current extent and writes it when the extent is closed. Synchronous
 * and single-threaded; the writer's I/O thread drives it, so do tests.
 */
#ifndef HQ_OUTLOG_EXTENTS_H
#define HQ_OUTLOG_EXTENTS_H

#include "outlog/index.h"
#include "outlog/io_ops.h"
#include "outlog/lease.h"

/* Room that a group buffer needs in front of its blocks. */
#define EXTENTS_HEADROOM OUTLOG_EXTENT_HEADER_BYTES

struct extents {
    const struct outlog_io_ops *io;
    void *file; /* borrowed */
    struct outlog_ident ident;
    uint64_t seed;
    struct outlog_origin origin;

    struct outlog_lease now;  /* length 0: none */
    struct outlog_lease next; /* length 0: none */
    uint64_t pos;             /* where the next block goes (absolute) */
    bool header_written;
    struct outlog_entry *entries; /* of the blocks written into `now` */
    size_t n_entries, cap_entries;
    uint64_t first_us, last_us;
    uint64_t bytes[OUTLOG_N_CHANNELS];

    const uint8_t *raw; /* content of the group block that is being put, or NULL */
    size_t raw_len;

    uint64_t bytes_written; /* statistics */
    uint64_t blocks_written;
};

/* An extent that is done with, closed or given up. */
struct extents_ended {
    uint64_t lease;
    uint64_t data_end; /* 0: nothing was written */
    uint64_t n_blocks;
    uint64_t free_from; /* nothing was written from here to the end of the extent */
};

enum { EXTENTS_DONE = 0, EXTENTS_NEED_LEASE = 1, EXTENTS_ROLLED = 2 };

void extents_init(struct extents *x, const struct outlog_io_ops *io, void *file,
                  const struct outlog_ident *ident, const struct outlog_origin *origin);
void extents_release(struct extents *x);

/* Whether a lease should be asked for now (none waits and the current is 3/4 full). */
bool extents_want_lease(const struct extents *x);
/* Takes a lease; false: two are there already (cannot happen when asked one by one). */
bool extents_add_lease(struct extents *x, const struct outlog_lease *lease);

/*
 * Writes the blocks [data + *done, data + len), which are encoded but not finished, as
 * far as they go. data has EXTENTS_HEADROOM writable bytes in front of it. For a packed
 * group set x->raw to its content. Returns
 *   EXTENTS_DONE         all written
 *   EXTENTS_NEED_LEASE   *done has moved on; add a lease and call again
 *   EXTENTS_ROLLED       an extent was closed (*ended); call again
 *   negative             the write failed; call extents_close, then go on elsewhere
 */
int extents_put(struct extents *x, uint8_t *data, size_t len, size_t *done,
                uint64_t now_us, struct extents_ended *ended,
                struct error *err) MUST_CHECK;
/*
 * Closes the current extent with its index. False when there was none. Failures to
 * write the index are harmless (readers scan then) and only reported by *err.
 */
bool extents_close(struct extents *x, uint64_t now_us, struct extents_ended *ended,
                   struct error *err);
/* Gives up the second lease, unused; false when there is none. */
bool extents_drop_next(struct extents *x, struct extents_ended *ended);

#endif
