"""A compute agent without a host: it obeys epochs like a real one and answers by a script, over the real message bus.

By default every command succeeds. `script(verb, answer)` changes that for one verb: a function of the command that returns
the outcome, or None for silence (`default` and `outcome` help to make one).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from common.checks import Finding
from common.conductor_api import ConductorAPI
from common.connections import ConnectionBatch
from common.context import Context
from common.diagnosis import BaselineCpu, Diagnosis, HostDiagnosis, HostSheet
from common.dispatch import exposed
from common.doctor_questions import HOOK, PEER
from common.errors import NoBaselineError
from common.facts import DiskFacts, GuestFacts, Heartbeat, HostFacts, Report
from common.filtering import FilteringInForce, GuestFiltering
from common.migration import (
    Acknowledgement,
    CheckDestArguments,
    CheckSourceArguments,
    Command,
    DestinationFacts,
    DomainChanges,
    Examination,
    GuestTraits,
    JobStatistics,
    ObserveArguments,
    Outcome,
)
from common.network_views import HostNetworks
from common.states import DestSeen, PowerState, Result, SourceSeen, Verb

Answer = Callable[[Command], Outcome | None]

DOWNTIME_MS = 42
CALL_WAIT_S = 5.0
TRAITS = GuestTraits(is_persistent=True, has_autostart=False, is_paused=False)
RESULTS = {
    Verb.POST_DEST: Result.RUNNING,
    Verb.OBSERVE: Result.OBSERVED,
    Verb.ABORT: Result.OBSERVED,
    Verb.WATCH: Result.ENDED,
}


def guest_facts(uuid: str, name: str = "web1", **changes: object) -> GuestFacts:
    facts = GuestFacts(
        uuid=uuid,
        name=name,
        power_state=PowerState.RUNNING,
        vcpus=1,
        memory_mib=96,
        is_persistent=True,
        has_autostart=False,
        machine="pc",
        disks=(DiskFacts(target="vda", type="file", source="/srv/images/web1.raw"),),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def host_facts(memory_total_mib: int = 4096) -> HostFacts:
    return HostFacts(
        hypervisor_type="QEMU",
        hypervisor_version=7_002_000,
        libvirt_version=9_000_000,
        cpu_model="EPYC",
        cpu_arch="x86_64",
        vcpus_total=8,
        memory_total_mib=memory_total_mib,
    )


def report_of(host: str, *guests: GuestFacts, **changes: object) -> Report:
    """A full report; with other fields as given."""
    report = Report(
        host=host, start_id=f"{host}-1", sequence=1, is_full=True, guests=guests, facts=host_facts()
    )
    return replace(report, **changes)  # type: ignore[arg-type]


class FakeAgent:
    """The endpoint of one host's agent, and what a test wants to know of it."""

    def __init__(self, host: str, conductor: ConductorAPI, *, memory_total_mib: int = 4096) -> None:
        self.host = host
        self.start_id = f"{host}-1"
        self.facts = host_facts(memory_total_mib)
        self.guests: dict[str, GuestFacts] = {}
        self.commands: list[Command] = []
        self.acknowledged: list[Acknowledgement] = []
        self.reports_requested = 0
        self.sequence = 0
        self.accepted: dict[str, int] = {}  # instance -> epoch
        self.conductor = conductor
        self.clock_ahead_s = 0.0
        self.cpu = "<cpu><model>EPYC</model></cpu>"
        self.findings: tuple[Finding, ...] = ()  # of whoever examines it
        self.asked: list[str] = []  # as which side it was examined
        self.connections_taken: list[ConnectionBatch] = []
        self.filterings_asked = 0  # how often it was told to ask for the rules of its guests
        self.networks = HostNetworks()  # what it was answered when it was last told to ask
        self.filtering: tuple[GuestFiltering, ...] = ()  # what it was answered last
        self.told_by_dest: list[DestinationFacts] = []
        self.probes_of: set[str] = set()
        self.on_examined: Callable[[], None] = lambda: None
        self.looks = True  # else it answers as if nothing spoke against it, and says nothing of itself
        self._answers: dict[Verb, Answer] = {}
        self._changed = threading.Condition()
        self._answers_calls = threading.Event()
        self._answers_calls.set()

    # ---- what the conductor calls

    @exposed
    def execute(self, _context: Context, command: Command) -> None:
        with self._changed:
            is_old = command.epoch < self.accepted.get(command.instance, 0)
            self.accepted[command.instance] = max(command.epoch, self.accepted.get(command.instance, 0))
            self.commands.append(command)
            self._changed.notify_all()
        outcome = (
            self.superseded(command) if is_old else self._answers.get(command.verb, self.default)(command)
        )
        if outcome is not None:
            self.conductor.outcome(outcome)

    @exposed
    def acknowledge(self, _context: Context, acknowledgements: tuple[Acknowledgement, ...]) -> None:
        with self._changed:
            self.acknowledged.extend(acknowledgements)
            self._changed.notify_all()

    @exposed
    def request_report(self, _context: Context) -> None:
        with self._changed:
            self.reports_requested += 1
            self._changed.notify_all()

    @exposed
    def examine_destination(
        self, _context: Context, check: str, instance: str, arguments: CheckDestArguments
    ) -> Examination:
        self.asked.append("destination")
        self.probes_of.add(check)
        self.on_examined()
        facts = DestinationFacts(connect_address=self.host) if self.looks else None
        return Examination(findings=self.findings, dest_facts=facts)

    @exposed
    def examine_source(
        self, _context: Context, instance: str, arguments: CheckSourceArguments
    ) -> Examination:
        self.asked.append("source")
        self.told_by_dest.append(arguments.dest_facts)
        self.on_examined()
        return Examination(findings=self.findings)

    @exposed
    def forget_probes(self, _context: Context, check: str) -> None:
        self.probes_of.discard(check)

    @exposed
    def refresh_networks(self, _context: Context) -> None:
        self.networks = self.conductor.networks_of_host(self.host)

    @exposed
    def refresh_filtering(self, _context: Context) -> None:
        filtering = self.conductor.filtering_of_host(self.host)
        with self._changed:
            self.filterings_asked += 1
            self.filtering = filtering
            self._changed.notify_all()

    @exposed
    def take_connections(self, _context: Context, batch: ConnectionBatch) -> None:
        with self._changed:
            self.connections_taken.append(batch)
            self._changed.notify_all()

    @exposed
    def show_filtering(self, _context: Context, instance: str) -> FilteringInForce:
        assert self._answers_calls.wait(CALL_WAIT_S)
        for known in self.filtering:
            if known.instance == instance:
                return FilteringInForce(driver="nftables", revision=known.filtering.revision)
        return FilteringInForce(driver="nftables")

    @exposed
    def diagnose_host(self, _context: Context, check: str) -> HostDiagnosis:
        self.probes_of.add(check)
        reach = DestinationFacts(connect_address=self.host, host=self.host, facts=self.facts)
        return HostDiagnosis(
            diagnoses=(HOOK.passed("It is there.", host=self.host),),
            time_s=time.time() + self.clock_ahead_s,
            sheet=HostSheet(reach=reach) if self.looks else None,
        )

    @exposed
    def diagnose_peers(
        self, _context: Context, own: HostSheet, peers: tuple[HostSheet, ...]
    ) -> tuple[Diagnosis, ...]:
        assert own.reach.host == self.host
        assert self._answers_calls.wait(CALL_WAIT_S)
        return tuple(PEER.passed("It is reached.", host=self.host, peer=peer.reach.host) for peer in peers)

    @exposed
    def offered_cpu(self, _context: Context) -> str:
        return self.cpu

    @exposed
    def baseline_cpu(self, _context: Context, cpus: tuple[str, ...]) -> BaselineCpu:
        if len(set(cpus)) > 1:
            raise NoBaselineError(reason="CPU vendors do not match")
        return BaselineCpu(model="EPYC", features=("require aes",), xml=cpus[0])

    # ---- what a test says

    def script(self, verb: Verb, answer: Answer) -> None:
        self._answers[verb] = answer

    def silence(self, verb: Verb) -> None:
        self.script(verb, lambda _command: None)

    def forget_script(self) -> None:
        self._answers.clear()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It lives, and does not answer who asks it for its filtering."""
        self._answers_calls.clear()
        try:
            yield
        finally:
            self._answers_calls.set()

    def heartbeat(self) -> None:
        self.conductor.heartbeat(
            Heartbeat(
                host=self.host,
                start_id=self.start_id,
                sequence=self._next(),
                hypervisor_age_s=0.1,
                interval_s=5.0,
                version="0.1.0",
            )
        )

    def report(self, *, gone: tuple[str, ...] = (), is_full: bool = True) -> None:
        guests = tuple(self.guests.values())
        self.conductor.report(
            report_of(
                self.host,
                *guests,
                start_id=self.start_id,
                sequence=self._next(),
                is_full=is_full,
                gone=gone,
                facts=self.facts,
            )
        )

    def verbs(self) -> list[Verb]:
        return [command.verb for command in self.commands]

    def wait_for(self, is_so: Callable[["FakeAgent"], bool], timeout_s: float = 5.0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self), timeout_s), f"{self.host}: {self.verbs()}"

    # ---- outcomes

    def default(self, command: Command) -> Outcome:
        """The answer of a host on which all goes well."""
        outcome = self.outcome(command, RESULTS.get(command.verb, Result.OK))
        match command.verb:
            case Verb.CHECK_DEST:
                return replace(outcome, dest_facts=DestinationFacts(connect_address=self.host))
            case Verb.CHECK_SOURCE:
                return replace(outcome, traits=TRAITS)
            case Verb.PRE:
                return replace(outcome, changes=DomainChanges())
            case Verb.LIVE:
                if not self.conductor.confirm_live_migration(command.migration, command.epoch):
                    return replace(outcome, result=Result.ERROR, detail="not confirmed")
                return replace(outcome, statistics=JobStatistics(downtime_ms=DOWNTIME_MS, elapsed_ms=700))
            case Verb.OBSERVE | Verb.ABORT:
                is_source = command.verb is Verb.ABORT or (
                    isinstance(command.arguments, ObserveArguments) and command.arguments.is_source
                )
                return replace(outcome, seen=SourceSeen.RUNNING if is_source else DestSeen.ABSENT)
            case _:
                return outcome

    def outcome(self, command: Command, result: Result) -> Outcome:
        return Outcome(
            instance=command.instance,
            migration=command.migration,
            epoch=command.epoch,
            verb=command.verb,
            host=self.host,
            boot_id=f"boot-{self.host}",
            result=result,
            seconds=0.001,
        )

    def superseded(self, command: Command) -> Outcome:
        outcome = self.outcome(command, Result.SUPERSEDED)
        return replace(outcome, accepted_epoch=self.accepted[command.instance])

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence
