/*
 * Where a worker put a task: the indices it was given, the CPUs it may run on and where
 * its memory comes from. Many tasks share one; it travels and is journaled once and is
 * named by number.
 */
#ifndef HQ_MODEL_PLACEMENT_H
#define HQ_MODEL_PLACEMENT_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"

#define PLACEMENT_BYTES_MAX ((size_t)64 << 10) /* larger ones are not recorded */
#define PLACEMENTS_OF_WORKER_MAX (1u << 14)    /* later ones are not recorded */
#define PLACEMENTS_MAX (1u << 20)

enum placement_binding {
    PLACED_IN_DOMAINS, /* CPUs of the NUMA domains of those given */
    PLACED_ANYWHERE,   /* all CPUs of the worker */
    PLACED_EXACTLY,    /* the CPUs given */
    PLACEMENT_BINDING_COUNT
};
extern const char *const placement_binding_words[PLACEMENT_BINDING_COUNT];

enum placement_memory {
    PLACED_MEMORY_DEFAULT, /* the system decides, which is where it is touched first */
    PLACED_MEMORY_PREFERRED, /* the nodes while there is some */
    PLACED_MEMORY_STRICT,    /* the nodes alone */
    PLACEMENT_MEMORY_COUNT
};
extern const char *const placement_memory_words[PLACEMENT_MEMORY_COUNT];

struct placement_entry {
    char *name;   /* resource */
    char *labels; /* joined by commas, in order; empty for a sum */
    uint64_t amount;
};

struct placement {
    uint8_t binding; /* enum placement_binding */
    uint8_t memory;  /* enum placement_memory */
    char *cpus;      /* mask, "0-3,8" */
    char *nodes;     /* NUMA nodes of the CPUs given, "0"; empty: unknown */
    struct placement_entry *entries;
    size_t n_entries;
};

void placement_encode(const struct placement *p, struct buf *out);
int placement_decode(struct placement *p, struct span bytes) MUST_CHECK;
void placement_release(struct placement *p);

#endif
