/*
 * A journal read from pieces of its bytes, as a server sends them: in order, cut
 * anywhere. After a pruning the bytes of the new file go on where those of the old one
 * ended, at another offset and between two records.
 */
#ifndef HQ_JOURNAL_PULL_H
#define HQ_JOURNAL_PULL_H

#include "journal/journal.h"

struct journal_pull {
    struct buf bytes; /* not taken yet, from `first` on */
    size_t first;
    uint64_t offset; /* of bytes.data[first] in the file */
    bool begun;      /* the header was read */
    uint64_t file_uid;
};

void journal_pull_init(struct journal_pull *p);
void journal_pull_release(struct journal_pull *p);
/* Bytes that stand at `offset`, 0 for the first ones. ERR_CORRUPT: in the middle of a
 * record they do not go on where the last ones ended. ERR_NOMEM. */
int journal_pull_add(struct journal_pull *p, uint64_t offset, struct span bytes,
                     struct error *err) MUST_CHECK;
/* The next payload, valid until the next call: 1; 0: more bytes are needed;
 * ERR_CORRUPT, ERR_VERSION. */
int journal_pull_next(struct journal_pull *p, struct span *payload,
                      struct error *err) MUST_CHECK;

#endif
