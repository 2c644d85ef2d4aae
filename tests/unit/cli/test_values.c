#include <stdlib.h>
#include "test_main.h"
#include "cli/values.h"

static const struct {
    int (*check)(const char *text, struct error *err);
    const char *value;
    const char *error; /* NULL: accepted; else how the text starts */
} cases[] = {
    {value_check_u32, "0", NULL},
    {value_check_u32, "4294967295", NULL},
    {value_check_u32, "+7", NULL},
    {value_check_u32, "4294967296", "number too large to fit in target type"},
    {value_check_u32, "99999999999999999999", "number too large to fit in target type"},
    {value_check_u32, "-1", "invalid digit found in string"},
    {value_check_u32, "1 ", "invalid digit found in string"},
    {value_check_u32, "+", "invalid digit found in string"},
    {value_check_u32, "", "cannot parse integer from empty string"},
    {value_check_positive, "1", NULL},
    {value_check_positive, "0", "has to be at least 1"},
    {value_check_i32, "-2147483648", NULL},
    {value_check_i32, "-2147483649", "number too small to fit in target type"},
    {value_check_i32, "2147483648", "number too large to fit in target type"},
    {value_check_i32, "-", "invalid digit found in string"},
    {value_check_port, "0", NULL},
    {value_check_port, "65535", NULL},
    {value_check_port, "65536", "65536 is not in 0..=65535"},
    {value_check_port, "-5", "-5 is not in 0..=65535"},
    {value_check_port, "http", "invalid digit found in string"},
    {value_check_utilization, "0", NULL},
    {value_check_utilization, "1.0", NULL},
    {value_check_utilization, ".5", NULL},
    {value_check_utilization, "1.5", "Minimal utilization has to be in the interval"},
    {value_check_utilization, "nan", "invalid float literal"},
    {value_check_utilization, "0.5x", "invalid float literal"},
    {value_check_utilization, "", "cannot parse float"},
    {value_check_weight, "1", NULL},
    {value_check_weight, "0.0001", NULL},
    {value_check_weight, "1e3", NULL},
    {value_check_weight, "0", "Resource weight has to be positive number"},
    {value_check_weight, "-1", "Resource weight has to be positive number"},
    {value_check_weight, "1e300", "Resource weight is too large"},
    {value_check_weight, "x", "invalid float literal"},
    {value_check_heartbeat, "151ms", NULL},
    {value_check_heartbeat, "150ms", "Heartbeat has to be longer than 150ms"},
    {value_check_heartbeat, "never", "Could not parse PBS walltime."},
    {value_check_duration, "1h 30m", NULL},
    {value_check_duration, "10:00", NULL},
    {value_check_duration_units, "10s", NULL},
    {value_check_duration_units, "10", "time unit needed"},
    {value_check_idset, "1-4,9", NULL},
    {value_check_idset, "1-4,2", "Unexpected end of input found"},
    {value_check_idset, "last", "Unexpected token found"},
    {value_check_selector, "last", NULL},
    {value_check_selector, "all", NULL},
    {value_check_selector, "1,3", NULL},
    {value_check_selector, "last,1", "Unexpected token found"},
    {value_check_job_array, "last", NULL},
    {value_check_job_array, "all", "Unexpected token found"},
    {value_check_job_or_last, "last", NULL},
    {value_check_job_or_last, "7", NULL},
    {value_check_job_or_last, "1-2", "invalid digit found in string"},
    {value_check_env, "A=b=c", NULL},
    {value_check_env, "A", NULL},
    {value_check_env, "", "Environment variable cannot be empty"},
    {value_check_env, "=x", NULL},
    {value_check_setting, "a=", NULL},
    {value_check_setting, "a", "expected KEY=VALUE"},
    {value_check_stdio, "none", NULL},
    {value_check_stdio, "a/b", NULL},
    {value_check_stdio, "a:rm-if-finished", NULL},
    {value_check_stdio, ":rm-if-finished", NULL},
    {value_check_stdio, "", "expected"},
    {value_check_stdio, ":", "expected"},
    {value_check_stdio, "a:", "expected"},
    {value_check_stdio, "a:b", "expected"},
    {value_check_stdio, "a:b:rm-if-finished", "expected"},
    {value_check_crash_limit, "65535", NULL},
    {value_check_crash_limit, "never-restart", NULL},
    {value_check_crash_limit, "unlimited", NULL},
    {value_check_crash_limit, "0", "Crash limit cannot be 0. Use `never-restart` or"},
    {value_check_crash_limit, "65536",
     "Invalid crash limit: ParseIntError { kind: PosOv"},
    {value_check_crash_limit, "Unlimited", "Invalid crash limit: "},
    {value_check_crash_limit, "", "Invalid crash limit: "},
    {value_check_cpus, "4 compact!", NULL},
    {value_check_cpus, "0", "Unexpected end of input found, expected something else:"},
    {value_check_resource, "gpus/amd=0.5", NULL},
    {value_check_resource, "a", "Unexpected end of input found, expected =:"},
    {value_check_worker_cpus, "2x12", NULL},
    {value_check_worker_cpus, "no-ht", NULL},
    {value_check_worker_cpus, "zero",
     "Unexpected token found while attempting to parse "
     "resource kind, expected range or sum:"},
    {value_check_worker_resource, "mem=sum(10)", NULL},
    {value_check_worker_resource, "mem", "Unexpected end of input found while"},
    {value_check_detect, "all", NULL},
    {value_check_detect, "none", NULL},
    {value_check_detect, "cpus,gpus/amd", NULL},
    {value_check_detect, "none,mem", "invalid variant: none"},
    {value_check_detect, "mem, cpus", "invalid variant:  cpus"},
    {value_check_detect, "", "invalid variant: "},
    {value_check_server_lost, "reconnect", NULL},
    {value_check_server_lost, "reconnect:5m", NULL},
    {value_check_server_lost, "reconnect5m", "unknown policy"},
};

static void test_checks(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error err = ERROR_INIT;
        int rc = cases[i].check(cases[i].value, &err);
        const char *want = cases[i].error;
        bool good =
            want ? rc < 0 && strncmp(err.text, want, strlen(want)) == 0 : rc == 0;
        if (!good)
            printf("\ncase %zu, '%s': %d %s\n", i, cases[i].value, rc, err.text);
        CU_ASSERT(good);
    }
}

static void test_reason(void)
{
    char text[256];
    memset(text, 'x', sizeof text);
    text[200] = '\0';
    CU_ASSERT_EQUAL(value_check_reason(text, NULL), 0);
    text[200] = 'x';
    text[201] = '\0';
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(value_check_reason(text, &err), ERR_PARSE);
    CU_ASSERT_STRING_EQUAL(err.text,
                           "Cancel reason must be shorter than 200 you entered 201.");
}

static void test_server_lost(void)
{
    uint64_t ns;
    enum server_lost_policy policy;
    CU_ASSERT_EQUAL(server_lost_parse("reconnect:2m", &policy, &ns, NULL), 0);
    CU_ASSERT_EQUAL(policy, LOST_RECONNECT);
    CU_ASSERT_EQUAL(ns, 120000000000ULL);
    CU_ASSERT_EQUAL(server_lost_parse("finish-running", &policy, &ns, NULL), 0);
    CU_ASSERT_EQUAL(policy, LOST_FINISH_RUNNING);
}

TEST_MAIN("values", TEST(test_checks), TEST(test_reason), TEST(test_server_lost))
