"""What the end-to-end tests drive the real programs with.

An `Env` owns a scratch directory, a server directory and every process it starts.
Nothing in here waits for a fixed time: `wait_until` polls a condition up to a deadline.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Sanitizer builds are slower; tests/run.sh stretches every deadline with this.
PATIENCE = float(os.environ.get("HQ_TEST_PATIENCE", "1"))
TIMEOUT_S = 20


def build_dir():
    """The build under test: HQ_BUILD, else the first preset that is there."""
    if "HQ_BUILD" in os.environ:
        return Path(os.environ["HQ_BUILD"]).resolve()
    for preset in ("release", "debug"):
        if (ROOT / "build" / preset / "src" / "hq").exists():
            return ROOT / "build" / preset
    return ROOT / "build" / "release"


BIN = build_dir() / "src"
HQ = BIN / "hq"
HQ_MPI_WORKER = BIN / "hq-mpi-worker"
PYTHON_PACKAGE = ROOT / "src" / "python"


def wait_until(condition, what="the condition", timeout_s=TIMEOUT_S):
    """Polls until `condition()` is true and returns what it gave."""
    deadline = time.monotonic() + timeout_s * PATIENCE
    pause_s = 0.01
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timeout while waiting for {what}; last: {value!r}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)


class Result:
    """Outcome of one finished command."""

    def __init__(self, command, process, stdout, stderr):
        self.command = command
        self.code = process.returncode
        self.raw = stdout
        self.stdout = stdout.decode(errors="replace")
        self.stderr = stderr.decode(errors="replace")

    def json(self):
        return json.loads(self.stdout)

    def table(self):
        """Rows of cells; of a key/value table each row is [label, value]."""
        rows = [line for line in self.stdout.splitlines() if line.startswith("|")]
        return [[c.strip() for c in row.strip("|").split(" | ")] for row in rows]

    def fields(self):
        """A key/value table as a dictionary; continuation lines are joined."""
        out, label = {}, None
        for row in self.table():
            if row[0]:
                label = row[0]
                out[label] = row[1]
            else:
                out[label] += "\n" + row[1]
        return out

    def __repr__(self):
        words = " ".join(map(str, self.command))
        return (f"$ {words}\n[status {self.code}]\n{self.stdout}"
                f"--- stderr ---\n{self.stderr}")


class Process:
    """A long-running program with its output in a log file."""

    def __init__(self, name, command, log, **kwargs):
        self.name = name
        self.log = log
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(
                [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True, **kwargs)
        self.pid = self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def send(self, signo):
        if self.running:
            self.popen.send_signal(signo)

    def wait(self, timeout_s=TIMEOUT_S):
        """Exit status; the negative signal number if one ended it."""
        try:
            return self.popen.wait(timeout_s * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end\n{self.text()[-2000:]}")

    def kill(self):
        self.send(signal.SIGKILL)
        return self.wait()


class Env:
    def __init__(self):
        # Short, since socket names below it are limited to 107 characters.
        self.root = Path(tempfile.mkdtemp(prefix="hqt-")).resolve()
        self.work = self.root / "w"
        self.server_dir = self.root / "sd"
        self.logs = self.root / "log"
        for sub in ("w", "log", "home", "t"):
            (self.root / sub).mkdir()
        self.tag = f"HQ_TEST_TAG={uuid.uuid4().hex}"
        drop = re.compile(r"HQ_|OMPI_|PMIX_|SLURM_|PBS_|CUDA_|ROCR_|RUST_LOG|MAKEFLAGS")
        keep = re.compile(r"HQ_TEST_")
        self.vars = {k: v for k, v in os.environ.items()
                     if keep.match(k) or not drop.match(k)}
        self.vars.update(HOME=str(self.root / "home"), TMPDIR=str(self.root / "t"),
                         HQ_SERVER_DIR=str(self.server_dir), HQ_TEST_TAG=self.tag[12:],
                         PATH=f"{BIN}:{self.vars.get('PATH', '')}", TZ="UTC")
        self.processes = []
        self.server = None

    # -- commands -----------------------------------------------------------

    def run(self, *command, code=0, stdin=b"", cwd=None, env=None, timeout_s=TIMEOUT_S):
        """Runs a command to its end. `code=None` accepts every exit status."""
        words = [str(c) for c in command]
        if isinstance(stdin, str):
            stdin = stdin.encode()
        variables = {**self.vars, **{k: str(v) for k, v in (env or {}).items()}}
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=cwd or self.work, env=variables, start_new_session=True)
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s * PATIENCE)
        except subprocess.TimeoutExpired:
            # What it started may hold the pipes open.
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            raise AssertionError(f"timeout\n{Result(words, process, stdout, stderr)!r}")
        result = Result(words, process, stdout, stderr)
        if code is not None:
            assert result.code == code, repr(result)
        return result

    def hq(self, *args, **kwargs):
        return self.run(HQ, *args, **kwargs)

    def json(self, *args, **kwargs):
        return self.hq("--output-mode", "json", *args, **kwargs).json()

    # -- files --------------------------------------------------------------

    def write(self, name, text, mode=0o644):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def read(self, name):
        return (self.work / name).read_text()

    def script(self, name, body):
        return self.write(name, "#!/bin/sh\n" + body, 0o755)

    # -- processes ----------------------------------------------------------

    def spawn(self, name, *command, env=None, **kwargs):
        log = self.logs / f"{len(self.processes):02}-{name}.log"
        variables = {**self.vars, **{k: str(v) for k, v in (env or {}).items()}}
        process = Process(name, command, log, env=variables,
                          cwd=kwargs.pop("cwd", self.work), **kwargs)
        self.processes.append(process)
        return process

    def start_server(self, *args, **kwargs):
        """Starts a server on loopback and returns when it answers."""
        server = self.spawn("server", HQ, "server", "start", "--host", "127.0.0.1",
                            *args, **kwargs)
        self.server = server

        def answers():
            assert server.running, f"server ended: {server.text()}"
            # An older run's access file may lie there until ours replaces it.
            info = self.hq("--output-mode", "json", "server", "info", code=None)
            return info.code == 0 and info.json()["pid"] == server.pid

        wait_until(answers, "the server to answer")
        return server

    def stop_server(self):
        self.hq("server", "stop")
        assert self.server.wait() == 0, self.server.text()

    def workers(self, *args):
        return self.json("worker", "list", *args)

    def wait_workers(self, count, timeout_s=TIMEOUT_S):
        wait_until(lambda: len(self.workers()) == count, f"{count} workers", timeout_s)

    def start_worker(self, *args, cpus=1, wait=True, **kwargs):
        """Starts `hq worker start` and returns when it is registered."""
        resources = [] if cpus is None else ["--detect-resources=none", f"--cpus={cpus}"]
        before = {w["id"] for w in self.workers("--all")} if wait else set()
        worker = self.spawn("worker", HQ, "worker", "start", *resources, *args, **kwargs)

        def registered():
            assert worker.running, f"worker ended: {worker.text()}"
            new = {w["id"] for w in self.workers()} - before
            return max(new) if new else None

        if wait:
            worker.id = wait_until(registered, "the worker to register")
        return worker

    def start_ranks(self, count, *args, mpirun=("--enable-recovery",), env=None,
                    wait=True, program=HQ_MPI_WORKER):
        """Starts `count` ranks with the line the manual documents."""
        command = ["mpirun", "-n", count, *mpirun, "--bind-to", "none", "--oversubscribe"]
        if os.geteuid() == 0:
            command.append("--allow-run-as-root")
        before = len(self.workers()) if wait else 0
        pool = self.spawn("mpirun", *command, program, *args, env=env)

        def registered():
            assert pool.running, f"mpirun ended: {pool.text()}"
            return len(self.workers()) == before + count

        if wait:
            wait_until(registered, f"{count} ranks", 2 * TIMEOUT_S)
        return pool

    def tagged(self):
        """Pids of all processes this environment has started, tasks included."""
        found = []
        for proc in Path("/proc").iterdir():
            if not proc.name.isdigit() or int(proc.name) == os.getpid():
                continue
            try:
                if self.tag.encode() in (proc / "environ").read_bytes():
                    found.append(int(proc.name))
            except OSError:
                continue
        return found

    def ranks(self):
        """Pids of the running hq-mpi-worker main processes (not their launchers)."""
        name = HQ_MPI_WORKER.name
        pids = {}
        for pid in self.tagged():
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith(name):
                    stat = Path(f"/proc/{pid}/stat").read_text()
                    pids[pid] = int(stat.rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
        return sorted(pid for pid, parent in pids.items() if parent not in pids)

    # -- jobs ---------------------------------------------------------------

    def submit(self, *args, **kwargs):
        return self.json("submit", *args, **kwargs)["id"]

    def submit_and_wait(self, *args, timeout_s=TIMEOUT_S, **kwargs):
        job = self.submit(*args, **kwargs)
        self.wait_job(job, timeout_s)
        return job

    def wait_job(self, job, timeout_s=TIMEOUT_S):
        self.hq("job", "wait", job, timeout_s=timeout_s)

    def job(self, job):
        return self.json("job", "info", job)[0]

    def stats(self, job):
        """Counts per state, without the zeros."""
        counts = self.job(job)["info"]["task_stats"]
        return {state: n for state, n in counts.items() if n}

    def tasks(self, job):
        return {t["id"]: t for t in self.json("task", "list", job)[str(job)]}

    def states(self, job):
        return [t["state"] for _, t in sorted(self.tasks(job).items())]

    def wait_stats(self, job, timeout_s=TIMEOUT_S, **want):
        """Until the job has exactly these counts, e.g. running=1, waiting=3."""
        wait_until(lambda: self.stats(job) == want, f"{want} in job {job}", timeout_s)

    def workflow(self, text, *args, **kwargs):
        """Submits a workflow given as text; returns the job id."""
        return self.submit("-f", self.write("flow.yml", text), *args, **kwargs)

    def log(self, *args, **kwargs):
        return self.hq("log", *args, **kwargs)

    # -- end ----------------------------------------------------------------

    def leave(self):
        """Ends what was started, youngest first; returns what had to be killed."""
        for signo in (signal.SIGTERM, signal.SIGKILL):
            for process in reversed(self.processes):
                process.send(signo)
            deadline = time.monotonic() + 8 * PATIENCE
            for process in reversed(self.processes):
                try:
                    process.popen.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    continue
        # A task has a second to end after its worker told it to.
        try:
            wait_until(lambda: not self.tagged(), timeout_s=8)
            return []
        except AssertionError:
            left = []
            for pid in self.tagged():
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    left.append(f"{pid} {b' '.join(words).decode(errors='replace')}")
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
            return left

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


@contextlib.contextmanager
def small_disk(env, size):
    """A file system of that size, at <work>/disk."""
    where = env.work / "disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", where]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a file system here")
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)
