"""The network filters of a fake hypervisor's host."""

from collections.abc import Callable, Mapping

import libvirt

from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError
from compute_agent.hypervisor.nwfilters import with_filter
from compute_agent.hypervisor.xml_text import XmlText
from tests.fakes.domain import FakeDomain
from tests.fakes.transfer import operation_error


class FakeNetworkFilters:
    """`filter_xml` is what was defined here; `nwfilters` of FakeSuitability names all that a guest may use."""

    nwfilters: list[str]
    domains: dict[str, FakeDomain]

    def __init__(self, require_up: Callable[[], None]) -> None:
        self.filter_xml: dict[str, str] = {}
        self._require_filters_up = require_up

    def filters_named(self, prefix: str) -> Mapping[str, str]:
        self._require_filters_up()
        return {name: xml for name, xml in self.filter_xml.items() if name.startswith(prefix)}

    def define_filter(self, xml: str) -> None:
        self._require_filters_up()
        name = XmlText.parse(xml).root.get("name")
        self.filter_xml[name] = xml
        if name not in self.nwfilters:
            self.nwfilters.append(name)

    def remove_filter(self, name: str) -> None:
        self._require_filters_up()
        if any(
            name == interface.nwfilter
            for each in self.domains.values()
            for interface in each.facts().interfaces
        ):
            raise operation_error(libvirt.VIR_ERR_OPERATION_INVALID, domain=libvirt.VIR_FROM_NWFILTER)
        self.filter_xml.pop(name, None)
        self.nwfilters[:] = [each for each in self.nwfilters if each != name]

    def set_interface_filter(self, uuid: str, mac: str, name: str) -> None:
        self._require_filters_up()
        domain = self.domains.get(uuid)
        if domain is None:
            raise DomainNotFoundError(uuid=uuid)
        for kind in ("live_xml", "inactive_xml"):
            xml = getattr(domain, kind)
            changed = None if xml is None else with_filter(xml, mac=mac, name=name)
            if changed is not None:
                setattr(domain, kind, _replaced(xml, mac, changed))


def _replaced(xml: str, mac: str, interface: str) -> str:
    document = XmlText.parse(xml)
    for each in document.root.find_all("devices/interface"):
        address = each.find("mac")
        if address is not None and address.get("address").lower() == mac.lower():
            return xml.replace(document.outer(each), interface)
    return xml
