import os
import signal
import sys
import tempfile

import pytest

from harness import Env, HQ, HQ_MPI_WORKER, PYTHON_PACKAGE, build_dir

sys.path.insert(0, str(PYTHON_PACKAGE))

TAIL_BYTES = 6000


def pytest_configure(config):
    # Shells without job control start background commands with these ignored, and what
    # is ignored stays so in every program that the tests start.
    for signo in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(signo) == signal.SIG_IGN:
            signal.signal(signo, signal.SIG_DFL)
    for marker in ("core: in the subset that also runs on sanitizer builds",
                   "long: only with tests/run.sh --long",
                   "mpi: needs hq-mpi-worker and mpirun",
                   "slurm: needs the Slurm lab"):
        config.addinivalue_line("markers", marker)
    if not HQ.exists():
        raise pytest.UsageError(f"no hq in {build_dir()}; build it or set HQ_BUILD")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not os.environ.get("HQ_TEST_LONG"):
            item.add_marker(pytest.mark.skip(reason="only with --long"))
        if item.get_closest_marker("mpi") and not HQ_MPI_WORKER.exists():
            item.add_marker(pytest.mark.skip(reason="built without MPI"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Appends the logs of all processes to the report of a failed test."""
    report = (yield).get_result()
    setattr(item, f"failed_{report.when}", report.failed)
    env = getattr(item, "hq_env", None)
    if report.failed and env:
        for process in env.processes:
            if not process.log.exists():
                continue  # a failed teardown has removed it
            report.sections.append((f"{process.name} {process.pid}",
                                    process.text()[-TAIL_BYTES:]))


@pytest.fixture
def bare(request):
    """Scratch directory and command runner, nothing started."""
    env = Env()
    request.node.hq_env = env
    yield env
    left = env.leave()
    if getattr(request.node, "failed_call", False) and os.environ.get("HQ_TEST_KEEP"):
        print("kept:", env.root)
    else:
        env.remove()
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def env(bare):
    """A running server, no worker."""
    bare.start_server()
    return bare


@pytest.fixture
def pair(env):
    """A running server and one worker with two CPUs."""
    env.worker = env.start_worker(cpus=2)
    return env


@pytest.fixture
def api(bare, monkeypatch):
    """The scratch directory for uses of the Python package inside of the tests: what
    they start belongs to it. Nothing is started yet."""
    bare.vars["PYTHONPATH"] = str(PYTHON_PACKAGE)
    for name in set(os.environ) - set(bare.vars):
        monkeypatch.delenv(name)
    for name, value in bare.vars.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", bare.vars["TMPDIR"])
    monkeypatch.chdir(bare.work)
    return bare
