"""Jobs for hq from Python.

Names are imported when they are used: each task that calls a function imports this
package, and needs none of them.
"""
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client as Client
    from .cluster import LocalCluster as LocalCluster
    from .job import Job as Job

__all__ = ["Client", "Job", "LocalCluster", "get_version"]

_PLACES = {"Client": "client", "Job": "job", "LocalCluster": "cluster"}


def get_version() -> str:
    """The version of hq, as `hq --version` tells it."""
    from .ffi.program import get_hq_version

    return get_hq_version()


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("." + _PLACES[name], __name__), name)
    globals()[name] = value
    return value
