"""Programs that start hq themselves: their exact calls, and the exact parsing they do."""
import json
import re
import subprocess
from datetime import datetime

import pytest

from harness import HQ, PATIENCE, TIMEOUT_S, wait_until

SENTENCE = re.compile(r"^Job submitted successfully, job ID: (\d+)$")


def local_hq(env):
    """Some programs run ./hq in their working directory."""
    (env.work / "hq").symlink_to(HQ)


# ---- UM-Bridge and Seis-Bridge ---------------------------------------------------------

MODEL = """#!/bin/bash
#HQ --cpus=1
#HQ --time-request=1m
#HQ --time-limit=2m
#HQ --stdout none
#HQ --stderr none
echo "$HQ_JOB_ID $PORT" >> started
while true; do sleep 1; done
"""


def umbridge_submit(env, n, *more):
    done = env.run("./hq", "submit", "--env", f"PORT={4000 + n}", "--env", "A=b c", *more,
                   "--output-mode=quiet", "hq_scripts/job.sh")
    assert done.stderr == "" and re.fullmatch(r"\d+\n", done.stdout)
    return done.stdout.removesuffix("\n")


def test_umbridge_server_comes_and_goes(bare):
    local_hq(bare)
    bare.run("bash", "-c", "./hq server stop &> /dev/null; true")
    server = bare.spawn("server", "./hq", "server", "start", "--host", "127.0.0.1")
    bare.run("bash", "-c", "until ./hq server info &> /dev/null; do sleep 0.1; done")
    bare.run("bash", "-c", "./hq server stop &> /dev/null")
    assert server.wait() == 0


@pytest.mark.parametrize("priority", ["--priority=-3", "--priority=-0", "--priority=2"])
def test_umbridge_submit(env, priority):
    local_hq(env)
    env.write("hq_scripts/job.sh", MODEL, 0o755)
    job = umbridge_submit(env, 1, priority)
    want = int(priority.split("=")[1])
    assert env.hq("job", "info", job).fields()["Priority"] == str(want)


@pytest.mark.core
def test_umbridge_cancels_many_models_at_once(env):
    """Destructors of many models call cancel at the same time; each must be ended."""
    local_hq(env)
    env.write("hq_scripts/job.sh", MODEL, 0o755)
    env.start_worker(cpus=8)
    jobs = [umbridge_submit(env, n, f"--priority=-{n}") for n in range(8)]
    wait_until(lambda: (env.work / "started").exists() and
               len(env.read("started").splitlines()) == 8, "all models")
    cancels = [subprocess.Popen(["./hq", "job", "cancel", job], cwd=env.work, env=env.vars,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for job in jobs]
    assert [c.wait(TIMEOUT_S * PATIENCE) for c in cancels] == [0] * 8
    assert [env.stats(job) for job in jobs] == [{"canceled": 1}] * 8
    ports = dict(line.split() for line in env.read("started").splitlines())
    assert ports == {job: str(4000 + n) for n, job in enumerate(jobs)}


def test_umbridge_and_seisbridge_read_the_table(pair):
    """Older load balancers take the state out of the table that people see."""
    local_hq(pair)
    text = pair.run("./hq", "submit", "sleep", "1000").stdout
    job = re.search(r"job ID: (\d+)", text).group(1)
    pair.wait_stats(job, running=1)
    awk = "./hq job info %s | grep State | awk '{print $4}'"
    assert pair.run("sh", "-c", awk % job).stdout == "RUNNING\n"
    table = pair.run("./hq", "job", "info", job).stdout
    assert re.findall(r"State\s+\| (\w+)", table) == ["RUNNING"]
    pair.run("./hq", "job", "cancel", job)
    assert pair.run("sh", "-c", awk % job).stdout == "CANCELED\n"


# ---- HEAppE ----------------------------------------------------------------------------

HEAPPE = ("(nohup hq server start --host 127.0.0.1 > server.out 2>&1 &) && "
          "until hq server info > /dev/null 2>&1; do sleep 0.1; done && "
          "hq submit --priority=3 --array=0-0 --name=job_1 --time-limit=60s "
          "--stderr={w}/err --stdout={w}/out --cwd={w} --env A=1 --env 'B=x y' "
          "/bin/bash -c 'echo $A $B';")
WRAPPER = r"""#!/bin/bash
# What runs inside the task: asks for its own job and edits the answer line by line.
hq job info "$HQ_JOB_ID" --output-mode=json > info.json
sed -i -e 's/"state": "[a-z]*"/"state": "finished"/' -e 's/"running": [0-9]*/"running": 0/' \
    -e 's/"waiting": [0-9]*/"waiting": 0/' -e 's/"finished": [0-9]*/"finished": 1/' info.json
"""


def test_heappe_whole_output_is_the_sentence(bare):
    env = bare
    # The server it leaves behind holds whatever output it inherits: none.
    with open(env.root / "home" / "out", "w") as out:
        subprocess.run(["bash", "-c", HEAPPE.format(w=env.work)], cwd=env.work, stdout=out,
                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env.vars,
                       timeout=TIMEOUT_S * PATIENCE, check=True)
    try:
        text = (env.root / "home" / "out").read_text()
        assert text.endswith("\n")
        found = SENTENCE.match(text[:-1])
        assert found, text
        job = int(found.group(1))
        env.start_worker(cpus=1)
        env.wait_job(job)
        assert env.read("out") == "1 x y\n"
        info = env.hq("job", "info", str(job), "--output-mode=json").json()[0]
        assert {"id", "name", "task_count", "task_stats"} <= info["info"].keys()
        assert {"canceled", "failed", "finished", "running", "waiting"} <= \
            info["info"]["task_stats"].keys()
        task, = info["tasks"]
        assert {"id", "state", "started_at", "finished_at"} <= task.keys()
        for when in (info["started_at"], info["finished_at"], task["started_at"]):
            datetime.fromisoformat(when.replace("Z", "+00:00"))
    finally:
        env.hq("server", "stop")
    assert env.hq("--version").stdout.count("\n") == 1


def test_heappe_gives_a_path_to_a_flag(env):
    """Another slip of it, which was refused at all times."""
    assert "--stdin" in env.hq("submit", "--stdin=/dev/null", "true", code=2).stderr


def test_heappe_missing_job_and_unfinished_times(env):
    assert env.hq("job", "info", "17", "--output-mode=json", code=None).stdout == "[]\n"
    job = env.submit("--", "true")
    info = env.job(job)
    assert info["started_at"] is None or isinstance(info["started_at"], str)
    assert info["finished_at"] is None


def test_heappe_wrapper_edits_its_own_job(pair):
    pair.write("wrap.sh", WRAPPER)
    job = pair.submit_and_wait("wrap.sh")
    edited = json.loads(pair.read("info.json"))[0]
    assert edited["info"]["id"] == job
    assert edited["tasks"][0]["state"] == "finished"
    assert edited["info"]["task_stats"]["running"] == 0
    assert edited["info"]["task_stats"]["finished"] == 1


def test_heappe_joins_ids_with_comma_and_blank(env):
    """A slip of that client; blanks around the items of a selector do no harm."""
    env.submit("--", "true")
    env.submit("--", "true")
    env.hq("job", "cancel", "1, 2")
    assert env.stats(1) == env.stats(2) == {"canceled": 1}


# ---- dplutils --------------------------------------------------------------------------

class Dplutils:
    """Counts task ids itself; skips whatever is in front of the first brace."""

    def __init__(self, env):
        self.env = env
        self.count = 0

    def call(self, *words, stdin=b""):
        text = self.env.hq("--output-mode=json", *words, stdin=stdin).stdout
        return json.loads(text[re.search(r"[\[{]", text).start():])

    def submit(self, job, data):
        answer = self.call("submit", f"--job={job}", "--priority=1",
                           f"--stream={self.env.work}/stream", "--stdin",
                           "--resource=cpus=1", "sh", "-c",
                           "cat > pickle.$HQ_TASK_ID; wc -c < pickle.$HQ_TASK_ID",
                           stdin=data)
        assert answer["id"] == job
        self.count += 1
        return self.count - 1


@pytest.mark.core
def test_dplutils(pair):
    (pair.work / "stream").mkdir()
    client = Dplutils(pair)
    job = client.call("job", "open", "--name", "pipeline")["id"]
    data = [bytes(range(256)) * (n + 1) + b"\0" for n in range(5)]
    tasks = [client.submit(job, d) for d in data]
    assert tasks == [0, 1, 2, 3, 4]

    def states():
        listed = client.call("task", "list", str(job), "--tasks", ",".join(map(str, tasks)))
        return {t["id"]: t["state"] for t in listed[str(job)]}

    wait_until(lambda: states() == {t: "finished" for t in tasks}, "all tasks")
    for task in tasks:
        assert (pair.work / f"pickle.{task}").read_bytes() == data[task]
    pair.hq("--output-mode=json", "job", "cancel", str(job))
    pair.hq("--output-mode=json", "job", "close", str(job))
    assert pair.log("stream", "cat", str(job), "stdout", "--task", "2").stdout.strip() == \
        str(len(data[2]))


def test_dplutils_asks_for_a_kind_of_gpu(env):
    job = env.submit("--resource=cpus=1", "--resource=gpus/nvidia=1", "--", "true")
    env.start_worker("--resource=gpus/nvidia=[0,1]", cpus=1)
    env.wait_job(job)
    assert env.stats(job) == {"finished": 1}


# ---- fuzzbench -------------------------------------------------------------------------

def fuzzbench(env, *words, code=0):
    return env.hq("--output-mode", "json", "--server-dir", env.server_dir, *words,
                  code=code).json()


def test_fuzzbench_submits_and_cancels_hundreds(env):
    ids = []
    for n in range(6):
        ids.append(fuzzbench(
            env, "submit", f"--name=t-{n}", "--cpus=1", "--resource", "mem=100",
            "--pin=taskset", "--time-limit=60s", "--crash-limit=1",
            f"--stdout={env.work}/o{n}", f"--stderr={env.work}/e{n}",
            f"--cwd={env.work}", "--", "sleep", "1000")["id"])
    listed = fuzzbench(env, "job", "list", "--all")
    assert [j["id"] for j in listed] == ids
    assert all(set(j["task_stats"]) >= {"running", "finished", "failed", "canceled",
                                        "aborted", "waiting"} for j in listed)
    # 500 ids a call, most of which are gone by then.
    selector = ",".join(str(n) for n in range(1, 1000, 2))
    assert len(selector.split(",")) == 500
    fuzzbench(env, "job", "cancel", selector)
    assert [env.stats(j) for j in ids] == [
        {"canceled": 1} if j % 2 else {"waiting": 1} for j in ids]


def test_fuzzbench_failure_is_json(env):
    answer = fuzzbench(env, "submit", "--job=99", "--", "true", code=1)
    assert "error" in answer


# ---- PRISM -----------------------------------------------------------------------------

PRISM_JOB = """name = "screening"
[[task]]
command = ["sh", "-c", "cat; echo $K; pwd -P"]
cwd = "{cwd}"
env = {{ K = "v 1" }}
stdin = "from the file\\n"
"""


def test_prism(bare):
    env = bare
    d = ("--server-dir", env.server_dir)
    server = env.spawn("server", HQ, *d, "server", "start", "--host", "127.0.0.1")
    wait_until(lambda: env.hq(*d, "server", "info", code=None).code == 0, "the server")
    env.spawn("worker", HQ, *d, "worker", "start")
    wait_until(lambda: env.hq(*d, "worker", "list", "--output-mode", "json").json(),
               "the worker")
    assert env.hq(*d, "job", "list", "--output-mode", "json").stdout == "[]\n"
    env.write("job.toml", PRISM_JOB.format(cwd=env.work))
    job = env.hq(*d, "job", "submit-file", "job.toml", "--output-mode", "json").json()["id"]

    def info():
        return env.hq(*d, "job", "info", str(job), "--output-mode", "json").json()[0]

    wait_until(lambda: info()["info"]["task_stats"]["finished"] == 1, "the task")
    assert set(info()["info"]["task_stats"]) == {"running", "finished", "failed",
                                                 "canceled", "aborted", "waiting"}
    assert {t["state"] for t in info()["tasks"]} <= {
        "waiting", "running", "finished", "failed", "canceled", "aborted"}
    assert env.read(f"job-{job}/1.stdout") == f"from the file\nv 1\n{env.work}\n"
    env.hq(*d, "job", "cancel", str(job))
    env.hq(*d, "server", "stop")
    assert server.wait() == 0


# ---- a runner with an open job ---------------------------------------------------------

def test_open_job_runner(env):
    env.start_worker("--resource=mem=sum(8)", cpus=1)
    job = env.hq("job", "open", "--name", "pipe line", "--output-mode=json").json()["id"]
    for n in range(3):
        answer = env.hq("job", "submit", f"--job={job}", f"--priority={n}",
                         "--output-mode=json", "--cpus=1", "--resource=mem=8",
                         "--", "sh", "-c", f"exit {n}").json()
        assert answer["id"] == job

    def states():
        listed = env.hq("task", "list", str(job), "--output-mode=json", "--tasks=1,2")
        return [t["state"] for t in listed.json()[str(job)]]

    wait_until(lambda: states() == ["failed", "failed"], "both tasks")
    env.hq("job", "close", str(job))
    assert env.stats(job) == {"finished": 1, "failed": 2}


# ---- Submitter -------------------------------------------------------------------------

def test_submitter_counts_failures_by_exit_code(pair):
    """It was written when waiting for a failed job exited with 1: the opt-in brings
    that back."""

    def outcome(command, **env):
        text = pair.hq("submit", "--stdout", "o", "--stderr", "e", *command).stdout
        job = re.search(r"Job submitted successfully, job ID: (\d+)", text).group(1)
        return pair.hq("job", "wait", job, env=env, code=None).code

    assert outcome(["true"]) == 0
    assert outcome(["false"]) == 0
    assert outcome(["true"], HQ_WAIT_FAIL_ON_ERROR=1) == 0
    assert outcome(["false"], HQ_WAIT_FAIL_ON_ERROR=1) == 1


# ---- R -----------------------------------------------------------------------------------

def test_batch_registry_of_r_reads_times(pair):
    """Cuts the Z, trims to six decimals, then %Y-%m-%dT%H:%M:%OS."""
    job = pair.submit_and_wait("--", "true")
    info = pair.hq("job", "info", str(job), "--output-mode", "json").json()[0]
    times = []
    for key in ("started_at", "finished_at"):
        text = info[key]
        assert text.endswith("Z")
        whole, fraction = text[:-1].split(".")
        times.append(datetime.strptime(f"{whole}.{fraction[:6]}", "%Y-%m-%dT%H:%M:%S.%f"))
    assert times[0] <= times[1]


# ---- a server that lives in a batch job ------------------------------------------------

LONG_LIVED = """#!/bin/bash
set -e
hq server wait
count() {
    hq --output-mode=json job summary |
        awk -F': ' '/"(Waiting|Running|Opened)"/ {gsub(",", ""); n += $2} END {print n}'
}
hq submit --stdout none --stderr none --array 1-20 true > /dev/null
while [[ $(count) != 0 ]]; do sleep 0.1; done
count
"""


def test_long_lived_server_job(pair):
    pair.write("long.sh", LONG_LIVED, 0o755)
    assert pair.run("./long.sh").stdout == "0\n"
    pair.json("job", "open")
    assert pair.json("job", "summary")["Opened"] == 1


# ---- a workbench for chemists ----------------------------------------------------------

def test_workbench_reads_ranges(env):
    env.start_worker("--resource=gpus=range(2-5)", cpus=4)
    done = env.hq("--output-mode", "json", "--server-dir", env.server_dir, "worker", "list",
                  "--all")
    assert "ERROR" not in done.stderr
    resources = done.json()[0]["configuration"]["resources"]["resources"]
    found = {r["name"]: (r.get("start"), r.get("end")) for r in resources}
    assert found["gpus"] == (2, 5)
    done = env.hq("--output-mode", "json", "submit", "--cwd", env.work, "--name", "g16",
                  "--", "true")
    assert done.stderr == "" and done.json()["id"] == 1


# ---- shells ----------------------------------------------------------------------------

def test_shell_idiom(env):
    line = "hq submit true | awk '/job ID:/{print $NF}'"
    assert env.run("sh", "-c", line).stdout == "1\n"
    assert env.run("sh", "-c", line).stdout == "2\n"
