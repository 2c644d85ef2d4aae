"""What failures do: dependencies, max-fails, lost workers, crash limits, cancel."""
import json
import signal

import pytest

from harness import wait_until

HOLD = "sh", "-c", "while ! test -e go; do sleep 0.02; done"


def graph(env, tasks, *words, extra=""):
    """Submits tasks given as {id: (command, deps)}."""
    text = extra
    for task, (command, deps) in tasks.items():
        text += f"[[task]]\nid = {task}\ncommand = {json.dumps(list(command))}\ndeps = {deps}\n"
    env.write("g.toml", text)
    return env.json("job", "submit-file", *words, "g.toml")["id"]


def states(env, job):
    return {i: t["state"] for i, t in env.tasks(job).items()}


# --- dependencies --------------------------------------------------------------------


@pytest.mark.parametrize("deps, ends", [
    ({1: [], 2: [1], 3: [2]}, {1: "failed", 2: "aborted", 3: "aborted"}),
    ({1: [], 2: [1], 3: [1], 4: [2, 3]}, {1: "failed", 2: "aborted", 3: "aborted", 4: "aborted"}),
    ({1: [], 2: [], 3: [1, 2]}, {1: "failed", 2: "finished", 3: "aborted"}),
    ({1: [], 2: [], 3: [2]}, {1: "failed", 2: "finished", 3: "finished"}),
], ids=["chain", "diamond", "one of two", "apart"])
def test_dependants_of_a_failure_are_aborted(pair, deps, ends):
    job = graph(pair, {t: (["false"] if t == 1 else ["true"], d) for t, d in deps.items()})
    pair.wait_job(job)
    assert states(pair, job) == ends


def test_dependants_wait_for_all(pair):
    job = graph(pair, {1: (HOLD, []), 2: (["true"], []), 3: (["touch", "third"], [1, 2])})
    pair.wait_stats(job, running=1, finished=1, waiting=1)
    assert not (pair.work / "third").exists()
    pair.write("go", "")
    pair.wait_job(job)
    assert pair.stats(job) == {"finished": 3} and (pair.work / "third").exists()


def test_aborted_at_once(pair):
    """Also where another task of the job goes on."""
    job = graph(pair, {1: (["false"], []), 2: (["true"], [1]), 3: (["true"], [2]), 4: (HOLD, [])})
    pair.wait_stats(job, failed=1, aborted=2, running=1)
    pair.hq("job", "cancel", job)


def test_aborted_tasks_have_no_error_and_no_worker(pair):
    job = graph(pair, {1: (["false"], []), 2: (["true"], [1])})
    pair.wait_job(job)
    assert pair.tasks(job)[2] == {"id": 2, "state": "aborted"}


def test_time_limit_and_missing_program_abort_too(pair):
    for command, limit in (["no-such"], ""), (["sleep", "60"], 'time_limit = "50ms"\n'):
        pair.write("g.toml", f"[[task]]\nid = 1\ncommand = {json.dumps(command)}\n{limit}"
                             '[[task]]\nid = 2\ncommand = ["true"]\ndeps = [1]\n')
        job = pair.json("job", "submit-file", "g.toml")["id"]
        pair.wait_job(job)
        assert states(pair, job) == {1: "failed", 2: "aborted"}


def test_dependency_on_a_finished_task_of_an_open_job(pair):
    pair.hq("job", "open")
    graph(pair, {1: (["true"], [])}, "--job=1")
    pair.hq("job", "wait", "--without-close", "1")
    pair.submit("--job=1", "--array=2", "--", "true")
    pair.hq("job", "wait", "--without-close", "1")
    assert states(pair, 1) == {1: "finished", 2: "finished"}


# --- max-fails -----------------------------------------------------------------------


@pytest.mark.parametrize("limit, failing, ends", [
    (None, 5, {"failed": 5, "finished": 5}), ("5", 5, {"failed": 5, "finished": 5}),
    ("4", 5, {"failed": 5, "aborted": 5}), ("0", 5, {"failed": 1, "aborted": 9}),
    ("0", 0, {"finished": 10}), ("1", 1, {"failed": 1, "finished": 9}),
])
def test_more_than_n_failures_abort_the_rest(env, limit, failing, ends):
    env.start_worker(cpus=1)
    words = [] if limit is None else ["--max-fails", limit]
    job = env.submit("--array=0-9", *words, "--", "sh", "-c", f"test $HQ_TASK_ID -ge {failing}")
    env.wait_job(job)
    assert env.stats(job) == ends


def test_running_tasks_are_stopped(pair):
    job = pair.submit("--array=0-1", "--max-fails=0", "--", "sh", "-c",
                      "if test $HQ_TASK_ID = 1; then while ! test -e up; do sleep 0.02; done; "
                      "exit 1; fi; trap 'touch told; exit' INT; touch up; "
                      "while :; do sleep 0.02; done")
    pair.wait_job(job)
    assert states(pair, job) == {0: "aborted", 1: "failed"}
    wait_until(lambda: (pair.work / "told").exists(), "the signal")


def test_canceled_and_aborted_tasks_do_not_count(pair):
    pair.hq("job", "open", "--max-fails=1")
    graph(pair, {1: (["false"], []), 2: (["true"], [1]), 3: (["true"], [1])}, "--job=1")
    pair.hq("job", "wait", "--without-close", "1")
    pair.submit("--job=1", "--array=10-12", "--cpus=64", "--", "true")
    pair.hq("job", "cancel", "1")
    pair.submit("--job=1", "--array=20-21", "--", "true")
    pair.hq("job", "wait", "--without-close", "1")
    assert pair.stats(1) == {"failed": 1, "aborted": 2, "canceled": 3, "finished": 2}


def test_limit_of_an_open_job_spans_its_submits(env):
    env.start_worker(cpus=1)
    env.hq("job", "open", "--max-fails=1")
    waiting = env.submit("--job=1", "--priority=-5", "--array=10-14", "--cpus=1", "--", "true")
    env.hq("job", "wait", "--without-close", waiting)
    env.submit("--job=1", "--array=20", "--", "false")
    env.hq("job", "wait", "--without-close", "1")
    assert env.stats(1) == {"finished": 5, "failed": 1}
    env.submit("--job=1", "--cpus=64", "--array=30-39", "--", "true")
    env.submit("--job=1", "--array=40", "--", "false")
    env.hq("job", "wait", "--without-close", "1")
    assert env.stats(1) == {"finished": 5, "failed": 2, "aborted": 10}
    # What comes after the limit was exceeded runs until the next failure.
    env.submit("--job=1", "--array=50-51", "--", "true")
    env.hq("job", "wait", "--without-close", "1")
    assert env.stats(1) == {"finished": 7, "failed": 2, "aborted": 10}


def test_limit_in_job_info(env):
    assert env.job(env.submit("--max-fails=7", "--", "true"))["max_fails"] == 7
    assert env.job(env.submit("--", "true"))["max_fails"] is None


# --- lost workers --------------------------------------------------------------------

LOST = ("Task was running on a worker that was lost; the task has occurred {} times in this "
        "situation and limit was reached.")
NEVER = "Task was running on a lost worker while never restart flag was set."


def end_worker(env, worker, how):
    if how == "killed":
        worker.kill()
    elif how == "stopped":
        env.hq("worker", "stop", worker.id)
        worker.wait()
    else:
        worker.wait()


@pytest.mark.parametrize("how, limit, error", [
    ("killed", "1", LOST.format(1)), ("killed", "5", None), ("killed", "unlimited", None),
    ("killed", "never-restart", NEVER), ("stopped", "1", None), ("stopped", "unlimited", None),
    ("stopped", "never-restart", NEVER), ("time limit", "1", None),
    ("time limit", "never-restart", NEVER),
])
def test_worker_that_goes_away(env, how, limit, error):
    worker = env.start_worker(*(["--time-limit=2s"] if how == "time limit" else []))
    job = env.submit(f"--crash-limit={limit}", "--", *HOLD)
    env.wait_stats(job, running=1)
    end_worker(env, worker, how)
    if error:
        env.wait_stats(job, failed=1)
        task = env.tasks(job)[0]
        assert task["error"] == error
        assert "started_at" not in task and "worker" not in task
    else:
        env.wait_stats(job, waiting=1)
        env.write("go", "")
        env.start_worker()
        env.wait_job(job)
        assert env.stats(job) == {"finished": 1}


def test_counter_counts_up_to_the_limit(env):
    job = env.submit("--crash-limit=3", "--", *HOLD)
    for _ in range(3):
        assert env.stats(job) == {"waiting": 1}
        worker = env.start_worker()
        env.wait_stats(job, running=1)
        worker.kill()
        wait_until(lambda: "running" not in env.stats(job), "the loss")
    assert env.tasks(job)[0]["error"] == LOST.format(3)


def test_only_running_tasks_are_counted(env):
    worker = env.start_worker(cpus=1)
    job = env.submit("--crash-limit=1", "--array=0-4", "--", *HOLD)
    env.wait_stats(job, running=1, waiting=4)
    worker.kill()
    env.wait_stats(job, failed=1, waiting=4)


def test_heartbeat_loss_counts_as_a_crash(env):
    worker = env.start_worker("--heartbeat=300ms")
    job = env.submit("--crash-limit=1", "--", *HOLD)
    env.wait_stats(job, running=1)
    worker.send(signal.SIGSTOP)
    env.wait_stats(job, failed=1)
    worker.send(signal.SIGCONT)
    env.write("go", "")


def test_instance_grows_and_files_are_truncated(env):
    worker = env.start_worker()
    job = env.submit("--", "sh", "-c", "echo $HQ_INSTANCE_ID and a long line of the first run; "
                     "if test $HQ_INSTANCE_ID = 0; then touch up; sleep 60; fi")
    wait_until(lambda: (env.work / "up").exists(), "the task")
    worker.kill()
    env.start_worker()
    env.wait_job(job)
    assert int(env.read(f"job-{job}/0.stdout").split()[0]) > 0
    assert len(env.read(f"job-{job}/0.stdout").splitlines()) == 1


def test_loss_of_a_node_that_is_not_the_root_does_not_stop_a_gang(env):
    workers = [env.start_worker("--hostname", f"h{i}") for i in range(2)]
    job = env.submit("--nodes=2", "--", "sh", "-c",
                     "cat $HQ_NODE_FILE >n; mv n nodes; while ! test -e go; do sleep 0.02; done")
    wait_until(lambda: (env.work / "nodes").exists(), "the gang")
    env.wait_stats(job, running=1)  # the report may come later than what the task did
    root = env.read("nodes").split()[0]
    other = workers[1 if root == "h0" else 0]
    other.kill()
    wait_until(lambda: len(env.workers()) == 1, "the loss")
    assert env.stats(job) == {"running": 1}
    env.write("go", "")
    env.wait_job(job)
    assert env.stats(job) == {"finished": 1}


def test_loss_of_the_root_restarts_a_gang(env):
    workers = [env.start_worker("--hostname", f"h{i}") for i in range(2)]
    job = env.submit("--nodes=2", "--crash-limit=1", "--", "sh", "-c",
                     "cat $HQ_NODE_FILE >n; mv n nodes; sleep 60")
    wait_until(lambda: (env.work / "nodes").exists(), "the gang")
    env.wait_stats(job, running=1)  # the report may come later than what the task did
    workers[0 if env.read("nodes").split()[0] == "h0" else 1].kill()
    env.wait_stats(job, failed=1)
    assert env.tasks(job)[0]["error"] == LOST.format(1)


def test_exit_status_is_never_retried(pair):
    job = pair.submit_and_wait("--crash-limit=5", "--", "sh", "-c", "echo run >>runs; exit 1")
    assert pair.states(job) == ["failed"] and pair.read("runs") == "run\n"


# --- cancel ----------------------------------------------------------------------------


def test_cancel_touches_all_unfinished_tasks(pair):
    job = pair.submit("--array=0-5", "--", "sh", "-c",
                      "test $HQ_TASK_ID = 0 || while :; do sleep 0.02; done")
    pair.wait_stats(job, finished=1, running=2, waiting=3)
    result = pair.hq("job", "cancel", job)
    assert f"Job {job} canceled (5 tasks canceled, 1 tasks already finished)" in result.stderr
    assert pair.stats(job) == {"finished": 1, "canceled": 5}


def test_canceled_dependants(pair):
    job = graph(pair, {1: (HOLD, []), 2: (["true"], [1])})
    pair.wait_stats(job, running=1, waiting=1)
    pair.hq("job", "cancel", job)
    assert pair.stats(job) == {"canceled": 2}


def test_cancel_does_not_close_an_open_job(pair):
    pair.hq("job", "open")
    pair.submit("--job=1", "--cpus=64", "--", "true")
    pair.hq("job", "cancel", "1")
    assert pair.job(1)["info"]["is_open"] is True
    pair.submit("--job=1", "--", "true")
    pair.hq("job", "wait", "--without-close", "1")
    assert pair.stats(1) == {"canceled": 1, "finished": 1}


def test_streamed_data_of_failed_tasks_is_complete(pair):
    job = pair.submit_and_wait("--stream=log", "--", "sh", "-c", "seq 20000; exit 1")
    assert pair.states(job) == ["failed"]
    assert pair.hq("output-log", "log", "cat", job, "stdout").stdout == \
        "".join(f"{i}\n" for i in range(1, 20001))
