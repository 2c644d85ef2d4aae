from typing import Any, List, Sequence, Union

from ..ffi.protocol import TaskDescription
from ..validation import validate_args
from .function import PythonEnv
from .task import Task, TaskId

ProgramArgs = Union[List[str], str]


class ExternalProgram(Task):
    """A task that runs a program."""

    def __init__(
        self,
        task_id: TaskId,
        args: Union[Sequence[str], str],
        *,
        stdin: Union[str, bytes, None] = None,
        task_dir: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(task_id, **kwargs)
        self.args = validate_args(args)
        if isinstance(stdin, str):
            stdin = stdin.encode()
        if stdin is not None and not isinstance(stdin, bytes):
            raise Exception("stdin has to be str, bytes, or None")
        self.stdin = stdin
        self.task_dir = bool(task_dir)

    def _build(self, client_env: PythonEnv) -> TaskDescription:
        return self._describe(self.args, self.stdin, self.task_dir)
