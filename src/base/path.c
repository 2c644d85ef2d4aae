#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_join(const char *a, const char *b)
{
    if (b[0] == '/' || a[0] == '\0')
        return strdup(b);
    size_t a_len = strlen(a), b_len = strlen(b);
    bool slash = a[a_len - 1] != '/';
    char *path = malloc(a_len + slash + b_len + 1);
    if (!path)
        return NULL;
    memcpy(path, a, a_len);
    if (slash)
        path[a_len] = '/';
    memcpy(path + a_len + slash, b, b_len + 1);
    return path;
}

char *path_cwd(void)
{
    return getcwd(NULL, 0);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *path_temporary_dir(void)
{
    const char *dir = getenv("TMPDIR");
    return dir && *dir ? dir : "/tmp";
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Makes every directory in front of a '/' of path, which is changed and restored. */
static int make_parents(char *path, mode_t mode, struct error *err)
{
    for (char *p = path + 1; *path && *p; p++) {
        if (*p != '/' || p[-1] == '/')
            continue;
        *p = '\0';
        /* Another error than EEXIST may hide an existing one (read-only mounts). */
        if (mkdir(path, mode) != 0 && errno != EEXIST) {
            int sys = errno;
            if (!is_directory(path))
                return error_errno(err, sys, "cannot create directory '%s'", path);
        }
        *p = '/';
    }
    return 0;
}

int path_mkparents(const char *path, mode_t mode, struct error *err)
{
    char *copy = strdup(path);
    if (!copy)
        return error_nomem(err);
    int rc = make_parents(copy, mode, err);
    free(copy);
    return rc;
}

int path_mkdirs(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) == 0 || is_directory(path))
        return 0;
    int rc = path_mkparents(path, mode, err);
    if (rc)
        return rc;
    if (mkdir(path, mode) != 0) {
        int sys = errno;
        if (!is_directory(path))
            return error_errno(err, sys, "cannot create directory '%s'", path);
    }
    return 0;
}

int path_read_file(const char *path, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "cannot open '%s'", path);
    int rc = buf_read_fd(out, fd);
    if (rc == ERR_SYSTEM)
        error_sys(err, "cannot read '%s'", path);
    else if (rc == ERR_TOO_BIG)
        error_set(err, rc, "file '%s' is larger than %zu bytes", path, out->max);
    else if (rc)
        error_nomem(err);
    (void)close(fd);
    return rc;
}

int path_write_new(const char *path, const void *data, size_t n, mode_t mode,
                   struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, ERR_EXISTS, "file '%s' exists already", path);
    if (fd < 0)
        return error_sys(err, "cannot create '%s'", path);
    int rc = write_all(fd, data, n);
    int sys = errno;
    /* Network file systems tell of a full disk at close only. */
    if (close(fd) != 0 && rc == 0) {
        rc = -1;
        sys = errno;
    }
    if (rc != 0) {
        (void)unlink(path);
        return error_errno(err, sys, "cannot write '%s'", path);
    }
    return 0;
}

static int remove_entries(int dir_fd, const char *path, struct error *err);

/* Removes one name below dir_fd. `path` is for messages. */
static int remove_at(int dir_fd, const char *name, const char *path, struct error *err)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_sys(err, "cannot remove '%s' in '%s'", name, path);
    int sys = errno;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return error_errno(err, sys, "cannot remove '%s' in '%s'", name, path);
    if (fd < 0)
        return error_sys(err, "cannot open directory '%s' in '%s'", name, path);
    int rc = remove_entries(fd, path, err);
    if (rc)
        return rc;
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return error_sys(err, "cannot remove directory '%s' in '%s'", name, path);
    return 0;
}

/* Removes everything in the directory; takes fd. */
static int remove_entries(int fd, const char *path, struct error *err)
{
    DIR *dir = fdopendir(fd);
    int rc = 0;
    if (!dir) {
        rc = error_sys(err, "cannot read directory '%s'", path);
        (void)close(fd);
        return rc;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                rc = error_sys(err, "cannot read directory '%s'", path);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        rc = remove_at(fd, entry->d_name, path, err);
        if (rc)
            break;
    }
    (void)closedir(dir);
    return rc;
}

int path_remove_tree(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return error_sys(err, "cannot remove '%s'", path);
    return remove_at(AT_FDCWD, path, path, err);
}

int write_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done >= 0) {
            at += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            /* Somebody who shares the descriptor made it non-blocking. */
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            if (poll(&ready, 1, -1) < 0 && errno != EINTR)
                return -1;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}
