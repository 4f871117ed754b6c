"""Since when libvirtd has answered without a break: what the time of the drain is counted from (rule 10)."""

import time
from collections.abc import Callable

from compute_agent.hypervisor.driver import EventKind, HypervisorEvent


class Liveness:
    """Counts from the agent's start, and anew from each lost connection."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    @property
    def answering_for_s(self) -> float:
        """0 while libvirtd is away."""
        return 0.0 if self._since is None else self._clock() - self._since

    def on_event(self, event: HypervisorEvent) -> None:
        match event.kind:
            case EventKind.DISCONNECTED:
                self._since = None
            case EventKind.RELIST if self._since is None:
                self._since = self._clock()
            case _:
                pass

    def connection_broke(self) -> None:
        """A connection of its own broke, as that of a migration's call does, and others may have held."""
        if self._since is not None:
            self._since = self._clock()
