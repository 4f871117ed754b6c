"""Guests whose disks are their host's own: copied while they are written, byte for byte, and nothing is left of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.guest import disks
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

NAME = "local"
RATE_KIB_S = 512
LOCAL = GuestOptions(
    is_root_local=True,
    local_disks=(
        LocalDisk(device="vdb", size_mib=64),
        LocalDisk(device="vdc", format="qcow2", has_base=True),
    ),
)
REFUSED = 4


@pytest.fixture
def boot_id(lab: Lab) -> Iterator[str]:
    first = lab.guest_create(NAME, "compute1", LOCAL)
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


def files(lab: Lab, host: str) -> set[str]:
    """Of this guest, and whatever a migration may have left beside them."""
    listed = lab.exec(host, ["ls", "-A", "/srv/local"]).stdout.split()
    return {name for name in listed if name.startswith((f"{NAME}.", f"{NAME}-", ".limosa"))}


ROOT, RAW, OVERLAY, BASE = f"{NAME}.img", f"{NAME}-vdb.img", f"{NAME}-vdc.img", f"{NAME}-vdc-base.img"


def compare_offline(lab: Lab, host: str, path: Path, format: str) -> None:
    """Both halves of the disk, without guest and QEMU, up to the block that neither has."""
    raw = path.with_suffix(".compared")
    script = (
        f"qemu-img convert -f {format} -O raw {path} {raw}; half=$(($(stat -c %s {raw}) / 2)); "
        f"cmp -n $((half - {disks.BLOCK})) -i 0:$half {raw} {raw}; rm -f {raw}"
    )
    lab.exec(host, ["sh", "-ec", script])


def test_written_disks_arrive_equal_and_the_sources_are_removed(lab: Lab, boot_id: str) -> None:
    for device in ("vdb", "vdc"):
        lab.ask(NAME, f"pattern {device} {RATE_KIB_S}")
        break  # guestd writes one at a time

    shown = observer.migrate(lab, NAME, "compute2")

    assert shown["status"] == "completed"
    assert lab.ask(NAME, "pattern vdb 0") == "ok"
    equal, pairs = lab.ask(NAME, "compare vdb").split()
    assert (equal, int(pairs) > 0) == ("equal", True)
    assert lab.ask(NAME, "read vdc") == disks.BASE_MARKER
    observer.assert_one_guest(lab, NAME, host="compute2", boot_id=boot_id)
    assert files(lab, "compute1") == {BASE}
    assert files(lab, "compute2") == {ROOT, RAW, OVERLAY, BASE}
