/*
 * Private to conf: finds a key among the pairs of one map that is being read. Small
 * maps are searched, larger ones get a hash index over the array of pairs.
 */
#ifndef HQ_CONF_KEYS_H
#define HQ_CONF_KEYS_H

#include "conf/doc.h"

struct keys {
    uint32_t *slots;  /* index of the pair + 1, 0: free */
    uint32_t n_slots; /* in use, a power of two; 0: no index */
    uint32_t cap;
};

/* Forgets the pairs, keeps the memory. */
static inline void keys_clear(struct keys *k)
{
    k->n_slots = 0;
}
/* Index of the pair with that key among the n added ones, or UINT32_MAX. */
uint32_t keys_find(const struct keys *k, const struct conf_pair *pairs, uint32_t n,
                   const char *key, size_t key_len);
/* Takes in pairs[n - 1]; false: out of memory (the index is then unusable). */
bool keys_add(struct keys *k, struct arena *arena, const struct conf_pair *pairs,
              uint32_t n) MUST_CHECK;

#endif
