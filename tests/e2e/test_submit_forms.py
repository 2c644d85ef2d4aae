"""Where tasks come from, the order of the checks, warnings and what a submit prints."""
import os
import threading

import pytest

from harness import HQ, wait_until


def submitted(result):
    return int(result.stdout.rsplit(" ", 1)[1])


def array_of(env, job):
    return env.job(job)["submits"][0]["array"]


# --- the command ---------------------------------------------------------


@pytest.mark.parametrize("words, args", [
    (["ls", "-la"], ["ls", "-la"]), (["--", "ls", "--", "-la"], ["ls", "--", "-la"]),
    (["foo", "--array", "1-4"], ["foo", "--array", "1-4"]), (["--", "--odd"], ["--odd"]),
    (["foo", "--help"], ["foo", "--help"]), (["foo", "-h"], ["foo", "-h"]),
    (["foo", "--server-dir", "x"], ["foo", "--server-dir", "x"]), (["a", ""], ["a", ""]),
])
def test_first_word_begins_the_command(env, words, args):
    assert array_of(env, env.submit(*words))["program"]["args"] == args


@pytest.mark.parametrize("words, name", [
    (["true"], "true"), (["/bin/echo", "x"], "echo"), (["./a/b.py"], "b.py"), (["."], "job"),
    (["/"], "job"), ([".."], "job"), (["a/"], "a"), (["--name", "n", "/bin/true"], "n"),
])
def test_default_names(env, words, name):
    assert env.job(env.submit(*words))["info"]["name"] == name


def test_default_name_comes_after_the_shebang(env):
    env.write("script.sh", "#!/bin/bash\ntrue\n")
    assert env.job(env.submit("script.sh"))["info"]["name"] == "bash"
    assert env.job(env.submit("--directives=off", "script.sh"))["info"]["name"] == "script.sh"


def test_defaults(env):
    detail = env.job(env.submit("true"))
    array = detail["submits"][0]["array"]
    assert detail["max_fails"] is None
    assert array["resources"] == [{"n_nodes": 0, "min_time": 0.0, "weight": 10000, "resources": [
        {"resource": "cpus", "request": {"Compact": 10000}}]}]
    assert (array["pin_mode"], array["priority"], array["time_limit"], array["task_dir"],
            array["crash_limit"]) == (None, 0, None, False, 5)
    assert array["program"]["cwd"] == str(env.work)
    assert array["program"]["stdout"] == f"{env.work}/job-1/%{{TASK_ID}}.stdout"
    assert array["program"]["stderr"] == f"{env.work}/job-1/%{{TASK_ID}}.stderr"


@pytest.mark.parametrize("words, message", [
    (["--nodes", "2", "--pin", "omp"], "the argument '--nodes <NODES>' cannot be used with"),
    (["--nodes", "2", "--cpus", "1"], "the argument '--nodes <NODES>' cannot be used with"),
    (["--each-line", "a", "--from-json", "b"],
     "the argument '--each-line <EACH_LINE>' cannot be used with '--from-json <FROM_JSON>'"),
    (["--wait", "--progress"], "the argument '--wait' cannot be used with '--progress'"),
], ids=lambda v: v if isinstance(v, str) else " ".join(v))
def test_options_that_exclude_each_other(bare, words, message):
    assert message in bare.hq("submit", *words, "true", code=2).stderr


def test_cpus_are_given_once(env):
    result = env.hq("submit", "--cpus", "1", "--resource", "cpus=2", "true", code=1)
    assert "--cpus and --resource cpus=... cannot be combined" in result.stderr
    result = env.hq("submit", "--resource", "a=1", "--resource", "a=2", "true", code=1)
    assert "Resource 'a' defined more than once" in result.stderr


def test_cpus_are_added_unless_requested(env):
    named = array_of(env, env.submit("--resource", "gpus=1", "true"))["resources"][0]["resources"]
    assert {r["resource"] for r in named} == {"cpus", "gpus"}
    own = array_of(env, env.submit("--resource", "cpus=2", "true"))["resources"][0]["resources"]
    assert own == [{"resource": "cpus", "request": {"Compact": 20000}}]


def test_larger_priority_runs_first(pair):
    hold = pair.submit("--cpus", "2", "--", "sh", "-c", "while ! test -e go; do sleep 0.02; done")
    pair.wait_stats(hold, running=1)
    for priority in (-1, 5, 0, 7):
        pair.submit(f"--priority={priority}", "--cpus", "2", "--", "sh", "-c",
                    f"echo {priority} >>order")
    pair.write("go", "")
    pair.hq("job", "wait", "all")
    assert pair.read("order").split() == ["7", "5", "0", "-1"]


# --- entries ---------------------------------------------------------------

ECHO = "--", "sh", "-c", 'printf %s "$HQ_ENTRY"'


@pytest.mark.parametrize("content, entries", [
    (b"a\nb\n", [b"a", b"b"]), (b"a\nb", [b"a", b"b"]), (b"a\n\n\nb\n", [b"a", b"", b"", b"b"]),
    (b"a\r\nb\r\n", [b"a\r", b"b\r"]), (b"\n", [b""]), (b"\xff\xfe\nx\n", [b"\xff\xfe", b"x"]),
    (b" a \n\tb\n", [b" a ", b"\tb"]), ("ž\n".encode(), ["ž".encode()]),
    (b"x" * 100_000 + b"\ny", [b"x" * 100_000, b"y"]),
], ids=["newline", "no newline", "empty lines", "carriage return", "one empty line", "not utf-8",
        "blanks", "utf-8", "long line"])
def test_each_line(pair, content, entries):
    (pair.work / "f").write_bytes(content)
    job = pair.submit_and_wait("--each-line", "f", *ECHO)
    assert pair.states(job) == ["finished"] * len(entries)
    got = [(pair.work / f"job-{job}/{i}.stdout").read_bytes() for i in range(len(entries))]
    assert got == entries


@pytest.mark.parametrize("words, has_entry", [([], False), (["--array", "1-2"], False),
                                              (["--each-line", "f"], True)])
def test_entry_variable_only_with_entries(pair, words, has_entry):
    pair.write("f", "a\nb\n")
    job = pair.submit_and_wait(*words, "--", "sh", "-c", "test ${HQ_ENTRY+x}")
    assert set(pair.states(job)) == {"finished" if has_entry else "failed"}


@pytest.mark.parametrize("given, kept", [
    ("1,3", [1, 3]), ("3,1", [1, 3]), ("0-9", [0, 1, 2, 3]), ("0-9:2", [0, 2]),
    ("2-1000000", [2, 3]), ("77", []),
])
def test_array_selects_among_entries(env, given, kept):
    env.write("f", "a\nb\nc\nd\n")
    env.write("j", "[0, 1, 2, 3]")
    for source in (["--each-line", "f"], ["--from-json", "j"]):
        job = env.submit(*source, "--array", given, "true")
        assert sorted(env.tasks(job)) == kept
        assert env.job(job)["info"]["task_count"] == len(kept)


def test_selected_entry_belongs_to_its_number(pair):
    pair.write("f", "a\nb\nc\nd\n")
    job = pair.submit_and_wait("--each-line", "f", "--array", "3,1", *ECHO)
    assert [pair.read(f"job-{job}/{i}.stdout") for i in (1, 3)] == ["b", "d"]


def test_from_json_writes_elements_again(pair):
    pair.write("j", '[ 1, -2.50, 1e3, "t \\u00e9 \\"q\\" \\n", null, true,\n'
                    '  {"b": [1, 2 ], "a": {"z": 1, "y": 2}}, [], {}, 12345678901234567890,\n'
                    '  {"a": 1, "b": 2, "a": 3}]')
    expect = ["1", "-2.5", "1000.0", '"t é \\"q\\" \\n"', "null", "true",
              '{"a":{"y":2,"z":1},"b":[1,2]}', "[]", "{}", "12345678901234567890", '{"a":3,"b":2}']
    job = pair.submit_and_wait("--from-json", "j", *ECHO)
    assert [pair.read(f"job-{job}/{i}.stdout") for i in range(len(expect))] == expect


@pytest.mark.parametrize("option, word", [("--each-line", "file"), ("--from-json", "json file")])
def test_reading_is_logged(env, option, word):
    env.write("f", "[1]")
    assert f"INFO Reading {word}: f\n" in env.hq("submit", option, "f", "true").stderr
    assert env.hq("--output-mode=json", "submit", option, "f", "true").stderr == ""
    assert env.hq("--output-mode=quiet", "submit", option, "f", "true").stderr == ""


def test_file_above_100_mb_warns(env):
    with open(env.work / "big", "wb") as f:
        f.truncate(100 * 1024 * 1024 + 1)
    result = env.hq("submit", "--each-line", "big", "true", code=None)
    assert "WARN Reading file bigger than 100MB" in result.stderr


@pytest.mark.parametrize("option, content", [("--each-line", ""), ("--from-json", "[]")])
def test_empty_source_is_a_job_without_tasks(env, option, content):
    env.write("f", content)
    job = env.submit(option, "f", "true", "x")
    detail = env.job(job)
    assert detail["info"]["task_count"] == 0
    assert detail["submits"][0]["array"]["program"]["args"] == ["true", "x"]
    assert env.hq("job", "info", job).fields()["Command"] == "true\nx"
    assert env.hq("--output-mode", "quiet", "job", "list", "--all").stdout == "1 FINISHED\n"
    env.hq("job", "wait", job)


def test_each_line_reads_a_fifo_once(pair):
    fifo = pair.work / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(b"one\ntwo\n"))
    writer.start()
    job = pair.submit_and_wait("--each-line", "fifo", *ECHO)
    writer.join()
    assert [pair.read(f"job-{job}/{i}.stdout") for i in range(2)] == ["one", "two"]


def test_each_line_reads_standard_input(pair):
    job = pair.submit_and_wait("--each-line", "/dev/stdin", *ECHO, stdin="x\ny\n")
    assert [pair.read(f"job-{job}/{i}.stdout") for i in range(2)] == ["x", "y"]


# --- output files ------------------------------------------------------------

NOISE = "--", "sh", "-c", "echo out; echo err >&2"


def files_of(env):
    return sorted(str(p.relative_to(env.work)) for p in env.work.rglob("*") if p.is_file())


@pytest.mark.parametrize("words, files", [
    ([], ["job-1/0.stderr", "job-1/0.stdout"]), (["--stdout=none"], ["job-1/0.stderr"]),
    (["--stdout=none", "--stderr=none"], []), (["--stdout=o", "--stderr=e"], ["e", "o"]),
    (["--stdout=d/o", "--stderr=none"], ["d/o"]),
    (["--stdout=o:rm-if-finished", "--stderr=none"], []),
    (["--stdout=:rm-if-finished"], ["job-1/0.stderr"]),
    (["--stdout=:rm-if-finished", "--stderr=:rm-if-finished"], []),
])
def test_output_files(pair, words, files):
    pair.submit_and_wait(*words, *NOISE)
    assert files_of(pair) == files


@pytest.mark.parametrize("how", ["failed", "canceled", "aborted", "time limit"])
def test_rm_if_finished_keeps_the_files_of_others(pair, how):
    words = ["--stdout=o:rm-if-finished", "--stderr=none"]
    hang = "touch running; while :; do sleep 0.05; done"
    if how == "failed":
        pair.submit_and_wait(*words, "--", "false")
    elif how == "time limit":
        pair.submit_and_wait(*words, "--time-limit=50ms", "--", "sleep", "60")
    elif how == "canceled":
        job = pair.submit(*words, "--", "sh", "-c", hang)
        wait_until(lambda: (pair.work / "running").exists())
        pair.hq("job", "cancel", job)
    else:
        pair.submit_and_wait(*words, "--max-fails=0", "--array=0-1", "--", "sh", "-c",
                             f"test $HQ_TASK_ID = 0 && {{ {hang}; }}; "
                             "while ! test -e running; do sleep 0.02; done; exit 1")
    assert (pair.work / "o").exists()


@pytest.mark.parametrize("words, files, streamed", [
    ([], [], b"out\nerr\n"), (["--stdout=o"], ["o"], b"err\n"), (["--stderr=e"], ["e"], b"out\n"),
    (["--stdout=none"], [], b"err\n"), (["--stdout=o:rm-if-finished"], [], b"err\n"),
    (["--stdout=:rm-if-finished"], [], b"err\n"),
    (["--stdout=o", "--stderr=e"], ["e", "o"], b""),
])
def test_output_with_stream(pair, words, files, streamed):
    pair.submit_and_wait("--stream", "logs", *words, *NOISE)
    assert [f for f in files_of(pair) if not f.startswith("logs/")] == files
    got = b""
    if streamed:
        got = b"".join(pair.hq("output-log", "logs", "cat", "1", channel).raw
                       for channel in ("stdout", "stderr"))
    assert got == streamed


def test_files_are_truncated_at_every_start(pair):
    pair.write("o", "old content, longer than the new\n")
    pair.submit_and_wait("--stdout=o", "--", "echo", "new")
    assert pair.read("o") == "new\n"


# --- order of checks -----------------------------------------------------------

# Each step's mistake; a submit with several has to tell of the first.
CHECKS = [
    (["--priority", "x"], {}, 2, "invalid value 'x' for '--priority"),
    (["--server-dir", "nowhere"], {}, 1, "Invalid server directory"),
    (["--directives=stdin"], {}, 1, "You have to use `--stdin` when you specify"),
    (["--cpus=1", "--resource", "cpus=1"], {}, 1, "cannot be combined"),
    (["--each-line", "missing"], {}, 1, "No such file or directory"),
    (["--cwd", "%{CWD}"], {}, 1, "cannot contain the working directory placeholder"),
    (["--name", "a\tb"], {}, 1, "name cannot have a newline or a tab"),
    (["--job", "77"], {}, 1, "Job 77 not found."),
]


@pytest.mark.parametrize("first", range(len(CHECKS)))
def test_which_error_wins(env, first):
    words = [w for check in CHECKS[first:] for w in check[0]]
    if first <= 6 and "--job" in words:  # a name and a job exclude each other
        words = words[:words.index("--job")]
    _, _, code, message = CHECKS[first]
    result = env.hq("submit", *words, "true", code=code)
    assert message in result.stderr
    assert env.json("job", "list", "--all") == []


def test_directives_are_parsed_before_resources(env):
    env.script("s.sh", "#HQ --nonsense\n")
    result = env.hq("submit", "--cpus=1", "--resource", "cpus=1", "s.sh", code=1)
    assert "Could not parse directives from s.sh" in result.stderr


def test_job_with_a_name_is_told_before_resources(env):
    result = env.hq("submit", "--job", "9", "--name", "a", "--cpus=1", "--resource", "cpus=1",
                    "true", code=1)
    assert "Parameter --name is not allowed when submitting to an open job." in result.stderr


def test_no_server_is_told_before_standard_input_is_read(bare):
    result = bare.hq("submit", "--stdin", "cat", code=1)
    assert "Reading data from stdin" not in result.stdout
    assert "Invalid server directory" in result.stderr


# --- standard input ------------------------------------------------------------


def test_prompt_of_stdin(env):
    text = "Reading data from stdin. In the interactive mode press Ctrl-D to submit.\n"
    assert env.hq("submit", "--stdin", "cat", stdin="x").stdout.startswith(text)
    assert env.hq("--output-mode=json", "submit", "--stdin", "cat", stdin="x").json() == {"id": 2}
    assert env.hq("--output-mode=quiet", "submit", "--stdin", "cat", stdin="x").stdout == "3\n"


@pytest.mark.parametrize("data", [b"", b"text\n", bytes(range(256)) * 64, b"\0\0\n\xff"],
                         ids=["empty", "text", "binary", "nul"])
def test_stdin_reaches_every_task_as_it_is(pair, data):
    job = pair.submit_and_wait("--stdin", "--array", "1-3", "--", "cat", stdin=data)
    for task in (1, 2, 3):
        assert (pair.work / f"job-{job}/{task}.stdout").read_bytes() == data


def test_task_need_not_read_its_stdin(pair):
    job = pair.submit_and_wait("--stdin", "--", "true", stdin=b"x" * 1_000_000)
    assert pair.states(job) == ["finished"]


def test_without_stdin_a_task_reads_nothing(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "readlink /proc/self/fd/0; cat", stdin=b"x")
    assert pair.read(f"job-{job}/0.stdout") == "/dev/null\n"


# --- result ----------------------------------------------------------------------


def test_result_is_coloured_on_request(env):
    text = env.hq("--colors", "always", "submit", "true").stdout
    assert text.startswith("Job submitted \x1b[") and text.endswith("job ID: 1\n")


def test_same_result_for_an_open_job(env):
    env.hq("job", "open")
    for _ in range(2):
        assert env.hq("submit", "--job", "1", "true").stdout == \
            "Job submitted successfully, job ID: 1\n"


@pytest.mark.parametrize("mode, text", [("cli", "Job submitted successfully, job ID: 1\n"),
                                        ("quiet", "1\n"), ("json", '{\n  "id": 1\n}\n')])
def test_wait_prints_the_id_first(env, mode, text):
    waiting = env.spawn("submit", HQ, "--output-mode", mode, "submit", "--wait", "true")
    wait_until(lambda: waiting.text() == text, "the id")
    assert waiting.running
    env.hq("job", "cancel", "1")
    assert waiting.wait() == 0 and waiting.text() == text


def test_wait_for_an_open_job_waits_until_it_is_closed(pair):
    pair.hq("job", "open")
    waiting = pair.spawn("submit", HQ, "submit", "--job", "1", "--wait", "true")
    pair.wait_stats(1, finished=1)
    assert waiting.running
    pair.hq("job", "close", "1")
    assert waiting.wait() == 0


def test_progress_of_an_open_job_ends_when_it_is_closed(pair):
    pair.hq("job", "open")
    watching = pair.spawn("submit", HQ, "submit", "--job", "1", "--progress", "true")
    wait_until(lambda: "1/1 tasks" in watching.text(), "the bar")
    assert watching.running
    pair.hq("job", "close", "1")
    assert watching.wait() == 0


# --- warnings --------------------------------------------------------------------

SHARED = ("You have submitted an array job, but the `{0}` path does not contain the task ID "
          "placeholder.\nIndividual tasks might thus overwrite the file. Consider adding "
          "`%{{TASK_ID}}` to the `--{0}` value.")


def many(n, channels="stdout and stderr"):
    return (f"The job will create {n} files for {channels}. Consider using the `--stream` option "
            "to stream all outputs into a single file")


def unknown(names, where, plural=""):
    return f"Found unknown placeholder{plural} `{names}` in {where}"


WARNINGS = [
    (["--array=1-2"], []),
    (["--array=1-499"], []), (["--array=1-500"], [many(1000)]),
    (["--array=0-998:2"], [many(1000)]), (["--array=0-996:2"], []),
    (["--array=1-1000", "--stdout=none"], [many(1000, "stderr")]),
    (["--array=1-1000", "--stderr=none"], [many(1000, "stdout")]),
    (["--array=1-999", "--stderr=none"], []),
    (["--array=1-1000", "--stdout=none", "--stderr=none"], []),
    (["--array=1-1000", "--stream=log"], []),
    (["--array=1-2", "--stdout=x"], [SHARED.format("stdout")]),
    (["--array=1-2", "--stderr=x"], [SHARED.format("stderr")]),
    (["--array=1-2", "--stdout=x", "--stderr=y"],
     [SHARED.format("stdout"), SHARED.format("stderr")]),
    (["--array=1", "--stdout=x"], []), (["--stdout=x"], []),
    (["--array=1-2", "--stdout=x%{TASK_ID}"], []),
    (["--array=1-2", "--stdout=x", "--cwd=c%{TASK_ID}"], []),
    (["--array=1-2", "--stdout=%{CWD}/x", "--cwd=c%{TASK_ID}"], []),
    (["--array=1-2", "--stdout=/tmp/x", "--cwd=c%{TASK_ID}"], [SHARED.format("stdout")]),
    (["--stdout=%{FOO}"], [unknown("FOO", "stdout path")]),
    (["--stderr=%{FOO}"], [unknown("FOO", "stderr path")]),
    (["--cwd=%{FOO}"], [unknown("FOO", "working directory path")]),
    (["--stream=%{FOO}"], [unknown("FOO", "log path")]),
    (["--stdout=%{A}%{B}"], [unknown("A, B", "stdout path", "s")]),
    (["--stdout=%{job_id}"], [unknown("job_id", "stdout path")]),
    (["--stdout=%{}"], [unknown("", "stdout path")]),
    (["--stdout=%{JOB_ID}%{TASK_ID}%{INSTANCE_ID}%{SUBMIT_DIR}%{SERVER_UID}%{CWD}"], []),
    (["--env", "A=1", "--env", "A=2"],
     ["Some environment variables were ignored. Check if you haven't used duplicate keys."]),
]


@pytest.mark.parametrize("words, warnings", WARNINGS, ids=[" ".join(w) for w, _ in WARNINGS])
def test_warnings(env, words, warnings):
    result = env.hq("submit", *words, "true")
    assert submitted(result) == 1
    told = result.stderr.split(" WARN ")[1:]
    texts = [text[:text.rfind("\n2")] if "\n2" in text else text.rstrip("\n") for text in told]
    assert texts == warnings
    value = env.json("submit", *words, "true")
    assert value.get("warnings", []) == warnings
    assert env.hq("--output-mode=quiet", "submit", *words, "true").stderr == ""


def test_last_duplicate_variable_wins(pair):
    job = pair.submit_and_wait("--env", "A=1", "--env", "A=2", "--", "sh", "-c", "echo $A")
    assert pair.read(f"job-{job}/0.stdout") == "2\n"
