/* Job files in TOML: what becomes of them, and the messages of the contract. */
#include "test_main.h"
#include "submit/submit_dump.h"
#include "submit/workflow.h"

#define ONE " {cpus: 1 compact}\n"
#define CMD "command = [\"true\"]\n"

static const struct {
    const char *text;
    const char *dump;
} good[] = {
    {"[[task]]\ncommand = [\"a\"]\n[[task]]\ncommand = [\"b\", \"%{TASK_ID}\"]\n",
     "0: ids=1 [a] body=0\n1: ids=2 [b|%{TASK_ID}] body=0\nbody 0:" ONE},
    {"[[task]]\ncommand = [\"a\"]\n[[task]]\nid = 5\ncommand = [\"b\"]\n"
     "[[task]]\ncommand = [\"c\"]\n[[task]]\nid=0\ncommand = [\"d\"]\n",
     "0: ids=6 [a] body=0\n1: ids=5 [b] body=0\n2: ids=7 [c] body=0\n3: ids=0 [d] "
     "body=0\n"
     "body 0:" ONE},
    {"[[task]]\ncommand = []\n", "0: ids=1 [] body=0\nbody 0:" ONE},
    {"[[task]]\nid = 1\ndeps = [3, 2, 3]\ncommand = [\"1\"]\n"
     "[[task]]\nid = 2\ndeps = [3]\ncommand = [\"2\"]\n"
     "[[task]]\nid = 3\ncommand = [\"3\"]\n",
     "0: ids=3 [3] body=0\n"
     "1: ids=2 [2] body=0 needs=task:3\n"
     "2: ids=1 [1] body=0 needs=task:3,task:2,task:3\n"
     "body 0:" ONE},
    {"stream = \"str\"\n[[task]]\nid = 12\ncommand = [\"x\"]\n"
     "env = { A = \"1\", B = \"two words\" }\nstdout = \"out-%{TASK_ID}\"\n"
     "stderr = \"none\"\ncwd = \"sub\"\nstdin = \"input\\n\"\ntask_dir = true\n"
     "time_limit = \"1m 30s\"\npriority = -3\ncrash_limit = 7\npin = \"omp\"\n"
     "[[task.request]]\nresources = { \"cpus\" = \"1 compact!\" }\n"
     "time_request = \"10s\"\nweight = 2.0\n",
     "0: ids=12 [x] body=0\n"
     "body 0: A=1 B=two words cwd=sub stdout=file:out-%{TASK_ID} stderr=none "
     "stdin=input\n"
     " stream=str task-dir omp priority=-3 crash-limit=7 time-limit=1m 30s {cpus: 1 "
     "compact! weight=20000 time=10s}\n"},
    {"[[task]]\n" CMD
     "stdout = { path = \"t1\", on_close = \"rm-if-finished\", x = 1 }\n"
     "stderr = { path = \"e1\", on_close = \"none\" }\n"
     "[[task]]\n" CMD "stdout = \"t2:rm-if-finished\"\n"
     "crash_limit = \"unlimited\"\npin = \"taskset\"\n"
     "[[task]]\n" CMD "crash_limit = \"8\"\npin = \"none\"\n",
     "0: ids=1 [true] body=0\n1: ids=2 [true] body=1\n2: ids=3 [true] body=2\n"
     "body 0: stdout=file:t1(rm) stderr=file:e1" ONE
     "body 1: stdout=file:t2:rm-if-finished taskset crash-limit=4294967295" ONE
     "body 2: unpinned crash-limit=8" ONE},

    {"[[task]]\n" CMD "stdin = { base64 = \"eP8A\" }\n[[task]]\n" CMD
     "stdin = { base64 = \"\" }\n",
     "0: ids=1 [true] body=0\n1: ids=2 [true] body=1\n"
     "body 0: stdin=x\xff" ONE "body 1: stdin=" ONE},
    {"[array]\nids = \"2,7-8\"\n" CMD, "0: ids=2,7-8 [true] body=0\nbody 0:" ONE},
    {"[array]\nentries = [\"a\", \"b c\", \"\"]\n" CMD,
     "0: ids=0-2 [true] body=0 entries=a|b c|\nbody 0:" ONE},
    {"[array]\nids = \"10-12\"\nentries = [\"x\", \"y\", \"z\"]\npriority = 2\n" CMD
     "[[array.request]]\nresources = { \"cpus\" = 1 }\n",
     "0: ids=10-12 [true] body=0 entries=x|y|z\nbody 0: priority=2" ONE},
    {"[array]\nids = \"7,3\"\nentries = [\"x\", \"y\"]\n" CMD,
     "0: ids=7 [true] body=0 entries=x\n1: ids=3 [true] body=0 entries=y\nbody 0:" ONE},
    {"[array]\nids = \"0-10:2\"\nentries = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]\n" CMD,
     "0: ids=0-10:2 [true] body=0 entries=a|b|c|d|e|f\nbody 0:" ONE},

    {"[array]\nids = \"1\"\n" CMD "[[array.request]]\n"
     "resources = { \"cpus\" = \"4 compact!\", \"gpus\" = 0.5, \"mem\" = 100, \"x\" = "
     "\"all\" }\n"
     "[[array.request]]\nresources = { \"cpus\" = 2 }\nweight = 0.5\n"
     "time_request = \"1m 40s\"\n",
     "0: ids=1 [true] body=0\n"
     "body 0: {cpus: 4 compact!, gpus: 0.5 compact, mem: 100 compact, x: all} or "
     "{cpus: 2 "
     "compact weight=5000 time=1m 40s}\n"},
    {"[array]\nids = \"1\"\n" CMD "[[array.request]]\nresources = { gpus = 1.00001 }\n",
     "0: ids=1 [true] body=0\nbody 0: {gpus: 1.0001 compact}\n"},
    {"[array]\nids = \"1\"\n" CMD "[[array.request]]\nn_nodes = 2\n",
     "0: ids=1 [true] body=0\nbody 0: { nodes=2}\n"},
    {"[array]\nids = \"1\"\n" CMD "[[array.request]]\n",
     "0: ids=1 [true] body=0\nbody 0: {}\n"},
    {"data_layer = true\n[[task]]\n" CMD, "0: ids=1 [true] body=0\nbody 0:" ONE},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { a = 0.1, b = 0.3, c = 1e-9 }\n",
     "0: ids=1 [true] body=0\n"
     "body 0: {a: 0.1 compact, b: 0.3 compact, c: 0.0001 compact}\n"},
};

static void test_good(void)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct submit s;
        struct error err = ERROR_INIT;
        struct buf dump = BUF_INIT(BUF_MAX_DEFAULT);
        int rc = jobfile_parse("a.toml", good[i].text, strlen(good[i].text), "/dir", 0,
                               &s, &err);
        CU_ASSERT_EQUAL(rc, 0);
        if (rc) {
            printf("\n%s--- fails with\n%s\n", good[i].text, err.text);
            continue;
        }
        submit_dump(&s, &dump);
        if (strcmp(buf_cstr(&dump), good[i].dump) != 0)
            printf("\n%s--- gives\n%s--- instead of\n%s", good[i].text, buf_cstr(&dump),
                   good[i].dump);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&dump), good[i].dump);
        CU_ASSERT_STRING_EQUAL(s.name, "");
        CU_ASSERT_EQUAL(s.graph, strstr(good[i].text, "[array]") == NULL);
        CU_ASSERT_TRUE(submit_survives(&s));
        submit_release(&s);
        buf_release(&dump);
    }
}

static void test_job_keys(void)
{
    static const char text[] = "name = \"a\\nb\"\nmax_fails = 1\n[[task]]\n" CMD;
    struct submit s;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(
        jobfile_parse("a.toml", text, strlen(text), "/dir", 0, &s, &err), 0);
    CU_ASSERT_STRING_EQUAL(s.name, "a\nb");
    CU_ASSERT_EQUAL(s.max_fails, 1);
    CU_ASSERT_STRING_EQUAL(s.submit_dir, "/dir");
    CU_ASSERT_FALSE(s.auto_ids);
    submit_release(&s);
    CU_ASSERT_EQUAL_FATAL(
        jobfile_parse("a.toml", text, strlen(text), "/dir", 4, &s, &err), 0);
    CU_ASSERT_PTR_NULL(s.name);
    CU_ASSERT_EQUAL(s.max_fails, -1);
    CU_ASSERT_EQUAL(s.job, 4);
    CU_ASSERT_FALSE(s.auto_ids);
    submit_release(&s);
}

#define TOML "Deserialization error: TOML parse error at line "

static const struct {
    const char *text;
    const char *message; /* how it starts */
} bad[] = {
    {"", "Deserialization error: No tasks defined"},
    {"name = \"x\"\n", "Deserialization error: No tasks defined"},
    {"task = []\n", "Deserialization error: No tasks defined"},
    {"[array]\n" CMD,
     "Deserialization error: One of attributes of array must be defined: "
     "'ids', 'entries'"},
    {"[array]\nentries = []\n" CMD, "Deserialization error: One of attributes of array "
                                    "must be defined: 'ids', 'entries'"},
    {"[array]\nids = \"1-3\"\nentries = [\"a\"]\n" CMD,
     "Deserialization error: Items 'ids' and 'entries' does not match"},
    {"[array]\nids = \"1\"\n" CMD "[[task]]\n" CMD,
     "Deserialization error: Definition of array job and individual task cannot be "
     "mixed"},
    {"[[task]]\nid = 3\n" CMD "[[task]]\nid = 3\n" CMD,
     "Error: Task 3 is defined multiple times"},
    {"[[task]]\nid = 3\ndeps = [4]\n" CMD "[[task]]\nid = 4\ndeps = [3]\n" CMD,
     "Error: Task 4 is part of dependency cycle or has an invalid dependencies"},
    {"[[task]]\nid = 3\ndeps = [3]\n" CMD,
     "Error: Task 3 is part of dependency cycle or has an invalid dependencies"},
    {"[[task]]\nid = 3\ndeps = [9]\n" CMD,
     "Error: Task 3 is part of dependency cycle or has an invalid dependencies"},
    {"name = \"x\"\n[[task]]\ncomand = [\"true\"]\n",
     TOML "2, column 1\n  |\n2 | [[task]]\n  | ^^^^^^^^\nmissing field `command`\n"},
    {"[array]\nids = \"1\"\n", TOML "1, column 1\n"},
    {"name = \n", TOML "1, column "},
    {"nme = \"x\"\n[[task]]\n" CMD, TOML "1, column 1\n"},
    {"[[task]]\ncommand = \"true\"\n", TOML "2, column 11\n"},
    {"[[task]]\nids = \"1\"\n" CMD, TOML "2, column 1\n"},
    {"[[task]]\nid = -1\n" CMD, TOML "2, column 6\n"},
    {"[[task]]\ncrash_limit = 0\n" CMD, TOML},
    {"[[task]]\ncrash_limit = \"sometimes\"\n" CMD, TOML},
    {"[[task]]\ntime_limit = \"00:10\"\n" CMD, TOML},
    {"[[task]]\ntime_limit = 10\n" CMD, TOML},
    {"[[task]]\npin = \"x\"\n" CMD, TOML},
    {"[[task]]\nenv = { A = 1 }\n" CMD, TOML "2, column 13\n"},
    {"[[task]]\npriority = 4000000000\n" CMD, TOML},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { cpus = \"x\" }\n",
     TOML "4, column 22"},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { cpus = \"0\" }\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { cpus = 0 }\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { cpus = -1 }\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { cpus = 1e300 }\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { cpus = nan }\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { cpus = \"1 GiB\" }\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nresources = { 1a = 1 }\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nweight = 0.0\n", TOML},
    {"[[task]]\n" CMD "[[task.request]]\nn_nodes = 2\n[[task.request]]\n", TOML},
    {"[[task]]\n" CMD "stdout = { path = \"x\" }\n", TOML},
    {"[[task]]\n" CMD "stdout = { path = \"x\", on_close = \"x\" }\n", TOML},
    {"[[task]]\n" CMD "stdin = { base64 = \"a\" }\n", TOML "3, column 20\n"},
    {"[[task]]\n" CMD "stdin = { base64 = 1 }\n", TOML "3, column 20\n"},
    {"[[task]]\n" CMD "stdin = { file = \"x\" }\n", TOML "3, column 11\n"},
    {"[[task]]\n" CMD "stdin = {}\n", TOML "3, column 9\n"},
    {"[[task]]\n" CMD "deps = 3\n", TOML},
    {"[[task]]\n" CMD "deps = [\"a\"]\n", TOML},
    {"[array]\nids = \"x\"\n" CMD, TOML "2, column 7\n"},
    {"[array]\nids = [1]\n" CMD, TOML},
    {"[array]\nids = \"1\"\ndeps = []\n" CMD, TOML},
    {"[array]\nids = \"1\"\nid = 1\n" CMD, TOML},
    {"task = 3\n", TOML},
    {"array = 3\n", TOML},
};

static void test_bad(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct submit s;
        struct error err = ERROR_INIT;
        int rc = jobfile_parse("a.toml", bad[i].text, strlen(bad[i].text), "/dir", 0,
                               &s, &err);
        CU_ASSERT_NOT_EQUAL(rc, 0);
        CU_ASSERT_EQUAL(rc, err.code);
        bool fits =
            rc && strncmp(err.text, bad[i].message, strlen(bad[i].message)) == 0;
        if (!fits)
            printf("\n%s--- gives\n%s\n", bad[i].text, rc ? err.text : "no error");
        CU_ASSERT_TRUE(fits);
        if (rc == 0)
            submit_release(&s);
        CU_ASSERT_EQUAL(s.n_groups, 0);
    }
}

static void test_missing_file(void)
{
    struct submit s;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(jobfile_load("no/such.toml", "/dir", 0, &s, &err), ERR_SYSTEM);
    CU_ASSERT_STRING_EQUAL(
        err.text, "Cannot read no/such.toml: No such file or directory (os error 2)");
}

TEST_MAIN("jobfile", TEST(test_good), TEST(test_job_keys), TEST(test_bad),
          TEST(test_missing_file))
