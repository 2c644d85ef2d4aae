"""Tasks that call a Python function, and what runs inside of them.

The function travels with its arguments through the standard input of the task: pickled
by cloudpickle, which also takes functions of the script itself and lambdas. Without
cloudpickle only functions that the task can import are possible.
"""
import inspect
import logging
import os
import pickle
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple
from weakref import WeakKeyDictionary

from ..ffi.protocol import TaskDescription
from ..utils.package import MissingPackageException
from ..validation import ValidationException
from .task import Task, TaskId

_CODE = "from hyperqueue.task.function import task_main as m; m()"
_VERSION = "{}.{}".format(*sys.version_info)
_ERROR_BYTES_MAX = 2000  # of an error message, less than hq cuts off
_logger = logging.getLogger(__name__)
_LEVELS = {name: getattr(logging, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")}


@dataclass(frozen=True)
class PythonEnv:
    """How tasks start Python. `prologue` is run before, by `shell`."""

    python_bin: str = "python3"
    prologue: Optional[str] = None
    shell: str = "bash"

    def command(self) -> Sequence[str]:
        if self.prologue is None:
            return [str(self.python_bin), "-c", _CODE]
        return [str(self.shell), "-c",
                f'{self.prologue}\n\n{self.python_bin} -c "{_CODE}"']


class _Pickled:
    """Stands for a function inside of a pickle: loading gives the function."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> Tuple[Callable[[bytes], Any], Tuple[bytes]]:
        return pickle.loads, (self.data,)


_cache: "WeakKeyDictionary[Callable[..., Any], _Pickled]" = WeakKeyDictionary()


def purge_cache() -> None:
    """Forgets the pickles of functions, each of which is pickled once otherwise."""
    _cache.clear()


def _pickler() -> Any:
    try:
        return import_module("cloudpickle")
    except ImportError:
        return None


def _dumps(what: Any, name: str) -> bytes:
    cloudpickle = _pickler()
    try:
        data: bytes = (cloudpickle or pickle).dumps(what)
        return data
    except Exception as error:
        if cloudpickle:
            raise ValidationException(f"{name} cannot be pickled: {error}") from error
        raise MissingPackageException(
            "cloudpickle", f"{name} cannot be pickled ({error})") from error


def _pickle_function(fn: Callable[..., Any]) -> _Pickled:
    try:
        known = _cache.get(fn)
    except TypeError:  # no weak references, or no hash
        known = None
    if known is not None:
        return known
    name = getattr(fn, "__qualname__", repr(fn))
    if _pickler() is None and getattr(fn, "__module__", None) == "__main__":
        raise MissingPackageException(
            "cloudpickle", f"the function `{name}` of the script itself cannot be sent")
    pickled = _Pickled(_dumps(fn, f"the function `{name}`"))
    try:
        _cache[fn] = pickled
    except TypeError:
        pass
    return pickled


class PythonFunction(Task):
    """A task that calls a function in a new interpreter; the result is dropped."""

    def __init__(
        self,
        task_id: TaskId,
        fn: Callable[..., Any],
        *,
        args: Sequence[Any] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        **options: Any,
    ) -> None:
        super().__init__(task_id, **options)
        if inspect.isasyncgenfunction(fn) or inspect.isasyncgen(fn):
            raise TypeError("an async generator cannot be a task")
        if not callable(fn):
            raise TypeError(f"{fn!r} is no function")
        if isinstance(args, (str, bytes)) or not hasattr(args, "__iter__"):
            raise ValidationException(f"args have to be a sequence, not {args!r}")
        if kwargs is not None and not isinstance(kwargs, Mapping):
            raise ValidationException(f"kwargs have to be a dictionary, not {kwargs!r}")
        self.fn = fn
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})
        self.name = self.name or f"{getattr(fn, '__name__', type(fn).__name__)}/{task_id}"

    def _build(self, client_env: PythonEnv) -> TaskDescription:
        call = (_pickle_function(self.fn), self.args, self.kwargs)
        data = _dumps(call, f"the arguments of task `{self.label}`")
        return self._describe(list(client_env.command()), pickle.dumps(_VERSION) + data, True)


# ---- inside of a task ---------------------------------------------------------------


def _message(text: str, end: str) -> bytes:
    """The text, or as much of it as has room: `end`, and what is before that."""
    whole = text.encode(errors="backslashreplace")
    if len(whole) <= _ERROR_BYTES_MAX:
        return whole
    shown = whole[-_ERROR_BYTES_MAX:]
    last = end.encode(errors="backslashreplace")
    if len(last) >= len(shown):
        return last
    return b"[...]\n" + shown[shown.index(b"\n") + 1:]


def _report(error: BaseException, versions: str) -> None:
    """Makes the exception the error message of the task."""
    text = traceback.format_exc() + versions
    end = "".join(traceback.format_exception_only(type(error), error)) + versions
    path = os.environ.get("HQ_ERROR_FILENAME")
    if path:
        try:
            with open(path, "wb") as file:
                file.write(_message(text, end))
        except OSError as failure:
            print(f"cannot write {path}: {failure}", file=sys.stderr)
    print(text, file=sys.stderr, flush=True)


def _check_version(version: str) -> str:
    """What is told of a function whose code another Python may not understand."""
    if version == _VERSION:
        return ""
    text = f"The task was submitted by Python {version} and runs in Python {_VERSION}"
    _logger.warning(text)
    return text + "\n"


def _start_logging() -> None:
    level = _LEVELS.get(os.environ.get("HQ_PYLOG", "INFO").upper(), logging.INFO)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s:%(name)s: %(message)s")


def task_main() -> None:
    """What a function task runs: calls what comes through standard input."""
    versions = ""
    try:
        _start_logging()
        versions = _check_version(pickle.load(sys.stdin.buffer))
        fn, args, kwargs = pickle.load(sys.stdin.buffer)
        result = fn(*args, **kwargs)
        if inspect.iscoroutine(result):
            import asyncio

            asyncio.run(result)
        sys.stdout.flush()
    except BaseException as error:
        _report(error, versions)
        sys.exit(1)
