"""Send what is committed: commands and acknowledgements. A failed cast is only logged, since the sweeper sends again."""

import logging
import threading
import time
from collections.abc import Callable, Collection

from common.agent_api import AgentAPI
from common.migration import Acknowledgement, Command
from common.rpc import BusError

LOG = logging.getLogger(__name__)


class Sender:
    """The way to the agents; remembers when this conductor last sent each open migration's command."""

    def __init__(self, agents: AgentAPI, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._agents = agents
        self._clock = clock
        self._sent: dict[str, tuple[int, float]] = {}  # by migration: epoch and time; open ones only
        self._lock = threading.Lock()

    def send(self, command: Command) -> None:
        """Cast a command whose epoch is committed."""
        with self._lock:
            self._sent[command.migration] = (command.epoch, self._clock())
        try:
            self._agents.execute(command)
        except BusError as error:
            LOG.warning("%s for %s was not sent, it will be: %s", command.verb, command.host, error)
            return
        LOG.debug("%s is sent to %s, epoch %d", command.verb, command.host, command.epoch)

    def seconds_since_sent(self, migration: str, epoch: int) -> float | None:
        """None if this process has never sent that command."""
        with self._lock:
            sent_epoch, sent_at = self._sent.get(migration, (None, 0.0))
        return self._clock() - sent_at if sent_epoch == epoch else None

    def acknowledge(self, host: str, *, instance: str, epoch: int) -> None:
        """Tell a host that it need not repeat what it has answered up to this epoch."""
        try:
            self._agents.acknowledge(host, (Acknowledgement(instance=instance, epoch=epoch),))
        except BusError as error:
            LOG.info("no acknowledgement to %s, it will repeat its outcome: %s", host, error)

    def request_report(self, host: str) -> None:
        try:
            self._agents.request_report(host)
        except BusError as error:
            LOG.info("%s is not asked for a report: %s", host, error)

    def refresh_filtering(self, hosts: Collection[str]) -> None:
        """Have these hosts ask for the rules of their guests; one that is not told asks by itself, later."""
        for host in sorted(hosts):
            try:
                self._agents.refresh_filtering(host)
            except BusError as error:
                LOG.warning("%s and those behind it hear of new rules later: %s", host, error)
                return  # the broker is away: it is no use to wait for it once for each host

    def forget(self, migration: str) -> None:
        """It has ended; nothing of it is sent again."""
        with self._lock:
            self._sent.pop(migration, None)
