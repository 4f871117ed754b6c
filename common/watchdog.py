"""systemd's watchdog: a service is called alive while its threads of work and its native threads both answer.

Under eventlet one native thread holds all green ones, and a call into C that does not return stops them all; libvirt's
calls run in native threads, and twenty that hang leave none. Both look healthy from outside. systemd ends a service that
has not been called alive for WatchdogSec with SIGABRT, at which the stacks of its threads are written to its log.
"""

import faulthandler
import logging
import os
from collections.abc import Callable, Mapping

from common import concurrency

FEEDS = 3  # in the time that systemd gives: one may be late, and one lost
_US = 1_000_000

LOG = logging.getLogger(__name__)


def patience_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """How long systemd waits for a sign of life (sd_watchdog_enabled(3)); None: it waits for none of this process."""
    try:
        given_us = int(environment.get("WATCHDOG_USEC", ""))
        whose = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return given_us / _US if given_us > 0 and whose == os.getpid() else None


class Watchdog:
    """Calls the service alive now and then."""

    def __init__(self, patience_s: float, tell: Callable[[str], None]) -> None:
        self._interval_s = patience_s / FEEDS
        self._tell = tell
        self._repeating: concurrency.Repeating | None = None

    def start(self) -> None:
        faulthandler.enable()
        self._repeating = concurrency.every(self._interval_s, self.feed)

    def feed(self) -> None:
        """In a thread of work, which is the first half of the proof; a native thread that answers is the second."""
        try:
            concurrency.call_blocking(os.getpid, timeout_s=self._interval_s)
        except concurrency.BlockingCallTimeout:
            LOG.error("no native thread answers: systemd is not told that this service lives")
            return
        self._tell("WATCHDOG=1")
