#include "cli/cmds.h"
#include "cli/log_cmd.h"
#include "cli/values.h"

/*
 * `hq log` and `hq output-log` have the same verbs and bodies. The older spelling wants
 * a job number where the newer one takes all jobs of the file without it.
 */

#define TASK_OPTION                                 \
    {                                               \
        .name = "task", .check = value_check_idset, \
        .help = "Only tasks with these ids"         \
    }
#define INSTANCES_OPTION                                                          \
    {                                                                             \
        .name = "all-instances", .alias = "with-superseded", .flags = OPT_SWITCH, \
        .help = "Show earlier runs of restarted tasks as well"                    \
    }

static const struct opt_group log_options = {
    .opts = (const struct opt[]){
        {.name = "server-uid",
         .help = "Read what the server with this id wrote, where several wrote"},
        {0},
    }};

static const struct opt_group show_options = {
    .opts = (const struct opt[]){
        {.name = "job", .check = value_check_u32, .help = "Only this job"},
        TASK_OPTION,
        {.name = "channel", .choices = channel_choices, .help = "Only this channel"},
        INSTANCES_OPTION,
        {0},
    }};

static const struct opt_group list_options = {
    .opts = (const struct opt[]){
        {.name = "job", .check = value_check_u32, .help = "Only this job"},
        TASK_OPTION,
        INSTANCES_OPTION,
        {0},
    }};

static const struct opt_group cat_options = {
    .opts = (const struct opt[]){
        TASK_OPTION,
        {.name = "allow-unfinished",
         .flags = OPT_SWITCH,
         .help = "Print the output of tasks that have not ended as well"},
        {0},
    }};

static const struct opt_group export_options = {
    .opts = (const struct opt[]){TASK_OPTION, {0}}};

static const struct cmd summary = {
    .name = "summary",
    .summary = "Show sizes and counts",
    .run = log_cmd_summary,
};

static const struct cmd jobs = {
    .name = "jobs",
    .summary = "Print the ids of the jobs in the log",
    .run = log_cmd_jobs,
};

static const struct cmd list = {
    .name = "list",
    .summary = "List the tasks in the log with the sizes of their output",
    .groups = (const struct opt_group *const[]){&list_options, NULL},
    .run = log_cmd_list,
};

static const struct cmd show = {
    .name = "show",
    .summary = "Print output in the order of time, with job, task and channel in front",
    .groups = (const struct opt_group *const[]){&show_options, NULL},
    .run = log_cmd_show,
};

#define CAT_BODY                                                                   \
    .name = "cat",                                                                 \
    .summary =                                                                     \
        "Print one channel of tasks as it was written, in the order of their ids", \
    .groups = (const struct opt_group *const[]){&cat_options, NULL},               \
    .run = log_cmd_cat

#define EXPORT_BODY                                                         \
    .name = "export", .summary = "Print output as JSON, one object a task", \
    .groups = (const struct opt_group *const[]){&export_options, NULL},     \
    .run = log_cmd_export

#define JOB_POS(more_flags)                                             \
    {                                                                   \
        .name = "JOB", .flags = (more_flags), .check = value_check_u32, \
        .help = "Id of the job"                                         \
    }
#define CHANNEL_POS                                                            \
    {                                                                          \
        .name = "CHANNEL", .choices = channel_choices, .help = "Which channel" \
    }

static const struct cmd cat = {
    CAT_BODY,
    .positionals =
        (const struct pos[]){JOB_POS(POS_OPTIONAL | POS_SKIP), CHANNEL_POS, {0}},
};

static const struct cmd export_cmd = {
    EXPORT_BODY,
    .positionals = (const struct pos[]){JOB_POS(POS_OPTIONAL), {0}},
};

static const struct cmd old_cat = {
    CAT_BODY,
    .positionals = (const struct pos[]){JOB_POS(0), CHANNEL_POS, {0}},
};

static const struct cmd old_export = {
    EXPORT_BODY,
    .positionals = (const struct pos[]){JOB_POS(0), {0}},
};

static const struct cmd check = {
    .name = "check",
    .aliases = (const char *const[]){"verify", NULL},
    .summary = "Read the whole log and report damage",
    .details = "The exit status is 1 when output is lost or an index is damaged.",
    .run = log_cmd_check,
};

static const struct cmd seal = {
    .name = "seal",
    .summary = "Write one index over the whole log, so that any task is found at once",
    .details =
        "The server does this by itself where it can. Refused while workers write "
        "the log.",
    .run = log_cmd_seal,
};

static const struct opt_group repair_options = {
    .opts = (const struct opt[]){
        {.name = "drop-superseded",
         .flags = OPT_SWITCH,
         .help = "Leave out earlier runs of restarted tasks"},
        {.name = "compress", .flags = OPT_SWITCH, .help = "Pack text with zstd"},
        {0},
    }};

static const struct cmd repair = {
    .name = "repair",
    .aliases = (const char *const[]){"compact", NULL},
    .summary = "Copy all that is readable into a new, sealed log",
    .details = "The old log is only read.",
    .groups = (const struct opt_group *const[]){&repair_options, NULL},
    .positionals = (const struct pos[]){{.name = "NEW",
                                         .flags = POS_FILE,
                                         .help = "Log file that does not exist yet"},
                                        {0}},
    .run = log_cmd_repair,
};

const struct cmd cmd_log = {
    .name = "log",
    .summary = "Read the shared log that tasks wrote their output to",
    .details = "Needs no server, unless a job is named instead of a file.",
    .examples = "hq log run.hqlog summary\n"
                "hq log run.hqlog show --task 17\n"
                "hq log last cat stdout\n",
    .groups = (const struct opt_group *const[]){&log_options, NULL},
    .positionals =
        (const struct pos[]){{.name = "LOG",
                              .flags = POS_FILE,
                              .help = "Log file, directory of --stream, id of a "
                                      "job, or 'last'"},
                             {0}},
    .subs = (const struct cmd *const[]){&summary, &jobs, &list, &show, &cat,
                                        &export_cmd, &check, &seal, &repair, NULL},
};

const struct cmd cmd_output_log = {
    .name = "output-log",
    .summary = "Read a shared log, as 'log' does, with the words of former versions",
    .groups = (const struct opt_group *const[]){&log_options, NULL},
    .positionals = (const struct pos[]){{.name = "LOG",
                                         .flags = POS_FILE,
                                         .help = "Directory of --stream, or log file"},
                                        {0}},
    .subs = (const struct cmd *const[]){&summary, &jobs, &show, &old_cat, &old_export,
                                        &list, &check, &seal, &repair, NULL},
};
