"""Automatic allocation against a batch system that behaves, or does not."""
import json
import os
import re
import signal
import time

import pytest

from batch import Batch
from harness import HQ, small_disk, wait_until

ONE = ["--time-limit", "1h", "--cpus", "2", "--detect-resources", "none", "--no-dry-run"]


@pytest.fixture
def batch(bare):
    """Stub commands, a server with fast ticks."""
    bare.batch = Batch(bare)
    bare.start_server()
    return bare


def add(env, *args, manager="slurm"):
    out = env.hq("alloc", "add", manager, *args)
    assert out.stdout == ""
    return int(re.search(r"Allocation queue (\d+) successfully created", out.stderr)[1])


def allocations(env, queue=1):
    return {a["id"]: a for a in env.json("alloc", "info", queue)}


def statuses(env, queue=1):
    return {i: a["status"] for i, a in sorted(allocations(env, queue).items())}


def wait_statuses(env, want, queue=1, timeout_s=20):
    wait_until(lambda: statuses(env, queue) == want, f"{want}", timeout_s)


def queues(env):
    return {q["id"]: q for q in env.json("alloc", "list")}


def wait_log(env, text, timeout_s=20):
    wait_until(lambda: text in env.server.text(), text, timeout_s)


# ---- the whole way -------------------------------------------------------------------


@pytest.mark.core
def test_tasks_get_allocations_that_end_by_themselves(batch):
    batch.batch.runs()
    add(batch, *ONE, "--idle-timeout", "1s", "--max-worker-count", "1")
    job = batch.submit_and_wait("--array", "1-4", "--", "sh", "-c", "echo $SLURM_JOB_ID")
    assert {batch.read(f"job-{job}/{i}.stdout") for i in range(1, 5)} == {"101\n"}
    wait_statuses(batch, {"101": "finished"})
    one = allocations(batch)["101"]
    assert one["started_at"] and one["ended_at"] and one["target_worker_count"] == 1
    worker = batch.workers("--all")[0]
    assert worker["allocation"] == {"id": "101", "manager": "Slurm"}
    assert worker["ended"]["reason"] == "idle timeout"
    assert worker["configuration"]["on_server_lost"] == "finish-running"
    known = queues(batch)[1]["known_worker_resources"]["resources"]
    assert [r["name"] for r in known] == ["cpus"]
    # The batch system was asked for nothing more, and nothing was cancelled.
    assert len(batch.batch.calls("sbatch")) == 1 and not batch.batch.calls("scancel")


def test_commands_run_once_on_every_node(batch):
    """What srun starts is one program: start and stop commands need a shell there."""
    batch.batch.runs()
    add(batch, *ONE, "--idle-timeout", "1s", "-m", "2", "--max-worker-count", "2",
        "--worker-start-cmd", f"echo 'start $SLURM_PROCID' >>{batch.work}/hooks",
        "--worker-stop-cmd", f"echo stop >>{batch.work}/hooks",
        "--worker-wrap-cmd", "env WRAPPED=\"a 'b'\"")
    job = batch.submit_and_wait("--nodes", "2", "--", "sh", "-c", "echo $WRAPPED")
    assert batch.read(f"job-{job}/0.stdout") == "a 'b'\n"
    wait_until(lambda: batch.read("hooks").count("stop") == 2, "both ends")
    assert sorted(batch.read("hooks").split("\n")) == ["", "start $SLURM_PROCID",
                                                       "start $SLURM_PROCID", "stop",
                                                       "stop"]
    assert "srun --overlap --ntasks=2 --nodes=2 bash -c '" in batch.batch.script(101)


def test_odd_names_are_quoted(bare):
    """A server directory and values that a shell would take apart."""
    bare.vars["HQ_SERVER_DIR"] = str(bare.root / "s d $x")
    bare.batch = Batch(bare)
    bare.start_server()
    bare.batch.runs()
    add(bare, *ONE, "--idle-timeout", "1s", "--name", "my queue", "--group", "g $HOME`x`",
        "--resource", 'gpus=["a b","$c"]', "--max-worker-count", "1",
        "--", "-l", "a=b c", 'say "x"')
    bare.submit_and_wait("--", "true")
    worker = bare.workers("--all")[0]["configuration"]
    assert worker["group"] == "g $HOME`x`"
    script = bare.batch.script(101)
    assert '#SBATCH -l "a=b c" "say \\"x\\""' in script
    assert '#SBATCH --job-name="my queue-1"' in script


def test_worker_options_reach_the_worker(batch):
    batch.batch.runs()
    add(batch, *ONE, "--max-worker-count", "1", "--worker-time-limit", "30m",
        "--on-server-lost", "reconnect:2m", "--idle-timeout", "90s", "--min-utilization",
        "0.5", "--overview-interval", "10s", "--no-hyper-threading")
    batch.submit("--array", "1-2", "--", "sleep", "60")
    batch.wait_workers(1)
    c = batch.workers()[0]["configuration"]
    assert (c["time_limit"], c["idle_timeout"], c["min_utilization"]) == (1800, 90, 0.5)
    batch.hq("worker", "stop", "all")


# ---- when and how much ---------------------------------------------------------------


def test_pause_and_resume(batch):
    add(batch, *ONE)
    batch.hq("alloc", "pause", 1)
    assert batch.hq("alloc", "list").stderr == ""
    batch.submit("--", "true")
    add(batch, *ONE)
    wait_statuses(batch, {"101": "queued"}, queue=2)  # so the first had its chance
    assert statuses(batch, 1) == {}
    batch.hq("alloc", "pause", 2)
    batch.hq("alloc", "remove", 2)
    batch.hq("alloc", "resume", 1)
    wait_statuses(batch, {"102": "queued"}, queue=1)


def test_several_sizes_of_gangs(batch):
    """Upstream remembers only one size."""
    add(batch, *ONE, "-m", "4", "-b", "5")
    batch.submit("--nodes", "2", "--", "true")
    batch.submit("--nodes", "4", "--array", "1-2", "--", "true")
    batch.submit("--nodes", "9", "--", "true")
    wait_until(lambda: len(allocations(batch)) >= 3, "three allocations")
    sizes = sorted(a["target_worker_count"] for a in allocations(batch).values())
    assert sizes == [2, 4, 4]


def test_earlier_queues_are_served_first(batch):
    add(batch, *ONE, "--max-worker-count", "1")
    add(batch, *ONE, "--backlog", "5")
    batch.submit("--array", "1-6", "--cpus", "2", "--", "true")
    wait_until(lambda: len(allocations(batch, 2)) == 5, "the second queue")
    assert len(allocations(batch, 1)) == 1


def sizes(env, queue):
    return sorted(a["target_worker_count"] for a in allocations(env, queue).values())


def settled(env):
    """The demand was looked at: a queue that is left out of the question got its own."""
    last = add(env, *ONE, "--resource", "probe=sum(1)")
    job = env.submit("--resource", "probe=1", "--", "true")
    wait_until(lambda: statuses(env, last), "the look at the demand")
    env.hq("alloc", "remove", last)
    env.hq("job", "cancel", job)


def test_what_comes_to_one_queue_counts_for_all(batch):
    """Also when its backlog is full; others stand in for one that is paused."""
    add(batch, *ONE, "--resource", "probe=sum(0.5)")
    add(batch, *ONE, "--resource", "probe=sum(0.5)")
    batch.submit("--", "true")
    wait_statuses(batch, {"101": "queued"})
    settled(batch)
    assert sizes(batch, 1) == [1] and sizes(batch, 2) == []
    batch.hq("alloc", "pause", 1)
    wait_until(lambda: sizes(batch, 2) == [1], "the stand-in")


def test_gang_that_only_a_later_queue_has_room_for(batch):
    add(batch, *ONE, "-m", "4", "--max-worker-count", "3")
    add(batch, *ONE, "-m", "4", "--backlog", "2")
    add(batch, *ONE, "-m", "4")
    batch.submit("--nodes", "4", "--array", "1-3", "--", "true")
    wait_until(lambda: sizes(batch, 2) == [4, 4] and sizes(batch, 3) == [4], "both queues")
    assert sizes(batch, 1) == []


@pytest.mark.parametrize("asks,limit", [("1h", []), ("30m", ["--worker-time-limit", "30m"])])
def test_task_that_would_come_too_late_gets_no_allocation(batch, asks, limit):
    """A worker has lived for a moment when it comes, which is known when one has come."""
    add(batch, *ONE, "--resource", "probe=sum(0.5)", *limit)
    batch.submit("--time-request", "61m", "--", "true")
    settled(batch)
    assert sizes(batch, 1) == []
    job = batch.submit("--time-request", asks, "--", "true")
    ours = wait_until(lambda: list(statuses(batch)), "an allocation for what asks for all")
    batch.start_worker("--manager", "slurm", "--time-limit", asks,
                       env={"SLURM_JOB_ID": ours[0]})
    batch.hq("worker", "stop", "last")
    wait_statuses(batch, {ours[0]: "finished"})
    settled(batch)
    assert sizes(batch, 1) == [1] and batch.json("job", "info", job)[0]["info"][
        "task_stats"]["waiting"] == 1
    batch.submit("--time-request", "29m", "--", "true")
    wait_until(lambda: sizes(batch, 1) == [1, 1], "what is short enough")


def test_hundred_queues(batch):
    for _ in range(100):
        add(batch, *ONE)
    batch.submit("--array", "1-100", "--cpus", "2", "--", "sleep", "60")
    wait_until(lambda: len(batch.batch.calls("sbatch")) == 100, "all of them", 60)
    began = time.monotonic()
    batch.hq("server", "info")
    assert time.monotonic() - began < 2
    wait_until(lambda: all(statuses(batch, q) != {} for q in range(1, 101)), "each", 60)
    batch.stop_server()
    assert len(batch.batch.calls("scancel")) == 100


# ---- states --------------------------------------------------------------------------


def test_crashed_workers_make_a_failed_allocation(batch):
    batch.batch.runs()
    add(batch, *ONE, "--max-worker-count", "1")
    batch.submit("--crash-limit", "unlimited", "--", "sleep", "60")
    batch.wait_workers(1)
    os.kill(pid_of_worker(batch), signal.SIGKILL)
    wait_until(lambda: statuses(batch)["101"] == "failed", "the failure")
    rows = batch.hq("alloc", "info", 1, "--filter", "failed").table()
    assert rows[1][:2] == ["101", "FAILED"]
    assert batch.json("alloc", "info", 1, "--filter", "finished") == []


def pid_of_worker(env):
    for pid in env.tagged():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        stat = open(f"/proc/{pid}/stat").read()
        parent = int(stat.rsplit(")", 1)[1].split()[1])
        if words[1:3] == [b"worker", b"start"] and not started_by_worker(parent):
            return pid
    return None


def started_by_worker(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().split(b"\0")[1:3] == [b"worker", b"start"]


def test_worker_of_a_stranger_is_only_warned_about(batch):
    add(batch, *ONE)
    batch.start_worker("--manager", "slurm", env={"SLURM_JOB_ID": "77"})
    wait_log(batch, "comes from allocation 77, which is not known")
    assert statuses(batch) == {}


def test_worker_may_be_faster_than_sbatch(batch):
    """It registers before the id of its allocation is known."""
    batch.batch.runs()
    done = batch.work / "go"
    batch.batch.does("sbatch", f"""
n=101; cp "$1" $B/script.$n; echo RUNNING >$B/state.$n
SLURM_JOB_ID=$n setsid bash "$1" >$B/out.$n 2>&1 </dev/null &
while ! test -e {done}; do sleep 0.05; done
echo "Submitted batch job $n"; exit 0""")
    add(batch, *ONE, "--max-worker-count", "1", "--idle-timeout", "1s")
    batch.submit("--", "true")
    batch.wait_workers(1)
    done.touch()
    wait_until(lambda: statuses(batch).get("101") in ("running", "finished"), "its start")
    wait_statuses(batch, {"101": "finished"})


# ---- a batch system that misbehaves --------------------------------------------------


@pytest.mark.core
def test_hanging_sbatch_blocks_nothing(bare):
    bare.batch = Batch(bare)
    bare.batch.does("sbatch", "echo $$ >>$B/pids; sleep 1000")
    bare.start_server(env={"HQ_AUTOALLOC_COMMAND_TIMEOUT_MS": 700})
    for _ in range(12):  # more than run at a time
        add(bare, *ONE)
    bare.submit("--", "true")
    wait_until(lambda: bare.batch.calls("sbatch"), "a submission")
    began = time.monotonic()
    bare.start_worker()
    bare.submit_and_wait("--", "true")
    assert time.monotonic() - began < 10
    wait_log(bare, "Failed to submit allocation into queue 1: sbatch execution failed")
    assert "it did not end in time" in bare.server.text()
    # Nothing of it goes on.
    wait_until(lambda: not [p for p in bare.read("batch/pids").split()
                            if os.path.exists(f"/proc/{p}")] or None, "their ends", 30)


@pytest.mark.parametrize("body,why", [
    ("printf 'Submitted \\000\\377 junk'; exit 0", "Missing job id in sbatch output"),
    ("head -c 20000000 /dev/zero; exit 0", "it prints more than"),
    ("kill -9 $$", "Signal: 9"),
    ("echo out; echo err >&2; exit 7", "Exit code: 7\n    Stderr: err\n    Stdout: out"),
])
def test_submissions_that_fail(batch, body, why):
    batch.batch.does("sbatch", body)
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_log(batch, why)
    assert statuses(batch) == {}
    # It waits a minute then, and says why.
    assert len(batch.batch.calls("sbatch")) == 1
    queue = queues(batch)[1]
    assert 30 < queue["delay"] <= 60 and queue["failed_submissions"] == 1
    assert why in queue["last_error"] and "pause_reason" not in queue


def test_queue_without_failures_has_no_more_keys(batch):
    """Programs that check the keys of a queue know those of the contract."""
    add(batch, *ONE)
    assert set(queues(batch)[1]) == {
        "additional_args", "backlog", "id", "known_worker_resources", "manager",
        "max_worker_count", "max_workers_per_alloc", "name", "state", "timelimit",
        "worker_args"}
    add(batch, *ONE, "--mpi-worker")
    assert queues(batch)[2]["mpi_worker"] is True
    batch.hq("alloc", "pause", 1)
    assert queues(batch)[1]["pause_reason"] == "client"


def test_garbage_instead_of_states(batch):
    """More than ten answers without sense, and a queued allocation is given up."""
    batch.batch.does("scontrol", "head -c 1000 /dev/urandom; exit 0")
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_until(lambda: "101" in statuses(batch), "the allocation")
    wait_until(lambda: statuses(batch)["101"] == "failed", "the end of patience", 60)
    assert len(batch.batch.calls("scontrol")) == 11


def test_slow_states_keep_nobody_waiting(bare):
    """More questions than run at a time hang; trials, submissions and cancels do not."""
    bare.batch = Batch(bare)
    go = bare.work / "go"
    bare.batch.does("scontrol", f"while ! test -e {go}; do sleep 0.05; done")
    bare.start_server(env={"HQ_AUTOALLOC_REFRESH_INTERVAL_MS": 3600000,
                           "HQ_AUTOALLOC_LOOK_INTERVAL_MS": 100})
    add(bare, *ONE, "--backlog", "12")
    bare.submit("--cpus", "2", "--array", "1-12", "--", "true")
    wait_until(lambda: len(allocations(bare)) == 12, "all allocations")
    wait_until(lambda: len(bare.batch.calls("scontrol")) == 4, "hanging questions")
    add(bare, *ONE[:-1])
    bare.hq("alloc", "remove", 1)
    assert len(bare.batch.calls("scontrol")) == 4 and queues(bare).keys() == {2}
    go.touch()


def test_states_that_come_and_go(batch):
    """Errors that are followed by an answer count from the start again."""
    batch.batch.does("scontrol", "n=$(wc -l <$B/calls); test $((n % 5)) = 0 || exit 1")
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_until(lambda: len(batch.batch.calls("scontrol")) > 25, "many looks", 60)
    assert statuses(batch) == {"101": "queued"}


def test_allocation_without_workers_is_looked_at_soon(bare):
    """One fails at once, one runs and fails later: no half an hour until that is known."""
    bare.batch = Batch(bare)
    bare.batch.state(101, "FAILED")
    bare.batch.state(102, "RUNNING")
    bare.start_server(env={"HQ_AUTOALLOC_REFRESH_INTERVAL_MS": 3600000,
                           "HQ_AUTOALLOC_LOOK_INTERVAL_MS": 100})
    add(bare, *ONE)
    bare.submit("--", "true")
    wait_until(lambda: statuses(bare).get("101") == "failed", "the first failure")
    add(bare, *ONE)
    wait_until(lambda: statuses(bare, 2).get("102") == "running", "its start")
    bare.batch.state(102, "TIMEOUT")
    wait_until(lambda: statuses(bare, 2).get("102") == "finished", "its end")
    assert re.search(r'Allocation 101 of queue 1 failed, see ".*/1/001/stderr"',
                     bare.server.text())
    assert re.search(r'Allocation 102 of queue 2 ended, and no worker came from it, see '
                     r'".*/2/001/stderr"', bare.server.text())


def test_allocation_that_slurm_has_forgotten(batch):
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_statuses(batch, {"101": "queued"})
    batch.batch.does("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2"
                                 "; exit 1")
    wait_until(lambda: statuses(batch)["101"] == "failed", "the verdict")


def test_files_that_cannot_be_written(batch):
    """No room for the script: a failed submission, and the server goes on."""
    run = batch.server_dir / "001"
    (run / "autoalloc").write_text("in the way")
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_log(batch, "Failed to submit allocation into queue 1: ")
    assert "autoalloc" in batch.server.text().split("Failed to submit", 1)[1]
    assert not batch.batch.calls("sbatch")
    batch.hq("alloc", "remove", 1)


def fill(disk):
    filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(OSError):
        while True:
            os.write(filler, bytes(4096))
    os.close(filler)


def test_full_disk(bare):
    """Queues that the journal cannot keep are refused; with room again all goes on."""
    with small_disk(bare, "1m") as disk:
        bare.vars["HQ_SERVER_DIR"] = str(disk / "sd")
        bare.batch = Batch(bare)
        server = bare.start_server("--journal", "disk/j")
        add(bare, *ONE)
        fill(disk)
        refused = bare.hq("alloc", "add", "slurm", *ONE, "--name", "x" * 200, "--",
                          *("y" * 4000 for _ in range(4)), code=1)
        assert "no space left on device" in refused.stderr
        assert sorted(queues(bare)) == [1]
        (disk / "filler").unlink()
        bare.submit("--", "true")
        wait_statuses(bare, {"101": "queued"})
        assert server.running
        bare.stop_server()


def test_no_room_for_scripts(bare):
    """What cannot be written is not submitted."""
    with small_disk(bare, "1m") as disk:
        bare.vars["HQ_SERVER_DIR"] = str(disk / "sd")
        bare.batch = Batch(bare)
        bare.start_server()
        add(bare, *ONE)
        fill(disk)
        bare.submit("--", "true")
        wait_log(bare, "Failed to submit allocation into queue 1: ")
        assert "No space left on device" in queues(bare)[1]["last_error"]
        assert not bare.batch.calls("sbatch")
        (disk / "filler").unlink()
        bare.hq("alloc", "pause", 1)
        bare.hq("alloc", "resume", 1)
        wait_statuses(bare, {"101": "queued"})
        bare.stop_server()


def test_cancel_that_fails(batch):
    batch.batch.does("scancel", "echo no >&2; exit 1")
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_statuses(batch, {"101": "queued"})
    out = batch.hq("alloc", "remove", 1, code=1)
    assert ("Queue 1 was removed, but not all of its allocations could be canceled: 101\n"
            "scancel execution failed\n\nCaused by:\n    Exit code: 1\n    Stderr: no"
            in out.stderr)
    assert queues(batch) == {}
    assert "Failed to remove allocation 101: scancel execution failed" in batch.server.text()


def test_cancel_of_what_is_over_already(batch):
    batch.script("batch/bin/qsub", "echo 7.srv")
    batch.script("batch/bin/qstat", "echo '{\"Jobs\": {\"7.srv\": {\"job_state\": \"Q\"}}}'")
    batch.script("batch/bin/qdel", "echo qdel: Job has finished $1 >&2; exit 35")
    add(batch, *ONE, manager="pbs")
    batch.submit("--", "true")
    wait_statuses(batch, {"7.srv": "queued"})
    batch.hq("alloc", "remove", 1)
    assert "Allocation 7.srv was removed" in batch.server.text()


def test_server_ends_though_scancel_hangs(bare):
    bare.batch = Batch(bare)
    bare.start_server(env={"HQ_AUTOALLOC_COMMAND_TIMEOUT_MS": 500})
    add(bare, *ONE)
    bare.submit("--", "true")
    wait_statuses(bare, {"101": "queued"})
    bare.batch.does("scancel", "sleep 1000")
    bare.stop_server()
    assert "Failed to remove allocation 101" in bare.server.text()


def test_server_names_what_it_leaves_behind(bare):
    """More allocations than it can cancel before its patience ends."""
    bare.batch = Batch(bare)
    bare.start_server(env={"HQ_AUTOALLOC_STOP_TIMEOUT_MS": 300})
    add(bare, *ONE, "--backlog", "20")
    bare.submit("--cpus", "2", "--array", "1-20", "--", "true")
    wait_until(lambda: len(allocations(bare)) == 20, "all of them")
    bare.batch.does("scancel", "test $1 = 101 || exec sleep 1000")
    bare.stop_server()
    text = bare.server.text()
    assert "Allocation 101 was removed" in text
    told = re.findall(r"Failed to remove allocation (\d+): ", text)
    assert "Failed to remove allocation 115: the server ends before its turn" in text
    assert sorted(told) == [str(i) for i in range(102, 121)]


def test_server_ends_during_a_submission(bare):
    """What the submission brought is cancelled as well."""
    bare.batch = Batch(bare)
    go = bare.work / "go"
    bare.batch.does("sbatch", f"while ! test -e {go}; do sleep 0.05; done")
    bare.start_server()
    add(bare, *ONE)
    bare.submit("--", "true")
    wait_until(lambda: bare.batch.calls("sbatch"), "the submission")
    bare.hq("server", "stop")
    go.touch()
    assert bare.server.wait() == 0
    assert bare.batch.calls("scancel") == ["101"]


def test_queue_removed_during_a_submission(batch):
    go = batch.work / "go"
    batch.batch.does("sbatch", f"while ! test -e {go}; do sleep 0.05; done")
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_until(lambda: batch.batch.calls("sbatch"), "the submission")
    removal = batch.spawn("remove", HQ, "alloc", "remove", "1")
    batch.hq("server", "info")
    assert removal.running
    go.touch()
    assert removal.wait() == 0, removal.text()
    assert batch.batch.calls("scancel") == ["101"] and queues(batch) == {}


def test_settings_that_are_none(bare):
    bare.batch = Batch(bare)
    bare.start_server(env={"HQ_AUTOALLOC_REFRESH_INTERVAL_MS": "soon"})
    wait_log(bare, "HQ_AUTOALLOC_REFRESH_INTERVAL_MS has to be a positive number, not 'soon'")


# ---- trials --------------------------------------------------------------------------


def temporaries(env):
    return sorted(p.name for p in (env.root / "t").iterdir() if re.match(r"hq\w{6}$", p.name))


def test_trial_leaves_nothing_behind(batch):
    add(batch, "--time-limit", "1h", "-m", "3", "--cpus", "1")
    assert "#SBATCH --nodes=3" in batch.batch.script(101)
    assert batch.batch.calls("scancel") == ["101"] and temporaries(batch) == []


def test_trial_that_cannot_be_cancelled(batch):
    batch.batch.does("scancel", "exit 1")
    out = batch.hq("alloc", "add", "slurm", "-t", "1h", "--cpus", "1", code=1)
    assert "The trial allocation 101 was submitted but could not be canceled" in out.stderr
    assert queues(batch) == {} and len(temporaries(batch)) == 1


def test_client_that_leaves_during_a_trial(batch):
    """Its queue is not created, and the trial is cancelled all the same."""
    go = batch.work / "go"
    batch.batch.does("sbatch", f"while ! test -e {go}; do sleep 0.05; done")
    client = batch.spawn("add", HQ, "alloc", "add", "slurm", "-t", "1h", "--cpus", "1")
    wait_until(lambda: batch.batch.calls("sbatch"), "the trial")
    client.kill()
    go.touch()
    wait_until(lambda: batch.batch.calls("scancel") == ["101"], "the cancel")
    wait_until(lambda: temporaries(batch) == [], "the end of its directory")
    assert queues(batch) == {}


# ---- options -------------------------------------------------------------------------


@pytest.mark.parametrize("args,text", [
    (["--max-workers-per-alloc", "0"], "has to be at least 1"),
    (["--max-worker-count", "0"], "has to be at least 1"),
    (["--backlog", "10001"], "Backlog has to be at most 10000"),
    (["--name", "a/b"], "without '/'"),
    (["--name", "a\nb"], "it has to be one line of text"),
    (["--", "-p", "a\nrm -rf /"], "it has to be one line of text"),
])
def test_values_that_are_refused(batch, args, text):
    out = batch.hq("alloc", "add", "slurm", "-t", "1h", "--no-dry-run", *args, code=2)
    assert text in out.stderr and queues(batch) == {}
    batch.hq("alloc", "add", "slurm", "-t", "0", "--no-dry-run", code=2)


@pytest.mark.parametrize("args,text", [
    (["--cpus", "4", "--resource", "cpus=range(0-3)"], "cannot be combined"),
    (["--resource", "a=sum(1)", "--resource", "a=sum(2)"], "Resource a defined twice"),
    (["--resource", "a=sum(0)"], "Resource a is empty"),
    (["--cpus", "2x2", "--detect-resources", "none", "--coupling", "cpus[0]:gpus[0]"],
     "gpus"),
])
def test_resources_that_a_worker_would_refuse(batch, args, text):
    out = batch.hq("alloc", "add", "slurm", "-t", "1h", "--no-dry-run", *args, code=1)
    assert text in out.stderr and queues(batch) == {}


def test_log_of_an_allocation(batch):
    add(batch, *ONE)
    batch.submit("--", "true")
    wait_statuses(batch, {"101": "queued"})
    directory = batch.server_dir / "001" / "autoalloc" / "1" / "001"
    (directory / "stdout").write_bytes(bytes(range(256)) * 1000)
    assert batch.hq("alloc", "log", "101", "stdout").raw == bytes(range(256)) * 1000
    quiet = batch.hq("--output-mode", "quiet", "alloc", "log", "101", "stdout")
    assert len(quiet.raw) == 256000 and quiet.stderr == ""
    assert oct(directory.stat().st_mode & 0o777) == "0o700"


# ---- directories ---------------------------------------------------------------------


def test_directories_of_ended_allocations(batch):
    """The last twenty are kept, over all queues; those of active ones always."""
    batch.batch.does("scontrol", "test $3 -le 130 && echo COMPLETED >$B/state.$3")
    for _ in range(4):  # none would end so many without a worker
        add(batch, *ONE)
    batch.submit("--array", "1-1000", "--cpus", "2", "--", "sleep", "60")
    wait_until(lambda: len(batch.batch.calls("sbatch")) == 34, "thirty ends", 60)
    root = batch.server_dir / "001" / "autoalloc"

    def kept():
        return len(list(root.glob("*/*")))
    wait_until(lambda: kept() == 24, "the removal of the others")
    wait_until(lambda: sum(len(allocations(batch, q)) for q in range(1, 5)) == 34,
               "the answers to the last submissions")


# ---- restore -------------------------------------------------------------------------


@pytest.fixture
def journaled(bare):
    bare.batch = Batch(bare)
    bare.start_server("--journal", "j")
    return bare


def restart(env, *args):
    env.server.kill()
    env.start_server("--journal", "j", *args)


@pytest.mark.core
def test_queued_allocation_finds_the_restarted_server(journaled):
    """Its workers look into the directory of the run that was killed."""
    add(journaled, *ONE, "--max-worker-count", "1", "--idle-timeout", "1s")
    job = journaled.submit("--", "true")
    wait_statuses(journaled, {"101": "queued"})
    restart(journaled)
    assert statuses(journaled) == {"101": "queued"}
    journaled.batch.state(101, "RUNNING")
    journaled.spawn("allocation", "bash", journaled.batch.dir / "script.101",
                    env={"SLURM_JOB_ID": 101})
    journaled.wait_job(job)
    wait_statuses(journaled, {"101": "finished"})
    assert len(journaled.batch.calls("sbatch")) == 1
    assert not journaled.batch.calls("scancel")


def test_running_workers_come_back(journaled):
    """With --on-server-lost=reconnect: their script names the run that was killed."""
    journaled.batch.runs()
    add(journaled, *ONE, "--max-worker-count", "1", "--on-server-lost", "reconnect:1m")
    go = journaled.work / "go"
    job = journaled.submit("--", "sh", "-c", f"while ! test -e {go}; do sleep 0.05; done; "
                           "echo $HQ_INSTANCE_ID")
    journaled.wait_stats(job, running=1)
    restart(journaled)
    journaled.wait_workers(1, 60)
    assert statuses(journaled) == {"101": "running"}
    go.touch()
    journaled.wait_job(job)
    assert journaled.read(f"job-{job}/0.stdout") == "0\n"
    journaled.hq("worker", "stop", "all")
    wait_statuses(journaled, {"101": "finished"})


def test_queued_allocation_that_cannot_find_it_is_cancelled(journaled):
    add(journaled, *ONE, "--max-worker-count", "1")
    journaled.submit("--", "true")
    wait_statuses(journaled, {"101": "queued"})
    (journaled.server_dir / "001" / "access.json").unlink()
    restart(journaled)
    wait_until(lambda: journaled.batch.calls("scancel") == ["101"], "the cancel")
    wait_until(lambda: statuses(journaled) == {"101": "finished", "102": "queued"},
               "another one")


def test_access_of_another_server_is_left_alone(journaled):
    add(journaled, *ONE, "--max-worker-count", "1")
    journaled.submit("--", "true")
    wait_statuses(journaled, {"101": "queued"})
    access = journaled.server_dir / "001" / "access.json"
    text = access.read_text()
    uid = json.loads(text)["server_uid"]
    access.chmod(0o600)
    access.write_text(text.replace(uid, "Others"))
    restart(journaled)
    wait_until(lambda: journaled.batch.calls("scancel") == ["101"], "the cancel")
    assert json.loads(access.read_text())["server_uid"] == "Others"


def test_everything_about_queues_comes_back(journaled):
    journaled.batch.runs()
    add(journaled, *ONE, "--name", "abc", "-b", "3", "--idle-timeout", "1s",
        "--max-worker-count", "1", "--worker-start-cmd", "true", "--", "-p", "x")
    add(journaled, *ONE)
    add(journaled, *ONE)
    journaled.hq("alloc", "pause", 2)
    journaled.hq("alloc", "remove", 3)
    journaled.submit_and_wait("--", "true")
    wait_statuses(journaled, {"101": "finished"})
    before, ended = queues(journaled), allocations(journaled)
    restart(journaled)
    assert queues(journaled) == before and before[2]["state"] == "Paused"
    assert allocations(journaled) == ended
    assert add(journaled, *ONE) == 4
    journaled.stop_server()
    journaled.start_server("--journal", "j")
    assert sorted(queues(journaled)) == [1, 2, 4]


def test_automatic_pause_survives(bare):
    bare.batch = Batch(bare)
    few = {"HQ_AUTOALLOC_MAX_ALLOCATION_FAILS": 1}
    bare.start_server("--journal", "j", env=few)
    add(bare, *ONE)
    bare.submit("--", "true")
    wait_statuses(bare, {"101": "queued"})
    bare.batch.state(101, "FAILED")
    wait_until(lambda: queues(bare)[1]["state"] == "Paused", "the pause")
    restart(bare)
    assert queues(bare)[1]["state"] == "Paused"
    assert queues(bare)[1]["pause_reason"] == "failed allocations"
    assert ("WARN Queue 1 is paused after too many failed allocations, "
            "`hq alloc resume 1` lets it go on\n") in bare.hq("alloc", "list").stderr
    bare.hq("alloc", "resume", 1)
    wait_until(lambda: "102" in statuses(bare), "the next one")


def test_submission_that_the_journal_missed(journaled):
    """The server died when the id was in its file, or lost the end of its journal."""
    add(journaled, *ONE, "--name", "n", "-m", "3", "-b", "9")
    journaled.submit("--nodes", "3", "--", "true")
    wait_statuses(journaled, {"101": "queued"})
    journaled.hq("journal", "flush")
    journal = (journaled.work / "j").read_bytes()
    journaled.submit("--nodes", "2", "--array", "1-2", "--", "true")
    wait_statuses(journaled, {"101": "queued", "102": "queued", "103": "queued"})
    before = {i: dict(a, queued_at=None) for i, a in allocations(journaled).items()}
    journaled.server.kill()
    (journaled.work / "j").write_bytes(journal)
    (journaled.server_dir / "001" / "autoalloc" / "1-n" / "004").mkdir()  # one that failed
    journaled.start_server("--journal", "j")
    assert {i: dict(a, queued_at=None) for i, a in allocations(journaled).items()} == before
    wait_log(journaled, "Allocation 102 is not in the journal")
    assert len(journaled.batch.calls("sbatch")) == 3 and not journaled.batch.calls("scancel")
    restart(journaled)
    assert sorted(allocations(journaled)) == ["101", "102", "103"]
    assert "is not in the journal" not in journaled.server.text()


def test_allocation_that_ended_meanwhile(journaled):
    add(journaled, *ONE, "--max-worker-count", "1")
    journaled.submit("--", "true")
    wait_statuses(journaled, {"101": "queued"})
    journaled.server.kill()
    journaled.batch.state(101, "COMPLETED")
    journaled.start_server("--journal", "j")
    wait_until(lambda: statuses(journaled)["101"] == "finished", "its end")


def test_trial_of_a_killed_server_is_cancelled(journaled):
    go = journaled.work / "go"
    journaled.batch.does("scancel", f"while ! test -e {go}; do sleep 0.05; done; exit 1")
    journaled.spawn("add", HQ, "alloc", "add", "slurm", "-t", "1h", "--cpus", "1")
    wait_until(lambda: journaled.batch.calls("scancel"), "the cancel")
    journaled.hq("journal", "flush", code=None)
    wait_until(lambda: b"101" in (journaled.work / "j").read_bytes(), "the record")
    journaled.server.kill()
    go.touch()
    journaled.batch.does("scancel", None)
    journaled.start_server("--journal", "j")
    wait_until(lambda: journaled.batch.calls("scancel") == ["101", "101"], "the cancel")
    wait_log(journaled, "Allocation 101 was removed")
    journaled.stop_server()
    journaled.start_server("--journal", "j")
    journaled.stop_server()
    assert journaled.batch.calls("scancel") == ["101", "101"]
