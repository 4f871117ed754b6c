"""Storage pools: where a volume is, or would be; and what is not to be had."""

from collections.abc import Iterator

import pytest

from compute_agent.hypervisor.pools import PoolAbsentError, VolumePlace
from tests.contract.hypervisor_sites import Site

DIRECTORY = "/srv/local"


@pytest.fixture
def pool(site: Site) -> Iterator[str]:
    site.add_pool("images", DIRECTORY)
    yield "images"
    site.remove_pool("images")


def test_a_volume_has_a_place_whether_it_is_there_or_not(site: Site, pool: str) -> None:
    site.add_file(f"{DIRECTORY}/there.img", b"disk")
    site.source.refresh_pool(pool)

    for volume in ("there.img", "not-there.img"):
        place = site.source.volume_place(pool, volume)
        assert place == VolumePlace(pool_type="dir", path=f"{DIRECTORY}/{volume}")


def test_a_pool_that_is_not_active_has_no_places(site: Site) -> None:
    site.add_pool("asleep", DIRECTORY, is_active=False)
    try:
        with pytest.raises(PoolAbsentError, match="it is not active"):
            site.source.volume_place("asleep", "web1.img")
        with pytest.raises(PoolAbsentError):
            site.source.refresh_pool("asleep")
    finally:
        site.remove_pool("asleep")


def test_a_pool_that_nobody_defined_is_absent(site: Site) -> None:
    with pytest.raises(PoolAbsentError, match="none of that name"):
        site.source.volume_place("nowhere", "web1.img")
