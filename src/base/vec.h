/*
 * Growable arrays of any type: VEC(uint32_t) ids = VEC_INIT; vec_push(&ids, 7).
 * Elements are ids.data[0 .. ids.len). Growing moves them; pushing fails (false,
 * nothing changed) when there is no memory.
 */
#ifndef HQ_BASE_VEC_H
#define HQ_BASE_VEC_H

#include <stdlib.h>
#include <string.h>
#include "base/util.h"

#define VEC(type)   \
    struct {        \
        type *data; \
        size_t len; \
        size_t cap; \
    }
#define VEC_INIT   \
    {              \
        NULL, 0, 0 \
    }

/* Room for n more elements. */
#define vec_reserve(v, n)          \
    ((n) <= (v)->cap - (v)->len || \
     vec_grow(&(v)->data, &(v)->cap, (v)->len, (n), sizeof *(v)->data))
#define vec_push(v, value) \
    (vec_reserve(v, 1) ? ((v)->data[(v)->len++] = (value), true) : false)
#define vec_pop(v) ((v)->data[--(v)->len])
#define vec_last(v) ((v)->data[(v)->len - 1])
#define vec_clear(v) ((void)((v)->len = 0))
#define vec_release(v) \
    (free((v)->data), (v)->data = NULL, (void)((v)->len = (v)->cap = 0))
/* Takes element i out; the last one fills the hole. */
#define vec_swap_remove(v, i) ((void)((v)->len--, (v)->data[i] = (v)->data[(v)->len]))

/* `data` is the address of the element pointer. */
static inline bool vec_grow(void *data, size_t *cap, size_t len, size_t n, size_t size)
{
    void *old, *grown;
    size_t need, bytes, doubled = *cap > SIZE_MAX / 2 ? SIZE_MAX : *cap * 2;
    if (ADD_OVERFLOWS(len, n, &need))
        return false;
    need = MAX(need, MAX(doubled, (size_t)8));
    if (MUL_OVERFLOWS(need, size, &bytes))
        return false;
    memcpy(&old, data, sizeof old);
    grown = realloc(old, bytes);
    if (!grown)
        return false;
    memcpy(data, &grown, sizeof grown);
    *cap = need;
    return true;
}

#endif
