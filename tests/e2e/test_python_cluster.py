"""The Python package: clusters of this machine, installation."""
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import PYTHON_PACKAGE, ROOT, wait_until
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.client import HqException
from hyperqueue.validation import ValidationException


def workers(api, cluster):
    return api.json("--server-dir", cluster.server_dir, "worker", "list")


def test_cluster(api):
    with LocalCluster(api.server_dir) as cluster:
        assert cluster.server_dir == cluster.cluster.server_dir == str(api.server_dir)
        assert workers(api, cluster) == []
        assert api.json("server", "info")["journal_path"] is None
        cluster.start_worker(WorkerConfig(cores=3))
        cluster.start_worker()
        first, second = (worker["configuration"] for worker in workers(api, cluster))
        assert first["resources"]["resources"] == [
            {"end": 2, "kind": "range", "name": "cpus", "start": 0}]
        assert first["group"] == "default" and first["on_server_lost"] == "stop"
        client = cluster.client()
        job = Job()
        job.program(["sh", "-c", "echo $HQ_CPUS"])
        client.wait_for_jobs([client.submit(job)])
        assert Path("0.stdout").exists()
    assert api.tagged() == []


def test_worker_at_once_in_a_temporary_directory(api, monkeypatch):
    with LocalCluster(worker_config=WorkerConfig(cores=1)) as cluster:
        assert len(workers(api, cluster)) == 1
        job = Job()
        job.program("true")
        client = cluster.client(python_env=None)
        client.wait_for_jobs([client.submit(job)])
        assert Path(cluster.server_dir).parent == Path(api.vars["TMPDIR"])
        assert Path(cluster.server_dir, "server.log").exists()
    assert os.listdir(api.vars["TMPDIR"]) == []
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HqException, match="not on the PATH"):
        LocalCluster()
    assert os.listdir(api.vars["TMPDIR"]) == []


def test_stop_ends_running_tasks_and_comes_once(api):
    cluster = LocalCluster(api.server_dir, WorkerConfig(cores=2))
    job = Job()
    job.program(["sleep", "60"])
    client = cluster.client()
    client.submit(job)
    wait_until(lambda: client.connection._call("job", "list").json()[0]["task_stats"]
               ["running"], "the task to run")
    cluster.stop()
    wait_until(lambda: api.tagged() == [], "the task to end")
    with pytest.raises(Exception, match="has been stopped already"):
        cluster.stop()
    with pytest.raises(Exception, match="has been stopped"):
        cluster.start_worker()
    with pytest.raises(HqException):
        cluster.client()


def test_stop_inside_of_the_block(api):
    with LocalCluster(api.server_dir) as cluster:
        cluster.stop()
    with pytest.raises(ZeroDivisionError):
        with LocalCluster(api.server_dir):
            raise ZeroDivisionError
    assert api.tagged() == []


@pytest.mark.parametrize("how", ["end", "killed"])
def test_cluster_ends_with_its_program(api, how):
    script = api.write("program.py", """
import sys
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
cluster = LocalCluster(worker_config=WorkerConfig(cores=1))
job = Job()
job.program(["sleep", "60"])
cluster.client().submit(job)
print("ready", flush=True)
if sys.argv[1] == "killed":
    sys.stdin.read() or __import__("signal").pause()
""")
    program = api.spawn("program", sys.executable, script, how)
    wait_until(lambda: "ready" in program.text(), "the cluster")
    if how == "killed":
        program.send(signal.SIGKILL)
    program.wait()
    wait_until(lambda: api.tagged() == [], "the cluster to end")
    wait_until(lambda: os.listdir(api.vars["TMPDIR"]) == [], "its directory to go")


def test_clusters_that_cannot_start(api, monkeypatch):
    with LocalCluster(api.server_dir):
        with pytest.raises(HqException, match="is already online"):
            LocalCluster(api.server_dir)
        assert api.json("job", "list") == []  # the first one is untouched
    with pytest.raises(OSError):
        LocalCluster(api.write("file", ""))
    for cores in (0, -1, "4", 1.5, True):
        with pytest.raises(ValidationException, match="cores"):
            LocalCluster(api.server_dir, WorkerConfig(cores=cores))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HqException, match="not on the PATH"):
        LocalCluster(api.server_dir)
    assert api.tagged() == []


def test_worker_that_ends_at_its_start(api, monkeypatch):
    program = api.script("hq", f'''case "$*" in
*"worker start"*) echo no luck >&2; exit 4;;
*) exec {shutil.which("hq")} "$@";;
esac''')
    monkeypatch.setenv("HQ_PROGRAM", str(program))
    with pytest.raises(HqException, match="the worker-1 has ended with status 4: no luck"):
        LocalCluster(api.server_dir, WorkerConfig(cores=1))
    assert api.tagged() == []


def test_interrupt_is_left_to_the_program(api):
    """A terminal sends Ctrl-C to all processes of the program's group."""
    script = api.write("program.py", """
import os, signal, sys
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
with LocalCluster(sys.argv[1], WorkerConfig(cores=1)) as cluster:
    try:
        os.killpg(0, signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        pass
    job = Job()
    job.program(["true"])
    client = cluster.client()
    client.wait_for_jobs([client.submit(job)])
    print("still at work")
""")
    assert api.run(sys.executable, script, api.server_dir).stdout == "still at work\n"


# --- the package -----------------------------------------------------------------------


def test_installation(api):
    """As people do, from a copy of the sources."""
    pytest.importorskip("ensurepip")
    shutil.copytree(PYTHON_PACKAGE, api.work / "source", ignore=shutil.ignore_patterns(
        "__pycache__", "build", "*.egg-info"))
    api.run(sys.executable, "-m", "venv", "venv", timeout_s=120)
    python = api.work / "venv/bin/python"
    told = api.run(python, "-m", "pip", "install", "--disable-pip-version-check", "--retries=0",
                   "./source", env={"PYTHONPATH": ""}, code=None, timeout_s=120)
    if told.code and re.search("No matching distribution found for (setuptools|wheel)",
                               told.stderr):
        pytest.skip("no setuptools to be had")
    assert told.code == 0, told
    api.vars.pop("PYTHONPATH")
    script = api.write("script.py", """
import sys, hyperqueue
from hyperqueue import Job, LocalCluster, get_version
from hyperqueue.cluster import WorkerConfig
from hyperqueue.task.function import PythonEnv
assert "venv" in hyperqueue.__file__
with LocalCluster(sys.argv[1], WorkerConfig(cores=1)) as cluster:
    job = Job()
    job.function(print, args=("from a task", get_version()))
    client = cluster.client(python_env=PythonEnv(sys.executable))
    client.wait_for_jobs([client.submit(job)])
""")
    api.run(python, script, api.server_dir)
    version = re.search(r"VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text().split(
        "project(")[1])[1]
    assert Path("0.stdout").read_text() == f"from a task {version}\n"
    told = api.run(python, "-m", "pip", "--disable-pip-version-check", "show",
                   "hyperqueue").stdout
    assert f"Version: {version}\n" in told
    assert (next((api.work / "venv/lib").glob("python3*/site-packages/hyperqueue/py.typed"))
            .exists())


def test_import_of_a_task_is_quick():
    """Each function task starts an interpreter: it loads nothing that runs commands."""
    probe = ("import sys; import hyperqueue.task.function; "
             "print(*(m for m in ('subprocess', 'tempfile', 'hyperqueue.client') "
             "if m in sys.modules))")
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(PYTHON_PACKAGE)}, check=True)
    assert told.stdout == "\n"
