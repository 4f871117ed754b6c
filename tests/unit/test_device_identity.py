"""Block devices: what names of them prove, what they only tell apart, and what remains unknown."""

import pytest

from common.devices import DeviceIdentity, Sameness, compared
from compute_agent.storage.device_identity import identity_of_number

GIB = 2**30
WWN = "naa.60060160a6b1420088a1b0c2d4e6f801"
OTHER_WWN = "naa.60060160a6b1420088a1b0c2d4e6f802"


class Sysfs:
    """The part of a host's /sys that is read, and its boot id."""

    def __init__(self, root):
        self.root = root
        self.boot_id = root / "boot_id"
        self.boot_id.parent.mkdir(parents=True, exist_ok=True)
        self.boot_id.write_text(f"boot of {root.name}\n")

    def device(self, number, at, *, below=(), size=2 * GIB, **attributes):
        """A device of this number at this path below /sys/devices; attributes with __ for a directory."""
        node = self.root / "devices" / at
        for name, text in {"size": str(size // 512), **attributes}.items():
            path = node / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        link = self.root / "dev" / "block" / number
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(node)
        (node / "slaves").mkdir(exist_ok=True)
        for slave in below:
            (node / "slaves" / slave.name).symlink_to(slave)
        return node

    def identity(self, number):
        return identity_of_number(number, sysfs=self.root, boot_id=self.boot_id)


@pytest.fixture
def dest(tmp_path):
    return Sysfs(tmp_path / "compute2")


@pytest.fixture
def source(tmp_path):
    return Sysfs(tmp_path / "compute1")


def sameness(dest, source, *, at_dest="8:0", at_source="8:0"):
    return compared(dest.identity(at_dest), source.identity(at_source)).sameness


def test_a_wwn_that_both_read_is_one_device_whatever_it_is_called(dest, source):
    dest.device("8:0", "pci/host1/target1:0:0/1:0:0:0/block/sda", device__wwid=WWN)
    source.device(
        "8:48", "pci/host7/target7:0:3/7:0:3:1/block/sdd", device__wwid=WWN.upper().replace("NAA", "naa")
    )

    assert sameness(dest, source, at_source="8:48") is Sameness.SAME


def test_different_wwns_are_different_devices(dest, source):
    dest.device("8:0", "pci/block/sda", device__wwid=WWN)
    source.device("8:0", "pci/block/sda", device__wwid=OTHER_WWN)

    found = compared(dest.identity("8:0"), source.identity("8:0"))

    assert found.sameness is Sameness.OTHER
    assert found.reason == f"its wwn is {WWN} there and {OTHER_WWN} on the source"


def test_multipath_on_one_host_only_hides_no_device(dest, source):
    path = dest.device("8:0", "pci/block/sda", device__wwid=WWN)
    dest.device("252:0", "virtual/block/dm-0", dm__uuid=f"mpath-3{WWN.removeprefix('naa.')}", below=(path,))
    source.device("8:0", "pci/block/sda", device__wwid=WWN)

    assert sameness(dest, source, at_dest="252:0") is Sameness.SAME


@pytest.mark.parametrize(
    "wwid",
    [
        "t10.ATA     QEMU HARDDISK                           QM00001",  # each virtual machine's first disk
        "naa.60000000000000000e00000000010001",  # tgtd's first unit, on every server of its kind
        "nvme.1b36-deadbeef-51454d55204e564d65204374726c-00000001",
        "eui.0000000000000000",
        "",
    ],
)
def test_a_name_that_is_not_unique_proves_nothing(dest, source, wwid):
    for sysfs in (dest, source):
        sysfs.device("8:0", "pci/block/sda", device__wwid=wwid)

    assert sameness(dest, source) is Sameness.UNKNOWN


def test_an_iscsi_unit_is_known_by_its_target_and_number(dest, source):
    for sysfs, session, target in (
        (dest, "session1", "iqn.2026-11.org.example:a"),
        (source, "session4", "iqn.2026-11.org.example:a"),
    ):
        host = f"platform/host3/{session}/target3:0:0/3:0:0:1/block/sda"
        sysfs.device("8:0", host, device__wwid="naa.60000000000000000e00000000010001")
        name = sysfs.root / "class" / "iscsi_session" / session / "targetname"
        name.parent.mkdir(parents=True)
        name.write_text(f"{target}\n")

    assert sameness(dest, source) is Sameness.SAME

    name.write_text("iqn.2026-11.org.example:b\n")
    assert (
        sameness(dest, source) is Sameness.UNKNOWN
    )  # the units have one wwn, their targets two names: nobody can say


def test_a_contradiction_is_not_decided(dest, source):
    """One of the two hosts has not seen that it was resized: a copy could fall upon the very device."""
    dest.device("8:0", "pci/block/sda", device__wwid=WWN, size=4 * GIB)
    source.device("8:0", "pci/block/sda", device__wwid=WWN)

    assert sameness(dest, source) is Sameness.UNKNOWN


@pytest.mark.parametrize(
    ("at_dest", "at_source", "expected"),
    [
        (WWN, WWN, Sameness.SAME),
        (WWN, OTHER_WWN, Sameness.OTHER),  # hosts made from one image: two groups of one uuid
        ("", "", Sameness.UNKNOWN),  # the same, on disks without names
    ],
)
def test_a_logical_volume_is_one_only_where_its_disks_are(dest, source, at_dest, at_source, expected):
    for sysfs, wwid in ((dest, at_dest), (source, at_source)):
        disk = sysfs.device("8:0", "pci/block/sda", device__wwid=wwid)
        sysfs.device("252:3", "virtual/block/dm-3", dm__uuid="LVM-group-volume", below=(disk,))

    assert sameness(dest, source, at_dest="252:3", at_source="252:3") is expected


def test_local_volumes_are_told_apart_without_their_disks(dest, source):
    for sysfs, uuid in ((dest, "LVM-a-1"), (source, "LVM-b-1")):
        disk = sysfs.device("254:0", "pci/virtio1/block/vda")
        sysfs.device("252:3", "virtual/block/dm-3", dm__uuid=uuid, below=(disk,))

    assert sameness(dest, source, at_dest="252:3", at_source="252:3") is Sameness.OTHER


def test_a_partition_is_its_disk_from_where_it_begins(dest, source):
    for sysfs, start in ((dest, 2048), (source, 4096)):
        sysfs.device("8:0", "pci/block/sda", device__wwid=WWN)
        sysfs.device("8:1", "pci/block/sda/sda1", partition=1, start=start)
        sysfs.device("8:2", "pci/block/sda/sda2", partition=2, start=8192)

    assert sameness(dest, source, at_dest="8:2", at_source="8:2") is Sameness.SAME
    assert sameness(dest, source, at_dest="8:1", at_source="8:1") is Sameness.OTHER


@pytest.mark.parametrize(
    ("serial", "expected"),
    [("9d0a3f4c-7c5e-4f0b", Sameness.SAME), ("disk1", Sameness.UNKNOWN), ("", Sameness.UNKNOWN)],
)
def test_a_serial_must_be_long_to_be_anybodys_alone(dest, source, serial, expected):
    for sysfs in (dest, source):
        sysfs.device("254:0", "pci/virtio1/block/vda", serial=serial)

    assert sameness(dest, source, at_dest="254:0", at_source="254:0") is expected


def test_a_ceph_image_is_known_by_cluster_pool_and_image(dest, source):
    for sysfs in (dest, source):
        sysfs.device("251:0", "rbd/0/block/rbd0")
        for name, text in {
            "cluster_fsid": "d3a1",
            "pool_id": "2",
            "image_id": "10ab",
            "snap_id": "head",
        }.items():
            (sysfs.root / "devices" / "rbd" / "0" / name).write_text(f"{text}\n")

    assert sameness(dest, source, at_dest="251:0", at_source="251:0") is Sameness.SAME


def test_a_zvol_is_never_another_hosts(dest, source):
    dest.device("230:0", "virtual/block/zd0")
    source.device("8:0", "pci/block/sda")

    assert sameness(dest, source, at_dest="230:0") is Sameness.OTHER


def test_a_device_of_one_kernel_is_itself(dest, source):
    source.boot_id.write_text(dest.boot_id.read_text())
    for sysfs in (dest, source):
        sysfs.device("7:0", "virtual/block/loop0")
        sysfs.device("7:1", "virtual/block/loop1")

    assert sameness(dest, source, at_dest="7:0", at_source="7:0") is Sameness.SAME
    assert sameness(dest, source, at_dest="7:0", at_source="7:1") is Sameness.UNKNOWN


def test_what_is_unknown_says_what_each_host_has():
    found = compared(DeviceIdentity(tells={"serial": "disk1"}), DeviceIdentity())

    assert "it has serial disk1 on the one, no name at all on the other" in found.reason
