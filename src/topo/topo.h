/*
 * What this process may use of its node: CPUs within the affinity mask and their NUMA
 * domains, memory within cgroup limits, GPUs. From hwloc where its library is found,
 * else from sysfs; both give the same.
 *
 * The steps of a worker:
 *     topo_discover      looks
 *     topo_divide        keeps the share of one of several ranks of the node
 *     topo_resources     adds the pools that were found to those given explicitly
 * Log lines tell what was found and what was left out.
 */
#ifndef HQ_TOPO_TOPO_H
#define HQ_TOPO_TOPO_H

#include "model/resource.h"
#include "topo/cpu_set.h"

/* What --detect-resources may name. */
enum topo_detect {
    DETECT_NONE = 0,
    DETECT_CPUS = 1,
    DETECT_MEM = 2,
    DETECT_NVIDIA = 4,
    DETECT_AMD = 8,
    DETECT_ALL = 15
};

enum topo_family { FAMILY_NVIDIA, FAMILY_AMD, FAMILY_COUNT };

#define DOMAIN_NONE UINT32_MAX

/* A hardware thread. */
struct topo_pu {
    uint32_t id;     /* number of the operating system */
    uint32_t core;   /* equal for the threads of one core */
    uint32_t domain; /* index into domains */
};

struct topo_domain {
    uint32_t node; /* NUMA node of the operating system */
    struct cpu_set cpus;
};

struct topo_device {
    char *label;
    uint32_t domain; /* DOMAIN_NONE: unknown */
};

struct topo_family_devices {
    struct topo_device *devices;
    size_t n;
    bool counted; /* labels are 0 … n-1 because nobody named them */
};

struct topo {
    struct topo_pu *pus; /* by domain, then id; at least one */
    size_t n_pus;
    struct topo_domain *domains; /* those with CPUs for us, ascending; at least one */
    size_t n_domains;
    struct cpu_set mask; /* all of pus */
    bool single_node;    /* the machine has one NUMA node: memory needs no care */
    bool from_hwloc;
    uint64_t memory_bytes; /* 0: unknown or not asked for */
    struct topo_family_devices families[FAMILY_COUNT];
};

/* Where to look; zero-initialised: here. */
struct topo_source {
    unsigned detect;       /* DETECT_*: which devices, and whether memory matters */
    bool slurm_memory;     /* SLURM_MEM_PER_NODE counts: a Slurm job was recognised */
    bool no_hwloc;         /* use sysfs */
    const char *root;      /* in front of /sys and /proc; implies no_hwloc */
    const char *synthetic; /* an hwloc description: "node:2 core:2 pu:2" */
    const char *xml;       /* a topology saved by lstopo */
    const struct cpu_set *mask; /* instead of the own affinity */
};

int topo_discover(struct topo **topo, const struct topo_source *source,
                  struct error *err) MUST_CHECK;
void topo_destroy(struct topo *t);
const struct topo_pu *topo_find_pu(const struct topo *t, uint32_t id); /* or NULL */

/* "all", "none" or a comma list. ERR_PARSE with "invalid variant: <word>". */
int topo_detect_parse(const char *text, unsigned *detect, struct error *err) MUST_CHECK;
/* Without what the set has already. */
unsigned topo_detect_except(unsigned detect, const struct pool_set *set);
/* ERR_INVALID when CPUs are neither given nor looked for. */
int topo_detect_check(unsigned detect, const struct pool_set *set,
                      struct error *err) MUST_CHECK;

struct topo_division {
    uint32_t local_rank, local_size;
    uint32_t job_cpus; /* CPUs of the job on this node; 0: unknown */
    uint32_t job_gpus;
};

/* job_cpus and job_gpus from the environment of Slurm. */
void topo_division_read(struct topo_division *d);
/*
 * Keeps the share of one rank. Domains go to ranks first, then their cores, then
 * hardware threads; more ranks than threads share them (a warning is logged). Memory is
 * divided equally; a device goes to a rank with CPUs in its domain. What the launcher
 * gave each rank apart is not divided again: CPUs (devices) that number no more than
 * the rank's share of the job.
 */
int topo_divide(struct topo *t, const struct topo_division *d,
                struct error *err) MUST_CHECK;

/*
 * Adds the detected pools that the set lacks, in the order cpus, GPUs, mem. With no_ht
 * one thread of each core remains, the lowest, also of cpus given explicitly, whose
 * labels must be numbers then. ERR_INVALID when cpus are neither given nor detected.
 */
int topo_resources(const struct topo *t, unsigned detect, bool no_ht,
                   struct pool_set *set, struct error *err) MUST_CHECK;

#endif
