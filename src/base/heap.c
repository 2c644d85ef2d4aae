#include "base/heap.h"

#include <stdlib.h>
#include "base/error.h"

#define ARITY 4

static bool before(const struct heap *h, const struct heap_item *a,
                   const struct heap_item *b)
{
    if (a->high != b->high)
        return a->high < b->high;
    if (a->low != b->low)
        return a->low < b->low;
    return h->tie && h->tie(a, b);
}

void heap_release(struct heap *h)
{
    free(h->items);
    *h = (struct heap)HEAP_INIT;
}

int heap_reserve(struct heap *h, size_t n)
{
    size_t bytes;
    if (n <= h->cap)
        return 0;
    if (MUL_OVERFLOWS(n, sizeof *h->items, &bytes))
        return ERR_NOMEM;
    struct heap_item *items = realloc(h->items, bytes);
    if (!items)
        return ERR_NOMEM;
    h->items = items;
    h->cap = n;
    return 0;
}

/* Puts item at place i or above, where it belongs. */
static void sift_up(struct heap *h, size_t i, struct heap_item item)
{
    while (i > 0) {
        size_t parent = (i - 1) / ARITY;
        if (!before(h, &item, &h->items[parent]))
            break;
        h->items[i] = h->items[parent];
        i = parent;
    }
    h->items[i] = item;
}

/* Puts item at place i or below, where it belongs. */
static void sift_down(struct heap *h, size_t i, struct heap_item item)
{
    for (;;) {
        size_t child = i * ARITY + 1;
        if (child >= h->len)
            break;
        size_t end = MIN(child + ARITY, h->len), least = child;
        for (size_t k = child + 1; k < end; k++)
            if (before(h, &h->items[k], &h->items[least]))
                least = k;
        if (!before(h, &h->items[least], &item))
            break;
        h->items[i] = h->items[least];
        i = least;
    }
    h->items[i] = item;
}

int heap_push(struct heap *h, struct heap_item item)
{
    if (h->len == h->cap && heap_reserve(h, MAX(h->cap * 2, (size_t)16)) != 0)
        return ERR_NOMEM;
    sift_up(h, h->len++, item);
    return 0;
}

bool heap_pop(struct heap *h, struct heap_item *out)
{
    if (h->len == 0)
        return false;
    *out = h->items[0];
    h->len--;
    if (h->len)
        sift_down(h, 0, h->items[h->len]);
    return true;
}

void heap_replace_top(struct heap *h, struct heap_item item)
{
    HQ_ASSERT(h->len > 0);
    sift_down(h, 0, item);
}

void heap_filter(struct heap *h, bool (*fn)(const struct heap_item *item, void *arg),
                 void *arg)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->len; i++)
        if (fn(&h->items[i], arg))
            h->items[kept++] = h->items[i];
    h->len = kept;
    for (size_t i = kept / ARITY + 1; i-- > 0;)
        if (i < kept)
            sift_down(h, i, h->items[i]);
}
