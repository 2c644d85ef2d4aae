"""Where output goes: modes, tables, colours, help, and output that cannot be written."""
import os
import pty
import re
import threading

import pytest

from harness import HQ

RULE = re.compile(r"\+(-+\+)+")
ESCAPE = "\x1b"


def on_terminal(env, *args, variables=None):
    """What the command prints when standard output is a terminal."""
    master, slave = pty.openpty()
    chunks = []

    def read():
        try:
            while data := os.read(master, 65536):
                chunks.append(data)
        except OSError:
            return  # the other end was closed

    reader = threading.Thread(target=read)
    reader.start()
    try:
        result = env.run("sh", "-c", 'exec "$@" >"$TTY_NAME"', "sh", HQ, *args,
                         env={"TTY_NAME": os.ttyname(slave), **(variables or {})})
        assert (result.stdout, result.stderr) == ("", "")
    finally:
        os.close(slave)
        reader.join()
        os.close(master)
    return b"".join(chunks).decode()


# -- tables -----------------------------------------------------------------


def drawn(text):
    """Checks widths and rules of the one table; returns its lines."""
    lines = text.splitlines()
    rules = [i for i, line in enumerate(lines) if RULE.fullmatch(line)]
    assert rules[0] == 0 and all(lines[i] == lines[0] for i in rules)
    bars = [i for i, c in enumerate(lines[0]) if c == "+"]
    for line in (line for i, line in enumerate(lines) if i not in rules):
        assert line.startswith("| ") and line.endswith(" |")
        assert all(line[i] == "|" for i in bars)
    return lines, rules


def test_horizontal_tables(env):
    empty, rules = drawn(env.hq("job", "list").stdout)
    assert len(empty) == 3 and rules == [0, 2]
    env.submit("--name", "a" * 30, "--array", "1-10", "--", "true")
    env.submit("--name", "b", "--", "true")
    lines, rules = drawn(env.hq("job", "list").stdout)
    assert rules == [0, 2, 5]
    assert lines[1] == f"| ID | {'Name':30} | State   | Tasks |"
    assert lines[3] == f"|  1 | {'a' * 30} | WAITING | 10    |"
    assert lines[4] == f"|  2 | {'b':30} | WAITING | 1     |"
    lines, _ = drawn(env.hq("job", "summary").stdout)
    assert lines[1] == "| Status   | Count |" and lines[4] == "| WAITING  |     2 |"


def test_vertical_tables(env):
    env.submit("--", "echo", "x", "y" * 200)
    lines, rules = drawn(env.hq("job", "info", 1).stdout)
    assert rules == [0, len(lines) - 1]
    # Several lines in one cell: the label stands beside the first.
    at = next(i for i, line in enumerate(lines) if line.startswith("| Command "))
    assert lines[at].split("|")[2].strip() == "echo"
    assert [lines[at + k].split("|")[1].strip() for k in (1, 2)] == ["", ""]
    # Long words are wrapped at 80 columns.
    assert lines[at + 2].split("|")[2].strip() == "y" * 80


def test_tables_are_as_wide_as_their_text(env):
    """Neither the terminal nor wide characters change that."""
    env.submit("--name", "中文ü", "--", "true")
    text = env.hq("job", "list", env={"COLUMNS": "20"}).stdout
    assert "| 中文ü |" in text and "+----+-------+" in text
    long = env.work / ("d" * 150)
    long.mkdir()
    env.submit("--", "true", cwd=long)
    text = env.hq("job", "info", 2, env={"COLUMNS": "20"}).stdout
    assert f" {long} " in text


# -- colours ----------------------------------------------------------------


@pytest.mark.parametrize("options, variables, coloured", [
    ([], {}, True), (["--colors=auto"], {}, True), (["--colors=never"], {}, False),
    (["--colors=always"], {}, True), ([], {"NO_COLOR": "1"}, False),
    ([], {"NO_COLOR": ""}, True), (["--colors=always"], {"NO_COLOR": "1"}, True),
    (["--output-mode=json"], {}, False), (["--output-mode=quiet"], {}, False),
])
def test_colours_on_a_terminal(env, options, variables, coloured):
    env.submit("--", "true")
    text = on_terminal(env, *options, "job", "list", variables=variables)
    assert (ESCAPE in text) == coloured
    plain = re.sub(r"\x1b\[\d+m", "", text).replace("\r\n", "\n")
    assert plain == env.hq(*options, "job", "--colors=never", "list").stdout


def test_no_colours_elsewhere(pair):
    pair.submit_and_wait("--", "false")
    for words in (["job", "list", "--all"], ["job", "info", 1], ["job", "summary"],
                  ["task", "list", 1], ["task", "info", 1, 0], ["submit", "--", "true"]):
        assert ESCAPE not in pair.hq(*words).stdout
        assert ESCAPE in pair.hq("--colors", "always", *words).stdout
        json = pair.hq("--colors=always", "--output-mode=json", *words).stdout
        assert ESCAPE not in json and "\\u001b" not in json


@pytest.mark.parametrize("command, code, state", [
    (["true"], 32, "FINISHED"), (["false"], 31, "FAILED"), (["sleep", "1000"], 33, "RUNNING"),
])
def test_colours_of_states(pair, command, code, state):
    job = pair.submit("--", *command)
    pair.wait_stats(job, **{state.lower(): 1})
    want = f"\x1b[{code}m{state}\x1b[0m"
    for words in (["job", "list", "--all"], ["task", "list", job], ["job", "info", job],
                  ["task", "info", job, 0]):
        assert want in pair.hq("--colors=always", *words).stdout
    # Colours take no room.
    plain = pair.hq("--colors=always", "job", "list", "--all").stdout
    assert re.sub(r"\x1b\[\d+m", "", plain) == pair.hq("job", "list", "--all").stdout


def test_colour_of_a_submit(env):
    text = env.hq("--colors=always", "submit", "--", "true").stdout
    assert text == "Job submitted \x1b[32msuccessfully\x1b[0m, job ID: 1\n"


# -- quiet and JSON mode say nothing else ------------------------------------


SILENT = [["submit", "--", "true"], ["job", "submit", "--", "true"],
          ["submit", "--wait", "--", "true"], ["submit", "--array", "1-600", "--", "true"],
          ["submit", "--each-line", "lines", "--", "true"], ["job", "open"],
          ["job", "submit-file", "j.toml"], ["job", "list", "--all"], ["job", "info", "1"],
          ["job", "summary"], ["job", "wait", "1"], ["job", "task-ids", "1"],
          ["task", "list", "1"], ["task", "info", "1", "0"]]


@pytest.mark.core
@pytest.mark.parametrize("mode", ["quiet", "json"])
def test_standard_error_stays_empty_on_success(pair, mode):
    pair.submit_and_wait("--", "false")
    pair.write("lines", "a\nb\n")
    pair.write("j.toml", '[[task]]\ncommand = ["true"]\n')
    for words in SILENT:
        result = pair.hq("--output-mode", mode, *words)
        assert result.stderr == "", result
        if words[0] == "submit" or words[1] in ("open", "submit", "submit-file"):
            assert re.fullmatch(r"\d+\n", result.stdout) or mode == "json"


# -- help and version ---------------------------------------------------------


def commands(text):
    block = re.search(r"(?ms)^Commands:\n(.*?)(?:\n\n|\Z)", text)
    return re.findall(r"(?m)^  ([a-z-]+) ", block.group(1)) if block else []


def test_help_of_the_whole_tree(bare):
    """Each command answers -h and --help alike, on standard output, with status 0."""
    todo, seen = [[]], []
    while todo:
        words = todo.pop()
        short, whole = bare.hq(*words, "-h"), bare.hq(*words, "--help")
        for result in (short, whole):
            assert result.stderr == "" and "\nUsage: hq" in result.stdout
        assert commands(short.stdout) == commands(whole.stdout)
        assert len(whole.stdout) > len(short.stdout) and "--server-dir" in whole.stdout
        assert ESCAPE not in whole.stdout and "\n\n\n" not in whole.stdout
        seen.append(words)
        if words[:1] not in (["log"], ["output-log"]):  # a file stands before their verbs
            todo += [[*words, name] for name in commands(short.stdout)]
    names = {" ".join(w) for w in seen}
    assert {"job info", "task notify", "submit", "server start", "worker deploy-ssh",
            "job submit-file", "log", "output-log", "doc", "generate-completion"} <= names
    # Help wins over what is missing, and asks no server.
    assert bare.hq("job", "info", "--help").stdout == bare.hq("job", "info", "1",
                                                              "--help").stdout


@pytest.mark.parametrize("words", [
    ["--version"], ["-V"], ["--output-mode=json", "--version"],
    ["--output-mode", "quiet", "-V"], ["--debug", "-V"]])
def test_version(bare, words):
    result = bare.hq(*words)
    assert re.fullmatch(r"hyperqueue \d+\.\d+\.\d+\n", result.stdout) and result.stderr == ""


@pytest.mark.parametrize("words, hint", [
    (["sumbit"], "tip: a similar subcommand exists: 'submit'"),
    (["job", "lst"], "tip: a similar subcommand exists: 'list'"),
    (["job", "list", "--filtr", "failed"], "tip: a similar argument exists: '--filter'"),
    (["job", "list", "--filter", "finishd"], "tip: a similar value exists: 'finished'"),
    (["submit", "--aray", "1-2", "--", "true"], "tip: a similar argument exists: '--array'"),
    (["--output-mod", "json", "job", "list"], "tip: a similar argument exists: '--output-mode'"),
])
def test_suggestions(bare, words, hint):
    assert f"\n\n  {hint}\n" in bare.hq(*words, code=2).stderr


def test_doc(bare):
    root = bare.hq("doc").stdout
    assert re.fullmatch(r"https://\S+/\n", root)
    for topic in ("job", "taskarray", "resources", "worker", "autoalloc", "python-api",
                  "cheatsheet", "changelog", "faq"):
        page = bare.hq("doc", topic).stdout
        assert page.startswith(root.strip()) and len(page) > len(root)
        assert bare.hq("--output-mode=json", "doc", topic).stdout == page
    for alias, topic in (("jobs", "job"), ("tasks", "job"), ("pbs", "autoalloc"),
                         ("slurm", "autoalloc"), ("python", "python-api"),
                         ("workers", "worker")):
        assert bare.hq("doc", alias).stdout == bare.hq("doc", topic).stdout
    bare.script("bin/xdg-open", 'echo "$@" >opened\n')
    path = f"{bare.work}/bin:{bare.vars['PATH']}"
    bare.hq("doc", "--open", "job", env={"PATH": path})
    assert bare.read("opened") == bare.hq("doc", "job").stdout
    result = bare.hq("doc", "--open", env={"PATH": str(bare.work)}, code=1)
    assert "xdg-open" in result.stderr
    bare.hq("doc", "nonsense", code=2)


# -- global options -----------------------------------------------------------


@pytest.mark.parametrize("words", [
    ["--output-mode", "json", "job", "list"], ["--output-mode=json", "job", "list"],
    ["job", "--output-mode", "json", "list"], ["job", "list", "--output-mode=json"],
    ["--output-mode=quiet", "job", "list", "--output-mode=json"],
    ["--output-mode=quiet", "job", "--output-mode=cli", "list", "--output-mode", "json"],
])
def test_output_mode_in_each_place(env, words):
    assert env.hq(*words).stdout == "[]\n"
    assert env.hq(*words, env={"HQ_OUTPUT_MODE": "quiet"}).stdout == "[]\n"


def test_variables_of_global_options(env):
    where = {"HQ_SERVER_DIR": str(env.server_dir)}
    elsewhere = {"HQ_SERVER_DIR": str(env.work)}
    assert env.hq("job", "list", env={**where, "HQ_OUTPUT_MODE": "json"}).stdout == "[]\n"
    assert env.hq("job", "list", env=elsewhere, code=1).stdout == ""
    for words in (["--server-dir", env.server_dir, "job", "list"],
                  ["job", f"--server-dir={env.server_dir}", "list"],
                  ["job", "list", "--server-dir", env.server_dir]):
        assert env.hq(*words, env=elsewhere).code == 0
    # A relative directory, and the default below HOME.
    env.hq("--server-dir", os.path.relpath(env.server_dir, env.work), "job", "list")
    (env.root / "home" / ".hq-server").symlink_to(env.server_dir)
    variables = {k: v for k, v in env.vars.items() if k != "HQ_SERVER_DIR"}
    env.vars = variables
    env.hq("job", "list")
    for value in ("true", "1", "false", "0"):
        assert env.hq("job", "list", env={"HQ_DEBUG": value}).stdout.count("\n") == 3
    assert "error: invalid value 'maybe' for '--debug'" in \
        env.hq("job", "list", env={"HQ_DEBUG": "maybe"}, code=2).stderr


def test_trailing_words_keep_global_options(pair):
    job = pair.submit_and_wait("--output-mode=json", "echo", "--output-mode", "quiet",
                               "--help")
    assert pair.hq("job", "cat", job, "stdout").stdout == "--output-mode quiet --help\n"


@pytest.mark.parametrize("options, shape", [
    ([], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ERROR Job 7 not found\n"),
    (["--debug"], r"(?s).*\d\d:\d\d:\d\d\.\d{3}Z ERROR .*Job 7 not found\n.*"),
])
def test_log_lines(env, options, shape):
    assert re.fullmatch(shape, env.hq(*options, "job", "info", 7).stderr)


# -- output that cannot be written ---------------------------------------------


PRINTING = [["job", "list"], ["job", "info", "1"], ["job", "summary"], ["job", "task-ids", "1"],
            ["task", "list", "1"], ["task", "info", "1", "0"], ["job", "cat", "1", "stdout"],
            ["submit", "--", "true"], ["job", "open"], ["server", "info"],
            ["worker", "list"], ["--help"], ["--version"], ["submit", "--help"], ["doc"],
            ["generate-completion", "bash"]]


@pytest.mark.core
@pytest.mark.parametrize("redirect, reason", [
    (">/dev/full", "No space left on device (os error 28)"),
    (">&-", "Bad file descriptor (os error 9)"),
])
def test_output_that_cannot_be_written(pair, redirect, reason):
    pair.submit_and_wait("--", "echo", "x")
    for mode in ("cli", "json"):
        for words in PRINTING:
            if mode == "json" and words[1:2] == ["cat"]:
                continue
            result = pair.run("sh", "-c", f'exec "$@" {redirect}', "sh", HQ, *words,
                              env={"HQ_OUTPUT_MODE": mode}, code=1)
            last = result.stderr.splitlines()[-1]
            assert last == f"cannot write to standard output: {reason}", result


def test_closed_output_is_no_way_into_the_connection(pair):
    """What is printed while the client is connected must not reach the server."""
    result = pair.run("sh", "-c", 'exec "$@" >&- 2>&-', "sh", HQ, "submit", "--progress",
                      "--array", "0-9", "--", "true", code=1)
    assert (result.stdout, result.stderr) == ("", "")
    pair.wait_job("last")
    assert pair.stats("last") == {"finished": 10}
    assert pair.run("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", HQ, "job", "close", "9",
                    code=None).code in (0, 1)
    assert "malformed" not in pair.server.text()


@pytest.mark.parametrize("words", [["job", "list"], ["task", "list", "1"],
                                   ["job", "info", "all"], ["job", "cat", "1", "stdout"]])
def test_reader_that_leaves(pair, words):
    """By SIGPIPE, without a word, also in the middle of much output."""
    pair.submit_and_wait("--array", "1-2000", "--stdout", "out", "--stderr", "none",
                         "--directives=off", "--", "echo", "x" * 60)
    result = pair.run("bash", "-c", '"$@" | head -c 1; echo "/${PIPESTATUS[0]}"', "bash",
                      HQ, *words)
    first, status = result.stdout.rsplit("/", 1)
    assert len(first) == 1 and int(status) in (0, 141) and result.stderr == ""
    closed = pair.run("bash", "-c", '(sleep 0.2; exec "$@") | true; echo ${PIPESTATUS[0]}',
                      "bash", HQ, *words)
    assert (closed.stdout, closed.stderr) == ("141\n", "")
