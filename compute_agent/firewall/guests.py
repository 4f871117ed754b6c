"""What a host filters: its guests that have rules, and by which interfaces of the host each of them is met."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from common.facts import InterfaceFacts
from common.transfer import Filtering, PortRules

STEADY_PREFIX = "lm"
AUTOMATIC_PREFIX = (
    "vnet"  # libvirt's own names: it gives a new number with each start, and takes none from XML
)
_TAP_NAME = re.compile(r"[A-Za-z0-9_.:@+-]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredPort:
    """One interface of a guest that has rules."""

    rules: PortRules
    taps: tuple[str, ...] = ()  # what its tap is called on this host, or is going to be
    bridges: tuple[str, ...] = ()  # that its tap is in


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredGuest:
    """One guest with rules; each of its ports has some."""

    instance: str  # uuid
    revision: int
    ports: tuple[FilteredPort, ...] = field(default_factory=tuple)


def steady_tap(mac: str) -> str:
    """What a tap is called that comes with a migration: known before it exists, and 14 of the kernel's 15 letters."""
    return STEADY_PREFIX + mac.replace(":", "").lower()


def tap_on_dest(interface: InterfaceFacts) -> str:
    """What the interface's tap is going to be called: a name of its operator's is kept, libvirt's own is not."""
    if interface.tap and not interface.tap.startswith(AUTOMATIC_PREFIX):
        return interface.tap
    return steady_tap(interface.mac)


def without_automatic_taps(interfaces: Iterable[InterfaceFacts]) -> tuple[InterfaceFacts, ...]:
    """Those of a guest that is gone: libvirt gives its taps' names to others, after a reboot from vnet0 on."""
    return tuple(
        replace(interface, tap="") if interface.tap.startswith(AUTOMATIC_PREFIX) else interface
        for interface in interfaces
    )


def can_be_named(tap: str) -> bool:
    """Whether a rule can name it. The kernel permits nearly any letter, a rule's language does not."""
    return _TAP_NAME.fullmatch(tap) is not None


def filtered(
    instance: str, filtering: Filtering, interfaces: Iterable[InterfaceFacts], *, is_arriving: bool = False
) -> FilteredGuest:
    """The guest as it is met here: by the interfaces that it has, or those that it is to get when it arrives."""
    by_mac = {interface.mac.lower(): interface for interface in interfaces}
    return FilteredGuest(
        instance=instance,
        revision=filtering.revision,
        ports=tuple(
            _port(rules, by_mac.get(rules.mac.lower()), is_arriving=is_arriving) for rules in filtering.ports
        ),
    )


def _port(rules: PortRules, interface: InterfaceFacts | None, *, is_arriving: bool) -> FilteredPort:
    taps = {steady_tap(rules.mac)}
    if interface is not None:
        name = tap_on_dest(interface) if is_arriving else interface.tap
        taps |= {name} if name else set()
    bridges = (interface.source,) if interface is not None and interface.source else ()
    return FilteredPort(rules=rules, taps=tuple(sorted(taps)), bridges=bridges)
