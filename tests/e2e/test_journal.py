"""--journal: what survives a server that is killed at any moment."""
import json
import random
import resource
import signal
import time

import pytest

from harness import wait_until


@pytest.mark.core
def test_jobs_survive_a_kill(bare):
    bare.start_server("--journal", "j")
    done = bare.start_worker()
    finished = bare.submit_and_wait("--name", "one", "--", "true")
    failed = bare.submit_and_wait("--", "sh", "-c", "exit 4")
    waiting = bare.submit("--name", "two", "--cpus", "64", "--array", "5-9", "--", "true")
    uid = bare.json("server", "info")["server_uid"]
    bare.server.kill()
    done.wait()

    bare.start_server("--journal", "j")
    assert bare.json("server", "info")["server_uid"] == uid
    assert bare.states(finished) == ["finished"]
    assert bare.tasks(failed)[0]["error"] == "Program terminated with exit code 4."
    assert bare.job(waiting)["info"]["name"] == "two"
    assert sorted(bare.tasks(waiting)) == [5, 6, 7, 8, 9]
    assert bare.submit("--", "true") == waiting + 1


@pytest.mark.core
def test_waiting_tasks_run_after_the_restart(bare):
    bare.start_server("--journal", "j")
    job = bare.submit("--array", "1-20", "--", "sh", "-c", "echo $HQ_TASK_ID")
    bare.server.kill()
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=2)
    bare.wait_job(job)
    assert bare.stats(job) == {"finished": 20}
    assert bare.read(f"job-{job}/20.stdout") == "20\n"


@pytest.mark.core
def test_dependencies_survive(bare):
    bare.start_server("--journal", "j")
    bare.start_worker()
    job = bare.workflow("""
tasks:
  a: {run: "true"}
  b: {needs: a, cpus: 64, run: "true"}
  c: {needs: b, run: "true"}
  d: {needs: a, run: "echo d >d"}
""")
    bare.wait_stats(job, finished=2, waiting=2)
    bare.server.kill()
    bare.start_server("--journal", "j")
    assert bare.states(job) == ["finished", "waiting", "waiting", "finished"]


def test_stopped_server_restores_too(bare):
    bare.start_server("--journal", "j")
    bare.start_worker()
    job = bare.submit_and_wait("--array", "1-3", "--", "true")
    bare.stop_server()
    bare.start_server("--journal", "j")
    assert bare.stats(job) == {"finished": 3}


def test_cancel_survives(bare):
    bare.start_server("--journal", "j")
    job = bare.submit("--array", "1-3", "--", "true")
    bare.hq("job", "cancel", job, "--reason", "why not")
    bare.server.kill()
    bare.start_server("--journal", "j")
    assert bare.stats(job) == {"canceled": 3}
    assert bare.job(job)["info"]["cancel_reason"] == "why not"


def test_open_job_survives(bare):
    bare.start_server("--journal", "j")
    bare.hq("job", "open")
    bare.hq("submit", "--job", "1", "--", "true")
    bare.server.kill()
    bare.start_server("--journal", "j")
    assert bare.job(1)["info"]["is_open"] is True
    bare.hq("submit", "--job", "1", "--", "true")
    assert sorted(bare.tasks(1)) == [0, 1]


@pytest.mark.core
def test_torn_tail_is_cut(bare):
    bare.start_server("--journal", "j")
    job = bare.submit("--name", "kept", "--", "true")
    bare.server.kill()
    with open(bare.work / "j", "ab") as file:
        file.write(b"\x17\x00half a record")
    bare.start_server("--journal", "j")
    assert bare.job(job)["info"]["name"] == "kept"
    again = bare.submit("--", "true")
    bare.server.kill()
    bare.start_server("--journal", "j")
    assert bare.job(again)["info"]["id"] == again


def test_hole_in_the_middle_is_corruption(bare):
    bare.start_server("--journal", "j")
    for _ in range(20):
        bare.submit("--name", "x" * 50, "--", "true")
    bare.stop_server()
    data = bytearray((bare.work / "j").read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 20):
        data[at] ^= 0xFF
    (bare.work / "j").write_bytes(data)
    result = bare.hq("server", "start", "--journal", "j", code=None, timeout_s=10)
    assert result.code == 1 and "j" in result.stderr


def test_something_else_is_no_journal(bare):
    bare.write("j", "hello\n" * 100)
    assert bare.hq("server", "start", "--journal", "j", code=1).stderr
    assert bare.read("j") == "hello\n" * 100


def test_journal_cannot_be_shared(bare):
    bare.start_server("--journal", "j")
    result = bare.hq("--server-dir", bare.root / "other", "server", "start", "--journal", "j",
                     code=1)
    assert "lock" in result.stderr or "in use" in result.stderr


def test_journal_that_cannot_be_made(bare):
    bare.hq("server", "start", "--journal", "no/such/dir/j", code=1)


@pytest.mark.core
def test_worker_reconnects_and_nothing_runs_twice(bare):
    """The server is killed at random moments while a worker that waits for it works on."""
    rng = random.Random(1)
    bare.start_server("--journal", "j")
    bare.start_worker("--on-server-lost=reconnect:60s", cpus=2)
    job = bare.submit("--array", "1-200", "--stdout", "none", "--stderr", "none", "--", "sh",
                      "-c", "echo $HQ_TASK_ID.$HQ_INSTANCE_ID >>ran; sleep 0.01")
    for _ in range(3):
        until = time.monotonic() + rng.uniform(0.1, 0.5)
        wait_until(lambda: time.monotonic() > until, "the moment of the kill")
        shown = {t for t, task in bare.tasks(job).items() if task["state"] == "finished"}
        bare.server.kill()
        before = bare.read("ran").split() if (bare.work / "ran").exists() else []
        bare.start_server("--journal", "j")
        assert bare.job(job)["info"]["task_count"] == 200
        again = {t for t, task in bare.tasks(job).items() if task["state"] == "finished"}
        assert shown <= again, "a finished task was forgotten"
        assert len(before) == len(set(before))
    bare.wait_job(job, 60)
    assert bare.stats(job) == {"finished": 200}
    ran = bare.read("ran").split()
    assert {r.split(".")[0] for r in ran} == {str(i) for i in range(1, 201)}
    assert len(ran) == len(set(ran))


def test_memory_only_server_forgets(bare):
    bare.start_server()
    bare.submit("--", "true")
    bare.stop_server()
    bare.start_server()
    assert bare.json("job", "list", "--all") == []


def test_what_ends_while_the_journal_cannot_be_written(bare):
    """The ends are written when there is room again, behind them everything else."""
    server = bare.start_server("--journal", "j")
    bare.start_worker(cpus=2)
    # Longer than what the server logs, to which the limit applies as well.
    first = bare.submit_and_wait("--env", "LONG=" + "x" * 50_000, "--", "true")
    held = bare.submit("--array", "1-40", "--", "sh", "-c",
                       "while ! test -e go; do sleep 0.02; done; exit $((HQ_TASK_ID == 7))")
    bare.wait_stats(held, running=2, waiting=38)
    full = bare.work.joinpath("j").stat().st_size
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    bare.write("go", "")
    bare.wait_stats(held, finished=39, failed=1)
    refused = bare.hq("submit", "--", "true", code=1)
    assert "journal: file too large" in refused.stderr
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    later = bare.submit_and_wait("--", "true")
    assert "can be written again" in server.text()
    wait_until(lambda: bare.work.joinpath("j").stat().st_size > full)
    server.kill()

    bare.start_server("--journal", "j")
    assert bare.stats(held) == {"finished": 39, "failed": 1}
    assert bare.states(first) == bare.states(later) == ["finished"]
    assert len(bare.json("job", "list", "--all")) == 3


def test_server_killed_again_and_again_under_load(bare):
    """Short tasks, some of them in the hands of the launcher or waiting for their log at
    each loss: every one finishes, none runs twice, none is lost from the log."""
    words = "--crash-limit", "unlimited", "--array", "1-1200"
    bare.start_server("--journal", "j")
    for _ in range(2):
        bare.start_worker("--heartbeat", "1s", "--on-server-lost", "reconnect:2m", cpus=3)
    logged = bare.submit(*words, "--log", "out.hqlog", "--", "sh", "-c", "echo $HQ_TASK_ID")
    noted = bare.submit(*words, "--stdout", "none", "--stderr", "none", "--",
                        "sh", "-c", "echo $HQ_TASK_ID >>ran")
    random.seed(7)
    for _ in range(5):
        done = sum(bare.stats(job).get("finished", 0) for job in (logged, noted))
        more = random.randrange(1, 200)
        wait_until(lambda: sum(bare.stats(job).get("finished", 0)
                               for job in (logged, noted)) >= min(done + more, 2400))
        bare.server.kill()
        bare.start_server("--journal", "j")
    bare.hq("job", "wait", "all")
    assert bare.stats(logged) == bare.stats(noted) == {"finished": 1200}
    everything = [str(n) for n in range(1, 1201)]
    assert sorted(bare.read("ran").split(), key=int) == everything
    cat = bare.hq("log", "out.hqlog", "cat", logged, "stdout")
    assert sorted(cat.stdout.split(), key=int) == everything


def test_next_instance_of_what_was_sent_and_never_told(bare):
    """The worker is stopped before it can tell that it started the task, and then both
    are killed; a task that no worker had keeps its first instance."""
    bare.start_server("--journal", "j")
    worker = bare.start_worker()
    unsent = bare.submit("--cpus", "2", "--", "sh", "-c", "echo $HQ_INSTANCE_ID")
    worker.send(signal.SIGSTOP)
    sent = bare.submit("--", "sh", "-c", "echo $HQ_INSTANCE_ID")
    wait_until(lambda: f"{sent}@0" in dumped(bare)["workers"][0]["assignment"]["assigned_tasks"],
               "the task to be sent")
    bare.hq("job", "open")  # answered when the journal is on disk
    bare.server.kill()
    worker.kill()

    bare.start_server("--journal", "j")
    bare.start_worker(cpus=2)
    bare.hq("job", "wait", f"{unsent},{sent}")
    assert bare.read(f"job-{unsent}/0.stdout") == "0\n"
    assert bare.read(f"job-{sent}/0.stdout") == "1\n"


def dumped(env):
    env.hq("server", "debug-dump", "dump.json")
    return json.loads(env.read("dump.json"))["tako"]
