"""Disks that are block devices or volumes of storage pools, on loop devices and directories: this kernel has no others."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import loop_volumes, observer
from tests.lab.test_guest_checks import REFUSED, define

NAME = "devices"
HOSTS = ("compute1", "compute2")
LOCAL, SHARED = f"/srv/local/{NAME}", f"/srv/shared/{NAME}"
DEVICE = f"{LOCAL}.device"  # a link to another loop device on each host
POOL = "images"
MIB = 2**20
RATE_KIB_S = 512


class Loops:
    """Loop devices of this machine's one kernel, which all hosts of the lab see."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._made: list[str] = []

    def make(self, host: str, file: str) -> str:
        """On a file of this host, which is made if it is not there."""
        script = f"[ -e {file} ] || truncate -s 16M {file}; losetup --find --show {file}"
        device = self._lab.exec(host, ["sh", "-ec", script]).stdout.strip()
        self._made.append(device)
        return device

    def end(self) -> None:
        for device in self._made:
            self._lab.exec(HOSTS[0], ["losetup", "--detach", device])


@pytest.fixture
def loops(lab: Lab) -> Iterator[Loops]:
    loops = Loops(lab)
    yield loops
    lab.guest_delete(NAME)
    loops.end()
    for host in HOSTS:
        lab.exec(host, ["sh", "-c", f"rm -f {LOCAL}* {SHARED}*"])


@pytest.fixture
def groups(lab: Lab) -> Iterator[str]:
    """A volume group of one name on each host, see `loop_volumes`: its directory below /dev is each host's own."""
    group = Path("/dev") / loop_volumes.GROUP  # a mount point in the one /dev of this machine
    group.mkdir(exist_ok=True)
    programs = f"{LOCAL}-bin"
    for host in HOSTS:
        tree = lab.paths.host(host) / programs.lstrip("/")
        tree.mkdir(parents=True)
        shutil.copyfile(loop_volumes.__file__, tree / "lvs")
        (tree / "lvs").chmod(0o755)
        script = (
            f"cd {programs}; for name in vgs lvcreate lvremove; do ln -s lvs $name; done; "
            f"mount --bind {programs} /usr/local/sbin; mount -t tmpfs tmpfs {group}"
        )
        lab.exec(host, ["sh", "-ec", script])
    yield loop_volumes.GROUP
    lab.guest_delete(NAME)
    for host in HOSTS:
        lab.exec(
            host,
            [
                "sh",
                "-c",
                f"for one in {group}/*; do [ ! -e $one ] || losetup --detach $(readlink $one); done",
            ],
        )
        lab.exec(
            host, ["sh", "-c", f"umount /usr/local/sbin {group}; rm -rf {programs} {loop_volumes.STATE}"]
        )
    group.rmdir()


def disk(type: str, source: str) -> str:
    return (
        f"<disk type='{type}' device='disk'><driver name='qemu' type='raw' cache='none'/><source {source}/>"
        "<target dev='vdb' bus='virtio'/></disk>"
    )


def refusals(lab: Lab, *options: str) -> set[tuple[str, str]]:
    """What `limosa check` finds against the dest: code and disk."""
    done = lab.limosa("check", *options, NAME, "compute2", "-f", "json", check=False)
    [row] = json.loads(done.stdout)
    against = (finding for finding in row["findings"] if finding["severity"] == "refuses")
    return {(finding["code"], finding["evidence"].get("disk", "")) for finding in against}


def test_a_device_that_both_hosts_see_moves_as_shared_storage_does(lab: Lab, loops: Loops) -> None:
    device = loops.make("compute1", f"{LOCAL}.img")
    first = lab.guest_create(NAME, "compute1", GuestOptions(devices=disk("block", f"dev='{device}'")))
    observer.wait_until_found(lab, NAME)
    assert lab.ask(NAME, "write vdb before") == "ok"

    assert refusals(lab, "--block-migrate") == {("block_on_shared", "vda"), ("block_on_shared", "vdb")}
    shown = observer.migrate(lab, NAME, "compute2")

    assert shown["status"] == "completed"
    assert lab.ask(NAME, "read vdb") == "before"
    observer.assert_one_guest(lab, NAME, host="compute2", boot_id=first.boot_id)


@pytest.mark.parametrize(
    ("file", "found"), [(f"{LOCAL}.img", {("disk_in_the_way", "vdb")}), (f"{SHARED}.img", set())]
)
def test_loop_devices_are_known_by_their_files(
    lab: Lab, loops: Loops, file: str, found: set[tuple[str, str]]
) -> None:
    for host in HOSTS:
        lab.exec(host, ["ln", "-s", loops.make(host, file), DEVICE])
    devices = f"{disk('block', f'dev={DEVICE!r}')}<memballoon model='none'/>"
    define(
        lab,
        "compute1",
        "create",
        f"<domain type='qemu'><name>{NAME}</name><memory unit='MiB'>16</memory>"
        f"<os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os><devices>{devices}</devices></domain>",
    )
    observer.wait_until_found(lab, NAME)

    assert refusals(lab) == found
    assert (
        lab.exec(
            "compute2", ["sh", "-c", "ls -A /srv/local /srv/shared | grep -c limosa-probe"], check=False
        ).stdout.strip()
        == "0"
    )


def test_a_volume_of_a_group_is_copied_and_removed_from_its_source(lab: Lab, groups: str) -> None:
    """LVM's programs are a script here; the devices, QEMU and what is copied are real."""
    device = f"/dev/{groups}/data"
    lab.exec("compute1", ["lvcreate", "--name", "data", "--size", f"{16 * MIB}b", groups])
    first = lab.guest_create(NAME, "compute1", GuestOptions(devices=disk("block", f"dev='{device}'")))
    observer.wait_until_found(lab, NAME)
    assert lab.ask(NAME, f"pattern vdb {RATE_KIB_S}") == "ok"

    shown = observer.migrate(lab, NAME, "compute2")

    assert shown["status"] == "completed"
    assert lab.ask(NAME, "pattern vdb 0") == "ok"
    equal, pairs = lab.ask(NAME, "compare vdb").split()
    assert (equal, int(pairs) > 0) == ("equal", True)
    assert lab.exec("compute1", ["ls", f"/dev/{groups}"]).stdout == ""
    assert lab.exec("compute2", ["ls", f"/dev/{groups}"]).stdout.split() == ["data"]
    observer.assert_one_guest(lab, NAME, host="compute2", boot_id=first.boot_id)


@pytest.fixture
def pools(lab: Lab, loops: Loops) -> Iterator[str]:
    """A pool of one name on both hosts, on another directory of each."""
    for host in HOSTS:
        lab.exec(host, ["mkdir", "-p", f"{LOCAL}-{host}"])
        lab.virsh(host, "pool-create-as", POOL, "dir", "--target", f"{LOCAL}-{host}")
    yield POOL
    lab.guest_delete(NAME)
    for host in HOSTS:
        lab.virsh(host, "pool-destroy", POOL)
        lab.exec(host, ["rm", "-rf", f"{LOCAL}-{host}"])


def volumes(lab: Lab, host: str) -> list[str]:
    return [line.split()[0] for line in lab.virsh(host, "vol-list", POOL).splitlines() if line.strip()]


def test_a_volume_of_a_pool_is_copied_into_the_dests_pool(lab: Lab, pools: str) -> None:
    lab.virsh("compute1", "vol-create-as", pools, "data.img", "16M", "--format", "raw")
    options = GuestOptions(devices=disk("volume", f"pool='{pools}' volume='data.img'"))
    first = lab.guest_create(NAME, "compute1", options)
    observer.wait_until_found(lab, NAME)
    assert lab.ask(NAME, "write vdb before") == "ok"

    shown = observer.migrate(lab, NAME, "compute2")

    assert shown["status"] == "completed"
    assert lab.ask(NAME, "read vdb") == "before"
    assert (volumes(lab, "compute1"), volumes(lab, "compute2")) == ([], ["data.img"])
    taken = lab.exec("compute2", ["stat", "-c", "%b", f"{LOCAL}-compute2/data.img"]).stdout
    assert int(taken) * 512 < MIB  # sparse, as it was
    observer.assert_one_guest(lab, NAME, host="compute2", boot_id=first.boot_id)


def test_a_dest_without_room_refuses_and_nothing_of_it_is_left(lab: Lab, loops: Loops) -> None:
    place = f"{LOCAL}-small"
    for host, size in (("compute1", "64m"), ("compute2", "8m")):
        lab.exec(host, ["sh", "-ec", f"mkdir {place}; mount -t tmpfs -o size={size} tmpfs {place}"])
    try:
        lab.exec("compute1", ["truncate", "-s", "16M", f"{place}/data.img"])
        lab.guest_create(NAME, "compute1", GuestOptions(devices=disk("file", f"file='{place}/data.img'")))
        observer.wait_until_found(lab, NAME)

        done = lab.limosa("live-migration", NAME, "compute2", check=False)

        assert done.returncode == REFUSED, done.stdout + done.stderr
        assert f"16 MiB to the file system of {place} on compute2, which has 8 MiB free" in done.stderr
        assert lab.exec("compute2", ["ls", "-A", place]).stdout == ""
        assert observer.running_copies(lab, NAME) == ["compute1"]
    finally:
        lab.guest_delete(NAME)
        for host in HOSTS:
            lab.exec(host, ["sh", "-c", f"umount {place}; rmdir {place}"])
