"""libvirt's network filters: what a hypervisor offers of them, and libvirtd's. Functions take virConnect."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol
from xml.sax.saxutils import quoteattr

import libvirt

from compute_agent.hypervisor.control import ControlConnection
from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError
from compute_agent.hypervisor.xml_text import Element, XmlText

CHANGE_TIMEOUT_S = 60.0  # as any call that changes something: see libvirt_hypervisor


class NetworkFilters(Protocol):
    """One filter a name; what uses one is filtered anew at once when it is defined again."""

    def filters_named(self, prefix: str) -> Mapping[str, str]:
        """XML by name, of those whose names begin so."""

    def define_filter(self, xml: str) -> None:
        """Make or replace it. What it says already changes nothing."""

    def remove_filter(self, name: str) -> None:
        """Nothing happens if there is none. HypervisorOperationError while an interface has it."""

    def set_interface_filter(self, uuid: str, mac: str, name: str) -> None:
        """Of a guest, now and after its next start; an empty name takes the filter away. Raises DomainNotFoundError.

        Nothing happens where the guest has no such interface, or that one has the filter.
        """


class LibvirtNetworkFilters:
    """Mixed into `libvirt_hypervisor.LibvirtHypervisor`."""

    _control: ControlConnection

    def filters_named(self, prefix: str) -> Mapping[str, str]:
        return self._control.call(partial(_named, prefix=prefix))

    def define_filter(self, xml: str) -> None:
        self._control.call(lambda connection: connection.nwfilterDefineXML(xml), timeout_s=CHANGE_TIMEOUT_S)

    def remove_filter(self, name: str) -> None:
        self._control.call(partial(_remove, name=name), timeout_s=CHANGE_TIMEOUT_S)

    def set_interface_filter(self, uuid: str, mac: str, name: str) -> None:
        change = partial(_set, uuid=uuid, mac=mac, name=name)
        self._control.call(change, uuid=uuid, timeout_s=CHANGE_TIMEOUT_S)


def _named(connection: Any, prefix: str) -> Mapping[str, str]:
    found = connection.listAllNWFilters()
    return {each.name(): each.XMLDesc(0) for each in found if each.name().startswith(prefix)}


def _remove(connection: Any, name: str) -> None:
    try:
        connection.nwfilterLookupByName(name).undefine()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_NWFILTER:
            raise


def _set(connection: Any, uuid: str, mac: str, name: str) -> None:
    """Live and defined XML apart: what the one says of the interface need not be so in the other."""
    try:
        domain = connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            raise DomainNotFoundError(uuid=uuid) from error.with_traceback(None)
        raise
    if domain.isActive():
        _update(domain, mac, name, xml_flags=0, flags=libvirt.VIR_DOMAIN_AFFECT_LIVE)
    if domain.isPersistent():
        inactive = libvirt.VIR_DOMAIN_XML_INACTIVE
        _update(domain, mac, name, xml_flags=inactive, flags=libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def _update(domain: Any, mac: str, name: str, *, xml_flags: int, flags: int) -> None:
    changed = with_filter(domain.XMLDesc(xml_flags), mac=mac, name=name)
    if changed is not None:
        domain.updateDeviceFlags(changed, flags)


def with_filter(domain: str, *, mac: str, name: str) -> str | None:
    """The XML of the interface, with that filter or none; None where there is nothing to change. Pure."""
    interface = _interface(XmlText.parse(domain), mac)
    if interface is None:
        return None
    document = XmlText.parse(interface)
    present = document.root.find("filterref")
    if (present.get("filter") if present is not None else "") == name:
        return None
    if present is not None:
        document.remove(present)
    if name:
        document.append(document.root, f"<filterref filter={quoteattr(name)}/>")
    return document.edited()


def _interface(document: XmlText, mac: str) -> str | None:
    found = (each for each in document.root.find_all("devices/interface") if _mac(each) == mac.lower())
    interface = next(found, None)
    return None if interface is None else document.outer(interface)


def _mac(interface: Element) -> str:
    element = interface.find("mac")
    return element.get("address").lower() if element is not None else ""
