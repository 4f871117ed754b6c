"""On the dest: tell the network that a guest is here now, at once and then with growing pauses.

QEMU announces the guest as well, through its tap and only while it starts. A frame on the bridge device reaches all other
ports, and does not correct what this very bridge believes of the MAC: that is set first.
"""

import threading
from collections.abc import Callable, Sequence

from common import concurrency
from compute_agent.errors import CommandError, LinkError
from compute_agent.frames import Frames
from compute_agent.handover.ports import Port, Switches

REPEATS_S = (0.05, 0.1, 0.2, 0.4, 0.8)  # pauses: a frame may be lost, and a switch may be slow to open a port
FIRST_TRIES = (
    3  # while this host's bridge is not seen to send to the tap: a frame may still come from elsewhere
)


class Announcer:
    """Announces guests of this host until they leave it."""

    def __init__(
        self, switches: Switches, frames: Frames, *, sleep: Callable[[float], None] = concurrency.sleep
    ) -> None:
        self._switches = switches
        self._frames = frames
        self._sleep = sleep
        self._lock = threading.Lock()
        self._current: dict[str, object] = {}  # by instance: whose repeats go on

    def announce(self, instance: str, ports: Sequence[Port]) -> tuple[str, ...]:
        """Announce it and go on doing so; returns in sentences which bridge does not send to the guest's tap."""
        problems = tuple(filter(None, (self._announce_surely(port) for port in ports)))
        mark = object()
        with self._lock:
            self._current[instance] = mark
        concurrency.spawn(self._repeat, instance, tuple(ports), mark)
        return problems

    def stop(self, instance: str) -> None:
        """The guest leaves: one more announcement from here would steal its MAC from the next host."""
        with self._lock:
            self._current.pop(instance, None)

    def _announce_surely(self, port: Port) -> str:
        """Why not, in a sentence; empty: this host's bridge sends to the guest."""
        problem = ""
        for pause_s in (0.0, *REPEATS_S)[:FIRST_TRIES]:
            self._sleep(pause_s)
            problem = self._announce(port)
            if not problem:
                break
        return problem

    def _announce(self, port: Port) -> str:
        try:
            self._tell(port)
            through = self._switches.sends_through(port)
        except (LinkError, CommandError) as error:
            return f"{port.mac} could not be announced on {port.bridge}: {error}"
        if through == port.tap:
            return ""
        return f"{port.bridge} sends what is for {port.mac} to {through or 'all its ports'}, and not to {port.tap}"

    def _repeat(self, instance: str, ports: Sequence[Port], mark: object) -> None:
        try:
            for pause_s in REPEATS_S:
                self._sleep(pause_s)
                for port in ports:
                    if not self._is_current(instance, mark):
                        return
                    self._tell(port)
        except LinkError:
            pass  # its tap is gone, or its bridge: the guest is not here any more
        finally:
            with self._lock:
                if self._current.get(instance) is mark:
                    del self._current[instance]

    def _is_current(self, instance: str, mark: object) -> bool:
        with self._lock:
            return self._current.get(instance) is mark

    def _tell(self, port: Port) -> None:
        if port.is_open_vswitch:
            return  # QEMU has; a frame from the bridge's own port would have it learn that the guest is there
        self._switches.links.learn(port.mac, port=port.tap)
        self._frames.announce(port.mac, device=port.bridge)
