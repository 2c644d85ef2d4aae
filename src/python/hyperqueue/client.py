"""Submitting jobs and waiting for them."""
import logging
import sys
from importlib import import_module
from typing import Any, Dict, List, Optional, Sequence, Union

from .common import GenericPath
from .ffi.client import ClientConnection, FailedTaskContext
from .job import Job, JobId, SubmittedJob
from .task.function import PythonEnv
from .task.task import TaskId

MAX_PRINTED_TASKS = 5

FailedTaskMap = Dict[JobId, Dict[TaskId, FailedTaskContext]]

_logger = logging.getLogger(__name__)


class FailedJobsException(Exception):
    """Not all tasks of the jobs waited for have finished."""

    def __init__(self, failed_tasks: FailedTaskMap, job_map: Dict[JobId, Job]) -> None:
        super().__init__(failed_tasks, job_map)
        self.failed_tasks = failed_tasks
        self.job_map = job_map

    def task_label(self, job_id: JobId, task_id: TaskId) -> str:
        job = self.job_map.get(job_id)
        task = job.task_by_id(task_id) if job else None
        return task.label if task else str(task_id)

    def __str__(self) -> str:
        lines: List[str] = []
        for job_id, tasks in self.failed_tasks.items():
            lines += self._job_lines(job_id, tasks)
        return "\n".join(lines)

    def _job_lines(self, job_id: JobId, tasks: Dict[TaskId, FailedTaskContext]) -> List[str]:
        if not tasks:
            return [f"Tasks of job `{job_id}` were canceled"]
        lines = [f"The following tasks of job `{job_id}` have failed:"]
        for task_id, context in sorted(tasks.items())[:MAX_PRINTED_TASKS]:
            lines.append(f"Task {self.task_label(job_id, task_id)} (id={task_id}):")
            lines.append(context.error.rstrip("\n"))
            places = [("Working directory", context.cwd), ("Stdout", context.stdout),
                      ("Stderr", context.stderr)]
            known = [f"{what}: {path}" for what, path in places if path]
            if known:
                lines += ["You can find more information here:", *known]
        if len(tasks) > MAX_PRINTED_TASKS:
            lines.append(f"and {len(tasks) - MAX_PRINTED_TASKS} more")
        return lines


class _Bar:
    """A progress bar on a terminal, where tqdm is installed."""

    def __init__(self, jobs: Sequence[SubmittedJob]) -> None:
        self._bar: Any = None
        if not sys.stderr or not sys.stderr.isatty():
            return
        try:
            tqdm = import_module("tqdm.auto")
        except ImportError:
            return
        sizes = {job.id: len(job.job.tasks) for job in jobs}
        self._bar = tqdm.tqdm(total=sum(sizes.values()), unit="task")

    @property
    def shown(self) -> bool:
        return self._bar is not None

    def update(self, progress: Dict[JobId, Dict[str, Any]]) -> None:
        jobs = progress.values()
        self._bar.update(sum(job["finished"] for job in jobs) - self._bar.n)
        done = sum(job["completed"] for job in jobs)
        self._bar.set_postfix_str(f"{done}/{len(jobs)} jobs completed")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class Client:
    """The jobs of one server.

    `server_dir`: the directory given to the server with `--server-dir`; without it that
    of HQ_SERVER_DIR, else `$HOME/.hq-server`. `python_env`: how function tasks start
    Python. Fails when there is no server.
    """

    def __init__(self, server_dir: Optional[GenericPath] = None,
                 python_env: Optional[PythonEnv] = None) -> None:
        self.connection = ClientConnection(server_dir)
        self.python_env = python_env or PythonEnv()

    def submit(self, job: Job) -> SubmittedJob:
        """Submits the job; tasks run below the current directory."""
        if not isinstance(job, Job):
            raise ValueError(f"a job is submitted, not {job!r}")
        if not job.tasks:
            raise Exception("Submitted job must have at least a single task")
        job_id = self.connection.submit_job(job._build(self.python_env))
        _logger.info("Submitted job %d with %d tasks", job_id, len(job.tasks))
        return SubmittedJob(job, job_id)

    def wait_for_jobs(self, jobs: Sequence[SubmittedJob], raise_on_error: bool = True) -> bool:
        """Waits until all tasks of the jobs have ended. True: all have finished; else
        raises FailedJobsException, or returns False without `raise_on_error`."""
        jobs = list(jobs)
        for job in jobs:
            if not isinstance(job, SubmittedJob):
                raise ValueError(f"jobs that were submitted are waited for, not {job!r}")
        ids = [job.id for job in jobs]
        _logger.info("Waiting for %s to finish", "job " + str(ids[0]) if len(ids) == 1
                     else f"{len(ids)} jobs")
        bar = _Bar(jobs)
        try:
            failed = self.connection.wait_for_jobs(ids, bar.update if bar.shown else None)
        finally:
            bar.close()
        if not failed:
            return True
        if raise_on_error:
            job_map = {job.id: job.job for job in jobs}
            raise FailedJobsException(self.connection.get_failed_tasks(failed), job_map)
        return False

    def get_failed_tasks(self, job: SubmittedJob) -> Dict[TaskId, FailedTaskContext]:
        """The tasks that failed, not those that were canceled or aborted."""
        return self.connection.get_failed_tasks([job.id])[job.id]

    def cancel(self, job: Union[SubmittedJob, int], reason: Optional[str] = None) -> None:
        """Cancels all tasks of the job that have not ended."""
        self.connection.cancel_job(_job_id(job), reason)

    def forget(self, job: Union[SubmittedJob, int]) -> None:
        """Drops a completed job from the server."""
        self.connection.forget_job(_job_id(job))


def _job_id(job: Union[SubmittedJob, int]) -> int:
    if isinstance(job, SubmittedJob):
        return job.id
    if isinstance(job, bool) or not isinstance(job, int):
        raise ValueError(f"a job is named by its id or what submit returned, not by {job!r}")
    return job
