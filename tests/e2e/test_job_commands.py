"""What each hq job command selects, prints and does, in all output modes."""
import re

import pytest

from harness import HQ, wait_until

STATES = ["RUNNING", "WAITING", "FINISHED", "FAILED", "ABORTED", "CANCELED"]


def log_lines(result):
    """Lines of standard error without their time: "INFO Job 1 closed"."""
    return [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line)
            for line in result.stderr.splitlines()]


def quiet(env, *args, **kwargs):
    return env.hq("--output-mode", "quiet", *args, **kwargs)


def one_of_each(pair):
    """Jobs 1 to 7: finished, failed, canceled, waiting, running, idle and open, aborted
    tasks in an open one."""
    pair.submit_and_wait("--name", "good", "--", "true")
    pair.submit_and_wait("--name", "bad", "--", "false")
    pair.submit("--name", "gone", "--cpus", "64", "--", "true")
    pair.hq("job", "cancel", 3, "--reason", "no use")
    pair.submit("--name", "waits", "--cpus", "64", "--", "true")
    pair.submit("--name", "runs", "--", "sleep", "1000")
    pair.hq("job", "open", "--name", "idle")
    pair.hq("job", "open", "--name", "aborts", "--max-fails", "0")
    pair.submit("--job", 7, "--cpus", "64", "--", "true")
    pair.submit("--job", 7, "--", "false")
    pair.wait_stats(7, failed=1, aborted=1)
    pair.wait_stats(5, running=1)


# -- list and summary -------------------------------------------------------


@pytest.mark.core
def test_list_in_each_form(pair):
    one_of_each(pair)
    states = dict(enumerate(["FINISHED", "FAILED", "CANCELED", "WAITING", "RUNNING",
                             "OPENED", "FAILED"], 1))
    total = "There are 7 jobs in total. Use `--all` to display all jobs."

    def ids(*options):
        """Ids of the table, which json and quiet mode have to agree with."""
        result = pair.hq("job", "list", *options)
        rows = [(int(r[0].strip("*")), r[2]) for r in result.table()[1:]]
        assert [j["id"] for j in pair.json("job", "list", *options)] == [r[0] for r in rows]
        lines = quiet(pair, "job", "list", *options).stdout
        assert lines == "".join(f"{n} {state}\n" for n, state in rows)
        assert all(states[n] == state for n, state in rows)
        assert (total in result.stdout) == (len(rows) < 7)
        opened = {6, 7} & {n for n, _ in rows}
        assert ("* = Open jobs\n" in result.stdout) == bool(opened)
        return [n for n, _ in rows]

    assert ids() == [4, 5, 6, 7]
    assert ids("--all") == [1, 2, 3, 4, 5, 6, 7]
    assert ids("--filter", "failed") == [2, 7]
    assert ids("--filter", "finished,canceled") == [1, 3]
    assert ids("--filter=opened", "--filter=running") == [5, 6]
    assert ids("--filter", "waiting") == [4]
    assert ids("--filter", "aborted") == []
    rows = pair.hq("job", "list", "--all", "--verbose").table()
    assert rows[0] == ["ID", "Name", "State", "Tasks", "Cancel Reason"]
    assert rows[3] == ["3", "gone", "CANCELED", "1", "no use"]
    assert rows[1] == ["1", "good", "FINISHED", "1", ""]
    assert rows[6][0] == "*6" and rows[7][3] == "2"

    counts = {"Running": 1, "Waiting": 1, "Finished": 1, "Failed": 2, "Aborted": 0,
              "Canceled": 1, "Opened": 1}
    assert pair.json("job", "summary") == counts
    lines = [f"{s} {counts[s.capitalize()]}" for s in STATES]
    assert quiet(pair, "job", "summary").stdout.splitlines() == lines
    table = pair.hq("job", "summary").table()
    assert table[0] == ["Status", "Count"]
    assert [" ".join(row) for row in table[1:]] == lines


def test_list_without_jobs(env):
    text = env.hq("job", "list", "--all").stdout
    assert len(text.splitlines()) == 3 and "total" not in text
    assert env.json("job", "summary") == {s.capitalize(): 0 for s in STATES}
    assert quiet(env, "job", "list").stdout == ""


def test_one_hidden_job(pair):
    pair.submit_and_wait("--", "true")
    assert "There is 1 job in total. Use `--all` to display all jobs.\n" in \
        pair.hq("job", "list").stdout


@pytest.mark.parametrize("name, shown", [
    ("x" * 50, "x" * 50),
    ("a" * 30 + "b" * 21, "a" * 24 + "..." + "a" * 2 + "b" * 21),
    ("é" * 30, "é" * 12 + "..." + "é" * 11),
    ("a" + "é" * 30, "a" + "é" * 11 + "..." + "é" * 11),
    ("中" * 20, "中" * 8 + "..." + "中" * 7),
])
def test_long_names_keep_head_and_tail(env, name, shown):
    env.hq("job", "open", "--name", name)
    assert env.hq("job", "list").table()[1][1] == shown
    assert env.json("job", "list")[0]["name"] == name


@pytest.mark.parametrize("words", [
    ["--verbose", "-v"], ["-v"], ["--all", "--filter", "failed"], ["--filter", ""],
    ["--filter", "FAILED"], ["--filter", "failed,"], ["extra"],
])
def test_list_refuses(bare, words):
    assert bare.hq("job", "list", *words, code=2).stdout == ""


# -- info -------------------------------------------------------------------


def test_info_has_its_rows_in_order(pair):
    rows = ["ID", "Name", "State", "Cancel Reason", "Session", "Tasks", "Workers",
            "Resources", "Pin", "Priority", "Command", "Stdout", "Stderr", "Environment",
            "Working directory", "Task time limit", "Crash limit", "Submission date",
            "Submission directory", "Makespan"]
    job = pair.submit_and_wait("--array", "4-6", "--env", "B=2", "--env", "A=1",
                               "--env", "HQ_MINE=3", "--pin", "omp", "--priority=-4",
                               "--stdout", "none", "--stderr", "e%{TASK_ID}",
                               "--crash-limit", "never-restart", "--weight", "2.5",
                               "--resource", "cpus=0.5", "--", "sh", "-c", "exit 0")
    fields = pair.hq("job", "info", job).fields()
    assert list(fields) == rows
    assert fields["State"].splitlines()[1:] == ["FINISHED (3)"]
    assert fields["Tasks"] == "3; Ids: 4-6"
    assert fields["Environment"] == "A=1\nB=2"
    assert fields["Resources"] == "cpus: 0.5 compact\n[weight: 2.5]"
    assert (fields["Stdout"], fields["Stderr"]) == ("<None>", "e%{TASK_ID}") or \
        fields["Stderr"] == f"{pair.work}/e%{{TASK_ID}}"
    assert (fields["Pin"], fields["Priority"]) == ("omp", "-4")
    assert fields["Crash limit"] == "never-restart"
    assert fields["Command"] == "sh\n-c\nexit 0"
    assert fields["Submission directory"] == str(pair.work)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", fields["Submission date"])
    assert re.fullmatch(r"(\d+(ms|s|m) ?)+", fields["Makespan"])


def test_info_of_an_open_job(pair):
    pair.hq("job", "open")
    fields = pair.hq("job", "info", 1).fields()
    assert list(fields) == ["ID", "Name", "State", "Cancel Reason", "Session", "Tasks",
                            "Workers", "Submission date", "Makespan"]
    assert (fields["Name"], fields["Session"]) == ("job", "open")
    assert (fields["Tasks"], fields["Workers"]) == ("0", "")
    assert fields["State"] == "[" + 40 * "." + "]"
    pair.submit("--job", 1, "--", "true")
    assert "Resources" in pair.hq("job", "info", 1).fields()
    pair.submit("--job", 1, "--array", "7", "--", "true")
    fields = pair.hq("job", "info", 1).fields()
    assert "Resources" not in fields and "Submission directory" not in fields
    assert fields["Tasks"] == "2; Ids: 0,7"


def test_info_of_variants_and_nodes(env):
    env.write("j.toml", '[array]\nids = "0-1"\ncommand = ["true"]\n'
              '[[array.request]]\nresources = {"gpus" = 1, "cpus" = "2 compact!"}\n'
              'weight = 3.0\n[[array.request]]\nresources = {"cpus" = 4}\n')
    env.hq("job", "submit-file", "j.toml")
    assert env.hq("job", "info", 1).fields()["Resources"] == (
        "# Variant 1\ncpus: 2 compact!\ngpus: 1 compact\n[weight: 3]\n\n"
        "# Variant 2\ncpus: 4 compact")
    env.submit("--nodes", "2", "--", "true")
    assert env.hq("job", "info", 2).fields()["Resources"] == "nodes: 2"


def test_info_shows_the_first_failures(pair):
    job = pair.submit_and_wait("--array", "1-3", "--", "sh", "-c", "exit $HQ_TASK_ID")
    text = pair.hq("job", "info", job).stdout
    assert text.endswith("3 tasks failed.\n")
    more = pair.submit_and_wait("--array", "11-17", "--", "false")
    result = pair.hq("job", "info", more)
    assert result.stdout.endswith("7 tasks failed. (5 shown)\n")
    rows = result.table()
    head = rows.index(["Task ID", "Worker", "Error"])
    assert [row[0] for row in rows[head + 1:]] == ["11", "12", "13", "14", "15"]
    assert rows[head + 1][2] == "Program terminated with exit code 1."
    single = pair.submit_and_wait("--", "false")
    assert pair.hq("job", "info", single).stdout.endswith("1 tasks failed.\n")


def test_info_wraps_long_words(env):
    word = "word " * 40
    env.submit("--", "echo", word, "line one\nline two")
    command = env.hq("job", "info", 1).fields()["Command"].splitlines()
    assert command[0] == "echo" and command[-2:] == ["line one", "line two"]
    assert all(len(line) <= 80 for line in command)
    # Blanks at the end of a line are not seen in a table.
    assert " ".join(line.strip() for line in command[1:-2]) == word.strip()


def test_info_of_several_jobs(env):
    for name in "abc":
        env.submit("--name", name, "--", "true")
    result = env.hq("job", "info", "3,1")
    names = [row[1] for row in result.table() if row[0] == "Name"]
    assert names == ["c", "a"] and "\n\n" not in result.stdout
    assert [d["info"]["id"] for d in env.json("job", "info", "3,1")] == [3, 1]
    assert [d["info"]["id"] for d in env.json("job", "info", "all")] == [1, 2, 3]
    assert quiet(env, "job", "info", "all").stdout == ""


def test_info_without_jobs(env):
    for selector in ("last", "all"):
        result = env.hq("job", "info", selector)
        assert (result.stdout, result.stderr) == ("", "")
        assert env.json("job", "info", selector) == []
    assert log_lines(env.hq("job", "info", "4,2")) == ["ERROR Job 4 not found",
                                                      "ERROR Job 2 not found"]


def test_last_is_the_last_assigned_id(pair):
    pair.submit_and_wait("--", "true")
    pair.submit_and_wait("--", "true")
    pair.hq("job", "forget", "last")
    assert log_lines(pair.hq("job", "info", "last")) == ["ERROR Job 2 not found"]
    assert pair.submit("--", "true") == 3


# -- cancel -----------------------------------------------------------------


def test_cancel_in_each_case(pair):
    one_of_each(pair)
    result = pair.hq("job", "cancel", "9,5,1-2")
    assert log_lines(result) == [
        "ERROR Canceling job 1 failed; all tasks are already finished",
        "ERROR Canceling job 2 failed; all tasks are already finished",
        "INFO Job 5 canceled (1 tasks canceled, 0 tasks already finished)",
        "ERROR Canceling job 9 failed; job not found"]
    assert result.stdout == ""
    # "all" are those that wait or run.
    assert log_lines(pair.hq("job", "cancel", "all")) == [
        "INFO Job 4 canceled (1 tasks canceled, 0 tasks already finished)"]
    assert log_lines(pair.hq("job", "cancel", "all")) == ["INFO There is nothing to cancel"]
    assert quiet(pair, "job", "cancel", "all").stdout == ""
    assert pair.json("job", "cancel", "all") == {}


def test_cancel_keeps_the_job_open(pair):
    pair.hq("job", "open")
    pair.submit("--job", 1, "--array", "0-1", "--", "true")
    pair.hq("job", "wait", 1, "--without-close")
    pair.submit("--job", 1, "--cpus", "64", "--", "true")
    assert log_lines(pair.hq("job", "cancel", 1)) == [
        "INFO Job 1 canceled (1 tasks canceled, 2 tasks already finished)"]
    assert pair.job(1)["info"]["is_open"] is True
    pair.submit("--job", 1, "--", "true")
    pair.wait_stats(1, finished=3, canceled=1)


def test_cancel_reason(pair):
    pair.hq("job", "open")
    pair.submit("--job", 1, "--", "true")
    pair.hq("job", "wait", 1, "--without-close")

    def reason():
        fields = pair.hq("job", "info", 1).fields()["Cancel Reason"]
        assert pair.json("job", "list", "--all")[0]["cancel_reason"] == (fields or None)
        return fields

    pair.hq("job", "cancel", 1, "--reason", "too late")
    assert reason() == ""  # nothing was canceled
    for text in ("x" * 200, "é" * 100, "second"):
        pair.submit("--job", 1, "--cpus", "64", "--", "true")
        pair.hq("job", "cancel", 1, "--reason", text)
        assert reason() == text
    pair.submit("--job", 1, "--cpus", "64", "--", "true")
    pair.hq("job", "cancel", 1)
    assert reason() == ""
    for text in ("x" * 201, "é" * 101):
        result = pair.hq("job", "cancel", 1, "--reason", text, code=2)
        n = len(text.encode())
        assert result.stderr.startswith(
            f"error: invalid value '{text}' for '--reason <REASON>': "
            f"Cancel reason must be shorter than 200 you entered {n}.")


# -- close ------------------------------------------------------------------


def test_close_in_each_case(pair):
    one_of_each(pair)
    assert log_lines(pair.hq("job", "close", "12,7,1")) == [
        "ERROR Closing job 1 failed; job is already closed",
        "INFO Job 7 closed",
        "ERROR Closing job 12 failed; job not found"]
    assert log_lines(pair.hq("job", "close", "all")) == ["INFO Job 6 closed"]
    assert log_lines(pair.hq("job", "close", "all")) == ["INFO There is nothing to close"]
    assert log_lines(pair.hq("job", "close", "last")) == [
        "ERROR Closing job 7 failed; job is already closed"]
    assert pair.json("job", "close", "all") == {}
    # An idle open job is completed at that moment.
    assert pair.json("job", "list", "--filter", "finished")[-1]["id"] == 6
    result = pair.hq("submit", "--job", 6, "--", "true", code=1)
    assert result.stderr == "Job 6 is not opened.\n"


# -- forget -----------------------------------------------------------------


@pytest.mark.parametrize("options, forgotten, text", [
    ([], {1, 2, 3}, "3 jobs were forgotten, 4 were ignored due to wrong state or invalid ID"),
    (["--filter", "failed"], {2},
     "1 job were forgotten, 6 were ignored due to wrong state or invalid ID"),
    (["--filter=finished,canceled"], {1, 3},
     "2 jobs were forgotten, 5 were ignored due to wrong state or invalid ID"),
    (["--filter", "aborted"], set(),
     "0 jobs were forgotten, 7 were ignored due to wrong state or invalid ID"),
])
def test_forget_in_each_case(pair, options, forgotten, text):
    one_of_each(pair)
    assert log_lines(pair.hq("job", "forget", "all", *options)) == [f"INFO {text}"]
    left = {j["id"] for j in pair.json("job", "list", "--all")}
    assert left == {1, 2, 3, 4, 5, 6, 7} - forgotten


def test_forget_by_id(pair):
    for _ in range(2):
        pair.submit_and_wait("--", "true")
    assert pair.json("job", "forget", "77") == {}
    assert log_lines(pair.hq("job", "forget", "1-2")) == ["INFO 2 jobs were forgotten"]
    assert log_lines(pair.hq("job", "forget", "1-2")) == [
        "INFO 0 jobs were forgotten, 2 were ignored due to wrong state or invalid ID"]
    assert (pair.work / "job-1" / "0.stdout").exists()
    assert pair.json("job", "list", "--all") == []


@pytest.mark.parametrize("state", ["waiting", "running", "opened"])
def test_forget_takes_ended_states_only(bare, state):
    text = bare.hq("job", "forget", "all", "--filter", state, code=2).stderr
    assert text.startswith(f"error: invalid value '{state}' for '--filter <FILTER>'\n"
                           "  [possible values: finished, failed, aborted, canceled]\n")


# -- cat --------------------------------------------------------------------


@pytest.mark.core
def test_cat_copies_bytes_in_order(pair):
    pair.write("out.py", "import os, sys\n"
               "sys.stdout.buffer.write(bytes(range(256)) + os.environb[b'HQ_TASK_ID'])\n"
               "sys.stderr.write('err')\nsys.exit(int(os.environ['HQ_TASK_ID']) == 2)\n")
    job = pair.submit_and_wait("--array", "3,1-2", "--", "/usr/bin/python3", "out.py")
    other = pair.submit_and_wait("--", "echo", "other")
    every = bytes(range(256))
    assert pair.hq("job", "cat", job, "stdout").raw == b"".join(every + n for n in (b"1", b"2", b"3"))
    assert pair.hq("job", "cat", job, "stderr").raw == b"errerrerr"
    assert quiet(pair, "job", "cat", job, "stderr").raw == b"errerrerr"
    assert pair.hq("job", "cat", f"{other},{job}", "stdout", "--tasks", "0,3").raw == \
        b"other\n" + every + b"3"
    headed = pair.hq("job", "cat", f"{job},{other}", "stdout", "--print-task-header",
                     "--task-status", "finished").raw
    assert headed == (f"# Job {job}, task 1\n".encode() + every + b"1"
                      + f"# Job {job}, task 3\n".encode() + every + b"3"
                      + f"# Job {other}, task 0\nother\n".encode())
    assert pair.hq("job", "cat", "last", "stdout", "--tasks", "0", "--task-status",
                   "finished", "--task-status", "failed").stdout == "other\n"


def test_cat_reads_the_latest_run(env):
    worker = env.start_worker()
    job = env.submit("--stdout", "out-%{INSTANCE_ID}", "--", "sh", "-c",
                     "echo $HQ_INSTANCE_ID; test $HQ_INSTANCE_ID != 0 || sleep 1000")
    env.wait_stats(job, running=1)
    wait_until(lambda: (env.work / "out-0").exists() and env.read("out-0"), "the task")
    worker.kill()
    env.start_worker()
    env.wait_job(job)
    assert env.hq("job", "cat", job, "stdout").stdout != "0\n"


def test_cat_says_what_it_does_not_have(pair):
    pair.submit_and_wait("--stdout", "none", "--array", "0-1", "--", "true")
    pair.submit("--cpus", "64", "--", "true")
    pair.submit_and_wait("--", "true")
    (pair.work / "job-3" / "0.stdout").unlink()
    cases = [
        (["1", "stdout"], ["WARN Task 0 has no `stdout` stream associated with it",
                           "WARN Task 1 has no `stdout` stream associated with it"]),
        (["1", "stderr", "--tasks", "1,5"], ["WARN Task 5 of job 1 not found"]),
        (["1", "stderr", "--task-status", "failed"],
         ["WARN No tasks were selected for job 1, there is nothing to print"]),
        (["2", "stderr"], ["WARN Task 0 has no `stderr` stream associated with it"]),
        (["3", "stdout"], [f"WARN File at `{pair.work}/job-3/0.stdout` cannot be opened: "
                           "No such file or directory (os error 2)"]),
        (["7", "stdout"], ["ERROR Job 7 was not found"]),
    ]
    for words, lines in cases:
        result = pair.hq("job", "cat", *words)
        assert log_lines(result) == lines and result.stdout == ""
    assert pair.json("job", "cat", 1, "stdout", code=1) == {
        "error": "JSON output mode doesn't support job output"}
    assert pair.json("job", "cat", 7, "stdout") == {}


def test_cat_without_jobs(env):
    result = env.hq("job", "cat", "last", "stdout")
    assert log_lines(result) == ["ERROR No jobs were found"] and result.stdout == ""


@pytest.mark.parametrize("words, text", [
    (["all", "stdout"], "error: invalid value 'all' for '<JOB_SELECTOR>': "),
    (["1", "both"], "error: invalid value 'both' for '<STREAM>'\n"
                    "  [possible values: stdout, stderr]\n"),
    (["1", "stdout", "--tasks", "last"], "error: invalid value 'last' for '--tasks <TASKS>': "),
    (["1"], "error: the following required arguments were not provided:\n  <STREAM>\n"),
])
def test_cat_refuses(bare, words, text):
    assert bare.hq("job", "cat", *words, code=2).stderr.startswith(text)


# -- task-ids ---------------------------------------------------------------


def test_task_ids_of_jobs(pair):
    pair.submit_and_wait("--array", "7,1-3", "--", "sh", "-c", "test $HQ_TASK_ID != 2")
    pair.submit("--cpus", "64", "--array", "10-20:5", "--", "true")
    pair.hq("job", "open")
    assert pair.hq("job", "task-ids", 1).stdout == "1-3,7\n"
    assert pair.hq("job", "task-ids", "2,1,3").stdout == "1: 1-3,7\n2: 10,15,20\n3: \n"
    assert pair.hq("job", "task-ids", "last").stdout == "\n"
    assert pair.hq("job", "task-ids", "1-2", "--filter", "failed,waiting").stdout == \
        "1: 2\n2: 10,15,20\n"
    assert pair.hq("job", "task-ids", 1, "--filter=canceled", "--filter=finished").stdout \
        == "1,3,7\n"
    assert pair.json("job", "task-ids", "all") == {"1": [1, 2, 3, 7], "2": [10, 15, 20],
                                                   "3": []}
    assert quiet(pair, "job", "task-ids", 1).stdout == ""
    for mode in ("cli", "quiet"):
        result = pair.hq("--output-mode", mode, "job", "task-ids", "1,9", code=1)
        assert (result.stdout, result.stderr) == ("", "Error: Job Id not found\n")
    assert pair.json("job", "task-ids", 9, code=1) == {"error": "Error: Job Id not found"}
    # As the manual shows it: run again what failed.
    ids = pair.hq("job", "task-ids", 1, "--filter", "failed").stdout.strip()
    again = pair.submit_and_wait(f"--array={ids}", "--", "true")
    assert list(pair.tasks(again)) == [2]


def test_task_ids_without_jobs(env):
    for selector in ("last", "all"):
        assert env.hq("job", "task-ids", selector).stdout == ""
        assert env.json("job", "task-ids", selector) == {}


# -- open -------------------------------------------------------------------


def test_open_in_each_mode(env):
    assert env.hq("job", "open").stdout == "Job 1 is open.\n"
    assert env.json("job", "open", "--name", "n", "--max-fails", "3") == {"id": 2}
    assert quiet(env, "job", "open").stdout == "3\n"
    assert (env.job(1)["info"]["name"], env.job(1)["max_fails"]) == ("job", None)
    assert (env.job(2)["info"]["name"], env.job(2)["max_fails"]) == ("n", 3)
    assert env.submit("--", "true") == 4
    for name in ("a\nb", "a\tb"):
        result = env.hq("job", "open", "--name", name, code=1)
        assert result.stderr == "name cannot have a newline or a tab\n"
    env.hq("job", "open", "--max-fails=-1", code=2)


# -- selectors --------------------------------------------------------------


@pytest.mark.parametrize("command", ["info", "cancel", "forget", "wait", "progress",
                                     "task-ids", "close"])
def test_selectors_of_each_command(bare, command):
    for bad in ("", "All", "-", "1-", "3-1", "1,1", "1-5,3", "x", "1 2", "4294967296"):
        result = bare.hq("job", command, "--", bad, code=2)
        assert result.stderr.startswith(f"error: invalid value '{bad}' for '<SELECTOR>': ")
    for good in ("all", "last", "1", "1-3", "2,4-8:2", " 1 , 3 ", "1_0"):
        result = bare.hq("job", command, good, code=1)
        assert result.stderr.startswith("Invalid server directory\n")


def test_commands_ask_for_their_selector(bare):
    for command in ("info", "cancel", "forget", "wait", "progress", "task-ids", "close"):
        result = bare.hq("job", command, code=2)
        assert result.stderr.startswith("error: the following required arguments were not "
                                        "provided:\n  <SELECTOR>\n")


def test_million_ids_in_a_selector(pair):
    job = pair.submit_and_wait("--", "true")
    every, patience = "1-1000000", {"timeout_s": 120}
    assert [d["info"]["id"] for d in pair.json("job", "info", every, **patience)] == [job]
    assert pair.json("job", "wait", every, **patience) == {}
    text = pair.hq("job", "cancel", every, **patience).stderr
    assert text.count("\n") == 1_000_000
    assert text.rstrip().endswith("Canceling job 1000000 failed; job not found")
    assert list(pair.json("task", "list", every, **patience)) == [str(job)]
    assert log_lines(pair.hq("job", "forget", every, **patience)) == [
        "INFO 1 job were forgotten, 999999 were ignored due to wrong state or invalid ID"]


@pytest.mark.parametrize("words", [
    ["job", "cancel"], ["job", "info"], ["task", "list"], ["job", "wait"],
])
def test_more_ids_than_the_server_takes(env, words):
    result = env.hq(*words, "0-4294967294", code=1)
    assert result.stderr == ("the selector names 4294967295 ids, at most 10000000 are "
                             "taken at once\n")
    assert env.server.running and env.submit("--", "true") == 1


def test_wait_of_a_job_that_another_client_closes(pair):
    pair.hq("job", "open")
    waiting = pair.spawn("wait", HQ, "job", "wait", "1")
    pair.submit("--job", 1, "--", "true")
    pair.hq("job", "wait", 1, "--without-close")
    assert waiting.running
    pair.hq("job", "close", 1)
    assert waiting.wait() == 0 and waiting.text() == ""
