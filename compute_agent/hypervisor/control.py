"""The connection for short calls, observation and control: opened when needed, and again after it broke.

libvirtd stops reading a connection that has five requests open (max_client_requests), keepalives included, and then
takes it for dead. So fewer calls than that share this one; whatever takes long has a connection of its own.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from compute_agent.hypervisor.connection import Connection
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError

CONCURRENT_CALLS_MAX = 4  # of libvirtd's five

T = TypeVar("T")


class ControlConnection:
    """Calls `function(virConnect)` through a connection that works, if there can be one."""

    def __init__(self, uri: str, *, timeout_s: float) -> None:
        self._uri = uri
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(CONCURRENT_CALLS_MAX)
        self._connection: Connection | None = None
        self._answered_at = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since libvirtd answered here."""
        return time.monotonic() - self._answered_at

    def call(self, function: Callable[[Any], T], *, uuid: str = "", timeout_s: float | None = None) -> T:
        """See `Connection.call`. `function` runs in a native thread: it must use no lock and no bus of ours."""
        timeout_s = timeout_s or self._timeout_s
        if not self._slots.acquire(timeout=timeout_s):
            raise HypervisorUnreachableError(
                uri=self._uri, reason=f"no earlier call ended within {timeout_s:g} s"
            )
        try:
            connection = self._connected()
            try:
                return connection.call(function, timeout_s=timeout_s, uuid=uuid)
            finally:
                self._answered_at = max(self._answered_at, connection.answered_at)
        finally:
            self._slots.release()

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is not None and not self._connection.is_alive:
                self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = Connection.open(self._uri, timeout_s=self._timeout_s)
            return self._connection
