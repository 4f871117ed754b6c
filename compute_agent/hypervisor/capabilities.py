"""libvirt's capabilities XML: what a host is, and which guests it can run. Pure.

The format: libvirt.org/formatcaps.html. Whatever is missing there is empty here: an older or newer libvirt is no error.
"""

from dataclasses import dataclass

from compute_agent.hypervisor.looks import Offer
from compute_agent.hypervisor.xml_text import Element, XmlText

UNKNOWN_CPU_MODEL = "unknown"
_DAC = "dac"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What this version of Limosa reads from the document."""

    cpu_xml: str
    cpu_model: str
    cpu_arch: str
    security_models: tuple[str, ...]
    qemu_uid: int | None
    qemu_gid: int | None
    offers: tuple[Offer, ...]
    host_uuid: str = ""


def read(xml: str) -> Capabilities:
    """Raises ValueError for what is not XML at all."""
    document = XmlText.parse(xml)
    root = document.root
    cpu = root.find("host/cpu")
    uid, gid = _qemu_ids(root)
    return Capabilities(
        cpu_xml=document.outer(cpu) if cpu is not None else "",
        cpu_model=cpu.text_of("model", UNKNOWN_CPU_MODEL) if cpu is not None else UNKNOWN_CPU_MODEL,
        cpu_arch=cpu.text_of("arch") if cpu is not None else "",
        security_models=tuple(model.text_of("model") for model in root.find_all("host/secmodel")),
        qemu_uid=uid,
        qemu_gid=gid,
        offers=tuple(offer for guest in root.find_all("guest") for offer in _offers(guest)),
        host_uuid=root.text_of("host/uuid"),
    )


def _qemu_ids(root: Element) -> tuple[int | None, int | None]:
    """Of the dac model's `<baselabel type='kvm'>+64055:+994</baselabel>`, the same for every domain type."""
    for model in root.find_all("host/secmodel"):
        if model.text_of("model") == _DAC:
            uid, _, gid = model.text_of("baselabel").partition(":")
            return _number(uid), _number(gid)
    return None, None


def _number(text: str) -> int | None:
    digits = text.strip().removeprefix("+")
    return int(digits) if digits.isdecimal() else None


def _offers(guest: Element) -> tuple[Offer, ...]:
    """A `<domain>` inherits emulator and machines of its `<arch>` where it names none of its own."""
    arch = guest.find("arch")
    if arch is None:
        return ()
    common = _machines(arch)
    return tuple(
        Offer(
            arch=arch.get("name"),
            domain_type=domain.get("type"),
            emulator=domain.text_of("emulator", arch.text_of("emulator")),
            machines=_machines(domain) or common,
        )
        for domain in arch.find_all("domain")
    )


def _machines(element: Element) -> tuple[str, ...]:
    return tuple(machine.text for machine in element.find_all("machine"))
