"""Are we let in? An agent's messages are casts, and one whose key nobody knows would hear nothing at all.

So it asks now and then, and tells its log what is wrong: an agent that is not registered, or that knows another key of the
conductors than theirs, neither is heard nor obeys, and only a person can mend that.
"""

import logging

from common import concurrency
from common.conductor_api import ConductorAPI
from common.errors import LimosaError
from common.identity import NotProvenError
from common.rpc import ReplyNotProvenError

INTERVAL_S = 60.0

LOG = logging.getLogger(__name__)


class Greeting:
    """Greets the conductors at once, and every minute."""

    def __init__(self, conductor: ConductorAPI, *, host: str) -> None:
        self._conductor = conductor
        self._host = host
        self._is_shut_out = False
        self._repeating: concurrency.Repeating | None = None

    def start(self) -> None:
        self._repeating = concurrency.every(INTERVAL_S, self.greet)

    def stop(self) -> None:
        if self._repeating is not None:
            self._repeating.stop()

    def greet(self) -> None:
        """Tell the log whether we are let in: each time when not, and once when again."""
        try:
            self._conductor.greet(self._host)
        except (NotProvenError, ReplyNotProvenError) as error:
            self._is_shut_out = True
            LOG.error("this host is shut out: %s %s", error, error.advice)
        except LimosaError as error:  # nobody answers, or an older one
            LOG.debug("no conductor was greeted: %s", error)
        else:
            if self._is_shut_out:
                LOG.info("this host is let in again")
            self._is_shut_out = False
