"""Images that are block devices: made by whoever gives out such volumes, which the path says.

A device that is none of these (a disk, a partition, a unit of an array) cannot be made: it is shared, or stays.
"""

from typing import Final

from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.storage import lvm, zfs
from compute_agent.storage.making import (
    Identity,
    ImageMaker,
    ImageNotCopyableError,
    MadeImage,
    Note,
    WantedImage,
)
from compute_agent.storage.room import Room

NO_VOLUME: Final = (
    "its path names neither a volume of LVM (/dev/GROUP/VOLUME) nor one of ZFS (/dev/zvol/...), and no other device "
    "can be made"
)


class DeviceMaker:
    """See `making.ImageMaker`. `name` of an image is its path."""

    def __init__(self, *, logical: ImageMaker | None = None, zvols: ImageMaker | None = None) -> None:
        self._logical = logical or lvm.LogicalVolumes()
        self._zvols = zvols or zfs.ZfsVolumes()

    def describe(self, disk: DiskFacts) -> DiskImage:
        return self._of(disk.source).describe(disk)

    def obstacle(self, path: str) -> str:
        try:
            return self._of(path).obstacle(path)
        except ImageNotCopyableError as error:
            return error.fields["reason"]

    def room(self, path: str) -> Room | None:
        return self._of(path).room(path)

    def place(self, name: str) -> str:
        return name

    def find(self, name: str) -> Identity | None:
        return self._of(name).find(name)

    def make(self, wanted: WantedImage, *, note: Note) -> None:
        self._of(wanted.image.path).make(wanted, note=note)

    def sync(self, name: str) -> None:
        self._of(name).sync(name)

    def remove(self, made: MadeImage) -> bool:
        return self._of(made.name).remove(made)

    def _of(self, path: str) -> ImageMaker:
        if path.startswith(zfs.DIRECTORY):
            return self._zvols
        if lvm.volume_of(path) is None:
            raise ImageNotCopyableError(path=path, reason=NO_VOLUME)
        return self._logical
