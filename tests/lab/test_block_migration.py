"""Guests whose disks are their host's own: copied while they are written, and removed when they have moved."""

import subprocess
from collections.abc import Iterator

import pytest

from lab.guest import disks
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import local_disks, observer
from tests.lab.local_disks import BASE, NAME, OVERLAY, RAW, ROOT

REFUSED = 4


@pytest.fixture(scope="module")
def boot_id(lab: Lab) -> Iterator[str]:
    first = lab.guest_create(NAME, "compute1", local_disks.OPTIONS)
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


@pytest.fixture
def route(lab: Lab, boot_id: str) -> tuple[str, str]:
    """From where the guest is to the other host."""
    [source] = observer.running_copies(lab, NAME)
    return source, "compute2" if source == "compute1" else "compute1"


def refused(lab: Lab, dest: str, *options: str, name: str = NAME) -> str:
    """By `limosa check` and by the migration alike; what is said."""
    for command in ("check", "live-migration"):
        done = lab.limosa(command, name, dest, *options, check=False)
        assert done.returncode == REFUSED, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("device", ["vdb", "vdc"])
def test_a_disk_that_is_written_all_the_time_arrives_equal(
    lab: Lab, boot_id: str, route: tuple[str, str], device: str
) -> None:
    source, dest = route
    assert lab.ask(NAME, f"pattern {device} {local_disks.RATE_KIB_S}") == "ok"

    shown = observer.migrate(lab, NAME, dest)

    assert lab.ask(NAME, f"pattern {device} 0") == "ok"
    local_disks.assert_equal_halves(lab, device)
    assert lab.ask(NAME, "read vdc") == disks.BASE_MARKER, "the overlay stands on its base"
    observer.assert_one_guest(lab, NAME, host=dest, boot_id=boot_id)
    statistics = shown["progress"]["statistics"]
    assert statistics["disk_total"] > disks.LOCAL_DISK_MIB * disks.MIB
    assert statistics["disk_remaining"] < disks.MIB, "of a guest that writes to the end"
    assert local_disks.files(lab, source) == {BASE}, "other disks may stand on it"
    assert local_disks.files(lab, dest) == {ROOT, RAW, OVERLAY, BASE}


def test_a_sparse_disk_stays_sparse_and_looks_like_the_sources(
    lab: Lab, boot_id: str, route: tuple[str, str]
) -> None:
    source, dest = route
    lab.exec(source, ["chmod", "640", f"/srv/local/{RAW}"])
    before = local_disks.description(lab, source, OVERLAY)

    observer.migrate(lab, NAME, dest)

    size, allocated, mode = lab.exec(dest, ["stat", "-c", "%s %b %a", f"/srv/local/{RAW}"]).stdout.split()
    assert int(size) == local_disks.RAW_MIB * disks.MIB
    assert int(allocated) * 512 < int(size) / 2
    assert mode == "640"
    assert local_disks.description(lab, dest, OVERLAY) == before


def test_nothing_is_copied_where_that_is_not_wanted(lab: Lab, boot_id: str, route: tuple[str, str]) -> None:
    source, dest = route
    told = refused(lab, dest, "--shared-storage")
    assert f"Disk vdb (/srv/local/{RAW}) is not on storage that {dest} shares" in told
    observer.assert_one_guest(lab, NAME, host=source, boot_id=boot_id)
    assert local_disks.files(lab, dest) <= {BASE}


def test_a_file_of_the_dest_is_never_overwritten(lab: Lab, boot_id: str, route: tuple[str, str]) -> None:
    source, dest = route
    lab.exec(dest, ["sh", "-c", f"echo precious > /srv/local/{RAW}"])
    try:
        told = refused(lab, dest)
        assert f"{dest} has another disk at /srv/local/{RAW}" in told
        assert lab.exec(dest, ["cat", f"/srv/local/{RAW}"]).stdout == "precious\n"
    finally:
        lab.exec(dest, ["rm", f"/srv/local/{RAW}"])
    observer.assert_one_guest(lab, NAME, host=source, boot_id=boot_id)


def test_a_file_that_took_the_place_of_the_guests_disk_is_not_removed_for_it(
    lab: Lab, boot_id: str, route: tuple[str, str]
) -> None:
    source, dest = route
    path = f"/srv/local/{RAW}"
    lab.exec(source, ["sh", "-ec", f"mv {path} {path}.really; truncate -s 1M {path}"])
    try:
        assert "its QEMU has another file open" in refused(lab, dest)
    finally:
        lab.exec(source, ["mv", f"{path}.really", path])
    observer.assert_one_guest(lab, NAME, host=source, boot_id=boot_id)


def test_a_base_image_that_differs_is_refused_and_nothing_is_left(
    lab: Lab, boot_id: str, route: tuple[str, str]
) -> None:
    source, dest = route
    path = f"/srv/local/{BASE}"
    change = f"printf X | dd of={path} bs=1 seek=4096 conv=notrunc status=none"
    lab.exec(dest, ["sh", "-c", f"test -e {path} || truncate -s {disks.LOCAL_DISK_MIB}M {path}; {change}"])
    try:
        done = lab.limosa("live-migration", NAME, dest, check=False)
        assert done.returncode != 0
        assert f"{dest} has another image at {path} than the one that disk vdc stands on" in done.stderr
        assert local_disks.files(lab, dest) == {BASE}
    finally:
        lab.exec(dest, ["rm", path])
    observer.assert_one_guest(lab, NAME, host=source, boot_id=boot_id)


def test_its_disks_are_equal_after_it_was_shut_down(lab: Lab, boot_id: str, route: tuple[str, str]) -> None:
    _, dest = route
    lab.ask(NAME, f"pattern vdb {local_disks.RATE_KIB_S}")
    observer.migrate(lab, NAME, dest)
    lab.ask(NAME, "pattern vdb 0")

    lab.ask(NAME, "poweroff")
    observer.wait_until(lambda: not observer.running_copies(lab, NAME), what="it is off")

    for file, format in ((RAW, "raw"), (OVERLAY, "qcow2")):
        local_disks.compare_offline(lab, dest, file, format)
    assert observer.defined_on(lab, NAME) == [dest]


# ---- a guest with a root on shared storage


@pytest.fixture(scope="module")
def mixed(lab: Lab) -> Iterator[str]:
    name = "mixed"
    lab.guest_create(name, "compute1", GuestOptions(local_disks=(LocalDisk(),)))
    observer.wait_until_found(lab, name)
    yield name
    lab.guest_delete(name)


def test_a_mount_that_the_dest_lacks_is_not_taken_for_a_local_disk(lab: Lab, mixed: str) -> None:
    """compute2 sees an empty directory where compute1 has the cluster's file system."""
    lab.exec("compute2", ["umount", "/srv/shared"])
    try:
        told = refused(lab, "compute2", name=mixed)
    finally:
        remount(lab, "compute2")
    assert f"Disk vda (/srv/shared/{mixed}.img) is not on storage that compute2 shares" in told
    assert "fuse.glusterfs, which is made to be shared" in told


def remount(lab: Lab, host: str) -> subprocess.CompletedProcess[str]:
    return lab.exec(host, ["mount", "--bind", str(lab.paths.storage_mount), "/srv/shared"])


def test_of_a_mixed_guest_only_the_local_disk_is_copied(lab: Lab, mixed: str) -> None:
    lab.ask(mixed, "write vda on shared storage")
    lab.ask(mixed, "write vdb on the host's own")
    told = refused(lab, "compute2", "--block-migrate", name=mixed)
    assert f"Disk vda (/srv/shared/{mixed}.img) is on storage that compute2 shares" in told

    shown = observer.migrate(lab, mixed, "compute2")

    assert shown["progress"]["statistics"]["disk_total"] < (disks.LOCAL_DISK_MIB + 1) * disks.MIB
    assert lab.ask(mixed, "read vda") == "on shared storage"
    assert lab.ask(mixed, "read vdb") == "on the host's own"
    shared = lab.exec("compute1", ["test", "-e", f"/srv/shared/{mixed}.img"], check=False)
    local = lab.exec("compute1", ["test", "-e", f"/srv/local/{mixed}-vdb.img"], check=False)
    assert (shared.returncode, local.returncode) == (0, 1)
