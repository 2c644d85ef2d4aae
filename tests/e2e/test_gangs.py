"""Multi-node tasks: whole workers of one group, their files, ends and losses."""
import json
import signal

import pytest

from harness import wait_until

WAIT = "while ! test -e go; do sleep 0.05; done"


def start(env, *groups, cpus=1, args=()):
    return [env.start_worker("--group", g, "--hostname", f"{g}{i}.site.org", *args, cpus=cpus)
            for i, g in enumerate(groups, 1)]


def runtime(env, worker):
    return env.hq("worker", "info", worker).fields()["Runtime Info"]


def running(env, job, count=1):
    wait_until(lambda: env.stats(job).get("running") == count, f"{count} running")


@pytest.mark.core
def test_environment_and_files(env):
    start(env, "a", "a", "b")
    job = env.submit_and_wait(
        "--nodes", 2, "--stdout", "out", "--", "sh", "-c",
        'echo $HQ_NUM_NODES; cat "$HQ_HOST_FILE"; cat "$HQ_NODE_FILE"; dirname "$HQ_NODE_FILE";'
        'echo "$HQ_TASK_DIR"; env | grep -c -e HQ_CPUS -e HQ_RESOURCE -e HQ_PIN; true')
    lines = env.read("out").splitlines()
    assert lines[:5] == ["2", "a1.site.org", "a2.site.org", "a1", "a2"]
    assert lines[5] == lines[6] and lines[7] == "0"
    assert env.stats(job) == {"finished": 1}


def test_node_file_keeps_addresses(env):
    env.start_worker("--hostname", "10.0.0.7")
    env.submit_and_wait("--nodes", 1, "--stdout", "out", "--", "sh", "-c",
                        'cat "$HQ_HOST_FILE" "$HQ_NODE_FILE"')
    assert env.read("out") == "10.0.0.7\n10.0.0.7\n"


def test_only_the_root_runs_it(env):
    start(env, "a", "a")
    env.submit_and_wait("--nodes", 2, "--stdout", "none", "--", "sh", "-c", "echo x >> ran")
    assert env.read("ran") == "x\n"


@pytest.mark.core
def test_never_mixes_groups(env):
    """Numbers of the groups interleave; two gangs start at once."""
    start(env, "a", "b", "a", "b")
    job = env.submit("--nodes", 2, "--array", "1-2", "--stdout", "%{TASK_ID}.out", "--",
                     "sh", "-c", f'cat "$HQ_NODE_FILE"; {WAIT}')
    running(env, job, 2)
    wait_until(lambda: len(env.read("1.out").split()) + len(env.read("2.out").split()) == 4,
               "the node files")
    assert sorted([env.read("1.out").split(), env.read("2.out").split()]) == [
        ["a1", "a3"], ["b2", "b4"]]
    env.write("go", "")
    env.wait_job(job)


def test_group_too_small_blocks_nobody(env):
    """A gang that no group can ever hold does not stop tasks below it."""
    start(env, "a", "b")
    gang = env.submit("--nodes", 2, "--priority", 9, "true")
    env.submit_and_wait("--array", "1-4", "true")
    assert env.stats(gang) == {"waiting": 1}
    start(env, "b")
    env.wait_job(gang)


def test_nothing_else_runs_there(env):
    start(env, "a", "a")
    gang = env.submit("--nodes", 2, "--", "sh", "-c", WAIT)
    running(env, gang)
    other = env.submit("--priority", 9, "true")
    assert runtime(env, 1) == "running multinode task; main node"
    assert runtime(env, 2) == "running multinode task; secondary node"
    assert env.stats(other) == {"waiting": 1}
    env.write("go", "")
    env.wait_job(gang)
    env.wait_job(other)


def test_is_not_starved_at_equal_priority(env):
    """Small tasks of the same priority keep coming; the gang gets its turn."""
    start(env, "a", "a")
    small = env.submit("--array", "1-400", "--", "sleep", "0.05")
    running(env, small, 2)
    gang = env.submit("--nodes", 2, "true")
    env.wait_job(gang)
    assert env.stats(small).get("waiting", 0) > 0, "it ran before the small ones ended"
    env.hq("job", "cancel", small)


def test_small_tasks_are_not_starved_by_gangs(env):
    start(env, "a", "a")
    gangs = env.submit("--nodes", 2, "--array", "1-400", "--", "sleep", "0.05")
    running(env, gangs)
    env.submit_and_wait("--array", "1-4", "true")
    assert env.stats(gangs).get("waiting", 0) > 0
    env.hq("job", "cancel", gangs)


def test_backfill_with_known_ends(env):
    """Before a gang that waits for a long task, short ones with a limit may run."""
    start(env, "a", "a")
    long = env.submit("--time-limit", "1h", "--", "sh", "-c", WAIT)
    running(env, long)
    gang = env.submit("--nodes", 2, "--priority", 1, "true")
    wait_until(lambda: "reserved" in runtime(env, 2), "the reservation")
    without = env.submit("true")
    env.submit_and_wait("--time-limit", "10s", "true")
    assert env.stats(without) == {"waiting": 1}
    assert env.stats(gang) == {"waiting": 1}
    env.write("go", "")
    env.wait_job(gang)
    env.wait_job(without)


def test_loss_of_the_root(env):
    one, two, three = start(env, "a", "a", "a")
    job = env.submit("--nodes", 2, "--crash-limit", 3, "--stdout", "none", "--", "sh", "-c",
                     'cat "$HQ_NODE_FILE" > nodes.$HQ_INSTANCE_ID; ' + WAIT)
    first = env.work / "nodes.0"
    wait_until(lambda: first.exists() and first.read_text().count("\n") == 2, "the start")
    assert env.read("nodes.0").split() == ["a1", "a2"]
    one.kill()
    again = env.work / "nodes.1"
    wait_until(lambda: again.exists() and again.read_text().count("\n") == 2, "the restart")
    assert env.read("nodes.1").split() == ["a2", "a3"]
    env.write("go", "")
    env.wait_job(job)
    assert env.stats(job) == {"finished": 1}


def test_loss_of_another_node(env):
    one, two = start(env, "a", "a")
    job = env.submit("--nodes", 2, "--stdout", "none", "--", "sh", "-c",
                     "echo $HQ_INSTANCE_ID >> runs; " + WAIT)
    running(env, job)
    two.kill()
    wait_until(lambda: len(env.workers()) == 1, "the loss")
    assert env.stats(job) == {"running": 1}
    env.write("go", "")
    env.wait_job(job)
    assert env.read("runs") == "0\n"


@pytest.mark.core
def test_goes_on_without_the_server(bare):
    """The server is killed: the task runs on, on all its nodes, and nothing else there."""
    bare.start_server("--journal", "j")
    start(bare, "a", "a", args=["--on-server-lost=reconnect:60s"])
    job = bare.submit("--nodes", 2, "--stdout", "none", "--", "sh", "-c",
                      "echo $HQ_INSTANCE_ID >> runs; " + WAIT)
    wait_until(lambda: (bare.work / "runs").exists(), "the start")
    running(bare, job)  # and the server knows on which nodes
    for _ in range(2):
        bare.server.kill()
        bare.start_server("--journal", "j")
        wait_until(lambda: len(bare.workers()) == 2, "the workers")
        running(bare, job)
        other = bare.submit("--priority", 10, "--", "true")
        nodes = [bare.hq("worker", "info", w["id"]).fields()["Runtime Info"]
                 for w in bare.workers()]
        assert sorted("main" in n for n in nodes) == [False, True], nodes
        assert all("multinode task" in n for n in nodes), nodes
        assert bare.stats(other) == {"waiting": 1}
        bare.hq("job", "cancel", other)
    bare.write("go", "")
    bare.wait_job(job)
    assert bare.read("runs") == "0\n"
    bare.submit_and_wait("--nodes", 2, "true")


def test_another_node_comes_back(env):
    """The node was silent for a while: it belongs to the task again."""
    args = ["--heartbeat", "300ms", "--on-server-lost=reconnect:60s"]
    _, two = start(env, "a", "a", args=args)
    job = env.submit("--nodes", 2, "--stdout", "none", "--", "sh", "-c", WAIT)
    running(env, job)
    two.send(signal.SIGSTOP)
    wait_until(lambda: [w["id"] for w in env.workers()] == [1], "the loss")
    two.send(signal.SIGCONT)
    wait_until(lambda: [w["id"] for w in env.workers()] == [1, 3], "the return")
    assert "multinode task" in runtime(env, 3)
    env.write("go", "")
    env.wait_job(job)
    env.submit_and_wait("--nodes", 2, "true")


@pytest.mark.parametrize("how", ["fail", "cancel", "limit"])
def test_every_end_frees_the_nodes(env, how):
    start(env, "a", "a")
    limit = ["--time-limit", "1s"] if how == "limit" else []
    job = env.submit("--nodes", 2, *limit, "--", "sh", "-c",
                     "false" if how == "fail" else WAIT)
    if how == "cancel":
        running(env, job)
        env.hq("job", "cancel", job)
    env.hq("job", "wait", job, code=None)
    state = {"fail": "failed", "cancel": "canceled", "limit": "failed"}[how]
    assert env.stats(job) == {state: 1}
    env.submit_and_wait("--nodes", 2, "true")


def test_only_workers_with_enough_time(env):
    """The one with the lowest number has too little."""
    env.start_worker("--time-limit", "1h")
    env.start_worker()
    env.start_worker()
    job = env.submit("--nodes", 2, "--time-request", "2h", "--", "sh", "-c", WAIT)
    running(env, job)
    assert runtime(env, 1) == "assigned tasks: 0"
    assert runtime(env, 2) == "running multinode task; main node"
    env.write("go", "")
    env.wait_job(job)


def test_cancel_while_waiting_lifts_the_reservation(env):
    start(env, "a", "a")
    long = env.submit("--", "sh", "-c", WAIT)
    running(env, long)
    gang = env.submit("--nodes", 2, "--priority", 1, "true")
    wait_until(lambda: "reserved" in runtime(env, 2), "the reservation")
    small = env.submit("true")
    assert env.stats(small) == {"waiting": 1}
    env.hq("job", "cancel", gang)
    env.wait_job(small)
    env.write("go", "")
    env.wait_job(long)


def test_reserved_idle_time_is_reported(env):
    def idle_s():
        env.hq("server", "debug-dump", "dump.json")
        return json.loads(env.read("dump.json"))["scheduler"]["reserved_idle_seconds"]

    start(env, "a", "a")
    assert idle_s() == 0
    long = env.submit("--", "sh", "-c", WAIT)
    running(env, long)
    gang = env.submit("--nodes", 2, "--priority", 1, "true")
    wait_until(lambda: idle_s() > 0, "idle time")
    env.write("go", "")
    env.wait_job(gang)
