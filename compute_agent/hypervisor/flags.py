"""libvirt's migration flags by name, and the one that never passes."""

from collections.abc import Iterable

import libvirt

_PREFIX = "VIR_MIGRATE_"


def flags_value(names: Iterable[str]) -> int:
    """The number for libvirt of flags given by their full names. Raises ValueError for an unknown one and for UNSAFE."""
    value = 0
    for name in names:
        flag = _all_flags().get(name)
        if flag is None:
            raise ValueError(f"libvirt knows no migration flag {name}")
        value |= flag
    require_safe(value)
    return value


def flag_names(value: int) -> tuple[str, ...]:
    """The names of the flags in `value`, in the order of their numbers."""
    return tuple(
        name for name, flag in sorted(_all_flags().items(), key=lambda item: item[1]) if value & flag
    )


def require_safe(value: int) -> None:
    """Raise ValueError if the value contains UNSAFE.

    UNSAFE switches off libvirt's check that the disks are coherent between both hosts: with it a guest's data can
    be lost by a migration that reports success. No configuration and no fault justifies it.
    """
    if value & libvirt.VIR_MIGRATE_UNSAFE:
        raise ValueError(f"{_PREFIX}UNSAFE is never allowed")


def _all_flags() -> dict[str, int]:
    return {
        name: getattr(libvirt, name)
        for name in dir(libvirt)
        if name.startswith(_PREFIX) and isinstance(getattr(libvirt, name), int)
    }
