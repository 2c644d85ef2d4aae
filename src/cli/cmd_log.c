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
#define UNFINISHED_OPTION                                              \
    {                                                                  \
        .name = "allow-unfinished", .flags = OPT_SWITCH,               \
        .help = "Take the output of tasks that have not ended as well" \
    }
#define CHANNEL_OPTION                                                             \
    {                                                                              \
        .name = "channel", .choices = channel_choices, .help = "Only this channel" \
    }

static const struct opt_group log_options = {
    .opts = (const struct opt[]){
        {.name = "server-uid",
         .help = "Read what the server with this id wrote, where several wrote"},
        {.name = "also",
         .flags = OPT_REPEAT | OPT_FILE,
         .help = "Further log file or directory to be read as one with LOG"},
        {0},
    }};

/* ---- choosing ----------------------------------------------------------------------
 */

static const char *const state_choices[] = {
    "finished", "failed", "canceled", "aborted", "timeout", "unfinished", NULL};

static const struct opt_group job_options = {
    .title = "Choice",
    .opts = (const struct opt[]){
        {.name = "job", .check = value_check_idset, .help = "Only jobs with these ids"},
        {0},
    }};

static const struct opt_group choice_options = {
    .title = "Choice",
    .opts = (const struct opt[]){
        TASK_OPTION,
        {.name = "state",
         .flags = OPT_COMMA,
         .choices = state_choices,
         .help = "Only tasks that ended so, or have not ended"},
        {.name = "host",
         .flags = OPT_COMMA,
         .help = "Only tasks that ran on these hosts"},
        {.name = "rank",
         .check = value_check_idset,
         .help = "Only tasks that these ranks ran"},
        {.name = "worker",
         .check = value_check_idset,
         .help = "Only tasks that workers with these ids ran"},
        {.name = "since",
         .check = value_check_time,
         .help = "Only output from this time on",
         .more =
             "A time is '2026-08-03 10:00', '10:00', RFC 3339, '@SECONDS' since 1970, "
             "or how long ago it is: '10m'. Without a zone it is local time."},
        {.name = "until",
         .check = value_check_time,
         .help = "Only output from before this time"},
        INSTANCES_OPTION,
        {0},
    }};

static const struct opt_group follow_options = {
    .opts = (const struct opt[]){
        {.name = "follow",
         .letter = 'f',
         .flags = OPT_SWITCH,
         .conflicts = (const char *const[]){"state", "until", NULL},
         .help = "Go on with what tasks print from now on",
         .more =
             "Waits for a log that is not there yet. Goes over new tasks, new workers "
             "and new runs of restarted tasks."},
        {.name = "until-finished",
         .flags = OPT_SWITCH,
         .needs = "follow",
         .help = "Stop following when the job has ended",
         .more = "Needs a job in place of the log, or --job and --task: then it ends "
                 "with these tasks."},
        {0},
    }};

static const struct opt_group channel_options = {
    .title = "Choice", .opts = (const struct opt[]){CHANNEL_OPTION, {0}}};

/* Of the older spelling. */
static const struct opt_group old_show_options = {
    .opts = (const struct opt[]){
        {.name = "job", .check = value_check_u32, .help = "Only this job"},
        CHANNEL_OPTION,
        {0},
    }};

static const struct opt_group old_cat_options = {
    .opts = (const struct opt[]){TASK_OPTION, UNFINISHED_OPTION, {0}}};

static const struct opt_group cat_options = {
    .opts = (const struct opt[]){UNFINISHED_OPTION, {0}}};

static const struct opt_group old_export_options = {
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
    .groups = (const struct opt_group *const[]){&job_options, &choice_options, NULL},
    .run = log_cmd_list,
};

static const char *const order_choices[] = {"time", "task", NULL};

static const struct opt_group show_options = {
    .opts = (const struct opt[]){
        {.name = "order",
         .choices = order_choices,
         .value_default = "time",
         .help = "What comes first"},
        {.name = "lines",
         .flags = OPT_SWITCH,
         .help = "Put a prefix in front of each line instead of each block"},
        {.name = "timestamps",
         .flags = OPT_SWITCH,
         .help = "Put the time in front as well, in UTC"},
        {.name = "grep", .help = "Only lines that hold this text"},
        {0},
    }};

#define SHOW_BODY                                                                 \
    .name = "show",                                                               \
    .summary =                                                                    \
        "Print output in the order of time, with job, task and channel in front", \
    .run = log_cmd_show

static const struct cmd show = {
    SHOW_BODY,
    .groups =
        (const struct opt_group *const[]){&show_options, &follow_options, &job_options,
                                          &choice_options, &channel_options, NULL},
};

static const struct cmd old_show = {
    SHOW_BODY,
    .groups = (const struct opt_group *const[]){&old_show_options, NULL},
};

static const struct opt_group grep_options = {
    .opts = (const struct opt[]){
        {.name = "extended-regexp",
         .letter = 'E',
         .flags = OPT_SWITCH,
         .help = "PATTERN is an extended regular expression"},
        {.name = "ignore-case",
         .letter = 'i',
         .flags = OPT_SWITCH,
         .help = "Take capitals and small letters of ASCII as equal"},
        {.name = "invert-match",
         .letter = 'v',
         .flags = OPT_SWITCH,
         .help = "Print the other lines"},
        {.name = "count",
         .letter = 'c',
         .flags = OPT_SWITCH,
         .help = "Print the number of lines of each channel that has any"},
        {.name = "tasks-with-matches",
         .letter = 'l',
         .flags = OPT_SWITCH,
         .conflicts = (const char *const[]){"count", NULL},
         .help = "Print job and task id alone"},
        {0},
    }};

static const struct cmd grep_cmd = {
    .name = "grep",
    .summary = "Print lines that hold a text, with job, task and channel in front",
    .details =
        "A line is found however its output came in pieces. In one of more than 16 "
        "MiB, "
        "matches of a regular expression that are longer than 1 MiB may be missed; it "
        "says so. The exit status is 1 when there is none.",
    .groups =
        (const struct opt_group *const[]){&grep_options, &job_options, &choice_options,
                                          &channel_options, NULL},
    .positionals =
        (const struct pos[]){{.name = "PATTERN", .help = "Text to look for"}, {0}},
    .run = log_cmd_grep,
};

static const struct opt_group tail_options = {.opts = (const struct opt[]){
                                                  {.name = "lines",
                                                   .letter = 'n',
                                                   .check = value_check_u32,
                                                   .value_default = "10",
                                                   .help = "Number of lines"},
                                                  {0},
                                              }};

static const struct cmd tail = {
    .name = "tail",
    .summary = "Print the last lines of each channel of each task",
    .groups =
        (const struct opt_group *const[]){&tail_options, &follow_options, &job_options,
                                          &choice_options, &channel_options, NULL},
    .run = log_cmd_tail,
};

#define CAT_BODY                                                                   \
    .name = "cat",                                                                 \
    .summary =                                                                     \
        "Print one channel of tasks as it was written, in the order of their ids", \
    .run = log_cmd_cat

static const char *const format_choices[] = {"json", "jsonl",  "dir",
                                             "tar",  "sqlite", NULL};

static const struct opt_group export_options = {
    .opts = (const struct opt[]){
        {.name = "format",
         .choices = format_choices,
         .value_default = "json",
         .help = "Form of what comes out",
         .more =
             "'json' is an array with one object a task, 'jsonl' one object a line. "
             "'dir' writes files job-J/T.stdout and job-J/T.stderr below --to, 'tar' "
             "the same as an archive to standard output. 'sqlite' makes the database "
             "--to with tables of tasks and of blocks of their output: hq-log(5)."},
        {.name = "to",
         .flags = OPT_FILE,
         .help = "Directory for --format dir, file for --format sqlite"},
        {0},
    }};

#define EXPORT_BODY                                                        \
    .name = "export",                                                      \
    .summary = "Give output out as JSON, files, an archive or a database", \
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
    .groups = (const struct opt_group *const[]){&cat_options, &follow_options,
                                                &choice_options, NULL},
    .positionals =
        (const struct pos[]){JOB_POS(POS_OPTIONAL | POS_SKIP), CHANNEL_POS, {0}},
};

static const struct cmd export_cmd = {
    EXPORT_BODY,
    .groups = (const struct opt_group *const[]){&export_options, &choice_options, NULL},
    .positionals = (const struct pos[]){JOB_POS(POS_OPTIONAL), {0}},
};

static const struct cmd old_cat = {
    CAT_BODY,
    .groups = (const struct opt_group *const[]){&old_cat_options, NULL},
    .positionals = (const struct pos[]){JOB_POS(0), CHANNEL_POS, {0}},
};

static const struct cmd old_export = {
    EXPORT_BODY,
    .groups = (const struct opt_group *const[]){&old_export_options, NULL},
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
    .subs =
        (const struct cmd *const[]){&summary, &jobs, &list, &show, &cat, &grep_cmd,
                                    &tail, &export_cmd, &check, &seal, &repair, NULL},
};

const struct cmd cmd_output_log = {
    .name = "output-log",
    .summary = "Read a shared log, as 'log' does, with the words of former versions",
    .groups = (const struct opt_group *const[]){&log_options, NULL},
    .positionals = (const struct pos[]){{.name = "LOG",
                                         .flags = POS_FILE,
                                         .help = "Directory of --stream, or log file"},
                                        {0}},
    .subs =
        (const struct cmd *const[]){&summary, &jobs, &old_show, &old_cat, &old_export,
                                    &list, &check, &seal, &repair, NULL},
};
