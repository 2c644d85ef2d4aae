"""Batch systems that a worker finds around itself, with stand-ins for their commands."""
import json

import pytest


SLURM = {"SLURM_JOB_ID": "4711"}
PBS = {"PBS_ENVIRONMENT": "PBS_BATCH", "PBS_JOBID": "12.head"}


def command(env, name, text, before="", status=0):
    """A stand-in that writes its words down and prints `text`."""
    env.write(f"{name}.out", text)
    env.script(f"bin/{name}", f"echo \"$*\" >>{env.work}/{name}.calls\n{before}\n"
                              f"cat {env.work}/{name}.out\nexit {status}\n")
    env.vars["PATH"] = f"{env.work}/bin:{env.vars['PATH']}"


def worker(env, *args, variables, code=None):
    """Starts a worker; returns its process, its table and its JSON."""
    process = env.start_worker(*args, env=variables)
    return process, env.hq("worker", "info", process.id).fields(), env.json(
        "worker", "info", process.id)[0]


def qstat(limit, used=None, job="12.head"):
    entry = {"Resource_List": {"walltime": limit}}
    if used:
        entry["resources_used"] = {"walltime": used}
    return json.dumps({"timestamp": 1, "Jobs": {job: entry}})


@pytest.mark.core
def test_slurm(env):
    command(env, "scontrol", "JobId=4711 JobName=x\n   RunTime=00:10:00 TimeLimit=01:00:00 "
                             "TimeMin=N/A\n")
    _, fields, info = worker(env, variables=SLURM)
    assert env.read("scontrol.calls") == "show job 4711\n"
    assert fields["Manager"] == "SLURM" and fields["Manager Job ID"] == "4711"
    assert fields["Group"] == "4711" and fields["Time Limit"] == "50m"
    assert info["allocation"] == {"id": "4711", "manager": "Slurm"}
    assert info["configuration"]["time_limit"] == 3000.0
    row = env.hq("worker", "list").table()[1]
    assert row[4:] == ["SLURM", "4711"]


@pytest.mark.parametrize("limit, used, shown", [
    ("30", "10", "20s"), ("10:00", "1:00", "9m"), ("1-00:00:00", "00:00:00", "1day"),
    ("2-12", "1-12:00:00", "1day"), ("1-06:30", "6:30:00", "1day"),
    ("100:00:00", "4:00:00", "4days"),
])
def test_slurm_times(env, limit, used, shown):
    command(env, "scontrol", f"RunTime={used} TimeLimit={limit}\n")
    assert worker(env, variables=SLURM)[1]["Time Limit"] == shown


@pytest.mark.parametrize("text, status", [
    ("RunTime=00:10:00 TimeLimit=UNLIMITED", 0), ("", 0), ("RunTime=0:01", 0),
    ("RunTime=1:00 TimeLimit=1:2:3:4", 0), ("RunTime=1:00 TimeLimit=5:00", 1),
    ("TimeLimit=1:00 RunTime=x", 0),
])
def test_unknown_rest_of_a_slurm_job_is_a_warning(env, text, status):
    command(env, "scontrol", text, status=status)
    process, fields, _ = worker(env, variables=SLURM)
    assert fields["Time Limit"] == "None" and fields["Manager"] == "SLURM"
    assert "WARN Cannot get remaining worker timelimit from Slurm: " in process.text()


def test_no_scontrol_is_a_warning(env):
    process, fields, _ = worker(env, variables={**SLURM, "PATH": "/nowhere"})
    assert fields["Manager"] == "SLURM" and fields["Time Limit"] == "None"
    assert "WARN Cannot get remaining worker timelimit from Slurm: " in process.text()


def test_former_variable_of_slurm(env):
    command(env, "scontrol", "RunTime=0:00 TimeLimit=5:00")
    _, fields, _ = worker(env, variables={"SLURM_JOBID": "8"})
    assert fields["Manager Job ID"] == "8" and env.read("scontrol.calls") == "show job 8\n"
    _, fields, _ = worker(env, variables={"SLURM_JOBID": "8", "SLURM_JOB_ID": "9"})
    assert fields["Manager Job ID"] == "9"


def test_memory_of_a_slurm_job(env):
    command(env, "scontrol", "RunTime=0:00 TimeLimit=5:00")
    process = env.start_worker("--detect-resources=mem", "--cpus=1", cpus=None,
                               env={**SLURM, "SLURM_MEM_PER_NODE": "1536"})
    resources = env.json("worker", "info", process.id)[0]["configuration"]["resources"]
    assert {"kind": "sum", "name": "mem", "size": 15360000} in resources["resources"]


@pytest.mark.core
def test_pbs(env):
    command(env, "qstat", qstat("02:00:00", "00:30:00"))
    _, fields, info = worker(env, variables=PBS)
    assert env.read("qstat.calls") == "-f 12.head -F json\n"
    assert fields["Manager"] == "PBS" and fields["Manager Job ID"] == "12.head"
    assert fields["Group"] == "12.head" and fields["Time Limit"] == "1h 30m"
    assert info["allocation"] == {"id": "12.head", "manager": "PBS"}


def test_pbs_job_that_has_just_begun(env):
    command(env, "qstat", qstat("02:00:00"))
    assert worker(env, variables=PBS)[1]["Time Limit"] == "2h"


@pytest.mark.parametrize("text, status", [
    ("", 0), ("not JSON", 0), ("{\"Jobs\": {}}", 0), (qstat("x"), 0), (qstat("1:00"), 1),
    ("[]", 0), (qstat("1:00", job="other"), 0),
])
def test_unknown_rest_of_a_pbs_job_is_a_warning(env, text, status):
    command(env, "qstat", text, status=status)
    process, fields, _ = worker(env, variables=PBS)
    assert fields["Time Limit"] == "None" and fields["Manager"] == "PBS"
    assert "WARN Cannot get remaining worker timelimit from PBS: " in process.text()


def test_pbs_is_tried_first(env):
    command(env, "qstat", qstat("02:00:00"))
    command(env, "scontrol", "RunTime=0:00 TimeLimit=5:00")
    assert worker(env, variables={**SLURM, **PBS})[1]["Manager"] == "PBS"
    assert worker(env, "--manager", "slurm",
                  variables={**SLURM, **PBS})[1]["Manager"] == "SLURM"


def test_none_looks_at_nothing(env):
    command(env, "scontrol", "RunTime=0:00 TimeLimit=5:00")
    process, fields, info = worker(env, "--manager=none", variables={**SLURM, **PBS})
    assert fields["Manager"] == "None" and fields["Manager Job ID"] == "N/A"
    assert fields["Group"] == "default" and fields["Time Limit"] == "None"
    assert info["allocation"] is None and not (env.work / "scontrol.calls").exists()


def test_options_beat_what_was_found(env):
    command(env, "scontrol", "RunTime=00:10:00 TimeLimit=01:00:00")
    _, fields, _ = worker(env, "--time-limit", "7m", "--group", "mine", variables=SLURM)
    assert fields["Time Limit"] == "7m" and fields["Group"] == "mine"
    assert fields["Manager Job ID"] == "4711"


def test_detect_is_silent_without_a_batch_system(env):
    process, fields, _ = worker(env, "--manager=detect", variables={})
    assert fields["Manager"] == "None" and "WARN" not in process.text()


@pytest.mark.parametrize("manager, variables, text", [
    ("slurm", {}, "The process is not running under SLURM"),
    ("pbs", {}, "The process is not running under PBS"),
    ("pbs", {"PBS_JOBID": "1"}, "The process is not running under PBS"),
    ("pbs", {"PBS_ENVIRONMENT": "x"}, "PBS_JOBID"),
])
def test_demanded_batch_system_has_to_be_there(env, manager, variables, text):
    result = env.hq("worker", "start", "--cpus=1", "--manager", manager, env=variables,
                    code=1)
    assert text in result.stderr
    assert env.workers("--all") == []


def test_time_limit_of_the_batch_job_ends_the_worker(env):
    command(env, "scontrol", "RunTime=00:59:59 TimeLimit=01:00:00")
    process = env.start_worker(env=SLURM, wait=False)
    assert process.wait() == 0
    assert "Time limit reached" in process.text()
    states = env.hq("--output-mode", "quiet", "worker", "list", "--all").stdout
    assert states == "1 TIME LIMIT REACHED\n"


def test_multi_node_task_stays_inside_one_allocation(env):
    """The id of the allocation is the group of its workers."""
    command(env, "scontrol", "RunTime=0:00 TimeLimit=50:00")
    ids = {}
    for job in ("1", "2", "2"):
        process = env.start_worker(env={"SLURM_JOB_ID": job})
        ids.setdefault(job, set()).add(process.id)
    job = env.submit_and_wait("--nodes", "2", "--", "true")
    ran = {w["id"] for w in env.workers() if w["last_task_started"]}
    assert env.states(job) == ["finished"] and ran == ids["2"]


def test_large_output_and_noise(env):
    """Only the fields count, whatever a site's command prints around them."""
    noise = "\n".join(f"   Key{i}=value{i}" for i in range(20_000))
    command(env, "scontrol", f"{noise}\nRunTime=00:10:00 TimeLimit=01:00:00\n{noise}\n")
    assert worker(env, variables=SLURM)[1]["Time Limit"] == "50m"
