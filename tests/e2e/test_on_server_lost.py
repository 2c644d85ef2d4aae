"""hq worker start --on-server-lost: what a worker does when its server is gone."""
import os
import signal
import time
from pathlib import Path

import pytest

from harness import HQ, wait_until


def begin(env, *args, seconds=1000):
    """A worker with one running task that tells when it is told, and when it is done."""
    env.script("task.sh", "trap 'echo told >told; exit 1' INT\necho $$ >pid.new\n"
                          "mv pid.new pid\n"
                          f"for i in $(seq {int(seconds * 20)}); do sleep 0.05; done\n"
                          "echo done >done\n")
    worker = env.start_worker(*args)
    job = env.submit("--array", "0-1", "--", "./task.sh")
    wait_until((env.work / "pid").exists, "the task")
    return worker, job


def lose(env, how):
    if how == "kill":
        env.server.kill()
    else:
        env.stop_server()


@pytest.mark.core
@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("words", [[], ["--on-server-lost", "stop"]])
def test_stop(env, how, words):
    worker, _ = begin(env, *words)
    lose(env, how)
    assert worker.wait() == 1
    assert (env.work / "told").exists()
    assert worker.text().splitlines()[-1] == "Server connection closed"
    assert not env.tagged()


@pytest.mark.core
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_finish_running(env, how):
    worker, _ = begin(env, "--on-server-lost=finish-running", seconds=1)
    lose(env, how)
    assert worker.wait() == 1
    assert (env.work / "done").exists() and not (env.work / "told").exists()
    lines = worker.text().splitlines()
    assert lines[-1] == "Server connection closed"
    text = worker.text()
    assert text.index("Waiting for finishing running tasks") < text.index(
        "All running tasks were finished")


def test_finish_running_starts_nothing_new(env):
    """The second task waits behind the first; without a server it never starts."""
    worker, _ = begin(env, "--on-server-lost=finish-running", seconds=1)
    (env.work / "pid").unlink()
    env.server.kill()
    assert worker.wait() == 1
    assert (env.work / "done").exists() and not (env.work / "pid").exists()


def test_finish_running_without_tasks_leaves_at_once(env):
    worker = env.start_worker("--on-server-lost=finish-running")
    env.server.kill()
    assert worker.wait() == 1
    assert "All running tasks were finished" in worker.text()


def test_finish_running_ends_on_a_signal(env):
    worker, _ = begin(env, "--on-server-lost=finish-running")
    env.server.kill()
    wait_until(lambda: "Waiting for finishing" in worker.text(), "the loss")
    worker.send(signal.SIGTERM)
    worker.wait()
    assert (env.work / "told").exists() and not env.tagged()


def test_policy_shows(env):
    for policy in ("stop", "finish-running", "reconnect"):
        worker = env.start_worker("--on-server-lost", policy)
        config = env.json("worker", "info", worker.id)[0]["configuration"]
        assert config["on_server_lost"] == policy


@pytest.mark.core
def test_reconnect_delivers(bare):
    """The task goes on without a server and is over for the one that comes next."""
    bare.start_server("--journal", "j")
    worker, job = begin(bare, "--on-server-lost=reconnect:30s", seconds=1)
    bare.server.kill()
    wait_until((bare.work / "done").exists, "the end of the task")
    bare.start_server("--journal", "j")
    bare.wait_workers(1)
    wait_until(lambda: bare.states(job)[0] == "finished", "the result")
    assert worker.running and not (bare.work / "told").exists()
    assert "trying to reconnect" in worker.text()
    assert "Reconnected to the server as worker" in worker.text()


@pytest.mark.core
def test_reconnect_with_a_task_that_nobody_wants(env):
    """The next server has another task under its number. Until the old one ends it holds
    the CPU that the server counts as free; then whoever was refused there gets it."""
    env.script("stubborn.sh", "trap '' INT\necho $$ >pid.new\nmv pid.new pid\n"
                              "while :; do sleep 0.05; done\n")
    worker = env.start_worker("--on-server-lost=reconnect:1h")
    env.submit("--", "./stubborn.sh")
    wait_until((env.work / "pid").exists, "the task")
    env.server.kill()
    wait_until(lambda: "trying to reconnect" in worker.text(), "the loss")
    worker.send(signal.SIGSTOP)
    env.start_server()
    job = env.submit("--array", "0-3", "--", "sh", "-c", "touch ran-$HQ_TASK_ID")
    worker.send(signal.SIGCONT)
    env.wait_job(job)
    assert env.stats(job) == {"finished": 4}
    assert len(list(env.work.glob("ran-*"))) == 4


@pytest.mark.core
def test_results_are_for_the_server_that_asked(env):
    """A task that ended without a server, and another server's task of the same number."""
    worker = env.start_worker("--on-server-lost=reconnect:1h")
    env.submit("--", "sh", "-c", "echo $$ >pid.new; mv pid.new pid; "
                                 "until [ -e go ]; do sleep 0.02; done; exit 3")
    wait_until((env.work / "pid").exists, "the task")
    env.server.kill()
    wait_until(lambda: "trying to reconnect" in worker.text(), "the loss")
    env.write("go", "")
    task = Path(f"/proc/{int(env.read('pid'))}")
    wait_until(lambda: not task.exists(), "the end of the task")
    worker.send(signal.SIGSTOP)
    env.start_server()
    job = env.submit("--", "touch", "ran")
    worker.send(signal.SIGCONT)
    env.wait_job(job)
    assert env.stats(job) == {"finished": 1}
    assert (env.work / "ran").exists()


@pytest.mark.parametrize("when", ["back", "away"])
def test_reconnect_while_tasks_are_taken_back(bare, when):
    """Tasks behind one that turns out to be long are asked back from the launcher, and
    behind any when the server is lost. The answer comes while there is no server, or
    when the worker is with the next one."""
    bare.script("task.sh", "[ $HQ_TASK_ID = 100 ] || exit 0\nkill -STOP $PPID\n"
                           "sleep 0.1\ntouch stopped\nuntil [ -e go ]; do sleep 0.05; done\n"
                           "kill -CONT $PPID\ntouch done\n")
    bare.start_server("--journal", "j")
    worker = bare.start_worker("--on-server-lost=reconnect:1h")
    job = bare.submit("--array", "0-199", "--", "./task.sh")
    wait_until((bare.work / "stopped").exists, "the long task")
    bare.server.kill()
    wait_until(lambda: "trying to reconnect" in worker.text(), "the loss")
    if when == "back":
        bare.start_server("--journal", "j")
        bare.wait_workers(1)
    bare.write("go", "")
    wait_until((bare.work / "done").exists, "the end of the long task")
    if when == "away":
        bare.start_server("--journal", "j")
    bare.wait_job(job)
    assert bare.stats(job) == {"finished": 200}


def test_reconnect_takes_no_room_for_what_waits(bare):
    """Tasks behind a long one in the launcher, which does not tell in time what became of
    them: the worker comes back without them, so they run beside the long one."""
    bare.script("task.sh", "[ $HQ_TASK_ID = 100 ] || exit 0\n"
                           "[ -e launcher ] || { kill -STOP $PPID; sleep 0.1;\n"
                           "echo $PPID >pid.new; mv pid.new launcher; }\n"
                           "until [ -e go ]; do sleep 0.05; done\n")
    bare.start_server("--journal", "j")
    worker = bare.start_worker("--on-server-lost=reconnect:1h", cpus=2)
    job = bare.submit("--array", "0-199", "--", "./task.sh")
    wait_until((bare.work / "launcher").exists, "the long task")
    bare.server.kill()
    wait_until(lambda: "trying to reconnect" in worker.text(), "the loss")
    bare.start_server("--journal", "j")
    bare.wait_workers(1)
    os.kill(int(bare.read("launcher")), signal.SIGCONT)
    bare.wait_stats(job, finished=199, running=1)
    bare.write("go", "")
    bare.wait_job(job)
    assert bare.stats(job) == {"finished": 200}


def test_reconnect_does_not_prolong_life(bare):
    """What is left of the worker's time limit counts from its start."""
    bare.start_server("--journal", "j")
    bare.start_worker("--on-server-lost=reconnect:1h", "--time-limit=1h")
    start = time.monotonic()
    bare.server.kill()
    bare.start_server("--journal", "j")
    bare.wait_workers(1)
    job = bare.submit("--time-request", "2h", "--", "true")
    lived_s = time.monotonic() - start
    worker, = bare.json("task", "explain", job, 0)["explanation"]["workers"]
    left = worker["variants"][0][0]["Time"]["remaining_time"]
    assert 0 < left["secs"] + left["nanos"] / 1e9 <= 3600 - lived_s


def test_reconnect_gives_up(env):
    worker, _ = begin(env, "--on-server-lost=reconnect:1s")
    env.server.kill()
    assert worker.wait() == 1
    assert worker.text().splitlines()[-1] == "Server connection closed"
    assert (env.work / "told").exists()


def test_reconnect_ends_when_the_server_stops_in_order(env):
    """Nobody will come back."""
    worker, _ = begin(env, "--on-server-lost=reconnect:1h")
    env.stop_server()
    assert worker.wait() == 0
    assert "Received stop command" in worker.text()


@pytest.mark.parametrize("value", ["reconnect:", "reconnect:x", "finish", "", "STOP"])
def test_bad_policies(env, value):
    result = env.hq("worker", "start", "--cpus=1", f"--on-server-lost={value}", code=2)
    assert "--on-server-lost" in result.stderr


def test_server_gone_while_registering(env):
    """Between the connection and the answer to the registration."""
    env.server.send(signal.SIGSTOP)
    worker = env.spawn("worker", HQ, "worker", "start", "--cpus=1", "--time-limit=2s")
    wait_until(lambda: "Connecting to" in worker.text(), "the attempt")
    env.server.kill()
    assert worker.wait() == 0
    assert "Time limit reached" in worker.text()


def test_late_result_of_what_waits_for_another_worker(bare):
    """It was given to a busy worker, which gives it back once there is a free one."""
    bare.start_server("--journal", "j")
    late = bare.start_worker("--on-server-lost=reconnect:1h", cpus=1)
    bare.script("task.sh", "echo $$ >>pids\nuntil [ -e end ]; do sleep 0.02; done\n")
    earlier = bare.json("job", "open")["id"]
    job = bare.submit("--", "./task.sh")
    bare.wait_stats(job, running=1)
    bare.submit("--job", earlier, "--array", "1-9", "--", "sh", "-c",
                "[ $HQ_TASK_ID != 9 ] || until [ -e go ]; do sleep 0.02; done")
    bare.server.kill()
    wait_until(lambda: "trying to reconnect" in late.text(), "the loss")
    bare.write("end", "")
    task = Path(f"/proc/{int(bare.read('pids'))}")
    wait_until(lambda: not task.exists(), "the end of the task")
    late.send(signal.SIGSTOP)
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=1)
    why = lambda: bare.json("task", "explain", job, 0)["explanation"]["why"]
    wait_until(lambda: why()["sent_to"], "the task to be given to the busy worker")
    late.send(signal.SIGCONT)
    bare.wait_job(job)
    bare.submit_and_wait("--", "true")  # behind what is given back
    assert bare.read("pids").count("\n") == 1
    bare.write("go", "")
    bare.hq("job", "close", earlier)
    bare.wait_job(earlier)


def test_runs_have_numbers_of_their_own(env):
    """A worker comes back with the first run after the second was lost as well."""
    args = ["--heartbeat=300ms", "--on-server-lost=reconnect:1h"]
    env.script("task.sh", "echo $HQ_INSTANCE_ID >>runs\n"
                          "until [ -e go ]; do sleep 0.02; done\n")
    runs = lambda: env.read("runs").split() if (env.work / "runs").exists() else []
    late = env.start_worker(*args)
    job = env.submit("--crash-limit", "unlimited", "--", "./task.sh")
    wait_until(lambda: runs() == ["0"], "the first run")
    late.send(signal.SIGSTOP)
    wait_until(lambda: env.stats(job) == {"waiting": 1}, "the loss")
    second = env.start_worker()
    wait_until(lambda: runs() == ["0", "1"], "the second run")
    second.kill()
    wait_until(lambda: env.stats(job) == {"waiting": 1}, "the second loss")
    late.send(signal.SIGCONT)
    env.wait_stats(job, running=1)
    late.kill()
    env.start_worker()
    wait_until(lambda: len(runs()) > 2 and env.stats(job) == {"running": 1}, "the last run")
    assert len(set(runs())) == len(runs()), runs()
    env.write("go", "")
    env.wait_job(job)
