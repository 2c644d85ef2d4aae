/*
 * What this process may use of its node: CPUs within the affinity mask and their NUMA
 * domains, memory within cgroup limits, GPUs, and where devices lie. From hwloc where
 * its library is found, else from sysfs; both give the same.
 *
 * The steps of a worker:
 *     topo_discover      looks
 *     topo_divide        keeps the share of one of several ranks of the node
 *     topo_resources     adds the pools that were found to those given explicitly
 *     topo_locate        tells each pool where its indices lie
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

const char *topo_family_pool(enum topo_family family); /* "gpus/nvidia" */

#define DOMAIN_NONE UINT32_MAX

/* A hardware thread. */
struct topo_pu {
    uint32_t id;     /* number of the operating system */
    uint32_t core;   /* equal for the threads of one core */
    uint32_t domain; /* index into domains */
    uint32_t package;
    uint32_t cache; /* equal for those that share the last level cache */
    uint8_t kind;   /* of hybrid processors, 0: the most thrifty cores */
};

struct topo_domain {
    uint32_t node; /* NUMA node of the operating system */
    struct cpu_set cpus;
};

/* A NUMA node of the machine, with or without CPUs for us. */
struct topo_node {
    uint32_t node;
    uint64_t memory_bytes; /* 0: unknown */
    bool allowed;          /* a cpuset lets us use its memory */
};

/* A GPU or network card of the machine, whether or not it is a resource. */
enum topo_io_kind { IO_NVIDIA, IO_AMD, IO_NETWORK, IO_FABRIC, IO_KIND_COUNT };
struct topo_io {
    enum topo_io_kind kind;
    uint32_t node; /* NUMA node of the operating system, or DOMAIN_NONE */
    char bus[16];  /* "0000:3b:00.0", or empty */
    char name[48]; /* "mlx5_0", or empty */
    char uuid[48]; /* GPUs, or empty */
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
    struct topo_node *nodes; /* ascending; may be empty */
    size_t n_nodes;
    struct topo_io *ios; /* by kind, bus and name: GPUs are numbered in this order */
    size_t n_ios;
    struct cpu_set mask; /* all of pus */
    bool single_node;    /* the machine has one NUMA node: memory needs no care */
    bool from_hwloc;
    uint8_t n_kinds;       /* of cores; 0 and 1: all are alike */
    uint64_t memory_bytes; /* 0: unknown or not asked for */
    uint64_t cpu_time;     /* of a control group, 1/1000 CPU; UINT64_MAX: no limit */
    struct topo_family_devices families[FAMILY_COUNT];
};

/* Where to look; zero-initialised: here. */
struct topo_source {
    unsigned detect;       /* DETECT_*: which devices, and whether memory matters */
    bool slurm;            /* SLURM_* counts: a Slurm job was recognised */
    bool no_hwloc;         /* use sysfs */
    bool detailed;         /* for a drawing: kinds of cores, all devices */
    const char *root;      /* in front of /sys and /proc; implies no_hwloc */
    const char *synthetic; /* an hwloc description: "node:2 core:2 pu:2" */
    const char *xml;       /* a topology saved by lstopo */
    const struct cpu_set *mask; /* instead of the own affinity */
};

/*
 * The environment names GPUs of this machine only: a description of another one gives
 * all that it holds. ERR_NOT_FOUND when the environment names a GPU that is not there.
 */
int topo_discover(struct topo **topo, const struct topo_source *source,
                  struct error *err) MUST_CHECK;
void topo_destroy(struct topo *t);
/* Memory that this process may use: what the machine has, or a control group leaves of
 * it. Cheap; looks at nothing else. UINT64_MAX: unknown. */
uint64_t topo_memory(void);
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
/*
 * Fills pool.nodes on a machine of several NUMA nodes: CPUs by number, GPUs by number
 * on the bus or UUID, indices of other pools that are the name or the PCI address of a
 * device ("nics=[mlx5_0,mlx5_1]").
 */
int topo_locate(const struct topo *t, struct pool_set *set,
                struct error *err) MUST_CHECK;

/*
 * Packages, domains, caches, cores with their threads, and devices, as indented lines.
 * What the mask excludes is not shown.
 */
void topo_draw(const struct topo *t, struct buf *out);

#endif
