/*
 * Repairing: what is readable of a log, as a new sealed log. The old one is only read.
 * Blocks keep their fields, extents the names of their writers; the new log has an
 * identity of its own, so that remains of the old one can never be taken for its
 * blocks.
 */
#ifndef HQ_OUTLOG_REPAIR_H
#define HQ_OUTLOG_REPAIR_H

#include "outlog/reader.h"

struct outlog_repair_options {
    struct outlog_uid uid; /* random: of the new log */
    uint64_t now_us;
    bool drop_superseded; /* leave out all but the newest run of each task */
    bool compress;
    /* May be NULL. The new file is there, and not complete before the end. */
    void (*on_created)(const char *to);
};

struct outlog_repair_result {
    uint64_t n_blocks, n_dropped; /* copied, left out as superseded */
};

/* Damage is reported to the reader's callback. ERR_EXISTS when `to` exists. */
int outlog_repair(struct outlog_reader *from, const char *to,
                  const struct outlog_repair_options *options,
                  struct outlog_repair_result *result, struct error *err) MUST_CHECK;

#endif
