"""The guest's own disks: made on the dest, removed on the source, and never another file than its own touched."""

import errno
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.facts import DiskFacts, GuestFacts
from common.migration import DestinationFacts
from common.states import DiskWay, PowerState
from common.storage_checks import BASE_IMAGE_DIFFERS, DISK_IN_THE_WAY
from common.transfer import Declarations, DiskImage, DiskTransfer, TransferPlan
from compute_agent.copying import Original
from compute_agent.errors import PlaceTakenError, WorkStoppedError
from compute_agent.preparing import Arrival, Arrivals, Departure, Preparations, Undoing
from compute_agent.preparing.arrivals import ArrivalRecord
from compute_agent.preparing.disks import Disks
from compute_agent.settings import LiveMigrationSettings, Settings
from compute_agent.storage import file_maker
from compute_agent.storage.file_maker import FileMaker
from compute_agent.storage.makers import makers
from compute_agent.storage.making import ImageInUseError
from tests.fakes.pools import FakePools

INSTANCE, MIGRATION = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5", "migration-1"
MIB = 2**20


class FakeCopying:
    """Copies what is at the same path below the source's directory."""

    def __init__(self, source: Path, dest: Path) -> None:
        self._source, self._dest = source, dest
        self.uris: list[str] = []
        self.room_bytes: list[int] = []

    def copy(
        self,
        original: Original,
        place: Path,
        *,
        uri: str,
        record: ArrivalRecord,
        part: str,
        is_stopped: Callable[[], bool],
    ) -> bool:
        self.uris.append(uri)
        self.room_bytes.append(original.allocated_bytes)
        content = (self._source / place.name).read_bytes()
        if place.exists() and place.read_bytes() != content:
            raise PlaceTakenError(path=str(place))
        place.write_bytes(content)
        return True

    def undo(self, record: ArrivalRecord, part: str) -> tuple[str, ...]:
        return ()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    (tmp_path / "dest").mkdir()
    return tmp_path / "dest"


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    (tmp_path / "state").mkdir()
    return Arrivals(tmp_path / "state")


@pytest.fixture
def copying(source: Path, dest: Path) -> FakeCopying:
    return FakeCopying(source, dest)


@pytest.fixture
def others() -> list[GuestFacts]:
    """The other guests of the host."""
    return []


@pytest.fixture
def disks(copying: FakeCopying, others: list[GuestFacts], tmp_path: Path) -> Disks:
    settings = Settings(
        host="compute2",
        state_path=tmp_path / "state",
        live_migration=LiveMigrationSettings(flags=()),
    )
    return Disks(
        makers(FakePools(lambda: None), directories=[Path("/")]),
        copying=copying,  # type: ignore[arg-type]
        guests=lambda: others,
        settings=settings,
    )


def described(path: Path, format: str = "raw") -> DiskImage:
    return FileMaker([Path("/")]).describe(
        DiskFacts(target="vda", type="file", source=str(path), format=format)
    )


def moved(image: DiskImage, to: Path) -> DiskImage:
    """As if both hosts had it at one path: this is where the dest has it."""
    return replace(image, path=str(to / Path(image.path).name))


def transfer(*images: DiskImage, target: str = "vda") -> DiskTransfer:
    return DiskTransfer(
        target=target, type="file", source=images[0].path, way=DiskWay.COPIED, images=tuple(images)
    )


def raw(directory: Path, name: str = "web1.img") -> DiskImage:
    path = directory / name
    path.write_bytes(b"\0" * MIB)
    return described(path)


def arrival(arrivals: Arrivals, *transfers: DiskTransfer, is_stopped: bool = False) -> Arrival:
    return Arrival(
        instance=INSTANCE,
        name="web1",
        migration=MIGRATION,
        plan=TransferPlan(disks=tuple(transfers)),
        declared=Declarations(),
        record=arrivals.open(MIGRATION, instance=INSTANCE),
        source_address="compute1",
        is_stopped=lambda: is_stopped,
    )


def undoing(arrivals: Arrivals, *, keep_disks: bool = False) -> Undoing:
    record = arrivals.open(MIGRATION, instance=INSTANCE)
    return Undoing(instance=INSTANCE, migration=MIGRATION, record=record, keep_disks=keep_disks)


def departure(*transfers: DiskTransfer) -> Departure:
    return Departure(
        instance=INSTANCE,
        name="web1",
        migration=MIGRATION,
        plan=TransferPlan(disks=tuple(transfers)),
        declared=Declarations(),
        dest=DestinationFacts(connect_address="compute2"),
    )


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_only_what_is_copied_is_made_and_made_once(
    disks: Disks, arrivals: Arrivals, source: Path, dest: Path
) -> None:
    shared = replace(transfer(raw(source, "shared.img"), target="vdb"), way=DiskWay.SHARED, images=())
    coming = arrival(arrivals, transfer(moved(raw(source), dest)), shared)

    disks.prepare(coming)
    inode = (dest / "web1.img").stat().st_ino
    again = disks.prepare(replace(coming, record=arrivals.open(MIGRATION, instance=INSTANCE)))

    assert (again.findings, names(dest)) == ((), ["web1.img"])
    assert (dest / "web1.img").stat().st_ino == inode


def test_another_file_of_its_name_refuses_the_guest_and_stays(
    disks: Disks, arrivals: Arrivals, source: Path, dest: Path
) -> None:
    coming = arrival(arrivals, transfer(moved(raw(source), dest)))
    (dest / "web1.img").write_text("somebody's")

    [finding] = disks.prepare(coming).findings
    disks.undo(undoing(arrivals))

    assert finding.code == DISK_IN_THE_WAY.code
    assert (dest / "web1.img").read_text() == "somebody's"


def test_storage_that_is_shared_after_all_holds_the_only_disk_and_nothing_happens_to_it(
    disks: Disks, arrivals: Arrivals, source: Path
) -> None:
    image = raw(source)
    coming = arrival(arrivals, transfer(image))

    [finding] = disks.prepare(coming).findings
    disks.undo(undoing(arrivals))

    assert finding.code == DISK_IN_THE_WAY.code
    assert names(source) == ["web1.img"]
    assert described(source / "web1.img").identity == image.identity


def test_undo_removes_all_of_it_also_by_another_process_and_twice(
    disks: Disks, arrivals: Arrivals, source: Path, dest: Path
) -> None:
    first, second = raw(source, "a.img"), raw(source, "b.img")
    disks.prepare(
        arrival(
            arrivals,
            transfer(moved(first, dest / "new")),
            transfer(moved(second, dest / "new"), target="vdb"),
        )
    )
    assert names(dest / "new") == ["a.img", "b.img"]

    assert len(disks.undo(undoing(arrivals))) == 2
    assert disks.undo(undoing(arrivals)) == ()
    assert names(dest) == []


def test_disks_that_the_guest_may_have_run_on_are_kept(
    disks: Disks, arrivals: Arrivals, source: Path, dest: Path
) -> None:
    disks.prepare(arrival(arrivals, transfer(moved(raw(source), dest))))

    [sentence] = disks.undo(undoing(arrivals, keep_disks=True))

    assert "is kept" in sentence
    assert names(dest) == ["web1.img"]


def test_a_newer_command_stops_it(disks: Disks, arrivals: Arrivals, source: Path, dest: Path) -> None:
    with pytest.raises(WorkStoppedError):
        disks.prepare(arrival(arrivals, transfer(moved(raw(source), dest)), is_stopped=True))
    assert names(dest) == []


# ---- images below a disk


@pytest.fixture
def overlay(source: Path, dest: Path) -> DiskTransfer:
    base, top = source / "base.img", source / "top.qcow2"
    base.write_bytes(b"base" * 1024)
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.img", "-F", "raw", str(top), "1M"]
    subprocess.run(create, check=True)
    return transfer(moved(described(top, "qcow2"), dest), moved(described(base), dest))


def test_a_base_that_is_missing_is_copied_from_the_source_before_its_overlay_is_made(
    disks: Disks, arrivals: Arrivals, overlay: DiskTransfer, copying: FakeCopying, dest: Path
) -> None:
    assert disks.prepare(arrival(arrivals, overlay)).findings == ()

    assert names(dest) == ["base.img", "top.qcow2"]
    assert copying.uris == ["qemu+tcp://compute1/system"]
    subprocess.run(["qemu-img", "check", "-q", str(dest / "top.qcow2")], check=True)


def test_a_sparse_base_needs_the_room_that_it_takes(
    disks: Disks, arrivals: Arrivals, overlay: DiskTransfer, copying: FakeCopying
) -> None:
    own, base = overlay.images
    disks.prepare(arrival(arrivals, transfer(own, replace(base, allocated_bytes=4096))))
    assert copying.room_bytes == [4096]


def test_a_base_beside_a_directory_that_is_made_only_with_the_overlay_is_copied(
    disks: Disks, arrivals: Arrivals, source: Path, dest: Path, overlay: DiskTransfer
) -> None:
    """Its overlay's header names it by ../base.img."""
    own, base = overlay.images
    own = replace(own, path=str(dest / "web1" / "top.qcow2"), backing="../base.img")
    base = replace(base, path=str(dest / "web1" / ".." / "base.img"))
    assert FileMaker([Path("/")]).obstacle(base.path) == ""

    disks.prepare(arrival(arrivals, transfer(own, base)))

    assert names(dest) == ["base.img", "web1"]
    assert names(dest / "web1") == ["top.qcow2"]
    disks.undo(undoing(arrivals))
    assert "web1" not in names(dest)


def test_a_directory_that_a_killed_agent_made_is_removed_by_the_undo(
    disks: Disks, arrivals: Arrivals, source: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = raw(source)
    wanted = transfer(replace(image, path=str(dest / "web1" / "web1.img")))
    with monkeypatch.context() as patch:
        patch.setattr(file_maker, "_finish", _die)
        with pytest.raises(KeyboardInterrupt):
            disks.prepare(arrival(arrivals, wanted))
    assert names(dest) == ["web1"]

    disks.prepare(arrival(arrivals, wanted))
    disks.undo(undoing(arrivals))

    assert names(dest) == []


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_base_that_differs_refuses_and_no_overlay_is_made_on_it(
    disks: Disks, arrivals: Arrivals, overlay: DiskTransfer, dest: Path
) -> None:
    (dest / "base.img").write_text("another base")

    [finding] = disks.prepare(arrival(arrivals, overlay)).findings

    assert finding.code == BASE_IMAGE_DIFFERS.code
    assert names(dest) == ["base.img"]
    assert (dest / "base.img").read_text() == "another base"


def test_a_base_that_both_hosts_see_is_left_alone(
    disks: Disks, arrivals: Arrivals, overlay: DiskTransfer, copying: FakeCopying, dest: Path
) -> None:
    own, base = overlay.images
    disks.prepare(arrival(arrivals, transfer(own, replace(base, is_shared=True))))
    assert (names(dest), copying.uris) == (["top.qcow2"], [])


# ---- when the guest has moved


def test_the_source_removes_its_disk_and_not_what_it_stands_on(
    disks: Disks, source: Path, overlay: DiskTransfer
) -> None:
    released = disks.release(departure(transfer(*(moved(image, source) for image in overlay.images))))

    assert names(source) == ["base.img"]
    assert released.sentences == (f"disk vda ({source}/top.qcow2) was removed",)
    assert (
        "is gone"
        in disks.release(departure(transfer(*(moved(image, source) for image in overlay.images)))).sentences[
            0
        ]
    )


@pytest.mark.parametrize(
    "named",
    [
        "web1.img",
        "{source}/web1.img",
        "file:{source}/web1.img",
        'json:{{"driver": "raw", "file": {{"driver": "file", "filename": "{source}/web1.img"}}}}',
        'json:{{"file.filename": "{source}/web1.img"}}',
    ],
)
def test_a_disk_below_that_of_a_guest_that_is_off_stays_however_its_header_names_it(
    disks: Disks, source: Path, others: list[GuestFacts], named: str
) -> None:
    image, top = raw(source), source / "web2.qcow2"
    backing = ["-u", "-b", named.format(source=source), "-F", "raw"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(top), "1M"], check=True)
    disk = DiskFacts(target="vda", type="file", source=str(top), format="qcow2")
    others.append(guest("web2", disk))

    [sentence] = disks.release(departure(transfer(image))).sentences

    assert "stays, as web2" in sentence
    assert names(source) == ["web1.img", "web2.qcow2"]


def test_what_took_the_place_of_the_sources_disk_is_left_alone(disks: Disks, source: Path) -> None:
    image = raw(source)
    (source / "web1.img").rename(source / "moved-by-hand.img")
    (source / "web1.img").write_text("a new one")

    [sentence] = disks.release(departure(transfer(image))).sentences

    assert "was left alone" in sentence
    assert names(source) == ["moved-by-hand.img", "web1.img"]


def guest(name: str, *disks: DiskFacts) -> GuestFacts:
    return GuestFacts(
        uuid=name,
        name=name,
        power_state=PowerState.SHUTOFF,
        vcpus=1,
        memory_mib=64,
        is_persistent=True,
        has_autostart=False,
        disks=disks,
    )


def test_a_disk_that_another_guest_of_the_host_stands_on_stays(
    disks: Disks, others: list[GuestFacts], source: Path
) -> None:
    image, clone = raw(source), source / "clone.qcow2"
    middle = source / "middle.qcow2"
    for path, backing, format in ((middle, "web1.img", "raw"), (clone, "middle.qcow2", "qcow2")):
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", format, str(path)]
        subprocess.run(create, check=True)
    off = guest("off", DiskFacts(target="vda", type="file", source=str(clone), format="qcow2"))
    running = guest(
        "running",
        DiskFacts(target="vda", type="file", source="/d/other", layers=(("file", image.path),)),
    )
    strange = guest("strange", DiskFacts(target="vda", type="network", source="nbd:x"))

    for user in (off, running):
        others[:] = [strange, user]
        [sentence] = disks.release(departure(transfer(image))).sentences
        assert sentence == f"disk vda ({image.path}) stays, as {user.name} of this host stands on it"
    assert Path(image.path).exists()

    others[:] = [strange]
    disks.release(departure(transfer(image)))
    assert not Path(image.path).exists()


def test_a_disk_that_some_qemu_holds_stays_and_the_source_is_asked_again(
    disks: Disks, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = raw(source)
    monkeypatch.setattr("compute_agent.storage.file_maker._is_locked", lambda _descriptor: True)
    with pytest.raises(ImageInUseError):
        disks.release(departure(transfer(image)))
    assert names(source) == ["web1.img"]


@pytest.mark.parametrize(
    ("error", "is_kept"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.EINTR, False)]
)
def test_a_disk_that_cannot_be_synced_keeps_the_source_from_letting_go(
    disks: Disks,
    arrivals: Arrivals,
    source: Path,
    dest: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: int,
    *,
    is_kept: bool,
) -> None:
    coming = arrival(arrivals, transfer(moved(raw(source), dest)))
    disks.prepare(coming)
    assert Preparations((disks,)).complete(coming).failures == ()

    def fail(_name: str) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(file_maker, "_sync", fail)
        told = Preparations((disks,)).complete(coming)
    assert told.holds_source
    assert os.strerror(error) in told.failures[0]

    # The kernel tells of it once only: the next call would find nothing.
    again = Preparations((disks,)).complete(
        replace(coming, record=arrivals.open(MIGRATION, instance=INSTANCE))
    )
    assert again.holds_source is is_kept
