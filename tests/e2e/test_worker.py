"""hq worker start, stop, list, info, and what happens to tasks of lost workers."""
import os
import signal

import pytest

from harness import HQ, wait_until


@pytest.mark.core
def test_list_and_info(pair):
    rows = pair.hq("worker", "list").table()
    assert rows[0] == ["ID", "State", "Hostname", "Resources", "Manager", "Manager Job ID"]
    assert rows[1][:2] == ["1", "RUNNING"] and rows[1][4:] == ["None", "N/A"]
    assert pair.hq("--output-mode", "quiet", "worker", "list").stdout == "1 RUNNING\n"
    fields = pair.hq("worker", "info", "1").fields()
    assert fields["Worker"] == "1" and fields["State"] == "RUNNING"
    assert fields["Process pid"] == str(pair.worker.pid)
    assert fields["Heartbeat"] == "8s" and fields["Group"] == "default"


@pytest.mark.core
def test_json(env):
    env.start_worker("--resource", "gpus=[a,b]", "--resource", "mem=sum(1024)", cpus="2x2")
    worker = env.json("worker", "list")[0]
    assert worker["id"] == 1 and worker["ended"] is None and worker["allocation"] is None
    resources = {r["name"]: r for r in worker["configuration"]["resources"]["resources"]}
    assert resources["cpus"] == {"kind": "groups", "name": "cpus",
                                 "groups": [["0", "1"], ["2", "3"]]}
    assert resources["gpus"] == {"kind": "list", "name": "gpus", "values": ["a", "b"]}
    assert resources["mem"] == {"kind": "sum", "name": "mem", "size": 10240000}
    info = env.json("worker", "info", "1")[0]
    assert info["runtime_info"]["SingleNodeTasks"]["running_tasks"] == 0


@pytest.mark.core
def test_stop(pair):
    result = pair.hq("worker", "stop", "1")
    assert "Worker 1 stopped" in result.stderr and result.stdout == ""
    assert pair.worker.wait() == 0, pair.worker.text()
    wait_until(lambda: not pair.workers(), "the worker to leave")
    assert pair.hq("--output-mode", "quiet", "worker", "list", "--all").stdout == "1 STOPPED\n"
    assert "worker is already stopped" in pair.hq("worker", "stop", "1").stderr
    assert "worker not found" in pair.hq("worker", "stop", "9").stderr


def test_stop_all(pair):
    second = pair.start_worker()
    pair.hq("worker", "stop", "all")
    assert pair.worker.wait() == 0 and second.wait() == 0


@pytest.mark.core
@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_a_clean_leave(pair, signo):
    job = pair.submit("--", "sleep", "1000")
    pair.wait_stats(job, running=1)
    pair.worker.send(signo)
    assert pair.worker.wait() == 0, pair.worker.text()
    wait_until(lambda: not pair.workers(), "the worker to leave")
    assert pair.stats(job) == {"waiting": 1}


def sleeping_task(env):
    """Job and pid of a task that sleeps."""
    env.script("sleep.sh", "echo $$ >pid.new; mv pid.new pid; exec sleep 1000\n")
    job = env.submit("--", "./sleep.sh")
    wait_until((env.work / "pid").exists, "the task")
    env.wait_stats(job, running=1)
    return job, int(env.read("pid"))


def test_tasks_that_end_with_their_worker_wait_again(pair):
    """Batch systems signal every process of a step, tasks first as it happens."""
    job, pid = sleeping_task(pair)
    os.kill(pid, signal.SIGTERM)
    pair.worker.send(signal.SIGTERM)
    assert pair.worker.wait() == 0, pair.worker.text()
    wait_until(lambda: not pair.workers(), "the worker to leave")
    assert pair.stats(job) == {"waiting": 1}


def test_task_ended_by_sigterm_alone_fails(pair):
    job, pid = sleeping_task(pair)
    os.kill(pid, signal.SIGTERM)
    pair.wait_job(job)
    assert pair.tasks(job)[0]["error"] == ("Program terminated with exit code -1. "
                                           "Received signal 15 (SIGTERM).")


@pytest.mark.core
def test_server_stop_ends_the_worker(pair):
    pair.stop_server()
    assert pair.worker.wait() == 1, pair.worker.text()


@pytest.mark.core
def test_killed_worker_runs_the_task_again(pair):
    pair.script("once.sh", "echo $HQ_INSTANCE_ID >>seen\n[ $HQ_INSTANCE_ID != 0 ] || "
                           "exec sleep 1000\n")
    job = pair.submit("--", "./once.sh")
    wait_until(lambda: (pair.work / "seen").exists() and pair.read("seen"), "the task")
    pair.worker.kill()
    wait_until(lambda: pair.stats(job) == {"waiting": 1}, "the loss")
    listed = pair.hq("--output-mode", "quiet", "worker", "list", "--all").stdout
    assert listed == "1 CONNECTION LOST\n"
    pair.start_worker()
    pair.wait_job(job)
    assert pair.states(job) == ["finished"]
    assert int(pair.read("seen").split()[1]) > 0


def test_killed_worker_takes_its_tasks_along(pair):
    pair.script("t.sh", "echo $$ >pid\nexec sleep 1000\n")
    pair.submit("--", "./t.sh")
    wait_until(lambda: (pair.work / "pid").exists() and pair.read("pid"), "the task")
    pid = int(pair.read("pid"))
    pair.worker.kill()
    wait_until(lambda: pid not in pair.tagged(), "the task to end")


@pytest.mark.core
def test_crash_limit(pair):
    job = pair.submit("--crash-limit", "2", "--", "sleep", "1000")
    worker = pair.worker
    for _ in range(2):
        pair.wait_stats(job, running=1)
        worker.kill()
        wait_until(lambda: not pair.workers(), "the loss")
        worker = pair.start_worker()
    pair.wait_job(job)
    assert "the task has occurred 2 times in this situation" in pair.tasks(job)[0]["error"]


def test_never_restart(pair):
    job = pair.submit("--crash-limit", "never-restart", "--", "sleep", "1000")
    pair.wait_stats(job, running=1)
    pair.hq("worker", "stop", "1")
    pair.wait_job(job)
    assert "never restart flag was set" in pair.tasks(job)[0]["error"]


def test_heartbeat_loss_is_noticed(env):
    """A stopped worker keeps its connection, so only silence tells."""
    worker = env.start_worker("--heartbeat", "500ms")
    job = env.submit("--", "sleep", "1000")
    env.wait_stats(job, running=1)
    worker.send(signal.SIGSTOP)
    try:
        wait_until(lambda: env.stats(job) == {"waiting": 1}, "the loss")
        listed = env.hq("--output-mode", "quiet", "worker", "list", "--all").stdout
        assert listed == "1 HEARTBEAT LOST\n"
    finally:
        worker.send(signal.SIGCONT)


def test_time_limit_and_idle_timeout(env):
    worker = env.start_worker("--time-limit", "1s", wait=False)
    assert worker.wait() == 0
    worker = env.start_worker("--idle-timeout", "1s", wait=False)
    assert worker.wait() == 0
    states = env.hq("--output-mode", "quiet", "worker", "list", "--all").stdout
    assert states == "1 TIME LIMIT REACHED\n2 IDLE TIMEOUT\n"


def test_wait_for_workers(env):
    waiting = env.spawn("wait", HQ, "worker", "wait", "2")
    env.start_worker()
    env.start_worker()
    assert waiting.wait() == 0


def test_address_and_hwdetect(pair):
    assert pair.hq("worker", "address", "1").stdout.strip()
    assert "not found" in pair.hq("worker", "address", "9", code=1).stderr
    names = {r["name"] for r in pair.json("worker", "hwdetect")["resources"]}
    assert {"cpus", "mem"} <= names


@pytest.mark.core
def test_work_is_stolen_from_a_busy_worker(env):
    """Tasks prefetched by one worker go to another one that has nothing to do."""
    first = env.start_worker(cpus=1)
    job = env.submit("--array", "1-40", "--", "sleep", "0.1")
    env.start_worker(cpus=1)
    env.wait_job(job, 60)
    used = [t["worker"] for t in env.tasks(job).values()]
    assert used.count(first.id) >= 10 and len(used) - used.count(first.id) >= 10


def test_resources_limit_what_runs_together(env):
    env.start_worker("--resource", "disk=[0]", cpus=4)
    env.script("one.sh", "mkdir lock || exit 1\nrmdir lock\n")
    job = env.submit_and_wait("--resource", "disk=1", "--array", "1-50", "--", "./one.sh")
    assert env.stats(job) == {"finished": 50}


@pytest.mark.parametrize("words", [
    ["--cpus", "2", "--resource", "cpus=3"], ["--detect-resources=none"],
    ["--resource", "a=[]", "--cpus", "1"], ["--heartbeat", "x"],
    ["--on-server-lost", "cry"], ["--cpus", "0"],
])
def test_bad_options(env, words):
    assert env.hq("worker", "start", *words, code=None).code in (1, 2)
    assert env.workers("--all") == []


def test_no_exec_reports_without_running(env):
    env.start_worker("--no-exec", cpus=4)
    job = env.submit_and_wait("--array", "1-100000", "--", "touch", "ran")
    assert env.stats(job) == {"finished": 100_000}
    assert not (env.work / "ran").exists()
