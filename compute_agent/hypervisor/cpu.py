"""CPUs as libvirt describes them: which kind a guest has, and how two hosts' differ. Pure.

Of a host's `<cpu>` in the capabilities only that is compared which a guest sees that was given this CPU: vendor, model and
features, its family and model numbers, and the width of its addresses; not its microcode, clock, topology or page sizes.
Two versions of libvirt may name one CPU differently: then they count as different, as nothing better can be shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from compute_agent.hypervisor.xml_text import XmlText

FEATURES_SHOWN = 12  # two makes of CPU differ in a hundred

HOST_PASSTHROUGH = "host-passthrough"
MAXIMUM = "maximum"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestCpu:
    """The `<cpu>` of a domain's XML."""

    mode: str  # custom, host-model, host-passthrough, maximum
    model: str
    is_checked: bool  # whether libvirt would refuse to start it where features are missing


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCpu:
    """The `<cpu>` of a host's capabilities. Empty: not told by this libvirt."""

    arch: str
    vendor: str
    model: str
    signature: str  # family and model number; a stepping changes nothing that a guest relies on
    address_bits: str
    features: frozenset[str]


def guest_cpu(xml: str) -> GuestCpu:
    """Raises ValueError for what is not XML."""
    cpu = XmlText.parse(xml).root
    return GuestCpu(
        mode=cpu.get("mode", "custom"),
        model=cpu.text_of("model"),
        is_checked=cpu.get("check") != "none",
    )


def host_cpu(xml: str) -> HostCpu:
    """Raises ValueError for what is not XML."""
    cpu = XmlText.parse(xml).root
    signature, address = cpu.find("signature"), cpu.find("maxphysaddr")
    return HostCpu(
        arch=cpu.text_of("arch"),
        vendor=cpu.text_of("vendor"),
        model=cpu.text_of("model"),
        signature=f"{signature.get('family')}/{signature.get('model')}" if signature is not None else "",
        address_bits=address.get("bits") if address is not None else "",
        features=frozenset(feature.get("name") for feature in cpu.find_all("feature")),
    )


def differences(source: HostCpu, dest: HostCpu) -> tuple[str, ...]:
    """What differs, the source's first; nothing for CPUs that a guest cannot tell apart."""
    return tuple(_differences(source, dest))


def _differences(source: HostCpu, dest: HostCpu) -> Iterator[str]:
    pairs = (
        ("architecture", source.arch, dest.arch),
        ("vendor", source.vendor, dest.vendor),
        ("model", source.model, dest.model),
        ("family/model number", source.signature, dest.signature),
        ("address bits", source.address_bits, dest.address_bits),
    )
    for what, here, there in pairs:
        if here and there and here != there:
            yield f"{what} {here} and {there}"
    if source.features - dest.features:
        yield f"it lacks {_names(source.features - dest.features)}"
    if dest.features - source.features:
        yield f"it has {_names(dest.features - source.features)} besides"


def _names(features: frozenset[str]) -> str:
    shown, more = sorted(features)[:FEATURES_SHOWN], len(features) - FEATURES_SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
