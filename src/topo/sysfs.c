/* CPUs and NUMA nodes as Linux shows them in /sys. */
#include "topo/discover.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/path.h"

#define FILE_MAX ((size_t)1 << 20)

void finding_release(struct finding *f)
{
    free(f->pus);
    free(f->nodes);
    free(f->ios);
    memset(f, 0, sizeof *f);
}

int finding_add(struct finding *f, const struct topo_pu *pu)
{
    if (pu->id >= CPU_SET_MAX)
        return 0;
    if (f->n_pus == f->cap_pus) {
        size_t cap = f->cap_pus ? f->cap_pus * 2 : 64;
        struct topo_pu *grown = realloc(f->pus, cap * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        f->pus = grown;
        f->cap_pus = cap;
    }
    f->pus[f->n_pus++] = *pu;
    return 0;
}

int finding_add_node(struct finding *f, uint32_t node, uint64_t bytes, bool allowed)
{
    if (node >= NODES_MAX)
        return 0;
    struct topo_node *grown = realloc(f->nodes, (f->n_nodes + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    f->nodes = grown;
    f->nodes[f->n_nodes++] = (struct topo_node){node, bytes, allowed};
    return 0;
}

int finding_add_io(struct finding *f, const struct topo_io *io)
{
    struct topo_io *grown = realloc(f->ios, (f->n_ios + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    f->ios = grown;
    f->ios[f->n_ios++] = *io;
    return 0;
}

bool sysfs_read(struct buf *out, const char *root, const char *fmt, ...)
{
    struct buf path = BUF_INIT(8192);
    va_list args;
    buf_clear(out);
    buf_puts(&path, root ? root : "");
    va_start(args, fmt);
    buf_vprintf(&path, fmt, args);
    va_end(args);
    bool ok = !path.failed && path_read_file(buf_cstr(&path), out, NULL) == 0;
    buf_release(&path);
    return ok;
}

/* The lowest hardware thread of the core, as its number. */
static uint32_t core_of(const char *root, uint32_t id, struct buf *text)
{
    struct cpu_set siblings;
    if (!sysfs_read(text, root,
                    "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                    id) ||
        !cpu_set_parse(&siblings, buf_cstr(text)) || !cpu_set_has(&siblings, id))
        return id;
    return cpu_set_next(&siblings, 0);
}

static uint32_t package_of(const char *root, uint32_t id, struct buf *text)
{
    if (!sysfs_read(text, root,
                    "/sys/devices/system/cpu/cpu%u/topology/physical_package_id", id))
        return 0;
    long package = strtol(buf_cstr(text), NULL, 10);
    return package > 0 ? (uint32_t)package : 0;
}

static int add_cpus(struct finding *f, const char *root, const struct cpu_set *cpus,
                    uint32_t node, struct cpu_set *seen, struct buf *text)
{
    for (uint32_t id = cpu_set_next(cpus, 0); id < CPU_SET_MAX;
         id = cpu_set_next(cpus, id + 1)) {
        if (cpu_set_has(seen, id))
            continue;
        cpu_set_add(seen, id);
        struct topo_pu pu = {.id = id,
                             .core = core_of(root, id, text),
                             .domain = node,
                             .package = package_of(root, id, text),
                             .cache = UINT32_MAX};
        if (finding_add(f, &pu) < 0)
            return ERR_NOMEM;
    }
    return 0;
}

static uint64_t node_memory(const char *root, uint32_t node, struct buf *text)
{
    static const char key[] = "MemTotal:";
    const char *line = NULL;
    if (sysfs_read(text, root, "/sys/devices/system/node/node%u/meminfo", node))
        line = strstr(buf_cstr(text), key);
    return line ? strtoull(line + sizeof key - 1, NULL, 10) * 1024 : 0;
}

/* Nodes that are offline, unreadable or without CPUs are passed over. */
static int add_nodes(struct finding *f, const char *root, struct cpu_set *seen,
                     struct buf *text)
{
    struct cpu_set nodes, cpus;
    if (!sysfs_read(text, root, "/sys/devices/system/node/possible") ||
        !cpu_set_parse(&nodes, buf_cstr(text)))
        return 0;
    for (uint32_t node = cpu_set_next(&nodes, 0); node < NODES_MAX;
         node = cpu_set_next(&nodes, node + 1)) {
        if (!sysfs_read(text, root, "/sys/devices/system/node/node%u/cpulist", node) ||
            !cpu_set_parse(&cpus, buf_cstr(text)))
            continue;
        uint64_t bytes = node_memory(root, node, text);
        if (finding_add_node(f, node, bytes, true) < 0 ||
            add_cpus(f, root, &cpus, node, seen, text) < 0)
            return ERR_NOMEM;
    }
    return 0;
}

int sysfs_find(const char *root, struct finding *f, struct error *err)
{
    struct buf text = BUF_INIT(FILE_MAX);
    struct cpu_set seen, online;
    cpu_set_clear(&seen);
    int rc = add_nodes(f, root, &seen, &text);
    /* A kernel without NUMA: all CPUs in one node. */
    if (rc == 0 && f->n_pus == 0 &&
        sysfs_read(&text, root, "/sys/devices/system/cpu/online") &&
        cpu_set_parse(&online, buf_cstr(&text)))
        rc = add_cpus(f, root, &online, 0, &seen, &text);
    buf_release(&text);
    return rc < 0 ? error_nomem(err) : 0;
}
