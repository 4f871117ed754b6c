"""On the dest: what becomes of a disk that it does not have. Where nothing may be copied, that alone refuses it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.checks import STORAGE_NOT_SHARED, Finding
from common.facts import DiskFacts
from common.migration import AbsentDisk
from common.states import MissingBaseImage, StorageMode
from common.storage_checks import BASE_IMAGE_MISSING, DISK_PLACE_MISSING
from compute_agent.storage import parts
from compute_agent.storage.driver import Disk
from compute_agent.storage.making import ImageMaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where guests come to, and what they may bring."""

    host: str
    mode: StorageMode
    missing_base_image: MissingBaseImage
    makers: Mapping[str, ImageMaker]


def judge(
    absent: Iterable[AbsentDisk], disks: Iterable[DiskFacts], *, place: Place
) -> tuple[tuple[AbsentDisk, ...], tuple[Finding, ...]]:
    """Those that could be given to this host, and what speaks against the others. Raises StorageSilentError."""
    parts_by_path = {(part.target, part.path): part for disk in disks for part in parts.shared_parts(disk)}
    possible: list[AbsentDisk] = []
    findings: list[Finding] = []
    for one in absent:
        against = _against(one, parts_by_path.get((one.disk, one.path)), place)
        if against is None:
            possible.append(one)
        else:
            findings.append(against)
    return tuple(possible), tuple(findings)


def _against(one: AbsentDisk, part: Disk | None, place: Place) -> Finding | None:
    maker = None if part is None else place.makers.get(part.type)
    if part is None or maker is None or place.mode is StorageMode.SHARED:
        directory = str(Path(one.path).parent)
        return STORAGE_NOT_SHARED.finding(
            place.host, disk=one.disk, path=one.path, directory=directory, reason=one.reason
        )
    if part.device == parts.LAYER and place.missing_base_image is MissingBaseImage.REFUSE:
        return BASE_IMAGE_MISSING.finding(place.host, disk=one.disk, path=one.path)
    obstacle = maker.obstacle(one.path)
    if obstacle:
        return DISK_PLACE_MISSING.finding(place.host, disk=one.disk, path=one.path, reason=obstacle)
    return None
