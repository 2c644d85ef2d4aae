/*
 * Where a task may run: CPU mask and memory policy for an allocation. The launcher
 * applies a plan between fork and exec; no memory is allocated here per task.
 */
#ifndef HQ_TOPO_PIN_H
#define HQ_TOPO_PIN_H

#include "model/spec.h"
#include "topo/alloc.h"
#include "topo/topo.h"

enum pin_scope {
    PIN_DOMAINS, /* the NUMA domains of its CPUs within the rank's mask */
    PIN_RANK,    /* the rank's full mask; memory is bound only when that is strict */
    PIN_EXACT    /* exactly its CPUs */
};

struct pin_plan {
    struct cpu_set cpus;  /* never empty */
    struct cpu_set nodes; /* for mempolicy */
    bool whole;           /* not bound: the rank's full mask, whatever was asked for */
    int mempolicy;        /* MPOL_* of set_mempolicy(2); MPOL_DEFAULT: leave as it is */
};

struct pinner;

/* Looks the labels of the pool "cpus" up once. Borrows the topology. */
int pinner_create(struct pinner **pinner, const struct topo *t,
                  const struct pool_set *pools, struct error *err) MUST_CHECK;
void pinner_destroy(struct pinner *p);
/*
 * ERR_INVALID for PIN_EXACT: "Pinning failed, no CPU ids allocated for task", or a
 * label that is no CPU this worker may use, named. With the other scopes such labels
 * mean the rank's full mask. `memory` is enum membind_mode.
 */
int pinner_plan(const struct pinner *p, const struct allocation *a,
                enum pin_scope scope, enum membind_mode memory, struct pin_plan *plan,
                struct error *err) MUST_CHECK;
/* The plan of a task without CPUs: the rank's full mask. */
void pinner_plan_rank(const struct pinner *p, struct pin_plan *plan);

#endif
