"""Ask many hosts the same, only some of them at a time, within one time for all."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from common import concurrency

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Generic[T]):
    """How one host's asking stood when the time was over. Neither result nor error: it had not ended, or not begun."""

    has_begun: bool = False
    result: T | None = None
    error: Exception | None = None


def ask_abreast(
    names: Sequence[str], ask: Callable[[str], T], *, at_once: int, timeout_s: float
) -> dict[str, End[T]]:
    """How it ended for each, in their order. What has begun when the time is over goes on; nothing more begins."""
    deadline = time.monotonic() + timeout_s
    lock = threading.Lock()
    waiting = deque(names)
    ends: dict[str, End[T]] = {name: End() for name in names}

    def work() -> None:
        while True:  # each turn takes a name away
            with lock:
                if not waiting or time.monotonic() >= deadline:
                    return
                name = waiting.popleft()
                ends[name] = End(has_begun=True)
            try:
                end = replace(ends[name], result=ask(name))
            except Exception as error:  # noqa: BLE001 (the edge of all of them: the others must still be told)
                end = replace(ends[name], error=error)
            with lock:
                ends[name] = end

    workers = [concurrency.spawn(work) for _ in range(min(at_once, len(names)))]
    for worker in workers:
        try:
            worker.wait(max(0.0, deadline - time.monotonic()))
        except concurrency.TaskTimeout:
            break  # no time is left for any other either
    with lock:
        return dict(ends)
