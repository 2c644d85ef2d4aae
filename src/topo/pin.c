#include "topo/pin.h"

#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>

#define CPU_NONE UINT32_MAX

struct pinned_cpu {
    uint32_t id;     /* CPU_NONE: the label is no CPU of ours */
    uint32_t domain; /* index in the topology */
};

struct pinner {
    const struct topo *topo;
    size_t pool; /* position of "cpus"; n_pools: none */
    struct pinned_cpu *cpus;
    struct pool copy; /* of the pool, for messages */
};

void pinner_destroy(struct pinner *p)
{
    if (!p)
        return;
    pool_release(&p->copy);
    free(p->cpus);
    free(p);
}

static struct pinned_cpu look_up(const struct topo *t, const char *label)
{
    char *end;
    unsigned long id = strtoul(label, &end, 10);
    const struct topo_pu *pu = NULL;
    if (*label >= '0' && *label <= '9' && !*end && id < CPU_SET_MAX)
        pu = topo_find_pu(t, (uint32_t)id);
    return pu ? (struct pinned_cpu){pu->id, pu->domain}
              : (struct pinned_cpu){CPU_NONE, DOMAIN_NONE};
}

static int look_up_all(struct pinner *p, const struct pool *cpus)
{
    size_t n = (size_t)(pool_size(cpus) / AMOUNT_ONE);
    char scratch[16];
    if (pool_copy(&p->copy, cpus) < 0)
        return ERR_NOMEM;
    p->cpus = malloc((n + 1) * sizeof *p->cpus);
    if (!p->cpus)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        p->cpus[i] = look_up(p->topo, pool_label(cpus, (uint32_t)i, scratch));
    return 0;
}

int pinner_create(struct pinner **pinner, const struct topo *t,
                  const struct pool_set *pools, struct error *err)
{
    struct pinner *p = calloc(1, sizeof *p);
    const struct pool *cpus = pool_set_find(pools, "cpus");
    if (!p)
        return error_nomem(err);
    p->topo = t;
    p->pool = cpus ? (size_t)(cpus - pools->pools) : pools->n_pools;
    if (cpus && cpus->kind != POOL_SUM && look_up_all(p, cpus) < 0) {
        pinner_destroy(p);
        return error_nomem(err);
    }
    *pinner = p;
    return 0;
}

void pinner_plan_rank(const struct pinner *p, struct pin_plan *plan)
{
    cpu_set_copy(&plan->cpus, &p->topo->mask);
    cpu_set_clear(&plan->nodes);
    plan->mempolicy = MPOL_DEFAULT;
    plan->whole = true;
}

/* Whether there is memory for us on that NUMA node. */
static bool has_memory(const struct topo *t, uint32_t node)
{
    for (size_t i = 0; i < t->n_nodes; i++)
        if (t->nodes[i].node == node)
            return t->nodes[i].allowed;
    return false;
}

/* Memory near the domains of the task's CPUs. Several domains: by default the kernel's
 * choice, which is the domain of the CPU that touches first. A wish is of no use where
 * there is one domain only, or no memory there for us; an order is carried out even
 * then, and fails the task by name. */
static void prefer_memory(const struct pinner *p, enum membind_mode memory,
                          struct pin_plan *plan)
{
    if (memory == MEMBIND_OFF || p->topo->n_nodes == 0)
        return;
    if (memory == MEMBIND_STRICT)
        plan->mempolicy = MPOL_BIND;
    else if (!p->topo->single_node && cpu_set_count(&plan->nodes) == 1 &&
             has_memory(p->topo, cpu_set_next(&plan->nodes, 0)))
        plan->mempolicy = MPOL_PREFERRED;
}

/* The first item whose label is no CPU of ours, or n. */
static uint32_t find_strange(const struct pinner *p, const struct alloc_item *items,
                             uint32_t n)
{
    uint32_t i = 0;
    while (i < n && p->cpus[items[i].index].id != CPU_NONE)
        i++;
    return i;
}

static void add_cpu(const struct pinner *p, const struct pinned_cpu *cpu, bool exact,
                    struct pin_plan *plan)
{
    const struct topo_domain *domain = &p->topo->domains[cpu->domain];
    if (exact) {
        cpu_set_add(&plan->cpus, cpu->id);
        cpu_set_add(&plan->nodes, domain->node);
    } else if (!cpu_set_has(&plan->nodes, domain->node)) {
        cpu_set_unite(&plan->cpus, &domain->cpus);
        cpu_set_add(&plan->nodes, domain->node);
    }
}

int pinner_plan(const struct pinner *p, const struct allocation *a,
                enum pin_scope scope, enum membind_mode memory, struct pin_plan *plan,
                struct error *err)
{
    const struct alloc_entry *e = p->cpus ? allocation_find(a, p->pool) : NULL;
    const struct alloc_item *items = e ? allocation_items(a) + e->first : NULL;
    uint32_t n = e ? e->n : 0, strange = n;
    if (scope == PIN_EXACT && n == 0)
        return error_set(err, ERR_INVALID,
                         "Pinning failed, no CPU ids allocated for task");
    strange = find_strange(p, items, n);
    if (scope == PIN_EXACT && strange < n) {
        char scratch[16];
        return error_set(err, ERR_INVALID,
                         "Pinning failed, '%s' is no CPU that this worker may use",
                         pool_label(&p->copy, items[strange].index, scratch));
    }
    bool spread = scope == PIN_RANK && memory != MEMBIND_STRICT;
    if (spread || n == 0 || strange < n) {
        pinner_plan_rank(p, plan);
        return 0;
    }
    cpu_set_clear(&plan->cpus);
    cpu_set_clear(&plan->nodes);
    plan->mempolicy = MPOL_DEFAULT;
    plan->whole = scope == PIN_RANK;
    for (uint32_t i = 0; i < n; i++)
        add_cpu(p, &p->cpus[items[i].index], scope == PIN_EXACT, plan);
    if (scope == PIN_RANK)
        cpu_set_copy(&plan->cpus, &p->topo->mask);
    prefer_memory(p, memory, plan);
    return 0;
}
