/*
 * struct arena: memory that is given out piece by piece and freed in one go. For what
 * lives and dies together: the nodes of a parsed file, a decoded message. Pieces are
 * aligned for every ordinary type and never move.
 */
#ifndef HQ_BASE_ARENA_H
#define HQ_BASE_ARENA_H

#include "base/util.h"

struct arena_chunk; /* private */

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *next;                 /* free room of the newest chunk */
    char *end;
    size_t next_size;   /* bytes of the next chunk */
    size_t total_bytes; /* of all chunks */
};

#define ARENA_ALIGN 8
#define ARENA_INIT             \
    {                          \
        NULL, NULL, NULL, 0, 0 \
    }

void arena_init(struct arena *a);
/* Frees everything given out; the arena may be used again. */
void arena_release(struct arena *a);
void *arena_grow(struct arena *a, size_t n); /* the slow path of arena_alloc */

/* n bytes, not cleared; NULL when out of memory. Never NULL for n = 0 then. */
static inline void *arena_alloc(struct arena *a, size_t n)
{
    size_t room = (size_t)(a->end - a->next);
    size_t size = (n + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
    if (size < n || size >= room)
        return arena_grow(a, n);
    void *p = a->next;
    a->next += size;
    return p;
}
/* An array of n elements; NULL too when the product is too large. */
static inline void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes;
    return MUL_OVERFLOWS(n, size, &bytes) ? NULL : arena_alloc(a, bytes);
}
/* Gives back the end of the piece p of n bytes if it was the last one given out. */
void arena_trim(struct arena *a, void *p, size_t n, size_t used);
/* A copy with a NUL behind it. */
char *arena_strndup(struct arena *a, const char *s, size_t n);

#endif
