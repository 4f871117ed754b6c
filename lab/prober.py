"""What the network sees of a guest: one request at a time, a steady stream of probes, or a connection that lasts."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from lab.errors import LabError
from lab.namespaces import Namespaces
from lab.paths import PYTHON, SOURCES

GUEST_PORT = 7000
OTHER_PORT = 7001  # the same services once more
INTERVAL_MS = 10
CONNECTION_INTERVAL_MS = 20
STOP_TIMEOUT_S = 30.0
_SCRIPT = (PYTHON, "-I", "-S", str(SOURCES / "udp.py"))
_TCP_SCRIPT = (PYTHON, "-I", "-S", str(SOURCES / "tcp.py"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A guest's answer to one probe."""

    boot_id: str  # drawn at boot: another one means another boot, or another guest
    counter: int  # probes answered since the boot
    uptime_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What a stream of probes met."""

    sent: int
    lost: int
    duplicates: int
    longest_gap_ms: int
    boot_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionReport:
    """What a TCP connection went through. It survived if all came back and it ended in no error."""

    sent: int
    echoed: int
    longest_stall_ms: int
    error: str

    @property
    def has_survived(self) -> bool:
        return not self.error and self.sent == self.echoed


def ask(prober: Namespaces, address: str, request: str, *, timeout_s: float) -> str:
    """Return the guest's answer; raises LabError when it is an error or does not come."""
    argv = [*_SCRIPT, "ask", address, str(GUEST_PORT), str(timeout_s), request]
    done = prober.run(argv, check=False, timeout_s=timeout_s + 10)
    reply = done.stdout.removesuffix("\n")
    if done.returncode != 0:
        raise LabError(
            f"the guest at {address} did not answer {request!r} in {timeout_s:g} s", hint=done.stderr
        )
    if reply.startswith("error: "):
        raise LabError(f"the guest at {address} answered {request!r} with {reply!r}")
    return reply


def probe(prober: Namespaces, address: str, *, timeout_s: float) -> Probe:
    boot_id, counter, uptime_ms = ask(prober, address, "probe", timeout_s=timeout_s).split()
    return Probe(boot_id=boot_id, counter=int(counter), uptime_ms=int(uptime_ms))


class _Watcher:
    """A script in the prober's namespace that runs while the `with` block does, and then tells what it saw."""

    def __init__(self, prober: Namespaces, argv: Sequence[str], *, greeting: str) -> None:
        self._argv = prober.command(argv)
        self._greeting = greeting
        self._process: subprocess.Popen[str] | None = None
        self._told: dict[str, Any] | None = None

    @property
    def told(self) -> dict[str, Any]:
        if self._told is None:
            raise LabError("it is still being watched: leave the `with` block first")
        return self._told

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != f"{self._greeting}\n":
            self._process.communicate(timeout=STOP_TIMEOUT_S)
            raise LabError("the prober did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        output, _ = self._process.communicate(timeout=STOP_TIMEOUT_S)  # closes its stdin: it stops
        self._told = json.loads(output)


class ProbeStream(_Watcher):
    """Probes a guest every 10 ms, in a process of its own, while the `with` block runs; then has a report."""

    def __init__(
        self, prober: Namespaces, address: str, *, port: int = GUEST_PORT, interval_ms: int = INTERVAL_MS
    ) -> None:
        super().__init__(
            prober, [*_SCRIPT, "watch", address, str(port), str(interval_ms)], greeting="watching"
        )

    @property
    def report(self) -> ProbeReport:
        return ProbeReport(**{**self.told, "boot_ids": tuple(self.told["boot_ids"])})


class Connection(_Watcher):
    """A TCP connection to a guest, with data both ways every 20 ms, while the `with` block runs; then has a report."""

    def __init__(
        self,
        prober: Namespaces,
        address: str,
        *,
        port: int = GUEST_PORT,
        interval_ms: int = CONNECTION_INTERVAL_MS,
    ) -> None:
        super().__init__(prober, [*_TCP_SCRIPT, address, str(port), str(interval_ms)], greeting="connected")

    @property
    def report(self) -> ConnectionReport:
        return ConnectionReport(**self.told)
