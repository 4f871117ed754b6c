"""Disks that are files: a probe written beside the disk by the dest, and read back by the source, proves one storage.

Equal paths prove nothing, and neither does a file of that name on both hosts. The probe lies beside the file itself, not
beside a link to it. A new name for each probe, since a client
of NFS may remember for a while that a name does not exist.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from common.checks import STORAGE_NOT_SHARED, Finding
from common.migration import DiskProbe
from compute_agent.storage.driver import Disk, Examined
from compute_agent.storage.parts import LAYER

PROBE_PREFIX = ".limosa-probe-"
_PROBE_MODE = 0o644  # no secret; a server that maps root to somebody else must still let the source read it
_TOKEN_BYTES = 16
_READ_MAX_BYTES = 256
_REMOVABLE = ("cdrom",)


class FileStorage:
    """See `driver.StorageDriver`."""

    def examine(self, disk: Disk, *, host: str, probe_id: str) -> Examined:
        if not disk.path:
            return Examined()
        path = Path(disk.path)
        if not path.is_absolute():
            return Examined(findings=(_finding(disk.target, disk.path, host, "its path is not absolute"),))
        try:
            reason = _absence(path.parent.is_dir, "no such directory", host) or _absence(
                path.exists, "no such file", host
            )
        except OSError as error:
            reason = f"{host} cannot look there ({error.strerror})"
            return Examined(findings=(_finding(disk.target, disk.path, host, reason),))
        if reason:
            return Examined(absence=reason)
        probe = DiskProbe(disk=disk.target, path=disk.path, probe_path="", token="")
        return Examined(probe=self.probe(probe, file=disk.path, probe_id=probe_id))

    def probe(self, of: DiskProbe, *, file: str, probe_id: str, part: str = "") -> DiskProbe:
        """The same with what is to be written beside this file."""
        real = _real(file)
        name = f"{PROBE_PREFIX}{probe_id}-{_plain(of.disk)}"
        return replace(
            of,
            probe_path=str(real.parent / name),
            token=secrets.token_hex(_TOKEN_BYTES),
            real_name=real.name,
            part=part,
        )

    def write(self, probe: DiskProbe, *, host: str) -> tuple[Finding, ...]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(probe.probe_path, flags, _PROBE_MODE), "w") as file:
                file.write(probe.token)
        except PermissionError:
            raise
        except OSError as error:
            return unwritable(probe, host=host, reason=str(error.strerror))
        return ()

    def compare(self, probe: DiskProbe, *, dest: str) -> tuple[Finding, ...]:
        real = _real(probe.path)
        if probe.real_name and real.name != probe.real_name:
            reason = f"it leads to {probe.real_name} on {dest} and to {real.name} on the source"
            return (_finding(probe.disk, probe.path, dest, reason),)
        try:
            token = _read(seen_from_source(probe))
        except FileNotFoundError:
            reason = f"what {dest} writes there does not appear on the source"
        except PermissionError:
            raise
        except OSError as error:
            return unreadable(probe, dest=dest, reason=str(error.strerror))
        else:
            return compared(probe, token, dest=dest)
        return (_finding(probe.disk, probe.path, dest, reason),)

    def unproven(self, disk: Disk, *, dest: str) -> tuple[Finding, ...]:
        if not disk.path or disk.device in _REMOVABLE:
            return ()
        if disk.device == LAYER:
            reason = f"{dest} has not looked at this image below the disk"
        else:
            reason = f"the guest was given it after {dest} was asked"
        return (_finding(disk.target, disk.path, dest, reason),)


def read_beside(probe: DiskProbe, *, path: str) -> bytes:
    """On the source: what is in the probe beside this file; nothing if there is none. Raises OSError."""
    try:
        return _read(seen_from_source(replace(probe, path=path)))
    except FileNotFoundError:
        return b""


def _read(path: str) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read(_READ_MAX_BYTES)


def seen_from_source(probe: DiskProbe) -> str:
    """Beside the file that the disk's path leads to here: a link on shared storage may lead to a disk of the host's own."""
    return str(_real(probe.path).parent / Path(probe.probe_path).name)


def _real(path: str) -> Path:
    """Without its links, as far as we may look."""
    return Path(os.path.realpath(path))


def _absence(is_there: Callable[[], bool], what: str, host: str) -> str:
    """Why it is not to be had; empty if it is, and where we may not look. Raises OSError.

    QEMU's user may, and whether it does, a check of its own tells.
    """
    try:
        return "" if is_there() else f"{host} has {what}"
    except PermissionError:
        return ""


def unwritable(probe: DiskProbe, *, host: str, reason: str) -> tuple[Finding, ...]:
    return (_finding(probe.disk, probe.path, host, f"{host} cannot write there ({reason})"),)


def unreadable(probe: DiskProbe, *, dest: str, reason: str) -> tuple[Finding, ...]:
    reason = f"what {dest} writes there cannot be read on the source ({reason})"
    return (_finding(probe.disk, probe.path, dest, reason),)


def compared(probe: DiskProbe, token: bytes, *, dest: str) -> tuple[Finding, ...]:
    """What is found against the disk when this is read in its probe."""
    if token == probe.token.encode():
        return ()
    reason = f"what {dest} writes there reads differently on the source"
    return (_finding(probe.disk, probe.path, dest, reason),)


def _finding(target: str, path: str, host: str, reason: str) -> Finding:
    return STORAGE_NOT_SHARED.finding(
        host, disk=target, path=path, directory=str(Path(path).parent), reason=reason
    )


def _plain(target: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in target)
