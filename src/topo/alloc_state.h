/* The books of the allocator; for the files alloc*.c. */
#ifndef HQ_TOPO_ALLOC_STATE_H
#define HQ_TOPO_ALLOC_STATE_H

#include <string.h>
#include "topo/alloc.h"
#include "topo/alloc_groups.h"
#include "topo/cpu_set.h"

struct alloc_group {
    uint32_t *stack; /* wholly free indices; taken from the end */
    uint32_t n_free;
    uint32_t first, size; /* its indices are first … first + size - 1 */
    uint32_t *partial;    /* indices that are partly free, in no order */
    uint32_t n_partial;
    uint16_t node; /* NUMA node of all its indices, or NODE_NONE */
};

struct alloc_pool {
    char *name;
    uint32_t n_groups; /* 0: a sum */
    uint32_t n_free;   /* wholly free indices of all groups */
    uint64_t total, free_sum;
    struct alloc_group *groups;
    uint16_t *rest;   /* by index: free part of an index that is partly free, else 0 */
    uint32_t *memory; /* stacks and partial lists of all groups */
    uint16_t *nodes;  /* by index: its NUMA node; NULL: unknown */
    struct group_view *views, *empty_views; /* room for groups_choose */
};

struct alloc_state {
    struct alloc_pool *pools;
    size_t n_pools;
    struct coupling *couplings;
    size_t n_couplings;
};

/* The demands of the entries that choose groups, in their order: on the present state
 * or as if all were free. */
size_t alloc_demands(const struct alloc_state *s, const struct alloc_plan *plan,
                     bool empty, struct group_demand *demands);
/* Enough is free, whatever the groups. */
bool alloc_entry_fits(const struct alloc_pool *p, const struct alloc_plan_entry *e);
/* Smallest free part >= fraction in the group: its place in `partial`, or n_partial. */
uint32_t alloc_best_partial(const struct alloc_pool *p, const struct alloc_group *g,
                            uint16_t fraction);
/* Largest free part in the group. */
uint16_t alloc_largest_partial(const struct alloc_pool *p, const struct alloc_group *g);

#endif
