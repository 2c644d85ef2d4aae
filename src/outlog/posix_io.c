#include "outlog/io_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fault.h"

struct posix_file {
    int fd;
};

static bool posix_any_thread(const void *ctx UNUSED)
{
    return true;
}

static int posix_open(void *ctx UNUSED, const char *path, void **file,
                      struct error *err)
{
    struct posix_file *f = malloc(sizeof *f);
    if (!f)
        return error_nomem(err);
    f->fd = FAULT("outlog.open") ? -1 : open(path, O_WRONLY | O_CLOEXEC);
    if (f->fd < 0) {
        int sys = errno;
        free(f);
        return error_errno(err, sys, "cannot open log file '%s'", path);
    }
    *file = f;
    return 0;
}

static int posix_write_at(void *file, uint64_t offset, const void *p, size_t n,
                          struct error *err)
{
    const struct posix_file *f = file;
    size_t done = 0;
    while (done < n) {
        ssize_t r = FAULT("outlog.write") ? -1
                                          : pwrite(f->fd, (const char *)p + done,
                                                   n - done, (off_t)(offset + done));
        if (r > 0)
            done += (size_t)r;
        else if (r == 0 || errno != EINTR)
            return error_errno(err, r == 0 ? ENOSPC : errno, "cannot write the log");
    }
    return 0;
}

static int posix_sync(void *file, struct error *err)
{
    const struct posix_file *f = file;
    if (FAULT("outlog.sync") || fdatasync(f->fd) != 0)
        return error_sys(err, "cannot sync the log");
    return 0;
}

static int posix_close(void *file, struct error *err)
{
    struct posix_file *f = file;
    int r = close(f->fd), sys = errno;
    free(f);
    return r == 0 ? 0 : error_errno(err, sys, "cannot close the log");
}

const struct outlog_io_ops outlog_posix_ops = {
    .name = "posix",
    .any_thread = posix_any_thread,
    .open = posix_open,
    .write_at = posix_write_at,
    .sync = posix_sync,
    .close = posix_close,
};
