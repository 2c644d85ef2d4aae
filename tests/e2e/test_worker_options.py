"""hq worker start with each option, and what list, info, stop, address and wait show."""
import json
import os
import re
import signal
import socket

import pytest

from harness import HQ, wait_until


def info(env, worker):
    return env.json("worker", "info", worker.id)[0]


def fields(env, worker):
    return env.hq("worker", "info", worker.id).fields()


def refused(env, *args, code=1, **kwargs):
    """A start that fails; nothing registers."""
    result = env.hq("worker", "start", *args, code=code, **kwargs)
    assert env.workers("--all") == []
    return result


# -- options ------------------------------------------------------------------


@pytest.mark.core
def test_all_options_show(env):
    worker = env.start_worker(
        "--resource", "a/b=[x,y]", "--resource=mem=sum(1024)", "--group", "g7",
        "--idle-timeout", "1:00:00", "--overview-interval", "90s",
        "--min-utilization", "0.25", "--heartbeat=5s", "--time-limit", "2h",
        "--manager", "none", "--hostname", "node.example",
        "--on-server-lost", "finish-running", "--work-dir", "wd/x",
        "--retract-check-interval", "10s", cpus="2x2")
    shown = fields(env, worker)
    assert shown["Hostname"] == "node.example"
    assert re.fullmatch(r"node\.example:\d+", shown["Data provider"])
    assert shown["Working directory"] == "wd/x" and (env.work / "wd" / "x").is_dir()
    assert shown["Heartbeat"] == "5s" and shown["Idle timeout"] == "1h"
    assert shown["Overview interval"] == "1m 30s" and shown["Time Limit"] == "2h"
    assert shown["Resources"] == "a/b: 2\ncpus: 2x2\nmem: 1.00 GiB"
    assert shown["Group"] == "g7" and shown["Runtime Info"] == "assigned tasks: 0"
    assert re.fullmatch(r"\"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\"", shown["Started"])
    config = info(env, worker)["configuration"]
    assert {k: config[k] for k in ("group", "heartbeat_interval", "hostname",
                                   "idle_timeout", "min_utilization", "on_server_lost",
                                   "time_limit", "work_dir")} == {
        "group": "g7", "heartbeat_interval": 5.0, "hostname": "node.example",
        "idle_timeout": 3600.0, "min_utilization": 0.25,
        "on_server_lost": "finish-running", "time_limit": 7200.0, "work_dir": "wd/x"}


@pytest.mark.core
def test_rows_and_their_order(pair):
    rows = [r[0] for r in pair.hq("worker", "info", "1").table() if r[0]]
    assert rows == ["Worker", "State", "Hostname", "Started", "Data provider",
                    "Working directory", "Heartbeat", "Idle timeout",
                    "Overview interval", "Resources", "Time Limit", "Process pid",
                    "Group", "Manager", "Manager Job ID", "Last task started",
                    "Runtime Info"]
    assert set(pair.json("worker", "info", "1")[0]) >= {
        "id", "started", "ended", "allocation", "last_task_started", "runtime_info",
        "configuration"}


def test_what_a_started_worker_prints(env):
    for mode in ("cli", "json", "quiet"):
        worker = env.start_worker("--output-mode", mode)
        if mode == "cli":
            wait_until(lambda: "Last task started" in worker.text(), "the table")
            assert "Runtime Info" not in worker.text()
        elif mode == "json":
            def described():
                text = "".join(line for line in worker.text().splitlines(True)
                               if " INFO " not in line)
                try:
                    return json.loads(text)
                except ValueError:
                    return None
            shown = wait_until(described, "the JSON")
            assert len(shown) == 1 and shown[0]["id"] == worker.id
            assert shown[0]["runtime_info"] is None
        env.hq("worker", "stop", worker.id)
        assert worker.wait() == 0
        if mode == "quiet":
            assert all(re.match(r"\S+Z INFO ", line) for line in worker.text().splitlines())


def test_log_of_a_worker(env):
    worker = env.start_worker()
    env.hq("worker", "stop", worker.id)
    assert worker.wait() == 0
    lines = [line.split(" INFO ")[1] for line in worker.text().splitlines()
             if " INFO " in line]
    port = env.json("server", "info")["worker_port"]
    assert lines[0].startswith("HyperQueue ")
    assert lines[1:] == ["Starting hyperqueue worker", f"Connecting to: 127.0.0.1:{port}",
                         "Received stop command", "Worker stopping"]
    log = env.server.text()
    assert re.search(r"INFO Worker 1 registered from 127\.0\.0\.1:\d+\n", log)
    assert re.search(r"INFO Worker 1 \(127\.0\.0\.1:\d+\) connection closed: stopped\n", log)


def test_defaults(env):
    worker = env.start_worker()
    config = info(env, worker)["configuration"]
    assert config["heartbeat_interval"] == 8.0 and config["on_server_lost"] == "stop"
    assert config["idle_timeout"] is None and config["time_limit"] is None
    assert config["min_utilization"] == 0.0 and config["group"] == "default"
    assert config["hostname"] == socket.gethostname()
    assert fields(env, worker)["Overview interval"] == "None"


def test_own_work_directory_goes_with_the_worker(env):
    worker = env.start_worker()
    path = fields(env, worker)["Working directory"]
    assert re.fullmatch(rf"{env.root}/t/hq-worker[^/]+/work", path)
    assert os.path.isdir(path)
    env.hq("worker", "stop", "all")
    assert worker.wait() == 0
    assert os.listdir(env.root / "t") == []


def test_given_work_directory_stays(env):
    worker = env.start_worker("--work-dir", "wd")
    env.hq("worker", "stop", "all")
    assert worker.wait() == 0
    assert (env.work / "wd").is_dir() and os.listdir(env.root / "t") == []


@pytest.mark.parametrize("path", ["file/below", "/proc/nowhere"])
def test_work_directory_that_cannot_be_made(env, path):
    env.write("file", "")
    result = refused(env, "--cpus", "1", "--work-dir", path)
    assert path in result.stderr and "os error" in result.stderr


def test_float_of_32_bits(env):
    worker = env.start_worker("--min-utilization", "0.1")
    text = env.hq("--output-mode", "json", "worker", "info", worker.id).stdout
    assert "\"min_utilization\": 0.10000000149011612" in text


def test_zero_overview_interval_is_off(env):
    assert fields(env, env.start_worker("--overview-interval", "0s"))[
        "Overview interval"] == "None"


@pytest.mark.parametrize("words, text", [
    (["--cpus", "2", "--resource", "cpus=[3]"],
     "Parameters --cpus and --resource cpus=... cannot be combined"),
    (["--detect-resources=none"], "You have to specify --cpus explicitly"),
    (["--detect-resources=mem"], "You have to specify --cpus explicitly"),
    (["--resource", "cpus=sum(4)"], "Resource kind `sum` cannot be used with CPUs"),
    (["--resource", "a=[1]", "--resource", "a=[2]"], "Resource a defined twice"),
    (["--cpus", "2x2", "--resource", "g=[[1],[2]]", "--coupling",
      "cpus[0]:g[0],cpus[0]:g[0]"], "Repeated coupling definition"),
    (["--cpus", "2", "--resource", "g=[[1],[2]]", "--coupling", "cpus[0]:g[0]"],
     "Resource 'cpus' has only a single group"),
])
def test_refused_resources(env, words, text):
    assert text in refused(env, *words).stderr


@pytest.mark.parametrize("words, text", [
    (["--detect-resources", "cpus,nonsense"], "invalid variant: nonsense"),
    (["--detect-resources", "all,cpus"], "invalid variant: "),
    (["--min-utilization", "1.1"], "has to be in the interval [0.0, 1.0]"),
    (["--min-utilization", "-0.1"], ""),
    (["--min-utilization", "nan"], "invalid value 'nan' for '--min-utilization"),
    (["--resource", "a=[]"], "invalid value 'a=[]' for '--resource"),
    (["--heartbeat", "150ms"], "Heartbeat has to be longer than 150ms"),
    (["--heartbeat", "0"], "Heartbeat has to be longer than 150ms"),
    (["--overview-interval", "10"], "time unit needed"),
    (["--time-limit", "1.5"], "humantime format"),
    (["--manager", "lsf"], "[possible values: detect, none, pbs, slurm]"),
    (["--on-server-lost", "cry"], "invalid value 'cry' for '--on-server-lost"),
    (["--cpus", "x"], "invalid value 'x' for '--cpus"),
    (["--cpus", "1", "--cpus", "2"], "cannot be used multiple times"),
    (["--offline"], "unexpected argument '--offline' found"),
])
def test_usage_errors(env, words, text):
    result = refused(env, *words, code=2)
    assert text in result.stderr and result.stdout == ""


@pytest.mark.parametrize("words", [["--detect-resources", "cpus"],
                                   ["--no-detect-resources", "--cpus", "1"],
                                   ["--cpus", "no-ht"], ["--no-hyper-threading"]])
def test_detection_can_be_narrowed(env, words):
    worker = env.start_worker(*words, cpus=None,
                              env={"CUDA_VISIBLE_DEVICES": "0", "TMPDIR": env.root / "t"})
    names = {r["name"] for r in info(env, worker)["configuration"]["resources"]["resources"]}
    if words[0] == "--no-detect-resources" or words[-1] == "cpus":
        assert names == {"cpus"}
    else:
        assert names >= {"cpus", "mem", "gpus/nvidia"}


@pytest.mark.parametrize("detect, names", [
    ("all", {"cpus", "mem", "gpus/nvidia", "gpus/amd"}), ("none", {"cpus"}),
    ("mem", {"cpus", "mem"}), ("gpus/nvidia", {"cpus", "gpus/nvidia"}),
    ("gpus/amd,mem", {"cpus", "gpus/amd", "mem"}),
])
def test_what_is_detected(env, detect, names):
    worker = env.start_worker("--cpus=1", f"--detect-resources={detect}", cpus=None,
                              env={"CUDA_VISIBLE_DEVICES": "1,a",
                                   "ROCR_VISIBLE_DEVICES": "0"})
    found = {r["name"]: r for r in
             info(env, worker)["configuration"]["resources"]["resources"]}
    assert set(found) == names
    assert list(found) == sorted(found)
    if "gpus/nvidia" in names:
        assert found["gpus/nvidia"]["values"] == ["1", "a"]
        assert "Detected GPUs 1,a from `CUDA_VISIBLE_DEVICES`" in worker.text()


def test_devices_named_twice_are_ignored_with_a_warning(env):
    worker = env.start_worker("--cpus=1", cpus=None,
                              env={"CUDA_VISIBLE_DEVICES": "1,a,1"})
    names = {r["name"] for r in info(env, worker)["configuration"]["resources"]["resources"]}
    assert names == {"cpus", "mem"} and "WARN" in worker.text()


def test_given_resources_win_over_detection(env):
    worker = env.start_worker("--cpus=1", "--resource", "mem=sum(7)", "--resource",
                              "gpus/nvidia=[x]", cpus=None,
                              env={"CUDA_VISIBLE_DEVICES": "0,1"})
    found = {r["name"]: r for r in
             info(env, worker)["configuration"]["resources"]["resources"]}
    assert found["mem"]["size"] == 70000 and found["gpus/nvidia"]["values"] == ["x"]


def test_taskset_is_the_limit(env):
    worker = env.spawn("worker", "taskset", "-c", "0", HQ, "worker", "start")
    env.wait_workers(1)
    worker.id = 1
    cpus = info(env, worker)["configuration"]["resources"]["resources"][0]
    assert cpus == {"kind": "list", "name": "cpus", "values": ["0"]} or cpus == {
        "kind": "range", "name": "cpus", "start": 0, "end": 0}


def test_no_server_directory(bare):
    result = bare.hq("worker", "start", "--cpus", "1", code=1)
    assert "Cannot load server directory" in result.stderr
    bare.server_dir.mkdir()
    result = bare.hq("worker", "start", "--cpus", "1", code=1)
    path = bare.server_dir / "access.json"
    assert f"Cannot load access record from \"{path}\"" in result.stderr
    assert "No such file or directory (os error 2)" in result.stderr


# -- list ---------------------------------------------------------------------


@pytest.fixture
def mixed(env):
    """Worker 1 stopped, worker 2 running."""
    env.start_worker()
    env.start_worker("--resource", "gpus=[a,b]", cpus=2)
    env.hq("worker", "stop", "1")
    env.wait_workers(1)
    return env


@pytest.mark.core
def test_list_filters(mixed):
    def quiet(*words):
        return mixed.hq("--output-mode", "quiet", "worker", "list", *words).stdout

    assert quiet() == quiet("--filter", "running") == "2 RUNNING\n"
    assert quiet("--filter", "offline") == "1 STOPPED\n"
    assert quiet("--all") == "1 STOPPED\n2 RUNNING\n"
    result = mixed.hq("worker", "list", "--all", "--filter", "running", code=2)
    assert "cannot be used with" in result.stderr
    result = mixed.hq("worker", "list", "--filter", "x", code=2)
    assert "[possible values: running, offline]" in result.stderr


def test_list_is_one_line_a_worker(mixed):
    """Scripts count with grep RUNNING."""
    text = mixed.hq("worker", "list", "--all").stdout
    assert len(re.findall("^.*RUNNING.*$", text, re.M)) == 1
    assert mixed.hq("worker", "list", "--all").table()[2] == [
        "2", "RUNNING", socket.gethostname(), "cpus 2; gpus 2", "None", "N/A"]


def test_list_json(mixed):
    first, second = mixed.workers("--all")
    assert [first["id"], second["id"]] == [1, 2]
    assert set(first["ended"]) == {"at", "reason"} and first["ended"]["reason"] == "stopped"
    assert second["ended"] is None
    assert first["runtime_info"] is None and second["runtime_info"] is None


def test_empty_list(env):
    assert env.hq("worker", "list").table() == [
        ["ID", "State", "Hostname", "Resources", "Manager", "Manager Job ID"]]
    assert env.hq("--output-mode=quiet", "worker", "list").stdout == ""
    assert env.hq("--output-mode=json", "worker", "list").stdout == "[]\n"


# -- info ---------------------------------------------------------------------


@pytest.mark.core
def test_info_of_several(mixed):
    for selector, ids in [("all", [1, 2]), ("last", [2]), ("1-2", [1, 2]), ("2,1", [1, 2]),
                          ("1-3:2", [1]), (" 1 , 2 ", [1, 2]), ("0_1", [1])]:
        shown = mixed.json("worker", "info", selector)
        assert [w["id"] for w in shown] == ids, selector
    text = mixed.hq("worker", "info", "all").stdout
    assert text.count("\n\n") == 1 and "Runtime Info" in text.split("\n\n")[1]
    assert "Runtime Info" not in text.split("\n\n")[0]
    assert mixed.hq("--output-mode=quiet", "worker", "info", "all").stdout == ""


def test_info_of_unknown_workers(pair):
    result = pair.hq("worker", "info", "7,1,5")
    assert result.fields()["Worker"] == "1"
    assert re.findall("ERROR (.*)", result.stderr) == ["Worker 5 not found",
                                                      "Worker 7 not found"]
    assert pair.hq("--output-mode=json", "worker", "info", "9").stdout == "[]\n"


@pytest.mark.parametrize("selector", ["x", "", "3-1", "1-3:0", "1-3:9", "1,1", "1-3,2",
                                      "4294967296", "-1", "1-", "all,1", "Last"])
@pytest.mark.parametrize("command", ["info", "stop"])
def test_bad_selectors(env, command, selector):
    result = env.hq("worker", command, f" {selector}" if selector[:1] == "-" else selector,
                    code=2)
    assert "invalid value" in result.stderr or "a value is required" in result.stderr


def test_a_million_ids(pair):
    """Each is named; nothing breaks, nothing takes long."""
    result = pair.hq("worker", "stop", "1-1000000", timeout_s=60)
    assert "Worker 1 stopped" in result.stderr
    assert result.stderr.count("worker not found") == 999_999
    result = pair.hq("worker", "info", "1-4294967294", code=None, timeout_s=60)
    assert result.code == 1 and "the selector names 4294967294 ids" in result.stderr


def test_busy_worker(env):
    worker = env.start_worker(cpus=4)
    job = env.submit("--array", "1-3", "--", "sleep", "1000")
    env.wait_stats(job, running=3)
    assert info(env, worker)["runtime_info"] == {"SingleNodeTasks": {
        "assigned_tasks": 3, "is_reserved": False, "running_tasks": 3}}
    shown = fields(env, worker)
    assert shown["Runtime Info"] == "assigned tasks: 3; running tasks: 3"
    last = info(env, worker)["last_task_started"]
    task = last["task_id"]["job_task_id"]
    assert last["task_id"]["job_id"] == job and task in (1, 2, 3)
    assert shown["Last task started"] == f"{job}@{task}; Time: \"{last['time']}\""
    env.hq("job", "cancel", job)
    env.wait_stats(job, canceled=3)
    later = env.submit_and_wait("--", "true")
    task = info(env, worker)["last_task_started"]["task_id"]
    assert task == {"job_id": later, "job_task_id": 0}


def test_workers_of_a_gang(env):
    for _ in range(3):
        env.start_worker()
    job = env.submit("--nodes", "2", "--", "sleep", "1000")
    env.wait_stats(job, running=1)
    shown = env.json("worker", "info", "all")
    assert [w["runtime_info"] for w in shown[:2]] == [
        {"MultiNodeTask": {"main_node": True}}, {"MultiNodeTask": {"main_node": False}}]
    assert [bool(w["last_task_started"]) for w in shown] == [True, True, False]
    assert env.hq("worker", "info", "1").fields()["Runtime Info"] == (
        "running multinode task; main node")
    assert env.hq("worker", "info", "2").fields()["Runtime Info"] == (
        "running multinode task; secondary node")


def test_short_gangs_name_all_their_workers(env):
    for _ in range(3):
        env.start_worker()
    jobs = [env.submit("--nodes", "3", "--", "true") for _ in range(5)]
    env.hq("job", "wait", "all")
    for job in jobs:
        assert env.json("task", "info", job, "0")[0]["workers"] == [1, 2, 3]


# -- stop, address, wait ------------------------------------------------------


@pytest.mark.core
def test_stop_of_each_kind(env):
    for _ in range(3):
        env.start_worker()
    result = env.hq("worker", "stop", "2")
    assert re.findall(r"INFO (.*)", result.stderr) == ["Worker 2 stopped"]
    env.wait_workers(2)
    result = env.hq("worker", "stop", "1-2,9")
    lines = [line.split(" ", 1)[1] for line in result.stderr.splitlines()]
    assert lines == ["INFO Worker 1 stopped",
                     "WARN Stopping worker 2 failed; worker is already stopped",
                     "ERROR Stopping worker 9 failed; worker not found"]
    result = env.hq("worker", "stop", "last")
    assert "Worker 3 stopped" in result.stderr and result.stdout == ""
    result = env.hq("worker", "stop", "all")
    assert result.stderr == ""


def test_stop_twice_at_once(env):
    """A worker that still has tasks to end counts as stopped once it was asked."""
    env.start_worker()
    env.script("stubborn.sh", "trap '' INT\necho >ready\nsleep 1000\n")
    env.submit("--", "./stubborn.sh")
    wait_until((env.work / "ready").exists, "the task")
    assert "Worker 1 stopped" in env.hq("worker", "stop", "1").stderr
    assert "already stopped" in env.hq("worker", "stop", "1").stderr
    assert env.hq("worker", "stop", "all").stderr == ""


def test_stop_without_workers(env):
    assert env.hq("worker", "stop", "all").stderr == ""
    assert env.hq("worker", "stop", "last").stderr == ""


def test_address(env):
    env.start_worker("--hostname", "n1.example")
    for mode in ("cli", "json", "quiet"):
        result = env.hq("--output-mode", mode, "worker", "address", "1")
        assert result.stdout.splitlines()[0] == "n1.example"
    result = env.hq("worker", "address", "5", code=1)
    assert result.stderr == "Worker 5 not found\n" and result.stdout == ""
    assert env.json("worker", "address", "5", code=1) == {"error": "Worker 5 not found"}
    env.hq("worker", "address", "x", code=2)
    env.hq("worker", "address", "1-2", code=2)


def test_address_of_a_worker_that_left(mixed):
    assert mixed.hq("worker", "address", "1").stdout == socket.gethostname() + "\n"


@pytest.mark.core
def test_wait(env):
    assert env.hq("worker", "wait", "0").stdout == ""
    waiting = env.spawn("wait", HQ, "worker", "wait", "2")
    env.start_worker()
    env.hq("worker", "wait", "1")
    assert waiting.running
    env.start_worker()
    assert waiting.wait() == 0 and waiting.text() == ""
    assert env.hq("--output-mode=json", "worker", "wait", "2").stdout == "{}\n"
    env.hq("worker", "wait", "x", code=2)


def test_wait_counts_running_workers_alone(mixed):
    waiting = mixed.spawn("wait", HQ, "worker", "wait", "2")
    mixed.hq("worker", "wait", "1")
    assert waiting.running
    mixed.start_worker()
    assert waiting.wait() == 0


def test_ids_are_counted_on(mixed):
    assert mixed.start_worker().id == 3


def test_global_options_anywhere(env):
    directory = env.vars.pop("HQ_SERVER_DIR")
    for words in (["--server-dir", directory, "worker", "list"],
                  ["worker", "--server-dir", directory, "list"],
                  ["worker", "list", f"--server-dir={directory}"],
                  ["--server-dir", "/nowhere", "worker", "list", "--server-dir",
                   directory]):
        assert env.hq(*words).stdout.startswith("+")


# -- groups -------------------------------------------------------------------


def test_multi_node_tasks_stay_inside_a_group(env):
    for group in ("a", "b", "b", "a"):
        env.start_worker("--group", group)
    env.script("nodes.sh", "cat $HQ_NODE_FILE >/dev/null; echo $HQ_JOB_ID >>ran\n")
    jobs = [env.submit("--nodes", "2", "--", "./nodes.sh") for _ in range(6)]
    env.hq("job", "wait", "all")
    for job in jobs:
        assert env.json("task", "info", job, "0")[0]["workers"] in ([1, 4], [2, 3])


def test_group_that_is_too_small_waits(env):
    for group in ("a", "b"):
        env.start_worker("--group", group)
    job = env.submit("--nodes", "2", "--", "true")
    other = env.submit_and_wait("--", "true")
    assert env.stats(job) == {"waiting": 1} and env.stats(other) == {"finished": 1}
    env.start_worker("--group", "b")
    env.wait_job(job)
    assert env.json("task", "info", job, "0")[0]["workers"] == [2, 3]


# -- plain srun ---------------------------------------------------------------


def test_many_started_by_a_launcher_register_each(env):
    """Each process of a step is a worker of its own, as with plain srun or pbsdsh."""
    for rank in range(3):
        env.start_worker("--manager", "none", "--on-server-lost", "finish-running",
                         "--idle-timeout", "300sec", "--no-hyper-threading", wait=False,
                         env={"SLURM_PROCID": rank, "SLURM_STEP_ID": 0,
                              "SLURM_STEP_NUM_TASKS": 3, "SLURM_LOCALID": rank,
                              "SLURM_STEP_TASKS_PER_NODE": "3"})
    env.hq("worker", "wait", "3")
    assert [w["configuration"]["idle_timeout"] for w in env.workers()] == [300.0] * 3
    text = env.hq("worker", "list").stdout
    assert len(re.findall("RUNNING", text)) == 3
    env.hq("worker", "stop", "all")
    env.hq("server", "stop")


def test_hang_up_ends_a_worker(env):
    worker = env.start_worker()
    worker.send(signal.SIGHUP)
    worker.wait()
    wait_until(lambda: not env.workers(), "the worker to leave")
