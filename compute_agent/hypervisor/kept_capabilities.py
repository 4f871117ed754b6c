"""A host's capabilities, kept for some seconds: one examination asks for them half a dozen times.

libvirtd looks at every QEMU binary before it answers, which may take seconds; it would then be asked so many times over.
"""

import time
import weakref
from collections.abc import Callable
from typing import Any

from common import concurrency
from compute_agent.hypervisor import capabilities
from compute_agent.hypervisor.capabilities import Capabilities

KEPT_S = 5.0


class KeptCapabilities:
    """Those of one libvirtd, read through whichever connection is open. For native threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = concurrency.native_rlock()
        self._look: _Look | None = None

    def read(self, connection: Any) -> Capabilities:
        """Raises libvirt's own errors. A new connection asks anew: it may lead to a libvirtd of another version."""
        with self._lock:
            if self._look is None or not self._look.is_of(connection):
                self._look = _Look(connection, self._clock)
            look = self._look
        return look.read(connection)


class _Look:
    """By one connection. Who comes while it is asked waits for the same answer; another connection's is not held up."""

    def __init__(self, connection: Any, clock: Callable[[], float]) -> None:
        # Not to keep it open: whoever drops the last reference closes it, which may block.
        self._connection = weakref.ref(connection)
        self._clock = clock
        self._lock = concurrency.native_rlock()
        self._found: Capabilities | None = None
        self._found_at = 0.0

    def is_of(self, connection: Any) -> bool:
        return self._connection() is connection

    def read(self, connection: Any) -> Capabilities:
        with self._lock:
            if self._found is None or self._clock() - self._found_at > KEPT_S:
                self._found = capabilities.read(connection.getCapabilities())
                self._found_at = self._clock()
            return self._found
