"""`hq journal export` and `flush`: the events of a journal file as lines."""
import json
import os
import re
import resource
import signal

import pytest

from harness import wait_until
from journals import events, flushed, of_type, records, types


@pytest.mark.core
def test_lines_are_compact_json_in_the_order_of_events(bare):
    bare.start_server("--journal", "j")
    bare.start_worker()
    bare.submit_and_wait("--name", "n", "--array", "3-4", "--", "true")
    bare.hq("journal", "flush")
    result = bare.hq("journal", "export", "j")
    for line in result.stdout.splitlines():
        assert line == json.dumps(json.loads(line), separators=(",", ":"), sort_keys=True)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z",
                            json.loads(line)["time"])
    assert types(result)[:3] == ["server-start", "worker-connected", "job-created"]
    assert types(result)[-1] == "job-completed"
    assert [e["task"] for e in of_type(events(result), "task-finished")] == [3, 4]
    assert re.fullmatch(r".* INFO Outputted 8 events\n", result.stderr)


def test_each_task_starts_before_it_ends(bare):
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=4)
    bare.submit_and_wait("--array", "1-300", "--stdout", "none", "--stderr", "none", "--",
                         "sh", "-c", "exit $((HQ_TASK_ID % 3 == 0))")
    state = {}
    for event in of_type(flushed(bare), "task-started", "task-finished", "task-failed"):
        task, before = event["task"], state.get(event["task"])
        assert before == (None if event["type"] == "task-started" else "task-started")
        state[task] = event["type"]
    assert state == {i: "task-finished" if i % 3 else "task-failed" for i in range(1, 301)}


@pytest.mark.core
def test_aborted_by_a_dependency_and_by_max_fails(bare):
    bare.start_server("--journal", "j")
    bare.start_worker()
    graph = bare.workflow("""
tasks:
  a: {run: "exit 2"}
  b: {needs: a, run: "true"}
  c: {needs: b, run: "true"}
  d: {run: "true"}
""")
    bare.hq("job", "wait", graph)
    array = bare.submit("--max-fails", "1", "--array", "1-20", "--", "false")
    bare.hq("job", "wait", array)
    found = flushed(bare)
    aborted = of_type(found, "task-aborted")
    told = {job: sorted(t["job_task_id"] for e in aborted for t in e["tasks"]
                        if t["job_id"] == job) for job in (graph, array)}
    for job in (graph, array):
        assert told[job] == sorted(i for i, t in bare.tasks(job).items()
                                   if t["state"] == "aborted")
        last = [e for e in found if job in (e.get("job"), *(
            t["job_id"] for t in e.get("tasks", [])))][-1]
        assert last == {"job": job, "type": "job-completed"}
    assert len(told[graph]) == 2 and len(told[array]) >= 1


@pytest.mark.core
def test_canceled_tasks_follow_the_cancel(bare):
    bare.start_server("--journal", "j")
    bare.start_worker()
    job = bare.submit("--array", "1-3", "--", "sh", "-c", "test $HQ_TASK_ID = 1 || sleep 60")
    bare.wait_stats(job, finished=1, running=1, waiting=1)
    bare.hq("job", "cancel", job, "--reason", "enough")
    bare.hq("job", "cancel", job)  # there is nothing left to cancel
    found = of_type(flushed(bare), "job-cancel", "task-canceled", "job-completed")
    assert found == [
        {"job_id": job, "reason": "enough", "type": "job-cancel"},
        {"tasks": [{"job_id": job, "job_task_id": 2}, {"job_id": job, "job_task_id": 3}],
         "type": "task-canceled"},
        {"job": job, "type": "job-completed"}]


def test_second_run_of_a_task(bare):
    bare.start_server("--journal", "j")
    worker = bare.start_worker()
    job = bare.submit("--", "sh", "-c", "test $HQ_INSTANCE_ID = 1 || sleep 60")
    bare.wait_stats(job, running=1)
    worker.kill()
    bare.start_worker()
    bare.wait_job(job)
    found = of_type(flushed(bare), "task-started", "worker-lost", "task-finished")
    assert found == [
        {"instance": 0, "job": job, "task": 0, "type": "task-started", "worker": 1},
        {"id": 1, "reason": "ConnectionLost", "type": "worker-lost"},
        {"instance": 1, "job": job, "task": 0, "type": "task-started", "worker": 2},
        {"job": job, "task": 0, "type": "task-finished"}]


def test_across_a_crash(bare):
    """What ran when the server was killed runs again, with the next instance."""
    bare.start_server("--journal", "j")
    worker = bare.start_worker()
    job = bare.submit("--array", "1-2", "--", "sh", "-c",
                      "test $HQ_TASK_ID = 1 -o $HQ_INSTANCE_ID = 1 || sleep 60")
    bare.wait_stats(job, finished=1, running=1)
    bare.hq("journal", "flush")
    bare.server.kill()
    worker.wait()
    bare.start_server("--journal", "j")
    bare.start_worker()
    bare.wait_job(job)
    found = flushed(bare)
    assert len(of_type(found, "server-start")) == 2
    started = of_type(found, "task-started")
    assert [(e["task"], e["instance"], e["worker"]) for e in started] == \
        [(1, 0, 1), (2, 0, 1), (2, 1, 2)]
    assert len(of_type(found, "task-finished")) == 2
    assert len(of_type(found, "job-completed")) == 1


@pytest.mark.parametrize("array, ranges", [
    ("1-10", [(1, 10, 1)]),
    ("0-11:5", [(0, 12, 5)]),
    ("3,7-9", [(3, 1, 1), (7, 3, 1)]),
])
def test_ids_of_an_array(bare, array, ranges):
    bare.start_server("--journal", "j")
    bare.submit("--array", array, "--", "true")
    task_desc = of_type(flushed(bare), "job-created")[0]["submit_desc"]["task_desc"]
    assert task_desc["ids"]["ranges"] == [
        {"start": s, "count": c, "step": p} for s, c, p in ranges]


def test_graph_and_stream(bare):
    bare.start_server("--journal", "j")
    bare.write("jobs.toml", 'name = "g"\nstream = "st"\n'
               '[[task]]\ncommand = ["true"]\n[[task]]\ncommand = ["true"]\n')
    bare.hq("job", "submit-file", "jobs.toml")
    created = of_type(flushed(bare), "job-created")[0]
    assert created["submit_desc"]["task_desc"] == {"n_tasks": 2}
    assert created["submit_desc"]["stream_path"].endswith("st")
    assert created["job_desc"]["name"] == "g"


@pytest.mark.core
def test_damage_is_reported_once_and_the_rest_is_read(bare):
    bare.start_server("--journal", "j")
    for i in range(6):
        bare.submit("--name", f"n{i}", "--", "true")
    bare.hq("job", "cancel", "all")
    bare.stop_server()
    path = bare.work / "j"
    data = bytearray(path.read_bytes())
    at, size = records(path)[3]
    data[at + size - 1] ^= 0xFF
    path.write_bytes(data)
    result = bare.hq("journal", "export", "j")
    names = [e["job_desc"]["name"] for e in of_type(events(result), "job-created")]
    assert len(names) == 5 and len(set(names)) == 5
    errors = [line for line in result.stderr.splitlines() if " ERROR " in line]
    assert len(errors) == 1 and f"offset {at} " in errors[0]
    # The job whose submit is lost: its cancel cannot be told.
    assert " WARN " in result.stderr and "submits of their jobs are missing" in result.stderr
    assert types(result)[-1] == "server-stop"
    assert "Outputted" in result.stderr


def test_torn_tails_of_every_length(bare):
    bare.start_server("--journal", "j")
    bare.submit("--", "true")
    bare.submit("--", "true")
    bare.stop_server()
    data = (bare.work / "j").read_bytes()
    last, size = records(bare.work / "j")[-1]
    for cut in range(last, last + size):
        (bare.work / "t").write_bytes(data[:cut])
        result = bare.hq("journal", "export", "t")
        assert types(result) == ["server-start", "job-created", "job-created"]
        assert "ERROR" not in result.stderr


def test_journal_that_is_being_written(bare):
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=4)
    job = bare.submit("--array", "1-2000", "--stdout", "none", "--stderr", "none", "--", "true")
    seen = 0
    while bare.job(job)["info"]["task_stats"]["finished"] < 2000:
        result = bare.hq("journal", "export", "j")
        assert "ERROR" not in result.stderr
        count = len(of_type(events(result), "task-finished"))
        assert count >= seen
        seen = count
    assert len(of_type(flushed(bare), "task-finished")) == 2000


def test_other_versions(bare):
    bare.start_server("--journal", "j")
    bare.stop_server()
    data = bytearray((bare.work / "j").read_bytes())
    data[8] = 2
    bare.work.joinpath("newer").write_bytes(data)
    result = bare.hq("journal", "export", "newer", code=1)
    assert "Cannot load newer journal file" in result.stderr
    data[8] = 0
    bare.work.joinpath("older").write_bytes(data)
    result = bare.hq("journal", "export", "older", code=1)
    assert "Journal version mismatch" in result.stderr


def test_modes(bare):
    bare.start_server("--journal", "j")
    assert bare.json("journal", "flush") == {}
    plain = bare.hq("journal", "export", "j").stdout
    for mode in ("json", "quiet"):
        result = bare.hq("--output-mode", mode, "journal", "export", "j")
        assert result.stdout == plain, "no value behind the lines"
        assert "Outputted 1 event\n" in result.stderr
    result = bare.hq("--output-mode", "quiet", "journal", "flush")
    assert result.stdout == result.stderr == ""


def test_retired_name(bare):
    bare.start_server("--journal", "j")
    bare.hq("event-log", "flush")
    assert types(bare.hq("event-log", "export", "j")) == ["server-start"]


def test_flush_without_a_journal(bare):
    bare.start_server()
    assert bare.hq("journal", "flush").stdout == ""


def test_reader_that_goes_away_and_full_disk(bare):
    bare.start_server("--journal", "j")
    bare.submit("--array", "1-100000", "--", "true")
    bare.hq("job", "cancel", "all")
    bare.stop_server()
    result = bare.run("bash", "-c", "hq journal export j | head -1; echo ${PIPESTATUS[0]}")
    assert result.stdout.splitlines()[-1] == str(128 + signal.SIGPIPE)
    if os.path.exists("/dev/full"):
        result = bare.run("bash", "-c", "hq journal export j >/dev/full", code=1)
        assert "cannot write to standard output: No space left" in result.stderr


def test_flush_is_refused_when_the_disk_is_full(bare):
    server = bare.start_server("--journal", "j")
    # Longer than what the server logs, to which the limit applies as well.
    bare.submit("--env", "LONG=" + "x" * 50_000, "--", "true")
    full = bare.work.joinpath("j").stat().st_size
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    bare.start_worker()
    wait_until(lambda: "journal: file too large" in
               bare.hq("journal", "flush", code=None).stderr, "the flush to be refused")
