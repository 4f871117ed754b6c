"""Connections that move with their guest: told by the source, believed by the dest only where they can be the guest's."""

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.connections import BATCH_MAX, Connection, ConnectionBatch
from common.transfer import Filtering, PortRules
from compute_agent.firewall import entries
from compute_agent.firewall.departing_connections import DepartingConnections
from compute_agent.firewall.guest_connections import GuestConnections
from compute_agent.firewall.kept import Kept, KeptFilterings
from compute_agent.preparing import Arrivals
from compute_agent.preparing.arrivals import Item
from tests.fakes.firewall import FakeTracking
from tests.fakes.host import WAIT_S

INSTANCE, OTHER, MIGRATION = "guest-1", "guest-2", "migration-1"
GUEST, NEIGHBOUR, PEER = "192.0.2.1", "192.0.2.2", "198.51.100.7"
TCP = Connection(
    protocol="tcp",
    source=PEER,
    destination=GUEST,
    source_port=40_000,
    destination_port=22,
    state="ESTABLISHED",
    flags=("SEEN_REPLY", "ASSURED"),
    timeout_s=300,
)
UDP = Connection(
    protocol="udp", source=GUEST, destination=PEER, source_port=5000, destination_port=53, timeout_s=30
)


def declared(*addresses: str) -> Filtering:
    return Filtering(
        revision=1, ports=(PortRules(mac="52:54:00:00:00:01", groups=("web",), addresses=addresses),)
    )


class ConnectionSite:
    """One host that may be source or dest; what it tells arrives in `told`."""

    def __init__(self, tmp_path) -> None:
        self.kept = KeptFilterings(tmp_path)
        self.kept.put(Kept(instance=INSTANCE, filtering=declared(GUEST, "192.0.2.64/26")))
        self.arrivals = Arrivals(tmp_path)
        self.tracking = FakeTracking()
        self.told: list[ConnectionBatch] = []
        self.has_told = threading.Semaphore(0)
        self.connections = GuestConnections(
            self.kept, self.tracking, self, arrivals=self.arrivals, host="compute1"
        )

    def relay_connections(self, batch: ConnectionBatch) -> None:
        self.told.append(batch)
        self.has_told.release()

    def wait_until_told(self) -> tuple[Connection, ...]:
        assert self.has_told.acquire(timeout=WAIT_S)
        return self.told[-1].connections

    def expect(self) -> None:
        record = self.arrivals.open(MIGRATION, instance=INSTANCE)
        record.write(Item(part="firewall", kind="rules", name=INSTANCE))

    def take(self, *connections: Connection, instance: str = INSTANCE, migration: str = MIGRATION) -> None:
        self.connections.take(
            ConnectionBatch(host="compute2", instance=instance, migration=migration, connections=connections)
        )

    @property
    def known(self) -> set[Connection]:
        return set(self.tracking.known.values())

    def move(self, filtering: Filtering | None = None):
        return self.connections.told(
            instance=INSTANCE, migration=MIGRATION, declared=filtering or declared(GUEST)
        )


@pytest.fixture
def site(tmp_path):
    return ConnectionSite(tmp_path)


# ---- the source


def test_all_are_told_at_once_and_what_has_changed_when_the_guest_is_paused_and_at_the_end(site):
    site.tracking.put([TCP])
    with site.move():
        assert site.wait_until_told() == (TCP,)

        site.tracking.put([replace(TCP, timeout_s=299), UDP])
        site.connections.on_pause(INSTANCE)
        assert site.wait_until_told() == (UDP,)

        closing = replace(TCP, state="FIN_WAIT")
        site.tracking.put([closing])
    assert site.wait_until_told() == (closing,)

    [first, *_] = site.told
    assert (first.host, first.instance, first.migration) == ("compute1", INSTANCE, MIGRATION)


def test_many_are_told_in_several_messages(site):
    site.tracking.put([replace(TCP, source_port=port) for port in range(BATCH_MAX + 1)])
    with site.move():
        site.wait_until_told()
        site.wait_until_told()

    assert sorted(len(batch.connections) for batch in site.told) == [1, BATCH_MAX]


def test_a_guest_without_rules_or_addresses_has_nothing_told(site):
    site.kept.remove(INSTANCE)
    site.tracking.is_broken = True
    with site.move(declared()), site.move(Filtering()):
        pass
    site.connections.forget_departed(INSTANCE, Filtering())

    assert site.told == []


def test_a_tool_that_does_not_work_stops_no_migration(site):
    site.tracking.is_broken = True
    with site.move():
        pass

    site.connections.forget_departed(INSTANCE, declared(GUEST))

    assert site.told == []


def test_when_the_guest_has_left_only_what_another_filtered_guest_has_too_stays_known(site):
    site.kept.put(Kept(instance=OTHER, filtering=declared(NEIGHBOUR)))
    shared, strange = replace(TCP, source=NEIGHBOUR), replace(UDP, source=NEIGHBOUR)
    site.tracking.put([TCP, UDP, shared, strange])

    site.connections.forget_departed(INSTANCE, declared(GUEST))

    assert site.known == {shared, strange}


def test_of_no_connections_nothing_is_told(site):
    told = []
    departing = DepartingConnections(site.tracking, addresses={GUEST}, send=told.append)
    departing.end()
    departing.wait(WAIT_S)

    assert told == []


# ---- the dest


def test_connections_of_a_guest_that_is_expected_are_known_as_they_are_told(site):
    site.expect()
    site.take(TCP, UDP)
    site.take(replace(TCP, state="FIN_WAIT"))

    assert site.known == {replace(TCP, state="FIN_WAIT"), UDP}


@pytest.mark.parametrize(
    "strange",
    [
        replace(TCP, destination=NEIGHBOUR),
        replace(TCP, destination="192.0.2.65"),
        replace(TCP, source=NEIGHBOUR),
        replace(TCP, source="192.0.2.9 -j ACCEPT"),
        replace(TCP, state="ESTABLISHED --mark 1"),
        replace(TCP, flags=("FIXED_TIMEOUT",)),
        replace(TCP, source_port=70_000),
        replace(TCP, protocol="icmp", state=""),
        replace(TCP, source="2001:db8::1"),
        replace(TCP, timeout_s=10**9),
    ],
)
def test_what_cannot_be_the_guests_or_makes_no_sense_is_not_believed(site, strange):
    site.kept.put(Kept(instance=OTHER, filtering=declared(NEIGHBOUR)))
    site.expect()

    site.take(strange, UDP)

    assert site.known == {UDP}


def test_nothing_is_believed_of_a_guest_that_is_not_expected(site):
    site.take(TCP)
    site.expect()
    site.take(TCP, instance=OTHER)
    site.take(TCP, migration="migration-2")

    assert site.known == set()


def test_what_the_source_tells_last_is_taken_after_the_guest_has_come(site):
    site.expect()
    site.connections.has_come(instance=INSTANCE, migration=MIGRATION)
    site.arrivals.remove(MIGRATION)

    site.take(TCP)
    site.take(UDP, instance=OTHER)

    assert site.known == {TCP}


def test_undo_leaves_none_and_takes_none(site):
    site.expect()
    site.take(TCP, UDP)

    with site.connections.undone(instance=INSTANCE, migration=MIGRATION):
        assert site.known == set()
        site.take(TCP)
    assert site.known == set()


def test_no_source_can_fill_a_dest(site, monkeypatch):
    monkeypatch.setattr("compute_agent.firewall.guest_connections.TAKEN_MAX", 3)
    site.expect()
    for port in range(5):
        site.take(replace(TCP, source_port=port))

    assert len(site.known) == 3


# ---- as text


def test_an_entry_goes_through_the_tools_text():
    text = entries.replacing([TCP])

    assert text.splitlines()[0].startswith("-D -s 198.51.100.7 -d 192.0.2.1 -p tcp")
    assert list(entries.parse(text)) == [TCP]


def test_what_cannot_be_moved_is_left_out():
    translated = entries.replacing([TCP]).replace(f"-r {GUEST}", "-r 10.0.0.1")
    icmp = (
        "-A -t 29 -u SEEN_REPLY -s 192.0.2.1 -d 198.51.100.7 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 1"
    )

    assert list(entries.parse(f"{translated}\n{icmp}\n-A\n\nconntrack v1.4.7: 2 entries\n")) == []


addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)


@given(
    ends=addresses,
    ports=st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)),
    flags=st.sampled_from([(), ("SEEN_REPLY",), ("SEEN_REPLY", "ASSURED")]),
    protocol=st.sampled_from(["tcp", "udp"]),
)
def test_every_sound_entry_is_read_as_it_was_written(ends, ports, flags, protocol):
    connection = Connection(
        protocol=protocol,
        source=str(ends[0]),
        destination=str(ends[1]),
        source_port=ports[0],
        destination_port=ports[1],
        state="SYN_SENT" if protocol == "tcp" else "",
        flags=flags,
        timeout_s=7,
    )

    assert list(entries.parse(entries.replacing([connection]))) == [connection]
