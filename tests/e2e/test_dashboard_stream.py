"""`hq dashboard` beside a running server."""
import re
import signal

import pytest

from harness import HQ, wait_until
from terminal import Terminal


def has_assigned_cpu(screen):
    return re.search(r"\d\*\[", screen)


def dashboard(env, *args, **kwargs):
    return Terminal(env, HQ, "dashboard", *args, **kwargs)


@pytest.mark.core
def test_what_happens_is_shown(bare):
    bare.start_server("--journal", "j")
    with dashboard(bare) as t:
        t.shows("[stream]", "(10m) live", "no jobs")
        bare.start_worker(cpus=1)
        bare.submit_and_wait("--name", "quick", "--array", "1-3", "--", "true")
        t.shows("┌ Job 1 ─", "quick", "running 0  finished 3", "100%")
        bare.submit("--name", "long", "--", "sleep", "1000")
        t.shows("┌ Job 2 ─", "running 1  finished 0", "0%", "running  ")
        t.press("w", "down")
        t.shows("workers 1", "online")
        t.press("i")
        t.until(has_assigned_cpu, "the CPU that the task was given")
        t.press("j")
        bare.hq("job", "cancel", "2")
        t.shows("running 0  finished 0  canceled 1")
        bare.hq("worker", "stop", "1")
        t.press("w")
        t.shows("workers 0", "offline: stopped")
        t.press("q")
        assert re.search(r"Loaded \d events?\r\n\x1b", t.ends())


def test_past_events_come_first(pair):
    pair.submit_and_wait("--name", "before", "--array", "1-5", "--", "true")
    with dashboard(pair, "stream") as t:
        t.press(" ")
        t.shows("before", "finished 5", "Tasks      5")
        t.press("q")
        t.ends()


def test_history_from_memory_is_announced(pair):
    pair.submit("--name", "before", "--pin", "taskset", "--cwd", "/tmp", "--", "sh", "-c",
                "sleep 1000", "x" * 5000)
    pair.wait_stats(1, running=1)
    with dashboard(pair) as t:
        t.shows("┌ Warning ─", "reconstructed")
        t.press("w")  # dismisses it, and does nothing else
        t.hides("reconstructed")
        t.shows("┌ Job 1 ─", "running 1", "Command    sh -c 'sleep 1000' xxx",
                "Directory  /tmp ", "Pin        taskset")
        t.press("w", "down", "i")
        t.until(has_assigned_cpu, "the CPU that the task was given")
        t.press("q")
        t.ends()
    with dashboard(pair) as t:
        t.shows("reconstructed")
        t.press("q")
        t.ends()


def test_no_warning_with_a_journal(bare):
    bare.start_server("--journal", "j")
    with dashboard(bare) as t:
        assert "reconstructed" not in t.shows("no jobs", "q quit")
        t.press("q")
        t.ends()


def test_back_to_live(bare):
    bare.start_server("--journal", "j")
    bare.submit("--name", "first", "--", "true")
    with dashboard(bare) as t:
        t.shows("first", " live")
        t.press("p")  # nothing lies ahead
        t.press("o")
        t.shows("no jobs")
        assert "(10m) live" not in t.text()
        bare.submit("--name", "second", "--", "true")
        t.press("r")
        t.shows("second", "(10m) live")
        t.press("q")
        t.ends()


@pytest.mark.parametrize("journal", [True, False])
def test_load_of_workers_that_do_not_report_it(bare, journal):
    bare.start_server(*(["--journal", "j"] if journal else []))
    worker = bare.start_worker("--debug", cpus=1)
    every = "Load is reported every {} ms"
    with dashboard(bare) as t:
        t.shows("no jobs")
        late = bare.start_worker("--debug", cpus=1)
        own = bare.start_worker("--debug", "--overview-interval", "100ms", cpus=1)
        for w in (worker, late):
            wait_until(lambda: every.format(2000) in w.text(), "the request")
        t.press(" ", "w", "down")
        t.until(lambda s: re.search(r" 1 .* online +0 +\d+% +\d+%", s) and
                re.search(r" 2 .* online +0 +\d+% +\d+%", s) and
                re.search(r" 3 .* online +0 +\d+% +\d+%", s), "the load of all")
        t.press("i")
        t.shows("1 CPUs, avg", "CPU ", "Mem ")
        t.press("q")
        t.ends()
    for w in (worker, late):
        wait_until(lambda: every.format(0) in w.text(), "the end of the reports")
    assert every.format(2000) not in own.text() and every.format(0) not in own.text()
    if journal:
        bare.hq("journal", "flush")
        lines = bare.hq("journal", "export", "j").stdout.splitlines()
        reports = [line for line in lines if '"type":"worker-overview"' in line]
        assert reports and all('"id":3' in line for line in reports)


def test_two_dashboards(bare):
    """The workers report until the last one has left."""
    bare.start_server("--journal", "j")
    worker = bare.start_worker("--debug", cpus=1)
    with dashboard(bare) as first, dashboard(bare) as second:
        first.shows("no jobs")
        second.shows("no jobs")
        first.press("q")
        first.ends()
        second.press("w", "down", "i")
        second.shows("1 CPUs, avg")
        assert "every 0 ms" not in worker.text()
        second.signal(signal.SIGKILL)
        wait_until(lambda: "every 0 ms" in worker.text(), "the end of the reports")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_ends_with_the_server(env, how):
    with dashboard(env) as t:
        t.shows("Press any key")
        if how == "stop":
            env.stop_server()
        else:
            env.server.kill()
        assert "The server closed the connection" in t.ends()


def test_no_server(bare):
    with dashboard(bare) as t:
        assert "Caused by:" in t.ends(1)
        assert b"\x1b[?1049h" not in t.raw


def test_a_million_tasks(bare):
    """Keys are answered while a large job is submitted and lists are scrolled."""
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=2)
    with dashboard(bare) as t:
        t.shows("no jobs")
        bare.submit("--array", "1-1000000", "--name", "many", "--stdout", "none",
                    "--stderr", "none", "--", "true")
        t.shows("many", "of 1000000")
        t.press("2", "end")
        t.shows("of 1000000", "999994-1000000")
        t.press("home")
        t.until(lambda s: int(re.search(r" (\d+)-\d+ of", s)[1]) < 900000, "the top")
        t.press("1")  # chooses no task any more
        t.shows(" 1-7 of 1000000")
        t.press("2")
        bare.hq("job", "cancel", "1")
        t.shows("canceled ", "100%")
        t.press("end")
        t.shows("999994-1000000")
        t.press("q")
        t.ends()
