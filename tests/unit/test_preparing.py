"""Preparations beside each other, and the record of what they have made."""

import threading
from pathlib import Path

import pytest

from common.errors import LimosaError
from common.facts import DiskFacts, GuestFacts
from common.migration import DestinationFacts, DomainChanges
from common.states import DiskWay, PowerState
from common.transfer import Declarations, DiskChange, DiskTransfer, TransferPlan
from compute_agent import durable, planning
from compute_agent.preparing import (
    Arrival,
    Arrivals,
    Departure,
    Preparation,
    Preparations,
    Prepared,
    Released,
    Undoing,
)
from compute_agent.preparing.arrivals import Item

INSTANCE, MIGRATION = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5", "migration-1"


class BrokenError(LimosaError):
    message = "no space left"


class Part(Preparation):
    def __init__(self, name: str, *, breaks: bool = False, meets: threading.Barrier | None = None) -> None:
        self.name = name  # type: ignore[misc]
        self._breaks = breaks
        self._meets = meets

    def prepare(self, arrival: Arrival) -> Prepared:
        if self._meets is not None:
            self._meets.wait(timeout=10)
        if self._breaks:
            raise BrokenError
        arrival.record.write(Item(part=self.name, kind="thing", name="one"))
        return Prepared(changes=DomainChanges(disks=(DiskChange(target=self.name),)))

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        if self._breaks:
            raise BrokenError
        items = undoing.record.items(self.name)
        for item in items:
            undoing.record.forget(item)
        return tuple(f"{item.name} was removed" for item in items)


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    return Arrivals(tmp_path)


def arrival(arrivals: Arrivals) -> Arrival:
    return Arrival(
        instance=INSTANCE,
        name="web1",
        migration=MIGRATION,
        plan=TransferPlan(),
        declared=Declarations(),
        record=arrivals.open(MIGRATION, instance=INSTANCE),
    )


def undoing(arrivals: Arrivals) -> Undoing:
    record = arrivals.open(MIGRATION, instance=INSTANCE)
    return Undoing(instance=INSTANCE, migration=MIGRATION, record=record, keep_disks=False)


def test_all_of_them_prepare_at_once_and_their_changes_are_joined(arrivals: Arrivals) -> None:
    barrier = threading.Barrier(2)  # one after the other they would wait for ever
    told = Preparations((Part("vda", meets=barrier), Part("vdb", meets=barrier))).prepare(arrival(arrivals))
    assert {change.target for change in told.changes.disks} == {"vda", "vdb"}
    assert told.failures == ()


def test_one_that_fails_keeps_nobody_from_ending_and_is_told(arrivals: Arrivals) -> None:
    told = Preparations((Part("vda", breaks=True), Part("vdb"))).prepare(arrival(arrivals))
    assert told.failures == ("vda: no space left",)
    assert [record.items("vdb") for record in arrivals.all()] == [
        (Item(part="vdb", kind="thing", name="one"),)
    ]


def test_another_process_undoes_what_the_record_says(arrivals: Arrivals, tmp_path: Path) -> None:
    Preparations((Part("vda"),)).prepare(arrival(arrivals))
    reopened = Arrivals(tmp_path)
    assert Preparations((Part("vda"),)).undo(undoing(reopened)).sentences == ("one was removed",)
    assert Preparations((Part("vda"),)).undo(undoing(reopened)).sentences == ()
    reopened.remove(MIGRATION)
    assert list(reopened.all()) == []


def test_an_undo_that_fails_is_told_and_the_others_are_done(arrivals: Arrivals) -> None:
    Preparations((Part("vdb"),)).prepare(arrival(arrivals))
    told = Preparations((Part("vda", breaks=True), Part("vdb"))).undo(undoing(arrivals))
    assert told.failures == ("vda: no space left",)
    assert told.sentences == ("one was removed",)


def test_one_that_cannot_accompany_leaves_the_call_alone() -> None:
    class Bad(Preparation):
        name = "bad"

        def accompany(self, departure: Departure):  # type: ignore[no-untyped-def]
            raise BrokenError

    departure = Departure(
        instance=INSTANCE,
        name="web1",
        migration=MIGRATION,
        plan=TransferPlan(),
        declared=Declarations(),
        dest=DestinationFacts(connect_address="compute2"),
    )
    calls = []
    with Preparations((Bad(),)).accompany(departure):
        calls.append("migrateToURI3")
    assert calls == ["migrateToURI3"]


def test_what_others_look_through_is_released_last() -> None:
    order: list[str] = []

    class Through(Part):
        def release(self, departure: Departure) -> Released:
            order.append(self.name)
            return Released(sentences=(self.name,))

    class Last(Through):
        is_released_last = True

    departure = Departure(
        instance=INSTANCE,
        name="web1",
        migration=MIGRATION,
        plan=TransferPlan(),
        declared=Declarations(),
        dest=DestinationFacts(connect_address="compute2"),
    )

    told = Preparations((Last("networks"), Through("interfaces"))).release(departure)

    assert order == ["interfaces", "networks"]
    assert told.sentences == ("interfaces", "networks")


def test_an_item_that_is_written_again_replaces_the_first(arrivals: Arrivals) -> None:
    record = arrivals.open(MIGRATION, instance=INSTANCE)
    record.write(Item(part="disks", kind="file", name="/d/a.img"))
    made = Item(part="disks", kind="file", name="/d/a.img", identity={"inode": "7"})
    record.write(made)
    assert arrivals.open(MIGRATION, instance=INSTANCE).items("disks") == (made,)


def test_a_disk_that_was_attached_since_the_plan_is_seen() -> None:
    disk = DiskFacts(target="vda", type="file", source="/d/a.img")
    guest = GuestFacts(
        uuid=INSTANCE,
        name="web1",
        power_state=PowerState.RUNNING,
        vcpus=1,
        memory_mib=64,
        is_persistent=True,
        has_autostart=False,
        disks=(disk, DiskFacts(target="vdb", type="file", source="/d/b.img")),
    )
    plan = TransferPlan(
        disks=(DiskTransfer(target="vda", type="file", source="/d/a.img", way=DiskWay.SHARED),)
    )
    assert list(planning.differences(guest, plan)) == [
        "the guest has disk vdb (/d/b.img), which was not there when it was checked"
    ]


def test_what_is_written_at_one_moment_shares_one_fsync(
    arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = arrivals.open(MIGRATION, instance=INSTANCE)
    first_is_at_work, others_have_written = threading.Event(), threading.Event()
    written: list[int] = []
    write = durable.write

    def slow(path: Path, text: str) -> None:
        written.append(len(record.all_items))
        first_is_at_work.set()
        assert others_have_written.wait(timeout=30)
        write(path, text)

    monkeypatch.setattr(durable, "write", slow)
    items = [Item(part="volumes", kind="grant", name=str(number)) for number in range(8)]
    threads = [threading.Thread(target=record.write, args=(item,)) for item in items]
    threads[0].start()
    assert first_is_at_work.wait(timeout=30)
    for thread in threads[1:]:
        thread.start()
    while len(record.all_items) < len(items):
        first_is_at_work.wait(timeout=0.01)
    others_have_written.set()
    for thread in threads:
        thread.join(timeout=30)
    assert written == [1, 8]
    kept = arrivals.open(MIGRATION, instance=INSTANCE).items("volumes")
    assert sorted(item.name for item in kept) == [item.name for item in items]
