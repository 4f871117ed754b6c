"""Where contracts are tried: the fake first, then the real thing."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from lab.lab import Lab
from tests.contract.hypervisor_sites import FakeSite, LabSite, Site
from tests.contract.predicaments import FakePredicaments, LabPredicaments, Predicaments


@pytest.fixture(scope="session")
def contract_lab() -> Iterator[Lab]:
    """A lab of its own, without our services."""
    lab = LabSite.start_lab()
    try:
        yield lab
    finally:
        LabSite.end_lab(lab)


@pytest.fixture(params=["fake", "libvirt"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Two hosts without a guest."""
    site: Site = FakeSite() if request.param == "fake" else LabSite(request.getfixturevalue("contract_lab"))
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def predicaments(site: Site) -> Iterator[Predicaments]:
    """What may stand in the way of a guest, to be brought about on the site."""
    predicaments: Predicaments
    if isinstance(site, FakeSite):
        predicaments = FakePredicaments(site)
    else:
        assert isinstance(site, LabSite)
        predicaments = LabPredicaments(site)
    yield predicaments
    predicaments.end()


@pytest.fixture
def migration(site: Site) -> Iterator[str]:
    """The id of a migration that the dest permits."""
    migration = str(uuid4())
    site.set_permit(migration, is_given=True)
    yield migration
    site.set_permit(migration, is_given=False)
