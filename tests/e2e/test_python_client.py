"""The Python package against a real server: jobs of programs, waiting, failures."""
import logging
import os
import signal
import sys
import threading
import time
import types
from datetime import timedelta
from pathlib import Path

import pytest

from harness import HQ, PATIENCE, wait_until
from hyperqueue import Client, Job, get_version
from hyperqueue.client import MAX_PRINTED_TASKS, FailedJobsException
from hyperqueue.ffi import client as ffi_client
from hyperqueue.ffi import program
from hyperqueue.ffi.client import ClientConnection, FailedTaskContext, HqException
from hyperqueue.ffi.protocol import JobDescription, ResourceRequest, TaskDescription
from hyperqueue.job import SubmittedJob
from hyperqueue.output import StdioDef
from hyperqueue.validation import ValidationException


@pytest.fixture
def server(api):
    api.start_server()
    return api


@pytest.fixture
def client(server):
    server.start_worker(cpus=2)
    return Client()


def run(client, job):
    """Submits the job and waits for it; the id."""
    submitted = client.submit(job)
    client.wait_for_jobs([submitted])
    return submitted.id


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def described(env, job):
    """The tasks of the job as the server knows them."""
    return env.job(job)["submits"][0]["graph"]


# --- submit ----------------------------------------------------------------------------


def test_program(client, caplog):
    caplog.set_level(logging.INFO)
    job = Job()
    task = job.program(["sh", "-c", "echo $A; pwd; echo err >&2"], env={"A": "1"})
    submitted = client.submit(job)
    assert client.wait_for_jobs([submitted]) is True
    assert "Submitted job 1 with 1 tasks" in caplog.messages
    assert isinstance(submitted, SubmittedJob) and submitted.job is job
    assert submitted.id == 1 and task.task_id == 0 and task.label == "0"
    # Unlike the command line: no directory of the job.
    assert Path("0.stdout").read_text() == f"1\n{os.getcwd()}\n"
    assert Path("0.stderr").read_text() == "err\n"


def test_job_and_its_defaults(server):
    job = Job()
    job.program("true")
    Client().submit(job)
    info = server.job(1)
    assert info["info"]["name"] == "PyAPI job" and info["max_fails"] == 1
    task = described(server, 1)[0]
    assert task["program"]["args"] == ["true"] and task["program"]["cwd"] == os.getcwd()
    assert task["program"]["stdout"] == "%{CWD}/%{TASK_ID}.stdout"
    assert task["program"]["stderr"] == "%{CWD}/%{TASK_ID}.stderr"
    assert task["crash_limit"] == 5 and task["priority"] == 0
    assert task["resources"] == [{"min_time": 0.0, "n_nodes": 0, "weight": 10000, "resources":
                                  [{"request": {"Compact": 10000}, "resource": "cpus"}]}]
    assert not task["task_dir"] and task["time_limit"] is None


def test_job_parameters(server):
    job = Job(name="my job", max_fails=None, default_env={"A": "job", "B": "job"},
              default_workdir="below")
    job.program(["true"], env={"B": "task", "C": "task"})
    job.program(["true"], cwd="own")
    client = Client()
    client.submit(job)
    job.max_fails = 7
    client.submit(job)
    assert server.job(1)["info"]["name"] == "my job"
    assert server.job(1)["max_fails"] is None and server.job(2)["max_fails"] == 7
    first, second = (task["program"] for task in described(server, 1))
    assert first["env"] == {"A": "job", "B": "task", "C": "task"}
    assert second["env"] == {"A": "job", "B": "job"}
    assert first["cwd"] == os.path.abspath("below") and second["cwd"].endswith("own")


def test_task_parameters(server):
    job = Job()
    job.program(["true"], task_dir=True, priority=-3, crash_limit=9, stdout=None, stderr="e",
                time_limit=timedelta(minutes=1, milliseconds=500), pin="taskset")
    job.program(["true"], crash_limit="never-restart", stdout=StdioDef(),
                stderr=StdioDef.from_path("x:none"))
    job.program(["true"], crash_limit="unlimited", stdout=StdioDef.remove_if_finished())
    Client().submit(job)
    first, second, third = described(server, 1)
    assert first["task_dir"] and first["priority"] == -3 and first["crash_limit"] == 9
    assert first["program"]["stdout"] is None and first["program"]["stderr"] == "e"
    assert first["time_limit"] == 60.5 and first["pin_mode"] == "taskset"
    assert second["crash_limit"] == "never-restart"
    assert second["program"]["stdout"] == "%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stdout"
    assert second["program"]["stderr"] == "x:none"
    assert third["crash_limit"] == "unlimited"
    assert third["program"]["stdout"] == "%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stdout"


def test_resources(server):
    job = Job()
    job.program(["true"], resources=ResourceRequest(cpus=2))
    job.program(["true"], resources=[
        ResourceRequest(cpus="4 compact!", resources={"gpus/x": 0.5, "mem": "all", "cpus": 7},
                        min_time=timedelta(hours=1)),
        ResourceRequest(cpus=8, weight=0.5)])
    job.program(["true"], resources=ResourceRequest(n_nodes=3))
    job.program(["true"], resources=[])
    Client().submit(job)
    one, variants, gang, default = (task["resources"] for task in described(server, 1))
    assert one[0]["resources"] == [{"request": {"Compact": 20000}, "resource": "cpus"}]
    assert {r["resource"]: r["request"] for r in variants[0]["resources"]} == {
        "cpus": {"ForceCompact": 40000}, "gpus/x": {"Compact": 5000}, "mem": "All"}
    assert variants[0]["min_time"] == 3600.0 and variants[1]["weight"] == 5000
    assert gang[0]["n_nodes"] == 3
    assert default[0]["resources"] == [{"request": {"Compact": 10000}, "resource": "cpus"}]


def test_stdin(client):
    data = bytes(range(256)) * 1000
    job = Job()
    job.program(["cat"], stdin=data)
    job.program(["cat"], stdin="žluťoučký kůň\n")
    job.program(["cat"], stdin=b"")
    job.program(["sh", "-c", "cat; echo end"])
    run(client, job)
    assert Path("0.stdout").read_bytes() == data
    assert Path("1.stdout").read_text() == "žluťoučký kůň\n"
    assert Path("2.stdout").read_bytes() == b""
    assert Path("3.stdout").read_text() == "end\n"


def test_words_arrive_as_they_are(client):
    words = ["", " ", "\x01\x1f\x7f\t\r\n\b\f", "'\"\\ \\n", "€ 😀  ﷽", "%{TASK_ID}", "${X}",
             "x" * 100000]
    script = "import sys; print('\\0'.join(sys.argv[1:]), end='')"
    job = Job()
    job.program([sys.executable, "-c", script, *words], env={"LC_ALL": "C.UTF-8"})
    run(client, job)
    assert Path("0.stdout").read_bytes().split(b"\0") == [word.encode() for word in words]


def test_dependencies(client):
    job = Job()
    first = job.program(["sh", "-c", "sleep 0.2; echo 1 >>order"])
    second = job.program(["sh", "-c", "echo 2 >>order"], deps=[first])
    job.program(["sh", "-c", "echo 3 >>order"], deps=(first, second, second))
    run(client, job)
    assert Path("order").read_text() == "1\n2\n3\n"


def test_stream_gathers_the_output_of_all(client, server):
    job = Job(stream="logs")
    for i in range(3):
        job.program(["echo", str(i)])
    job.program(["echo", "own"], stdout="own.txt")
    id = run(client, job)
    assert server.log("logs", "cat", id, "stdout").stdout == "0\n1\n2\n"
    assert not list(Path().glob("*.stdout"))
    assert Path("own.txt").read_text() == "own\n"


def test_ten_thousand_tasks_take_no_time(server):
    job = Job()
    for i in range(10000):
        job.program(["true", str(i)], stdin=f"{i}", stdout=None, stderr=None,
                    env={"N": str(i)})
    client = Client()
    began = time.monotonic()
    submitted = client.submit(job)
    assert time.monotonic() - began < 1.5 * PATIENCE
    assert server.job(submitted.id)["info"]["task_count"] == 10000


def test_names_of_servers(server):
    job = Job()
    job.program("true")
    for directory in (server.server_dir, str(server.server_dir),
                      server.server_dir / "hq-current", "../sd", None):
        Client(directory).submit(job)
    assert len(server.json("job", "list")) == 5


# --- what is refused -------------------------------------------------------------------


def test_no_server(api):
    for wrong in ("", 3):
        with pytest.raises(ValidationException, match="server_dir"):
            Client(wrong)
    with pytest.raises(Exception) as told:
        Client(api.work)
    assert str(told.value) + "\n" == api.hq("--server-dir", api.work, "job", "list",
                                            code=1).stderr
    assert f'No running instance of HQ found at "{api.work}"' in str(told.value)


def test_no_program(server, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HqException, match="the program `hq` is not on the PATH"):
        Client()
    monkeypatch.setenv("HQ_PROGRAM", "/nowhere/hq")
    with pytest.raises(HqException, match="HQ_PROGRAM names `/nowhere/hq`"):
        get_version()
    monkeypatch.setenv("HQ_PROGRAM", str(server.script("not-hq", "exit 3")))
    with pytest.raises(HqException, match="hq ended with status 3"):
        Client()


def test_program_by_variable(server, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HQ_PROGRAM", str(HQ))
    assert server.hq("--version").stdout == f"hyperqueue {get_version()}\n"
    # Variables for the command line do not reach what the package reads.
    monkeypatch.setenv("HQ_OUTPUT_MODE", "quiet")
    monkeypatch.setenv("HQ_WAIT_FAIL_ON_ERROR", "1")
    job = Job(max_fails=None)
    job.program("false")
    server.start_worker()
    assert Client().wait_for_jobs([Client().submit(job)], raise_on_error=False) is False


def test_job_without_tasks(server):
    client = Client()
    with pytest.raises(Exception, match="^Submitted job must have at least a single task$"):
        client.submit(Job())
    with pytest.raises(Exception, match="at least a single task"):
        client.connection.submit_job(JobDescription(None, []))
    with pytest.raises(ValueError):
        client.submit([Job()])


@pytest.mark.parametrize("options, message", [
    ({"args": ["a\0b"]}, "a NUL character is not possible here"),
    ({"args": ["a\udcff"]}, "job files hold Unicode text"),
    ({"resources": ResourceRequest(cpus=0)}, "Zero resources cannot be requested"),
    ({"resources": ResourceRequest(cpus=float("nan"))}, "expected a number"),
    ({"resources": ResourceRequest(cpus="many")}, "'many' is not an amount"),
    ({"resources": ResourceRequest(resources={"a b": 1})}, "'a b' cannot be the name"),
    ({"resources": [ResourceRequest(n_nodes=1), ResourceRequest()]}, "cannot have several"),
    ({"priority": 2**40}, "expected i32"),
    ({"pin": "hard"}, "unknown variant `hard`"),
    ({"time_limit": -timedelta(seconds=1)}, "time_limit cannot be negative"),
    ({"env": {"a=b": "c"}}, "'a=b' cannot be the name of an environment variable"),
    ({"stdin": b"x" * (200 << 20)}, "standard input: it is larger than 256 MiB"),
])
def test_tasks_that_are_refused(server, options, message):
    job = Job()
    job.program(options.pop("args", ["true"]), **options)
    with pytest.raises(Exception, match=message):
        Client().submit(job)
    assert server.json("job", "list", "--all") == []


def test_graphs_that_are_refused(server):
    connection = ClientConnection()
    task = TaskDescription(id=1, args=["true"])
    with pytest.raises(Exception, match="^Non unique IDs in submitted task graph$"):
        connection.submit_job(JobDescription(None, [task, task]))
    with pytest.raises(Exception, match="^Invalid dependency id$"):
        connection.submit_job(JobDescription(None, [
            task, TaskDescription(id=2, args=["true"], dependencies=[3])]))
    with pytest.raises(Exception, match="part of dependency cycle"):
        connection.submit_job(JobDescription(None, [
            TaskDescription(id=2, args=["true"], dependencies=[2])]))
    assert server.json("job", "list", "--all") == []


# --- waiting ---------------------------------------------------------------------------


def test_waiting_for_several_jobs(client):
    jobs = []
    for n in range(3):
        job = Job()
        for _ in range(n + 1):
            job.program(["sleep", "0.1"], stdout=None, stderr=None)
        jobs.append(client.submit(job))
    assert client.wait_for_jobs(jobs) is True
    assert client.wait_for_jobs(jobs + jobs) is True
    assert client.wait_for_jobs([]) is True


def test_failed_tasks(client):
    job = Job(max_fails=None)
    job.program(["true"])
    job.program(["sh", "-c", "exit 3"], cwd="sub", stdout=None, name="the third")
    job.program(["/no/such/program"], stderr=None)
    submitted = client.submit(job)
    assert client.wait_for_jobs([submitted], raise_on_error=False) is False
    failed = client.get_failed_tasks(submitted)
    assert failed[1] == FailedTaskContext(
        error="Program terminated with exit code 3.", cwd=f"{os.getcwd()}/sub",
        stdout=None, stderr=f"{os.getcwd()}/sub/1.stderr")
    assert sorted(failed) == [1, 2] and "/no/such/program" in failed[2].error
    with pytest.raises(FailedJobsException) as told:
        client.wait_for_jobs([submitted])
    assert told.value.failed_tasks == {submitted.id: failed}
    assert told.value.job_map == {submitted.id: job}
    assert told.value.task_label(submitted.id, 1) == "the third"
    assert told.value.task_label(99, 7) == "7"
    assert str(told.value).startswith(f"""\
The following tasks of job `1` have failed:
Task the third (id=1):
Program terminated with exit code 3.
You can find more information here:
Working directory: {os.getcwd()}/sub
Stderr: {os.getcwd()}/sub/1.stderr
Task 2 (id=2):
""")


def test_message_shows_a_few_tasks(client):
    job = Job(max_fails=None)
    for _ in range(MAX_PRINTED_TASKS + 2):
        job.program(["false"], stdout=None, stderr=None)
    with pytest.raises(FailedJobsException) as told:
        client.wait_for_jobs([client.submit(job)])
    assert str(told.value).count("(id=") == MAX_PRINTED_TASKS == 5
    assert len(told.value.failed_tasks[1]) == 7
    assert str(told.value).endswith("and 2 more")


def test_second_failure_aborts_the_rest(client):
    job = Job()
    first = job.program(["false"])
    second = job.program(["false"], deps=[])
    job.program(["true"], deps=[first, second])
    for _ in range(50):
        job.program(["sleep", "60"], stdout=None, stderr=None, priority=-1)
    submitted = client.submit(job)
    assert client.wait_for_jobs([submitted], raise_on_error=False) is False
    assert sorted(client.get_failed_tasks(submitted)) == [0, 1]


def test_canceled_job_is_a_failure_without_failed_tasks(client):
    job = Job()
    job.program(["sleep", "60"])
    submitted = client.submit(job)
    client.cancel(submitted, reason="changed my mind")
    with pytest.raises(FailedJobsException, match="were canceled") as told:
        client.wait_for_jobs([submitted])
    assert told.value.failed_tasks == {1: {}}
    client.cancel(1)  # nothing is left to be canceled, which is fine
    with pytest.raises(HqException, match="Job 7 not found"):
        client.cancel(7)


def test_streamed_output_is_no_file(client):
    job = Job(stream="logs")
    job.program(["false"])
    submitted = client.submit(job)
    client.wait_for_jobs([submitted], raise_on_error=False)
    context = client.get_failed_tasks(submitted)[0]
    assert context.stdout is None and context.stderr is None and context.cwd == os.getcwd()


def test_progress(client):
    job = Job()
    for _ in range(6):
        job.program(["sleep", "0.1"], stdout=None, stderr=None)
    ids = [client.submit(job).id, client.submit(job).id]
    seen = []
    client.connection.wait_for_jobs(ids, seen.append, period_s=0.05)
    assert len(seen) >= 2
    last = {"finished": 6, "failed": 0, "total": 6, "completed": True}
    assert seen[-1] == {1: last, 2: last}
    assert not seen[0][2]["completed"]
    finished = [sum(job["finished"] for job in progress.values()) for progress in seen]
    assert finished == sorted(finished)


def test_progress_bar(client, monkeypatch):
    """Drawn by tqdm where there is a terminal; here by what stands for it."""
    shown = []

    class Bar:
        def __init__(self, total, unit):
            self.n, self.total = 0, total
            shown.append((total, unit))

        def update(self, count):
            self.n += count

        def set_postfix_str(self, text):
            shown.append((self.n, text))

        def close(self):
            shown.append("closed")

    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto",
                        types.SimpleNamespace(tqdm=Bar))
    job = Job(max_fails=None)
    job.program(["true"])
    job.program(["false"])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    submitted = client.submit(job)
    client.wait_for_jobs([submitted, submitted], raise_on_error=False)
    assert shown[0] == (2, "task") and shown[-2:] == [(1, "1/1 jobs completed"), "closed"]
    shown.clear()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    client.wait_for_jobs([client.submit(job)], raise_on_error=False)
    assert shown == []


def test_waiting_does_not_poll(client, monkeypatch):
    """One command waits, one asks for the result."""
    started = []
    monkeypatch.setattr(program, "find_hq", lambda find=program.find_hq:
                        started.append(1) or find())
    job = Job()
    job.program(["sleep", "1.5"])
    submitted = client.submit(job)
    started.clear()
    client.wait_for_jobs([submitted])
    assert len(started) == 2


def test_more_jobs_than_an_argument_holds(client, monkeypatch):
    monkeypatch.setattr(ffi_client, "RUNS_MAX", 2)
    job = Job()
    job.program(["false"], stdout=None, stderr=None)
    jobs = [client.submit(job) for _ in range(9)][::2]
    with pytest.raises(FailedJobsException) as told:
        client.wait_for_jobs(jobs)
    assert sorted(told.value.failed_tasks) == [1, 3, 5, 7, 9]


def test_jobs_that_do_not_exist(client):
    unknown = SubmittedJob(Job(), 99)
    for request in (client.get_failed_tasks, lambda job: client.wait_for_jobs([job])):
        with pytest.raises(HqException, match="^Job 99 not found$"):
            request(unknown)
    with pytest.raises(ValueError):
        client.wait_for_jobs([99])


def test_server_ends_while_it_is_waited_for(client, server):
    job = Job()
    job.program(["sleep", "60"])
    submitted = client.submit(job)
    threading.Timer(0.3, server.server.kill).start()
    with pytest.raises(HqException, match="[Cc]onnection"):
        client.wait_for_jobs([submitted])


def test_interrupt_ends_what_waits(server):
    """Ctrl-C reaches the program alone, which leaves nothing behind."""
    script = server.write("wait.py", """
from hyperqueue import Client, Job
job = Job()
job.program("true")
client = Client()
submitted = client.submit(job)
print("submitted", flush=True)
try:
    client.wait_for_jobs([submitted])
except KeyboardInterrupt:
    print("interrupted", flush=True)
""")
    waiting = server.spawn("wait", sys.executable, script)

    def waits():
        return [words for words in map(command_of, server.tagged()) if "wait" in words]

    wait_until(waits, "the command that waits")
    waiting.send(signal.SIGINT)
    assert waiting.wait() == 0
    assert waiting.text().splitlines() == ["submitted", "interrupted"]
    assert waits() == []


# --- forget ----------------------------------------------------------------------------


def test_forget(client, server):
    job = Job(max_fails=None)
    job.program(["true"])
    job.program(["false"])
    for form in (lambda submitted: submitted, lambda submitted: submitted.id):
        submitted = client.submit(job)
        client.wait_for_jobs([submitted], raise_on_error=False)
        assert client.forget(form(submitted)) is None
        with pytest.raises(Exception) as told:
            client.forget(form(submitted))
        assert str(told.value) == (
            f"Cannot forget job {submitted.id}. It either hasn't been completed yet, or it "
            "does not exist")
    assert server.json("job", "list", "--all") == []


def test_forget_refuses(client):
    job = Job()
    job.program(["sleep", "60"])
    submitted = client.submit(job)
    with pytest.raises(Exception, match="^Cannot forget job 1. It either hasn't"):
        client.forget(submitted)
    for wrong in ("1", None, 1.0, True, job):
        with pytest.raises(ValueError):
            client.forget(wrong)


def test_stop_server(client, server):
    client.connection.stop_server()
    assert server.server.wait() == 0


def test_failure_of_a_task_that_never_started(client):
    job = Job()
    job.program(["true"], cwd="/proc/none")
    submitted = client.submit(job)
    client.wait_for_jobs([submitted], raise_on_error=False)
    context = client.get_failed_tasks(submitted)[0]
    assert context.error.startswith("Cannot create stdout directory at /proc/none/0.stdout")
    assert context.cwd is None and context.stdout is None and context.stderr is None


def test_wrong_types():
    with pytest.raises(ValidationException):
        Job(max_fails="1")
