/*
 * struct lease_book: who may write where in one log. Held by the server, one per log
 * file; pure. Extents are never given out twice, not even after a restart: the mark up
 * to which space may have been given out is journaled before a grant beyond it leaves.
 *
 *   worker asks for a log (LOG_OPEN)  -> lease_book_open, answer with ident, replace
 * and a first lease from lease_book_grant worker asks for space             ->
 * lease_book_grant worker closed an extent           -> lease_book_end worker lost ->
 * lease_book_worker_lost
 *
 * Offsets: the first lease of a log is 64 KiB at 12 KiB, all others begin at multiples
 * of the alignment and double per worker from the alignment to 16 MiB.
 */
#ifndef HQ_OUTLOG_LEASE_H
#define HQ_OUTLOG_LEASE_H

#include "base/cursor.h"
#include "outlog/format.h"

#define LEASE_FIRST_BYTES (64u << 10)
#define LEASE_MAX_BYTES (16ull << 20)
#define LEASE_MARK_STRIDE_MAX (256ull << 20)

struct outlog_lease {
    uint64_t id;
    uint64_t offset, length;
};

struct lease_worker; /* per worker: leases given and not ended */

struct lease_book {
    struct outlog_ident ident;
    uint64_t next;      /* space below was given out */
    uint64_t journaled; /* the mark in the journal; 0: none yet */
    uint64_t next_lease;
    uint64_t n_open;   /* leases given and not ended, lost workers' left out */
    uint32_t replacer; /* worker that may move an old file aside; 0: nobody yet */
    bool in_use;       /* an opener reported the file good: nobody replaces any more */
    struct lease_worker *workers;
    size_t n_workers, cap_workers;
};

/*
 * A new log. `uid` is random, `server_uid` at most 31 bytes (cut). Alignment: the
 * larger of 1 MiB and the file system's block size (0: unknown), rounded up to a power
 * of two.
 */
void lease_book_init(struct lease_book *b, struct outlog_uid uid,
                     const char *server_uid, uint64_t created_us, uint64_t block_bytes);
/*
 * A log known from the journal: goes on behind the mark. The journal keeps ident as
 * lease_ident_encode wrote it.
 */
void lease_book_restore(struct lease_book *b, const struct outlog_ident *ident,
                        uint64_t mark);
void lease_book_release(struct lease_book *b);

/* Identity for journal and wire: uid 16, u64 created, u8 align, server uid str. */
void lease_ident_encode(const struct outlog_ident *id, struct buf *out);
bool lease_ident_decode(struct outlog_ident *id, struct cursor *c);

/* What an opener found at the path (the blob `found` of LOG_OPEN). */
struct outlog_probe {
    uint64_t file_bytes;  /* 0: no file, or an empty one */
    uint64_t block_bytes; /* of the file system */
    bool has_ident;       /* the file is an output log of this format */
    struct outlog_ident ident;
};
void lease_probe_encode(const struct outlog_probe *p, struct buf *out);
bool lease_probe_decode(struct outlog_probe *p, struct cursor *c);

/*
 * A new book for a log that the server does not know. When the file found there is a
 * log of this server (its journal was lost), it is taken over, else a new one is begun.
 */
void lease_book_create(struct lease_book *b, const struct outlog_probe *found,
                       struct outlog_uid uid, const char *server_uid,
                       uint64_t created_us);
/*
 * A worker opens the log. What it found of our file is never given out again. Returns
 * whether this worker may move a foreign file aside (only when the submit said so, and
 * only one worker).
 */
bool lease_book_open(struct lease_book *b, uint32_t worker,
                     const struct outlog_probe *found, bool replace_wanted);

/*
 * The next extent for a worker. True when the journal must hold the event LOG_MARK with
 * *mark before the grant is sent (the book counts it as journaled from now on).
 * ERR_NOMEM is the only failure: then *lease is zero.
 */
int lease_book_grant(struct lease_book *b, uint32_t worker, struct outlog_lease *lease,
                     bool *journal_first, uint64_t *mark) MUST_CHECK;
/* The extent is closed (or was never used). Unknown ids are ignored. */
void lease_book_end(struct lease_book *b, uint32_t worker, uint64_t lease);
void lease_book_worker_lost(struct lease_book *b, uint32_t worker);
/* Space below `end` is taken (an index was written there). As grant for the mark. */
bool lease_book_reserve(struct lease_book *b, uint64_t end, uint64_t *mark);

#endif
