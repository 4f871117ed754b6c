"""On the dest: which lock, if any, keeps a second host from starting a guest on the same disk.

QEMU locks the images that it opens (byte ranges, OFD locks): that holds between hosts where the file system carries such
locks to its server or cluster, and nowhere else.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.checks import Finding
from common.facts import DiskFacts
from common.pair_checks import DISK_UNPROTECTED
from common.states import StorageMode
from compute_agent.checks.look import DestLook
from compute_agent.storage.gate import GATE

# By the name of the file system in mountinfo. NFS 3 is not here: its locks are another protocol, and `nolock` is common.
FILE_SYSTEMS: Final[Mapping[str, str]] = {
    "nfs4": "NFS 4",
    "ceph": "CephFS",
    "fuse.ceph": "CephFS",
    "glusterfs": "GlusterFS",
    "fuse.glusterfs": "GlusterFS",
    "gfs2": "GFS2",
    "ocfs2": "OCFS2",
    "gpfs": "GPFS",
    "lustre": "Lustre",
}
# By the protocol of a network disk: what its server grants to one writer at a time.
PROTOCOLS: Final[Mapping[str, str]] = {"rbd": "rbd's exclusive lock"}
# libvirt's daemons lock files and block devices; of network disks they know nothing.
MANAGERS: Final[Mapping[str, str]] = {"lockd": "virtlockd", "sanlock": "sanlock"}
_MANAGED_TYPES: Final = ("file", "block")

MOUNTS = Path("/proc/self/mountinfo")
LOOK_TIMEOUT_S = 5.0


def check_disk_locks(look: DestLook) -> Iterator[Finding]:
    """A disk that several guests share on purpose is not protected by anything, and is meant so."""
    mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    make = DISK_UNPROTECTED.refusal if look.settings.requires_disk_lock else DISK_UNPROTECTED.warning
    disks = [disk for disk in look.guest.disks if _has_one_writer(disk)]
    real = _real([disk.source for disk in disks if disk.type == "file"])
    may_copy = look.declared.storage is not StorageMode.SHARED
    for disk in disks:
        if may_copy and disk.type == "file" and not real[disk.source].is_there:
            continue  # if at all it is copied, and no other host will have that copy
        is_file = disk.type == "file"
        file_system = file_system_of(real[disk.source].path, mounts) if is_file else ""
        if not lock_of(disk, lock_manager=look.dest.lock_manager, file_system=file_system):
            reason = f"it is on {file_system}" if is_file else f"it is of type {disk.type}"
            manager = look.dest.lock_manager or "none"
            yield make(
                look.settings.host,
                disk=disk.target,
                path=disk.source,
                reason=f"{reason}, and lock_manager is {manager}",
            )


def lock_of(disk: DiskFacts, *, lock_manager: str, file_system: str) -> str:
    """The lock that protects this disk between hosts, by name; empty if there is none. Pure."""
    if disk.type in _MANAGED_TYPES and lock_manager in MANAGERS:
        return MANAGERS[lock_manager]
    if disk.type == "file":
        return FILE_SYSTEMS.get(file_system, "")
    if disk.type == "network":
        return PROTOCOLS.get(disk.source.partition(":")[0], "")
    return ""


def file_system_of(path: str, mounts: str) -> str:
    """The type of file system that holds this path, by the text of mountinfo (proc(5)). Pure."""
    return mount_of(path, mounts)[0]


def mount_of(path: str, mounts: str) -> tuple[str, str]:
    """The type of that file system, and what is mounted there (a device, SERVER:/EXPORT); both empty: not known."""
    best, found = "", ("", "")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) > 4 and kinds[0]:
            point = _unescaped(fields[4])
            is_above = path == point or path.startswith(point.rstrip("/") + "/")
            if is_above and len(point) >= len(best):  # of two at one point the later hides the earlier
                source = kinds[1] if len(kinds) > 1 else ""
                best, found = point, (kinds[0], _unescaped(source))
    return found


def file_system_of_path(path: str) -> str:
    """The type of file system that this path leads to; empty: not known. Raises StorageSilentError."""
    mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    return file_system_of(_real([path])[path].path, mounts)


def _has_one_writer(disk: DiskFacts) -> bool:
    is_written = bool(disk.source) and not disk.is_readonly and disk.device in ("disk", "lun")
    return is_written and not disk.is_shareable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Real:
    """A path without its links."""

    path: str
    is_there: bool


def _real(paths: list[str]) -> Mapping[str, _Real]:
    """In a native thread, as storage may hang."""
    if not paths:
        return {}
    return GATE.look(_resolved, paths, timeout_s=LOOK_TIMEOUT_S, what=", ".join(paths))


def _resolved(paths: list[str]) -> Mapping[str, _Real]:
    real = {path: os.path.realpath(path) for path in paths}
    return {path: _Real(path=found, is_there=os.path.lexists(found)) for path, found in real.items()}


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
