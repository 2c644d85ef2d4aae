"""Logs under attack: disks that fill up, writes that fail, ranks that are killed."""
import json
import os
import random
import re
import subprocess
import time

import pytest

from harness import small_disk, wait_until


def errors(env, job):
    return [t["error"] for t in env.tasks(job).values() if t["state"] == "failed"]


def test_full_disk(bare):
    """What does not fit fails by name; the rest is read, others go on, and so does the
    stream once there is room."""
    with small_disk(bare, "24m") as disk:
        bare.start_server()
        bare.start_worker("--stream-min-free=0", cpus=4)
        other = bare.submit("--log", "other", "--array", "1-40", "--", "sh", "-c",
                            "sleep 0.05; echo $HQ_TASK_ID")
        big = bare.submit_and_wait("--log", "disk/l", "--array", "1-3", "--", "sh", "-c",
                                   "echo begin; head -c 40M /dev/urandom | base64; echo never!",
                                   timeout_s=60)
        assert bare.stats(big) == {"failed": 3}
        assert all(e.startswith("Streaming: ") and "o space left" in e
                   for e in errors(bare, big))
        bare.hq("job", "wait", other)
        assert bare.stats(other) == {"finished": 40}
        assert bare.log("other", "cat", other, "stdout").stdout.split() == \
            [str(i) for i in range(1, 41)]
        text = bare.log("disk/l", "cat", big, "stdout", "--allow-unfinished").stdout
        assert text.count("begin\n") == 3 and "never!" not in text
        assert bare.log("disk/l", "check").code == 0
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)

        def goes_on():
            job = bare.submit_and_wait("--log", "disk/l", "--", "echo", "fits")
            return bare.states(job) == ["finished"] and \
                bare.log("disk/l", "cat", job, "stdout").stdout == "fits\n"

        wait_until(goes_on, "a task that finds room")
        assert bare.log("disk/l", "check").code == 0


FAULTS = ["outlog.write:3=EIO", "outlog.write:2=ENOSPC", "outlog.write:4=EDQUOT",
          "outlog.write:5=ESTALE", "outlog.write:2=ENOENT",
          "outlog.open:1=EACCES", "outlog.read:5=EIO", "launch.pipe:20=EMFILE"]


@pytest.mark.parametrize("fault", FAULTS)
def test_failed_calls(env, fault):
    """One call fails: tasks fail by name or not at all, none is told to be finished
    without its output, and the worker goes on. (Builds without fault points see that
    all is well.)"""
    env.start_worker(cpus=4, env={"HQ_FAULTS": fault})
    job = env.submit_and_wait("--log", "l", "--array", "1-60", "--", "sh", "-c",
                              "seq $HQ_TASK_ID 20000; echo end", timeout_s=60)
    states = {t: s["state"] for t, s in env.tasks(job).items()}
    assert set(states.values()) <= {"finished", "failed"}
    for error in errors(env, job):
        assert error.startswith(("Streaming: ", "Creating stream file failed"))
    for task in [t for t, s in states.items() if s == "finished"][:10]:
        text = env.log("l", "cat", job, "stdout", "--task", task).stdout
        if not fault.startswith("outlog.read"):
            assert text == "".join(f"{i}\n" for i in range(int(task), 20001)) + "end\n"

    def goes_on():
        again = env.submit_and_wait("--log", "l", "--", "echo", "well")
        return env.states(again) == ["finished"] and \
            env.log("l", "cat", again, "stdout").stdout == "well\n"

    wait_until(goes_on, "a task that is well")
    # Nothing is missing but output of tasks that were told to have failed.
    for finding in env.json("log", "l", "check", code=None)["findings"]:
        if finding["what"] == "unfinished write":
            continue
        task = re.fullmatch(r"output of job 1 task (\d+) instance 0 is not complete",
                            finding["what"])
        assert task and states[int(task.group(1))] == "failed", finding


def test_killed_worker(env):
    """A worker dies while thousands of tasks print: what another one runs again counts,
    and the log is sound."""
    first = env.start_worker(cpus=4)
    job = env.submit("--log", "l", "--array", "1-3000", "--crash-limit", "20", "--",
                     "sh", "-c", "echo $HQ_TASK_ID; echo e >&2")
    wait_until(lambda: env.stats(job).get("finished", 0) > 300, "the first ends")
    first.popen.kill()
    env.start_worker(cpus=4)
    env.hq("job", "wait", job, timeout_s=60)
    assert env.stats(job) == {"finished": 3000}
    assert env.log("l", "cat", job, "stdout").stdout.split() == \
        [str(i) for i in range(1, 3001)]
    assert env.log("l", "cat", job, "stderr").stdout == "e\n" * 3000
    assert env.log("l", "check").code == 0


def test_servers_and_workers_killed_at_random(bare):
    """Whatever is killed, and whenever: each task's output is in the log, once, and the log
    is sound. HQ_TEST_LONG kills a thousand times, HQ_TEST_SEED repeats a run."""
    kills = 1000 if os.environ.get("HQ_TEST_LONG") else 12
    seed = int(os.environ.get("HQ_TEST_SEED", time.time_ns() % 10**6))
    print(f"HQ_TEST_SEED={seed}")
    rng = random.Random(seed)
    bare.start_server("--journal", "j")
    stay = "--on-server-lost=reconnect"
    workers = [bare.start_worker(stay, cpus=2) for _ in range(2)]
    jobs = []
    for _ in range(kills):
        jobs.append(bare.submit("--log", "l", "--array", "1-20", "--crash-limit", "unlimited",
                                "--", "sh", "-c", "seq $HQ_TASK_ID 60; sleep 0.02; echo end"))
        time.sleep(rng.uniform(0, 0.3))
        victim = rng.randrange(3)
        if victim == 2:
            bare.server.kill()
            bare.start_server("--journal", "j")
        else:
            workers[victim].kill()
            workers[victim] = bare.start_worker(stay, cpus=2, wait=False)
    for job in jobs:
        bare.wait_job(job, 60)
        assert bare.stats(job) == {"finished": 20}
    want = {t: "".join(f"{n}\n" for n in range(t, 61)) + "end\n" for t in range(1, 21)}
    got = {}
    for line in bare.log("l", "export", "--format", "jsonl", timeout_s=60).stdout.splitlines():
        task = json.loads(line)
        assert task["state"] == "finished", task
        got.setdefault(task["job"], {})[task["id"]] = task["stdout"]
    assert sorted(got) == jobs and all(tasks == want for tasks in got.values())
    assert bare.log("l", "check", timeout_s=60).code == 0
