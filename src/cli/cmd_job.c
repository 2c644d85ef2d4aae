#include "cli/cmds.h"
#include "cli/values.h"

const char *const task_state_choices[] = {"waiting",  "running", "finished", "failed",
                                          "canceled", "aborted", "opened",   NULL};
const char *const channel_choices[] = {"stdout", "stderr", NULL};
static const char *const ended_choices[] = {"finished", "failed", "aborted", "canceled",
                                            NULL};
static const char *const task_choices[] = {"waiting",  "running", "finished", "failed",
                                           "canceled", "aborted", NULL};
static const char *const not_filter[] = {"filter", NULL};

static const struct pos selector[] = {
    {.name = "SELECTOR",
     .check = value_check_selector,
     .help = "Jobs: 'all', 'last', or ids such as '3' and '1-4,9'"},
    {0},
};

static const struct opt_group list_options = {
    .opts = (const struct opt[]){
        {.name = "all",
         .flags = OPT_SWITCH,
         .conflicts = not_filter,
         .help = "Show all jobs, also those that have ended"},
        {.name = "filter",
         .flags = OPT_COMMA,
         .choices = task_state_choices,
         .help = "Show jobs in these states only"},
        {.name = "verbose", .flags = OPT_SWITCH, .help = "Show why jobs were canceled"},
        {0},
    }};

static const struct cmd list = {
    .name = "list",
    .summary = "List jobs",
    .details = "Without options: jobs that wait or run, and open jobs.",
    .groups = (const struct opt_group *const[]){&list_options, NULL},
    .run = job_list_run,
};

static const struct cmd summary = {
    .name = "summary",
    .summary = "Count jobs by state",
    .run = job_summary_run,
};

static const struct opt_group info_options = {
    .opts = (const struct opt[]){
        {.name = "no-tasks",
         .flags = OPT_SWITCH,
         .help = "Leave the list of tasks out of the JSON output"},
        {0},
    }};

static const struct cmd info = {
    .name = "info",
    .summary = "Show details of jobs",
    .groups = (const struct opt_group *const[]){&info_options, NULL},
    .positionals = selector,
    .run = job_info_run,
};

static const struct opt_group cancel_options = {
    .opts = (const struct opt[]){
        {.name = "reason",
         .check = value_check_reason,
         .help = "Why, shown with the job; at most 200 bytes"},
        {0},
    }};

static const struct cmd cancel = {
    .name = "cancel",
    .summary = "Cancel all tasks of jobs that have not ended",
    .groups = (const struct opt_group *const[]){&cancel_options, NULL},
    .positionals = selector,
    .run = job_cancel_run,
};

static const struct opt_group forget_options = {
    .opts = (const struct opt[]){
        {.name = "filter",
         .flags = OPT_COMMA,
         .choices = ended_choices,
         .help = "Forget jobs in these states only"},
        {0},
    }};

static const struct cmd forget = {
    .name = "forget",
    .summary = "Drop completed jobs from the server's memory",
    .details = "Files on disk and the journal stay as they are.",
    .groups = (const struct opt_group *const[]){&forget_options, NULL},
    .positionals = selector,
    .run = job_forget_run,
};

static const struct opt_group cat_options = {
    .opts = (const struct opt[]){
        {.name = "tasks",
         .check = value_check_idset,
         .help = "Only tasks with these ids"},
        {.name = "task-status",
         .flags = OPT_COMMA,
         .choices = task_state_choices,
         .help = "Only tasks in these states"},
        {.name = "print-task-header",
         .flags = OPT_SWITCH,
         .help = "Print a line with job and task in front of each output"},
        {0},
    }};

static const struct cmd cat = {
    .name = "cat",
    .summary = "Print the output of tasks",
    .groups = (const struct opt_group *const[]){&cat_options, NULL},
    .positionals =
        (const struct pos[]){
            {.name = "JOB_SELECTOR",
             .check = value_check_job_array,
             .help = "Jobs: 'last' or ids such as '3' and '1-4,9'"},
            {.name = "STREAM", .choices = channel_choices, .help = "Which output"},
            {0}},
    .run = job_cat_run,
};

static const struct opt_group wait_options = {
    .opts = (const struct opt[]){
        {.name = "without-close",
         .flags = OPT_SWITCH,
         .help = "Do not wait for open jobs to be closed"},
        {.name = "fail-on-error",
         .flags = OPT_SWITCH,
         .help = "Exit with 1 unless all tasks have finished",
         .more = "HQ_WAIT_FAIL_ON_ERROR=1 in the environment does the same."},
        {0},
    }};

static const struct cmd wait_cmd = {
    .name = "wait",
    .summary = "Wait until jobs are completed",
    .groups = (const struct opt_group *const[]){&wait_options, NULL},
    .positionals = selector,
    .run = job_wait_run,
};

static const struct cmd progress = {
    .name = "progress",
    .summary = "Show a progress bar until jobs are completed",
    .positionals = selector,
    .run = job_progress_run,
};

static const struct opt_group ids_options = {.opts = (const struct opt[]){
                                                 {.name = "filter",
                                                  .flags = OPT_COMMA,
                                                  .choices = task_state_choices,
                                                  .help = "Only tasks in these states"},
                                                 {0},
                                             }};

static const struct cmd task_ids = {
    .name = "task-ids",
    .summary = "Print the ids of tasks as --array takes them",
    .examples =
        "hq submit --array=$(hq job task-ids last --filter failed) -- ./step.sh\n",
    .groups = (const struct opt_group *const[]){&ids_options, NULL},
    .positionals = selector,
    .run = job_task_ids_run,
};

static const struct opt_group open_options = {
    .opts = (const struct opt[]){
        {.name = "name", .value_default = "job", .help = "Name of the job"},
        {.name = "max-fails",
         .check = value_check_u32,
         .help = "Abort the job when more than that many tasks have failed"},
        {0},
    }};

static const struct cmd open_cmd = {
    .name = "open",
    .summary = "Open a job to which tasks can be added",
    .groups = (const struct opt_group *const[]){&open_options, NULL},
    .run = job_open_run,
};

static const struct cmd close_cmd = {
    .name = "close",
    .summary = "Close open jobs",
    .details =
        "A closed job takes no further tasks; it is completed when all its tasks "
        "have ended.",
    .positionals = selector,
    .run = job_close_run,
};

static const struct opt_group resubmit_options = {
    .opts = (const struct opt[]){
        {.name = "filter",
         .alias = "status",
         .flags = OPT_COMMA,
         .choices = task_choices,
         .help = "Only tasks in these states"},
        {0},
    }};

#define RESUBMIT_BODY                                                                  \
    .summary = "Submit the tasks of a job again, as a new job",                        \
    .details = "The new job has the ids, entries, resources and limits of the old "    \
               "one. Paths "                                                           \
               "that were given with %{JOB_ID} keep the old number. Jobs of workflow " \
               "and job "                                                              \
               "files are refused: their tasks may need each other, so submit the "    \
               "file again.",                                                          \
    .groups = (const struct opt_group *const[]){&resubmit_options, NULL},              \
    .positionals = (const struct pos[]){{.name = "JOB",                                \
                                         .check = value_check_job_or_last,             \
                                         .help = "The job: 'last' or its id"},         \
                                        {0}},                                          \
    .run = job_resubmit_run

static const struct cmd resubmit = {
    .name = "resubmit",
    RESUBMIT_BODY,
    .examples = "hq job resubmit last --filter failed,canceled\n",
};

const struct cmd cmd_job = {
    .name = "job",
    .summary = "Submit, watch and control jobs",
    .subs =
        (const struct cmd *const[]){&list, &summary, &info, &cancel, &forget, &cat,
                                    &cmd_job_submit, &cmd_job_submit_file, &wait_cmd,
                                    &progress, &task_ids, &open_cmd, &close_cmd,
                                    &resubmit, &cmd_retired_job_tasks, NULL},
};

/* Spellings of former releases that go on to work; no help shows them. */
const struct cmd cmd_retired_jobs = {
    .name = "jobs",
    .flags = CMD_HIDDEN,
    .summary = "List jobs",
    .groups = (const struct opt_group *const[]){&list_options, NULL},
    .run = job_list_run,
};

const struct cmd cmd_retired_wait = {
    .name = "wait",
    .flags = CMD_HIDDEN,
    .summary = "Wait until jobs are completed",
    .groups = (const struct opt_group *const[]){&wait_options, NULL},
    .positionals = selector,
    .run = job_wait_run,
};

const struct cmd cmd_retired_progress = {
    .name = "progress",
    .flags = CMD_HIDDEN,
    .summary = "Show a progress bar until jobs are completed",
    .positionals = selector,
    .run = job_progress_run,
};

const struct cmd cmd_retired_cancel = {
    .name = "cancel",
    .flags = CMD_HIDDEN,
    .summary = "Cancel all tasks of jobs that have not ended",
    .groups = (const struct opt_group *const[]){&cancel_options, NULL},
    .positionals = selector,
    .run = job_cancel_run,
};

const struct cmd cmd_retired_resubmit = {
    .name = "resubmit",
    .flags = CMD_HIDDEN,
    RESUBMIT_BODY,
};
