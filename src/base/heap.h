/*
 * struct heap: a 4-ary heap of (high, low) keys, smallest first, each with a payload of
 * 64 bits. Items are copied; nothing is freed for the caller. Equal keys leave in no
 * particular order: make `low` distinct (a job and slot, a counter) where order
 * matters, or set `tie` where 128 bits are too few.
 */
#ifndef HQ_BASE_HEAP_H
#define HQ_BASE_HEAP_H

#include "base/util.h"

struct heap_item {
    uint64_t high, low; /* the key: low decides when high is equal */
    uint64_t payload;
};

struct heap {
    struct heap_item *items;
    size_t len;
    size_t cap;
    /* Whether a comes before b, where their keys are equal; NULL: whichever. */
    bool (*tie)(const struct heap_item *a, const struct heap_item *b);
};

#define HEAP_INIT        \
    {                    \
        NULL, 0, 0, NULL \
    }

void heap_release(struct heap *h);
/* Room for n items in all, so that pushing up to there cannot fail. 0 or ERR_NOMEM. */
int heap_reserve(struct heap *h, size_t n) MUST_CHECK;
/* 0 or ERR_NOMEM (nothing changed). */
int heap_push(struct heap *h, struct heap_item item) MUST_CHECK;
/* The smallest item, NULL when empty; valid until the next change. */
static inline const struct heap_item *heap_peek(const struct heap *h)
{
    return h->len ? &h->items[0] : NULL;
}
/* Takes the smallest item out; false when empty. */
bool heap_pop(struct heap *h, struct heap_item *out);
/* Puts `item` in the place of the smallest: one walk instead of two. Not when empty. */
void heap_replace_top(struct heap *h, struct heap_item item);
/* Keeps the items for which fn is true; O(n). */
void heap_filter(struct heap *h, bool (*fn)(const struct heap_item *item, void *arg),
                 void *arg);

#endif
