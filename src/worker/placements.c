/*
 * What the server is told about where tasks run. Seats with the same allocation and
 * binding share one placement; each is sent once a connection, before the first report
 * that names it.
 */
#include "worker/internal.h"

#include <linux/mempolicy.h>
#include <stdlib.h>
#include "base/checksum.h"
#include "base/xmem.h"

static char *labels_of(const struct worker *w, const struct allocation *a,
                       const struct alloc_entry *e)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&text, "");
    if (e->n)
        alloc_print_labels(&w->setup->config.pools, a, e, &text);
    char *copy = xstrdup(buf_cstr(&text));
    buf_release(&text);
    return copy;
}

static char *set_text(const struct cpu_set *set)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    cpu_set_print(set, &text);
    char *copy = xstrdup(buf_cstr(&text));
    buf_release(&text);
    return copy;
}

static void describe(const struct worker *w, const struct seat *s, enum pin_scope scope,
                     const struct pin_plan *plan, struct placement *p)
{
    static const uint8_t bindings[] = {[PIN_DOMAINS] = PLACED_IN_DOMAINS,
                                       [PIN_RANK] = PLACED_ANYWHERE,
                                       [PIN_EXACT] = PLACED_EXACTLY};
    const struct alloc_entry *entries = allocation_entries(&s->allocation);
    size_t n = s->has_allocation ? s->allocation.n_entries : 0;
    *p = (struct placement){
        .binding = plan->whole ? PLACED_ANYWHERE : bindings[scope],
        .memory = plan->mempolicy == MPOL_BIND      ? PLACED_MEMORY_STRICT
                  : plan->mempolicy == MPOL_DEFAULT ? PLACED_MEMORY_DEFAULT
                                                    : PLACED_MEMORY_PREFERRED,
        .cpus = set_text(&plan->cpus),
        .nodes = set_text(&plan->nodes),
        .entries = xcalloc(n + 1, sizeof *p->entries),
        .n_entries = n,
    };
    for (size_t i = 0; i < n; i++)
        p->entries[i] = (struct placement_entry){
            xstrdup(w->setup->config.pools.pools[entries[i].pool].name),
            labels_of(w, &s->allocation, &entries[i]), entries[i].amount};
}

/* The number of these bytes, which are taken when they are new. */
static uint32_t intern(struct worker *w, struct buf *bytes)
{
    uint64_t id, key = checksum64(bytes->data, bytes->len, 0);
    if (bytes->failed || bytes->len > PLACEMENT_BYTES_MAX || key == U64MAP_NO_KEY)
        return 0;
    if (u64map_get(&w->placement_ids, key, &id)) {
        const struct buf *known = &w->placements[id - 1];
        bool same = known->len == bytes->len &&
                    memcmp(known->data, bytes->data, bytes->len) == 0;
        return same ? (uint32_t)id : 0;
    }
    if (w->n_placements >= PLACEMENTS_OF_WORKER_MAX)
        return 0;
    if ((w->n_placements & (w->n_placements - 1)) == 0)
        w->placements = xrealloc(w->placements,
                                 MAX(w->n_placements * 2, 8u) * sizeof *w->placements);
    w->placements[w->n_placements++] = *bytes;
    buf_init(bytes, PLACEMENT_BYTES_MAX * 2);
    if (u64map_set(&w->placement_ids, key, w->n_placements) != 0)
        abort();
    return w->n_placements;
}

uint32_t placement_of(struct worker *w, const struct seat *s, enum pin_scope scope,
                      const struct pin_plan *plan)
{
    struct placement p;
    struct buf bytes = BUF_INIT(PLACEMENT_BYTES_MAX * 2);
    describe(w, s, scope, plan, &p);
    placement_encode(&p, &bytes);
    uint32_t id = intern(w, &bytes);
    buf_release(&bytes);
    placement_release(&p);
    return id;
}

void placements_put(struct worker *w, struct buf *out)
{
    for (; w->n_placements_sent < w->n_placements; w->n_placements_sent++) {
        const struct buf *bytes = &w->placements[w->n_placements_sent];
        buf_bytes(out, bytes->data, bytes->len);
    }
}

void placements_send(struct worker *w)
{
    struct buf list = BUF_INIT(BUF_MAX_DEFAULT);
    if (w->n_placements_sent == w->n_placements)
        return;
    placements_put(w, &list);
    struct msg_PLACEMENTS m = {.list = span_buf(&list)};
    msg_put_PLACEMENTS(io_conn_batch(w->conn), &m);
    buf_release(&list);
}

void placements_release(struct worker *w)
{
    for (uint32_t i = 0; i < w->n_placements; i++)
        buf_release(&w->placements[i]);
    free(w->placements);
    u64map_release(&w->placement_ids);
}
