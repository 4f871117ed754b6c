"""Two whole agents on oslo.messaging's fake transport, and a conductor that sends what a test tells it to."""

import itertools
import threading
from uuid import uuid4

import pytest

from common import config
from common.agent_api import AgentAPI
from common.conductor_api import INTERFACE
from common.context import Context
from common.dispatch import exposed
from common.facts import Heartbeat, Report
from common.identity import ConductorsOnly
from common.migration import (
    Acknowledgement,
    CheckDestArguments,
    CheckSourceArguments,
    Command,
    LiveArguments,
    ObserveArguments,
    Outcome,
    PostDestArguments,
    PreArguments,
    Progress,
)
from common.rpc import Bus
from common.states import Result, SourceSeen, Verb
from compute_agent import app as app_module
from compute_agent.app import Agent
from compute_agent.settings import LiveMigrationSettings, Settings
from tests.fakes import identities
from tests.fakes.domain import guest_xml
from tests.fakes.host import FLAGS, HOOK, MIGRATION, WAIT_S
from tests.fakes.hypervisor import FakeWorld

_serial = itertools.count()


class ScriptedConductor:
    """The conductor's endpoint: notes what it is told, and tells what is old."""

    def __init__(self):
        self.told = []
        self.floors = ()
        self._changed = threading.Condition()

    @exposed
    def outcome(self, _context: Context, outcome: Outcome) -> None:
        self._note(outcome)

    @exposed
    def progress(self, _context: Context, progress: Progress) -> None:
        self._note(progress)

    @exposed
    def report(self, _context: Context, report: Report) -> None:
        self._note(report)

    @exposed
    def heartbeat(self, _context: Context, heartbeat: Heartbeat) -> None:
        self._note(heartbeat)

    @exposed
    def confirm_live_migration(self, _context: Context, migration: str, epoch: int) -> bool:
        self._note(("confirm", migration, epoch))
        return True

    @exposed
    def ledger_floor(self, _context: Context, host: str) -> tuple[Acknowledgement, ...]:
        self._note(("floor", host))
        return self.floors

    def wait_for(self, is_it):
        """The first message that is it."""

        def found():
            return next((message for message in self.told if is_it(message)), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, WAIT_S)
        return found()

    def _note(self, message):
        with self._changed:
            self.told.append(message)
            self._changed.notify_all()


class Site:
    """The bus, the conductor, and agents on fake hypervisors."""

    def __init__(self, directory):
        config.register_options(config.CONF)
        config.CONF([], default_config_files=[], default_config_dirs=[])
        config.CONF.set_override("transport_url", "fake://")
        config.CONF.set_override("control_exchange", f"limosa-agent-{next(_serial)}")
        self.directory = directory
        self.bus = Bus(config.CONF, identity=identities.CONDUCTOR, keyring=identities.EverybodysKeys())
        self.conductor = ScriptedConductor()
        self.server = self.bus.serve(INTERFACE, "controller", self.conductor, guard=identities.LetThrough())
        self.agents = AgentAPI(self.bus)
        self.world = FakeWorld("compute1", "compute2")
        self.running = {}
        self.uuid = str(uuid4())
        self.world.hosts["compute1"].add_guest(guest_xml("web1", uuid=self.uuid))

    def start(self, host):
        settings = Settings(
            host=host,
            state_path=self.directory / host,
            live_migration=LiveMigrationSettings(flags=FLAGS, scheme="ext", poll_interval_s=0.05),
            heartbeat_interval_s=0.2,
            hook_path=HOOK,
        )
        bus = Bus(
            config.CONF,
            identity=identities.host(host),
            keyring=ConductorsOnly(identities.CONDUCTOR.key.public),
        )
        self.running[host] = Agent(settings, bus, self.world.hosts[host], network=self.world.network)
        self.running[host].start()

    def stop(self):
        for agent in self.running.values():
            agent.stop()
        self.server.stop()
        self.bus.close()
        for name in ("transport_url", "control_exchange"):
            config.CONF.clear_override(name)
        config.CONF.reset()

    def command(self, host, verb, epoch, arguments=None):
        return Command(
            instance=self.uuid, migration=MIGRATION, epoch=epoch, verb=verb, host=host, arguments=arguments
        )

    def do(self, host, verb, epoch, arguments=None):
        self.agents.execute(self.command(host, verb, epoch, arguments))
        return self.outcome(epoch)

    def outcome(self, epoch):
        return self.conductor.wait_for(lambda told: isinstance(told, Outcome) and told.epoch == epoch)


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.server.start()
    yield site
    site.stop()


@pytest.fixture
def agents(site):
    site.start("compute1")
    site.start("compute2")
    return site


def test_a_guest_moves_by_six_commands_and_six_outcomes(agents):
    disks = ()
    checked = agents.do(
        "compute2",
        Verb.CHECK_DEST,
        1,
        CheckDestArguments(name="web1", memory_mib=16, vcpus=1, machine="pc", disks=disks),
    )
    movable = agents.do("compute1", Verb.CHECK_SOURCE, 2, CheckSourceArguments(dest_facts=checked.dest_facts))
    prepared = agents.do("compute2", Verb.PRE, 3, PreArguments(name="web1"))
    moved = agents.do(
        "compute1", Verb.LIVE, 4, LiveArguments(dest_facts=checked.dest_facts, changes=prepared.changes)
    )
    proven = agents.do("compute2", Verb.POST_DEST, 5, PostDestArguments(name="web1", traits=movable.traits))
    clean = agents.do("compute1", Verb.POST_SOURCE, 6)

    results = [outcome.result for outcome in (checked, movable, prepared, moved, proven, clean)]
    assert results == [Result.OK, Result.OK, Result.OK, Result.OK, Result.RUNNING, Result.OK]
    assert ("confirm", MIGRATION, 4) in agents.conductor.told
    assert agents.uuid in agents.world.hosts["compute2"].domains
    assert agents.uuid not in agents.world.hosts["compute1"].domains
    for agent in agents.running.values():  # the answer is sent a moment before it is written
        assert agent.core.desks.of(agents.uuid).wait_until_idle(WAIT_S)
    left = [path for host in ("compute1", "compute2") for path in (agents.directory / host).rglob("*")]
    names = {path.name for path in left if path.is_file()}
    assert names == {"lock", "enrolled", f"{agents.uuid}.json"}


def test_both_hosts_report_the_move(agents):
    test_a_guest_moves_by_six_commands_and_six_outcomes(agents)

    agents.conductor.wait_for(
        lambda told: isinstance(told, Report) and told.host == "compute1" and agents.uuid in told.gone
    )
    agents.conductor.wait_for(
        lambda told: (
            isinstance(told, Report)
            and told.host == "compute2"
            and agents.uuid in [guest.uuid for guest in told.guests]
        )
    )


def test_an_agent_shows_signs_of_life_and_its_guests(agents):
    heartbeat = agents.conductor.wait_for(
        lambda told: isinstance(told, Heartbeat) and told.host == "compute1" and told.sequence > 1
    )
    report = agents.conductor.wait_for(lambda told: isinstance(told, Report) and told.host == "compute1")

    assert heartbeat.start_id == report.start_id
    assert report.is_full
    assert [guest.name for guest in report.guests] == ["web1"]


def test_a_full_report_is_made_when_a_conductor_asks(agents):
    first = agents.conductor.wait_for(lambda told: isinstance(told, Report) and told.host == "compute2")

    agents.agents.request_report("compute2")

    agents.conductor.wait_for(
        lambda told: (
            isinstance(told, Report)
            and (told.host, told.is_full) == ("compute2", True)
            and told.sequence > first.sequence
        )
    )


def test_a_command_for_another_host_is_dropped(agents):
    stray = agents.command("compute2", Verb.OBSERVE, 3, ObserveArguments(is_source=True))
    agents.agents._cast("compute1", "execute", stray)

    outcome = agents.do("compute1", Verb.OBSERVE, 2, ObserveArguments(is_source=True))

    assert outcome.seen is SourceSeen.RUNNING, "epoch 3 was not accepted here"


def test_an_outcome_is_repeated_by_the_next_agent_until_it_is_acknowledged(site):
    site.start("compute2")
    site.do("compute2", Verb.PRE, 3, PreArguments(name="web1"))
    site.running.pop("compute2").stop()
    site.conductor.told.clear()

    site.start("compute2")

    assert site.outcome(3).result is Result.OK


def test_an_acknowledged_outcome_is_not(site):
    site.start("compute2")
    site.do("compute2", Verb.PRE, 3, PreArguments(name="web1"))
    acknowledged = Acknowledgement(instance=site.uuid, epoch=3)
    site.agents.acknowledge("compute2", (acknowledged,))
    page = site.running["compute2"].core.ledger.page(site.uuid)
    site.agents.request_report("compute2")  # read after the acknowledgement: the topic is in order
    until(lambda: page.entry.is_acknowledged)
    site.running.pop("compute2").stop()
    site.conductor.told.clear()

    site.start("compute2")
    site.conductor.wait_for(lambda told: isinstance(told, Report))

    assert [told for told in site.conductor.told if isinstance(told, Outcome)] == []


def until(is_so):
    pause = threading.Event()
    for _ in range(1000):
        if is_so():
            return
        pause.wait(0.01)
    raise AssertionError("it never happened")


# ---- rule 7: a ledger that is new


def test_an_agent_with_a_new_ledger_learns_what_is_old_before_it_obeys(site):
    site.conductor.floors = (Acknowledgement(instance=site.uuid, epoch=40),)
    site.start("compute1")

    old = site.do("compute1", Verb.OBSERVE, 39, ObserveArguments(is_source=True))
    new = site.do("compute1", Verb.OBSERVE, 41, ObserveArguments(is_source=True))

    assert (old.result, old.accepted_epoch) == (Result.SUPERSEDED, 40)
    assert new.seen is SourceSeen.RUNNING_JOB, "what the lost ledger had called may still begin"


def test_an_agent_that_starts_before_any_conductor_waits_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr(app_module, "ENROL_TIMEOUT_S", 0.3)
    monkeypatch.setattr(app_module, "ENROL_PAUSE_S", 0.05)
    site = Site(tmp_path)
    starting = threading.Thread(target=site.start, args=("compute1",))
    starting.start()
    starting.join(0.5)
    assert starting.is_alive()

    site.server.start()
    starting.join(WAIT_S)

    assert not starting.is_alive()
    site.conductor.wait_for(lambda told: told == ("floor", "compute1"))
    site.stop()


def test_the_next_start_asks_nobody(site):
    site.start("compute1")
    site.running.pop("compute1").stop()
    site.conductor.told.clear()

    site.start("compute1")

    assert ("floor", "compute1") not in site.conductor.told


# ---- the firewall


def test_an_agent_shows_what_it_filters_of_a_guest(agents):
    shown = agents.agents.show_filtering("compute1", agents.uuid, timeout_s=WAIT_S)

    assert (shown.revision, shown.ports) == (None, ())


def test_an_agent_that_is_told_of_new_rules_asks_for_them(agents):
    asked = threading.Event()
    agents.running["compute1"].core.firewall.refresh = asked.set

    agents.agents.refresh_filtering("compute1")

    assert asked.wait(WAIT_S)
