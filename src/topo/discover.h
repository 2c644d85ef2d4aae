/* The finders behind topo_discover; for this folder. */
#ifndef HQ_TOPO_DISCOVER_H
#define HQ_TOPO_DISCOVER_H

#include "topo/topo.h"

/* All of a machine, before the mask. */
struct finding {
    struct topo_pu *pus; /* in any order; `domain` holds the number of the NUMA node */
    size_t n_pus, cap_pus;
    struct topo_node *nodes; /* with or without CPUs, in any order */
    size_t n_nodes;
    struct topo_io *ios;
    size_t n_ios;
    bool by_library; /* devices were looked for */
    uint8_t n_kinds;
    uint64_t memory_bytes;  /* 0: unknown */
    struct cpu_set allowed; /* of a description: what it lets us use */
};

void finding_release(struct finding *f);
/* CPUs with numbers above the maximum are left out. */
int finding_add(struct finding *f, const struct topo_pu *pu) MUST_CHECK;
int finding_add_node(struct finding *f, uint32_t node, uint64_t bytes,
                     bool allowed) MUST_CHECK;
int finding_add_io(struct finding *f, const struct topo_io *io) MUST_CHECK;

/* ERR_UNSUPPORTED when the library is missing or of another generation. */
int hwloc_find(const struct topo_source *source, struct finding *f,
               struct error *err) MUST_CHECK;
int sysfs_find(const char *root, struct finding *f, struct error *err) MUST_CHECK;

/* A file below root (printf style) as text; false when it cannot be read. */
bool sysfs_read(struct buf *out, const char *root, const char *fmt, ...) PRINTF(3, 4);
/* The smallest cgroup limit that applies to this process, or UINT64_MAX. */
uint64_t memory_limit(const char *root);
/* Likewise for CPU time, in thousandths of a CPU. */
uint64_t cpu_time_limit(const char *root);
uint64_t memory_total(const char *root); /* 0: unknown */
/* The NUMA nodes whose memory this process may use; false: unknown. */
bool memory_nodes(const char *root, struct cpu_set *nodes);

/* The GPUs of this machine, instead of those that hwloc saw, and (without hwloc) its
 * network cards. */
int devices_find(struct finding *f, const struct topo_source *source,
                 struct error *err) MUST_CHECK;
/* The families that source->detect names, from t->ios and the environment. */
int gpus_find(struct topo *t, const struct topo_source *source,
              struct error *err) MUST_CHECK;
/* ERR_NOT_FOUND when a pool of GPUs names one that the driver does not know. */
int gpus_check(const struct topo *t, const struct pool_set *given,
               struct error *err) MUST_CHECK;
/* The device that a label of a pool means, or NULL. */
const struct topo_io *topo_find_io(const struct topo *t, const char *pool,
                                   const char *label);
uint32_t topo_variable(const char *name); /* a number in the environment, or 0 */
uint32_t topo_domain_of_node(const struct topo *t, uint32_t node); /* or DOMAIN_NONE */

#endif
