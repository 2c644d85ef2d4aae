/* All resources of one worker: building, checking, bytes. */
#include "model/resource.h"

#include <stdlib.h>
#include "model/resource_grammar.h"

#define AMOUNT_MAX (AMOUNT_UNITS_MAX * AMOUNT_ONE + AMOUNT_ONE - 1)

void pool_set_release(struct pool_set *s)
{
    for (size_t i = 0; i < s->n_pools; i++)
        pool_release(&s->pools[i]);
    free(s->pools);
    free(s->couplings);
    *s = (struct pool_set)POOL_SET_INIT;
}

const struct pool *pool_set_find(const struct pool_set *s, const char *name)
{
    for (size_t i = 0; i < s->n_pools; i++)
        if (strcmp(s->pools[i].name, name) == 0)
            return &s->pools[i];
    return NULL;
}

const struct pool *pool_set_serving(const struct pool_set *s, const char *name)
{
    const struct pool *best = pool_set_find(s, name);
    if (best || strcmp(name, GPUS_ANY) != 0)
        return best;
    for (size_t i = 0; i < s->n_pools; i++)
        if (strncmp(s->pools[i].name, GPUS_KIND, strlen(GPUS_KIND)) == 0 &&
            (!best || pool_size(&s->pools[i]) > pool_size(best)))
            best = &s->pools[i];
    return best;
}

static int set_push(struct pool_set *s, struct pool *p)
{
    struct pool *grown = realloc(s->pools, (s->n_pools + 1) * sizeof *s->pools);
    if (!grown)
        return ERR_NOMEM;
    s->pools = grown;
    s->pools[s->n_pools++] = *p;
    *p = (struct pool)POOL_INIT;
    return 0;
}

int pool_set_add(struct pool_set *s, struct pool *p, struct error *err)
{
    if (p->kind == POOL_SUM && strcmp(p->name, "cpus") == 0)
        return error_set(err, ERR_INVALID,
                         "Resource kind `sum` cannot be used with CPUs. CPUs must have "
                         "identity");
    if (pool_set_find(s, p->name))
        return error_set(err, ERR_EXISTS, "Resource %s defined twice", p->name);
    if (s->n_pools >= POOLS_MAX)
        return error_set(err, ERR_TOO_BIG,
                         "too many resources, at most %d are possible", POOLS_MAX);
    return set_push(s, p) < 0 ? error_nomem(err) : 0;
}

int pool_set_copy(struct pool_set *to, const struct pool_set *from)
{
    struct pool_set made = POOL_SET_INIT;
    int rc = 0;
    for (size_t i = 0; i < from->n_pools && rc == 0; i++) {
        struct pool p = POOL_INIT;
        rc = pool_copy(&p, &from->pools[i]);
        if (rc == 0)
            rc = set_push(&made, &p);
        if (rc < 0)
            pool_release(&p);
    }
    if (rc == 0 && from->n_couplings) {
        made.couplings = malloc(from->n_couplings * sizeof *made.couplings);
        if (made.couplings) {
            memcpy(made.couplings, from->couplings,
                   from->n_couplings * sizeof *made.couplings);
            made.n_couplings = from->n_couplings;
        } else {
            rc = ERR_NOMEM;
        }
    }
    if (rc == 0)
        *to = made;
    else
        pool_set_release(&made);
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether a label occurs twice in the pool or is longer than allowed. */
static int check_labels(const struct pool *p, size_t n, struct error *err)
{
    const char **sorted = malloc(n * sizeof *sorted);
    size_t k = 0;
    int rc = 0;
    if (!sorted)
        return error_nomem(err);
    for (size_t i = 0; i < p->n_groups; i++)
        for (size_t j = 0; j < p->groups[i].n; j++)
            sorted[k++] = p->groups[i].labels[j];
    qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (strlen(sorted[i]) > POOL_LABEL_MAX)
            rc = error_set(err, ERR_TOO_BIG,
                           "resource '%s' has a label of more than %d characters",
                           p->name, POOL_LABEL_MAX);
        else if (i && strcmp(sorted[i - 1], sorted[i]) == 0)
            rc = error_set(
                err, ERR_INVALID,
                "Invalid resource definition for %s: GenericError(\"Non unique "
                "indices\")",
                p->name);
    }
    free(sorted);
    return rc;
}

static int check_pool(const struct pool *p, struct error *err)
{
    uint64_t size = pool_size(p);
    if (size == 0)
        return error_set(err, ERR_INVALID, "Resource %s is empty", p->name);
    if (p->kind == POOL_SUM)
        return 0;
    if (size / AMOUNT_ONE > POOL_ITEMS_MAX || p->n_groups > POOL_GROUPS_MAX)
        return error_set(
            err, ERR_TOO_BIG,
            "resource '%s' is too large: at most %u indices in %u groups are "
            "possible",
            p->name, POOL_ITEMS_MAX, POOL_GROUPS_MAX);
    return p->kind == POOL_RANGE ? 0 : check_labels(p, size / AMOUNT_ONE, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct pool *)a)->name, ((const struct pool *)b)->name);
}

int pool_set_finish(struct pool_set *s, struct error *err)
{
    if (s->n_pools)
        qsort(s->pools, s->n_pools, sizeof *s->pools, by_name);
    for (size_t i = 0; i < s->n_pools; i++) {
        int rc = check_pool(&s->pools[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void nodes_encode(const struct pool *p, struct buf *out)
{
    size_t n = p->nodes ? pool_index_count(p) : 0, runs = 0;
    for (size_t i = 0; i < n; i++)
        runs += i == 0 || p->nodes[i] != p->nodes[i - 1];
    buf_varint(out, runs);
    for (size_t i = 0, length; i < n; i += length) {
        for (length = 1; i + length < n && p->nodes[i + length] == p->nodes[i];)
            length++;
        buf_varint(out, length);
        buf_varint(out, p->nodes[i] == NODE_NONE ? 0 : (uint64_t)p->nodes[i] + 1);
    }
}

/*
 * varint count of pools, each: str name, u8 kind, and by kind: varint count of groups
 * (varint count, str labels) | u32 first, u32 last | varint amount. Then varint count
 * of couplings, each u8 resource1, group1, resource2, group2, u16 weight. Then for each
 * pool the NUMA nodes of its indices as runs: varint count of runs, each varint length,
 * varint node + 1 (0: unknown).
 */
void pool_set_encode(const struct pool_set *s, struct buf *out)
{
    buf_varint(out, s->n_pools);
    for (size_t i = 0; i < s->n_pools; i++) {
        const struct pool *p = &s->pools[i];
        buf_str(out, p->name);
        buf_u8(out, (uint8_t)p->kind);
        if (p->kind == POOL_RANGE) {
            buf_u32(out, p->range_first);
            buf_u32(out, p->range_last);
        } else if (p->kind == POOL_SUM) {
            buf_varint(out, p->sum);
        } else {
            buf_varint(out, p->n_groups);
            for (size_t j = 0; j < p->n_groups; j++) {
                buf_varint(out, p->groups[j].n);
                for (size_t k = 0; k < p->groups[j].n; k++)
                    buf_str(out, p->groups[j].labels[k]);
            }
        }
    }
    buf_varint(out, s->n_couplings);
    for (size_t i = 0; i < s->n_couplings; i++) {
        const struct coupling *c = &s->couplings[i];
        buf_u8(out, c->resource1);
        buf_u8(out, c->group1);
        buf_u8(out, c->resource2);
        buf_u8(out, c->group2);
        buf_u16(out, c->weight);
    }
    for (size_t i = 0; i < s->n_pools; i++)
        nodes_encode(&s->pools[i], out);
}

static int labels_decode(struct pool *p, struct cursor *c)
{
    size_t n = cursor_count(c, 1);
    int rc = pool_add_group(p);
    if (rc == 0 && (n == 0 || n > POOL_ITEMS_MAX))
        rc = ERR_CORRUPT;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct span label = cursor_bytes(c);
        if (c->failed || label.n > POOL_LABEL_MAX || memchr(label.p, 0, label.n))
            return ERR_CORRUPT;
        rc = pool_add_label(p, (const char *)label.p, label.n);
    }
    return rc;
}

static int groups_decode(struct pool *p, struct cursor *c)
{
    size_t n = cursor_count(c, 2);
    int rc = 0;
    if (n > POOL_GROUPS_MAX || (p->kind == POOL_LIST ? n != 1 : n < 2))
        return ERR_CORRUPT;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = labels_decode(p, c);
    return rc;
}

static int pool_decode(struct pool *p, struct cursor *c)
{
    int rc = resource_name_decode(&p->name, c);
    uint8_t kind = cursor_u8(c);
    if (rc < 0)
        return rc;
    if (c->failed || kind > POOL_SUM)
        return ERR_CORRUPT;
    p->kind = (enum pool_kind)kind;
    if (p->kind == POOL_RANGE) {
        p->range_first = cursor_u32(c);
        p->range_last = cursor_u32(c);
        if (p->range_last < p->range_first)
            rc = ERR_CORRUPT;
    } else if (p->kind == POOL_SUM) {
        p->sum = cursor_varint(c);
        if (p->sum > AMOUNT_MAX)
            rc = ERR_CORRUPT;
    } else {
        rc = groups_decode(p, c);
    }
    return c->failed ? ERR_CORRUPT : rc;
}

static int couplings_decode(struct pool_set *s, struct cursor *c)
{
    size_t n = cursor_count(c, 6);
    if (c->failed || n > COUPLINGS_MAX)
        return ERR_CORRUPT;
    if (n == 0)
        return 0;
    s->couplings = malloc(n * sizeof *s->couplings);
    if (!s->couplings)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        struct coupling *k = &s->couplings[s->n_couplings++];
        k->resource1 = cursor_u8(c);
        k->group1 = cursor_u8(c);
        k->resource2 = cursor_u8(c);
        k->group2 = cursor_u8(c);
        k->weight = cursor_u16(c);
    }
    return c->failed ? ERR_CORRUPT : coupling_check(s, NULL);
}

static int nodes_decode(struct pool *p, struct cursor *c)
{
    size_t runs = cursor_count(c, 2), n = pool_index_count(p), done = 0;
    if (c->failed || runs > n)
        return ERR_CORRUPT;
    if (runs == 0)
        return 0;
    p->nodes = malloc(n * sizeof *p->nodes);
    if (!p->nodes)
        return ERR_NOMEM;
    for (size_t i = 0; i < runs; i++) {
        uint64_t length = cursor_varint(c), node = cursor_varint(c);
        if (c->failed || length > n - done || node > NODES_MAX)
            return ERR_CORRUPT;
        for (; length > 0; length--)
            p->nodes[done++] = node ? (uint16_t)(node - 1) : NODE_NONE;
    }
    return done == n ? 0 : ERR_CORRUPT;
}

int pool_set_decode(struct pool_set *s, struct cursor *c)
{
    struct pool_set made = POOL_SET_INIT;
    size_t n = cursor_count(c, 4);
    int rc = c->failed || n > POOLS_MAX ? ERR_CORRUPT : 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct pool p = POOL_INIT;
        rc = pool_decode(&p, c);
        if (rc == 0 && made.n_pools && by_name(&made.pools[i - 1], &p) >= 0)
            rc = ERR_CORRUPT;
        if (rc == 0)
            rc = check_pool(&p, NULL);
        if (rc == 0)
            rc = pool_set_add(&made, &p, NULL);
        if (rc < 0)
            pool_release(&p);
    }
    if (rc == 0)
        rc = couplings_decode(&made, c);
    for (size_t i = 0; i < made.n_pools && rc == 0; i++)
        rc = nodes_decode(&made.pools[i], c);
    if (rc == 0)
        *s = made;
    else
        pool_set_release(&made);
    return rc == 0 || rc == ERR_NOMEM ? rc : ERR_CORRUPT;
}
