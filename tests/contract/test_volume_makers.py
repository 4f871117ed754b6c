"""Volumes of LVM and ZFS: made like the source's, never over another one, removed only when they are ours.

LVM's own programs work on a loop device with their activation turned off: this kernel has no device-mapper, so that no
device appears and none can be open. ZFS is a fake alone: recorded answers of zfs(8).
"""

import subprocess
from dataclasses import replace

import pytest

from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.errors import CommandError
from compute_agent.storage import lvm, zfs
from compute_agent.storage.device_maker import NO_VOLUME, DeviceMaker
from compute_agent.storage.making import (
    ImageExistsError,
    ImageInUseError,
    ImageMakingError,
    ImageNotCopyableError,
    MadeImage,
    WantedImage,
)
from compute_agent.subprocesses import Finished, run_command
from tests.fakes.host import MIGRATION
from tests.fakes.volume_managers import EXTENT_BYTES, FakeLvm, FakeZfs

MIB = 2**20
OTHER_MIGRATION = "00000000-98c1-4b7d-9b0e-7a2f4c3d5e6f"
LVM_CONF = """\
devices { filter = ["a|^%s$|", "r|.*|"] use_devicesfile = 0 scan = "/dev" }
activation { udev_sync = 0 udev_rules = 0 }
backup { backup = 0 archive = 0 }
global { use_lvmpolld = 0 event_activation = 0 }
"""


class RealLvm:
    """LVM's programs, on a volume group of their own on a loop device."""

    def __init__(self, directory):
        self.directory = directory
        disk = directory / "disk.img"
        with disk.open("wb") as file:
            file.truncate(300 * MIB)
        self.device = subprocess.run(
            ["losetup", "--find", "--show", str(disk)], check=True, capture_output=True, text=True
        ).stdout.strip()
        (directory / "lvm.conf").write_text(LVM_CONF % self.device)
        self.run(["vgcreate", "--quiet", "vg0", self.device])

    def run(self, argv, *, timeout_s=30.0) -> Finished:
        inactive = ["--activate", "n"] if argv[0] == "lvcreate" else []
        argv = [argv[0], "--driverloaded", "n", *inactive, *argv[1:]]
        return run_command(argv, environment={"LVM_SYSTEM_DIR": str(self.directory)}, timeout_s=timeout_s)

    def end(self):
        subprocess.run(["losetup", "--detach", self.device], check=True)


# The fake pool has no end, and zvols are given out by blocks of the source's own size.
of_lvm = pytest.mark.parametrize("site", ["lvm", "fake lvm"], indirect=True)


@pytest.fixture(params=["lvm", "fake lvm", "fake zfs"])
def site(request, tmp_path):
    """A maker, the path of a volume that it could make, and one in a group that does not exist."""
    if request.param == "fake zfs":
        maker = zfs.ZfsVolumes(FakeZfs(), wait_until_there=lambda _path: True)
        yield maker, "/dev/zvol/tank/web1", "/dev/zvol/attic/web1"
    elif request.param == "fake lvm":
        maker = lvm.LogicalVolumes(FakeLvm(), wait_until_there=lambda _path: True)
        yield maker, "/dev/vg0/web1", "/dev/vg9/web1"
    else:
        real = RealLvm(tmp_path)
        try:
            maker = lvm.LogicalVolumes(real.run, wait_until_there=lambda _path: True)
            yield maker, "/dev/mapper/vg0-web1", "/dev/mapper/vg9-web1"
        finally:
            real.end()


def wanted(path, *, size_bytes=16 * MIB, migration=MIGRATION, **options):
    image = DiskImage(
        type="block",
        path=path,
        format="raw",
        virtual_bytes=size_bytes,
        allocated_bytes=size_bytes,
        options=options,
    )
    return WantedImage(target="vda", migration=migration, image=image)


def made(maker, want):
    """What was noted of it, first to last."""
    notes = []
    maker.make(want, note=lambda identity: notes.append(dict(identity)))
    return notes


def disk(path, **changes):
    return DiskFacts(**{"target": "vda", "type": "block", "source": path} | changes)


def test_a_volume_is_made_described_as_it_was_wanted_and_removed(site):
    maker, path, _ = site
    assert maker.find(path) is None
    assert maker.obstacle(path) == ""

    *_, identity = made(maker, wanted(path))

    described = maker.describe(disk(path))
    assert (described.type, described.format, described.virtual_bytes) == ("block", "raw", 16 * MIB)
    assert maker.find(path) == described.identity
    assert described.identity.items() <= identity.items()
    assert maker.remove(MadeImage(name=path, identity=identity))
    assert maker.find(path) is None
    assert not maker.remove(MadeImage(name=path, identity=identity))


def test_what_is_there_is_never_made_again(site):
    maker, path, _ = site
    *_, identity = made(maker, wanted(path))

    with pytest.raises(ImageExistsError):
        made(maker, wanted(path, migration=OTHER_MIGRATION))

    assert maker.find(path).items() <= identity.items()
    assert maker.obstacle(path)


@pytest.mark.parametrize("last_note", [0, -1])
def test_what_an_earlier_call_made_is_taken_as_made(site, last_note):
    maker, path, _ = site
    notes = made(maker, wanted(path))

    assert made(maker, replace(wanted(path), noted=notes[last_note])) == [notes[-1]]


def test_an_undo_that_knows_only_the_intention_finds_what_was_made(site):
    """The agent died between the volume's making and its note."""
    maker, path, _ = site
    intended, _ = made(maker, wanted(path))

    assert maker.remove(MadeImage(name=path, identity=intended))


@pytest.mark.parametrize(
    "identity",
    [{}, {"tag": f"limosa_{OTHER_MIGRATION}", "migration": OTHER_MIGRATION}, {"uuid": "x", "guid": "1"}],
)
def test_another_volume_of_its_name_is_left_alone(site, identity):
    maker, path, _ = site
    made(maker, wanted(path))

    assert not maker.remove(MadeImage(name=path, identity=identity))
    assert maker.find(path) is not None


def test_a_group_that_is_not_there_is_a_reason(site):
    maker, _, path = site

    assert "it has no" in maker.obstacle(path)
    assert maker.find(path) is None
    with pytest.raises(ImageMakingError):
        made(maker, wanted(path))


@of_lvm
def test_a_full_group_says_so_and_nothing_is_left(site):
    maker, path, _ = site

    with pytest.raises(ImageMakingError, match="insufficient free space"):
        made(maker, wanted(path, size_bytes=1024 * MIB))

    assert maker.find(path) is None


@of_lvm
def test_a_volume_that_would_be_larger_is_not_made(site):
    """QEMU's mirror refuses a target of another size ("Source and target image have different sizes")."""
    maker, path, _ = site

    with pytest.raises(ImageMakingError, match="by 4194304"):
        made(maker, wanted(path, size_bytes=16 * MIB + 512))

    assert maker.find(path) is None


# ---- LVM


@pytest.fixture
def fake():
    return FakeLvm()


@pytest.fixture
def maker(fake):
    return lvm.LogicalVolumes(fake, wait_until_there=lambda _path: True)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/dev/vg0/web1", "vg0/web1"),
        ("/dev/mapper/vg0-web1", "vg0/web1"),
        ("/dev/mapper/my--group-web--1", "my-group/web-1"),
        ("/dev/mapper/mpatha", None),
        ("/dev/vg0/--help", None),
        ("/dev/mapper/vg0---help", "vg0-/help"),
        ("/dev/disk/by-id/wwn-0x5000", None),
        ("/dev/sda", None),
        ("/dev/vg0/../sda", None),
        ("vg0/web1", None),
    ],
)
def test_a_path_names_a_group_and_a_volume_or_nothing(path, name):
    found = lvm.volume_of(path)
    assert (str(found) if found else None) == name


def test_a_thin_volume_is_made_in_the_pool_of_that_name(fake, maker):
    made(maker, wanted("/dev/vg0/web1", thin_pool="pool0"))

    assert fake.commands[-2][0] == "lvcreate"
    assert fake.commands[-2][-5:] == ["--thinpool", "pool0", "--virtualsize", f"{16 * MIB}b", "vg0"]
    assert maker.describe(disk("/dev/vg0/web1")).options == {"thin_pool": "pool0"}
    assert fake.groups["vg0"] == 280 * MIB  # it takes of the pool


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("segtype", "raid1", "of type raid1"),
        ("lv_role", "public,origin,thickorigin", "snapshots"),
    ],
)
def test_a_volume_that_is_more_than_its_bytes_is_not_copied(fake, maker, field, value, reason):
    made(maker, wanted("/dev/vg0/web1"))
    fake.volumes["vg0/web1"][field] = value

    with pytest.raises(ImageNotCopyableError, match=reason):
        maker.describe(disk("/dev/vg0/web1"))


def test_a_qcow2_on_a_volume_is_not_copied(maker):
    made(maker, wanted("/dev/vg0/web1"))

    with pytest.raises(ImageNotCopyableError, match="qcow2"):
        maker.describe(disk("/dev/vg0/web1", format="qcow2"))


def test_an_open_volume_is_not_removed(fake, maker):
    *_, identity = made(maker, wanted("/dev/vg0/web1"))
    fake.volumes["vg0/web1"]["lv_device_open"] = "open"

    with pytest.raises(ImageInUseError):
        maker.remove(MadeImage(name="/dev/vg0/web1", identity=identity))


def test_programs_that_are_missing_are_a_reason_and_never_an_absence():
    def missing(argv, *, timeout_s):
        raise CommandError(program=argv[0], reason="No such file or directory")

    maker = lvm.LogicalVolumes(missing)

    assert maker.obstacle("/dev/vg0/web1") == "vgs: No such file or directory"
    with pytest.raises(CommandError):
        maker.find("/dev/vg0/web1")
    with pytest.raises(ImageNotCopyableError):
        maker.describe(disk("/dev/vg0/web1"))


def test_an_answer_that_is_none_is_never_an_absence():
    maker = lvm.LogicalVolumes(
        lambda argv, *, timeout_s: Finished(code=5, stdout="", stderr="  locking failed\n")
    )

    with pytest.raises(CommandError, match="locking failed"):
        maker.find("/dev/vg0/web1")


def test_a_device_that_does_not_appear_is_told_and_can_be_undone(fake):
    maker = lvm.LogicalVolumes(fake, wait_until_there=lambda _path: False)
    notes = []

    with pytest.raises(ImageMakingError, match="does not appear"):
        maker.make(wanted("/dev/vg0/web1"), note=notes.append)

    assert maker.remove(MadeImage(name="/dev/vg0/web1", identity=notes[-1]))


# ---- ZFS


@pytest.fixture
def pool():
    return FakeZfs()


@pytest.fixture
def zvols(pool):
    return zfs.ZfsVolumes(pool, wait_until_there=lambda _path: True)


def test_a_zvol_is_made_with_the_sources_block_size_sparse_where_that_one_is(pool, zvols):
    made(zvols, wanted("/dev/zvol/tank/web1", volblocksize="16384", sparse="on"))

    created = next(command for command in pool.commands if command[1] == "create")
    assert created[2:-1] == [
        "-s", "-o", "volblocksize=16384", "-o", f"limosa:migration={MIGRATION}", "-V", str(16 * MIB),
    ]  # fmt: skip
    assert zvols.describe(disk("/dev/zvol/tank/web1")).options == {"volblocksize": "16384", "sparse": "on"}


def test_a_zvol_with_snapshots_is_not_copied(pool, zvols):
    made(zvols, wanted("/dev/zvol/tank/web1"))
    pool.snapshots.append("tank/web1@yesterday")

    with pytest.raises(ImageNotCopyableError, match="snapshots"):
        zvols.describe(disk("/dev/zvol/tank/web1"))


def test_a_busy_zvol_is_in_use_and_one_with_children_is_told(pool, zvols):
    *_, identity = made(zvols, wanted("/dev/zvol/tank/web1"))
    pool.busy.add("tank/web1")
    with pytest.raises(ImageInUseError):
        zvols.remove(MadeImage(name="/dev/zvol/tank/web1", identity=identity))

    pool.busy.clear()
    pool.snapshots.append("tank/web1@a")
    with pytest.raises(CommandError):
        zvols.remove(MadeImage(name="/dev/zvol/tank/web1", identity=identity))


@pytest.mark.parametrize("path", ["/dev/zd0", "/dev/zvol/tank", "/dev/zvol/-o/web1", "/dev/zvol/tank/web1@a"])
def test_other_paths_name_no_dataset(path):
    assert zfs.dataset_of(path) is None


# ---- which of them


def test_a_path_says_who_makes_it(fake, pool, maker, zvols):
    devices = DeviceMaker(logical=maker, zvols=zvols)
    made(devices, wanted("/dev/vg0/web1"))
    made(devices, wanted("/dev/zvol/tank/web1"))

    assert (list(fake.volumes), "tank/web1" in pool.datasets) == (["vg0/web1"], True)
    assert devices.describe(disk("/dev/zvol/tank/web1")).options["volblocksize"] == "8192"
    assert devices.obstacle("/dev/disk/by-id/wwn-0x5000") == NO_VOLUME
    with pytest.raises(ImageNotCopyableError):
        devices.describe(disk("/dev/sdb"))


def test_extents_of_the_fake_are_those_of_lvms_default():
    assert EXTENT_BYTES == 4 * MIB
