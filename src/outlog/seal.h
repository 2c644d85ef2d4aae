/*
 * Sealing: one sorted index over all extents, as a tree of 4 KiB pages in an extent of
 * its own, so that any task is found in a few reads. The log stays open for more: later
 * extents lie behind the covered part, and a later seal takes the old tree as one of
 * its sources. A crash while sealing leaves the old state.
 */
#ifndef HQ_OUTLOG_SEAL_H
#define HQ_OUTLOG_SEAL_H

#include "outlog/reader.h"

struct outlog_seal_options {
    uint64_t now_us;
    uint64_t min_offset; /* the server's high-water mark; 0: behind all that is there */
    bool only_if_useful; /* not when one closed extent is all there is */
    outlog_damage_fn on_damage; /* or NULL */
    void *arg;
};

struct outlog_seal_result {
    bool done;         /* false: not useful */
    uint64_t n_blocks; /* in the index */
    uint64_t n_tasks;
    uint64_t index_bytes;
    uint64_t file_end; /* for lease_book_reserve */
};

/* ERR_BUSY while somebody writes the log (where the file system has locks). */
int outlog_seal(const char *path, const struct outlog_seal_options *options,
                struct outlog_seal_result *result, struct error *err) MUST_CHECK;

#endif
