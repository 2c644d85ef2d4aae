/*
 * Records of reports that are applied and not safe in the journal yet. When it cannot
 * be written they are kept here, in order, until it can be again.
 */
#ifndef HQ_SERVER_BACKLOG_H
#define HQ_SERVER_BACKLOG_H

#include "journal/journal.h"

struct backlog {
    struct buf records; /* u64 number in the journal, u32 length, bytes; one by one */
    size_t first;       /* the first one that is still needed */
};

void backlog_init(struct backlog *b);
void backlog_release(struct backlog *b);
/* `seq`: its number in the journal; 0: it was not appended. */
void backlog_add(struct backlog *b, uint64_t seq, const void *record, size_t n);
/* The records up to this number are safe. */
void backlog_drop(struct backlog *b, uint64_t seq);
/* Appends all to the journal, under new numbers. */
void backlog_append(struct backlog *b, struct journal *j);
size_t backlog_bytes(const struct backlog *b);

#endif
