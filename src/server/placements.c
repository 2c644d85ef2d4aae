/* Descriptions of where tasks ran: one for all tasks that ran alike, on any worker. */
#include "server/state.h"

#include <stdlib.h>
#include "base/checksum.h"
#include "base/xmem.h"
#include "model/placement.h"

struct placements {
    struct span *items; /* owned bytes; number i lies at i - 1 */
    uint32_t n;
    struct u64map numbers; /* checksum -> number */
};

static uint64_t key_of(struct span bytes)
{
    uint64_t key = checksum64(bytes.p, bytes.n, 0);
    return key == U64MAP_NO_KEY ? 0 : key;
}

struct span state_placement(const struct state *s, uint32_t number)
{
    const struct placements *p = s->placements;
    return p && number >= 1 && number <= p->n ? p->items[number - 1]
                                              : (struct span){NULL, 0};
}

uint32_t state_next_placement(const struct state *s)
{
    return s->placements ? s->placements->n + 1 : 1;
}

uint32_t state_find_placement(const struct state *s, struct span bytes)
{
    uint64_t number;
    if (!s->placements || !u64map_get(&s->placements->numbers, key_of(bytes), &number))
        return 0;
    struct span known = state_placement(s, (uint32_t)number);
    bool same = known.n == bytes.n && memcmp(known.p, bytes.p, bytes.n) == 0;
    return same ? (uint32_t)number : 0;
}

bool state_apply_placement(struct state *s, uint32_t number, struct span bytes)
{
    if (!s->placements)
        s->placements = xcalloc(1, sizeof *s->placements);
    struct placements *p = s->placements;
    if (bytes.n == 0 || bytes.n > PLACEMENT_BYTES_MAX || number != p->n + 1 ||
        p->n >= PLACEMENTS_MAX)
        return false;
    if ((p->n & (p->n - 1)) == 0) /* grows at powers of two */
        p->items = xrealloc(p->items, MAX(p->n * 2, 8u) * sizeof *p->items);
    p->items[p->n++] = (struct span){xmemdup(bytes.p, bytes.n), bytes.n};
    if (u64map_set(&p->numbers, key_of(bytes), number) != 0)
        abort();
    return true;
}

void state_release_placements(struct state *s)
{
    struct placements *p = s->placements;
    for (uint32_t i = 0; p && i < p->n; i++)
        free((void *)(uintptr_t)p->items[i].p);
    if (p) {
        free(p->items);
        u64map_release(&p->numbers);
    }
    free(p);
    s->placements = NULL;
}

uint32_t job_placement(const struct job *job, uint32_t slot)
{
    size_t c = slot / CHUNK_SLOTS;
    if (c >= job->n_chunks || slot % CHUNK_SLOTS >= job->chunks[c].cap ||
        !job->chunks[c].placements)
        return 0;
    return job->chunks[c].placements[slot % CHUNK_SLOTS];
}

/* The task has a record. */
void job_set_placement(struct job *job, uint32_t slot, uint32_t number)
{
    struct record_chunk *chunk = &job->chunks[slot / CHUNK_SLOTS];
    if (!chunk->placements && number)
        chunk->placements = xcalloc(chunk->cap, sizeof *chunk->placements);
    if (chunk->placements)
        chunk->placements[slot % CHUNK_SLOTS] = number;
}
