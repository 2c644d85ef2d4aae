/* --coupling: which groups of a worker's resources lie close to each other. */
#include "model/resource.h"

#include <ctype.h>
#include <stdlib.h>

#define WEIGHT_DEFAULT 256

static struct span trimmed(struct span s)
{
    while (s.n && isspace(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && isspace(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* The part before the first `sep`; *rest is what follows. False when there is none. */
static bool cut(struct span s, char sep, struct span *head, struct span *rest)
{
    const uint8_t *at = s.n ? memchr(s.p, sep, s.n) : NULL;
    if (!at)
        return false;
    *head = (struct span){s.p, (size_t)(at - s.p)};
    *rest = (struct span){at + 1, s.n - head->n - 1};
    return true;
}

/* Decimal number of the whole span. */
static bool to_number(struct span s, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(s.p[i] - '0');
        if (value > max)
            return false;
    }
    *out = (uint32_t)value;
    return true;
}

/* "cpus[1]" */
static int parse_side(struct span s, const struct pool_set *set, uint8_t *resource,
                      uint8_t *group, struct error *err)
{
    struct span name, index;
    uint32_t g;
    s = trimmed(s);
    if (s.n == 0 || s.p[s.n - 1] != ']')
        return error_set(err, ERR_PARSE, "Missing ']'");
    s.n--;
    if (!cut(s, '[', &name, &index))
        return error_set(err, ERR_PARSE, "Missing '['");
    size_t i = 0;
    while (i < set->n_pools && (strlen(set->pools[i].name) != name.n ||
                                memcmp(set->pools[i].name, name.p, name.n) != 0))
        i++;
    if (i == set->n_pools)
        return error_set(err, ERR_NOT_FOUND, "Resource not found: %.*s", (int)name.n,
                         (const char *)name.p);
    if (!to_number(index, UINT8_MAX, &g))
        return error_set(err, ERR_PARSE, "Invalid group index: %.*s", (int)index.n,
                         (const char *)index.p);
    *resource = (uint8_t)i;
    *group = (uint8_t)g;
    return 0;
}

static int parse_item(struct span item, const struct pool_set *set, struct coupling *c,
                      struct error *err)
{
    struct span pair, weight, left, right;
    uint32_t value = WEIGHT_DEFAULT;
    bool weighted = cut(item, '=', &pair, &weight);
    if (!weighted)
        pair = item;
    if (!cut(pair, ':', &left, &right))
        return error_set(err, ERR_PARSE, "Missing ':'");
    int rc = parse_side(left, set, &c->resource1, &c->group1, err);
    if (rc == 0)
        rc = parse_side(right, set, &c->resource2, &c->group2, err);
    if (rc < 0)
        return rc;
    if (weighted) {
        weight = trimmed(weight);
        if (!to_number(weight, UINT16_MAX, &value))
            return error_set(err, ERR_PARSE, "Invalid weight: %.*s", (int)weight.n,
                             (const char *)weight.p);
    }
    c->weight = (uint16_t)value;
    if (c->resource1 > c->resource2) {
        struct coupling swapped = {c->resource2, c->group2, c->resource1, c->group1,
                                   c->weight};
        *c = swapped;
    }
    return 0;
}

static int by_pair(const void *a, const void *b)
{
    const struct coupling *x = a, *y = b;
    int diff = x->resource1 - y->resource1;
    if (diff == 0)
        diff = x->group1 - y->group1;
    if (diff == 0)
        diff = x->resource2 - y->resource2;
    return diff ? diff : x->group2 - y->group2;
}

static int check_end(const struct pool_set *s, uint8_t resource, uint8_t group,
                     struct error *err)
{
    if (resource >= s->n_pools)
        return error_set(err, ERR_INVALID, "coupling of an unknown resource");
    const struct pool *p = &s->pools[resource];
    if (p->n_groups < 2)
        return error_set(err, ERR_INVALID, "Resource '%s' has only a single group",
                         p->name);
    if (group >= p->n_groups)
        return error_set(err, ERR_INVALID, "Invalid group id %u for resource '%s'",
                         group, p->name);
    return 0;
}

int coupling_check(const struct pool_set *s, struct error *err)
{
    for (size_t i = 0; i < s->n_couplings; i++) {
        const struct coupling *c = &s->couplings[i];
        int rc = check_end(s, c->resource1, c->group1, err);
        if (rc == 0)
            rc = check_end(s, c->resource2, c->group2, err);
        if (rc < 0)
            return rc;
        if (c->resource1 > c->resource2 || (i && by_pair(c - 1, c) > 0))
            return error_set(err, ERR_INVALID, "Coupling is not normalized");
        if (i && by_pair(c - 1, c) == 0)
            return error_set(err, ERR_EXISTS, "Repeated coupling definition");
    }
    return 0;
}

int coupling_parse(const char *text, struct pool_set *s, struct error *err)
{
    struct span rest = {(const uint8_t *)text, strlen(text)}, item;
    struct pool_set checked = *s;
    size_t n = 1, done = 0;
    int rc = 0;
    for (size_t i = 0; i < rest.n; i++)
        n += text[i] == ',';
    if (n > COUPLINGS_MAX)
        return error_set(err, ERR_TOO_BIG,
                         "too many couplings, at most %u are possible", COUPLINGS_MAX);
    struct coupling *made = calloc(n, sizeof *made);
    if (!made)
        return error_nomem(err);
    while (rc == 0 && done < n) {
        if (!cut(rest, ',', &item, &rest))
            item = rest;
        rc = parse_item(trimmed(item), s, &made[done++], err);
    }
    if (rc == 0) {
        qsort(made, n, sizeof *made, by_pair);
        checked.couplings = made;
        checked.n_couplings = n;
        rc = coupling_check(&checked, err);
    }
    if (rc < 0) {
        free(made);
        return rc;
    }
    free(s->couplings);
    s->couplings = made;
    s->n_couplings = n;
    return 0;
}
