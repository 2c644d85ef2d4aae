/* What keeps a plan from being honoured, in words for people. */
#include "topo/alloc_state.h"

static void begin(struct buf *out, const struct alloc_pool *p)
{
    buf_puts(out, out->len ? "; " : "");
    buf_printf(out, "%s: ", p->name);
}

static void print_groups(const struct alloc_pool *p, bool parts, struct buf *out)
{
    for (uint32_t g = 0; g < p->n_groups; g++) {
        buf_printf(out, "%s%u", g ? ", " : "", p->groups[g].n_free);
        uint16_t part = parts ? alloc_largest_partial(p, &p->groups[g]) : 0;
        if (part) {
            buf_puts(out, " and a part of ");
            amount_print(part, out);
        }
    }
}

static void print_free(const struct alloc_pool *p, const struct alloc_plan_entry *e,
                       struct buf *out)
{
    begin(out, p);
    amount_print(e->amount, out);
    if (p->n_groups == 0) {
        buf_puts(out, " asked, ");
        amount_print(p->free_sum, out);
        buf_puts(out, " free");
        return;
    }
    buf_puts(out, p->n_groups > 1 ? " asked, free per group: " : " asked, free: ");
    print_groups(p, e->fraction != 0, out);
}

/* Enough indices are free, but not in the groups that the entry insists on. */
static void print_groups_lack(const struct alloc_pool *p,
                              const struct alloc_plan_entry *e, struct buf *out)
{
    begin(out, p);
    amount_print(e->amount, out);
    buf_printf(out, " must come from %u group%s, free per group: ", e->min_groups,
               e->min_groups == 1 ? "" : "s");
    print_groups(p, e->fraction != 0, out);
}

void alloc_print_lack(const struct alloc_state *s, const struct alloc_plan *plan,
                      struct buf *out)
{
    struct group_demand demands[REQUEST_ENTRIES_MAX];
    size_t start = out->len;
    if (plan->never) {
        buf_puts(out, "this worker can never provide it");
        return;
    }
    for (uint32_t i = 0; i < plan->n; i++)
        if (!alloc_entry_fits(&s->pools[plan->entries[i].pool], &plan->entries[i]))
            print_free(&s->pools[plan->entries[i].pool], &plan->entries[i], out);
    if (out->len > start)
        return;
    (void)alloc_demands(s, plan, false, demands);
    for (uint32_t i = 0, k = 0; i < plan->n && plan->strict; i++) {
        const struct alloc_plan_entry *e = &plan->entries[i];
        if (e->strict && group_count_min(&demands[k]) > e->min_groups)
            print_groups_lack(&s->pools[e->pool], e, out);
        k += e->selects;
    }
    if (out->len == start && plan->strict)
        buf_puts(out, "no coupled groups are free together");
}
