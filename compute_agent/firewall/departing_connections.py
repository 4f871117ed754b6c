"""On the source: tell of a guest's connections while it moves. All of them first, then what has changed."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from common import concurrency
from common.connections import BATCH_MAX, Connection
from common.errors import LimosaError, describe
from compute_agent.firewall.tracking import Tracking

TELLINGS_MAX = 8  # the guest may be paused, go on and be paused again when its migration was given up

LOG = logging.getLogger(__name__)


class DepartingConnections:
    """One migration's, in a thread of its own: neither the call nor its answer waits for it."""

    def __init__(
        self,
        tracking: Tracking,
        *,
        addresses: Collection[str],
        send: Callable[[tuple[Connection, ...]], None],
    ) -> None:
        self._tracking = tracking
        self._addresses = addresses
        self._send = send
        self._told: set[Connection] = set()
        self._news = threading.Event()
        self._is_over = False
        self._task = concurrency.spawn(self._run)

    def tell_again(self) -> None:
        """Something may have changed; returns at once."""
        self._news.set()

    def end(self) -> None:
        """Tell once more, and no more after that; returns at once."""
        self._is_over = True
        self._news.set()

    def wait(self, timeout_s: float) -> None:
        """Until all is told; raises TaskTimeout."""
        self._task.wait(timeout_s)

    def _run(self) -> None:
        for _ in range(TELLINGS_MAX):
            is_last = self._is_over
            self._news.clear()
            self._tell()
            if is_last:
                return
            self._news.wait()

    def _tell(self) -> None:
        try:
            known = self._tracking.of(self._addresses)
            # Its time runs; that alone is no news.
            fresh = tuple(each for each in known if replace(each, timeout_s=0) not in self._told)
            for start in range(0, len(fresh), BATCH_MAX):
                self._send(fresh[start : start + BATCH_MAX])
            self._told |= {replace(each, timeout_s=0) for each in fresh}
        except LimosaError as error:
            LOG.warning("connections are not told to the dest: %s", describe(error))
