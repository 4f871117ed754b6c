"""What the makers of volumes on LVM and on ZFS have in common.

A volume carries the mark of its migration from the moment that it exists: its manager writes both at once, and never over
a volume of that name. From then on it is known by an id that the manager gives each volume once.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from common.transfer import DiskImage
from compute_agent.errors import CommandError
from compute_agent.storage.devices import sync_device, wait_until_there
from compute_agent.storage.making import Identity, ImageExistsError, ImageMakingError, Note, WantedImage
from compute_agent.subprocesses import Finished, run_command

LOOK_TIMEOUT_S = 30.0
CHANGE_TIMEOUT_S = 120.0  # the manager's locks, held by others, and its metadata on slow disks

F = TypeVar("F")


class Run(Protocol):
    def __call__(self, argv: Sequence[str], *, timeout_s: float) -> Finished: ...


class MarkedVolumes(ABC, Generic[F]):
    """The half of `making.ImageMaker` that is the same for all; F is what a manager tells of a volume."""

    ID: ClassVar[str]  # what an identity calls it

    def __init__(
        self, run: Run = run_command, *, wait_until_there: Callable[[str], bool] = wait_until_there
    ) -> None:
        """`run` is the door to the manager's programs."""
        self._run = run
        self._wait_until_there = wait_until_there

    def place(self, name: str) -> str:
        return name

    def find(self, name: str) -> Identity | None:
        found = self._find(name)
        return {self.ID: self._id(found)} if found is not None else None

    def make(self, wanted: WantedImage, *, note: Note) -> None:
        path, mark = wanted.image.path, self._mark(wanted.migration)
        try:
            found = self._find(path)
            if found is None:
                self._check(wanted.image)
                note(mark)
                self._create(wanted)
                found = self._find(path)
            elif not self._is_ours(found, wanted.noted):
                raise ImageExistsError(path=path)
        except CommandError as error:
            raise ImageMakingError(path=path, reason=str(error)) from error
        if found is None or not self._wait_until_there(path):
            raise ImageMakingError(path=path, reason="the volume was made, and its device does not appear")
        note({**mark, self.ID: self._id(found)})
        if wanted.owner is not None:
            os.chown(path, wanted.owner.uid, wanted.owner.gid)

    def sync(self, name: str) -> None:
        sync_device(name)

    def _create(self, wanted: WantedImage) -> None:
        path = wanted.image.path
        made = self._run(self._create_command(wanted), timeout_s=CHANGE_TIMEOUT_S)
        if made.code == 0:
            return
        if self._find(path) is not None:  # somebody was faster
            raise ImageExistsError(path=path)
        raise ImageMakingError(path=path, reason=made.last_line)

    def _is_ours(self, found: F, identity: Identity) -> bool:
        if self.ID in identity:
            return self._id(found) == identity[self.ID]
        return self._is_marked(found, identity)

    def _check(self, image: DiskImage) -> None:
        """Before anything is noted or made. Raises ImageMakingError for one that cannot be made here."""

    @abstractmethod
    def _find(self, path: str) -> F | None:
        """None: there is no such volume. Raises CommandError."""

    @abstractmethod
    def _id(self, found: F) -> str: ...

    @abstractmethod
    def _mark(self, migration: str) -> Identity:
        """What the volume is made with."""

    @abstractmethod
    def _is_marked(self, found: F, identity: Identity) -> bool:
        """Whether it carries the mark that stands in there."""

    @abstractmethod
    def _create_command(self, wanted: WantedImage) -> list[str]: ...
