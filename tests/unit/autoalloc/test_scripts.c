/* Scripts and commands of allocations, word by word. */
#include "autoalloc/batch.h"

#include <stdlib.h>
#include "test_main.h"

static struct alloc_params params;
static struct batch_script script;

static void begin(uint8_t manager, uint32_t workers)
{
    alloc_params_init(&params);
    params.manager = manager;
    params.time_limit_ns = 3600000000000;
    script = (struct batch_script){.params = &params,
                                   .name = "hq-1-1",
                                   .dir = "/d/autoalloc/1/001",
                                   .server_dir = "/d",
                                   .hq = "/bin/hq",
                                   .workers = workers};
}

static void worker_arg(const char *word)
{
    CU_ASSERT_EQUAL_FATAL(alloc_words_add(&params.worker_args, word), 0);
}

static void additional(const char *word)
{
    CU_ASSERT_EQUAL_FATAL(alloc_words_add(&params.additional_args, word), 0);
}

static void check_at(int line, const char *want)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    batch_ops_of(params.manager)->script(&script, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), want);
    CU_ASSERT_EQUAL(batch_script_workers(batch_ops_of(params.manager), buf_cstr(&b)),
                    script.workers);
    if (strcmp(buf_cstr(&b), want))
        printf("\n  line %d\n%s\n  instead of\n%s\n", line, buf_cstr(&b), want);
    buf_release(&b);
    alloc_params_release(&params);
}
#define CHECK(want) check_at(__LINE__, want)

#define SLURM_HEAD(nodes, name)                                             \
    "#!/bin/bash\n#SBATCH --nodes=" nodes "\n#SBATCH --job-name=" name "\n" \
    "#SBATCH --output=/d/autoalloc/1/001/stdout\n"                          \
    "#SBATCH --error=/d/autoalloc/1/001/stderr\n#SBATCH --time=01:00:00\n"
#define PBS_HEAD(nodes)                                                      \
    "#!/bin/bash\n#PBS -l select=" nodes "\n#PBS -N hq-1-1\n"                \
    "#PBS -o /d/autoalloc/1/001/stdout\n#PBS -e /d/autoalloc/1/001/stderr\n" \
    "#PBS -l walltime=01:00:00\n"
#define WORKER(manager)                                               \
    "/bin/hq worker start --idle-timeout \"5m\" --manager \"" manager \
    "\" --server-dir \"/d\""

static void test_slurm(void)
{
    begin(MANAGER_SLURM, 1);
    worker_arg("--cpus");
    worker_arg("\"4\"");
    CHECK(SLURM_HEAD("1", "hq-1-1") "\n" WORKER("slurm") " --cpus \"4\"");
    begin(MANAGER_SLURM, 2);
    CHECK(SLURM_HEAD("2", "hq-1-1") "\nsrun --overlap --ntasks=2 --nodes=2 " WORKER(
        "slurm"));
    begin(MANAGER_SLURM, 1);
    params.idle_timeout_ns = 90000000000;
    params.worker_start_cmd = strdup("echo 'a'");
    params.worker_stop_cmd = strdup("echo stop");
    params.worker_wrap_cmd = strdup("numactl -N 0");
    script.log_filter = "hq=debug info";
    CHECK(SLURM_HEAD("1", "hq-1-1") "\necho 'a' && RUST_LOG='hq=debug info' numactl -N "
                                    "0 /bin/hq worker start "
                                    "--idle-timeout \"1m 30s\" --manager \"slurm\" "
                                    "--server-dir \"/d\"; echo stop");
}

/* srun starts one program: more than that needs a shell on every node. */
static void test_slurm_shell(void)
{
    begin(MANAGER_SLURM, 2);
    params.worker_start_cmd = strdup("echo 'a'");
    CHECK(SLURM_HEAD("2", "hq-1-1") "\nsrun --overlap --ntasks=2 --nodes=2 bash -c "
                                    "'echo '\\''a'\\'' && " WORKER("slurm") "'");
    begin(MANAGER_SLURM, 2);
    script.log_filter = "warn";
    CHECK(SLURM_HEAD("2", "hq-1-1") "\nsrun --overlap --ntasks=2 --nodes=2 bash -c "
                                    "'RUST_LOG=warn " WORKER("slurm") "'");
}

/* Ranks always come from srun, which is told to leave the others alone. */
static void test_mpi_worker(void)
{
    begin(MANAGER_SLURM, 1);
    params.mpi_worker = true;
    script.hq = "/bin/hq-mpi-worker";
    CHECK(SLURM_HEAD("1", "hq-1-1") "#SBATCH --no-kill\n\nsrun --overlap --mpi=none "
                                    "--kill-on-bad-exit=0 --no-kill --wait=0 "
                                    "--cpu-bind=none --ntasks=1 --nodes=1 "
                                    "/bin/hq-mpi-worker --idle-timeout \"5m\" "
                                    "--manager \"slurm\" --server-dir "
                                    "\"/d\"");
    begin(MANAGER_PBS, 2);
    params.mpi_worker = true;
    script.hq = "/bin/hq-mpi-worker";
    CHECK(PBS_HEAD("2") "\npbsdsh -- bash -l -c '/bin/hq-mpi-worker --idle-timeout "
                        "\"5m\" --manager \"pbs\" --server-dir \"/d\"'");
}

static void test_pbs(void)
{
    begin(MANAGER_PBS, 1);
    CHECK(PBS_HEAD("1") "\n" WORKER("pbs"));
    begin(MANAGER_PBS, 3);
    script.trial = true;
    additional("-q");
    additional("qexp");
    CHECK(PBS_HEAD("3") "#PBS -q qexp\n#PBS -h\n\npbsdsh -- bash -l -c '" WORKER(
        "pbs") "'");
}

static void test_odd_words(void)
{
    begin(MANAGER_SLURM, 1);
    script.name = "my name-1";
    script.dir = "/a b/50%/\"q\"";
    script.server_dir = "/a b/$HOME`x`";
    script.hq = "/opt/h q/hq";
    additional("-l");
    additional("a=b c");
    additional("say \"x\"");
    CHECK("#!/bin/bash\n#SBATCH --nodes=1\n#SBATCH --job-name=\"my name-1\"\n"
          "#SBATCH --output=\"/a b/50%%/\\\"q\\\"/stdout\"\n"
          "#SBATCH --error=\"/a b/50%%/\\\"q\\\"/stderr\"\n#SBATCH --time=01:00:00\n"
          "#SBATCH -l \"a=b c\" \"say \\\"x\\\"\"\n\n"
          "'/opt/h q/hq' worker start --idle-timeout \"5m\" --manager \"slurm\" "
          "--server-dir \"/a b/\\$HOME\\`x\\`\"");
}

static void check_time(uint64_t ns, const char *want)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    begin(MANAGER_SLURM, 1);
    params.time_limit_ns = ns;
    batch_slurm.script(&script, &b);
    const char *at = strstr(buf_cstr(&b), "--time=");
    CU_ASSERT_FATAL(at != NULL);
    CU_ASSERT(strncmp(at + 7, want, strlen(want)) == 0 && at[7 + strlen(want)] == '\n');
    buf_release(&b);
    alloc_params_release(&params);
}

static void test_times(void)
{
    check_time(93600000000000, "26:00:00");
    check_time(1, "00:00:01");
    check_time(61500000000, "00:01:02");
    check_time(360000000000000000, "100000:00:00");
}

static void check_command(const struct batch_command *c, const char *want)
{
    char text[256] = "";
    for (size_t i = 0; c->words.data[i]; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                       i ? " " : "", c->words.data[i]);
    CU_ASSERT_STRING_EQUAL(text, want);
}

static void test_commands(void)
{
    const char *ids[] = {"1.srv", "2.srv"};
    struct batch_command c = {VEC_INIT};
    batch_submit_command(&batch_slurm, "/d", &c);
    check_command(&c, "sbatch /d/hq-submit.sh");
    batch_command_release(&c);
    batch_cancel_command(&batch_pbs, "1.srv", &c);
    check_command(&c, "qdel 1.srv");
    batch_command_release(&c);
    batch_pbs.status_command(ids, 2, &c);
    check_command(&c, "qstat -f 1.srv -f 2.srv -F json -x");
    batch_command_release(&c);
    batch_slurm.status_command(ids, 1, &c);
    check_command(&c, "scontrol show job 1.srv");
    batch_command_release(&c);
}

static void test_names(void)
{
    struct buf b = BUF_INIT(256);
    begin(MANAGER_SLURM, 1);
    batch_allocation_name(&params, 3, 12, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "hq-3-12");
    buf_clear(&b);
    params.name = strdup("abc");
    batch_allocation_name(&params, 3, 12, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "abc-12");
    buf_release(&b);
    alloc_params_release(&params);
}

TEST_MAIN("scripts", TEST(test_slurm), TEST(test_slurm_shell), TEST(test_mpi_worker),
          TEST(test_pbs), TEST(test_odd_words), TEST(test_times), TEST(test_commands),
          TEST(test_names))
