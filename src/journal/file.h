/* The journal file in the hands of its one writer: locked, whole, ready to append. */
#ifndef HQ_JOURNAL_FILE_H
#define HQ_JOURNAL_FILE_H

#include "journal/format.h"

/* Behind the name of a journal: the file that a pruning writes. */
#define JOURNAL_TMP ".tmp"

struct journal_file {
    int fd;
    uint64_t file_uid;
    uint64_t end;  /* offset behind the last whole record */
    uint64_t torn; /* bytes that were cut off when it was opened */
};

/*
 * Opens and locks the file, makes it if needed, cuts a torn tail off. ERR_BUSY: another
 * server holds it. The lock ends with close(fd).
 */
int journal_file_open(struct journal_file *f, const char *path, const char *server_uid,
                      uint64_t now_us, struct error *err) MUST_CHECK;
/* Writes n bytes behind the end without moving it; returns how many went in, with errno
 * set when fewer than n. */
size_t journal_file_write(const struct journal_file *f, const uint8_t *p, size_t n);
/* fdatasync; 0 or an errno value. */
int journal_file_sync(const struct journal_file *f) MUST_CHECK;
/* Makes the file end at `end`; 0 or an errno value. */
int journal_file_cut(const struct journal_file *f);

/* The lock that every writer holds. ERR_BUSY: somebody else does. */
int journal_file_lock(int fd, const char *path, struct error *err) MUST_CHECK;
/* An empty file with that name in place of any that is there, with the mode of another;
 * -1 and errno. */
int journal_file_make(const char *path, int like_fd);
/* Whether the path leads to the open file. */
bool journal_file_is_at(int fd, const char *path);
/* Makes names in the directory of the file survive a crash; 0 or an errno value. */
int journal_file_sync_directory(const char *path);

#endif
