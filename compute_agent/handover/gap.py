"""On the source: how long the guest is not to be reached, from its pause here until it answers from the dest.

Both moments are read from this host's clock. Before the pause the guest's addresses are heard from what it sends, unless
they are declared; a guest that says nothing is not asked. After the pause it is asked by ARP every 20 ms.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from common import concurrency
from common.errors import LimosaError
from compute_agent.errors import LinkError
from compute_agent.frames import Frames
from compute_agent.handover.ports import Port
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent

HEAR_S = 0.5  # in one go; a guest that sends is heard at once
HEAR_PAUSE_S = 1.0
ASK_S = 0.02
CALL_MAX_S = 7 * 86_400.0  # no call lasts so long: `measuring` ends the wait
ASK_MAX_S = 10.0  # after the pause: then it is not a gap any more
KEPT_MAX = 64  # departures

MS_PER_S = 1000

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found out of one departure so far."""

    gap_ms: int | None = None  # the longest of its interfaces; None: not measured, or not yet
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by MAC


class _Watch:
    """One departure."""

    def __init__(self, instance: str, addresses: Mapping[str, tuple[str, ...]]) -> None:
        self.instance = instance
        self.addresses = {mac: known for mac, known in addresses.items() if known}
        self.paused_at_s: float | None = None
        self.gaps_s: list[float] = []
        self.is_over = False  # the call has returned, the guest runs here, or the next departure has begun
        self.turn = threading.Event()  # it is paused, or over

    @property
    def measured(self) -> Measured:
        gap_s = max(self.gaps_s, default=None)
        gap_ms = None if gap_s is None else round(gap_s * MS_PER_S)
        return Measured(gap_ms=gap_ms, addresses=dict(self.addresses))

    def end(self) -> None:
        self.is_over = True
        self.turn.set()


class Gaps:
    """The departures from this host. All of it is in memory: after a restart of the agent nothing was measured."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._lock = threading.Lock()
        self._watches: dict[str, _Watch] = {}  # by migration, oldest first

    def on_event(self, event: HypervisorEvent) -> None:
        """Of the hub: the guest's pause begins the gap, and its going on here ends the matter."""
        if event.kind not in (EventKind.SUSPENDED, EventKind.RESUMED):
            return
        now_s = time.monotonic()
        with self._lock:
            watches = [watch for watch in self._watches.values() if watch.instance == event.uuid]
        for watch in watches:
            if event.kind is EventKind.RESUMED:
                watch.paused_at_s = None
            elif not watch.is_over:
                watch.paused_at_s = now_s
                watch.turn.set()

    @contextmanager
    def measuring(
        self,
        migration: str,
        instance: str,
        find_ports: Callable[[], Sequence[Port]],
        *,
        addresses: Mapping[str, tuple[str, ...]],
    ) -> Iterator[None]:
        """Around the call, which is not kept waiting.

        A pause that begins inside the block is followed to its end after it.
        """
        watch = _Watch(instance, addresses)
        with self._lock:
            self._watches.pop(migration, None)
            self._watches[migration] = watch
            while len(self._watches) > KEPT_MAX:
                self._watches.pop(next(iter(self._watches))).end()
        concurrency.spawn(self._follow_all, watch, find_ports)
        try:
            yield
        finally:
            watch.end()

    def measured(self, migration: str) -> Measured:
        """What was found out so far. It is kept for whoever asks again, until others need its place."""
        with self._lock:
            watch = self._watches.get(migration)
        return Measured() if watch is None else watch.measured

    # ---- beside the call

    def _follow_all(self, watch: _Watch, find_ports: Callable[[], Sequence[Port]]) -> None:
        try:
            ports = find_ports()
        except LimosaError as error:
            LOG.warning("the gap is not measured: %s", error)
            return
        for port in ports:
            concurrency.spawn(self._follow, watch, port)

    def _follow(self, watch: _Watch, port: Port) -> None:
        try:
            self._hear(watch, port)
            watch.turn.wait(CALL_MAX_S)
            self._ask(watch, port)
        except LinkError:
            pass  # its tap went with its QEMU, or the bridge is gone: nothing was measured

    def _hear(self, watch: _Watch, port: Port) -> None:
        while port.mac not in watch.addresses and not watch.turn.is_set():
            heard = self._frames.overhear(port.mac, device=port.tap, timeout_s=HEAR_S)
            if heard:
                watch.addresses[port.mac] = heard
            else:
                watch.turn.wait(HEAR_PAUSE_S)

    def _ask(self, watch: _Watch, port: Port) -> None:
        addresses = watch.addresses.get(port.mac, ())
        while addresses and (paused_at_s := watch.paused_at_s) is not None:
            if time.monotonic() - paused_at_s > ASK_MAX_S:
                return
            has_answered = self._frames.ask(port.mac, addresses, device=port.bridge, timeout_s=ASK_S)
            # Another pause, or none: it has gone on here meanwhile, and answered from here.
            if has_answered and watch.paused_at_s == paused_at_s:
                watch.gaps_s.append(time.monotonic() - paused_at_s)
                return
