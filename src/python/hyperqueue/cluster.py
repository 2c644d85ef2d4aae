"""A server and workers on this machine, for trying things out and for tests."""
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Optional, Type

from .client import Client
from .common import GenericPath
from .ffi.cluster import Cluster


@dataclass
class WorkerConfig:
    """`cores`: how many CPUs the worker offers; None: as many as this process may use."""

    cores: Optional[int] = None


class LocalCluster:
    """A server on this machine; stopped at the end of the `with` block, and when this
    process ends.

    `server_dir`: its directory, else a temporary one, which is removed at the end. A
    worker is started at once if there is a `worker_config`.
    """

    def __init__(self, server_dir: Optional[GenericPath] = None,
                 worker_config: Optional[WorkerConfig] = None) -> None:
        self.cluster = Cluster(server_dir)
        try:
            if worker_config is not None:
                self.start_worker(worker_config)
        except BaseException:
            self.stop()
            raise

    @property
    def server_dir(self) -> str:
        return self.cluster.server_dir

    def start_worker(self, config: Optional[WorkerConfig] = None) -> None:
        """Adds a worker and returns when the server knows it."""
        self.cluster.add_worker((config or WorkerConfig()).cores)

    def client(self, **client_args: Any) -> Client:
        """A client of this cluster; the arguments are those of `Client`."""
        return Client(self.server_dir, **client_args)

    def stop(self) -> None:
        """Stops the server and with it the workers and what they run."""
        self.cluster.stop()

    def __enter__(self) -> "LocalCluster":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if not self.cluster.stopped:
            self.stop()
