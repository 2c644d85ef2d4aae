/* Placeholders and paths of tasks, as the server, the worker and the client see them.
 */
#include "model/paths.h"

#include <stdlib.h>
#include "test_main.h"

static const struct path_context server = {
    .job = 7, .submit_dir = "/sub", .server_uid = "uid123"};
static const struct path_context worker = {.job = 7,
                                           .submit_dir = "/sub",
                                           .server_uid = "uid123",
                                           .task = true,
                                           .task_id = 42,
                                           .instance = 3};

static bool expands(const char *text, const struct path_context *ctx, const char *cwd,
                    const char *want)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    placeholders_expand(text, ctx, cwd, false, &b);
    bool same = strcmp(buf_cstr(&b), want) == 0;
    if (!same)
        (void)printf("\n    %s -> %s, not %s\n", text, buf_cstr(&b), want);
    buf_release(&b);
    return same;
}

static void test_expansion(void)
{
    static const struct {
        const char *text, *at_server, *at_worker;
    } cases[] = {
        {"", "", ""},
        {"plain", "plain", "plain"},
        {"%{JOB_ID}", "7", "7"},
        {"%{SUBMIT_DIR}/%{SERVER_UID}", "/sub/uid123", "/sub/uid123"},
        {"a%{TASK_ID}b%{INSTANCE_ID}", "a%{TASK_ID}b%{INSTANCE_ID}", "a42b3"},
        {"%{CWD}/x", "/cwd/x", "/cwd/x"},
        {"100%/%{JOB_ID}", "100%/7", "100%/7"}, /* a lone % is literal */
        {"%%{JOB_ID}%", "%7%", "%7%"},
        {"%{job_id}%{}%{NO}", "%{job_id}%{}%{NO}", "%{job_id}%{}%{NO}"},
        {"%{JOB_ID", "%{JOB_ID", "%{JOB_ID"},
        {"%{%{JOB_ID}}", "%{7}", "%{7}"},
        {"%{ JOB_ID}", "%{ JOB_ID}", "%{ JOB_ID}"},
        {"%{JOB_ID}%{JOB_ID}", "77", "77"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CU_ASSERT(expands(cases[i].text, &server, "/cwd", cases[i].at_server));
        CU_ASSERT(expands(cases[i].text, &worker, "/cwd", cases[i].at_worker));
    }
    CU_ASSERT(expands("%{CWD}", &worker, NULL, "%{CWD}"));
}

static void test_axes(void)
{
    char name_a[] = "file", name_b[] = "n";
    char v0[] = "a b", v1[] = "it's";
    char *values[] = {v0, v1};
    struct axis axes[2] = {{.name = name_a, .values = values, .n_values = 2},
                           {.name = name_b, .n_values = 3}};
    CU_ASSERT_EQUAL(idset_add(&axes[1].numbers, 10, 3, 10), 0);
    struct group_extra extra;
    group_extra_init(&extra);
    extra.axes = axes;
    extra.n_axes = 2;
    struct path_context ctx = worker;
    ctx.axes = &extra;
    ctx.axis_index = 5;
    CU_ASSERT(expands("%{file}-%{n}-%{m}", &ctx, NULL, "it's-30-%{m}"));
    ctx.axis_index = 0;
    CU_ASSERT(expands("%{file}-%{n}", &ctx, NULL, "a b-10"));
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    ctx.axis_index = 3;
    placeholders_expand("run %{file} %{n} %{JOB_ID}", &ctx, NULL, true, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "run 'it'\\''s' 10 7");
    buf_release(&b);
    idset_release(&axes[1].numbers);
}

static void test_unknown(void)
{
    static const char *const known[] = {"JOB_ID", "TASK_ID", NULL};
    static const struct {
        const char *text;
        size_t n;
        const char *names;
    } cases[] = {{"%{JOB_ID}/%{TASK_ID}", 0, ""},
                 {"%{X}", 1, "X"},
                 {"%{X}%{Y}%{X}%{JOB_ID}%{Y}", 2, "X, Y"},
                 {"%{}", 1, ""},
                 {"%{JOB_IDS}", 1, "JOB_IDS"},
                 {"%{open", 0, ""}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        CU_ASSERT_EQUAL(placeholders_unknown(cases[i].text, known, &b), cases[i].n);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), cases[i].names);
        buf_release(&b);
    }
    CU_ASSERT(placeholders_contain("a%{CWD}b", "CWD"));
    CU_ASSERT(!placeholders_contain("a%{CWD2}b%{CW", "CWD"));
}

struct path_case {
    const char *cwd, *out, *err; /* as given; NULL: not */
    const char *want_cwd, *want_out, *want_err;
};

static void check_paths(const struct path_case *t, const struct path_context *ctx)
{
    struct task_body b;
    struct task_paths p;
    task_body_init(&b);
    b.cwd = t->cwd ? strdup(t->cwd) : NULL;
    if (t->out)
        b.out = (struct stdio_spec){.kind = STDIO_FILE, .path = strdup(t->out)};
    if (t->err)
        b.err = (struct stdio_spec){.kind = STDIO_FILE, .path = strdup(t->err)};
    CU_ASSERT_EQUAL_FATAL(task_paths_resolve(&b, ctx, &p), 0);
    CU_ASSERT_STRING_EQUAL(p.cwd, t->want_cwd);
    CU_ASSERT_STRING_EQUAL(p.out, t->want_out);
    CU_ASSERT_STRING_EQUAL(p.err, t->want_err);
    task_paths_release(&p);
    CU_ASSERT_PTR_NULL(p.cwd);
    task_body_release(&b);
}

static void test_resolution_on_the_server(void)
{
    static const struct path_case cases[] = {
        {NULL, NULL, NULL, "/sub", "/sub/job-7/%{TASK_ID}.stdout",
         "/sub/job-7/%{TASK_ID}.stderr"},
        {"work", "o", "/abs/e", "/sub/work", "/sub/work/o", "/abs/e"},
        {"/w", "o.%{JOB_ID}", "%{SUBMIT_DIR}/e", "/w", "/w/o.7", "/sub/e"},
        /* Not complete yet: relative paths wait for the worker. */
        {"c%{TASK_ID}", NULL, "e", "c%{TASK_ID}", "%{CWD}/job-7/%{TASK_ID}.stdout",
         "%{CWD}/e"},
        {"c%{TASK_ID}", "%{CWD}/o", "x/%{CWD}", "c%{TASK_ID}", "%{CWD}/o", "x/%{CWD}"},
        {"/w", "%{INSTANCE_ID}/o", NULL, "/w", "%{INSTANCE_ID}/o",
         "/w/job-7/%{TASK_ID}.stderr"},
        /* Names that nobody knows stay, the path is completed nevertheless. */
        {"x%{NO}", "%{NO}", NULL, "/sub/x%{NO}", "/sub/x%{NO}/%{NO}",
         "/sub/x%{NO}/job-7/%{TASK_ID}.stderr"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_paths(&cases[i], &server);
}

static void test_resolution_on_the_worker(void)
{
    static const struct path_case cases[] = {
        {NULL, NULL, NULL, "/sub", "/sub/job-7/42.stdout", "/sub/job-7/42.stderr"},
        {"c%{TASK_ID}", "o", "/abs/%{INSTANCE_ID}", "/sub/c42", "/sub/c42/o", "/abs/3"},
        {"/w", "%{CWD}/%{CWD}", NULL, "/w", "/w//w", "/w/job-7/42.stderr"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_paths(&cases[i], &worker);
    /* What the server resolved first ends in the same place. */
    struct task_body b;
    struct task_paths first, second, direct;
    task_body_init(&b);
    b.cwd = strdup("c%{TASK_ID}/%{JOB_ID}");
    CU_ASSERT_EQUAL(task_paths_resolve(&b, &worker, &direct), 0);
    CU_ASSERT_EQUAL(task_paths_resolve(&b, &server, &first), 0);
    free(b.cwd);
    b.cwd = strdup(first.cwd);
    b.out = (struct stdio_spec){.kind = STDIO_FILE, .path = strdup(first.out)};
    CU_ASSERT_EQUAL(task_paths_resolve(&b, &worker, &second), 0);
    CU_ASSERT_STRING_EQUAL(second.cwd, direct.cwd);
    CU_ASSERT_STRING_EQUAL(second.out, direct.out);
    CU_ASSERT_STRING_EQUAL(second.err, direct.err);
    struct buf shown = BUF_INIT(BUF_MAX_DEFAULT);
    stdio_show_path(first.out, first.cwd, &shown);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&shown), "c%{TASK_ID}/7/job-7/%{TASK_ID}.stdout");
    buf_clear(&shown);
    stdio_show_path("%{CWD}/%{X}/%{CWD", NULL, &shown);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&shown), "%{CWD}/%{X}/%{CWD");
    buf_release(&shown);
    task_paths_release(&first);
    task_paths_release(&second);
    task_paths_release(&direct);
    task_body_release(&b);
}

static void test_channels(void)
{
    struct task_body b;
    struct task_paths p;
    task_body_init(&b);
    CU_ASSERT_EQUAL(stdio_effective(&b, &b.out), STDIO_FILE);
    b.err.kind = STDIO_NONE;
    CU_ASSERT_EQUAL(task_paths_resolve(&b, &worker, &p), 0);
    CU_ASSERT(p.out && !p.err);
    task_paths_release(&p);
    b.stream_kind = STREAM_DIR;
    b.stream = strdup("s");
    CU_ASSERT_EQUAL(stdio_effective(&b, &b.out), STDIO_STREAM);
    CU_ASSERT_EQUAL(stdio_effective(&b, &b.err), STDIO_NONE);
    CU_ASSERT_EQUAL(task_paths_resolve(&b, &worker, &p), 0);
    CU_ASSERT(!p.out && !p.err);
    task_paths_release(&p);
    b.out = (struct stdio_spec){.kind = STDIO_FILE, .path = strdup("o")};
    CU_ASSERT_EQUAL(stdio_effective(&b, &b.out), STDIO_FILE);
    task_body_release(&b);
}

static void test_streams(void)
{
    static const struct {
        const char *stream, *want;
    } cases[] = {{"s", "/sub/s"},
                 {"/abs/%{JOB_ID}", "/abs/7"},
                 {"%{SUBMIT_DIR}/%{SERVER_UID}", "/sub/uid123"},
                 {"s-%{TASK_ID}-%{INSTANCE_ID}", "/sub/s-%{TASK_ID}-%{INSTANCE_ID}"},
                 {"%{CWD}", "/sub/%{CWD}"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *at_server = stream_path_resolve(cases[i].stream, &server);
        char *at_worker = stream_path_resolve(cases[i].stream, &worker);
        CU_ASSERT_STRING_EQUAL(at_server, cases[i].want);
        CU_ASSERT_STRING_EQUAL(at_worker, cases[i].want);
        free(at_server);
        free(at_worker);
    }
}

TEST_MAIN("paths", TEST(test_expansion), TEST(test_axes), TEST(test_unknown),
          TEST(test_resolution_on_the_server), TEST(test_resolution_on_the_worker),
          TEST(test_channels), TEST(test_streams))
