"""hq job wait, hq job progress, --wait and --progress: what they wait for, show, return."""
import re
import signal
from pathlib import Path

import pytest

from harness import HQ, wait_until

REDRAW = "\r\x1b[2K"
BAR = re.compile(r"\[[#.]{40}\] \d+/\d+ jobs, \d+/\d+ tasks( \d+ (RUNNING|FINISHED|FAILED|"
                 r"CANCELED|ABORTED))*")


def log_lines(text):
    return re.findall(r"(?m)\dZ ((?:INFO|WARN|ERROR) .*)$", text)


def bars(text):
    """Lines that were drawn one over the other."""
    parts = text.split(REDRAW)[1:]
    assert all(BAR.fullmatch(p.rstrip("\n")) for p in parts), text
    return [p.rstrip("\n") for p in parts]


# -- wait -------------------------------------------------------------------


@pytest.mark.parametrize("mode, text", [("cli", ""), ("quiet", ""), ("json", "{}\n")])
def test_wait_in_each_mode(pair, mode, text):
    pair.submit("--array", "0-3", "--", "false")
    result = pair.hq("--output-mode", mode, "job", "wait", "all")
    assert (result.stdout, result.stderr) == (text, "")
    result = pair.hq("--output-mode", mode, "job", "wait", "77,1")
    assert (result.stdout, result.stderr) == (text, "")


def test_who_waits_notices_that_the_machine_of_the_server_is_gone(env):
    """Probes are sent on a connection on which nothing else is said."""
    job = env.submit("--", "true")
    waiting = env.spawn("wait", HQ, "job", "wait", job)
    port = f":{env.json('server', 'info')['client_port']:04X}"

    def timers():
        fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return [f[5][:2] for f in fields if f[2].endswith(port) and f[3] == "01"]

    wait_until(lambda: timers() == ["02"], "the connection to be watched")
    env.hq("job", "cancel", job)
    assert waiting.wait() == 0


def test_wait_without_jobs(env):
    for selector in ("all", "last", "1-7"):
        assert env.hq("job", "wait", selector).stdout == ""


@pytest.mark.core
@pytest.mark.parametrize("end", ["finish", "fail", "cancel", "abort"])
def test_results_do_not_change_the_status(pair, end):
    command = {"finish": ["true"], "fail": ["false"], "cancel": ["sleep", "1000"],
               "abort": ["sh", "-c", "test $HQ_TASK_ID = 0 || sleep 1000; exit 1"]}[end]
    pair.submit("--array", "0-1", "--max-fails", "0" if end == "abort" else "9", "--",
                *command)
    if end == "cancel":
        pair.hq("job", "cancel", 1)
    bad = 0 if end == "finish" else 1
    assert pair.hq("job", "wait", 1).code == 0
    assert pair.hq("job", "wait", 1, "--fail-on-error", code=None).code == bad
    for value, code in (("1", bad), ("0", 0), ("", 0)):
        result = pair.hq("job", "wait", 1, env={"HQ_WAIT_FAIL_ON_ERROR": value}, code=None)
        assert result.code == code and result.stdout == ""


@pytest.mark.parametrize("command, code", [("true", 0), ("false", 1)])
def test_submit_that_fails_on_error(pair, command, code):
    result = pair.hq("submit", "--wait", "--", command, code=code,
                     env={"HQ_WAIT_FAIL_ON_ERROR": "1"})
    assert result.stdout == "Job submitted successfully, job ID: 1\n"
    assert pair.hq("submit", "--wait", "--", command).code == 0


def test_open_jobs_are_waited_for(pair):
    pair.hq("job", "open")
    pair.submit("--job", 1, "--", "true")
    assert pair.hq("job", "wait", "1", "--without-close").code == 0
    waiting = pair.spawn("wait", HQ, "job", "wait", "1")
    submit = pair.spawn("submit", HQ, "submit", "--job", "1", "--wait", "--", "true")
    wait_until(lambda: pair.stats(1) == {"finished": 2}, "the tasks")
    assert waiting.running and submit.running
    pair.hq("job", "close", 1)
    assert (waiting.wait(), submit.wait()) == (0, 0)
    assert submit.text() == "Job submitted successfully, job ID: 1\n"


def test_without_close_waits_for_active_tasks(env):
    env.hq("job", "open")
    env.submit("--job", 1, "--", "true")
    waiting = env.spawn("wait", HQ, "job", "wait", "1", "--without-close")
    assert waiting.running
    env.start_worker()
    assert waiting.wait() == 0


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, None])
def test_server_gone_while_waiting(pair, stop):
    """Also when it goes away cleanly."""
    pair.submit("--", "sleep", "1000")
    pair.wait_stats(1, running=1)
    clients = [pair.spawn("client", HQ, *words) for words in (
        ["job", "wait", "1"], ["job", "progress", "1"],
        ["submit", "--wait", "--", "sleep", "1000"])]
    wait_until(lambda: "0/1 tasks" in clients[1].text(), "the bar")
    wait_until(lambda: "job ID: 2" in clients[2].text(), "the submit")
    if stop:
        pair.server.send(stop)
    else:
        pair.hq("server", "stop")
    for client in clients:
        assert client.wait() == 1
        assert "Connection closed" in client.text()


# -- progress ---------------------------------------------------------------


@pytest.mark.core
def test_progress_draws_a_line(pair):
    pair.submit("--array", "0-2", "--", "sh", "-c", "test $HQ_TASK_ID != 1")
    pair.submit("--", "sleep", "1000")
    pair.wait_stats(1, finished=2, failed=1)
    pair.wait_stats(2, running=1)
    progress = pair.spawn("progress", HQ, "job", "progress", "all")
    want = "1/2 jobs, 3/4 tasks 1 RUNNING 2 FINISHED 1 FAILED"
    wait_until(lambda: want in progress.text(), "the bar")
    pair.hq("job", "cancel", 2)
    assert progress.wait() == 0
    text = progress.log.read_bytes().decode()
    assert log_lines(text) == ["INFO Waiting for 2 jobs with 1 task"]
    assert bars(text)[-1] == ("[" + "#" * 40 + "] 2/2 jobs, 4/4 tasks 2 FINISHED 1 FAILED "
                              "1 CANCELED")
    assert text.endswith("\n")


def test_progress_is_on_standard_output(pair):
    pair.submit("--array", "0-9", "--cpus", "0.1", "--", "sleep", "0.3")
    result = pair.hq("job", "progress", "1")
    assert log_lines(result.stderr) == ["INFO Waiting for 1 job with 10 tasks"]
    assert bars(result.stdout)[-1].endswith("1/1 jobs, 10/10 tasks 10 FINISHED")


def test_nothing_to_wait_for(pair):
    pair.submit_and_wait("--", "true")
    pair.hq("job", "open")
    for selector in ("all", "1", "2", "7"):
        result = pair.hq("job", "progress", selector)
        assert log_lines(result.stderr) == ["WARN There are no jobs to wait for"]
        assert result.stdout == ""


@pytest.mark.parametrize("mode, text", [("json", "{}\n"), ("quiet", "")])
def test_no_bar_for_programs(pair, mode, text):
    pair.submit("--array", "0-9", "--cpus", "0.1", "--", "sleep", "0.3")
    assert pair.hq("--output-mode", mode, "job", "progress", "1").stdout == text


def test_progress_of_an_open_job_ends_when_it_is_closed(pair):
    pair.hq("job", "open")
    pair.submit("--job", 1, "--", "sh", "-c", "while ! test -e go; do sleep 0.05; done")
    progress = pair.spawn("progress", HQ, "job", "progress", "1")
    wait_until(lambda: "0/1 tasks" in progress.text(), "the bar")
    pair.write("go", "")
    wait_until(lambda: "1/1 tasks" in progress.text(), "the end of the task")
    assert progress.running
    pair.hq("job", "close", 1)
    assert progress.wait() == 0 and "1/1 jobs" in progress.text()


@pytest.mark.parametrize("mode, head", [
    ("cli", "Job submitted successfully, job ID: 1\n"), ("quiet", "1\n"),
    ("json", '{\n  "id": 1\n}\n')])
def test_submit_with_progress(pair, mode, head):
    result = pair.hq("--output-mode", mode, "submit", "--progress", "--array", "1-4", "--",
                     "true")
    assert result.stdout.startswith(head)
    rest = result.stdout[len(head):]
    if mode == "cli":
        assert bars(rest)[-1].endswith("1/1 jobs, 4/4 tasks 4 FINISHED")
        assert log_lines(result.stderr) == ["INFO Waiting for 1 job with 4 tasks"]
    else:
        assert (rest, result.stderr) == ("", "")


@pytest.mark.parametrize("counts, cells", [
    # canceled, failed, finished, running: each rounded up, never beyond 40 in all.
    ({"finished": 1, "waiting": 2}, "#" * 14 + "." * 26),
    ({"failed": 1, "finished": 1, "waiting": 1}, "#" * 28 + "." * 12),
    ({"failed": 1, "finished": 2}, "#" * 40),
    ({"waiting": 3}, "." * 40),
])
def test_bar_of_job_info(pair, counts, cells):
    pair.hq("job", "open")
    for state, n in counts.items():
        options = ["--cpus", "64"] if state == "waiting" else []
        for _ in range(n):
            pair.submit("--job", 1, *options, "--", str(state != "failed").lower())
    pair.wait_stats(1, **counts)
    order = ["running", "failed", "finished", "canceled", "waiting", "aborted"]
    lines = pair.hq("job", "info", 1).fields()["State"].splitlines()
    assert lines == [f"[{cells}]"] + [f"{s.upper()} ({counts[s]})" for s in order
                                      if s in counts]
