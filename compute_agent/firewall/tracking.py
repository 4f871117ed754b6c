"""This host's connection tracking, by the `conntrack` tool: what it knows of given addresses, read, replaced and removed."""

from collections.abc import Collection, Sequence
from typing import Protocol

from common.connections import Connection
from compute_agent.errors import CommandError
from compute_agent.firewall import entries
from compute_agent.firewall.driver import FirewallError
from compute_agent.subprocesses import run_command

CONNTRACK = "conntrack"
TIMEOUT_S = 20.0  # 10,000 entries take 0.3 s
CONNECTIONS_MAX = 20_000  # of one guest; further ones are left to be found again by their next packet
OUTPUT_MAX_CHARS = CONNECTIONS_MAX * 250


class Tracking(Protocol):
    """See `ConnectionTracking`; the tests' fake is the other. Every method raises FirewallError."""

    def of(self, addresses: Collection[str]) -> tuple[Connection, ...]:
        """All TCP and UDP connections from or to these addresses."""

    def put(self, connections: Sequence[Connection]) -> None:
        """Know them as they are given, whatever was known of them."""

    def remove(self, connections: Sequence[Connection]) -> None:
        """Know nothing of them; one that is not known is no error."""


class ConnectionTracking:
    """Of the network namespace of this process."""

    def of(self, addresses: Collection[str]) -> tuple[Connection, ...]:
        found: dict[Connection, None] = {}
        for address in sorted(addresses):
            family = "ipv6" if ":" in address else "ipv4"
            for side in ("-s", "-d"):
                listed = self._run("-L", "-f", family, side, address, "-o", "save")
                found.update(dict.fromkeys(entries.parse(listed)))
        return tuple(found)[:CONNECTIONS_MAX]

    def put(self, connections: Sequence[Connection]) -> None:
        """Entry by entry removed and added: `conntrack -R` leaves one that exists as it is, and does not say so."""
        self._load(entries.replacing(connections))

    def remove(self, connections: Sequence[Connection]) -> None:
        self._load(entries.removing(connections))

    def _load(self, lines: str) -> None:
        if lines:
            self._run("-R", "-", lines=lines)

    @staticmethod
    def _run(*arguments: str, lines: str = "") -> str:
        try:
            finished = run_command(
                [CONNTRACK, *arguments],
                input_text=lines,
                timeout_s=TIMEOUT_S,
                output_max_chars=OUTPUT_MAX_CHARS,
            )
        except CommandError as error:
            raise FirewallError(driver=CONNTRACK, reason=str(error)) from error
        if finished.code != 0:
            raise FirewallError(driver=CONNTRACK, reason=finished.last_line)
        return finished.stdout
