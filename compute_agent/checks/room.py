"""On the source: whether what is copied fits where the dest would make it, by what the dest has told of each place. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.checks import Finding
from common.place_checks import DISK_ROOM_SHORT
from common.room import DiskRoom
from common.states import DiskWay
from common.transfer import DiskTransfer
from compute_agent.checks.look import SourceLook

MIB = 2**20


@dataclass(slots=True)
class _Need:
    """Of one place."""

    room: DiskRoom
    full_bytes: int = 0  # what it may take some day
    least_bytes: int = 0  # what it takes already


def check_room(look: SourceLook, disks: Iterable[DiskTransfer]) -> Iterator[Finding]:
    """A warning where the conductor's ratio lets disks be larger than their storage, and what they take now fits."""
    for need in _needs(look.reach.rooms, disks):
        free_bytes = need.room.free_bytes
        if free_bytes >= need.full_bytes:
            continue
        is_overcommitted = look.declared.disk_allocation_ratio > 1.0 and free_bytes >= need.least_bytes
        found = DISK_ROOM_SHORT.warning if is_overcommitted else DISK_ROOM_SHORT.refusal
        yield found(
            look.dest_host,
            instance=look.guest.name,
            place=need.room.place,
            needed_mib=-(-need.full_bytes // MIB),
            free_mib=free_bytes // MIB,
        )


def _needs(rooms: Iterable[DiskRoom], disks: Iterable[DiskTransfer]) -> Iterable[_Need]:
    """What has no room told is not made there, or a dest of an older version says nothing of it."""
    known = {(room.disk, room.path): room for room in rooms}
    needs: dict[str, _Need] = {}
    for disk in disks:
        for number, image in enumerate(disk.images if disk.way is DiskWay.COPIED else ()):
            room = known.get((disk.target, image.path))
            if room is None or image.is_shared:
                continue
            need = needs.setdefault(room.key, _Need(room=room))
            need.least_bytes += image.allocated_bytes
            need.full_bytes += image.virtual_bytes if number == 0 else image.allocated_bytes
    return needs.values()
