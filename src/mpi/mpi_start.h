/*
 * MPI of a rank. By default every rank is an MPI world of its own ("isolated"): it may
 * die, leave or join alone, whatever launcher started it. With `world` the ranks that
 * were launched together form one world, used for start-up only: rank 0 reads what all
 * need and broadcasts it, ranks of one node count themselves.
 *
 * The thread that runs mpi_world_start is MPI's main thread and makes every other MPI
 * call, mpi_world_stop included. Only file operations may come from other threads, too,
 * where the library gives MPI_THREAD_MULTIPLE; MPI_THREAD_FUNNELED is enough without.
 * After start nothing here or in mpi_io is collective or waits for another rank, but
 * for MPI_Finalize of a connected world. Block signals before: MPI starts threads.
 */
#ifndef HQ_MPI_MPI_START_H
#define HQ_MPI_MPI_START_H

#include "base/buf.h"
#include "base/error.h"

struct mpi_identity {
    int rank, size;             /* in MPI_COMM_WORLD; isolated: 0, 1 */
    int local_rank, local_size; /* among the ranks of this node */
};

struct mpi_start {
    bool world;               /* connected */
    const char *const *hints; /* "key=value" for MPI_File_open, NULL-ended; or NULL */
    /* Connected, rank 0 only: what every rank needs (the access record). May be NULL.
     */
    int (*read_blob)(void *arg, struct buf *blob, struct error *err);
    void *arg;

    char *session_dir; /* set by mpi_environment_prepare, of this process; or NULL */
    struct mpi_identity id; /* set by mpi_world_start */
    struct buf blob;        /* set by mpi_world_start when connected; owned */
    bool running;
    bool any_thread; /* set by mpi_world_start: MPI_THREAD_MULTIPLE */
};

/*
 * Prepares this process's environment for MPI_Init; before any thread exists and after
 * the identity was read from it. Isolated: removes what ties the process to its
 * launcher (SLURM_STEP_ID, PMIX_*, PMI_*, OMPI_COMM_WORLD_*, …) and makes a directory
 * for the files of MPI. Both: sets defaults of OMPI_MCA_* that the user did not set.
 */
void mpi_environment_prepare(struct mpi_start *m);
/* Removes that directory; behind mpi_world_stop. */
void mpi_environment_release(struct mpi_start *m);

int mpi_world_start(struct mpi_start *m, struct error *err) MUST_CHECK;
/* MPI_Finalize; in a connected world it waits for the other ranks. */
void mpi_world_stop(struct mpi_start *m);

/* "MPI_ERR_IO: input/output error" of a return code. */
void mpi_error_text(int code, struct buf *out);

#endif
