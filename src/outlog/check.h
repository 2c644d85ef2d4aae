/*
 * Checking a log: every byte is accounted for. Each extent is scanned, each index
 * compared with what the scan found, the seal read with all its pages, each finished
 * run compared with what its end record says.
 */
#ifndef HQ_OUTLOG_CHECK_H
#define HQ_OUTLOG_CHECK_H

#include "outlog/reader.h"

struct outlog_check_report {
    uint32_t n_files;
    uint64_t n_extents, n_open_extents; /* open: being written, or its writer died */
    uint64_t n_blocks, n_runs, n_unfinished;
    uint64_t n_damages, damaged_bytes; /* blocks and bytes that are lost */
    uint64_t n_torn;                   /* writes that were not finished: no damage */
    uint64_t n_index_damages;          /* indexes that a reader must do without */
    uint64_t n_incomplete;             /* finished runs whose output is not all there */
};

/* `fn` gets each finding, in the order of the file. Reads all of it. */
int outlog_check(struct outlog_reader *r, outlog_damage_fn fn, void *arg,
                 struct outlog_check_report *report, struct error *err) MUST_CHECK;
/* Whether nothing is wrong. */
bool outlog_check_clean(const struct outlog_check_report *report);

#endif
