"""The way from configuration to a conductor; the only place of the client that knows of a message bus."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.conductor_api import ConductorAPI
    from common.event_bus import Feed


def connect(config_files: Sequence[str]) -> "ConductorAPI":
    """Return the conductors' API over the configured message bus; connects at the first call.

    Without `config_files` that is what `client.settings` finds. Raises ConfigurationError, and
    BrokerUnreachableError at once where oslo.messaging would try until its timeout.
    """
    # oslo.messaging takes a quarter of a second to import: not for `--help` or a usage error.
    from client import settings
    from common import broker, credentials
    from common.conductor_api import ConductorAPI
    from common.rpc import Bus

    conf = settings.load(config_files)
    identity, keyring = credentials.of_administrator(conf), credentials.conductors_key(conf)
    bus = Bus(conf, identity=identity, keyring=keyring)
    broker.configured(conf).refuse_if_away()
    return ConductorAPI(bus)


def listen(config_files: Sequence[str], pattern: str) -> "Feed":
    """Return the events whose type fits the pattern, not connected yet. Raises ConfigurationError."""
    from client import settings
    from common import broker, credentials
    from common.broker_names import events_exchange
    from common.event_bus import Feed

    conf = settings.load(config_files)
    return Feed(
        broker.configured(conf),
        exchange=events_exchange(conf.control_exchange),
        follower=credentials.administrator_name(conf),
        keyring=credentials.conductors_key(conf),
        message_max_age_s=conf.message_max_age_s,
        pattern=pattern,
    )
