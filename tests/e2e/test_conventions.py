"""What all job and task commands have in common: the command tree, options in every
position, exit codes, where text goes, output modes, tables and formats."""
import json
import re

import pytest

from harness import HQ

JOB_COMMANDS = ["list", "summary", "info", "cancel", "forget", "cat", "submit",
                "submit-file", "wait", "progress", "task-ids", "open", "close"]
TASK_COMMANDS = ["list", "info", "explain", "notify"]
TREE = [["submit"]] + [["job", c] for c in JOB_COMMANDS] + [["task", c] for c in TASK_COMMANDS]
# Selector positionals by command, as metavariables of the usage line.
POSITIONALS = {
    "submit": "<COMMANDS>...", "job submit": "<COMMANDS>...", "job info": "<SELECTOR>",
    "job cancel": "<SELECTOR>", "job forget": "<SELECTOR>", "job wait": "<SELECTOR>",
    "job progress": "<SELECTOR>", "job task-ids": "<SELECTOR>", "job close": "<SELECTOR>",
    "job cat": "<JOB_SELECTOR> <STREAM>", "job submit-file": "<PATH>",
    "task list": "<JOB_SELECTOR>", "task info": "<JOB_SELECTOR> <TASK_SELECTOR>",
    "task explain": "<JOB_SELECTOR> <TASK_ID>", "task notify": "<MESSAGE>",
}
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z (INFO|WARN|ERROR) .+")


@pytest.mark.parametrize("command", TREE, ids=" ".join)
def test_every_command_has_both_helps(bare, command):
    short, long = bare.hq(*command, "-h"), bare.hq(*command, "--help")
    for text in (short, long):
        assert text.stdout and text.stderr == ""
        assert "Usage: hq " + " ".join(command) in text.stdout
    positionals = POSITIONALS.get(" ".join(command))
    if positionals:
        assert positionals in short.stdout


LOG_COMMANDS = [["log", "x", verb] for verb in (
    "cat", "show", "list", "summary", "grep", "tail", "export", "check", "repair", "seal")]


@pytest.mark.parametrize("command", TREE + LOG_COMMANDS + [["worker", "start"]], ids=" ".join)
def test_help_has_each_heading_once(bare, command):
    """Options of one heading may come from several tables."""
    for word in ("-h", "--help"):
        headings = re.findall(r"(?m)^\S.*:$", bare.hq(*command, word).stdout)
        assert headings and len(headings) == len(set(headings))


@pytest.mark.parametrize("words", [
    ["job", "timeline"], ["help"], ["job", "help"], ["task", "help"], ["sub", "true"], ["job", "li"],
], ids=" ".join)
def test_names_that_are_no_commands(bare, words):
    name = next(w for w in reversed(words) if w not in ("1", "true"))
    result = bare.hq(*words, code=2)
    assert result.stderr.startswith(f"error: unrecognized subcommand '{name}'")
    assert result.stdout == ""


def test_version_in_every_output_mode(bare):
    for words in (["--version"], ["-V"], ["--output-mode", "json", "--version"],
                  ["--output-mode", "quiet", "-V"]):
        assert re.fullmatch(r"hyperqueue \d+\.\d+\.\d+\n", bare.hq(*words).stdout)


def test_options_with_blank_and_with_equals(env):
    for words in (["--name", "x"], ["--name=x"]):
        assert env.job(env.submit(*words, "--", "true"))["info"]["name"] == "x"


@pytest.mark.parametrize("option, value", [
    ("--name", "x"), ("--priority", "1"), ("--array", "1"), ("--cwd", "."),
    ("--max-fails", "1"), ("--stdout", "x"), ("--crash-limit", "1"), ("--stream", "x"),
    ("--time-limit", "1s"), ("--pin", "omp"), ("--job", "1"), ("--cpus", "1"),
])
def test_option_given_twice(bare, option, value):
    result = bare.hq("submit", option, value, option, value, "--", "true", code=2)
    assert re.match(f"error: the argument '{option} <[A-Z_]+>' cannot be used multiple times",
                    result.stderr)


def test_flag_given_twice(bare):
    result = bare.hq("submit", "--wait", "--wait", "--", "true", code=2)
    assert "the argument '--wait' cannot be used multiple times" in result.stderr


@pytest.mark.parametrize("words", [["job", "list", "--al"], ["submit", "--arr", "1", "--", "true"],
                                   ["submit", "--foo", "--", "true"], ["job", "list", "-v"]])
def test_options_cannot_be_abbreviated(bare, words):
    bad = next(w for w in words if w.startswith("-"))
    result = bare.hq(*words, code=2)
    assert result.stderr.startswith(f"error: unexpected argument '{bad}' found")


@pytest.mark.parametrize("before, after", [
    (["--output-mode", "json"], []), ([], ["--output-mode", "json"]),
    ([], ["--output-mode=json"])])
def test_global_options_in_any_position(env, before, after):
    assert json.loads(env.hq(*before, "job", "list", *after).stdout) == []
    middle = env.hq("job", "--output-mode", "json", "list")
    assert middle.json() == []


def test_global_options_before_the_command_words_only(pair):
    job = pair.submit_and_wait("echo", "--output-mode", "json")
    assert pair.read(f"job-{job}/0.stdout") == "--output-mode json\n"


def test_server_dir_by_option_variable_and_default(env):
    other = env.root / "home" / ".hq-server"
    other.symlink_to(env.server_dir)
    without = {"HQ_SERVER_DIR": "/nowhere"}
    assert env.hq("--server-dir", env.server_dir, "job", "list", env=without).code == 0
    env.hq("job", "list", env=without, code=1)
    del env.vars["HQ_SERVER_DIR"]
    env.hq("job", "list")
    env.hq("job", "list", env={"HOME": env.root}, code=1)


def test_output_mode_by_variable(env):
    assert env.hq("job", "list", env={"HQ_OUTPUT_MODE": "json"}).json() == []
    beaten = env.hq("--output-mode", "quiet", "job", "list", env={"HQ_OUTPUT_MODE": "json"})
    assert beaten.stdout == ""
    wrong = env.hq("job", "list", env={"HQ_OUTPUT_MODE": "xml"}, code=2)
    assert "invalid value 'xml' for '--output-mode <OUTPUT_MODE>'" in wrong.stderr


def test_colours(env):
    env.submit("--", "true")
    listing = ("job", "list")
    assert "\x1b[" not in env.hq(*listing).stdout
    assert "\x1b[" not in env.hq("--colors", "never", *listing).stdout
    coloured = env.hq("--colors", "always", *listing).stdout
    assert re.search("\x1b\\[[0-9;]*m", coloured)
    # Colour codes do not count as width.
    plain = re.sub("\x1b\\[[0-9;]*m", "", coloured)
    assert plain == env.hq(*listing).stdout
    env.hq("--colors", "sometimes", *listing, code=2)


@pytest.mark.parametrize("value", ["true", "false", "1", "0"])
def test_debug_by_variable(env, value):
    env.hq("job", "list", env={"HQ_DEBUG": value})


def test_bad_debug_variable(bare):
    result = bare.hq("job", "list", env={"HQ_DEBUG": "loud"}, code=2)
    assert "invalid value 'loud' for '--debug'" in result.stderr


def test_exit_codes(env):
    env.hq("job", "cancel", "77")  # unknown ids are only logged
    env.hq("job", "info", "77")
    env.hq("submit", "--each-line", "missing", "--", "true", code=1)
    env.hq("submit", "--nonsense", code=2)
    env.hq("job", "info", code=2)


@pytest.mark.parametrize("option", ["--wait", "--progress"])
def test_exit_code_is_never_that_of_the_task(pair, option):
    pair.hq("submit", option, "--", "sh", "-c", "exit 7")
    assert pair.states(1) == ["failed"]


def test_sigpipe_ends_a_listing_silently(env):
    env.submit("--array", "1-20000", "--stdout=none", "--stderr=none", "--", "true")
    result = env.run("bash", "-c",
                     "hq task list 1 | head -1; echo ${PIPESTATUS[0]}")
    assert result.stderr == "" and result.stdout.splitlines()[-1] == "141"


@pytest.mark.parametrize("words, text", [
    (["job", "cancel", "all"], "INFO There is nothing to cancel"),
    (["job", "close", "9"], "ERROR Closing job 9 failed; job not found"),
    (["job", "forget", "9"], "INFO 0 jobs were forgotten, 1 were ignored due to wrong state or "
                             "invalid ID"),
    (["job", "info", "9"], "ERROR Job 9 not found"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
@pytest.mark.parametrize("mode", ["cli", "quiet", "json"])
def test_log_lines_go_to_standard_error_in_every_mode(env, mode, words, text):
    result = env.hq("--output-mode", mode, *words)
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and LOG_LINE.fullmatch(lines[0]) and lines[0].endswith(text)
    assert result.stdout == ("" if mode != "json" else result.stdout)
    if mode == "json":
        assert result.json() in ({}, [])


def test_fatal_errors_by_mode(bare):
    """No server: the message and its cause, on standard error or as one JSON string."""
    where = bare.server_dir
    for mode in ("cli", "quiet"):
        result = bare.hq("--output-mode", mode, "job", "list", code=1)
        assert result.stdout == ""
        message, _, causes = result.stderr.partition("\n\nCaused by:\n")
        assert message.endswith("Invalid server directory")
        assert causes == f'    Error: "{where}" is not a directory\n'
    result = bare.hq("--output-mode", "json", "job", "list", code=1)
    assert result.stderr == ""
    assert result.json() == {"error": f"Invalid server directory\n\nCaused by:\n"
                                      f'    Error: "{where}" is not a directory'}


@pytest.mark.parametrize("mode", ["cli", "json", "quiet"])
def test_usage_errors_are_plain_text_in_every_mode(bare, mode):
    result = bare.hq("--output-mode", mode, "job", "info", code=2)
    assert result.stdout == ""
    assert result.stderr.startswith(
        "error: the following required arguments were not provided:\n  <SELECTOR>\n")
    assert result.stderr.endswith("\n\nFor more information, try '--help'.\n")


def test_json_layout(env):
    """Two blanks, keys ascending, one value and a newline."""
    env.submit("--env", "B=1", "--env", "A=2", "--", "true")
    for words in (["job", "list"], ["job", "info", "1"], ["task", "list", "1"],
                  ["job", "summary"], ["submit", "--", "true"], ["job", "list", "--filter",
                                                                 "failed"]):
        text = env.hq("--output-mode", "json", *words).stdout
        value = json.loads(text)
        assert text == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("words", [
    ["job", "wait", "1"], ["job", "cancel", "1"], ["job", "close", "1"], ["job", "forget", "1"],
    ["job", "progress", "1"]], ids=" ".join)
def test_json_of_commands_with_nothing_to_print(pair, words):
    pair.submit_and_wait("--", "true")
    assert pair.hq("--output-mode", "json", *words).stdout == "{}\n"


def test_quiet_output(pair):
    quiet = lambda *words: pair.hq("--output-mode", "quiet", *words).stdout
    pair.write("j.toml", '[[task]]\ncommand = ["true"]\n')
    assert quiet("submit", "--", "echo", "x") == "1\n"
    assert quiet("job", "submit", "--", "true") == "2\n"
    assert quiet("job", "submit-file", "j.toml") == "3\n"
    assert quiet("job", "open") == "4\n"
    pair.hq("job", "wait", "1-3")
    assert quiet("job", "list", "--all") == "1 FINISHED\n2 FINISHED\n3 FINISHED\n4 OPENED\n"
    assert quiet("job", "summary").splitlines() == [
        "RUNNING 0", "WAITING 0", "FINISHED 3", "FAILED 0", "ABORTED 0", "CANCELED 0"]
    assert quiet("job", "cat", "1", "stdout") == "x\n"
    for words in (["job", "info", "1"], ["job", "task-ids", "1"], ["job", "wait", "1"],
                  ["task", "list", "1"], ["task", "info", "1", "0"]):
        assert quiet(*words) == ""
    waiting = pair.submit("--cpus", "64", "--", "true")
    assert quiet("task", "explain", waiting, "0") == ""


def test_horizontal_table(env):
    assert env.hq("job", "list").stdout == (
        "+----+------+-------+-------+\n"
        "| ID | Name | State | Tasks |\n"
        "+----+------+-------+-------+\n")
    for name in ("a", "longer name"):
        env.submit("--name", name, "--", "true")
    assert env.hq("job", "list").stdout == (
        "+----+-------------+---------+-------+\n"
        "| ID | Name        | State   | Tasks |\n"
        "+----+-------------+---------+-------+\n"
        "|  1 | a           | WAITING | 1     |\n"
        "|  2 | longer name | WAITING | 1     |\n"
        "+----+-------------+---------+-------+\n")


def test_wide_characters_keep_columns_straight(env):
    env.submit("--name", "日本", "--", "true")
    rows = env.hq("job", "list").stdout.splitlines()
    assert rows[1] == "| ID | Name | State   | Tasks |"
    assert rows[3] == "|  1 | 日本 | WAITING | 1     |"


def test_vertical_table_with_lines_inside_a_cell(env):
    env.submit("--", "echo", "one", "two")
    lines = env.hq("job", "info", "1").stdout.splitlines()
    assert lines[0] == lines[-1] and re.fullmatch(r"\+-+\+-+\+", lines[0])
    assert sum(line.startswith("+") for line in lines) == 2
    at = next(i for i, line in enumerate(lines) if line.startswith("| Command"))
    assert [line.split("|")[1].strip() for line in lines[at:at + 3]] == ["Command", "", ""]
    assert [line.split("|")[2].strip() for line in lines[at:at + 3]] == ["echo", "one", "two"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("given, shown", [
    ("1y", "1year"), ("2years 2months 3days 4h 5m 6s 7ms 8us 9ns",
                      "2years 2months 3days 4h 5m 6s 7ms 8us 9ns"),
    ("0", "0s"), ("90", "1m 30s"), ("1.5h", "1h 30m"), ("24h", "1day"), ("1week", "7days"),
    ("1500us", "1ms 500us"), ("10:00", "10m"),
])
def test_durations_shown(env, given, shown):
    job = env.submit(f"--time-limit={given}", "--", "true")
    assert env.hq("job", "info", job).fields()["Task time limit"] == shown


def test_times(pair):
    job = pair.submit_and_wait("--", "true")
    fields = pair.hq("job", "info", job).fields()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", fields["Submission date"])
    assert re.fullmatch(r"(\d+s )?(\d+ms)?|0s|\d+s", fields["Makespan"])
    task = pair.hq("task", "info", job, "0").fields()
    for label in ("Start", "End"):
        assert re.fullmatch(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", task[label])
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z"
    detail = pair.job(job)
    for text in (detail["started_at"], detail["finished_at"], detail["tasks"][0]["started_at"],
                 detail["tasks"][0]["finished_at"]):
        assert re.fullmatch(stamp, text)


def test_json_durations_are_seconds(env):
    job = env.submit("--time-limit", "1m 30s", "--time-request", "250ms", "--", "true")
    array = env.job(job)["submits"][0]["array"]
    assert array["time_limit"] == 90.0
    assert array["resources"][0]["min_time"] == 0.25


def test_plurals(env):
    shown = {n: env.hq("job", "forget", "all").stderr for n in (0,)}
    assert "0 jobs were forgotten" in shown[0]
    env.submit("--", "true")
    env.hq("job", "cancel", "1")
    assert "1 job were forgotten" in env.hq("job", "forget", "all").stderr
