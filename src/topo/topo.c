#include "topo/topo.h"

#include <stdlib.h>
#include "base/log.h"
#include "topo/discover.h"

void topo_destroy(struct topo *t)
{
    if (!t)
        return;
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        for (size_t i = 0; i < t->families[f].n; i++)
            free(t->families[f].devices[i].label);
        free(t->families[f].devices);
    }
    free(t->pus);
    free(t->domains);
    free(t->nodes);
    free(t->ios);
    free(t);
}

const struct topo_pu *topo_find_pu(const struct topo *t, uint32_t id)
{
    for (size_t i = 0; i < t->n_pus; i++)
        if (t->pus[i].id == id)
            return &t->pus[i];
    return NULL;
}

uint32_t topo_domain_of_node(const struct topo *t, uint32_t node)
{
    for (uint32_t i = 0; i < t->n_domains; i++)
        if (t->domains[i].node == node)
            return i;
    return DOMAIN_NONE;
}

static int by_domain_and_id(const void *a, const void *b)
{
    const struct topo_pu *x = a, *y = b;
    if (x->domain != y->domain)
        return x->domain < y->domain ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void note_masked(const struct finding *f, const struct cpu_set *mask)
{
    struct buf all = BUF_INIT(BUF_MAX_DEFAULT), allowed = BUF_INIT(BUF_MAX_DEFAULT);
    struct cpu_set cpus;
    cpu_set_clear(&cpus);
    for (size_t i = 0; i < f->n_pus; i++)
        cpu_set_add(&cpus, f->pus[i].id);
    cpu_set_print(&cpus, &all);
    cpu_set_intersect(&cpus, mask);
    cpu_set_print(&cpus, &allowed);
    log_info("Some cores were filtered by a CPU mask. All cores: %s, allowed cores: %s",
             buf_cstr(&all), buf_cstr(&allowed));
    buf_release(&all);
    buf_release(&allowed);
}

/* Keeps what the mask allows; CPUs of the mask that nobody described come in the first
 * node, so that ids are right in any case. */
static int restrict_to(struct topo *t, struct finding *f, const struct cpu_set *mask,
                       struct error *err)
{
    struct cpu_set left;
    size_t n_all = f->n_pus, n = 0;
    cpu_set_copy(&left, mask);
    for (size_t i = 0; i < n_all; i++) {
        if (!cpu_set_has(mask, f->pus[i].id))
            continue;
        cpu_set_remove(&left, f->pus[i].id);
        n++;
    }
    if (n < n_all && n > 0)
        note_masked(f, mask);
    for (size_t i = 0, k = 0; i < n_all; i++)
        if (cpu_set_has(mask, f->pus[i].id))
            f->pus[k++] = f->pus[i];
    f->n_pus = n;
    for (uint32_t id = cpu_set_next(&left, 0); n == 0 && id < CPU_SET_MAX;
         id = cpu_set_next(&left, id + 1)) {
        struct topo_pu pu = {.id = id, .core = id, .cache = UINT32_MAX};
        if (finding_add(f, &pu) < 0)
            return error_nomem(err);
    }
    if (f->n_pus == 0)
        return error_set(err, ERR_UNSUPPORTED, "this process may use no CPU");
    qsort(f->pus, f->n_pus, sizeof *f->pus, by_domain_and_id);
    t->pus = f->pus;
    t->n_pus = f->n_pus;
    f->pus = NULL;
    f->n_pus = f->cap_pus = 0;
    return 0;
}

/* One domain for each node that has CPUs left; pus[].domain becomes its index. */
static int make_domains(struct topo *t, struct error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_pus; i++)
        n += i == 0 || t->pus[i].domain != t->pus[i - 1].domain;
    t->domains = calloc(n, sizeof *t->domains);
    if (!t->domains)
        return error_nomem(err);
    cpu_set_clear(&t->mask);
    for (size_t i = 0; i < t->n_pus; i++) {
        struct topo_pu *pu = &t->pus[i];
        if (t->n_domains == 0 || t->domains[t->n_domains - 1].node != pu->domain)
            t->domains[t->n_domains++].node = pu->domain;
        pu->domain = (uint32_t)t->n_domains - 1;
        cpu_set_add(&t->domains[pu->domain].cpus, pu->id);
        cpu_set_add(&t->mask, pu->id);
    }
    return 0;
}

/* MiB that Slurm granted on this node; 0: not told, or all. */
static uint64_t slurm_mebibytes(void)
{
    uint64_t node = topo_variable("SLURM_MEM_PER_NODE");
    uint64_t cpu = topo_variable("SLURM_MEM_PER_CPU");
    return node ? node : MIN(cpu * topo_variable("SLURM_CPUS_ON_NODE"), UINT32_MAX);
}

/* Memory of the NUMA nodes that a cpuset leaves us; UINT64_MAX where it leaves all or
 * their sizes are not known. */
static uint64_t allowed_memory(const struct topo *t)
{
    uint64_t bytes = 0;
    bool less = false;
    for (size_t i = 0; i < t->n_nodes; i++) {
        bytes += t->nodes[i].allowed ? t->nodes[i].memory_bytes : 0;
        less |= !t->nodes[i].allowed;
    }
    return less && bytes ? bytes : UINT64_MAX;
}

static void find_memory(struct topo *t, const struct topo_source *source,
                        uint64_t total)
{
    uint64_t granted = source->slurm ? slurm_mebibytes() : 0;
    if (granted) {
        t->memory_bytes = granted << 20;
        return;
    }
    bool imagined = source->synthetic || source->xml;
    uint64_t here = imagined ? total : memory_total(source->root);
    if (!imagined) {
        uint64_t limit = memory_limit(source->root);
        uint64_t nodes = allowed_memory(t);
        here = MIN(here, MIN(limit, nodes));
    }
    t->memory_bytes = here;
    log_info("Detected %lluB of memory (%.2f GiB)", (unsigned long long)t->memory_bytes,
             (double)t->memory_bytes / (double)(1u << 30));
}

/* A control group may give all CPUs but little of their time. That does not change what
 * is offered (indices are what tasks are bound to), it is worth a word. */
static void note_cpu_time(struct topo *t, const struct topo_source *source)
{
    t->cpu_time =
        source->synthetic || source->xml ? UINT64_MAX : cpu_time_limit(source->root);
    if ((source->detect & DETECT_CPUS) && t->cpu_time / 1000 < t->n_pus)
        log_warn("The control group of this process has the time of %llu.%llu CPUs, "
                 "of %zu that it may use; --cpus can offer less",
                 (unsigned long long)t->cpu_time / 1000,
                 (unsigned long long)t->cpu_time / 100 % 10, t->n_pus);
}

static uint32_t count_cores(const struct topo *t)
{
    uint32_t n = 0;
    for (size_t i = 0; i < t->n_pus; i++) {
        size_t k = 0;
        while (k < i && t->pus[k].core != t->pus[i].core)
            k++;
        n += k == i;
    }
    return n;
}

/* Slurm does not bind its jobs everywhere. What is offered stays what the kernel lets
 * us use, as with HyperQueue. Some sites count cores as CPUs, some hardware threads: no
 * word where either may be meant. */
static void note_job_cpus(const struct topo *t, const struct topo_source *source)
{
    uint32_t granted = source->slurm ? topo_variable("SLURM_CPUS_ON_NODE") : 0;
    if ((source->detect & DETECT_CPUS) && granted && granted < count_cores(t))
        log_warn(
            "Slurm gave this job %u CPU%s of this node, and it may use %zu; --cpus "
            "can offer less",
            granted, granted == 1 ? "" : "s", t->n_pus);
}

static int find_cpus(struct topo *t, const struct topo_source *source,
                     struct finding *f, struct error *err)
{
    bool imagined = source->synthetic || source->xml;
    int rc = ERR_UNSUPPORTED;
    if (imagined || (!source->no_hwloc && !source->root)) {
        rc = hwloc_find(source, f, err);
        t->from_hwloc = rc == 0;
        if (rc < 0 && (imagined || rc == ERR_NOMEM))
            return rc;
    }
    if (rc < 0) {
        finding_release(f);
        rc = sysfs_find(source->root, f, err);
    }
    return rc;
}

static int by_node(const void *a, const void *b)
{
    const struct topo_node *x = a, *y = b;
    return (x->node > y->node) - (x->node < y->node);
}

static int by_kind_and_bus(const void *a, const void *b)
{
    const struct topo_io *x = a, *y = b;
    int diff = (int)x->kind - (int)y->kind;
    if (diff == 0)
        diff = strcmp(x->bus, y->bus);
    return diff ? diff : strcmp(x->name, y->name);
}

/* A cpuset may keep the memory of some nodes from us. */
static void restrict_nodes(struct finding *f, const char *root)
{
    struct cpu_set allowed;
    if (!memory_nodes(root, &allowed))
        return;
    for (size_t i = 0; i < f->n_nodes; i++)
        f->nodes[i].allowed = cpu_set_has(&allowed, f->nodes[i].node);
}

/* Takes nodes and devices. */
static void take_rest(struct topo *t, struct finding *f)
{
    t->single_node = f->n_nodes <= 1;
    t->nodes = f->nodes;
    t->n_nodes = f->n_nodes;
    t->ios = f->ios;
    t->n_ios = f->n_ios;
    t->n_kinds = f->n_kinds;
    f->nodes = NULL;
    f->ios = NULL;
    f->n_nodes = f->n_ios = 0;
    if (t->n_nodes)
        qsort(t->nodes, t->n_nodes, sizeof *t->nodes, by_node);
    if (t->n_ios)
        qsort(t->ios, t->n_ios, sizeof *t->ios, by_kind_and_bus);
}

int topo_discover(struct topo **topo, const struct topo_source *source,
                  struct error *err)
{
    struct finding f = {0};
    struct cpu_set mask;
    struct topo *t = calloc(1, sizeof *t);
    if (!t)
        return error_nomem(err);
    bool imagined = source->synthetic || source->xml;
    int rc = find_cpus(t, source, &f, err);
    if (rc == 0 && !imagined)
        rc = devices_find(&f, source, err);
    if (rc == 0 && (source->mask || imagined))
        cpu_set_copy(&mask, source->mask ? source->mask : &f.allowed);
    else if (rc == 0)
        rc = cpu_set_of_self(&mask, err);
    if (rc == 0 && !imagined)
        restrict_nodes(&f, source->root);
    if (rc == 0)
        take_rest(t, &f);
    if (rc == 0)
        rc = restrict_to(t, &f, &mask, err);
    if (rc == 0)
        rc = make_domains(t, err);
    if (rc == 0) {
        note_cpu_time(t, source);
        note_job_cpus(t, source);
        rc = gpus_find(t, source, err);
    }
    if (rc == 0 && (source->detect & DETECT_MEM))
        find_memory(t, source, f.memory_bytes);
    finding_release(&f);
    if (rc < 0)
        topo_destroy(t);
    else
        *topo = t;
    return rc;
}
