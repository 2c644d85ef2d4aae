"""JSON of the job and task commands: exact shape, types, layout and presence of keys.

A schema is a type, a regular expression, a tuple of alternatives, a one-element list or a
dictionary. A key that ends in "?" may be missing; no other key may be there.
"""
import json
import re

import pytest

from harness import wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z")
WORD = re.compile(r"\d+")
STATES = ["aborted", "canceled", "failed", "finished", "running", "waiting"]
POLICIES = ("Compact", "ForceCompact", "Tight", "ForceTight", "Scatter")
AMOUNT = int

JOB_INFO = {"id": int, "name": str, "task_count": int, "is_open": bool,
            "cancel_reason": (str, None), "task_stats": {s: int for s in STATES}}
REQUEST = (re.compile("All"), *({p: AMOUNT} for p in POLICIES))
TASK_DESC = {
    "program": {"args": [str], "env": {WORD: str}, "cwd": str, "stdout": (str, None),
                "stderr": (str, None)},
    "resources": [{"n_nodes": int, "min_time": float, "weight": int,
                   "resources": [{"resource": str, "request": REQUEST}]}],
    "pin_mode": (re.compile("taskset|openmp"), None), "priority": int,
    "time_limit": (float, None), "task_dir": bool,
    "crash_limit": (int, re.compile("never-restart|unlimited"))}
# Tasks of a workflow carry a name, and their id or ids.
GRAPH_DESC = {**TASK_DESC, "id?": int, "ids?": str, "name?": str}
PATHS = {"cwd": str, "stdout": (str, None), "stderr": (str, None)}
# Where the task runs or ran, when a worker told.
PLACEMENT = {"binding": str, "cpus": (str, None), "memory": str, "nodes": [int],
             "resources": [{"amount": AMOUNT, "resource": str, "values": (str, None)}]}
STARTED = {"started_at": TIME, "worker?": int, "workers?": [int], "placement?": PLACEMENT}
TASK = {"id": int}
BY_STATE = {
    "waiting": TASK,
    "running": {**TASK, **PATHS, **STARTED},
    "finished": {**TASK, **PATHS, **STARTED, "finished_at": TIME},
    "failed": {**TASK, **PATHS, **STARTED, "finished_at": TIME, "error": str},
    "failed early": {**TASK, "finished_at": TIME, "error": str},
    "canceled": TASK,
    "canceled late": {**TASK, **PATHS, "placement?": PLACEMENT},
    "aborted": TASK,
}
TASK_STATE = tuple({**keys, "state": re.compile(state.split()[0])}
                   for state, keys in BY_STATE.items())
JOB_DETAIL = {"info": JOB_INFO, "max_fails": (int, None), "started_at": TIME,
              "finished_at": (TIME, None),
              "submits": [({"array": TASK_DESC}, {"graph": [GRAPH_DESC]})],
              "tasks": [TASK_STATE]}
SUMMARY = {"Aborted": int, "Canceled": int, "Failed": int, "Finished": int,
           "Opened?": int, "Running": int, "Waiting": int}
DURATION = {"secs": int, "nanos": int}
ITEM = ({"Time": {"min_time": DURATION, "remaining_time": (DURATION, None)}},
        {"Resources": {"resource": str, "request_amount": AMOUNT,
                       "worker_amount": AMOUNT}},
        {"WorkerGroup": {"n_nodes": int, "group_size": int}})
WHY = {"help": str, "place": re.compile("none|queue|worker|running"), "priority": int,
       "sent_to": (int, None), "tasks_above": int, "tasks_before": int,
       "unfinished_deps": str}
EXPLANATION = {"explanation": {"n_task_deps": int, "n_waiting_deps": int, "why": WHY,
                               "workers": [{"worker_id": int, "variants": [[ITEM]],
                                            "holds": [dict]}]},
               "task_id": {"job_id": int, "job_task_id": int}}


def mismatch(value, schema, where="value"):
    """What is wrong with the value, or None."""
    if isinstance(schema, tuple):
        found = [mismatch(value, s, where) for s in schema]
        return None if None in found else f"{where}: no alternative fits: {found}"
    if isinstance(schema, re.Pattern):
        fits = isinstance(value, str) and schema.fullmatch(value)
        return None if fits else f"{where}: {value!r} is not {schema.pattern}"
    if schema is None or isinstance(schema, type):
        fits = type(value) is schema if schema else value is None
        return None if fits else f"{where}: {value!r} is no {schema}"
    if isinstance(schema, list):
        if not isinstance(value, list):
            return f"{where}: {value!r} is no list"
        found = (mismatch(v, schema[0], f"{where}[{i}]") for i, v in enumerate(value))
        return next((f for f in found if f), None)
    if not isinstance(value, dict):
        return f"{where}: {value!r} is no object"
    if any(isinstance(key, re.Pattern) for key in schema):
        [item] = schema.values()
        found = (mismatch(v, item, f"{where}.{k}") for k, v in value.items())
        return next((f for f in found if f), None)
    names = {key.rstrip("?") for key in schema}
    missing = {key for key in schema if key[-1] != "?"} - set(value)
    if missing or set(value) - names:
        return f"{where}: missing {missing}, unknown {set(value) - names}"
    found = (mismatch(value[key.rstrip("?")], item, f"{where}.{key}")
             for key, item in schema.items() if key.rstrip("?") in value)
    return next((f for f in found if f), None)


def laid_out(result):
    """The value; its text has to be laid out exactly."""
    value = json.loads(result.stdout)
    # Keys in the order of their bytes, two blanks a level, no escapes but the needed ones.
    assert result.stdout == json.dumps(value, indent=2, sort_keys=True,
                                       ensure_ascii=False) + "\n"
    return value


def check(env, schema, *args, **kwargs):
    value = laid_out(env.hq("--output-mode", "json", *args, **kwargs))
    wrong = mismatch(value, schema)
    assert wrong is None, wrong
    return value


def test_the_checker_can_fail():
    good = {"id": 1, "state": "waiting"}
    assert mismatch(good, TASK_STATE) is None
    for bad in ({"id": "1", "state": "waiting"}, {"id": 1}, {**good, "more": 1},
                {"id": True, "state": "waiting"}, {**good, "cwd": "/"}, [], None,
                {"id": 1, "state": "opened"}):
        assert mismatch(bad, TASK_STATE)
    assert mismatch([1.0], [int]) and mismatch({"a": 1}, {"a?": str})
    assert mismatch("2026-08-03 10:00:00Z", TIME) and mismatch(None, (int, str))


def jobs_of_all_kinds(pair):
    """Jobs whose tasks are in every state that tasks can be in."""
    pair.submit_and_wait("--array", "5,1-2", "--env", "A=é\"\\\t", "--", "sh", "-c",
                         "exit $((HQ_TASK_ID == 5))")
    pair.submit("--cpus", "64", "--name", "später", "--", "true")
    pair.submit("--array", "1-2", "--stdout", "none", "--stderr", "e:rm-if-finished",
                "--", "sleep", "1000")
    pair.wait_stats(3, running=2)
    pair.hq("job", "cancel", 3, "--reason", "why not")
    pair.submit("--cpus", "64", "--", "true")
    pair.hq("job", "cancel", 4)
    pair.submit("--max-fails", "0", "--array", "0-3", "--task-dir", "--pin", "omp",
                "--priority=-2", "--time-limit", "1.5h", "--crash-limit", "unlimited",
                "--", "false")
    pair.write("file", "")
    pair.submit_and_wait("--stdout", "file/below", "--", "true")  # fails before its start
    pair.submit_and_wait("--stream", "log", "--", "true")
    pair.write("j.toml", """
[[task]]
id = 3
command = ["true"]
deps = [9]
[[task]]
id = 9
command = ["false"]
[[task.request]]
resources = { cpus = "2 tight!", gpus = 0.5 }
[[task.request]]
resources = { cpus = "all" }
time_request = "1m"
weight = 0.5
""")
    pair.hq("job", "submit-file", "j.toml")
    pair.hq("job", "open", "--max-fails", "7")
    pair.submit("--job", 9, "--cpus", "1 scatter", "--", "true")
    pair.submit("--job", 9, "--cpus", "1 compact!", "--", "true")
    pair.hq("job", "wait", "5-8")
    pair.hq("job", "wait", "9", "--without-close")
    pair.submit("--array", "0-1", "--", "sleep", "1000")
    pair.wait_stats(10, running=2)


@pytest.mark.core
def test_values_of_all_commands(pair):
    jobs_of_all_kinds(pair)
    listed = check(pair, [JOB_INFO], "job", "list", "--all")
    assert [j["id"] for j in listed] == list(range(1, 11))
    details = check(pair, [JOB_DETAIL], "job", "info", "all")
    assert [d["info"] for d in details] == listed
    tasks = check(pair, {WORD: [TASK_STATE]}, "task", "list", "1-10")
    assert tasks == {str(d["info"]["id"]): d["tasks"] for d in details}
    seen = {task["state"] for d in details for task in d["tasks"]}
    assert seen == set(STATES)
    for detail in details:
        ids = [task["id"] for task in detail["tasks"]]
        assert ids == sorted(ids) and len(ids) == detail["info"]["task_count"]
        for state in STATES:
            counted = sum(t["state"] == state for t in detail["tasks"])
            assert counted == detail["info"]["task_stats"][state]
        active = any(t["state"] in ("waiting", "running") for t in detail["tasks"])
        assert (detail["finished_at"] is None) == active
    assert check(pair, SUMMARY, "job", "summary")["Running"] == 1
    ids = check(pair, {WORD: [int]}, "job", "task-ids", "all")
    assert ids == {n: [t["id"] for t in found] for n, found in tasks.items()}
    for job, found in tasks.items():
        infos = check(pair, [TASK_STATE], "task", "info", job, "0-20")
        assert [{k: v for k, v in t.items() if k != "placement"} for t in infos] == found
    for job, task in ((2, 0), (10, 1)):
        value = check(pair, EXPLANATION, "task", "explain", job, task)
        assert value["task_id"] == {"job_id": job, "job_task_id": task}


def test_descriptions(env):
    """What was asked for, type by type."""
    env.write("j.toml", """
[array]
ids = "0-1"
command = ["a", "b c"]
cwd = "/tmp"
[array.env]
B = "2"
A = "1"
[[array.request]]
resources = { cpus = "2 tight!", gpus = 0.5 }
[[array.request]]
resources = { cpus = "all" }
time_request = "1m"
weight = 0.5
""")
    env.hq("job", "submit-file", "j.toml")
    [detail] = check(env, [JOB_DETAIL], "job", "info", 1)
    [submit] = detail["submits"]
    desc = submit["array"]
    by_name = [sorted(v.pop("resources"), key=lambda r: r["resource"])
               for v in desc["resources"]]
    assert by_name == [[{"resource": "cpus", "request": {"ForceTight": 20000}},
                        {"resource": "gpus", "request": {"Compact": 5000}}],
                       [{"resource": "cpus", "request": "All"}]]
    assert desc.pop("resources") == [{"n_nodes": 0, "min_time": 0.0, "weight": 10000},
                                     {"n_nodes": 0, "min_time": 60.0, "weight": 5000}]
    program = desc.pop("program")
    assert program == {"args": ["a", "b c"], "env": {"A": "1", "B": "2"}, "cwd": "/tmp",
                       "stdout": "/tmp/job-1/%{TASK_ID}.stdout",
                       "stderr": "/tmp/job-1/%{TASK_ID}.stderr"}
    assert desc == {"pin_mode": None, "priority": 0, "time_limit": None,
                    "task_dir": False, "crash_limit": 5}


@pytest.mark.parametrize("options, key, value", [
    (["--pin", "taskset"], "pin_mode", "taskset"), (["--pin", "omp"], "pin_mode", "openmp"),
    (["--priority", "-7"], "priority", -7), (["--time-limit", "1.5s"], "time_limit", 1.5),
    (["--time-limit", "2h"], "time_limit", 7200.0), (["--task-dir"], "task_dir", True),
    (["--crash-limit", "never-restart"], "crash_limit", "never-restart"),
    (["--crash-limit", "3"], "crash_limit", 3),
])
def test_options_in_the_description(env, options, key, value):
    env.submit(*options, "--", "true")
    [detail] = check(env, [JOB_DETAIL], "job", "info", 1)
    assert detail["submits"][0]["array"][key] == value
    assert type(detail["submits"][0]["array"][key]) is type(value)


def test_graph_descriptions(env):
    env.write("j.toml", 'max_fails = 3\n[[task]]\nid = 3\ncommand = ["x"]\n'
              '[[task]]\nid = 1\ncommand = ["y"]\n')
    env.hq("job", "submit-file", "j.toml")
    [detail] = check(env, [JOB_DETAIL], "job", "info", 1)
    assert detail["max_fails"] == 3
    [submit] = detail["submits"]
    assert [d["program"]["args"] for d in submit["graph"]] == [["x"], ["y"]]
    assert submit["graph"][0]["program"]["stdout"] == "%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stdout"
    assert [t["id"] for t in detail["tasks"]] == [1, 3]


def test_multi_node_descriptions_and_tasks(env):
    for _ in range(2):
        env.start_worker(cpus=1)
    job = env.submit_and_wait("--nodes", "2", "--time-request", "1m", "--", "true")
    [detail] = check(env, [JOB_DETAIL], "job", "info", job)
    [variant] = detail["submits"][0]["array"]["resources"]
    assert variant["n_nodes"] == 2 and variant["min_time"] == 60.0
    [task] = detail["tasks"]
    assert sorted(task["workers"]) == [1, 2] and "worker" not in task


def test_streamed_and_absent_output(pair):
    job = pair.submit_and_wait("--stream", "log", "--stderr", "none", "--", "true")
    [detail] = check(pair, [JOB_DETAIL], "job", "info", job)
    for place in (detail["submits"][0]["array"]["program"], detail["tasks"][0]):
        assert (place["stdout"], place["stderr"]) == ("<pipe>", None)


def test_idle_open_jobs_end_now(pair):
    pair.hq("job", "open")
    pair.submit("--job", 1, "--", "true")
    pair.hq("job", "wait", 1, "--without-close")
    first = check(pair, [JOB_DETAIL], "job", "info", 1)[0]["finished_at"]
    assert first is not None
    wait_until(lambda: pair.job(1)["finished_at"] > first, "the end to move")
    pair.hq("job", "close", 1)
    closed = pair.job(1)["finished_at"]
    assert pair.job(1)["finished_at"] == closed


def test_details_without_tasks(env):
    env.submit("--array", "0-9", "--", "true")
    schema = {key: item for key, item in JOB_DETAIL.items() if key != "tasks"}
    [detail] = check(env, [schema], "job", "info", 1, "--no-tasks")
    assert detail["info"]["task_count"] == 10


@pytest.mark.parametrize("words, schema", [
    (["submit", "--", "true"], {"id": int}), (["job", "submit", "--", "true"], {"id": int}),
    (["job", "submit-file", "j.toml"], {"id": int}), (["job", "open"], {"id": int}),
    (["job", "cancel", "1"], {}), (["job", "close", "1"], {}), (["job", "forget", "1"], {}),
    (["job", "wait", "7"], {}), (["job", "progress", "7"], {}),
    (["job", "list"], [JOB_INFO]), (["job", "info", "9"], [JOB_DETAIL]),
    (["job", "task-ids", "all"], {WORD: [int]}), (["task", "list", "9"], {WORD: []}),
    (["task", "info", "1", "7"], [TASK_STATE]), (["task", "info", "9", "0"], {}),
    (["job", "cat", "9", "stdout"], {}),
])
def test_one_value_for_each_command(env, words, schema):
    env.submit("--cpus", "64", "--", "true")
    env.write("j.toml", '[[task]]\ncommand = ["true"]\n')
    check(env, schema, *words)


@pytest.mark.parametrize("words, error", [
    (["job", "cat", "1", "stdout"], "JSON output mode doesn't support job output"),
    (["job", "task-ids", "9"], "Error: Job Id not found"),
    (["submit", "--job", "9", "--", "true"], "Job 9 not found."),
    (["task", "explain", "9", "0"], "Error: Job not found"),
    (["task", "notify", "x"],
     "HQ_ACCESS_KEY variable not found. Are you running this command inside a task?"),
    (["job", "open", "--name", "a\tb"], "name cannot have a newline or a tab"),
    (["job", "submit-file", "nowhere"],
     "Cannot read nowhere: No such file or directory (os error 2)"),
])
def test_errors_are_values(env, words, error):
    env.submit("--cpus", "64", "--", "true")
    result = env.hq("--output-mode", "json", *words, code=1)
    assert laid_out(result) == {"error": error} and result.stderr == ""


def test_errors_with_a_cause(bare):
    result = bare.hq("--output-mode", "json", "job", "list", code=1)
    assert laid_out(result)["error"] == (
        "Invalid server directory\n\nCaused by:\n"
        f'    Error: "{bare.server_dir}" is not a directory')


def test_usage_errors_are_text(bare):
    for words in (["job", "info"], ["submit", "--array", "x", "--", "true"], ["jobz"]):
        result = bare.hq("--output-mode", "json", *words, code=2)
        assert result.stdout == "" and result.stderr.startswith("error: ")
        assert result.stderr.endswith("\n\nFor more information, try '--help'.\n")


def test_warnings_of_a_submit(env):
    """Standard error stays empty; what would be warned about is in the value."""
    result = env.hq("--output-mode", "json", "submit", "--array", "1-600", "--stdout",
                    "%{FOO}", "--env", "A=1", "--env", "A=2", "--", "true")
    value = laid_out(result)
    assert mismatch(value, {"id": int, "warnings": [str]}) is None
    assert result.stderr == "" and len(value["warnings"]) == 4
    assert any("Found unknown placeholder `FOO` in stdout path" in w
               for w in value["warnings"])
    assert "warnings" not in check(env, {"id": int}, "submit", "--", "true")


@pytest.mark.parametrize("text", ["\x01\x1f\x7f", 'quote " and \\', "ünïcödé 中文 🎉",
                                  "line\nbreak\ttab\rreturn\b\f"])
def test_texts_survive(env, text):
    env.submit("--env", f"TEXT={text}", "--", "echo", text)
    [detail] = check(env, [JOB_DETAIL], "job", "info", 1)
    program = detail["submits"][0]["array"]["program"]
    assert program["args"] == ["echo", text] and program["env"] == {"TEXT": text}


def test_texts_that_are_no_utf8(env):
    """Bytes that JSON cannot hold are replaced; the value stays valid."""
    env.run("bash", "-c", "hq submit --name $'a\\xffb' -- echo $'\\xc3'")
    [detail] = check(env, [JOB_DETAIL], "job", "info", 1)
    assert detail["info"]["name"] == "a\ufffdb"
    assert detail["submits"][0]["array"]["program"]["args"] == ["echo", "\ufffd"]
