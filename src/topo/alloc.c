#include "topo/alloc_state.h"

#include <stdlib.h>

uint32_t alloc_best_partial(const struct alloc_pool *p, const struct alloc_group *g,
                            uint16_t fraction)
{
    uint32_t best = g->n_partial;
    for (uint32_t i = 0; i < g->n_partial; i++) {
        uint16_t rest = p->rest[g->partial[i]];
        if (rest >= fraction &&
            (best == g->n_partial || rest < p->rest[g->partial[best]]))
            best = i;
    }
    return best;
}

uint16_t alloc_largest_partial(const struct alloc_pool *p, const struct alloc_group *g)
{
    uint16_t largest = 0;
    for (uint32_t i = 0; i < g->n_partial; i++)
        largest = MAX(largest, p->rest[g->partial[i]]);
    return largest;
}

/* How much of an entry is free on a NUMA node, at most as much as it wants. */
static uint32_t free_beside(const struct alloc_pool *p,
                            const struct alloc_plan_entry *e, uint16_t node)
{
    uint32_t n = 0, want = e->units + (e->fraction ? 1 : 0);
    for (uint32_t g = 0; g < p->n_groups && p->nodes; g++) {
        const struct alloc_group *group = &p->groups[g];
        for (uint32_t i = 0; i < group->n_free && n < want; i++)
            n += p->nodes[group->stack[i]] == node;
        for (uint32_t i = 0; i < group->n_partial && n < want && e->fraction; i++)
            n += p->nodes[group->partial[i]] == node &&
                 p->rest[group->partial[i]] >= e->fraction;
    }
    return n;
}

/* What else the request wants and finds on the node. */
static uint16_t near_of(const struct alloc_state *s, const struct alloc_plan *plan,
                        const struct alloc_plan_entry *e, uint16_t node)
{
    uint32_t near = 0;
    for (uint32_t i = 0; i < plan->n && node != NODE_NONE; i++)
        if (plan->entries[i].pool != e->pool)
            near +=
                free_beside(&s->pools[plan->entries[i].pool], &plan->entries[i], node);
    return (uint16_t)MIN(near, UINT16_MAX);
}

size_t alloc_demands(const struct alloc_state *s, const struct alloc_plan *plan,
                     bool empty, struct group_demand *demands)
{
    size_t n = 0;
    for (uint32_t i = 0; i < plan->n; i++) {
        const struct alloc_plan_entry *e = &plan->entries[i];
        const struct alloc_pool *p = &s->pools[e->pool];
        if (!e->selects)
            continue;
        for (uint32_t g = 0; g < p->n_groups && !empty; g++)
            p->views[g] = (struct group_view){
                p->groups[g].n_free,
                e->fraction ? alloc_largest_partial(p, &p->groups[g]) : 0,
                plan->near ? near_of(s, plan, e, p->groups[g].node) : 0,
                p->groups[g].node};
        demands[n++] = (struct group_demand){empty ? p->empty_views : p->views,
                                             p->n_groups,
                                             e->units,
                                             e->fraction,
                                             e->pool,
                                             e->strict};
    }
    return n;
}

bool alloc_entry_fits(const struct alloc_pool *p, const struct alloc_plan_entry *e)
{
    if (p->n_groups == 0)
        return e->amount <= p->free_sum;
    if (!e->fraction)
        return e->units <= p->n_free;
    if (e->units < p->n_free)
        return true;
    bool partial = false;
    for (uint32_t g = 0; g < p->n_groups && !partial; g++)
        partial = alloc_largest_partial(p, &p->groups[g]) >= e->fraction;
    return partial && e->units == p->n_free;
}

/* Chooses groups for the entries that do; false when a strict entry is not content. */
static bool choose_groups(const struct alloc_state *s, const struct alloc_plan *plan,
                          struct group_choice *choices)
{
    struct group_demand demands[REQUEST_ENTRIES_MAX];
    size_t n = alloc_demands(s, plan, false, demands);
    for (uint32_t i = 0, k = 0; i < plan->n && plan->strict; i++) {
        const struct alloc_plan_entry *e = &plan->entries[i];
        if (e->strict && group_count_min(&demands[k]) > e->min_groups)
            return false;
        k += e->selects;
    }
    int64_t weight =
        groups_choose(demands, n, s->couplings, s->n_couplings, plan->near, choices);
    return !plan->strict || weight >= plan->best_weight;
}

static bool plan_fits(const struct alloc_state *s, const struct alloc_plan *plan,
                      struct group_choice *choices)
{
    for (uint32_t i = 0; i < plan->n; i++)
        if (!alloc_entry_fits(&s->pools[plan->entries[i].pool], &plan->entries[i]))
            return false;
    return !plan->selects || choose_groups(s, plan, choices);
}

bool alloc_fits(const struct alloc_state *s, const struct alloc_plan *plan)
{
    struct group_choice choices[REQUEST_ENTRIES_MAX];
    return !plan->never && plan_fits(s, plan, choices);
}

/* Where an entry's items are written to. */
struct taker {
    struct alloc_pool *pool;
    struct alloc_item *items;
    uint32_t n;
    uint32_t units;    /* whole indices still to take */
    uint16_t fraction; /* and a part of one more */
    struct alloc_item part;
    const struct cpu_set *beside; /* NUMA nodes to stay on if possible, or NULL */
};

/* Place in the stack of the free index to take next: the last, or the last one on the
 * wished nodes. */
static uint32_t next_free(const struct taker *t, const struct alloc_group *g)
{
    for (uint32_t i = g->n_free; t->beside && t->pool->nodes && i > 0; i--)
        if (cpu_set_has(t->beside, t->pool->nodes[g->stack[i - 1]]))
            return i - 1;
    return g->n_free - 1;
}

static uint32_t pop_free(struct taker *t, struct alloc_group *g)
{
    uint32_t at = next_free(t, g), index = g->stack[at];
    g->n_free--;
    memmove(&g->stack[at], &g->stack[at + 1], (g->n_free - at) * sizeof *g->stack);
    t->pool->n_free--;
    return index;
}

static void take_whole(struct taker *t, uint32_t group)
{
    struct alloc_group *g = &t->pool->groups[group];
    t->items[t->n++] = (struct alloc_item){pop_free(t, g), 0, (uint16_t)group};
    t->units--;
}

/* From the index in use that fits best, else by splitting a whole one. */
static void take_part(struct taker *t, uint32_t group)
{
    struct alloc_pool *p = t->pool;
    struct alloc_group *g = &p->groups[group];
    uint32_t at = alloc_best_partial(p, g, t->fraction), index;
    if (at < g->n_partial) {
        index = g->partial[at];
        p->rest[index] = (uint16_t)(p->rest[index] - t->fraction);
        if (p->rest[index] == 0)
            g->partial[at] = g->partial[--g->n_partial];
    } else {
        index = pop_free(t, g);
        p->rest[index] = (uint16_t)(AMOUNT_ONE - t->fraction);
        g->partial[g->n_partial++] = index;
    }
    t->part = (struct alloc_item){index, t->fraction, (uint16_t)group};
    t->fraction = 0;
}

static bool has_partial(const struct taker *t, uint32_t group)
{
    const struct alloc_group *g = &t->pool->groups[group];
    return alloc_best_partial(t->pool, g, t->fraction) < g->n_partial;
}

static int by_index(const void *a, const void *b)
{
    const struct alloc_item *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Whole indices one a turn, then the part in the next group that can give it, rather
 * from an index in use than from a whole one. */
static void take_round(struct taker *t, const struct group_choice *choice)
{
    uint32_t turn = 0, n = choice->n;
    for (; t->units; turn++)
        if (t->pool->groups[choice->groups[turn % n]].n_free)
            take_whole(t, choice->groups[turn % n]);
    for (uint32_t i = 0; i < n && t->fraction; i++)
        if (has_partial(t, choice->groups[(turn + i) % n]))
            take_part(t, choice->groups[(turn + i) % n]);
    for (uint32_t i = 0; i < n && t->fraction; i++)
        if (t->pool->groups[choice->groups[(turn + i) % n]].n_free)
            take_part(t, choice->groups[(turn + i) % n]);
    if (t->n > 1)
        qsort(t->items, t->n, sizeof *t->items, by_index);
}

/* The smallest group that can hold all that is left, or -1. */
static int find_holder(const struct taker *t, const struct group_choice *choice)
{
    int best = -1;
    for (uint32_t i = 0; i < choice->n; i++) {
        uint8_t g = choice->groups[i];
        uint32_t n = t->pool->groups[g].n_free;
        bool holds =
            n > t->units || (n == t->units && (!t->fraction || has_partial(t, g)));
        if (holds && (best < 0 || n < t->pool->groups[best].n_free))
            best = g;
    }
    return best;
}

static uint8_t find_largest(const struct taker *t, const struct group_choice *choice)
{
    uint8_t best = choice->groups[0];
    for (uint32_t i = 1; i < choice->n; i++)
        if (t->pool->groups[choice->groups[i]].n_free >= t->pool->groups[best].n_free)
            best = choice->groups[i];
    return best;
}

static void take_tight(struct taker *t, const struct group_choice *choice)
{
    while (t->units || t->fraction) {
        int holder = find_holder(t, choice);
        uint32_t group = holder >= 0 ? (uint32_t)holder : find_largest(t, choice);
        while (t->units && t->pool->groups[group].n_free)
            take_whole(t, group);
        if (t->fraction && (holder >= 0 || has_partial(t, group)))
            take_part(t, group);
    }
}

/* A pool of one group: from the end, whatever the policy. */
static void take_single(struct taker *t)
{
    while (t->units)
        take_whole(t, 0);
    if (t->fraction)
        take_part(t, 0);
}

/* Everything of a grouped pool in stored order. */
static void take_all(struct taker *t)
{
    for (uint32_t i = 0; i < t->pool->n_groups; i++) {
        struct alloc_group *g = &t->pool->groups[i];
        for (uint32_t j = 0; j < g->n_free; j++)
            t->items[t->n++] = (struct alloc_item){g->stack[j], 0, (uint16_t)i};
        g->n_free = 0;
    }
    t->pool->n_free = 0;
    t->units = 0;
}

static uint32_t take_entry(struct alloc_pool *p, const struct alloc_plan_entry *e,
                           const struct group_choice *choice,
                           const struct cpu_set *beside, struct alloc_item *items)
{
    struct taker t = {p, items, 0, e->units, e->fraction, {0, 0, 0}, beside};
    if (p->n_groups == 1)
        take_single(&t);
    else if (e->policy == POLICY_ALL)
        take_all(&t);
    else if (e->policy == POLICY_TIGHT || e->policy == POLICY_FORCE_TIGHT)
        take_tight(&t, choice);
    else
        take_round(&t, choice);
    if (e->fraction)
        items[t.n++] = t.part;
    return t.n;
}

static void every_group(const struct alloc_pool *p, struct group_choice *choice)
{
    choice->n = p->n_groups;
    for (uint32_t g = 0; g < p->n_groups; g++)
        choice->groups[g] = (uint8_t)g;
}

/* Room for the entries and items of the plan. */
static int make_room(const struct alloc_state *s, const struct alloc_plan *plan,
                     struct allocation *a)
{
    size_t items = 0;
    for (uint32_t i = 0; i < plan->n; i++)
        if (s->pools[plan->entries[i].pool].n_groups)
            items += plan->entries[i].units + (plan->entries[i].fraction ? 1u : 0u);
    a->more_entries = NULL;
    a->more_items = NULL;
    if (plan->n > ALLOC_INLINE_ENTRIES) {
        a->more_entries = malloc(plan->n * sizeof *a->more_entries);
        if (!a->more_entries)
            return ERR_NOMEM;
    }
    if (items > ALLOC_INLINE_ITEMS) {
        a->more_items = malloc(items * sizeof *a->more_items);
        if (!a->more_items) {
            free(a->more_entries);
            return ERR_NOMEM;
        }
    }
    return 0;
}

/* Takes the entries that choose groups, or those that do not. */
static void take_entries(struct alloc_state *s, const struct alloc_plan *plan,
                         bool selecting, const struct group_choice *choices,
                         struct cpu_set *beside, struct alloc_entry *entries,
                         struct alloc_item *items, uint32_t *n)
{
    struct group_choice all;
    for (uint32_t i = 0; i < plan->n; i++) {
        const struct alloc_plan_entry *e = &plan->entries[i];
        struct alloc_pool *p = &s->pools[e->pool];
        const struct group_choice *choice = e->selects ? choices++ : &all;
        if (e->selects != selecting)
            continue;
        if (!selecting && p->n_groups > 1)
            every_group(p, &all);
        struct alloc_entry *made = &entries[i];
        *made = (struct alloc_entry){e->pool, e->entry, *n, 0, e->amount};
        if (p->n_groups)
            made->n = take_entry(p, e, choice, selecting ? NULL : beside, items + *n);
        p->free_sum -= e->amount;
        /* Who comes later stays beside the groups chosen, or beside the first device.
         */
        bool anchor = selecting || !beside || cpu_set_next(beside, 0) == CPU_SET_MAX;
        for (uint32_t k = 0; k < made->n && beside && anchor && p->nodes; k++)
            if (p->nodes[items[*n + k].index] != NODE_NONE)
                cpu_set_add(beside, p->nodes[items[*n + k].index]);
        *n += made->n;
    }
}

int alloc_take(struct alloc_state *s, const struct alloc_plan *plan,
               struct allocation *out)
{
    struct group_choice choices[REQUEST_ENTRIES_MAX];
    struct cpu_set nodes, *beside = plan->near ? &nodes : NULL;
    if (plan->never)
        return ALLOC_NEVER;
    if (!plan_fits(s, plan, choices))
        return ALLOC_BUSY;
    int rc = make_room(s, plan, out);
    if (rc < 0)
        return rc;
    struct alloc_entry *entries =
        out->more_entries ? out->more_entries : out->inline_entries;
    struct alloc_item *items = out->more_items ? out->more_items : out->inline_items;
    uint32_t n = 0;
    cpu_set_clear(&nodes);
    if (plan->selects)
        take_entries(s, plan, true, choices, beside, entries, items, &n);
    take_entries(s, plan, false, choices, beside, entries, items, &n);
    out->n_entries = plan->n;
    out->n_items = n;
    return ALLOC_OK;
}

int alloc_try(struct alloc_state *s, const struct request_variant *v,
              struct allocation *out)
{
    struct alloc_plan plan;
    alloc_plan_make(s, v, &plan);
    return alloc_take(s, &plan, out);
}

static void give_back(struct alloc_pool *p, const struct alloc_item *item)
{
    struct alloc_group *g = &p->groups[item->group];
    if (item->fraction) {
        uint32_t rest = p->rest[item->index] + (uint32_t)item->fraction;
        HQ_ASSERT(rest <= AMOUNT_ONE);
        if (rest < AMOUNT_ONE) {
            if (p->rest[item->index] == 0)
                g->partial[g->n_partial++] = item->index;
            p->rest[item->index] = (uint16_t)rest;
            return;
        }
        p->rest[item->index] = 0;
        uint32_t at = 0;
        while (at < g->n_partial && g->partial[at] != item->index)
            at++;
        if (at < g->n_partial)
            g->partial[at] = g->partial[--g->n_partial];
    }
    HQ_ASSERT(g->n_free < g->size);
    g->stack[g->n_free++] = item->index;
    p->n_free++;
}

void alloc_free(struct alloc_state *s, struct allocation *a)
{
    const struct alloc_entry *entries = allocation_entries(a);
    const struct alloc_item *items = allocation_items(a);
    for (uint32_t i = 0; i < a->n_entries; i++) {
        struct alloc_pool *p = &s->pools[entries[i].pool];
        for (uint32_t j = entries[i].n; j > 0; j--)
            give_back(p, &items[entries[i].first + j - 1]);
        p->free_sum += entries[i].amount;
    }
    free(a->more_entries);
    free(a->more_items);
    a->more_entries = NULL;
    a->more_items = NULL;
    a->n_entries = a->n_items = 0;
}
