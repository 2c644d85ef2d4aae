/*
 * The running worker: `hq worker start` and each rank of hq-mpi-worker.
 *
 * Order at start, kept by the entry points: block signals, undo the binding of mpirun
 * (worker_prepare), fork the launcher, only then threads and MPI. worker_run makes the
 * writer of shared logs (whose thread may start MPI), connects and serves until told to
 * stop.
 */
#ifndef HQ_WORKER_WORKER_H
#define HQ_WORKER_WORKER_H

#include "base/error.h"
#include "launch/launch.h"
#include "model/worker.h"
#include "outlog/writer.h"
#include "topo/topo.h"
#include "wire/access.h"

struct worker_setup {
    struct worker_config config; /* owned by the caller; work_dir may be empty: made */
    struct launcher *launcher;   /* taken */
    const struct topo *topo;
    const char *hq_path;       /* of the hq executable, for the variable HQ */
    bool no_exec;              /* report every task as finished without starting it */
    bool fast_exit;            /* under mpirun: be gone within 0.8 s of SIGTERM */
    uint64_t reconnect_us;     /* LOST_RECONNECT: how long to try */
    uint64_t retract_check_ns; /* how often the rest of its life is compared */
    uint32_t connect_tries;    /* first connection; 0: 20, two seconds apart */
    const char *leftover; /* a directory to remove if the worker is killed, or NULL */
    const struct outlog_io_ops *log_io;
    void *log_io_ctx;
    enum outlog_sync log_sync;
    uint64_t log_min_free; /* bytes that logs leave free on their file system */
    /* Where the server is; asked at the start and before each reconnect. */
    int (*access)(void *arg, struct access_part *out, struct error *err);
    /* Registered for the first time: prints what the command prints. */
    void (*on_registered)(void *arg, uint32_t worker,
                          const struct worker_config *config, uint64_t started_us);
    void *arg;
};

/* 0 after an orderly end; else the error to print (exit status 1). */
int worker_run(struct worker_setup *setup, struct error *err) MUST_CHECK;

#endif
