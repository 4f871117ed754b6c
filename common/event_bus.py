"""The way of the events: from a conductor to whoever follows, through a topic exchange, without anybody in between.

A follower has a queue of its own that vanishes with it, so many may follow, nobody takes anything from anybody, and
nothing piles up at the broker while nobody listens. (oslo.messaging's notifications were weighed: a publisher of theirs
declares a durable queue for each topic, which grows for ever where no one consumes.)

Events are delivered at most once. What is not told is missing in the count of `sequence`.
"""

import json
import logging
import secrets
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Final

from common import concurrency, log
from common.broker import FAILURES, Broker, BrokerUnreachableError, Link
from common.broker_names import new_feed_queue
from common.dispatch import refuse_if_old
from common.envelope import Interface, check_fit, seal, unseal
from common.errors import LimosaError
from common.events import SCHEMA_VERSION, Event
from common.identity import Identity, Keyring, NotProvenError
from common.rpc import BusRefusedError
from common.wire import WireError, from_primitive, to_primitive

INTERFACE: Final = Interface(name="events", topic="limosa-events", major=SCHEMA_VERSION)
EVERYTHING: Final = "#"  # the pattern that each routing key fits

PENDING_MAX: Final = 1_000  # events that wait for the broker; then the oldest are dropped
LOOK_S: Final = 1.0  # between two looks at an idle connection
RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 2.0
STOP_TIMEOUT_S: Final = 3.0  # for what is pending when the conductor stops

LOG = logging.getLogger(__name__)


class Publisher:
    """Tells a conductor's events from a thread of its own, so that no broker ever holds up a migration.

    `lost` counts the events that were not told.
    """

    def __init__(self, broker: Broker, *, exchange: str, identity: Identity, conductor: str) -> None:
        self.lost = 0
        self._broker = broker
        self._exchange = exchange
        self._identity = identity
        self._conductor = conductor
        self._stream = secrets.token_hex(8)
        self._sequence = 0
        self._pending: deque[Event] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._task: concurrency.Task[None] | None = None

    def start(self) -> None:
        self._task = concurrency.spawn(self._run)

    def announce(self, events: tuple[Event, ...]) -> None:
        """Take the events and return at once; the oldest that wait are dropped where there are too many."""
        with self._changed:
            for event in events:
                self._sequence += 1
                if len(self._pending) >= PENDING_MAX:
                    self._pending.popleft()
                    self.lost += 1
                self._pending.append(
                    replace(event, conductor=self._conductor, stream=self._stream, sequence=self._sequence)
                )
            self._changed.notify()

    def stop(self) -> None:
        """Tell what is pending, if the broker takes it within a bound, and end."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._task is None:
            return
        try:
            self._task.wait(STOP_TIMEOUT_S)
        except concurrency.TaskTimeout:
            LOG.warning("the last events could not be told: %s does not take them", self._broker.name)

    # ---- the thread

    def _run(self) -> None:
        retry_s = RETRY_MIN_S
        while (
            not self._is_stopping or self._pending
        ):  # each turn ends with a connection that broke, or a wait
            try:
                link = self._broker.open()
            except (BusRefusedError, BrokerUnreachableError) as error:
                LOG.log(
                    logging.WARNING if retry_s == RETRY_MIN_S else logging.DEBUG,
                    "no events go out: %s",
                    error,
                )
            else:
                if self._serve(link):
                    return
                retry_s = RETRY_MIN_S
            if self._wait_to_stop(retry_s):
                return
            retry_s = min(RETRY_MAX_S, 2 * retry_s)

    def _serve(self, link: Link) -> bool:
        """Publish until the conductor stops (True) or the connection breaks (False)."""
        lost_before = self.lost
        try:
            exchange = link.exchange(self._exchange, must_exist=False)
            LOG.info(
                "events go out to %s%s",
                self._exchange,
                f", {lost_before} are lost so far" if lost_before else "",
            )
            while (event := self._next(link)) is not None:
                self.lost += 1  # until the broker says that it has it
                link.publish(self._sealed(event), exchange=exchange, routing_key=event.event_type)
                self.lost -= 1
        except FAILURES as error:
            LOG.warning("no events go out: the connection broke: %s", log.mask(str(error)))
            return False
        except Exception:
            LOG.exception("an event could not be told")
            return False
        finally:
            link.close()
        return True

    def _next(self, link: Link) -> Event | None:
        """The oldest that waits, on a connection that was alive a moment ago; None when it is time to stop."""
        while True:  # until something comes, the conductor stops, or the connection breaks
            link.wait(0)
            with self._changed:
                if self._pending:
                    return self._pending.popleft()
                if self._is_stopping:
                    return None
                self._changed.wait(LOOK_S)

    def _wait_to_stop(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._is_stopping, timeout_s)

    def _sealed(self, event: Event) -> str:
        """Sealed when it goes out and not before: how old a message may be is counted from there."""
        sealed = seal(
            json.dumps(to_primitive(event)),
            identity=self._identity,
            audience=INTERFACE.topic,
            interface=INTERFACE,
            method=event.event_type,
        )
        return json.dumps(sealed)


class Feed:
    """A follower's end: `open`, then `next` again and again until it raises, then `open` anew. For one thread."""

    def __init__(
        self,
        broker: Broker,
        *,
        exchange: str,
        follower: str,
        keyring: Keyring,
        message_max_age_s: float,
        pattern: str = EVERYTHING,
    ) -> None:
        self.name = broker.name
        self._broker = broker
        self._exchange = exchange
        self._follower = follower
        self._keyring = keyring
        self._message_max_age_s = message_max_age_s
        self._pattern = pattern
        self._link: Link | None = None
        self._arrived: deque[bytes] = deque()

    def open(self) -> None:
        """Listen from now on; raises BrokerUnreachableError, BusRefusedError."""
        self.close()
        link = self._broker.open()
        try:
            queue = new_feed_queue(self._exchange, self._follower)
            # Who may make an exchange may remove it, so a follower may not. In memory there are no rights.
            exchange = link.exchange(self._exchange, must_exist=not self._broker.is_in_memory)
            link.consume(queue, exchange=exchange, pattern=self._pattern, take=self._arrived.append)
        except FAILURES as error:
            link.close()
            raise self._told(error) from error
        self._link = link

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None when none has come in this time.

        Raises BrokerUnreachableError when the connection breaks (`open` again; what is told until then is missed), and
        another LimosaError for a message that is none of ours or proves not to be a conductor's (go on).
        """
        if self._link is None:
            raise BrokerUnreachableError(bus=self.name, reason="not connected")
        deadline = time.monotonic() + timeout_s
        while not self._arrived:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            try:
                self._link.wait(min(LOOK_S, left_s))
            except FAILURES as error:
                self.close()
                raise self._told(error) from error
        return self._opened(self._arrived.popleft())

    def close(self) -> None:
        """Stop listening; the broker drops the queue."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _told(self, error: BaseException) -> LimosaError:
        refusal = BusRefusedError.found_in(error, bus=self.name)
        reason = log.mask(str(error)).rstrip(".") or type(error).__name__
        return refusal or BrokerUnreachableError(bus=self.name, reason=reason)

    def _opened(self, body: bytes) -> Event:
        envelope, signer = unseal(_json(body), keyring=self._keyring, audience=INTERFACE.topic)
        check_fit(envelope, INTERFACE)
        if not INTERFACE.is_served_by(signer):
            raise NotProvenError(signer=signer, reason="it is no conductor")
        refuse_if_old(envelope, self._message_max_age_s, reader="this follower")
        return from_primitive(Event, _json(envelope.payload), ignore_unknown=True)


def _json(text: bytes | str) -> object:
    try:
        decoded: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(path="event", reason=f"not JSON: {error}") from error
    return decoded
