"""Where the output of tasks goes."""
from dataclasses import dataclass
from typing import Optional, Union

from .common import GenericPath
from .validation import ValidationException, validate_path

CWD_PLACEHOLDER = "%{CWD}"
TASK_ID_PLACEHOLDER = "%{TASK_ID}"


@dataclass(frozen=True)
class StdioDef:
    """A file for one channel.

    `path` None is the default of the server, `%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stdout`;
    with `on_close` "rm-if-finished" the file is removed when the task has finished.
    """

    path: Optional[GenericPath] = None
    on_close: str = "none"

    def __post_init__(self) -> None:
        validate_path(self.path, "an output file")
        if self.on_close not in ("none", "rm-if-finished"):
            raise ValidationException(
                f"on_close has to be 'none' or 'rm-if-finished', not {self.on_close!r}")

    @classmethod
    def from_path(cls, path: GenericPath) -> "StdioDef":
        return cls(path)

    @classmethod
    def remove_if_finished(cls, path: Optional[GenericPath] = None) -> "StdioDef":
        return cls(path, "rm-if-finished")


Stdio = Union[GenericPath, StdioDef]


def default_stdout() -> str:
    return f"{CWD_PLACEHOLDER}/{TASK_ID_PLACEHOLDER}.stdout"


def default_stderr() -> str:
    return f"{CWD_PLACEHOLDER}/{TASK_ID_PLACEHOLDER}.stderr"


def make_stdio(value: Optional[Stdio]) -> Optional[StdioDef]:
    if value is None or isinstance(value, StdioDef):
        return value
    return StdioDef.from_path(value)
