#include "launch/binding.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORD_BITS (8 * sizeof(unsigned long))

static void copy_cpus(struct binding *b, const uint8_t *cpus, size_t size)
{
    for (size_t i = 0; i < size; i++)
        b->cpus[i / sizeof(long)] |= (unsigned long)cpus[i] << i % sizeof(long) * 8;
    b->n_cpus = (size + sizeof(long) - 1) / sizeof(long);
}

static void own_cpus(struct binding *b)
{
    long size = syscall(SYS_sched_getaffinity, 0, sizeof b->cpus, b->cpus);
    b->n_cpus = size > 0 ? (size_t)size / sizeof(long) : 0;
}

static bool has_cpu(const struct binding *b, uint32_t cpu)
{
    return cpu / WORD_BITS < b->n_cpus &&
           b->cpus[cpu / WORD_BITS] >> cpu % WORD_BITS & 1;
}

/* The n-th CPU of the mask, counted around. */
static uint32_t nth_cpu(const struct binding *b, size_t n)
{
    size_t count = binding_cpu_count(b);
    uint32_t cpu = 0;
    if (count == 0)
        return 0;
    for (n %= count;; cpu++)
        if (has_cpu(b, cpu) && n-- == 0)
            return cpu;
}

struct binding *binding_create(const struct launch_binding *from,
                               const struct binding *rank, uint32_t slot)
{
    struct binding *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->must = from->must;
    b->memory = from->memory;
    if (from->cpus_size > 0) {
        copy_cpus(b, from->cpus, MIN(from->cpus_size, sizeof b->cpus));
    } else if (rank) {
        memcpy(b->cpus, rank->cpus, sizeof b->cpus);
        b->n_cpus = rank->n_cpus;
    } else {
        own_cpus(b);
    }
    b->home = from->has_home ? from->home : nth_cpu(b, slot);
    for (size_t i = 0; i < MIN(from->n_nodes, LAUNCH_NODES_MAX_WORDS) * 64; i++)
        if (from->nodes[i / 64] >> i % 64 & 1) {
            b->nodes[i / WORD_BITS] |= 1UL << i % WORD_BITS;
            b->n_nodes = i / WORD_BITS + 1;
        }
    return b;
}

struct binding *binding_hold(struct binding *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void binding_drop(struct binding *b)
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}

bool binding_equal(const struct binding *a, const struct binding *b)
{
    return a == b ||
           (a->must == b->must && a->memory == b->memory && a->home == b->home &&
            a->n_cpus == b->n_cpus && a->n_nodes == b->n_nodes &&
            memcmp(a->cpus, b->cpus, sizeof a->cpus) == 0 &&
            memcmp(a->nodes, b->nodes, sizeof a->nodes) == 0);
}

size_t binding_cpu_count(const struct binding *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_cpus; i++)
        n += (size_t)__builtin_popcountl(b->cpus[i]);
    return n;
}

bool binding_set_mask(const struct binding *b)
{
    return syscall(SYS_sched_setaffinity, 0, b->n_cpus * sizeof(long), b->cpus) == 0;
}

static bool set_policy(int mode, const unsigned long *nodes, size_t n)
{
    /* The kernel takes one bit less than it is told. */
    return syscall(SYS_set_mempolicy, mode, nodes, n * WORD_BITS + 1) == 0;
}

/* The policy knows one domain only. */
static bool prefer_first(const struct binding *b)
{
    unsigned long one[ARRAY_SIZE(b->nodes)] = {0};
    for (size_t i = 0; i < b->n_nodes; i++)
        if (b->nodes[i]) {
            one[i] = b->nodes[i] & -b->nodes[i];
            return set_policy(MPOL_PREFERRED, one, b->n_nodes);
        }
    return false;
}

static bool apply_memory(const struct binding *b)
{
    if (b->memory == LAUNCH_MEMORY_STRICT && b->n_nodes > 0)
        return set_policy(MPOL_BIND, b->nodes, b->n_nodes);
    if (b->memory != LAUNCH_MEMORY_PREFERRED || !prefer_first(b))
        (void)syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL);
    return true; /* a wish only */
}

static bool go_home(const struct binding *b)
{
    unsigned long one[ARRAY_SIZE(b->cpus)] = {0};
    if (!has_cpu(b, b->home))
        return false;
    one[b->home / WORD_BITS] = 1UL << b->home % WORD_BITS;
    return syscall(SYS_sched_setaffinity, 0, b->n_cpus * sizeof(long), one) == 0;
}

enum launch_step binding_apply(const struct binding *b, const struct binding *rank,
                               const struct binding **mask, int *sys)
{
    *mask = b;
    if (!binding_set_mask(b)) {
        if (b->must) {
            *sys = errno;
            return LAUNCH_STEP_AFFINITY;
        }
        *mask = rank;
        (void)binding_set_mask(rank);
    }
    /* A mask of one CPU, and one that cannot be narrowed, is inherited as it is. */
    if (binding_cpu_count(*mask) == 1 || !go_home(*mask))
        *mask = NULL;
    if (!apply_memory(b)) {
        *sys = errno;
        return LAUNCH_STEP_POLICY;
    }
    return LAUNCH_STEP_NONE;
}
