#include "cli/cmds.h"

static const char *const shell_choices[] = {"bash",       "elvish", "fish",
                                            "powershell", "zsh",    NULL};
static const char *const kind_choices[] = {"man", "markdown", NULL};

static const struct opt_group doc_options = {
    .opts = (const struct opt[]){
        {.name = "open",
         .flags = OPT_SWITCH,
         .help = "Open the page in a browser instead"},
        {0},
    }};

#define TOPIC(id, word, text, ...)                                                \
    static const struct cmd topic_##id = {.name = word,                           \
                                          .aliases =                              \
                                              (const char *const[]){__VA_ARGS__}, \
                                          .summary = text,                        \
                                          .run = doc_run}

TOPIC(job, "job", "Jobs and tasks", "jobs", "tasks", NULL);
TOPIC(taskarray, "taskarray", "Jobs of many similar tasks", NULL);
TOPIC(resources, "resources", "What tasks ask for and workers offer", NULL);
TOPIC(worker, "worker", "Starting workers", "workers", NULL);
TOPIC(autoalloc, "autoalloc", "Allocations made by the server", "pbs", "slurm", NULL);
TOPIC(python, "python-api", "Use from Python", "python", NULL);
TOPIC(cheatsheet, "cheatsheet", "All on one page", NULL);
TOPIC(changelog, "changelog", "What is new", NULL);
TOPIC(faq, "faq", "Frequent questions", NULL);

const struct cmd cmd_doc = {
    .name = "doc",
    .flags = CMD_SUB_OPTIONAL,
    .summary = "Print the address of a page of the manual",
    .groups = (const struct opt_group *const[]){&doc_options, NULL},
    .subs = (const struct cmd *const[]){&topic_job, &topic_taskarray, &topic_resources,
                                        &topic_worker, &topic_autoalloc, &topic_python,
                                        &topic_cheatsheet, &topic_changelog, &topic_faq,
                                        NULL},
    .run = doc_run,
};

const struct cmd cmd_generate_completion = {
    .name = "generate-completion",
    .summary = "Print a completion script for a shell",
    .examples = "hq generate-completion bash > ~/.local/share/bash-completion/"
                "completions/hq\n",
    .positionals =
        (const struct pos[]){
            {.name = "SHELL", .choices = shell_choices, .help = "The shell"}, {0}},
    .run = generate_completion_run,
};

const struct cmd cmd_generate_docs = {
    .name = "generate-docs",
    .flags = CMD_HIDDEN,
    .summary = "Write manual pages or the command-line reference",
    .positionals =
        (const struct pos[]){{.name = "KIND",
                              .choices = kind_choices,
                              .help = "Manual pages or one Markdown file"},
                             {.name = "DIR", .help = "Directory to write to"},
                             {0}},
    .run = generate_docs_run,
};
