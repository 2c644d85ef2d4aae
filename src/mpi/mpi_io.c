#include "mpi/mpi_io.h"

#include <errno.h>
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/fault.h"

struct mpi_file {
    MPI_File handle;
};

/* To open and close a file is collective over MPI_COMM_SELF, so for one thread only. */
static pthread_mutex_t self_lock = PTHREAD_MUTEX_INITIALIZER;

static int start(void *ctx, struct error *err)
{
    return mpi_world_start(ctx, err);
}

static void stop(void *ctx)
{
    mpi_world_stop(ctx);
}

static bool any_thread(const void *ctx)
{
    const struct mpi_start *m = ctx;
    return m->any_thread;
}

/* The MPI error, with the cause from errno where the library leaves one. */
static int failed(struct error *err, int code, int sys, const char *what)
{
    struct buf text = BUF_INIT(4096);
    mpi_error_text(code, &text);
    if (sys)
        error_errno(err, sys, "%s", what);
    else
        error_set(err, ERR_SYSTEM, "%s: %s", what, buf_cstr(&text));
    buf_release(&text);
    return ERR_SYSTEM;
}

/* ROMIO takes "x:" in front of a path for the name of a driver. */
static bool is_romio(void)
{
#ifdef OPEN_MPI
    const char *io = getenv("OMPI_MCA_io");
    return io && strncmp(io, "romio", 5) == 0;
#else
    return true;
#endif
}

static int make_info(const char *const *hints, MPI_Info *info)
{
    *info = MPI_INFO_NULL;
    if (!hints || !hints[0])
        return MPI_SUCCESS;
    int rc = MPI_Info_create(info);
    for (size_t i = 0; rc == MPI_SUCCESS && hints[i]; i++) {
        const char *equals = strchr(hints[i], '=');
        if (!equals)
            continue;
        char *key = strndup(hints[i], (size_t)(equals - hints[i]));
        if (!key)
            return MPI_ERR_NO_MEM;
        rc = MPI_Info_set(*info, key, equals + 1);
        free(key);
    }
    return rc;
}

static int file_open(void *ctx, const char *path, void **file, struct error *err)
{
    const struct mpi_start *m = ctx;
    struct buf name = BUF_INIT(1u << 16);
    if (strchr(path, ':') && is_romio())
        buf_puts(&name, "ufs:");
    buf_puts(&name, path);
    struct mpi_file *f = malloc(sizeof *f);
    if (!f || name.failed) {
        free(f);
        buf_release(&name);
        return error_nomem(err);
    }
    MPI_Info info;
    int rc = make_info(m->hints, &info);
    errno = 0;
    if (rc == MPI_SUCCESS && FAULT("outlog.open"))
        rc = MPI_ERR_IO;
    (void)pthread_mutex_lock(&self_lock);
    if (rc == MPI_SUCCESS)
        rc = MPI_File_open(MPI_COMM_SELF, buf_cstr(&name), MPI_MODE_WRONLY, info,
                           &f->handle);
    int sys = errno;
    (void)pthread_mutex_unlock(&self_lock);
    if (info != MPI_INFO_NULL)
        (void)MPI_Info_free(&info);
    buf_release(&name);
    if (rc != MPI_SUCCESS) {
        free(f);
        failed(err, rc, sys, "cannot open the log");
        return error_prefix(err, "'%s': ", path);
    }
    (void)MPI_File_set_errhandler(f->handle, MPI_ERRORS_RETURN);
    *file = f;
    return 0;
}

/* One call; *moved is what the library says it wrote. */
static int write_part(MPI_File handle, uint64_t offset, const void *p, int n,
                      int *moved, int *sys)
{
    MPI_Status status;
    *moved = 0;
    errno = 0;
    if (FAULT("outlog.write")) {
        *sys = errno;
        return MPI_ERR_IO;
    }
    int rc = MPI_File_write_at(handle, (MPI_Offset)offset, p, n, MPI_BYTE, &status);
    *sys = errno;
    if (rc != MPI_SUCCESS)
        return rc;
    rc = MPI_Get_count(&status, MPI_BYTE, moved);
    if (rc == MPI_SUCCESS && (*moved == MPI_UNDEFINED || *moved < 0 || *moved > n))
        *moved = 0;
    return rc;
}

/*
 * Good only with MPI_SUCCESS *and* the full count: OMPIO 4 reports a full disk by a
 * short count alone. What a short write left over is tried once more; if nothing moves
 * then, errno tells why.
 */
static int file_write_at(void *file, uint64_t offset, const void *p, size_t n,
                         struct error *err)
{
    const struct mpi_file *f = file;
    const char *from = p;
    bool again = false;
    while (n > 0) {
        int moved, sys, part = (int)MIN(n, (size_t)INT_MAX);
        int rc = write_part(f->handle, offset, from, part, &moved, &sys);
        if (rc != MPI_SUCCESS)
            return failed(err, rc, sys, "cannot write the log");
        if (moved < part && again && moved == 0)
            return error_errno(err, sys ? sys : ENOSPC, "cannot write the log");
        again = moved < part;
        from += moved;
        offset += (uint64_t)moved;
        n -= (size_t)moved;
    }
    return 0;
}

static int file_sync(void *file, struct error *err)
{
    const struct mpi_file *f = file;
    errno = 0;
    int rc = FAULT("outlog.sync") ? MPI_ERR_IO : MPI_File_sync(f->handle);
    return rc == MPI_SUCCESS ? 0 : failed(err, rc, errno, "cannot sync the log");
}

static int file_close(void *file, struct error *err)
{
    struct mpi_file *f = file;
    (void)pthread_mutex_lock(&self_lock);
    errno = 0;
    int rc = MPI_File_close(&f->handle);
    int sys = errno;
    (void)pthread_mutex_unlock(&self_lock);
    free(f);
    return rc == MPI_SUCCESS ? 0 : failed(err, rc, sys, "cannot close the log");
}

const struct outlog_io_ops mpi_io_ops = {
    .name = "mpi",
    .thread_start = start,
    .thread_stop = stop,
    .any_thread = any_thread,
    .open = file_open,
    .write_at = file_write_at,
    .sync = file_sync,
    .close = file_close,
};
