#include "cli/cmds.h"

static const char *const mode_choices[] = {"cli", "json", "quiet", NULL};
static const char *const colour_choices[] = {"auto", "always", "never", NULL};

const struct opt_group global_options = {
    .title = "Global options",
    .opts = (const struct opt[]){
        {.name = "server-dir",
         .flags = OPT_GLOBAL | OPT_NONEMPTY | OPT_DIR,
         .env = "HQ_SERVER_DIR",
         .help = "Directory through which clients and workers find the server",
         .more =
             "The directory holds one numbered directory for each run of the server "
             "and the link 'hq-current' to the active one. Without this option it is "
             "'$HOME/.hq-server'."},
        {.name = "colors",
         .flags = OPT_GLOBAL,
         .value_default = "auto",
         .choices = colour_choices,
         .help = "When to print in colour",
         .more = "With 'auto' colours are used when standard output is a terminal and "
                 "NO_COLOR is not set."},
        {.name = "output-mode",
         .flags = OPT_GLOBAL,
         .env = "HQ_OUTPUT_MODE",
         .value_default = "cli",
         .choices = mode_choices,
         .help = "Form of the results on standard output",
         .more = "'cli' prints tables and sentences, 'json' one JSON value, 'quiet' as "
                 "little as possible."},
        {.name = "debug",
         .flags = OPT_GLOBAL | OPT_SWITCH,
         .env = "HQ_DEBUG",
         .help = "Print more log lines, with milliseconds"},
        {0},
    }};

static const struct opt_group root_options = {.opts = (const struct opt[]){
                                                  {.name = "version",
                                                   .letter = 'V',
                                                   .flags = OPT_SWITCH | OPT_VERSION,
                                                   .help = "Print the version"},
                                                  {0},
                                              }};

const struct cmd cmd_root = {
    .name = "hq",
    .summary = "Run millions of small tasks inside batch allocations",
    .details =
        "A server keeps jobs and their tasks; workers, started inside the allocations "
        "of "
        "a batch system or on any machine, register with it and run the tasks. This "
        "program is server, worker and client.\n\n"
        "Client commands find the server through its directory, see --server-dir.",
    .examples = "hq server start &            # a server on this machine\n"
                "hq worker start &            # a worker beside it\n"
                "hq submit --array 1-10 -- bash -c 'echo $HQ_TASK_ID'\n"
                "hq job wait last\n"
                "hq job cat last stdout\n",
    .groups = (const struct opt_group *const[]){&root_options, &global_options, NULL},
    .subs =
        (const struct cmd *const[]){
            &cmd_server, &cmd_job, &cmd_task, &cmd_submit, &cmd_worker, &cmd_alloc,
            &cmd_log, &cmd_output_log, &cmd_journal, &cmd_dashboard, &cmd_doc,
            &cmd_generate_completion, &cmd_generate_docs, &cmd_retired_jobs,
            &cmd_retired_wait, &cmd_retired_progress, &cmd_retired_cancel,
            &cmd_retired_resubmit, NULL},
};
