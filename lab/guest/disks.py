"""A guest's disks: its root on storage that all hosts share, or on its host's own; further ones on its host's own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.guest import domain
from lab.namespaces import Namespaces
from lab.paths import LOCAL_DIRECTORY, SHARED_DIRECTORY, LabPaths

MIB = 2**20
LOCAL_DISK_MIB = 16
BLOCK = 4096  # of guestd
BASE_MARKER = "of the base image"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalDisk:
    """A further disk of its host's own. `has_base`: an overlay on an image that lies beside it."""

    device: str = "vdb"
    format: str = "raw"  # raw, qcow2
    size_mib: int = LOCAL_DISK_MIB
    has_base: bool = False


def make(
    name: str,
    template: Path,
    *,
    host: Namespaces,
    is_root_local: bool,
    local_disks: tuple[LocalDisk, ...],
    paths: LabPaths,
) -> tuple[domain.Disk, ...]:
    """The files, and how the guest's domain names them."""
    root = (LOCAL_DIRECTORY if is_root_local else SHARED_DIRECTORY) / f"{name}.img"
    place = paths.host(host.name) / root.relative_to("/") if is_root_local else paths.shared / root.name
    shutil.copyfile(template, place)
    disks = [domain.Disk(path=root, device="vda")]
    for disk in local_disks:
        path = local_path(name, disk.device)
        host.run(["sh", "-ec", _making(disk, path)])
        disks.append(domain.Disk(path=path, device=disk.device, format=disk.format))
    return tuple(disks)


def local_path(name: str, device: str) -> Path:
    """Where a guest's further disk lies on its host."""
    return LOCAL_DIRECTORY / f"{name}-{device}.img"


def base_path(name: str, device: str) -> Path:
    return LOCAL_DIRECTORY / f"{name}-{device}-base.img"


def remove(name: str, *, host: str, paths: LabPaths) -> None:
    """All of them from one host; the shared ones from all."""
    for directory in (paths.host(host) / LOCAL_DIRECTORY.relative_to("/"), paths.shared):
        for path in (directory / f"{name}.img", *directory.glob(f"{name}-vd*.img")):
            path.unlink(missing_ok=True)


def _making(disk: LocalDisk, path: Path) -> str:
    """The last block of a base image says so: where guestd's marker is (`read vdb`)."""
    size = disk.size_mib * MIB
    if disk.format == "raw":
        return f"truncate -s {size} {path}"
    if not disk.has_base:
        return f"qemu-img create -q -f qcow2 {path} {size}"
    base = path.with_name(f"{path.stem}-base.img")
    return (
        f"truncate -s {size - BLOCK} {base}; printf '{BASE_MARKER}' >>{base}; truncate -s {size} {base}; "
        f"qemu-img create -q -f qcow2 -b {base} -F raw {path} {size}"
    )
