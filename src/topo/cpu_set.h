/*
 * Sets of CPU or NUMA node numbers, as large as Linux knows them, without allocation.
 * Words above n_words are undefined: copy with cpu_set_copy or by assignment.
 */
#ifndef HQ_TOPO_CPU_SET_H
#define HQ_TOPO_CPU_SET_H

#include <sys/types.h>
#include "base/buf.h"
#include "base/error.h"

#define CPU_SET_MAX 8192u
#define CPU_SET_WORD_BITS 64u

struct cpu_set {
    uint32_t n_words; /* words in use */
    unsigned long words[CPU_SET_MAX / CPU_SET_WORD_BITS];
};

static inline void cpu_set_clear(struct cpu_set *s)
{
    s->n_words = 0;
}
static inline bool cpu_set_has(const struct cpu_set *s, uint32_t id)
{
    uint32_t word = id / CPU_SET_WORD_BITS;
    return id < CPU_SET_MAX && word < s->n_words &&
           (s->words[word] >> id % CPU_SET_WORD_BITS & 1);
}
void cpu_set_copy(struct cpu_set *to, const struct cpu_set *from);
/* Numbers above the maximum are ignored. */
void cpu_set_add(struct cpu_set *s, uint32_t id);
void cpu_set_remove(struct cpu_set *s, uint32_t id);
void cpu_set_unite(struct cpu_set *s, const struct cpu_set *with);
void cpu_set_intersect(struct cpu_set *s, const struct cpu_set *with);
bool cpu_set_equal(const struct cpu_set *a, const struct cpu_set *b);
uint32_t cpu_set_count(const struct cpu_set *s);
/* Smallest number >= from, or CPU_SET_MAX. */
uint32_t cpu_set_next(const struct cpu_set *s, uint32_t from);
/* "0-3,8", "" or "\n" for the empty set, as the kernel writes them. False: malformed.
 */
bool cpu_set_parse(struct cpu_set *s, const char *text);
void cpu_set_print(const struct cpu_set *s, struct buf *out);

/* Affinity of this thread, and that of another process from /proc/<pid>/status. */
int cpu_set_of_self(struct cpu_set *s, struct error *err) MUST_CHECK;
int cpu_set_of_pid(struct cpu_set *s, pid_t pid, struct error *err) MUST_CHECK;
/* Binds a thread (0: the calling one). Async-signal-safe. 0, or -1 with errno. */
int cpu_set_apply(const struct cpu_set *s, pid_t tid) MUST_CHECK;

#endif
