"""The C library, from outside: installed, found by pkg-config, in C and in C++."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from harness import PATIENCE, ROOT, build_dir, wait_until

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
SOURCE = Path(__file__).with_name("c_library.c")
LANGUAGES = {"c": ["cc", "-std=c99"], "c++": ["c++", "-std=c++11", "-x", "c++"]}


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"no {program}")


@pytest.fixture(scope="module")
def installed():
    """The tree that `cmake --install` makes, moved away afterwards."""
    need("cmake", "pkg-config", "cc")
    root = Path(tempfile.mkdtemp(prefix="hqt-lib-"))
    try:
        subprocess.run(["cmake", "--install", build_dir(), "--prefix", root / "first"],
                       check=True, capture_output=True)
        yield Installed((root / "first").rename(root / "moved"), root)
    finally:
        shutil.rmtree(root)


class Installed:
    def __init__(self, prefix, root):
        self.prefix = prefix
        self.root = root
        self.lib = next(prefix.rglob("hq.pc")).parent.parent
        cache = (build_dir() / "CMakeCache.txt").read_text()
        sanitizers = re.search(r"^HQ_SANITIZE:\w+=(.+)$", cache, re.M)
        self.flags = [f"-fsanitize={sanitizers[1]}"] if sanitizers else []

    def pkg_config(self, *words):
        told = subprocess.run(["pkg-config", *words, "hq"], text=True, check=True,
                              capture_output=True, env={
                                  **os.environ, "PKG_CONFIG_PATH": str(self.lib / "pkgconfig")})
        return told.stdout.split()

    def compile(self, source, language="c", static=False, warnings=WARNINGS):
        """The program made of the source; kept for the other tests of the module."""
        need(LANGUAGES[language][0])
        program = self.root / f"{source.stem}-{language}{'-static' if static else ''}"
        if program.exists():
            return program
        if static:
            libs = [str(self.lib / "libhq.a") if word == "-lhq" else word
                    for word in self.pkg_config("--static", "--libs")]
        else:
            libs = [*self.pkg_config("--libs"), f"-Wl,-rpath,{self.lib}"]
        subprocess.run([*LANGUAGES[language], *warnings, *self.flags,
                        *self.pkg_config("--cflags"), str(source), "-x", "none", "-o",
                        str(program), *libs, "-pthread"], check=True)
        return program


@pytest.fixture
def lib(installed, env):
    program = installed.compile(SOURCE)

    def run(*words, code=0, **kwargs):
        result = env.run(program, *words, code=code, **kwargs)
        assert result.stderr == "", result  # the library is silent
        return result.stdout
    run.program = program
    return run


@pytest.fixture
def work(lib, env):
    env.start_worker(cpus=2)
    return lib


# --- the installed tree ----------------------------------------------------------------


@pytest.mark.parametrize("language, static", [("c", False), ("c++", False), ("c", True)])
def test_program_compiles_and_runs(installed, env, language, static):
    env.start_worker(cpus=2)
    program = installed.compile(SOURCE, language, static)
    assert env.run(program, "version").stdout == env.hq("--version").stdout.split()[1] + "\n"
    assert env.run(program, "array", 1, 3, "exit 0").stdout == "1\n"
    assert env.run(program, "wait", "forever", 1).stdout == "finished 3\n"


@pytest.mark.parametrize("language, flag", [("c", "-std=c99"), ("c++", "-std=c++98"),
                                            ("c++", "-std=c++20")])
def test_headers_stand_alone(installed, language, flag):
    compiler = LANGUAGES[language][0]
    need(compiler)
    headers = sorted((installed.prefix / "include/hq").glob("*.h"))
    assert len(headers) == 8
    for header in headers:
        source = installed.root / "one.source"
        source.write_text(f"#include <hq/{header.name}>\n#include <hq/{header.name}>\n"
                          "extern int at_least_one;\n")
        subprocess.run([compiler, flag, *WARNINGS, "-fsyntax-only", "-x", language,
                        "-Wno-long-long", f"-I{installed.prefix}/include", str(source)],
                       check=True)


def test_names_that_are_exported(installed):
    need("nm", "readelf")
    shared = subprocess.run(["nm", "-D", "--defined-only", installed.lib / "libhq.so"],
                            capture_output=True, text=True, check=True).stdout
    declared = set()
    for header in (installed.prefix / "include/hq").glob("*.h"):
        declared |= set(re.findall(r"\b(hq_\w+)\(", re.sub(r"/\*.*?\*/", "", header.read_text(),
                                                           flags=re.S)))
    names = {line.split()[-1] for line in shared.splitlines()}
    assert names == {f"{name}@@HQ_1" for name in declared} | {"HQ_1"}
    if not installed.flags:
        archive = subprocess.run(["nm", "-g", "--defined-only", installed.lib / "libhq.a"],
                                 capture_output=True, text=True, check=True).stdout
        assert {line.split()[-1] for line in archive.splitlines() if " T " in line} == declared
    told = subprocess.run(["readelf", "-d", installed.lib / "libhq.so"], capture_output=True,
                          text=True, check=True).stdout
    assert "soname: [libhq.so.1]" in told
    assert not re.search(r"NEEDED.*(mpi|hwloc|libuv|curses)", told)


def test_documents_are_installed_with_what_they_link_to(installed):
    documents = list(installed.prefix.glob("share/doc/hq/**/*.md"))
    assert len(documents) > 15
    for document in documents:
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


def test_example(installed, env):
    env.start_worker(cpus=2)
    program = installed.compile(ROOT / "examples/c-library/squares.c")
    result = env.run(program, 6)
    assert sorted(result.stdout.splitlines()) == [f"{i} {i * i}" for i in range(1, 7)]
    env.stop_server()
    assert "No running instance" in env.run(program, 6, code=1).stderr


# --- connecting ------------------------------------------------------------------------


def test_server(lib, env):
    uid, version, pid, valid, journal = lib("server").split()
    info = env.json("server", "info")
    assert (uid, version, int(pid)) == (info["server_uid"], info["version"], env.server.pid)
    assert valid == "1" and journal == "-"


def test_no_server(lib, env):
    words = env.hq("--server-dir", env.work, "job", "list", code=1).stderr
    told = lib("server", code=1, env={"HQ_SERVER_DIR": env.work})
    assert told == "error -2: " + words
    told = lib("server", code=1, env={"HQ_SERVER_DIR": env.root / "none"})
    assert told.startswith("error -5: ") and "is not a directory" in told
    told = lib("server", code=1, env={"HQ_SERVER_DIR": ""})
    assert f"{env.vars['HOME']}/.hq-server" in told
    env.server.kill()
    assert "is unreachable" in lib("server", code=1)


def test_wrong_key_and_version(lib, env):
    path = env.server_dir / "hq-current/access.json"
    text = path.read_text()
    os.chmod(path, 0o600)
    key = re.search(r'"secret_key": "(\w+)"', text)[1]
    path.write_text(text.replace(key, key[::-1]))
    assert lib("server", code=1).startswith("error -9: ")
    path.write_text(re.sub(r'"version": "[^"]+"', '"version": "0.0.1"', text))
    told = lib("server", code=1)
    assert told.startswith("error -8: ") and "version mismatch" in told


def test_client_finds_a_server_that_was_started_again(installed, env):
    program = installed.compile(SOURCE)
    asking = subprocess.Popen([program, "again"], stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE, env=env.vars, cwd=env.work)
    try:
        def ask():
            asking.stdin.write("\n")
            asking.stdin.flush()
            return int(asking.stdout.readline())

        first = env.server.pid
        assert ask() == first
        env.stop_server()
        assert ask() == -10  # the connection that was there is closed
        assert ask() == -2   # there is no record of a server
        env.start_server()
        assert ask() == env.server.pid != first
    finally:
        asking.stdin.close()
        assert asking.wait(20 * PATIENCE) == 0
        asking.stdout.close()


def test_silent_server(installed, env):
    program = installed.compile(SOURCE)
    asking = subprocess.Popen([program, "silent", "300"], stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE, env=env.vars, cwd=env.work)
    assert asking.stdout.readline() == "ready\n"
    env.server.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        told, _ = asking.communicate("\n", timeout=20 * PATIENCE)
        assert told.startswith("error -11: ") and asking.returncode == 1
        assert 0.25 < time.monotonic() - began < 5 * PATIENCE
    finally:
        env.server.send(signal.SIGCONT)


@pytest.mark.long
def test_server_that_falls_silent_after_the_greeting(lib, env):
    """A wait of a limited time ends all the same."""
    job = env.submit("--", "true")
    path = env.server_dir / "hq-current/access.json"
    record = json.loads(path.read_text())
    listener = socket.create_server(("127.0.0.1", 0))
    server_port, record["client"]["port"] = record["client"]["port"], listener.getsockname()[1]
    os.chmod(path, 0o600)
    path.write_text(json.dumps(record))
    sockets = []

    def forward(source, sink, times):
        with contextlib.suppress(OSError):  # closed at the end
            while times and (data := source.recv(65536)):
                sink.sendall(data)
                times -= 1

    def relay():
        for answers in (-1, 1):  # the second connection is that of the wait
            client = listener.accept()[0]
            server = socket.create_connection(("127.0.0.1", server_port))
            sockets.extend((client, server))
            for words in ((client, server, -1), (server, client, answers)):
                threading.Thread(target=forward, args=words, daemon=True).start()

    threading.Thread(target=relay, daemon=True).start()
    try:
        told = lib("wait", 10, job, code=1, timeout_s=60)
        assert told == "error -11: the server did not answer in time\n"
    finally:
        for one in (*sockets, listener):
            one.close()


# --- submitting ------------------------------------------------------------------------


@pytest.mark.core
def test_every_setting(work, env):
    assert work("all") == "1\n"
    assert work("wait", "forever", 1) == "finished 2\nfailed 1\n"
    job = env.job(1)
    assert job["info"]["name"] == "everything" and job["max_fails"] == 5
    first = job["submits"][0]["graph"][0]
    assert first["program"]["env"] == {"A": "second"} and first["priority"] == 7
    assert first["program"]["stderr"] is None and first["program"]["stdout"] == "out"
    assert first["crash_limit"] == "never-restart" and first["pin_mode"] == "openmp"
    assert first["time_limit"] == 60.0 and first["task_dir"]
    assert [v["min_time"] for v in first["resources"]] == [0.0, 2.5]
    assert (env.work / "t3/out").read_bytes() == f"in\0put\nsecond one\n{env.work}/t3\n".encode()
    assert (env.work / "t4/out").read_bytes() == f"in\0put\nsecond\n{env.work}/t4\n".encode()
    tasks = work("tasks", 1).splitlines()
    assert tasks[0] == f"3 finished|-|{env.work}/t3|{env.work}/t3/out|-|1 1 1"
    assert tasks[2] == (f"9 failed|Program terminated with exit code 3.|{env.work}|"
                        f"{env.work}/job-1/9.stdout|{env.work}/job-1/9.stderr|1 1 1")


def test_an_array_is_one_of_the_command_line(lib, env):
    lib("array", 1, 1000000, "true")
    env.submit("--array", "1-1000000", "--", "sh", "-c", "true")
    first, second = (job["submits"] for job in env.json("job", "info", "1-2", "--no-tasks"))
    assert first == json.loads(json.dumps(second).replace("job-2", "job-1"))


@pytest.mark.parametrize("how, error", [
    ("twice", "error -6: Task 1 is defined more than once."),
    ("missing", "error -4: Invalid dependency on 77"),
    ("empty", "error -4: a job needs a task at least")])
def test_jobs_that_are_refused(lib, env, how, error):
    assert lib("graph", how, code=1) == error + "\n"
    assert env.json("job", "list", "--all") == []
    assert lib("graph", "fine") == "1\n"


def test_open_job(work, env):
    assert work("open") == "1\n"
    assert env.stats(1) == {"finished": 2}
    assert work("jobs") == "1 finished mine 2 closed\n1 in all\n"


# --- watching and changing -------------------------------------------------------------


def test_waiting(work, env):
    env.submit("--name", "slow", "--", "sleep", "0.5")
    env.submit("--array", "1-3", "--", "false")
    assert work("wait", 0, 1, code=1).startswith("error -11: the jobs have not ended in time\n")
    told = work("wait", "forever", 1, 2)
    assert told == "finished 1\nfailed 3\n"
    assert work("wait", 0, 2) == "failed 3\n"
    assert work("wait", "forever", 1, 99, code=1) == "error -5: Job 99 not found\n"
    assert work("wait", "forever", 0, code=1) == "error -5: Job 0 not found\n"
    assert work("wait", "forever", 2, 1, 2, 1) == told  # in any order, each once
    assert work("wait", "forever", 2**32 - 1, code=1) == "error -5: Job 4294967295 not found\n"
    assert work("wait", "forever") == ""


def test_waiting_for_some_time(lib, env):
    env.submit("--", "true")  # no worker
    began = time.monotonic()
    told = lib("wait", 400, 1, code=1)
    assert told == "error -11: the jobs have not ended in time\nwaiting 1\n"
    assert 0.4 <= time.monotonic() - began < 5 * PATIENCE


def test_server_ends_while_it_is_waited_for(installed, env):
    env.submit("--", "true")
    waiting = env.spawn("wait", installed.compile(SOURCE), "wait", "forever", 1)
    wait_until(lambda: len(os.listdir(f"/proc/{waiting.pid}/fd")) > 4, "its connection")
    env.server.kill()
    assert waiting.wait() == 1
    # Or while it was still connecting, on a busy machine.
    assert "Connection closed" in waiting.text()


def test_jobs(lib, env):
    env.submit("--name", "a", "--array", "1-5", "--", "true")
    env.hq("job", "open", "--name", "b")
    env.submit("--name", "c", "--", "true")
    env.hq("job", "cancel", 3)
    assert lib("jobs") == ("1 waiting a 5 closed\n2 opened b 0 open\n3 canceled c 1 closed\n"
                           "3 in all\n")


@pytest.mark.core
def test_tasks(work, env):
    env.submit_and_wait("--array", "1-9000", "--stdout=none", "--stderr=none", "--", "true",
                        timeout_s=60)
    told = work("tasks", 1).splitlines()
    assert [line.split()[0] for line in told] == [str(i) for i in range(1, 9001)]
    assert told[0] == f"1 finished|-|{env.work}|-|-|1 1 1"
    told = work("tasks", 1, 3).splitlines()
    assert len(told) == 4 and told[3] == "stopped with 42"
    assert work("tasks", 5, code=1) == "error -5: Job 5 not found\n"


def test_tasks_that_never_ran(lib, env):
    env.submit("--", "true")
    assert lib("tasks", 1) == "0 waiting|-|-|-|-|0 1 0\n"


@pytest.mark.core
def test_cancel_and_forget(lib, env):
    env.submit("--array", "1-4", "--", "true")
    assert lib("forget", 1, code=1) == "error -4: Job 1 has not been completed yet\n"
    assert lib("cancel", 1, "no more") == "4 canceled\n"
    assert env.json("job", "list", "--all")[0]["cancel_reason"] == "no more"
    assert lib("cancel", 1) == "0 canceled\n"
    for job in (0, 2, 2**32 - 1):
        for command in ("cancel", "forget", "tasks"):
            assert lib(command, job, code=1) == f"error -5: Job {job} not found\n"
    assert lib("cancel", 1, "x" * 201, code=1).startswith("error -4: a reason has 200")
    assert lib("forget", 1) == ""
    assert lib("forget", 1, code=1) == "error -5: Job 1 not found\n"


# --- workers ---------------------------------------------------------------------------


@pytest.mark.core
def test_workers(lib, env):
    assert lib("workers") == "0 in all\n"
    first = env.start_worker("--group", "one", "--resource", "mem=sum(2.5)", cpus=3)
    env.start_worker(cpus="2x2")
    job = env.submit("--cpus=3", "--resource=mem=1", "--", "sleep", "60")
    env.wait_stats(job, running=1)
    here = "1 here one - 1 1 cpus=30000 mem=25000\n"
    other = "2 here default - 0 1 cpus=40000\n"
    assert lib("workers").startswith(here + other)
    told = lib("workers", 1).splitlines()
    assert told == [here.rstrip(), "stopped with 42", "1 running sleep 1 closed", "1 in all"]
    env.hq("worker", "stop", first.id)
    first.wait()
    wait_until(lambda: lib("workers").startswith(
        "1 gone one - 0 1 cpus=30000 mem=25000\n" + other), "the worker to be gone")


# --- logs ------------------------------------------------------------------------------


@pytest.mark.core
def test_log(work, env):
    work("array", 1, 3, "echo out $HQ_TASK_ID; echo err >&2", "the.hqlog")
    work("wait", "forever", 1)
    assert work("log", 1, "any", 1) == "1.1:0 out 1\n1.2:0 out 2\n1.3:0 out 3\ndamaged 0\n"
    assert work("log", "the.hqlog", 2, 2) == "1.2:1 err\ndamaged 0\n"
    assert work("log", 1, 3, 3).count("1.3:") == 2
    assert work("log", 1, 77, 3) == "damaged 0\n"
    assert work("log", 1, "any", 1, 2) == "1.1:0 out 1\n1.2:0 out 2\ndamaged 0\n"
    assert work("log", 1, "any", 0, code=1) == "error -4: no channel is chosen\n"


def test_log_that_is_damaged(work, env):
    work("array", 1, 2, "head -c 300000 /dev/urandom | base64 -w0", "the.hqlog")
    work("wait", "forever", 1)
    whole = work("log", "the.hqlog", "any", 1)
    assert whole.endswith("damaged 0\n")
    data = bytearray((env.work / "the.hqlog").read_bytes())
    text = re.search(rb"[A-Za-z0-9+/]{1000}", data) or pytest.fail("nothing as it is")
    data[text.start():text.start() + 64] = bytes(64)
    env.write("copy.hqlog", "")
    (env.work / "copy.hqlog").write_bytes(data)
    damaged = work("log", "copy.hqlog", "any", 1)
    assert 0 < len(damaged) < len(whole)
    assert int(damaged.split("damaged ")[1]) > 0


def test_logs_that_are_not_there(work, env):
    env.submit_and_wait("--", "true")
    assert work("log", 1, "any", 3, code=1) == "error -5: Job 1 writes into no log\n"
    assert work("log", 9, "any", 3, code=1) == "error -5: Job 9 not found\n"
    env.write("text", "no log")
    env.write("more", "no log " * 10000)
    (env.work / "empty").mkdir()
    assert work("log", "text", "any", 3, code=1) == "error -7: 'text' is no log\n"
    assert work("log", "more", "any", 3, code=1).startswith("error -7: 'more'")
    assert work("log", "/dev/zero", "any", 3, code=1).startswith("error -4: '/dev/zero'")
    for path in ("missing", "empty"):
        assert work("log", path, "any", 3, code=1) == f"error -5: there is no log at '{path}'\n"
    loop = env.work / "loop"
    loop.symlink_to(loop)
    assert work("log", "loop", "any", 3, code=1).startswith(
        "error -2: cannot open the log 'loop': ")


# --- signals, threads ------------------------------------------------------------------


def test_signals_interrupt_nothing(work, env):
    env.submit("--", "sleep", "0.4")
    assert work("signals", 1) == "finished 1\ninterrupted often\n"


def test_clients_of_several_threads(work, env):
    assert work("threads", timeout_s=60) == "0 threads failed\n"
    assert len(env.json("job", "list", "--all")) == 80
