"""What tells one block device from all others, wherever it is seen: what its storage and its kernel say of it.

A name in `proves` belongs to one device in the world: two hosts that read the same have the same device. One in `tells`
only separates: two devices may share it (a default serial, a volume group that came with a host's image), one device has
never two. Most names are in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """One block device as one host sees it. By kind: wwn, iscsi, rbd, serial, dm, ..."""

    size_bytes: int = 0
    proves: Mapping[str, str] = field(default_factory=dict)
    tells: Mapping[str, str] = field(default_factory=dict)
    is_local: bool = False  # of a kind that only its own kernel can have: zvol, zram, ...

    @property
    def names(self) -> str:
        """For a sentence."""
        named = {**self.tells, **self.proves}
        named.pop(KERNEL, None)
        return ", ".join(f"{kind} {value}" for kind, value in sorted(named.items())) or "no name at all"


KERNEL = "kernel"  # boot id and number: proves that it is one, and nothing else


class Sameness(StrEnum):
    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"  # neither is shown: nothing may be done to it that would harm in either case


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    sameness: Sameness
    reason: str  # as the end of a sentence


def compared(dest: DeviceIdentity, source: DeviceIdentity) -> Compared:
    """Whether two hosts see one device."""
    proof = _equal(dest.proves, source.proves)
    against = _unequal(dest.tells, source.tells)
    if proof:
        if against:
            return Compared(
                sameness=Sameness.UNKNOWN, reason=f"{proof} is the same on both hosts, and {against}"
            )
        if dest.size_bytes != source.size_bytes:
            sizes = f"{dest.size_bytes} and {source.size_bytes} bytes"
            return Compared(
                sameness=Sameness.UNKNOWN, reason=f"{proof} is the same on both hosts, and it has {sizes}"
            )
        return Compared(sameness=Sameness.SAME, reason=f"{proof} is the same on both hosts")
    if against:
        return Compared(sameness=Sameness.OTHER, reason=against)
    if dest.is_local or source.is_local:
        return Compared(sameness=Sameness.OTHER, reason="it is a device that only one host can have")
    return Compared(
        sameness=Sameness.UNKNOWN,
        reason=f"no name of it is both known to the two hosts and unique: it has {dest.names} on the one, "
        f"{source.names} on the other",
    )


def _equal(dest: Mapping[str, str], source: Mapping[str, str]) -> str:
    found = (f"{kind} {value}" for kind, value in dest.items() if source.get(kind) == value)
    return next(found, "")


def _unequal(dest: Mapping[str, str], source: Mapping[str, str]) -> str:
    found = (
        f"its {kind} is {value} there and {source[kind]} on the source"
        for kind, value in dest.items()
        if kind in source and source[kind] != value
    )
    return next(found, "")
