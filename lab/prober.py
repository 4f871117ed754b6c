"""What the network sees of a guest: one request at a time, or a steady stream of probes."""

import json
import subprocess
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lab.errors import LabError
from lab.namespaces import Namespaces
from lab.paths import PYTHON, SOURCES

GUEST_PORT = 7000
INTERVAL_MS = 10
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
_SCRIPT = (PYTHON, "-I", "-S", str(SOURCES / "udp.py"))


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


class ProbeStream:
    """Probes a guest every 10 ms, in a process of its own, while the `with` block runs; then has a report."""

    def __init__(self, prober: Namespaces, address: str, *, interval_ms: int = INTERVAL_MS) -> None:
        self._argv = prober.command([*_SCRIPT, "watch", address, str(GUEST_PORT), str(interval_ms)])
        self._process: subprocess.Popen[str] | None = None
        self._report: ProbeReport | None = None

    @property
    def report(self) -> ProbeReport:
        if self._report is None:
            raise LabError("the probes are still on their way: leave the `with` block first")
        return self._report

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "watching\n":
            raise LabError("the prober did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        output, _ = self._process.communicate(timeout=STOP_TIMEOUT_S)  # closes its stdin: it stops
        fields = json.loads(output)
        self._report = ProbeReport(**{**fields, "boot_ids": tuple(fields["boot_ids"])})
