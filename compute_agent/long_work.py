"""Work on files that takes long, in a native thread of its own, and watched: nobody waits for it when it stands still.

The 20 threads that everybody shares are for short calls; a file of gigabytes would hold one for minutes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from common import concurrency
from compute_agent.errors import StorageHangsError, StorageSilentError, WorkStoppedError

LOOK_S = 0.2
STALL_S = 60.0  # without a byte more: a disk that sleeps wakes in less
RUNNING_MAX = 8  # such threads at once; those that hang among them

T = TypeVar("T")


class Watch:
    """What the thread that works and the one that waits say to each other. Each writes one of its fields."""

    def __init__(self) -> None:
        self.done_bytes = 0
        self.is_given_up = False

    def advance(self, count_bytes: int) -> None:
        """In the native thread, with each piece: so it is seen to live. Raises when nobody waits any more."""
        self.done_bytes += count_bytes
        if self.is_given_up:
            raise GivenUp


class GivenUp(Exception):  # noqa: N818 (it ends a thread, and nobody hears of it)
    """Nobody waits for this work any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    result: Any = None
    error: BaseException | None = None


class LongWork:
    """Whoever waits does so in an ordinary thread."""

    def __init__(self, running_max: int = RUNNING_MAX) -> None:
        self._running_max = running_max
        self._lock = concurrency.native_rlock()
        self._running = 0

    def run(
        self,
        function: Callable[[Watch], T],
        *,
        what: str,
        is_stopped: Callable[[], bool] = lambda: False,
        stall_s: float = STALL_S,
    ) -> T:
        """What it returns or raises. `what` names the files.

        Raises WorkStoppedError soon after `is_stopped`, StorageSilentError when it stands still, StorageHangsError when too
        much is under way that stands still.
        """
        self._enter(what=what, is_stopped=is_stopped, wait_s=stall_s)
        watch, mailbox = Watch(), concurrency.Mailbox[_Ended]()
        concurrency.start_native_thread(lambda: self._work(function, watch, mailbox), name=f"files {what}")
        try:
            ended = _until_ended(watch, mailbox, what=what, is_stopped=is_stopped, stall_s=stall_s)
        finally:
            with self._lock:
                watch.is_given_up = True
                mailbox.close()
        if ended.error is not None:
            raise ended.error
        result: T = ended.result
        return result

    def _work(
        self, function: Callable[[Watch], Any], watch: Watch, mailbox: concurrency.Mailbox[_Ended]
    ) -> None:
        try:
            ended = _Ended(result=function(watch))
        except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
            ended = _Ended(error=error)
        with self._lock:
            self._running -= 1
            if not watch.is_given_up:
                mailbox.put(ended)

    def _enter(self, *, what: str, is_stopped: Callable[[], bool], wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while True:
            with self._lock:
                if self._running < self._running_max:
                    self._running += 1
                    return
            if is_stopped():
                raise WorkStoppedError(what=what)
            if time.monotonic() > deadline:
                raise StorageHangsError(timeout_s=wait_s, what=what)
            concurrency.sleep(LOOK_S)


def _until_ended(
    watch: Watch,
    mailbox: concurrency.Mailbox[_Ended],
    *,
    what: str,
    is_stopped: Callable[[], bool],
    stall_s: float,
) -> _Ended:
    seen_bytes, seen_at = 0, time.monotonic()
    while (ended := mailbox.get(timeout_s=LOOK_S)) is None:  # ends with the work, or with its standstill
        if is_stopped():
            raise WorkStoppedError(what=what)
        if watch.done_bytes != seen_bytes:
            seen_bytes, seen_at = watch.done_bytes, time.monotonic()
        elif time.monotonic() - seen_at > stall_s:
            raise StorageSilentError(timeout_s=stall_s, what=what)
    return ended


LONG_WORK: Final = LongWork()
"""The agent's."""
