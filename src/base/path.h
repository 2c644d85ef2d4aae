/* Paths and files. Results are malloc'ed; NULL means out of memory. */
#ifndef HQ_BASE_PATH_H
#define HQ_BASE_PATH_H

#include <sys/types.h>
#include "base/buf.h"
#include "base/error.h"

/* b if it is absolute, else a/b. */
char *path_join(const char *a, const char *b);
char *path_cwd(void);
/* The part behind the last '/', borrowed. */
const char *path_base(const char *path);
/* $TMPDIR, or /tmp where it is not set; borrowed. */
const char *path_temporary_dir(void);
/* Makes the directory with its parents (mode & ~umask); fine if it exists. */
int path_mkdirs(const char *path, mode_t mode, struct error *err) MUST_CHECK;
/* Makes the parents of path. */
int path_mkparents(const char *path, mode_t mode, struct error *err) MUST_CHECK;
int path_read_file(const char *path, struct buf *out, struct error *err) MUST_CHECK;
/* Writes a new file that must not exist yet (ERR_EXISTS). */
int path_write_new(const char *path, const void *data, size_t n, mode_t mode,
                   struct error *err) MUST_CHECK;
/* Removes a directory tree; never follows symbolic links. */
int path_remove_tree(const char *path, struct error *err) MUST_CHECK;
/* Writes all n bytes; 0 or -1 with errno. */
int write_all(int fd, const void *p, size_t n) MUST_CHECK;

#endif
