#include "cli/cmds.h"

static const struct cmd replay = {
    .name = "replay",
    .summary = "Show what a journal file tells",
    .details = "No server is needed; one that writes the file may run. The window of "
               "time begins with the last five minutes.",
    .positionals = (const struct pos[]){{.name = "JOURNAL",
                                         .flags = POS_FILE,
                                         .help = "File of 'server start --journal'"},
                                        {0}},
    .run = dashboard_replay_run,
};

static const struct cmd stream = {
    .name = "stream",
    .summary = "Show what a server knows and what happens there",
    .details = "Workers report the load of their nodes meanwhile, every two seconds.",
    .run = dashboard_stream_run,
};

const struct cmd cmd_dashboard = {
    .name = "dashboard",
    .summary = "Watch jobs, workers and allocations on the terminal",
    .details = "Screens: j jobs, a automatic allocation, w workers. Time: o and p move "
               "the window back and forward, k and l zoom, r goes back to now. q ends.",
    .subs = (const struct cmd *const[]){&stream, &replay, NULL},
    .flags = CMD_SUB_OPTIONAL,
    .run = dashboard_stream_run,
};
