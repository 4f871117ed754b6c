"""Images that are volumes of libvirt's storage pools: made as what they are, a file or a device, at the pool's own place.

Not by libvirt: what a maker of files or of devices makes is known by an identity, and never made over anything. Afterwards
libvirt is told to look. `name` of an image is POOL/VOLUME; the pool's place may be another one on each host.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.hypervisor.pools import PoolAbsentError, StoragePools, VolumePlace
from compute_agent.storage.making import (
    Identity,
    ImageMaker,
    ImageMakingError,
    ImageNotCopyableError,
    MadeImage,
    Note,
    WantedImage,
)
from compute_agent.storage.room import Room

KINDS: Final[Mapping[str, str]] = {
    "dir": "file",
    "fs": "file",
    "netfs": "file",
    "logical": "block",
    "zfs": "block",
}
"""What a volume is, by the type of its pool. Those of other pools are on servers, or whole disks."""


def place_of(pools: StoragePools, name: str) -> tuple[str, str]:
    """The type and the path of a disk that names this volume. Raises PoolAbsentError, ImageNotCopyableError."""
    pool, _, volume = name.partition("/")
    found: VolumePlace = pools.volume_place(pool, volume)
    kind = KINDS.get(found.pool_type)
    if kind is None or not found.path:
        reason = f"pool {pool} is of type {found.pool_type}, whose volumes cannot be made anew"
        raise ImageNotCopyableError(path=name, reason=reason)
    return kind, found.path


class VolumeMaker:
    """See `making.ImageMaker`."""

    def __init__(self, pools: StoragePools, makers: Mapping[str, ImageMaker]) -> None:
        self._pools = pools
        self._makers = makers

    def describe(self, disk: DiskFacts) -> DiskImage:
        try:
            maker, kind, path = self._at(disk.source)
        except PoolAbsentError as error:
            raise ImageNotCopyableError(path=disk.source, reason=error.fields["reason"]) from error
        described = maker.describe(replace(disk, type=kind, source=path))
        return replace(described, type="volume", path=disk.source)

    def obstacle(self, path: str) -> str:
        try:
            maker, _, place = self._at(path)
        except (PoolAbsentError, ImageNotCopyableError) as error:
            return f"of its storage pool: {error.fields['reason']}"
        return maker.obstacle(place)

    def room(self, path: str) -> Room | None:
        try:
            maker, _, place = self._at(path)
        except PoolAbsentError as error:
            raise ImageMakingError(path=path, reason=error.fields["reason"]) from error
        return maker.room(place)

    def place(self, name: str) -> str:
        return self._at(name)[2]

    def find(self, name: str) -> Identity | None:
        maker, _, path = self._at(name)
        return maker.find(path)

    def make(self, wanted: WantedImage, *, note: Note) -> None:
        name = wanted.image.path
        try:
            maker, kind, path = self._at(name)
            maker.make(replace(wanted, image=replace(wanted.image, type=kind, path=path)), note=note)
            self._refresh(name)
        except PoolAbsentError as error:
            raise ImageMakingError(path=name, reason=error.fields["reason"]) from error

    def sync(self, name: str) -> None:
        maker, _, path = self._at(name)
        maker.sync(path)

    def remove(self, made: MadeImage) -> bool:
        maker, _, path = self._at(made.name)
        is_removed = maker.remove(replace(made, name=path))
        self._refresh(made.name)
        return is_removed

    def _at(self, name: str) -> tuple[ImageMaker, str, str]:
        kind, path = place_of(self._pools, name)
        return self._makers[kind], kind, path

    def _refresh(self, name: str) -> None:
        self._pools.refresh_pool(name.partition("/")[0])
