#include "cli/cmds.h"

static const struct opt_group mpi_options = {
    .title = "MPI",
    .opts = (const struct opt[]){
        {.name = "mpi-world",
         .flags = OPT_SWITCH,
         .help = "Connect all ranks to one MPI world",
         .more =
             "By default each rank starts MPI for itself, so that the pool survives "
             "a rank that dies. With this option rank 0 reads the access file for "
             "all, and a launcher may end all ranks when one dies."},
        {.name = "version",
         .letter = 'V',
         .flags = OPT_SWITCH | OPT_VERSION,
         .help = "Print the version"},
        {0},
    }};

const struct cmd cmd_mpi_worker = {
    .name = "hq-mpi-worker",
    .flags = CMD_PROGRAM,
    .summary = "Start a pool of workers as the ranks of an MPI program",
    .details =
        "Each rank registers as a worker of its own. Ranks on one node divide its "
        "CPUs among themselves, NUMA domains first.",
    .examples =
        "mpirun --enable-recovery --bind-to none -n 4 hq-mpi-worker\n"
        "srun --mpi=pmix --kill-on-bad-exit=0 --no-kill --wait=0 hq-mpi-worker\n",
    .groups =
        (const struct opt_group *const[]){&worker_shared_options, &worker_start_options,
                                          &mpi_options, &global_options, NULL},
};
