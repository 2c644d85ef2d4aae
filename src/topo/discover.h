/* The finders behind topo_discover; for this folder. */
#ifndef HQ_TOPO_DISCOVER_H
#define HQ_TOPO_DISCOVER_H

#include "topo/topo.h"

/* All of a machine, before the mask. */
struct finding {
    struct topo_pu *pus; /* in any order; `domain` holds the number of the NUMA node */
    size_t n_pus, cap_pus;
    uint32_t n_nodes;      /* with or without CPUs */
    uint64_t memory_bytes; /* 0: unknown */
};

void finding_release(struct finding *f);
int finding_add(struct finding *f, uint32_t id, uint32_t core,
                uint32_t node) MUST_CHECK;

/* ERR_UNSUPPORTED when the library is missing or of another generation. */
int hwloc_find(const struct topo_source *source, struct finding *f,
               struct error *err) MUST_CHECK;
int sysfs_find(const char *root, struct finding *f, struct error *err) MUST_CHECK;

/* A file below root (printf style) as text; false when it cannot be read. */
bool sysfs_read(struct buf *out, const char *root, const char *fmt, ...) PRINTF(3, 4);
/* The smallest cgroup limit that applies to this process, or UINT64_MAX. */
uint64_t memory_limit(const char *root);
uint64_t memory_total(const char *root); /* 0: unknown */

/* The devices that source->detect names. */
int gpus_find(struct topo *t, const struct topo_source *source,
              struct error *err) MUST_CHECK;
uint32_t topo_domain_of_node(const struct topo *t, uint32_t node); /* or DOMAIN_NONE */

#endif
