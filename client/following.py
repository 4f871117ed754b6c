"""Follow the events over everything that may happen to the bus, and say what may have been missed."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from common.broker import BrokerUnreachableError
from common.errors import LimosaError
from common.rpc import BusRefusedError

if TYPE_CHECKING:
    from common.events import Event

POLL_S: Final = 3_600.0  # one wait for an event; then the next begins
RETRY_S: Final = 1.0
STREAMS_MAX: Final = 1_000  # runs of conductors whose count is remembered


class Feed(Protocol):
    """`common.event_bus.Feed`, or a test's."""

    name: str

    def open(self) -> None: ...

    def next(self, timeout_s: float) -> "Event | None": ...

    def close(self) -> None: ...


class Follower:
    """Gives the events that are asked for, one after the other. `say` tells a person what is not an event.

    `is_complete`: the feed brings events of all types, so that a gap in their count means that some are missing.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        instance: str | None,
        migration: str | None,
        timeout_s: float | None,
        say: Callable[[str], None],
        is_complete: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = feed.name
        self._feed = feed
        self._instance = instance
        self._migration = migration
        self._timeout_s = timeout_s
        self._say = say
        self._is_complete = is_complete
        self._clock = clock
        self._sleep = sleep
        self._ends_at: float | None = None
        self._counted: dict[str, int] = {}  # by stream: the sequence that came last

    def start(self) -> None:
        """Listen from now on; raises BrokerUnreachableError, BusRefusedError."""
        if self._timeout_s is not None:
            self._ends_at = self._clock() + self._timeout_s
        self._feed.open()

    def next(self) -> "Event | None":
        """The next event that is asked for; None when the time has passed."""
        while (left_s := self._left_s()) > 0:
            try:
                event = self._feed.next(min(POLL_S, left_s))
            except (BrokerUnreachableError, BusRefusedError) as error:
                self._say(f"{error} Events are missed until it is back.")
                self._reopen()
                continue
            except LimosaError as error:
                self._say(f"Not shown: {error}")
                continue
            if event is not None and self._is_new(event) and self._is_asked_for(event):
                return event
        return None

    def _reopen(self) -> None:
        while (left_s := self._left_s()) > 0:
            self._sleep(min(RETRY_S, left_s))
            try:
                self._feed.open()
            except (BrokerUnreachableError, BusRefusedError):
                continue
            self._say("Listening again.")
            return

    def _left_s(self) -> float:
        return float("inf") if self._ends_at is None else self._ends_at - self._clock()

    def _is_new(self, event: "Event") -> bool:
        """Whether it has not come before; says so when others should have come before it."""
        last = self._counted.pop(event.stream, None)
        self._counted[event.stream] = event.sequence if last is None else max(last, event.sequence)
        if len(self._counted) > STREAMS_MAX:
            self._counted.pop(next(iter(self._counted)))
        if last is None:
            return True
        missing = event.sequence - last - 1
        if missing > 0 and self._is_complete:
            what = "1 event is" if missing == 1 else f"{missing} events are"
            self._say(f"{what} missing here, of the conductor on {event.conductor}.")
        return missing >= 0

    def _is_asked_for(self, event: "Event") -> bool:
        asked = self._instance
        is_instance = asked is None or asked == event.instance_name or asked.lower() == event.instance_uuid
        migration = None if event.migration is None else event.migration.id
        return is_instance and self._migration in (None, migration)
