#include "base/u64map.h"

#include <stdlib.h>

#define CAP_MIN 16

/* Fibonacci hashing spreads consecutive ids over the table. */
static size_t home_of(const struct u64map *m, uint64_t key)
{
    return (size_t)((key ^ key >> 32) * 0x9e3779b97f4a7c15ULL >> 20) & (m->cap - 1);
}

void u64map_release(struct u64map *m)
{
    free(m->slots);
    *m = (struct u64map)U64MAP_INIT;
}

static size_t find(const struct u64map *m, uint64_t key)
{
    size_t i = home_of(m, key);
    while (m->slots[i].key != key && m->slots[i].key != U64MAP_NO_KEY)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static int grow(struct u64map *m)
{
    struct u64map bigger = {.cap = m->cap ? m->cap * 2 : CAP_MIN, .n = m->n};
    bigger.slots = malloc(bigger.cap * sizeof *bigger.slots);
    if (!bigger.slots)
        return ERR_NOMEM;
    for (size_t i = 0; i < bigger.cap; i++)
        bigger.slots[i].key = U64MAP_NO_KEY;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key != U64MAP_NO_KEY)
            bigger.slots[find(&bigger, m->slots[i].key)] = m->slots[i];
    free(m->slots);
    *m = bigger;
    return 0;
}

int u64map_set(struct u64map *m, uint64_t key, uint64_t value)
{
    HQ_ASSERT(key != U64MAP_NO_KEY);
    if ((m->n + 1) * 4 > m->cap * 3) {
        int rc = grow(m);
        if (rc != 0)
            return rc;
    }
    size_t i = find(m, key);
    if (m->slots[i].key == U64MAP_NO_KEY)
        m->n++;
    m->slots[i] = (struct u64map_slot){key, value};
    return 0;
}

bool u64map_get(const struct u64map *m, uint64_t key, uint64_t *value)
{
    if (m->n == 0)
        return false;
    size_t i = find(m, key);
    if (m->slots[i].key == U64MAP_NO_KEY)
        return false;
    if (value)
        *value = m->slots[i].value;
    return true;
}

bool u64map_remove(struct u64map *m, uint64_t key)
{
    if (m->n == 0)
        return false;
    size_t hole = find(m, key), mask = m->cap - 1;
    if (m->slots[hole].key == U64MAP_NO_KEY)
        return false;
    /* Move back whatever would no longer be found behind the hole. */
    for (size_t i = (hole + 1) & mask; m->slots[i].key != U64MAP_NO_KEY;
         i = (i + 1) & mask) {
        size_t home = home_of(m, m->slots[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].key = U64MAP_NO_KEY;
    m->n--;
    return true;
}

bool u64map_next(const struct u64map *m, size_t *pos, uint64_t *key, uint64_t *value)
{
    for (; *pos < m->cap; ++*pos)
        if (m->slots[*pos].key != U64MAP_NO_KEY) {
            *key = m->slots[*pos].key;
            *value = m->slots[*pos].value;
            ++*pos;
            return true;
        }
    return false;
}
