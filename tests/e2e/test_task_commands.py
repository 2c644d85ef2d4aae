"""hq task list, info, explain: what is selected and printed in each output mode."""
import re

import pytest

from harness import HQ, PATIENCE, wait_until

LIST_HEAD = ["Task ID", "State", "Worker", "Makespan", "Error"]
INFO_ROWS = ["Task ID", "State", "Command", "Environment", "Worker", "Start", "End",
             "Makespan", "Workdir", "Stdout", "Stderr", "Time limit", "Resources",
             "Priority", "Pin", "Task dir", "Crash limit", "Dependencies", "Error"]
EXPLAIN_HEAD = ["Worker Id", "Runnable", "Variant", "Type", "Provides", "Request"]


def remarks(result):
    """Lines of standard error behind the time."""
    return [line.split(" ", 1)[1] for line in result.stderr.splitlines()]


def quiet(env, *args):
    return env.hq("--output-mode", "quiet", *args)


def infos(result):
    """One dictionary per table of hq task info."""
    tables = [t for t in re.split(r"(?m)^\+-.*\n", result.stdout) if t]
    out = []
    for text in tables:
        fields, label = {}, None
        for line in text.splitlines():
            left, right = [c.strip() for c in line.strip("|").split(" | ", 1)]
            label, value = (left, right) if left else (label, fields[label] + "\n" + right)
            fields[label] = value
        out.append(fields)
    return out


# -- list -------------------------------------------------------------------


@pytest.mark.core
def test_list_of_one_and_of_several_jobs(pair):
    pair.submit_and_wait("--array", "8,3", "--", "sh", "-c", "test $HQ_TASK_ID != 8")
    pair.submit("--cpus", "64", "--array", "1-2", "--", "true")
    one = pair.hq("task", "list", 1, "-v").table()
    assert one[0] == LIST_HEAD
    assert [row[:2] for row in one[1:]] == [["3", "FINISHED"], ["8", "FAILED"]]
    assert one[2][4] == "Program terminated with exit code 1." and one[1][4] == ""
    assert all(row[2] and re.fullmatch(r"(\d+(ms|s) ?)+", row[3]) for row in one[1:])
    both = pair.hq("task", "list", "2,1")
    assert both.table()[0] == ["Job ID", *LIST_HEAD]
    assert [row[:3] for row in both.table()[1:]] == [
        ["1", "3", "FINISHED"], ["1", "8", "FAILED"], ["2", "1", "WAITING"],
        ["2", "2", "WAITING"]]
    assert both.table()[3][3:] == ["", "", ""]
    # The columns of ids stand to the right.
    assert "\n|      1 |       3 | FINISHED |" in both.stdout
    assert pair.hq("task", "list", "last").table()[0] == LIST_HEAD
    assert quiet(pair, "task", "list", "1-2").stdout == ""
    assert {k: [t["id"] for t in v] for k, v in pair.json("task", "list", "2,1").items()} \
        == {"1": [3, 8], "2": [1, 2]}


def test_list_filters(pair):
    pair.submit_and_wait("--array", "1-4", "--", "sh", "-c", "test $HQ_TASK_ID -gt 2")
    pair.submit("--cpus", "64", "--array", "3-5", "--", "true")

    def ids(*options):
        rows = [r[:2] for r in pair.hq("task", "list", "1-2", *options).table()[1:]]
        found = pair.json("task", "list", "1-2", *options)
        assert rows == [[j, str(t["id"])] for j in sorted(found) for t in found[j]]
        return {int(j): [t["id"] for t in found[j]] for j in found}

    assert ids("--tasks", "2-3") == {1: [2, 3], 2: [3]}
    assert ids("--task-status", "failed") == {1: [1, 2], 2: []}
    assert ids("--task-status", "waiting,finished") == {1: [3, 4], 2: [3, 4, 5]}
    assert ids("--task-status=waiting", "--task-status=failed", "--tasks=2-4") == {
        1: [2], 2: [3, 4]}
    assert ids("--task-status", "opened") == {1: [], 2: []}
    assert ids("--tasks", "77") == {1: [], 2: []}
    assert pair.hq("task", "list", 1, "--tasks", "77").stderr == ""


def test_list_of_unknown_jobs(pair):
    pair.submit("--cpus", "64", "--", "true")
    result = pair.hq("task", "list", "3,1-2")
    assert result.table()[0] == LIST_HEAD  # of one existing job
    assert sorted(remarks(result)) == ["WARN Job 2 not found", "WARN Job 3 not found"]
    assert list(pair.json("task", "list", "1-3")) == ["1"]
    assert pair.json("task", "list", "9") == {}


def test_list_without_jobs(env):
    for selector, lines in (("last", []), ("1", ["WARN Job 1 not found"])):
        result = env.hq("task", "list", selector)
        assert result.table() == [["Job ID", *LIST_HEAD]]
        assert remarks(result) == lines
    assert env.json("task", "list", "last") == {}


def test_list_cuts_errors(pair):
    job = pair.submit_and_wait("--task-dir", "--array", "15-16", "--", "sh", "-c",
                               'printf "%.${HQ_TASK_ID}s" xxxxxxxxxxxxxxxxxxxx '
                               '>"$HQ_ERROR_FILENAME"; exit 1')
    result = pair.hq("task", "list", job)
    assert [r[4] for r in result.table()[1:]] == ["x" * 15, "x" * 16 + "..."]
    hint = "INFO An error message was truncated. Use -v to display the full error."
    assert remarks(result) == [hint]
    whole = pair.hq("task", "list", job, "-v")
    assert [r[4] for r in whole.table()[1:]] == ["x" * 15, "x" * 16]
    assert whole.stderr == ""
    umlauts = pair.submit_and_wait("--task-dir", "--", "sh", "-c",
                                   'printf %s aäöüäöüäöüäöü >"$HQ_ERROR_FILENAME"; exit 1')
    assert pair.hq("task", "list", umlauts).table()[1][4] == "aäöüäöüä..."
    assert pair.json("task", "list", umlauts)[str(umlauts)][0]["error"] == "aäöüäöüäöüäöü"


def test_list_of_canceled_aborted_and_lost_tasks(env):
    worker = env.start_worker(cpus=2)
    canceled = env.submit("--", "sleep", "1000")
    env.wait_stats(canceled, running=1)
    running = env.hq("task", "list", canceled).table()[1]
    assert running[1] == "RUNNING" and running[2] and running[3]
    env.hq("job", "cancel", canceled)
    row = env.hq("task", "list", canceled).table()[1]
    assert row[1] == "CANCELED" and row[2] and row[3] and row[4] == ""
    aborted = env.submit("--max-fails", "0", "--array", "0-1", "--", "sh", "-c",
                         "test $HQ_TASK_ID = 0 || exec sleep 1000; sleep 0.2; exit 1")
    env.wait_stats(aborted, failed=1, aborted=1)
    row = env.hq("task", "list", aborted).table()[2]
    assert row[1] == "ABORTED" and row[2] == "" and row[3] and row[4] == ""
    lost = env.submit("--crash-limit", "1", "--", "sleep", "1000")
    back = env.submit("--", "sleep", "1000")
    env.wait_stats(lost, running=1)
    env.wait_stats(back, running=1)
    worker.kill()
    env.wait_stats(lost, failed=1)
    row = env.hq("task", "list", lost, "-v").table()[1]
    assert row[1] == "FAILED" and row[2:4] == ["", ""]
    assert row[4] == ("Task was running on a worker that was lost; the task has occurred 1 "
                      "times in this situation and limit was reached.")
    assert env.hq("task", "list", back).table()[1] == ["0", "WAITING", "", "", ""]


@pytest.mark.parametrize("words, text", [
    (["all"], "error: invalid value 'all' for '<JOB_SELECTOR>': "),
    (["1", "--tasks", "last"], "error: invalid value 'last' for '--tasks <TASKS>': "),
    (["1", "--task-status", "done"],
     "error: invalid value 'done' for '--task-status <TASK_STATUS>'\n  [possible values: "
     "waiting, running, finished, failed, canceled, aborted, opened]\n"),
    (["1", "--verbose"], "error: unexpected argument '--verbose' found\n"),
    ([], "error: the following required arguments were not provided:\n  <JOB_SELECTOR>\n"),
])
def test_list_refuses(bare, words, text):
    assert bare.hq("task", "list", *words, code=2).stderr.startswith(text)


# -- info -------------------------------------------------------------------


@pytest.mark.core
def test_info_of_ended_and_waiting_tasks(pair):
    job = pair.submit_and_wait("--array", "1-2", "--env", "B=2", "--env", "A=1",
                               "--stdout", "none", "--priority", "4", "--time-limit", "1h",
                               "--crash-limit", "unlimited", "--task-dir", "--pin", "omp",
                               "--", "sh", "-c", "exit 3")
    fields, other = infos(pair.hq("task", "info", job, "2,1"))
    assert list(fields) == INFO_ROWS and other["Task ID"] == "2"
    assert fields.pop("Worker")
    for row in ("Start", "End"):
        assert re.fullmatch(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", fields.pop(row))
    assert re.fullmatch(r"(\d+(ms|s) ?)+", fields.pop("Makespan"))
    assert fields == {
        "Task ID": "1", "State": "FAILED", "Command": "sh\n-c\nexit 3",
        "Environment": "A=1\nB=2", "Workdir": str(pair.work), "Stdout": "<None>",
        "Stderr": f"{pair.work}/job-{job}/1.stderr", "Time limit": "1h",
        "Resources": "cpus: 1 compact", "Priority": "4", "Pin": "omp", "Task dir": "yes",
        "Crash limit": "unlimited", "Dependencies": "",
        "Error": "Program terminated with exit code 3."}

    pair.submit("--cpus", "64", "--", "true")
    [fields] = infos(pair.hq("task", "info", "last", 0))
    assert list(fields) == INFO_ROWS
    assert {row: fields[row] for row in INFO_ROWS if not fields[row]} == dict.fromkeys(
        ["Environment", "Worker", "Start", "End", "Makespan", "Workdir", "Stdout",
         "Stderr", "Dependencies", "Error"], "")
    assert (fields["Time limit"], fields["Task dir"], fields["Pin"]) == ("None", "no", "none")
    assert quiet(pair, "task", "info", job, "1-2").stdout == ""


def test_info_times_are_local(pair):
    job = pair.submit_and_wait("--", "true")
    [utc] = infos(pair.hq("task", "info", job, 0))
    [east] = infos(pair.hq("task", "info", job, 0, env={"TZ": "XXX-5"}))
    hours = int(east["Start"].split()[1][:2]) - int(utc["Start"].split()[1][:2])
    assert hours % 24 == 5


def test_info_of_dependencies(env):
    env.write("j.toml", "".join(f'[[task]]\nid = {n}\ncommand = ["true"]\ndeps = {deps}\n'
                                for n, deps in ((2, []), (5, [2]), (9, [5, 2, 5]))))
    job = env.json("job", "submit-file", "j.toml")["id"]
    fields = infos(env.hq("task", "info", job, "2-9"))
    assert [f["Dependencies"] for f in fields] == ["", "2", "5,2,5"]


def test_info_of_streamed_and_piped_output(pair):
    job = pair.submit_and_wait("--stream", "log", "--stderr", "e", "--", "true")
    [fields] = infos(pair.hq("task", "info", job, 0))
    assert (fields["Stdout"], fields["Stderr"]) == ("<Stream>", f"{pair.work}/e")
    assert pair.tasks(job)[0]["stdout"] == "<pipe>"


def test_info_cuts_errors(pair):
    job = pair.submit_and_wait("--task-dir", "--array", "236-237", "--", "sh", "-c",
                               'printf "%${HQ_TASK_ID}s" | tr " " x >"$HQ_ERROR_FILENAME"; '
                               "exit 1")
    result = pair.hq("task", "info", job, "236-237")
    assert [f["Error"] for f in infos(result)] == ["x" * 236, "x" * 237 + "..."]
    assert remarks(result) == [
        "INFO An error message(s) was truncated. Use -v to display the full error(s)."]
    whole = pair.hq("task", "info", job, "237", "-v")
    assert infos(whole)[0]["Error"] == "x" * 237 and whole.stderr == ""


def test_info_of_unknown_jobs_and_tasks(env):
    result = env.hq("task", "info", "last", "0")
    assert result.stdout == "" and "no job was submitted" in result.stderr
    assert remarks(env.hq("task", "info", "1", "0")) == ["ERROR Cannot find job 1"]
    assert env.json("task", "info", "1", "0") == {}
    env.submit("--", "true")
    result = env.hq("task", "info", 1, "0-2")
    assert remarks(result) == ["WARN Task 1 not found", "WARN Task 2 not found"]
    assert [f["Task ID"] for f in infos(result)] == ["0"]
    assert env.json("task", "info", 1, "5") == []


@pytest.mark.parametrize("words, text", [
    (["1-2", "0"], "error: invalid value '1-2' for '<JOB_SELECTOR>': "),
    (["all", "0"], "error: invalid value 'all' for '<JOB_SELECTOR>': "),
    (["1", "all"], "error: invalid value 'all' for '<TASK_SELECTOR>': "),
    (["1", "last"], "error: invalid value 'last' for '<TASK_SELECTOR>': "),
    (["1"], "error: the following required arguments were not provided:\n  <TASK_SELECTOR>\n"),
    ([], "error: the following required arguments were not provided:\n  <JOB_SELECTOR>\n"
         "  <TASK_SELECTOR>\n"),
    (["1", "0", "--verbose"], "error: unexpected argument '--verbose' found\n"),
])
def test_info_refuses(bare, words, text):
    assert bare.hq("task", "info", *words, code=2).stderr.startswith(text)


# -- explain ----------------------------------------------------------------


def sentences(result):
    return result.stdout.splitlines()[:2]


@pytest.mark.core
def test_explain_dependencies(pair):
    """Finished ones count, whatever their number."""
    pair.write("j.toml", """
[[task]]
id = 1
command = ["true"]
[[task]]
id = 2
command = ["true"]
[[task.request]]
resources = { cpus = 64 }
[[task]]
id = 3
deps = [1, 2]
command = ["true"]
[[task]]
id = 4
deps = [2]
command = ["true"]
[[task]]
id = 5
deps = [1]
command = ["true"]
[[task.request]]
resources = { cpus = 64 }
""")
    pair.hq("job", "submit-file", "j.toml")
    pair.wait_stats(1, finished=1, waiting=4)
    expect = {
        1: None,
        2: "Task 1@2 is ready to run because it has no dependencies.",
        3: "Task 1@3 is not ready to run, because 1/2 dependencies are not finished.",
        4: "Task 1@4 is not ready to run, because 1/1 dependencies are not finished.",
        5: "Task 1@5 is ready to run because its all 1 dependencies are finished."}
    for task, text in expect.items():
        if text:
            assert sentences(pair.hq("task", "explain", 1, task))[0] == text
    assert [pair.json("task", "explain", 1, t)["explanation"]["n_waiting_deps"]
            for t in (2, 3, 4, 5)] == [0, 1, 1, 0]
    assert [pair.json("task", "explain", 1, t)["explanation"]["n_task_deps"]
            for t in (2, 3, 4, 5)] == [0, 2, 1, 1]
    result = pair.hq("task", "explain", 1, 1, code=1)
    assert result.stderr == \
        "Error: Explain command works only for tasks in WAITING or RUNNING state\n"


def test_explain_workers_and_variants(env):
    env.write("j.toml", """
[[task]]
command = ["true"]
[[task.request]]
resources = { cpus = 4, gpus = 1 }
[[task.request]]
resources = { cpus = 2 }
""")
    env.hq("job", "submit-file", "j.toml")
    assert sentences(env.hq("task", "explain", 1, 1)) == [
        "Task 1@1 is ready to run because it has no dependencies.",
        "There is no worker where the task can run."]
    env.submit("--cpus", "1", "--array", "0-9", "--", "sleep", "1000")
    for _ in range(2):
        env.start_worker(cpus=1)
    result = env.hq("task", "explain", 1, 1)
    assert sentences(result)[1] == "There is no worker where the task can run."
    assert result.table() == [
        EXPLAIN_HEAD,
        ["1", "No", "0", "cpus", "1", "4"], ["", "", "", "gpus", "0", "1"],
        ["", "", "1", "cpus", "1", "2"],
        ["2", "No", "0", "cpus", "1", "4"], ["", "", "", "gpus", "0", "1"],
        ["", "", "1", "cpus", "1", "2"]]
    # Only totals count: both workers are full.
    result = env.hq("task", "explain", "last", 9)
    assert sentences(result)[1] == "The task can run on 2 workers: 1-2"
    assert result.table()[1] == ["1", "Yes", "0", "cpus", "1", "1"]


def test_explain_some_variants(env):
    env.write("j.toml", """
[[task]]
command = ["true"]
[[task.request]]
resources = { cpus = 64 }
[[task.request]]
resources = { cpus = 2 }
""")
    env.submit("--cpus", "2", "--", "sleep", "1000")
    env.start_worker(cpus=2)
    env.wait_stats(1, running=1)
    env.hq("job", "submit-file", "j.toml")
    result = env.hq("task", "explain", 2, 1)
    assert sentences(result)[1] == "The task can run on 1 worker: 1"
    assert result.table()[1:] == [["1", "Yes (1/2)", "0", "cpus", "2", "64"],
                                  ["", "", "1", "cpus", "2", "2"]]
    variants = env.json("task", "explain", 2, 1)["explanation"]["workers"][0]["variants"]
    assert variants == [
        [{"Resources": {"request_amount": 640000, "resource": "cpus",
                        "worker_amount": 20000}}],
        [{"Resources": {"request_amount": 20000, "resource": "cpus",
                        "worker_amount": 20000}}]]


@pytest.mark.parametrize("limit, runnable", [(None, "Yes"), ("10m", "No"), ("2h", "Yes")])
def test_explain_time_requests(env, limit, runnable):
    env.start_worker("--time-limit", limit, cpus=1) if limit else env.start_worker(cpus=1)
    env.submit("--cpus", "1", "--", "sleep", "1000")
    env.wait_stats(1, running=1)
    env.submit("--time-request", "1h", "--", "true")
    first, second = env.hq("task", "explain", 2, 0).table()[1:]
    assert first[:4] == ["1", runnable, "0", "time"] and first[5] == "1h"
    assert second == ["", "", "", "cpus", "1", "1"]
    [item] = [i["Time"] for i in env.json("task", "explain", 2, 0)["explanation"]["workers"]
              [0]["variants"][0] if "Time" in i]
    assert item["min_time"] == {"nanos": 0, "secs": 3600}
    if limit:
        assert re.fullmatch(r"(\d+(h|m|s|ms) ?)+", first[4])
        assert set(item["remaining_time"]) == {"secs", "nanos"}
    else:
        assert first[4] == "unknown" and item["remaining_time"] is None


def test_explain_nodes(env):
    for group in ("a", "a", "b"):
        env.start_worker("--group", group, cpus=1)
    env.submit("--nodes", "2", "--", "sleep", "1000")
    env.wait_stats(1, running=1)
    env.submit("--nodes", "2", "--", "true")
    rows = env.hq("task", "explain", 2, 0).table()[1:]
    assert rows == [["1", "Yes", "0", "nodes", "group size 2", "2"],
                    ["2", "Yes", "0", "nodes", "group size 2", "2"],
                    ["3", "No", "0", "nodes", "group size 1", "2"]]
    items = [w["variants"][0][0] for w in env.json("task", "explain", 2, 0)["explanation"]
             ["workers"]]
    assert items == [{"WorkerGroup": {"group_size": n, "n_nodes": 2}} for n in (2, 2, 1)]


def test_explain_of_unknown_jobs_and_tasks(env):
    for job in ("last", "9"):
        assert env.hq("task", "explain", job, 0, code=1).stderr == "Error: Job not found\n"
        assert env.json("task", "explain", job, 0, code=1) == {"error": "Error: Job not found"}
    env.submit("--", "true")
    assert env.hq("task", "explain", 1, 7, code=1).stderr == "Error: Task not found\n"
    assert quiet(env, "task", "explain", 1, 0).stdout == ""
    env.hq("job", "cancel", 1)
    assert "works only for tasks in WAITING or RUNNING" in \
        env.hq("task", "explain", 1, 0, code=1).stderr


@pytest.mark.parametrize("words, text", [
    (["1", "last"], "error: invalid value 'last' for '<TASK_ID>': "),
    (["1", "1-2"], "error: invalid value '1-2' for '<TASK_ID>': "),
    (["all", "0"], "error: invalid value 'all' for '<JOB_SELECTOR>': "),
    (["1-2", "0"], "error: invalid value '1-2' for '<JOB_SELECTOR>': "),
    (["1"], "error: the following required arguments were not provided:\n  <TASK_ID>\n"),
])
def test_explain_refuses(bare, words, text):
    assert bare.hq("task", "explain", *words, code=2).stderr.startswith(text)


# -- where the numbers come from ---------------------------------------------


def test_makespan_of_a_running_task_grows(pair):
    job = pair.submit("--", "sleep", "1000")
    pair.wait_stats(job, running=1)
    first = pair.hq("task", "list", job).table()[1][3]
    wait_until(lambda: pair.hq("task", "list", job).table()[1][3] != first, "time to pass")
    [fields] = infos(pair.hq("task", "info", job, 0))
    assert fields["State"] == "RUNNING" and fields["Makespan"] and fields["End"] == ""


def test_many_tasks_come_page_by_page(env):
    """More than are kept at once: all rows, straight columns, the same tasks in JSON."""
    env.start_worker("--no-exec", cpus=4)
    job = env.submit_and_wait("--array", "1-40000", "--", "true", timeout_s=60)
    waiting = env.submit("--cpus", "64", "--array", "7,9-40010", "--", "true")
    lines = env.hq("task", "list", job, timeout_s=60).stdout.splitlines()
    assert len({len(line) for line in lines}) == 1
    rows = [line.split() for line in lines if line.startswith("|")][1:]
    assert [int(row[1]) for row in rows] == list(range(1, 40001))
    assert {row[3] for row in rows} == {"FINISHED"}
    tasks = env.json("task", "list", job, timeout_s=60)[str(job)]
    assert [t["id"] for t in tasks] == list(range(1, 40001))
    assert {t["state"] for t in tasks} == {"finished"}
    two = env.json("task", "list", f"{job},{waiting}", "--tasks", "9,40005", timeout_s=60)
    assert [[t["id"] for t in two[str(j)]] for j in (job, waiting)] == [[9], [9, 40005]]
    assert env.hq("task", "list", job, "--task-status", "failed").stdout.count("\n") == 3


@pytest.mark.parametrize("mode", ["cli", "json"])
def test_listing_many_tasks_takes_little_memory(env, mode):
    env.submit("--cpus", "64", "--array", "0-299999", "--", "true")
    words = [HQ, "--output-mode", mode, "task", "list", "1"]
    script = ("import resource, subprocess, sys\n"
              "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n")
    result = env.run("/usr/bin/env", "python3", "-c", script, *words, timeout_s=60)
    assert int(result.stdout) < 50_000 * PATIENCE  # KiB
