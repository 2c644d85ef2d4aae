"""Programs that have queues made, with the calls they make."""
import re

import pytest

from batch import Batch


@pytest.fixture
def site(bare):
    bare.batch = Batch(bare)
    bare.start_server()
    return bare


def test_aiida(site):
    """Its messages are shown to the user; nothing is on standard output."""
    out = site.hq("alloc", "add", "slurm", "--backlog", "1", "--time-limit", "1h", "--name",
                  "ahq", "--no-hyper-threading", "--workers-per-alloc", "2", "--",
                  "--partition=debug", "--account=me")
    assert out.stdout == "" and "Allocation queue 1 successfully created" in out.stderr
    assert "#SBATCH --partition=debug --account=me\n" in site.batch.script(101)
    assert " --no-hyper-threading " in site.batch.script(101)
    assert "ahq" in site.hq("alloc", "list").stdout
    removed = site.hq("alloc", "remove", "1")
    assert "Allocation queue 1 successfully removed" in removed.stderr


def test_um_bridge(site):
    site.hq("alloc", "add", "slurm", "--time-limit", "10m", "--idle-timeout", "3m",
            "--backlog", "1", "--workers-per-alloc", "1", "--max-worker-count", "5",
            "--cpus=1", "--", "-p", "devel")
    assert site.json("alloc", "list")[0]["max_worker_count"] == 5
    assert '--idle-timeout "3m"' in site.batch.script(101)


def test_heappe_chain(site):
    """All that the chain prints is the sentence of the submit."""
    out = site.run("sh", "-c", "hq alloc add slurm --time-limit=3600s -- -p Q -A PROJ "
                   "--gpus=2 && hq submit --priority=1 --time-limit=60s true;")
    assert re.fullmatch(r"Job submitted successfully, job ID: \d+\n", out.stdout)


def test_hplt(site):
    site.hq("alloc", "add", "slurm", "--name", "N", "--workers-per-alloc", "1",
            "--max-worker-count", "3", "--backlog", "10", "--idle-timeout", "30s",
            "--time-limit", "72h", "--", "-p", "small", "-A", "X", "-o", "N-%x.log")
    found = [q["id"] for q in site.json("alloc", "list") if q["name"] == "N"]
    assert found == [1] and "#SBATCH --time=72:00:00\n" in site.batch.script(101)
    site.hq("alloc", "remove", "--force", found[0])


def test_long_lived_server(site):
    site.run("bash", "-c", "[[ $(hq --output-mode=json alloc list) == '[]' ]]")


def test_prism(site):
    """Nothing behind the dashes."""
    site.hq("--server-dir", site.server_dir, "alloc", "add", "pbs", "--time-limit", "1h",
            "--no-dry-run", "--")
    listed = site.json("alloc", "list", "--output-mode", "json")
    assert listed[0]["additional_args"] == [] and listed[0]["manager"] == "PBS"
