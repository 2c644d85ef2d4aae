/*
 * Which indices, groups and fractions a task gets: the worker's books.
 *
 * The server counts only totals; a worker owns identities and may refuse what the
 * server believed to fit (fragmentation, fractions, strict policies). Rules in short:
 *   - a pool of one group is a stack, taken from its end; policies mean nothing there;
 *   - on grouped pools compact and tight take the fewest groups that can serve the
 *     request, then those with the most coupling weight, then the fullest ones;
 *   - compact spreads evenly over the chosen groups, tight fills one after the other,
 *     scatter goes round all groups, all takes everything and needs everything free;
 *   - "!" refuses when the empty worker could do it with fewer groups or, among strict
 *     entries, with more coupling weight. Best fit plays no part in that;
 *   - where the machine's layout is known and no coupling is given, groups beside the
 *     devices (or other groups) of the request go before fuller ones, and devices
 * beside the chosen groups before others: ties only, as far as the rules above go;
 *   - an amount u.f is u whole indices and f of one more; fractions never add up.
 *
 * One thread; nothing here blocks. No memory is allocated for allocations of up to
 * ALLOC_INLINE_ENTRIES resources and ALLOC_INLINE_ITEMS indices.
 */
#ifndef HQ_TOPO_ALLOC_H
#define HQ_TOPO_ALLOC_H

#include "model/resource.h"

#define ALLOC_INLINE_ENTRIES 4
#define ALLOC_INLINE_ITEMS 8
#define ALLOC_WEIGHT_MAX 1024 /* larger coupling weights count as this */

/* Other results are negative error codes. */
enum alloc_result {
    ALLOC_OK = 0,
    ALLOC_BUSY = 1, /* not now: ask again when something was freed */
    ALLOC_NEVER = 2 /* this worker has no such resource or not as much of it */
};

struct alloc_item {
    uint32_t index;    /* label: position in the pool, groups one after the other */
    uint16_t fraction; /* 1/10000 of it; 0: the whole index */
    uint16_t group;
};

struct alloc_entry {
    uint16_t pool;  /* position in the pool set */
    uint16_t entry; /* position in the request variant */
    uint32_t first; /* items of this entry in order, the fraction last */
    uint32_t n;     /* 0 for a sum */
    uint64_t amount;
};

/* May be moved by assignment. */
struct allocation {
    uint32_t n_entries, n_items;
    struct alloc_entry *more_entries; /* owned; NULL: inline */
    struct alloc_item *more_items;
    struct alloc_entry inline_entries[ALLOC_INLINE_ENTRIES];
    struct alloc_item inline_items[ALLOC_INLINE_ITEMS];
};

static inline const struct alloc_entry *allocation_entries(const struct allocation *a)
{
    return a->more_entries ? a->more_entries : a->inline_entries;
}
static inline const struct alloc_item *allocation_items(const struct allocation *a)
{
    return a->more_items ? a->more_items : a->inline_items;
}
/* The entry of a pool (its position), or NULL. */
const struct alloc_entry *allocation_find(const struct allocation *a, size_t pool);

struct alloc_state;

/* The books of a worker with these pools, all free. Borrows nothing. */
int alloc_create(struct alloc_state **state, const struct pool_set *pools,
                 struct error *err) MUST_CHECK;
void alloc_destroy(struct alloc_state *s);

struct alloc_plan_entry {
    uint16_t pool, entry;
    uint8_t policy; /* enum request_policy */
    bool strict;
    bool selects; /* compact or tight on a grouped pool */
    uint16_t fraction;
    uint32_t units;
    uint32_t min_groups; /* strict: fewest groups on the empty worker */
    uint64_t amount;
};

/* A request variant resolved for one worker; make it once and use it for many tasks. */
struct alloc_plan {
    uint32_t n;
    bool never;   /* can never run here */
    bool selects; /* some entry chooses groups */
    bool strict;
    bool near; /* several entries have a place on the machine, and nothing is coupled */
    int64_t best_weight; /* between strict entries on the empty worker */
    struct alloc_plan_entry entries[REQUEST_ENTRIES_MAX];
};

/* A gang (n_nodes > 0) owns its workers as a whole and gets an empty plan. */
void alloc_plan_make(const struct alloc_state *s, const struct request_variant *v,
                     struct alloc_plan *plan);
/* Takes what the plan says: enum alloc_result or ERR_NOMEM. *out needs no
 * initialisation; it is touched on success only. Give it back with alloc_free. */
int alloc_take(struct alloc_state *s, const struct alloc_plan *plan,
               struct allocation *out) MUST_CHECK;
/* alloc_plan_make and alloc_take at once. */
int alloc_try(struct alloc_state *s, const struct request_variant *v,
              struct allocation *out) MUST_CHECK;
/* Whether alloc_take would succeed now. */
bool alloc_fits(const struct alloc_state *s, const struct alloc_plan *plan);
/* Says what of the plan cannot be had now; nothing when all can. `pools` are those of
 * alloc_create. */
void alloc_print_lack(const struct alloc_state *s, const struct pool_set *pools,
                      const struct alloc_plan *plan, struct buf *out);
/* Gives everything back and releases *a. */
void alloc_free(struct alloc_state *s, struct allocation *a);

/* What is free of a pool, with fractions summed up. */
uint64_t alloc_free_amount(const struct alloc_state *s, size_t pool);
/* Checks the books against themselves; for tests. */
bool alloc_sane(const struct alloc_state *s);

/* Labels of the entry in order, joined by commas: HQ_RESOURCE_VALUES_…, HQ_CPUS. */
void alloc_print_labels(const struct pool_set *pools, const struct allocation *a,
                        const struct alloc_entry *e, struct buf *out);

#endif
