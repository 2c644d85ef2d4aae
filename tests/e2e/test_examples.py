"""The examples do their work through the real system."""
import re
import shutil

import pytest

from harness import HQ, ROOT


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
