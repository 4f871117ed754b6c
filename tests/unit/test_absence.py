"""Disks that the dest does not have: given to it where that is wanted and possible, or told."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.checks import STORAGE_NOT_SHARED
from common.facts import DiskFacts
from common.migration import AbsentDisk
from common.states import MissingBaseImage, StorageMode
from common.storage_checks import BASE_IMAGE_MISSING, DISK_PLACE_MISSING
from compute_agent.storage.absence import Place, judge
from compute_agent.storage.file_maker import FileMaker


@pytest.fixture
def place():
    return Place(
        host="compute2",
        mode=StorageMode.AUTO,
        missing_base_image=MissingBaseImage.COPY,
        makers={"file": FileMaker([Path("/")])},
    )


def disk(directory, **changes):
    fields = {"target": "vda", "type": "file", "source": f"{directory}/web1.img"}
    return DiskFacts(**{**fields, **changes})


def absent(path):
    return AbsentDisk(disk="vda", path=path, reason="compute2 has no such file")


def codes(judged):
    return [finding.code for finding in judged[1]]


@pytest.mark.parametrize("mode", [StorageMode.AUTO, StorageMode.BLOCK])
def test_a_disk_may_come_where_its_directory_or_the_one_above_it_is(tmp_path, place, mode):
    for directory in (tmp_path, tmp_path / "uuid"):
        one = absent(f"{directory}/web1.img")
        assert judge([one], [disk(directory)], place=replace(place, mode=mode)) == ((one,), ())


def test_a_disk_does_not_come_where_nothing_is_mounted(tmp_path, place):
    directory = tmp_path / "not" / "mounted"
    possible, [finding] = judge([absent(f"{directory}/web1.img")], [disk(directory)], place=place)
    assert (possible, finding.code) == ((), DISK_PLACE_MISSING.code)
    assert f"there is no directory {tmp_path / 'not'}" in finding.sentence


def test_nothing_comes_where_nothing_may_be_copied(tmp_path, place):
    shared = replace(place, mode=StorageMode.SHARED)
    assert codes(judge([absent(f"{tmp_path}/web1.img")], [disk(tmp_path)], place=shared)) == [
        STORAGE_NOT_SHARED.code
    ]


def test_what_nobody_can_make_does_not_come(tmp_path, place):
    path = f"{tmp_path}/web1.img"
    assert codes(judge([absent(path)], [disk(tmp_path, type="dir")], place=place)) == [
        STORAGE_NOT_SHARED.code
    ]
    assert codes(judge([absent("/another")], [disk(tmp_path)], place=place)) == [STORAGE_NOT_SHARED.code]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(MissingBaseImage.COPY, []), (MissingBaseImage.REFUSE, [BASE_IMAGE_MISSING.code])],
)
def test_an_image_below_a_disk_comes_if_the_host_takes_any(tmp_path, place, policy, expected):
    base = f"{tmp_path}/base.img"
    overlay = disk(tmp_path, format="qcow2", layers=(("file", base),))
    judged = judge([absent(base)], [overlay], place=replace(place, missing_base_image=policy))
    assert codes(judged) == expected
