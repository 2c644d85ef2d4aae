"""hq worker hwdetect: what the process may use, drawings, other machines' topologies."""
import os
import re

import pytest

from harness import ROOT

TOPOLOGIES = ROOT / "tests" / "fixtures" / "topologies"
ALLOWED = sorted(os.sched_getaffinity(0))
TEXT = re.compile(r"Summary:\n(.+\n)+\nFull Description:\n(.+\n)+\Z")


def detect(bare, *args, **kwargs):
    """Resources by name."""
    found = bare.json("worker", "hwdetect", *args, **kwargs)
    return {r["name"]: r for r in found["resources"]}


def cpus_in(resource):
    groups = resource.get("groups") or [resource["values"]]
    return sorted(int(c) for group in groups for c in group)


def test_text_and_json(bare):
    """No server is needed; the text has two parts and nothing else."""
    text = bare.hq("worker", "hwdetect").stdout
    assert TEXT.match(text), text
    resources = detect(bare)
    assert cpus_in(resources["cpus"]) == ALLOWED
    assert resources["mem"]["kind"] == "sum" and resources["mem"]["size"] > 0
    found = bare.json("worker", "hwdetect")
    assert found["coupling"] == {"weights": []} and "topology" not in found
    assert bare.hq("--output-mode", "quiet", "worker", "hwdetect").stdout == ""


@pytest.mark.skipif(len(ALLOWED) < 2, reason="needs two CPUs")
def test_only_what_taskset_allows(bare):
    result = bare.run("taskset", "-c", ALLOWED[0], "hq", "--output-mode", "json",
                      "worker", "hwdetect")
    cpus = result.json()["resources"][0]
    assert cpus_in(cpus) == [ALLOWED[0]]
    assert "Some cores were filtered by a CPU mask" in result.stderr


def test_slurm_memory(bare):
    job = {"SLURM_JOB_ID": 7, "SLURM_MEM_PER_NODE": 2000}
    bare.start_server()
    bare.start_worker("--manager", "slurm", cpus=None, env={**job, "PATH": "/nonexistent"})
    resources = bare.workers()[0]["configuration"]["resources"]["resources"]
    sizes = {r["name"]: r.get("size") for r in resources}
    assert sizes["mem"] == 2000 * 10000


def test_slurm_without_binding(bare):
    """A job may use more cores than it was given CPUs: all are offered, with a warning."""
    nodes = bare.json("worker", "hwdetect", "--drawing")["topology"]["nodes"]
    if sum(len(node.get("cores", [])) for node in nodes) < 2:
        pytest.skip("needs two cores")
    job = {"SLURM_JOB_ID": 7, "SLURM_CPUS_ON_NODE": 1, "SLURM_MEM_PER_CPU": 300}
    bare.start_server()
    worker = bare.start_worker("--manager", "slurm", cpus=None,
                               env={**job, "PATH": "/nonexistent"})
    resources = {r["name"]: r
                 for r in bare.workers()[0]["configuration"]["resources"]["resources"]}
    assert cpus_in(resources["cpus"]) == ALLOWED
    assert resources["mem"]["size"] == 300 * 10000
    assert f"Slurm gave this job 1 CPU of this node, and it may use {len(ALLOWED)}" in \
        worker.text()


def test_drawing(bare):
    text = bare.hq("worker", "hwdetect", "--drawing").stdout
    drawing = text[text.index("\nDrawing:\n"):]
    inside = [int(n) for core in re.findall(r"\[([\d ]+)\]", drawing)
              for n in core.split()]
    assert sorted(inside) == ALLOWED and "NUMA node" in drawing
    nodes = bare.json("worker", "hwdetect", "--drawing")["topology"]["nodes"]
    cores = [core for node in nodes for core in node.get("cores", [])]
    assert sorted(c for core in cores for c in core["cpus"]) == ALLOWED


def test_another_machine(bare):
    """All of it, whatever this process may use and its environment names."""
    env = {"CUDA_VISIBLE_DEVICES": "9"}
    file = TOPOLOGIES / "two-sockets.xml"
    text = bare.hq("worker", "hwdetect", "--topology", file, "--no-hyper-threading",
                   "--drawing", env=env).stdout
    assert text.startswith("Summary:\ncpus: 2x8\ngpus/nvidia: 4\nmem: 128.00 GiB\n\n"
                           "Full Description:\ncpus: [[0,1,2,3,4,5,6,7],"
                           "[8,9,10,11,12,13,14,15]]\ngpus/nvidia: range(0-3)\n")
    assert "|     gpu nvidia 2  0000:86:00.0" in text
    found = bare.json("worker", "hwdetect", "--topology", file, "--drawing")
    beside = {entry["node"]: {r["name"]: r["values"] for r in entry["resources"]}
              for entry in found["locality"]}
    assert beside[0]["gpus/nvidia"] == ["0", "1"] and beside[1]["gpus/nvidia"] == ["2", "3"]
    assert "16" in beside[0]["cpus"] and "24" in beside[1]["cpus"]
    devices = {d["name"]: d["node"] for d in found["topology"]["devices"]
               if d["kind"] == "fabric"}
    assert devices == {"mlx5_0": 0, "mlx5_1": 1}


@pytest.mark.parametrize("name, cpus", [
    ("epyc-numa-per-l3", "8x8"), ("hybrid", "16"), ("limited-slice", "1x4 1x6"),
    ("memory-only-nodes", "2x4"), ("offline-cpus", "2x4"), ("two-sockets-no-smt", "2x8")])
def test_machines(bare, name, cpus):
    text = bare.hq("worker", "hwdetect", "--topology", TOPOLOGIES / f"{name}.xml").stdout
    assert text.startswith(f"Summary:\ncpus: {cpus}\n")


@pytest.mark.parametrize("content", [
    "", "no xml", "<topology version='2.0'>", "<?xml version='1.0'?><a/>",
    "<topology version='9.0'></topology>",
    (ROOT / "tests/fuzz/corpus/topology/contradicting-sets").read_bytes().decode("latin-1")])
def test_broken_topology(bare, content):
    file = bare.write("machine.xml", content)
    result = bare.hq("worker", "hwdetect", "--topology", file, code=1)
    assert result.stdout == "" and str(file) in result.stderr
    assert "topology" in result.stderr


def test_topology_that_is_not_there(bare):
    result = bare.hq("worker", "hwdetect", "--topology", "missing.xml", code=1)
    assert "missing.xml" in result.stderr and result.stdout == ""
    assert bare.hq("worker", "hwdetect", "--topology", "", code=2).stdout == ""


def test_gpus_of_the_environment(bare):
    resources = detect(bare, env={"CUDA_VISIBLE_DEVICES": "GPU-aa,GPU-bb",
                                  "ROCR_VISIBLE_DEVICES": "1"})
    assert resources["gpus/nvidia"]["values"] == ["GPU-aa", "GPU-bb"]
    assert resources["gpus/amd"]["values"] == ["1"]
    twice = bare.hq("worker", "hwdetect", env={"CUDA_VISIBLE_DEVICES": "1,1"})
    assert "contains duplicates (1,1)" in twice.stderr and "gpus" not in twice.stdout
    assert "gpus/amd" not in detect(bare, env={"ROCR_VISIBLE_DEVICES": ""})


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_words_for_no_gpu(bare, value):
    """People write -1, Slurm writes NoDevFiles in a job without GPUs."""
    result = bare.hq("worker", "hwdetect", env={"CUDA_VISIBLE_DEVICES": value})
    assert "gpus" not in result.stdout and "Detected GPUs" not in result.stderr
