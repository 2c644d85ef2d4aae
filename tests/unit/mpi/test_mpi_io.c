/*
 * The writer over MPI-IO, as an isolated world of one, with the MPI-IO component that
 * OMPI_MCA_io may name. MPI can be started once per process: all cases share one
 * writer.
 */
#include <errno.h>
#include <unistd.h>
#include "mpi/mpi_io.h"
#include "outlog/broken.h"

/* Starts and stops MPI for real only around all tests. */
static struct mpi_start start;
static struct outlog_io_ops ops;

static int start_once(void *ctx, struct error *err)
{
    (void)ctx;
    return start.running ? 0 : mpi_world_start(&start, err);
}

static void test_identity(void)
{
    struct error err = ERROR_INIT;
    /* The launcher's variables must not matter. */
    (void)setenv("SLURM_STEP_ID", "0", 1);
    (void)setenv("PMIX_RANK", "3", 1);
    (void)setenv("OMPI_COMM_WORLD_RANK", "3", 1);
    mpi_environment_prepare(&start);
    /* What another process of this name removes must not be ours. */
    CU_ASSERT_PTR_NOT_NULL_FATAL(start.session_dir);
    CU_ASSERT_STRING_EQUAL(getenv("OMPI_MCA_orte_tmpdir_base"), start.session_dir);
    CU_ASSERT_PTR_NULL(getenv("SLURM_STEP_ID"));
    CU_ASSERT_PTR_NULL(getenv("PMIX_RANK"));
    CU_ASSERT_PTR_NULL(getenv("OMPI_COMM_WORLD_RANK"));
    CU_ASSERT_EQUAL_FATAL(mpi_world_start(&start, &err), 0);
    CU_ASSERT(start.id.rank == 0 && start.id.size == 1);
    CU_ASSERT(start.id.local_rank == 0 && start.id.local_size == 1);
    ops = mpi_io_ops;
    ops.thread_start = start_once;
    ops.thread_stop = NULL;
}

static void test_write(void)
{
    static const char *const names[] = {"plain", "with:colon", "with blank", "größe"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct rig r;
        rig_init(&r, "AbC123");
        (void)snprintf(r.path, sizeof r.path, "%s/%s.hqlog", r.dir, names[i]);
        rig_start(&r, (struct outlog_writer_config){.io = &ops, .io_ctx = &start});
        for (uint32_t t = 0; t < 20; t++) {
            struct rig_task task;
            char line[32];
            int n = snprintf(line, sizeof line, "task %u\n", t);
            rig_begin(&r, &task, 1, t, 0);
            rig_print(&r, &task, OUTLOG_STDERR, line, (size_t)n);
            rig_finish(&r, &task, 0);
            CU_ASSERT(rig_until(&r, &task.done));
            CU_ASSERT_EQUAL(task.err.code, 0);
        }
        rig_stop(&r);
        struct rig_damage damage;
        struct outlog_reader *reader = rig_open(r.path, &damage);
        struct outlog_counts counts;
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(outlog_reader_counts(reader, &counts, &err), 0);
        CU_ASSERT_EQUAL(counts.n_tasks, 20);
        CU_ASSERT_EQUAL(counts.n_unfinished, 0);
        CU_ASSERT_EQUAL(counts.bytes[1], 10 * 7 + 10 * 8);
        CU_ASSERT_EQUAL(damage.n, 0);
        outlog_reader_destroy(reader);
        rig_release(&r);
    }
}

static void test_full_disk(void)
{
    full_disk(&ops, &start);
}

static void test_failing_writes(void)
{
    failing_writes(&ops, &start);
}

static void test_hints(void)
{
    static const char *const hints[] = {"striping_factor=2", "nonsense", "cb_nodes=1",
                                        NULL};
    start.hints = hints;
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){.io = &ops, .io_ctx = &start});
    struct rig_task t;
    rig_begin(&r, &t, 1, 0, 0);
    rig_finish(&r, &t, 0);
    CU_ASSERT(rig_until(&r, &t.done));
    CU_ASSERT_EQUAL(t.err.code, 0);
    rig_stop(&r);
    rig_release(&r);
    start.hints = NULL;
}

static void test_stop(void)
{
    mpi_world_stop(&start);
    CU_ASSERT_FALSE(start.running);
    buf_release(&start.blob);
    char *dir = strdup(start.session_dir);
    CU_ASSERT_EQUAL_FATAL(access(dir, F_OK), 0);
    mpi_environment_release(&start);
    CU_ASSERT_NOT_EQUAL(access(dir, F_OK), 0);
    free(dir);
}

TEST_MAIN("mpi io", TEST(test_identity), TEST(test_write), TEST(test_full_disk),
          TEST(test_failing_writes), TEST(test_hints), TEST(test_stop))
