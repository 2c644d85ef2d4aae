"""The states of tasks and how the state of a job follows from them."""
import pytest

from harness import wait_until

HOLD = "--", "sh", "-c", "while ! test -e go; do sleep 0.02; done"


def state_of(env, job):
    listed = env.hq("--output-mode", "quiet", "job", "list", "--all").stdout
    return dict(line.split() for line in listed.splitlines())[str(job)]


def add(env, job, *words):
    env.submit("--job", job, *words)


def test_waiting_running_finished(pair):
    job = pair.submit("--cpus", "2", *HOLD)
    pair.wait_stats(job, running=1)
    behind = pair.submit("--cpus", "2", "--", "true")
    assert (state_of(pair, job), state_of(pair, behind)) == ("RUNNING", "WAITING")
    # Prepared ahead for a worker is still waiting.
    assert pair.states(behind) == ["waiting"]
    pair.write("go", "")
    pair.wait_job(behind)
    assert (state_of(pair, job), state_of(pair, behind)) == ("FINISHED", "FINISHED")


@pytest.mark.parametrize("words, state", [
    (["--", "sh", "-c", "exit 3"], "failed"),
    (["--", "sh", "-c", "kill -9 $$"], "failed"), (["--", "no-such-program"], "failed"),
    (["--time-limit", "10ms", "--", "sleep", "60"], "failed"), (["--", "true"], "finished"),
], ids=["exit", "signal", "no program", "time limit", "success"])
def test_how_a_task_ends(pair, words, state):
    job = pair.submit_and_wait(*words)
    assert pair.states(job) == [state]
    assert state_of(pair, job) == state.upper()


def test_failure_before_the_start_goes_from_waiting_to_failed(pair):
    pair.write("file", "")
    job = pair.submit_and_wait("--stdout", "file/x/out", "--", "true")
    task = pair.tasks(job)[0]
    assert task["state"] == "failed" and "started_at" not in task and "worker" not in task


def test_running_waits_again_when_its_worker_is_lost(pair):
    job = pair.submit(*HOLD)
    pair.wait_stats(job, running=1)
    pair.worker.kill()
    pair.wait_stats(job, waiting=1)
    assert state_of(pair, job) == "WAITING"


def test_canceled_waiting_and_running(pair):
    job = pair.submit("--array", "0-3", "--cpus", "2", *HOLD)
    pair.wait_stats(job, running=1, waiting=3)
    pair.hq("job", "cancel", job)
    assert pair.stats(job) == {"canceled": 4}
    assert state_of(pair, job) == "CANCELED"


# Each row: what is submitted to one open job, and its state then; the first rule wins.
def test_job_state_is_the_first_rule_that_matches(pair):
    job = pair.json("job", "open")["id"]
    assert state_of(pair, job) == "OPENED"  # no task
    add(pair, job, "--", "true")
    pair.hq("job", "wait", "--without-close", job)
    assert state_of(pair, job) == "OPENED"  # all finished
    add(pair, job, "--cpus", "64", "--", "true")
    assert state_of(pair, job) == "WAITING"
    pair.hq("job", "cancel", job)
    assert state_of(pair, job) == "CANCELED"
    # One task that depends on a failing one is aborted.
    pair.write("graph.toml", """
[[task]]
id = 10
command = ["false"]
[[task]]
id = 11
command = ["true"]
deps = [10]
""")
    pair.hq("job", "submit-file", "--job", job, "graph.toml")
    pair.hq("job", "wait", "--without-close", job)
    assert pair.stats(job) == {"finished": 1, "canceled": 1, "failed": 1, "aborted": 1}
    assert state_of(pair, job) == "FAILED"
    add(pair, job, "--cpus", "64", "--", "true")
    assert state_of(pair, job) == "WAITING"
    add(pair, job, *HOLD)
    wait_until(lambda: state_of(pair, job) == "RUNNING", "the running task")
    pair.hq("job", "cancel", job)
    pair.hq("job", "close", job)
    assert state_of(pair, job) == "FAILED"


def test_aborted_beats_canceled(pair):
    """Only max-fails and dependencies abort; without a failed task left of the rule's row
    there is none, so the job has both: failed wins."""
    job = pair.submit_and_wait("--max-fails", "0", "--cpus", "2", "--array", "0-9", "--", "false")
    assert pair.stats(job) == {"failed": 1, "aborted": 9}
    assert state_of(pair, job) == "FAILED"


def test_closed_job_without_tasks_is_finished(env):
    env.hq("job", "open")
    env.hq("job", "close", "1")
    assert state_of(env, 1) == "FINISHED"
    assert env.json("job", "list") == []


def test_open_is_separate_from_the_state(pair):
    job = pair.json("job", "open")["id"]
    add(pair, job, "--", "false")
    pair.hq("job", "wait", "--without-close", job)
    info = pair.job(job)["info"]
    assert info["is_open"] is True and state_of(pair, job) == "FAILED"
    fields = pair.hq("job", "info", job).fields()
    assert (fields["State"], fields["Session"]) == ("FAILED", "open")


@pytest.mark.core
def test_many_jobs_give_up_one_after_another(pair):
    """Tasks that are cancelled between two starts give their CPUs back as others do."""
    count = 100
    for _ in range(count):
        pair.submit("--max-fails", "0", "--array", "0-7", "--stdout", "none",
                    "--stderr", "none", "--", "false")
    pair.hq("job", "wait", "all")
    for job in range(1, count + 1):
        stats = pair.stats(job)
        assert stats["failed"] >= 1 and sum(stats.values()) == 8
