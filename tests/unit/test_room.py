"""Room for what is copied: told by the dest, compared by the source, held for each arrival with those before it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.checks import Severity
from common.migration import DestinationFacts
from common.room import DiskRoom
from common.states import DiskWay
from common.transfer import Declarations, DiskImage, DiskTransfer, TransferPlan
from compute_agent.checks.room import check_room
from compute_agent.durable import make_state_directory
from compute_agent.preparing import Arrival, Arrivals, Undoing
from compute_agent.preparing.room import RoomPreparation, expected_bytes
from compute_agent.storage import file_maker, room
from compute_agent.storage.file_maker import FileMaker
from compute_agent.storage.lvm import LogicalVolumes
from tests.fakes.volume_managers import FakeLvm

MIB = 2**20
MAKERS = {"file": FileMaker([Path("/")]), "block": LogicalVolumes(FakeLvm())}
FIRST, SECOND = "migration-1", "migration-2"


def image(path, *, virtual_mib=100, allocated_mib=10, **changes):
    values = {
        "type": "file",
        "path": str(path),
        "format": "raw",
        "virtual_bytes": virtual_mib * MIB,
        "allocated_bytes": allocated_mib * MIB,
    }
    return DiskImage(**{**values, **changes})


def copied(*images, target="vda"):
    return DiskTransfer(target=target, type="file", source=images[0].path, way=DiskWay.COPIED, images=images)


# ---- what the dest tells, compared on the source


def found(disks, *rooms, ratio=1.0):
    look = SimpleNamespace(
        reach=DestinationFacts(connect_address="x", rooms=rooms),
        declared=Declarations(disk_allocation_ratio=ratio),
        guest=SimpleNamespace(name="web1"),
        dest_host="compute2",
    )
    return list(check_room(look, disks))


def told(target, path, *, key="device 1", free_mib):
    return DiskRoom(
        disk=target, path=str(path), key=key, place="the file system of /srv", free_bytes=free_mib * MIB
    )


def test_disks_of_one_place_must_fit_together():
    disks = (copied(image("/srv/a")), copied(image("/srv/b"), target="vdb"))

    assert found(disks, told("vda", "/srv/a", free_mib=200), told("vdb", "/srv/b", free_mib=200)) == []
    [finding] = found(disks, told("vda", "/srv/a", free_mib=199), told("vdb", "/srv/b", free_mib=199))
    assert (finding.code, finding.severity, finding.host) == ("disk_room_short", Severity.REFUSES, "compute2")
    assert "200 MiB to the file system of /srv" in finding.sentence

    apart = told("vdb", "/srv/b", key="device 2", free_mib=100)
    assert found(disks, told("vda", "/srv/a", free_mib=100), apart) == []


def test_an_image_below_takes_what_it_has_where_it_is_missing_and_nothing_where_it_is_shared():
    disk = copied(image("/srv/a"), image("/srv/base", virtual_mib=1000, allocated_mib=50))
    rooms = (told("vda", "/srv/a", free_mib=149), told("vda", "/srv/base", free_mib=149))

    assert len(found((disk,), *rooms)) == 1
    assert (
        found((replace(disk, images=(disk.images[0], replace(disk.images[1], is_shared=True))),), *rooms)
        == []
    )


def test_a_ratio_lets_disks_be_larger_than_their_storage_but_not_what_they_hold():
    disk = copied(image("/srv/a"))

    [warning] = found((disk,), told("vda", "/srv/a", free_mib=10), ratio=1.5)
    [refusal] = found((disk,), told("vda", "/srv/a", free_mib=9), ratio=1.5)

    assert (warning.severity, refusal.severity) == (Severity.WARNS, Severity.REFUSES)


def test_what_is_not_copied_or_not_told_of_is_not_judged():
    shared = replace(copied(image("/srv/a")), way=DiskWay.SHARED)

    assert found((shared,), told("vda", "/srv/a", free_mib=0)) == []
    assert found((copied(image("/srv/a")),)) == []


# ---- held on the dest


@pytest.fixture
def arrivals(tmp_path):
    make_state_directory(tmp_path / "state")
    return Arrivals(tmp_path / "state")


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A directory on a file system with 150 MiB left."""
    directory = tmp_path / "images"
    directory.mkdir()

    def of_file(path):
        place = f"the file system of {directory}"
        return room.Room(key="device 1", place=place, free_bytes=150 * MIB, file=path)

    monkeypatch.setattr(file_maker, "of_file", of_file)
    return directory


def prepare(arrivals, migration, *disks, ratio=1.0):
    preparation = RoomPreparation(MAKERS, arrivals=arrivals, settings=SimpleNamespace(host="compute2"))
    arrival = Arrival(
        instance="web",
        name="web1",
        migration=migration,
        plan=TransferPlan(disks=disks),
        declared=Declarations(disk_allocation_ratio=ratio),
        record=arrivals.open(migration, instance="web"),
    )
    return preparation.prepare(arrival).findings


def undo(arrivals, migration):
    record = arrivals.open(migration, instance="web")
    undoing = Undoing(instance="web", migration=migration, record=record, keep_disks=False)
    RoomPreparation(MAKERS, arrivals=arrivals, settings=SimpleNamespace(host="compute2")).undo(undoing)


def test_two_that_would_fit_alone_do_not_fit_together(arrivals, images):
    assert prepare(arrivals, FIRST, copied(image(images / "a"))) == ()

    [finding] = prepare(arrivals, SECOND, copied(image(images / "b")))
    assert (finding.evidence["needed_mib"], finding.evidence["free_mib"]) == ("100", "50")

    undo(arrivals, FIRST)
    assert prepare(arrivals, SECOND, copied(image(images / "b"))) == ()


def test_what_has_been_written_is_not_counted_twice(arrivals, images):
    """The file system's figure has it already; here it stays at 150 MiB."""
    assert prepare(arrivals, FIRST, copied(image(images / "a"))) == ()
    (images / "a").write_bytes(bytes([1]) * 60 * MIB)

    assert expected_bytes(arrivals)["device 1"] == pytest.approx(40 * MIB, abs=MIB)
    assert prepare(arrivals, SECOND, copied(image(images / "b"))) == ()


def test_a_repeated_call_holds_the_same(arrivals, images):
    for _ in range(2):
        assert prepare(arrivals, FIRST, copied(image(images / "a"))) == ()

    assert expected_bytes(arrivals) == {"device 1": 100 * MIB}


def test_a_volume_of_a_volume_group_holds_its_own_room(arrivals, images):
    volume = image("/dev/vg0/web1", type="block", virtual_mib=1000)

    assert prepare(arrivals, FIRST, copied(volume)) == ()
    assert list(arrivals.all()) == []


def test_an_image_below_that_is_there_takes_nothing(arrivals, images):
    base = image(images / "base", virtual_mib=1000, allocated_mib=60)
    disk = copied(image(images / "a"), base)

    assert len(prepare(arrivals, FIRST, disk)) == 1
    undo(arrivals, FIRST)
    (images / "base").write_text("base")
    assert prepare(arrivals, FIRST, disk) == ()


def test_with_a_ratio_only_what_they_hold_must_fit(arrivals, images):
    disk = copied(image(images / "a", virtual_mib=1000, allocated_mib=150))

    assert prepare(arrivals, FIRST, disk, ratio=8.0) == ()
    assert len(prepare(arrivals, FIRST, disk)) == 1


def test_the_room_of_a_file_is_that_of_the_next_directory_above_it_that_exists(tmp_path):
    there = room.of_file(str(tmp_path / "not" / "yet" / "a.img"))

    assert there.place == f"the file system of {tmp_path}"
    assert there.key == f"device {tmp_path.stat().st_dev}"
    assert there.free_bytes > 0
