"""Threads of work under eventlet or native threads: the only importer of eventlet.

A service calls `setup(configured_backend(argv))` before it imports anything else. After that the standard `threading`
(Lock, Event, Condition, Thread) is right in both: eventlet patches it. What is here is the rest: work that really
blocks (libvirt) goes to native threads, and what they have to say comes back through a Mailbox.

The rule in a native thread: libvirt calls, `Mailbox.put` and logging, nothing else of ours. Locks, events and the
message bus belong to the other side.
"""

import contextvars
import logging
import os
import queue
import socket
import sys
import threading
import time
import types
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from common import resolver
from common.backend import Backend as Backend
from common.backend import configured_backend as configured_backend

BLOCKING_THREADS = 20
BLOCKING_WAITING_MAX = 1_000  # calls without a thread: then libvirt has been hanging for long
MAILBOX_MAX_ITEMS = 10_000
_NATIVE_NAMES = ("os", "queue", "select", "socket", "threading", "time")  # what eventlet patches in place

LOG = logging.getLogger(__name__)

T = TypeVar("T")


class BlockingCallTimeout(Exception):  # noqa: N818 (its name says what happened)
    """A call in a native thread did not return in time.

    `has_started`: it runs still, and may take effect at any time later. Otherwise it never will.
    """

    def __init__(self, *, name: str, timeout_s: float, has_started: bool) -> None:
        self.has_started = has_started
        state = "still runs" if has_started else "found no free thread and was dropped"
        super().__init__(f"{name} did not return within {timeout_s:g} s; it {state}")


class TaskTimeout(Exception):  # noqa: N818 (its name says what happened)
    """A task has not ended in the time that was given to wait for it; it goes on."""


class MailboxFull(Exception):  # noqa: N818 (its name says what happened)
    """Nobody reads this mailbox."""


# ---- the choice


_backend = Backend.THREADING
_patched: Any = None  # eventlet, once it has patched the standard library


def setup(backend: Backend | str) -> None:
    """Choose the backend, once for the process. For eventlet: patch the standard library now."""
    global _backend, _patched
    _backend = Backend(backend)
    if _backend is Backend.EVENTLET and _patched is None:
        # Told at each start, to people who cannot change it; `concurrency_backend = threading` is the way out.
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        os.environ["EVENTLET_NO_GREENDNS"] = "yes"  # see common.resolver
        import eventlet
        import eventlet.green.socket
        import eventlet.hubs
        import eventlet.patcher

        eventlet.monkey_patch()
        _patched = eventlet
        _resolve_in_native_threads(eventlet.green.socket)
        # Native threads log too, and nothing yields under this lock; a green one breaks when they contend for it.
        logging._lock = native_rlock()  # type: ignore[attr-defined]


def _resolve_in_native_threads(green_socket: types.ModuleType) -> None:
    get_ident = _native("threading").get_ident
    ours = get_ident()  # the one native thread in which all green ones run

    def run_blocking(look_up: Callable[[], resolver.Addresses]) -> resolver.Addresses:
        try:
            return call_blocking(look_up, timeout_s=resolver.RESOLVE_TIMEOUT_S)
        except BlockingCallTimeout as error:
            raise TimeoutError from error

    resolver.install(
        (socket, green_socket), is_native_thread=lambda: get_ident() != ours, run_blocking=run_blocking
    )


def backend() -> Backend:
    return _backend


# ---- threads of work


class Task(Generic[T]):
    """Something that runs beside its starter; see `spawn`."""

    def __init__(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._result: T | None = None
        context = contextvars.copy_context()
        name = getattr(function, "__qualname__", repr(function))
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    def wait(self, timeout_s: float) -> T:
        """The result, or the exception that ended it; raises TaskTimeout if it has not ended by then."""
        if not self._ended.wait(timeout_s):
            raise TaskTimeout(f"{self._thread.name} has not ended within {timeout_s:g} s")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # T may be None itself

    def _run(self) -> None:
        try:
            self._result = self._function(*self._arguments)
        except BaseException as error:  # noqa: BLE001 (kept for whoever waits; see spawn)
            self._error = error
        finally:
            self._ended.set()


def spawn(function: Callable[..., T], *arguments: Any) -> Task[T]:
    """Run it beside the caller. An exception is kept for `wait`; nobody waiting means that nobody hears of it."""
    return Task(function, arguments)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


class Repeating:
    """A function that is called again and again until `stop`."""

    def __init__(self, interval_s: float, function: Callable[[], object]) -> None:
        self._interval_s = interval_s
        self._function = function
        self._stopping = threading.Event()
        self._task = spawn(self._run)

    def stop(self, timeout_s: float = 10.0) -> None:
        """No further call begins; waits for one that runs."""
        self._stopping.set()
        self._task.wait(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._function()
            except Exception:
                LOG.exception("periodic work failed; it is tried again in %s s", self._interval_s)
            self._stopping.wait(max(0.0, self._interval_s - (time.monotonic() - started)))


def every(interval_s: float, function: Callable[[], object]) -> Repeating:
    """Call it now and then every `interval_s`, counted from start to start; never two at once. Errors are logged."""
    return Repeating(interval_s, function)


# ---- native threads


def _native(name: str) -> types.ModuleType:
    """A module of the standard library as it is without eventlet."""
    if _patched is None:
        return {"threading": threading, "queue": queue, "os": os, "socket": socket}[name]
    module: types.ModuleType = _patched.patcher.original(name)
    return module


def native_socket() -> types.ModuleType:
    """The module as it is without eventlet: its sockets block, its resolver is the system's. For native threads."""
    return _native("socket")


def native_rlock() -> threading.RLock:
    """A lock between native threads and the rest. Hold it for microseconds and never while anything may yield."""
    lock: threading.RLock = _native("threading").RLock()
    return lock


@contextmanager
def native_modules() -> Iterator[None]:
    """A library that is first imported in this block works with sockets, locks and clocks as they are without eventlet.

    For one whose every call is made in a native thread: its locks would break there when two threads contend for one.
    """
    if _patched is None:
        yield
        return
    ours = {name: sys.modules[name] for name in _NATIVE_NAMES}
    sys.modules.update({name: _patched.patcher.original(name) for name in _NATIVE_NAMES})
    try:
        yield
    finally:
        sys.modules.update(ours)


class NativeThread:
    """A thread of the operating system; see `start_native_thread`."""

    def __init__(self, function: Callable[[], object], name: str) -> None:
        context = contextvars.copy_context()
        thread = _native("threading").Thread(target=context.run, args=(function,), name=name, daemon=True)
        thread.start()
        self._thread = thread

    @property
    def is_alive(self) -> bool:
        return bool(self._thread.is_alive())


def start_native_thread(function: Callable[[], object], name: str) -> NativeThread:
    """Run it in a real thread, under eventlet too. It ends with the process; results go through a Mailbox."""
    return NativeThread(function, name)


class Mailbox(Generic[T]):
    """From any native thread (or signal handler) to one reader on our side."""

    def __init__(self, max_items: int = MAILBOX_MAX_ITEMS) -> None:
        self._max_items = max_items
        self._box: _NativeBox[T] | _GreenBox[T] = _NativeBox() if _patched is None else _GreenBox()

    def put(self, item: T) -> None:
        """Never blocks; raises MailboxFull."""
        if len(self._box) >= self._max_items:
            raise MailboxFull(f"{self._max_items} items wait to be read")
        self._box.put(item)

    def get(self, timeout_s: float | None = None) -> T | None:
        """The oldest item; None when the time has passed without one. One reader at a time."""
        return self._box.get(timeout_s)

    def close(self) -> None:
        """Give the pipe back; nobody may put or get after this."""
        self._box.close()


class _NativeBox(Generic[T]):
    def __init__(self) -> None:
        # Its put may interrupt itself, as a signal handler's does.
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, item: T) -> None:
        self._queue.put(item)

    def get(self, timeout_s: float | None) -> T | None:
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        pass


class _GreenBox(Generic[T]):
    """A deque, and a pipe that wakes eventlet's hub: nothing else may cross from a native thread into it."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._os = _native("os")
        self._read_fd, self._write_fd = self._os.pipe()
        self._os.set_blocking(self._read_fd, False)
        self._os.set_blocking(self._write_fd, False)

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        with suppress(BlockingIOError):  # full of wake-ups that the reader has not yet taken: it will look
            self._os.write(self._write_fd, b"\0")

    def get(self, timeout_s: float | None) -> T | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._items:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                _patched.hubs.trampoline(self._read_fd, read=True, timeout=left_s, timeout_exc=TaskTimeout)
                self._os.read(self._read_fd, 65_536)
            except TaskTimeout:
                break
            except BlockingIOError:
                continue
        return self._items.popleft() if self._items else None

    def close(self) -> None:
        self._os.close(self._read_fd)
        self._os.close(self._write_fd)


# ---- blocking calls in a bounded pool


class _Call:
    """One function that waits for a native thread, runs there, or has run."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._run = contextvars.copy_context().run
        self._function = function
        self._arguments = arguments
        self._lock = native_rlock()
        self._is_dropped = False
        self._has_started = False
        self.ended = threading.Event()  # set on our side only
        self.result: Any = None
        self.error: BaseException | None = None

    def drop(self) -> bool:
        """Give up: True if it will never run, False if it has started."""
        with self._lock:
            self._is_dropped = not self._has_started
            return self._is_dropped

    def run(self) -> bool:
        """In the native thread; False if it was dropped before."""
        with self._lock:
            if self._is_dropped:
                return False
            self._has_started = True
        try:
            self.result = self._run(self._function, *self._arguments)
        except BaseException as error:  # noqa: BLE001 (raised again where the call was made)
            self.error = error
        return True


class _BlockingPool:
    """Native threads, started when first needed, and a thread of ours that tells the callers."""

    def __init__(self) -> None:
        self._waiting = _native("queue").SimpleQueue()
        self._ended: Mailbox[_Call] = Mailbox()
        self._threads: list[NativeThread] = []
        self._lock = threading.Lock()  # of our side
        self._busy = 0  # calls given in and not ended
        self._teller: Task[None] | None = None

    def submit(self, call: _Call) -> bool:
        """False if too many wait already."""
        if self._waiting.qsize() >= BLOCKING_WAITING_MAX:
            return False
        with self._lock:
            self._teller = self._teller or spawn(self._tell)
            self._busy += 1
            if self._busy > len(self._threads) < BLOCKING_THREADS:
                self._threads.append(start_native_thread(self._work, f"blocking-{len(self._threads)}"))
        self._waiting.put(call)
        return True

    def _work(self) -> None:
        while True:  # for the life of the process; each item was bounded by submit
            call = self._waiting.get()
            call.run()
            self._ended.put(call)

    def _tell(self) -> None:
        while True:  # for the life of the process
            call = self._ended.get()
            if call is not None:
                with self._lock:
                    self._busy -= 1
                call.ended.set()


_pool: _BlockingPool | None = None
_pool_lock = threading.Lock()  # a native one, made before eventlet patches: nothing yields under it


def call_blocking(function: Callable[..., T], *arguments: Any, timeout_s: float) -> T:
    """Run it in one of 20 native threads and wait for it; raises BlockingCallTimeout, or what it raises."""
    global _pool
    with _pool_lock:
        _pool = _pool or _BlockingPool()
    call = _Call(function, arguments)
    if not _pool.submit(call) or not call.ended.wait(timeout_s):
        name = getattr(function, "__qualname__", repr(function))
        raise BlockingCallTimeout(name=name, timeout_s=timeout_s, has_started=not call.drop())
    if call.error is not None:
        raise call.error
    result: T = call.result
    return result
