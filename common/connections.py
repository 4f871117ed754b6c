"""What a source tells a dest, through the conductor, of the connections of a guest that moves: never journaled."""

from dataclasses import dataclass

BATCH_MAX = 500  # connections in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One entry of a host's connection tracking, as its first packet went; addresses of it are not translated."""

    protocol: str  # tcp, udp
    source: str
    destination: str
    source_port: int
    destination_port: int
    state: str = ""  # of tcp: ESTABLISHED, SYN_SENT, ...
    flags: tuple[str, ...] = ()  # SEEN_REPLY, ASSURED
    timeout_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionBatch:
    """Some of them; each batch is complete in itself, and a later one of the same connection is newer."""

    host: str  # the source, which tells
    instance: str  # uuid
    migration: str
    connections: tuple[Connection, ...] = ()
