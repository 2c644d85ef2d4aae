#include "journal/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/log.h"
#include "base/path.h"
#include "journal/scan.h"

/* Task environments are in it: for the owner alone. */
#define FILE_MODE 0600
#define WRITE_MAX ((size_t)1 << 30) /* Linux takes at most 2 GiB a call */
#define OPEN_TRIES 16

size_t journal_file_write(const struct journal_file *f, const uint8_t *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t put = -1;
        if (!FAULT("journal.write"))
            put = pwrite(f->fd, p + done, MIN(n - done, WRITE_MAX),
                         (off_t)(f->end + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0)
            errno = ENOSPC;
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    return done;
}

int journal_file_sync(const struct journal_file *f)
{
    if (FAULT("journal.fsync"))
        return errno;
    while (fdatasync(f->fd) != 0) {
        if (errno == EINVAL || errno == EROFS)
            return 0; /* a file system without it */
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

int journal_file_cut(const struct journal_file *f)
{
    while (ftruncate(f->fd, (off_t)f->end) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

/* The lock belongs to the open file: no other thread or library can drop it by closing
 * a second descriptor, as with the older POSIX locks. */
int journal_file_lock(int fd, const char *path, struct error *err)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &range) == 0)
        return 0;
    if (errno == EINVAL && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, ERR_BUSY, "journal \"%s\" is in use by another server",
                         path);
    if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) {
        log_warn(
            "The file system of journal \"%s\" has no locks: do not start a second "
            "server with it",
            path);
        return 0;
    }
    return error_sys(err, "cannot lock journal \"%s\"", path);
}

bool journal_file_is_at(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int open_locked(struct journal_file *f, const char *path, struct error *err)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        f->fd =
            open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
        if (f->fd < 0)
            return error_sys(err, "Cannot create event log file at `%s`", path);
        int rc = journal_file_lock(f->fd, path, err);
        /* It may have been replaced while we waited for it. */
        if (rc == 0 && journal_file_is_at(f->fd, path))
            return 0;
        (void)close(f->fd);
        f->fd = -1;
        if (rc != 0)
            return rc;
    }
    return error_set(err, ERR_BUSY, "journal \"%s\" is replaced again and again", path);
}

int journal_file_make(const char *path, int like_fd)
{
    struct stat st;
    if (unlink(path) != 0 && errno != ENOENT)
        return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd >= 0 && fstat(like_fd, &st) == 0)
        (void)fchmod(fd, st.st_mode & 07777); /* where it cannot be, ours is stricter */
    return fd;
}

int journal_file_sync_directory(const char *path)
{
    const char *base = path_base(path);
    char *dir = base == path ? strdup(".") : strndup(path, (size_t)(base - path));
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int sys =
        fd < 0 || (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    free(dir);
    return sys;
}

static int write_header(struct journal_file *f, const char *path,
                        const char *server_uid, uint64_t now_us, struct error *err)
{
    struct file_header h;
    uint8_t bytes[JOURNAL_HEADER_SIZE];
    header_make(&h, server_uid, now_us);
    header_encode(&h, bytes);
    f->end = 0;
    int sys = journal_file_cut(f);
    if (sys == 0 && journal_file_write(f, bytes, sizeof bytes) != sizeof bytes)
        sys = errno;
    if (sys == 0)
        sys = journal_file_sync(f);
    if (sys != 0) {
        (void)journal_file_cut(f);
        return error_errno(err, sys, "Cannot create event log file at `%s`", path);
    }
    /* The name must survive a crash as the contents do; where that cannot be had, the
     * file is as good as any other there. */
    (void)journal_file_sync_directory(path);
    f->file_uid = h.file_uid;
    f->end = sizeof bytes;
    return 0;
}

/* Finds the end of the whole records and makes the file end there. */
static int find_end(struct journal_file *f, struct journal_scan *s, const char *path,
                    struct error *err)
{
    struct span payload;
    int rc;
    do
        rc = journal_scan_next(s, &payload, err);
    while (rc == 1);
    if (rc != 0)
        return rc;
    f->file_uid = s->header.file_uid;
    f->end = s->next;
    if (s->size <= s->next)
        return 0;
    f->torn = s->size - s->next;
    int sys = journal_file_cut(f);
    if (sys == 0)
        sys = journal_file_sync(f);
    if (sys != 0)
        return error_errno(err, sys, "cannot cut the torn end off journal \"%s\"",
                           path);
    return 0;
}

/* What a pruning that was cut short has left. */
static void remove_leftover(const struct journal_file *f, const char *path)
{
    uint8_t bytes[JOURNAL_HEADER_SIZE];
    struct file_header h;
    char *real = realpath(path, NULL), *tmp = NULL;
    if (real && asprintf(&tmp, "%s" JOURNAL_TMP, real) < 0)
        tmp = NULL;
    int fd = tmp ? open(tmp, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    ssize_t n = fd >= 0 ? read(fd, bytes, sizeof bytes) : -1;
    int rc = n >= 0 ? header_decode(&h, tmp, bytes, (size_t)n, NULL) : ERR_CORRUPT;
    if (rc == ERR_NOT_FOUND || (rc == 0 && h.file_uid == f->file_uid))
        (void)unlink(tmp);
    if (fd >= 0)
        (void)close(fd);
    free(real);
    free(tmp);
}

int journal_file_open(struct journal_file *f, const char *path, const char *server_uid,
                      uint64_t now_us, struct error *err)
{
    *f = (struct journal_file){.fd = -1};
    int rc = open_locked(f, path, err);
    if (rc != 0)
        return rc;
    struct journal_scan s;
    rc = journal_scan_open(&s, path, f->fd, err);
    if (rc == 0)
        rc = find_end(f, &s, path, err);
    else if (rc == ERR_NOT_FOUND)
        rc = write_header(f, path, server_uid, now_us, err);
    journal_scan_release(&s);
    if (rc == 0) {
        remove_leftover(f, path);
    } else {
        (void)close(f->fd);
        f->fd = -1;
    }
    return rc;
}
