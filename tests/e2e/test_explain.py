"""hq task explain: what each worker offers, what holds a task back, what would help."""
import pytest

from harness import wait_until

HOLD = "while ! test -e go; do sleep 0.05; done"


def blocker(env, *args, name="go"):
    """A job that runs until the file exists; returns when it runs."""
    job = env.submit(*args, "--", "sh", "-c", f"while ! test -e {name}; do sleep 0.05; done")
    wait_until(lambda: env.stats(job).get("running"), "the blocker to run")
    return job


def explain(env, job, task=0):
    return env.json("task", "explain", job, task)["explanation"]


def holds(env, job, task=0, worker=None):
    """Kinds of what holds the task back, by worker; of one worker, the records."""
    found = {w["worker_id"]: w["holds"] for w in explain(env, job, task)["workers"]}
    if worker is not None:
        return {h["kind"]: h for h in found[worker]}
    return {w: {h["kind"] for h in hs} for w, hs in found.items()}


def first_lines(result, n):
    return result.stdout.splitlines()[:n]


# -- section 11 ----------------------------------------------------------------------

@pytest.mark.core
def test_table_and_sentences(env):
    env.start_worker(cpus=4)
    env.start_worker("--resource", "mem=sum(640.5)", cpus=16)
    job = env.submit("--cpus", 8, "--resource", "mem=100", "sleep", "100")
    out = env.hq("task", "explain", job, 0)
    assert first_lines(out, 2) == [
        "Task 1@0 is ready to run because it has no dependencies.",
        "The task can run on 1 worker: 2"]
    assert out.table() == [
        ["Worker Id", "Runnable", "Variant", "Type", "Provides", "Request"],
        ["1", "No", "0", "cpus", "4", "8"],
        ["", "", "", "mem", "0", "100"],
        ["2", "Yes", "0", "cpus", "16", "8"],
        ["", "", "", "mem", "640.5", "100"]]
    assert "What holds" not in out.stdout


def test_without_workers(env):
    job = env.submit("true")
    assert env.hq("task", "explain", "last", 0).stdout.splitlines() == [
        "Task 1@0 is ready to run because it has no dependencies.",
        "There is no worker where the task can run."]
    assert env.hq("--output-mode", "quiet", "task", "explain", job, 0).stdout == ""
    e = explain(env, job)
    assert e["n_task_deps"] == e["n_waiting_deps"] == 0 and e["workers"] == []


def test_several_workers_and_all(env):
    for _ in range(3):
        env.start_worker(cpus=2)
    job = env.submit("--cpus", "all", "sleep", "100")
    out = env.hq("task", "explain", job, 0)
    assert first_lines(out, 2)[1] == "The task can run on 3 workers: 1-3"
    assert out.table()[1] == ["1", "Yes", "0", "cpus", "2", "0.0001"]


def test_variants_and_time(env):
    env.start_worker("--time-limit", "1h", cpus=2)
    env.start_worker("--resource", "gpus=[1]", cpus=4)
    env.write("job.toml", """
[[task]]
id = 0
command = ["sleep", "100"]
[[task.request]]
resources = { "cpus" = 4, "gpus" = 1 }
[[task.request]]
resources = { "cpus" = 8 }
time_request = "10m"
""")
    env.hq("job", "submit-file", "job.toml")
    rows = env.hq("task", "explain", 1, 0).table()
    assert [r[:4] for r in rows[1:]] == [
        ["1", "No", "0", "cpus"], ["", "", "", "gpus"],
        ["", "", "1", "time"], ["", "", "", "cpus"],
        ["2", "Yes (1/2)", "0", "cpus"], ["", "", "", "gpus"],
        ["", "", "1", "time"], ["", "", "", "cpus"]]
    assert rows[3][4].startswith("59m") and rows[3][5] == "10m"
    assert rows[7][4:] == ["unknown", "10m"]
    one, two = explain(env, 1)["workers"]
    assert two["variants"][0][0] == {"Resources": {
        "resource": "cpus", "request_amount": 40000, "worker_amount": 40000}}
    time = one["variants"][1][0]["Time"]
    assert time["min_time"] == {"secs": 600, "nanos": 0}
    assert 3500 < time["remaining_time"]["secs"] < 3600
    assert two["variants"][1][0]["Time"]["remaining_time"] is None


def test_nodes(env):
    for group in "aab":
        env.start_worker("--group", group)
    job = env.submit("--nodes", 3, "true")
    out = env.hq("task", "explain", job, 0)
    assert first_lines(out, 2)[1] == "There is no worker where the task can run."
    assert out.table()[1:] == [["1", "No", "0", "nodes", "group size 2", "3"],
                               ["2", "No", "0", "nodes", "group size 2", "3"],
                               ["3", "No", "0", "nodes", "group size 1", "3"]]
    item = explain(env, job)["workers"][2]["variants"][0][0]
    assert item == {"WorkerGroup": {"group_size": 1, "n_nodes": 3}}


def test_dependencies_the_right_way_round(env):
    env.start_worker(cpus=4)
    job = env.workflow(f"""
name: chain
tasks:
  a: {{run: "{HOLD}"}}
  b: {{run: [sleep, "0"]}}
  c: {{run: "while ! test -e end; do sleep 0.05; done", needs: [a, b]}}
""")
    wait_until(lambda: env.stats(job).get("finished") == 1, "task b")
    line = first_lines(env.hq("task", "explain", job, 2), 1)[0]
    assert line == "Task 1@2 is not ready to run, because 1/2 dependencies are not finished."
    e = explain(env, job, 2)
    assert (e["n_task_deps"], e["n_waiting_deps"]) == (2, 1)
    assert e["why"]["unfinished_deps"] == "0" and "depends" in e["why"]["help"]
    text = env.hq("task", "explain", job, 2, "--why").stdout
    assert "  dependencies: task 0 is not finished\n" in text
    env.write("go", "")
    wait_until(lambda: env.stats(job).get("running") == 1 and
               env.stats(job).get("finished") == 2, "task c")
    line = first_lines(env.hq("task", "explain", job, 2), 1)[0]
    assert line == "Task 1@2 is ready to run because its all 2 dependencies are finished."


def test_errors(pair):
    job = pair.submit_and_wait("true")
    for args, text in (
            ((job, 0), "Error: Explain command works only for tasks in WAITING or "
                       "RUNNING state"),
            ((job, 7), "Error: Task not found"), ((9, 0), "Error: Job not found")):
        done = pair.hq("task", "explain", *args, code=1)
        assert done.stderr.strip() == text and done.stdout == ""
        assert pair.hq("--output-mode", "json", "task", "explain", *args,
                       code=1).json() == {"error": text}
    assert pair.hq("task", "explain", job, code=2).stdout == ""


# -- beyond --------------------------------------------------------------------------

def test_reasons_only_when_asked_or_on_a_terminal(env):
    job = env.submit("true")
    assert "What" not in env.hq("task", "explain", job, 0).stdout
    out = env.hq("task", "explain", job, 0, "--why").stdout.splitlines()
    assert out[2:] == ["What holds it back now:",
                       "  no connected worker can ever run it",
                       "What would help: a worker; none is connected"]
    on_terminal = env.run("script", "-qec", f"hq task explain {job} 0", "/dev/null",
                          code=None)
    if on_terminal.code == 0:
        assert "What would help" in on_terminal.stdout


@pytest.mark.core
def test_busy_resources_by_amount(env):
    env.start_worker(cpus=4)
    env.start_worker("--resource", "gpus=[a,b]", cpus=2)
    blocker(env, "--cpus", 3)
    blocker(env, "--cpus", 1, "--resource", "gpus=1.5")
    job = env.submit("--cpus", 1, "--resource", "gpus=1", "true")
    hold = holds(env, job, worker=2)["resource"]
    assert (hold["resource"], hold["have"], hold["need"], hold["missing"],
            hold["total"]) == ("gpus", 5000, 10000, 5000, 20000)
    text = env.hq("task", "explain", job, 0, "--why").stdout
    assert "  worker 2: gpus: 0.5 of 2 free, 1 asked, 0.5 short\n" in text
    assert "What would help: gpus=0.5 more becoming free on worker 2\n" in text
    assert "worker 1:" not in text, "the table says why that one never can"


def test_nearest_worker_when_none_is_able(env):
    env.start_worker(cpus=2)
    env.start_worker(cpus=4)
    job = env.submit("--cpus", 6, "true")
    help_ = explain(env, job)["why"]["help"]
    assert help_ == "a worker with cpus=6, or a request of cpus=4 for worker 2"


def test_higher_priority(pair):
    blocker(pair, "--cpus", 1)
    high = pair.submit("--cpus", 2, "--priority", 7, "true")
    low = pair.submit("--cpus", 1, "--priority", 3, "true")
    hold = holds(pair, low, worker=1)["priority"]
    assert hold["task_id"] == {"job_id": high, "job_task_id": 0}
    assert hold["priority"] == 7
    why = explain(pair, low)["why"]
    assert why["tasks_above"] == 1 and why["priority"] == 3
    assert why["help"] == "a priority above 7"
    assert "priority" not in holds(pair, high, worker=1)


def test_gang_and_reservation(env):
    for _ in range(2):
        env.start_worker(cpus=1)
    blocker(env, "--cpus", 1)
    gang = env.submit("--nodes", 2, "--priority", 1, "--", "sh", "-c", HOLD)
    small = env.submit("--cpus", 1, "true")
    wait_until(lambda: "reserved" in holds(env, small, worker=2), "the reservation")
    hold = holds(env, small, worker=2)["reserved"]
    assert hold["task_id"]["job_id"] == gang and hold["priority"] == 1
    mine = holds(env, gang, worker=1)
    assert mine["busy"]["text"].startswith("it holds 1 task")
    assert (mine["nodes"]["have"], mine["nodes"]["need"]) == (1, 2)
    assert "1 more idle worker in the group" in explain(env, gang)["why"]["help"]
    env.write("go", "")
    env.wait_job(gang)


def test_time_limit_that_fits_before_a_gang(env):
    """What runs there has a limit, so the gang's start is known."""
    for _ in range(2):
        env.start_worker(cpus=2)
    blocker(env, "--cpus", 1, "--time-limit", "1h")
    gang = env.submit("--nodes", 2, "true")
    wait_until(lambda: "busy" in holds(env, gang, worker=1), "the gang to wait")
    small = env.submit("sleep", "1000")
    hold = holds(env, small, worker=2)["reserved"]
    # Limits that are nearly alike count as one: an eighth more at most.
    assert 0 < hold["seconds_left"] <= 3600 * 9 / 8
    assert hold["text"].startswith(f"it is kept free for task {gang}@0 of priority 0, "
                                   "which starts there within ")
    assert explain(env, small)["why"]["help"] == (
        f"a priority above 0, or a --time-limit that ends before task {gang}@0 starts")
    env.submit_and_wait("--time-limit", "1m", "true")
    long = env.submit("--time-limit", "2h", "true")
    assert "reserved" in holds(env, long, worker=2)
    short = ("--time-limit", "1m", "--cpus", 2)
    blocker(env, *short)
    other = env.submit(*short, "true")
    assert "reserved" not in holds(env, other, worker=2), "only the CPUs hold it back"


def test_running_gang(env):
    for _ in range(2):
        env.start_worker(cpus=1)
    gang = blocker(env, "--nodes", 2)
    job = env.submit("--cpus", 1, "true")
    assert holds(env, job) == {1: {"gang"}, 2: {"gang"}}
    assert explain(env, job)["why"]["help"] == f"the end of {gang}@0"
    assert explain(env, gang)["why"]["place"] == "running"


def test_walltime(env):
    env.start_worker("--time-limit", "1h", cpus=1)
    job = env.submit("--time-request", "2h", "true")
    assert "time" in holds(env, job, worker=1)
    help_ = explain(env, job)["why"]["help"]
    assert help_ == "a worker with 2h left, or a shorter --time-request"


def test_groups_that_do_not_fit(env):
    """Two CPUs are free, but one in each group."""
    env.start_worker(cpus="2x4")
    for _ in range(2):
        blocker(env, "--cpus", "3 compact!")
    job = env.submit("--cpus", "2 compact!", "true")
    wait_until(lambda: "refused" in holds(env, job, worker=1), "the refusal")
    text = holds(env, job, worker=1)["refused"]["text"]
    assert text == ("what is free there does not fit together: cpus: 2 must come from "
                    "1 group, free per group: 1, 1; without '!' it could start")
    assert explain(env, job)["why"]["help"] == "the end of a task on worker 1"


def test_each_task_has_its_own_refusal(env):
    """Two tasks wait on one worker, for CPUs of one group and for part of a device."""
    env.start_worker("--resource", "gpus/nvidia=[a,b]", cpus="2x4")
    blocker(env, "--cpus", "4 scatter")
    for _ in range(2):
        blocker(env, "--cpus", 0.5, "--resource", "gpus/nvidia=0.75")
    texts = {}
    for name, options in (("groups", ["--cpus", "3 compact!"]),
                          ("device", ["--cpus", 0.5, "--resource", "gpus/nvidia=0.5"])):
        job = env.submit(*options, "true")
        wait_until(lambda: "refused" in holds(env, job, worker=1), "the refusal")
        texts[name] = job
    groups, device = (holds(env, job, worker=1)["refused"]["text"]
                      for job in texts.values())
    assert "cpus: 3 must come from 1 group" in groups and "gpus" not in groups
    assert device.endswith("gpus/nvidia: 0.5 asked, whole ones free: 0 and 0.25 of b") or \
        device.endswith("gpus/nvidia: 0.5 asked, whole ones free: 0 and 0.25 of a")


def test_minimal_utilization(env):
    env.start_worker("--min-utilization", 0.5, cpus=8)
    job = env.submit("--cpus", 1, "true")
    hold = holds(env, job, worker=1)["min_utilization"]
    assert (hold["have"], hold["need"]) == (0, 40000)
    assert "lower --min-utilization" in explain(env, job)["why"]["help"]


def test_queue_position(pair):
    blocker(pair, "--cpus", 2)
    job = pair.submit("--cpus", 2, "--array", "1-10", "true")
    # Some of them may have been sent ahead.
    whys = [explain(pair, job, i)["why"] for i in range(1, 11)]
    before = [w["tasks_before"] for w in whys if w["place"] == "queue"]
    assert before and before == list(range(len(before)))
    sent = [w for w in whys if w["place"] == "worker"]
    assert all(w["sent_to"] == 1 for w in sent)
