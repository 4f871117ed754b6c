"""Which parts of a guest's disks both hosts must have in common. Pure."""

from typing import Final

from common.facts import DiskFacts
from compute_agent.storage.driver import Disk

LAYER: Final = "layer"  # in the place of libvirt's word for a device
_REMOVABLE: Final = ("cdrom", "floppy")
_LOCAL_TYPES: Final = ("file", "block")
_DISPENSABLE: Final = ("optional", "requisite")


def is_only_read(disk: DiskFacts) -> bool:
    """Whether any copy will do, if the dest has one: nobody writes what the other host would then have to see.

    An image below a disk is only read too, but an overlay means nothing without just the base that it was made on.
    """
    return disk.type in _LOCAL_TYPES and (disk.is_readonly or disk.device == "cdrom")


def is_dispensable(disk: DiskFacts) -> bool:
    """Whether the guest starts on the dest without it: a drive without a medium, or one that libvirt may empty."""
    return not disk.source or (is_removable(disk) and disk.startup_policy in _DISPENSABLE)


def is_removable(disk: DiskFacts) -> bool:
    """Whether it is a drive that may be without a medium."""
    return disk.device in _REMOVABLE


def shared_parts(disk: DiskFacts) -> tuple[Disk, ...]:
    """The disk and each image below it; none of a disk that is only read."""
    if is_only_read(disk):
        return ()
    own = Disk(target=disk.target, type=disk.type, path=disk.source, device=disk.device)
    return (own, *(_layer(disk.target, kind, path) for kind, path in disk.layers))


def _layer(target: str, kind: str, path: str) -> Disk:
    return Disk(target=target, type=kind, path=path, device=LAYER)
