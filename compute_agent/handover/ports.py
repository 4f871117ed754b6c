"""Where a guest hangs in this host's bridges, those of the kernel and those of Open vSwitch."""

from collections.abc import Iterable
from dataclasses import dataclass

from common.facts import InterfaceFacts
from compute_agent.links import BRIDGE, Links
from compute_agent.openvswitch import OpenVSwitch

OPEN_VSWITCH = "openvswitch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One interface of a guest in a bridge."""

    mac: str
    tap: str  # empty: it has left, and libvirt had chosen the name
    bridge: str
    is_open_vswitch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What sends to guests on this host. Methods raise LinkError and CommandError."""

    links: Links
    open_vswitch: OpenVSwitch

    def ports(self, interfaces: Iterable[InterfaceFacts]) -> tuple[Port, ...]:
        """Those of the interfaces that are in a bridge. The taps need not be there any more."""
        candidates = [interface for interface in interfaces if interface.mac and interface.source]
        if not candidates:
            return ()
        bridges = {link.name for link in self.links.all() if link.kind == BRIDGE}
        return tuple(
            Port(
                mac=interface.mac,
                tap=interface.tap,
                bridge=interface.source,
                is_open_vswitch=interface.virtualport == OPEN_VSWITCH,
            )
            for interface in candidates
            if interface.source in bridges or interface.virtualport == OPEN_VSWITCH
        )

    def sends_through(self, port: Port) -> str:
        """Name of the port through which its bridge sends to the guest; empty: it does not know, and floods."""
        if port.is_open_vswitch:
            return self.open_vswitch.port_of(port.mac, bridge=port.bridge) or ""
        known = self.links.forwarding(port.mac, bridge=port.bridge)
        return "" if known is None else known.port
