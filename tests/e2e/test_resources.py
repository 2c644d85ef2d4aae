"""Resources of workers, requests of tasks, which indices a task gets, what it sees."""
import re
from datetime import datetime

import pytest

SHOW = 'env | sort | grep -E "^(HQ_RES|HQ_CPUS|HQ_PIN|HQ_NUM|OMP|CUDA|ROCR)"'


def seen(env, job, task=0):
    """The resource variables of a finished task."""
    lines = env.hq("job", "cat", job, "stdout", "--tasks", task).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def ask(env, *options):
    job = env.submit_and_wait(*options, "--", "bash", "-c", SHOW)
    assert env.states(job) == ["finished"]
    return seen(env, job)


def indices(env, *options):
    return ask(env, *options)["HQ_CPUS"]


def hold(env, *options):
    """A task that keeps its resources; returns the job and its indices by resource."""
    job = env.submit(*options, "--", "sleep", "1000")
    env.wait_stats(job, running=1)
    where = env.json("task", "info", job, 0)[0]["placement"]["resources"]
    return job, {r["resource"]: r["values"] for r in where}


def groups_of(labels, size):
    return sorted({int(label) // size for label in labels.split(",")})


# -- what a worker provides ---------------------------------------------------------


@pytest.mark.parametrize("option, value, kind", [
    ("--cpus", "4", {"kind": "range", "start": 0, "end": 3}),
    ("--cpus", "2x2", {"kind": "groups", "groups": [["0", "1"], ["2", "3"]]}),
    ("--cpus", "1x4", {"kind": "range", "start": 0, "end": 3}),
    ("--cpus", "[[2, 3], [10]]", {"kind": "groups", "groups": [["2", "3"], ["10"]]}),
    ("--cpus", "[[4,5]]", {"kind": "list", "values": ["4", "5"]}),
    ("--resource", "cpus=range(8-9)", {"kind": "range", "start": 8, "end": 9}),
    ("--resource", 'cpus=["a,b",c]', {"kind": "list", "values": ["a,b", "c"]}),
])
def test_kinds_of_cpus(env, option, value, kind):
    env.start_worker("--detect-resources=none", option, value, cpus=None)
    resources = env.workers()[0]["configuration"]["resources"]["resources"]
    assert resources == [{"name": "cpus", **kind}]


def test_sum_and_order(env):
    """Sorted by name, whatever the order of the options."""
    env.start_worker("--resource", "mem=sum(1_000.25)", "--resource", "a/b=[x]")
    resources = env.workers()[0]["configuration"]["resources"]["resources"]
    assert [r["name"] for r in resources] == ["a/b", "cpus", "mem"]
    assert resources[2] == {"kind": "sum", "name": "mem", "size": 10002500}


@pytest.mark.parametrize("options, message, code", [
    (["--cpus", "2", "--resource", "cpus=[1]"],
     "Parameters --cpus and --resource cpus=... cannot be combined", 1),
    (["--cpus", "0"], "Resource kind `sum` cannot be used with CPUs", 1),
    (["--resource", "cpus=sum(2)"], "Resource kind `sum` cannot be used with CPUs", 1),
    (["--resource", "a=sum(1)", "--resource", "a=[x]"], "Resource a defined twice", 1),
    (["--cpus", "[[0,1],[1,2]]"], "Non unique indices", 1),
    (["--cpus", "1", "--resource", "x=sum(0)"], "Resource x is empty", 1),
    (["--resource", "x=sum(1)"], "You have to specify --cpus explicitly", 1),
    (["--cpus", "[1,1]"], "List items have to be unique", 2),
    (["--cpus", "[[1,1],[2]]"], "Group items have to be unique", 2),
    (["--cpus", "[]"], "has to contain at least a single element", 2),
    (["--cpus", "0x4"], "There has to be at least a single group", 2),
    (["--cpus", "4x0"], "Each group has to contain at least a single element", 2),
    (["--cpus", "range(3-1)"], "Start must be greater or equal to end", 2),
    (["--cpus", "4294967296"], "Cannot parse as 4-byte unsigned integer", 2),
    (["--resource", "x=5"], "attempting to parse", 2),
    (["--resource", "x=sum(1.00001)"], "Resource precision exceeded", 2),
    (["--resource", "x=sum(4294967296)"], "Cannot parse as 4-byte unsigned integer", 2),
    (["--resource", "1x=sum(1)"], "attempting to parse resource name", 2),
    (["--cpus", "2x2", "--coupling", "gpus[0]:cpus[0]"], "Resource not found: gpus", 1),
    (["--cpus", "2x2", "--coupling", "cpus[0]:cpus[2]"],
     "Invalid group id 2 for resource 'cpus'", 1),
    (["--cpus", "2x2", "--coupling", "cpus[300]:cpus[0]"], "Invalid group index: 300", 1),
    (["--cpus", "2x2", "--coupling", "cpus[0]:cpus[1]=65536"], "Invalid weight: 65536", 1),
    (["--cpus", "2x2", "--coupling", "cpus[0]:cpus[1],cpus[0]:cpus[1]=7"],
     "Repeated coupling definition", 1),
    (["--cpus", "2x2", "--coupling", "cpus[0] cpus[1]"], "Missing ':'", 1),
    (["--cpus", "2x2", "--coupling", "cpus0]:cpus[1]"], "Missing '['", 1),
    (["--cpus", "2x2", "--resource", "m=sum(3)", "--coupling", "cpus[0]:m[0]"],
     "Resource 'm' has only a single group", 1),
    (["--cpus", "1", "--detect-resources=gpu"], "invalid variant: gpu", None),
    (["--cpus", "1", "--min-utilization", "1.5"], "Minimal utilization", 2),
])
def test_bad_pools(env, options, message, code):
    """The cause is named, nothing is registered."""
    if not any(o.startswith("--detect") for o in options):
        options = ["--detect-resources=none", *options]
    result = env.hq("worker", "start", *options, code=None)
    assert message in result.stderr
    assert result.code == (code or result.code) and result.code in (1, 2)
    assert env.workers("--all") == []


def test_layout_of_parser_errors(env):
    result = env.hq("worker", "start", "--cpus", "[1,[2]", code=2)
    assert result.stderr.splitlines()[:4] == [
        "error: invalid value '[1,[2]' for '--cpus <CPUS>': Unexpected token found while "
        "attempting to parse resource kind, expected \":",
        "  [1,[2]", "     |", "     --- Unexpected token `[`"]


def test_devices_that_do_not_exist(bare):
    """Known only where a driver tells; here any name is believed."""
    found = bare.json("worker", "hwdetect", env={"CUDA_VISIBLE_DEVICES": "7"})
    assert {"kind": "list", "name": "gpus/nvidia", "values": ["7"]} in found["resources"]


# -- what a task requests ------------------------------------------------------------


@pytest.mark.parametrize("value, message", [
    ("0", "Zero resources cannot be requested"),
    ("0.0", "Zero resources cannot be requested"),
    ("1.00001", "Resource precision exceeded"),
    ("4294967296", "Cannot parse as 4-byte unsigned integer"),
    ("-1", "Unexpected token `-`"),
    ("1e3", "Unexpected token `e`"),
    ("2 Compact", "Unexpected token `C`"),
    ("2 compact !", "Unexpected token ` `"),
    ("all ", "Unexpected token ` `"),
    ("", "the input was empty"),
])
def test_bad_requests(env, value, message):
    result = env.hq("submit", f"--cpus={value}", "--", "true", code=2)
    assert message in result.stderr
    assert env.json("job", "list", "--all") == []


@pytest.mark.parametrize("options, message", [
    (["--cpus", "1", "--resource", "cpus=1"],
     "--cpus and --resource cpus=... cannot be combined"),
    (["--resource", "a=1", "--resource", "a=2"], "Resource 'a' defined more than once"),
])
def test_requests_that_clash(env, options, message):
    assert message in env.hq("submit", *options, "--", "true", code=1).stderr
    assert env.json("job", "list", "--all") == []


def test_display(env):
    job = env.submit("--cpus", "8compact!", "--resource", "gpus/nvidia=0.50",
                     "--resource", "x=all", "--weight", "2", "--time-request", "10s",
                     "--", "true")
    rows = env.hq("job", "info", job).fields()["Resources"].splitlines()
    assert [r.strip() for r in rows] == ["cpus: 8 compact!", "gpus/nvidia: 0.5 compact",
                                         "x: all", "[weight: 2]"]
    variant = env.job(job)["submits"][0]["array"]["resources"][0]
    assert variant == {
        "min_time": 10.0, "n_nodes": 0, "weight": 20000, "resources": [
            {"resource": "cpus", "request": {"ForceCompact": 80000}},
            {"resource": "gpus/nvidia", "request": {"Compact": 5000}},
            {"resource": "x", "request": "All"}]}


# -- which indices -------------------------------------------------------------------

FRESH = [  # the worked examples of the contract
    ("3x4", "6 compact", "1,2,3,5,6,7"), ("3x4", "6 tight", "7,6,5,4,3,2"),
    ("3x4", "6 scatter", "2,3,6,7,10,11"), ("3x4", "4 compact", "0,1,2,3"),
    ("2x4", "2.5 compact", "2,3,1"), ("2x4", "2.5 tight", "3,2,1"),
    ("2x4", "2.5 scatter", "3,7,2"), ("2x4", "4.5 compact", "2,3,6,7,1"),
    ("2x4", "4.5 tight", "7,6,5,4,3"), ("range(0-3)", "2", "3,2"),
    ("range(0-3)", "all", "3,2,1,0"), ("2x2", "all", "0,1,2,3"),
]


def test_worked_examples_on_fresh_pools(env):
    for pool in dict.fromkeys(pool for pool, _, _ in FRESH):
        worker = env.start_worker(cpus=pool)
        for _, request, expected in (case for case in FRESH if case[0] == pool):
            assert indices(env, "--cpus", request) == expected, (pool, request)
            env.hq("worker", "stop", worker.id)
            worker.wait()
            worker = env.start_worker(cpus=pool)
        env.hq("worker", "stop", worker.id)
        worker.wait()


def test_best_fit(env):
    """Of two groups that can serve the request the fuller one."""
    env.start_worker(cpus="2x4")
    hold(env, "--cpus", "2")
    assert groups_of(hold(env, "--cpus", "2")[1]["cpus"], 4) == [0]
    assert groups_of(hold(env, "--cpus", "4")[1]["cpus"], 4) == [1]


def test_one_group_is_a_stack(env):
    env.start_worker(cpus="range(0-3)")
    first = hold(env, "--cpus", "2")[1]["cpus"]
    second = hold(env, "--cpus", "1")[1]["cpus"]
    assert (first, second) == ("3,2", "1")


def test_fractions_share_an_index_and_never_add_up(env):
    env.start_worker("--resource", "gpus=[a,b]", cpus=8)
    request = ("--resource", "gpus=0.75")
    used = [hold(env, *request)[1]["gpus"] for _ in range(2)]
    assert sorted(used) == ["a", "b"]
    half = env.submit("--resource", "gpus=0.5", "--", "sleep", "1000")
    quarter = [hold(env, "--resource", "gpus=0.25")[1]["gpus"] for _ in range(2)]
    assert sorted(quarter) == ["a", "b"] and env.stats(half) == {"waiting": 1}


def test_all_needs_everything_free(env):
    env.start_worker(cpus=4)
    small, _ = hold(env, "--cpus", "1")
    everything = env.submit("--cpus", "all", "--", "bash", "-c", SHOW)
    env.hq("job", "cancel", small)
    env.wait_job(everything)
    assert sorted(seen(env, everything)["HQ_CPUS"].split(",")) == ["0", "1", "2", "3"]


def test_strict_waits_for_few_groups(env):
    """compact takes two groups when it must, compact! waits for one."""
    env.start_worker(cpus="2x4")
    spread, where = hold(env, "--cpus", "4 scatter")
    assert where["cpus"] == "2,3,6,7"
    strict = env.submit("--cpus", "3 compact!", "--", "bash", "-c", SHOW)
    loose = env.submit_and_wait("--cpus", "3 compact", "--", "bash", "-c", SHOW)
    assert len(groups_of(seen(env, loose)["HQ_CPUS"], 4)) == 2
    assert env.stats(strict) == {"waiting": 1}
    env.hq("job", "cancel", spread)
    env.wait_job(strict)
    assert len(groups_of(seen(env, strict)["HQ_CPUS"], 4)) == 1


def test_coupled_groups_go_together(env):
    env.start_worker("--resource", "gpus=3x2", "--coupling",
                     ",".join(f"cpus[{i}]:gpus[{i}]" for i in range(3)), cpus="3x4")
    weights = env.workers()[0]["configuration"]["resources"]["coupling"]["weights"]
    assert [w["weight"] for w in weights] == [256] * 3
    _, where = hold(env, "--cpus", "8", "--resource", "gpus=4")
    assert groups_of(where["cpus"], 4) == groups_of(where["gpus"], 2)
    _, rest = hold(env, "--cpus", "2", "--resource", "gpus=1")
    assert groups_of(rest["cpus"], 4) == groups_of(rest["gpus"], 2)
    assert "cpus: 3x4 [coupled]" in env.hq("worker", "info", 1).stdout


def test_sums(env):
    env.start_worker("--resource", "mem=sum(10.5)", cpus=4)
    first, _ = hold(env, "--resource", "mem=10.25")
    blocked = env.submit("--resource", "mem=0.5", "--", "true")
    env.submit_and_wait("--resource", "mem=0.25", "--", "true")
    assert env.stats(blocked) == {"waiting": 1}
    env.hq("job", "cancel", first)
    env.wait_stats(blocked, finished=1)


# -- what the task sees ---------------------------------------------------------------


def test_variables(env):
    env.start_worker("--resource", "gpus/nvidia=[a,b]", "--resource", "gpus/amd=[x]",
                     "--resource", "mem=sum(1000)", cpus="2x4")
    assert ask(env, "--cpus", "3 compact", "--resource", "gpus/nvidia=0.5",
               "--resource", "gpus/amd=1", "--resource", "mem=100") == {
        "HQ_RESOURCE_REQUEST_cpus": "3 compact", "HQ_RESOURCE_VALUES_cpus": "1,2,3",
        "HQ_CPUS": "1,2,3", "OMP_NUM_THREADS": "3",
        "HQ_RESOURCE_REQUEST_gpus_nvidia": "0.5 compact",
        "HQ_RESOURCE_VALUES_gpus_nvidia": "b", "CUDA_VISIBLE_DEVICES": "b",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "HQ_RESOURCE_REQUEST_gpus_amd": "1 compact", "HQ_RESOURCE_VALUES_gpus_amd": "x",
        "ROCR_VISIBLE_DEVICES": "x", "HQ_RESOURCE_REQUEST_mem": "100 compact"}
    # No number of threads for a fraction; what --env says of OpenMP is kept.
    assert "OMP_NUM_THREADS" not in ask(env, "--cpus", "1.5")
    own = ask(env, "--env", "OMP_NUM_THREADS=7", "--env", "CUDA_VISIBLE_DEVICES=z",
              "--resource", "gpus/nvidia=1")
    assert own["OMP_NUM_THREADS"] == "7" and own["CUDA_VISIBLE_DEVICES"] == "b"


def test_pin_omp(env):
    """Only CPUs that exist can be pinned to."""
    env.start_worker(cpus="[0]")
    assert ask(env, "--pin", "omp") == {
        "HQ_CPUS": "0", "HQ_PIN": "omp", "OMP_NUM_THREADS": "1",
        "OMP_PLACES": "{0}", "OMP_PROC_BIND": "close",
        "HQ_RESOURCE_REQUEST_cpus": "1 compact", "HQ_RESOURCE_VALUES_cpus": "0"}
    own = ask(env, "--pin", "omp", "--env", "OMP_PLACES=cores")
    assert own["OMP_PLACES"] == "cores" and own["OMP_PROC_BIND"] == "close"
    assert ask(env, "--pin", "taskset")["HQ_PIN"] == "taskset"


def test_variants(env):
    """The first variant where it fits, else the second; the task is told which."""
    env.start_worker("--resource", "gpus=[a]", cpus=4)
    env.write("job.toml", "".join(
        f"[[task]]\ncommand = ['bash', '-c', '{SHOW}; while test -e hold; "
        "do sleep 0.01; done']\n"
        "[[task.request]]\nresources = { cpus = 1, gpus = 1 }\n"
        "[[task.request]]\nresources = { cpus = 2 }\n" for _ in range(2)))
    env.write("hold", "")
    job = env.json("job", "submit-file", "job.toml")["id"]
    env.wait_stats(job, running=2)
    (env.work / "hold").unlink()
    env.wait_job(job)
    seen_by = sorted((seen(env, job, i) for i in sorted(env.tasks(job))),
                     key=lambda v: v["HQ_RESOURCE_VARIANT"])
    assert [v["HQ_RESOURCE_VARIANT"] for v in seen_by] == ["0", "1"]
    assert seen_by[0]["HQ_RESOURCE_VALUES_gpus"] == "a"
    assert len(seen_by[1]["HQ_CPUS"].split(",")) == 2


def test_files_of_a_gang(env):
    """Full names in one file, short ones in the other, the root first in both."""
    for i in range(3):
        env.start_worker("--hostname", f"node{i}.cluster.org")
    job = env.submit_and_wait("--nodes", "2", "--", "bash", "-c",
                              f"{SHOW}; cat $HQ_HOST_FILE; cat $HQ_NODE_FILE; "
                              "dirname $HQ_HOST_FILE; echo $HQ_TASK_DIR")
    lines = env.hq("job", "cat", job, "stdout").stdout.splitlines()
    assert lines[0] == "HQ_NUM_NODES=2"
    assert lines[1:3] == ["node0.cluster.org", "node1.cluster.org"]
    assert lines[3:5] == ["node0", "node1"] and lines[5] == lines[6]
    where = env.json("task", "info", job, 0)[0]["placement"]
    assert where["resources"] == [] and where["binding"] == "worker"


def test_min_time(env):
    """A worker whose life ends before that gets no such task."""
    env.start_worker("--time-limit", "1h")
    job = env.submit("--time-request", "2h", "--", "true")
    env.submit_and_wait("--time-request", "10m", "--", "true")
    assert env.stats(job) == {"waiting": 1}
    env.start_worker()
    env.wait_stats(job, finished=1)


def test_min_utilization(env):
    """Below the bound nothing starts: the first task waits for the second."""
    env.start_worker("--min-utilization", "0.5", cpus=4)
    first = env.submit("--", "true")
    second = env.submit("--", "true")
    env.wait_job(first)
    env.wait_job(second)
    started = datetime.fromisoformat(env.tasks(first)[0]["started_at"])
    assert started >= datetime.fromisoformat(env.job(second)["started_at"])


def test_no_gpu_variables_from_elsewhere(env):
    """Without a GPU a task has the worker's variables, as with HyperQueue."""
    env.start_worker(env={"CUDA_VISIBLE_DEVICES": "0,1"})
    values = ask(env)
    assert values["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert re.fullmatch(r"\d+", values["HQ_CPUS"])
