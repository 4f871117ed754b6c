"""A guest with disks of its host's own, and what must be true of them."""

import json
from typing import Any

from lab.guest import disks
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab

NAME = "local"
RAW_MIB = 64
RATE_KIB_S = 1024
OPTIONS = GuestOptions(
    is_root_local=True,
    local_disks=(
        LocalDisk(device="vdb", size_mib=RAW_MIB),
        LocalDisk(device="vdc", format="qcow2", has_base=True),
    ),
)
ROOT, RAW, OVERLAY, BASE = f"{NAME}.img", f"{NAME}-vdb.img", f"{NAME}-vdc.img", f"{NAME}-vdc-base.img"
_KEPT = ("format", "virtual-size", "cluster-size", "backing-filename", "backing-filename-format")


def files(lab: Lab, host: str) -> set[str]:
    """Of this guest, and whatever a migration may have left beside them."""
    listed = lab.exec(host, ["ls", "-A", "/srv/local"]).stdout.split()
    return {name for name in listed if name.startswith((f"{NAME}.", f"{NAME}-", ".limosa"))}


def description(lab: Lab, host: str, file: str) -> dict[str, Any]:
    """What tells one qcow2 image from another one, whatever is in it."""
    argv = ["qemu-img", "info", "-U", "--output=json", f"/srv/local/{file}"]
    told = json.loads(lab.exec(host, argv).stdout)
    return {**{key: told.get(key) for key in _KEPT}, "specific": told["format-specific"]}


def assert_equal_halves(lab: Lab, device: str) -> None:
    """As the guest sees it: whatever was written to one half was written to the other, and nothing else."""
    told, pairs = lab.ask(NAME, f"compare {device}").split()
    assert told == "equal"
    assert int(pairs) > 0


def compare_offline(lab: Lab, host: str, file: str, format: str) -> None:
    """The same of the file, without guest and QEMU, but for the last block of each half; `cmp` fails where they differ."""
    raw = f"/srv/local/{file}.compared"
    script = (
        f"qemu-img convert -f {format} -O raw /srv/local/{file} {raw}; half=$(($(stat -c %s {raw}) / 2)); "
        f"cmp -n $((half - {disks.BLOCK})) -i 0:$half {raw} {raw}; rm -f {raw}"
    )
    lab.exec(host, ["sh", "-ec", script])
