#include "cli/cmds.h"
#include "cli/values.h"

static const char *const lost_choices[] = {"stop", "finish-running", NULL};
static const char *const state_choices[] = {"queued", "running", "finished", "failed",
                                            NULL};
static const char *const output_choices[] = {"stdout", "stderr", NULL};

static const struct opt_group queue_options = {
    .opts = (const struct opt[]){
        {.name = "time-limit",
         .letter = 't',
         .flags = OPT_REQUIRED,
         .check = value_check_walltime,
         .help = "Time limit of each allocation"},
        {.name = "backlog",
         .letter = 'b',
         .value_default = "1",
         .check = value_check_backlog,
         .help = "How many allocations may wait in the batch system at a time"},
        {.name = "max-workers-per-alloc",
         .letter = 'm',
         .alias = "workers-per-alloc",
         .value_default = "1",
         .check = value_check_alloc_workers,
         .help = "The most workers, one a node, of one allocation"},
        {.name = "max-worker-count",
         .check = value_check_positive,
         .help = "The most workers of all waiting and running allocations together",
         .more = "No limit when not given."},
        {.name = "name",
         .letter = 'n',
         .check = value_check_alloc_name,
         .help = "Begins the names of allocations and directories"},
        {.name = "mpi-worker",
         .flags = OPT_SWITCH,
         .help = "Start 'hq-mpi-worker', whose ranks write shared logs through MPI",
         .more = "It has to lie beside the server's 'hq'. One rank a node; the loss of "
                 "one leaves the others alone."},
        {.name = "worker-start-cmd",
         .flags = OPT_NONEMPTY,
         .help = "Shell command before the worker, on each node",
         .more = "The worker starts only when it succeeds."},
        {.name = "worker-stop-cmd",
         .flags = OPT_NONEMPTY,
         .help = "Shell command behind the worker, on each node",
         .more = "It may not run when the allocation is killed."},
        {.name = "worker-wrap-cmd",
         .flags = OPT_NONEMPTY,
         .help = "Shell text in front of the worker's command, such as 'numactl -N 0'"},
        {.name = "worker-time-limit",
         .check = value_check_walltime,
         .help = "Time limit of the workers; that of the allocation when not given"},
        {.name = "on-server-lost",
         .value_default = "finish-running",
         .choices = lost_choices,
         .check = value_check_server_lost,
         .help = "What workers do when the server is gone",
         .more =
             "Also 'reconnect' and 'reconnect:DURATION', as for 'hq worker start'."},
        {0},
    }};

static const struct opt_group trial_option = {
    .opts = (const struct opt[]){
        {.name = "no-dry-run",
         .flags = OPT_SWITCH,
         .help = "Do not try whether the batch system takes such an allocation",
         .more =
             "Otherwise one of the largest size is submitted and cancelled at once."},
        {0},
    }};

static const struct pos additional_args[] = {
    {.name = "ADDITIONAL_ARGS",
     .flags = POS_OPTIONAL | POS_TRAILING,
     .check = value_check_alloc_word,
     .help = "Arguments for the batch system, behind '--'"},
    {0}};

static const struct opt_group *const add_groups[] = {&queue_options, &trial_option,
                                                     &worker_shared_options, NULL};
static const struct opt_group *const dry_run_groups[] = {&queue_options,
                                                         &worker_shared_options, NULL};

static const struct cmd add_pbs = {
    .name = "pbs",
    .summary = "Create a queue of PBS allocations",
    .examples = "hq alloc add pbs --time-limit 1h --cpus 36 -- -q qexp -A PROJ\n",
    .groups = add_groups,
    .positionals = additional_args,
    .run = alloc_add_run,
};

static const struct cmd add_slurm = {
    .name = "slurm",
    .summary = "Create a queue of Slurm allocations",
    .examples = "hq alloc add slurm --time-limit 1h --cpus 64 -- -p main -A PROJ\n"
                "hq alloc add slurm -t 8h -b 4 -m 8 --max-worker-count 32 -- -p main\n",
    .groups = add_groups,
    .positionals = additional_args,
    .run = alloc_add_run,
};

static const struct cmd add = {
    .name = "add",
    .summary = "Create a queue that submits allocations by itself",
    .subs = (const struct cmd *const[]){&add_pbs, &add_slurm, NULL},
};

static const struct cmd dry_run_pbs = {
    .name = "pbs",
    .summary = "Try a PBS allocation",
    .groups = dry_run_groups,
    .positionals = additional_args,
    .run = alloc_dry_run_run,
};

static const struct cmd dry_run_slurm = {
    .name = "slurm",
    .summary = "Try a Slurm allocation",
    .groups = dry_run_groups,
    .positionals = additional_args,
    .run = alloc_dry_run_run,
};

static const struct cmd dry_run = {
    .name = "dry-run",
    .summary = "Submit one allocation and cancel it, without a queue",
    .subs = (const struct cmd *const[]){&dry_run_pbs, &dry_run_slurm, NULL},
};

static const struct cmd list = {
    .name = "list",
    .summary = "List the queues",
    .run = alloc_list_run,
};

static const struct opt_group info_options = {
    .opts = (const struct opt[]){
        {.name = "filter",
         .choices = state_choices,
         .help = "Show allocations in this state only"},
        {0},
    }};

static const struct cmd info = {
    .name = "info",
    .summary = "List the allocations of a queue",
    .groups = (const struct opt_group *const[]){&info_options, NULL},
    .positionals =
        (const struct pos[]){
            {.name = "QUEUE", .check = value_check_u32, .help = "Id of the queue"},
            {0}},
    .run = alloc_info_run,
};

static const struct cmd log_cmd = {
    .name = "log",
    .summary = "Print what the script of an allocation printed",
    .positionals =
        (const struct pos[]){{.name = "ALLOCATION", .help = "Id of the allocation"},
                             {.name = "CHANNEL",
                              .choices = output_choices,
                              .help = "Which of its outputs"},
                             {0}},
    .run = alloc_log_run,
};

static const struct pos queue_id[] = {
    {.name = "QUEUE_ID", .check = value_check_u32, .help = "Id of the queue"}, {0}};

static const struct cmd pause_cmd = {
    .name = "pause",
    .summary = "Submit no more allocations into a queue",
    .positionals = queue_id,
    .run = alloc_pause_run,
};

static const struct cmd resume = {
    .name = "resume",
    .summary = "Submit allocations again, whatever failed before",
    .positionals = queue_id,
    .run = alloc_resume_run,
};

static const struct opt_group remove_options = {
    .opts = (const struct opt[]){
        {.name = "force",
         .flags = OPT_SWITCH,
         .help = "Also when allocations run; they are cancelled"},
        {0},
    }};

static const struct cmd remove_cmd = {
    .name = "remove",
    .summary = "Remove a queue and cancel its allocations",
    .groups = (const struct opt_group *const[]){&remove_options, NULL},
    .positionals = queue_id,
    .run = alloc_remove_run,
};

const struct cmd cmd_alloc = {
    .name = "alloc",
    .summary = "Let the server submit allocations to a batch system",
    .subs = (const struct cmd *const[]){&list, &info, &log_cmd, &add, &pause_cmd,
                                        &resume, &dry_run, &remove_cmd, NULL},
};
