"""Entries of connection tracking as `conntrack -o save` writes them and `conntrack -R` reads them. Pure.

What comes from another host is made of checked words only: nothing of it reaches the tool as it came.
"""

import ipaddress
import shlex
from collections.abc import Iterable, Iterator

from common.connections import Connection

_PROTOCOLS = ("tcp", "udp")
_FLAGS = ("SEEN_REPLY", "ASSURED")
_TCP_STATES = (
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
)
PORT_MAX = 65_535
TIMEOUT_MAX_S = 432_000  # of an established TCP connection, by the kernel's own measure


def parse(text: str) -> Iterator[Connection]:
    """Those entries that can be moved: TCP and UDP, not translated. Others are left out."""
    for line in text.splitlines():
        connection = _parse_line(line)
        if connection is not None and is_sound(connection):
            yield connection


def is_sound(connection: Connection) -> bool:
    """Whether each field is what it should be."""
    try:
        versions = {
            ipaddress.ip_address(each).version for each in (connection.source, connection.destination)
        }
    except ValueError:
        return False
    ports = (connection.source_port, connection.destination_port)
    return (
        len(versions) == 1
        and connection.protocol in _PROTOCOLS
        and all(0 <= port <= PORT_MAX for port in ports)
        and (connection.state in _TCP_STATES if connection.protocol == "tcp" else not connection.state)
        and all(flag in _FLAGS for flag in connection.flags)
        and 0 <= connection.timeout_s <= TIMEOUT_MAX_S
    )


def replacing(connections: Iterable[Connection]) -> str:
    """Lines that put them in place of what is known of them: -R adds, and leaves an entry that is there as it is."""
    return "".join(f"{_removing(each)}\n{_adding(each)}\n" for each in connections)


def removing(connections: Iterable[Connection]) -> str:
    return "".join(f"{_removing(each)}\n" for each in connections)


def _removing(connection: Connection) -> str:
    family = " -f ipv6" if ":" in connection.source else ""
    return f"-D{family} {_tuple(connection)}"


def _adding(connection: Connection) -> str:
    flags = ",".join(connection.flags) or "UNSET"
    state = f" --state {connection.state}" if connection.state else ""
    reply = (
        f"-r {connection.destination} -q {connection.source} "
        f"--reply-port-src {connection.destination_port} --reply-port-dst {connection.source_port}"
    )
    return f"-A -t {connection.timeout_s} -u {flags} {_tuple(connection)} {reply}{state}"


def _tuple(connection: Connection) -> str:
    return (
        f"-s {connection.source} -d {connection.destination} -p {connection.protocol} "
        f"--sport {connection.source_port} --dport {connection.destination_port}"
    )


def _parse_line(line: str) -> Connection | None:
    words = shlex.split(line)
    if not words or words[0] != "-A" or len(words) % 2 == 0:
        return None
    options = dict(zip(words[1::2], words[2::2], strict=True))
    try:
        connection = Connection(
            protocol=options["-p"],
            source=options["-s"],
            destination=options["-d"],
            source_port=int(options["--sport"]),
            destination_port=int(options["--dport"]),
            state=options.get("--state", ""),
            flags=tuple(flag for flag in options.get("-u", "").split(",") if flag in _FLAGS),
            timeout_s=min(int(options.get("-t", "0")), TIMEOUT_MAX_S),
        )
        is_translated = (
            options["-r"],
            options["-q"],
            int(options["--reply-port-src"]),
            int(options["--reply-port-dst"]),
        ) != (
            connection.destination,
            connection.source,
            connection.destination_port,
            connection.source_port,
        )
    except (KeyError, ValueError):
        return None
    return None if is_translated or "-w" in options else connection
