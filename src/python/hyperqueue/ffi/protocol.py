"""What a job is when it is sent."""
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import Dict, List, Mapping, Optional, Sequence, Union

from ..output import StdioDef
from ..validation import ValidationException, validate_int

ResourceAmount = Union[int, float, str]


def _amount(name: object, amount: ResourceAmount) -> ResourceAmount:
    """The amount as a plain number or text."""
    if not isinstance(name, str):
        raise ValidationException(f"names of resources are strings, not {name!r}")
    if isinstance(amount, str):
        return amount
    if isinstance(amount, float):
        return float(amount)
    try:
        return validate_int(amount, name)
    except ValidationException:
        raise ValidationException(f"the amount of `{name}` has to be a number or a string, "
                                  f"not {amount!r}") from None


@dataclass(init=False)
class ResourceRequest:
    """What a task needs. Amounts are numbers or texts such as "4 compact!" and "all".

    `n_nodes` above 0: so many whole workers. `min_time`: start only on workers that live
    at least that long. `weight`: preference among tasks of one priority.
    """

    n_nodes: int
    resources: Dict[str, ResourceAmount]
    min_time: Optional[timedelta]
    weight: Optional[float]

    def __init__(
        self,
        *,
        n_nodes: int = 0,
        cpus: ResourceAmount = 1,
        resources: Optional[Mapping[str, ResourceAmount]] = None,
        min_time: Optional[timedelta] = None,
        weight: Optional[float] = None,
    ) -> None:
        self.n_nodes = validate_int(n_nodes, "n_nodes")
        if not 0 <= self.n_nodes < 2**32:
            raise ValidationException("n_nodes has to be from 0 to 4294967295")
        if resources is not None and not isinstance(resources, Mapping):
            raise ValidationException(f"resources have to be a dictionary, not {resources!r}")
        if min_time is not None and not isinstance(min_time, timedelta):
            raise ValidationException("min_time has to be a timedelta")
        if weight is not None:
            try:
                weight = float(weight)
            except (TypeError, ValueError):
                weight = -1.0
            if not 0 < weight < inf:
                raise ValidationException("weight has to be a positive number")
        self.resources = {name: _amount(name, amount) for name, amount
                          in {**(resources or {}), "cpus": cpus}.items()}
        self.min_time = min_time
        self.weight = weight


def request_sequence(
    resources: Union[ResourceRequest, Sequence[ResourceRequest], None],
) -> List[ResourceRequest]:
    """As a list of variants; empty: the default."""
    if resources is None:
        return []
    variants = [resources] if isinstance(resources, ResourceRequest) else list(resources)
    for variant in variants:
        if not isinstance(variant, ResourceRequest):
            raise ValidationException(f"resources have to be requests, got {variant!r}")
    return variants


@dataclass
class TaskDescription:
    id: int
    args: List[str]
    cwd: Optional[str] = None
    stdout: Optional[StdioDef] = None
    stderr: Optional[StdioDef] = None
    stdin: Optional[bytes] = None
    env: Dict[str, str] = field(default_factory=dict)
    dependencies: Sequence[int] = ()
    task_dir: bool = False
    priority: int = 0
    resource_request: Sequence[ResourceRequest] = ()
    crash_limit: Union[int, str, None] = None
    time_limit: Optional[timedelta] = None
    pin: Optional[str] = None


@dataclass
class JobDescription:
    name: Optional[str]
    tasks: List[TaskDescription]
    max_fails: Optional[int] = 1
    stream: Optional[str] = None
