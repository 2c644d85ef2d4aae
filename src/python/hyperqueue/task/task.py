from datetime import timedelta
from typing import TYPE_CHECKING, List, Optional, Sequence, Union

from ..common import EnvType, GenericPath
from ..ffi.protocol import ResourceRequest, TaskDescription, request_sequence
from ..output import Stdio, make_stdio
from ..validation import (ValidationException, validate_env, validate_int, validate_path)

if TYPE_CHECKING:
    from .function import PythonEnv

TaskId = int
Resources = Union[ResourceRequest, Sequence[ResourceRequest], None]
CrashLimit = Union[int, str, None]


class Task:
    """What all kinds of tasks have. Tasks are made by the methods of a job."""

    def __init__(
        self,
        task_id: TaskId,
        *,
        dependencies: Sequence["Task"] = (),
        env: Optional[EnvType] = None,
        cwd: Optional[GenericPath] = None,
        stdout: Optional[Stdio] = None,
        stderr: Optional[Stdio] = None,
        name: Optional[str] = None,
        priority: int = 0,
        resources: Resources = None,
        crash_limit: CrashLimit = None,
        time_limit: Optional[timedelta] = None,
        pin: Optional[str] = None,
    ) -> None:
        for dependency in dependencies:
            if not isinstance(dependency, Task):
                raise ValidationException(f"deps have to be tasks, got {dependency!r}")
        if crash_limit not in (None, "never-restart", "unlimited"):
            crash_limit = validate_int(crash_limit, "crash_limit")
            if not 1 <= crash_limit <= 65535:
                raise ValidationException("crash_limit has to be from 1 to 65535")
        if time_limit is not None and not isinstance(time_limit, timedelta):
            raise ValidationException("time_limit has to be a timedelta")
        self.task_id = task_id
        self.dependencies: List["Task"] = list(dependencies)
        self.env = validate_env(env)
        self.cwd = validate_path(cwd, "cwd")
        self.stdout = make_stdio(stdout)
        self.stderr = make_stdio(stderr)
        self.name = name
        self.priority = validate_int(priority, "priority")
        self.resources = request_sequence(resources)
        self.crash_limit = crash_limit
        self.time_limit = time_limit
        self.pin = pin

    @property
    def label(self) -> str:
        """What messages call the task."""
        return self.name or str(self.task_id)

    def _build(self, client_env: "PythonEnv") -> TaskDescription:
        """What is sent to the server."""
        raise NotImplementedError

    def _describe(self, args: List[str], stdin: Optional[bytes],
                  task_dir: bool) -> TaskDescription:
        return TaskDescription(
            id=self.task_id,
            args=args,
            env=self.env,
            cwd=self.cwd,
            stdout=self.stdout,
            stderr=self.stderr,
            stdin=stdin,
            dependencies=[task.task_id for task in self.dependencies],
            task_dir=task_dir,
            priority=self.priority,
            resource_request=self.resources,
            crash_limit=self.crash_limit,
            time_limit=self.time_limit,
            pin=self.pin,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label})"
