"""recover: resume a post-copy migration whose link broke (rule 26; measured with libvirt 9.0: 2 of 2 saved).

Both halves then wait for each other, and neither may be destroyed. On the source the job is made resumable, then a
migrateToURI3 with POSTCOPY_RESUME continues it. That call can begin nothing: without such a job libvirt refuses it.
"""

import logging
from contextlib import suppress

from common.errors import describe
from common.migration import LiveArguments
from common.states import Result, SourceSeen
from compute_agent.calls import Call, Calls
from compute_agent.events import EventHub, Listener
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError, JobAbsentError
from compute_agent.ledger import Ledger
from compute_agent.migrate_request import migrate_request
from compute_agent.observation import Observation
from compute_agent.settings import LiveMigrationSettings
from compute_agent.work import Answer, Work

RESUME_FLAGS = ("VIR_MIGRATE_POSTCOPY", "VIR_MIGRATE_POSTCOPY_RESUME")
TRIES_MAX = 5
TRY_INTERVAL_S = 2.0  # libvirt refuses for some seconds, until its own connection to the dest is given up

LOG = logging.getLogger(__name__)


class Postcopy:
    """The verb that only post-copy needs."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        *,
        ledger: Ledger,
        calls: Calls,
        observation: Observation,
        hub: EventHub,
        settings: LiveMigrationSettings,
    ) -> None:
        self._hypervisor = hypervisor
        self._ledger = ledger
        self._calls = calls
        self._observation = observation
        self._hub = hub
        self._settings = settings

    def recover(self, work: Work) -> Answer:
        """`ok` as soon as the job goes on; `watch` follows it from there."""
        command = work.command
        reason = ""
        with self._hub.listening(command.instance) as listener:
            for _ in range(TRIES_MAX):
                seen = self._observation.source(command.instance, command.migration).found
                if seen is SourceSeen.POSTCOPY_RUNNING:
                    return Answer(result=Result.OK)
                if seen is not SourceSeen.POSTCOPY_FAILED or work.is_stopped:
                    return Answer(result=Result.GONE, detail=f"the domain here is {seen}")
                call = self._resume(work)
                self._wait(call, listener)
                if call.has_returned and call.error is None:
                    return Answer(result=Result.OK)
                reason = describe(call.error) if call.error else "libvirt has not answered yet"
        return Answer(result=Result.ERROR, detail=reason)

    def _resume(self, work: Work) -> Call:
        instance = work.command.instance
        with suppress(JobAbsentError, HypervisorOperationError):  # it is resumable already
            self._hypervisor.pause_postcopy(instance)
        request = migrate_request(
            self._hypervisor.definition(instance),
            work.arguments(LiveArguments),
            self._settings,
            migration=work.command.migration,
            further_flags=RESUME_FLAGS,
        )
        prepared = self._hypervisor.prepare_migration(instance, request)
        return self._calls.run(self._ledger.page(instance), instance, work.command.epoch, prepared)

    def _wait(self, call: Call, listener: Listener) -> None:
        """A call that libvirt refuses returns at once, and is made again later; one that works goes on for long."""
        listener.wait(TRY_INTERVAL_S)
        if call.has_returned and call.error is not None:
            listener.wait(TRY_INTERVAL_S)
