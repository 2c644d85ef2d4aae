"""A server and workers as processes of this machine."""
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, List, Optional

from ..common import GenericPath
from ..validation import ValidationException, validate_int, validate_path
from .program import HqException, environment, find_hq

_START_S = 30.0
_STOP_S = 10.0
_POLL_S = 0.005


class _Process:
    """A server or worker. It describes itself on standard output when it is at work; the
    rest is appended to a log in the directory of the server."""

    def __init__(self, name: str, server_dir: str, words: List[str]) -> None:
        self._name = name
        self._log = Path(server_dir) / f"{name}.log"
        self._out = tempfile.TemporaryFile()
        command = [find_hq(), "--output-mode=json", "--colors=never",
                   f"--server-dir={server_dir}", *words]
        with open(self._log, "ab") as log:
            self._log_start = log.tell()
            # A session of its own: Ctrl-C is for this program, which then stops the rest.
            self._popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=log,
                env=environment(), start_new_session=True)
        self.pid = self._popen.pid

    def _told(self) -> Any:
        """What it has printed; None as long as that is not all."""
        size = os.fstat(self._out.fileno()).st_size
        try:
            return json.loads(os.pread(self._out.fileno(), size, 0))
        except ValueError:
            return None

    def _error(self) -> Optional[str]:
        told = self._told()
        return str(told["error"]) if isinstance(told, dict) and "error" in told else None

    def _why(self) -> str:
        with open(self._log, "rb") as log:
            log.seek(self._log_start)
            text = log.read().decode(errors="replace")
        return f"{text}{self._error() or ''}".strip()

    def await_start(self) -> None:
        deadline = time.monotonic() + _START_S
        while self._told() is None or self._error() is not None:
            if self._popen.poll() is not None:
                raise HqException(f"the {self._name} has ended with status "
                                  f"{self._popen.returncode}: {self._why()}")
            if time.monotonic() > deadline:
                raise HqException(f"the {self._name} does not start: {self._why()}")
            time.sleep(_POLL_S)

    def terminate(self) -> None:
        self._popen.terminate()

    def await_end(self) -> None:
        """It has been told to end; it is killed when it does not."""
        try:
            self._popen.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._out.close()


_GUARD = """read -r _
kill "$1"
[ "$2" ] || exit 0
n=0
while kill -0 "$1" && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
rm -rf -- "$2"
"""


class _Guard:
    """Ends a process when this one is no more, which closes the pipe to the guard, and
    then removes a directory unless that is empty text."""

    def __init__(self, pid: int, directory: str) -> None:
        self._popen = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(pid), directory], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def dismiss(self) -> None:
        self._popen.kill()
        self._popen.communicate()


class Cluster:
    """A server, started with its workers by this process and stopped with it.

    When this process ends without stopping the server, however it ends, the server is
    stopped as well, and with it the workers.
    """

    def __init__(self, server_dir: Optional[GenericPath] = None) -> None:
        named = validate_path(server_dir, "server_dir")
        self._temporary = tempfile.mkdtemp(prefix="hq-") if named is None else ""
        self.server_dir = os.path.abspath(named or self._temporary)
        self._stopped = False
        self._guard: Optional[_Guard] = None
        self._server: Optional[_Process] = None
        self._workers: List[_Process] = []
        try:
            os.makedirs(self.server_dir, exist_ok=True)
            self._server = self._spawn("server", "server", "start", "--host=localhost")
            self._guard = _Guard(self._server.pid, self._temporary)
            self._server.await_start()
        except BaseException:
            self.stop()
            raise

    def add_worker(self, cores: Optional[int] = None) -> None:
        """Starts a worker and returns when the server knows it. Without `cores` it offers
        as many CPUs as this process may use."""
        if self._stopped:
            raise HqException("the cluster has been stopped")
        if cores is None:
            cores = len(os.sched_getaffinity(0))
        cores = validate_int(cores, "cores")
        if cores < 1:
            raise ValidationException(f"cores has to be a positive number, not {cores!r}")
        worker = self._spawn(f"worker-{len(self._workers) + 1}", "worker", "start",
                             "--detect-resources=none", f"--cpus={cores}",
                             "--group=default", "--manager=none", "--on-server-lost=stop")
        self._workers.append(worker)
        worker.await_start()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        """Stops the server and with it the workers and what they run."""
        if self._stopped:
            raise HqException("the cluster has been stopped already")
        self._stopped = True
        if self._guard is not None:
            self._guard.dismiss()
        if self._server is not None:
            self._server.terminate()
            for process in [self._server, *self._workers]:
                process.await_end()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _spawn(self, name: str, *words: str) -> _Process:
        return _Process(name, self.server_dir, list(words))
