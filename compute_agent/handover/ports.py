"""Where a guest hangs in this host's bridges."""

from collections.abc import Iterable
from dataclasses import dataclass

from common.facts import InterfaceFacts
from compute_agent.links import BRIDGE, Links


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One interface of a guest in a bridge of the kernel's."""

    mac: str
    tap: str  # empty: it has left, and libvirt had chosen the name
    bridge: str


def ports(links: Links, interfaces: Iterable[InterfaceFacts]) -> tuple[Port, ...]:
    """Those of the interfaces that are in such a bridge; raises LinkError. The taps need not be there any more."""
    candidates = [interface for interface in interfaces if interface.mac and interface.source]
    if not candidates:
        return ()
    bridges = {link.name for link in links.all() if link.kind == BRIDGE}
    return tuple(
        Port(mac=interface.mac, tap=interface.tap, bridge=interface.source)
        for interface in candidates
        if interface.source in bridges
    )
