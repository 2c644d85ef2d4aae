"""Pools inside a real Slurm, on three nodes made by the Slurm lab.

HQ_SLURM_LAB names the lab's directory. Without it, or where its probe says that this
machine cannot do it, the tests are skipped.
"""
import contextlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from harness import HQ, HQ_MPI_WORKER, ROOT, Env, wait_until

LAB = Path(os.environ.get("HQ_SLURM_LAB", ROOT.parent / "shared" / "slurm-lab"))
SRUN = ["srun", "--kill-on-bad-exit=0", "--no-kill", "--wait=0"]

pytestmark = [pytest.mark.slurm, pytest.mark.mpi, pytest.mark.xdist_group("slurm")]


class Lab:
    def __init__(self, state):
        self.state = state
        subprocess.run([LAB / "up", "-n", "3", "-c", "2", state], check=True,
                       stdout=subprocess.DEVNULL)

    def down(self):
        subprocess.run([LAB / "down", self.state], check=False)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if not (LAB / "up").exists():
        pytest.skip(f"no Slurm lab in {LAB}")
    probe = subprocess.run([LAB / "up", "--probe"], capture_output=True, text=True)
    if probe.returncode == 77:
        pytest.skip(probe.stdout.strip())
    assert probe.returncode == 0, probe.stdout + probe.stderr
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.down()


class SlurmEnv(Env):
    """Runs every command on the head of the cluster."""

    def __init__(self, lab):
        super().__init__()
        self.lab = lab
        self.prefix = [LAB / "run-in", "-s", lab.state, "--"]

    def run(self, *command, **kwargs):
        return super().run(*self.prefix, *command, **kwargs)

    def spawn(self, name, *command, **kwargs):
        return super().spawn(name, *self.prefix, *command, **kwargs)

    def start_server(self, *args):
        self.server = self.spawn("server", HQ, "server", "start", *args)
        wait_until(lambda: self.hq("server", "info", code=None).code == 0, "the server")
        return self.server

    def servers(self):
        """Pids of the server, which is not the process that was started here."""
        found = []
        for pid in self.tagged():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == str(HQ).encode() and words[1:3] == [b"server", b"start"]:
                found.append(pid)
        return found

    def node(self, verb, name):
        subprocess.run([LAB / "node", verb, name, self.lab.state], check=True)


@pytest.fixture
def slurm(lab, request):
    env = SlurmEnv(lab)
    request.node.hq_env = env
    env.start_server()
    yield env
    env.run("scancel", "--user", "root", code=None)
    env.hq("server", "stop", code=None)
    left = env.leave()
    wait_until(lambda: env.run("squeue", "-h").stdout == "", "an empty queue", 60)
    env.remove()
    assert not left, f"processes left behind: {left}"


@pytest.mark.parametrize("mpi", ["none", "pmix"])
def test_pool_by_srun(slurm, mpi):
    slurm.spawn("srun", *SRUN, f"--mpi={mpi}", "-N3", "--ntasks-per-node=1", HQ_MPI_WORKER)
    slurm.wait_workers(3, 60)
    hosts = {w["configuration"]["hostname"] for w in slurm.workers()}
    assert hosts == {"node1", "node2", "node3"}
    managers = {w["allocation"]["manager"] for w in slurm.workers()}
    assert managers == {"Slurm"}
    job = slurm.submit_and_wait("--log", "l", "--array", "1-60", "--", "hostname",
                                timeout_s=60)
    lines = slurm.log("l", "cat", job, "stdout").stdout.split()
    assert len(lines) == 60 and set(lines) <= hosts


def test_task_environment_is_clean(slurm):
    slurm.spawn("srun", *SRUN, "--mpi=pmix", "-N1", "-n1", HQ_MPI_WORKER)
    slurm.wait_workers(1, 60)
    job = slurm.submit_and_wait("--", "env")
    names = {line.split("=")[0] for line in slurm.read(f"job-{job}/0.stdout").splitlines()}
    gone = re.compile(r"OMPI_(?!ALLOW_)|PMIX_|PMI_|SLURM_STEP|SLURM_NTASKS$|SLURM_PROCID|SLURM_LOCALID")
    assert not [n for n in names if gone.match(n)]
    assert "SLURM_JOB_ID" in names


@pytest.mark.parametrize("mpi", ["none", "pmix"])
def test_killed_rank_leaves_the_others(slurm, mpi):
    step = slurm.spawn("srun", *SRUN, f"--mpi={mpi}", "-N3", "--ntasks-per-node=2",
                       HQ_MPI_WORKER)
    slurm.wait_workers(6, 60)
    job = slurm.submit("--array", "1-60", "--log", "l", "--", "sh", "-c",
                       "echo $HQ_TASK_ID; sleep 0.2")
    wait_until(lambda: slurm.stats(job).get("finished", 0) > 5, "some tasks")
    os.kill(slurm.ranks()[0], 9)
    wait_until(lambda: len(slurm.workers()) == 5, "the loss")
    slurm.wait_job(job, 120)
    assert slurm.stats(job) == {"finished": 60}
    assert step.running and len(slurm.workers()) == 5
    got = slurm.log("l", "cat", job, "stdout").stdout.split()
    assert got == [str(i) for i in range(1, 61)]


def start_pool(slurm):
    slurm.spawn("srun", *SRUN, "--mpi=none", "-N3", "--ntasks-per-node=1", HQ_MPI_WORKER,
                "--heartbeat=1s")
    slurm.wait_workers(3, 60)


@contextlib.contextmanager
def crashed(slurm, node):
    """The node is gone inside the block and back behind it; the pool has ended then."""
    try:
        slurm.node("crash", node)
        wait_until(lambda: len(slurm.workers()) == 2, "the loss", 60)
        yield
    finally:
        slurm.hq("worker", "stop", "all")
        slurm.node("boot", node)
        wait_until(lambda: slurm.run("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o",
                                     "%N").stdout.count("node") == 3, "three nodes", 120)


def test_crashed_node_is_noticed_by_its_silence(slurm):
    start_pool(slurm)
    with crashed(slurm, "node3"):
        job = slurm.submit_and_wait("--array", "1-10", "--", "true")
        assert slurm.stats(job) == {"finished": 10}


def test_two_allocations_write_one_log(slurm):
    """Three nodes write at once, one of them crashes, a later allocation goes on in the
    same file: what every task printed is there, once."""
    slurm.script("print.sh", "seq $((HQ_TASK_ID * 50)); sleep 0.1\n")
    want = {i: "".join(f"{n}\n" for n in range(1, i * 50 + 1)) for i in range(1, 61)}
    submit = ["--array", "1-60", "--log", "l", "--", "./print.sh"]
    start_pool(slurm)
    first = slurm.submit(*submit)
    wait_until(lambda: slurm.stats(first).get("finished", 0) > 10, "some tasks")
    with crashed(slurm, "node3"):
        slurm.wait_job(first, 120)
    start_pool(slurm)
    second = slurm.submit_and_wait(*submit, timeout_s=60)
    for job in (first, second):
        assert slurm.stats(job) == {"finished": 60}
        got = {t["id"]: t["stdout"] for t in slurm.log("l", "export", job).json()}
        assert got == want
    assert {e["host"] for e in slurm.json("log", "l", "list")} == {"node1", "node2", "node3"}
    assert slurm.log("l", "check", code=None).code == 0


def test_jobscript_on_the_login_node(slurm):
    """The pool as a batch job, the server on the login node."""
    script = ROOT / "jobscripts" / "slurm-pool.sh"
    slurm.run("sbatch", "-N3", "--ntasks-per-node=1", "--export=ALL", script)
    slurm.wait_workers(3, 60)
    job = slurm.submit_and_wait("--array", "1-30", "--log", "l", "--", "hostname",
                                timeout_s=60)
    assert slurm.stats(job) == {"finished": 30}
    slurm.hq("worker", "stop", "all")
    wait_until(lambda: slurm.run("squeue", "-h").stdout == "", "the end of the job", 60)


def test_jobscript_with_its_own_server(slurm):
    """Everything inside the job: the script's arguments are the work."""
    slurm.hq("server", "stop")
    slurm.server.wait()
    script = ROOT / "jobscripts" / "slurm-pool.sh"
    slurm.script("work.sh", "hq submit --wait --array 1-12 --log in-job.hqlog hostname\n")
    slurm.run("sbatch", "-N3", "--ntasks-per-node=1", "--export=ALL", "--wait",
              "--output", "batch.out", script, "./work.sh", timeout_s=120)
    said = slurm.read("batch.out")
    lines = slurm.log("in-job.hqlog", "cat", "1", "stdout").stdout.split()
    assert len(lines) == 12, said
    assert "srun: error" not in said  # the ranks were let go, not killed


def test_scancel_is_a_clean_end(slurm):
    step = slurm.spawn("srun", *SRUN, "--mpi=none", "-N2", "--ntasks-per-node=1",
                       HQ_MPI_WORKER)
    slurm.wait_workers(2, 60)
    job = slurm.submit("--crash-limit", "1", "--", "sleep", "1000")
    slurm.wait_stats(job, running=1)
    slurm.run("scancel", slurm.run("squeue", "-h", "-o", "%i").stdout.strip())
    step.wait(60)
    wait_until(lambda: not slurm.workers(), "the ranks to leave")
    assert slurm.stats(job) == {"waiting": 1}, slurm.tasks(job)


# ---- automatic allocation --------------------------------------------------------------


@pytest.fixture
def queued(lab, request):
    """A server with a journal on the login node that looks at its queues all the time."""
    env = SlurmEnv(lab)
    request.node.hq_env = env
    env.vars.update(HQ_AUTOALLOC_SCHEDULE_TICK_INTERVAL_MS="200",
                    HQ_AUTOALLOC_MAX_SCHEDULE_DELAY_MS="1000",
                    HQ_AUTOALLOC_REFRESH_INTERVAL_MS="1000")
    env.start_server("--journal", "j")
    yield env
    env.hq("server", "stop", code=None)
    env.run("scancel", "--user", "root", code=None)
    left = env.leave()
    wait_until(lambda: env.run("squeue", "-h").stdout == "", "an empty queue", 60)
    env.remove()
    assert not left, f"processes left behind: {left}"


def allocations(env, queue=1):
    return {a["id"]: a for a in env.json("alloc", "info", queue)}


def test_queue_submits_real_allocations(queued):
    """Tried, submitted, run, and over when idle: nothing but the commands of a user."""
    added = queued.hq("alloc", "add", "slurm", "--time-limit", "5m", "--cpus", "2",
                      "--backlog", "3", "--max-worker-count", "3", "--idle-timeout", "2s",
                      "--name", "auto", "--", "--partition", "main", "--exclusive")
    assert "A trial allocation was submitted successfully." in added.stderr
    job = queued.submit_and_wait("--cpus", "2", "--array", "1-9", "--", "sh", "-c",
                                 "hostname; echo $SLURM_JOB_ID; sleep 1", timeout_s=120)
    assert queued.stats(job) == {"finished": 9}
    told = [queued.read(f"job-{job}/{i}.stdout").split() for i in range(1, 10)]
    assert {host for host, _ in told} <= {"node1", "node2", "node3"}
    known = allocations(queued)
    assert {number for _, number in told} <= set(known) and len(known) <= 3
    assert queued.json("alloc", "list")[0]["known_worker_resources"]["resources"]
    wait_until(lambda: {a["status"] for a in allocations(queued).values()} == {"finished"},
               "the idle allocations to end", 90)
    wait_until(lambda: queued.run("squeue", "-h").stdout == "", "an empty queue", 60)
    for a in allocations(queued).values():
        assert a["started_at"] and a["ended_at"]
    accounting = queued.run("scontrol", "show", "job", next(iter(known))).stdout
    assert "JobName=auto-" in accounting and "JobState=COMPLETED" in accounting


def test_partition_that_does_not_exist(queued):
    out = queued.hq("alloc", "add", "slurm", "--time-limit", "5m", "--cpus", "2", "--",
                    "--partition", "none", code=1)
    assert "Dry-run (test allocation submission) has failed" in out.stderr
    assert "invalid partition" in out.stderr
    assert queued.json("alloc", "list") == []


def test_gang_gets_an_allocation_of_its_size(queued):
    queued.hq("alloc", "add", "slurm", "--time-limit", "5m", "--cpus", "2", "-m", "3",
              "--idle-timeout", "2s", "--no-dry-run", "--worker-start-cmd",
              "echo start $(hostname) >>$SLURM_SUBMIT_DIR/started", "--", "-p", "main")
    job = queued.submit_and_wait("--nodes", "3", "--", "sh", "-c", "cat $HQ_NODE_FILE",
                                 timeout_s=120)
    assert sorted(queued.read(f"job-{job}/0.stdout").split()) == ["node1", "node2", "node3"]
    one = list(allocations(queued).values())[0]
    assert one["target_worker_count"] == 3
    started = queued.run("cat", one["workdir"] + "/started").stdout.split()
    assert sorted(started[1::2]) == ["node1", "node2", "node3"]
    wait_until(lambda: allocations(queued)[one["id"]]["status"] == "finished", "its end", 90)


def test_removed_queue_leaves_no_allocation(queued):
    queued.hq("alloc", "add", "slurm", "--time-limit", "5m", "--cpus", "2",
              "--no-dry-run", "--backlog", "5", "--", "-p", "main", "--exclusive")
    queued.submit("--array", "1-20", "--cpus", "2", "--", "sleep", "1000")
    wait_until(lambda: "running" in {a["status"] for a in allocations(queued).values()},
               "one to run", 60)
    out = queued.hq("alloc", "remove", 1, code=1)
    assert "Allocation queue has running jobs" in out.stderr
    queued.hq("alloc", "remove", "--force", 1)
    wait_until(lambda: queued.run("squeue", "-h").stdout == "", "an empty queue", 60)


def test_allocation_that_waits_outlives_the_server(queued):
    """All nodes are busy when the server is killed; what it had queued joins the next."""
    queued.run("sbatch", "-N3", "--exclusive", "--wrap", "sleep 1000")
    queued.hq("alloc", "add", "slurm", "--time-limit", "5m", "--cpus", "2", "--no-dry-run",
              "--idle-timeout", "2s", "--max-worker-count", "1", "--", "-p", "main",
              "--exclusive")
    job = queued.submit("--", "hostname")
    wait_until(lambda: allocations(queued), "an allocation", 60)
    (number,) = allocations(queued)
    for pid in queued.servers():
        os.kill(pid, 9)
    queued.server.wait()
    queued.start_server("--journal", "j")
    assert allocations(queued)[number]["status"] == "queued"
    queued.run("scancel", "--name", "wrap")
    queued.wait_job(job, 120)
    assert list(allocations(queued)) == [number]
    assert queued.workers("--all")[-1]["allocation"]["id"] == number


def test_ranks_of_queues_write_one_log(queued):
    """Allocations of hq-mpi-worker: the shared log of several nodes, by MPI."""
    queued.hq("alloc", "add", "slurm", "--time-limit", "5m", "--cpus", "2", "-m", "3",
              "--mpi-worker", "--idle-timeout", "2s", "--max-worker-count", "3",
              "--no-dry-run", "--", "-p", "main")
    gang = queued.submit("--nodes", "3", "--", "true")
    job = queued.submit("--log", "l", "--array", "1-60", "--", "sh", "-c",
                        "hostname; sleep 0.2")
    queued.wait_job(gang, 120)
    queued.wait_job(job, 120)
    lines = queued.log("l", "cat", job, "stdout").stdout.split()
    assert len(lines) == 60 and set(lines) == {"node1", "node2", "node3"}
    assert {e["host"] for e in queued.json("log", "l", "list")} == set(lines)
    wait_until(lambda: {a["status"] for a in allocations(queued).values()} == {"finished"},
               "the end", 90)
