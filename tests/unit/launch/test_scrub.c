#include <stdlib.h>
#include "launch/scrub.h"
#include "test_main.h"

static void test_removed(void)
{
    static const char *const removed[] = {
        "PMIX_RANK=0",
        "PMI_FD",
        "OMPI_COMM_WORLD_RANK=1",
        "OMPI_MCA_orte_hnp_uri=x",
        "OMPI_MCA_ess",
        "OMPI_MCA_ess_base_jobid=1",
        "OMPI_MCA_pmix=^s1",
        "OMPI_ARGV=",
        "OMPI_MCA_ras_base_verbose=1",
        "PRTE_MCA_x=1",
        "ORTE_X=",
        "HYDRA_LAUNCHER=ssh",
        "I_MPI_HYDRA_UUID=1",
        "SLURM_STEP_ID=0",
        "SLURM_STEPID=0",
        "SLURM_PROCID=3",
        "SLURM_NTASKS=2",
        "SLURM_NPROCS=2",
        "SLURM_MEM_PER_CPU=1",
        "SLURM_CPU_BIND_TYPE=",
        "SLURM_CPU_BIND=quiet",
        "SLURM_CPUS_PER_TASK=1",
        "SLURM_TASKS_PER_NODE=2",
        "SLURM_NTASKS_PER_NODE=1",
        "SLURM_NODEID=0",
        "SLURM_LOCALID=0",
        "MPI_LOCALRANKID=0",
    };
    static const char *const kept[] = {
        "PATH=/bin",
        "OMPI_MCA_pml=ob1",
        "OMPI_MCA_btl_tcp_if_include=eth0",
        "OMPI_ALLOW_RUN_AS_ROOT=1",
        "SLURM_JOB_ID=7",
        "SLURM_JOB_NODELIST=n[1-2]",
        "SLURM_JOBID=7",
        "SLURM_NNODES=2",
        "OMPI_MCA_pmixer=1",
        "OMPI_MCA_essential=1",
        "SLURM_NTASKS_PER_CORE=1",
        "XPMIX_RANK=0",
        "I_MPI_FABRICS=shm",
        "=odd",
        "NOEQUALS",
        "",
        "HQ_JOB_ID=3",
        "PMIX=1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(removed); i++)
        if (!scrub_is_removed(removed[i]))
            CU_FAIL(removed[i]);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (scrub_is_removed(kept[i]))
            CU_FAIL(kept[i]);
}

static void test_copy(void)
{
    const char *env[] = {"A=1", "PMIX_RANK=0", "B=two words", "SLURM_STEP_ID=4",
                         "C=",  NULL};
    char **copy = scrub_environment((char *const *)(uintptr_t)env);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_STRING_EQUAL(copy[0], "A=1");
    CU_ASSERT_STRING_EQUAL(copy[1], "B=two words");
    CU_ASSERT_STRING_EQUAL(copy[2], "C=");
    CU_ASSERT_PTR_NULL(copy[3]);
    CU_ASSERT_PTR_NOT_EQUAL(copy[0], env[0]); /* it is a copy */
    free(copy);
    const char *none[] = {NULL};
    copy = scrub_environment((char *const *)(uintptr_t)none);
    CU_ASSERT_PTR_NULL(copy[0]);
    free(copy);
}

TEST_MAIN("scrub", TEST(test_removed), TEST(test_copy))
