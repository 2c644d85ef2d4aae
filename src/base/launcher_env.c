#include "base/launcher_env.h"

#include <string.h>

/*
 * Open MPI: what mpirun and MPI_Init set, each of them measured to break either an MPI
 * program or mpirun inside a task; frameworks that a user selects himself (pml, btl,
 * coll, io, …) are not in the list.
 */
static const char *const rank_names[] = {
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
    "OMPI_MCA_shmem_RUNTIME*",
    "OMPI_MCA_mpi_oversubscribe",
    "OMPI_MCA_rmaps_*",
    "OMPI_MCA_plm",
    "OMPI_MCA_plm_*",
    "OMPI_MCA_ras*",
    /* Slurm: what belongs to the rank. */
    "SLURM_STEP*",
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_GTIDS",
    "SLURM_TASK_PID",
    "SLURM_SRUN_COMM_*",
    "SLURM_LAUNCH_NODE_IPADDR",
    "SLURM_MPI_TYPE",
    "SLURM_PMIX*",
    "SLURM_PMI_*",
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

bool env_name_matches(const char *var, const char *const *patterns, size_t n)
{
    size_t len = strcspn(var, "=");
    for (size_t i = 0; i < n; i++)
        if (matches(patterns[i], var, len))
            return true;
    return false;
}

bool launcher_env_is_rank(const char *var)
{
    return env_name_matches(var, rank_names, ARRAY_SIZE(rank_names));
}
