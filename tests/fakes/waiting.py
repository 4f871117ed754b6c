"""Wait for what happens beside the test."""

import time
from collections.abc import Callable

WAIT_S = 10.0
_POLL_S = 0.005


def wait_until(is_so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(_POLL_S)
