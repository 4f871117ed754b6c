"""How one disk gets to the dest, by what both hosts see of it and of each image below it. Pure.

| its own image | auto | shared | block |
|---|---|---|---|
| both see the same one | shared | shared | refused: it would be copied onto itself |
| the dest has nothing of its name | copied | refused | copied |
| the dest has another one of its name | refused | refused | refused: nothing is ever overwritten |
| not looked at | refused | refused | refused |

Of a disk that is copied the images below it may be shared, missing or equal on the dest: the dest sees to that when it
prepares itself. Of one that is shared all of them must be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from common.checks import STORAGE_NOT_SHARED, Finding
from common.facts import DiskFacts
from common.states import DiskWay, StorageMode
from common.storage_checks import BLOCK_ON_SHARED, DISK_IN_THE_WAY, DISK_NOT_COPYABLE


class Seen(StrEnum):
    """What is known of one image on both hosts."""

    SHARED = "shared"
    ABSENT = "absent"  # the dest has nothing of its name
    OTHER = "other"  # it has something of its name that is not this one
    UNKNOWN = "unknown"  # nobody has looked at it; that is told by a finding of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    path: str
    seen: Seen
    reason: str = ""  # a half-sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`way` is what would be done if no finding refused it."""

    way: DiskWay
    findings: tuple[Finding, ...] = ()


def decide(disk: DiskFacts, own: Sight, below: Sequence[Sight], *, mode: StorageMode, dest: str) -> Decision:
    """For a disk that is neither a medium nor on a server."""
    is_local = own.seen is Seen.ABSENT and mode is not StorageMode.SHARED
    if not is_local:
        return Decision(
            way=DiskWay.SHARED, findings=tuple(_not_shared(disk, own, below, mode=mode, dest=dest))
        )
    if disk.is_shareable:
        reason = "it is shareable, and other guests would keep writing to the one that stays"
        refusal = DISK_NOT_COPYABLE.finding(
            dest, disk=disk.target, path=disk.source, dest=dest, reason=reason
        )
        return Decision(way=DiskWay.COPIED, findings=(refusal,))
    return Decision(way=DiskWay.COPIED)


def _not_shared(
    disk: DiskFacts, own: Sight, below: Sequence[Sight], *, mode: StorageMode, dest: str
) -> Iterator[Finding]:
    match own.seen, mode:
        case Seen.SHARED, StorageMode.BLOCK:
            yield BLOCK_ON_SHARED.finding(dest, disk=disk.target, path=disk.source)
        case Seen.ABSENT, StorageMode.SHARED:
            yield _refused(disk, own, dest)
        case Seen.OTHER, StorageMode.SHARED:
            yield _refused(disk, own, dest)
        case Seen.OTHER, _:
            yield DISK_IN_THE_WAY.finding(dest, disk=disk.target, path=disk.source, reason=own.reason)
    if own.seen is Seen.SHARED or mode is StorageMode.SHARED:
        for layer in below:
            if layer.seen in (Seen.ABSENT, Seen.OTHER):
                yield _refused(disk, layer, dest)


def _refused(disk: DiskFacts, sight: Sight, dest: str) -> Finding:
    directory = str(Path(sight.path).parent)
    return STORAGE_NOT_SHARED.finding(
        dest, disk=disk.target, path=sight.path, directory=directory, reason=sight.reason
    )
