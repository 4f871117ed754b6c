"""How a disk gets to the dest: decided by what both hosts see, whatever was asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.checks import STORAGE_NOT_SHARED
from common.facts import DiskFacts
from common.states import DiskWay, StorageMode
from common.storage_checks import BLOCK_ON_SHARED, DISK_IN_THE_WAY, DISK_NOT_COPYABLE
from compute_agent.storage.ways import Decision, Seen, Sight, decide

DISK = DiskFacts(target="vda", type="file", source="/d/web1.img")
AUTO, SHARED, BLOCK = StorageMode.AUTO, StorageMode.SHARED, StorageMode.BLOCK


def decided(own: Seen, *below: Seen, mode: StorageMode = AUTO, disk: DiskFacts = DISK) -> Decision:
    sights = [Sight(path=f"/d/base{number}.img", seen=seen) for number, seen in enumerate(below)]
    return decide(disk, Sight(path=disk.source, seen=own), sights, mode=mode, dest="compute2")


@pytest.mark.parametrize(
    ("mode", "own", "way", "codes"),
    [
        (AUTO, Seen.SHARED, DiskWay.SHARED, []),
        (AUTO, Seen.ABSENT, DiskWay.COPIED, []),
        (AUTO, Seen.OTHER, DiskWay.SHARED, [DISK_IN_THE_WAY.code]),
        (SHARED, Seen.SHARED, DiskWay.SHARED, []),
        (SHARED, Seen.ABSENT, DiskWay.SHARED, [STORAGE_NOT_SHARED.code]),
        (SHARED, Seen.OTHER, DiskWay.SHARED, [STORAGE_NOT_SHARED.code]),
        (BLOCK, Seen.SHARED, DiskWay.SHARED, [BLOCK_ON_SHARED.code]),
        (BLOCK, Seen.ABSENT, DiskWay.COPIED, []),
        (BLOCK, Seen.OTHER, DiskWay.SHARED, [DISK_IN_THE_WAY.code]),
    ],
)
def test_the_table(mode: StorageMode, own: Seen, way: DiskWay, codes: list[str]) -> None:
    decision = decided(own, mode=mode)
    assert decision.way is way
    assert [finding.code for finding in decision.findings] == codes


@pytest.mark.parametrize("below", [Seen.ABSENT, Seen.OTHER])
def test_a_shared_disk_stands_on_shared_images_only(below: Seen) -> None:
    [finding] = decided(Seen.SHARED, Seen.SHARED, below).findings
    assert (finding.code, finding.evidence["path"]) == (STORAGE_NOT_SHARED.code, "/d/base1.img")


@pytest.mark.parametrize("below", list(Seen))
def test_a_copied_disk_may_stand_on_any_image_that_the_dest_can_have(below: Seen) -> None:
    assert decided(Seen.ABSENT, below) == Decision(way=DiskWay.COPIED)


def test_a_disk_that_other_guests_write_too_is_not_copied_away_from_them() -> None:
    shareable = DiskFacts(target="vda", type="file", source="/d/quorum.img", is_shareable=True)
    [finding] = decided(Seen.ABSENT, disk=shareable).findings
    assert finding.code == DISK_NOT_COPYABLE.code


@given(st.sampled_from(Seen), st.lists(st.sampled_from(Seen), max_size=3), st.sampled_from(StorageMode))
def test_nothing_is_copied_over_what_the_dest_has_and_nothing_left_behind_where_it_has_nothing(
    own: Seen, below: list[Seen], mode: StorageMode
) -> None:
    decision = decided(own, *below, mode=mode)
    if decision.way is DiskWay.COPIED:
        assert own is Seen.ABSENT
    elif not decision.findings:
        assert own in (Seen.SHARED, Seen.UNKNOWN)  # of the latter a finding is told elsewhere
