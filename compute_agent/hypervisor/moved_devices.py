"""The dest's changes to disks, interfaces and boot files, made in domain XML. Pure.

Live and inactive XML may differ: a change is made where the XML has the device, and what it has of it.
"""

from collections.abc import Iterator, Mapping

from common.migration import DomainChanges
from common.transfer import BootFileChange, DiskChange, InterfaceChange
from compute_agent.hypervisor.xml_text import Element, XmlText


def change_devices(document: XmlText, changes: DomainChanges) -> None:
    """Make them in a document that is being edited."""
    _change_disks(document, changes)
    _change_interfaces(document, changes)
    _change_boot_files(document, changes)


def _change_disks(document: XmlText, changes: DomainChanges) -> None:
    """Of one disk several may be told, each of another part of it."""
    for disk in document.root.find_all("devices/disk"):
        target = disk.find("target")
        name = target.get("dev") if target is not None else ""
        for change in changes.disks:
            if change.target == name:
                _change_disk(document, disk, change)


def _change_disk(document: XmlText, disk: Element, change: DiskChange) -> None:
    source = disk.find("source")
    if source is None or (change.instead_of and change.instead_of not in source.attributes.values()):
        return
    if change.is_emptied:
        document.remove(source)
        return
    _change_attributes(document, source, change.source)
    if change.initiator:
        for name in _initiators(disk):
            document.set_attribute(name, "name", change.initiator)


def _initiators(disk: Element) -> Iterator[Element]:
    """Of the disk and of the images below it: a host comes to every target by one name."""
    waiting = [disk]
    while waiting:
        element = waiting.pop(0)
        yield from element.find_all("source/initiator/iqn")
        waiting += [child for child in element.children if child.tag in ("backingStore", "mirror")]


def _change_interfaces(document: XmlText, changes: DomainChanges) -> None:
    """Several parts may change one interface: who connects it, who filters it."""
    for interface in document.root.find_all("devices/interface"):
        mac = interface.find("mac")
        for change in changes.interfaces:
            if mac is not None and change.mac.lower() == mac.get("address").lower():
                _change_interface(document, interface, change)


def _change_interface(document: XmlText, interface: Element, change: InterfaceChange) -> None:
    source, target = interface.find("source"), interface.find("target")
    nwfilter = interface.find("filterref")
    if source is not None:
        _change_attributes(document, source, change.source)
    if change.tap and target is not None:
        document.set_attribute(target, "dev", change.tap)
    if change.nwfilter and nwfilter is not None:
        document.set_attribute(nwfilter, "filter", change.nwfilter)


def _change_attributes(document: XmlText, element: Element, values: Mapping[str, str]) -> None:
    """Those that the element has: live XML names the bridge of a network, inactive XML only the network."""
    for name, value in values.items():
        if name in element.attributes:
            document.set_attribute(element, name, value)


def _change_boot_files(document: XmlText, changes: DomainChanges) -> None:
    for change in changes.boot_files:
        if change.what == "template":
            _change_template(document, change)
            continue
        element = document.root.find(f"os/{change.what}")
        if element is not None and change.instead_of in ("", element.text):
            document.set_text(element, change.path)


def _change_template(document: XmlText, change: BootFileChange) -> None:
    """What libvirt makes the file of the firmware's variables from, where there is none."""
    nvram = document.root.find("os/nvram")
    if nvram is not None and nvram.get("template") == change.instead_of:
        document.set_attribute(nvram, "template", change.path)
