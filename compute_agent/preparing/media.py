"""Media and boot files: an equal one is found on the dest or copied there, or a drive is emptied, as [media] says.

A copy has the original's path if the dest has that directory and nothing of that name in it, and otherwise a name made of
its content in [media]directory, to which the guest's XML is changed. It is the guest's own from then on and stays on this
host when the guest leaves: others may have found it there. Only `undo` removes it. On the source all stays as it is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from common import concurrency
from common.checks import Check, Finding
from common.media_checks import MEDIUM_EJECTED, MEDIUM_MISSING, MEDIUM_NOT_COPIED
from common.migration import DomainChanges
from common.states import MissingMedium
from common.transfer import BootFileChange, DiskChange, MediumTransfer
from compute_agent.copying import COPY, Copying, Original
from compute_agent.errors import CopyError, PlaceTakenError
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.image_places import is_for_images
from compute_agent.media import FIRMWARE
from compute_agent.migrate_request import connection_uri
from compute_agent.preparing.arrivals import Item
from compute_agent.preparing.preparation import Arrival, Preparation, Prepared, Undoing
from compute_agent.settings import Settings
from compute_agent.storage.gate import GATE
from compute_agent.subprocesses import FileAction, User, do_here, run_as, user_of

LOOK_TIMEOUT_S: Final = 20.0
DIRECTORY: Final = "directory"  # kind of an item
_PASSABLE: Final = 0o711  # for QEMU's user, to whom only names are open that it is told
_NAME_MAX: Final = 200
_BOOT_FILES: Final = ("kernel", "initrd", "dtb", *FIRMWARE)

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """Where one of them is on this host. `path` None: nowhere, and its drive is emptied if nothing refuses."""

    path: str | None
    findings: tuple[Finding, ...] = ()


class Media(Preparation):
    name: ClassVar[str] = "media"

    def __init__(self, copying: Copying, hypervisor: Hypervisor, settings: Settings) -> None:
        self._copying = copying
        self._hypervisor = hypervisor
        self._settings = settings

    def prepare(self, arrival: Arrival) -> Prepared:
        placed = [(medium, self._place(medium, arrival)) for medium in arrival.plan.media]
        changed = [(medium, one.path) for medium, one in placed if one.path != medium.path]
        return Prepared(
            changes=DomainChanges(
                disks=tuple(
                    _disk(medium, path) for medium, path in changed if medium.what not in _BOOT_FILES
                ),
                boot_files=tuple(
                    BootFileChange(what=medium.what, path=path, instead_of=medium.path)
                    for medium, path in changed
                    if medium.what in _BOOT_FILES and path is not None
                ),
            ),
            findings=tuple(finding for _, one in placed for finding in one.findings),
        )

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        """A guest that may have run here may need them when it is started from what is left of it."""
        if undoing.keep_disks:
            return ()
        sentences = self._copying.undo(undoing.record, self.name)
        for item in undoing.record.items(self.name):
            if item.kind == DIRECTORY:
                _remove_directory(Path(item.name))
                undoing.record.forget(item)
        return sentences

    def complete(self, arrival: Arrival) -> tuple[str, ...]:
        copies = (item.name for item in arrival.record.items(self.name) if item.kind == COPY)
        return tuple(f"{name} was copied here" for name in copies)

    # ---- one of them

    def _place(self, medium: MediumTransfer, arrival: Arrival) -> _Placed:
        if medium.is_shared:
            return _Placed(path=medium.path)
        if not medium.sha256:
            return self._place_unread(medium, arrival)
        try:
            if self._is_here(medium, arrival):
                return _Placed(path=medium.path)
            reason = "there is no such file"
        except PlaceTakenError:
            reason = "there is another file of that name"
        except CopyError as error:
            reason = error.fields["reason"]
        policy = self._settings.media.missing_medium
        if policy is MissingMedium.REFUSE:
            return self._refused(MEDIUM_MISSING, medium, arrival, reason)
        if policy is MissingMedium.EJECT and medium.is_removable:
            return self._emptied(medium, arrival, reason)
        try:
            return _Placed(path=self._copied(medium, arrival))
        except CopyError as error:
            if medium.is_dispensable:
                return self._emptied(medium, arrival, str(error))
            return self._refused(MEDIUM_NOT_COPIED, medium, arrival, str(error).rstrip("."))

    def _place_unread(self, medium: MediumTransfer, arrival: Arrival) -> _Placed:
        """The source's agent cannot read it: it has vanished, is QEMU's user's alone, or is a drive of the host's own."""
        is_eject = self._settings.media.missing_medium is MissingMedium.EJECT
        if self._opens(medium.path):
            return _Placed(path=medium.path)
        if medium.is_dispensable or (medium.is_removable and (medium.type == "block" or is_eject)):
            return self._emptied(medium, arrival, "it cannot be read on the source")
        return self._refused(MEDIUM_MISSING, medium, arrival, "it cannot be read on the source, and compared")

    def _is_here(self, medium: MediumTransfer, arrival: Arrival) -> bool:
        """Raises PlaceTakenError, CopyError."""
        place = Path(medium.path)
        if medium.what in FIRMWARE:
            return _look(lambda: place.is_file() and place.stat().st_size == medium.size_bytes, place)
        return self._copying.find(
            self._original(medium),
            place,
            record=arrival.record,
            part=self.name,
            is_stopped=arrival.is_stopped,
        )

    def _copied(self, medium: MediumTransfer, arrival: Arrival) -> str:
        """Its path here. Raises CopyError."""
        original = self._original(medium)
        for place in self._places(medium):
            if place.parent == self._settings.media_directory:
                self._make_directory(place.parent, arrival)
            try:
                self._copying.copy(
                    original,
                    place,
                    uri=connection_uri(self._settings.live_migration, arrival.source_address),
                    record=arrival.record,
                    part=self.name,
                    is_stopped=arrival.is_stopped,
                )
            except PlaceTakenError:
                continue
            return str(place)
        raise CopyError(
            path=medium.path, reason=f"other files have its names in {self._settings.media_directory}"
        )

    def _places(self, medium: MediumTransfer) -> tuple[Path, ...]:
        own = Path(medium.path)
        named_by_content = self._settings.media_directory / f"{medium.sha256[:16]}-{own.name[-_NAME_MAX:]}"
        may_be_own = _look(partial(is_for_images, own.parent), own.parent)
        return (own, named_by_content) if may_be_own else (named_by_content,)

    def _make_directory(self, directory: Path, arrival: Arrival) -> None:
        if _look(directory.is_dir, directory):
            return
        arrival.record.write(Item(part=self.name, kind=DIRECTORY, name=str(directory)))
        try:
            directory.mkdir(mode=_PASSABLE, exist_ok=True)
        except OSError as error:
            raise CopyError(path=str(directory), reason=error.strerror or str(error)) from error

    def _original(self, medium: MediumTransfer) -> Original:
        user = self._qemu_user() if medium.is_of_qemu else None
        return Original(
            path=medium.path,
            size_bytes=medium.size_bytes,
            sha256=medium.sha256,
            mode=medium.mode,
            uid=user.uid if user is not None else None,
            gid=user.gid if user is not None else None,
        )

    def _qemu_user(self) -> User | None:
        return user_of(self._hypervisor.host_facts())

    def _opens(self, path: str) -> bool:
        """By the agent, or where it is denied by QEMU's user."""
        action, user = FileAction(do="open", path=path), self._qemu_user()
        [done] = GATE.look(do_here, [action], timeout_s=LOOK_TIMEOUT_S, what=path)
        if done.is_denied and user is not None and not user.is_this_process:
            [done] = run_as(user, [action], timeout_s=LOOK_TIMEOUT_S)
        return not done.error

    # ---- what is said of it

    def _refused(self, check: Check, medium: MediumTransfer, arrival: Arrival, reason: str) -> _Placed:
        return _Placed(path=None, findings=(self._finding(check, medium, arrival, reason),))

    def _emptied(self, medium: MediumTransfer, arrival: Arrival, reason: str) -> _Placed:
        return _Placed(
            path=None, findings=(self._finding(MEDIUM_EJECTED, medium, arrival, reason.rstrip(".")),)
        )

    def _finding(self, check: Check, medium: MediumTransfer, arrival: Arrival, reason: str) -> Finding:
        return check.finding(
            self._settings.host, what=medium.what, instance=arrival.name, path=medium.path, reason=reason
        )


def _disk(medium: MediumTransfer, path: str | None) -> DiskChange:
    if path is None:
        return DiskChange(target=medium.what, is_emptied=True, instead_of=medium.path)
    return DiskChange(target=medium.what, source={"file": path}, instead_of=medium.path)


def _remove_directory(directory: Path) -> None:
    """If nothing is in it: others may have found it made."""
    try:
        concurrency.call_blocking(directory.rmdir, timeout_s=LOOK_TIMEOUT_S)
    except OSError as error:
        LOG.debug("%s stays: %s", directory, error)


def _look(look: Callable[[], bool], path: Path) -> bool:
    return GATE.look(look, timeout_s=LOOK_TIMEOUT_S, what=str(path))
