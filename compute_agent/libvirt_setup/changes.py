"""Carry a plan out, with a backup of everything that it touches, and undo it.

    STATE_PATH/libvirt-setup/record.json    what was changed, written before it is
    STATE_PATH/libvirt-setup/backup/...     each file as it was before the first change

A file that somebody has changed since is left alone by the undo, which says so.
"""

import contextlib
import grp
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from common import new_files
from compute_agent import durable
from compute_agent.errors import CommandError
from compute_agent.libvirt_setup.model import Content, Edit, Plan, SetupError
from compute_agent.libvirt_setup.units import Units

DIRECTORY: Final = "libvirt-setup"
_RECORD: Final = "record.json"
_BACKUP: Final = "backup"
_PASSABLE: Final = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    sha256: str  # of what was written
    has_backup: bool  # otherwise there was no such file


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    files: dict[str, FileRecord] = field(default_factory=dict)
    directories: tuple[str, ...] = ()  # that were made, outermost first
    units: tuple[str, ...] = ()  # that were enabled
    needs_restart: bool = False
    changed_at: float = 0.0  # seconds since the epoch: a libvirt that was started later knows all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    restored: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()
    left: tuple[Path, ...] = ()  # somebody has changed them since
    units: tuple[str, ...] = ()


class Changes:
    """Of one host, whose tree begins at `root`. For one process at a time."""

    def __init__(self, root: Path, state_path: Path, units: Units) -> None:
        self._root = root
        self._directory = self._at(state_path / DIRECTORY)
        self._units = units

    def record(self) -> Record:
        try:
            found = json.loads((self._directory / _RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Record()
        return Record(
            files={path: FileRecord(**one) for path, one in found["files"].items()},
            directories=tuple(found["directories"]),
            units=tuple(found["units"]),
            needs_restart=found["needs_restart"],
            changed_at=found["changed_at"],
        )

    # ---- do

    def apply(self, plan: Plan, *, needs_restart: bool) -> None:
        """All of it or, where a file cannot be written, nothing. Raises SetupError, CommandError."""
        self._refuse_if_impossible(plan)
        before = {edit.path: _Snapshot.of(self._at(edit.path)) for edit in plan.edits}
        record = self._begin(plan, needs_restart=needs_restart)
        try:
            for edit in plan.edits:
                self._write(edit)
            for unit in plan.units:
                self._units.enable(unit)
            if needs_restart:
                self._keep(replace(self.record(), changed_at=time.time()))
        except BaseException:
            self._take_back(plan, before, record)
            raise

    def _take_back(self, plan: Plan, before: "dict[Path, _Snapshot]", old: Record) -> None:
        made = [name for name in self.record().directories if name not in old.directories]
        for unit in plan.units:
            with contextlib.suppress(CommandError):  # that one is why we are here
                self._units.disable(unit)
        for path, snapshot in before.items():
            snapshot.put_back(self._at(path))
        self._remove_directories(made)
        if old.files or old.units:
            self._keep(old)
        else:
            self.forget()

    def restarted(self) -> None:
        """libvirt runs with all of it."""
        record = self.record()
        if record.needs_restart:
            self._keep(replace(record, needs_restart=False))

    def _begin(self, plan: Plan, *, needs_restart: bool) -> Record:
        """Write down what will be changed, and back it up; the record as it was before."""
        old = self.record()
        new_files.make_directories(self._directory.parent, mode=durable.PASSABLE_DIRECTORY)
        new_files.make_directories(self._directory, mode=durable.PRIVATE_DIRECTORY)
        files = dict(old.files)
        for edit in plan.edits:
            known = files.get(str(edit.path))
            if known is not None and not self._is_untouched(edit.path, known):
                continue  # the backup lacks what somebody has written since: the undo has to leave this file
            has_backup = self._back_up(edit.path) if known is None else known.has_backup
            files[str(edit.path)] = FileRecord(sha256=_digest(edit.text), has_backup=has_backup)
        missing = (directory for edit in plan.edits for directory in self._missing(edit.path.parent))
        self._keep(
            Record(
                files=files,
                directories=tuple(dict.fromkeys((*old.directories, *missing))),
                units=tuple(dict.fromkeys((*old.units, *plan.units))),
                needs_restart=old.needs_restart or needs_restart,
                changed_at=time.time() if needs_restart else old.changed_at,
            )
        )
        return old

    def _back_up(self, path: Path) -> bool:
        source, backup = self._at(path), self._backup_of(path)
        if not source.exists():
            return False
        new_files.make_directories(backup.parent, mode=durable.PRIVATE_DIRECTORY)
        _Snapshot.of(source).put_back(backup)
        return True

    def _write(self, edit: Edit) -> None:
        path = self._at(edit.path)
        if edit.content is Content.KEY:
            new_files.make_directories(path.parent.parent, mode=_PASSABLE)
            new_files.make_directories(path.parent, mode=durable.PRIVATE_DIRECTORY)
        else:  # QEMU's user goes through them
            new_files.make_directories(path.parent, mode=_PASSABLE)
        is_root = os.geteuid() == 0
        uid, gid, mode = 0, _gid(edit.group) if is_root else 0, edit.mode
        if path.exists() and edit.content is Content.TEXT:
            found = path.stat()
            uid, gid, mode = found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode) | (edit.mode & 0o111)
        if not is_root:  # a tree of one's own
            uid, gid = os.geteuid(), os.getegid()
        new_files.replace(path, edit.text, mode=mode, owner=(uid, gid))

    def _refuse_if_impossible(self, plan: Plan) -> None:
        for edit in plan.edits:
            path = self._at(edit.path)
            if path.is_symlink():
                raise SetupError(reason=f"{edit.path} is a link, which would be lost. Nothing was changed.")
            if not os.access(self._existing(path.parent), os.W_OK | os.X_OK):
                raise SetupError(
                    reason=f"{edit.path} may not be written. Nothing was changed: run this as root."
                )
        if not os.access(self._existing(self._directory), os.W_OK | os.X_OK):
            raise SetupError(reason="The backup may not be written. Nothing was changed: run this as root.")

    # ---- undo

    def undo(self) -> Undone:
        """Every file as it was before the first `apply`. Raises CommandError; may be called again."""
        record, undone = self.record(), Undone(units=self.record().units)
        for unit in record.units:
            self._units.disable(unit)
        for name, one in record.files.items():
            undone = self._undo_file(Path(name), one, undone)
        self._remove_directories(record.directories)
        if undone.left:
            left = {str(path): record.files[str(path)] for path in undone.left}
            self._keep(Record(files=left, directories=record.directories))
        else:
            self.forget()
        return undone

    def forget(self) -> None:
        """The record and the backups."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def backup_of(self, path: Path) -> Path:
        """Where an administrator finds it."""
        return self._backup_of(path)

    def _undo_file(self, path: Path, one: FileRecord, undone: Undone) -> Undone:
        here = self._at(path)
        if self._is_as_before(path, one):  # an undo that was cut short has put this one back already
            return undone
        if here.exists() and not self._is_as_written(path, one):
            return replace(undone, left=(*undone.left, path))
        if not one.has_backup:
            here.unlink()
            return replace(undone, removed=(*undone.removed, path))
        _Snapshot.of(self._backup_of(path)).put_back(here)
        return replace(undone, restored=(*undone.restored, path))

    # ---- within

    def _is_untouched(self, path: Path, one: FileRecord) -> bool:
        return self._is_as_written(path, one) or self._is_as_before(path, one)

    def _is_as_written(self, path: Path, one: FileRecord) -> bool:
        here = self._at(path)
        return here.exists() and hashlib.sha256(here.read_bytes()).hexdigest() == one.sha256

    def _is_as_before(self, path: Path, one: FileRecord) -> bool:
        here = self._at(path)
        if not here.exists() or not one.has_backup:
            return not here.exists() and not one.has_backup
        return here.read_bytes() == self._backup_of(path).read_bytes()

    def _keep(self, record: Record) -> None:
        durable.write(self._directory / _RECORD, json.dumps(asdict(record), indent=1))

    def _at(self, path: Path) -> Path:
        return self._root / path.relative_to("/")

    def _backup_of(self, path: Path) -> Path:
        return self._directory / _BACKUP / path.relative_to("/")

    def _remove_directories(self, names: Sequence[str]) -> None:
        for name in reversed(names):
            with contextlib.suppress(OSError):  # gone, or others' files are in it
                self._at(Path(name)).rmdir()

    def _existing(self, path: Path) -> Path:
        while not path.exists():
            path = path.parent
        return path

    def _missing(self, directory: Path) -> Iterator[str]:
        """Outermost first."""
        lacking = [one for one in (directory, *directory.parents) if not self._at(one).exists()]
        yield from (str(one) for one in reversed(lacking))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """A file as it is: its bytes, owner and mode; `found` is None where there is none."""

    data: bytes = b""
    found: Any = None  # os.stat_result

    @classmethod
    def of(cls, path: Path) -> "_Snapshot":
        try:
            return cls(data=path.read_bytes(), found=path.stat())
        except FileNotFoundError:
            return cls()

    def put_back(self, path: Path) -> None:
        if self.found is None:
            path.unlink(missing_ok=True)
            return
        owner = (self.found.st_uid, self.found.st_gid)
        new_files.replace(path, self.data, mode=stat.S_IMODE(self.found.st_mode), owner=owner)


def _gid(group: str) -> int:
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise SetupError(
            reason=f"There is no group {group}, in which QEMU's guests would run (qemu.conf)."
        ) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
