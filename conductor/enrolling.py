"""Membership and its interface, put together from the configuration: what `conductor.app` starts beside the rest."""

from collections.abc import Callable

from oslo_config import cfg

from common.concurrency import Repeating, every
from common.enrolment_api import INTERFACE
from common.envelope import Envelope
from common.errors import LimosaError
from common.identity import Identity
from common.rpc import Bus, Server
from conductor import authority, broker_management
from conductor.broker_users import BrokerUsers
from conductor.db.engine import Database
from conductor.enrolment import CodesKeys, EnrolmentEndpoint, JoiningGate
from conductor.membership import Membership

TIDY_INTERVAL_S = 10.0


class Enrolling:
    """Serves those who join, and sends off the broker's users who are to go."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: Database,
        bus: Bus,
        *,
        identity: Identity,
        rejected: Callable[[Envelope, LimosaError], None],
    ) -> None:
        self.users = users_of(conf, database)
        self.membership = Membership(
            database, self.users, authority=lambda: authority.load(conf), own=identity.key.public
        )
        self._server: Server | None = None
        if self.users is not None:
            gate = JoiningGate(database, rejected=rejected)
            endpoint = EnrolmentEndpoint(self.membership)
            keyring = CodesKeys(database)
            self._server = bus.serve(INTERFACE, conf.host, endpoint, guard=gate, keyring=keyring)
        self._repeating: Repeating | None = None

    def start(self) -> None:
        """Nothing, where nobody could join."""
        if self._server is not None and self.users is not None:
            self._server.start()
            self._repeating = every(TIDY_INTERVAL_S, self.users.tidy)

    def stop(self) -> None:
        if self._repeating is not None:
            self._repeating.stop()
        if self._server is not None:
            self._server.stop()


def users_of(conf: cfg.ConfigOpts, database: Database) -> BrokerUsers | None:
    """None where [broker] does not say how: RabbitMQ's users are somebody else's then."""
    if not conf.broker.management_password:
        return None
    management = broker_management.configured(conf)
    return BrokerUsers(database, management, control_exchange=conf.control_exchange)
