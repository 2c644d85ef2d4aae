"""hq-mpi-worker under mpirun: pools of ranks, and ranks that die."""
import hashlib
import os
import signal

import pytest

from harness import wait_until

pytestmark = pytest.mark.mpi


@pytest.mark.core
@pytest.mark.parametrize("count", [1, 2, 4])
def test_ranks_register_and_work(env, count):
    pool = env.start_ranks(count)
    job = env.submit_and_wait("--array", "1-50", "--", "true", timeout_s=60)
    assert env.stats(job) == {"finished": 50}
    env.stop_server()
    pool.wait()


def test_eight_oversubscribed_ranks(env):
    env.start_ranks(8)
    job = env.submit_and_wait("--cpus", "1", "--array", "1-200", "--", "true", timeout_s=60)
    assert env.stats(job) == {"finished": 200}


@pytest.mark.core
def test_worker_stop_ends_the_pool_cleanly(env):
    pool = env.start_ranks(2)
    env.hq("worker", "stop", "all")
    assert pool.wait() == 0, pool.text()


@pytest.mark.core
def test_sigterm_ends_the_pool_cleanly(env):
    pool = env.start_ranks(2)
    job = env.submit("--", "sleep", "1000")
    env.wait_stats(job, running=1)
    pool.send(signal.SIGTERM)
    pool.wait()
    wait_until(lambda: not env.workers(), "the ranks to leave")
    assert env.stats(job) == {"waiting": 1}


@pytest.mark.core
def test_log_through_mpi_io(env):
    """Ranks write one file; every byte of every task stands there once."""
    env.start_ranks(2)
    job = env.submit_and_wait("--log", "l", "--array", "1-300", "--", "sh", "-c",
                              "seq $HQ_TASK_ID $((HQ_TASK_ID + 50))", timeout_s=60)
    want = "".join(f"{n}\n" for t in range(1, 301) for n in range(t, t + 51))
    got = env.log("l", "cat", job, "stdout").stdout
    assert hashlib.sha256(got.encode()).digest() == hashlib.sha256(want.encode()).digest()


@pytest.mark.core
def test_killed_rank_does_not_end_the_pool(env):
    """The documented line keeps the other ranks; the lost tasks run again."""
    pool = env.start_ranks(3)
    job = env.submit("--log", "l", "--array", "1-150", "--", "sh", "-c",
                     "echo start $HQ_TASK_ID; sleep 0.05; echo end $HQ_TASK_ID")
    wait_until(lambda: env.stats(job).get("finished", 0) > 20, "some tasks")
    victim = env.ranks()[-1]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(env.workers()) == 2, "the loss")
    env.wait_job(job, 90)
    assert env.stats(job) == {"finished": 150}
    assert pool.running and len(env.workers()) == 2
    want = "".join(f"start {t}\nend {t}\n" for t in range(1, 151))
    assert env.log("l", "cat", job, "stdout").stdout == want


def test_pool_ends_after_a_rank_was_killed(env):
    """With one rank gone, worker stop still ends the others and mpirun."""
    pool = env.start_ranks(2)
    os.kill(env.ranks()[0], signal.SIGKILL)
    env.wait_workers(1)
    env.hq("worker", "stop", "all")
    pool.wait(60)


@pytest.mark.core
def test_tasks_get_a_clean_environment(env):
    env.start_ranks(2)
    job = env.submit_and_wait("--", "env")
    names = {line.split("=")[0] for line in env.read(f"job-{job}/0.stdout").splitlines()}
    bad = [n for n in names if n.startswith(("OMPI_", "PMIX_", "PMI_", "ORTE_", "PRTE_"))]
    assert bad == []


def test_mpirun_inside_a_task(env):
    env.start_ranks(1)
    root = "--allow-run-as-root" if os.geteuid() == 0 else "--quiet"
    job = env.submit_and_wait("--", "mpirun", root, "-n", "2", "--oversubscribe", "echo",
                              "nested", timeout_s=60)
    assert env.states(job) == ["finished"], env.tasks(job)
    assert env.read(f"job-{job}/0.stdout") == "nested\nnested\n"


@pytest.mark.core
def test_reconnect_after_server_kill(bare):
    bare.start_server("--journal", "j")
    bare.start_ranks(2)
    job = bare.submit("--array", "1-100", "--stdout", "none", "--stderr", "none", "--", "sh",
                      "-c", "echo $HQ_TASK_ID >>ran; sleep 0.02")
    wait_until(lambda: bare.stats(job).get("finished", 0) > 10, "some tasks")
    bare.server.kill()
    bare.start_server("--journal", "j")
    bare.wait_job(job, 60)
    assert bare.stats(job) == {"finished": 100}
    ran = bare.read("ran").split()
    assert sorted(ran, key=int) == [str(i) for i in range(1, 101)]
    bare.wait_workers(2)


def test_connected_world(env):
    pool = env.start_ranks(2, "--mpi-world")
    job = env.submit_and_wait("--array", "1-20", "--", "true")
    assert env.stats(job) == {"finished": 20}
    env.hq("worker", "stop", "all")
    assert pool.wait(60) == 0, pool.text()


def test_info_tells_the_rank(env):
    env.start_ranks(2)
    text = env.hq("worker", "info", "all").stdout
    assert "Rank" in text or "rank" in text


def test_no_server_is_an_error(bare):
    # mpirun --enable-recovery hides the status of its ranks.
    pool = bare.start_ranks(2, wait=False)
    pool.wait(60)
    assert "is not a directory" in pool.text()


def test_launcher_binding_is_undone(env):
    """mpirun binds to core 0 by default; a pool must still use all it was given."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    command = ["mpirun", "-n", "1", "--bind-to", "core"]
    if os.geteuid() == 0:
        command.append("--allow-run-as-root")
    from harness import HQ_MPI_WORKER
    env.spawn("mpirun", *command, HQ_MPI_WORKER)
    env.wait_workers(1, 60)
    job = env.submit_and_wait("--pin", "taskset", "--cpus", "all", "--",
                              "grep", "Cpus_allowed_list", "/proc/self/status")
    text = env.read(f"job-{job}/0.stdout").split()[1]
    assert text != "0", text


@pytest.mark.long
def test_hundred_thousand_tasks_on_eight_ranks(env):
    env.start_ranks(8)
    job = env.submit_and_wait("--log", "l", "--array", "1-100000", "--", "sh", "-c",
                              "echo task $HQ_TASK_ID", timeout_s=600)
    want = "".join(f"task {t}\n" for t in range(1, 100001))
    got = env.log("l", "cat", job, "stdout", timeout_s=60).raw
    assert hashlib.sha256(got).digest() == hashlib.sha256(want.encode()).digest()


@pytest.mark.long
def test_hundred_thousand_tasks_and_a_killed_rank(env):
    env.start_ranks(8)
    job = env.submit("--log", "l", "--array", "1-100000", "--", "sh", "-c",
                     "echo task $HQ_TASK_ID")
    wait_until(lambda: env.stats(job).get("finished", 0) > 50_000, "half of it", 600)
    os.kill(env.ranks()[3], signal.SIGKILL)
    env.wait_job(job, 600)
    want = "".join(f"task {t}\n" for t in range(1, 100001))
    got = env.log("l", "cat", job, "stdout", timeout_s=60).raw
    assert hashlib.sha256(got).digest() == hashlib.sha256(want.encode()).digest()
    assert env.job(job)["info"]["task_stats"]["finished"] == 100_000
