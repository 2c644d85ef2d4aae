"""Ids, selectors, filters and the grammars of option values."""
import pytest


def tasks_row(env, job):
    return env.hq("job", "info", job).fields()["Tasks"]


def test_job_ids_count_from_one_and_are_never_reused(env):
    assert [env.submit("--", "true") for _ in range(3)] == [1, 2, 3]
    assert env.json("job", "open") == {"id": 4}
    env.hq("job", "close", "4")
    env.hq("job", "cancel", "1-3")
    env.hq("job", "forget", "all")
    assert env.json("job", "list", "--all") == []
    assert env.submit("--", "true") == 5


@pytest.mark.parametrize("words, ids", [
    ([], "1; Ids: 0"), (["--array", "4"], "1; Ids: 4"), (["--each-line", "f"], "3; Ids: 0-2"),
    (["--from-json", "j"], "2; Ids: 0-1"),
], ids=["simple", "array", "lines", "json"])
def test_default_task_ids(env, words, ids):
    env.write("f", "a\nb\nc\n")
    env.write("j", "[1, 2]")
    assert tasks_row(env, env.submit(*words, "--", "true")) == ids


@pytest.mark.parametrize("given, shown", [
    ("3", "1; Ids: 3"), ("0-3", "4; Ids: 0-3"), ("5,1,9", "3; Ids: 5,1,9"),
    (" 1 , 3-4 ", "3; Ids: 1,3-4"), ("0-10:2", "6; Ids: 0-10:2"), ("1_0-1_2", "3; Ids: 10-12"),
    ("0-11:5,20", "4; Ids: 0-11:5,20"), ("1-2,3,4-9", "9; Ids: 1-2,3,4-9"),
    ("7-9,1-2", "5; Ids: 7-9,1-2"), ("5-5", "1; Ids: 5"), ("0-10:10", "2; Ids: 0-10:10"),
    ("0-9:3,1-9:3", "7; Ids: 0-9:3,1-9:3"), ("4294967294", "1; Ids: 4294967294"),
    ("4294967293-4294967294", "2; Ids: 4294967293-4294967294"), ("0_", "1; Ids: 0"),
    ("007", "1; Ids: 7"),
])
def test_array_is_kept_as_it_was_written(env, given, shown):
    assert tasks_row(env, env.submit("--array", given, "--", "true")) == shown


def test_task_ids_are_printed_ascending_and_compressed(env):
    env.submit("--array", "5,1,9", "--", "true")
    env.submit("--array", "0-4:2,7-9,6", "--", "true")
    assert env.hq("job", "task-ids", "1").stdout == "1,5,9\n"
    assert env.hq("job", "task-ids", "2").stdout == "0,2,4,6-9\n"
    env.hq("job", "open")
    assert env.hq("job", "task-ids", "3").stdout == "\n"


@pytest.mark.parametrize("text, reason", [
    ("", "(the input was empty)"), ("a", "Unexpected token found"), ("5-1", "Invalid range"),
    ("5-5:1", "Invalid range"), ("0-4:5", "Invalid range"), ("1-3:0", "Invalid range"),
    ("5:2", "Invalid range"), ("1,1", "Ranges overlap"), ("1-5,3", "Ranges overlap"),
    ("0-8:2,4-12:4", "Ranges overlap"), ("1,", "Unexpected end of input"),
    ("1-", "Unexpected end of input"), ("1 -2", "Unexpected token"), ("_1", "Unexpected token"),
    ("-1", "Unexpected token"), ("1- 2", "Unexpected token"), ("4294967295", "largest id"),
    ("0-4294967295", "largest id"), ("4294967296", "4-byte unsigned integer"),
    ("99999999999999999999999", "4-byte unsigned integer"), ("1.5", "Unexpected token"),
    ("all", "Unexpected token"), ("1\u00a0", "Unexpected token"),
])
def test_arrays_that_are_refused(bare, text, reason):
    result = bare.hq("submit", f"--array={text}", "--", "true", code=2)
    assert result.stderr.startswith(f"error: invalid value '{text}' for '--array <ARRAY>': ")
    assert reason in result.stderr
    if text != "all" and not text.startswith("-"):
        told = bare.hq("job", "info", text, code=2)
        assert told.stderr.startswith(f"error: invalid value '{text}' for '<SELECTOR>': ")
        assert reason in told.stderr


# The command line, and what each selector chooses of jobs 1, 2 and 3.
SELECTING = [("info", lambda r: [d["info"]["id"] for d in r.json()]),
             ("task-ids", lambda r: sorted(map(int, r.json())))]


@pytest.mark.parametrize("command, ids_of", SELECTING, ids=[c for c, _ in SELECTING])
@pytest.mark.parametrize("selector, ids", [
    ("all", [1, 2, 3]), ("last", [3]), ("2", [2]), ("1,3", [1, 3]), ("1-3", [1, 2, 3]),
    ("1-3:2", [1, 3]), (" 2 ", [2])])
def test_selectors(env, command, ids_of, selector, ids):
    for _ in range(3):
        env.submit("--", "true")
    assert ids_of(env.hq("--output-mode", "json", "job", command, selector)) == ids


@pytest.mark.parametrize("command", ["info", "cancel", "forget", "wait", "progress", "task-ids",
                                     "close"])
def test_commands_that_take_a_selector(env, command):
    for good in ("all", "last"):
        env.hq("job", command, good)
    for bad in ("", "ALL", "first", "1-", "last,1"):
        result = env.hq("job", command, bad, code=2)
        assert "<SELECTOR>" in result.stderr


@pytest.mark.parametrize("words, name", [
    (["job", "cat", "all", "stdout"], "<JOB_SELECTOR>"), (["task", "list", "all"], "<JOB_SELECTOR>"),
    (["task", "info", "all", "0"], "<JOB_SELECTOR>"),
    (["task", "info", "1-2", "0"], "<JOB_SELECTOR>"), (["task", "info", "1", "last"], "<TASK_SELECTOR>"),
    (["task", "explain", "1,2", "0"], "<JOB_SELECTOR>"), (["task", "explain", "1", "0-1"], "<TASK_ID>"),
    (["task", "explain", "1", "last"], "<TASK_ID>"), (["submit", "--job", "last", "true"], "--job <JOB>"),
    (["job", "submit-file", "--job", "last", "x"], "--job <JOB>"),
    (["job", "cat", "1", "stdout", "--tasks", "all"], "--tasks <TASKS>"),
    (["job", "cat", "1", "output"], "<STREAM>"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_selectors_that_a_command_does_not_take(bare, words, name):
    result = bare.hq(*words, code=2)
    assert result.stderr.startswith("error: invalid value") and f"'{name}'" in result.stderr


def test_last_is_the_last_id_even_when_forgotten(env):
    env.submit("--", "true")
    env.submit("--", "true")
    env.hq("job", "cancel", "last")
    env.hq("job", "forget", "2")
    assert "Job 2 not found" in env.hq("job", "info", "last").stderr
    assert env.json("job", "info", "last") == []


def test_last_without_jobs_selects_nothing(env):
    assert env.hq("job", "info", "last").stdout == ""
    assert env.json("job", "info", "last") == []
    assert env.hq("job", "wait", "last").stdout == ""
    assert "There is nothing to cancel" in env.hq("job", "cancel", "last").stderr


def test_last_counts_open_jobs_too(env):
    env.submit("--", "true")
    env.hq("job", "open")
    assert env.json("job", "info", "last")[0]["info"]["id"] == 2


@pytest.mark.parametrize("command", ["list", "cat"])
def test_task_filters_both_have_to_hold(pair, command):
    job = pair.submit_and_wait("--array", "0-5", "--", "sh", "-c",
                               "echo $HQ_TASK_ID; test $((HQ_TASK_ID % 2)) = 0")

    def chosen(*words):
        if command == "list":
            return [t["id"] for t in pair.json("task", "list", job, *words)[str(job)]]
        return [int(i) for i in pair.hq("job", "cat", job, "stdout", *words).stdout.split()]

    assert chosen("--tasks", "1-3") == [1, 2, 3]
    assert chosen("--task-status", "failed") == [1, 3, 5]
    assert chosen("--task-status", "failed,finished") == [0, 1, 2, 3, 4, 5]
    assert chosen("--task-status", "failed", "--task-status", "finished") == [0, 1, 2, 3, 4, 5]
    assert chosen("--tasks", "2-5", "--task-status", "failed") == [3, 5]
    assert chosen("--tasks", "0-5:2", "--task-status", "failed") == []


STATES = ["waiting", "running", "finished", "failed", "canceled", "aborted", "opened"]


@pytest.mark.parametrize("words, option", [
    (["job", "list"], "--filter"), (["job", "task-ids", "1"], "--filter"),
    (["task", "list", "1"], "--task-status"), (["job", "cat", "1", "stdout"], "--task-status"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_state_names(env, words, option):
    env.submit("--", "true")
    for state in STATES:
        env.hq(*words, option, state)
    env.hq(*words, f"{option}={','.join(STATES)}")
    for bad in ("WAITING", "done", "cancelled", "finished,", "x,failed"):
        result = env.hq(*words, option, bad, code=2)
        assert f"for '{option} <" in result.stderr
        assert "[possible values: waiting, running, finished, failed, canceled, aborted, " \
               "opened]" in result.stderr


def test_forget_takes_completed_states_only(env):
    for state in ("finished", "failed", "aborted", "canceled"):
        env.hq("job", "forget", "all", "--filter", state)
    for state in ("waiting", "running", "opened"):
        env.hq("job", "forget", "all", "--filter", state, code=2)


@pytest.mark.parametrize("text, seconds", [
    ("90", 90), ("0", 0), ("1:30", 90), ("80:02", 4802), ("1:00:00", 3600), ("2:90:90", 12690),
    ("1_000", 1000), ("90s", 90), ("1.5h", 5400), ("1.25s", 1.25), ("2.5days", 216000),
    ("1h30m", 5400), ("1h 30m", 5400), ("1 h 30 m", 5400), ("500ms", .5), ("5us", 5e-6),
    ("5µs", 5e-6), ("7ns", 7e-9), ("2nsec", 2e-9), ("3nanos", 3e-9), ("1usec", 1e-6),
    ("1msec", 1e-3), ("1millis", 1e-3), ("1sec", 1), ("2secs", 2), ("1second", 1),
    ("2seconds", 2), ("1min", 60), ("2mins", 120), ("1minute", 60), ("2minutes", 120),
    ("1hr", 3600), ("2hrs", 7200), ("1hour", 3600), ("2hours", 7200), ("1d", 86400),
    ("1day", 86400), ("1w", 604800), ("1wk", 604800), ("1week", 604800), ("2weeks", 1209600),
    ("1M", 2630016), ("1month", 2630016), ("1y", 31557600), ("1yr", 31557600),
    ("1year", 31557600), ("1day 1h 1m 1s 1ms", 90061.001),
])
def test_durations(env, text, seconds):
    job = env.submit(f"--time-request={text}", "--time-limit", text, "--", "true")
    array = env.job(job)["submits"][0]["array"]
    assert array["time_limit"] == pytest.approx(seconds, rel=1e-12)
    assert array["resources"][0]["min_time"] == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["abc", "1x", "1:2:3:4", "-1", "1:-2", ":", "1:", "h", "1.5",
                                  "1h x", "1..5h", "999999999999999999999s", "1S", "1:30s",
                                  "9999999999999999:00:00"])
@pytest.mark.parametrize("option", ["--time-limit", "--time-request"])
def test_bad_durations(bare, option, text):
    result = bare.hq("submit", f"{option}={text}", "--", "true", code=2)
    assert result.stderr.startswith(f"error: invalid value '{text}' for '{option} <")


@pytest.mark.parametrize("text, value", [
    ("0", 0), ("2147483647", 2147483647), ("-2147483648", -2147483648), ("+5", 5)])
def test_priorities(env, text, value):
    for words in ([f"--priority={text}"], ["--priority", text]):
        job = env.submit(*words, "--", "true")
        assert env.job(job)["submits"][0]["array"]["priority"] == value


@pytest.mark.parametrize("text", ["2147483648", "-2147483649", "1.5", "x", "", "0x10"])
def test_bad_priorities(bare, text):
    assert "--priority <PRIORITY>" in bare.hq("submit", f"--priority={text}", "--", "true",
                                              code=2).stderr


@pytest.mark.parametrize("text, value", [
    (None, 5), ("1", 1), ("65535", 65535), ("never-restart", "never-restart"),
    ("unlimited", "unlimited")])
def test_crash_limits(env, text, value):
    words = [] if text is None else [f"--crash-limit={text}"]
    job = env.submit(*words, "--", "true")
    assert env.job(job)["submits"][0]["array"]["crash_limit"] == value
    assert env.hq("job", "info", job).fields()["Crash limit"] == str(value)


@pytest.mark.parametrize("text, message", [
    ("0", "Crash limit cannot be 0. Use `never-restart` or `unlimited` instead."),
    ("x", "Invalid crash limit: "), ("65536", "Invalid crash limit: "),
    ("-1", "Invalid crash limit: "), ("Unlimited", "Invalid crash limit: ")])
def test_bad_crash_limits(bare, text, message):
    result = bare.hq("submit", f"--crash-limit={text}", "--", "true", code=2)
    assert result.stderr.startswith("error: " + message)


@pytest.mark.parametrize("text, shown", [
    ("A=b", "A=b"), ("A=", "A="), ("A", "A="), ("A=b=c", "A=b=c"), ("A= b ", "A= b"),
    ("Ä=ö", "Ä=ö")])
def test_environment_grammar(env, text, shown):
    job = env.submit("--env", text, "--", "true")
    assert env.hq("job", "info", job).fields()["Environment"] == shown


def test_empty_environment_variable(bare):
    result = bare.hq("submit", "--env", "", "--", "true", code=2)
    assert "Environment variable cannot be empty" in result.stderr


@pytest.mark.parametrize("text", ["4294967296", "-1", "x", "", "1.0"])
def test_bad_max_fails(bare, text):
    assert "--max-fails <MAX_FAILS>" in bare.hq("submit", f"--max-fails={text}", "--", "true",
                                                code=2).stderr


@pytest.mark.parametrize("text, path", [
    ("none", None), ("a", "a"), ("a b ", "a b "), (" a", "a"), ("none:rm-if-finished", "none"),
    ("NONE", "NONE"), ("a:rm-if-finished", "a"), (":rm-if-finished", "job-{}/%{{TASK_ID}}.{}"),
])
@pytest.mark.parametrize("channel", ["stdout", "stderr"])
def test_stdio_grammar(env, channel, text, path):
    job = env.submit(f"--{channel}={text}", "--", "true")
    shown = env.job(job)["submits"][0]["array"]["program"][channel]
    assert shown == (path and f"{env.work}/{path.format(job, channel)}")


@pytest.mark.parametrize("text", ["foo:", "foo:bar", ":", "", "a:b:rm-if-finished",
                                  "foo:rm-if-finished:"])
@pytest.mark.parametrize("option", ["--stdout", "--stderr"])
def test_bad_stdio(bare, option, text):
    result = bare.hq("submit", f"{option}={text}", "--", "true", code=2)
    assert f"for '{option} <" in result.stderr


@pytest.mark.parametrize("words, name", [(["submit", "--cwd", "", "true"], "--cwd <CWD>"),
                                         (["job", "list", "--filter", ""], "--filter <FILTER>")])
def test_empty_values(bare, words, name):
    result = bare.hq(*words, code=2)
    assert result.stderr.startswith(
        f"error: a value is required for '{name}' but none was supplied")


@pytest.mark.parametrize("option, good, bad", [
    ("--pin", ["taskset", "omp", "none"], ["Taskset", "off", ""]),
    ("--directives", ["auto", "file", "off"], ["yes", ""])])
def test_choices(env, option, good, bad):
    env.script("s.sh", "true\n")
    for value in good:
        env.submit(option, value, "s.sh")
    for value in bad:
        result = env.hq("submit", option, value, "s.sh", code=2)
        assert f"{option} <" in result.stderr and "[possible values: " in result.stderr


def test_job_names(env):
    for name in ("", " a ", "x" * 5000, "日本", "a\rb"):
        assert env.job(env.submit("--name", name, "--", "true"))["info"]["name"] == name
    for name in ("a\nb", "a\tb"):
        result = env.hq("submit", "--name", name, "--", "true", code=1)
        assert "name cannot have a newline or a tab" in result.stderr


def test_cancel_reason_is_at_most_200_bytes(env):
    env.submit("--", "true")
    for reason, n in (("x" * 201, 201), ("ž" * 101, 202)):
        result = env.hq("job", "cancel", "1", "--reason", reason, code=2)
        assert f"Cancel reason must be shorter than 200 you entered {n}." in result.stderr
    env.hq("job", "cancel", "1", "--reason", "ž" * 100)
    assert env.job(1)["info"]["cancel_reason"] == "ž" * 100
