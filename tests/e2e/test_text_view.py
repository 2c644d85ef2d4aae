"""--stream next to --log: the shared log has everything, the stream's path becomes text."""
import os

import pytest

from harness import wait_until

KEPT = 64 << 10


@pytest.mark.core
def test_text_where_the_stream_was_asked_for(pair):
    job = pair.submit_and_wait("--log", "run.hqlog", "--stream", "t/view", "--", "sh", "-c",
                               "echo out; echo err >&2; echo more")
    assert sorted(pair.read("t/view").splitlines()) == ["err", "more", "out"]
    assert pair.log("run.hqlog", "cat", str(job), "stdout").stdout == "out\nmore\n"
    assert pair.log("run.hqlog", "cat", str(job), "stderr").stdout == "err\n"


def test_a_file_for_each_task(pair):
    job = pair.submit_and_wait("--log", "run.hqlog", "--stream",
                               "v-%{JOB_ID}-%{TASK_ID}.txt", "--array", "1-20", "--", "sh",
                               "-c", "echo $HQ_TASK_ID")
    assert [pair.read(f"v-{job}-{i}.txt") for i in range(1, 21)] == \
        [f"{i}\n" for i in range(1, 21)]


@pytest.mark.parametrize("limit", [(), ("--max-output", "1000")])
def test_the_end_of_long_output(pair, limit):
    line = "0123456789abcde\n"
    job = pair.submit_and_wait("--log", "run.hqlog", "--stream", "view", *limit, "--", "sh",
                               "-c", f"yes 0123456789abcde | head -n 20000; echo end")
    head, text = pair.read("view").split("\n", 1)
    assert len(text) == KEPT and text.endswith(f"{line}end\n")
    total = 20000 * len(line) + 4
    assert head == (f"[{total - KEPT} bytes before this are in job {job}, task 0 of the "
                    f"log {pair.work}/run.hqlog]")


def test_text_is_there_when_the_state_is(pair):
    """Also of tasks that fail, are canceled or reach their time limit."""
    pair.write("t.sh", "#!/bin/sh\necho begun\ntouch begun.$HQ_JOB_ID\n$1\n", 0o755)
    failed = pair.submit_and_wait("--log", "l", "--stream", "v%{JOB_ID}", "./t.sh", "false")
    late = pair.submit_and_wait("--log", "l", "--stream", "v%{JOB_ID}", "--time-limit",
                                "1s", "./t.sh", "sleep 1000")
    canceled = pair.submit("--log", "l", "--stream", "v%{JOB_ID}", "./t.sh", "sleep 1000")
    wait_until(lambda: (pair.work / f"begun.{canceled}").exists(), "the last task")
    wait_until(lambda: "begun" in pair.log("l", "cat", str(canceled), "stdout",
                                           "--allow-unfinished", code=None).stdout, "line")
    pair.hq("job", "cancel", str(canceled))
    wait_until(lambda: (pair.work / f"v{canceled}").exists(), "the text of the last task")
    assert [pair.read(f"v{j}") for j in (failed, late, canceled)] == ["begun\n"] * 3


def test_only_what_is_streamed(pair):
    pair.submit_and_wait("--log", "l", "--stream", "view", "--stdout", "o", "--", "sh", "-c",
                         "echo out; echo err >&2")
    assert pair.read("view") == "err\n" and pair.read("o") == "out\n"


def test_a_task_without_output(pair):
    pair.submit_and_wait("--log", "l", "--stream", "view", "true")
    assert pair.read("view") == ""


def test_a_place_that_cannot_be_written(pair):
    """The log has everything, so the task is not failed for it."""
    (pair.work / "view").mkdir()
    os.mkfifo(pair.work / "pipe")
    for view in ("view", "pipe"):
        job = pair.submit_and_wait("--log", "l", "--stream", view, "echo", "x")
        assert pair.states(job) == ["finished"]
        assert f"Text view {pair.work}/{view}: cannot open" in pair.worker.text()
        assert pair.log("l", "cat", str(job), "stdout").stdout == "x\n"


def test_from_directive_and_command_line(pair):
    pair.write("job.sh", "#!/bin/sh\n#HQ --stream view\necho x\n")
    pair.submit_and_wait("--log", "l", "job.sh")
    assert pair.read("view") == "x\n"


def test_with_a_workflow_file(pair):
    pair.workflow("tasks:\n  a: {run: echo a}\n", "--log", "l", "--stream", "view.%{TASK_ID}",
                  "--wait")
    assert pair.read("view.0") == "a\n"
