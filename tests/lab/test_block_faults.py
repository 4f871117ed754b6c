"""What goes wrong in the middle of a disk: the guest keeps its disks where it runs, and the other host keeps nothing."""

from collections.abc import Iterator

import pytest

from lab.faults import Victim
from lab.lab import Lab
from tests.lab import local_disks, observer
from tests.lab.local_disks import BASE, NAME, OVERLAY, RAW, ROOT

# Each 4 KiB written are 64 KiB to be copied again: well below the bandwidth, or the copy would never catch up.
RATE_KIB_S = 128
SLOW = {"libvirt.live_migration_bandwidth": "8"}  # MiB/s: some 12 s for the disks alone
ALL = {ROOT, RAW, OVERLAY, BASE}


def configure_agents(lab: Lab, values: dict[str, str]) -> None:
    for host in lab.compute_hosts:
        lab.write_config(host, values)
        lab.kill(Victim.AGENT, host_name=host)
        lab.start(Victim.AGENT, host_name=host)
    lab.wait_until_agents_are_up()


@pytest.fixture(scope="module")
def boot_id(lab: Lab) -> Iterator[str]:
    configure_agents(lab, SLOW)
    first = lab.guest_create(NAME, "compute1", local_disks.OPTIONS)
    observer.wait_until_found(lab, NAME)
    lab.ask(NAME, f"pattern vdb {RATE_KIB_S}")
    yield first.boot_id
    lab.guest_delete(NAME)
    configure_agents(lab, {"libvirt.live_migration_bandwidth": "0"})


@pytest.fixture
def migration(lab: Lab, boot_id: str) -> str:
    """In the middle of its disks."""
    lab.wait_until_agents_are_up()
    started = observer.start_migration(lab, NAME, "compute2")
    observer.wait_until(lambda: copied_bytes(lab) > 0, what="a disk is being copied", timeout_s=60)
    return started


def copied_bytes(lab: Lab) -> int:
    """As libvirt on the source has it; 0 before the copy and after it."""
    job = lab.exec("compute1", ["virsh", "-q", "domjobinfo", "--rawstats", NAME], check=False)
    figures = dict(line.replace(" ", "").split(":", 1) for line in job.stdout.splitlines() if ":" in line)
    return int(figures.get("disk_processed", 0)) if int(figures.get("disk_remaining", 0)) else 0


def assert_it_stayed(lab: Lab, migration: str, *, boot_id: str, status: str) -> None:
    """On its source, writing on, all of its disks there, and nothing on the dest but a base image at most."""
    assert observer.wait_until_final(lab, migration) == status
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=boot_id)
    lab.ask(NAME, "pattern vdb 0")
    local_disks.assert_equal_halves(lab, "vdb")
    lab.ask(NAME, f"pattern vdb {RATE_KIB_S}")
    assert local_disks.files(lab, "compute1") == ALL
    assert local_disks.files(lab, "compute2") == set()


def test_an_abort_leaves_the_disks_where_they_were(lab: Lab, boot_id: str, migration: str) -> None:
    lab.limosa("migration", "abort", migration)
    assert_it_stayed(lab, migration, boot_id=boot_id, status="cancelled")


def test_a_qemu_of_the_dest_that_is_killed_leaves_the_disks_where_they_were(
    lab: Lab, boot_id: str, migration: str
) -> None:
    lab.kill(Victim.QEMU, host_name="compute2", guest=NAME)
    assert_it_stayed(lab, migration, boot_id=boot_id, status="failed")


def test_a_libvirtd_of_the_dest_that_is_killed_leaves_the_disks_where_they_were(
    lab: Lab, boot_id: str, migration: str
) -> None:
    lab.kill(Victim.LIBVIRTD, host_name="compute2")
    lab.start(Victim.LIBVIRTD, host_name="compute2")
    assert_it_stayed(lab, migration, boot_id=boot_id, status="failed")


def test_the_agents_of_both_hosts_are_killed_and_the_guest_moves_all_the_same(
    lab: Lab, boot_id: str, migration: str
) -> None:
    """Last: it leaves the guest on the dest. Who removes the source's disks is another process than who began."""
    for host in lab.compute_hosts:
        lab.kill(Victim.AGENT, host_name=host)
        lab.start(Victim.AGENT, host_name=host)

    assert observer.wait_until_final(lab, migration) == "completed"
    observer.assert_one_guest(lab, NAME, host="compute2", boot_id=boot_id)
    lab.ask(NAME, "pattern vdb 0")
    local_disks.assert_equal_halves(lab, "vdb")
    assert local_disks.files(lab, "compute1") == {BASE}
    assert local_disks.files(lab, "compute2") == ALL
