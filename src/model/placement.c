#include "model/placement.h"

#include <stdlib.h>

const char *const placement_binding_words[PLACEMENT_BINDING_COUNT] = {
    "domains", "worker", "exact"};
const char *const placement_memory_words[PLACEMENT_MEMORY_COUNT] = {
    "default", "preferred", "strict"};

/* u8 binding, u8 memory, str cpus, str nodes, varint count of entries, each: str name,
 * str labels, varint amount. */
void placement_encode(const struct placement *p, struct buf *out)
{
    buf_u8(out, p->binding);
    buf_u8(out, p->memory);
    buf_str(out, p->cpus);
    buf_str(out, p->nodes);
    buf_varint(out, p->n_entries);
    for (size_t i = 0; i < p->n_entries; i++) {
        buf_str(out, p->entries[i].name);
        buf_str(out, p->entries[i].labels);
        buf_varint(out, p->entries[i].amount);
    }
}

int placement_decode(struct placement *p, struct span bytes)
{
    struct cursor c = cursor_make(bytes.p, bytes.n);
    struct placement made = {.binding = cursor_u8(&c), .memory = cursor_u8(&c)};
    if (bytes.n > PLACEMENT_BYTES_MAX || made.binding >= PLACEMENT_BINDING_COUNT ||
        made.memory >= PLACEMENT_MEMORY_COUNT)
        return ERR_CORRUPT;
    made.cpus = cursor_strdup(&c, PLACEMENT_BYTES_MAX);
    made.nodes = cursor_strdup(&c, PLACEMENT_BYTES_MAX);
    size_t n = cursor_count(&c, 3);
    if (!c.failed && n)
        made.entries = calloc(n, sizeof *made.entries);
    for (size_t i = 0; i < n && made.entries && !c.failed; i++) {
        struct placement_entry *e = &made.entries[made.n_entries++];
        e->name = cursor_strdup(&c, PLACEMENT_BYTES_MAX);
        e->labels = cursor_strdup(&c, PLACEMENT_BYTES_MAX);
        e->amount = cursor_varint(&c);
    }
    if (c.failed || cursor_left(&c) || made.n_entries != n) {
        placement_release(&made);
        return ERR_CORRUPT;
    }
    *p = made;
    return 0;
}

void placement_release(struct placement *p)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        free(p->entries[i].name);
        free(p->entries[i].labels);
    }
    free(p->entries);
    free(p->cpus);
    free(p->nodes);
    *p = (struct placement){0};
}
