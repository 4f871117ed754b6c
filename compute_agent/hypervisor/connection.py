"""Connections to libvirtd: how they are opened, called through and closed, and how libvirt's errors are read.

A virConnect must not be closed under a running call: libvirt frees it and the call goes on with freed memory (seen with
9.0, after a call to a hung libvirtd had been given up). So calls in flight are counted, and the last one closes.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import libvirt

from common import concurrency
from compute_agent.hypervisor.libvirt_errors import (
    DomainNotFoundError,
    HypervisorError,
    HypervisorOperationError,
    HypervisorUnreachableError,
)

# A hung libvirtd keeps each attempt to connect, and the native thread that makes it, until it wakes or dies.
HANGING_OPENS_MAX = 3
# A silent libvirtd is noticed after (count + 1) * interval.
KEEPALIVE_INTERVAL_S = 2
KEEPALIVE_COUNT = 3
# Those of virConnectAuthConfig in libvirt's src/qemu/qemu_migration.c.
_CREDENTIALS = [
    libvirt.VIR_CRED_AUTHNAME,
    libvirt.VIR_CRED_ECHOPROMPT,
    libvirt.VIR_CRED_REALM,
    libvirt.VIR_CRED_PASSPHRASE,
    libvirt.VIR_CRED_NOECHOPROMPT,
    libvirt.VIR_CRED_EXTERNAL,
]

T = TypeVar("T")

_event_loop_lock = threading.Lock()
_event_loop_is_running = False


class Connection:
    """An open virConnect with keepalive. Made by `open`; everything but `call_here` is for ordinary threads."""

    def __init__(self, uri: str, handle: Any) -> None:
        self.uri = uri
        self.answered_at = time.monotonic()
        self._handle = handle
        self._callback_ids: list[int] = []
        self._lock = concurrency.native_rlock()
        self._in_flight = 0
        self._is_closing = False

    @classmethod
    def open(cls, uri: str, *, timeout_s: float, is_peer: bool = False) -> "Connection":
        """Raises HypervisorUnreachableError. `is_peer`: another host's, whose silence must not bar the way to our own."""
        ensure_event_loop()
        attempt = _Attempt(uri, is_peer=is_peer)
        try:
            return cls(uri, concurrency.call_blocking(attempt.run, timeout_s=timeout_s))
        except concurrency.BlockingCallTimeout as error:
            if error.has_started:
                attempt.give_up()
            raise HypervisorUnreachableError(uri=uri, reason=str(error)) from error
        except libvirt.libvirtError as error:
            raise HypervisorUnreachableError(uri=uri, reason=str(error)) from error

    @property
    def is_alive(self) -> bool:
        """Whether it is not yet known to be broken. Asks nobody, so that it never blocks."""
        with self._lock, contextlib.suppress(libvirt.libvirtError):
            return not self._is_closing and bool(self._handle.isAlive())
        return False

    def call(self, function: Callable[[Any], T], *, timeout_s: float, uuid: str = "") -> T:
        """Run `function(virConnect)` in a native thread, bounded. Raises our errors; `uuid` is the domain they name.

        A call that does not end in time makes the whole connection suspect: it is closed when the call has ended.
        """
        try:
            result: T = concurrency.call_blocking(self.call_here, function, uuid, timeout_s=timeout_s)
        except concurrency.BlockingCallTimeout as error:
            self.close()
            raise HypervisorUnreachableError(uri=self.uri, reason=str(error)) from error
        return result

    def call_here(self, function: Callable[[Any], T], uuid: str = "") -> T:
        """The same in the calling thread, which must be a native one, and for as long as it takes."""
        with self._lock:
            if self._is_closing:
                raise HypervisorUnreachableError(uri=self.uri, reason="the connection was given up")
            self._in_flight += 1
        try:
            result = function(self._handle)
            self.answered_at = time.monotonic()
            return result
        except libvirt.libvirtError as error:
            # Without its traceback: the frames hold virDomains, these the connection, and whoever drops the error
            # last would close it, which may block.
            raise self._translated(error, uuid) from error.with_traceback(None)
        finally:
            self._leave()

    def register(self, event_id: int, callback: Callable[..., None], domain: Any = None) -> None:
        """Ask for an event; within `call`. It is deregistered at the close, as it would keep the connection open."""
        self._callback_ids.append(self._handle.domainEventRegisterAny(domain, event_id, callback, None))

    def close(self) -> None:
        """Close it as soon as no call is in flight. Never blocks: closing asks the other side, which may hang."""
        with self._lock:
            if self._is_closing:
                return
            self._is_closing = True
            is_idle = self._in_flight == 0
        if is_idle:
            concurrency.start_native_thread(self._close_handle, name="libvirt-close")

    def _leave(self) -> None:
        with self._lock:
            self._in_flight -= 1
            is_last = self._is_closing and self._in_flight == 0
        if is_last:
            self._close_handle()

    def _close_handle(self) -> None:
        """In a native thread. A broken connection refuses some of this, and is closed all the same."""
        for callback_id in self._callback_ids:
            with contextlib.suppress(libvirt.libvirtError):
                self._handle.domainEventDeregisterAny(callback_id)
        with contextlib.suppress(libvirt.libvirtError):
            self._handle.unregisterCloseCallback()
        with contextlib.suppress(libvirt.libvirtError):
            self._handle.close()

    def _translated(self, error: Any, uuid: str) -> HypervisorError:
        """One of our errors for libvirt's. Never by its text.

        The connection itself tells whether libvirtd is lost: an error of the RPC layer may as well be an answer, about
        the source libvirtd's own connection to the dest's.
        """
        if not self.is_alive:
            return HypervisorUnreachableError(uri=self.uri, reason=str(error))
        self.answered_at = time.monotonic()  # an error is an answer
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return DomainNotFoundError(uuid=uuid)
        return HypervisorOperationError(
            code=_number(error.get_error_code()), domain=_number(error.get_error_domain()), text=str(error)
        )


def ensure_event_loop() -> None:
    """Run libvirt's event loop, once for the process, in a native thread. Keepalive and events live by it.

    It must be registered before the first connection is opened.
    """
    global _event_loop_is_running
    with _event_loop_lock:
        if _event_loop_is_running:
            return
        libvirt.registerErrorHandler(_ignore_error, None)  # else each error is also printed on stderr
        libvirt.virEventRegisterDefaultImpl()
        concurrency.start_native_thread(_run_event_loop, name="libvirt-events")
        _event_loop_is_running = True


class _Attempt:
    """One attempt to connect, which may be given up while it hangs: then it cleans up after itself."""

    _lock = concurrency.native_rlock()
    _hanging: ClassVar[set["_Attempt"]] = set()

    def __init__(self, uri: str, *, is_peer: bool) -> None:
        self._uri = uri
        self._is_peer = is_peer
        self._has_ended = False
        with self._lock:
            alike = sum(attempt._is_peer == is_peer for attempt in self._hanging)
            if alike >= HANGING_OPENS_MAX:
                raise HypervisorUnreachableError(
                    uri=uri, reason=f"{HANGING_OPENS_MAX} attempts to connect hang"
                )

    def run(self) -> Any:
        """In a native thread."""
        handle = None
        try:
            handle = _open_peer(self._uri) if self._is_peer else libvirt.open(self._uri)
            handle.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
        finally:
            with self._lock:
                self._has_ended = True
                is_given_up = self in self._hanging
                self._hanging.discard(self)
        if is_given_up:
            handle.close()
        return handle

    def give_up(self) -> None:
        with self._lock:
            if not self._has_ended:
                self._hanging.add(self)


def _open_peer(uri: str) -> Any:
    """As a libvirtd opens it: what it is asked for is read from auth.conf (libvirt.org/auth.html); nobody can be asked."""
    return libvirt.openAuth(uri, [_CREDENTIALS, None, None], 0)


def _run_event_loop() -> None:
    while True:  # as long as the process lives; each turn waits for the next event
        libvirt.virEventRunDefaultImpl()


def _ignore_error(_context: object, _error: object) -> None:
    """Errors are raised as exceptions as well."""


def _number(value: int | None) -> int:
    return HypervisorOperationError.UNKNOWN_CODE if value is None else value
