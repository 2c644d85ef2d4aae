"""The shared log: what tasks print arrives there once and is read back with hq log."""
import hashlib
import json

import pytest

from harness import wait_until


@pytest.mark.core
def test_log_file_by_name(pair):
    job = pair.submit_and_wait("--log", "out.hqlog", "--array", "0-2", "--", "sh", "-c",
                               "echo out $HQ_TASK_ID; echo err $HQ_TASK_ID >&2")
    assert pair.log("out.hqlog", "cat", job, "stdout").stdout == "out 0\nout 1\nout 2\n"
    assert pair.log("out.hqlog", "cat", job, "stderr").stdout == "err 0\nerr 1\nerr 2\n"
    assert (pair.work / "out.hqlog").is_file()
    assert not (pair.work / f"job-{job}").exists()


@pytest.mark.core
def test_stream_directory(pair):
    for _ in range(2):
        pair.submit_and_wait("--stream", "dir", "--", "sh", "-c", "echo $HQ_JOB_ID")
    assert len(list((pair.work / "dir").iterdir())) == 1
    assert pair.log("dir", "cat", "2", "stdout").stdout == "2\n"
    assert pair.log("dir", "jobs").stdout == "1\n2\n"
    assert pair.log("dir", "list").stdout == pair.log("dir", "list").stdout
    assert pair.hq("output-log", "dir", "jobs").stdout == "1\n2\n"


@pytest.mark.core
def test_summary(pair):
    pair.submit_and_wait("--stream", "dir", "--array", "1-3", "--", "printf", "ab")
    fields = pair.log("dir", "summary").fields()
    assert fields["Jobs"] == "1" and fields["Tasks"] == "3"
    assert fields["Opened streams"] == "0"
    assert fields["Stdout/stderr size"] == "6 B / 0 B"
    summary = pair.json("log", "dir", "summary")["summary"]
    assert summary["stdout_size"] == 6 and summary["n_tasks"] == 3
    assert summary["n_superseded"] == 0 and summary["n_opened"] == 0


def test_show_prefixes(pair):
    pair.submit_and_wait("--log", "l", "--array", "8-10", "--", "sh", "-c",
                         "test $HQ_TASK_ID -ne 8 || { echo hello; echo x >&2; }")
    lines = pair.log("l", "show").stdout.splitlines()
    assert sorted(lines) == ["1.08:0> hello", "1.08:1> x"]
    assert pair.log("l", "show", "--channel", "stderr").stdout == "1.08:1> x\n"
    assert pair.log("l", "show", "--job", "7").stdout == ""


@pytest.mark.core
def test_cat_one_task(pair):
    job = pair.submit_and_wait("--log", "l", "--array", "1-50", "--", "sh", "-c",
                               "echo $HQ_TASK_ID")
    assert pair.log("l", "cat", job, "stdout", "--task", "17").stdout == "17\n"
    assert pair.log("l", "cat", job, "stdout", "--task", "9,3-4").stdout == "9\n3\n4\n"
    assert "Task 99 not found" in \
        pair.log("l", "cat", job, "stdout", "--task", "99", code=1).stderr
    assert "Job 5 not found" in pair.log("l", "cat", "5", "stdout", code=1).stderr


@pytest.mark.core
def test_bytes_are_unchanged(pair):
    data = bytes(range(256)) * 5000
    (pair.work / "blob").write_bytes(data)
    job = pair.submit_and_wait("--log", "l", "--", "cat", "blob")
    assert pair.log("l", "cat", job, "stdout").raw == data


def test_log_while_a_task_runs(pair):
    job = pair.submit("--log", "l", "--array", "1-2", "--", "sh", "-c",
                      "echo first; test $HQ_TASK_ID = 1 || exec sleep 1000")
    wait_until(lambda: pair.stats(job) == {"finished": 1, "running": 1}, "one to end")
    assert pair.log("l", "cat", job, "stdout", "--task", "1").stdout == "first\n"
    wait_until(lambda: pair.log("l", "cat", job, "stdout", "--allow-unfinished").stdout ==
               "first\nfirst\n", "the running task's line")
    refused = pair.log("l", "cat", job, "stdout", code=1)
    assert "Stream for task 2 is not finished" in refused.stderr
    pair.hq("job", "cancel", job)


def test_export(pair):
    job = pair.submit_and_wait("--log", "l", "--array", "1-2", "--", "echo", "é")
    tasks = json.loads(pair.log("l", "export", job).stdout)
    assert [t["id"] for t in tasks] == [1, 2]
    assert all(t["finished"] and t["stdout"] == "é\n" for t in tasks)


def test_one_channel_to_a_file(pair):
    job = pair.submit_and_wait("--log", "l", "--stderr", "err", "--", "sh", "-c",
                               "echo out; echo err >&2")
    assert pair.log("l", "cat", job, "stdout").stdout == "out\n"
    assert pair.read("err") == "err\n"
    task = pair.tasks(job)[0]
    assert task["stdout"] == "<pipe>" and task["stderr"].endswith("/err")


def test_works_without_a_server(pair):
    job = pair.submit_and_wait("--log", "l", "--", "echo", "kept")
    pair.stop_server()
    assert pair.log("l", "cat", job, "stdout").stdout == "kept\n"


def test_foreign_log_is_refused(pair):
    pair.submit_and_wait("--log", "l", "--", "echo", "old")
    pair.stop_server()
    pair.start_server()
    pair.start_worker()
    result = pair.hq("submit", "--wait", "--log", "l", "--", "echo", "new", code=None)
    text = result.stderr + json.dumps(pair.json("job", "info", "all"))
    assert "--log-replace" in text
    assert pair.log("l", "cat", "1", "stdout").stdout == "old\n"


def test_errors_of_the_reader(bare):
    bare.log("nowhere", "summary", code=1)
    bare.write("text", "not a log\n" * 100)
    bare.log("text", "summary", code=1)
    (bare.work / "empty").mkdir()
    assert "No log files found" in bare.log("empty", "summary", code=1).stderr
    bare.log("text", code=2)


@pytest.mark.core
def test_damaged_log_is_noticed(pair):
    """One flipped bit: the reader gives the right bytes, or says what it left out."""
    text = "".join(f"{i}\n" for i in range(1, 2001))
    pair.submit_and_wait("--log", "l", "--array", "1-20", "--", "seq", "2000")
    pair.stop_server()
    pair.worker.wait()  # it closes the log
    assert pair.log("l", "cat", "1", "stdout").stdout == text * 20
    data = (pair.work / "l").read_bytes()
    noticed = 0
    for at in range(16 * 1024, min(96 * 1024, len(data)), 4999):
        (pair.work / "bad").write_bytes(
            data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
        result = pair.log("bad", "cat", "1", "stdout", code=None)
        if result.stdout != text * 20:
            assert result.stderr, f"silent loss after a flip at {at}"
            assert len(result.stdout) < len(text) * 20
            noticed += 1
    assert noticed


@pytest.mark.core
def test_failed_and_canceled_streams_are_closed(pair):
    failed = pair.submit_and_wait("--log", "l", "--", "sh", "-c", "echo before; exit 3")
    assert pair.log("l", "cat", failed, "stdout").stdout == "before\n"
    job = pair.submit("--log", "l", "--", "sh", "-c", "echo started; exec sleep 1000")
    wait_until(lambda: "started" in pair.log("l", "cat", job, "stdout",
                                             "--allow-unfinished", code=None).stdout,
               "the first line")
    pair.hq("job", "cancel", job)
    wait_until(lambda: pair.log("l", "cat", job, "stdout", code=None).code == 0,
               "the end mark")


@pytest.mark.core
def test_every_byte_once(pair):
    """Two workers, many tasks of different sizes: the log holds exactly what was printed."""
    pair.start_worker(cpus=2)
    pair.script("emit.sh", 'i=0; while [ $i -lt $(($1 % 37)) ]; do echo "line $i of $1"; '
                           "i=$((i+1)); done\n")
    job = pair.submit_and_wait("--log", "l", "--array", "1-500", "--", "sh", "-c",
                               "./emit.sh $HQ_TASK_ID", timeout_s=60)
    want = "".join(f"line {i} of {t}\n" for t in range(1, 501) for i in range(t % 37))
    got = pair.log("l", "cat", job, "stdout").stdout
    assert hashlib.sha256(got.encode()).digest() == hashlib.sha256(want.encode()).digest()


def test_back_pressure_not_loss(pair):
    """Output far larger than any buffer."""
    job = pair.submit_and_wait("--log", "l", "--array", "1-2", "--", "sh", "-c",
                               "head -c 30000000 /dev/zero", timeout_s=60)
    assert len(pair.log("l", "cat", job, "stdout").raw) == 60_000_000


def test_full_disk_fails_the_task_by_name(pair):
    job = pair.submit_and_wait("--log", "/dev/full", "--", "echo", "x")
    task = pair.tasks(job)[0]
    assert task["state"] == "failed" and task["error"].startswith("Streaming:")
    assert pair.states(pair.submit_and_wait("--", "true")) == ["finished"]
