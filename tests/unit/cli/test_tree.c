/* Walks the real tree: the table is sound, and all that is generated from it as well.
 */
#include <stdlib.h>
#include <unistd.h>
#include "test_main.h"
#include "args/args.h"
#include "args/completion.h"
#include "args/docgen.h"
#include "args/parse.h"
#include "args/walk.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/cmds.h"

#define DATE "August 3, 2026"

static void test_check(void)
{
    const struct cmd *const roots[] = {&cmd_root, &cmd_mpi_worker};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        struct error err = ERROR_INIT;
        int rc = cmd_check(roots[i], &err);
        if (rc)
            printf("\n%s\n", err.text);
        CU_ASSERT_EQUAL(rc, 0);
    }
}

static int refuse(const char *text, struct error *err)
{
    (void)text;
    return error_set(err, ERR_PARSE, "no");
}

static int run_nothing(struct run *r, struct error *err)
{
    (void)r;
    (void)err;
    return 0;
}

#define GROUPS(name, ...)                                               \
    static const struct opt name##_opts[] = {__VA_ARGS__, {0}};         \
    static const struct opt_group name##_group = {.opts = name##_opts}; \
    static const struct opt_group *const name[] = {&name##_group, NULL}

static const char *const nobody[] = {"nobody", NULL};
static const char *const choices[] = {"b", NULL};
GROUPS(twice, {.name = "a", .help = "A"}, {.name = "a", .help = "A"});
GROUPS(letters, {.name = "a", .letter = 'x', .help = "A"},
       {.name = "b", .letter = 'x', .help = "B"});
GROUPS(alias, {.name = "a", .alias = "b", .help = "A"}, {.name = "b", .help = "B"});
GROUPS(no_help, {.name = "a"});
GROUPS(full_stop, {.name = "a", .help = "A."});
GROUPS(conflict, {.name = "a", .help = "A", .conflicts = nobody});
GROUPS(refused, {.name = "a", .help = "A", .check = refuse, .value_default = "x"});
GROUPS(no_choice, {.name = "a", .help = "A", .choices = choices, .value_default = "x"});
GROUPS(help, {.name = "help", .help = "A"});
static const struct pos late[] = {
    {.name = "A", .flags = POS_OPTIONAL, .help = "A"}, {.name = "B", .help = "B"}, {0}};

/* The check finds what is wrong, or the test above would prove nothing. */
static void test_check_finds(void)
{
    const struct cmd bad[] = {
        {.name = "x", .summary = "X", .run = run_nothing, .groups = twice},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = letters},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = alias},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = no_help},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = full_stop},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = conflict},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = refused},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = no_choice},
        {.name = "x", .summary = "X", .run = run_nothing, .groups = help},
        {.name = "x", .summary = "X", .run = run_nothing, .positionals = late},
        {.name = "x", .summary = "X"},
        {.name = "x", .run = run_nothing},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(cmd_check(&bad[i], &err), ERR_INVALID);
    }
    const struct cmd good = {.name = "x", .summary = "X", .run = run_nothing};
    CU_ASSERT_EQUAL(cmd_check(&good, NULL), 0);
}

/* --- help --------------------------------------------------------------- */

static void check_help(struct walk *w, const struct cmd *cmd, const char *path)
{
    static const char *const forms[] = {"-h", "--help"};
    const struct parse_mode mode = {.path = w->root->name};
    for (size_t form = 0; form < ARRAY_SIZE(forms); form++) {
        char copy[256];
        const char *words[CMD_DEPTH_MAX + 2];
        size_t n = 0;
        snprintf(copy, sizeof copy, "%s", path);
        char *rest = copy, *word = strsep(&rest, " ");
        while ((word = strsep(&rest, " ")))
            words[n++] = word;
        if (n && strcmp(words[0], "log") != 0 && strcmp(words[0], "output-log") != 0)
            CU_ASSERT_PTR_NOT_NULL(strstr(path, cmd->name));
        if (n > 1 && strstr(words[0], "log")) { /* a file stands before the verb */
            words[2] = words[1];
            words[1] = "file";
            n = 3;
        }
        words[n++] = forms[form];
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        struct args *args = NULL;
        enum parse_result rc = parse_words(w->root, &mode, n, words, &args, &text);
        CU_ASSERT_EQUAL(rc, PARSE_HELP);
        CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&text), "\nUsage: "));
        /* Prose is wrapped to 80 columns; examples and usage lines may be longer. */
        const char *end = strstr(buf_cstr(&text), "\nExamples:");
        for (const char *line = buf_cstr(&text); *line && line != end;) {
            size_t len = strcspn(line, "\n");
            if (strncmp(line, "Usage: ", 7) && text_width(line, len) > 80) {
                printf("\n%s: %.*s\n", path, (int)len, line);
                CU_FAIL("line is too long");
            }
            if (end && line + len >= end)
                break;
            line += len + (line[len] == '\n');
        }
        buf_release(&text);
    }
}

static void test_help(void)
{
    struct walk w = {.visit = check_help};
    walk_tree(&w, &cmd_root);
    walk_tree(&w, &cmd_mpi_worker);
}

/* --- generated texts ---------------------------------------------------- */

/* Runs `command FILE` over the text; the status of a shell's "not found" is no failure.
 */
static void check_with(const char *command, const struct buf *text)
{
    char name[] = "/tmp/hq-test-XXXXXX";
    int fd = mkstemp(name);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write_all(fd, text->data, text->len), 0);
    close(fd);
    char line[256];
    snprintf(line, sizeof line, "%s %s", command, name);
    FILE *pipe = popen(line, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
    int status = pclose(pipe);
    unlink(name);
    bool missing = status == 127 * 256;
    if (status && !missing)
        printf("\n'%s' failed\n", command);
    CU_ASSERT(status == 0 || missing);
}

static void test_completion(void)
{
    static const struct {
        const char *shell;
        const char *check;
    } shells[] = {{"bash", "bash -n"},
                  {"zsh", "zsh -n 2>/dev/null"},
                  {"fish", "fish -n 2>/dev/null"},
                  {"elvish", NULL},
                  {"powershell", NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(completion_print(&cmd_root, shells[i].shell, &text, &err), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&text), "time-request"));
        CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&text), "generate-access"));
        CU_ASSERT_PTR_NULL(strstr(buf_cstr(&text), "no-exec"));
        CU_ASSERT_PTR_NULL(strstr(buf_cstr(&text), "generate-docs"));
        if (shells[i].check)
            check_with(shells[i].check, &text);
        buf_release(&text);
    }
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL(completion_print(&cmd_root, "csh", &text, NULL), ERR_INVALID);
    buf_release(&text);
}

/* What bash would offer for words of which the last is being typed. */
static void complete_in_bash(const char *words, char *offers, size_t size)
{
    struct buf script = BUF_INIT(BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL(completion_print(&cmd_root, "bash", &script, NULL), 0);
    buf_printf(&script,
               "COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _hq\n"
               "echo \"${COMPREPLY[@]}\"\n",
               words);
    char name[] = "/tmp/hq-test-XXXXXX";
    int fd = mkstemp(name);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write_all(fd, script.data, script.len), 0);
    close(fd);
    char line[64];
    snprintf(line, sizeof line, "bash %s", name);
    FILE *pipe = popen(line, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
    offers[0] = '\0';
    CU_ASSERT_PTR_NOT_NULL(fgets(offers, (int)size, pipe));
    offers[strcspn(offers, "\n")] = '\0';
    CU_ASSERT_EQUAL(pclose(pipe), 0);
    unlink(name);
    buf_release(&script);
}

static void test_bash(void)
{
    static const struct {
        const char *words;
        const char *offers;
    } cases[] = {
        {"hq ser", "server"},
        {"hq job c", "cancel cat close"},
        {"hq job list --f", "--filter"},
        {"hq job list --filter fi", "finished"},
        {"hq job list --filter = fa", "failed"},
        {"hq --output-mode json job sum", "summary"},
        {"hq --server-dir job job sum", "summary"},
        {"hq job cat 1 std", "stdout stderr"},
        {"hq worker start --no", "--no-hyper-threading"},
        {"hq generate-completion z", "zsh"},
        {"hq log /de", "/dev"},
        {"hq log --also x run.hqlog su", "summary"},
        {"hq log run.hqlog export --format sq", "sqlite"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char offers[1024];
        complete_in_bash(cases[i].words, offers, sizeof offers);
        if (strcmp(offers, cases[i].offers))
            printf("\n'%s' gave '%s'\n", cases[i].words, offers);
        CU_ASSERT_STRING_EQUAL(offers, cases[i].offers);
    }
}

static void test_manuals(void)
{
    static const char lint[] = "sh -c 'command -v mandoc >/dev/null || exit 127; "
                               "mandoc -T lint -W style \"$0\" | "
                               "grep -v \"referenced manual not found\"; test $? = 1'";
    struct buf page = BUF_INIT(BUF_MAX_DEFAULT);
    docgen_man(&cmd_root, &cmd_root, "hq", DATE, &page);
    check_with(lint, &page);
    buf_clear(&page);
    docgen_man(&cmd_mpi_worker, &cmd_mpi_worker, cmd_mpi_worker.name, DATE, &page);
    check_with(lint, &page);
    for (const struct cmd *const *sub = cmd_root.subs; *sub; sub++) {
        char path[64];
        snprintf(path, sizeof path, "hq %s", (*sub)->name);
        buf_clear(&page);
        docgen_man(&cmd_root, *sub, path, DATE, &page);
        check_with(lint, &page);
    }
    buf_release(&page);
}

/* The committed reference is the one that the table gives. */
static void test_reference(void)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT), file = BUF_INIT(BUF_MAX_DEFAULT);
    docgen_markdown((const struct cmd *const[]){&cmd_root, &cmd_mpi_worker, NULL},
                    &text);
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(path_read_file("../../docs/cli-reference.md", &file, &err), 0);
    bool same = strcmp(buf_cstr(&text), buf_cstr(&file)) == 0;
    if (!same)
        printf("\nrun `hq generate-docs markdown docs`\n");
    CU_ASSERT_TRUE(same);
    buf_release(&text);
    buf_release(&file);
}

TEST_MAIN("tree", TEST(test_check), TEST(test_check_finds), TEST(test_help),
          TEST(test_completion), TEST(test_bash), TEST(test_manuals),
          TEST(test_reference))
