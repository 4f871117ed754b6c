"""Ports of the range for migrations that the dest holds open for a moment, so that the source can try to reach them.

One at each end of the range, so that a firewall that opens only a part of it is noticed. They are closed when the dest
prepares itself, refuses, or is asked to forget; and by themselves. A port that we hold is none that libvirt would take.
"""

import threading
import time
from collections.abc import Callable, Iterable

from compute_agent.network import Listener, Network

HELD_MAX_S = 60.0
TRIES_MAX = 32  # at each end; so many migrations arrive at the same time nowhere


class Ports:
    """Those that are held, and whom they are held for: all share the same two, so that libvirt finds the others free."""

    def __init__(
        self,
        network: Network,
        *,
        first: int,
        last: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._range = range(first, last + 1)
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}  # by owner
        self._open: dict[int, Listener] = {}  # by port

    def hold(self, owner: str) -> tuple[int, ...]:
        """Hold a port at each end of the range open for this owner, too; none where others have taken all."""
        with self._lock:
            if not self._open:
                ends = (self._opened(self._range), self._opened(reversed(self._range)))
                self._open = dict(filter(None, ends))
            if self._open:
                self._since[owner] = self._clock()
            return tuple(self._open)

    def release(self, owner: str) -> None:
        """Close them if nobody else needs them; nothing happens if there are none."""
        with self._lock:
            self._since.pop(owner, None)
            if self._since:
                return
            listeners, self._open = tuple(self._open.values()), {}
            for listener in listeners:
                listener.close()

    def release_forgotten(self) -> None:
        """Close those that nobody came back for."""
        with self._lock:
            old = [owner for owner, since in self._since.items() if self._clock() - since > HELD_MAX_S]
        for owner in old:
            self.release(owner)

    def release_all(self) -> None:
        with self._lock:
            owners = list(self._since)
        for owner in owners:
            self.release(owner)

    def _opened(self, ports: Iterable[int]) -> tuple[int, Listener] | None:
        for _, port in zip(range(TRIES_MAX), ports, strict=False):
            listener = self._network.listen(port)
            if listener is not None:
                return port, listener
        return None
