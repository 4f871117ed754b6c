"""The dest's verbs: check, prepare, undo, and complete a guest that has arrived.

All of them may be repeated. What may be done to a domain that is found here is asked of `guards`, each time anew.
"""

import logging
import time
from dataclasses import dataclass

from common import concurrency
from common.checks import DOMAIN_EXISTS, MEMORY_SHORT, Finding, refusing
from common.migration import (
    CheckDestArguments,
    DestinationFacts,
    DiskProbe,
    DomainChanges,
    GraphicsListen,
    GuestTraits,
    PostDestArguments,
    PreArguments,
    RollbackArguments,
)
from common.states import DestSeen, Result, Verb
from compute_agent import guards
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import DomainSnapshot, Hypervisor, JobKind
from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError
from compute_agent.observation import DestLook, Observation
from compute_agent.permits import Permits
from compute_agent.probes import STORAGE_TIMEOUT_S, Probes
from compute_agent.settings import Settings
from compute_agent.storage.driver import Disk
from compute_agent.work import Answer, Verbs, Work

FINISH_WAIT_S = 2.0  # libvirt's Finish phase lasts some ms after the guest runs
FINISH_POLL_S = 0.05
UNDO_LOOKS_MAX = 3  # a domain may be registered late by a Prepare that was past the hook

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A domain that this libvirtd knows already."""

    what: str  # uuid, name
    value: str


class Dest:
    """The verbs of the host that a guest moves to."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        *,
        observation: Observation,
        probes: Probes,
        permits: Permits,
        settings: Settings,
    ) -> None:
        self._hypervisor = hypervisor
        self._observation = observation
        self._probes = probes
        self._permits = permits
        self._settings = settings

    def verbs(self) -> Verbs:
        return {
            Verb.CHECK_DEST: self.check_can_live_migrate_destination,
            Verb.PRE: self.pre_live_migration,
            Verb.ROLLBACK: self.rollback_live_migration_at_destination,
            Verb.POST_DEST: self.post_live_migration_at_destination,
        }

    # ---- before the guest comes

    def check_can_live_migrate_destination(self, work: Work) -> Answer:
        """Every reason against this host, or what the source must know. A refusal leaves no probe behind."""
        command, arguments = work.command, work.arguments(CheckDestArguments)
        is_accepted = False
        try:
            probing = concurrency.spawn(self._probe, work, arguments)
            against = [*self._known(command.instance, arguments.name), *self._memory(arguments)]
            probes, findings = probing.wait(2 * STORAGE_TIMEOUT_S)
            against += findings
            is_accepted = not refusing(against)
        finally:
            if not is_accepted:
                self._probes.remove(command.migration)
        if not is_accepted:
            return Answer(result=Result.REFUSED, findings=tuple(against))
        address = self._settings.inbound_address
        dest_facts = DestinationFacts(
            connect_address=address or self._settings.host, inbound_address=address, probes=probes
        )
        return Answer(result=Result.OK, findings=tuple(against), dest_facts=dest_facts)

    def pre_live_migration(self, work: Work) -> Answer:
        """Let this one migration in, and say what its domain must be changed to here."""
        command, arguments = work.command, work.arguments(PreArguments)
        known = self._known(command.instance, arguments.name)
        if known:
            return Answer(result=Result.REFUSED, findings=known)
        self._permits.grant(command.migration, command.instance)
        self._probes.remove(command.migration)
        changes = DomainChanges(
            graphics=(
                GraphicsListen(type="vnc", address=self._settings.vnc_listen),
                GraphicsListen(type="spice", address=self._settings.spice_listen),
            )
        )
        return Answer(result=Result.OK, changes=changes)

    def _probe(
        self, work: Work, arguments: CheckDestArguments
    ) -> tuple[tuple[DiskProbe, ...], tuple[Finding, ...]]:
        disks = tuple(
            Disk(target=target, type=kind, path=path, device=device)
            for target, kind, path, device in arguments.disks
        )
        return self._probes.make(disks, migration=work.command.migration, epoch=work.command.epoch)

    def _known(self, instance: str, name: str) -> tuple[Finding, ...]:
        """A dest that knows the guest's uuid or name, active or not, could mistake the one for the other (rule 20)."""
        known = []
        if self._hypervisor.observe(instance).exists:
            known.append(_Known(what="uuid", value=instance))
        if self._hypervisor.find_by_name(name) not in (None, instance):
            known.append(_Known(what="name", value=name))
        host = self._settings.host
        return tuple(DOMAIN_EXISTS.finding(host, what=one.what, value=one.value) for one in known)

    def _memory(self, arguments: CheckDestArguments) -> tuple[Finding, ...]:
        """What the host could really give now. How it is shared out among guests is the conductor's to count."""
        free_mib = self._hypervisor.memory_free_mib()
        if free_mib >= arguments.memory_mib:
            return ()
        total_mib = self._hypervisor.host_facts().memory_total_mib
        return (
            MEMORY_SHORT.finding(
                self._settings.host,
                instance=arguments.name,
                needed_mib=arguments.memory_mib,
                free_mib=free_mib,
                total_mib=total_mib,
                ratio="1.0",
                reserved_mib=0,
            ),
        )

    # ---- undo

    def rollback_live_migration_at_destination(self, work: Work) -> Answer:
        """Undo what this migration did here; `running` if the guest is here after all (rule 13)."""
        command, arguments = work.command, work.arguments(RollbackArguments)
        undone = Answer(result=Result.OK)
        if arguments.is_prepared:
            is_ours = self._permits.revoke(command.migration)
            undone = self._undo_domain(command.instance, command.migration, is_ours=is_ours)
            if undone.result is Result.OK:
                self._permits.remove(command.migration)
        self._probes.remove(command.migration)
        return undone

    def _undo_domain(self, instance: str, migration: str, *, is_ours: bool) -> Answer:
        done: list[str] = []
        for _ in range(UNDO_LOOKS_MAX):
            look = self._observation.dest(instance)
            if not look.snapshot.exists:
                return Answer(result=Result.OK, detail=", ".join(done))
            if not guards.may_roll_back(look.seen):
                return Answer(result=Result.RUNNING, detail=f"the domain here is {look.seen}")
            if not is_ours and self._hypervisor.migration_mark(instance) != migration:
                return Answer(result=Result.OK, detail="the domain here is not of this migration: left alone")
            done.append(self._remove_domain(instance, look.snapshot))
        return Answer(result=Result.ERROR, detail=f"a domain came back each time: {', '.join(done)}")

    def _remove_domain(self, instance: str, snapshot: DomainSnapshot) -> str:
        if snapshot.is_active:
            self._hypervisor.destroy(instance)
        if snapshot.is_persistent:
            self._hypervisor.undefine(instance)
        return "an incoming half was ended" if snapshot.is_active else "a definition was removed"

    # ---- after the guest has come

    def post_live_migration_at_destination(self, work: Work) -> Answer:
        """Prove that the guest is here, then complete it. Only forward: what cannot be done now is asked again."""
        command, arguments = work.command, work.arguments(PostDestArguments)
        look = self._look_after_finish(work)
        if guards.is_gone_from_dest(look.seen):
            return Answer(result=Result.GONE, detail=f"the domain here is {look.seen}")
        if not guards.is_proof_of_arrival(look.seen) or look.snapshot.job is JobKind.INCOMING:
            return Answer(result=Result.ERROR, detail=f"not yet: the domain here is {look.seen}")
        problems = self._complete(command.instance, look.snapshot, arguments.traits)
        self._permits.remove(command.migration)
        detail = "paused, as its user had it" if look.seen is DestSeen.PAUSED_OTHER else ""
        return Answer(result=Result.RUNNING, detail="; ".join(filter(None, (detail, *problems))))

    def _look_after_finish(self, work: Work) -> DestLook:
        deadline = time.monotonic() + FINISH_WAIT_S
        while True:
            look = self._observation.dest(work.command.instance)
            is_finishing = look.snapshot.job is JobKind.INCOMING
            if not is_finishing or work.is_stopped or time.monotonic() > deadline:
                return look
            concurrency.sleep(FINISH_POLL_S)

    def _complete(self, instance: str, snapshot: DomainSnapshot, traits: GuestTraits) -> tuple[str, ...]:
        """Make it what it was on its source. It runs here whether or not this succeeds: what fails is told."""
        problems = []
        try:
            if traits.is_persistent and not snapshot.is_persistent:
                live_xml = self._hypervisor.definition(instance).live_xml
                self._hypervisor.define(domain_xml.without_mark(live_xml))
            if traits.is_persistent and traits.has_autostart:
                self._hypervisor.set_autostart(instance, has_autostart=True)
            if not traits.is_persistent and snapshot.is_persistent:
                self._hypervisor.undefine(instance)
            self._hypervisor.clear_migration_mark(
                instance
            )  # last: its event makes the guest be reported as it is
        except HypervisorOperationError as error:
            LOG.warning("the guest has arrived and could not be completed: %s", error)
            problems.append(f"could not be completed: {error}")
        return tuple(problems)
