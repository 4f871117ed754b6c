"""The probes that this host has written beside disks, so that every one of them is removed again.

Which ones stands on the disk before they are written (STATE_PATH/probes/MIGRATION.json). They go when the dest
prepares itself, refuses, or rolls back; and by themselves when nobody has come back for them, also after a restart.
"""

import json
import logging
import time
from pathlib import Path

from common import concurrency
from common.checks import Finding
from common.migration import DiskProbe
from compute_agent import durable, storage
from compute_agent.errors import StorageSilentError
from compute_agent.storage.driver import Disk

DIRECTORY = "probes"
PROBE_MAX_AGE_S = 600.0
STORAGE_TIMEOUT_S = 20.0

LOG = logging.getLogger(__name__)


class Probes:
    """Writes and removes them. Storage may hang, so everything that touches it runs in native threads, bounded."""

    def __init__(self, state_path: Path, *, host: str) -> None:
        self._directory = state_path / DIRECTORY
        self._host = host
        durable.make_directory(self._directory)

    def make(
        self, disks: tuple[Disk, ...], *, migration: str, epoch: int
    ) -> tuple[tuple[DiskProbe, ...], tuple[Finding, ...]]:
        """Examine the disks and write a probe beside each that needs one; the probes, and what speaks against."""
        try:
            return concurrency.call_blocking(self._make, disks, migration, epoch, timeout_s=STORAGE_TIMEOUT_S)
        except concurrency.BlockingCallTimeout as error:
            raise StorageSilentError(timeout_s=STORAGE_TIMEOUT_S, what=", ".join(_paths(disks))) from error

    def remove(self, migration: str) -> None:
        """Remove this migration's, if it has any. Storage that hangs keeps the record, and it is tried again later."""
        record = self._record(migration)
        if not record.exists():
            return
        try:
            concurrency.call_blocking(_remove, record, timeout_s=STORAGE_TIMEOUT_S)
        except concurrency.BlockingCallTimeout as error:
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

    def _make(
        self, disks: tuple[Disk, ...], migration: str, epoch: int
    ) -> tuple[tuple[DiskProbe, ...], tuple[Finding, ...]]:
        findings: list[Finding] = []
        planned: list[tuple[Disk, DiskProbe]] = []
        for disk in disks:
            driver = storage.driver_for(disk.type)
            examined = driver.examine(disk, host=self._host, probe_id=f"{migration}-{epoch}")
            findings += examined.findings
            if examined.probe is not None:
                planned.append((disk, examined.probe))
        if planned:
            paths = [probe.probe_path for _, probe in planned]
            durable.write(self._record(migration), json.dumps([*self._recorded(migration), *paths]))
        for disk, probe in planned:
            findings += storage.driver_for(disk.type).write(probe, host=self._host)
        if planned and not self._record(migration).exists():
            _unlink(paths)  # we were given up while storage hung, and the record with us
        return tuple(probe for _, probe in planned), tuple(findings)

    def _recorded(self, migration: str) -> list[str]:
        """Those of an earlier attempt at the same check: a redelivery makes new ones."""
        record = self._record(migration)
        return _read(record) if record.exists() else []

    def _record(self, migration: str) -> Path:
        return self._directory / f"{migration}.json"


def compare(probes: tuple[DiskProbe, ...], *, dest: str) -> tuple[Finding, ...]:
    """On the source: read the dest's probes back; what differs."""
    try:
        return concurrency.call_blocking(_compare, probes, dest, timeout_s=STORAGE_TIMEOUT_S)
    except concurrency.BlockingCallTimeout as error:
        paths = ", ".join(probe.path for probe in probes)
        raise StorageSilentError(timeout_s=STORAGE_TIMEOUT_S, what=paths) from error


def _compare(probes: tuple[DiskProbe, ...], dest: str) -> tuple[Finding, ...]:
    file_storage = storage.driver_for("file")  # the only one with probes so far
    return tuple(finding for probe in probes for finding in file_storage.compare(probe, dest=dest))


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
