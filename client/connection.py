"""The way from configuration to a conductor; the only place of the client that knows of a message bus."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.conductor_api import ConductorAPI
    from common.event_bus import Feed


def connect(config_files: Sequence[str]) -> "ConductorAPI":
    """Return the conductors' API over the configured message bus; connects at the first call.

    Without `config_files` that is the bus of /etc/limosa/limosa.conf. Raises ConfigurationError, and
    BrokerUnreachableError at once where oslo.messaging would try until its timeout.
    """
    # oslo.messaging takes a quarter of a second to import: not for `--help` or a usage error.
    from common import broker, config, credentials
    from common.conductor_api import ConductorAPI
    from common.rpc import Bus

    conf = config.load(_arguments(config_files), service="client")
    identity, keyring = credentials.of_administrator(conf), credentials.conductors_key(conf)
    bus = Bus(conf, identity=identity, keyring=keyring)
    broker.configured(conf).refuse_if_away()
    return ConductorAPI(bus)


def listen(config_files: Sequence[str], pattern: str) -> "Feed":
    """Return the events whose type fits the pattern, not connected yet. Raises ConfigurationError."""
    from common import broker, config, credentials
    from common.broker_names import events_exchange
    from common.event_bus import Feed

    conf = config.load(_arguments(config_files), service="client")
    return Feed(
        broker.configured(conf),
        exchange=events_exchange(conf.control_exchange),
        follower=credentials.administrator_name(conf),
        keyring=credentials.conductors_key(conf),
        message_max_age_s=conf.message_max_age_s,
        pattern=pattern,
    )


def _arguments(config_files: Sequence[str]) -> list[str]:
    return [argument for path in config_files for argument in ("--config-file", path)]
