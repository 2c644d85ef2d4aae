#include "cli/cmds.h"
#include "cli/values.h"

static const char *const pin_choices[] = {"taskset", "omp", NULL};
/* The third word, which is not among the choices that messages list. */
static int check_pin(const char *text, struct error *err)
{
    if (strcmp(text, "none") == 0)
        return 0;
    return error_set(err, ERR_NOT_FOUND, "no way of pinning: '%s'", text);
}

static const char *const membind_choices[] = {"off", "preferred", "strict", NULL};
static const char *const directive_choices[] = {"auto", "file", "stdin", "off", NULL};

static const char *const not_pin_cpus[] = {"pin", "cpus", NULL};
static const char *const not_from_json[] = {"from-json", NULL};
static const char *const not_progress[] = {"progress", NULL};
/* A workflow file says these things itself. */
static const char *const not_with_file[] = {
    "COMMANDS",   "array",        "each-line",      "from-json",   "nodes",
    "cpus",       "resource",     "weight",         "pin",         "membind",
    "cwd",        "stdout",       "stderr",         "env",         "task-dir",
    "time-limit", "time-request", "priority",       "crash-limit", "stdin",
    "directives", "max-output",   "max-job-output", NULL};

static const struct opt_group task_options = {
    .title = "What to run",
    .opts = (const struct opt[]){
        {.name = "name",
         .help = "Name of the job",
         .more = "Without it the job is called like the program it runs."},
        {.name = "array",
         .check = value_check_idset,
         .help = "Make one task for each of these ids",
         .more = "Ids and ranges, separated by commas: '1-10', '3,7', '0-100:5'. With "
                 "--each-line or --from-json it chooses lines or elements, counted "
                 "from 0."},
        {.name = "each-line",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .conflicts = not_from_json,
         .help = "Make one task for each line of the file, given to it in HQ_ENTRY"},
        {.name = "from-json",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .help =
             "Make one task for each element of a JSON array, given to it in HQ_ENTRY"},
        {.name = "env",
         .flags = OPT_REPEAT,
         .check = value_check_env,
         .help = "Set an environment variable of the tasks, as KEY=VALUE"},
        {.name = "stdin",
         .flags = OPT_SWITCH | OPT_NO_DIRECTIVE,
         .help = "Read standard input to its end and hand it to every task"},
        {.name = "directives",
         .flags = OPT_NO_DIRECTIVE,
         .value_default = "auto",
         .choices = directive_choices,
         .help = "Where to look for options in #HQ lines",
         .more =
             "'auto' reads the program when its name ends in '.sh', 'file' always, "
             "'stdin' what --stdin reads; 'off' reads nothing. Options on the command "
             "line win over directives."},
        {0},
    }};

static const struct opt_group file_options = {
    .title = "Workflow file",
    .opts = (const struct opt[]){
        {.name = "file",
         .letter = 'f',
         .flags = OPT_NONEMPTY | OPT_FILE | OPT_NO_DIRECTIVE,
         .conflicts = not_with_file,
         .help =
             "Submit the workflow that this YAML file describes; '-' reads standard "
             "input"},
        {.name = "set",
         .flags = OPT_REPEAT | OPT_NO_DIRECTIVE,
         .check = value_check_setting,
         .needs = "file",
         .help = "Set a parameter of the workflow, as KEY=VALUE"},
        {.name = "dry-run",
         .flags = OPT_SWITCH | OPT_NO_DIRECTIVE,
         .needs = "file",
         .help = "Check the workflow and print what would be submitted"},
        {0},
    }};

static const struct opt_group resource_options = {
    .title = "Resources and limits",
    .opts = (const struct opt[]){
        {.name = "cpus",
         .check = value_check_cpus,
         .help = "CPUs of each task, with an optional policy: '4', '2 compact!', 'all'",
         .more = "Policies are 'compact' (as few NUMA groups as possible), 'compact!', "
                 "'tight', 'tight!' and 'scatter'. Without any request a task gets one "
                 "CPU."},
        {.name = "resource",
         .flags = OPT_REPEAT,
         .check = value_check_resource,
         .help = "Amount of another resource for each task, as NAME=AMOUNT",
         .more =
             "Detected GPUs are called by their kind, 'gpus/nvidia' and 'gpus/amd'; "
             "'gpus=N' takes those of either kind."},
        {.name = "nodes",
         .check = value_check_u32,
         .conflicts = not_pin_cpus,
         .help = "Run each task on that many whole workers of one group"},
        {.name = "time-request",
         .check = value_check_duration,
         .value_default = "0ms",
         .help = "Start tasks only on workers that live at least that long"},
        {.name = "time-limit",
         .check = value_check_duration,
         .help = "Stop a task that runs longer; it counts as failed"},
        {.name = "weight",
         .check = value_check_weight,
         .help = "Preference among tasks of the same priority, larger first",
         .more = "1.0 when not given."},
        {.name = "priority",
         .flags = OPT_NEGATIVE,
         .check = value_check_i32,
         .value_default = "0",
         .help = "Tasks of larger priority start first"},
        {.name = "crash-limit",
         .flags = OPT_OWN_TEXT,
         .check = value_check_crash_limit,
         .value_default = "5",
         .help = "How often a task may lose its worker while it runs",
         .more = "A number from 1 on, 'never-restart' or 'unlimited'."},
        {.name = "max-fails",
         .check = value_check_u32,
         .help = "Abort the job when more than that many tasks have failed"},
        {.name = "pin",
         .choices = pin_choices,
         .check = check_pin,
         .help = "Bind each task to exactly its CPUs, or let OpenMP do it",
         .more = "Without it a task may use the NUMA domains of its CPUs; with 'none' "
                 "all CPUs of the worker."},
        {.name = "membind",
         .choices = membind_choices,
         .help = "Where a task's memory comes from",
         .more =
             "'preferred', the default, takes it from the NUMA domains of the task's "
             "CPUs while there is some; 'strict' from nowhere else; 'off' leaves it to "
             "the system."},
        {0},
    }};

static const struct opt_group place_options = {
    .title = "Files",
    .opts = (const struct opt[]){
        {.name = "cwd",
         .flags = OPT_NONEMPTY | OPT_DIR,
         .help = "Working directory of the tasks",
         .more = "May hold placeholders, such as %{JOB_ID} and %{TASK_ID}."},
        {.name = "stdout",
         .check = value_check_stdio,
         .help = "File for standard output: 'none' or PATH[:rm-if-finished]",
         .more =
             "May hold placeholders; relative paths start in the working directory. "
             "The default is '%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stdout'. With "
             "':rm-if-finished' the file is removed when the task finishes."},
        {.name = "stderr",
         .check = value_check_stdio,
         .help = "File for standard error, as with --stdout"},
        {.name = "stream",
         .flags = OPT_NONEMPTY | OPT_DIR,
         .help = "Gather the output of all tasks in one log file in this directory",
         .more =
             "With --log the output goes there instead, and this path becomes a text "
             "file with the last 64 KiB of a task's output, written when the task "
             "ends: for programs that want to read text where they asked for a "
             "stream. It may hold placeholders, also %{TASK_ID}."},
        {.name = "log",
         .flags = OPT_NONEMPTY | OPT_FILE,
         .help = "Gather the output of all tasks in this one log file"},
        {.name = "log-replace",
         .flags = OPT_SWITCH,
         .help = "Rename a log file of another server away instead of refusing it"},
        {.name = "max-output",
         .alias = "stream-limit",
         .check = value_check_output_limit,
         .help = "Keep at most that much output of each task in the log",
         .more =
             "Such as '100MiB'. What is above it is read and dropped, and a line in "
             "the output says how much. With ':tail' behind the size the last part of "
             "the output is kept as well as the first."},
        {.name = "max-job-output",
         .check = value_check_size,
         .help = "Keep at most about that much output of the whole job in the log",
         .more =
             "Workers tell the server ten times a second what they wrote, so output "
             "of that time may come on top."},
        {.name = "task-dir",
         .flags = OPT_SWITCH,
         .help = "Give each task a temporary directory, named in HQ_TASK_DIR"},
        {0},
    }};

static const struct opt_group wait_options = {
    .title = "Job and waiting",
    .opts = (const struct opt[]){
        {.name = "job",
         .flags = OPT_NO_DIRECTIVE,
         .check = value_check_u32,
         .help = "Add the tasks to this open job"},
        {.name = "wait",
         .flags = OPT_SWITCH | OPT_NO_DIRECTIVE,
         .conflicts = not_progress,
         .help = "Wait until the job is completed"},
        {.name = "progress",
         .flags = OPT_SWITCH | OPT_NO_DIRECTIVE,
         .help = "Wait and show a progress bar"},
        {.name = "fail-on-error",
         .flags = OPT_SWITCH | OPT_NO_DIRECTIVE,
         .help = "After waiting, exit with 1 unless all tasks have finished",
         .more = "HQ_WAIT_FAIL_ON_ERROR=1 in the environment does the same."},
        {.name = "on-notify",
         .flags = OPT_NO_DIRECTIVE,
         .help = "While waiting, run this command for each notification of a task",
         .more =
             "The message is the last argument; HQ_JOB_ID, HQ_TASK_ID and HQ_WORKER_ID "
             "tell where it comes from."},
        {0},
    }};

static const struct opt_group *const submit_groups[] = {
    &task_options,  &file_options, &resource_options,
    &place_options, &wait_options, NULL};

static const struct pos submit_words[] = {
    {.name = "COMMANDS",
     .flags = POS_TRAILING,
     .unless = "file",
     .help = "Program to run and its arguments"},
    {0},
};

#define SUBMIT_BODY                                                                    \
    .summary = "Submit a job",                                                         \
    .details =                                                                         \
        "All words from the program on belong to the task, also those that look like " \
        "options. Put '--' in front of a program whose name starts with a dash.\n\n"   \
        "A script may carry options itself, in lines that start with '#HQ '.",         \
    .groups = submit_groups, .positionals = submit_words, .run = submit_run

const struct cmd cmd_submit = {
    .name = "submit",
    SUBMIT_BODY,
    .examples = "hq submit --cpus 4 ./simulate input.dat\n"
                "hq submit --array 1-1000 --log run.hqlog -- ./step.sh\n"
                "hq submit --each-line files.txt -- bash -c 'wc -l \"$HQ_ENTRY\"'\n"
                "hq submit -f flow.yml --set seeds=8 --progress\n",
};

const struct cmd cmd_job_submit = {.name = "submit", SUBMIT_BODY};

static const struct opt_group file_job_options = {
    .opts = (const struct opt[]){
        {.name = "job",
         .check = value_check_u32,
         .help = "Add the tasks to this open job"},
        {0},
    }};

const struct cmd cmd_job_submit_file = {
    .name = "submit-file",
    .summary = "Submit a job that a TOML file describes",
    .groups = (const struct opt_group *const[]){&file_job_options, NULL},
    .positionals =
        (const struct pos[]){
            {.name = "PATH", .flags = POS_FILE, .help = "Job definition file"}, {0}},
    .run = submit_file_run,
};
