"""Read from sysfs what tells a block device from others. Works on any kind; knows what the names of each are worth.

What proves is what a standard makes unique in the world (NAA with a company's id, EUI-64, an iSCSI target's name with the
unit's number, a Ceph cluster's id with the image's), and what is built of nothing else. What somebody has chosen (the
serial of an emulated disk, the uuid of a volume group that is part of a host's image) only separates.
"""

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from common.devices import KERNEL, DeviceIdentity

SYSFS: Final = Path("/sys")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
LAYERS_MAX = 8  # of devices below each other
SERIAL_PROVING_MIN_CHARS = 16  # of virtio-blk: shorter ones are names that somebody gave by hand
_SECTOR_BYTES = 512  # of sysfs, whatever the device's own sectors are
_TEXT_MAX_BYTES = 4096

# NAA 5 and 6 begin with a digit of their own and 6 of the company's id; tgtd's default has none (60000000...).
_NAA = re.compile(r"^naa\.(?:[2356])(?!0{6})[0-9a-f]+$")
_UNIQUE = re.compile(r"^(eui|uuid)\.(?!0+$)[0-9a-f-]+$")
# QEMU's defaults, equal in every virtual machine: QM00001 of IDE and SATA, company 1b36 and 1af4 of NVMe.
_EMULATED = re.compile(r"qemu|^QM\d{5}$|^nvme\.(1b36|1af4)-", re.IGNORECASE)
_MPATH = re.compile(r"^mpath-(?P<kind>.)(?P<value>[0-9a-f]+)$")
_MPATH_KINDS: Final[Mapping[str, str]] = {"2": "eui.", "3": "naa.", "8": "naa."}  # of scsi_id(8)
_SESSION = re.compile(r"/(?P<session>session\d+)/")
_LUN = re.compile(r"/\d+:\d+:\d+:(?P<lun>\d+)/block/")
_LOCAL = re.compile(r"^(zd|zram|ram)\d+$")
_OF_A_LAYER: Final = ("wwn", "iscsi", "rbd", "nvme", "serial")  # best first


def identity_of(path: Path) -> DeviceIdentity:
    """What this host knows of the device. Raises OSError: there is none, or it is no block device."""
    return identity_of_number(_number(path))


def identity_of_number(number: str, *, sysfs: Path = SYSFS, boot_id: Path = BOOT_ID) -> DeviceIdentity:
    """The same by major and minor number: 8:16."""
    found = _identity(_node(number, sysfs), sysfs, LAYERS_MAX)
    return replace(found, proves={**found.proves, KERNEL: f"{_text(boot_id)} {number}"})


def loop_file(path: Path, *, sysfs: Path = SYSFS) -> tuple[str, str] | None:
    """The file behind a loop device, and which part of it; None: it is no loop device, or has no file."""
    loop = _node(_number(path), sysfs) / "loop"
    file = _text(loop / "backing_file")
    return (file, f"{_text(loop / 'offset')}+{_text(loop / 'sizelimit')}") if file else None


def _number(path: Path) -> str:
    status = path.stat()
    if not stat.S_ISBLK(status.st_mode):
        raise OSError(errno.ENOTBLK, os.strerror(errno.ENOTBLK), str(path))
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def _node(number: str, sysfs: Path) -> Path:
    return (sysfs / "dev" / "block" / number).resolve()


def _identity(node: Path, sysfs: Path, layers: int) -> DeviceIdentity:
    size_bytes = int(_text(node / "size") or 0) * _SECTOR_BYTES
    if (node / "partition").exists():
        return replace(_of_partition(node, sysfs, layers), size_bytes=size_bytes)
    dm = _text(node / "dm" / "uuid")
    if dm.startswith("mpath-"):
        return _named(_of_multipath(dm), size_bytes)
    slaves = tuple(sorted((node / "slaves").glob("*"))) if layers else ()
    if dm or slaves:
        return _of_layer(dm or _text(node / "md" / "uuid"), slaves, sysfs, layers, size_bytes)
    names = {
        **_of_scsi_or_nvme(node),
        **_of_iscsi(node, sysfs),
        **_of_rbd(node),
        **_of_serial(node),
    }
    return replace(_named(names, size_bytes), is_local=bool(_LOCAL.match(node.name)))


def _named(names: Mapping[str, str], size_bytes: int) -> DeviceIdentity:
    """An iSCSI name only where there is no WWN: arrays show one unit under several targets, and number units by host."""
    proving = {kind: value for kind, value in names.items() if _proves(kind, value)}
    if "wwn" in proving:
        proving.pop("iscsi", None)
    telling = {kind: value for kind, value in names.items() if kind != "iscsi"}
    return DeviceIdentity(size_bytes=size_bytes, proves=proving, tells=telling)


def _proves(kind: str, value: str) -> bool:
    match kind:
        case "wwn":
            return bool(_NAA.match(value) or _UNIQUE.match(value))
        case "iscsi" | "rbd":
            return True
        case "nvme":  # vendor, serial and model
            return not _EMULATED.search(value)
        case "serial":
            return len(value) >= SERIAL_PROVING_MIN_CHARS and not _EMULATED.search(value)
        case _:
            return False


def _of_scsi_or_nvme(node: Path) -> dict[str, str]:
    """The kernel chooses the best of the designators of page 0x83; `t10.` is a vendor's text."""
    wwid = _text(node / "wwid") or _text(node / "device" / "wwid")
    if wwid.startswith("nvme."):
        return {"nvme": wwid}
    if wwid.startswith(("naa.", "eui.", "uuid.")):
        return {"wwn": wwid.lower()}
    return {"t10": " ".join(wwid.split())} if wwid else {}


def _of_multipath(uuid: str) -> dict[str, str]:
    """By the same name as one of its paths, which the other host may have without multipath."""
    found = _MPATH.match(uuid)
    prefix = _MPATH_KINDS.get(found["kind"]) if found is not None else None
    if found is None or prefix is None:
        return {"mpath": uuid.removeprefix("mpath-")}
    return {"wwn": prefix + found["value"]}


def _of_iscsi(node: Path, sysfs: Path) -> dict[str, str]:
    session, lun = _SESSION.search(str(node)), _LUN.search(str(node))
    if session is None or lun is None:
        return {}
    target = _text(sysfs / "class" / "iscsi_session" / session["session"] / "targetname")
    return {"iscsi": f"{target}/{lun['lun']}"} if target else {}


def _of_rbd(node: Path) -> dict[str, str]:
    device = node.parent.parent  # devices/rbd/0/block/rbd0
    parts = [_text(device / name) for name in ("cluster_fsid", "pool_id", "image_id", "snap_id")]
    return {"rbd": "/".join(filter(None, parts))} if parts[0] and parts[2] else {}


def _of_serial(node: Path) -> dict[str, str]:
    serial = _text(node / "serial")  # of virtio-blk
    return {"serial": serial} if serial else {}


def _of_partition(node: Path, sysfs: Path, layers: int) -> DeviceIdentity:
    whole = _identity(node.parent, sysfs, layers)
    part = f"from sector {_text(node / 'start')}"
    return replace(
        whole,
        proves={kind: f"{value} {part}" for kind, value in whole.proves.items()},
        tells={kind: f"{value} {part}" for kind, value in whole.tells.items()},
    )


def _of_layer(
    uuid: str, slaves: tuple[Path, ...], sysfs: Path, layers: int, size_bytes: int
) -> DeviceIdentity:
    """A logical volume, a RAID, an encrypted device: one uuid on devices that are proven, or it proves nothing.

    Hosts that were made from one image have volume groups and volumes of the same uuids.
    """
    below = [_identity(slave.resolve(), sysfs, layers - 1) for slave in slaves]
    tells = {"dm": uuid} if uuid else {}
    for kind in _OF_A_LAYER:
        if below and all(kind in each.proves for each in below):
            on = " and ".join(each.proves[kind] for each in below)
            named = {f"volume on {kind}": " on ".join(filter(None, (uuid, on)))}
            return DeviceIdentity(
                size_bytes=size_bytes, proves=named if uuid else {}, tells={**tells, **named}
            )
    return DeviceIdentity(size_bytes=size_bytes, tells=tells, is_local=any(one.is_local for one in below))


def _text(path: Path) -> str:
    """Empty where there is no such attribute, or it is not to be read: what is not known proves nothing."""
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(_TEXT_MAX_BYTES).strip().strip("\0")
    except OSError:
        return ""
