/* What keeps a plan from being honoured, in words for people. */
#include "topo/alloc_state.h"

struct lack {
    const struct alloc_pool *pool;
    const struct pool *labels;
    const struct alloc_plan_entry *entry;
    struct buf *out;
};

static void begin(const struct lack *l)
{
    buf_puts(l->out, l->out->len ? "; " : "");
    buf_printf(l->out, "%s: ", l->pool->name);
    amount_print(l->entry->amount, l->out);
}

/* " and 0.25 of b": the largest part of an index in use. */
static void print_part(const struct lack *l, const struct alloc_group *g)
{
    uint16_t part = alloc_largest_partial(l->pool, g);
    char scratch[16];
    for (uint32_t i = 0; i < g->n_partial; i++) {
        if (l->pool->rest[g->partial[i]] != part)
            continue;
        buf_puts(l->out, " and ");
        amount_print(part, l->out);
        buf_printf(l->out, " of %s", pool_label(l->labels, g->partial[i], scratch));
        break;
    }
}

static void print_groups(const struct lack *l)
{
    for (uint32_t g = 0; g < l->pool->n_groups; g++) {
        buf_printf(l->out, "%s%u", g ? ", " : "", l->pool->groups[g].n_free);
        if (l->entry->fraction)
            print_part(l, &l->pool->groups[g]);
    }
}

static void print_free(const struct lack *l)
{
    begin(l);
    if (l->pool->n_groups == 0) {
        buf_puts(l->out, " asked, ");
        amount_print(l->pool->free_sum, l->out);
        buf_puts(l->out, " free");
        return;
    }
    buf_puts(l->out, l->pool->n_groups > 1 ? " asked, whole ones free per group: "
                                           : " asked, whole ones free: ");
    print_groups(l);
}

/* Enough indices are free, but not in the groups that the entry insists on. */
static void print_groups_lack(const struct lack *l)
{
    begin(l);
    buf_printf(l->out,
               " must come from %u group%s, free per group: ", l->entry->min_groups,
               l->entry->min_groups == 1 ? "" : "s");
    print_groups(l);
}

/* All that strict entries ask for is free, but not in coupled groups. */
static void print_coupling_lack(const struct alloc_state *s,
                                const struct alloc_plan *plan, struct buf *out)
{
    const char *comma = "";
    for (uint32_t i = 0; i < plan->n; i++)
        if (plan->entries[i].strict) {
            buf_printf(out, "%s%s", comma, s->pools[plan->entries[i].pool].name);
            comma = ", ";
        }
    buf_puts(out, ": groups that are coupled are not free together");
}

void alloc_print_lack(const struct alloc_state *s, const struct pool_set *pools,
                      const struct alloc_plan *plan, struct buf *out)
{
    struct group_demand demands[REQUEST_ENTRIES_MAX];
    size_t start = out->len;
    if (plan->never) {
        buf_puts(out, "this worker can never provide it");
        return;
    }
    for (uint32_t i = 0; i < plan->n; i++) {
        const struct alloc_plan_entry *e = &plan->entries[i];
        const struct lack l = {&s->pools[e->pool], &pools->pools[e->pool], e, out};
        if (!alloc_entry_fits(l.pool, e))
            print_free(&l);
    }
    if (out->len > start || !plan->strict)
        return;
    (void)alloc_demands(s, plan, false, demands);
    for (uint32_t i = 0, k = 0; i < plan->n; i++) {
        const struct alloc_plan_entry *e = &plan->entries[i];
        const struct lack l = {&s->pools[e->pool], &pools->pools[e->pool], e, out};
        if (e->strict && group_count_min(&demands[k]) > e->min_groups)
            print_groups_lack(&l);
        k += e->selects;
    }
    if (out->len == start && !alloc_fits(s, plan))
        print_coupling_lack(s, plan, out);
    if (out->len > start)
        buf_puts(out, "; without '!' it could start");
}
