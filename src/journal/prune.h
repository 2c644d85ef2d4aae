/*
 * A pruning: the records of a journal, without what they tell of jobs and workers that
 * are over, go into a new file that then takes the place of the old one.
 *
 * A thread of its own copies what is there, while the journal's thread goes on
 * appending; the last piece is copied by that thread, between two records, before it
 * renames the file and goes on in it. Whatever fails or crashes before the rename
 * leaves the old file as it is, and behind it the new one holds the same.
 */
#ifndef HQ_JOURNAL_PRUNE_H
#define HQ_JOURNAL_PRUNE_H

#include "journal/file.h"

struct prune;

/*
 * Opens, locks and begins the new file beside `path`; takes *keep on success. `from`:
 * the file in use, borrowed until prune_destroy.
 */
int prune_create(const char *path, const struct journal_file *from,
                 struct journal_keep *keep, struct prune **out,
                 struct error *err) MUST_CHECK;
/* The new file is removed, unless prune_replace has put it in its place. */
void prune_destroy(struct prune *p);

/* Copies the records that begin before offset `stop` of the old file, in which the last
 * whole one ends at `end`. */
int prune_copy(struct prune *p, uint64_t stop, uint64_t end,
               struct error *err) MUST_CHECK;
uint64_t prune_copied(const struct prune *p); /* up to that offset of the old file */
/* Makes the new file survive a crash. */
int prune_sync(struct prune *p, struct error *err) MUST_CHECK;
/* Puts it in the place of the old one; *file is what to append to from now on. */
int prune_replace(struct prune *p, struct journal_file *file,
                  struct error *err) MUST_CHECK;

/*
 * One encoded event without what `keep` drops, behind its length; nothing when that
 * leaves nothing. ERR_CORRUPT.
 */
int prune_event(const struct journal_keep *keep, struct span event, struct buf *out,
                struct error *err) MUST_CHECK;

#endif
