"""hq job list, info, summary, wait, cancel, progress, task-ids, cat, forget."""
import signal

import pytest

from harness import HQ, wait_until


def test_list_shows_active_jobs_only(pair):
    done = pair.submit_and_wait("--", "true")
    waiting = pair.submit("--cpus", "64", "--", "true")
    result = pair.hq("job", "list")
    assert result.table()[0] == ["ID", "Name", "State", "Tasks"]
    assert result.table()[1:] == [[str(waiting), "true", "WAITING", "1"]]
    assert "There are 2 jobs in total. Use `--all` to display all jobs." in result.stdout
    assert [j["id"] for j in pair.json("job", "list", "--all")] == [done, waiting]


def test_list_filter_and_quiet(pair):
    pair.submit_and_wait("--", "true")
    pair.submit_and_wait("--", "false")
    listed = pair.hq("--output-mode", "quiet", "job", "list", "--all")
    assert listed.stdout == "1 FINISHED\n2 FAILED\n" and listed.stderr == ""
    ids = [j["id"] for j in pair.json("job", "list", "--filter", "failed")]
    assert ids == [2]
    pair.hq("job", "list", "--filter", "nonsense", code=2)
    pair.hq("job", "list", "--filter", "failed", "--all", code=2)


def test_empty_list(env):
    assert env.json("job", "list") == []
    assert len(env.hq("job", "list").stdout.splitlines()) == 3


def test_info_table(pair):
    job = pair.submit_and_wait("--name", "demo", "--env", "A=b", "--cpus", "2",
                               "--time-limit", "90s", "--", "echo", "x")
    fields = pair.hq("job", "info", job).fields()
    assert fields["ID"] == str(job)
    assert fields["Name"] == "demo"
    assert fields["State"] == "FINISHED"
    assert fields["Session"] == "closed"
    assert fields["Tasks"] == "1; Ids: 0"
    assert fields["Resources"] == "cpus: 2 compact"
    assert fields["Command"] == "echo\nx"
    assert fields["Environment"] == "A=b"
    assert fields["Working directory"] == str(pair.work)
    assert fields["Task time limit"] == "1m 30s"
    assert fields["Crash limit"] == "5"
    assert fields["Stdout"] == f"{pair.work}/job-{job}/%{{TASK_ID}}.stdout"


@pytest.mark.core
def test_info_json(pair):
    job = pair.submit_and_wait("--array", "3-4", "--", "true")
    detail = pair.job(job)
    assert set(detail) >= {"info", "max_fails", "started_at", "finished_at", "submits",
                           "tasks"}
    assert [t["id"] for t in detail["tasks"]] == [3, 4]
    for task in detail["tasks"]:
        assert set(task) >= {"id", "state", "cwd", "stdout", "stderr", "started_at",
                             "finished_at", "worker"}
        assert task["worker"] == pair.worker.id
    array = detail["submits"][0]["array"]
    assert array["program"]["args"] == ["true"]
    assert array["priority"] == 0 and array["crash_limit"] == 5


def test_info_of_unknown_jobs(env):
    env.submit("--", "true")
    result = env.hq("job", "info", "1,7")
    assert "Job 7 not found" in result.stderr
    assert len(env.json("job", "info", "1,7")) == 1
    assert env.json("job", "info", "9") == []


def test_selectors(env):
    for _ in range(4):
        env.submit("--", "true")
    for selector, ids in (("all", [1, 2, 3, 4]), ("last", [4]), ("1,3", [1, 3]),
                          ("2-4", [2, 3, 4]), ("1-3:2", [1, 3])):
        assert [d["info"]["id"] for d in env.json("job", "info", selector)] == ids
    env.hq("job", "info", "x", code=2)


def test_summary(pair):
    pair.submit_and_wait("--", "true")
    pair.submit_and_wait("--", "false")
    pair.submit("--cpus", "64", "--", "true")
    assert pair.hq("--output-mode", "quiet", "job", "summary").stdout == (
        "RUNNING 0\nWAITING 1\nFINISHED 1\nFAILED 1\nABORTED 0\nCANCELED 0\n")
    assert pair.json("job", "summary")["Failed"] == 1


def test_wait_prints_nothing(pair):
    job = pair.submit("--array", "0-9", "--", "true")
    result = pair.hq("job", "wait", job)
    assert (result.stdout, result.stderr) == ("", "")
    assert pair.stats(job) == {"finished": 10}
    pair.hq("job", "wait", "all")
    pair.hq("job", "wait", "77")
    assert pair.json("job", "wait", job) == {}


def test_wait_ends_when_the_job_is_canceled(env):
    job = env.submit("--", "true")
    waiting = env.spawn("wait", HQ, "job", "wait", job)
    env.hq("job", "cancel", job)
    assert waiting.wait() == 0, waiting.text()


@pytest.mark.core
def test_cancel_waiting_and_running(pair):
    job = pair.submit("--array", "0-4", "--", "sleep", "100")
    pair.wait_stats(job, running=2, waiting=3)
    result = pair.hq("job", "cancel", job)
    assert f"Job {job} canceled (5 tasks canceled, 0 tasks already finished)" in result.stderr
    assert result.stdout == ""
    assert pair.stats(job) == {"canceled": 5}
    again = pair.hq("job", "cancel", job)
    assert f"Canceling job {job} failed; all tasks are already finished" in again.stderr


@pytest.mark.core
def test_cancel_ends_the_processes(pair):
    pair.script("tree.sh", "echo $$ >pid\nsleep 1000 &\necho $! >child\nwait\n")
    job = pair.submit("--", "./tree.sh")
    wait_until(lambda: (pair.work / "child").exists() and pair.read("child"), "the task")
    pids = [int(pair.read(name)) for name in ("pid", "child")]
    pair.hq("job", "cancel", job)

    def gone():
        return not any(pid in pair.tagged() for pid in pids)

    wait_until(gone, "the processes to end")
    assert pair.submit_and_wait("--cpus", "2", "--", "true")


def test_cancel_gives_a_second_of_grace(pair):
    pair.script("grace.sh", "trap 'echo told >told; exit 0' INT\necho >up\n"
                            "while :; do sleep 0.05; done\n")
    job = pair.submit("--", "./grace.sh")
    wait_until(lambda: (pair.work / "up").exists(), "the task")
    pair.hq("job", "cancel", job)
    wait_until(lambda: (pair.work / "told").exists(), "the signal")
    assert pair.states(job) == ["canceled"]


def test_cancel_with_reason(env):
    job = env.submit("--", "true")
    env.hq("job", "cancel", job, "--reason", "no need")
    assert env.job(job)["info"]["cancel_reason"] == "no need"
    assert env.hq("job", "info", job).fields()["Cancel Reason"] == "no need"
    env.hq("job", "cancel", job, "--reason", "x" * 201, code=2)


def test_cancel_unknown_and_nothing(env):
    assert "There is nothing to cancel" in env.hq("job", "cancel", "all").stderr
    assert "Canceling job 9 failed; job not found" in env.hq("job", "cancel", "9").stderr


def test_progress_command(pair):
    job = pair.submit("--array", "0-9", "--", "true")
    result = pair.hq("job", "progress", job)
    assert "10/10 tasks" in result.stdout or "There are no jobs to wait for" in result.stderr


def test_progress_interrupted_leaves_the_job(pair):
    job = pair.submit("--", "sleep", "1000")
    pair.wait_stats(job, running=1)
    progress = pair.spawn("progress", HQ, "job", "progress", job)
    wait_until(lambda: "0/1 tasks" in progress.text(), "the bar")
    progress.send(signal.SIGINT)
    assert progress.wait() != 0
    assert pair.stats(job) == {"running": 1}


def test_task_ids(pair):
    job = pair.submit_and_wait("--array", "1-6", "--", "sh", "-c",
                               "test $HQ_TASK_ID -ne 3")
    assert pair.hq("job", "task-ids", job).stdout == "1-6\n"
    assert pair.hq("job", "task-ids", job, "--filter", "failed").stdout == "3\n"
    assert pair.hq("job", "task-ids", job, "--filter", "finished").stdout == "1-2,4-6\n"
    assert pair.json("job", "task-ids", job) == {str(job): [1, 2, 3, 4, 5, 6]}
    assert "Job Id not found" in pair.hq("job", "task-ids", "9", code=1).stderr


def test_cat(pair):
    job = pair.submit_and_wait("--array", "1-3", "--", "sh", "-c",
                               "echo out $HQ_TASK_ID; echo err >&2")
    assert pair.hq("job", "cat", job, "stdout").stdout == "out 1\nout 2\nout 3\n"
    assert pair.hq("job", "cat", job, "stderr", "--tasks", "2").stdout == "err\n"
    text = pair.hq("job", "cat", job, "stdout", "--print-task-header").stdout
    assert f"# Job {job}, task 2\nout 2\n" in text


def test_forget(pair):
    pair.submit_and_wait("--", "true")
    pair.submit("--cpus", "64", "--", "true")
    result = pair.hq("job", "forget", "all")
    assert "1 job were forgotten, 1 were ignored" in result.stderr
    assert [j["id"] for j in pair.json("job", "list", "--all")] == [2]
    assert pair.submit("--", "true") == 3


@pytest.mark.core
def test_task_list_and_info(pair):
    job = pair.submit_and_wait("--array", "0-1", "--", "sh", "-c", "exit $HQ_TASK_ID")
    rows = pair.hq("task", "list", job).table()
    assert rows[0] == ["Task ID", "State", "Worker", "Makespan", "Error"]
    assert [row[:2] for row in rows[1:]] == [["0", "FINISHED"], ["1", "FAILED"]]
    fields = pair.hq("task", "info", job, "1").fields()
    assert fields["State"] == "FAILED"
    assert fields["Error"] == "Program terminated with exit code 1."
    states = pair.json("task", "list", job, "--task-status", "failed")[str(job)]
    assert [t["id"] for t in states] == [1]


def test_closed_pipe_ends_silently(env):
    for _ in range(3):
        env.submit("--name", "x" * 40, "--", "true")
    result = env.run("bash", "-c", "hq job list --all | true; echo ${PIPESTATUS[0]}")
    assert result.stdout.strip() in ("0", "141") and result.stderr == ""


def test_max_fails_aborts_the_rest(pair):
    job = pair.submit("--array", "0-99", "--max-fails", "2", "--", "false")
    pair.wait_job(job)
    stats = pair.stats(job)
    assert stats["failed"] >= 3 and stats["aborted"] >= 1
    assert stats["failed"] + stats["aborted"] == 100
