"""Make one managed network stand on this host, and remove it: a bridge, and a VLAN or VXLAN device that is its port.

Both carry the alias `limosa NAME DIGEST`. That, and no file, is what says that they are ours: it goes with them. A bridge of
the name that does not carry it is somebody's, who has made the same network by hand: it is used as it is, and left alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from common.network_views import IPV6_FURTHER_BYTES, VXLAN_OVERHEAD_BYTES, NetworkKind
from common.transfer import ManagedNetwork
from compute_agent.errors import LinkError, NetworkUnusableError
from compute_agent.link_making import BRIDGE, VLAN, VXLAN, LinkMaker, NewLink
from compute_agent.links import Link
from compute_agent.network_settings import NetworkSettings

ALIAS = "limosa "
NAME_MAX_CHARS = 15
DIGEST_CHARS = 8


class StandingNetworks:
    """The managed networks of this host, as its kernel has them. Methods raise LinkError; it is used by one at a time."""

    def __init__(self, links: LinkMaker, settings: NetworkSettings) -> None:
        self._links = links
        self._settings = settings

    def bridges(self) -> Mapping[str, str]:
        """Those of which anything is here, whole or not, with the bridge; empty, where that is missing."""
        ours = [link for link in self._links.all() if _is_ours(link)]
        bridges = {_network_of(link): link.name for link in ours if link.kind == BRIDGE}
        return {_network_of(link): "" for link in ours} | bridges

    def stand(self, network: ManagedNetwork, *, vteps: Iterable[str]) -> bool:
        """Make what is missing of it; whether anything was. Raises NetworkUnusableError, and leaves nothing half made."""
        try:
            here = self._here()
            if _is_anothers(here.get(network.bridge)):
                return False
            wanted = self._wanted(network, here)
            outdated = _outdated(network, here, alias=wanted[0].alias)
            for link in outdated:
                self._links.remove_ours(link.name, alias=link.alias)
                del here[link.name]
            return self._make(wanted, here, remotes={*vteps, *network.properties.get("peers", "").split()})
        except LinkError as error:
            raise NetworkUnusableError(network=network.name, reason=str(error)) from error

    def remove(self, name: str) -> bool:
        """Whether there was anything to remove."""
        ours = [link for link in self._links.all() if _is_ours(link) and _network_of(link) == name]
        for link in sorted(ours, key=lambda link: link.kind == BRIDGE):  # its ports first
            self._links.remove_ours(link.name, alias=link.alias)
        return bool(ours)

    def ports(self, name: str) -> tuple[str, ...]:
        """What is in its bridge besides its own device: guests' taps, and what somebody has put there."""
        return _ports(name, self._here())

    def remove_unfinished(self) -> None:
        """What a process before this one has left."""
        self._links.remove_unfinished()

    def problem(self, network: ManagedNetwork) -> str:
        """Why it could not be made here; empty: nothing is known that speaks against it."""
        try:
            here = self._here()
            if not _is_anothers(here.get(network.bridge)):
                _outdated(network, here, alias=self._wanted(network, here)[0].alias)
        except LinkError as error:
            return str(error)
        return ""

    def is_anothers(self, network: ManagedNetwork) -> bool:
        """Whether its bridge is here and not of our making."""
        return _is_anothers(self._links.find(network.bridge))

    # ---- within

    def _here(self) -> dict[str, Link]:
        """Asked for once in each method: on a host with many taps the list takes a while."""
        return {link.name: link for link in self._links.all()}

    def _make(
        self, wanted: tuple[NewLink, NewLink], here: Mapping[str, Link], *, remotes: Iterable[str]
    ) -> bool:
        device, bridge = wanted
        missing = [link for link in wanted if link.name not in here]
        try:
            for link in missing:
                self._links.make(link)
            if missing or here[device.name].master != bridge.name:
                self._links.join(device.name, bridge=bridge.name)
            if device.kind == VXLAN and not device.group:
                self._links.flood_to(device.name, remotes)
        except LinkError:
            for link in reversed(missing):
                with suppress(LinkError):  # what is left has our alias, and is found again
                    self._links.remove_ours(link.name, alias=link.alias)
            raise
        return bool(missing)

    def _wanted(self, network: ManagedNetwork, here: Mapping[str, Link]) -> tuple[NewLink, NewLink]:
        """Its device, then its bridge. Raises LinkError for what this host lacks."""
        device = self._vlan(network, here) if network.kind == NetworkKind.VLAN else self._vxlan(network)
        if _is_anothers(here.get(device.name)):
            raise LinkError(reason=f"there is a device {device.name} that Limosa did not make")
        bridge = NewLink(name=network.bridge, kind=BRIDGE, alias="", mtu=network.mtu)
        alias = f"{ALIAS}{network.name} {_digest(device, bridge)}"
        return replace(device, alias=alias), replace(bridge, alias=alias)

    def _vlan(self, network: ManagedNetwork, here: Mapping[str, Link]) -> NewLink:
        physical = self._settings.physical_here(network.properties.get("physical", ""))
        carrier = here.get(physical)
        if carrier is None:
            raise LinkError(reason=f"there is no device {physical} here")
        _refuse_small_mtu(carrier, needed=network.mtu)
        return NewLink(
            name=_vlan_name(physical, network.segment),
            kind=VLAN,
            alias="",
            mtu=network.mtu,
            segment=network.segment,
            device=physical,
        )

    def _vxlan(self, network: ManagedNetwork) -> NewLink:
        address, group = self._settings.vtep_address, network.properties.get("group", "")
        if not address:
            raise LinkError(reason="[network]vtep_address is not set here")
        carrier = self._links.device_of(address)
        if carrier is None:
            raise LinkError(reason=f"{address} of [network]vtep_address is no address of this host")
        if group and (":" in group) != (":" in address):
            raise LinkError(reason=f"group {group} and address {address} are not of one IP version")
        overhead = VXLAN_OVERHEAD_BYTES + (IPV6_FURTHER_BYTES if ":" in address else 0)
        _refuse_small_mtu(carrier, needed=network.mtu + overhead)
        return NewLink(
            name=f"vxlan{network.segment}",
            kind=VXLAN,
            alias="",
            mtu=network.mtu,
            segment=network.segment,
            device=carrier.name,
            local=address,
            group=group,
            port=int(network.properties["port"]),
        )


def _digest(device: NewLink, bridge: NewLink) -> str:
    """Tells a network from one of the same name that was declared before it."""
    return hashlib.sha256(repr((device, bridge)).encode()).hexdigest()[:DIGEST_CHARS]


def _outdated(network: ManagedNetwork, here: Mapping[str, Link], *, alias: str) -> tuple[Link, ...]:
    """Of its name, or its bridge, as it was declared before, or with another tunnel address; raises LinkError if in use."""
    found = tuple(
        link
        for link in here.values()
        if _is_ours(link)
        and link.alias != alias
        and (_network_of(link) == network.name or link.name == network.bridge)
    )
    for link in found:
        ports = _ports(_network_of(link), here)
        if ports:
            reason = f"{link.name} is here as it was declared before, and {', '.join(ports)} is in it"
            raise LinkError(reason=reason)
    return tuple(sorted(found, key=lambda link: link.kind == BRIDGE))  # its ports first


def _ports(name: str, here: Mapping[str, Link]) -> tuple[str, ...]:
    bridges = {
        link.name
        for link in here.values()
        if link.kind == BRIDGE and _is_ours(link) and _network_of(link) == name
    }
    return tuple(link.name for link in here.values() if link.master in bridges and not _is_ours(link))


def _is_anothers(link: Link | None) -> bool:
    return link is not None and not _is_ours(link)


def _is_ours(link: Link) -> bool:
    return link.alias.startswith(ALIAS)


def _network_of(link: Link) -> str:
    return link.alias.removeprefix(ALIAS).partition(" ")[0]


def _vlan_name(device: str, segment: int) -> str:
    """As everybody names them; where that is too long, by the segment and the end of the device's name."""
    return f"{device}.{segment}"[-NAME_MAX_CHARS:]


def _refuse_small_mtu(carrier: Link, *, needed: int) -> None:
    if carrier.mtu < needed:
        raise LinkError(reason=f"{carrier.name} has an MTU of {carrier.mtu}, and {needed} are needed")
