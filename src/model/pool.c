/* Resources of a worker as data: memory, comparison, bytes, listings. */
#include "model/resource.h"

#include <stdio.h>
#include <stdlib.h>

static void group_release(struct pool_group *g)
{
    for (size_t i = 0; i < g->n; i++)
        free(g->labels[i]);
    free(g->labels);
}

void pool_release(struct pool *p)
{
    for (size_t i = 0; i < p->n_groups; i++)
        group_release(&p->groups[i]);
    free(p->groups);
    free(p->name);
    free(p->nodes);
    *p = (struct pool)POOL_INIT;
}

int pool_add_group(struct pool *p)
{
    struct pool_group *grown =
        realloc(p->groups, (p->n_groups + 1) * sizeof *p->groups);
    if (!grown)
        return ERR_NOMEM;
    p->groups = grown;
    p->groups[p->n_groups++] = (struct pool_group){NULL, 0};
    return 0;
}

int pool_add_label(struct pool *p, const char *label, size_t len)
{
    struct pool_group *g = &p->groups[p->n_groups - 1];
    if ((g->n & (g->n - 1)) == 0) { /* grows at powers of two */
        char **grown = realloc(g->labels, (g->n ? g->n * 2 : 1) * sizeof *g->labels);
        if (!grown)
            return ERR_NOMEM;
        g->labels = grown;
    }
    char *copy = strndup(label, len);
    if (!copy)
        return ERR_NOMEM;
    g->labels[g->n++] = copy;
    return 0;
}

int pool_copy(struct pool *to, const struct pool *from)
{
    struct pool made = *from;
    made.groups = NULL;
    made.n_groups = 0;
    made.nodes = NULL;
    made.name = strdup(from->name);
    int rc = made.name ? 0 : ERR_NOMEM;
    if (rc == 0 && from->nodes) {
        size_t bytes = pool_index_count(from) * sizeof *made.nodes;
        made.nodes = malloc(bytes + 1);
        if (made.nodes)
            memcpy(made.nodes, from->nodes, bytes);
        else
            rc = ERR_NOMEM;
    }
    for (size_t i = 0; i < from->n_groups && rc == 0; i++) {
        const struct pool_group *g = &from->groups[i];
        rc = pool_add_group(&made);
        for (size_t j = 0; j < g->n && rc == 0; j++)
            rc = pool_add_label(&made, g->labels[j], strlen(g->labels[j]));
    }
    if (rc == 0)
        *to = made;
    else
        pool_release(&made);
    return rc;
}

size_t pool_group_size(const struct pool *p, size_t group)
{
    if (p->kind == POOL_RANGE)
        return (size_t)(p->range_last - p->range_first) + 1;
    return p->kind == POOL_SUM ? 0 : p->groups[group].n;
}

size_t pool_index_count(const struct pool *p)
{
    return p->kind == POOL_SUM ? 0 : (size_t)(pool_size(p) / AMOUNT_ONE);
}

const char *pool_label(const struct pool *p, uint32_t index, char scratch[16])
{
    if (p->kind == POOL_RANGE) {
        (void)snprintf(scratch, 16, "%u", p->range_first + index);
        return scratch;
    }
    size_t g = 0;
    for (; index >= p->groups[g].n; g++)
        index -= (uint32_t)p->groups[g].n;
    return p->groups[g].labels[index];
}

uint64_t pool_size(const struct pool *p)
{
    uint64_t n = 0;
    if (p->kind == POOL_SUM)
        return p->sum;
    if (p->kind == POOL_RANGE)
        return ((uint64_t)(p->range_last - p->range_first) + 1) * AMOUNT_ONE;
    for (size_t i = 0; i < p->n_groups; i++)
        n += p->groups[i].n;
    return n * AMOUNT_ONE;
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Counts of equal groups, smallest first: "2x1 1x3". */
static void print_group_sizes(const struct pool *p, struct buf *out)
{
    size_t *sizes = malloc(p->n_groups * sizeof *sizes);
    if (!sizes) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < p->n_groups; i++)
        sizes[i] = p->groups[i].n;
    qsort(sizes, p->n_groups, sizeof *sizes, by_size);
    for (size_t i = 0, n; i < p->n_groups; i += n) {
        for (n = 1; i + n < p->n_groups && sizes[i + n] == sizes[i];)
            n++;
        buf_printf(out, "%s%zux%zu", i ? " " : "", n, sizes[i]);
    }
    free(sizes);
}

static void print_memory(uint64_t amount, struct buf *out)
{
    double mib = (double)amount / (double)AMOUNT_ONE;
    if (mib < 512)
        buf_printf(out, "%.2f MiB", mib);
    else
        buf_printf(out, "%.2f GiB", mib / 1024);
}

static bool is_coupled(const struct pool_set *s, size_t index)
{
    for (size_t i = 0; i < s->n_couplings; i++)
        if (s->couplings[i].resource1 == index || s->couplings[i].resource2 == index)
            return true;
    return false;
}

void pool_print_summary(const struct pool_set *s, size_t index, struct buf *out)
{
    const struct pool *p = &s->pools[index];
    switch (p->kind) {
    case POOL_LIST:
    case POOL_RANGE:
        amount_print(pool_size(p), out);
        break;
    case POOL_GROUPS:
        if (p->n_groups == 1)
            amount_print(pool_size(p), out);
        else
            print_group_sizes(p, out);
        break;
    case POOL_SUM:
        if (strcmp(p->name, "mem") == 0)
            print_memory(p->sum, out);
        else
            amount_print(p->sum, out);
        break;
    }
    if (is_coupled(s, index))
        buf_puts(out, " [coupled]");
}

static void print_labels(const struct pool_group *g, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < g->n; i++) {
        if (i)
            buf_putc(out, ',');
        buf_puts(out, g->labels[i]);
    }
    buf_putc(out, ']');
}

void pool_print_full(const struct pool *p, struct buf *out)
{
    switch (p->kind) {
    case POOL_LIST:
        print_labels(&p->groups[0], out);
        break;
    case POOL_GROUPS:
        buf_putc(out, '[');
        for (size_t i = 0; i < p->n_groups; i++) {
            if (i)
                buf_putc(out, ',');
            print_labels(&p->groups[i], out);
        }
        buf_putc(out, ']');
        break;
    case POOL_RANGE:
        if (p->range_first == p->range_last)
            buf_printf(out, "[%u]", p->range_first);
        else
            buf_printf(out, "range(%u-%u)", p->range_first, p->range_last);
        break;
    case POOL_SUM:
        buf_puts(out, "sum(");
        amount_print(p->sum, out);
        buf_putc(out, ')');
        break;
    }
}
