"""libvirt's events, brought from its thread to ours, and handed to whoever waits for news of a guest."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from common import concurrency
from common.migration import JobStatistics
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent

READ_SLICE_S = 1.0

LOG = logging.getLogger(__name__)


class Listener:
    """Somebody who waits for news of one instance: an event of its domain, the end of a call, a stop."""

    def __init__(self) -> None:
        self.completed: JobStatistics | None = None  # of the last job that ended, if libvirt told
        self._news = threading.Event()

    def wait(self, timeout_s: float) -> None:
        """Return at news, or when the time has passed. Look at what is true after this, not before."""
        self._news.wait(timeout_s)
        self._news.clear()

    def tell(self) -> None:
        self._news.set()


class EventHub:
    """From `Hypervisor.subscribe` to our side."""

    def __init__(self) -> None:
        self._mailbox: concurrency.Mailbox[HypervisorEvent | None] = concurrency.Mailbox()
        self._has_overflown = False
        self._is_stopped = False
        self._subscribers: list[Callable[[HypervisorEvent], None]] = []
        self._listeners: dict[str, set[Listener]] = {}
        self._lock = threading.Lock()
        self._task: concurrency.Task[None] | None = None

    def start(self) -> None:
        self._task = concurrency.spawn(self._deliver)

    def stop(self) -> None:
        self._is_stopped = True
        with suppress(concurrency.MailboxFull):
            self._mailbox.put(None)
        if self._task is not None:
            self._task.wait(2 * READ_SLICE_S)

    def put(self, event: HypervisorEvent) -> None:
        """For `Hypervisor.subscribe`: callable from any thread, never blocks."""
        try:
            self._mailbox.put(event)
        except concurrency.MailboxFull:
            self._has_overflown = True  # events are hints: everything is listed anew instead

    def subscribe(self, callback: Callable[[HypervisorEvent], None]) -> None:
        """Call it with each event, in an ordinary thread. It must not take long."""
        self._subscribers.append(callback)

    @contextmanager
    def listening(self, instance: str) -> Iterator[Listener]:
        """A listener for news of this instance, inside the block."""
        listener = Listener()
        with self._lock:
            self._listeners.setdefault(instance, set()).add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners[instance].discard(listener)
                if not self._listeners[instance]:
                    del self._listeners[instance]

    def wake(self, instance: str) -> None:
        """News of our own: a call has ended, a command is to stop."""
        for listener in self._listening_to(instance):
            listener.tell()

    def _deliver(self) -> None:
        while not self._is_stopped:
            event = self._mailbox.get(timeout_s=READ_SLICE_S)
            if event is not None:
                self._hand_over(event)
            if self._has_overflown:
                self._has_overflown = False
                LOG.warning("events of libvirt came faster than they were read; everything is listed anew")
                self._hand_over(HypervisorEvent(kind=EventKind.RELIST))

    def _hand_over(self, event: HypervisorEvent) -> None:
        for callback in self._subscribers:
            try:
                callback(event)
            except Exception:
                LOG.exception("an event could not be handled: %s", event)
        for listener in self._listening_to(event.uuid):
            if event.kind is EventKind.JOB_COMPLETED:
                listener.completed = event.statistics
            listener.tell()

    def _listening_to(self, instance: str) -> tuple[Listener, ...]:
        """All of them for an event that names no domain: a lost connection concerns everybody."""
        with self._lock:
            if instance:
                return tuple(self._listeners.get(instance, ()))
            return tuple(listener for listeners in self._listeners.values() for listener in listeners)
