#include "outlog/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/path.h"

#define NFS_MAGIC 0x6969
#define CIFS_MAGIC 0xff534d42
#define SMB2_MAGIC 0xfe534d42
#define FUSE_MAGIC 0x65735546
#define EXT4_MAGIC 0xef53
#define MODE_LOG 0666
#define WHOLE_PAGES (64u << 10) /* of any size that there is */
#define GIVE_BACK_MIN (1u << 20)

int log_file_lock(int fd, bool exclusive, struct error *err)
{
    struct flock lock = {
        .l_type = exclusive ? F_WRLCK : F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = 0,
        .l_len = 1,
    };
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, ERR_BUSY,
                         exclusive ? "the log is being written"
                                   : "the log is being sealed");
    return 0;
}

bool log_file_needs_sync(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return false;
    unsigned long type = (unsigned long)fs.f_type & 0xffffffffu;
    return type == NFS_MAGIC || type == CIFS_MAGIC || type == SMB2_MAGIC ||
           type == FUSE_MAGIC;
}

void log_file_reserve(int fd, uint64_t offset, uint64_t n)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) == 0 && fs.f_type == EXT4_MAGIC)
        (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n);
}

void log_file_give_back(int fd, uint64_t offset, uint64_t n)
{
    /* A page that is partly written would be waited for until it is on the disk; and
     * it takes a millisecond, in which nobody writes. */
    uint64_t from = (offset + WHOLE_PAGES - 1) / WHOLE_PAGES * WHOLE_PAGES;
    uint64_t end = offset + n;
    struct stat st;
    if (end < from + GIVE_BACK_MIN || fstat(fd, &st) != 0)
        return;
    /* Behind its end a file keeps what it has. */
    if ((uint64_t)st.st_size < end &&
        fallocate(fd, 0, (off_t)from, (off_t)(end - from)))
        return;
    (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                    (off_t)(end - from));
}

bool log_file_removed(int fd, const char *path)
{
    struct stat st, named;
    if (fstat(fd, &st) != 0 || st.st_nlink > 0)
        return false;
    /* Some file systems count no links. */
    return stat(path, &named) != 0 || named.st_dev != st.st_dev ||
           named.st_ino != st.st_ino;
}

bool log_file_space(int fd, uint64_t *left)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0 || fs.f_blocks == 0)
        return false; /* not told, or a file system without an end */
    *left = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    return true;
}

static int read_ident(int fd, struct outlog_ident *id, struct error *err)
{
    uint8_t block[OUTLOG_SUPERBLOCK_BYTES];
    ssize_t n = pread(fd, block, sizeof block, 0);
    if (n < 0)
        return error_sys(err, "cannot read");
    return outlog_superblock_decode(block, (size_t)n, id, err);
}

int log_file_probe(const char *path, struct outlog_probe *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    int rc = path_mkparents(path, 0777, err);
    if (rc < 0) {
        const char *name = path_base(path);
        int len = name - path > 1 ? (int)(name - path - 1) : 1;
        return error_prefix(err, "Error: Cannot create stream directory %.*s: ", len,
                            path);
    }
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
            (void)close(fd);
            return error_set(err, ERR_INVALID, "'%s' is not a regular file", path);
        }
        out->file_bytes = (uint64_t)st.st_size;
        out->block_bytes = (uint64_t)st.st_blksize;
        out->has_ident = read_ident(fd, &out->ident, NULL) == 0;
        (void)close(fd);
        return 0;
    }
    if (errno != ENOENT)
        return error_sys(err, "cannot open log file '%s'", path);
    char *dir = strdup(path);
    if (!dir)
        return error_nomem(err);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir ? 1 : 0] = 0;
    if (stat(slash ? dir : ".", &st) == 0)
        out->block_bytes = (uint64_t)st.st_blksize;
    free(dir);
    return 0;
}

/* The superblock into a file that has none. All writers of the log write the same. */
static int write_superblock(int fd, const struct outlog_ident *id, struct error *err)
{
    uint8_t block[OUTLOG_SUPERBLOCK_BYTES];
    outlog_superblock_encode(id, block);
    size_t done = 0;
    while (done < sizeof block) {
        ssize_t n = pwrite(fd, block + done, sizeof block - done, (off_t)done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return error_errno(err, n == 0 ? ENOSPC : errno,
                               "cannot write the superblock");
    }
    return 0;
}

/* First free name of "<path>.<uid of its server>.old", ".old.1", … */
static int move_aside(const char *path, const char *tag, struct error *err)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct buf name = BUF_INIT(1 << 16);
        buf_printf(&name, "%s.%s.old", path, tag);
        if (i)
            buf_printf(&name, ".%u", i);
        if (name.failed) {
            buf_release(&name);
            return error_nomem(err);
        }
        struct stat st;
        bool taken = lstat(buf_cstr(&name), &st) == 0;
        int r = taken ? 0 : rename(path, buf_cstr(&name));
        int sys = errno;
        buf_release(&name);
        if (!taken && r == 0)
            return 0;
        if (!taken)
            return error_errno(err, sys, "cannot move '%s' aside", path);
    }
    return error_set(err, ERR_EXISTS, "cannot move '%s' aside: too many old files",
                     path);
}

/* A short file (a writer died while creating it, or the user made an empty one): the
 * lock makes sure that nobody is just filling it. */
static int claim_short_file(int fd, const struct outlog_ident *id, struct error *err)
{
    int rc = log_file_lock(fd, true, err);
    if (rc < 0)
        return rc;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_sys(err, "cannot stat the log");
    if (st.st_size >= (off_t)OUTLOG_SUPERBLOCK_BYTES)
        return error_set(err, ERR_BUSY, "the log was created meanwhile");
    return write_superblock(fd, id, err);
}

static bool same_uid(const struct outlog_ident *a, const struct outlog_ident *b)
{
    return memcmp(a->uid.b, b->uid.b, sizeof a->uid.b) == 0;
}

/* There is a file of some size: is it ours? */
static int verify(int fd, const char *path, const struct outlog_ident *id,
                  bool may_replace, bool replace_wanted, bool *moved, struct error *err)
{
    struct outlog_ident there;
    struct error why = ERROR_INIT;
    int rc = read_ident(fd, &there, &why);
    if (rc == 0 && same_uid(&there, id))
        return 0;
    if (rc == ERR_SYSTEM || rc == ERR_NOMEM) {
        error_set(err, rc, "log file '%s': %s", path, why.text);
        return rc;
    }
    if (may_replace) {
        *moved = true;
        return move_aside(path, rc == 0 ? there.server_uid : "other", err);
    }
    if (replace_wanted)
        return error_set(err, ERR_BUSY, "log file '%s' is being replaced", path);
    if (rc == 0)
        return error_set(err, ERR_EXISTS,
                         "log file '%s' belongs to another server (%s); --log-replace "
                         "moves it aside",
                         path, there.server_uid);
    return error_set(err, ERR_EXISTS,
                     "file '%s' exists (%s); --log-replace moves it aside", path,
                     why.text);
}

int log_file_open(const char *path, const struct outlog_ident *id, bool may_replace,
                  bool replace_wanted, int *out, struct error *err)
{
    for (int round = 0; round < 4; round++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, MODE_LOG);
        if (fd < 0)
            return error_sys(err, "cannot open log file '%s'", path);
        struct stat st;
        int rc = 0;
        bool moved = false;
        if (fstat(fd, &st) != 0)
            rc = error_sys(err, "cannot stat log file '%s'", path);
        else if (!S_ISREG(st.st_mode))
            rc = error_set(err, ERR_INVALID, "'%s' is not a regular file", path);
        else if (st.st_size == 0)
            rc = claim_short_file(fd, id, err);
        else
            rc = verify(fd, path, id, may_replace, replace_wanted, &moved, err);
        if (rc == 0 && !moved)
            rc = log_file_lock(fd, false, err);
        if (rc == 0 && !moved) {
            *out = fd;
            return 0;
        }
        (void)close(fd);
        if (rc < 0)
            return rc;
    }
    return error_set(err, ERR_BUSY, "log file '%s' changes all the time", path);
}
