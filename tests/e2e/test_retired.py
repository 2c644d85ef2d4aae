"""Spellings that were retired: each goes on to work, and stays to do so."""
import pytest

from harness import wait_until


@pytest.mark.core
def test_submit_log(pair):
    """`hq submit --log FILE` and `hq log FILE ...` of old releases."""
    job = pair.submit_and_wait("--log", "out.log", "--array", "1-2", "--", "sh", "-c",
                               "echo out $HQ_TASK_ID; echo err >&2")
    assert pair.log("out.log", "summary").fields()["Tasks"] == "2"
    assert "out 2" in pair.log("out.log", "show").stdout
    assert pair.log("out.log", "cat", str(job), "stdout").stdout == "out 1\nout 2\n"
    pair.log("out.log", "export", str(job))


def test_log_as_a_directive(pair):
    pair.write("job.sh", "#!/bin/bash\n#HQ --log out.log\necho x\n")
    job = pair.submit_and_wait("job.sh")
    assert pair.log("out.log", "cat", str(job), "stdout").stdout == "x\n"


def test_output_log_of_a_directory_that_exists(pair):
    (pair.work / "dir").mkdir()
    job = pair.submit_and_wait("--stream", "dir", "--", "echo", "x")
    assert pair.hq("output-log", "dir", "cat", str(job), "stdout").stdout == "x\n"


def test_no_detect_resources(env):
    env.spawn("worker", "hq", "worker", "start", "--no-detect-resources", "--cpus=3")
    env.wait_workers(1)
    resources = env.workers()[0]["configuration"]["resources"]["resources"]
    assert [r["name"] for r in resources] == ["cpus"]


def test_cpus_no_ht(env):
    env.spawn("worker", "hq", "worker", "start", "--cpus=no-ht")
    env.wait_workers(1)


def test_cpus_groups(env):
    worker = env.spawn("worker", "hq", "worker", "start", "--detect-resources=none",
                       "--cpus=2x12")
    env.wait_workers(1)
    assert worker.running
    assert env.hq("worker", "info", "1").fields()["Resources"].startswith("cpus: 2x12")


@pytest.mark.parametrize("spelling", ["jobs", "jobs --all"])
def test_jobs(env, spelling):
    env.submit("--name", "abc", "--", "true")
    assert "abc" in env.hq(*spelling.split()).stdout
    assert env.json(*spelling.split())[0]["name"] == "abc"


def test_wait(pair):
    job = pair.submit("--", "true")
    pair.hq("wait", str(job))
    assert pair.stats(job) == {"finished": 1}


def test_progress(env):
    env.submit("--", "true")
    bar = env.spawn("progress", "hq", "progress", "1")
    wait_until(lambda: "0/1 jobs" in bar.text(), "the bar")
    env.start_worker(cpus=1)
    assert bar.wait() == 0
    assert "1/1 jobs" in bar.text()


def test_cancel(env):
    job = env.submit("--", "true")
    assert f"Job {job} canceled" in env.hq("cancel", str(job)).stderr
    assert env.stats(job) == {"canceled": 1}


def test_resubmit(pair):
    """All tasks again, or those in the given states."""
    job = pair.submit_and_wait("--array", "1-3", "--name", "again", "--", "sh", "-c",
                               "echo $HQ_TASK_ID >> ran; test $HQ_TASK_ID != 2")
    assert pair.stats(job) == {"finished": 2, "failed": 1}
    again = pair.json("resubmit", str(job), "--filter=failed")["id"]
    pair.wait_job(again)
    assert sorted(pair.read("ran").split()) == ["1", "2", "2", "3"]
    assert pair.job(again)["info"]["name"] == "again"
    assert (pair.work / f"job-{again}" / "2.stdout").exists()
    third = pair.hq("resubmit", str(job), "--status", "finished,failed").stdout
    assert third == "Job submitted successfully, job ID: 3\n"
    pair.wait_job(3)
    assert sorted(pair.tasks(3)) == [1, 2, 3]


def test_job_tasks(pair):
    job = pair.submit_and_wait("--array", "3-4", "--", "true")
    assert [t["id"] for t in pair.json("job", "tasks", str(job))[str(job)]] == [3, 4]


def test_wait_that_fails(pair):
    """Exit code 1 for a failed task, as it was up to 0.24, is an opt-in."""
    job = pair.submit_and_wait("--", "false")
    pair.hq("job", "wait", str(job))
    pair.hq("job", "wait", "--fail-on-error", str(job), code=1)
    pair.hq("wait", str(job), env={"HQ_WAIT_FAIL_ON_ERROR": 1}, code=1)


def test_workers_per_alloc(env):
    env.hq("alloc", "add", "slurm", "--time-limit", "1h", "--workers-per-alloc", "3",
           "--no-dry-run")
    assert env.json("alloc", "list")[0]["max_workers_per_alloc"] == 3
