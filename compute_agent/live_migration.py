"""live_migration and watch: issue migrateToURI3 once, and follow its job (rules 9, 10 and 15).

The call itself belongs to `calls` and outlives the command. What is here may be stopped by a newer command at any
moment, or die with the agent: the job is libvirtd's, and the next one to be told follows it again, policy included.
"""

import logging

from common import concurrency
from common.conductor_api import CONFIRM_TIMEOUT_S, ConductorAPI
from common.errors import ServiceUnreachableError, describe
from common.migration import Command, GuestTraits, JobStatistics, LiveArguments
from common.states import Result, SourceSeen
from common.transfer import TransferPlan
from compute_agent import guards, planning
from compute_agent.calls import Call, Calls
from compute_agent.definition_records import DefinitionRecord, DefinitionRecords
from compute_agent.definitions import facts_of, traits_of
from compute_agent.events import EventHub, Listener
from compute_agent.hypervisor.driver import Definition, Hypervisor, MigrationCall
from compute_agent.hypervisor.libvirt_errors import HypervisorError
from compute_agent.ledger import Ledger
from compute_agent.live_migration_monitor import Monitor
from compute_agent.migrate_request import migrate_request
from compute_agent.observation import Observation
from compute_agent.preparing import Departure, Preparations
from compute_agent.settings import LiveMigrationSettings
from compute_agent.work import Answer, Work

CONFIRM_TRIES = 3
CONFIRM_WAIT_S = CONFIRM_TRIES * 2 * CONFIRM_TIMEOUT_S
STATISTICS_WAIT_S = 0.2  # after the end of a job, for the event that brings its figures

LOG = logging.getLogger(__name__)


class LiveMigration:
    """The verbs that move a guest away from this host."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        conductor: ConductorAPI,
        *,
        ledger: Ledger,
        records: DefinitionRecords,
        calls: Calls,
        observation: Observation,
        hub: EventHub,
        preparations: Preparations,
        settings: LiveMigrationSettings,
    ) -> None:
        self._hypervisor = hypervisor
        self._conductor = conductor
        self._ledger = ledger
        self._records = records
        self._calls = calls
        self._observation = observation
        self._hub = hub
        self._preparations = preparations
        self._settings = settings

    def live_migration(self, work: Work) -> Answer:
        """Move the guest. Under one epoch it is called once: a redelivery only follows what that call began."""
        command = work.command
        entry = self._ledger.page(command.instance).entry
        with self._hub.listening(command.instance) as listener:
            if entry is not None and entry.called == command.epoch:
                return self._follow_again(work, listener)
            return self._move(work, listener)

    def watch(self, work: Work) -> Answer:
        """Wait until there is no job, and no call that may still begin one. Never calls."""
        command = work.command
        monitor = self._monitor(command)
        with self._hub.listening(command.instance) as listener:
            while not work.is_stopped:
                statistics = self._turn(monitor, command)
                if statistics is None or statistics.is_postcopy:
                    look = self._observation.source(command.instance, command.migration)
                    if not look.seen.has_job:
                        return Answer(result=Result.ENDED, statistics=_last_figures(listener))
                self._wait(listener, monitor)
        return Answer(result=Result.ERROR, detail="stopped")

    # ---- the call

    def _move(self, work: Work, listener: Listener) -> Answer:
        """Ask the conductor whether it still wants this while everything is made ready; then look, and issue."""
        command = work.command
        confirming = concurrency.spawn(self._confirm, work)
        definition = self._hypervisor.definition(command.instance)
        prepared = self._prepare(work, definition)
        call = None
        with self._preparations.accompany(_departure(work, definition)):
            try:
                refusal = confirming.wait(CONFIRM_WAIT_S) or self._not_movable(work)
                if not refusal:
                    call = self._issue(work, definition, prepared)
                    refusal = "" if call is not None else "a newer command was accepted"
            finally:
                if call is None:
                    prepared.discard()
            if call is None:
                return Answer(result=Result.ERROR, detail=f"migrateToURI3 was not called: {refusal}")
            return self._follow(work, call, listener, traits_of(definition))

    def _prepare(self, work: Work, definition: Definition) -> MigrationCall:
        arguments = work.arguments(LiveArguments)
        request = migrate_request(definition, arguments, self._settings, migration=work.command.migration)
        return self._hypervisor.prepare_migration(work.command.instance, request)

    def _confirm(self, work: Work) -> str:
        """Why it must not be called; empty if the database still has this command as the current one."""
        command, reason = work.command, ""
        for _ in range(CONFIRM_TRIES):
            try:
                is_current = self._conductor.confirm_live_migration(command.migration, command.epoch)
            except ServiceUnreachableError as error:
                reason = describe(error)
            else:
                return "" if is_current else "the conductor does not confirm it"
            if work.is_stopped:
                break
        return reason

    def _not_movable(self, work: Work) -> str:
        """Why the guest cannot be moved as it is now; empty if it can.

        Its disks are read anew: the conductor may have taken long to confirm, and libvirt compares no paths. A disk that
        somebody has made a snapshot of meanwhile would be copied without all that the guest wrote before.
        """
        command, plan = work.command, work.arguments(LiveArguments).plan
        differences: tuple[str, ...] = ()
        if plan is not None:
            now = facts_of(self._hypervisor.definition(command.instance))
            differences = tuple(planning.differences(now, plan))
        if differences:
            return "; ".join(differences)
        # Rule 9 asks for this look under the page's lock. It would keep newer commands out for as long as libvirt takes,
        # and libvirt knows nothing of that lock; what the lock does keep apart is looked at under it by `Calls.issue`.
        look = self._observation.source(command.instance, command.migration)
        if guards.may_issue_call(look.found, is_older_call_in_flight=look.is_call_in_flight):
            return ""
        if look.is_call_in_flight:
            return "an earlier call may still begin"
        return f"the guest is {look.found}"

    def _issue(self, work: Work, definition: Definition, prepared: MigrationCall) -> Call | None:
        """The definition is on the disk together with `called`, and both are before libvirt is asked."""
        command = work.command
        record = DefinitionRecord(
            migration=command.migration,
            is_persistent=definition.is_persistent,
            has_autostart=definition.has_autostart,
            live_xml=definition.live_xml,
            inactive_xml=definition.inactive_xml,
        )
        self._records.write(command.instance, record)
        call = self._calls.issue(self._ledger.page(command.instance), work, prepared)
        if call is None:
            self._records.remove(command.instance)
        return call

    # ---- following

    def _follow(self, work: Work, call: Call, listener: Listener, traits: GuestTraits) -> Answer:
        """Until the call returns: libvirt ends it, or keepalive does. A look that fails is made again."""
        monitor = self._monitor(work.command)
        while not call.has_returned and not work.is_stopped:
            self._wait(listener, monitor)
            if call.has_returned or work.is_stopped:
                break
            try:
                monitor.turn()
            except HypervisorError as error:
                LOG.warning("the job could not be looked at: %s", error)
        return _answer(call, monitor, traits)

    def _follow_again(self, work: Work, listener: Listener) -> Answer:
        """A call of an agent before this one: follow its job. How that ended, nobody has told us: `lost`."""
        command = work.command
        monitor = self._monitor(command)
        statistics = self._turn(monitor, command)
        while statistics is not None and not work.is_stopped:
            if statistics.is_postcopy and self._is_postcopy_broken(command):
                break
            self._wait(listener, monitor)
            statistics = self._turn(monitor, command)
        return Answer(
            result=Result.LOST,
            detail=f"called before, no job now{_given_up(monitor)}",
            statistics=_last_figures(listener),
        )

    def _turn(self, monitor: Monitor, command: Command) -> JobStatistics | None:
        """For a job whose call is not ours to wait for: its end is seen here, or nowhere."""
        statistics = monitor.turn()
        page = self._ledger.page(command.instance)
        self._calls.note_job(page, command.instance, is_there=statistics is not None)
        return statistics

    def _is_postcopy_broken(self, command: Command) -> bool:
        """libvirt keeps that job for ever (lab: until its restart); nobody must wait for its end."""
        look = self._observation.source(command.instance, command.migration)
        return look.found is SourceSeen.POSTCOPY_FAILED

    def _monitor(self, command: Command) -> Monitor:
        return Monitor(command, self._hypervisor, self._conductor, self._settings)

    def _wait(self, listener: Listener, monitor: Monitor) -> None:
        listener.wait(self._settings.poll_interval_s)
        if listener.completed is not None:
            monitor.forget_last_look()


def _departure(work: Work, definition: Definition) -> Departure:
    command, arguments = work.command, work.arguments(LiveArguments)
    return Departure(
        instance=command.instance,
        name=facts_of(definition).name,
        migration=command.migration,
        plan=arguments.plan or TransferPlan(),
        declared=arguments.declared,
        dest=arguments.dest_facts,
    )


def _answer(call: Call, monitor: Monitor, traits: GuestTraits) -> Answer:
    if not call.has_returned:
        return Answer(result=Result.ERROR, detail="stopped")  # void
    if call.error is None:
        return Answer(result=Result.OK, statistics=call.statistics, traits=traits, has_call_ended=True)
    return Answer(
        result=Result.ERROR,
        detail=describe(call.error) + _given_up(monitor),
        traits=traits,
        has_call_ended=not call.is_connection_lost,
    )


def _given_up(monitor: Monitor) -> str:
    if monitor.given_up_after_s is None:
        return ""
    return f" (given up after {monitor.given_up_after_s:.0f} s, [libvirt]live_migration_completion_timeout)"


def _last_figures(listener: Listener) -> JobStatistics | None:
    """The event with them comes at about the time at which the job is seen to be over."""
    if listener.completed is None:
        listener.wait(STATISTICS_WAIT_S)
    return listener.completed
