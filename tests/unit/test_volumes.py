"""Access to volumes: given before a guest comes, taken back by undo, withdrawn when it has left, and kept for others."""

from pathlib import Path

import pytest

from common.migration import DestinationFacts
from common.transfer import Declarations, TransferPlan
from common.volumes import VolumeConnection
from compute_agent.grants.driver import Access, GrantError
from compute_agent.preparing import Arrival, Arrivals, Departure, Undoing
from compute_agent.preparing.volumes import VolumePreparation
from compute_agent.settings import LiveMigrationSettings, Settings
from compute_agent.volume_settings import VolumeSettings, initiator_in
from tests.fakes.domain import guest_xml
from tests.fakes.hypervisor import FakeHypervisor, FakeWorld

INSTANCE, OTHER = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5", "1f6a3f1e-0000-4000-8000-000000000002"
HERE, THERE = "iqn.2026-01.example:here", "iqn.2026-01.example:there"
TARGET = "iqn.2026-01.example:t"
SERVER = "s1:3260"


class FakeGrants:
    """A server's list, in memory."""

    def __init__(self) -> None:
        self.granted: set[tuple[str, str]] = set()
        self.is_refusing = False

    def concerns(self, access: Access) -> bool:
        return True

    def grant(self, access: Access) -> bool:
        if self.is_refusing:
            raise GrantError(action="grant", volume=access.name, reason="no")
        key = (access.volume.export, access.initiator)
        is_new = key not in self.granted
        self.granted.add(key)
        return is_new

    def withdraw(self, access: Access) -> None:
        self.granted.discard((access.volume.export, access.initiator))


@pytest.fixture
def grants() -> FakeGrants:
    return FakeGrants()


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    return Arrivals(tmp_path)


@pytest.fixture
def hypervisor() -> FakeHypervisor:
    return FakeWorld("here").hosts["here"]


@pytest.fixture
def preparation(hypervisor: FakeHypervisor, grants: FakeGrants, arrivals: Arrivals, tmp_path: Path):
    settings = Settings(
        host="here",
        state_path=tmp_path,
        live_migration=LiveMigrationSettings(flags=()),
        volumes=VolumeSettings(initiator=HERE),
    )
    return VolumePreparation(hypervisor, grants=grants, arrivals=arrivals, settings=settings)


def volume(target: str = "vda", *, initiator: str = THERE, lun: int = 1) -> VolumeConnection:
    return VolumeConnection(
        target=target, driver="iscsi", name=f"{TARGET}/{lun}", servers=(SERVER,), initiator=initiator
    )


def arrival(arrivals: Arrivals, *volumes: VolumeConnection, migration: str = "m1", instance: str = INSTANCE):
    return Arrival(
        instance=instance,
        name="web1",
        migration=migration,
        plan=TransferPlan(volumes=volumes),
        declared=Declarations(),
        record=arrivals.open(migration, instance=instance),
    )


def undoing(arrivals: Arrivals, *, migration: str = "m1") -> Undoing:
    record = arrivals.open(migration, instance=INSTANCE)
    return Undoing(instance=INSTANCE, migration=migration, record=record, keep_disks=False)


def departure(*volumes: VolumeConnection, initiator: str = THERE) -> Departure:
    return Departure(
        instance=INSTANCE,
        name="web1",
        migration="m1",
        plan=TransferPlan(volumes=volumes),
        declared=Declarations(),
        dest=DestinationFacts(connect_address="there", initiator=initiator),
    )


def add_guest(hypervisor: FakeHypervisor, uuid: str, *, lun: int = 2) -> None:
    """One that is here and gets at another unit of the same target."""
    disk = (
        f"<disk type='network'><source protocol='iscsi' name='{TARGET}/{lun}'><host name='s1' port='3260'/>"
        f"<initiator><iqn name='{HERE}'/></initiator></source><target dev='vda'/></disk>"
    )
    hypervisor.add_guest(guest_xml("other", uuid=uuid, devices=disk))


def test_this_host_is_let_in_by_its_own_name_and_the_xml_gets_that_name(preparation, grants, arrivals):
    prepared = preparation.prepare(arrival(arrivals, volume()))

    assert grants.granted == {(TARGET, HERE)}
    assert [(change.target, change.initiator) for change in prepared.changes.disks] == [("vda", HERE)]


def test_undo_takes_back_what_the_record_says_and_nothing_else(preparation, grants, arrivals):
    preparation.prepare(arrival(arrivals, volume()))
    grants.granted.add((TARGET, THERE))

    assert preparation.undo(undoing(arrivals)) != ()
    assert preparation.undo(undoing(arrivals)) == ()
    assert grants.granted == {(TARGET, THERE)}


def test_access_that_was_there_before_is_not_taken_away_by_undo(preparation, grants, arrivals):
    grants.granted.add((TARGET, HERE))
    preparation.prepare(arrival(arrivals, volume()))

    assert preparation.undo(undoing(arrivals)) == ()
    assert grants.granted == {(TARGET, HERE)}


def test_what_was_given_before_a_crash_is_still_ours(preparation, grants, arrivals):
    preparation.prepare(arrival(arrivals, volume()))
    preparation.prepare(arrival(arrivals, volume()))  # the same command again, and now it is so already
    preparation.undo(undoing(arrivals))

    assert grants.granted == set()


def test_a_server_that_says_no_is_told_and_undone(preparation, grants, arrivals):
    grants.is_refusing = True
    with pytest.raises(GrantError, match="not possible to grant access to iscsi:s1:3260/iqn"):
        preparation.prepare(arrival(arrivals, volume()))
    assert preparation.undo(undoing(arrivals)) != ()


def test_undo_leaves_what_another_guest_on_its_way_here_needs(preparation, grants, arrivals):
    preparation.prepare(arrival(arrivals, volume()))
    second = arrival(arrivals, volume(lun=2), migration="m2", instance=OTHER)
    preparation.prepare(second)

    assert preparation.undo(undoing(arrivals)) == ()
    assert grants.granted == {(TARGET, HERE)}
    assert preparation.undo(undoing(arrivals, migration="m2")) != ()
    assert grants.granted == set()


def test_the_source_is_kept_out_after_its_guest_has_left(preparation, grants):
    grants.granted = {(TARGET, HERE), (TARGET, THERE)}
    released = preparation.release(departure(volume(initiator=HERE), volume("vdb", initiator=HERE, lun=2)))

    assert grants.granted == {(TARGET, THERE)}
    assert released.sentences == (f"access to iscsi:{SERVER}/{TARGET} was withdrawn",)


def test_the_source_stays_let_in_while_another_guest_of_it_needs_that(preparation, grants, hypervisor):
    add_guest(hypervisor, OTHER)
    grants.granted = {(TARGET, HERE)}

    assert (
        "another guest here needs it" in preparation.release(departure(volume(initiator=HERE))).sentences[0]
    )
    assert grants.granted == {(TARGET, HERE)}


@pytest.mark.parametrize("on_dest", ["", HERE])
def test_a_name_that_goes_with_the_guest_is_never_kept_out(preparation, grants, on_dest):
    grants.granted = {(TARGET, HERE)}
    preparation.release(departure(volume(initiator=HERE), initiator=on_dest))
    assert grants.granted == {(TARGET, HERE)}


def test_a_guest_that_has_a_name_of_its_own_keeps_it(preparation, grants, arrivals):
    prepared = preparation.prepare(arrival(arrivals, volume(initiator="")))
    assert (prepared.changes.disks, grants.granted) == ((), set())


def test_the_initiator_is_open_iscsi_s_where_none_is_configured(tmp_path):
    path = tmp_path / "initiatorname.iscsi"
    assert initiator_in(path) == ""
    path.write_text(f"## comment\nInitiatorName={HERE}\n")
    assert initiator_in(path) == HERE
