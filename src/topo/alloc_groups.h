/* The choice of groups for the compact and tight entries of a request; for alloc.c. */
#ifndef HQ_TOPO_ALLOC_GROUPS_H
#define HQ_TOPO_ALLOC_GROUPS_H

#include "topo/alloc.h"

/* What one group has to offer. */
struct group_view {
    uint32_t whole;    /* free indices */
    uint16_t fraction; /* largest free fraction of an index in use, 0: none */
    uint16_t near;     /* wanted indices of other resources that are free beside it */
    uint16_t node;     /* NUMA node of the group, or NODE_NONE */
};

/* Groups in ascending order. */
struct group_choice {
    uint32_t n;
    uint8_t groups[POOL_GROUPS_MAX];
};

/* One entry that chooses. */
struct group_demand {
    const struct group_view *views;
    uint32_t n_views;
    uint32_t units;
    uint16_t fraction;
    uint16_t pool;
    bool strict;
};

/* Fewest groups that can serve the demand; 0: not even all together. */
uint32_t group_count_min(const struct group_demand *d);
/*
 * The best choice with the fewest groups for each demand, which all can be served. With
 * `near` (and no couplings) groups beside each other and beside free devices go before
 * fuller ones. Returns the coupling weight between strict demands.
 */
int64_t groups_choose(const struct group_demand *demands, size_t n,
                      const struct coupling *couplings, size_t n_couplings, bool near,
                      struct group_choice *choices);

#endif
