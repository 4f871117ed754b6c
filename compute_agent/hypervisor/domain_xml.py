"""Domain XML: what it says, and the few changes that a migration makes to it. Pure.

Everything that is not named here goes through untouched, byte for byte.
"""

import ipaddress
from xml.sax.saxutils import quoteattr

from common.facts import DiskFacts, GuestFacts
from common.migration import DomainChanges
from common.states import PowerState
from compute_agent.hypervisor.xml_text import Element, XmlText

MARK_NAMESPACE = "urn:limosa:migration:1"
MARK_PREFIX = "limosa"
_MARK_TAG = f"{MARK_PREFIX}:migration"

# What libvirt's units mean (libvirt.org/formatdomain.html, memory allocation), in bytes.
_UNIT_BYTES = {
    "b": 1, "bytes": 1,
    "kb": 10**3, "k": 2**10, "kib": 2**10,
    "mb": 10**6, "m": 2**20, "mib": 2**20,
    "gb": 10**9, "g": 2**30, "gib": 2**30,
    "tb": 10**12, "t": 2**40, "tib": 2**40,
}  # fmt: skip
_MIB_BYTES = 2**20


def guest_facts(xml: str, *, power_state: PowerState, is_persistent: bool, has_autostart: bool) -> GuestFacts:
    """What a report says of a guest. `xml`: the live one of a running guest, the inactive one else."""
    domain = XmlText.parse(xml).root
    os_type = domain.find("os/type")
    return GuestFacts(
        uuid=domain.text_of("uuid"),
        name=domain.text_of("name"),
        power_state=power_state,
        vcpus=_vcpus(domain),
        memory_mib=_memory_mib(domain),
        is_persistent=is_persistent,
        has_autostart=has_autostart,
        machine=os_type.get("machine") if os_type is not None else "",
        arch=os_type.get("arch") if os_type is not None else "",
        hypervisor=domain.get("type"),
        disks=tuple(_disk(element) for element in domain.find_all("devices/disk")),
    )


def migration_mark(xml: str) -> str | None:
    """The id of the migration that brought this domain, while its live XML carries our mark."""
    mark = _find_mark(XmlText.parse(xml).root)
    return mark.get("id") or None if mark is not None else None


def dest_xml(live_xml: str, *, changes: DomainChanges, migration: str) -> str:
    """The live XML for DEST_XML: the dest's changes made, and our mark in its metadata for the dest's hook."""
    document = XmlText.parse(live_xml)
    _change_graphics(document, changes)
    _set_mark(document, migration)
    return document.edited()


def persist_xml(inactive_xml: str, *, changes: DomainChanges) -> str:
    """The inactive XML for PERSIST_XML: the same changes; without the mark, which says nothing of later starts."""
    document = XmlText.parse(without_mark(inactive_xml))
    _change_graphics(document, changes)
    return document.edited()


def without_mark(xml: str) -> str:
    """The same domain without our mark."""
    document = XmlText.parse(xml)
    mark = _find_mark(document.root)
    if mark is not None:
        document.remove(mark)
    return document.edited()


def mark_element(migration: str) -> str:
    """Our metadata element. The hook in etc/libvirt/hooks reads it with sed: keep prefix and attribute as they are."""
    return f"<{_MARK_TAG} xmlns:{MARK_PREFIX}={quoteattr(MARK_NAMESPACE)} id={quoteattr(migration)}/>"


# ---- reading


def _vcpus(domain: Element) -> int:
    vcpu = domain.find("vcpu")
    if vcpu is None:
        return 1  # libvirt's default
    return int(vcpu.get("current") or vcpu.text or "1")


def _memory_mib(domain: Element) -> int:
    memory = domain.find("memory")
    if memory is None:
        return 0
    unit = memory.get("unit", "KiB").lower()
    size_bytes = int(memory.text or "0") * _UNIT_BYTES.get(unit, _UNIT_BYTES["kib"])
    return -(-size_bytes // _MIB_BYTES)  # rounded up: a report never promises memory that is taken


def _disk(element: Element) -> DiskFacts:
    target, driver, source = element.find("target"), element.find("driver"), element.find("source")
    return DiskFacts(
        target=target.get("dev") if target is not None else "",
        type=element.get("type", "file"),
        source=_source(source) if source is not None else "",
        device=element.get("device", "disk"),
        format=driver.get("type", "raw") if driver is not None else "raw",
        is_readonly=element.find("readonly") is not None,
        is_shareable=element.find("shareable") is not None,
    )


def _source(source: Element) -> str:
    for attribute in ("file", "dev", "dir"):
        if source.get(attribute):
            return source.get(attribute)
    if source.get("pool"):
        return f"{source.get('pool')}/{source.get('volume')}"
    if source.get("protocol"):
        return f"{source.get('protocol')}:{source.get('name')}"
    return source.get("path") or source.get("type")  # vhostuser, vhostvdpa; nvme


# ---- changing


def _change_graphics(document: XmlText, changes: DomainChanges) -> None:
    addresses = {change.type: change.address for change in changes.graphics}
    for graphics in document.root.find_all("devices/graphics"):
        address = addresses.get(graphics.get("type"))
        if address is None:
            continue
        listens = [listen for listen in graphics.find_all("listen") if listen.get("type") == "address"]
        if _is_of_one_host(graphics.get("listen")):
            document.set_attribute(graphics, "listen", address)
        for listen in listens:
            if _is_of_one_host(listen.get("address")):
                document.set_attribute(listen, "address", address)


def _is_of_one_host(address: str) -> bool:
    """Whether an address means another place on another host. Loopback and wildcard do not: they stay as they are,

    or a console that was kept on the host itself would be opened to a network.
    """
    if not address:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address != "localhost"  # a name: most often the host's own
    return not (parsed.is_loopback or parsed.is_unspecified)


def _find_mark(domain: Element) -> Element | None:
    return domain.find(f"metadata/{_MARK_TAG}")


def _set_mark(document: XmlText, migration: str) -> None:
    old = _find_mark(document.root)
    if old is not None:
        document.set_attribute(old, "id", migration)
        return
    metadata = document.root.find("metadata")
    if metadata is not None:
        document.append(metadata, mark_element(migration))
    else:
        document.append(document.root, f"<metadata>{mark_element(migration)}</metadata>")
