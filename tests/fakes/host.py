"""Compute agents without a bus: the real core of each on a fake hypervisor, and a conductor that only listens.

hosts = Hosts(tmp_path); uuid = hosts.add_guest()
outcome = hosts.source.do(hosts.command(Verb.CHECK_SOURCE, epoch=2, ...))
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from common.facts import Heartbeat, Report
from common.filtering import GuestFiltering
from common.migration import (
    Arguments,
    Command,
    DestinationFacts,
    DomainChanges,
    LiveArguments,
    Outcome,
    Progress,
)
from common.network_views import HostNetworks
from common.rpc import BusError
from common.states import Verb
from compute_agent.core import Core
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent
from compute_agent.liveness import Liveness
from compute_agent.settings import LiveMigrationSettings, Settings
from tests.fakes.domain import guest_xml
from tests.fakes.frames import FakeFrames
from tests.fakes.hypervisor import FakeHypervisor, FakeWorld
from tests.fakes.links import FakeLinks

WAIT_S = 10.0
MIGRATION = "6f0d7c3e-1111-4222-8333-444455556666"
FLAGS = (
    "VIR_MIGRATE_LIVE",
    "VIR_MIGRATE_PEER2PEER",
    "VIR_MIGRATE_PERSIST_DEST",
    "VIR_MIGRATE_UNDEFINE_SOURCE",
)
HOOK = Path("/bin/sh")  # an executable stands for the hook
LIVE_ARGUMENTS = LiveArguments(
    dest_facts=DestinationFacts(connect_address="compute2"), changes=DomainChanges()
)


class FakeClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds


class ListeningConductor:
    """Stands in for `ConductorAPI`: keeps what it is told, and confirms unless a test says otherwise."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.progress_told: list[Progress] = []
        self.reports: list[Report] = []
        self.heartbeats: list[Heartbeat] = []
        self.confirm: Callable[[str, int], bool] = lambda _migration, _epoch: True
        self.networks = HostNetworks()
        self.filterings: tuple[GuestFiltering, ...] = ()
        self.is_away = False
        self.refused = 0  # messages, while it was away
        self._told = threading.Condition()

    def outcome(self, outcome: Outcome) -> None:
        self._take(self.outcomes, outcome)

    def progress(self, progress: Progress) -> None:
        self._take(self.progress_told, progress)

    def report(self, report: Report) -> None:
        self._take(self.reports, report)

    def heartbeat(self, heartbeat: Heartbeat) -> None:
        self._take(self.heartbeats, heartbeat)

    def confirm_live_migration(self, migration: str, epoch: int) -> bool:
        return self.confirm(migration, epoch)

    def networks_of_host(self, host: str) -> HostNetworks:
        return self.networks

    def filtering_of_host(self, host: str) -> tuple[GuestFiltering, ...]:
        return self.filterings

    def wait_for(self, is_so: Callable[[], bool], what: str) -> None:
        with self._told:
            assert self._told.wait_for(is_so, WAIT_S), f"{what} did not happen"

    def outcome_of(self, epoch: int, *, after: int = 0) -> Outcome:
        """The newest outcome of this epoch, once there are more than `after` of them."""

        def told() -> list[Outcome]:
            return [outcome for outcome in self.outcomes if outcome.epoch == epoch]

        self.wait_for(lambda: len(told()) > after, f"outcome {after + 1} of epoch {epoch}")
        return told()[-1]

    def _take(self, told: list, message: object) -> None:
        if self.is_away:
            with self._told:
                self.refused += 1
                self._told.notify_all()
            raise BusError(bus="fake", method="any", topic="limosa-conductor", reason="it is away")
        with self._told:
            told.append(message)
            self._told.notify_all()


class Host:
    """One agent: its directory survives `restart`."""

    def __init__(self, hypervisor: FakeHypervisor, state_path: Path, **changes: object) -> None:
        self.hypervisor = hypervisor
        self.conductor = ListeningConductor()
        self.links = FakeLinks()
        self.frames = FakeFrames()
        self.clock = FakeClock()
        self.settings = replace(
            Settings(
                host=hypervisor.name,
                state_path=state_path,
                live_migration=LiveMigrationSettings(flags=FLAGS, scheme="ext", poll_interval_s=0.05),
                hook_path=HOOK,
            ),
            **changes,
        )
        self._start()

    def _start(self) -> None:
        self.liveness = Liveness(self.clock)
        self.core = Core(
            self.settings,
            self.conductor,
            self.hypervisor,
            liveness=self.liveness,
            network=self.hypervisor.world.network,
            links=self.links,
            frames=self.frames,
        )
        if self.core.ledger.is_new:
            self.core.ledger.enrol(())
        self.core.listen()
        self.liveness.on_event(
            HypervisorEvent(kind=EventKind.RELIST)
        )  # at once, not when the hub comes to it

    def stop(self) -> None:
        self.core.stop()

    def restart(self) -> None:
        """The agent ends, and another one starts on the same directory."""
        self.stop()
        self._start()

    def execute(self, command: Command) -> None:
        self.core.desks.of(command.instance).execute(command)

    def do(self, command: Command) -> Outcome:
        """Execute it and wait for an outcome of it that was not told before."""
        before = sum(outcome.epoch == command.epoch for outcome in self.conductor.outcomes)
        self.execute(command)
        return self.conductor.outcome_of(command.epoch, after=before)

    def entry(self, instance: str):
        return self.core.ledger.page(instance).entry


class Hosts:
    """compute1 and compute2 in one world, an agent on each."""

    def __init__(self, directory: Path, **changes: object) -> None:
        self.world = FakeWorld("compute1", "compute2")
        self.source = Host(self.world.hosts["compute1"], directory / "compute1", **changes)
        self.dest = Host(self.world.hosts["compute2"], directory / "compute2", **changes)
        self.uuid = ""

    def stop(self) -> None:
        for transfer in self.world.transfers.values():
            transfer.release()
        self.source.stop()
        self.dest.stop()

    def add_guest(self, *, devices: str = "", **options: bool) -> str:
        """A guest named web1 on the source."""
        self.uuid = str(uuid4())
        self.source.hypervisor.add_guest(guest_xml("web1", uuid=self.uuid, devices=devices), **options)
        return self.uuid

    def command(
        self, verb: Verb, epoch: int, arguments: Arguments | None = None, *, migration: str = MIGRATION
    ) -> Command:
        """For whichever host; the desks do not ask."""
        return Command(
            instance=self.uuid,
            migration=migration,
            epoch=epoch,
            verb=verb,
            host="compute",
            arguments=arguments,
        )

    def live(self, epoch: int) -> Command:
        return self.command(Verb.LIVE, epoch, LIVE_ARGUMENTS)
