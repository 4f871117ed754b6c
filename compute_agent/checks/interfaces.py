"""What the guest's interfaces are connected to, on both hosts: links by name, kind and MTU.

libvirt networks are looked at in `resources`; here are their bridges.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from common.checks import Finding
from common.facts import InterfaceFacts
from common.network_checks import BRIDGE_MISSING, LINK_UNFIT, MTU_SMALLER, MTU_UNKNOWN, PARENT_MISSING
from common.transfer import Declarations
from compute_agent.checks.look import DestLook, SourceLook
from compute_agent.errors import LinkError
from compute_agent.handover.ports import OPEN_VSWITCH
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.links import BRIDGE, Link, Links
from compute_agent.network_settings import NetworkSettings

# A bridge of Open vSwitch is seen as its port of the same name: of the kernel's datapath, or a tap of the one in userspace.
_KINDS_OF_OPEN_VSWITCH = (OPEN_VSWITCH, "tun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What this host offers to interfaces that come to it."""

    host: str
    links: Mapping[str, Link]  # by name
    network_bridges: Mapping[str, str]  # by libvirt network, where it is active and has one
    made_later: tuple[str, ...]  # bridges that Limosa makes before the guest comes
    names: NetworkSettings

    def bridge_of(self, interface: InterfaceFacts) -> str:
        """Name of the bridge here; empty: it is in none, or its network is not here."""
        if interface.network:
            return self.network_bridges.get(self.names.network_here(interface.network), "")
        return self.names.bridge_here(interface.source) if interface.type == "bridge" else ""


def place(
    hypervisor: Hypervisor, links: Links, *, host: str, declared: Declarations, names: NetworkSettings
) -> Place:
    """Look at this host's links, and at its libvirt networks."""
    return Place(
        host=host,
        links={link.name: link for link in links.all()},
        network_bridges=dict(hypervisor.resources().network_bridges),
        made_later=tuple(network.bridge for network in declared.networks),
        names=names,
    )


# ---- on the dest


def check_interfaces(look: DestLook) -> Iterator[Finding]:
    """Whether this host has what each interface is connected to."""
    if look.guest.interfaces:
        yield from unfit(place_of(look), look.guest.interfaces, instance=look.guest.name)


def place_of(look: DestLook) -> Place:
    return place(
        look.hypervisor,
        look.links,
        host=look.settings.host,
        declared=look.declared,
        names=look.settings.networks,
    )


def unfit(here: Place, interfaces: Iterable[InterfaceFacts], *, instance: str) -> Iterator[Finding]:
    for interface in interfaces:
        evidence = {"instance": instance, "mac": interface.mac}
        if interface.type == "direct" and not interface.network:
            yield from _without_parent(here, interface, evidence)
        else:
            yield from _without_bridge(here, interface, evidence)


def _without_bridge(here: Place, interface: InterfaceFacts, evidence: Mapping[str, str]) -> Iterator[Finding]:
    bridge = here.bridge_of(interface)
    if not bridge or bridge in here.made_later:
        return
    link = here.links.get(bridge)
    if link is None:
        known = ", ".join(sorted(link.name for link in here.links.values() if link.kind == BRIDGE)) or "none"
        yield BRIDGE_MISSING.finding(here.host, **evidence, bridge=bridge, known=known)
    elif not _is_fit(link, interface):
        needed = "a bridge" if interface.virtualport != OPEN_VSWITCH else "a bridge of Open vSwitch"
        found = f"a link of kind {link.kind}" if link.kind else "a physical link"
        yield LINK_UNFIT.finding(here.host, **evidence, needed=needed, link=bridge, found=found)
    elif interface.mtu is not None and interface.mtu > link.mtu:
        yield MTU_SMALLER.finding(here.host, **evidence, needed=interface.mtu, mtu=link.mtu)


def _is_fit(link: Link, interface: InterfaceFacts) -> bool:
    return link.kind in (_KINDS_OF_OPEN_VSWITCH if interface.virtualport == OPEN_VSWITCH else (BRIDGE,))


def _without_parent(here: Place, interface: InterfaceFacts, evidence: Mapping[str, str]) -> Iterator[Finding]:
    if interface.source and interface.source not in here.links:
        yield PARENT_MISSING.finding(here.host, **evidence, link=interface.source)


def mtus(here: Place, interfaces: Iterable[InterfaceFacts]) -> tuple[tuple[str, int], ...]:
    """By MAC, the MTU of the bridge that an interface would be in here, for the source to compare."""
    bridges = ((interface.mac, here.links.get(here.bridge_of(interface))) for interface in interfaces)
    return tuple((mac, link.mtu) for mac, link in bridges if link is not None)


# ---- on the source


def check_mtus(look: SourceLook) -> Iterator[Finding]:
    """Compare the MTU of each tap here with that of its bridge there."""
    there = dict(look.reach.mtus)
    if not there:
        return
    host, name = look.settings.host, look.guest.name
    # The definition that is moved does not say which taps libvirt has chosen.
    interfaces = look.hypervisor.guest_facts(look.instance).interfaces
    compared = [each for each in interfaces if each.mac in there]
    try:
        here = {link.name: link for link in look.links.all()}
    except LinkError as error:
        for interface in compared:
            yield MTU_UNKNOWN.finding(host, mac=interface.mac, instance=name, reason=error)
        return
    for interface in compared:
        tap = here.get(interface.tap)
        if tap is not None and tap.mtu > there[interface.mac]:
            yield MTU_SMALLER.finding(
                look.dest_host, instance=name, mac=interface.mac, needed=tap.mtu, mtu=there[interface.mac]
            )
