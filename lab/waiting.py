"""Bounded waiting and concurrent starting."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lab.errors import LabError

POLL_INTERVAL_S = 0.05
MAX_WORKERS = 32

T = TypeVar("T")


def wait_until(
    condition: Callable[[], bool],
    *,
    what: str,
    timeout_s: float,
    interval_s: float = POLL_INTERVAL_S,
    hint: Callable[[], str] = str,
) -> None:
    """Poll until the condition holds; raises LabError "... not after N s" with the hint made then."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not after {timeout_s:g} s", hint=hint())
        time.sleep(interval_s)


def all_at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Make all calls concurrently and return their results in order; raises the first error, all being done."""
    with ThreadPoolExecutor(max_workers=MAX_WORKERS) as pool:
        futures = [pool.submit(call) for call in calls]
    return [future.result() for future in futures]
