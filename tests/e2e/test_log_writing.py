"""What tasks may do with their output, limits of it, and file systems that fail."""
import hashlib
import re
import shutil

import pytest

from harness import wait_until

NOTICE = re.compile(r"\n\[hq: (\d+) bytes of output are left out here, the limit is (.*) "
                    r"a (task|job)\]\n")


def entry(env, task=0):
    return next(e for e in env.json("log", "l", "list") if e["task"] == task)


@pytest.mark.core
@pytest.mark.parametrize("command, want", [
    ("true", ""),
    ("exec >&-; exec 2>&-; true", ""),
    ("echo a; exec >&-; echo b >&2", "a\n"),
    ("echo a; exec 3>&1 >&-; echo b >&3", "a\nb\n"),
    ("echo a; (sleep 0.2; echo later) & exit 0", "a\nlater\n"),
    ("echo a; (exec >&- 2>&-; sleep 0.5) & echo b", "a\nb\n"),
    ("printf 'no newline'", "no newline"),
    ("printf 'nul \\0 byte'", "nul \0 byte"),
])
def test_channels(pair, command, want):
    """Closed, duplicated, inherited and left alone: the log has what was printed."""
    job = pair.submit_and_wait("--log", "l", "--", "sh", "-c", command)
    assert pair.states(job) == ["finished"]
    assert pair.log("l", "cat", job, "stdout").stdout == want
    assert entry(pair)["state"] == "finished" and not entry(pair)["cut"]


@pytest.mark.core
def test_unlike_the_tasks_before(pair):
    """Short tasks with little output are read at their end; one that is different is not
    kept waiting for that."""
    pair.script("task.sh", """
case $HQ_TASK_ID in
    200) head -c 3000000 /dev/zero; echo end;;
    201) echo begin; while [ ! -e go ]; do sleep 0.01; done; echo end;;
    202) (while [ ! -e go ]; do sleep 0.01; done; echo child) & echo parent;;
    *) echo $HQ_TASK_ID;;
esac
""")
    job = pair.submit("--log", "l", "--array", "1-202", "--", "./task.sh")

    def printed(task):
        return pair.log("l", "cat", job, "stdout", "--task", task,
                        "--allow-unfinished", code=None).stdout

    wait_until(lambda: pair.stats(job).get("finished") == 200, "the end of the others")
    wait_until(lambda: printed(201) == "begin\n" and printed(202) == "parent\n",
               "what is there before the end")
    pair.write("go", "")
    pair.hq("job", "wait", job)
    assert pair.stats(job) == {"finished": 202}
    assert printed(200) == "\0" * 3_000_000 + "end\n"
    assert printed(201) == "begin\nend\n" and printed(202) == "parent\nchild\n"
    assert all(printed(t) == f"{t}\n" for t in (1, 100, 199))


@pytest.mark.core
def test_output_above_the_limit_is_left_out(pair):
    job = pair.submit_and_wait("--log", "l", "--max-output", "10kB", "--", "sh", "-c",
                               "seq 100000; echo end")
    assert pair.states(job) == ["finished"]
    text = pair.log("l", "cat", job, "stdout").stdout
    whole = "".join(f"{i}\n" for i in range(1, 100001)) + "end\n"
    notice = NOTICE.search(text)
    assert notice and notice.end() == len(text)
    assert text[:notice.start()] == whole[:10000]
    assert notice.group(1, 2, 3) == (str(len(whole) - 10000), "9.77 KiB", "task")
    assert entry(pair)["cut"]


def test_the_end_is_kept_on_demand(pair):
    job = pair.submit_and_wait("--log", "l", "--max-output", "10kB:tail", "--", "sh", "-c",
                               "seq 100000; echo end")
    text = pair.log("l", "cat", job, "stdout").stdout
    whole = "".join(f"{i}\n" for i in range(1, 100001)) + "end\n"
    notice = NOTICE.search(text)
    head, tail = text[:notice.start()], text[notice.end():]
    assert head == whole[:5000] and tail == whole[-2500:]
    assert int(notice.group(1)) == len(whole) - 7500


def test_limit_above_the_output_changes_nothing(pair):
    job = pair.submit_and_wait("--log", "l", "--max-output", "1MiB:tail", "--", "seq", "10")
    assert pair.log("l", "cat", job, "stdout").stdout.split() == [str(i) for i in range(1, 11)]
    assert not entry(pair)["cut"]


def test_limit_of_the_job(pair):
    """Two workers: what they write together stops near the limit, also of later tasks."""
    pair.start_worker(cpus=2)
    pair.script("print.sh", "i=0; while [ $i -lt 40 ]; do head -c 20000 /dev/zero; "
                            "sleep 0.02; i=$((i+1)); done\n")
    job = pair.submit_and_wait("--log", "l", "--array", "0-11", "--max-job-output", "1MB",
                               "--", "./print.sh", timeout_s=60)
    assert pair.stats(job) == {"finished": 12}
    rows = pair.json("log", "l", "list")
    kept = sum(e["stdout_size"] for e in rows)
    assert 1_000_000 <= kept < 6_000_000 and sum(e["cut"] for e in rows) >= 8
    last = pair.log("l", "cat", job, "stdout", "--task", "11").stdout
    assert NOTICE.search(last).group(2, 3) == ("976.56 KiB", "job")


def test_limits_in_a_workflow(pair):
    job = pair.workflow("""
log: l
tasks:
  a: {run: seq 10000, max-output: 1kB}
  b: {run: seq 10000}
""", "--wait")
    assert NOTICE.search(pair.log("l", "cat", job, "stdout", "--task", "0").stdout)
    assert len(pair.log("l", "cat", job, "stdout", "--task", "1").stdout) == 48894


@pytest.mark.parametrize("option, text", [
    ("--max-output=0", "keeps nothing"),
    ("--max-output=x", "invalid size 'x'"),
    ("--max-output=1kB:middle", "':middle' is neither ':head' nor ':tail'"),
    ("--max-job-output=-1", "invalid size '-1'"),
])
def test_bad_limits(bare, option, text):
    assert text in bare.hq("submit", "--log", "l", option, "--", "true", code=2).stderr


def test_limits_need_a_log(env):
    for option in ("--max-output", "--max-job-output", "--stream-limit"):
        error = env.hq("submit", option, "1MB", "--", "true", code=1).stderr
        assert "give --log or --stream, too" in error


def test_space_that_is_to_stay_free(env):
    """The guard names the option; the worker goes on."""
    env.start_worker("--stream-min-free=10000TiB")
    job = env.submit_and_wait("--log", "l", "--", "echo", "x")
    error = env.tasks(job)[0]["error"]
    assert error.startswith("Streaming: ") and "--stream-min-free" in error
    assert f"'{env.work}/l': the file system of the log is nearly full" in error
    assert env.states(env.submit_and_wait("--", "true")) == ["finished"]


@pytest.mark.mpi
@pytest.mark.parametrize("io", ["ompio", "romio321"])
def test_mpi_io_components(env, io):
    """Both implementations of MPI-IO that Open MPI brings write the same log."""
    env.start_ranks(2, "--io-hint=striping_factor=4", "--io-hint=cb_nodes=1",
                    "--io-hint=romio_ds_write=disable", env={"OMPI_MCA_io": io})
    job = env.submit_and_wait("--log", "l", "--array", "1-200", "--", "sh", "-c",
                              "seq $HQ_TASK_ID", timeout_s=60)
    want = "".join(f"{n}\n" for t in range(1, 201) for n in range(1, t + 1))
    got = env.log("l", "cat", job, "stdout").stdout
    assert hashlib.sha256(got.encode()).digest() == hashlib.sha256(want.encode()).digest()
    assert env.log("l", "check").code == 0


@pytest.mark.parametrize("io", [
    pytest.param(None, id="posix"),
    pytest.param("ompio", marks=pytest.mark.mpi),
    pytest.param("romio321", marks=pytest.mark.mpi),
])
def test_tasks_that_print_much(env, io):
    """Several threads read and write them, one that never ends is canceled, and a short
    one beside them does not wait."""
    size = 40_000_000
    if io:
        env.start_ranks(1, "--cpus=5", env={"OMPI_MCA_io": io})
    else:
        env.start_worker(cpus=5)
    endless = env.submit("--log", "l", "--", "yes", "endless")
    job = env.submit("--log", "l", "--array", "1-3", "--", "sh", "-c",
                     f"yes line of task $HQ_TASK_ID | head -c {size}; echo end >&2")
    short = env.submit_and_wait("--log", "l", "--", "echo", "short")
    env.wait_job(job)
    env.hq("job", "cancel", endless)
    wait_until(lambda: env.states(endless) == ["canceled"], "the end of the endless one")
    assert env.stats(job) == {"finished": 3}
    assert env.log("l", "cat", short, "stdout").stdout == "short\n"
    for task in range(1, 4):
        line = f"line of task {task}\n"
        assert env.log("l", "cat", job, "stdout", "--task", task).stdout == \
            (line * (size // len(line) + 1))[:size]
        assert env.log("l", "cat", job, "stderr", "--task", task).stdout == "end\n"
    assert env.log("l", "check").code == 0


@pytest.mark.mpi
@pytest.mark.parametrize("io", ["ompio", "romio321"])
def test_failed_write_through_mpi_io(env, io):
    env.start_ranks(1, env={"OMPI_MCA_io": io})
    job = env.submit_and_wait("--log", "/dev/full", "--", "echo", "x")
    assert env.tasks(job)[0]["error"].startswith("Streaming: ")
    assert env.states(env.submit_and_wait("--", "true")) == ["finished"]


def test_log_removed_while_it_is_written(pair):
    """Tasks whose output is gone fail by name; later ones write the log anew."""
    wait = "until test -e go; do sleep 0.02; done"
    job = pair.submit("--log", "d/l", "--array", "1-2", "--", "sh", "-c",
                      f"echo begin; {wait}; echo end")
    wait_until(lambda: (pair.work / "d" / "l").exists() and
               pair.log("d/l", "grep", "-c", "begin", code=None).stdout.count(":1") == 2,
               "the beginnings")
    shutil.rmtree(pair.work / "d")
    pair.write("go", "")
    pair.wait_job(job)
    errors = [t["error"] for t in pair.tasks(job).values()]
    assert errors == [f"Streaming: '{pair.work}/d/l': removed while it was written"] * 2
    again = pair.submit_and_wait("--log", "d/l", "--array", "1-3", "--", "echo", "new")
    assert pair.stats(again) == {"finished": 3}
    assert pair.log("d/l", "cat", again, "stdout").stdout == "new\n" * 3


def test_log_removed_between_two_jobs(pair):
    """The worker may still hold the file of the job before: the next one loses nothing."""
    for number in range(3):
        job = pair.submit_and_wait("--log", "d/l", "--array", "1-2", "--", "sh", "-c",
                                   f"echo {number}; head -c 1000000 /dev/zero")
        assert pair.stats(job) == {"finished": 2}
        assert pair.log("d/l", "cat", job, "stdout", "--task", 1).stdout == \
            f"{number}\n" + "\0" * 1000000
        shutil.rmtree(pair.work / "d")


@pytest.mark.long
def test_ten_gigabytes(pair):
    """Memory of the worker stays bounded whatever a task prints."""
    job = pair.submit("--log", "l", "--", "sh", "-c", "head -c 10G /dev/zero")
    peak_kib = 0

    def ended():
        nonlocal peak_kib
        status = open(f"/proc/{pair.worker.pid}/status").read()
        peak_kib = max(peak_kib, int(re.search(r"VmRSS:\s+(\d+)", status).group(1)))
        return pair.states(job) == ["finished"]

    wait_until(ended, "the end of the output", 120)
    assert entry(pair)["stdout_size"] == 10 << 30
    assert peak_kib < 64 << 10
