"""The way from configuration to a conductor; the only place of the client that knows of a message bus."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.conductor_api import ConductorAPI


def connect(config_files: Sequence[str]) -> "ConductorAPI":
    """Return the conductors' API over the configured message bus; connects at the first call.

    Without `config_files` that is the bus of /etc/limosa/limosa.conf. Raises ConfigurationError.
    """
    # oslo.messaging takes a quarter of a second to import: not for `--help` or a usage error.
    from common import config, credentials
    from common.conductor_api import ConductorAPI
    from common.rpc import Bus

    arguments = [argument for path in config_files for argument in ("--config-file", path)]
    conf = config.load(arguments, service="client")
    identity, keyring = credentials.of_administrator(conf), credentials.conductors_key(conf)
    return ConductorAPI(Bus(conf, identity=identity, keyring=keyring))
