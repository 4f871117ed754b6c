"""The probes that this host has written beside disks, so that every one of them is removed again.

Which ones stands on the disk before they are written (STATE_PATH/probes/OWNER.NUMBER.json, a record for each attempt). They
go when the dest prepares itself, refuses, or rolls back; and by themselves when nobody has come back for them, also after
a restart. An attempt that storage holds up cannot be stopped: it is told that it was given up, and cleans up behind itself.
"""

import errno
import json
import logging
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common.checks import Finding
from common.migration import AbsentDisk, DiskProbe
from compute_agent import durable, storage
from compute_agent.errors import StorageSilentError
from compute_agent.storage import file
from compute_agent.storage.driver import Disk
from compute_agent.storage.gate import GATE
from compute_agent.subprocesses import Done, FileAction, User, run_as

DIRECTORY = "probes"
PROBE_MAX_AGE_S = 600.0
STORAGE_TIMEOUT_S = 20.0
_NUMBER_BYTES = 4

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of examining disks: probes, what speaks against disks, and those that are not here."""

    probes: tuple[DiskProbe, ...] = ()
    findings: tuple[Finding, ...] = ()
    absent: tuple[AbsentDisk, ...] = ()
    denied: tuple[DiskProbe, ...] = ()  # probes that the agent may not write


class _Attempt:
    """One call of `make`. Its marks are set, never cleared: the native thread sets its own, our side `is_given_up`."""

    def __init__(self, record: Path) -> None:
        self.record = record
        self.has_started = False
        self.has_ended = False
        self.is_given_up = False


class Probes:
    """Writes and removes them. Storage may hang, so everything that touches it runs in native threads, bounded."""

    def __init__(self, state_path: Path, *, host: str) -> None:
        self._directory = state_path / DIRECTORY
        self._host = host
        self._attempts: dict[str, list[_Attempt]] = {}  # by owner: those that may write yet
        durable.make_directory(self._directory)

    def make(self, disks: tuple[Disk, ...], *, migration: str, epoch: int, user: User | None = None) -> Made:
        """Examine the disks and write a probe beside each that needs one.

        `user` is QEMU's: it writes those that the agent may not, where the server maps root to nobody. Who is given up
        meanwhile (`remove`) makes none. Raises StorageSilentError; OSError where this host's own state cannot be written.
        """
        # In the names as well, so that what a late attempt removes is its own.
        number = secrets.token_hex(_NUMBER_BYTES)
        attempt = _Attempt(self._directory / f"{migration}.{number}.json")
        self._attempts.setdefault(migration, []).append(attempt)
        try:
            made = GATE.look(
                self._attempted,
                attempt,
                disks,
                f"{migration}-{epoch}-{number}",
                timeout_s=STORAGE_TIMEOUT_S,
                what=", ".join(_paths(disks)),
            )
            failed = () if attempt.is_given_up else self._write_as_user(attempt.record, made.denied, user)
            if attempt.is_given_up:
                self._remove_record(attempt.record)
                return Made()
        except StorageSilentError:
            attempt.is_given_up = True
            raise
        finally:
            self._leave(migration)
        gone = [probe for probe, _ in failed]
        against = tuple(
            finding
            for probe, reason in failed
            for finding in file.unwritable(probe, host=self._host, reason=reason)
        )
        written = tuple(probe for probe in made.probes if probe not in gone)
        return replace(made, probes=written, findings=made.findings + against, denied=())

    def remove(self, migration: str) -> None:
        """Remove this migration's, if it has any. Storage that hangs keeps the record, and it is tried again later."""
        held_up = set()
        for attempt in self._attempts.get(migration, ()):
            attempt.is_given_up = True
            if not attempt.has_ended:  # else it may write yet: it removes its record when it has done
                held_up.add(attempt.record)
        self._leave(migration)
        for record in self._directory.glob("*.json"):
            if _owner_of(record) == migration and record not in held_up:
                self._remove_record(record)

    def remove_forgotten(self) -> None:
        """Remove those that nobody came back for."""
        forgotten = set()
        for record in self._directory.glob("*.json"):
            try:
                age_s = time.time() - record.stat().st_mtime
            except FileNotFoundError:  # in between
                continue
            if age_s > PROBE_MAX_AGE_S:
                forgotten.add(_owner_of(record))
        for owner in sorted(forgotten):
            LOG.info("probes of migration %s were left: they are removed", owner)
            self.remove(owner)

    def _leave(self, migration: str) -> None:
        """Forget the attempts that can write no more. One that was given up before it began sees that first."""
        attempts = self._attempts.get(migration, ())
        still = [one for one in attempts if not one.has_ended and (one.has_started or not one.is_given_up)]
        if still:
            self._attempts[migration] = still
        else:
            self._attempts.pop(migration, None)

    # ---- in a native thread

    def _attempted(self, attempt: _Attempt, disks: tuple[Disk, ...], probe_id: str) -> Made:
        attempt.has_started = True
        try:
            return self._make(attempt, disks, probe_id)
        finally:
            attempt.has_ended = True  # first: who gives it up from here on removes the record, too
            if attempt.is_given_up:
                _remove(attempt.record)

    def _make(self, attempt: _Attempt, disks: tuple[Disk, ...], probe_id: str) -> Made:
        findings: list[Finding] = []
        absent: list[AbsentDisk] = []
        planned: list[tuple[Disk, DiskProbe]] = []
        for number, disk in enumerate(disks):  # a disk and the images below it have one target
            driver = storage.driver_for(disk.type)
            examined = driver.examine(disk, host=self._host, probe_id=f"{probe_id}-{number}")
            findings += examined.findings
            if examined.absence:
                absent.append(AbsentDisk(disk=disk.target, path=disk.path, reason=examined.absence))
            if examined.probe is not None:
                planned.append((disk, examined.probe))
        if not planned or attempt.is_given_up:
            return Made(findings=tuple(findings), absent=tuple(absent))
        paths = [probe.probe_path for _, probe in planned if probe.probe_path]
        if paths:
            durable.write(attempt.record, json.dumps(paths))
        written: list[DiskProbe] = []
        denied: list[DiskProbe] = []
        for disk, probe in planned:
            if attempt.is_given_up:
                break
            try:
                against = storage.driver_for(disk.type).write(probe, host=self._host)
            except PermissionError:
                denied.append(probe)
                against = ()
            findings += against
            if not against:
                written.append(probe)
        if paths:
            _keep(attempt.record, [probe.probe_path for probe in written])
        return Made(
            probes=tuple(written), findings=tuple(findings), absent=tuple(absent), denied=tuple(denied)
        )

    # ---- as QEMU's user

    def _write_as_user(
        self, record: Path, denied: tuple[DiskProbe, ...], user: User | None
    ) -> tuple[tuple[DiskProbe, str], ...]:
        """Those that could not be written so either, and why. Half a file may have been: that goes."""
        actions = [FileAction(do="write", path=probe.probe_path, text=probe.token) for probe in denied]
        tried = list(zip(denied, _as_user(user, actions), strict=True))
        failed = [(probe, done) for probe, done in tried if done.error]
        actions = [FileAction(do="remove", path=probe.probe_path) for probe, _ in failed]
        removed = _as_user(user, actions)
        is_nothing_there = all(
            done.is_denied or gone.is_missing or not gone.error
            for (_, done), gone in zip(failed, removed, strict=True)
        )
        if failed and is_nothing_there:
            gone_paths = {probe.probe_path for probe, _ in failed}
            _rewrite(record, [path for path in _read(record) if path not in gone_paths])
        return tuple((probe, done.error) for probe, done in failed)

    def _remove_record(self, record: Path) -> None:
        """With the probes that stand in it."""
        try:
            self._remove_by_agent(record)
            if record.exists():
                self._remove_as_owner(record)
        except StorageSilentError as error:
            LOG.warning("probes are not removed yet: %s", error)

    def _remove_by_agent(self, record: Path) -> None:
        GATE.look(_remove, record, timeout_s=STORAGE_TIMEOUT_S, what=", ".join(_read(record)))

    def _remove_as_owner(self, record: Path) -> None:
        """Those that we may not remove, QEMU's user has written."""
        for path in _read(record):
            owner = GATE.look(_owner, path, timeout_s=STORAGE_TIMEOUT_S, what=path)
            if owner is not None and not owner.is_this_process:
                run_as(owner, [FileAction(do="remove", path=path)])
        self._remove_by_agent(record)


def compare(probes: tuple[DiskProbe, ...], *, dest: str, user: User | None = None) -> tuple[Finding, ...]:
    """On the source: read the dest's probes back; what differs. `user` is QEMU's, and reads what the agent may not."""
    paths = ", ".join(probe.path for probe in probes)
    findings, denied = GATE.look(_compare, probes, dest, timeout_s=STORAGE_TIMEOUT_S, what=paths)
    actions = [FileAction(do="read", path=path) for _, path in denied]
    for (probe, _), done in zip(denied, _as_user(user, actions), strict=True):
        if done.error:
            findings += file.unreadable(probe, dest=dest, reason=done.error)
        else:
            findings += file.compared(probe, done.text.encode(), dest=dest)
    return findings


def _compare(
    probes: tuple[DiskProbe, ...], dest: str
) -> tuple[tuple[Finding, ...], tuple[tuple[DiskProbe, str], ...]]:
    """What differs, and what could not be read for want of permission, with its path here."""
    findings: list[Finding] = []
    denied: list[tuple[DiskProbe, str]] = []
    for probe in probes:
        try:
            findings += storage.driver_for(probe.type).compare(probe, dest=dest)
        except PermissionError:
            denied.append((probe, file.seen_from_source(replace(probe, path=probe.place or probe.path))))
    return tuple(findings), tuple(denied)


def _as_user(user: User | None, actions: Sequence[FileAction]) -> tuple[Done, ...]:
    """What the agent was denied; by QEMU's user if it is another one."""
    if not actions:
        return ()
    if user is None or user.is_this_process:
        return tuple(Done(error=os.strerror(errno.EACCES), code=errno.EACCES) for _ in actions)
    return run_as(user, actions)


def _owner(path: str) -> User | None:
    try:
        status = Path(path).lstat()
    except OSError:
        return None
    return User(uid=status.st_uid, gid=status.st_gid)


def _owner_of(record: Path) -> str:
    """Of OWNER.NUMBER.json, and of OWNER.json, which an agent of an earlier version has left."""
    return record.name.partition(".")[0]


def _keep(record: Path, paths: list[str]) -> None:
    """Strike from the record what could not be written: nothing of it is there, or it is removed."""
    failed = [path for path in _read(record) if path not in paths]
    if failed and _unlink(failed):
        _rewrite(record, paths)


def _rewrite(record: Path, paths: list[str]) -> None:
    if paths:
        durable.write(record, json.dumps(paths))
    else:
        record.unlink(missing_ok=True)


def _remove(record: Path) -> None:
    try:
        if _unlink(_read(record)):
            record.unlink(missing_ok=True)
    except OSError as error:
        LOG.warning("the record %s cannot be removed: %s", record, error)


def _unlink(paths: list[str]) -> bool:
    """Whether all of them are gone."""
    is_complete = True
    for path in paths:
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            if not _was_never_there(path):  # storage that is read-only refuses to remove even that
                is_complete = False
                LOG.warning("the probe %s cannot be removed: %s", path, error)
    return is_complete


def _was_never_there(path: str) -> bool:
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _read(record: Path) -> list[str]:
    try:
        paths = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [str(path) for path in paths]


def _paths(disks: tuple[Disk, ...]) -> list[str]:
    return [disk.path for disk in disks if disk.path]
