"""Ports of the range for migrations that the dest holds open for a moment, so that the source can try to reach them.

One at each end of the range, so that a firewall that opens only a part of it is noticed. They are closed when the dest
prepares itself, refuses, or is asked to forget; and by themselves. A port that we hold is none that libvirt would take.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from compute_agent.network import Listener, Network

HELD_MAX_S = 60.0
TRIES_MAX = 32  # at each end; so many migrations arrive at the same time nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    since: float
    listeners: tuple[Listener, ...]


class Ports:
    """Those that are held, by whom they are held for."""

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
        self._held: dict[str, _Held] = {}

    def hold(self, owner: str) -> tuple[int, ...]:
        """Open a free port at each end of the range; none where all are taken."""
        self.release(owner)
        opened = dict(filter(None, (self._open(self._range), self._open(reversed(self._range)))))
        with self._lock:
            self._held[owner] = _Held(since=self._clock(), listeners=tuple(opened.values()))
        return tuple(opened)

    def release(self, owner: str) -> None:
        """Close them; nothing happens if there are none."""
        with self._lock:
            held = self._held.pop(owner, None)
        for listener in held.listeners if held is not None else ():
            listener.close()

    def release_forgotten(self) -> None:
        """Close those that nobody came back for."""
        with self._lock:
            old = [owner for owner, held in self._held.items() if self._clock() - held.since > HELD_MAX_S]
        for owner in old:
            self.release(owner)

    def release_all(self) -> None:
        with self._lock:
            owners = list(self._held)
        for owner in owners:
            self.release(owner)

    def _open(self, ports: Iterable[int]) -> tuple[int, Listener] | None:
        for _, port in zip(range(TRIES_MAX), ports, strict=False):
            listener = self._network.listen(port)
            if listener is not None:
                return port, listener
        return None
