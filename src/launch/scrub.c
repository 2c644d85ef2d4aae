#include "launch/scrub.h"

#include <stdlib.h>
#include <string.h>
#include "base/launcher_env.h"

/* Of the rank's part of its job, which a task does not have. */
static const char *const share_names[] = {
    "OMPI_MCA_hwloc_base_*", "HFI_NO_BACKTRACE",     "IPATH_NO_BACKTRACE",
    "PSM2_DEVICES",          "SLURM_NTASKS",         "SLURM_NPROCS",
    "SLURM_NTASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NODEID",
    "SLURM_CPUS_PER_TASK",   "SLURM_MEM_PER_*",      "SLURM_CPU_BIND*",
    "SLURM_DISTRIBUTION",
};

bool scrub_is_removed(const char *var)
{
    return launcher_env_is_rank(var) ||
           env_name_matches(var, share_names, ARRAY_SIZE(share_names));
}

char **scrub_environment(char *const *env)
{
    size_t n = 0, bytes = 0;
    for (char *const *var = env; *var; var++)
        if (!scrub_is_removed(*var)) {
            n++;
            bytes += strlen(*var) + 1;
        }
    char **copy = malloc((n + 1) * sizeof *copy + bytes);
    if (!copy)
        return NULL;
    char *text = (char *)(copy + n + 1);
    size_t i = 0;
    for (char *const *var = env; *var; var++)
        if (!scrub_is_removed(*var)) {
            size_t size = strlen(*var) + 1;
            copy[i++] = memcpy(text, *var, size);
            text += size;
        }
    copy[i] = NULL;
    return copy;
}
