/*
 * The environment of tasks: that of the worker without the variables by which mpirun,
 * srun, hydra and PMIx tell a process that it is a rank. With them an MPI program
 * inside a task would take over the worker's rank or fail to start. A user's own
 * settings (OMPI_MCA_pml, SLURM_JOB_ID, …) stay.
 */
#ifndef HQ_LAUNCH_SCRUB_H
#define HQ_LAUNCH_SCRUB_H

#include "base/util.h"

/* Whether the variable ("NAME" or "NAME=VALUE") is kept from tasks. */
bool scrub_is_removed(const char *var);
/* A NULL-terminated copy of env without them; one free() releases it. NULL: no memory.
 */
char **scrub_environment(char *const *env);

#endif
