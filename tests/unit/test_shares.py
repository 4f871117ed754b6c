"""What each guest takes of each host: one row a guest, whatever says that it is there."""

from itertools import product

import pytest
from sqlalchemy.orm import Session

from common.facts import GuestFacts
from common.states import MigrationStatus, Phase, PowerState
from conductor.db import claims, shares
from conductor.db.engine import Database
from conductor.db.models import Instance, Migration, Sighting
from conductor.settling import take_over_guests
from tests.fakes.agent import guest_facts, report_of

GUEST = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTOFF


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/limosa.sqlite")
    yield database
    database.close()


def report(database: Database, host: str, *guests: GuestFacts) -> None:
    database.transact(lambda session: take_over_guests(session, report_of(host, *guests)))


def claim(session: Session, host: str, *, memory_mib: int, vcpus: int = 1) -> None:
    """What an open migration of the guest holds on a host; nobody looks at the rest of its row here."""
    session.merge(
        Migration(
            id="m1",
            instance=GUEST,
            version=1,
            phase=Phase.CHECK_DEST,
            status=MigrationStatus.ACCEPTED,
            epoch=1,
            source="compute1",
            dest="compute2",
            saga="{}",
            created_at_ms=1,
            updated_at_ms=1,
            epoch_at_ms=1,
        )
    )
    claims.claim(session, migration="m1", instance=GUEST, host=host, memory_mib=memory_mib, vcpus=vcpus)


def read(database: Database, host: str):
    with database.reading() as session:
        return shares.read(session, host).get(host, [])


def test_a_guest_that_its_host_reports_is_one_row(database):
    report(database, "compute1", guest_facts(GUEST, vcpus=2))

    (share,) = read(database, "compute1")

    assert (share.name, share.vcpus, share.memory_mib, share.power_state) == ("web1", 2, 96, RUNNING)
    assert share.is_taken
    assert not share.is_claim_only


def test_a_guest_that_is_off_takes_nothing_and_is_shown(database):
    report(database, "compute1", guest_facts(GUEST, power_state=OFF))

    (share,) = read(database, "compute1")

    assert (share.power_state, share.is_taken, share.memory_mib) == (OFF, False, 96)


def test_a_claim_is_a_row_of_its_own_where_the_guest_is_not_and_joins_it_where_it_is(database):
    report(database, "compute1", guest_facts(GUEST))
    for host in ("compute1", "compute2"):
        database.transact(lambda session, host=host: claim(session, host, memory_mib=128, vcpus=2))

    (here,) = read(database, "compute1")
    (there,) = read(database, "compute2")

    assert (here.power_state, here.migration, here.is_claim_only) == (RUNNING, "m1", False)
    assert (there.power_state, there.migration, there.is_claim_only) == (None, "m1", True)
    assert here.memory_mib == there.memory_mib == 128  # the larger counts


def test_a_guest_that_two_hosts_report_takes_of_both(database):
    report(database, "compute1", guest_facts(GUEST))
    report(database, "compute2", guest_facts(GUEST))

    assert [share.instance for share in read(database, "compute2")] == [GUEST]


def test_the_rows_of_a_host_are_in_order_of_their_names(database):
    report(database, "compute1", guest_facts(GUEST, name="web2"), guest_facts(OTHER, name="web1"))

    assert [share.name for share in read(database, "compute1")] == ["web1", "web2"]


def test_the_sizes_of_disks_are_what_the_guests_facts_say(database):
    report(database, "compute1", guest_facts(GUEST, disk_gib=20), guest_facts(OTHER, name="db1"))

    with database.reading() as session:
        found = shares.disks_gib(session, shares.read(session, "compute1")["compute1"])

    assert found == {GUEST: 20, OTHER: 0}


@pytest.mark.parametrize(
    ("is_present", "power_state", "seen_as", "is_claimed"),
    list(product((True, False), (RUNNING, OFF), (None, RUNNING, OFF), (True, False))),
)
def test_the_rows_add_up_to_what_placement_counts(database, is_present, power_state, seen_as, is_claimed):
    """`claims.used_mib` decides whether a guest fits; whoever reads the rows must come to the same sum."""
    report(database, "compute1", guest_facts(GUEST, memory_mib=64))

    def arrange(session):
        row = session.get_one(Instance, GUEST)
        row.is_present, row.power_state = is_present, power_state
        sighting = session.get_one(Sighting, (GUEST, "compute1"))
        if seen_as is None:
            session.delete(sighting)
        else:
            sighting.power_state, sighting.memory_mib = seen_as, 100
        if is_claimed:
            claim(session, "compute1", memory_mib=80)

    database.transact(arrange)

    with database.reading() as session:
        counted = claims.used_mib(session).get("compute1", 0)
    assert sum(share.memory_mib for share in read(database, "compute1") if share.is_taken) == counted
