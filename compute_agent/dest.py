"""The dest's verbs: check, prepare, undo, and complete a guest that has arrived.

All of them may be repeated. What may be done to a domain that is found here is asked of `guards`, each time anew.
"""

import logging
import time
from dataclasses import replace

from common import concurrency
from common.checks import refusing
from common.migration import (
    CheckDestArguments,
    GraphicsListen,
    GuestTraits,
    PostDestArguments,
    PreArguments,
    RollbackArguments,
)
from common.states import DestSeen, Result, Verb
from compute_agent import guards
from compute_agent.checks import names
from compute_agent.examiner import Examiner
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import DomainSnapshot, Hypervisor, JobKind
from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError
from compute_agent.observation import DestLook, Observation
from compute_agent.permits import Permits
from compute_agent.preparing import Arrival, Arrivals, Preparations, Undoing
from compute_agent.settings import Settings
from compute_agent.work import Answer, Verbs, Work

FINISH_WAIT_S = 2.0  # libvirt's Finish phase lasts some ms after the guest runs
FINISH_POLL_S = 0.05
COMPLETE_WAIT_S = 3600.0  # each of them bounds itself
UNDO_LOOKS_MAX = 3  # a domain may be registered late by a Prepare that was past the hook

LOG = logging.getLogger(__name__)


class Dest:
    """The verbs of the host that a guest moves to."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        *,
        observation: Observation,
        examiner: Examiner,
        permits: Permits,
        arrivals: Arrivals,
        preparations: Preparations,
        settings: Settings,
    ) -> None:
        self._hypervisor = hypervisor
        self._observation = observation
        self._examiner = examiner
        self._permits = permits
        self._arrivals = arrivals
        self._preparations = preparations
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
            examined = self._examiner.examine_dest(
                command.instance, arguments, owner=command.migration, epoch=command.epoch
            )
            is_accepted = examined.found.accepts
        finally:
            if not is_accepted:
                self._examiner.forget(command.migration)
        facts = examined.facts if is_accepted else replace(examined.facts, probes=(), ports=())
        return Answer(
            result=examined.found.result,
            findings=examined.found.findings,
            detail=" ".join(examined.found.failures),
            dest_facts=facts,
        )

    def pre_live_migration(self, work: Work) -> Answer:
        """Make ready all that the guest needs, let this one migration in, and say what its domain must be changed to here.

        What was made before something failed stays until the roll-back that follows.
        """
        command, arguments = work.command, work.arguments(PreArguments)
        host = self._settings.host
        known = tuple(
            names.known(self._hypervisor, host=host, instance=command.instance, name=arguments.name)
        )
        if known:
            return Answer(result=Result.REFUSED, findings=known)
        prepared = self._preparations.prepare(self._arrival(work, arguments))
        if prepared.failures:
            return Answer(
                result=Result.ERROR, findings=prepared.findings, detail="; ".join(prepared.failures)
            )
        if refusing(prepared.findings):
            return Answer(result=Result.REFUSED, findings=prepared.findings)
        self._permits.grant(command.migration, command.instance)
        self._examiner.forget(command.migration)
        listens = (
            GraphicsListen(type="vnc", address=self._settings.vnc_listen),
            GraphicsListen(type="spice", address=self._settings.spice_listen),
        )
        changes = replace(prepared.changes, graphics=listens)
        return Answer(result=Result.OK, findings=prepared.findings, changes=changes)

    def _arrival(self, work: Work, arguments: PreArguments | PostDestArguments) -> Arrival:
        command = work.command
        return Arrival(
            instance=command.instance,
            name=arguments.name,
            migration=command.migration,
            plan=arguments.plan,
            declared=arguments.declared,
            record=self._arrivals.open(command.migration, instance=command.instance),
            source_address=arguments.source_address if isinstance(arguments, PreArguments) else "",
            is_stopped=lambda: work.is_stopped,
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
                undone = self._undo_preparations(work, arguments, undone)
            if undone.result is Result.OK:
                self._permits.remove(command.migration)
        self._examiner.forget(command.migration)
        return undone

    def _undo_preparations(self, work: Work, arguments: RollbackArguments, undone: Answer) -> Answer:
        """No domain of it is here any more, and the hook lets none in: nothing uses what was made for it."""
        command = work.command
        told = self._preparations.undo(
            Undoing(
                instance=command.instance,
                migration=command.migration,
                record=self._arrivals.open(command.migration, instance=command.instance),
                keep_disks=arguments.keep_disks,
            )
        )
        if told.failures:
            return Answer(result=Result.ERROR, detail=f"not yet: {'; '.join(told.failures)}")
        self._arrivals.remove(command.migration)
        return replace(undone, detail=", ".join(filter(None, (undone.detail, *told.sentences))))

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
        arrived = concurrency.spawn(self._preparations.complete, self._arrival(work, arguments))
        problems = self._complete(command.instance, look.snapshot, arguments.traits)
        told = arrived.wait(COMPLETE_WAIT_S)
        if told.holds_source:
            return Answer(result=Result.ERROR, detail=f"not yet: {'; '.join((*told.failures, *problems))}")
        problems += told.failures
        if not told.failures:
            self._arrivals.remove(command.migration)
        self._permits.remove(command.migration)
        detail = "paused, as its user had it" if look.seen is DestSeen.PAUSED_OTHER else ""
        return Answer(
            result=Result.RUNNING,
            detail="; ".join(filter(None, (detail, *told.sentences, *problems))),
            handover=told.handover,
        )

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
