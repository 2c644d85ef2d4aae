/* #HQ lines, and what command line and directives become. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "test_main.h"
#include "args/parse.h"
#include "base/path.h"
#include "cli/cmds.h"
#include "submit/build.h"

#define MAX_WORDS 24

/* --- directives --------------------------------------------------------- */

static void test_scanning(void)
{
    static const char script[] = "#!/bin/bash -e\n"
                                 "  #HQ --env A=1\n"
                                 "#HQ\n"
                                 "#HQ   \n"
                                 "#HQ--env B=1\n"
                                 "## HQ --env C=1\n"
                                 "# HQ --env D=1\n"
                                 "#hq --env E=1\n"
                                 "\n    \n"
                                 "#HQ    --env F=1     --env \"G=two words\"\r\n"
                                 ": code\n"
                                 "#HQ --env H=1\n";
    struct directives d;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(
        directives_parse(&cmd_submit, "x", script, strlen(script), &d, &err), 0);
    struct args_list env = args_list(d.args, "env");
    CU_ASSERT_EQUAL_FATAL(env.n, 3);
    CU_ASSERT_STRING_EQUAL(env.items[0], "A=1");
    CU_ASSERT_STRING_EQUAL(env.items[1], "F=1");
    CU_ASSERT_STRING_EQUAL(env.items[2], "G=two words");
    CU_ASSERT_EQUAL_FATAL(d.interpreter.n, 2);
    CU_ASSERT_STRING_EQUAL(d.interpreter.items[0], "/bin/bash");
    CU_ASSERT_STRING_EQUAL(d.interpreter.items[1], "-e");
    directives_release(&d);
}

static void test_words(void)
{
    static const struct {
        const char *line;
        const char *value; /* of --env; NULL: wrong quotes */
    } cases[] = {
        {"#HQ --env=X=\"a b\"", "X=a b"},     {"#HQ --env \"Y=c d\"", "Y=c d"},
        {"#HQ --env Z='q'", "Z='q'"},         {"#HQ --env A=x\\ y", "A=x y"},
        {"#HQ --env \"B=x\\\"y\"", "B=x\"y"}, {"#HQ --env A=x\\y", "A=x\\y"},
        {"#HQ --env \"unclosed", NULL},       {"#HQ --env \"a\"b", NULL},
        {"#HQ --env \"\\\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct directives d;
        struct error err = ERROR_INIT;
        int rc = directives_parse(&cmd_submit, "x.sh", cases[i].line,
                                  strlen(cases[i].line), &d, &err);
        CU_ASSERT_EQUAL(rc == 0, cases[i].value != NULL);
        if (rc) {
            const char head[] = "Could not parse directives from x.sh: Parse error";
            CU_ASSERT_EQUAL(strncmp(err.text, head, strlen(head)), 0);
            continue;
        }
        CU_ASSERT_STRING_EQUAL(args_str(d.args, "env"), cases[i].value);
        directives_release(&d);
    }
}

static void test_refused(void)
{
    static const char *const lines[] = {
        "--wait",     "--job 1",   "--stdin",
        "--nonsense", "--array x", "word",
        "--name",     "--debug",   "--output-mode json",
        "-f x",       "--help",    "--cpus 2 --nodes 2"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct directives d;
        struct error err = ERROR_INIT;
        char text[128];
        snprintf(text, sizeof text, "#HQ %s", lines[i]);
        const char head[] = "Could not parse directives from x: You have used invalid "
                            "parameter(s) after a #HQ directive.\nerror: ";
        CU_ASSERT_EQUAL(
            directives_parse(&cmd_submit, "x", text, strlen(text), &d, &err),
            ERR_INVALID);
        if (strncmp(err.text, head, strlen(head)))
            printf("\n'%s': %s\n", lines[i], err.text);
        CU_ASSERT_EQUAL(strncmp(err.text, head, strlen(head)), 0);
    }
}

/* Only the first 32 KiB count. */
static void test_large(void)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    while (text.len < DIRECTIVES_BYTES_MAX)
        buf_puts(&text, "# a comment\n");
    buf_puts(&text, "#HQ --nonsense\n");
    struct directives d;
    CU_ASSERT_EQUAL_FATAL(
        directives_parse(&cmd_submit, "x", text.data, text.len, &d, NULL), 0);
    CU_ASSERT_EQUAL(d.words.n, 0);
    directives_release(&d);
    buf_release(&text);
}

/* --- building ----------------------------------------------------------- */

struct built {
    struct args *args;
    struct output out;
    struct notices notices;
    struct directives directives;
    struct submit submit;
    struct error err;
    int rc;
};

/* Words are separated by single blanks; `script`: #HQ lines or NULL. */
static void build(struct built *b, const char *line, const char *script)
{
    static char copy[1024];
    static const char *words[MAX_WORDS];
    const struct parse_mode mode = {.path = "hq"};
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    size_t n = 0;
    *b = (struct built){.rc = -1};
    snprintf(copy, sizeof copy, "%s", line);
    for (char *rest = copy, *word; (word = strsep(&rest, " "));)
        words[n++] = word;
    output_init(&b->out, "json", "never");
    notices_init(&b->notices, &b->out);
    submit_init(&b->submit);
    enum parse_result parsed = parse_words(&cmd_root, &mode, n, words, &b->args, &text);
    if (parsed != PARSE_OK)
        printf("\n%s", buf_cstr(&text));
    CU_ASSERT_EQUAL_FATAL(parsed, PARSE_OK);
    buf_release(&text);
    if (script)
        CU_ASSERT_EQUAL_FATAL(directives_parse(&cmd_submit, "x.sh", script,
                                               strlen(script), &b->directives, &b->err),
                              0);
    const struct submit_input in = {.line = b->args,
                                    .directives = script ? &b->directives : NULL};
    b->rc = submit_build(&in, &b->notices, &b->submit, &b->err);
}

static void built_release(struct built *b)
{
    submit_release(&b->submit);
    notices_release(&b->notices);
    output_release(&b->out);
    if (b->directives.args)
        directives_release(&b->directives);
    args_destroy(b->args);
}

static const struct task_body *body_of(const struct built *b)
{
    return &b->submit.bodies[0];
}

static void test_defaults(void)
{
    struct built b;
    build(&b, "submit -- ./bin/prog.sh.x a", NULL);
    CU_ASSERT_EQUAL_FATAL(b.rc, 0);
    const struct task_body *body = body_of(&b);
    CU_ASSERT_STRING_EQUAL(b.submit.name, "prog.sh.x");
    CU_ASSERT_EQUAL(submit_task_count(&b.submit), 1);
    CU_ASSERT_EQUAL(b.submit.groups[0].first_id, 0);
    CU_ASSERT_EQUAL(body->crash_limit, CRASH_LIMIT_DEFAULT);
    CU_ASSERT_EQUAL(body->out.kind, STDIO_DEFAULT);
    CU_ASSERT_EQUAL(b.submit.max_fails, -1);
    CU_ASSERT_EQUAL(body->request.n_variants, 1);
    CU_ASSERT_EQUAL(body->request.variants[0].n_entries, 1);
    CU_ASSERT_EQUAL(body->request.variants[0].entries[0].amount, AMOUNT_ONE);
    size_t n;
    char **argv = submit_argv(&b.submit, b.submit.groups[0].argv, &n);
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_STRING_EQUAL(argv[1], "a");
    free(argv);
    built_release(&b);
}

static void test_names(void)
{
    static const struct {
        const char *line;
        const char *name;
    } cases[] = {{"submit -- .", "job"},      {"submit -- /", "job"},
                 {"submit -- ..", "job"},     {"submit -- a/b/", "b"},
                 {"submit -- a/b/.", "b"},    {"submit --name x -- a", "x"},
                 {"submit --name= -- a", ""}, {"submit -- /usr/bin/true", "true"},
                 {"submit -- a\nb", "job"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct built b;
        build(&b, cases[i].line, NULL);
        CU_ASSERT_EQUAL_FATAL(b.rc, 0);
        CU_ASSERT_STRING_EQUAL(b.submit.name, cases[i].name);
        built_release(&b);
    }
}

static void test_errors(void)
{
    static const struct {
        const char *line;
        const char *script;
        const char *text;
    } cases[] = {
        {"submit --cpus 2 --resource cpus=3 -- a", NULL,
         "--cpus and --resource cpus=... cannot be combined"},
        {"submit --resource a=1 --resource a=2 -- a", NULL,
         "Resource 'a' defined more than once"},
        {"submit --resource gpus=2 -- a", "#HQ --resource gpus=1",
         "Resource 'gpus' defined more than once"},
        {"submit --resource cpus=2 -- a", "#HQ --cpus 2",
         "--cpus and --resource cpus=... cannot be combined"},
        {"submit --cwd %{CWD}/x -- a", NULL,
         "Working directory path cannot contain the working directory placeholder "
         "`%{CWD}`."},
        {"submit --job 7 --name x -- a", NULL,
         "Parameter --name is not allowed when submitting to an open job."},
        {"submit --job 7 -- a", "#HQ --max-fails 2",
         "Parameter --max-fails is not allowed when submitting to an open job."},
        {"submit --each-line /no/such/file -- a", NULL,
         "No such file or directory (os error 2)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct built b;
        build(&b, cases[i].line, cases[i].script);
        CU_ASSERT(b.rc < 0);
        CU_ASSERT_STRING_EQUAL(b.err.text, cases[i].text);
        built_release(&b);
    }
}

static void test_arrays(void)
{
    static const struct {
        const char *array;
        size_t n_groups;
        uint64_t n_tasks;
    } cases[] = {{"5", 1, 1},     {"1-1000000", 1, 1000000}, {"0-10:2", 1, 6},
                 {"5,1,9", 2, 3}, {"1-3,7,10-20:2", 1, 10},  {"7-9,1-2", 2, 5},
                 {"3,2,1", 3, 3}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char line[64];
        struct built b;
        snprintf(line, sizeof line, "submit --array %s -- a", cases[i].array);
        build(&b, line, NULL);
        CU_ASSERT_EQUAL_FATAL(b.rc, 0);
        CU_ASSERT_EQUAL(b.submit.n_groups, cases[i].n_groups);
        CU_ASSERT_EQUAL(submit_task_count(&b.submit), cases[i].n_tasks);
        struct idset ids = IDSET_INIT, want = IDSET_INIT;
        struct buf got = BUF_INIT(BUF_MAX_DEFAULT),
                   expected = BUF_INIT(BUF_MAX_DEFAULT);
        CU_ASSERT_EQUAL(idset_parse(&want, cases[i].array, NULL), 0);
        for (size_t g = 0; g < b.submit.n_groups; g++)
            CU_ASSERT_EQUAL(group_ids(&b.submit, &b.submit.groups[g], &ids), 0);
        idset_print(&ids, &got);
        idset_print(&want, &expected);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&got), buf_cstr(&expected));
        idset_release(&ids);
        idset_release(&want);
        buf_release(&got);
        buf_release(&expected);
        built_release(&b);
    }
}

static void test_entries(void)
{
    char name[] = "/tmp/hq-test-XXXXXX", line[128];
    static const char text[] = "one\n\nthree\r\nfour";
    int fd = mkstemp(name);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write_all(fd, text, strlen(text)), 0);
    close(fd);
    struct built b;
    snprintf(line, sizeof line, "submit --each-line %s -- a", name);
    build(&b, line, NULL);
    CU_ASSERT_EQUAL_FATAL(b.rc, 0);
    CU_ASSERT_EQUAL(submit_task_count(&b.submit), 4);
    CU_ASSERT_EQUAL_FATAL(b.submit.n_extras, 1);
    CU_ASSERT_EQUAL(b.submit.extras[0].n_entries, 4);
    CU_ASSERT_EQUAL(b.submit.extras[0].entry_ends[0], 3);
    CU_ASSERT_EQUAL(b.submit.extras[0].entry_ends[1], 3);
    CU_ASSERT_EQUAL(b.submit.extras[0].entry_ends[2], 9);
    built_release(&b);
    snprintf(line, sizeof line, "submit --each-line %s --array 3,0,7-9 -- a", name);
    build(&b, line, NULL);
    CU_ASSERT_EQUAL_FATAL(b.rc, 0);
    CU_ASSERT_EQUAL(submit_task_count(&b.submit), 2);
    CU_ASSERT_EQUAL(group_id_at(&b.submit, &b.submit.groups[0], 0), 0);
    CU_ASSERT_EQUAL(group_id_at(&b.submit, &b.submit.groups[0], 1), 3);
    built_release(&b);
    snprintf(line, sizeof line, "submit --each-line %s --array 50 -- a", name);
    build(&b, line, NULL);
    CU_ASSERT_EQUAL_FATAL(b.rc, 0);
    CU_ASSERT_EQUAL(submit_task_count(&b.submit), 0);
    built_release(&b);
    snprintf(line, sizeof line, "submit --job 3 --each-line %s -- a", name);
    build(&b, line, NULL);
    CU_ASSERT_EQUAL_FATAL(b.rc, 0);
    CU_ASSERT_TRUE(b.submit.auto_ids);
    CU_ASSERT_EQUAL(b.submit.job, 3);
    built_release(&b);
    unlink(name);
}

static void test_json_entries(void)
{
    char name[] = "/tmp/hq-test-XXXXXX", line[128];
    static const char text[] = "[1, {\"b\": [1, 2 ], \"a\": \"x y\"}, null]";
    int fd = mkstemp(name);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write_all(fd, text, strlen(text)), 0);
    close(fd);
    struct built b;
    snprintf(line, sizeof line, "submit --from-json %s -- a", name);
    build(&b, line, NULL);
    CU_ASSERT_EQUAL_FATAL(b.rc, 0);
    CU_ASSERT_EQUAL(submit_task_count(&b.submit), 3);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b.submit.extras[0].entry_data),
                           "1{\"a\":\"x y\",\"b\":[1,2]}null");
    built_release(&b);
    unlink(name);
}

static void test_directives_and_line(void)
{
    struct built b;
    build(&b, "submit --priority 0 --cpus 3 --resource mem=5 --env A=line a.sh x",
          "#!/bin/bash -l\n#HQ --priority 7 --resource gpus=1 --env A=script\n"
          "#HQ --env B=script --weight 2 --task-dir --nodes 4 --time-limit 1h\n");
    CU_ASSERT_EQUAL_FATAL(b.rc, 0);
    const struct task_body *body = body_of(&b);
    const struct request_variant *v = &body->request.variants[0];
    CU_ASSERT_EQUAL(body->priority, 0);
    CU_ASSERT_EQUAL(v->n_nodes, 0); /* --cpus of the line silences it */
    CU_ASSERT_EQUAL_FATAL(v->n_entries, 3);
    CU_ASSERT_EQUAL(v->entries[0].amount, 3 * AMOUNT_ONE);
    CU_ASSERT_STRING_EQUAL(v->entries[1].name, "mem");
    CU_ASSERT_STRING_EQUAL(v->entries[2].name, "gpus");
    CU_ASSERT_EQUAL(v->weight, 20000);
    CU_ASSERT_TRUE(body->task_dir);
    CU_ASSERT_EQUAL(body->time_limit_ns, 3600000000000ULL);
    CU_ASSERT_EQUAL_FATAL(body->n_env, 2);
    CU_ASSERT_STRING_EQUAL(body->env[0].value, "line");
    CU_ASSERT_EQUAL(b.notices.n, 1); /* the variable was given twice */
    CU_ASSERT_STRING_EQUAL(b.submit.name, "bash");
    size_t n;
    char **argv = submit_argv(&b.submit, b.submit.groups[0].argv, &n);
    CU_ASSERT_EQUAL_FATAL(n, 4);
    CU_ASSERT_STRING_EQUAL(argv[0], "/bin/bash");
    CU_ASSERT_STRING_EQUAL(argv[2], "a.sh");
    free(argv);
    built_release(&b);
    /* Arrays and entries are one group of options. */
    build(&b, "submit --array 7-8 a.sh",
          "#HQ --each-line /no/such/file\n#HQ --array 1\n");
    CU_ASSERT_EQUAL(b.rc, 0);
    CU_ASSERT_EQUAL(submit_task_count(&b.submit), 2);
    built_release(&b);
}

static void test_warnings(void)
{
    static const struct {
        const char *options;
        size_t n;
        const char *last; /* text of the last one starts like this */
    } cases[] = {
        {"--array 1-499", 0, NULL},
        {"--array 1-500", 1, "The job will create 1000 files for stdout and stderr."},
        {"--array 1-1000 --stderr none", 1,
         "The job will create 1000 files for stdout."},
        {"--array 1-2000 --stream s", 0, NULL},
        {"--array 0-998:2", 1, "The job will create 1000 files"},
        {"--array 7 --stdout same", 0, NULL},
        {"--array 1-2 --stdout same", 1,
         "You have submitted an array job, but the `stdout` path does not contain the "
         "task "
         "ID placeholder.\nIndividual tasks might thus overwrite the file. Consider "
         "adding "
         "`%{TASK_ID}` to the `--stdout` value."},
        {"--array 1-2 --stdout o-%{TASK_ID} --stderr %{CWD}/x", 1,
         "You have submitted"},
        {"--array 1-2 --cwd d-%{TASK_ID} --stdout x --stderr %{CWD}/x", 0, NULL},
        {"--array 1-2 --cwd d-%{TASK_ID} --stdout /dev/null", 1, "You have submitted"},
        {"--array 1-2 --stdout none --stderr none", 0, NULL},
        {"--stdout a%{FOO}", 1, "Found unknown placeholder `FOO` in stdout path"},
        {"--stderr %{BAR}/%{BAZ}/%{JOB_ID}", 1,
         "Found unknown placeholders `BAR, BAZ` in stderr path"},
        {"--stream s%{QUX}", 1, "Found unknown placeholder `QUX` in log path"},
        {"--cwd d/%{task_id}", 1,
         "Found unknown placeholder `task_id` in working directory path"},
        {"--env A=1 --env A=2", 1,
         "Some environment variables were ignored. Check if you "
         "haven't used duplicate keys."},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char line[256];
        struct built b;
        snprintf(line, sizeof line, "submit %s -- a", cases[i].options);
        build(&b, line, NULL);
        CU_ASSERT_EQUAL_FATAL(b.rc, 0);
        if (b.notices.n != cases[i].n)
            printf("\n%s: %zu remarks\n", cases[i].options, b.notices.n);
        CU_ASSERT_EQUAL(b.notices.n, cases[i].n);
        if (b.notices.n && cases[i].last)
            CU_ASSERT_EQUAL(strncmp(b.notices.items[b.notices.n - 1].text,
                                    cases[i].last, strlen(cases[i].last)),
                            0);
        built_release(&b);
    }
}

TEST_MAIN("submit", TEST(test_scanning), TEST(test_words), TEST(test_refused),
          TEST(test_large), TEST(test_defaults), TEST(test_names), TEST(test_errors),
          TEST(test_arrays), TEST(test_entries), TEST(test_json_entries),
          TEST(test_directives_and_line), TEST(test_warnings))
