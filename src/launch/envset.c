#include "launch/envset.h"

#include <stdlib.h>
#include <string.h>

size_t env_name_len(const char *var)
{
    /* A name may begin with '=': look for the end behind its first character. */
    return var[0] ? strcspn(var + 1, "=") + 1 : 0;
}

bool envset_init(struct envset *e, size_t max)
{
    size_t size = 16;
    while (size < max * 2)
        size *= 2;
    e->n = 0;
    e->cap = max;
    e->mask = size - 1;
    e->vars = calloc(max + 1, sizeof *e->vars);
    e->index = calloc(size, sizeof *e->index);
    if (e->vars && e->index)
        return true;
    envset_release(e);
    return false;
}

void envset_release(struct envset *e)
{
    free(e->vars);
    free(e->index);
    memset(e, 0, sizeof *e);
}

/* FNV-1a */
static uint32_t hash_name(const char *name, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h ^ h >> 15;
}

/* The place in the index where the name is or would go. */
static size_t probe(const struct envset *e, const char *var)
{
    size_t len = env_name_len(var);
    size_t at = hash_name(var, len) & e->mask;
    while (e->index[at]) {
        const char *there = e->vars[e->index[at] - 1];
        if (env_name_len(there) == len && memcmp(there, var, len) == 0)
            break;
        at = (at + 1) & e->mask;
    }
    return at;
}

void envset_set(struct envset *e, const char *var)
{
    size_t at = probe(e, var);
    if (e->index[at]) {
        e->vars[e->index[at] - 1] = var;
        return;
    }
    HQ_ASSERT(e->n < e->cap);
    e->vars[e->n++] = var;
    e->index[at] = (uint32_t)e->n;
}

size_t envset_find(const struct envset *e, const char *var)
{
    uint32_t found = e->index[probe(e, var)];
    return found ? found - 1 : e->n;
}
