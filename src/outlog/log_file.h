/*
 * The log as a file: finding what is at its path, creating it with its superblock,
 * moving a foreign file aside. Plain POSIX also below MPI, because creation has to be
 * atomic. I/O thread only.
 */
#ifndef HQ_OUTLOG_LOG_FILE_H
#define HQ_OUTLOG_LOG_FILE_H

#include "outlog/lease.h"

/* Looks at the path and makes its directory. */
int log_file_probe(const char *path, struct outlog_probe *out,
                   struct error *err) MUST_CHECK;

/*
 * Opens the log `id` at path, creating it when nothing or an empty file is there. The
 * descriptor holds a shared lock that `hq log seal` respects. A file of another log is
 * renamed when may_replace (see lease_book_open); ERR_BUSY when another worker is
 * expected to do that: try again soon; ERR_EXISTS when it must not be touched.
 */
int log_file_open(const char *path, const struct outlog_ident *id, bool may_replace,
                  bool replace_wanted, int *fd, struct error *err) MUST_CHECK;

/* Whether writes become visible to other nodes only after a sync (NFS and the like). */
bool log_file_needs_sync(int fd);

/* Whether the open file, once at that path, has no name any more. */
bool log_file_removed(int fd, const char *path);

/*
 * Has the file system find the place of a span that is about to be written, where it
 * would else do so page by page as ext4 does, and gives back what was not. The file may
 * reach to the end of the span then. No promise: a write may still fail for want of
 * space.
 */
void log_file_reserve(int fd, uint64_t offset, uint64_t n);
void log_file_give_back(int fd, uint64_t offset, uint64_t n);

/* Bytes that an ordinary user may still write there; false: not known. */
bool log_file_space(int fd, uint64_t *left);

/* Shared lock of writers, exclusive lock of sealers. ERR_BUSY: held by others; where
 * the file system has no locks, 0. */
int log_file_lock(int fd, bool exclusive, struct error *err) MUST_CHECK;

#endif
