"""What can be asked of a server."""
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

from ..common import GenericPath
from ..validation import validate_path
from . import program
from .jobfile import job_file
from .program import HqException
from .protocol import JobDescription

DEFAULT_JOB_NAME = "PyAPI job"
PROGRESS_PERIOD_S = 1.0
RUNS_MAX = 5000  # of an argument, which Linux limits to 128 KiB

JobProgress = Dict[str, Any]
ProgressCallback = Callable[[Dict[int, JobProgress]], None]


@dataclass(frozen=True)
class FailedTaskContext:
    """Why a task failed and where it ran; None: not known, or no file."""

    error: str
    cwd: Optional[str] = None
    stdout: Optional[str] = None
    stderr: Optional[str] = None


def _selectors(ids: Iterable[int]) -> List[str]:
    """Ids as the command line takes them, runs of them as ranges; several times where one
    argument would be too long."""
    runs: List[List[int]] = []
    for id in sorted(set(ids)):
        if runs and runs[-1][1] == id - 1:
            runs[-1][1] = id
        else:
            runs.append([id, id])
    words = [str(a) if a == b else f"{a}-{b}" for a, b in runs]
    return [",".join(words[i:i + RUNS_MAX]) for i in range(0, len(words), RUNS_MAX)]


def _file(path: Optional[str]) -> Optional[str]:
    return None if path == "<pipe>" else path


class ClientConnection:
    """The server of a directory. Every request is an `hq` command of its own."""

    def __init__(self, directory: Optional[GenericPath] = None) -> None:
        self.server_dir = self._find(directory)
        self.server_info = self._call("server", "info").json()

    @staticmethod
    def _find(directory: Optional[GenericPath]) -> Optional[str]:
        """None: hq looks at HQ_SERVER_DIR, then at $HOME/.hq-server."""
        named = validate_path(directory, "server_dir")
        if named is None:
            return None
        path = Path(os.path.abspath(named))
        return str(path.parent if path.name == "hq-current" else path)

    def _call(self, *words: str, stdin: Optional[bytes] = None) -> program.Reply:
        return program.call(words, self.server_dir, stdin)

    def stop_server(self) -> None:
        self._call("server", "stop")

    def submit_job(self, job: JobDescription) -> int:
        """The id of the new job."""
        known = {task.id for task in job.tasks}
        if not job.tasks:
            raise HqException("Submitted job must have at least a single task")
        if len(known) != len(job.tasks):
            raise HqException("Non unique IDs in submitted task graph")
        for task in job.tasks:
            if not known.issuperset(task.dependencies):
                raise HqException("Invalid dependency id")
        if job.name is None:
            job = JobDescription(DEFAULT_JOB_NAME, job.tasks, job.max_fails, job.stream)
        reply = self._call("job", "submit-file", "-", stdin=job_file(job))
        return int(reply.json()["id"])

    def forget_job(self, job_id: int) -> None:
        """Drops a completed job."""
        told = self._call("job", "forget", str(job_id)).stderr
        match = re.search(r"(\d+) jobs? were forgotten", told)
        if match is None or match[1] != "1":
            raise HqException(f"Cannot forget job {job_id}. It either hasn't been "
                              "completed yet, or it does not exist")

    def cancel_job(self, job_id: int, reason: Optional[str] = None) -> None:
        """Cancels what has not ended of a job; nothing happens when all of it has."""
        words = [] if reason is None else [f"--reason={reason}"]
        told = self._call("job", "cancel", *words, str(job_id)).stderr
        if "job not found" in told:
            raise HqException(f"Job {job_id} not found")

    def job_progress(self, job_ids: Iterable[int]) -> Dict[int, JobProgress]:
        """Counts of the tasks of each job that the server knows."""
        wanted = set(job_ids)
        jobs = self._call("job", "list", "--all").json()
        progress = {}
        for job in jobs:
            if job["id"] in wanted:
                stats = job["task_stats"]
                active = stats["running"] + stats["waiting"]
                progress[job["id"]] = {
                    "finished": stats["finished"],
                    "failed": stats["failed"],
                    "total": job["task_count"],
                    "completed": active == 0 and not job["is_open"],
                }
        return progress

    def _wait(self, selector: str, job_ids: Sequence[int],
              callback: Optional[ProgressCallback], period_s: Optional[float]) -> None:
        command = program.Command(["job", "wait", selector], self.server_dir)
        while True:
            try:
                command.finish(timeout_s=period_s if callback else None)
                return
            except subprocess.TimeoutExpired:
                try:
                    if callback:
                        callback(self.job_progress(job_ids))
                except BaseException:
                    command.kill()
                    raise

    def wait_for_jobs(self, job_ids: Sequence[int],
                      callback: Optional[ProgressCallback] = None,
                      period_s: Optional[float] = PROGRESS_PERIOD_S) -> List[int]:
        """Waits until all tasks of the jobs have ended; the ids of those of which not all
        tasks have finished.

        `callback` gets the progress at the end, and before it every `period_s` seconds
        (None: not at all). The server tells when there is nothing to wait for any more.
        """
        if not job_ids:
            return []
        for selector in _selectors(job_ids):
            self._wait(selector, job_ids, callback, period_s)
        progress = self.job_progress(job_ids)
        for id in job_ids:
            if id not in progress:
                raise HqException(f"Job {id} not found")
        if callback:
            callback(progress)
        return [id for id in dict.fromkeys(job_ids)
                if progress[id]["finished"] != progress[id]["total"]]

    def get_failed_tasks(self, job_ids: Iterable[int]) -> Dict[
            int, Dict[int, FailedTaskContext]]:
        """The failed tasks of each job, those without any too."""
        ids = list(dict.fromkeys(job_ids))
        told: Dict[str, Any] = {}
        for selector in _selectors(ids):
            told.update(self._call("task", "list", selector,
                                   "--task-status", "failed").json())
        for id in ids:
            if str(id) not in told:
                raise HqException(f"Job {id} not found")
        return {
            id: {task["id"]: FailedTaskContext(task["error"], task.get("cwd"),
                                               _file(task.get("stdout")),
                                               _file(task.get("stderr")))
                 for task in told[str(id)]}
            for id in ids
        }
