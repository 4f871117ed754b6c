"""The source's verbs besides the move itself: check, look, abort, resume, and clean up afterwards.

What may be done to the guest is asked of `guards` each time, of a look that was taken for it. Of what the guest had with
it, `preparing` lets go, when the guest is proven and committed to be on the dest, and not before.
"""

import logging
import time
from dataclasses import replace

from common.migration import CheckSourceArguments, ObserveArguments, PostSourceArguments
from common.states import DestSeen, Result, SourceSeen, Verb
from common.transfer import TransferPlan
from compute_agent import guards
from compute_agent.definition_records import DefinitionRecords
from compute_agent.events import EventHub
from compute_agent.examiner import Examiner
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.hypervisor.libvirt_errors import (
    HypervisorError,
    HypervisorOperationError,
    JobAbsentError,
)
from compute_agent.media_contents import MediaContents
from compute_agent.observation import Observation, SourceLook
from compute_agent.preparing import Departure, Preparations, Told
from compute_agent.settings import Settings
from compute_agent.work import Answer, Verbs, Work

ABORT_POLL_S = 0.1
ABORT_MARGIN_S = 60.0  # beyond the drain; then it answers what it sees, and the conductor goes on from that

# Not `shutoff`: libvirt may be between its stop and its undefine.
_SETTLED = (SourceSeen.RUNNING, SourceSeen.PAUSED_OTHER)

LOG = logging.getLogger(__name__)


class Source:
    """The verbs of the host that a guest moves away from; `observe` is the dest's, too."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        *,
        observation: Observation,
        records: DefinitionRecords,
        examiner: Examiner,
        hub: EventHub,
        preparations: Preparations,
        media: MediaContents,
        settings: Settings,
    ) -> None:
        self._hypervisor = hypervisor
        self._observation = observation
        self._records = records
        self._examiner = examiner
        self._hub = hub
        self._preparations = preparations
        self._media = media
        self._settings = settings

    def verbs(self) -> Verbs:
        return {
            Verb.CHECK_SOURCE: self.check_can_live_migrate_source,
            Verb.OBSERVE: self.observe,
            Verb.ABORT: self.abort,
            Verb.RESUME: self.resume,
            Verb.POST_SOURCE: self.post_live_migration,
            Verb.REAP: self.reap,
        }

    # ---- check

    def check_can_live_migrate_source(self, work: Work) -> Answer:
        """Every reason against moving this guest to that dest; its traits if there is none."""
        command, arguments = work.command, work.arguments(CheckSourceArguments)
        observed = self._observation.source(command.instance, command.migration)
        examined = self._examiner.examine_source(
            command.instance,
            arguments,
            observed=observed,
            is_planned=True,
            is_stopped=lambda: work.is_stopped,
        )
        return Answer(
            result=examined.found.result,
            findings=examined.found.findings,
            detail=" ".join(examined.found.failures),
            traits=examined.traits if examined.found.accepts else None,
            plan=self._with_media(work, examined.plan),
        )

    def _with_media(self, work: Work, plan: TransferPlan | None) -> TransferPlan | None:
        """Not for `limosa check`: to read a large medium for the first time takes longer than anybody waits for that."""
        if plan is None:
            return None
        media = self._media.transfers(
            self._hypervisor.definition(work.command.instance),
            host=self._hypervisor.host_facts(),
            there=work.arguments(CheckSourceArguments).dest_facts.media,
            is_stopped=lambda: work.is_stopped,
        )
        return replace(plan, media=media)

    # ---- look

    def observe(self, work: Work) -> Answer:
        """What this host has of the guest, as one word; `unreachable` for anything but an answer (rule 11)."""
        is_source = work.arguments(ObserveArguments).is_source
        try:
            if not is_source:
                return _observed(self._observation.dest(work.command.instance).seen)
            return self._answer_seen(work, self._look(work))
        except HypervisorError as error:
            silent = SourceSeen.UNREACHABLE if is_source else DestSeen.UNREACHABLE
            return Answer(result=Result.OBSERVED, seen=silent, detail=str(error))

    def abort(self, work: Work) -> Answer:
        """Abort the job, one that begins meanwhile too, wait until no call and no job is left, and say what is seen.

        Where the guest is, that does not say (rule 12). Post-copy cannot be aborted: it is answered as it is seen.
        """
        deadline = time.monotonic() + self._settings.call_drain_s + ABORT_MARGIN_S
        try:
            with self._hub.listening(work.command.instance) as listener:
                while True:
                    look = self._look(work)
                    is_busy = look.seen.has_job and look.seen is not SourceSeen.POSTCOPY_RUNNING
                    if not is_busy or work.is_stopped or time.monotonic() > deadline:
                        return self._answer_seen(work, look)
                    self._abort_job(work.command.instance, look)
                    listener.wait(ABORT_POLL_S)
        except HypervisorError as error:
            return Answer(result=Result.OBSERVED, seen=SourceSeen.UNREACHABLE, detail=str(error))

    def _abort_job(self, instance: str, look: SourceLook) -> None:
        if not look.found.has_job:
            return  # a call that has not begun yet: its job may still appear
        try:
            self._hypervisor.abort_job(instance)
        except JobAbsentError:
            pass  # it has ended in between
        except HypervisorOperationError as error:
            LOG.warning("the job could not be aborted, it is tried again: %s", error)

    def _look(self, work: Work) -> SourceLook:
        return self._observation.source(work.command.instance, work.command.migration)

    def _answer_seen(self, work: Work, look: SourceLook) -> Answer:
        """A guest that is seen here, with no job and no call left, is not undefined by libvirt any more."""
        if look.seen in _SETTLED and not work.is_stopped:
            self._records.remove(work.command.instance)
        detail = "a call may still begin" if look.seen is not look.found else ""
        return _observed(look.seen, detail)

    # ---- after the verdict

    def resume(self, work: Work) -> Answer:
        """Start the only copy again, which the migration had paused (rule 18). `gone` if it is not that any more."""
        instance, look = work.command.instance, self._look(work)
        if look.seen is SourceSeen.RUNNING:
            return Answer(result=Result.OK, detail="it runs already")
        if not guards.may_resume(look.seen):
            return Answer(result=Result.GONE, detail=f"the domain here is {look.seen}")
        try:
            self._hypervisor.resume(instance)
        except HypervisorOperationError as error:
            return Answer(result=Result.LOCKED, detail=str(error))
        self._records.remove(instance)
        return Answer(result=Result.OK)

    def post_live_migration(self, work: Work) -> Answer:
        """Remove what libvirt left of the guest: it is proven on the dest, and committed (rules 13 and 19)."""
        instance, look = work.command.instance, self._look(work)
        refusal = _refusal(look, is_permitted=guards.may_clean_source(look.found))
        if refusal is not None:
            return refusal
        done = self._end_copy(instance, look)
        if look.snapshot.is_persistent:
            self._hypervisor.undefine(instance)
            done.append("its definition was removed")
        if look.snapshot.exists and self._look(work).snapshot.exists:
            return Answer(result=Result.ERROR, detail="not yet: the domain is still here")
        released = self._preparations.release(departure) if (departure := _departure(work)) else Told()
        if released.failures:
            return Answer(result=Result.ERROR, detail=f"not yet: {'; '.join(released.failures)}")
        self._records.remove(instance)
        return Answer(
            result=Result.OK, detail=", ".join((*done, *released.sentences)), handover=released.handover
        )

    def reap(self, work: Work) -> Answer:
        """End the stale copy of a guest that died on the dest. Definition and disks stay, for an operator to decide."""
        instance, look = work.command.instance, self._look(work)
        refusal = _refusal(look, is_permitted=guards.may_reap(look.found))
        if refusal is not None:
            return refusal
        done = self._end_copy(instance, look)
        if look.snapshot.is_persistent:
            # Else both hosts could start it with their next boot.
            self._hypervisor.set_autostart(instance, has_autostart=False)
        self._records.remove(instance)
        return Answer(result=Result.OK, detail=", ".join(done))

    def _end_copy(self, instance: str, look: SourceLook) -> list[str]:
        if not look.snapshot.is_active:
            return []
        self._hypervisor.destroy(instance)
        return ["a stale paused copy was ended"]


def _departure(work: Work) -> Departure | None:
    """None for the command of a conductor that knows of nothing to release."""
    if work.command.arguments is None:
        return None
    arguments = work.arguments(PostSourceArguments)
    return Departure(
        instance=work.command.instance,
        name=arguments.name,
        migration=work.command.migration,
        plan=arguments.plan,
        declared=arguments.declared,
        dest=arguments.dest_facts,
    )


def _observed(seen: SourceSeen | DestSeen, detail: str = "") -> Answer:
    return Answer(result=Result.OBSERVED, seen=seen, detail=detail)


def _refusal(look: SourceLook, *, is_permitted: bool) -> Answer | None:
    """`running` for a guest that runs here, which is an alarm; not yet, while a job or a call is not seen to end."""
    if look.found in (SourceSeen.RUNNING, SourceSeen.RUNNING_JOB):
        return Answer(result=Result.RUNNING, detail=f"the domain here is {look.found}")
    if look.is_call_in_flight or not is_permitted:
        return Answer(result=Result.ERROR, detail=f"not yet: the domain here is {look.seen}")
    return None
