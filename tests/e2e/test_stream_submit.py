"""Submitting with --stream: where the log goes and which channel goes into it."""
import json
import os

import pytest

from harness import wait_until


def files(env, path):
    return sorted(p.name for p in (env.work / path).iterdir())


def test_placeholders_and_relative_paths(pair):
    uid = pair.json("server", "info")["server_uid"]
    pair.submit_and_wait("--stream", "s-%{JOB_ID}", "--cwd", "sub", "--", "echo", "x")
    pair.submit_and_wait("--stream", "%{SUBMIT_DIR}/deep/er/%{SERVER_UID}", "--", "echo", "x")
    pair.submit_and_wait("--stream", "t-%{TASK_ID}-%{CWD}", "--", "echo", "x")
    assert files(pair, "s-1") == files(pair, f"deep/er/{uid}") == [f"{uid}.hqlog"]
    assert files(pair, "t-%{TASK_ID}-%{CWD}") == [f"{uid}.hqlog"]


def test_unknown_placeholders_warn(pair):
    for name, text in [("u-%{FOO}", "Found unknown placeholder `FOO` in log path"),
                       ("%{A}%{B}", "Found unknown placeholders `A, B` in log path")]:
        result = pair.hq("submit", "--wait", "--stream", name, "--", "true")
        assert text in result.stderr
        assert (pair.work / name).is_dir()


def test_placeholders_of_tasks_warn(pair):
    for name in "TASK_ID", "INSTANCE_ID", "CWD":
        result = pair.hq("submit", "--wait", "--stream", f"%{{JOB_ID}}-%{{{name}}}", "--", "true")
        assert f"Placeholder `{name}` is not replaced in log path" in result.stderr
    assert "WARN" not in pair.hq("submit", "--stream", "%{JOB_ID}", "--", "true").stderr


@pytest.mark.parametrize("options, streamed, files_made", [
    ([], {"stdout": "o\n", "stderr": "e\n"}, []),
    (["--stdout", "out"], {"stdout": "", "stderr": "e\n"}, ["out"]),
    (["--stderr", "none"], {"stdout": "o\n", "stderr": ""}, []),
    (["--stdout", ":rm-if-finished"], {"stdout": "", "stderr": "e\n"}, ["job-1"]),
    (["--stderr", "b:rm-if-finished"], {"stdout": "o\n", "stderr": ""}, []),
])
def test_which_channel_goes_where(pair, options, streamed, files_made):
    pair.submit_and_wait("--stream", "log", *options, "--", "sh", "-c", "echo o; echo e >&2")
    assert files(pair, ".") == sorted(["log"] + files_made)
    for channel, text in streamed.items():
        assert pair.hq("output-log", "log", "cat", "1", channel).stdout == text


@pytest.mark.parametrize("options", [
    ["--stdout", "none", "--stderr", "none"], ["--stdout", "a", "--stderr", "b"]])
def test_no_log_when_no_channel_is_streamed(pair, options):
    pair.submit_and_wait("--stream", "log", *options, "--", "echo", "o")
    assert not (pair.work / "log").exists()


def test_stream_in_information(pair):
    pair.submit_and_wait("--stream", "log", "--stderr", "none", "--", "echo", "o")
    fields = pair.hq("job", "info", "1").fields()
    assert fields["Stdout"] == "<Stream>" and fields["Stderr"] == "<None>"
    task = pair.tasks(1)[0]
    assert task["stdout"] == "<pipe>" and task["stderr"] is None
    shown = pair.hq("job", "cat", "1", "stdout")
    assert "Task 0 has no `stdout` stream associated with it" in shown.stderr


def test_directive_and_command_line(pair):
    pair.script("job.sh", "#HQ --stream=fromfile\necho x\n")
    pair.submit_and_wait("job.sh")
    pair.submit_and_wait("--stream", "given", "job.sh")
    assert pair.hq("output-log", "fromfile", "jobs").stdout == "1\n"
    assert pair.hq("output-log", "given", "jobs").stdout == "2\n"


def test_job_file(pair):
    pair.write("job.toml", 'stream = "log"\n[[task]]\ncommand = ["echo", "from a file"]\n')
    pair.hq("job", "submit-file", "job.toml")
    pair.wait_job(1)
    assert pair.hq("output-log", "log", "cat", "1", "stdout").stdout == "from a file\n"


def test_no_warning_about_many_files(env):
    many = ["--array", "1-1000", "--", "true"]
    assert "--stream" in env.hq("submit", *many).stderr
    assert env.hq("submit", "--stream", "log", *many).stderr == ""


def test_several_jobs_and_workers_share_one_file(pair):
    pair.start_worker(cpus=1)
    for job in "123":
        pair.submit_and_wait("--stream", "log", "--array", "0-9", "--", "sh", "-c",
                             "echo $HQ_JOB_ID.$HQ_TASK_ID")
    assert len(files(pair, "log")) == 1
    assert pair.hq("output-log", "log", "jobs").stdout == "1\n2\n3\n"
    assert pair.hq("output-log", "log", "cat", "2", "stdout").stdout == \
        "".join(f"2.{t}\n" for t in range(10))


def test_several_servers_share_a_directory(pair):
    pair.submit_and_wait("--stream", "log", "--", "echo", "first")
    pair.stop_server()
    pair.start_server()
    pair.start_worker()
    pair.submit_and_wait("--stream", "log", "--", "echo", "second")
    assert len(files(pair, "log")) == 2
    assert "multiple server instances" in pair.hq("output-log", "log", "jobs", code=1).stderr
    uid = pair.json("server", "info")["server_uid"]
    assert pair.hq("output-log", "log", "--server-uid", uid, "cat", "1",
                   "stdout").stdout == "second\n"


def test_restored_server_continues_its_log(bare):
    bare.start_server("--journal", "j")
    bare.start_worker()
    bare.submit_and_wait("--stream", "log", "--", "echo", "one")
    bare.stop_server()
    bare.start_server("--journal", "j")
    bare.start_worker()
    bare.submit_and_wait("--stream", "log", "--", "echo", "two")
    assert len(files(bare, "log")) == 1
    assert bare.hq("output-log", "log", "show").stdout == "1.0:0> one\n2.0:0> two\n"


def test_output_is_there_when_the_task_has_ended(pair):
    for code in 0, 3:
        job = pair.submit_and_wait("--stream", "log", "--", "sh", "-c", f"echo x; exit {code}")
        assert pair.hq("output-log", "log", "cat", job, "stdout").stdout == "x\n"


def test_directory_that_cannot_be_made(pair):
    pair.write("f", "")
    job = pair.submit_and_wait("--stream", "f/dir", "--", "touch", "ran")
    task = pair.tasks(job)[0]
    assert task["state"] == "failed"
    assert task["error"].startswith(f"Error: Cannot create stream directory {pair.work}/f/dir: ")
    assert task["worker"] is not None and not (pair.work / "ran").exists()
    assert pair.states(pair.submit_and_wait("--stream", "log", "--", "true")) == ["finished"]


def test_restart_supersedes(pair):
    job = pair.submit("--stream", "log", "--crash-limit", "unlimited", "--", "sh", "-c",
                      "echo run $HQ_INSTANCE_ID; test $HQ_INSTANCE_ID != 0 || sleep 1000")
    wait_until(lambda: "run 0" in pair.hq("output-log", "log", "cat", job, "stdout",
                                          "--allow-unfinished", code=None).stdout,
               "the first line")
    pair.worker.kill()
    pair.start_worker()
    pair.wait_job(job)
    assert pair.hq("output-log", "log", "show").stdout.split("> ")[1].startswith("run ")
    assert "run 0" not in pair.hq("output-log", "log", "show").stdout
    summary = pair.json("output-log", "log", "summary")["summary"]
    assert summary["n_superseded"] == 1 and summary["superseded_stdout_size"] == 6
    assert summary["n_opened"] == 0


@pytest.mark.parametrize("how", ["cancel", "time limit"])
def test_killed_tasks_get_their_end_mark(pair, how):
    limit = ["--time-limit", "200ms"] if how == "time limit" else []
    job = pair.submit("--stream", "log", *limit, "--", "sh", "-c",
                      "echo begin; touch began; exec sleep 1000")
    wait_until(lambda: (pair.work / "began").exists(), "the task to begin")
    if how == "cancel":
        pair.hq("job", "cancel", job)
    pair.wait_job(job)
    wait_until(lambda: pair.hq("output-log", "log", "cat", job, "stdout",
                               code=None).stdout == "begin\n", "the end mark")
    row, = pair.json("log", "log", "list")
    assert row["finished"] and row["state"] == ("canceled" if how == "cancel" else "timeout")


def test_held_by_a_child(pair):
    """The task runs until everybody that holds its pipes has closed them."""
    os.mkfifo(pair.work / "gate")
    job = pair.submit("--stream", "log", "--", "sh", "-c",
                      "echo parent; { read x < gate; echo child; } & exit 0")
    wait_until(lambda: "parent" in pair.hq("output-log", "log", "cat", job, "stdout",
                                           "--allow-unfinished", code=None).stdout, "a line")
    assert pair.states(job) == ["running"]
    pair.write("go", "x\n")
    pair.run("sh", "-c", "cat go > gate")
    pair.wait_job(job)
    assert pair.hq("output-log", "log", "cat", job, "stdout").stdout == "parent\nchild\n"


def test_export_shows_both_channels(pair):
    job = pair.submit_and_wait("--stream", "log", "--", "sh", "-c", "echo o; echo e >&2")
    assert json.loads(pair.hq("output-log", "log", "export", job).stdout) == [
        {"finished": True, "id": 0, "stderr": "e\n", "stdout": "o\n"}]
