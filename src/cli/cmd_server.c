#include "cli/cmds.h"
#include "cli/values.h"

static const struct opt_group start_options = {
    .opts = (const struct opt[]){
        {.name = "host",
         .help = "Name or address under which clients and workers reach the server",
         .more = "The machine's host name when not given."},
        {.name = "client-port",
         .check = value_check_port,
         .help = "Port for clients; a free one when not given"},
        {.name = "worker-port",
         .check = value_check_port,
         .help = "Port for workers; a free one when not given"},
        {.name = "idle-timeout",
         .check = value_check_duration,
         .help = "Idle timeout of workers that set none themselves"},
        {.name = "journal",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .help = "Keep all changes in this file, and restore the state from it"},
        {.name = "journal-flush-period",
         .check = value_check_duration,
         .value_default = "30s",
         .help = "How often progress of tasks is forced to the disk",
         .more =
             "What a client was told is on the disk before the answer; this is about "
             "the starts and ends of tasks."},
        {.name = "keep-completed",
         .check = value_check_u32,
         .help = "Completed jobs kept in memory; older ones are forgotten",
         .more = "All of them when not given."},
        {.name = "access-file",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .help = "Take host names, ports and keys from this file",
         .more = "Made with 'hq server generate-access'."},
        {.name = "disable-client-authentication-and-encryption",
         .flags = OPT_SWITCH,
         .help = "Let everybody who reaches the port act as a client"},
        {.name = "disable-worker-authentication-and-encryption",
         .flags = OPT_SWITCH,
         .help = "Let everybody who reaches the port act as a worker"},
        {.name = "scheduler-time-limit",
         .check = value_check_duration,
         .value_default = "5s",
         .help = "Longest time of one scheduling computation",
         .more = "Taken for compatibility and without effect: a decision is bounded by "
                 "its own steps, which take milliseconds."},
        {0},
    }};

static const struct cmd start = {
    .name = "start",
    .summary = "Start a server in the foreground",
    .examples = "hq server start\n"
                "hq server start --journal jobs.journal --host login2\n",
    .groups = (const struct opt_group *const[]){&start_options, NULL},
    .run = server_start_run,
};

static const struct cmd stop = {
    .name = "stop",
    .summary = "Stop the server",
    .run = server_stop_run,
};

static const struct cmd info = {
    .name = "info",
    .summary = "Show where the server runs",
    .run = server_info_run,
};

static const struct opt_group access_options = {
    .opts = (const struct opt[]){
        {.name = "client-port",
         .flags = OPT_REQUIRED,
         .check = value_check_port,
         .help = "Port for clients"},
        {.name = "worker-port",
         .flags = OPT_REQUIRED,
         .check = value_check_port,
         .help = "Port for workers"},
        {.name = "host",
         .help = "Name or address of the server; this machine's when not given"},
        {.name = "client-host", .help = "Name under which clients reach the server"},
        {.name = "worker-host", .help = "Name under which workers reach the server"},
        {.name = "client-file",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .help = "Write a file with the clients' part alone"},
        {.name = "worker-file",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .help = "Write a file with the workers' part alone"},
        {0},
    }};

static const struct cmd generate_access = {
    .name = "generate-access",
    .summary = "Make an access file with new keys for a server to be started later",
    .groups = (const struct opt_group *const[]){&access_options, NULL},
    .positionals = (const struct pos[]){{.name = "ACCESS_FILE",
                                         .flags = POS_FILE,
                                         .help = "File to write; it must not exist"},
                                        {0}},
    .run = server_generate_access_run,
};

static const struct cmd debug_dump = {
    .name = "debug-dump",
    .summary = "Write the inner state of the server to a JSON file",
    .positionals =
        (const struct pos[]){
            {.name = "PATH", .flags = POS_FILE, .help = "File that the server writes"},
            {0}},
    .run = server_debug_dump_run,
};

static const struct opt_group wait_options = {
    .opts = (const struct opt[]){
        {.name = "timeout",
         .check = value_check_duration,
         .value_default = "5m",
         .help = "Give up after that long; 0 tries once"},
        {0},
    }};

static const struct cmd wait_cmd = {
    .name = "wait",
    .summary = "Wait until the server can be reached",
    .groups = (const struct opt_group *const[]){&wait_options, NULL},
    .run = server_wait_run,
};

const struct cmd cmd_server = {
    .name = "server",
    .summary = "Start, stop and look at the server",
    .subs = (const struct cmd *const[]){&start, &stop, &info, &generate_access,
                                        &debug_dump, &wait_cmd, NULL},
};
