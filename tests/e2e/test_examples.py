"""The examples do their work through the real system."""
import os
import re
import shutil
import signal

import pytest

from harness import BIN, HQ, ROOT, wait_until


def copy_example(env, name):
    where = env.work / name
    shutil.copytree(ROOT / "examples" / name, where,
                    ignore=shutil.ignore_patterns("*.hqlog", "ising", "locate"))
    return where


@pytest.mark.core
@pytest.mark.mpi
def test_ising(env):
    where = copy_example(env, "ising")
    env.start_ranks(2)
    job = env.submit("-f", "flow.yml", cwd=where)
    env.wait_job(job, 300)
    assert env.stats(job) == {"finished": 178}
    text = env.log(where / "ising.hqlog", "cat", job, "stdout", "--task", "177").stdout
    found = float(re.search(r"critical temperature +([0-9.]+) ", text).group(1))
    assert abs(found - 2.269185) <= 0.005
    assert "from 176 samples" in text and "within the tolerance" in text


@pytest.mark.core
@pytest.mark.mpi
def test_corpus(env):
    where = copy_example(env, "corpus")
    env.start_ranks(2)
    result = env.run(where / "run.sh", "300", env={"HQ": HQ}, timeout_s=120)
    assert re.search(r"equal to the serial count: [1-9]", result.stdout)
    assert not list(where.glob("job-*"))


# One after another: two builds at a time in one directory break each other.
quickstart = pytest.mark.xdist_group("quickstart")


def quickstart_env(bare):
    """The script builds into build/release, so it is tested only where that is the build
    under test; TMPDIR is the test's own, which shows what it leaves behind."""
    if BIN.parent != ROOT / "build" / "release":
        pytest.skip("not the release build")
    return {"TMPDIR": bare.root / "t", "HQ_SERVER_DIR": ""}


@quickstart
@pytest.mark.mpi
def test_quickstart(bare):
    env = quickstart_env(bare)
    result = bare.run(ROOT / "examples" / "quickstart.sh", env=env, timeout_s=300)
    assert "critical temperature" in result.stdout
    assert "within the tolerance" in result.stdout
    assert "all stopped" in result.stdout
    assert list((bare.root / "t").glob("hq-quickstart*")) == []


@quickstart
@pytest.mark.mpi
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_quickstart_interrupted(bare, signo):
    env = quickstart_env(bare)
    script = bare.spawn("quickstart", "env", "--default-signal=INT",
                        ROOT / "examples" / "quickstart.sh", env=env)

    def runs():
        assert script.running, script.text()
        return "Running a workflow" in script.text()

    wait_until(runs, "the workflow", 300)
    # As a terminal does: to the whole group.
    os.killpg(script.pid, signo)
    assert script.wait(60) == 128 + signo
    assert "all stopped" in script.text()
    wait_until(lambda: not bare.tagged(), "everything to end")
    assert list((bare.root / "t").glob("hq-quickstart*")) == []


@quickstart
@pytest.mark.mpi
def test_quickstart_cleans_up_after_a_failure(bare):
    """An mpirun that cannot start anything."""
    env = quickstart_env(bare)
    bare.script("bin/mpirun", "echo no slots >&2; exit 1\n")
    env["PATH"] = f"{bare.work}/bin:{bare.vars['PATH']}"
    result = bare.run(ROOT / "examples" / "quickstart.sh", env=env, code=1, timeout_s=300)
    assert "failed: mpirun" in result.stderr and "no slots" in result.stderr
    assert "all stopped" in result.stdout
