#include "launch/scrub.h"

#include <stdlib.h>
#include <string.h>

/*
 * A '*' at the end matches every rest. Open MPI: what mpirun and MPI_Init set, each
 * of them measured to break either an MPI program or mpirun inside a task; frameworks
 * that a user selects himself (pml, btl, coll, io, …) are not in the list.
 */
static const char *const removed[] = {
    "PMIX_*",
    "PMI_*",
    "ORTE_*",
    "PRTE_*",
    "OMPI_COMM_*",
    "OMPI_APP_CTX_NUM_PROCS",
    "OMPI_FIRST_RANKS",
    "OMPI_NUM_APP_CTX",
    "OMPI_UNIVERSE_SIZE",
    "OMPI_COMMAND",
    "OMPI_FILE_LOCATION",
    "OMPI_ARGV",
    "OMPI_MCA_orte_*",
    "OMPI_MCA_ess",
    "OMPI_MCA_ess_*",
    "OMPI_MCA_pmix",
    "OMPI_MCA_pmix_*",
    "OMPI_MCA_initial_wdir",
    "OMPI_MCA_hwloc_base_*",
    "OMPI_MCA_shmem_RUNTIME*",
    "OMPI_MCA_mpi_oversubscribe",
    "OMPI_MCA_rmaps_*",
    "OMPI_MCA_plm",
    "OMPI_MCA_plm_*",
    "OMPI_MCA_ras*",
    "HFI_NO_BACKTRACE",
    "IPATH_NO_BACKTRACE",
    "PSM2_DEVICES",
    /* Slurm: what belongs to the step, not to the job. */
    "SLURM_STEP*",
    "SLURM_NTASKS",
    "SLURM_NPROCS",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_TASKS_PER_NODE",
    "SLURM_NODEID",
    "SLURM_LOCALID",
    "SLURM_PROCID",
    "SLURM_CPUS_PER_TASK",
    "SLURM_MEM_PER_*",
    "SLURM_CPU_BIND*",
    "SLURM_GTIDS",
    "SLURM_TASK_PID",
    "SLURM_SRUN_COMM_*",
    "SLURM_LAUNCH_NODE_IPADDR",
    "SLURM_MPI_TYPE",
    "SLURM_PMIX*",
    "SLURM_PMI_*",
    "SLURM_DISTRIBUTION",
    /* MPICH and Intel MPI. */
    "HYDRA_*",
    "HYDI_*",
    "MPIR_*",
    "I_MPI_HYDRA_*",
    "MPI_LOCALNRANKS",
    "MPI_LOCALRANKID",
};

static bool matches(const char *pattern, const char *name, size_t len)
{
    size_t n = strlen(pattern);
    if (pattern[n - 1] == '*')
        return len >= n - 1 && memcmp(pattern, name, n - 1) == 0;
    return len == n && memcmp(pattern, name, n) == 0;
}

bool scrub_is_removed(const char *var)
{
    size_t len = strcspn(var, "=");
    for (size_t i = 0; i < ARRAY_SIZE(removed); i++)
        if (matches(removed[i], var, len))
            return true;
    return false;
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
