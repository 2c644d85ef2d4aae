"""Jobs: graphs of tasks."""
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from .common import EnvType, GenericPath
from .ffi.protocol import JobDescription
from .output import Stdio, StdioDef, default_stderr, default_stdout
from .task.function import PythonEnv, PythonFunction
from .task.program import ExternalProgram, ProgramArgs
from .task.task import CrashLimit, Resources, Task, TaskId
from .validation import ValidationException, validate_env, validate_int, validate_path

JobId = int

_DEFAULT_STDOUT = StdioDef.from_path(default_stdout())
_DEFAULT_STDERR = StdioDef.from_path(default_stderr())


class Job:
    """A job, to be filled with tasks and given to `Client.submit`.

    `max_fails`: when more tasks than that have failed the rest is aborted; None: never.
    `stream`: gathers the output of all tasks in one log inside this directory.
    """

    def __init__(
        self,
        default_workdir: Optional[GenericPath] = None,
        max_fails: Optional[int] = 1,
        default_env: Optional[EnvType] = None,
        name: Optional[str] = None,
        stream: Optional[GenericPath] = None,
    ) -> None:
        workdir = validate_path(default_workdir, "default_workdir")
        if max_fails is not None:
            max_fails = validate_int(max_fails, "max_fails")
            if not 0 <= max_fails < 2**32:
                raise ValidationException("max_fails has to be from 0 to 4294967295")
        if name is not None and not isinstance(name, str):
            raise ValidationException(f"name has to be a string, not {name!r}")
        self.tasks: List[Task] = []
        self.task_map: Dict[TaskId, Task] = {}
        self.max_fails = max_fails
        self.default_workdir = os.path.abspath(workdir) if workdir else None
        self.default_env = validate_env(default_env)
        self.name = name
        self.stream = validate_path(stream, "stream")

    def task_by_id(self, id: TaskId) -> Optional[Task]:
        return self.task_map.get(id)

    def program(
        self,
        args: ProgramArgs,
        *,
        env: Optional[EnvType] = None,
        cwd: Optional[GenericPath] = None,
        stdout: Optional[Stdio] = _DEFAULT_STDOUT,
        stderr: Optional[Stdio] = _DEFAULT_STDERR,
        stdin: Any = None,
        deps: Sequence[Task] = (),
        name: Optional[str] = None,
        task_dir: bool = False,
        priority: int = 0,
        resources: Resources = None,
        crash_limit: CrashLimit = None,
        time_limit: Optional[timedelta] = None,
        pin: Optional[str] = None,
    ) -> ExternalProgram:
        """Adds a task that runs a program. `args`: its words; a string is one word.

        `stdin`: text or bytes. `deps`: tasks that have to finish first. `stdout` and
        `stderr`: a path, None to drop the channel. `resources`: a request, or several of
        them, preferred ones first.
        """
        task = ExternalProgram(
            len(self.tasks), args, stdin=stdin, task_dir=task_dir,
            dependencies=self._check_deps(deps), env=self._merge_env(env),
            cwd=self._place(cwd), name=name,
            stdout=self._channel(stdout, _DEFAULT_STDOUT),
            stderr=self._channel(stderr, _DEFAULT_STDERR),
            priority=priority, resources=resources, crash_limit=crash_limit,
            time_limit=time_limit, pin=pin)
        self._add(task)
        return task

    def function(
        self,
        fn: Callable[..., Any],
        *,
        args: Sequence[Any] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        env: Optional[EnvType] = None,
        cwd: Optional[GenericPath] = None,
        stdout: Optional[Stdio] = _DEFAULT_STDOUT,
        stderr: Optional[Stdio] = _DEFAULT_STDERR,
        deps: Sequence[Task] = (),
        name: Optional[str] = None,
        priority: int = 0,
        resources: Resources = None,
        crash_limit: CrashLimit = None,
        time_limit: Optional[timedelta] = None,
        pin: Optional[str] = None,
    ) -> PythonFunction:
        """Adds a task that calls `fn(*args, **kwargs)` in a new interpreter.

        Function and arguments are pickled when the job is submitted; what the function
        returns is dropped. The rest is as for `program`.
        """
        task = PythonFunction(
            len(self.tasks), fn, args=args, kwargs=kwargs,
            dependencies=self._check_deps(deps), env=self._merge_env(env),
            cwd=self._place(cwd), name=name,
            stdout=self._channel(stdout, _DEFAULT_STDOUT),
            stderr=self._channel(stderr, _DEFAULT_STDERR),
            priority=priority, resources=resources, crash_limit=crash_limit,
            time_limit=time_limit, pin=pin)
        self._add(task)
        return task

    def _add(self, task: Task) -> None:
        self.tasks.append(task)
        self.task_map[task.task_id] = task

    def _channel(self, stdio: Optional[Stdio], default: StdioDef) -> Optional[Stdio]:
        """The log takes what is not sent to a file of its own."""
        return StdioDef() if stdio is default and self.stream else stdio

    def _merge_env(self, env: Optional[EnvType]) -> EnvType:
        return {**self.default_env, **validate_env(env)}

    def _place(self, cwd: Optional[GenericPath]) -> Optional[str]:
        return validate_path(cwd, "cwd") or self.default_workdir

    def _check_deps(self, deps: Sequence[Task]) -> Sequence[Task]:
        """Ids alone would mean another task where the dependency is of another job."""
        if isinstance(deps, (Task, str, Mapping)) or not hasattr(deps, "__iter__"):
            raise ValidationException(f"deps have to be a list of tasks, not {deps!r}")
        tasks = list(deps)
        for task in tasks:
            if not isinstance(task, Task):
                raise ValidationException(f"deps have to be tasks, got {task!r}")
            if self.task_map.get(task.task_id) is not task:
                raise ValidationException(
                    f"Invalid dependency id: task `{task.label}` is of another job")
        return tasks

    def _build(self, client_env: PythonEnv) -> JobDescription:
        return JobDescription(
            name=self.name,
            tasks=[task._build(client_env) for task in self.tasks],
            max_fails=self.max_fails,
            stream=self.stream,
        )


@dataclass
class SubmittedJob:
    job: Job
    id: JobId
