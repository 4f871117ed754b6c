"""Disks that are block devices: the dest tells what it sees, the source compares; nothing is written to a device."""

from dataclasses import replace

import pytest

from common.checks import STORAGE_NOT_SHARED
from common.device_checks import DEVICE_NOT_PROVABLE
from common.devices import DeviceIdentity
from common.migration import DiskProbe
from common.wire import from_primitive, to_primitive
from compute_agent import probes as probes_module
from compute_agent.durable import make_state_directory
from compute_agent.probes import Probes
from compute_agent.storage import block, device_identity
from compute_agent.storage.driver import Disk
from tests.fakes.host import MIGRATION

WWN = DeviceIdentity(
    size_bytes=2**30, proves={"wwn": "naa.5000c500a1b2c3d4"}, tells={"wwn": "naa.5000c500a1b2c3d4"}
)
NAMELESS = DeviceIdentity(size_bytes=2**30)


class Devices:
    """What one host has at each path: an identity, and the file and part of a loop device."""

    def __init__(self, monkeypatch):
        self.identities = {}
        self.loops = {}
        monkeypatch.setattr(device_identity, "identity_of", self._identity_of)
        monkeypatch.setattr(device_identity, "loop_file", lambda path: self.loops.get(str(path)))

    def _identity_of(self, path):
        try:
            found = self.identities[str(path)]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", str(path)) from None
        if isinstance(found, OSError):
            raise found
        return found


@pytest.fixture
def devices(monkeypatch):
    return Devices(monkeypatch)


@pytest.fixture
def probes(tmp_path):
    make_state_directory(tmp_path / "state")
    return Probes(tmp_path / "state", host="compute2")


def make(probes, disks, **options):
    """The probes, and what speaks against the disks; with what is not here as a pair of its target and the reason."""
    made = probes.make(disks, **options)
    return made.probes, [*made.findings, *((one.disk, one.reason) for one in made.absent)] or ()


def disk(path="/dev/mapper/web1"):
    return Disk(target="vda", type="block", path=path, device="disk")


def test_a_device_that_both_hosts_know_by_a_unique_name_is_shared(probes, devices, tmp_path):
    devices.identities["/dev/mapper/web1"] = WWN
    made, against = make(probes, (disk(),), migration=MIGRATION, epoch=1)

    assert against == ()
    assert list((tmp_path / "state" / "probes").iterdir()) == []  # nothing was written, nothing is owed
    assert from_primitive(DiskProbe, to_primitive(made[0])) == made[0]
    assert probes_module.compare(made, dest="compute2") == ()


def test_another_device_of_the_same_path_is_not_shared(probes, devices):
    devices.identities["/dev/mapper/web1"] = WWN
    made, _ = make(probes, (disk(),), migration=MIGRATION, epoch=1)
    devices.identities["/dev/mapper/web1"] = replace(
        WWN, proves={"wwn": "naa.5000c500ffffffff"}, tells={"wwn": "naa.5000c500ffffffff"}
    )

    [finding] = probes_module.compare(made, dest="compute2")

    assert (finding.code, finding.evidence["path"]) == (STORAGE_NOT_SHARED.code, "/dev/mapper/web1")


def test_a_device_that_the_dest_lacks_is_not_shared(probes, devices):
    made, absent = make(probes, (disk(),), migration=MIGRATION, epoch=1)

    assert made == ()
    assert absent == [("vda", "compute2 has no such device")]


def test_a_device_without_a_name_is_neither_taken_for_shared_nor_for_another(probes, devices):
    devices.identities["/dev/mapper/web1"] = NAMELESS
    made, _ = make(probes, (disk(),), migration=MIGRATION, epoch=1)

    [finding] = probes_module.compare(made, dest="compute2")

    assert finding.code == DEVICE_NOT_PROVABLE.code


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/dev/mapper/web1"),
        OSError(15, "Block device required", "/dev/mapper/web1"),
    ],
)
def test_what_cannot_be_looked_at_is_not_decided(probes, devices, error):
    devices.identities["/dev/mapper/web1"] = error

    _, [finding] = make(probes, (disk(),), migration=MIGRATION, epoch=1)

    assert finding.code == DEVICE_NOT_PROVABLE.code
    assert error.strerror in finding.sentence


# ---- loop devices


@pytest.fixture
def looped(devices, tmp_path):
    """A loop device on a file, as both hosts have it."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "web1.raw").write_text("disk")
    devices.identities["/dev/loop7"] = NAMELESS
    devices.loops["/dev/loop7"] = (str(tmp_path / "images" / "web1.raw"), "0+0")
    return tmp_path / "images"


def test_a_loop_device_is_the_file_that_it_stands_on(probes, devices, looped, tmp_path):
    made, against = make(probes, (disk("/dev/loop7"),), migration=MIGRATION, epoch=1)

    assert against == ()
    assert probes_module.compare(made, dest="compute2") == ()

    probes.remove(MIGRATION)
    assert [path.name for path in looped.iterdir()] == ["web1.raw"]


def test_loop_devices_on_two_files_of_one_name_are_two(probes, devices, looped):
    made, _ = make(probes, (disk("/dev/loop7"),), migration=MIGRATION, epoch=1)
    looped.rename(looped.with_name("of-the-dest"))
    looped.mkdir()
    (looped / "web1.raw").write_text("disk")

    [finding] = probes_module.compare(made, dest="compute2")

    assert finding.code == STORAGE_NOT_SHARED.code


def test_two_parts_of_one_file_are_two_devices(probes, devices, looped):
    made, _ = make(probes, (disk("/dev/loop7"),), migration=MIGRATION, epoch=1)
    devices.loops["/dev/loop7"] = (devices.loops["/dev/loop7"][0], "1048576+0")

    [finding] = probes_module.compare(made, dest="compute2")

    assert "another part" in finding.sentence


def test_a_loop_device_is_no_device_of_another_kind(probes, devices, looped):
    made, _ = make(probes, (disk("/dev/loop7"),), migration=MIGRATION, epoch=1)
    devices.loops.clear()

    [finding] = probes_module.compare(made, dest="compute2")

    assert (finding.code, "on one host only" in finding.sentence) == (STORAGE_NOT_SHARED.code, True)


def test_a_device_of_which_the_dest_told_nothing_is_not_provable():
    [finding] = block.BlockStorage().unproven(disk(), dest="compute2")

    assert finding.code == DEVICE_NOT_PROVABLE.code
