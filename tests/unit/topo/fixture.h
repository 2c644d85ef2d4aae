/* A directory that stands for the root of a machine: files below /sys and /proc. */
#ifndef HQ_TEST_TOPO_FIXTURE_H
#define HQ_TEST_TOPO_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/path.h"
#include "topo/topo.h"
#include "test_main.h"

static char fixture_root[64];

static UNUSED void fixture_open(void)
{
    (void)snprintf(fixture_root, sizeof fixture_root, "/tmp/hq-topo-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fixture_root));
    log_set_level(LOG_ERROR);
    static const char *const variables[] = {
        "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SLURM_MEM_PER_NODE",
        "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"};
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        (void)unsetenv(variables[i]);
}

static UNUSED void fixture_close(void)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(path_remove_tree(fixture_root, &err), 0);
}

static UNUSED void fixture_put(const char *name, const char *text)
{
    struct error err = ERROR_INIT;
    char path[512];
    (void)snprintf(path, sizeof path, "%s%s", fixture_root, name);
    CU_ASSERT_EQUAL_FATAL(path_mkparents(path, 0700, &err), 0);
    (void)remove(path);
    CU_ASSERT_EQUAL_FATAL(path_write_new(path, text, strlen(text), 0600, &err), 0);
}

/* Two threads a core: cpu c and c + n are siblings. */
static UNUSED void fixture_put_siblings(unsigned n)
{
    for (unsigned cpu = 0; cpu < 2 * n; cpu++) {
        char name[128], text[32];
        (void)snprintf(name, sizeof name,
                       "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                       cpu);
        (void)snprintf(text, sizeof text, "%u,%u\n", cpu % n, cpu % n + n);
        fixture_put(name, text);
    }
}

/* Discovers with a mask in list syntax, or NULL for all that is described. */
static UNUSED struct topo *fixture_discover(struct topo_source source, const char *mask)
{
    struct topo *t = NULL;
    struct error err = ERROR_INIT;
    struct cpu_set cpus;
    if (mask) {
        CU_ASSERT_TRUE_FATAL(cpu_set_parse(&cpus, mask));
        source.mask = &cpus;
    }
    int rc = topo_discover(&t, &source, &err);
    if (rc < 0)
        printf("\n%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
    return t;
}

/* "cpus: [0,1]; mem: sum(5)" of what topo_resources makes; or the error. */
static UNUSED const char *fixture_resources(const struct topo *t, unsigned detect,
                                            bool no_ht, const char *given)
{
    static struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    struct pool_set set = POOL_SET_INIT;
    struct error err = ERROR_INIT;
    buf_clear(&out);
    if (given) {
        struct pool p = POOL_INIT;
        CU_ASSERT_EQUAL_FATAL(pool_parse(given, &p, &err), 0);
        CU_ASSERT_EQUAL_FATAL(pool_set_add(&set, &p, &err), 0);
    }
    int rc = topo_resources(t, detect, no_ht, &set, &err);
    for (size_t i = 0; i < set.n_pools && rc == 0; i++) {
        buf_printf(&out, "%s%s: ", i ? "; " : "", set.pools[i].name);
        pool_print_full(&set.pools[i], &out);
    }
    if (rc < 0)
        buf_puts(&out, err.text);
    CU_ASSERT(rc < 0 || pool_set_finish(&set, &err) == 0);
    pool_set_release(&set);
    return buf_cstr(&out);
}

#endif
