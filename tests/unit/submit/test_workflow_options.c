/* What a workflow takes from outside: parameters, options that win, files, remarks. */
#include <stdlib.h>
#include <unistd.h>
#include "test_main.h"
#include "base/path.h"
#include "submit/submit_dump.h"
#include "submit/workflow.h"

/* ---- parameters ---- */

#define PARAMS "params: {n: 2, name: low, must: }\n"

static const struct {
    const char *text;
    const char *sets[4];
    const char *first_lines; /* of the dump, or of the message */
} params[] = {
    {"params: {n: 2}\ntasks:\n  a: {run: 'x ${{ n }} ${n}', cpus: '${{n}}'}\n",
     {NULL},
     "0: a ids=0 [sh|-c|x 2 ${n}] body=0\nbody 0: shell {cpus: 2 compact}\n"},
    {"params: {n: 2}\ntasks:\n  a: {run: [x], array: '1-${{ n }}'}\n",
     {"n=4"},
     "0: a ids=0-3 [x] body=0 axes=array(1,2,3,4)\n"},
    {"params: {n: 2}\ntasks:\n  a: {run: [x], priority: '${{ n }}'}\n",
     {"n=4", "n=5"},
     "0: a ids=0 [x] body=0\nbody 0: priority=5 {"},
    {PARAMS "tasks:\n  a: {run: [x, '${{ must }}', '${{ name }}=']}\n",
     {"must=a=b", "name="},
     "0: a ids=0 [x|a=b|=] body=0\n"},
    {PARAMS "tasks:\n  a: {run: [x]}\n",
     {"name=1"},
     "flow.yml:1:27: parameter 'must' has no default, set it with --set must=VALUE\n"},
    {PARAMS "tasks:\n  a: {run: [x]}\n",
     {"mus=1"},
     "flow.yml declares no parameter 'mus', did you mean 'must'?"},
    {"tasks:\n  a: {run: [x]}\n", {"a=1"}, "flow.yml declares no parameter 'a'"},
    {"params:\ntasks:\n  a: {run: [x]}\n", {NULL}, "0: a ids=0 [x] body=0\n"},
};

static void test_params(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
        struct workflow_options options = {.submit_dir = "/dir",
                                           .sets = params[i].sets};
        while (params[i].sets[options.n_sets])
            options.n_sets++;
        struct submit s;
        struct error err = ERROR_INIT;
        struct buf dump = BUF_INIT(BUF_MAX_DEFAULT);
        int rc = workflow_parse("flow.yml", params[i].text, strlen(params[i].text),
                                &options, &s, &err);
        if (rc == 0) {
            submit_dump(&s, &dump);
            submit_release(&s);
        }
        const char *got = rc ? err.text : buf_cstr(&dump);
        if (strncmp(got, params[i].first_lines, strlen(params[i].first_lines)) != 0)
            printf("\n%s--- gives\n%s\n", params[i].text, got);
        CU_ASSERT_EQUAL(
            strncmp(got, params[i].first_lines, strlen(params[i].first_lines)), 0);
        buf_release(&dump);
    }
}

/* ---- options ---- */

static const char job_text[] = "name: job name\nmax-fails: 3\nlog: l\n"
                               "tasks:\n  a: {run: [x]}\n  b: {run: [x], stream: d}\n";

static void parse(const char *file, const char *text,
                  const struct workflow_options *options, struct submit *s)
{
    struct error err = ERROR_INIT;
    int rc = workflow_parse(file, text, strlen(text), options, s, &err);
    if (rc)
        printf("\n%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void test_job_keys(void)
{
    struct submit s;
    const struct workflow_options plain = {0};
    parse("flow.yml", job_text, &plain, &s);
    char *cwd = path_cwd();
    CU_ASSERT_STRING_EQUAL(s.name, "job name");
    CU_ASSERT_EQUAL(s.max_fails, 3);
    CU_ASSERT_STRING_EQUAL(s.submit_dir, cwd);
    CU_ASSERT_TRUE(s.graph);
    CU_ASSERT_FALSE(s.auto_ids);
    CU_ASSERT_EQUAL(s.job, 0);
    free(cwd);
    submit_release(&s);

    const struct workflow_options given = {.name = "n", .max_fails = "0", .job = 0};
    parse("flow.yml", job_text, &given, &s);
    CU_ASSERT_STRING_EQUAL(s.name, "n");
    CU_ASSERT_EQUAL(s.max_fails, 0);
    submit_release(&s);

    const struct workflow_options attached = {.job = 7};
    parse("flow.yml", job_text, &attached, &s);
    CU_ASSERT_PTR_NULL(s.name);
    CU_ASSERT_EQUAL(s.max_fails, -1);
    CU_ASSERT_EQUAL(s.job, 7);
    CU_ASSERT_TRUE(s.auto_ids);
    submit_release(&s);
}

static void test_job_name(void)
{
    static const struct {
        const char *file, *name;
    } names[] = {{"a/b.c.yml", "b.c"},
                 {"flow.yaml", "flow"},
                 {"flow", "flow"},
                 {"<stdin>", "job"},
                 {".yml", ".yml"}};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct submit s;
        const struct workflow_options options = {.submit_dir = "/"};
        parse(names[i].file, "tasks:\n  a: {run: x}\n", &options, &s);
        CU_ASSERT_STRING_EQUAL(s.name, names[i].name);
        CU_ASSERT_EQUAL(s.max_fails, -1);
        submit_release(&s);
    }
}

static void test_streams(void)
{
    struct submit s;
    const struct workflow_options log = {.log = "mine", .log_replace = true};
    parse("flow.yml", job_text, &log, &s);
    for (size_t i = 0; i < s.n_bodies; i++) {
        CU_ASSERT_STRING_EQUAL(s.bodies[i].stream, "mine");
        CU_ASSERT_EQUAL(s.bodies[i].stream_kind, STREAM_FILE);
        CU_ASSERT_TRUE(s.bodies[i].log_replace);
    }
    submit_release(&s);
    const struct workflow_options stream = {.stream = "dir"};
    parse("flow.yml", job_text, &stream, &s);
    CU_ASSERT_EQUAL(s.bodies[0].stream_kind, STREAM_DIR);
    CU_ASSERT_STRING_EQUAL(s.bodies[0].stream, "dir");
    submit_release(&s);
}

/* ---- files ---- */

static char dir[] = "/tmp/hq-workflow-XXXXXX";

static void write_file(const char *name, const char *text)
{
    struct error err = ERROR_INIT;
    char *path = path_join(dir, name);
    CU_ASSERT_EQUAL_FATAL(path_write_new(path, text, strlen(text), 0600, &err), 0);
    free(path);
}

static const struct {
    const char *text;
    const char *result; /* first lines of the dump, or part of the message */
} files[] = {
    {"tasks:\n  a: {run: [x], each-line: lines}\n",
     "0: a ids=0-3 [x] body=0 entries=one||three \r|four\n"},
    {"tasks:\n  z: {run: [z]}\n  a: {run: [x], each-line: lines, array: '3,0-1,9'}\n",
     "0: z ids=0 [z] body=0\n"
     "1: a ids=1-3 [x] body=0 axes=array(0,1,3) entries=one||four\n"},
    {"tasks:\n  a: {run: [x], from_json: json}\n",
     "0: a ids=0-2 [x] body=0 entries=1|{\"a\":2,\"b\":[]}|\"t\"\n"},
    {"tasks:\n  a: {run: [x], stdin: {file: lines}}\n  b: {run: [x], stdin: y}\n",
     "0: a ids=0 [x] body=0\n1: b ids=1 [x] body=1\n"
     "body 0: stdin=one\n\nthree \r\nfour"},
    {"defaults: {stdin: {file: lines}}\ntasks:\n  a: {run: [x]}\n  b: {run: [x], cpus: "
     "2}\n",
     "0: a ids=0 [x] body=0\n1: b ids=1 [x] body=1\n"},
    {"tasks:\n  a: {run: [x], each-line: lines, array: 7-9}\n",
     "flow.yml:2:28: 'lines' has no lines with these numbers\n"},
    {"tasks:\n  a: {run: [x], each-json: empty}\n",
     "flow.yml:2:28: 'empty' has no elements\n"},
    {"tasks:\n  a: {run: [x], each-json: lines}\n",
     "flow.yml:2:28: cannot read 'lines': expected value at line 1 column 1\n"},
    {"tasks:\n  a: {run: [x], each-json: object}\n",
     "flow.yml:2:28: cannot read 'object': "},
};

static void test_files(void)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    write_file("lines", "one\n\nthree \r\nfour");
    write_file("json", "[1, {\"b\": [], \"a\": 2}, \"t\"]");
    write_file("object", "{}");
    write_file("empty", "[]");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const struct workflow_options options = {.submit_dir = dir};
        struct submit s;
        struct error err = ERROR_INIT;
        struct buf dump = BUF_INIT(BUF_MAX_DEFAULT);
        int rc = workflow_parse("flow.yml", files[i].text, strlen(files[i].text),
                                &options, &s, &err);
        if (rc == 0) {
            submit_dump(&s, &dump);
            CU_ASSERT_TRUE(submit_survives(&s));
            submit_release(&s);
        }
        const char *got = rc ? err.text : buf_cstr(&dump);
        if (strncmp(got, files[i].result, strlen(files[i].result)) != 0)
            printf("\n%s--- gives\n%s\n", files[i].text, got);
        CU_ASSERT_EQUAL(strncmp(got, files[i].result, strlen(files[i].result)), 0);
        buf_release(&dump);
    }
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(path_remove_tree(dir, &err), 0);
}

static void test_missing_file(void)
{
    const struct workflow_options options = {0};
    struct submit s;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(workflow_load("no/such.yml", &options, &s, &err), ERR_SYSTEM);
    CU_ASSERT_STRING_EQUAL(
        err.text, "Cannot read no/such.yml: No such file or directory (os error 2)");
}

/* ---- remarks ---- */

static const struct {
    const char *text;
    const char *remark; /* NULL: none */
} remarks[] = {
    {"log: l\ntasks:\n  a: {run: 'curl -w %{http_code}', stdout: 'o-%{JOB_ID}'}\n",
     NULL},
    {"log: l\ntasks:\n  a: {run: 'x %{Tmp} %{x}', matrix: {Temp: [1]}}\n", NULL},
    {"log: l\ntasks:\n  a: {run: 'x %{Tem}', matrix: {Temp: [1]}}\n",
     "Found unknown placeholder `Tem` in the command of task 'a', did you mean "
     "`Temp`?"},
    {"log: l\ntasks:\n  a: {run: x, cwd: 'd%{T}', matrix: {T: [1]}}\n", NULL},
    {"log: l\ntasks:\n  a: {run: x, cwd: 'd%{T}%{U}'}\n",
     "Found unknown placeholders `T, U` in working directory path of task 'a'"},
    {"log: l\ntasks:\n  a: {run: x, stderr: 'd%{T}'}\n",
     "Found unknown placeholder `T` in stderr path of task 'a'"},
    {"log: l\ntasks:\n  a: {run: x, stdout: o, array: 1-2}\n",
     "All 2 tasks of 'a' have the same stdout path `o` and may overwrite the file. "
     "Consider adding `%{TASK_ID}` to it."},
    {"log: l\ntasks:\n  a: {run: x, stdout: 'o%{array}', array: 1-2}\n", NULL},
    {"log: l\ntasks:\n  a: {run: x, stdout: o, cwd: '%{TASK_ID}', array: 1-2}\n", NULL},
    {"log: l\ntasks:\n  a: {run: x, stdout: /o, cwd: '%{TASK_ID}', array: 1-2}\n",
     "All 2 tasks of 'a' have the same stdout path `/o` and may overwrite the file. "
     "Consider adding `%{TASK_ID}` to it."},
    {"tasks:\n  a: {run: x, array: 1-500}\n",
     "The job will create 1000 files for stdout and stderr. Consider the key `log` to "
     "gather all outputs in one file"},
    {"tasks:\n  a: {run: x, array: 1-999, stdout: none}\n", NULL},
};

static void test_remarks(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(remarks); i++) {
        const struct output out = {.mode = OUTPUT_QUIET};
        struct notices notices;
        struct submit s;
        notices_init(&notices, &out);
        const struct workflow_options options = {.notices = &notices};
        parse("flow.yml", remarks[i].text, &options, &s);
        CU_ASSERT_EQUAL(notices.n, remarks[i].remark ? 1 : 0);
        for (size_t k = 0; k < notices.n; k++) {
            if (!remarks[i].remark)
                printf("\n%s--- remarks\n%s\n", remarks[i].text, notices.items[k].text);
            else
                CU_ASSERT_STRING_EQUAL(notices.items[k].text, remarks[i].remark);
        }
        notices_release(&notices);
        submit_release(&s);
    }
}

TEST_MAIN("workflow options", TEST(test_params), TEST(test_job_keys),
          TEST(test_job_name), TEST(test_streams), TEST(test_files),
          TEST(test_missing_file), TEST(test_remarks))
