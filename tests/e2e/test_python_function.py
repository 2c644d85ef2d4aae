"""The Python package against a real server: tasks that call functions."""
import asyncio
import sys
import threading
from pathlib import Path

import pytest

from hyperqueue import Client, Job
from hyperqueue.client import FailedJobsException
from hyperqueue.ffi.protocol import ResourceRequest
from hyperqueue.task import function
from hyperqueue.task.function import PythonEnv, purge_cache
from hyperqueue.utils.package import MissingPackageException
from hyperqueue.validation import ValidationException

MODULE = '''
"""Functions that tasks import from their working directory."""
import asyncio, logging, os, sys

def add(a, b=0, *, c=0):
    print(a, b, c)
    return object()

def environment(*names):
    print(*(os.environ.get(name) for name in names))

def fail(depth):
    if depth:
        fail(depth - 1)
    raise ValueError("deep\\u20ac")

def descend(depth, n=2):
    if depth:
        (descend if depth % 2 else descend_as_well)(depth - 1, n)
    raise ValueError('x' * n)

def descend_as_well(depth, n):
    descend(depth, n)

def leave(how):
    raise {"exit": SystemExit(0), "interrupt": KeyboardInterrupt(), "hard": SystemExit(7)}[how]

def log():
    for level in ("debug", "info", "warning", "error"):
        getattr(logging, level)("level " + level)

async def later(text):
    await asyncio.sleep(0)
    print(text)

def big(data):
    print(len(data), sum(data))

def read_input():
    print(repr(sys.stdin.read()))

class Doubler:
    def __call__(self, n):
        print(2 * n)

doubler = Doubler()
'''


@pytest.fixture
def calls(api, monkeypatch):
    """A module beside the tasks, and in here the same one."""
    api.write("calls.py", MODULE)
    api.start_server()
    api.start_worker(cpus=2)
    monkeypatch.syspath_prepend(str(api.work))
    monkeypatch.delitem(sys.modules, "calls", raising=False)
    import calls
    yield calls
    sys.modules.pop("calls", None)
    purge_cache()


@pytest.fixture
def client(calls):
    return Client(python_env=PythonEnv(python_bin=sys.executable))


def run(client, job):
    return client.wait_for_jobs([client.submit(job)])


def error_of(client, job):
    with pytest.raises(FailedJobsException) as told:
        run(client, job)
    return next(iter(told.value.failed_tasks.values()))[0].error


def test_call(client, calls):
    job = Job()
    first = job.function(calls.add, args=(1,), kwargs={"b": "two", "c": [3, {"x": None}]})
    second = job.function(calls.add, args=[4], deps=[first], name="my task")
    assert first.label == "add/0" and second.label == "my task"
    assert first.fn is calls.add and first.args == (1,)
    assert run(client, job) is True
    assert Path("0.stdout").read_text() == "1 two [3, {'x': None}]\n"
    assert Path("1.stdout").read_text() == "4 0 0\n"


def test_parameters(client, calls):
    job = Job(default_env={"A": "1", "B": "1"}, default_workdir="w")
    Path("w").mkdir()
    Path("w/calls.py").symlink_to("../calls.py")
    job.function(calls.environment, args=("A", "B", "OMP_NUM_THREADS"), env={"B": "2"},
                 stdout="out", stderr=None, priority=3, crash_limit=2, resources=ResourceRequest(cpus=2))
    run(client, job)
    assert Path("w/out").read_text() == "1 2 2\n"
    assert not Path("w/0.stderr").exists()


def test_large_argument(client, calls):
    job = Job()
    job.function(calls.big, args=(bytes(range(256)) * 20000,))
    run(client, job)
    assert Path("0.stdout").read_text() == f"5120000 {20000 * sum(range(256))}\n"


def test_object_that_can_be_called(client, calls):
    job = Job()
    assert job.function(calls.doubler, args=(4,)).label == "Doubler/0"
    job.function(print, args=("built in",), kwargs={"sep": ""})
    run(client, job)
    assert Path("0.stdout").read_text() == "8\n"
    assert Path("1.stdout").read_text() == "built in\n"


def test_coroutine(client, calls):
    job = Job()
    job.function(calls.later, args=("after all",))
    run(client, job)
    assert Path("0.stdout").read_text() == "after all\n"


def test_standard_input_is_empty(client, calls):
    job = Job()
    job.function(calls.read_input)
    run(client, job)
    assert Path("0.stdout").read_text() == "''\n"


def test_traceback_becomes_the_error(client, calls):
    job = Job()
    job.function(calls.fail, args=(2,))
    error = error_of(client, job)
    assert error.startswith("Traceback (most recent call last):\n")
    assert error.rstrip().endswith("ValueError: deep€") and error.count("in fail") == 3
    assert Path("0.stderr").read_text().strip() == error.strip()


def test_end_of_a_long_traceback_is_kept(client, calls):
    """An error message is short; what went wrong stands at the end."""
    job = Job(max_fails=None)
    job.function(calls.descend, args=(40,))
    job.function(calls.descend, args=(0, 5000))
    submitted = client.submit(job)
    client.wait_for_jobs([submitted], raise_on_error=False)
    deep, wide = (task.error for _, task in sorted(client.get_failed_tasks(submitted).items()))
    assert deep.startswith("[...]\n") and deep.endswith("in descend\n    raise ValueError('x' * n)"
                                                        "\nValueError: xx\n")
    assert wide.startswith("ValueError: xxx")
    assert Path("0.stderr").read_text().startswith("Traceback (most recent call last):\n")


def test_other_version_of_python(client, calls, monkeypatch):
    """Code that was pickled by one is often not understood by another."""
    monkeypatch.setattr(function, "_VERSION", "2.7")
    job = Job()
    job.function(calls.add, args=(1,))
    job.function(calls.fail, args=(0,))
    told = ("The task was submitted by Python 2.7 and runs in Python "
            "{}.{}".format(*sys.version_info))
    submitted = client.submit(job)
    client.wait_for_jobs([submitted], raise_on_error=False)
    failed = client.get_failed_tasks(submitted)
    assert list(failed) == [1] and failed[1].error.endswith(f"ValueError: deep€\n{told}\n")
    assert f"WARNING:hyperqueue.task.function: {told}\n" in Path("0.stderr").read_text()


@pytest.mark.parametrize("how, words", [("exit", "SystemExit: 0"), ("hard", "SystemExit: 7"),
                                        ("interrupt", "KeyboardInterrupt")])
def test_other_exits_are_failures(client, calls, how, words):
    job = Job()
    job.function(calls.leave, args=(how,))
    assert words in error_of(client, job)


def test_function_that_the_task_does_not_find(client, calls):
    job = Job(default_workdir="empty")
    job.function(calls.add, args=(1,))
    assert "No module named 'calls'" in error_of(client, job)


@pytest.mark.parametrize("level, seen", [(None, "info"), ("DEBUG", "debug"),
                                         ("ERROR", "error"), ("nonsense", "info")])
def test_level_of_logging(client, calls, level, seen):
    levels = ["debug", "info", "warning", "error"]
    job = Job()
    job.function(calls.log, env={"HQ_PYLOG": level} if level else {})
    run(client, job)
    told = Path("0.stderr").read_text()
    shown = [level for level in levels if f"level {level}" in told]
    assert shown == levels[levels.index(seen):]


def test_python_env(calls):
    client = Client(python_env=PythonEnv(
        python_bin=sys.executable, shell="sh",
        prologue="export A='from \"the\" prologue'\necho $0 >shell"))
    job = Job()
    job.function(calls.environment, args=("A",))
    run(client, job)
    assert Path("0.stdout").read_text() == 'from "the" prologue\n'
    assert Path("shell").read_text() == "sh\n"
    job = Job()
    job.function(calls.environment, args=("A",))
    client = Client(python_env=PythonEnv(python_bin="/no/python"))
    assert "/no/python" in error_of(client, job)


def test_prologue_that_fails(calls):
    client = Client(python_env=PythonEnv(python_bin=sys.executable, prologue="exit 5"))
    job = Job()
    job.function(calls.add, args=(1,))
    assert error_of(client, job) == "Program terminated with exit code 5."


def test_each_function_is_pickled_once(client, calls, monkeypatch):
    names = []
    dumps = function._dumps
    monkeypatch.setattr(function, "_dumps", lambda what, name: names.append(name) or
                        dumps(what, name))
    job = Job()
    for i in range(3):
        job.function(calls.add, args=(i,))
    job._build(client.python_env)
    job._build(client.python_env)
    assert names.count("the function `add`") == 1
    purge_cache()
    job._build(client.python_env)
    assert names.count("the function `add`") == 2


def test_what_cannot_be_called():
    job = Job()

    async def generator():
        yield 1

    for wrong in (generator, generator(), 3, "print"):
        with pytest.raises(TypeError):
            job.function(wrong)
    for options in ({"args": 3}, {"args": "text"}, {"kwargs": [1]}):
        with pytest.raises(ValidationException):
            job.function(print, **options)
    for option in ({"stdin": b""}, {"task_dir": True}):
        with pytest.raises(TypeError):
            job.function(print, **option)
    assert job.tasks == []
    asyncio.run(generator().aclose())


def test_arguments_that_cannot_be_pickled(client, calls, api):
    job = Job()
    job.function(calls.add, args=(threading.Lock(),))
    with pytest.raises((MissingPackageException, ValidationException),
                       match="the arguments of task `add/0` cannot be pickled"):
        client.submit(job)
    assert api.json("job", "list", "--all") == []


SCRIPT = """
import sys
from hyperqueue import Client, Job
from hyperqueue.task.function import PythonEnv

offset = 40

def shifted(n):
    print(n + offset)

if __name__ == "__main__":
    job = Job()
    job.function(shifted, args=(2,))
    job.function(lambda n: print("lambda", n + offset), args=(3,))
    client = Client(python_env=PythonEnv(sys.executable))
    client.wait_for_jobs([client.submit(job)])
"""


def test_functions_of_the_script_itself(calls, api):
    pytest.importorskip("cloudpickle")
    api.run(sys.executable, api.write("script.py", SCRIPT))
    assert Path("0.stdout").read_text() == "42\n"
    assert Path("1.stdout").read_text() == "lambda 43\n"


def test_functions_of_the_script_need_cloudpickle(calls, api):
    without = "import sys\nsys.modules['cloudpickle'] = None\n"
    script = api.write("script.py", without + SCRIPT)
    told = api.run(sys.executable, script, code=1).stderr
    assert told.splitlines()[-1] == (
        "hyperqueue.utils.package.MissingPackageException: the function `shifted` of the "
        "script itself cannot be sent: install the package `cloudpickle`")


def test_workflow_of_a_whole_program(calls, api):
    """All that the drug design workflows of LIGATE use, in one."""
    script = api.write("workflow.py", """
import sys
from hyperqueue import Client, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest
from hyperqueue.job import Job
from hyperqueue.task.function import PythonEnv
from hyperqueue.visualization import visualize_job
import calls

with LocalCluster(server_dir="cluster") as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client = cluster.client(python_env=PythonEnv(python_bin=sys.executable,
                                                 prologue="export PROLOGUE=1"))
    job = Job(default_workdir="out", default_env={"PYTHONPATH": sys.argv[1]})
    prepare = job.program(["sh", "-c", "echo prepared"], name="prepare")
    work = [job.function(calls.add, args=(i,), kwargs={"b": 1}, deps=[prepare],
                         name=f"work-{i}", stdout=f"{i}.out", stderr=f"{i}.err",
                         resources=ResourceRequest(cpus=i + 1)) for i in range(2)]
    job.function(calls.environment, args=("PROLOGUE",), deps=work, name="end", stdout="end")
    visualize_job(job, "job.dot")
    submitted = client.submit(job)
    assert client.wait_for_jobs([submitted])
    other = Client(server_dir="cluster")
    assert other.wait_for_jobs([submitted])
    other.forget(submitted)
""")
    api.run(sys.executable, script, f"{api.work}:{api.vars['PYTHONPATH']}")
    assert Path("out/0.out").read_text() == "0 1 0\n"
    assert Path("out/1.out").read_text() == "1 1 0\n"
    assert Path("out/end").read_text() == "1\n"
    assert '"work-1"' in Path("job.dot").read_text()
