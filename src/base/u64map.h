/*
 * Map from u64 keys to u64 values: open addressing, linear probing, removal without
 * tombstones. Any key but UINT64_MAX. Grows at 3/4; never shrinks until released.
 */
#ifndef HQ_BASE_U64MAP_H
#define HQ_BASE_U64MAP_H

#include "base/error.h"
#include "base/util.h"

#define U64MAP_NO_KEY UINT64_MAX

struct u64map_slot {
    uint64_t key, value;
};

struct u64map {
    struct u64map_slot *slots;
    size_t n, cap; /* cap: 0 or a power of two */
};

#define U64MAP_INIT \
    {               \
        NULL, 0, 0  \
    }

void u64map_release(struct u64map *m);
/* Adds or replaces. 0 or ERR_NOMEM. */
int u64map_set(struct u64map *m, uint64_t key, uint64_t value) MUST_CHECK;
bool u64map_get(const struct u64map *m, uint64_t key, uint64_t *value);
bool u64map_remove(struct u64map *m, uint64_t key); /* whether it was there */

/* Iteration in any order; the map must not change meanwhile. *pos starts at 0. */
bool u64map_next(const struct u64map *m, size_t *pos, uint64_t *key, uint64_t *value);

#endif
