"""Which parts of a guest's disks both hosts must have in common. Pure."""

from typing import Final

from common.facts import DiskFacts
from compute_agent.storage.driver import Disk

LAYER: Final = "layer"  # in the place of libvirt's word for a device


def shared_parts(disk: DiskFacts) -> tuple[Disk, ...]:
    """The disk and each image below it: an overlay means nothing without just the base that it was made on."""
    own = Disk(target=disk.target, type=disk.type, path=disk.source, device=disk.device)
    return (own, *layers(disk))


def layers(disk: DiskFacts) -> tuple[Disk, ...]:
    return tuple(Disk(target=disk.target, type=kind, path=path, device=LAYER) for kind, path in disk.layers)
