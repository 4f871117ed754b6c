"""libvirt's events, and the watch over the connection that brings them.

The watcher is an ordinary thread: it opens the connection, asks libvirtd for a sign of life at intervals, and opens it
again when it broke, for as long as it takes. Whoever listens is told to list everything anew after each opening.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import libvirt

from common import concurrency
from compute_agent.hypervisor import job
from compute_agent.hypervisor.connection import Connection, ensure_event_loop
from compute_agent.hypervisor.driver import EventCallback, EventKind, HypervisorEvent
from compute_agent.hypervisor.libvirt_errors import HypervisorError, HypervisorUnreachableError

PING_INTERVAL_S = 2.0
REOPEN_DELAY_MIN_S = 0.1
REOPEN_DELAY_MAX_S = 1.0  # libvirtd is local: asking it once a second costs nothing

_LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: EventKind.DEFINED,
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: EventKind.UNDEFINED,
    libvirt.VIR_DOMAIN_EVENT_STARTED: EventKind.STARTED,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: EventKind.SUSPENDED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: EventKind.RESUMED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: EventKind.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: EventKind.SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: EventKind.PMSUSPENDED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: EventKind.CRASHED,
}
# Their arguments differ and do not matter: the facts are read anew.
_CHANGES = (
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE,
)
_CLOSED = "closed"
_STOP = "stop"


class EventSource:
    """Events of one libvirtd to any number of callbacks; `age_s` since it last answered the watcher."""

    def __init__(self, uri: str, *, timeout_s: float) -> None:
        self._uri = uri
        self._timeout_s = timeout_s
        self._callbacks: list[EventCallback] = []
        self._wakeups: concurrency.Mailbox[str] = concurrency.Mailbox()
        self._is_stopped = False
        self._answered_at = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._answered_at

    def subscribe(self, callback: EventCallback) -> None:
        self._callbacks.append(callback)

    def start(self) -> None:
        ensure_event_loop()
        concurrency.spawn(self._watch)

    def stop(self) -> None:
        self._is_stopped = True
        self._wakeups.put(_STOP)

    def _watch(self) -> None:
        delay_s = REOPEN_DELAY_MIN_S
        while not self._is_stopped:
            try:
                connection = self._connect()
            except HypervisorUnreachableError:
                self._wakeups.get(timeout_s=delay_s)
                delay_s = min(2 * delay_s, REOPEN_DELAY_MAX_S)
                continue
            delay_s = REOPEN_DELAY_MIN_S
            self._emit(HypervisorEvent(kind=EventKind.RELIST))
            self._ping_until_lost(connection)
            connection.close()
            if not self._is_stopped:
                self._emit(HypervisorEvent(kind=EventKind.DISCONNECTED))

    def _connect(self) -> Connection:
        connection = Connection.open(self._uri, timeout_s=self._timeout_s)
        try:
            self._ask(connection, lambda handle: self._register(connection, handle))
        except HypervisorUnreachableError:
            connection.close()
            raise
        return connection

    def _ping_until_lost(self, connection: Connection) -> None:
        while not self._is_stopped:
            if self._wakeups.get(timeout_s=PING_INTERVAL_S) is not None and not connection.is_alive:
                return
            try:
                self._ask(connection, lambda handle: handle.getLibVersion())
            except HypervisorUnreachableError:
                return

    def _ask(self, connection: Connection, question: Callable[[Any], object]) -> None:
        """Raises HypervisorUnreachableError for any failure: what is asked here cannot be refused."""
        try:
            connection.call(question, timeout_s=self._timeout_s)
        except HypervisorError as error:
            raise HypervisorUnreachableError(uri=self._uri, reason=str(error)) from error
        self._answered_at = time.monotonic()

    def _register(self, connection: Connection, handle: Any) -> None:
        """In a native thread, like all that asks libvirt."""
        handle.registerCloseCallback(self._on_closed, None)
        connection.register(libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle)
        connection.register(libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._on_job_completed)
        connection.register(libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, self._on_iteration)
        for event_id in _CHANGES:
            with contextlib.suppress(
                libvirt.libvirtError
            ):  # an older libvirtd without it: the periodic report does
                connection.register(event_id, self._on_change)

    def _emit(self, event: HypervisorEvent) -> None:
        for callback in tuple(self._callbacks):
            callback(event)

    # ---- in libvirt's event thread

    def _on_closed(self, _connection: Any, _reason: int, _opaque: object) -> None:
        self._wakeups.put(_CLOSED)

    def _on_lifecycle(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        kind = _LIFECYCLE.get(event, EventKind.CHANGED)
        self._emit(HypervisorEvent(kind=kind, uuid=domain.UUIDString(), name=domain.name(), detail=detail))

    def _on_job_completed(
        self, _connection: Any, domain: Any, parameters: dict[str, Any], _opaque: object
    ) -> None:
        statistics = job.to_statistics(parameters)
        self._emit(
            HypervisorEvent(
                kind=EventKind.JOB_COMPLETED,
                uuid=domain.UUIDString(),
                name=domain.name(),
                statistics=statistics,
            )
        )

    def _on_iteration(self, _connection: Any, domain: Any, iteration: int, _opaque: object) -> None:
        self._emit(
            HypervisorEvent(
                kind=EventKind.ITERATION, uuid=domain.UUIDString(), name=domain.name(), detail=iteration
            )
        )

    def _on_change(self, _connection: Any, domain: Any, *_details: object) -> None:
        self._emit(HypervisorEvent(kind=EventKind.CHANGED, uuid=domain.UUIDString(), name=domain.name()))
