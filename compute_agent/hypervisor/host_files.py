"""What the files of this host say: disk space, sizes of guests' disks, libvirt's configuration of QEMU.

Not asked of libvirt: virDomainGetBlockInfo takes the domain's job and asks QEMU, which an idle report must not, and
would wait 30 s beside a job of somebody else. Storage may hang (NFS), and then a report still has to go out: a look
is bounded, what was known before stays, and while a look hangs no other one is begun.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from common import concurrency
from common.facts import DiskFacts, GuestFacts
from common.volumes import VolumeConnection
from compute_agent.attaching.sessions import attached_volumes
from compute_agent.hypervisor import tls_files
from compute_agent.hypervisor.qemu_conf import setting_in
from compute_agent.hypervisor.tls_files import TlsFiles

LOOK_TIMEOUT_S = 2.0  # a stat takes microseconds; what takes longer than this will not end soon

_GIB_BYTES = 2**30
_SECTOR_BYTES = 512  # of /sys/dev/block/*/size, whatever the device's own sectors are
# Header of qcow2 (QEMU's docs/interop/qcow2.rst): magic, and the virtual size as a big-endian number of 8 bytes.
_QCOW2_MAGIC = b"QFI\xfb"
_QCOW2_SIZE_AT = slice(24, 32)
_LOCAL_TYPES = ("file", "block")
_WRITABLE_DEVICES = ("disk", "lun")
_NO_LOCK_MANAGERS = ("", "nop", "none")
MEMINFO = Path("/proc/meminfo")  # proc_meminfo(5)
_MEMORY_AVAILABLE = re.compile(r"^MemAvailable:\s*(?P<kib>\d+) kB$", re.MULTILINE)
QEMU_CONF_MAX_BYTES = 1_000_000  # Debian's, all of it comments, has 38 kB

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """Of one file system, in whole GiB; 0: not known."""

    total_gib: int = 0
    free_gib: int = 0


class HostFiles:
    """Looks at them in native threads. `qemu_conf` and `instances_path` are this host's."""

    def __init__(self, *, qemu_conf: Path, instances_path: Path, meminfo: Path = MEMINFO) -> None:
        self._meminfo = meminfo
        self._qemu_conf = qemu_conf
        self.instances_path = instances_path
        self._space = DiskSpace()
        self._sizes_bytes: dict[str, int] = {}  # of disks, by path
        self._space_look = _Look()
        self._sizes_look = _Look()
        self._attached_look = _Look()

    def disk_space(self) -> DiskSpace:
        """Of the file system of `instances_path`, or of where it would be made."""
        self._space = self._space_look.at(lambda: _space_of(self.instances_path), self._space)
        return self._space

    def lock_manager(self) -> str:
        """As qemu.conf names it now; libvirtd goes by what stood there at its start."""
        return lock_manager_in(self._qemu_conf_text())

    def migration_host(self) -> str:
        """Where other hosts are to send a guest's memory, by qemu.conf; empty: to this host's name."""
        return setting_in(self._qemu_conf_text(), "migration_host").strip("[]")

    def tls(self, *, qemu_uid: int | None, qemu_gid: int | None) -> TlsFiles:
        """The certificates that a guest's QEMU, which runs as this user, would show other hosts."""
        return tls_files.look(self._qemu_conf_text(), qemu_uid=qemu_uid, qemu_gid=qemu_gid)

    def memory_available_mib(self) -> int | None:
        """What the kernel could give without swapping; None where it does not tell.

        Free memory and caches, less what cannot be dropped: files on tmpfs, which libvirt's figures count as cache.
        """
        try:
            found = _MEMORY_AVAILABLE.search(self._meminfo.read_text(encoding="ascii", errors="replace"))
        except OSError:
            return None
        return None if found is None else int(found["kib"]) // 1024

    def _qemu_conf_text(self) -> str:
        try:
            with self._qemu_conf.open(encoding="utf-8", errors="replace") as file:
                return file.read(QEMU_CONF_MAX_BYTES)
        except OSError:
            return ""  # nothing but defaults, as if there were no such file

    def with_disk_sizes(self, guests: tuple[GuestFacts, ...], *, is_full: bool) -> tuple[GuestFacts, ...]:
        """The same with their `disk_gib`. `is_full`: these are all guests, so that others' sizes are forgotten."""
        paths = {disk.source: disk.format for guest in guests for disk in _local_disks(guest)}
        kept = {} if is_full else self._sizes_bytes
        known = {path: size for path, size in self._sizes_bytes.items() if path in paths}
        found = self._sizes_look.at(lambda: _sizes_of(paths), known)
        self._sizes_bytes = {**kept, **found}
        none: dict[str, tuple[VolumeConnection, ...]] = {}
        attached = self._attached_look.at(lambda: _attached_to(guests), none)
        return tuple(
            replace(
                guest,
                disk_gib=_gib_of(guest, found),
                volumes=(*guest.volumes, *attached.get(guest.uuid, ())),
            )
            for guest in guests
        )


class _Look:
    """One kind of look. While one hangs, no other is begun: each would keep a native thread."""

    def __init__(self) -> None:
        self._lock = concurrency.native_rlock()
        self._hanging: Callable[[], object] | None = None

    def at(self, look: Callable[[], T], known: T) -> T:
        """What it finds; what was known if it takes too long, fails, or an earlier one still hangs."""
        has_ended = False

        def run() -> T:
            nonlocal has_ended
            try:
                return look()
            finally:
                with self._lock:
                    has_ended = True
                    if self._hanging is run:
                        self._hanging = None

        if self._hanging is not None:
            return known
        try:
            return concurrency.call_blocking(run, timeout_s=LOOK_TIMEOUT_S)
        except OSError:
            return known
        except concurrency.BlockingCallTimeout as error:
            with self._lock:
                if error.has_started and not has_ended:
                    self._hanging = run
            return known


def lock_manager_in(qemu_conf: str) -> str:
    """The lock manager that a qemu.conf names; empty where QEMU's own locks are the only ones."""
    name = setting_in(qemu_conf, "lock_manager")
    return "" if name in _NO_LOCK_MANAGERS else name


def virtual_size_bytes(path: Path, format: str) -> int:
    """What the guest sees as its disk's size; of formats other than raw and qcow2 what the file takes. OSError."""
    found = path.stat()
    if stat.S_ISBLK(found.st_mode):
        sectors = Path(f"/sys/dev/block/{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}/size").read_text()
        size_bytes = int(sectors) * _SECTOR_BYTES
    else:
        size_bytes = found.st_size
    if format != "qcow2":  # by the definition, never by what a guest may have written into a raw disk
        return size_bytes
    with path.open("rb") as file:
        header = file.read(_QCOW2_SIZE_AT.stop)
    if not header.startswith(_QCOW2_MAGIC) or len(header) < _QCOW2_SIZE_AT.stop:
        return size_bytes
    return int.from_bytes(header[_QCOW2_SIZE_AT], "big")


def _space_of(path: Path) -> DiskSpace:
    while not path.exists() and path != path.parent:
        path = path.parent
    found = os.statvfs(path)
    return DiskSpace(
        total_gib=found.f_blocks * found.f_frsize // _GIB_BYTES,
        free_gib=found.f_bavail * found.f_frsize // _GIB_BYTES,
    )


def _sizes_of(paths: Mapping[str, str]) -> dict[str, int]:
    """Of those that can be read."""
    sizes = {}
    for path, format in paths.items():
        with contextlib.suppress(OSError, ValueError):
            sizes[path] = virtual_size_bytes(Path(path), format)
    return sizes


def _attached_to(guests: Iterable[GuestFacts]) -> dict[str, tuple[VolumeConnection, ...]]:
    """By guest: its block devices that this host attached, as sysfs tells."""
    return {guest.uuid: attached_volumes(guest.disks) for guest in guests}


def _gib_of(guest: GuestFacts, sizes_bytes: Mapping[str, int]) -> int:
    """Rounded up: a report never promises room that is taken."""
    return -(-sum(sizes_bytes.get(disk.source, 0) for disk in _local_disks(guest)) // _GIB_BYTES)


def _local_disks(guest: GuestFacts) -> Iterable[DiskFacts]:
    for disk in guest.disks:
        is_written = disk.device in _WRITABLE_DEVICES and not disk.is_readonly
        if is_written and disk.type in _LOCAL_TYPES and disk.source:
            yield disk
