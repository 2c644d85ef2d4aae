"""How workers end: why, with which status, what is recorded, and what becomes of tasks."""
import os
import re
import signal
import socket

import pytest

from harness import HQ, wait_until


def states(env):
    return env.hq("--output-mode", "quiet", "worker", "list", "--all").stdout.splitlines()


def closed(env):
    """Reasons that the server logs, by worker."""
    return dict(re.findall(r"INFO Worker (\d+) \(127\.0\.0\.1:\d+\) connection closed: (.*)",
                           env.server.text()))


def stubborn(env):
    """A task that ignores SIGINT; its file tells that it is there."""
    env.script("stubborn.sh", "trap '' INT\necho $$ >pid.new\nmv pid.new pid\n"
                              "while :; do sleep 1000; done\n")
    job = env.submit("--", "./stubborn.sh")
    wait_until((env.work / "pid").exists, "the task")
    return job, int(env.read("pid"))


# -- how it ends --------------------------------------------------------------


@pytest.mark.core
def test_ends_and_their_names(env):
    """State, log line and exit status of each way to go."""
    def gone(worker, status):
        assert worker.wait() == status, worker.text()
        wait_until(lambda: not env.workers(), "the worker to leave")

    worker = env.start_worker()
    env.hq("worker", "stop", worker.id)
    gone(worker, 0)
    gone(env.start_worker("--idle-timeout", "500ms", wait=False), 0)
    gone(env.start_worker("--time-limit", "500ms", wait=False), 0)
    worker = env.start_worker()
    worker.kill()
    wait_until(lambda: not env.workers(), "the loss")
    worker = env.start_worker("--heartbeat", "200ms")
    worker.send(signal.SIGSTOP)
    wait_until(lambda: not env.workers(), "the silence")
    worker.send(signal.SIGCONT)
    gone(worker, 1)
    assert states(env) == ["1 STOPPED", "2 IDLE TIMEOUT", "3 TIME LIMIT REACHED",
                           "4 CONNECTION LOST", "5 HEARTBEAT LOST"]
    assert closed(env) == {"1": "stopped", "2": "idle timeout", "3": "time limit reached",
                           "4": "connection lost", "5": "heartbeat lost"}
    reasons = [w["ended"]["reason"] for w in env.workers("--all")]
    assert reasons == list(closed(env).values())
    assert all(w["ended"]["at"].endswith("Z") for w in env.workers("--all"))


@pytest.mark.core
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGTSTP])
def test_signals(env, signo):
    worker = env.start_worker()
    worker.send(signo)
    assert worker.wait() == 0
    wait_until(lambda: not env.workers(), "the worker to leave")
    text = worker.text()
    assert text.index("Worker received an external stop notification") < text.index(
        "Worker stopping")
    assert states(env) == ["1 STOPPED"] and closed(env) == {"1": "stopped"}


def test_signal_is_no_crash_of_its_tasks(env):
    """A batch system that ends the job in order does not use up the crash limit."""
    job = env.submit("--crash-limit=1", "--", "sleep", "1000")
    for _ in range(2):
        worker = env.start_worker()
        env.wait_stats(job, running=1)
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
        env.wait_stats(job, waiting=1)


def test_idle_timeout_counts_from_the_last_task(env):
    worker = env.start_worker("--idle-timeout", "1s")
    job = env.submit("--", "sleep", "1.6")
    env.wait_job(job)
    assert env.states(job) == ["finished"]
    assert worker.wait() == 0
    assert "Received stop command" in worker.text()
    assert states(env) == ["1 IDLE TIMEOUT"]


def test_time_limit_stops_running_tasks(env):
    worker = env.start_worker("--time-limit", "1s")
    job = env.submit("--", "sleep", "1000")
    env.wait_stats(job, running=1)
    assert worker.wait() == 0
    assert "Time limit reached" in worker.text()
    env.wait_stats(job, waiting=1)
    env.start_worker()
    env.wait_stats(job, running=1)


def test_time_limit_while_the_server_cannot_be_reached(bare):
    """It counts from the start, not from the registration."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    bare.hq("server", "generate-access", "access.json", "--client-port", port,
            "--worker-port", port, "--host", "127.0.0.1")
    worker = bare.spawn("worker", HQ, "--server-dir", bare.work, "worker", "start",
                        "--cpus=1", "--time-limit", "500ms")
    assert worker.wait() == 0
    assert "Time limit reached" in worker.text()


def test_time_limit_of_zero_is_one(env):
    worker = env.start_worker("--time-limit", "0", wait=False)
    assert worker.wait() == 0
    assert "Time limit reached" in worker.text()


def test_idle_timeout_of_zero_is_one(env):
    worker = env.start_worker("--idle-timeout", "0s", wait=False)
    assert worker.wait() == 0
    assert states(env) == ["1 IDLE TIMEOUT"]
    assert env.hq("worker", "info", "1").fields()["Idle timeout"] == "0s"
    assert env.json("worker", "info", "1")[0]["configuration"]["idle_timeout"] == 0.0


# -- tasks at the end ---------------------------------------------------------


def test_running_tasks_are_told_first(env):
    """SIGINT to the whole group, and a second to clean up."""
    env.script("tidy.sh", "trap 'echo told >told; exit 0' INT\necho >ready\n"
                          "while :; do sleep 0.05; done\n")
    worker = env.start_worker()
    job = env.submit("--", "./tidy.sh")
    wait_until((env.work / "ready").exists, "the task")
    env.hq("worker", "stop", "1")
    assert worker.wait() == 0
    assert env.read("told") == "told\n"
    env.wait_stats(job, waiting=1)


@pytest.mark.core
def test_tasks_that_do_not_listen_are_killed(env):
    worker = env.start_worker()
    job, pid = stubborn(env)
    env.hq("worker", "stop", "1")
    assert worker.wait() == 0
    assert pid not in env.tagged()
    env.wait_stats(job, waiting=1)


def test_queued_tasks_are_dropped(env):
    worker = env.start_worker()
    job = env.submit("--array", "0-9", "--", "sleep", "1000")
    env.wait_stats(job, running=1, waiting=9)
    env.hq("worker", "stop", "1")
    assert worker.wait() == 0
    env.wait_stats(job, waiting=10)
    assert {t["state"] for t in env.tasks(job).values()} == {"waiting"}


def test_tasks_of_a_killed_worker_get_sigterm(env):
    env.script("term.sh", "trap 'echo term >got; exit' TERM\necho >ready\n"
                          "while :; do sleep 0.05; done\n")
    worker = env.start_worker()
    env.submit("--", "./term.sh")
    wait_until((env.work / "ready").exists, "the task")
    worker.kill()
    wait_until((env.work / "got").exists, "the signal")


def left_by_workers(env):
    return sorted(p.name for p in (env.root / "t").iterdir())


def test_killed_worker_leaves_nothing_in_the_temporary_directory(env):
    """Neither its work directory, with what tasks have there, nor its socket."""
    worker, other = env.start_worker(cpus=2), env.start_worker()
    job = env.submit("--task-dir", "--array=1-2", "--", "sh", "-c",
                     "echo > $HQ_TASK_DIR/file; exec sleep 1000")
    env.wait_stats(job, running=2)
    assert len(left_by_workers(env)) == 4
    worker.kill()
    wait_until(lambda: len(left_by_workers(env)) == 2, "the work directory to go")
    env.hq("job", "cancel", job)
    env.submit_and_wait("--", "sh", "-c", "$HQ task notify x")
    env.hq("worker", "stop", other.id)
    assert other.wait() == 0 and left_by_workers(env) == []


def test_killed_worker_leaves_a_given_work_directory(env):
    worker = env.start_worker("--work-dir", "given")
    worker.kill()
    wait_until(lambda: left_by_workers(env) == [], "the socket to go")
    assert (env.work / "given").is_dir()


@pytest.mark.mpi
def test_killed_rank_leaves_nothing_in_the_temporary_directory(env):
    env.start_ranks(2)
    ours = [n for n in left_by_workers(env) if n.startswith(("hq-worker", "hq-lc"))]
    assert len(ours) == 4
    os.kill(env.ranks()[0], signal.SIGKILL)

    def left():
        return [n for n in ours if (env.root / "t" / n).exists()]

    wait_until(lambda: len(left()) <= 2, "what the rank had to go")


def test_instance_counts_up(env):
    env.script("t.sh", "echo $HQ_INSTANCE_ID >>seen\nexec sleep 1000\n")
    job = env.submit("--", "./t.sh")
    for end in ("stop", "kill", "stop"):
        worker = env.start_worker()
        env.wait_stats(job, running=1)
        wait_until(lambda: worker.id == len(env.read("seen").split()) if
                   (env.work / "seen").exists() else False, "the task")
        if end == "stop":
            env.hq("worker", "stop", worker.id)
        else:
            worker.kill()
        env.wait_stats(job, waiting=1)
    assert env.read("seen").split() == ["0", "1", "2"]


def test_only_running_tasks_count_a_crash(env):
    """Those that wait on the worker have not crashed it."""
    job = env.submit("--array", "0-3", "--crash-limit=1", "--", "sleep", "1000")
    worker = env.start_worker()
    env.wait_stats(job, running=1, waiting=3)
    worker.kill()
    env.wait_stats(job, failed=1, waiting=3)
    failed = [t for t in env.tasks(job).values() if t["state"] == "failed"]
    assert "Task was running on a worker that was lost" in failed[0]["error"]


def test_orderly_ends_count_no_crash(env):
    job = env.submit("--crash-limit=1", "--", "sleep", "1000")
    for words in (["--time-limit", "700ms"], []):
        worker = env.start_worker(*words)
        env.wait_stats(job, running=1)
        if not words:
            env.hq("worker", "stop", worker.id)
        assert worker.wait() == 0
        env.wait_stats(job, waiting=1)


@pytest.mark.parametrize("root", [True, False])
def test_loss_of_a_node_of_a_gang(env, root):
    """Without its first node the task starts anew; another one is the program's affair."""
    workers = [env.start_worker() for _ in range(2)]
    job = env.submit("--nodes", "2", "--", "sleep", "1000")
    env.wait_stats(job, running=1)
    (workers[0] if root else workers[1]).kill()
    wait_until(lambda: len(env.workers()) == 1, "the loss")
    assert env.stats(job) == ({"waiting": 1} if root else {"running": 1})


def test_task_that_needs_longer_is_never_started(env):
    env.start_worker("--time-limit", "1h")
    late = env.submit("--time-request", "2h", "--", "true")
    early = env.submit_and_wait("--time-request", "30m", "--", "true")
    assert env.stats(early) == {"finished": 1} and env.stats(late) == {"waiting": 1}
    env.start_worker()
    env.wait_job(late)
    assert env.tasks(late)[0]["state"] == "finished"


def test_queued_task_is_handed_back_when_its_time_is_over(env):
    """It was sent ahead while there was time enough for it."""
    worker = env.start_worker("--time-limit", "3s", "--retract-check-interval", "100ms")
    job = env.submit("--array", "0-1", "--time-request", "1500ms", "--", "sleep", "1000")
    env.wait_stats(job, running=1, waiting=1)

    def assigned():
        info = env.json("worker", "info", worker.id)[0]["runtime_info"]
        return info and info["SingleNodeTasks"]["assigned_tasks"]

    wait_until(lambda: assigned() == 2, "the second task to be sent ahead")
    wait_until(lambda: assigned() == 1, "the second task to come back")
    assert worker.running


# -- liveness -----------------------------------------------------------------


def test_silent_worker_is_lost_after_two_periods(env):
    worker = env.start_worker("--heartbeat", "300ms")
    worker.send(signal.SIGSTOP)
    wait_until(lambda: states(env) == ["1 HEARTBEAT LOST"], "the loss")
    worker.send(signal.SIGCONT)
    assert worker.wait() == 1
    assert "Server connection closed" in worker.text()


def test_worker_that_is_busy_is_not_silent(env):
    """Starting tasks by the thousand leaves room for signs of life."""
    env.start_worker("--heartbeat", "200ms", cpus=2)
    job = env.submit_and_wait("--array", "1-3000", "--stdout=none", "--stderr=none", "--",
                              "true", timeout_s=60)
    assert env.stats(job) == {"finished": 3000} and states(env) == ["1 RUNNING"]


def test_short_heartbeat_is_refused_by_the_server_too(env):
    """The option refuses it; a client of another make could still ask for it."""
    env.hq("worker", "start", "--cpus=1", "--heartbeat", "150ms", code=2)
    env.start_worker("--heartbeat", "151ms")
    assert states(env) == ["1 RUNNING"]


def test_lost_workers_stay_listed(env):
    for _ in range(2):
        worker = env.start_worker()
        worker.kill()
        wait_until(lambda: not env.workers(), "the loss")
    assert states(env) == ["1 CONNECTION LOST", "2 CONNECTION LOST"]
    shown = env.json("worker", "info", "1")[0]
    assert shown["runtime_info"] is None and shown["ended"]


def test_worker_that_does_not_obey_is_dropped(env):
    """Silence settles it before the minute that a stop may take."""
    worker = env.start_worker("--heartbeat", "300ms")
    worker.send(signal.SIGSTOP)
    env.hq("worker", "stop", "1")
    wait_until(lambda: not env.workers(), "the drop")
    assert states(env) == ["1 STOPPED"], "the reason stays the requested one"
    worker.send(signal.SIGCONT)
    worker.wait()


# -- connecting ---------------------------------------------------------------


def test_worker_waits_for_a_server_that_comes_later(bare):
    """Several attempts, two seconds apart: the access file may be there first."""
    ports = []
    for _ in range(2):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
    (bare.work / "hq").mkdir()
    bare.hq("server", "generate-access", "hq/access.json", "--client-port", ports[0],
            "--worker-port", ports[1], "--host", "127.0.0.1")
    worker = bare.spawn("worker", HQ, "--server-dir", "hq", "worker", "start", "--cpus=1")
    wait_until(lambda: "Connecting to" in worker.text(), "the first attempt")
    wait_until(lambda: re.search(r"WARN cannot connect to 127\.0\.0\.1:\d+: Connection refused "
                                 r"\(os error 111\); trying again\n", worker.text()),
               "the reason why it waits")
    bare.start_server("--access-file", "hq/access.json")
    bare.wait_workers(1)
    assert worker.running


def test_worker_exits_when_it_may_not_connect(bare):
    """The loop `until hq worker start; do sleep 1; done` of scripts."""
    bare.hq("worker", "start", "--cpus=1", code=1)
    bare.start_server()
    os.chmod(bare.server_dir / "001" / "access.json", 0o600)
    (bare.server_dir / "001" / "access.json").write_text("{}")
    bare.hq("worker", "start", "--cpus=1", code=1)


def test_registration_of_something_else(env):
    """A client's greeting on the workers' port, and nonsense: neither becomes a worker."""
    port = env.json("server", "info")["worker_port"]
    for data in (b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000)):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(data)
    env.start_worker()
    assert states(env) == ["1 RUNNING"]
