"""The frames of a host in memory: what it sent, who answers, and what is heard."""

import threading

from compute_agent.errors import LinkError


class FakeFrames:
    """See `compute_agent.frames.Frames`. Tests set who `answers` and what is `heard`."""

    def __init__(self) -> None:
        self.announced: list[tuple[str, str]] = []  # (MAC, device)
        self.asked: list[tuple[str, tuple[str, ...], str]] = []  # (MAC, addresses, device)
        self.answers: set[str] = set()  # MACs
        self.heard: dict[str, tuple[str, ...]] = {}  # by MAC
        self.problem = ""
        self.has_asked = threading.Event()
        self.has_listened = threading.Event()

    def announce(self, mac: str, *, device: str) -> None:
        self._fail()
        self.announced.append((mac, device))

    def ask(self, mac: str, addresses: tuple[str, ...], *, device: str, timeout_s: float) -> bool:
        self._fail()
        self.asked.append((mac, addresses, device))
        self.has_asked.set()
        return mac in self.answers

    def overhear(self, mac: str, *, device: str, timeout_s: float) -> tuple[str, ...]:
        self._fail()
        self.has_listened.set()
        return self.heard.get(mac, ())

    def _fail(self) -> None:
        if self.problem:
            raise LinkError(reason=self.problem)
