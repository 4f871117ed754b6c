"""Images that are logical volumes of LVM: linear, striped and thin ones. `name` of an image is its path.

The mark of a volume is a tag, which lvcreate writes with it; what it is known by is its uuid.

QEMU fills a volume from its first to its last byte, and only one of exactly the source's size: nothing is zeroed before,
and a volume group whose extents do not allow that size is refused.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.errors import CommandError
from compute_agent.storage.making import (
    Identity,
    ImageInUseError,
    ImageMakingError,
    ImageNotCopyableError,
    MadeImage,
    WantedImage,
)
from compute_agent.storage.marked_volumes import CHANGE_TIMEOUT_S, LOOK_TIMEOUT_S, MarkedVolumes
from compute_agent.storage.room import Room
from compute_agent.subprocesses import Finished

MADE_LIKE = ("linear", "striped", "thin")

_NAME = r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*"
_BY_GROUP = re.compile(rf"^/dev/(?!mapper/)(?P<group>{_NAME})/(?P<volume>{_NAME})$")
# device-mapper doubles the hyphens of each name and puts a single one between them (lvm(8), VALID NAMES).
_BY_MAPPER = re.compile(r"^/dev/mapper/(?P<group>(?:[^-/]|--)+)-(?P<volume>(?:[^-/]|--)+)$")
_FIELDS: Final = "lv_uuid,lv_size,segtype,pool_lv,lv_tags,lv_role,lv_device_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One logical volume, by its names."""

    group: str
    volume: str

    def __str__(self) -> str:
        return f"{self.group}/{self.volume}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    uuid: str
    size_bytes: int
    types: tuple[str, ...]  # of its segments
    pool: str
    tags: tuple[str, ...]
    roles: tuple[str, ...]
    is_open: bool


def volume_of(path: str) -> Volume | None:
    """The volume that a path names by group and volume: /dev/GROUP/VOLUME, /dev/mapper/GROUP-VOLUME. Pure."""
    by_mapper = _BY_MAPPER.match(path)
    if by_mapper is not None:
        group, volume = (by_mapper[part].replace("--", "-") for part in ("group", "volume"))
        is_named = re.fullmatch(_NAME, group) and re.fullmatch(_NAME, volume)
        return Volume(group=group, volume=volume) if is_named else None
    by_group = _BY_GROUP.match(path)
    return Volume(group=by_group["group"], volume=by_group["volume"]) if by_group is not None else None


class LogicalVolumes(MarkedVolumes[_Found]):
    """See `making.ImageMaker`. The paths are `volume_of`'s."""

    ID = "uuid"

    def describe(self, disk: DiskFacts) -> DiskImage:
        try:
            found = self._find(disk.source)
        except CommandError as error:
            raise ImageNotCopyableError(path=disk.source, reason=str(error)) from error
        reason = "LVM knows no such volume" if found is None else _against_copying(found, disk.format)
        if found is None or reason:
            raise ImageNotCopyableError(path=disk.source, reason=reason)
        return DiskImage(
            type="block",
            path=disk.source,
            format=disk.format,
            virtual_bytes=found.size_bytes,
            allocated_bytes=found.size_bytes,
            options={"thin_pool": found.pool} if found.pool else {},
            identity={"uuid": found.uuid},
        )

    def obstacle(self, path: str) -> str:
        volume = _volume(path)
        try:
            group = self._row("vgs", ["-o", "vg_name", volume.group], of="vg")
            found = self._find(path) if group is not None else None
        except CommandError as error:
            return str(error).rstrip(".")
        if group is None:
            return f"it has no volume group {volume.group}"
        return (
            f"its volume group {volume.group} has a volume {volume.volume}, which is not active"
            if found
            else ""
        )

    def room(self, path: str) -> Room | None:
        volume = _volume(path)
        group = self._row("vgs", ["-o", "vg_free", volume.group], of="vg")
        if group is None:
            return None
        place = f"the volume group {volume.group}"
        return Room(key=place, place=place, free_bytes=int(group["vg_free"]))

    def remove(self, made: MadeImage) -> bool:
        volume = _volume(made.name)
        found = self._find(made.name)
        if found is None or not self._is_ours(found, made.identity):
            return False
        if found.is_open:
            raise ImageInUseError(path=made.name)
        removed = self._run(["lvremove", "--yes", str(volume)], timeout_s=CHANGE_TIMEOUT_S)
        if removed.code != 0:
            raise CommandError(program="lvremove", reason=removed.last_line)
        return True

    def _check(self, image: DiskImage) -> None:
        volume = _volume(image.path)
        group = self._row("vgs", ["-o", "vg_extent_size", volume.group], of="vg")
        if group is None:
            raise ImageMakingError(path=image.path, reason=f"there is no volume group {volume.group}")
        extent_bytes = int(group["vg_extent_size"])
        if not image.options.get("thin_pool") and image.virtual_bytes % extent_bytes:
            reason = (
                f"it has {image.virtual_bytes} bytes, and {volume.group} gives volumes out by {extent_bytes}; "
                "QEMU copies only to a volume of the same size"
            )
            raise ImageMakingError(path=image.path, reason=reason)

    def _id(self, found: _Found) -> str:
        return found.uuid

    def _mark(self, migration: str) -> Identity:
        return {"tag": f"limosa_{migration}"}

    def _is_marked(self, found: _Found, identity: Identity) -> bool:
        return identity.get("tag") in found.tags

    def _create_command(self, wanted: WantedImage) -> list[str]:
        tag = self._mark(wanted.migration)["tag"]
        return create_command(_volume(wanted.image.path), wanted.image, tag=tag)

    def _find(self, path: str) -> _Found | None:
        """None also where there is no such group."""
        volume = _volume(path)
        rows = self._rows("lvs", ["-o", _FIELDS, str(volume)], of="lv")
        if not rows:
            return None
        first = rows[0]  # one for each segment
        return _Found(
            uuid=first["lv_uuid"],
            size_bytes=int(first["lv_size"]),
            types=tuple(dict.fromkeys(row["segtype"] for row in rows)),
            pool=first["pool_lv"],
            tags=tuple(filter(None, first["lv_tags"].split(","))),
            roles=tuple(first["lv_role"].split(",")),
            is_open=first["lv_device_open"] in ("open", "1"),
        )

    def _row(self, program: str, arguments: Sequence[str], *, of: str) -> Mapping[str, str] | None:
        rows = self._rows(program, arguments, of=of)
        return rows[0] if rows else None

    def _rows(self, program: str, arguments: Sequence[str], *, of: str) -> Sequence[Mapping[str, str]]:
        """Raises CommandError. Of what LVM does not find it says so and ends with 5, a report without rows before it."""
        argv = [program, "--reportformat", "json", "--units", "b", "--nosuffix", *arguments]
        finished = self._run(argv, timeout_s=LOOK_TIMEOUT_S)
        try:
            [report] = json.loads(finished.stdout)["report"]
            rows: Sequence[Mapping[str, str]] = report[of]
        except (ValueError, KeyError) as error:
            raise CommandError(program=program, reason=finished.last_line) from error
        if finished.code != 0 and not _is_not_found(finished):
            raise CommandError(program=program, reason=finished.last_line)
        return rows


def create_command(volume: Volume, image: DiskImage, *, tag: str) -> list[str]:
    """The command that makes an empty volume like this one. Pure."""
    pool, size = image.options.get("thin_pool"), f"{image.virtual_bytes}b"
    kind = (
        ["--thinpool", pool, "--virtualsize", size]
        if pool
        else ["--zero", "n", "--wipesignatures", "n", "--size", size]
    )
    return ["lvcreate", "--quiet", "--name", volume.volume, "--addtag", tag, *kind, volume.group]


def _against_copying(found: _Found, format: str) -> str:
    if format != "raw":
        return f"its format is {format}, and a volume can be made anew only for raw"
    unlike = [type for type in found.types if type not in MADE_LIKE]
    if unlike:
        return f"it is a volume of type {unlike[0]}, and only {', '.join(MADE_LIKE)} ones can be made anew"
    if "origin" in found.roles:
        return "it has snapshots, which would stay behind"
    return ""


def _is_not_found(finished: Finished) -> bool:
    return "not found" in finished.stderr or "Failed to find logical volume" in finished.stderr


def _volume(path: str) -> Volume:
    volume = volume_of(path)
    if volume is None:
        raise ImageNotCopyableError(path=path, reason="it does not name a volume group and a volume")
    return volume
