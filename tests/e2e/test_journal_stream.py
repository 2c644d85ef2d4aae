"""`hq journal replay` and `stream`: events from the server, with and without a journal."""
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness import HQ, PATIENCE, wait_until
from journals import events, flushed, of_type, records, types


class Stream:
    """A running `hq journal stream` whose lines are looked at as they come."""

    def __init__(self, env, *words):
        self.env = env
        self.path = Path(tempfile.mkstemp(prefix="stream-", dir=env.root)[1])
        with open(self.path, "wb") as out:
            self.popen = subprocess.Popen(
                [str(HQ), *words, "journal", "stream"], stdin=subprocess.DEVNULL, stdout=out,
                stderr=open(env.logs / "stream.err", "wb"), env=env.vars, cwd=env.work)

    def events(self):
        text = self.path.read_text()
        return [json.loads(line)["event"] for line in text.splitlines(keepends=True)
                if line.endswith("\n")]

    def types(self):
        return [e["type"] for e in self.events()]

    def wait_for(self, condition, what="events"):
        wait_until(lambda: condition(self.events()), what)

    def end(self):
        if self.popen.poll() is None:
            self.popen.kill()
        return self.popen.wait(20)


@pytest.fixture
def stream(bare):
    made = []

    def start(*words):
        made.append(Stream(bare, *words))
        return made[-1]

    yield start
    for s in made:
        s.end()


@pytest.fixture(params=["journal", "memory"])
def server(request, bare):
    bare.start_server(*(["--journal", "j"] if request.param == "journal" else []))
    bare.mode = request.param
    return bare


@pytest.mark.core
def test_replay_is_what_export_prints(bare):
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=2)
    bare.submit_and_wait("--array", "1-50", "--stdout", "none", "--stderr", "none", "--",
                         "sh", "-c", "exit $((HQ_TASK_ID == 9))")
    result = bare.hq("journal", "replay")
    assert result.stdout == bare.hq("journal", "export", "j").stdout
    assert result.stderr == ""


@pytest.mark.core
def test_past_then_live(server, stream):
    server.start_worker(cpus=2)
    server.submit_and_wait("--name", "first", "--", "true")
    s = stream()
    s.wait_for(lambda ev: of_type(ev, "job-completed"))
    server.submit_and_wait("--name", "second", "--array", "1-3", "--", "true")
    s.wait_for(lambda ev: len(of_type(ev, "job-completed")) == 2)
    opened = [] if server.mode == "journal" else ["job-open"]
    assert s.types() == ["server-start", "worker-connected", *opened, "job-created",
                         "task-started", "task-finished", "job-completed",
                         "job-created", *s.types()[-7:-1], "job-completed"]
    assert sorted(s.types()[-7:-1]) == ["task-finished"] * 3 + ["task-started"] * 3
    server.stop_server()
    assert s.popen.wait(20) == 0


@pytest.mark.core
def test_history_from_memory(bare):
    """Every job was opened, tasks have their last run, all is sorted by time."""
    bare.start_server()
    worker = bare.start_worker(cpus=2)
    done = bare.submit_and_wait("--name", "a", "--array", "5-7", "--", "sh", "-c",
                                "exit $((HQ_TASK_ID == 6))")
    again = bare.submit("--", "sh", "-c", "test $HQ_INSTANCE_ID = 1 || sleep 60")
    bare.wait_stats(again, running=1)
    worker.kill()
    bare.start_worker()
    bare.wait_job(again)
    stopped = bare.submit("--array", "1-3", "--cpus", "64", "--", "true")
    bare.hq("job", "cancel", stopped)
    graph = bare.workflow('tasks:\n  a: {run: "exit 1"}\n  b: {needs: a, run: "true"}\n')
    bare.hq("job", "wait", graph)
    bare.hq("job", "open", "--name", "still", "--max-fails", "4")
    result = bare.hq("journal", "replay")
    times = [json.loads(line)["time"] for line in result.stdout.splitlines()]

    def key(time):
        seconds, _, fraction = time.rstrip("Z").partition(".")
        return seconds, int(fraction or 0)

    assert sorted(times, key=key) == times
    found = events(result)
    assert [e["name"] for e in of_type(found, "job-open")][0] == "a"
    assert len(of_type(found, "job-open")) == 5 and len(of_type(found, "job-created")) == 4
    assert of_type(found, "worker-lost") == [
        {"id": 1, "reason": "ConnectionLost", "type": "worker-lost"}]
    runs = [(e["task"], e["instance"]) for e in of_type(found, "task-started")
            if e["job"] == again]
    assert runs == [(0, 1)], "only the last run"
    assert [e["task"] for e in of_type(found, "task-failed") if e["job"] == done] == [6]
    canceled = of_type(found, "task-canceled")
    assert [t["job_task_id"] for e in canceled for t in e["tasks"]] == [1, 2, 3]
    aborted = [t for e in of_type(found, "task-aborted") for t in e["tasks"]]
    assert [t["job_id"] for t in aborted] == [graph]
    assert [e["job"] for e in of_type(found, "job-completed")] == [done, again, stopped, graph]
    # A line of a task comes behind the one that announces it.
    for i, event in enumerate(found):
        if event["type"] == "task-finished":
            assert {"job": event["job"], "task": event["task"]}.items() <= [
                e for e in found[:i] if e["type"] == "task-started"
                and (e["job"], e["task"]) == (event["job"], event["task"])][0].items()


def test_nothing_twice_and_nothing_lost_at_the_seam(server, stream):
    """Readers that come while tasks run get each start and end exactly once."""
    server.start_worker(cpus=4)
    job = server.json("job", "open")["id"]
    words = "--stdout", "none", "--stderr", "none", "--"
    server.hq("submit", "--job", job, "--array", "0-3999", *words, "true")
    streams = []
    for i in range(4):
        finished = server.job(job)["info"]["task_stats"]["finished"]
        streams.append(stream())
        server.hq("submit", "--job", job, "--array", f"{4000 + i}", *words, "true")
        wait_until(lambda: server.job(job)["info"]["task_stats"]["finished"] > finished)
    server.hq("job", "close", job)
    server.hq("job", "wait", job, timeout_s=60)
    for s in streams:
        s.wait_for(lambda ev: of_type(ev, "job-completed"), "the job to be completed")
        found = s.events()
        started = [e["task"] for e in of_type(found, "task-started")]
        finished = [e["task"] for e in of_type(found, "task-finished")]
        assert sorted(started) == sorted(finished) == list(range(4004))
        assert len(of_type(found, "job-created")) == 5
        assert len(of_type(found, "job-completed")) == 1


@pytest.mark.core
def test_idle_jobs_and_messages_of_tasks(server, stream):
    server.start_worker()
    s = stream()
    s.wait_for(lambda ev: of_type(ev, "worker-connected"))
    server.hq("job", "open")
    server.hq("submit", "--job", "1", "--", "sh", "-c", "hq task notify hello; true")
    s.wait_for(lambda ev: of_type(ev, "job-idle") and of_type(ev, "task-notify"))
    found = of_type(s.events(), "task-started", "task-notify", "task-finished", "job-idle")
    message = {"message": list(b"hello"), "task_id": {"job_id": 1, "job_task_id": 0},
               "type": "task-notify", "worker_id": 1}
    # What happened within a moment may come in front of it, the start never comes behind.
    assert found.index(message) > 0
    found.remove(message)
    assert found == [
        {"instance": 0, "job": 1, "task": 0, "type": "task-started", "worker": 1},
        {"job": 1, "task": 0, "type": "task-finished"},
        {"job_id": 1, "type": "job-idle"}]
    # They are live: nobody hears of them afterwards.
    assert not {"task-notify", "job-idle"} & set(types(server.hq("journal", "replay")))


def test_message_of_a_task_while_nothing_else_happens(server, stream):
    """It waits for no event behind it."""
    server.start_worker()
    s = stream()
    server.submit("--", "sh", "-c", "while ! test -e go; do sleep 0.05; done; "
                                    "hq task notify hello; sleep 1000")
    s.wait_for(lambda ev: of_type(ev, "task-started"))
    server.write("go", "")
    s.wait_for(lambda ev: of_type(ev, "task-notify"))
    assert not of_type(s.events(), "task-finished")


def test_live_events_of_every_kind(server, stream):
    s = stream()
    s.wait_for(lambda ev: ev)
    worker = server.start_worker()
    graph = server.workflow('tasks:\n  a: {run: "exit 1"}\n  b: {needs: a, run: "true"}\n')
    server.hq("job", "wait", graph)
    job = server.submit("--cpus", "64", "--array", "1-2", "--", "true")
    server.hq("job", "cancel", job, "--reason", "r")
    server.hq("job", "open", "--name", "o")
    server.hq("job", "close", "3")
    server.hq("worker", "stop", worker.id)
    s.wait_for(lambda ev: of_type(ev, "worker-lost"))
    assert s.types() == [
        "server-start", "worker-connected", "job-created", "task-started", "task-failed",
        "task-aborted", "job-completed", "job-created", "job-cancel", "task-canceled",
        "job-completed", "job-open", "job-close", "job-completed", "worker-lost"]


@pytest.mark.core
def test_slow_reader_with_a_journal_misses_nothing(bare):
    """A reader that stands still costs no memory; all is there when it goes on."""
    server = bare.start_server("--journal", "j")
    reader = subprocess.Popen([str(HQ), "journal", "stream"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, env=bare.vars, cwd=bare.work)
    try:
        reader.stdout.readline()  # it is there; from here on nobody reads
        before = resident_kib(server.pid)
        for i in range(40):
            bare.submit("--env", f"BIG={'x' * 100_000}", "--name", f"n{i}", "--", "true")
        for _ in range(30):  # each is a line of 3 MB
            job = bare.submit("--array", "1-100000", "--", "true")
            bare.hq("job", "cancel", job)
        assert resident_kib(server.pid) - before < 60_000
        names, completed = [], 0
        while completed < 30:
            event = json.loads(reader.stdout.readline())["event"]
            if event["type"] == "job-created":
                names.append(event["job_desc"]["name"])
            completed += event["type"] == "job-completed"
        assert names[:40] == [f"n{i}" for i in range(40)]
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def test_too_slow_a_reader_without_a_journal_is_told(bare):
    server = bare.start_server()
    reader = subprocess.Popen([str(HQ), "journal", "stream"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=bare.vars,
                              cwd=bare.work)
    try:
        reader.stdout.readline()
        name = "x" * 120_000
        for _ in range(1500):
            if "is dropped" in server.text():
                break
            for _ in range(20):
                bare.hq("job", "open", "--name", name)
        assert "this reader is too slow" in server.text()
        assert resident_kib(server.pid) < 700_000
        _, stderr = reader.communicate(timeout=60)
        assert reader.returncode == 1 and b"this reader is too slow" in stderr
    finally:
        reader.kill()
        reader.wait()
    assert bare.submit("--", "true")


def test_server_stops_although_a_reader_stands_still(server):
    reader = subprocess.Popen([str(HQ), "journal", "stream"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, env=server.vars, cwd=server.work)
    try:
        reader.stdout.readline()
        reader.send_signal(signal.SIGSTOP)
        job = server.submit("--array", "1-400000", "--", "true")
        for _ in range(30):
            server.submit("--name", "y" * 100_000, "--", "true")
        server.hq("job", "cancel", job)
        server.stop_server()
    finally:
        reader.send_signal(signal.SIGCONT)
        reader.kill()
        reader.wait()
        reader.stdout.close()


def test_server_that_is_killed_ends_the_stream(server, stream):
    s = stream()
    s.wait_for(lambda ev: ev)
    server.server.kill()
    assert s.popen.wait(20) == 0


def test_stream_ends_when_nobody_reads(server):
    """Not only with the next event, which may never come."""
    result = server.run("bash", "-c", "hq journal stream | head -1; echo ${PIPESTATUS[0]}")
    assert result.stdout.splitlines()[-1] == str(128 + signal.SIGPIPE)


def test_modes(server):
    plain = server.hq("journal", "replay")
    for mode in ("json", "quiet"):
        result = server.hq("--output-mode", mode, "journal", "replay")
        assert (result.stdout, result.stderr) == (plain.stdout, "")
    assert types(plain) == ["server-start"]


def test_many_readers(server, stream):
    server.start_worker()
    readers = [stream() for _ in range(8)]
    server.submit_and_wait("--array", "1-200", "--stdout", "none", "--stderr", "none", "--",
                           "true")
    for s in readers:
        s.wait_for(lambda ev: of_type(ev, "job-completed"))
        assert len(of_type(s.events(), "task-finished")) == 200
    for s in readers[::2]:
        s.end()
    server.submit_and_wait("--", "true")
    for s in readers[1::2]:
        s.wait_for(lambda ev: len(of_type(ev, "job-completed")) == 2)


def test_damage_in_a_journal_in_use(bare):
    bare.start_server("--journal", "j")
    for i in range(5):
        bare.submit("--name", f"n{i}", "--", "true")
    at, size = records(bare.work / "j")[2]
    with open(bare.work / "j", "r+b") as f:
        f.seek(at + size - 1)
        f.write(b"\xff")
    result = bare.hq("journal", "replay", code=1)
    assert types(result) == ["server-start", "job-created"]
    assert f"offset {at} " in result.stderr


def test_after_a_restart(bare):
    bare.start_server("--journal", "j")
    bare.submit("--name", "a", "--", "true")
    bare.server.kill()
    bare.start_server("--journal", "j")
    assert types(bare.hq("journal", "replay")) == ["server-start", "job-created", "server-start"]


def test_large_history_from_memory_does_not_hold_the_server_up(bare):
    bare.start_server()
    bare.start_worker(cpus=4)
    bare.submit_and_wait("--array", "1-5000", "--stdout", "none", "--stderr", "none", "--",
                         "true")
    for _ in range(300):
        bare.hq("job", "open")
    replays = [subprocess.Popen([str(HQ), "journal", "replay"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, env=bare.vars) for _ in range(3)]
    slowest = 0
    while any(r.poll() is None for r in replays):
        began = time.monotonic()
        bare.hq("server", "info")
        slowest = max(slowest, time.monotonic() - began)
        for r in replays:
            os.set_blocking(r.stdout.fileno(), False)
            r.data = getattr(r, "data", b"") + (r.stdout.read() or b"")
    for r in replays:
        r.data += r.stdout.read() or b""
        r.stdout.close()
        assert r.data.count(b"task-finished") == 5000
        assert r.data.count(b"job-open") == 301
    assert slowest < 5 * PATIENCE


def test_records_that_are_taken_back(bare):
    """A sync fails: what was not on disk is written again, and a reader that has shown it
    is told. (Builds without fault points see that all is well.)"""
    bare.start_server("--journal", "j", "--journal-flush-period", "1h",
                      env={"HQ_FAULTS": "journal.fsync:4=EIO"})
    bare.start_worker()
    first = bare.submit("--", "sh", "-c", "while ! test -e go; do sleep 0.05; done")
    bare.wait_stats(first, running=1)
    s = Stream(bare)
    try:
        s.wait_for(lambda ev: of_type(ev, "task-started"))
        bare.write("go", "")  # its end is written, and shown, before it is synced
        s.wait_for(lambda ev: of_type(ev, "task-finished"))
        result = bare.hq("submit", "--", "true", code=None)
        if result.code == 0:
            return
        assert "journal: input/output error" in result.stderr
        assert s.popen.wait(20) == 1
        assert "was taken back" in (bare.logs / "stream.err").read_text()
        later = bare.submit_and_wait("--", "true")
        assert [e["job"] for e in of_type(flushed(bare), "job-completed")] == [first, later]
    finally:
        s.end()
