/*
 * hwloc without linking it: the library is opened when a worker starts, so `hq` itself
 * neither loads it nor needs it. Only functions of the table below are called; hwloc's
 * inline helpers would pull in symbols, object fields are plain data.
 */
#include "topo/discover.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <hwloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/path.h"

#define LIBRARY "libhwloc.so.15"
#define API_GENERATION 2u
/* Flags by the version that brought them, whatever the header at build time. */
#define API_2_5 0x20500u
#define API_2_8 0x20800u
#define FLAG_DONT_CHANGE_BINDING (1ul << 6)
#define FLAG_NO_DISTANCES (1ul << 7)
#define FLAG_NO_MEMATTRS (1ul << 8)
#define FLAG_NO_CPUKINDS (1ul << 9)
#define COMPONENTS_BLACKLIST 1ul
#define LOOK_SECONDS 20 /* at a file of somebody else */

#define PCI_VENDOR_NVIDIA 0x10de
#define PCI_VENDOR_AMD 0x1002
#define PCI_CLASS_DISPLAY 0x03
#define PCI_CLASS_ACCELERATOR 0x12

/* These start the vendors' libraries, which takes seconds and wakes the GPUs. */
static const char *const slow_components[] = {"cuda", "nvml",      "opencl",
                                              "gl",   "levelzero", "rsmi"};

struct hwloc_calls {
    unsigned (*get_api_version)(void);
    int (*topology_init)(hwloc_topology_t *);
    void (*topology_destroy)(hwloc_topology_t);
    int (*topology_set_flags)(hwloc_topology_t, unsigned long);
    int (*topology_set_type_filter)(hwloc_topology_t, hwloc_obj_type_t,
                                    enum hwloc_type_filter_e);
    int (*topology_set_synthetic)(hwloc_topology_t, const char *);
    int (*topology_set_xml)(hwloc_topology_t, const char *);
    int (*topology_load)(hwloc_topology_t);
    int (*get_type_depth)(hwloc_topology_t, hwloc_obj_type_t);
    hwloc_obj_t (*get_obj_by_depth)(hwloc_topology_t, int, unsigned);
    int (*bitmap_isset)(hwloc_const_bitmap_t, unsigned);
    int (*bitmap_weight)(hwloc_const_bitmap_t);
    int (*bitmap_isequal)(hwloc_const_bitmap_t, hwloc_const_bitmap_t);
    hwloc_bitmap_t (*bitmap_alloc)(void);
    void (*bitmap_free)(hwloc_bitmap_t);
    hwloc_const_bitmap_t (*get_allowed_cpuset)(hwloc_topology_t);
    hwloc_const_bitmap_t (*get_allowed_nodeset)(hwloc_topology_t);
    /* Of later versions; may be NULL. */
    int (*set_components)(hwloc_topology_t, unsigned long, const char *);
    int (*cpukinds_get_nr)(hwloc_topology_t, unsigned long);
    int (*cpukinds_get_info)(hwloc_topology_t, unsigned, hwloc_bitmap_t, int *,
                             unsigned *, void *, unsigned long);
};

static int open_library(void **library, struct hwloc_calls *calls, struct error *err)
{
    const struct {
        void *slot;
        const char *name;
        bool optional;
    } symbols[] = {
        {&calls->get_api_version, "hwloc_get_api_version", false},
        {&calls->topology_init, "hwloc_topology_init", false},
        {&calls->topology_destroy, "hwloc_topology_destroy", false},
        {&calls->topology_set_flags, "hwloc_topology_set_flags", false},
        {&calls->topology_set_type_filter, "hwloc_topology_set_type_filter", false},
        {&calls->topology_set_synthetic, "hwloc_topology_set_synthetic", false},
        {&calls->topology_set_xml, "hwloc_topology_set_xml", false},
        {&calls->topology_load, "hwloc_topology_load", false},
        {&calls->get_type_depth, "hwloc_get_type_depth", false},
        {&calls->get_obj_by_depth, "hwloc_get_obj_by_depth", false},
        {&calls->bitmap_isset, "hwloc_bitmap_isset", false},
        {&calls->bitmap_weight, "hwloc_bitmap_weight", false},
        {&calls->bitmap_isequal, "hwloc_bitmap_isequal", false},
        {&calls->bitmap_alloc, "hwloc_bitmap_alloc", false},
        {&calls->bitmap_free, "hwloc_bitmap_free", false},
        {&calls->get_allowed_cpuset, "hwloc_topology_get_allowed_cpuset", false},
        {&calls->get_allowed_nodeset, "hwloc_topology_get_allowed_nodeset", false},
        {&calls->set_components, "hwloc_topology_set_components", true},
        {&calls->cpukinds_get_nr, "hwloc_cpukinds_get_nr", true},
        {&calls->cpukinds_get_info, "hwloc_cpukinds_get_info", true},
    };
    *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!*library)
        return error_set(err, ERR_UNSUPPORTED, "%s is not there", LIBRARY);
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        void *address = dlsym(*library, symbols[i].name);
        if (!address && !symbols[i].optional)
            return error_set(err, ERR_UNSUPPORTED, "%s lacks '%s'", LIBRARY,
                             symbols[i].name);
        memcpy(symbols[i].slot, &address, sizeof address);
    }
    if (calls->get_api_version() >> 16 != API_GENERATION)
        return error_set(err, ERR_UNSUPPORTED, "%s is of another generation", LIBRARY);
    return 0;
}

static unsigned long load_flags(const struct hwloc_calls *calls, bool kinds)
{
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
    /* Else the thread is moved over all cores to ask each one. */
    if (calls->get_api_version() >= API_2_5)
        flags |= FLAG_DONT_CHANGE_BINDING;
    if (calls->get_api_version() >= API_2_8)
        flags |= FLAG_NO_DISTANCES | FLAG_NO_MEMATTRS | (kinds ? 0 : FLAG_NO_CPUKINDS);
    return flags;
}

static int load_file(const struct hwloc_calls *calls, hwloc_topology_t topology,
                     const char *path, struct error *err)
{
    struct buf text = BUF_INIT((size_t)64 << 20);
    int rc = path_read_file(path, &text, err);
    buf_release(&text);
    if (rc < 0)
        return rc;
    if (calls->topology_set_xml(topology, path) < 0)
        return error_set(err, ERR_PARSE,
                         "'%s' is not a topology as 'lstopo FILE.xml' saves it", path);
    return 0;
}

/* Where a device lies matters on machines of several nodes only. */
static bool wants_devices(const struct topo_source *source)
{
    struct buf text = BUF_INIT(4096);
    bool several = source->synthetic || source->xml || source->detailed;
    if (!several && sysfs_read(&text, NULL, "/sys/devices/system/node/online"))
        several = strpbrk(buf_cstr(&text), ",-") != NULL;
    buf_release(&text);
    return several;
}

/* The small caches only cost time. The other levels stay: a NUMA node whose parent is
 * left out would seem to hold all that its grandparent holds. */
static int load(const struct hwloc_calls *calls, hwloc_topology_t topology,
                const struct topo_source *source, struct error *err)
{
    static const hwloc_obj_type_t io[] = {HWLOC_OBJ_BRIDGE, HWLOC_OBJ_PCI_DEVICE,
                                          HWLOC_OBJ_OS_DEVICE};
    bool imagined = source->synthetic || source->xml;
    unsigned long flags = load_flags(calls, imagined || source->detailed);
    for (size_t i = 0;
         !imagined && calls->set_components && i < ARRAY_SIZE(slow_components); i++)
        (void)calls->set_components(topology, COMPONENTS_BLACKLIST, slow_components[i]);
    if (calls->topology_set_flags(topology, flags) < 0 ||
        calls->topology_set_type_filter(topology, HWLOC_OBJ_L1CACHE,
                                        HWLOC_TYPE_FILTER_KEEP_NONE) < 0 ||
        calls->topology_set_type_filter(topology, HWLOC_OBJ_L2CACHE,
                                        HWLOC_TYPE_FILTER_KEEP_NONE) < 0)
        return error_sys(err, "hwloc cannot be set up");
    for (size_t i = 0; i < ARRAY_SIZE(io) && wants_devices(source); i++)
        if (calls->topology_set_type_filter(topology, io[i],
                                            HWLOC_TYPE_FILTER_KEEP_IMPORTANT) < 0)
            return error_sys(err, "hwloc cannot be set up");
    if (source->synthetic &&
        calls->topology_set_synthetic(topology, source->synthetic) < 0)
        return error_set(err, ERR_PARSE, "no topology: '%s'", source->synthetic);
    int rc = source->xml ? load_file(calls, topology, source->xml, err) : 0;
    if (rc < 0)
        return rc;
    if (calls->topology_load(topology) < 0 && source->xml)
        return error_set(err, ERR_PARSE, "'%s' holds a broken topology", source->xml);
    if (calls->get_type_depth(topology, HWLOC_OBJ_PU) <= 0)
        return error_set(err, ERR_UNSUPPORTED, "hwloc cannot look at this machine");
    return 0;
}

/* Number of the node that holds the CPU and little else: with memory of several kinds,
 * or on nodes of their own without CPUs, several do. */
static uint32_t node_of(const struct hwloc_calls *calls, hwloc_topology_t topology,
                        unsigned id)
{
    hwloc_obj_t node, best = NULL;
    int least = 0;
    for (unsigned i = 0;
         (node = calls->get_obj_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE, i));
         i++) {
        if (!calls->bitmap_isset(node->cpuset, id))
            continue;
        int weight = calls->bitmap_weight(node->cpuset);
        if (!best || weight < least ||
            (weight == least && node->os_index < best->os_index)) {
            best = node;
            least = weight;
        }
    }
    return best ? best->os_index : 0;
}

static hwloc_obj_t ancestor(hwloc_obj_t o, hwloc_obj_type_t type)
{
    while (o && o->type != type)
        o = o->parent;
    return o;
}

static int read_pus(const struct hwloc_calls *calls, hwloc_topology_t topology,
                    struct finding *f, struct error *err)
{
    int depth = calls->get_type_depth(topology, HWLOC_OBJ_PU);
    hwloc_obj_t pu;
    for (unsigned i = 0; (pu = calls->get_obj_by_depth(topology, depth, i)); i++) {
        hwloc_obj_t core = ancestor(pu, HWLOC_OBJ_CORE);
        hwloc_obj_t package = ancestor(pu, HWLOC_OBJ_PACKAGE);
        hwloc_obj_t cache = ancestor(pu, HWLOC_OBJ_L3CACHE);
        struct topo_pu made = {
            .id = pu->os_index,
            .core = core ? core->logical_index : i,
            .domain = node_of(calls, topology, pu->os_index),
            .package = package ? package->logical_index : 0,
            .cache = cache ? cache->logical_index : UINT32_MAX,
        };
        if (finding_add(f, &made) < 0)
            return error_nomem(err);
    }
    if (f->n_pus == 0)
        return error_set(err, ERR_UNSUPPORTED, "hwloc finds no CPU");
    return 0;
}

/* Which of several kinds of cores each CPU is; kinds ascend by speed. */
static void read_kinds(const struct hwloc_calls *calls, hwloc_topology_t topology,
                       struct finding *f)
{
    int n = calls->cpukinds_get_nr && calls->cpukinds_get_info
                ? calls->cpukinds_get_nr(topology, 0)
                : 0;
    hwloc_bitmap_t cpus = n > 1 && n <= UINT8_MAX ? calls->bitmap_alloc() : NULL;
    for (int kind = 0; cpus && kind < n; kind++) {
        if (calls->cpukinds_get_info(topology, (unsigned)kind, cpus, NULL, NULL, NULL,
                                     0) < 0)
            continue;
        for (size_t i = 0; i < f->n_pus; i++)
            if (calls->bitmap_isset(cpus, f->pus[i].id))
                f->pus[i].kind = (uint8_t)kind;
        f->n_kinds = (uint8_t)n;
    }
    if (cpus)
        calls->bitmap_free(cpus);
}

/* What the description allows: a machine saved from inside a cgroup. */
static void read_allowed(const struct hwloc_calls *calls, hwloc_topology_t topology,
                         struct finding *f)
{
    hwloc_const_bitmap_t allowed = calls->get_allowed_cpuset(topology);
    cpu_set_clear(&f->allowed);
    for (size_t i = 0; i < f->n_pus; i++)
        if (!allowed || calls->bitmap_isset(allowed, f->pus[i].id))
            cpu_set_add(&f->allowed, f->pus[i].id);
}

static int read_nodes(const struct hwloc_calls *calls, hwloc_topology_t topology,
                      struct finding *f, struct error *err)
{
    hwloc_const_bitmap_t allowed = calls->get_allowed_nodeset(topology);
    hwloc_obj_t node;
    for (unsigned i = 0;
         (node = calls->get_obj_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE, i));
         i++) {
        bool ours = !allowed || calls->bitmap_isset(allowed, node->os_index);
        uint64_t bytes = node->attr->numanode.local_memory;
        f->memory_bytes += ours ? bytes : 0;
        if (finding_add_node(f, node->os_index, bytes, ours) < 0)
            return error_nomem(err);
    }
    return 0;
}

/* ---- devices -----------------------------------------------------------------------
 */

/* The NUMA node near a device: of those that its place touches the one with the fewest
 * CPUs around it; none when several lie side by side. */
static uint32_t node_near(const struct hwloc_calls *calls, hwloc_topology_t topology,
                          hwloc_obj_t device)
{
    hwloc_obj_t node, best = NULL;
    bool unclear = false;
    while (device && !device->nodeset)
        device = device->parent;
    for (unsigned i = 0;
         device &&
         (node = calls->get_obj_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE, i));
         i++) {
        if (!calls->bitmap_isset(device->nodeset, node->os_index))
            continue;
        int diff = best ? calls->bitmap_weight(node->cpuset) -
                              calls->bitmap_weight(best->cpuset)
                        : -1;
        unclear = diff < 0
                      ? false
                      : unclear || (diff == 0 &&
                                    !calls->bitmap_isequal(node->cpuset, best->cpuset));
        if (diff < 0)
            best = node;
    }
    return best && !unclear ? best->os_index : DOMAIN_NONE;
}

static void set_bus(struct topo_io *io, hwloc_obj_t device)
{
    hwloc_obj_t pci = ancestor(device, HWLOC_OBJ_PCI_DEVICE);
    if (!pci)
        return;
    const struct hwloc_pcidev_attr_s *at = &pci->attr->pcidev;
    (void)snprintf(io->bus, sizeof io->bus, "%04x:%02x:%02x.%x",
                   (unsigned)at->domain & 0xffff, (unsigned)at->bus & 0xff,
                   (unsigned)at->dev & 0xff, (unsigned)at->func & 0xf);
}

static bool is_gpu(hwloc_obj_t device, struct topo_io *io)
{
    const struct hwloc_pcidev_attr_s *at = &device->attr->pcidev;
    unsigned class = at->class_id >> 8;
    io->kind = at->vendor_id == PCI_VENDOR_NVIDIA ? IO_NVIDIA : IO_AMD;
    return (class == PCI_CLASS_DISPLAY || class == PCI_CLASS_ACCELERATOR) &&
           (at->vendor_id == PCI_VENDOR_NVIDIA || at->vendor_id == PCI_VENDOR_AMD);
}

/* A network card with hardware behind it. */
static bool is_network(hwloc_obj_t device, struct topo_io *io)
{
    hwloc_obj_osdev_type_t type = device->attr->osdev.type;
    io->kind = type == HWLOC_OBJ_OSDEV_NETWORK ? IO_NETWORK : IO_FABRIC;
    return (type == HWLOC_OBJ_OSDEV_NETWORK || type == HWLOC_OBJ_OSDEV_OPENFABRICS) &&
           device->name && ancestor(device, HWLOC_OBJ_PCI_DEVICE);
}

static int read_devices(const struct hwloc_calls *calls, hwloc_topology_t topology,
                        struct finding *f, struct error *err)
{
    static const int depths[] = {HWLOC_TYPE_DEPTH_PCI_DEVICE,
                                 HWLOC_TYPE_DEPTH_OS_DEVICE};
    hwloc_obj_t device;
    f->by_library = true;
    for (size_t d = 0; d < ARRAY_SIZE(depths); d++)
        for (unsigned i = 0; (device = calls->get_obj_by_depth(topology, depths[d], i));
             i++) {
            struct topo_io io = {.node = node_near(calls, topology, device)};
            if (!(d == 0 ? is_gpu(device, &io) : is_network(device, &io)))
                continue;
            set_bus(&io, device);
            if (d == 1)
                (void)snprintf(io.name, sizeof io.name, "%s", device->name);
            if (finding_add_io(f, &io) < 0)
                return error_nomem(err);
        }
    return 0;
}

static int look(const struct topo_source *source, struct finding *f, struct error *err)
{
    struct hwloc_calls calls;
    void *library = NULL;
    hwloc_topology_t topology = NULL;
    int rc = open_library(&library, &calls, err);
    if (rc < 0)
        goto out;
    if (calls.topology_init(&topology) < 0) {
        topology = NULL;
        rc = error_nomem(err);
        goto out;
    }
    rc = load(&calls, topology, source, err);
    if (rc == 0)
        rc = read_pus(&calls, topology, f, err);
    if (rc == 0)
        rc = read_nodes(&calls, topology, f, err);
    if (rc == 0)
        rc = read_devices(&calls, topology, f, err);
    if (rc == 0)
        read_kinds(&calls, topology, f);
    if (rc == 0)
        read_allowed(&calls, topology, f);
out:
    if (topology)
        calls.topology_destroy(topology);
    if (library)
        dlclose(library);
    return rc;
}

/*
 * The library trusts its files: one whose sets contradict each other ends the process.
 * A child looks at it first.
 */
static bool is_harmless(const struct topo_source *source)
{
    int status = 0, sink;
    pid_t pid = fork();
    if (pid == 0) {
        struct finding f = {0};
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)alarm(LOOK_SECONDS);
        sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(sink, STDERR_FILENO);
        int rc = look(source, &f, NULL);
        _exit(rc == ERR_UNSUPPORTED || rc == 0 ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int hwloc_find(const struct topo_source *source, struct finding *f, struct error *err)
{
    if (source->xml && access(source->xml, R_OK) == 0 && !is_harmless(source))
        return error_set(err, ERR_PARSE,
                         "'%s' is not a topology as 'lstopo FILE.xml' saves it",
                         source->xml);
    return look(source, f, err);
}
