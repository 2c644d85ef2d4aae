#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST ((size_t)4096)
#define CHUNK_MAX ((size_t)1 << 20)

struct arena_chunk {
    struct arena_chunk *older;
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena)ARENA_INIT;
}

void arena_release(struct arena *a)
{
    struct arena_chunk *c = a->chunks;
    while (c) {
        struct arena_chunk *older = c->older;
        free(c);
        c = older;
    }
    arena_init(a);
}

static size_t padded(size_t n)
{
    return (n + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
}

void *arena_grow(struct arena *a, size_t n)
{
    size_t size, bytes;
    if (n > SIZE_MAX - ARENA_ALIGN)
        return NULL;
    size = padded(n);
    /* One byte more than the pieces: `room > size` then holds for every piece. */
    bool own = size >= CHUNK_MAX / 4;
    size_t data = own ? size : MAX(a->next_size, CHUNK_FIRST);
    while (data <= size && !own)
        data *= 2;
    if (ADD_OVERFLOWS(data, sizeof(struct arena_chunk) + ARENA_ALIGN, &bytes))
        return NULL;
    struct arena_chunk *c = malloc(bytes);
    if (!c)
        return NULL;
    a->total_bytes += bytes;
    if (own && a->chunks) {
        /* A large piece gets a chunk to itself, behind the one in use. */
        c->older = a->chunks->older;
        a->chunks->older = c;
        return c->data;
    }
    c->older = a->chunks;
    a->chunks = c;
    a->next = c->data + size;
    a->end = c->data + data + ARENA_ALIGN;
    a->next_size = MIN(data * 2, CHUNK_MAX);
    return c->data;
}

void arena_trim(struct arena *a, void *p, size_t n, size_t used)
{
    char *piece = p;
    if (piece + padded(n) == a->next && used <= n)
        a->next = piece + padded(used);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(a, n + 1);
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}
