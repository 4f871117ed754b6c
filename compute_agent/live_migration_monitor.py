"""The polling loop's body: look at a migration's job, tune it, tell the conductor how far it is.

Whoever follows a job (`live_migration`) calls `turn` every live_migration_poll_interval, and at once when libvirt has
news. Nothing in here decides how the migration ends; it never waits for the message bus.
"""

import logging
import time
from collections.abc import Callable

from common import concurrency
from common.conductor_api import ConductorAPI
from common.migration import Command, JobStatistics, Progress
from common.rpc import BusError
from compute_agent.convergence import Steering, steer
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError, JobAbsentError
from compute_agent.settings import LiveMigrationSettings

LOOK_AGAIN_AFTER_S = 0.1  # a guest that is nearly there makes iterations, and events, much faster

LOG = logging.getLogger(__name__)


class Monitor:
    """Follows one job for one command."""

    def __init__(
        self,
        command: Command,
        hypervisor: Hypervisor,
        conductor: ConductorAPI,
        settings: LiveMigrationSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._hypervisor = hypervisor
        self._conductor = conductor
        self._settings = settings
        self._clock = clock
        self._downtime_max_ms = 0
        self._looked_at = float("-inf")
        self._told_at = float("-inf")
        self._telling: concurrency.Task[None] | None = None
        self._sequence = 0
        self._seen: JobStatistics | None = None
        self.given_up_after_s: float | None = None  # the completion timeout has passed: the job was aborted

    def turn(self) -> JobStatistics | None:
        """Look, tune, tell; what the job says, None if there is none. Raises HypervisorError if libvirt is silent."""
        now = self._clock()
        if self._seen is not None and now - self._looked_at < LOOK_AGAIN_AFTER_S:
            return self._seen
        self._seen = self._hypervisor.job_statistics(self._command.instance)
        self._looked_at = self._clock()
        if self._seen is not None:
            steering = steer(self._settings, self._seen)
            self._tune(self._seen, steering)
            self._tell(self._seen, steering)
        return self._seen

    def forget_last_look(self) -> None:
        """There is news that a fresh look must see."""
        self._looked_at = float("-inf")

    def _tune(self, statistics: JobStatistics, steering: Steering) -> None:
        instance = self._command.instance
        try:
            if steering.is_overdue:
                if self.given_up_after_s is None:
                    self.given_up_after_s = statistics.elapsed_ms / 1000
                    LOG.warning("live_migration_completion_timeout has passed: the job is aborted")
                self._hypervisor.abort_job(instance)
            elif steering.downtime_max_ms not in (None, self._downtime_max_ms):
                self._hypervisor.set_max_downtime(instance, steering.downtime_max_ms or 0)
                self._downtime_max_ms = steering.downtime_max_ms or 0
        except JobAbsentError:
            pass  # it ended in between; whoever follows it will see
        except HypervisorOperationError as error:
            LOG.warning("the job could not be tuned: %s", error)

    def _tell(self, statistics: JobStatistics, steering: Steering) -> None:
        is_due = self._clock() - self._told_at >= self._settings.progress_interval_s
        if not is_due or (self._telling is not None and not self._telling.done):
            return
        self._told_at = self._clock()
        # By the job's own time, so that it also grows over a restart of the agent and from one command to the next.
        self._sequence = max(self._sequence + 1, statistics.elapsed_ms)
        progress = Progress(
            instance=self._command.instance,
            migration=self._command.migration,
            epoch=self._command.epoch,
            host=self._command.host,
            sequence=self._sequence,
            statistics=statistics,
            downtime_max_ms=self._downtime_max_ms,
            eta_s=steering.eta_s,
        )
        self._telling = concurrency.spawn(self._cast, progress)

    def _cast(self, progress: Progress) -> None:
        try:
            self._conductor.progress(progress)
        except BusError as error:
            LOG.debug("progress was not sent: %s", error)
