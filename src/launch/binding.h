/*
 * struct binding: CPU mask and memory policy of a slot, as the launcher keeps it:
 * immutable and counted, since tasks of several threads refer to it. A spawner thread
 * sits on the home CPU; its children inherit the memory policy and widen their mask
 * themselves. Private to this folder.
 */
#ifndef HQ_LAUNCH_BINDING_H
#define HQ_LAUNCH_BINDING_H

#include <stdatomic.h>
#include "launch/launch.h"

struct binding {
    atomic_uint refs;
    bool must;
    enum launch_memory memory;
    uint32_t home;
    size_t n_cpus, n_nodes; /* words */
    unsigned long cpus[LAUNCH_CPUS_MAX_BYTES / sizeof(unsigned long)];
    unsigned long
        nodes[LAUNCH_NODES_MAX_WORDS * sizeof(uint64_t) / sizeof(unsigned long)];
};

/*
 * With no CPUs in it, those of `rank`; rank NULL: the mask of the calling thread.
 * Without a home, slots take the CPUs in turns.
 */
struct binding *binding_create(const struct launch_binding *from,
                               const struct binding *rank, uint32_t slot);
struct binding *binding_hold(struct binding *b);
void binding_drop(struct binding *b); /* NULL is fine */
bool binding_equal(const struct binding *a, const struct binding *b);
size_t binding_cpu_count(const struct binding *b);
/*
 * Binds the calling thread to the memory and home of b. LAUNCH_STEP_NONE and the
 * binding whose mask children must take (b, or rank where b's cannot be had; NULL: the
 * thread's own will do), or what failed with errno in *sys.
 */
enum launch_step binding_apply(const struct binding *b, const struct binding *rank,
                               const struct binding **mask, int *sys);
/* Gives the calling thread, or a child before exec, all CPUs of b. */
bool binding_set_mask(const struct binding *b);

#endif
