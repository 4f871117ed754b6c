"""Where a block device of this host comes from, as sysfs has it: the iSCSI session that it was attached by. Only reads.

/sys/dev/block/8:16 -> .../session3/target2:0:0/2:0:0:1/block/sdb; of a multipath device those of its paths.
"""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from common.facts import DiskFacts
from common.volumes import VolumeConnection

SYSFS: Final = Path("/sys")
_SESSION = re.compile(r"/(?P<session>session\d+)/")
_LUN = re.compile(r"/\d+:\d+:\d+:(?P<lun>\d+)/block/")
_TEXT_MAX_BYTES: Final = 4096


def attached_volumes(disks: Iterable[DiskFacts], *, sysfs: Path = SYSFS) -> tuple[VolumeConnection, ...]:
    """Of those disks that are block devices of iSCSI sessions; in a native thread."""
    found = (attached_volume(disk, sysfs=sysfs) for disk in disks if disk.type == "block" and disk.source)
    return tuple(volume for volume in found if volume is not None)


def attached_volume(disk: DiskFacts, *, sysfs: Path = SYSFS) -> VolumeConnection | None:
    """None: it is no such device, or cannot be looked at."""
    try:
        status = Path(disk.source).stat()
    except OSError:
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return volume_of(disk.target, (sysfs / "dev" / "block" / number).resolve(), sysfs=sysfs)


def volume_of(target: str, node: Path, *, sysfs: Path = SYSFS) -> VolumeConnection | None:
    """The same by the device's directory in sysfs."""
    if (node / "partition").exists():
        return (
            None  # a host attaches whole devices: a part of one is nothing that could be attached elsewhere
        )
    is_multipath = _text(node / "dm" / "uuid").startswith("mpath-")
    nodes = sorted(path.resolve() for path in (node / "slaves").glob("*")) if is_multipath else [node]
    paths = [path for path in (_path(each, sysfs) for each in nodes) if path is not None]
    names = {name for name, _ in paths}
    if len(names) != 1 or len(paths) != len(nodes):
        return None  # of another kind, or paths of several targets: that must be declared
    servers = tuple(dict.fromkeys(server for _, server in paths if server))
    return VolumeConnection(
        target=target, driver="iscsi", name=names.pop(), servers=servers, is_host_attached=True
    )


def _path(node: Path, sysfs: Path) -> tuple[str, str] | None:
    """IQN/LUN and portal."""
    session, lun = _SESSION.search(str(node)), _LUN.search(str(node))
    if session is None or lun is None:
        return None
    name = session["session"]
    iqn = _text(sysfs / "class" / "iscsi_session" / name / "targetname")
    connection = sysfs / "class" / "iscsi_connection" / f"connection{name.removeprefix('session')}:0"
    address, port = _text(connection / "persistent_address"), _text(connection / "persistent_port")
    if not iqn:
        return None
    bracketed = f"[{address}]" if ":" in address else address
    return f"{iqn}/{lun['lun']}", f"{bracketed}:{port}" if address and port else ""


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_TEXT_MAX_BYTES).strip()
    except OSError:
        return ""
