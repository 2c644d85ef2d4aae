"""Input that is missing, broken or far too large: a message, the documented exit code,
and a server that goes on."""
import os
import signal

import pytest

from harness import HQ, wait_until

LARGEST = 4294967294


def still_works(env):
    job = env.submit("--", "true")
    assert env.job(job)["info"]["task_count"] == 1


# --- ids and selectors -----------------------------------------------------------------


@pytest.mark.parametrize("words, code, text", [
    (["job", "info", "77"], 0, "ERROR Job 77 not found"),
    (["job", "cancel", "77"], 0, "ERROR Canceling job 77 failed; job not found"),
    (["job", "close", "77"], 0, "ERROR Closing job 77 failed; job not found"),
    (["job", "forget", "77"], 0, "0 jobs were forgotten, 1 were ignored"),
    (["job", "task-ids", "77"], 1, "Job Id not found"),
    (["job", "cat", "77", "stdout"], 0, "ERROR Job 77 was not found"),
    (["task", "list", "77"], 0, "WARN Job 77 not found"),
    (["task", "info", "77", "0"], 0, "ERROR Cannot find job 77"),
    (["task", "info", "1", "77"], 0, "WARN Task 77 not found"),
    (["task", "explain", "77", "0"], 1, "Job not found"),
    (["task", "explain", "1", "77"], 1, "Task not found"),
    (["submit", "--job=77", "true"], 1, "Job 77 not found."),
    (["job", "wait", "77"], 0, ""), (["job", "progress", "77"], 0, "There are no jobs to wait for"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_ids_that_do_not_exist(env, words, code, text):
    env.submit("true")
    assert text in env.hq(*words, code=code).stderr


@pytest.mark.parametrize("job", ["0", str(LARGEST)])
def test_ids_at_the_ends(env, job):
    assert f"Job {job} not found" in env.hq("job", "info", job).stderr


@pytest.mark.parametrize("array", ["4294967295", "4294967296", "0-4294967295", "1-99999999999",
                                   "18446744073709551616", "0-10:4294967296", "9" * 5000])
def test_ranges_that_overflow(bare, array):
    for words in (["submit", "--array", array, "true"], ["job", "info", array],
                  ["job", "cancel", array], ["task", "info", "1", array],
                  ["task", "list", "1", "--tasks", array]):
        assert bare.hq(*words, code=2).stderr.startswith("error: invalid value")


def test_array_of_all_ids(env):
    """Either accepted or refused, but at once and without the memory of 4 G tasks."""
    result = env.hq("submit", "--array", f"0-{LARGEST}", "--stdout=none", "--stderr=none", "true",
                    code=1)
    assert "too many tasks" in result.stderr or "more than" in result.stderr
    still_works(env)


def test_largest_job_that_is_taken(pair):
    """Its tasks run; where they end is near the last number there is."""
    job = pair.submit("--array", "0-4294967279", "--stdout=none", "--stderr=none", "true")
    stats = lambda: pair.json("job", "list", "--all")[0]["task_stats"]
    wait_until(lambda: stats()["finished"], "a task to finish")
    pair.hq("job", "cancel", job)
    assert stats()["canceled"] + stats()["finished"] == 4294967280
    still_works(pair)


def test_selector_of_a_million_ids(env):
    """Each id that does not exist is told."""
    env.submit("true")
    result = env.hq("job", "cancel", "2-1000001", timeout_s=60)
    assert result.stderr.count("job not found\n") == 1_000_000
    still_works(env)


@pytest.mark.parametrize("words", [["job", "forget", "1-1000000"], ["job", "wait", "2-1000000"],
                                   ["job", "progress", "2-1000000"],
                                   ["task", "list", "1", "--tasks", "0-1000000"]],
                         ids=" ".join)
def test_selectors_of_a_million_ids_that_are_not_told(env, words):
    env.submit("true")
    env.hq(*words, timeout_s=60)
    still_works(env)


@pytest.mark.parametrize("words", [
    *(["job", command, f"1-{LARGEST}"] for command in ("info", "cancel", "close", "forget", "wait",
                                                       "progress", "task-ids")),
    ["task", "list", f"1-{LARGEST}"], ["job", "cat", f"1-{LARGEST}", "stdout"],
    ["job", "cat", "1", "stdout", "--tasks", f"0-{LARGEST}"], ["task", "info", "1", f"0-{LARGEST}"],
], ids=" ".join)
def test_selector_of_all_ids(env, words):
    """Four thousand million ids are too many to answer for one by one."""
    env.submit("true")
    result = env.hq(*words, code=1)
    assert "at most 10000000 are taken at once" in result.stderr
    still_works(env)


def test_filter_of_all_ids(env):
    env.submit("true")
    assert len(env.json("task", "list", "1", "--tasks", f"0-{LARGEST}")["1"]) == 1


def test_selector_of_many_ranges(env):
    env.submit("true")
    text = ",".join(str(i) for i in range(1, 40_000, 2))[:100_000].rsplit(",", 1)[0]
    result = env.hq("job", "info", text)
    assert "Job 3 not found" in result.stderr
    assert len(env.json("job", "info", text)) == 1


# --- entry files -----------------------------------------------------------------------


ENTRY = [("--each-line", "file"), ("--from-json", "json file")]


@pytest.mark.parametrize("option, word", ENTRY)
@pytest.mark.parametrize("kind, error", [
    ("missing", "No such file or directory (os error 2)"),
    ("directory", "Is a directory (os error 21)"), ("below file", "Not a directory (os error 20)"),
    ("loop", "Too many levels of symbolic links (os error 40)"),
])
def test_entry_files_that_cannot_be_read(env, option, word, kind, error):
    env.write("file", "")
    (env.work / "directory").mkdir()
    (env.work / "loop").symlink_to("loop")
    name = {"below file": "file/x"}.get(kind, kind)
    result = env.hq("submit", option, name, "true", code=1)
    assert f"INFO Reading {word}: {name}\n" in result.stderr
    assert result.stderr.splitlines()[-1] == error
    assert env.json("job", "list", "--all") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("option, word", ENTRY)
def test_entry_file_without_permission(env, option, word):
    env.write("secret", "a\n", 0)
    assert "Permission denied (os error 13)" in env.hq("submit", option, "secret", "true",
                                                       code=1).stderr


@pytest.mark.parametrize("content", [
    b"", b"[1, 2", b"{", b"[1,]", b"[1 2]", b"nope", b"[nul]", b'["\xff"]', b'["a\nb"]',
    b"[1] x", b"\0", b"[\x00]", b'["\\ud800"]', b'["\\x"]', b"[" * 100_000, b"[01]", b"[1.]",
    os.urandom(1000),
], ids=range(18))
def test_broken_json(env, content):
    (env.work / "j").write_bytes(content)
    result = env.hq("submit", "--from-json", "j", "true", code=1)
    message = result.stderr.splitlines()[-1]
    assert message and "INFO" not in message and len(message) < 500
    assert env.json("job", "list", "--all") == []


@pytest.mark.parametrize("content, kind", [(b'{"a": 1}', "object"), (b"7", "number"),
                                           (b'"x"', "text"), (b"null", "null")])
def test_json_that_is_no_array(env, content, kind):
    (env.work / "j").write_bytes(content)
    assert env.hq("submit", "--from-json", "j", "true", code=1).stderr.endswith(
        "j: The top element of the provided JSON file has to be an array\n")


@pytest.mark.parametrize("data", [b"a\0b\n", b"\0\n", b"x\n\0\0\0"])
def test_lines_with_nul(env, data):
    """A variable cannot hold them: refused, rather than a task that sees half a line."""
    (env.work / "f").write_bytes(data)
    result = env.hq("submit", "--each-line", "f", "true", code=1)
    line = data[:data.index(b"\0")].count(b"\n") + 1
    assert result.stderr.endswith(f"f: line {line} holds a NUL character, which HQ_ENTRY cannot "
                                  "hold\n")
    assert env.json("job", "list", "--all") == []


def test_json_text_with_nul(env):
    """Elements are written as JSON, where the character is an escape."""
    env.write("j", '["a\\u0000b"]')
    job = env.submit("--from-json", "j", "true")
    assert env.job(job)["info"]["task_count"] == 1


def test_binary_lines(pair):
    data = bytes(b for b in range(1, 256) if b != 10)
    (pair.work / "f").write_bytes(data + b"\n" + data[::-1])
    job = pair.submit_and_wait("--each-line", "f", "--", "sh", "-c", 'printf %s "$HQ_ENTRY"')
    assert (pair.work / f"job-{job}/0.stdout").read_bytes() == data
    assert (pair.work / f"job-{job}/1.stdout").read_bytes() == data[::-1]


def test_line_that_is_too_long_for_a_variable(pair):
    """The kernel limits one variable to 128 KiB: the task fails by name."""
    (pair.work / "f").write_bytes(b"ok\n" + b"x" * 200_000 + b"\n")
    job = pair.submit_and_wait("--each-line", "f", "--", "sh", "-c", "true")
    tasks = pair.tasks(job)
    assert tasks[0]["state"] == "finished" and tasks[1]["state"] == "failed"
    assert tasks[1]["error"] == 'Cannot execute "sh -c true": Argument list too long (os error 7)'


def test_many_lines(env):
    (env.work / "f").write_bytes(b"line\n" * 300_000)
    job = env.submit("--each-line", "f", "--stdout=none", "--stderr=none", "true")
    assert env.json("job", "list", "--all")[0]["task_count"] == 300_000
    env.hq("job", "cancel", job)


@pytest.mark.parametrize("option", ["--each-line", "--from-json"])
def test_sparse_file_beyond_the_limit(env, option):
    with open(env.work / "huge", "wb") as f:
        f.truncate(8 << 30)
    result = env.hq("submit", option, "huge", "true", code=1, timeout_s=60)
    assert "'huge' is larger than 1 GiB" in result.stderr
    still_works(env)


@pytest.mark.long
def test_line_of_one_gib(env):
    with open(env.work / "huge", "wb") as f:
        for _ in range(1024):
            f.write(b"x" * (1 << 20))
        f.write(b"\nend\n")
    result = env.hq("submit", "--each-line", "huge", "true", code=1, timeout_s=120)
    assert "1 GiB" in result.stderr
    still_works(env)


def test_fifo_without_a_writer_can_be_interrupted(env):
    os.mkfifo(env.work / "fifo")
    waiting = env.spawn("submit", HQ, "submit", "--each-line", "fifo", "true")
    where = f"/proc/{waiting.pid}/wchan"
    wait_until(lambda: open(where).read() not in ("", "0"), "the open call")
    waiting.send(signal.SIGINT)
    assert waiting.wait() == -signal.SIGINT
    still_works(env)


def test_device_as_entry_file(env):
    job = env.submit("--each-line", "/dev/null", "true")
    assert env.job(job)["info"]["task_count"] == 0


# --- standard input ----------------------------------------------------------------------


@pytest.mark.long
def test_stdin_of_the_largest_size(pair):
    pair.run("bash", "-c", f"head -c {240 << 20} /dev/zero | {HQ} submit --wait --stdin wc -c",
             timeout_s=120)
    assert pair.read("job-1/0.stdout").strip() == str(240 << 20)


def test_stdin_beyond_the_limit(env):
    """What no worker could hand to the task is not taken."""
    result = env.run("bash", "-c",
                     f"head -c {(240 << 20) + 1} /dev/zero | {HQ} submit --stdin cat", code=1)
    assert "standard input is larger than 240 MiB" in result.stderr
    still_works(env)


def test_closed_descriptors(pair):
    """They must not become the connection to the server."""
    pair.run("bash", "-c", f"{HQ} submit --wait --stdin -- wc -c <&-")
    assert pair.read("job-1/0.stdout").strip() == "0"
    for closed, code in ((">&-", 1), ("2>&-", 0), ("<&- >&- 2>&-", 1)):
        pair.run("bash", "-c", f"{HQ} job list --all {closed}", code=code)
    still_works(pair)


def test_stdin_is_a_directory(env):
    result = env.run("bash", "-c", f"{HQ} submit --stdin cat </", code=1)
    assert "cannot read standard input: Is a directory" in result.stderr


# --- directives and scripts ----------------------------------------------------------------


@pytest.mark.parametrize("content, ok", [
    (b"#HQ --name \"open\n", False), (b"#HQ \"\n", False), (b"#HQ --env A=\"x\ntrue\n", False),
    (b"#!/bin/sh \"open\n", False), (b"#HQ --name \xff\n", True), (b"\0#HQ --wait\n", True),
    (b"#HQ --name a\0b\n", None), (b"#HQ " + b"x" * 40_000, False), (b"", True),
    (os.urandom(40_000), None), (b"#\n" * 40_000, True),
], ids=range(11))
def test_scripts_that_are_odd(env, content, ok):
    (env.work / "s.sh").write_bytes(content)
    result = env.hq("submit", "s.sh", code=None)
    assert result.code in (0, 1)
    if ok is not None:
        assert (result.code == 0) == ok, result
    if result.code == 1:
        assert "s.sh" in result.stderr
    still_works(env)


def test_script_that_is_a_directory(env):
    (env.work / "d.sh").mkdir()
    assert env.hq("submit", "./d.sh", code=1).stderr == \
        "Could not parse directives from ./d.sh: Is a directory (os error 21)\n"


# --- command words --------------------------------------------------------------------------


def test_arguments_at_the_limit_of_the_kernel(pair):
    word = "x" * (128 * 1024 - 1)
    job = pair.submit_and_wait("--", "sh", "-c", 'printf %s "$1" | wc -c', "sh", word[:120_000])
    assert pair.read(f"job-{job}/0.stdout").strip() == "120000"


def test_very_long_paths(env):
    for option in ("--cwd", "--stdout", "--stream", "--name"):
        result = env.hq("submit", option, "x" * 100_000, "true", code=None)
        assert result.code in (0, 1, 2) and (result.code == 0 or result.stderr)
    still_works(env)


@pytest.mark.parametrize("option", ["--stdout", "--cwd", "--stream"])
def test_path_that_is_too_long_fails_the_task(pair, option):
    job = pair.submit_and_wait(option, "x" * 300, "--", "true")
    task = pair.tasks(job)[0]
    assert task["state"] == "failed" and "File name too long (os error 36)" in task["error"]
    assert pair.states(pair.submit_and_wait("--", "true")) == ["finished"]


@pytest.mark.parametrize("text", [b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80"])
def test_words_that_are_not_utf8(pair, text):
    """Bytes go through unchanged; JSON shows replacement characters."""
    job = pair.submit_and_wait("--", "printf", "%s", os.fsdecode(text))
    assert (pair.work / f"job-{job}/0.stdout").read_bytes() == text
    assert "\ufffd" in pair.job(job)["submits"][0]["array"]["program"]["args"][2]


# --- server gone ---------------------------------------------------------------------------


def test_server_that_was_killed(env):
    env.server.kill()
    result = env.hq("submit", "true", code=1)
    assert "Access token found but HQ server" in result.stderr
    assert "is unreachable" in result.stderr


def test_server_gone_while_waiting(env):
    job = env.submit("true")
    waiting = env.spawn("wait", HQ, "job", "wait", job)
    watching = env.spawn("progress", HQ, "job", "progress", job)
    wait_until(lambda: "0/1 tasks" in watching.text(), "the bar")
    env.server.kill()
    assert waiting.wait() == 1 and "onnection" in waiting.text()
    assert watching.wait() == 1 and "onnection" in watching.text()


@pytest.mark.parametrize("words", [["job", "list", "--all"], ["task", "list", "1"],
                                   ["--output-mode=json", "job", "info", "1"],
                                   ["--output-mode=quiet", "job", "list", "--all"],
                                   ["job", "summary"], ["submit", "true"], ["job", "open"],
                                   ["job", "submit-file", "f.toml"], ["job", "task-ids", "1"]],
                         ids=" ".join)
def test_full_disk_while_printing(env, words):
    env.submit("--array=1-5000", "--stdout=none", "--stderr=none", "true")
    env.write("f.toml", '[[task]]\ncommand = ["true"]\n')
    result = env.run("bash", "-c", '"$@" >/dev/full', "sh", HQ, *words, code=1)
    assert "No space left on device" in result.stderr
    still_works(env)
