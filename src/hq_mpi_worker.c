/* hq-mpi-worker: each rank of an MPI program becomes a worker. */
#include <signal.h>
#include "base/log.h"
#include "cli/cmds.h"
#include "cli/main.h"
#include "cli/worker_start.h"
#include "mpi/mpi_io.h"

struct rank {
    struct worker_start ws;
    struct mpi_start mpi;
};

/* Connected world: rank 0 alone reads the access record, the others get its bytes. */
static int read_access(void *arg, struct buf *blob, struct error *err)
{
    struct rank *rank = arg;
    struct access_part part;
    int rc = worker_start_access(&rank->ws, &part, err);
    if (rc == 0)
        buf_append(blob, &part, sizeof part);
    return rc;
}

/* The writer's thread has started MPI by now; before the first connection. */
static int take_access(void *arg, struct access_part *out, struct error *err)
{
    struct rank *rank = arg;
    if (rank->mpi.world && rank->mpi.blob.len == sizeof *out) {
        memcpy(out, rank->mpi.blob.data, sizeof *out);
        buf_clear(&rank->mpi.blob); /* a reconnect reads the file */
        return 0;
    }
    return worker_start_access(&rank->ws, out, err);
}

static void on_registered(void *arg, uint32_t worker,
                          const struct worker_config *config, uint64_t started_us)
{
    (void)arg;
    (void)started_us;
    log_info("Rank %u of %u is worker %u", config->rank, config->world_size, worker);
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTSTP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int run_rank(struct run *run, struct error *err)
{
    struct rank rank = {.mpi = {.world = args_flag(run->args, "mpi-world")}};
    struct args_list hints = args_list(run->args, "io-hint");
    const char *io = args_str(run->args, "stream-io");
    const char *list[65] = {NULL};
    for (size_t i = 0; i < hints.n && i < ARRAY_SIZE(list) - 1; i++)
        list[i] = hints.items[i];
    /* Threads of MPI would take signals that the loop waits for. */
    block_signals();
    int rc = worker_start_prepare(&rank.ws, run, true, err);
    if (rc == 0) {
        rank.mpi.hints = hints.n ? list : NULL;
        rank.mpi.read_blob = read_access;
        rank.mpi.arg = &rank;
        rank.ws.setup.access = take_access;
        rank.ws.setup.on_registered = on_registered;
        rank.ws.setup.arg = &rank;
        if (!io || strcmp(io, "posix") != 0 || rank.mpi.world) {
            mpi_environment_prepare(&rank.mpi);
            rank.ws.setup.leftover = rank.mpi.session_dir;
            rank.ws.setup.log_io = &mpi_io_ops;
            rank.ws.setup.log_io_ctx = &rank.mpi;
        }
        rc = worker_start_go(&rank.ws, err);
    }
    worker_start_release(&rank.ws);
    mpi_environment_release(&rank.mpi);
    buf_release(&rank.mpi.blob);
    return rc;
}

int main(int argc, char **argv)
{
    struct run run;
    struct error err = ERROR_INIT;
    cli_begin(&run, &cmd_mpi_worker, argc, argv);
    int rc = run_rank(&run, &err);
    return cli_end(&run, rc, &err);
}
