#include "cli/cmds.h"
#include "cli/values.h"

static const struct pos journal_file[] = {
    {.name = "JOURNAL", .flags = POS_FILE, .help = "File of 'server start --journal'"},
    {0}};

static const struct cmd export_cmd = {
    .name = "export",
    .summary = "Print all events of a journal file, one JSON object a line",
    .details =
        "No server is needed; one that writes the file may run. A last record that is "
        "not whole is left out. Damage is reported with its place, and reading goes on "
        "behind it.",
    .examples = "hq journal export jobs.journal | jq 'select(.event.type == "
                "\"task-failed\")'\n",
    .positionals = journal_file,
    .run = journal_export_run,
};

static const struct cmd replay = {
    .name = "replay",
    .summary = "Print the past events that the server knows, one JSON object a line",
    .details =
        "With a journal these are all events in it. Without one the server makes "
        "its history up from what it remembers, in the order of time: the last run "
        "of each task alone.",
    .run = journal_replay_run,
};

static const struct cmd stream = {
    .name = "stream",
    .summary = "Print past events and go on with what happens",
    .details =
        "Ends when the server does, or when nobody reads the output any more. With a "
        "journal a slow reader misses nothing and costs the server no memory; without "
        "one a reader that is too far behind is told so and dropped.",
    .examples = "hq journal stream | jq -c 'select(.event.type == \"task-failed\")'\n",
    .run = journal_stream_run,
};

static const struct cmd prune = {
    .name = "prune",
    .summary = "Have the server drop from its journal what is over",
    .details = "All about completed jobs and about workers that are gone leaves the "
               "file, which "
               "is replaced by a smaller one; returns when that is done. Tasks go on "
               "meanwhile. "
               "The server still knows those jobs, but not after its next start.",
    .run = journal_prune_run,
};

static const struct cmd flush = {
    .name = "flush",
    .summary = "Have the server force its journal to the disk now",
    .details =
        "Returns when everything that the server knew is there. Without a journal "
        "there is nothing to do.",
    .run = journal_flush_run,
};

static const struct opt_group report_options = {
    .opts = (const struct opt[]){
        {.name = "start-time",
         .check = value_check_duration,
         .help = "Begin that long after the first event",
         .more = "What happened before shows as the state at that time, and counts for "
                 "nothing else."},
        {.name = "end-time",
         .check = value_check_duration,
         .help = "End that long after the first event"},
        {0},
    }};

static const struct cmd report = {
    .name = "report",
    .summary = "Write a page of charts about a journal file",
    .details =
        "One HTML file that needs nothing else: workers, running tasks and the use of "
        "resources over time, counts and durations of tasks by what they ask for. Its "
        "size does not depend on how many tasks there were.",
    .examples =
        "hq journal report jobs.journal report.html\n"
        "hq journal report jobs.journal report.html --start-time 1h --end-time 2h\n",
    .groups = (const struct opt_group *const[]){&report_options, NULL},
    .positionals =
        (const struct pos[]){{.name = "JOURNAL",
                              .flags = POS_FILE,
                              .help = "File of 'server start --journal'"},
                             {.name = "OUTPUT",
                              .flags = POS_FILE,
                              .help = "File to write; one that exists is overwritten"},
                             {0}},
    .run = journal_report_run,
};

const struct cmd cmd_journal = {
    .name = "journal",
    .aliases = (const char *const[]){"event-log", NULL},
    .summary = "Read and keep the history of a server",
    .subs = (const struct cmd *const[]){&export_cmd, &replay, &stream, &prune, &flush,
                                        &report, NULL},
};
