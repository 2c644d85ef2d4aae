"""hq worker hwdetect: what it prints in each mode, without a server."""
import os
import re

import pytest

from harness import HQ


def pools(bare, *args, **kwargs):
    found = bare.json("worker", "hwdetect", *args, **kwargs)
    assert set(found) == {"coupling", "resources"} and found["coupling"] == {"weights": []}
    return {r["name"]: r for r in found["resources"]}


def cpu_ids(pool):
    if pool["kind"] == "range":
        return set(range(pool["start"], pool["end"] + 1))
    groups = pool["groups"] if pool["kind"] == "groups" else [pool["values"]]
    return {int(label) for group in groups for label in group}


@pytest.mark.core
def test_json(bare):
    found = pools(bare)
    assert cpu_ids(found["cpus"]) == os.sched_getaffinity(0)
    assert found["mem"]["kind"] == "sum" and found["mem"]["size"] > 10_000
    assert list(found) == ["cpus", "mem"]


@pytest.mark.core
def test_table(bare):
    result = bare.hq("worker", "hwdetect")
    summary, full = result.stdout.split("\n\n")
    assert summary.startswith("Summary:\n") and full.startswith("Full Description:\n")
    names = [line.split(": ")[0] for line in summary.splitlines()[1:]]
    assert names[0] == "cpus" and names[-1] == "mem"
    assert re.search(r"^cpus: \d+(x\d+)?", summary, re.M)
    assert re.search(r"^mem: \d+\.\d\d [GM]iB$", summary, re.M)
    assert re.search(r"^cpus: (\[.*\]|range\(\d+-\d+\))$", full, re.M)
    assert re.search(r"^mem: sum\(\d+(\.\d+)?\)$", full, re.M)


def test_quiet(bare):
    result = bare.hq("--output-mode=quiet", "worker", "hwdetect")
    assert result.stdout == ""
    assert re.search(r"INFO Detected \d+B of memory \(\d+\.\d\d GiB\)", result.stderr)


def test_memory_is_that_of_the_machine_or_less(bare):
    total = int(re.search(r"MemTotal:\s+(\d+) kB", open("/proc/meminfo").read())[1])
    size_mib = pools(bare)["mem"]["size"] / 10_000
    assert 0 < size_mib <= total / 1024


def test_devices_of_the_environment(bare):
    variables = {"CUDA_VISIBLE_DEVICES": "3,GPU-x", "ROCR_VISIBLE_DEVICES": "0"}
    found = pools(bare, env=variables)
    assert list(found) == ["cpus", "gpus/nvidia", "gpus/amd", "mem"]
    assert found["gpus/nvidia"] == {"kind": "list", "name": "gpus/nvidia",
                                    "values": ["3", "GPU-x"]}
    assert found["gpus/amd"]["values"] == ["0"]
    result = bare.hq("worker", "hwdetect", env=variables)
    assert "Detected GPUs 3,GPU-x from `CUDA_VISIBLE_DEVICES`" in result.stderr
    assert "gpus/nvidia: [3,GPU-x]" in result.stdout


def test_affinity_is_the_limit(bare):
    cpu = min(os.sched_getaffinity(0))
    result = bare.run("taskset", "-c", cpu, HQ, "--output-mode=json", "worker", "hwdetect")
    cpus = {r["name"]: r for r in result.json()["resources"]}["cpus"]
    assert cpu_ids(cpus) == {cpu}


def test_first_threads_only(bare):
    """One hardware thread a core; the whole set where cores have one."""
    first = set()
    for cpu in os.sched_getaffinity(0):
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        siblings = open(path).read().strip()
        if int(re.match(r"\d+", siblings)[0]) == cpu:
            first.add(cpu)
    assert cpu_ids(pools(bare, "--no-hyper-threading")["cpus"]) == first
