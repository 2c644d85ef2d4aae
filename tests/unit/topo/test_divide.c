/* Shares of the ranks of one node. */
#include "fixture.h"

static const char *share_of(const char *machine, const char *mask, uint32_t rank,
                            struct topo_division d)
{
    static struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    struct topo_source source = {.synthetic = machine};
    struct error err = ERROR_INIT;
    struct topo *t = fixture_discover(source, mask);
    d.local_rank = rank;
    CU_ASSERT_EQUAL(topo_divide(t, &d, &err), 0);
    const char *text = fixture_resources(t, DETECT_CPUS, false, NULL);
    buf_clear(&out);
    buf_puts(&out, text + strlen("cpus: "));
    for (size_t i = 0; i < t->n_pus; i++)
        CU_ASSERT_TRUE(cpu_set_has(&t->domains[t->pus[i].domain].cpus, t->pus[i].id));
    CU_ASSERT_EQUAL(cpu_set_count(&t->mask), t->n_pus);
    topo_destroy(t);
    return buf_cstr(&out);
}

static void test_cpus(void)
{
    static const struct {
        const char *machine, *mask;
        struct topo_division d;
        const char *shares[4];
    } cases[] = {
        /* domains first */
        {"node:2 core:4 pu:1", NULL, {.local_size = 2}, {"[0,1,2,3]", "[4,5,6,7]"}},
        {"node:4 core:2 pu:1",
         NULL,
         {.local_size = 2},
         {"[[0,1],[2,3]]", "[[4,5],[6,7]]"}},
        {"node:4 core:1 pu:1", NULL, {.local_size = 3}, {"[0]", "[[1],[2]]", "[3]"}},
        {"node:2 core:4 pu:1", NULL, {.local_size = 1}, {"[[0,1,2,3],[4,5,6,7]]"}},
        /* then cores with all their threads */
        {"node:1 core:4 pu:2", NULL, {.local_size = 2}, {"[0,1,2,3]", "[4,5,6,7]"}},
        {"node:2 core:2 pu:2",
         NULL,
         {.local_size = 4},
         {"[0,1]", "[2,3]", "[4,5]", "[6,7]"}},
        {"node:1 core:3 pu:1", NULL, {.local_size = 2}, {"[0]", "[1,2]"}},
        /* a domain with more CPUs gets more ranks */
        {"node:2 core:6 pu:1",
         "0-5,6-7",
         {.local_size = 4},
         {"[0,1]", "[2,3]", "[4,5]", "[6,7]"}},
        /* domains of different sizes stay whole */
        {"node:2 core:4 pu:1", "0-2,4-7", {.local_size = 2}, {"[0,1,2]", "[4,5,6,7]"}},
        /* then threads */
        {"node:1 core:1 pu:2", NULL, {.local_size = 2}, {"[0]", "[1]"}},
        /* then they are shared */
        {"node:1 core:2 pu:1", NULL, {.local_size = 4}, {"[0]", "[1]", "[0]", "[1]"}},
        /* the launcher bound each rank already */
        {"node:1 core:8 pu:1",
         "2-3",
         {.local_size = 4, .job_cpus = 8},
         {"[2,3]", "[2,3]", "[2,3]", "[2,3]"}},
        /* it did not: all CPUs of the job are in the mask */
        {"node:1 core:8 pu:1",
         "0-3",
         {.local_size = 2, .job_cpus = 4},
         {"[0,1]", "[2,3]"}},
    };
    log_set_level(LOG_ERROR);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (uint32_t rank = 0; rank < cases[i].d.local_size; rank++) {
            const char *got =
                share_of(cases[i].machine, cases[i].mask, rank, cases[i].d);
            CU_ASSERT_STRING_EQUAL(got, cases[i].shares[rank]);
            if (strcmp(got, cases[i].shares[rank]) != 0)
                printf("\n%s rank %u: got %s\n", cases[i].machine, rank, got);
        }
    }
}

/* Every CPU goes to exactly one rank while there are enough. */
static void test_complete(void)
{
    static const char *const masks[] = {"0-31", "0-4,8-31", "3,9-10,17,30", "0-7,24"};
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 7, 32};
    for (size_t m = 0; m < ARRAY_SIZE(masks); m++) {
        struct cpu_set mask;
        CU_ASSERT_TRUE_FATAL(cpu_set_parse(&mask, masks[m]));
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            uint32_t size = MIN(sizes[i], cpu_set_count(&mask));
            struct cpu_set all;
            uint32_t sum = 0;
            cpu_set_clear(&all);
            for (uint32_t rank = 0; rank < size; rank++) {
                struct topo_source source = {.synthetic = "node:4 core:4 pu:2"};
                struct topo_division d = {.local_rank = rank, .local_size = size};
                struct error err = ERROR_INIT;
                struct topo *t = fixture_discover(source, masks[m]);
                CU_ASSERT_EQUAL(topo_divide(t, &d, &err), 0);
                CU_ASSERT(t->n_pus > 0);
                sum += (uint32_t)t->n_pus;
                cpu_set_unite(&all, &t->mask);
                topo_destroy(t);
            }
            CU_ASSERT_TRUE(cpu_set_equal(&all, &mask));
            CU_ASSERT_EQUAL(sum, cpu_set_count(&mask));
        }
    }
}

static void put_node(unsigned gpus)
{
    fixture_put("/sys/devices/system/node/possible", "0-1\n");
    fixture_put("/sys/devices/system/node/node0/cpulist", "0-3\n");
    fixture_put("/sys/devices/system/node/node1/cpulist", "4-7\n");
    fixture_put("/proc/meminfo", "MemTotal: 8192 kB\n");
    for (unsigned i = 0; i < gpus; i++) {
        char name[128];
        (void)snprintf(name, sizeof name,
                       "/proc/driver/nvidia/gpus/0000:%02x:00.0/information", 0x10 + i);
        fixture_put(name, "Model: X\n");
        (void)snprintf(name, sizeof name,
                       "/sys/bus/pci/devices/0000:%02x:00.0/numa_node", 0x10 + i);
        /* the first half lies near node 1 */
        fixture_put(name, i < gpus / 2 ? "1\n" : "0\n");
    }
}

static const char *devices_of(uint32_t rank, uint32_t size, uint32_t job_gpus)
{
    struct topo_source source = {.root = fixture_root, .detect = DETECT_ALL};
    struct topo_division d = {
        .local_rank = rank, .local_size = size, .job_gpus = job_gpus};
    struct error err = ERROR_INIT;
    struct topo *t = fixture_discover(source, "0-7");
    CU_ASSERT_EQUAL(topo_divide(t, &d, &err), 0);
    const char *text =
        fixture_resources(t, DETECT_NVIDIA | DETECT_MEM, false, "cpus=1x1");
    topo_destroy(t);
    return text + strlen("cpus: [0]");
}

static void test_devices_and_memory(void)
{
    fixture_open();
    put_node(4);
    CU_ASSERT_STRING_EQUAL(devices_of(0, 1, 0),
                           "; gpus/nvidia: range(0-3); mem: sum(8)");
    CU_ASSERT_STRING_EQUAL(devices_of(0, 2, 0), "; gpus/nvidia: [2,3]; mem: sum(4)");
    CU_ASSERT_STRING_EQUAL(devices_of(1, 2, 0),
                           "; gpus/nvidia: range(0-1); mem: sum(4)");
    CU_ASSERT_STRING_EQUAL(devices_of(0, 4, 0), "; gpus/nvidia: [2]; mem: sum(2)");
    CU_ASSERT_STRING_EQUAL(devices_of(1, 4, 0), "; gpus/nvidia: [3]; mem: sum(2)");
    CU_ASSERT_STRING_EQUAL(devices_of(2, 4, 0), "; gpus/nvidia: [0]; mem: sum(2)");
    CU_ASSERT_STRING_EQUAL(devices_of(3, 4, 0), "; gpus/nvidia: [1]; mem: sum(2)");
    CU_ASSERT_STRING_EQUAL(devices_of(1, 8, 0), "; mem: sum(1)");
    CU_ASSERT_STRING_EQUAL(devices_of(2, 8, 0), "; gpus/nvidia: [3]; mem: sum(1)");
    /* each rank sees its own four of eight */
    CU_ASSERT_STRING_EQUAL(devices_of(1, 2, 8),
                           "; gpus/nvidia: range(0-3); mem: sum(4)");
    fixture_close();
}

static void test_refused(void)
{
    struct topo_source source = {.synthetic = "node:1 core:2 pu:1"};
    struct topo_division d = {.local_rank = 2, .local_size = 2};
    struct error err = ERROR_INIT;
    struct topo *t = fixture_discover(source, NULL);
    CU_ASSERT_EQUAL(topo_divide(t, &d, &err), ERR_INVALID);
    CU_ASSERT_EQUAL(t->n_pus, 2);
    topo_destroy(t);
    (void)setenv("SLURM_CPUS_ON_NODE", "12", 1);
    (void)setenv("SLURM_GPUS_ON_NODE", "x", 1);
    topo_division_read(&d);
    CU_ASSERT(d.job_cpus == 12 && d.job_gpus == 0);
}

TEST_MAIN("divide", TEST(test_cpus), TEST(test_complete), TEST(test_devices_and_memory),
          TEST(test_refused))
