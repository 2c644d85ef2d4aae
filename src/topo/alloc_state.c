/* The allocator's books: made, checked, shown. */
#include "topo/alloc_state.h"

#include <stdio.h>
#include <stdlib.h>

static void pool_free(struct alloc_pool *p)
{
    free(p->name);
    free(p->groups);
    free(p->rest);
    free(p->memory);
    free(p->nodes);
    free(p->views);
    free(p->empty_views);
}

void alloc_destroy(struct alloc_state *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_pools; i++)
        pool_free(&s->pools[i]);
    free(s->pools);
    free(s->couplings);
    free(s);
}

static void fill_group(struct alloc_pool *p, uint32_t g, uint32_t first, uint32_t size)
{
    struct alloc_group *group = &p->groups[g];
    group->first = first;
    group->size = size;
    group->stack = p->memory + (size_t)first * 2;
    group->partial = group->stack + size;
    group->n_free = size;
    group->node = p->nodes ? p->nodes[first] : NODE_NONE;
    for (uint32_t i = 0; i < size; i++) {
        group->stack[i] = first + i;
        if (p->nodes && p->nodes[first + i] != group->node)
            group->node = NODE_NONE;
    }
    p->empty_views[g] = (struct group_view){size, 0, 0, NODE_NONE};
}

static int pool_make(struct alloc_pool *p, const struct pool *from)
{
    size_t n = from->kind == POOL_SUM ? 0 : (size_t)(pool_size(from) / AMOUNT_ONE);
    p->name = strdup(from->name);
    if (!p->name)
        return ERR_NOMEM;
    p->total = pool_size(from);
    p->free_sum = p->total;
    if (from->kind == POOL_SUM)
        return 0;
    p->n_groups = from->kind == POOL_RANGE ? 1 : (uint32_t)from->n_groups;
    p->n_free = (uint32_t)n;
    p->groups = calloc(p->n_groups, sizeof *p->groups);
    p->rest = calloc(n, sizeof *p->rest);
    p->memory = calloc(n * 2, sizeof *p->memory);
    p->views = calloc(p->n_groups, sizeof *p->views);
    p->empty_views = calloc(p->n_groups, sizeof *p->empty_views);
    if (from->nodes) {
        p->nodes = malloc(n * sizeof *p->nodes);
        if (!p->nodes)
            return ERR_NOMEM;
        memcpy(p->nodes, from->nodes, n * sizeof *p->nodes);
    }
    if (!p->groups || !p->rest || !p->memory || !p->views || !p->empty_views)
        return ERR_NOMEM;
    for (uint32_t g = 0, first = 0; g < p->n_groups; g++) {
        uint32_t size = (uint32_t)pool_group_size(from, g);
        fill_group(p, g, first, size);
        first += size;
    }
    return 0;
}

int alloc_create(struct alloc_state **state, const struct pool_set *pools,
                 struct error *err)
{
    struct alloc_state *s = calloc(1, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->pools = calloc(pools->n_pools + 1, sizeof *s->pools);
    s->couplings = calloc(pools->n_couplings + 1, sizeof *s->couplings);
    int rc = s->pools && s->couplings ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < pools->n_pools && rc == 0; i++)
        rc = pool_make(&s->pools[s->n_pools++], &pools->pools[i]);
    if (rc < 0) {
        alloc_destroy(s);
        return error_nomem(err);
    }
    if (pools->n_couplings)
        memcpy(s->couplings, pools->couplings,
               pools->n_couplings * sizeof *s->couplings);
    s->n_couplings = pools->n_couplings;
    *state = s;
    return 0;
}

uint64_t alloc_free_amount(const struct alloc_state *s, size_t pool)
{
    return s->pools[pool].free_sum;
}

static bool pool_sane(const struct alloc_pool *p)
{
    uint64_t sum = 0;
    uint32_t whole = 0;
    if (p->n_groups == 0)
        return p->free_sum <= p->total;
    for (uint32_t g = 0; g < p->n_groups; g++) {
        const struct alloc_group *group = &p->groups[g];
        if (group->n_free + group->n_partial > group->size)
            return false;
        whole += group->n_free;
        sum += group->n_free * AMOUNT_ONE;
        for (uint32_t i = 0; i < group->n_partial; i++) {
            uint32_t index = group->partial[i];
            if (index - group->first >= group->size || p->rest[index] == 0)
                return false;
            sum += p->rest[index];
        }
        for (uint32_t i = 0; i < group->n_free; i++)
            if (group->stack[i] - group->first >= group->size ||
                p->rest[group->stack[i]] != 0)
                return false;
    }
    return whole == p->n_free && sum == p->free_sum;
}

bool alloc_sane(const struct alloc_state *s)
{
    for (size_t i = 0; i < s->n_pools; i++)
        if (!pool_sane(&s->pools[i]))
            return false;
    return true;
}

const struct alloc_entry *allocation_find(const struct allocation *a, size_t pool)
{
    const struct alloc_entry *entries = allocation_entries(a);
    for (uint32_t i = 0; i < a->n_entries; i++)
        if (entries[i].pool == pool)
            return &entries[i];
    return NULL;
}

void alloc_print_labels(const struct pool_set *pools, const struct allocation *a,
                        const struct alloc_entry *e, struct buf *out)
{
    const struct alloc_item *items = allocation_items(a) + e->first;
    char scratch[16];
    for (uint32_t i = 0; i < e->n; i++) {
        if (i)
            buf_putc(out, ',');
        buf_puts(out, pool_label(&pools->pools[e->pool], items[i].index, scratch));
    }
}
