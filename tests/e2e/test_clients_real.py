"""The real Nextflow and the real AiiDA, where they are installed.

`nextflow` and `verdi` (aiida-core with aiida-hyperqueue) are looked for on the PATH; both
are too large to be installed for every test run. What they send and read is replayed, call
by call, in test_clients_nextflow.py and test_clients_aiida.py.
"""
import re
import shutil
import signal
from pathlib import Path

import pytest

from harness import wait_until

NEXTFLOW = shutil.which("nextflow")
VERDI = shutil.which("verdi")
needs_nextflow = pytest.mark.skipif(not NEXTFLOW, reason="no nextflow on the PATH")
needs_aiida = pytest.mark.skipif(not VERDI, reason="no verdi (AiiDA) on the PATH")
OFFLINE = {"NXF_OFFLINE": "true", "NXF_PLUGINS_DEFAULT": "false"}


# ---- Nextflow ----------------------------------------------------------------------

PIPELINE = """
process MAKE {
  cpus 2
  time '5m'
  memory '50 MB'
  tag "sample $x"
  input: val x
  output: tuple val(x), path("part ${x}.txt")
  script: "seq 1 1000 > 'part ${x}.txt'; echo made $x; echo and told >&2"
}
process RETRIED {
  errorStrategy 'retry'
  maxRetries 2
  input: tuple val(x), path('in.txt')
  output: path "n_*"
  script: "[ ${task.attempt} -gt 1 ] || [ $x != 3 ] || exit 7; wc -l < in.txt > n_$x"
}
process TOO_SLOW {
  time '1s'
  errorStrategy 'ignore'
  script: "sleep 600"
}
process SUM {
  publishDir 'results', mode: 'copy'
  input: path parts
  output: path 'sum.txt'
  script: "cat n_* | awk '{s += \\$1} END {print s}' > sum.txt"
}
workflow {
  MAKE(Channel.of(1..8)); RETRIED(MAKE.out); SUM(RETRIED.out.collect()); TOO_SLOW()
}
"""


def asks_for_a_stream(env):
    """Up to 24.10 it asks for a log of each task's own, which leaves no place for another."""
    version = re.search(r"version (\d+)\.(\d+)",
                        env.run(NEXTFLOW, "-version", env=OFFLINE, timeout_s=60).stdout)
    return (int(version[1]), int(version[2])) >= (25, 4)


@needs_nextflow
@pytest.mark.parametrize("shared_log", [False, True])
def test_nextflow_pipeline(env, shared_log):
    if shared_log and not asks_for_a_stream(env):
        pytest.skip("this nextflow cannot have one log for all tasks")
    env.start_worker("--resource", "mem=sum(1000)", cpus=4)
    env.write("main.nf", PIPELINE)
    options = 'clusterOptions = "--log $launchDir/run.hqlog"\n' if shared_log else ""
    env.write("nextflow.config", f"process {{\nexecutor = 'hq'\n{options}}}\n")
    env.run(NEXTFLOW, "run", "main.nf", "-ansi-log", "false", "-with-trace", "trace.txt",
            "-w", env.work / "work dir", env=OFFLINE, timeout_s=300)
    assert env.read("results/sum.txt").strip() == "8000"
    header, *rows = [line.split("\t") for line in env.read("trace.txt").splitlines()]
    name, status, code = (header.index(word) for word in ("name", "status", "exit"))
    ends = sorted((row[name].split()[0], row[status], row[code]) for row in rows)
    assert ends == sorted(
        [("MAKE", "COMPLETED", "0")] * 8 + [("RETRIED", "COMPLETED", "0")] * 8 +
        [("RETRIED", "FAILED", "7"), ("SUM", "COMPLETED", "0")] +
        [row for row in ends if row[0] == "TOO_SLOW"])
    assert [row[1] for row in ends if row[0] == "TOO_SLOW"] == ["FAILED"]
    assert len(env.json("job", "list", "--all")) == 8 + 9 + 1 + 1
    assert env.json("job", "list") == []


@needs_nextflow
def test_nextflow_cancels_what_it_has_submitted(pair):
    pair.write("main.nf", """
process SLOW {
  executor 'hq'
  input: val x
  script: "sleep 600"
}
workflow { SLOW(Channel.of(1..6)) }
""")
    nextflow = pair.spawn("nextflow", NEXTFLOW, "run", "main.nf", "-ansi-log", "false",
                          env=OFFLINE)
    wait_until(lambda: len(pair.json("job", "list")) == 6, "six jobs", timeout_s=60)
    nextflow.send(signal.SIGINT)
    nextflow.wait(60)
    pair.hq("job", "wait", "all")
    jobs = pair.json("job", "list", "--all")
    assert [job["task_stats"]["canceled"] for job in jobs] == [1] * 6


# ---- AiiDA -------------------------------------------------------------------------

CALCULATIONS = """
import sys
from aiida import engine, load_profile, orm
from aiida.plugins import CalculationFactory

load_profile()
computer = orm.Computer(label='here', hostname='localhost', transport_type='core.local',
                        scheduler_type='hyperqueue', workdir=sys.argv[1]).store()
computer.configure(use_login_shell=False)
computer.set_minimum_job_poll_interval(1)
add = CalculationFactory('core.arithmetic.add')

def run(program, **options):
    code = orm.InstalledCode(computer=computer, filepath_executable=program,
                             default_calc_job_plugin='core.arithmetic.add').store()
    return engine.run_get_node(add, x=orm.Int(2), y=orm.Int(5), code=code, metadata={
        'options': {'resources': {'num_cpus': 1, 'memory_mb': 50}, **options}})

results, node = run('/bin/bash', max_wallclock_seconds=600)
print('sum', results['sum'].value, 'exit', node.exit_status, node.get_scheduler_stderr())
results, node = run('/bin/false')
print('exit', node.exit_status, node.process_state.value)
"""


@needs_aiida
def test_aiida_calculations(env):
    env.start_worker("--resource", "mem=sum(1000)", cpus=2)
    variables = {"AIIDA_PATH": env.root / "aiida", "PYTHONWARNINGS": "ignore"}
    (env.root / "aiida").mkdir()
    env.run(VERDI, "presto", env=variables, timeout_s=120)
    python = Path(VERDI).parent / "python"
    script = env.write("calculations.py", CALCULATIONS)
    done = env.run(python, script, env.work / "calculations", env=variables,
                    timeout_s=200)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["sum", "7", "exit", "0"]
    assert lines[1].startswith("exit 3")
    assert [job["name"].startswith("aiida-") for job in env.json("job", "list", "--all")
            ] == [True, True]
