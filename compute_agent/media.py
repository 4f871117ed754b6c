"""Which files a guest only reads: its media, read-only disks, and what it is started with. Pure.

They are copied ahead, or found equal on the dest; nobody writes what the other host would then have to see.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from common.facts import GuestFacts
from compute_agent.storage import parts

# The firmware, and what the file of its variables is made from: those of the dest will do if they are as long, since QEMU
# brings what is in them.
FIRMWARE: Final = ("loader", "template")
NVRAM: Final = "nvram"  # written by the guest; QEMU brings it


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    what: str  # target of the drive or disk (sda), or kernel, initrd, dtb, loader, template
    path: str
    type: str = "file"
    is_removable: bool = False
    is_dispensable: bool = False

    @property
    def can_be_copied(self) -> bool:
        return self.type == "file" and self.path.startswith("/")


def media_of(guest: GuestFacts) -> tuple[Medium, ...]:
    """All of them. Not a read-only disk that stands on other images: what it is made of is not one file."""
    return (*_of_disks(guest), *_of_boot(guest))


def _of_disks(guest: GuestFacts) -> Iterator[Medium]:
    for disk in guest.disks:
        if disk.source and parts.is_only_read(disk) and not disk.layers:
            yield Medium(
                what=disk.target,
                path=disk.source,
                type=disk.type,
                is_removable=parts.is_removable(disk),
                is_dispensable=parts.is_dispensable(disk),
            )


def _of_boot(guest: GuestFacts) -> Iterator[Medium]:
    for what, path in guest.boot_files:
        if what != NVRAM:
            yield Medium(what=what, path=path)
