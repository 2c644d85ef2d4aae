#include "conf/keys.h"

#include "base/checksum.h"

#define SEARCHED_MAX 8 /* pairs that are compared one by one */
#define SLOTS_FIRST 32

static uint32_t *slot_of(const struct keys *k, const struct conf_pair *pairs,
                         const char *key, size_t key_len)
{
    uint32_t mask = k->n_slots - 1;
    uint32_t i = (uint32_t)checksum64(key, key_len, 0) & mask;
    for (; k->slots[i]; i = (i + 1) & mask) {
        const struct conf_node *other = pairs[k->slots[i] - 1].key;
        if (other->n == key_len && memcmp(other->text, key, key_len) == 0)
            break;
    }
    return &k->slots[i];
}

uint32_t keys_find(const struct keys *k, const struct conf_pair *pairs, uint32_t n,
                   const char *key, size_t key_len)
{
    if (k->n_slots)
        return *slot_of(k, pairs, key, key_len) - 1;
    for (uint32_t i = 0; i < n; i++)
        if (pairs[i].key->n == key_len && memcmp(pairs[i].key->text, key, key_len) == 0)
            return i;
    return UINT32_MAX;
}

bool keys_add(struct keys *k, struct arena *arena, const struct conf_pair *pairs,
              uint32_t n)
{
    if (n <= SEARCHED_MAX)
        return true;
    uint32_t from = n - 1;
    if (n > k->n_slots / 2) {
        uint32_t n_slots = MAX(k->n_slots, (uint32_t)SLOTS_FIRST);
        while (n > n_slots / 2)
            n_slots *= 2;
        if (n_slots > k->cap) {
            uint32_t *slots = arena_array(arena, n_slots, sizeof *slots);
            if (!slots)
                return false;
            k->slots = slots;
            k->cap = n_slots;
        }
        memset(k->slots, 0, n_slots * sizeof *k->slots);
        k->n_slots = n_slots;
        from = 0;
    }
    for (uint32_t i = from; i < n; i++)
        *slot_of(k, pairs, pairs[i].key->text, pairs[i].key->n) = i + 1;
    return true;
}
