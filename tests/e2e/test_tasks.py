"""How a task is executed: end states, environment, files, limits, pinning."""
import os
import signal

import pytest

from harness import HQ, wait_until


@pytest.mark.parametrize("command, error", [
    (["false"], "Program terminated with exit code 1."),
    (["sh", "-c", "exit 77"], "Program terminated with exit code 77."),
    (["sh", "-c", "kill -KILL $$"],
     "Program terminated with exit code -1. Received signal 9 (SIGKILL)."),
    (["sh", "-c", "kill -SEGV $$"],
     "Program terminated with exit code -1. Received signal 11 (SIGSEGV)."),
    (["no-such-program-here", "x"],
     'Cannot execute "no-such-program-here x": No such file or directory (os error 2)\n'
     "The program that you have tried to execute (`no-such-program-here`) was not found."),
    (["/"], 'Cannot execute "/": Permission denied (os error 13)'),
])
def test_failures_by_name(pair, command, error):
    job = pair.submit_and_wait("--", *command)
    task = pair.tasks(job)[0]
    assert task["state"] == "failed"
    assert task["error"] == error


def test_hint_for_a_missing_dot_slash(pair):
    pair.script("tool", "true\n")
    job = pair.submit_and_wait("--", "tool")
    assert "maybe you have meant `./tool` instead?" in pair.tasks(job)[0]["error"]


def test_hint_for_a_script_that_is_not_executable(pair):
    pair.write("tool.sh", "#!/bin/sh\ntrue\n")
    job = pair.submit_and_wait("--directives=off", "--", "./tool.sh")
    error = pair.tasks(job)[0]["error"]
    assert "Permission denied" in error and "is not executable" in error


@pytest.mark.core
def test_environment(pair):
    job = pair.submit_and_wait("--env", "MINE=a b", "--array", "4", "--cpus", "2", "--", "env")
    lines = pair.read(f"job-{job}/4.stdout").splitlines()
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    assert variables["MINE"] == "a b"
    assert variables["HQ_JOB_ID"] == str(job)
    assert variables["HQ_TASK_ID"] == "4"
    assert variables["HQ_INSTANCE_ID"] == "0"
    assert variables["HQ_SUBMIT_DIR"] == str(pair.work)
    assert sorted(variables["HQ_CPUS"].split(",")) == ["0", "1"]
    assert variables["HQ_RESOURCE_REQUEST_cpus"] == "2 compact"
    assert variables["HQ_RESOURCE_VALUES_cpus"] == variables["HQ_CPUS"]
    assert variables["OMP_NUM_THREADS"] == "2"
    assert os.path.realpath(variables["HQ"]) == str(HQ)
    assert "HQ_ACCESS_KEY" in variables and "HQ_ENTRY" not in variables


def test_job_environment_beats_the_workers(env):
    env.start_worker(env={"ONE": "worker", "TWO": "worker"})
    job = env.submit_and_wait("--env", "TWO=job", "--", "sh", "-c", "echo $ONE $TWO")
    assert env.read(f"job-{job}/0.stdout") == "worker job\n"


def test_hq_inside_a_task_talks_to_the_server(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "$HQ --output-mode quiet job list --all")
    assert pair.read(f"job-{job}/0.stdout").split()[0] == str(job)


@pytest.mark.core
def test_output_paths(pair):
    job = pair.submit_and_wait(
        "--array", "1-2", "--stdout", "o/%{JOB_ID}-%{TASK_ID}-%{INSTANCE_ID}",
        "--stderr", "none", "--", "sh", "-c", "echo $HQ_TASK_ID; echo e >&2")
    assert pair.read(f"o/{job}-1-0") == "1\n" and pair.read(f"o/{job}-2-0") == "2\n"
    assert not (pair.work / f"job-{job}").exists()
    assert pair.tasks(job)[1]["stderr"] is None


def test_one_file_for_both_channels(pair):
    pair.submit_and_wait("--stdout", "both", "--stderr", "both", "--", "sh", "-c",
                         "echo one; echo two >&2; echo three")
    assert pair.read("both") == "one\ntwo\nthree\n"


def test_rm_if_finished(pair):
    job = pair.submit_and_wait("--array", "0-1", "--stdout", ":rm-if-finished", "--", "sh",
                               "-c", "echo x; exit $HQ_TASK_ID")
    assert not (pair.work / f"job-{job}" / "0.stdout").exists()
    assert pair.read(f"job-{job}/1.stdout") == "x\n"


def test_output_directory_cannot_be_made(pair):
    pair.write("file", "")
    job = pair.submit_and_wait("--stdout", "file/below", "--", "true")
    assert "Cannot create stdout directory" in pair.tasks(job)[0]["error"]


@pytest.mark.core
def test_time_limit(pair):
    job = pair.submit_and_wait("--time-limit", "300ms", "--", "sleep", "100")
    task = pair.tasks(job)[0]
    assert task["state"] == "failed" and task["error"] == "Time limit reached"


def test_processes_that_ignore_the_interrupt_are_killed(pair):
    pair.script("stubborn.sh", "trap '' INT TERM\nwhile :; do sleep 0.1; done\n")
    job = pair.submit_and_wait("--time-limit", "200ms", "--", "./stubborn.sh")
    assert pair.tasks(job)[0]["error"] == "Time limit reached"
    wait_until(lambda: not [p for p in pair.tagged() if b"stubborn" in cmdline(p)],
               "the process to end")


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_task_directory(pair):
    job = pair.submit_and_wait("--task-dir", "--", "sh", "-c",
                               'echo $HQ_TASK_DIR; touch "$HQ_TASK_DIR/x"')
    where = pair.read(f"job-{job}/0.stdout").strip()
    assert where and not os.path.exists(where)


def test_own_error_message(pair):
    job = pair.submit_and_wait("--task-dir", "--", "sh", "-c",
                               'printf "ran out of ink" >"$HQ_ERROR_FILENAME"; exit 1')
    assert pair.tasks(job)[0]["error"] == "ran out of ink"


def test_stdin_is_empty_by_default(pair):
    job = pair.submit_and_wait("--", "cat")
    assert pair.states(job) == ["finished"]


def test_each_task_leads_a_session(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "ps -o pid=,pgid=,sid= -p $$")
    pid, group, session = pair.read(f"job-{job}/0.stdout").split()
    assert pid == group == session


def test_fast_tasks_lead_groups_without_terminal(pair):
    """What is known to be short may share a session, but never a process group."""
    job = pair.submit_and_wait("--array", "1-200", "--stdout", "none", "--", "sh", "-c",
                               'read -r pid name state parent group session tty rest '
                               '</proc/self/stat; echo $pid $group $session $tty >>all')
    rows = [line.split() for line in pair.read("all").splitlines()]
    assert pair.stats(job) == {"finished": 200} and len(rows) == 200
    assert all(pid == group and tty == "0" for pid, group, _, tty in rows), rows
    assert len({session for pid, _, session, _ in rows if session != pid}) <= 1


def test_signals_have_their_defaults(pair):
    job = pair.submit_and_wait("--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    for line in pair.read(f"job-{job}/0.stdout").splitlines():
        assert int(line.split()[1], 16) == 0, line


def test_no_descriptor_leaks_into_tasks(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "ls /proc/$$/fd")
    assert set(pair.read(f"job-{job}/0.stdout").split()) <= {"0", "1", "2", "10", "255"}


@pytest.mark.core
def test_never_more_tasks_than_cpus(pair):
    """Each task checks that at most two of its kind hold a lock file at once."""
    pair.script("count.sh", "mkdir slot1 2>/dev/null && s=slot1 || { mkdir slot2 "
                            "2>/dev/null && s=slot2; } || exit 9\nrmdir $s\n")
    job = pair.submit_and_wait("--array", "1-100", "--", "./count.sh")
    assert pair.stats(job) == {"finished": 100}


def test_pinning_sets_the_mask(pair):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    job = pair.submit_and_wait("--pin", "taskset", "--array", "1-8", "--", "sh", "-c",
                               'echo "$HQ_CPUS" $(grep Cpus_allowed_list '
                               "/proc/self/status); echo $HQ_PIN")
    for task in range(1, 9):
        cpus, _, mask, pin = pair.read(f"job-{job}/{task}.stdout").split()
        assert cpus == mask and pin == "taskset"


def test_omp_pinning(pair):
    job = pair.submit_and_wait("--pin", "omp", "--cpus", "2", "--", "sh", "-c",
                               "echo $OMP_PLACES $OMP_PROC_BIND")
    assert pair.read(f"job-{job}/0.stdout") in ("{0,1} close\n", "{1,0} close\n")


@pytest.mark.core
def test_priorities(env):
    low = env.submit("--name", "low", "--array", "1-3", "--", "sh", "-c", "echo low >>order")
    high = env.submit("--name", "high", "--priority", "5", "--array", "1-3", "--", "sh", "-c",
                      "echo high >>order")
    env.start_worker(cpus=1)
    env.wait_job(f"{low},{high}")
    assert env.read("order").split() == ["high"] * 3 + ["low"] * 3


def test_a_task_that_closes_its_output_early(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "exec >&- 2>&-; exit 3")
    assert "exit code 3" in pair.tasks(job)[0]["error"]


def test_background_child_does_not_delay_the_end(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "sleep 30 & echo $! >child")
    assert pair.states(job) == ["finished"]
    os.kill(int(pair.read("child")), signal.SIGKILL)


@pytest.mark.core
def test_many_short_tasks(pair):
    job = pair.submit_and_wait("--array", "1-3000", "--stdout", "none", "--stderr", "none",
                               "--", "true", timeout_s=60)
    assert pair.stats(job) == {"finished": 3000}
