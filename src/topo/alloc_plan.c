/* A request variant resolved for one worker: pools, units, what strictness demands. */
#include "topo/alloc_state.h"

/* As pool_set_serving. */
static size_t find_pool(const struct alloc_state *s, const char *name)
{
    size_t i = 0, best = s->n_pools;
    while (i < s->n_pools && strcmp(s->pools[i].name, name) != 0)
        i++;
    if (i < s->n_pools || strcmp(name, GPUS_ANY) != 0)
        return i;
    for (i = 0; i < s->n_pools; i++)
        if (strncmp(s->pools[i].name, GPUS_KIND, strlen(GPUS_KIND)) == 0 &&
            (best == s->n_pools || s->pools[i].total > s->pools[best].total))
            best = i;
    return best;
}

static void resolve(const struct alloc_state *s, const struct request_entry *e,
                    struct alloc_plan *plan, struct alloc_plan_entry *p)
{
    size_t pool = find_pool(s, e->name);
    if (pool == s->n_pools) {
        plan->never = true;
        return;
    }
    const struct alloc_pool *ap = &s->pools[pool];
    p->pool = (uint16_t)pool;
    p->policy = (uint8_t)e->policy;
    p->amount = e->policy == POLICY_ALL ? ap->total : e->amount;
    p->fraction = (uint16_t)(p->amount % AMOUNT_ONE);
    p->units = (uint32_t)MIN(p->amount / AMOUNT_ONE, UINT32_MAX);
    p->selects = ap->n_groups > 1 && e->policy <= POLICY_FORCE_TIGHT;
    p->strict = p->selects &&
                (e->policy == POLICY_FORCE_COMPACT || e->policy == POLICY_FORCE_TIGHT);
    p->min_groups = 0;
    plan->selects |= p->selects;
    plan->strict |= p->strict;
    if (p->amount > ap->total)
        plan->never = true;
}

/* What the empty worker could do; only strict requests ask. */
static void measure_empty(const struct alloc_state *s, struct alloc_plan *plan)
{
    struct group_demand demands[REQUEST_ENTRIES_MAX];
    struct group_choice choices[REQUEST_ENTRIES_MAX];
    size_t n = alloc_demands(s, plan, true, demands);
    plan->best_weight =
        groups_choose(demands, n, s->couplings, s->n_couplings, false, choices);
    for (uint32_t i = 0, k = 0; i < plan->n; i++)
        if (plan->entries[i].selects)
            plan->entries[i].min_groups = choices[k++].n;
}

void alloc_plan_make(const struct alloc_state *s, const struct request_variant *v,
                     struct alloc_plan *plan)
{
    plan->n = 0;
    plan->never = plan->selects = plan->strict = plan->near = false;
    plan->best_weight = 0;
    if (v->n_nodes > 0)
        return;
    for (size_t i = 0; i < v->n_entries; i++) {
        struct alloc_plan_entry *p = &plan->entries[plan->n++];
        p->entry = (uint16_t)i;
        resolve(s, &v->entries[i], plan, p);
    }
    if (plan->never)
        return;
    uint32_t placed = 0;
    for (uint32_t i = 0; i < plan->n; i++)
        placed += s->pools[plan->entries[i].pool].nodes != NULL;
    plan->near = placed > 1 && s->n_couplings == 0;
    if (plan->strict)
        measure_empty(s, plan);
}
