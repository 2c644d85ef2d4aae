/* Discovery from hwloc descriptions and from directories that look like /sys. */
#include "fixture.h"

#include "topo/discover.h"

static void put_two_nodes(void)
{
    fixture_put("/sys/devices/system/node/possible", "0-3\n");
    fixture_put("/sys/devices/system/node/node0/cpulist", "0-3,8-11\n");
    fixture_put("/sys/devices/system/node/node1/cpulist", "4-7,12-15\n");
    fixture_put("/sys/devices/system/node/node2/cpulist", "\n"); /* memory only */
    fixture_put_siblings(8);                                     /* node3 is offline */
}

static void check(const struct topo_source *source, const char *mask, bool no_ht,
                  const char *given, const char *expected)
{
    struct topo *t = fixture_discover(*source, mask);
    const char *got = fixture_resources(t, DETECT_CPUS, no_ht, given);
    CU_ASSERT_STRING_EQUAL(got, expected);
    if (strcmp(got, expected) != 0)
        printf("\nmask %s: got %s\n", mask, got);
    CU_ASSERT_EQUAL(cpu_set_count(&t->mask), t->n_pus);
    topo_destroy(t);
}

static void check_two_nodes(const struct topo_source *s)
{
    check(s, "0-15", false, NULL, "cpus: [[0,1,2,3,8,9,10,11],[4,5,6,7,12,13,14,15]]");
    check(s, "0-15", true, NULL, "cpus: [[0,1,2,3],[4,5,6,7]]");
    check(s, "0-3", false, NULL, "cpus: [0,1,2,3]");
    check(s, "4-7,12-15", true, NULL, "cpus: [4,5,6,7]");
    check(s, "1,4,9,12", true, NULL, "cpus: [[1],[4]]");
    /* the second threads alone are allowed: they stand for their cores */
    check(s, "8-9,12", true, NULL, "cpus: [[8,9],[12]]");
    check(s, "0-15", true, "cpus=[[0,8],[4,1,12]]", "cpus: [[0],[4,1]]");
    check(s, "0-15", true, "cpus=range(7-9)", "cpus: range(7-9)");
    check(s, "0-15", true, "cpus=range(0-8)", "cpus: [0,1,2,3,4,5,6,7]");
    check(s, "0-15", true, "cpus=[100,101]", "cpus: [100,101]");
    check(s, "0-15", true, "cpus=[a,b]",
          "CPU 'a' is not a number, which --no-hyper-threading needs");
    check(s, "0-15", false, "cpus=[a,b]", "cpus: [a,b]");
}

static void test_sysfs(void)
{
    fixture_open();
    put_two_nodes();
    struct topo_source source = {.root = fixture_root};
    check_two_nodes(&source);
    struct topo *t = fixture_discover(source, "5,13");
    CU_ASSERT(!t->from_hwloc && !t->single_node && t->n_domains == 1 && t->n_pus == 2);
    CU_ASSERT_EQUAL(t->domains[0].node, 1);
    CU_ASSERT_EQUAL(t->pus[0].core, t->pus[1].core);
    CU_ASSERT_EQUAL(topo_find_pu(t, 13)->domain, 0);
    CU_ASSERT_PTR_NULL(topo_find_pu(t, 0));
    CU_ASSERT_EQUAL(topo_domain_of_node(t, 1), 0);
    CU_ASSERT_EQUAL(topo_domain_of_node(t, 0), DOMAIN_NONE);
    topo_destroy(t);
    fixture_close();
}

static void test_hwloc(void)
{
    /* Interleaved numbers as firmware gives them: the same machine as above. */
    struct topo_source source = {
        .synthetic =
            "node:2 core:4 pu:2(indexes=0,8,1,9,2,10,3,11,4,12,5,13,6,14,7,15)"};
    log_set_level(LOG_ERROR);
    check_two_nodes(&source);
    source.synthetic = "node:1 core:3 pu:1";
    check(&source, NULL, false, NULL, "cpus: [0,1,2]");
    struct topo *t = fixture_discover(source, NULL);
    CU_ASSERT(t->from_hwloc && t->single_node);
    topo_destroy(t);
    struct error err = ERROR_INIT;
    source.synthetic = "nonsense";
    CU_ASSERT_EQUAL(topo_discover(&t, &source, &err), ERR_PARSE);
}

static void test_broken_xml(void)
{
    static const struct {
        const char *text;
        int rc;
        const char *message;
    } cases[] = {
        {"", ERR_PARSE, "topology"},
        {"no xml at all", ERR_PARSE, "topology"},
        {"<?xml version=\"1.0\"?><html></html>", ERR_PARSE, "topology"},
        {"<topology version=\"2.0\">", ERR_PARSE, "topology"},
        {"<topology version=\"2.0\"><object type=\"Machine\" cpuset=\"0x1\"/>"
         "</topology>",
         ERR_PARSE, "topology"},
        {"<topology version=\"9.0\"></topology>", ERR_PARSE, "topology"},
    };
    char path[128];
    fixture_open();
    (void)snprintf(path, sizeof path, "%s/machine.xml", fixture_root);
    struct topo_source source = {.xml = path};
    struct topo *t = NULL;
    struct error missing = ERROR_INIT;
    CU_ASSERT(topo_discover(&t, &source, &missing) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(missing.text, "machine.xml"));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error err = ERROR_INIT;
        fixture_put("/machine.xml", cases[i].text);
        CU_ASSERT_EQUAL(topo_discover(&t, &source, &err), cases[i].rc);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].message));
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
        CU_ASSERT_PTR_NULL(t);
    }
    fixture_close();
}

static void test_hwloc_xml(void)
{
    static const char xml[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<topology version=\"2.0\">\n"
        "<object type=\"Machine\" os_index=\"0\" cpuset=\"0x3\" "
        "complete_cpuset=\"0x3\" "
        "allowed_cpuset=\"0x3\" nodeset=\"0x30\" complete_nodeset=\"0x30\" "
        "allowed_nodeset=\"0x30\" gp_index=\"1\">\n"
        "<object type=\"Package\" os_index=\"0\" cpuset=\"0x1\" "
        "complete_cpuset=\"0x1\" "
        "nodeset=\"0x10\" complete_nodeset=\"0x10\" gp_index=\"2\">\n"
        "<object type=\"NUMANode\" os_index=\"4\" cpuset=\"0x1\" "
        "complete_cpuset=\"0x1\" "
        "nodeset=\"0x10\" complete_nodeset=\"0x10\" gp_index=\"3\" "
        "local_memory=\"1048576\"/>\n"
        "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\" "
        "nodeset=\"0x10\" complete_nodeset=\"0x10\" gp_index=\"4\"/>\n"
        "</object>\n"
        "<object type=\"Package\" os_index=\"1\" cpuset=\"0x2\" "
        "complete_cpuset=\"0x2\" "
        "nodeset=\"0x20\" complete_nodeset=\"0x20\" gp_index=\"5\">\n"
        "<object type=\"NUMANode\" os_index=\"5\" cpuset=\"0x2\" "
        "complete_cpuset=\"0x2\" "
        "nodeset=\"0x20\" complete_nodeset=\"0x20\" gp_index=\"6\" "
        "local_memory=\"2097152\"/>\n"
        "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\" "
        "nodeset=\"0x20\" complete_nodeset=\"0x20\" gp_index=\"7\"/>\n"
        "</object>\n</object>\n</topology>\n";
    char path[128];
    fixture_open();
    fixture_put("/machine.xml", xml);
    (void)snprintf(path, sizeof path, "%s/machine.xml", fixture_root);
    struct topo_source source = {.xml = path, .detect = DETECT_MEM};
    struct topo *t = fixture_discover(source, NULL);
    CU_ASSERT_EQUAL(t->n_domains, 2);
    CU_ASSERT(t->domains[0].node == 4 && t->domains[1].node == 5);
    CU_ASSERT_EQUAL(t->memory_bytes, 3145728);
    CU_ASSERT_STRING_EQUAL(fixture_resources(t, DETECT_CPUS | DETECT_MEM, false, NULL),
                           "cpus: [[0],[1]]; mem: sum(3)");
    topo_destroy(t);
    fixture_close();
}

static void test_without_numa(void)
{
    fixture_open();
    struct topo_source source = {.root = fixture_root};
    fixture_put("/sys/devices/system/cpu/online", "0-3\n");
    check(&source, "0-1", false, NULL, "cpus: [0,1]");
    /* Nothing to read at all: the ids of the mask. */
    fixture_close();
    fixture_open();
    check(&source, "6-7", true, NULL, "cpus: [6,7]");
    fixture_close();
}

static void test_this_machine(void)
{
    struct topo *a, *b;
    struct topo_source source = {0}, sysfs = {.no_hwloc = true};
    log_set_level(LOG_ERROR);
    a = fixture_discover(source, NULL);
    b = fixture_discover(sysfs, NULL);
    CU_ASSERT_TRUE(cpu_set_equal(&a->mask, &b->mask));
    CU_ASSERT_EQUAL(a->n_domains, b->n_domains);
    topo_destroy(a);
    topo_destroy(b);
}

static const char *memory_of(struct topo_source source)
{
    source.detect = DETECT_MEM;
    source.root = fixture_root;
    struct topo *t = fixture_discover(source, "0");
    const char *text = fixture_resources(t, DETECT_MEM, false, "cpus=1x1");
    topo_destroy(t);
    return text;
}

static void test_memory(void)
{
    struct topo_source plain = {0}, slurm = {.slurm = true};
    fixture_open();
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]");
    fixture_put("/proc/meminfo", "MemTotal:       24682417 kB\nMemFree: 1 kB\n");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(24103.9228)");
    /* version 2: limits of the group and of what it lies in */
    fixture_put("/proc/self/cgroup", "0::/job/step\n");
    fixture_put("/sys/fs/cgroup/job/step/memory.max", "max\n");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(24103.9228)");
    fixture_put("/sys/fs/cgroup/job/memory.max", "1073741824\n");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(1024)");
    /* version 1 beside it */
    fixture_put("/proc/self/cgroup",
                "4:cpuset:/x\n3:hugetlb,memory:/a/b\n0::/job/step\n");
    fixture_put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "9223372036854771712\n");
    fixture_put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "536870912\n");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(512)");
    /* a cpuset with the memory of some nodes only */
    put_two_nodes();
    fixture_put("/sys/devices/system/node/node0/meminfo",
                "Node 0 MemTotal: 307200 kB\n");
    fixture_put("/sys/devices/system/node/node1/meminfo",
                "Node 1 MemTotal: 204800 kB\n");
    fixture_put("/sys/devices/system/node/node2/meminfo",
                "Node 2 MemTotal: 102400 kB\n");
    fixture_put("/proc/self/status", "Name:\tx\nMems_allowed_list:\t0-2\n");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(512)");
    fixture_put("/proc/self/status", "Name:\tx\nMems_allowed_list:\t1-2\nX:\t0\n");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(300)");
    fixture_put("/proc/self/status", "Name:\tx\n");
    /* Slurm's word, when it gives one */
    (void)setenv("SLURM_MEM_PER_NODE", "2000", 1);
    CU_ASSERT_STRING_EQUAL(memory_of(slurm), "cpus: [0]; mem: sum(2000)");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(512)");
    (void)setenv("SLURM_MEM_PER_NODE", "0", 1);
    CU_ASSERT_STRING_EQUAL(memory_of(slurm), "cpus: [0]; mem: sum(512)");
    (void)setenv("SLURM_MEM_PER_NODE", "lots", 1);
    CU_ASSERT_STRING_EQUAL(memory_of(slurm), "cpus: [0]; mem: sum(512)");
    (void)unsetenv("SLURM_MEM_PER_NODE");
    (void)setenv("SLURM_MEM_PER_CPU", "100", 1);
    CU_ASSERT_STRING_EQUAL(memory_of(slurm), "cpus: [0]; mem: sum(512)");
    (void)setenv("SLURM_CPUS_ON_NODE", "3", 1);
    CU_ASSERT_STRING_EQUAL(memory_of(slurm), "cpus: [0]; mem: sum(300)");
    CU_ASSERT_STRING_EQUAL(memory_of(plain), "cpus: [0]; mem: sum(512)");
    (void)unsetenv("SLURM_MEM_PER_CPU");
    (void)unsetenv("SLURM_CPUS_ON_NODE");
    fixture_close();
}

static void test_cpu_time(void)
{
    static const struct {
        const char *group, *file, *text;
        uint64_t expected;
    } cases[] = {
        {"0::/a/b\n", "/sys/fs/cgroup/a/cpu.max", "250000 100000\n", 2500},
        {"0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n", 2500},
        {"0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n", 500},
        {"0::/c\n", "/sys/fs/cgroup/c/cpu.max", "nonsense\n", UINT64_MAX},
        {"3:cpu,cpuacct:/v1\n", "/sys/fs/cgroup/cpu/v1/cpu.cfs_period_us", "100000\n",
         UINT64_MAX},
        {"3:cpu,cpuacct:/v1\n", "/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "-1\n",
         UINT64_MAX},
        {"3:cpu,cpuacct:/v1\n", "/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "300000\n",
         3000},
        {"3:cpuacct:/v1\n", "/x", "", UINT64_MAX},
    };
    fixture_open();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct topo_source source = {.root = fixture_root};
        fixture_put("/proc/self/cgroup", cases[i].group);
        fixture_put(cases[i].file, cases[i].text);
        struct topo *t = fixture_discover(source, "0-3");
        CU_ASSERT_EQUAL(t->cpu_time, cases[i].expected);
        topo_destroy(t);
    }
    fixture_close();
}

static const char *gpus_of(const char *cuda, const char *rocr)
{
    struct topo_source source = {.root = fixture_root, .detect = DETECT_ALL};
    (void)(cuda ? setenv("CUDA_VISIBLE_DEVICES", cuda, 1)
                : unsetenv("CUDA_VISIBLE_DEVICES"));
    (void)(rocr ? setenv("ROCR_VISIBLE_DEVICES", rocr, 1)
                : unsetenv("ROCR_VISIBLE_DEVICES"));
    struct topo *t = fixture_discover(source, "0");
    const char *text =
        fixture_resources(t, DETECT_NVIDIA | DETECT_AMD, false, "cpus=1x1");
    topo_destroy(t);
    return text + strlen("cpus: [0]");
}

static void test_gpu_variables(void)
{
    fixture_open();
    CU_ASSERT_STRING_EQUAL(gpus_of(NULL, NULL), "");
    CU_ASSERT_STRING_EQUAL(gpus_of("0,3", NULL), "; gpus/nvidia: [0,3]");
    CU_ASSERT_STRING_EQUAL(gpus_of("GPU-aa,GPU-bb", "1"),
                           "; gpus/nvidia: [GPU-aa,GPU-bb]; gpus/amd: [1]");
    CU_ASSERT_STRING_EQUAL(gpus_of("1,1", NULL), "");
    CU_ASSERT_STRING_EQUAL(gpus_of("NoDevFiles", "-1"), "");
    CU_ASSERT_STRING_EQUAL(gpus_of("2,-1,3", NULL), "; gpus/nvidia: [2]");
    CU_ASSERT_STRING_EQUAL(gpus_of("-12", NULL), "; gpus/nvidia: [-12]");
    CU_ASSERT_STRING_EQUAL(gpus_of("0, 1", NULL), "; gpus/nvidia: [0, 1]");
    CU_ASSERT_STRING_EQUAL(gpus_of("0,,1", NULL), "");
    fixture_put("/proc/driver/nvidia/gpus/0000:3b:00.0/information", "Model: X\n");
    fixture_put("/proc/driver/nvidia/gpus/0000:86:00.0/information", "Model: X\n");
    CU_ASSERT_STRING_EQUAL(gpus_of(NULL, NULL), "; gpus/nvidia: range(0-1)");
    CU_ASSERT_STRING_EQUAL(gpus_of(NULL, "5"),
                           "; gpus/nvidia: range(0-1); gpus/amd: [5]");
    CU_ASSERT_STRING_EQUAL(gpus_of("1", NULL), "; gpus/nvidia: [1]");
    CU_ASSERT_STRING_EQUAL(gpus_of("", NULL), "");
    /* Slurm's word in a job without GPUs; the driver knows two, they are not ours. */
    CU_ASSERT_STRING_EQUAL(gpus_of("NoDevFiles", NULL), "");
    CU_ASSERT_STRING_EQUAL(gpus_of("-1", NULL), "");
    fixture_close();
}

static void test_gpu_domains(void)
{
    fixture_open();
    put_two_nodes();
    fixture_put("/proc/driver/nvidia/gpus/0000:86:00.0/information",
                "Model: X\nGPU UUID:        GPU-1111-aaaa\nDevice Minor: 0\n");
    fixture_put("/proc/driver/nvidia/gpus/0000:3B:00.0/information",
                "Model: X\nGPU UUID:        GPU-2222-bbbb\nDevice Minor: 1\n");
    fixture_put("/sys/bus/pci/devices/0000:3b:00.0/numa_node", "0\n");
    fixture_put("/sys/bus/pci/devices/0000:86:00.0/numa_node", "1\n");
    fixture_put("/sys/class/kfd/kfd/topology/nodes/0/properties",
                "cpu_cores_count 16\nsimd_count 0\n");
    fixture_put("/sys/class/kfd/kfd/topology/nodes/1/properties",
                "simd_count 440\nlocation_id 49408\ndomain 0\n");
    fixture_put("/sys/bus/pci/devices/0000:c1:00.0/numa_node", "1\n");
    (void)setenv("CUDA_VISIBLE_DEVICES", "1,0,GPU-1111", 1);
    (void)setenv("ROCR_VISIBLE_DEVICES", "0", 1);
    struct topo_source source = {.root = fixture_root, .detect = DETECT_ALL};
    struct topo *t = fixture_discover(source, "0-15");
    const struct topo_device *n = t->families[FAMILY_NVIDIA].devices;
    const struct topo_device *a = t->families[FAMILY_AMD].devices;
    CU_ASSERT_EQUAL_FATAL(t->families[FAMILY_NVIDIA].n, 3);
    CU_ASSERT(n[0].domain == 1 && n[1].domain == 0 && n[2].domain == 1);
    CU_ASSERT_EQUAL_FATAL(t->families[FAMILY_AMD].n, 1);
    CU_ASSERT_EQUAL(a[0].domain, 1);
    topo_destroy(t);
    /* Nobody named AMD's: all that the driver shows us. */
    (void)unsetenv("ROCR_VISIBLE_DEVICES");
    t = fixture_discover(source, "0-15");
    CU_ASSERT_STRING_EQUAL(fixture_resources(t, DETECT_AMD, false, "cpus=1x1"),
                           "cpus: [0]; gpus/amd: [0]");
    topo_destroy(t);
    fixture_close();
}

/* Network cards and packages from /sys, and pools of devices by name. */
static void test_network_cards(void)
{
    fixture_open();
    put_two_nodes();
    fixture_put("/sys/class/net/ib0/device/numa_node", "1\n");
    fixture_put("/sys/class/net/eth0/device/numa_node", "-1\n");
    fixture_put("/sys/class/net/lo/mtu", "65536\n"); /* no hardware */
    fixture_put("/sys/class/infiniband/mlx5_0/device/numa_node", "1\n");
    fixture_put("/sys/devices/system/cpu/cpu4/topology/physical_package_id", "1\n");
    fixture_put("/sys/devices/system/node/node2/meminfo",
                "Node 2 MemTotal:       1024 kB\nNode 2 MemFree: 1 kB\n");
    struct topo_source source = {.root = fixture_root};
    struct topo *t = fixture_discover(source, "0-15");
    CU_ASSERT_EQUAL_FATAL(t->n_ios, 3);
    CU_ASSERT_STRING_EQUAL(t->ios[0].name, "eth0");
    CU_ASSERT(t->ios[0].kind == IO_NETWORK && t->ios[0].node == DOMAIN_NONE);
    CU_ASSERT_STRING_EQUAL(t->ios[1].name, "ib0");
    CU_ASSERT(t->ios[2].kind == IO_FABRIC && t->ios[2].node == 1);
    CU_ASSERT(topo_find_pu(t, 4)->package == 1 && topo_find_pu(t, 0)->package == 0);
    CU_ASSERT(t->n_nodes == 3 && t->nodes[2].memory_bytes == 1048576);

    struct pool_set set = POOL_SET_INIT;
    struct pool p = POOL_INIT;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(pool_parse("nics=[eth0,mlx5_0,ib0,ib1]", &p, &err), 0);
    CU_ASSERT_EQUAL_FATAL(pool_set_add(&set, &p, &err), 0);
    CU_ASSERT_EQUAL_FATAL(pool_parse("cpus=[[0,9],[13,99]]", &p, &err), 0);
    CU_ASSERT_EQUAL_FATAL(pool_set_add(&set, &p, &err), 0);
    CU_ASSERT_EQUAL_FATAL(topo_locate(t, &set, &err), 0);
    const uint16_t *nics = set.pools[0].nodes, *cpus = set.pools[1].nodes;
    CU_ASSERT_FATAL(nics && cpus);
    CU_ASSERT(nics[0] == NODE_NONE && nics[1] == 1 && nics[2] == 1 &&
              nics[3] == NODE_NONE);
    CU_ASSERT(cpus[0] == 0 && cpus[1] == 0 && cpus[2] == 1 && cpus[3] == NODE_NONE);
    pool_set_release(&set);
    topo_destroy(t);
    fixture_close();
}

static void test_gpus_that_do_not_exist(void)
{
    static const struct {
        const char *variable, *value, *message;
    } cases[] = {
        {"CUDA_VISIBLE_DEVICES", "1,2",
         "CUDA_VISIBLE_DEVICES names device '2', but this machine has 2 NVIDIA GPUs"},
        {"CUDA_VISIBLE_DEVICES", "GPU-3",
         "CUDA_VISIBLE_DEVICES names device 'GPU-3', but this machine has 2 NVIDIA "
         "GPUs"},
        {"ROCR_VISIBLE_DEVICES", "1",
         "ROCR_VISIBLE_DEVICES names device '1', but this machine has 1 AMD GPU"},
        {"CUDA_VISIBLE_DEVICES", "NoDevFiles", NULL},
        {"CUDA_VISIBLE_DEVICES", "MIG-1,0", NULL},
    };
    struct cpu_set mask;
    fixture_open();
    put_two_nodes();
    fixture_put("/proc/driver/nvidia/gpus/0000:86:00.0/information",
                "GPU UUID:        GPU-1111-aaaa\n");
    fixture_put("/proc/driver/nvidia/gpus/0000:3b:00.0/information",
                "GPU UUID:        GPU-2222-bbbb\n");
    fixture_put("/sys/class/kfd/kfd/topology/nodes/1/properties",
                "simd_count 440\nlocation_id 49408\ndomain 0\n");
    CU_ASSERT_TRUE(cpu_set_parse(&mask, "0-3"));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct topo_source source = {
            .root = fixture_root, .detect = DETECT_ALL, .mask = &mask};
        struct error err = ERROR_INIT;
        struct topo *t = NULL;
        (void)setenv(cases[i].variable, cases[i].value, 1);
        int rc = topo_discover(&t, &source, &err);
        CU_ASSERT_EQUAL(rc, cases[i].message ? ERR_NOT_FOUND : 0);
        CU_ASSERT_STRING_EQUAL(err.text, cases[i].message ? cases[i].message : "");
        topo_destroy(t);
        (void)unsetenv(cases[i].variable);
    }
    fixture_close();
}

/* Of resources that the command line gives. */
static void test_given_gpus_that_do_not_exist(void)
{
    static const struct {
        const char *given, *result;
    } cases[] = {
        {"gpus/nvidia=[0,1]", "gpus/nvidia: [0,1]"},
        {"gpus/nvidia=[[1],[GPU-1111]]", "gpus/nvidia: [[1],[GPU-1111]]"},
        {"gpus/nvidia=[0,7]", "Resource gpus/nvidia names device '7', but this machine "
                              "has 2 NVIDIA GPUs"},
        {"gpus/nvidia=range(1-4294967295)", "Resource gpus/nvidia names device '2', "
                                            "but this machine has 2 NVIDIA GPUs"},
        {"gpus/nvidia=[GPU-33]", "Resource gpus/nvidia names device 'GPU-33', but this "
                                 "machine has 2 NVIDIA GPUs"},
        /* names that no driver gives, amounts, GPUs of a kind that nobody knows here */
        {"gpus/nvidia=[a,b]", "gpus/nvidia: [a,b]"},
        {"gpus/nvidia=sum(9)", "gpus/nvidia: sum(9)"},
        {"gpus/amd=[0,9]", "gpus/amd: [0,9]"},
        {"slots=[9]", "slots: [9]"},
    };
    fixture_open();
    put_two_nodes();
    fixture_put("/proc/driver/nvidia/gpus/0000:86:00.0/information",
                "GPU UUID:        GPU-1111-aaaa\n");
    fixture_put("/proc/driver/nvidia/gpus/0000:3b:00.0/information",
                "GPU UUID:        GPU-2222-bbbb\n");
    struct topo_source source = {.root = fixture_root};
    struct topo *t = fixture_discover(source, "0");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char expected[256];
        (void)snprintf(expected, sizeof expected, "%s%s", cases[i].result,
                       strncmp(cases[i].result, "Res", 3) == 0 ? "" : "; cpus: [0]");
        CU_ASSERT_STRING_EQUAL(fixture_resources(t, DETECT_CPUS, false, cases[i].given),
                               expected);
    }
    topo_destroy(t);
    fixture_close();
}

static void test_detect_words(void)
{
    static const struct {
        const char *text;
        int rc;
        unsigned detect;
        const char *message;
    } cases[] = {
        {"all", 0, DETECT_ALL, ""},
        {"none", 0, DETECT_NONE, ""},
        {"cpus", 0, DETECT_CPUS, ""},
        {"mem,gpus/amd,gpus/nvidia", 0, DETECT_MEM | DETECT_AMD | DETECT_NVIDIA, ""},
        {"cpus,all", ERR_PARSE, 99, "invalid variant: all"},
        {"none,cpus", ERR_PARSE, 99, "invalid variant: none"},
        {"cpus, mem", ERR_PARSE, 99, "invalid variant:  mem"},
        {"gpu", ERR_PARSE, 99, "invalid variant: gpu"},
        {"", ERR_PARSE, 99, "invalid variant: "},
        {"cpus,", ERR_PARSE, 99, "invalid variant: "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned detect = 99;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(topo_detect_parse(cases[i].text, &detect, &err), cases[i].rc);
        CU_ASSERT_EQUAL(detect, cases[i].detect);
        CU_ASSERT_STRING_EQUAL(err.text, cases[i].message);
    }
    struct topo_source source = {.synthetic = "node:1 core:1 pu:1"};
    struct topo *t = fixture_discover(source, NULL);
    CU_ASSERT_STRING_EQUAL(
        fixture_resources(t, DETECT_MEM, false, "mem=sum(7)"),
        "You have to specify --cpus explicitly when opting out of CPU "
        "automatic detection");
    CU_ASSERT_STRING_EQUAL(fixture_resources(t, DETECT_CPUS, false, "mem=sum(7)"),
                           "mem: sum(7); cpus: [0]");
    topo_destroy(t);
}

TEST_MAIN("topo", TEST(test_sysfs), TEST(test_hwloc), TEST(test_hwloc_xml),
          TEST(test_broken_xml), TEST(test_without_numa), TEST(test_this_machine),
          TEST(test_memory), TEST(test_cpu_time), TEST(test_gpu_variables),
          TEST(test_gpu_domains), TEST(test_gpus_that_do_not_exist),
          TEST(test_given_gpus_that_do_not_exist), TEST(test_network_cards),
          TEST(test_detect_words))
