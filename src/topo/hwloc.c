/*
 * hwloc without linking it: the library is opened when a worker starts, so `hq` itself
 * neither loads it nor needs it. Only functions of the table below are called; hwloc's
 * inline helpers would pull in symbols, object fields are plain data.
 */
#include "topo/discover.h"

#include <dlfcn.h>
#include <hwloc.h>
#include <string.h>

#define LIBRARY "libhwloc.so.15"
#define API_GENERATION 2u
/* Flags by the version that brought them, whatever the header at build time. */
#define API_2_5 0x20500u
#define API_2_8 0x20800u
#define FLAG_DONT_CHANGE_BINDING (1ul << 6)
#define FLAG_NO_DISTANCES (1ul << 7)
#define FLAG_NO_MEMATTRS (1ul << 8)
#define FLAG_NO_CPUKINDS (1ul << 9)

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
};

static int open_library(void **library, struct hwloc_calls *calls, struct error *err)
{
    const struct {
        void *slot;
        const char *name;
    } symbols[] = {
        {&calls->get_api_version, "hwloc_get_api_version"},
        {&calls->topology_init, "hwloc_topology_init"},
        {&calls->topology_destroy, "hwloc_topology_destroy"},
        {&calls->topology_set_flags, "hwloc_topology_set_flags"},
        {&calls->topology_set_type_filter, "hwloc_topology_set_type_filter"},
        {&calls->topology_set_synthetic, "hwloc_topology_set_synthetic"},
        {&calls->topology_set_xml, "hwloc_topology_set_xml"},
        {&calls->topology_load, "hwloc_topology_load"},
        {&calls->get_type_depth, "hwloc_get_type_depth"},
        {&calls->get_obj_by_depth, "hwloc_get_obj_by_depth"},
        {&calls->bitmap_isset, "hwloc_bitmap_isset"},
    };
    *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!*library)
        return error_set(err, ERR_UNSUPPORTED, "%s is not there", LIBRARY);
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        void *address = dlsym(*library, symbols[i].name);
        if (!address)
            return error_set(err, ERR_UNSUPPORTED, "%s lacks '%s'", LIBRARY,
                             symbols[i].name);
        memcpy(symbols[i].slot, &address, sizeof address);
    }
    if (calls->get_api_version() >> 16 != API_GENERATION)
        return error_set(err, ERR_UNSUPPORTED, "%s is of another generation", LIBRARY);
    return 0;
}

/* The small caches only cost time. The other levels stay: a NUMA node whose parent is
 * left out would seem to hold all that its grandparent holds. */
static int load(const struct hwloc_calls *calls, hwloc_topology_t topology,
                const struct topo_source *source, struct error *err)
{
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
    /* Else the thread is moved over all cores to ask each one. */
    if (calls->get_api_version() >= API_2_5)
        flags |= FLAG_DONT_CHANGE_BINDING;
    if (calls->get_api_version() >= API_2_8)
        flags |= FLAG_NO_DISTANCES | FLAG_NO_MEMATTRS | FLAG_NO_CPUKINDS;
    if (calls->topology_set_flags(topology, flags) < 0 ||
        calls->topology_set_type_filter(topology, HWLOC_OBJ_L1CACHE,
                                        HWLOC_TYPE_FILTER_KEEP_NONE) < 0 ||
        calls->topology_set_type_filter(topology, HWLOC_OBJ_L2CACHE,
                                        HWLOC_TYPE_FILTER_KEEP_NONE) < 0)
        return error_sys(err, "hwloc cannot be set up");
    if (source->synthetic &&
        calls->topology_set_synthetic(topology, source->synthetic) < 0)
        return error_set(err, ERR_PARSE, "no topology: '%s'", source->synthetic);
    if (source->xml && calls->topology_set_xml(topology, source->xml) < 0)
        return error_sys(err, "cannot read topology '%s'", source->xml);
    if (calls->topology_load(topology) < 0)
        return error_sys(err, "hwloc cannot look at this machine");
    return 0;
}

/* Number of the first node that holds the CPU; several may when a node is split by kind
 * of memory. */
static uint32_t node_of(const struct hwloc_calls *calls, hwloc_topology_t topology,
                        unsigned id)
{
    hwloc_obj_t node, best = NULL;
    for (unsigned i = 0;
         (node = calls->get_obj_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE, i)); i++)
        if (calls->bitmap_isset(node->cpuset, id) &&
            (!best || node->os_index < best->os_index))
            best = node;
    return best ? best->os_index : 0;
}

static int read_pus(const struct hwloc_calls *calls, hwloc_topology_t topology,
                    struct finding *f, struct error *err)
{
    int depth = calls->get_type_depth(topology, HWLOC_OBJ_PU);
    hwloc_obj_t pu, node;
    for (unsigned i = 0; (pu = calls->get_obj_by_depth(topology, depth, i)); i++) {
        hwloc_obj_t core = pu;
        while (core->parent && core->type != HWLOC_OBJ_CORE)
            core = core->parent;
        uint32_t number = core->type == HWLOC_OBJ_CORE ? core->logical_index : i;
        uint32_t n = node_of(calls, topology, pu->os_index);
        if (finding_add(f, pu->os_index, number, n) < 0)
            return error_nomem(err);
    }
    for (unsigned i = 0;
         (node = calls->get_obj_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE, i));
         i++) {
        f->memory_bytes += node->attr->numanode.local_memory;
        f->n_nodes++;
    }
    if (f->n_pus == 0)
        return error_set(err, ERR_UNSUPPORTED, "hwloc finds no CPU");
    return 0;
}

int hwloc_find(const struct topo_source *source, struct finding *f, struct error *err)
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
out:
    if (topology)
        calls.topology_destroy(topology);
    if (library)
        dlclose(library);
    return rc;
}
