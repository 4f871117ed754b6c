"""Access to volumes: given before a guest comes, taken back by undo, withdrawn when it has left, and kept for others."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.migration import DestinationFacts
from common.states import DiskWay
from common.transfer import Declarations, DiskTransfer, TransferPlan
from common.volumes import VolumeConnection
from compute_agent.attaching import AttachError
from compute_agent.grants.driver import Access, GrantError
from compute_agent.preparing import Arrival, Arrivals, Departure, Undoing
from compute_agent.preparing.volumes import VolumePreparation
from compute_agent.settings import LiveMigrationSettings, Settings
from compute_agent.volume_settings import VolumeSettings, initiator_in
from tests.fakes.domain import guest_xml
from tests.fakes.hypervisor import FakeHypervisor, FakeWorld

INSTANCE, OTHER = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5", "1f6a3f1e-0000-4000-8000-000000000002"
HERE, THERE = "iqn.2026-01.example:here", "iqn.2026-01.example:there"
KERNEL = "iqn.2026-01.example:kernel"
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


class FakeAttacher:
    """A host's devices, in memory."""

    def __init__(self) -> None:
        self.attached: dict[str, str] = {}
        self.passwords: list[bytes | None] = []
        self.is_refusing = False

    def attach(self, volume: VolumeConnection, *, password: bytes | None = None) -> str:
        self.passwords.append(password)
        if self.is_refusing:
            raise AttachError(
                driver=volume.driver, name=volume.name, disk=volume.target, action="attach", reason="no path"
            )
        self.attached[volume.name] = f"/dev/disk/by-id/{volume.target}"
        return self.attached[volume.name]

    def detach(self, volume: VolumeConnection, path: str) -> None:
        self.attached.pop(volume.name, None)


@pytest.fixture
def attacher() -> FakeAttacher:
    return FakeAttacher()


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    return Arrivals(tmp_path)


@pytest.fixture
def hypervisor() -> FakeHypervisor:
    return FakeWorld("here").hosts["here"]


@pytest.fixture
def preparation(
    hypervisor: FakeHypervisor, grants: FakeGrants, attacher: FakeAttacher, arrivals: Arrivals, tmp_path: Path
):
    settings = Settings(
        host="here",
        state_path=tmp_path,
        live_migration=LiveMigrationSettings(flags=()),
        volumes=VolumeSettings(initiator=HERE, host_initiator=KERNEL, secrets_path=tmp_path / "secrets"),
    )
    return VolumePreparation(
        hypervisor, grants=grants, attacher=attacher, arrivals=arrivals, settings=settings
    )


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


# ---- block devices that the host attaches


def attached(**changes: object) -> VolumeConnection:
    fields: dict[str, object] = {
        "target": "vdb",
        "driver": "iscsi",
        "name": f"{TARGET}/3",
        "servers": (SERVER,),
        "is_host_attached": True,
        "properties": {"volume_id": "7"},
    }
    return VolumeConnection(**{**fields, **changes})  # type: ignore[arg-type]


def plan(volume: VolumeConnection, way: DiskWay = DiskWay.VOLUME) -> TransferPlan:
    disk = DiskTransfer(target="vdb", type="block", source="/dev/sdb", way=way)
    return TransferPlan(disks=(disk,), volumes=(volume,))


def coming(arrivals: Arrivals, volume: VolumeConnection, way: DiskWay = DiskWay.VOLUME) -> Arrival:
    return replace(arrival(arrivals), plan=plan(volume, way))


def test_a_device_is_attached_behind_the_grant_and_the_xml_gets_its_path(
    preparation, grants, attacher, arrivals
):
    prepared = preparation.prepare(coming(arrivals, attached()))

    assert grants.granted == {(TARGET, KERNEL)}
    assert [(change.target, dict(change.source)) for change in prepared.changes.disks] == [
        ("vdb", {"dev": "/dev/disk/by-id/vdb"})
    ]
    assert preparation.undo(undoing(arrivals)) == (
        f"volume {TARGET}/3 was detached",
        f"access to iscsi:{SERVER}/{TARGET} was withdrawn",
    )
    assert (grants.granted, attacher.attached) == (set(), {})


def test_a_device_that_both_hosts_have_is_left_alone(preparation, grants, attacher, arrivals):
    prepared = preparation.prepare(coming(arrivals, attached(), DiskWay.SHARED))
    assert (prepared.changes.disks, grants.granted, attacher.attached) == ((), set(), {})
    leaving = replace(departure(), plan=plan(attached(), DiskWay.SHARED))
    assert preparation.release(leaving).sentences == ()


def test_an_attachment_that_fails_is_told_and_undone(preparation, grants, attacher, arrivals):
    attacher.is_refusing = True
    with pytest.raises(AttachError, match=r"iscsi volume .* of disk vdb could not be attached: no path"):
        preparation.prepare(coming(arrivals, attached()))
    preparation.undo(undoing(arrivals))
    assert grants.granted == set()


def test_the_source_detaches_before_it_is_kept_out(preparation, grants, attacher):
    grants.granted = {(TARGET, KERNEL)}
    attacher.attached[f"{TARGET}/3"] = "/dev/sdb"
    released = preparation.release(replace(departure(), plan=plan(attached())))
    assert released.sentences == (
        f"volume {TARGET}/3 was detached",
        f"access to iscsi:{SERVER}/{TARGET} was withdrawn",
    )
    assert (grants.granted, attacher.attached) == (set(), {})


def test_a_device_that_another_guest_uses_stays_attached(preparation, attacher, hypervisor):
    attacher.attached[f"{TARGET}/3"] = "/dev/sdb"
    disk = "<disk type='block'><source dev='/dev/sdb'/><target dev='vda'/></disk>"
    hypervisor.add_guest(guest_xml("other", uuid=OTHER, devices=disk))
    sentences = preparation.release(replace(departure(), plan=plan(attached()))).sentences
    assert sentences[0] == f"volume {TARGET}/3 stays attached: another guest here uses it"
    assert attacher.attached != {}


def test_a_password_comes_from_root_s_file_and_is_in_no_record(preparation, attacher, arrivals, tmp_path):
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o700)
    (directory / OTHER).write_bytes(b"MARKER")
    (directory / OTHER).chmod(0o600)
    preparation.prepare(coming(arrivals, attached(secret=OTHER)))
    assert attacher.passwords == [b"MARKER"]
    assert all("MARKER" not in path.read_text() for path in (tmp_path / "arrivals").iterdir())
