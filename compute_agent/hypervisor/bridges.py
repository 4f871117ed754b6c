"""Which bridges of this host the domains here are connected to, or will be: every domain, on or off, whole or half.

Functions take virConnect and raise libvirt's own errors; they run in native threads.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import libvirt

from compute_agent.hypervisor.control import ControlConnection
from compute_agent.hypervisor.xml_text import Element, XmlText

LIST_TIMEOUT_S = 30.0  # some ms a domain

BridgeUsers = Mapping[str, tuple[str, ...]]
"""Names of domains, by the bridge."""


class Bridges(Protocol):
    """The part of `driver.Hypervisor` that is about bridges."""

    def bridge_users(self) -> BridgeUsers:
        """The domains whose live or inactive XML names each bridge, by itself or by a libvirt network.

        Incoming halves count, and guests that are off: theirs is the bridge that they will be started with.
        """


class LibvirtBridges:
    """Mixed into `libvirt_hypervisor.LibvirtHypervisor`."""

    _control: ControlConnection

    def bridge_users(self) -> BridgeUsers:
        return self._control.call(bridge_users, timeout_s=LIST_TIMEOUT_S)


def bridge_users(connection: Any) -> BridgeUsers:
    networks = {network.name(): network for network in connection.listAllNetworks()}
    users: defaultdict[str, set[str]] = defaultdict(set)
    for domain in connection.listAllDomains():
        for bridge in bridges_of(_xmls(domain), bridge_of=lambda name: _bridge_of(networks.get(name))):
            users[bridge].add(domain.name())
    return {bridge: tuple(sorted(names)) for bridge, names in users.items()}


def bridges_of(xmls: Iterable[str], *, bridge_of: Any) -> frozenset[str]:
    """What these domains' XML connects them to; `bridge_of` is asked for libvirt networks. Pure."""
    sources = (source for xml in xmls for source in _sources(XmlText.parse(xml).root))
    named = (source.get("bridge") or bridge_of(source.get("network")) for source in sources)
    return frozenset(name for name in named if name)


def _sources(domain: Element) -> Iterable[Element]:
    return domain.find_all("devices/interface/source")


def _xmls(domain: Any) -> Iterator[str]:
    """Both of them: a guest that runs may be changed for its next start."""
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        try:
            yield domain.XMLDesc(flags)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # gone since it was listed
                raise


def _bridge_of(network: Any) -> str:
    """Empty for a libvirt network without one."""
    if network is None:
        return ""
    try:
        return str(network.bridgeName())
    except libvirt.libvirtError:  # of type hostdev, direct, ovs portgroups: no bridge
        return ""
