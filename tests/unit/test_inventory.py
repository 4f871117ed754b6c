"""What agents tell on their own account, and what the conductor makes of it."""

import pytest

from common.facts import Heartbeat
from common.states import PowerState, TaskState
from conductor.capacity import Limits
from conductor.db import hosts, instances
from conductor.db.engine import Database
from conductor.db.models import Instance
from conductor.inventory import Inventory
from conductor.lookup import Lookup
from conductor.news import News
from conductor.settling import settle
from tests.fakes.agent import guest_facts, host_facts, report_of

GUEST = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
LIMITS = Limits(service_down_time_s=20.0, ram_allocation_ratio=1.0, reserved_memory_mib=0)
RUNS = guest_facts(GUEST)
OFF = guest_facts(GUEST, power_state=PowerState.SHUTOFF)


class AskedHosts:
    """Stands for the sender: remembers who was asked for a report."""

    def __init__(self):
        self.asked = []

    def request_report(self, host):
        self.asked.append(host)

    def refresh_filtering(self, hosts):
        assert not hosts, "nobody is filtered here"


class Announced:
    """Stands for the publisher: remembers what the world is told."""

    def __init__(self):
        self.events = []

    def announce(self, events):
        self.events.extend(events)

    def told(self):
        """What has been told since the last look, without times."""
        told = [(event.event_type, event.instance_host, event.hosts) for event in self.events]
        self.events.clear()
        return told


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/limosa.sqlite")
    yield database
    database.close()


@pytest.fixture
def asked():
    return AskedHosts()


@pytest.fixture
def announced():
    return Announced()


@pytest.fixture
def inventory(database, asked, announced):
    return Inventory(database, asked, announced)


@pytest.fixture
def lookup(database):
    return Lookup(database, News(waiters_max=1), limits=LIMITS)


def heartbeat(**changes):
    values = {
        "host": "compute1",
        "start_id": "compute1-1",
        "sequence": 1,
        "hypervisor_age_s": 0.5,
        "interval_s": 5.0,
    }
    return Heartbeat(**{**values, **changes})


def be_moved(database, *, by="m1"):
    database.transact(lambda session: instances.take(session, GUEST, host="compute1", migration=by))


# ---- where a guest is: the pure part


@pytest.mark.parametrize(
    ("home", "seen_as", "reporter", "is_open", "expected"),
    [
        # found
        (None, {"a": "running"}, "a", False, "a"),
        (None, {"a": "shutoff", "b": "running"}, "a", False, "b"),
        # stays
        ("a", {"a": "running"}, "a", False, "a"),
        ("a", {"a": "running", "b": "running"}, "b", False, "a"),
        ("a", {"a": "shutoff", "b": "running"}, "a", False, "a"),
        # another host's word is no evidence about its own
        ("a", {"b": "running"}, "b", False, "a"),
        ("a", {}, "b", False, "a"),
        # its own host says that it is gone: followed, or gone
        ("a", {"b": "running"}, "a", False, "b"),
        ("a", {"b": "shutoff", "c": "paused"}, "a", False, "c"),
        ("a", {}, "a", False, None),
        # while a migration is open, reports never move it
        ("a", {"b": "running"}, "a", True, "a"),
        ("a", {}, "a", True, "a"),
    ],
)
def test_where_a_guest_belongs(home, seen_as, reporter, is_open, expected):
    states = {host: PowerState(word) for host, word in seen_as.items()}

    assert settle(home, states, reporter=reporter, is_open=is_open) == expected


# ---- hosts


def test_a_heartbeat_makes_a_host_known_and_asks_for_its_report(inventory, asked, lookup):
    inventory.heartbeat(heartbeat())

    (service,) = lookup.list_services()
    assert (service.host, service.state, service.hypervisor_age_s) == ("compute1", "up", 0.5)
    assert service.memory_total_mib is None
    assert asked.asked == ["compute1"]


def test_a_host_that_has_reported_is_not_asked_again_until_it_is_restarted(inventory, asked):
    inventory.heartbeat(heartbeat())
    inventory.report(report_of("compute1"))
    inventory.heartbeat(heartbeat(sequence=2))
    assert asked.asked == ["compute1"]

    inventory.heartbeat(heartbeat(start_id="compute1-2", sequence=1))

    assert asked.asked == ["compute1", "compute1"]


def test_a_heartbeat_of_an_earlier_process_is_dropped_once_the_next_one_has_reported(inventory, lookup):
    inventory.heartbeat(heartbeat())
    inventory.report(report_of("compute1", start_id="compute1-1"))
    inventory.heartbeat(heartbeat(start_id="compute1-2"))
    inventory.report(report_of("compute1", start_id="compute1-2"))

    inventory.heartbeat(heartbeat(start_id="compute1-1", sequence=99, hypervisor_age_s=77.0))

    [agent] = [service for service in lookup.list_services() if service.host == "compute1"]
    assert agent.hypervisor_age_s == 0.5


def test_a_late_heartbeat_is_dropped(inventory, lookup):
    inventory.heartbeat(heartbeat(sequence=2, hypervisor_age_s=9.0))
    inventory.heartbeat(heartbeat(sequence=1, hypervisor_age_s=0.5))

    assert lookup.list_services()[0].hypervisor_age_s == 9.0


def test_changes_of_an_unknown_process_are_taken_and_the_rest_asked_for(inventory, asked, lookup):
    inventory.report(report_of("compute1", RUNS, is_full=False))

    assert [view.uuid for view in lookup.list_instances()] == [GUEST]
    assert asked.asked == ["compute1"]


def test_facts_are_kept_when_a_report_brings_none(inventory, database):
    inventory.report(report_of("compute1", facts=host_facts(memory_total_mib=777)))
    inventory.report(report_of("compute1", sequence=2, facts=None))

    with database.reading() as session:
        assert hosts.read_hosts(session)["compute1"].facts.memory_total_mib == 777


# ---- guests


def test_a_guest_is_found_and_goes_when_a_full_report_lacks_it(inventory, lookup):
    inventory.report(report_of("compute1", RUNS))
    assert [(view.name, view.host, view.power_state) for view in lookup.list_instances()] == [
        ("web1", "compute1", "running")
    ]

    inventory.report(report_of("compute1", sequence=2))

    assert lookup.list_instances() == ()


def test_a_report_of_changes_says_nothing_about_the_guests_it_does_not_name(inventory, lookup):
    inventory.report(report_of("compute1", RUNS))
    inventory.report(report_of("compute1", sequence=2, is_full=False))

    assert len(lookup.list_instances()) == 1


def test_a_guest_goes_when_libvirt_says_so(inventory, lookup):
    inventory.report(report_of("compute1", RUNS))
    inventory.report(report_of("compute1", sequence=2, is_full=False, gone=(GUEST,)))

    assert lookup.list_instances() == ()


def test_older_reports_are_dropped(inventory, lookup):
    inventory.report(report_of("compute1", RUNS, sequence=5))
    inventory.report(report_of("compute1", sequence=4))
    assert len(lookup.list_instances()) == 1

    inventory.report(report_of("compute1", start_id="compute1-2"))  # started anew: a new sequence
    inventory.report(report_of("compute1", RUNS, sequence=6))  # of the process before

    assert lookup.list_instances() == ()


def test_a_rename_and_a_changed_state_are_shown(inventory, lookup):
    inventory.report(report_of("compute1", RUNS))
    renamed = guest_facts(GUEST, name="web2", power_state=PowerState.PAUSED)
    inventory.report(report_of("compute1", renamed, sequence=2, is_full=False))

    (view,) = lookup.list_instances()
    assert (view.name, view.power_state) == ("web2", "paused")


def test_an_epoch_survives_the_guest(inventory, database):
    inventory.report(report_of("compute1", RUNS))

    def command(session):
        session.get_one(Instance, GUEST).epoch = 7

    database.transact(command)
    inventory.report(report_of("compute1", sequence=2))
    inventory.report(report_of("compute2", RUNS))

    with database.reading() as session:
        row = instances.find(session, GUEST)
        assert (row.host, row.epoch) == ("compute2", 7)
        assert instances.floors(session) == [(GUEST, 7)]


# ---- two hosts


def test_a_migration_by_hand_is_followed(inventory, lookup):
    inventory.report(report_of("compute1", RUNS))
    inventory.report(report_of("compute2", RUNS))
    assert lookup.show_instance("web1").conflict == ("compute1", "compute2")

    inventory.report(report_of("compute1", sequence=2, is_full=False, gone=(GUEST,)))

    view = lookup.show_instance("web1")
    assert (view.host, view.conflict) == ("compute2", ())


def test_a_migration_by_hand_is_followed_whoever_tells_first(inventory, lookup):
    inventory.report(report_of("compute1", RUNS))
    inventory.report(report_of("compute1", sequence=2, is_full=False, gone=(GUEST,)))
    inventory.report(report_of("compute2", RUNS))

    view = lookup.show_instance("web1")
    assert (view.host, view.conflict) == ("compute2", ())


def test_a_definition_on_a_second_host_is_a_conflict_until_it_goes(inventory, lookup):
    inventory.report(report_of("compute1", RUNS))
    inventory.report(report_of("compute2", OFF))

    view = lookup.show_instance("web1")
    assert (view.host, view.power_state) == ("compute1", "running")
    assert view.conflict == ("compute1", "compute2")

    inventory.report(report_of("compute2", sequence=2))
    assert lookup.show_instance("web1").conflict == ()


def test_while_a_migration_is_open_reports_neither_move_nor_remove(inventory, database, lookup):
    inventory.report(report_of("compute1", RUNS))
    be_moved(database)

    inventory.report(report_of("compute2", RUNS))
    inventory.report(report_of("compute1", sequence=2))

    view = lookup.show_instance("web1")
    assert (view.host, view.task_state, view.conflict) == ("compute1", TaskState.MIGRATING, ())


def test_its_own_host_still_tells_the_state_of_a_guest_that_is_moved(inventory, database, lookup):
    inventory.report(report_of("compute1", RUNS))
    be_moved(database)

    paused = guest_facts(GUEST, power_state=PowerState.PAUSED)
    inventory.report(report_of("compute2", OFF))
    inventory.report(report_of("compute1", paused, sequence=2, is_full=False))

    assert lookup.show_instance("web1").power_state == "paused"


def test_a_report_without_news_writes_no_guest(inventory, database):
    inventory.report(report_of("compute1", RUNS))
    with database.reading() as session:
        before = session.get_one(Instance, GUEST).updated_at_ms

    inventory.report(report_of("compute1", RUNS, sequence=2))

    with database.reading() as session:
        assert session.get_one(Instance, GUEST).updated_at_ms == before


# ---- what the world is told


def test_a_guest_that_is_found_and_goes_is_told_once_each(inventory, announced):
    inventory.report(report_of("compute1", RUNS))
    inventory.report(report_of("compute1", RUNS, sequence=2))
    assert announced.told() == [("instance.found", "compute1", ())]

    inventory.report(report_of("compute1", sequence=3))
    inventory.report(report_of("compute1", sequence=4))

    assert announced.told() == [("instance.gone", "compute1", ())]


def test_a_conflict_is_told_when_it_begins_and_not_with_every_report(inventory, announced):
    inventory.report(report_of("compute1", RUNS))
    announced.told()

    inventory.report(report_of("compute2", OFF))
    inventory.report(report_of("compute2", OFF, sequence=2))

    assert announced.told() == [("instance.conflict", "compute1", ("compute1", "compute2"))]


def test_a_guest_that_was_moved_by_hand_is_told_with_both_hosts(inventory, announced):
    inventory.report(report_of("compute1", RUNS))
    inventory.report(report_of("compute2", RUNS))
    announced.told()

    inventory.report(report_of("compute1", sequence=2, is_full=False, gone=(GUEST,)))

    assert announced.told() == [("instance.moved", "compute2", ("compute1", "compute2"))]


def test_what_reports_say_of_a_guest_that_is_moved_is_not_told(inventory, database, announced):
    inventory.report(report_of("compute1", RUNS))
    be_moved(database)
    announced.told()

    inventory.report(report_of("compute2", RUNS))
    inventory.report(report_of("compute1", sequence=2))

    assert announced.told() == []


def test_a_late_report_tells_nothing(inventory, announced):
    inventory.report(report_of("compute1", sequence=5))
    inventory.report(report_of("compute1", RUNS, sequence=4))

    assert announced.told() == []
