"""The few changes that a migration makes to domain XML, and our mark in it. Pure.

Everything that is not named here goes through untouched, byte for byte.
"""

import ipaddress
from xml.sax.saxutils import quoteattr

from common.migration import DomainChanges
from compute_agent.hypervisor.moved_devices import change_devices
from compute_agent.hypervisor.xml_text import Element, XmlText

MARK_NAMESPACE = "urn:limosa:migration:1"
MARK_PREFIX = "limosa"
# Of /etc/hosts as distributions write it; RFC 6761 has all names below localhost lead to loopback.
_LOOPBACK_NAMES = (
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "ip6-localhost",
    "ip6-loopback",
)
_MARK_TAG = f"{MARK_PREFIX}:migration"


def migration_mark(xml: str) -> str | None:
    """The id of the migration that brought this domain, while its live XML carries our mark."""
    mark = _find_mark(XmlText.parse(xml).root)
    return mark.get("id") or None if mark is not None else None


def dest_xml(live_xml: str, *, changes: DomainChanges, migration: str) -> str:
    """The live XML for DEST_XML: the dest's changes made, and our mark in its metadata for the dest's hook."""
    document = XmlText.parse(live_xml)
    _change_graphics(document, changes)
    change_devices(document, changes)
    _set_mark(document, migration)
    return document.edited()


def persist_xml(inactive_xml: str, *, changes: DomainChanges) -> str:
    """The inactive XML for PERSIST_XML: the same changes; without the mark, which says nothing of later starts."""
    document = XmlText.parse(without_mark(inactive_xml))
    _change_graphics(document, changes)
    change_devices(document, changes)
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


# ---- changing


def _change_graphics(document: XmlText, changes: DomainChanges) -> None:
    addresses = {change.type: change.address for change in changes.graphics}
    for graphics in document.root.find_all("devices/graphics"):
        address = addresses.get(graphics.get("type"))
        if address is None:
            continue
        listens = [listen for listen in graphics.find_all("listen") if listen.get("type") == "address"]
        if is_of_one_host(graphics.get("listen")):
            document.set_attribute(graphics, "listen", address)
        for listen in listens:
            if is_of_one_host(listen.get("address")):
                document.set_attribute(listen, "address", address)


def is_of_one_host(address: str) -> bool:
    """Whether an address means another place on another host. Loopback and wildcard do not: they stay as they are,

    or a console that was kept on the host itself would be opened to a network.
    """
    if not address:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address.lower() not in _LOOPBACK_NAMES  # another name is most often the host's own
    # Before 3.13, Python does not look into the IPv4 address that an IPv6 one may hold.
    inner = getattr(parsed, "ipv4_mapped", None) or parsed
    return not (inner.is_loopback or inner.is_unspecified)


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
