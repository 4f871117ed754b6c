"""Six real kills in the middle of a real transfer. Each ends with one running guest, a true database, nothing left."""

import time
from collections.abc import Iterator

import pytest

from lab.faults import Victim
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

SLOW = {"libvirt.live_migration_bandwidth": "4"}  # MiB/s: some 15 s for the guest's memory
NAME = "victim"


@pytest.fixture(scope="module")
def slow_lab(lab: Lab) -> Iterator[Lab]:
    """The lab with a transfer slow enough to be hit in its middle."""
    for host in lab.compute_hosts:
        lab.write_config(host, SLOW)
        lab.kill(Victim.AGENT, host_name=host)
        lab.start(Victim.AGENT, host_name=host)
    lab.wait_until_agents_are_up()
    yield lab
    for host in lab.compute_hosts:
        lab.write_config(host, {"libvirt.live_migration_bandwidth": "0"})
        lab.kill(Victim.AGENT, host_name=host)
        lab.start(Victim.AGENT, host_name=host)
    lab.wait_until_agents_are_up()


@pytest.fixture(scope="module")
def boot_id(slow_lab: Lab) -> Iterator[str]:
    first = slow_lab.guest_create(NAME, "compute1", GuestOptions())
    observer.wait_until_found(slow_lab, NAME)
    yield first.boot_id
    slow_lab.guest_delete(NAME)


@pytest.fixture
def route(slow_lab: Lab, boot_id: str) -> tuple[str, str]:
    """From where the guest is to the other host."""
    [source] = observer.running_copies(slow_lab, NAME)
    return source, "compute2" if source == "compute1" else "compute1"


def start_and_wait_for_transfer(lab: Lab, source: str, dest: str) -> str:
    observer.wait_until(lambda: observer.database_host(lab, NAME) == source, what="the database is true")
    lab.wait_until_agents_are_up()
    migration = observer.start_migration(lab, NAME, dest)
    observer.wait_until(lambda: transferred_mib(lab, source) > 4, what="the transfer runs", timeout_s=60)
    return migration


def transferred_mib(lab: Lab, source: str) -> float:
    """As libvirt on the source has it."""
    for line in lab.exec(
        source, ["virsh", "-q", "domjobinfo", "--rawstats", NAME], check=False
    ).stdout.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "memory_processed":
            return int(value) / 2**20
    return 0.0


def libvirt_has_finished(lab: Lab, source: str) -> bool:
    return source not in observer.running_copies(lab, NAME)


def assert_moved(lab: Lab, migration: str, *, dest: str, boot_id: str) -> None:
    assert observer.wait_until_final(lab, migration) == "completed"
    observer.assert_one_guest(lab, NAME, host=dest, boot_id=boot_id)


def test_source_agent_killed_and_restarted_at_once(
    slow_lab: Lab, boot_id: str, route: tuple[str, str]
) -> None:
    source, dest = route
    migration = start_and_wait_for_transfer(slow_lab, source, dest)

    slow_lab.kill(Victim.AGENT, host_name=source)
    slow_lab.start(Victim.AGENT, host_name=source)

    assert_moved(slow_lab, migration, dest=dest, boot_id=boot_id)


def test_source_agent_killed_and_restarted_after_libvirt_has_finished(
    slow_lab: Lab, boot_id: str, route: tuple[str, str]
) -> None:
    source, dest = route
    migration = start_and_wait_for_transfer(slow_lab, source, dest)

    slow_lab.kill(Victim.AGENT, host_name=source)
    observer.wait_until(lambda: libvirt_has_finished(slow_lab, source), what="libvirt has finished")
    assert observer.database_host(slow_lab, NAME) == source, "nobody has proven the move yet"
    slow_lab.start(Victim.AGENT, host_name=source)

    assert_moved(slow_lab, migration, dest=dest, boot_id=boot_id)


def test_source_agent_killed_and_away_for_30_s(slow_lab: Lab, boot_id: str, route: tuple[str, str]) -> None:
    source, dest = route
    migration = start_and_wait_for_transfer(slow_lab, source, dest)

    slow_lab.kill(Victim.AGENT, host_name=source)
    time.sleep(30)  # the fault itself
    slow_lab.start(Victim.AGENT, host_name=source)

    assert_moved(slow_lab, migration, dest=dest, boot_id=boot_id)


def test_dest_agent_killed(slow_lab: Lab, boot_id: str, route: tuple[str, str]) -> None:
    source, dest = route
    migration = start_and_wait_for_transfer(slow_lab, source, dest)

    slow_lab.kill(Victim.AGENT, host_name=dest)
    observer.wait_until(lambda: libvirt_has_finished(slow_lab, source), what="libvirt has finished")
    slow_lab.start(Victim.AGENT, host_name=dest)

    assert_moved(slow_lab, migration, dest=dest, boot_id=boot_id)


def test_conductor_killed_and_away_for_100_s(slow_lab: Lab, boot_id: str, route: tuple[str, str]) -> None:
    source, dest = route
    migration = start_and_wait_for_transfer(slow_lab, source, dest)

    slow_lab.kill(Victim.CONDUCTOR)
    time.sleep(100)  # the fault itself
    assert observer.database_host(slow_lab, NAME) == source
    slow_lab.start(Victim.CONDUCTOR)

    assert_moved(slow_lab, migration, dest=dest, boot_id=boot_id)


def test_rabbitmq_stopped_for_20_s(slow_lab: Lab, boot_id: str, route: tuple[str, str]) -> None:
    source, dest = route
    migration = start_and_wait_for_transfer(slow_lab, source, dest)

    slow_lab.stop(Victim.RABBITMQ)
    time.sleep(20)  # the fault itself
    slow_lab.start(Victim.RABBITMQ)

    assert_moved(slow_lab, migration, dest=dest, boot_id=boot_id)
