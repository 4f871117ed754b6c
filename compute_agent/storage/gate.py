"""How many looks at storage may be under way at once, so that storage that hangs does not take every native thread.

A call into a file system that does not answer holds its thread until it does, whoever has stopped waiting. The threads are
those that libvirt is asked in as well: without them a libvirt that is well would seem to be silent.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from common import concurrency
from compute_agent.errors import StorageHangsError, StorageSilentError

LOOKS_MAX = 4  # of common.concurrency.BLOCKING_THREADS
POLL_S = 0.01

T = TypeVar("T")


class _Look:
    """Its marks are set, never cleared: the native thread sets `has_ended`, our side `is_late`."""

    def __init__(self) -> None:
        self.has_ended = False
        self.is_late = False  # nobody waits for it any more

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return function(*arguments)
        finally:
            self.has_ended = True


class Gate:
    def __init__(self, looks_max: int = LOOKS_MAX) -> None:
        self._looks_max = looks_max
        self._looks: list[_Look] = []
        self._lock = threading.Lock()

    def look(self, function: Callable[..., T], *arguments: Any, timeout_s: float, what: str) -> T:
        """Run it in a native thread; `what` names the storage. Raises StorageSilentError, or what it raises.

        Waits for its turn while others are at work. Where all of them hang it raises at once: so would this one.
        """
        look = self._enter(timeout_s=timeout_s, what=what)
        try:
            result: T = concurrency.call_blocking(look.run, function, *arguments, timeout_s=timeout_s)
            return result
        except concurrency.BlockingCallTimeout as error:
            look.is_late = True
            if not error.has_started:
                look.has_ended = True
            raise StorageSilentError(timeout_s=timeout_s, what=what) from error

    def _enter(self, *, timeout_s: float, what: str) -> _Look:
        deadline = time.monotonic() + timeout_s
        while True:
            with self._lock:
                self._looks = [look for look in self._looks if not look.has_ended]
                if len(self._looks) < self._looks_max:
                    look = _Look()
                    self._looks.append(look)
                    return look
                do_all_hang = all(look.is_late for look in self._looks)
            if do_all_hang or time.monotonic() > deadline:
                raise StorageHangsError(timeout_s=timeout_s, what=what)
            concurrency.sleep(POLL_S)


GATE: Final = Gate()
"""The agent's: its threads are the process's."""
