#include <stdlib.h>
#include "test_main.h"
#include "args/parse.h"
#include "cli/cmds.h"

#define MAX_WORDS 16

struct outcome {
    enum parse_result result;
    struct args *args;
    struct buf text;
};

/* Words are separated by single blanks; "" stands for an empty word. */
static struct outcome parse_line(const struct cmd *root, const char *line)
{
    static char copy[1024];
    static const char *words[MAX_WORDS];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *at = copy; *at && n < MAX_WORDS;) {
        char *end = at + strcspn(at, " ");
        bool last = !*end;
        *end = '\0';
        words[n++] = strcmp(at, "\"\"") == 0 ? "" : at;
        at = last ? end : end + 1;
    }
    struct outcome o = {.text = BUF_INIT(BUF_MAX_DEFAULT)};
    const struct parse_mode mode = {.path = root->name};
    o.result = parse_words(root, &mode, n, words, &o.args, &o.text);
    return o;
}

static struct outcome parse_hq(const char *line)
{
    return parse_line(&cmd_root, line);
}

static void outcome_release(struct outcome *o)
{
    if (o->result == PARSE_OK)
        args_destroy(o->args);
    buf_release(&o->text);
}

#define CHECK_TEXT(actual, expected)                                         \
    do {                                                                     \
        if (strcmp(actual, expected))                                        \
            printf("\n--- got:\n%s\n--- expected:\n%s\n", actual, expected); \
        CU_ASSERT_STRING_EQUAL(actual, expected);                            \
    } while (0)

/* --- mistakes ----------------------------------------------------------- */

static const struct {
    const char *line;
    const char *head; /* the error text starts like this, behind "error: " */
} mistakes[] = {
    {"",
     "'hq' requires a subcommand but one was not provided\n  [subcommands: server, "},
    {"frobnicate",
     "unrecognized subcommand 'frobnicate'\n\nUsage: hq [OPTIONS] <COMMAND>"},
    {"serv info",
     "unrecognized subcommand 'serv'\n\n  tip: a similar subcommand exists: "
     "'server'\n\nUsage: hq [OPTIONS] <COMMAND>\n"},
    {"help", "unrecognized subcommand 'help'\n\nUsage"},
    {"job help list",
     "unrecognized subcommand 'help'\n\nUsage: hq job [OPTIONS] <COMMAND>"},
    {"job", "'hq job' requires a subcommand but one was not provided\n"},
    {"server --version", "unexpected argument '--version' found\n\nUsage: hq server "
                         "[OPTIONS] <COMMAND>\n"},
    {"server info extra",
     "unexpected argument 'extra' found\n\nUsage: hq server info [OPTIONS]\n"},
    {"server info --frobnicate",
     "unexpected argument '--frobnicate' found\n\nUsage: hq server info [OPTIONS]\n"},
    {"server start --journal",
     "a value is required for '--journal <JOURNAL>' but none was supplied\n\nFor more"},
    {"server start --host --debug",
     "a value is required for '--host <HOST>' but none was supplied\n"},
    {"server start --host -- x",
     "a value is required for '--host <HOST>' but none was supplied\n"},
    {"server start --host a --host b", "the argument '--host <HOST>' cannot be used "
                                       "multiple times\n\nUsage: hq server start "
                                       "[OPTIONS]\n"},
    {"--debug --debug server info",
     "the argument '--debug' cannot be used multiple times\n"},
    {"server start --client-port 99999999",
     "invalid value '99999999' for '--client-port <CLIENT_PORT>': 99999999 is not in "
     "0..=65535\n\nFor more information, try '--help'.\n"},
    {"server start --client-port x", "invalid value 'x' for '--client-port "
                                     "<CLIENT_PORT>': invalid digit found in string\n"},
    {"server start --idle-timeout eternal",
     "invalid value 'eternal' for '--idle-timeout <IDLE_TIMEOUT>': Could not parse PBS "
     "walltime. Use either `HH:MM:SS` or humantime format (2hours): "
     "NumberExpected(0)\n"},
    {"--output-mode=xml job list", "invalid value 'xml' for '--output-mode "
                                   "<OUTPUT_MODE>'\n  [possible values: cli, json, "
                                   "quiet]\n\nFor more"},
    {"--server-dir= job list", "a value is required for '--server-dir <SERVER_DIR>' "
                               "but none was supplied\n\nFor"},
    {"job list --filter \"\"",
     "a value is required for '--filter <FILTER>' but none was "
     "supplied\n  [possible values: waiting, running"},
    {"job list --filter waiting,nonsense",
     "invalid value 'nonsense' for '--filter <FILTER>'"
     "\n  [possible values: waiting, running, "
     "finished, failed, canceled, aborted, opened]"},
    {"job list --all --filter failed", "the argument '--all' cannot be used with "
                                       "'--filter <FILTER>'\n\nUsage: hq job list "
                                       "--all\n"},
    {"job list --all=yes",
     "unexpected value 'yes' for '--all' found; no more were expected"},
    {"job info", "the following required arguments were not provided:\n  <SELECTOR>\n\n"
                 "Usage: hq job info <SELECTOR>\n"},
    {"job info 1 2", "unexpected argument '2' found\n\nUsage"},
    {"job info 1,1",
     "invalid value '1,1' for '<SELECTOR>': Unexpected end of input found, "
     "expected something else:\n  1,1\n"},
    {"job cat 1 both",
     "invalid value 'both' for '<STREAM>'\n  [possible values: stdout, "
     "stderr]\n"},
    {"job submit-file x --job last",
     "invalid value 'last' for '--job <JOB>': invalid digit found in string\n"},
    {"server generate-access f --client-port 1",
     "the following required arguments were not provided:\n  --worker-port "
     "<WORKER_PORT>\n\n"
     "Usage: hq server generate-access --client-port <CLIENT_PORT> --worker-port "
     "<WORKER_PORT> <ACCESS_FILE>\n"},
    {"server generate-access",
     "the following required arguments were not provided:\n  "
     "--client-port <CLIENT_PORT>\n  --worker-port <WORKER_PORT>\n"
     "  <ACCESS_FILE>\n"},
    {"submit",
     "the following required arguments were not provided:\n  <COMMANDS>...\n"},
    {"submit --foo -- true", "unexpected argument '--foo' found\n"},
    {"submit --arr 1-2 -- true",
     "unexpected argument '--arr' found\n\n  tip: a similar "
     "argument exists: '--array'\n"},
    {"submit -x true", "unexpected argument '-x' found\n"},
    {"submit --max-fails -1 -- true", "unexpected argument '-1' found\n"},
    {"submit --cpus 1 --nodes 2 -- true", "the argument '--cpus <CPUS>' cannot be used "
                                          "with '--nodes <NODES>'\n\nUsage: hq submit "
                                          "--cpus <CPUS> <COMMANDS>...\n"},
    {"submit --nodes 2 --pin omp -- true",
     "the argument '--nodes <NODES>' cannot be used with '--pin <PIN>'\n"},
    {"submit --wait --progress",
     "the argument '--wait' cannot be used with '--progress'\n"},
    {"submit -f x true",
     "the argument '--file <FILE>' cannot be used with '<COMMANDS>...'\n"},
    {"submit --dry-run true",
     "the following required arguments were not provided:\n  --file <FILE>\n"},
    {"submit --crash-limit 0 true", "Crash limit cannot be 0. Use `never-restart` or "
                                    "`unlimited` instead.\n\nFor more"},
    {"submit --crash-limit= true", "Invalid crash limit: "},
    {"submit --priority 2147483648 x",
     "invalid value '2147483648' for '--priority "
     "<PRIORITY>': number too large to fit in target type"},
    {"submit --weight=-1 -- x",
     "invalid value '-1' for '--weight <WEIGHT>': Resource weight "
     "has to be positive number\n"},
    {"submit --env= x",
     "invalid value '' for '--env <ENV>': Environment variable cannot be "
     "empty\n"},
    {"submit --stdout foo:bar x", "invalid value 'foo:bar' for '--stdout <STDOUT>': "},
    {"worker start --workers 2",
     "unexpected argument '--workers' found\n\n  tip: a similar argument exists: "
     "'--work-dir'\n\nUsage: hq worker start --work-dir <WORK_DIR>\n"},
    {"worker start --min-utilization -0.1",
     "unexpected argument '-0' found\n\nUsage: hq "
     "worker start [OPTIONS]\n"},
    {"worker start --min-utilization 2",
     "invalid value '2' for '--min-utilization "
     "<MIN_UTILIZATION>': Minimal utilization has to be "
     "in the interval [0.0, 1.0].\n"},
    {"worker start --min-utilization x", "invalid value 'x' for '--min-utilization "
                                         "<MIN_UTILIZATION>': invalid float literal\n"},
    {"worker start --on-server-lost ignore",
     "invalid value 'ignore' for '--on-server-lost <ON_SERVER_LOST>'\n  [possible "
     "values: "
     "stop, finish-running]\n\nFor"},
    {"worker start --on-server-lost reconnect:soon",
     "invalid value 'reconnect:soon' for '--on-server-lost <ON_SERVER_LOST>': Could "
     "not "},
    {"worker start --detect-resources=all,mem", "invalid variant: all\n\nFor more"},
    {"worker start --heartbeat 100ms",
     "invalid value '100ms' for '--heartbeat <HEARTBEAT>': "
     "Heartbeat has to be longer"},
    {"worker wait -1",
     "unexpected argument '-1' found\n\n  tip: to pass '-1' as a value, "
     "use '-- -1'\n\nUsage: hq worker wait [OPTIONS] <WORKER_COUNT>\n"},
    {"task list 1 --verbose", "unexpected argument '--verbose' found\n"},
    {"output-log x nonsense", "unexpected argument 'nonsense' found\n"},
    {"output-log x",
     "'hq output-log' requires a subcommand but one was not provided\n"},
    {"output-log x summary --server-uid y",
     "unexpected argument '--server-uid' found\n"},
    {"output-log x cat 1",
     "the following required arguments were not provided:\n  "
     "<CHANNEL>\n\nUsage: hq output-log <LOG> cat <JOB> <CHANNEL>\n"},
    {"output-log x cat last stdout",
     "invalid value 'last' for '<JOB>': invalid digit found in string\n"},
    {"log check x",
     "unexpected argument 'x' found\n\n  tip: 'check' comes behind <LOG>\n"},
    {"log x grepp", "unrecognized subcommand 'grepp'\n\n  tip: a similar subcommand "
                    "exists: 'grep'\n\nUsage: hq log [OPTIONS] <LOG> <COMMAND>"},
    {"log x nonsense", "unexpected argument 'nonsense' found\n\nUsage: hq log "},
    {"doc nonsense", "unrecognized subcommand 'nonsense'\n\nUsage: hq doc [OPTIONS] "
                     "[COMMAND]\n"},
    {"generate-completion csh",
     "invalid value 'csh' for '<SHELL>'\n  [possible values: bash, "
     "elvish, fish, powershell, zsh]\n\n  tip: a similar value "
     "exists: 'zsh'\n"},
};

static void test_mistakes(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        struct outcome o = parse_hq(mistakes[i].line);
        const char *text = buf_cstr(&o.text);
        bool good = o.result == PARSE_USAGE && strncmp(text, "error: ", 7) == 0 &&
                    strncmp(text + 7, mistakes[i].head, strlen(mistakes[i].head)) == 0;
        if (!good)
            printf("\n'%s' gave:\n%s", mistakes[i].line, text);
        CU_ASSERT(good);
        const char end[] = "\n\nFor more information, try '--help'.\n";
        CU_ASSERT(o.text.len > strlen(end) &&
                  strcmp(text + o.text.len - strlen(end), end) == 0);
        outcome_release(&o);
    }
}

/* A picture of the mistake is followed by one more empty line. */
static void test_picture(void)
{
    struct outcome o = parse_hq("submit --array 1,x true");
    CHECK_TEXT(
        buf_cstr(&o.text),
        "error: invalid value '1,x' for '--array <ARRAY>': Unexpected token found "
        "while attempting to parse number, expected something else:\n"
        "  1,x\n    |\n    --- Unexpected token `x`\n\n\n"
        "For more information, try '--help'.\n");
    outcome_release(&o);
}

/* --- what is taken ------------------------------------------------------ */

static void test_forms(void)
{
    static const char *const lines[] = {
        "server start --host x --client-port 7",
        "server start --host=x --client-port=7",
        "server start --client-port 7 --host x",
        "--debug server start --host x --client-port=7",
        "server start --client-port=7 --host=x --",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct outcome o = parse_hq(lines[i]);
        CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
        CU_ASSERT_STRING_EQUAL(args_path(o.args), "hq server start");
        CU_ASSERT_STRING_EQUAL(args_str(o.args, "host"), "x");
        CU_ASSERT_EQUAL(args_u32(o.args, "client-port", 0), 7);
        CU_ASSERT_PTR_NULL(args_str(o.args, "journal"));
        CU_ASSERT_STRING_EQUAL(args_str(o.args, "journal-flush-period"), "30s");
        CU_ASSERT_FALSE(args_given(o.args, "journal-flush-period"));
        CU_ASSERT_TRUE(args_given(o.args, "host"));
        outcome_release(&o);
    }
}

static void test_global_places(void)
{
    static const struct {
        const char *line;
        const char *mode;
    } cases[] = {
        {"job list", "cli"},
        {"--output-mode json job list", "json"},
        {"job --output-mode=json list", "json"},
        {"job list --output-mode json", "json"},
        {"--output-mode quiet job list --output-mode json", "json"},
        {"--output-mode json job --output-mode quiet list", "quiet"},
        {"--output-mode cli submit --output-mode json -- --output-mode quiet", "json"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct outcome o = parse_hq(cases[i].line);
        CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
        CU_ASSERT_STRING_EQUAL(args_str(o.args, "output-mode"), cases[i].mode);
        outcome_release(&o);
    }
}

static void test_trailing_words(void)
{
    static const struct {
        const char *line;
        const char *words;
    } cases[] = {
        {"submit ls -la", "ls|-la|"},
        {"submit --name n foo --array 1-4", "foo|--array|1-4|"},
        {"submit echo -- x", "echo|--|x|"},
        {"submit -- -program --x", "-program|--x|"},
        {"submit --array 1-2 echo --help", "echo|--help|"},
        {"submit --priority -1 echo", "echo|"},
        {"submit -", "-|"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct outcome o = parse_hq(cases[i].line);
        CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
        struct buf got = BUF_INIT(BUF_MAX_DEFAULT);
        struct args_list words = args_list(o.args, "COMMANDS");
        for (size_t j = 0; j < words.n; j++)
            buf_printf(&got, "%s|", words.items[j]);
        CHECK_TEXT(buf_cstr(&got), cases[i].words);
        buf_release(&got);
        outcome_release(&o);
    }
}

static void test_passed_on(void)
{
    struct outcome o =
        parse_hq("worker deploy-ssh hosts --show-output --cpus 4 --debug");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    CU_ASSERT_TRUE(args_flag(o.args, "show-output"));
    CU_ASSERT_FALSE(args_flag(o.args, "debug"));
    CU_ASSERT_EQUAL(args_list(o.args, "WORKER_START_ARGS").n, 3);
    outcome_release(&o);
    o = parse_hq("worker deploy-ssh hosts -- --cpus 4");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    CU_ASSERT_EQUAL(args_list(o.args, "WORKER_START_ARGS").n, 2);
    CU_ASSERT_STRING_EQUAL(args_list(o.args, "WORKER_START_ARGS").items[0], "--cpus");
    outcome_release(&o);
}

static void test_lists(void)
{
    struct outcome o = parse_hq("job list --filter failed,running --filter waiting");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    struct args_list l = args_list(o.args, "filter");
    CU_ASSERT_EQUAL_FATAL(l.n, 3);
    CU_ASSERT_STRING_EQUAL(l.items[0], "failed");
    CU_ASSERT_STRING_EQUAL(l.items[1], "running");
    CU_ASSERT_STRING_EQUAL(l.items[2], "waiting");
    outcome_release(&o);
    o = parse_hq("submit --env A=1 --env=B=2 --env C -- x");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    l = args_list(o.args, "env");
    CU_ASSERT_EQUAL_FATAL(l.n, 3);
    CU_ASSERT_STRING_EQUAL(l.items[1], "B=2");
    outcome_release(&o);
}

static void test_skipped_positional(void)
{
    struct outcome o = parse_hq("log f cat stdout");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    CU_ASSERT_PTR_NULL(args_str(o.args, "JOB"));
    CU_ASSERT_STRING_EQUAL(args_str(o.args, "CHANNEL"), "stdout");
    CU_ASSERT_STRING_EQUAL(args_str(o.args, "LOG"), "f");
    outcome_release(&o);
    o = parse_hq("log --server-uid u f cat 3 stderr");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    CU_ASSERT_STRING_EQUAL(args_str(o.args, "JOB"), "3");
    CU_ASSERT_STRING_EQUAL(args_str(o.args, "server-uid"), "u");
    outcome_release(&o);
}

static const struct opt_group letter_group = {
    .opts = (const struct opt[]){
        {.name = "backlog", .letter = 'b', .help = "B"},
        {.name = "all", .letter = 'a', .flags = OPT_SWITCH, .help = "A"},
        {0}}};
static const struct cmd letter_cmd = {
    .name = "x",
    .summary = "X",
    .groups = (const struct opt_group *const[]){&letter_group, NULL}};

static void test_letters(void)
{
    static const char *const lines[] = {"-b4", "-b 4", "-b=4", "-ab4",
                                        "--backlog 4 -a"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct outcome o = parse_line(&letter_cmd, lines[i]);
        CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
        CU_ASSERT_STRING_EQUAL(args_str(o.args, "backlog"), "4");
        outcome_release(&o);
    }
    struct outcome o = parse_line(&letter_cmd, "-ax");
    CU_ASSERT_EQUAL(o.result, PARSE_USAGE);
    CU_ASSERT_EQUAL(strncmp(buf_cstr(&o.text), "error: unexpected argument '-x'", 31),
                    0);
    outcome_release(&o);
}

/* --- environment -------------------------------------------------------- */

static void test_environment(void)
{
    setenv("HQ_OUTPUT_MODE", "json", 1);
    setenv("HQ_DEBUG", "true", 1);
    struct outcome o = parse_hq("job list");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    CU_ASSERT_STRING_EQUAL(args_str(o.args, "output-mode"), "json");
    CU_ASSERT_EQUAL(args_source(o.args, "output-mode"), ARGS_ENV);
    CU_ASSERT_TRUE(args_flag(o.args, "debug"));
    outcome_release(&o);
    o = parse_hq("job list --output-mode quiet");
    CU_ASSERT_EQUAL_FATAL(o.result, PARSE_OK);
    CU_ASSERT_STRING_EQUAL(args_str(o.args, "output-mode"), "quiet");
    outcome_release(&o);
    static const char *const on[] = {"1", "yes", "on"}, *const off[] = {"0", "no",
                                                                        "off"};
    for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
        setenv("HQ_DEBUG", on[i], 1);
        o = parse_hq("job list");
        CU_ASSERT_TRUE(args_flag(o.args, "debug"));
        outcome_release(&o);
        setenv("HQ_DEBUG", off[i], 1);
        o = parse_hq("job list");
        CU_ASSERT_FALSE(args_flag(o.args, "debug"));
        outcome_release(&o);
    }
    setenv("HQ_DEBUG", "2", 1);
    o = parse_hq("job list");
    CHECK_TEXT(buf_cstr(&o.text), "error: invalid value '2' for '--debug'\n  [possible "
                                  "values: true, false]\n\nFor more information, try "
                                  "'--help'.\n");
    outcome_release(&o);
    setenv("HQ_DEBUG", "false", 1);
    setenv("HQ_OUTPUT_MODE", "", 1);
    o = parse_hq("job list");
    CU_ASSERT_EQUAL(o.result, PARSE_USAGE);
    outcome_release(&o);
    o = parse_hq("job list --help");
    CU_ASSERT_EQUAL(o.result, PARSE_HELP);
    outcome_release(&o);
    unsetenv("HQ_OUTPUT_MODE");
    unsetenv("HQ_DEBUG");
}

/* --- help --------------------------------------------------------------- */

static void test_help(void)
{
    struct outcome o = parse_hq("server info -h");
    CU_ASSERT_EQUAL(o.result, PARSE_HELP);
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&o.text), "--server-dir"));
    outcome_release(&o);
    o = parse_hq("server info --help");
    CU_ASSERT_EQUAL(o.result, PARSE_HELP);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&o.text), "--server-dir <SERVER_DIR>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&o.text), "[env: HQ_OUTPUT_MODE]"));
    outcome_release(&o);
    o = parse_hq("worker start --help");
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&o.text), "no-exec"));
    outcome_release(&o);
    o = parse_hq("--output-mode=json --version job list");
    CU_ASSERT_EQUAL(o.result, PARSE_HELP);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&o.text), "hyperqueue " HQ_VERSION "\n");
    outcome_release(&o);
    o = parse_hq("submit --array x --help");
    CU_ASSERT_EQUAL(o.result, PARSE_USAGE);
    outcome_release(&o);
}

/* Directives: some options are not there, and neither help nor global ones. */
static void test_bare(void)
{
    static const struct {
        const char *word;
        bool ok;
    } cases[] = {{"--wait", false},   {"--job=1", false},          {"--stdin", false},
                 {"--help", false},   {"--directives=off", false}, {"--cpus=2", true},
                 {"--file=x", false}, {"--task-dir", true}};
    const struct cmd *submit = cmd_find_sub(&cmd_root, "submit");
    CU_ASSERT_PTR_NOT_NULL_FATAL(submit);
    struct cmd bare = *submit;
    bare.positionals = NULL;
    const struct parse_mode mode = {
        .path = "hq submit", .exclude = OPT_NO_DIRECTIVE, .bare = true};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        struct args *args = NULL;
        bool ok =
            parse_words(&bare, &mode, 1, &cases[i].word, &args, &text) == PARSE_OK;
        if (ok != cases[i].ok)
            printf("\n'%s': %s", cases[i].word, buf_cstr(&text));
        CU_ASSERT_EQUAL(ok, cases[i].ok);
        args_destroy(args);
        buf_release(&text);
    }
}

TEST_MAIN("parse", TEST(test_mistakes), TEST(test_picture), TEST(test_forms),
          TEST(test_global_places), TEST(test_trailing_words), TEST(test_passed_on),
          TEST(test_lists), TEST(test_skipped_positional), TEST(test_letters),
          TEST(test_environment), TEST(test_help), TEST(test_bare))
