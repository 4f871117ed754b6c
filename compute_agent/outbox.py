"""Outcomes on their way to a conductor: sent at once, and those of the ledger again until they are acknowledged.

Messages may be lost, so a kept outcome is repeated, ever more seldom, also by the agent that starts after this one.
An observation is not: whoever needs it asks again.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from common import concurrency
from common.conductor_api import ConductorAPI
from common.migration import Outcome
from common.rpc import BusError

LOOK_INTERVAL_S = 1.0
REPEAT_AFTER_S = 5.0
REPEAT_AFTER_MAX_S = 60.0

LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Unacknowledged:
    outcome: Outcome
    next_at: float
    delay_s: float


class Outbox:
    """The way of outcomes to the conductors. `unacknowledged` are those that the agent before this one left."""

    def __init__(
        self,
        conductor: ConductorAPI,
        *,
        unacknowledged: tuple[Outcome, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conductor = conductor
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = {
            outcome.instance: _Unacknowledged(outcome, clock(), REPEAT_AFTER_S) for outcome in unacknowledged
        }
        self._repeating: concurrency.Repeating | None = None

    def start(self) -> None:
        self._repeating = concurrency.every(LOOK_INTERVAL_S, self.repeat_what_is_due)

    def stop(self) -> None:
        if self._repeating is not None:
            self._repeating.stop()

    def send(self, outcome: Outcome, *, is_kept: bool) -> None:
        """Send it; a kept one is repeated until `forget`."""
        if is_kept:
            with self._lock:
                self._waiting[outcome.instance] = _Unacknowledged(
                    outcome, self._clock() + REPEAT_AFTER_S, REPEAT_AFTER_S
                )
        self._cast(outcome)

    def forget(self, instance: str, *, up_to_epoch: int) -> None:
        """The conductor has this outcome, or needs it no more."""
        with self._lock:
            waiting = self._waiting.get(instance)
            if waiting is not None and waiting.outcome.epoch <= up_to_epoch:
                del self._waiting[instance]

    def repeat_what_is_due(self) -> None:
        """One look; it ends at the first outcome that the broker does not take, as it would not take the others."""
        now = self._clock()
        with self._lock:
            due = [waiting for waiting in self._waiting.values() if waiting.next_at <= now]
            for waiting in due:
                waiting.delay_s = min(2 * waiting.delay_s, REPEAT_AFTER_MAX_S)
                waiting.next_at = now + waiting.delay_s
        for waiting in due:
            if not self._cast(waiting.outcome):
                return

    def _cast(self, outcome: Outcome) -> bool:
        try:
            self._conductor.outcome(outcome)
        except BusError as error:
            LOG.warning(
                "the outcome of %s, epoch %d, could not be sent: %s", outcome.verb, outcome.epoch, error
            )
            return False
        return True
