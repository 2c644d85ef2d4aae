"""Writes a job as a job file (TOML), the form in which `hq` takes graphs of tasks."""
import base64
import json
import os
from datetime import timedelta
from typing import Any, Dict, Iterable, List, Optional

from ..output import StdioDef
from ..validation import ValidationException
from .protocol import JobDescription, ResourceRequest, TaskDescription


def _text(value: Any) -> str:
    """A string: JSON writes all but one character as TOML reads it."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _texts(values: Iterable[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"


def _table(items: Dict[str, str]) -> str:
    """An inline table of values that are written already."""
    return "{" + ", ".join(f"{_text(key)} = {value}" for key, value in items.items()) + "}"


def _duration(value: timedelta, what: str) -> str:
    us = value // timedelta(microseconds=1)
    if us < 0:
        raise ValidationException(f"{what} cannot be negative")
    return f'"{us}us"'


def _amount(value: Any) -> str:
    return _text(value) if isinstance(value, str) else repr(value)


def _stdio(stdio: Optional[StdioDef], channel: str) -> Optional[str]:
    if stdio is None:
        return '"none"'
    if stdio.path is None and stdio.on_close == "none":
        return None
    path = stdio.path or "%{CWD}/job-%{JOB_ID}/%{TASK_ID}." + channel
    return _table({"path": _text(os.fspath(path)), "on_close": _text(stdio.on_close)})


def _request(request: ResourceRequest) -> str:
    items = {"resources": _table({name: _amount(amount)
                                  for name, amount in request.resources.items()})}
    if request.n_nodes:
        items["n_nodes"] = repr(request.n_nodes)
    if request.min_time is not None:
        items["time_request"] = _duration(request.min_time, "min_time")
    if request.weight is not None:
        items["weight"] = repr(request.weight)
    return _table(items)


def _task(task: TaskDescription, out: List[str]) -> None:
    out += ["[[task]]", f"id = {task.id}", f"command = {_texts(task.args)}"]
    for channel in ("stdout", "stderr"):
        stdio = _stdio(getattr(task, channel), channel)
        if stdio is not None:
            out.append(f"{channel} = {stdio}")
    if task.env:
        variables = _table({name: _text(value) for name, value in task.env.items()})
        out.append(f"env = {variables}")
    if task.cwd is not None:
        out.append(f"cwd = {_text(task.cwd)}")
    if task.stdin is not None:
        out.append(f'stdin = {{base64 = "{base64.b64encode(task.stdin).decode()}"}}')
    if task.dependencies:
        out.append(f"deps = {list(task.dependencies)}")
    if task.task_dir:
        out.append("task_dir = true")
    if task.priority:
        out.append(f"priority = {task.priority}")
    if task.crash_limit is not None:
        out.append(f"crash_limit = {_amount(task.crash_limit)}")
    if task.time_limit is not None:
        out.append(f"time_limit = {_duration(task.time_limit, 'time_limit')}")
    if task.pin is not None:
        out.append(f"pin = {_text(task.pin)}")
    if task.resource_request:
        out.append(f"request = [{', '.join(map(_request, task.resource_request))}]")


def job_file(job: JobDescription) -> bytes:
    out = [f"name = {_text(job.name)}"]
    if job.max_fails is not None:
        out.append(f"max_fails = {job.max_fails}")
    if job.stream is not None:
        out.append(f"stream = {_text(job.stream)}")
    for task in job.tasks:
        _task(task, out)
    out.append("")
    try:
        return "\n".join(out).encode()
    except UnicodeEncodeError as error:
        part = error.object[error.start:error.end]
        raise ValidationException(
            f"job files hold Unicode text, which {part!r} is not; only stdin takes any "
            "bytes") from error
