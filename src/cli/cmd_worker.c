#include "cli/cmds.h"
#include "cli/values.h"

static const char *const manager_choices[] = {"detect", "none", "pbs", "slurm", NULL};
static const char *const lost_choices[] = {"stop", "finish-running", NULL};
static const char *const state_choices[] = {"running", "offline", NULL};
static const char *const not_filter[] = {"filter", NULL};

const struct opt_group worker_shared_options = {
    .title = "What the worker offers",
    .opts = (const struct opt[]){
        {.name = "cpus",
         .check = value_check_worker_cpus,
         .help = "CPUs of the worker: '8', '2x12', '[0,1,2]', '[[0,1],[2,3]]', "
                 "'range(0-7)'",
         .more = "What is found on the machine when not given."},
        {.name = "resource",
         .flags = OPT_REPEAT,
         .check = value_check_worker_resource,
         .help = "Another resource: 'gpus=[0,1]', 'mem=sum(1024)', 'slots=range(1-8)'"},
        {.name = "coupling",
         .help =
             "Groups of resources that lie close together: 'cpus[0]:gpus[1]=256,...'"},
        {.name = "group",
         .help = "Group of the worker; a task on several nodes stays inside one group",
         .more = "The id of the batch allocation when there is one, else 'default'."},
        {.name = "detect-resources",
         .flags = OPT_OWN_TEXT,
         .value_default = "all",
         .check = value_check_detect,
         .help = "What to look for on the machine: 'all', 'none', or some of 'cpus', "
                 "'mem', 'gpus/nvidia', 'gpus/amd'"},
        {.name = "no-detect-resources",
         .flags = OPT_SWITCH | OPT_HIDDEN,
         .help = "Former spelling of --detect-resources=none"},
        {.name = "no-hyper-threading",
         .flags = OPT_SWITCH,
         .help = "Use only the first hardware thread of each core"},
        {.name = "idle-timeout",
         .check = value_check_duration,
         .help = "Stop after that long without a task",
         .more = "The server's value when not given."},
        {.name = "overview-interval",
         .check = value_check_duration_units,
         .help = "Report the use of the hardware that often; '0s' is never",
         .more =
             "That of GPUs comes from 'nvidia-smi' and 'rocm-smi', where the worker "
             "has such GPUs."},
        {.name = "min-utilization",
         .value_default = "0",
         .check = value_check_utilization,
         .help = "Run tasks only when they use at least this part of the CPUs"},
        {0},
    }};

const struct opt_group worker_start_options = {
    .title = "How it runs",
    .opts = (const struct opt[]){
        {.name = "heartbeat",
         .value_default = "8s",
         .check = value_check_heartbeat,
         .help = "Period of signs of life to the server",
         .more = "Without one for two periods the server takes the worker for lost."},
        {.name = "time-limit",
         .check = value_check_duration,
         .help = "Stop after that long",
         .more = "The remaining time of the batch allocation when not given."},
        {.name = "manager",
         .value_default = "detect",
         .choices = manager_choices,
         .help = "Batch system whose allocation the worker runs in"},
        {.name = "hostname",
         .help = "Name under which the worker is shown; the machine's when not given"},
        {.name = "on-server-lost",
         .choices = lost_choices,
         .check = value_check_server_lost,
         .help = "What to do when the server is gone",
         .more =
             "'stop' ends the running tasks, 'finish-running' lets them end. "
             "'reconnect' or 'reconnect:DURATION' lets them go on, looks for a server "
             "in the server directory and delivers the results."},
        {.name = "work-dir",
         .flags = OPT_NONEMPTY | OPT_DIR,
         .help = "Directory for files of the worker and of its tasks",
         .more = "A fresh one below the directory for temporary files when not given."},
        {.name = "retract-check-interval",
         .value_default = "30s",
         .check = value_check_duration,
         .help = "How often queued tasks are compared with the remaining time"},
        {.name = "stream-io",
         .value_default = "auto",
         .choices = (const char *const[]){"auto", "mpi", "posix", NULL},
         .help = "How the shared log is written",
         .more = "'auto' takes MPI in hq-mpi-worker and plain system calls elsewhere."},
        {.name = "io-hint",
         .flags = OPT_REPEAT,
         .check = value_check_setting,
         .help = "Hint for MPI file access, as KEY=VALUE"},
        {.name = "stream-sync",
         .value_default = "auto",
         .choices = (const char *const[]){"auto", "always", "never", NULL},
         .help = "When written parts of the shared log are synced",
         .more = "'auto' syncs where other nodes would not see them else, as on NFS."},
        {.name = "stream-min-free",
         .value_default = "32MiB",
         .check = value_check_size,
         .help = "Space that shared logs leave free on their file system",
         .more = "Tasks whose output would need it fail."},
        {.name = "no-exec",
         .flags = OPT_SWITCH | OPT_HIDDEN,
         .help = "Report tasks as ended without starting them"},
        {0},
    }};

static const struct cmd start = {
    .name = "start",
    .summary = "Start a worker on this machine",
    .examples = "hq worker start --cpus 4\n"
                "srun --overlap --cpu-bind=none --mpi=none hq worker start\n",
    .groups = (const struct opt_group *const[]){&worker_shared_options,
                                                &worker_start_options, NULL},
    .run = worker_start_run,
};

static const struct cmd stop = {
    .name = "stop",
    .summary = "Stop workers",
    .positionals =
        (const struct pos[]){{.name = "SELECTOR_ARG",
                              .check = value_check_selector,
                              .help = "Workers: 'all', 'last', or ids such as "
                                      "'3' and '1-4,9'"},
                             {0}},
    .run = worker_stop_run,
};

static const struct opt_group list_options = {
    .opts = (const struct opt[]){
        {.name = "all",
         .flags = OPT_SWITCH,
         .conflicts = not_filter,
         .help = "Show workers that are gone as well"},
        {.name = "filter",
         .choices = state_choices,
         .help = "Show workers in this state only"},
        {0},
    }};

static const struct cmd list = {
    .name = "list",
    .summary = "List workers",
    .groups = (const struct opt_group *const[]){&list_options, NULL},
    .run = worker_list_run,
};

static const struct opt_group hwdetect_options = {
    .opts = (const struct opt[]){
        {.name = "no-hyper-threading",
         .flags = OPT_SWITCH,
         .help = "Only the first hardware thread of each core"},
        {.name = "drawing",
         .flags = OPT_SWITCH,
         .help = "Draw sockets, NUMA domains, cores and devices as well"},
        {.name = "topology",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .help = "Show another machine, as 'lstopo FILE.xml' saved it there"},
        {0},
    }};

static const struct cmd hwdetect = {
    .name = "hwdetect",
    .summary = "Show the resources of this machine",
    .examples = "hq worker hwdetect --drawing\n"
                "hq worker hwdetect --topology node.xml --output-mode json\n",
    .groups = (const struct opt_group *const[]){&hwdetect_options, NULL},
    .run = worker_hwdetect_run,
};

static const struct cmd info = {
    .name = "info",
    .summary = "Show details of workers",
    .positionals =
        (const struct pos[]){{.name = "SELECTOR",
                              .check = value_check_selector,
                              .help = "Workers: 'all', 'last', or ids such as "
                                      "'3' and '1-4,9'"},
                             {0}},
    .run = worker_info_run,
};

static const struct cmd address = {
    .name = "address",
    .summary = "Print the host name of a worker",
    .positionals =
        (const struct pos[]){
            {.name = "WORKER_ID", .check = value_check_u32, .help = "Id of the worker"},
            {0}},
    .run = worker_address_run,
};

static const struct cmd wait_cmd = {
    .name = "wait",
    .summary = "Wait until that many workers are running",
    .positionals = (const struct pos[]){{.name = "WORKER_COUNT",
                                         .check = value_check_u32,
                                         .help = "Number of workers"},
                                        {0}},
    .run = worker_wait_run,
};

static const struct opt_group deploy_options = {
    .opts = (const struct opt[]){
        {.name = "show-output",
         .flags = OPT_SWITCH,
         .help = "Print what the workers print"},
        {0},
    }};

static const struct cmd deploy_ssh = {
    .name = "deploy-ssh",
    .summary = "Start workers on other machines through ssh",
    .details =
        "The file holds one 'host' or 'host:port' a line. All words behind it are "
        "options of 'hq worker start'. The command ends when all workers have.",
    .groups = (const struct opt_group *const[]){&deploy_options, NULL},
    .positionals =
        (const struct pos[]){{.name = "HOSTFILE",
                              .flags = POS_FILE,
                              .help = "File with the names of the machines"},
                             {.name = "WORKER_START_ARGS",
                              .flags = POS_OPTIONAL | POS_TRAILING | POS_HYPHEN,
                              .help = "Options of 'hq worker start'"},
                             {0}},
    .run = worker_deploy_ssh_run,
};

const struct cmd cmd_worker = {
    .name = "worker",
    .summary = "Start, stop and look at workers",
    .subs = (const struct cmd *const[]){&start, &stop, &list, &hwdetect, &info,
                                        &address, &wait_cmd, &deploy_ssh, NULL},
};
