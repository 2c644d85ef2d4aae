/*
 * struct binding: CPU mask and memory policy of a slot, as the launcher keeps it:
 * immutable and counted, since tasks of several threads refer to it. A spawner thread
 * binds itself; its children inherit. Private to this folder.
 */
#ifndef HQ_LAUNCH_BINDING_H
#define HQ_LAUNCH_BINDING_H

#include <stdatomic.h>
#include "launch/launch.h"

struct binding {
    atomic_uint refs;
    bool must;
    enum launch_memory memory;
    size_t n_cpus, n_nodes; /* words */
    unsigned long cpus[LAUNCH_CPUS_MAX_BYTES / sizeof(unsigned long)];
    unsigned long
        nodes[LAUNCH_NODES_MAX_WORDS * sizeof(uint64_t) / sizeof(unsigned long)];
};

/* With no CPUs in it, those of `rank`; rank NULL: the mask of the calling thread. */
struct binding *binding_create(const struct launch_binding *from,
                               const struct binding *rank);
struct binding *binding_hold(struct binding *b);
void binding_drop(struct binding *b); /* NULL is fine */
bool binding_equal(const struct binding *a, const struct binding *b);
size_t binding_cpu_count(const struct binding *b);
/* Binds the calling thread. LAUNCH_STEP_NONE, or what failed with errno in *sys. */
enum launch_step binding_apply(const struct binding *b, const struct binding *rank,
                               int *sys);

#endif
