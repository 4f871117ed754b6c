"""The probes that this host has written beside disks, so that every one of them is removed again.

Which ones stands on the disk before they are written (STATE_PATH/probes/MIGRATION.json). They go when the dest
prepares itself, refuses, or rolls back; and by themselves when nobody has come back for them, also after a restart.
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import concurrency
from common.checks import Finding
from common.migration import DiskProbe
from compute_agent import durable, storage
from compute_agent.errors import StorageSilentError
from compute_agent.storage import file
from compute_agent.storage.driver import Disk
from compute_agent.subprocesses import Done, FileAction, User, run_as

DIRECTORY = "probes"
PROBE_MAX_AGE_S = 600.0
STORAGE_TIMEOUT_S = 20.0

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What came of examining disks: `denied` are those probes that the agent may not write."""

    probes: tuple[DiskProbe, ...]
    findings: tuple[Finding, ...]
    denied: tuple[DiskProbe, ...]


class Probes:
    """Writes and removes them. Storage may hang, so everything that touches it runs in native threads, bounded."""

    def __init__(self, state_path: Path, *, host: str) -> None:
        self._directory = state_path / DIRECTORY
        self._host = host
        durable.make_directory(self._directory)

    def make(
        self, disks: tuple[Disk, ...], *, migration: str, epoch: int, user: User | None = None
    ) -> tuple[tuple[DiskProbe, ...], tuple[Finding, ...]]:
        """Examine the disks and write a probe beside each that needs one; the probes, and what speaks against.

        `user` is QEMU's: it writes those that the agent may not, where the server maps root to nobody.
        """
        try:
            made = concurrency.call_blocking(self._make, disks, migration, epoch, timeout_s=STORAGE_TIMEOUT_S)
        except concurrency.BlockingCallTimeout as error:
            raise StorageSilentError(timeout_s=STORAGE_TIMEOUT_S, what=", ".join(_paths(disks))) from error
        actions = [FileAction(do="write", path=probe.probe_path, text=probe.token) for probe in made.denied]
        findings = made.findings
        for probe, done in zip(made.denied, _as_user(user, actions), strict=True):
            if done.error:
                findings += file.unwritable(probe, host=self._host, reason=done.error)
        return made.probes, findings

    def remove(self, migration: str) -> None:
        """Remove this migration's, if it has any. Storage that hangs keeps the record, and it is tried again later."""
        record = self._record(migration)
        if not record.exists():
            return
        try:
            concurrency.call_blocking(_remove, record, timeout_s=STORAGE_TIMEOUT_S)
            if record.exists():
                self._remove_as_owner(record)
        except (concurrency.BlockingCallTimeout, StorageSilentError) as error:
            LOG.warning("probes are not removed yet: %s", error)

    def remove_forgotten(self) -> None:
        """Remove those that nobody came back for."""
        for record in self._directory.glob("*.json"):
            try:
                age_s = time.time() - record.stat().st_mtime
            except FileNotFoundError:  # in between
                continue
            if age_s > PROBE_MAX_AGE_S:
                LOG.info("probes of migration %s were left: they are removed", record.stem)
                self.remove(record.stem)

    def _make(self, disks: tuple[Disk, ...], migration: str, epoch: int) -> _Made:
        findings: list[Finding] = []
        planned: list[tuple[Disk, DiskProbe]] = []
        denied: list[DiskProbe] = []
        for number, disk in enumerate(disks):  # a disk and the images below it have one target
            driver = storage.driver_for(disk.type)
            examined = driver.examine(disk, host=self._host, probe_id=f"{migration}-{epoch}-{number}")
            findings += examined.findings
            if examined.probe is not None:
                planned.append((disk, examined.probe))
        if planned:
            paths = [probe.probe_path for _, probe in planned]
            durable.write(self._record(migration), json.dumps([*self._recorded(migration), *paths]))
        for disk, probe in planned:
            try:
                findings += storage.driver_for(disk.type).write(probe, host=self._host)
            except PermissionError:
                denied.append(probe)
        if planned and not self._record(migration).exists():
            _unlink(paths)  # we were given up while storage hung, and the record with us
        return _Made(
            probes=tuple(probe for _, probe in planned), findings=tuple(findings), denied=tuple(denied)
        )

    def _remove_as_owner(self, record: Path) -> None:
        """Those that we may not remove, QEMU's user has written."""
        for path in _read(record):
            owner = concurrency.call_blocking(_owner, path, timeout_s=STORAGE_TIMEOUT_S)
            if owner is not None and not owner.is_this_process:
                run_as(owner, [FileAction(do="remove", path=path)])
        concurrency.call_blocking(_remove, record, timeout_s=STORAGE_TIMEOUT_S)

    def _recorded(self, migration: str) -> list[str]:
        """Those of an earlier attempt at the same check: a redelivery makes new ones."""
        record = self._record(migration)
        return _read(record) if record.exists() else []

    def _record(self, migration: str) -> Path:
        return self._directory / f"{migration}.json"


def compare(probes: tuple[DiskProbe, ...], *, dest: str, user: User | None = None) -> tuple[Finding, ...]:
    """On the source: read the dest's probes back; what differs. `user` is QEMU's, and reads what the agent may not."""
    try:
        findings, denied = concurrency.call_blocking(_compare, probes, dest, timeout_s=STORAGE_TIMEOUT_S)
    except concurrency.BlockingCallTimeout as error:
        paths = ", ".join(probe.path for probe in probes)
        raise StorageSilentError(timeout_s=STORAGE_TIMEOUT_S, what=paths) from error
    actions = [FileAction(do="read", path=probe.probe_path) for probe in denied]
    for probe, done in zip(denied, _as_user(user, actions), strict=True):
        if done.error:
            findings += file.unreadable(probe, dest=dest, reason=done.error)
        else:
            findings += file.compared(probe, done.text.encode(), dest=dest)
    return findings


def _compare(probes: tuple[DiskProbe, ...], dest: str) -> tuple[tuple[Finding, ...], tuple[DiskProbe, ...]]:
    """What differs, and what could not be read for want of permission."""
    file_storage = storage.driver_for("file")  # the only one with probes so far
    findings: list[Finding] = []
    denied: list[DiskProbe] = []
    for probe in probes:
        try:
            findings += file_storage.compare(probe, dest=dest)
        except PermissionError:
            denied.append(probe)
    return tuple(findings), tuple(denied)


def _as_user(user: User | None, actions: Sequence[FileAction]) -> tuple[Done, ...]:
    """What the agent was denied; by QEMU's user if it is another one."""
    if not actions:
        return ()
    if user is None or user.is_this_process:
        return tuple(Done(error="Permission denied") for _ in actions)
    return run_as(user, actions)


def _owner(path: str) -> User | None:
    try:
        status = Path(path).lstat()
    except OSError:
        return None
    return User(uid=status.st_uid, gid=status.st_gid)


def _remove(record: Path) -> None:
    if _unlink(_read(record)):
        record.unlink(missing_ok=True)


def _unlink(paths: list[str]) -> bool:
    """Whether all of them are gone."""
    is_complete = True
    for path in paths:
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            is_complete = False
            LOG.warning("the probe %s cannot be removed: %s", path, error)
    return is_complete


def _read(record: Path) -> list[str]:
    try:
        paths = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [str(path) for path in paths]


def _paths(disks: tuple[Disk, ...]) -> list[str]:
    return [disk.path for disk in disks if disk.path]
