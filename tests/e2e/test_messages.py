"""Errors that users make and meet: their texts, exit status, and what is left behind."""
import json
import re
import socket
import threading

import pytest

from harness import HQ, Env, wait_until

HELP = "\n\nFor more information, try '--help'.\n"


# -- the server cannot be reached --------------------------------------------


CLIENTS = [["job", "list"], ["submit", "--", "true"], ["job", "info", "1"],
           ["task", "list", "1"], ["job", "wait", "1"], ["server", "info"],
           ["worker", "list"], ["job", "submit-file", "j.toml"]]


def check_error(bare, text, words):
    """The text on standard error, or in a value with the same words."""
    for mode in ("cli", "quiet"):
        result = bare.hq("--output-mode", mode, *words, code=1)
        assert (result.stdout, result.stderr) == ("", text)
    result = bare.hq("--output-mode=json", *words, code=1)
    assert result.json() == {"error": text.rstrip("\n")} and result.stderr == ""


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_no_server_directory(bare, kind):
    if kind == "file":
        bare.server_dir.write_text("")
    bare.write("j.toml", '[[task]]\ncommand = ["true"]\n')
    text = (f"Invalid server directory\n\nCaused by:\n    Error: \"{bare.server_dir}\" is not "
            "a directory\n")
    for words in CLIENTS:
        check_error(bare, text, words)
    # A relative directory is named in full.
    result = bare.hq("--server-dir", "nowhere", "job", "list", code=1)
    assert f'Error: "{bare.work}/nowhere" is not a directory' in result.stderr


def test_no_access_file(bare):
    bare.server_dir.mkdir()
    bare.write("j.toml", '[[task]]\ncommand = ["true"]\n')
    for words in CLIENTS:
        text = bare.hq(*words, code=1).stderr
        assert text.startswith(
            f'No running instance of HQ found at "{bare.server_dir}".\n'
            f"Try to start the server: `hq server start --server-dir {bare.server_dir}` or "
            "use a different server directory.\n\nCaused by:\n    ")
        assert "os error 2" in text


@pytest.mark.parametrize("content", ["", "{", "[]", '{"client": 3}', "\0\1\2", "é" * 9000],
                         ids=["empty", "cut", "list", "types", "binary", "long"])
def test_access_file_that_is_none(bare, content):
    (bare.server_dir / "001").mkdir(parents=True)
    (bare.server_dir / "hq-current").symlink_to("001")
    (bare.server_dir / "001" / "access.json").write_text(content)
    text = bare.hq("job", "list", code=1).stderr
    assert "\n\nCaused by:\n    " in text and str(bare.server_dir) in text


def test_server_gone(env):
    port = json.loads((env.server_dir / "hq-current" / "access.json").read_text())["client"]["port"]
    env.server.kill()
    env.write("j.toml", '[[task]]\ncommand = ["true"]\n')
    for words in CLIENTS:
        text = env.hq(*words, code=1).stderr
        assert text.startswith(
            f"Access token found but HQ server 127.0.0.1:{port} is unreachable.\n"
            f"Try to (re)start the server using `hq server start --server-dir "
            f"{env.server_dir}`\n\nCaused by:\n    ")
        assert "Connection refused (os error 111)" in text


# -- the connection ends in the middle ----------------------------------------


class Cutter:
    """Passes a connection on and closes it behind a number of bytes of the server."""

    def __init__(self, env):
        access = json.loads((env.server_dir / "hq-current" / "access.json").read_text())
        self.server = ("127.0.0.1", access["client"]["port"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        access["client"].update(host="127.0.0.1", port=self.listener.getsockname()[1])
        self.dir = env.root / "cut"
        (self.dir / "001").mkdir(parents=True)
        (self.dir / "hq-current").symlink_to("001")
        (self.dir / "001" / "access.json").write_text(json.dumps(access))
        self.limit = self.passed = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            self.passed = 0
            with client, socket.create_connection(self.server) as server:
                threading.Thread(target=self.forward, args=(client, server)).start()
                self.back(client, server)
                for end in (client, server):  # or the other thread would keep it open
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass

    @staticmethod
    def forward(client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def back(self, client, server):
        try:
            while self.limit is None or self.passed < self.limit:
                room = 65536 if self.limit is None else self.limit - self.passed
                data = server.recv(room)
                if not data:
                    break
                client.sendall(data)
                self.passed += len(data)
        except OSError:
            pass

    def run(self, env, limit, *words, **kwargs):
        self.limit = limit
        return env.hq("--server-dir", self.dir, *words, **kwargs)


@pytest.mark.core
@pytest.mark.parametrize("words", [
    ["job", "list"], ["job", "summary"], ["job", "info", "all"], ["job", "task-ids", "1"],
    ["job", "cat", "1", "stdout"], ["job", "cancel", "9"], ["job", "close", "9"],
    ["job", "forget", "9"], ["job", "wait", "1"], ["job", "progress", "1"], ["job", "open"],
    ["submit", "--", "true"], ["submit", "--wait", "--", "true"], ["task", "list", "1-2"],
    ["task", "info", "1", "0-3"], ["task", "explain", "2", "0"], ["server", "info"],
    ["worker", "list"], ["worker", "info", "1"],
], ids=lambda words: "-".join(words[:2]))
def test_server_gone_in_the_middle(pair, words):
    """At any byte: status 1 and a reason, never a part of the result, never a crash."""
    pair.submit_and_wait("--array", "0-3", "--", "echo", "out")
    pair.submit("--cpus", "64", "--", "true")
    cutter = Cutter(pair)
    try:
        for mode in ("cli", "json"):
            whole = cutter.run(pair, None, "--output-mode", mode, *words, code=None)
            total = cutter.passed
            assert total > 100
            for limit in (0, 1, 60, total // 2, total - 1):
                cut = cutter.run(pair, limit, "--output-mode", mode, *words, code=1)
                if mode == "json":
                    assert '"error": "' in cut.stdout and cut.stdout.endswith('"\n}\n')
                else:
                    assert cut.stderr and "\n| " not in cut.stdout, (limit, cut)
                    assert not whole.stdout or cut.stdout != whole.stdout
            assert "Connection closed" in cut.stdout + cut.stderr
    finally:
        cutter.listener.close()
    assert pair.server.running and pair.json("job", "list")


@pytest.mark.parametrize("answer", [b"", b"\0" * 64, b"HTTP/1.1 400 Bad Request\r\n\r\n",
                                    b"\xff" * 70000, b"SSH-2.0-OpenSSH_9.2\r\n"],
                         ids=["nothing", "zeros", "http", "much", "ssh"])
def test_port_of_another_program(env, answer):
    """Something else listens where the server was."""
    cutter = Cutter(env)
    cutter.back = lambda client, server: client.sendall(answer)
    try:
        result = cutter.run(env, None, "job", "list", code=1)
        assert result.stdout == "" and result.stderr
    finally:
        cutter.listener.close()


# -- wrong command lines --------------------------------------------------------


STATES = "waiting, running, finished, failed, canceled, aborted, opened"


@pytest.mark.parametrize("words, text", [
    (["nonsense"], "error: unrecognized subcommand 'nonsense'\n"),
    (["job", "nonsense"], "error: unrecognized subcommand 'nonsense'\n"),
    (["submit"], "error: the following required arguments were not provided:\n"
                 "  <COMMANDS>...\n"),
    (["submit", "--array", "x", "--", "true"],
     "error: invalid value 'x' for '--array <ARRAY>': "),
    (["job", "info", "x"], "error: invalid value 'x' for '<SELECTOR>': "),
    (["job", "list", "--filter", "x"],
     f"error: invalid value 'x' for '--filter <FILTER>'\n  [possible values: {STATES}]\n"),
    (["submit", "--wait", "--progress", "--", "true"],
     "error: the argument '--wait' cannot be used with '--progress'\n"),
    (["submit", "--progress", "--wait", "--", "true"],
     "error: the argument '--progress' cannot be used with '--wait'\n"),
    (["submit", "--name", "a", "--name", "b", "--", "true"],
     "error: the argument '--name <NAME>' cannot be used multiple times\n"),
    (["job", "list", "--foo"], "error: unexpected argument '--foo' found\n"),
    (["submit", "--each-line", "a", "--from-json", "b", "--", "true"],
     "error: the argument '--each-line <EACH_LINE>' cannot be used with "
     "'--from-json <FROM_JSON>'\n"),
    (["submit", "--max-fails", "x", "--", "true"],
     "error: invalid value 'x' for '--max-fails <MAX_FAILS>': invalid digit found in string"),
    (["submit", "--crash-limit", "0", "--", "true"],
     "error: Crash limit cannot be 0. Use `never-restart` or `unlimited` instead.\n"),
    (["submit", "--cwd", "", "--", "true"],
     "error: a value is required for '--cwd <CWD>' but none was supplied\n"),
    (["job", "forget", "all", "--filter", ""],
     "error: a value is required for '--filter <FILTER>' but none was supplied\n"),
    (["submit", "--env", "", "--", "true"],
     "error: invalid value '' for '--env <ENV>': Environment variable cannot be empty"),
    (["submit", "--time-limit", "soon", "--", "true"],
     "error: invalid value 'soon' for '--time-limit <TIME_LIMIT>': Could not parse PBS "
     "walltime. Use either `HH:MM:SS` or humantime format (2hours): "),
    (["job"], "error: 'hq job' requires a subcommand but one was not provided\n"),
    (["task", "list", "1", "2"], "error: unexpected argument '2' found\n"),
])
def test_usage_errors(bare, words, text):
    for mode in ("cli", "json", "quiet"):
        result = bare.hq(*words, env={"HQ_OUTPUT_MODE": mode}, code=2)
        assert result.stdout == "" and result.stderr.startswith(text)
        assert result.stderr.endswith(HELP)


@pytest.mark.parametrize("words, text", [
    (["--cpus", "0"], "Zero resources cannot be requested"),
    (["--resource", "gpus=0"], "Zero resources cannot be requested"),
    (["--weight", "0"], "Resource weight has to be positive number"),
    (["--weight=-1"], "Resource weight has to be positive number"),
])
def test_usage_errors_of_requests(bare, words, text):
    assert text in bare.hq("submit", *words, "--", "true", code=2).stderr


@pytest.mark.parametrize("value, column, reason", [
    ("1,x", 2, "Unexpected token `x`"), ("x", 0, "Unexpected token `x`"),
])
def test_picture_of_the_mistake(bare, value, column, reason):
    text = bare.hq("submit", "--array", value, "--", "true", code=2).stderr
    assert text.split("\n")[1:4] == [f"  {value}", "  " + " " * column + "|",
                                     "  " + " " * column + f"--- {reason}"]
    empty = bare.hq("job", "info", "", code=2).stderr
    assert "(the input was empty)" in empty


# -- refused at run time ----------------------------------------------------------


@pytest.mark.parametrize("words, text", [
    (["--cwd", "%{CWD}/x"],
     "Working directory path cannot contain the working directory placeholder `%{CWD}`."),
    (["--directives=stdin"],
     "You have to use `--stdin` when you specify `--directives=stdin`."),
    (["--job", "7"], "Job 7 not found."),
    (["--cpus", "1", "--resource", "cpus=2"],
     "--cpus and --resource cpus=... cannot be combined"),
    (["--resource", "gpus=1", "--resource", "gpus=2"],
     "Resource 'gpus' defined more than once"),
    (["--from-json", "object.json"],
     "object.json: The top element of the provided JSON file has to be an array"),
    (["--name", "a\nb"], "name cannot have a newline or a tab"),
    (["--job", "1", "--array", "0-3"], "Task 0 already exists in job 1."),
    (["--job", "1", "--name", "x"],
     "Parameter --name is not allowed when submitting to an open job."),
    (["--job", "1", "--max-fails", "1"],
     "Parameter --max-fails is not allowed when submitting to an open job."),
    (["--job", "2"], "Job 2 is not opened."),
])
def test_refused_submits(env, words, text):
    env.write("object.json", "{}")
    env.hq("job", "open")
    env.submit("--job", 1, "--", "true")
    env.submit("--", "true")
    result = env.hq("submit", *words, "--", "true", code=1)
    assert result.stdout == "" and result.stderr.endswith(text + "\n")
    assert len(result.stderr.splitlines()) == 1 + ("--from-json" in words)
    assert env.json("submit", *words, "--", "true", code=1) == {"error": text}
    # Nothing was submitted.
    assert [j["task_count"] for j in env.json("job", "list", "--all")] == [1, 1]


def test_bad_directives(env):
    env.script("job.sh", "#HQ --nonsense 3\ntrue\n")
    text = env.hq("submit", "job.sh", code=1).stderr
    assert text.startswith("Could not parse directives from job.sh: You have used invalid "
                           "parameter(s) after a #HQ directive.\nerror: unexpected argument "
                           "'--nonsense' found\n")
    env.script("job.sh", '#HQ --name "open\ntrue\n')
    assert env.hq("submit", "job.sh", code=1).stderr.startswith(
        "Could not parse directives from job.sh: Parse error")
    assert env.hq("submit", "none.sh", code=1).stderr == (
        "Could not parse directives from none.sh: No such file or directory (os error 2)\n")


def test_program_that_does_not_exist(pair):
    job = pair.submit_and_wait("--", "no-such-program", "x")
    assert pair.tasks(job)[0]["error"] == (
        'Cannot execute "no-such-program x": No such file or directory (os error 2)\n'
        "The program that you have tried to execute (`no-such-program`) was not found.")


@pytest.mark.parametrize("words, code, stdout, stderr", [
    (["job", "info", "9"], 0, "", "ERROR Job 9 not found"),
    (["job", "cancel", "9"], 0, "", "ERROR Canceling job 9 failed; job not found"),
    (["job", "close", "9"], 0, "", "ERROR Closing job 9 failed; job not found"),
    (["job", "forget", "9"], 0, "",
     "INFO 0 jobs were forgotten, 1 were ignored due to wrong state or invalid ID"),
    (["job", "cat", "9", "stdout"], 0, "", "ERROR Job 9 was not found"),
    (["job", "wait", "9"], 0, "", None),
    (["job", "progress", "9"], 0, "", "WARN There are no jobs to wait for"),
    (["job", "task-ids", "9"], 1, "", "Error: Job Id not found"),
    (["task", "info", "9", "0"], 0, "", "ERROR Cannot find job 9"),
    (["task", "explain", "9", "0"], 1, "", "Error: Job not found"),
    (["submit", "--job", "9", "--", "true"], 1, "", "Job 9 not found."),
])
@pytest.mark.parametrize("mode", ["cli", "quiet"])
def test_unknown_ids(env, mode, words, code, stdout, stderr):
    result = env.hq("--output-mode", mode, *words, code=code)
    text = re.sub(r"^\S+Z (?=[A-Z]+ )", "", result.stderr)
    assert (result.stdout, text) == (stdout, f"{stderr}\n" if stderr else "")


@pytest.mark.parametrize("value", ["4294967295", "4294967296", "99999999999999999999",
                                   "0-4294967295", "1-99999999999999999999", "1-5:0",
                                   "5-1", "-1", "1--2", "1,,2", ",", "1-2-3", "0x10", "1.5"])
def test_ranges_that_overflow(bare, value):
    for words in (["job", "info", "--", value], ["submit", f"--array={value}", "true"],
                  ["task", "list", "1", f"--tasks={value}"]):
        text = bare.hq(*words, code=2).stderr
        assert text.startswith(f"error: invalid value '{value}' for '") and \
            text.endswith(HELP)


def test_long_words(bare):
    """A mistake of a megabyte is told like any other."""
    word = "9" * 100_000
    for words in ([word], ["job", "info", word], ["job", "list", "--" + word],
                  ["job", "list", "--filter", word], ["submit", "--array", word, "true"]):
        result = bare.hq(*words, code=2)
        assert result.stderr.startswith("error: ") and result.stderr.endswith(HELP)


def test_words_that_are_no_utf8(env):
    for words in (r"$'\xff'", r"job info $'\xff'", r"job list --filter $'\xff'",
                  r"--server-dir $'\xff\xfe' job list"):
        result = env.run("bash", "-c", f"exec hq {words}", code=None)
        assert result.code in (1, 2) and result.stderr
    env.run("bash", "-c", r"hq job open --name $'a\xffb'")
    assert "*1" in env.hq("job", "list").stdout and env.json("job", "list")


def test_interrupted_clients_leave_the_job(pair):
    pair.submit("--array", "0-1", "--", "sleep", "1000")
    pair.wait_stats(1, running=2)
    for words in (["job", "wait", "1"], ["job", "progress", "1"]):
        client = pair.spawn("client", HQ, *words)
        if words[1] == "progress":
            wait_until(lambda c=client: "0/2 tasks" in c.text(), "the bar")
        client.send(2)
        assert client.wait() != 0
    assert pair.stats(1) == {"running": 2}


def test_the_cutter_passes_everything(env):
    """Or the tests above would prove nothing."""
    assert isinstance(env, Env)
    cutter = Cutter(env)
    try:
        assert cutter.run(env, None, "job", "list").stdout == env.hq("job", "list").stdout
        assert cutter.passed > 0
    finally:
        cutter.listener.close()
