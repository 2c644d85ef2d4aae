"""Snakemake, the real program, submits its rules through hq.

Each of its jobs starts Snakemake again, so a job costs most of a second of processor time;
the workflow of a few hundred rules is therefore one of the long tests. From version 8 on the
plugin cluster-generic takes the place of --cluster.
"""
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import wait_until

SNAKEMAKE = shutil.which("snakemake") or next(
    (str(p) for p in [Path("/usr/bin/snakemake")] if p.exists()), None)
pytestmark = pytest.mark.skipif(not SNAKEMAKE, reason="no snakemake (package snakemake)")

# A sample passes two rules, one rule gathers all.
RULES = """
SAMPLES = range(int(config["samples"]))
rule all:
    input: "total"
rule make:
    output: "raw/{n}"
    shell: "echo {wildcards.n} > {output}"
rule square:
    input: "raw/{n}"
    output: "square/{n}"
    shell: "read n < {input}; echo $((n * n)) > {output}"
rule total:
    input: expand("square/{n}", n=SAMPLES)
    output: "total"
    shell: "cat {input} | awk '{{s += $1}} END {{print s}}' > {output}"
"""
COMMON = ("--jobs", "64", "--latency-wait", "30", "--max-jobs-per-second", "1000",
          "--max-status-checks-per-second", "100", "--nolock", "--quiet")


def cluster(submit, **programs):
    """Options for these programs in the words of the version that is installed."""
    done = subprocess.run([SNAKEMAKE, "--version"], stdout=subprocess.PIPE, text=True)
    if int(done.stdout.split(".")[0]) < 8:
        words = ["--cluster", submit]
        prefix, suffix = "--cluster-", ""
    else:
        words = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", submit]
        prefix, suffix = "--cluster-generic-", "-cmd"
    for name, program in programs.items():
        words += [f"{prefix}{name}{suffix}", program]
    return words


def snakemake(env, *args, code=0, timeout_s=120):
    return env.run(SNAKEMAKE, *COMMON, *args, code=code, timeout_s=timeout_s)


@pytest.mark.parametrize("samples", [4, pytest.param(120, marks=pytest.mark.long)])
def test_workflow(pair, samples):
    """The first line of hq submit is the id that Snakemake keeps; files tell the rest."""
    pair.write("Snakefile", RULES)
    snakemake(pair, *cluster("hq submit --cpus 1 --stdout none --stderr none"),
              "--config", f"samples={samples}", timeout_s=10 * samples + 60)
    assert pair.read("total").strip() == str(sum(n * n for n in range(samples)))
    jobs = pair.json("job", "list", "--all")
    assert len(jobs) == 2 * samples + 1
    assert all(job["task_stats"]["finished"] == 1 for job in jobs)


STATUS = """#!/bin/sh
# Snakemake gives what submit printed and reads one word.
state=$(hq --output-mode=json job info "$1" |
    sed -n 's/^ *"\\(canceled\\|failed\\|finished\\|running\\|waiting\\)": 1,*$/\\1/p')
case $state in
finished) echo success ;;
running | waiting) echo running ;;
*) echo failed ;;
esac
"""
CANCEL = """#!/bin/sh
# Ids come as words; hq takes them all in one selector.
echo "$*" >> canceled
hq job cancel "$(echo "$*" | tr ' ' ,)"
"""


def test_status_program(pair):
    pair.write("Snakefile", """
rule all:
    input: "good"
rule good:
    output: "good"
    shell: "touch {output}"
rule bad:
    output: "bad"
    shell: "kill -9 $PPID; kill -9 $$"
""")
    status = pair.write("status.sh", STATUS, 0o755)
    words = cluster("hq submit --output-mode=quiet --stdout none --stderr none",
                    status=status)
    snakemake(pair, *words)
    assert pair.states(1) == ["finished"]
    # A task killed so that no file tells of it: only the status program can.
    snakemake(pair, *words, "bad", code=1)
    assert not (pair.work / "bad").exists()


def test_cancel_program(pair):
    """On SIGINT the ids that were submitted are canceled in one call; version 7 names
    those that ended as well."""
    pair.write("Snakefile", """
rule all:
    input: "slow1", "slow2"
rule quick:
    output: "quick"
    shell: "touch {output}"
rule slow:
    input: "quick"
    output: "slow{n}"
    shell: "touch running{wildcards.n}; sleep 1000"
""")
    cancel = pair.write("cancel.sh", CANCEL, 0o755)
    run = pair.spawn("snakemake", SNAKEMAKE, *COMMON,
                     *cluster("hq submit --output-mode=quiet --stdout none --stderr none",
                              cancel=cancel))
    wait_until(lambda: (pair.work / "running1").exists() and
               (pair.work / "running2").exists(), "both rules to run", 60)
    run.send(signal.SIGINT)
    assert run.wait(60) != 0
    wait_until(lambda: [pair.stats(j) for j in (1, 2, 3)] ==
               [{"finished": 1}, {"canceled": 1}, {"canceled": 1}], "the end", 30)
    assert sorted(pair.read("canceled").split()) in (["1", "2", "3"], ["2", "3"])
