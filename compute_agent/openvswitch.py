"""What Open vSwitch on this host knows: through which of its ports a MAC is reached. It is asked, and never changed."""

import re
from collections.abc import Callable
from typing import Protocol

from compute_agent import subprocesses
from compute_agent.errors import CommandError

TIMEOUT_S = 5.0
_LOCAL = "LOCAL"  # the bridge's own port, of its name

Appctl = Callable[..., str]  # words of the command; its output

# " port  VLAN  MAC                Age" and then "    2     0  52:54:00:4c:00:64    1" (ovs-appctl fdb/show).
_ENTRY = re.compile(r"^\s*(?P<port>\S+)\s+\d+\s+(?P<mac>[0-9a-f:]{17})\s")
# "  br-data:" and then "    vnet0 2/4: (system)" (ovs-appctl dpif/show).
_BRIDGE = re.compile(r"^ {2}(?P<bridge>\S+):\s*$")
_PORT = re.compile(r"^ {4}(?P<name>\S+) (?P<number>\d+)/\S+ \(")


class OpenVSwitch(Protocol):
    """See `HostOpenVSwitch`; the tests' fake is the other."""

    def port_of(self, mac: str, *, bridge: str) -> str | None:
        """Name of the port that the bridge sends to this MAC through; None: it floods. Raises CommandError."""


class HostOpenVSwitch:
    def __init__(self, appctl: Appctl | None = None) -> None:
        self._appctl = appctl or _appctl

    def port_of(self, mac: str, *, bridge: str) -> str | None:
        number = _number_of(mac, self._appctl("fdb/show", bridge))
        if number is None or number == _LOCAL:
            return bridge if number else None
        # A port that went since then is no way to anybody.
        return _names(self._appctl("dpif/show"), bridge=bridge).get(number)


def _appctl(*words: str) -> str:
    finished = subprocesses.run_command(
        ("ovs-appctl", f"--timeout={TIMEOUT_S:.0f}", *words), timeout_s=2 * TIMEOUT_S
    )
    if finished.code != 0:
        raise CommandError(program="ovs-appctl", reason=finished.last_line)
    return finished.stdout


def _number_of(mac: str, table: str) -> str | None:
    entries = filter(None, map(_ENTRY.match, table.splitlines()))
    return next((entry["port"] for entry in entries if entry["mac"] == mac.lower()), None)


def _names(shown: str, *, bridge: str) -> dict[str, str]:
    """By number, the ports of this bridge."""
    found: dict[str, str] = {}
    current = ""
    for line in shown.splitlines():
        if (heading := _BRIDGE.match(line)) is not None:
            current = heading["bridge"]
        elif current == bridge and (port := _PORT.match(line)) is not None:
            found[port["number"]] = port["name"]
    return found
