"""The rules of a host's guests: told by conductors and by migrations, kept over restarts, released with the guest."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from common.errors import ServiceUnreachableError
from common.facts import InterfaceFacts
from common.filtering import GuestFiltering
from common.migration import DestinationFacts
from common.transfer import Declarations, Filtering, PortRules, TransferPlan
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.guest_connections import GuestConnections
from compute_agent.firewall.host_firewall import HostFirewall
from compute_agent.firewall.kept import KeptFilterings
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent
from compute_agent.preparing import Arrival, Arrivals, Departure, Undoing
from compute_agent.preparing.firewall import FirewallPreparation
from tests.fakes.domain import guest_xml
from tests.fakes.firewall import FakeFirewallDriver, FakeTracking
from tests.fakes.host import WAIT_S
from tests.fakes.hypervisor import FakeWorld

INSTANCE, OTHER = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5", "0b77af9f-482a-4f4c-85a2-71c2c1833cc5"
MIGRATION = "migration-1"
MAC = "52:54:00:00:00:01"
COMING = InterfaceFacts(mac=MAC, type="bridge", source="br0", tap="vnet4")
INTERFACE_XML = (
    f"<interface type='bridge'><mac address='{MAC}'/><source bridge='br0'/><target dev='vnet0'/></interface>"
)


def filtering(revision: int = 1, *, is_filtered: bool = True) -> Filtering:
    ports = (PortRules(mac=MAC, groups=("web",)),) if is_filtered else ()
    return Filtering(revision=revision, ports=ports)


class TellingConductor:
    def __init__(self) -> None:
        self.told: tuple[GuestFiltering, ...] = ()
        self.is_away = False
        self.asked = 0
        self.meanwhile = lambda: None

    def filtering_of_host(self, host: str) -> tuple[GuestFiltering, ...]:
        assert host == "compute1"
        self.asked += 1
        told = self.told
        self.meanwhile()
        if self.is_away:
            raise ServiceUnreachableError(bus="rabbit://", timeout_s=1)
        return told


class FirewallSite:
    """One host's firewall whose turns are made by the test."""

    def __init__(self, tmp_path) -> None:
        self.driver = FakeFirewallDriver()
        self.conductor = TellingConductor()
        self.hypervisor = FakeWorld("compute1").hosts["compute1"]
        self.arrivals = Arrivals(tmp_path)
        self.tracking = FakeTracking()
        self.links: set[str] = set()  # that are on the host already
        self._path = tmp_path
        self.restart()

    def restart(self) -> None:
        kept = KeptFilterings(self._path)
        connections = GuestConnections(
            kept, self.tracking, self.conductor, arrivals=self.arrivals, host="compute1"
        )
        self.firewall = HostFirewall(
            self.driver,
            kept,
            self.hypervisor,
            self.conductor,
            connections=connections,
            host="compute1",
            has_link=self.links.__contains__,
        )
        self.preparation = FirewallPreparation(self.firewall, host="compute1")

    def turn(self) -> None:
        self.firewall._turn()

    def ask(self) -> None:
        self.firewall.refresh()
        self.turn()

    def tell(self, *told: Filtering) -> None:
        self.conductor.told = tuple(GuestFiltering(instance=INSTANCE, filtering=each) for each in told)
        self.ask()

    def add_guest(self, interfaces: str = INTERFACE_XML, *, instance: str = INSTANCE) -> None:
        xml = guest_xml("web1", uuid=instance).replace("</devices>", f"{interfaces}</devices>")
        self.hypervisor.add_guest(xml)

    def arrival(self, declared: Filtering, *interfaces: InterfaceFacts) -> Arrival:
        return Arrival(
            instance=INSTANCE,
            name="web1",
            migration=MIGRATION,
            plan=TransferPlan(interfaces=interfaces or (COMING,)),
            declared=Declarations(filtering=declared),
            record=self.arrivals.open(MIGRATION, instance=INSTANCE),
        )

    def undoing(self) -> Undoing:
        record = self.arrivals.open(MIGRATION, instance=INSTANCE)
        return Undoing(instance=INSTANCE, migration=MIGRATION, record=record, keep_disks=False)

    @property
    def departure(self) -> Departure:
        return Departure(
            instance=INSTANCE,
            name="web1",
            migration=MIGRATION,
            plan=TransferPlan(interfaces=(COMING,)),
            declared=Declarations(filtering=filtering()),
            dest=DestinationFacts(connect_address="compute2"),
        )

    @property
    def revision(self) -> int | None:
        return self.driver.in_force(INSTANCE).revision

    @property
    def taps(self) -> tuple[str, ...]:
        return self.driver.applied[INSTANCE].ports[0].taps


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def site(tmp_path):
    return FirewallSite(tmp_path)


# ---- told by conductors


def test_a_guest_is_filtered_when_a_conductor_says_so_and_free_when_it_says_that(site):
    site.add_guest()

    site.tell(filtering(1))
    assert site.revision == 1
    assert site.taps == ("lm525400000001", "vnet0")

    site.tell(filtering(2, is_filtered=False))
    assert site.driver.applied == {}


def test_a_conductor_that_says_so_is_asked_again_at_once(site):
    site.add_guest()
    site.firewall.start()
    try:
        wait_until(lambda: site.conductor.asked == 1)
        site.conductor.told = (GuestFiltering(instance=INSTANCE, filtering=filtering(1)),)
        site.firewall.refresh()
        wait_until(lambda: site.revision == 1)
    finally:
        site.firewall.stop()


def test_the_highest_revision_holds_and_of_equal_ones_the_last(site):
    site.add_guest()
    site.tell(filtering(5))

    site.tell(filtering(4, is_filtered=False))
    assert site.revision == 5

    site.tell(filtering(5, is_filtered=False))
    assert site.driver.applied == {}


def test_rules_stand_while_no_conductor_answers_and_after_a_restart(site):
    site.add_guest()
    site.tell(filtering(3))
    site.conductor.is_away = True
    site.driver.applied = {}  # somebody flushed the ruleset

    site.restart()
    site.turn()

    assert site.revision == 3


def test_of_a_guest_that_nobody_tells_of_the_rules_stand_while_it_is_here(site):
    site.add_guest()
    site.tell(filtering(1))

    site.tell()
    assert site.revision == 1

    del site.hypervisor.domains[INSTANCE]
    site.ask()
    assert site.driver.applied == {}


def test_a_libvirtd_that_is_silent_is_no_reason_to_release_anything(site):
    site.add_guest()
    site.tell(filtering(1))
    site.hypervisor.is_down = True

    site.tell()

    assert site.revision == 1


def test_rules_that_cannot_be_made_leave_the_older_ones_and_the_other_guests(site):
    site.add_guest()
    site.tell(filtering(1))
    site.driver.unfit = {INSTANCE}

    site.tell(filtering(2))

    assert site.revision == 1


def test_a_guest_that_cannot_be_met_keeps_no_rules_from_the_others(site):
    site.add_guest()
    site.add_guest(instance=OTHER)
    site.conductor.told = tuple(
        GuestFiltering(instance=each, filtering=filtering(1)) for each in (INSTANCE, OTHER)
    )
    site.ask()
    site.driver.unfit = {OTHER}  # its new tap has a name that no rule can have
    site.driver.applied = {}  # and the host was started anew
    for each in (INSTANCE, OTHER):
        domain = site.hypervisor.domains[each]
        domain.live_xml = domain.live_xml.replace("vnet0", "vnet8")

    site.ask()

    assert site.taps == ("lm525400000001", "vnet8")
    assert set(site.driver.applied) == {INSTANCE, OTHER}


@pytest.mark.parametrize("is_restarted", [False, True])
def test_libvirts_name_of_a_tap_is_not_kept_for_a_guest_that_is_gone(site, is_restarted):
    site.add_guest()
    site.tell(filtering(1))
    del site.hypervisor.domains[INSTANCE]  # it was transient; what is declared of it stays

    if is_restarted:
        site.restart()
        site.conductor.is_away = True
    else:
        site.firewall.on_event(HypervisorEvent(kind=EventKind.STOPPED, uuid=INSTANCE))
    site.turn()

    assert site.taps == ("lm525400000001",)


def test_its_operators_name_of_a_tap_is_kept_for_a_guest_that_is_gone(site):
    site.add_guest(INTERFACE_XML.replace("vnet0", "web0"))
    site.tell(filtering(1))
    del site.hypervisor.domains[INSTANCE]

    site.ask()

    assert site.taps == ("lm525400000001", "web0")


def test_a_guest_that_starts_anew_is_met_by_its_new_tap(site):
    site.add_guest()
    site.tell(filtering(1))
    domain = site.hypervisor.domains[INSTANCE]
    domain.live_xml = domain.live_xml.replace("vnet0", "vnet8")

    site.firewall.on_event(HypervisorEvent(kind=EventKind.STARTED, uuid=INSTANCE))
    site.turn()

    assert site.taps == ("lm525400000001", "vnet8")


# ---- a migration


def test_the_rules_stand_before_the_guest_comes_and_its_tap_has_a_name_that_they_know(site):
    prepared = site.preparation.prepare(site.arrival(filtering(2)))

    assert site.revision == 2
    [change] = prepared.changes.interfaces
    assert (change.mac, change.tap) == (MAC, "lm525400000001")
    assert site.taps == ("lm525400000001",)


def test_a_name_that_its_operator_gave_is_kept(site):
    prepared = site.preparation.prepare(site.arrival(filtering(), replace(COMING, tap="web0")))

    assert prepared.changes.interfaces == ()
    assert site.taps == ("lm525400000001", "web0")


def test_a_name_that_another_guest_has_here_is_left_to_that_one(site):
    site.links.add("web0")

    prepared = site.preparation.prepare(site.arrival(filtering(), replace(COMING, tap="web0")))

    assert [change.tap for change in prepared.changes.interfaces] == ["lm525400000001"]
    assert site.taps == ("lm525400000001",)


def test_a_guest_without_groups_is_not_touched(site):
    site.driver.reasons = ("nothing works here",)

    prepared = site.preparation.prepare(site.arrival(Filtering()))

    assert (prepared.changes.interfaces, prepared.findings) == ((), ())
    assert site.undoing().record.items("firewall") == ()
    assert site.preparation.undo(site.undoing()) == ()
    assert site.preparation.release(site.departure).sentences == ()


def test_a_host_that_cannot_filter_refuses(site):
    site.driver.reasons = ("nft is missing",)

    prepared = site.preparation.prepare(site.arrival(filtering()))

    assert [finding.code for finding in prepared.findings] == ["firewall_unfit"]
    assert site.driver.applied == {}


@pytest.mark.parametrize("driver", ["nftables", "nwfilter"])
def test_drivers_of_two_kinds_do_not_mix(site, driver):
    site.driver.name = driver
    with_filter = replace(COMING, nwfilter="limosa-525400000001")
    fit, unfit = (with_filter, COMING) if driver == "nwfilter" else (COMING, with_filter)

    [finding] = site.preparation.prepare(site.arrival(filtering(), unfit)).findings
    assert (finding.code, driver in finding.evidence["reason"]) == ("firewall_unfit", True)
    assert site.preparation.prepare(site.arrival(filtering(), fit)).findings == ()


def test_undo_leaves_nothing_and_may_be_repeated(site):
    site.preparation.prepare(site.arrival(filtering()))

    assert site.preparation.undo(site.undoing()) == ("its firewall rules were removed",)
    assert site.preparation.undo(site.undoing()) == ()

    assert site.driver.applied == {}
    site.tell(filtering())  # the migration is open still, so the conductor tells of its guest
    assert site.driver.applied == {}


def test_what_was_intended_and_not_done_is_undone(site):
    site.driver.is_broken = True
    with pytest.raises(FirewallError):
        site.preparation.prepare(site.arrival(filtering()))
    site.driver.is_broken = False

    site.preparation.undo(site.undoing())
    site.turn()

    assert site.driver.applied == {}


def test_rules_that_a_conductor_told_later_than_it_accepted_hold(site):
    site.preparation.prepare(site.arrival(filtering(2)))
    site.tell(filtering(3))
    assert (site.revision, site.taps) == (3, ("lm525400000001",))

    site.preparation.prepare(site.arrival(filtering(2)))
    assert site.revision == 3


def test_an_answer_that_was_asked_for_before_the_migration_releases_nothing(site):
    site.conductor.meanwhile = lambda: site.preparation.prepare(site.arrival(filtering(2)))

    site.tell()

    assert site.revision == 2


def test_a_guest_that_has_come_is_met_by_what_it_has(site):
    arrival = site.arrival(filtering())
    site.preparation.prepare(arrival)
    site.add_guest(INTERFACE_XML.replace("vnet0", "lm525400000001").replace("br0", "br1"))

    site.preparation.complete(arrival)

    assert site.driver.applied[INSTANCE].ports[0].bridges == ("br1",)
    site.tell()
    assert site.revision == 1


def test_the_source_releases_the_rules_of_a_guest_that_has_left(site):
    site.add_guest()
    site.tell(filtering())
    del site.hypervisor.domains[INSTANCE]

    assert site.preparation.release(site.departure).sentences == ("its firewall rules were released",)
    assert site.preparation.release(site.departure).sentences == ()

    assert site.driver.applied == {}


def test_an_arrival_survives_the_agent(site):
    site.preparation.prepare(site.arrival(filtering()))
    site.restart()
    site.tell()

    assert site.revision == 1
    site.preparation.undo(site.undoing())
    assert site.driver.applied == {}
