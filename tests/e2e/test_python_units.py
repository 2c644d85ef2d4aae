"""The Python package without a server: jobs, job files, pictures, messages."""
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import hyperqueue
from hyperqueue.client import FailedJobsException
from hyperqueue.ffi.client import FailedTaskContext, _selectors
from hyperqueue.ffi.jobfile import job_file
from hyperqueue.ffi.protocol import JobDescription, ResourceRequest, TaskDescription
from hyperqueue.job import Job
from hyperqueue.output import StdioDef, default_stderr, default_stdout
from hyperqueue.task.function import PythonEnv
from hyperqueue.utils.package import MissingPackageException
from hyperqueue.validation import ValidationException
from hyperqueue.visualization import visualize_job


def test_names_of_the_package():
    from hyperqueue.client import Client
    from hyperqueue.cluster import LocalCluster

    assert hyperqueue.Client is Client and hyperqueue.Job is Job
    assert hyperqueue.LocalCluster is LocalCluster and callable(hyperqueue.get_version)
    with pytest.raises(AttributeError):
        hyperqueue.Nothing


def test_job():
    job = Job(default_workdir=Path("a/../b"))
    assert job.default_workdir == str(Path.cwd() / "b")
    tasks = [job.program(["a"]), job.program("b c"), job.function(print)]
    assert job.tasks == tasks and [task.task_id for task in tasks] == [0, 1, 2]
    assert job.task_map == dict(enumerate(tasks))
    assert job.task_by_id(1) is tasks[1] and job.task_by_id(3) is None
    assert tasks[1].args == ["b c"]
    assert tasks[0].cwd == job.default_workdir and tasks[0].stdin is None
    assert [task.label for task in tasks] == ["0", "1", "print/2"]
    assert Job().max_fails == 1 and Job(max_fails=None).max_fails is None
    assert Job().name is None and Job().default_env == {} and Job().default_workdir is None


def test_tasks_keep_what_they_were_given():
    job = Job(default_env={"A": "1"})
    env, args = {"B": "2"}, ["true"]
    task = job.program(args, env=env, stdin="é", task_dir=True, name="n", priority=2,
                       crash_limit=3)
    env["C"] = "3"
    args.append("x")
    assert task.env == {"A": "1", "B": "2"} and task.args == ["true"]
    assert task.stdin == "é".encode() and task.task_dir and task.label == "n"
    assert task.priority == 2 and task.crash_limit == 3 and task.dependencies == []
    assert task.stdout == StdioDef.from_path(default_stdout()) == StdioDef(
        "%{CWD}/%{TASK_ID}.stdout")
    assert task.stderr == StdioDef(default_stderr())


@pytest.mark.parametrize("options", [
    {"args": 3}, {"args": [1]}, {"args": b"true"}, {"args": {"a": 1}}, {"args": None},
    {"env": [("a", "b")]}, {"env": {"a": 1}}, {"env": {1: "a"}}, {"cwd": 1}, {"cwd": ""},
    {"stdout": 1}, {"stdout": ""}, {"stderr": b"x"}, {"deps": [1]}, {"deps": "0"},
    {"deps": 1}, {"priority": "1"}, {"priority": 1.5}, {"priority": True},
    {"resources": {"cpus": 1}}, {"resources": ["cpus"]}, {"crash_limit": 0},
    {"crash_limit": 65536}, {"crash_limit": "never"}, {"crash_limit": -1},
    {"time_limit": 10},
])
def test_arguments_that_are_refused(options):
    job = Job()
    with pytest.raises((ValidationException, TypeError)):
        job.program(options.pop("args", ["true"]), **options)
    assert job.tasks == [] and job.task_map == {}


def test_stdin_of_another_type():
    for wrong in (3, ["a"], bytearray(b"a")):
        with pytest.raises(Exception, match="^stdin has to be str, bytes, or None$"):
            Job().program(["cat"], stdin=wrong)


def test_dependency_of_another_job():
    """Its id would mean another task."""
    job, other = Job(), Job()
    job.program(["a"])
    foreign = other.program(["b"], name="foreign")
    with pytest.raises(ValidationException, match="task `foreign` is of another job"):
        job.program(["c"], deps=[foreign])


@pytest.mark.parametrize("options", [
    {"weight": "x"}, {"weight": []}, {"weight": 0}, {"weight": float("nan")},
    {"weight": float("inf")}, {"n_nodes": -1}, {"n_nodes": "1"}, {"cpus": None}, {"cpus": True}, {"resources": [1]},
    {"resources": {1: 1}}, {"resources": {"a": None}}, {"min_time": 3},
])
def test_requests_that_are_refused(options):
    with pytest.raises(ValidationException):
        ResourceRequest(**options)


def test_request():
    request = ResourceRequest(cpus="2 compact!", resources={"cpus": 1, "gpus": 0.5})
    assert request.resources == {"cpus": "2 compact!", "gpus": 0.5}
    assert request.n_nodes == 0 and request.min_time is None
    assert ResourceRequest() == ResourceRequest(cpus=1)


@pytest.mark.parametrize("options", [{"max_fails": -1}, {"max_fails": "1"}, {"name": 1},
                                     {"default_env": {"a": 1}}, {"default_workdir": 1},
                                     {"stream": ""}])
def test_jobs_that_are_refused(options):
    with pytest.raises(ValidationException):
        Job(**options)


class Place:
    """A path object of another class, as py.path has them."""

    def __fspath__(self):
        return "/place"


class Number:
    """Prints otherwise than Python's own numbers do, as numpy's do."""

    def __index__(self):
        return 7


class Fraction(float):
    def __repr__(self):
        return f"np.float64({float(self)})"


def test_values_of_other_classes():
    job = Job(max_fails=Number(), default_workdir=Place(), stream=Place())
    job.program(["a"], stdout=Place(), stderr=StdioDef(Place()), priority=Number(),
                crash_limit=Number(), resources=ResourceRequest(
                    n_nodes=Number(), cpus=Number(), resources={"a": Fraction(0.5)}))
    assert job_file(job._build(PythonEnv())).decode().splitlines()[1:] == [
        "max_fails = 7", 'stream = "/place"', "[[task]]", "id = 0", 'command = ["a"]',
        'stdout = {"path" = "/place", "on_close" = "none"}',
        'stderr = {"path" = "/place", "on_close" = "none"}', 'cwd = "/place"', "priority = 7",
        "crash_limit = 7",
        'request = [{"resources" = {"a" = 0.5, "cpus" = 7}, "n_nodes" = 7}]']


def test_stdio():
    assert StdioDef.remove_if_finished("x") == StdioDef("x", "rm-if-finished")
    assert StdioDef.remove_if_finished().path is None
    with pytest.raises(ValidationException):
        StdioDef("x", "remove")


def test_job_file():
    tasks = [
        TaskDescription(id=0, args=["a", 'q"\\\x7f\n'], stdout=StdioDef(), stderr=None),
        TaskDescription(
            id=1, args=[], env={"A": "ü"}, cwd="/w", stdin=b"\0\xff", dependencies=[0],
            stdout=StdioDef.remove_if_finished(), stderr=StdioDef("e"), task_dir=True,
            priority=-1, crash_limit="unlimited", time_limit=timedelta(seconds=1.5),
            pin="omp", resource_request=[ResourceRequest(
                n_nodes=2, resources={"a/b": 0.5}, min_time=timedelta(days=2), weight=2)]),
    ]
    assert job_file(JobDescription("j", tasks, 4, "s")).decode() == r"""name = "j"
max_fails = 4
stream = "s"
[[task]]
id = 0
command = ["a", "q\"\\\u007f\n"]
stderr = "none"
[[task]]
id = 1
command = []
stdout = {"path" = "%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stdout", "on_close" = "rm-if-finished"}
stderr = {"path" = "e", "on_close" = "none"}
env = {"A" = "ü"}
cwd = "/w"
stdin = {base64 = "AP8="}
deps = [0]
task_dir = true
priority = -1
crash_limit = "unlimited"
time_limit = "1500000us"
pin = "omp"
request = [{"resources" = {"a/b" = 0.5, "cpus" = 1}, "n_nodes" = 2, """ \
        r""""time_request" = "172800000000us", "weight" = 2.0}]
"""


def test_selectors():
    assert _selectors([]) == []
    assert _selectors([5]) == ["5"]
    assert _selectors([3, 1, 2, 9, 2, 11, 10]) == ["1-3,9-11"]
    odd = _selectors(range(2**32 - 1, 2**32 - 20001, -2))
    assert ",".join(odd).split(",") == [str(id) for id in range(2**32 - 19999, 2**32, 2)]
    assert len(odd) == 2 and max(map(len, odd)) < 128 * 1024


def test_command_of_functions():
    code = "from hyperqueue.task.function import task_main as m; m()"
    assert PythonEnv().command() == ["python3", "-c", code]
    env = PythonEnv(python_bin="py", prologue="ml Python", shell="zsh")
    assert env.command() == ["zsh", "-c", f'ml Python\n\npy -c "{code}"']


def test_message_of_failed_jobs():
    job = Job()
    job.program(["a"], name="first")
    error = FailedJobsException({
        4: {0: FailedTaskContext("broken\n", "/w", "/w/o", None), 1: FailedTaskContext("gone")},
        5: {}}, {4: job})
    assert str(error) == """\
The following tasks of job `4` have failed:
Task first (id=0):
broken
You can find more information here:
Working directory: /w
Stdout: /w/o
Task 1 (id=1):
gone
Tasks of job `5` were canceled"""


def test_picture(tmp_path):
    job = Job()
    first = job.program(["a"], name='with "quotes" and \\')
    second = job.function(print, deps=[first])
    job.program(["c"], deps=[first, second])
    visualize_job(job, tmp_path / "job.dot")
    assert (tmp_path / "job.dot").read_text() == """\
digraph {
    0 [label="with \\"quotes\\" and \\\\"];
    1 [label="print/1"];
    2 [label="2"];
    0 -> 1;
    0 -> 2;
    1 -> 2;
}
"""


def test_exceptions_can_be_caught():
    assert issubclass(ValidationException, Exception)
    assert "`p`" in str(MissingPackageException("p", "why"))


def test_typed():
    """Where mypy is installed."""
    if subprocess.run([sys.executable, "-m", "mypy", "--version"],
                      capture_output=True).returncode:
        pytest.skip("no mypy")
    package = Path(hyperqueue.__file__).parent
    told = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null",
                           str(package)], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout
