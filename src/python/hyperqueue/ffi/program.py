"""Running `hq`."""
import json
import os
import shutil
import subprocess
from typing import Any, Dict, List, Optional, Sequence


class HqException(Exception):
    """What `hq` or the server answers to what cannot be done."""


def find_hq() -> str:
    """The program: that of HQ_PROGRAM, else the first `hq` on the PATH."""
    named = os.environ.get("HQ_PROGRAM")
    path = shutil.which(named or "hq")
    if path is None:
        raise HqException(
            f"HQ_PROGRAM names `{named}`, which cannot be run" if named else
            "the program `hq` is not on the PATH; name it by the variable HQ_PROGRAM")
    return path


def environment() -> Dict[str, str]:
    """Ours, without what would change what `hq` prints."""
    change = ("HQ_OUTPUT_MODE", "HQ_DEBUG", "HQ_WAIT_FAIL_ON_ERROR")
    return {name: value for name, value in os.environ.items() if name not in change}


class Reply:
    def __init__(self, stdout: bytes, stderr: bytes) -> None:
        self.stdout = stdout
        self.stderr = stderr.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.stdout)


def _message(stdout: bytes, stderr: bytes, code: int) -> str:
    """What a failed command tells: in JSON mode on standard output."""
    try:
        return str(json.loads(stdout)["error"])
    except (ValueError, KeyError, TypeError):
        told = stderr.decode(errors="replace").strip()
        return told or f"hq ended with status {code}"


class Command:
    """One running `hq` command in JSON mode."""

    def __init__(self, words: Sequence[str], server_dir: Optional[str] = None,
                 stdin: bool = False) -> None:
        options: List[str] = ["--output-mode=json", "--colors=never"]
        if server_dir is not None:
            options.append(f"--server-dir={server_dir}")
        try:
            # A session of its own: Ctrl-C is for this program, which then ends `hq`.
            self._process = subprocess.Popen(
                [find_hq(), *options, *words], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=environment(), start_new_session=True,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        except OSError as error:
            raise HqException(f"cannot run hq: {error}") from error

    def finish(self, stdin: Optional[bytes] = None,
               timeout_s: Optional[float] = None) -> Reply:
        """Its end. After a timeout (subprocess.TimeoutExpired) it may be called again."""
        try:
            stdout, stderr = self._process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise
        except BaseException:
            self.kill()
            raise
        if self._process.returncode != 0:
            raise HqException(_message(stdout, stderr, self._process.returncode))
        return Reply(stdout, stderr)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def call(words: Sequence[str], server_dir: Optional[str] = None,
         stdin: Optional[bytes] = None) -> Reply:
    """Runs a command to its end; its failure is an HqException."""
    return Command(words, server_dir, stdin is not None).finish(stdin)


def get_hq_version() -> str:
    try:
        told = subprocess.run([find_hq(), "--version"], stdin=subprocess.DEVNULL,
                              capture_output=True, env=environment(), check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HqException(f"cannot run hq: {error}") from error
    return told.stdout.decode().split()[-1]
