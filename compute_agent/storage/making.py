"""What a guest's own disks are made with, on the host that it comes to, before QEMU fills them: one maker a disk type.

A maker never touches what it has not made. What was there before is refused by its very existence: storage that both hosts
share, and that was mistaken for local, holds the guest's only disk.

| method | host | what |
|---|---|---|
| describe | source | what the image is, for the plan |
| obstacle | dest | why none could be made there |
| room | dest | how much there is where one would be made |
| place | both | by which path it is found on this host |
| find | both | which image is there now, if any |
| make | dest | a new one, empty, of the same format, size and backing chain |
| sync | dest | what the guest has written is on stable storage, not only in this host's memory |
| remove | both | the dest's own when the guest does not come, the source's when it has left |

`makers.py` has all of them. Every method is called from ordinary (green) threads, bounds itself, and may be repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from common.errors import LimosaError
from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.storage.room import Room
from compute_agent.subprocesses import User

Identity = Mapping[str, str]
"""What tells an image from another one of its name: device and inode, a tag of LVM, a property of ZFS, ..."""

Note = Callable[[Identity], None]
"""Keeps an identity where a restart finds it. It has been kept when this returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedImage:
    """One image that is to be made here."""

    target: str  # vda
    migration: str  # in whose name it is made
    image: DiskImage  # as the source has it: type, path, format, size, what it stands on
    noted: Identity = field(default_factory=dict)  # by an earlier call that may have made it
    owner: User | None = None  # None: as it comes
    pool: str = ""  # of type volume
    volume: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeImage:
    """One image by its name and identity, all that an undo has of it."""

    name: str  # path; pool/volume
    identity: Identity  # empty: it was intended, and perhaps never made


class ImageMaker(Protocol):
    """Raises LimosaError: ImageExistsError, ImageNotCopyableError, ImageMakingError, ImageInUseError, StorageSilentError."""

    def describe(self, disk: DiskFacts) -> DiskImage:
        """On the source: the disk's own image, without those below it. Raises ImageNotCopyableError."""

    def obstacle(self, path: str) -> str:
        """On the dest: why no image of this path can be made here, in a half-sentence; empty: nothing is known."""

    def room(self, path: str) -> Room | None:
        """On the dest: the room for an image of this path; None: nobody can say, or whoever makes it finds out."""

    def place(self, name: str) -> str:
        """Its path on this host, whether it is there or not."""

    def find(self, name: str) -> Identity | None:
        """The identity of what is there now; None: nothing. Follows no link."""

    def make(self, wanted: WantedImage, *, note: Note) -> None:
        """Make it. `note` is called before there is anything whose identity says more than the last one noted.

        Raises ImageExistsError where something of that name is there that is not what was `noted`, whatever it is.
        """

    def sync(self, name: str) -> None:
        """What was written to it, by whomever, survives the loss of this host's power."""

    def remove(self, made: MadeImage) -> bool:
        """Whether it was there, and is removed. Anything else of its name is left alone."""


def is_that(found: Identity | None, noted: Identity) -> bool:
    """Whether what is there is what was noted. An intention, noted before there was anything, names nothing."""
    return bool(found) and all(noted.get(key) == value for key, value in (found or {}).items())


class ImageExistsError(LimosaError):
    message = "{path} is there already, and is never overwritten."
    hint = (
        "Look whose disk it is. If both hosts see one storage there, it is the guest's own; if it was left behind, "
        "move it away and try again."
    )


class ImageNotCopyableError(LimosaError):
    """`reason` is a half-sentence."""

    message = "{path} cannot be copied to another host: {reason}."


class ImageInUseError(LimosaError):
    message = "{path} is not removed: a QEMU has it open."
    hint = "Look which guest uses it, on this host and on all that see the same storage."


class ImageMakingError(LimosaError):
    message = "{path} could not be made: {reason}"
