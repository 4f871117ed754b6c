"""Room for what is copied: held for an arrival before anything is written, against those that came before it.

A file is made sparse, so that the file system says nothing yet of what it will take. What is held stands in the arrival's
record, and counts until it is written, or the arrival has ended. A volume of a volume group has its room when it is made:
who makes it finds out.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from common.checks import Finding
from common.facts import DiskFacts
from common.migration import AbsentDisk
from common.place_checks import DISK_ROOM_SHORT
from common.room import DiskRoom
from common.transfer import TransferPlan
from compute_agent.preparing.arrivals import Arrivals, Item
from compute_agent.preparing.preparation import Arrival, Preparation, Prepared, Undoing
from compute_agent.settings import Settings
from compute_agent.storage import parts
from compute_agent.storage.gate import GATE
from compute_agent.storage.making import ImageMaker
from compute_agent.storage.room import Room, taken_bytes

LOOK_TIMEOUT_S = 20.0
MIB = 2**20
_NAME: Final = "room"  # of the preparation
_IMAGE: Final = "image"  # kind of item: its identity says where and how large it may become

Makers = Mapping[str, ImageMaker]


@dataclass(frozen=True, slots=True)
class _Need:
    """One image that is to be made here."""

    name: str
    type: str
    size_bytes: int


class RoomPreparation(Preparation):
    """See `preparation.Preparation`."""

    name: ClassVar[str] = _NAME

    def __init__(self, makers: Makers, *, arrivals: Arrivals, settings: Settings) -> None:
        self._makers = makers
        self._arrivals = arrivals
        self._settings = settings
        self._lock = threading.Lock()

    def prepare(self, arrival: Arrival) -> Prepared:
        """Hold it, or say what is short: the same for a repeated call."""
        is_overcommitted = arrival.declared.disk_allocation_ratio > 1.0
        needs = tuple(self._needs(arrival.plan, is_overcommitted=is_overcommitted))
        with self._lock:
            rooms = self._hold(arrival, needs)
            return Prepared(findings=tuple(self._short(arrival, rooms)))

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        for item in undoing.record.items(self.name):
            undoing.record.forget(item)
        return ()

    def _needs(self, plan: TransferPlan, *, is_overcommitted: bool) -> Iterator[_Need]:
        """An image below a disk is copied as it is, and only where it is missing."""
        for disk in plan.copied:
            own, *below = disk.images
            size_bytes = own.allocated_bytes if is_overcommitted else own.virtual_bytes
            yield _Need(own.path, own.type, size_bytes)
            for image in below:
                if not image.is_shared and self._makers[image.type].find(image.path) is None:
                    yield _Need(image.path, image.type, image.allocated_bytes)

    def _hold(self, arrival: Arrival, needs: Iterable[_Need]) -> Mapping[str, Room]:
        """By key."""
        rooms: dict[str, Room] = {}
        for need in needs:
            room = self._makers[need.type].room(need.name)
            if room is not None and room.file:
                rooms[room.key] = room
                identity = {"key": room.key, "file": room.file, "bytes": str(need.size_bytes)}
                arrival.record.write(Item(part=self.name, kind=_IMAGE, name=need.name, identity=identity))
        return rooms

    def _short(self, arrival: Arrival, rooms: Mapping[str, Room]) -> Iterator[Finding]:
        """Counted with what all arrivals have still to write, this one among them."""
        if not rooms:
            return
        expected = expected_bytes(self._arrivals)
        own = expected_bytes(self._arrivals, only=arrival.migration)
        for key, room in rooms.items():
            others_bytes = expected[key] - own[key]
            if room.free_bytes < expected[key]:
                yield DISK_ROOM_SHORT.finding(
                    self._settings.host,
                    instance=arrival.name,
                    place=room.place,
                    needed_mib=-(-own[key] // MIB),
                    free_mib=max(0, room.free_bytes - others_bytes) // MIB,
                )


def rooms_for(
    absent: Iterable[AbsentDisk], disks: Iterable[DiskFacts], *, makers: Makers, arrivals: Arrivals
) -> tuple[DiskRoom, ...]:
    """What there is for images that this host lacks, less what arrivals have still to write there."""
    types = {(part.target, part.path): part.type for disk in disks for part in parts.shared_parts(disk)}
    found = [(one, makers[types[one.disk, one.path]].room(one.path)) for one in absent]
    expected = expected_bytes(arrivals) if any(room is not None and room.file for _, room in found) else {}
    return tuple(
        DiskRoom(
            disk=one.disk,
            path=one.path,
            key=room.key,
            place=room.place,
            free_bytes=max(0, room.free_bytes - expected.get(room.key, 0)),
        )
        for one, room in found
        if room is not None
    )


def expected_bytes(arrivals: Arrivals, *, only: str = "") -> defaultdict[str, int]:
    """What arrivals have still to write, by the key of its room; `only`: those of one migration."""
    records = [record for record in arrivals.all() if only in ("", record.migration)]
    items = [item for record in records for item in record.items(_NAME)]
    taken = _taken(tuple(item.identity["file"] for item in items))
    found: defaultdict[str, int] = defaultdict(int)
    for item in items:
        found[item.identity["key"]] += max(0, int(item.identity["bytes"]) - taken[item.identity["file"]])
    return found


def _taken(files: tuple[str, ...]) -> Mapping[str, int]:
    def look() -> dict[str, int]:
        return {file: taken_bytes(file) for file in files}

    return GATE.look(look, timeout_s=LOOK_TIMEOUT_S, what=", ".join(files)) if files else {}
