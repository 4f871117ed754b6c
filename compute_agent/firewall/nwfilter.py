"""The driver nwfilter: one filter of libvirt's a port, which libvirt puts in force with each tap that it makes.

All hosts that a guest moves between need this driver: the guest's XML names its filter, by the same name everywhere. libvirt
filters nothing that the host itself sends to a guest.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from common.facts import GuestFacts, InterfaceFacts
from common.filtering import FilteringInForce, PortInForce
from common.transfer import Filtering, InterfaceChange
from compute_agent.firewall import nwfilter_xml
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.guests import FilteredGuest
from compute_agent.firewall.nftables import bridge_netfilter_problems
from compute_agent.firewall.nwfilter_xml import PREFIX, name_of
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError, HypervisorError
from compute_agent.hypervisor.xml_text import XmlText

_NOTE = re.compile(r"instance (\S+) revision (\d+)")


class NwfilterDriver:
    """See `driver.FirewallDriver`."""

    name = "nwfilter"

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    def refuse_unfit(self, guest: FilteredGuest) -> None:
        _filters(guest)

    def apply(self, guests: Sequence[FilteredGuest]) -> None:
        """Each filter in one step; the filters first, then who has them, then those that nobody needs."""
        wanted = {name: xml for guest in guests for name, xml in _filters(guest).items()}
        try:
            present = self._hypervisor.filters_named(PREFIX)
            for xml in wanted.values():
                self._hypervisor.define_filter(xml)
            strangers = [reason for guest in guests for reason in self._give(guest)]
            if unwanted := set(present) - set(wanted):
                self._take_away(unwanted)
        except HypervisorError as error:
            raise FirewallError(driver=self.name, reason=str(error)) from error
        if strangers:
            raise FirewallError(driver=self.name, reason="; ".join(strangers))

    def in_force(self, instance: str) -> FilteringInForce:
        try:
            present = self._hypervisor.filters_named(PREFIX)
            taps = {each.mac.lower(): each.tap for each in self._interfaces(instance)}
        except HypervisorError as error:
            raise FirewallError(driver=self.name, reason=str(error)) from error
        revision, ports = None, []
        for name, xml in sorted(present.items()):
            note = _NOTE.search(xml)
            if note is not None and note[1] == instance:
                revision = int(note[2])
                mac = ":".join(re.findall("..", name.removeprefix(PREFIX)))
                ports.append(PortInForce(mac=mac, tap=taps.get(mac, ""), lines=_lines(xml)))
        return FilteringInForce(driver=self.name, revision=revision, ports=tuple(ports))

    def problems(self, filtering: Filtering) -> Iterable[str]:
        return bridge_netfilter_problems(filtering)

    def changes(
        self,
        guest: FilteredGuest,  # noqa: ARG002
        interfaces: Iterable[InterfaceFacts],  # noqa: ARG002
    ) -> tuple[InterfaceChange, ...]:
        """None: the guest's XML has the filter's name from its source."""
        return ()

    # ---- who has which

    def _give(self, guest: FilteredGuest) -> Iterator[str]:
        """Have its interfaces name their filters; a sentence for each that has another one, which is left to it."""
        macs = {port.rules.mac.lower() for port in guest.ports}
        for interface in self._interfaces(guest.instance):
            name, present = name_of(interface.mac), interface.nwfilter
            if interface.mac.lower() not in macs or present == name:
                continue
            if present and not present.startswith(PREFIX):
                yield f"interface {interface.mac} of {guest.instance} has a filter of its own, {present}"
                continue
            self._hypervisor.set_interface_filter(guest.instance, interface.mac, name)

    def _take_away(self, unwanted: set[str]) -> None:
        for guest in self._hypervisor.list_guests():
            for interface in _having(guest, unwanted):
                self._hypervisor.set_interface_filter(guest.uuid, interface.mac, "")
        for name in sorted(unwanted):
            self._hypervisor.remove_filter(name)

    def _interfaces(self, instance: str) -> tuple[InterfaceFacts, ...]:
        try:
            return self._hypervisor.guest_facts(instance).interfaces
        except DomainNotFoundError:
            return ()  # it is to come, or is off for good


def _filters(guest: FilteredGuest) -> dict[str, str]:
    note = f"instance {guest.instance} revision {guest.revision}"
    return {name_of(port.rules.mac): nwfilter_xml.render(port.rules, note=note) for port in guest.ports}


def _having(guest: GuestFacts, names: set[str]) -> Iterable[InterfaceFacts]:
    return (interface for interface in guest.interfaces if interface.nwfilter in names)


def _lines(xml: str) -> tuple[str, ...]:
    document = XmlText.parse(xml)
    return tuple(" ".join(document.outer(rule).split()) for rule in document.root.find_all("rule"))
