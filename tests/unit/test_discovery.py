"""Reports: everything at start and after a break, each change once, and nothing that was not seen."""

from uuid import uuid4

import pytest

from common.states import PowerState
from compute_agent import discovery as discovery_module
from compute_agent.discovery import Discovery
from compute_agent.events import EventHub
from compute_agent.hypervisor.driver import DomainState, EventKind, JobKind, Reason
from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError
from compute_agent.settings import LiveMigrationSettings, Settings
from tests.fakes.domain import FakeDomain, guest_xml
from tests.fakes.host import ListeningConductor
from tests.fakes.hypervisor import FakeWorld

SETTINGS = Settings(
    host="compute1",
    state_path=None,
    live_migration=LiveMigrationSettings(flags=()),
    full_report_interval_s=1000,
    heartbeat_interval_s=1000,
)


class Story:
    """A host with one guest, whose agent has reported it."""

    def __init__(self):
        self.hypervisor = FakeWorld("compute1").hosts["compute1"]
        self.uuid = str(uuid4())
        self.hypervisor.add_guest(guest_xml("web1", uuid=self.uuid))
        self.conductor = ListeningConductor()
        self.hub = EventHub()
        self.discovery = Discovery(self.hypervisor, self.conductor, SETTINGS)
        self.hub.subscribe(self.discovery.on_event)
        self.hypervisor.subscribe(self.hub.put)
        self.hub.start()
        self.discovery.start()
        self.until(lambda: self.conductor.reports != [], "the first report")
        self.until_quiet()

    def stop(self):
        self.discovery.stop()
        self.hub.stop()

    def until(self, is_so, what):
        self.conductor.wait_for(is_so, what)

    def until_quiet(self):
        """Until a guest that is made now is reported: all that came before it has been."""
        mark = str(uuid4())
        self.hypervisor.add_guest(guest_xml(f"mark-{mark[:8]}", uuid=mark), is_running=False)
        self.until(lambda: mark in self.told(), "the mark")
        return mark

    def told(self):
        return {guest.uuid: guest for report in self.conductor.reports for guest in report.guests}

    def gone(self):
        return [uuid for report in self.conductor.reports for uuid in report.gone]


@pytest.fixture
def story(monkeypatch):
    monkeypatch.setattr(discovery_module, "COALESCE_S", 0.02)
    monkeypatch.setattr(discovery_module, "LOOK_AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(discovery_module, "RETRY_AFTER_S", 0.05)
    story = Story()
    yield story
    story.stop()


def test_the_first_report_is_full_and_has_the_hosts_facts(story):
    first = story.conductor.reports[0]

    assert first.is_full
    assert first.facts == story.hypervisor.host_facts()
    assert [guest.uuid for guest in first.guests] == [story.uuid]


def test_a_guest_that_is_made_is_reported_alone(story):
    mark = story.until_quiet()
    last = story.conductor.reports[-1]

    assert not last.is_full
    assert [guest.uuid for guest in last.guests] == [mark]


def test_reports_are_numbered_within_one_run(story):
    reports = story.conductor.reports

    assert [report.sequence for report in reports] == list(range(1, len(reports) + 1))
    assert len({report.start_id for report in reports}) == 1


def test_a_change_of_state_is_reported(story):
    story.hypervisor.suspend(story.uuid)

    story.until(lambda: story.told()[story.uuid].power_state is PowerState.PAUSED, "the pause")


def test_an_event_that_changes_nothing_is_not_reported(story):
    before = len(story.conductor.reports)

    for _ in range(20):
        story.hypervisor.emit(EventKind.CHANGED, story.uuid)
    mark = story.until_quiet()

    told = [guest.uuid for report in story.conductor.reports[before:] for guest in report.guests]
    assert told == [mark]


def test_a_guest_that_goes_is_gone(story):
    story.hypervisor.power_off(story.uuid)
    story.hypervisor.undefine(story.uuid)

    story.until(lambda: story.uuid in story.gone(), "it is gone")


def test_a_guest_that_libvirt_undefines_without_a_word_is_gone(story):
    """libvirt 9.0 does that to the source of a migration, after its `stopped`."""
    story.hypervisor.power_off(story.uuid)
    story.until(lambda: story.told()[story.uuid].power_state is PowerState.SHUTOFF, "it is off")

    del story.hypervisor.domains[story.uuid]

    story.until(lambda: story.uuid in story.gone(), "it is gone")


def test_an_incoming_half_is_neither_a_guest_nor_gone(story):
    uuid = str(uuid4())
    story.hypervisor.domains[uuid] = FakeDomain(
        uuid=uuid,
        name="incoming",
        live_xml=guest_xml("incoming", uuid=uuid),
        state=DomainState.PAUSED,
        reason=Reason.MIGRATION,
        job=JobKind.INCOMING,
    )
    story.hypervisor.emit(EventKind.STARTED, uuid)
    story.until_quiet()

    assert uuid not in story.told()
    assert uuid not in story.gone()


def test_a_libvirt_that_comes_back_is_listed_anew(story):
    story.hypervisor.go_down()
    del story.hypervisor.domains[story.uuid]
    story.hypervisor.come_up()

    story.until(lambda: story.conductor.reports[-1].is_full, "a full report")
    assert story.uuid not in [guest.uuid for guest in story.conductor.reports[-1].guests]


def test_while_libvirt_is_away_nothing_is_said_about_guests(story):
    before = len(story.conductor.reports)
    story.hypervisor.go_down()

    story.discovery.request_full_report()
    story.discovery.look_at(story.uuid)

    assert len(story.conductor.reports) == before
    story.hypervisor.come_up()
    story.until(lambda: len(story.conductor.reports) > before, "a report")
    assert story.gone() == []


def test_a_report_that_the_broker_did_not_take_is_followed_by_a_full_one(story):
    story.conductor.is_away = True
    story.hypervisor.suspend(story.uuid)
    story.until(lambda: story.conductor.refused, "a report that is refused")
    story.conductor.is_away = False

    story.until(lambda: story.conductor.reports[-1].is_full, "a full report")
    assert story.told()[story.uuid].power_state is PowerState.PAUSED


def test_one_guest_that_cannot_be_looked_at_does_not_keep_the_others_back(story):
    facts = story.hypervisor.guest_facts

    def broken(uuid):
        if uuid == story.uuid:
            raise HypervisorOperationError(code=68, domain=10, text="timed out")
        return facts(uuid)

    story.hypervisor.guest_facts = broken
    story.discovery.look_at(story.uuid)

    story.until_quiet()


def test_a_report_is_made_when_a_conductor_asks(story):
    before = len(story.conductor.reports)

    story.discovery.request_full_report()

    story.until(lambda: len(story.conductor.reports) > before, "a report")
    assert story.conductor.reports[-1].is_full


def test_a_sign_of_life_tells_how_long_libvirt_has_been_silent(story):
    story.until(lambda: story.conductor.heartbeats, "the first sign of life")
    story.hypervisor.age_s = 7.0

    story.discovery._say_alive()

    first, second = story.conductor.heartbeats
    assert (second.host, second.hypervisor_age_s, second.interval_s) == ("compute1", 7.0, 1000)
    assert second.start_id == story.conductor.reports[0].start_id
    assert second.sequence > first.sequence
