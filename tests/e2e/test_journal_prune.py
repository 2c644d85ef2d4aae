"""`hq journal prune`: the journal forgets what is over, while the server goes on."""
import resource
import signal
import subprocess

import pytest

from harness import HQ, wait_until
from journals import events, flushed, of_type, records, types
from test_journal_stream import Stream


def size(env):
    return env.work.joinpath("j").stat().st_size


def jobs_of(found):
    return {e.get("job", e.get("job_id")) for e in found} - {None}


@pytest.mark.core
def test_only_what_is_not_over_stays(bare):
    bare.start_server("--journal", "j")
    gone = bare.start_worker()
    over = bare.submit_and_wait("--array", "1-50", "--", "true")
    canceled = bare.submit("--cpus", "64", "--", "true")
    bare.hq("job", "cancel", canceled)
    bare.hq("worker", "stop", gone.id)
    gone.wait()
    bare.start_worker()
    running = bare.submit("--array", "1-2", "--", "sh", "-c",
                          "test $HQ_TASK_ID = 1 || while ! test -e go; do sleep 0.05; done")
    bare.hq("job", "open", "--name", "coll")
    bare.wait_stats(running, finished=1, running=1)
    before = flushed(bare)
    assert jobs_of(before) == {over, canceled, running, 4}
    full = size(bare)
    result = bare.hq("journal", "prune")
    assert (result.stdout, result.stderr) == ("", "")
    after = events(bare.hq("journal", "export", "j"))
    assert jobs_of(after) == {running, 4}
    assert [e["id"] for e in of_type(after, "worker-connected", "worker-lost")] == [2]
    assert after == [e for e in before if e in after], "in the order of before"
    assert size(bare) < full
    assert sorted(p.name for p in bare.work.glob("j*") if p.is_file()) == ["j"]
    # The server itself knows them all still.
    assert len(bare.json("job", "list", "--all")) == 4
    assert len(bare.tasks(over)) == 50
    bare.write("go", "")
    bare.wait_job(running)
    assert of_type(flushed(bare), "job-completed")[-1]["job"] == running


@pytest.mark.core
def test_restart_behind_a_pruning(bare):
    """Ids are not given again although nothing tells of them any more."""
    bare.start_server("--journal", "j")
    worker = bare.start_worker()
    for _ in range(3):
        bare.submit_and_wait("--", "true")
    kept = bare.submit("--name", "kept", "--cpus", "9", "--array", "3-5", "--priority", "7",
                       "--", "true")
    last = bare.submit_and_wait("--", "true")
    bare.hq("worker", "stop", worker.id)
    worker.wait()
    uid = bare.json("server", "info")["server_uid"]
    bare.hq("journal", "prune")
    bare.server.kill()
    bare.start_server("--journal", "j")
    assert bare.json("server", "info")["server_uid"] == uid
    assert [j["id"] for j in bare.json("job", "list", "--all")] == [kept]
    assert sorted(bare.tasks(kept)) == [3, 4, 5]
    assert bare.submit("--", "true") == last + 1
    assert bare.start_worker().id == worker.id + 1
    bare.hq("journal", "prune")
    bare.stop_server()
    bare.start_server("--journal", "j")
    assert bare.submit("--", "true") == last + 2


def test_again_and_again_while_tasks_run(bare):
    """Nothing that is acknowledged is lost, whatever moment the server is killed at."""
    bare.start_server("--journal", "j")
    bare.start_worker("--on-server-lost=reconnect:2m", cpus=4)
    words = "--stdout", "none", "--stderr", "none", "--"
    # Neither it nor what is submitted below may be over before a pruning.
    job = bare.submit("--array", "1-3000", *words, "sh", "-c",
                      "echo $HQ_TASK_ID >>ran; [ $HQ_TASK_ID != 1 ] || "
                      "until [ -e go ]; do sleep 0.02; done")
    submitted = []
    for kill in range(3):
        for _ in range(6):
            bare.hq("journal", "prune")
            submitted.append(bare.submit("--cpus", "64", *words, "true"))
        pruning = subprocess.Popen([str(HQ), "journal", "prune"], env=bare.vars,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bare.server.kill()
        pruning.wait(20)
        bare.start_server("--journal", "j")
        known = {j["id"] for j in bare.json("job", "list", "--all")}
        assert known == {job, *submitted}
        assert not bare.work.joinpath("j.tmp").exists()
    bare.write("go", "")
    bare.wait_job(job, 60)
    assert bare.stats(job) == {"finished": 3000}
    assert sorted(map(int, bare.read("ran").split())) == list(range(1, 3001))
    assert len(set(submitted)) == len(submitted)


@pytest.mark.core
def test_streams_go_on_across_it(bare):
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=4)
    bare.submit_and_wait("--array", "1-500", "--stdout", "none", "--stderr", "none", "--",
                         "true")
    early, stopped = Stream(bare), Stream(bare)
    late = None
    try:
        for s in early, stopped:
            s.wait_for(lambda ev: len(of_type(ev, "job-completed")) == 1)
        stopped.popen.send_signal(signal.SIGSTOP)
        for i in range(4):
            bare.hq("journal", "prune")
            bare.submit_and_wait("--array", "1-100", "--stdout", "none", "--stderr", "none",
                                 "--", "true")
            if not late:
                # The next pruning would take what it has not read yet.
                late = Stream(bare)
                late.wait_for(lambda ev: of_type(ev, "job-completed"))
        stopped.popen.send_signal(signal.SIGCONT)
        for s in early, stopped:
            s.wait_for(lambda ev: len(of_type(ev, "job-completed")) == 5)
            assert len(of_type(s.events(), "task-finished")) == 900
            assert len(of_type(s.events(), "server-start")) == 1
        late.wait_for(lambda ev: of_type(ev, "job-completed")
                      and of_type(ev, "job-completed")[-1]["job"] == 5)
        assert jobs_of(late.events()) == {2, 3, 4, 5}
    finally:
        for s in early, stopped, late:
            if s:
                s.end()


def test_full_disk(bare):
    """Nothing is changed, and the server goes on with the journal that it has."""
    server = bare.start_server("--journal", "j")
    bare.start_worker()
    bare.submit_and_wait("--", "true")
    # Longer than what the server logs, to which the limit applies as well.
    kept = bare.submit("--env", "LONG=" + "x" * 60_000, "--cpus", "9", "--", "true")
    before = bare.work.joinpath("j").read_bytes()
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    result = bare.hq("journal", "prune", code=1)
    assert "cannot write the pruned journal" in result.stderr
    assert "File too large" in result.stderr
    assert "not pruned" in server.text()
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert bare.work.joinpath("j").read_bytes().startswith(before)
    assert not bare.work.joinpath("j.tmp").exists()
    bare.hq("journal", "prune")
    assert jobs_of(flushed(bare)) == {kept}


def test_damage_is_not_pruned_away(bare):
    bare.start_server("--journal", "j")
    for _ in range(4):
        bare.submit("--", "true")
    at, length = records(bare.work / "j")[2]
    with open(bare.work / "j", "r+b") as f:
        f.seek(at + length - 1)
        f.write(b"\xff")
    result = bare.hq("journal", "prune", code=1)
    assert f"offset {at} " in result.stderr
    assert size(bare) > at + length


def test_moved_away_or_replaced(bare):
    bare.start_server("--journal", "j")
    bare.work.joinpath("j").rename(bare.work / "elsewhere")
    assert "cannot find journal" in bare.hq("journal", "prune", code=1).stderr
    bare.write("j", "mine")
    assert "not the journal in use" in bare.hq("journal", "prune", code=1).stderr
    assert bare.read("j") == "mine"


def test_link_to_the_journal_stays_a_link(bare):
    (bare.work / "real").mkdir()
    (bare.work / "j").symlink_to("real/j")
    bare.start_server("--journal", "j")
    bare.submit("--", "true")
    bare.hq("job", "cancel", "all")
    bare.hq("journal", "prune")
    assert (bare.work / "j").is_symlink()
    assert types(bare.hq("journal", "export", "real/j")) == ["server-start"]


def test_second_request_meanwhile_and_without_a_journal(bare):
    bare.start_server("--journal", "j")
    bare.submit("--env", "BIG=" + "x" * 100_000, "--cpus", "64", "--", "true")
    clients = [subprocess.Popen([str(HQ), "journal", "prune"], env=bare.vars,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for _ in range(6)]
    for client in clients:
        _, stderr = client.communicate(timeout=30)
        assert client.returncode == 0 or b"being pruned already" in stderr
    assert any(c.returncode == 0 for c in clients)
    bare.stop_server()
    bare.start_server()
    assert bare.hq("journal", "prune").stdout == ""
    assert bare.json("journal", "prune") == {}


def test_mode_and_lock_stay(bare):
    bare.start_server("--journal", "j")
    bare.work.joinpath("j").chmod(0o640)
    bare.hq("journal", "prune")
    assert bare.work.joinpath("j").stat().st_mode & 0o777 == 0o640
    result = bare.hq("--server-dir", bare.root / "other", "server", "start", "--journal", "j",
                     code=1)
    assert "in use" in result.stderr
    wait_until(lambda: bare.hq("server", "info", code=None).code == 0)


def test_workers_that_may_come_back_stay(bare):
    """A pruning while they are away: the next server still knows whose gang it was."""
    bare.start_server("--journal", "j")
    workers = [bare.start_worker("--on-server-lost=reconnect:1h") for _ in range(2)]
    job = bare.submit("--nodes", 2, "--stdout", "none", "--", "sh", "-c",
                      "echo $HQ_INSTANCE_ID >> runs; until [ -e go ]; do sleep 0.02; done")
    wait_until(lambda: (bare.work / "runs").exists(), "the start")
    bare.wait_stats(job, running=1)
    bare.server.kill()
    for w in workers:
        wait_until(lambda: "trying to reconnect" in w.text(), "the loss")
        w.send(signal.SIGSTOP)
    bare.start_server("--journal", "j")
    bare.hq("journal", "prune")
    bare.server.kill()
    bare.start_server("--journal", "j")
    for w in workers:
        w.send(signal.SIGCONT)
    bare.wait_workers(2)
    bare.wait_stats(job, running=1)
    bare.write("go", "")
    bare.wait_job(job)
    assert bare.read("runs") == "0\n"
