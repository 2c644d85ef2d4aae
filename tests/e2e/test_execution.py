"""How a task is executed: environment, pinning, start, output, stopping, error texts."""
import os
import signal

import pytest

from harness import HQ, wait_until


def run_task(pair, *words, **kwargs):
    """Standard output of the only task of a job."""
    job = pair.submit_and_wait(*words, **kwargs)
    return pair.hq("job", "cat", job, "stdout").stdout


def environment(pair, *words):
    text = run_task(pair, *words, "--", "env", "-0")
    return dict(item.split("=", 1) for item in text.split("\0") if item)


def error_of(pair, *words, **kwargs):
    job = pair.submit_and_wait(*words, **kwargs)
    task = pair.tasks(job)[0]
    assert task["state"] == "failed"
    return task["error"]


# --- environment -------------------------------------------------------------------


def test_variables_of_every_task(pair):
    got = environment(pair, "--array", "7")
    assert got["HQ_JOB_ID"] == "1" and got["HQ_TASK_ID"] == "7"
    assert got["HQ_INSTANCE_ID"] == "0" and got["HQ_SUBMIT_DIR"] == str(pair.work)
    assert os.path.isabs(got["HQ"]) and os.path.samefile(got["HQ"], HQ)
    path, _, token = got["HQ_ACCESS_KEY"].rpartition(":")
    assert path.startswith("/") and token
    for name in ("HQ_ENTRY", "HQ_PIN", "HQ_TASK_DIR", "HQ_ERROR_FILENAME", "HQ_NUM_NODES",
                 "HQ_NODE_FILE", "HQ_HOST_FILE", "HQ_RESOURCE_VARIANT"):
        assert name not in got


def test_submit_directory_is_that_of_the_client(pair):
    (pair.work / "sub").mkdir()
    pair.hq("submit", "--wait", "--cwd=/", "--stdout", pair.work / "o", "--stderr=none", "--", "sh",
            "-c", "echo $HQ_SUBMIT_DIR", cwd=pair.work / "sub")
    assert pair.read("o") == f"{pair.work}/sub\n"


def test_precedence(env):
    env.start_worker(env={"FROM_WORKER": "1", "BOTH": "worker", "HQ_MINE": "worker"})
    got = environment(env, "--env", "BOTH=job", "--env", "HQ_JOB_ID=99", "--env", "HQ_OTHER=job",
                      "--env", "EMPTY=")
    assert got["FROM_WORKER"] == "1" and got["BOTH"] == "job"
    assert got["HQ_JOB_ID"] == "1" and got["HQ_OTHER"] == "job" and got["EMPTY"] == ""


@pytest.mark.parametrize("cpus, shown, n_cpus, omp", [
    ("1", "1 compact", 1, "1"), ("2", "2 compact", 2, "2"), ("all", "all", 2, "2"),
    ("0.5", "0.5 compact", 1, None), ("1.5 scatter", "1.5 scatter", 2, None),
    ("2 compact!", "2 compact!", 2, "2"),
])
def test_variables_of_cpus(pair, cpus, shown, n_cpus, omp):
    got = environment(pair, "--cpus", cpus)
    assert got["HQ_RESOURCE_REQUEST_cpus"] == shown
    assert len(got["HQ_CPUS"].split(",")) == n_cpus
    assert got["HQ_RESOURCE_VALUES_cpus"] == got["HQ_CPUS"]
    assert got.get("OMP_NUM_THREADS") == omp


def test_omp_num_threads_of_the_job_stays(pair):
    assert environment(pair, "--env", "OMP_NUM_THREADS=7", "--cpus=2")["OMP_NUM_THREADS"] == "7"


def test_variables_of_other_resources(env):
    env.start_worker("--resource", "gpus/nvidia=[3]", "--resource", "gpus/amd=[a]", "--resource",
                     "mem=sum(100)", "--resource", "x/y=[q]")
    got = environment(env, "--resource", "gpus/nvidia=1", "--resource", "mem=20", "--resource",
                      "gpus/amd=1", "--resource", "x/y=all")
    assert got["CUDA_VISIBLE_DEVICES"] == "3" and got["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert got["ROCR_VISIBLE_DEVICES"] == "a"
    assert got["HQ_RESOURCE_REQUEST_gpus_nvidia"] == "1 compact"
    assert got["HQ_RESOURCE_VALUES_gpus_nvidia"] == "3"
    assert got["HQ_RESOURCE_REQUEST_mem"] == "20 compact"
    assert "HQ_RESOURCE_VALUES_mem" not in got
    assert (got["HQ_RESOURCE_REQUEST_x_y"], got["HQ_RESOURCE_VALUES_x_y"]) == ("all", "q")


def test_variables_of_a_multi_node_task(env):
    for host in ("one.example.org", "two.example.org"):
        env.start_worker("--hostname", host)
    text = run_task(env, "--nodes=2", "--", "sh", "-c",
                    "cat $HQ_NODE_FILE; echo; cat $HQ_HOST_FILE; env | sort")
    nodes, _, rest = text.partition("\n\n")
    assert sorted(nodes.split()) == ["one", "two"]
    hosts = rest.split("\n")[:2]
    assert [h.split(".")[0] for h in hosts] == nodes.split()
    assert sorted(hosts) == ["one.example.org", "two.example.org"]
    got = dict(line.split("=", 1) for line in rest.splitlines()[2:] if "=" in line)
    assert got["HQ_NUM_NODES"] == "2"
    assert got["HQ_NODE_FILE"] == got["HQ_TASK_DIR"] + "/hq-nodefile"
    assert got["HQ_HOST_FILE"] == got["HQ_TASK_DIR"] + "/hq-hostfile"
    assert not [k for k in got if k.startswith(("HQ_CPUS", "HQ_RESOURCE_", "OMP_NUM"))]


def test_addresses_in_the_node_file_are_kept_whole(env):
    env.start_worker("--hostname", "10.1.2.3")
    assert run_task(env, "--nodes=1", "--", "sh", "-c", "cat $HQ_NODE_FILE") == "10.1.2.3\n"


def test_variant_is_told_when_there_is_a_choice(pair):
    pair.write("v.toml", """
[[task]]
command = ["sh", "-c", "echo ${HQ_RESOURCE_VARIANT-unset}"]
[[task.request]]
resources = { cpus = 64 }
[[task.request]]
resources = { cpus = 1 }
""")
    job = pair.json("job", "submit-file", "v.toml")["id"]
    pair.wait_job(job)
    assert pair.read(f"job-{job}/1.stdout") == "1\n"


def test_access_key_is_good_while_the_task_runs(pair):
    job = pair.submit("--", "sh", "-c",
                      'echo "$HQ_ACCESS_KEY" >key.new; mv key.new key; $HQ task notify hello; '
                      'while ! test -e go; do sleep 0.02; done')
    wait_until(lambda: (pair.work / "key").exists(), "the task")
    pair.write("go", "")
    pair.wait_job(job)
    assert pair.states(job) == ["finished"]
    pair.hq("task", "notify", "late", env={"HQ_ACCESS_KEY": pair.read("key").strip()}, code=1)


# --- pinning -------------------------------------------------------------------------


def test_no_pinning_by_default(pair):
    got = environment(pair)
    assert "HQ_PIN" not in got and "OMP_PLACES" not in got and "OMP_PROC_BIND" not in got


def test_pin_taskset(pair):
    text = run_task(pair, "--pin=taskset", "--", "sh", "-c",
                    "echo $HQ_PIN; echo $HQ_CPUS; sed -n 's/^Cpus_allowed_list:.//p' "
                    "/proc/self/status")
    mode, cpus, allowed = text.split()
    assert (mode, cpus) == ("taskset", allowed)


def test_pin_omp(pair):
    got = environment(pair, "--pin=omp", "--cpus=2")
    assert got["HQ_PIN"] == "omp" and got["OMP_PROC_BIND"] == "close"
    assert got["OMP_PLACES"] == "{" + got["HQ_CPUS"] + "}"


def test_pin_omp_leaves_what_the_job_sets(pair):
    got = environment(pair, "--pin=omp", "--env", "OMP_PROC_BIND=spread", "--env", "OMP_PLACES=x")
    assert (got["OMP_PROC_BIND"], got["OMP_PLACES"]) == ("spread", "x")


@pytest.mark.parametrize("mode", ["taskset", "omp"])
def test_pinning_without_cpus_fails(pair, mode):
    pair.write("p.toml", f"""
[[task]]
command = ["true"]
pin = "{mode}"
[[task.request]]
""")
    job = pair.json("job", "submit-file", "p.toml")["id"]
    pair.wait_job(job)
    assert pair.tasks(job)[1]["error"] == "Pinning failed, no CPU ids allocated for task"


# --- start ---------------------------------------------------------------------------


def test_process_of_a_task(pair):
    pair.script("look", """
pid=$$
set -- $(cut -d' ' -f1,5,6 /proc/$pid/stat | sed 's/(.*) //')
test "$2" = "$pid" && echo own group
test "$3" = "$pid" && echo own session
ls /proc/$pid/fd | tr '\\n' ' '; echo
grep -E '^Sig(Blk|Ign)' /proc/$pid/status | tr -d '\\t '
readlink /proc/$pid/fd/0
pwd
""")
    text = run_task(pair, "--cwd=made/for/it", "--", "../../../look")
    lines = text.splitlines()
    assert lines[:2] == ["own group", "own session"]
    assert set(lines[2].split()) <= {"0", "1", "2", "3", "10", "255"}
    assert lines[3:5] == ["SigBlk:" + "0" * 16, "SigIgn:" + "0" * 16]
    assert lines[5:] == ["/dev/null", f"{pair.work}/made/for/it"]


def test_word_with_a_slash_is_relative_to_the_working_directory(pair):
    pair.write("d/prog", "#!/bin/sh\necho here\n", 0o755)
    assert run_task(pair, "--cwd=d", "--", "./prog") == "here\n"
    assert "was not found" in error_of(pair, "--cwd=d", "--", "d/prog")


def test_word_without_a_slash_is_searched_in_the_path_of_the_task(pair):
    pair.write("bin/my-prog", "#!/bin/sh\necho mine\n", 0o755)
    assert run_task(pair, "--env", f"PATH={pair.work}/bin:/bin", "--", "my-prog") == "mine\n"
    assert "was not found" in error_of(pair, "--", "my-prog")


def test_text_without_interpreter_is_run_by_the_shell(pair):
    pair.write("plain", "echo from sh; exit 5\n", 0o755)
    assert error_of(pair, "--", "./plain") == "Program terminated with exit code 5."
    assert pair.read("job-1/0.stdout") == "from sh\n"


def test_parents_of_output_files_are_made(pair):
    pair.submit_and_wait("--stdout=a/b/c/o", "--stderr=d/e/f", "--", "echo", "x")
    assert pair.read("a/b/c/o") == "x\n" and pair.read("d/e/f") == ""


def test_task_ends_with_its_first_process(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "sleep 30 & echo $! >child; echo done")
    assert pair.states(job) == ["finished"]
    child = int(pair.read("child"))
    os.kill(child, 0)  # a normal end leaves it alone
    os.kill(child, signal.SIGKILL)


def test_both_channels_in_one_file(pair):
    pair.submit_and_wait("--stdout=both", "--stderr=both", "--", "sh", "-c",
                         "echo 1; echo 2 >&2; echo 3")
    assert pair.read("both") == "1\n2\n3\n"


@pytest.mark.parametrize("words, created", [
    (["--stdout=none", "--stderr=none"], []), ([], ["job-1", "job-1/0.stderr", "job-1/0.stdout"]),
    (["--stdout=none", "--stderr=none", "--cwd=c"], ["c"]),
])
def test_what_is_left_on_disk(pair, words, created):
    pair.submit_and_wait(*words, "--", "true")
    assert sorted(str(p.relative_to(pair.work)) for p in pair.work.rglob("*")) == created


# --- task directory ------------------------------------------------------------------

ENDS = {"finished": "exit 0", "failed": "exit 1", "signal": "kill -9 $$", "limit": "sleep 60"}


@pytest.mark.parametrize("how", ENDS)
def test_task_directory_disappears_with_the_task(env, how):
    env.start_worker("--work-dir", env.work / "wd")
    words = ["--time-limit=300ms"] if how == "limit" else []
    text = run_task(env, "--task-dir", *words, "--", "sh", "-c",
                    f"touch $HQ_TASK_DIR/x && echo $HQ_TASK_DIR $HQ_ERROR_FILENAME; {ENDS[how]}")
    path, error_file = text.split()
    assert os.path.dirname(path) == str(env.work / "wd")
    assert os.path.basename(path).startswith("t") and error_file == path + "/hq-error"
    assert not os.path.exists(path)


def test_canceled_task_leaves_no_directory(pair):
    job = pair.submit("--task-dir", "--", "sh", "-c", "echo $HQ_TASK_DIR >d; mv d dir; sleep 60")
    wait_until(lambda: (pair.work / "dir").exists(), "the task")
    path = pair.read("dir").strip()
    assert os.path.isdir(path)
    pair.hq("job", "cancel", job)
    wait_until(lambda: not os.path.exists(path), "its removal")


def test_every_task_has_its_own_directory(pair):
    job = pair.submit_and_wait("--task-dir", "--array=0-9", "--", "sh", "-c", "echo $HQ_TASK_DIR")
    assert len(set(pair.hq("job", "cat", job, "stdout").stdout.split())) == 10


# --- stopping --------------------------------------------------------------------------

TRAP = "trap 'echo told; {}' INT; touch ready; while :; do sleep 0.02; done"


def test_limit_interrupts_then_kills(pair):
    job = pair.submit_and_wait("--time-limit=200ms", "--", "sh", "-c", TRAP.format(""))
    assert pair.tasks(job)[0]["error"] == "Time limit reached"
    assert pair.read(f"job-{job}/0.stdout").startswith("told\n")


def test_limit_counts_even_if_the_task_ends_well(pair):
    assert error_of(pair, "--time-limit=200ms", "--", "sh", "-c",
                    TRAP.format("exit 0")) == "Time limit reached"


def test_limit_of_zero(pair):
    assert error_of(pair, "--time-limit=0", "--", "sleep", "60") == "Time limit reached"


def test_limit_that_is_kept(pair):
    assert pair.states(pair.submit_and_wait("--time-limit=1h", "--", "true")) == ["finished"]


@pytest.mark.parametrize("how", ["cancel", "limit", "max-fails"])
def test_rest_of_the_group_is_killed(pair, how):
    """Background jobs of a shell ignore SIGINT; they go too, whatever stops the task."""
    body = "sleep 60 & echo $! >c; mv c child; trap 'exit 0' INT; while :; do sleep 0.02; done"
    words = {"cancel": [], "limit": ["--time-limit=500ms"],
             "max-fails": ["--max-fails=0", "--array=0-1"]}[how]
    if how == "max-fails":
        body = f"if test $HQ_TASK_ID = 1; then while ! test -e child; do sleep 0.02; done; exit 1; " \
               f"fi; {body}"
    job = pair.submit(*words, "--", "sh", "-c", body)
    wait_until(lambda: (pair.work / "child").exists(), "the child")
    child = pair.work / "child"
    if how == "cancel":
        pair.hq("job", "cancel", job)
        assert pair.states(job) == ["canceled"]
    else:
        pair.wait_job(job)

    def gone():
        try:
            with open(f"/proc/{int(child.read_text())}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    wait_until(gone, "the end of the child")


def test_leader_gets_sigterm_when_its_worker_dies(pair):
    job = pair.submit("--", "sh", "-c", "trap 'touch termed; exit' TERM; touch ready; "
                                        "while :; do sleep 0.02; done")
    wait_until(lambda: (pair.work / "ready").exists(), "the task")
    pair.worker.kill()
    wait_until(lambda: (pair.work / "termed").exists(), "the signal")
    pair.hq("job", "cancel", job)


# --- error texts -----------------------------------------------------------------------


@pytest.mark.parametrize("script, text", [
    ("exit 1", "Program terminated with exit code 1."),
    ("exit 200", "Program terminated with exit code 200."),
])
def test_exit_codes(pair, script, text):
    assert error_of(pair, "--", "sh", "-c", script) == text


NAMED = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM".split()


def test_signals(pair):
    numbers = [int(getattr(signal, f"SIG{n}")) for n in NAMED] + [34]
    names = [f"SIG{n}" for n in NAMED] + ["unknown"]
    pair.write("numbers", "\n".join(map(str, numbers)) + "\n")
    job = pair.submit_and_wait("--each-line=numbers", "--", "sh", "-c",
                               "ulimit -c 0; kill -$HQ_ENTRY $$")
    got = [t["error"] for _, t in sorted(pair.tasks(job).items())]
    assert got == [f"Program terminated with exit code -1. Received signal {n} ({name})."
                   for n, name in zip(numbers, names)]


def not_found(words, first):
    return (f'Cannot execute "{words}": No such file or directory (os error 2)\n'
            f"The program that you have tried to execute (`{first}`) was not found.")


@pytest.mark.parametrize("words, text", [
    (["no-such", "a", "b c"], not_found("no-such a b c", "no-such")),
    (["./missing", "x"], not_found("./missing x", "./missing")),
    (["/no/such"], not_found("/no/such", "/no/such")),
    (["say\"it\\x"], not_found("say\\\"it\\\\x", 'say"it\\x')), ([""], not_found("", "")),
    (["./badint"], not_found("./badint", "./badint")),
    (["plain"], not_found("plain", "plain") +
     "\nThe file `{w}/plain` exists, maybe you have meant `./plain` instead?"),
    (["./plain"], 'Cannot execute "./plain": Permission denied (os error 13)'),
    (["./s.sh"], 'Cannot execute "./s.sh": Permission denied (os error 13)\n'
     "The script that you have tried to execute (`./s.sh`) is not executable.\n"
     "Try making it executable or add a shebang line to it."),
    (["s.sh"], not_found("s.sh", "s.sh") +
     "\nThe file `{w}/s.sh` exists, maybe you have meant `./s.sh` instead?"),
    (["."], 'Cannot execute ".": Permission denied (os error 13)'),
    (["./plain/x"], 'Cannot execute "./plain/x": Not a directory (os error 20)'),
])
def test_programs_that_cannot_be_executed(pair, words, text):
    pair.write("plain", "echo hi\n")
    pair.write("s.sh", "echo hi\n")
    pair.write("badint", "#!/no/such\n", 0o755)
    assert error_of(pair, "--directives=off", "--", *words) == text.replace("{w}", str(pair.work))


@pytest.mark.parametrize("words, text, started", [
    (["--stdout=d", "--stderr=none"], "Creating stream file failed: Is a directory (os error 21)",
     True),
    (["--stderr=d", "--stdout=none"], "Creating stream file failed: Is a directory (os error 21)",
     True),
    (["--stdout=f/x"], "Cannot create stdout directory at ", False),
    (["--stderr=f/x", "--stdout=none"], "Cannot create stderr directory at ", False),
    (["--cwd=f", "--stdout=none", "--stderr=none"], "Could not create working directory: ", True),
    (["--cwd=f/x", "--stdout=none", "--stderr=none"], "Could not create working directory: ", True),
    (["--cwd=f/x"], "Cannot create stdout directory at ", False),
])
def test_paths_that_cannot_be_made(pair, words, text, started):
    pair.write("f", "")
    (pair.work / "d").mkdir()
    job = pair.submit_and_wait(*words, "--", "true")
    task = pair.tasks(job)[0]
    assert task["state"] == "failed" and task["error"].startswith(text)
    assert ("started_at" in task) == started and ("worker" in task) == started


def test_task_directory_that_cannot_be_made(env):
    env.start_worker("--work-dir", env.work / "wd")
    (env.work / "wd").rmdir()
    env.write("wd", "")
    assert error_of(env, "--task-dir", "--", "true").startswith(
        f"Cannot create task_dir in worker's workdir at {env.work}/wd: ")
    (env.work / "wd").unlink()
    (env.work / "wd").mkdir()


def test_empty_command(pair):
    pair.write("e.toml", "[[task]]\ncommand = []\n")
    job = pair.json("job", "submit-file", "e.toml")["id"]
    pair.wait_job(job)
    assert pair.tasks(job)[1]["error"] == "No command arguments"


OWN = [
    ("echo own >$HQ_ERROR_FILENAME; exit 1", "own\n"),
    ("printf 'a\\nb' >$HQ_ERROR_FILENAME; kill -9 $$", "a\nb"),
    (": >$HQ_ERROR_FILENAME; exit 1", "Task created an error file, but it is empty"),
    ("printf 'bad\\377' >$HQ_ERROR_FILENAME; exit 1", "bad\ufffd"),
    ("printf 'a\\0b' >$HQ_ERROR_FILENAME; exit 1", "a\ufffdb"),
    ("head -c 2047 /dev/zero | tr '\\0' x >$HQ_ERROR_FILENAME; exit 1", "x" * 2047),
    ("head -c 5000 /dev/zero | tr '\\0' x >$HQ_ERROR_FILENAME; exit 1",
     "x" * 2048 + "\n[The message was truncated]"),
    ("head -c 2048 /dev/zero | tr '\\0' x >$HQ_ERROR_FILENAME; exit 1",
     "x" * 2048 + "\n[The message was truncated]"),
    ("exit 1", "Program terminated with exit code 1."),
    ("mkdir $HQ_ERROR_FILENAME; exit 1", None), ("mkfifo $HQ_ERROR_FILENAME; exit 1", None),
]


@pytest.mark.parametrize("script, text", OWN, ids=[s[:40] for s, _ in OWN])
def test_own_error_message(pair, script, text):
    told = error_of(pair, "--task-dir", "--", "sh", "-c", script)
    assert told == text if text else told


def test_own_error_message_counts_for_failures_only(pair):
    job = pair.submit_and_wait("--task-dir", "--", "sh", "-c", "echo x >$HQ_ERROR_FILENAME")
    assert pair.states(job) == ["finished"] and "error" not in pair.tasks(job)[0]
    assert error_of(pair, "--task-dir", "--time-limit=300ms", "--", "sh", "-c",
                    "echo own >$HQ_ERROR_FILENAME; sleep 60") == "Time limit reached"
