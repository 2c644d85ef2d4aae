/*
 * Starting a worker: what `hq worker start` and hq-mpi-worker share. Everything that
 * must happen before threads and MPI happens here, in this order: identity from the
 * launcher's variables, undoing of mpirun's binding, a look at the machine, the
 * launcher process.
 */
#ifndef HQ_CLI_WORKER_START_H
#define HQ_CLI_WORKER_START_H

#include "args/args.h"
#include "args/cmd.h"
#include "worker/worker.h"

/* What srun, mpirun and others told this process about itself. */
struct rank_identity {
    bool known;  /* started by a launcher that numbers its processes */
    bool mpirun; /* Open MPI's launcher: it binds, and ends its ranks quickly */
    uint32_t rank, size;
    uint32_t local_rank, local_size; /* local_size 1 when nobody said */
    char pool[128]; /* batch job and step, or the launcher's name of the job */
};
void rank_identity_read(struct rank_identity *id);

struct worker_start {
    struct rank_identity id;
    bool is_mpi; /* hq-mpi-worker: ranks of a node divide it */
    struct worker_setup setup;
    struct topo *topo;
    char *hq_path;
    char *server_dir;
    struct access_part fixed_access; /* of rank 0, when has_access */
    bool has_access;
    bool warned; /* that nobody is authenticated */
    struct run *run;
};

/* What --cpus and --resource say, in the order of the worker's own reading. */
int worker_given_pools(struct pool_set *pools, const struct args *a,
                       struct error *err) MUST_CHECK;
bool worker_wants_no_ht(const struct args *a);

/* Up to and including the fork of the launcher. */
int worker_start_prepare(struct worker_start *ws, struct run *r, bool is_mpi,
                         struct error *err) MUST_CHECK;
/* Reads how the server is reached; warns once when it takes anyone. */
int worker_start_access(struct worker_start *ws, struct access_part *out,
                        struct error *err) MUST_CHECK;
int worker_start_go(struct worker_start *ws, struct error *err) MUST_CHECK;
void worker_start_release(struct worker_start *ws);

#endif
