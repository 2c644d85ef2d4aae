/*
 * The file operations below the writer: `posix` here, `mpi` in mpi/mpi_io.h. Calls come
 * from the writer's first I/O thread and, where any_thread says so, from its others.
 * Files are opened for writing only after they exist with their superblock; no
 * operation is collective.
 */
#ifndef HQ_OUTLOG_IO_OPS_H
#define HQ_OUTLOG_IO_OPS_H

#include "base/error.h"
#include "base/util.h"

struct outlog_io_ops {
    const char *name;
    /* First and last call on the first I/O thread; NULL: nothing to do. */
    int (*thread_start)(void *ctx, struct error *err);
    void (*thread_stop)(void *ctx);
    /* Once started: whether any thread may call the rest, a file being one thread's. */
    bool (*any_thread)(const void *ctx);
    int (*open)(void *ctx, const char *path, void **file, struct error *err);
    /* All n bytes, or an error with the cause (err->sys). */
    int (*write_at)(void *file, uint64_t offset, const void *p, size_t n,
                    struct error *err);
    int (*sync)(void *file, struct error *err);
    int (*close)(void *file, struct error *err); /* frees file in any case */
};

extern const struct outlog_io_ops outlog_posix_ops; /* ctx: NULL */

#endif
