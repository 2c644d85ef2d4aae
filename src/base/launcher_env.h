/*
 * Variables by which mpirun, srun and other launchers of parallel programs tell a
 * process that it is a rank. A process that isn't one must not see them: MPI_Init would
 * look for the launcher.
 */
#ifndef HQ_BASE_LAUNCHER_ENV_H
#define HQ_BASE_LAUNCHER_ENV_H

#include "base/util.h"

/* Whether the name of "NAME=value" (or "NAME") is one of the patterns; a '*' at the end
 * of a pattern stands for any rest. */
bool env_name_matches(const char *var, const char *const *patterns, size_t n);

/* Whether the variable makes a process a rank. */
bool launcher_env_is_rank(const char *var);

#endif
