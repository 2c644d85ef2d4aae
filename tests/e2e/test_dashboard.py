"""`hq dashboard` on a terminal: real keys, real screens."""
import re
import signal

import pytest

from harness import HQ, wait_until
from terminal import SIGNALS, Terminal


@pytest.fixture
def past(bare):
    """The journal of a server that has ended: two jobs, two workers."""
    bare.start_server("--journal", "j")
    bare.start_worker("--overview-interval", "200ms", cpus=2)
    bare.start_worker("--hostname", "other.example", cpus=1)
    bare.hq("worker", "stop", 2)
    wait_until(lambda: len(bare.workers()) == 1, "the worker to be gone")
    bare.submit_and_wait("--array", "1-40", "--name", "good", "--", "true")
    bare.submit_and_wait("--array", "5-7", "--name", "some bad", "--max-fails", "9", "--",
                         "sh", "-c", "test $HQ_TASK_ID != 6")
    wait_until(lambda: b"worker-overview" in bare.hq("journal", "export", "j").raw,
               "a report of the load")
    bare.stop_server()
    return bare


def replay(env, *args, **kwargs):
    return Terminal(env, HQ, "dashboard", "replay", env.work / "j", *args, **kwargs)


@pytest.mark.core
def test_replay_shows_jobs_and_tasks(past):
    with replay(past) as t:
        t.shows("[replay]", "Jobs   AutoAllocator   Workers", "(5m)", "┌ Job 2 ─",
                "some bad", "Max fails  9", "running 0  failed 1  finished 2", "q quit")
        assert t.screen.alternate and not t.screen.cursor_visible
        assert re.search(r"│ +6 +1 failed +\d\d:\d\d:\d\d \d\d:\d\d:\d\d", t.text())
        t.press("down")
        t.shows("┌ Job 1 ─", "Tasks      40", "Command    true", "1-7 of 40",
                f"Directory  {past.work}"[:36])
        t.press("2", "end")
        t.shows("34-40 of 40")
        t.press("home")
        t.shows("1-7 of 40")
        t.press("page-down", "page-down")
        t.shows("7-13 of 40")
        t.press("q")
        assert re.search(r"Loaded \d\d+ events\r\n\x1b", t.ends())


@pytest.mark.core
def test_worker_of_a_task(past):
    with replay(past) as t:
        t.press("2", "down", "i")
        text = t.shows("Tasks of worker 1", "CPUs managed", "2 CPUs, avg", "Configuration",
                       "Hostname", "Listen address", "Overview interval 200ms",
                       "Heartbeat", "Utilization", "CPU ", "Mem ", "finished")
        assert re.search(r"mem \d+\.\d of \d+\.\d GiB", text)
        t.press("c")
        t.shows("CPUs assigned")
        t.press("backspace")
        t.shows("Tasks of job 2")
        t.press("q")
        t.ends()


def test_workers(past):
    with replay(past) as t:
        t.press("w")
        text = t.shows("Connected workers", "Running tasks", "CPU util", "Mem util",
                       "i details")
        assert re.search(r"│ +1 .* online +0 +\d+% +\d+%│", text), text
        assert re.search(r"│ +2 other\.example +offline: stopped +0 +│", text), text
        t.press("down", "down", "i")
        t.shows("Tasks of worker 2", "no load was reported")
        t.press("backspace", "j")
        t.shows("Tasks over time")
        t.press("q")
        t.ends()


def test_the_past(past):
    """As of before anything happened there is nothing."""
    with replay(past) as t:
        before = t.shows("(5m)", "┌ Job 2 ─", "2 tasks")
        t.press(*"oooo")
        t.shows("no jobs")
        t.press("w")
        t.shows("no workers")
        t.press(*"ppppp", "j")
        # Forward ends where the events do.
        t.until(lambda screen: screen == before, f"the same as before:\n{before}")
        t.press("k")
        t.shows("(2m 30s)")
        t.press("k", "k", "k")
        t.shows("(1m)")
        t.press(*"llllllllllllllllll")
        t.shows("(7days)")
        t.press("q")
        t.ends()


def test_sizes(past):
    with replay(past, columns=200, lines=60) as t:
        text = t.shows("┌ Job 2 ─", "sh -c 'test $HQ_TASK_ID", "q quit")
        assert len(text.splitlines()) == 60
        for columns, lines in ((30, 8), (10, 3), (1, 1), (80, 24)):
            t.resize(columns, lines)
            t.until(lambda _: not t.read(0.3), "it stops drawing")
            assert t.popen.poll() is None
        t.shows("┌ Job 2 ─", "q quit")
        t.resize(80, 19)  # no room for a list below the chart
        t.until(lambda s: "Tasks over time" not in s and " 1 " in s, "one list")
        t.resize(80, 6)
        t.until(lambda s: "Job ID" in s and " 1 " not in s, "no row")
        assert " of " not in t.text()
        t.resize(80, 20)
        t.shows("┌ Job 2 ─", "Tasks over time", "q quit", "Makespan", "Job ID Name")
        t.resize(70, 20)
        t.until(lambda s: "Tasks over time" in s and "Makespan" not in s, "the jobs")
        t.press("2")
        t.until(lambda s: "Makespan" in s and "Job ID Name" not in s, "the tasks")
        t.resize(80, 24)
        t.press("q")
        t.ends()


def test_plain_ascii_and_no_colour(past):
    with replay(past, LC_ALL="C") as t:
        text = t.shows("+ Job 2 -", "f=finished 2")
        assert text.isascii()
        t.press("q")
        t.ends()
    with replay(past, NO_COLOR="1") as t:
        t.shows("┌ Job 2 ─", "f=finished 2")
        t.press("q")
        assert not re.search(r"\x1b\[(?:\d+;)*3[1-7]m", t.ends())
    with replay(past) as t:
        t.shows("┌ Job 2 ─")
        t.press("q")
        assert re.search(r"\x1b\[(?:\d+;)*3[1-7]m", t.ends())
    with replay(past, LC_ALL="xx_YY.UTF-8") as t:  # not installed
        t.shows("┌ Job 2 ─")
        t.press("q")
        t.ends()


@pytest.mark.parametrize("signo", SIGNALS)
def test_signals_leave_the_terminal_as_it_was(past, signo):
    with replay(past) as t:
        t.shows("┌ Job 2 ─")
        t.signal(signo)
        t.ends(-signo)


def test_control_c_and_a_crash(past):
    with replay(past) as t:
        t.shows("┌ Job 2 ─")
        t.press("control-c")
        t.ends(-signal.SIGINT)
    with replay(past) as t:
        t.shows("┌ Job 2 ─")
        t.signal(signal.SIGABRT)
        t.ends(-signal.SIGABRT)


def test_names_cannot_take_the_terminal_over(bare):
    bare.start_server("--journal", "j")
    bare.submit("--name", "evil\x1b]0;title\x07\x1b[31m", "--", "printf", "\x1b[2J\r\n")
    bare.hq("journal", "flush")
    with replay(bare, columns=160) as t:
        t.shows("evil?]0;title??[31m")
        t.press("q")
        assert "]0;title\x07" not in t.ends()


def test_without_a_terminal(past):
    """Before anything is read."""
    for command in (["dashboard", "replay", "missing"], ["dashboard", "replay", "j"]):
        result = past.hq(*command, code=1)
        assert result.stderr == ("the dashboard needs a terminal, and standard input is "
                                 "none\n")
        assert result.stdout == ""
    result = past.hq("--output-mode", "json", "dashboard", "replay", "j", code=1)
    assert result.json()["error"].startswith("the dashboard needs a terminal")


@pytest.mark.parametrize("kind, message", [
    ("dumb", "the terminal 'dumb' (TERM) cannot show full-screen programs"),
    ("no-such", "the terminal 'no-such' (TERM) is not known on this machine"),
    ("", "the variable TERM does not say what terminal this is")])
def test_terminals_that_cannot(past, kind, message):
    with replay(past, TERM=kind) as t:
        assert message in t.ends(1)


def test_files_that_are_no_journal(past):
    past.write("text", "something else\n" * 10)
    for name, message in (("missing", "No such file or directory"),
                          ("text", "Invalid journal format")):
        with Terminal(past, HQ, "dashboard", "replay", name) as t:
            assert f"Cannot open event log file at `{name}`: {message}" in t.ends(1)
            assert b"\x1b[?1049h" not in t.raw


def test_a_file_that_ends_within_a_record(past):
    whole = (past.work / "j").read_bytes()
    (past.work / "j").write_bytes(whole[:-5])
    with replay(past) as t:
        t.shows("┌ Job 2 ─")
        t.press("q")
        t.ends()
    (past.work / "j").write_bytes(whole[:80])  # no event at all
    with replay(past) as t:
        t.shows("no jobs")
        t.press("w", "i", "a", "down", "j", "2", "down", "i", "q")
        assert "Loaded 0 events" in t.ends()
