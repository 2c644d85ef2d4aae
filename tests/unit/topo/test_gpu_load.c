/* What nvidia-smi and rocm-smi print. */
#include "topo/gpu_load.h"

#include <stdio.h>
#include <stdlib.h>
#include "test_main.h"

static int parse(enum topo_family family, const char *text, char *out, size_t size)
{
    struct hw_gpus g;
    struct error err = ERROR_INIT;
    int rc = gpu_load_parse(family, text, strlen(text), &g, &err);
    size_t n = 0;
    out[0] = '\0';
    CU_ASSERT_EQUAL(g.known, rc == 0);
    CU_ASSERT_EQUAL(err.code, rc);
    for (size_t i = 0; i < g.n; i++)
        n += (size_t)snprintf(out + n, size - n, "%s %u %u;", g.gpus[i].id,
                              g.gpus[i].load, g.gpus[i].memory);
    hw_gpus_release(&g);
    return rc;
}

struct sample {
    const char *text, *want; /* NULL: ERR_PARSE */
};

static void check(enum topo_family family, const struct sample *samples, size_t n)
{
    char got[512];
    for (size_t i = 0; i < n; i++) {
        int rc = parse(family, samples[i].text, got, sizeof got);
        CU_ASSERT_EQUAL(rc, samples[i].want ? 0 : ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(got, samples[i].want ? samples[i].want : "");
        if (rc != (samples[i].want ? 0 : ERR_PARSE))
            (void)fprintf(stderr, "%s: %d\n", samples[i].text, rc);
    }
}

#define ROW "00000000:07:00.0, 12 %, 1 MiB, 3 MiB"

static void test_nvidia(void)
{
    static const struct sample samples[] = {
        {ROW "\n", "00000000:07:00.0 1200 3333;"},
        {ROW, "00000000:07:00.0 1200 3333;"},
        {"  a ,0%,0MiB,1MiB \r\nb, 100 %, 40536 MiB, 40536 MiB\r\n",
         "a 0 0;b 10000 10000;"},
        {"a, 1.25 %, 0.5 MiB, 1 MiB\n", "a 125 5000;"},
        {"a, [N/A], 1 MiB, 2 MiB\n" ROW "\n", "00000000:07:00.0 1200 3333;"},
        {"Failed to initialize NVML\n", NULL},
        {"", NULL},
        {"\n,\n,,,\n", NULL},
        {"a, 1 %, 1 MiB, 0 MiB\n", NULL},
        {"a, 1 %, 1 MiB\n", NULL},
        {"a, 1 %, 1 MiB, 2", NULL}, /* cut */
        {"a, -1 %, 1 MiB, 2 MiB\n", NULL},
        {"a, 1 %, 1 GiB, 2 GiB\n", NULL},
        {"a, 1 %s, 1 MiB, 2 MiB\n", NULL},
        {"a, nan %, 1 MiB, 2 MiB\n", NULL},
        {"a, 1e400 %, 1 MiB, 2 MiB\n", NULL},
        {"a, 1 %, 1e999 MiB, 1e999 MiB\n", NULL},
        {"a b, 1 %, 1 MiB, 2 MiB\n", NULL},
    };
    check(FAMILY_NVIDIA, samples, ARRAY_SIZE(samples));
}

static void test_amd(void)
{
    static const struct sample samples[] = {
        {"{\"card0\": {\"GPU use (%)\": \"1.5\", \"GPU memory use (%)\": \"12\","
         " \"PCI Bus\": \"0000:C1:00.0\"}}",
         "0000:C1:00.0 150 1200;"},
        {"WARNING: it sleeps\n\n{\"card0\": {\"GPU use (%)\": 3,"
         " \"GPU Memory Allocated (VRAM%)\": \"4\", \"PCI Bus\": \"b\"}}\n",
         "b 300 400;"},
        {"{\"card0\": {\"GPU use (%)\": \"N/A\", \"GPU memory use (%)\": \"12\","
         " \"PCI Bus\": \"a\"}, \"system\": {\"Driver version\": \"6\"}, \"x\": 1,"
         " \"card1\": {\"GPU use (%)\": \"1\", \"GPU memory use (%)\": \"2\","
         " \"PCI Bus\": \"b\"}}",
         "b 100 200;"},
        {"{\"card0\": {\"GPU use (%)\": \"1\", \"GPU memory use (%)\": \"2\"}}", NULL},
        {"{\"card0\": {\"GPU use (%)\": [], \"GPU memory use (%)\": \"2\","
         " \"PCI Bus\": \"b\"}}",
         NULL},
        {"{\"card0\": {\"GPU use (%)\": \"1\", \"GPU memory use (%)\": \"2 of 3\","
         " \"PCI Bus\": \"b\"}}",
         NULL},
        {"{\"card0\": {\"GPU use (%)\": \"1\", \"GPU memory use (%)\": \"2\","
         " \"PCI Bus\": \"\"}}",
         NULL},
        {"{\"card0\": {\"GPU use (%)\": \"1\"", NULL},
        {"{}", NULL},
        {"no GPU", NULL},
        {"", NULL},
    };
    check(FAMILY_AMD, samples, ARRAY_SIZE(samples));
}

static void test_too_many(void)
{
    struct buf b = BUF_INIT(GPU_LOAD_BYTES_MAX);
    struct hw_gpus g;
    struct error err = ERROR_INIT;
    for (unsigned i = 0; i <= HW_STATE_GPUS_MAX; i++)
        buf_printf(&b, "%u, 1 %%, 1 MiB, 2 MiB\n", i);
    CU_ASSERT_EQUAL(gpu_load_parse(FAMILY_NVIDIA, b.data, b.len, &g, &err), 0);
    CU_ASSERT_EQUAL(g.n, HW_STATE_GPUS_MAX);
    hw_gpus_release(&g);
    buf_release(&b);
}

TEST_MAIN("gpu_load", TEST(test_nvidia), TEST(test_amd), TEST(test_too_many))
