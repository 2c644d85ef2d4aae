#include "cli/cmds.h"
#include "cli/values.h"

static const struct opt_group list_options = {
    .opts = (const struct opt[]){
        {.name = "tasks",
         .check = value_check_idset,
         .help = "Only tasks with these ids"},
        {.name = "task-status",
         .flags = OPT_COMMA,
         .choices = task_state_choices,
         .help = "Only tasks in these states"},
        {.name = "verbose",
         .letter = 'v',
         .flags = OPT_SWITCH | OPT_LETTER_ONLY,
         .help = "Print whole error messages"},
        {0},
    }};

static const struct pos job_words[] = {
    {.name = "JOB_SELECTOR",
     .check = value_check_job_array,
     .help = "Jobs: 'last' or ids such as '3' and '1-4,9'"},
    {0},
};

static const struct cmd list = {
    .name = "list",
    .summary = "List the tasks of jobs",
    .groups = (const struct opt_group *const[]){&list_options, NULL},
    .positionals = job_words,
    .run = task_list_run,
};

/* A spelling of former releases that goes on to work; no help shows it. */
const struct cmd cmd_retired_job_tasks = {
    .name = "tasks",
    .flags = CMD_HIDDEN,
    .summary = "List the tasks of jobs",
    .groups = (const struct opt_group *const[]){&list_options, NULL},
    .positionals = job_words,
    .run = task_list_run,
};

static const struct opt_group info_options = {
    .opts = (const struct opt[]){
        {.name = "verbose",
         .letter = 'v',
         .flags = OPT_SWITCH | OPT_LETTER_ONLY,
         .help = "Print whole error messages"},
        {0},
    }};

static const struct pos job_and_tasks[] = {
    {.name = "JOB_SELECTOR",
     .check = value_check_job_or_last,
     .help = "The job: 'last' or its id"},
    {.name = "TASK_SELECTOR",
     .check = value_check_idset,
     .help = "Ids of tasks, such as '0' and '1-4,9'"},
    {0},
};

static const struct cmd info = {
    .name = "info",
    .summary = "Show details of tasks",
    .groups = (const struct opt_group *const[]){&info_options, NULL},
    .positionals = job_and_tasks,
    .run = task_info_run,
};

static const struct opt_group explain_options = {
    .opts = (const struct opt[]){
        {.name = "why",
         .flags = OPT_SWITCH,
         .help = "Tell what holds the task back now and what would help, also when the "
                 "output is no terminal"},
        {0},
    }};

static const struct cmd explain = {
    .name = "explain",
    .summary = "Tell why a task can or cannot run on each worker",
    .groups = (const struct opt_group *const[]){&explain_options, NULL},
    .positionals =
        (const struct pos[]){
            {.name = "JOB_SELECTOR",
             .check = value_check_job_or_last,
             .help = "The job: 'last' or its id"},
            {.name = "TASK_ID", .check = value_check_u32, .help = "Id of the task"},
            {0}},
    .run = task_explain_run,
};

static const struct cmd notify = {
    .name = "notify",
    .summary = "Send a message to the clients that wait, from inside a task",
    .positionals =
        (const struct pos[]){
            {.name = "MESSAGE", .help = "The message, at most 1024 bytes"}, {0}},
    .run = task_notify_run,
};

const struct cmd cmd_task = {
    .name = "task",
    .summary = "Look at tasks",
    .subs = (const struct cmd *const[]){&list, &info, &explain, &notify, NULL},
};
