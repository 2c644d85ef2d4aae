"""Notifications: hq task notify inside tasks, --on-notify where they are waited for."""
import re

import pytest

from harness import HQ, wait_until


def log_lines(text):
    return re.findall(r"(?m)\dZ ((?:INFO|WARN|ERROR) .*)$", text)


def note(env):
    """A handler that writes down how it was called."""
    env.script("note.sh", 'echo "$# [$*] $HQ_JOB_ID $HQ_TASK_ID $HQ_WORKER_ID" >>notes\n')
    return "./note.sh"


def notify(*messages):
    return ["sh", "-c", "; ".join(f'$HQ task notify "{m}"' for m in messages)]


@pytest.mark.core
@pytest.mark.parametrize("wait", ["--wait", "--progress"])
def test_handler_is_called(pair, wait):
    note(pair)
    result = pair.hq("submit", wait, "--array", "4-5", "--on-notify", './note.sh a "b c"',
                     "--", *notify("hello $HQ_TASK_ID", "again"))
    calls = pair.read("notes").splitlines()
    assert sorted(calls) == [f"3 [a b c again] 1 4 {pair.worker.id}",
                             f"3 [a b c again] 1 5 {pair.worker.id}",
                             f"3 [a b c hello 4] 1 4 {pair.worker.id}",
                             f"3 [a b c hello 5] 1 5 {pair.worker.id}"]
    for task in "45":  # the order of each task is kept
        of_task = [c for c in calls if c.split("] ")[1].split()[1] == task]
        assert "hello" in of_task[0] and "again" in of_task[1]
    called = [line for line in log_lines(result.stderr) if "on_notify" in line]
    assert len(called) == 4 and all(c.startswith(
        'INFO Running on_notify callback: ./note.sh ["a", "b c"]: ') for c in called)


@pytest.mark.parametrize("message", ["", "a b", "'\"\\", "ünï 中", "-x --y", "x" * 1024,
                                     "line\nbreak"])
def test_messages_arrive_as_they_are(pair, message):
    pair.script("last.sh", 'printf %s "$1" >message\n')
    # The message travels in the environment, past any quoting.
    pair.hq("submit", "--wait", "--env", f"M={message}", "--on-notify", "./last.sh", "--",
            "sh", "-c", '$HQ task notify -- "$M"')
    assert pair.read("message") == message


def test_sender_is_silent(pair):
    job = pair.submit_and_wait(
        "--", "sh", "-c", "$HQ task notify 'nobody listens' && $HQ --output-mode=json task "
        "notify x && $HQ --output-mode=quiet task notify y && echo all")
    assert pair.hq("job", "cat", job, "stdout").stdout == "{}\nall\n"
    assert pair.hq("job", "cat", job, "stderr").stdout == ""


def test_too_long_a_message(pair):
    job = pair.submit_and_wait("--", "sh", "-c",
                               '$HQ task notify $(printf "%01025d" 0); echo $?')
    assert pair.hq("job", "cat", job, "stdout").stdout == "1\n"
    assert pair.hq("job", "cat", job, "stderr").stdout == \
        "Notify message limit exceeded, message len: 1025, limit: 1024\n"


@pytest.mark.parametrize("key, error", [
    (None, "HQ_ACCESS_KEY variable not found. Are you running this command inside a task?"),
    ("nonsense", "Value of HQ_ACCESS_KEY has a wrong format"),
    ("", "Value of HQ_ACCESS_KEY has a wrong format"),
    (":token", "Value of HQ_ACCESS_KEY has a wrong format"),
    ("/path:", "Value of HQ_ACCESS_KEY has a wrong format"),
    ("/no/such/socket:hq0-12345678", "IO error: No such file or directory (os error 2)"),
    ("/" + "x" * 200 + ":token", "Value of HQ_ACCESS_KEY has a wrong format"),
])
def test_outside_of_tasks(bare, key, error):
    env = {} if key is None else {"HQ_ACCESS_KEY": key}
    result = bare.hq("task", "notify", "m", env=env, code=1)
    assert (result.stdout, result.stderr) == ("", error + "\n")
    assert bare.json("task", "notify", "m", env=env, code=1) == {"error": error}


def test_message_is_required(bare):
    text = bare.hq("task", "notify", code=2).stderr
    assert text.startswith("error: the following required arguments were not provided:\n"
                           "  <MESSAGE>\n")
    assert bare.hq("task", "notify", "two", "words", code=2).stderr.startswith(
        "error: unexpected argument 'words' found\n")


def test_token_ends_with_the_task(pair):
    job = pair.submit_and_wait("--", "sh", "-c", "echo $HQ_ACCESS_KEY")
    key = pair.hq("job", "cat", job, "stdout").stdout.strip()
    result = pair.hq("task", "notify", "late", env={"HQ_ACCESS_KEY": key}, code=1)
    assert result.stdout == "" and result.stderr


@pytest.mark.parametrize("handler, lines", [
    ('sh -c "exit 3"', ["WARN on_notify callback finished with exit code: exit status: 3"]),
    ("./missing",
     ["WARN Failed to run on_notify callback: No such file or directory (os error 2)"]),
    ('unclosed "quote',
     ["WARN Failed to run on_notify callback: No such file or directory (os error 2)"]),
    ("true", []),
])
def test_handlers_that_fail(pair, handler, lines):
    result = pair.hq("submit", "--wait", "--on-notify", handler, "--", *notify("m"))
    assert log_lines(result.stderr)[1:] == lines
    assert pair.states(1) == ["finished"]


def test_output_of_the_handler(pair):
    result = pair.hq("submit", "--wait", "--on-notify",
                     'sh -c "echo on stdout; echo on stderr >&2"', "--", *notify("m"))
    assert result.stdout == "Job submitted successfully, job ID: 1\non stdout\n"
    assert result.stderr.splitlines()[-1] == "on stderr"


def test_handlers_run_one_after_the_other(pair):
    pair.script("alone.sh", "mkdir lock || exit 1\nsleep 0.05\nrmdir lock\n")
    result = pair.hq("submit", "--wait", "--array", "1-6", "--cpus", "0.1", "--on-notify",
                     "./alone.sh", "--", *notify("a"))
    assert not [line for line in log_lines(result.stderr) if line.startswith("WARN")]


@pytest.mark.parametrize("mode", ["json", "quiet"])
def test_standard_error_stays_empty(pair, mode):
    result = pair.hq("--output-mode", mode, "submit", "--wait", "--on-notify", note(pair),
                     "--", *notify("m"))
    assert result.stderr == "" and pair.read("notes").startswith("1 [m] 1 0")


def test_nobody_waits(pair):
    pair.hq("submit", "--on-notify", note(pair), "--", *notify("m"))
    pair.wait_job(1)
    assert not (pair.work / "notes").exists()


def test_only_own_jobs_and_nothing_old(pair):
    """What was sent before, or by other jobs, is not delivered."""
    handler = note(pair)
    pair.hq("job", "open")
    pair.submit("--job", 1, "--", *notify("old"))
    pair.hq("job", "wait", 1, "--without-close")
    client = pair.spawn("client", HQ, "submit", "--job", "1", "--wait", "--on-notify",
                        handler, "--", *notify("mine"))
    wait_until(lambda: (pair.work / "notes").exists(), "the notification")
    pair.submit_and_wait("--", *notify("other"))
    pair.hq("job", "close", 1)
    assert client.wait() == 0
    assert pair.read("notes").splitlines() == [f"1 [mine] 1 1 {pair.worker.id}"]


def test_empty_handler_without_notifications(pair):
    assert pair.hq("submit", "--wait", "--on-notify", "", "--", "true").stderr == ""
