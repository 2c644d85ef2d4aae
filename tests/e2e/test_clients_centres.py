"""Job scripts of computing centres and training courses, run as they stand.

`srun` and `numactl` are stand-ins on PATH where the scripts use them.
"""
import json
import os
import signal
import socket

import pytest

from harness import wait_until


def stand_in(env, name, body):
    """A program of that name in front of PATH."""
    folder = env.root / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("#!/bin/bash\n" + body)
    (folder / name).chmod(0o755)
    if not env.vars["PATH"].startswith(f"{folder}:"):
        env.vars["PATH"] = f"{folder}:{env.vars['PATH']}"


def srun(env, tasks):
    """Starts what comes behind its options once per task."""
    stand_in(env, "srun", f"""
echo "$*" >> "$HOME/srun.log"
while [[ $1 == -* ]]; do shift; done
for ((i = 0; i < {tasks}; i++)); do SLURM_PROCID=$i "$@" & done
wait
""")


def bash(run, script, *args, **kwargs):
    path = run.write("job.sh", script, 0o755)
    return run.run("bash", path, *args, timeout_s=60, **kwargs)


CSC = """#!/bin/bash
export HQ_SERVER_DIR="$PWD/hq-server/$SLURM_JOB_ID"
mkdir -p "$HQ_SERVER_DIR"
hq server start &
until hq job list &> /dev/null ; do sleep 1 ; done
srun --overlap --cpu-bind=none --mpi=none hq worker start \\
    --manager slurm \\
    --on-server-lost finish-running \\
    --cpus="$SLURM_CPUS_PER_TASK" &
hq worker wait "$SLURM_NTASKS"
hq submit --stdout=none --stderr=none --cpus=1 --array=1-100 ./task.sh
hq job wait all
hq worker stop all
hq server stop
wait
"""


@pytest.mark.core
def test_csc(bare):
    srun(bare, 2)
    bare.write("task.sh", '#!/bin/bash\necho "$HQ_TASK_ID" >> "done.$HQ_TASK_ID"\n', 0o755)
    done = bash(bare, CSC, env={"SLURM_JOB_ID": 4711, "SLURM_NTASKS": 2,
                                "SLURM_CPUS_PER_TASK": 2})
    assert "Job submitted successfully, job ID: 1\n" in done.stdout
    assert len(list(bare.work.glob("done.*"))) == 100
    assert (bare.work / "hq-server" / "4711").is_dir()
    assert not list(bare.work.glob("job-1"))


CSC_OLDER = """#!/bin/bash
hq server start --host 127.0.0.1 &
until hq jobs &> /dev/null ; do sleep 0.1 ; done
srun hq worker start --cpus=1 &
num_up=$(hq worker list | grep RUNNING | wc -l)
while true; do
    echo "Checking if workers have started"
    if [[ $num_up -eq 2 ]]; then
        echo "Workers started"
        break
    fi
    sleep 0.1
    num_up=$(hq worker list | grep RUNNING | wc -l)
done
hq submit --each-line tasks.txt bash -c 'eval "$HQ_ENTRY"'
while hq job list --all | grep -q "RUNNING\\|PENDING\\|WAITING"; do sleep 0.1; done
hq worker stop all
hq server stop
wait
"""


def test_csc_older(bare):
    srun(bare, 2)
    bare.write("tasks.txt", "touch a\ntouch 'b c'\necho x > d\n")
    bash(bare, CSC_OLDER)
    assert all((bare.work / name).exists() for name in ("a", "b c", "d"))


CSC_TRAINING = """#!/bin/bash
set -e
for i in {1..8}; do
    hq submit --stdout=none --stderr=none bash -c "echo $i > single.$i" > /dev/null &
done
wait
FILES=$(printf 'f%s\\n' 1 2 3 4 5)
hq submit --stdout "out/line-%{TASK_ID}.out" --stderr none \\
    --each-line <(echo "$FILES") bash -c 'echo "$HQ_ENTRY"'
echo '[{"a": 1}, {"a": 2}]' > in.json
B="x y"
hq submit --from-json in.json --env A="$B" --stdout "d/x-%{TASK_ID}.out" --stderr none \\
    bash -c 'echo "$A $HQ_ENTRY"'
hq job progress all > progress
hq task list last > tasks
hq task info last 1 > task
hq job wait all
"""


def test_csc_training(pair):
    bash(pair, CSC_TRAINING)
    assert [pair.read(f"single.{i}") for i in range(1, 9)] == \
        [f"{i}\n" for i in range(1, 9)]
    assert len(pair.json("job", "list", "--all")) == 10
    assert [pair.read(f"out/line-{i}.out") for i in range(5)] == \
        [f"f{i}\n" for i in range(1, 6)]
    assert pair.read("d/x-1.out") == 'x y {"a":2}\n'
    # Empty when everything has ended by then.
    assert "/10 jobs" in pair.read("progress") or not pair.read("progress")
    assert "FINISHED" in pair.read("tasks") and "x-1.out" in pair.read("task")


CSCS = """#!/bin/bash
set -e
hq server start --host 127.0.0.1 {journal} &
hq server wait --timeout=120
srun hq worker start &
hq submit --resource "cpus=1" --array 1-30 ./task.sh
hq submit --resource "gpus/nvidia=1" ./task.sh
hq job wait 1
hq job cancel 2
hq worker stop all
hq server stop
wait
"""


def test_cscs(bare):
    srun(bare, 1)
    bare.write("task.sh", '#!/bin/bash\necho hello\n', 0o755)
    bash(bare, CSCS.replace("{journal}", ""))
    assert len(list((bare.work / "job-1").glob("*.stdout"))) == 30


def test_cscs_pinned(env):
    env.start_worker(cpus=None)
    job = env.submit("--pin", "taskset", "--cpus", "1", "--", "sh", "-c",
                     "grep Cpus_allowed_list /proc/self/status")
    env.wait_job(job)
    mask = env.read(f"job-{job}/0.stdout").split()[1]
    assert mask.isdigit()


CSCS_RESUME = """#!/bin/bash
hq server start --host 127.0.0.1 --journal="$PWD/hq-journal" &
hq server wait --timeout=120
srun hq worker start --detect-resources=none --cpus 1 &
if [[ $1 == first ]]; then
    hq submit --array 1-3 ./task.sh
    while [[ ! -e run.2 ]]; do sleep 0.1; done
    # The time of the allocation is over.
    kill -9 %1 2> /dev/null
    wait 2> /dev/null
else
    touch go
    hq job wait all
    hq server stop
    wait
fi
exit 0
"""


def test_cscs_resumes_from_the_journal(bare):
    """The second job does not submit again: it starts the server with the same journal."""
    srun(bare, 1)
    bare.write("task.sh", '#!/bin/bash\necho x >> "run.$HQ_TASK_ID"\n'
               '[[ $HQ_TASK_ID == 1 || -e go ]] || exec sleep 1000\n', 0o755)
    bash(bare, CSCS_RESUME, "first")
    bash(bare, CSCS_RESUME, "second")
    assert [bare.read(f"run.{i}") for i in (1, 2, 3)] == ["x\n", "x\nx\n", "x\n"]


ESPRESO = """#!/bin/bash
hq server info > /dev/null || exit 1
for i in $(seq 40); do
    hq submit --time-request=6m --cpus="1 compact" \\
        --stdout="D/job-%{JOB_ID}-%{TASK_ID}.o.txt" \\
        --stderr="D/job-%{JOB_ID}-%{TASK_ID}.e.txt" -- ./script.sh "$i" --x 1 > /dev/null
done
for c in 0 1; do
    numactl -C $c -p 0 hq worker start --idle-timeout=1m --heartbeat=5m \\
        --time-limit=168h --detect-resources=none --cpus=1 > "w$c.log" 2>&1 &
done
hq job wait all
hq worker stop all
wait
"""


def test_espreso(env):
    stand_in(env, "numactl", 'shift 4\nexec "$@"\n')
    env.write("script.sh", '#!/bin/bash\necho "$@"\n', 0o755)
    bash(env, ESPRESO)
    assert [env.read(f"D/job-{i}-0.o.txt") for i in (1, 40)] == ["1 --x 1\n", "40 --x 1\n"]


HPLT = """#!/bin/bash
trap "hq job cancel all" INT
hq submit --each-line entries.txt --nodes 1 --progress --stream=logs --max-fails=10 \\
    --crash-limit=5 bash script.sh
"""


def test_hplt_each_line_on_whole_nodes(env):
    env.start_worker(cpus=4)
    env.write("entries.txt", "one\ntwo\nthree\n")
    env.write("script.sh", 'echo "$HQ_ENTRY on $HQ_NUM_NODES"\ntest -s "$HQ_NODE_FILE"\n')
    done = bash(env, HPLT)
    assert "3/3 tasks" in done.stdout
    assert env.stats(1) == {"finished": 3}
    assert env.log("logs", "cat", "1", "stdout").stdout == \
        "one on 1\ntwo on 1\nthree on 1\n"


HPLT_JOB = """name = "pipeline"
stream = "./logs"

[[task]]
id = 1
command = ["bash", "-c", "echo $HQ_CPUS"]
[[task.request]]
resources = { cpus = "2" }

[[task]]
id = 2
deps = [1]
command = ["bash", "-c", "echo $HQ_CPUS"]
[[task.request]]
resources = { cpus = "all" }
"""
HPLT_FILE = """
answer=$(hq job submit-file --output-mode json "$1")
jid=$(echo "$answer" | jq -r .id)
if [[ $jid == null ]]; then
    echo "$answer" | jq -r .error
    exit 1
fi
echo "$jid"
"""


def test_hplt_job_file(env):
    if not env.run("sh", "-c", "command -v jq", code=None).stdout:
        pytest.skip("no jq")
    env.write("good.toml", HPLT_JOB)
    env.write("bad.toml", HPLT_JOB.replace("deps", "depps"))
    bad = bash(env, HPLT_FILE, "bad.toml", code=1)
    assert "depps" in bad.stdout
    assert bash(env, HPLT_FILE, "good.toml").stdout == "1\n"
    env.start_worker(cpus=3)
    env.wait_job(1)
    assert env.stats(1) == {"finished": 2}
    cpus = [line.split(",") for line in env.log("logs", "cat", "1", "stdout").stdout.split()]
    assert len(cpus[0]) == 2 and sorted(cpus[1]) == ["0", "1", "2"]


def test_hplt_interrupt_cancels_all(env):
    env.start_worker(cpus=1)
    env.write("entries.txt", "one\ntwo\n")
    env.write("script.sh", "touch running\nsleep 1000\n")
    script = env.write("job.sh", HPLT, 0o755)
    run = env.spawn("hplt", "bash", script)
    wait_until(lambda: (env.work / "running").exists(), "a task")
    os.killpg(run.pid, signal.SIGINT)
    run.wait()
    wait_until(lambda: env.stats(1) == {"canceled": 2}, "the job to be canceled")


OPERATOR = """#!/bin/bash
# What the two kinds of pods of the operator do, here on one machine.
set -e
mkdir -p hq
hq server generate-access "$PWD/hq/access.json" \\
    --client-port={client} --worker-port={worker} --host=127.0.0.1
sed -i 's/"host": "127.0.0.1"/"host": "localhost"/' hq/access.json
for pod in pod1 pod2; do
    until hq --server-dir=./hq worker start --cpus=1 --hostname=$pod; do sleep 0.1; done &
done
hq server start --access-file=./hq/access.json &
until hq --server-dir=./hq worker list --output-mode json | grep -q pod2; do sleep 0.1; done
until hq --server-dir=./hq worker list --output-mode json | grep -q pod1; do sleep 0.1; done
hq --server-dir=./hq submit --wait --name lammps --nodes 2 --log "$PWD/out.log" \\
    bash -c 'sort "$HQ_NODE_FILE"'
hq log out.log cat 1 stdout > nodes
kill %1 %2
hq --server-dir=./hq worker stop all
hq --server-dir=./hq server stop
wait %3
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def test_kubernetes_operator(bare):
    client, worker = free_ports(2)
    bash(bare, OPERATOR.replace("{client}", str(client)).replace("{worker}", str(worker)))
    assert bare.read("nodes") == "pod1\npod2\n"
    access = json.loads(bare.read("hq/access.json"))
    assert access["client"]["host"] == "localhost"
    assert access["client"]["port"] == client


def test_model_servers_use_the_node_file(env):
    for name in ("n1", "n2"):
        env.start_worker("--hostname", name, cpus=2)
    env.write("job.sh", "#!/bin/bash\n#HQ --nodes=2\n"
              'echo "$HQ_NUM_NODES" $(sort < "$HQ_NODE_FILE")\n')
    job = env.submit_and_wait("job.sh")
    assert env.read(f"job-{job}/0.stdout") == "2 n1 n2\n"
