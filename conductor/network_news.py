"""Tell the agents when what they know of managed networks has become old: soon, once for many changes, and never surely.

An agent pulls now and then by itself, so that a message that is lost, or a conductor that dies before it has sent it, makes
the news late and nothing else.
"""

import logging
import threading

from sqlalchemy import select

from common.agent_api import AgentAPI
from common.rpc import BusError
from conductor.db.engine import Database
from conductor.db.models import Host

LOG = logging.getLogger(__name__)


class NetworkNews:
    """`tell` is called for each change, `spread` every now and then."""

    def __init__(self, database: Database, agents: AgentAPI) -> None:
        self._database = database
        self._agents = agents
        self._are_due = threading.Event()

    @property
    def is_due(self) -> bool:
        return self._are_due.is_set()

    def tell(self) -> None:
        self._are_due.set()

    def spread(self) -> None:
        """Ask all agents to pull, if there is anything new."""
        if not self._are_due.is_set():
            return
        self._are_due.clear()
        with self._database.reading() as session:
            names = session.scalars(select(Host.name).order_by(Host.name)).all()
        for host in names:
            try:
                self._agents.refresh_networks(host)
            except BusError as error:
                LOG.info("%s is not told that networks have changed, it will ask: %s", host, error)
