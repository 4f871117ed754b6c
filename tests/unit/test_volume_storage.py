"""Disks that are volumes of storage pools: found on each host by its own pool, made and shown as what they are."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.checks import STORAGE_NOT_SHARED
from common.facts import DiskFacts
from common.place_checks import VOLUME_NOT_LOCATED
from common.transfer import DiskImage
from compute_agent import probes as probes_module
from compute_agent.durable import make_state_directory
from compute_agent.probes import Probes
from compute_agent.storage.driver import Disk
from compute_agent.storage.file_maker import FileMaker
from compute_agent.storage.making import (
    ImageExistsError,
    ImageMakingError,
    ImageNotCopyableError,
    MadeImage,
    WantedImage,
)
from compute_agent.storage.users import users_of
from compute_agent.storage.volume import located, located_guests, located_here
from compute_agent.storage.volume_maker import VolumeMaker
from tests.fakes.agent import guest_facts
from tests.fakes.host import MIGRATION
from tests.fakes.pools import FakePool, FakePools

NAME = "images/web1.raw"
DISK = Disk(target="vda", type="volume", path=NAME, device="disk")


@pytest.fixture
def hosts(tmp_path):
    """The pools of two hosts, on one directory."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "web1.raw").write_text("disk")
    return tuple(_pools(tmp_path / "images") for _ in range(2))


def _pools(path, **changes):
    pools = FakePools(lambda: None)
    pools.pools["images"] = FakePool(**{"path": str(path), **changes})
    return pools


@pytest.fixture
def probes(tmp_path):
    make_state_directory(tmp_path / "state")
    return Probes(tmp_path / "state", host="compute2")


def examined(probes, dest):
    made = probes.make(located((DISK,), dest), migration=MIGRATION, epoch=1)
    return made.probes, made.findings


def compared(made, source):
    return probes_module.compare(located_here(made, source), dest="compute2")


def test_one_directory_behind_both_pools_is_shared(probes, hosts):
    source, dest = hosts
    made, against = examined(probes, dest)

    assert against == ()
    assert [(probe.type, probe.path) for probe in made] == [("volume", NAME)]
    assert compared(made, source) == ()


def test_pools_of_one_name_on_two_directories_are_not(probes, hosts, tmp_path):
    _, dest = hosts
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "web1.raw").write_text("disk")
    made, _ = examined(probes, dest)

    [finding] = compared(made, _pools(tmp_path / "others"))

    assert (finding.code, finding.evidence["path"]) == (STORAGE_NOT_SHARED.code, NAME)


def test_a_volume_that_the_dest_lacks_is_absent(probes, hosts, tmp_path):
    (tmp_path / "empty").mkdir()

    made = probes.make(located((DISK,), _pools(tmp_path / "empty")), migration=MIGRATION, epoch=1)

    assert [(one.disk, one.path) for one in made.absent] == [("vda", NAME)]
    assert made.findings == ()


@pytest.mark.parametrize("changes", [{"is_active": False}, {"type": "rbd", "path": ""}])
def test_a_pool_that_cannot_be_used_is_a_finding_on_either_host(probes, hosts, changes):
    source, dest = hosts
    pool = dest.pools["images"]

    dest.pools["images"] = replace(pool, **changes)
    _, [finding] = examined(probes, dest)
    assert finding.code == VOLUME_NOT_LOCATED.code

    dest.pools["images"] = pool
    source.pools["images"] = replace(pool, **changes)
    made, _ = examined(probes, dest)
    [finding] = compared(made, source)
    assert finding.code == VOLUME_NOT_LOCATED.code


def test_a_file_here_and_a_device_there_are_not_compared(probes, hosts):
    source, dest = hosts
    source.pools["images"] = replace(source.pools["images"], type="logical")
    made, _ = examined(probes, dest)

    [finding] = compared(made, source)

    assert "a file there and a block on the source" in finding.sentence


# ---- making


@pytest.fixture
def place(tmp_path):
    (tmp_path / "pool").mkdir()
    return tmp_path / "pool"


@pytest.fixture
def pools(place):
    return _pools(place)


@pytest.fixture
def maker(pools):
    return VolumeMaker(pools, {"file": FileMaker([Path("/")])})


def wanted(**changes):
    image = DiskImage(type="volume", path=NAME, format="raw", virtual_bytes=2**20, allocated_bytes=0)
    return WantedImage(target="vda", migration=MIGRATION, image=image, **changes)


def test_a_volume_is_made_at_the_pools_own_place_and_libvirt_told_to_look(maker, pools, place):
    notes = []
    maker.make(wanted(), note=notes.append)

    assert (place / "web1.raw").stat().st_size == 2**20
    assert pools.refreshed == ["images"]
    described = maker.describe(DiskFacts(target="vda", type="volume", source=NAME))
    assert (described.type, described.path, described.virtual_bytes) == ("volume", NAME, 2**20)
    assert maker.find(NAME) == described.identity

    assert maker.remove(MadeImage(name=NAME, identity=notes[-1]))
    assert list(place.iterdir()) == []
    assert pools.refreshed == ["images", "images"]


def test_a_file_of_its_name_is_never_overwritten(maker, place):
    (place / "web1.raw").write_text("somebody's")

    with pytest.raises(ImageExistsError):
        maker.make(wanted(), note=lambda _identity: None)
    assert not maker.remove(MadeImage(name=NAME, identity={"device": "1", "inode": "1"}))
    assert (place / "web1.raw").read_text() == "somebody's"


def test_a_pool_that_cannot_be_used_is_an_obstacle(maker, pools):
    pools.pools["images"] = replace(pools.pools["images"], is_active=False)

    assert maker.obstacle(NAME) == "of its storage pool: it is not active"
    with pytest.raises(ImageMakingError):
        maker.make(wanted(), note=lambda _identity: None)
    with pytest.raises(ImageNotCopyableError):
        maker.describe(DiskFacts(target="vda", type="volume", source=NAME))


def test_volumes_of_other_pools_cannot_be_made_anew(maker, pools):
    pools.pools["images"] = FakePool(type="iscsi", path="/dev/disk/by-path")

    assert "pool images is of type iscsi" in maker.obstacle(NAME)


def test_a_volume_is_known_by_its_place_to_guests_that_name_it_otherwise(maker, pools, place):
    by_volume = DiskFacts(target="vda", type="volume", source=NAME)
    lost = DiskFacts(target="vdb", type="volume", source="nowhere/web1.raw")
    guest = replace(guest_facts("u"), disks=(by_volume, lost))

    [found] = located_guests([guest], pools)

    assert [(disk.type, disk.source) for disk in found.disks] == [
        ("file", str(place / "web1.raw")),
        ("volume", "nowhere/web1.raw"),
    ]
    assert maker.place(NAME) == str(place / "web1.raw")
    assert users_of(maker.place(NAME), [found]) == ("web1",)
