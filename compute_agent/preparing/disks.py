"""The guest's own disks: empty ones like them on the dest before it comes, the source's removed when it has left.

| way of a disk | dest | source |
|---|---|---|
| copied | its image is made, those below it are there or copied; undo removes what was made | its image is removed |
| all others | nothing | nothing |

A disk exists twice from `prepare` until `release`, and the source's is the only one that counts until the hand-over is
committed. So: nothing is made over anything; what QEMU has written is on stable storage before the source is told to let
go (`complete`); and the source removes only what it described for the plan, by its identity, that no other guest of the
host names or stands on, and while no QEMU holds it.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

from common import concurrency
from common.checks import Finding
from common.errors import LimosaError
from common.facts import GuestFacts
from common.storage_checks import BASE_IMAGE_DIFFERS, DISK_IN_THE_WAY
from common.transfer import DiskImage, DiskTransfer
from compute_agent.copying import Copying, Original
from compute_agent.errors import PlaceTakenError, WorkStoppedError
from compute_agent.migrate_request import connection_uri
from compute_agent.preparing.arrivals import Item
from compute_agent.preparing.preparation import (
    Arrival,
    Departure,
    HoldSourceError,
    Preparation,
    Prepared,
    Released,
    Undoing,
)
from compute_agent.settings import Settings
from compute_agent.storage.making import (
    Identity,
    ImageExistsError,
    ImageMaker,
    ImageMakingError,
    MadeImage,
    WantedImage,
)
from compute_agent.storage.users import users_of
from compute_agent.subprocesses import User

DIRECTORY: Final = "directory"  # a kind of item, beside those of the makers
BASES: Final = "base images"  # part of the record: copies of images below a disk
UNWRITTEN: Final = "unwritten disks"  # likewise: those of which the kernel has lost something
DIRECTORY_TIMEOUT_S = 20.0
_DIRECTORY_MODE = 0o755
_LOSSES: Final = (errno.EIO, errno.ENOSPC, errno.EDQUOT)


class Disks(Preparation):
    """See `preparation.Preparation`."""

    name: ClassVar[str] = "disks"

    def __init__(
        self,
        makers: Mapping[str, ImageMaker],
        *,
        copying: Copying,
        guests: Callable[[], Iterable[GuestFacts]],
        settings: Settings,
    ) -> None:
        """`guests`: all of this host."""
        self._makers = makers
        self._copying = copying
        self._guests = guests
        self._settings = settings

    # ---- on the dest, before

    def prepare(self, arrival: Arrival) -> Prepared:
        findings: list[Finding] = []
        for disk in arrival.plan.copied:
            if arrival.is_stopped():
                raise WorkStoppedError(what=f"disk {disk.target}")
            against = self._bring_bases(disk, arrival) or self._make(disk, arrival)
            findings += against
        return Prepared(findings=tuple(findings))

    def _bring_bases(self, disk: DiskTransfer, arrival: Arrival) -> list[Finding]:
        """The lowest first, so that no image ever names one that is not there."""
        for image in reversed(disk.images[1:]):
            if image.is_shared:
                continue
            try:
                self._bring(image, arrival)
            except PlaceTakenError:
                return [BASE_IMAGE_DIFFERS.finding(self._settings.host, disk=disk.target, path=image.path)]
        return []

    def _bring(self, image: DiskImage, arrival: Arrival) -> None:
        obstacle = self._makers["file"].obstacle(image.path)
        if obstacle:
            raise ImageMakingError(path=image.path, reason=obstacle)
        place = concurrency.call_blocking(_without_dots, Path(image.path), timeout_s=DIRECTORY_TIMEOUT_S)
        if not concurrency.call_blocking(place.parent.exists, timeout_s=DIRECTORY_TIMEOUT_S):
            arrival.record.write(Item(part=self.name, kind=DIRECTORY, name=str(place.parent)))
            concurrency.call_blocking(_make_directory, place.parent, timeout_s=DIRECTORY_TIMEOUT_S)
        self._copying.copy(
            Original(
                path=image.path,
                size_bytes=image.size_bytes,
                sha256=image.sha256,
                allocated_bytes=image.allocated_bytes,
                mode=image.mode,
                uid=image.uid,
                gid=image.gid,
            ),
            place,
            uri=connection_uri(self._settings.live_migration, arrival.source_address),
            record=arrival.record,
            part=BASES,
            is_stopped=arrival.is_stopped,
        )

    def _make(self, disk: DiskTransfer, arrival: Arrival) -> list[Finding]:
        name, image = _name(disk), disk.images[0]
        noted = next((item.identity for item in arrival.record.items(self.name) if item.name == name), {})

        def note(identity: Identity) -> None:
            arrival.record.write(Item(part=self.name, kind=image.type, name=name, identity=identity))

        try:
            self._makers[image.type].make(_wanted(disk, arrival.migration, noted), note=note)
        except ImageExistsError:
            return [
                DISK_IN_THE_WAY.finding(
                    self._settings.host, disk=disk.target, path=image.path, reason="it appeared meanwhile"
                )
            ]
        return []

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        items = undoing.record.items(self.name)
        images = [item for item in reversed(items) if item.kind != DIRECTORY]
        if undoing.keep_disks:
            return tuple(f"{item.name} is kept, as the guest may have run on it" for item in images)
        sentences = (*self._remove(images, undoing), *self._copying.undo(undoing.record, BASES))
        for item in items:
            if item.kind == DIRECTORY:
                concurrency.call_blocking(_remove_directory, Path(item.name), timeout_s=DIRECTORY_TIMEOUT_S)
                undoing.record.forget(item)
        return sentences

    def _remove(self, images: Sequence[Item], undoing: Undoing) -> Iterator[str]:
        for item in images:
            if self._makers[item.kind].remove(MadeImage(name=item.name, identity=item.identity)):
                yield f"{item.name} was removed"
            undoing.record.forget(item)

    # ---- on the dest, after

    def complete(self, arrival: Arrival) -> tuple[str, ...]:
        """The source's disks are as good as gone from here on: what they hold must survive a loss of power here."""
        for disk in arrival.plan.copied:
            self._sync(disk, arrival)
        return ()

    def _sync(self, disk: DiskTransfer, arrival: Arrival) -> None:
        """The kernel tells of what it could not write once, and of no more at the next call: that must be remembered."""
        name, what = _name(disk), f"disk {disk.target}"
        for lost in arrival.record.items(UNWRITTEN):
            if lost.name == name:
                raise HoldSourceError(what=what, reason=lost.identity["reason"])
        try:
            self._makers[disk.images[0].type].sync(name)
        except (LimosaError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, OSError) and error.errno in _LOSSES:
                reason = f"{reason}; what its host could not write is lost, and the source's disk is kept"
                lost = Item(part=UNWRITTEN, kind=disk.images[0].type, name=name, identity={"reason": reason})
                arrival.record.write(lost)
            raise HoldSourceError(what=what, reason=reason) from error

    # ---- on the source

    def release(self, departure: Departure) -> Released:
        """Images below a disk stay: other guests may stand on them."""
        copied = departure.plan.copied
        guests = tuple(self._guests()) if copied else ()
        return Released(sentences=tuple(self._let_go(disk, guests) for disk in copied))

    def _let_go(self, disk: DiskTransfer, guests: Iterable[GuestFacts]) -> str:
        name, image = _name(disk), disk.images[0]
        maker = self._makers[image.type]
        users = users_of(maker.place(name), guests)
        if users:
            return f"disk {disk.target} ({name}) stays, as {' and '.join(users)} of this host stands on it"
        if maker.remove(MadeImage(name=name, identity=image.identity)):
            return f"disk {disk.target} ({name}) was removed"
        if maker.find(name) is None:
            return f"disk {disk.target} ({name}) is gone"
        return f"what is at {name} now was not disk {disk.target}: it was left alone"


def _name(disk: DiskTransfer) -> str:
    return f"{disk.pool}/{disk.volume}" if disk.pool else disk.images[0].path


def _wanted(disk: DiskTransfer, migration: str, noted: Identity) -> WantedImage:
    image = disk.images[0]
    owner = None if image.uid is None or image.gid is None else User(uid=image.uid, gid=image.gid)
    return WantedImage(
        target=disk.target,
        migration=migration,
        image=image,
        noted=noted,
        owner=owner,
        pool=disk.pool,
        volume=disk.volume,
    )


# ---- in native threads


def _without_dots(path: Path) -> Path:
    """An overlay's header may lead through a directory that is made only with the overlay: guests/web1/../bases/debian."""
    return Path(os.path.realpath(path.parent)) / path.name


def _make_directory(directory: Path) -> None:
    directory.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)


def _remove_directory(directory: Path) -> None:
    with suppress(OSError):  # not empty, or gone: somebody uses it, or has removed it
        directory.rmdir()
