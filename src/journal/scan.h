/*
 * Walks the records of a journal file, read in large pieces through a window that never
 * grows beyond what the file holds.
 */
#ifndef HQ_JOURNAL_SCAN_H
#define HQ_JOURNAL_SCAN_H

#include "journal/format.h"

struct journal_scan {
    const char *path; /* borrowed */
    int fd;           /* borrowed */
    uint64_t size;    /* of the file, at the time of journal_scan_open */
    struct file_header header;
    uint64_t next;   /* where the next record begins; at the end: of the whole ones */
    uint64_t resume; /* after ERR_CORRUPT: where whole records follow */
    struct buf window;
    uint64_t window_at;
};

/* Reads the header. Errors as header_decode, ERR_SYSTEM; release it in any case. */
int journal_scan_open(struct journal_scan *s, const char *path, int fd,
                      struct error *err) MUST_CHECK;
/*
 * The next payload, valid until the next call: 1; 0 at the end of the whole records
 * (bytes behind `next` are a torn tail); ERR_CORRUPT when there are whole records
 * behind a damaged one; ERR_SYSTEM, ERR_NOMEM.
 */
int journal_scan_next(struct journal_scan *s, struct span *payload,
                      struct error *err) MUST_CHECK;
/* After ERR_CORRUPT: goes on behind the damage. */
void journal_scan_skip(struct journal_scan *s);
void journal_scan_release(struct journal_scan *s);

#endif
